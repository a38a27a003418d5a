//! A server that knows one era only, as most do: what the other one says gets the answer that such servers give.

use anyhow::{Result, bail};
use axum::Json;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// The first modern revision.
const MODERN: &str = "2026-07-28";

/// Which eras are spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Eras {
    Both,
    Legacy,
    Modern,
}

impl Eras {
    pub(crate) fn only(era: &str) -> Result<Self> {
        match era {
            "legacy" => Ok(Self::Legacy),
            "modern" => Ok(Self::Modern),
            other => bail!("`{other}` is no era: `legacy` or `modern`"),
        }
    }

    pub(crate) async fn answer(self, request: Request, next: Next) -> Response {
        let said = request.headers().get("mcp-protocol-version").and_then(|value| value.to_str().ok());
        let modern = said.is_some_and(|revision| revision >= MODERN);
        match self {
            Self::Legacy if modern => {
                let message = "Bad Request: Unsupported protocol version";
                refuse(json!({ "code": -32000, "message": message }))
            }
            Self::Modern if request.method() != Method::POST => {
                StatusCode::METHOD_NOT_ALLOWED.into_response()
            }
            Self::Modern if !modern => {
                let data = json!({ "supported": [MODERN], "requested": said.unwrap_or_default() });
                refuse(json!({ "code": -32022, "message": "Unsupported protocol version", "data": data }))
            }
            Self::Both | Self::Legacy | Self::Modern => next.run(request).await,
        }
    }
}

fn refuse(error: serde_json::Value) -> Response {
    let body = json!({ "jsonrpc": "2.0", "id": null, "error": error });
    (StatusCode::BAD_REQUEST, Json(body)).into_response()
}
