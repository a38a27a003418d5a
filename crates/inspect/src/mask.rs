//! All credentials of one lease, and any text without them.

use crate::form;
use crate::json;
use crate::known::{Part, SHORT_BELOW, parts};
use crate::sieve::Sieve;
use crate::view::{ENTITY_MAX, Matters, Undo, View};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// What was found: how often each secret, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hits(BTreeMap<Arc<str>, u64>);

impl Hits {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// How often a secret was found.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }
    /// Adds what was found elsewhere.
    pub fn add(&mut self, others: &Self) {
        for (name, times) in &others.0 {
            *self.0.entry(Arc::clone(name)).or_default() += times;
        }
    }
    fn note(&mut self, name: &Arc<str>) {
        *self.0.entry(Arc::clone(name)).or_default() += 1;
    }
}

/// `crm-key×2, other×1`.
impl fmt::Display for Hits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (name, times)) in self.0.iter().enumerate() {
            let comma = if n > 0 { ", " } else { "" };
            write!(f, "{comma}{name}×{times}")?;
        }
        Ok(())
    }
}

/// A text without the secrets that were in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Masked {
    pub bytes: Vec<u8>,
    pub hits: Hits,
}

/// A secret stands where it cannot be taken out without breaking the message: over more than one JSON value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a secret stands across several values of the message")]
pub struct Unmaskable;

/// How often escapes of all kinds are undone, after those that are a message's own: three that somebody wrote, and
/// one that is the secret's.
const DEPTH: usize = 4;

/// Where a part of a secret stands in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) range: Range<usize>,
    pub(crate) part: usize,
}

/// The credentials of one lease, to be found in any text. Wiped when dropped, never printed, never cloned.
///
/// ```compile_fail,E0599
/// fn twice(mask: callgate_inspect::Mask) -> (callgate_inspect::Mask, callgate_inspect::Mask) {
///     (mask.clone(), mask)
/// }
/// ```
pub struct Mask {
    parts: Vec<Part>,
    sieve: Sieve,
    matters: Matters,
    /// Whether one of them may read as something else once another kind of escapes than its own is undone.
    ambiguous: bool,
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mask({:?})", self.parts)
    }
}

impl Mask {
    /// From credentials as they are sent, scheme included, each with the name of its secret. The name is what
    /// stands in its place.
    pub fn new<'a>(credentials: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let parts: Vec<Part> = credentials.into_iter().flat_map(|(name, value)| parts(name, value)).collect();
        let mut sieve = Sieve::new(parts.len());
        for (n, part) in parts.iter().enumerate().filter(|(_, part)| part.bytes.len() >= SHORT_BELOW) {
            form::heads(&part.bytes, |head, form| sieve.add(head, n, form));
        }
        let short = parts.iter().any(|part| part.bytes.len() < SHORT_BELOW);
        let matters = Matters::new(parts.iter().map(|part| part.bytes.as_slice()), short);
        let ambiguous = parts.iter().any(|part| memchr::memchr3(b'\\', b'%', b'&', &part.bytes).is_some());
        Self { parts, sieve, matters, ambiguous }
    }

    /// Whether there is nothing to look for.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// A JSON text that was scanned, without the secrets; `None` if there are none in it. Inside a string,
    /// `[secret:NAME]` stands where a secret stood; a number with one becomes such a string, unless the secret is short: a
    /// schema asks for a number there, and any number may be one by chance.
    ///
    /// Errors: [`Unmaskable`], and then no part of the text may go on.
    pub fn json(&self, text: &[u8]) -> Result<Option<Masked>, Unmaskable> {
        let found = self.find(text, true);
        if found.is_empty() {
            return Ok(None);
        }
        json::rewrite(self, text, &found).map(|masked| Some(masked).filter(|one| !one.hits.is_empty()))
    }

    /// Any other text without the secrets; `None` if there are none in it.
    pub fn text(&self, text: &[u8]) -> Option<Masked> {
        let found = self.find(text, false);
        if found.is_empty() {
            return None;
        }
        let mut masked = Masked { bytes: Vec::with_capacity(text.len()), hits: Hits::default() };
        let mut copied = 0;
        for one in &found {
            masked.bytes.extend_from_slice(text.get(copied..one.range.start).unwrap_or_default());
            masked.put(self.name(one));
            copied = one.range.end;
        }
        masked.bytes.extend_from_slice(text.get(copied..).unwrap_or_default());
        Some(masked)
    }

    pub(crate) fn name(&self, found: &Found) -> &Arc<str> {
        static NAMELESS: std::sync::LazyLock<Arc<str>> = std::sync::LazyLock::new(|| "?".into());
        self.parts.get(found.part).map_or(&NAMELESS, |part| &part.name)
    }

    /// Whether it is a secret that a number or a word may be by chance.
    pub(crate) fn is_short(&self, found: &Found) -> bool {
        self.parts.get(found.part).is_some_and(|part| part.bytes.len() < SHORT_BELOW)
    }

    /// Bytes of the longest way to write any of them that a stream is searched for: every byte as one escape.
    pub(crate) fn longest(&self) -> usize {
        self.parts.iter().map(|part| part.bytes.len()).max().unwrap_or_default() * ENTITY_MAX
    }

    /// Every place of a secret, in order, none touching the next. In JSON a backslash is an escape; in any other
    /// text it may be.
    pub(crate) fn find(&self, text: &[u8], is_json: bool) -> Vec<Found> {
        let mut found = Vec::new();
        if self.is_empty() {
            return found;
        }
        let root = View::Root { bytes: text, matters: &self.matters };
        self.look(&root, &mut found);
        let unescaped = root.undo(Undo::Backslash);
        if let Some(plain) = &unescaped {
            self.look(plain, &mut found);
            self.look_under(plain, &mut found);
        }
        if unescaped.is_none() || !is_json {
            self.look_under(&root, &mut found);
        }
        join(found)
    }

    /// Looks at what a text is with all kinds of escapes undone, again and again; and with each kind alone where
    /// that may be another.
    fn look_under(&self, plain: &View<'_>, found: &mut Vec<Found>) {
        if !self.ambiguous {
            return self.look_deeper(plain, DEPTH, found);
        }
        let mut kinds = Undo::KINDS.into_iter().filter_map(|undo| plain.undo(undo));
        let Some(first) = kinds.next() else { return };
        self.look(&first, found);
        let mut others = false;
        for other in kinds {
            self.look(&other, found);
            others = true;
        }
        // of one kind alone all of them are undone already
        if others {
            self.look_deeper(plain, DEPTH, found)
        } else {
            self.look_deeper(&first, DEPTH - 1, found)
        }
    }

    fn look_deeper(&self, view: &View<'_>, left: usize, found: &mut Vec<Found>) {
        if let Some(deeper) = (left > 0).then(|| view.undo(Undo::Any)).flatten() {
            self.look(&deeper, found);
            self.look_deeper(&deeper, left - 1, found);
        }
    }

    /// Looks at a view, and at the same with base64 in one piece.
    fn look(&self, view: &View<'_>, found: &mut Vec<Found>) {
        self.look_at(view, found);
        if let Some(unwrapped) = view.undo(Undo::Wrap) {
            self.look_at(&unwrapped, found);
        }
    }

    fn look_at(&self, view: &View<'_>, found: &mut Vec<Found>) {
        let text = view.bytes();
        self.sieve.search(text, |caught| {
            let Some(part) = self.parts.get(caught.part) else { return };
            if let Some(range) = caught.form.range(&part.bytes, text, caught.start) {
                found.push(Found { range: view.source(range), part: caught.part });
            }
        });
        for (n, part) in self.parts.iter().enumerate().filter(|(_, part)| part.bytes.len() < SHORT_BELOW) {
            for start in memchr::memmem::find_iter(text, part.bytes.as_slice()) {
                let end = start + part.bytes.len();
                if !in_word(text.get(start.wrapping_sub(1))) && !in_word(text.get(end)) {
                    found.push(Found { range: view.source(start..end), part: n });
                }
            }
        }
    }
}

impl Masked {
    pub(crate) fn put(&mut self, name: &Arc<str>) {
        self.bytes.extend_from_slice(b"[secret:");
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(b']');
        self.hits.note(name);
    }
}

/// Whether a short secret beside this byte is part of a longer word.
fn in_word(byte: Option<&u8>) -> bool {
    byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 0x80)
}

/// In order; what overlaps or touches becomes one, under the name of the longer.
fn join(mut found: Vec<Found>) -> Vec<Found> {
    found.sort_unstable_by_key(|one| (one.range.start, std::cmp::Reverse(one.range.end), one.part));
    let mut joined: Vec<Found> = Vec::with_capacity(found.len());
    for one in found {
        match joined.last_mut() {
            Some(last) if one.range.start < last.range.end => {
                if one.range.len() > last.range.len() {
                    last.part = one.part;
                }
                last.range.end = last.range.end.max(one.range.end);
            }
            Some(_) | None => joined.push(one),
        }
    }
    joined
}
