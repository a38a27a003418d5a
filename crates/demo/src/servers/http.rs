//! What both HTTP servers share: a port of loopback, who may connect, and what a request must look like.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use std::future::Future;
use std::io::{self, Write as _};
use std::sync::Arc;
use tokio::net::TcpListener;
use wire::Limits;

/// A request whose body was read.
pub(super) struct Heard {
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Writes one line on standard output, where whoever started the server reads it.
pub(super) fn tell(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// Writes one line on standard error.
pub(super) fn complain(line: &str) {
    // without a standard error there is nobody to tell
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// A free port of loopback, and the address of what will be there.
pub(super) async fn bind() -> io::Result<(TcpListener, String)> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("http://{}/mcp", listener.local_addr()?);
    Ok((listener, url))
}

/// Answers at `/mcp` until `over`.
pub(super) async fn listen<F>(
    listener: TcpListener,
    handle: impl Fn(Heard) -> F + Send + Sync + 'static,
    over: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()>
where
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let handle = Arc::new(handle);
    let site = axum::Router::new().route(
        "/mcp",
        axum::routing::any(move |request: Request<Body>| {
            let handle = Arc::clone(&handle);
            async move {
                match hear(request).await {
                    Ok(heard) => handle(heard).await,
                    Err(status) => status_only(status),
                }
            }
        }),
    );
    let serving = axum::serve(listener, site);
    // connections that are kept alive are no reason to stay
    tokio::select! {
        ended = async { serving.await } => ended,
        () = over => Ok(()),
    }
}

/// Reads standard input until it ends: nobody needs the server any more.
pub(super) async fn input_ends() {
    let mut input = tokio::io::stdin();
    // an error is an end too
    let _ = tokio::io::copy(&mut input, &mut tokio::io::sink()).await;
}

async fn hear(request: Request<Body>) -> Result<Heard, StatusCode> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, Limits::DEFAULT.bytes);
    let here = |value: &HeaderValue| value.to_str().is_ok_and(is_loopback);
    // DNS rebinding: 2025-11-25 `basic/transports`, *Security Warning*
    if !parts.headers.get(header::HOST).is_some_and(here)
        || !parts.headers.get(header::ORIGIN).is_none_or(here)
    {
        return Err(StatusCode::FORBIDDEN);
    }
    let body = body.collect().await.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?.to_bytes();
    Ok(Heard { method: parts.method, headers: parts.headers, body })
}

fn is_loopback(text: &str) -> bool {
    let text = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")).unwrap_or(text);
    let name = text.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    matches!(name.map_or(text, |(name, _)| name), "127.0.0.1" | "localhost" | "[::1]")
}

/// What a POST must say about itself: JSON, and that both forms of an answer are understood.
pub(super) fn media(headers: &HeaderMap) -> Result<(), StatusCode> {
    let says = |name, what: &str| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values
            .flat_map(|value| value.split(','))
            .any(|one| one.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(what))
    };
    if !says(header::CONTENT_TYPE, "application/json") {
        return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    if !says(header::ACCEPT, "application/json") || !says(header::ACCEPT, "text/event-stream") {
        return Err(StatusCode::NOT_ACCEPTABLE);
    }
    Ok(())
}

pub(super) fn status_only(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

pub(super) fn with_body(status: StatusCode, media: &'static str, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    response
}

pub(super) fn json(status: StatusCode, body: Bytes) -> Response<Body> {
    with_body(status, "application/json", body)
}

/// All values of a header, as `wire` wants them.
pub(super) fn values<'a>(headers: &'a HeaderMap, name: &str) -> wire::headers::Header<'a> {
    wire::headers::Header::of(headers.get_all(name).iter().map(HeaderValue::as_bytes))
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn only_loopback_is_here() {
        for here in ["127.0.0.1:3301", "localhost", "http://localhost:8484", "[::1]:80"] {
            assert!(is_loopback(here), "{here}");
        }
        for elsewhere in [
            "",
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost:80:80x",
            "http://127.0.0.1@evil.example",
            "null",
        ] {
            assert!(!is_loopback(elsewhere), "{elsewhere}");
        }
    }
}
