//! The vocabulary and the arithmetic of one governed call.
//!
//! Pure: no I/O, no clock, no randomness, no async. Everything here is a value
//! that can be built in a test and printed in an audit report.
//!
//! Read in this order: [`Call`], [`Stage`], [`Trail`], [`Permit`], [`Decision`].

pub mod approval;
pub mod budget;
mod call;
pub mod canonical;
mod code;
mod count;
mod digest;
mod entry;
mod ids;
pub mod json;
mod principal;
mod sources;
mod stage;
mod trail;
pub mod twin;

pub use approval::Approval;
pub use call::{Asked, Call, Channel, Claims, Direction, Era, Item, ItemKind, Target, Transport};
pub use code::{Class, Code, Refusal, Remedy};
pub use count::counted;
pub use digest::{Commitment, Digest, Disclosure, Slot};
pub use entry::{Decision, Ending, Entry, Event, EventName, Intent, Outcome};
pub use ids::{
    AgentName, ApprovalId, BudgetName, CallId, DeedId, DraftId, Environment, GroupName, IdError,
    InteractionId, NameError, RuleId, SecretName, ServerName, TenantId, Timestamp, UserName,
};
pub use principal::{Actor, Own, Principal, User};
pub use sources::{Clock, Entropy};
pub use stage::Stage;
pub use trail::{Basis, ERRAND_METHODS, Evidence, Passed, Permit, Trail};
pub use twin::Twin;
