//! The strict scan against `serde_json`: whatever it accepts is read the same by both, and whatever only it refuses
//! is one of the few things it refuses on purpose. And every view of what it accepted, and the method table.

use bytes::Bytes;
use serde_json::Value;
use std::collections::BTreeSet;
use std::hint::black_box;
use wire::views::{
    self, Cancelled, Complete, DiscoverResult, InitializeParams, InitializeResult, InputRequests, ListResult,
    Listen, Progress, PromptDefinition, ResourceDefinition, RpcError, TemplateDefinition, ToolDefinition,
    ToolsCall,
};
use wire::{Frame, Id, Kind, Limits, METHODS, Revision, ScanError, batch, json, method, scan_value};

/// Small enough for the fuzzer to reach.
const DEPTH: usize = 12;

pub(crate) fn run(data: &[u8]) {
    let limits = Limits { bytes: 1 << 16, depth: DEPTH };
    let ours = scan_value(data, &limits);
    let theirs = serde_json::from_slice::<Value>(data);
    match (&ours, &theirs) {
        (Ok(()), Ok(value)) => same(data.trim_ascii(), value),
        (Ok(()), Err(error)) => panic!("only we read it: {error}"),
        (Err(_), Err(_)) => {}
        (Err(ScanError::DuplicateKey { at }), Ok(_)) => assert!(data[*at] == b'"' && has_twin(data)),
        (Err(ScanError::TooDeep { .. }), Ok(_)) => assert!(depth(data) > DEPTH),
        (Err(ScanError::TooLarge { size, limit }), Ok(_)) => assert!(size > limit),
        (Err(error), Ok(_)) => panic!("only serde_json reads it: {error}"),
    }
    in_batches(data);
    match Frame::scan(Bytes::copy_from_slice(data), &limits) {
        Ok(frame) => {
            assert_eq!(ours, Ok(()));
            envelope(&frame, &theirs.unwrap());
            looked_at(&frame);
            if let Some(name) = frame.method() {
                classified(&name, &limits);
            }
        }
        Err(error) => {
            let said = format!("{error} {error:?} {}", error.code());
            assert!(said.len() < 256, "a refusal repeats nothing of the input");
        }
    }
}

/// The members of a batch are what `serde_json` finds in the array.
fn in_batches(data: &[u8]) {
    let Ok(members) = batch::split(&Bytes::copy_from_slice(data)) else { return };
    if depth(data) > 100 {
        return;
    }
    let theirs: Vec<Value> = serde_json::from_slice(data).unwrap();
    assert!(members.len() == theirs.len() && members.len() <= batch::MEMBERS_MAX);
    for (member, value) in members.iter().zip(&theirs) {
        assert!(!value.is_array());
        same(member, value);
    }
    assert_eq!(batch::split(&batch::join(&members)).as_ref(), Ok(&members));
}

/// The walk over raw bytes finds what `serde_json` finds.
fn same(raw: &[u8], value: &Value) {
    match (json::Value::of(raw), value) {
        (Some(json::Value::Null), Value::Null) => assert_eq!(raw, b"null"),
        (Some(json::Value::Bool), Value::Bool(truth)) => assert_eq!(raw, truth.to_string().as_bytes()),
        (Some(json::Value::Number), Value::Number(number)) => {
            let text = std::str::from_utf8(raw).unwrap();
            let (ours, theirs) = (text.parse::<f64>().unwrap(), number.as_f64().unwrap());
            // serde_json may round the last bit of a fraction another way
            assert!(ours.is_finite() && (ours - theirs).abs() <= ours.abs() * 1e-15 + f64::MIN_POSITIVE);
            if let Some(whole) = number.as_i64() {
                assert!(text == "-0" || text.parse() == Ok(whole));
            }
        }
        (Some(json::Value::String), Value::String(text)) => {
            assert_eq!(json::decode_string(raw).as_deref(), Some(text.as_str()));
            let again = json::encode_string(text);
            assert_eq!(serde_json::from_str::<String>(&again).as_ref().ok(), Some(text));
        }
        (Some(json::Value::Array), Value::Array(elements)) => {
            let found: Vec<_> = json::array_elements(raw).collect();
            assert_eq!(found.len(), elements.len());
            found.into_iter().zip(elements).for_each(|(range, element)| same(&raw[range], element));
        }
        (Some(json::Value::Object), Value::Object(members)) => {
            let found: Vec<_> = json::members(raw).collect();
            assert_eq!(found.len(), members.len(), "no key is there twice");
            for (found, (key, value)) in found.into_iter().zip(members) {
                assert_eq!(found.key, key.as_str());
                same(&raw[found.value_range], value);
            }
        }
        (kind, value) => panic!("{kind:?} is not {value}"),
    }
}

/// What the message is, judged again from the parsed value.
fn envelope(frame: &Frame, value: &Value) {
    let of = |key: &str| value.get(key);
    assert_eq!(of("jsonrpc"), Some(&Value::from("2.0")));
    let kind = match (of("method"), of("id"), of("result"), of("error")) {
        (Some(Value::String(_)), Some(_), None, None) => Kind::Request,
        (Some(Value::String(_)), None, None, None) => Kind::Notification,
        (None, Some(_), Some(Value::Object(_)), None) => Kind::Response,
        (None, _, None, Some(Value::Object(_))) => Kind::ErrorResponse,
        other => panic!("no message: {other:?}"),
    };
    assert_eq!(frame.kind(), kind);
    assert_eq!(frame.method().as_deref(), of("method").and_then(Value::as_str));
    match (frame.id(), of("id")) {
        (None, None) => {}
        (Some(Id::Integer(id)), Some(value)) => assert_eq!(value.as_i64(), Some(id)),
        (Some(Id::Text(id)), Some(value)) => assert_eq!(value.as_str(), Some(id.as_str())),
        (ours, theirs) => panic!("{ours:?} is not {theirs:?}"),
    }
    for (key, value) in value.as_object().unwrap() {
        same(frame.at(&[key]).unwrap(), value);
        for (inner, value) in value.as_object().into_iter().flatten() {
            same(frame.at(&[key, inner]).unwrap(), value);
            assert_eq!(frame.string_at(&[key, inner]).as_deref(), value.as_str());
        }
    }
}

/// No view panics on what was accepted; each reads or says why not.
fn looked_at(frame: &Frame) {
    black_box((ToolsCall::read(frame).is_ok(), Complete::read(frame).is_ok(), Listen::read(frame).is_ok()));
    black_box((
        InitializeParams::read(frame).is_ok(),
        Progress::read(frame).is_ok(),
        Cancelled::read(frame).is_ok(),
    ));
    black_box((wire::era::claimed_revision(frame), wire::era::modern_meta(frame).is_ok()));
    black_box((
        views::cursor(frame).is_ok(),
        views::request_state(frame).is_ok(),
        views::result_type(frame).is_ok(),
    ));
    black_box(views::input_responses(frame).is_ok());
    METHODS.iter().for_each(|row| drop(black_box(views::named(frame, row))));
    if let Some(result) = frame.result_raw() {
        black_box((InitializeResult::read(result).is_ok(), DiscoverResult::read(result).is_ok()));
        black_box(InputRequests::read(result).is_ok());
        for key in ["tools", "prompts", "resources", "resourceTemplates"] {
            for item in ListResult::read(result, key).into_iter().flat_map(|list| list.items) {
                black_box((ToolDefinition::read(item).is_ok(), PromptDefinition::read(item).is_ok()));
                black_box((ResourceDefinition::read(item).is_ok(), TemplateDefinition::read(item).is_ok()));
            }
        }
    }
    if let Some(error) = frame.error_raw() {
        black_box(RpcError::read(error).is_ok());
    }
}

/// A method is one method in whatever spelling, and nothing but its very name has a row.
fn classified(name: &str, limits: &Limits) {
    let escaped: String = name.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
    for spelling in
        [json::encode_string(name), serde_json::to_string(name).unwrap(), format!("\"{escaped}\"")]
    {
        let text = format!("{{\"jsonrpc\":\"2.0\",\"method\":{spelling}}}");
        let again = Frame::scan(Bytes::from(text), limits).unwrap();
        assert_eq!(again.method().as_deref(), Some(name));
    }
    for revision in Revision::ALL {
        let known = METHODS.iter().any(|row| row.name == name && row.revisions.contains(revision));
        assert_eq!(method::lookup(name, revision).is_some_and(|row| row.name == name), known);
        assert!(method::lookup_question(name, revision).is_none_or(|row| row.name == name));
    }
}

/// Whether any object has a key twice, by the book.
fn has_twin(data: &[u8]) -> bool {
    fn walk(raw: &[u8]) -> bool {
        let mut keys = BTreeSet::new();
        json::members(raw)
            .any(|member| !keys.insert(member.key.into_owned()) || walk(&raw[member.value_range]))
            || json::array_elements(raw).any(|range| walk(&raw[range]))
    }
    walk(data.trim_ascii())
}

/// How many brackets are open at once, strings aside.
fn depth(data: &[u8]) -> usize {
    let (mut open, mut most, mut quoted, mut escaped) = (0usize, 0, false, false);
    for byte in data {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => {
                open += 1;
                most = most.max(open);
            }
            b'}' | b']' if !quoted => open -= 1,
            _ => {}
        }
    }
    most
}
