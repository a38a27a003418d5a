//! callgate-decision
