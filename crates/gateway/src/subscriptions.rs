//! `subscriptions/listen` (2026-07-28, basic/patterns/subscriptions): the gateway is the publisher.
//!
//! Lists change for a principal when the catalogue or the rules do, which only the gateway knows.
//! Updates of single resources are asked of their upstreams as errands. The decision closes at the
//! acknowledgement; what is delivered later is recorded as events.

use crate::authenticate::Asker;
use crate::errands::{self, Watching, Wish};
use crate::exchange::{Arrival, Found, Outlet};
use crate::gate::{Change, Gate, Live};
use crate::host_side::behind;
use crate::record::{self, Leg};
use crate::reply::Answer;
use crate::tasks::{self, Followed};
use crate::upstream::{FromServer, InFlight};
use crate::{lists, permission, resolve};
use bytes::Bytes;
use decision::{CallId, Code, Digest, EventName, ItemKind, Passed, Refusal, ServerName, Stage};
use identity::oauth::Width;
use policy::{Asked, Circumstances, Question, Subject};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Most resources one subscription may name.
const RESOURCES_MAX: usize = 64;
/// Most tasks one subscription may name.
const TASKS_MAX: usize = 64;
/// Notices of tasks that may wait to be delivered.
const NOTICES_MAX: usize = 64;

/// Between two looks whether the subscriber's token is still good.
const STANDING_EVERY: Duration = Duration::from_secs(5);

/// What a subscription delivers, and to whom.
struct Subscription {
    /// The request's id as it came; every message names it.
    id: Value,
    lists: Vec<(&'static str, ItemKind)>,
    resources: Vec<(ServerName, String)>,
    tasks: Vec<Followed>,
    /// Digest of each list as it was shown last.
    shown: BTreeMap<&'static str, Digest>,
    call: CallId,
    arrival: Arrival,
    asker: Asker,
    host: Option<String>,
    /// Watches on the lists of the servers behind it.
    watching: Vec<Arc<Watching>>,
    /// Cancelled when the subscription is over; what watches upstreams for it then stops.
    over: CancellationToken,
}

const TASKS: &str = "notifications/tasks";
/// A method, its message, and what the record says of it.
type Told = (&'static str, Bytes, BTreeMap<String, String>);
type Notices = mpsc::Receiver<(ServerName, FromServer)>;

const LISTS: [(&str, &str, ItemKind); 3] = [
    ("toolsListChanged", "notifications/tools/list_changed", ItemKind::Tool),
    ("promptsListChanged", "notifications/prompts/list_changed", ItemKind::Prompt),
    ("resourcesListChanged", "notifications/resources/list_changed", ItemKind::Resource),
];

/// Acknowledges what is granted and goes on delivering it until either side ends it.
pub(crate) fn listen(
    gate: &Arc<Gate>,
    live: &Arc<Live>,
    arrival: &Arrival,
    frame: &wire::Frame,
    asker: &Asker,
    leg: &mut Leg,
) -> Result<Answer, Refusal> {
    let wanted =
        frame.at(&["params", "notifications"]).ok_or_else(|| invalid("`notifications` is missing"))?;
    let wanted: Value =
        serde_json::from_slice(wanted).map_err(|_| invalid("`notifications` must be an object"))?;
    let id = frame.id_raw().and_then(|raw| serde_json::from_slice(raw).ok()).unwrap_or(Value::Null);
    let mut subscription = Subscription {
        id,
        lists: LISTS
            .iter()
            .filter(|(key, _, _)| wanted.get(key) == Some(&Value::Bool(true)))
            .map(|(_, method, kind)| (*method, *kind))
            .collect(),
        resources: Vec::new(),
        tasks: tasks::followed(gate, live, arrival, asker, leg.claims.host.as_deref(), &wanted),
        shown: BTreeMap::new(),
        call: leg.call_id(),
        arrival: copy(arrival),
        asker: Asker {
            principal: Arc::clone(&asker.principal),
            session: asker.session.clone(),
            revision: asker.revision,
            capabilities: asker.capabilities.clone(),
            standing: asker.standing.clone(),
        },
        host: leg.claims.host.clone(),
        watching: Vec::new(),
        over: arrival.cancel.child_token(),
    };
    let uris = wanted.get("resourceSubscriptions").and_then(Value::as_array).cloned().unwrap_or_default();
    if uris.len() > RESOURCES_MAX {
        return Err(invalid("at most 64 resources may be subscribed to at once"));
    }
    let ruled = subscription.grant(gate, live, &uris)?;
    leg.pass(Stage::Rules, Ok(ruled))?;
    if subscription.tasks.len() > TASKS_MAX {
        return Err(invalid("at most 64 tasks may be followed at once"));
    }
    for (method, _) in subscription.lists.clone() {
        subscription.changed(live, method);
    }
    let ack = subscription.message(
        "notifications/subscriptions/acknowledged",
        json!({ "notifications": subscription.granted() }),
    );
    leg.shown = Some(Digest::of(&ack));
    // over a pipe it is ended by its id
    let in_flight = InFlight::begin(asker, frame, &arrival.cancel, arrival)?;
    let changes = gate.changes.subscribe();
    let (gate, outlet, cancel) = (Arc::clone(gate), arrival.outlet.clone(), arrival.cancel.clone());
    let subscription_over = subscription.over.clone();
    let (recorded, is_recorded) = tokio::sync::oneshot::channel();
    let notices = subscription.watch(&gate, live);
    tokio::spawn(async move {
        // not a word before the record of it is durable
        if is_recorded.await.is_ok() && outlet.send(ack).await.is_ok() {
            subscription.deliver(&gate, changes, notices, &outlet, &cancel).await;
        }
        drop(in_flight);
        subscription_over.cancel();
    });
    Ok(Answer::Subscribed(recorded))
}

fn invalid(what: &str) -> Refusal {
    Refusal::new(Code::ArgumentsInvalid, what).told(what)
}

fn copy(arrival: &Arrival) -> Arrival {
    Arrival {
        inbound: Ok(crate::exchange::Inbound::EndSession),
        party: arrival.party.clone(),
        transport: arrival.transport,
        entrance: arrival.entrance.clone(),
        presented: crate::exchange::Presented::Nothing,
        facts: crate::exchange::Facts::default(),
        session: arrival.session.clone(),
        outlet: arrival.outlet.clone(),
        cancel: arrival.cancel.clone(),
        round: None,
        credential: None,
        found: Found::default(),
        walking: std::sync::OnceLock::new(),
    }
}

impl Subscription {
    /// What of the wish is granted, as the acknowledgement says it.
    fn granted(&self) -> Map<String, Value> {
        let mut granted = Map::new();
        for (key, method, _) in LISTS {
            if self.lists.iter().any(|(listed, _)| *listed == method) {
                granted.insert(key.to_owned(), Value::Bool(true));
            }
        }
        if !self.resources.is_empty() {
            let uris: Vec<&str> = self.resources.iter().map(|(_, uri)| uri.as_str()).collect();
            granted.insert("resourceSubscriptions".to_owned(), json!(uris));
        }
        if !self.tasks.is_empty() {
            granted.insert("taskIds".to_owned(), self.tasks.iter().map(Followed::handle).collect());
        }
        granted
    }

    /// The server whose visible resource this is, if it is one server's: as `resources/subscribe` would find it.
    fn owner(&self, live: &Live, uri: &str) -> Option<ServerName> {
        let kind = ItemKind::Resource;
        let mut owners = behind(live, &self.arrival.entrance).into_iter().filter(|(server, _)| {
            matches!(resolve::lookup(&live.catalogue, server, kind, uri), Ok(Some(_)))
                && permission::visible(live, &self.asker.principal, self.host.as_deref(), server, kind, uri)
        });
        let (owner, _) = owners.next()?;
        owners.next().is_none().then(|| owner.clone())
    }

    /// Takes the resources that may be subscribed to. The acknowledgement says what is granted, and the record by which
    /// rules, and what is not.
    fn grant(&mut self, gate: &Gate, live: &Live, uris: &[Value]) -> Result<Passed<()>, Refusal> {
        let mut all = Passed::plain(());
        for uri in uris.iter().filter_map(Value::as_str) {
            let Some(server) = self.owner(live, uri) else {
                continue;
            };
            permission::wide_enough(live, &server, Width::Read, &self.asker)?;
            match self.ruled(gate, live, &server, uri) {
                Ok(passed) => {
                    all.basis.extend(passed.basis);
                    all.would_refuse = passed.would_refuse.or(all.would_refuse);
                    self.resources.push((server, uri.to_owned()));
                }
                Err(refusal) => {
                    all.basis.push(format!("not:{}", crate::route::short(uri)));
                    all.basis.extend(refusal.basis.iter().map(|rule| format!("rule:{rule}")));
                }
            }
        }
        all.basis.dedup();
        Ok(all)
    }

    fn circumstances(&self, gate: &Gate) -> Circumstances<'_> {
        Circumstances {
            now: gate.clock.now(),
            transport: self.arrival.transport,
            era: Some(self.asker.era()),
            model: None,
            workflow: None,
        }
    }

    /// May this resource be subscribed to now: what a legacy Host's `resources/subscribe` is asked.
    fn ruled(&self, gate: &Gate, live: &Live, server: &ServerName, uri: &str) -> Result<Passed<()>, Refusal> {
        let question = Question {
            asker: policy::Asker { principal: &self.asker.principal, host: self.host.as_deref() },
            subject: Subject { server, kind: ItemKind::Resource, name: uri },
            method: "subscriptions/listen",
            arguments: b"",
            circumstances: self.circumstances(gate),
        };
        permission::settle(live, server, live.policies.call(&question).judged(Asked::Call))
    }

    /// Asks the upstreams to say when the granted resources change, one errand per server.
    fn watch(&mut self, gate: &Arc<Gate>, live: &Arc<Live>) -> Notices {
        let mut by_server: BTreeMap<ServerName, Vec<String>> = BTreeMap::new();
        for (server, uri) in &self.resources {
            by_server.entry(server.clone()).or_default().push(uri.clone());
        }
        for (server, uris) in by_server {
            // of a server that keeps sessions it is the one that the listener's calls are made in
            let capabilities = self.asker.capabilities.clone();
            let asker = Asker { capabilities, ..errands::listener(&self.asker.principal) };
            let (gate, over) = (Arc::clone(gate), self.over.clone());
            let wish = Wish { uris, ..Wish::default() };
            tokio::spawn(async move { errands::watch(&gate, &server, &wish, &asker, &over, None).await });
        }
        if !self.lists.is_empty() {
            let (entrance, client) = (&self.arrival.entrance, self.asker.revision);
            self.watching = lists::watch(gate, live, entrance, &self.asker.principal, client);
        }
        self.follow(gate)
    }

    /// Asks the upstreams to say how the tasks stand. One that does not is not asked again: it can be polled.
    fn follow(&self, gate: &Arc<Gate>) -> Notices {
        let (told, notices) = mpsc::channel(NOTICES_MAX);
        let mut by_server: BTreeMap<&ServerName, Vec<String>> = BTreeMap::new();
        for task in &self.tasks {
            by_server.entry(task.server()).or_default().push(task.id().to_owned());
        }
        for (server, tasks) in by_server {
            let mut asker = errands::listener(&self.asker.principal);
            asker.capabilities = self.asker.capabilities.clone();
            let (gate, server, over) = (Arc::clone(gate), server.clone(), self.over.clone());
            let wish = Wish { tasks, told: Some(told.clone()), ..Wish::default() };
            let (began, _) = tokio::sync::oneshot::channel();
            tokio::spawn(async move {
                errands::watch(&gate, &server, &wish, &asker, &over, Some(began)).await;
            });
        }
        notices
    }

    /// What is told of one task, where it may be.
    fn task(&self, gate: &Gate, live: &Live, server: &ServerName, message: &FromServer) -> Option<Told> {
        let task = self.tasks.iter().find(|task| task.is_meant(server, &message.frame))?;
        let circumstances = self.circumstances(gate);
        let (host, id) = (self.host.as_deref(), self.id.to_string());
        match task.notice(live, &self.asker, circumstances, host, &message.frame, &id) {
            Ok(frame) => {
                let mut detail = BTreeMap::from([("deed".to_owned(), task.deed().to_string())]);
                if !message.masked.is_empty() {
                    detail.insert("masked".to_owned(), message.masked.to_string());
                }
                Some((TASKS, frame, detail))
            }
            Err(refusal) => {
                tracing::warn!(server = %server, because = %refusal.because, "what a server tells of a task is withheld");
                None
            }
        }
    }

    fn message(&self, method: &str, params: Value) -> Bytes {
        let mut params = params;
        if let Value::Object(members) = &mut params {
            members.insert("_meta".to_owned(), json!({ wire::era::META_SUBSCRIPTION_ID: self.id }));
        }
        wire::rpc::notification(method, Some(params.to_string().as_bytes()))
    }

    /// Whether the list this notice is about looks different to this principal now.
    fn changed(&mut self, live: &Live, method: &'static str) -> bool {
        let kinds: &[ItemKind] = match LISTS.iter().find(|(_, listed, _)| *listed == method) {
            Some((_, _, ItemKind::Resource)) => &[ItemKind::Resource, ItemKind::ResourceTemplate],
            Some((_, _, kind)) => std::slice::from_ref(kind),
            None => &[],
        };
        let shown =
            |kind: &ItemKind| lists::visible(live, &self.arrival, *kind, &self.asker, self.host.as_deref());
        let shown: Vec<_> = kinds.iter().map(shown).collect();
        let digest = lists::digest(shown.iter().flat_map(|list| list.iter()));
        self.shown.insert(method, digest) != Some(digest)
    }

    async fn deliver(
        mut self,
        gate: &Arc<Gate>,
        mut changes: tokio::sync::broadcast::Receiver<Change>,
        mut notices: Notices,
        outlet: &Outlet,
        cancel: &CancellationToken,
    ) {
        loop {
            let mut notice = None;
            let change = tokio::select! {
                change = changes.recv() => Some(change),
                Some(heard) = notices.recv() => {
                    notice = Some(heard);
                    None
                }
                () = tokio::time::sleep(STANDING_EVERY) => None,
                () = cancel.cancelled() => return,
                () = outlet.closed() => return,
            };
            let live = gate.live();
            // a token taken away wakes us, as every change of the store does; one that ran out does not
            if self.asker.lapse(gate, &live).await.is_some() {
                return;
            }
            let of_task = notice.and_then(|(server, message)| self.task(gate, &live, &server, &message));
            let frames = match change {
                None => Vec::new(),
                Some(Ok(Change::Lists)) => self.lists(&live),
                // what was missed may have been about any of them
                Some(Err(RecvError::Lagged(_))) => {
                    let mut frames = self.lists(&live);
                    for (server, uri) in &self.resources {
                        frames.extend(self.resource(gate, &live, server, uri));
                    }
                    frames
                }
                Some(Ok(Change::Resource { of, .. }))
                    if !Gate::concerns(of.as_ref(), &self.asker.principal) =>
                {
                    Vec::new()
                }
                Some(Ok(Change::Resource { server, uri, .. })) => self.resource(gate, &live, &server, &uri),
                Some(Err(RecvError::Closed)) => return,
            };
            let frames = frames.into_iter().map(|(method, frame)| (method, frame, BTreeMap::new()));
            for (method, frame, mut detail) in frames.chain(of_task) {
                detail.insert("method".to_owned(), method.to_owned());
                let written =
                    record::event(gate, &live, EventName::MessageRelayed, Some(self.call), None, detail)
                        .await;
                if written.is_err() || outlet.send(frame).await.is_err() {
                    return;
                }
            }
        }
    }

    fn lists(&mut self, live: &Live) -> Vec<(&'static str, Bytes)> {
        let methods: Vec<_> = self.lists.iter().map(|(method, _)| *method).collect();
        let changed: Vec<_> = methods.into_iter().filter(|method| self.changed(live, method)).collect();
        changed.into_iter().map(|method| (method, self.message(method, json!({})))).collect()
    }

    fn resource(
        &self,
        gate: &Gate,
        live: &Live,
        server: &ServerName,
        uri: &str,
    ) -> Vec<(&'static str, Bytes)> {
        let subscribed = self.resources.iter().any(|(owner, known)| owner == server && known == uri);
        // access may have been taken away since
        let may =
            || self.owner(live, uri).as_ref() == Some(server) && self.ruled(gate, live, server, uri).is_ok();
        if !subscribed || !may() {
            return Vec::new();
        }
        let method = "notifications/resources/updated";
        vec![(method, self.message(method, json!({ "uri": uri })))]
    }
}
