//! Names and texts that others chose, as an entry keeps them.

use decision::{Digest, Item, Target};

/// Longest item name an entry keeps whole; what is longer is cut and its digest added.
pub(super) const NAME_CHARS_MAX: usize = 1_024;
/// And of one that is none of ours.
const ASKED_CHARS_MAX: usize = 128;

pub(super) fn shorten(mut target: Target) -> Target {
    if target.item.name.chars().count() > NAME_CHARS_MAX {
        let digest = Digest::of(target.item.name.as_bytes());
        target.item.name = format!("{}… {digest}", cut(&target.item.name, NAME_CHARS_MAX - 100));
    }
    target
}

/// What somebody wrote where a name belongs: it may be anything.
pub(super) fn named(asked: &Item) -> Item {
    Item { kind: asked.kind, name: inspect::shown::visible(&cut(&asked.name, ASKED_CHARS_MAX)) }
}

pub(super) fn cut(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}
