//! What was judged against what the official Rust SDK would read: a message that passes the strict scan, and the checks
//! that the path makes before anything leaves, means the same to the SDK, or the SDK does not read it at all.

use bytes::Bytes;
use rmcp::model::{ClientJsonRpcMessage, JsonRpcMessage, ServerJsonRpcMessage};
use serde_json::Value;

use wire::views::{self, Complete, CompleteRef, Listen, ToolsCall};
use wire::{Class, Frame, Id, Kind, Limits, METHODS, Method, Sender, Shape};

pub(crate) fn run(data: &[u8]) {
    let limits = Limits { bytes: 1 << 16, depth: 64 };
    let Ok(frame) = Frame::scan(Bytes::copy_from_slice(data), &limits) else { return };
    if passes(&frame, Sender::Client)
        && let Ok(theirs) = serde_json::from_slice::<ClientJsonRpcMessage>(data)
    {
        same(&frame, kind(&theirs), &serde_json::to_value(&theirs).unwrap());
    }
    if passes(&frame, Sender::Server)
        && let Ok(theirs) = serde_json::from_slice::<ServerJsonRpcMessage>(data)
    {
        same(&frame, kind(&theirs), &serde_json::to_value(&theirs).unwrap());
    }
}

fn kind<A, B, C>(message: &JsonRpcMessage<A, B, C>) -> Kind {
    match message {
        JsonRpcMessage::Request(_) => Kind::Request,
        JsonRpcMessage::Notification(_) => Kind::Notification,
        JsonRpcMessage::Response(_) => Kind::Response,
        JsonRpcMessage::Error(_) => Kind::ErrorResponse,
    }
}

/// Whether the path would let it go on, as far as its form decides that: the method is known, of this shape and this
/// side, and names what it has to name.
fn passes(frame: &Frame, side: Sender) -> bool {
    let shape = match frame.kind() {
        Kind::Response | Kind::ErrorResponse => return true,
        Kind::Request => Shape::Request,
        Kind::Notification => Shape::Notification,
    };
    let name = frame.method().unwrap_or_default();
    let known = |row: &&Method| row.name == name && row.shape == shape && row.sender.allows(side);
    METHODS.iter().filter(known).any(|row| row.class != Class::Refused && whole(frame, row))
}

/// The members that the path needs are there, and of the right type.
fn whole(frame: &Frame, row: &Method) -> bool {
    let object = |path: &[&str]| {
        frame.at(path).is_none_or(|raw| wire::json::Value::of(raw) == Some(wire::json::Value::Object))
    };
    let named =
        row.class != Class::Governed || row.name_field.is_none() || views::named(frame, row).is_some();
    named
        && match row.name {
            "tools/call" => ToolsCall::read(frame).is_ok(),
            "prompts/get" => object(&["params", "arguments"]),
            "completion/complete" => Complete::read(frame).is_ok(),
            "subscriptions/listen" => Listen::read(frame).is_ok(),
            _ => true,
        }
}

/// Everything that rules, the record and the route go by.
fn same(frame: &Frame, theirs_is: Kind, theirs: &Value) {
    assert_eq!(frame.kind(), theirs_is);
    match (frame.id(), theirs.get("id")) {
        (None, None | Some(Value::Null)) => {}
        (Some(Id::Integer(id)), Some(value)) => assert_eq!(value.as_i64(), Some(id)),
        (Some(Id::Text(id)), Some(value)) => assert_eq!(value.as_str(), Some(id.as_str())),
        (ours, theirs) => panic!("{ours:?} is not {theirs:?}"),
    }
    assert_eq!(frame.method().as_deref(), theirs.get("method").and_then(Value::as_str));
    match frame.method().as_deref() {
        Some("tools/call") => {
            let call = ToolsCall::read(frame).unwrap();
            assert_eq!(theirs["params"]["name"].as_str(), Some(&*call.name));
            member(frame, theirs, &["params", "arguments"]);
        }
        Some("prompts/get") => {
            member(frame, theirs, &["params", "name"]);
            member(frame, theirs, &["params", "arguments"]);
        }
        Some("resources/read" | "resources/subscribe" | "resources/unsubscribe") => {
            member(frame, theirs, &["params", "uri"]);
        }
        Some("completion/complete") => {
            let (key, name) = match Complete::read(frame).unwrap().reference {
                CompleteRef::Prompt(name) => ("name", name),
                CompleteRef::Resource(uri) => ("uri", uri),
            };
            assert_eq!(theirs["params"]["ref"][key].as_str(), Some(&*name));
            member(frame, theirs, &["params", "argument", "name"]);
            member(frame, theirs, &["params", "argument", "value"]);
        }
        Some("elicitation/create") => {
            member(frame, theirs, &["params", "message"]);
            member(frame, theirs, &["params", "url"]);
        }
        Some("notifications/cancelled") => member(frame, theirs, &["params", "requestId"]),
        Some("logging/setLevel") => member(frame, theirs, &["params", "level"]),
        _ => {}
    }
    if frame.kind() == Kind::ErrorResponse {
        member(frame, theirs, &["error", "code"]);
        member(frame, theirs, &["error", "message"]);
    }
    // elsewhere nobody reads it, and the SDK drops it
    let rounds = |row: &Method| row.multi_round && frame.method().as_deref() == Some(row.name);
    if frame.kind() == Kind::Request && METHODS.iter().any(rounds) {
        member(frame, theirs, &["params", "requestState"]);
    }
}

/// What stands there for us stands there for them.
fn member(frame: &Frame, theirs: &Value, path: &[&str]) {
    let theirs = path.iter().try_fold(theirs, |value, key| value.get(*key));
    let ours = frame.at(path).map(|raw| serde_json::from_slice::<Value>(raw).unwrap());
    match (ours, theirs) {
        (None, None) => {}
        // an empty object or null says as little as nothing
        (None, Some(theirs)) => {
            assert!(theirs.is_null() || *theirs == serde_json::json!({}), "{path:?}: {theirs}")
        }
        (Some(Value::Null), None) => {}
        (Some(ours), theirs) => assert_eq!(Some(&ours), theirs, "{path:?}"),
    }
}
