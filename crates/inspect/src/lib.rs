//! What is in this text: known secrets, and the text without them; what hides in it, and what would steer a model.
//!
//! Pure: no I/O, no async. What is done about a finding is decided in `gateway`.
//!
//! A server that was given a credential may say it again, in whatever form its libraries like. [`Mask`] knows
//! the credentials of one lease and finds each of them as it is, as base64, hexadecimal, percent-encoded,
//! or with the escapes of JSON and HTML, inside other escapes too, and puts `[secret:NAME]` in its place.
//! It is made from a lease and lives no longer: what it keeps of a secret is wiped when it is dropped.
//!
//! The order of the modules is the order of the work: [`known`] takes a credential apart, [`sieve`] looks at
//! every fifth byte, [`form`] compares what was caught, [`view`] undoes escapes, and [`mask`] and `json`
//! write the text anew.
//!
//! [`text::look`] reads a text as a model would: [`hidden`] finds what people do not see, [`encoded`] undoes codes, and
//! [`steering`] weighs whether it tells the model what to do. It knows nothing of tools; `catalog` does.

mod blank;
mod encoded;
pub mod finding;
mod form;
mod hidden;
mod json;
mod known;
mod mask;
pub mod shown;
mod sieve;
mod steering;
mod stream;
pub mod text;
mod unseen;
mod view;

pub use finding::{Detector, Severity, Sighting};
pub use known::{SHORT_BELOW, SHORTEST, is_common};
pub use mask::{Hits, Mask, Masked, Unmaskable};
pub use stream::Stream;
pub use text::{About, Seat};
