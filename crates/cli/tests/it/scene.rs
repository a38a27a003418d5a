//! The refund scene, whole: the real gateway, an official client of each era, and people of finance in a real browser.

use crate::bed::{Bed, free_port, until};
use serde_json::{Value, json};
use std::{
    env, fs,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

/// A server of the legacy era that writes down what it paid back.
const PAYMENTS: &str = r#"#!/bin/sh
answer() { printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$id" "$1"; }
while IFS= read -r line; do
  id=$(printf %s "$line" | sed -n 's/.*"id":\([0-9][0-9]*\).*/\1/p')
  case "$line" in
    *'"method":"initialize"'*)
      answer '{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"payments","version":"1"}}' ;;
    *'"method":"tools/list"'*)
      answer '{"tools":[{"name":"refund","inputSchema":{"type":"object","properties":{"amount":{"type":"integer"}},"required":["amount"]}}]}' ;;
    *'"method":"tools/call"'*)
      amount=$(printf %s "$line" | sed -n 's/.*"amount":\([0-9][0-9]*\).*/\1/p')
      echo "$amount" >> "$1"
      answer "{\"content\":[{\"type\":\"text\",\"text\":\"paid back $amount\"}]}" ;;
    *) [ -n "$id" ] && answer '{}' ;;
  esac
done
"#;

const POLICY: &str = r#"@id("may-refund") permit (principal, action == Action::"payments__refund", resource);
@id("large") @because("more than 100 is for finance to say") @unless-approved("finance")
forbid (principal, action == Action::"payments__refund", resource) when { context.args.amount > 100 };
@id("very-large") @because("more than 5,000 is for two of them") @unless-approved("2 of finance")
forbid (principal, action == Action::"payments__refund", resource) when { context.args.amount > 5000 };
"#;

/// All of it, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// The agents: the word of the browser's script for each, its script, its revision, and what more it is told.
fn agents() -> Vec<(&'static str, &'static str, &'static str, Value)> {
    let (modern, legacy) = ("2026-07-28", "2025-11-25");
    vec![
        ("typescript-legacy", "held-v1.mjs", legacy, json!({})),
        ("typescript-modern", "held-v2.mjs", modern, json!({ "pin": modern })),
        ("python-legacy", "held.py", legacy, json!({ "mode": "legacy" })),
        ("python-modern", "held.py", modern, json!({})),
    ]
}

struct Scene {
    bed: Bed,
    token: String,
    port: u16,
    node: String,
    python: String,
    agent: Option<Child>,
}

impl Scene {
    /// What was paid back, in order.
    fn paid(&self) -> String {
        let paid = fs::read_to_string(self.bed.path("paid")).unwrap_or_default();
        paid.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn call(&mut self, agent: &str, amount: &str) {
        let all = agents();
        let (_, script, _, more) = all.iter().find(|one| one.0 == agent).unwrap();
        let mut job = json!({ "url": format!("http://127.0.0.1:{}/mcp", self.port), "token": self.token,
            "name": "payments__refund", "arguments": { "amount": amount.parse::<u64>().unwrap() },
            "can": { "elicitation": { "url": {} } } });
        job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let mut command = match script.ends_with(".py") {
            true => {
                let mut command = Command::new(Path::new(&self.python).join("bin/python"));
                let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients");
                command.arg(scripts.join(script));
                command
            }
            false => {
                let mut command = Command::new("node");
                command.arg(Path::new(&self.node).join(script));
                command
            }
        };
        self.agent = Some(command.arg(job.to_string()).stdout(Stdio::piped()).spawn().unwrap());
    }

    /// What the browser's script asks of the rest of the world, by a line.
    fn does(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["call", agent, amount] => {
                self.call(agent, amount);
                "called".to_owned()
            }
            ["paid"] => self.paid(),
            ["waits"] => self.agent.as_mut().unwrap().try_wait().unwrap().is_none().to_string(),
            ["answer"] => {
                let said = self.agent.take().unwrap().wait_with_output().unwrap();
                String::from_utf8(said.stdout).unwrap().trim().to_owned()
            }
            other => panic!("the script asks for `{other:?}`"),
        }
    }

    fn link(&self, person: &str) -> String {
        let said = self.bed.run(&["console", "--as", person]);
        assert_eq!(said.code, 0, "{}", said.err);
        said.out.trim().to_owned()
    }
}

fn bed() -> Bed {
    let bed = Bed::new();
    bed.write("payments.sh", PAYMENTS);
    bed.write("policies/refunds.cedar", POLICY);
    bed.write(
        "callgate.toml",
        &format!(
            "listen = \"127.0.0.1:{}\"\nstate-dir = \"state\"\n[console]\napprovers = [\"finance\"]\n\
             [servers.payments]\ncommand = \"/bin/sh\"\nargs = [\"{}\", \"{}\"]\n",
            free_port(),
            bed.path("payments.sh").display(),
            bed.path("paid").display()
        ),
    );
    for name in ["alice", "bob", "carol"] {
        assert_eq!(bed.run(&["user", "add", name, "--group", "finance"]).code, 0);
    }
    bed
}

#[test]
#[ignore = "run by `cargo xtask test` and `cargo xtask console`, which have a browser"]
fn an_agent_of_each_era_asks_for_a_refund_and_finance_lets_that_very_call_go_on() {
    #[expect(clippy::disallowed_methods, reason = "the runner says where node, python and the browser are")]
    let of = |name: &str| env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let bed = bed();
    // alice is of finance too, and it is her own agent
    let added = bed.json(&["agent", "add", "bot", "--user", "alice"]);
    let token = added["token"].as_str().unwrap().to_owned();
    let gateway = bed.serve();
    until("the server was looked at", || bed.run(&["registry", "list"]).out.contains("payments"));
    let (node, python) = (of("CALLGATE_EXTERNALS_NODE"), of("CALLGATE_EXTERNALS_PYTHON"));
    let mut scene = Scene { bed, token, port: gateway.port, node, python, agent: None };
    let agents: Vec<Value> =
        agents().iter().map(|(name, _, revision, _)| json!({ "name": name, "revision": revision })).collect();
    let job = json!({ "chromium": of("CALLGATE_CHROMIUM"), "agents": agents,
        "base": format!("http://callgate.localhost:{}", gateway.port),
        "alice": scene.link("alice"), "bob": scene.link("bob"), "again": scene.link("bob"), "carol": scene.link("carol") });
    let mut browser = Command::new("node")
        .arg(Path::new(&scene.node).join("scene.mjs"))
        .arg(job.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut answers, asked) = (browser.stdin.take().unwrap(), browser.stdout.take().unwrap());
    let (done, is_done) = std::sync::mpsc::channel();
    let pid = browser.id().to_string();
    thread::spawn(move || {
        if is_done.recv_timeout(PATIENCE).is_err() {
            let _ = Command::new("kill").arg(pid).status();
        }
    });
    let mut last = String::new();
    for line in BufReader::new(asked).lines() {
        last = line.unwrap();
        if let Some(line) = last.strip_prefix("do ") {
            let answer = scene.does(line);
            // a browser that ended has been told enough
            let _ = answers.write_all(format!("{answer}\n").as_bytes());
        }
    }
    let ended = browser.wait().unwrap();
    let _ = done.send(());
    if let Some(mut agent) = scene.agent.take() {
        let _ = agent.kill().and_then(|()| agent.wait());
    }
    assert!(
        ended.success() && last == "ok",
        "the browser ended with {ended}, after `{last}`\n{}",
        scene.bed.log()
    );
    assert_eq!(scene.paid(), vec!["500 7000"; agents.len()].join(" "), "each once");
    assert_eq!(gateway.stop(), 0);
    assert_eq!(scene.bed.run(&["audit", "verify"]).code, 0);
}
