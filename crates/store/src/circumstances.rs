//! What repeats from call to call, and remembering where the index has it.
//!
//! The index says it once, in a row of the entry that had it first; later entries name that one. What is not remembered
//! here is said again: never wrong, only longer.

use crate::db::Arg;
use crate::words::{direction_word, era_word, transport_word};
use decision::{Actor, Digest, Environment, Intent, Item, TenantId};
use std::{borrow::Cow, collections::HashMap};

/// Longest text that is copied into the index, in bytes.
pub(crate) const TEXT_BYTES_MAX: usize = 512;
/// Most bytes of names that are remembered, of each kind. What was not met while half of them went by is forgotten.
const KEPT_BYTES_MAX: usize = 2 << 20;
/// What remembering one costs beside its name.
const KEPT_BYTES: usize = 64;

/// One cell of what repeats. What is missing has a type too: PostgreSQL asks for it.
enum Said<'a> {
    Number(u64),
    Text(Option<Cow<'a, str>>),
    Bytes(Option<&'a [u8]>),
}

/// Our own words, and names, which have a form.
impl<'a> From<&'a str> for Said<'a> {
    fn from(text: &'a str) -> Self {
        Self::from(Some(text))
    }
}
impl<'a> From<Option<&'a str>> for Said<'a> {
    fn from(text: Option<&'a str>) -> Self {
        Self::Text(text.map(Cow::Borrowed))
    }
}
/// What a peer said.
impl<'a> From<Option<&'a String>> for Said<'a> {
    fn from(text: Option<&'a String>) -> Self {
        Self::Text(text.map(|text| searchable(text)))
    }
}
impl<'a> From<Option<&'a Digest>> for Said<'a> {
    fn from(digest: Option<&'a Digest>) -> Self {
        Self::Bytes(digest.map(|digest| &digest.0[..]))
    }
}

/// A column, and what an intent says in it.
type Column = (&'static str, for<'a> fn(&'a Intent) -> Said<'a>);

/// The columns of a row, behind `seq`.
const COLUMNS: [Column; 20] = [
    ("tenant", |intent| intent.tenant.as_str().into()),
    ("environment", |intent| intent.environment.as_str().into()),
    ("direction", |intent| direction_word(intent.direction).into()),
    ("errand", |intent| Said::Number(u64::from(intent.errand))),
    ("actor_kind", |intent| actor(&intent.principal.actor).0.into()),
    ("actor_name", |intent| actor(&intent.principal.actor).1.into()),
    ("user_name", |intent| intent.principal.user.as_ref().map(|user| user.name.as_str()).into()),
    ("host", |intent| intent.claimed.host.as_ref().into()),
    ("model", |intent| intent.claimed.model.as_ref().into()),
    ("workflow", |intent| intent.claimed.workflow.as_ref().into()),
    ("transport", |intent| transport_word(intent.channel.transport).into()),
    ("era", |intent| intent.channel.era.map(era_word).into()),
    ("revision", |intent| intent.channel.revision.as_ref().into()),
    ("entrance", |intent| Some(&intent.channel.entrance).into()),
    ("method", |intent| intent.method.as_ref().into()),
    ("server", |intent| intent.target.as_ref().map(|target| target.server.as_str()).into()),
    // without a server it is what was asked for, and is nothing here
    ("item_kind", |intent| item(intent).map(|item| item.kind.as_str()).into()),
    ("item_name", |intent| item(intent).map(|item| &item.name).into()),
    ("definition", |intent| intent.target.as_ref().and_then(|target| target.definition.as_ref()).into()),
    ("policy", |intent| intent.policy.as_ref().into()),
];

pub(crate) const NAMES: [&str; COLUMNS.len() + 1] = {
    let mut names = ["seq"; COLUMNS.len() + 1];
    let mut n = 0;
    #[expect(clippy::indexing_slicing, reason = "a constant: it would not compile")]
    while n < COLUMNS.len() {
        names[n + 1] = COLUMNS[n].0;
        n += 1;
    }
    names
};

fn item(intent: &Intent) -> Option<&Item> {
    intent.target.as_ref().map(|target| &target.item).or(intent.asked.as_ref())
}

/// Who acts: the kind, and the name if there is one.
fn actor(actor: &Actor) -> (&'static str, Option<&str>) {
    match actor {
        Actor::Agent(name) => ("agent", Some(name.as_str())),
        Actor::Workload(name) => ("workload", Some(name.as_str())),
        Actor::User(name) => ("user", Some(name.as_str())),
        Actor::Server(name) => ("server", Some(name.as_str())),
        Actor::Gateway => ("gateway", None),
        Actor::Unknown => ("unknown", None),
    }
}

/// What a call's row says of its circumstances.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Met {
    /// The entry that has them in full.
    pub(crate) seq: u64,
    pub(crate) scope: u64,
    pub(crate) agent: Option<u64>,
    pub(crate) server: Option<u64>,
}

impl Met {
    pub(crate) fn new(seq: u64, scope: u64, intent: &Intent) -> Self {
        let agent = match &intent.principal.actor {
            Actor::Agent(name) | Actor::Workload(name) => Some(number(name.as_str())),
            Actor::User(_) | Actor::Server(_) | Actor::Gateway | Actor::Unknown => None,
        };
        let server = intent.target.as_ref().map(|target| number(target.server.as_str()));
        Self { seq, scope, agent, server }
    }
}

/// A name as a number, for the indexes. Two names may have the same one, so whoever asks compares the name as well.
pub(crate) fn number(name: &str) -> u64 {
    let [a, b, c, d, ..] = Digest::of(name.as_bytes()).0;
    // 31 bits take four bytes on SQLite, 32 would take six
    u64::from(u32::from_be_bytes([a, b, c, d]) >> 1)
}

/// Everything an intent shares with others, as one text to compare.
pub(crate) fn key(intent: &Intent, key: &mut Vec<u8>) {
    key.clear();
    for (_, said) in COLUMNS {
        let said = said(intent);
        let number;
        let bytes = match &said {
            Said::Number(n) => {
                number = n.to_be_bytes();
                Some(&number[..])
            }
            Said::Text(text) => text.as_deref().map(str::as_bytes),
            Said::Bytes(bytes) => *bytes,
        };
        // none is longer than a text may be
        let tag = bytes.map_or(u16::MAX, |bytes| u16::try_from(bytes.len()).unwrap_or_default());
        let bytes = bytes.unwrap_or_default();
        key.extend_from_slice(&tag.to_be_bytes());
        key.extend_from_slice(bytes);
    }
}

/// The row of an intent's circumstances.
pub(crate) fn row(seq: u64, intent: &Intent) -> impl Iterator<Item = Arg> {
    let cell = |(_, said): Column| match said(intent) {
        Said::Number(n) => n.into(),
        Said::Text(text) => text.map(Cow::into_owned).into(),
        Said::Bytes(bytes) => bytes.into(),
    };
    std::iter::once(seq.into()).chain(COLUMNS.map(cell))
}

/// Text of a peer, as the index keeps it: bounded, and without the zero byte that PostgreSQL refuses.
pub(crate) fn searchable(text: &str) -> Cow<'_, str> {
    if text.len() <= TEXT_BYTES_MAX && !text.contains('\0') {
        return Cow::Borrowed(text);
    }
    let mut kept = String::new();
    for c in text.chars() {
        if kept.len() + c.len_utf8() > TEXT_BYTES_MAX {
            break;
        }
        kept.push(if c == '\0' { ' ' } else { c });
    }
    Cow::Owned(kept)
}

/// What is remembered of the index of one log.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// The log, and how often its index had been emptied.
    of: (u64, u64),
    pub(crate) scopes: HashMap<(TenantId, Environment), u64>,
    pub(crate) circumstances: Recall<Met>,
    pub(crate) interactions: Recall<u64>,
}

impl Memory {
    /// Forgets what was remembered of something else.
    pub(crate) fn turn_to(&mut self, log: u64, wiped: u64) {
        if self.of != (log, wiped) {
            *self = Self { of: (log, wiped), scopes: std::mem::take(&mut self.scopes), ..Self::default() };
        }
    }
}

/// Remembers by name what was met lately, within a bound.
#[derive(Debug)]
pub(crate) struct Recall<T> {
    lately: HashMap<Box<[u8]>, T>,
    before: HashMap<Box<[u8]>, T>,
    bytes: usize,
}

impl<T> Default for Recall<T> {
    fn default() -> Self {
        Self { lately: HashMap::new(), before: HashMap::new(), bytes: 0 }
    }
}

impl<T: Copy> Recall<T> {
    pub(crate) fn get(&mut self, name: &[u8]) -> Option<T> {
        if let Some(found) = self.lately.get(name) {
            return Some(*found);
        }
        let (name, found) = self.before.remove_entry(name)?;
        self.put(name, found);
        Some(found)
    }

    pub(crate) fn put(&mut self, name: Box<[u8]>, value: T) {
        let bytes = name.len() + KEPT_BYTES;
        if self.bytes + bytes > KEPT_BYTES_MAX / 2 {
            self.before = std::mem::take(&mut self.lately);
            self.bytes = 0;
        }
        self.bytes += bytes;
        self.lately.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_names_stay_what_they_are() {
        assert_eq!((number("agent-54132"), number("agent-101988")), (1_219_293_825, 1_219_293_825));
        assert_eq!((number("server-15076"), number("server-66848")), (1_730_304_323, 1_730_304_323));
    }

    #[test]
    fn what_is_met_again_and_again_is_remembered_within_a_bound() {
        let mut recall = Recall::default();
        let name = |n: u64| Box::from(n.to_be_bytes());
        let most = (KEPT_BYTES_MAX / (KEPT_BYTES + 8)) as u64;
        recall.put(name(0), 0);
        for n in 1..most * 3 {
            recall.put(name(n), n);
            assert_eq!(recall.get(&name(0)), Some(0), "{n}");
            assert!((recall.lately.len() + recall.before.len()) as u64 <= most);
        }
        assert_eq!(recall.get(&name(1)), None, "met once, long ago");
        assert_eq!(recall.get(&name(most * 3 - 1)), Some(most * 3 - 1));
    }
}
