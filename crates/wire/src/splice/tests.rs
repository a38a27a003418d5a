use super::*;
use proptest::prelude::*;

fn frame(text: &str) -> Frame {
    Frame::scan(Bytes::copy_from_slice(text.as_bytes()), &Limits::DEFAULT).unwrap()
}

fn text(bytes: Result<Bytes, SpliceError>) -> String {
    String::from_utf8(bytes.unwrap().to_vec()).unwrap()
}

const CALL: &str = r#"{ "jsonrpc":"2.0" , "id":1,"method":"m","params":{"name":"x","n":1.50,"_meta":{"a":1, "b":2 ,"c":3}}}"#;

#[test]
fn nothing_asked_nothing_changed() {
    let frame = frame(CALL);
    assert_eq!(Splice::new(&frame).finish().unwrap(), CALL);
}

#[test]
fn values_are_replaced_in_place() {
    let frame = frame(CALL);
    let id = frame.id_range().unwrap();
    let name = frame.member(&["params", "name"]).unwrap();
    let out =
        text(Splice::new(&frame).replace(name, &b"\"longer\""[..]).replace(id, &b"\"g1\""[..]).finish());
    assert_eq!(out, CALL.replace("\"id\":1", "\"id\":\"g1\"").replace("\"x\"", "\"longer\""));
}

#[test]
fn members_are_set_added_and_removed_with_their_commas() {
    let frame = frame(CALL);
    let meta = frame.member(&["params", "_meta"]).unwrap();
    let edit = |set: &[(&str, &'static str)], gone: &[&str]| {
        let mut splice = Splice::new(&frame);
        for key in gone {
            splice = splice.remove_member(meta.clone(), key);
        }
        for (key, value) in set {
            splice = splice.set_member(meta.clone(), key, value.as_bytes());
        }
        let out = splice.finish_frame(&Limits::DEFAULT).unwrap();
        String::from_utf8(out.at(&["params", "_meta"]).unwrap().to_vec()).unwrap()
    };
    assert_eq!(edit(&[("b", "9")], &[]), r#"{"a":1, "b":9 ,"c":3}"#);
    assert_eq!(edit(&[("d", "4"), ("e", "5")], &[]), r#"{"a":1, "b":2 ,"c":3,"d":4,"e":5}"#);
    assert_eq!(edit(&[], &["a"]), r#"{"b":2 ,"c":3}"#);
    assert_eq!(edit(&[], &["b"]), r#"{"a":1 ,"c":3}"#);
    assert_eq!(edit(&[], &["c"]), r#"{"a":1, "b":2}"#);
    assert_eq!(edit(&[], &["a", "b"]), r#"{"c":3}"#);
    assert_eq!(edit(&[], &["b", "c"]), r#"{"a":1}"#);
    assert_eq!(edit(&[], &["a", "c"]), r#"{"b":2}"#);
    assert_eq!(edit(&[], &["a", "b", "c"]), "{}");
    assert_eq!(edit(&[("d", "4")], &["a", "b", "c"]), r#"{"d":4}"#);
    assert_eq!(edit(&[("d", "4")], &["c"]), r#"{"a":1, "b":2,"d":4}"#);
    assert_eq!(edit(&[("a", "9")], &["b", "c"]), r#"{"a":9}"#);
    assert_eq!(edit(&[("x", "1"), ("x", "2")], &["absent"]), r#"{"a":1, "b":2 ,"c":3,"x":2}"#);
}

#[test]
fn missing_objects_on_a_path_are_made_once() {
    let bare = frame(r#"{"jsonrpc":"2.0","id":1,"method":"m"}"#);
    let out = text(
        Splice::new(&bare)
            .set_path(&["params", "_meta", "progressToken"], &b"7"[..])
            .set_path(&["params", "_meta", "io.x/y"], &b"{}"[..])
            .set_path(&["params", "name"], &b"\"n\""[..])
            .finish(),
    );
    let params = r#""params":{"_meta":{"progressToken":7,"io.x/y":{}},"name":"n"}"#;
    assert_eq!(out, format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m",{params}}}"#));
    let empty = frame(r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{ }}"#);
    let out = text(Splice::new(&empty).set_path(&["params", "_meta", "t"], &b"1"[..]).finish());
    assert_eq!(out, r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{"t":1} }}"#);
}

#[test]
fn escaped_keys_are_the_same_member() {
    let frame = frame(r#"{"jsonrpc":"2.0","method":"m","params":{"_m\u0065ta":{"t":1}}}"#);
    let out = text(Splice::new(&frame).set_path(&["params", "_meta", "t"], &b"2"[..]).finish());
    assert_eq!(out, r#"{"jsonrpc":"2.0","method":"m","params":{"_m\u0065ta":{"t":2}}}"#);
    let out = text(Splice::new(&frame).remove_path(&["params", "_meta"]).finish());
    assert_eq!(out, r#"{"jsonrpc":"2.0","method":"m","params":{}}"#);
}

#[test]
fn edits_that_cannot_be_made_are_refused() {
    let frame = frame(CALL);
    let params = frame.member(&["params"]).unwrap();
    let name = frame.member(&["params", "name"]).unwrap();
    let splice = || Splice::new(&frame);
    assert_eq!(splice().replace(0..9999, &b"1"[..]).finish(), Err(SpliceError::OutOfBounds));
    assert_eq!(splice().set_member(name.clone(), "a", &b"1"[..]).finish(), Err(SpliceError::NotObject));
    assert_eq!(splice().set_path(&["params", "name", "a"], &b"1"[..]).finish(), Err(SpliceError::NotObject));
    assert_eq!(splice().set_path(&[], &b"1"[..]).finish(), Err(SpliceError::NotObject));
    let overlap = splice().replace(params, &b"{}"[..]).replace(name.clone(), &b"1"[..]);
    assert_eq!(overlap.finish(), Err(SpliceError::Overlap));
    let both = splice().remove_path(&["params", "name"]).replace(name.clone(), &b"1"[..]);
    assert_eq!(both.finish(), Err(SpliceError::Overlap));
    let broken = splice().replace(name, &b"\"a\",\"name\":\"b\""[..]);
    assert!(matches!(
        broken.finish_frame(&Limits::DEFAULT),
        Err(SpliceError::Scan(ScanError::DuplicateKey { .. }))
    ));
}

proptest! {
    /// Removing the edits from the outcome gives the input without the edited ranges.
    #[test]
    fn bytes_outside_the_edits_leave_as_they_came(
        keys in prop::collection::btree_map("[a-z]{1,3}|é|\"", "[0-9]{1,2}|[a-z ]{0,4}", 0..8),
        ops in prop::collection::vec((0usize..12, any::<bool>()), 0..6),
        space in "[ \n]{0,2}",
    ) {
        let mut model: Vec<(String, serde_json::Value)> = keys.into_iter().map(|(k, v)| (k, v.into())).collect();
        let inner: Vec<String> = model.iter().map(|(k, v)| format!("{space}{}{space}:{space}{v}{space}", encode_string(k))).collect();
        let source = format!("{{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"params\":{{{space}{}}},\"z\":1.0}}", inner.join(","));
        let frame = frame(&source);
        let params = frame.member(&["params"]).unwrap();
        let mut splice = Splice::new(&frame);
        for (index, set) in ops {
            let key = model.get(index).map_or(format!("new{index}"), |(k, _)| k.clone());
            if set {
                splice = splice.set_member(params.clone(), &key, &b"[7]"[..]);
                match model.iter_mut().find(|(k, _)| *k == key) {
                    Some(slot) => slot.1 = serde_json::json!([7]),
                    None => model.push((key, serde_json::json!([7]))),
                }
            } else {
                splice = splice.remove_member(params.clone(), &key);
                // keeps its place in the list so that later indexes mean the same key
                if let Some(slot) = model.iter_mut().find(|(k, _)| *k == key) {
                    slot.1 = serde_json::Value::Null;
                }
            }
        }
        let out = splice.finish_frame(&Limits::DEFAULT).unwrap();
        let expected: std::collections::BTreeMap<_, _> = model.into_iter().filter(|(_, v)| !v.is_null()).collect();
        let actual: std::collections::BTreeMap<String, serde_json::Value> =
            serde_json::from_slice(out.at(&["params"]).unwrap()).unwrap();
        prop_assert_eq!(actual, expected);
        let changed = out.member(&["params"]).unwrap();
        prop_assert_eq!(&out.bytes()[..changed.start], &frame.bytes()[..params.start]);
        prop_assert_eq!(&out.bytes()[changed.end..], &frame.bytes()[params.end..]);
    }
}
