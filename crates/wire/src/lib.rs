//! MCP messages as bytes and views.
//!
//! Pure and sans-I/O: nothing here reads a socket, a clock or the dice, and
//! nothing here decides. A message is scanned once, strictly ([`Frame::scan`]);
//! from then on everybody looks at the same bytes through borrowed views, and
//! what must change is spliced in ([`Splice`]) so that every other byte leaves as
//! it came. What was judged is what is sent.
//!
//! Start at [`scan`], then [`method`] (the one table of methods), [`views`] and
//! [`splice`]. [`batch`] takes several messages apart, [`era`] and [`bridge`] tell
//! the two protocol eras apart, [`headers`] and [`sse`] are what the HTTP transport
//! adds, [`template`] routes resources, and [`rpc`] builds the messages that are ours.

pub mod batch;
pub mod bridge;
pub mod era;
pub mod headers;
pub mod json;
pub mod method;
pub mod rpc;
pub mod scan;
pub mod splice;
pub mod sse;
pub mod template;
pub mod views;

pub use batch::BatchError;
pub use bridge::{Crossing, Eras, Way, level::Level};
pub use era::{Implementation, MetaError, ModernMeta, Revision, Revisions};
pub use method::{Class, METHODS, Method, Sender, Shape};
pub use scan::{Frame, Id, Kind, Limits, ScanError, scan_value};
pub use splice::{Splice, SpliceError};
pub use template::template_matches;
pub use views::ViewError;
