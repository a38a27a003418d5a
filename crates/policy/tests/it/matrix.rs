//! Who can do what, in one table: a change of a rule, a group or a classification shows as a changed line (P7).

use crate::world::{agent, catalogue, load, on_behalf, principal, user};
use decision::{Actor, AgentName, ItemKind, Principal, ServerName, Transport};
use policy::{Answer, Asker, Circumstances, Question, Subject};
use std::fmt::Write as _;

const RULES: &str = r#"
@id("reads") permit(principal, action in Action::"effect:read", resource) when { resource has tier && resource.tier == "low" };
@id("support") permit(principal in Group::"support", action in Action::"server:payments", resource);
@id("docs") permit(principal is User, action in Action::"server:docs", resource);
@id("closing") @because("operations looks at it") @unless-approved("operations")
forbid(principal, action in Action::"effect:destructive", resource);
@id("workloads") @because("workloads touch no money")
forbid(principal is Workload, action in Action::"category:financial", resource);
"#;

fn principals() -> Vec<Principal> {
    let nightly = Actor::Workload(AgentName::new("nightly").unwrap());
    vec![
        agent("bot", &[]),
        agent("bot", &["support"]),
        user("alice", &[]),
        user("sam", &["support"]),
        on_behalf(agent("bot", &["support"]), "alice", &[]),
        on_behalf(agent("bot", &["support"]), "sam", &["support"]),
        principal(nightly, &["support"]),
        principal(Actor::Unknown, &["support"]),
    ]
}

/// `+` allowed, `?` held, `-` refused; first seeing, then calling.
fn mark(answer: &Answer) -> char {
    match answer {
        Answer::Allowed { .. } => '+',
        Answer::Held(_) => '?',
        Answer::Refused { .. } => '-',
    }
}

#[test]
fn the_matrix_is_what_was_reviewed() {
    let policies = load(RULES).unwrap_or_else(|problems| panic!("{problems:?}"));
    let mut table = String::new();
    for principal in principals() {
        let groups: Vec<_> = principal.groups.iter().map(ToString::to_string).collect();
        writeln!(table, "{} [{}]", principal.describe(), groups.join(" ")).unwrap();
        for row in policies.what_can(Asker { principal: &principal, host: None }) {
            let (method, arguments) = match row.kind {
                ItemKind::Tool if row.name == "refund" => ("tools/call", r#"{"amount":1,"currency":"EUR"}"#),
                ItemKind::Tool => ("tools/call", r#"{"id":"1"}"#),
                ItemKind::Prompt => ("prompts/get", "{}"),
                ItemKind::Resource | ItemKind::ResourceTemplate | ItemKind::Server | ItemKind::Question => {
                    ("resources/read", "{}")
                }
            };
            let question = Question {
                asker: Asker { principal: &principal, host: None },
                subject: Subject { server: &row.server, kind: row.kind, name: &row.name },
                method,
                arguments: arguments.as_bytes(),
                circumstances: Circumstances {
                    now: crate::world::FRIDAY_AFTERNOON,
                    transport: Transport::Http,
                    era: None,
                    model: None,
                    workflow: None,
                },
            };
            let [can] = policies.who_can(&question, [&principal]).try_into().unwrap();
            writeln!(
                table,
                "  {}{} {} {:?} {}",
                mark(&row.answer),
                mark(&can.answer),
                row.server,
                row.kind,
                row.name
            )
            .unwrap();
        }
    }
    insta::assert_snapshot!("matrix", table);
}

#[test]
fn a_rule_is_shown_as_it_was_written() {
    let policies = load(RULES).unwrap_or_else(|problems| panic!("{problems:?}"));
    let id = decision::RuleId::new("closing").unwrap();
    let view = policies.explain(&id).unwrap();
    assert_eq!((view.path, view.line), ("policies/test.cedar", 5));
    assert_eq!(view.unless_approved.map(ToString::to_string).as_deref(), Some("operations"));
    assert!(view.text.starts_with("@id(\"closing\")") && view.text.ends_with("resource);"), "{}", view.text);
    assert_eq!(policies.rules().count(), 5);
    assert!(policies.explain(&decision::RuleId::new("nobody").unwrap()).is_none());
    let servers = catalogue();
    assert_eq!(policies.catalogue().digest(), servers.digest());
    assert!(servers.server(&ServerName::new("idle").unwrap()).is_some());
}
