//! HTTP as the console speaks it: bounded forms, one cookie, and headers that leave a browser little to do wrong.

use crate::assets::Asset;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use catalog::record::Fact;
use decision::Entropy;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited, combinators::UnsyncBoxBody};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

pub type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Largest form, but for the one of a server's record.
pub(crate) const FORM_BYTES_MAX: usize = 16 << 10;
/// Largest of that: every fact as long as it may be, written out for the way.
pub(crate) const RECORD_BYTES_MAX: usize = 128 << 10;
/// Most fields of one: every fact of a record, and what goes with them.
const FIELDS_MAX: usize = Fact::ALL.len() + 8;
/// For a form to arrive.
const FORM_TIME: Duration = Duration::from_secs(10);
const COOKIE: &str = "__Host-callgate";

/// What a page may do: show what is ours, and nothing of anybody else's.
const CSP: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// On every answer. `same-origin` leaves an `Origin` on our own forms; `no-referrer` would make it `null`.
const HEADERS: [(HeaderName, &str); 8] = [
    (header::CONTENT_SECURITY_POLICY, CSP),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
];

/// Why a request gets no answer of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stop {
    pub(crate) status: StatusCode,
    pub(crate) title: &'static str,
    /// A sentence for the person, without anything of the request's.
    pub(crate) text: String,
    /// Where to go on, and what that does, if it is not to the console.
    pub(crate) on: Option<(String, &'static str)>,
}

impl Stop {
    pub(crate) fn new(status: StatusCode, title: &'static str, text: impl Into<String>) -> Self {
        Self { status, title, text: text.into(), on: None }
    }
    pub(crate) fn nowhere() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Nothing here", "There is nothing at this address.")
    }
    pub(crate) fn forbidden(text: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Not for you", text)
    }
    pub(crate) fn malformed(text: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Not understood", text)
    }
    pub(crate) fn fault(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "the console cannot answer");
        let text = "The gateway could not do this. Its log says why; nothing was decided.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "Something does not work", text)
    }
}

impl From<store::StoreError> for Stop {
    fn from(error: store::StoreError) -> Self {
        Self::fault(&error)
    }
}

fn guarded(status: StatusCode, body: Body, content_type: &'static str) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

pub(crate) fn page(status: StatusCode, html: String) -> Response<Body> {
    guarded(status, Full::new(Bytes::from(html)).boxed_unsync(), "text/html; charset=utf-8")
}

pub(crate) fn asset(asset: &'static Asset) -> Response<Body> {
    let body = Full::new(Bytes::from_static(asset.text.as_bytes())).boxed_unsync();
    let mut response = guarded(StatusCode::OK, body, asset.content_type);
    // the name changes with the content
    let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
    response.headers_mut().insert(header::CACHE_CONTROL, forever);
    response
}

pub(crate) fn stream(body: Body) -> Response<Body> {
    guarded(StatusCode::OK, body, "text/event-stream; charset=utf-8")
}

/// To another page of ours. The path is written by us: nothing of a request is in it as it came.
pub(crate) fn see(path: &str) -> Response<Body> {
    let mut response =
        guarded(StatusCode::SEE_OTHER, Full::new(Bytes::new()).boxed_unsync(), "text/plain; charset=utf-8");
    if let Ok(value) = HeaderValue::from_str(path) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    response
}

/// Gives the browser a session, or takes it away.
pub(crate) fn with_session(mut response: Response<Body>, token: Option<&str>) -> Response<Body> {
    let always = "; Path=/; Secure; HttpOnly; SameSite=Strict";
    let cookie = match token {
        Some(token) => format!("{COOKIE}={token}{always}"),
        None => format!("{COOKIE}={always}; Max-Age=0"),
    };
    if let Ok(value) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    response
}

/// The session that the browser names.
pub(crate) fn session_token(headers: &HeaderMap) -> Option<&str> {
    cookie(headers, COOKIE)
}

/// The cookie of a name. Two of that name are none.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut ours = cookies
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='));
    let token = ours.next()?;
    ours.next().is_none().then_some(token)
}

/// Whether a form was sent from one of our own pages.
pub(crate) fn from_ourselves(headers: &HeaderMap, secure: bool) -> bool {
    let one = |name| {
        let mut values = headers.get_all(name).iter();
        let first = values.next().and_then(|value: &HeaderValue| value.to_str().ok());
        first.filter(|_| values.next().is_none())
    };
    let scheme = if secure { "https://" } else { "http://" };
    let origin = one(header::ORIGIN).and_then(|origin| origin.strip_prefix(scheme));
    let same = origin.zip(one(header::HOST)).is_some_and(|(origin, host)| origin.eq_ignore_ascii_case(host));
    let site = headers.get("sec-fetch-site");
    same && site.is_none_or(|site| site == "same-origin")
}

/// A whole body that is no form.
pub(crate) async fn bytes<B>(body: B, max: usize) -> Result<Bytes, Stop>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let whole = tokio::time::timeout(FORM_TIME, Limited::new(body, max).collect()).await;
    let slow = || Stop::new(StatusCode::REQUEST_TIMEOUT, "Too slow", "The body took too long to arrive.");
    let large =
        |_| Stop::new(StatusCode::PAYLOAD_TOO_LARGE, "Too large", "The body is too large, or broke off.");
    Ok(whole.map_err(|_| slow())?.map_err(large)?.to_bytes())
}

pub(crate) fn json(status: StatusCode, value: &serde_json::Value) -> Response<Body> {
    guarded(status, Full::new(Bytes::from(value.to_string())).boxed_unsync(), "application/json")
}

/// The fields of a form. One that comes twice is a form that two readers could read differently.
pub(crate) async fn form<B>(
    headers: &HeaderMap,
    body: B,
    max: usize,
) -> Result<BTreeMap<String, String>, Stop>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(Stop::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Not understood",
            "A form of the console is expected here.",
        ));
    }
    let whole = tokio::time::timeout(FORM_TIME, Limited::new(body, max).collect()).await;
    let Ok(whole) = whole else {
        return Err(Stop::new(StatusCode::REQUEST_TIMEOUT, "Too slow", "The form took too long to arrive."));
    };
    let Ok(whole) = whole else {
        let text = "The form is larger than any of the console's, or broke off.";
        return Err(Stop::new(StatusCode::PAYLOAD_TOO_LARGE, "Too large", text));
    };
    fields(&whole.to_bytes())
}

/// Name and value pairs as forms and queries have them.
pub(crate) fn fields(text: &[u8]) -> Result<BTreeMap<String, String>, Stop> {
    let mut fields = BTreeMap::new();
    for (name, value) in url::form_urlencoded::parse(text) {
        if fields.len() == FIELDS_MAX {
            return Err(Stop::malformed("There are more fields than any form of the console has."));
        }
        if fields.insert(name.into_owned(), value.into_owned()).is_some() {
            return Err(Stop::malformed("A field came twice."));
        }
    }
    Ok(fields)
}

/// 256 random bits, as text for links, cookies and forms.
pub(crate) fn secret(entropy: &dyn Entropy) -> String {
    let mut bytes = [0; 32];
    entropy.fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(of: &[(&'static str, &'static str)]) -> HeaderMap {
        of.iter().map(|(name, value)| ((*name).parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_form_of_another_page_is_not_ours() {
        let host = ("host", "callgate.localhost:7300");
        let ours = |more: &[(&'static str, &'static str)], secure| {
            let all = [&[host], more].concat();
            let mut headers = HeaderMap::new();
            for (name, value) in all {
                headers.append(name, HeaderValue::from_static(value));
            }
            from_ourselves(&headers, secure)
        };
        let good = ("origin", "http://callgate.localhost:7300");
        assert!(ours(&[good], false));
        assert!(ours(&[good, ("sec-fetch-site", "same-origin")], false));
        assert!(!ours(&[good], true), "a page without TLS, to us with it");
        assert!(!ours(&[good, ("sec-fetch-site", "same-site")], false));
        assert!(!ours(&[good, good], false));
        assert!(!ours(&[], false), "no Origin is not ours");
        for foreign in [
            "null",
            "http://callgate.localhost",
            "http://callgate.localhost:7301",
            "http://evil.example",
            "https://callgate.localhost:7300",
            "callgate.localhost:7300",
        ] {
            assert!(!ours(&[("origin", foreign)], false), "{foreign}");
        }
    }

    #[test]
    fn a_browser_names_one_session_or_none() {
        let token = |cookie| session_token(&headers(&[("cookie", cookie)])).map(str::to_owned);
        assert_eq!(token("a=b; __Host-callgate=xyz").as_deref(), Some("xyz"));
        assert_eq!(token("__Host-callgate=x; __Host-callgate=y"), None);
        assert_eq!(token("callgate=x"), None);
        assert_eq!(token("__Host-callgates=x"), None);
        assert_eq!(session_token(&HeaderMap::new()), None);
    }
}
