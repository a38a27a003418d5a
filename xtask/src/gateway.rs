//! `callgate serve`, started for a test: generated settings, a policy that permits everything, and one agent with a token.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::environment::{cache, target};
use crate::process::{Running, cargo, free_port, output, succeeds};

/// Builds the programs that a run needs: the reference server and, unless it stands aside, the gateway.
///
/// The whole workspace, as the tests build it: a build of some packages alone resolves features otherwise, and
/// compiles half of the dependencies a second time.
pub(crate) fn programs(direct: bool) -> Result<()> {
    let bins: &[&str] = if direct { &["--bin", "callgate-reference"] } else { &["--bins"] };
    let mut build = cargo(&["build", "--quiet", "--workspace"]);
    build.args(bins);
    ensure!(succeeds(&mut build)?, "the programs do not build");
    Ok(())
}

/// One upstream server, as its table in `callgate.toml` has it.
#[derive(Debug, Clone)]
pub(crate) enum Upstream {
    Url(String),
    /// HTTP+SSE of 2024-11-05.
    Sse(String),
    Command {
        program: PathBuf,
        arguments: Vec<String>,
    },
}

/// A running gateway; ended, and its folder removed, when this is dropped.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) port: u16,
    pub(crate) token: String,
    folder: PathBuf,
    running: Option<Running>,
}

/// What the last gateway said, in the cache.
const LOG: &str = "gateway.log";

const POLICY: &str = "@id(\"everything\")
@because(\"these tests measure the protocol, not the policy\")
permit (principal, action, resource);
";

/// Between two looks, and how many there are: enough for a machine that does much else at the same time.
const LOOK: (Duration, u32) = (Duration::from_millis(200), 450);

/// In which a running gateway takes in what was decided.
const NOTICED: Duration = Duration::from_secs(3);

impl Gateway {
    /// Starts it over these servers, for clients that name it by these hosts too, and waits until it answers.
    pub(crate) fn start(servers: &[(&str, Upstream)], hosts: &[&str]) -> Result<Self> {
        Self::on(free_port()?, servers, hosts, "")
    }

    /// As [`Gateway::start`], on a port that others were told beforehand, and with more settings.
    pub(crate) fn on(port: u16, servers: &[(&str, Upstream)], hosts: &[&str], more: &str) -> Result<Self> {
        let folder = cache().join(format!("gateway-{port}"));
        std::fs::create_dir_all(folder.join("policies"))?;
        std::fs::write(
            folder.join("callgate.toml"),
            format!("{}\n{more}", settings(port, &folder, servers, hosts)?),
        )?;
        std::fs::write(folder.join("policies/everything.cedar"), POLICY)?;
        let callgate = |words: &[&str]| {
            let mut command = Command::new(target().join("debug/callgate"));
            command.args(words).arg("--config").arg(folder.join("callgate.toml")).current_dir(&folder);
            command
        };
        let log = File::create(cache().join(LOG))?;
        let mut serve = callgate(&["serve"]);
        serve.stderr(log);
        let running = Running::start("callgate serve", &mut serve, port)
            .with_context(|| format!("its log is {}", cache().join(LOG).display()))?;
        let said = output(&mut callgate(&["agent", "add", "tester", "--json"]))?;
        let said: Value = serde_json::from_str(&said).context("`callgate agent add --json` said no JSON")?;
        let token =
            said.get("token").and_then(Value::as_str).context("no `token` in what it said")?.to_owned();
        Ok(Self { port, token, folder, running: Some(running) })
    }

    /// Waits until each of these servers was looked at, and accepts what they show: a client that comes before has nothing to
    /// see. Some are one program in two languages, and of tools that are the same to the word one is taken for a copy.
    pub(crate) fn wait_for(&self, servers: &[(&str, Upstream)]) -> Result<()> {
        let (between, looks) = LOOK;
        let mut unseen = Vec::new();
        for _ in 0..looks {
            let mut list = Command::new(target().join("debug/callgate"));
            list.args(["registry", "list", "--json", "--config"]).arg(self.folder.join("callgate.toml"));
            let said: Vec<Value> = serde_json::from_str(&output(&mut list)?)?;
            let seen = |name: &str| said.iter().any(|one| one.get("server").is_some_and(|of| of == name));
            unseen = servers.iter().map(|(name, _)| *name).filter(|name| !seen(name)).collect();
            if unseen.is_empty() {
                return self.accept(&said);
            }
            std::thread::sleep(between);
        }
        bail!("the gateway did not see {} in time", unseen.join(", "))
    }

    /// Says yes to whatever waits, and waits until the gateway knows.
    fn accept(&self, listed: &[Value]) -> Result<()> {
        let waits =
            |one: &&Value| one.get("state").and_then(Value::as_str).is_some_and(|state| state != "approved");
        let names = listed.iter().filter(waits).filter_map(|one| one.get("server")?.as_str());
        let names: BTreeSet<&str> = names.collect();
        for name in &names {
            let mut approve = Command::new(target().join("debug/callgate"));
            approve.args(["registry", "approve", name, "--all", "--despite-findings", "--config"]);
            output(approve.arg(self.folder.join("callgate.toml")))?;
        }
        if !names.is_empty() {
            std::thread::sleep(NOTICED);
        }
        Ok(())
    }

    /// Stores a secret that its settings name.
    pub(crate) fn keep(&self, name: &str, value: &str) -> Result<()> {
        let mut command = Command::new(target().join("debug/callgate"));
        command.args(["secret", "set", name, "--config"]).arg(self.folder.join("callgate.toml"));
        let mut stored = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        stored.stdin.take().context("no way to say the value")?.write_all(value.as_bytes())?;
        ensure!(stored.wait()?.success(), "the secret `{name}` cannot be stored");
        Ok(())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // Ended before its folder goes.
        drop(self.running.take());
        // Kept where it cannot be removed: the next run has a folder of its own.
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

fn settings(port: u16, folder: &Path, servers: &[(&str, Upstream)], hosts: &[&str]) -> Result<String> {
    let mut text = format!("listen = \"127.0.0.1:{port}\"\nstate-dir = {:?}\n", folder.join("state"));
    writeln!(text, "allowed-hosts = {hosts:?}")?;
    for (name, upstream) in servers {
        writeln!(text, "\n[servers.{name}]")?;
        match upstream {
            Upstream::Url(url) => writeln!(text, "url = {url:?}")?,
            Upstream::Sse(url) => writeln!(text, "url = {url:?}\ntransport = \"sse\"")?,
            Upstream::Command { program, arguments } => {
                writeln!(text, "command = {program:?}\nargs = {arguments:?}")?
            }
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_are_toml_and_name_every_server() {
        let run = Upstream::Command {
            program: "/bin/a \"b\"".into(),
            arguments: vec!["--x".to_owned(), "y z".to_owned()],
        };
        let servers = [("one", Upstream::Url("http://127.0.0.1:1/mcp".to_owned())), ("two", run)];
        let text: toml::Table =
            settings(8484, Path::new("/tmp/x"), &servers, &["127.0.0.1:9"]).unwrap().parse().unwrap();
        assert_eq!(text["allowed-hosts"][0].as_str(), Some("127.0.0.1:9"));
        assert_eq!(text["servers"]["one"]["url"].as_str(), Some("http://127.0.0.1:1/mcp"));
        assert_eq!(text["servers"]["two"]["command"].as_str(), Some("/bin/a \"b\""));
        assert_eq!(text["servers"]["two"]["args"][1].as_str(), Some("y z"));
    }
}
