//! callgate-gateway
