//! A scanned message.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use bytes::Bytes;

use super::machine::{Known, Machine};
use super::{Id, Limits, ScanError};
use crate::json::{self, Value};

/// Longest accepted method name in bytes.
pub(super) const METHOD_BYTES_MAX: usize = 128;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `{method, id}`
    Request,
    /// `{method}`
    Notification,
    /// `{id, result}`
    Response,
    /// `{id, error}`; `id` may be absent where the sender could not read one.
    ErrorResponse,
}

/// One message that passed the strict scan: its bytes, and where things stand in them.
///
/// Cheap to clone where it matters (the bytes are shared). Its `Debug` shows no
/// content.
#[derive(Clone)]
pub struct Frame {
    bytes: Bytes,
    object: Range<usize>,
    kind: Kind,
    id: Option<Range<usize>>,
    method: Option<Range<usize>>,
    params: Option<Range<usize>>,
    result: Option<Range<usize>>,
    error: Option<Range<usize>>,
    members: Vec<Known>,
    complete: u8,
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame")
            .field("kind", &self.kind)
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

impl Frame {
    /// The strict scan: exactly one JSON-RPC 2.0 message of MCP, or a reason.
    ///
    /// Unknown members of the envelope are accepted and kept. An error response
    /// may lack its `id` (specification 2026-07-28, *Error Responses*); a null id
    /// is refused everywhere.
    ///
    /// # Errors
    /// A [`ScanError`], never with any of the input in it.
    pub fn scan(bytes: Bytes, limits: &Limits) -> Result<Self, ScanError> {
        let machine = Machine::new(&bytes, limits)?;
        match bytes.get(json::skip_whitespace(&bytes, 0)) {
            None => return Err(ScanError::Empty),
            Some(b'[') => return Err(ScanError::Batch),
            Some(b'{') => {}
            Some(_) => {
                machine.run()?;
                return Err(ScanError::NotObject);
            }
        }
        let scanned = machine.run()?;
        let mut frame = Self {
            bytes,
            object: scanned.value,
            kind: Kind::Notification,
            id: None,
            method: None,
            params: None,
            result: None,
            error: None,
            members: scanned.members,
            complete: scanned.complete,
        };
        frame.envelope()?;
        Ok(frame)
    }

    fn envelope(&mut self) -> Result<(), ScanError> {
        let [version, id, method, params, result, error] =
            self.own(["jsonrpc", "id", "method", "params", "result", "error"]);
        if self.text(version).as_deref() != Some("2.0") {
            return Err(ScanError::Version);
        }
        if id.as_ref().is_some_and(|id| !Id::is_valid(self.slice(id))) {
            return Err(ScanError::Id);
        }
        if method.is_some() {
            let name = self.text(method.clone()).unwrap_or_default();
            if name.is_empty() || name.len() > METHOD_BYTES_MAX {
                return Err(ScanError::Method);
            }
        }
        let object = |range: &Option<Range<usize>>| {
            range.as_ref().is_none_or(|range| Value::of(self.slice(range)) == Some(Value::Object))
        };
        if !object(&params) {
            return Err(ScanError::Params);
        }
        if !object(&result) {
            return Err(ScanError::Result);
        }
        if error.as_ref().is_some_and(|error| !is_error(self.slice(error))) {
            return Err(ScanError::Error);
        }
        let kind = match (method.is_some(), id.is_some(), params.is_some(), result.is_some(), error.is_some())
        {
            (true, true, _, false, false) => Kind::Request,
            (true, false, _, false, false) => Kind::Notification,
            (false, true, false, true, false) => Kind::Response,
            (false, _, false, false, true) => Kind::ErrorResponse,
            _ => return Err(ScanError::Shape),
        };
        (self.kind, self.id, self.method) = (kind, id, method);
        (self.params, self.result, self.error) = (params, result, error);
        Ok(())
    }

    /// Where the values of these members of the message stand: one look at all it has.
    fn own<const N: usize>(&self, keys: [&str; N]) -> [Option<Range<usize>>; N] {
        if self.complete == 0 {
            return keys.map(|key| self.member_from(0, self.object.clone(), &[key]));
        }
        let mut found = [const { None }; N];
        for member in self.members.iter().filter(|member| member.level == 1) {
            let is_it = |(key, _): &(&str, &mut Option<Range<usize>>)| self.is_key(member, key);
            if let Some((_, slot)) = keys.into_iter().zip(&mut found).find(is_it) {
                *slot = Some(member.value.range());
            }
        }
        found
    }

    /// What the message is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The bytes as they came.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Where the message's own object stands in the bytes.
    pub fn object(&self) -> Range<usize> {
        self.object.clone()
    }

    /// The method, decoded. `None` for responses.
    pub fn method(&self) -> Option<Cow<'_, str>> {
        self.text(self.method.clone())
    }

    /// The id as it was sent, quotes included. `None` for notifications, and for
    /// error responses without one.
    pub fn id_raw(&self) -> Option<&[u8]> {
        self.id.as_ref().map(|range| self.slice(range))
    }

    /// The id as a value to compare and keep.
    pub fn id(&self) -> Option<Id> {
        Id::read(self.id_raw()?)
    }

    /// Where the id stands.
    pub fn id_range(&self) -> Option<Range<usize>> {
        self.id.clone()
    }

    /// The raw `params` object.
    pub fn params_raw(&self) -> Option<&[u8]> {
        self.params.as_ref().map(|range| self.slice(range))
    }

    /// The raw `result` object.
    pub fn result_raw(&self) -> Option<&[u8]> {
        self.result.as_ref().map(|range| self.slice(range))
    }

    /// The raw `error` object.
    pub fn error_raw(&self) -> Option<&[u8]> {
        self.error.as_ref().map(|range| self.slice(range))
    }

    /// Where the value at a path of member names stands, such as
    /// `["params", "_meta", "progressToken"]`. An empty path is the message.
    pub fn member(&self, path: &[&str]) -> Option<Range<usize>> {
        match path {
            // what the envelope has already found
            ["params", rest @ ..] => self.member_from(1, self.params.clone()?, rest),
            ["result", rest @ ..] => self.member_from(1, self.result.clone()?, rest),
            _ => self.member_from(0, self.object.clone(), path),
        }
    }

    fn member_from(&self, level: u8, within: Range<usize>, path: &[&str]) -> Option<Range<usize>> {
        let mut range = within;
        let mut level = level;
        for key in path {
            level = level.saturating_add(1);
            range = if level <= self.complete {
                self.known(level, &range, key)?
            } else {
                let inner = json::member_range(self.slice(&range), key)?;
                range.start + inner.start..range.start + inner.end
            };
        }
        Some(range)
    }

    /// The raw value at a path of member names.
    pub fn at(&self, path: &[&str]) -> Option<&[u8]> {
        self.member(path).map(|range| self.bytes.get(range).unwrap_or_default())
    }

    /// The decoded string at a path of member names; `None` when there is none or it is something else.
    pub fn string_at(&self, path: &[&str]) -> Option<Cow<'_, str>> {
        crate::json::decode_string(self.at(path)?)
    }

    /// Where `params` is.
    pub fn params_range(&self) -> Option<Range<usize>> {
        self.member(&["params"])
    }

    /// The bytes of a range, shared. Empty if the range is not within the message.
    pub fn share(&self, range: Range<usize>) -> Bytes {
        if self.bytes.get(range.clone()).is_some() { self.bytes.slice(range) } else { Bytes::new() }
    }

    fn known(&self, level: u8, within: &Range<usize>, key: &str) -> Option<Range<usize>> {
        let found = self.members.iter().find(|member| {
            let value = member.value.range();
            member.level == level
                && self.is_key(member, key)
                && value.start >= within.start
                && value.end <= within.end
        })?;
        Some(found.value.range())
    }

    fn is_key(&self, member: &Known, key: &str) -> bool {
        let range = member.key.range();
        if member.escaped {
            return json::is_string(self.slice(&range), key);
        }
        // most differ in length already
        range.len() == key.len() + 2 && self.bytes.get(range.start + 1..range.end - 1) == Some(key.as_bytes())
    }

    fn slice(&self, range: &Range<usize>) -> &[u8] {
        self.bytes.get(range.clone()).unwrap_or_default()
    }

    fn text(&self, range: Option<Range<usize>>) -> Option<Cow<'_, str>> {
        json::decode_string(self.bytes.get(range?)?)
    }
}

/// An integer code and a text, which JSON-RPC 2.0 (5.1) asks of every error.
fn is_error(raw: &[u8]) -> bool {
    let code = json::member(raw, "code");
    let is_integer =
        code.is_some_and(|code| std::str::from_utf8(code).is_ok_and(|code| code.parse::<i64>().is_ok()));
    let message = json::member(raw, "message");
    Value::of(raw) == Some(Value::Object) && is_integer && message.and_then(Value::of) == Some(Value::String)
}
