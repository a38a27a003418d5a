//! The HTTP interface of the backend: one request, one answer, and what its status means.

use super::BackendError;
use bytes::Bytes;
use egress::{Answer, Client, FetchBounds};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use zeroize::{Zeroize, Zeroizing};

const TOKEN: HeaderName = HeaderName::from_static("x-vault-token");
const NAMESPACE: HeaderName = HeaderName::from_static("x-vault-namespace");
/// Asked for by agents and proxies in front of the server, so that a browser cannot be tricked into a request.
const REQUEST: HeaderName = HeaderName::from_static("x-vault-request");

const BOUNDS: FetchBounds = FetchBounds { total_max: Duration::from_secs(5), body_max: 1 << 20 };

#[derive(Debug)]
pub(super) struct Api {
    client: Client,
    /// `https://vault.example.com:8200`, without a slash at its end.
    address: String,
    namespace: Option<HeaderValue>,
}

/// Why there is no answer. What the three statuses mean that speak of the request depends on what was asked.
pub(super) enum Unanswered {
    /// 400, 403 or 404.
    Refused(u16),
    Other(BackendError),
}

impl Unanswered {
    pub(super) fn or(self, refused: impl FnOnce(u16) -> BackendError) -> BackendError {
        match self {
            Self::Refused(status) => refused(status),
            Self::Other(error) => error,
        }
    }
}

impl From<BackendError> for Unanswered {
    fn from(error: BackendError) -> Self {
        Self::Other(error)
    }
}

/// An answer that was a success, wiped when it has been read.
pub(super) struct Reply(Bytes);

impl Reply {
    /// Reads what is in it. `T` must wipe what is secret, or borrow it.
    pub(super) fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, BackendError> {
        serde_json::from_slice(&self.0)
            .map_err(|_| BackendError::Malformed("the body has another form, or says something twice"))
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        // the only holder by now; where that is not so, the other wipes nothing either
        if let Ok(mut bytes) = std::mem::take(&mut self.0).try_into_mut() {
            bytes.as_mut().zeroize();
        }
    }
}

impl Api {
    pub(super) fn new(client: Client, address: &str, namespace: Option<&str>) -> Result<Self, BackendError> {
        let namespace = namespace.map(HeaderValue::from_str).transpose();
        let namespace = namespace.map_err(|_| BackendError::Malformed("the namespace cannot be a header"))?;
        Ok(Self { client, address: address.trim_end_matches('/').to_owned(), namespace })
    }

    pub(super) async fn get(&self, path: &str, token: &str) -> Result<Reply, Unanswered> {
        self.ask(Method::GET, path, Some(token), Bytes::new()).await
    }

    /// A request that is its token and nothing else.
    pub(super) async fn poke(&self, path: &str, token: &str) -> Result<Reply, Unanswered> {
        self.ask(Method::POST, path, Some(token), Bytes::new()).await
    }

    /// A request that needs no token: a login.
    pub(super) async fn post(&self, path: &str, body: &impl Serialize) -> Result<Reply, Unanswered> {
        let body = serde_json::to_vec(body).map_err(|_| BackendError::Malformed("our request"))?;
        // wiped when the last holder lets go of it
        self.ask(Method::POST, path, None, Bytes::from_owner(Zeroizing::new(body))).await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Bytes,
    ) -> Result<Reply, Unanswered> {
        let uri = format!("{}/v1/{path}", self.address);
        let uri: Uri = uri.parse().map_err(|_| BackendError::Malformed("the address is not one of HTTP"))?;
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST, HeaderValue::from_static("true"));
        if let Some(token) = token {
            let mut token = HeaderValue::from_str(token)
                .map_err(|_| BackendError::Malformed("the token cannot be a header"))?;
            token.set_sensitive(true);
            headers.insert(TOKEN, token);
        }
        headers.extend(self.namespace.clone().map(|namespace| (NAMESPACE, namespace)));
        if !body.is_empty() {
            headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let answer = self.client.ask_json(method, &uri, headers, body, BOUNDS).await;
        let Answer { status, body, .. } = answer.map_err(BackendError::from)?;
        let reply = Reply(body);
        match status.as_u16() {
            200 | 204 => Ok(reply),
            // 412: behind in replication; 429: a standby, or a quota; 472, 473: other standbys
            code @ (412 | 429 | 472 | 473) => Err(BackendError::Busy(code).into()),
            503 => Err(BackendError::Sealed.into()),
            code @ (400 | 403 | 404) => Err(Unanswered::Refused(code)),
            code => Err(BackendError::Failed(code).into()),
        }
    }
}
