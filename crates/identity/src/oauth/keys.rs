//! A provider's keys (RFC 7517), as far as a token may be signed with them.

use super::{Alg, quoted, signed::Signed};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use decision::{Code, Digest, Refusal, canonical};
use jsonwebtoken::DecodingKey;
use serde::Deserialize;

/// Most keys of one provider.
const KEYS_MAX: usize = 64;
/// Smallest RSA modulus (RFC 7518, section 3.3).
const RSA_BYTES_MIN: usize = 256;
const RSA_BYTES_MAX: usize = 1_024;

/// The keys that may sign, as of one fetch.
#[derive(Debug)]
pub struct KeySet {
    keys: Vec<Key>,
    /// How many the provider publishes, those that cannot verify a signature included.
    published: usize,
}

#[derive(Debug)]
struct Key {
    kid: Option<String>,
    kind: Kind,
    /// The one algorithm it is for, where it says so.
    alg: Option<Alg>,
    material: DecodingKey,
    /// What it is, whatever it is called.
    id: Digest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl Kind {
    fn fits(self, alg: Alg) -> bool {
        match alg {
            Alg::Rs256 | Alg::Rs384 | Alg::Rs512 | Alg::Ps256 | Alg::Ps384 | Alg::Ps512 => self == Self::Rsa,
            Alg::Es256 => self == Self::P256,
            Alg::Es384 => self == Self::P384,
            Alg::EdDsa => self == Self::Ed25519,
        }
    }
}

/// A set of keys that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    #[error("the keys are not a JWK set: {0}")]
    Form(String),
    #[error("there are more than {KEYS_MAX} keys")]
    TooMany,
}

#[derive(Deserialize)]
struct Written {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct WrittenKey {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Reads a JWK set. Keys that are not for signatures, too weak (a short RSA modulus, an
    /// Ed25519 point of small order) or of a kind nobody here knows are left out, which may leave none: a provider
    /// that takes all of its keys back says so in this way.
    pub fn read(text: &[u8]) -> Result<Self, KeysError> {
        // both errors repeat the provider's words, which a log line must not hold at any length
        canonical::bytes(text).map_err(|e| KeysError::Form(quoted(&e.to_string())))?;
        let written: Written =
            serde_json::from_slice(text).map_err(|e| KeysError::Form(quoted(&e.to_string())))?;
        let count = written.keys.len();
        if count > KEYS_MAX {
            return Err(KeysError::TooMany);
        }
        let keys = written
            .keys
            .into_iter()
            .filter_map(|key| serde_json::from_value(key).ok())
            .filter_map(|key| Key::of(&key))
            .collect();
        Ok(Self { keys, published: count })
    }

    /// Why no token can be verified with these keys, where none can.
    pub(crate) fn lack(&self) -> Option<String> {
        let published = self.published;
        self.keys.is_empty().then(|| format!("none of the {published} keys can verify a token's signature"))
    }

    /// Whether these are the same keys, called the same.
    pub(crate) fn same(&self, other: &Self) -> bool {
        let names = |set: &Self| set.keys.iter().map(|key| (key.kid.clone(), key.id)).collect::<Vec<_>>();
        names(self) == names(other)
    }
    pub(crate) fn holds(&self, id: Digest) -> bool {
        self.keys.iter().any(|key| key.id == id)
    }

    /// The key that signed this token. Errors: no key of that name, or not its signature.
    pub(crate) fn verify(&self, token: &Signed<'_>, alg: Alg) -> Result<Digest, Refusal> {
        for key in self.meant(token, alg)? {
            let verified =
                jsonwebtoken::crypto::verify(token.signature, token.signed, &key.material, alg.verifier());
            if verified.is_ok_and(|good| good) {
                return Ok(key.id);
            }
        }
        Err(Refusal::new(Code::TokenSignatureInvalid, "the signature does not fit header and claims"))
    }

    /// The keys that are meant by the token's header. A `kid` is a name to compare and nothing else.
    fn meant(&self, token: &Signed<'_>, alg: Alg) -> Result<Vec<&Key>, Refusal> {
        let fits = |key: &&Key| key.kind.fits(alg) && key.alg.is_none_or(|only| only == alg);
        let unknown = |because: String| Refusal::new(Code::TokenKeyUnknown, because);
        if let Some(lack) = self.lack() {
            return Err(unknown(lack));
        }
        let keys: Vec<_> = match &token.kid {
            Some(kid) => self.keys.iter().filter(|key| key.kid.as_ref() == Some(kid)).filter(fits).collect(),
            None => self.keys.iter().filter(fits).collect(),
        };
        match (&token.kid, keys.len()) {
            (Some(kid), 0) => Err(unknown(format!("no {alg} key is called {}", quoted(kid)))),
            (None, count) if count != 1 => Err(unknown(format!(
                "the token does not name its key, and {count} {alg} keys could be meant"
            ))),
            _ => Ok(keys),
        }
    }
}

impl Key {
    fn of(written: &WrittenKey) -> Option<Self> {
        let for_signatures = written.usage.as_deref().is_none_or(|usage| usage == "sig")
            && written.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        let alg = match &written.alg {
            Some(name) => Some(Alg::parse(name)?),
            None => None,
        };
        let part = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_ref()?).ok();
        // some write a sign's octet in front (RFC 7518, section 6.3.1.1, warns of it)
        let number = |text: &Option<String>| {
            let octets = part(text)?;
            let zeros = octets.iter().take_while(|byte| **byte == 0).count();
            octets.get(zeros..).map(<[u8]>::to_vec)
        };
        let (kind, parts) = match (written.kty.as_str(), written.crv.as_deref()) {
            ("RSA", _) => (Kind::Rsa, vec![number(&written.n)?, number(&written.e)?]),
            ("EC", Some("P-256")) => (Kind::P256, vec![part(&written.x)?, part(&written.y)?]),
            ("EC", Some("P-384")) => (Kind::P384, vec![part(&written.x)?, part(&written.y)?]),
            ("OKP", Some("Ed25519")) => (Kind::Ed25519, vec![part(&written.x)?]),
            _ => return None,
        };
        if !for_signatures || alg.is_some_and(|alg| !kind.fits(alg)) || !is_sound(kind, &parts) {
            return None;
        }
        let material = match (kind, parts.as_slice()) {
            (Kind::Rsa, [n, e]) => DecodingKey::from_rsa_raw_components(n, e),
            (Kind::P256 | Kind::P384, [x, y]) => {
                DecodingKey::from_ec_der(&[&[4], x.as_slice(), y.as_slice()].concat())
            }
            (Kind::Ed25519, [x]) => DecodingKey::from_ed_der(x),
            _ => return None,
        };
        let kind_name = match kind {
            Kind::Rsa => "rsa",
            Kind::P256 => "p256",
            Kind::P384 => "p384",
            Kind::Ed25519 => "ed25519",
        };
        let sizes = parts.iter().map(Vec::len).collect::<Vec<_>>();
        let domain = format!("callgate/verification-key/v1 {kind_name} {sizes:?}\0");
        let id: Vec<&[u8]> =
            std::iter::once(domain.as_bytes()).chain(parts.iter().map(Vec::as_slice)).collect();
        Some(Self { kid: written.kid.clone(), kind, alg, material, id: Digest::of_parts(&id) })
    }
}

/// Sizes that the kind has; an RSA modulus of fewer than 2048 bits is refused, and a point that anybody could sign for.
fn is_sound(kind: Kind, parts: &[Vec<u8>]) -> bool {
    match (kind, parts) {
        (Kind::Rsa, [n, e]) => {
            let full = n.first().is_some_and(|first| *first >= 0x80) || n.len() > RSA_BYTES_MIN;
            (RSA_BYTES_MIN..=RSA_BYTES_MAX).contains(&n.len()) && full && (1..=8).contains(&e.len())
        }
        (Kind::P256, parts) => parts.iter().all(|part| part.len() == 32),
        (Kind::P384, parts) => parts.iter().all(|part| part.len() == 48),
        (Kind::Ed25519, parts) => parts.iter().all(|part| part.len() == 32 && !is_of_small_order(part)),
        (Kind::Rsa, _) => false,
    }
}

/// The first byte, the rest but one, and the last of the `y` of points whose order divides eight, in each way it can
/// be written: 0, 1, and -1, 0 and 1 beyond the prime. Of order eight there are two more.
const SMALL: [(u8, u8, u8); 5] =
    [(0, 0, 0), (1, 0, 0), (0xec, 0xff, 0x7f), (0xed, 0xff, 0x7f), (0xee, 0xff, 0x7f)];
const OF_ORDER_EIGHT: [[u8; 32]; 2] = [
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
        0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
        0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];

/// Whether a point of Ed25519 is one for which signatures can be made without a key (RFC 8032, section 5.1.7, does not
/// ask for more than a point).
fn is_of_small_order(point: &[u8]) -> bool {
    let [first, between @ .., last] = point else { return true };
    // the sign of `x` does not count
    let last = last & 0x7f;
    SMALL.iter().any(|(f, b, l)| first == f && last == *l && between.iter().all(|byte| byte == b))
        || OF_ORDER_EIGHT.iter().any(|[f, b @ .., l]| first == f && last == *l && between == b)
}
