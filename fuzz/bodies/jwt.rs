//! Access tokens of providers: whatever header and claims are signed, what is found good is what an independent
//! reader finds in them, and neither another key, another entrance, another time nor one other letter is.
//!
//! Input: what to do (one byte); then a header and claims with the byte 0xFF between them, which are signed here, or
//! a whole token, or a set of keys.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use decision::{Actor, Timestamp};
use identity::oauth::{
    Alg, Check, Issuer, KeySet, Mapping, Oauth, Resource, Sample, Source, issuer_named, sample,
};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::Duration;
use wire::{Limits, scan_value};

const NOW: u64 = 1_800_000_000;
const SKEW: u64 = 60;
const ISSUER: &str = "https://login.example/t";
const ENTRANCE: &str = "https://gate.example/mcp";

struct Provider {
    pair: Ed25519KeyPair,
    keys: KeySet,
}

static OURS: LazyLock<Provider> = LazyLock::new(|| provider(1));
static THEIRS: LazyLock<Provider> = LazyLock::new(|| provider(2));

fn provider(seed: u8) -> Provider {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
    let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
    let set = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": "d", "x": x }] });
    Provider { pair, keys: KeySet::read(set.to_string().as_bytes()).unwrap() }
}

static OAUTH: LazyLock<Oauth> = LazyLock::new(|| Oauth {
    public_url: "https://gate.example".to_owned(),
    enforce_scopes: true,
    ask: Vec::new(),
    issuers: vec![Issuer {
        source: Source::of(ISSUER),
        algorithms: Alg::usual(),
        accept_any_token_type: false,
        audiences: BTreeSet::new(),
        skew: Duration::from_secs(SKEW),
        mapping: Mapping { groups: Some("groups".to_owned()), groups_optional: true, ..Mapping::default() },
        introspection: None,
    }],
});

pub(crate) fn run(data: &[u8]) {
    let Some((how, rest)) = data.split_first() else { return };
    match how & 3 {
        0 => {
            let Ok(text) = std::str::from_utf8(rest) else { return };
            assert!(!look(text, &OURS.keys, NOW, None).is_good(), "a token that nobody signed");
            assert!(issuer_named(&OAUTH, text).is_none_or(|issuer| issuer.source.issuer == ISSUER));
        }
        1 => {
            if let Err(error) = KeySet::read(rest) {
                assert!(error.to_string().len() < 400);
            }
        }
        _ => {
            let at = rest.iter().position(|byte| *byte == 0xFF).unwrap_or(rest.len());
            signed(&rest[..at], rest.get(at + 1..).unwrap_or_default());
        }
    }
}

fn look(token: &str, keys: &KeySet, now: u64, server: Option<&str>) -> Sample {
    sample(&OAUTH, token, Some(keys), Resource { server }, Timestamp(now * 1_000_000))
}

fn signed(header: &[u8], claims: &[u8]) {
    let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = OURS.pair.sign(text.as_bytes());
    let token = format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature));
    let found = look(&token, &OURS.keys, NOW, None);
    let again = look(&token, &OURS.keys, NOW, None);
    assert_eq!((&found.steps, &found.who), (&again.steps, &again.who));
    if !found.is_good() {
        return;
    }
    assert!(found.steps.iter().any(|step| step.check == Check::Signature), "good without a signature");
    good(header, claims, &found);
    assert!(!look(&token, &THEIRS.keys, NOW, None).is_good(), "signed by another");
    assert!(!look(&token, &OURS.keys, 300_000_000_000, None).is_good(), "good for ever");
    assert!(!look(&token, &OURS.keys, NOW, Some("crm")).is_good() || names(claims, "/s/crm/mcp"));
    // one letter anywhere
    let at = claims.iter().fold(0usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)))
        % token.len();
    let mut other = token.into_bytes();
    other[at] = if other[at] == b'A' { b'B' } else { b'A' };
    let other = String::from_utf8(other).unwrap();
    assert!(!look(&other, &OURS.keys, NOW, None).is_good(), "another letter at {at}");
}

/// Whether the claims name this path of the gateway as an audience, read without any care.
fn names(claims: &[u8], path: &str) -> bool {
    String::from_utf8_lossy(claims).contains(path) || String::from_utf8_lossy(claims).contains('\\')
}

/// What was found good, by the book (RFC 9068, section 4).
fn good(header: &[u8], claims: &[u8], found: &Sample) {
    for part in [header, claims] {
        let scanned = scan_value(part, &Limits { bytes: 1 << 20, depth: 128 });
        assert_eq!(scanned, Ok(()), "two readers could read it as two things");
    }
    let object = |raw: &[u8]| serde_json::from_slice::<Map<String, Value>>(raw).unwrap();
    let (header, claims) = (object(header), object(claims));
    let text = |of: &Map<String, Value>, name: &str| of.get(name).and_then(Value::as_str).map(str::to_owned);
    assert_eq!(text(&header, "alg").as_deref(), Some("EdDSA"));
    let typ = text(&header, "typ").unwrap().to_lowercase();
    assert!(typ == "at+jwt" || typ == "application/at+jwt");
    assert!(header.get("kid").is_none_or(|kid| kid == "d") && !header.contains_key("crit"));
    assert_eq!(text(&claims, "iss").as_deref(), Some(ISSUER));
    let audience = claims.get("aud").unwrap();
    assert!(
        audience == ENTRANCE || audience.as_array().is_some_and(|all| all.iter().any(|one| one == ENTRANCE))
    );
    let date = |name: &str| claims.get(name).map(|value| value.as_f64().unwrap());
    let (now, skew) = (NOW as f64, SKEW as f64);
    assert!(date("exp").unwrap() + skew > now);
    assert!(
        date("nbf").is_none_or(|from| from - skew <= now) && date("iat").is_none_or(|at| at - skew <= now)
    );
    let who = found.who.as_ref().unwrap();
    let certificate = claims.get("cnf").map(|key| key.as_object().unwrap());
    assert_eq!(who.bound_to.is_some(), certificate.is_some());
    assert!(certificate.is_none_or(|key| key.len() == 1 && key.contains_key("x5t#S256")));
    let client = text(&claims, "client_id").unwrap();
    match (&who.actor, &who.user) {
        (Actor::Agent(agent), Some(user)) => {
            assert_eq!(agent.as_str(), client);
            assert_eq!(Some(user.name.as_str()), text(&claims, "sub").as_deref());
            assert!(user.groups.is_empty() || claims.contains_key("groups"));
            assert_ne!(user.name.as_str(), client, "a client on its own is no person");
        }
        (Actor::Workload(workload), None) => assert_eq!(workload.as_str(), client),
        other => panic!("nobody: {other:?}"),
    }
}
