//! A legacy session's stream of messages that no request asked for.

use super::connection::{Bounds, FromServer, Room};
use super::fault::FaultKind;
use super::http::{self, Body};
use super::http_session::{Session, retry};
use super::injected::{Injected, Received};
use super::pending::{Patience, Read, related};
use super::stream::{Events, Position};
use ::http::{Response, StatusCode};
use egress::BodyStream;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::mpsc;
use wire::Kind;

/// The longest wait between two attempts.
const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// Why a stream is over for now, or for good.
enum After {
    Again,
    Never,
}

/// Behind a message on the stream: nothing of it stays.
struct Rest<'a>(&'a Injected);

impl Drop for Rest<'_> {
    fn drop(&mut self) {
        self.0.rest();
    }
}

/// Listens for as long as the session lives and the server offers a stream.
pub(super) fn start(session: &Arc<Session>, sink: mpsc::Sender<FromServer>, hidden: bool) {
    let (stop, session) = (session.stop.clone(), Arc::downgrade(session));
    tokio::spawn(async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = sink.closed() => {}
            () = listen(&session, &sink, hidden) => {}
        }
    });
}

async fn listen(session: &Weak<Session>, sink: &mpsc::Sender<FromServer>, hidden: bool) {
    let mut position = Position::default();
    let mut fruitless = 0u32;
    loop {
        let before = position.events;
        // never held while waiting: the session ends with its connection, not with this
        let Some(now) = session.upgrade() else { return };
        let response = now.endpoint.get(now.headers(position.last_event_id.as_ref()), &now.injected()).await;
        let bounds = now.endpoint.bounds;
        drop(now);
        let after = match response {
            Ok(response) => once(session, response, &bounds, sink, (&mut position, hidden)).await,
            Err(_) => After::Again,
        };
        if matches!(after, After::Never) {
            return;
        }
        fruitless = if position.events > before { 0 } else { fruitless.saturating_add(1) };
        let wait = retry(&position).saturating_mul(2u32.pow(fruitless.min(6)));
        tokio::time::sleep(wait.min(BACKOFF_MAX)).await;
    }
}

async fn once(
    session: &Weak<Session>,
    response: Response<BodyStream>,
    bounds: &Bounds,
    sink: &mpsc::Sender<FromServer>,
    (position, hidden): (&mut Position, bool),
) -> After {
    let status = response.status();
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return After::Again;
    }
    let (StatusCode::OK, Ok(Body::Events(body))) = (status, http::body(response)) else {
        return After::Never;
    };
    let limits = bounds.scan();
    let mut events = Events::new(body, limits.bytes);
    let mut patience = Patience::default();
    let room = Room::new();
    loop {
        let event = match events.next(position).await {
            Ok(Some(event)) => event,
            Ok(None) => return After::Again,
            Err(fault) if fault.kind == FaultKind::Lost => return After::Again,
            Err(_) => return After::Never,
        };
        let Some(data) = event.message() else { continue };
        let Some(now) = session.upgrade() else { return After::Never };
        let (injected, batches) = (now.injected(), now.revision.has_batches());
        drop(now);
        let _rest = Rest(&injected);
        for message in wire::batch::messages(data, batches).unwrap_or_else(|_| vec![data.clone()]) {
            let received = injected.hear(message, &limits).ok();
            let read = if received.is_some() { Read::Message } else { Read::Noise };
            if !patience.note(read) {
                return After::Never;
            }
            // an answer has no place here
            let asks = |r: &Received| matches!(r.frame.kind(), Kind::Request | Kind::Notification);
            let Some(received) = received.filter(asks) else { continue };
            // some servers say here what belongs on the stream of a request
            let named = related(&received.frame).and_then(|id| session.upgrade()?.waiting(id));
            let waiting = named.or_else(|| of_the_only_one(session, &received.frame).filter(|_| hidden));
            let taken = match waiting {
                Some(request) => room.pass(received, &request).await,
                None => room.pass(received, sink).await,
            };
            if !taken && sink.is_closed() {
                return After::Never;
            }
        }
    }
}

/// In a session that several Hosts share, a log line or a question that names no request is the only open one's.
fn of_the_only_one(session: &Weak<Session>, frame: &wire::Frame) -> Option<mpsc::Sender<FromServer>> {
    let method = frame.method();
    let asks = frame.kind() == Kind::Request && method.as_deref() != Some("ping");
    let logs = method.as_deref() == Some("notifications/message");
    if asks || logs { session.upgrade()?.only_waiting() } else { None }
}
