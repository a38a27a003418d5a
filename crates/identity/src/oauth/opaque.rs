//! A token that says nothing itself, as somebody showed it.

use super::verified;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use decision::Digest;
use serde::de::IgnoredAny;
use std::{collections::BTreeMap, fmt};
use zeroize::Zeroizing;

/// Fewer characters cannot hold 64 random bits, and are not worth anybody's time.
const CHARS_MIN: usize = 16;
/// Longest token that a provider is asked about.
const CHARS_MAX: usize = 2_048;

/// A token that only its provider can say something about. Whoever must be able to ask again holds it; nothing
/// else does, and it is wiped when dropped.
pub struct Opaque {
    text: Zeroizing<String>,
    id: Digest,
}

impl Opaque {
    /// `None` for whatever could be a token of another kind: the gateway's own, or one that is signed or encrypted,
    /// which may be another provider's. Those are shown to nobody.
    pub fn of(token: &str) -> Option<Self> {
        let fits = (CHARS_MIN..=CHARS_MAX).contains(&token.len())
            && token.bytes().all(|byte| byte.is_ascii_graphic())
            && !is_ours(token)
            && !is_jose(token);
        fits.then(|| Self { text: Zeroizing::new(token.to_owned()), id: verified::id_of(token) })
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }
    /// What names it without being it.
    pub(super) fn id(&self) -> Digest {
        self.id
    }
}

impl fmt::Debug for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opaque(..)")
    }
}

fn is_ours(token: &str) -> bool {
    token.as_bytes().get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"cgt_"))
}

/// How a header begins in base64url: `{"`, or a brace and a blank.
const HEADERS: [&str; 5] = ["eyJ", "eyA", "ewo", "ewk", "ew0"];

/// Whether it has the form of a JWS or a JWE, or is a piece of one from its beginning, with or without dots before it:
/// a damaged one may be mended.
fn is_jose(token: &str) -> bool {
    let first = token.trim_start_matches('.').split('.').next().unwrap_or_default();
    let header = URL_SAFE_NO_PAD.decode(first).ok();
    let has_header =
        header.is_some_and(|header| serde_json::from_slice::<BTreeMap<String, IgnoredAny>>(&header).is_ok());
    let begins = HEADERS.iter().any(|begin| first.starts_with(begin));
    has_header || begins || matches!(token.split('.').count(), 3 | 5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_what_can_be_nothing_else_is_asked_about() {
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256"}"#);
        let (cut, _) = header.split_at(header.len() - 1);
        let long = "a".repeat(CHARS_MAX);
        for token in [
            "0123456789abcdef",
            "ory_at_0123456789.abcdefghij",
            "a.b.c.0123456789",
            "==============+/",
            &long,
        ] {
            assert!(Opaque::of(token).is_some(), "{token}");
        }
        for token in [
            String::new(),
            "0123456789abcde".to_owned(),
            format!("{long}a"),
            "0123456789 abcdef".to_owned(),
            "0123456789\r\nabcdef".to_owned(),
            "0123456789abcdéf".to_owned(),
            "cgt_0123456789abcdef".to_owned(),
            "CGT_0123456789abcdef".to_owned(),
            format!("{header}.e30.c2ln"),
            format!("{header}..AAAA.BBBB.CCCC"),
            format!("{header}.e30"),
            header.clone(),
            format!("{header}.e30.c2ln.more"),
            cut.to_owned(),
            format!("{cut}.e30.c2ln"),
            format!(".{header}.e30.c2ln"),
            format!("..{header}.e30.c2ln"),
            URL_SAFE_NO_PAD.encode("{\n  \"alg\": \"ES25"),
            format!("{}.e30", URL_SAFE_NO_PAD.encode(" { \"alg\": \"none\", \"alg\": 1 }")),
            "not-base64!.e30.c2lnbmF0dXJl".to_owned(),
            "..0123456789abcdef".to_owned(),
        ] {
            assert!(Opaque::of(&token).is_none(), "{token}");
        }
        let shown = format!("{:?}", Opaque::of("0123456789abcdef"));
        assert_eq!(shown, "Some(Opaque(..))");
    }

    proptest! {
        #[test]
        fn nothing_that_a_jwt_reader_takes_apart_is_ever_asked_about(
            parts in prop::collection::vec("[A-Za-z0-9_-]{0,20}", 1..6), header: bool,
        ) {
            let mut parts = parts;
            if header {
                parts[0] = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","kid":"k"}"#);
            }
            let token = parts.join(".");
            let signed = super::super::signed::Signed::read(&token).is_ok();
            if header || signed || matches!(parts.len(), 3 | 5) {
                prop_assert!(Opaque::of(&token).is_none(), "{}", token);
            }
        }
    }
}
