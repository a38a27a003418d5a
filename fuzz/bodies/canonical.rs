//! Canonical JSON and what is pinned by it: one byte form per value however it is spelt, another for any other value,
//! and a definition whose digest notices every member that is added, taken away or changed.

use bytes::Bytes;
use catalog::{Definition, DefinitionError, ItemState, compare};
use decision::{ItemKind, ServerName, canonical};
use serde_json::Value;
use wire::{Limits, ScanError, json, scan_value};

const KINDS: [ItemKind; 4] =
    [ItemKind::Tool, ItemKind::Prompt, ItemKind::Resource, ItemKind::ResourceTemplate];

pub(crate) fn run(data: &[u8]) {
    let Ok(bytes) = canonical::bytes(data) else {
        // what the strict scan lets in has a canonical form
        let scanned = scan_value(data, &Limits::DEFAULT);
        assert!(scanned.is_err(), "a scanned value has no canonical form");
        KINDS.iter().for_each(|kind| assert!(defined(*kind, data).is_err()));
        return;
    };
    if data.is_empty() {
        assert!(bytes.is_empty());
        return;
    }
    assert_eq!(canonical::bytes(&bytes).unwrap(), bytes, "the form is a fixed point");
    match (scan_value(data, &Limits::DEFAULT), scan_value(&bytes, &Limits::DEFAULT)) {
        (Ok(()), Ok(())) => {}
        (Err(ScanError::TooDeep { .. } | ScanError::NumberRange { .. }), Err(_)) => return,
        other => panic!("read as two things: {other:?}"),
    }
    let parsed = |raw: &[u8]| serde_json::from_slice::<Value>(raw).unwrap();
    assert_eq!(parsed(&bytes), parsed(data));
    let data = data.trim_ascii();
    let other = respelt(data);
    assert_eq!(canonical::bytes(other.as_bytes()).unwrap(), bytes, "{other}");
    KINDS.iter().for_each(|kind| pinned(*kind, data, &other));
}

fn defined(kind: ItemKind, raw: &[u8]) -> Result<Definition, DefinitionError> {
    Definition::new(ServerName::new("crm").unwrap(), kind, Bytes::copy_from_slice(raw))
}

fn pinned(kind: ItemKind, raw: &[u8], other: &str) {
    let Ok(definition) = defined(kind, raw) else {
        assert!(defined(kind, other.as_bytes()).is_err());
        return;
    };
    assert_eq!(definition.raw(), raw);
    assert!(!definition.name().chars().any(|c| c.is_control() || matches!(c, '\u{200b}' | '\u{202e}')));
    assert_eq!(defined(kind, other.as_bytes()).unwrap().digest(), definition.digest());
    assert!((definition.description().len() + definition.prompt_arguments().len()) <= raw.len());
    assert_eq!(definition.claimed(), defined(kind, other.as_bytes()).unwrap().claimed());
    assert_eq!(
        definition.input_schema().is_some(),
        json::member(raw, "inputSchema").is_some_and(|v| v != b"null")
    );
    let changed = |text: String| {
        if let Ok(seen) = defined(kind, text.as_bytes()) {
            let state = compare(Some(definition.digest()), Some(seen.digest()));
            assert_eq!(state, Some(ItemState::Changed), "{text}");
        }
    };
    let members: Vec<(&[u8], &[u8])> =
        json::members(raw).map(|member| (&raw[member.key_range], &raw[member.value_range])).collect();
    let written = |members: &[(&[u8], &[u8])]| {
        let pairs: Vec<String> = members
            .iter()
            .map(|(key, value)| {
                format!("{}:{}", String::from_utf8_lossy(key), String::from_utf8_lossy(value))
            })
            .collect();
        format!("{{{}}}", pairs.join(","))
    };
    for at in 0..members.len().min(6) {
        let mut less = members.clone();
        let (key, value) = less.remove(at);
        changed(written(&less));
        less.push((key, if value == b"null" { b"0" } else { b"null" }));
        changed(written(&less));
    }
    let mut more = members;
    more.push((b"\"\\u0000fresh\"", b"1"));
    changed(written(&more));
}

/// The same value, told another way: members backwards, every character escaped, space everywhere.
fn respelt(raw: &[u8]) -> String {
    let inner = |range: std::ops::Range<usize>| respelt(&raw[range]);
    match json::Value::of(raw) {
        Some(json::Value::Object) => {
            let mut pairs: Vec<String> = json::members(raw)
                .map(|member| format!("{} :\n{}", inner(member.key_range), inner(member.value_range)))
                .collect();
            pairs.reverse();
            format!("{{ {}\t}}", pairs.join(" , "))
        }
        Some(json::Value::Array) => {
            let elements: Vec<String> = json::array_elements(raw).map(inner).collect();
            format!("[ {} ]", elements.join(",\r\n"))
        }
        Some(json::Value::String) => {
            let text = json::decode_string(raw).unwrap();
            format!("\"{}\"", text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect::<String>())
        }
        _ => String::from_utf8(raw.to_vec()).unwrap(),
    }
}
