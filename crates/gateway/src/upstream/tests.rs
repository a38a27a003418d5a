//! Peers that misbehave, one at a time. HTTP ones are scripted in [`peer`], stdio ones are small shell scripts.

mod batches;
mod detect;
#[path = "../../../../fuzz/bodies/endpoint.rs"]
mod endpoint;
mod http;
mod peer;
mod pending;
mod pool;
mod program;
mod real;
#[path = "../../../../fuzz/replay.rs"]
mod replay;
mod sse;
mod stdio;

use super::connection::{Bounds, Means};
use super::injected::Received;
use super::sse_endpoint as reader;
use super::*;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wire::Revision;

/// What the fuzzer asks, of its corpus.
#[test]
fn whatever_an_endpoint_event_says_the_credential_stays_at_its_origin() {
    replay::all("endpoint", endpoint::run);
}

const HELLO: &str =
    r#"{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}"#;

/// Not a test: the supervisor of the children that these tests start, which is this very executable
/// (`launch::Supervisor`) run again with this one name and the number of a descriptor as filters.
#[test]
#[ignore = "started by other tests"]
fn as_supervisor() {
    launch::supervise_main();
    std::process::exit(0);
}

fn supervisor() -> launch::Supervisor {
    // libtest has threads of its own, and the supervisor wants SIGCHLD blocked in all of them
    let own = std::env::current_exe().unwrap().display().to_string();
    let args = [
        "--block-signal=CHLD",
        &own,
        "upstream::tests::as_supervisor",
        "--exact",
        "--ignored",
        "--nocapture",
        "--quiet",
    ];
    launch::Supervisor { program: "/usr/bin/env".into(), args: args.map(Into::into).into() }
}

/// The same with other bounds.
fn bounded(means: Means, change: impl FnOnce(&mut Bounds)) -> Means {
    let mut bounds = means.bounds();
    change(&mut bounds);
    means.bounds.store(Arc::new(bounds));
    means
}

fn means() -> Means {
    means_to(&"http://127.0.0.1:9/".parse().unwrap())
}

fn means_to(url: &url::Url) -> Means {
    Means {
        client: peer::client(url),
        supervisor: supervisor(),
        environment: BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]),
        bounds: Arc::new(arc_swap::ArcSwap::from_pointee(Bounds {
            result_bytes: 64 << 10,
            depth: 64,
            open: Duration::from_secs(5),
            children: 8,
        })),
        children: Arc::default(),
    }
}

fn opening(revision: Revision) -> (Opening, mpsc::Receiver<FromServer>) {
    let (sink, messages) = mpsc::channel(16);
    let hello = (!revision.is_modern()).then(|| Bytes::from_static(HELLO.as_bytes()));
    (Opening { revision, hello, injected: Arc::default(), sink, hidden: false }, messages)
}

fn call(id: u64) -> (Outgoing, mpsc::Receiver<FromServer>) {
    let (sink, messages) = mpsc::channel(64);
    let frame = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"x"}}}}"#);
    let outgoing = Outgoing {
        id,
        frame: frame.into(),
        headers: Vec::new(),
        injected: Arc::default(),
        timeout: Some(Duration::from_secs(5)),
        cancel: CancellationToken::new(),
        sink,
        beside_calls: false,
    };
    (outgoing, messages)
}

fn within(mut outgoing: Outgoing, timeout: Duration) -> Outgoing {
    outgoing.timeout = Some(timeout);
    outgoing
}

async fn until_true(mut what: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if what() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never came true");
}
