//! A legacy session's stream of messages that no request asked for.

use super::connection::FromServer;
use super::fault::FaultKind;
use super::http::{self, Body};
use super::http_legacy::{Session, retry};
use super::pending::{Patience, Read, related};
use super::stream::{Events, Position};
use ::http::StatusCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use wire::{Frame, Kind};

/// The longest wait between two attempts.
const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// Why a stream is over for now, or for good.
enum After {
    Again,
    Never,
}

/// Listens for as long as the session lives and the server offers a stream.
pub(super) async fn unsolicited(session: Arc<Session>, sink: mpsc::Sender<FromServer>) {
    let stop = session.stop.clone();
    tokio::select! {
        () = stop.cancelled() => {}
        () = sink.closed() => {}
        () = listen(&session, &sink) => {}
    }
}

async fn listen(session: &Session, sink: &mpsc::Sender<FromServer>) {
    let mut position = Position::default();
    let mut fruitless = 0u32;
    loop {
        let before = position.events;
        if let After::Never = once(session, sink, &mut position).await {
            return;
        }
        fruitless = if position.events > before { 0 } else { fruitless.saturating_add(1) };
        let wait = retry(&position).saturating_mul(2u32.pow(fruitless.min(6)));
        tokio::time::sleep(wait.min(BACKOFF_MAX)).await;
    }
}

async fn once(session: &Session, sink: &mpsc::Sender<FromServer>, position: &mut Position) -> After {
    let headers = session.headers(position.last_event_id.as_ref());
    let response = match session.endpoint.get(headers, &session.injected()).await {
        Ok(response) => response,
        Err(_) => return After::Again,
    };
    let status = response.status();
    if status == StatusCode::NOT_FOUND && session.in_session() {
        session.mark_gone();
    }
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return After::Again;
    }
    let (StatusCode::OK, Ok(Body::Events(body))) = (status, http::body(response)) else {
        return After::Never;
    };
    let limits = session.endpoint.bounds.scan();
    let mut events = Events::new(body, limits.bytes);
    let mut patience = Patience::default();
    loop {
        let event = match events.next(position).await {
            Ok(Some(event)) => event,
            Ok(None) => return After::Again,
            Err(fault) if fault.kind == FaultKind::Lost => return After::Again,
            Err(_) => return After::Never,
        };
        let Some(data) = event.message() else { continue };
        let frame = Frame::scan(data.clone(), &limits).ok();
        let read = if frame.is_some() { Read::Message } else { Read::Noise };
        if !patience.note(read) {
            return After::Never;
        }
        // an answer has no place here
        let Some(frame) = frame.filter(|f| matches!(f.kind(), Kind::Request | Kind::Notification)) else {
            continue;
        };
        let related = related(&frame);
        if sink.send(FromServer { frame, related }).await.is_err() {
            return After::Never;
        }
    }
}
