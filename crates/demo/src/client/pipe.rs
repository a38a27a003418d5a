//! A legacy client over a child's standard input and output, for as long as it takes to ask for the tools.

use super::{Deaf, identity};
use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::codec::{FramedRead, FramedWrite, LinesCodec};
use wire::{Limits, Revision};

/// The names of a server's tools.
pub(crate) async fn tools(
    output: impl AsyncRead + Unpin,
    input: impl AsyncWrite + Unpin,
) -> Result<Vec<String>, Deaf> {
    let mut heard = FramedRead::new(output, LinesCodec::new_with_max_length(Limits::DEFAULT.bytes));
    let mut said = FramedWrite::new(input, LinesCodec::new());
    let lost = |why: &str| Deaf::Nonsense("the server".to_owned(), why.to_owned());
    let params = json!({
        "protocolVersion": Revision::LATEST_LEGACY.as_str(), "capabilities": {}, "clientInfo": identity(),
    });
    for message in [
        json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params }),
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
        json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list" }),
    ] {
        said.send(message.to_string()).await.map_err(|error| lost(&error.to_string()))?;
    }
    while let Some(line) = heard.next().await {
        let line = line.map_err(|error| lost(&error.to_string()))?;
        let message = serde_json::from_str(&line).map_err(|error| lost(&error.to_string()))?;
        let reply = super::Reply { status: 200, message };
        if reply.message.get("id").and_then(Value::as_u64) == Some(2) {
            return Ok(reply.names("tools"));
        }
    }
    Err(lost("it ended without an answer"))
}
