//! An item that is not what was approved, and then is again.

use crate::bed::{Bed, home};
use crate::pins::{seen, sighting, tool};
use catalog::drift::Severity;
use decision::{Digest, ServerName};
use store::{
    Apart, Change, DEPARTURES_MAX, Departure, Differing, How, Pin, PinState, Store, StoreError, What, Which,
};

const MINUTE: u64 = 60 * 1_000_000;

fn crm() -> ServerName {
    ServerName::new("crm").unwrap()
}

/// Shows the tool `a`; what differs from `a1` differs by so little.
async fn see(store: &Store, raw: &str, how: Option<How>) -> Vec<What> {
    let mut sighting = sighting(&[("a", raw)]);
    let (approved, shown) = (Digest::of(b"a1"), Digest::of(raw.as_bytes()));
    if let Some(how) = how.filter(|_| approved != shown) {
        sighting.apart.insert(tool("a"), Apart { approved, shown, how });
    }
    whats(&store.record_seen(&store.own_writer(), &home(), &sighting).await.unwrap())
}

fn whats(changes: &[Change]) -> Vec<What> {
    changes.iter().map(|change| change.what).collect()
}

async fn pin(store: &Store) -> Pin {
    store.pins(&home(), &crm()).await.unwrap().remove(0)
}

async fn is_usable(store: &Store) -> bool {
    !store.accepted(&home(), &crm()).await.unwrap().is_empty()
}

pub(crate) async fn what_was_harmless_meanwhile_comes_back_and_how_often_is_remembered(bed: &Bed) {
    let store = bed.store().await;
    see(&store, "a1", None).await;
    assert_eq!(pin(&store).await.left, None);
    for times in 1..=3 {
        bed.clock.advance(MINUTE);
        assert_eq!(see(&store, "a2", Some(How::Harmless)).await, [What::Changed]);
        let left = pin(&store).await.left.unwrap();
        assert_eq!(
            (left.times, left.digest, left.held, left.seen_by),
            (times, Digest::of(b"a2"), false, None)
        );
        assert_eq!(see(&store, "a3", Some(How::Harmless)).await, [What::Changed]);
        assert_eq!(pin(&store).await.left.unwrap().times, times, "it had left already");
        assert_eq!(see(&store, "a1", None).await, [What::Restored]);
        assert!(is_usable(&store).await);
        assert_eq!(pin(&store).await.flaps(), times >= 2);
    }
    let store = bed.reopen(store).await;
    let left = pin(&store).await.left.unwrap();
    assert_eq!((left.times, left.digest), (3, Digest::of(b"a3")));
    let yes = store.approve(&home(), &crm(), &Which::All, "alice").await.unwrap();
    assert_eq!(whats(&yes), [What::Approved], "somebody took note");
    let after = pin(&store).await;
    assert!(after.left.is_none() && after.approved.unwrap().by == "alice");
    assert_eq!(store.approve(&home(), &crm(), &Which::All, "alice").await.unwrap(), []);
}

pub(crate) async fn what_was_not_harmless_meanwhile_comes_back_for_somebody_to_look_at(bed: &Bed) {
    let store = bed.store().await;
    see(&store, "a1", None).await;
    see(&store, "a2", None).await;
    assert_eq!(see(&store, "a1", None).await, [What::Returned]);
    let store = bed.reopen(store).await;
    let returned = pin(&store).await;
    assert!(returned.state == PinState::Returned && returned.pending() && returned.held());
    assert_eq!(returned.approved.unwrap().digest, Digest::of(b"a1"), "who approved it is still known");
    assert!(!is_usable(&store).await);
    assert_eq!(see(&store, "a1", None).await, [], "told once");
    // no way round: not by something harmless, and not by being away
    see(&store, "a3", Some(How::Harmless)).await;
    assert_eq!(see(&store, "a1", None).await, [What::Returned]);
    let none = store.record_seen(&store.own_writer(), &home(), &sighting(&[])).await.unwrap();
    assert_eq!(whats(&none), [What::Gone]);
    assert_eq!(see(&store, "a1", None).await, [What::Returned]);
    // whoever decides can still see what it was
    bed.clock.advance(11 * MINUTE);
    see(&store, "a4", None).await;
    see(&store, "a1", None).await;
    bed.clock.advance(11 * MINUTE);
    let other = sighting(&[("a", "a1"), ("b", "b1")]);
    store.record_seen(&store.own_writer(), &home(), &other).await.unwrap();
    assert!(store.definition(&home(), &Digest::of(b"a4")).await.unwrap().is_some());
    assert!(store.definition(&home(), &Digest::of(b"a3")).await.unwrap().is_some(), "each of a few");
    let one = Which::Items(vec![(tool("a"), Some(Digest::of(b"a1")))]);
    assert_eq!(whats(&store.approve(&home(), &crm(), &one, "alice").await.unwrap()), [What::Approved]);
    assert!(is_usable(&store).await && pin(&store).await.left.is_none());
}

pub(crate) async fn what_broke_clients_may_be_taken_back_once(bed: &Bed) {
    let store = bed.store().await;
    see(&store, "a1", None).await;
    see(&store, "a2", Some(How::Mild)).await;
    assert_eq!(see(&store, "a1", None).await, [What::Restored]);
    see(&store, "a2", Some(How::Mild)).await;
    assert_eq!(see(&store, "a1", None).await, [What::Returned]);
    // a no to what is shown again takes the approval away
    let no = store.reject(&home(), &crm(), &Which::All, "bob").await.unwrap();
    assert_eq!(whats(&no), [What::Rejected]);
    let after = pin(&store).await;
    assert!(after.state == PinState::New && after.approved.is_none() && !after.pending());
}

pub(crate) async fn what_was_judged_beside_another_definition_is_not_judged(bed: &Bed) {
    let store = bed.store().await;
    see(&store, "a1", None).await;
    let mut wrong = sighting(&[("a", "a2")]);
    let (approved, shown) = (Digest::of(b"a1"), Digest::of(b"a2"));
    for apart in [
        Apart { approved, shown: Digest::of(b"a9"), how: How::Harmless },
        Apart { approved: Digest::of(b"a9"), shown, how: How::Harmless },
    ] {
        wrong.apart.insert(tool("a"), apart);
        store.record_seen(&store.own_writer(), &home(), &wrong).await.unwrap();
        assert!(pin(&store).await.held());
        store.forget_server(&home(), &crm(), "root").await.unwrap();
        see(&store, "a1", None).await;
    }
}

pub(crate) async fn what_one_user_is_shown_otherwise_is_withdrawn_from_everybody(bed: &Bed) {
    let store = bed.store().await;
    let both = sighting(&[("a", "a1"), ("b", "b1")]);
    store.record_seen(&store.own_writer(), &home(), &both).await.unwrap();
    let shown = |items: &[(&str, &str)]| Differing {
        server: crm(),
        items: items.iter().map(|(name, raw)| seen(tool(name), raw)).collect(),
        seen_by: "ann".to_owned(),
        apart: Default::default(),
    };
    // the same, less, and what nobody else knows
    let same = shown(&[("b", "b1"), ("c", "c1")]);
    assert_eq!(store.record_differing(&home(), &same).await.unwrap(), []);
    let other = shown(&[("a", "a2"), ("b", "b1")]);
    assert_eq!(whats(&store.record_differing(&home(), &other).await.unwrap()), [What::Changed]);
    assert_eq!(bed.rows("untold").await, 2, "that it was pinned, and that somebody is shown another");
    let store = bed.reopen(store).await;
    let changed = pin(&store).await;
    let left = changed.left.clone().unwrap();
    assert_eq!((left.seen_by.as_deref(), left.times, left.held), (Some("ann"), 1, true));
    assert!(changed.state == PinState::Changed && changed.pending() && changed.seen == Digest::of(b"a2"));
    let names: Vec<_> = store.accepted(&home(), &crm()).await.unwrap();
    assert_eq!(names.iter().map(|one| one.item.name.as_str()).collect::<Vec<_>>(), ["b"]);
    // the gateway itself is still shown what was approved
    assert_eq!(
        whats(&store.record_seen(&store.own_writer(), &home(), &both).await.unwrap()),
        [What::Returned]
    );
    assert_eq!(store.record_differing(&home(), &other).await.unwrap(), [], "it waits already");
    assert_eq!(pin(&store).await.left.unwrap().seen_by.as_deref(), Some("ann"));
    store.approve(&home(), &crm(), &Which::All, "alice").await.unwrap();
    assert_eq!(store.accepted(&home(), &crm()).await.unwrap().len(), 2);
    let unknown = Differing { server: "nowhere".parse().unwrap(), ..other };
    let refused = store.record_differing(&home(), &unknown).await;
    assert!(matches!(refused, Err(StoreError::Missing { what: "server", .. })));
}

/// What is kept of the tool `a`.
async fn kept(store: &Store) -> Vec<Departure> {
    store.departures(&home(), &crm()).await.unwrap().remove(&tool("a")).unwrap_or_default()
}

pub(crate) async fn no_number_of_harmless_ones_pushes_out_what_was_caught(bed: &Bed) {
    let store = bed.store().await;
    see(&store, "a1", None).await;
    let shown = [
        ("mild", How::Mild),
        ("hostile", How::Grave(Severity::Critical)),
        ("odd", How::Grave(Severity::Medium)),
    ];
    for (raw, how) in shown {
        bed.clock.advance(MINUTE);
        see(&store, raw, Some(how)).await;
        see(&store, "a1", None).await;
    }
    for n in 0..3 * DEPARTURES_MAX {
        bed.clock.advance(11 * MINUTE);
        see(&store, &format!("harmless {n}"), Some(How::Harmless)).await;
        see(&store, "a1", None).await;
    }
    // as bad, and later: the first stays, and so does its definition
    for n in 0..DEPARTURES_MAX {
        bed.clock.advance(MINUTE);
        see(&store, &format!("hostile {n}"), Some(How::Grave(Severity::Critical))).await;
    }
    see(&store, "a1", None).await;
    let store = bed.reopen(store).await;
    let all = kept(&store).await;
    assert_eq!(all.len(), DEPARTURES_MAX);
    assert!(all.iter().all(|one| one.grade == Severity::Critical && one.times == 1));
    assert_eq!(all[0].digest, Digest::of(b"hostile"));
    for one in &all {
        assert!(store.definition(&home(), &one.digest).await.unwrap().is_some(), "{one:?}");
    }
    bed.clock.advance(11 * MINUTE);
    see(&store, "a9", Some(How::Harmless)).await;
    assert!(store.definition(&home(), &Digest::of(b"harmless 0")).await.unwrap().is_none(), "swept");
    assert!(store.definition(&home(), &Digest::of(b"hostile")).await.unwrap().is_some());
    // what nobody compared is as bad as it can be, and whoever has looked starts anew
    see(&store, "a1", None).await;
    store.approve(&home(), &crm(), &Which::All, "alice").await.unwrap();
    assert_eq!(kept(&store).await, []);
    see(&store, "a2", None).await;
    see(&store, "a1", None).await;
    see(&store, "a2", Some(How::Harmless)).await;
    let again = kept(&store).await;
    assert_eq!((again.len(), again[0].grade, again[0].times), (1, Severity::Critical, 2));
    store.forget_server(&home(), &crm(), "root").await.unwrap();
    assert_eq!(kept(&store).await, []);
}

pub(crate) async fn what_is_shown_to_one_user_while_it_waits_is_kept_too(bed: &Bed) {
    let store = bed.store().await;
    see(&store, "a1", None).await;
    let shown = async |raw: &str, severity| {
        let (approved, shown) = (Digest::of(b"a1"), Digest::of(raw.as_bytes()));
        let how = How::Grave(severity);
        let differing = Differing {
            server: crm(),
            items: vec![seen(tool("a"), raw)],
            seen_by: "ann".to_owned(),
            apart: [(tool("a"), Apart { approved, shown, how })].into(),
        };
        store.record_differing(&home(), &differing).await.unwrap()
    };
    assert_eq!(whats(&shown("odd", Severity::Medium).await), [What::Changed]);
    see(&store, "a1", None).await;
    let worse = shown("hostile", Severity::Critical).await;
    assert_eq!((whats(&worse), worse[0].seen), (vec![What::Changed], Digest::of(b"hostile")));
    assert_eq!(shown("hostile", Severity::Critical).await, [], "told once");
    let all: Vec<_> = kept(&store).await.into_iter().map(|one| (one.digest, one.seen_by)).collect();
    let ann = Some("ann".to_owned());
    assert_eq!(all, [(Digest::of(b"hostile"), ann.clone()), (Digest::of(b"odd"), ann)]);
    let pin = pin(&store).await;
    assert!(pin.state == PinState::Returned && pin.seen == Digest::of(b"a1") && pin.held());
}
