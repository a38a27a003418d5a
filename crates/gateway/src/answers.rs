//! What a Host answers to the questions of servers. On every way it comes (as a response of its own, or with a call
//! that is made again) it is bounded and put to the rules that read answers before the server hears it.

use crate::exchange::Arrival;
use crate::gate::{Gate, Live};
use crate::permission;
use crate::rounds::Round;
use crate::upstream::Injected;
use decision::{Call, Code, ItemKind, Passed, Refusal};
use policy::{Asked, Question, Subject};
use std::collections::BTreeMap;
use wire::json::{self, Value};

/// Most answers in one message: as many as a result may put questions.
const ANSWERS_MAX: usize = 64;
/// Longest key of an answer.
const KEY_BYTES_MAX: usize = 256;

const ELICITATION: &str = "elicitation/create";
const SAMPLING: &str = "sampling/createMessage";
const ROOTS: &str = "roots/list";

/// Refuses a message with answers that are none, or too many.
pub(crate) fn bounded(frame: &wire::Frame) -> Result<(), Refusal> {
    let invalid = |sentence: String| Refusal::new(Code::ArgumentsInvalid, sentence.clone()).told(sentence);
    let answers = wire::views::input_responses(frame).map_err(|e| invalid(e.to_string()))?;
    if answers.len() > ANSWERS_MAX {
        return Err(invalid(format!("more than {ANSWERS_MAX} answers in one message")));
    }
    if answers.iter().any(|answer| answer.key.len() > KEY_BYTES_MAX) {
        return Err(invalid(format!("the key of an answer has more than {KEY_BYTES_MAX} bytes")));
    }
    Ok(())
}

/// Puts the answers that a message to a server brings to the rules; what passed so far is what `about` came to.
pub(crate) fn brought<T>(
    live: &Live,
    about: &Question<'_>,
    frame: &wire::Frame,
    mut passed: Passed<T>,
) -> Result<Passed<T>, Refusal> {
    let answers = wire::views::input_responses(frame);
    let answers = answers.map_err(|e| Refusal::new(Code::ArgumentsInvalid, e.to_string()))?;
    let mut counted: BTreeMap<&'static str, usize> = BTreeMap::new();
    for answer in &answers {
        for method in meant(answer.result_raw) {
            let judged = judge(live, about, method, answer.result_raw)?;
            passed.would_refuse = passed.would_refuse.or(judged.would_refuse);
            *counted.entry(method).or_default() += 1;
        }
    }
    passed.basis.extend(counted.iter().map(|(method, count)| format!("answers:{method}×{count}")));
    Ok(passed)
}

/// Puts the answer to a question, a call of its own, to the rules.
pub(crate) fn given(gate: &Gate, live: &Live, call: &Call, raw: &[u8]) -> Result<Passed<()>, Refusal> {
    let about = Question::of(call, b"", gate.clock.now());
    let method = about.subject.name;
    let mut passed = judge(live, &about, method, raw)?;
    passed.basis.push(format!("answers:{method}"));
    Ok(passed)
}

fn judge(live: &Live, about: &Question<'_>, method: &str, raw: &[u8]) -> Result<Passed<()>, Refusal> {
    let server = about.subject.server;
    let asked =
        Question { subject: Subject { server, kind: ItemKind::Question, name: method }, method, ..*about };
    permission::settle(live, server, live.policies.answer(&asked, raw).judged(Asked::Call))
}

/// Refuses a call that brings its server the credential it was given, in an answer: whoever answers has learnt it.
pub(crate) fn withheld(arrival: &Arrival, frame: &wire::Frame, credential: &Injected) -> Result<(), Refusal> {
    let own = frame.at(&["params", "inputResponses"]);
    let gathered = arrival.round.as_ref().and_then(Round::answers).map(AsRef::as_ref);
    own.into_iter().chain(gathered).try_for_each(|raw| quotes_nothing(raw, credential))
}

/// The same of an answer of its own. It is in nobody's record yet.
pub(crate) fn quotes_nothing(raw: &[u8], credential: &Injected) -> Result<(), Refusal> {
    if credential.is_quoted_in(raw) {
        let because = "the answer to a question of the server quotes the credential it was given";
        return Err(Refusal::new(Code::AnswerQuotesSecret, because));
    }
    Ok(())
}

/// Which questions this can be read as the answer to. Nothing in a call that is made again says which it was, and its
/// key is the server's; so it is judged as whatever a server could take it for, and as everything if as nothing.
fn meant(raw: &[u8]) -> Vec<&'static str> {
    let has = |name: &str| json::member(raw, name).is_some();
    let content = json::member(raw, "content").is_some_and(|content| match Value::of(content) {
        Some(Value::Array) => true,
        Some(Value::Object) => json::member(content, "type").is_some(),
        Some(Value::String | Value::Number | Value::Bool | Value::Null) | None => false,
    });
    let could = [
        (ELICITATION, has("action")),
        (SAMPLING, has("role") || has("model") || content),
        (ROOTS, has("roots")),
    ];
    let all = could.iter().all(|(_, could)| !could);
    could.into_iter().filter(|(_, could)| all || *could).map(|(method, _)| method).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_judged_as_whatever_a_server_could_take_it_for() {
        for (raw, expected) in [
            (r#"{"action":"accept","content":{"name":"Ada"}}"#, vec![ELICITATION]),
            (r#"{"action":"accept","content":{"type":"a"}}"#, vec![ELICITATION, SAMPLING]),
            (r#"{"content":{"type":"text","text":"hi"}}"#, vec![SAMPLING]),
            (r#"{"role":"assistant","model":"m","content":[]}"#, vec![SAMPLING]),
            (r#"{"roots":[]}"#, vec![ROOTS]),
            (r#"{"roots":[],"action":"accept"}"#, vec![ELICITATION, ROOTS]),
            (r#"{}"#, vec![ELICITATION, SAMPLING, ROOTS]),
            (r#"{"content":{}}"#, vec![ELICITATION, SAMPLING, ROOTS]),
        ] {
            assert_eq!(meant(raw.as_bytes()), expected, "{raw}");
        }
    }
}
