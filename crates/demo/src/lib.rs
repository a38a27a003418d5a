//! callgate-demo
