//! Everything that a server says of itself, asked for page by page, whoever asks.

use super::meta;
use crate::upstream::{Fault, FaultKind, Injected, Outgoing, Received};
use bytes::Bytes;
use decision::ItemKind;
use http::{HeaderName, HeaderValue};
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wire::{Eras, Revision, json as raw};

/// Most pages of one list that are read.
const PAGES_MAX: usize = 100;
/// Most items of one server.
const ITEMS_MAX: usize = 10_000;
/// For one answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a server turned out to be.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) eras: Eras,
    pub(crate) revision: Revision,
    pub(crate) capabilities: Bytes,
    pub(crate) info: Option<Bytes>,
    pub(crate) instructions: Option<String>,
    /// Kind and raw definition, as the server sent it.
    pub(crate) items: Vec<(ItemKind, Bytes)>,
}

/// Who asks a server questions of a closed list.
pub(crate) trait Asks {
    fn revision(&self) -> Revision;

    /// The answer to one question; an error of the server's is a [`FaultKind::Refused`].
    fn ask(
        &self,
        method: &str,
        cursor: Option<&str>,
    ) -> impl Future<Output = Result<wire::Frame, Fault>> + Send;
}

/// One question, as it is written in that revision.
pub(crate) fn question(id: u64, method: &str, cursor: Option<&str>, revision: Revision) -> Bytes {
    let mut params = serde_json::Map::new();
    if let Some(cursor) = cursor {
        params.insert("cursor".to_owned(), json!(cursor));
    }
    if revision.is_modern() {
        params.insert("_meta".to_owned(), meta());
    }
    let params = serde_json::Value::Object(params).to_string();
    wire::rpc::request(id.to_string().as_bytes(), method, Some(params.as_bytes()))
}

/// The question, ready to be sent. What the server says beside its answer is not heard.
pub(crate) fn outgoing(
    id: u64,
    method: &str,
    frame: Bytes,
    revision: Revision,
    injected: &Arc<Injected>,
) -> Outgoing {
    let (sink, mut messages) = mpsc::channel(64);
    tokio::spawn(async move { while messages.recv().await.is_some() {} });
    let mut headers = Vec::new();
    if revision.is_modern()
        && let Ok(value) = HeaderValue::from_str(method)
    {
        headers.push((HeaderName::from_static("mcp-method"), value));
    }
    Outgoing {
        id,
        frame,
        headers,
        injected: Arc::clone(injected),
        timeout: Some(PATIENCE),
        cancel: CancellationToken::new(),
        sink,
        beside_calls: false,
    }
}

/// What came, if it is a result.
pub(crate) fn answer(method: &str, frame: wire::Frame) -> Result<wire::Frame, Fault> {
    match frame.kind() {
        wire::Kind::Response => Ok(frame),
        wire::Kind::ErrorResponse | wire::Kind::Request | wire::Kind::Notification => {
            Err(Fault::sent(FaultKind::Refused, format!("`{method}` was answered with an error")))
        }
    }
}

/// Asks for everything. `hello` is the answer to `initialize`, where there was one.
pub(crate) async fn read(asks: &impl Asks, eras: Eras, hello: Option<Received>) -> Result<Found, Fault> {
    let about = match hello {
        Some(hello) => hello.frame,
        None => asks.ask("server/discover", None).await?,
    };
    let result = about.result_raw().unwrap_or_default();
    let text = |path: &[&str]| raw::at_path(result, path).map(Bytes::copy_from_slice);
    let capabilities = text(&["capabilities"]).unwrap_or_else(|| Bytes::from_static(b"{}"));
    let info = text(&["serverInfo"]).or_else(|| text(&["_meta", wire::era::META_SERVER_INFO]));
    let instructions = raw::string_member(result, "instructions").map(|text| text.into_owned());
    let found = lists(asks, eras, capabilities).await?;
    Ok(Found { info, instructions, ..found })
}

/// Asks for the lists alone, of a server that said before what it can do.
pub(crate) async fn lists(asks: &impl Asks, eras: Eras, capabilities: Bytes) -> Result<Found, Fault> {
    let has = |key: &str| raw::member(&capabilities, key).is_some();
    let mut items = Vec::new();
    for (capability, method, key, kind) in [
        ("tools", "tools/list", "tools", ItemKind::Tool),
        ("prompts", "prompts/list", "prompts", ItemKind::Prompt),
        ("resources", "resources/list", "resources", ItemKind::Resource),
        ("resources", "resources/templates/list", "resourceTemplates", ItemKind::ResourceTemplate),
    ] {
        if has(capability) {
            list(asks, method, key, kind, &mut items).await?;
        }
    }
    Ok(Found { eras, revision: asks.revision(), capabilities, info: None, instructions: None, items })
}

async fn list(
    asks: &impl Asks,
    method: &str,
    key: &str,
    kind: ItemKind,
    items: &mut Vec<(ItemKind, Bytes)>,
) -> Result<(), Fault> {
    let mut cursor: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let page = match asks.ask(method, cursor.as_deref()).await {
            Ok(page) => page,
            // a server may declare `resources` and have no templates
            Err(fault) if fault.kind == FaultKind::Refused => return Ok(()),
            Err(fault) => return Err(fault),
        };
        let result = page.result_raw().unwrap_or_default();
        // an object in its place would pass for an empty list
        let list = raw::member(result, key)
            .filter(|list| list.starts_with(b"["))
            .ok_or_else(|| Fault::sent(FaultKind::Nonsense, format!("`{method}` has no list of `{key}`")))?;
        for range in raw::array_elements(list) {
            let item = list.get(range).unwrap_or_default();
            items.push((kind, Bytes::copy_from_slice(item)));
        }
        if items.len() > ITEMS_MAX {
            return Err(Fault::sent(FaultKind::TooLarge, format!("more than {ITEMS_MAX} items")));
        }
        cursor = raw::string_member(result, "nextCursor").map(|text| text.into_owned());
        if cursor.is_none() {
            return Ok(());
        }
    }
    Err(Fault::sent(FaultKind::TooLarge, format!("`{method}` has more than {PAGES_MAX} pages")))
}
