//! Whether a deed was done already (requirement B14): under which key it is done once, and what a call may do that finds
//! another under the same key, its twin.
//!
//! Pure: whoever keeps the twins reads one, asks [`Twin::meets`], and writes only if it is still as it was read.

use crate::{Call, CallId, DeedId, Digest, Own, Timestamp};
use serde::{Deserialize, Serialize};

/// Longest key that a client may give.
pub const KEY_BYTES_MAX: usize = 255;

/// What makes two calls one deed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source<'a> {
    /// The client says so, by this key of its own.
    Client(&'a str),
    /// They ask for the same with the same arguments, and the operator says that this is enough.
    Arguments,
}

/// Whether a client's key has the form of one: a few visible ASCII characters.
pub fn is_key(text: &str) -> bool {
    (1..=KEY_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Under which key a call is made, and what it asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Of who asks, of which item, and the source. A client's own text is nowhere kept.
    pub digest: Digest,
    /// Of who asks.
    pub owner: Digest,
    /// Of the method and the arguments in canonical form.
    pub asks: Digest,
}

impl Key {
    /// That of a call. Neither definitions nor policies nor groups are part of it: what was done is not done again because
    /// one of these is another now.
    pub fn of(call: &Call, source: Source<'_>) -> Self {
        let owner = call.principal().owner(Own::Keys);
        let arguments = call.arguments().filter(|raw| !raw.is_empty());
        let arguments = arguments.as_deref().unwrap_or(b"{}");
        let canonical = crate::canonical::bytes(arguments).unwrap_or_else(|_| arguments.to_vec());
        let asks = Digest::of_parts(&[b"callgate/asks/v1\0", call.method().as_bytes(), b"\0", &canonical]);
        let what = serde_json::to_vec(&(&call.target().server, &call.target().item)).unwrap_or_default();
        let (kind, own) = match source {
            Source::Client(key) => (b"client\0".as_slice(), key.as_bytes()),
            Source::Arguments => (b"arguments\0".as_slice(), asks.0.as_slice()),
        };
        let length = (what.len() as u64).to_be_bytes();
        let parts = [b"callgate/key/v1\0", owner.0.as_slice(), &length, &what, kind, own];
        Self { digest: Digest::of_parts(&parts), owner, asks }
    }
}

/// How a deed stands that has a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// A message of it left, or is about to.
    Sent,
    /// Its server asked something, and nobody answered yet.
    Waits,
    /// It is over, and has an answer.
    Answered,
    /// Whether it happened is not known.
    Unknown,
}

impl Standing {
    pub const ALL: [Self; 4] = [Self::Sent, Self::Waits, Self::Answered, Self::Unknown];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Waits => "waits",
            Self::Answered => "answered",
            Self::Unknown => "unknown",
        }
    }
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == text)
    }
}

/// A call under some key, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Twin {
    pub asks: Digest,
    /// The last message of the deed that left, or is about to.
    pub call: CallId,
    pub deed: DeedId,
    pub leg: u32,
    pub standing: Standing,
    /// So long it stands in the way.
    pub until: Timestamp,
}

/// Whether what may or may not have happened may be tried once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    Never,
    /// It changes nothing, or the operator says that twice is once.
    Harmless,
}

/// What becomes of a call that finds its twin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meeting {
    /// It goes on, in the twin's place.
    Goes,
    /// The twin asked for something else.
    Reused,
    /// The twin is on its way.
    InProgress,
    /// The twin's answer is its answer.
    Answered,
    /// Nobody knows what became of the twin.
    Unknown,
}

impl Twin {
    /// What becomes of a message that asks this, as this leg of that deed.
    pub fn meets(
        &self,
        asks: &Digest,
        (deed, leg): (DeedId, u32),
        repeat: Repeat,
        now: Timestamp,
    ) -> Meeting {
        if now >= self.until {
            return Meeting::Goes;
        }
        if self.asks != *asks {
            return Meeting::Reused;
        }
        match self.standing {
            Standing::Answered => Meeting::Answered,
            // the legs of a deed are no twins of each other; one of them sent twice is
            Standing::Waits if self.deed == deed && leg > self.leg => Meeting::Goes,
            Standing::Waits | Standing::Sent => Meeting::InProgress,
            Standing::Unknown if repeat == Repeat::Harmless => Meeting::Goes,
            Standing::Unknown => Meeting::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn twin(standing: Standing, leg: u32) -> Twin {
        Twin {
            asks: Digest::of(b"a"),
            call: CallId::new(Timestamp(0), [0; 10]),
            deed: deed(0),
            leg,
            standing,
            until: Timestamp(100),
        }
    }

    fn deed(n: u8) -> DeedId {
        DeedId::new(Timestamp(0), [n; 10])
    }

    #[test]
    fn a_key_is_a_few_visible_characters() {
        for good in ["k", "order-4711/refund", "f47ac10b-58cc-4372-a567-0e02b2c3d479", &"x".repeat(255)] {
            assert!(is_key(good), "{good}");
        }
        for bad in ["", " ", "a b", "a\n", "ä", "a\0", "\u{202e}a", &"x".repeat(256)] {
            assert!(!is_key(bad), "{bad:?}");
        }
    }

    #[test]
    fn standings_read_back() {
        for one in Standing::ALL {
            assert_eq!(Standing::parse(one.as_str()), Some(one));
        }
        assert_eq!(Standing::parse("Sent"), None);
    }

    proptest! {
        /// Over every state there is: within its time, a call goes on beside its twin only as a later leg of a deed that
        /// waits, or where a repetition does no harm and nobody knows what became of the first.
        #[test]
        fn nothing_goes_beside_its_twin_but_a_later_leg_or_what_does_no_harm(
            standing in prop::sample::select(Standing::ALL.to_vec()),
            (first, leg) in (0..4_u32, 0..4_u32),
            own in any::<bool>(), same in any::<bool>(), harmless in any::<bool>(), now in 0..200_u64,
        ) {
            let asks = Digest::of(if same { b"a" } else { b"b" });
            let repeat = if harmless { Repeat::Harmless } else { Repeat::Never };
            let meets = twin(standing, first).meets(&asks, (deed(u8::from(!own)), leg), repeat, Timestamp(now));
            let later_leg = standing == Standing::Waits && own && leg > first;
            let retried = standing == Standing::Unknown && harmless;
            prop_assert_eq!(meets == Meeting::Goes, now >= 100 || (same && (later_leg || retried)));
            prop_assert_eq!(meets == Meeting::Reused, now < 100 && !same);
            prop_assert_eq!(meets == Meeting::Answered, now < 100 && same && standing == Standing::Answered);
        }
    }
}
