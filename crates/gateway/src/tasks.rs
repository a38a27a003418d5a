//! Tasks (2026-07-28, SEP-2663): a tool call that goes on after its answer, and is polled until it is over.
//!
//! The server's own task id stays here. The client gets a handle in its place, which holds the id, what it is about
//! and the deed it belongs to, sealed and bound to the principal; nothing is kept, so it outlives a restart. Another's
//! handle, a changed and a made-up one, and one whose tool was taken away since, are one and the same to whoever
//! shows them: unknown.
//!
//! Every message about a task is a leg of the deed and walks the whole path, aimed at the tool that began it under
//! the definition it began under. It has no arguments of its own that a rule could read, and those of the tool were
//! judged when it began: so it is asked of the rules as *see* is. Whoever loses the tool loses its tasks, and a rule
//! on arguments neither fails here nor is passed by.

use crate::authenticate::Asker;
use crate::deeds::Held;
use crate::exchange::{Arrival, Entrance};
use crate::gate::{Gate, Live, Peer};
use crate::handles::{self, Bound, Kind};
use crate::reach::Pending;
use crate::record::Leg;
use crate::resolve::Resolved;
use crate::{inspect_result, permission};
use bytes::Bytes;
use decision::{Code, DeedId, Digest, Era, Item, ItemKind, Principal, Refusal, ServerName, Target};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use wire::bridge::capabilities::TASKS;
use wire::json::{self, Value};

/// Longest task id of a server, as it is written; with a handle around it, it must still fit into a header.
const ID_BYTES_MAX: usize = 1_024;
/// Most deeds whose last leg is remembered; that of the oldest is forgotten first, and counts from its beginning.
const COUNTED_MAX: usize = 4_096;

/// What a handle stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Task {
    deed: DeedId,
    /// The leg that began it.
    leg: u32,
    pub(crate) server: ServerName,
    pub(crate) tool: String,
    definition: Digest,
    /// The server's own id, as it is written.
    id: String,
}

impl Task {
    fn target(&self) -> Target {
        let item = Item { kind: ItemKind::Tool, name: self.tool.clone() };
        Target { server: self.server.clone(), item, definition: Some(self.definition) }
    }
    fn bound(principal: &Principal) -> Bound {
        Bound::to(Kind::Task, principal, &[])
    }
    fn seal(&self, gate: &Gate, principal: &Principal) -> Option<String> {
        let inner = serde_json::to_vec(self).ok()?;
        Some(handles::seal(gate, &Self::bound(principal), &inner))
    }
    /// What this principal's handle stands for, where it may be used at this entrance.
    pub(crate) fn open(
        gate: &Gate,
        principal: &Principal,
        entrance: &Entrance,
        handle: &str,
    ) -> Option<Self> {
        let inner = handles::open(gate, &Self::bound(principal), handle)?;
        let task: Self = serde_json::from_slice(&inner).ok()?;
        let here = match entrance {
            Entrance::Federated => true,
            Entrance::Server(name) => *name == task.server.as_str(),
        };
        here.then_some(task)
    }
}

/// A task that a subscription tells of.
#[derive(Debug)]
pub(crate) struct Followed {
    task: Task,
    handle: String,
}

/// Those of the handles that this principal may follow here.
pub(crate) fn followed(
    gate: &Gate,
    live: &Live,
    arrival: &Arrival,
    asker: &Asker,
    host: Option<&str>,
    wanted: &serde_json::Value,
) -> Vec<Followed> {
    let handles = wanted.get("taskIds").and_then(serde_json::Value::as_array).into_iter().flatten();
    let handles = handles.filter_map(serde_json::Value::as_str).filter(|_| are_followed_by(asker));
    let open = |handle: &str| {
        let task = Task::open(gate, &asker.principal, &arrival.entrance, handle)?;
        let followed = Followed { task, handle: handle.to_owned() };
        followed.is_visible(live, asker, host).then_some(followed)
    };
    handles.filter_map(open).collect()
}

impl Followed {
    pub(crate) fn server(&self) -> &ServerName {
        &self.task.server
    }
    pub(crate) fn handle(&self) -> &str {
        &self.handle
    }
    pub(crate) fn deed(&self) -> DeedId {
        self.task.deed
    }
    /// The server's own id, raw.
    pub(crate) fn id(&self) -> &str {
        &self.task.id
    }
    /// Whether a server's notice is about it.
    pub(crate) fn is_meant(&self, server: &ServerName, notice: &wire::Frame) -> bool {
        let named = notice.string_at(&["params", "taskId"]);
        *server == self.task.server
            && named.is_some()
            && named == json::decode_string(self.task.id.as_bytes())
    }
    /// Whether its tool is still there to be seen, as it was when the task began.
    fn is_visible(&self, live: &Live, asker: &Asker, host: Option<&str>) -> bool {
        let Task { server, tool, definition, .. } = &self.task;
        let item = live.catalogue.item(server, ItemKind::Tool, tool);
        let native = live.peers.get(server).map(|peer| wire::Way::new(asker.revision, peer.eras).crossing);
        item.is_some_and(|item| item.definition.digest() == *definition)
            && native == Some(None)
            && permission::visible(live, &asker.principal, host, server, ItemKind::Tool, tool)
    }
    /// The notice as the client may read it, judged as the answer to a poll is; its id under our handle, for the
    /// subscription of that id.
    pub(crate) fn notice(
        &self,
        live: &Live,
        asker: &Asker,
        circumstances: policy::Circumstances<'_>,
        host: Option<&str>,
        notice: &wire::Frame,
        subscription: &str,
    ) -> Result<Bytes, Refusal> {
        if !self.is_visible(live, asker, host) {
            return Err(Refusal::new(
                Code::NotPermitted,
                "the tool is no longer there for whoever follows the task",
            ));
        }
        let size = notice.bytes().len();
        if size > live.settings.limits.result_bytes_max {
            return Err(Refusal::new(Code::ResultTooLarge, format!("{size} bytes")));
        }
        match read(self.task.id.as_bytes(), notice.params_raw().unwrap_or_default())? {
            Standing::Asks(requests) => {
                let asked = policy::Question {
                    asker: policy::Asker { principal: &asker.principal, host },
                    subject: policy::Subject {
                        server: &self.task.server,
                        kind: ItemKind::Tool,
                        name: &self.task.tool,
                    },
                    method: "tasks/get",
                    arguments: b"",
                    circumstances,
                };
                inspect_result::questions(live, asked, asker, requests)?;
            }
            Standing::Done(result) => {
                inspect_result::structure(live, Some(self.task.definition), result)?;
            }
            Standing::Failed | Standing::Plain => {}
        }
        let at = notice.member(&["params", "taskId"]).unwrap_or_default();
        let splice = wire::Splice::new(notice).replace(at, json::encode_string(&self.handle));
        let splice =
            splice.set_path(&["params", "_meta", wire::era::META_SUBSCRIPTION_ID], subscription.to_owned());
        splice.finish().map_err(|e| nonsense(e.to_string()))
    }
}

/// How far the legs of deeds with tasks have come.
#[derive(Debug, Default)]
pub(crate) struct Polls {
    last: Mutex<(BTreeMap<DeedId, u32>, VecDeque<DeedId>)>,
}

impl Polls {
    fn next(&self, deed: DeedId, began: u32) -> u32 {
        let mut last = self.last.lock();
        let (legs, order) = &mut *last;
        let leg = legs.get(&deed).copied().unwrap_or(began).saturating_add(1);
        if legs.insert(deed, leg).is_none() {
            order.push_back(deed);
        }
        if order.len() > COUNTED_MAX
            && let Some(oldest) = order.pop_front()
        {
            legs.remove(&oldest);
        }
        leg
    }
}

/// Whether a method is about one task.
pub(crate) fn is_about_one(method: &wire::Method) -> bool {
    method.name.starts_with("tasks/")
}

/// Whether a server offers tasks to those who speak its era.
pub(crate) fn are_offered_by(peer: &Peer) -> bool {
    peer.eras.speaks(Era::Modern) && json::at_path(&peer.capabilities, &["extensions", TASKS]).is_some()
}

/// Whether the client said that it can follow a task.
pub(crate) fn are_followed_by(asker: &Asker) -> bool {
    let declared = |raw: &Bytes| json::at_path(raw, &["extensions", TASKS]).is_some();
    asker.era() == Era::Modern && asker.capabilities.as_ref().is_some_and(declared)
}

/// Finds what a message about a task is about: the tool that began it, as it was pinned then.
pub(crate) fn resolve(
    gate: &Gate,
    live: &Live,
    arrival: &Arrival,
    frame: &wire::Frame,
    method: &'static wire::Method,
    asker: &Asker,
    leg: &mut Leg,
) -> Result<Resolved, Refusal> {
    if !are_followed_by(asker) {
        let because = format!("`{}` is for clients that declare the extension `{TASKS}`", method.name);
        return Err(Refusal::new(Code::CapabilityUndeclared, because.clone()).told(because));
    }
    let invalid = || {
        let sentence = format!("`{}` needs a `taskId` that is a string", method.name);
        Refusal::new(Code::ArgumentsInvalid, sentence.clone()).told(sentence)
    };
    let at = frame.member(&["params", "taskId"]).ok_or_else(invalid)?;
    let handle = frame.string_at(&["params", "taskId"]).ok_or_else(invalid)?;
    let task = Task::open(gate, &asker.principal, &arrival.entrance, &handle);
    let own = || Pending::of_task(gate, &asker.principal, &arrival.entrance, &handle);
    let (target, state, waiting) = match task {
        Some(task) => {
            (leg.deed, leg.leg) = (task.deed, gate.polls.next(task.deed, task.leg));
            (task.target(), Some(Held { at, state: task.id.into_bytes() }), None)
        }
        None => {
            let own = own().ok_or_else(|| {
                Refusal::new(Code::ItemUnknown, "the task id was not given to this principal, or not here")
            })?;
            (leg.deed, leg.leg) = (own.deed, gate.polls.next(own.deed, own.leg));
            (own.target(), None, Some(own))
        }
    };
    leg.target = Some(target.clone());
    let item = live.catalogue.item(&target.server, ItemKind::Tool, &target.item.name);
    let item = item.filter(|item| Some(item.definition.digest()) == target.definition).cloned();
    let item = item.ok_or_else(|| {
        Refusal::new(
            Code::ItemWithdrawn,
            "the definition under which the task began is not in force any more",
        )
    })?;
    let eras = live.peers.get(&target.server).map(|peer| peer.eras);
    let way = eras.map(|eras| wire::Way::new(asker.revision, eras));
    // what waits here is at no server yet
    let way = way.filter(|way| way.crossing.is_none() || waiting.is_some());
    let way =
        way.ok_or_else(|| Refusal::new(Code::EraMismatch, "the server does not speak of tasks any more"))?;
    let answers = (method.name == "tasks/update").then(|| frame.member(&["params", "inputResponses"]));
    Ok(Resolved {
        frame: frame.clone(),
        method,
        way,
        target,
        item: Some(item),
        rename: None,
        arguments: answers.flatten(),
        state,
        waiting,
        submits: None,
    })
}

/// Answers to what a task asks: an object of objects, by the keys of its questions.
pub(crate) fn answers(frame: &wire::Frame) -> Result<String, Refusal> {
    let invalid = |sentence: String| Refusal::new(Code::ArgumentsInvalid, sentence.clone()).told(sentence);
    if frame.member(&["params", "inputResponses"]).is_none() {
        return Err(invalid("`tasks/update` needs `inputResponses`".to_owned()));
    }
    let answers = wire::views::input_responses(frame).map_err(|e| invalid(e.to_string()))?;
    Ok(format!("{} answers", answers.len()))
}

fn nonsense(why: impl Into<String>) -> Refusal {
    Refusal::new(Code::UpstreamNonsense, why)
}

/// A call that became a task: the client is given a handle in place of the server's own id.
pub(crate) fn begun(
    gate: &Gate,
    resolved: &Resolved,
    asker: &Asker,
    leg: &Leg,
    frame: &wire::Frame,
    answer: Bytes,
) -> Result<Bytes, Refusal> {
    if !are_followed_by(asker) {
        return Err(nonsense("a task for a client that did not declare that it follows any"));
    }
    let raw = frame.result_raw().unwrap_or_default();
    // its outcome belongs into `tasks/get`, where it is inspected
    let outcome = ["result", "error", "inputRequests", "content", "structuredContent", "requestState"];
    if let Some(key) = outcome.into_iter().find(|key| json::member(raw, key).is_some()) {
        return Err(nonsense(format!("a task that just began has a `{key}`")));
    }
    status(raw)?;
    let id = json::member(raw, "taskId").filter(|raw| json::decode_string(raw).is_some());
    let id = id.and_then(|raw| std::str::from_utf8(raw).ok());
    let id = id.ok_or_else(|| nonsense("a task without an id that is a string"))?;
    if id.len() > ID_BYTES_MAX {
        return Err(nonsense(format!("a task id of more than {ID_BYTES_MAX} bytes")));
    }
    let definition = resolved.target.definition;
    let task = Task {
        deed: leg.deed,
        leg: leg.leg,
        server: resolved.target.server.clone(),
        tool: resolved.target.item.name.clone(),
        definition: definition.ok_or_else(|| nonsense("a task of what has no definition"))?,
        id: id.to_owned(),
    };
    let handle = task.seal(gate, &asker.principal).ok_or_else(|| nonsense("a task that cannot be named"))?;
    handles::put(answer, &["result", "taskId"], json::encode_string(&handle).into())
}

/// How a task stands, with what there is to inspect of it.
#[derive(Debug)]
pub(crate) enum Standing<'a> {
    /// Nothing to see yet, or any more.
    Plain,
    /// It asks: the raw `inputRequests`.
    Asks(&'a [u8]),
    /// It is done: the raw result of the tool.
    Done(&'a [u8]),
    /// It broke.
    Failed,
}

impl Standing<'_> {
    /// Whether it ended with an error, the tool's own or another.
    pub(crate) fn is_error(&self) -> bool {
        match self {
            Self::Plain | Self::Asks(_) => false,
            Self::Done(result) => json::bool_member(result, "isError") == Some(true),
            Self::Failed => true,
        }
    }
}

fn status(raw: &[u8]) -> Result<&'static str, Refusal> {
    const ALL: [&str; 5] = ["working", "input_required", "completed", "failed", "cancelled"];
    let said = json::string_member(raw, "status");
    let known = ALL.into_iter().find(|known| said.as_deref() == Some(known));
    known.ok_or_else(|| nonsense("a task whose status is none that there is"))
}

/// Reads what a server says of a task: one that it was asked about, and no more than its status allows.
pub(crate) fn read<'a>(own: &[u8], raw: &'a [u8]) -> Result<Standing<'a>, Refusal> {
    let named = json::string_member(raw, "taskId").ok_or_else(|| nonsense("a task without an id"))?;
    if json::decode_string(own) != Some(named) {
        return Err(nonsense("another task than was asked for"));
    }
    let status = status(raw)?;
    let allowed = match status {
        "input_required" => Some("inputRequests"),
        "completed" => Some("result"),
        "failed" => Some("error"),
        _ => None,
    };
    for key in ["inputRequests", "result", "error"] {
        let told = json::member(raw, key).map(json::Value::of).filter(|kind| *kind != Some(Value::Null));
        if told != (allowed == Some(key)).then_some(Some(Value::Object)) {
            return Err(nonsense(format!("a task that is `{status}`, and its `{key}`")));
        }
    }
    for key in ["content", "structuredContent", "requestState"] {
        if json::member(raw, key).is_some() {
            return Err(nonsense(format!("a task with a `{key}` beside its result")));
        }
    }
    let part = allowed.and_then(|key| json::member(raw, key)).unwrap_or_default();
    let kind = json::member(part, "resultType").filter(|_| status == "completed");
    if kind.is_some_and(|kind| json::decode_string(kind).as_deref() != Some("complete")) {
        return Err(nonsense("the result of a task is not complete"));
    }
    Ok(match status {
        "input_required" => Standing::Asks(part),
        "completed" => Standing::Done(part),
        "failed" => Standing::Failed,
        _ => Standing::Plain,
    })
}

/// Puts the client's own handle back in place of the server's id.
pub(crate) fn under_handle(resolved: &Resolved, answer: Bytes) -> Result<Bytes, Refusal> {
    let at = resolved.state.as_ref().map(|held| held.at.clone()).unwrap_or_default();
    handles::put(answer, &["result", "taskId"], resolved.frame.share(at))
}

/// `tasks/update` and `tasks/cancel` are acknowledged, and nothing is told with that.
pub(crate) fn acknowledged(raw: &[u8]) -> Result<(), Refusal> {
    let told = ["taskId", "status", "result", "error", "inputRequests", "content", "structuredContent"];
    match told.into_iter().find(|key| json::member(raw, key).is_some()) {
        Some(key) => Err(nonsense(format!("an acknowledgement with a `{key}`"))),
        None => Ok(()),
    }
}
