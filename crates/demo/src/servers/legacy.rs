//! A legacy server over HTTP: `initialize` begins a session, every later request names it, answers come as events
//! (2025-11-25 `basic/transports`, *Streamable HTTP*). It has nothing to say unasked, so there is no GET stream.

use super::Service;
use super::answer::{Refused, answer, handshake};
use super::http::{Heard, bind, input_ends, json, listen, media, status_only, tell, values, with_body};
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use decision::Entropy;
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpListener;
use wire::headers::Header;
use wire::{Frame, Kind, Limits, Revision, era, headers, rpc, sse, views};

/// Sessions beyond this are refused: nobody here needs more.
const SESSIONS_MAX: usize = 1_000;

struct State<S> {
    service: S,
    /// Which revision each session speaks.
    sessions: BTreeMap<String, Revision>,
}

/// Serves until standard input ends.
pub(super) async fn serve(service: impl Service + 'static, entropy: Arc<dyn Entropy>) -> io::Result<()> {
    let (listener, url) = bind().await?;
    tell(&url)?;
    at(listener, service, entropy, input_ends()).await
}

/// Serves callers who have a session.
pub(super) async fn at(
    listener: TcpListener,
    service: impl Service + 'static,
    entropy: Arc<dyn Entropy>,
    over: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let state = Mutex::new(State { service, sessions: BTreeMap::new() });
    let handle = move |heard: Heard| {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let response = respond(&mut state, &*entropy, &heard);
        drop(state);
        async move { response }
    };
    listen(listener, handle, over).await
}

fn respond<S: Service>(state: &mut State<S>, entropy: &dyn Entropy, heard: &Heard) -> Response<Body> {
    if heard.method == Method::DELETE {
        return match session(state, &heard.headers) {
            Ok((id, _)) => {
                state.sessions.remove(&id);
                status_only(StatusCode::NO_CONTENT)
            }
            Err(status) => status_only(status),
        };
    }
    if heard.method != Method::POST {
        let mut response = status_only(StatusCode::METHOD_NOT_ALLOWED);
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST, DELETE"));
        return response;
    }
    if let Err(status) = media(&heard.headers) {
        return status_only(status);
    }
    match Frame::scan(heard.body.clone(), &Limits::DEFAULT) {
        Ok(frame) => message(state, entropy, &heard.headers, &frame),
        Err(error) => {
            json(StatusCode::BAD_REQUEST, rpc::error(None, error.rpc_code(), &error.to_string(), None))
        }
    }
}

fn message<S: Service>(
    state: &mut State<S>,
    entropy: &dyn Entropy,
    headers: &HeaderMap,
    frame: &Frame,
) -> Response<Body> {
    if let (Kind::Request, Some("initialize")) = (frame.kind(), frame.method().as_deref()) {
        return begin(state, entropy, frame);
    }
    let revision = match session(state, headers) {
        Ok((_, revision)) => revision,
        Err(status) => {
            let refused = Refused::new(rpc::INVALID_REQUEST, "no such session; initialize first");
            return json(status, refused.bytes(frame.id_raw()));
        }
    };
    match (frame.kind(), frame.id_raw()) {
        (Kind::Request, Some(id)) => {
            let body = match answer(&mut state.service, revision, frame) {
                Ok(result) => rpc::result(id, result.to_string().as_bytes()),
                Err(refused) => refused.bytes(Some(id)),
            };
            let event = sse::encode(&sse::message(body, None));
            with_body(StatusCode::OK, "text/event-stream", event)
        }
        (Kind::Request | Kind::Notification | Kind::Response | Kind::ErrorResponse, _) => {
            status_only(StatusCode::ACCEPTED)
        }
    }
}

fn begin<S: Service>(state: &mut State<S>, entropy: &dyn Entropy, frame: &Frame) -> Response<Body> {
    let id = frame.id_raw().unwrap_or(b"0");
    let revision = match views::InitializeParams::read(frame) {
        Ok(asked) => era::negotiate(&asked.protocol_version),
        Err(error) => {
            let refused = Refused::new(rpc::INVALID_PARAMS, error.to_string());
            return json(StatusCode::OK, refused.bytes(Some(id)));
        }
    };
    if state.sessions.len() >= SESSIONS_MAX {
        return status_only(StatusCode::SERVICE_UNAVAILABLE);
    }
    let name = crate::hex(entropy);
    let result = handshake(&state.service, revision).to_string();
    let mut response = json(StatusCode::OK, rpc::result(id, result.as_bytes()));
    if let Ok(value) = HeaderValue::from_str(&name) {
        response.headers_mut().insert(headers::SESSION_ID, value);
    }
    state.sessions.insert(name, revision);
    response
}

/// The session a request names. Errors: none is named, it is unknown, or the request speaks another revision.
fn session<S>(state: &State<S>, given: &HeaderMap) -> Result<(String, Revision), StatusCode> {
    let Header::One(id) = values(given, headers::SESSION_ID) else { return Err(StatusCode::BAD_REQUEST) };
    let id = std::str::from_utf8(id).map_err(|_| StatusCode::BAD_REQUEST)?;
    let revision = *state.sessions.get(id).ok_or(StatusCode::NOT_FOUND)?;
    match values(given, headers::PROTOCOL_VERSION) {
        // clients of the first two revisions do not send it
        Header::Absent => Ok((id.to_owned(), revision)),
        Header::One(said) if said == revision.as_str().as_bytes() => Ok((id.to_owned(), revision)),
        Header::One(_) | Header::Repeated => Err(StatusCode::BAD_REQUEST),
    }
}
