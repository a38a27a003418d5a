//! What a Host answers to a server's question is judged on every way it comes.

use crate::calls::POLICY;
use crate::house::{House, SECRET};
use crate::questions::until;
use crate::script::Script;
use decision::{Code, Decision, Direction, Ending, Entry, Stage};
use serde_json::{Value, json};

const AT: &str = "/s/script/mcp";
const NO_PASSWORDS: &str = r#"
@id("no-passwords") @because("passwords are not typed into forms")
forbid (principal, action in Action::"kind:question", resource)
when { context has answer && (context.answer.names.contains("password") || context.answer.text like "*hunter2*") };
"#;

/// Every way: whether the client and the server are of 2026-07-28.
const WAYS: [(bool, bool); 4] = [(false, false), (true, true), (false, true), (true, false)];

struct Asked {
    house: House,
    script: Script,
    /// What the client was told in the end.
    told: Value,
}

/// A house with these rules beside the usual ones, where the tool `ask` was called and its question answered so.
async fn ask(modern: (bool, bool), rules: &str, answer: &Value) -> Asked {
    let script = Script::start(modern.1).await;
    let house = House::open(&[("script", script.url.clone())], &format!("{POLICY}{rules}")).await;
    let told = if modern.0 { of_modern(&house, answer).await } else { of_legacy(&house, answer).await };
    Asked { house, script, told }
}

async fn of_modern(house: &House, answer: &Value) -> Value {
    let mut params = json!({ "name": "ask", "arguments": {} });
    let first = house.modern(AT, "tools/call", params.clone()).await.json();
    let (key, _) = first["result"]["inputRequests"].as_object().unwrap().iter().next().unwrap();
    params["requestState"] = first["result"]["requestState"].clone();
    params["inputResponses"] = json!({ key: answer });
    house.modern(AT, "tools/call", params).await.json()
}

async fn of_legacy(house: &House, answer: &Value) -> Value {
    let session = house.initialize(AT).await;
    let call = json!({ "jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": { "name": "ask", "arguments": {} } });
    let mut body = house.open_post(AT, &session, call.to_string()).await;
    let question =
        until(&mut body, |message| message["id"] != 9 && message["method"] == "elicitation/create").await;
    let answer = json!({ "jsonrpc": "2.0", "id": question["id"], "result": answer });
    let headers = [("mcp-session-id", session.as_str()), ("mcp-protocol-version", "2025-11-25")];
    assert_eq!(house.post(AT, &headers, answer.to_string()).await.status, 202);
    until(&mut body, |message| message["id"] == 9).await
}

impl Asked {
    fn reached_the_server(&self, what: &str) -> bool {
        self.script.everything().iter().any(|heard| heard.json().to_string().contains(what))
    }
    fn decisions(&self) -> Vec<Decision> {
        let decided = |entry| match entry {
            Entry::Decision(decision) => Some(*decision),
            Entry::Intent(_) | Entry::Event(_) => None,
        };
        self.house.entries().into_iter().filter_map(decided).collect()
    }
    /// What the record says of the answer, and in which direction the call was that brought it.
    fn judged(&self) -> Vec<(Direction, Stage, String)> {
        let entries = self.house.entries();
        let direction = |call| {
            let of = |entry: &Entry| match entry {
                Entry::Intent(intent) if intent.call == call => Some(intent.direction),
                Entry::Intent(_) | Entry::Decision(_) | Entry::Event(_) => None,
            };
            entries.iter().find_map(of).unwrap()
        };
        let mut found = Vec::new();
        for decision in self.decisions() {
            for one in &decision.evidence {
                for basis in one.basis.iter().filter(|basis| basis.starts_with("answers:")) {
                    found.push((direction(decision.call), one.stage, basis.clone()));
                }
            }
        }
        found
    }
}

#[tokio::test]
async fn an_answer_that_a_rule_forbids_reaches_the_server_on_no_way() {
    let answers = [
        json!({ "action": "accept", "content": { "password": "1" } }),
        json!({ "action": "accept", "content": { "deep": ["say hunter2 twice"] } }),
        json!({ "action": "accept", "content": {}, "_meta": { "x": { "password": true } } }),
    ];
    for way in WAYS {
        for answer in &answers {
            let asked = ask(way, NO_PASSWORDS, answer).await;
            assert!(!asked.reached_the_server("hunter2") && !asked.reached_the_server("password"), "{way:?}");
            let denied = asked.decisions().into_iter().find(|one| {
                let code = Code::RuleDenied;
                one.ending == Ending::Refused { code } || one.ending == Ending::Failed { code }
            });
            let denied = denied.unwrap_or_else(|| panic!("{way:?}: {:?}", asked.decisions()));
            let last = denied.evidence.last().unwrap();
            assert!(format!("{last:?}").contains("no-passwords"), "{way:?}: {last:?}");
            assert_ne!(asked.told["result"]["resultType"], "input_required");
            let (intents, decisions) = asked.house.counts();
            assert_eq!(intents.max(decisions), decisions);
        }
    }
}

#[tokio::test]
async fn an_answer_that_no_rule_reads_or_forbids_reaches_the_server_and_is_in_the_record() {
    let answer = json!({ "action": "accept", "content": { "name": "Ada" } });
    for way in WAYS {
        for rules in ["", NO_PASSWORDS] {
            let asked = ask(way, rules, &answer).await;
            assert!(asked.reached_the_server("Ada"), "{way:?}");
            assert!(asked.told["result"]["content"][0]["text"].as_str().unwrap().contains("accept"));
            let judged = asked.judged();
            let own = (Direction::ToHost, Stage::Inspect, "answers:elicitation/create".to_owned());
            let brought = (Direction::ToServer, Stage::Rules, "answers:elicitation/create×1".to_owned());
            let expected = if way.0 { brought } else { own };
            assert_eq!(judged, [expected], "{way:?}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_quotes_the_servers_credential_is_withheld_on_every_way() {
    let answer = json!({ "action": "accept", "content": { "name": format!("it is {SECRET}") } });
    for way in WAYS {
        let asked = ask(way, "", &answer).await;
        assert!(!asked.reached_the_server(SECRET), "{way:?}");
        let withheld = asked.decisions().into_iter().any(|one| {
            let code = Code::AnswerQuotesSecret;
            one.ending == Ending::Refused { code } || one.ending == Ending::Failed { code }
        });
        assert!(withheld, "{way:?}: {:?}", asked.decisions().last());
    }
}

#[tokio::test]
async fn a_parked_call_can_be_answered_otherwise_after_an_answer_that_a_rule_forbids() {
    let script = Script::start(false).await;
    let house = House::open(&[("script", script.url.clone())], &format!("{POLICY}{NO_PASSWORDS}")).await;
    let mut params = json!({ "name": "ask", "arguments": {} });
    let first = house.modern(AT, "tools/call", params.clone()).await.json();
    params["requestState"] = first["result"]["requestState"].clone();
    params["inputResponses"] = json!({ "q1": { "action": "accept", "content": { "password": "1" } } });
    house.modern(AT, "tools/call", params.clone()).await;
    assert_eq!(house.last().ending, Ending::Refused { code: Code::RuleDenied });
    params["inputResponses"] = json!({ "q1": { "action": "decline" } });
    let told = house.modern(AT, "tools/call", params).await.json();
    assert_eq!(told["result"]["resultType"], "complete", "{told}");
}

#[tokio::test]
async fn answers_are_bounded_in_number_and_their_keys_in_length() {
    let script = Script::start(true).await;
    let house = House::open(&[("script", script.url.clone())], POLICY).await;
    let many: serde_json::Map<_, _> = (0..65).map(|n| (format!("q{n}"), json!({}))).collect();
    for answers in [json!(many), json!({ "k".repeat(257): {} }), json!({ "q": 1 }), json!([])] {
        let params = json!({ "name": "ask", "arguments": {}, "inputResponses": answers });
        house.modern(AT, "tools/call", params).await;
        assert_eq!(house.last().ending, Ending::Refused { code: Code::ArgumentsInvalid }, "{answers}");
    }
    assert!(script.heard("tools/call").is_empty());
    let most: serde_json::Map<_, _> = many.into_iter().take(64).collect();
    house.modern(AT, "tools/call", json!({ "name": "ask", "arguments": {}, "inputResponses": most })).await;
    assert_eq!(script.heard("tools/call").len(), 1);
}
