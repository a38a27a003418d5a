//! A deed is done once: whoever makes the same call again has the first answer, judged and inspected anew, and what may or
//! may not have happened is not tried a second time.

use crate::approvals::{code, scope, state, vote, waiting};
use crate::budgets::budget;
use crate::calls::POLICY;
use crate::house::{House, server, settings};
use crate::questions::until;
use crate::script::Script;
use catalog::{Declarations, Declared, Effect};
use decision::approval::State;
use decision::{Code, Ending, ServerName, Stage};
use futures::StreamExt as _;
use gateway::settings::{Idempotency, Mode, ServerSettings};
use policy::budget::Counts;
use serde_json::{Value, json};
use std::time::Duration;

const AT: &str = "/s/script/mcp";
const ALL: &str = r#"@id("all") permit (principal, action, resource);"#;

fn declared(tool: &str, declared: Declared) -> (String, Declared) {
    (tool.to_owned(), declared)
}

fn window(secs: u64) -> Declared {
    Declared { idempotency: Some(Duration::from_secs(secs)), ..Declared::default() }
}

async fn house_of(
    modern: bool,
    tools: Vec<(String, Declared)>,
    policy: &str,
    change: impl FnOnce(&mut gateway::Settings),
) -> (House, Script) {
    let script = Script::start(modern).await;
    let declarations = Declarations { tools, ..Declarations::default() };
    let one = ServerSettings { declarations, ..server(&script.url, Mode::Enforce) };
    let mut settings = settings([(ServerName::new("script").unwrap(), one)].into());
    change(&mut settings);
    let house = House::with(settings, policy).await;
    let groups = ["finance".parse().unwrap()].into();
    let fay = decision::User { name: "fay".parse().unwrap(), groups };
    house.store.add_user(&scope(&house), &fay, "ops").await.unwrap();
    (house, script)
}

async fn house() -> (House, Script) {
    house_of(true, Vec::new(), POLICY, |_| {}).await
}

fn asks(tool: &str, arguments: Value, key: Option<&str>) -> Value {
    let mut params = json!({ "name": tool, "arguments": arguments });
    if let Some(key) = key {
        params["_meta"] = json!({ "callgate/idempotency-key": key });
    }
    params
}

async fn call(house: &House, tool: &str, arguments: Value, key: Option<&str>) -> Value {
    house.modern(AT, "tools/call", asks(tool, arguments, key)).await.json()
}

async fn call_as(house: &House, token: &str, tool: &str, arguments: Value, key: Option<&str>) -> Value {
    house.modern_as(&format!("Bearer {token}"), AT, "tools/call", asks(tool, arguments, key)).await.json()
}

fn text(told: &Value) -> &str {
    told["result"]["content"][0]["text"].as_str().unwrap_or_default()
}

fn basis(house: &House, stage: Stage) -> Vec<String> {
    house.last().evidence.into_iter().find(|one| one.stage == stage).unwrap().basis
}

async fn set_policy(house: &House, text: &str) {
    let settings = std::sync::Arc::clone(&house.gate.live().settings);
    let policies = vec![policy::Source { path: "test.cedar".into(), text: text.into() }];
    house.offers.reload(gateway::Written { settings, policies }, || ()).await.unwrap();
}

/// Calls that took a key and are not settled.
async fn open(house: &House) -> usize {
    let log = house.gate.ledger().public_key().origin().to_owned();
    house.store.unsettled_keys(&scope(house), &log).await.unwrap().len()
}

#[tokio::test]
async fn a_call_that_is_made_again_under_its_key_has_the_first_answer_and_is_not_sent() {
    let (house, script) = house().await;
    let first = call(&house, "refund", json!({ "amount": 7, "note": "a" }), Some("k-1")).await;
    assert_eq!(text(&first), r#"refund: {"amount":7,"note":"a"}"#);
    assert_eq!(basis(&house, Stage::Replay), ["key:client"]);
    assert_eq!(basis(&house, Stage::Commit), ["took:key"]);
    let done = house.last();
    // the order of members and the space between them are nothing
    let again = call(&house, "refund", json!({ "note": "a", "amount": 7 }), Some("k-1")).await;
    assert_eq!(again, first);
    let replayed = house.last();
    assert_eq!(basis(&house, Stage::Replay), ["key:client".to_owned(), format!("replayed:{}", done.call)]);
    assert_eq!(replayed.replays(), Some(done.call));
    assert_eq!((replayed.ending, replayed.dispatched), (Ending::Answered, false));
    assert_eq!(replayed.deed, done.deed, "it is one more message of that deed");
    assert!(replayed.evidence.iter().all(|one| one.stage != Stage::Commit), "nothing was spent");
    assert!(replayed.evidence.iter().any(|one| one.stage == Stage::Rules), "it was judged");
    assert_eq!(script.heard("tools/call").len(), 1);
    let other = call(&house, "refund", json!({ "amount": 7, "note": "a" }), Some("k-2")).await;
    assert_eq!(text(&other), text(&first));
    assert_eq!(script.heard("tools/call").len(), 2, "another key is another deed");
    assert_eq!(open(&house).await, 0);
}

#[tokio::test]
async fn a_key_with_other_arguments_or_of_the_wrong_form_is_refused() {
    let (house, script) = house().await;
    call(&house, "refund", json!({ "amount": 7 }), Some("k")).await;
    let told = call(&house, "refund", json!({ "amount": 8 }), Some("k")).await;
    assert_eq!(code(&told).as_deref(), Some("idempotency-key-reused"));
    assert_eq!(house.last().ending, Ending::Refused { code: Code::IdempotencyKeyReused });
    assert_eq!(code(&call(&house, "echo", json!({}), Some("k")).await), None, "another tool");
    let long = "x".repeat(256);
    for bad in [json!(""), json!("a b"), json!("ä"), json!(7), json!(null), json!(long)] {
        let mut params = asks("refund", json!({ "amount": 7 }), Some("k"));
        params["_meta"]["callgate/idempotency-key"] = bad;
        let told = house.modern(AT, "tools/call", params).await.json();
        assert_eq!(code(&told).as_deref(), Some("idempotency-key-malformed"), "{told}");
    }
    assert_eq!(script.heard("tools/call").len(), 2);
}

#[tokio::test]
async fn a_key_is_its_principals_and_another_never_finds_it() {
    let (house, script) = house_of(true, Vec::new(), ALL, |_| {}).await;
    let other = house.agent("other").await;
    let first = call(&house, "refund", json!({ "amount": 7 }), Some("k")).await;
    let theirs = call_as(&house, &other, "refund", json!({ "amount": 9 }), Some("k")).await;
    assert_eq!(text(&theirs), r#"refund: {"amount":9}"#, "neither refused nor answered by another's");
    assert_eq!(
        text(&call_as(&house, &other, "refund", json!({ "amount": 9 }), Some("k")).await),
        text(&theirs)
    );
    assert_eq!(text(&call(&house, "refund", json!({ "amount": 7 }), Some("k")).await), text(&first));
    assert_eq!(script.heard("tools/call").len(), 2);
}

#[tokio::test]
async fn the_same_arguments_are_the_same_deed_only_where_the_operator_says_so_and_as_long() {
    let (house, script) = house_of(true, vec![declared("refund", window(600))], POLICY, |_| {}).await;
    for _ in 0..3 {
        assert_eq!(
            text(&call(&house, "refund", json!({ "amount": 7 }), None).await),
            r#"refund: {"amount":7}"#
        );
        assert!(code(&call(&house, "echo", json!({}), None).await).is_none());
    }
    assert_eq!(script.heard("tools/call").len(), 4, "one refund, three times echo");
    call(&house, "refund", json!({ "amount": 8 }), None).await;
    assert_eq!(basis(&house, Stage::Replay), ["key:arguments"]);
    call(&house, "refund", json!({ "amount": 7 }), Some("once-more")).await;
    assert_eq!(script.heard("tools/call").len(), 6, "whoever gives a key says that it is another deed");
    house.advance(Duration::from_secs(601));
    call(&house, "refund", json!({ "amount": 7 }), None).await;
    assert_eq!(script.heard("tools/call").len(), 7, "the window is over");
    assert_eq!(gateway::tidy_keys(&house.gate).await.unwrap(), 1, "what is over is taken out");
}

#[tokio::test]
async fn a_call_without_a_key_takes_none_and_one_with_a_key_needs_the_database() {
    let (house, script) = house_of(true, vec![declared("refund", window(600))], POLICY, |_| {}).await;
    assert_eq!(code(&call(&house, "echo", json!({}), None).await), None);
    assert!(basis(&house, Stage::Replay).is_empty() && basis(&house, Stage::Commit).is_empty());
    house.store.close().await;
    for (tool, key) in [("refund", None), ("echo", Some("k"))] {
        let arguments = if tool == "refund" { json!({ "amount": 7 }) } else { json!({}) };
        let told = call(&house, tool, arguments, key).await;
        // a moment later the token cannot be looked up either
        let codes = [code(&told), told["error"]["data"]["code"].as_str().map(str::to_owned)];
        assert!(codes.iter().any(Option::is_some), "{told}");
        assert!(!text(&told).starts_with(&format!("{tool}: ")), "{told}");
    }
    assert_eq!(script.heard("tools/call").len(), 1, "nothing leaves without its key");
}

#[tokio::test]
async fn an_error_of_the_tool_is_an_answer_and_is_given_again() {
    let (house, script) = house().await;
    let first = call(&house, "fail", json!({ "code": 7 }), Some("k")).await;
    assert_eq!(first["error"]["code"], 7);
    assert_eq!(call(&house, "fail", json!({ "code": 7 }), Some("k")).await, first);
    assert_eq!(script.heard("tools/call").len(), 1);
}

#[tokio::test]
async fn an_answer_that_was_withheld_is_withheld_again_and_one_too_large_to_be_kept_is_known_to_have_been() {
    let small = |settings: &mut gateway::Settings| {
        settings.idempotency = Idempotency { answer_bytes_max: 200, ..Idempotency::default() };
    };
    let (house, script) = house_of(true, Vec::new(), POLICY, small).await;
    for _ in 0..2 {
        let told = call(&house, "typed", json!({ "n": 3 }), Some("k")).await;
        assert_eq!(code(&told).as_deref(), Some("result-invalid"), "{told}");
    }
    let note = "x".repeat(300);
    let first = call(&house, "echo", json!({ "text": note }), Some("k")).await;
    assert!(text(&first).contains(&note));
    let again = call(&house, "echo", json!({ "text": note }), Some("k")).await;
    assert_eq!(code(&again).as_deref(), Some("idempotency-answer-unkept"), "{again}");
    let big = call(&house, "big", json!({}), Some("k")).await;
    assert_eq!(code(&big).as_deref(), Some("result-too-large"));
    assert_eq!(
        code(&call(&house, "big", json!({}), Some("k")).await).as_deref(),
        Some("idempotency-answer-unkept")
    );
    assert_eq!(script.heard("tools/call").len(), 3);
}

#[tokio::test]
async fn what_may_have_happened_is_not_tried_again_unless_it_does_no_harm() {
    let read = Declared { effect: Some(Effect::Read), ..Declared::default() };
    let repeated = Declared { repeat_unknown: Some(true), ..Declared::default() };
    let tools = vec![declared("die", window(600)), declared("nonsense", repeated), declared("hang", read)];
    let (house, script) = house_of(true, tools, POLICY, |_| {}).await;
    let lost = call(&house, "die", json!({}), Some("k")).await;
    assert_eq!(code(&lost).as_deref(), Some("upstream-lost"), "{lost}");
    let first = house.last().call;
    for _ in 0..2 {
        let told = call(&house, "die", json!({}), Some("k")).await;
        assert_eq!(code(&told).as_deref(), Some("idempotency-outcome-unknown"), "{told}");
        assert!(
            text(&told).contains(&first.to_string()) && text(&told).contains("idempotency-key"),
            "{told}"
        );
    }
    assert_eq!(script.heard("tools/call").len(), 1);
    call(&house, "die", json!({}), None).await;
    let told = call(&house, "die", json!({}), None).await;
    assert_eq!(code(&told).as_deref(), Some("idempotency-outcome-unknown"), "the same of its arguments");
    assert_eq!(script.heard("tools/call").len(), 2);
    for _ in 0..2 {
        let told = call(&house, "nonsense", json!({}), Some("k")).await;
        assert_eq!(
            code(&told).as_deref(),
            Some("upstream-nonsense"),
            "its operator says that it may: {told}"
        );
    }
    assert_eq!(script.heard("tools/call").len(), 4);
    let late = call(&house, "hang", json!({}), Some("k")).await;
    assert_eq!(code(&late).as_deref(), Some("upstream-timeout"));
    let late = call(&house, "hang", json!({}), Some("k")).await;
    assert_eq!(code(&late).as_deref(), Some("upstream-timeout"), "what reads may");
    assert_eq!(script.heard("tools/call").len(), 6);
    assert_eq!(open(&house).await, 0);
}

#[tokio::test]
async fn what_never_left_gives_its_key_back() {
    let (house, script) = house().await;
    house.remove_secret().await;
    house.until_noticed().await;
    assert_eq!(code(&call(&house, "echo", json!({}), Some("k")).await).as_deref(), Some("secret-missing"));
    assert_eq!(code(&call(&house, "echo", json!({}), Some("k")).await).as_deref(), Some("secret-missing"));
    house.put_secret(None, "again-0123456789").await;
    house.until_noticed().await;
    let wrong = call(&house, "echo", json!({ "no": 1 }), Some("k")).await;
    assert_eq!(code(&wrong).as_deref(), Some("arguments-invalid"), "what is refused takes no key");
    assert!(code(&call(&house, "echo", json!({}), Some("k")).await).is_none());
    assert_eq!(script.heard("tools/call").len(), 1);
}

#[tokio::test]
async fn a_budget_counts_a_deed_once_and_does_not_stand_in_its_answers_way() {
    let budget = budget("rate", Counts::Calls, 1);
    let (house, script) =
        house_of(true, Vec::new(), POLICY, |settings| settings.budgets = vec![budget]).await;
    for _ in 0..3 {
        assert!(code(&call(&house, "echo", json!({}), Some("k")).await).is_none());
    }
    assert_eq!(basis(&house, Stage::Replay).len(), 2);
    let other = call(&house, "echo", json!({}), Some("l")).await;
    assert_eq!(code(&other).as_deref(), Some("budget-exceeded"));
    assert_eq!(script.heard("tools/call").len(), 1);
}

#[tokio::test]
async fn people_are_asked_once_for_a_deed_and_again_for_another() {
    let (house, script) = house().await;
    let large = || json!({ "amount": 500 });
    let told = call(&house, "refund", large(), Some("k")).await;
    assert_eq!(code(&told).as_deref(), Some("approval-required"));
    assert_eq!(open(&house).await, 0, "what waits for people has no key yet");
    let id = waiting(&house).await[0].id;
    vote(&house, id, "fay", true).await.unwrap();
    let done = call(&house, "refund", large(), Some("k")).await;
    assert_eq!(text(&done), r#"refund: {"amount":500}"#);
    assert_eq!(state(&house, id).await, State::Executed);
    for _ in 0..2 {
        assert_eq!(call(&house, "refund", large(), Some("k")).await, done);
    }
    assert!(waiting(&house).await.is_empty(), "nobody was asked again");
    let other = call(&house, "refund", large(), Some("l")).await;
    assert_eq!(code(&other).as_deref(), Some("approval-required"), "another deed needs a yes of its own");
    assert_eq!(script.heard("tools/call").len(), 1);
}

#[tokio::test]
async fn a_rule_that_says_no_now_keeps_the_answer_back_and_so_does_a_revoked_token() {
    let (house, script) = house().await;
    let told = call(&house, "refund", json!({ "amount": 7 }), Some("k")).await;
    assert!(code(&told).is_none());
    let stricter = POLICY.replace("amount > 100", "amount > 1").replace("@unless-approved(\"finance\")", "");
    set_policy(&house, &stricter).await;
    let told = call(&house, "refund", json!({ "amount": 7 }), Some("k")).await;
    assert_eq!(code(&told).as_deref(), Some("rule-denied"), "{told}");
    set_policy(&house, &POLICY.replace("amount > 100", "amount > 1")).await;
    let told = call(&house, "refund", json!({ "amount": 7 }), Some("k")).await;
    assert_eq!(
        text(&told),
        r#"refund: {"amount":7}"#,
        "it was done; a rule that would ask people now asks nobody"
    );
    assert!(waiting(&house).await.is_empty());
    let hidden =
        POLICY.replace("script__hidden", "script__refund").replace("@id(\"refund-limit\")", "@id(\"r\")");
    set_policy(&house, &hidden).await;
    let told = call(&house, "refund", json!({ "amount": 7 }), Some("k")).await;
    assert!(told["error"]["message"].as_str().unwrap().starts_with("Unknown tool"), "{told}");
    set_policy(&house, POLICY).await;
    let bot = crate::house::TOKEN_AGENT.parse().unwrap();
    house.store.revoke_tokens(&scope(&house), &bot, "ops").await.unwrap();
    house.until_refused(&house.token).await;
    let told = house.modern(AT, "tools/call", asks("refund", json!({ "amount": 7 }), Some("k"))).await;
    assert_eq!(told.status, 401);
    assert_eq!(script.heard("tools/call").len(), 1);
}

#[tokio::test]
async fn of_a_thousand_calls_at_once_under_one_key_one_is_sent() {
    let (house, script) = house().await;
    let one = |_| call(&house, "refund", json!({ "amount": 7 }), Some("k"));
    let told: Vec<Value> = futures::stream::iter(0..1_000).map(one).buffer_unordered(1_000).collect().await;
    assert_eq!(script.heard("tools/call").len(), 1);
    let codes: Vec<_> = told.iter().filter_map(code).collect();
    assert!(codes.is_empty(), "{codes:?}");
    let answered = told.iter().filter(|one| text(one) == r#"refund: {"amount":7}"#).count();
    assert_eq!(answered, 1_000, "the others waited for it");
    assert_eq!(open(&house).await, 0);
}

#[tokio::test]
async fn of_many_at_once_under_one_key_that_people_said_yes_to_one_is_sent_and_nobody_is_asked_again() {
    let budget = budget("rate", Counts::Calls, 1);
    let (house, script) =
        house_of(true, Vec::new(), POLICY, |settings| settings.budgets = vec![budget]).await;
    let large = || json!({ "amount": 500 });
    call(&house, "refund", large(), Some("k")).await;
    vote(&house, waiting(&house).await[0].id, "fay", true).await.unwrap();
    let one = |_| call(&house, "refund", large(), Some("k"));
    let told: Vec<Value> = futures::stream::iter(0..200).map(one).buffer_unordered(200).collect().await;
    let codes: Vec<_> = told.iter().filter_map(code).collect();
    assert!(codes.is_empty(), "{codes:?}");
    assert!(told.iter().all(|one| text(one) == r#"refund: {"amount":500}"#));
    assert_eq!((script.heard("tools/call").len(), waiting(&house).await.len()), (1, 0));
}

#[tokio::test]
async fn a_legacy_client_and_a_modern_one_of_the_same_agent_have_the_same_answer_in_their_own_form() {
    for modern in [false, true] {
        let (house, script) = house_of(modern, Vec::new(), POLICY, |_| {}).await;
        let session = house.initialize(AT).await;
        let params = asks("refund", json!({ "amount": 7 }), Some("k"));
        let old = house.legacy(AT, &session, 3, "tools/call", params.clone()).await.json();
        let new = call(&house, "refund", json!({ "amount": 7 }), Some("k")).await;
        assert_eq!((&old["id"], &new["id"]), (&json!(3), &json!(7)));
        assert_eq!(text(&old), text(&new));
        assert_eq!(
            (&old["result"]["resultType"], &new["result"]["resultType"]),
            (&Value::Null, &json!("complete"))
        );
        let again = house.legacy(AT, &session, 4, "tools/call", params).await.json();
        assert_eq!(again["result"], old["result"]);
        assert_eq!(script.heard("tools/call").len(), 1, "modern server: {modern}");
    }
}

#[tokio::test]
async fn a_call_whose_gateway_is_gone_is_not_said_to_end_in_a_moment() {
    let (house, script) = house().await;
    let other = house.beside((*house.gate.live().settings).clone(), POLICY).await;
    let log = house.gate.ledger().public_key().origin();
    let under_way = call(&house, "late", json!({}), Some("k"));
    let asked = async {
        while open(&house).await == 0 {
            tokio::task::yield_now().await;
        }
        house.store.go_by(&scope(&house), log, house.gate.live().policies.digest()).await.unwrap();
        other.advance(Duration::from_secs(600));
        call_as(&other, &house.token, "late", json!({}), Some("k")).await
    };
    let (_, told) = tokio::join!(under_way, asked);
    assert_eq!(code(&told).as_deref(), Some("idempotency-in-progress"), "{told}");
    assert!(text(&told).contains("was last there at") && text(&told).contains(log), "{told}");
    assert_eq!(script.heard("tools/call").len(), 1);
}

#[tokio::test]
async fn a_call_waits_for_its_twin_and_has_its_answer() {
    let slow = |settings: &mut gateway::Settings| settings.approvals.hold_for = Duration::from_secs(20);
    let (house, script) = house_of(true, Vec::new(), POLICY, slow).await;
    let [first, second] = ["k", "k"].map(|key| call(&house, "late", json!({}), Some(key)));
    let (first, second) = tokio::join!(first, second);
    assert_eq!((text(&first), &second), ("late", &first));
    assert_eq!(script.heard("tools/call").len(), 1);
    let ending = |code: Option<Code>| match code {
        Some(code) => Ending::Refused { code },
        None => Ending::Answered,
    };
    let ends: Vec<Ending> = house.decisions().into_iter().map(|one| one.ending).collect();
    let expected = [Some(Code::IdempotencyInProgress), None, None].map(ending);
    assert_eq!(ends, expected, "it walked the path again, and both walks are in the record");
}

#[tokio::test]
async fn a_question_of_the_server_is_put_again_and_its_answer_leaves_once_with_or_without_the_key() {
    for names_it in [true, false] {
        let (house, script) = house().await;
        let asked = call(&house, "ask", json!({}), Some("k")).await;
        assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
        let deed = house.last().deed;
        let again = call(&house, "ask", json!({}), Some("k")).await;
        assert_eq!(again["result"]["inputRequests"], asked["result"]["inputRequests"], "{again}");
        assert_eq!(script.heard("tools/call").len(), 1, "nothing was sent for it");
        let goes_on = |told: &Value| {
            let mut params = asks("ask", json!({}), names_it.then_some("k"));
            params["requestState"] = told["result"]["requestState"].clone();
            params["inputResponses"] = json!({ "q": { "action": "accept", "content": {} } });
            params
        };
        // whichever of the two the client answers, and however often
        let done = house.modern(AT, "tools/call", goes_on(&again)).await.json();
        assert_eq!(done["result"]["resultType"], "complete", "{done}");
        assert_eq!(house.last().deed, deed);
        for told in [&asked, &again] {
            assert_eq!(house.modern(AT, "tools/call", goes_on(told)).await.json(), done);
        }
        assert_eq!(call(&house, "ask", json!({}), Some("k")).await, done);
        assert_eq!(script.heard("tools/call").len(), 2, "a question and its answer");
        assert_eq!(open(&house).await, 0);
    }
}

#[tokio::test]
async fn a_question_across_the_eras_belongs_to_the_deed_that_it_is_about() {
    let (house, script) = house_of(false, Vec::new(), POLICY, |_| {}).await;
    let asked = call(&house, "ask", json!({}), Some("k")).await;
    assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
    let again = call(&house, "ask", json!({}), Some("k")).await;
    assert_eq!(code(&again).as_deref(), Some("idempotency-in-progress"), "{again}");
    let mut params = asks("ask", json!({}), None);
    params["requestState"] = asked["result"]["requestState"].clone();
    let question = asked["result"]["inputRequests"].as_object().unwrap().keys().next().unwrap().clone();
    params["inputResponses"] = json!({ question: { "action": "accept", "content": {} } });
    let done = house.modern(AT, "tools/call", params).await.json();
    assert_eq!(done["result"]["resultType"], "complete", "{done}");
    assert_eq!(call(&house, "ask", json!({}), Some("k")).await, done);
    assert_eq!(script.heard("tools/call").len(), 1);
}

#[tokio::test]
async fn an_address_that_has_to_be_visited_first_takes_no_key() {
    let (house, script) = house_of(false, Vec::new(), POLICY, |_| {}).await;
    let session = house.initialize(AT).await;
    let visit = || asks("visit", json!({}), Some("k"));
    let first = house.legacy(AT, &session, 3, "tools/call", visit()).await.json();
    assert_eq!(first["error"]["code"], -32042, "{first}");
    let second = house.legacy(AT, &session, 4, "tools/call", visit()).await.json();
    assert_eq!(text(&second), "visit: {}", "{second}");
    assert_eq!(house.legacy(AT, &session, 5, "tools/call", visit()).await.json()["result"], second["result"]);
    assert_eq!(script.heard("tools/call").len(), 2);
}

#[tokio::test]
async fn a_draft_that_is_submitted_again_under_its_key_has_the_answer_of_its_call() {
    let draft = Declared { effect: Some(Effect::Write), draft: Some(true), ..Declared::default() };
    let (house, script) = house_of(true, vec![declared("refund", draft)], POLICY, |_| {}).await;
    let told = call(&house, "draft_refund", json!({ "amount": 40 }), Some("d")).await;
    let id = told["result"]["structuredContent"]["draft_id"].clone();
    assert!(basis(&house, Stage::Replay).is_empty(), "a draft does nothing, and has no key");
    let done = call(&house, "submit_refund", json!({ "draft_id": id }), Some("k")).await;
    assert_eq!(text(&done), r#"refund: {"amount":40}"#);
    assert_eq!(call(&house, "submit_refund", json!({ "draft_id": id }), Some("k")).await, done);
    assert_eq!(call(&house, "refund", json!({ "amount": 40 }), Some("k")).await, done, "it is that call");
    for key in [None, Some("l")] {
        let told = call(&house, "submit_refund", json!({ "draft_id": id }), key).await;
        assert_eq!(code(&told).as_deref(), Some("draft-unknown"), "{told}");
    }
    assert_eq!(script.heard("tools/call").len(), 1);
}

#[tokio::test]
async fn what_left_without_its_client_is_found_by_its_key_as_often_as_it_is_asked_for() {
    let kept =
        POLICY.replace("@unless-approved(\"finance\")", "@unless-approved(\"finance\") @execute-on-approval");
    let (house, script) = house_of(true, Vec::new(), &kept, |_| {}).await;
    let large = || json!({ "amount": 500 });
    let told = call(&house, "refund", large(), Some("k")).await;
    assert_eq!(code(&told).as_deref(), Some("approval-required"));
    let id = waiting(&house).await[0].id;
    vote(&house, id, "fay", true).await.unwrap();
    for _ in 0..1_000 {
        if state(&house, id).await == State::Executed {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for _ in 0..3 {
        assert_eq!(text(&call(&house, "refund", large(), Some("k")).await), r#"refund: {"amount":500}"#);
    }
    let other = call(&house, "refund", large(), Some("l")).await;
    assert_eq!(
        code(&other).as_deref(),
        Some("approval-required"),
        "what was done under another key is no answer"
    );
    assert_eq!(script.heard("tools/call").len(), 1);
}

#[tokio::test]
async fn a_kept_answer_opens_for_nobody_but_its_asker_and_not_without_the_key_of_the_vault() {
    let (house, script) = house().await;
    call(&house, "refund", json!({ "amount": 7 }), Some("k")).await;
    house
        .gate
        .replace_keys(vault::Keys::from(std::sync::Arc::new(vault::Kek::from_bytes(&[7; 32]).unwrap())));
    let told = call(&house, "refund", json!({ "amount": 7 }), Some("k")).await;
    assert_eq!(code(&told).as_deref(), Some("idempotency-answer-unkept"), "{told}");
    assert_eq!(script.heard("tools/call").len(), 1);
}

#[tokio::test]
async fn a_modern_servers_questions_to_a_legacy_client_are_within_the_deed_of_its_key() {
    let (house, script) = house().await;
    let session = house.initialize(AT).await;
    let params = || asks("ask", json!({}), Some("k"));
    let asked = json!({ "jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": params() });
    let mut body = house.open_post(AT, &session, asked.to_string()).await;
    let question = until(&mut body, |message| message["method"] == "elicitation/create").await;
    let answer = json!({ "jsonrpc": "2.0", "id": question["id"],
        "result": { "action": "accept", "content": {} } });
    let headers = [("mcp-session-id", session.as_str()), ("mcp-protocol-version", "2025-11-25")];
    house.post(AT, &headers, answer.to_string()).await;
    let done = until(&mut body, |message| message["id"] == 9).await;
    assert!(text(&done).contains("accept"), "{done}");
    let again = house.legacy(AT, &session, 10, "tools/call", params()).await.json();
    assert_eq!(again["result"], done["result"]);
    assert_eq!(script.heard("tools/call").len(), 2, "the call and its answer, once each");
}

#[tokio::test]
async fn a_question_that_died_with_its_gateway_gives_its_key_back_at_the_next_start() {
    let (house, script) = house().await;
    let session = house.initialize(AT).await;
    let params = || asks("ask", json!({}), Some("k"));
    let asked = json!({ "jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": params() });
    let mut body = house.open_post(AT, &session, asked.to_string()).await;
    until(&mut body, |message| message["method"] == "elicitation/create").await;
    let other =
        || async { house.legacy(AT, &session, 10, "tools/call", asks("ask", json!({}), Some("k"))).await };
    let told = other().await.json();
    assert_eq!(code(&told).as_deref(), Some("idempotency-in-progress"), "{told}");
    assert_eq!(script.heard("tools/call").len(), 1);
    // as after a stop: whoever had asked is not there any more
    assert_eq!(callgate_gateway::abandon_questions(&house.gate).await.unwrap(), 1);
    let more = json!({ "jsonrpc": "2.0", "id": 11, "method": "tools/call", "params": params() });
    let mut body = house.open_post(AT, &session, more.to_string()).await;
    until(&mut body, |message| message["method"] == "elicitation/create").await;
    assert_eq!(script.heard("tools/call").len(), 2, "the key is free");
}

#[tokio::test]
async fn what_a_server_asked_and_nobody_will_answer_gives_its_key_back() {
    let only_tools =
        r#"@id("tools") permit (principal == Agent::"bot", action == Action::"script__ask", resource);"#;
    let (house, script) = house_of(true, Vec::new(), only_tools, |_| {}).await;
    let session = house.initialize(AT).await;
    for (id, heard) in [(3, 1), (4, 2)] {
        let told = house.legacy(AT, &session, id, "tools/call", asks("ask", json!({}), Some("k"))).await;
        assert_eq!(code(&told.json()).as_deref(), Some("host-unreachable"), "{told:?}");
        assert_eq!(script.heard("tools/call").len(), heard);
    }
    assert_eq!(open(&house).await, 0);
}

#[tokio::test]
async fn two_members_of_a_batch_under_one_key_are_one_call() {
    let (house, script) = house_of(false, Vec::new(), POLICY, |_| {}).await;
    let params = json!({ "protocolVersion": "2025-03-26", "capabilities": {},
        "clientInfo": { "name": "test-host", "version": "1" } });
    let hello = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params });
    let told = house.post(AT, &[], hello.to_string()).await;
    let session = told.headers["mcp-session-id"].to_str().unwrap().to_owned();
    let one = |id: u64| {
        json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call",
        "params": asks("refund", json!({ "amount": 7 }), Some("k")) })
    };
    let batch = json!([one(2), one(3)]).to_string();
    let told = house.post(AT, &[("mcp-session-id", session.as_str())], batch).await.json();
    let told = told.as_array().unwrap();
    assert_eq!(told.len(), 2);
    assert!(told.iter().all(|one| text(one) == r#"refund: {"amount":7}"#), "{told:?}");
    assert_eq!(script.heard("tools/call").len(), 1);
}

#[tokio::test]
async fn a_call_that_was_given_up_after_it_had_left_is_unknown() {
    let (house, script) = house_of(false, Vec::new(), POLICY, |_| {}).await;
    let session = house.initialize(AT).await;
    let hang = || asks("hang", json!({}), Some("k"));
    let give_up = async {
        while script.heard("tools/call").is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let cancelled = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled",
            "params": { "requestId": 9 } });
        let headers = [("mcp-session-id", session.as_str()), ("mcp-protocol-version", "2025-11-25")];
        house.post(AT, &headers, cancelled.to_string()).await
    };
    tokio::join!(house.legacy(AT, &session, 9, "tools/call", hang()), give_up);
    let told = house.legacy(AT, &session, 10, "tools/call", hang()).await.json();
    assert_eq!(code(&told).as_deref(), Some("idempotency-outcome-unknown"), "{told}");
    assert_eq!(script.heard("tools/call").len(), 1);
}

#[tokio::test]
async fn where_rules_are_only_watched_keys_count_all_the_same() {
    let watch = |settings: &mut gateway::Settings| {
        settings.servers.values_mut().for_each(|one| one.mode = Mode::Observe);
    };
    let (house, script) = house_of(true, Vec::new(), POLICY, watch).await;
    let first = call(&house, "refund", json!({ "amount": 500 }), Some("k")).await;
    assert_eq!(call(&house, "refund", json!({ "amount": 500 }), Some("k")).await, first);
    assert!(house.last().observed, "the record says who would have been asked");
    let other = call(&house, "refund", json!({ "amount": 501 }), Some("k")).await;
    assert_eq!(code(&other).as_deref(), Some("idempotency-key-reused"));
    assert_eq!(script.heard("tools/call").len(), 1);
}
