//! Whole documents of the control plane: metadata, keys, tokens, a vault's answers.

use crate::{BodyStream, Bounds, Client, EgressError, Origin, collect_limited};
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::Full;
use std::fmt;
use std::time::Duration;
use tokio::time::Instant;

/// Bounds of a document: small, and soon there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchBounds {
    pub total_max: Duration,
    pub body_max: usize,
}

impl Default for FetchBounds {
    fn default() -> Self {
        Self { total_max: Duration::from_secs(10), body_max: 1 << 20 }
    }
}

impl FetchBounds {
    /// What is left for one exchange; a document need not come piece by piece.
    fn left(self, start: Instant) -> Bounds {
        let left = self.total_max.saturating_sub(start.elapsed());
        Bounds { first_byte_max: left, idle_max: left, total_max: Some(left) }
    }
}

/// A whole answer. Shown without its body, which may be a secret.
#[derive(Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// JSON by its type; nothing has parsed it. Empty where an answer that is no success came as
    /// something else.
    pub body: Bytes,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({}, {} bytes)", self.status, self.body.len())
    }
}

impl Client {
    /// Posts a form (RFC 6749) and reads the JSON that comes back. Sent once, no redirect is followed.
    ///
    /// Errors: [`EgressError`].
    pub async fn post_form(
        &self,
        uri: &Uri,
        fields: &[(&str, &str)],
        mut headers: HeaderMap,
        bounds: FetchBounds,
    ) -> Result<Answer, EgressError> {
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        self.ask_json(Method::POST, uri, headers, form.into(), bounds).await
    }

    /// Any request that is answered with JSON. Sent once, no redirect is followed.
    ///
    /// Errors: [`EgressError`], among them `Content` and `BodyTooLarge`.
    pub async fn ask_json(
        &self,
        method: Method,
        uri: &Uri,
        mut headers: HeaderMap,
        body: Bytes,
        bounds: FetchBounds,
    ) -> Result<Answer, EgressError> {
        let origin = Origin::of(uri)?;
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("application/json"));
        let request = request(method, uri.clone(), headers, body);
        let response = self.send(request, bounds.left(Instant::now())).await?;
        whole(origin, response, bounds.body_max).await
    }
}

fn request(method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    request
}

/// The whole body, as it was sent: what was compressed although nobody asked for that is refused.
async fn whole(
    origin: Origin,
    response: Response<BodyStream>,
    body_max: usize,
) -> Result<Answer, EgressError> {
    let (head, body) = response.into_parts();
    if head.headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(EgressError::Content { origin, expected: "uncompressed" });
    }
    let json = is_json(&head.headers);
    if head.status.is_success() && !json && head.status != StatusCode::NO_CONTENT {
        return Err(EgressError::Content { origin, expected: "JSON" });
    }
    let body = if json { collect_limited(body, body_max).await? } else { Bytes::new() };
    Ok(Answer { status: head.status, headers: head.headers, body })
}

fn is_json(headers: &HeaderMap) -> bool {
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}
