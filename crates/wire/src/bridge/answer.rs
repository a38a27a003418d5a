//! A server's answer, for a client of the other era.

use crate::Frame;
use crate::era::META_SERVER_INFO;
use crate::json::Value;
use crate::method::Method;
use crate::rpc;
use crate::splice::Splice;

/// What the specification reserves for itself since 2026-07-28 (`basic/index`, *Errors*): no client of an earlier
/// revision knows what these mean.
const RESERVED: std::ops::RangeInclusive<i64> = -32_099..=-32_020;

/// The code under which a legacy client is told of a modern server's error.
pub fn code_for_legacy(code: i64) -> i64 {
    if RESERVED.contains(&code) { rpc::INTERNAL_ERROR } else { code }
}

/// The code under which a modern client is told of a legacy server's error.
pub fn code_for_modern(code: i64) -> i64 {
    match code {
        rpc::RESOURCE_NOT_FOUND => rpc::INVALID_PARAMS,
        reserved if RESERVED.contains(&reserved) => rpc::INTERNAL_ERROR,
        other => other,
    }
}

/// Takes out of a modern server's answer what only its own era knows.
pub fn for_legacy<'f>(splice: Splice<'f>, frame: &Frame) -> Splice<'f> {
    if frame.error_raw().is_some() {
        return code(splice, frame, code_for_legacy);
    }
    let mut splice = splice;
    for key in ["resultType", "ttlMs", "cacheScope"] {
        splice = splice.remove_path(&["result", key]);
    }
    // an object only, before 2026-07-28 (SEP-2106); the same is in `content`, as text
    if frame.at(&["result", "structuredContent"]).is_some_and(|raw| Value::of(raw) != Some(Value::Object)) {
        splice = splice.remove_path(&["result", "structuredContent"]);
    }
    splice.remove_path(&["result", "_meta", META_SERVER_INFO])
}

/// Any server's answer without what the server calls itself: to the client the gateway is the server, and nobody has
/// accepted that text.
pub fn unnamed<'f>(splice: Splice<'f>, frame: &Frame) -> Splice<'f> {
    // of a task that is done, its result is within
    let places: [&[&str]; 2] =
        [&["result", "_meta", META_SERVER_INFO], &["result", "result", "_meta", META_SERVER_INFO]];
    places
        .iter()
        .filter(|path| frame.member(path).is_some())
        .fold(splice, |splice, path| splice.remove_path(path))
}

/// A modern server's answer that it would show to everybody, for one client alone: the server does not know that it was
/// asked for somebody who may see it (2026-07-28 `server/utilities/caching`).
pub fn for_one<'f>(splice: Splice<'f>, frame: &Frame) -> Splice<'f> {
    let scope = ["result", "cacheScope"];
    match frame.member(&scope) {
        Some(range) if frame.string_at(&scope).as_deref() != Some("private") => {
            splice.replace(range, &b"\"private\""[..])
        }
        Some(_) | None => splice,
    }
}

/// Puts into a legacy server's answer what a modern client requires. How long it holds nobody said, nor that
/// it may be shown to others.
pub fn for_modern<'f>(splice: Splice<'f>, frame: &Frame, method: &Method) -> Splice<'f> {
    if frame.error_raw().is_some() {
        return code(splice, frame, code_for_modern);
    }
    let splice = splice.set_path(&["result", "resultType"], &b"\"complete\""[..]);
    if !method.cacheable {
        return splice;
    }
    splice.set_path(&["result", "ttlMs"], &b"0"[..]).set_path(&["result", "cacheScope"], &b"\"private\""[..])
}

fn code<'f>(splice: Splice<'f>, frame: &Frame, map: impl Fn(i64) -> i64) -> Splice<'f> {
    let Some(range) = frame.member(&["error", "code"]) else { return splice };
    let code = frame.at(&["error", "code"]).and_then(|raw| std::str::from_utf8(raw).ok()?.parse().ok());
    match code {
        Some(code) if map(code) == code => splice,
        Some(code) => splice.replace(range, map(code).to_string()),
        // no integer that anybody could read
        None => splice.replace(range, rpc::INTERNAL_ERROR.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::method;
    use crate::scan::Limits;
    use crate::{Revision, json};
    use bytes::Bytes;

    fn scan(text: &str) -> Frame {
        Frame::scan(Bytes::copy_from_slice(text.as_bytes()), &Limits::DEFAULT).unwrap()
    }
    fn legacy(text: &str) -> String {
        let frame = scan(text);
        String::from_utf8(for_legacy(Splice::new(&frame), &frame).finish().unwrap().to_vec()).unwrap()
    }
    fn modern(text: &str, name: &str) -> String {
        let (frame, row) = (scan(text), method::lookup(name, Revision::LATEST_MODERN).unwrap());
        String::from_utf8(for_modern(Splice::new(&frame), &frame, row).finish().unwrap().to_vec()).unwrap()
    }

    #[test]
    fn a_result_loses_and_gets_what_one_era_says_and_comes_back_the_same() {
        let text = r#"{"id":1,"result":{"contents":[{"n":1.0}],"x":null},"jsonrpc":"2.0"}"#;
        let made = modern(text, "resources/read");
        for (key, value) in [("resultType", "\"complete\""), ("ttlMs", "0"), ("cacheScope", "\"private\"")] {
            let frame = scan(&made);
            assert_eq!(frame.at(&["result", key]), Some(value.as_bytes()), "{made}");
        }
        assert_eq!(legacy(&made), text);
        assert!(!modern(text, "tools/call").contains("ttlMs"));
        let named = r#"{"id":1,"result":{"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s"},"a":1},"resultType":"complete"},"jsonrpc":"2.0"}"#;
        assert_eq!(legacy(named), r#"{"id":1,"result":{"_meta":{"a":1}},"jsonrpc":"2.0"}"#);
    }

    #[test]
    fn what_a_server_calls_itself_is_taken_out_and_nothing_else() {
        let unnamed = |text: &str| {
            let frame = scan(text);
            String::from_utf8(unnamed(Splice::new(&frame), &frame).finish().unwrap().to_vec()).unwrap()
        };
        let of = |meta: &str| {
            format!(r#"{{"id":1,"result":{{"_meta":{meta},"resultType":"complete"}},"jsonrpc":"2.0"}}"#)
        };
        for info in [r#"{"name":"s","title":"Tell nobody."}"#, "\"s\"", "null"] {
            let named = of(&format!(r#"{{"io.modelcontextprotocol/serverInfo":{info},"a":1}}"#));
            assert_eq!(unnamed(&named), of(r#"{"a":1}"#));
        }
        let task = r#"{"id":1,"result":{"status":"completed","result":{"_meta":{"io.modelcontextprotocol/serverInfo":{}},"content":[]}},"jsonrpc":"2.0"}"#;
        assert!(!unnamed(task).contains("serverInfo"));
        for plain in [of("{}"), of("7"), of(r#"{"serverInfo":{"name":"s"}}"#), of("null")] {
            assert_eq!(unnamed(&plain), plain);
        }
    }

    #[test]
    fn a_legacy_server_cannot_say_that_its_result_is_another_than_complete() {
        let text = r#"{"jsonrpc":"2.0","id":1,"result":{"resultType":"input_required","ttlMs":99,"cacheScope":"public","contents":[]}}"#;
        let made = modern(text, "resources/read");
        assert_eq!(
            made,
            r#"{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","ttlMs":0,"cacheScope":"private","contents":[]}}"#
        );
    }

    #[test]
    fn structured_content_reaches_a_legacy_client_only_as_an_object() {
        let of = |value: &str| {
            legacy(&format!(
                r#"{{"jsonrpc":"2.0","id":1,"result":{{"content":[],"structuredContent":{value}}}}}"#
            ))
        };
        assert!(of(r#"{"a":1}"#).contains("structuredContent"));
        for value in ["[1]", "7", "null", "\"x\""] {
            assert!(!of(value).contains("structuredContent"), "{value}");
        }
    }

    #[test]
    fn no_code_of_one_era_leaks_into_the_other() {
        for code in -32_099..=-32_020 {
            assert_eq!(code_for_legacy(code), rpc::INTERNAL_ERROR);
            assert_eq!(code_for_modern(code), rpc::INTERNAL_ERROR);
        }
        for code in [rpc::INVALID_PARAMS, rpc::METHOD_NOT_FOUND, -32_019, -32_100, -32_000, 7] {
            assert_eq!((code_for_legacy(code), code_for_modern(code)), (code, code));
        }
        assert_eq!(code_for_modern(rpc::RESOURCE_NOT_FOUND), rpc::INVALID_PARAMS);
        let text = r#"{"jsonrpc":"2.0","id":1,"error":{"code": -32021 ,"message":"m","data":{"a":1.0}}}"#;
        assert_eq!(legacy(text), text.replace("-32021", "-32603"));
        assert!(
            json::member(
                modern(r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32002,"message":"m"}}"#, "resources/read")
                    .as_bytes(),
                "error"
            )
            .is_some_and(|error| error.starts_with(br#"{"code":-32602,"#))
        );
    }
}
