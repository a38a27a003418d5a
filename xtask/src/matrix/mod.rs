//! `cargo xtask clients`: every official client against every official server, through the gateway.
//!
//! Each pair lists, calls, reads, prompts, completes, follows progress, is asked by the server for a person's and for a model's word, and
//! cancels, as far as the server offers it, whether or not they share an era. The result is written
//! to `docs/compatibility.md`; with `--direct` the clients talk to the servers themselves and nothing is written.

mod client;
mod page;
mod server;

use std::process::ExitCode;

use anyhow::{Result, bail};
use serde_json::Value;

use crate::environment::say;
use crate::externals::Externals;
use crate::files::root;
use crate::flows::{self, PAGE};
use crate::gateway::{Gateway, programs};
use crate::tally::Tally;
use client::Client;
use server::Servers;

/// The steps in the order they are taken; the scripts in `tests/clients` have the same.
const STEPS: &[&str] =
    &["list", "call", "read", "prompt", "complete", "progress", "elicit", "sample", "cancel"];

/// What one client did with one server.
#[derive(Debug)]
pub(crate) struct Pair {
    server: String,
    client: &'static str,
    /// What the client's script said: `{ client, revision, <step>: "ok" | why not | null }`.
    said: Value,
}

impl Pair {
    fn revision(&self) -> &str {
        self.said.get("revision").and_then(Value::as_str).unwrap_or("none")
    }

    /// `None` where the server does not offer the step or the client cannot take it.
    fn outcome(&self, step: &str) -> Option<Result<(), &str>> {
        if let Some(fault) = self.said.get("connect").and_then(Value::as_str) {
            return Some(Err(fault));
        }
        match self.said.get(step)?.as_str()? {
            "ok" => Some(Ok(())),
            why => Some(Err(why)),
        }
    }
}

/// Runs the whole matrix.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    let direct = match arguments {
        [] => false,
        [only] if only == "--direct" => true,
        _ => bail!("`clients` takes `--direct` or nothing"),
    };
    programs(direct)?;
    let mut tally = Tally::default();
    let externals = Externals::obtain()?;
    let pairs = if direct { directly(&externals)? } else { through_gateway(&externals)? };
    judge(&mut tally, &pairs);
    if !direct {
        let page = std::fs::read_to_string(root().join(PAGE)).unwrap_or_default();
        std::fs::write(root().join(PAGE), flows::after(&page::render(&pairs)?, &page))?;
        say(&format!("wrote {PAGE}"));
    }
    Ok(tally.finish())
}

/// The matrix through the gateway, counted into a bigger run; the page must say what is true now.
pub(crate) fn all(tally: &mut Tally, externals: &Externals) -> Result<()> {
    say("== official clients and servers through the gateway");
    let pairs = match through_gateway(externals) {
        Ok(pairs) => pairs,
        Err(fault) => {
            say(&format!("{fault:#}"));
            tally.check("official clients and servers through the gateway", false);
            return Ok(());
        }
    };
    judge(tally, &pairs);
    let committed = std::fs::read_to_string(root().join(PAGE)).unwrap_or_default();
    tally.check(
        "docs/compatibility.md is what `cargo xtask clients` writes",
        flows::before(&committed) == page::render(&pairs)?,
    );
    Ok(())
}

fn through_gateway(externals: &Externals) -> Result<Vec<Pair>> {
    let servers = Servers::start(externals)?;
    let gateway = Gateway::start(&servers.upstreams(), &[])?;
    gateway.wait_for(&servers.upstreams())?;
    let mut pairs = Vec::new();
    for server in servers.list() {
        for client in Client::ALL {
            let url = format!("http://127.0.0.1:{}/s/{}/mcp", gateway.port, server.name);
            pairs.push(pair(
                externals,
                server.name,
                *client,
                &client.job(&url, &gateway.token, "", &server.profile),
            )?);
        }
    }
    drop(gateway);
    // Once more over the federated entrance, where names carry their server. The reference servers have the same resources, so one of
    // them is there: a resource that two servers offer has to be asked for at its server's own entrance.
    let twin = |name: &str| name.starts_with("reference") && name != "reference";
    let upstreams = servers.upstreams().into_iter().filter(|(name, _)| !twin(name)).collect::<Vec<_>>();
    let gateway = Gateway::start(&upstreams, &[])?;
    gateway.wait_for(&upstreams)?;
    let Some(reference) = servers.list().iter().find(|server| server.name == "reference") else {
        bail!("the reference server is not in the list")
    };
    for client in Client::ALL {
        let url = format!("http://127.0.0.1:{}/mcp", gateway.port);
        let job = client.job(&url, &gateway.token, "reference__", &reference.profile);
        pairs.push(pair(externals, "all at once", *client, &job)?);
    }
    Ok(pairs)
}

fn directly(externals: &Externals) -> Result<Vec<Pair>> {
    let servers = Servers::start(externals)?;
    let mut pairs = Vec::new();
    for server in servers.list() {
        let Some(url) = &server.url else { continue };
        for client in Client::ALL.iter().filter(|client| client.can_talk_to(server)) {
            pairs.push(pair(externals, server.name, *client, &client.job(url, "", "", &server.profile))?);
        }
    }
    Ok(pairs)
}

fn pair(externals: &Externals, server: &str, client: Client, job: &Value) -> Result<Pair> {
    let said = client.run(externals, job)?;
    say(&format!("{server}: {said}"));
    Ok(Pair { server: server.to_owned(), client: client.name(), said })
}

fn judge(tally: &mut Tally, pairs: &[Pair]) {
    for pair in pairs {
        for step in STEPS {
            if let Some(outcome) = pair.outcome(step) {
                let why = outcome.err().unwrap_or_default();
                tally.check(&format!("{} {step} {}: {why}", pair.client, pair.server), outcome.is_ok());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn counted(said: Value) -> (u64, u64) {
        let mut tally = Tally::default();
        judge(&mut tally, &[Pair { server: "s".to_owned(), client: "c", said }]);
        (tally.passed, tally.failed)
    }

    #[test]
    fn what_the_server_does_not_offer_is_neither_passed_nor_failed() {
        assert_eq!(counted(json!({ "list": "ok", "call": "it broke", "read": null })), (1, 1));
    }

    #[test]
    fn a_client_that_cannot_connect_fails_every_step() {
        assert_eq!(counted(json!({ "connect": "refused" })), (0, STEPS.len() as u64));
    }
}
