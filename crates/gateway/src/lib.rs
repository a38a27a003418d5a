//! The data plane: the path of one governed call.
//!
//! The modules below are in the order a call meets them; [`govern`] is the whole path on one
//! screen. Start there.

/// The path, start to end.
mod govern;

/// A Host speaks: HTTP, pipes, the owner's socket; the strict scan.
pub mod listen;

/// Which class of message this is.
mod route;

/// Who is asking.
pub mod authenticate;

/// Who is asking, by certificate.
mod wishes;
mod workload;

/// Which pinned item is meant.
mod resolve;

/// May this principal see and use it at all.
mod permission;

/// And may the server be used by anybody.
pub mod registry;

/// Do the arguments fit the pinned schema.
mod arguments;

/// Has this very deed been done already.
mod replay;

/// May it happen now, with these arguments.
mod rules;

/// And with these answers to what a server asked.
mod answers;

/// Have the right people said yes to exactly this.
mod approval;

/// What the call needs is spent on it.
mod commit;

/// Open the one credential this call needs.
mod secrets;

/// Send, once.
pub mod upstream;

/// What came back, and may the Host see it.
mod inspect_result;

/// A refusal or a result, as MCP.
mod reply;

// beside the path: what it works on

pub mod backends;
pub mod exchange;
pub mod gate;
pub mod offer;
pub mod registry_api;
pub mod session;
pub mod settings;

mod absences;
mod assertion;
mod budgets;
mod deeds;
mod drafts;
mod errands;
mod gathered;
mod handles;
mod holds;
mod host_side;
mod interactions;
pub mod introspection;
mod kept;
mod lists;
pub mod metrics;
mod observed;
pub mod peek;
mod places;
mod preview;
mod reach;
mod record;
mod recovery;
mod relay;
mod rounds;
mod schemas;
mod sighted;
mod strangers;
mod subscriptions;
mod tasks;
mod unrecorded;
mod unsettled;
mod visits;
pub mod webhooks;

pub use approval::{still_bound, void_of};
pub use budgets::tidy as tidy_budgets;
pub use gate::{Gate, Live, Parts};
pub use govern::govern;
pub use kept::execute_approved;
pub use offer::{BuildError, Built, Fit, Offers, Written, build};
pub use recovery::{abandon_questions, close_open, is_settled, recover};
pub use replay::tidy as tidy_keys;
pub use schemas::{Compiled, SchemaError, Schemas, Unknown};
pub use secrets::tidy as tidy_secrets;
pub use settings::Settings;
pub use sighted::still_served;
pub use strangers::tell_strangers;
pub use unsettled::settle_left;
pub use webhooks::webhook_key;
