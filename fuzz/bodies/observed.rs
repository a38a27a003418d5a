//! What an answer says that its call did: nothing where it is an error or long, and the same where the server wraps it.

use catalog::observed::{BYTES_MAX, in_result};
use serde_json::{Value, json};

pub(crate) fn run(data: &[u8]) {
    let _ = in_result(data);
    let Ok(text) = std::str::from_utf8(data) else { return };
    let answer = |error: bool| {
        let content = json!([{ "type": "text", "text": text }]);
        serde_json::to_vec(&json!({ "content": content, "isError": error })).unwrap()
    };
    let seen = in_result(&answer(false));
    assert!(in_result(&answer(true)).is_none(), "an error did something");
    assert!(answer(false).len() <= BYTES_MAX || seen.is_none(), "a long answer is looked at");
    if let Ok(value @ Value::Object(_)) = serde_json::from_str(text) {
        let whole = json!({ "structuredContent": value, "isError": true });
        assert!(in_result(&serde_json::to_vec(&whole).unwrap()).is_none(), "an error did something");
    }
}
