//! Handles: what a peer keeps for us, such as a server's state between two rounds. Nobody but us can read or make one.

use crate::Opener;
use crate::kek::{KEY_BYTES, Kek};
use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use launch::LockedBytes;

const TAG_BYTES: usize = 16;
const PRINT_CHARS: usize = 6;

impl Opener {
    /// Seals `inner` so that only [`Opener::open_handle`] with the same `binding` gives it back, here or in another
    /// process with the same key. The same input gives the same handle: its nonce is made of it, and the cipher is
    /// one that forgives a nonce that comes twice (AES-256-GCM-SIV, RFC 8452). Layout: nonce (12 bytes), then
    /// `inner` and 16 bytes.
    pub fn seal_handle(&self, binding: &[u8], inner: &[u8]) -> Vec<u8> {
        let keys = self.keys();
        let kek = keys.current();
        let nonce = derived(kek, b"nonce", &[binding, inner]);
        let (nonce, _) = nonce.split_at(NONCE_LEN);
        let mut body = inner.to_vec();
        let sealed =
            cipher(kek).zip(Nonce::try_assume_unique_for_key(nonce).ok()).and_then(|(cipher, nonce)| {
                cipher.seal_in_place_append_tag(nonce, Aad::from(binding), &mut body).ok()
            });
        // a cipher with a key of its length and a message that fits in memory does not fail; were it to, the
        // handle would open for nobody
        if sealed.is_none() {
            return Vec::new();
        }
        [nonce, &body].concat()
    }

    /// What was sealed with this binding, under the key in use or an older one. Whatever is wrong looks the same.
    pub fn open_handle(&self, binding: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, body) = sealed.split_at_checked(NONCE_LEN)?;
        if body.len() < TAG_BYTES {
            return None;
        }
        let keys = self.keys();
        std::iter::once(keys.current()).chain(keys.older()).find_map(|kek| {
            let mut body = body.to_vec();
            let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
            let inner = cipher(kek)?.open_in_place(nonce, Aad::from(binding), &mut body).ok()?;
            Some(inner.to_vec())
        })
    }
}

/// Handles of one binding that come often, such as event ids: their key is made once. It is of that binding alone and opens
/// nothing else, so it may lie on an ordinary heap; it ends with whoever holds it, whatever becomes of the key it was made of.
#[derive(Debug)]
pub struct Handles {
    key: Option<LessSafeKey>,
}

impl Opener {
    /// Under the key in use.
    pub fn handles(&self, binding: &[u8]) -> Handles {
        let key = derived(self.keys().current(), b"many", &[binding]);
        Handles { key: UnboundKey::new(&AES_256_GCM_SIV, &key).ok().map(LessSafeKey::new) }
    }
}

impl Handles {
    /// The same input gives the same handle; the cipher forgives that its nonce never changes, and shows no more than
    /// that.
    pub fn seal(&self, inner: &[u8]) -> Vec<u8> {
        let mut body = inner.to_vec();
        let sealed = self
            .key
            .as_ref()
            .and_then(|key| key.seal_in_place_append_tag(Self::nonce(), Aad::empty(), &mut body).ok());
        if sealed.is_some() { body } else { Vec::new() }
    }

    /// What was sealed here. Whatever is wrong looks the same.
    pub fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let mut body = sealed.to_vec();
        let inner = self.key.as_ref()?.open_in_place(Self::nonce(), Aad::empty(), &mut body).ok()?;
        Some(inner.to_vec())
    }

    fn nonce() -> Nonce {
        Nonce::assume_unique_for_key([0; NONCE_LEN])
    }
}

/// What tells masked values apart: the same value has the same print, here or in another process with the same key, and without
/// the key nobody can find out which value has it. Like [`Handles`] its key is good for nothing else.
pub struct Prints(hmac::Key);

impl std::fmt::Debug for Prints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Prints(…)")
    }
}

impl Opener {
    /// Under the key in use.
    pub fn prints(&self) -> Prints {
        let key = derived(self.keys().current(), b"print", &[]);
        Prints(hmac::Key::new(hmac::HMAC_SHA256, &key))
    }
}

impl Prints {
    /// Letters and digits of which none looks like another: thirty bits, so that nobody makes a value with the print of another by
    /// trying.
    pub fn of(&self, value: &str) -> String {
        const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
        let tag = hmac::sign(&self.0, value.as_bytes());
        let bytes = tag.as_ref().iter().take(PRINT_CHARS);
        bytes.filter_map(|byte| DIGITS.get(usize::from(byte % 32))).map(|digit| char::from(*digit)).collect()
    }
}

/// Made anew for each use: an expanded key would lie on a heap that is not locked.
fn cipher(kek: &Kek) -> Option<LessSafeKey> {
    let key = derived(kek, b"seal", &[]);
    UnboundKey::new(&AES_256_GCM_SIV, &key).ok().map(LessSafeKey::new)
}

/// A key, or what is as hard to guess, of the key-encryption key and of nothing that any other use makes of it.
fn derived(kek: &Kek, purpose: &[u8], parts: &[&[u8]]) -> LockedBytes {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, kek.bytes()));
    for part in [b"callgate/handle/v1".as_slice(), purpose].into_iter().chain(parts.iter().copied()) {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let tag = context.sign();
    LockedBytes::copy_of(tag.as_ref().get(..KEY_BYTES).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Keys;
    use crate::sealed::tests::kek;

    #[test]
    fn a_handle_opens_where_it_is_bound_and_nowhere_else() {
        let opener = Opener::new(kek(1));
        let handle = opener.seal_handle(b"alice", b"state");
        assert_eq!(opener.open_handle(b"alice", &handle).unwrap(), b"state");
        assert_eq!(opener.open_handle(b"bob", &handle), None);
        assert_eq!(Opener::new(kek(2)).open_handle(b"alice", &handle), None);
        for at in 0..handle.len() {
            let mut changed = handle.clone();
            changed[at] ^= 1;
            assert_eq!(opener.open_handle(b"alice", &changed), None, "byte {at}");
            assert_eq!(opener.open_handle(b"alice", &handle[..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn it_shows_nothing_but_that_two_are_the_same() {
        let opener = Opener::new(kek(1));
        let handle = opener.seal_handle(b"alice", b"a state of the server");
        assert_eq!(handle, opener.seal_handle(b"alice", b"a state of the server"));
        assert_ne!(handle[..12], opener.seal_handle(b"bob", b"a state of the server")[..12]);
        assert_ne!(handle[..12], opener.seal_handle(b"alice", b"a state of the servex")[..12]);
        assert!(!handle.windows(5).any(|part| part == b"state"));
        assert_eq!(opener.open_handle(b"a", &opener.seal_handle(b"a", b"")).unwrap(), b"");
    }

    #[test]
    fn handles_of_one_binding_open_by_its_key_and_by_no_other() {
        let opener = Opener::new(kek(1));
        let alices = opener.handles(b"alice");
        let handle = alices.seal(b"event 7");
        assert_eq!(alices.open(&handle).unwrap(), b"event 7");
        assert_eq!(handle, opener.handles(b"alice").seal(b"event 7"));
        assert_eq!(Opener::new(kek(1)).handles(b"alice").open(&handle).unwrap(), b"event 7");
        for others in [opener.handles(b"bob"), opener.handles(b""), Opener::new(kek(2)).handles(b"alice")] {
            assert_eq!(others.open(&handle), None);
        }
        assert_eq!(opener.open_handle(b"alice", &handle), None, "nor as a handle of the other kind");
        assert!(!handle.windows(5).any(|part| part == b"event"));
        for at in 0..handle.len() {
            let mut changed = handle.clone();
            changed[at] ^= 1;
            assert_eq!(alices.open(&changed), None, "byte {at}");
            assert_eq!(alices.open(&handle[..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn a_print_is_of_the_value_and_of_the_key() {
        let prints = Opener::new(kek(1)).prints();
        let print = prints.of("alice@gmail.com");
        assert_eq!(print.len(), PRINT_CHARS);
        assert_eq!(print, Opener::new(kek(1)).prints().of("alice@gmail.com"));
        assert_ne!(print, prints.of("attacker@gmail.com"));
        assert_ne!(print, Opener::new(kek(2)).prints().of("alice@gmail.com"));
    }

    #[test]
    fn it_opens_under_a_key_that_was_replaced() {
        let before = Opener::new(kek(1)).seal_handle(b"alice", b"state");
        let after = Opener::new(Keys::new(kek(2), vec![kek(1)]));
        assert_eq!(after.open_handle(b"alice", &before).unwrap(), b"state");
        assert_eq!(Opener::new(kek(2)).open_handle(b"alice", &before), None);
    }
}
