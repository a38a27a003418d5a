//! What an import changed, kept so that it can be taken back exactly: whole, or not at all.

use super::piece::Piece;
use crate::{cli::Given, command::secret, failure::Failure, place::Place, rewrite};
use anyhow::Context as _;
use decision::ServerName;
use serde::{Deserialize, Serialize};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// One import. It holds what was replaced, credentials included, and is readable by its owner alone.
#[derive(Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) config: Piece,
    pub(super) files: Vec<Piece>,
    /// Policies that wait for the first look at a server.
    pub(super) policies: Vec<PathBuf>,
    /// Names of secrets, which stay in the vault.
    pub(super) secrets: Vec<String>,
    /// The entries of clients one by one, to be given back by themselves.
    #[serde(default)]
    pub(super) entries: Vec<Was>,
}

/// What stood in a client's file for a server.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Was {
    pub(super) file: PathBuf,
    pub(super) keys: Vec<String>,
    pub(super) server: ServerName,
    pub(super) kept: String,
}

fn folder(place: &Place) -> anyhow::Result<PathBuf> {
    Ok(place.state()?.join("imports"))
}

/// The imports there are, the oldest first.
pub(super) fn all(place: &Place) -> anyhow::Result<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> = match fs::read_dir(folder(place)?) {
        Ok(entries) => entries.filter_map(Result::ok).map(|entry| entry.path()).collect(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    found.retain(|path| path.extension().is_some_and(|kind| kind == "json"));
    found.sort();
    Ok(found)
}

/// Keeps it, before anything is changed. Where it is kept.
pub(super) fn keep(place: &Place, record: &Record) -> anyhow::Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt as _;
    let folder = folder(place)?;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    let last = all(place)?.pop().and_then(|path| path.file_stem()?.to_str()?.parse::<u32>().ok());
    let path = folder.join(format!("{:06}.json", last.unwrap_or(0) + 1));
    write(&path, record)?;
    Ok(path)
}

/// The last import, and where it is kept.
pub(super) fn last(place: &Place) -> anyhow::Result<Option<(PathBuf, Record)>> {
    let Some(path) = all(place)?.pop() else { return Ok(None) };
    let record = read(&path)?;
    Ok(Some((path, record)))
}

pub(super) fn read(path: &Path) -> anyhow::Result<Record> {
    let fail = || format!("`{}` cannot be read", path.display());
    serde_json::from_slice(&fs::read(path).with_context(fail)?).with_context(fail)
}

/// Keeps another of the same import.
pub(super) fn write(path: &Path, record: &Record) -> anyhow::Result<()> {
    rewrite::replace(path, serde_json::to_string_pretty(record)?.as_bytes(), 0o600)
}

/// What clients had for this server before it was imported, the oldest first.
pub(super) fn kept(place: &Place, server: &ServerName) -> anyhow::Result<Vec<Was>> {
    let mut kept = Vec::new();
    for path in all(place)? {
        kept.extend(read(&path)?.entries.into_iter().filter(|was| was.server == *server));
    }
    Ok(kept)
}

/// Lets go of what was kept of these entries, of files in which no entry of theirs is left, and of what was added to a
/// configuration that does not have it now. An import of which nothing is left is forgotten with all it replaced.
pub(super) fn drop_kept(place: &Place, config: &str, gone: impl Fn(&Was) -> bool) -> anyhow::Result<()> {
    for path in all(place)? {
        let mut record = read(&path)?;
        let before = record.entries.len();
        record.entries.retain(|was| !gone(was));
        match record.entries.len() {
            same if same == before => continue,
            0 => {
                fs::remove_file(&path)?;
                continue;
            }
            _ => {}
        }
        let Record { config: own, files, entries, .. } = &mut record;
        files.retain(|piece| entries.iter().any(|was| was.file == piece.file));
        if own.taken_out(config).is_none() {
            own.let_go();
        }
        write(&path, &record)?;
    }
    Ok(())
}

/// Takes it back: every file is looked at before one is changed, and where one cannot be written those before it are put
/// as they were. What a run that was cut short has taken back already stays so. The policies that stay, because somebody
/// has changed them.
///
/// Errors: what was changed since, or what would not hold without the servers that came with it (`holds` says of a
/// configuration why it does not); what cannot be read or written.
pub(super) fn take_back(
    path: &Path,
    record: &Record,
    holds: impl Fn(&str) -> Result<(), String>,
) -> Result<Vec<PathBuf>, Failure> {
    let mut changed = Vec::new();
    let mut turns = Vec::new();
    for (piece, back) in record
        .files
        .iter()
        .map(|piece| (piece, Piece::undone as fn(&Piece, &str) -> Option<String>))
        .chain([(&record.config, Piece::taken_out as _)])
    {
        let file = piece.file.display();
        let now = fs::read_to_string(&piece.file).with_context(|| format!("cannot read `{file}`"))?;
        match back(piece, &now) {
            Some(text) => turns.push(Turn { file: &piece.file, now, text }),
            None if piece.is_undone(&now) => {}
            None => changed.push(format!("`{file}`")),
        }
    }
    if !changed.is_empty() {
        return Err(Failure::refused(format!(
            "{} changed since the import, so nothing is taken back. `callgate unwrap NAME` takes one server back. By hand: in each client's configuration give the entries that run \
             `callgate wrap --name` what stands under `kept` in `{}`, take their `[servers.…]` out of `{}`, then delete the first file",
            changed.join(" and "),
            path.display(),
            record.config.file.display(),
        )));
    }
    let config = turns.iter().find(|turn| *turn.file == record.config.file);
    if let Some(turn) = config
        && let Err(why) = holds(&turn.text)
        && holds(&turn.now).is_ok()
    {
        return Err(Failure::refused(format!(
            "`{}` would not hold without what the import added, so nothing is taken back: {why}. Take out what was added to those servers first",
            turn.file.display()
        )));
    }
    turn_all(&turns)?;
    forget(path, record)
}

/// A file, what stands in it, and what is to.
pub(super) struct Turn<'a> {
    pub(super) file: &'a Path,
    pub(super) now: String,
    pub(super) text: String,
}

/// All of them, or none.
pub(super) fn turn_all(turns: &[Turn<'_>]) -> anyhow::Result<()> {
    for (done, turn) in turns.iter().enumerate() {
        let Err(mut error) = rewrite::replace(turn.file, turn.text.as_bytes(), 0o600) else { continue };
        for before in turns.iter().take(done).rev() {
            if let Err(also) = rewrite::replace(before.file, before.now.as_bytes(), 0o600) {
                error = error.context(format!("`{}` is taken back already: {also:#}", before.file.display()));
            }
        }
        return Err(error);
    }
    Ok(())
}

/// The same of an import that was cut short: what it did not come to stays as it is.
pub(super) fn give_up(path: &Path, record: &Record) -> Result<Vec<PathBuf>, Failure> {
    for piece in record.files.iter().chain([&record.config]) {
        let now = fs::read_to_string(&piece.file).ok();
        if let Some(text) = now.and_then(|text| piece.undone(&text)) {
            rewrite::replace(&piece.file, text.as_bytes(), 0o600)?;
        }
    }
    forget(path, record)
}

/// A credential that an import put into the vault.
pub(super) struct InVault {
    pub(super) named: secret::Named,
    pub(super) version: u64,
}

/// Takes out again what an import that was cut short put in; the names of what stays. That is what was there before under the
/// same name, and whatever somebody has replaced since.
pub(super) async fn out_of_the_vault(place: &Place, stored: &[InVault], given: &Given) -> Vec<String> {
    let mut left = Vec::new();
    for one in stored {
        let gone = one.version == 1
            && secret::take_out(place, &one.named, one.version, given).await.unwrap_or(false);
        if !gone {
            left.push(one.named.name.to_string());
        }
    }
    left
}

/// The policies that are as a program wrote them, and the record itself. Those that are not stay.
fn forget(path: &Path, record: &Record) -> Result<Vec<PathBuf>, Failure> {
    let mut stay = Vec::new();
    for policy in &record.policies {
        match fs::read_to_string(policy) {
            Ok(text) if text == super::PLACEHOLDER || policy::is_untouched(&text) => fs::remove_file(policy)?,
            Ok(_) => stay.push(policy.clone()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(_) => stay.push(policy.clone()),
        }
    }
    fs::remove_file(path)?;
    Ok(stay)
}
