//! What peers keep for us between two messages: a server's state, a place in a list, a task. Sealed, and bound to whom it was
//! given: in another's hand it is nothing (requirement I11).

use crate::gate::Gate;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use decision::{Actor, Code, Principal, Refusal, Target};

/// What a handle is for; one kind is worth nothing as another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A server's state between two rounds of one call.
    State = 1,
    /// A place in a list.
    Cursor = 2,
    /// A task of a server's.
    Task = 3,
    /// A call that waits for answers.
    Parked = 4,
    /// A call that waits for people.
    Approval = 5,
    /// The arguments of a draft.
    Draft = 6,
    /// The same, as a task of ours.
    Waiting = 7,
    /// What is kept beside an approval.
    Kept = 8,
    /// An event of a stream.
    Event = 9,
    /// What came of a call, for whoever makes it again.
    Answer = 10,
}

/// Where a handle may be used, by whom.
#[derive(Debug)]
pub(crate) struct Bound(Vec<u8>);

impl Bound {
    /// For calls of one item.
    pub(crate) fn to_item(kind: Kind, principal: &Principal, target: &Target) -> Self {
        Self::to(
            kind,
            principal,
            &[target.server.as_str(), &format!("{:?}", target.item.kind), &target.item.name],
        )
    }

    /// For whatever the words say.
    pub(crate) fn to(kind: Kind, principal: &Principal, place: &[&str]) -> Self {
        let user = principal.user.as_ref().map(|user| user.name.as_str());
        let (actor, name) = match &principal.actor {
            Actor::Agent(name) => ("agent", name.as_str()),
            Actor::Workload(name) => ("workload", name.as_str()),
            Actor::User(name) => ("user", name.as_str()),
            Actor::Server(name) => ("server", name.as_str()),
            Actor::Gateway => ("gateway", ""),
            Actor::Unknown => ("unknown", ""),
        };
        // without a user is not with one that has no name
        let acts_for = if user.is_some() { "for" } else { "alone" };
        let who = [principal.tenant.as_str(), principal.environment.as_str(), actor, name, acts_for];
        let mut out = vec![kind as u8];
        for word in who.into_iter().chain([user.unwrap_or_default()]).chain(place.iter().copied()) {
            out.extend_from_slice(&(word.len() as u64).to_be_bytes());
            out.extend_from_slice(word.as_bytes());
        }
        Self(out)
    }
}

/// A handle for `inner`, as text that needs no escape anywhere.
pub(crate) fn seal(gate: &Gate, bound: &Bound, inner: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(seal_bytes(gate, bound, inner))
}

/// The same for what stays with us.
pub(crate) fn seal_bytes(gate: &Gate, bound: &Bound, inner: &[u8]) -> Vec<u8> {
    gate.opener.seal_handle(&bound.0, inner)
}

/// What was sealed for ourselves.
pub(crate) fn open_bytes(gate: &Gate, bound: &Bound, sealed: &[u8]) -> Option<Vec<u8>> {
    gate.opener.open_handle(&bound.0, sealed)
}

/// What a handle was made of. Another's, a changed and a made-up one look the same.
pub(crate) fn open(gate: &Gate, bound: &Bound, handle: &str) -> Option<Vec<u8>> {
    open_bytes(gate, bound, &URL_SAFE_NO_PAD.decode(handle).ok()?)
}

/// Which stream of a session, and which event of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Event {
    /// [`SESSION_STREAM`](crate::listen::streams::SESSION_STREAM), or the number of a `POST`'s stream.
    pub(crate) stream: u64,
    /// From 1; 0 stands before the first.
    pub(crate) number: u64,
}

/// The ids of one session's events: its principal's, and worth nothing in another session.
#[derive(Debug)]
pub(crate) struct EventIds(vault::Handles);

impl EventIds {
    pub(crate) fn of(opener: &vault::Opener, principal: &Principal, session: &str) -> Self {
        Self(opener.handles(&Bound::to(Kind::Event, principal, &[session]).0))
    }

    pub(crate) fn seal(&self, event: Event) -> String {
        let inner = [event.stream.to_be_bytes(), event.number.to_be_bytes()].concat();
        URL_SAFE_NO_PAD.encode(self.0.seal(&inner))
    }

    pub(crate) fn open(&self, id: &str) -> Option<Event> {
        let inner = self.0.open(&URL_SAFE_NO_PAD.decode(id).ok()?)?;
        let (stream, number) = inner.split_first_chunk()?;
        Some(Event {
            stream: u64::from_be_bytes(*stream),
            number: u64::from_be_bytes(number.try_into().ok()?),
        })
    }
}

/// A message with this raw value in place of what stands there: a handle for a server's own word, or the other way.
pub(crate) fn put(message: Bytes, path: &[&str], value: Bytes) -> Result<Bytes, Refusal> {
    let nonsense = |why: String| Refusal::new(Code::UpstreamNonsense, why);
    let limits = wire::Limits::DEFAULT.with_bytes(u32::MAX as usize);
    let frame = wire::Frame::scan(message, &limits).map_err(|e| nonsense(e.to_string()))?;
    let at = frame.member(path).ok_or_else(|| nonsense(format!("no `{}`", path.join("."))))?;
    wire::Splice::new(&frame).replace(at, value).finish().map_err(|e| nonsense(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use decision::AgentName;

    fn opener(key: u8) -> vault::Opener {
        vault::Opener::new(std::sync::Arc::new(vault::Kek::from_bytes(&[key; 32]).unwrap()))
    }

    fn agent(name: &str) -> Principal {
        Principal { actor: Actor::Agent(AgentName::new(name).unwrap()), ..Principal::unknown() }
    }

    #[test]
    fn an_event_id_opens_in_its_session_for_its_principal_under_its_key() {
        let alices = EventIds::of(&opener(1), &agent("alice"), "s_1");
        let event = Event { stream: 7, number: 12 };
        let id = alices.seal(event);
        assert_eq!(alices.open(&id), Some(event));
        assert_ne!(id, alices.seal(Event { number: 13, ..event }));
        for others in [
            EventIds::of(&opener(1), &agent("bob"), "s_1"),
            EventIds::of(&opener(1), &agent("alice"), "s_2"),
            EventIds::of(&opener(2), &agent("alice"), "s_1"),
        ] {
            assert_eq!(others.open(&id), None);
        }
        let short = URL_SAFE_NO_PAD.encode(alices.0.seal(b"short"));
        for bad in ["", "7.12", "A", short.as_str(), &format!("{id}A"), &format!("{id}=")] {
            assert_eq!(alices.open(bad), None, "{bad}");
        }
    }
}
