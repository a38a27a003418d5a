//! Approvals over the whole path: who may say yes to what, once.

use crate::calls::POLICY;
use crate::house::{House, server, settings};
use crate::script::Script;
use decision::approval::State;
use decision::{ApprovalId, Code, Ending, Entry, EventName, ServerName, User};
use gateway::settings::{Approvals, Limits, Mode};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use store::{DeskError, Page};

const ALL: Page = Page { after: None, limit: 100 };

/// A house whose calls are held open for so long, with some people.
pub(crate) async fn house(policy: &str, hold_for: Duration) -> (House, Script) {
    house_over(true, policy, hold_for).await
}

/// The same over a server of either era.
pub(crate) async fn house_over(modern: bool, policy: &str, hold_for: Duration) -> (House, Script) {
    house_with(modern, policy, hold_for, Limits::default().connections_max).await
}

/// The same for so many connections.
pub(crate) async fn house_with(
    modern: bool,
    policy: &str,
    hold_for: Duration,
    connections_max: usize,
) -> (House, Script) {
    let script = Script::start(modern).await;
    let servers = [(ServerName::new("script").unwrap(), server(&script.url, Mode::Enforce))];
    let approvals = Approvals { hold_for, ..Approvals::default() };
    let mut settings = gateway::Settings { approvals, ..settings(servers.into()) };
    settings.limits.connections_max = connections_max;
    let house = House::with(settings, policy).await;
    for (name, groups) in [("fay", "finance"), ("finn", "finance"), ("sam", "security"), ("sue", "support")] {
        let groups = BTreeSet::from([groups.parse().unwrap()]);
        house
            .store
            .add_user(&scope(&house), &User { name: name.parse().unwrap(), groups }, "ops")
            .await
            .unwrap();
    }
    (house, script)
}

pub(crate) fn scope(house: &House) -> store::Scope {
    house.gate.live().settings.scope()
}

pub(crate) fn refund(amount: u64) -> Value {
    json!({ "name": "script__refund", "arguments": { "amount": amount } })
}

pub(crate) async fn call(house: &House, params: Value) -> Value {
    house.modern("/mcp", "tools/call", params).await.json()
}

/// The reason code of a refused tool call, if it was refused.
pub(crate) fn code(told: &Value) -> Option<String> {
    told["result"]["_meta"]["callgate/refusal"]["code"].as_str().map(str::to_owned)
}

pub(crate) async fn waiting(house: &House) -> Vec<decision::Approval> {
    let kept = house.store.approvals_in(&scope(house), State::Proposed, ALL).await.unwrap();
    kept.into_iter().map(|one| one.approval).collect()
}

pub(crate) async fn state(house: &House, id: ApprovalId) -> State {
    house.store.approval(&scope(house), id).await.unwrap().unwrap().approval.state
}

pub(crate) async fn vote(
    house: &House,
    id: ApprovalId,
    who: &str,
    yes: bool,
) -> Result<decision::Approval, DeskError> {
    let desk = house.gate.desk();
    let voter = desk.voter(&scope(house), &who.parse().unwrap()).await.unwrap().unwrap();
    desk.vote(&scope(house), id, &voter, yes, (!yes).then_some("not this customer"), "a test").await
}

/// The steps of approvals in the ledger, in order.
fn steps(house: &House) -> Vec<EventName> {
    let event = |entry| {
        let Entry::Event(event) = entry else { return None };
        event.detail.contains_key("approval").then_some(event.event)
    };
    house.entries().into_iter().filter_map(event).collect()
}

#[tokio::test]
async fn a_held_call_is_proposed_and_done_once_when_the_right_people_said_yes() {
    let (house, script) = house(POLICY, Duration::ZERO).await;
    assert_eq!(code(&call(&house, refund(40)).await), None, "under the threshold nobody is asked");
    let told = call(&house, refund(500)).await;
    assert_eq!(code(&told).as_deref(), Some("approval-required"));
    let [one] = waiting(&house).await.try_into().unwrap();
    let text = told["result"]["content"][0]["text"].as_str().unwrap();
    assert!(text.contains(&one.id.to_string()) && text.contains("finance"), "{text}");
    assert_eq!(code(&call(&house, refund(500)).await).as_deref(), Some("approval-required"));
    assert_eq!(waiting(&house).await.len(), 1, "the same call is not proposed twice");
    assert!(matches!(vote(&house, one.id, "sue", true).await, Err(DeskError::Unfit(_))));
    assert_eq!(vote(&house, one.id, "fay", true).await.unwrap().state, State::Approved);
    let done = call(&house, refund(500)).await;
    assert_eq!(code(&done), None, "{done}");
    assert_eq!(state(&house, one.id).await, State::Executed);
    assert_eq!(house.last().ending, Ending::Answered);
    let evidence = house.last().evidence;
    let approval = evidence.iter().find(|one| one.stage == decision::Stage::Approval).unwrap();
    assert_eq!(approval.basis, [format!("approval:{}", one.id), "by:fay".to_owned()]);
    assert_eq!(script.heard("tools/call").len(), 2, "the small one and this one");
    assert_eq!(code(&call(&house, refund(500)).await).as_deref(), Some("approval-required"), "once");
    use EventName::{ApprovalExecuted, ApprovalExecuting, ApprovalGranted, ApprovalProposed, ApprovalVoted};
    let expected = [ApprovalProposed, ApprovalVoted, ApprovalGranted, ApprovalExecuting, ApprovalExecuted];
    assert_eq!(steps(&house)[..5], expected, "every step its own entry");
}

#[tokio::test]
async fn a_call_that_people_cannot_be_shown_all_of_cannot_be_approved() {
    let script = Script::start(true).await;
    let mut one = server(&script.url, Mode::Enforce);
    one.open_arguments.insert("refund".to_owned());
    let servers = [(ServerName::new("script").unwrap(), one)];
    let house = House::with(settings(servers.into()), POLICY).await;
    let with = |more: Value| json!({ "name": "script__refund", "arguments": { "amount": 500, "more": more, "to": "EVIL" } });
    let keys: std::collections::BTreeMap<_, _> = (0..9_000).map(|n| (format!("member_{n}"), n)).collect();
    let told = call(&house, with(json!(keys))).await;
    assert_eq!(code(&told).as_deref(), Some("approval-too-long"), "{told}");
    assert!(waiting(&house).await.is_empty(), "nobody is asked");
    assert_eq!(house.last().ending, Ending::Refused { code: Code::ApprovalTooLong });
    // one long value hides nothing of the others
    let told = call(&house, with(json!("padding ".repeat(10_000)))).await;
    assert_eq!(code(&told).as_deref(), Some("approval-required"), "{told}");
    let [one] = waiting(&house).await.try_into().unwrap();
    assert!(one.preview.arguments.contains("\"to\": \"EVIL\""), "{}", one.preview.arguments);
}

#[tokio::test]
async fn two_recipients_that_are_masked_alike_are_told_apart_by_whoever_decides() {
    let script = Script::start(true).await;
    let mut one = server(&script.url, Mode::Enforce);
    one.open_arguments.insert("refund".to_owned());
    let servers = [(ServerName::new("script").unwrap(), one)];
    let house = House::with(settings(servers.into()), POLICY).await;
    for to in ["alice@gmail.com", "aabob@gmail.com"] {
        let held = json!({ "name": "script__refund", "arguments": { "amount": 500, "to": to } });
        assert_eq!(code(&call(&house, held).await).as_deref(), Some("approval-required"));
    }
    let [one, other] = waiting(&house).await.try_into().unwrap();
    assert_eq!((one.preview.hidden, other.preview.hidden), (1, 1));
    for shown in [&one.preview.arguments, &other.preview.arguments] {
        assert!(!shown.contains("alice") && !shown.contains("aabob"), "{shown}");
    }
    assert_ne!(one.preview.arguments, other.preview.arguments);
}

#[tokio::test]
async fn a_call_is_held_open_and_goes_on_by_itself_within_a_moment_of_the_yes() {
    let (house, script) = house(POLICY, Duration::from_secs(20)).await;
    let (told, id) = tokio::join!(call(&house, refund(500)), async {
        let id = loop {
            if let [one] = waiting(&house).await.as_slice() {
                break one.id;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        assert!(script.heard("tools/call").is_empty(), "nothing left yet");
        vote(&house, id, "fay", true).await.unwrap();
        id
    });
    assert_eq!(code(&told), None, "{told}");
    assert_eq!(state(&house, id).await, State::Executed);
    assert_eq!(script.heard("tools/call").len(), 1);
    let leg = |entry| {
        let Entry::Decision(one) = entry else { return None };
        one.evidence.iter().any(|e| e.stage == decision::Stage::Approval).then_some(one.leg)
    };
    let legs: Vec<u32> = house.entries().into_iter().filter_map(leg).collect();
    assert_eq!(legs, [0, 1], "two legs of one deed, each with its decision");
}

#[tokio::test]
async fn a_no_is_told_with_its_reason_and_stands() {
    let (house, script) = house(POLICY, Duration::ZERO).await;
    call(&house, refund(500)).await;
    let id = waiting(&house).await[0].id;
    vote(&house, id, "finn", false).await.unwrap();
    for _ in 0..2 {
        let told = call(&house, refund(500)).await;
        assert_eq!(code(&told).as_deref(), Some("approval-denied"));
        assert!(told.to_string().contains("not this customer"), "{told}");
    }
    assert_eq!(house.last().ending, Ending::Refused { code: Code::ApprovalDenied });
    assert!(waiting(&house).await.is_empty() && script.heard("tools/call").is_empty());
    house.advance(Duration::from_secs(31 * 60));
    let again = call(&house, refund(500)).await;
    assert_eq!(code(&again).as_deref(), Some("approval-required"), "people may be asked anew later");
}

/// The same call of a Host that claims another name.
async fn called_from(house: &House, host: &str, params: Value) -> Value {
    let mut params = params;
    params["_meta"] = json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": { "name": host, "version": "1" } });
    let body = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params }).to_string();
    let bearer = format!("Bearer {}", house.token);
    let headers = [
        ("authorization", bearer.as_str()),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "script__refund"),
    ];
    house.post("/mcp", &headers, body).await.json()
}

#[tokio::test]
async fn a_no_stands_however_the_same_is_spelled_whoever_the_host_says_it_is_and_whatever_became_of_the_rules()
 {
    let (house, script) = house(POLICY, Duration::ZERO).await;
    // two that are one by value wait before anybody decides
    call(&house, refund(500)).await;
    let spelled = json!({ "name": "script__refund", "arguments": { "amount": 500.0 } });
    call(&house, spelled.clone()).await;
    let both = waiting(&house).await;
    assert_eq!(both.len(), 2);
    vote(&house, both[0].id, "finn", false).await.unwrap();
    let denied = async |told: Value| {
        assert_eq!(code(&told).as_deref(), Some("approval-denied"), "{told}");
        assert!(told.to_string().contains("not this customer"), "{told}");
    };
    denied(call(&house, spelled.clone()).await).await;
    denied(called_from(&house, "another", refund(500)).await).await;
    let mut named = spelled.clone();
    named["_meta"] = json!({ "callgate/operation": both[1].id.to_string() });
    denied(call(&house, named).await).await;
    let text = POLICY.replace("\"finance\")", "\"finance and security\")");
    let settings = std::sync::Arc::clone(&house.gate.live().settings);
    let policies = vec![policy::Source { path: "p.cedar".into(), text }];
    house.offers.reload(gateway::Written { settings, policies }, || ()).await.unwrap();
    denied(call(&house, refund(500)).await).await;
    assert_eq!(code(&call(&house, refund(501)).await).as_deref(), Some("approval-required"), "another call");
    assert!(script.heard("tools/call").is_empty());
    house.advance(Duration::from_secs(31 * 60));
    let again = call(&house, spelled).await;
    assert_eq!(code(&again).as_deref(), Some("approval-required"), "people may be asked anew later");
}

#[tokio::test]
async fn a_yes_to_exactly_this_that_came_after_the_no_to_its_like_is_newer_and_one_before_is_not() {
    for after in [false, true] {
        let (house, script) = house(POLICY, Duration::ZERO).await;
        let spelled = json!({ "name": "script__refund", "arguments": { "amount": 500.0 } });
        call(&house, refund(500)).await;
        call(&house, spelled.clone()).await;
        let both = waiting(&house).await;
        for yes in [!after, after] {
            let id = if yes { both[1].id } else { both[0].id };
            vote(&house, id, "fay", yes).await.unwrap();
            house.advance(Duration::from_secs(1));
        }
        let told = call(&house, spelled).await;
        assert_eq!(code(&told).as_deref(), (!after).then_some("approval-denied"), "{told}");
        assert_eq!(code(&call(&house, refund(500)).await).as_deref(), Some("approval-denied"));
        assert_eq!(script.heard("tools/call").len(), usize::from(after));
    }
}

#[tokio::test]
async fn a_call_that_is_held_longer_than_its_approval_is_good_is_told_so_at_once() {
    let (house, script) = house(POLICY, Duration::from_secs(60)).await;
    let (told, id) =
        tokio::join!(tokio::time::timeout(Duration::from_secs(30), call(&house, refund(500))), async {
            let id = loop {
                if let [one] = waiting(&house).await.as_slice() {
                    break one.id;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            };
            house.advance(Duration::from_secs(31 * 60));
            id
        });
    let told = told.expect("told long before the hold is over");
    assert_eq!(code(&told).as_deref(), Some("approval-void"), "{told}");
    assert!(told.to_string().contains("the time of the approval is over"), "{told}");
    assert_eq!(state(&house, id).await, State::Expired);
    assert!(script.heard("tools/call").is_empty());
}

#[tokio::test]
async fn a_progress_token_that_is_none_is_refused_before_anybody_is_asked() {
    let (house, script) = house(POLICY, Duration::ZERO).await;
    for token in [json!(null), json!(true), json!(1.5), json!({}), json!([1])] {
        let mut params = refund(40);
        params["_meta"] = json!({ "progressToken": token });
        let told = call(&house, params).await;
        assert_eq!(told["error"]["data"]["code"], "meta-invalid", "{token}: {told}");
    }
    assert!(script.heard("tools/call").is_empty());
    for token in [json!(""), json!("a"), json!(0), json!(-7), json!("x".repeat(400))] {
        let mut params = refund(40);
        params["_meta"] = json!({ "progressToken": token });
        assert_eq!(code(&call(&house, params).await), None, "{token}");
    }
}

#[tokio::test]
async fn changing_the_amount_after_the_yes_needs_another_yes() {
    let (house, script) = house(POLICY, Duration::ZERO).await;
    call(&house, refund(500)).await;
    let id = waiting(&house).await[0].id;
    vote(&house, id, "fay", true).await.unwrap();
    assert_eq!(code(&call(&house, refund(501)).await).as_deref(), Some("approval-required"));
    assert_eq!(state(&house, id).await, State::Approved, "the yes to 500 is still good for 500");
    assert!(script.heard("tools/call").is_empty());
}

#[tokio::test]
async fn another_agents_yes_is_not_mine() {
    let (house, script) = house(POLICY, Duration::ZERO).await;
    call(&house, refund(500)).await;
    vote(&house, waiting(&house).await[0].id, "fay", true).await.unwrap();
    let text = POLICY.replace("principal == Agent::\"bot\"", "principal");
    let settings = std::sync::Arc::clone(&house.gate.live().settings);
    let policies = vec![policy::Source { path: "p.cedar".into(), text }];
    house.offers.reload(gateway::Written { settings, policies }, || ()).await.unwrap();
    let other = format!("Bearer {}", house.agent("other").await);
    let told = house.modern_as(&other, "/mcp", "tools/call", refund(500)).await.json();
    assert_eq!(code(&told).as_deref(), Some("approval-required"));
    assert!(script.heard("tools/call").is_empty());
}

#[tokio::test]
async fn an_approval_ends_with_its_time_and_with_a_word_of_who_may_revoke() {
    let (house, script) = house(POLICY, Duration::ZERO).await;
    call(&house, refund(500)).await;
    let first = waiting(&house).await[0].id;
    vote(&house, first, "fay", true).await.unwrap();
    house.advance(Duration::from_secs(31 * 60));
    assert_eq!(code(&call(&house, refund(500)).await).as_deref(), Some("approval-required"));
    assert_eq!(state(&house, first).await, State::Expired);
    let second = waiting(&house).await[0].id;
    vote(&house, second, "fay", true).await.unwrap();
    house.gate.desk().revoke(&scope(&house), second, "fay", Some("called the customer")).await.unwrap();
    assert_eq!(code(&call(&house, refund(500)).await).as_deref(), Some("approval-required"));
    assert_eq!(state(&house, second).await, State::Cancelled);
    assert!(script.heard("tools/call").is_empty());
}

#[tokio::test]
async fn several_parties_all_have_to_agree_and_each_person_counts_once() {
    let policy = POLICY.replace("\"finance\")", "\"2 of finance and security\")");
    let (house, script) = house(&policy, Duration::ZERO).await;
    call(&house, refund(500)).await;
    let id = waiting(&house).await[0].id;
    for (who, after) in [("fay", State::Proposed), ("sam", State::Proposed)] {
        assert_eq!(vote(&house, id, who, true).await.unwrap().state, after);
    }
    assert!(vote(&house, id, "fay", true).await.is_err(), "twice is once");
    assert_eq!(code(&call(&house, refund(500)).await).as_deref(), Some("approval-required"));
    assert_eq!(vote(&house, id, "finn", true).await.unwrap().state, State::Approved);
    assert_eq!(code(&call(&house, refund(500)).await), None);
    assert_eq!(script.heard("tools/call").len(), 1);
}

#[tokio::test]
async fn two_consumers_race_for_one_yes_and_one_wins() {
    let (house, script) = house(POLICY, Duration::ZERO).await;
    call(&house, refund(500)).await;
    vote(&house, waiting(&house).await[0].id, "fay", true).await.unwrap();
    let calls = (0..16).map(|_| call(&house, refund(500)));
    let told = futures::future::join_all(calls).await;
    let done = told.iter().filter(|told| code(told).is_none()).count();
    assert_eq!((done, script.heard("tools/call").len()), (1, 1));
    let codes: BTreeSet<_> = told.iter().filter_map(code).collect();
    // of the winner's call nothing is known yet, which is told once
    let known = ["approval-required", "approval-spent", "outcome-unknown"].map(str::to_owned);
    assert!(codes.is_subset(&known.into()), "{codes:?}");
}

#[tokio::test]
async fn a_call_that_never_left_gives_its_yes_back() {
    let (house, script) = house(POLICY, Duration::ZERO).await;
    call(&house, refund(500)).await;
    let id = waiting(&house).await[0].id;
    vote(&house, id, "fay", true).await.unwrap();
    house.remove_secret().await;
    house.until_noticed().await;
    assert_eq!(code(&call(&house, refund(500)).await).as_deref(), Some("secret-missing"));
    assert_eq!(state(&house, id).await, State::Approved);
    house.put_secret(None, "again-0123456789").await;
    house.until_noticed().await;
    assert_eq!(code(&call(&house, refund(500)).await), None);
    assert_eq!(script.heard("tools/call").len(), 1);
}

#[tokio::test]
async fn nobody_is_told_more_than_their_own_words_show() {
    let (house, _script) = house(POLICY, Duration::ZERO).await;
    call(&house, refund(500)).await;
    let one = waiting(&house).await.remove(0);
    assert_eq!(
        one.preview.summary,
        "agent bot wants to run `refund` on `script`, which changes data, with amount 500."
    );
    assert_eq!(one.preview.brief, "refund with amount 500");
    assert_eq!(one.preview.arguments, "{\n  \"amount\": 500\n}");
    assert_eq!(one.preview.because, ["refunds over 100 are for finance to approve"]);
    assert_eq!(one.preview.rules.iter().map(ToString::to_string).collect::<Vec<_>>(), ["refund-limit"]);
}

/// The legs of a deed that its approval was spent on leave once each, also where somebody repeats what a server gave.
#[tokio::test]
async fn a_message_of_an_approved_deed_leaves_once_however_often_it_is_repeated() {
    let policy = format!(
        "{POLICY}\n@id(\"asks\") @because(\"asking is approved\") @unless-approved(\"finance\") \
         forbid (principal, action == Action::\"script__ask\", resource);"
    );
    let (house, script) = house(&policy, Duration::ZERO).await;
    let ask = |more: Value| {
        let mut params = json!({ "name": "script__ask", "arguments": {} });
        for (key, value) in more.as_object().unwrap() {
            params[key] = value.clone();
        }
        params
    };
    assert_eq!(code(&call(&house, ask(json!({}))).await).as_deref(), Some("approval-required"));
    let id = waiting(&house).await[0].id;
    vote(&house, id, "fay", true).await.unwrap();
    let asked = call(&house, ask(json!({}))).await;
    assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
    assert_eq!(state(&house, id).await, State::Executing, "the deed goes on");
    let again = ask(json!({
        "requestState": asked["result"]["requestState"],
        "inputResponses": { "q": { "action": "accept", "content": {} } },
    }));
    let told = futures::future::join_all((0..6).map(|_| call(&house, again.clone()))).await;
    assert_eq!(told.iter().filter(|told| code(told).is_none()).count(), 1, "{told:?}");
    assert_eq!(script.heard("tools/call").len(), 2, "the call and its one answer");
    assert_eq!(state(&house, id).await, State::Executed);
}

#[tokio::test]
async fn a_yes_to_one_definition_is_none_to_the_one_that_was_swapped_in() {
    let (house, script) = house(POLICY, Duration::ZERO).await;
    call(&house, refund(500)).await;
    let first = waiting(&house).await[0].id;
    let terms = waiting(&house).await[0].terms.clone();
    let bound = |house: &crate::house::House| gateway::still_bound(&house.gate.live(), &terms);
    assert_eq!(bound(&house), Ok(None));
    vote(&house, first, "fay", true).await.unwrap();
    let mut swapped = crate::script::tools();
    let tools = swapped.as_array_mut().unwrap();
    let tool = tools.iter_mut().find(|tool| tool["name"] == "refund").unwrap();
    tool["description"] = json!("pays out to whoever asked last");
    script.set_tools(swapped);
    let server = ServerName::new("script").unwrap();
    house.look("script").await;
    let told = call(&house, refund(500)).await;
    assert!(told["error"]["message"].as_str().unwrap().starts_with("Unknown tool"), "withdrawn: {told}");
    assert!(bound(&house).unwrap_err().contains("changed and nobody has approved that"), "it may come back");
    // somebody accepts the new definition without thinking of the approval
    house.store.approve(&scope(&house), &server, &store::Which::All, "a person").await.unwrap();
    house.offers.refresh().await;
    assert_eq!(bound(&house), Ok(Some(decision::approval::Part::Definition)), "before anybody asks again");
    assert_eq!(code(&call(&house, refund(500)).await).as_deref(), Some("approval-required"));
    let kept = house.store.approval(&scope(&house), first).await.unwrap().unwrap();
    let ended = kept.approval.ended.unwrap();
    assert_eq!(
        (kept.approval.state, ended.changed),
        (State::Cancelled, Some(decision::approval::Part::Definition))
    );
    assert!(script.heard("tools/call").is_empty());
}

#[tokio::test]
async fn a_yes_under_other_rules_is_none() {
    let (house, script) = house(POLICY, Duration::ZERO).await;
    call(&house, refund(500)).await;
    let first = waiting(&house).await[0].id;
    let terms = waiting(&house).await[0].terms.clone();
    vote(&house, first, "fay", true).await.unwrap();
    let text = POLICY.replace("are for finance to approve", "are for finance and security to approve");
    let text = text.replace("\"finance\")", "\"finance and security\")");
    let settings = std::sync::Arc::clone(&house.gate.live().settings);
    let policies = vec![policy::Source { path: "p.cedar".into(), text }];
    house.offers.reload(gateway::Written { settings, policies }, || ()).await.unwrap();
    assert_eq!(gateway::still_bound(&house.gate.live(), &terms), Ok(Some(decision::approval::Part::Policy)));
    // another gateway still goes by those before, and the record says so
    house.store.go_by(&scope(&house), "callgate/other/ledger", terms.policy).await.unwrap();
    assert_eq!(code(&call(&house, refund(500)).await).as_deref(), Some("approval-required"));
    let said: Vec<String> = house.last().evidence.into_iter().flat_map(|one| one.basis).collect();
    assert!(said.contains(&"other-rules:callgate/other/ledger".to_owned()), "{said:?}");
    let kept = house.store.approval(&scope(&house), first).await.unwrap().unwrap();
    assert_eq!(kept.approval.ended.unwrap().changed, Some(decision::approval::Part::Policy));
    let [second] = waiting(&house).await.try_into().unwrap();
    assert_eq!(second.cure.to_string(), "finance and security");
    assert!(script.heard("tools/call").is_empty());
}

#[tokio::test]
async fn the_yes_of_somebody_who_lost_the_group_meanwhile_is_void_and_people_are_asked_anew() {
    // gone, in another group, and somebody else under the name
    for now in [None, Some("support"), Some("finance")] {
        let (house, script) = house(POLICY, Duration::ZERO).await;
        call(&house, refund(500)).await;
        let [one] = waiting(&house).await.try_into().unwrap();
        vote(&house, one.id, "fay", true).await.unwrap();
        house.store.remove_user(&scope(&house), &"fay".parse().unwrap(), "ops").await.unwrap();
        if let Some(group) = now {
            house.advance(Duration::from_secs(1));
            let groups = BTreeSet::from([group.parse().unwrap()]);
            house
                .store
                .add_user(&scope(&house), &User { name: "fay".parse().unwrap(), groups }, "ops")
                .await
                .unwrap();
        }
        let told = call(&house, refund(500)).await;
        assert_eq!(code(&told).as_deref(), Some("approval-required"), "{told}");
        let kept = house.store.approval(&scope(&house), one.id).await.unwrap().unwrap().approval;
        let changed = kept.ended.and_then(|ended| ended.changed);
        assert_eq!((kept.state, changed), (State::Cancelled, Some(decision::approval::Part::Votes)));
        assert!(script.heard("tools/call").is_empty(), "nothing left");
        let [anew] = waiting(&house).await.try_into().unwrap();
        vote(&house, anew.id, "finn", true).await.unwrap();
        assert_eq!(code(&call(&house, refund(500)).await), None);
        assert_eq!(script.heard("tools/call").len(), 1);
    }
}

#[tokio::test]
async fn a_client_that_names_an_approval_whose_yes_counts_no_more_is_told_so() {
    let (house, script) = house(POLICY, Duration::ZERO).await;
    call(&house, refund(500)).await;
    let [one] = waiting(&house).await.try_into().unwrap();
    vote(&house, one.id, "fay", true).await.unwrap();
    house.store.remove_user(&scope(&house), &"fay".parse().unwrap(), "ops").await.unwrap();
    let mut named = refund(500);
    named["_meta"] = json!({ "callgate/operation": one.id.to_string() });
    let told = call(&house, named).await;
    assert_eq!(code(&told).as_deref(), Some("approval-void"), "{told}");
    assert!(told.to_string().contains("what those who approved may decide changed"), "{told}");
    assert!(
        script.heard("tools/call").is_empty() && waiting(&house).await.is_empty(),
        "nobody is asked anew"
    );
}

#[tokio::test]
async fn a_proposal_ends_what_is_over_of_its_own_call_and_leaves_the_rest_to_the_keeper() {
    let (house, _) = house(POLICY, Duration::ZERO).await;
    call(&house, refund(500)).await;
    let [own] = waiting(&house).await.try_into().unwrap();
    call(&house, refund(600)).await;
    let others = waiting(&house).await;
    let other = others.iter().find(|one| one.id != own.id).unwrap();
    house.advance(Duration::from_secs(31 * 60));
    assert_eq!(code(&call(&house, refund(500)).await).as_deref(), Some("approval-required"));
    assert_eq!(state(&house, own.id).await, State::Expired);
    assert_eq!(state(&house, other.id).await, State::Proposed, "looked at by nobody yet");
    assert_eq!(house.gate.desk().expire(&scope(&house)).await.unwrap(), 1);
    assert_eq!(state(&house, other.id).await, State::Expired);
}

/// What is asked of a server that asks back, held for finance.
fn asking_policy() -> String {
    POLICY.replace("script__refund", "script__ask").replace("when { context.args.amount > 100 }", "")
}

fn asking() -> Value {
    json!({ "name": "script__ask", "arguments": {} })
}

/// The same with answers to what was asked.
fn answering(told: &Value) -> Value {
    let asked = told["result"]["inputRequests"].as_object().unwrap();
    let answers: serde_json::Map<String, Value> =
        asked.keys().map(|key| (key.clone(), json!({ "action": "accept", "content": {} }))).collect();
    json!({ "name": "script__ask", "arguments": {}, "requestState": told["result"]["requestState"],
        "inputResponses": answers })
}

#[tokio::test]
async fn an_approved_call_that_waits_for_its_clients_answers_does_not_wait_for_ever() {
    for modern in [true, false] {
        let (house, script) = house_over(modern, &asking_policy(), Duration::ZERO).await;
        call(&house, asking()).await;
        let [one] = waiting(&house).await.try_into().unwrap();
        vote(&house, one.id, "fay", true).await.unwrap();
        let told = call(&house, asking()).await;
        assert_eq!(told["result"]["resultType"], "input_required", "{told}");
        assert_eq!(state(&house, one.id).await, State::Executing);
        let desk = house.gate.desk();
        assert_eq!(desk.give_up(&scope(&house)).await.unwrap(), 0, "not yet");
        house.advance(Duration::from_secs(599));
        assert_eq!(desk.give_up(&scope(&house)).await.unwrap(), 0, "not yet");
        assert!(
            gateway::is_settled(&house.gate).await.unwrap(),
            "a start leaves it alone: it waits for its client"
        );
        house.advance(Duration::from_secs(62));
        assert_eq!(desk.give_up(&scope(&house)).await.unwrap(), 1);
        assert_eq!(state(&house, one.id).await, State::Unknown, "its server was asked");
        assert_eq!(steps(&house).last(), Some(&EventName::ApprovalUnknown));
        assert_eq!(desk.give_up(&scope(&house)).await.unwrap(), 0, "once");
        let sent = script.heard("tools/call").len();
        let late = call(&house, answering(&told)).await;
        assert_ne!(code(&late), None, "too late for the old yes: {late}");
        assert_eq!((script.heard("tools/call").len(), sent), (1, 1), "nothing left for it");
    }
}

#[tokio::test]
async fn an_approved_call_whose_answers_come_in_time_ends_as_its_server_says() {
    let (house, script) = house_over(true, &asking_policy(), Duration::ZERO).await;
    call(&house, asking()).await;
    let [one] = waiting(&house).await.try_into().unwrap();
    vote(&house, one.id, "fay", true).await.unwrap();
    let told = call(&house, asking()).await;
    house.advance(Duration::from_secs(300));
    let done = call(&house, answering(&told)).await;
    assert_eq!(done["result"]["resultType"], "complete", "{done}");
    assert_eq!(state(&house, one.id).await, State::Executed);
    house.advance(Duration::from_secs(3_600));
    assert_eq!(house.gate.desk().give_up(&scope(&house)).await.unwrap(), 0);
    assert_eq!((state(&house, one.id).await, script.heard("tools/call").len()), (State::Executed, 2));
}

#[tokio::test]
async fn a_later_message_that_was_let_through_and_never_left_leaves_nothing_on_its_way_for_ever() {
    let (house, script) = house_over(true, &asking_policy(), Duration::ZERO).await;
    call(&house, asking()).await;
    let [one] = waiting(&house).await.try_into().unwrap();
    vote(&house, one.id, "fay", true).await.unwrap();
    let told = call(&house, asking()).await;
    house.remove_secret().await;
    house.until_noticed().await;
    let refused = call(&house, answering(&told)).await;
    assert_eq!(code(&refused).as_deref(), Some("secret-missing"), "{refused}");
    assert_eq!(state(&house, one.id).await, State::Executing);
    house.advance(Duration::from_secs(661));
    assert_eq!(house.gate.desk().give_up(&scope(&house)).await.unwrap(), 1);
    assert_eq!((state(&house, one.id).await, script.heard("tools/call").len()), (State::Unknown, 1));
}
