//! Questions to the client: a result that asks, a retry that answers, and a sealed state between them.

use aws_lc_rs::hmac;
use rmcp::ErrorData;
use rmcp::model::{InputRequests, InputRequiredResult, InputResponses, JsonObject};
use serde_json::{Value, json};

use crate::forms;
use crate::tools::{Round, told};

/// Seals what must come back unchanged.
#[derive(Debug)]
pub(crate) struct Seal(hmac::Key);

impl Seal {
    /// A key of this process's own.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let random = aws_lc_rs::rand::SystemRandom::new();
        let key =
            hmac::Key::generate(hmac::HMAC_SHA256, &random).map_err(|_| anyhow::anyhow!("no randomness"))?;
        Ok(Self(key))
    }

    /// `round` with its mark.
    fn close(&self, round: &str) -> String {
        let tag = hmac::sign(&self.0, round.as_bytes());
        format!("{round}.{}", hex(tag.as_ref()))
    }

    /// The round a state is of; an error where the state is not one that was given.
    fn open<'a>(&self, state: &'a str) -> Result<&'a str, ErrorData> {
        let refused = || ErrorData::invalid_params("requestState was not given by this server", None);
        let (round, _) = state.split_once('.').ok_or_else(refused)?;
        if self.close(round) == state { Ok(round) } else { Err(refused()) }
    }
}

/// What a tool or prompt that asks does next.
#[derive(Debug)]
pub(crate) enum Step {
    Ask(InputRequiredResult),
    Done(String),
}

/// What came with a request.
#[derive(Debug, Clone, Copy)]
struct Given<'a> {
    responses: Option<&'a InputResponses>,
    /// The round whose sealed state came back.
    round: Option<&'a str>,
    can_elicit: bool,
}

impl<'a> Given<'a> {
    fn answer(self, key: &str) -> Option<&'a Value> {
        self.responses.and_then(|all| all.get(key))
    }

    /// One member of what the user filled in.
    fn elicited(self, key: &str, member: &str) -> Option<&'a Value> {
        self.answer(key)?.get("content")?.get(member)
    }
}

/// The next step of a tool or prompt that asks; `None` where the name is not of one.
pub(crate) fn step(seal: &Seal, asked: Round<'_>, can_elicit: bool) -> Option<Result<Step, ErrorData>> {
    let Round { name, arguments, responses, state } = asked;
    let round = match state.map(|state| seal.open(state)).transpose() {
        Ok(round) => round,
        Err(refused) => return Some(Err(refused)),
    };
    let given = Given { responses, round, can_elicit };
    plain(name, arguments, given)
        .or_else(|| without_state(name, given))
        .or_else(|| with_state(seal, name, given))
}

/// Those that exist in both eras.
fn plain(name: &str, arguments: &JsonObject, given: Given<'_>) -> Option<Result<Step, ErrorData>> {
    let (message, schema) = match name {
        "test_sampling" => {
            return Some(match given.answer("sampling").map(said) {
                Some(text) => Ok(Step::Done(format!("LLM response: {text}"))),
                None => ask(&[("sampling", sampling(told(arguments, "prompt"), 100))], None),
            });
        }
        "test_elicitation" => (told(arguments, "message"), forms::person()),
        "test_elicitation_sep1034_defaults" => ("Please review the defaults", forms::defaults()),
        "test_elicitation_sep1330_enums" => ("Please choose", forms::choices()),
        _ => return None,
    };
    let Some(answer) = given.answer("form") else {
        let params = json!({ "message": message, "requestedSchema": schema });
        return Some(ask(&[("form", json!({ "method": "elicitation/create", "params": params }))], None));
    };
    let action = answer.get("action").and_then(Value::as_str).unwrap_or("nothing");
    let content = answer.get("content").unwrap_or(&Value::Null);
    Some(Ok(Step::Done(format!("User response: action={action}, content={content}"))))
}

/// Those that ask once and remember nothing.
fn without_state(name: &str, given: Given<'_>) -> Option<Result<Step, ErrorData>> {
    let next = match name {
        "test_input_required_result_elicitation" | "test_streaming_elicitation" | "test_tool_with_task" => {
            match given.elicited("user_name", "name").and_then(Value::as_str) {
                Some(name) => Ok(Step::Done(format!("Hello, {name}!"))),
                None => ask(&[("user_name", elicitation("What is your name?", "name", "string"))], None),
            }
        }
        "test_input_required_result_sampling" => match given.answer("capital_question").map(said) {
            Some(text) => Ok(Step::Done(text)),
            None => ask(&[("capital_question", sampling("What is the capital of France?", 100))], None),
        },
        "test_input_required_result_list_roots" => {
            match given.answer("client_roots").and_then(|answer| answer.get("roots")) {
                Some(roots) => Ok(Step::Done(format!("The roots are {roots}"))),
                None => ask(&[("client_roots", roots_list())], None),
            }
        }
        "test_input_required_result_capabilities" => {
            if given.responses.is_some_and(|all| !all.is_empty()) {
                Ok(Step::Done("Thank you.".to_owned()))
            } else if given.can_elicit {
                ask(&[("user_name", elicitation("What is your name?", "name", "string"))], None)
            } else {
                ask(&[("greeting", sampling("Generate a greeting", 50))], None)
            }
        }
        "test_input_required_result_prompt" => match given.elicited("user_context", "context") {
            Some(context) => Ok(Step::Done(format!("The context is {context}"))),
            None => {
                let question = elicitation("What context should the prompt use?", "context", "string");
                ask(&[("user_context", question)], None)
            }
        },
        _ => return None,
    };
    Some(next)
}

/// Those that give a state and want it back.
fn with_state(seal: &Seal, name: &str, given: Given<'_>) -> Option<Result<Step, ErrorData>> {
    let next = match name {
        "test_input_required_result_request_state" | "test_input_required_result_tampered_state" => {
            match (given.elicited("confirm", "ok"), given.round) {
                (Some(_), Some("confirm")) => Ok(Step::Done("state-ok".to_owned())),
                _ => ask(
                    &[("confirm", elicitation("Please confirm", "ok", "boolean"))],
                    Some(seal.close("confirm")),
                ),
            }
        }
        "test_input_required_result_multiple_inputs" => {
            let all = ["user_name", "greeting", "client_roots"];
            if given.round == Some("several") && all.iter().all(|key| given.answer(key).is_some()) {
                Ok(Step::Done("Thank you for all three.".to_owned()))
            } else {
                let questions = [
                    ("user_name", elicitation("What is your name?", "name", "string")),
                    ("greeting", sampling("Generate a greeting", 50)),
                    ("client_roots", roots_list()),
                ];
                ask(&questions, Some(seal.close("several")))
            }
        }
        "test_input_required_result_multi_round" => {
            let first_done = given.round == Some("first") && given.elicited("step1", "name").is_some();
            match given.round {
                Some("second") if given.elicited("step2", "color").is_some() => {
                    Ok(Step::Done("Both rounds are done.".to_owned()))
                }
                round if first_done || round == Some("second") => {
                    let question = elicitation("Step 2: What is your favorite color?", "color", "string");
                    ask(&[("step2", question)], Some(seal.close("second")))
                }
                _ => {
                    let question = elicitation("Step 1: What is your name?", "name", "string");
                    ask(&[("step1", question)], Some(seal.close("first")))
                }
            }
        }
        _ => return None,
    };
    Some(next)
}

/// A result that asks these questions.
pub(crate) fn ask(questions: &[(&str, Value)], state: Option<String>) -> Result<Step, ErrorData> {
    let mut requests = InputRequests::new();
    for (key, question) in questions {
        let question = serde_json::from_value(question.clone()).map_err(|e| {
            ErrorData::internal_error(format!("the question `{key}` is malformed: {e}"), None)
        })?;
        requests.insert((*key).to_owned(), question);
    }
    Ok(Step::Ask(InputRequiredResult::new(Some(requests), state)))
}

/// A question to the user for one value.
pub(crate) fn elicitation(message: &str, member: &str, kind: &str) -> Value {
    let schema =
        json!({ "type": "object", "properties": { member: { "type": kind } }, "required": [member] });
    json!({ "method": "elicitation/create", "params": { "message": message, "requestedSchema": schema } })
}

/// A question to the client's model.
pub(crate) fn sampling(text: &str, tokens: u32) -> Value {
    let message = json!({ "role": "user", "content": { "type": "text", "text": text } });
    json!({ "method": "sampling/createMessage", "params": { "messages": [message], "maxTokens": tokens } })
}

fn roots_list() -> Value {
    json!({ "method": "roots/list", "params": {} })
}

/// What a model said.
pub(crate) fn said(answer: &Value) -> String {
    let content = answer.get("content").map(|c| if c.is_array() { c.get(0).unwrap_or(c) } else { c });
    content.and_then(|c| c.get("text")).and_then(Value::as_str).unwrap_or("nothing").to_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_that_was_changed_does_not_open() {
        let seal = Seal::new().unwrap();
        let state = seal.close("first");
        assert_eq!(seal.open(&state).unwrap(), "first");
        assert!(seal.open(&format!("{state}x")).is_err());
        assert!(seal.open(&state.replace("first", "second")).is_err());
        assert!(seal.open("first").is_err());
    }

    #[test]
    fn a_second_round_needs_the_first_answer() {
        let seal = Seal::new().unwrap();
        let name = "test_input_required_result_multi_round";
        let state = seal.close("first");
        let (arguments, state) = (JsonObject::new(), Some(state.as_str()));
        let asked = Round { name, arguments: &arguments, responses: None, state };
        let first = step(&seal, asked, true).unwrap().unwrap();
        let Step::Ask(asked) = first else { panic!("it was done without an answer") };
        assert!(asked.input_requests.unwrap().contains_key("step1"));
    }
}
