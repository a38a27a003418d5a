//! callgate-identity
