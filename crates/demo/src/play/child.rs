//! Processes of the demo's: started in groups of their own, so that Ctrl-C reaches only us, and ended by their ids.

use super::place::Place;
use anyhow::{Context as _, anyhow};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, Command};

const START_MAX: Duration = Duration::from_secs(15);
const END_MAX: Duration = Duration::from_secs(10);
/// Lines that are kept of one process; a demo that is left running must not grow.
const LINES_MAX: usize = 20_000;

/// What a process wrote, line by line.
#[derive(Debug, Clone, Default)]
struct Written(Arc<Mutex<Vec<String>>>);

impl Written {
    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
    fn push(&self, line: String) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() < LINES_MAX {
            lines.push(line);
        }
    }
    /// Reads on in the background, to the end.
    fn follow<R: AsyncRead + Unpin + Send + 'static>(&self, mut lines: Lines<BufReader<R>>) {
        let written = self.clone();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                written.push(line);
            }
        });
    }
}

/// One of the servers that listen. It ends when its standard input does.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    input: Option<ChildStdin>,
    url: String,
    written: Written,
}

impl Server {
    /// Starts `callgate demo-server NAME`, with `first` as the first line of its standard input.
    pub(super) async fn start(place: &Place, name: &str, first: Option<&str>) -> anyhow::Result<Self> {
        let mut command = place.plain(&["demo-server", name]);
        let mut child = spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()))?;
        let mut input = child.stdin.take().context("no standard input")?;
        if let Some(first) = first {
            input.write_all(format!("{first}\n").as_bytes()).await?;
        }
        let mut lines = BufReader::new(child.stdout.take().context("no standard output")?).lines();
        let line = tokio::time::timeout(START_MAX, lines.next_line()).await;
        let url = line.ok().and_then(Result::ok).flatten();
        let url = url.with_context(|| format!("the server `{name}` did not start"))?;
        let written = Written::default();
        written.follow(lines);
        Ok(Self { child, input: Some(input), url, written })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// One line per request: `200 tools/call`.
    pub(super) fn requests(&self) -> Vec<String> {
        self.written.lines()
    }

    pub(super) async fn end(mut self) {
        drop(self.input.take());
        reap(&mut self.child).await;
    }
}

/// The gateway: the real `callgate serve`.
#[derive(Debug)]
pub(super) struct Gateway {
    child: Child,
    address: String,
    log: Written,
}

impl Gateway {
    pub(super) async fn start(place: &Place) -> anyhow::Result<Self> {
        let mut command = place.command(&["serve", "--log-format", "json"]);
        let mut child = spawn(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()))?;
        let mut lines = BufReader::new(child.stderr.take().context("no standard error")?).lines();
        let log = Written::default();
        let address = tokio::time::timeout(START_MAX, async {
            while let Ok(Some(line)) = lines.next_line().await {
                let told: Value = serde_json::from_str(&line).unwrap_or_default();
                log.push(line);
                if told.get("message").and_then(Value::as_str) == Some("callgate takes calls") {
                    return told.get("address").and_then(Value::as_str).map(ToOwned::to_owned);
                }
            }
            None
        });
        let Ok(Some(address)) = address.await else {
            let said = log.lines().join("\n");
            // a child that is dropped is killed, and waited for by the runtime
            return Err(anyhow!("the gateway did not start; it said:\n{said}"));
        };
        log.follow(lines);
        Ok(Self { child, address, log })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }
    pub(super) fn log(&self) -> Vec<String> {
        self.log.lines()
    }

    /// Asks it to finish, and sees to it that it does.
    pub(super) async fn end(mut self) {
        if let Some(pid) = self.child.id().and_then(|id| i32::try_from(id).ok()) {
            // gone already is gone
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        reap(&mut self.child).await;
    }
}

/// Starts a process that does not outlive us if we can help it.
pub(super) fn spawn(command: &mut Command) -> anyhow::Result<Child> {
    command.process_group(0).kill_on_drop(true).spawn().context("cannot start a process")
}

async fn reap(child: &mut Child) {
    if tokio::time::timeout(END_MAX, child.wait()).await.is_err() {
        // it had its time
        let _ = child.kill().await;
    }
}
