//! Budgets over the whole path: what is over does not leave, what never left is given back, and nobody passes by one.

use crate::calls::POLICY;
use crate::house::{House, server, settings};
use crate::script::Script;
use decision::{Code, Ending, ServerName, Stage, User};
use futures::StreamExt as _;
use gateway::settings::Mode;
use policy::budget::{Budget, Counts, Covers, Per, UNIT, Window};
use serde_json::{Value, json};
use std::time::Duration;

/// Of each agent, in a minute.
pub(crate) fn budget(name: &str, counts: Counts, at_most: u64) -> Budget {
    Budget {
        name: name.parse().unwrap(),
        counts,
        covers: Covers::default(),
        per: Per::Agent,
        window: Window::Sliding(60_000_000),
        at_most,
        cure: None,
    }
}

fn sum(at_most: u64) -> Budget {
    let covers = Covers { tool: Some("refund".to_owned()), ..Covers::default() };
    Budget { covers, ..budget("refunds", Counts::Sum("amount".parse().unwrap()), at_most * UNIT) }
}

fn held(budget: Budget, cure: &str) -> Budget {
    Budget { cure: Some(cure.parse().unwrap()), ..budget }
}

async fn house(budgets: Vec<Budget>, mode: Mode) -> (House, Script) {
    let script = Script::start(true).await;
    let servers = [(ServerName::new("script").unwrap(), server(&script.url, mode))];
    let settings = gateway::Settings { budgets, ..settings(servers.into()) };
    let house = House::with(settings, POLICY).await;
    for (name, group) in [("fay", "finance"), ("rik", "risk")] {
        let groups = [group.parse().unwrap()].into();
        house
            .store
            .add_user(&scope(&house), &User { name: name.parse().unwrap(), groups }, "ops")
            .await
            .unwrap();
    }
    (house, script)
}

fn scope(house: &House) -> store::Scope {
    house.gate.live().settings.scope()
}

async fn call(house: &House, tool: &str, arguments: Value) -> Value {
    let params = json!({ "name": format!("script__{tool}"), "arguments": arguments });
    house.modern("/mcp", "tools/call", params).await.json()
}

async fn refund(house: &House, amount: i64) -> Option<String> {
    code(&call(house, "refund", json!({ "amount": amount })).await)
}

fn code(told: &Value) -> Option<String> {
    let refusal = [&told["result"]["_meta"]["callgate/refusal"]["code"], &told["error"]["data"]["code"]];
    refusal.iter().find_map(|code| code.as_str()).map(str::to_owned)
}

fn evidence(house: &House, stage: Stage) -> decision::Evidence {
    house.last().evidence.into_iter().find(|one| one.stage == stage).unwrap()
}

async fn approve(house: &House, who: &str) {
    let page = store::Page { after: None, limit: 9 };
    let waiting = house.store.approvals_in(&scope(house), decision::approval::State::Proposed, page).await;
    let [one] = waiting.unwrap().try_into().unwrap();
    let voter = house.gate.desk().voter(&scope(house), &who.parse().unwrap()).await.unwrap().unwrap();
    house.gate.desk().vote(&scope(house), one.approval.id, &voter, true, None, "a test").await.unwrap();
}

/// What calls took and did not settle, once what is over was written.
async fn open(house: &House) -> usize {
    gateway::tidy_budgets(&house.gate).await.unwrap();
    let log = house.gate.ledger().public_key().origin().to_owned();
    house.store.unsettled_uses(&scope(house), &log).await.unwrap().len()
}

#[tokio::test]
async fn an_amount_passes_up_to_the_bound_and_not_one_more() {
    let (house, script) = house(vec![sum(100)], Mode::Enforce).await;
    assert_eq!(refund(&house, 60).await, None);
    let told = call(&house, "refund", json!({ "amount": 41 })).await;
    assert_eq!(code(&told).as_deref(), Some("budget-exceeded"));
    let text = told["result"]["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("`refunds`") && text.contains("60 of 100") && text.contains("UTC"), "{text}");
    assert_eq!(house.last().ending, Ending::Refused { code: Code::BudgetExceeded });
    assert_eq!(evidence(&house, Stage::Rules).basis, ["budget:refunds"]);
    assert_eq!(refund(&house, 40).await, None, "to the last unit");
    assert_eq!(evidence(&house, Stage::Commit).basis, ["took:budget:refunds"]);
    assert_eq!(refund(&house, 1).await.as_deref(), Some("budget-exceeded"));
    assert_eq!(call(&house, "echo", json!({})).await["result"]["isError"], Value::Null, "not covered");
    assert_eq!(open(&house).await, 0);
    house.advance(Duration::from_secs(62));
    assert_eq!(refund(&house, 100).await, None, "and there is room again");
    assert_eq!(script.heard("tools/call").len(), 4);
}

#[tokio::test]
async fn what_cannot_be_counted_does_not_pass() {
    let distinct = budget("notes", Counts::Distinct("note".parse().unwrap()), 9);
    let covers = Covers { tool: Some("refund".to_owned()), ..Covers::default() };
    let (house, script) = house(vec![sum(100), Budget { covers, ..distinct }], Mode::Enforce).await;
    assert_eq!(refund(&house, 5).await.as_deref(), Some("budget-uncounted"), "no note");
    let negative = call(&house, "refund", json!({ "amount": -5, "note": "n" })).await;
    assert_eq!(
        code(&negative).as_deref(),
        Some("budget-uncounted"),
        "nobody earns by refunding less than nothing"
    );
    assert_eq!(code(&call(&house, "refund", json!({ "amount": 5, "note": "n" })).await), None);
    assert_eq!(script.heard("tools/call").len(), 1);
}

#[tokio::test]
async fn a_thousand_calls_at_once_never_pass_by_one() {
    let (house, script) = house(vec![budget("rate", Counts::Calls, 137)], Mode::Enforce).await;
    let one = |n: usize| call(&house, "echo", json!({ "text": n.to_string() }));
    let told: Vec<Value> = futures::stream::iter(0..1_000).map(one).buffer_unordered(1_000).collect().await;
    let codes: Vec<_> = told.iter().filter_map(code).collect();
    let other: Vec<_> = codes.iter().filter(|code| *code != "budget-exceeded").collect();
    assert!(other.is_empty(), "{other:?}");
    assert_eq!((script.heard("tools/call").len(), codes.len()), (137, 863));
    assert_eq!(open(&house).await, 0);
}

#[tokio::test]
async fn what_never_left_is_given_back_and_what_may_have_acted_is_not() {
    let (house, script) = house(vec![budget("rate", Counts::Calls, 2)], Mode::Enforce).await;
    house.remove_secret().await;
    house.until_noticed().await;
    for _ in 0..4 {
        assert_eq!(code(&call(&house, "echo", json!({})).await).as_deref(), Some("secret-missing"));
    }
    house.put_secret(None, "again-0123456789").await;
    house.until_noticed().await;
    assert!(
        call(&house, "die", json!({})).await.to_string().contains("upstream"),
        "the outcome is not known"
    );
    assert_eq!(code(&call(&house, "echo", json!({})).await), None);
    assert_eq!(code(&call(&house, "echo", json!({})).await).as_deref(), Some("budget-exceeded"));
    assert_eq!(script.heard("tools/call").len(), 2);
    assert_eq!(open(&house).await, 0);
}

#[tokio::test]
async fn people_lift_a_budget_for_one_call_which_counts_all_the_same() {
    let (house, script) = house(vec![held(sum(100), "risk")], Mode::Enforce).await;
    assert_eq!(refund(&house, 90).await, None);
    assert_eq!(refund(&house, 20).await.as_deref(), Some("approval-required"));
    approve(&house, "rik").await;
    assert_eq!(refund(&house, 20).await, None);
    let basis = evidence(&house, Stage::Commit).basis;
    assert!(basis.contains(&"lifted:budget:refunds".to_owned()), "{basis:?}");
    assert_eq!(refund(&house, 20).await.as_deref(), Some("approval-required"), "once");
    let told = call(&house, "refund", json!({ "amount": 1 })).await;
    assert!(told.to_string().contains("110 of 100"), "what was lifted counts: {told}");
    assert_eq!(script.heard("tools/call").len(), 2);
    assert_eq!(open(&house).await, 0);
}

#[tokio::test]
async fn a_rule_and_a_budget_are_lifted_by_both_their_people_and_by_nobody_who_was_not_told() {
    let (house, script) = house(vec![held(sum(1_000), "finance")], Mode::Enforce).await;
    assert_eq!(refund(&house, 600).await.as_deref(), Some("approval-required"));
    approve(&house, "fay").await;
    // in the meantime the room is used by others
    for _ in 0..5 {
        assert_eq!(refund(&house, 100).await, None);
    }
    let told = call(&house, "refund", json!({ "amount": 600 })).await;
    assert_eq!(
        code(&told).as_deref(),
        Some("approval-required"),
        "the yes was to a refund, not to more than the budget"
    );
    assert_eq!(script.heard("tools/call").len(), 5);
    approve(&house, "fay").await;
    assert_eq!(refund(&house, 600).await, None);
}

#[tokio::test]
async fn a_value_is_let_through_the_first_time_by_people_and_then_by_itself() {
    let covers = Covers { tool: Some("refund".to_owned()), ..Covers::default() };
    let first = budget("first", Counts::FirstSeen("note".parse().unwrap()), 0);
    let (house, script) = house(vec![held(Budget { covers, ..first }, "risk")], Mode::Enforce).await;
    let to = |note: &'static str| json!({ "amount": 1, "note": note });
    assert_eq!(code(&call(&house, "refund", to("ann")).await).as_deref(), Some("approval-required"));
    approve(&house, "rik").await;
    for _ in 0..2 {
        assert_eq!(code(&call(&house, "refund", to("ann")).await), None);
    }
    assert_eq!(code(&call(&house, "refund", to("bob")).await).as_deref(), Some("approval-required"));
    assert_eq!(script.heard("tools/call").len(), 2);
}

#[tokio::test]
async fn where_rules_are_only_watched_the_record_says_what_would_have_been_and_all_is_counted() {
    let (house, script) = house(vec![sum(100)], Mode::Observe).await;
    for amount in [60, 60] {
        assert_eq!(refund(&house, amount).await, None);
    }
    let rules = evidence(&house, Stage::Rules);
    assert_eq!((rules.refused, rules.would_refuse), (None, Some(Code::BudgetExceeded)));
    assert!(rules.because.contains("60 of 100"), "{}", rules.because);
    assert_eq!(refund(&house, -1).await, None);
    assert_eq!(evidence(&house, Stage::Rules).would_refuse, Some(Code::BudgetUncounted));
    assert_eq!(script.heard("tools/call").len(), 3);
}

#[tokio::test]
async fn the_legs_of_a_deed_take_once_and_more_only_for_more() {
    let (house, _script) = house(vec![budget("rate", Counts::Calls, 2)], Mode::Enforce).await;
    for _ in 0..2 {
        let told = call(&house, "ask", json!({})).await;
        assert_eq!(told["result"]["resultType"], "input_required", "{told}");
        assert_eq!(open(&house).await, 1, "the deed is not over");
        let params = json!({ "name": "script__ask", "arguments": {}, "requestState": told["result"]["requestState"],
            "inputResponses": { "q": { "action": "accept", "content": {} } } });
        let told = house.modern("/mcp", "tools/call", params).await.json();
        assert_eq!(told["result"]["resultType"], "complete", "{told}");
        assert_eq!(open(&house).await, 0);
    }
    assert_eq!(code(&call(&house, "ask", json!({})).await).as_deref(), Some("budget-exceeded"));
}

#[tokio::test]
async fn a_later_leg_that_asks_for_more_takes_more() {
    let legs = Covers { tool: Some("ask".to_owned()), ..Covers::default() };
    let by_note = Budget { covers: legs, ..budget("notes", Counts::Distinct("note".parse().unwrap()), 1) };
    let script = Script::start(true).await;
    let mut tools = crate::script::tools();
    for tool in tools.as_array_mut().unwrap().iter_mut().filter(|tool| tool["name"] == "ask") {
        tool["inputSchema"] = json!({ "type": "object", "properties": { "note": { "type": "string" } } });
    }
    script.set_tools(tools);
    let servers = [(ServerName::new("script").unwrap(), server(&script.url, Mode::Enforce))];
    let settings = gateway::Settings { budgets: vec![by_note], ..settings(servers.into()) };
    let house = House::with(settings, POLICY).await;
    let told = call(&house, "ask", json!({ "note": "small" })).await;
    let params = json!({ "name": "script__ask", "arguments": { "note": "large" },
        "requestState": told["result"]["requestState"],
        "inputResponses": { "q": { "action": "accept", "content": {} } } });
    let told = house.modern("/mcp", "tools/call", params).await.json();
    assert_eq!(code(&told).as_deref(), Some("budget-exceeded"), "{told}");
}

#[tokio::test]
async fn what_a_stop_left_is_settled_as_the_record_says() {
    let (house, _script) = house(vec![budget("rate", Counts::Calls, 2)], Mode::Enforce).await;
    assert_eq!(code(&call(&house, "echo", json!({})).await), None);
    let done = house.last();
    // one that was reserved and has no intent, as after a crash in between
    let log = house.gate.ledger().public_key().origin().to_owned();
    let now = decision::Timestamp(decision::Clock::now(&crate::house::WallClock).0);
    let uses = {
        let counters = house.store.counters(&scope(&house), &"rate".parse().unwrap(), 9).await.unwrap();
        let span = Window::Sliding(60_000_000).at(now);
        vec![store::Taken {
            one: decision::budget::Use {
                budget: counters[0].budget.clone(),
                subject: counters[0].subject,
                whose: counters[0].whose.clone(),
                measure: decision::budget::Measure::Amount,
                span,
                amount: 1,
                values: vec![],
                at_most: 2,
            },
            lifted: false,
        }]
    };
    let lost = decision::CallId::new(now, [9; 10]);
    let takes = store::Takes {
        call: lost,
        deed: decision::DeedId::new(now, [9; 10]),
        log: &log,
        uses: &uses,
        key: None,
    };
    assert_eq!(house.store.spend(&scope(&house), None, takes, &[]).await.unwrap(), store::Spending::Done);
    assert_eq!(code(&call(&house, "echo", json!({})).await).as_deref(), Some("budget-exceeded"));
    assert!(!gateway::is_settled(&house.gate).await.unwrap());
    // the record is asked, and nothing of it is indexed yet
    assert_eq!(gateway::recover(&house.gate).await.unwrap(), 2, "{:?} and the lost one", done.call);
    assert!(gateway::is_settled(&house.gate).await.unwrap());
    assert_eq!(code(&call(&house, "echo", json!({})).await), None, "what never left is free again");
    assert_eq!(
        code(&call(&house, "echo", json!({})).await).as_deref(),
        Some("budget-exceeded"),
        "and the other is kept"
    );
}

// What is settled is spent or given back for good, so no index is asked, which whoever can write the database can change.
#[tokio::test]
async fn what_is_settled_is_so_by_the_record_whatever_its_index_says() {
    let (house, _script) = house(vec![budget("rate", Counts::Calls, 2)], Mode::Enforce).await;
    assert_eq!(code(&call(&house, "echo", json!({})).await), None);
    assert_eq!(code(&call(&house, "echo", json!({})).await), None);
    let log = house.gate.ledger().public_key().origin().to_owned();
    let events = house.entries().into_iter().map(|entry| match entry {
        decision::Entry::Event(event) => decision::Entry::Event(event),
        other @ (decision::Entry::Intent(_) | decision::Entry::Decision(_)) => {
            decision::Entry::Event(decision::Event {
                v: 1,
                at: decision::Timestamp(1),
                tenant: decision::TenantId::default(),
                environment: decision::Environment::default(),
                event: decision::EventName::GatewayStarted,
                call: other.call(),
                server: None,
                detail: [].into(),
            })
        }
    });
    let entries: Vec<_> = (0..).zip(events).collect();
    house.store.index_entries(&log, &entries).await.unwrap();
    assert_eq!(gateway::recover(&house.gate).await.unwrap(), 1, "the last one");
    assert_eq!(code(&call(&house, "echo", json!({})).await).as_deref(), Some("budget-exceeded"));
}

#[tokio::test]
async fn two_gateways_on_one_postgresql_never_pass_a_bound_by_one() {
    const MOST: usize = 137;
    let Some(database) = crate::cluster::address() else { return };
    let script = Script::start(true).await;
    let servers = || [(ServerName::new("script").unwrap(), server(&script.url, Mode::Enforce))];
    let budgets = || vec![budget("rate", Counts::Calls, MOST as u64)];
    // tests of one process share the cluster
    let tenant = || "rates".parse().unwrap();
    let settings =
        || gateway::Settings { tenant: tenant(), budgets: budgets(), ..settings(servers().into()) };
    let first = House::on(settings(), POLICY, &database).await;
    let second = first.beside(settings(), POLICY).await;
    let both = [&first, &second];
    let one = |n: usize| call(both[n % 2], "echo", json!({ "text": n.to_string() }));
    let told: Vec<Value> = futures::stream::iter(0..1_000).map(one).buffer_unordered(400).collect().await;
    let codes: Vec<_> = told.iter().filter_map(code).collect();
    let other: Vec<_> = codes.iter().filter(|code| *code != "budget-exceeded").collect();
    assert!(other.is_empty(), "{other:?}");
    assert_eq!((script.heard("tools/call").len(), codes.len()), (MOST, 1_000 - MOST));
    for house in both {
        assert_eq!(open(house).await, 0);
    }
}

#[tokio::test]
async fn two_gateways_on_one_postgresql_spend_one_yes_once_within_a_budget() {
    let Some(database) = crate::cluster::address() else { return };
    let script = Script::start(true).await;
    let servers = || [(ServerName::new("script").unwrap(), server(&script.url, Mode::Enforce))];
    let tenant = || "refunds".parse().unwrap();
    let settings =
        || gateway::Settings { tenant: tenant(), budgets: vec![sum(1_000)], ..settings(servers().into()) };
    let first = House::on(settings(), POLICY, &database).await;
    let second = first.beside(settings(), POLICY).await;
    let groups = ["finance".parse().unwrap()].into();
    first
        .store
        .add_user(&scope(&first), &User { name: "fay".parse().unwrap(), groups }, "ops")
        .await
        .unwrap();
    assert_eq!(refund(&first, 600).await.as_deref(), Some("approval-required"));
    assert_eq!(refund(&second, 600).await.as_deref(), Some("approval-required"), "the same one");
    approve(&second, "fay").await;
    let both = [&first, &second];
    let told = futures::future::join_all((0..16).map(|n| refund(both[n % 2], 600))).await;
    assert_eq!(told.iter().filter(|code| code.is_none()).count(), 1, "{told:?}");
    assert_eq!(script.heard("tools/call").len(), 1);
    assert_eq!(
        refund(&second, 401).await.as_deref(),
        Some("budget-exceeded"),
        "the other knows what is left"
    );
}
