//! The verbs of change, as answers use them.

use super::Did;
use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use std::sync::LazyLock;

/// One verb.
#[derive(Debug)]
pub(super) struct Verb {
    /// As what was done.
    pub(super) done: &'static str,
    /// As what to do.
    pub(super) does: &'static str,
    pub(super) did: Did,
    /// Of whom it speaks when it is the name of a flag.
    pub(super) flag: Flag,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flag {
    /// Of the operation: no record *is* `created: true`.
    Deed,
    /// Of the operation or of the record, which may have been `archived` long ago.
    Either,
}

const fn verb(done: &'static str, does: &'static str, did: Did, flag: Flag) -> Verb {
    Verb { done, does, did, flag }
}

use Did::{Changed, Created, Deleted, Sent};
use Flag::{Deed, Either};

pub(super) const VERBS: [Verb; 62] = [
    verb("created", "create", Created, Deed),
    verb("inserted", "insert", Created, Deed),
    verb("upserted", "upsert", Changed, Deed),
    verb("added", "add", Created, Either),
    verb("uploaded", "upload", Created, Either),
    verb("registered", "register", Created, Either),
    verb("submitted", "submit", Created, Either),
    verb("scheduled", "schedule", Created, Either),
    verb("copied", "copy", Created, Either),
    verb("duplicated", "duplicate", Created, Either),
    verb("forked", "fork", Created, Either),
    verb("cloned", "clone", Created, Either),
    verb("imported", "import", Created, Either),
    verb("provisioned", "provision", Created, Either),
    verb("updated", "update", Changed, Either),
    verb("modified", "modify", Changed, Either),
    verb("changed", "change", Changed, Either),
    verb("edited", "edit", Changed, Either),
    verb("saved", "save", Changed, Either),
    verb("written", "write", Changed, Deed),
    verb("wrote", "write", Changed, Deed),
    verb("overwritten", "overwrite", Changed, Deed),
    verb("replaced", "replace", Changed, Either),
    verb("renamed", "rename", Changed, Either),
    verb("moved", "move", Changed, Either),
    verb("merged", "merge", Changed, Either),
    verb("committed", "commit", Changed, Either),
    verb("pushed", "push", Changed, Either),
    verb("applied", "apply", Changed, Either),
    verb("configured", "configure", Changed, Either),
    verb("patched", "patch", Changed, Either),
    verb("deployed", "deploy", Changed, Either),
    verb("installed", "install", Changed, Either),
    verb("enabled", "enable", Changed, Either),
    verb("disabled", "disable", Changed, Either),
    verb("closed", "close", Changed, Either),
    verb("reopened", "reopen", Changed, Either),
    verb("archived", "archive", Changed, Either),
    verb("unarchived", "unarchive", Changed, Either),
    verb("restored", "restore", Changed, Either),
    verb("published", "publish", Changed, Either),
    verb("approved", "approve", Changed, Either),
    verb("cancelled", "cancel", Changed, Either),
    verb("canceled", "cancel", Changed, Either),
    verb("assigned", "assign", Changed, Either),
    verb("granted", "grant", Changed, Either),
    verb("revoked", "revoke", Changed, Either),
    verb("restarted", "restart", Changed, Either),
    verb("scaled", "scale", Changed, Either),
    verb("reset", "reset", Changed, Either),
    verb("deleted", "delete", Deleted, Either),
    verb("removed", "remove", Deleted, Either),
    verb("dropped", "drop", Deleted, Either),
    verb("purged", "purge", Deleted, Either),
    verb("erased", "erase", Deleted, Either),
    verb("destroyed", "destroy", Deleted, Either),
    verb("uninstalled", "uninstall", Deleted, Either),
    verb("sent", "send", Sent, Either),
    verb("posted", "post", Sent, Either),
    verb("emailed", "email", Sent, Either),
    verb("forwarded", "forward", Sent, Either),
    verb("invited", "invite", Sent, Either),
];

pub(super) fn done(word: &str) -> Option<&'static Verb> {
    VERBS.iter().find(|verb| verb.done == word)
}
pub(super) fn does(word: &str) -> Option<&'static Verb> {
    VERBS.iter().find(|verb| verb.does == word)
}

/// What counts, the numbers of HTTP, and commands of databases.
const OTHERS: [&str; 12] = [
    "affected",
    "changes",
    "insertid",
    "insertrowid",
    "insert_id",
    "rowcount",
    "row_count",
    "201",
    "202",
    "204",
    "alter",
    "truncate",
];

static WORDS: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    let words = VERBS.iter().map(|verb| verb.does).chain(VERBS.iter().map(|verb| verb.done)).chain(OTHERS);
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .match_kind(MatchKind::LeftmostLongest)
        .kind(Some(AhoCorasickKind::DFA))
        .build(words)
        .ok()
});

/// Whether anything in the bytes could be looked at: most answers of reads have none of the words, or have them as the
/// name of a time or a person only. Allocates nothing.
pub(super) fn mentioned(bytes: &[u8]) -> bool {
    let Some(words) = &*WORDS else { return true };
    words.find_iter(bytes).any(|found| {
        let before = found.start().checked_sub(1).and_then(|at| bytes.get(at)).copied();
        let (word, rest) = (bytes.get(found.range()).unwrap_or_default(), bytes.get(found.end()..));
        let rest = rest.unwrap_or_default();
        // what to do is said in the name of a mutation or in a command, at its one end or the other
        let own = found.pattern().as_usize() >= VERBS.len()
            || (before == Some(b'"')) != matches!(rest.first(), Some(b'"' | b'\\'));
        own && begins(before, word) && ends(word, rest)
    })
}

/// Whether a word begins here.
fn begins(before: Option<u8>, word: &[u8]) -> bool {
    let (Some(before), Some(first)) = (before, word.first()) else { return true };
    match first {
        b'0'..=b'9' => !before.is_ascii_alphanumeric() && before != b'-' && before != b'.',
        // after `\n`, which is a line's end as JSON has it, a word begins too
        _ => {
            let camel = before.is_ascii_lowercase() && first.is_ascii_uppercase();
            !before.is_ascii_alphabetic() || camel || before == b'n'
        }
    }
}

/// Whether it ends here, and no time or person follows it.
fn ends(word: &[u8], rest: &[u8]) -> bool {
    const ABOUT: [&[u8]; 12] =
        [b"_at", b"_by", b"_on", b"_date", b"_time", b"At", b"By", b"On", b"Date", b"Time", b" by ", b" on "];
    let next = rest.first().copied().unwrap_or_default();
    match word.last() {
        Some(last) if last.is_ascii_digit() => !next.is_ascii_digit() && next != b'-' && next != b'.',
        Some(last) if last.is_ascii_alphabetic() => {
            !next.is_ascii_lowercase() && !ABOUT.iter().any(|about| rest.starts_with(about))
        }
        Some(_) | None => true,
    }
}
