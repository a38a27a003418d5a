//! Every way in which a token is not good, without a network: forgeries first.

use super::{
    Alg, Check, Granted, Issuer, KeySet, Mapping, Oauth, Resource, Source, keys::KeysError, sample, settings,
    signed::Signed,
};
use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
        KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use decision::{Actor, Code, GroupName, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
    time::Duration,
};

const NOW: u64 = 1_800_000_000;
const ISSUER: &str = "https://login.example/tenant";

/// A key pair of every kind that is published.
struct Keys {
    rsa: RsaKeyPair,
    ec: EcdsaKeyPair,
    ed: Ed25519KeyPair,
    set: KeySet,
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let ec = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let ed = Ed25519KeyPair::generate().unwrap();
    let set = json!({ "keys": [published_rsa("r", &rsa), published_ec("e", &ec), published_ed("d", &ed)] });
    let set = KeySet::read(set.to_string().as_bytes()).unwrap();
    Keys { rsa, ec, ed, set }
});

fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
fn published_rsa(kid: &str, pair: &RsaKeyPair) -> Value {
    let public = pair.public_key();
    let (n, e) = (public.modulus().big_endian_without_leading_zero(), public.exponent());
    json!({ "kty": "RSA", "kid": kid, "n": b64(n), "e": b64(e.big_endian_without_leading_zero()) })
}
fn published_ec(kid: &str, pair: &EcdsaKeyPair) -> Value {
    let point = pair.public_key().as_ref();
    json!({ "kty": "EC", "crv": "P-256", "kid": kid, "x": b64(&point[1..33]), "y": b64(&point[33..]) })
}
fn published_ed(kid: &str, pair: &Ed25519KeyPair) -> Value {
    json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "x": b64(pair.public_key().as_ref()) })
}

/// Claims with some of them replaced; `null` takes one away.
pub(super) fn with(mut base: Value, changed: &Value) -> Value {
    for (name, value) in changed.as_object().unwrap() {
        if value.is_null() {
            base.as_object_mut().unwrap().remove(name);
        } else {
            base[name] = value.clone();
        }
    }
    base
}
fn claims(changed: &Value) -> Value {
    let usual = json!({ "iss": ISSUER, "aud": "https://gate.example/mcp", "sub": "alice", "client_id": "claude",
        "iat": NOW - 10, "exp": NOW + 300 });
    with(usual, changed)
}
fn sign(header: &Value, claims: &str) -> String {
    let signed = format!("{}.{}", b64(header.to_string().as_bytes()), b64(claims.as_bytes()));
    let random = SystemRandom::new();
    let signature = match header["alg"].as_str().unwrap() {
        "EdDSA" => KEYS.ed.sign(signed.as_bytes()).as_ref().to_vec(),
        alg @ ("RS256" | "PS256") => {
            let mut out = vec![0; KEYS.rsa.public_modulus_len()];
            let way: &dyn aws_lc_rs::signature::RsaEncoding =
                if alg == "RS256" { &RSA_PKCS1_SHA256 } else { &RSA_PSS_SHA256 };
            KEYS.rsa.sign(way, &random, signed.as_bytes(), &mut out).unwrap();
            out
        }
        _ => KEYS.ec.sign(&random, signed.as_bytes()).unwrap().as_ref().to_vec(),
    };
    format!("{signed}.{}", b64(&signature))
}
fn header(changed: &Value) -> Value {
    with(json!({ "alg": "ES256", "typ": "at+jwt", "kid": "e" }), changed)
}
fn token(header_changed: &Value, claims_changed: &Value) -> String {
    sign(&header(header_changed), &claims(claims_changed).to_string())
}

fn named(kid: Option<&str>, published: &Value) -> String {
    json!({ "keys": [with(published.clone(), &json!({ "kid": kid }))] }).to_string()
}
/// A set of the one key that signs [`token_by`], and of one that does not.
pub(super) fn our_key(kid: Option<&str>) -> String {
    named(kid, &published_ec("e", &KEYS.ec))
}
pub(super) fn another_key(kid: Option<&str>) -> String {
    let other = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    named(kid, &published_ec("e", &other))
}
pub(super) fn token_by(kid: Option<&str>) -> String {
    token(&json!({ "kid": kid }), &json!({}))
}

/// One issuer that may vouch for people.
pub(super) fn oauth_of(issuer: &str, mapping: Mapping) -> Oauth {
    let issuer = Issuer {
        source: Source::of(issuer),
        algorithms: Alg::usual(),
        accept_any_token_type: false,
        audiences: BTreeSet::new(),
        skew: Duration::from_secs(60),
        mapping,
        introspection: None,
    };
    let public_url = "https://gate.example".to_owned();
    Oauth { public_url, enforce_scopes: true, ask: Vec::new(), issuers: vec![issuer] }
}
fn oauth(mapping: Mapping) -> Oauth {
    oauth_of(ISSUER, mapping)
}

/// The check that fails and its code, if one does.
fn judge_by(oauth: &Oauth, keys: &KeySet, token: &str) -> Result<(), (Check, Code)> {
    let now = Timestamp(NOW * 1_000_000);
    let looked = sample(oauth, token, Some(keys), Resource { server: None }, now);
    let failed = looked.steps.into_iter().find_map(|step| Some((step.check, step.found.err()?.code)));
    failed.map_or(Ok(()), Err)
}
fn judge(token: &str) -> Result<(), (Check, Code)> {
    judge_by(&oauth(Mapping::default()), &KEYS.set, token)
}

#[test]
fn a_token_of_every_kind_of_key_is_good() {
    for (alg, kid) in [("ES256", "e"), ("EdDSA", "d"), ("RS256", "r"), ("PS256", "r")] {
        assert_eq!(judge(&token(&json!({ "alg": alg, "kid": kid }), &json!({}))), Ok(()), "{alg}");
    }
    assert_eq!(judge(&token(&json!({ "typ": "application/AT+JWT" }), &json!({}))), Ok(()));
    // without a name only if no two keys could be meant
    assert_eq!(judge(&token(&json!({ "kid": null }), &json!({}))), Ok(()));
}

#[test]
fn a_modulus_with_zeros_in_front_is_the_same_key() {
    let plain = published_rsa("r", &KEYS.rsa);
    let padded = |part: &str| {
        let octets = URL_SAFE_NO_PAD.decode(plain[part].as_str().unwrap()).unwrap();
        b64(&[&[0, 0], octets.as_slice()].concat())
    };
    let other = with(plain.clone(), &json!({ "n": padded("n"), "e": padded("e") }));
    let [plain, other] =
        [plain, other].map(|key| KeySet::read(json!({ "keys": [key] }).to_string().as_bytes()).unwrap());
    assert!(plain.same(&other));
    let token = token(&json!({ "alg": "RS256", "kid": "r" }), &json!({}));
    assert_eq!(judge_by(&oauth(Mapping::default()), &other, &token), Ok(()));
}

#[test]
fn a_point_that_anybody_can_sign_for_is_no_key() {
    let eight = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05";
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    let eight: Vec<u8> = eight.as_bytes().chunks(2).map(byte).collect();
    let of = |first: u8, rest: u8, last: u8| [&[first][..], &[rest; 30], &[last]].concat();
    let mut points = vec![eight, of(0, 0, 0), of(1, 0, 0)];
    points.extend([0xec, 0xed, 0xee].map(|first| of(first, 0xff, 0x7f)));
    for mut point in points {
        for sign in [0, 0x80] {
            point[31] |= sign;
            let set = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": b64(&point) }] }).to_string();
            assert!(KeySet::read(set.as_bytes()).unwrap().lack().is_some(), "{point:02x?}");
        }
    }
}

// RFC 8725, sections 2.1 and 3.1: the header does not choose how it is believed.
#[test]
fn no_header_makes_a_forged_token_good() {
    let refused = Err((Check::Header, Code::TokenHeaderRefused));
    for changed in [
        json!({ "alg": "none" }),
        json!({ "alg": "NONE" }),
        json!({ "alg": "nOnE" }),
        json!({ "alg": "" }),
        json!({ "alg": "HS256" }),
        json!({ "alg": "HS512" }),
        json!({ "alg": "es256" }),
        json!({ "alg": "RS384" }),
        json!({ "typ": "JWT" }),
        json!({ "typ": null }),
        json!({ "typ": "logout+jwt" }),
        json!({ "typ": "at+jwt; x" }),
        json!({ "crit": ["b64"], "b64": false }),
        json!({ "crit": [] }),
    ] {
        assert_eq!(judge(&token(&changed, &json!({}))), refused, "{changed}");
    }
    // the public key as a shared secret: whatever the signature, the algorithm has no name here
    let set = published_rsa("r", &KEYS.rsa);
    let secret =
        aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, set["n"].as_str().unwrap().as_bytes());
    let signed = token(&json!({ "alg": "HS256", "kid": "r" }), &json!({}));
    let signed = signed.rsplit_once('.').unwrap().0;
    let forged = format!("{signed}.{}", b64(aws_lc_rs::hmac::sign(&secret, signed.as_bytes()).as_ref()));
    assert_eq!(judge(&forged), refused);
    // one algorithm's key with another one's name
    for (alg, kid) in [("RS256", "e"), ("ES256", "r"), ("EdDSA", "e"), ("ES384", "e")] {
        let mixed = judge(&token(&json!({ "alg": alg, "kid": kid }), &json!({})));
        assert_eq!(mixed, Err((Check::Signature, Code::TokenKeyUnknown)), "{alg} with {kid}");
    }
}

#[test]
fn a_key_in_the_token_is_not_looked_at() {
    let own = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    for changed in [
        json!({ "jwk": published_ec("e", &own) }),
        json!({ "jku": "https://evil.example/jwks" }),
        json!({ "x5u": "https://evil.example/cert" }),
        json!({ "x5c": ["AAAA"] }),
    ] {
        let header = header(&changed);
        let signed = format!(
            "{}.{}",
            b64(header.to_string().as_bytes()),
            b64(claims(&json!({})).to_string().as_bytes())
        );
        let signature = own.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        let forged = format!("{signed}.{}", b64(signature.as_ref()));
        assert_eq!(judge(&forged), Err((Check::Signature, Code::TokenSignatureInvalid)), "{changed}");
        assert_eq!(judge(&sign(&header, &claims(&json!({})).to_string())), Ok(()), "and does not harm");
    }
    for kid in ["", "E", "e ", "../e", "e\0", "' or '1'='1", "https://evil.example/e"] {
        let named = judge(&token(&json!({ "kid": kid }), &json!({})));
        assert_eq!(named, Err((Check::Signature, Code::TokenKeyUnknown)), "{kid:?}");
    }
}

#[test]
fn a_signature_in_another_form_is_none() {
    let good = token(&json!({}), &json!({}));
    let signed = good.rsplit_once('.').unwrap().0;
    let bad = Err((Check::Signature, Code::TokenSignatureInvalid));
    let der = KEYS.ec.to_pkcs8v1().unwrap();
    let der = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der.as_ref()).unwrap();
    let der = der.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
    assert_eq!(judge(&format!("{signed}.{}", b64(der.as_ref()))), bad, "DER");
    assert_eq!(judge(&format!("{signed}.")), bad, "none");
    assert_eq!(judge(&format!("{signed}.{}", b64(&[0; 64]))), bad, "zeros (psychic signatures)");
    assert_eq!(judge(&format!("{good}=")), bad, "padding");
    assert_eq!(judge(&format!("{good}AAAA")), bad, "longer");
}

#[test]
fn what_is_not_one_jwt_is_refused_whole() {
    let form = Err((Check::Form, Code::CredentialMalformed));
    let good = token(&json!({}), &json!({}));
    let nested = sign(&header(&json!({ "cty": "JWT" })), &json!(good).to_string());
    let twice =
        sign(&header(&json!({})), &claims(&json!({})).to_string().replacen('{', "{\"sub\":\"root\",", 1));
    let escaped = sign(
        &header(&json!({})),
        &claims(&json!({})).to_string().replacen('{', "{\"su\\u0062\":\"root\",", 1),
    );
    let deep = claims(&json!({ "x": { "a": 1 } })).to_string().replace("{\"a\":1}", "{\"a\":1,\"a\":2}");
    for text in [
        String::new(),
        "..".to_owned(),
        "a.b".to_owned(),
        format!("{good}.x"),
        format!("{good}.x.y"),
        "e30.e30.e30".to_owned(),
        good.replacen('.', "=.", 1),
        nested,
        twice,
        escaped,
        sign(&header(&json!({})), &deep),
        sign(&header(&json!({})), "[]"),
        sign(&header(&json!({})), "{} {}"),
        sign(&header(&json!({ "alg": "ES256", "kid": 7 })), "{}"),
        sign(&header(&json!({})), &format!("{}1{}", "[".repeat(4_000), "]".repeat(4_000))),
        "a".repeat(9_000),
    ] {
        assert_eq!(judge(&text), form, "{}", text.chars().take(60).collect::<String>());
    }
}

#[test]
fn time_is_judged_to_the_second_at_both_ends_of_the_skew() {
    for (changed, outcome) in [
        (json!({ "exp": NOW - 59 }), Ok(())),
        (json!({ "exp": NOW - 60 }), Err(Code::CredentialExpired)),
        (json!({ "nbf": NOW + 60 }), Ok(())),
        (json!({ "nbf": NOW + 61 }), Err(Code::CredentialEarly)),
        (json!({ "iat": NOW + 60 }), Ok(())),
        (json!({ "iat": NOW + 61 }), Err(Code::CredentialEarly)),
        (json!({ "iat": null }), Ok(())),
        (json!({ "exp": (NOW as f64) + 0.5 }), Ok(())),
        (json!({ "exp": null }), Err(Code::ClaimMissing)),
        (json!({ "exp": "1900000000" }), Err(Code::ClaimMissing)),
        (json!({ "exp": -1 }), Err(Code::ClaimMissing)),
        (json!({ "exp": 1e300 }), Err(Code::ClaimMissing)),
        (json!({ "nbf": [] }), Err(Code::ClaimMissing)),
    ] {
        let judged = judge(&token(&json!({}), &changed)).map_err(|(_, code)| code);
        assert_eq!(judged, outcome, "{changed}");
    }
}

#[test]
fn issuer_and_audience_are_compared_to_the_letter() {
    for iss in
        ["https://login.example/tenant/", "https://LOGIN.example/tenant", "http://login.example/tenant", ""]
    {
        let judged = judge(&token(&json!({}), &json!({ "iss": iss })));
        assert_eq!(judged, Err((Check::Issuer, Code::IssuerUnknown)), "{iss}");
    }
    let missing = judge(&token(&json!({}), &json!({ "iss": null })));
    assert_eq!(missing, Err((Check::Issuer, Code::ClaimMissing)));
    let good = "https://gate.example/mcp";
    for (aud, outcome) in [
        (json!([good]), Ok(())),
        (json!(["other", good]), Ok(())),
        (json!([]), Err(Code::TokenAudienceMismatch)),
        (json!(["https://gate.example"]), Err(Code::TokenAudienceMismatch)),
        (json!("https://gate.example/mcp/"), Err(Code::TokenAudienceMismatch)),
        (json!("https://gate.example:443/mcp"), Err(Code::TokenAudienceMismatch)),
        (json!("https://gate.example/s/crm/mcp"), Err(Code::TokenAudienceMismatch)),
        (json!("https://gate.example.evil/mcp"), Err(Code::TokenAudienceMismatch)),
        (json!([good, 7]), Err(Code::ClaimMissing)),
        (json!({ "0": good }), Err(Code::ClaimMissing)),
        (json!(null), Err(Code::ClaimMissing)),
        (json!(vec![good; 33]), Err(Code::ClaimMissing)),
    ] {
        let judged = judge(&token(&json!({}), &json!({ "aud": aud }))).map_err(|(_, code)| code);
        assert_eq!(judged, outcome, "{aud}");
    }
}

#[test]
fn keys_that_are_not_for_this_are_not_there() {
    let ec = |changed: &Value| with(published_ec("e", &KEYS.ec), changed);
    let read = |keys: Value| KeySet::read(json!({ "keys": keys }).to_string().as_bytes());
    for changed in [
        json!({ "use": "enc" }),
        json!({ "key_ops": ["encrypt"] }),
        json!({ "alg": "ES384" }),
        json!({ "alg": "HS256" }),
        json!({ "crv": "P-384" }),
        json!({ "crv": "secp256k1" }),
        json!({ "x": "AAAA" }),
        json!({ "kty": "oct", "k": "AAAA" }),
    ] {
        assert!(read(json!([ec(&changed)])).unwrap().lack().is_some(), "{changed}");
    }
    let weak = json!({ "kty": "RSA", "kid": "w", "n": b64(&[0xff; 255]), "e": "AQAB" });
    assert!(read(json!([weak])).unwrap().lack().is_some());
    let padded = [&[0; 64][..], &[0xff; 192]].concat();
    let weak = json!({ "kty": "RSA", "kid": "w", "n": b64(&padded), "e": "AQAB" });
    assert!(read(json!([weak])).unwrap().lack().is_some(), "1536 bits behind zeros");
    let many: Vec<_> = (0..65).map(|n| ec(&json!({ "kid": n.to_string() }))).collect();
    assert_eq!(read(json!(many)).unwrap_err(), KeysError::TooMany);
    let twice = br#"{"keys":[],"keys":[]}"#;
    assert!(matches!(KeySet::read(twice), Err(KeysError::Form(_))));
    assert!(matches!(KeySet::read(b"<html>"), Err(KeysError::Form(_))));
    // a provider's words are repeated on one short line only
    let long = json!({ "keys": format!("\n{}", "x".repeat(100_000)) }).to_string();
    let Err(KeysError::Form(said)) = KeySet::read(long.as_bytes()) else { panic!("not a set") };
    assert!(said.len() < 1_000 && !said.contains('\n'), "{} bytes", said.len());
    // one that nobody here can read does not spoil the others
    let mixed =
        read(json!([{ "kty": "AKP", "kid": "x" }, { "kid": 7 }, ec(&json!({ "use": "sig" }))])).unwrap();
    assert_eq!(judge_by(&oauth(Mapping::default()), &mixed, &token(&json!({}), &json!({}))), Ok(()));
    // two that could be meant are one too many
    let two = read(json!([ec(&json!({ "kid": "a" })), ec(&json!({ "kid": "b" }))])).unwrap();
    let unnamed = judge_by(&oauth(Mapping::default()), &two, &token(&json!({ "kid": null }), &json!({})));
    assert_eq!(unnamed, Err((Check::Signature, Code::TokenKeyUnknown)));
}

#[test]
fn a_loudly_named_setting_takes_tokens_without_a_type_but_not_of_another() {
    let mut lenient = oauth(Mapping::default());
    lenient.issuers[0].accept_any_token_type = true;
    for (typ, good) in
        [(json!("JWT"), true), (json!("jwt"), true), (json!(null), true), (json!("logout+jwt"), false)]
    {
        let judged = judge_by(&lenient, &KEYS.set, &token(&json!({ "typ": typ }), &json!({})));
        assert_eq!(judged.is_ok(), good, "{typ}");
    }
}

fn who(mapping: &Mapping, changed: &Value) -> Result<(Actor, Option<String>, Vec<String>), Code> {
    let who = mapping.who(claims(changed).as_object().unwrap()).map_err(|refusal| refusal.code)?;
    let groups = who.user.iter().flat_map(|user| &user.groups).map(GroupName::to_string).collect();
    Ok((who.actor, who.user.map(|user| user.name.to_string()), groups))
}

#[test]
fn claims_name_somebody_or_nobody_but_never_somebody_else() {
    let agent = |name: &str| Actor::Agent(name.parse().unwrap());
    let usual = Mapping::default();
    assert_eq!(who(&usual, &json!({})), Ok((agent("claude"), Some("alice".into()), vec![])));
    for (changed, code) in [
        (json!({ "client_id": null }), Code::ClaimMissing),
        (json!({ "client_id": "" }), Code::ClaimMissing),
        (json!({ "sub": 7 }), Code::ClaimMissing),
        (json!({ "cnf": { "jkt": "x" } }), Code::TokenUnproven),
        (json!({ "cnf": { "x5t#S256": "c2hvcnQ" } }), Code::TokenUnproven),
        (json!({ "cnf": { "x5t#S256": "A".repeat(43), "jkt": "x" } }), Code::TokenUnproven),
        (json!({ "sub": "auth0|1" }), Code::ClaimUnusable),
        (json!({ "sub": "a".repeat(129) }), Code::ClaimUnusable),
        (json!({ "sub": "alicе" }), Code::ClaimUnusable),
    ] {
        assert_eq!(who(&usual, &changed), Err(code), "{changed}");
    }
    // a map is closed: the target of one entry cannot be had by being called so
    let agents = BTreeMap::from([("client-abc".to_owned(), "support-bot".parse().unwrap())]);
    let mapped = Mapping { agents, prefix: "corp:".into(), ..Mapping::default() };
    let abc = who(&mapped, &json!({ "client_id": "client-abc" }));
    assert_eq!(abc, Ok((agent("support-bot"), Some("corp:alice".into()), vec![])));
    assert_eq!(who(&mapped, &json!({ "client_id": "support-bot" })), Err(Code::ClaimUnusable));
    let email = Mapping { user: "email".into(), ..Mapping::default() };
    let mail = |verified: Value| json!({ "email": "a@x.example", "email_verified": verified });
    assert_eq!(who(&email, &mail(json!(true))).unwrap().1.unwrap(), "a@x.example");
    for verified in [json!(false), json!("true"), json!(null)] {
        assert_eq!(who(&email, &mail(verified)), Err(Code::ClaimUnusable));
    }
    assert_eq!(who(&email, &json!({ "email_verified": true })), Err(Code::ClaimMissing), "and no workload");
}

#[test]
fn groups_come_as_a_list_or_as_one_text_and_only_those_that_may() {
    let groups = |mapping: &Mapping, value: Value| who(mapping, &json!({ "groups": value })).map(|who| who.2);
    let open = Mapping { groups: Some("groups".into()), group_prefix: "g:".into(), ..Mapping::default() };
    assert_eq!(groups(&open, json!(["b", "a", "a"])), Ok(vec!["g:a".into(), "g:b".into()]));
    assert_eq!(groups(&open, json!("b")), Ok(vec!["g:b".into()]));
    assert_eq!(groups(&open, json!("b a")), Err(Code::ClaimUnusable));
    assert_eq!(groups(&open, json!(null)), Err(Code::ClaimMissing));
    assert_eq!(groups(&open, json!(["Domain Users"])), Err(Code::ClaimUnusable));
    assert_eq!(groups(&open, json!([1])), Err(Code::ClaimUnusable));
    assert_eq!(groups(&open, json!(vec!["a"; 513])), Err(Code::ClaimUnusable));
    let optional = Mapping { groups_optional: true, ..open.clone() };
    assert_eq!(groups(&optional, json!(null)), Ok(vec![]));
    let chosen = Mapping {
        group_names: Some(BTreeMap::from([("3f2a".to_owned(), "finance".parse().unwrap())])),
        group_allow: Some(BTreeSet::from(["ops".to_owned()])),
        ..open.clone()
    };
    // as a template leaves it that had nothing to write
    let nobody = Mapping { group_allow: Some(BTreeSet::new()), ..open.clone() };
    assert_eq!(groups(&nobody, json!(["ops", "finance"])), Ok(vec![]));
    let unnamed = Mapping { group_names: Some(BTreeMap::new()), ..open };
    assert_eq!(groups(&unnamed, json!(["ops", "finance"])), Ok(vec![]));
    let given = json!(["3f2a", "ops", "finance", "Domain Users"]);
    assert_eq!(groups(&chosen, given), Ok(vec!["finance".into(), "g:ops".into()]));
    let nested = Mapping { groups: Some("realm_access.roles".into()), ..Mapping::default() };
    let roles = who(&nested, &json!({ "realm_access": { "roles": ["x"] } })).unwrap().2;
    assert_eq!(roles, ["x"]);
}

#[test]
fn a_sample_says_what_it_becomes_and_repeats_nothing_of_the_token() {
    let text = token(&json!({}), &json!({ "scope": "mcp:crm:read", "exp": NOW - 900 }));
    let looked = sample(
        &oauth(Mapping::default()),
        &text,
        None,
        Resource { server: None },
        Timestamp(NOW * 1_000_000),
    );
    let checks: Vec<_> = looked.steps.iter().map(|step| step.check).collect();
    assert!(!checks.contains(&Check::Signature), "without keys nothing claims that it was checked");
    assert!(!looked.is_good());
    assert_eq!(looked.who.as_ref().unwrap().user.as_ref().unwrap().name.as_str(), "alice");
    assert!(looked.scopes.covers("crm", super::Width::Read));
    let shown = format!("{looked:?}");
    assert!(text.split('.').all(|part| !shown.contains(part)));
}

proptest! {
    #[test]
    fn any_single_bit_that_flips_is_refused(at: prop::sample::Index, bit in 0u8..8, alg in 0usize..3) {
        let (alg, kid) = [("ES256", "e"), ("EdDSA", "d"), ("RS256", "r")][alg];
        let mut bytes = token(&json!({ "alg": alg, "kid": kid }), &json!({})).into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(text) = String::from_utf8(bytes) {
            prop_assert!(judge(&text).is_err());
        }
    }

    #[test]
    fn no_text_makes_the_reader_fall_over(text in "[A-Za-z0-9_.=-]{0,80}", raw: Vec<u8>) {
        let _ = Signed::read(&text);
        let _ = KeySet::read(&raw);
        let _ = settings::Alg::parse(&text);
    }

    #[test]
    fn two_subjects_never_become_one_person(one in "[ -~é]{1,12}", two in "[ -~é]{1,12}", prefix in "[a-z:]{0,4}") {
        let mapping = Mapping { prefix, ..Mapping::default() };
        let name = |sub: &str| who(&mapping, &json!({ "sub": sub })).ok().and_then(|who| who.1);
        if let (Some(a), Some(b)) = (name(&one), name(&two)) {
            prop_assert_eq!(a == b, one == two);
        }
    }

    #[test]
    fn more_scopes_never_cover_less(scope in "mcp:(a|b|[*]):(read|write|destructive)", other in "[a-z:]{1,9}") {
        let granted = |text: String| Granted::of(json!({ "scope": text }).as_object().unwrap());
        let (few, more) = (granted(scope.clone()), granted(format!("{other} {scope}")));
        for width in super::Width::ALL {
            prop_assert!(!few.covers("a", width) || more.covers("a", width));
        }
    }
}
