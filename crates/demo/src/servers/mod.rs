//! Three small MCP servers, as three different authors would have written them: a customer file over standard
//! input, payments over stateless HTTP, tickets over HTTP with sessions. They know nothing of Callgate.

pub(crate) mod answer;
pub(crate) mod args;
mod crm;
mod http;
mod legacy;
mod modern;
mod payments;
mod stdio;
#[cfg(test)]
mod tests;
mod tickets;

use args::{Args, Fault};
use decision::Entropy;
use serde_json::Value;
use std::sync::Arc;

/// What a server is about, apart from how it is spoken to.
pub(crate) trait Service: Send {
    fn name(&self) -> &'static str;
    fn instructions(&self) -> &'static str;
    /// Tool definitions, in a stable order.
    fn tools(&self) -> Vec<Value>;
    /// Runs a tool of [`Service::tools`]. Errors: what the caller did wrong, for the model to read.
    fn call(&mut self, tool: &str, args: &Args<'_>) -> Result<Value, Fault>;
    fn prompts(&self) -> Vec<Value> {
        Vec::new()
    }
    /// `None` for an unknown prompt.
    fn prompt(&self, _name: &str, _args: &Args<'_>) -> Option<Result<Value, Fault>> {
        None
    }
    fn resources(&self) -> Vec<Value> {
        Vec::new()
    }
    /// `None` for an unknown address.
    fn resource(&self, _uri: &str) -> Option<Value> {
        None
    }
}

const USAGE: &str = "usage: callgate demo-server crm|payments|tickets";

/// Runs one of the servers until its standard input ends. `args` is what follows `demo-server`; returns the exit code.
///
/// `crm` speaks MCP on standard input and output. `payments` and `tickets` listen on a free port of loopback and
/// write their address on standard output; `payments` first reads the key it asks of its callers from one line of
/// standard input, and later writes one line per request: `200 tools/call`, `401 -`.
pub async fn server_main(args: Vec<String>, entropy: Arc<dyn Entropy>) -> i32 {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let ended = match args.as_slice() {
        ["crm"] => stdio::serve(crm::Crm::new()).await,
        ["payments"] => modern::serve(payments::Payments::new()).await,
        ["tickets"] => legacy::serve(tickets::Tickets::new(), entropy).await,
        _ => Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, USAGE)),
    };
    match ended {
        Ok(()) => 0,
        Err(error) => {
            http::complain(&format!("demo server: {error}"));
            if error.kind() == std::io::ErrorKind::InvalidInput { 2 } else { 1 }
        }
    }
}

/// A tool definition. `hints` are (read-only, destructive, idempotent).
fn tool(name: &str, title: &str, description: &str, schema: Value, hints: (bool, bool, bool)) -> Value {
    let (read_only, destructive, idempotent) = hints;
    serde_json::json!({
        "name": name,
        "title": title,
        "description": description,
        "inputSchema": schema,
        "annotations": {
            "readOnlyHint": read_only,
            "destructiveHint": destructive,
            "idempotentHint": idempotent,
            "openWorldHint": false,
        },
    })
}

/// An input schema that takes these properties and nothing else.
fn closed(properties: Value, required: &[&str]) -> Value {
    serde_json::json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

const READS: (bool, bool, bool) = (true, false, true);
const ADDS: (bool, bool, bool) = (false, false, false);
const SETS: (bool, bool, bool) = (false, false, true);
const DESTROYS: (bool, bool, bool) = (false, true, true);
