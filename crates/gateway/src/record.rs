//! The record of one leg, open while the call is on its way, and the pen that writes it.
//!
//! Exactly one intent and one decision per request. For a call that leaves, the intent is durable
//! first; for everything else both are written together when it is over.

mod happened;
mod kept;
mod short;

use crate::approval::Waits;
use crate::commit::Spent;
use crate::exchange::{Arrival, Party};
use crate::gate::{Gate, Live};
use crate::observed::Saw;
use crate::reach::Only;
use crate::replay::Keyed;
use crate::settings::Authority;
use crate::{strangers, unrecorded};
use bytes::Bytes;
use decision::{
    Actor, Call, CallId, Channel, Claims, Code, Commitment, Decision, DeedId, Digest, Direction, Disclosure,
    DraftId, Ending, Entry, Era, EventName, Intent, InteractionId, Item, Outcome, Passed, Permit, Principal,
    Refusal, ServerName, Slot, Stage, Target, Trail,
};
pub(crate) use happened::{event, event_entry};
use kept::{can_keep, ended};
use short::{bound, cut, named, shorten};
use std::{net::IpAddr, sync::Arc};
use store::ledger::{Attending, KeptRoom, Record, VALUE_BYTES_MAX};

/// Longest method name an entry keeps.
const METHOD_CHARS_MAX: usize = 120;
/// Longest reason an entry keeps.
const BECAUSE_CHARS_MAX: usize = 2_000;

/// What the reply needs of the message.
#[derive(Debug, Default)]
pub(crate) struct Overheard {
    /// The JSON-RPC id as it came.
    pub(crate) id: Option<Vec<u8>>,
    /// A notification or an answer, to which nothing is replied.
    pub(crate) is_message: bool,
    /// The name or URI it asks for, cut.
    pub(crate) item: Option<String>,
}

/// What a deed waits for after a leg of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GoesOn {
    /// Its client's answers to the server's questions.
    Answers,
    /// A task, which its client polls.
    Task,
}

/// The open record of one request.
#[derive(Debug)]
pub(crate) struct Leg {
    trail: Trail,
    pub(crate) heard: Overheard,
    pub(crate) deed: DeedId,
    pub(crate) leg: u32,
    pub(crate) direction: Direction,
    errand: bool,
    pub(crate) principal: Arc<Principal>,
    pub(crate) interaction: InteractionId,
    pub(crate) channel: Channel,
    pub(crate) claims: Claims,
    pub(crate) method: Option<String>,
    pub(crate) target: Option<Target>,
    /// What was named and is nothing here.
    pub(crate) asked: Option<Item>,
    bytes: u64,
    arguments: Option<Disclosure>,
    result: Option<Disclosure>,
    policy: Option<Digest>,
    pub(crate) dispatched: bool,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) shown: Option<Digest>,
    pub(crate) progress: u64,
    /// The server said beside its answer that a resource was updated.
    pub(crate) updated: bool,
    /// What a call of a read was seen to do.
    pub(crate) saw: Option<Saw>,
    pub(crate) observed: bool,
    /// Credentials that were taken out of what the server said.
    pub(crate) masked: inspect::Hits,
    /// It waits for people.
    pub(crate) waits: Option<Waits>,
    /// The only approval it may use.
    pub(crate) only: Option<Only>,
    /// What programs are told of its approval.
    pub(crate) about: Option<serde_json::Value>,
    /// What is known of its key.
    pub(crate) keyed: Keyed,
    /// What it used of people's yes, of budgets and of keys.
    pub(crate) spent: Option<Spent>,
    /// The draft it submitted.
    pub(crate) draft: Option<DraftId>,
    /// Another leg of the same deed follows, and with what.
    pub(crate) goes_on: Option<GoesOn>,
    /// What the next stage's evidence says beside its own.
    pub(crate) notes: Vec<String>,
    /// Entries that become durable with the intent.
    pub(crate) also: Vec<Record>,
    attending: Option<Attending>,
    /// The address it came from, for the record of whoever is nobody.
    from: Option<IpAddr>,
    /// Room on the disk for its decision, since its intent is durable.
    room: Option<KeptRoom>,
}

impl Leg {
    /// Opens the record of a message before anything about it is known.
    pub(crate) fn open(gate: &Gate, live: &Live, arrival: &Arrival) -> Self {
        let now = gate.clock.now();
        let call = CallId::new(now, gate.random());
        let principal = Principal {
            tenant: live.settings.tenant.clone(),
            environment: live.settings.environment.clone(),
            ..Principal::unknown()
        };
        let channel = Channel {
            transport: arrival.transport,
            era: None,
            revision: None,
            server_era: None,
            entrance: arrival.entrance.label(),
        };
        let mut leg = Self {
            direction: match arrival.party {
                Party::Host => Direction::ToServer,
                Party::Server(_) => Direction::ToHost,
            },
            bytes: arrival.size(),
            from: arrival.facts.peer,
            ..Self::blank(gate, live, Trail::open(call, now), principal, channel)
        };
        if let Some(round) = &arrival.round {
            (leg.deed, leg.leg, leg.keyed.inherits) = (round.deed, round.leg, round.key);
            let alone = round.alone;
            leg.only = round.only.map(|approval| Only { approval, subject: None, declined: false, alone });
        }
        if let Some(session) = &arrival.session {
            leg.interaction = session.interaction.clone();
        }
        leg
    }

    /// Opens the record of an errand of the gateway's own.
    pub(crate) fn errand(gate: &Gate, live: &Live, server: &ServerName, method: &str) -> Self {
        let now = gate.clock.now();
        let call = CallId::new(now, gate.random());
        let principal = Principal::gateway(live.settings.tenant.clone(), live.settings.environment.clone());
        let channel = Channel {
            transport: decision::Transport::Internal,
            era: None,
            revision: None,
            server_era: None,
            entrance: server.to_string(),
        };
        Self {
            errand: true,
            method: Some(method.to_owned()),
            target: Some(Target {
                server: server.clone(),
                item: decision::Item { kind: decision::ItemKind::Server, name: server.to_string() },
                definition: None,
            }),
            ..Self::blank(gate, live, Trail::open(call, now), principal, channel)
        }
    }

    /// An errand that somebody caused: in their name, where each user has a credential for the server.
    pub(crate) fn errand_for(
        gate: &Gate,
        live: &Live,
        server: &ServerName,
        method: &str,
        asker: &Principal,
    ) -> Self {
        let mut leg = Self::errand(gate, live, server, method);
        if live.settings.servers.get(server).is_none_or(|server| server.authority == Authority::Shared) {
            return leg;
        }
        let user = asker.user.clone().or_else(|| {
            asker.person().map(|name| decision::User { name: name.clone(), groups: asker.groups.clone() })
        });
        leg.principal = Arc::new(Principal { user, ..(*leg.principal).clone() });
        leg
    }

    /// A record of which only the first facts are known.
    fn blank(gate: &Gate, live: &Live, trail: Trail, principal: Principal, channel: Channel) -> Self {
        Self {
            heard: Overheard::default(),
            deed: DeedId::new(trail.opened_at(), gate.random()),
            leg: 0,
            direction: Direction::ToServer,
            errand: false,
            principal: Arc::new(principal),
            interaction: gate.interaction_of(trail.call()),
            channel,
            claims: Claims::default(),
            method: None,
            target: None,
            asked: None,
            bytes: 0,
            arguments: None,
            result: None,
            policy: Some(live.policies.digest()),
            dispatched: false,
            outcome: None,
            shown: None,
            progress: 0,
            updated: false,
            saw: None,
            observed: false,
            masked: inspect::Hits::default(),
            waits: None,
            only: None,
            about: None,
            keyed: Keyed::default(),
            spent: None,
            draft: None,
            goes_on: None,
            notes: Vec::new(),
            also: Vec::new(),
            attending: Some(gate.ledger.attend()),
            from: None,
            room: None,
            trail,
        }
    }

    pub(crate) fn call_id(&self) -> CallId {
        self.trail.call()
    }
    pub(crate) fn opened_at(&self) -> decision::Timestamp {
        self.trail.opened_at()
    }

    /// Notes what the reply will need.
    pub(crate) fn hear(&mut self, frame: &wire::Frame) {
        let name = frame.string_at(&["params", "name"]).or_else(|| frame.string_at(&["params", "uri"]));
        self.heard = Overheard {
            id: frame.id_raw().map(<[u8]>::to_vec),
            is_message: frame.kind() != wire::Kind::Request,
            item: name.map(|name| name.chars().take(200).collect()),
        };
    }

    /// Notes which family and revision of the protocol the message speaks.
    pub(crate) fn speaks(&mut self, era: Era, revision: &str) {
        self.channel.era = Some(era);
        self.channel.revision = Some(revision.to_owned());
    }

    pub(crate) fn names(&mut self, method: &str) {
        self.method = Some(cut(method, METHOD_CHARS_MAX));
    }

    /// Commits to the arguments; their value is kept beside the entry only where the server's setting says so.
    pub(crate) fn commit_arguments(&mut self, gate: &Gate, value: Bytes) {
        self.arguments = Some(self.commit(gate, Slot::Arguments, value));
    }

    pub(crate) fn commit_result(&mut self, gate: &Gate, value: Bytes) -> Commitment {
        let disclosure = self.commit(gate, Slot::Result, value);
        let commitment = disclosure.commitment();
        self.result = Some(disclosure);
        commitment
    }

    fn commit(&mut self, gate: &Gate, slot: Slot, value: Bytes) -> Disclosure {
        if value.len() > VALUE_BYTES_MAX {
            self.notes.push(format!("not kept: {}, {} bytes", slot.as_str(), value.len()));
        }
        Disclosure::new(slot, value, gate.entropy.as_ref())
    }

    /// Writes down a stage's answer and hands its value on.
    pub(crate) fn pass<T>(
        &mut self,
        stage: Stage,
        mut answer: Result<Passed<T>, Refusal>,
    ) -> Result<T, Refusal> {
        // changed in its place: what passes is large, and every call comes here a dozen times
        let basis = match &mut answer {
            Ok(passed) => {
                self.observed |= passed.would_refuse.is_some();
                &mut passed.basis
            }
            Err(refusal) => {
                refusal.because = cut(&refusal.because, BECAUSE_CHARS_MAX);
                &mut refusal.basis
            }
        };
        basis.append(&mut self.notes);
        bound(basis);
        self.trail.pass(stage, answer)
    }

    /// The permit for `call`, earned by this leg's trail.
    pub(crate) fn permit(&self, call: &Call) -> Result<Permit, Refusal> {
        if self.errand { self.trail.errand(call) } else { self.trail.permit(call) }
    }

    fn intent(&self) -> Intent {
        Intent {
            v: 1,
            call: self.trail.call(),
            deed: self.deed,
            leg: self.leg,
            at: self.trail.opened_at(),
            tenant: self.principal.tenant.clone(),
            environment: self.principal.environment.clone(),
            interaction: self.interaction.clone(),
            direction: self.direction,
            errand: self.errand,
            principal: Arc::clone(&self.principal),
            claimed: self.claims.clone(),
            channel: self.channel.clone(),
            method: self.method.clone(),
            target: self.target.clone().map(shorten),
            asked: self.asked.as_ref().filter(|_| self.target.is_none()).map(named),
            arguments: self.arguments.as_ref().map(Disclosure::commitment),
            bytes: self.bytes,
            policy: self.policy,
        }
    }

    fn keeps(&self, live: &Live) -> (bool, bool) {
        let server = self.target.as_ref().and_then(|target| live.settings.servers.get(&target.server));
        server.map_or((false, false), |server| (server.keep_arguments, server.keep_results))
    }

    fn intent_record(&mut self, live: &Live) -> Result<Record, Refusal> {
        let intent = self.intent();
        let keep = self.keeps(live).0;
        let disclosures = self.arguments.take().filter(|value| keep && can_keep(value)).into_iter().collect();
        record(Entry::Intent(Box::new(intent)), disclosures)
    }

    /// Makes the intent durable. Only then may anything leave; without it nothing does.
    pub(crate) async fn intend(&mut self, gate: &Gate, live: &Live, permit: &Permit) -> Result<(), Refusal> {
        if permit.call() != self.trail.call() {
            return Err(Refusal::new(Code::PathIncomplete, "the permit is for another call"));
        }
        crate::authenticate::claimed(gate)?;
        gate.store.in_place().map_err(|e| {
            tracing::error!(error = %e, "calls are refused");
            Refusal::new(Code::DatabaseReplaced, e.to_string())
        })?;
        let mut records = std::mem::take(&mut self.also);
        records.push(self.intent_record(live)?);
        self.room = Some(gate.ledger.append_begin(records).await.map_err(unwritten)?);
        Ok(())
    }

    /// Closes the record: writes the decision, and the intent before it when nothing had to leave.
    /// An error means that the answer must not be given.
    pub(crate) fn close<'g>(
        self,
        gate: &'g Gate,
        live: &Live,
        end: &Result<(), Refusal>,
    ) -> impl Future<Output = Result<(), Refusal>> + use<'g> {
        let dispatched = self.dispatched;
        // made before anybody waits: a record that is open is a kilobyte and a half
        let last = self.last(gate, live, end);
        async move {
            // it is waited for until it is written, or those who write at the same time make a group each
            let (records, _attending, room) = last?;
            if records.is_empty() {
                return Ok(());
            }
            // its intent is in the record, and how it ended is to be too
            let decision = room.as_ref().and(records.last()).cloned();
            let written = match &room {
                Some(room) => gate.ledger.append_end(records, room).await,
                None => gate.ledger.append(records).await,
            };
            let written = written.map(drop).map_err(unwritten);
            if let Some((decision, room)) = decision.zip(room).filter(|_| written.is_err()) {
                unrecorded::record_later(gate, decision, room);
            }
            // whoever is told that nothing happened would do it again
            let sent = |refusal: Refusal| Refusal::new(Code::OutcomeUnrecorded, refusal.because);
            if dispatched { written.map_err(sent) } else { written }
        }
    }

    fn last(mut self, gate: &Gate, live: &Live, end: &Result<(), Refusal>) -> Result<Last, Refusal> {
        let mut records = std::mem::take(&mut self.also);
        if self.is_counted(gate, live, end) {
            self.forgo(gate, end);
            return Ok((Vec::new(), None, None));
        }
        if self.room.is_none() {
            records.push(self.intent_record(live)?);
        }
        let keep = self.keeps(live).1;
        let disclosures = self.result.take().filter(|value| keep && can_keep(value)).into_iter().collect();
        let (attending, room) = (self.attending.take(), self.room.take());
        let decision = self.decide(gate.clock.now(), end);
        gate.metrics.decided(&decision.0, &decision.1);
        records.push(ended(decision.0, disclosures)?);
        Ok((records, attending, room))
    }

    /// Whether it is a refusal of somebody who is nobody here, and there were so many that it is counted alone.
    fn is_counted(&self, gate: &Gate, live: &Live, end: &Result<(), Refusal>) -> bool {
        let is_nobodys = self.principal.actor == Actor::Unknown && self.direction == Direction::ToServer;
        let refusal = end.as_ref().err().filter(|_| is_nobodys && self.room.is_none() && !self.dispatched);
        refusal.is_some_and(|refusal| !strangers::is_recorded(gate, live, self.from, refusal.code))
    }

    /// Ends without an entry of its own, for whoever has counted it: the metrics know of it all the same.
    pub(crate) fn forgo(self, gate: &Gate, end: &Result<(), Refusal>) {
        let (decision, labels) = self.decide(gate.clock.now(), end);
        gate.metrics.decided(&decision, &labels);
    }

    fn decide(self, now: decision::Timestamp, end: &Result<(), Refusal>) -> (Decision, Labels) {
        let ending = match end {
            Ok(()) => Ending::Answered,
            Err(refusal) if refusal.code == Code::Cancelled => Ending::Cancelled,
            Err(refusal) if self.dispatched => Ending::Failed { code: refusal.code },
            Err(refusal) => Ending::Refused { code: refusal.code },
        };
        let labels = Labels {
            method: self.method.clone().unwrap_or_default(),
            server: self.target.as_ref().map(|target| target.server.to_string()).unwrap_or_default(),
            masked: self.masked.total(),
        };
        let mut events = happened::events(&ending, end, self.dispatched, self.target.is_some());
        if !self.masked.is_empty() {
            events.push(EventName::ResultRedacted);
        }
        let (call, opened_at, evidence) = self.trail.close();
        let decision = Decision {
            v: 1,
            call,
            deed: self.deed,
            leg: self.leg,
            tenant: self.principal.tenant.clone(),
            environment: self.principal.environment.clone(),
            interaction: self.interaction,
            opened_at,
            closed_at: now,
            ending,
            evidence,
            dispatched: self.dispatched,
            outcome: self.outcome,
            shown: self.shown,
            progress: self.progress,
            observed: self.observed,
            policy: None,
            events,
        };
        (decision, labels)
    }
}

/// What is written at the end of a leg, if anything is; who waits for that; and where there is room for it.
type Last = (Vec<Record>, Option<Attending>, Option<KeptRoom>);

/// What the metrics know of a decision beside the decision.
#[derive(Debug)]
pub(crate) struct Labels {
    pub(crate) method: String,
    pub(crate) server: String,
    pub(crate) masked: u64,
}

fn record(entry: Entry, disclosures: Vec<Disclosure>) -> Result<Record, Refusal> {
    Record::new(entry, disclosures)
        .map_err(|e| Refusal::new(Code::LedgerUnavailable, format!("entry does not serialise: {e}")))
}

pub(crate) fn unwritten(e: store::ledger::LedgerError) -> Refusal {
    // the writer says so once, and not with every call
    if matches!(e, store::ledger::LedgerError::Unavailable { .. }) {
        tracing::debug!(error = %e, "a call is refused");
    } else {
        tracing::error!(error = %e, "the ledger cannot write; calls are refused");
    }
    Refusal::new(Code::LedgerUnavailable, e.to_string())
}
