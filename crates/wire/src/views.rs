//! Borrowed views of the parts of messages that the gateway reads.
//!
//! A view is for looking, never for writing: nothing here is serialised again.
//! Unknown members are ignored and stay in the bytes. A member that is there with
//! the wrong type is an error, never an absent one: a peer may read it.

mod call;
mod definition;
mod handshake;

use std::borrow::Cow;

pub use call::{
    Answer, Cancelled, Complete, CompleteRef, InputRequests, Listen, Progress, Question, RpcError, ToolsCall,
    cursor, input_responses, named, request_state, result_type,
};
pub use definition::{
    Annotations, ListResult, PromptDefinition, ResourceDefinition, TemplateDefinition, ToolDefinition,
};
pub use handshake::{DiscoverResult, InitializeParams, InitializeResult};

use crate::json::{self, Value};
use crate::rpc;

/// Why a message does not have the members its method needs. Carries the name of
/// the member, which is ours, never its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ViewError {
    /// A required member is missing.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A member has the wrong type.
    #[error("`{0}` has the wrong type")]
    WrongType(&'static str),
}

impl ViewError {
    /// The JSON-RPC code to answer a request with.
    pub const fn rpc_code(self) -> i64 {
        match self {
            Self::Missing(_) | Self::WrongType(_) => rpc::INVALID_PARAMS,
        }
    }
}

/// Checks the type of a raw value.
fn typed<'a>(raw: &'a [u8], kind: Value, name: &'static str) -> Result<&'a [u8], ViewError> {
    if Value::of(raw) == Some(kind) { Ok(raw) } else { Err(ViewError::WrongType(name)) }
}

fn text<'a>(raw: &'a [u8], name: &'static str) -> Result<Cow<'a, str>, ViewError> {
    json::decode_string(raw).ok_or(ViewError::WrongType(name))
}

fn boolean(raw: &[u8], name: &'static str) -> Result<bool, ViewError> {
    match raw {
        b"true" => Ok(true),
        b"false" => Ok(false),
        _ => Err(ViewError::WrongType(name)),
    }
}

/// The members of a raw object that are named in `names`, found in one walk.
fn pick<'a, const N: usize>(raw: &'a [u8], names: [&str; N]) -> [Option<&'a [u8]>; N] {
    let mut found = [None; N];
    for (key, value) in json::object_members(raw) {
        if let Some(slot) = names.iter().position(|name| *name == key).and_then(|at| found.get_mut(at)) {
            *slot = raw.get(value);
        }
    }
    found
}

#[cfg(test)]
mod tests;
