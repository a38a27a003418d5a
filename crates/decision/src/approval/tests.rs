use super::*;
use crate::{
    Actor, AgentName, ApprovalId, Digest, Environment, Item, ItemKind, Principal, ServerName, Target,
    TenantId, User,
};
use proptest::prelude::*;
use std::sync::Arc;

const EXPIRES: Timestamp = Timestamp(1_000);

fn group(name: &str) -> GroupName {
    GroupName::new(name).unwrap()
}
fn person(name: &str) -> UserName {
    UserName::new(name).unwrap()
}
fn groups(names: &[&str]) -> BTreeSet<GroupName> {
    names.iter().map(|name| group(name)).collect()
}
fn voter(name: &str, of: &[&str]) -> Voter {
    Voter { person: person(name), since: Timestamp(0), groups: groups(of), lent: BTreeMap::new() }
}
fn lender(name: &str, of: &[&str]) -> Lender {
    Lender { person: person(name), groups: groups(of) }
}
fn yes(voter: Voter) -> Step {
    Step::Vote { voter, yes: true, reason: None }
}
fn call(n: u8) -> CallId {
    CallId::new(Timestamp(1), [n; 10])
}
fn deed(n: u8) -> DeedId {
    DeedId::new(Timestamp(1), [n; 10])
}
fn terms(n: u8) -> Terms {
    Terms {
        principal: Arc::new(Principal {
            tenant: TenantId::default(),
            environment: Environment::default(),
            actor: Actor::Agent(AgentName::new("bot").unwrap()),
            groups: BTreeSet::new(),
            user: Some(User { name: person("alice"), groups: groups(&["support", "finance"]) }),
        }),
        host: Some("editor".to_owned()),
        method: "tools/call".to_owned(),
        target: Target {
            server: ServerName::new("crm").unwrap(),
            item: Item { kind: ItemKind::Tool, name: "refund".to_owned() },
            definition: Some(Digest::of(b"d")),
        },
        arguments: Digest::of(&[n]),
        by_value: None,
        policy: Digest::of(b"p"),
    }
}
fn proposed(cure: &str) -> Approval {
    let ids = (ApprovalId::new(Timestamp(1), [0; 10]), deed(0), call(0));
    Approval::proposed(ids, terms(0), cure.parse().unwrap(), (Timestamp(1), EXPIRES))
}
fn spend(n: u8) -> Step {
    spend_with(
        n,
        vec![
            voter("bob", &["finance"]),
            voter("carol", &["finance", "security"]),
            voter("dave", &["security"]),
        ],
    )
}
fn spend_with(n: u8, people: Vec<Voter>) -> Step {
    Step::Spend { call: call(n), deed: deed(n), terms: terms(0), log: "l".to_owned(), people }
}

fn back(n: u8) -> Step {
    Step::GiveBack { call: call(n), superseded: false }
}

#[test]
fn what_is_not_kept_goes_with_the_end_and_not_before() {
    let one = Approval { forgets: true, ..proposed("finance") };
    let shown = Preview { arguments: "{}".to_owned(), summary: "refund 7".to_owned(), ..Preview::default() };
    let one = Approval { preview: shown.clone(), ..one };
    let expired = one.after(Step::Expire, one.expires_at).unwrap();
    assert_eq!((expired.state, expired.preview.arguments.as_str()), (State::Expired, ""));
    assert!(!expired.preview.summary.contains('7'), "{}", expired.preview.summary);
    let going = Approval { state: State::Executing, ..one.clone() };
    let back = going.after(Step::GiveBack { call: one.call, superseded: false }, one.proposed_at).unwrap();
    assert_eq!((back.state, &back.preview), (State::Approved, &shown), "it waits again");
    let over = going.after(Step::Settle { end: Settled::Executed }, one.proposed_at).unwrap();
    assert_eq!(over.preview.arguments, "");
    let kept = Approval { forgets: false, ..one };
    assert_eq!(kept.after(Step::Expire, kept.expires_at).unwrap().preview, shown);
}

#[test]
fn a_cure_says_who_and_how_many() {
    for (text, back) in [
        ("finance", Some("finance")),
        ("2 of finance", Some("2 of finance")),
        ("security and 2 of finance", Some("2 of finance and security")),
        ("1 of finance", Some("finance")),
        ("", None),
        ("0 of finance", None),
        ("10 of finance", None),
        ("finance and finance", None),
        ("two of finance", None),
        ("finance or security", None),
    ] {
        let read = text.parse::<Cure>().ok().map(|cure| cure.to_string());
        assert_eq!(read.as_deref(), back, "{text}");
    }
    let both = "2 of finance".parse::<Cure>().unwrap().and("finance and security".parse().unwrap());
    assert_eq!(both.to_string(), "2 of finance and security", "the stricter of each");
}

#[test]
fn the_right_peoples_yes_is_spent_once() {
    let now = Timestamp(10);
    let one = proposed("finance");
    assert_eq!(one.after(spend(1), now), Err(Unfit::NotApproved(State::Proposed)));
    let approved = one.after(yes(voter("bob", &["finance"])), now).unwrap();
    assert_eq!(approved.state, State::Approved);
    let spent = approved.after(spend(1), now).unwrap();
    assert_eq!((spent.state, spent.call), (State::Executing, call(1)));
    assert_eq!(spent.after(spend(2), now), Err(Unfit::NotApproved(State::Executing)));
    assert_eq!(spent.after(back(2), now), Err(Unfit::NotExecuting), "not its own");
    let again = spent.after(back(1), now).unwrap();
    assert_eq!(again.state, State::Approved, "nothing left, so it is good again");
    let late = spent.after(back(1), EXPIRES).unwrap();
    assert_eq!(late.state, State::Expired);
    let twin = spent.after(Step::GiveBack { call: call(1), superseded: true }, now).unwrap();
    assert_eq!(twin.state, State::Cancelled, "people are asked about the same again");
    let done = spent.after(Step::Settle { end: Settled::Executed }, now).unwrap();
    assert_eq!(done.state, State::Executed);
    for step in [spend(3), back(1), Step::Settle { end: Settled::Failed }] {
        assert!(done.after(step, now).is_err());
    }
}

#[test]
fn each_message_of_a_deed_leaves_once() {
    let now = Timestamp(10);
    let approved = proposed("finance").after(yes(voter("bob", &["finance"])), now).unwrap();
    let leg = |n: u8, leg: u32| Step::Leg { deed: deed(n), leg };
    assert!(approved.after(leg(0, 1), now).is_err(), "nothing was spent");
    let spent = approved.after(spend(1), now).unwrap();
    assert!(spent.after(leg(2, 1), now).is_err(), "another deed");
    let second = spent.after(leg(1, 2), now).unwrap();
    assert!(second.after(leg(1, 2), now).is_err(), "a replay");
    assert!(second.after(leg(1, 1), now).is_err(), "an earlier one");
    let third = second.after(leg(1, 3), now).unwrap();
    assert_eq!((third.state, third.leg), (State::Executing, 3));
}

#[test]
fn a_deed_waits_for_its_next_message_until_then_and_no_longer() {
    let now = Timestamp(10);
    let spent = proposed("finance").after(yes(voter("bob", &["finance"])), now).unwrap();
    let spent = spent.after(spend(1), now).unwrap();
    assert!(spent.after(Step::GiveUp, Timestamp(u64::MAX)).is_err(), "it is on its way");
    let until = |n: u8, at: u64| Step::Await { deed: deed(n), until: Timestamp(at) };
    assert!(spent.after(until(2, 500), now).is_err(), "another deed");
    let waits = spent.after(until(1, 500), now).unwrap();
    assert!(waits.after(Step::GiveUp, Timestamp(499)).is_err());
    assert_eq!(waits.after(Step::GiveUp, Timestamp(500)).unwrap().state, State::Unknown);
    let went_on = waits.after(Step::Leg { deed: deed(1), leg: 1 }, Timestamp(499)).unwrap();
    assert!(went_on.after(Step::GiveUp, Timestamp(u64::MAX)).is_err(), "it came in time");
}

#[test]
fn who_may_not_decide_is_told_why() {
    let now = Timestamp(10);
    let one = proposed("finance");
    let refused = |one: &Approval, who: Voter| one.after(yes(who), now).unwrap_err();
    assert_eq!(refused(&one, voter("alice", &["finance"])), Unfit::OwnDeed);
    assert_eq!(refused(&one, voter("bob", &["support"])), Unfit::NotAsked(vec!["finance".to_owned()]));
    let apart = Approval { cure: Cure { apart: true, ..one.cure.clone() }, ..one.clone() };
    assert_eq!(refused(&apart, voter("bob", &["finance", "x"])), Unfit::OwnGroups(group("finance")));
    let lent = |by: &str| Voter {
        lent: BTreeMap::from([(group("finance"), vec![lender(by, &["finance"])])]),
        ..voter("bob", &["support"])
    };
    assert_eq!(refused(&one, lent("alice")), Unfit::NotAsked(vec!["finance".to_owned()]), "her own word");
    let by_carol = one.after(yes(lent("carol")), now).unwrap();
    assert_eq!(by_carol.state, State::Approved);
    assert_eq!(by_carol.votes[0].lent, BTreeMap::from([(group("finance"), person("carol"))]));
    let two = proposed("2 of finance").after(yes(voter("bob", &["finance"])), now).unwrap();
    assert_eq!(refused(&two, voter("bob", &["finance"])), Unfit::Decided(person("bob")));
    let late = one.after(yes(voter("bob", &["finance"])), EXPIRES);
    assert_eq!(late, Err(Unfit::Expired));
}

#[test]
fn a_no_ends_it_and_says_why() {
    let now = Timestamp(10);
    let no = Step::Vote {
        voter: voter("bob", &["finance"]),
        yes: false,
        reason: Some("wrong account".to_owned()),
    };
    let denied = proposed("2 of finance").after(no, now).unwrap();
    assert_eq!(denied.state, State::Denied);
    assert_eq!(denied.denial().unwrap().reason.as_deref(), Some("wrong account"));
    let again = denied.after(yes(voter("carol", &["finance"])), now);
    assert_eq!(again, Err(Unfit::Over(State::Denied)));
}

#[test]
fn every_bound_part_that_changes_is_named() {
    let now = Timestamp(10);
    let approved = proposed("finance").after(yes(voter("bob", &["finance"])), now).unwrap();
    let mut others: Vec<(Part, Terms)> = Vec::new();
    let mut add = |part, change: &dyn Fn(&mut Terms)| {
        let mut other = terms(0);
        change(&mut other);
        others.push((part, other));
    };
    add(Part::Principal, &|t| Arc::make_mut(&mut t.principal).user = None);
    add(Part::Principal, &|t| Arc::make_mut(&mut t.principal).groups = groups(&["more"]));
    add(Part::Host, &|t| t.host = None);
    add(Part::Method, &|t| t.method = "prompts/get".to_owned());
    add(Part::Server, &|t| t.target.server = ServerName::new("bank").unwrap());
    add(Part::Item, &|t| t.target.item.name = "refund-all".to_owned());
    add(Part::Definition, &|t| t.target.definition = Some(Digest::of(b"e")));
    add(Part::Arguments, &|t| t.arguments = Digest::of(b"other"));
    add(Part::Policy, &|t| t.policy = Digest::of(b"q"));
    for (part, other) in others {
        let Step::Spend { call, deed, log, people, .. } = spend(1) else { panic!() };
        let step = Step::Spend { call, deed, terms: other.clone(), log, people };
        assert_eq!(approved.after(step, now), Err(Unfit::Changed(part)));
        assert_ne!(other.digest(), terms(0).digest());
        let same_subject =
            matches!(part, Part::Definition | Part::Policy) || !other.principal.groups.is_empty();
        assert_eq!(other.subject() == terms(0).subject(), same_subject, "{part}");
    }
    let void = approved.after(Step::Void { part: Part::Policy }, now).unwrap();
    assert_eq!((void.state, void.ended.unwrap().changed), (State::Cancelled, Some(Part::Policy)));
}

#[test]
fn a_yes_counts_only_for_what_its_person_may_still_decide_when_it_is_used() {
    let now = Timestamp(10);
    let bob = || voter("bob", &["finance"]);
    let carol = |of: &[&str]| voter("carol", of);
    let changed = Err(Unfit::Changed(Part::Votes));
    let one = proposed("finance").after(yes(bob()), now).unwrap();
    assert_eq!(one.after(spend_with(1, vec![]), now), changed, "he is gone");
    assert_eq!(one.after(spend_with(1, vec![voter("bob", &["support"])]), now), changed, "of another group");
    assert!(one.after(spend_with(1, vec![voter("bob", &["finance", "more"])]), now).is_ok());
    let mut apart = one;
    apart.cure.apart = true;
    assert_eq!(apart.after(spend_with(1, vec![bob()]), now), changed, "he shares a group with the asker now");
    // one of two who can be counted for either
    let both = proposed("finance and security").after(yes(bob()), now).unwrap();
    let both = both.after(yes(carol(&["finance", "security"])), now).unwrap();
    assert_eq!(both.state, State::Approved);
    assert_eq!(both.after(spend_with(1, vec![bob(), carol(&["finance"])]), now), changed);
    assert!(both.after(spend_with(1, vec![bob(), carol(&["security"])]), now).is_ok());
    // for what she has only since, nobody heard her
    let later = vec![voter("bob", &["support"]), carol(&["finance", "security"])];
    assert_eq!(both.after(spend_with(1, later), now), changed);
    // whoever has the name by now never said it
    let added = |at| vec![bob(), Voter { since: Timestamp(at), ..carol(&["security"]) }];
    assert_eq!(both.after(spend_with(1, added(11)), now), changed);
    assert!(both.after(spend_with(1, added(10)), now).is_ok());
    // what was lent counts while it is lent
    let lent = |to: &[&str]| Voter {
        lent: to.iter().map(|of| (group(of), vec![lender("carol", to)])).collect(),
        ..voter("erin", &["support"])
    };
    let one = proposed("finance").after(yes(lent(&["finance"])), now).unwrap();
    assert_eq!(one.after(spend_with(1, vec![lent(&[])]), now), changed, "taken back");
    assert!(one.after(spend_with(1, vec![lent(&["finance"])]), now).is_ok());
}

#[test]
fn a_loan_is_one_voice_with_its_lender() {
    let now = Timestamp(10);
    let borrows = |name: &str, from: &[&str]| Voter {
        lent: BTreeMap::from([(
            group("finance"),
            from.iter().map(|one| lender(one, &["finance", "hr"])).collect(),
        )]),
        ..voter(name, &["support"])
    };
    let carol = || voter("carol", &["finance", "security"]);
    let two = proposed("2 of finance");
    let one = two.after(yes(borrows("bob", &["carol"])), now).unwrap();
    assert_eq!(one.progress(), [1]);
    // through a second loan of hers, nobody is heard
    let again = one.after(yes(borrows("erin", &["carol"])), now);
    assert_eq!(again, Err(Unfit::Counted(person("carol"))));
    // she herself is, but for both of them
    let both = one.after(yes(carol()), now).unwrap();
    assert_eq!((both.state, both.progress()), (State::Proposed, vec![1]));
    let late = both.after(yes(borrows("erin", &["carol"])), now);
    assert_eq!(late, Err(Unfit::Counted(person("carol"))), "she has decided");
    // nor may she decide for one group, and lend the other
    let each = proposed("finance and security").after(yes(borrows("bob", &["carol"])), now).unwrap();
    assert_eq!(each.after(yes(carol()), now).unwrap().state, State::Proposed);
    // somebody else's loan is another voice
    let other = both.after(yes(borrows("erin", &["carol", "dave"])), now).unwrap();
    assert_eq!((other.state, other.votes[2].lent[&group("finance")].as_str()), (State::Approved, "dave"));
    // what is kept is not believed
    let mut forged = two;
    forged.votes = vec![one.votes[0].clone(), Vote { person: person("erin"), ..one.votes[0].clone() }];
    assert_eq!(forged.progress(), [1]);
    forged.state = State::Approved;
    let spent =
        forged.after(spend_with(1, vec![borrows("bob", &["carol"]), borrows("erin", &["carol"])]), now);
    assert_eq!(spent, Err(Unfit::NotApproved(State::Proposed)));
}

#[test]
fn who_is_not_apart_from_the_asker_cannot_lend() {
    let now = Timestamp(10);
    let mut one = proposed("security");
    one.cure.apart = true;
    let borrows = |of: &[&str]| Voter {
        lent: BTreeMap::from([(group("security"), vec![lender("carol", of)])]),
        ..voter("bob", &["guests"])
    };
    let near = one.after(yes(borrows(&["security", "finance"])), now);
    assert_eq!(near, Err(Unfit::NotAsked(vec!["security".to_owned()])), "alice is in finance too");
    let far = one.after(yes(borrows(&["security"])), now).unwrap();
    assert!(far.after(spend_with(1, vec![borrows(&["security"])]), now).is_ok());
    let since = far.after(spend_with(1, vec![borrows(&["security", "finance"])]), now);
    assert_eq!(since, Err(Unfit::Changed(Part::Votes)));
}

#[test]
fn who_stood_in_after_a_while_counts_when_it_is_used() {
    let mut one = proposed("finance");
    one.cure.needs[0].escalation = Some(Escalation { at: Timestamp(500), to: group("board") });
    let dave = || voter("dave", &["board"]);
    let approved = one.after(yes(dave()), Timestamp(500)).unwrap();
    assert!(approved.after(spend_with(1, vec![dave()]), Timestamp(501)).is_ok());
}

#[test]
fn who_could_lift_a_rule_is_known_without_asking_them() {
    let now = Timestamp(10);
    let asker = terms(0).principal;
    let people = [voter("alice", &["finance"]), voter("bob", &["finance"]), voter("erin", &["support"])];
    let names = |found: &Curable| found.can.iter().map(|one| one.person.to_string()).collect::<Vec<_>>();
    let cure: Cure = "finance".parse().unwrap();
    let found = cure.among(&asker, &people, &[], now);
    assert_eq!((names(&found), found.enough), (vec!["bob".to_owned()], true));
    assert_eq!(found.cannot, [(person("alice"), Unfit::OwnDeed)], "erin is not asked at all");
    let two: Cure = "2 of finance".parse().unwrap();
    assert!(!two.among(&asker, &people, &[], now).enough, "bob alone is not two");
    let half = proposed("2 of finance").after(yes(voter("carol", &["finance"])), now).unwrap();
    let found = two.among(&asker, &people, &half.votes, now);
    assert_eq!(
        (names(&found), found.enough),
        (vec!["bob".to_owned()], true),
        "with who has said yes already"
    );
    let apart = Cure { apart: true, ..cure };
    let found = apart.among(&asker, &people, &[], now);
    assert_eq!(found.cannot[1], (person("bob"), Unfit::OwnGroups(group("finance"))));
    assert!(!found.enough);
}

#[test]
fn after_a_while_others_may_stand_in() {
    let mut one = proposed("finance");
    one.cure.needs[0].escalation = Some(Escalation { at: Timestamp(500), to: group("board") });
    let boss = || yes(voter("dave", &["board"]));
    assert!(matches!(one.after(boss(), Timestamp(499)), Err(Unfit::NotAsked(_))));
    assert_eq!(one.after(boss(), Timestamp(500)).unwrap().state, State::Approved);
}

/// Every way of giving people places, tried one by one.
fn by_hand(places: &[usize], votes: &[Vote], needs: &[Need]) -> bool {
    let Some((need, rest)) = places.split_first() else { return true };
    (0..votes.len()).any(|at| {
        let fits = votes[at].yes && votes[at].groups.contains(&needs[*need].group);
        let mut others = votes.to_vec();
        fits && by_hand(
            rest,
            {
                others.remove(at);
                &others
            },
            needs,
        )
    })
}

fn any_step() -> impl Strategy<Value = (u8, u8, u8)> {
    (0..8u8, 0..6u8, 0..8u8)
}

proptest! {
    #[test]
    fn people_are_counted_as_by_hand(
        cure in prop::sample::select(vec!["a", "2 of a", "a and b", "2 of a and b and c", "a and 3 of b"]),
        members in prop::collection::vec(prop::collection::btree_set(0..3usize, 0..=3), 0..6),
    ) {
        let cure: Cure = cure.parse().unwrap();
        let votes: Vec<Vote> = members.iter().enumerate().map(|(n, of)| Vote {
            person: person(&format!("p{n}")),
            groups: of.iter().map(|g| group(["a", "b", "c"][*g])).collect(),
            lent: BTreeMap::new(), yes: true, reason: None, at: Timestamp(1),
        }).collect();
        let places: Vec<usize> = cure.needs.iter().enumerate()
            .flat_map(|(n, need)| vec![n; need.count.into()]).collect();
        prop_assert_eq!(need::met(&cure.needs, &votes), by_hand(&places, &votes, &cure.needs));
    }

    /// Nothing leaves without a matching, unspent, unexpired yes of the right people, and nothing leaves twice.
    #[test]
    fn no_history_executes_twice_or_without_the_right_yes(
        steps in prop::collection::vec(any_step(), 0..40),
        cure in prop::sample::select(vec!["finance", "2 of finance", "finance and security"]),
    ) {
        let mut one = proposed(cure);
        let (mut now, mut left, mut over) = (10u64, 0, false);
        let people = ["alice", "bob", "carol", "dave", "erin", "frank"];
        let of: [&[&str]; 6] =
            [&["finance"], &["finance"], &["finance", "security"], &["security"], &["support"], &[]];
        for (kind, who, n) in steps {
            now += u64::from(n) * 9;
            let who = usize::from(who);
            let step = match kind {
                0 | 1 => yes(voter(people[who], of[who])),
                2 => Step::Vote { voter: voter(people[who], of[who]), yes: false, reason: None },
                3 => Step::Revoke { by: "dave".to_owned(), reason: None },
                4 => Step::Expire,
                5 => Step::Spend { call: call(n), deed: deed(n), terms: terms(u8::from(who == 0)), log: "l".to_owned(),
                    // one of them may be gone by then
                    people: (0..6).filter(|at| *at != who || who == 0).map(|at| voter(people[at], of[at])).collect() },
                6 => Step::GiveBack { call: call(n), superseded: who == 0 },
                _ => Step::Settle { end: Settled::Unknown },
            };
            let before = one.clone();
            let Ok(after) = one.after(step.clone(), Timestamp(now)) else { continue };
            if let Step::Spend { terms: given, people: here, .. } = &step {
                let right: BTreeSet<_> = before.votes.iter()
                    .filter(|v| v.yes && here.iter().any(|one| one.person == v.person)).map(|v| &v.person).collect();
                prop_assert!(now < EXPIRES.0 && *given == terms(0) && !over);
                prop_assert!(!right.contains(&person("alice")) && before.votes.iter().all(|v| v.yes));
                prop_assert!(right.len() > usize::from(cure != "finance"));
                left += 1;
            }
            if matches!(step, Step::GiveBack { .. }) {
                left -= 1;
            }
            prop_assert!(left <= 1, "twice");
            over |= !after.state.is_open() && after.state != State::Executing;
            one = after;
        }
    }
}

#[test]
fn an_end_says_who_took_it_back_or_what_changed_and_why() {
    let end = |by: Option<&str>, reason: Option<&str>, changed| Ended {
        at: Timestamp(1),
        by: by.map(str::to_owned),
        reason: reason.map(str::to_owned),
        changed,
    };
    let said = [
        (end(Some("ann"), Some("too early"), None), "taken back by ann: too early"),
        (end(Some("ann"), None, None), "taken back by ann"),
        (end(None, None, Some(Part::Policy)), "void: the policies changed"),
        (end(None, Some("people are asked anew"), None), "people are asked anew"),
    ];
    for (ended, told) in said {
        assert_eq!(ended.to_string(), told);
    }
}

#[test]
fn whoever_decides_is_warned_first_that_the_same_was_done_before_whatever_became_of_the_arguments() {
    let said = "the same call was approved before".to_owned();
    let before = Some(Before { approval: crate::ApprovalId::new(Timestamp(1), [1; 10]), said: said.clone() });
    let preview = Preview { labels: vec!["odd".to_owned()], before, ..Preview::default() };
    assert_eq!(preview.warnings(), [said.clone(), "odd".to_owned()]);
    let written = serde_json::to_string(&preview).unwrap();
    assert_eq!(serde_json::from_str::<Preview>(&written).unwrap(), preview);
    let forgotten = Approval { preview, ..proposed("finance") }.without_values("gone");
    assert_eq!(forgotten.preview.warnings(), [said]);
}
