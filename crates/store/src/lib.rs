//! callgate-store
