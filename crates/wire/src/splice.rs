//! Changing a message without rewriting it.
//!
//! A splice collects edits against the ranges of a scanned [`Frame`] and applies
//! them in one go. Bytes outside the edits leave exactly as they came: no member is
//! reordered, no number reformatted, nothing unknown is lost.

use std::ops::Range;

use bytes::Bytes;

use crate::json::{self, Value, encode_string};
use crate::scan::{Frame, Limits, ScanError};

/// Why a splice cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpliceError {
    /// A range is not within the message.
    #[error("the range to change is not within the message")]
    OutOfBounds,
    /// Two edits touch the same bytes.
    #[error("two edits overlap")]
    Overlap,
    /// Members can be set and removed in objects only.
    #[error("the value to change a member of is not an object")]
    NotObject,
    /// A whole result, checked by [`Splice::finish_frame`], is not a message.
    #[error("the spliced message does not scan: {0}")]
    Scan(ScanError),
}

/// What happens to one member of one object.
#[derive(Clone, Debug)]
struct Change {
    object: Range<usize>,
    key: String,
    /// `None` removes.
    value: Option<New>,
}

/// A new value: raw bytes, or an object still being put together by paths.
#[derive(Clone, Debug)]
enum New {
    Raw(Bytes),
    Object(Vec<(String, New)>),
}

#[derive(Clone, Debug)]
struct Edit {
    range: Range<usize>,
    new: Bytes,
}

/// A set of edits to one message. Values given are raw JSON from a scanned message
/// or a serialiser; they are not checked again unless [`Splice::finish_frame`] is used.
#[must_use = "a splice does nothing until it is finished"]
#[derive(Clone, Debug)]
pub struct Splice<'f> {
    frame: &'f Frame,
    edits: Vec<Edit>,
    changes: Vec<Change>,
    error: Option<SpliceError>,
}

impl<'f> Splice<'f> {
    /// No edits yet.
    pub fn new(frame: &'f Frame) -> Self {
        Self { frame, edits: Vec::new(), changes: Vec::new(), error: None }
    }

    /// Puts raw bytes in place of a range, such as one from [`Frame::member`].
    pub fn replace(mut self, range: Range<usize>, new: impl Into<Bytes>) -> Self {
        if self.frame.bytes().get(range.clone()).is_none() || range.is_empty() {
            self.fail(SpliceError::OutOfBounds);
        } else {
            self.edits.push(Edit { range, new: new.into() });
        }
        self
    }

    /// Sets a member of the object at `object`: replaces its value, or adds it at the end.
    pub fn set_member(mut self, object: Range<usize>, key: &str, value: impl Into<Bytes>) -> Self {
        self.change(object, key, Some(New::Raw(value.into())));
        self
    }

    /// Removes a member of the object at `object` with its comma. Nothing happens
    /// if there is no such member.
    pub fn remove_member(mut self, object: Range<usize>, key: &str) -> Self {
        self.change(object, key, None);
        self
    }

    /// Sets the value at a path of member names and creates the objects that are
    /// missing on the way, such as `params` and `_meta`.
    pub fn set_path(mut self, path: &[&str], value: impl Into<Bytes>) -> Self {
        let Some((first, _)) = path.split_first() else {
            self.fail(SpliceError::NotObject);
            return self;
        };
        let mut object = self.frame.object();
        let mut key = *first;
        let mut rest = path.get(1..).unwrap_or_default();
        while let Some((next, after)) = rest.split_first() {
            let Some(inner) = self.inner(&object, key) else { break };
            if self.changes.iter().any(|c| c.object == object && c.key == key) {
                break;
            }
            (object, key, rest) = (inner, next, after);
        }
        let raw = New::Raw(value.into());
        if rest.is_empty() {
            self.change(object, key, Some(raw));
            return self;
        }
        if self.frame.bytes().get(object.clone()).and_then(|raw| json::member(raw, key)).is_some()
            && !self.changes.iter().any(|c| c.object == object && c.key == key)
        {
            // something stands there and it is not an object: do not overwrite it silently
            self.fail(SpliceError::NotObject);
            return self;
        }
        let existing = self.changes.iter_mut().find(|c| c.object == object && c.key == key);
        let slot = match existing {
            Some(change) => change.value.get_or_insert_with(|| New::Object(Vec::new())),
            None => {
                self.change(object, key, Some(New::Object(Vec::new())));
                match self.changes.last_mut().and_then(|change| change.value.as_mut()) {
                    Some(slot) => slot,
                    None => return self,
                }
            }
        };
        if !slot.put(rest, raw) {
            self.fail(SpliceError::NotObject);
        }
        self
    }

    /// Removes the value at a path of member names, if it is there.
    pub fn remove_path(self, path: &[&str]) -> Self {
        let Some((key, parents)) = path.split_last() else { return self };
        match self.frame.member(parents) {
            Some(object) => self.remove_member(object, key),
            None => self,
        }
    }

    /// Applies the edits.
    ///
    /// # Errors
    /// Edits that overlap, lie outside the message, or set members of something
    /// that is not an object. The message is then not to be sent.
    pub fn finish(self) -> Result<Bytes, SpliceError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let bytes = self.frame.bytes();
        let mut edits = self.edits;
        let mut changes = self.changes;
        // stable: changes to one object stay in the order in which they were asked for
        changes.sort_by_key(|change| (change.object.start, change.object.end));
        for group in changes.chunk_by(|a, b| a.object == b.object) {
            member_edits(bytes, group, &mut edits)?;
        }
        if edits.is_empty() {
            return Ok(bytes.clone());
        }
        edits.sort_by_key(|edit| (edit.range.start, edit.range.end));
        let grown: usize = edits.iter().map(|edit| edit.new.len()).sum();
        let mut out = Vec::with_capacity(bytes.len() + grown);
        let mut at = 0;
        for edit in &edits {
            out.extend_from_slice(bytes.get(at..edit.range.start).ok_or(SpliceError::Overlap)?);
            out.extend_from_slice(&edit.new);
            at = edit.range.end;
        }
        out.extend_from_slice(bytes.get(at..).ok_or(SpliceError::OutOfBounds)?);
        Ok(out.into())
    }

    /// Applies the edits and scans the outcome, for edits whose values are not our own.
    ///
    /// # Errors
    /// As [`Splice::finish`], and [`SpliceError::Scan`].
    pub fn finish_frame(self, limits: &Limits) -> Result<Frame, SpliceError> {
        Frame::scan(self.finish()?, limits).map_err(SpliceError::Scan)
    }

    fn inner(&self, object: &Range<usize>, key: &str) -> Option<Range<usize>> {
        let raw = self.frame.bytes().get(object.clone())?;
        let found = json::member_range(raw, key)?;
        let is_object = raw.get(found.clone()).and_then(Value::of) == Some(Value::Object);
        is_object.then_some(object.start + found.start..object.start + found.end)
    }

    fn change(&mut self, object: Range<usize>, key: &str, value: Option<New>) {
        if self.frame.bytes().get(object.clone()).and_then(Value::of) != Some(Value::Object) {
            self.fail(SpliceError::NotObject);
            return;
        }
        // the last word on a member counts
        self.changes.retain(|change| change.object != object || change.key != key);
        self.changes.push(Change { object, key: key.to_owned(), value });
    }

    fn fail(&mut self, error: SpliceError) {
        self.error.get_or_insert(error);
    }
}

impl New {
    fn put(&mut self, path: &[&str], value: New) -> bool {
        let (Self::Object(members), Some((key, rest))) = (self, path.split_first()) else { return false };
        if rest.is_empty() {
            members.retain(|(name, _)| name != key);
            members.push(((*key).to_owned(), value));
            return true;
        }
        if !members.iter().any(|(name, _)| name == key) {
            members.push(((*key).to_owned(), Self::Object(Vec::new())));
        }
        let inner = members.iter_mut().find(|(name, _)| name == key);
        inner.is_some_and(|(_, inner)| inner.put(rest, value))
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Raw(raw) => out.extend_from_slice(raw),
            Self::Object(members) => {
                out.push(b'{');
                for (index, (key, value)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    out.extend_from_slice(encode_string(key).as_bytes());
                    out.push(b':');
                    value.write(out);
                }
                out.push(b'}');
            }
        }
    }

    fn bytes(&self) -> Bytes {
        match self {
            Self::Raw(raw) => raw.clone(),
            Self::Object(_) => {
                let mut out = Vec::new();
                self.write(&mut out);
                out.into()
            }
        }
    }
}

/// Turns all changes to the members of one object into edits.
fn member_edits(bytes: &[u8], changes: &[Change], edits: &mut Vec<Edit>) -> Result<(), SpliceError> {
    let object = changes.first().map(|change| change.object.clone()).unwrap_or_default();
    let raw = bytes.get(object.clone()).ok_or(SpliceError::OutOfBounds)?;
    let members: Vec<_> = json::members(raw).collect();
    let change_of = |key: &str| changes.iter().find(|change| change.key == key);
    let removed = |key: &str| change_of(key).is_some_and(|change| change.value.is_none());

    // where the next member would follow: after the last member that stays
    let mut end = 1;
    let mut kept = false;
    let mut cut: Option<Range<usize>> = None;
    for member in &members {
        if removed(&member.key) {
            let start = cut.map_or(if kept { end } else { member.key_range.start }, |cut| cut.start);
            cut = Some(start..member.value_range.end);
            continue;
        }
        if let Some(cut) = cut.take() {
            // with nothing kept before it, the comma and space up to this member go too
            let stop = if kept { cut.end } else { member.key_range.start };
            edits.push(Edit { range: offset(cut.start..stop, object.start), new: Bytes::new() });
        }
        if let Some(new) = change_of(&member.key).and_then(|change| change.value.as_ref()) {
            edits.push(Edit { range: offset(member.value_range.clone(), object.start), new: new.bytes() });
        }
        end = member.value_range.end;
        kept = true;
    }
    if let Some(cut) = cut {
        edits.push(Edit { range: offset(cut, object.start), new: Bytes::new() });
    }

    let mut text = Vec::new();
    for change in changes {
        let Some(new) = &change.value else { continue };
        if members.iter().any(|member| member.key == change.key) {
            continue;
        }
        if kept || !text.is_empty() {
            text.push(b',');
        }
        text.extend_from_slice(encode_string(&change.key).as_bytes());
        text.push(b':');
        new.write(&mut text);
    }
    if !text.is_empty() {
        edits.push(Edit { range: offset(end..end, object.start), new: text.into() });
    }
    Ok(())
}

fn offset(range: Range<usize>, by: usize) -> Range<usize> {
    range.start + by..range.end + by
}

#[cfg(test)]
mod tests;
