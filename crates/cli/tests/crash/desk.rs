//! The same upstream over stdio: this test program, started by the gateway.

use crate::books::done;
use serde_json::{Value, json};
use std::{
    fs::OpenOptions,
    io::{BufRead as _, Write as _},
    path::Path,
};

/// How the gateway starts it: the harness speaks on standard output, so MCP goes to a descriptor beside it.
pub(crate) fn command() -> (String, Vec<String>) {
    let shell =
        "exec 3>&1 1>/dev/null 2>&1 && exec \"$0\" --ignored --exact --nocapture desk::desk_that_is_a_server";
    let program = std::env::current_exe().unwrap().display().to_string();
    ("/bin/sh".to_owned(), vec!["-c".to_owned(), shell.to_owned(), program])
}

/// Not a test of its own: the server that the gateway starts.
#[test]
#[ignore = "started by the gateway, as a server over stdio"]
fn desk_that_is_a_server() {
    let mut out = OpenOptions::new().write(true).open("/proc/self/fd/3").unwrap();
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let message: Value = serde_json::from_str(&line).unwrap();
        if let Some(answer) = answer(&message, |what| write_down(Path::new("executed.desk"), what)) {
            out.write_all(format!("{answer}\n").as_bytes()).unwrap();
        }
    }
}

/// Appends a line and returns when the disk has it.
pub(crate) fn write_down(path: &Path, what: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(format!("{what}\n").as_bytes()).unwrap();
    file.sync_data().unwrap();
}

/// One legacy server with one tool, whatever it is reached by.
pub(crate) fn answer(message: &Value, execute: impl FnOnce(&str)) -> Option<Value> {
    let id = message.get("id")?;
    let result = match message["method"].as_str()? {
        "initialize" => json!({ "protocolVersion": "2025-11-25", "capabilities": { "tools": {} },
            "serverInfo": { "name": "yard", "version": "1" } }),
        "tools/list" => json!({ "tools": [{ "name": "write", "inputSchema": { "type": "object",
            "properties": { "what": { "type": "string" } }, "required": ["what"] } }] }),
        "tools/call" => {
            let what = message["params"]["arguments"]["what"].as_str().unwrap();
            execute(what);
            done(what)
        }
        "ping" => json!({}),
        _ => {
            return Some(json!({ "jsonrpc": "2.0", "id": id,
                "error": { "code": -32601, "message": "Method not found" } }));
        }
    };
    Some(json!({ "jsonrpc": "2.0", "id": id, "result": result }))
}
