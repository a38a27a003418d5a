//! The key-encryption key and where it is kept.

use aws_lc_rs::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use decision::{Digest, Entropy};
use launch::LockedBytes;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use zeroize::{Zeroize as _, Zeroizing};

pub(crate) const KEY_BYTES: usize = 32;
/// Longest form of a key: hexadecimal digits and a line end.
const TEXT_BYTES_MAX: usize = 2 * KEY_BYTES + 2;

/// Why there is no key. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum KekError {
    #[error("the key file `{}` does not exist; every secret is sealed under it, so restore it from a backup, or remove the secrets and store them again", .0.display())]
    Missing(PathBuf),
    #[error("the key file `{}` can be read or written by others (mode {mode:03o}); run chmod 600 on it, and change the secrets if others may have read it", path.display())]
    Mode { path: PathBuf, mode: u32 },
    #[error("the key file `{}` belongs to another user (number {user}), who can read and replace it; name one of your own, or run chown on it and change the secrets if they may have read it", path.display())]
    Owner { path: PathBuf, user: u32 },
    #[error("the key file `{}` is not a file of {KEY_BYTES} bytes that are not all zero; it was cut, or is something else", .0.display())]
    Length(PathBuf),
    #[error("cannot use the key file `{}`: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error(
        "what is in {0} is no key; a key is {KEY_BYTES} bytes that are not all zero, written in base64 or in hexadecimal digits, as `openssl rand -base64 {KEY_BYTES}` makes one"
    )]
    NotAKey(String),
    #[error("`{}` does not say how the passphrase becomes a key; restore it from a backup, without it every secret is lost", .0.display())]
    Kdf(PathBuf),
    #[error(
        "the passphrase has {0} characters; take at least {PASSPHRASE_CHARS_MIN}, such as six random words"
    )]
    Short(usize),
    #[error("a key cannot be derived from the passphrase: {0}")]
    Derivation(String),
}

/// Fewest characters of a passphrase. Argon2id makes each guess dear, not a short passphrase good.
pub const PASSPHRASE_CHARS_MIN: usize = 12;

/// Which key something was sealed under: the first 8 bytes of a digest of it, of no help to guess a random one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KekId(pub(crate) [u8; 8]);

impl fmt::Display for KekId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for KekId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The key under which the keys of all secrets are sealed.
///
/// Only its bytes are kept, in locked memory: a cipher is made of them for each use, because the cipher's own
/// expanded key is on a heap that is not locked.
pub struct Kek {
    bytes: LockedBytes,
    id: KekId,
}

impl Kek {
    /// Reads the key from a file that only its owner may read: 32 bytes, or such as [`Kek::parse`] takes.
    ///
    /// A symbolic link is followed: systemd and Kubernetes hand out credentials that way.
    /// Errors: [`KekError`].
    pub fn load(path: &Path) -> Result<Self, KekError> {
        let bytes = read_private(path, TEXT_BYTES_MAX)?;
        Self::parse(&bytes).ok_or_else(|| KekError::Length(path.to_owned()))
    }

    /// Reads the key, or makes a new one where there is no file yet. Only for an installation that
    /// has no secrets: to those that are sealed under a lost key a new one is no help.
    ///
    /// The file appears with its whole content and mode 0600 or not at all; of two that make it at
    /// once both get the same. Errors: [`KekError`].
    pub fn load_or_create(path: &Path, entropy: &dyn Entropy) -> Result<Self, KekError> {
        match Self::load(path) {
            Err(KekError::Missing(_)) => {
                create(path, entropy).map_err(|source| KekError::Io { path: path.to_owned(), source })?;
                Self::load(path)
            }
            loaded => loaded,
        }
    }

    /// A key from elsewhere. `None` unless it has 32 bytes, and where all of them are zero: that is what a crash or a
    /// template leaves, and everybody knows it.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != KEY_BYTES || bytes.iter().all(|byte| *byte == 0) {
            return None;
        }
        let digest = Digest::of_parts(&[b"callgate/kek-id/v1\0", bytes]);
        Some(Self { bytes: LockedBytes::copy_of(bytes), id: KekId(digest.0.first_chunk().copied()?) })
    }

    /// A key as it is kept elsewhere: its 32 bytes, or they in base64 or hexadecimal digits, with a line end or none.
    pub fn parse(kept: &[u8]) -> Option<Self> {
        if kept.len() == KEY_BYTES {
            return Self::from_bytes(kept);
        }
        let text = kept.trim_ascii_end();
        let mut bytes = LockedBytes::zeroed(KEY_BYTES + 2);
        let length = if text.len() == 2 * KEY_BYTES {
            unhex(text, &mut bytes)?
        } else {
            BASE64_STANDARD.decode_slice(text, &mut bytes).ok()?
        };
        bytes.truncate(length);
        Self::from_bytes(&bytes)
    }

    pub fn id(&self) -> KekId {
        self.id
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for Kek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kek({}, ..)", self.id)
    }
}

/// A cipher for one use.
pub(crate) fn cipher(key: &[u8]) -> Option<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, key).ok().map(LessSafeKey::new)
}

/// Reads a file that only its owner may read into locked memory: up to `max` bytes, of a longer one one more.
///
/// Errors: [`KekError`].
pub fn read_private(path: &Path, max: usize) -> Result<LockedBytes, KekError> {
    let fail = |source| KekError::Io { path: path.to_owned(), source };
    let file = match launch::open_plain(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(KekError::Missing(path.to_owned())),
        opened => opened.map_err(fail)?,
    };
    let metadata = file.metadata().map_err(fail)?;
    if metadata.uid() != launch::own_user() {
        return Err(KekError::Owner { path: path.to_owned(), user: metadata.uid() });
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(KekError::Mode { path: path.to_owned(), mode: metadata.mode() & 0o777 });
    }
    bounded(file, max).map_err(fail)
}

/// The same for a file whose protection is somebody else's work, as that of a systemd credential is.
pub fn read_locked(path: &Path, max: usize) -> io::Result<LockedBytes> {
    bounded(launch::open_plain(path)?, max)
}

fn bounded(mut file: File, max: usize) -> io::Result<LockedBytes> {
    let mut bytes = LockedBytes::zeroed(max.saturating_add(1));
    let mut length = 0;
    while let Some(room) = bytes.get_mut(length..).filter(|room| !room.is_empty()) {
        match file.read(room) {
            Ok(0) => break,
            Ok(read) => length = length.saturating_add(read),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}

fn unhex(text: &[u8], out: &mut [u8]) -> Option<usize> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    for (pair, slot) in text.chunks(2).zip(out) {
        let [high, low] = pair else { return None };
        *slot = digit(*high)? << 4 | digit(*low)?;
    }
    Some(text.len() / 2)
}

fn create(path: &Path, entropy: &dyn Entropy) -> io::Result<()> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    entropy.fill(key.as_mut_slice());
    write_new(path, key.as_slice(), entropy)
}

/// A file with this content and mode 0600, or none at all; one that is there already stays.
pub(crate) fn write_new(path: &Path, content: &[u8], entropy: &dyn Entropy) -> io::Result<()> {
    let mut unique = [0; 8];
    entropy.fill(&mut unique);
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{:016x}.new", u64::from_be_bytes(unique)));
    unique.zeroize();
    let new = PathBuf::from(name);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    // unlike a rename, a link never replaces what another process has just made
    let linked = match written.and_then(|()| std::fs::hard_link(&new, path)) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    };
    std::fs::remove_file(&new)?;
    linked?;
    sync_folder(path)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// A key file while it is being changed for another: the new one lies beside it until nothing is sealed under the
/// old one any more.
#[derive(Debug, Clone)]
pub struct KeyFile {
    path: PathBuf,
}

impl KeyFile {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    fn next(&self) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(".next");
        PathBuf::from(name)
    }

    /// The keys of the file: the one beside it first, where a change is under way. Errors: [`KekError`].
    pub fn load(&self) -> Result<Vec<Kek>, KekError> {
        // the order matters: the file beside it takes its place in one step, so whoever looks there first finds it
        // in one of the two
        let next = match Kek::load(&self.next()) {
            Ok(next) => Some(next),
            Err(KekError::Missing(_)) => None,
            Err(error) => return Err(error),
        };
        let current = Kek::load(&self.path)?;
        let again = next.as_ref().is_some_and(|next| next.id() == current.id());
        Ok(next.into_iter().filter(|_| !again).chain([current]).collect())
    }

    /// Puts a new key beside the file, or leaves the one a change that was broken off has left there.
    pub fn begin_change(&self, entropy: &dyn Entropy) -> Result<(), KekError> {
        Kek::load_or_create(&self.next(), entropy).map(drop)
    }

    /// Lets the new key take the place of the old one, which is gone then. Only when nothing is sealed under it.
    pub fn finish_change(&self) -> Result<(), KekError> {
        let moved = std::fs::rename(self.next(), &self.path).and_then(|()| sync_folder(&self.path));
        moved.map_err(|source| KekError::Io { path: self.next(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sealed::tests::Dice;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_new_key_is_private_and_the_same_next_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kek");
        assert!(matches!(Kek::load(&path), Err(KekError::Missing(_))));
        let made = Kek::load_or_create(&path, &Dice::new(1)).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(Kek::load_or_create(&path, &Dice::new(2)).unwrap().id(), made.id());
        create(&path, &Dice::new(3)).unwrap();
        assert_eq!(Kek::load(&path).unwrap().id(), made.id(), "never replaced");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing left behind");
        assert_eq!(format!("{made:?}"), format!("Kek({}, ..)", made.id()));
    }

    #[test]
    fn a_file_that_others_may_read_or_that_was_cut_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kek");
        Kek::load_or_create(&path, &Dice::new(1)).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o666] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert!(matches!(Kek::load(&path), Err(KekError::Mode { mode: m, .. }) if m == mode));
            assert!(Kek::load_or_create(&path, &Dice::new(1)).is_err());
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        for length in [0, 31, 33, 64, 65, 66, 67, 1000] {
            std::fs::write(&path, vec![7; length]).unwrap();
            assert!(matches!(Kek::load(&path), Err(KekError::Length(_))), "{length}");
        }
        std::fs::write(&path, [0; 32]).unwrap();
        assert!(matches!(Kek::load(&path), Err(KekError::Length(_))));
    }

    #[test]
    fn a_key_file_of_another_user_is_no_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kek");
        Kek::load_or_create(&path, &Dice::new(1)).unwrap();
        // to give a file away takes rights that not everybody has; then one of the system's will do
        let given = std::os::unix::fs::chown(&path, Some(65_534), None).is_ok();
        let theirs = if given { path } else { PathBuf::from("/etc/passwd") };
        assert!(matches!(Kek::load(&theirs), Err(KekError::Owner { .. })));
    }

    #[test]
    fn a_key_is_taken_raw_in_base64_or_in_hexadecimal_and_nothing_else_is_one() {
        let raw = [0xa5; 32];
        let id = Kek::from_bytes(&raw).unwrap().id();
        let (hex, base64) = ("a5".repeat(32), BASE64_STANDARD.encode(raw));
        for text in
            [hex.clone(), hex.to_uppercase(), format!("{hex}\n"), base64.clone(), format!("{base64}\r\n")]
        {
            assert_eq!(Kek::parse(text.as_bytes()).unwrap().id(), id, "{text}");
        }
        let short = BASE64_STANDARD.encode([1; 31]);
        for text in [
            "",
            "a5",
            hex.trim_start_matches('a'),
            &"g".repeat(64),
            &short,
            base64.trim_end_matches('='),
            "correct horse battery staple",
            &"0".repeat(64),
            &BASE64_STANDARD.encode([0; 32]),
        ] {
            assert!(Kek::parse(text.as_bytes()).is_none(), "{text}");
        }
        assert!(Kek::parse(&[0; 32]).is_none(), "everybody knows that one");
    }

    #[test]
    fn a_change_of_the_key_file_leaves_both_keys_at_every_step() {
        let folder = tempfile::tempdir().unwrap();
        let file = KeyFile::new(folder.path().join("kek"));
        let old = Kek::load_or_create(&file.path, &Dice::new(1)).unwrap().id();
        let ids = || file.load().unwrap().iter().map(Kek::id).collect::<Vec<_>>();
        assert_eq!(ids(), [old]);
        file.begin_change(&Dice::new(2)).unwrap();
        let both = ids();
        assert!(both.len() == 2 && both[1] == old, "{both:?}");
        // broken off and begun again
        file.begin_change(&Dice::new(3)).unwrap();
        assert_eq!(ids(), both);
        file.finish_change().unwrap();
        assert_eq!(ids(), both[..1]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "the old key is gone");
    }
}
