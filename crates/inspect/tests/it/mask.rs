use super::forms::{self, json, readings};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use callgate_inspect::{Mask, Unmaskable};
use proptest::prelude::*;

fn holds(text: &[u8], secret: &[u8]) -> bool {
    text.windows(secret.len()).any(|window| window == secret)
}

/// A message whose text is exactly `written`, which is valid inside a JSON string.
fn message(written: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"content":[{{"type":"text","text":"{written}"}}]}}}}"#)
}

/// Checks that the secret is taken out of the message in which it stands as `written`.
fn taken_out(mask: &Mask, secret: &str, name: &str, written: &str) -> Result<(), TestCaseError> {
    let message = message(written);
    let masked = mask.json(message.as_bytes()).unwrap();
    let masked = masked.ok_or_else(|| TestCaseError::fail(format!("{name}: not found in {message}")))?;
    let shown = String::from_utf8_lossy(&masked.bytes).into_owned();
    let value: Result<serde_json::Value, _> = serde_json::from_slice(&masked.bytes);
    prop_assert!(value.is_ok(), "{name}: no JSON any more: {shown}");
    prop_assert!(shown.contains("[secret:k]") && masked.hits.total() > 0, "{name}: {shown}");
    for reading in readings(&masked.bytes) {
        prop_assert!(!holds(&reading, secret.as_bytes()), "{name}: survives in {shown} of {message}");
    }
    Ok(())
}

fn every_form(secret: &str, around: (&str, &str)) -> Result<(), TestCaseError> {
    let mask = Mask::new([("k", secret.as_bytes())]);
    for (name, form) in forms::of(secret, around) {
        let text = format!("{}{form}{}", around.0, around.1);
        taken_out(&mask, secret, &name, &json(&text))?;
        if name.contains("JSON") {
            // also where it is the message's own escape
            taken_out(&mask, secret, &name, &format!("{}{form}{}", json(around.0), json(around.1)))?;
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn no_form_of_a_secret_survives(
        secret in "[!-~]([ -~]{6,40})[!-~]",
        before in "[a-zA-Z ,.<>]{0,12}[ .:]",
        after in "[ .,][a-zA-Z ,.<>]{0,12}",
    ) {
        every_form(&secret, (&before, &after))?;
    }

    #[test]
    fn no_form_of_a_token_survives(secret in "[A-Za-z0-9+/_=.~-]{8,64}") {
        every_form(&secret, ("token ", " end"))?;
        every_form(&secret, ("", ""))?;
    }

    #[test]
    fn text_without_the_secret_is_not_touched(secret in "[A-Za-z0-9]{8,20}", text in any::<String>(), bytes in any::<Vec<u8>>()) {
        prop_assume!(!text.contains(&secret));
        let mask = Mask::new([("k", secret.as_bytes())]);
        prop_assert_eq!(mask.json(serde_json::to_string(&text).unwrap().as_bytes()), Ok(None));
        prop_assert_eq!(mask.text(&bytes), None);
    }

    #[test]
    fn any_secret_and_any_bytes_are_survived_and_never_left(secret in any::<Vec<u8>>(), before in any::<Vec<u8>>(), after in any::<Vec<u8>>()) {
        let mask = Mask::new([("k", secret.as_slice())]);
        let text = [before, secret.clone(), after].concat();
        let masked = mask.text(&text).map_or(text, |masked| masked.bytes);
        prop_assert!(secret.len() < callgate_inspect::SHORT_BELOW || !holds(&masked, &secret) || b"[secret:k]".windows(secret.len()).any(|w| w == secret));
    }
}

#[test]
fn what_stands_around_a_secret_stays_byte_for_byte() {
    let mask = Mask::new([("crm-key", &b"Bearer s3cret/value"[..])]);
    for (text, left) in [
        (r#"{"a":"<s3cret/value>","b":[1,2]}"#, r#"{"a":"<[secret:crm-key]>","b":[1,2]}"#),
        (
            r#"{"s3cret\/value":"\n\u0073\u0033cret\/value\n"}"#,
            r#"{"[secret:crm-key]":"\n[secret:crm-key]\n"}"#,
        ),
        (r#"["Bearer s3cret/value"]"#, r#"["Bearer [secret:crm-key]"]"#),
        // `Zm9vczNjcmV0L3ZhbHVlYmFy` is foos3cret/valuebar
        (r#"["Zm9vczNjcmV0L3ZhbHVlYmFy"]"#, r#"["Zm9v[secret:crm-key]YmFy"]"#),
        // half an escape in front belongs to the secret's first letter as it is read
        (r#"["\\s3cret/value"]"#, r#"["\\[secret:crm-key]"]"#),
    ] {
        let masked = mask.json(text.as_bytes()).unwrap().unwrap();
        assert_eq!(String::from_utf8(masked.bytes).unwrap(), left);
    }
}

#[test]
fn three_escapes_in_each_other_hide_nothing() {
    let wrapped =
        |secret: &str| forms::lines(&STANDARD.encode(format!("{:60}{secret}{:60}", "", "")), 64, "\r\n");
    for secret in [r#"ab/cd"Ef+gh&Ij-0123456789<kl"#, "sk-live-2f1c9a77d0e8", r#"p%40ss&amp;w\n"or%41d"#] {
        let mask = Mask::new([("k", secret.as_bytes())]);
        let three = forms::ESCAPES.iter().flat_map(|one| forms::ESCAPES.iter().map(move |two| (one, two)));
        for ((one, two), three) in three.flat_map(|two| forms::ESCAPES.iter().map(move |three| (two, three)))
        {
            let name = format!("{} of {} of {}", three.0, two.0, one.0);
            let text = |inner: &str| format!("<{}>", (three.1)(&(two.1)(&(one.1)(inner))));
            let masked = mask.json(message(&json(&text(secret))).as_bytes()).unwrap();
            let left = masked.map(|masked| String::from_utf8(masked.bytes).unwrap());
            assert_eq!(left, Some(message("<[secret:k]>")), "{name}: {}", text(secret));
            assert!(mask.text(text(secret).as_bytes()).is_some(), "{name}: {}", text(secret));
            let base64 = message(&json(&text(&wrapped(secret))));
            assert!(mask.json(base64.as_bytes()).unwrap().is_some(), "{name} of base64: {base64}");
        }
        // a different one for each letter
        let mixed = secret.char_indices().map(|(n, c)| (forms::ESCAPES[n % 7].1)(&c.to_string()));
        taken_out(&mask, secret, "mixed", &json(&mixed.collect::<String>())).unwrap();
    }
}

#[test]
fn lines_of_base64_are_found_where_breaks_are_escapes_too() {
    let mask = Mask::new([("k", &b"s3cret/value-0123456789"[..])]);
    let encoded = STANDARD.encode(format!("{:40}s3cret/value-0123456789{:40}", "", ""));
    for end in ["\\n", "\\r\\n", "\\u000a", "\\u000d\\u000A", "%0A", "%0d%0a", "&#10;", "&#xd;&NewLine;"] {
        let text = forms::lines(&encoded, 32, end);
        assert!(mask.text(text.as_bytes()).is_some(), "{text}");
        let inner = serde_json::to_string(&serde_json::json!({ "content": text })).unwrap();
        taken_out(&mask, "s3cret/value-0123456789", end, &json(&inner)).unwrap();
    }
}

#[test]
fn the_password_of_an_address_is_found_as_it_reads() {
    let mask = Mask::new([("db", &b"postgres://app:p%40ss%2Fw0rd@db.example/app"[..])]);
    for text in ["password p@ss/w0rd is wrong", "cEBzcy93MHJk", "p%40ss%2fw0rd", "app:p@ss/w0rd"] {
        let masked = mask.text(text.as_bytes()).unwrap_or_else(|| panic!("{text}"));
        assert!(!holds(&masked.bytes, b"w0rd"));
    }
}

#[test]
fn blanks_around_a_secret_are_no_part_of_it() {
    for stored in ["  tokVALUE-ee55ff66", "tokVALUE-ee55ff66 \n", "\tBearer  tokVALUE-ee55ff66\r\n"] {
        let mask = Mask::new([("k", stored.as_bytes())]);
        assert!(mask.text(b"<tokVALUE-ee55ff66>").is_some(), "{stored:?}");
        assert!(mask.text(stored.as_bytes()).is_some(), "{stored:?}");
    }
    assert!(Mask::new([("k", &b"abc1234  "[..])]).text(b"YWJjMTIzNCAg").is_some());
}

#[test]
fn a_number_with_the_secret_becomes_a_text() {
    let mask = Mask::new([("pin", &b"12345678"[..])]);
    let masked = mask.json(br#"{"a":-9123456780.5,"b":[12345678,7],"c":"12345678"}"#).unwrap().unwrap();
    let left = r#"{"a":"[secret:pin]","b":["[secret:pin]",7],"c":"[secret:pin]"}"#;
    assert_eq!(String::from_utf8(masked.bytes).unwrap(), left);
    assert_eq!(masked.hits.to_string(), "pin×3");
}

#[test]
fn a_secret_over_several_values_cannot_be_taken_out() {
    for (secret, text) in [
        (r#"abcd","efgh"#, r#"["abcd","efgh"]"#),
        ("1,2,3,4,5", "[1,2,3,4,5]"),
        (r#"}],[{"a":"#, r#"[[{}],[{"a":1}]]"#),
    ] {
        assert_eq!(Mask::new([("k", secret.as_bytes())]).json(text.as_bytes()), Err(Unmaskable), "{text}");
    }
}

#[test]
fn a_short_secret_is_found_as_a_word_and_a_shorter_one_not() {
    let mask = Mask::new([("pin", &b"4711"[..]), ("x", b"abc")]);
    let text = r#"["4711","a 4711.","47110","x4711","abc","\n4711\u00e9","-4711-","4711é"]"#;
    let masked = mask.json(text.as_bytes()).unwrap().unwrap();
    let left =
        r#"["[secret:pin]","a [secret:pin].","47110","x4711","abc","\n4711\u00e9","-[secret:pin]-","4711é"]"#;
    assert_eq!(String::from_utf8(masked.bytes).unwrap(), left);
}

#[test]
fn a_short_secret_changes_no_number_and_no_word_of_json() {
    let mask = Mask::new([("pin", &b"4711"[..]), ("flag", b"true"), ("none", b"Null")]);
    let text = br#"{"port":4711,"readOnlyHint":true,"next":null,"text":"{\"done\":true,\"next\":null}"}"#;
    assert_eq!(mask.json(text), Ok(None));
    assert_eq!(mask.text(b"true null False"), None);
    let masked = mask.json(br#"{"port":4711,"note":"it is 4711"}"#).unwrap().unwrap();
    let left = r#"{"port":4711,"note":"it is [secret:pin]"}"#;
    assert_eq!(String::from_utf8(masked.bytes).unwrap(), left);
    assert_eq!(masked.hits.to_string(), "pin×1");
    // a long one that holds it goes as before
    let both = Mask::new([("pin", &b"4711"[..]), ("long", b"471147110")]);
    let masked = both.json(b"[4711,471147110]").unwrap().unwrap();
    assert_eq!(String::from_utf8(masked.bytes).unwrap(), r#"[4711,"[secret:long]"]"#);
}

#[test]
fn a_value_that_texts_hold_by_chance_is_known() {
    for value in ["4711", "hunter2", "production", "read_only", " prod "] {
        assert!(callgate_inspect::is_common(value.as_bytes()), "{value}");
    }
    for value in ["true", "NULL", "abc", "correct-horse-battery", "Zx81Zx81", "hunter22"] {
        assert!(!callgate_inspect::is_common(value.as_bytes()), "{value}");
    }
}

#[test]
fn each_secret_is_named_and_counted() {
    let mask = Mask::new([("a", &b"first-secret"[..]), ("b", b"second-secret")]);
    let masked = mask.text(b"second-secret first-secret c2Vjb25kLXNlY3JldA==").unwrap();
    assert_eq!(String::from_utf8(masked.bytes).unwrap(), "[secret:b] [secret:a] [secret:b]==");
    assert_eq!(masked.hits.to_string(), "a×1, b×2");
    assert_eq!(masked.hits.total(), 3);
}

#[test]
fn a_basic_credential_is_found_in_its_parts() {
    // RFC 7617 section 2
    let mask = Mask::new([("k", &b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="[..])]);
    for text in [
        "open sesame",
        "open+sesame",
        "Aladdin:open%20sesame",
        "QWxhZGRpbjpvcGVuIHNlc2FtZQ",
        "b3BlbiBzZXNhbWU=",
    ] {
        assert!(mask.text(text.as_bytes()).is_some(), "{text}");
    }
    assert_eq!(mask.text(b"Aladdin"), None);
}

#[test]
fn nothing_of_a_secret_is_printed() {
    let mask = Mask::new([("k", &b"s3cret-value"[..])]);
    assert_eq!(format!("{mask:?}"), "Mask([Part(k, ..)])");
}
