//! Laws that hold for every set of rules, checked on random ones.
//!
//! The oracle asks Cedar about the whole set, with entities and groups written down here by hand: it shares no
//! code with slices, memos or the translation of catalogues.

use crate::world::{Ask, agent, load, on_behalf, user};
use cedar_policy::{
    Authorizer, Context, Decision, Entities, EntityUid, Policy, PolicyId, PolicySet, Request, Response,
};
use decision::approval::Need;
use decision::{Actor, ItemKind, Principal};
use policy::{Answer, Asker, Policies, Subject};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::str::FromStr;

const TOOLS: [(&str, &str, &[&str], &str); 4] = [
    ("payments", "get_invoice", &["effect:read", "tier:low"], r#"{"id":"1"}"#),
    ("payments", "refund", &["effect:write", "tier:critical", "category:financial"], ""),
    (
        "payments",
        "close_account",
        &["effect:destructive", "tier:high", "category:financial"],
        r#"{"id":"1"}"#,
    ),
    ("docs", "search", &["effect:write", "tier:high"], r#"{"query":"x"}"#),
];

#[derive(Debug, Clone)]
struct Statement {
    permit: bool,
    cure: Option<&'static str>,
    scope: String,
    condition: &'static str,
}

impl Statement {
    fn text(&self, id: usize) -> String {
        let Self { permit, cure, scope, condition } = self;
        let cure = cure.map(|group| format!("@unless-approved(\"{group}\")")).unwrap_or_default();
        let effect = if *permit { "permit" } else { "forbid" };
        format!("@id(\"r{id}\") @because(\"b\") {cure} {effect}({scope}) {condition};")
    }
    fn loads(&self) -> bool {
        load(&self.text(0)).is_ok()
    }
}

fn text(statements: &[Statement]) -> String {
    statements.iter().enumerate().map(|(id, s)| s.text(id)).collect::<Vec<_>>().join("\n")
}

fn loaded(statements: &[Statement]) -> Policies {
    load(&text(statements)).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn statement(permit: impl Strategy<Value = bool>) -> impl Strategy<Value = Statement> {
    let principal = prop::sample::select(vec![
        "principal",
        "principal",
        "principal",
        "principal == Agent::\"bot\"",
        "principal is User",
        "principal in Group::\"ops\"",
        "principal is User in Group::\"ops\"",
        "principal == User::\"alice\"",
    ]);
    let action = prop::sample::select(vec![
        "action",
        "action",
        "action == Action::\"payments__refund\"",
        "action in Action::\"payments__refund\"",
        "action in [Action::\"payments__get_invoice\", Action::\"docs__search\"]",
        "action in Action::\"server:payments\"",
        "action in [Action::\"effect:destructive\", Action::\"category:financial\"]",
        "action in Action::\"tier:high\"",
        "action in Action::\"kind:tool\"",
    ]);
    let resource = prop::sample::select(vec![
        "resource",
        "resource",
        "resource is Tool",
        "resource in Server::\"payments\"",
        "resource == Tool::\"payments__refund\"",
        "resource is Tool in Server::\"docs\"",
    ]);
    let condition = prop::sample::select(vec![
        "",
        "when { context.args has count && context.args.count * 4611686018427387904 > 5 }",
        "when { context.args has currency && context.args.currency == \"USD\" }",
        "when { context.args has count && context.args.count * 4611686018427387904 > 5 }",
        "unless { context.now.hour < 18 }",
        "unless { context has host && context.host == \"good\" }",
        "when { context.environment == \"local\" }",
    ]);
    let cure = prop::option::of(prop::sample::select(vec!["finance", "risk"]));
    (permit, principal, action, resource, condition, cure).prop_map(
        |(permit, principal, action, resource, condition, cure)| {
            let allowed =
                condition.is_empty() || condition.contains("host") || condition.contains("environment");
            Statement {
                permit,
                cure: cure.filter(|_| !permit),
                scope: format!("{principal}, {action}, {resource}"),
                condition: if permit && !allowed { "" } else { condition },
            }
        },
    )
}

fn statements() -> impl Strategy<Value = Vec<Statement>> {
    prop::collection::vec(statement(any::<bool>()), 0..7)
        .prop_map(|all| all.into_iter().filter(Statement::loads).collect())
}

#[derive(Debug, Clone)]
struct Situation {
    principal: Principal,
    host: Option<&'static str>,
    tool: usize,
    arguments: String,
}

fn situation() -> impl Strategy<Value = Situation> {
    let principal = prop::sample::select(vec![
        agent("bot", &[]),
        agent("bot", &["ops"]),
        agent("other", &["ops", "x"]),
        user("alice", &[]),
        user("bob", &["ops"]),
        on_behalf(agent("bot", &["ops"]), "alice", &[]),
        on_behalf(agent("bot", &[]), "bob", &["ops"]),
    ]);
    let host = prop::sample::select(vec![None, Some("good"), Some("bad")]);
    let currency = prop::sample::select(vec!["EUR", "USD"]);
    let count = prop::sample::select(vec![None, Some(1), Some(2), Some(2)]);
    (principal, host, prop::sample::select(vec![0, 1, 1, 1, 1, 2, 3]), currency, count).prop_map(
        |(principal, host, tool, currency, count)| {
            let mut refund = json!({"amount": 1, "currency": currency});
            if let Some(count) = count {
                refund["count"] = json!(count);
            }
            let arguments = if tool == 1 { refund.to_string() } else { TOOLS[tool].3.to_owned() };
            Situation { principal, host, tool, arguments }
        },
    )
}

impl Situation {
    fn call(&self, policies: &Policies) -> Answer {
        let (server, tool, ..) = TOOLS[self.tool];
        self.ask(policies).tool(server, tool, &self.arguments)
    }
    fn see(&self, policies: &Policies) -> Answer {
        let (server, tool, ..) = TOOLS[self.tool];
        self.ask(policies).see(ItemKind::Tool, server, tool)
    }
    fn ask<'a>(&self, policies: &'a Policies) -> Ask<'a> {
        Ask { host: self.host, ..Ask::new(policies, self.principal.clone()) }
    }

    /// What the whole set says, to everybody who must be allowed.
    fn oracle(&self, statements: &[Statement]) -> u8 {
        let Principal { actor, groups, user, .. } = &self.principal;
        let names = |groups: &std::collections::BTreeSet<decision::GroupName>| {
            groups.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let mut ranks = vec![match actor {
            Actor::Agent(name) => self.oracle_for(statements, "Agent", name.as_str(), &names(groups)),
            Actor::User(name) => self.oracle_for(statements, "User", name.as_str(), &names(groups)),
            Actor::Workload(_) | Actor::Server(_) | Actor::Gateway | Actor::Unknown => 0,
        }];
        if let Some(user) = user {
            ranks.push(self.oracle_for(statements, "User", user.name.as_str(), &names(&user.groups)));
        }
        ranks.into_iter().min().unwrap()
    }

    fn oracle_for(&self, statements: &[Statement], kind: &str, name: &str, groups: &[String]) -> u8 {
        let (server, tool, classes, _) = TOOLS[self.tool];
        let federated = format!("{server}__{tool}");
        let uid = |of: &str, id: &str| json!({"type": of, "id": id});
        let action_groups: Vec<Value> = classes
            .iter()
            .map(|c| (*c).to_owned())
            .chain([format!("server:{server}"), "kind:tool".to_owned()])
            .map(|group| uid("Action", &group))
            .collect();
        let groups: Vec<Value> = groups.iter().map(|group| uid("Group", group)).collect();
        let entities = json!([
            {"uid": uid(kind, name), "attrs": {}, "parents": groups},
            {"uid": uid("Action", &federated), "attrs": {}, "parents": action_groups},
            {"uid": uid("Tool", &federated), "attrs": {}, "parents": [uid("Server", server)]},
        ]);
        let entities = Entities::from_json_value(entities, None).unwrap();
        let mut context = json!({
            "environment": "local", "transport": "http", "era": "none",
            "now": {"epoch": 1_795_185_000, "hour": 14, "weekday": 5},
            "args": serde_json::from_str::<Value>(&self.arguments).unwrap(),
        });
        if let Some(host) = self.host {
            context["host"] = json!(host);
        }
        let of = |of: &str, id: &str| EntityUid::from_json(uid(of, id)).unwrap();
        let context = Context::from_json_value(context, None).unwrap();
        let (who, what, of_what) = (of(kind, name), of("Action", &federated), of("Tool", &federated));
        let request = Request::new(who, what, of_what, context, None).unwrap();
        let ask = |with_curable: bool| -> Response {
            let mut set = PolicySet::new();
            for (id, statement) in
                statements.iter().enumerate().filter(|(_, s)| with_curable || s.cure.is_none())
            {
                let cedar = statement.text(id).replace("@unless-approved", "@unless_approved");
                set.add(Policy::parse(Some(PolicyId::from_str(&format!("r{id}")).unwrap()), cedar).unwrap())
                    .unwrap();
            }
            Authorizer::new().is_authorized(&request, &set, &entities)
        };
        let all = ask(true);
        if all.diagnostics().errors().next().is_some() {
            return 0;
        }
        if all.decision() == Decision::Allow {
            return 2;
        }
        let curable = |id: &PolicyId| {
            let id: &str = id.as_ref();
            statements[id.trim_start_matches('r').parse::<usize>().unwrap()].cure.is_some()
        };
        let liftable = all.diagnostics().reason().next().is_some() && all.diagnostics().reason().all(curable);
        u8::from(liftable && ask(false).decision() == Decision::Allow)
    }
}

/// 0 refused, 1 held, 2 allowed.
fn rank(answer: &Answer) -> u8 {
    match answer {
        Answer::Refused { .. } => 0,
        Answer::Held(_) => 1,
        Answer::Allowed { .. } => 2,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn a_slice_decides_as_the_whole_set_does(
        statements in statements(),
        situations in prop::collection::vec(situation(), 24),
    ) {
        let policies = loaded(&statements);
        for situation in situations {
            let answer = situation.call(&policies);
            prop_assert_eq!(rank(&answer), situation.oracle(&statements), "{:?}\n{}\n{:?}", situation, text(&statements), answer);
        }
    }

    #[test]
    fn a_forbid_never_widens_curable_or_not(
        statements in statements(),
        forbid in statement(Just(false)).prop_filter("loads", Statement::loads),
        situations in prop::collection::vec(situation(), 24),
    ) {
        let before = loaded(&statements);
        let after = loaded(&[statements.as_slice(), &[forbid]].concat());
        for situation in situations {
            let (was, is) = (situation.call(&before), situation.call(&after));
            prop_assert!(rank(&is) <= rank(&was), "{situation:?}: {was:?} became {is:?}");
            if let (Answer::Held(was), Answer::Held(is)) = (&was, &is) {
                let needed = |need: &Need| is.cure.needs.iter().any(|n| n.group == need.group && n.count >= need.count);
                prop_assert!(was.cure.needs.iter().all(needed) && is.cure.apart >= was.cure.apart);
            }
            let (was, is) = (situation.see(&before), situation.see(&after));
            prop_assert!(rank(&is) <= rank(&was), "{situation:?}: {was:?} became {is:?}");
        }
    }

    #[test]
    fn what_may_be_called_or_held_may_be_seen(
        statements in statements(),
        situations in prop::collection::vec(situation(), 24),
    ) {
        let policies = loaded(&statements);
        for situation in situations {
            if rank(&situation.call(&policies)) > 0 {
                prop_assert_eq!(rank(&situation.see(&policies)), 2, "{:?}\n{}", situation, text(&statements));
            }
        }
    }

    #[test]
    fn who_asks_about_many_items_is_told_the_same_of_each(
        statements in statements(),
        situation in situation(),
    ) {
        let (policies, whole) = (loaded(&statements), loaded(&statements));
        let asker = Asker { principal: &situation.principal, host: None };
        let mut left = usize::MAX;
        for (server, entry) in policies.catalogue().servers() {
            for item in entry.items() {
                let subject = Subject { server, kind: item.definition.kind(), name: item.definition.name() };
                let expected = whole.see(asker, subject).is_allowed();
                prop_assert_eq!(policies.sees(asker, subject, &mut left), Some(expected), "{:?}", subject);
            }
        }
    }

    #[test]
    fn asking_twice_gives_the_same_answer(
        statements in statements(),
        situations in prop::collection::vec(situation(), 12),
    ) {
        let policies = loaded(&statements);
        let first: Vec<_> = situations.iter().map(|s| (s.call(&policies), s.see(&policies))).collect();
        let second: Vec<_> = situations.iter().map(|s| (s.call(&policies), s.see(&policies))).collect();
        prop_assert_eq!(&first, &second);
        let fresh = loaded(&statements);
        for (situation, kept) in situations.iter().zip(&first).rev() {
            prop_assert_eq!(&(situation.call(&fresh), situation.see(&fresh)), kept);
        }
    }
}
