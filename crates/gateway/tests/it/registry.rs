//! What a server's record allows, on the real path: production has only what is approved, elsewhere what nobody approved is
//! held to reads, and a change holds in a gateway that runs.

use crate::crossing::eventually;
use crate::house::{House, WallClock, server, settings};
use crate::questions::until;
use crate::rogue::{Rogue, Said};
use crate::script::Script;
use catalog::record::{Fact, Facts, Step};
use catalog::{Declared, Effect};
use decision::{Clock as _, Code, Ending, Entry, EventName, ServerName, Timestamp};
use gateway::settings::{Mode, Settings};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use store::{Scope, Store, Taking};

const ALL: &str = r#"@id("all") @because("the test agent may use the server") permit (principal == Agent::"bot", action, resource);"#;

fn crm() -> ServerName {
    ServerName::new("crm").unwrap()
}

fn tools() -> Value {
    json!([
        { "name": "get_customer", "description": "Returns one customer.",
          "inputSchema": { "type": "object", "properties": { "id": { "type": "string" } } } },
        { "name": "delete_customer", "description": "Deletes a customer for good.",
          "annotations": { "readOnlyHint": true }, "inputSchema": { "type": "object" } },
        { "name": "frobnicate", "annotations": { "readOnlyHint": true }, "inputSchema": { "type": "object" } },
    ])
}

async fn script() -> Script {
    let script = Script::start(true).await;
    script.set_tools(tools());
    script
}

fn before(script: &Script, environment: &str, mode: Mode) -> Settings {
    let environment: decision::Environment = environment.parse().unwrap();
    let mut one = server(&script.url, mode);
    one.environment = environment.clone();
    Settings { environment, ..settings(BTreeMap::from([(crm(), one)])) }
}

async fn house(environment: &str) -> (House, Script) {
    let script = script().await;
    let house = House::with(before(&script, environment, Mode::Enforce), ALL).await;
    (house, script)
}

fn facts() -> Facts {
    let mut facts = Facts::default();
    for fact in Fact::ALL {
        let value = match fact.words() {
            [word, ..] => word,
            [] if fact.is_date() => "2026-11-01",
            [] => "said",
        };
        facts.set(*fact, value).unwrap();
    }
    facts
}

/// As the command line does it, past the gateway.
pub(crate) async fn step(house: &House, step: Step) {
    try_step(&house.store, house, step, None).await.unwrap();
}

pub(crate) async fn approve(house: &House, until: Timestamp) {
    try_step(&house.store, house, Step::Approve, Some(until)).await.unwrap();
}

async fn try_step(
    store: &Store,
    house: &House,
    step: Step,
    until: Option<Timestamp>,
) -> Result<(), store::StoreError> {
    let live = house.gate.live();
    let scope = live.settings.scope();
    let facts = facts();
    // of the house's only server
    let server = live.settings.servers.keys().next().unwrap();
    let known = gateway::registry::configured(&live, server).unwrap();
    let known = store.known(&scope, server, known).await.unwrap();
    let grant = until.map(|until| known.grant(&facts, until, Some("a test")).unwrap());
    let taking =
        Taking { step, by: "carol", because: None, facts: Some(&facts), grant: grant.as_ref(), seen: None };
    store.take_step(&scope, server, &taking).await.map(drop)
}

pub(crate) fn later() -> Timestamp {
    Timestamp(WallClock.now().0 + 600_000_000)
}

async fn names(house: &House) -> Vec<String> {
    let list = house.modern("/mcp", "tools/list", json!({})).await.json();
    let tools = list["result"]["tools"].as_array().unwrap().clone();
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

/// What the Host is told of a call, and how it ended.
async fn call(house: &House, tool: &str) -> (String, Ending) {
    let params = json!({ "name": format!("crm__{tool}"), "arguments": {} });
    let told = house.modern("/mcp", "tools/call", params).await.json();
    (told.to_string(), house.last().ending)
}

fn refused(code: Code) -> Ending {
    Ending::Refused { code }
}

/// The same of what had left before.
fn cut(code: Code) -> Ending {
    Ending::Failed { code }
}

/// Until its items are recorded.
async fn until_seen(house: &House) {
    let scope = house.gate.live().settings.scope();
    for _ in 0..500 {
        if !house.store.pins(&scope, &crm()).await.unwrap().is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!house.store.pins(&scope, &crm()).await.unwrap().is_empty(), "looked at within five seconds");
}

/// Until the list is this long: a change is noticed within a moment.
async fn until_listed(house: &House, count: usize) {
    for _ in 0..500 {
        if names(house).await.len() == count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(names(house).await.len(), count, "within five seconds");
}

#[tokio::test]
async fn production_does_not_even_connect_to_what_has_no_record() {
    let (house, script) = house("production").await;
    assert_eq!(script.everything().len(), 0, "nothing went there");
    assert!(names(&house).await.is_empty());
    let (told, ending) = call(&house, "get_customer").await;
    assert_eq!(ending, refused(Code::ServerUnapproved));
    assert!(told.contains("callgate registry review crm") && told.contains("server-unapproved"), "{told}");
    step(&house, Step::Add).await;
    house.until_noticed().await;
    let (_, ending) = call(&house, "get_customer").await;
    assert_eq!(ending, refused(Code::ServerUnapproved), "a candidate is not approved");
    assert_eq!(script.everything().len(), 0, "nothing went there");
}

#[tokio::test]
async fn production_has_a_server_from_its_approval_on_and_not_while_it_is_looked_at() {
    let (house, script) = house("production").await;
    step(&house, Step::Review).await;
    until_seen(&house).await;
    assert_eq!(script.heard("tools/list").len(), 1, "what is reviewed is looked at");
    house.until_noticed().await;
    assert!(names(&house).await.is_empty());
    for tool in ["get_customer", "delete_customer"] {
        let (told, ending) = call(&house, tool).await;
        assert_eq!(ending, refused(Code::ServerUnapproved));
        assert!(told.contains("callgate registry approve crm --until"), "{told}");
    }
    let read = house.modern("/mcp", "resources/read", json!({ "uri": "test://one" })).await.json();
    assert!(read["error"].is_object(), "{read}");
    assert_eq!(script.heard("tools/call").len() + script.heard("resources/read").len(), 0);
    approve(&house, later()).await;
    until_listed(&house, 3).await;
    assert_eq!(call(&house, "delete_customer").await.1, Ending::Answered);
    assert_eq!(script.heard("tools/call").len(), 1);
}

#[tokio::test]
async fn elsewhere_what_nobody_approved_is_held_to_reads() {
    let (house, script) = house("staging").await;
    assert_eq!(names(&house).await, ["crm__get_customer"], "the author's word alone makes no read");
    assert_eq!(call(&house, "get_customer").await.1, Ending::Answered);
    for tool in ["delete_customer", "frobnicate"] {
        let (told, ending) = call(&house, tool).await;
        assert_eq!(ending, refused(Code::ServerHeldToReads), "{tool}");
        assert!(
            told.contains("server-held-to-reads") && told.contains("callgate registry review crm"),
            "{told}"
        );
    }
    assert_eq!(script.heard("tools/call").len(), 1, "the one that reads");
    for next in [Step::Add, Step::Review] {
        step(&house, next).await;
        house.until_noticed().await;
        assert_eq!(call(&house, "delete_customer").await.1, refused(Code::ServerHeldToReads), "{next:?}");
        assert_eq!(call(&house, "get_customer").await.1, Ending::Answered, "{next:?}");
    }
    approve(&house, later()).await;
    until_listed(&house, 3).await;
    assert_eq!(call(&house, "delete_customer").await.1, Ending::Answered);
}

#[tokio::test]
async fn an_operator_says_what_of_a_candidate_reads() {
    let script = script().await;
    let mut settings = before(&script, "staging", Mode::Enforce);
    let say =
        |name: &str, effect| (name.to_owned(), Declared { effect: Some(effect), ..Declared::default() });
    settings.servers.get_mut(&crm()).unwrap().declarations.tools =
        vec![say("frobnicate", Effect::Read), say("get_customer", Effect::Write)];
    let house = House::with(settings, ALL).await;
    assert_eq!(names(&house).await, ["crm__frobnicate"]);
    assert_eq!(call(&house, "get_customer").await.1, refused(Code::ServerHeldToReads));
}

#[tokio::test]
async fn on_a_laptop_nothing_needs_a_record_and_what_has_one_is_held_to_it() {
    let (house, _script) = house("local").await;
    assert_eq!(names(&house).await.len(), 3);
    assert_eq!(call(&house, "delete_customer").await.1, Ending::Answered);
    step(&house, Step::Add).await;
    until_listed(&house, 1).await;
    assert_eq!(call(&house, "delete_customer").await.1, refused(Code::ServerHeldToReads));
}

#[tokio::test]
async fn a_suspended_or_retired_server_is_reached_by_nobody_anywhere() {
    for environment in ["local", "staging", "production"] {
        let (house, script) = house(environment).await;
        step(&house, Step::Review).await;
        until_seen(&house).await;
        approve(&house, later()).await;
        until_listed(&house, 3).await;
        assert_eq!(call(&house, "get_customer").await.1, Ending::Answered);
        for (next, code) in [(Step::Suspend, Code::ServerSuspended), (Step::Retire, Code::ServerRetired)] {
            step(&house, next).await;
            house.until_noticed().await;
            until_listed(&house, 0).await;
            let heard = script.everything().len();
            let (told, ending) = call(&house, "get_customer").await;
            assert_eq!(ending, refused(code), "{environment}");
            assert!(told.contains(code.as_str()) && told.contains("callgate registry"), "{told}");
            let looked = house.offers.look(&crm()).await;
            assert!(looked.is_ok());
            assert_eq!(
                script.everything().len(),
                heard,
                "{environment}: nothing goes there, not even a look"
            );
        }
    }
}

#[tokio::test]
async fn past_its_date_a_server_falls_back_to_reads() {
    for environment in ["local", "production"] {
        let (house, script) = house(environment).await;
        step(&house, Step::Review).await;
        until_seen(&house).await;
        approve(&house, later()).await;
        until_listed(&house, 3).await;
        assert_eq!(call(&house, "delete_customer").await.1, Ending::Answered);
        // at once, without anything that is built anew
        house.set_clock(601);
        let (told, ending) = call(&house, "delete_customer").await;
        assert_eq!(ending, refused(Code::ServerReviewOverdue), "{environment}");
        assert!(told.contains("callgate registry approve crm --until"), "{told}");
        assert_eq!(call(&house, "get_customer").await.1, Ending::Answered);
        assert_eq!(names(&house).await, ["crm__get_customer"]);
        assert_eq!(script.heard("tools/call").len(), 2);
        approve(&house, Timestamp(2 * later().0)).await;
        until_listed(&house, 3).await;
    }
}

#[tokio::test]
async fn what_is_reached_in_another_way_than_was_approved_is_not_approved() {
    let (house, _script) = house("production").await;
    step(&house, Step::Review).await;
    until_seen(&house).await;
    approve(&house, later()).await;
    until_listed(&house, 3).await;
    let other = script().await;
    let next = house.beside(before(&other, "production", Mode::Enforce), ALL).await;
    assert!(names(&next).await.is_empty());
    let (told, ending) = call(&next, "get_customer").await;
    assert_eq!(ending, refused(Code::ServerUnapproved));
    assert!(told.contains("callgate registry diff crm"), "{told}");
    assert_eq!(other.everything().len(), 0, "nothing went to an address that nobody approved");
}

#[tokio::test]
async fn where_rules_only_watch_the_registry_binds_all_the_same() {
    let script = script().await;
    let house = House::with(before(&script, "staging", Mode::Observe), ALL).await;
    assert_eq!(call(&house, "delete_customer").await.1, refused(Code::ServerHeldToReads));
    assert_eq!(script.heard("tools/call").len(), 0);
}

#[tokio::test]
async fn who_may_not_see_a_server_does_not_learn_how_it_stands() {
    let script = script().await;
    let house = House::with(before(&script, "production", Mode::Enforce), "").await;
    let told = |name: &'static str| {
        let house = &house;
        async move {
            let params = json!({ "name": name, "arguments": {} });
            let told = house.modern("/mcp", "tools/call", params).await;
            let mut body = told.json();
            body["error"]["data"]["decision"].take();
            body.to_string().replace(name, "NAME")
        }
    };
    let unknown = told("nowhere__get_customer").await;
    assert_eq!(told("crm__get_customer").await, unknown);
    assert_eq!(house.last().ending, refused(Code::NotPermitted));
    step(&house, Step::Suspend).await;
    house.until_noticed().await;
    assert_eq!(told("crm__get_customer").await, unknown);
}

#[tokio::test]
async fn a_production_server_behind_a_local_gateway_is_a_production_server() {
    let script = script().await;
    let mut settings = before(&script, "local", Mode::Enforce);
    settings.servers.get_mut(&crm()).unwrap().environment = "production".parse().unwrap();
    let house = House::with(settings, ALL).await;
    assert!(names(&house).await.is_empty());
    assert_eq!(call(&house, "get_customer").await.1, refused(Code::ServerUnapproved));
    assert_eq!(script.everything().len(), 0);
}

#[tokio::test]
async fn a_session_hears_that_its_lists_changed_when_a_date_passes_and_when_a_server_is_suspended() {
    let (house, _script) = house("local").await;
    step(&house, Step::Review).await;
    approve(&house, later()).await;
    until_listed(&house, 3).await;
    let session = house.initialize("/mcp").await;
    let list = house.legacy("/mcp", &session, 2, "tools/list", json!({})).await.json();
    assert_eq!(list["result"]["tools"].as_array().unwrap().len(), 3);
    let told = || {
        let heard = |entry: &Entry| match entry {
            Entry::Event(event) => {
                event.event == EventName::MessageRelayed
                    && event.detail.get("method").is_some_and(|m| m == "notifications/tools/list_changed")
            }
            Entry::Intent(_) | Entry::Decision(_) => false,
        };
        house.entries().iter().filter(|entry| heard(entry)).count()
    };
    let until_told = async |count| {
        for _ in 0..500 {
            if told() >= count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(told() >= count, "the session was not told: {}", told());
    };
    // what was still on its way when the session began
    house.until_noticed().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(told(), 0);
    house.set_clock(601);
    until_told(1).await;
    step(&house, Step::Suspend).await;
    until_told(2).await;
}

#[tokio::test]
async fn a_server_that_is_held_asks_nobody_for_anything() {
    let script = Script::start(true).await;
    let mut settings = before(&script, "staging", Mode::Enforce);
    let read = Declared { effect: Some(Effect::Read), ..Declared::default() };
    settings.servers.get_mut(&crm()).unwrap().declarations.tools = vec![("ask".to_owned(), read)];
    let house = House::with(settings, ALL).await;
    let (told, ending) = call(&house, "ask").await;
    assert!(!told.contains("input_required"), "{told}");
    assert!(told.contains("put a question (`"), "the call is a read, and left: {told}");
    assert_eq!(
        ending,
        Ending::Failed { code: Code::ServerHeldToReads },
        "the call left; its question stays here"
    );
}

/// A legacy server in that environment whose tool `ask` is declared to read.
async fn able_to_ask(environment: &str, question: &'static str) -> (House, Script) {
    let script = Script::start(false).await;
    script.set_question(question);
    let mut settings = before(&script, environment, Mode::Enforce);
    let read = Declared { effect: Some(Effect::Read), ..Declared::default() };
    let one = settings.servers.get_mut(&crm()).unwrap();
    one.declarations.tools = vec![("ask".to_owned(), read)];
    one.call_timeout = Duration::from_secs(30);
    (House::with(settings, ALL).await, script)
}

/// A call of it, from when anything comes back.
async fn ask(house: &House) -> hyper::body::Incoming {
    let session = house.initialize("/s/crm/mcp").await;
    let params = json!({ "name": "ask", "arguments": {} });
    let call = json!({ "jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": params }).to_string();
    house.open_post("/s/crm/mcp", &session, call).await
}

/// That the server was told no, with this code, and nobody was asked.
async fn was_refused(house: &House, body: hyper::body::Incoming, method: &str, code: Code) {
    let whole = tokio::time::timeout(Duration::from_secs(30), body.collect()).await.unwrap().unwrap();
    let told = String::from_utf8(whole.to_bytes().to_vec()).unwrap();
    assert!(told.contains(r#""id":9"#) && !told.contains(method), "the Host is asked: {told}");
    let decisions = house.decisions();
    let no = |ending: &Ending| *ending == refused(code) || *ending == cut(code);
    assert!(decisions.iter().any(|one| no(&one.ending)), "{method}: {decisions:?}");
}

#[tokio::test]
async fn a_legacy_server_that_is_held_asks_for_roots_and_for_nothing_else() {
    for method in ["elicitation/create", "sampling/createMessage"] {
        let (house, _script) = able_to_ask("staging", method).await;
        was_refused(&house, ask(&house).await, method, Code::ServerHeldToReads).await;
    }
    let (house, _script) = able_to_ask("staging", "roots/list").await;
    until(&mut ask(&house).await, |message| message["method"] == "roots/list").await;
}

#[tokio::test]
async fn what_is_decided_between_a_snapshot_and_the_start_counts_though_no_server_answers() {
    let down = Arc::new(AtomicBool::new(false));
    let is_down = Arc::clone(&down);
    let rogue =
        Rogue::start(true, move |_, _| is_down.load(Ordering::SeqCst).then_some(Said::Status(503))).await;
    let mut one = server(&rogue.url, Mode::Enforce);
    one.environment = "local".parse().unwrap();
    let settings = settings(BTreeMap::from([(crm(), one)]));
    let house = House::with_meanwhile(settings, ALL, move |store: Store| async move {
        // from now on no look ends in a new snapshot
        down.store(true, Ordering::SeqCst);
        let taking =
            Taking { step: Step::Suspend, by: "carol", because: None, facts: None, grant: None, seen: None };
        store.take_step(&Scope::default(), &crm(), &taking).await.unwrap();
    })
    .await;
    until_shut(&house).await;
}

#[tokio::test]
async fn a_session_that_goes_on_reaches_no_server_that_is_suspended() {
    let (house, script) = house("local").await;
    let _session = house.initialize("/mcp").await;
    for _ in 0..500 {
        if !script.heard("subscriptions/listen").is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!script.heard("subscriptions/listen").is_empty(), "its lists are watched for the session");
    step(&house, Step::Suspend).await;
    until_listed(&house, 0).await;
    script.hang_up();
    let heard = script.heard("subscriptions/listen").len();
    // a look that was on its way may end; the watch tries again, after two seconds at first
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(script.heard("subscriptions/listen").len(), heard, "it is not asked again");
}

#[tokio::test]
async fn past_its_date_what_an_operator_declared_makes_nothing_milder() {
    const READS: &str = "@id(\"reads\") permit(principal, action in Action::\"effect:read\", resource);";
    let script = script().await;
    let mut settings = before(&script, "local", Mode::Enforce);
    let mut read = Declared { effect: Some(Effect::Read), ..Declared::default() };
    read.term.until = Some(later());
    let declared = vec![("delete_customer".to_owned(), read)];
    settings.servers.get_mut(&crm()).unwrap().declarations.tools = declared;
    let house = House::with(settings, READS).await;
    assert_eq!(names(&house).await, ["crm__delete_customer"]);
    assert_eq!(call(&house, "delete_customer").await.1, Ending::Answered);
    // nothing else happens: the gateway notices by itself
    house.set_clock(601);
    until_listed(&house, 0).await;
    assert_eq!(call(&house, "delete_customer").await.1, refused(Code::NotPermitted));
    assert_eq!(script.heard("tools/call").len(), 1);
}

// the question belongs to a call that left when the server might still be used
#[tokio::test]
async fn a_legacy_server_that_is_suspended_under_way_asks_nobody_for_anything() {
    let (house, script) = able_to_ask("local", "").await;
    let meanwhile = async {
        eventually("the call arrives", || !script.heard("tools/call").is_empty()).await;
        step(&house, Step::Suspend).await;
        until_shut(&house).await;
        script.set_question("elicitation/create");
    };
    let (body, ()) = tokio::join!(ask(&house), meanwhile);
    was_refused(&house, body, "elicitation/create", Code::ServerSuspended).await;
}

async fn until_shut(house: &House) {
    let shut = || house.gate.live().registry.is_shut(&crm());
    eventually("the gateway knows that the server is suspended", shut).await;
}

#[tokio::test]
async fn a_call_under_way_ends_when_its_server_is_suspended_in_either_era() {
    for modern in [true, false] {
        let script = Script::start(modern).await;
        let mut settings = before(&script, "local", Mode::Enforce);
        let read = Declared { effect: Some(Effect::Read), ..Declared::default() };
        let one = settings.servers.get_mut(&crm()).unwrap();
        one.declarations.tools = vec![("hang".to_owned(), read)];
        one.call_timeout = Duration::from_secs(60);
        let house = House::with(settings, ALL).await;
        let meanwhile = async {
            eventually("the call arrives", || !script.heard("tools/call").is_empty()).await;
            step(&house, Step::Suspend).await;
            until_shut(&house).await;
        };
        let soon = tokio::time::timeout(Duration::from_secs(20), async {
            tokio::join!(call(&house, "hang"), meanwhile).0
        });
        let (told, ending) = soon.await.expect("nobody waits for a server that was suspended");
        assert_eq!(ending, cut(Code::ServerSuspended), "modern: {modern}, {told}");
        assert!(told.contains("whether it took effect is not known"), "{told}");
    }
}

#[tokio::test]
async fn what_a_host_answers_after_the_suspension_does_not_reach_the_server() {
    let (house, script) = able_to_ask("local", "elicitation/create").await;
    let session = house.initialize("/s/crm/mcp").await;
    let params = json!({ "name": "ask", "arguments": {} });
    let asked = json!({ "jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": params }).to_string();
    let mut body = house.open_post("/s/crm/mcp", &session, asked).await;
    let question = until(&mut body, |message| message["method"] == "elicitation/create").await;
    step(&house, Step::Suspend).await;
    until_shut(&house).await;
    let content = json!({ "secret": "what nobody suspended may hear" });
    let answer = json!({ "jsonrpc": "2.0", "id": question["id"], "result": { "action": "accept", "content": content } });
    let headers = [("mcp-session-id", session.as_str()), ("mcp-protocol-version", "2025-11-25")];
    house.post("/s/crm/mcp", &headers, answer.to_string()).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let heard = script.everything();
    assert!(!heard.iter().any(|one| one.json().to_string().contains("nobody suspended")), "{heard:?}");
    let decisions = house.decisions();
    let cut = decisions.iter().filter(|one| one.ending == cut(Code::ServerSuspended)).count();
    assert_eq!(cut, 2, "the call, and the question in it: {decisions:?}");
}

#[tokio::test]
async fn the_subscriptions_of_a_server_end_when_it_is_suspended() {
    let (house, script) = house("local").await;
    let _session = house.initialize("/mcp").await;
    eventually("its lists are watched for the session", || !script.listeners().is_empty()).await;
    step(&house, Step::Suspend).await;
    until_shut(&house).await;
    eventually("no stream to a suspended server is open", || script.listeners().is_empty()).await;
}

/// R8: an approval is of a server as it is reached and as whom: whatever says more than before says something else.
#[test]
fn what_a_server_is_approved_with_is_all_that_says_how_it_is_reached_and_as_whom() {
    use gateway::settings::{AssertionUse, CredentialUse, Place, ServerSettings, Source};
    let header = |prefix: &str| Place::Header { name: "authorization".into(), prefix: prefix.into() };
    let of = |change: &dyn Fn(&mut ServerSettings)| {
        let mut one = server("http://127.0.0.1:9/mcp", Mode::Enforce);
        let secret = decision::SecretName::new("key").unwrap();
        one.credentials.push(CredentialUse { secret, source: Source::Stored, place: header("Bearer ") });
        let (header, audience) = (http::HeaderName::from_static("x-who"), "crm".to_owned());
        one.assertion = Some(AssertionUse { header, audience, groups: false });
        change(&mut one);
        gateway::registry::wiring(&one)
    };
    let same = of(&|_| {});
    let changes: [&dyn Fn(&mut ServerSettings); 10] = [
        &|one| one.credentials[0].secret = decision::SecretName::new("other").unwrap(),
        &|one| one.credentials[0].place = header("Root "),
        &|one| one.credentials[0].place = header(""),
        &|one| one.credentials[0].source = Source::File("/admin.key".into()),
        &|one| one.credentials[0].source = Source::Variable("ADMIN".into()),
        &|one| one.assertion.as_mut().unwrap().groups = true,
        &|one| one.assertion.as_mut().unwrap().header = http::HeaderName::from_static("x-whom"),
        &|one| one.networks.push("10.0.0.0/8".parse().unwrap()),
        &|one| one.open_arguments.extend(["any".to_owned()]),
        &|one| one.declarations.trust_annotations = true,
    ];
    let all: std::collections::BTreeSet<String> = changes.iter().map(|change| of(*change)).collect();
    assert!(all.len() == changes.len() && !all.contains(&same), "{all:#?}");
}
