//! Crossing the eras and coming back: whatever both eras can say is said again as it was, and nothing that only one of
//! them knows gets across.

use bytes::Bytes;
use serde_json::Value;
use wire::bridge::request::Speaker;
use wire::bridge::{answer, request, rounds};
use wire::era::{META_CLIENT_CAPABILITIES, META_CLIENT_INFO, META_LOG_LEVEL, META_PROTOCOL_VERSION};
use wire::views::InputRequests;
use wire::{Frame, Kind, Limits, Revision, Splice, method};

const OF_THE_MODERN_META: [&str; 4] =
    [META_PROTOCOL_VERSION, META_CLIENT_CAPABILITIES, META_CLIENT_INFO, META_LOG_LEVEL];

pub(crate) fn run(data: &[u8]) {
    let limits = Limits { bytes: 1 << 16, depth: 64 };
    let Ok(frame) = Frame::scan(Bytes::copy_from_slice(data), &limits) else { return };
    match frame.kind() {
        Kind::Request => {
            asked(&frame);
            question(&frame);
        }
        Kind::Response | Kind::ErrorResponse => answered(&frame),
        Kind::Notification => {}
    }
}

/// A spliced message is one message still.
fn made(splice: Splice<'_>) -> Frame {
    splice.finish_frame(&Limits { bytes: 1 << 20, depth: 70 }).unwrap()
}

fn asked(frame: &Frame) {
    let speaker = Speaker {
        capabilities: "{\"roots\":{}}".into(),
        client_info: "{\"name\":\"a\"}".into(),
        level: None,
    };
    let up = |frame: &Frame| made(request::for_modern(Splice::new(frame), &speaker));
    let down = |frame: &Frame| made(request::for_legacy(Splice::new(frame), frame));
    // `_meta` must be an object for either era; the path refuses what is not
    if frame.at(&["params", "_meta"]).is_some_and(|raw| !raw.starts_with(b"{")) {
        return;
    }
    let both = down(frame);
    for word in ["task", "inputResponses", "requestState"] {
        assert!(both.at(&["params", word]).is_none() && up(frame).at(&["params", word]).is_none());
    }
    for word in OF_THE_MODERN_META {
        assert!(both.at(&["params", "_meta", word]).is_none());
    }
    let across = up(&both);
    let meta = wire::era::modern_meta(&across).unwrap();
    assert_eq!(meta.revision, Revision::LATEST_MODERN);
    assert!(meta.log_level.is_none());
    same(&both, &across, "params", &["_meta"]);
    let back = down(&across);
    same(&both, &back, "params", &["_meta"]);
    assert_eq!(bare(&both), bare(&back));
    assert_eq!((back.method(), back.id_raw()), (both.method(), both.id_raw()));
}

fn answered(frame: &Frame) {
    let down = |frame: &Frame| made(answer::for_legacy(Splice::new(frame), frame));
    let both = down(frame);
    for word in ["resultType", "ttlMs", "cacheScope"] {
        assert!(both.at(&["result", word]).is_none());
    }
    for name in ["tools/call", "resources/read"] {
        let row = method::lookup(name, Revision::LATEST_MODERN).unwrap();
        let across = made(answer::for_modern(Splice::new(&both), &both, row));
        if frame.kind() == Kind::ErrorResponse {
            let code = |frame: &Frame| {
                serde_json::from_slice::<Value>(frame.at(&["error", "code"]).unwrap_or(b"0")).unwrap()
            };
            let told = code(&across).as_i64().unwrap_or_default();
            assert!(!(-32_099..=-32_020).contains(&told), "{told}");
            same(&both, &across, "error", &["code"]);
            if code(&both) != -32_002 {
                assert_eq!(down(&across).bytes(), both.bytes());
            }
            continue;
        }
        assert_eq!(across.at(&["result", "resultType"]), Some(&b"\"complete\""[..]));
        assert_eq!(across.at(&["result", "cacheScope"]).is_some(), row.cacheable);
        same(&both, &across, "result", &["resultType", "ttlMs", "cacheScope"]);
        assert_eq!(down(&across).bytes(), both.bytes());
    }
}

/// A legacy server's question, put to a modern client, and as a modern server's to a legacy one.
fn question(frame: &Frame) {
    if method::lookup_question(&frame.method().unwrap_or_default(), Revision::LATEST_MODERN).is_none() {
        return;
    }
    let part = rounds::question_for_modern(frame).unwrap();
    let result = [br#"{"inputRequests":"#.as_slice(), &rounds::keyed([("q", part.as_ref())]), b"}"].concat();
    let read = InputRequests::read(&result).unwrap();
    let [asked] = &read.questions[..] else { panic!("one question is one question") };
    assert_eq!(asked.method, frame.method().unwrap());
    let again = rounds::question_for_legacy(asked, 7, "e_1").unwrap();
    let again = Frame::scan(again, &Limits { bytes: 1 << 20, depth: 70 }).unwrap();
    assert_eq!(again.method(), frame.method());
    same(frame, &again, "params", &["elicitationId", "task"]);
}

/// Every member but the named ones stands in both with the same bytes.
fn same(one: &Frame, other: &Frame, of: &str, but: &[&str]) {
    let members = |frame: &Frame| {
        let raw = frame.at(&[of]).map(<[u8]>::to_vec).unwrap_or_default();
        let members = wire::json::members(&raw)
            .map(|member| (member.key.into_owned(), raw[member.value_range].to_vec()));
        members.filter(|(key, _)| !but.contains(&key.as_str())).collect::<Vec<_>>()
    };
    assert_eq!(members(one), members(other));
}

/// The message as a value, without objects that say nothing.
fn bare(frame: &Frame) -> Value {
    let mut value: Value = serde_json::from_slice(frame.bytes()).unwrap();
    let empty =
        |value: Option<&Value>| value.and_then(Value::as_object).is_some_and(serde_json::Map::is_empty);
    if let Some(params) = value.get_mut("params").and_then(Value::as_object_mut)
        && empty(params.get("_meta"))
    {
        params.remove("_meta");
    }
    if empty(value.get("params")) {
        value.as_object_mut().unwrap().remove("params");
    }
    value
}
