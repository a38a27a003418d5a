//! What came back, and may the Host see it. Detectors come with a later issue; here the shape of
//! the answer is judged: that it is an answer, its size, its result type, its pinned output schema.

use crate::answers;
use crate::authenticate::Asker;
use crate::deeds;
use crate::gate::{Gate, Live};
use crate::observed;
use crate::permission;
use crate::record::{GoesOn, Leg};
use crate::replay;
use crate::reply::Answer;
use crate::resolve::Resolved;
use crate::schemas::{Fits, UNBOUNDED};
use crate::tasks::{self, Standing};
use crate::upstream::{Arrived, handshake};
use bytes::Bytes;
use decision::{Call, Code, Digest, Direction, Era, ItemKind, Outcome, Passed, Refusal};
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
    replay::note(live, resolved, &arrived, leg);
    let frame = &arrived.frame;
    let body = frame.result_raw().or_else(|| frame.error_raw()).unwrap_or_default();
    let whole = frame.bytes().slice_ref(body);
    let is_error = is_error(resolved, frame);
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
    let (mut would_refuse, mut asks) = (None, None);
    let mut told = arrived.answer.clone();
    let mut basis = vec![format!("{} bytes", frame.bytes().len())];
    if !leg.masked.is_empty() {
        basis.push(format!("masked:{}", leg.masked));
    }
    if frame.kind() == Kind::Response && call.direction() == Direction::ToServer {
        let speaks = resolved.way.era() == Era::Modern || arrived.asks;
        let whole = frame.result_raw().unwrap_or_default();
        match if speaks { follows(resolved, frame, leg)? } else { Follows::Nothing } {
            Follows::Answers if resolved.way.crossing == Some(Crossing::LegacyToModern) => {
                asks = Some(crate::rounds::read(gate, resolved, asker, frame, leg)?);
            }
            Follows::Answers => {
                let requests = frame.at(&["result", "inputRequests"]).unwrap_or_default();
                let asked = rounds(gate, live, call, asker, requests);
                let asked = asked.inspect_err(|_| give_up(gate, call, &arrived))?;
                would_refuse = asked.would_refuse;
                basis.extend(asked.basis);
                told = deeds::hold(gate, resolved, asker, leg, frame, told)?;
            }
            Follows::Task => told = tasks::begun(gate, resolved, asker, leg, frame, told)?,
            Follows::Nothing if resolved.method.name == "tools/call" => {
                observed::note(gate, live, call, resolved, whole, leg);
                basis.extend(structure(live, resolved.target.definition, whole)?);
            }
            Follows::Nothing if resolved.method.name == "tasks/get" => {
                let judged = task(gate, live, call, resolved, asker, whole, leg)?;
                would_refuse = judged.would_refuse;
                basis.extend(judged.basis);
                told = tasks::under_handle(resolved, told)?;
            }
            Follows::Nothing if tasks::is_about_one(resolved.method) => tasks::acknowledged(whole)?,
            Follows::Nothing => {}
        }
    }
    if call.direction() == Direction::ToHost {
        let judged = answers::given(gate, live, call, body)?;
        would_refuse = judged.would_refuse;
        basis.extend(judged.basis);
    }
    if let Some(asks) = asks {
        return Ok(Passed::new(Answer::Asks(asks), basis));
    }
    Ok(Passed { would_refuse, ..Passed::new(as_answer(resolved, frame, told)?, basis) })
}

fn as_answer(resolved: &Resolved, frame: &wire::Frame, told: Bytes) -> Result<Answer, Refusal> {
    Ok(match frame.kind() {
        Kind::ErrorResponse => Answer::Failed(told, failed(resolved, frame)?),
        Kind::Response | Kind::Request | Kind::Notification => Answer::Message(told),
    })
}

/// What a server says of a task: its questions are questions, and its result is a tool's.
fn task(
    gate: &Gate,
    live: &Live,
    call: &Call,
    resolved: &Resolved,
    asker: &Asker,
    raw: &[u8],
    leg: &mut Leg,
) -> Result<Passed<()>, Refusal> {
    let standing = tasks::read(own(resolved), raw)?;
    leg.goes_on = matches!(standing, Standing::Asks(_) | Standing::Plain).then_some(GoesOn::Task);
    match standing {
        Standing::Asks(requests) => rounds(gate, live, call, asker, requests),
        Standing::Done(result) => {
            observed::note(gate, live, call, resolved, result, leg);
            let checked = structure(live, resolved.target.definition, result)?;
            Ok(Passed::new((), checked.into_iter().collect()))
        }
        Standing::Failed | Standing::Plain => Ok(Passed::plain(())),
    }
}

/// What a task id is to the server that gave it, raw.
fn own(resolved: &Resolved) -> &[u8] {
    resolved.state.as_ref().map(|held| held.state.as_slice()).unwrap_or_default()
}

fn is_error(resolved: &Resolved, frame: &wire::Frame) -> bool {
    let of_task = || {
        let read = tasks::read(own(resolved), frame.result_raw().unwrap_or_default());
        read.is_ok_and(|standing| standing.is_error())
    };
    frame.kind() == Kind::ErrorResponse
        || frame.at(&["result", "isError"]).is_some_and(|raw| raw.trim_ascii() == b"true")
        || (resolved.method.name == "tasks/get" && of_task())
}

/// The code under which the client is told of the server's error.
fn failed(resolved: &Resolved, frame: &wire::Frame) -> Result<Option<i64>, Refusal> {
    let code = handshake::error_code(frame);
    if tasks::is_about_one(resolved.method) && code == Some(rpc::INVALID_PARAMS) {
        // as for every other task that is not there; the server's own words may name it
        return Err(Refusal::new(Code::ItemUnknown, "the server does not know the task, or not any more"));
    }
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

/// What comes after a result.
#[derive(PartialEq, Eq)]
enum Follows {
    /// The result is complete.
    Nothing,
    /// The server waits for answers.
    Answers,
    /// The server goes on with it as a task.
    Task,
}

/// `resultType` (SEP-2322, SEP-2663).
fn follows(resolved: &Resolved, frame: &wire::Frame, leg: &mut Leg) -> Result<Follows, Refusal> {
    let native = resolved.way.crossing.is_none();
    let follows = match frame.string_at(&["result", "resultType"]).as_deref() {
        None | Some("complete") => Ok(Follows::Nothing),
        Some("input_required") if resolved.method.multi_round => Ok(Follows::Answers),
        Some("task") if resolved.method.name == "tools/call" && native => Ok(Follows::Task),
        Some(other) => {
            let other = crate::route::short(other);
            let because = format!("`{other}` is not a result type of this method");
            Err(Refusal::new(Code::UpstreamNonsense, because))
        }
    }?;
    leg.goes_on = match follows {
        Follows::Answers => Some(GoesOn::Answers),
        Follows::Task => Some(GoesOn::Task),
        Follows::Nothing => tasks::is_about_one(resolved.method).then_some(GoesOn::Task),
    };
    Ok(follows)
}

/// A legacy server's questions may not be put: its call goes no further.
fn give_up(gate: &Gate, call: &Call, arrived: &Arrived) {
    if let Some(state) = arrived.frame.string_at(&["result", "requestState"]).filter(|_| arrived.asks) {
        gate.parked.forget(gate, &state, call);
    }
}

/// Questions of the server, which the rules must permit like any other.
fn rounds(
    gate: &Gate,
    live: &Live,
    call: &Call,
    asker: &Asker,
    requests: &[u8],
) -> Result<Passed<()>, Refusal> {
    questions(live, Question::of(call, b"", gate.clock.now()), asker, requests)
}

/// The same of what is asked beside a call.
pub(crate) fn questions(
    live: &Live,
    about: Question<'_>,
    asker: &Asker,
    requests: &[u8],
) -> Result<Passed<()>, Refusal> {
    let server = about.subject.server;
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
        crate::visits::lead_to_pages(question.name, wire::json::member(request, "params"))?;
        let mut asked = about;
        asked.subject = Subject { server, kind: ItemKind::Question, name: question.name };
        asked.method = question.name;
        let answer = live.policies.call(&asked).judged(Asked::Call);
        let passed = permission::settle(live, server, answer)?;
        live.registry.check(server, ItemKind::Question, question.name)?;
        all.basis.push(format!("asks:{} {}", question.name, passed.basis.join(" ")));
        all.would_refuse = passed.would_refuse.or(all.would_refuse);
    }
    Ok(all)
}

/// Structured content against the pinned output schema (requirement S3).
///
/// That of an error is not held against it: the schema says what a tool answers when it did what it is for, and official
/// clients (TypeScript 2, Python 2) look at the structured content of a result only where it is no error. Like every answer it is
/// bounded and searched for credentials before it comes here. A result without `content` passes as it came: TypeScript SDK 1 and
/// the Rust SDK read none as an empty list, and others say themselves what they miss.
pub(crate) fn structure(
    live: &Live,
    definition: Option<Digest>,
    result: &[u8],
) -> Result<Option<String>, Refusal> {
    let is_error = wire::json::bool_member(result, "isError") == Some(true);
    let Some(definition) = definition.filter(|_| !is_error) else {
        return Ok(None);
    };
    let invalid = |why: String| Err(Refusal::new(Code::ResultInvalid, why));
    let schema = match live.schemas.output(definition) {
        None => return Ok(None),
        Some(Err(e)) => return Err(Refusal::new(Code::SchemaUnenforceable, format!("output schema: {e}"))),
        Some(Ok(schema)) => schema,
    };
    let Some(raw) = wire::json::member(result, "structuredContent") else {
        return invalid("the pinned definition promises structured content, and there is none".to_owned());
    };
    match serde_json::from_slice(raw) {
        Ok(value) => match schema.fits(&value, raw.len()) {
            Fits::Yes => Ok(Some("output schema".to_owned())),
            Fits::No(problems) => invalid(problems.join("; ")),
            Fits::Unbounded => Err(Refusal::new(Code::SchemaUnenforceable, UNBOUNDED)),
        },
        Err(e) => invalid(format!("the structured content cannot be read: {e}")),
    }
}
