//! A value nobody should see.

use launch::LockedBytes;
use std::fmt;
use zeroize::Zeroizing;

/// The longest value that is accepted: a certificate chain with its key fits.
pub const SECRET_BYTES_MAX: usize = 64 << 10;

/// Why a value was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    #[error("the value is empty")]
    Empty,
    #[error("the value is longer than {SECRET_BYTES_MAX} bytes")]
    TooLong,
    #[error("the value holds a zero byte")]
    ZeroByte,
}

/// A plaintext on its way in, in locked memory. Wiped when dropped.
///
/// It is not copied:
/// ```compile_fail,E0599
/// fn twice(secret: callgate_vault::Secret) -> (callgate_vault::Secret, callgate_vault::Secret) {
///     (secret.clone(), secret)
/// }
/// ```
/// and not printed:
/// ```compile_fail,E0599
/// fn show(secret: callgate_vault::Secret) -> String {
///     secret.to_string()
/// }
/// ```
pub struct Secret(LockedBytes);

impl Secret {
    /// A value as a person typed or piped it: one line end at its end is not part of it.
    ///
    /// The bytes are wiped here also when they are refused. Errors: [`SecretError`].
    pub fn from_input(bytes: Vec<u8>) -> Result<Self, SecretError> {
        let mut bytes = Zeroizing::new(bytes);
        if bytes.ends_with(b"\n") {
            bytes.pop();
            if bytes.ends_with(b"\r") {
                bytes.pop();
            }
        }
        if bytes.is_empty() {
            Err(SecretError::Empty)
        } else if bytes.len() > SECRET_BYTES_MAX {
            Err(SecretError::TooLong)
        } else if bytes.contains(&0) {
            Err(SecretError::ZeroByte)
        } else {
            Ok(Self(LockedBytes::copy_of(&bytes)))
        }
    }

    /// How many bytes it has.
    pub fn size(&self) -> usize {
        self.0.len()
    }

    /// Whether it is as `judge` has it, who keeps nothing of it.
    pub fn is(&self, judge: impl FnOnce(&[u8]) -> bool) -> bool {
        judge(&self.0)
    }

    /// Whether it can stand in a header or a query.
    pub fn fits_header(&self) -> bool {
        header(&self.0).is_some()
    }

    /// What is part of it at its ends and was hardly meant to be, as fragments of a sentence about it.
    pub fn oddities(&self) -> Vec<&'static str> {
        let (bytes, blank) = (&*self.0, |byte: &u8| byte.is_ascii_whitespace());
        let behind = bytes.strip_prefix(BYTE_ORDER_MARK);
        let marked = behind.map(|_| "begins with a byte order mark");
        let begins = behind.unwrap_or(bytes).first().is_some_and(blank);
        let begins = begins.then_some("begins with a blank or a line break");
        let ends = bytes.last().is_some_and(blank).then_some("ends with a blank or a line break");
        marked.into_iter().chain(begins).chain(ends).collect()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn into_bytes(self) -> LockedBytes {
        self.0
    }
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The value as a header or a query can have it: visible ASCII, no space at either end, so that no value can add a header of
/// its own.
pub(crate) fn header(value: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(value).ok()?;
    let visible = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    (visible && text.trim_matches(' ') == text).then_some(text)
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_end_is_cut_and_what_cannot_be_a_secret_is_refused() {
        let input = |bytes: &[u8]| Secret::from_input(bytes.to_vec());
        assert_eq!(input(b"s3cret\r\n").unwrap().bytes(), b"s3cret");
        assert_eq!(input(b" a\nb \n\n").unwrap().bytes(), b" a\nb \n");
        let oddities = |bytes: &[u8]| input(bytes).unwrap().oddities();
        let (mark, begins) = ("begins with a byte order mark", "begins with a blank or a line break");
        let ends = "ends with a blank or a line break";
        assert!(oddities(b"two words\r\n").is_empty());
        assert_eq!(oddities(b"a\n\n"), [ends]);
        assert_eq!(oddities(b"a\t"), [ends]);
        assert_eq!(oddities(b" a\n"), [begins]);
        assert_eq!(oddities(b"\xef\xbb\xbfa"), [mark]);
        assert_eq!(oddities(b"\xef\xbb\xbf\ta\n\n"), [mark, begins, ends], "all of it");
        assert_eq!(input(b"\n").unwrap_err(), SecretError::Empty);
        assert_eq!(input(b"a\0b").unwrap_err(), SecretError::ZeroByte);
        assert_eq!(input(&[b'x'; SECRET_BYTES_MAX + 1]).unwrap_err(), SecretError::TooLong);
        assert_eq!(format!("{:?}", input(b"s3cret")), "Ok(Secret(..))");
    }
}
