//! Signatures of Standard Webhooks 1.0.0: HMAC-SHA256 over `id.timestamp.body`.

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::fmt;

/// What stands before the base64 of a key.
const PREFIX: &str = "whsec_";
/// As the specification wants it: 24 to 64 bytes.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// How far a sender's clock may be off, and how long a message may be under way.
const TOLERANCE_S: u64 = 5 * 60;

/// The key of one address. Prints nothing.
#[derive(Clone)]
pub struct Key(hmac::Key);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

/// Why a secret is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the secret is not `whsec_` and the base64 of 24 to 64 bytes")]
pub struct KeyError;

impl Key {
    pub fn read(secret: &[u8]) -> Result<Self, KeyError> {
        let text = std::str::from_utf8(secret).map_err(|_| KeyError)?;
        let bytes =
            STANDARD.decode(text.trim().strip_prefix(PREFIX).ok_or(KeyError)?).map_err(|_| KeyError)?;
        if !BYTES.contains(&bytes.len()) {
            return Err(KeyError);
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// The value of `webhook-signature`.
    pub(super) fn sign(&self, id: &str, seconds: u64, body: &[u8]) -> String {
        let tag = hmac::sign(&self.0, &signed(id, seconds, body));
        format!("v1,{}", STANDARD.encode(tag.as_ref()))
    }

    /// Whether one of the signatures, separated by spaces, is ours, and the message is of now.
    pub(super) fn verify(&self, id: &str, seconds: u64, body: &[u8], given: &str, now: u64) -> bool {
        let message = signed(id, seconds, body);
        let fits = given.split(' ').filter_map(|one| STANDARD.decode(one.strip_prefix("v1,")?).ok());
        // all are looked at: which one fits shows in no time
        let good = fits.fold(false, |good, tag| good | hmac::verify(&self.0, &message, &tag).is_ok());
        good && now.abs_diff(seconds) <= TOLERANCE_S
    }
}

fn signed(id: &str, seconds: u64, body: &[u8]) -> Vec<u8> {
    [format!("{id}.{seconds}.").as_bytes(), body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's reference libraries.
    #[test]
    fn it_signs_as_the_reference_does() {
        let key = Key::read(b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let (id, at, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b"{\"test\": 2432232314}");
        let ours = key.sign(id, at, body);
        assert_eq!(ours, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert!(key.verify(id, at, body, &format!("v1,AAAA {ours} v2,x"), at + 299));
        for (id, at, body, given, now) in [
            ("other", at, body.as_slice(), ours.as_str(), at),
            (id, at + 1, body, &ours, at),
            (id, at, b"{}", &ours, at),
            (id, at, body, "v1,AAAA", at),
            (id, at, body, "", at),
            (id, at, body, &ours, at + 301),
            (id, at, body, &ours, at - 301),
        ] {
            assert!(!key.verify(id, at, body, given, now));
        }
    }

    #[test]
    fn what_is_no_key_is_none() {
        for text in
            ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_AAAA", "whsec_not base64 at all!"]
        {
            assert!(Key::read(text.as_bytes()).is_err(), "{text}");
        }
    }
}
