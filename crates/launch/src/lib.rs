//! callgate-launch
