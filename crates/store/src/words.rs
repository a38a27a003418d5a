//! How closed enums are written in a column. A word is never changed and never reused.

use decision::{Direction, Era, ItemKind, Transport};

/// Writes the two directions from one table, so that they cannot disagree.
macro_rules! words {
    ($($write:ident, $read:ident: $type:ident { $($variant:ident = $word:literal),+ $(,)? })+) => { $(
        pub(crate) fn $write(value: $type) -> &'static str {
            match value { $($type::$variant => $word),+ }
        }
        pub(crate) fn $read(word: &str) -> Option<$type> {
            match word { $($word => Some($type::$variant),)+ _ => None }
        }
    )+ };
}
pub(crate) use words;

words! {
    era_word, era_from: Era { Legacy = "legacy", Modern = "modern" }
    transport_word, transport_from: Transport { Http = "http", Stdio = "stdio", Internal = "internal" }
    direction_word, direction_from: Direction { ToServer = "to-server", ToHost = "to-host" }
}

/// What [`ItemKind::as_str`] wrote.
pub(crate) fn kind_from(word: &str) -> Option<ItemKind> {
    ItemKind::ALL.into_iter().find(|kind| kind.as_str() == word)
}
