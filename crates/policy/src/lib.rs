//! callgate-policy
