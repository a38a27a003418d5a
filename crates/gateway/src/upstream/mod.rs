//! Send, once. The only way out of the gateway.
