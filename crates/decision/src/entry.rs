//! The ledger's entries. The decision *is* the audit entry, not a log line about it.

use crate::{
    CallId, Channel, Claims, Code, Commitment, DeedId, Digest, Direction, Environment, Evidence,
    InteractionId, Item, Principal, ServerName, Stage, Target, TenantId, Timestamp,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

/// One leaf of the ledger, stored exactly as serialised here (JSON, `kind` first).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Entry {
    Intent(Box<Intent>),
    Decision(Box<Decision>),
    Event(Event),
}

impl Entry {
    /// Reads an entry as the ledger has it.
    ///
    /// Serde finds the kind of a tagged value by taking all of it apart first. Ours is written in front, so it is
    /// looked at where it stands; whatever looks otherwise is read the long way.
    pub fn read(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        if bytes.starts_with(br#"{"kind":"intent","#) {
            serde_json::from_slice(bytes).map(|intent| Self::Intent(Box::new(intent)))
        } else if bytes.starts_with(br#"{"kind":"decision","#) {
            serde_json::from_slice(bytes).map(|decision| Self::Decision(Box::new(decision)))
        } else {
            serde_json::from_slice(bytes)
        }
    }

    /// The call it is an entry of; an event may be of none.
    pub fn call(&self) -> Option<CallId> {
        match self {
            Self::Intent(intent) => Some(intent.call),
            Self::Decision(decision) => Some(decision.call),
            Self::Event(event) => event.call,
        }
    }

    /// Lets go of what only the entry's bytes have to keep: a decision's evidence and events, its larger part.
    pub fn shed(&mut self) {
        if let Self::Decision(decision) = self {
            decision.evidence = Vec::new();
            decision.events = Vec::new();
        }
    }
}

/// What was asked, by whom. Durable before anything leaves the gateway; written for refused and
/// malformed requests too, with as much as could be understood of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Intent {
    /// Format version of the entry, now 1.
    pub v: u32,
    pub call: CallId,
    pub deed: DeedId,
    pub leg: u32,
    pub at: Timestamp,
    pub tenant: TenantId,
    pub environment: Environment,
    pub interaction: InteractionId,
    pub direction: Direction,
    /// True for what the gateway does on its own account.
    #[serde(default, skip_serializing_if = "is_default")]
    pub errand: bool,
    pub principal: Arc<Principal>,
    /// Said by the peer, not proven.
    #[serde(default)]
    pub claimed: Claims,
    pub channel: Channel,
    /// Absent when the message was too malformed to have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// What the asker named, where there is no such thing here: as it wrote it, cut, with hidden characters written out. It
    /// names no item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Item>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Commitment>,
    pub bytes: u64,
    /// Digest of the policies in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Digest>,
}

/// What is as it mostly is need not be said: entries are hashed, kept and searched for years.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Decision {
    /// The call whose answer was given again.
    pub fn replays(&self) -> Option<CallId> {
        let replay = self.evidence.iter().find(|one| one.stage == Stage::Replay && one.refused.is_none())?;
        replay.basis.iter().find_map(|one| CallId::parse(one.strip_prefix("replayed:")?))
    }
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "ending")]
pub enum Ending {
    /// The asker got the answer.
    Answered,
    /// The asker got a refusal, and nothing happened.
    Refused { code: Code },
    /// Something left the gateway and did not come back as it should.
    Failed { code: Code },
    /// The asker gave up.
    Cancelled,
    /// The gateway stopped in between. Whether the upstream acted is not known.
    Unknown,
}

/// What came back, as far as the record keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Outcome {
    pub bytes: u64,
    /// True when the server marked the result as an error (`isError`) or answered a protocol error.
    #[serde(default)]
    pub is_error: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Commitment>,
    /// Microseconds between the first byte out and the last byte in.
    pub upstream_us: u64,
}

/// One call, closed. Exactly one per intent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Decision {
    pub v: u32,
    pub call: CallId,
    pub deed: DeedId,
    pub leg: u32,
    pub tenant: TenantId,
    pub environment: Environment,
    pub interaction: InteractionId,
    pub opened_at: Timestamp,
    pub closed_at: Timestamp,
    #[serde(flatten)]
    pub ending: Ending,
    pub evidence: Vec<Evidence>,
    /// True once a byte may have left for the upstream.
    pub dispatched: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Digest of the exact list or answer that was shown, for lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<Digest>,
    /// Progress notifications that passed while the call was open.
    #[serde(default, skip_serializing_if = "is_default")]
    pub progress: u64,
    /// The server ran in observe mode: rules recorded their no and let pass.
    #[serde(default, skip_serializing_if = "is_default")]
    pub observed: bool,
    /// Digest of the policies in force, where they are not those of the intent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Digest>,
    /// The named events this decision stands for (requirements E6 to E10).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<EventName>,
}

/// Named events (requirements E1 to E13, as far as they exist).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventName {
    ServerConnected,
    CapabilitiesDiscovered,
    ToolListChanged,
    ResourceListChanged,
    PromptListChanged,
    CallRequested,
    CallApproved,
    CallDenied,
    CallExecuted,
    CallFailed,
    PolicyChanged,
    /// Other settings are in force: their digests before and after, and which they are.
    SettingsChanged,
    DefinitionPinned,
    DefinitionChanged,
    DefinitionApproved,
    /// An answer of a tool that is taken for a read said that its call did more.
    EffectObserved,
    /// A step of a server's record: who did what and why.
    ServerRecordChanged,
    MessageRelayed,
    /// A server said the credential it was given, and it was taken out.
    ResultRedacted,
    GatewayStarted,
    GatewayStopped,
    TokenIssued,
    TokenRevoked,
    /// A person is known, whose groups say what they may decide.
    UserAdded,
    /// A person is in other groups.
    UserChanged,
    UserRemoved,
    AgentAdded,
    AgentRemoved,
    /// An agent or a service is refused from now on, whatever it shows.
    AgentDisabled,
    AgentEnabled,
    SecretStored,
    SecretRemoved,
    /// Somebody went on with a ledger whose end was lost.
    LossAccepted,
    KeyRotated,
    /// The record was to be copied with the values that are kept beside it.
    ExportedWithValues,
    /// The index of the record was emptied and filled again.
    IndexRebuilt,
    /// A call waits for people's yes.
    ApprovalProposed,
    /// Somebody said yes or no.
    ApprovalVoted,
    /// Everybody who is needed said yes; also when what was spent came back because nothing had left.
    ApprovalGranted,
    ApprovalDenied,
    ApprovalExpired,
    /// Taken back, or void because something it was bound to changed.
    ApprovalCancelled,
    /// Spent on one call.
    ApprovalExecuting,
    ApprovalExecuted,
    ApprovalFailed,
    ApprovalUnknown,
    /// The step before did not count: another gateway took one first.
    ApprovalMissed,
    DelegationMade,
    DelegationEnded,
    /// A link was made that lets somebody into the console once.
    ConsoleLinkMade,
    /// Somebody came in by one.
    ConsoleEntered,
    /// Somebody has a webhook tried anew that was given up.
    WebhookRetried,
    /// The database had an event to be told that nothing of ours leaves there: it is named, and not told as it says.
    EventPlanted,
    /// Somebody had a value beside an entry of a call erased, or asked for it where none was kept any more.
    ValueErased,
    /// Entries were found that no checkpoint covered: what a kill leaves. From here on one does, whoever wrote them.
    UnsignedFound,
    /// So many requests of whoever is nobody here were refused that they were counted and not recorded one by one.
    StrangersRefused,
}

/// Something that happened outside a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Event {
    pub v: u32,
    pub at: Timestamp,
    pub tenant: TenantId,
    pub environment: Environment,
    pub event: EventName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerName>,
    /// Names and digests, never values of arguments or results.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub detail: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Actor, Code, Principal, Transport};

    fn intent() -> Entry {
        let call = CallId::new(Timestamp(1), [1; 10]);
        Entry::Intent(Box::new(Intent {
            v: 1,
            call,
            deed: DeedId::new(Timestamp(1), [2; 10]),
            leg: 0,
            at: Timestamp(1),
            tenant: TenantId::default(),
            environment: Environment::default(),
            interaction: InteractionId::new("s_1").unwrap(),
            direction: Direction::ToServer,
            errand: false,
            principal: Arc::new(Principal { actor: Actor::Unknown, ..Principal::unknown() }),
            claimed: Claims::default(),
            channel: Channel {
                transport: Transport::Http,
                era: None,
                revision: None,
                server_era: None,
                entrance: "mcp".to_owned(),
            },
            method: Some("tools/call".to_owned()),
            target: None,
            asked: None,
            arguments: None,
            bytes: 7,
            policy: Some(Digest::of(b"p")),
        }))
    }

    fn decision(ending: Ending) -> Entry {
        let Entry::Intent(intent) = intent() else { unreachable!() };
        Entry::Decision(Box::new(Decision {
            v: 1,
            call: intent.call,
            deed: intent.deed,
            leg: 0,
            tenant: intent.tenant,
            environment: intent.environment,
            interaction: intent.interaction,
            opened_at: Timestamp(1),
            closed_at: Timestamp(2),
            ending,
            evidence: Vec::new(),
            dispatched: false,
            outcome: None,
            shown: None,
            progress: 0,
            observed: false,
            policy: None,
            events: vec![EventName::CallRequested],
        }))
    }

    #[test]
    fn an_entry_reads_back_as_serde_would_read_it() {
        let ends = [Ending::Answered, Ending::Refused { code: Code::ALL[0] }, Ending::Unknown];
        for entry in ends.into_iter().map(decision).chain([intent()]) {
            let bytes = serde_json::to_vec(&entry).unwrap();
            assert_eq!(crate::json::to_vec(&entry).unwrap(), bytes, "written as serde_json would");
            assert_eq!(Entry::read(&bytes).unwrap(), entry);
            let turned: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            let mut members: Vec<_> = turned.as_object().unwrap().clone().into_iter().collect();
            members.reverse();
            let turned: serde_json::Map<_, _> = members.into_iter().collect();
            let turned = serde_json::to_vec(&turned).unwrap();
            assert!(!turned.starts_with(b"{\"kind\""), "the kind is last");
            assert_eq!(Entry::read(&turned).unwrap(), entry);
        }
        assert!(Entry::read(br#"{"kind":"intent","v":1}"#).is_err());
        assert!(Entry::read(br#"{"kind":"other"}"#).is_err());
    }
}
