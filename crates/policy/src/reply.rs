//! What a Host answers to a question of a server, as rules read it.

use crate::answer::{Answer, Reason};
use cedar_policy::RestrictedExpression;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The part of the context it is.
pub(crate) const PART: &str = "answer";

/// Its type in Cedar's JSON schema format. One for all questions: what a form asks for is known only when it is put.
pub(crate) fn cedar() -> Value {
    let texts = json!({"type": "Set", "element": {"type": "String"}});
    let attributes = json!({
        "action": {"type": "String", "required": false},
        "names": texts,
        "values": texts,
        "text": {"type": "String"},
        "bytes": {"type": "Long"},
    });
    json!({"type": "Record", "required": false, "attributes": attributes})
}

/// An answer, raw.
pub(crate) fn read(raw: &[u8]) -> Result<RestrictedExpression, Answer> {
    let unfit = |why: String| Answer::refused(Reason::ArgumentUnfit, format!("the answer, and {why}"));
    let value: Value = serde_json::from_slice(raw).map_err(|e| unfit(format!("it cannot be read: {e}")))?;
    let mut said = Said::default();
    said.walk(&value);
    let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
    let set = |texts: &BTreeSet<String>| RestrictedExpression::new_set(texts.iter().map(|one| text(one)));
    let bytes = i64::try_from(raw.len()).unwrap_or(i64::MAX);
    let action = value.get("action").and_then(Value::as_str).map(|action| ("action", text(action)));
    let members = [
        ("names", set(&said.names)),
        ("values", set(&said.values)),
        ("text", text(&said.text)),
        ("bytes", RestrictedExpression::new_long(bytes)),
    ];
    let members = members.into_iter().chain(action).map(|(name, value)| (name.to_owned(), value));
    RestrictedExpression::new_record(members).map_err(|e| unfit(e.to_string()))
}

/// Everything in an answer, at any depth: a server may read any of it.
#[derive(Default)]
struct Said {
    names: BTreeSet<String>,
    values: BTreeSet<String>,
    text: String,
}

impl Said {
    fn walk(&mut self, value: &Value) {
        match value {
            Value::Object(members) => members.iter().for_each(|(name, value)| {
                self.names.insert(name.clone());
                self.walk(value);
            }),
            Value::Array(elements) => elements.iter().for_each(|element| self.walk(element)),
            Value::String(text) => self.say(text),
            Value::Number(_) | Value::Bool(_) => self.say(&value.to_string()),
            Value::Null => {}
        }
    }

    fn say(&mut self, text: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(text);
        self.values.insert(text.to_owned());
    }
}
