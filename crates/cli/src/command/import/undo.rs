//! What an import changed, kept so that it can be taken back exactly: whole, or not at all.

use crate::{failure::Failure, place::Place, rewrite};
use anyhow::Context as _;
use decision::Digest;
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
}

/// A file, and the one piece of it that changed.
#[derive(Serialize, Deserialize)]
pub(super) struct Piece {
    pub(super) file: PathBuf,
    /// Of the whole file when it had been changed.
    after: Digest,
    at: usize,
    removed: String,
    added: String,
}

impl Piece {
    /// What lies between the same beginning and the same end.
    pub(super) fn of(file: &Path, before: &str, after: &str) -> Self {
        let same = |pair: &(char, char)| pair.0 == pair.1;
        let width =
            |pairs: &mut dyn Iterator<Item = (char, char)>| pairs.map(|(c, _)| c.len_utf8()).sum::<usize>();
        let at = width(&mut before.chars().zip(after.chars()).take_while(same));
        let (old, new) = (before.get(at..).unwrap_or_default(), after.get(at..).unwrap_or_default());
        let end = width(&mut old.chars().rev().zip(new.chars().rev()).take_while(same));
        let middle = |text: &str| text.get(..text.len() - end).unwrap_or_default().to_owned();
        Self {
            file: file.to_owned(),
            after: Digest::of(after.as_bytes()),
            at,
            removed: middle(old),
            added: middle(new),
        }
    }

    /// The file as it was. `None` if somebody has changed it since.
    fn undone(&self) -> anyhow::Result<Option<String>> {
        let text = fs::read_to_string(&self.file)
            .with_context(|| format!("cannot read `{}`", self.file.display()))?;
        if Digest::of(text.as_bytes()) != self.after {
            return Ok(None);
        }
        Ok(self.without(&text, self.at))
    }

    fn without(&self, text: &str, at: usize) -> Option<String> {
        let rest = text.get(at..)?.strip_prefix(self.added.as_str())?;
        Some(format!("{}{}{rest}", text.get(..at)?, self.removed))
    }

    /// The same for a file that others add to: what was added is taken out, if it is there once.
    fn taken_out(&self) -> anyhow::Result<Option<String>> {
        if self.added.is_empty() {
            return Ok(Some(fs::read_to_string(&self.file)?));
        }
        if let Some(text) = self.undone()? {
            return Ok(Some(text));
        }
        let text = fs::read_to_string(&self.file)?;
        let mut places = text.match_indices(&self.added);
        Ok(match (places.next(), places.next()) {
            (Some((at, _)), None) => self.without(&text, at),
            _ => None,
        })
    }
}

fn folder(place: &Place) -> anyhow::Result<PathBuf> {
    Ok(place.state()?.join("imports"))
}

/// The imports there are, the oldest first.
fn all(place: &Place) -> anyhow::Result<Vec<PathBuf>> {
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
    rewrite::replace(&path, serde_json::to_string_pretty(record)?.as_bytes(), 0o600)?;
    Ok(path)
}

/// The last import, and where it is kept.
pub(super) fn last(place: &Place) -> anyhow::Result<Option<(PathBuf, Record)>> {
    let Some(path) = all(place)?.pop() else { return Ok(None) };
    let fail = || format!("`{}` cannot be read", path.display());
    let record = serde_json::from_slice(&fs::read(&path).with_context(fail)?).with_context(fail)?;
    Ok(Some((path, record)))
}

/// Takes it back. Every file is looked at before one is changed.
///
/// Errors: [`Failure::Usage`], naming what was changed since.
pub(super) fn take_back(path: &Path, record: &Record) -> Result<(), Failure> {
    let mut changed = Vec::new();
    let mut texts = Vec::new();
    for (piece, text) in record
        .files
        .iter()
        .map(|piece| (piece, piece.undone()))
        .chain([(&record.config, record.config.taken_out())])
    {
        match text? {
            Some(text) => texts.push((piece, text)),
            None => changed.push(format!("`{}`", piece.file.display())),
        }
    }
    if !changed.is_empty() {
        return Err(Failure::Usage(format!(
            "{} changed since the import, so nothing is taken back. By hand: in each client's configuration give the entries that run \
             `callgate wrap --name` what stands under `removed` in `{}`, take their `[servers.…]` out of `{}`, then delete the first file",
            changed.join(" and "),
            path.display(),
            record.config.file.display(),
        )));
    }
    for (piece, text) in texts {
        rewrite::replace(&piece.file, text.as_bytes(), 0o600)?;
    }
    forget(path, record)
}

/// The same of an import that was cut short: what it did not come to stays as it is.
pub(super) fn give_up(path: &Path, record: &Record) -> Result<(), Failure> {
    let done = |piece: &&Piece| {
        fs::read_to_string(&piece.file).is_ok_and(|text| Digest::of(text.as_bytes()) == piece.after)
    };
    for piece in record.files.iter().chain([&record.config]).filter(done) {
        if let Some(text) = piece.undone()? {
            rewrite::replace(&piece.file, text.as_bytes(), 0o600)?;
        }
    }
    forget(path, record)
}

/// The policies that nobody has filled yet, and the record itself.
fn forget(path: &Path, record: &Record) -> Result<(), Failure> {
    for policy in &record.policies {
        if fs::read_to_string(policy).is_ok_and(|text| text == super::PLACEHOLDER) {
            fs::remove_file(policy)?;
        }
    }
    Ok(fs::remove_file(path)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_put_back_is_the_file_again() {
        for (before, after) in [
            ("{\"a\": \"ü\", \"b\": 1}", "{\"a\": \"ö\", \"b\": 1}"),
            ("", "x"),
            ("aaa", "aa"),
            ("aa", "aaa"),
            ("same", "same"),
            ("x\n", "x\ny\n"),
        ] {
            let piece = Piece::of(Path::new("x"), before, after);
            assert_eq!(piece.without(after, piece.at).unwrap(), before, "{before} {after}");
        }
    }
}
