//! What the operator wrote, and what it means: two types and one crossing, which collects every
//! problem with its place before giving up.

mod cross;
mod effective;
mod file;
mod keys;

pub(crate) use cross::{Located, Meant, duration, read};
pub(crate) use effective::{effective, schema};
