//! Batches: several messages in one JSON array, which 2025-03-26 alone has.
//!
//! A batch is scanned as a whole, as strictly as a message, and then taken apart: its members are pieces of the
//! scanned bytes, each to be scanned as the message that it is.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::json;
use crate::scan::{Id, Limits, ScanError, scan_value};

/// Most messages in one batch.
pub const MEMBERS_MAX: usize = 64;

/// For the whole. Each member is held to the limits of a message when it is scanned.
const LIMITS: Limits = Limits { bytes: usize::MAX, depth: 1_024 };

/// Why an array is not a batch. Never carries any of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The array is not strict JSON.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// An empty array (JSON-RPC 2.0 §6).
    #[error("a batch has at least one message")]
    Empty,
    /// More than [`MEMBERS_MAX`].
    #[error("a batch has at most {MEMBERS_MAX} messages")]
    TooMany,
    /// A batch in a batch.
    #[error("a batch has messages in it and no other batch")]
    Nested,
    /// Two requests, or two answers, of one id.
    #[error("two messages of the batch have the same id")]
    SameId,
    /// 2025-03-26 `basic/lifecycle`: before it nobody knows that batches are spoken.
    #[error("`initialize` is sent alone")]
    Initialize,
}

/// Whether what came is an array and no message.
pub fn is_batch(bytes: &[u8]) -> bool {
    bytes.get(json::skip_whitespace(bytes, 0)) == Some(&b'[')
}

/// The members of a batch, in order. They need not be messages.
///
/// # Errors
/// [`BatchError`].
pub fn split(bytes: &Bytes) -> Result<Vec<Bytes>, BatchError> {
    scan_value(bytes, &LIMITS)?;
    let start = json::skip_whitespace(bytes, 0);
    let array = bytes.get(start..).unwrap_or_default();
    let mut members = Vec::new();
    let mut ids = BTreeSet::new();
    for range in json::array_elements(array) {
        if members.len() == MEMBERS_MAX {
            return Err(BatchError::TooMany);
        }
        let member = bytes.slice(start + range.start..start + range.end);
        if member.first() == Some(&b'[') {
            return Err(BatchError::Nested);
        }
        let method = json::member(&member, "method");
        if method.and_then(json::decode_string).as_deref() == Some("initialize") {
            return Err(BatchError::Initialize);
        }
        // the ids of requests and those of answers are of different peers
        let id = json::member(&member, "id").and_then(Id::read);
        if id.is_some_and(|id| !ids.insert((method.is_some(), id.to_string()))) {
            return Err(BatchError::SameId);
        }
        members.push(member);
    }
    if members.is_empty() { Err(BatchError::Empty) } else { Ok(members) }
}

/// What came at once: the members of a batch where `batches` are spoken, else one message, whatever it is.
///
/// # Errors
/// [`BatchError`].
pub fn messages(bytes: &Bytes, batches: bool) -> Result<Vec<Bytes>, BatchError> {
    if batches && is_batch(bytes) { split(bytes) } else { Ok(vec![bytes.clone()]) }
}

/// Answers as one array.
pub fn join(answers: &[Bytes]) -> Bytes {
    let mut out = Vec::with_capacity(answers.iter().map(|answer| answer.len() + 1).sum::<usize>() + 2);
    out.push(b'[');
    for (at, answer) in answers.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(answer);
    }
    out.push(b']');
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(batch: &str) -> Result<Vec<String>, BatchError> {
        let whole = Bytes::copy_from_slice(batch.as_bytes());
        let members = split(&whole)?;
        let within = whole.as_ptr_range();
        assert!(members.iter().all(|member| within.contains(&member.as_ptr())), "pieces of what was scanned");
        Ok(members.iter().map(|member| String::from_utf8(member.to_vec()).unwrap()).collect())
    }

    #[test]
    fn members_are_the_bytes_between_the_commas() {
        let batch = " [ {\"a\" : [1,{\"b\":\"],[\"}]} ,\n42,\"x\" , {\"id\":1,\"method\":\"m\"}\t] ";
        let members = ["{\"a\" : [1,{\"b\":\"],[\"}]}", "42", "\"x\"", "{\"id\":1,\"method\":\"m\"}"];
        assert_eq!(texts(batch).unwrap(), members);
        assert!(is_batch(batch.as_bytes()) && !is_batch(b" {}") && !is_batch(b""));
    }

    #[test]
    fn what_is_no_batch_says_why() {
        let of = |many: usize| format!("[{}]", vec!["{}"; many].join(","));
        for (batch, error) in [
            ("[]".to_owned(), BatchError::Empty),
            ("[ ]".to_owned(), BatchError::Empty),
            ("[[]]".to_owned(), BatchError::Nested),
            ("[{},[{}]]".to_owned(), BatchError::Nested),
            (of(MEMBERS_MAX + 1), BatchError::TooMany),
            (of(10_000), BatchError::TooMany),
            (r#"[{"id":1,"method":"a"},{"method":"b","id":1}]"#.to_owned(), BatchError::SameId),
            (r#"[{"id":"a","method":"a"},{"method":"b","id":"\u0061"}]"#.to_owned(), BatchError::SameId),
            (r#"[{"id":7,"result":{}},{"id":7,"error":{}}]"#.to_owned(), BatchError::SameId),
            (
                r#"[{"id":1,"method":"ping"},{"id":2,"method":"initi\u0061lize"}]"#.to_owned(),
                BatchError::Initialize,
            ),
            ("[{},{}".to_owned(), BatchError::Scan(ScanError::Truncated)),
            ("[{},{}] {}".to_owned(), BatchError::Scan(ScanError::Trailing { at: 8 })),
            (r#"[{},{"a":1,"a":2}]"#.to_owned(), BatchError::Scan(ScanError::DuplicateKey { at: 11 })),
            ("[".repeat(5_000), BatchError::Scan(ScanError::TooDeep { at: 1_024, limit: 1_024 })),
        ] {
            assert_eq!(texts(&batch), Err(error), "{batch:.60}");
        }
        assert_eq!(texts(&of(MEMBERS_MAX)).map(|members| members.len()), Ok(MEMBERS_MAX));
        // a request and an answer of one id are of two peers; a number and a string are two ids
        assert!(texts(r#"[{"id":1,"method":"a"},{"id":1,"result":{}},{"id":"1","method":"a"}]"#).is_ok());
    }

    #[test]
    fn without_batches_an_array_is_one_message_and_none() {
        let array = Bytes::from_static(b"[{},{}]");
        assert_eq!(messages(&array, false).unwrap(), ["[{},{}]"]);
        assert_eq!(messages(&array, true).unwrap().len(), 2);
        assert_eq!(messages(&Bytes::from_static(b"{}"), true).unwrap(), ["{}"]);
    }

    #[test]
    fn answers_put_together_come_apart_again() {
        let answers = [Bytes::from_static(b"{\"id\":1}"), Bytes::from_static(b"{\"id\":2}")];
        assert_eq!(join(&answers).as_ref(), b"[{\"id\":1},{\"id\":2}]");
        assert_eq!(split(&join(&answers)).unwrap(), answers);
    }
}
