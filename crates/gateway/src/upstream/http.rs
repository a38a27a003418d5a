//! One HTTP exchange with a server, in either era: what is sent, and what a status and a media type mean.

use super::connection::Bounds;
use super::fault::{Fault, FaultKind, printable};
use super::injected::{Injected, Received, Unheard};
use super::loose;
use bytes::{Bytes, BytesMut};
use egress::{BodyStream, EgressError, Sent};
use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use std::time::Duration;
use url::Url;
use wire::{Kind, ScanError};

pub(super) const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
pub(super) const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
pub(super) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const JSON_OR_EVENTS: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A stream that is silent for so long is dead, keep-alive comments counted as life.
pub(super) const IDLE_MAX: Duration = Duration::from_secs(60 * 60);
/// An error page is read so far, to tell what it is.
const ERROR_PAGE_MAX: usize = 64 << 10;

/// How far we are with a server, which decides what a status means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It has not shaken hands: whether it speaks the legacy era is open.
    Opening,
    /// In a session that it keeps, and can forget.
    Session,
    /// It has shaken hands, and keeps no session.
    Stateless,
    /// There is no handshake: with each request the era is open.
    Modern,
}

/// An address and the client to reach it with.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    client: egress::Client,
    url: Url,
    /// The same, parsed once; `None` if it is not one of HTTP.
    uri: Option<Uri>,
    pub(super) bounds: Bounds,
}

/// What the body of a 200 is.
pub(super) enum Body {
    Json(BodyStream),
    Events(BodyStream),
}

impl Endpoint {
    pub(super) fn new(client: egress::Client, url: &Url, bounds: Bounds) -> Self {
        Self { client, uri: url.as_str().parse().ok(), url: url.clone(), bounds }
    }

    /// Another address of the same server.
    pub(super) fn at(&self, url: &Url) -> Self {
        Self::new(self.client.clone(), url, self.bounds)
    }
    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// Posts one message. `timeout` is for the head of the answer.
    pub(super) async fn post(
        &self,
        frame: Bytes,
        mut headers: HeaderMap,
        injected: &Injected,
        timeout: Duration,
    ) -> Result<Response<BodyStream>, Fault> {
        headers.insert(CONTENT_TYPE, JSON);
        headers.insert(ACCEPT, JSON_OR_EVENTS);
        self.send(Method::POST, frame, headers, injected, timeout).await
    }

    /// Opens, or resumes, an event stream.
    pub(super) async fn get(
        &self,
        mut headers: HeaderMap,
        injected: &Injected,
    ) -> Result<Response<BodyStream>, Fault> {
        headers.insert(ACCEPT, EVENTS);
        self.send(Method::GET, Bytes::new(), headers, injected, self.bounds.open).await
    }

    /// Ends a session.
    pub(super) async fn delete(
        &self,
        headers: HeaderMap,
        injected: &Injected,
    ) -> Result<Response<BodyStream>, Fault> {
        self.send(Method::DELETE, Bytes::new(), headers, injected, self.bounds.open).await
    }

    async fn send(
        &self,
        method: Method,
        body: Bytes,
        mut headers: HeaderMap,
        injected: &Injected,
        timeout: Duration,
    ) -> Result<Response<BodyStream>, Fault> {
        injected.apply(&mut headers)?;
        let uri = match injected.address(&self.url)? {
            None => self.uri.clone(),
            Some(address) => address.as_str().parse().ok(),
        };
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() =
            uri.ok_or_else(|| Fault::unsent(FaultKind::Unreachable, "the address is not one of HTTP"))?;
        *request.headers_mut() = headers;
        let bounds = egress::Bounds { first_byte_max: timeout, idle_max: IDLE_MAX, total_max: None };
        self.client.send(request, bounds).await.map_err(|error| unreached(&error))
    }
}

fn unreached(error: &EgressError) -> Fault {
    match error.sent() {
        Sent::Unsent => Fault::unsent(FaultKind::Unreachable, error.to_string()),
        Sent::MaybeSent => Fault::sent(late_or_lost(error), error.to_string()),
    }
}

fn late_or_lost(error: &EgressError) -> FaultKind {
    if matches!(error, EgressError::Timeout { .. }) { FaultKind::Timeout } else { FaultKind::Lost }
}

/// The body broke off, or broke a bound of the client's.
pub(super) fn broken(error: &EgressError) -> Fault {
    Fault::sent(late_or_lost(error), format!("the answer broke off: {error}"))
}

/// Headers of a message that is ours to route: only `Mcp-*`, and nothing that names a session or a version.
pub(super) fn routing(headers: &mut HeaderMap, given: Vec<(HeaderName, HeaderValue)>) {
    for (name, value) in given {
        if name.as_str().starts_with("mcp-") && name != SESSION_ID && name != PROTOCOL_VERSION {
            headers.append(name, value);
        }
    }
}

/// What a 200 carries.
///
/// Errors: neither JSON nor events, or encoded although nobody asked for that.
pub(super) fn body(response: Response<BodyStream>) -> Result<Body, Fault> {
    if response.headers().get(CONTENT_ENCODING).is_some_and(|v| v != "identity") {
        return Err(Fault::sent(FaultKind::Nonsense, "the answer is compressed, which was not asked for"));
    }
    match media_type(response.headers()).as_str() {
        "application/json" => Ok(Body::Json(response.into_body())),
        "text/event-stream" => Ok(Body::Events(response.into_body())),
        _ => Err(Fault::sent(FaultKind::Nonsense, "the answer is neither JSON nor an event stream")),
    }
}

fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// A body as a whole, of at most `limit` bytes.
pub(super) async fn whole(mut body: BodyStream, limit: usize) -> Result<Bytes, Fault> {
    let mut read = BytesMut::new();
    let too_large = || Fault::sent(FaultKind::TooLarge, format!("the answer is over {limit} bytes"));
    while let Some(part) = body.frame().await {
        let part = part.map_err(|error| broken(&error))?;
        if let Ok(data) = part.into_data() {
            if read.len() + data.len() > limit {
                return Err(too_large());
            }
            // one part, the usual case, is not copied
            if read.is_empty() && body_ended(&body) {
                return Ok(data);
            }
            read.extend_from_slice(&data);
        }
    }
    Ok(read.freeze())
}

fn body_ended(body: &BodyStream) -> bool {
    http_body::Body::is_end_stream(body)
}

/// An answer as a frame, without the credentials it was asked with.
///
/// Errors: over the limit, or not one strict message.
pub(super) fn scan(bytes: Bytes, limits: &wire::Limits, injected: &Injected) -> Result<Received, Fault> {
    injected.hear(bytes.clone(), limits).map_err(|error| {
        let too_large = matches!(error, Unheard::Scan(ScanError::TooLarge { .. }));
        let kind = if too_large { FaultKind::TooLarge } else { FaultKind::Nonsense };
        Fault::sent(kind, error.to_string()).of(bytes)
    })
}

/// Checks that a frame answers our request `id`.
pub(super) fn for_us(received: Received, id: u64) -> Result<Received, Fault> {
    let frame = &received.frame;
    let ours = match (frame.kind(), frame.id_raw()) {
        (Kind::Response | Kind::ErrorResponse, Some(raw)) => super::pending::number(raw) == Some(id),
        (Kind::ErrorResponse, None) => true,
        (Kind::Response, None) | (Kind::Request | Kind::Notification, _) => false,
    };
    if ours {
        Ok(received)
    } else {
        Err(Fault::sent(FaultKind::Nonsense, "the answer is for another request"))
    }
}

/// Checks that a message without an answer was taken: any success will do.
pub(super) async fn accepted(
    response: Response<BodyStream>,
    limits: &wire::Limits,
    standing: Standing,
    injected: &Injected,
) -> Result<(), Fault> {
    if response.status().is_success() {
        return Ok(());
    }
    match unsuccessful(response, 0, limits, standing, injected).await {
        Ok(received) => Err(super::handshake::refused(&received.frame)),
        Err(fault) => Err(fault),
    }
}

/// What anything but a success means. `Ok` is an error of the protocol, which is an answer.
pub(super) async fn unsuccessful(
    response: Response<BodyStream>,
    id: u64,
    limits: &wire::Limits,
    standing: Standing,
    injected: &Injected,
) -> Result<Received, Fault> {
    let status = response.status();
    let (kind, detail) = match status.as_u16() {
        401 | 403 if injected.is_bare() => {
            let asks = response.headers().get_all(http::header::WWW_AUTHENTICATE).iter();
            let asks =
                asks.filter_map(|value| value.to_str().ok()).any(|value| value.contains("resource_metadata"));
            let detail = if asks {
                "the server asks for a sign-in, and no credential is configured for it"
            } else {
                "the server wants a credential, and none is configured for it"
            };
            (FaultKind::Unauthorized, detail)
        }
        401 | 403 => (FaultKind::Unauthorized, "the server does not accept our credential"),
        404 if standing == Standing::Session => {
            (FaultKind::SessionGone, "the server does not know our session")
        }
        429 => (FaultKind::Busy, "the server asks for patience"),
        400..=499 => return client_error(response, id, limits, standing, injected).await,
        // so far only hands were shaken
        502..=599 if standing == Standing::Opening => (FaultKind::Unreachable, "the server is not available"),
        // a proxy's 502, 503 and 504 look the same whether or not it passed the request on before it gave up
        500..=599 => {
            (FaultKind::Lost, "the server, or a proxy before it, failed: whether it acted is not known")
        }
        300..=399 => (
            FaultKind::Nonsense,
            "the server redirects, which is not followed; configure the address it names",
        ),
        _ => (FaultKind::Nonsense, "the server accepted a request without an answer"),
    };
    Err(Fault::sent(kind, format!("{detail} (HTTP {})", status.as_u16())))
}

async fn client_error(
    response: Response<BodyStream>,
    id: u64,
    limits: &wire::Limits,
    standing: Standing,
    injected: &Injected,
) -> Result<Received, Fault> {
    let status = response.status();
    let json = media_type(response.headers()) == "application/json";
    let read = whole(response.into_body(), if json { limits.bytes } else { ERROR_PAGE_MAX }).await;
    let page = read.unwrap_or_default();
    if json
        && let Ok(received) = scan(page.clone(), limits, injected)
        && received.frame.kind() == Kind::ErrorResponse
    {
        return for_us(received, id);
    }
    // servers on the TypeScript SDK's examples answer 400, not 404, once they have forgotten a session
    let forgotten =
        standing == Standing::Session && status == StatusCode::BAD_REQUEST && mentions_session(&page);
    let era_open = matches!(standing, Standing::Opening | Standing::Modern);
    let kind = match status.as_u16() {
        _ if forgotten => FaultKind::SessionGone,
        400 | 404 | 405 | 406 | 415 if era_open => FaultKind::NotThisEra,
        _ => FaultKind::Refused,
    };
    let said = said(&page, injected);
    Err(Fault::sent(kind, format!("the server does not take the request (HTTP {}){said}", status.as_u16())))
}

/// What an error page says that is no answer to us, for the operator: often an error without an id.
fn said(page: &[u8], injected: &Injected) -> String {
    let message = loose::error_message(page);
    message.map(|text| format!(": {}", printable(&injected.without(&text), 200))).unwrap_or_default()
}

fn mentions_session(page: &[u8]) -> bool {
    page.windows(7).any(|w| w.eq_ignore_ascii_case(b"session"))
}
