//! First sight, change, approval.

use crate::bed::{Bed, elsewhere, home};
use bytes::Bytes;
use decision::{Digest, Era, Item, ItemKind, ServerName};
use std::collections::{BTreeMap, BTreeSet};
use store::{Change, FirstSight, PinState, Seen, ServerMeta, Sighting, Store, StoreError, What, Which};

pub(crate) fn tool(name: &str) -> Item {
    Item { kind: ItemKind::Tool, name: name.to_owned() }
}

pub(crate) fn seen(item: Item, raw: &str) -> Seen {
    Seen { item, digest: Digest::of(raw.as_bytes()), raw: Bytes::from(raw.to_owned()) }
}

/// A complete list of tools of the server `crm`.
pub(crate) fn sighting(tools: &[(&str, &str)]) -> Sighting {
    Sighting {
        server: ServerName::new("crm").unwrap(),
        kinds: [ItemKind::Tool].into(),
        items: tools.iter().map(|(name, raw)| seen(tool(name), raw)).collect(),
        first: FirstSight::Pin,
        withheld: BTreeSet::new(),
        apart: BTreeMap::new(),
    }
}

async fn see(store: &Store, tools: &[(&str, &str)]) -> Vec<(String, What)> {
    let changes = store.record_seen(&store.own_writer(), &home(), &sighting(tools)).await.unwrap();
    told(&changes)
}

fn told(changes: &[Change]) -> Vec<(String, What)> {
    changes.iter().map(|change| (change.item.name.clone(), change.what)).collect()
}

fn is(name: &str, what: What) -> (String, What) {
    (name.to_owned(), what)
}

fn crm() -> ServerName {
    ServerName::new("crm").unwrap()
}

async fn states(store: &Store) -> Vec<(String, PinState)> {
    let pins = store.pins(&home(), &crm()).await.unwrap();
    pins.into_iter().map(|pin| (pin.item.name, pin.state)).collect()
}

/// Names of what may be used, with what it says.
async fn usable(store: &Store) -> Vec<(String, String)> {
    let accepted = store.accepted(&home(), &crm()).await.unwrap();
    let text = |raw: &Bytes| String::from_utf8(raw.to_vec()).unwrap();
    accepted.iter().map(|item| (item.item.name.clone(), text(&item.raw))).collect()
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, raw)| ((*name).to_owned(), (*raw).to_owned())).collect()
}

pub(crate) async fn the_first_sight_pins_and_the_second_does_not(bed: &Bed) {
    let store = bed.store().await;
    let first = see(&store, &[("b", "b1"), ("a", "a1")]).await;
    assert_eq!(first, [is("a", What::Pinned), is("b", What::Pinned)]);
    let store = bed.reopen(store).await;
    assert_eq!(see(&store, &[("a", "a1"), ("b", "b1")]).await, []);
    assert_eq!(see(&store, &[("a", "a1"), ("b", "b1"), ("c", "c1")]).await, [is("c", What::New)]);
    assert_eq!(see(&store, &[("a", "a1"), ("b", "b1"), ("c", "c1")]).await, [], "told once");
    assert_eq!(usable(&store).await, pairs(&[("a", "a1"), ("b", "b1")]));
    let pins = store.pins(&home(), &crm()).await.unwrap();
    let mark = pins[0].approved.clone().unwrap();
    assert_eq!((mark.by.as_str(), mark.digest), ("first sight", Digest::of(b"a1")));
    assert!(pins[2].approved.is_none() && pins[2].pending());
    for scope in elsewhere() {
        assert!(store.pins(&scope, &crm()).await.unwrap().is_empty());
        assert!(store.definition(&scope, &Digest::of(b"a1")).await.unwrap().is_none());
    }
}

pub(crate) async fn a_first_sight_that_is_held_approves_nothing(bed: &Bed) {
    let store = bed.store().await;
    let held = Sighting { first: FirstSight::Hold, ..sighting(&[("a", "a1")]) };
    let changes = store.record_seen(&store.own_writer(), &home(), &held).await.unwrap();
    assert_eq!(told(&changes), [is("a", What::New)]);
    // It has been seen now; saying `Pin` afterwards is too late.
    assert_eq!(see(&store, &[("a", "a1"), ("b", "b1")]).await, [is("b", What::New)]);
    assert_eq!(usable(&store).await, []);
    // Of one that is not, what is withheld waits, and goes on waiting.
    let some = Sighting { server: "some".parse().unwrap(), ..sighting(&[("a", "a1"), ("b", "b1")]) };
    let changes = store
        .record_seen(&store.own_writer(), &home(), &Sighting { withheld: [tool("b")].into(), ..some.clone() })
        .await;
    assert_eq!(told(&changes.unwrap()), [is("a", What::Pinned), is("b", What::New)]);
    assert_eq!(store.record_seen(&store.own_writer(), &home(), &some).await.unwrap(), []);
    // An empty first list is a first sight all the same.
    let empty = Sighting { server: "empty".parse().unwrap(), ..sighting(&[]) };
    assert_eq!(store.record_seen(&store.own_writer(), &home(), &empty).await.unwrap(), []);
    let later = Sighting { server: "empty".parse().unwrap(), ..sighting(&[("a", "a1")]) };
    assert_eq!(
        told(&store.record_seen(&store.own_writer(), &home(), &later).await.unwrap()),
        [is("a", What::New)]
    );
}

pub(crate) async fn what_cannot_be_pinned_is_accepted_by_nobody_and_said(bed: &Bed) {
    let store = bed.store().await;
    let name = "rf\\u{200b}und (cannot be pinned)";
    let raw = r#"{"name":"rf\u200bund"}"#;
    assert_eq!(see(&store, &[("a", "a1"), (name, raw)]).await, [is("a", What::Pinned), is(name, What::New)]);
    let known = store.known(&home(), &crm(), catalog::record::Known::default()).await.unwrap();
    let why = "the name `rf\\u{200b}und` holds U+200B, which nobody sees or which turns a line around";
    assert_eq!(known.unpinned, [(format!("tool:{name}"), why.to_owned())].into());
    assert_eq!(known.pending, 1);
    for which in [Which::All, Which::Items(vec![(tool(name), Some(Digest::of(raw.as_bytes())))])] {
        assert_eq!(store.approve(&home(), &crm(), &which, "alice").await.unwrap(), []);
    }
    assert_eq!(usable(&store).await, pairs(&[("a", "a1")]));
    let one = Which::Items(vec![(tool(name), None)]);
    let rejected = store.reject(&home(), &crm(), &one, "alice").await.unwrap();
    assert_eq!(told(&rejected), [is(name, What::Rejected)]);
    assert_eq!(see(&store, &[("a", "a1")]).await, [is(name, What::Gone)]);
    let forgotten = store.approve(&home(), &crm(), &Which::All, "alice").await.unwrap();
    assert_eq!(told(&forgotten), [is(name, What::Forgotten)]);
}

pub(crate) async fn of_tools_that_are_not_offered_what_was_accepted_and_what_is_shown_is_known(bed: &Bed) {
    let store = bed.store().await;
    let unoffered = async || {
        let all = store.unoffered_tools(&home(), &crm()).await.unwrap();
        let mut all: Vec<_> =
            all.into_iter().map(|one| String::from_utf8(one.raw.to_vec()).unwrap()).collect();
        all.sort();
        all
    };
    see(&store, &[("a", "a1"), ("b", "b1"), ("c", "c1")]).await;
    assert!(unoffered().await.is_empty());
    see(&store, &[("a", "a2"), ("b", "b1"), ("d", "d1")]).await;
    assert_eq!(unoffered().await, ["a1", "a2", "c1", "d1"], "changed, gone and new");
    see(&store, &[("a", "a1"), ("b", "b1")]).await;
    assert_eq!(unoffered().await, ["a1", "a2", "c1"], "what was caught, and not what nobody had accepted");
    store.approve(&home(), &crm(), &Which::All, "alice").await.unwrap();
    assert!(unoffered().await.is_empty());
}

pub(crate) async fn a_changed_item_is_withdrawn_until_somebody_approves_it(bed: &Bed) {
    let store = bed.store().await;
    see(&store, &[("a", "a1"), ("b", "b1")]).await;
    assert_eq!(see(&store, &[("a", "a2"), ("b", "b1")]).await, [is("a", What::Changed)]);
    assert_eq!(usable(&store).await, pairs(&[("b", "b1")]));
    assert_eq!(see(&store, &[("a", "a3"), ("b", "b1")]).await, [is("a", What::Changed)], "again");
    let one = Which::Items(vec![(tool("a"), Some(Digest::of(b"a3")))]);
    let approved = store.approve(&home(), &crm(), &one, "alice").await.unwrap();
    assert_eq!(told(&approved), [is("a", What::Approved)]);
    let store = bed.reopen(store).await;
    assert_eq!(usable(&store).await, pairs(&[("a", "a3"), ("b", "b1")]));
    assert_eq!(store.pins(&home(), &crm()).await.unwrap()[0].approved.clone().unwrap().by, "alice");
    assert_eq!(store.approve(&home(), &crm(), &one, "alice").await.unwrap(), [], "it is already");
    assert_eq!(see(&store, &[("a", "a1"), ("b", "b1")]).await, [is("a", What::Changed)], "not the old one");
    let old = store.definition(&home(), &Digest::of(b"a1")).await.unwrap();
    assert_eq!(old.as_deref(), Some(&b"a1"[..]), "what was approved is kept");
}

pub(crate) async fn an_item_that_is_gone_and_comes_back_is_restored_only_as_it_was(bed: &Bed) {
    let store = bed.store().await;
    see(&store, &[("a", "a1"), ("b", "b1")]).await;
    assert_eq!(see(&store, &[]).await, [is("a", What::Gone), is("b", What::Gone)]);
    assert_eq!(usable(&store).await, []);
    assert_eq!(see(&store, &[]).await, []);
    let back = see(&store, &[("a", "a1"), ("b", "b2")]).await;
    assert_eq!(back, [is("a", What::Restored), is("b", What::Changed)]);
    assert_eq!(usable(&store).await, pairs(&[("a", "a1")]));
    see(&store, &[("b", "b1")]).await;
    let forgotten = store.approve(&home(), &crm(), &Which::All, "alice").await.unwrap();
    assert_eq!(told(&forgotten), [is("a", What::Forgotten), is("b", What::Approved)]);
    assert_eq!(see(&store, &[("a", "a1"), ("b", "b1")]).await, [is("a", What::New)]);
}

pub(crate) async fn a_kind_that_was_not_listed_is_not_gone(bed: &Bed) {
    let store = bed.store().await;
    let info = Item { kind: ItemKind::Server, name: "instructions".to_owned() };
    let mut both = sighting(&[("a", "a1")]);
    both.kinds.insert(ItemKind::Server);
    both.items.push(seen(info, "be nice"));
    store.record_seen(&store.own_writer(), &home(), &both).await.unwrap();
    assert_eq!(see(&store, &[("a", "a1")]).await, []);
    assert_eq!(usable(&store).await, pairs(&[("instructions", "be nice"), ("a", "a1")]));
    // A prompt of a tool's name is another item.
    let prompt = Item { kind: ItemKind::Prompt, name: "a".to_owned() };
    let prompts = Sighting { kinds: [ItemKind::Prompt].into(), items: vec![seen(prompt, "a1")], ..both };
    assert_eq!(
        told(&store.record_seen(&store.own_writer(), &home(), &prompts).await.unwrap()),
        [is("a", What::New)]
    );
}

pub(crate) async fn a_rejected_definition_stays_rejected_and_leaves_the_approved_one(bed: &Bed) {
    let store = bed.store().await;
    see(&store, &[("a", "a1")]).await;
    see(&store, &[("a", "a2")]).await;
    let rejected = store.reject(&home(), &crm(), &Which::All, "bob").await.unwrap();
    assert_eq!(told(&rejected), [is("a", What::Rejected)]);
    let store = bed.reopen(store).await;
    let pin = store.pins(&home(), &crm()).await.unwrap().remove(0);
    assert!(!pin.pending() && pin.state == PinState::Changed);
    assert_eq!(pin.rejected.clone().unwrap().by, "bob");
    assert_eq!(store.approve(&home(), &crm(), &Which::All, "bob").await.unwrap(), [], "not by sweeping");
    assert_eq!(store.reject(&home(), &crm(), &Which::All, "bob").await.unwrap(), []);
    see(&store, &[("a", "a3")]).await;
    assert!(store.pins(&home(), &crm()).await.unwrap()[0].pending(), "another definition, another question");
    assert_eq!(see(&store, &[("a", "a1")]).await, [is("a", What::Returned)]);
    assert!(store.pins(&home(), &crm()).await.unwrap()[0].pending());
    see(&store, &[("a", "a2")]).await;
    assert!(!store.pins(&home(), &crm()).await.unwrap()[0].pending(), "the no still stands");
    let one = Which::Items(vec![(tool("a"), None)]);
    store.approve(&home(), &crm(), &one, "bob").await.unwrap();
    assert_eq!(usable(&store).await, pairs(&[("a", "a2")]), "until somebody says yes to it by name");
}

pub(crate) async fn rejecting_what_is_approved_withdraws_it(bed: &Bed) {
    let store = bed.store().await;
    see(&store, &[("a", "a1"), ("b", "b1")]).await;
    let one = Which::Items(vec![(tool("a"), None)]);
    store.reject(&home(), &crm(), &one, "bob").await.unwrap();
    assert_eq!(usable(&store).await, pairs(&[("b", "b1")]));
    assert_eq!(see(&store, &[("a", "a1"), ("b", "b1")]).await, []);
    assert_eq!(states(&store).await[0], ("a".to_owned(), PinState::New));
}

pub(crate) async fn what_is_gone_is_taken_note_of_and_never_refused(bed: &Bed) {
    let store = bed.store().await;
    see(&store, &[("a", "a1"), ("b", "b1"), ("c", "c1")]).await;
    see(&store, &[("a", "a2")]).await;
    let before = store.pins(&home(), &crm()).await.unwrap();
    let both = Which::Items(vec![(tool("a"), None), (tool("b"), Some(Digest::of(b"b1")))]);
    let refused = store.reject(&home(), &crm(), &both, "bob").await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the tool `b` is gone, so there is nothing to refuse: `callgate registry approve crm tool:b` takes note of it, and should \
         it come back, it is new and waits"
    );
    assert_eq!(store.pins(&home(), &crm()).await.unwrap(), before, "all or nothing");
    let swept = store.reject(&home(), &crm(), &Which::All, "bob").await.unwrap();
    assert_eq!(told(&swept), [is("a", What::Rejected)], "a no to all is to what is shown");
    assert_eq!(store.pins(&home(), &crm()).await.unwrap()[1..], before[1..], "nothing is lost");
    let old = store.definition(&home(), &Digest::of(b"b1")).await.unwrap();
    assert_eq!(old.as_deref(), Some(&b"b1"[..]));
    // whoever wants it not to come back by itself takes note of it
    let gone = Which::Items(vec![(tool("b"), None)]);
    assert_eq!(
        told(&store.approve(&home(), &crm(), &gone, "bob").await.unwrap()),
        [is("b", What::Forgotten)]
    );
    see(&store, &[("a", "a2"), ("b", "b1"), ("c", "c1")]).await;
    assert_eq!(usable(&store).await, pairs(&[("c", "c1")]));
}

pub(crate) async fn all_means_what_is_pending(bed: &Bed) {
    let store = bed.store().await;
    see(&store, &[("a", "a1"), ("b", "b1"), ("c", "c1")]).await;
    see(&store, &[("a", "a2"), ("c", "c1"), ("d", "d1")]).await;
    let changes = store.approve(&home(), &crm(), &Which::All, "alice").await.unwrap();
    let expected = [is("a", What::Approved), is("b", What::Forgotten), is("d", What::Approved)];
    assert_eq!(told(&changes), expected);
    assert_eq!(usable(&store).await, pairs(&[("a", "a2"), ("c", "c1"), ("d", "d1")]));
    let by = store.pins(&home(), &crm()).await.unwrap()[1].approved.clone().unwrap().by;
    assert_eq!(by, "first sight", "what was approved before keeps its name");
}

pub(crate) async fn what_moved_since_it_was_looked_at_is_not_approved(bed: &Bed) {
    let store = bed.store().await;
    see(&store, &[("a", "a1"), ("b", "b1")]).await;
    see(&store, &[("a", "a2"), ("b", "b2")]).await;
    let looked_at = (tool("a"), Some(Digest::of(b"a2")));
    see(&store, &[("a", "a3"), ("b", "b2")]).await;
    let both = Which::Items(vec![(tool("b"), None), looked_at]);
    let refused = store.approve(&home(), &crm(), &both, "alice").await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the tool `a` has changed since you looked at it: look again, then decide"
    );
    let unknown = Which::Items(vec![(tool("b"), None), (tool("z"), None)]);
    assert!(matches!(
        store.approve(&home(), &crm(), &unknown, "alice").await,
        Err(StoreError::NotShown { .. })
    ));
    assert_eq!(usable(&store).await, [], "all or nothing");
    let nowhere = store.approve(&home(), &"nowhere".parse().unwrap(), &Which::All, "alice").await;
    assert!(matches!(nowhere, Err(StoreError::Missing { what: "server", .. })));
    for by in ["", "a\0b", &"x".repeat(257)] {
        let refused = store.approve(&home(), &crm(), &Which::All, by).await;
        assert!(matches!(refused, Err(StoreError::Unacceptable { .. })));
    }
}

pub(crate) async fn a_list_that_cannot_be_true_changes_nothing(bed: &Bed) {
    let store = bed.store().await;
    let long = "x".repeat(2049);
    let big = "x".repeat((1 << 20) + 1);
    let mut question = sighting(&[]);
    question.kinds.insert(ItemKind::Question);
    question.items.push(seen(Item { kind: ItemKind::Question, name: "roots/list".to_owned() }, "{}"));
    let mut unlisted = sighting(&[("a", "a1")]);
    unlisted.kinds = [ItemKind::Prompt].into();
    let many: Vec<_> = (0..10_001).map(|n| seen(tool(&n.to_string()), "x")).collect();
    let bad = [
        sighting(&[("a", "a1"), ("a", "a1")]),
        sighting(&[("a", "a1"), ("", "a1")]),
        sighting(&[("a", "a1"), ("b\0", "a1")]),
        sighting(&[("a", "a1"), (long.as_str(), "a1")]),
        sighting(&[("a", "a1"), ("b", big.as_str())]),
        question,
        unlisted,
        Sighting { items: many, ..sighting(&[]) },
    ];
    for list in bad {
        let refused = store.record_seen(&store.own_writer(), &home(), &list).await;
        assert!(matches!(refused, Err(StoreError::Unacceptable { .. })));
    }
    assert_eq!(store.server(&home(), &crm()).await.unwrap(), None, "it is still unseen");
    let longest = "x".repeat(2048);
    assert_eq!(see(&store, &[(longest.as_str(), "a1")]).await, [is(&longest, What::Pinned)]);
}

pub(crate) async fn of_two_replicas_one_sees_first(bed: &Bed) {
    let (one, two) = (bed.store().await, bed.store().await);
    for round in 0..8 {
        let server = ServerName::new(format!("s-{round}")).unwrap();
        let honest = Sighting { server: server.clone(), ..sighting(&[("a", "a1")]) };
        let twisted = Sighting { server: server.clone(), ..sighting(&[("a", "a2"), ("b", "b1")]) };
        let scope = home();
        let (left, right) = tokio::join!(
            one.record_seen(one.writer(), &scope, &honest),
            two.record_seen(two.writer(), &scope, &twisted)
        );
        let (left, right) = (told(&left.unwrap()), told(&right.unwrap()));
        let pinned = |told: &[(String, What)]| told.iter().any(|(_, what)| *what == What::Pinned);
        assert!(pinned(&left) != pinned(&right), "{left:?} {right:?}");
    }
}

pub(crate) async fn replaced_definitions_do_not_pile_up(bed: &Bed) {
    let store = bed.store().await;
    let kept =
        async |raw: &str| store.definition(&home(), &Digest::of(raw.as_bytes())).await.unwrap().is_some();
    see(&store, &[("a", "a1")]).await;
    see(&store, &[("a", "a2")]).await;
    store.reject(&home(), &crm(), &Which::All, "bob").await.unwrap();
    for n in 3..20 {
        see(&store, &[("a", format!("a{n}").as_str())]).await;
    }
    assert!(kept("a19").await, "not at once: somebody may be about to refer to it");
    bed.clock.advance(11 * 60 * 1_000_000);
    see(&store, &[("a", "a20")]).await;
    assert!(!kept("a10").await && !kept("a19").await);
    assert!(kept("a3").await, "the first few of those nobody compared can still be shown");
    assert!(kept("a1").await, "approved once");
    assert!(kept("a2").await, "the rejected one can still be shown");
    assert!(kept("a20").await, "pending");
}

/// More than go in one statement, and some that share a text.
pub(crate) async fn many_items_go_through_all_that_one_goes_through(bed: &Bed) {
    const SHOWN: usize = 700;
    let store = bed.store().await;
    let name = |n: usize| format!("t{n:04}");
    // of each: what it is called and says; every tenth says what its neighbour does
    let shown = |names: std::ops::Range<usize>, says: &'static str| {
        names.map(move |n| (name(n), format!("{says}{}", if n % 10 == 0 { n + 1 } else { n })))
    };
    let look = async |tools: Vec<(String, String)>| {
        let tools: Vec<_> = tools.iter().map(|(name, raw)| (name.as_str(), raw.as_str())).collect();
        let mut counts = BTreeMap::new();
        for (_, what) in see(&store, &tools).await {
            *counts.entry(what).or_insert(0) += 1;
        }
        counts
    };
    assert_eq!(look(shown(0..SHOWN, "a").collect()).await, [(What::Pinned, SHOWN)].into());
    assert_eq!(usable(&store).await, shown(0..SHOWN, "a").collect::<Vec<_>>());
    // 300 stay, 300 change, 100 go, 300 come
    let second = shown(0..300, "a").chain(shown(300..600, "b")).chain(shown(700..1000, "a"));
    let counts = look(second.collect()).await;
    assert_eq!(counts, [(What::New, 300), (What::Changed, 300), (What::Gone, 100)].into());
    assert_eq!(usable(&store).await.len(), 300);
    let departures = store.departures(&home(), &crm()).await.unwrap();
    assert_eq!((departures.len(), departures.values().map(Vec::len).max()), (300, Some(1)));
    // what changed changes nine times more, which is more than are kept; of what nobody decided on nothing is left
    for says in ["c", "d", "e", "f", "g", "h", "i", "j", "k"] {
        bed.clock.advance(1_000_000);
        let counts = look(shown(0..300, "a").chain(shown(300..600, says)).collect()).await;
        let passed = if says == "c" { 300 } else { 0 };
        assert_eq!(counts.get(&What::Passed).copied().unwrap_or_default(), passed);
        assert_eq!(counts[&What::Changed], 300);
    }
    let departures = store.departures(&home(), &crm()).await.unwrap();
    let each = |n: usize| &departures[&tool(&name(n))];
    for n in [300, 301, 599] {
        let first = shown(n..n + 1, "b").next().unwrap().1;
        assert_eq!(each(n).len(), store::DEPARTURES_MAX);
        assert_eq!(each(n)[0].digest, Digest::of(first.as_bytes()), "the first of equally bad ones stay");
    }
    assert_eq!(store.pins(&home(), &crm()).await.unwrap().len(), SHOWN);
    let yes = store.approve(&home(), &crm(), &Which::All, "ann").await.unwrap();
    assert_eq!(yes.iter().filter(|change| change.what == What::Forgotten).count(), 100);
    assert_eq!(yes.iter().filter(|change| change.what == What::Approved).count(), 300);
    let wanted: Vec<_> = shown(0..300, "a").chain(shown(300..600, "k")).collect();
    assert_eq!(usable(&store).await, wanted);
    assert!(store.departures(&home(), &crm()).await.unwrap().is_empty());
    // what was approved stays when nobody shows it any more, and is approved as it was when it comes back
    bed.clock.advance(60 * 60 * 1_000_000);
    look(Vec::new()).await;
    look(shown(0..1, "z").collect()).await;
    let counts = look(wanted).await;
    assert_eq!((counts.get(&What::Restored), counts.get(&What::Returned)), (Some(&599), Some(&1)));
    assert_eq!(usable(&store).await.len(), 599);
}

pub(crate) async fn what_a_connection_found_out_is_kept_apart_from_pins(bed: &Bed) {
    let store = bed.store().await;
    let meta = ServerMeta {
        era: Era::Legacy,
        revision: "2025-06-18".to_owned(),
        info: Some(Bytes::from_static(br#"{"name":"crm","version":"1"}"#)),
        capabilities: None,
    };
    store.put_server_meta(&home(), &crm(), &meta).await.unwrap();
    let server = store.server(&home(), &crm()).await.unwrap().unwrap();
    assert!(server.pinned_at.is_none() && server.seen_at.is_none());
    assert_eq!(see(&store, &[("a", "a1")]).await, [is("a", What::Pinned)], "connecting is not seeing");
    let newer = ServerMeta {
        era: Era::Modern,
        revision: "2026-07-28".to_owned(),
        capabilities: Some(Bytes::from_static(b"{}")),
        ..meta
    };
    store.put_server_meta(&home(), &crm(), &newer).await.unwrap();
    let store = bed.reopen(store).await;
    let listed = store.list_servers(&home()).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].meta.clone().unwrap().0, newer);
    assert!(listed[0].pinned_at.is_some() && listed[0].seen_at >= listed[0].pinned_at);
    let long = ServerMeta { revision: "x".repeat(65), ..newer };
    assert!(store.put_server_meta(&home(), &crm(), &long).await.is_err());
}

pub(crate) async fn a_forgotten_server_is_seen_for_the_first_time_again(bed: &Bed) {
    let store = bed.store().await;
    see(&store, &[("a", "a1")]).await;
    see(&store, &[("a", "a2")]).await;
    store.forget_server(&home(), &crm(), "root").await.unwrap();
    assert!(store.pins(&home(), &crm()).await.unwrap().is_empty());
    assert!(matches!(store.forget_server(&home(), &crm(), "root").await, Err(StoreError::Missing { .. })));
    assert_eq!(see(&store, &[("a", "a2")]).await, [is("a", What::Pinned)]);
}
