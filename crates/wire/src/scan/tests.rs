use super::*;
use bytes::Bytes;
use proptest::prelude::*;

fn scan(text: &str) -> Result<Frame, ScanError> {
    scan_bytes(text.as_bytes())
}

fn scan_bytes(bytes: &[u8]) -> Result<Frame, ScanError> {
    Frame::scan(Bytes::copy_from_slice(bytes), &Limits::DEFAULT)
}

/// A notification whose params are the given text.
fn params(text: &str) -> Result<Frame, ScanError> {
    scan(&format!(r#"{{"jsonrpc":"2.0","method":"m","params":{text}}}"#))
}

#[test]
fn a_call_shows_its_parts_as_they_stand() {
    let text = r#" {"jsonrpc":"2.0","id":"a","method":"tools\/call","params":{"name":"x","arguments":{"a":[1,{"b":2}]},
        "_meta":{"progressToken":7}}} "#;
    let frame = scan(text).unwrap();
    assert_eq!(frame.kind(), Kind::Request);
    assert_eq!(frame.method().as_deref(), Some("tools/call"));
    assert_eq!(frame.id_raw(), Some(&b"\"a\""[..]));
    assert_eq!(frame.at(&["params", "name"]), Some(&b"\"x\""[..]));
    assert_eq!(frame.at(&["params", "arguments", "a"]), Some(&br#"[1,{"b":2}]"#[..]));
    assert_eq!(frame.at(&["params", "_meta", "progressToken"]), Some(&b"7"[..]));
    assert_eq!(frame.at(&["params", "nothing"]), None);
    assert_eq!(frame.at(&["name"]), None);
    assert_eq!(frame.at(&["arguments"]), None);
    assert_eq!(frame.bytes(), text.as_bytes());
}

#[test]
fn the_four_kinds_are_told_apart() {
    let kind = |text: &str| scan(text).map(|frame| frame.kind());
    assert_eq!(kind(r#"{"jsonrpc":"2.0","id":1,"method":"m"}"#), Ok(Kind::Request));
    assert_eq!(kind(r#"{"jsonrpc":"2.0","method":"m"}"#), Ok(Kind::Notification));
    assert_eq!(kind(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#), Ok(Kind::Response));
    let error = r#""error":{"code":-1,"message":""}"#;
    assert_eq!(kind(&format!(r#"{{"jsonrpc":"2.0","id":1,{error}}}"#)), Ok(Kind::ErrorResponse));
    assert_eq!(kind(&format!(r#"{{"jsonrpc":"2.0",{error}}}"#)), Ok(Kind::ErrorResponse));
    let escaped = r#"{"jsonrpc":"2.0","id":1,"error":{"data":{"code":1.5}, "mess\u0061ge":"m","code": 7 }}"#;
    assert_eq!(kind(escaped), Ok(Kind::ErrorResponse));
    assert_eq!(kind(r#"{"jsonrpc":"2.0","id":1,"method":"m","vendor":[]}"#), Ok(Kind::Request));
}

#[test]
fn a_member_is_never_taken_from_a_neighbour() {
    let text = r#"{"z":{"name":1},"jsonrpc":"2.0","method":"m","params":{"uri":2},"y":{"name":3},"result2":{"uri":4}}"#;
    let frame = scan(text).unwrap();
    assert_eq!(frame.at(&["params", "name"]), None);
    assert_eq!(frame.at(&["params", "uri"]), Some(&b"2"[..]));
    assert_eq!(frame.at(&["y", "name"]), Some(&b"3"[..]));
    assert_eq!(frame.at(&["z", "uri"]), None);
    assert_eq!(frame.at(&["name"]), None);
    assert_eq!(frame.at(&["params", "uri", "deeper"]), None);
}

/// Whatever is wrong, one line: the text and the code it must be refused with.
#[test]
fn malformed_messages_are_refused_by_name() {
    let table: &[(&str, &str)] = &[
        ("", "empty"),
        (" \n\t", "empty"),
        ("\u{feff}{}", "byte-order-mark"),
        ("[]", "batch"),
        (r#" [{"jsonrpc":"2.0","method":"m"}]"#, "batch"),
        ("null", "not-an-object"),
        ("\"text\"", "not-an-object"),
        ("12", "not-an-object"),
        ("{", "truncated"),
        (r#"{"jsonrpc""#, "truncated"),
        (r#"{"jsonrpc":"2.0","method":"m"#, "truncated"),
        (r#"{"jsonrpc":"2.0","method":"m","params":{"a":tru"#, "truncated"),
        (r#"{"jsonrpc":"2.0","method":"m"} x"#, "trailing-data"),
        (r#"{"jsonrpc":"2.0","method":"m"}{}"#, "trailing-data"),
        (r#"{"jsonrpc":"2.0","method":"m"}]"#, "trailing-data"),
        ("{\"jsonrpc\":\"2.0\",\"method\":\"m\"}\u{0}", "trailing-data"),
        (r#"{"jsonrpc":"2.0","method":"m",}"#, "syntax"),
        (r#"{,"jsonrpc":"2.0","method":"m"}"#, "syntax"),
        (r#"{"jsonrpc":"2.0" "method":"m"}"#, "syntax"),
        (r#"{"jsonrpc";"2.0"}"#, "syntax"),
        (r#"{jsonrpc:"2.0"}"#, "syntax"),
        (r#"{'jsonrpc':'2.0'}"#, "syntax"),
        (r#"{"a":undefined}"#, "syntax"),
        (r#"{"a":nul}"#, "syntax"),
        (r#"{"a":True}"#, "syntax"),
        (r#"{"a":/*c*/1}"#, "syntax"),
        (r#"{"a":]}"#, "syntax"),
        (r#"{"a":[1}}"#, "syntax"),
        (r#"{"a":[1 2]}"#, "syntax"),
        (r#"{"a":[1,]}"#, "syntax"),
        (r#"{"a":[,1]}"#, "syntax"),
        (r#"{"a":{]}"#, "syntax"),
        ("{\"a\u{0}\":1}", "control-character"),
        ("{\"a\":\"line\nbreak\"}", "control-character"),
        ("{\"a\":\"tab\tin a longer string\"}", "control-character"),
        (r#"{"a":"\x41"}"#, "invalid-escape"),
        (r#"{"a":"\u12g4"}"#, "invalid-escape"),
        (r#"{"a":"\u+123"}"#, "invalid-escape"),
        (r#"{"a":"\U0041"}"#, "invalid-escape"),
        (r#"{"a":"\ud800"}"#, "lone-surrogate"),
        (r#"{"a":"\ud800\ud800"}"#, "lone-surrogate"),
        (r#"{"a":"\ud800A"}"#, "lone-surrogate"),
        (r#"{"a":"\ud800\n"}"#, "lone-surrogate"),
        (r#"{"a":"\udc00"}"#, "lone-surrogate"),
        (r#"{"a":"\udc00\ud800"}"#, "lone-surrogate"),
        (r#"{"\ud800":1}"#, "lone-surrogate"),
        (r#"{"a":01}"#, "invalid-number"),
        (r#"{"a":-}"#, "invalid-number"),
        (r#"{"a":1.}"#, "invalid-number"),
        (r#"{"a":1.e1}"#, "invalid-number"),
        (r#"{"a":1e}"#, "invalid-number"),
        (r#"{"a":1e+}"#, "invalid-number"),
        (r#"{"a":0x10}"#, "invalid-number"),
        (r#"{"a":-Infinity}"#, "invalid-number"),
        (r#"{"a":NaN}"#, "syntax"),
        (r#"{"a":.5}"#, "syntax"),
        (r#"{"a":+1}"#, "syntax"),
        (r#"{"a":1_000}"#, "syntax"),
        (r#"{"a":1e999}"#, "number-out-of-range"),
        (r#"{"a":-1e309}"#, "number-out-of-range"),
        (r#"{"jsonrpc":"2.0","method":"m","method":"n"}"#, "duplicate-key"),
        (r#"{"jsonrpc":"2.0","method":"m","m\u0065thod":"n"}"#, "duplicate-key"),
        (r#"{"a":1,"b":{"c":[{"d":1,"e":2,"d":3}]}}"#, "duplicate-key"),
        (r#"{"a\/":1,"a/":2}"#, "duplicate-key"),
        (r#"{"\ud83d\ude00":1,"😀":2}"#, "duplicate-key"),
        (r#"{"":1,"":2}"#, "duplicate-key"),
        (r#"{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9,"j":10,"c":11}"#, "duplicate-key"),
        ("{}", "jsonrpc-version"),
        (r#"{"jsonrpc":"1.0","method":"m"}"#, "jsonrpc-version"),
        (r#"{"jsonrpc":2.0,"method":"m"}"#, "jsonrpc-version"),
        (r#"{"JSONRPC":"2.0","method":"m"}"#, "jsonrpc-version"),
        (r#"{"jsonrpc":"2.0","id":null,"method":"m"}"#, "invalid-id"),
        (r#"{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"m"}}"#, "invalid-id"),
        (r#"{"jsonrpc":"2.0","id":1.0,"method":"m"}"#, "invalid-id"),
        (r#"{"jsonrpc":"2.0","id":1e3,"method":"m"}"#, "invalid-id"),
        (r#"{"jsonrpc":"2.0","id":-0,"method":"m"}"#, "invalid-id"),
        (r#"{"jsonrpc":"2.0","id":true,"method":"m"}"#, "invalid-id"),
        (r#"{"jsonrpc":"2.0","id":{},"method":"m"}"#, "invalid-id"),
        (r#"{"jsonrpc":"2.0","id":[1],"method":"m"}"#, "invalid-id"),
        (r#"{"jsonrpc":"2.0","id":9223372036854775808,"method":"m"}"#, "invalid-id"),
        (r#"{"jsonrpc":"2.0","id":1,"method":""}"#, "invalid-method"),
        (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, "invalid-method"),
        (r#"{"jsonrpc":"2.0","id":1,"method":null}"#, "invalid-method"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"m","params":[]}"#, "invalid-params"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"m","params":null}"#, "invalid-params"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"m","params":"{}"}"#, "invalid-params"),
        (r#"{"jsonrpc":"2.0","id":1,"result":null}"#, "invalid-result"),
        (r#"{"jsonrpc":"2.0","id":1,"result":[]}"#, "invalid-result"),
        (r#"{"jsonrpc":"2.0","id":1,"error":"no"}"#, "invalid-error"),
        (r#"{"jsonrpc":"2.0","id":1,"error":{}}"#, "invalid-error"),
        (r#"{"jsonrpc":"2.0","id":1,"error":{"code":1.5,"message":5}}"#, "invalid-error"),
        (r#"{"jsonrpc":"2.0","id":1,"error":{"code":1.0,"message":"m"}}"#, "invalid-error"),
        (r#"{"jsonrpc":"2.0","id":1,"error":{"code":"text","message":"m"}}"#, "invalid-error"),
        (r#"{"jsonrpc":"2.0","id":1,"error":{"code":9223372036854775808,"message":"m"}}"#, "invalid-error"),
        (r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":null}}"#, "invalid-error"),
        (r#"{"jsonrpc":"2.0","id":1,"error":{"code":1}}"#, "invalid-error"),
        (r#"{"jsonrpc":"2.0","id":1,"error":{"message":"m"}}"#, "invalid-error"),
        (r#"{"jsonrpc":"2.0"}"#, "not-one-message"),
        (r#"{"jsonrpc":"2.0","id":1}"#, "not-one-message"),
        (r#"{"jsonrpc":"2.0","result":{}}"#, "not-one-message"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"m","result":{}}"#, "not-one-message"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"m","error":{"code":1,"message":"m"}}"#, "not-one-message"),
        (r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":"m"}}"#, "not-one-message"),
        (r#"{"jsonrpc":"2.0","id":1,"result":{},"params":{}}"#, "not-one-message"),
    ];
    for (text, code) in table {
        match scan(text) {
            Ok(_) => panic!("accepted: {text}"),
            Err(error) => assert_eq!(&error.code(), code, "{text}: {error}"),
        }
    }
}

#[test]
fn bytes_that_are_not_utf8_are_refused_wherever_they_stand() {
    for bad in [&b"\xff"[..], b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xe2\x82"] {
        let mut message = br#"{"jsonrpc":"2.0","method":""#.to_vec();
        let at = message.len();
        message.extend_from_slice(bad);
        message.extend_from_slice(br#""}"#);
        assert_eq!(scan_bytes(&message).unwrap_err(), ScanError::NotUtf8 { at });
    }
}

#[test]
fn depth_is_counted_and_ten_thousand_levels_are_refused_at_the_limit() {
    let nested = |n: usize| format!("{{\"a\":{}{}}}", "[".repeat(n), "]".repeat(n));
    // the message and its params are two
    assert!(params(&nested(62)).is_ok());
    assert!(matches!(params(&nested(63)), Err(ScanError::TooDeep { limit: 64, .. })));
    for open in ["[", "{\"a\":", "[{\"a\":"] {
        let text = format!("{{\"a\":{}", open.repeat(10_000));
        assert!(matches!(scan(&text), Err(ScanError::TooDeep { at, limit: 64 }) if at < 400));
    }
    let shallow = Limits { depth: 0, ..Limits::DEFAULT };
    assert!(matches!(scan_value(b"{}", &shallow), Err(ScanError::TooDeep { .. })));
}

#[test]
fn size_is_checked_before_anything_else() {
    let limits = Limits::DEFAULT.with_bytes(8);
    assert_eq!(
        Frame::scan(Bytes::from_static(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff"), &limits).unwrap_err(),
        ScanError::TooLarge { size: 9, limit: 8 }
    );
}

#[test]
fn ids_and_methods_have_a_length() {
    let with =
        |id: &str, method: &str| scan(&format!(r#"{{"jsonrpc":"2.0","id":"{id}","method":"{method}"}}"#));
    assert!(with(&"i".repeat(256), &"m".repeat(128)).is_ok());
    assert_eq!(with(&"i".repeat(257), "m").unwrap_err(), ScanError::Id);
    assert_eq!(with("i", &"m".repeat(129)).unwrap_err(), ScanError::Method);
    assert!(scan(r#"{"jsonrpc":"2.0","id":-9223372036854775808,"method":"m"}"#).is_ok());
}

#[test]
fn ids_are_compared_as_values() {
    let id = |raw: &str| Id::read(raw.as_bytes());
    assert_eq!(id(r#""\u0061""#), id("\"a\""));
    assert_ne!(id("1"), id("\"1\""));
    for raw in ["null", "1.0", "-0", "1e3", "{}", "[]", "true", "", "9223372036854775808"] {
        assert_eq!(id(raw), None, "{raw}");
    }
    for raw in ["-7", "\"a\\\"b\"", "\"\""] {
        assert_eq!(id(raw).unwrap().to_string(), raw);
    }
    let frame = scan(r#"{"jsonrpc":"2.0","id":12,"result":{}}"#).unwrap();
    assert_eq!(frame.id(), Some(Id::Integer(12)));
}

#[test]
fn a_refusal_repeats_nothing_of_the_input() {
    let error = scan(r#"{"jsonrpc":"2.0","method":"m","hunter2":1,"hunter2":2}"#).unwrap_err();
    assert!(!format!("{error} {error:?} {}", error.code()).contains("hunter2"));
    let frame = scan(r#"{"jsonrpc":"2.0","method":"hunter2"}"#).unwrap();
    assert!(!format!("{frame:?}").contains("hunter2"));
}

#[test]
fn many_keys_are_neither_slow_nor_missed() {
    let keys: Vec<String> = (0..60_000).map(|n| format!("\"k{n}\":0")).collect();
    let frame = params(&format!("{{{}}}", keys.join(","))).unwrap();
    assert_eq!(frame.at(&["params", "k59999"]), Some(&b"0"[..]));
    assert_eq!(frame.at(&["params", "k60000"]), None);
    let twice = format!("{{{},\"k777\":1}}", keys.join(","));
    assert!(matches!(params(&twice), Err(ScanError::DuplicateKey { .. })));
    let escaped = format!("{{{},\"\\u006b777\":1}}", keys.join(","));
    assert!(matches!(params(&escaped), Err(ScanError::DuplicateKey { .. })));
}

#[test]
fn the_reported_duplicate_is_the_second_one() {
    let text = r#"{"jsonrpc":"2.0","a":1,"a":2,"method":"m"}"#;
    let at = text.rfind("\"a\"").unwrap();
    assert_eq!(scan(text).unwrap_err(), ScanError::DuplicateKey { at });
}

#[test]
fn the_same_key_in_different_objects_is_no_duplicate() {
    assert!(params(r#"{"a":{"a":{"a":1},"b":1},"b":[{"a":1},{"a":2}]}"#).is_ok());
    assert!(params(r#"{"a":1,"A":2,"a ":3,"é":4,"e\u0301":5}"#).is_ok());
}

#[test]
fn every_cut_of_a_message_is_refused() {
    let text = r#"{"jsonrpc":"2.0","id":12,"method":"t","params":{"a":[1.5e3,true,null,"\ud83d\ude00\n"]}}"#;
    assert!(scan(text).is_ok());
    for end in 0..text.len() {
        assert!(scan_bytes(&text.as_bytes()[..end]).is_err(), "cut at {end}");
    }
}

/// JSON that `serde_json` can hold, with numbers and strings of all kinds.
fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_filter("finite", |x| x.is_finite()).prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(6, 48, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
            prop::collection::btree_map(any::<String>(), inner, 0..12)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_serde_json_writes_scans(value in json(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) }.unwrap();
        prop_assert_eq!(scan_value(&text, &Limits::DEFAULT), Ok(()));
    }

    /// Noise made of the bytes JSON is made of: what scans, `serde_json` reads, and
    /// what `serde_json` reads, scans unless it is one of the things we refuse on purpose.
    #[test]
    fn scan_and_serde_json_agree_on_noise(
        text in r#"([\[\]{}:,]|"a"|"b"|"\\u0061"|"\\ud800"|"\\\\"|-?[0-9.]{1,3}|1e5|1e999|true|null| ){1,14}"#
    ) {
        let ours = scan_value(text.as_bytes(), &Limits::DEFAULT);
        let theirs = serde_json::from_str::<serde_json::Value>(&text);
        match (ours, theirs) {
            (Ok(()), Err(error)) => prop_assert!(false, "only we read {text}: {error}"),
            (Err(ScanError::DuplicateKey { .. }), _) | (Ok(()), Ok(_)) | (Err(_), Err(_)) => {}
            (Err(error), Ok(_)) => prop_assert!(false, "only serde_json reads {text}: {error}"),
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let ours = scan_value(&bytes, &Limits::DEFAULT);
        if ours.is_ok() {
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&bytes).is_ok());
        }
        // walking assumes a scan, but must not panic or hang without one
        for member in crate::json::members(&bytes) {
            prop_assert!(member.value_range.end <= bytes.len());
        }
        for element in crate::json::array_elements(&bytes) {
            prop_assert!(element.end <= bytes.len());
        }
    }

    /// A flipped, dropped or doubled byte in a real message: still the same verdict as serde_json.
    #[test]
    fn a_damaged_message_is_read_as_serde_json_reads_it(at in 0usize..170, byte in any::<u8>(), how in 0u8..3) {
        let mut text = br#"{"jsonrpc":"2.0","id":12,"method":"tools/call","params":{"name":"x\u0041\n","arguments":{"n":-1.5e-3,"b":[true,false,null],"s":"\ud83d\ude00 and so on"},"_meta":{"t":"z"}}}"#.to_vec();
        let at = at.min(text.len() - 1);
        match how {
            0 => text[at] = byte,
            1 => { text.remove(at); }
            _ => text.insert(at, byte),
        }
        let ours = scan_value(&text, &Limits::DEFAULT);
        let theirs = serde_json::from_slice::<serde_json::Value>(&text);
        match ours {
            Err(ScanError::DuplicateKey { .. }) => {}
            ours => prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{} {:?}", String::from_utf8_lossy(&text), ours),
        }
    }

    #[test]
    fn members_are_found_where_serde_json_finds_them(value in json()) {
        let text = serde_json::to_string(&value).unwrap();
        let frame = params(&format!("{{\"v\":{text}}}")).unwrap();
        let raw = frame.at(&["params", "v"]).unwrap();
        prop_assert_eq!(raw, text.as_bytes());
        if let Some(object) = value.as_object() {
            for (key, inner) in object {
                let found = frame.at(&["params", "v", key]).unwrap();
                prop_assert_eq!(&serde_json::from_slice::<serde_json::Value>(found).unwrap(), &serde_json::from_str::<serde_json::Value>(&inner.to_string()).unwrap());
            }
            prop_assert_eq!(crate::json::object_members(raw).count(), object.len());
        }
        if let Some(array) = value.as_array() {
            prop_assert_eq!(crate::json::array_elements(raw).count(), array.len());
        }
    }

    #[test]
    fn strings_survive_encoding_and_decoding(text in any::<String>()) {
        let ours = crate::json::encode_string(&text);
        prop_assert_eq!(crate::json::decode_string(ours.as_bytes()).unwrap(), text.as_str());
        let theirs = serde_json::to_string(&text).unwrap();
        prop_assert_eq!(crate::json::decode_string(theirs.as_bytes()).unwrap(), text.as_str());
        prop_assert_eq!(serde_json::from_str::<String>(&ours).unwrap(), text);
    }
}
