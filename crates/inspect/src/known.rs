//! The parts of a credential that must not be seen.

use crate::view::{self, Undo};
use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A secret of fewer bytes is looked for as a whole word only, and in no encoding but escapes: shorter than this
/// it would be found by chance.
pub const SHORT_BELOW: usize = 8;
/// A secret of fewer bytes is not looked for at all; nor is one that is a word of JSON (`true`, `null`).
pub const SHORTEST: usize = 4;

/// Words of JSON and of settings. As a credential each would be found everywhere, and says nothing where it is seen.
const WORDS: [&[u8]; 4] = [b"true", b"false", b"null", b"none"];
/// Longest value in small letters that is taken for a word, in bytes.
const WORD_MAX: usize = 12;

/// Whether a value is looked for, and is one that texts hold by chance: a short one, or a word in small letters. What a server says
/// is mangled by that.
pub fn is_common(value: &[u8]) -> bool {
    let value = value.trim_ascii();
    let is_word = value.len() <= WORD_MAX
        && value.iter().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'-' | b'_'));
    value.len() >= SHORTEST && !is_of_words(value) && (value.len() < SHORT_BELOW || is_word)
}

fn is_of_words(value: &[u8]) -> bool {
    WORDS.iter().any(|word| word.eq_ignore_ascii_case(value))
}

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// One thing to look for, and the secret it is part of.
pub(crate) struct Part {
    pub(crate) name: Arc<str>,
    pub(crate) bytes: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Part({}, ..)", self.name)
    }
}

/// Words before a credential that are none of it. Another first word may be one of a passphrase.
const SCHEMES: [&[u8]; 5] = [b"bearer", b"basic", b"token", b"apikey", b"digest"];

/// What of a credential would be enough for a thief: the whole; without a scheme such as `Bearer`; of a Basic
/// credential its user and password, and the password; the password in an address; each without the blanks at its
/// ends, and as it reads with its escapes undone.
pub(crate) fn parts(name: &str, value: &[u8]) -> Vec<Part> {
    let mut parts = Parts { name: name.into(), parts: Vec::new() };
    // a long one is found without its blanks wherever it is found with them
    let trimmed = value.trim_ascii();
    if trimmed.len() < SHORT_BELOW {
        parts.add(value);
    }
    match scheme(trimmed) {
        Some((scheme, rest)) => {
            if scheme.eq_ignore_ascii_case(b"basic")
                && let Ok(pair) = BASE64.decode(rest).map(Zeroizing::new)
            {
                parts.add_read(after(&pair, b':'));
                parts.add(&pair);
            }
            parts.add_read(rest);
            // a long rest is found wherever the whole is
            if rest.len() < SHORT_BELOW || !SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
                parts.add_read(trimmed);
            }
        }
        None => {
            let password = password(trimmed);
            if let Some(read) = view::reading(Undo::Percent, password) {
                parts.add(read.bytes());
            }
            parts.add_read(password);
            // an address is no secret beside its password
            if password.is_empty() { parts.add_read(trimmed) } else { parts.add(trimmed) }
        }
    }
    parts.parts
}

struct Parts {
    name: Arc<str>,
    parts: Vec<Part>,
}

impl Parts {
    fn add(&mut self, bytes: &[u8]) {
        let known = self.parts.iter().any(|part| part.bytes.as_slice() == bytes);
        if bytes.len() >= SHORTEST && !is_of_words(bytes) && !known {
            self.parts.push(Part { name: Arc::clone(&self.name), bytes: Zeroizing::new(bytes.to_vec()) });
        }
    }
    /// Also as it reads, which is how it stands where a text's own escapes are undone together with its.
    fn add_read(&mut self, bytes: &[u8]) {
        self.add(bytes);
        if let Some(read) = view::reading(Undo::Any, bytes) {
            self.add(read.bytes());
        }
    }
}

/// `Bearer abc` as its two words.
fn scheme(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(b' ', value)?;
    let (scheme, rest) = value.split_at_checked(at)?;
    Some((scheme, rest.trim_ascii_start())).filter(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty())
}

/// What stands after the first `byte`, or nothing.
fn after(text: &[u8], byte: u8) -> &[u8] {
    memchr::memchr(byte, text).and_then(|at| text.get(at + 1..)).unwrap_or_default()
}

/// The password in `scheme://user:password@host`, as written there, or nothing.
fn password(value: &[u8]) -> &[u8] {
    let Some(at) = memchr::memmem::find(value, b"://") else { return &[] };
    let rest = value.get(at + 3..).unwrap_or_default();
    let end = rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let authority = rest.get(..end).unwrap_or_default();
    let user_info = memchr::memrchr(b'@', authority).and_then(|at| authority.get(..at)).unwrap_or_default();
    after(user_info, b':')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: &str) -> Vec<String> {
        let parts = parts("k", value.as_bytes());
        parts.iter().map(|part| String::from_utf8_lossy(&part.bytes).into_owned()).collect()
    }

    #[test]
    fn what_is_too_short_to_be_told_from_chance_is_no_part() {
        assert!(of("").is_empty() && of("abc").is_empty() && of("x yz").len() == 1);
    }

    #[test]
    fn a_credential_is_known_without_its_scheme_and_its_parts_too() {
        assert_eq!(of("sk-12345678"), ["sk-12345678"]);
        for scheme in ["Bearer", "token", "ApiKey", "DIGEST"] {
            assert_eq!(of(&format!("{scheme}  abcd1234")), ["abcd1234"]);
            assert_eq!(of(&format!("{scheme} abcd123")), ["abcd123".to_owned(), format!("{scheme} abcd123")]);
        }
        assert_eq!(of("correct horse battery"), ["horse battery", "correct horse battery"]);
        // RFC 7617 section 2
        let basic = "QWxhZGRpbjpvcGVuIHNlc2FtZQ==";
        let whole = format!("basic {basic}");
        assert_eq!(of(&whole), ["open sesame", "Aladdin:open sesame", basic]);
        assert_eq!(of(whole.trim_end_matches('=')).first().unwrap(), "open sesame");
    }

    #[test]
    fn the_password_of_an_address_is_a_part() {
        let url = "postgres://app:p@ss-w0rd@db.example:5432/app?x=a:b@c";
        assert_eq!(of(url), ["p@ss-w0rd", url]);
        assert_eq!(of("https://example.com/a:b@c"), ["https://example.com/a:b@c"]);
        let url = "postgres://app:p%40ss@db.example";
        assert_eq!(of(url), ["p@ss", "p%40ss", url]);
    }

    #[test]
    fn a_value_is_known_without_the_blanks_around_it() {
        assert_eq!(of(" \tsk-12345678\r\n"), ["sk-12345678"]);
        assert_eq!(of("abcd  "), ["abcd  ", "abcd"]);
        assert!(of("     ").len() == 1);
    }

    #[test]
    fn a_part_is_not_printed() {
        assert_eq!(format!("{:?}", parts("k", b"s3cret-value")), "[Part(k, ..)]");
    }
}
