//! Leased secrets in whatever a server says: wherever they are put, no reading of what goes on holds them, what is
//! JSON stays the same JSON around them, and where there is none nothing is touched.
//!
//! Input: the secret's length, where to cut a stream, the secret, and a text in which the bytes 0xFA to 0xFE stand
//! for the secret in one of its forms.

use inspect::{Mask, SHORT_BELOW, Stream};
use serde_json::Value;
use wire::json::{array_elements, decode_string, encode_string, members};
use wire::{Limits, ScanError, scan_value};

pub(crate) fn run(data: &[u8]) {
    let [length, cut, rest @ ..] = data else { return };
    let (secret, text) = rest.split_at(usize::from(length % 48).min(rest.len()));
    let secret: String = secret.iter().map(|byte| char::from(b'!' + byte % 94)).collect();
    // what stands in its place could hold a part of it
    if secret.len() < SHORT_BELOW || secret.contains(['[', ']']) || "[secret:k]".contains(&secret) {
        return;
    }
    let mask = Mask::new([("k", secret.as_bytes())]);
    let mut whole = Vec::new();
    for byte in text {
        match byte {
            0xFA..=0xFE => whole.extend_from_slice(forms(&secret)[usize::from(byte - 0xFA)].as_bytes()),
            other => whole.push(*other),
        }
    }
    plain(&mask, &secret, &whole);
    streamed(&mask, &secret, &whole, usize::from(*cut) + 1);
    json(&mask, &secret, &whole);
    if let Ok(text) = std::str::from_utf8(&whole) {
        json(&mask, &secret, encode_string(text).as_bytes());
    }
    for form in forms(&secret) {
        let message = format!("{{\"text\":{}}}", encode_string(&format!("so: {form} .")));
        let masked = mask.json(message.as_bytes()).unwrap().unwrap_or_else(|| panic!("not found: {message}"));
        assert!(!holds(&masked.bytes, &encode_string(&form).as_bytes()[1..form.len() + 1]), "{message}");
        assert_eq!(mask.json(&masked.bytes), Ok(None), "what is masked has nothing to mask: {message}");
    }
}

/// As it is, in base64, in hexadecimal, percent-encoded, and with every letter as JSON's escape.
fn forms(secret: &str) -> [String; 5] {
    let each = |write: fn(u8) -> String| secret.bytes().map(write).collect::<String>();
    [
        secret.to_owned(),
        base64(secret.as_bytes()),
        each(|byte| format!("{byte:02x}")),
        each(|byte| format!("%{byte:02X}")),
        each(|byte| format!("\\u{byte:04x}")),
    ]
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let bits =
            three.iter().fold(0usize, |bits, byte| bits << 8 | usize::from(*byte)) << (8 * (3 - three.len()));
        (0..=three.len()).for_each(|n| out.push(char::from(LETTERS[bits >> (18 - 6 * n) & 63])));
        out.push_str(&"="[..usize::from(three.len() < 3)]);
        out.push_str(&"="[..usize::from(three.len() < 2)]);
    }
    out
}

fn holds(text: &[u8], secret: &[u8]) -> bool {
    text.windows(secret.len()).any(|window| window == secret)
}

fn plain(mask: &Mask, secret: &str, text: &[u8]) {
    match mask.text(text) {
        Some(masked) => {
            assert!(masked.hits.total() > 0 && holds(&masked.bytes, b"[secret:k]"));
            assert!(!holds(&masked.bytes, secret.as_bytes()), "it is still there");
        }
        None => assert!(!holds(text, secret.as_bytes()), "it was not found"),
    }
}

/// Wherever a stream is cut, no piece and no two pieces together hold it.
fn streamed(mask: &Mask, secret: &str, text: &[u8], size: usize) {
    let mut stream = Stream::default();
    let mut out: Vec<u8> = text.chunks(size).flat_map(|piece| stream.push(mask, piece)).collect();
    out.extend(stream.finish(mask));
    assert!(!holds(&out, secret.as_bytes()), "it is still there");
    if stream.hits().is_empty() {
        assert_eq!(out, text, "nothing was found, and something was changed");
    }
}

fn json(mask: &Mask, secret: &str, text: &[u8]) {
    let limits = Limits { bytes: 1 << 20, depth: 64 };
    if scan_value(text, &limits).is_err() {
        return;
    }
    let text = text.trim_ascii();
    let Ok(masked) = mask.json(text) else { return };
    let Some(masked) = masked else { return clean(secret, text) };
    match scan_value(&masked.bytes, &limits) {
        // two names with the secret in two forms are one name without it; who reads that decides
        Ok(()) | Err(ScanError::DuplicateKey { .. }) => {}
        Err(error) => panic!("no JSON any more: {error}"),
    }
    clean(secret, &masked.bytes);
    around(text, &masked.bytes);
    assert!(serde_json::from_slice::<Value>(&masked.bytes).is_ok());
}

/// No text and no number of it reads as the secret, or holds it.
fn clean(secret: &str, raw: &[u8]) {
    if let Some(text) = decode_string(raw) {
        assert!(!text.contains(secret), "a text reads as it");
    }
    for member in members(raw) {
        assert!(!member.key.contains(secret), "a name reads as it");
        clean(secret, &raw[member.value_range]);
    }
    for range in array_elements(raw) {
        clean(secret, &raw[range]);
    }
    assert!(!holds(raw, secret.as_bytes()), "it is there as it is");
}

/// The same members and elements, and byte for byte the same where nothing was taken out.
fn around(before: &[u8], after: &[u8]) {
    if !holds(after, b"[secret:k]") {
        assert_eq!(before, after);
        return;
    }
    let (was, is): (Vec<_>, Vec<_>) = (members(before).collect(), members(after).collect());
    assert_eq!(was.len(), is.len());
    for (was, is) in was.into_iter().zip(is) {
        assert!(was.key == is.key || is.key.contains("[secret:k]"));
        around(&before[was.value_range], &after[is.value_range]);
    }
    let (was, is): (Vec<_>, Vec<_>) = (array_elements(before).collect(), array_elements(after).collect());
    assert_eq!(was.len(), is.len());
    was.into_iter().zip(is).for_each(|(was, is)| around(&before[was], &after[is]));
}
