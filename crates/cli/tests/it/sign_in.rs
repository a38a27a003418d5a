//! `callgate check --token -`: a sample token, looked at.

use crate::bed::Bed;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// Far beyond these tests.
const LATER: u64 = 4_102_444_800;

fn bed() -> (Bed, Ed25519KeyPair) {
    let bed = Bed::with_notes();
    let config = "public-url = \"https://gate.example\"\n".to_owned()
        + &bed.notes_config(1)
        + "[[oauth.issuers]]\nissuer = \"https://login.example\"\n[oauth.issuers.claims]\ngroups = \"groups\"\n";
    bed.write("callgate.toml", &config);
    let pair = Ed25519KeyPair::generate().unwrap();
    let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
    let keys = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": "a", "x": x }] });
    bed.write("jwks.json", &keys.to_string());
    (bed, pair)
}

fn token(pair: &Ed25519KeyPair, typ: &str, changed: Value) -> String {
    let mut claims = json!({ "iss": "https://login.example", "aud": "https://gate.example/mcp", "exp": LATER,
        "sub": "alice", "client_id": "claude", "groups": ["support"], "scope": "mcp:notes:read" });
    for (name, value) in changed.as_object().unwrap() {
        claims[name] = value.clone();
    }
    let header = json!({ "alg": "EdDSA", "typ": typ, "kid": "a" });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&header), part(&claims));
    let signature = URL_SAFE_NO_PAD.encode(pair.sign(signed.as_bytes()).as_ref());
    format!("{signed}.{signature}")
}

const CHECK: [&str; 5] = ["check", "--token", "-", "--jwks", "jwks.json"];

#[test]
fn a_token_on_the_command_line_is_refused_and_not_repeated() {
    let (bed, pair) = bed();
    let text = token(&pair, "at+jwt", json!({}));
    let said = bed.run(&["check", "--token", &text]);
    assert_eq!(said.code, 2);
    let claims = text.split('.').nth(1).unwrap();
    assert!(!said.err.contains(claims) && !said.out.contains(claims), "{}", said.err);
    assert_eq!(bed.run(&["check", "--jwks", "jwks.json"]).code, 2, "of which token?");
    let plain = Bed::with_notes();
    assert_eq!(plain.run_with(&["check", "--token", "-"], &text).code, 2, "there is no provider");
}

#[test]
fn a_sample_token_shows_what_it_becomes_or_the_check_that_fails() {
    let (bed, pair) = bed();
    let text = token(&pair, "at+jwt", json!({}));
    let said = bed.run_with(&CHECK, &format!("Bearer {text}\n"));
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert!(said.out.contains("becomes agent `claude` for user `alice` in `support`"), "{}", said.out);
    assert!(text.split('.').all(|part| !said.out.contains(part)), "the token is not shown");
    let unchecked = bed.run_with(&["check", "--token", "-"], &text);
    assert_eq!(unchecked.code, 4, "it depends: {}{}", unchecked.out, unchecked.err);
    assert!(unchecked.out.contains("the signature was not checked"), "{}", unchecked.out);
    assert!(!unchecked.out.contains("\nbecomes") && unchecked.out.contains("if that holds it becomes agent"));
    let told: Value =
        serde_json::from_str(&bed.run_with(&["--json", "check", "--token", "-"], &text).out).unwrap();
    assert!(told["ok"] == false && told["becomes"].is_null() && told["signature-checked"] == false, "{told}");
    assert_eq!(told["would-become"]["user"]["name"], "alice");

    let own = Ed25519KeyPair::generate().unwrap();
    for (text, check, code) in [
        ("nonsense".to_owned(), "form", "credential-malformed"),
        (token(&pair, "JWT", json!({})), "header", "token-header-refused"),
        (token(&own, "at+jwt", json!({})), "signature", "token-signature-invalid"),
        (token(&pair, "at+jwt", json!({ "iss": "https://other.example" })), "issuer", "issuer-unknown"),
        (token(&pair, "at+jwt", json!({ "exp": 1 })), "time", "credential-expired"),
        (token(&pair, "at+jwt", json!({ "aud": "x" })), "audience", "token-audience-mismatch"),
        (token(&pair, "at+jwt", json!({ "sub": "a b" })), "claims", "claim-unusable"),
    ] {
        let said = bed.run_with(&[&["--json"], &CHECK[..]].concat(), &text);
        assert_eq!(said.code, 3, "{check}: {}", said.err);
        let told: Value = serde_json::from_str(&said.out).unwrap();
        let failed: Vec<_> =
            told["steps"].as_array().unwrap().iter().filter(|step| step["ok"] == false).collect();
        assert_eq!((failed.len(), &failed[0]["check"], &failed[0]["code"]), (1, &json!(check), &json!(code)));
    }
}

#[test]
fn a_sample_token_is_what_the_gateway_would_make_of_it_here() {
    let (bed, pair) = bed();
    let text = token(&pair, "at+jwt", json!({}));
    assert_eq!(bed.run_with(&CHECK, &format!("bearer  {text}")).code, 0, "the scheme may be in any case");
    let bound = token(&pair, "at+jwt", json!({ "cnf": { "x5t#S256": URL_SAFE_NO_PAD.encode([7; 32]) } }));
    let said = bed.run_with(&CHECK, &bound);
    assert!(said.code == 0 && said.out.contains("binding: good only over a connection"), "{}", said.out);
    let key = json!({ "cnf": { "jkt": "x" } });
    let said = bed.run_with(&CHECK, &token(&pair, "at+jwt", key));
    assert!(said.code == 3 && said.out.contains("token-unproven"), "{}", said.out);
    let ours = bed.token("bot");
    let said = bed.run_with(&CHECK, &ours);
    assert!(said.code == 2 && said.err.contains("`callgate agent list`"), "{}", said.err);
    assert_eq!(bed.run(&["agent", "add", "claude", "--no-token"]).code, 0);
    assert_eq!(bed.run(&["agent", "disable", "claude"]).code, 0);
    let said = bed.run_with(&CHECK, &text);
    assert!(said.code == 3 && said.out.contains("agent-disabled"), "{}", said.out);
    assert!(!said.out.contains("\nbecomes"), "whoever is refused becomes nobody: {}", said.out);
    assert!(said.out.contains("it is refused, and becomes nobody; without that it would be agent `claude`"));
    let told: Value =
        serde_json::from_str(&bed.run_with(&[&["--json"], &CHECK[..]].concat(), &text).out).unwrap();
    assert!(told["becomes"].is_null() && told["would-become"]["user"]["name"] == "alice", "{told}");
}

#[test]
fn a_server_that_does_not_exist_has_no_entrance_and_enforced_scopes_are_told() {
    let (bed, pair) = bed();
    let text = token(&pair, "at+jwt", json!({}));
    let said = bed.run_with(&[&CHECK[..], &["--entrance", "nope"]].concat(), &text);
    assert!(said.code == 2 && said.err.contains("has no server `nope`"), "{said:?}");
    assert!(
        !bed.run_with(&CHECK, &text).out.contains("scopes"),
        "they bound nothing unless they are enforced"
    );
    let config = std::fs::read_to_string(bed.path("callgate.toml")).unwrap();
    let enforced = config.replace("[[oauth.issuers]]", "[oauth]\nscopes = \"enforce\"\n[[oauth.issuers]]");
    bed.write("callgate.toml", &enforced);
    let said = bed.run_with(&CHECK, &text);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("! scopes (enforced): `mcp:notes:read`"), "{}", said.out);
    assert!(said.out.contains("`mcp:notes:write`, `mcp:notes:destructive`"), "{}", said.out);
    let all = token(&pair, "at+jwt", json!({ "scope": "mcp:*:destructive" }));
    let said = bed.run_with(&CHECK, &all);
    assert!(said.out.contains("✓ scopes (enforced): `mcp:*:destructive`"), "{}", said.out);
}

#[test]
fn of_an_opaque_token_it_says_why_it_can_only_be_tried_at_the_gateway() {
    let (bed, _pair) = bed();
    let token = "opaque-0123456789-abcdef";
    let said = bed.run_with(&CHECK, token);
    assert_eq!(said.code, 3, "no provider is asked: {}", said.err);
    let config = std::fs::read_to_string(bed.path("callgate.toml")).unwrap()
        + "[oauth.issuers.introspection]\nclient-id = \"gate\"\nsecret = \"idp-client\"\n";
    bed.write("callgate.toml", &config);
    let said = bed.run_with(&CHECK, token);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("opaque") && said.err.contains("callgate explain"), "{}", said.err);
    assert!(!said.err.contains(token) && !said.out.contains(token));
    // what asking takes is missing, and named where it is
    let said = bed.run(&["check"]);
    assert!(said.out.contains("`introspection` of the issuer needs the secret `idp-client`"), "{}", said.out);
}
