//! The log as plain files in the layout of C2SP tlog-tiles, for anyone to check.

use super::{
    error::{LedgerError, io_error},
    frame::State,
    merkle::TILE_WIDTH,
    note::{Checkpoint, PublicKey},
    open::PUBLIC_FILE,
    segment::{self, Next, What},
    tiles::{self, Tile, Tiler},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use decision::Slot;
use serde::{Deserialize, Serialize};
use std::{
    fs,
    io::Write as _,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

/// What an export holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    pub dir: PathBuf,
    /// The checkpoint the export ends at.
    pub checkpoint: Checkpoint,
    pub checkpoints: u64,
    pub disclosures: u64,
}

/// A line of a file in `disclosures/`.
#[derive(Serialize, Deserialize)]
pub(super) struct Line {
    pub(super) index: u64,
    pub(super) slot: Slot,
    /// Base64 of 32 bytes.
    pub(super) salt: String,
    /// Base64.
    pub(super) value: String,
}

/// Whether an export holds the values that are kept beside entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disclose {
    /// With them, so that who gets the export can read them and see that they are the recorded ones.
    Kept,
    /// Without: entries and every proof stay whole, and say nothing about the values.
    Nothing,
}

/// Writes the log in `dir` to the folder `out`, which must be empty or not exist yet, up to its newest
/// checkpoint. Needs no lock and no signing key. Blocks on the disk.
///
/// Errors: [`LedgerError::Damaged`] when the log is not as it was written: what cannot be proven is
/// not exported; [`LedgerError::NoCheckpoint`]; [`LedgerError::NotEmpty`]; I/O.
pub fn export(dir: &Path, out: &Path, disclose: Disclose) -> Result<Exported, LedgerError> {
    let path = dir.join(PUBLIC_FILE);
    let text = fs::read_to_string(&path).map_err(io_error("read", &path))?;
    let key: PublicKey = text.parse()?;
    let newest = newest(dir)?.ok_or(LedgerError::NoCheckpoint)?;
    newest.verify(&key)?;
    room_for_export(out)?;
    let mut export = Export { size: newest.size, disclose, ..Export::new(out, &key) };
    export.put(Path::new("log.pub"), format!("{key}\n").as_bytes())?;
    each_group(dir, &key, &mut |items| {
        for item in items {
            export.item(item)?;
        }
        Ok(export.index < export.size || export.held < export.size)
    })?;
    let (checkpoints, disclosures) = export.finish(&newest)?;
    Ok(Exported { dir: out.to_owned(), checkpoint: newest, checkpoints, disclosures })
}

/// Makes the folder that an export is to be written to, as `export` does.
///
/// Errors: [`LedgerError::NotEmpty`]; I/O.
pub fn room_for_export(out: &Path) -> Result<(), LedgerError> {
    if out.try_exists().map_err(io_error("look for", out))?
        && fs::read_dir(out).map_err(io_error("list", out))?.next().is_some()
    {
        return Err(LedgerError::NotEmpty { dir: out.to_owned() });
    }
    private(out)
}

/// Makes the folder, and takes it from everybody else where it is there already: an export holds what people asked for.
fn private(out: &Path) -> Result<(), LedgerError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(out).map_err(io_error("create", out))?;
    fs::set_permissions(out, fs::Permissions::from_mode(0o700)).map_err(io_error("close to others", out))
}

/// The newest checkpoint in the segments, not yet verified.
fn newest(dir: &Path) -> Result<Option<Checkpoint>, LedgerError> {
    for number in segment::list(dir)?.into_iter().rev() {
        let path = segment::path(dir, number);
        let bytes = segment::read(&path)?;
        let Some(header) = super::frame::SegmentHeader::read(&bytes) else { continue };
        let (mut next, mut at, mut newest) = (Next::behind(&header), header.bytes(), None);
        while let Ok(Some(group)) = segment::read_group(&bytes, at, next) {
            for item in &group.items {
                if let What::Checkpoint { note, intact: true } = item.what {
                    newest = std::str::from_utf8(note)
                        .ok()
                        .and_then(|note| Checkpoint::parse(note).ok())
                        .or(newest);
                }
            }
            (at, next) = (group.end, group.next);
        }
        if newest.is_some() {
            return Ok(newest);
        }
    }
    Ok(None)
}

/// Hands over every whole group in order, as long as `each` wants more. Stops at an unfinished end.
fn each_group(
    dir: &Path,
    key: &PublicKey,
    each: &mut dyn FnMut(&[segment::Item<'_>]) -> Result<bool, LedgerError>,
) -> Result<(), LedgerError> {
    let mut next = Next::default();
    for (expected, number) in (0..).zip(segment::list(dir)?) {
        let damaged = |offset: usize, entry, what: &str| LedgerError::Damaged {
            segment: expected,
            offset: offset as u64,
            entry,
            what: what.to_owned(),
        };
        let path = segment::path(dir, number);
        let bytes = segment::read(&path)?;
        let Some(header) = segment::header(&bytes, expected, next, key.id()) else {
            return Err(damaged(0, next.index, "the segment is missing or its header was changed"));
        };
        next = Next::behind(&header);
        let mut at = header.bytes();
        loop {
            match segment::read_group(&bytes, at, next) {
                Ok(Some(group)) => {
                    if let Some((offset, entry, what)) = group.first_fault() {
                        return Err(damaged(offset, entry, what));
                    }
                    if !each(&group.items)? {
                        return Ok(());
                    }
                    (at, next) = (group.end, group.next);
                }
                Ok(None) => break,
                Err(stop) if stop.may_be_torn => break,
                Err(stop) => return Err(damaged(stop.at, stop.index, stop.why.text())),
            }
        }
    }
    Ok(())
}

struct Export<'a> {
    out: &'a Path,
    key: &'a PublicKey,
    disclose: Disclose,
    /// Entries to export.
    size: u64,
    /// Entries seen.
    index: u64,
    /// Size of the newest checkpoint that was compared with the entries.
    held: u64,
    tree: super::merkle::Tree,
    tiler: Tiler,
    bundle: Vec<u8>,
    lines: Vec<u8>,
    checkpoints: u64,
    disclosures: u64,
}

impl<'a> Export<'a> {
    fn new(out: &'a Path, key: &'a PublicKey) -> Self {
        Self {
            out,
            key,
            disclose: Disclose::Nothing,
            size: 0,
            index: 0,
            held: 0,
            tree: super::merkle::Tree::default(),
            tiler: Tiler::default(),
            bundle: Vec::new(),
            lines: Vec::new(),
            checkpoints: 0,
            disclosures: 0,
        }
    }

    fn put(&self, name: &Path, bytes: &[u8]) -> Result<(), LedgerError> {
        let path = self.out.join(name);
        if let Some(folder) = path.parent() {
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.map_err(io_error("create", folder))?;
        }
        // nothing was here: what is, somebody put there since
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        file.and_then(|mut file| file.write_all(bytes)).map_err(io_error("write", &path))
    }

    fn item(&mut self, item: &segment::Item<'_>) -> Result<(), LedgerError> {
        match item.what {
            What::Entry { bytes, leaf, .. } if self.index < self.size => {
                // Disclosures follow their entry, so a full bundle is written when the next begins.
                if self.index > 0 && self.index.is_multiple_of(TILE_WIDTH) {
                    self.flush(TILE_WIDTH)?;
                }
                tiles::put_entry(&mut self.bundle, bytes);
                self.tree.push(leaf);
                let mut full = Vec::new();
                self.tiler.push(leaf, &mut |tile| full.push(tile));
                for tile in full {
                    self.tile(&tile)?;
                }
                self.index += 1;
            }
            What::Entry { .. } => self.index = self.index.saturating_add(1),
            What::Disclosure { index, opening: Some(opening), .. }
                if index < self.size && opening.state == State::Kept && self.disclose == Disclose::Kept =>
            {
                let salt = STANDARD.encode(opening.salt);
                let line = Line { index, slot: opening.slot, salt, value: STANDARD.encode(opening.value) };
                serde_json::to_writer(&mut self.lines, &line)
                    .map_err(|e| io_error("write", self.out)(std::io::Error::other(e)))?;
                self.lines.push(b'\n');
                self.disclosures += 1;
            }
            What::Disclosure { .. } => {}
            What::Checkpoint { note, .. } => self.checkpoint(note)?,
        }
        Ok(())
    }

    fn checkpoint(&mut self, note: &[u8]) -> Result<(), LedgerError> {
        let checkpoint = Checkpoint::parse(&String::from_utf8_lossy(note))?;
        checkpoint.verify(self.key)?;
        if checkpoint.size > self.size {
            return Ok(());
        }
        if checkpoint.size != self.tree.size() || checkpoint.root != self.tree.root() {
            let what = "a signed checkpoint covers other entries than these".to_owned();
            return Err(LedgerError::Damaged { segment: 0, offset: 0, entry: self.tree.size(), what });
        }
        self.held = checkpoint.size;
        self.checkpoints += 1;
        self.put(&tiles::checkpoint_path(checkpoint.size), note)
    }

    fn tile(&self, tile: &Tile) -> Result<(), LedgerError> {
        self.put(&tile.path(), &tile.bytes())
    }

    /// Writes the entries and disclosures gathered: those of one bundle.
    fn flush(&mut self, width: u64) -> Result<(), LedgerError> {
        let n = (self.tree.size() - 1) / TILE_WIDTH;
        self.put(&tiles::bundle_path(n, width), &self.bundle)?;
        if !self.lines.is_empty() {
            self.put(&tiles::disclosures_path(n), &self.lines)?;
        }
        self.bundle.clear();
        self.lines.clear();
        Ok(())
    }

    fn finish(mut self, newest: &Checkpoint) -> Result<(u64, u64), LedgerError> {
        if self.held != newest.size {
            let what = "the entries under the newest checkpoint are not all there".to_owned();
            return Err(LedgerError::Damaged { segment: 0, offset: 0, entry: self.tree.size(), what });
        }
        if self.size > 0 {
            let width = (self.size - 1) % TILE_WIDTH + 1;
            self.flush(width)?;
        }
        for tile in std::mem::take(&mut self.tiler).rest() {
            self.tile(&tile)?;
        }
        // Last, so that an export that was interrupted does not look like one.
        self.put(Path::new("checkpoint"), newest.note().as_bytes())?;
        Ok((self.checkpoints, self.disclosures))
    }
}
