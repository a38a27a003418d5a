//! Five hundred servers with ten thousand tools behind one gateway: its start, a list of those that somebody may see, and a scan of all.

use std::fmt::Write as _;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::figures::{Run, Target, median, table};
use super::house::{callgate, configured, ends, said};
use super::measure;
use crate::environment::{cache, say};
use crate::process::{Running, free_port, output};

const SERVERS: usize = 500;
const TOOLS_EACH: usize = 20;
/// Of how many servers one principal may see the tools.
const SEEN: usize = 2;
/// At the first start every server is looked at and everything is pinned.
const FIRST_TRIES: u32 = 600;
const PAUSE: Duration = Duration::from_millis(500);
const LISTS: u64 = 200;

/// A folder with settings, rules and two principals, and the servers, running.
struct Crowd {
    folder: PathBuf,
    gateway: u16,
    /// Who sees everything, and who sees little.
    tokens: (String, String),
    _servers: Running,
}

impl Drop for Crowd {
    fn drop(&mut self) {
        // kept where it cannot be removed: the next run has a folder of its own
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// `cargo xtask bench --many`: what is measured, told as a table; whether all of it is good enough.
pub(super) fn run(rounds: usize) -> Result<bool> {
    let crowd = Crowd::build()?;
    let first = crowd.serve()?;
    crowd.wait_for_all()?;
    first.stop()?;
    let (mut starts, mut lists, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let (gateway, took) = measure::timed(|| {
            let gateway = crowd.serve()?;
            crowd.wait_for(&crowd.tokens.1, SEEN * TOOLS_EACH, 2_000, Duration::from_millis(5))?;
            Ok(gateway)
        })?;
        starts.push(took.as_secs_f64() * 1e3);
        measure::settled(gateway.id())?;
        lists.push(crowd.list()?.p50_us / 1e3);
        memory.push(measure::memory(gateway.id())?.resident);
        gateway.stop()?;
    }
    let mut scans = Vec::new();
    for _ in 0..rounds {
        scans.push(crowd.scan()?);
    }
    let targets = [
        Target::new("warm start to first answer, 500 servers", "ms", median(starts), 2_000.0),
        Target::new("a list of 40 of 10,000 tools, by one client", "ms", median(lists), 2.0),
        Target::new("a scan of all 10,000 tools", "ms", median(scans), 5_000.0),
    ];
    say(&format!("memory at rest: {:.0} MiB resident\n", median(memory)));
    table(&targets);
    Ok(targets.iter().all(Target::met))
}

impl Crowd {
    fn build() -> Result<Self> {
        let (port, gateway) = (free_port()?, free_port()?);
        let folder = cache().join(format!("bench-many-{gateway}"));
        std::fs::create_dir_all(folder.join("policies"))?;
        std::fs::write(folder.join("callgate.toml"), settings(gateway, port, &folder)?)?;
        std::fs::write(folder.join("policies/rules.cedar"), RULES)?;
        let mut serve = ends();
        serve.args(["upstream", "--many", "true"]);
        serve.args(["--port", &port.to_string(), "--tools", &TOOLS_EACH.to_string()]);
        let servers = Running::start("the servers", &mut serve, port)?;
        let mut crowd = Self { folder, gateway, tokens: Default::default(), _servers: servers };
        crowd.tokens = (crowd.agent("all")?, crowd.agent("some")?);
        Ok(crowd)
    }

    fn callgate(&self, words: &[&str]) -> Command {
        configured(&self.folder, words)
    }

    fn agent(&self, name: &str) -> Result<String> {
        let told: Value =
            serde_json::from_str(&output(&mut self.callgate(&["agent", "add", name, "--json"]))?)?;
        told.get("token").and_then(Value::as_str).map(str::to_owned).context("the agent got no token")
    }

    fn serve(&self) -> Result<Running> {
        let mut serve = self.callgate(&["serve"]);
        serve.stderr(File::create(self.folder.join("gateway.log"))?);
        Running::spawn("callgate serve", &mut serve)
    }

    /// How many tools somebody is shown; `None` while nobody answers.
    fn shown(&self, token: &str) -> Option<usize> {
        let mut ask = ends();
        ask.args(["list", "--port", &self.gateway.to_string(), "--token", token]).stderr(Stdio::null());
        let told: Value = serde_json::from_str(&output(&mut ask).ok()?).ok()?;
        told.get("tools")?.as_u64()?.try_into().ok()
    }

    fn wait_for_all(&self) -> Result<()> {
        self.wait_for(&self.tokens.0, SERVERS * TOOLS_EACH, FIRST_TRIES, PAUSE)
    }

    fn wait_for(&self, token: &str, tools: usize, tries: u32, pause: Duration) -> Result<()> {
        for _ in 0..tries {
            if self.shown(token) == Some(tools) {
                return Ok(());
            }
            std::thread::sleep(pause);
        }
        let log = said(&self.folder.join("gateway.log"));
        bail!("{tools} tools are not shown, but {:?}; {log}", self.shown(token))
    }

    fn list(&self) -> Result<Run> {
        let mut load = ends();
        load.args([
            "load", "--kind", "list", "--path", "/mcp", "--prefix", "", "--era", "modern", "--from", "1",
        ]);
        load.args(["--port", &self.gateway.to_string(), "--token", &self.tokens.1]);
        load.args(["--calls", &LISTS.to_string(), "--connections", "1"]);
        Run::read(&output(&mut load)?)
    }

    /// How long `callgate scan` takes over one file with everything in it, in milliseconds.
    fn scan(&self) -> Result<f64> {
        let file = self.folder.join("catalogue.json");
        let mut make = ends();
        make.args(["catalogue", "--servers", &SERVERS.to_string(), "--tools", &TOOLS_EACH.to_string()]);
        std::fs::write(&file, output(&mut make)?)?;
        let mut scan = callgate();
        scan.args(["scan", "--json"]).arg(&file).stderr(Stdio::null());
        let (told, took) = measure::timed(|| Ok(scan.output()?.stdout))?;
        let told: Value = serde_json::from_slice(&told).context("the scan printed no JSON")?;
        let tools = told.get("tools").and_then(Value::as_array).map_or(0, Vec::len);
        ensure!(tools == SERVERS * TOOLS_EACH, "{tools} tools were scanned");
        Ok(took.as_secs_f64() * 1e3)
    }
}

const RULES: &str = r#"@id("all") permit (principal == Agent::"all", action, resource);
@id("some") permit (principal == Agent::"some", action in [Action::"server:s001", Action::"server:s250"], resource);
"#;

fn settings(gateway: u16, servers: u16, folder: &std::path::Path) -> Result<String> {
    let mut text = format!("listen = \"127.0.0.1:{gateway}\"\nstate-dir = {:?}\n", folder.join("state"));
    for server in 0..SERVERS {
        write!(text, "\n[servers.s{server:03}]\nurl = \"http://127.0.0.1:{servers}/{server}/mcp\"\n")?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_five_hundred_servers_and_two_of_them_are_seen_by_some() {
        let text: toml::Table = settings(1, 2, std::path::Path::new("/x")).unwrap().parse().unwrap();
        assert_eq!(text["servers"].as_table().unwrap().len(), SERVERS);
        assert_eq!(RULES.matches("server:s").count(), SEEN);
    }
}
