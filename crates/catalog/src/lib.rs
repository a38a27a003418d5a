//! callgate-catalog
