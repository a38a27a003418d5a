//! One look at a server that no gateway stands before: what it says of itself, without a credential and without a record.
//!
//! A person's deed, not a Host's: `callgate scan --connect`. Nothing but the questions of the handshake and of the lists can be
//! asked, so no tool is called and no resource is read.

use crate::errands::reading::{self, Asks, Found};
use crate::settings::Reach;
use crate::upstream::{Bounds, Connection, Fault, FaultKind, Injected, Means, Opening, detect};
use arc_swap::ArcSwap;
use bytes::Bytes;
use decision::{Era, ItemKind};
use egress::{Destination, EgressPolicy, Origin};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::mpsc;
use wire::Revision;

/// One message of a server, in bytes.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// Nesting of a message.
const DEPTH_MAX: usize = 100;

/// What a server says of itself.
#[derive(Debug)]
pub struct Glance {
    /// The revision that was spoken.
    pub revision: Revision,
    /// What it calls itself, `serverInfo` as it sent it.
    pub info: Option<Bytes>,
    pub instructions: Option<String>,
    /// Kind and raw definition, as the server sent it.
    pub items: Vec<(ItemKind, Bytes)>,
}

/// Why it could not be seen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{because}")]
pub struct Unseen {
    /// The same for the same fault.
    pub code: &'static str,
    /// The server may have a hand in it.
    pub because: String,
}

impl From<Fault> for Unseen {
    fn from(fault: Fault) -> Self {
        Self { code: fault.kind.as_str(), because: fault.detail }
    }
}

/// Starts or reaches a server, reads everything it offers, and ends it with all that it started.
///
/// Errors: [`Unseen`], at the latest when `limit` is over.
pub async fn peek(
    reach: &Reach,
    supervisor: launch::Supervisor,
    environment: BTreeMap<String, String>,
    limit: Duration,
) -> Result<Glance, Unseen> {
    let means = Means {
        client: egress::Client::new(allowed(reach)?, egress::Settings::default()),
        supervisor,
        environment,
        bounds: Arc::new(ArcSwap::from_pointee(Bounds {
            result_bytes: ANSWER_BYTES_MAX,
            depth: DEPTH_MAX,
            open: limit,
            children: 1,
        })),
        children: Arc::default(),
    };
    let ended = tokio::time::timeout(limit, look(reach, &means)).await;
    // a child that was left is being ended; its place is free when it is gone
    let ended_too = async {
        while means.children.taken() > 0 {
            tokio::time::sleep(END_LOOK).await;
        }
    };
    let _ = tokio::time::timeout(END_MAX, ended_too).await;
    match ended {
        Ok(found) => {
            let Found { revision, info, instructions, items, .. } = found?;
            Ok(Glance { revision, info, instructions, items })
        }
        Err(_) => {
            let because = format!("it did not say all of what it offers within {} s", limit.as_secs());
            Err(Fault::sent(FaultKind::Timeout, because).into())
        }
    }
}

/// For a child and all it started to be gone.
const END_MAX: Duration = Duration::from_secs(10);
const END_LOOK: Duration = Duration::from_millis(10);

/// This one place and no other.
fn allowed(reach: &Reach) -> Result<EgressPolicy, Fault> {
    let (Reach::Http { url } | Reach::Sse { url }) = reach else { return Ok(EgressPolicy::default()) };
    let origin = url.as_str().parse().ok().and_then(|uri| Origin::of(&uri).ok());
    let origin = origin.ok_or_else(|| {
        Fault::unsent(
            FaultKind::Unreachable,
            "its address is none that can be reached: only http and https are",
        )
    })?;
    Ok(EgressPolicy::default().with(Destination::declared(origin)))
}

async fn look(reach: &Reach, means: &Means) -> Result<Found, Fault> {
    let injected = Arc::<Injected>::default();
    let eras = detect(reach, means, &injected).await?;
    let modern = eras.speaks(Era::Modern);
    let revision = if modern { Revision::LATEST_MODERN } else { Revision::LATEST_LEGACY };
    let hello = (!modern).then(|| Bytes::from(crate::errands::hello().to_string()));
    let (sink, mut messages) = mpsc::channel(64);
    tokio::spawn(async move { while messages.recv().await.is_some() {} });
    let opening = Opening { revision, hello, injected: Arc::clone(&injected), sink, hidden: false };
    let (connection, hello) = Connection::open(reach, means, opening).await?;
    let look = Look { connection, next: AtomicU64::new(1), injected };
    let found = reading::read(&look, eras, hello).await;
    look.connection.close().await;
    // whoever is to judge a server sees all of what it offers, or why not
    found?.whole()
}

struct Look {
    connection: Connection,
    next: AtomicU64,
    injected: Arc<Injected>,
}

impl Asks for Look {
    fn revision(&self) -> Revision {
        self.connection.revision()
    }

    async fn ask(&self, method: &str, cursor: Option<&str>) -> Result<wire::Frame, Fault> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let frame = reading::question(id, method, cursor, self.revision());
        let outgoing = reading::outgoing(id, method, frame, self.revision(), &self.injected);
        reading::answer(method, self.connection.request(outgoing).await?.frame)
    }
}
