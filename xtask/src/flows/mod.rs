//! `cargo xtask flows`: the official clients sign in by their own OAuth flows, from nothing but the gateway's address.
//!
//! The provider is the certified `oidc-provider`, the person is a script with a real browser, the gateway is the real binary with
//! `[oauth]`. Each client signs in, calls, asks for a wider scope where the call needs one, and goes on after its token ran out; then a
//! token of the same provider, person and client for another resource is refused. The result is written to `docs/compatibility.md`.

mod client;
mod page;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::conformance::leg;
use crate::debian;
use crate::environment::say;
use crate::externals::Externals;
use crate::files::root;
use crate::gateway::{Gateway, Upstream, programs};
use crate::process::{Running, free_port, output};
use crate::tally::Tally;
use client::Client;

/// The steps in the order they are taken; the scripts in `tests/clients` have the same.
const STEPS: &[&str] = &["sign in", "call", "step up", "refresh", "audience"];

/// How long the provider's access tokens are good, in seconds: long enough for a browser on a slow machine.
const LIFETIME: u64 = 20;

/// As whom the gateway asks about opaque tokens, and with what: both take encoding (RFC 6749, section 2.3.1).
const ASKER: &str = "gateway:flows";
const ASKER_SECRET: &str = "a secret+of/the flows%";

pub(crate) use page::{PAGE, after, before};

/// What one client did.
#[derive(Debug)]
pub(crate) struct Flow {
    client: &'static str,
    without: &'static [&'static str],
    /// What its script said: `{ revision, registered, <step>: "ok" | why not }`.
    said: Value,
}

impl Flow {
    /// `None` where the client cannot take the step.
    fn outcome(&self, step: &str) -> Option<Result<(), &str>> {
        if self.without.contains(&step) {
            return None;
        }
        Some(match self.said.get(step).and_then(Value::as_str) {
            Some("ok") => Ok(()),
            Some(why) => Err(why),
            None => Err("was not reached"),
        })
    }
}

pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    if let Some(unknown) = arguments.first() {
        bail!("`flows` takes no argument, and was given `{unknown}`");
    }
    programs(false)?;
    let mut tally = Tally::default();
    let externals = Externals::obtain()?;
    let chromium = browser().map_err(anyhow::Error::msg)?;
    let flows = all_of(&externals, &chromium)?;
    judge(&mut tally, &flows);
    page::write(&flows)?;
    say(&format!("wrote {PAGE}"));
    Ok(tally.finish())
}

/// The flows, counted into a bigger run; the page must say what is true now.
pub(crate) fn all(tally: &mut Tally, externals: &Externals) -> Result<()> {
    say("== official clients' own OAuth flows");
    let chromium = match browser() {
        Ok(chromium) => chromium,
        Err(why) => {
            tally.skip("official clients' own OAuth flows", &why);
            return Ok(());
        }
    };
    let flows = match all_of(externals, &chromium) {
        Ok(flows) => flows,
        Err(fault) => {
            say(&format!("{fault:#}"));
            tally.check("official clients' own OAuth flows", false);
            return Ok(());
        }
    };
    judge(tally, &flows);
    tally.check("docs/compatibility.md is what `cargo xtask flows` writes", page::is_true(&flows)?);
    Ok(())
}

fn all_of(externals: &Externals, chromium: &Path) -> Result<Vec<Flow>> {
    let (signed, opaque) = (Site::start(externals, false)?, Site::start(externals, true)?);
    let mut flows = Vec::new();
    for client in Client::ALL {
        let site = if client.is_opaque() { &opaque } else { &signed };
        let job = site.job(chromium)?;
        let mut said = client.run(externals, &job)?;
        let audience = elsewhere(externals, &job, &said)?;
        if let Some(said) = said.as_object_mut() {
            said.insert("audience".to_owned(), audience);
        }
        say(&format!("{}: {said}", client.name()));
        flows.push(Flow { client: client.name(), without: client.without(), said });
    }
    Ok(flows)
}

/// The person's browser.
fn browser() -> Result<PathBuf, String> {
    debian::obtain("chromium", "chromium").map(PathBuf::from)
}

/// A token for another resource, for the client that was just registered.
fn elsewhere(externals: &Externals, job: &Value, said: &Value) -> Result<Value> {
    let mut job = job.clone();
    match (job.as_object_mut(), said.get("registered").filter(|id| id.is_string())) {
        (Some(job), Some(registered)) => job.insert("registered".to_owned(), registered.clone()),
        _ => return Ok(Value::Null),
    };
    let mut node = Command::new(externals.node22()?);
    node.arg(externals.node.join("elsewhere.mjs")).arg(job.to_string());
    let said = output(&mut node)?;
    let said: Value =
        serde_json::from_str(said.trim()).with_context(|| format!("elsewhere.mjs said `{said}`"))?;
    Ok(said.get("audience").cloned().unwrap_or_default())
}

/// A provider, a gateway that takes its tokens, and a server behind it; all end with this.
#[derive(Debug)]
struct Site {
    issuer: String,
    url: String,
    elsewhere: String,
    _gateway: Gateway,
    _running: [Running; 2],
}

impl Site {
    fn start(externals: &Externals, opaque: bool) -> Result<Self> {
        let (port, provider_port) = (free_port()?, free_port()?);
        let url = format!("http://127.0.0.1:{port}/s/reference/mcp");
        // the same gateway's other entrance: near enough that only an exact comparison tells them apart
        let elsewhere = format!("http://127.0.0.1:{port}/mcp");
        let scopes = ["mcp:reference:read", "mcp:reference:write"];
        let mut node = Command::new(externals.node22()?);
        let mut job = json!({ "port": provider_port, "resources": { &url: scopes, &elsewhere: scopes }, "lifetime": LIFETIME });
        if let Some(job) = job.as_object_mut().filter(|_| opaque) {
            job.insert("opaque".to_owned(), json!([&url, &elsewhere]));
            job.insert("asker".to_owned(), json!({ "id": ASKER, "secret": ASKER_SECRET }));
        }
        node.arg(externals.node.join("provider.mjs")).arg(job.to_string());
        // it says at length that it is set up for development, which it is
        node.stdout(Stdio::null()).stderr(Stdio::null());
        let provider = Running::start("oidc-provider", &mut node, provider_port)?;
        let (upstream, upstream_port) = leg::start_upstream(leg::Upstream::Rust, None, externals)?;
        let issuer = format!("http://127.0.0.1:{provider_port}");
        let upstream_url = Upstream::Url(format!("http://127.0.0.1:{upstream_port}/mcp"));
        let gateway = Gateway::on(port, &[("reference", upstream_url)], &[], &settings(&issuer, opaque))?;
        if opaque {
            gateway.keep("idp-client", ASKER_SECRET)?;
        }
        Ok(Self { issuer, url, elsewhere, _gateway: gateway, _running: [provider, upstream] })
    }

    /// What a client is told. Of the provider it is told nothing; that is for `elsewhere.mjs`.
    fn job(&self, chromium: &Path) -> Result<Value> {
        Ok(json!({
            "url": self.url,
            "elsewhere": self.elsewhere,
            "issuer": self.issuer,
            "redirect": format!("http://127.0.0.1:{}/callback", free_port()?),
            "chromium": chromium,
            "read": { "name": "reference_echo", "arguments": { "text": "hello", "times": 2 }, "expect": "hellohello" },
            "write": { "name": "test_simple_text", "arguments": {}, "expect": "text" },
            "scope": "mcp:reference:write",
            "lifetime": LIFETIME,
        }))
    }
}

/// The gateway's settings beside the server itself: whose tokens are taken, and that a call needs a scope.
fn settings(issuer: &str, opaque: bool) -> String {
    let mut text = format!(
        "[servers.reference.tools.reference_echo]\neffect = \"read\"\n\n\
         [oauth]\nscopes = \"enforce\"\n\n[[oauth.issuers]]\nissuer = {issuer:?}\nskew = \"1s\"\n"
    );
    if opaque {
        text.push_str(&format!(
            "[oauth.issuers.introspection]\nclient-id = {ASKER:?}\nsecret = \"idp-client\"\ncache = \"2s\"\n"
        ));
    }
    text
}

fn judge(tally: &mut Tally, flows: &[Flow]) {
    for flow in flows {
        for step in STEPS {
            let Some(outcome) = flow.outcome(step) else { continue };
            let why = outcome.err().unwrap_or_default();
            tally.check(&format!("{} {step}: {why}", flow.client), outcome.is_ok());
        }
    }
}

/// The folder with the scripts that every client has in common.
fn scripts() -> PathBuf {
    root().join("tests/clients")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_was_not_reached_is_a_failure() {
        let mut tally = Tally::default();
        let said = json!({ "sign in": "ok", "call": "it broke" });
        judge(&mut tally, &[Flow { client: "c", without: &["refresh"], said }]);
        assert_eq!((tally.passed, tally.failed), (1, STEPS.len() as u64 - 2));
    }

    #[test]
    fn the_settings_are_toml() {
        for opaque in [false, true] {
            let text: toml::Table = settings("http://127.0.0.1:1", opaque).parse().unwrap();
            let issuer = &text["oauth"]["issuers"][0];
            assert_eq!(issuer["issuer"].as_str(), Some("http://127.0.0.1:1"));
            assert_eq!(issuer.get("introspection").is_some(), opaque);
        }
    }
}
