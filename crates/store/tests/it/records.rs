//! What is recorded of servers: its states, its facts, who decided.

use crate::bed::{Bed, elsewhere, home};
use crate::pins::sighting;
use catalog::record::{Fact, Facts, Grant, Known, Missing, State, Step};
use decision::{Clock as _, ServerName, Timestamp};
use futures::future::join_all;
use std::time::Duration;
use store::{Store, StoreError, Taking};

fn crm() -> ServerName {
    ServerName::new("crm").unwrap()
}

pub(crate) fn facts() -> Facts {
    let mut facts = Facts::default();
    for (fact, value) in [
        (Fact::Owner, "Ada"),
        (Fact::Team, "crm"),
        (Fact::Purpose, "customers"),
        (Fact::Repository, "https://git.example/crm"),
        (Fact::Classification, "internal"),
        (Fact::Limitations, "none known"),
        (Fact::SecurityReview, "2026-11-01"),
    ] {
        facts.set(fact, value).unwrap();
    }
    facts
}

fn known() -> Known {
    Known { wiring: "url https://crm.example".to_owned(), seen: true, ..Known::default() }
}

pub(crate) fn grant(until: Timestamp) -> Grant {
    known().grant(&facts(), until, None).unwrap()
}

fn by<'a>(step: Step, who: &'a str) -> Taking<'a> {
    Taking { step, by: who, because: None, facts: None, grant: None, seen: None }
}

async fn add(store: &Store) {
    let facts = facts();
    store.take_step(&home(), &crm(), &Taking { facts: Some(&facts), ..by(Step::Add, "ada") }).await.unwrap();
}

async fn state(store: &Store) -> Option<State> {
    store.record(&home(), &crm()).await.unwrap().map(|record| record.state)
}

pub(crate) async fn a_record_goes_its_way_and_every_step_is_kept(bed: &Bed) {
    let store = bed.store().await;
    assert_eq!(store.record(&home(), &crm()).await.unwrap(), None);
    add(&store).await;
    let until = Timestamp(bed.clock.now().0 + 1_000_000_000);
    let yes = grant(until);
    store.take_step(&home(), &crm(), &by(Step::Review, "bob")).await.unwrap();
    let approve = Taking { grant: Some(&yes), because: Some("reviewed"), ..by(Step::Approve, "carol") };
    let (change, record) = store.take_step(&home(), &crm(), &approve).await.unwrap();
    assert_eq!((change.from, change.to, change.until), (Some(State::InReview), State::Approved, Some(until)));
    assert_eq!(store.record(&home(), &crm()).await.unwrap(), Some(record.clone()), "as it was kept");
    assert_eq!(record.until(), Some(until));
    let approved = record.approved.as_ref().unwrap();
    assert_eq!((approved.by.as_str(), approved.wiring.as_str()), ("carol", "url https://crm.example"));
    let mut moved = facts();
    moved.set(Fact::Owner, "Grace").unwrap();
    store.take_step(&home(), &crm(), &Taking { facts: Some(&moved), ..by(Step::Set, "ada") }).await.unwrap();
    store.take_step(&home(), &crm(), &by(Step::Suspend, "eve")).await.unwrap();
    let record = store.record(&home(), &crm()).await.unwrap().unwrap();
    assert_eq!((record.state, record.until(), record.version), (State::Suspended, None, 5));
    assert_eq!(record.facts.get(Fact::Owner), Some("Grace"));
    store.take_step(&home(), &crm(), &by(Step::Retire, "eve")).await.unwrap();
    let (_, record) = store.take_step(&home(), &crm(), &by(Step::Add, "ada")).await.unwrap();
    assert_eq!((record.state, record.approved), (State::Candidate, None), "it begins anew");
    let steps = store.record_steps(&home(), &crm(), 100).await.unwrap();
    let told: Vec<_> = steps.iter().rev().map(|one| (one.step, one.by.as_str())).collect();
    assert_eq!(
        told,
        [
            (Step::Add, "ada"),
            (Step::Review, "bob"),
            (Step::Approve, "carol"),
            (Step::Set, "ada"),
            (Step::Suspend, "eve"),
            (Step::Retire, "eve"),
            (Step::Add, "ada"),
        ]
    );
    assert_eq!(steps[4].because.as_deref(), Some("reviewed"));
    assert_eq!(steps[3].facts, ["owner"]);
    assert_eq!(store.record_steps(&home(), &crm(), 2).await.unwrap().len(), 2);
}

pub(crate) async fn a_step_that_the_state_does_not_allow_changes_nothing(bed: &Bed) {
    let store = bed.store().await;
    let yes = grant(Timestamp(u64::MAX >> 1));
    for step in [Step::Approve, Step::Retire, Step::Set] {
        let taking = Taking { grant: Some(&yes), ..by(step, "ada") };
        let refused = store.take_step(&home(), &crm(), &taking).await;
        assert!(matches!(refused, Err(StoreError::Step { .. })), "{step:?}: {refused:?}");
    }
    assert_eq!(state(&store).await, None);
    add(&store).await;
    let approve = Taking { grant: Some(&yes), ..by(Step::Approve, "ada") };
    let refused = store.take_step(&home(), &crm(), &approve).await.unwrap_err().to_string();
    assert!(refused.contains("callgate registry review"), "{refused}");
    assert_eq!(state(&store).await, Some(State::Candidate));
    assert_eq!(store.record_steps(&home(), &crm(), 10).await.unwrap().len(), 1);
    let nobody = store.take_step(&home(), &crm(), &by(Step::Review, "")).await;
    assert!(matches!(nobody, Err(StoreError::Unacceptable { .. })));
}

pub(crate) async fn nothing_is_approved_without_everything_it_takes(bed: &Bed) {
    let store = bed.store().await;
    let mut few = facts();
    few.set(Fact::Owner, "").unwrap();
    few.set(Fact::SecurityReview, "").unwrap();
    let missing = known().grant(&few, Timestamp(1), None).unwrap_err();
    assert_eq!(missing, [Missing::Fact(Fact::Owner), Missing::Fact(Fact::SecurityReview)]);
    let unseen = Known { seen: false, ..known() };
    assert_eq!(unseen.grant(&facts(), Timestamp(1), None).unwrap_err(), [Missing::Sight]);
    let secret = Known { credentials: vec!["key".to_owned()], ..known() };
    assert_eq!(secret.missing(&facts()), [Missing::Fact(Fact::Permissions)]);
    let mut vendor = facts();
    vendor.set(Fact::Vendor, "Initech").unwrap();
    vendor.set(Fact::Repository, "").unwrap();
    assert_eq!(known().missing(&vendor).len(), 4, "R26, and no source");
    add(&store).await;
    store.take_step(&home(), &crm(), &by(Step::Review, "bob")).await.unwrap();
    for (what, taking) in [
        ("nobody looked", by(Step::Approve, "carol")),
        ("over already", Taking { grant: Some(&grant(Timestamp(1))), ..by(Step::Approve, "carol") }),
    ] {
        let refused = store.take_step(&home(), &crm(), &taking).await.unwrap_err().to_string();
        assert!(refused.contains(what), "{refused}");
    }
    assert_eq!(state(&store).await, Some(State::InReview));
}

pub(crate) async fn what_moved_since_it_was_looked_at_is_not_decided(bed: &Bed) {
    let store = bed.store().await;
    add(&store).await;
    store.take_step(&home(), &crm(), &by(Step::Review, "bob")).await.unwrap();
    let old = Taking { seen: Some(1), ..by(Step::Suspend, "carol") };
    assert!(matches!(store.take_step(&home(), &crm(), &old).await, Err(StoreError::Moved { .. })));
    let yes = grant(Timestamp(u64::MAX >> 1));
    let mut other = facts();
    other.set(Fact::Owner, "Mallory").unwrap();
    store.take_step(&home(), &crm(), &Taking { facts: Some(&other), ..by(Step::Set, "ada") }).await.unwrap();
    let approve = Taking { grant: Some(&yes), ..by(Step::Approve, "carol") };
    assert!(matches!(store.take_step(&home(), &crm(), &approve).await, Err(StoreError::Moved { .. })));
    assert_eq!(state(&store).await, Some(State::InReview));
}

pub(crate) async fn of_many_who_decide_on_the_same_sight_one_does(bed: &Bed) {
    let store = bed.store().await;
    add(&store).await;
    let all = (0..8).map(|n| {
        let store = store.clone();
        async move {
            let who = format!("person-{n}");
            let taking = Taking { seen: Some(1), ..by(Step::Review, &who) };
            store.take_step(&home(), &crm(), &taking).await.is_ok()
        }
    });
    let done = join_all(all).await.into_iter().filter(|done| *done).count();
    assert_eq!((done, store.record_steps(&home(), &crm(), 100).await.unwrap().len()), (1, 2));
}

pub(crate) async fn a_record_is_its_environments_own(bed: &Bed) {
    let store = bed.store().await;
    add(&store).await;
    for other in elsewhere() {
        assert_eq!(store.record(&other, &crm()).await.unwrap(), None);
        assert!(store.records(&other).await.unwrap().is_empty());
        assert!(store.record_steps(&other, &crm(), 10).await.unwrap().is_empty());
    }
    assert_eq!(store.records(&home()).await.unwrap().len(), 1);
}

pub(crate) async fn what_is_approved_and_forgotten_is_in_review(bed: &Bed) {
    let store = bed.store().await;
    store.record_seen(&store.own_writer(), &home(), &sighting(&[("a", r#"{"name":"a"}"#)])).await.unwrap();
    let seen = store.known(&home(), &crm(), Known::default()).await.unwrap();
    assert_eq!((seen.seen, seen.unread, seen.pending), (true, 1, 0));
    add(&store).await;
    store.take_step(&home(), &crm(), &by(Step::Review, "bob")).await.unwrap();
    let yes = grant(Timestamp(u64::MAX >> 1));
    store
        .take_step(&home(), &crm(), &Taking { grant: Some(&yes), ..by(Step::Approve, "carol") })
        .await
        .unwrap();
    store.forget_server(&home(), &crm(), "root").await.unwrap();
    assert_eq!(state(&store).await, Some(State::InReview), "nobody has seen what it shows next");
    let last = store.record_steps(&home(), &crm(), 1).await.unwrap().remove(0);
    assert_eq!((last.step, last.by.as_str()), (Step::Forget, "root"));
    assert!(!store.known(&home(), &crm(), Known::default()).await.unwrap().seen);
}

pub(crate) async fn every_step_is_noticed(bed: &Bed) {
    let store = bed.store().await;
    let before = store.revision().await.unwrap();
    add(&store).await;
    let after = store.changed(before, Duration::from_secs(5)).await.unwrap();
    assert_ne!(before, after);
    store.take_step(&home(), &crm(), &by(Step::Suspend, "eve")).await.unwrap();
    assert_ne!(store.revision().await.unwrap(), after);
}
