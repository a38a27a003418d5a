//! callgate-vault
