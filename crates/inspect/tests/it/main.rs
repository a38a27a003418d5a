//! Secrets are put into texts in every form that is promised, and never found again.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![expect(clippy::indexing_slicing, clippy::string_slice, reason = "a panic is a failed test")]

mod forms;
mod mask;
mod stream;
