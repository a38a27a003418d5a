//! An approval: people's yes to one exact deed, spent once (requirement B1).
//!
//! Pure: an [`Approval`] is a value, a [`Step`] is what somebody does to it, and [`Approval::after`] says what comes
//! of that. Whoever keeps it writes the outcome only if nothing else happened in between.

mod need;
mod preview;
mod standing;
mod terms;

pub use need::{Cure, CureError, Escalation, Need};
pub use preview::{Before, Preview, Source};
pub use standing::{Curable, Standing};
pub use terms::{Part, Terms};

use crate::{CallId, DeedId, GroupName, Timestamp, UserName};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Where an approval stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Waits for people.
    Proposed,
    /// The right people said yes; nothing was done with it.
    Approved,
    Denied,
    Expired,
    /// Taken back, or void because something it was bound to changed.
    Cancelled,
    /// Spent: the call is on its way.
    Executing,
    Executed,
    /// The server said that it did not do it.
    Failed,
    /// Whether the server acted is not known.
    Unknown,
}

impl State {
    pub const ALL: [Self; 9] = [
        Self::Proposed,
        Self::Approved,
        Self::Denied,
        Self::Expired,
        Self::Cancelled,
        Self::Executing,
        Self::Executed,
        Self::Failed,
        Self::Unknown,
    ];
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Executing => "executing",
            Self::Executed => "executed",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
    /// It was used, and that came to an end.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Executed | Self::Failed | Self::Unknown)
    }
    /// It can still come to something.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Proposed | Self::Approved)
    }
}

/// Somebody who wants to decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voter {
    pub person: UserName,
    /// When whoever has this name now was added: a word that was said before is somebody else's.
    pub since: Timestamp,
    pub groups: BTreeSet<GroupName>,
    /// Groups that others lent this person for a while, and who did.
    pub lent: BTreeMap<GroupName, Vec<Lender>>,
}

/// Somebody who lent a group of theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lender {
    pub person: UserName,
    pub groups: BTreeSet<GroupName>,
}

/// A yes or a no that counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Vote {
    pub person: UserName,
    /// The groups it was given for, as far as they matter here.
    pub groups: BTreeSet<GroupName>,
    /// Of these, the ones that were lent, and by whom.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lent: BTreeMap<GroupName, UserName>,
    pub yes: bool,
    /// For a no: what the agent may read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub at: Timestamp,
}

/// What somebody does to an approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Vote {
        voter: Voter,
        yes: bool,
        reason: Option<String>,
    },
    /// Takes it back, until the moment of execution. For whoever decided, or for an administrator.
    Revoke {
        by: String,
        reason: Option<String>,
    },
    /// A call came that would use it, and this is not what it was bound to.
    Void {
        part: Part,
    },
    /// Time has passed.
    Expire,
    /// The call may leave. Only against the same terms, once.
    Spend {
        call: CallId,
        deed: DeedId,
        terms: Terms,
        /// The log that will have the record of it.
        log: String,
        /// Those who voted, with their groups of now; who is gone is not among them.
        people: Vec<Voter>,
    },
    /// The deed it was spent on waits for its client's next message, and for no longer than this.
    Await {
        deed: DeedId,
        until: Timestamp,
    },
    /// That message did not come.
    GiveUp,
    /// Another message of the deed it was spent on may leave, each once.
    Leg {
        deed: DeedId,
        leg: u32,
    },
    /// Nothing left the gateway after all.
    GiveBack {
        call: CallId,
        /// People are asked about the same again already: two that are open for one thing would be one too many.
        superseded: bool,
    },
    Settle {
        end: Settled,
    },
}

/// How a deed that was on its way ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    Executed,
    Failed,
    Unknown,
}

/// Why a step cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("it is {} already", .0.as_str())]
    Over(State),
    #[error("it is not approved, but {}", .0.as_str())]
    NotApproved(State),
    #[error("its time is over")]
    Expired,
    #[error("nobody approves what was asked in their own name")]
    OwnDeed,
    #[error("the rule wants somebody of none of the asker's groups, and both are in `{0}`")]
    OwnGroups(GroupName),
    #[error("only these may decide: {}", .0.join(", "))]
    NotAsked(Vec<String>),
    #[error("`{0}`, who lent the group, counts once and has been counted")]
    Counted(UserName),
    #[error("`{0}` has decided already")]
    Decided(UserName),
    #[error("it was given for something else: {0} changed")]
    Changed(Part),
    #[error("it is not on its way")]
    NotExecuting,
}

/// People's yes to one exact deed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Approval {
    pub id: crate::ApprovalId,
    /// The deed it was proposed for, then the one it was spent on.
    pub deed: DeedId,
    /// The same for the message.
    pub call: CallId,
    pub terms: Terms,
    pub cure: Cure,
    pub preview: Preview,
    pub proposed_at: Timestamp,
    /// For deciding and for spending alike.
    pub expires_at: Timestamp,
    pub state: State,
    #[serde(default)]
    pub votes: Vec<Vote>,
    /// The last message of the deed that left under it, after the first.
    #[serde(default)]
    pub leg: u32,
    /// Until when the deed it was spent on may wait for its client's next message, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_until: Option<Timestamp>,
    /// The log that has the record of what it was spent on: the gateway that writes it settles it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// The call it was spent on left without its client, and what came of that is kept for whoever asked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub alone: bool,
    /// Who took it back and why, or what made it void.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
    /// The operator does not keep arguments of this server: what people were shown of them goes when it has ended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forgets: bool,
}

const NOT_KEPT: &str = "what it was about is not kept (`keep.arguments`)";

/// Why an approval came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Ended {
    pub at: Timestamp,
    /// Who took it back; nobody where something it was bound to changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<Part>,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match (&self.by, self.changed) {
            (Some(by), _) => format!("taken back by {by}"),
            (None, Some(part)) => format!("void: {part} changed"),
            (None, None) => String::new(),
        };
        let said = [Some(what.as_str()), self.reason.as_deref()];
        let said: Vec<&str> = said.into_iter().flatten().filter(|one| !one.is_empty()).collect();
        f.write_str(&said.join(": "))
    }
}

impl Approval {
    /// One that nobody has decided about yet, of nothing that people are shown.
    pub fn proposed(
        (id, deed, call): (crate::ApprovalId, DeedId, CallId),
        terms: Terms,
        cure: Cure,
        (proposed_at, expires_at): (Timestamp, Timestamp),
    ) -> Self {
        Self {
            id,
            deed,
            call,
            terms,
            cure,
            preview: Preview::default(),
            proposed_at,
            expires_at,
            state: State::Proposed,
            votes: Vec::new(),
            leg: 0,
            waits_until: None,
            alone: false,
            log: None,
            ended: None,
            forgets: false,
        }
    }

    /// What comes of a step. Errors: why it cannot be taken; nothing has happened then.
    pub fn after(&self, step: Step, now: Timestamp) -> Result<Self, Unfit> {
        let after = self.stepped(step, now)?;
        Ok(if after.has_ended() && after.forgets { after.without_values(NOT_KEPT) } else { after })
    }

    /// Nothing can come of it any more, and nothing is on its way.
    pub fn has_ended(&self) -> bool {
        !self.state.is_open() && self.state != State::Executing
    }

    /// The same without anything that was in the arguments, in place of which stands why.
    pub fn without_values(&self, why: &str) -> Self {
        Self { preview: self.preview.without_values(why), ..self.clone() }
    }

    /// The same where the operator does not keep arguments any more.
    pub fn unkept(&self) -> Self {
        let one = Self { forgets: true, ..self.clone() };
        if one.has_ended() { one.without_values(NOT_KEPT) } else { one }
    }

    /// Whether anything in it came from the arguments.
    pub fn has_values(&self) -> bool {
        self.without_values(&self.preview.summary) != *self
    }

    fn stepped(&self, step: Step, now: Timestamp) -> Result<Self, Unfit> {
        match step {
            Step::Vote { voter, yes, reason } => self.voted(voter, yes, reason, now),
            Step::Revoke { by, reason } => {
                self.open(now)?;
                Ok(self.cancelled(Ended { at: now, by: Some(by), reason, changed: None }))
            }
            Step::Void { part } => {
                self.open(now)?;
                Ok(self.cancelled(Ended { at: now, by: None, reason: None, changed: Some(part) }))
            }
            Step::Expire => match self.state.is_open() && now >= self.expires_at {
                true => Ok(Self { state: State::Expired, ..self.clone() }),
                false => Err(Unfit::Over(self.state)),
            },
            Step::Spend { call, deed, terms, log, people } => {
                Ok(Self { log: Some(log), call, deed, ..self.spendable(&terms, &people, now)? })
            }
            Step::Leg { deed, leg } => {
                match self.state == State::Executing && self.deed == deed && leg > self.leg {
                    true => Ok(Self { leg, waits_until: None, ..self.clone() }),
                    false => Err(Unfit::NotExecuting),
                }
            }
            Step::Await { deed, until } => match self.state == State::Executing && self.deed == deed {
                true => Ok(Self { waits_until: Some(until), ..self.clone() }),
                false => Err(Unfit::NotExecuting),
            },
            Step::GiveUp => {
                match self.state == State::Executing && self.waits_until.is_some_and(|until| now >= until) {
                    true => Ok(Self { state: State::Unknown, ..self.clone() }),
                    false => Err(Unfit::NotExecuting),
                }
            }
            Step::GiveBack { call, superseded } => {
                if self.state != State::Executing || self.call != call {
                    return Err(Unfit::NotExecuting);
                }
                let back = Self { log: None, waits_until: None, ..self.clone() };
                let reason = Some("people are asked about the same again".to_owned());
                Ok(match superseded {
                    _ if now >= self.expires_at => Self { state: State::Expired, ..back },
                    true => back.cancelled(Ended { at: now, by: None, reason, changed: None }),
                    false => Self { state: State::Approved, ..back },
                })
            }
            Step::Settle { end } => match self.state == State::Executing {
                true => Ok(Self { state: end.into(), ..self.clone() }),
                false => Err(Unfit::NotExecuting),
            },
        }
    }

    /// Whether this person may decide now. Errors: why not.
    pub fn may_vote(&self, voter: &Voter, now: Timestamp) -> Result<(), Unfit> {
        self.standing(voter, now).map(|_| ())
    }

    /// How many of each need have said yes, in the order of the needs: each person counts once.
    pub fn progress(&self) -> Vec<u8> {
        need::filled(&self.cure.needs, &self.votes)
    }

    /// The no that ended it.
    pub fn denial(&self) -> Option<&Vote> {
        self.votes.iter().find(|vote| !vote.yes)
    }

    fn open(&self, now: Timestamp) -> Result<(), Unfit> {
        match self.state.is_open() {
            true if now >= self.expires_at => Err(Unfit::Expired),
            true => Ok(()),
            false => Err(Unfit::Over(self.state)),
        }
    }

    fn cancelled(&self, ended: Ended) -> Self {
        Self { state: State::Cancelled, ended: Some(ended), ..self.clone() }
    }

    /// The groups for which the voter counts, and whose they are.
    fn standing(&self, voter: &Voter, now: Timestamp) -> Result<Standing, Unfit> {
        self.open(now)?;
        if self.state != State::Proposed {
            return Err(Unfit::Over(self.state));
        }
        if self.votes.iter().any(|vote| vote.person == voter.person) {
            return Err(Unfit::Decided(voter.person.clone()));
        }
        self.cure.counts(&self.terms.principal, voter, &self.votes, now)
    }

    fn voted(&self, voter: Voter, yes: bool, reason: Option<String>, now: Timestamp) -> Result<Self, Unfit> {
        let Standing { groups, lent } = self.standing(&voter, now)?;
        let vote = Vote { person: voter.person, groups, lent, yes, reason, at: now };
        let mut after = self.clone();
        after.votes.push(vote);
        after.state = match yes {
            false => State::Denied,
            true if need::met(&after.cure.needs, &after.votes) => State::Approved,
            true => State::Proposed,
        };
        Ok(after)
    }

    fn spendable(&self, terms: &Terms, people: &[Voter], now: Timestamp) -> Result<Self, Unfit> {
        if self.state != State::Approved {
            return Err(Unfit::NotApproved(self.state));
        }
        self.open(now)?;
        if let Some(part) = self.terms.changed(terms) {
            return Err(Unfit::Changed(part));
        }
        // what is kept was written by people or by their tools: their yes is counted again
        if !need::met(&self.cure.needs, &self.votes) || self.denial().is_some() {
            return Err(Unfit::NotApproved(State::Proposed));
        }
        match self.stands(people) {
            true => Ok(Self { state: State::Executing, ..self.clone() }),
            false => Err(Unfit::Changed(Part::Votes)),
        }
    }
}

impl From<Settled> for State {
    fn from(end: Settled) -> Self {
        match end {
            Settled::Executed => Self::Executed,
            Settled::Failed => Self::Failed,
            Settled::Unknown => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests;
