use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::scan::Limits;

const MODERN: Revision = Revision::V2026_07_28;

fn frame(text: &str) -> Frame {
    Frame::scan(Bytes::copy_from_slice(text.as_bytes()), &Limits::DEFAULT).unwrap()
}

fn one(text: &str) -> Header<'_> {
    Header::One(text.as_bytes())
}

#[test]
fn the_examples_of_the_specification_encode_and_decode() {
    for (plain, encoded) in [
        ("us-west1", "us-west1"),
        ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
        (" padded ", "=?base64?IHBhZGRlZCA=?="),
        ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
        ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
        ("=?base64?open", "=?base64?open"),
        ("", ""),
        ("a ", "=?base64?YSA=?="),
        ("\ta", "=?base64?CWE=?="),
        ("tab\tinside", "=?base64?dGFiCWluc2lkZQ==?="),
        ("delete\u{7f}", "=?base64?ZGVsZXRlfw==?="),
    ] {
        assert_eq!(encode(plain), encoded);
        assert_eq!(decode(encoded.as_bytes()).unwrap(), plain);
    }
    for bad in [
        "=?base64?!!?=",
        "=?base64?SGVsbG8?=",
        "=?base64?/w==?=",
        "caf\u{e9}",
        "a\u{7}",
        "=?base64?SGVs bG8=?=",
    ] {
        assert_eq!(decode(bad.as_bytes()), None, "{bad}");
    }
}

#[test]
fn a_modern_call_must_say_in_headers_what_its_body_says() {
    let call = frame(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"größe"}}"#);
    let name = encode("größe");
    let name = one(&name);
    let check = |method, name| check_standard(MODERN, method, name, &call);
    assert_eq!(check(one("tools/call"), name), Ok(()));
    assert_eq!(check(Header::Absent, name), Err(HeaderMismatch::Missing("Mcp-Method".into())));
    assert_eq!(check(one("tools/list"), name), Err(HeaderMismatch::Differs("Mcp-Method".into())));
    assert_eq!(check(one("Tools/call"), name), Err(HeaderMismatch::Differs("Mcp-Method".into())));
    assert_eq!(check(Header::Repeated, name), Err(HeaderMismatch::Repeated("Mcp-Method".into())));
    assert_eq!(check(one("tools/call"), Header::Absent), Err(HeaderMismatch::Missing("Mcp-Name".into())));
    assert_eq!(check(one("tools/call"), one("grosse")), Err(HeaderMismatch::Differs("Mcp-Name".into())));
    assert_eq!(check(one("tools/call"), one("größe")), Err(HeaderMismatch::Malformed("Mcp-Name".into())));
    assert_eq!(check(one("tools/call"), Header::Repeated), Err(HeaderMismatch::Repeated("Mcp-Name".into())));
    assert_eq!(HeaderMismatch::Missing("Mcp-Name".into()).rpc_code(), -32020);
}

#[test]
fn only_methods_about_a_named_thing_need_a_name() {
    let list = frame(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    assert_eq!(check_standard(MODERN, one("tools/list"), Header::Absent, &list), Ok(()));
    let read = frame(r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"a:b"}}"#);
    assert!(check_standard(MODERN, one("resources/read"), Header::Absent, &read).is_err());
    assert_eq!(check_standard(MODERN, one("resources/read"), one("a:b"), &read), Ok(()));
    assert_eq!(name_header(MODERN, &read).as_deref(), Some("a:b"));
    assert_eq!(name_header(Revision::V2025_11_25, &read), None);
    assert_eq!(name_header(MODERN, &list), None);
    let note = frame(r#"{"jsonrpc":"2.0","method":"notifications/cancelled"}"#);
    assert_eq!(check_standard(MODERN, Header::Absent, Header::Absent, &note), Ok(()));
    assert!(check_standard(MODERN, one("tools/call"), Header::Absent, &note).is_err());
}

#[test]
fn legacy_requests_are_not_judged_by_headers() {
    let call = frame(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}"#);
    for revision in Revision::ALL.into_iter().filter(|revision| !revision.is_modern()) {
        assert_eq!(check_standard(revision, one("lie"), Header::Repeated, &call), Ok(()));
    }
}

#[test]
fn the_version_header_must_be_the_bodys() {
    assert_eq!(check_version(one("2026-07-28"), MODERN), Ok(()));
    assert!(check_version(one("2025-11-25"), MODERN).is_err());
    assert!(check_version(Header::Absent, MODERN).is_err());
    assert!(check_version(None, MODERN).is_err());
    assert!(check_version(Some("2026-07-28"), MODERN).is_ok());
    assert!(check_version(Header::of([&b"2026-07-28"[..], b"2026-07-28"]), MODERN).is_err());
}

const SCHEMA: &str = r#"{"type":"object","properties":{
    "region":{"type":"string","x-mcp-header":"Region"},
    "n":{"type":"integer","x-mcp-header":"Count"},
    "dry":{"x-mcp-header":"Dry-Run","type":"boolean"},
    "ratio":{"type":"number","x-mcp-header":"Ratio"},
    "deep":{"type":"object","properties":{"x-mcp-header":{"type":"string","x-mcp-header":"Deep"}}},
    "free":{"type":"string","default":{"x-mcp-header":"not one"}}}}"#;

#[test]
fn annotated_arguments_become_headers() {
    let annotations = Annotations::read(SCHEMA.as_bytes()).unwrap();
    let headers = |arguments: &str| {
        let list = annotations.headers(arguments.as_bytes())?;
        Ok::<_, HeaderMismatch>(list.into_iter().map(|(n, v)| format!("{n}: {v}")).collect::<Vec<_>>())
    };
    let all = r#"{"region":"köln","n":42.0,"dry":false,"ratio":0.50,"deep":{"x-mcp-header":"d"},"free":"x"}"#;
    assert_eq!(
        headers(all).unwrap(),
        [
            "Mcp-Param-Region: =?base64?a8O2bG4=?=",
            "Mcp-Param-Count: 42",
            "Mcp-Param-Dry-Run: false",
            "Mcp-Param-Ratio: 0.5",
            "Mcp-Param-Deep: d"
        ]
    );
    assert_eq!(headers(r#"{"region":null,"deep":{}}"#).unwrap(), Vec::<String>::new());
    assert_eq!(headers(r#"{"n":-0}"#).unwrap(), ["Mcp-Param-Count: 0"]);
    assert_eq!(headers(r#"{"n":9007199254740991}"#).unwrap(), ["Mcp-Param-Count: 9007199254740991"]);
    for bad in
        [r#"{"n":9007199254740993}"#, r#"{"n":1.5}"#, r#"{"n":"1"}"#, r#"{"region":{}}"#, r#"{"dry":"true"}"#]
    {
        assert!(matches!(headers(bad), Err(HeaderMismatch::Malformed(_))), "{bad}");
    }
    assert_eq!(annotations.headers(b"").unwrap(), []);
    assert_eq!(param_headers(SCHEMA.as_bytes(), b"").unwrap(), []);
    let one = [("Mcp-Param-Dry-Run".to_owned(), "true".to_owned())];
    assert_eq!(param_headers(SCHEMA.as_bytes(), br#"{"dry":true}"#).unwrap(), one);
}

#[test]
fn a_header_must_say_what_the_argument_says() {
    let annotations = Annotations::read(SCHEMA.as_bytes()).unwrap();
    let check = |arguments: &str, sent: &[(&str, &str)]| {
        annotations.check(arguments.as_bytes(), |name| {
            Header::of(sent.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_bytes()))
        })
    };
    assert_eq!(check(r#"{"region":"a"}"#, &[("mcp-param-region", "a"), ("mcp-param-other", "x")]), Ok(()));
    assert_eq!(check(r#"{"n":42}"#, &[("Mcp-Param-Count", "42.0")]), Ok(()));
    assert_eq!(check("{}", &[]), Ok(()));
    assert_eq!(check(r#"{"region":null}"#, &[]), Ok(()));
    let region = || "Mcp-Param-Region".into();
    let count = || "Mcp-Param-Count".into();
    assert_eq!(check(r#"{"region":"a"}"#, &[]), Err(HeaderMismatch::Missing(region())));
    assert_eq!(
        check(r#"{"region":"a"}"#, &[("Mcp-Param-Region", "b")]),
        Err(HeaderMismatch::Differs(region()))
    );
    assert_eq!(check("{}", &[("Mcp-Param-Region", "")]), Err(HeaderMismatch::Unexpected(region())));
    let twice = [("Mcp-Param-Region", "a"), ("mcp-param-region", "a")];
    assert_eq!(check(r#"{"region":"a"}"#, &twice), Err(HeaderMismatch::Repeated(region())));
    for lie in ["43", "+42", "42x", "", "inf", "0x2a", "NaN"] {
        let outcome = check(r#"{"n":42}"#, &[("Mcp-Param-Count", lie)]);
        assert_eq!(outcome, Err(HeaderMismatch::Differs(count())), "{lie}");
    }
    let broken = [("Mcp-Param-Region", "=?base64?*?=")];
    assert_eq!(check(r#"{"region":"a"}"#, &broken), Err(HeaderMismatch::Malformed(region())));
}

#[test]
fn definitions_that_break_the_rules_are_invalid() {
    let property = |inside: &str| format!(r#"{{"properties":{{"a":{inside}}}}}"#);
    for (schema, error) in [
        (property(r#"{"type":"string","x-mcp-header":""}"#), AnnotationError::Name),
        (property(r#"{"type":"string","x-mcp-header":"a b"}"#), AnnotationError::Name),
        (property(r#"{"type":"string","x-mcp-header":"a\r\nb"}"#), AnnotationError::Name),
        (property(r#"{"type":"string","x-mcp-header":"é"}"#), AnnotationError::Name),
        (property(r#"{"type":"string","x-mcp-header":5}"#), AnnotationError::Name),
        (property(r#"{"type":"object","x-mcp-header":"A"}"#), AnnotationError::Type),
        (property(r#"{"type":["string","null"],"x-mcp-header":"A"}"#), AnnotationError::Type),
        (property(r#"{"x-mcp-header":"A"}"#), AnnotationError::Type),
        (property(r#"{"items":{"type":"string","x-mcp-header":"A"}}"#), AnnotationError::Unreachable),
        (property(r#"{"anyOf":[{"type":"string","x-mcp-header":"A"}]}"#), AnnotationError::Unreachable),
        (r#"{"x-mcp-header":"A","type":"string"}"#.into(), AnnotationError::Unreachable),
        (
            r#"{"$defs":{"a":{"properties":{"b":{"type":"string","x-mcp-header":"A"}}}}}"#.into(),
            AnnotationError::Unreachable,
        ),
        (
            r#"{"if":{"properties":{"b":{"type":"string","x-m\u0063p-header":"A"}}}}"#.into(),
            AnnotationError::Unreachable,
        ),
        (
            r#"{"properties":{"a":{"type":"string","x-mcp-header":"Abc"},"b":{"type":"string","x-mcp-header":"aBC"}}}"#
                .into(),
            AnnotationError::Duplicate,
        ),
        (
            format!("{}{{\"x-mcp-header\":1}}{}", r#"{"a":"#.repeat(200), "}".repeat(200)),
            AnnotationError::TooDeep,
        ),
    ] {
        let refused = Err(ParamError::Annotation(error));
        assert_eq!(check_params(schema.as_bytes(), b"", |_| Header::Absent), refused);
        assert_eq!(Annotations::read(schema.as_bytes()), Err(error), "{schema}");
    }
    assert!(Annotations::read(br#"{"type":"object"}"#).unwrap().is_empty());
}

proptest! {
    #[test]
    fn every_value_survives_its_header(text in any::<String>()) {
        let encoded = encode(&text);
        prop_assert!(encoded.bytes().all(|byte| matches!(byte, b' '..=b'~')));
        prop_assert_eq!(encoded.trim(), encoded.as_ref());
        prop_assert_eq!(decode(encoded.as_bytes()).unwrap(), text.as_str());
    }
}
