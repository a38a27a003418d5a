//! A key from a passphrase.

use crate::kek::{KEY_BYTES, PASSPHRASE_CHARS_MIN, write_new};
use crate::{Kek, KekError};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use decision::Entropy;
use launch::LockedBytes;
use serde::{Deserialize, Serialize};
use std::io::{ErrorKind, Read as _};
use std::path::Path;

/// RFC 9106, section 4, the second recommended option: 64 MiB, 3 passes, 4 lanes, a salt of 128 bits.
const MEMORY_KIB: u32 = 64 << 10;
const PASSES: u32 = 3;
const LANES: u32 = 4;
const SALT_BYTES: usize = 16;
/// More than the parameters take.
const FILE_BYTES_MAX: u64 = 4 << 10;

/// How a passphrase becomes a key: argon2id (RFC 9106) with these parameters. Kept beside what is sealed under the
/// key; it is no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Kdf {
    algorithm: String,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    /// In base64.
    salt: String,
}

impl Kdf {
    /// Reads the parameters. Errors: [`KekError`], `Kdf` also where they are weaker than what this version writes or
    /// beyond all reason.
    pub fn load(path: &Path) -> Result<Self, KekError> {
        let mut text = Vec::new();
        let opened = launch::open_plain(path);
        match opened.and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut text)) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(KekError::Kdf(path.to_owned())),
            Err(source) => return Err(KekError::Io { path: path.to_owned(), source }),
        }
        let read: Option<Self> = serde_json::from_slice(&text).ok();
        read.filter(Self::is_sound).ok_or_else(|| KekError::Kdf(path.to_owned()))
    }

    /// Reads the parameters, or writes new ones with a random salt where there are none yet: only for an
    /// installation that has no secrets. Errors: [`KekError`].
    pub fn load_or_create(path: &Path, entropy: &dyn Entropy) -> Result<Self, KekError> {
        if !path.exists() {
            let mut salt = [0; SALT_BYTES];
            entropy.fill(&mut salt);
            let new = Self {
                algorithm: "argon2id".to_owned(),
                memory_kib: MEMORY_KIB,
                passes: PASSES,
                lanes: LANES,
                salt: BASE64_STANDARD.encode(salt),
            };
            let text = serde_json::to_vec(&new).unwrap_or_default();
            write_new(path, &text, entropy)
                .map_err(|source| KekError::Io { path: path.to_owned(), source })?;
        }
        Self::load(path)
    }

    fn is_sound(&self) -> bool {
        let salt =
            BASE64_STANDARD.decode(&self.salt).is_ok_and(|salt| (SALT_BYTES..=64).contains(&salt.len()));
        salt && self.algorithm == "argon2id"
            && (MEMORY_KIB..=4 << 20).contains(&self.memory_kib)
            && (PASSES..=64).contains(&self.passes)
            && (1..=64).contains(&self.lanes)
    }

    /// The key of this passphrase; one line end at its end is not part of it. Takes a while, and
    /// [`Kdf`]'s memory. Errors: [`KekError::Short`], [`KekError::Derivation`].
    pub fn derive(&self, passphrase: &[u8]) -> Result<Kek, KekError> {
        let passphrase = long_enough(passphrase)?;
        let fail = |error: &dyn std::fmt::Display| KekError::Derivation(error.to_string());
        let salt = BASE64_STANDARD.decode(&self.salt).map_err(|e| fail(&e))?;
        let params =
            Params::new(self.memory_kib, self.passes, self.lanes, Some(KEY_BYTES)).map_err(|e| fail(&e))?;
        let mut key = LockedBytes::zeroed(KEY_BYTES);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase, &salt, &mut key)
            .map_err(|e| fail(&e))?;
        Kek::from_bytes(&key).ok_or_else(|| fail(&"it has another length"))
    }
}

/// A passphrase without its line end, if a key may be made of it. Errors: [`KekError::Short`].
pub fn long_enough(passphrase: &[u8]) -> Result<&[u8], KekError> {
    let passphrase = passphrase.strip_suffix(b"\n").unwrap_or(passphrase);
    let passphrase = passphrase.strip_suffix(b"\r").unwrap_or(passphrase);
    let chars = String::from_utf8_lossy(passphrase).chars().count();
    if chars < PASSPHRASE_CHARS_MIN { Err(KekError::Short(chars)) } else { Ok(passphrase) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sealed::tests::Dice;

    #[test]
    fn a_passphrase_is_the_same_key_every_time_and_another_one_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let (here, there) = (folder.path().join("here"), folder.path().join("there"));
        assert!(matches!(Kdf::load(&here), Err(KekError::Kdf(_))));
        let kdf = Kdf::load_or_create(&here, &Dice::new(1)).unwrap();
        let key = kdf.derive(b"correct horse battery staple\n").unwrap().id();
        let again = Kdf::load_or_create(&here, &Dice::new(2)).unwrap();
        assert_eq!(again, kdf, "never replaced");
        assert_eq!(again.derive(b"correct horse battery staple").unwrap().id(), key);
        assert_ne!(again.derive(b"correct horse battery stapler").unwrap().id(), key);
        let other = Kdf::load_or_create(&there, &Dice::new(2)).unwrap();
        assert_ne!(
            other.derive(b"correct horse battery staple").unwrap().id(),
            key,
            "the salt is another one"
        );
        assert!(matches!(kdf.derive(b"hunter2"), Err(KekError::Short(7))));
    }

    #[test]
    fn parameters_that_were_weakened_or_are_beyond_reason_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kdf");
        Kdf::load_or_create(&path, &Dice::new(1)).unwrap();
        let good = std::fs::read_to_string(&path).unwrap();
        for (from, to) in [
            ("argon2id", "argon2d"),
            ("\"memory-kib\":65536", "\"memory-kib\":8"),
            ("\"memory-kib\":65536", "\"memory-kib\":4294967295"),
            ("\"passes\":3", "\"passes\":1"),
            ("\"lanes\":4", "\"lanes\":0"),
            ("\"salt\":\"", "\"salt\":\"!"),
            ("{", ""),
        ] {
            assert!(good.contains(from), "{from}");
            std::fs::write(&path, good.replacen(from, to, 1)).unwrap();
            assert!(matches!(Kdf::load_or_create(&path, &Dice::new(1)), Err(KekError::Kdf(_))), "{to}");
        }
    }
}
