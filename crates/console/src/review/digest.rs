//! What somebody looked at, in one value: a decision is about this and about nothing else.

use super::Waiting;
use decision::{Digest, ServerName};
use store::PinState;

/// Of each item its kind, its name, where it stands, what was accepted, what is shown and what was shown meanwhile. The order
/// does not matter.
pub(super) fn of<'a>(server: &ServerName, shown: impl IntoIterator<Item = &'a Waiting>) -> Digest {
    let state = |one: &Waiting| match one.pin.state {
        PinState::Approved => "accepted",
        PinState::Changed => "changed",
        PinState::Returned => "returned",
        PinState::New => "new",
        PinState::Gone => "gone",
    };
    let line = |one: &Waiting| {
        let (pin, state) = (&one.pin, state(one));
        let accepted = pin.approved.as_ref().map(|mark| mark.digest.to_string()).unwrap_or_default();
        let left =
            pin.left.as_ref().map(|left| format!("{} {}", left.times, left.digest)).unwrap_or_default();
        let meanwhile: String =
            one.meanwhile.iter().map(|one| format!(" {}", one.departure.digest)).collect();
        let (kind, name) = (pin.item.kind, &pin.item.name);
        format!("{kind:?} {} {name} {state} {accepted} {} {left}{meanwhile}\n", name.len(), pin.seen)
    };
    let mut lines: Vec<String> = shown.into_iter().map(line).collect();
    lines.sort();
    Digest::of(format!("callgate/review/v1\n{server}\n{}", lines.concat()).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use decision::{Item, ItemKind, Timestamp};
    use store::{Mark, Pin};

    fn pin(name: &str, seen: &[u8]) -> Pin {
        let digest = Digest::of(b"accepted");
        Pin {
            item: Item { kind: ItemKind::Tool, name: name.to_owned() },
            state: PinState::Changed,
            approved: Some(Mark { digest, at: Timestamp(1), by: "ann".to_owned() }),
            seen: Digest::of(seen),
            seen_at: Timestamp(1),
            rejected: None,
            left: None,
        }
    }

    #[test]
    fn whatever_is_shown_otherwise_is_another_digest() {
        let crm = ServerName::new("crm").unwrap();
        let of = |server: &ServerName, pins: &[&Pin]| {
            let waiting: Vec<Waiting> = pins.iter().map(|pin| Waiting::accepted(pin, None)).collect();
            of(server, &waiting)
        };
        let (a, b) = (pin("a", b"1"), pin("b", b"2"));
        let base = of(&crm, &[&a, &b]);
        assert_eq!(of(&crm, &[&b, &a]), base);
        assert_eq!(of(&crm, &[&Pin { seen_at: Timestamp(9), ..a.clone() }, &b]), base);
        let accepted = Some(Mark { digest: Digest::of(b"other"), at: Timestamp(1), by: "ann".to_owned() });
        let (at, digest) = (Timestamp(1), Digest::of(b"meanwhile"));
        let left = Some(store::Left { times: 1, at, digest, seen_by: None, held: true });
        for other in [
            Pin { seen: Digest::of(b"3"), ..a.clone() },
            Pin { state: PinState::Gone, ..a.clone() },
            Pin { approved: None, ..a.clone() },
            Pin { approved: accepted, ..a.clone() },
            Pin { left, ..a.clone() },
            pin("c", b"1"),
            Pin { item: Item { kind: ItemKind::Prompt, name: "a".to_owned() }, ..a.clone() },
        ] {
            assert_ne!(of(&crm, &[&other, &b]), base, "{other:?}");
        }
        assert_ne!(of(&crm, &[&a]), base);
        assert_ne!(of(&ServerName::new("mail").unwrap(), &[&a, &b]), base);
    }
}
