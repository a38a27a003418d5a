//! The keys at hand.

use crate::secret;
use crate::{Kek, KekId, Sealed, SecretRef, VaultError};
use decision::Entropy;
use std::sync::Arc;

/// The key that seals, and older ones that still open until nothing is sealed under them any more.
#[derive(Debug, Clone)]
pub struct Keys {
    current: Arc<Kek>,
    older: Vec<Arc<Kek>>,
}

impl Keys {
    pub fn new(current: Arc<Kek>, older: Vec<Arc<Kek>>) -> Self {
        Self { current, older }
    }

    /// The one that seals.
    pub fn current(&self) -> &Arc<Kek> {
        &self.current
    }

    /// Those that only open.
    pub fn older(&self) -> &[Arc<Kek>] {
        &self.older
    }

    /// Whether one of them is the one it is sealed under.
    pub fn knows(&self, sealed: &Sealed) -> bool {
        self.find(sealed.kek()).is_some()
    }

    /// Whether what is stored can stand in a header or a query. It is opened for that and wiped, and no more comes out.
    ///
    /// Errors: [`VaultError`] where it does not open.
    pub fn fits_header(&self, sealed: &Sealed, at: &SecretRef) -> Result<bool, VaultError> {
        self.fits(sealed, at, |value| secret::header(value).is_some())
    }

    /// Whether what is stored is as `judge` has it, who keeps nothing of it.
    ///
    /// Errors: [`VaultError`] where it does not open.
    pub fn fits(
        &self,
        sealed: &Sealed,
        at: &SecretRef,
        judge: impl FnOnce(&[u8]) -> bool,
    ) -> Result<bool, VaultError> {
        let kek = self.find(sealed.kek()).unwrap_or(&self.current);
        Ok(judge(&sealed.open(kek, at)?))
    }

    pub(crate) fn find(&self, id: KekId) -> Option<&Kek> {
        std::iter::once(&self.current).chain(&self.older).find(|kek| kek.id() == id).map(|kek| &**kek)
    }

    /// Seals the same value in the same place under the current key. `None` where it is already. The value itself
    /// stays sealed under its data key; only what the first format sealed is sealed anew as a whole.
    ///
    /// Errors: [`VaultError`], and then what is stored must stay as it is.
    pub fn reseal(
        &self,
        sealed: &Sealed,
        at: &SecretRef,
        entropy: &dyn Entropy,
    ) -> Result<Option<Sealed>, VaultError> {
        if sealed.kek() == self.current.id() {
            return Ok(None);
        }
        let Some(old) = self.find(sealed.kek()) else {
            let (sealed, ours) = (sealed.kek(), self.current.id());
            return Err(VaultError::OtherKey { name: at.name.clone(), sealed, ours });
        };
        sealed.moved(old, &self.current, at, entropy).map(Some)
    }
}

impl From<Arc<Kek>> for Keys {
    fn from(kek: Arc<Kek>) -> Self {
        Self::new(kek, Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sealed::tests::{Dice, at, kek, of, old, seal};

    #[test]
    fn what_was_sealed_under_an_old_key_is_moved_and_opens_under_the_new_one_alone() {
        let keys = Keys::new(kek(2), vec![kek(1)]);
        let home = at("acme", "production", "stripe-key", 2);
        for (sealed, at) in [
            (seal(b"sk_live_1", &home), home.clone()),
            (seal(b"sk_live_1", &of("alice", home.clone())), of("alice", home.clone())),
            // of the first format
            (old(), home.clone()),
        ] {
            let moved = keys.reseal(&sealed, &at, &Dice::new(7)).unwrap().unwrap();
            assert_eq!(moved.open(&kek(2), &at).unwrap().to_vec(), b"sk_live_1");
            assert!(moved.open(&kek(1), &at).is_err());
            assert_eq!(moved.kek(), kek(2).id());
            assert_eq!(keys.reseal(&moved, &at, &Dice::new(8)).unwrap(), None, "it is there already");
            assert!(moved.open(&kek(2), &of("bob", home.clone())).is_err(), "bound as before");
        }
    }

    #[test]
    fn whether_a_value_can_stand_in_a_header_is_said_and_no_more() {
        let keys = Keys::from(kek(1));
        let home = at("acme", "production", "stripe-key", 2);
        for (value, fits) in [
            (b"sk_live_1".as_slice(), true),
            (b"two words", true),
            (b"ends blank ", false),
            (b"tab\tin it", false),
            (b"\xef\xbb\xbfmark", false),
            ("umläut".as_bytes(), false),
            (b"del\x7f", false),
            (b"li\nne", false),
        ] {
            assert_eq!(keys.fits_header(&seal(value, &home), &home), Ok(fits), "{value:?}");
            let secret = crate::Secret::from_input([value, b"\n"].concat()).unwrap();
            assert_eq!(secret.fits_header(), fits);
        }
        assert!(keys.fits_header(&seal(b"a", &home), &at("acme", "staging", "stripe-key", 2)).is_err());
        assert!(Keys::from(kek(3)).fits_header(&seal(b"a", &home), &home).is_err());
    }

    #[test]
    fn what_cannot_be_opened_is_not_moved() {
        let keys = Keys::new(kek(2), vec![kek(1)]);
        let home = at("acme", "production", "stripe-key", 2);
        let elsewhere = at("acme", "staging", "stripe-key", 2);
        for sealed in [seal(b"sk_live_1", &home), old()] {
            let refused = keys.reseal(&sealed, &elsewhere, &Dice::new(7)).unwrap_err();
            assert_eq!(refused, VaultError::Refused { name: home.name.clone() });
        }
        let unknown = Keys::from(kek(3)).reseal(&old(), &home, &Dice::new(7)).unwrap_err();
        assert!(matches!(unknown, VaultError::OtherKey { .. }));
    }
}
