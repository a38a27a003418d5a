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
use decision::{EventName, SecretName, ServerName};
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
    Remove { name: SecretName },
}

#[derive(Debug, Args)]
pub(crate) struct Set {
    name: SecretName,
    /// The only server that may be given it
    #[arg(long)]
    server: Option<ServerName>,
}

pub(crate) async fn run(secrets: Secrets, given: &Given) -> Outcome {
    let place = given.place()?;
    match secrets {
        Secrets::Set(args) => set(args, given, &place).await,
        Secrets::List => list(given, &place).await,
        Secrets::Remove { name } => remove(&name, given, &place).await,
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
    let version = put(place, &args.name, args.server, &secret, &given.surroundings.user).await?;
    given.say.json(&json!({ "secret": args.name, "version": version }));
    given.say.line(format!("stored secret `{}`, version {version}", args.name));
    if users(place, &args.name).is_empty() {
        given.say.aside(format!(
            "note: no server in `{}` uses it yet: name it under `[[servers.NAME.credentials]]`",
            place.config.display()
        ));
    }
    Ok(Verdict::Yes)
}

/// Seals a value, stores it and records that; returns its version.
pub(crate) async fn put(
    place: &Place,
    name: &SecretName,
    server: Option<ServerName>,
    secret: &Secret,
    by: &str,
) -> anyhow::Result<u64> {
    let (book, store, scope) = (Book::open(place).await?, place.store().await?, place.scope());
    let kek = kek(place, &store).await?;
    let version = store.next_secret_version(&scope, name, None).await?;
    let at = SecretRef {
        tenant: scope.tenant.clone(),
        environment: scope.environment.clone(),
        name: name.clone(),
        version: u32::try_from(version).context("the secret was replaced too often; remove it first")?,
    };
    let sealed = Sealer::new(kek).seal(secret, &at, &SystemEntropy);
    let new = NewSecret {
        name: name.clone(),
        user: None,
        server: server.clone(),
        version,
        sealed: Sealed(sealed.as_bytes().to_vec()),
        expires_at: None,
    };
    store.put_secret(&scope, &new).await?;
    let number = version.to_string();
    let detail = [("secret", name.as_str()), ("version", number.as_str()), ("by", by)];
    book.record(EventName::SecretStored, server, &detail).await?;
    book.close().await?;
    Ok(version)
}

/// The configured servers that are given this secret.
fn users(place: &Place, name: &SecretName) -> Vec<String> {
    let servers = place.meant.settings.servers.iter();
    let uses = servers.filter(|(_, server)| server.credentials.iter().any(|one| one.secret == *name));
    uses.map(|(name, _)| name.to_string()).collect()
}

async fn list(given: &Given, place: &Place) -> Outcome {
    let secrets = place.store().await?.list_secrets(&place.scope()).await?;
    let value = |secret: &SecretListing| {
        json!({
            "secret": secret.name, "version": secret.version, "only-server": secret.server,
            "stored": when(secret.updated_at), "used-by": users(place, &secret.name),
        })
    };
    given.say.json(&secrets.iter().map(value).collect::<Vec<_>>());
    let row = |secret: &SecretListing| {
        let only = secret.server.as_ref().map_or_else(|| "any".to_owned(), ToString::to_string);
        let used = users(place, &secret.name).join(", ");
        vec![secret.name.to_string(), secret.version.to_string(), when(secret.updated_at), only, used]
    };
    let rows = secrets.iter().map(row).collect();
    given.say.table(&["secret", "version", "stored (UTC)", "for", "used by"], rows);
    Ok(Verdict::Yes)
}

async fn remove(name: &SecretName, given: &Given, place: &Place) -> Outcome {
    let (book, store) = (Book::open(place).await?, place.store().await?);
    store.remove_secret(&place.scope(), name, None).await?;
    let detail = [("secret", name.as_str()), ("by", given.surroundings.user.as_str())];
    book.record(EventName::SecretRemoved, None, &detail).await?;
    book.close().await?;
    given.say.json(&json!({ "removed": name }));
    given.say.line(format!("removed secret `{name}`"));
    Ok(Verdict::Yes)
}

/// The credentials that configured servers need and the store cannot give, as (server, secret).
pub(crate) async fn missing(place: &Place, store: &Store) -> anyhow::Result<Vec<(ServerName, SecretName)>> {
    let mut missing = Vec::new();
    for (name, server) in &place.meant.settings.servers {
        for credential in &server.credentials {
            if store.sealed_secret(&place.scope(), &credential.secret, name, None).await?.is_none() {
                missing.push((name.clone(), credential.secret.clone()));
            }
        }
    }
    Ok(missing)
}
