//! callgate-wire
