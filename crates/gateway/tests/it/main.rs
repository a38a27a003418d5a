//! One binary for every integration test of the data plane: one link on two cores.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![expect(clippy::indexing_slicing, reason = "a panic is a failed test")]

// under the name that every other crate uses
extern crate callgate_gateway as gateway;

#[path = "../../../store/tests/it/cluster.rs"]
mod cluster;
mod house;
mod pki;
mod provider;
mod rogue;
mod script;

mod answers;
mod approvals;
mod assertions;
mod attacks;
mod authority;
mod backends;
mod batches;
mod budgets;
mod calls;
mod clock;
mod crossing;
mod drafts;
mod drift;
mod event_ids;
mod faces;
mod held;
mod introspection;
mod issuers;
mod kept;
mod listen_abuse;
mod listen_http;
mod listen_pipe;
mod listen_streams;
mod listen_support;
mod listen_unix;
mod listened;
mod matrix;
mod named;
mod oauth;
mod observed;
mod official;
mod outage;
mod questions;
mod questions_across;
mod reach;
mod record;
mod registry;
mod replays;
mod rotation;
mod shadowing;
mod soak;
mod sse;
mod strangers;
mod tasks;
mod tls;
mod withdrawn;
