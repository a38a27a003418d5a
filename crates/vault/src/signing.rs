//! The gateway's own key, with which it says to a server for whom it calls.

use crate::Secret;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use decision::{Digest, Entropy};
use launch::LockedBytes;
use std::fmt;

/// Under which name the key is stored; its versions are the keys of a time.
pub const ASSERTION_KEY: &str = "callgate/assertion-key";

const SEED_BYTES: usize = 32;

/// An Ed25519 key that signs JSON Web Tokens (RFC 8037). It cannot be read out.
///
/// Unlike a key-encryption key it stays open in the cryptography's own memory: it signs every call.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    id: String,
}

impl SigningKey {
    /// A new key as it is sealed and stored.
    #[expect(clippy::expect_used, reason = "the text of 32 bytes is never empty, too long, or holds a zero")]
    pub fn generate(entropy: &dyn Entropy) -> Secret {
        let mut seed = LockedBytes::zeroed(SEED_BYTES);
        entropy.fill(&mut seed);
        Secret::from_input(BASE64_URL_SAFE_NO_PAD.encode(&*seed).into_bytes()).expect("base64 is a secret")
    }

    pub(crate) fn from_kept(kept: &[u8]) -> Option<Self> {
        // base64 asks for room by the length of the text
        let mut seed = LockedBytes::zeroed(SEED_BYTES + 1);
        let length = BASE64_URL_SAFE_NO_PAD.decode_slice(kept, &mut seed).ok()?;
        seed.truncate(length);
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).ok()?;
        // the thumbprint of RFC 7638: no verifier can take one key for another
        let x = BASE64_URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        Some(Self { pair, id: BASE64_URL_SAFE_NO_PAD.encode(Digest::of(members.as_bytes()).0) })
    }

    /// Its id, the `kid` of a token's header.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The public half as a JSON Web Key.
    pub fn public(&self) -> String {
        let x = BASE64_URL_SAFE_NO_PAD.encode(self.pair.public_key().as_ref());
        let id = &self.id;
        format!(r#"{{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig","kid":"{id}","x":"{x}"}}"#)
    }

    /// A JSON Web Token of these claims, which must be a JSON object.
    pub fn token(&self, claims: &str) -> String {
        let header = format!(r#"{{"alg":"EdDSA","typ":"JWT","kid":"{}"}}"#, self.id);
        let mut token = String::with_capacity((header.len() + claims.len()) * 4 / 3 + 96);
        BASE64_URL_SAFE_NO_PAD.encode_string(header, &mut token);
        token.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let signature = self.pair.sign(token.as_bytes());
        token.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(signature.as_ref(), &mut token);
        token
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, ..)", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sealed::tests::Dice;

    /// The key, the token and its signature of RFC 8037, appendix A.
    #[test]
    fn a_key_is_named_and_signs_as_the_standard_shows() {
        let key = SigningKey::from_kept(b"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
        assert!(key.public().contains(r#""x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#));
        assert_eq!(key.id(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        assert!(!format!("{key:?}").contains("nWGxne"));
        let signed = key.pair.sign(b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc");
        assert_eq!(
            BASE64_URL_SAFE_NO_PAD.encode(signed),
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
        );
    }

    #[test]
    fn a_new_key_is_another_one_and_comes_back_from_its_stored_form() {
        let of = |seed| {
            SigningKey::from_kept(SigningKey::generate(&Dice::new(seed)).bytes()).unwrap().id().to_owned()
        };
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        for bad in [&b""[..], b"AAAA", b"not base64!", &[b'A'; 44]] {
            assert!(SigningKey::from_kept(bad).is_none());
        }
    }
}
