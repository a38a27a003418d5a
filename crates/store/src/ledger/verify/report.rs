//! What a verification found, for people and for programs.

use decision::{CallId, Digest, Slot, counted};
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// Findings beyond this many are counted, not listed.
pub(super) const FINDINGS_MAX: usize = 100;

/// Which of the two forms of a ledger was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// The folder a gateway writes.
    Live,
    /// A folder made by [`export`](crate::ledger::export).
    Exported,
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Damage {
    /// An entry's bytes are not those that were recorded.
    Flipped,
    /// Entries are missing from the middle.
    Removed,
    /// An entry stands here that was not recorded here.
    Inserted,
    /// Entries are in another order than they were recorded in.
    Reordered,
    /// Entries are missing from the end.
    Truncated,
    /// Entries were changed, removed or reordered, and the hashes beside them altered to fit.
    Rewritten,
    /// The log's key signed two histories that exclude each other.
    Forked,
    /// The first entries are others than the index in the database has of this log.
    Parted,
    /// A signature is wrong, or a checkpoint is not of this log's key.
    BadSignature,
    /// The log is not signed by the key that is trusted.
    OtherKey,
    /// Entries stand in an export behind its newest checkpoint: nobody signed them.
    Unsigned,
    /// Entries were written by somebody who has not got the log's key.
    Unkeyed,
    /// Hashes beside intact entries are wrong or missing.
    Hashes,
    /// The file's structure is broken, so that what follows cannot be read.
    Unreadable,
    /// A file lies in the export that is no part of it, and nothing in it was looked at.
    Unread,
    /// A value does not open the commitment in its entry.
    Disclosure,
    /// A call has more than one intent.
    SecondIntent,
    /// A call has more than one decision.
    SecondDecision,
    /// A decision comes before its intent or without one.
    NoIntent,
}

/// Where it is wrong: as narrow as it can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "at")]
pub enum Place {
    /// Exactly this entry is the first bad one.
    Entry { index: u64 },
    /// The first bad entry is one of `from..to`.
    Entries { from: u64, to: u64 },
    /// A value beside an entry; the entry itself is intact.
    Value { index: u64, slot: Slot },
    /// The checkpoint in the folder over this many entries.
    Checkpoint { size: u64 },
    /// The checkpoint that was kept elsewhere.
    KeptCheckpoint,
    /// The log as a whole.
    Log,
}

impl Place {
    /// One or more entries, or a place where none is.
    pub(super) fn of(from: u64, to: u64) -> Self {
        if to > from + 1 { Self::Entries { from, to } } else { Self::Entry { index: from } }
    }

    /// The first entry that may be bad.
    pub fn first_entry(&self) -> Option<u64> {
        match self {
            Self::Entry { index } => Some(*index),
            Self::Entries { from, .. } => Some(*from),
            Self::Value { .. } | Self::Checkpoint { .. } | Self::KeptCheckpoint | Self::Log => None,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Entry { index } => format!("entry {index}"),
            Self::Entries { from, to } => format!("entries {from} to {}", to.saturating_sub(1)),
            Self::Value { index, slot } => format!("the {} of entry {index}", slot.as_str()),
            Self::Checkpoint { size } => format!("the checkpoint over {size} entries"),
            Self::KeptCheckpoint => "the checkpoint kept elsewhere".to_owned(),
            Self::Log => "the log".to_owned(),
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub damage: Damage,
    pub place: Place,
    /// One sentence.
    pub what: String,
}

impl Finding {
    pub(super) fn new(damage: Damage, place: Place, what: impl Into<String>) -> Self {
        Self { damage, place, what: what.into() }
    }
}

/// An intent whose decision is not in the log: the call is running, or the gateway stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenCall {
    pub index: u64,
    pub call: CallId,
}

/// What says of the entries under no checkpoint that the log's own key wrote them: see the crate's ADR 0003.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Macs {
    /// There is nothing: an earlier version wrote it, or it is an export.
    #[default]
    Absent,
    /// Groups have MACs, and who verified has not got the key that checks them.
    Unchecked,
    /// All groups but those of an earlier version have the right MAC, unless a finding says so.
    Checked,
}

/// What the index in the gateway's database knows of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// So many entries were in it once.
    pub entries: u64,
    /// The root over so many first entries.
    pub root: Option<(u64, Digest)>,
}

/// Whether that was held against the folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum Index {
    NotAsked { why: String },
    Asked(Known),
}

impl Default for Index {
    fn default() -> Self {
        Self::NotAsked { why: "nobody said".to_owned() }
    }
}

impl Index {
    fn text(&self) -> String {
        match self {
            Self::NotAsked { why } => format!("the database was not asked what it knows of the log: {why}"),
            Self::Asked(Known { entries: 0, root: None }) => {
                "the database knows nothing of the log".to_owned()
            }
            Self::Asked(Known { entries, root }) => {
                let first = root.map_or_else(|| "none".to_owned(), |(size, _)| format!("the first {size}"));
                format!("the database knows {}, and of {first} which they are", counted(*entries, "entry"))
            }
        }
    }
}

/// The values beside the entries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Values {
    /// Open the commitment in their entry.
    pub opened: u64,
    /// Were erased and are marked so (live folders only).
    pub erased: u64,
    /// Have a commitment and nothing else: never kept, or erased before the export.
    pub absent: u64,
}

/// The result of a verification. `findings` empty means that it holds as far as it can be told, and
/// `cannot_exclude` says how far that is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub layout: Layout,
    pub origin: String,
    /// The verifier key that signatures were checked with.
    pub key: String,
    /// True when that key was given, false when it was found in the folder.
    pub key_trusted: bool,
    /// Entries found.
    pub entries: u64,
    /// Entries proven by the newest checkpoint that holds.
    pub proven: u64,
    /// Checkpoints in the folder that hold.
    pub checkpoints: u64,
    /// Size of the checkpoint kept elsewhere, if one was given and it holds.
    pub kept: Option<u64>,
    pub intents: u64,
    pub decisions: u64,
    pub events: u64,
    /// Entries that this version cannot read.
    pub unreadable: u64,
    pub values: Values,
    /// Bytes of a group at the end of a live log that is not finished.
    pub unfinished_bytes: u64,
    /// Names of what lies among the segments of a live log and is no part of it: nothing in it was looked at, and nobody
    /// else looks at it.
    #[serde(default)]
    pub strays: Vec<String>,
    #[serde(default)]
    pub index: Index,
    #[serde(default)]
    pub macs: Macs,
    /// Integrity first, in the order of the log; then what the entries say of calls.
    pub findings: Vec<Finding>,
    /// Findings beyond those listed.
    pub more_findings: u64,
    /// The first hundred, oldest first.
    pub open_calls: Vec<OpenCall>,
    pub open_calls_total: u64,
    /// What this verification could not have noticed. Never empty.
    pub cannot_exclude: Vec<String>,
}

impl Report {
    /// Whether nothing was found.
    pub fn holds(&self) -> bool {
        self.findings.is_empty()
    }

    /// The first finding about the log's integrity or order.
    pub fn first(&self) -> Option<&Finding> {
        self.findings.first()
    }

    /// Puts a finding before all others.
    pub(super) fn add_first(&mut self, finding: Finding) {
        self.findings.insert(0, finding);
    }

    pub(super) fn add(&mut self, finding: Finding) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        } else {
            self.more_findings += 1;
        }
    }

    /// The verdict in one line.
    pub fn headline(&self) -> String {
        match self.first() {
            None => {
                let entries = counted(self.entries, "entry");
                format!("the log holds: {entries}, {} of them under a checkpoint", self.proven)
            }
            Some(first) => format!("the log does not hold: {}: {}", first.place.text(), first.what),
        }
    }

    /// Everything, for a terminal.
    pub fn text(&self) -> String {
        let mut out = self.headline();
        let mut line = |text: String| {
            let _ = write!(out, "\n{text}");
        };
        line(format!(
            "log {}, key {}",
            self.origin,
            if self.key_trusted { "given" } else { "taken from the folder" }
        ));
        line(format!(
            "{}, {}, {}, {}; values: {} open their commitment, {} erased, {} absent",
            counted(self.intents, "intent"),
            counted(self.decisions, "decision"),
            counted(self.events, "event"),
            counted(self.checkpoints, "checkpoint"),
            self.values.opened,
            self.values.erased,
            self.values.absent
        ));
        match self.macs {
            Macs::Absent => {}
            Macs::Unchecked => line("MACs: not checked, since the signing key cannot be read".to_owned()),
            Macs::Checked => line("MACs: checked".to_owned()),
        }
        if let Some(kept) = self.kept {
            line(format!("the checkpoint kept elsewhere holds: {}", counted(kept, "entry")));
        }
        line(self.index.text());
        for name in self.strays.iter().take(FINDINGS_MAX) {
            let name = name.escape_debug();
            line(format!("! `{name}` lies among the segments and is no part of the log: nobody reads it"));
        }
        let unlisted = self.strays.len().saturating_sub(FINDINGS_MAX);
        if unlisted > 0 {
            line(format!("! and {unlisted} more of that kind"));
        }
        if self.unfinished_bytes > 0 {
            line(format!(
                "{} bytes at the end belong to a group that is not finished",
                self.unfinished_bytes
            ));
        }
        for finding in &self.findings {
            line(format!("✗ {}: {}", finding.place.text(), finding.what));
        }
        if self.more_findings > 0 {
            line(format!("✗ and {} more", self.more_findings));
        }
        for open in &self.open_calls {
            line(format!("○ entry {}: {} has no decision", open.index, open.call));
        }
        let unlisted = self.open_calls_total.saturating_sub(self.open_calls.len() as u64);
        if unlisted > 0 {
            line(format!("○ and {unlisted} more calls without a decision"));
        }
        line("this cannot exclude:".to_owned());
        for item in &self.cannot_exclude {
            line(format!("- {item}"));
        }
        out
    }
}
