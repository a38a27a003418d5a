//! Do the arguments fit the pinned schema. Rules see only what does.

use crate::answers;
use crate::exchange::Arrival;
use crate::gate::Live;
use crate::resolve::Resolved;
use crate::rounds::Round;
use crate::schemas::{self, Fits, UNBOUNDED, Unknown};
use bytes::Bytes;
use decision::{Call, Code, Era, Passed, Refusal, Transport};
use serde_json::Value;

/// Arguments that fit: as they came, for the rules to read exactly.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) raw: Bytes,
}

/// Checks the arguments of a call against the definition it was pinned with.
pub(crate) fn check(
    live: &Live,
    call: &Call,
    resolved: &Resolved,
    arrival: &Arrival,
) -> Result<Passed<Arguments>, Refusal> {
    // what the server asked is as much an argument as what it was told first
    arrival.round.as_ref().map_or(Ok(()), Round::refused)?;
    answers::bounded(&resolved.frame)?;
    let raw = call.arguments().unwrap_or_default();
    let basis = match resolved.method.name {
        "tools/call" => {
            // what is submitted was said when it was drafted
            if resolved.submits.is_none() {
                headers(call, resolved, arrival, &raw)?;
            }
            tool(live, resolved, &raw)?
        }
        "prompts/get" => prompt(resolved, &raw)?,
        "completion/complete" => completion(&raw)?,
        // what a question is answered with is its server's to judge
        "tasks/update" => {
            let basis = vec![crate::tasks::answers(&resolved.frame)?];
            return Ok(Passed::new(Arguments { raw: Bytes::new() }, basis));
        }
        // a resource is named by the URI that was resolved; a question's form is the Host's to judge
        _ => return Ok(Passed::plain(Arguments { raw: Bytes::new() })),
    };
    Ok(Passed::new(Arguments { raw }, vec![basis]))
}

fn tool(live: &Live, resolved: &Resolved, raw: &Bytes) -> Result<String, Refusal> {
    let (Some(definition), Some(server)) =
        (resolved.target.definition, live.settings.servers.get(&resolved.target.server))
    else {
        return Err(Refusal::new(Code::SchemaUnenforceable, "the tool has no pinned definition"));
    };
    let unknown = schemas::unknown(&server.open_arguments, &resolved.target.item.name);
    let schema = match live.schemas.input(definition, unknown) {
        Some(Ok(schema)) => schema,
        Some(Err(e)) => return Err(Refusal::new(Code::SchemaUnenforceable, e.to_string())),
        None => return Err(Refusal::new(Code::SchemaUnenforceable, "the pinned schema was not compiled")),
    };
    let value = if raw.is_empty() { Value::Object(serde_json::Map::new()) } else { read(raw)? };
    if !value.is_object() {
        return Err(invalid("`arguments` must be an object".to_owned()));
    }
    match schema.fits(&value, raw.len()) {
        Fits::Yes => {}
        Fits::No(problems) => return Err(invalid(problems.join("; "))),
        Fits::Unbounded => return Err(Refusal::new(Code::SchemaUnenforceable, UNBOUNDED)),
    }
    // of the definition that the target names
    Ok(if unknown == Unknown::Allow { "schema (opened for unknown fields)" } else { "schema" }.to_owned())
}

/// `Mcp-Param-*` must say what the arguments say (2026-07-28, SEP-2243): somebody on the way may have routed by it.
fn headers(call: &Call, resolved: &Resolved, arrival: &Arrival, raw: &Bytes) -> Result<(), Refusal> {
    let modern_http = call.channel().era == Some(Era::Modern) && arrival.transport == Transport::Http;
    let Some(schema) = resolved.item.as_ref().and_then(|item| item.definition.input_schema()) else {
        return Ok(());
    };
    if !modern_http {
        return Ok(());
    }
    let lookup = |name: &str| {
        let values = arrival.facts.params.iter().filter(|(sent, _)| sent.eq_ignore_ascii_case(name));
        wire::headers::Header::of(values.map(|(_, value)| value.as_bytes()))
    };
    wire::headers::check_params(schema.as_bytes(), raw, lookup)
        .map_err(|e| Refusal::new(Code::HeaderMismatch, e.to_string()).told(e.to_string()))
}

fn prompt(resolved: &Resolved, raw: &Bytes) -> Result<String, Refusal> {
    let declared = resolved.item.as_ref().map(|item| item.definition.prompt_arguments()).unwrap_or_default();
    let value = if raw.is_empty() { Value::Object(serde_json::Map::new()) } else { read(raw)? };
    let Value::Object(given) = &value else {
        return Err(invalid("`arguments` must be an object".to_owned()));
    };
    for (name, value) in given {
        if !value.is_string() {
            return Err(invalid(format!("`{}` must be a string", crate::route::short(name))));
        }
        if !declared.iter().any(|argument| argument.name == *name) {
            return Err(invalid(format!("the prompt has no argument `{}`", crate::route::short(name))));
        }
    }
    if let Some(missing) =
        declared.iter().find(|argument| argument.required && !given.contains_key(&argument.name))
    {
        return Err(invalid(format!("the argument `{}` is missing", missing.name)));
    }
    Ok("prompt arguments".to_owned())
}

fn completion(raw: &Bytes) -> Result<String, Refusal> {
    let value = if raw.is_empty() { Value::Null } else { read(raw)? };
    let is_text = |key: &str| value.get(key).is_some_and(Value::is_string);
    if is_text("name") && is_text("value") {
        Ok("completion argument".to_owned())
    } else {
        Err(invalid("`argument` must have a `name` and a `value` that are strings".to_owned()))
    }
}

fn read(raw: &Bytes) -> Result<Value, Refusal> {
    serde_json::from_slice(raw).map_err(|e| invalid(format!("the arguments cannot be read: {e}")))
}

fn invalid(problem: String) -> Refusal {
    Refusal::new(Code::ArgumentsInvalid, problem.clone())
        .told(problem)
        .remedy("correct the arguments and call again", Vec::new())
}
