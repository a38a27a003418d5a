//! What calls take of budgets.

use super::*;
use catalog::{Claimed, Declarations, Declared};
use decision::{
    CallId, Channel, Claims, DeedId, Direction, InteractionId, Item, Principal, Target, Transport, User,
};
use std::sync::Arc;

fn call(server: &str, tool: &str, arguments: &str, user: Option<&str>) -> Call {
    let user = user.map(|name| User { name: name.parse().unwrap(), groups: BTreeSet::new() });
    let principal = Principal { actor: Actor::Agent("bot".parse().unwrap()), user, ..Principal::unknown() };
    Call::new(decision::Asked {
        id: CallId::new(Timestamp(1), [1; 10]),
        deed: DeedId::new(Timestamp(1), [1; 10]),
        leg: 0,
        at: Timestamp(1),
        direction: Direction::ToServer,
        interaction: InteractionId::new("i").unwrap(),
        principal: Arc::new(principal),
        channel: Channel {
            transport: Transport::Http,
            era: None,
            revision: None,
            server_era: None,
            entrance: "mcp".to_owned(),
        },
        claims: Claims::default(),
        method: "tools/call".to_owned(),
        target: Target {
            server: server.parse().unwrap(),
            item: Item { kind: ItemKind::Tool, name: tool.to_owned() },
            definition: None,
        },
        frame: arguments.as_bytes().to_vec().into(),
        arguments: Some(0..arguments.len()),
    })
}

fn classified() -> Classified {
    let declared = Declared { categories: [Category::Financial].into(), ..Declared::default() };
    let tools = vec![("*".to_owned(), declared)];
    Declarations { trust_annotations: false, tools }.classify("x", Claimed::default())
}

fn budget(counts: Counts) -> Budget {
    Budget {
        name: "b".parse().unwrap(),
        counts,
        covers: Covers::default(),
        per: Per::Everybody,
        window: Window::Sliding(60_000_000),
        at_most: 5,
        cure: None,
    }
}

fn path(text: &str) -> Path {
    text.parse().unwrap()
}

fn uses(budget: &Budget, call: &Call) -> Result<Vec<Use>, Uncounted> {
    let arguments = call.arguments().unwrap();
    let classified = classified();
    budget.uses(Asked { call, classified: &classified, arguments: &arguments, now: Timestamp(120_000_000) })
}

fn amount_of(argument: &str) -> Option<u64> {
    let call = call("pay", "refund", &format!("{{\"amount\": {argument}}}"), None);
    Some(uses(&budget(Counts::Sum(path("amount"))), &call).ok()?[0].amount)
}

#[test]
fn money_is_added_up_to_the_last_cent_or_not_at_all() {
    for (text, amount) in [
        ("500", 5_000_000),
        ("0.1", 1_000),
        ("0.30000", 3_000),
        ("5e2", 5_000_000),
        ("0", 0),
        ("1E-4", 1),
        ("100000000000000", AMOUNT_MAX),
    ] {
        assert_eq!(amount_of(text), Some(amount), "{text}");
    }
    for text in ["-1", "-0.0001", "0.00001", "100000000000000.0001", "1e99", "\"500\"", "null", "[5]", "true"]
    {
        assert_eq!(amount_of(text), None, "{text}");
    }
}

#[test]
fn what_is_not_there_is_not_counted_as_nothing() {
    let sum = budget(Counts::Sum(path("payment.amount")));
    let there = uses(&sum, &call("pay", "refund", r#"{"payment":{"amount":2}}"#, None)).unwrap();
    assert_eq!(there[0].amount, 2 * UNIT);
    for arguments in ["{}", r#"{"payment":2}"#, r#"{"payment":{}}"#, r#"{"payment.amount":2}"#, ""] {
        let no = uses(&sum, &call("pay", "refund", arguments, None)).unwrap_err();
        assert!(no.to_string().contains("`payment.amount`"), "{no}");
    }
}

#[test]
fn values_are_the_same_whatever_they_are_written_like_and_a_list_has_several() {
    let values = |arguments: &str| {
        let call = call("mail", "send", arguments, None);
        uses(&budget(Counts::Distinct(path("to"))), &call).map(|uses| uses[0].values.clone())
    };
    let one = values(r#"{"to":"a@x"}"#).unwrap();
    assert_eq!(values(r#"{"to":"\u0061@x"}"#).unwrap(), one);
    assert_eq!(values(r#"{"to":["a@x","a@x"]}"#).unwrap(), one);
    assert_eq!(values(r#"{"to":["a@x","b@x"]}"#).unwrap().len(), 2);
    let many: Vec<String> = (0..=VALUES_MAX).map(|n| n.to_string()).collect();
    for none in
        ["{}", r#"{"to":[]}"#, r#"{"to":null}"#, r#"{"to":[null]}"#, r#"{"to":{}}"#, r#"{"to":[["a"]]}"#]
    {
        assert!(values(none).is_err(), "{none}");
    }
    assert!(values(&format!("{{\"to\":[{}]}}", many.join(","))).is_err());
}

#[test]
fn each_has_a_counter_of_their_own() {
    let of = |per: Per, server: &str, tool: &str, user: Option<&str>| {
        let budget = Budget { per, ..budget(Counts::Calls) };
        let found = uses(&budget, &call(server, tool, "{}", user)).unwrap();
        (found[0].subject, found[0].whose.clone())
    };
    assert_eq!(of(Per::User, "a", "t", Some("alice")).1, "user alice");
    assert_eq!(of(Per::User, "a", "t", None).1, "agent bot", "without a person it is who acts");
    assert_ne!(of(Per::User, "a", "t", Some("alice")).0, of(Per::User, "a", "t", Some("bob")).0);
    assert_eq!(of(Per::Agent, "a", "t", Some("alice")), of(Per::Agent, "b", "u", Some("bob")));
    assert_eq!(of(Per::Tool, "a", "t", None).1, "tool a__t");
    assert_eq!(of(Per::Server, "a", "t", None).1, "server a");
    assert_eq!(of(Per::Category, "a", "t", None).1, "category financial");
    assert_eq!(of(Per::Host, "a", "t", None).1, "host ");
    assert_eq!(of(Per::Everybody, "a", "t", None), of(Per::Everybody, "b", "u", Some("bob")));
}

#[test]
fn only_what_is_covered_is_counted() {
    let fits = |covers: Covers, server: &str, tool: &str| {
        let budget = Budget { covers, ..budget(Counts::Calls) };
        !uses(&budget, &call(server, tool, "{}", None)).unwrap().is_empty()
    };
    let server = || Some("pay".parse().unwrap());
    assert!(fits(Covers { server: server(), ..Covers::default() }, "pay", "refund"));
    assert!(!fits(Covers { server: server(), ..Covers::default() }, "crm", "refund"));
    let tool = |pattern: &str| Covers { tool: Some(pattern.to_owned()), ..Covers::default() };
    assert!(fits(tool("ref*"), "pay", "refund") && !fits(tool("ref*"), "pay", "charge"));
    let category = |one| Covers { category: Some(one), ..Covers::default() };
    assert!(fits(category(Category::Financial), "pay", "refund"));
    assert!(!fits(category(Category::Execution), "pay", "refund"));
    let effect = |one| Covers { effect: Some(one), ..Covers::default() };
    assert!(fits(effect(Effect::Write), "pay", "refund") && !fits(effect(Effect::Read), "pay", "refund"));
}

#[test]
fn a_path_is_looked_up_in_a_schema() {
    let schema = r#"{"properties":{"a":{"properties":{"b":{"type":"number"}}},"b":{}}}"#;
    assert!(path("a.b").is_in(schema) && path("b").is_in(schema));
    assert!(!path("a.c").is_in(schema) && !path("b.a").is_in(schema) && !path("a").is_in("{}"));
    for wrong in ["", ".", "a.", "a..b", "a.b.c.d.e.f.g.h.i"] {
        assert!(wrong.parse::<Path>().is_err(), "{wrong}");
    }
}

#[test]
fn amounts_are_shown_as_they_are_written() {
    for (amount, text) in
        [(0, "0"), (5_000_000, "500"), (5_005_000, "500.50"), (1, "0.0001"), (1_230, "0.123")]
    {
        assert_eq!(decimal(amount), text);
    }
}
