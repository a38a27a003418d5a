//! What a server that shows something else at every look leaves behind.

use super::*;

fn seen(name: &str) -> Seen {
    let item = Item { kind: ItemKind::Tool, name: name.to_owned() };
    Seen { item, digest: Digest::of(name.as_bytes()), raw: Bytes::from(name.to_owned()) }
}

fn sighting(names: impl IntoIterator<Item = String>) -> Sighting {
    Sighting {
        server: ServerName::new("crm").unwrap(),
        kinds: [ItemKind::Tool].into(),
        items: names.into_iter().map(|name| seen(&name)).collect(),
        first: FirstSight::Pin,
        withheld: BTreeSet::new(),
        apart: BTreeMap::new(),
    }
}

/// The pins after a look, and what it changed. Only the first approves what it shows.
fn look(known: &[Pin], sighting: &Sighting) -> (Vec<Pin>, Vec<Change>) {
    let seen = acceptable(&sighting.kinds, &sighting.items).unwrap();
    let steps = compare(known, &seen, sighting, |_| known.is_empty(), Timestamp(1));
    let changes = steps.iter().map(|(pin, what)| Change::of(pin, *what)).collect();
    let mut pins: BTreeMap<Item, Pin> = known.iter().map(|pin| (pin.item.clone(), pin.clone())).collect();
    for (pin, what) in steps {
        if what == What::Passed {
            pins.remove(&pin.item);
        } else {
            pins.insert(pin.item.clone(), pin);
        }
    }
    (pins.into_values().collect(), changes)
}

fn fresh(look: usize, count: usize) -> impl Iterator<Item = String> {
    (0..count).map(move |n| format!("n{look}_{n}"))
}

#[test]
fn fresh_names_at_every_look_leave_no_more_than_the_last_of_them() {
    let own = || ["a".to_owned()].into_iter();
    let (mut pins, _) = look(&[], &sighting(own()));
    for n in 0..4 {
        let changes;
        (pins, changes) = look(&pins, &sighting(own().chain(fresh(n, 9_000))));
        assert_eq!((pins.len(), pins[0].state), (9_001, PinState::Approved));
        assert!(changes.iter().all(|change| matches!(change.what, What::New | What::Passed)));
        let told = told::all(&changes, |_| false);
        assert_eq!(told.len(), 201, "those that are told together are one");
        let (_, many) = &told[200];
        // the first 200 of them in order are gone ones
        let gone = if n == 0 { None } else { Some("8800") };
        assert_eq!((many["change"].as_str(), many.get("gone").map(String::as_str)), ("many", gone));
        assert_eq!(many["items"], (changes.len() - 200).to_string());
        assert!(many["digest"].starts_with("sha256:"), "{many:?}");
    }
    assert_eq!(look(&pins, &sighting(own())).0.len(), 1);
}

#[test]
fn what_was_decided_on_or_caught_is_remembered_and_that_is_bounded() {
    let (pins, _) = look(&[], &sighting(["a".to_owned(), "b".to_owned()]));
    let (mut pins, _) = look(&pins, &sighting(fresh(0, 1_000)));
    let states = |pins: &[Pin], state| pins.iter().filter(|pin| pin.state == state).count();
    assert_eq!((states(&pins, PinState::Gone), states(&pins, PinState::New)), (2, 1_000));
    let refused = pins.iter_mut().find(|pin| pin.item.name == "n0_7").unwrap();
    refused.rejected = Some(Mark { digest: refused.seen, at: Timestamp(1), by: "bob".to_owned() });
    let withheld = pins.iter().map(|pin| pin.item.clone()).filter(|item| item.name.len() < 6).collect();
    let (pins, _) = look(&pins, &Sighting { withheld, ..sighting([]) });
    assert_eq!(states(&pins, PinState::Gone), pins.len());
    assert_eq!(pins.len(), 2 + 1 + 100 - 1, "accepted, refused and caught");
    let (more, _) = look(&pins, &sighting(fresh(1, 1_000)));
    let withheld = more.iter().map(|pin| pin.item.clone()).collect();
    let (pins, changes) = look(&more, &Sighting { withheld, ..sighting([]) });
    assert_eq!(pins.len(), 2 + 1 + CAUGHT_MAX);
    assert_eq!(changes.iter().filter(|change| change.what == What::Gone).count(), CAUGHT_MAX - 99);
}

#[test]
fn what_is_kept_of_a_server_is_bounded_with_what_is_gone() {
    let (pins, _) = look(&[], &sighting(fresh(0, 9_000)));
    let (pins, changes) = look(&pins, &sighting(fresh(1, 9_000)));
    assert_eq!((pins.len(), changes.len()), (ITEMS_MAX, ITEMS_MAX));
    assert_eq!(pins.iter().filter(|pin| pin.approved.is_some()).count(), 9_000, "none of these gives way");
}

#[test]
fn what_was_accepted_or_caught_is_told_before_a_flood() {
    let (pins, _) = look(&[], &sighting(["z".to_owned()]));
    let (_, changes) = look(&pins, &sighting(fresh(0, 1_000)));
    let caught = |item: &Item| item.name == "n0_999";
    let (each, rest) = singly(&changes, caught);
    assert_eq!((each.len(), rest.len()), (200, 801));
    let names: Vec<_> = each.iter().take(2).map(|change| change.item.name.as_str()).collect();
    assert_eq!(names, ["n0_999", "z"]);
    let few = changes.iter().take(200).cloned().collect::<Vec<_>>();
    assert!(singly(&few, |_| false).1.is_empty());
}
