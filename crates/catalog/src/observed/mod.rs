//! What a tool's answer says that its call did: whether something was created, changed, deleted or sent.
//!
//! By structure, not by keywords: a counter, a flag or a word about the operation itself, a status of HTTP, the payload of a
//! mutation, or a short sentence that confirms. What only talks of such things, a record with `created_at` or a page of text,
//! says nothing. An answer is the server's own word, so that this finds the careless, and nobody who hides.

mod receipt;
mod sentence;
mod tree;
mod verbs;

use decision::{CallId, Timestamp};
use serde::{Deserialize, Serialize};
use tree::Node;

/// Longer answers are not looked at: whoever only confirms something is brief.
pub const BYTES_MAX: usize = 16 << 10;
/// Parts of the content that are looked at.
const PARTS_MAX: usize = 3;

/// What a call did, by what came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Did {
    Created,
    Changed,
    Deleted,
    Sent,
}

impl Did {
    pub const ALL: [Self; 4] = [Self::Created, Self::Changed, Self::Deleted, Self::Sent];
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Changed => "changed",
            Self::Deleted => "deleted",
            Self::Sent => "sent",
        }
    }

    /// Of one operation that did both.
    fn and(self, other: Self) -> Self {
        match self == other {
            true => self,
            false if self == Self::Deleted || other == Self::Deleted => Self::Deleted,
            false => Self::Changed,
        }
    }
}

/// By what it was seen. Nothing of the answer itself is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    Counter,
    Flag,
    Word,
    Command,
    HttpStatus,
    Mutation,
    Sentence,
    Notice,
}

impl How {
    pub const ALL: [Self; 8] = [
        Self::Counter,
        Self::Flag,
        Self::Word,
        Self::Command,
        Self::HttpStatus,
        Self::Mutation,
        Self::Sentence,
        Self::Notice,
    ];
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Flag => "flag",
            Self::Word => "word",
            Self::Command => "command",
            Self::HttpStatus => "http-status",
            Self::Mutation => "mutation",
            Self::Sentence => "sentence",
            Self::Notice => "notice",
        }
    }
    /// As people read it.
    pub fn because(self) -> &'static str {
        match self {
            Self::Counter => "its answer counts what was done",
            Self::Flag => "its answer says that it was done",
            Self::Word => "its answer names what was done",
            Self::Command => "its answer names the command of a database",
            Self::HttpStatus => "its answer has the HTTP status of a change",
            Self::Mutation => "its answer is that of a mutation",
            Self::Sentence => "its answer is a sentence that confirms it",
            Self::Notice => "beside its answer the server said that a resource was updated",
        }
    }
}

/// What one answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    pub did: Did,
    pub how: How,
}

/// The same, kept: of which call, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Observation {
    pub did: Did,
    pub how: How,
    pub call: CallId,
    pub at: Timestamp,
}

impl Observation {
    /// What it says against a tool that is taken for a read.
    pub fn sentence(&self, day: impl Fn(Timestamp) -> String) -> String {
        let (did, because) = (self.did.as_str(), self.how.because());
        format!("on {} call {} {did} something: {because}", day(self.at), self.call)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(default)]
    is_error: bool,
    structured_content: Option<Node>,
    #[serde(default)]
    content: Vec<Part>,
}

#[derive(Deserialize)]
struct Part {
    text: Option<String>,
}

/// What the raw result of `tools/call` says that the call did. Most reads are told by their words, without being parsed.
pub fn in_result(result: &[u8]) -> Option<Seen> {
    if result.len() > BYTES_MAX || !verbs::mentioned(result) {
        return None;
    }
    let answer: Answer = serde_json::from_slice(result).ok()?;
    if answer.is_error {
        return None;
    }
    let parts = answer.content.iter().take(PARTS_MAX).filter_map(|part| part.text.as_deref());
    let structured = answer.structured_content.as_ref().and_then(receipt::read);
    structured.or_else(|| parts.filter_map(in_text).next())
}

fn in_text(text: &str) -> Option<Seen> {
    let text = text.trim();
    match serde_json::from_str(text) {
        Ok(Node::Text(text)) => sentence::read(&text),
        Ok(node) => receipt::read(&node),
        Err(_) => sentence::read(text),
    }
}
