//! What imports kept, brought along when a server of theirs was taken out: the others can be taken back all the same.

use super::{
    edit,
    piece::Piece,
    undo::{self, Was},
    without,
};
use crate::{command::scan::clients::Entry, place::Place};
use decision::ServerName;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// A file with the server and without it, as it stood at some time.
type Texts = (String, String);

/// Makes every import's piece of the files that `files` (before and after, the server's name being taken out) and `config` changed one
/// of what they are now. The newest import is looked at first, since each is over what the ones before it left. A piece that
/// was of another text already lets go of what it kept, which no undo could put back.
///
/// Errors: what is kept cannot be read or written.
pub(super) fn rebase(
    place: &Place,
    server: &ServerName,
    files: &BTreeMap<PathBuf, Texts>,
    config: (&str, &str),
) -> anyhow::Result<()> {
    let mut now: BTreeMap<PathBuf, Texts> = files.clone();
    now.insert(place.config.clone(), (config.0.to_owned(), config.1.to_owned()));
    let mut lost = BTreeSet::new();
    let mut all = Vec::new();
    for path in undo::all(place)? {
        let record = undo::read(&path)?;
        all.push((path, record));
    }
    while let Some((path, mut record)) = all.pop() {
        let older: Vec<&Was> =
            all.iter().flat_map(|(_, record)| &record.entries).filter(|was| was.server == *server).collect();
        let mut changed = false;
        for piece in &mut record.files {
            let without = |text: &str, file: &Path| given_back(text, file, &older);
            changed |= step(piece, (&mut now, &mut lost), Piece::undone, without);
        }
        let without = |text: &str, _: &Path| {
            // it may have come with this very import
            Some(without::without_server(text, server.as_str()).unwrap_or_else(|_| text.to_owned()))
        };
        changed |= step(&mut record.config, (&mut now, &mut lost), Piece::taken_out, without);
        if changed {
            undo::write(&path, &record)?;
        }
    }
    Ok(())
}

/// Whether the piece is another one; then `now` is of the time before its import, or its file is among what is `lost`. `back` takes
/// the import back, `without` the server out.
fn step(
    piece: &mut Piece,
    (now, lost): (&mut BTreeMap<PathBuf, Texts>, &mut BTreeSet<PathBuf>),
    back: fn(&Piece, &str) -> Option<String>,
    without: impl Fn(&str, &Path) -> Option<String>,
) -> bool {
    let found = now.remove(&piece.file);
    if found.is_none() && !lost.contains(&piece.file) {
        return false;
    }
    let brought = found.and_then(|(before, after)| {
        let was = back(piece, &before)?;
        let is = without(&was, &piece.file)?;
        Some((was, is, after))
    });
    match brought {
        Some((was, is, after)) => {
            *piece = Piece::of(&piece.file, &is, &after);
            now.insert(piece.file.clone(), (was, is));
        }
        None => {
            lost.insert(piece.file.clone());
            piece.let_go();
        }
    }
    true
}

/// The text with what older imports kept of the server in that file; `None` where it cannot be put there.
fn given_back(text: &str, file: &Path, older: &[&Was]) -> Option<String> {
    let own = older.iter().filter(|was| was.file == file);
    own.rev().try_fold(text.to_owned(), |text, was| {
        let entry = Entry { file: was.file.clone(), keys: was.keys.clone(), ..Entry::default() };
        edit::give_back(&text, &entry, &was.kept).ok()
    })
}
