//! The forms a secret may take, written by code of their own: nothing here is shared with what is tested.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use std::collections::BTreeSet;

fn each(secret: &[u8], write: impl Fn(u8) -> String) -> String {
    secret.iter().map(|byte| write(*byte)).collect()
}

fn plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

pub(crate) fn lines(text: &str, width: usize, end: &str) -> String {
    text.as_bytes().chunks(width).map(|line| std::str::from_utf8(line).unwrap()).collect::<Vec<_>>().join(end)
}

/// As a JSON string without its quotes.
pub(crate) fn json(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap();
    quoted[1..quoted.len() - 1].to_owned()
}

type Escape = (&'static str, fn(&str) -> String);

/// How a text may be escaped, named.
pub(crate) const ESCAPES: [Escape; 7] = [
    ("JSON", json),
    ("JSON with slashes", |text| json(text).replace('/', "\\/")),
    ("JSON, all", |text| each(text.as_bytes(), |b| format!("\\u{b:04x}"))),
    ("percent", |text| {
        each(text.as_bytes(), |b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") })
    }),
    ("percent, all", |text| each(text.as_bytes(), |b| format!("%{b:02x}"))),
    ("HTML", |text| {
        text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
    }),
    ("HTML, all", |text| each(text.as_bytes(), |b| format!("&#{b};"))),
];

/// Every form of an ASCII secret, named. `around` is put around it before it is encoded to base64.
pub(crate) fn of(secret: &str, around: (&str, &str)) -> Vec<(String, String)> {
    let bytes = secret.as_bytes();
    let mut forms = vec![
        ("raw".to_owned(), secret.to_owned()),
        ("percent, all".to_owned(), each(bytes, |b| format!("%{b:02X}"))),
        ("percent, all, lower case".to_owned(), each(bytes, |b| format!("%{b:02x}"))),
        ("JSON, all".to_owned(), each(bytes, |b| format!("\\u{b:04x}"))),
        ("JSON, all, upper case".to_owned(), each(bytes, |b| format!("\\u{b:04X}"))),
        ("JSON".to_owned(), json(secret)),
        ("JSON with slashes".to_owned(), json(secret).replace('/', "\\/")),
        ("JSON in JSON".to_owned(), json(&json(secret))),
        ("JSON, all, in JSON".to_owned(), json(&each(bytes, |b| format!("\\u{b:04x}")))),
        ("python".to_owned(), each(bytes, |b| format!("\\x{b:02x}"))),
        ("HTML, decimal".to_owned(), each(bytes, |b| format!("&#{b};"))),
        ("HTML, hexadecimal".to_owned(), each(bytes, |b| format!("&#x{b:X};"))),
        ("HTML, zeros".to_owned(), each(bytes, |b| format!("&#{b:07};"))),
    ];
    let partly = |write: &dyn Fn(u8) -> String| {
        each(bytes, |b| if plain(b) { char::from(b).to_string() } else { write(b) })
    };
    let percent = partly(&|b| format!("%{b:02X}"));
    forms.push(("form".to_owned(), percent.replace("%20", "+")));
    forms.push(("percent twice".to_owned(), percent.replace('%', "%25")));
    forms.push(("percent".to_owned(), percent));
    let html = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    forms.push(("HTML".to_owned(), html.replace('\'', "&#39;")));
    // as Go writes HTML's own letters
    let go = json(&html).replace('&', "\\u0026");
    forms.push(("HTML in JSON as of Go".to_owned(), go));
    for separator in ["", ":", " ", "-", ", ", ", 0x"] {
        let pairs: Vec<String> = bytes.iter().map(|b| format!("{b:02x}")).collect();
        let hex = pairs.join(separator);
        forms.push((format!("hex with `{separator}`"), hex.clone()));
        forms.push((format!("HEX with `{separator}`"), hex.to_ascii_uppercase().replace("0X", "0x")));
    }
    for before in 0..3 {
        let text = format!("{}{}{secret}{}", &"xy"[..before], around.0, around.1);
        for (name, engine) in
            [("base64", &STANDARD), ("base64url", &URL_SAFE), ("base64 bare", &STANDARD_NO_PAD)]
        {
            let encoded = engine.encode(&text);
            let percent: String =
                encoded
                    .chars()
                    .map(|c| {
                        if c.is_ascii_alphanumeric() {
                            c.to_string()
                        } else {
                            format!("%{:02X}", u32::from(c))
                        }
                    })
                    .collect();
            forms.push((format!("{name} after {before}, in percent"), percent));
            forms.push((format!("{name} after {before}, slashes"), encoded.replace('/', "\\/")));
            forms.push((format!("{name} after {before}, lines"), lines(&encoded, 76, "\n")));
            forms.push((format!("{name} after {before}, short lines"), lines(&encoded, 28, "\r\n    ")));
            forms.push((format!("{name} after {before}"), encoded));
        }
    }
    forms
}

/// Everything a text may hide: itself, and itself with escapes, hexadecimal and base64 undone again and again.
/// Slow, simple and independent of what it checks.
pub(crate) fn readings(text: &[u8]) -> BTreeSet<Vec<u8>> {
    let mut all = BTreeSet::from([text.to_vec()]);
    let mut last = all.clone();
    for _ in 0..3 {
        let mut next = BTreeSet::new();
        for reading in &last {
            next.extend([escapes(reading, b'\\'), escapes(reading, b'%'), escapes(reading, b'&')]);
        }
        last = &next - &all;
        all.extend(next);
    }
    let decoded: Vec<_> = all.iter().flat_map(|reading| encoded(reading)).collect();
    all.extend(decoded);
    all
}

fn escapes(text: &[u8], sign: u8) -> Vec<u8> {
    let text = String::from_utf8_lossy(text).into_owned();
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find(char::from(sign)) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let hex = |range: std::ops::Range<usize>| {
            rest.get(range).and_then(|digits| u32::from_str_radix(digits, 16).ok()).and_then(char::from_u32)
        };
        let (char, len) = match sign {
            b'%' => (hex(1..3), 3),
            b'&' => {
                let end = rest.find(';').unwrap_or(0);
                let name = rest.get(1..end).unwrap_or_default();
                let char = match name {
                    "amp" => Some('&'),
                    "lt" => Some('<'),
                    "gt" => Some('>'),
                    "quot" => Some('"'),
                    _ => name.strip_prefix("#x").map_or_else(
                        || name.strip_prefix('#')?.parse().ok().and_then(char::from_u32),
                        |hex| u32::from_str_radix(hex, 16).ok().and_then(char::from_u32),
                    ),
                };
                (char, end + 1)
            }
            _ => match rest.as_bytes().get(1) {
                Some(b'u') => (hex(2..6), 6),
                Some(b'x') => (hex(2..4), 4),
                Some(b'n') => (Some('\n'), 2),
                Some(b'r') => (Some('\r'), 2),
                Some(c @ (b'"' | b'\\' | b'/')) => (Some(char::from(*c)), 2),
                _ => (None, 1),
            },
        };
        match char {
            Some(char) => out.push(char),
            None => out.push(char::from(sign)),
        }
        rest = &rest[if char.is_some() { len } else { 1 }..];
    }
    out.push_str(rest);
    out.into_bytes()
}

/// Hexadecimal and base64, whatever separates them, at every offset.
fn encoded(text: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let joined: Vec<u8> = text.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
    let digit = |b: u8| match b {
        b'A'..=b'Z' => Some(b - b'A'),
        b'a'..=b'z' => Some(b - b'a' + 26),
        b'0'..=b'9' => Some(b - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    };
    for offset in 0..4 {
        let mut out = Vec::new();
        // every run by itself
        for run in joined.split(|b| digit(*b).is_none()) {
            let bits: Vec<u8> = run.iter().skip(offset).map(|b| digit(*b).unwrap()).collect();
            for four in bits.chunks(4) {
                let mut word = 0u32;
                for n in 0..4 {
                    word = word << 6 | u32::from(four.get(n).copied().unwrap_or(0));
                }
                out.extend(&word.to_be_bytes()[1..four.len()]);
            }
            out.push(0);
        }
        found.push(out);
    }
    let text = String::from_utf8_lossy(text).to_ascii_lowercase().replace("0x", "").replace("\\x", "");
    let bare: Vec<u8> = text.bytes().filter(|b| !matches!(b, b' ' | b':' | b'-' | b',')).collect();
    for offset in 0..2 {
        let mut out = Vec::new();
        for run in bare.split(|b| !b.is_ascii_hexdigit()) {
            for pair in run.get(offset..).unwrap_or_default().chunks(2) {
                let pair = std::str::from_utf8(pair).unwrap();
                out.push(u8::from_str_radix(pair, 16).unwrap());
            }
            out.push(0);
        }
        found.push(out);
    }
    found
}
