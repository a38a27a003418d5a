//! What an auditor is handed: notes, keys, proofs, exported folders and a gateway's own. Whatever is in them, reading
//! ends with a report; what nobody touched holds; and where a report holds against a checkpoint kept elsewhere, the
//! entries are those that were signed.
//!
//! Input: what to make (one byte), then pieces: a kind, a length and so many bytes.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, engine::general_purpose::STANDARD};
use decision::Digest;
use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;
use store::ledger::merkle::{empty_root, leaf, node};
use store::ledger::{
    Checkpoint, ConsistencyProof, Damage, Disclose, EntryProof, InclusionProof, PublicKey, Report, export,
    verify, verify_consistency, verify_inclusion,
};

const ORIGIN: &str = "callgate/fuzz/ledger";
/// Entries in one piece of a log: one bundle is enough to be wrong in.
const ENTRIES_MAX: usize = 200;

struct Key {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

static KEY: LazyLock<Key> = LazyLock::new(|| {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let typed = [&[1], pair.public_key().as_ref()].concat();
    let id = Digest::of_parts(&[ORIGIN.as_bytes(), b"\n", &typed]).0;
    let id = u32::from_be_bytes([id[0], id[1], id[2], id[3]]);
    let public = format!("{ORIGIN}+{id:08x}+{}", STANDARD.encode(typed)).parse().unwrap();
    Key { pair, public }
});

thread_local! {
    static FOLDER: RefCell<tempfile::TempDir> = RefCell::new(tempfile::tempdir().unwrap());
}

pub(crate) fn run(data: &[u8]) {
    let Some((what, rest)) = data.split_first() else { return };
    match what & 3 {
        0 => texts(rest),
        1 => FOLDER.with_borrow(|folder| exported(&folder.path().join("exported"), rest)),
        _ => FOLDER.with_borrow(|folder| live(folder.path(), rest)),
    }
}

/// Notes, keys and proofs as somebody sends them.
fn texts(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(checkpoint) = Checkpoint::parse(text) {
        assert_eq!(checkpoint.note(), text);
        let root = STANDARD.encode(checkpoint.root.0);
        assert!(text.starts_with(&format!("{}\n{}\n{root}\n", checkpoint.origin, checkpoint.size)));
        let holds = checkpoint.verify(&KEY.public).is_ok();
        assert!(!holds || checkpoint.origin == ORIGIN);
        // a line in front of it is another origin, and not what was signed
        let other = Checkpoint::parse(&format!("x{text}"));
        assert!(other.is_err() || other.is_ok_and(|other| other.verify(&KEY.public).is_err()));
    }
    if let Ok(key) = text.parse::<PublicKey>() {
        assert_eq!(key.to_string().parse::<PublicKey>().as_ref(), Ok(&key));
    }
    if let Ok(proof) = serde_json::from_str::<EntryProof>(text) {
        assert!(proof.check(&KEY.public).is_err() || proof.inclusion.index < proof.inclusion.size);
    }
    if let Ok(proof) = serde_json::from_str::<InclusionProof>(text) {
        assert!(!verify_inclusion(&proof, &leaf(b"x"), &Digest::of(b"y")));
    }
    if let Ok(proof) = serde_json::from_str::<ConsistencyProof>(text) {
        assert!(!verify_consistency(&proof, &Digest::of(b"x"), &Digest::of(b"y")) || proof.old == 0);
    }
}

/// The signed note over these entries.
fn sign(size: u64, root: &Digest) -> String {
    signed(&format!("{ORIGIN}\n{size}\n{}\n", STANDARD.encode(root.0)))
}

fn signed(text: &str) -> String {
    let signature = [&KEY.public.id().to_be_bytes(), KEY.pair.sign(text.as_bytes()).as_ref()].concat();
    format!("{text}\n\u{2014} {ORIGIN} {}\n", STANDARD.encode(signature))
}

/// RFC 6962, section 2.1, word for word.
fn root(entries: &[Vec<u8>]) -> Digest {
    match entries {
        [] => empty_root(),
        [one] => leaf(one),
        more => {
            let (left, right) = more.split_at(more.len().next_power_of_two() / 2);
            node(&root(left), &root(right))
        }
    }
}

/// The pieces of an input: kind and bytes.
fn pieces(mut rest: &[u8]) -> Vec<(u8, &[u8])> {
    let mut pieces = Vec::new();
    while let [kind, length, behind @ ..] = rest {
        let (piece, after) = behind.split_at(usize::from(*length).min(behind.len()));
        pieces.push((*kind, piece));
        rest = after;
    }
    pieces
}

fn put(dir: &Path, name: &str, bytes: &[u8]) {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn fresh(dir: &Path) {
    drop(fs::remove_dir_all(dir));
    fs::create_dir_all(dir).unwrap();
    put(dir, "log.pub", format!("{}\n", KEY.public).as_bytes());
}

/// An export with whatever in its files: entries, then what overrides the honest hashes, notes and values beside them.
fn exported(dir: &Path, data: &[u8]) {
    fresh(dir);
    let pieces = pieces(data);
    let entries: Vec<Vec<u8>> = pieces
        .iter()
        .filter(|(kind, _)| kind & 7 == 0)
        .map(|(_, bytes)| bytes.to_vec())
        .take(ENTRIES_MAX)
        .collect();
    let honest = entries.len() as u64;
    let tile: Vec<u8> = entries.iter().flat_map(|entry| leaf(entry).0).collect();
    let mut bundle = Vec::new();
    for entry in &entries {
        bundle.extend_from_slice(&u16::try_from(entry.len()).unwrap().to_be_bytes());
        bundle.extend_from_slice(entry);
    }
    let kept = sign(honest, &root(&entries));
    if honest > 0 {
        put(dir, &format!("tile/entries/000.p/{honest}"), &bundle);
        put(dir, &format!("tile/0/000.p/{honest}"), &tile);
    }
    put(dir, "checkpoint", kept.as_bytes());
    let mut touched = false;
    for (kind, bytes) in &pieces {
        let width = bytes.first().copied().unwrap_or(1).max(1);
        match kind & 7 {
            0 => continue,
            1 => put(dir, &format!("tile/entries/000.p/{width}"), bytes),
            2 => put(dir, &format!("tile/0/000.p/{width}"), bytes),
            3 => put(dir, "disclosures/000", bytes),
            4 => put(
                dir,
                &format!("checkpoints/{width:020}"),
                signed(&String::from_utf8_lossy(bytes)).as_bytes(),
            ),
            5 => put(dir, "checkpoint", bytes),
            6 => put(dir, "tile/entries/000", bytes),
            _ => put(dir, "tile/0/000", bytes),
        }
        touched = true;
    }
    let report = verify(dir, Some(&KEY.public), Some(&kept)).unwrap();
    told(&report);
    if !touched {
        assert!(intact(&report), "{}", report.text());
        assert_eq!((report.entries, report.proven), (honest, honest));
    }
    if report.holds() {
        assert_eq!(report.kept, Some(honest));
        assert_eq!(&bundled(dir)[..entries.len()], entries);
    }
}

/// The entries of an export's first bundle.
fn bundled(dir: &Path) -> Vec<Vec<u8>> {
    let widest = (1..256).rev().map(|width| dir.join(format!("tile/entries/000.p/{width}")));
    let file = std::iter::once(dir.join("tile/entries/000")).chain(widest).find(|path| path.is_file());
    let bytes = file.map(|path| fs::read(path).unwrap()).unwrap_or_default();
    let (mut rest, mut entries) = (bytes.as_slice(), Vec::new());
    while let [high, low, behind @ ..] = rest {
        let (entry, after) =
            behind.split_at(usize::from(u16::from_be_bytes([*high, *low])).min(behind.len()));
        entries.push(entry.to_vec());
        rest = after;
    }
    entries
}

/// A gateway's folder: one segment made of honest groups, or of frames that only look like it.
fn live(folder: &Path, data: &[u8]) {
    let (dir, out) = (folder.join("live"), folder.join("out"));
    fresh(&dir);
    let mut segment = Segment::new();
    for (kind, bytes) in pieces(data) {
        segment.take(kind, bytes);
    }
    segment.close();
    put(&dir, "segments/0000000000.seg", &segment.bytes);
    let kept = segment.kept.clone().unwrap_or_else(|| sign(0, &empty_root()));
    let size = Checkpoint::parse(&kept).unwrap().size;
    let report = verify(&dir, Some(&KEY.public), Some(&kept)).unwrap();
    told(&report);
    if segment.honest {
        assert!(intact(&report), "{}", report.text());
        assert_eq!((report.entries, report.proven), (segment.entries.len() as u64, size));
    }
    drop(fs::remove_dir_all(&out));
    let made = export(&dir, &out, Disclose::Kept);
    if report.holds() && size > 0 {
        let made = made.unwrap();
        assert!(made.checkpoint.size >= size);
        let signed = usize::try_from(size).unwrap();
        assert_eq!(
            bundled(&out)[..signed],
            segment.entries[..signed],
            "it holds, and is not what was signed"
        );
        let again = verify(&out, Some(&KEY.public), Some(&kept)).unwrap();
        assert!(intact(&again), "{}", again.text());
    }
}

/// A segment as `frame` lays it out, written down from its documentation.
struct Segment {
    bytes: Vec<u8>,
    /// The frames of the group that is open.
    body: Vec<u8>,
    in_group: u32,
    groups: u64,
    entries: Vec<Vec<u8>>,
    kept: Option<String>,
    honest: bool,
}

fn cut(parts: &[&[u8]]) -> [u8; 4] {
    Digest::of_parts(parts).0[..4].try_into().unwrap()
}

fn frame(out: &mut Vec<u8>, kind: u8, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    out.extend_from_slice(&length);
    out.extend_from_slice(&cut(&[&[kind], &length, payload]));
    out.push(kind);
    out.extend_from_slice(payload);
}

impl Segment {
    fn new() -> Self {
        let mut bytes = b"callgate ledger\n".to_vec();
        bytes.extend_from_slice(&1u32.to_be_bytes());
        bytes.extend_from_slice(&[0; 24]);
        bytes.extend_from_slice(&KEY.public.id().to_be_bytes());
        let check = cut(&[&bytes]);
        bytes.extend_from_slice(&check);
        let (body, entries) = (Vec::new(), Vec::new());
        Self { bytes, body, in_group: 0, groups: 0, entries, kept: None, honest: true }
    }

    fn take(&mut self, kind: u8, piece: &[u8]) {
        self.honest &= matches!(kind & 15, 0..=4);
        match kind & 15 {
            0..=2 if !piece.is_empty() && self.entries.len() < ENTRIES_MAX => self.entry(piece),
            0..=2 => {}
            3 => {
                let note = sign(self.entries.len() as u64, &root(&self.entries));
                frame(&mut self.body, 3, note.as_bytes());
                self.kept = Some(note);
            }
            4 => self.close(),
            5 => frame(&mut self.body, 3, signed(&String::from_utf8_lossy(piece)).as_bytes()),
            6 => frame(&mut self.body, piece.first().map_or(1, |byte| byte % 6), piece),
            7 => self.body.extend_from_slice(piece),
            8 => self.bytes.extend_from_slice(piece),
            9 => self.bytes.truncate(self.bytes.len().saturating_sub(piece.len())),
            10 => self.in_group = self.in_group.wrapping_add(number(piece)),
            11 => self.groups = u64::from(number(piece)).wrapping_sub(2),
            12 => frame(&mut self.bytes, 4, &[b"\0group\0\n", piece].concat()),
            13 => self.disclosure(piece),
            // another header: number, first index, first group
            14 if piece.len() >= 24 && self.bytes.len() >= 52 => {
                self.bytes.splice(20..44, piece[..24].iter().copied());
                let check = cut(&[&self.bytes[..48]]);
                self.bytes.splice(48..52, check);
            }
            _ => {
                let at = usize::try_from(number(piece)).unwrap() % self.bytes.len().max(1);
                self.bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << (piece.len() % 8));
            }
        }
    }

    fn entry(&mut self, entry: &[u8]) {
        let index = u32::try_from(self.entries.len()).unwrap();
        let check = u32::from_be_bytes(leaf(entry).0[..4].try_into().unwrap()).wrapping_add(index);
        self.body.extend_from_slice(&u32::try_from(entry.len()).unwrap().to_be_bytes());
        self.body.extend_from_slice(&check.to_be_bytes());
        self.body.push(0);
        self.body.extend_from_slice(entry);
        self.entries.push(entry.to_vec());
        // a piece may have made it the largest number there is
        self.in_group = self.in_group.wrapping_add(1);
    }

    fn disclosure(&mut self, value: &[u8]) {
        let index = (self.entries.len() as u64).wrapping_sub(1).to_be_bytes();
        let length = u32::try_from(14 + 32 + value.len()).unwrap().to_be_bytes();
        let covered = [&index[..], &[value.first().map_or(0, |byte| byte & 3)]].concat();
        self.body.extend_from_slice(&length);
        self.body.extend_from_slice(&cut(&[&[2], &length, &covered]));
        self.body.push(2);
        self.body.extend_from_slice(&covered);
        self.body.push(u8::from(value.len() == 1));
        let opening = [&[9; 32], value].concat();
        self.body.extend_from_slice(&cut(&[&opening]));
        self.body.extend_from_slice(&opening);
    }

    /// Ends the group: its frame, then its body.
    fn close(&mut self) {
        if self.body.is_empty() && self.in_group == 0 {
            return;
        }
        let first = (self.entries.len() as u64).wrapping_sub(u64::from(self.in_group));
        let mut payload = b"\0group\0\n".to_vec();
        for number in [self.groups, self.bytes.len() as u64, first] {
            payload.extend_from_slice(&number.to_be_bytes());
        }
        payload.extend_from_slice(&u32::try_from(self.body.len()).unwrap().to_be_bytes());
        payload.extend_from_slice(&self.in_group.to_be_bytes());
        frame(&mut self.bytes, 4, &payload);
        self.bytes.append(&mut self.body);
        (self.in_group, self.groups) = (0, self.groups.wrapping_add(1));
    }
}

fn number(piece: &[u8]) -> u32 {
    piece.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// Whether the log itself is as it was written, whatever its entries say of calls.
fn intact(report: &Report) -> bool {
    let about_calls =
        |damage: &Damage| matches!(damage, Damage::SecondIntent | Damage::SecondDecision | Damage::NoIntent);
    report.more_findings > 0 || report.findings.iter().all(|finding| about_calls(&finding.damage))
}

/// A report can be printed, says what it cannot exclude, and proves no more than is there.
fn told(report: &Report) {
    assert!(!report.headline().is_empty() && report.text().starts_with(&report.headline()));
    assert!(!report.cannot_exclude.is_empty());
    assert!(!report.holds() || report.proven <= report.entries);
}
