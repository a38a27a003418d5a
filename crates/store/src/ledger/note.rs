//! Keys and checkpoints in the formats of C2SP signed-note and tlog-checkpoint.
//!
//! Only Ed25519 signatures (type `0x01`) are made and checked. Lines of unknown keys, such as
//! witnesses, are ignored, as the specification asks.

use super::{keyed::MacKey, merkle::empty_root};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::{Engine, engine::general_purpose::STANDARD};
use decision::{Digest, Entropy};
use std::{fmt, str::FromStr, sync::OnceLock};
use zeroize::{Zeroize, Zeroizing};

/// A note longer than this is not read.
pub(super) const NOTE_BYTES_MAX: usize = 16 * 1024;
const ED25519_TYPE: u8 = 1;
const SIGNER_PREFIX: &str = "PRIVATE+KEY+";
/// Behind the key, in a line of its own: the first segment from which on all have MACs.
const KEYED_FROM: &str = "keyed-from ";

/// A key or a checkpoint could not be read or did not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    #[error("not a verifier key: expected `name+hash+base64` of an Ed25519 key")]
    Key,
    #[error("not a signer key: expected `PRIVATE+KEY+name+hash+base64` of an Ed25519 seed")]
    Signer,
    #[error("not a checkpoint note: {0}")]
    Form(&'static str),
    #[error("the checkpoint is of another log: `{0}`")]
    Origin(String),
    #[error("the checkpoint carries no signature of key `{0}`")]
    Unsigned(String),
    #[error("the checkpoint's signature by key `{0}` is wrong")]
    BadSignature(String),
}

fn name_is_fit(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 200
        && !name.contains(|c: char| c.is_whitespace() || c == '+' || c.is_control())
}

fn key_id(name: &str, public: &[u8; 32]) -> u32 {
    let digest = Digest::of_parts(&[name.as_bytes(), b"\n", &[ED25519_TYPE], public]);
    let [a, b, c, d, ..] = digest.0;
    u32::from_be_bytes([a, b, c, d])
}

/// The log's public key: `name+hash+base64`, the name being the log's origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    name: String,
    id: u32,
    key: [u8; 32],
}

impl PublicKey {
    /// The origin of the log that signs with this key.
    pub fn origin(&self) -> &str {
        &self.name
    }

    /// The key id, `SHA-256(name, newline, 0x01, key)` cut to 32 bits.
    pub fn id(&self) -> u32 {
        self.id
    }

    fn new(name: &str, key: [u8; 32]) -> Self {
        Self { name: name.to_owned(), id: key_id(name, &key), key }
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut typed = vec![ED25519_TYPE];
        typed.extend_from_slice(&self.key);
        write!(f, "{}+{:08x}+{}", self.name, self.id, STANDARD.encode(typed))
    }
}

/// Splits `name+hash+base64` and returns the 32 bytes behind the type byte.
fn typed_key(text: &str) -> Option<(&str, u32, Zeroizing<[u8; 32]>)> {
    let (name, rest) = text.split_once('+')?;
    let (id, key) = rest.split_once('+')?;
    if !name_is_fit(name) || id.len() != 8 || !id.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let id = u32::from_str_radix(id, 16).ok()?;
    let bytes = Zeroizing::new(STANDARD.decode(key).ok()?);
    let (kind, key) = bytes.split_first()?;
    let key = <[u8; 32]>::try_from(key).ok()?;
    (*kind == ED25519_TYPE).then(|| (name, id, Zeroizing::new(key)))
}

impl FromStr for PublicKey {
    type Err = NoteError;
    fn from_str(text: &str) -> Result<Self, NoteError> {
        let (name, id, key) = typed_key(text.trim_end_matches('\n')).ok_or(NoteError::Key)?;
        let public = Self::new(name, *key);
        if public.id == id { Ok(public) } else { Err(NoteError::Key) }
    }
}

/// The log's signing key. Prints only its public half.
pub(super) struct Signer {
    pair: Ed25519KeyPair,
    macs: MacKey,
    public: PublicKey,
    /// The first segment from which on all have MACs. It stands beside the key, since it has to be out of reach of whoever
    /// has not got it: without it, to leave the MACs out would be enough.
    keyed_from: OnceLock<u64>,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.public)
    }
}

impl Signer {
    fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, NoteError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| NoteError::Signer)?;
        let key = <[u8; 32]>::try_from(pair.public_key().as_ref()).map_err(|_| NoteError::Signer)?;
        let macs = MacKey::of_seed(seed).map_err(|_| NoteError::Signer)?;
        Ok(Self { pair, macs, public: PublicKey::new(name, key), keyed_from: OnceLock::new() })
    }

    /// A new log with a random origin and a random key, and the key's text for its file.
    pub(super) fn create(entropy: &dyn Entropy) -> Result<(Self, Zeroizing<String>), NoteError> {
        let mut id = [0; 10];
        entropy.fill(&mut id);
        let hex: String = id.iter().map(|b| format!("{b:02x}")).collect();
        let mut seed = Zeroizing::new([0; 32]);
        entropy.fill(seed.as_mut_slice());
        let signer = Self::from_seed(&format!("callgate/{hex}/ledger"), &seed)?;
        let mut typed = Zeroizing::new(vec![ED25519_TYPE]);
        typed.extend_from_slice(seed.as_slice());
        let mut encoded = STANDARD.encode(&*typed);
        let text = Zeroizing::new(format!(
            "{SIGNER_PREFIX}{}+{:08x}+{encoded}\n",
            signer.public.name, signer.public.id
        ));
        encoded.zeroize();
        let text = Self::marked(&text, 0);
        signer.set_keyed_from(0);
        Ok((signer, text))
    }

    /// Reads the text of its file: the key, and where MACs begin if they have.
    pub(super) fn parse(text: &str) -> Result<Self, NoteError> {
        let (text, mark) = text.split_once('\n').unwrap_or((text, ""));
        let text = text.strip_prefix(SIGNER_PREFIX).ok_or(NoteError::Signer)?;
        let (name, id, seed) = typed_key(text).ok_or(NoteError::Signer)?;
        let signer = Self::from_seed(name, &seed)?;
        let mark = mark.trim_end_matches('\n');
        if !mark.is_empty() {
            let from = mark.strip_prefix(KEYED_FROM).and_then(|from| from.parse().ok());
            signer.set_keyed_from(from.ok_or(NoteError::Signer)?);
        }
        if signer.public.id == id { Ok(signer) } else { Err(NoteError::Signer) }
    }

    /// The text of its file, which has no mark, with one.
    pub(super) fn marked(text: &str, from: u64) -> Zeroizing<String> {
        Zeroizing::new(format!("{}\n{KEYED_FROM}{from}\n", text.trim_end_matches('\n')))
    }

    /// The mark is in its file.
    pub(super) fn set_keyed_from(&self, segment: u64) {
        self.keyed_from.get_or_init(|| segment);
    }

    /// The first segment from which on all have MACs.
    pub(super) fn keyed_from(&self) -> Option<u64> {
        self.keyed_from.get().copied()
    }

    pub(super) fn macs(&self) -> &MacKey {
        &self.macs
    }

    pub(super) fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The signed note over a tree of `size` entries.
    pub(super) fn sign(&self, size: u64, root: &Digest) -> String {
        let text = body(&self.public.name, size, root);
        let mut signature = self.public.id.to_be_bytes().to_vec();
        signature.extend_from_slice(self.pair.sign(text.as_bytes()).as_ref());
        format!("{text}\n\u{2014} {} {}\n", self.public.name, STANDARD.encode(signature))
    }
}

fn body(origin: &str, size: u64, root: &Digest) -> String {
    format!("{origin}\n{size}\n{}\n", STANDARD.encode(root.0))
}

/// What a checkpoint says, with its whole text. Parsing proves nothing; [`Checkpoint::verify`] does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    pub origin: String,
    pub size: u64,
    pub root: Digest,
    note: String,
    /// Length of the signed part of `note`.
    signed: usize,
}

impl Checkpoint {
    /// Reads a note. Errors: [`NoteError::Form`].
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        if note.len() > NOTE_BYTES_MAX {
            return Err(NoteError::Form("it is too long"));
        }
        if note.contains(|c: char| c.is_control() && c != '\n') || !note.ends_with('\n') {
            return Err(NoteError::Form("it has control characters or does not end in a newline"));
        }
        let at = note.rfind("\n\n").ok_or(NoteError::Form("it has no signature"))?;
        let signed = at + 1;
        let text = note.get(..signed).ok_or(NoteError::Form("it has no text"))?;
        let mut lines = text.lines();
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(NoteError::Form("origin, size and root are not all there"));
        };
        if origin.is_empty() || lines.any(str::is_empty) {
            return Err(NoteError::Form("it has an empty line"));
        }
        let canonical = !size.is_empty()
            && size.bytes().all(|b| b.is_ascii_digit())
            && (size == "0" || !size.starts_with('0'));
        let size: u64 =
            size.parse().ok().filter(|_| canonical).ok_or(NoteError::Form("its size is not a number"))?;
        let root = STANDARD.decode(root).ok().and_then(|b| <[u8; 32]>::try_from(b).ok());
        let root = Digest(root.ok_or(NoteError::Form("its root is not 32 bytes of base64"))?);
        if size == 0 && root != empty_root() {
            return Err(NoteError::Form("its root is not that of an empty log"));
        }
        Ok(Self { origin: origin.to_owned(), size, root, note: note.to_owned(), signed })
    }

    /// The whole note, as it is to be kept elsewhere.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// Checks origin and signature. Errors: [`NoteError::Origin`], [`NoteError::Unsigned`],
    /// [`NoteError::BadSignature`].
    pub fn verify(&self, key: &PublicKey) -> Result<(), NoteError> {
        if self.origin != key.name {
            return Err(NoteError::Origin(self.origin.clone()));
        }
        let text = self.note.get(..self.signed).unwrap_or_default();
        let lines = self.note.get(self.signed + 1..).unwrap_or_default();
        for line in lines.lines() {
            let Some((name, signature)) = line.strip_prefix("\u{2014} ").and_then(|l| l.split_once(' '))
            else {
                return Err(NoteError::Form("a signature line is malformed"));
            };
            let Ok(signature) = STANDARD.decode(signature) else {
                return Err(NoteError::Form("a signature is not base64"));
            };
            let Some((id, signature)) = signature.split_first_chunk::<4>() else {
                return Err(NoteError::Form("a signature is too short"));
            };
            if name == key.name && u32::from_be_bytes(*id) == key.id {
                return UnparsedPublicKey::new(&ED25519, key.key)
                    .verify(text.as_bytes(), signature)
                    .map_err(|_| NoteError::BadSignature(key.name.clone()));
            }
        }
        Err(NoteError::Unsigned(key.name.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The example of Go's golang.org/x/mod/sumdb/note, which C2SP signed-note was written down from.
    const SIGNER: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
    const VERIFIER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const SIGNATURE: &str =
        "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=";
    const TEXT: &str = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";

    #[test]
    fn keys_and_signatures_are_those_of_the_go_implementation() {
        let signer = Signer::parse(SIGNER).unwrap();
        assert_eq!(signer.public().to_string(), VERIFIER);
        assert_eq!(VERIFIER.parse::<PublicKey>().unwrap(), *signer.public());
        let mut expected = signer.public().id().to_be_bytes().to_vec();
        expected.extend_from_slice(signer.pair.sign(TEXT.as_bytes()).as_ref());
        assert_eq!(STANDARD.encode(expected), SIGNATURE);
    }

    #[test]
    fn a_checkpoint_reads_back_and_verifies_with_its_key_only() {
        let signer = Signer::parse(SIGNER).unwrap();
        let note = signer.sign(20_852_163, &Digest::of(b"root"));
        let checkpoint = Checkpoint::parse(&note).unwrap();
        assert_eq!((checkpoint.size, checkpoint.root), (20_852_163, Digest::of(b"root")));
        checkpoint.verify(signer.public()).unwrap();
        let witnessed = format!("{note}\u{2014} witness.example AAAAAAAA\n");
        Checkpoint::parse(&witnessed).unwrap().verify(signer.public()).unwrap();

        let other = Signer::from_seed("PeterNeumann", &[7; 32]).unwrap();
        let wrong = checkpoint.verify(other.public());
        assert_eq!(wrong, Err(NoteError::Unsigned("PeterNeumann".to_owned())));
        let forged = note.replace("20852163", "20852164");
        let wrong = Checkpoint::parse(&forged).unwrap().verify(signer.public());
        assert_eq!(wrong, Err(NoteError::BadSignature("PeterNeumann".to_owned())));
    }

    #[test]
    fn what_is_not_exactly_a_checkpoint_is_not_read() {
        let good = Signer::parse(SIGNER).unwrap().sign(5, &Digest::of(b""));
        for (from, to) in
            [("\n5\n", "\n05\n"), ("\n5\n", "\n+5\n"), ("\n5\n", "\n\n"), ("5", "\t5"), ("=\n\n", "\n\n")]
        {
            assert!(good.contains(from), "{from:?}");
            assert!(Checkpoint::parse(&good.replacen(from, to, 1)).is_err(), "{from:?} as {to:?}");
        }
        assert!(Checkpoint::parse(&good.replace("\n5\n", "\n0\n")).is_ok(), "the empty root");
        assert!(Checkpoint::parse(good.trim_end()).is_err());
    }

    #[test]
    fn a_signer_never_prints_its_seed() {
        let signer = Signer::parse(SIGNER).unwrap();
        assert_eq!(format!("{signer:?}"), format!("Signer({VERIFIER})"));
    }
}
