//! Evidence gathered along the path, and the permit it earns.

use crate::{Call, CallId, Code, Direction, Refusal, Stage, Timestamp};
use serde::{Deserialize, Serialize};

/// What an answer rests on: rule ids, token ids, definition digests, limits.
pub type Basis = Vec<String>;

/// The only methods the gateway sends on its own account.
pub const ERRAND_METHODS: &[&str] = &[
    "server/discover",
    "initialize",
    "notifications/initialized",
    "tools/list",
    "prompts/list",
    "resources/list",
    "resources/templates/list",
    "ping",
    "subscriptions/listen",
    // the same at a legacy server
    "resources/subscribe",
    "logging/setLevel",
    // of an identity provider, about somebody's token (RFC 7662)
    "oauth/introspect",
    // nothing leaves under this name: a key is opened, and what is told under it is in the outbox
    "webhook/key",
];

/// A stage's yes: the value the next stages need, and what the yes rests on.
#[derive(Debug)]
pub struct Passed<T> {
    pub value: T,
    pub basis: Basis,
    /// What the stage would have refused if its server were not in observe mode.
    pub would_refuse: Option<Refusal>,
}

impl<T> Passed<T> {
    pub fn new(value: T, basis: Basis) -> Self {
        Self { value, basis, would_refuse: None }
    }
    /// A yes that needs no reason beyond the stage's own name.
    pub fn plain(value: T) -> Self {
        Self::new(value, Basis::new())
    }
    /// A no that observe mode turned into a yes; the record says so.
    pub fn observed(value: T, refusal: Refusal) -> Self {
        Self { value, basis: refusal.basis.clone(), would_refuse: Some(refusal) }
    }
}

/// One stage's contribution to the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Evidence {
    pub stage: Stage,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Code>,
    /// The no that observe mode let pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub would_refuse: Option<Code>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub because: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub basis: Basis,
}

/// The open record of a call in flight.
#[derive(Debug)]
pub struct Trail {
    call: CallId,
    opened_at: Timestamp,
    evidence: Vec<Evidence>,
}

impl Trail {
    pub fn open(call: CallId, now: Timestamp) -> Self {
        Self { call, opened_at: now, evidence: Vec::with_capacity(Stage::PATH.len()) }
    }

    pub fn call(&self) -> CallId {
        self.call
    }
    pub fn opened_at(&self) -> Timestamp {
        self.opened_at
    }
    pub fn evidence(&self) -> &[Evidence] {
        &self.evidence
    }

    /// Writes down a stage's answer and hands its value on. The only way to add evidence.
    pub fn pass<T>(&mut self, stage: Stage, answer: Result<Passed<T>, Refusal>) -> Result<T, Refusal> {
        let (evidence, answer) = match answer {
            Ok(Passed { value, basis, would_refuse }) => {
                let (would_refuse, because) = would_refuse.map(|no| (no.code, no.because)).unzip();
                let because = because.unwrap_or_default();
                (Evidence { stage, refused: None, would_refuse, because, basis }, Ok(value))
            }
            Err(no) => {
                let (because, basis) = (no.because.clone(), no.basis.clone());
                (Evidence { stage, refused: Some(no.code), would_refuse: None, because, basis }, Err(no))
            }
        };
        self.evidence.push(evidence);
        answer
    }

    /// Grants a permit if, and only if, every stage before dispatch passed, once, in order,
    /// and `call` is the call this trail was opened for.
    ///
    /// The types already make a stage hard to forget; this makes it impossible to
    /// forget quietly. Errors: [`Code::PathIncomplete`].
    pub fn permit(&self, call: &Call) -> Result<Permit, Refusal> {
        let walked = self.evidence.iter().map(|e| (e.stage, e.refused));
        let required = Stage::BEFORE_DISPATCH.into_iter().map(|s| (s, None));
        if self.call == call.id() && walked.eq(required) {
            Ok(Permit { call: call.id(), serial: call.serial(), direction: call.direction() })
        } else {
            Err(Refusal::new(Code::PathIncomplete, "the path to dispatch was not walked in full"))
        }
    }

    /// Grants a permit for the gateway's own errand: no peer asked, so there is no path to walk,
    /// but only [`ERRAND_METHODS`] may leave, and only in the gateway's own name.
    pub fn errand(&self, call: &Call) -> Result<Permit, Refusal> {
        let own = call.principal().actor == crate::Actor::Gateway;
        if self.call == call.id() && own && ERRAND_METHODS.contains(&call.method()) {
            Ok(Permit { call: call.id(), serial: call.serial(), direction: Direction::ToServer })
        } else {
            Err(Refusal::new(
                Code::PathIncomplete,
                format!("`{}` is not an errand of the gateway", call.method()),
            ))
        }
    }

    /// Hands the evidence to the record. A trail that is not closed is a bug, so this consumes it.
    pub fn close(self) -> (CallId, Timestamp, Vec<Evidence>) {
        (self.call, self.opened_at, self.evidence)
    }
}

/// Proof that this exact call may leave the gateway once.
///
/// It cannot be built outside this crate:
/// ```compile_fail,E0451
/// # fn call() -> callgate_decision::CallId { unimplemented!() }
/// let forged = callgate_decision::Permit {
///     call: call(),
///     serial: 0,
///     direction: callgate_decision::Direction::ToServer,
/// };
/// ```
/// it cannot be copied:
/// ```compile_fail,E0599
/// fn twice(permit: callgate_decision::Permit) -> (callgate_decision::Permit, callgate_decision::Permit) {
///     (permit.clone(), permit)
/// }
/// ```
/// and it cannot be spent twice:
/// ```compile_fail,E0382
/// fn send(permit: callgate_decision::Permit) {}
/// fn twice(permit: callgate_decision::Permit) {
///     send(permit);
///     send(permit);
/// }
/// ```
#[derive(Debug)]
#[must_use = "a permit that is not spent means a call that was not sent"]
pub struct Permit {
    call: CallId,
    /// Of the one call that was judged: another with the same id and the same content is not it.
    serial: u64,
    direction: Direction,
}

impl Permit {
    pub fn call(&self) -> CallId {
        self.call
    }
    pub fn direction(&self) -> Direction {
        self.direction
    }
    /// True if this permit was granted for this very `call`.
    pub fn covers(&self, call: &Call) -> bool {
        self.call == call.id() && self.serial == call.serial() && self.direction == call.direction()
    }
}
