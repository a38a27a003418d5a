//! callgate-store

pub mod ledger;
