//! What the HTTP transport repeats in headers: what is written reads back, a header passes only where it says what
//! the body says, and the `Mcp-Param-…` headers that are made are exactly those that are accepted.
//!
//! Input: a tool's input schema, its arguments and a header value, with the byte 0xFF between them.

use bytes::Bytes;
use std::collections::BTreeMap;
use wire::headers::{
    Annotations, Header, HeaderMismatch, check_standard, check_version, decode, encode, name_header,
};
use wire::{Frame, Limits, Revision, json, scan_value};

pub(crate) fn run(data: &[u8]) {
    let mut parts = data.splitn(3, |byte| *byte == 0xFF);
    let [schema, arguments, value] = [(); 3].map(|()| parts.next().unwrap_or_default());
    if let Ok(text) = std::str::from_utf8(arguments) {
        round(text);
    }
    if let Some(text) = decode(value) {
        assert!(value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~')));
        round(&text);
    }
    if let Ok(text) = std::str::from_utf8(arguments) {
        named(text, value);
    }
    let limits = Limits { bytes: 1 << 16, depth: 64 };
    let strict = |raw: &[u8]| scan_value(raw, &limits).is_ok();
    if strict(schema)
        && let Ok(annotations) = Annotations::read(schema)
    {
        let strict =
            strict(arguments) && json::Value::of(arguments.trim_ascii_start()) == Some(json::Value::Object);
        repeated(&annotations, if strict { arguments } else { b"{}" }, value);
    }
}

/// Every text has a form as a header value, and that form means this text and no other.
fn round(text: &str) {
    let written = encode(text);
    assert!(written.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{written}");
    assert_eq!(written.trim_matches([' ', '\t']), written, "a proxy may trim it");
    assert_eq!(decode(written.as_bytes()).as_deref(), Some(text));
}

/// `Mcp-Name` passes only where it says the name; what we would send passes.
fn named(name: &str, header: &[u8]) {
    let meta = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#;
    let text = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":{},{meta}}}}}"#,
        json::encode_string(name)
    );
    let frame = Frame::scan(Bytes::from(text), &Limits::DEFAULT).unwrap();
    let modern = Revision::LATEST_MODERN;
    let check = |name: Header<'_>| check_standard(modern, Some("tools/call"), name, &frame);
    let ours = name_header(modern, &frame).unwrap();
    assert_eq!(check(Some(ours.as_str()).into()), Ok(()));
    assert!(matches!(check(Header::Absent), Err(HeaderMismatch::Missing(_))));
    assert!(matches!(check(Header::Repeated), Err(HeaderMismatch::Repeated(_))));
    assert_eq!(check(Header::One(header)).is_ok(), decode(header).as_deref() == Some(name));
    assert_eq!(
        check_standard(modern, Header::One(header), Some(ours.as_str()), &frame).is_ok(),
        header == b"tools/call"
    );
    assert_eq!(check_version(Header::One(header), modern).is_ok(), header == b"2026-07-28");
}

fn repeated(annotations: &Annotations, arguments: &[u8], other: &[u8]) {
    let mut names: Vec<String> = annotations.iter().map(|one| one.header().to_ascii_lowercase()).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "two arguments under one header");
    let Ok(made) = annotations.headers(arguments) else {
        assert!(annotations.check(arguments, |_| Header::Absent).is_err());
        return;
    };
    let sent: BTreeMap<String, String> =
        made.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
    let look = |name: &str| sent.get(&name.to_ascii_lowercase()).map(String::as_str);
    assert_eq!(annotations.check(arguments, |name| Header::from(look(name))), Ok(()));
    for lie in &names {
        let lying = |with: Header<'static>| {
            annotations.check(arguments, |name| {
                if name.eq_ignore_ascii_case(lie) { with } else { Header::from(look(name)) }
            })
        };
        // a header that is missing where there is an argument, or there where there is none
        assert_eq!(lying(Header::Absent).is_ok(), !sent.contains_key(lie));
        assert!(lying(Header::Repeated).is_err());
        assert!(lying(Header::One(b"\x00")).is_err());
        let other = annotations.check(arguments, |name| {
            if name.eq_ignore_ascii_case(lie) { Header::One(other) } else { Header::from(look(name)) }
        });
        assert!(other.is_err() || sent.contains_key(lie));
    }
}
