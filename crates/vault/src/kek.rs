//! The key-encryption key and its file.

use aws_lc_rs::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use decision::{Digest, Entropy};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

pub(crate) const KEY_BYTES: usize = 32;

/// Why there is no key. Each names the file and what to do.
#[derive(Debug, thiserror::Error)]
pub enum KekError {
    #[error("the key file `{}` does not exist; every secret is sealed under it, so restore it from a backup, or remove the secrets and store them again", .0.display())]
    Missing(PathBuf),
    #[error("the key file `{}` can be read or written by others (mode {mode:03o}); run chmod 600 on it, and change the secrets if others may have read it", path.display())]
    Mode { path: PathBuf, mode: u32 },
    #[error("the key file `{}` is not a file of {KEY_BYTES} bytes; it was cut, or is something else", .0.display())]
    Length(PathBuf),
    #[error("cannot use the key file `{}`: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// Which key something was sealed under: the first 8 bytes of a digest of it, of no help to guess it.
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
pub struct Kek {
    pub(crate) key: LessSafeKey,
    id: KekId,
}

impl Kek {
    /// Reads the key from a file of 32 bytes that only its owner may read.
    ///
    /// A symbolic link is followed: systemd and Kubernetes hand out credentials that way.
    /// Errors: [`KekError`].
    pub fn load(path: &Path) -> Result<Self, KekError> {
        let fail = |source| KekError::Io { path: path.to_owned(), source };
        let file = match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(KekError::Missing(path.to_owned()));
            }
            opened => opened.map_err(fail)?,
        };
        let metadata = file.metadata().map_err(fail)?;
        if metadata.mode() & 0o077 != 0 {
            return Err(KekError::Mode { path: path.to_owned(), mode: metadata.mode() & 0o777 });
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(KEY_BYTES + 1));
        if metadata.is_file() {
            file.take(KEY_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(fail)?;
        }
        Self::from_bytes(&bytes).ok_or_else(|| KekError::Length(path.to_owned()))
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

    /// A key from elsewhere. `None` unless it has 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != KEY_BYTES {
            return None;
        }
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, bytes).ok()?);
        let digest = Digest::of_parts(&[b"callgate/kek-id/v1\0", bytes]);
        Some(Self { key, id: KekId(digest.0.first_chunk().copied()?) })
    }

    pub fn id(&self) -> KekId {
        self.id
    }
}

impl fmt::Debug for Kek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kek({}, ..)", self.id)
    }
}

fn create(path: &Path, entropy: &dyn Entropy) -> io::Result<()> {
    let mut unique = [0; 8];
    entropy.fill(&mut unique);
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{:016x}.new", u64::from_be_bytes(unique)));
    let new = PathBuf::from(name);
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    entropy.fill(key.as_mut_slice());
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    let written = file.write_all(key.as_slice()).and_then(|()| file.sync_all());
    // unlike a rename, a link never replaces a key that another process has just made
    let linked = match written.and_then(|()| std::fs::hard_link(&new, path)) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    };
    std::fs::remove_file(&new)?;
    linked?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
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
        for length in [0, 31, 33] {
            std::fs::write(&path, vec![7; length]).unwrap();
            assert!(matches!(Kek::load(&path), Err(KekError::Length(_))), "{length}");
        }
    }
}
