//! Everything that runs during a measurement: the servers, nginx, the gateway with everything on, and the load.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::figures::Run;
use super::measure;
use crate::environment::{cache, target};
use crate::process::{Running, free_port, output, succeeds};

/// Tools of the server that is measured. It has as many rules.
const TOOLS: usize = 100;
/// The other servers that are configured.
const OTHERS: [&str; 3] = ["crm", "mail", "files"];
/// The one that speaks the legacy era only.
const OLD: &str = "wiki";
const OTHER_TOOLS: usize = 20;
/// Under valgrind a refused try costs as much as a call; so few are made.
const VALGRIND_PAUSE_MS: u32 = 2_000;

/// Programs of the distribution.
#[derive(Debug)]
pub(crate) struct Programs {
    pub(crate) nginx: String,
    pub(crate) valgrind: String,
}

/// Where the load goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Front {
    Direct,
    Nginx,
    Callgate,
    /// The same with a client of the legacy era, whose calls the gateway carries across.
    CallgateUp,
    /// The same over a server of the legacy era.
    CallgateDown,
}

/// A folder with everything in it, and the servers, running.
#[derive(Debug)]
pub(crate) struct House<'a> {
    programs: &'a Programs,
    folder: PathBuf,
    upstream: u16,
    nginx: u16,
    gateway: u16,
    token: String,
    /// The number of the next call: none is made twice.
    next: u64,
    servers: Vec<Running>,
}

impl Drop for House<'_> {
    fn drop(&mut self) {
        self.servers.clear();
        // kept where it cannot be removed: the next run has a folder of its own
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

impl<'a> House<'a> {
    /// Starts the servers, writes the files, and tells the gateway who may call and with which credential.
    pub(crate) fn build(programs: &'a Programs) -> Result<Self> {
        let (upstream, others, old, provider) = (free_port()?, free_port()?, free_port()?, free_port()?);
        let (nginx, gateway) = (free_port()?, free_port()?);
        let folder = cache().join(format!("bench-{gateway}"));
        for part in ["policies", "nginx"] {
            std::fs::create_dir_all(folder.join(part))?;
        }
        std::fs::write(
            folder.join("callgate.toml"),
            settings(gateway, [upstream, others, old], provider, &folder)?,
        )?;
        std::fs::write(folder.join("policies/rules.cedar"), rules()?)?;
        std::fs::write(folder.join("nginx/nginx.conf"), nginx_settings(nginx, upstream))?;
        let mut servers = Vec::new();
        // the others are no copies of the first, which nobody would let pass unseen
        let all = [
            (upstream, TOOLS, "modern", "false"),
            (others, OTHER_TOOLS, "modern", "true"),
            (old, OTHER_TOOLS, "legacy", "true"),
        ];
        for (port, tools, era, other) in all {
            let mut serve = ends();
            serve.args([
                "upstream",
                "--port",
                &port.to_string(),
                "--tools",
                &tools.to_string(),
                "--era",
                era,
                "--other",
                other,
            ]);
            servers.push(Running::start("the server", &mut serve, port)?);
        }
        let mut provide = ends();
        provide.args(["provider", "--port", &provider.to_string(), "--token-file"]).arg(folder.join("token"));
        provide.args(["--audience", &format!("http://127.0.0.1:{gateway}/mcp")]);
        servers.push(Running::start("the identity provider", &mut provide, provider)?);
        let token = std::fs::read_to_string(folder.join("token")).context("the provider's token")?;
        let house = Self { programs, folder, upstream, nginx, gateway, token, next: 1, servers };
        house.introduce()?;
        copy(&house.folder.join("state"), &house.folder.join("state-at-first"))?;
        Ok(house)
    }

    fn callgate(&self, words: &[&str]) -> Command {
        configured(&self.folder, words)
    }

    /// The credential of the server. Who asks, the provider says.
    fn introduce(&self) -> Result<()> {
        let mut set = self.callgate(&["secret", "set", "bench-key"]);
        let mut child = set.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        child.stdin.take().context("no standard input")?.write_all(b"k-9c1f2e7a40b84d6fa2")?;
        ensure!(child.wait()?.success(), "the server's credential cannot be set");
        Ok(())
    }

    pub(crate) fn start_gateway(&self) -> Result<Running> {
        let log = self.folder.join("gateway.log");
        let mut serve = self.callgate(&["serve"]);
        serve.stderr(File::create(&log)?);
        let running =
            Running::start("callgate serve", &mut serve, self.gateway).with_context(|| said(&log))?;
        self.first(Front::Callgate, 20).with_context(|| said(&log))?;
        // looking at its servers is part of its start and of no call
        measure::settled(running.id())?;
        Ok(running)
    }

    pub(crate) fn start_nginx(&self) -> Result<Running> {
        let mut serve = Command::new(&self.programs.nginx);
        serve.args(self.nginx_words());
        Running::start("nginx", &mut serve, self.nginx)
    }

    fn nginx_words(&self) -> [String; 6] {
        let folder = self.folder.join("nginx").display().to_string();
        let file = format!("{folder}/nginx.conf");
        // what goes wrong before the settings are read is said on standard error
        ["-e".to_owned(), "stderr".to_owned(), "-p".to_owned(), folder, "-c".to_owned(), file]
    }

    fn words(&self, front: Front) -> Vec<String> {
        let (port, token) = match front {
            Front::Direct => (self.upstream, None),
            Front::Nginx => (self.nginx, None),
            Front::Callgate | Front::CallgateUp | Front::CallgateDown => (self.gateway, Some(&self.token)),
        };
        let prefix = if front == Front::CallgateDown { format!("{OLD}__") } else { "up__".to_owned() };
        let era = if front == Front::CallgateUp { "legacy" } else { "modern" };
        // the same bytes go all three ways, but for the credential
        let mut words: Vec<String> =
            ["--port", &port.to_string(), "--path", "/mcp", "--prefix", &prefix, "--era", era]
                .map(str::to_owned)
                .to_vec();
        if let Some(token) = token {
            words.extend(["--token".to_owned(), token.clone()]);
        }
        words
    }

    /// Waits for the first right answer.
    fn first(&self, front: Front, pause_ms: u32) -> Result<()> {
        let mut ask = ends();
        // numbers of their own, which no load has
        ask.arg("first").args(self.words(front)).args(["--from", "1000000000"]);
        output(ask.args(["--pause-ms", &pause_ms.to_string()])).map(drop)
    }

    /// So many calls, each with an answer that was checked.
    pub(crate) fn load(
        &mut self,
        front: Front,
        kind: &str,
        calls: u64,
        connections: u32,
        pace: Option<u32>,
    ) -> Result<Run> {
        let mut load = ends();
        load.arg("load").args(self.words(front)).args(["--kind", kind]);
        load.args(["--from", &self.next.to_string(), "--calls", &calls.to_string()]);
        load.args(["--connections", &connections.to_string()]);
        if let Some(pace) = pace {
            load.args(["--rate", &pace.to_string()]);
        }
        self.next += calls;
        Run::read(&output(&mut load).with_context(|| format!("{front:?}, {kind}"))?)
    }

    /// The median and the 99th percentile of one flush on this disk, in microseconds.
    pub(crate) fn flush(&self, times: u32) -> Result<(f64, f64)> {
        let mut flush = ends();
        flush.args(["flush", "--times", &times.to_string(), "--folder"]).arg(&self.folder);
        let said: Value = serde_json::from_str(&output(&mut flush)?)?;
        let of = |name: &str| said.get(name).and_then(Value::as_f64).with_context(|| format!("no `{name}`"));
        Ok((of("p50_us")?, of("p99_us")?))
    }

    /// From the start of the process to the first right answer, in milliseconds.
    pub(crate) fn time_to_first_answer(&self) -> Result<f64> {
        let mut serve = self.callgate(&["serve"]);
        serve.stderr(Stdio::null());
        let (gateway, took) = measure::timed(|| {
            let gateway = Running::spawn("callgate serve", &mut serve)?;
            self.first(Front::Callgate, 2)?;
            Ok(gateway)
        })?;
        gateway.stop()?;
        Ok(took.as_secs_f64() * 1e3)
    }

    /// Instructions in user space from start to end of a proxy that carried so many calls.
    pub(crate) fn instructions(&mut self, front: Front, calls: u64) -> Result<u64> {
        let file = self.folder.join(format!("callgrind-{calls}"));
        let log = self.folder.join("valgrind.log");
        let mut counted = Command::new(&self.programs.valgrind);
        counted.args(["--tool=callgrind", "-q"]).arg(format!("--callgrind-out-file={}", file.display()));
        let port = match front {
            Front::Direct | Front::CallgateUp | Front::CallgateDown => return Ok(0),
            Front::Nginx => {
                counted.arg(&self.programs.nginx).args(self.nginx_words());
                self.nginx
            }
            Front::Callgate => {
                // a log that an earlier run made longer is read at the start, and no call costs that
                std::fs::remove_dir_all(self.folder.join("state"))?;
                copy(&self.folder.join("state-at-first"), &self.folder.join("state"))?;
                let serve = self.callgate(&["serve"]);
                counted.arg(serve.get_program()).args(serve.get_args()).current_dir(&self.folder);
                self.gateway
            }
        };
        counted.stderr(File::create(&log)?);
        let running = Running::start("valgrind", &mut counted, port).with_context(|| said(&log))?;
        self.first(front, VALGRIND_PAUSE_MS).with_context(|| said(&log))?;
        measure::settled(running.id())?;
        self.load(front, "echo", calls, super::CONNECTIONS, None).with_context(|| said(&log))?;
        running.stop()?;
        measure::counted(&file)
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    ensure!(succeeds(Command::new("cp").arg("-a").args([from, to]))?, "{} is not copied", from.display());
    Ok(())
}

/// The program with both ends.
pub(super) fn ends() -> Command {
    Command::new(target().join("dist/callgate-bench"))
}

/// What ships.
pub(super) fn callgate() -> Command {
    Command::new(target().join("dist/callgate"))
}

/// The same with the configuration of a folder.
pub(super) fn configured(folder: &Path, words: &[&str]) -> Command {
    let mut command = callgate();
    command.args(words).arg("--config").arg(folder.join("callgate.toml")).current_dir(folder);
    command
}

/// The end of a log, for an error.
pub(super) fn said(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(10).collect();
    format!("it said: {}", lines.into_iter().rev().collect::<Vec<_>>().join("\n"))
}

/// One process, upstream connections kept, buffers as they are by default: nginx as it stands in front of JSON.
fn nginx_settings(port: u16, upstream: u16) -> String {
    format!(
        "daemon off;\nmaster_process off;\nerror_log stderr warn;\npid nginx.pid;\n\
         events {{ worker_connections 256; }}\n\
         http {{\n  access_log off;\n  keepalive_requests 100000000;\n\
         \x20 client_body_temp_path body;\n  proxy_temp_path proxy;\n  fastcgi_temp_path fastcgi;\n  uwsgi_temp_path uwsgi;\n  scgi_temp_path scgi;\n\
         \x20 upstream up {{ server 127.0.0.1:{upstream}; keepalive 32; keepalive_requests 100000000; }}\n\
         \x20 server {{\n    listen 127.0.0.1:{port};\n    location / {{\n      proxy_pass http://up;\n      proxy_http_version 1.1;\n\
         \x20     proxy_set_header Connection \"\";\n    }}\n  }}\n}}\n"
    )
}

fn settings(port: u16, [upstream, others, old]: [u16; 3], provider: u16, folder: &Path) -> Result<String> {
    let mut text = format!(
        "listen = \"127.0.0.1:{port}\"\nstate-dir = {:?}\n\n[[oauth.issuers]]\nissuer = \"http://127.0.0.1:{provider}\"\n\
         [oauth.issuers.claims]\ngroups = \"groups\"\n",
        folder.join("state")
    );
    let mut servers = BTreeMap::from([("up", upstream), (OLD, old)]);
    servers.extend(OTHERS.map(|name| (name, others)));
    for (name, port) in servers {
        writeln!(text, "\n[servers.{name}]\nurl = \"http://127.0.0.1:{port}/mcp\"")?;
    }
    for name in ["up", OLD] {
        write!(
            text,
            "\n[[servers.{name}.credentials]]\nsecret = \"bench-key\"\nheader = \"Authorization\"\nprefix = \"Bearer \"\n\
             \n[servers.{name}.tools.\"*\"]\neffect = \"read\"\ntier = \"low\"\n"
        )?;
    }
    Ok(text)
}

/// A hundred rules: what agents and people may do, what nobody may, and what concerns other tools and other groups.
fn rules() -> Result<String> {
    let mut text = "\
@id(\"bots\") permit (principal == Agent::\"bench\", action in Action::\"server:up\", resource);
@id(\"staff\") permit (principal in Group::\"staff\", action in Action::\"server:up\", resource);
@id(\"old-bots\") permit (principal == Agent::\"bench\", action in Action::\"server:wiki\", resource);
@id(\"old-staff\") permit (principal in Group::\"staff\", action in Action::\"server:wiki\", resource);
@id(\"no-tables\") @because(\"tables are not dropped by echo\")
forbid (principal, action == Action::\"up__echo\", resource) when { context.args.text like \"*DROP TABLE*\" };
@id(\"no-destruction\") @because(\"agents destroy nothing\")
forbid (principal is Agent, action in Action::\"effect:destructive\", resource);
"
    .to_owned();
    for team in 0..10 {
        writeln!(
            text,
            "@id(\"team-{team}\") permit (principal in Group::\"team-{team}\", action in Action::\"server:up\", resource);"
        )?;
    }
    for tool in 2..86 {
        writeln!(
            text,
            "@id(\"tool-{tool}\") @because(\"not below /secret\")\n\
             forbid (principal, action == Action::\"up__tool-{tool:03}\", resource) when {{ context.args.path like \"/secret*\" }};"
        )?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_a_hundred_rules_and_five_servers() {
        assert_eq!(rules().unwrap().matches("@id(").count(), 100);
        let text: toml::Table = settings(1, [2, 3, 5], 4, Path::new("/x")).unwrap().parse().unwrap();
        assert_eq!(text["servers"].as_table().unwrap().len(), 5);
        assert_eq!(text["servers"]["up"]["credentials"][0]["header"].as_str(), Some("Authorization"));
    }
}
