//! Rules that must not load, and what is said about them.

use crate::world::{catalogue, load};
use policy::{Loader, Source};
use proptest::prelude::*;

/// A rule that must not load: its text, what is said, the help, and the text on the line it points at.
#[track_caller]
fn refused(text: &str, message: &str, help: &str) {
    let problems = load(text).err().unwrap_or_else(|| panic!("it loads: {text}"));
    let hit = problems.iter().find(|p| p.to_string().contains(message));
    let hit = hit.unwrap_or_else(|| panic!("nobody says `{message}`: {problems:#?}"));
    assert!(hit.help.as_deref().unwrap_or_default().contains(help), "{hit:?}");
    assert!(hit.place().is_some(), "{hit:?}");
}

fn forbid(scope: &str, condition: &str) -> String {
    format!("@id(\"f\") @because(\"b\") forbid(principal, {scope}, resource) when {{ {condition} }};")
}

#[test]
fn a_name_that_does_not_exist_is_an_error_with_a_suggestion() {
    refused(
        "@id(\"a\") permit(principal, action == Action::\"payments__refnud\", resource);",
        "no action `payments__refnud`",
        "did you mean `payments__refund`?",
    );
    refused(
        "@id(\"a\") permit(principal, action in Action::\"effect:reed\", resource);",
        "no action `effect:reed`",
        "effect:read",
    );
    refused(
        "@id(\"a\") permit(principal, action in Action::\"server:paiments\", resource);",
        "no action",
        "server:payments",
    );
    refused(
        "@id(\"a\") permit(principal, action, resource == Tool::\"payments__refunds\");",
        "no tool",
        "payments__refund",
    );
    refused(
        "@id(\"a\") permit(principal, action, resource in Server::\"payment\");",
        "no server",
        "payments",
    );
    refused(
        "@id(\"a\") permit(principal, action, resource) when { action == Action::\"docs__serch\" };",
        "no action",
        "docs__search",
    );
    refused(
        "@id(\"a\") permit(principal, action in Action::\"payments\", resource);",
        "no action `payments`",
        "did you mean `server:payments`?",
    );
    refused("@id(\"a\") permit(principal == Robot::\"x\", action, resource);", "Robot", "");
    refused(
        "@id(\"a\") permit(principal in Gruop::\"x\", action, resource);",
        "Gruop",
        "did you mean `Group`?",
    );
    refused("@id(\"a\") permit(principal, action, resource == Toll::\"x\");", "Toll", "did you mean `Tool`?");
}

// Cedar says what is wrong with one rule in another order each time
#[test]
fn problems_are_told_in_the_order_of_the_text() {
    let names: Vec<String> = (0..12).map(|n| format!("nobody{n:02}")).collect();
    let wrong: Vec<String> = names.iter().map(|name| format!("context.args.{name} == 1")).collect();
    let text = forbid("action == Action::\"payments__refund\"", &wrong.join(" || "));
    for _ in 0..20 {
        let told: Vec<String> = load(&text).unwrap_err().iter().map(ToString::to_string).collect();
        let order: Vec<&String> =
            names.iter().filter(|name| told.iter().any(|t| t.contains(*name))).collect();
        let places: Vec<usize> =
            order.iter().map(|name| told.iter().position(|t| t.contains(*name)).unwrap()).collect();
        assert!(places.len() > 3 && places.is_sorted(), "{told:#?}");
    }
}

#[test]
fn an_argument_that_does_not_exist_or_has_another_type_is_an_error() {
    let refund = "action == Action::\"payments__refund\"";
    refused(&forbid(refund, "context.args.amuont == 1"), "amuont", "amount");
    refused(&forbid(refund, "context.args.currency == 1"), "", "");
    refused(&forbid(refund, "context.args.amount > 5"), "decimal", "");
    refused(&forbid(refund, "context.args.count > 5"), "count", "has");
    refused(
        &forbid("action in Action::\"category:financial\"", "context.args.currency == \"USD\""),
        "currency",
        "",
    );
}

#[test]
fn an_argument_that_no_rule_can_name_is_an_error_that_says_why() {
    let refund = "action == Action::\"payments__refund\"";
    refused(
        &forbid(refund, "context.args has note && context.args.note == \"x\""),
        "no rule can name the argument `note` of `payments__refund`: it may be null",
        "",
    );
}

#[test]
fn a_rule_that_can_never_match_is_an_error() {
    refused(
        &forbid("action == Action::\"payments__refund\"", "context.args.currency == \"USD\" && false"),
        "can never match",
        "",
    );
    refused(
        "@id(\"a\") permit(principal, action == Action::\"payments__refund\", resource is Prompt);",
        "can never match",
        "",
    );
    refused(
        &forbid(
            "action == Action::\"docs__search\"",
            "context.args has nothing && context.args.nothing == 1",
        ),
        "can never match",
        "",
    );
}

#[test]
fn ids_are_unique_over_all_files() {
    refused(
        "@id(\"a\") permit(principal, action, resource); @id(\"a\") permit(principal, action, resource);",
        "the id is taken",
        "",
    );
}

#[test]
fn every_problem_is_reported_at_once_with_its_line() {
    let problems = load("permit(principal, action, resource);\n\n  permit(principal;\n@id(\"a\") forbid(principal, action, resource);").unwrap_err();
    let places: Vec<_> = problems.iter().filter_map(|p| p.place().map(|(_, line, _)| line)).collect();
    assert_eq!(places, [1, 3, 4], "{problems:#?}");
    assert_eq!(problems[1].excerpt(), Some("  permit(principal;"));
}

#[test]
fn a_server_that_was_never_reached_is_a_warning_and_not_an_error() {
    let policies =
        load("@id(\"a\") permit(principal, action == Action::\"idle__anything\", resource);").unwrap();
    assert!(
        policies.warnings().iter().any(|w| w.message.contains("has no accepted definitions yet")),
        "{:?}",
        policies.warnings()
    );
    let said = policies.warnings().iter().filter(|w| w.to_string().contains("rule `a`")).count();
    assert_eq!(said, 1, "{:?}", policies.warnings());
}

#[test]
fn tools_that_a_wide_rule_does_not_really_guard_are_listed() {
    let text = forbid(
        "action in Action::\"category:financial\"",
        "context.args has currency && context.args.currency == \"USD\"",
    );
    let policies = load(&text).unwrap();
    let said: Vec<_> = policies.warnings().iter().map(ToString::to_string).collect();
    assert!(
        said.iter().any(|s| s.contains("`payments__close_account` lacks the argument `currency`")),
        "{said:#?}"
    );
    assert!(said.iter().any(|s| s.contains("nobody can see") && s.contains("`docs__search`")), "{said:#?}");
}

#[test]
fn an_empty_group_is_worth_a_warning() {
    let policies = load(&forbid("action in Action::\"category:execution\"", "true")).unwrap();
    assert!(
        policies.warnings().iter().any(|w| w.message.contains("matches nothing today")),
        "{:?}",
        policies.warnings()
    );
}

#[test]
fn the_digest_is_of_what_rules_say_and_not_of_how_it_is_written() {
    let a = load("@id(\"a\") permit(principal, action, resource);").unwrap().digest();
    assert_eq!(a, load("@id(\"a\") permit(principal, action, resource);").unwrap().digest());
    let said_otherwise = "// whoever reads this\n@id(\"a\")\n  permit (principal, action, resource); // all";
    assert_eq!(a, load(said_otherwise).unwrap().digest(), "a comment and blanks change no rule");
    for another in [
        "@id(\"b\") permit(principal, action, resource);",
        "@id(\"a\") @because(\"so\") permit(principal, action, resource);",
        "@id(\"a\") permit(principal is User, action, resource);",
    ] {
        assert_ne!(a, load(another).unwrap().digest(), "{another}");
    }
}

#[test]
fn a_reload_judges_only_what_changed() {
    let loader = Loader::default();
    let rule = |id: usize| {
        format!("@id(\"r{id}\") permit(principal, action in Action::\"server:payments\", resource);\n")
    };
    let load = |ids: &[usize]| {
        let text = ids.iter().map(|id| rule(*id)).collect();
        loader.load(vec![Source { path: "p.cedar".into(), text }], catalogue()).unwrap();
        format!("{loader:?}")
    };
    assert_eq!(load(&[1]), "Loader(1 schemas, 1 verdicts)");
    assert_eq!(load(&[1]), "Loader(1 schemas, 1 verdicts)");
    assert_eq!(load(&[2, 1]), "Loader(1 schemas, 2 verdicts)");
    assert_eq!(load(&[2]), "Loader(1 schemas, 2 verdicts)");
}

#[test]
fn a_verdict_that_was_kept_is_said_again_at_its_new_place() {
    let loader = Loader::default();
    let wrong = forbid("action == Action::\"payments__refund\"", "context.args.currency == 1");
    let place = |text: String| {
        let problems = loader.load(vec![Source { path: "p.cedar".into(), text }], catalogue()).unwrap_err();
        let (_, line, column) = problems[0].place().unwrap();
        (line, column, problems[0].message.clone())
    };
    let (line, column, message) = place(wrong.clone());
    assert_eq!(place(format!("\n\n {wrong}")), (line + 2, column + 1, message));
}

proptest! {
    #[test]
    fn no_text_breaks_the_loader_and_every_problem_is_somewhere(
        text in "(@id\\(\"[a-c]\"\\)|@because\\(\"x\"\\)|permit|forbid|[(){};,\"@/]|principal|action|resource|when|context| in |==|Action::\"effect:read\"|é|\n|[a-z]){0,30}"
    ) {
        if let Err(problems) = load(&text) {
            prop_assert!(!problems.is_empty());
            for problem in problems {
                prop_assert!(problem.place().is_some_and(|(_, line, _)| line >= 1 && line <= text.lines().count().max(1)), "{problem:?}");
                let shown = format!("{:?}", miette::Report::new(problem));
                prop_assert!(!shown.is_empty());
            }
        }
    }
}

#[test]
fn a_rule_that_nests_too_deep_is_refused_before_it_can_exhaust_the_stack() {
    let everything = "action";
    for deep in [
        format!("{}true{}", "(".repeat(20_000), ")".repeat(20_000)),
        vec!["true"; 20_000].join(" && "),
        format!("{}true{}", "if true then ".repeat(20_000), " else true".repeat(20_000)),
        "context".to_owned() + &".a".repeat(20_000),
        format!("{} true", "true } when {".repeat(20_000)),
        "(".repeat(20_000),
    ] {
        refused(&forbid(everything, &deep), "nests deeper than 64 levels", "several rules");
    }
}

/// The smallest stack rules are read on is that of a thread of tokio's pool. Optimised code needs far less than this.
#[test]
fn the_deepest_rules_that_are_read_leave_room_on_the_smallest_stack() {
    let small = std::thread::Builder::new().stack_size(2 << 20);
    let reading = small.spawn(|| {
        for (n, condition) in [
            (28, |n: usize| format!("{}true{}", "(".repeat(n), ")".repeat(n))),
            (56, |n: usize| vec!["true"; n].join(" && ")),
            (56, |n: usize| format!("{}true{}", "if true then ".repeat(n), " else true".repeat(n))),
        ] as [(usize, fn(usize) -> String); 3]
        {
            load(&forbid("action", &condition(n))).unwrap();
        }
    });
    reading.unwrap().join().unwrap();
}

#[test]
fn the_rule_that_is_advised_can_be_loaded() {
    let policies = load("@id(\"nobody\") @because(\"no\") forbid(principal, action, resource);").unwrap();
    let help = policies.warnings().iter().find_map(|one| one.unseen.as_ref().and(one.help.clone())).unwrap();
    let advised = help.split('`').nth(1).unwrap();
    load(advised).unwrap_or_else(|problems| panic!("{advised}: {problems:?}"));
}
