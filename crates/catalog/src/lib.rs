//! What a tool is: its definition exactly as the author sent it, what it may do, and whether it is still the one
//! that was accepted.
//!
//! Pure: no I/O, no clock, no async. Read in this order: [`Definition`], [`Declarations`], [`Catalogue`], [`compare`].

mod catalogue;
mod class;
mod definition;
mod drafts;
pub mod drift;
mod judged;
pub mod lint;
pub mod listing;
mod names;
pub mod observed;
pub mod record;
pub mod risk;
pub mod scan;
mod term;
mod unpinned;

pub use catalogue::{Catalogue, Item, ServerEntry, federated, split};
pub use class::{Category, Classified, Declarations, Declared, Effect, Origin, Tier, matches};
pub use definition::{
    Claimed, DEFINITION_BYTES_MAX, Definition, DefinitionError, ItemState, NAME_BYTES_MAX, NameFault,
    PromptArgument, TOOL_NAME_BYTES_MAX, compare,
};
pub use drafts::{DRAFT_ID, Drafting, reserved, reserved_because};
pub use judged::{classify, judge};
pub use term::{Remark, Said, Stands, Term};
pub use unpinned::{Unpinned, is_stand_in, why_unpinned};
