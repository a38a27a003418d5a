//! Negative space first: what is not allowed, and why.

use crate::world::{Ask, agent, catalogue, load, on_behalf, principal, user};
use decision::{Actor, ItemKind, ServerName};
use policy::{Answer, Asked, Policies, Reason, is_untouched, starter};

const PERMIT_ALL: &str = "@id(\"all\") permit(principal, action, resource);";

fn rules(text: &str) -> Policies {
    load(text).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn reason(answer: &Answer) -> Option<Reason> {
    match answer {
        Answer::Refused { reason, .. } => Some(*reason),
        Answer::Allowed { .. } | Answer::Held(_) => None,
    }
}

#[track_caller]
fn allowed(answer: Answer, by: &[&str]) {
    match answer {
        Answer::Allowed { basis } => {
            assert_eq!(basis.iter().map(ToString::to_string).collect::<Vec<_>>(), by)
        }
        other @ (Answer::Refused { .. } | Answer::Held(_)) => panic!("{other:?}"),
    }
}

#[track_caller]
fn held(answer: Answer, by: &[&str]) {
    match answer {
        Answer::Held(held) => {
            assert_eq!(held.cure.groups().map(ToString::to_string).collect::<Vec<_>>(), by)
        }
        other @ (Answer::Refused { .. } | Answer::Allowed { .. }) => panic!("{other:?}"),
    }
}

#[test]
fn without_rules_nobody_may_do_anything_and_the_line_that_would_permit_it_works() {
    let none = rules("");
    let bot = agent("support-bot", &[]);
    let answer = Ask::new(&none, bot.clone()).tool("payments", "refund", "{}");
    let Answer::Refused { reason: Reason::NoRule, remedy: Some(line), detail, .. } = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(detail, "no rule permits it");
    assert_eq!(
        line,
        "@id(\"support-bot-payments__refund\") permit(principal == Agent::\"support-bot\", \
         action == Action::\"payments__refund\", resource);"
    );
    let cured = rules(&line);
    allowed(Ask::new(&cured, bot).tool("payments", "refund", "{}"), &["support-bot-payments__refund"]);
    let other = Ask::new(&cured, agent("other", &[])).tool("payments", "refund", "{}");
    assert_eq!(reason(&other), Some(Reason::NoRule));
}

#[test]
fn nobody_without_a_name_is_ever_allowed() {
    let all = rules(PERMIT_ALL);
    let server = Actor::Server(ServerName::new("docs").unwrap());
    for actor in [Actor::Unknown, Actor::Gateway, server] {
        let ask = Ask::new(&all, principal(actor, &[]));
        assert_eq!(reason(&ask.tool("payments", "refund", "{}")), Some(Reason::NoPrincipal));
        assert_eq!(reason(&ask.see(ItemKind::Tool, "payments", "refund")), Some(Reason::NoPrincipal));
    }
}

#[test]
fn what_is_not_accepted_is_refused_whatever_the_rules_say() {
    let all = rules(PERMIT_ALL);
    let ask = Ask::new(&all, agent("a", &[]));
    for answer in [
        ask.tool("payments", "refunds", "{}"),
        ask.tool("nowhere", "refund", "{}"),
        ask.tool("idle", "x", "{}"),
        ask.call("sampling/other", ItemKind::Question, "docs", "sampling/other", "{}"),
        ask.call("resources/read", ItemKind::Question, "docs", "resources/read", "{}"),
        ask.call("resources/read", ItemKind::Tool, "payments", "refund", "{}"),
        ask.call("tools/call", ItemKind::Prompt, "docs", "summarise", "{}"),
        ask.call("prompts/get", ItemKind::Resource, "docs", "file:///docs/a.md", "{}"),
    ] {
        assert_eq!(reason(&answer), Some(Reason::NoItem), "{answer:?}");
    }
}

#[test]
fn the_agent_and_the_user_behind_it_must_both_be_allowed() {
    let policies = rules(
        "@id(\"bot\") permit(principal == Agent::\"bot\", action in Action::\"server:payments\", resource);
         @id(\"finance\") permit(principal in Group::\"finance\", action in Action::\"server:payments\", resource);",
    );
    let ask = |principal| Ask::new(&policies, principal).tool("payments", "refund", "{}");
    allowed(ask(agent("bot", &[])), &["bot"]);
    allowed(ask(on_behalf(agent("bot", &[]), "alice", &["finance"])), &["bot", "finance"]);
    assert_eq!(reason(&ask(on_behalf(agent("bot", &[]), "bob", &["sales"]))), Some(Reason::NoRule));
    assert_eq!(reason(&ask(on_behalf(agent("other", &[]), "alice", &["finance"]))), Some(Reason::NoRule));
    assert_eq!(
        reason(&ask(user("bot", &[]))),
        Some(Reason::NoRule),
        "a user of the agent's name is not the agent"
    );
}

#[test]
fn a_forbid_says_why_and_stands_over_every_permit() {
    let policies = rules(&format!(
        "{PERMIT_ALL} @id(\"no-usd\") @because(\"we pay in euros\")
         forbid(principal, action == Action::\"payments__refund\", resource) when {{ context.args.currency == \"USD\" }};"
    ));
    let ask = Ask::new(&policies, agent("a", &[]));
    let answer = ask.tool("payments", "refund", r#"{"amount":1,"currency":"USD"}"#);
    assert_eq!(reason(&answer), Some(Reason::Forbidden));
    let refusal = answer.judged(Asked::Call).unwrap_err();
    assert_eq!(refusal.code.as_str(), "rule-denied");
    assert_eq!(refusal.told.as_deref(), Some("we pay in euros"));
    assert_eq!(refusal.basis, ["no-usd"]);
    allowed(ask.tool("payments", "refund", r#"{"amount":1,"currency":"EUR"}"#), &["all"]);
    allowed(ask.see(ItemKind::Tool, "payments", "refund"), &["all"]);
}

// the agent's answer does for the person only where it cannot be another one
#[test]
fn a_forbid_on_arguments_that_means_the_person_alone_is_asked_of_the_person() {
    let on_arguments = [
        "principal.name == \"ann\" && context.args.currency == \"USD\"",
        "context.args.currency == \"USD\" && User::\"ann\" in Group::\"staff\"",
    ];
    let heads = on_arguments.map(|when| format!("principal, action, resource) when {{ {when} }};"));
    let scoped = ["principal is User", "principal == User::\"ann\"", "principal in Group::\"staff\""]
        .map(|whom| format!("{whom}, action, resource) when {{ context.args.currency == \"USD\" }};"));
    for rest in heads.into_iter().chain(scoped) {
        let rest = rest.replace("action, resource)", "action == Action::\"payments__refund\", resource)");
        let policies = rules(&format!("{PERMIT_ALL} @id(\"no\") @because(\"x\") forbid({rest}"));
        let refund = |principal, currency| {
            let arguments = format!(r#"{{"amount":1,"currency":"{currency}"}}"#);
            Ask::new(&policies, principal).tool("payments", "refund", &arguments)
        };
        let both = || on_behalf(agent("a", &[]), "ann", &["staff"]);
        allowed(refund(agent("a", &[]), "USD"), &["all"]);
        allowed(refund(both(), "EUR"), &["all"]);
        assert_eq!(reason(&refund(both(), "USD")), Some(Reason::Forbidden), "{rest}");
        assert_eq!(reason(&refund(user("ann", &["staff"]), "USD")), Some(Reason::Forbidden), "{rest}");
    }
}

#[test]
fn a_rule_that_cannot_be_evaluated_refuses() {
    let policies = rules(&format!(
        "{PERMIT_ALL} @id(\"sum\") @because(\"x\")
         forbid(principal, action == Action::\"payments__refund\", resource)
         when {{ context.args has count && context.args.count * 2 > 100 }};"
    ));
    let ask = Ask::new(&policies, agent("a", &[]));
    allowed(ask.tool("payments", "refund", r#"{"amount":1,"currency":"EUR","count":1}"#), &["all"]);
    let overflow = format!(r#"{{"amount":1,"currency":"EUR","count":{}}}"#, i64::MAX);
    let answer = ask.tool("payments", "refund", &overflow);
    let Answer::Refused { reason: Reason::RuleFailed, rules: failed, .. } = &answer else {
        panic!("{answer:?}")
    };
    assert_eq!(failed.iter().map(ToString::to_string).collect::<Vec<_>>(), ["sum"]);
    assert_eq!(answer.judged(Asked::Call).unwrap_err().code.as_str(), "rule-failed");
    // a required argument that is missing: the arguments stage refuses it, and so do the rules by themselves
    let strict = rules(&format!(
        "{PERMIT_ALL} @id(\"cur\") @because(\"x\")
         forbid(principal, action == Action::\"payments__refund\", resource) when {{ context.args.currency == \"USD\" }};"
    ));
    let answer = Ask::new(&strict, agent("a", &[])).tool("payments", "refund", "{}");
    assert_eq!(reason(&answer), Some(Reason::RuleFailed));
}

#[test]
fn only_a_lossy_argument_that_a_rule_names_refuses() {
    let policies = rules(&format!(
        "{PERMIT_ALL} @id(\"limit\") @because(\"too much\")
         forbid(principal, action == Action::\"payments__refund\", resource)
         when {{ context.args.amount.greaterThan(decimal(\"500.0\")) }};"
    ));
    let ask = Ask::new(&policies, agent("a", &[]));
    let refund =
        |amount: &str| ask.tool("payments", "refund", &format!(r#"{{"amount":{amount},"currency":"EUR"}}"#));
    allowed(refund("500"), &["all"]);
    allowed(refund("5e2"), &["all"]);
    assert_eq!(reason(&refund("500.0001")), Some(Reason::Forbidden));
    assert_eq!(reason(&refund("500.00000000000000001")), Some(Reason::ArgumentUnfit));
    assert_eq!(reason(&refund("1e300")), Some(Reason::ArgumentUnfit));
    assert_eq!(refund("1e300").judged(Asked::Call).unwrap_err().code.as_str(), "arguments-invalid");
    let free = rules(PERMIT_ALL);
    allowed(Ask::new(&free, agent("a", &[])).tool("payments", "refund", r#"{"amount":0.123456}"#), &["all"]);
}

#[test]
fn a_curable_forbid_holds_only_what_is_permitted_otherwise() {
    let forbids = "@id(\"over-100\") @because(\"finance looks at it\") @unless-approved(\"finance\")
         forbid(principal, action == Action::\"payments__refund\", resource)
         when { context.args.amount.greaterThan(decimal(\"100.0\")) };
         @id(\"abroad\") @because(\"risk looks at it\") @unless-approved(\"risk\")
         forbid(principal, action == Action::\"payments__refund\", resource)
         when { context.args has to && context.args.to has country && context.args.to.country != \"DE\" };
         @id(\"never\") @because(\"never\") forbid(principal, action == Action::\"payments__refund\", resource)
         when { context.args has tags && context.args.tags.contains(\"fraud\") };";
    let with = rules(&format!("{PERMIT_ALL} {forbids}"));
    let ask = Ask::new(&with, agent("a", &[]));
    let refund = |rest: &str| ask.tool("payments", "refund", &format!(r#"{{"currency":"EUR",{rest}}}"#));
    allowed(refund(r#""amount":100"#), &["all"]);
    held(refund(r#""amount":101"#), &["finance"]);
    held(refund(r#""amount":1,"to":{"country":"FR"}"#), &["risk"]);
    held(refund(r#""amount":101,"to":{"country":"FR"}"#), &["finance", "risk"]);
    assert_eq!(reason(&refund(r#""amount":101,"tags":["fraud"]"#)), Some(Reason::Forbidden));
    allowed(ask.see(ItemKind::Tool, "payments", "refund"), &["all"]);
    let refusal = refund(r#""amount":101"#).judged(Asked::Call).unwrap_err();
    assert_eq!(
        (refusal.code.as_str(), refusal.remedy.unwrap().ask),
        ("approval-required", vec!["finance".to_owned()])
    );
    // an approval never stands in for a missing permit
    let without = rules(forbids);
    let answer =
        Ask::new(&without, agent("a", &[])).tool("payments", "refund", r#"{"amount":101,"currency":"EUR"}"#);
    assert_eq!(reason(&answer), Some(Reason::Forbidden));
}

#[test]
fn an_agent_held_and_a_user_refused_is_refused() {
    let policies = rules(
        "@id(\"bot\") permit(principal == Agent::\"bot\", action, resource);
         @id(\"hold\") @because(\"b\") @unless-approved(\"finance\") forbid(principal is Agent, action, resource);",
    );
    held(Ask::new(&policies, agent("bot", &[])).tool("payments", "refund", "{}"), &["finance"]);
    let both = Ask::new(&policies, on_behalf(agent("bot", &[]), "bob", &[])).tool("payments", "refund", "{}");
    assert_eq!(reason(&both), Some(Reason::NoRule));
}

#[test]
fn a_forbid_hides_a_tool_unless_it_needs_the_call_or_can_be_lifted() {
    let see = |forbid: &str, host: Option<&str>| {
        let policies = rules(&format!("{PERMIT_ALL} {forbid}"));
        let ask = Ask { host, ..Ask::new(&policies, agent("a", &[])) };
        ask.see(ItemKind::Tool, "payments", "close_account").is_allowed()
    };
    let forbid = |annotations: &str, condition: &str| {
        format!(
            "@id(\"f\") @because(\"b\") {annotations} forbid(principal, action in Action::\"effect:destructive\", resource) {condition};"
        )
    };
    assert!(!see(&forbid("", ""), None));
    assert!(!see(&forbid("", "when { resource.environment == \"production\" }"), None));
    assert!(!see(&forbid("", "when { context.environment == \"local\" }"), None));
    assert!(!see(&forbid("", "unless { context has host && context.host == \"good\" }"), Some("bad")));
    assert!(see(&forbid("", "unless { context has host && context.host == \"good\" }"), Some("good")));
    assert!(see(&forbid("", "when { context.now.hour > 12 }"), None));
    assert!(see(&forbid("@unless-approved(\"ops\")", ""), None));
}

#[test]
fn time_is_read_in_utc() {
    let policies = rules(&format!(
        "{PERMIT_ALL} @id(\"office\") @because(\"office hours\")
         forbid(principal, action, resource)
         unless {{ context.now.weekday <= 5 && context.now.hour >= 9 && context.now.hour < 17 && context.now.epoch > 1795184999 }};"
    ));
    let at = |seconds: u64| {
        let now = decision::Timestamp(seconds * 1_000_000);
        Ask { now, ..Ask::new(&policies, agent("a", &[])) }.tool("payments", "refund", "{}").is_allowed()
    };
    assert!(at(1_795_185_000), "Friday 14:30");
    assert!(!at(1_795_185_000 + 3 * 3600), "Friday 17:30");
    assert!(!at(1_795_185_000 + 86_400), "Saturday 14:30");
    assert!(at(1_795_185_000 + 3 * 86_400), "Monday 14:30");
}

#[test]
fn resources_are_judged_by_their_address_and_no_address_walks_around_it() {
    let policies = rules(
        "@id(\"docs\") permit(principal, action == Action::\"docs:resources/read\", resource)
         when { resource.uri like \"file:///docs/*\" };",
    );
    let ask = Ask::new(&policies, agent("a", &[]));
    let read = |uri: &str| ask.call("resources/read", ItemKind::Resource, "docs", uri, "{}");
    allowed(read("file:///docs/a.md"), &["docs"]);
    allowed(ask.see(ItemKind::ResourceTemplate, "docs", "file:///docs/{name}"), &["docs"]);
    assert_eq!(reason(&read("file:///etc/passwd")), Some(Reason::NoRule));
    for walk in [
        "file:///docs/../etc/passwd",
        "file:///docs/%2e%2E/etc/passwd",
        "file:///docs/%252e%252e%252fetc",
        "file:///docs/..%5cetc",
        "file:///docs/./a",
        "file:///docs/..",
    ] {
        assert_eq!(reason(&read(walk)), Some(Reason::AddressUnsafe), "{walk}");
    }
    let subscribe = ask.call("resources/subscribe", ItemKind::Resource, "docs", "file:///docs/a.md", "{}");
    assert_eq!(reason(&subscribe), Some(Reason::NoRule));
}

#[test]
fn a_task_of_a_tool_is_as_visible_as_the_tool() {
    let policies = rules(
        "@id(\"bot\") permit(principal == Agent::\"bot\", action == Action::\"payments__refund\", resource);
         @id(\"usd\") @because(\"x\") forbid(principal, action == Action::\"payments__refund\", resource)
         when { context.args.currency == \"USD\" };",
    );
    let poll = |name: &str| {
        let ask = Ask::new(&policies, agent(name, &[]));
        ask.call("tasks/get", ItemKind::Tool, "payments", "refund", "")
    };
    allowed(poll("bot"), &["bot"]);
    assert_eq!(reason(&poll("other")), Some(Reason::NoRule));
}

#[test]
fn a_context_used_as_a_value_needs_every_argument_to_fit() {
    let policies = rules(&format!(
        "{PERMIT_ALL} @id(\"whole\") @because(\"x\") forbid(principal, action == Action::\"payments__refund\", resource)
         when {{ [context.args].contains(context.args) && context.args.currency == \"USD\" }};"
    ));
    let ask = Ask::new(&policies, agent("a", &[]));
    allowed(ask.tool("payments", "refund", r#"{"amount":1.5,"currency":"EUR"}"#), &["all"]);
    let lossy = ask.tool("payments", "refund", r#"{"amount":1.00001,"currency":"EUR"}"#);
    assert_eq!(reason(&lossy), Some(Reason::ArgumentUnfit));
}

#[test]
fn prompts_and_questions_have_actions_of_their_own() {
    let policies = rules(
        "@id(\"prompt\") permit(principal, action == Action::\"docs:prompts/get\", resource == Prompt::\"docs__summarise\");
         @id(\"ask\") permit(principal in Group::\"people\", action == Action::\"docs:elicitation/create\", resource);",
    );
    let ask = Ask::new(&policies, agent("a", &["people"]));
    allowed(ask.call("prompts/get", ItemKind::Prompt, "docs", "summarise", "{}"), &["prompt"]);
    let other = ask.call("prompts/get", ItemKind::Prompt, "docs", "other", "{}");
    assert_eq!(reason(&other), Some(Reason::NoRule));
    let elicit = |ask: &Ask<'_>, server: &str| {
        ask.call("elicitation/create", ItemKind::Question, server, "elicitation/create", "{}")
    };
    allowed(elicit(&ask, "docs"), &["ask"]);
    assert_eq!(reason(&elicit(&ask, "payments")), Some(Reason::NoRule));
    assert_eq!(reason(&elicit(&Ask::new(&policies, agent("a", &[])), "docs")), Some(Reason::NoRule));
}

#[test]
fn a_starter_is_known_until_somebody_changes_it() {
    let text = starter(&catalogue());
    assert!(is_untouched(&text));
    for changed in [
        text.replacen("principal", "principal == Agent::\"a\"", 1),
        format!("{text}\n"),
        format!("// mine\n{text}"),
        text.trim_end().to_owned(),
        String::new(),
    ] {
        assert!(!is_untouched(&changed), "{changed}");
    }
    let empty =
        starter(&catalog::Catalogue::new(std::collections::BTreeMap::<_, catalog::ServerEntry>::new()));
    assert!(is_untouched(&empty) && empty.contains("No server was looked at yet"), "{empty}");
    assert!(!empty.contains("The lists below") && text.contains("The lists below"), "{empty}");
    assert_eq!(rules(&empty).rules().count(), 0);
}

#[test]
fn the_starter_loads_and_permits_exactly_what_authors_call_reading() {
    let text = starter(&catalogue());
    let policies = rules(&text);
    let ask = Ask::new(&policies, agent("anybody", &[]));
    allowed(ask.tool("payments", "get_invoice", r#"{"id":"1"}"#), &["payments-reads"]);
    for (server, tool) in [("payments", "refund"), ("payments", "close_account"), ("docs", "search")] {
        assert_eq!(reason(&ask.tool(server, tool, "{}")), Some(Reason::NoRule), "{tool}");
        let line = text.lines().find(|l| l.contains(&format!("Action::\"{server}__{tool}\""))).unwrap();
        let wider = rules(&format!("{text}\n{}", line.strip_prefix("// ").unwrap()));
        assert!(Ask::new(&wider, agent("anybody", &[])).tool(server, tool, "{}").is_allowed(), "{line}");
    }
}

const READS_ANSWERS: &str = r#"
@id("never") @because("not by me") forbid (principal, action, resource)
when { context has answer && context.answer.values.contains("500") };
@id("weekend") @because("not at the weekend") forbid (principal, action, resource)
when { context.now.weekday > 5 };
"#;

#[test]
fn only_forbids_that_read_an_answer_are_asked_about_one() {
    let bot = agent("bot", &[]);
    let accept = r#"{"action":"accept","content":{"n":500}}"#;
    // no permit, and another rule that forbids: neither is about the answer
    let mut ask_rules = rules(READS_ANSWERS);
    let mut ask = Ask::new(&ask_rules, bot.clone());
    ask.now = decision::Timestamp(ask.now.0 + 2 * 86_400_000_000);
    allowed(ask.answer("payments", "elicitation/create", r#"{"action":"accept","content":{"n":5}}"#), &[]);
    assert_eq!(reason(&ask.answer("payments", "elicitation/create", accept)), Some(Reason::Forbidden));
    assert_eq!(
        reason(&ask.call("elicitation/create", ItemKind::Question, "payments", "elicitation/create", "")),
        Some(Reason::Forbidden)
    );
    // the user behind the agent is asked too
    ask_rules = rules(
        r#"@id("ada") @because("b") forbid (principal == User::"ada", action in Action::"kind:question", resource)
        when { context has answer && context.answer.bytes > 10 };"#,
    );
    allowed(Ask::new(&ask_rules, bot.clone()).answer("payments", "roots/list", accept), &[]);
    let behind = Ask::new(&ask_rules, on_behalf(bot.clone(), "ada", &[]));
    assert_eq!(reason(&behind.answer("payments", "roots/list", accept)), Some(Reason::Forbidden));
    // the question itself is none
    let permitted = rules(&format!("{PERMIT_ALL}{READS_ANSWERS}"));
    allowed(
        Ask::new(&permitted, bot.clone()).call(
            "elicitation/create",
            ItemKind::Question,
            "payments",
            "elicitation/create",
            "",
        ),
        &["all"],
    );
    // what cannot be read, or is about no question, is not allowed
    let ask = Ask::new(&permitted, bot);
    assert_eq!(reason(&ask.answer("payments", "elicitation/create", "{")), Some(Reason::ArgumentUnfit));
    assert_eq!(reason(&ask.answer("payments", "tools/call", accept)), Some(Reason::NoItem));
    assert_eq!(reason(&ask.answer("nowhere", "roots/list", accept)), Some(Reason::NoItem));
}

#[test]
fn no_permit_reads_an_answer_and_no_tool_has_one() {
    for text in [
        r#"@id("a") permit (principal, action in Action::"kind:question", resource) when { context has answer };"#,
        r#"@id("a") @because("b") forbid (principal, action == Action::"payments__refund", resource) when { context.answer.bytes > 1 };"#,
        r#"@id("a") @because("b") forbid (principal, action in Action::"kind:question", resource) when { context.answer.bytes > 1 };"#,
        r#"@id("a") @because("b") forbid (principal, action in Action::"kind:question", resource) when { context has answer && context.answer.action == "accept" };"#,
    ] {
        assert!(load(text).is_err(), "{text}");
    }
}

#[test]
fn of_unsaid_arguments_only_what_is_certain_is_said() {
    let text = format!(
        "{PERMIT_ALL}
         @id(\"large\") @because(\"too much\") forbid(principal, action == Action::\"payments__refund\", resource)
         when {{ context.args.amount.greaterThan(decimal(\"500.0\")) }};
         @id(\"strangers\") @because(\"no\") forbid(principal == Agent::\"eve\", action, resource);
         @id(\"seen\") @because(\"risk looks\") @unless-approved(\"risk\")
         forbid(principal == Agent::\"watched\", action, resource);
         @id(\"other\") @because(\"no\") forbid(principal in Group::\"ops\", action in Action::\"server:payments\", resource)
         when {{ context.args has currency && context.args.currency == \"USD\" }};"
    );
    let policies = rules(&text);
    let unsaid = |name: &str, of: &[&str], tool: &str| {
        let said = Ask::new(&policies, agent(name, of)).unsaid("payments", tool);
        (said.otherwise, said.rules.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let (answer, open) = unsaid("bot", &[], "refund");
    allowed(answer, &["all"]);
    assert_eq!(open, ["large"]);
    assert_eq!(unsaid("bot", &["ops"], "refund").1, ["large", "other"]);
    // a tool that has no such argument does not hang on it
    let (answer, open) = unsaid("bot", &["ops"], "get_invoice");
    allowed(answer, &["all"]);
    assert!(open.is_empty(), "{open:?}");
    assert_eq!(reason(&unsaid("eve", &[], "refund").0), Some(Reason::Forbidden));
    held(unsaid("watched", &[], "refund").0, &["risk"]);
    // and whoever is behind it may have rules of their own
    let both =
        Ask::new(&policies, on_behalf(agent("bot", &[]), "alice", &["ops"])).unsaid("payments", "refund");
    assert_eq!(both.rules.len(), 2, "{both:?}");
}
