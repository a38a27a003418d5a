//! What a yes to a server is bound to: everything that is known of it, and not what is only counted.

use callgate_catalog::observed::{Did, How, Observation};
use callgate_catalog::record::{Fact, Facts, Known, Record, Regime, State, ToolKnown, looked_at};
use callgate_catalog::{Effect, Origin, Said, Stands, Term, Tier, risk};
use decision::{CallId, Timestamp};
use std::collections::BTreeMap;

fn tool() -> ToolKnown {
    ToolKnown {
        name: "get".to_owned(),
        owner: None,
        effect: Effect::Read,
        tier: Tier::Low,
        documented: true,
        reads: true,
        approvals: Vec::new(),
        origin: Origin::Undeclared,
        said: Vec::new(),
        judged: (risk::Effect::None, Tier::Low, Vec::new()),
        observed: vec![observed(Did::Deleted, 1)],
    }
}

fn said() -> Said {
    let pattern = "get".to_owned();
    let (effect, tier, term) = (Effect::Read, Tier::Low, Term::default());
    Said { pattern, effect, tier, term, stands: Stands::default(), outlived: false }
}

fn observed(did: Did, call: u8) -> Observation {
    let at = Timestamp(u64::from(call));
    Observation { did, how: How::Flag, call: CallId::new(at, [call; 10]), at }
}

#[test]
fn each_thing_that_is_known_of_a_server_and_its_tools_counts_but_what_is_only_counted() {
    let of = |change: &dyn Fn(&mut Known)| {
        let mut known = Known { tools: vec![tool()], ..Known::default() };
        change(&mut known);
        looked_at(None, &Facts::default(), Some(&known))
    };
    let base = of(&|_| {});
    let why = || BTreeMap::from([("get".to_owned(), "why".to_owned())]);
    let granted: [&dyn Fn(&mut Known); 24] = [
        &|one| one.environment = "production".to_owned(),
        &|one| one.regime = Regime::Local,
        &|one| one.wiring = "url https://crm.example/mcp".to_owned(),
        &|one| one.credentials.push("key".to_owned()),
        &|one| one.version = Some("2".to_owned()),
        &|one| one.calls_itself.push("crm".to_owned()),
        &|one| one.seen = true,
        &|one| one.resources.push("a:b".to_owned()),
        &|one| one.prompts.push("ask".to_owned()),
        &|one| one.withheld = why(),
        &|one| one.unpinned = why(),
        &|one| {
            one.unoffered.insert("set".to_owned(), Tier::High);
        },
        &|one| one.tools.clear(),
        &|one| one.tools[0].name = "set".to_owned(),
        &|one| one.tools[0].owner = Some("Ada".to_owned()),
        &|one| one.tools[0].effect = Effect::Destructive,
        &|one| one.tools[0].tier = Tier::Critical,
        &|one| one.tools[0].documented = false,
        &|one| one.tools[0].reads = false,
        &|one| one.tools[0].approvals.push("finance".to_owned()),
        &|one| one.tools[0].origin = Origin::Operator,
        &|one| one.tools[0].judged.1 = Tier::High,
        &|one| one.tools[0].said.push(said()),
        &|one| one.tools[0].observed = vec![observed(Did::Sent, 1)],
    ];
    for (n, change) in granted.iter().enumerate() {
        assert_ne!(of(change), base, "{n}");
    }
    let counted: [&dyn Fn(&mut Known); 4] =
        [&|one| one.pending = 3, &|one| one.gone = 3, &|one| one.unread = 3, &|one| {
            one.tools[0].observed = vec![observed(Did::Deleted, 2)]
        }];
    for (n, change) in counted.iter().enumerate() {
        assert_eq!(of(change), base, "{n}");
    }
}

#[test]
fn a_record_is_another_in_another_state_and_with_other_facts() {
    let of = |state, owner: &str| {
        let mut facts = Facts::default();
        facts.set(Fact::Owner, owner).unwrap();
        let (changed_at, changed_by) = (Timestamp(1), "ann".to_owned());
        let record =
            Record { state, facts, approved: None, version: 1, changed_at, changed_by, because: None };
        looked_at(Some(&record), &Facts::default(), None)
    };
    let base = of(State::InReview, "Ada");
    assert_ne!(base, of(State::Suspended, "Ada"));
    assert_ne!(base, of(State::InReview, "Eve"));
    assert_eq!(base, of(State::InReview, "Ada"));
}
