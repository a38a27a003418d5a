//! Any sequence of splices on an accepted message yields a message in which only what was asked for has changed, or
//! an error where the wishes contradict each other.
//!
//! Input: a message, the byte 0xFF (which no message holds), and four bytes for each wish.

use bytes::Bytes;
use std::collections::BTreeMap;
use wire::json::{self, Value};
use wire::{Frame, Kind, Limits, Splice, SpliceError, rpc};

const NEW_KEYS: [&str; 5] = ["name", "_meta", "n\"\\\u{1}", "é", ""];
const VALUES: [&str; 6] = ["1.50", "\"x\\u0041\"", "{}", "[1, {\"a\":2}]", "null", "{ \"a\" : {\"b\":1 } }"];
const WISHES_MAX: usize = 6;

/// A value as it should come out: raw where nobody touched it.
#[derive(Clone, Debug)]
enum Node {
    Raw(Vec<u8>),
    Object(BTreeMap<String, Node>),
}

#[derive(Debug)]
struct Wish {
    path: Vec<String>,
    /// `None` removes.
    value: Option<&'static str>,
    /// By the object's place rather than by path.
    by_place: bool,
}

pub(crate) fn run(data: &[u8]) {
    let at = data.iter().rposition(|byte| *byte == 0xFF).unwrap_or(data.len());
    let (text, wishes) = data.split_at(at);
    let limits = Limits { bytes: 1 << 16, depth: 12 };
    let Ok(frame) = Frame::scan(Bytes::copy_from_slice(text), &limits) else { return };
    identified(&frame);
    let wishes: Vec<Wish> = wishes
        .get(1..)
        .unwrap_or_default()
        .chunks_exact(4)
        .take(WISHES_MAX)
        .map(|four| wish(&frame, four))
        .collect();
    let mut splice = Splice::new(&frame);
    let mut expected = node(&frame.bytes()[frame.object()]);
    let mut possible = true;
    for wish in &wishes {
        let path: Vec<&str> = wish.path.iter().map(String::as_str).collect();
        let parents = &path[..path.len() - 1];
        let last = path[path.len() - 1];
        splice = match (wish.value, frame.member(parents)) {
            (Some(value), Some(place)) if wish.by_place => splice.set_member(place, last, value.as_bytes()),
            (None, Some(place)) if wish.by_place => splice.remove_member(place, last),
            (Some(value), _) => splice.set_path(&path, value.as_bytes()),
            (None, _) => splice.remove_path(&path),
        };
        possible &= match wish.value {
            Some(value) => set(&mut expected, &path, node(value.as_bytes())),
            // taking a member away from what is no object is an error only by place
            None => remove(&mut expected, &path) || frame.member(parents).is_none(),
        };
    }
    let contradictory = wishes.iter().enumerate().any(|(index, a)| {
        wishes.iter().skip(index + 1).any(|b| {
            let related = a.path.starts_with(&b.path) || b.path.starts_with(&a.path);
            let parent: Vec<&str> = a.path.iter().take(a.path.len() - 1).map(String::as_str).collect();
            related && (a.path != b.path || frame.member(&parent).is_none())
        })
    });
    match splice.finish_frame(&Limits::DEFAULT) {
        Ok(out) if !contradictory => {
            assert!(possible, "{wishes:?}");
            same(&out.bytes()[out.object()], &expected);
            in_order(&frame, &out);
        }
        Err(SpliceError::NotObject) if !contradictory => assert!(!possible, "{wishes:?}"),
        Err(error) if !contradictory => panic!("{error}: {wishes:?}"),
        // the wishes contradict each other: an error, or at least a message that kept what nobody touched
        Ok(out) => untouched(&frame, &out, &wishes),
        Err(error) => assert!(!matches!(error, SpliceError::Scan(_)), "{error}: {wishes:?}"),
    }
}

/// Another id changes the id and not one other byte.
fn identified(frame: &Frame) {
    match (rpc::with_id(frame, b"\"g-1\""), frame.id_range()) {
        (Ok(out), Some(range)) => {
            let expected = [&frame.bytes()[..range.start], b"\"g-1\"", &frame.bytes()[range.end..]].concat();
            assert_eq!(out, expected);
            let again = Frame::scan(out, &Limits::DEFAULT).unwrap();
            assert_eq!((again.kind(), again.id_raw()), (frame.kind(), Some(&b"\"g-1\""[..])));
        }
        (Err(SpliceError::OutOfBounds), None) => {}
        other => panic!("{other:?}"),
    }
}

/// Four bytes become a place in the message and what is to stand there. The envelope itself is left alone, or the
/// outcome would rightly be no message.
fn wish(frame: &Frame, four: &[u8]) -> Wish {
    let [how, first, second, third] = four.try_into().unwrap();
    let body = match frame.kind() {
        Kind::Request | Kind::Notification => "params",
        Kind::Response => "result",
        Kind::ErrorResponse => "error",
    };
    let mut path = vec![if how & 1 == 0 { body } else { "extra" }.to_owned()];
    let least = usize::from(how & 1 == 0);
    for (depth, choice) in [first, second, third].into_iter().enumerate() {
        if depth >= least && choice & 3 == 0 {
            break;
        }
        let keys: Vec<&str> = path.iter().map(String::as_str).collect();
        let raw = frame.at(&keys).unwrap_or_default();
        let known = json::members(raw).map(|member| member.key.into_owned());
        let all: Vec<String> = known.chain(NEW_KEYS.map(str::to_owned)).collect();
        path.push(all[usize::from(choice >> 2) % all.len()].clone());
    }
    let value = (how & 2 == 0).then(|| VALUES[usize::from(how >> 3) % VALUES.len()]);
    Wish { path, value, by_place: how & 4 != 0 }
}

fn node(raw: &[u8]) -> Node {
    let raw = raw.trim_ascii();
    if Value::of(raw) != Some(Value::Object) {
        return Node::Raw(raw.to_vec());
    }
    Node::Object(json::members(raw).map(|m| (m.key.into_owned(), node(&raw[m.value_range]))).collect())
}

fn set(at: &mut Node, path: &[&str], value: Node) -> bool {
    let (Node::Object(members), Some((key, rest))) = (at, path.split_first()) else { return false };
    if rest.is_empty() {
        members.insert((*key).to_owned(), value);
        return true;
    }
    set(members.entry((*key).to_owned()).or_insert_with(|| Node::Object(BTreeMap::new())), rest, value)
}

fn remove(at: &mut Node, path: &[&str]) -> bool {
    let (Node::Object(members), Some((key, rest))) = (at, path.split_first()) else { return false };
    if rest.is_empty() {
        members.remove(*key);
        return true;
    }
    members.get_mut(*key).is_none_or(|inner| remove(inner, rest))
}

fn same(raw: &[u8], expected: &Node) {
    match expected {
        Node::Raw(bytes) => assert_eq!(raw, bytes),
        Node::Object(members) => {
            let found: Vec<_> = json::members(raw).collect();
            assert_eq!(found.len(), members.len());
            found.into_iter().for_each(|found| same(&raw[found.value_range], &members[found.key.as_ref()]));
        }
    }
}

/// What was there before and still is stands in the order it had.
fn in_order(before: &Frame, after: &Frame) {
    fn keys(frame: &Frame) -> Vec<String> {
        let body = frame.params_raw().or(frame.result_raw()).or(frame.error_raw()).unwrap_or_default();
        json::members(body).map(|member| member.key.into_owned()).collect()
    }
    let (before, after) = (keys(before), keys(after));
    let kept = |of: &[String], other: &[String]| -> Vec<String> {
        of.iter().filter(|key| other.contains(key)).cloned().collect()
    };
    assert_eq!(kept(&before, &after), kept(&after, &before));
}

/// No member that no wish is about, or is above or below, has changed.
fn untouched(before: &Frame, after: &Frame, wishes: &[Wish]) {
    for member in json::members(&before.bytes()[before.object()]) {
        let about = |wish: &Wish| wish.path[0] == member.key;
        if !wishes.iter().any(about) {
            assert_eq!(after.at(&[&member.key]), before.at(&[&member.key]));
            continue;
        }
        let raw = before.at(&[&member.key]).unwrap();
        for inner in json::members(raw) {
            let about = |wish: &Wish| about(wish) && wish.path.get(1).is_none_or(|key| *key == inner.key);
            if !wishes.iter().any(about) {
                assert_eq!(after.at(&[&member.key, &inner.key]), Some(&raw[inner.value_range]));
            }
        }
    }
}
