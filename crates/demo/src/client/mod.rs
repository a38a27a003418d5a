//! A small MCP client of both eras over HTTP, and a smaller one over standard input. It keeps every byte it hears,
//! so that what must never be heard can be looked for.

pub(crate) mod pipe;

use bytes::Bytes;
use decision::Era;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy::{Client as Http, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use serde_json::{Map, Value, json};
use std::time::Duration;
use wire::{Frame, Limits, Revision, headers, rpc, sse};

const BODY_BYTES_MAX: usize = 4 << 20;
const PATIENCE: Duration = Duration::from_secs(20);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Deaf {
    #[error("{0} cannot be reached: {1}")]
    Unreachable(String, String),
    #[error("{0} did not answer in time")]
    Late(String),
    #[error("{0} answered something that is not MCP: {1}")]
    Nonsense(String, String),
}

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// The JSON-RPC message; null where the body was empty.
    pub(crate) message: Value,
}

impl Reply {
    /// The text a model reads: of a result, or of a protocol error.
    pub(crate) fn text(&self) -> &str {
        let result = self.message.pointer("/result/content/0/text").and_then(Value::as_str);
        result.or_else(|| self.message.pointer("/error/message").and_then(Value::as_str)).unwrap_or_default()
    }
    /// Whether a tool ran and said that it went well.
    pub(crate) fn is_good(&self) -> bool {
        self.message.get("result").is_some_and(|result| result.get("isError") != Some(&Value::Bool(true)))
    }
    /// A member of the structured result.
    pub(crate) fn got(&self, member: &str) -> Option<&Value> {
        self.message.get("result")?.get("structuredContent")?.get(member)
    }
    /// The gateway's reason code, if it refused and says so.
    pub(crate) fn code(&self) -> Option<&str> {
        let refusal = self.message.pointer("/result/_meta/callgate~1refusal");
        refusal.or_else(|| self.message.pointer("/error/data"))?.get("code")?.as_str()
    }
    /// The number of the protocol error, if it is one.
    pub(crate) fn error(&self) -> Option<i64> {
        self.message.pointer("/error/code")?.as_i64()
    }
    /// The names in a list.
    pub(crate) fn names(&self, list: &str) -> Vec<String> {
        let items = self.message.get("result").and_then(|result| result.get(list)?.as_array());
        let name = |item: &Value| item.get("name").and_then(Value::as_str).map(ToOwned::to_owned);
        items.into_iter().flatten().filter_map(name).collect()
    }
}

/// One conversation with one address.
#[derive(Debug)]
pub(crate) struct Client {
    http: Http<HttpConnector, Full<Bytes>>,
    url: String,
    token: Option<String>,
    era: Era,
    session: Option<HeaderValue>,
    next: u64,
    /// Every head and body that came.
    pub(crate) heard: Vec<u8>,
    /// Messages sent, answered or not.
    pub(crate) sent: u64,
}

impl Client {
    pub(crate) fn new(url: &str, token: Option<&str>, era: Era) -> Self {
        Self {
            http: Http::builder(TokioExecutor::new()).build_http(),
            url: url.to_owned(),
            token: token.map(ToOwned::to_owned),
            era,
            session: None,
            next: 0,
            heard: Vec::new(),
            sent: 0,
        }
    }

    /// Says hello: `initialize` and `notifications/initialized`, or `server/discover`.
    pub(crate) async fn open(&mut self) -> Result<Reply, Deaf> {
        match self.era {
            Era::Modern => self.request("server/discover", json!({})).await,
            Era::Legacy => {
                let params = json!({
                    "protocolVersion": Revision::LATEST_LEGACY.as_str(),
                    "capabilities": {},
                    "clientInfo": identity(),
                });
                let reply = self.request("initialize", params).await?;
                if reply.is_good() {
                    let noted = rpc::notification("notifications/initialized", None);
                    let headers = self.headers("notifications/initialized", None)?;
                    self.exchange(Method::POST, headers, noted).await?;
                }
                Ok(reply)
            }
        }
    }

    pub(crate) async fn tools(&mut self) -> Result<Vec<String>, Deaf> {
        let (mut names, mut params) = (Vec::new(), json!({}));
        loop {
            let reply = self.request("tools/list", params).await?;
            names.extend(reply.names("tools"));
            match reply.message.pointer("/result/nextCursor") {
                Some(cursor) => params = json!({ "cursor": cursor }),
                None => return Ok(names),
            }
        }
    }

    pub(crate) async fn call(&mut self, tool: &str, arguments: &Value) -> Result<Reply, Deaf> {
        self.request("tools/call", json!({ "name": tool, "arguments": arguments })).await
    }

    /// Sends half a message, as a broken client would.
    pub(crate) async fn garbled(&mut self) -> Result<Reply, Deaf> {
        let headers = self.headers("", None)?;
        let (response, body) =
            self.exchange(Method::POST, headers, Bytes::from_static(b"{\"jsonrpc\":\"2.0\",")).await?;
        Ok(Reply { status: response.status().as_u16(), message: self.scanned(body)? })
    }

    /// Ends a session, if there is one.
    pub(crate) async fn close(&mut self) -> Result<(), Deaf> {
        if self.session.is_some() {
            let headers = self.headers("", None)?;
            self.exchange(Method::DELETE, headers, Bytes::new()).await?;
            self.session = None;
        }
        Ok(())
    }

    /// Asks, and waits for the answer.
    pub(crate) async fn request(&mut self, method: &str, params: Value) -> Result<Reply, Deaf> {
        self.next += 1;
        let id = self.next;
        let name = ["name", "uri"].iter().find_map(|member| params.get(member)?.as_str());
        let headers = self.headers(method, name)?;
        let params = self.stamped(params).to_string();
        let body = rpc::request(id.to_string().as_bytes(), method, Some(params.as_bytes()));
        let (response, body) = self.exchange(Method::POST, headers, body).await?;
        if method == "initialize" {
            self.session = response.headers().get(headers::SESSION_ID).cloned();
        }
        let events = response
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"));
        let message = if events { self.event(&body, id)? } else { self.scanned(body)? };
        Ok(Reply { status: response.status().as_u16(), message })
    }

    /// Modern requests say in `_meta` what they speak.
    fn stamped(&self, mut params: Value) -> Value {
        if let (Era::Modern, Value::Object(members)) = (self.era, &mut params) {
            let meta = Map::from_iter([
                (wire::era::META_PROTOCOL_VERSION.to_owned(), json!(Revision::LATEST_MODERN.as_str())),
                (wire::era::META_CLIENT_CAPABILITIES.to_owned(), json!({})),
                (wire::era::META_CLIENT_INFO.to_owned(), identity()),
            ]);
            members.insert("_meta".to_owned(), Value::Object(meta));
        }
        params
    }

    fn headers(&self, method: &str, name: Option<&str>) -> Result<HeaderMap, Deaf> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        let value =
            |text: &str| HeaderValue::from_str(text).map_err(|error| self.nonsense(error.to_string()));
        if let Some(token) = &self.token {
            let mut value = value(&format!("Bearer {token}"))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        match self.era {
            Era::Modern => {
                let version = HeaderValue::from_static(Revision::LATEST_MODERN.as_str());
                headers.insert(HeaderName::from_static(headers::PROTOCOL_VERSION), version);
                headers.insert(HeaderName::from_static(headers::METHOD), value(method)?);
                if let Some(name) = name {
                    let name = value(&headers::encode(name))?;
                    headers.insert(HeaderName::from_static(headers::NAME), name);
                }
            }
            Era::Legacy => {
                if let Some(session) = &self.session {
                    let version = HeaderValue::from_static(Revision::LATEST_LEGACY.as_str());
                    headers.insert(HeaderName::from_static(headers::PROTOCOL_VERSION), version);
                    headers.insert(HeaderName::from_static(headers::SESSION_ID), session.clone());
                }
            }
        }
        Ok(headers)
    }

    async fn exchange(
        &mut self,
        method: Method,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<(Response<()>, Bytes), Deaf> {
        let unreachable = |url: &str, error: String| Deaf::Unreachable(url.to_owned(), error);
        let mut request = Request::builder()
            .method(method)
            .uri(&self.url)
            .body(Full::new(body))
            .map_err(|error| unreachable(&self.url, error.to_string()))?;
        *request.headers_mut() = headers;
        self.sent += 1;
        let answered = tokio::time::timeout(PATIENCE, async {
            let response = self.http.request(request).await?;
            let (parts, body) = response.into_parts();
            Ok::<_, hyper_util::client::legacy::Error>((Response::from_parts(parts, ()), whole(body).await))
        });
        let late = |_| Deaf::Late(self.url.clone());
        let (response, body) =
            answered.await.map_err(late)?.map_err(|error| unreachable(&self.url, error.to_string()))?;
        let body = body.map_err(|error| unreachable(&self.url, error))?;
        for (name, value) in response.headers() {
            self.heard.extend_from_slice(name.as_str().as_bytes());
            self.heard.extend_from_slice(b": ");
            self.heard.extend_from_slice(value.as_bytes());
            self.heard.push(b'\n');
        }
        self.heard.extend_from_slice(&body);
        self.heard.push(b'\n');
        Ok((response, body))
    }

    /// The answer among the events of a stream.
    fn event(&self, body: &[u8], id: u64) -> Result<Value, Deaf> {
        let mut decoder = sse::Decoder::new(BODY_BYTES_MAX);
        decoder.push(body);
        while let Some(event) = decoder.next_event().map_err(|error| self.nonsense(error.to_string()))? {
            let Some(data) = event.message() else { continue };
            let message = self.scanned(data.clone())?;
            if message.get("id").and_then(Value::as_u64) == Some(id) {
                return Ok(message);
            }
        }
        Err(self.nonsense("the stream ended without the answer".to_owned()))
    }

    fn scanned(&self, body: Bytes) -> Result<Value, Deaf> {
        if body.is_empty() {
            return Ok(Value::Null);
        }
        let frame = Frame::scan(body, &Limits::DEFAULT).map_err(|error| self.nonsense(error.to_string()))?;
        serde_json::from_slice(frame.bytes()).map_err(|error| self.nonsense(error.to_string()))
    }

    fn nonsense(&self, why: String) -> Deaf {
        Deaf::Nonsense(self.url.clone(), why)
    }
}

async fn whole(body: Incoming) -> Result<Bytes, String> {
    let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
    body.map(http_body_util::Collected::to_bytes).map_err(|error| error.to_string())
}

fn identity() -> Value {
    json!({ "name": "callgate-demo-agent", "version": env!("CARGO_PKG_VERSION") })
}
