//! A client's configuration, JSON with comments and last commas: read as another reader reads it, every value where it stands; and an
//! entry that is pointed elsewhere changes nothing around it, says the new command and nothing of the old one, and comes
//! back byte for byte.
//!
//! Private to the command line: this file is included where `crate` has the modules that it names.

use crate::command::import::{edit, piece::Piece};
use crate::command::scan::clients::Entry;
use crate::jsonc::{self, Kind, Member, Node};
use serde_json::{Map, Value, json};
use std::path::Path;
use std::slice::SliceIndex;

/// So many entries of one text are tried.
const ENTRIES: usize = 8;
/// Members that say how a server is reached, in the words of the clients, and what it is given.
const WAYS: [&str; 10] =
    ["command", "args", "env", "url", "serverUrl", "httpUrl", "headers", "http_headers", "type", "transport"];

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let bare = text.strip_prefix('\u{feff}').unwrap_or(text);
    let strict: Option<Value> = serde_json::from_str(bare).ok();
    let root = match (jsonc::parse(text), strict) {
        (Ok(root), strict) => {
            let read = value(text, &root);
            assert!(strict.is_none_or(|strict| strict == read), "read as something else");
            let plain: Result<Value, _> = serde_json::from_str(&plain(bare));
            assert_eq!(plain.unwrap(), read, "but for comments and commas, no JSON");
            root
        }
        (Err(error), strict) => {
            let nested = strict.as_ref().is_some_and(|strict| depth(strict) > 100);
            assert!(strict.is_none() || nested, "refused what others read: {error}");
            return;
        }
    };
    let mut keys = Vec::new();
    let mut entries = Vec::new();
    entries_in(&root, &mut keys, &mut entries);
    for keys in entries {
        pointed_elsewhere(text, &root, keys);
    }
}

/// Whatever stands where the node is, as others read it. Of a key that occurs twice the last counts.
fn value(text: &str, node: &Node) -> Value {
    let raw = part(text, node.span.clone());
    let value = match &node.kind {
        Kind::Object(members) => {
            let member = |member: &Member| {
                let key: String = serde_json::from_str(part(text, member.at.clone())).unwrap();
                assert_eq!(key, member.key);
                (key, value(text, &member.value))
            };
            Value::Object(members.iter().map(member).collect::<Map<_, _>>())
        }
        Kind::Array(elements) => elements.iter().map(|element| value(text, element)).collect(),
        Kind::Plain => serde_json::from_str(raw).unwrap(),
    };
    assert_eq!(raw.trim(), raw, "a value begins and ends with itself");
    value
}

fn part(text: &str, range: impl SliceIndex<str, Output = str>) -> &str {
    text.get(range).unwrap()
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(elements) => 1 + elements.iter().map(depth).max().unwrap_or_default(),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or_default(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// The text without comments and last commas, by other means than the reader's: one pass, byte by byte.
fn plain(text: &str) -> String {
    let mut out: Vec<u8> = Vec::new();
    let bytes = text.as_bytes();
    let (mut at, mut inside) = (0, false);
    while let Some(&byte) = bytes.get(at) {
        match (inside, byte, bytes.get(at + 1)) {
            (true, b'\\', Some(&next)) => {
                out.extend([byte, next]);
                at += 1;
            }
            (false, b'/', Some(b'/')) => {
                at += bytes[at..].iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len()) - 1;
            }
            (false, b'/', Some(b'*')) => {
                at += 3 + part(text, at + 2..).find("*/").unwrap_or(bytes.len());
                out.push(b' ');
            }
            (false, b']' | b'}', _) => {
                let end = out.iter().rposition(|byte| !byte.is_ascii_whitespace());
                if let Some(end) = end.filter(|end| out.get(*end) == Some(&b',')) {
                    out.remove(end);
                }
                out.push(byte);
            }
            _ => {
                inside ^= byte == b'"';
                out.push(byte);
            }
        }
        at += 1;
    }
    String::from_utf8(out).unwrap()
}

/// The keys that lead to each object of the text.
fn entries_in(node: &Node, keys: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    let Kind::Object(members) = &node.kind else { return };
    if found.len() == ENTRIES {
        return;
    }
    found.push(keys.clone());
    for member in members {
        keys.push(member.key.clone());
        entries_in(&member.value, keys, found);
        keys.pop();
    }
}

fn pointed_elsewhere(text: &str, root: &Node, keys: Vec<String>) {
    let entry = Entry { file: "a.json".into(), keys, ..Entry::default() };
    let command = ["/bin/callgate", "wrap", "--name", "a\"b"].map(str::to_owned);
    let (after, done) = edit::redirect(text, &[(&entry, &command)]);
    if !matches!(done.as_slice(), [Ok(())]) {
        return;
    }
    let kept = edit::kept(text, &entry).unwrap();
    assert_eq!(edit::give_back(&after, &entry, &kept).unwrap(), text, "what was kept is not given back");
    let path = || entry.keys.iter().map(String::as_str);
    let was = root.below(path()).unwrap();
    let (before, behind) = (part(text, ..was.span.start), part(text, was.span.end..));
    assert!(after.starts_with(before) && after.ends_with(behind), "something around it changed: {after}");
    let now = jsonc::parse(&after).unwrap_or_else(|error| panic!("{error}: {after}"));
    let now = now.below(path()).unwrap();
    let (was, now) = (value(text, was), value(&after, now));
    let (program, args) = (json!(command[0]), json!(command[1..]));
    let run = match now["command"].as_object() {
        Some(inner) => (inner.get("path").or_else(|| inner.get("command")), inner.get("args")),
        None => (now.get("command"), now.get("args")),
    };
    assert_eq!(run, (Some(&program), Some(&args)), "{after}");
    for gone in ["url", "serverUrl", "httpUrl"] {
        assert!(now.get(gone).is_none(), "it is still reached otherwise: {after}");
    }
    let given = ["env", "headers", "http_headers"].map(|key| now.get(key));
    for left in given.into_iter().chain([now["command"].get("env")]).flatten() {
        assert_eq!(*left, json!({}), "a credential is left: {after}");
    }
    for (key, kept) in was.as_object().unwrap().iter().filter(|(key, _)| !WAYS.contains(&key.as_str())) {
        assert_eq!(now.get(key), Some(kept), "{after}");
    }
    let piece = Piece::of(Path::new("a.json"), text, &after);
    assert_eq!(piece.undone(&after).as_deref(), Some(text), "it does not come back");
}
