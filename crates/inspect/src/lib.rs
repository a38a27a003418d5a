//! What is in this text: known secrets, and the text without them.
//!
//! Pure: no I/O, no async. What is done about a finding is decided in `gateway`.
