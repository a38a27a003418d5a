//! What to paste into a Host, so that it talks to the gateway of the demo.

use super::tell::Tell;
use serde_json::json;

/// What to give each Host, and where, so that it talks to a gateway at this address with this token.
pub fn snippets(url: &str, token: &str) -> [(&'static str, String); 3] {
    let bearer = format!("Bearer {token}");
    let headers = json!({ "Authorization": bearer });
    [
        (
            "Claude Code",
            format!("claude mcp add --transport http callgate {url} --header \"Authorization: {bearer}\""),
        ),
        (
            "Cursor, in .cursor/mcp.json",
            pretty(&json!({ "mcpServers": { "callgate": { "url": url, "headers": headers } } })),
        ),
        (
            "VS Code, in .vscode/mcp.json",
            pretty(&json!({ "servers": { "callgate": { "type": "http", "url": url, "headers": headers } } })),
        ),
    ]
}

pub(super) fn show(tell: &Tell, url: &str, token: &str) {
    tell.scene("Yours to try");
    tell.prose("The gateway stays up until Ctrl-C. To try it from a Host of your own, paste:");
    for (host, snippet) in snippets(url, token) {
        tell.line("");
        tell.prose(&format!("{host}:"));
        // as it is: a line that is broken could not be pasted
        for line in snippet.lines() {
            tell.line(&format!("      {line}"));
        }
    }
    tell.line("");
    tell.prose(
        "A Host that begins with `initialize`, as most do today, sees all of them, and so does one that speaks \
         2026-07-28: Callgate translates where a server speaks the other era.",
    );
    tell.line("");
}

fn pretty(value: &serde_json::Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}
