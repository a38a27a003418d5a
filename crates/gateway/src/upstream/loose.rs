//! What a text that is no message seems to say, read as loosely as any parser would, and without making anything of what
//! nobody asks for: sixteen megabytes of small values would become a gigabyte of them.

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt};

/// Most answers that are looked for in one text.
const ANSWERS_MAX: usize = 1_000;

/// The ids of ours that it answers.
pub(super) fn answered(text: &[u8]) -> Vec<u64> {
    let several = text.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    if several {
        let answers: Result<Answers, _> = serde_json::from_slice(text);
        return answers.map(|answers| answers.0).unwrap_or_default();
    }
    let one: Result<Loose<'_>, _> = serde_json::from_slice(text);
    one.ok().and_then(|one| one.answered()).into_iter().collect()
}

/// The message of its error.
pub(super) fn error_message(text: &[u8]) -> Option<String> {
    let one: Loose<'_> = serde_json::from_slice(text).ok()?;
    let error: Loose<'_> = serde_json::from_str(one.error?.get()).ok()?;
    serde_json::from_str(error.message?.get()).ok()
}

/// The members of an object that matter here. Of one that occurs twice the last counts.
#[derive(Default)]
struct Loose<'a> {
    id: Option<&'a RawValue>,
    error: Option<&'a RawValue>,
    message: Option<&'a RawValue>,
    result: bool,
}

impl Loose<'_> {
    fn answered(&self) -> Option<u64> {
        let is_answer = self.result || self.error.is_some();
        self.id.filter(|_| is_answer)?.get().parse().ok()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Loose<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Loose<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
                let mut loose = Loose::default();
                while let Some(key) = members.next_key::<Cow<'_, str>>()? {
                    match &*key {
                        "id" => loose.id = Some(members.next_value()?),
                        "error" => loose.error = Some(members.next_value()?),
                        "message" => loose.message = Some(members.next_value()?),
                        other => {
                            loose.result |= other == "result";
                            members.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(loose)
            }
        }
        from.deserialize_map(Members)
    }
}

struct Answers(Vec<u64>);

impl<'de> Deserialize<'de> for Answers {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Elements;
        impl<'de> Visitor<'de> for Elements {
            type Value = Answers;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
                let mut ids = Vec::new();
                while let Some(element) = elements.next_element::<&RawValue>()? {
                    // what is no object answers nothing
                    let one: Result<Loose<'_>, _> = serde_json::from_str(element.get());
                    ids.extend(one.ok().and_then(|one| one.answered()).filter(|_| ids.len() < ANSWERS_MAX));
                }
                Ok(Answers(ids))
            }
        }
        from.deserialize_seq(Elements)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_found_in_what_is_no_message() {
        for (text, ids) in [
            (r#"{"id":7,"result":{"a":[1,{"b":2}]},"more":0}"#, vec![7]),
            (r#"{"id":7,"error":null}"#, vec![7]),
            (r#"{"id":"7","result":1}"#, vec![]),
            (r#"{"id":7,"method":"x"}"#, vec![]),
            (r#" [{"id":1,"result":1},{"id":2},3,"x",{"id":4,"error":{}}]"#, vec![1, 4]),
            (r#"{"id":1,"id":2,"result":1}"#, vec![2]),
            ("[", vec![]),
            ("7", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(answered(text.as_bytes()), ids, "{text}");
        }
        assert_eq!(answered("[{\"id\":1,\"result\":0},".repeat(3).as_bytes()), Vec::<u64>::new());
        let many = format!("[{}0]", r#"{"id":1,"result":0},"#.repeat(2 * ANSWERS_MAX));
        assert_eq!(answered(many.as_bytes()).len(), ANSWERS_MAX);
    }

    #[test]
    fn the_message_of_an_error_is_found() {
        let of = |text: &str| error_message(text.as_bytes());
        assert_eq!(of(r#"{"error":{"code":1,"message":"no \u0041"}}"#).as_deref(), Some("no A"));
        assert_eq!(of(r#"{"error":"no"}"#), None);
        assert_eq!(of(r#"[{"":0}]"#), None);
        assert_eq!(of(r#"{"message":"no"}"#), None);
    }
}
