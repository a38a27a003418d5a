//! An MCP server of revision 2026-07-28, or of 2025-11-25 with `--era legacy`, that does next to nothing, so that what stands in front of it is what is measured.

use crate::calls::{self, Era};
use crate::many;
use crate::{http::Peer, options::Options};
use anyhow::{Context as _, Result};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

/// Serves until it is ended. A thread for each connection: there are few.
pub(crate) fn serve(options: &Options) -> Result<String> {
    let port: u16 = options.need("port")?;
    let count = options.maybe("tools")?.unwrap_or(2);
    let tools =
        if options.maybe("other")?.unwrap_or(false) { calls::others(count) } else { calls::tools(count) };
    let tools: Arc<str> = tools.into();
    // a server at each path, with tools of its own
    let many = options.maybe("many")?.unwrap_or(false).then_some(count);
    let era = options.maybe("era")?.unwrap_or(Era::Modern);
    let listener = TcpListener::bind(("127.0.0.1", port)).with_context(|| format!("port {port} is taken"))?;
    loop {
        let (stream, _) = listener.accept().context("cannot accept")?;
        let tools = Arc::clone(&tools);
        thread::spawn(move || {
            // a peer that goes away, or says what this server does not know, loses its connection and nothing else
            drop(Peer::of(stream).and_then(|peer| converse(peer, &tools, many, era)));
        });
    }
}

fn converse(mut peer: Peer, tools: &str, many: Option<usize>, era: Era) -> Result<()> {
    while let Some(message) = peer.receive()? {
        // all its sessions are one
        let session = if era == Era::Legacy { "mcp-session-id: bench\r\n" } else { "" };
        let own = many.and_then(|count| Some(many::tools(many::server_of(message.head)?, count)));
        let response = match calls::answer(message.body, own.as_deref().unwrap_or(tools), era)? {
            Some(answer) => format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{session}content-length: {}\r\n\r\n{answer}",
                answer.len()
            ),
            None if message.head.starts_with("GET ") => {
                "HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\n\r\n".to_owned()
            }
            None => "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n".to_owned(),
        };
        peer.send(response.as_bytes())?;
    }
    Ok(())
}
