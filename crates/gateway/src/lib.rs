//! callgate-gateway

pub mod exchange;
pub mod listen;
pub mod session;
pub mod settings;
