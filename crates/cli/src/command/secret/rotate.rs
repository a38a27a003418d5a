//! `callgate secret rotate`: another key for everything that is sealed, or another value for one secret.

use super::opened::is_in_force;
use super::{Named, New, dates, put, read};
use crate::{
    cli::Given,
    control::{Book, Request, Response},
    failure::{Failure, Outcome, Verdict},
    keys::{self, Asking},
    place::Place,
    say::when,
    settings::KeySource,
    sources::{SystemClock, SystemEntropy},
};
use anyhow::{Context as _, anyhow, bail};
use clap::Args as ClapArgs;
use decision::{Clock as _, EventName, SecretName, UserName, counted};
use serde_json::json;
use store::{Resealable, Scope, Store};
use vault::{KeyFile, Keys, SecretRef, VaultError};

#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// Put in a new value of this secret, as `set` does. Without a name, everything is moved under a new key
    name: Option<SecretName>,
    /// The one that is this user's own
    #[arg(long, requires = "name")]
    user: Option<UserName>,
    /// When the new value ends: `90d`, a date or `never`; by default as the old one
    #[arg(long, value_name = "TIME", requires = "name")]
    expires: Option<String>,
    /// When it should be rotated again: `90d`, a date or `never`; by default after as long as the last time
    #[arg(long, value_name = "TIME", requires = "name")]
    rotate_by: Option<String>,
}

impl Args {
    /// Whether everything is to be moved under a new key.
    pub(super) fn is_of_key(&self) -> bool {
        self.name.is_none()
    }
}

pub(super) async fn run(args: Args, given: &Given, place: &Place) -> Outcome {
    match args.name {
        Some(name) => {
            let named = Named { name, user: args.user };
            value(&named, args.expires.as_deref(), args.rotate_by.as_deref(), given, place).await
        }
        None => key(given, place).await,
    }
}

/// Puts a new value in, for the same server as before.
async fn value(
    named: &Named,
    expires: Option<&str>,
    rotate_by: Option<&str>,
    given: &Given,
    place: &Place,
) -> Outcome {
    if vault::is_reserved(&named.name) {
        return Err(Failure::Usage("the gateway renews its own secrets by itself".to_owned()));
    }
    let now = SystemClock.now();
    let Some(before) = super::current(place, named).await? else {
        return Err(Failure::refused(format!("there is no {named}: store it with `callgate secret set`")));
    };
    let kept = New::after(&before, now);
    let new = New {
        expires_at: dates::chosen(expires, kept.expires_at, now)?,
        rotate_by: dates::chosen(rotate_by, kept.rotate_by, now)?,
        ..kept
    };
    let ends = new.expires_at.filter(|_| expires.is_none());
    let secret = read(&named.name)?;
    let version = put(place, named, new, &secret, given).await?;
    given.say.json(&json!({ "secret": named.name, "user": named.user, "version": version }));
    given.say.line(format!(
        "rotated {named}: new calls use version {version}, what is under way ends with the old one"
    ));
    let kept = [ends.map(|at| format!("it ends at {} (`--expires`)", when(at)))];
    dates::tell_kept(given, &kept, &before, expires.is_none(), now);
    Ok(Verdict::Yes)
}

/// How far a change of the key has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The new key is there, and nothing is sealed under it yet.
    Begun,
    /// One value was moved.
    Moved,
    /// Nothing is sealed under the old key any more.
    Emptied,
    /// The old key is gone.
    Done,
}

/// What was done.
#[derive(Debug, Default, PartialEq, Eq)]
struct Moves {
    moved: u64,
    /// Values of other tenants or environments in the same database, under keys that are not at hand.
    foreign: u64,
    /// Values of this installation, under keys that are not at hand: they stay where they are.
    left: Vec<Left>,
}

#[derive(Debug, PartialEq, Eq)]
struct Left {
    named: Named,
    version: u64,
    /// Calls need it: it was not replaced.
    in_force: bool,
}

/// Moves everything under a new key while the gateway serves: both keys are known before anything is sealed under
/// the new one, and the old one goes only when nothing is left under it. Broken off anywhere, everything opens, and
/// running it again goes on.
async fn key(given: &Given, place: &Place) -> Outcome {
    let sources = &place.meant.keys;
    let file = match &sources.key {
        _ if !sources.old_keys.is_empty() => None,
        KeySource::State => Some(KeyFile::new(place.kek_path())),
        KeySource::File(path) => Some(KeyFile::new(path)),
        KeySource::Env(_)
        | KeySource::Credential(_)
        | KeySource::PassphrasePrompt
        | KeySource::PassphraseFile(_)
        | KeySource::PassphraseCredential(_) => {
            return Err(Failure::Usage(
                "this key is not callgate's to change: write the new one under `vault.key` and the one that is there now under `vault.old-keys`, let the gateway read that, and run this again"
                    .to_owned(),
            ));
        }
    };
    let _alone = keys::lock(place, true).await?;
    let (book, store) = (Book::open(place).await?, place.store().await?);
    let moves = match &file {
        Some(file) => {
            is_only_ours(&book, &store, place).await?;
            keys::open(place, &store, Asking::Allowed).await?;
            change(file, &store, &place.scope(), async |step| match step {
                Step::Begun | Step::Done => told(&book).await,
                Step::Moved | Step::Emptied => Ok(()),
            })
            .await?
        }
        None => {
            let keys = keys::open(place, &store, Asking::Allowed).await?;
            told(&book).await?;
            move_all(&store, &keys, &place.scope(), &mut async |_| Ok(())).await?
        }
    };
    let count = moves.moved.to_string();
    let detail = [("moved", count.as_str()), ("by", given.surroundings.user.as_str())];
    book.record(EventName::KeyRotated, None, &detail).await?;
    book.close().await?;
    tell(&moves, file.is_some(), given);
    Ok(moves.left.is_empty().into())
}

fn tell(moves: &Moves, is_new: bool, given: &Given) {
    let left = |one: &Left| json!({ "secret": one.named.name, "user": one.named.user, "version": one.version, "in-force": one.in_force });
    given.say.json(&json!({ "moved": moves.moved, "foreign": moves.foreign, "old-keys": !is_new,
        "left": moves.left.iter().map(left).collect::<Vec<_>>() }));
    given.say.line(format!("moved {} under the new key", counted(moves.moved, "sealed value")));
    if moves.foreign > 0 {
        given.say.aside(format!(
            "note: of other tenants or environments in this database, under keys of theirs, and left there: {}",
            counted(moves.foreign, "value")
        ));
    }
    for Left { named, version, in_force } in &moves.left {
        let means = match in_force {
            true => {
                "calls that need it are refused: name that key under `vault.old-keys` and run this again, or store a new value"
            }
            false => "it was replaced, and goes by itself within a day",
        };
        given.say.aside(format!(
            "note: {named}, version {version}, is under a key that is not there, and was left: {means}"
        ));
    }
    match is_new {
        true => {
            given.say.aside("note: backups of the database still need the old key, which is gone from here")
        }
        false => given.say.aside("note: `vault.old-keys` can be taken out now"),
    }
}

/// Whether no other gateway works with this database: one that has the old key in a file of its own would have no secrets
/// any more.
async fn is_only_ours(book: &Book, store: &Store, place: &Place) -> anyhow::Result<()> {
    let Response::Entries { log: ours, .. } = book.ask(Request::Entries { from: 0, max: 0 }).await? else {
        bail!("the gateway answered something else than the name of its log");
    };
    let now = SystemClock.now();
    let others = store.gateways(&place.scope()).await?;
    let others: Vec<_> =
        others.into_iter().filter(|one| one.log != ours && one.is_there(now)).map(|one| one.log).collect();
    if others.is_empty() {
        return Ok(());
    }
    bail!(
        "other gateways work with this database and would be without their secrets (other-gateways: {}): give each the new key as `vault.key` and the one that is there now as `vault.old-keys`, then run this again",
        others.join(", ")
    )
}

/// A running gateway reads its keys anew. Errors: it did not, and then nothing may be sealed under a key that it may
/// not know.
async fn told(book: &Book) -> anyhow::Result<()> {
    match book {
        Book::Own { .. } => Ok(()),
        Book::Running { .. } => {
            let Response::Reloaded { problems } = book.ask(Request::Reload).await? else {
                bail!("the running gateway did not say whether it knows the new key");
            };
            if !problems.is_empty() {
                let problems = problems.join("; ");
                bail!("the running gateway could not read its configuration and keys anew: {problems}");
            }
            Ok(())
        }
    }
}

/// Changes the key in this file. `after` is run after each step, and breaks the change off with an error.
async fn change(
    file: &KeyFile,
    store: &Store,
    ours: &Scope,
    mut after: impl AsyncFnMut(Step) -> anyhow::Result<()>,
) -> anyhow::Result<Moves> {
    file.begin_change(&SystemEntropy)?;
    after(Step::Begun).await?;
    let mut all = file.load()?.into_iter().map(std::sync::Arc::new);
    let current = all.next().ok_or_else(|| anyhow!("there is no key"))?;
    let keys = Keys::new(current, all.collect());
    let moves = move_all(store, &keys, ours, &mut after).await?;
    after(Step::Emptied).await?;
    file.finish_change()?;
    after(Step::Done).await?;
    Ok(moves)
}

/// Moves every value of the database that is sealed under an older key of ours, until there is none.
async fn move_all(
    store: &Store,
    keys: &Keys,
    ours: &Scope,
    after: &mut impl AsyncFnMut(Step) -> anyhow::Result<()>,
) -> anyhow::Result<Moves> {
    let mut moves = Moves::default();
    loop {
        let mut left = 0;
        let mut foreign = 0;
        let mut closed = Vec::new();
        for one in store.sealed_everywhere().await? {
            let sealed = vault::Sealed::from_bytes(one.sealed.0.clone()).with_context(|| told_of(&one))?;
            let at = place_of(&one)?;
            match keys.reseal(&sealed, &at, &SystemEntropy) {
                Ok(None) => {}
                Ok(Some(new)) => {
                    left += 1;
                    // somebody who was faster is seen in the next round
                    if store.reseal_secret(&one, &store::Sealed(new.as_bytes().to_vec())).await? {
                        moves.moved += 1;
                        after(Step::Moved).await?;
                    }
                }
                Err(VaultError::OtherKey { .. }) if one.scope == *ours => closed.push(one),
                Err(VaultError::OtherKey { .. }) => foreign += 1,
                Err(error) => {
                    return Err(anyhow!(error).context("the old key is kept for what cannot be moved"));
                }
            }
        }
        if left == 0 {
            let listed = store.list_secrets(ours).await?;
            let left = closed.into_iter().map(|one| Left {
                in_force: is_in_force(&listed, &one),
                version: one.version,
                named: Named { name: one.name, user: one.user },
            });
            return Ok(Moves { foreign, left: left.collect(), ..moves });
        }
    }
}

fn place_of(one: &Resealable) -> anyhow::Result<SecretRef> {
    Ok(SecretRef {
        tenant: one.scope.tenant.clone(),
        environment: one.scope.environment.clone(),
        name: one.name.clone(),
        user: one.user.clone(),
        version: u32::try_from(one.version).with_context(|| told_of(one))?,
    })
}

fn told_of(one: &Resealable) -> String {
    let named = Named { name: one.name.clone(), user: one.user.clone() };
    format!("{named}, version {}, of `{}` in `{}`", one.version, one.scope.tenant, one.scope.environment)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::secret::put_next;
    use std::{cell::Cell, path::Path, sync::Arc};
    use vault::{Kek, Sealer, Secret};

    /// A store with a replaced value and two current ones, and its key file.
    async fn vault_in(folder: &Path) -> (Store, KeyFile) {
        let url = format!("sqlite:{}", folder.join("db").display());
        let store = Store::open(&url, Arc::new(SystemClock), Arc::new(SystemEntropy)).await.unwrap();
        let kek = Arc::new(Kek::load_or_create(&folder.join("kek"), &SystemEntropy).unwrap());
        let sealer = Sealer::new(kek);
        for (name, version) in [("one", 1), ("one", 2), ("two", 1)] {
            let value = Secret::from_input(format!("{name}-{version}").into_bytes()).unwrap();
            let named = Named { name: name.parse().unwrap(), user: None };
            let stored =
                put_next(&store, &sealer, &Scope::default(), &named, New::default(), &value, "ops").await;
            assert_eq!(stored.unwrap(), version);
        }
        (store, KeyFile::new(folder.join("kek")))
    }

    /// How many values open under the keys that are in the file now, of all there are. Sealing one anew opens it.
    async fn opens(store: &Store, file: &KeyFile) -> (usize, usize) {
        let known: Vec<_> = file.load().unwrap().into_iter().map(Arc::new).collect();
        let all = store.sealed_everywhere().await.unwrap();
        let opened = all.iter().filter(|one| {
            let sealed = vault::Sealed::from_bytes(one.sealed.0.clone()).unwrap();
            let probe = Arc::new(Kek::from_bytes(&[9; 32]).unwrap());
            Keys::new(probe, known.clone()).reseal(&sealed, &place_of(one).unwrap(), &SystemEntropy).is_ok()
        });
        (opened.count(), all.len())
    }

    #[tokio::test]
    async fn a_change_of_key_that_is_broken_off_after_any_step_leaves_everything_openable_and_goes_on() {
        // begun, three moves, emptied, done
        for stop in 1..=6 {
            let folder = tempfile::tempdir().unwrap();
            let (store, file) = vault_in(folder.path()).await;
            let old = file.load().unwrap()[0].id();
            let steps = Cell::new(0);
            let broken = change(&file, &store, &Scope::default(), async |_| {
                steps.set(steps.get() + 1);
                if steps.get() == stop { Err(anyhow!("broken off")) } else { Ok(()) }
            })
            .await;
            assert!(broken.is_err(), "step {stop}");
            assert_eq!(opens(&store, &file).await, (3, 3), "after step {stop}");
            change(&file, &store, &Scope::default(), async |_| Ok(())).await.unwrap();
            assert_eq!(opens(&store, &file).await, (3, 3));
            let left = file.load().unwrap();
            assert!(left.len() == 1 && left[0].id() != old, "one key is left, and a new one");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_opened_keeps_the_old_key_and_what_is_foreign_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (store, file) = vault_in(folder.path()).await;
        let one = store.sealed_everywhere().await.unwrap().remove(0);
        let mut damaged = one.sealed.clone();
        *damaged.0.last_mut().unwrap() ^= 1;
        assert!(store.reseal_secret(&one, &damaged).await.unwrap());
        let ours = Scope::default();
        assert!(change(&file, &store, &ours, async |_| Ok(())).await.is_err());
        assert_eq!(file.load().unwrap().len(), 2, "both keys are there");
        // the id of its key is another one
        let now = store.sealed_everywhere().await.unwrap().remove(0);
        let mut foreign = one.sealed.clone();
        foreign.0[1] ^= 1;
        assert!(store.reseal_secret(&now, &foreign).await.unwrap());
        let moves = change(&file, &store, &ours, async |_| Ok(())).await.unwrap();
        let named = Named { name: now.name.clone(), user: None };
        assert_eq!(moves.left, [Left { named, version: 1, in_force: false }], "it is said what it is");
        assert_eq!(moves.foreign, 0);
        assert_eq!(file.load().unwrap().len(), 1);
        let elsewhere = Scope::new("other".parse().unwrap(), "production".parse().unwrap());
        let moves = change(&file, &store, &elsewhere, async |_| Ok(())).await.unwrap();
        assert_eq!((moves.foreign, moves.left), (1, Vec::new()), "of another tenant it is none of ours");
    }
}
