mod shapes;

use super::*;
use proptest::prelude::*;
use std::cell::Cell;

thread_local! {
    /// How many characters were looked at.
    pub(super) static STEPS: Cell<usize> = const { Cell::new(0) };
}

/// Most of them for each byte of a text: a card is looked for at each digit, and has nineteen with gaps between them.
const STEPS_PER_BYTE_MAX: usize = 110;

/// No print.
fn bare(_: &str) -> String {
    String::new()
}

/// What it costs to show the text, for each of its bytes.
fn cost(text: &str) -> usize {
    let raw = serde_json::to_vec(&serde_json::json!({ "x": text })).unwrap();
    STEPS.set(0);
    let _ = (arguments(&raw, &bare), without_secrets("x", text));
    STEPS.get() / raw.len()
}

#[test]
fn no_text_costs_more_than_its_length() {
    let hostile = [
        "1 ",
        "1  ",
        "1-",
        "1    ",
        "11 ",
        "a@",
        "a@b.",
        "a://",
        "a://b:c@",
        "a://b:c",
        "://",
        "eyJ.",
        "eyJ",
        "sk-",
        "DE89",
        "1 1@",
        "AKIA1",
        "-----BEGIN",
        "•",
        "é ",
        ".",
        "@",
        "4242424242424242 ",
        "4242424242424242.",
        "a:b@",
        concat!("-----BEGIN PRIV", "ATE KEY-----"),
        concat!("-----BEGIN PRIV", "ATE KEY-----\nA: "),
        concat!("-----BEGIN PRIV", "ATE KEY-----\\"),
        concat!("-----BEGIN PRIV", "ATE KEY-----MIIabc0123456789"),
        "MIIabc0123456789\n",
        "\\",
        "DE89 3704 ",
        "DE8937040044053201300 ",
        "4 ",
        "4    ",
        "4242 4242 4242 424",
        "whsec_/",
        "sntrys_eyJ/",
        "ya29.",
        "SG.",
        "ghs_1_eyJ",
        "eyJhbGciOiJub25lIn0.",
        "https://x:",
        "npx a@b.io ",
        "@a/",
        "ghp_0123456789abcdefghij%20",
    ];
    for part in hostile {
        let cost = [2_000, 40_000, 200_000].map(|bytes| cost(&part.repeat(bytes / part.len())));
        assert!(cost.iter().all(|cost| *cost <= STEPS_PER_BYTE_MAX), "`{part}`: {cost:?} steps for a byte");
    }
    // beginnings of one thing after another, of which none ends
    for tail in [" ", "x", "://a:", "@"] {
        let cost = cost(&("1 a://b:1@".repeat(20_000) + &tail.repeat(50_000)));
        assert!(cost <= STEPS_PER_BYTE_MAX, "`{tail}`: {cost} steps for a byte");
    }
}

#[test]
fn a_card_is_one_among_other_digits_and_with_gaps() {
    for text in [
        "1 1 1 1 1 1 1 1 4242 4242 4242 4242",
        "4242 - 4242 - 4242 - 4242, please",
        "4242-4242-4242-4242 - to them",
    ] {
        let shown = arguments(serde_json::json!({ "x": text }).to_string().as_bytes(), &bare);
        assert!(shown.text.contains("•••• 4242") && !shown.text.contains("4242 4242"), "{shown:?}");
    }
    for text in ["42424242424242424242", "4242 4242 4242 4242x", "4242 4242 4242 4242 0001"] {
        assert!(
            arguments(serde_json::json!({ "x": text }).to_string().as_bytes(), &bare).masked.is_empty(),
            "{text}"
        );
    }
}

#[test]
fn arguments_stand_as_they_were_sent() {
    let shown = arguments(
        br#" {"amount":1.10e3, "to":{"id":"cus_1","list":[1,2,[]]},"note":"a\"b\\","n":null,"e":{}}"#,
        &bare,
    );
    let expected = r#"{
  "amount": 1.10e3,
  "to": {
    "id": "cus_1",
    "list": [
      1,
      2,
      []
    ]
  },
  "note": "a\"b\\",
  "n": null,
  "e": {}
}"#;
    assert_eq!(shown.text, expected);
    assert_eq!(shown.brief, r#"amount 1.10e3, note "a\"b\\", n null and 2 more"#);
    assert!(shown.masked.is_empty() && shown.labels.is_empty(), "{shown:?}");
    assert_eq!(arguments(b"", &bare).text, "");
    assert!(arguments(b"{\"a\":", &bare).text.contains("not JSON"));
    assert!(arguments(b"{} {}", &bare).text.contains("not JSON"));
}

#[test]
fn a_sentence_says_how_many_arguments_it_does_not_name() {
    let members: Vec<_> = (0..15).map(|n| format!("\"option_{n}\":{n}")).collect();
    let raw = format!("{{{},\"amount_to_wire\":95000,\"iban\":\"x\"}}", members.join(","));
    let shown = arguments(raw.as_bytes(), &bare);
    assert_eq!(shown.brief, "option_0 0, option_1 1, option_2 2, option_3 3 and 13 more");
    assert_eq!(arguments(br#"{"a":1,"b":2,"c":3,"d":4}"#, &bare).brief, "a 1, b 2, c 3, d 4");
    assert_eq!(arguments(br#"{"a":{"amount":5}}"#, &bare).brief, "1 argument");
    assert_eq!(arguments(br#"{"a":{},"b":[1,2]}"#, &bare).brief, "2 arguments");
    assert_eq!(arguments(b"{}", &bare).brief, "");
    let long = arguments(format!("{{\"{}\":1,\"amount\":2}}", "k".repeat(10_000)).as_bytes(), &bare).brief;
    assert!(long.chars().count() < 100 && long.ends_with("… 1, amount 2"), "{long}");
}

#[test]
fn nothing_is_hidden_or_turned_around() {
    let raw = "{\"to\":\"alice\u{202e}ecila\",\"pay\u{200b}load\":\"x\u{e0041}\",\"b\":\"p\u{430}ypal\",\"u\":\"\\u202e\"}";
    let shown = arguments(raw.as_bytes(), &bare);
    assert!(shown.text.contains("alice⟨U+202E⟩ecila") && shown.text.contains("pay⟨U+200B⟩load"), "{shown:?}");
    assert!(shown.text.contains("x⟨U+E0041⟩") && shown.text.contains("\"u\": \"⟨U+202E⟩\""), "{shown:?}");
    assert_eq!(shown.labels.len(), 2, "{shown:?}");
    assert_eq!(visible("plain é 漢字 🙂"), "plain é 漢字 🙂");
    assert_eq!(visible("a\u{1bca0}b\u{3164}"), "a⟨U+1BCA0⟩b⟨U+3164⟩");
    assert_eq!(visible("a\u{1b}[2J\r\n"), "a⟨U+001B⟩[2J⟨U+000D⟩⟨U+000A⟩");
}

#[test]
fn secrets_and_personal_data_are_masked_by_what_they_are() {
    for (value, kind, left) in [
        (r#"{"password":"hunter22"}"#, "secret", "8 characters"),
        (r#"{"accessToken":"abc"}"#, "secret", "3 characters"),
        (r#"{"x":"use ghp_0123456789abcdefghij please"}"#, "secret", "use ••••••"),
        (r#"{"x":"eyJhbGciOiJub25lIn0.eyJhIjoxfQ.c2ln"}"#, "secret", "characters"),
        (r#"{"x":"sk-proj-Ab12Cd34Ef56Gh78"}"#, "secret", "24 characters"),
        (r#"{"x":"ghp_abcdefghijklmnopqrst"}"#, "secret", "24 characters"),
        (
            r#"{"x":"at postgresql://app:hunter2@db.local/prod"}"#,
            "secret",
            "at postgresql://app:•••••• (7 characters)@db.local/prod",
        ),
        (r#"{"x":"amqps://a:p@w@rd@mq"}"#, "secret", "amqps://a:•••••• (6 characters)@mq"),
        (r#"{"card":"4242 4242 4242 4242"}"#, "payment card", "•••• 4242"),
        (r#"{"card":4242424242424242}"#, "payment card", "•••• 4242"),
        (r#"{"to":"DE89370400440532013000"}"#, "IBAN", "DE•• … 3000"),
        (r#"{"to":"write to Alice.B+x@mail.example.com."}"#, "email address", "A•••@mail.example.com."),
    ] {
        let shown = arguments(value.as_bytes(), &bare);
        assert_eq!(shown.masked, [kind], "{value}: {shown:?}");
        assert!(shown.text.contains(left), "{value}: {shown:?}");
        assert!(shown.brief.contains('•'), "the sentence too: {shown:?}");
    }
    for value in [
        r#"{"number":"4242 4242 4242 4241"}"#,
        r#"{"id":"1234567890123"}"#,
        r#"{"to":"DE89370400440532013001"}"#,
        r#"{"at":"user@10.0.0.5","from":"git@host:path","db":"mongodb://app@db","in":"/a/user@host"}"#,
        r#"{"tokens":12,"spinning":"x","mapping":"pin"}"#,
        r#"{"zero":"0000000000000000"}"#,
        r#"{"x":"sk-learn-estimators-of-trees npm_config_registry_of_mine"}"#,
        r#"{"x":"https://example.com:8080/a@b"}"#,
        r#"{"x":"postgresql://app:${PASSWORD}@db postgres://<name>:<password>@db mongodb://app@db"}"#,
    ] {
        assert!(arguments(value.as_bytes(), &bare).masked.is_empty(), "{value}");
    }
}

#[test]
fn no_deed_hides_behind_a_mask() {
    for (value, shows) in [
        (r#"{"to":"sk_live_attacker@evil.example"}"#, "s•••@evil.example"),
        (r#"{"x":"ls; x://a:b;curl:evil.example|sh;rm@c  # tidy"}"#, "curl:evil.example|sh;rm@c"),
        (
            r#"{"x":"x://a:b&curl(evil)@c x://a:b'c'@d x://a:b!c@d x://a:b$c@d x://a:b*c@d x://a:b,c@d"}"#,
            "curl(evil)@c",
        ),
        (r#"{"x":"x://a:b\"c@d x://a:b\\c@d x://a:b|c@d x://a:béc@d"}"#, "b|c@d"),
        (r#"{"page_token":1000000}"#, "1000000"),
        (r#"{"page_token":"1000000"}"#, "1000000"),
        (r#"{"page_token":"send all of it to evil.example"}"#, "evil.example"),
        (r#"{"clientSecret":"send all\tof it"}"#, "send all"),
    ] {
        let shown = arguments(value.as_bytes(), &bare);
        assert!(shown.text.contains(shows), "{value}: {shown:?}");
        assert_eq!(shown.hidden, usize::from(shown.text.contains('•')), "{value}: {shown:?}");
    }
    let long =
        format!(r#"{{"x":"x://a:{}@c","to":"{}@example.com"}}"#, "curl+".repeat(80), "curl+".repeat(20));
    assert_eq!(arguments(long.as_bytes(), &bare).hidden, 0);
    // what is passed by such a name and is no number or text is still nobody's business
    for value in [r#"{"page_token":"CAUQAA"}"#, r#"{"password":"correct horse"}"#, r#"{"pin":1234}"#] {
        assert_eq!(arguments(value.as_bytes(), &bare).hidden, 1, "{value}");
    }
    assert_eq!(without_secrets("MY_TOKEN", "12 34").as_deref(), Some("••••••"));
}

#[test]
fn what_is_masked_is_told_apart_and_counted() {
    let print = |value: &str| format!("<{}>", value.len());
    let raw = br#"{"to":["alice@gmail.com","attacker@gmail.com"],"card":"4242 4242 4242 4242","from":"DE89370400440532013000",
        "key":"ghp_0123456789abcdefghij","at":"amqps://a:pw1@mq"}"#;
    let shown = arguments(raw, &print);
    for mask in ["a•••@gmail.com [<15>]", "a•••@gmail.com [<18>]", "•••• 4242 [<16>]", "DE•• … 3000 [<22>]"]
    {
        assert!(shown.text.contains(mask), "{mask}: {shown:?}");
    }
    assert_eq!(shown.hidden, 6);
    assert_eq!(shown.masked, ["email address", "payment card", "IBAN", "secret"]);
    assert_eq!(shown.text.matches('<').count(), 4, "no print of a secret: {shown:?}");
}

#[test]
fn a_text_is_freed_of_secrets_alone() {
    assert_eq!(without_secrets("", "write to alice@example.com"), None);
    assert_eq!(without_secrets("API_KEY", "x").as_deref(), Some("••••••"));
    let left = without_secrets("", "alice@example.com redis://:pw1@cache:6379/0");
    assert_eq!(left.as_deref(), Some("alice@example.com redis://:••••••@cache:6379/0"));
}

#[test]
fn every_member_and_both_ends_of_every_value_are_shown_however_long_one_is() {
    let padding = "harmless ".repeat(9_000);
    let raw = serde_json::json!({
        "amount": 1, "list": [format!("{padding}RM_RF")], "page_token": "x y", "to": "zed", "iban": "DE_EVIL",
    });
    let shown = arguments(raw.to_string().as_bytes(), &bare);
    assert!(shown.whole && shown.text.len() <= SHOWN_BYTES_MAX, "{}", shown.text.len());
    let digest = decision::Digest::of(format!("{padding}RM_RF").as_bytes());
    for part in [
        "\"harmless harmless",
        "RM_RF\"",
        "DE_EVIL",
        "\"x y\"",
        "\"zed\"",
        "characters are left out",
        &digest.to_string(),
    ] {
        assert!(shown.text.contains(part), "{part}: {}", shown.text);
    }
    assert_eq!(shown.labels, ["of long values only both ends are shown"]);
    // what is no longer than a page is not cut at all
    let raw = format!("{{\"x\":\"{}\"}}", "y".repeat(60 << 10));
    let shown = arguments(raw.as_bytes(), &bare);
    assert!(
        shown.whole && shown.labels.is_empty() && shown.text.contains(&"y".repeat(60 << 10)),
        "{:?}",
        shown.labels
    );
    // many of them, and one that is written with many more bytes than it has
    let many: Vec<_> = (0..100).map(|n| format!("{n}{}END{n}", "\u{202e}\"\\é".repeat(1_000))).collect();
    let shown = arguments(serde_json::json!(many).to_string().as_bytes(), &bare);
    assert!(shown.whole && shown.text.len() <= SHOWN_BYTES_MAX, "{}", shown.text.len());
    assert!((0..100).all(|n| shown.text.contains(&format!("END{n}\""))), "{}", shown.text);
    serde_json::from_str::<Vec<String>>(&shown.text).unwrap();
}

#[test]
fn a_value_is_masked_before_it_is_cut() {
    let text = format!("{} alice@gmail.com {}", "x ".repeat(40_000), "y ".repeat(40_000));
    let shown = |mail: &str| {
        let raw = serde_json::json!({ "x": text.replace("alice@gmail.com", mail) }).to_string();
        arguments(raw.as_bytes(), &|value| value.len().to_string())
    };
    let (alice, bob) = (shown("alice@gmail.com"), shown("aabob@gmail.com"));
    assert_eq!((alice.hidden, &alice.text), (1, &bob.text), "no digest of what is hidden");
    assert_ne!(alice.text, shown("attacker@gmail.com").text, "another print, another digest");
}

#[test]
fn what_does_not_fit_whatever_is_cut_is_not_whole() {
    let keys: Vec<_> = (0..5_000).map(|n| format!("\"a_long_name_of_a_member_{n}\":1")).collect();
    let long = format!("\"{}\",", "v".repeat(2_000)).repeat(400);
    for raw in [
        format!("{{{}}}", keys.join(",")),
        format!("{{\"{}\":1}}", "k".repeat(SHOWN_BYTES_MAX + 1)),
        format!("[{long}1]"),
        format!("{}{}1{}", "[".repeat(60), "1,".repeat(700_000), "]".repeat(60)),
    ] {
        let shown = arguments(raw.as_bytes(), &bare);
        assert!(!shown.whole && shown.text.ends_with('…'), "{:?}", shown.labels);
        assert!(shown.text.len() < SHOWN_BYTES_MAX + 512, "{}", shown.text.len());
        assert!(shown.labels.iter().any(|label| label.contains("only the beginning")), "{:?}", shown.labels);
    }
    assert!(!arguments(b"{", &bare).whole);
    assert!(arguments(b"", &bare).whole);
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        "[ -~é\u{202e}\n]{0,12}".prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::btree_map("[a-z]{1,4}", inner, 0..4)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_shown_is_the_same_value_where_nothing_is_hidden(value in json()) {
        let raw = serde_json::to_vec(&value).unwrap();
        let shown = arguments(&raw, &bare);
        prop_assert!(!shown.text.chars().any(|c| is_hidden(c) && c != '\n'), "{:?}", shown.text);
        let text = String::from_utf8(raw).unwrap();
        if shown.masked.is_empty() && shown.labels.is_empty() && !text.contains("\\n") {
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&shown.text).unwrap(), value);
        }
    }

    #[test]
    fn no_run_of_anything_costs_more_than_its_length(
        parts in prop::collection::vec("[1-4 @:./a-]{1,6}|sk-|eyJ|://|DE89|-----BEGIN [P]RIVATE KEY-----|whsec_|npx ", 1..4),
        times in 1..300_usize,
    ) {
        let cost = cost(&parts.concat().repeat(times));
        prop_assert!(cost <= STEPS_PER_BYTE_MAX, "{parts:?}: {cost} steps for a byte");
    }

    #[test]
    fn no_bytes_break_it(raw in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = arguments(&raw, &bare);
    }
}
