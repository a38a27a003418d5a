//! What came back, and may the Host see it. Detectors come with a later issue; here the shape of
//! the answer is judged: that it is an answer, its size, its result type, its pinned output schema.

use crate::authenticate::Asker;
use crate::deeds;
use crate::gate::{Gate, Live};
use crate::permission;
use crate::record::Leg;
use crate::reply::Answer;
use crate::resolve::Resolved;
use crate::upstream::{Arrived, handshake};
use decision::{Call, Code, Direction, Era, ItemKind, Outcome, Passed, Refusal};
use policy::{Asked, Question, Subject};
use wire::{Crossing, Kind, bridge, rpc};

/// Most questions that one `input_required` result may put.
const QUESTIONS_MAX: usize = 64;

/// Judges a response. What does not pass is withheld, and the record keeps its commitment.
pub(crate) fn check(
    gate: &Gate,
    live: &Live,
    call: &Call,
    resolved: &Resolved,
    asker: &Asker,
    arrived: Arrived,
    leg: &mut Leg,
) -> Result<Passed<Answer>, Refusal> {
    let frame = &arrived.frame;
    let body = frame.result_raw().or_else(|| frame.error_raw()).unwrap_or_default();
    let whole = frame.bytes().slice_ref(body);
    let is_error = frame.kind() == Kind::ErrorResponse
        || frame.at(&["result", "isError"]).is_some_and(|raw| raw.trim_ascii() == b"true");
    let result = leg.commit_result(gate, whole);
    leg.outcome = Some(Outcome {
        bytes: frame.bytes().len() as u64,
        is_error,
        result: Some(result),
        upstream_us: arrived.upstream_us,
    });
    if frame.bytes().len() > live.settings.limits.result_bytes_max {
        return Err(Refusal::new(Code::ResultTooLarge, format!("{} bytes", frame.bytes().len())));
    }
    let mut would_refuse = None;
    let mut asks = None;
    let mut told = arrived.answer.clone();
    let mut basis = vec![format!("{} bytes", frame.bytes().len())];
    if !leg.masked.is_empty() {
        basis.push(format!("masked:{}", leg.masked));
    }
    if frame.kind() == Kind::Response && call.direction() == Direction::ToServer {
        if (resolved.way.era() == Era::Modern || arrived.asks) && waits(resolved, frame)? {
            if resolved.way.crossing == Some(Crossing::LegacyToModern) {
                asks = Some(crate::rounds::read(gate, resolved, asker, frame, leg)?);
            } else {
                let asked = rounds(gate, live, call, resolved, asker, frame);
                let asked = asked.inspect_err(|_| give_up(gate, call, &arrived))?;
                would_refuse = asked.would_refuse;
                basis.extend(asked.basis);
                told = deeds::hold(gate, resolved, asker, leg, frame, told)?;
            }
        }
        if let Some(checked) = structure(live, resolved, frame, is_error)? {
            basis.push(checked);
        }
    }
    if let Some(asks) = asks {
        return Ok(Passed::new(Answer::Asks(asks), basis));
    }
    let answer = if frame.kind() == Kind::ErrorResponse {
        Answer::Failed(told, failed(resolved, frame)?)
    } else {
        Answer::Message(told)
    };
    Ok(Passed { would_refuse, ..Passed::new(answer, basis) })
}

/// The code under which the client is told of the server's error.
fn failed(resolved: &Resolved, frame: &wire::Frame) -> Result<Option<i64>, Refusal> {
    let code = handshake::error_code(frame);
    Ok(match resolved.way.crossing {
        None => code,
        Some(Crossing::ModernToLegacy) => code.map(bridge::answer::code_for_modern),
        Some(Crossing::LegacyToModern) if code == Some(rpc::MISSING_REQUIRED_CLIENT_CAPABILITY) => {
            let because = "the server needs to ask the host something that the host did not declare";
            return Err(Refusal::new(Code::HostIncapable, because).told(because));
        }
        Some(Crossing::LegacyToModern) => code.map(bridge::answer::code_for_legacy),
    })
}

/// `resultType` (SEP-2322): whether the server waits for answers, or its result is complete.
fn waits(resolved: &Resolved, frame: &wire::Frame) -> Result<bool, Refusal> {
    match frame.string_at(&["result", "resultType"]).as_deref() {
        None | Some("complete") => Ok(false),
        Some("input_required") if resolved.method.multi_round => Ok(true),
        Some(other) => {
            let other = crate::route::short(other);
            let because = format!("`{other}` is not a result type of this method");
            Err(Refusal::new(Code::UpstreamNonsense, because))
        }
    }
}

/// A legacy server's questions may not be put: its call goes no further.
fn give_up(gate: &Gate, call: &Call, arrived: &Arrived) {
    if let Some(state) = arrived.frame.string_at(&["result", "requestState"]).filter(|_| arrived.asks) {
        gate.parked.forget(&state, call);
    }
}

/// Questions of the server, which the rules must permit like any other.
fn rounds(
    gate: &Gate,
    live: &Live,
    call: &Call,
    resolved: &Resolved,
    asker: &Asker,
    frame: &wire::Frame,
) -> Result<Passed<()>, Refusal> {
    let requests = frame.at(&["result", "inputRequests"]).unwrap_or_default();
    let mut all = Passed::plain(());
    for (n, (_, raw)) in wire::json::object_members(requests).enumerate() {
        if n >= QUESTIONS_MAX {
            let because = format!("more than {QUESTIONS_MAX} questions in one result");
            return Err(Refusal::new(Code::UpstreamNonsense, because));
        }
        let request = requests.get(raw).unwrap_or_default();
        let method = wire::json::string_member(request, "method").unwrap_or_default();
        let known = wire::method::lookup_question(&method, asker.revision);
        let question = known.ok_or_else(|| {
            let method = crate::route::short(&method);
            Refusal::new(Code::UpstreamNonsense, format!("`{method}` is not a question a server may ask"))
        })?;
        // 2026-07-28 client/elicitation: a server asks only what the Host declared
        if !asker.declares(question.name) {
            let because = format!("the host did not declare that it answers `{}`", question.name);
            return Err(Refusal::new(Code::HostIncapable, because));
        }
        let mut asked = Question::of(call, b"", gate.clock.now());
        asked.subject =
            Subject { server: &resolved.target.server, kind: ItemKind::Question, name: question.name };
        asked.method = question.name;
        let answer = live.policies.call(&asked).judged(Asked::Call);
        let passed = permission::settle(live, &resolved.target.server, answer)?;
        all.basis.push(format!("asks:{} {}", question.name, passed.basis.join(" ")));
        all.would_refuse = passed.would_refuse.or(all.would_refuse);
    }
    Ok(all)
}

/// Structured content against the pinned output schema (requirement S3).
fn structure(
    live: &Live,
    resolved: &Resolved,
    frame: &wire::Frame,
    is_error: bool,
) -> Result<Option<String>, Refusal> {
    if resolved.method.name != "tools/call" || is_error {
        return Ok(None);
    }
    let waits = frame.string_at(&["result", "resultType"]).is_some_and(|kind| kind != "complete");
    let Some(definition) = resolved.target.definition.filter(|_| !waits) else {
        return Ok(None);
    };
    let invalid = |why: String| Err(Refusal::new(Code::ResultInvalid, why));
    let schema = match live.schemas.output(definition) {
        None => return Ok(None),
        Some(Err(e)) => return Err(Refusal::new(Code::SchemaUnenforceable, format!("output schema: {e}"))),
        Some(Ok(schema)) => schema,
    };
    let Some(raw) = frame.at(&["result", "structuredContent"]) else {
        return invalid("the pinned definition promises structured content, and there is none".to_owned());
    };
    match serde_json::from_slice(raw) {
        Ok(value) => {
            let problems = schema.problems(&value);
            if problems.is_empty() {
                Ok(Some("output schema".to_owned()))
            } else {
                invalid(problems.join("; "))
            }
        }
        Err(e) => invalid(format!("the structured content cannot be read: {e}")),
    }
}
