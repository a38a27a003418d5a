//! What is said over the owner's socket: one request, one response, a line of JSON each.

use crate::command::approvals::Word;
use catalog::record::Absent;
use decision::approval::Part;
use decision::{Approval, ApprovalId, CallId, Digest, EventName, ServerName, Slot, Timestamp, UserName};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf};
use store::{Writer, ledger::EntryProof};

/// What can be asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
pub(crate) enum Request {
    /// Who is there.
    Ping,
    /// Write an event into the ledger.
    Record {
        event: EventName,
        #[serde(default)]
        server: Option<ServerName>,
        #[serde(default)]
        detail: BTreeMap<String, String>,
    },
    /// Write into the ledger what was decided through this store.
    Tell { writer: Writer },
    /// Whether what the database had by this revision is in force; waits a moment for it.
    InForce { revision: u64 },
    /// Which servers cannot be looked at.
    Absent,
    /// Look at this server now, though it is not its turn.
    Look { server: ServerName },
    /// Which approvals that wait are void by what is in force.
    Void,
    /// Entries from this one on.
    Entries { from: u64, max: usize },
    /// A value beside an entry.
    Value { index: u64, slot: Slot },
    /// Erase a value beside an entry of this call, and have in the record who did.
    Erase { index: u64, slot: Slot, call: CallId, by: String },
    /// Prove that an entry is in the log.
    Prove { index: u64 },
    /// Write the log to a folder.
    Export { to: PathBuf, values: bool },
    /// Sign a checkpoint.
    Checkpoint,
    /// Read the configuration anew.
    Reload,
    /// Which settings are in force.
    Settings,
    /// The very files that are in force.
    Written,
    /// Whether this server has been looked at; `anew` has it looked at now, where it has not, and not only when it is its turn.
    Ready {
        server: ServerName,
        #[serde(default)]
        anew: bool,
    },
    /// A first policy for what this server offers.
    Starter { server: ServerName },
    /// Somebody's word on an approval.
    Decide {
        approval: ApprovalId,
        by: UserName,
        word: Word,
        #[serde(default)]
        reason: Option<String>,
        /// The account of the machine that said it, for the record.
        #[serde(default)]
        account: Option<String>,
    },
    /// A link into the console, for this person or for an administrator without a name.
    ConsoleLink {
        #[serde(default)]
        person: Option<UserName>,
    },
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub(crate) enum Response {
    Here {
        pid: u32,
        version: String,
        listen: String,
        config: PathBuf,
        /// Whose rows of which database it goes by ([`Place::house`]).
        #[serde(default)]
        house: Option<Digest>,
        /// Why the files of its database are not those that others find.
        #[serde(default)]
        replaced: Option<String>,
    },
    Recorded {
        index: u64,
    },
    Told {
        events: usize,
    },
    InForce {
        yes: bool,
    },
    Absent {
        servers: BTreeMap<ServerName, Absent>,
    },
    Looked(Looked),
    Void {
        approvals: BTreeMap<ApprovalId, Part>,
    },
    Entries {
        log: String,
        size: u64,
        /// Each exactly as it is in the log.
        entries: Vec<(u64, String)>,
    },
    /// Kept values as text where they are text.
    Value {
        state: ValueState,
        text: Option<String>,
    },
    Erased {
        /// What was there until now.
        was: ValueState,
    },
    Proof {
        proof: EntryProof,
        key: String,
    },
    Exported {
        dir: PathBuf,
        entries: u64,
        checkpoint: String,
    },
    Checkpoint {
        note: String,
        key: String,
    },
    Reloaded {
        problems: Vec<String>,
    },
    Settings(Box<InForce>),
    /// The text may hold the password of a database.
    Written {
        pid: u32,
        config: PathBuf,
        since: Timestamp,
        text: String,
        /// Path and text of each.
        policies: Vec<(String, String)>,
    },
    Ready {
        ready: bool,
        /// Why the last look at it failed, where none has succeeded since.
        #[serde(default)]
        fault: Option<String>,
        /// How many looks have failed so far without one that did not.
        #[serde(default)]
        failed: u32,
    },
    Starter {
        text: String,
    },
    /// How the approval stands now.
    Decided {
        approval: Box<Approval>,
    },
    /// The word does not count; one sentence.
    Unfit {
        why: String,
    },
    ConsoleLink {
        link: String,
    },
    /// It did not work; one sentence.
    Failed {
        why: String,
    },
}

/// What came of a look that somebody asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "look")]
pub(crate) enum Looked {
    Done,
    /// Nobody looks at it: it is suspended, retired or not configured.
    Shut,
    /// One sentence without its end; part of it may be the server's own words.
    Failed {
        why: String,
    },
}

/// The settings in force, as `callgate settings --effective` writes them.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct InForce {
    pub(crate) pid: u32,
    pub(crate) config: PathBuf,
    /// When they were read.
    pub(crate) since: Timestamp,
    /// Of the text of the configuration.
    pub(crate) digest: Digest,
    /// Newer files, where there are any that do not hold.
    pub(crate) refused: Option<Refused>,
    pub(crate) settings: toml::Table,
}

/// Files that were read and are not in force.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Refused {
    pub(crate) at: Timestamp,
    pub(crate) problems: Vec<String>,
}

/// Whether the value beside an entry can still be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ValueState {
    Kept,
    Erased,
    NeverKept,
}
