//! A modern server over HTTP: no session, POST only, every request says what it is (2026-07-28
//! `basic/transports/streamable-http`). Every caller needs the key.

use super::Service;
use super::answer::{Refused, answer};
use super::http::{Heard, bind, input_ends, json, listen, media, status_only, tell, values};
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use std::future::Future;
use std::io;
use std::sync::{Mutex, PoisonError};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::TcpListener;
use wire::{Frame, Kind, Limits, MetaError, Revision, era, headers, rpc};

const KEY_BYTES_MAX: u64 = 4096;

/// Reads the key, then serves until standard input ends.
pub(super) async fn serve(service: impl Service + 'static) -> io::Result<()> {
    let mut key = String::new();
    let mut input = BufReader::new(tokio::io::stdin().take(KEY_BYTES_MAX));
    input.read_line(&mut key).await?;
    let key = key.trim().to_owned();
    if key.is_empty() {
        let message = "the key that callers must have is expected on the first line of standard input";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    drop(input);
    let (listener, url) = bind().await?;
    tell(&url)?;
    // whoever started the server may have stopped listening
    let told = |line: &str| drop(tell(line));
    at(listener, service, key, told, input_ends()).await
}

/// Serves callers who have the key, and tells of every request.
pub(super) async fn at(
    listener: TcpListener,
    service: impl Service + 'static,
    key: String,
    told: impl Fn(&str) + Send + Sync + 'static,
    over: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let service = Mutex::new(service);
    let handle = move |heard: Heard| {
        let (method, response) = respond(&service, &key, &heard);
        told(&format!("{} {method}", response.status().as_u16()));
        async move { response }
    };
    listen(listener, handle, over).await
}

fn respond<S: Service>(service: &Mutex<S>, key: &str, heard: &Heard) -> (String, Response<Body>) {
    if is_authorized(&heard.headers, key) {
        message(service, heard)
    } else {
        let mut response = status_only(StatusCode::UNAUTHORIZED);
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        ("-".to_owned(), response)
    }
}

fn is_authorized(headers: &HeaderMap, key: &str) -> bool {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (given.next(), given.next()) else { return false };
    let Some(bearer) = value.to_str().ok().and_then(|text| text.strip_prefix("Bearer ")) else {
        return false;
    };
    // as long for a near miss as for a far one
    let differ = bearer.bytes().zip(key.bytes()).fold(0, |differ, (a, b)| differ | (a ^ b));
    bearer.len() == key.len() && differ == 0
}

fn message<S: Service>(service: &Mutex<S>, heard: &Heard) -> (String, Response<Body>) {
    if heard.method != Method::POST {
        let mut response = status_only(StatusCode::METHOD_NOT_ALLOWED);
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        return ("-".to_owned(), response);
    }
    if let Err(status) = media(&heard.headers) {
        return ("-".to_owned(), status_only(status));
    }
    let frame = match Frame::scan(heard.body.clone(), &Limits::DEFAULT) {
        Ok(frame) => frame,
        Err(error) => {
            let body = rpc::error(None, error.rpc_code(), &error.to_string(), None);
            return ("-".to_owned(), json(StatusCode::BAD_REQUEST, body));
        }
    };
    let method = frame.method().unwrap_or_default().into_owned();
    let id = match frame.kind() {
        Kind::Request => frame.id_raw(),
        Kind::Notification => return (method, status_only(StatusCode::ACCEPTED)),
        Kind::Response | Kind::ErrorResponse => {
            let body = rpc::error(None, rpc::INVALID_REQUEST, "Invalid Request: nothing was asked", None);
            return (method, json(StatusCode::BAD_REQUEST, body));
        }
    };
    let response = match request(service, &heard.headers, &frame) {
        Ok(result) => {
            let result = result.to_string();
            json(StatusCode::OK, rpc::result(id.unwrap_or(b"0"), result.as_bytes()))
        }
        Err((status, refused)) => json(status, refused.bytes(id)),
    };
    (method, response)
}

fn request<S: Service>(
    service: &Mutex<S>,
    given: &HeaderMap,
    frame: &Frame,
) -> Result<serde_json::Value, (StatusCode, Refused)> {
    let meta = era::modern_meta(frame).map_err(|error| {
        let mut refused = Refused::new(error.rpc_code(), error.to_string());
        if error == MetaError::Unsupported {
            refused.data = Some(serde_json::json!({
                "supported": [Revision::LATEST_MODERN.as_str()],
                "requested": era::claimed_revision(frame),
            }));
        }
        (StatusCode::BAD_REQUEST, refused)
    })?;
    headers::check_version(values(given, headers::PROTOCOL_VERSION), meta.revision)
        .and_then(|()| {
            let (method, name) = (values(given, headers::METHOD), values(given, headers::NAME));
            headers::check_standard(meta.revision, method, name, frame)
        })
        .map_err(|error| (StatusCode::BAD_REQUEST, Refused::new(error.rpc_code(), error.to_string())))?;
    let mut service = service.lock().unwrap_or_else(PoisonError::into_inner);
    answer(&mut *service, meta.revision, frame).map_err(|refused| {
        let unknown = refused.code == rpc::METHOD_NOT_FOUND;
        (if unknown { StatusCode::NOT_FOUND } else { StatusCode::OK }, refused)
    })
}
