//! Reads a folder in the layout of C2SP tlog-tiles.

use super::{
    Evidence,
    judge::roots,
    record::broken_value,
    report::{Damage, Finding, Place},
    strays::LookedAt,
};
use crate::ledger::{
    error::{LedgerError, io_error},
    export::Line,
    frame::VALUE_BYTES_MAX,
    merkle::{self, TILE_WIDTH},
    note::{Checkpoint, NOTE_BYTES_MAX, PublicKey},
    seen::Seen,
    tiles::{self, Tiler},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use decision::{Digest, Disclosure};
use std::{
    collections::BTreeMap,
    fs,
    io::{self, BufRead, Read},
    path::{Path, PathBuf},
};

/// Most bytes of each kind of file: what the formats can come to.
const BUNDLE_BYTES_MAX: u64 = TILE_WIDTH * (2 + u16::MAX as u64);
const TILE_BYTES_MAX: u64 = TILE_WIDTH * 32;
/// A value in base64, with its salt and names.
const LINE_BYTES_MAX: u64 = VALUE_BYTES_MAX as u64 / 3 * 4 + 1024;

/// Opens a file for reading at most `max` bytes; `None` when there is none. The folder may come from
/// anyone: what is no plain file is not opened.
fn open_file(path: &Path, max: u64) -> Result<Option<io::Take<fs::File>>, LedgerError> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() => {
            let file = fs::File::open(path).map_err(io_error("open", path))?;
            Ok(Some(file.take(max)))
        }
        Ok(_) => Ok(None),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(io_error("read", path)(e)),
    }
}

fn read_file(path: &Path, max: u64) -> Result<Option<Vec<u8>>, LedgerError> {
    let Some(mut file) = open_file(path, max)? else { return Ok(None) };
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(io_error("read", path))?;
    Ok(Some(bytes))
}

/// The full file for number `n`, else the widest partial one.
fn read_widest(
    dir: &Path,
    max: u64,
    name: impl Fn(u64) -> PathBuf,
) -> Result<Option<(u64, Vec<u8>)>, LedgerError> {
    if let Some(bytes) = read_file(&dir.join(name(TILE_WIDTH)), max)? {
        return Ok(Some((TILE_WIDTH, bytes)));
    }
    let partial = dir.join(name(1));
    let Some(folder) = partial.parent() else { return Ok(None) };
    let listing = match fs::read_dir(folder) {
        Ok(listing) => listing,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(io_error("list", folder)(e)),
    };
    let mut widest = None;
    for entry in listing {
        let name = entry.map_err(io_error("list", folder))?.file_name();
        let width = name.to_str().and_then(|n| n.parse::<u64>().ok()).filter(|w| (1..TILE_WIDTH).contains(w));
        widest = widest.max(width);
    }
    let Some(width) = widest else { return Ok(None) };
    Ok(read_file(&dir.join(name(width)), max)?.map(|bytes| (width, bytes)))
}

/// `key` tells which checkpoints count when entries and the hashes beside them contradict each other.
pub(super) fn read(dir: &Path, key: &PublicKey) -> Result<Evidence, LedgerError> {
    let mut evidence = Evidence::default();
    checkpoints(dir, &mut evidence)?;
    let signed = evidence.checkpoints.iter().filter(|checkpoint| checkpoint.verify(key).is_ok());
    let signed: BTreeMap<u64, Digest> = signed.map(|checkpoint| (checkpoint.size, checkpoint.root)).collect();
    let most = signed.last_key_value().map_or(0, |(size, _)| *size);
    let (mut found, mut claimed): (Vec<Option<Digest>>, Vec<Option<Digest>>) = (Vec::new(), Vec::new());
    let mut looked_at = LookedAt::default();
    for n in 0.. {
        let Some((width, bundle)) = read_widest(dir, BUNDLE_BYTES_MAX, |width| tiles::bundle_path(n, width))?
        else {
            break;
        };
        looked_at.add(tiles::bundle_path(n, width));
        looked_at.add(tiles::disclosures_path(n));
        let (mut entries, whole) = tiles::entries(&bundle);
        let start = n * TILE_WIDTH;
        let too_many = entries.len() as u64 > TILE_WIDTH;
        entries.truncate(usize::try_from(TILE_WIDTH).unwrap_or(usize::MAX));
        let seen = bundle_entries(&mut evidence, start, &entries);
        disclosures(dir, n, &seen, &mut evidence)?;
        let hashes: Vec<Digest> = entries.iter().map(|entry| merkle::leaf(entry)).collect();
        let tile = read_widest(dir, TILE_BYTES_MAX, |width| tiles::tile_path(0, n, width))?;
        looked_at.0.extend(tile.as_ref().map(|(width, _)| tiles::tile_path(0, n, *width)));
        let tile = tile.and_then(|(_, bytes)| tiles::hashes(&bytes)).unwrap_or_default();
        if too_many || (!whole && entries.len() == tile.len()) {
            let place = Place::Entry { index: start + entries.len() as u64 };
            let what = format!("bytes in bundle {n} belong to none of its entries");
            evidence.local.push(Finding::new(Damage::Inserted, place, what));
        }
        let width = (entries.len().max(tile.len())) as u64;
        let last = width < TILE_WIDTH;
        pad(&mut found, start, &hashes, if last { entries.len() as u64 } else { TILE_WIDTH });
        pad(&mut claimed, start, &tile, if last { tile.len() as u64 } else { TILE_WIDTH });
        if last {
            break;
        }
    }
    gap(dir, &mut evidence, found.len() as u64, most)?;
    compare(&mut evidence, &found, &claimed, &signed);
    if evidence.local.is_empty() && evidence.leaves.len() as u64 >= most {
        higher_tiles(dir, &mut evidence, most)?;
    }
    // behind a hole nothing was read, and that is said already
    if evidence.unread_from.is_none() {
        looked_at.higher_tiles(most);
        looked_at.strays(dir, &mut evidence)?;
    }
    Ok(evidence)
}

fn pad(out: &mut Vec<Option<Digest>>, start: u64, hashes: &[Digest], width: u64) {
    out.extend(hashes.iter().map(|hash| Some(*hash)));
    let end = usize::try_from(start + width).unwrap_or(usize::MAX);
    while out.len() < end {
        out.push(None);
    }
}

fn checkpoints(dir: &Path, evidence: &mut Evidence) -> Result<(), LedgerError> {
    let mut paths = vec![dir.join("checkpoint")];
    let folder = dir.join("checkpoints");
    if folder.is_dir() {
        for entry in fs::read_dir(&folder).map_err(io_error("list", &folder))? {
            paths.push(entry.map_err(io_error("list", &folder))?.path());
        }
    }
    paths.sort();
    for path in paths {
        let Some(bytes) = read_file(&path, NOTE_BYTES_MAX as u64 + 1)? else {
            evidence.local.push(Finding::new(
                Damage::Truncated,
                Place::Log,
                "the newest checkpoint is missing",
            ));
            continue;
        };
        let note = std::str::from_utf8(&bytes).ok();
        match note.map(Checkpoint::parse) {
            Some(Ok(checkpoint)) => evidence.checkpoints.push(checkpoint),
            Some(Err(_)) | None => {
                let name = path.file_name().unwrap_or_default().to_string_lossy().escape_debug().to_string();
                let size = name.parse().unwrap_or_default();
                let what = format!("the file `{name}` is not a checkpoint");
                evidence.local.push(Finding::new(Damage::BadSignature, Place::Checkpoint { size }, what));
            }
        }
    }
    Ok(())
}

fn bundle_entries(evidence: &mut Evidence, start: u64, entries: &[&[u8]]) -> BTreeMap<u64, Option<Seen>> {
    evidence.entries = start + entries.len() as u64;
    (start..).zip(entries).map(|(index, entry)| (index, evidence.calls.entry(index, entry))).collect()
}

fn disclosures(
    dir: &Path,
    n: u64,
    seen: &BTreeMap<u64, Option<Seen>>,
    evidence: &mut Evidence,
) -> Result<(), LedgerError> {
    let path = dir.join(tiles::disclosures_path(n));
    let Some(file) = open_file(&path, u64::MAX)? else { return Ok(()) };
    let mut reader = io::BufReader::new(file);
    loop {
        let mut line = Vec::new();
        let bytes = reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
        if bytes.map_err(io_error("read", &path))? == 0 {
            return Ok(());
        }
        let Ok(line) = serde_json::from_slice::<Line>(&line) else {
            let what = "a value beside this entry or the next 255 cannot be read";
            evidence.local.push(broken_value(n * TILE_WIDTH, None, what));
            // Where the next begins is not known.
            return Ok(());
        };
        let salt = STANDARD.decode(&line.salt).ok().and_then(|salt| <[u8; 32]>::try_from(salt).ok());
        let finding = match (salt, STANDARD.decode(&line.value), seen.get(&line.index)) {
            (Some(salt), Ok(value), Some(seen)) => {
                let opening = Disclosure { slot: line.slot, salt, value: value.into() };
                evidence.calls.value(line.index, seen.as_ref(), &opening)
            }
            (None, _, _) | (_, Err(_), _) => {
                Some(broken_value(line.index, Some(line.slot), "the value cannot be read"))
            }
            (Some(_), Ok(_), None) => {
                Some(broken_value(line.index, Some(line.slot), "the value belongs to no entry of its bundle"))
            }
        };
        evidence.local.extend(finding);
    }
}

/// Whether a bundle is missing with others behind it.
fn gap(dir: &Path, evidence: &mut Evidence, end: u64, most: u64) -> Result<(), LedgerError> {
    let n = end / TILE_WIDTH;
    if !end.is_multiple_of(TILE_WIDTH) || end >= most {
        return Ok(());
    }
    for later in n + 1..=(most / TILE_WIDTH).min(n + 1024) {
        if read_widest(dir, BUNDLE_BYTES_MAX, |width| tiles::bundle_path(later, width))?.is_some() {
            let place = Place::Entries { from: end, to: later * TILE_WIDTH };
            evidence.local.push(Finding::new(Damage::Removed, place, "bundles of entries are missing"));
            evidence.unread_from = Some(end);
            return Ok(());
        }
    }
    Ok(())
}

/// Holds entries against the hash tiles beside them, and decides which of the two to believe.
fn compare(
    evidence: &mut Evidence,
    found: &[Option<Digest>],
    claimed: &[Option<Digest>],
    signed: &BTreeMap<u64, Digest>,
) {
    let prefix = |hashes: &[Option<Digest>]| hashes.iter().map_while(|hash| *hash).collect::<Vec<_>>();
    let entries = prefix(found);
    let fits = |leaves: &[Digest]| !signed.is_empty() && roots(leaves, signed.keys().copied()) == *signed;
    if found != claimed && fits(&entries) {
        // The entries are what was signed: only the hashes beside them are not.
        let at =
            found.iter().zip(claimed).position(|(a, b)| a != b).unwrap_or(claimed.len().min(found.len()));
        let what = format!("the hash tile {} is not that of its entries", at as u64 / TILE_WIDTH);
        evidence.local.push(Finding::new(Damage::Hashes, Place::Log, what));
        evidence.leaves = entries;
        return;
    }
    let mut at = 0;
    while let Some(finding) = first_difference(found, claimed, &mut at) {
        let resumes = matches!(finding.damage, Damage::Flipped | Damage::Reordered);
        evidence.local.push(finding);
        if !resumes || evidence.local.len() > super::report::FINDINGS_MAX {
            break;
        }
    }
    evidence.leaves = prefix(claimed);
    if evidence.leaves.len() < entries.len() {
        evidence.leaves = entries;
    }
}

/// The next place from `at` on where entries and hashes differ, and what kind of damage it shows.
fn first_difference(found: &[Option<Digest>], claimed: &[Option<Digest>], at: &mut usize) -> Option<Finding> {
    while *at < found.len().min(claimed.len()) && found.get(*at) == claimed.get(*at) {
        *at += 1;
    }
    let index = *at as u64;
    let place = Place::Entry { index };
    let entry = |i: usize| found.get(i).copied().flatten();
    let hash = |i: usize| claimed.get(i).copied().flatten();
    let i = *at;
    *at += 1;
    match (entry(i), hash(i)) {
        (None, None) => None,
        (None, Some(_)) => {
            let (from, to) = (index, claimed.len() as u64);
            let behind = found.get(i..).is_some_and(|rest| rest.iter().any(Option::is_some));
            let damage = if behind { Damage::Removed } else { Damage::Truncated };
            let place = if behind { place } else { Place::Entries { from, to } };
            Some(Finding::new(damage, place, "there is a hash for it and no entry"))
        }
        (Some(_), None) => Some(Finding::new(Damage::Hashes, place, "there is no hash for it")),
        (Some(this), Some(expected)) => {
            let elsewhere = || found.iter().flatten().any(|other| *other == expected);
            if hash(i + 1) == Some(this) && entry(i + 1) != Some(expected) && !elsewhere() {
                return Some(Finding::new(
                    Damage::Removed,
                    place,
                    "the entry is missing: the next stands in its place",
                ));
            }
            if entry(i + 1) == Some(expected) && hash(i + 1) != Some(this) {
                return Some(Finding::new(
                    Damage::Inserted,
                    place,
                    "an entry stands here that was not recorded",
                ));
            }
            if elsewhere() {
                let what = "another entry stands in its place, and it in another's";
                return Some(Finding::new(Damage::Reordered, place, what));
            }
            Some(Finding::new(Damage::Flipped, place, "the entry is not as it was recorded"))
        }
    }
}

/// Checks the tiles above the leaves against those leaves.
fn higher_tiles(dir: &Path, evidence: &mut Evidence, most: u64) -> Result<(), LedgerError> {
    let (mut tiler, mut expected) = (Tiler::default(), Vec::new());
    for leaf in evidence.leaves.iter().take(usize::try_from(most).unwrap_or(usize::MAX)) {
        tiler.push(*leaf, &mut |tile| expected.push(tile));
    }
    expected.extend(tiler.rest());
    for tile in expected.iter().filter(|tile| tile.level > 0) {
        if read_file(&dir.join(tile.path()), TILE_BYTES_MAX)? != Some(tile.bytes()) {
            let what = format!("the hash tile `{}` is wrong or missing", tile.path().display());
            evidence.local.push(Finding::new(Damage::Hashes, Place::Log, what));
            return Ok(());
        }
    }
    Ok(())
}
