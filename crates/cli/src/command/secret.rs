//! `callgate secret`: credentials that the gateway adds to calls. Values come from standard input or a prompt,
//! never from the command line, and are never shown.

use crate::{
    cli::Given,
    control::Book,
    failure::{Failure, Outcome, Verdict},
    place::Place,
    say::when,
    sources::SystemEntropy,
};
use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand};
use decision::{EventName, SecretName, ServerName, UserName};
use gateway::settings::{Authority, Source};
use serde_json::json;
use std::{
    io::{IsTerminal as _, Read as _},
    sync::Arc,
};
use store::{NewSecret, Sealed, SecretListing, Store};
use vault::{Kek, SECRET_BYTES_MAX, Sealer, Secret, SecretRef};
use zeroize::Zeroizing;

#[derive(Debug, Subcommand)]
pub(crate) enum Secrets {
    /// Store a secret, or replace its value; the value is read from standard input or asked for
    Set(Set),
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

#[derive(Debug, Args)]
pub(crate) struct Set {
    name: SecretName,
    /// Whose own it is; without this it is shared. Needs a server with `authority = "per-user"`
    #[arg(long)]
    user: Option<UserName>,
    /// The only server that may be given it
    #[arg(long)]
    server: Option<ServerName>,
}

/// Which secret of an installation, by the name people know it under.
#[derive(Debug, Clone)]
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
    let place = given.place()?;
    match secrets {
        Secrets::Set(args) => set(args, given, &place).await,
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

/// The key that secrets are sealed under. A new one is made only while nothing is sealed under an old one.
pub(crate) async fn kek(place: &Place, store: &Store) -> anyhow::Result<Arc<Kek>> {
    let path = place.kek_path();
    place.state()?;
    let kek = if store.list_secrets(&place.scope()).await?.is_empty() {
        Kek::load_or_create(&path, &SystemEntropy)?
    } else {
        Kek::load(&path)?
    };
    Ok(Arc::new(kek))
}

async fn set(args: Set, given: &Given, place: &Place) -> Outcome {
    let secret = read(&args.name)?;
    let named = Named { name: args.name, user: args.user };
    let version = put(place, &named, args.server, &secret, &given.surroundings.user).await?;
    given.say.json(&json!({ "secret": named.name, "user": named.user, "version": version }));
    given.say.line(format!("stored {named}, version {version}"));
    if secret.size() < inspect::SHORT_BELOW {
        given.say.aside(format!(
            "note: under {} bytes a secret is masked in what a server says only where it stands as a word, and under {} \
             not at all",
            inspect::SHORT_BELOW,
            inspect::SHORTEST
        ));
    }
    if users(place, &named).is_empty() {
        given.say.aside(format!(
            "note: no server in `{}` uses it yet: name it under `[[servers.NAME.credentials]]`{}",
            place.config.display(),
            if named.user.is_some() { ", with `authority = \"per-user\"`" } else { "" },
        ));
    }
    Ok(Verdict::Yes)
}

/// Seals a value, stores it and records that; returns its version.
pub(crate) async fn put(
    place: &Place,
    named: &Named,
    server: Option<ServerName>,
    secret: &Secret,
    by: &str,
) -> anyhow::Result<u64> {
    let (book, store, scope) = (Book::open(place).await?, place.store().await?, place.scope());
    let kek = kek(place, &store).await?;
    let version = store.next_secret_version(&scope, &named.name, named.user.as_ref()).await?;
    let at = SecretRef {
        tenant: scope.tenant.clone(),
        environment: scope.environment.clone(),
        name: named.name.clone(),
        user: named.user.clone(),
        version: u32::try_from(version).context("the secret was replaced too often; remove it first")?,
    };
    let sealed = Sealer::new(kek).seal(secret, &at, &SystemEntropy);
    let new = NewSecret {
        name: named.name.clone(),
        user: named.user.clone(),
        server: server.clone(),
        version,
        sealed: Sealed(sealed.as_bytes().to_vec()),
        expires_at: None,
    };
    store.put_secret(&scope, &new).await?;
    let number = version.to_string();
    let mut detail = vec![("secret", named.name.as_str()), ("version", number.as_str()), ("by", by)];
    detail.extend(named.user.as_ref().map(|user| ("user", user.as_str())));
    book.record(EventName::SecretStored, server, &detail).await?;
    book.close().await?;
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
    uses.map(|(name, _)| name.to_string()).collect()
}

async fn list(given: &Given, place: &Place) -> Outcome {
    let secrets = place.store().await?.list_secrets(&place.scope()).await?;
    let named = |secret: &SecretListing| Named { name: secret.name.clone(), user: secret.user.clone() };
    let value = |secret: &SecretListing| {
        json!({
            "secret": secret.name, "user": secret.user, "version": secret.version, "only-server": secret.server,
            "stored": when(secret.updated_at), "used-by": users(place, &named(secret)),
        })
    };
    given.say.json(&secrets.iter().map(value).collect::<Vec<_>>());
    let row = |secret: &SecretListing| {
        let only = secret.server.as_ref().map_or_else(|| "any".to_owned(), ToString::to_string);
        let whose = secret.user.as_ref().map_or_else(|| "everybody".to_owned(), ToString::to_string);
        let used = users(place, &named(secret)).join(", ");
        vec![secret.name.to_string(), whose, secret.version.to_string(), when(secret.updated_at), only, used]
    };
    let rows = secrets.iter().map(row).collect();
    given.say.table(&["secret", "whose", "version", "stored (UTC)", "for", "used by"], rows);
    Ok(Verdict::Yes)
}

async fn remove(named: &Named, given: &Given, place: &Place) -> Outcome {
    let (book, store) = (Book::open(place).await?, place.store().await?);
    store.remove_secret(&place.scope(), &named.name, named.user.as_ref()).await?;
    let mut detail = vec![("secret", named.name.as_str()), ("by", given.surroundings.user.as_str())];
    detail.extend(named.user.as_ref().map(|user| ("user", user.as_str())));
    book.record(EventName::SecretRemoved, None, &detail).await?;
    book.close().await?;
    given.say.json(&json!({ "removed": named.name, "user": named.user }));
    given.say.line(format!("removed {named}"));
    Ok(Verdict::Yes)
}

/// The credentials that configured servers need and the store cannot give, as (server, secret). Of a server that
/// is used per user: those that no user has stored.
pub(crate) async fn missing(place: &Place, store: &Store) -> anyhow::Result<Vec<(ServerName, SecretName)>> {
    let stored = store.list_secrets(&place.scope()).await?;
    let mut missing = Vec::new();
    for (name, server) in &place.meant.settings.servers {
        let per_user = server.authority == Authority::PerUser;
        for (secret, per_user) in server.credentials.iter().filter_map(|one| match &one.source {
            Source::Stored => Some((&one.secret, per_user)),
            // what the backend itself wants, once for everybody
            Source::Kv(_) => place.meant.settings.vault.stored_credential().map(|secret| (secret, false)),
            Source::Variable(_) | Source::File(_) => None,
        }) {
            let fits = |one: &SecretListing| {
                let theirs = one.server.as_ref().is_none_or(|only| only == name);
                one.name == *secret && one.user.is_some() == per_user && theirs
            };
            if !stored.iter().any(fits) {
                missing.push((name.clone(), secret.clone()));
            }
        }
    }
    Ok(missing)
}
