//! Who may do what: Cedar behind two questions.
//!
//! *See* asks whether a principal may know of an item at all; it reads neither arguments nor time, and the same
//! answer filters every list. *Call* asks whether this may happen now, with these arguments. Both are asked of the
//! same rules (`docs/adr/0004-cedar-see-and-call.md`, `docs/policy.md`).
//!
//! Pure: rule texts and a catalogue in, answers out. Reading files is the command line's work. This is the only
//! crate that names the policy engine. Start at [`Policies`].

mod actions;
mod address;
mod answer;
mod ask;
pub mod budget;
mod check;
mod console;
mod context;
mod explain;
mod facts;
mod kinds;
mod load;
mod memo;
mod named;
mod near;
mod nesting;
mod radius;
mod reply;
mod rule;
mod sight;
mod slice;
mod source;
mod starter;
mod types;
mod unsaid;
mod validate;

pub use address::is_normal as is_normal_address;
pub use answer::{Answer, Asked, Held, Reason};
pub use ask::{Asker, Circumstances, Question, Subject};
pub use budget::Budget;
pub use console::{Action as ConsoleAction, ConsoleRules, On, Role, Unloadable, Visitor};
pub use explain::{Can, RuleView};
pub use load::{Loader, Policies};
pub use named::{Kind, Said};
pub use near::nearest;
pub use rule::Sway;
pub use source::{Problem, Severity, Source, Unseen};
pub use starter::{is_untouched, starter};
pub use unsaid::Unsaid;
