//! A client's request, for a server of the other era.

use super::level::Level;
use crate::Frame;
use crate::era::{
    META_CLIENT_CAPABILITIES, META_CLIENT_INFO, META_LOG_LEVEL, META_PROTOCOL_VERSION, Revision,
};
use crate::json::encode_string;
use crate::splice::Splice;
use bytes::Bytes;

/// What a modern request says of its client, for a client that said it once in `initialize`.
#[derive(Clone, Debug)]
pub struct Speaker {
    /// The raw capabilities object.
    pub capabilities: Bytes,
    /// The raw `clientInfo` object.
    pub client_info: Bytes,
    /// The least level of log messages that are wanted; `None` wants none.
    pub level: Option<Level>,
}

/// Members of `params` that mean something in one era only. Left in, a server would read in them what its
/// client did not mean: answers nobody gave, or a task nobody can ask for.
const OF_ONE_ERA: [&str; 3] = ["task", "inputResponses", "requestState"];
/// `_meta` of 2025-11-25's tasks.
const META_RELATED_TASK: &str = "io.modelcontextprotocol/related-task";
const META: &str = "_meta";

/// Takes out of a legacy request what only its own era knows, and puts in what a modern server needs.
pub fn for_modern<'f>(splice: Splice<'f>, speaker: &Speaker) -> Splice<'f> {
    let mut splice = of_both(splice);
    if speaker.level.is_none() {
        splice = splice.remove_path(&["params", META, META_LOG_LEVEL]);
    }
    for (key, value) in speaker.meta() {
        splice = splice.set_path(&["params", META, key], value);
    }
    splice
}

/// Takes out of a modern request what only its own era knows.
pub fn for_legacy<'f>(splice: Splice<'f>, frame: &Frame) -> Splice<'f> {
    let mut splice = of_both(splice);
    if frame.member(&["params", META]).is_none() {
        return splice;
    }
    for key in [META_PROTOCOL_VERSION, META_CLIENT_CAPABILITIES, META_CLIENT_INFO, META_LOG_LEVEL] {
        splice = splice.remove_path(&["params", META, key]);
    }
    splice
}

fn of_both(mut splice: Splice<'_>) -> Splice<'_> {
    for key in OF_ONE_ERA {
        splice = splice.remove_path(&["params", key]);
    }
    splice.remove_path(&["params", META, META_RELATED_TASK])
}

impl Speaker {
    fn meta(&self) -> impl Iterator<Item = (&'static str, Bytes)> {
        let revision = Bytes::from(encode_string(Revision::LATEST_MODERN.as_str()));
        let level = self.level.map(|level| (META_LOG_LEVEL, Bytes::from(encode_string(level.as_str()))));
        [
            (META_PROTOCOL_VERSION, revision),
            (META_CLIENT_CAPABILITIES, self.capabilities.clone()),
            (META_CLIENT_INFO, self.client_info.clone()),
        ]
        .into_iter()
        .chain(level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::Limits;
    use proptest::prelude::*;

    fn scan(text: &str) -> Frame {
        Frame::scan(Bytes::copy_from_slice(text.as_bytes()), &Limits::DEFAULT).unwrap()
    }
    fn speaker(level: Option<Level>) -> Speaker {
        Speaker { capabilities: "{\"roots\":{}}".into(), client_info: r#"{"name":"a"}"#.into(), level }
    }
    fn modern(text: &str, level: Option<Level>) -> String {
        let frame = scan(text);
        let bytes = for_modern(Splice::new(&frame), &speaker(level)).finish().unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }
    fn legacy(text: &str) -> String {
        let frame = scan(text);
        let bytes = for_legacy(Splice::new(&frame), &frame).finish().unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn a_legacy_request_gets_what_a_modern_server_requires_and_keeps_every_other_byte() {
        let text = r#"{"jsonrpc":"2.0","id": 1,"method":"tools/call","params":{ "name":"a","_meta":{"progressToken":"p"},"arguments":{"n":1.0} }}"#;
        let made = modern(text, Some(Level::Warning));
        let frame = scan(&made);
        let meta = crate::era::modern_meta(&frame).unwrap();
        assert_eq!(meta.revision, Revision::LATEST_MODERN);
        assert_eq!(meta.log_level.as_deref(), Some("warning"));
        assert_eq!(meta.client_info.unwrap().name, "a");
        assert!(
            made.contains(r#""arguments":{"n":1.0}"#) && made.contains(r#""progressToken":"p""#),
            "{made}"
        );
        assert_eq!(legacy(&made), text, "and back is where it began");
    }

    #[test]
    fn a_client_cannot_answer_questions_of_the_other_era_or_ask_for_tasks() {
        let text = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"task":{"ttl":1},"name":"a","inputResponses":{"q":{}},"requestState":"s","_meta":{"io.modelcontextprotocol/related-task":{"taskId":"t"},"io.modelcontextprotocol/clientCapabilities":{"tasks":{}}}}}"#;
        for made in [modern(text, None), legacy(text)] {
            for word in ["task", "inputResponses", "requestState"] {
                assert!(!made.contains(word), "{made}");
            }
        }
        assert!(modern(text, None).contains(r#""io.modelcontextprotocol/clientCapabilities":{"roots":{}}"#));
        let level = text.replace("clientCapabilities\":{\"tasks\":{}}", "logLevel\":\"debug\"");
        assert!(level.contains("logLevel") && !modern(&level, None).contains("logLevel"));
        assert_eq!(
            legacy(text),
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","_meta":{}}}"#
        );
    }

    fn value() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<i32>().prop_map(Into::into),
            "[a-z\"\\\\ é]{0,6}".prop_map(Into::into)
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::btree_map("[a-z_]{1,6}", inner, 0..4)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn there_and_back_is_the_identity_on_what_both_eras_can_say(
            arguments in value(),
            extra in prop::collection::btree_map("[a-z]{5,9}", value(), 0..4),
            meta in prop::collection::btree_map("[a-z]{1,4}/[a-z]{1,4}", value(), 0..3),
        ) {
            let mut params: serde_json::Map<_, _> = extra.into_iter().filter(|(key, _)| key != "arguments").collect();
            params.insert("arguments".into(), arguments);
            params.insert("_meta".into(), serde_json::Value::Object(meta.into_iter().collect()));
            let text = serde_json::json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }).to_string();
            let made = modern(&text, Some(Level::Info));
            prop_assert!(crate::era::modern_meta(&scan(&made)).is_ok());
            prop_assert_eq!(legacy(&made), text);
        }
    }
}
