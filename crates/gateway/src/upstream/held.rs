//! A connection that is kept, and whose it is.

use super::connection::Connection;
use super::{Fault, Injected};
use crate::settings::Reach;
use bytes::Bytes;
use decision::{Digest, Principal, ServerName, UserName};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;
use wire::Level;
use wire::bridge::capabilities::Askable;

/// Who shares a connection.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Whose {
    /// All who use the same credential: a modern server keeps no conversation.
    Everybody,
    /// One Host's session, by its id: what a legacy server keeps is of that conversation.
    Session(String),
    /// One principal's modern Hosts that can be asked the same, whatever connection they come over: the session
    /// with a legacy server that they do not know of (SEP-2567: by authenticated principal).
    Hidden { principal: Digest, askable: Askable },
}

impl Whose {
    pub(super) fn hidden(principal: &Principal, askable: Askable) -> Self {
        let principal = Digest::of(&serde_json::to_vec(principal).unwrap_or_default());
        Self::Hidden { principal, askable }
    }
    pub(super) fn is_session(&self, id: &str) -> bool {
        matches!(self, Self::Session(own) if own == id)
    }
    pub(super) fn is_of(&self, one: &Digest) -> bool {
        matches!(self, Self::Hidden { principal, .. } if principal == one)
    }
}

/// Which connection it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) server: ServerName,
    pub(super) whose: Whose,
    /// The user in whose name it is used, where each has a credential of their own: no two users share a
    /// connection then, also not if their credentials are the same.
    holder: Option<UserName>,
    /// For a child: the credentials it was started with. Over HTTP they travel with each request.
    pub(super) identity: Option<Digest>,
    /// How the server is reached. A call that began before an operator changed that, and one that began after, share nothing.
    way: u64,
}

impl Key {
    pub(super) fn new(server: &ServerName, whose: Whose, reach: &Reach, injected: &Injected) -> Self {
        let identity = match reach {
            Reach::Http { .. } | Reach::Sse { .. } => None,
            Reach::Stdio { .. } => Some(injected.identity()),
        };
        let mut way = DefaultHasher::new();
        reach.hash(&mut way);
        Self { server: server.clone(), whose, holder: injected.holder.clone(), identity, way: way.finish() }
    }
}

/// An open connection, as the pool keeps it.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) connection: Connection,
    /// The credentials of what the gateway says on it by itself: over HTTP those of the last call, for a child
    /// those it was started with. None where no session is held.
    injected: Mutex<Arc<Injected>>,
    next: AtomicU64,
    opened: Instant,
    used: Mutex<Instant>,
    /// The log level asked for, and in which of the connection's sessions.
    level: Mutex<Option<(u64, Level)>>,
    /// How many want to hear of a resource. Held while the server is asked: what one takes back, another may just have
    /// asked for.
    subscriptions: tokio::sync::Mutex<BTreeMap<String, usize>>,
}

impl Held {
    pub(super) fn new(connection: Connection, injected: Arc<Injected>) -> Self {
        let now = Instant::now();
        Self {
            connection,
            injected: Mutex::new(injected),
            next: AtomicU64::new(1),
            opened: now,
            used: Mutex::new(now),
            level: Mutex::default(),
            subscriptions: tokio::sync::Mutex::default(),
        }
    }
    /// An id for one request, unique on the connection.
    pub(super) fn next_id(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }
    pub(super) fn injected(&self) -> Arc<Injected> {
        Arc::clone(&self.injected.lock())
    }
    /// Lets go of older credentials, where they travel with each request.
    pub(super) fn renew(&self, key: &Key, injected: &Arc<Injected>) {
        if key.identity.is_none() && key.whose != Whose::Everybody {
            *self.injected.lock() = Arc::clone(injected);
        }
    }
    pub(super) fn touch(&self) {
        *self.used.lock() = Instant::now();
    }
    pub(super) fn opened(&self) -> Instant {
        self.opened
    }
    pub(super) fn idle(&self) -> Duration {
        if self.connection.is_idle() { self.used.lock().elapsed() } else { Duration::ZERO }
    }

    /// Whether the server has to be asked for more log lines than it was: it sends what all who share the session
    /// want together, and each is passed on its own.
    pub(super) fn wants_level(&self, level: Level) -> bool {
        let session = self.connection.session();
        let mut known = self.level.lock();
        if known.is_some_and(|(of, least)| of == session && least <= level) {
            return false;
        }
        *known = Some((session, level));
        true
    }

    /// Asks a legacy server to say when a resource is updated.
    pub(super) async fn subscribe(&self, uri: &str, timeout: Duration) -> Result<(), Fault> {
        let mut wanted = self.subscriptions.lock().await;
        let asked = self.ask("resources/subscribe", &about(uri), timeout).await?;
        match asked.kind() {
            wire::Kind::Response => {
                *wanted.entry(uri.to_owned()).or_default() += 1;
                Ok(())
            }
            wire::Kind::ErrorResponse | wire::Kind::Request | wire::Kind::Notification => {
                Err(super::handshake::refused(&asked))
            }
        }
    }

    /// Takes that back, where nobody wants to hear of it any more.
    pub(super) async fn unsubscribe(&self, uri: &str, timeout: Duration) {
        let mut wanted = self.subscriptions.lock().await;
        let Some(count) = wanted.get_mut(uri) else { return };
        *count = count.saturating_sub(1);
        if *count > 0 {
            return;
        }
        wanted.remove(uri);
        if let Err(fault) = self.ask("resources/unsubscribe", &about(uri), timeout).await {
            tracing::debug!(fault = %fault, "a server could not be told");
        }
    }

    /// Asks something of the gateway's own.
    pub(super) async fn ask(
        &self,
        method: &str,
        params: &str,
        timeout: Duration,
    ) -> Result<wire::Frame, Fault> {
        let id = self.next_id();
        let (sink, _) = tokio::sync::mpsc::channel(1);
        let outgoing = super::Outgoing {
            id,
            frame: wire::rpc::request(id.to_string().as_bytes(), method, Some(params.as_bytes())),
            headers: Vec::new(),
            injected: self.injected(),
            timeout: Some(timeout),
            cancel: tokio_util::sync::CancellationToken::new(),
            sink,
            beside_calls: true,
        };
        self.connection.request(outgoing).await.map(|received| received.frame)
    }

    /// Says something that has no answer.
    pub(super) async fn tell(&self, frame: Bytes, injected: &Injected) {
        if let Err(fault) = self.connection.send(frame, injected).await {
            tracing::debug!(fault = %fault, "a server could not be told");
        }
    }
}

fn about(uri: &str) -> String {
    format!("{{\"uri\":{}}}", wire::json::encode_string(uri))
}
