//! callgate-egress
