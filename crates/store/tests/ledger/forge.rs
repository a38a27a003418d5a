//! What an attacker with the files can do, and no more: written from the documented formats, without
//! any of the ledger's own code for them but the hashes.

use decision::Digest;
use std::{
    fs,
    path::{Path, PathBuf},
};
use store::ledger::{Damage, Place, PublicKey, Report, merkle, verify};

/// How far the attacker covers the tracks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cover {
    /// Entries only; the files stay readable.
    Entries,
    /// Also every hash and check that needs no key.
    Hashes,
}

#[derive(Clone)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    check: u32,
    pub(crate) payload: Vec<u8>,
}

pub(crate) const ENTRY: u8 = 0;
pub(crate) const DISCLOSURE: u8 = 2;
pub(crate) const CHECKPOINT: u8 = 3;
const GROUP: u8 = 4;

fn cut(digest: &Digest) -> u32 {
    u32::from_be_bytes(digest.0[..4].try_into().unwrap())
}

fn plain_check(kind: u8, length: usize, covered: &[u8]) -> u32 {
    cut(&Digest::of_parts(&[&[kind], &u32::try_from(length).unwrap().to_be_bytes(), covered]))
}

fn encode(frame: &Frame) -> Vec<u8> {
    let mut out = u32::try_from(frame.payload.len()).unwrap().to_be_bytes().to_vec();
    out.extend(frame.check.to_be_bytes());
    out.push(frame.kind);
    out.extend(&frame.payload);
    out
}

const MAC: usize = 32;
const HEADER: usize = 52 + MAC;

fn frames(mut bytes: &[u8]) -> Vec<Frame> {
    let mut out = Vec::new();
    while !bytes.is_empty() {
        let length = usize::try_from(u32::from_be_bytes(bytes[..4].try_into().unwrap())).unwrap();
        let check = u32::from_be_bytes(bytes[4..8].try_into().unwrap());
        out.push(Frame { kind: bytes[8], check, payload: bytes[9..9 + length].to_vec() });
        bytes = &bytes[9 + length..];
    }
    out
}

pub(crate) fn segment(dir: &Path) -> PathBuf {
    dir.join("segments/0000000000.seg")
}

/// Edits the groups of a live log of one segment and writes the segment anew, the frames of groups
/// always consistent with what is in them, but for the MACs: each stays where it was, and what is added has none that fits.
pub(crate) fn edit_live(dir: &Path, cover: Cover, edit: impl FnOnce(&mut Vec<Vec<Frame>>)) {
    rewrite(dir, cover, Macs::Stay, edit);
}

/// What the attacker does about the MACs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Macs {
    Stay,
    /// The segment becomes one of format 1, which has none.
    Gone,
}

/// Makes a log of one segment what a version before format 2 would have written, but for what is said beside the key.
pub(crate) fn leave_macs_out(dir: &Path) {
    rewrite(dir, Cover::Entries, Macs::Gone, |_| ());
}

/// The same with what is said beside the key: as that version would have left it.
pub(crate) fn make_old(dir: &Path) {
    leave_macs_out(dir);
    let key = fs::read_to_string(dir.join("log.key")).unwrap();
    fs::write(dir.join("log.key"), format!("{}\n", key.lines().next().unwrap())).unwrap();
}

fn rewrite(dir: &Path, cover: Cover, macs: Macs, edit: impl FnOnce(&mut Vec<Vec<Frame>>)) {
    let bytes = fs::read(segment(dir)).unwrap();
    let keyed = bytes[19] == 2;
    let header = if keyed { HEADER } else { HEADER - MAC };
    let mut groups: Vec<Vec<Frame>> = Vec::new();
    let mut kept: Vec<Vec<u8>> = Vec::new();
    for frame in frames(&bytes[header..]) {
        if frame.kind == GROUP {
            groups.push(Vec::new());
            kept.push(frame.payload[40..].to_vec());
        } else {
            groups.last_mut().unwrap().push(frame);
        }
    }
    edit(&mut groups);
    let keyed = keyed && macs == Macs::Stay;
    let (mut out, mut index) = (bytes[..header].to_vec(), 0_u64);
    if !keyed {
        out.truncate(HEADER - MAC - 4);
        out[19] = 1;
        let check = cut(&Digest::of(&out));
        out.extend(check.to_be_bytes());
    }
    for (number, group) in groups.iter_mut().enumerate() {
        let first_index = index;
        let mut body = Vec::new();
        for frame in group.iter_mut() {
            if frame.kind == ENTRY {
                if cover == Cover::Hashes {
                    let index = u32::try_from(index).unwrap();
                    frame.check = cut(&merkle::leaf(&frame.payload)).wrapping_add(index);
                }
                index += 1;
            }
            if frame.kind == DISCLOSURE && cover == Cover::Hashes {
                frame.payload[..8].copy_from_slice(&(index - 1).to_be_bytes());
                frame.check = plain_check(DISCLOSURE, frame.payload.len(), &frame.payload[..9]);
            }
            body.extend(encode(frame));
        }
        let mut payload = b"\0group\0\n".to_vec();
        payload.extend(u64::try_from(number).unwrap().to_be_bytes());
        payload.extend(u64::try_from(out.len()).unwrap().to_be_bytes());
        payload.extend(first_index.to_be_bytes());
        payload.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
        payload.extend(u32::try_from(index - first_index).unwrap().to_be_bytes());
        if keyed {
            payload.extend(kept.get(number).cloned().unwrap_or_else(|| vec![0; MAC]));
        }
        let check = plain_check(GROUP, payload.len(), &payload);
        out.extend(encode(&Frame { kind: GROUP, check, payload }));
        out.extend(body);
    }
    fs::write(segment(dir), out).unwrap();
}

/// Where entry `index` is: group and frame. Its disclosures stand behind it.
pub(crate) fn place_of(groups: &[Vec<Frame>], index: usize) -> (usize, usize) {
    let places = groups.iter().enumerate().flat_map(|(g, frames)| {
        let entries = frames.iter().enumerate().filter(|(_, frame)| frame.kind == ENTRY);
        entries.map(move |(f, _)| (g, f))
    });
    places.collect::<Vec<_>>()[index]
}

fn number(n: usize, width: usize) -> String {
    assert!(n < 1000, "tests stay small");
    if width < 256 { format!("{n:03}.p/{width}") } else { format!("{n:03}") }
}

fn put(path: PathBuf, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// The entries of an export.
pub(crate) fn exported_entries(dir: &Path) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    for n in 0.. {
        let folder = dir.join("tile/entries");
        let full = folder.join(number(n, 256));
        let partial = folder.join(format!("{n:03}.p"));
        let path = if full.exists() {
            full
        } else if partial.exists() {
            fs::read_dir(partial).unwrap().next().unwrap().unwrap().path()
        } else {
            return out;
        };
        let bytes = fs::read(path).unwrap();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let length = usize::from(u16::from_be_bytes(rest[..2].try_into().unwrap()));
            out.push(rest[2..2 + length].to_vec());
            rest = &rest[2 + length..];
        }
    }
    unreachable!()
}

fn root(hashes: &[Digest]) -> Digest {
    match hashes {
        [one] => *one,
        more => {
            let half = more.len().next_power_of_two() / 2;
            merkle::node(&root(&more[..half]), &root(&more[half..]))
        }
    }
}

/// The root over entries, the slow way.
pub(crate) fn root_of(entries: &[Vec<u8>]) -> Digest {
    root(&entries.iter().map(|entry| merkle::leaf(entry)).collect::<Vec<_>>())
}

/// Edits the entries of an export and writes the bundles anew, and with [`Cover::Hashes`] every tile.
/// Values and checkpoints stay as they are.
pub(crate) fn edit_exported(dir: &Path, cover: Cover, edit: impl FnOnce(&mut Vec<Vec<u8>>)) {
    let mut entries = exported_entries(dir);
    edit(&mut entries);
    fs::remove_dir_all(dir.join("tile/entries")).unwrap();
    for (n, bundle) in entries.chunks(256).enumerate() {
        let mut bytes = Vec::new();
        for entry in bundle {
            bytes.extend(u16::try_from(entry.len()).unwrap().to_be_bytes());
            bytes.extend(entry);
        }
        put(dir.join("tile/entries").join(number(n, bundle.len())), &bytes);
    }
    if cover == Cover::Entries {
        return;
    }
    let mut hashes: Vec<Digest> = entries.iter().map(|entry| merkle::leaf(entry)).collect();
    for level in 0.. {
        let folder = dir.join(format!("tile/{level}"));
        if folder.exists() {
            fs::remove_dir_all(&folder).unwrap();
        }
        if hashes.is_empty() {
            return;
        }
        for (n, tile) in hashes.chunks(256).enumerate() {
            let bytes: Vec<u8> = tile.iter().flat_map(|hash| hash.0).collect();
            put(folder.join(number(n, tile.len())), &bytes);
        }
        hashes = hashes.as_chunks::<256>().0.iter().map(|tile| root(tile)).collect();
    }
}

/// Makes the checkpoint over `size` entries the newest of an export and forgets those after it.
pub(crate) fn roll_back_checkpoints(dir: &Path, size: u64) {
    for entry in fs::read_dir(dir.join("checkpoints")).unwrap() {
        let path = entry.unwrap().path();
        let this: u64 = path.file_name().unwrap().to_str().unwrap().parse().unwrap();
        if this > size {
            fs::remove_file(path).unwrap();
        }
    }
    fs::copy(dir.join(format!("checkpoints/{size:020}")), dir.join("checkpoint")).unwrap();
}

/// As an auditor does it, who has not got the signing key.
pub(crate) fn checked(dir: &Path, key: &PublicKey, kept: Option<&str>) -> Report {
    let (own, away) = (dir.join("log.key"), dir.join("log.key.away"));
    let is_there = fs::rename(&own, &away).is_ok();
    let report = verify(dir, Some(key), kept).unwrap();
    if is_there {
        fs::rename(away, own).unwrap();
    }
    assert!(!report.cannot_exclude.is_empty(), "there is always something it cannot exclude");
    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    report
}

/// The first finding is exactly this one.
#[track_caller]
pub(crate) fn expect(report: &Report, damage: Damage, place: Place) {
    let first = report.first().map(|first| (first.damage, first.place));
    assert_eq!(first, Some((damage, place)), "{}", report.text());
}

#[track_caller]
pub(crate) fn expect_holds(report: &Report, proven: u64) {
    assert!(report.holds(), "{}", report.text());
    assert_eq!(report.proven, proven, "{}", report.text());
}

pub(crate) fn entries(from: u64, to: u64) -> Place {
    Place::Entries { from, to }
}

pub(crate) fn entry(index: u64) -> Place {
    Place::Entry { index }
}
