//! `callgate check --token -`: what a sample token would become, and which check it fails. It lets nobody in and,
//! unless asked to, contacts nobody; the token is read from standard input and never shown.

use crate::{
    cli::Given,
    failure::{Failure, Outcome, Verdict},
    place::Place,
    sources::SystemClock,
};
use anyhow::{Context as _, anyhow};
use decision::{Actor, Clock as _, Code, Refusal, ServerName};
use identity::oauth::{
    Check, KeySet, Oauth, Opaque, Resource, Sample, Step, Width, issuer_named, sample, scope_for,
};
use serde_json::json;
use std::{
    io::{IsTerminal as _, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};
use zeroize::Zeroizing;

/// Largest file of keys that is read: as much as of a provider.
const KEYS_BYTES_MAX: u64 = 512 << 10;
const SCHEME: &str = "Bearer ";

#[derive(Debug, clap::Args)]
pub(crate) struct SampleArgs {
    /// Say what a sample token becomes; write `-`, the token is read from standard input
    #[arg(long, value_name = "-", allow_hyphen_values = true)]
    token: Option<String>,
    /// Check the token's signature with the keys in this file (a JWK set)
    #[arg(long, value_name = "FILE", requires = "token")]
    jwks: Option<PathBuf>,
    /// Check the token's signature with the keys of its provider, which is contacted
    #[arg(long, requires = "token", conflicts_with = "jwks")]
    online: bool,
    /// The server whose own entrance the token is for, instead of `/mcp`
    #[arg(long, value_name = "SERVER", requires = "token")]
    entrance: Option<ServerName>,
}

impl SampleArgs {
    /// Whether a token is to be looked at, and nothing else.
    pub(crate) fn asked(&self) -> bool {
        self.token.is_some()
    }
}

pub(crate) async fn run(args: &SampleArgs, given: &Given, place: &Place) -> Outcome {
    if args.token.as_deref() != Some("-") {
        let usage = "a token does not belong on the command line, where everybody on this machine can read it: \
            write `--token -` and give it on standard input";
        return Err(Failure::Usage(usage.to_owned()));
    }
    let Some(oauth) = &place.meant.settings.oauth else {
        let path = place.config.display();
        return Err(Failure::Usage(format!("`{path}` has no `[oauth]`, so no provider's token is taken")));
    };
    if let Some(server) =
        args.entrance.as_ref().filter(|name| !place.meant.settings.servers.contains_key(*name))
    {
        let path = place.config.display();
        return Err(Failure::Usage(format!(
            "`{path}` has no server `{server}`, so it has no entrance of its own"
        )));
    }
    let token = read()?;
    if !matches!(identity::ApiToken::parse(&token), Err(identity::TokenError::Foreign)) {
        let usage = "this is a token of the gateway's own, of which no provider knows: `callgate agent list` says whose it is, \
            and whether it is good";
        return Err(Failure::Usage(usage.to_owned()));
    }
    let asked = oauth.issuers.iter().any(|issuer| issuer.introspection.is_some());
    if asked && Opaque::of(&token).is_some() {
        let usage = "this is an opaque token: only its provider knows what it says, and the secret to ask with is opened \
            for the gateway's own errands alone; call the gateway with it, and look with `callgate explain`";
        return Err(Failure::Usage(usage.to_owned()));
    }
    let keys = keys(args, oauth, &token).await?;
    let resource = Resource { server: args.entrance.as_ref().map(ServerName::as_str) };
    let mut looked = sample(oauth, &token, keys.as_ref(), resource, SystemClock.now());
    looked.steps.extend(standing(&looked, place).await?);
    let lacks = oauth.enforce_scopes.then(|| lacks(&looked, args, place));
    given.say.json(&as_json(&looked, keys.is_some(), lacks.as_deref()));
    if !given.say.json {
        tell(given, &looked, keys.is_some(), lacks.as_deref());
    }
    Ok(match looked.is_good() {
        false => Verdict::No,
        // anybody can write such a token
        true if keys.is_none() => Verdict::Depends,
        true => Verdict::Yes,
    })
}

/// The scopes that a call at that entrance may need and the token does not have, by server: of the classes that it lacks all.
fn lacks(looked: &Sample, args: &SampleArgs, place: &Place) -> Vec<String> {
    let servers = place.meant.settings.servers.keys();
    let asked = servers.filter(|name| args.entrance.as_ref().is_none_or(|entrance| entrance == *name));
    let of_server = |name: &ServerName| {
        let lacking = Width::ALL.into_iter().filter(|width| !looked.scopes.covers(name.as_str(), *width));
        let scopes = lacking.filter_map(|width| scope_for(Some(name.as_str()), width));
        scopes.map(|scope| scope.as_str().to_owned()).collect::<Vec<_>>()
    };
    asked.flat_map(of_server).collect()
}

/// One token: a prompt without echo on a terminal, else standard input to its end.
fn read() -> Result<Zeroizing<String>, Failure> {
    let stdin = std::io::stdin();
    let mut text = Zeroizing::new(String::with_capacity(identity::BEARER_BYTES_MAX));
    if stdin.is_terminal() {
        text = Zeroizing::new(rpassword::prompt_password("token (not shown): ").context("cannot ask")?);
    } else {
        let most = u64::try_from(identity::BEARER_BYTES_MAX + 16).unwrap_or(u64::MAX);
        stdin.lock().take(most).read_to_string(&mut text).context("cannot read the token")?;
    }
    let bare = text.trim();
    // the scheme may be in any case, as in a request
    let scheme = bare.get(..SCHEME.len()).filter(|scheme| scheme.eq_ignore_ascii_case(SCHEME));
    let bare = scheme.and_then(|_| bare.get(SCHEME.len()..)).unwrap_or(bare);
    Ok(Zeroizing::new(bare.trim_start().to_owned()))
}

/// Why whom it speaks for is let in no more, whatever the provider says.
async fn standing(looked: &Sample, place: &Place) -> Result<Option<Step>, Failure> {
    let name = match looked.who.as_ref().map(|who| &who.actor) {
        Some(Actor::Agent(name) | Actor::Workload(name)) => name,
        Some(Actor::User(_) | Actor::Server(_) | Actor::Gateway | Actor::Unknown) | None => return Ok(None),
    };
    let disabled = place.store_or_empty().await?.disabled_agents(&place.scope()).await?;
    let because =
        || format!("agent `{name}` is disabled here: `callgate agent enable {name}` lets it in again");
    let found = || Err(Refusal::new(Code::AgentDisabled, because()));
    Ok(disabled.contains(name).then(|| Step { check: Check::Standing, found: found() }))
}

async fn keys(args: &SampleArgs, oauth: &Arc<Oauth>, token: &str) -> anyhow::Result<Option<KeySet>> {
    if let Some(path) = &args.jwks {
        return from_file(path).map(Some);
    }
    let issuer = issuer_named(oauth, token).filter(|_| args.online);
    let Some(issuer) = issuer else {
        return Ok(None);
    };
    let fetched = identity::oauth::fetch_keys(&issuer.source, egress::Settings::default()).await;
    let name = &issuer.source.issuer;
    fetched.map(Some).map_err(|reason| anyhow!("the keys of `{name}` cannot be fetched: {reason}"))
}

fn from_file(path: &Path) -> anyhow::Result<KeySet> {
    let fail = || format!("cannot read `{}`", path.display());
    let mut text = Vec::new();
    let file = std::fs::File::open(path).with_context(fail)?;
    file.take(KEYS_BYTES_MAX + 1).read_to_end(&mut text).with_context(fail)?;
    if text.len() as u64 > KEYS_BYTES_MAX {
        return Err(anyhow!("it is larger than {KEYS_BYTES_MAX} bytes").context(fail()));
    }
    KeySet::read(&text).with_context(fail)
}

fn as_json(looked: &Sample, verified: bool, lacks: Option<&[String]>) -> serde_json::Value {
    let steps = looked.steps.iter().map(|step| match &step.found {
        Ok(found) => json!({ "check": step.check.as_str(), "ok": true, "found": found }),
        Err(no) => json!({
            "check": step.check.as_str(), "ok": false, "code": no.code, "because": no.because,
        }),
    });
    let who =
        looked.who.as_ref().map(|who| json!({ "actor": who.actor, "user": who.user, "host": who.host }));
    let is_good = looked.is_good() && verified;
    let (becomes, refused) = if is_good { (who, None) } else { (None, who) };
    json!({
        "ok": is_good,
        "signature-checked": verified,
        "steps": steps.collect::<Vec<_>>(),
        "becomes": becomes,
        "would-become": refused,
        "scopes-enforced": lacks.is_some(),
        "scopes-lacking": lacks.unwrap_or_default(),
        "scopes": looked.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>(),
    })
}

fn tell(given: &Given, looked: &Sample, verified: bool, lacks: Option<&[String]>) {
    let say = given.say;
    for step in &looked.steps {
        let check = step.check.as_str();
        match &step.found {
            Ok(found) => say.line(format!("{} {check}: {}", say.paint(32, "✓"), crate::say::one_line(found))),
            Err(no) => {
                let because = crate::say::one_line(&no.because);
                say.line(format!("{} {check}: {because} [{}]", say.paint(31, "✗"), no.code.as_str()));
                say.line(format!("    {}", no.code.meaning()));
            }
        }
    }
    if !verified {
        let help = "anybody can write such a token: give the keys with `--jwks FILE`, or ask the provider with `--online`";
        say.line(format!("{} the signature was not checked: {help}", say.paint(33, "!")));
    }
    if let Some(lacks) = lacks {
        scopes(given, looked, lacks);
    }
    if let Some(who) = &looked.who {
        let actor = match &who.actor {
            Actor::Workload(name) => format!("workload `{name}`"),
            Actor::Agent(name) => format!("agent `{name}`"),
            Actor::User(_) | Actor::Server(_) | Actor::Gateway | Actor::Unknown => "nobody".to_owned(),
        };
        let user = who.user.as_ref().map(|user| {
            let groups: Vec<_> = user.groups.iter().map(|group| format!("`{group}`")).collect();
            let groups = if groups.is_empty() { "no group".to_owned() } else { groups.join(", ") };
            format!(" for user `{}` in {groups}", user.name)
        });
        let becomes = match looked.is_good() {
            true if verified => "becomes",
            true => "it depends on the signature; if that holds it becomes",
            false => "it is refused, and becomes nobody; without that it would be",
        };
        say.line(format!("{becomes} {actor}{}", user.unwrap_or_default()));
        if let Some(host) = &who.host {
            say.line(format!("on host `{}`", crate::say::one_line(host)));
        }
    }
}

/// What bounds the token, where scopes are enforced.
fn scopes(given: &Given, looked: &Sample, lacks: &[String]) {
    let say = given.say;
    let quoted = |scope: &str| format!("`{}`", crate::say::one_line(scope));
    let held: Vec<String> = looked.scopes.iter().map(|scope| quoted(scope.as_str())).collect();
    let held = if held.is_empty() { "none".to_owned() } else { held.join(", ") };
    let mark = say.paint(if lacks.is_empty() { 32 } else { 33 }, if lacks.is_empty() { "✓" } else { "!" });
    say.line(format!("{mark} scopes (enforced): {held}"));
    let lacks: Vec<String> = lacks.iter().map(|scope| quoted(scope)).collect();
    if !lacks.is_empty() {
        say.line(format!(
            "    calls that need one of these are refused (`scope-insufficient`): {}",
            lacks.join(", ")
        ));
    }
}
