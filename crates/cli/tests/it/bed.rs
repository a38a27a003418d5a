//! A folder of its own for every test, the binary in it, and a small server and client that speak real MCP.

use serde_json::{Value, json};
use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::Duration,
};

/// A stdio server of the legacy era, in portable shell.
const NOTES: &str = r#"#!/bin/sh
answer() { printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$id" "$1"; }
while IFS= read -r line; do
  id=$(printf %s "$line" | sed -n 's/.*"id":\([0-9][0-9]*\).*/\1/p')
  case "$line" in
    *'"method":"initialize"'*)
      answer '{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"notes","version":"1"}}' ;;
    *'"method":"tools/list"'*)
      answer '{"tools":[{"name":"read_note","inputSchema":{"type":"object","properties":{"note":{"type":"string"}}},"annotations":{"readOnlyHint":true}},{"name":"drop_note","inputSchema":{"type":"object","properties":{"note":{"type":"string"}}}},{"name":"hang","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true}}]}' ;;
    *'"name":"hang"'*) sleep 60 ;;
    *'"method":"tools/call"'*) answer '{"content":[{"type":"text","text":"a note"}]}' ;;
    *) [ -n "$id" ] && answer '{}' ;;
  esac
done
"#;

pub(crate) const POLICY: &str = r#"@id("read-notes")
@because("notes may be read")
permit (principal, action in [Action::"notes__read_note", Action::"notes__hang"], resource);
"#;

/// A test's folder. What was started in it ends with it.
pub(crate) struct Bed {
    dir: tempfile::TempDir,
}

impl Bed {
    pub(crate) fn new() -> Self {
        let bed = Self { dir: tempfile::tempdir().unwrap() };
        fs::write(bed.path("notes.sh"), NOTES).unwrap();
        bed
    }

    /// A bed whose configuration names the server `notes`, listening on a free port.
    pub(crate) fn with_notes() -> Self {
        let bed = Self::new();
        bed.write("callgate.toml", &bed.notes_config(free_port()));
        bed.write("policies/notes.cedar", POLICY);
        bed
    }

    /// The same after its server was looked at once, by a gateway that has stopped.
    pub(crate) fn looked_at() -> Self {
        let bed = Self::with_notes();
        let token = bed.token("bot");
        let gateway = bed.serve();
        let session = gateway.session(&token);
        until("the server was looked at", || !gateway.tools(&token, &session).is_empty());
        gateway.stop();
        bed
    }

    pub(crate) fn notes_config(&self, port: u16) -> String {
        let script = self.path("notes.sh");
        format!(
            "listen = \"127.0.0.1:{port}\"\nstate-dir = \"state\"\n[servers.notes]\ncommand = \"/bin/sh\"\nargs = [\"{}\"]\n",
            script.display()
        )
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The binary with nothing in its environment but homes in this folder.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_callgate"));
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.path("home"))
            .env("USER", "tester")
            .env("TMPDIR", self.dir.path())
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Said {
        Said::of(&self.command().args(args).output().unwrap())
    }

    /// A shell's script in this folder, to which the binary is `$0`.
    pub(crate) fn shell(&self, script: &str) -> Said {
        let mut command = Command::new("/bin/sh");
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", self.path("home"));
        command.current_dir(self.dir.path()).stdin(Stdio::null());
        Said::of(&command.args(["-c", script, env!("CARGO_BIN_EXE_callgate")]).output().unwrap())
    }

    pub(crate) fn run_with(&self, args: &[&str], input: &str) -> Said {
        self.run_env(&[], args, input)
    }

    /// With more in its environment.
    pub(crate) fn run_env(&self, env: &[(&str, &str)], args: &[&str], input: &str) -> Said {
        let mut command = self.command();
        command.envs(env.iter().copied());
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // one that reads no input may be gone already
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        Said::of(&child.wait_with_output().unwrap())
    }

    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let said = self.run(&[args, &["--json"]].concat());
        serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{e}: {} {}", said.out, said.err))
    }

    /// Starts the gateway and waits until it is ready.
    pub(crate) fn serve(&self) -> Served {
        self.serve_with(&[])
    }

    /// Starts the gateway and waits for nothing.
    pub(crate) fn begin(&self, args: &[&str]) -> Served {
        let mut command = self.command();
        command.arg("serve").args(args);
        self.begun(command)
    }

    fn begun(&self, mut command: Command) -> Served {
        let log = fs::File::create(self.path("serve.log")).unwrap();
        let child = command.stderr(log).stdout(Stdio::null()).spawn().unwrap();
        Served { child, port: self.port() }
    }

    pub(crate) fn serve_with(&self, args: &[&str]) -> Served {
        let mut command = self.command();
        command.arg("serve").args(args);
        self.started(command)
    }

    /// The same with more in its environment.
    pub(crate) fn serve_env(&self, env: &[(&str, &str)]) -> Served {
        let mut command = self.command();
        command.arg("serve").envs(env.iter().copied());
        self.started(command)
    }

    /// Starts the gateway by this command and waits until it is ready.
    pub(crate) fn started(&self, command: Command) -> Served {
        let mut served = self.begun(command);
        let port = served.port;
        until("the gateway is ready", || {
            assert!(served.child.try_wait().unwrap().is_none(), "{}", self.log());
            TcpStream::connect(("127.0.0.1", port)).is_ok() && served.get("/readyz").0 == 200
        });
        served
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("serve.log")).unwrap()
    }

    pub(crate) fn port(&self) -> u16 {
        let text = fs::read_to_string(self.path("callgate.toml")).unwrap();
        let listen = text.lines().find_map(|line| line.strip_prefix("listen = \"")).unwrap();
        listen.trim_end_matches('"').rsplit_once(':').unwrap().1.parse().unwrap()
    }

    /// Issues a token for a new agent.
    pub(crate) fn token(&self, agent: &str) -> String {
        self.json(&["agent", "add", agent])["token"].as_str().unwrap().to_owned()
    }

    /// Every file under `dir` that holds these bytes.
    pub(crate) fn files_with(&self, dir: &str, needle: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut left = vec![self.path(dir)];
        while let Some(dir) = left.pop() {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    left.push(path);
                } else if contains(&path, needle.as_bytes()) {
                    found.push(path);
                }
            }
        }
        found
    }
}

fn contains(path: &Path, needle: &[u8]) -> bool {
    // a socket has no bytes
    let bytes = fs::read(path).unwrap_or_default();
    bytes.windows(needle.len()).any(|window| window == needle)
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Waits for something that must come true soon.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if is_so() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("not within 30 seconds: {what}");
}

/// What a command said, and its exit code.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    pub(crate) fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self {
            code: output.status.code().unwrap_or(-1),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }
}

/// A running gateway; killed when it goes out of scope.
pub(crate) struct Served {
    child: Child,
    pub(crate) port: u16,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Served {
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to stop; returns its exit code.
    pub(crate) fn stop(mut self) -> i32 {
        self.signal("-TERM");
        self.wait()
    }

    pub(crate) fn wait(&mut self) -> i32 {
        self.child.wait().unwrap().code().unwrap()
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn get(&self, path: &str) -> (u16, String, String) {
        self.http(&format!(
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n\r\n",
            self.port
        ))
    }

    /// Status, head and body.
    pub(crate) fn http(&self, request: &str) -> (u16, String, String) {
        let answer = self.bytes(request);
        // nothing at all when the gateway was killed meanwhile
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or(("HTTP/1.1 0", ""));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_owned(), body.to_owned())
    }

    /// Every byte that comes back.
    fn bytes(&self, request: &str) -> Vec<u8> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        answer
    }

    /// Posts one message; returns status, session and the JSON-RPC answer.
    pub(crate) fn post(
        &self,
        token: &str,
        session: Option<&str>,
        message: &Value,
    ) -> (u16, Option<String>, Value) {
        let (status, head, body) = self.http(&self.posted(token, "notes", session, message));
        let id = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("mcp-session-id: ").map(str::to_owned));
        // an answer may come as one JSON object or as an event stream, chunked or not
        let json = body
            .lines()
            .map(|line| line.strip_prefix("data: ").unwrap_or(line))
            .find(|line| line.starts_with('{'));
        (status, id, json.and_then(|line| serde_json::from_str(line).ok()).unwrap_or(Value::Null))
    }

    fn posted(&self, token: &str, server: &str, session: Option<&str>, message: &Value) -> String {
        let body = message.to_string();
        let session = session.map(|id| format!("Mcp-Session-Id: {id}\r\n")).unwrap_or_default();
        format!(
            "POST /s/{server}/mcp HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n{session}\
             MCP-Protocol-Version: 2025-11-25\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.port,
            body.len()
        )
    }

    /// Posts one message to a server; returns every byte of the answer.
    pub(crate) fn raw(&self, token: &str, server: &str, session: Option<&str>, message: &Value) -> Vec<u8> {
        self.bytes(&self.posted(token, server, session, message))
    }

    /// A session that has been initialized.
    pub(crate) fn session(&self, token: &str) -> String {
        let hello = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "it", "version": "1" } } });
        let (status, session, answer) = self.post(token, None, &hello);
        assert_eq!(status, 200, "{answer}");
        let session = session.unwrap();
        self.post(token, Some(&session), &json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        session
    }

    pub(crate) fn call(&self, token: &str, session: &str, tool: &str) -> Value {
        let call = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call",
            "params": { "name": tool, "arguments": {} } });
        self.post(token, Some(session), &call).2
    }

    /// The names a principal sees, once the server was looked at.
    pub(crate) fn tools(&self, token: &str, session: &str) -> Vec<String> {
        let list = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list" });
        let answer = self.post(token, Some(session), &list).2;
        let tools = answer["result"]["tools"].as_array().cloned().unwrap_or_default();
        let mut names: Vec<String> =
            tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    }
}
