//! A secret at rest.

use crate::kek::{KEY_BYTES, cipher};
use crate::{Kek, KekId, Secret, VaultError};
use aws_lc_rs::aead::{Aad, NONCE_LEN, Nonce};
use decision::{Entropy, Environment, SecretName, TenantId, UserName};
use launch::LockedBytes;
use std::fmt;
use std::sync::Arc;

/// What is written. The first format binds no user, and the value to the key-encryption key; it still opens.
const FORMAT: u8 = 2;
const FIRST_FORMAT: u8 = 1;
const TAG_BYTES: usize = 16;
const ID_AT: usize = 1;
const KEY_NONCE_AT: usize = ID_AT + 8;
const KEY_AT: usize = KEY_NONCE_AT + NONCE_LEN;
const NONCE_AT: usize = KEY_AT + KEY_BYTES + TAG_BYTES;
const VALUE_AT: usize = NONCE_AT + NONCE_LEN;

/// Which secret. All of it is bound into the encryption.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretRef {
    pub tenant: TenantId,
    pub environment: Environment,
    pub name: SecretName,
    /// Whose it is. `None` is shared.
    pub user: Option<UserName>,
    /// 1 for the first value stored under the name.
    pub version: u32,
}

impl SecretRef {
    /// The associated data of one of the two encryptions, unambiguous by its lengths. `None` where the format
    /// cannot say whose the secret is.
    fn binding(&self, format: u8, part: Part, kek: KekId) -> Option<Vec<u8>> {
        let first = format == FIRST_FORMAT;
        if first && self.user.is_some() {
            return None;
        }
        let mut out = Vec::with_capacity(128);
        out.extend_from_slice(if first { b"callgate/secret/v1\0" } else { b"callgate/secret/v2\0" });
        out.push(part as u8);
        // the value is not bound to the key its data key is sealed under, which may be changed
        if first || matches!(part, Part::Key) {
            out.extend_from_slice(&kek.0);
        }
        let user = self.user.as_ref().map_or("", UserName::as_str);
        let user = (!first).then_some(user);
        let place = [self.tenant.as_str(), self.environment.as_str(), self.name.as_str()];
        for field in place.into_iter().chain(user) {
            out.extend_from_slice(&(field.len() as u64).to_be_bytes());
            out.extend_from_slice(field.as_bytes());
        }
        out.extend_from_slice(&self.version.to_be_bytes());
        Some(out)
    }
}

#[derive(Clone, Copy)]
enum Part {
    Key = 1,
    Value = 2,
}

/// An encrypted secret, to be stored as it is. Layout of both formats: the format (1 byte), the
/// [`KekId`] (8), a nonce (12), the data key under the key-encryption key (48), a nonce (12), the
/// value under the data key (its length and 16).
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    /// Takes what was stored. Errors: [`VaultError::Malformed`], [`VaultError::Format`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, VaultError> {
        match bytes.first() {
            Some(&(FIRST_FORMAT | FORMAT)) if bytes.len() > VALUE_AT + TAG_BYTES => Ok(Self(bytes)),
            Some(&format) if format > FORMAT => Err(VaultError::Format(format)),
            Some(_) | None => Err(VaultError::Malformed),
        }
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The key it was sealed under.
    pub fn kek(&self) -> KekId {
        KekId(self.part(ID_AT, KEY_NONCE_AT).first_chunk().copied().unwrap_or_default())
    }

    fn part(&self, from: usize, to: usize) -> &[u8] {
        self.0.get(from..to).unwrap_or_default()
    }

    /// Decrypts. Every failure looks the same, whatever was wrong.
    pub(crate) fn open(&self, kek: &Kek, at: &SecretRef) -> Result<LockedBytes, VaultError> {
        if self.kek() != kek.id() {
            return Err(VaultError::OtherKey { name: at.name.clone(), sealed: self.kek(), ours: kek.id() });
        }
        let opened = self.data_key(kek, at).and_then(|key| {
            let binding = at.binding(self.format(), Part::Value, kek.id())?;
            let value = self.0.get(VALUE_AT..).unwrap_or_default();
            decrypt(&key, self.part(NONCE_AT, VALUE_AT), &binding, value)
        });
        opened.ok_or_else(|| VaultError::Refused { name: at.name.clone() })
    }

    /// The same value, sealed under another key.
    pub(crate) fn moved(
        &self,
        from: &Kek,
        to: &Kek,
        at: &SecretRef,
        entropy: &dyn Entropy,
    ) -> Result<Self, VaultError> {
        // also that the value opens: what is damaged must not look fresh
        let value = self.open(from, at)?;
        let refused = || VaultError::Refused { name: at.name.clone() };
        if self.format() == FIRST_FORMAT {
            return Ok(seal(to, &value, at, entropy));
        }
        let key = self.data_key(from, at).ok_or_else(refused)?;
        let mut out = Vec::with_capacity(self.0.len());
        out.push(FORMAT);
        out.extend_from_slice(&to.id().0);
        let binding = at.binding(FORMAT, Part::Key, to.id()).ok_or_else(refused)?;
        encrypt(to.bytes(), &binding, &key, entropy, &mut out);
        out.extend_from_slice(self.0.get(NONCE_AT..).unwrap_or_default());
        Ok(Self(out))
    }

    fn data_key(&self, kek: &Kek, at: &SecretRef) -> Option<LockedBytes> {
        let binding = at.binding(self.format(), Part::Key, kek.id())?;
        decrypt(kek.bytes(), self.part(KEY_NONCE_AT, KEY_AT), &binding, self.part(KEY_AT, NONCE_AT))
    }

    fn format(&self) -> u8 {
        self.0.first().copied().unwrap_or_default()
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed(under {}, {} bytes)", self.kek(), self.0.len())
    }
}

/// The half of the vault that puts secrets in.
///
/// It cannot take one out:
/// ```compile_fail,E0599
/// fn peek(sealer: &callgate_vault::Sealer, permit: &decision::Permit, call: &decision::Call,
///         sealed: &callgate_vault::Sealed, at: &callgate_vault::SecretRef) {
///     sealer.lease(permit, call, sealed, at);
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Sealer(Arc<Kek>);

impl Sealer {
    pub fn new(kek: Arc<Kek>) -> Self {
        Self(kek)
    }

    /// Encrypts `secret` under a new key of its own, for this place only.
    pub fn seal(&self, secret: &Secret, at: &SecretRef, entropy: &dyn Entropy) -> Sealed {
        seal(&self.0, secret.bytes(), at, entropy)
    }
}

fn seal(kek: &Kek, value: &[u8], at: &SecretRef, entropy: &dyn Entropy) -> Sealed {
    let mut data_key = LockedBytes::zeroed(KEY_BYTES);
    entropy.fill(&mut data_key);
    let mut out = Vec::with_capacity(VALUE_AT + value.len() + TAG_BYTES);
    out.push(FORMAT);
    out.extend_from_slice(&kek.id().0);
    let binding = |part| at.binding(FORMAT, part, kek.id()).unwrap_or_default();
    encrypt(kek.bytes(), &binding(Part::Key), &data_key, entropy, &mut out);
    encrypt(&data_key, &binding(Part::Value), value, entropy, &mut out);
    Sealed(out)
}

/// Appends a nonce and the encrypted `plain`. A random nonce of 96 bits is safe here: a data key
/// encrypts once, and the key-encryption key far fewer than 2^32 times (NIST SP 800-38D, 8.3).
#[expect(
    clippy::expect_used,
    reason = "every key has 32 bytes and AES-GCM fails only beyond 64 GiB; a vault that cannot encrypt must not go on"
)]
fn encrypt(key: &[u8], binding: &[u8], plain: &[u8], entropy: &dyn Entropy, out: &mut Vec<u8>) {
    let mut nonce = [0; NONCE_LEN];
    entropy.fill(&mut nonce);
    out.extend_from_slice(&nonce);
    // enciphered where it is locked, and copied out only then
    let mut text = LockedBytes::copy_of(plain);
    let nonce = Nonce::assume_unique_for_key(nonce);
    let cipher = cipher(key).expect("AES-256 takes 32 bytes");
    let tag = cipher.seal_in_place_separate_tag(nonce, Aad::from(binding), &mut text);
    out.extend_from_slice(&text);
    out.extend_from_slice(tag.expect("AES-GCM seals up to 64 GiB").as_ref());
}

fn decrypt(key: &[u8], nonce: &[u8], binding: &[u8], text: &[u8]) -> Option<LockedBytes> {
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut text = LockedBytes::copy_of(text);
    let length = cipher(key)?.open_in_place(nonce, Aad::from(binding), &mut text).ok()?.len();
    text.truncate(length);
    Some(text)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::Mutex;

    /// A repeatable sequence; not random at all.
    #[derive(Debug)]
    pub(crate) struct Dice(Mutex<u64>);

    impl Dice {
        pub(crate) fn new(seed: u64) -> Self {
            Self(Mutex::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
        }
    }

    impl Entropy for Dice {
        fn fill(&self, out: &mut [u8]) {
            let mut state = self.0.lock().unwrap();
            for byte in out {
                *state =
                    state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                *byte = state.to_be_bytes()[0];
            }
        }
    }

    pub(crate) fn kek(seed: u8) -> Arc<Kek> {
        Arc::new(Kek::from_bytes(&[seed; 32]).unwrap())
    }

    pub(crate) fn at(tenant: &str, environment: &str, name: &str, version: u32) -> SecretRef {
        SecretRef {
            tenant: TenantId::new(tenant).unwrap(),
            environment: Environment::new(environment).unwrap(),
            name: SecretName::new(name).unwrap(),
            user: None,
            version,
        }
    }

    pub(crate) fn of(user: &str, at: SecretRef) -> SecretRef {
        SecretRef { user: Some(UserName::new(user).unwrap()), ..at }
    }

    pub(crate) fn seal(value: &[u8], at: &SecretRef) -> Sealed {
        let secret = Secret::from_input(value.to_vec()).unwrap();
        Sealer::new(kek(1)).seal(&secret, at, &Dice::new(9))
    }

    #[test]
    fn a_secret_in_another_place_is_refused() {
        let home = at("acme", "production", "stripe-key", 2);
        let sealed = seal(b"sk_live_1", &home);
        assert_eq!(sealed.open(&kek(1), &home).unwrap().to_vec(), b"sk_live_1");
        for other in [
            at("acm", "production", "stripe-key", 2),
            at("acme", "staging", "stripe-key", 2),
            at("acme", "production", "stripe-kez", 2),
            at("acme", "production", "stripe-key", 1),
            // the same characters, cut elsewhere
            at("acmep", "roduction", "stripe-key", 2),
            of("alice", home.clone()),
        ] {
            assert!(matches!(sealed.open(&kek(1), &other), Err(VaultError::Refused { .. })), "{other:?}");
        }
        let alices = of("alice", home.clone());
        let sealed = seal(b"sk_live_1", &alices);
        assert_eq!(sealed.open(&kek(1), &alices).unwrap().to_vec(), b"sk_live_1");
        for other in [home.clone(), of("bob", home)] {
            assert!(matches!(sealed.open(&kek(1), &other), Err(VaultError::Refused { .. })), "{other:?}");
        }
    }

    /// What the first format wrote, before it could bind a user.
    const OLD: &str = "016f5834c24ae55209c71a2a1768a82ba734dd7cc541a54320c7fff3d2ccd2de593b25311aa43c0308a79a\
        10ae917d261cc7d883c601c24d94e06343d4aca47f05dfb2a647443a62c84b8932802b2042a6fc758a4f34412ebc69405f278f\
        7c3d2c367cfeb62cfc9a1c6b";

    pub(crate) fn old() -> Sealed {
        let byte = |at| u8::from_str_radix(OLD.get(at..at + 2).unwrap(), 16).unwrap();
        Sealed::from_bytes((0..OLD.len()).step_by(2).map(byte).collect()).unwrap()
    }

    #[test]
    fn a_secret_of_the_first_format_still_opens_and_for_no_user() {
        let home = at("acme", "production", "stripe-key", 2);
        assert_eq!(old().open(&kek(1), &home).unwrap().to_vec(), b"sk_live_1");
        for other in [of("alice", home.clone()), at("acme", "production", "stripe-key", 1)] {
            assert!(matches!(old().open(&kek(1), &other), Err(VaultError::Refused { .. })), "{other:?}");
        }
        // relabelled as of the other format it is worth nothing
        let mut bytes = old().as_bytes().to_vec();
        bytes[0] = FORMAT;
        assert!(Sealed::from_bytes(bytes).unwrap().open(&kek(1), &home).is_err());
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let home = at("default", "local", "k", 1);
        let sealed = seal(b"value", &home);
        for bit in 0..sealed.0.len() * 8 {
            let mut bytes = sealed.as_bytes().to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let opened = Sealed::from_bytes(bytes).and_then(|sealed| sealed.open(&kek(1), &home));
            assert!(opened.is_err(), "bit {bit}");
        }
        for end in 0..sealed.0.len() {
            let cut = Sealed::from_bytes(sealed.as_bytes()[..end].to_vec());
            assert!(cut.and_then(|sealed| sealed.open(&kek(1), &home)).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn parts_of_two_sealed_values_do_not_fit_together() {
        let home = at("default", "local", "k", 1);
        let sealer = Sealer::new(kek(1));
        let dice = Dice::new(4);
        let [one, two] = [&b"first"[..], b"other"]
            .map(|value| sealer.seal(&Secret::from_input(value.to_vec()).unwrap(), &home, &dice));
        let mixed = [&one.0[..NONCE_AT], &two.0[NONCE_AT..]].concat();
        assert!(Sealed::from_bytes(mixed).unwrap().open(&kek(1), &home).is_err());
        // a key is no value, though both are sealed for the same place
        let value_as_key = [&one.0[..KEY_NONCE_AT], &one.0[NONCE_AT..]].concat();
        assert!(Sealed::from_bytes(value_as_key).is_err());
    }

    #[test]
    fn another_key_is_named_and_a_newer_format_too() {
        let home = at("default", "local", "k", 1);
        let sealed = seal(b"value", &home);
        let error = sealed.open(&kek(2), &home).unwrap_err();
        assert_eq!(error, VaultError::OtherKey { name: home.name, sealed: kek(1).id(), ours: kek(2).id() });
        let mut newer = sealed.as_bytes().to_vec();
        newer[0] = 3;
        assert_eq!(Sealed::from_bytes(newer), Err(VaultError::Format(3)));
        assert_eq!(Sealed::from_bytes(Vec::new()), Err(VaultError::Malformed));
        assert!(!format!("{sealed:?}").contains("value"));
    }

    #[test]
    fn two_seals_of_one_value_have_nothing_in_common() {
        let home = at("default", "local", "k", 1);
        let (sealer, dice) = (Sealer::new(kek(1)), Dice::new(5));
        let secret = Secret::from_input(vec![b'x'; 64]).unwrap();
        let (one, two) = (sealer.seal(&secret, &home, &dice), sealer.seal(&secret, &home, &dice));
        let same = one.0.iter().zip(&two.0).skip(KEY_NONCE_AT).filter(|(a, b)| a == b).count();
        assert!(same < 12, "{same} bytes in the same place");
        assert!(!one.0.windows(4).any(|bytes| bytes == b"xxxx"));
    }

    proptest! {
        #[test]
        fn what_was_sealed_opens_in_its_place_and_in_no_other(
            value in proptest::collection::vec(1u8.., 1..200),
            names in proptest::array::uniform2("[a-z]{1,8}"),
            versions in proptest::array::uniform2(1u32..4),
            seed: u64,
        ) {
            prop_assume!(!value.ends_with(b"\n"));
            let [home, other] = [0, 1].map(|n| at("default", "local", &names[n], versions[n]));
            let sealed = Sealer::new(kek(3)).seal(&Secret::from_input(value.clone()).unwrap(), &home, &Dice::new(seed));
            let stored = Sealed::from_bytes(sealed.as_bytes().to_vec()).unwrap();
            let opened = stored.open(&kek(3), &home).unwrap();
            prop_assert_eq!(&*opened, value.as_slice());
            prop_assert_eq!(stored.open(&kek(3), &other).is_ok(), home == other);
        }
    }
}
