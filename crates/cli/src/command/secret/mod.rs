//! `callgate secret`: credentials that the gateway adds to calls. Values come from standard input or a prompt,
//! never from the command line, and are never shown.

pub(crate) mod dates;
mod missing;
mod opened;
mod rotate;

pub(crate) use missing::{Missing, missing};
pub(crate) use opened::{closed, commons, unusable};

use crate::{
    cli::Given,
    control::Book,
    failure::{Failure, Outcome, Verdict},
    keys::{self, Asking},
    place::Place,
    say::{
        table::{whole, wrapped},
        when,
    },
    sources::{SystemClock, SystemEntropy},
};
use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand};
use dates::State;
use decision::{Clock as _, SecretName, ServerName, Timestamp, UserName};
use gateway::introspection::PROVIDER;
use gateway::settings::{Authority, Source};
use gateway::webhooks::WEBHOOK;
use opened::Opened;
use serde_json::json;
use std::{
    collections::BTreeMap,
    io::{IsTerminal as _, Read as _},
    sync::Arc,
};
use store::{NewSecret, Scope, Sealed, SecretListing, Store};
use vault::{SECRET_BYTES_MAX, Sealer, Secret, SecretRef};
use zeroize::Zeroizing;

#[derive(Debug, Subcommand)]
pub(crate) enum Secrets {
    /// Store a secret, or replace its value; the value is read from standard input or asked for
    Set(Set),
    /// Move everything under a new key, or put a new value in, while the gateway serves
    Rotate(rotate::Args),
    /// Names and dates, never values
    List,
    /// Remove a secret
    Remove {
        name: SecretName,
        /// The one that is this user's own, and not the shared one
        #[arg(long)]
        user: Option<UserName>,
    },
}

impl Secrets {
    fn is_of_key(&self) -> bool {
        matches!(self, Self::Rotate(args) if args.is_of_key())
    }
}

#[derive(Debug, Args)]
pub(crate) struct Set {
    name: SecretName,
    /// Whose own it is; without this it is shared. Needs a server with `authority = "per-user"`
    #[arg(long)]
    user: Option<UserName>,
    /// The only server that may be given it; `webhook` and `identity-provider` are no servers. Without this, as before
    #[arg(long)]
    server: Option<ServerName>,
    /// Any server that names it may be given it, also where it was for one alone
    #[arg(long, conflicts_with = "server")]
    any_server: bool,
    /// When it ends: `90d`, a date or `never`. It is refused from then on, and there are warnings two weeks before. Without
    /// this, as before
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    /// When it should be replaced: `90d`, a date or `never`. There are warnings, and it works on. Without this, after as long
    /// as the last time
    #[arg(long, value_name = "TIME")]
    rotate_by: Option<String>,
}

/// What is stored with a value.
#[derive(Debug, Default)]
pub(crate) struct New {
    /// The only server that may be given it.
    pub(crate) server: Option<ServerName>,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) rotate_by: Option<Timestamp>,
}

impl New {
    /// What another value has of the one before it where nothing is said: for whom it is, its end unless that is over, and
    /// another one after as long as the last time.
    fn after(before: &SecretListing, now: Timestamp) -> Self {
        let again = |at: Timestamp| Timestamp(now.0.saturating_add(at.since(before.updated_at)));
        Self {
            server: before.server.clone(),
            expires_at: before.expires_at.filter(|at| *at > now),
            rotate_by: before.rotate_by.map(again),
        }
    }
}

/// Which secret of an installation, by the name people know it under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) name: SecretName,
    /// Whose it is; `None` is shared.
    pub(crate) user: Option<UserName>,
}

impl std::fmt::Display for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "secret `{}`", self.name)?;
        self.user.as_ref().map_or(Ok(()), |user| write!(f, " of user `{user}`"))
    }
}

pub(crate) async fn run(secrets: Secrets, given: &Given) -> Outcome {
    // a new key is found by what the file says, and nobody begins one beside a file that does not hold
    let place = if secrets.is_of_key() { given.place()? } else { given.place_in_force()? };
    match secrets {
        Secrets::Set(args) => set(args, given, &place).await,
        Secrets::Rotate(args) => rotate::run(args, given, &place).await,
        Secrets::List => list(given, &place).await,
        Secrets::Remove { name, user } => remove(&Named { name, user }, given, &place).await,
    }
}

/// Reads the value: a prompt without echo on a terminal, else standard input to its end.
fn read(name: &SecretName) -> Result<Secret, Failure> {
    let stdin = std::io::stdin();
    let bytes = if stdin.is_terminal() {
        rpassword::prompt_password(format!("value of `{name}` (not shown): "))
            .context("cannot ask for the value")?
            .into_bytes()
    } else {
        let mut bytes = Zeroizing::new(Vec::with_capacity(SECRET_BYTES_MAX + 4));
        let most = u64::try_from(SECRET_BYTES_MAX + 3).unwrap_or(u64::MAX);
        stdin.lock().take(most).read_to_end(&mut bytes).context("cannot read the value")?;
        std::mem::take(&mut *bytes)
    };
    Secret::from_input(bytes).map_err(|error| anyhow!(error).context(format!("secret `{name}`")).into())
}

/// What is said of a value that texts hold by chance.
pub(crate) fn common(named: &Named) -> String {
    format!(
        "the value of {named} is so short or common that texts of a server will hold it by chance, and have `[secret:{}]` in its \
         place: what is no secret belongs into `url` or `env`",
        named.name
    )
}

async fn set(args: Set, given: &Given, place: &Place) -> Outcome {
    if vault::is_reserved(&args.name) {
        return Err(Failure::Usage(
            "names that begin with `callgate/` are for the gateway's own secrets".to_owned(),
        ));
    }
    let now = SystemClock.now();
    let named = Named { name: args.name, user: args.user };
    let before = current(place, &named).await?;
    let kept = before.as_ref().map(|before| New::after(before, now)).unwrap_or_default();
    let new = New {
        server: args.server.clone().or(kept.server.filter(|_| !args.any_server)),
        expires_at: dates::chosen(args.expires.as_deref(), kept.expires_at, now)?,
        rotate_by: dates::chosen(args.rotate_by.as_deref(), kept.rotate_by, now)?,
    };
    let secret = read(&named.name)?;
    let (only, ends, by) = (new.server.clone(), new.expires_at.map(when), new.rotate_by.map(when));
    let version = put(place, &named, new, &secret, given).await?;
    given
        .say
        .json(&json!({ "secret": named.name, "user": named.user, "version": version, "only-server": only,
        "expires": ends, "rotate-by": by }));
    given.say.line(format!("stored {named}, version {version}"));
    if let Some(before) = &before {
        let kept = [
            only.as_ref()
                .filter(|_| args.server.is_none())
                .map(|only| format!("it is for `{only}` alone (`--any-server`)")),
            ends.filter(|_| args.expires.is_none()).map(|at| format!("it ends at {at} (`--expires never`)")),
            by.filter(|_| args.rotate_by.is_none())
                .map(|at| format!("it is to be rotated by {at} (`--rotate-by never`)")),
        ];
        dates::tell_kept(given, &kept, before, args.expires.is_none(), now);
        if let Some(was) = before.server.as_ref().filter(|was| only.as_ref() != Some(was)) {
            given.say.aside(format!(
                "note: it was for `{was}` alone, and is {} now",
                match &only {
                    Some(only) => format!("for `{only}` alone"),
                    None => "for any server that names it".to_owned(),
                }
            ));
        }
    }
    remark(&named, &secret, only.as_ref(), given, place).await?;
    Ok(Verdict::Yes)
}

/// What is to be known of a value that was just stored.
async fn remark(
    named: &Named,
    secret: &Secret,
    only: Option<&ServerName>,
    given: &Given,
    place: &Place,
) -> anyhow::Result<()> {
    if secret.size() < inspect::SHORT_BELOW {
        given.say.aside(format!(
            "note: under {} bytes a secret is masked in what a server says only where it stands as a word of a text, and under {} \
             not at all, nor is a word such as `true`",
            inspect::SHORT_BELOW,
            inspect::SHORTEST
        ));
    }
    if secret.is(inspect::is_common) {
        given.say.aside(format!("note: {}", common(named)));
    }
    let oddities = secret.oddities();
    if !oddities.is_empty() {
        given.say.aside(format!(
            "note: the value {}, which is part of it: set it again without, unless that is meant",
            oddities.join(" and ")
        ));
    }
    if let Some(user) = &named.user
        && !place.store().await?.users_added(&place.scope()).await?.contains_key(user)
    {
        let (signs_in, otherwise) = match place.meant.settings.oauth.is_some() {
            true => (", unless they sign in under that name through the identity provider", "whoever"),
            false => ("", "and whoever"),
        };
        given.say.aside(format!(
            "note: nobody is called `{user}` here{signs_in}: {otherwise} is added as that later (`callgate user add {user}`) is not given what was stored before, so set it again then"
        ));
    }
    if !secret.fits_header()
        && let Some(server) = opened::header_of(place, named)
    {
        given.say.aside(format!(
            "note: `{server}` is given it in a header or a query, where it cannot stand: calls of it are refused (`secret-unusable`)"
        ));
    }
    let (given_to, tied) = named_by(place, named, only);
    for one in &tied {
        given.say.aside(format!(
            "note: `{one}` names it too and is not given it: `--any-server` gives it to all that name it"
        ));
    }
    if given_to.is_empty() && tied.is_empty() {
        given.say.aside(format!(
            "note: nothing in `{}` uses it yet: name it under `[[servers.NAME.credentials]]`{}",
            place.config.display(),
            if named.user.is_some() { ", with `authority = \"per-user\"`" } else { "" },
        ));
    }
    Ok(())
}

/// How a secret is stored now.
async fn current(place: &Place, named: &Named) -> anyhow::Result<Option<SecretListing>> {
    let listed = place.store().await?.list_secrets(&place.scope()).await?;
    Ok(listed.into_iter().find(|one| one.name == named.name && one.user == named.user))
}

/// Who names a secret and is given it, and who names it and is not since it is for another alone.
fn named_by(place: &Place, named: &Named, only: Option<&ServerName>) -> (Vec<String>, Vec<String>) {
    users(place, named).into_iter().partition(|one| only.is_none_or(|only| only.as_str() == one))
}

/// Whether it was stored before the person who has that name now was added: then it is nobody's.
fn is_of_somebody_before(one: &SecretListing, added: &BTreeMap<UserName, Timestamp>) -> bool {
    let added = one.user.as_ref().and_then(|user| added.get(user));
    added.is_some_and(|added| *added > one.updated_at)
}

/// Seals a value, stores it and records that; returns its version.
pub(crate) async fn put(
    place: &Place,
    named: &Named,
    new: New,
    secret: &Secret,
    given: &Given,
) -> anyhow::Result<u64> {
    // not while the key is being changed: nothing may be sealed under one that is about to go
    let _keys = keys::lock(place, false).await?;
    let (book, store, scope) = (Book::open(place).await?, place.store().await?, place.scope());
    let keys = keys::open(place, &store, Asking::Allowed).await?;
    let sealer = Sealer::new(Arc::clone(keys.current()));
    let version = put_next(&store, &sealer, &scope, named, new, secret, &given.surroundings.user).await?;
    book.conclude(&store, given.say).await?;
    Ok(version)
}

/// Seals the next value of a secret and stores it; its version. Only while the key cannot be changed
/// ([`keys::lock`]).
pub(crate) async fn put_next(
    store: &Store,
    sealer: &Sealer,
    scope: &Scope,
    named: &Named,
    new: New,
    secret: &Secret,
    by: &str,
) -> anyhow::Result<u64> {
    let version = store.next_secret_version(scope, &named.name, named.user.as_ref()).await?;
    let at = SecretRef {
        tenant: scope.tenant.clone(),
        environment: scope.environment.clone(),
        name: named.name.clone(),
        user: named.user.clone(),
        version: u32::try_from(version).context("the secret was replaced too often; remove it first")?,
    };
    let sealed = sealer.seal(secret, &at, &SystemEntropy);
    let new = NewSecret {
        name: named.name.clone(),
        user: named.user.clone(),
        server: new.server,
        version,
        sealed: Sealed(sealed.as_bytes().to_vec()),
        expires_at: new.expires_at,
        rotate_by: new.rotate_by,
    };
    store.put_secret(scope, &new, by).await?;
    Ok(version)
}

/// The configured servers that are given this secret. One that is used per user is given the shared secret too,
/// for the gateway's own errands.
fn users(place: &Place, named: &Named) -> Vec<String> {
    let servers = place.meant.settings.servers.iter();
    let uses = servers.filter(|(_, server)| {
        let per_user = server.authority == Authority::PerUser;
        let backend = place.meant.settings.vault.stored_credential();
        let uses = |source: &Source, secret: &SecretName| match source {
            Source::Stored => *secret == named.name,
            Source::Kv(_) => backend == Some(&named.name),
            Source::Variable(_) | Source::File(_) => false,
        };
        (per_user || named.user.is_none())
            && server.credentials.iter().any(|one| uses(&one.source, &one.secret))
    });
    let provider = named.user.is_none() && introspects_with(place) == Some(&named.name);
    let provider = provider.then(|| PROVIDER.to_owned());
    let hooks = opened::signs(place, named).then(|| WEBHOOK.to_owned());
    uses.map(|(name, _)| name.to_string()).chain(provider).chain(hooks).collect()
}

/// The secrets that sign what webhooks are told.
fn signs_with(place: &Place) -> impl Iterator<Item = &SecretName> {
    place.meant.console.hooks.iter().map(|hook| &hook.secret)
}

/// The secret that an identity provider is asked about tokens with.
fn introspects_with(place: &Place) -> Option<&SecretName> {
    let mut issuers = place.meant.settings.oauth.iter().flat_map(|oauth| &oauth.issuers);
    issuers.find_map(|issuer| issuer.introspection.as_ref()).map(|one| &one.secret)
}

async fn list(given: &Given, place: &Place) -> Outcome {
    let store = place.store_to_read(given.say).await?;
    let secrets = store.list_secrets(&place.scope()).await?;
    let retired = store.retired_secrets(&place.scope()).await?;
    let added = store.users_added(&place.scope()).await?;
    let opened = Opened::of(place, &store, &secrets).await;
    let now = SystemClock.now();
    let named = |secret: &SecretListing| Named { name: secret.name.clone(), user: secret.user.clone() };
    let used = |secret: &SecretListing| match is_of_somebody_before(secret, &added) {
        true => (Vec::new(), users(place, &named(secret))),
        false => named_by(place, &named(secret), secret.server.as_ref()),
    };
    let value = |secret: &SecretListing| {
        let (used, not_given) = used(secret);
        json!({
            "secret": secret.name, "user": secret.user, "version": secret.version, "only-server": secret.server,
            "stored": when(secret.updated_at), "used-by": used, "not-given": not_given,
            "of-somebody-before": is_of_somebody_before(secret, &added),
            "state": dates::state(secret, now).as_str(), "opens": opened.opens(&named(secret)),
            "expires": secret.expires_at.map(when), "rotate-by": secret.rotate_by.map(when),
            "old-versions": retired.iter().filter(|one| one.name == secret.name && one.user == secret.user)
                .map(|one| one.version).collect::<Vec<_>>(),
        })
    };
    given.say.json(&secrets.iter().map(value).collect::<Vec<_>>());
    let row = |secret: &SecretListing| {
        let only = secret.server.as_ref().map_or_else(|| "any".to_owned(), ToString::to_string);
        let whose = secret.user.as_ref().map_or_else(|| "everybody".to_owned(), ToString::to_string);
        let (mut used, not_given) = used(secret);
        used.extend(not_given.iter().map(|one| format!("not {one}, which names it too")));
        let used = used.join(", ");
        let used = if vault::is_reserved(&secret.name) { "the gateway".to_owned() } else { used };
        let state = match (dates::state(secret, now), opened.opens(&named(secret))) {
            _ if is_of_somebody_before(secret, &added) => {
                "of somebody before them, given to nobody".to_owned()
            }
            (_, Some(false)) => "sealed under a key that is not there".to_owned(),
            (State::Good, None) => "not opened".to_owned(),
            (state, _) => state.to_string(),
        };
        let version = secret.version.to_string();
        vec![secret.name.to_string(), whose, version, when(secret.updated_at), state, only, used]
    };
    let rows = secrets.iter().map(row).collect();
    if secrets.is_empty() {
        given.say.line("no secrets yet: store one with `callgate secret set NAME`");
        return Ok(Verdict::Yes);
    }
    let [secret, version, rotated] = ["secret", "version", "last rotated (UTC)"].map(whole);
    let [whose, state, only, used] = ["whose", "state", "for", "used by"].map(wrapped);
    given.say.table(&[secret, whose, version, rotated, state, only, used], rows);
    if let Some(why) = &opened.fault {
        given.say.aside(format!("note: whether they can be opened is not known: {why}"));
    }
    Ok(Verdict::Yes)
}

/// Forgets a secret whose current value is still this version, and records that; whether it was.
pub(crate) async fn take_out(
    place: &Place,
    named: &Named,
    version: u64,
    given: &Given,
) -> anyhow::Result<bool> {
    let store = place.store().await?;
    let next = store.next_secret_version(&place.scope(), &named.name, named.user.as_ref()).await?;
    if next != version + 1 {
        return Ok(false);
    }
    forget(place, named, given).await?;
    Ok(true)
}

async fn forget(place: &Place, named: &Named, given: &Given) -> anyhow::Result<()> {
    let by = given.surroundings.user.as_str();
    let (book, store) = (Book::open(place).await?, place.store().await?);
    store.remove_secret(&place.scope(), &named.name, named.user.as_ref(), by).await?;
    book.conclude(&store, given.say).await
}

async fn remove(named: &Named, given: &Given, place: &Place) -> Outcome {
    forget(place, named, given).await?;
    given.say.json(&json!({ "removed": named.name, "user": named.user }));
    given.say.line(format!("removed {named}"));
    Ok(Verdict::Yes)
}

/// The secrets whose dates ask for somebody, with how they stand.
pub(crate) async fn dated(
    place: &Place,
    store: &Store,
    now: Timestamp,
) -> anyhow::Result<Vec<(Named, State)>> {
    let stored = store.list_secrets(&place.scope()).await?;
    let stand = stored.into_iter().map(|one| {
        let state = dates::state(&one, now);
        (Named { name: one.name, user: one.user }, state)
    });
    Ok(stand.filter(|(_, state)| *state != State::Good).collect())
}
