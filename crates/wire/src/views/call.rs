//! Views of requests, notifications and the results that ask back.

use std::borrow::Cow;

use super::{ViewError, pick, text, typed};
use crate::json::{self, Value};
use crate::method::Method;
use crate::scan::{Frame, Id};

/// `params` of `tools/call`.
#[derive(Clone, Debug)]
pub struct ToolsCall<'a> {
    /// The tool's name.
    pub name: Cow<'a, str>,
    /// The raw arguments object, if there is one.
    pub arguments_raw: Option<&'a [u8]>,
}

impl<'a> ToolsCall<'a> {
    /// Reads a `tools/call` request.
    ///
    /// # Errors
    /// A missing name, or a name or arguments of the wrong type.
    pub fn read(frame: &'a Frame) -> Result<Self, ViewError> {
        let [name, arguments] = pick(frame.params_raw().unwrap_or_default(), ["name", "arguments"]);
        let name = text(name.ok_or(ViewError::Missing("params.name"))?, "params.name")?;
        let arguments_raw = arguments.map(|raw| typed(raw, Value::Object, "params.arguments")).transpose()?;
        Ok(Self { name, arguments_raw })
    }
}

/// What a message is about, by the method's [`Method::name_field`]: a tool or prompt
/// name, a resource URI or a task id. `None` if the method has no such field or the
/// message lacks it, or it is not a string.
pub fn named<'a>(frame: &'a Frame, method: &Method) -> Option<Cow<'a, str>> {
    let field = method.name_field?;
    let raw = frame.at(&["params", field])?;
    match Value::of(raw)? {
        Value::String => json::decode_string(raw),
        Value::Object => match CompleteRef::read(raw).ok()? {
            CompleteRef::Prompt(name) => Some(name),
            CompleteRef::Resource(uri) => Some(uri),
        },
        Value::Array | Value::Number | Value::Bool | Value::Null => None,
    }
}

/// What a completion completes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompleteRef<'a> {
    /// `ref/prompt`: the prompt's name.
    Prompt(Cow<'a, str>),
    /// `ref/resource`: a URI or URI template.
    Resource(Cow<'a, str>),
}

impl<'a> CompleteRef<'a> {
    fn read(raw: &'a [u8]) -> Result<Self, ViewError> {
        let raw = typed(raw, Value::Object, "params.ref")?;
        let [kind, name, uri] = pick(raw, ["type", "name", "uri"]);
        let kind = text(kind.ok_or(ViewError::Missing("params.ref.type"))?, "params.ref.type")?;
        match kind.as_ref() {
            "ref/prompt" => {
                Ok(Self::Prompt(text(name.ok_or(ViewError::Missing("params.ref.name"))?, "params.ref.name")?))
            }
            "ref/resource" => {
                Ok(Self::Resource(text(uri.ok_or(ViewError::Missing("params.ref.uri"))?, "params.ref.uri")?))
            }
            _ => Err(ViewError::WrongType("params.ref.type")),
        }
    }
}

/// `params` of `completion/complete`.
#[derive(Clone, Debug)]
pub struct Complete<'a> {
    /// What is completed.
    pub reference: CompleteRef<'a>,
    /// The raw `argument` object: `name` and the text typed so far.
    pub argument_raw: &'a [u8],
}

impl<'a> Complete<'a> {
    /// Reads a `completion/complete` request.
    ///
    /// # Errors
    /// A reference that is neither a prompt nor a resource, or no argument.
    pub fn read(frame: &'a Frame) -> Result<Self, ViewError> {
        let [reference, argument] = pick(frame.params_raw().unwrap_or_default(), ["ref", "argument"]);
        let reference = CompleteRef::read(reference.ok_or(ViewError::Missing("params.ref"))?)?;
        let argument = argument.ok_or(ViewError::Missing("params.argument"))?;
        Ok(Self { reference, argument_raw: typed(argument, Value::Object, "params.argument")? })
    }
}

/// `params.cursor` of a list request.
///
/// # Errors
/// A cursor that is not a string.
pub fn cursor(frame: &Frame) -> Result<Option<Cow<'_, str>>, ViewError> {
    frame.at(&["params", "cursor"]).map(|raw| text(raw, "params.cursor")).transpose()
}

/// `params.requestState` of a retry, raw: it is forwarded byte for byte.
///
/// # Errors
/// A state that is not a string.
pub fn request_state(frame: &Frame) -> Result<Option<&[u8]>, ViewError> {
    let raw = frame.at(&["params", "requestState"]);
    raw.map(|raw| typed(raw, Value::String, "params.requestState")).transpose()
}

/// `result.resultType`; an absent one reads as `complete` (2026-07-28 `basic/index`).
///
/// # Errors
/// A type that is not a string.
pub fn result_type(frame: &Frame) -> Result<Cow<'_, str>, ViewError> {
    match frame.at(&["result", "resultType"]) {
        None => Ok(Cow::Borrowed("complete")),
        Some(raw) => text(raw, "result.resultType"),
    }
}

/// A question inside an `input_required` result.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// The key under which the answer is expected.
    pub key: Cow<'a, str>,
    /// `elicitation/create`, `sampling/createMessage` or `roots/list`.
    pub method: Cow<'a, str>,
    /// The raw params object.
    pub params_raw: Option<&'a [u8]>,
}

/// An `input_required` result (SEP-2322).
#[derive(Clone, Debug)]
pub struct InputRequests<'a> {
    /// The questions, in order.
    pub questions: Vec<Question<'a>>,
    /// The raw opaque state, to be returned byte for byte.
    pub request_state_raw: Option<&'a [u8]>,
}

impl<'a> InputRequests<'a> {
    /// Reads a raw `input_required` result. It may have questions, state, or both.
    ///
    /// # Errors
    /// Neither questions nor state, parts of the wrong type, or questions without a method.
    pub fn read(result_raw: &'a [u8]) -> Result<Self, ViewError> {
        let [requests, state] = pick(result_raw, ["inputRequests", "requestState"]);
        if requests.is_none() && state.is_none() {
            return Err(ViewError::Missing("result.inputRequests"));
        }
        let state = state.map(|raw| typed(raw, Value::String, "result.requestState")).transpose()?;
        let mut questions = Vec::new();
        if let Some(requests) = requests {
            let requests = typed(requests, Value::Object, "result.inputRequests")?;
            for (key, value) in json::object_members(requests) {
                let raw = requests.get(value).unwrap_or_default();
                let [method, params] =
                    pick(typed(raw, Value::Object, "result.inputRequests")?, ["method", "params"]);
                let method = method.ok_or(ViewError::Missing("result.inputRequests.method"))?;
                questions.push(Question {
                    key,
                    method: text(method, "result.inputRequests.method")?,
                    params_raw: params
                        .map(|raw| typed(raw, Value::Object, "result.inputRequests.params"))
                        .transpose()?,
                });
            }
        }
        Ok(Self { questions, request_state_raw: state })
    }
}

/// The answer to a [`Question`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// The key of the question.
    pub key: Cow<'a, str>,
    /// The raw object: the client's result for the question.
    pub result_raw: &'a [u8],
}

/// `params.inputResponses` of a retry. Empty where there are none.
///
/// # Errors
/// Answers that are not objects.
pub fn input_responses(frame: &Frame) -> Result<Vec<Answer<'_>>, ViewError> {
    const NAME: &str = "params.inputResponses";
    let Some(raw) = frame.at(&["params", "inputResponses"]) else { return Ok(Vec::new()) };
    let raw = typed(raw, Value::Object, NAME)?;
    json::object_members(raw)
        .map(|(key, value)| {
            let result_raw = typed(raw.get(value).unwrap_or_default(), Value::Object, NAME)?;
            Ok(Answer { key, result_raw })
        })
        .collect()
}

/// The `notifications` filter of `subscriptions/listen` and of its acknowledgement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listen<'a> {
    /// `toolsListChanged`
    pub tools: bool,
    /// `promptsListChanged`
    pub prompts: bool,
    /// `resourcesListChanged`
    pub resources: bool,
    /// `resourceSubscriptions`: the URIs to report updates of.
    pub uris: Vec<Cow<'a, str>>,
}

impl<'a> Listen<'a> {
    /// Reads the filter of a `subscriptions/listen` request or of
    /// `notifications/subscriptions/acknowledged`.
    ///
    /// # Errors
    /// A missing filter, or parts of the wrong type.
    pub fn read(frame: &'a Frame) -> Result<Self, ViewError> {
        let filter =
            frame.at(&["params", "notifications"]).ok_or(ViewError::Missing("params.notifications"))?;
        let filter = typed(filter, Value::Object, "params.notifications")?;
        let names =
            ["toolsListChanged", "promptsListChanged", "resourcesListChanged", "resourceSubscriptions"];
        let [tools, prompts, resources, uris] = pick(filter, names);
        let flag = |raw: Option<&[u8]>, name| raw.map_or(Ok(false), |raw| super::boolean(raw, name));
        let mut listen = Self {
            tools: flag(tools, "toolsListChanged")?,
            prompts: flag(prompts, "promptsListChanged")?,
            resources: flag(resources, "resourcesListChanged")?,
            uris: Vec::new(),
        };
        if let Some(raw) = uris {
            let raw = typed(raw, Value::Array, "resourceSubscriptions")?;
            for range in json::array_elements(raw) {
                listen.uris.push(text(raw.get(range).unwrap_or_default(), "resourceSubscriptions")?);
            }
        }
        Ok(listen)
    }
}

/// `params` of `notifications/progress`.
#[derive(Clone, Debug)]
pub struct Progress<'a> {
    /// The raw token of the call it belongs to.
    pub token_raw: &'a [u8],
    /// The token as a value.
    pub token: Id,
}

impl<'a> Progress<'a> {
    /// Reads a progress notification.
    ///
    /// # Errors
    /// A missing token, or one that is neither string nor integer.
    pub fn read(frame: &'a Frame) -> Result<Self, ViewError> {
        let (token_raw, token) = token(frame, "progressToken", "params.progressToken")?;
        Ok(Self { token_raw, token })
    }
}

/// `params` of `notifications/cancelled`.
#[derive(Clone, Debug)]
pub struct Cancelled<'a> {
    /// The raw id of the request to cancel.
    pub request_id_raw: &'a [u8],
    /// The id as a value.
    pub request_id: Id,
}

impl<'a> Cancelled<'a> {
    /// Reads a cancellation.
    ///
    /// # Errors
    /// A missing id, or one that is neither string nor integer.
    pub fn read(frame: &'a Frame) -> Result<Self, ViewError> {
        let (request_id_raw, request_id) = token(frame, "requestId", "params.requestId")?;
        Ok(Self { request_id_raw, request_id })
    }
}

fn token<'a>(frame: &'a Frame, key: &str, name: &'static str) -> Result<(&'a [u8], Id), ViewError> {
    let raw = frame.at(&["params", key]).ok_or(ViewError::Missing(name))?;
    Id::read(raw).map(|id| (raw, id)).ok_or(ViewError::WrongType(name))
}

/// The `error` of an error response.
#[derive(Clone, Debug)]
pub struct RpcError<'a> {
    /// The code.
    pub code: i64,
    /// The message; empty where the sender left it out.
    pub message: Cow<'a, str>,
    /// The raw data.
    pub data_raw: Option<&'a [u8]>,
}

impl<'a> RpcError<'a> {
    /// Reads a raw error object.
    ///
    /// # Errors
    /// A missing code, one that is not an integer, or a message that is not a string.
    pub fn read(error_raw: &'a [u8]) -> Result<Self, ViewError> {
        let [code, message, data_raw] = pick(error_raw, ["code", "message", "data"]);
        let code = code.ok_or(ViewError::Missing("error.code"))?;
        let code = std::str::from_utf8(code).ok().and_then(|text| text.parse().ok());
        let message = message.map_or(Ok(Cow::Borrowed("")), |raw| text(raw, "error.message"))?;
        Ok(Self { code: code.ok_or(ViewError::WrongType("error.code"))?, message, data_raw })
    }
}
