//! The keys under which secrets are sealed, from wherever the settings say that they are.

use crate::{
    place::Place,
    settings::{KeySource, KeySources},
    sources::SystemEntropy,
    surroundings::Surroundings,
};
use anyhow::{Context as _, anyhow, bail};
use launch::LockedBytes;
use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};
use store::Store;
use vault::{Kdf, Kek, KekError, KeyFile, Keys, Sealed};
use zeroize::Zeroize as _;

/// Largest file or credential that is read as a passphrase.
const PASSPHRASE_BYTES_MAX: usize = 4 << 10;

/// What this process was handed at its start for finding keys.
#[derive(Debug, Default)]
pub(crate) struct Handed {
    /// Keys that were in the environment, and no longer are.
    pub(crate) variables: BTreeMap<String, LockedBytes>,
    /// `$CREDENTIALS_DIRECTORY` (systemd.exec, *Credentials*).
    pub(crate) credentials: Option<PathBuf>,
}

impl Handed {
    /// Takes the keys that the settings name out of the environment. For the one thread of a process that begins.
    pub(crate) fn take(&mut self, sources: &KeySources) {
        let taken = sources
            .variables()
            .filter_map(|name| launch::take_variable(name).map(|value| (name.to_owned(), value)));
        self.variables.extend(taken);
    }
}

/// Keys that are there are not those of what is stored, so nothing is sealed under them.
#[derive(Debug, thiserror::Error)]
#[error(
    "the {what} opens nothing of what is stored: is it the right one? Put that back, or name it under \
     `vault.old-keys`; where it is lost, remove what `callgate secret list` shows, and store it again ({})",
    Self::CODE
)]
pub(crate) struct OpensNothing {
    /// What would have been used, as a person calls it.
    what: &'static str,
}

impl OpensNothing {
    /// Stable, for programs.
    pub(crate) const CODE: &str = "key-opens-nothing";
}

/// Whether a person may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asking {
    Allowed,
    Never,
}

/// Opens the keys. New ones are made only while nothing is sealed under old ones, or where those are named.
///
/// Errors: a key that is not there, or is none; [`OpensNothing`]; each says what to do.
pub(crate) async fn open(place: &Place, store: &Store, asking: Asking) -> anyhow::Result<Keys> {
    place.state()?;
    let sources = &place.meant.keys;
    let first = store.list_secrets(&place.scope()).await?.is_empty();
    let may_make = first || !sources.old_keys.is_empty();
    let mut all = of(&sources.key, place, asking, may_make, first).await?;
    for source in &sources.old_keys {
        let old = of(source, place, asking, false, false).await.context("a key of `vault.old-keys`")?;
        all.extend(old);
    }
    let mut all = all.into_iter().map(Arc::new);
    let current = all.next().ok_or_else(|| anyhow!("there is no key"))?;
    let keys = Keys::new(current, all.collect());
    // whatever the key comes from: sealed under a wrong one, new values would be lost with it
    if !first && !opens_any(&keys, place, store).await? {
        return Err(OpensNothing { what: if sources.has_passphrase() { "passphrase" } else { "key" } }.into());
    }
    Ok(keys)
}

/// Whether a start could have the keys, before anything is sealed under them. Makes none, and asks nobody.
pub(crate) async fn look(place: &Place) -> anyhow::Result<()> {
    let sources = &place.meant.keys;
    match &sources.key {
        KeySource::State => match KeyFile::new(place.kek_path()).load() {
            // a start makes it
            Err(KekError::Missing(_)) => {}
            loaded => drop(loaded?),
        },
        KeySource::PassphrasePrompt => {}
        KeySource::PassphraseFile(path) => {
            vault::long_enough(&vault::read_private(path, PASSPHRASE_BYTES_MAX)?)?;
        }
        KeySource::PassphraseCredential(name) => drop(vault::long_enough(&credential(place, name)?)?),
        KeySource::File(_) | KeySource::Env(_) | KeySource::Credential(_) => {
            of(&sources.key, place, Asking::Never, false, false).await?;
        }
    }
    for source in &sources.old_keys {
        of(source, place, Asking::Never, false, false).await.context("a key of `vault.old-keys`")?;
    }
    Ok(())
}

/// Whether anything that is stored is sealed under one of these.
async fn opens_any(keys: &Keys, place: &Place, store: &Store) -> anyhow::Result<bool> {
    let scope = place.scope();
    let mut ours = store.sealed_everywhere().await?.into_iter().filter(|one| one.scope == scope);
    Ok(ours.any(|one| Sealed::from_bytes(one.sealed.0).is_ok_and(|sealed| keys.knows(&sealed))))
}

async fn of(
    source: &KeySource,
    place: &Place,
    asking: Asking,
    may_make: bool,
    first: bool,
) -> anyhow::Result<Vec<Kek>> {
    let phrase = match source {
        KeySource::State => {
            let path = place.kek_path();
            if may_make {
                Kek::load_or_create(&path, &SystemEntropy)?;
            }
            return Ok(KeyFile::new(path).load()?);
        }
        KeySource::File(path) => return named(path),
        KeySource::Env(name) => {
            let what = format!("the variable `{name}`");
            let missing = || {
                anyhow!(
                    "{what} is not set, and `vault.key` says that the key is there: set it where callgate is started"
                )
            };
            let value = match place.handed.variables.get(name) {
                Some(taken) => LockedBytes::copy_of(taken),
                None => read_variable(name).ok_or_else(missing)?,
            };
            return Ok(vec![Kek::parse(&value).ok_or(KekError::NotAKey(what))?]);
        }
        KeySource::Credential(name) => {
            let value = credential(place, name)?;
            return Ok(vec![
                Kek::parse(&value).ok_or_else(|| KekError::NotAKey(format!("the credential `{name}`")))?,
            ]);
        }
        KeySource::PassphrasePrompt if asking == Asking::Never => {
            bail!(
                "the passphrase has to be asked for, and nobody is there: restart the gateway on a terminal"
            )
        }
        KeySource::PassphrasePrompt => ask(first)?,
        KeySource::PassphraseFile(path) => vault::read_private(path, PASSPHRASE_BYTES_MAX)?,
        KeySource::PassphraseCredential(name) => credential(place, name)?,
    };
    let path = place.kdf_path();
    let kdf = if may_make { Kdf::load_or_create(&path, &SystemEntropy)? } else { Kdf::load(&path)? };
    // it takes a while, and by design
    let kek = tokio::task::spawn_blocking(move || kdf.derive(&phrase)).await??;
    Ok(vec![kek])
}

fn named(path: &Path) -> anyhow::Result<Vec<Kek>> {
    KeyFile::new(path).load().map_err(|error| {
        let missing = matches!(error, KekError::Missing(_));
        let error = anyhow!(error);
        if missing {
            let path = path.display();
            return error.context(format!(
                "if it is to be a new one, make it: `(umask 077; openssl rand -out {path} 32)`"
            ));
        }
        error
    })
}

fn read_variable(name: &str) -> Option<LockedBytes> {
    let mut value = Surroundings::named(name)?;
    let locked = LockedBytes::copy_of(&value);
    value.zeroize();
    Some(locked)
}

/// A credential that systemd has put where only this service can read it; its mode says nothing, systemd uses an
/// access list.
fn credential(place: &Place, name: &str) -> anyhow::Result<LockedBytes> {
    let Some(folder) = &place.handed.credentials else {
        bail!(
            "`$CREDENTIALS_DIRECTORY` is not set, so there is no credential `{name}`: start callgate as a service of systemd with `LoadCredential={name}:PATH`"
        );
    };
    if !folder.is_absolute() {
        bail!(
            "`$CREDENTIALS_DIRECTORY` is `{}`, which is no whole path, so there is no credential `{name}`: systemd sets a whole one",
            folder.display()
        );
    }
    let path = folder.join(name);
    vault::read_locked(&path, PASSPHRASE_BYTES_MAX).with_context(|| {
        format!(
            "cannot read the credential `{name}`: is `LoadCredential={name}:PATH` in the unit of the service?"
        )
    })
}

/// Asks on the terminal; twice for a new one, which nobody could correct.
fn ask(first: bool) -> anyhow::Result<LockedBytes> {
    let once = |prompt: &str| -> anyhow::Result<LockedBytes> {
        let mut typed = rpassword::prompt_password(prompt)
            .context("cannot ask for the passphrase: there is no terminal; name a file or a credential under `vault.key`")?;
        let locked = LockedBytes::copy_of(typed.as_bytes());
        typed.zeroize();
        Ok(locked)
    };
    let phrase = once("passphrase of the vault (not shown): ")?;
    if first && *phrase != *once("the same again, as it is a new one: ")? {
        bail!("the two are not the same; nothing was stored");
    }
    Ok(phrase)
}

/// Keeps keys as they are while something is sealed (`exclusive` false), or while they are changed. The lock lasts
/// as long as the file is open.
pub(crate) async fn lock(place: &Place, exclusive: bool) -> anyhow::Result<File> {
    let path = place.state()?.join("secrets.lock");
    let fail = || format!("cannot lock `{}`", path.display());
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
    let file = file.with_context(fail)?;
    let locked = tokio::task::spawn_blocking(move || {
        if exclusive { file.lock() } else { file.lock_shared() }.map(|()| file)
    });
    locked.await?.with_context(fail)
}

/// Why memory for keys and secrets is not locked, as a sentence for an operator.
pub(crate) fn unlocked() -> Option<String> {
    // so that there is something to lock
    drop(LockedBytes::zeroed(1));
    launch::lock_fault().map(|why| {
        format!("{why}; keys and secrets may be written to swap: raise the limit (`LimitMEMLOCK=` of systemd, `ulimit -l`)")
    })
}
