//! The gateway's own tokens: `cgt_<id>_<secret>_<check>`.
//!
//! | part | characters | what |
//! |---|---|---|
//! | `cgt` | 3 | so that secret scanners know one when they see it |
//! | id | 16 | 80 random bits; names the token in the store and in the record |
//! | secret | 52 | 260 random bits |
//! | check | 6 | the first 30 bits of a digest of all before it |
//!
//! All are lower-case Crockford base 32. The check tells a token that was cut or mistyped from one
//! that was never issued or is revoked; whoever can compute it knows no token.

use decision::{Digest, Entropy};
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const PREFIX: &str = "cgt_";
const ID_CHARS: usize = 16;
const SECRET_CHARS: usize = 52;
const CHECK_CHARS: usize = 6;
const CHARS: usize = PREFIX.len() + ID_CHARS + 1 + SECRET_CHARS + 1 + CHECK_CHARS;

/// Why a text is not a token of ours. None says anything about which tokens exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("this is not a token of this gateway; those start with {PREFIX}")]
    Foreign,
    #[error("the token has {found} characters instead of {CHARS}; copy it whole")]
    Length { found: usize },
    #[error("the token holds a character that none has; copy it again")]
    Character,
    #[error("the token was mistyped; copy it again")]
    Check,
}

/// The public part of a token: may be stored, shown and logged.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId(String);

impl TokenId {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads the printed form. `None` when it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = text.len() == ID_CHARS && text.bytes().all(is_digit);
        fits.then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is stored of a token: SHA-256 of the whole of it.
///
/// A slow hash protects what people choose; nobody can try 2^260 secrets, and this one is computed
/// for every request. There is no `==`: compare with [`TokenHash::matches`].
#[derive(Clone, Copy)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// Takes what was stored.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
    /// Compares in constant time.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(..)")
    }
}

/// A whole token, on its way to the one who asked for it or just arrived from them. Wiped when dropped.
pub struct ApiToken(Zeroizing<String>);

impl ApiToken {
    /// A new token.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut random = Zeroizing::new([0; ID_CHARS + SECRET_CHARS]);
        entropy.fill(random.as_mut_slice());
        let mut text = Zeroizing::new(String::with_capacity(CHARS));
        text.push_str(PREFIX);
        for (at, byte) in random.iter().enumerate() {
            if at == ID_CHARS {
                text.push('_');
            }
            text.push(digit(*byte));
        }
        let check = check(&text);
        text.push('_');
        text.extend(check);
        Self(text)
    }

    /// Reads a token, strictly. Errors: [`TokenError`].
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let rest = text.strip_prefix(PREFIX).ok_or(TokenError::Foreign)?;
        if text.len() != CHARS {
            return Err(TokenError::Length { found: text.chars().count() });
        }
        let mut parts = rest.split('_');
        for length in [ID_CHARS, SECRET_CHARS, CHECK_CHARS] {
            let part = parts.next().ok_or(TokenError::Character)?;
            if part.len() != length || !part.bytes().all(is_digit) {
                return Err(TokenError::Character);
            }
        }
        if parts.next().is_some() {
            return Err(TokenError::Character);
        }
        let (checked, found) = text.rsplit_once('_').ok_or(TokenError::Character)?;
        if found.chars().ne(check(checked)) {
            return Err(TokenError::Check);
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// The public part.
    pub fn id(&self) -> TokenId {
        TokenId(self.0.chars().skip(PREFIX.len()).take(ID_CHARS).collect())
    }

    /// What to store, or to compare with what is stored.
    pub fn hash(&self) -> TokenHash {
        TokenHash(Digest::of_parts(&[b"callgate/api-token/v1\0", self.0.as_bytes()]).0)
    }

    /// The token itself, to be shown once.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiToken({}, ..)", self.id())
    }
}

fn digit(bits: u8) -> char {
    char::from(ALPHABET.get(usize::from(bits & 31)).copied().unwrap_or(b'0'))
}

fn is_digit(byte: u8) -> bool {
    ALPHABET.contains(&byte)
}

fn check(text: &str) -> impl Iterator<Item = char> + use<> {
    let digest = Digest::of_parts(&[b"callgate/api-token-check/v1\0", text.as_bytes()]);
    digest.0.into_iter().take(CHECK_CHARS).map(digit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug)]
    struct Dice(u64);

    impl Entropy for Dice {
        fn fill(&self, out: &mut [u8]) {
            let mut state = self.0;
            for byte in out {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                *byte = state.to_be_bytes()[0];
            }
        }
    }

    #[test]
    fn a_token_never_changes_its_form() {
        // tokens that people hold must be readable by every later version
        let token = ApiToken::generate(&Dice(7));
        assert_eq!(
            token.reveal(),
            "cgt_ym85437jvnbfh2tg_48mnnw0qdch6ctv991v0g3m1qj62y9eb06ah9sggeqz2a4rgdy72_nzmvmp"
        );
        assert_eq!(
            Digest(token.hash().0).to_string(),
            "sha256:b4fcc8fcc4b29381e79d6b83065c9806b7f688a984f3afe74e9de4a6efc865e8"
        );
    }

    #[test]
    fn a_token_shows_only_its_id() {
        let token = ApiToken::generate(&Dice(7));
        let shown = format!("{token:?} {:?}", token.hash());
        assert_eq!(shown, format!("ApiToken({}, ..) TokenHash(..)", token.id()));
        assert_eq!(TokenId::parse(token.id().as_str()), Some(token.id()));
        assert_eq!(TokenId::parse("short"), None);
    }

    #[test]
    fn what_is_wrong_with_a_token_is_said() {
        let token = ApiToken::generate(&Dice(7));
        let text = token.reveal();
        let error = |text: &str| ApiToken::parse(text).unwrap_err();
        assert_eq!(error(""), TokenError::Foreign);
        assert_eq!(error(&text.to_uppercase()), TokenError::Foreign);
        assert_eq!(error(text.get(..70).unwrap()), TokenError::Length { found: 70 });
        assert_eq!(error(&format!("{text} ")), TokenError::Length { found: 81 });
        assert_eq!(error(&text.replacen('_', "0", 3).replacen("cgt0", "cgt_", 1)), TokenError::Character);
        assert_eq!(error(&format!("{}é", text.get(..78).unwrap())), TokenError::Character);
    }

    proptest! {
        #[test]
        fn a_token_reads_back_and_matches_only_itself(one: u64, two: u64) {
            let (a, b) = (ApiToken::generate(&Dice(one)), ApiToken::generate(&Dice(two)));
            let read = ApiToken::parse(a.reveal()).unwrap();
            prop_assert_eq!(read.id(), a.id());
            prop_assert!(read.hash().matches(&TokenHash::from_bytes(*a.hash().as_bytes())));
            prop_assert_eq!(a.hash().matches(&b.hash()), a.reveal() == b.reveal());
        }

        #[test]
        fn one_wrong_character_or_two_swapped_ones_are_noticed(seed: u64, at in 4usize..79, with in 0u8..32) {
            let token = ApiToken::generate(&Dice(seed));
            let mut typo = token.reveal().as_bytes().to_vec();
            typo[at] = ALPHABET[usize::from(with)];
            let mut swapped = token.reveal().as_bytes().to_vec();
            swapped.swap(at, at + 1);
            for changed in [typo, swapped] {
                let changed = String::from_utf8(changed).unwrap();
                prop_assert_eq!(ApiToken::parse(&changed).is_ok(), changed == token.reveal());
            }
        }

        #[test]
        fn no_text_makes_the_parser_fall_over(text in "(cgt_)?[0-9a-zé_]{0,90}") {
            if let Ok(token) = ApiToken::parse(&text) {
                prop_assert_eq!(token.reveal(), text);
            }
        }
    }
}
