//! Secrets by their shape: what a known issuer gives out, tokens, and private keys.

use super::{Ends, step};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// What a key is made of behind its prefix.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Alphabet {
    Upper,
    Hex,
    Letters,
    /// Letters, digits and `_`.
    Words,
    /// base64url.
    Free,
    /// base64url in several parts.
    Dotted,
    /// base64, and `_` between two of them.
    Base64,
}

/// What tells a key from a name that somebody gave. How short a key is says how likely it has none of a kind.
#[derive(Clone, Copy)]
enum Made {
    Any,
    Digit,
    /// A digit, or letters of both cases.
    Varied,
    /// All three.
    Mixed,
}

struct Shape {
    prefixes: &'static [&'static str],
    alphabet: Alphabet,
    made: Made,
    least: usize,
    most: usize,
}

const fn shape(
    prefixes: &'static [&'static str],
    alphabet: Alphabet,
    made: Made,
    least: usize,
    most: usize,
) -> Shape {
    Shape { prefixes, alphabet, made, least, most }
}

/// By the documentation of the issuers. Their alphabets are theirs; where a length is not promised it is less than what is
/// given out, since keys grow and examples are shorter.
const SHAPES: [Shape; 24] = [
    // the gateway's own
    shape(&["cgt_"], Alphabet::Words, Made::Digit, 60, 120),
    shape(&["AKIA", "ASIA"], Alphabet::Upper, Made::Any, 16, 16),
    shape(&["ghp_", "gho_", "ghs_", "ghu_", "ghr_"], Alphabet::Letters, Made::Any, 20, 255),
    shape(&["github_pat_"], Alphabet::Words, Made::Digit, 36, 255),
    shape(
        &["glpat-", "gldt-", "glrt-", "glptt-", "glcbt-", "glsoat-"],
        Alphabet::Free,
        Made::Varied,
        20,
        300,
    ),
    shape(&["sk_live_", "sk_test_", "rk_live_", "rk_test_"], Alphabet::Letters, Made::Varied, 10, 255),
    shape(
        &["xoxb-", "xoxp-", "xoxa-", "xoxs-", "xoxe-", "xoxr-", "xapp-", "xoxe.xoxb-", "xoxe.xoxp-"],
        Alphabet::Free,
        Made::Digit,
        11,
        512,
    ),
    shape(&["sk-"], Alphabet::Free, Made::Digit, 16, 512),
    shape(&["whsec_"], Alphabet::Base64, Made::Mixed, 24, 96),
    shape(&["sntrys_eyJ"], Alphabet::Base64, Made::Mixed, 40, 400),
    shape(&["AIza"], Alphabet::Free, Made::Varied, 30, 45),
    shape(&["ya29."], Alphabet::Dotted, Made::Mixed, 20, 2048),
    shape(&["hvs.", "hvb."], Alphabet::Free, Made::Varied, 20, 2048),
    shape(&["hf_", "npm_", "r8_", "ntn_"], Alphabet::Letters, Made::Varied, 30, 255),
    shape(&["lin_api_", "gsk_", "pplx-"], Alphabet::Letters, Made::Varied, 30, 255),
    shape(&["xai-"], Alphabet::Letters, Made::Digit, 40, 255),
    shape(&["pypi-"], Alphabet::Free, Made::Digit, 40, 1024),
    shape(&["figd_", "nvapi-"], Alphabet::Free, Made::Varied, 30, 255),
    shape(&["ATATT"], Alphabet::Free, Made::Mixed, 40, 512),
    shape(&["tskey-", "tvly-"], Alphabet::Free, Made::Varied, 16, 255),
    shape(&["PMAK-"], Alphabet::Free, Made::Digit, 24, 96),
    shape(&["dop_v1_", "doo_v1_", "dor_v1_"], Alphabet::Hex, Made::Digit, 32, 64),
    shape(&["shpat_", "shpss_", "shpca_", "shppa_"], Alphabet::Hex, Made::Digit, 32, 64),
    shape(&["AGE-SECRET-KEY-1"], Alphabet::Upper, Made::Any, 58, 58),
];

/// How those keys begin, and others of the same issuers whose names and words may begin so too: enough where too much
/// may be hidden.
const PREFIXES: [&str; 11] = [
    "sk_live_",
    "sk_test_",
    "rk_live_",
    "ghp_",
    "gho_",
    "ghs_",
    "github_pat_",
    "xoxb-",
    "xoxp-",
    "AKIA",
    "glpat-",
];
/// The same where names and words may begin so too (`npm_config_…`, `sk-learn-…`), which have no number in them.
const LIKELY_PREFIXES: [&str; 32] = [
    "sk-", "rk_test_", "whsec_", "ghu_", "ghr_", "xoxa-", "xoxs-", "xapp-", "ASIA", "AIza", "ya29.", "hf_",
    "npm_", "pypi-", "lin_api_", "ntn_", "SG.", "dop_v1_", "shpat_", "shpss_", "figd_", "ATATT", "tskey-",
    "PMAK-", "r8_", "gsk_", "pplx-", "tvly-", "nvapi-", "xai-", "sntrys_", "hvs.",
];
const SHORTEST: usize = 16;
/// A host's last label, or what a file's name ends with, is no longer in practice; a signature is.
const TOP_LABEL_MAX: usize = 18;
/// `{"`, `{ ` and `{` with a line break, in base64url.
const OBJECTS: [&str; 5] = ["eyJ", "eyA", "ewo", "ewk", "ew0"];
/// The tag of an encrypted token has 16 bytes at least.
const TAG_MIN: usize = 22;

const BEGIN: &str = "-----BEGIN";
const END: &str = "-----END ";
const LABEL_MAX: usize = 40;
/// Lines `Name: value` between the first one and the key, and their length.
const HEADERS_MAX: usize = 4;
const HEADER_BYTES_MAX: usize = 100;
const KEY_LINE_MIN: usize = 16;

impl Alphabet {
    fn has(self, b: u8) -> bool {
        match self {
            Self::Upper => b.is_ascii_uppercase() || b.is_ascii_digit(),
            Self::Hex => b.is_ascii_hexdigit(),
            Self::Letters => b.is_ascii_alphanumeric(),
            Self::Words => b.is_ascii_alphanumeric() || b == b'_',
            Self::Free => b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'),
            Self::Dotted => b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'),
            Self::Base64 => b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=' | b'_'),
        }
    }
}

impl Made {
    fn fits(self, key: &str) -> bool {
        let has = |is: fn(&u8) -> bool| key.bytes().any(|b| is(&b));
        let cases = || has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase);
        match self {
            Self::Any => true,
            Self::Digit => has(u8::is_ascii_digit),
            Self::Varied => has(u8::is_ascii_digit) || cases(),
            Self::Mixed => has(u8::is_ascii_digit) && cases(),
        }
    }
}

impl Shape {
    /// Bytes of the key of that shape that a text begins with.
    fn fits(&self, word: &str, text: &str, user: bool) -> Option<usize> {
        let fits = |prefix: &&str| {
            let key = text.strip_prefix(*prefix)?;
            let run = key.bytes().take(self.most + 1).take_while(|b| self.alphabet.has(*b)).count();
            step(run);
            let key = key.get(..run)?;
            let key = match self.alphabet {
                Alphabet::Dotted => key.trim_end_matches('.'),
                Alphabet::Base64 => padded(key),
                Alphabet::Upper | Alphabet::Hex | Alphabet::Letters | Alphabet::Words | Alphabet::Free => key,
            };
            let end = prefix.len() + key.len();
            let fits = (self.least..=self.most).contains(&key.len())
                && self.made.fits(key)
                && !(matches!(self.alphabet, Alphabet::Words | Alphabet::Free) && has_words(key))
                && ends(text.get(end..)?, user)
                && !self.is_host(word, end);
            fits.then_some(end)
        };
        self.prefixes.iter().find_map(fits)
    }

    /// Whether the word is a host or the name of a file. No host has `_` in it, and what has no hyphen is hardly chosen.
    fn is_host(&self, word: &str, end: usize) -> bool {
        let dotted = match self.alphabet {
            Alphabet::Dotted => true,
            Alphabet::Free => word.get(end..).is_some_and(|rest| rest.starts_with('.')),
            Alphabet::Upper | Alphabet::Hex | Alphabet::Letters | Alphabet::Words | Alphabet::Base64 => false,
        };
        dotted && word.trim_end_matches('.').rsplit_once('.').is_some_and(|(_, top)| is_top_label(top))
    }
}

/// Base64 up to its padding, unless `_` joins more of it.
fn padded(key: &str) -> &str {
    let after = |at: usize| key.as_bytes().get(at + 1).is_none_or(|next| !b"=_".contains(next));
    let end = key.match_indices('=').map(|(at, _)| at).find(|at| after(*at));
    end.and_then(|at| key.get(..=at)).unwrap_or(key)
}

fn is_top_label(label: &str) -> bool {
    (2..=TOP_LABEL_MAX).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphabetic())
}

/// What may follow a key: no letter of a longer word (of another script, it is of the next), and no `@` of a mailbox, unless
/// that is an address's.
fn ends(after: &str, user: bool) -> bool {
    !after.starts_with(|c: char| c.is_ascii_alphanumeric()) && (user || !after.starts_with('@'))
}

/// Whether plain words follow each other, as in `collect-data`, and are more of it than chance makes them.
fn has_words(key: &str) -> bool {
    let plain = |part: &str| {
        part.len() >= 2
            && part.bytes().all(|b| b.is_ascii_alphabetic())
            && part.bytes().skip(1).all(|b| b.is_ascii_lowercase())
    };
    let parts = || key.split(['-', '_']);
    let pairs = parts().zip(parts().skip(1)).filter(|(one, next)| plain(one) && plain(next));
    pairs.map(|(one, next)| one.len() + next.len()).sum::<usize>() * 3 >= key.len()
}

/// Bytes of the secret that a text begins with, if its first word has the shape of one. `user` is what stands before
/// the `@` of an address.
pub(super) fn exact(word: &str, text: &str, user: bool) -> Option<usize> {
    step(word.len());
    let shaped = SHAPES.iter().find_map(|shape| shape.fits(word, text, user));
    shaped.or_else(|| token(word, user)).or_else(|| of_app(word, user)).or_else(|| parted(word, user))
}

/// The same where too much may be hidden: a word that begins like one is one.
pub(super) fn likely(word: &str, text: &str) -> Option<usize> {
    let numbered =
        |prefix: &str| word.strip_prefix(prefix).is_some_and(|key| key.bytes().any(|b| b.is_ascii_digit()));
    let known =
        PREFIXES.iter().any(|prefix| word.starts_with(prefix)) || LIKELY_PREFIXES.into_iter().any(numbered);
    // three parts of base64url, the first of which begins as `{"`
    let token = word.starts_with("eyJ") && word.split('.').count() == 3;
    let begins = (known || token) && word.len() >= SHORTEST || word.starts_with(BEGIN);
    exact(word, text, true).max(begins.then_some(word.len()))
}

/// A signed token (RFC 7515, three parts) or an encrypted one (RFC 7516, five), the first part of which is a JSON object.
fn token(word: &str, user: bool) -> Option<usize> {
    if !OBJECTS.iter().any(|object| word.starts_with(object)) {
        return None;
    }
    let run = |text: &str| text.bytes().take_while(|b| Alphabet::Free.has(*b)).count();
    let parts: Vec<&str> = word.splitn(6, '.').collect();
    let (header, claims, third) = (*parts.first()?, *parts.get(1)?, *parts.get(2)?);
    let decoded = URL_SAFE_NO_PAD.decode(header).ok()?;
    serde_json::from_slice::<serde::de::IgnoredAny>(&decoded).ok()?;
    if !decoded.starts_with(b"{") || run(claims) < claims.len() {
        return None;
    }
    let signed = header.len() + 1 + claims.len() + 1;
    if let [_, _, nonce, sealed, tag, ..] = parts.as_slice()
        && run(nonce) == nonce.len()
        && run(sealed) == sealed.len()
        && run(tag) >= TAG_MIN
    {
        let end = signed + nonce.len() + 1 + sealed.len() + 1 + run(tag);
        return ends(word.get(end..)?, user).then_some(end);
    }
    // what is signed is an object as a rule; a host may have a first label that decodes to one
    let object = OBJECTS.iter().any(|object| claims.starts_with(object));
    let end = signed + run(third);
    let fits = !claims.is_empty() && (object || !third.is_empty() && !is_top_label(third));
    (fits && ends(word.get(end..)?, user)).then_some(end)
}

/// GitHub's tokens for an installation, where they are `ghs_`, the application's number and a signed token.
fn of_app(word: &str, user: bool) -> Option<usize> {
    let (number, rest) = word.strip_prefix("ghs_")?.split_once('_')?;
    let numbered = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    token(rest, user).filter(|_| numbered).map(|length| word.len() - rest.len() + length)
}

/// SendGrid's: 22 and 43 characters of base64url.
fn parted(word: &str, user: bool) -> Option<usize> {
    let (id, rest) = word.strip_prefix("SG.")?.split_once('.')?;
    let run = rest.bytes().take_while(|b| Alphabet::Free.has(*b)).count();
    let end = word.len() - rest.len() + run;
    let fits = (16..=32).contains(&id.len())
        && id.bytes().all(|b| Alphabet::Free.has(b))
        && (30..=64).contains(&run)
        && Made::Digit.fits(rest.get(..run)?)
        && !has_words(rest);
    (fits && ends(word.get(end..)?, user)).then_some(end)
}

/// Where a private key stands in PEM (RFC 7468) at the end of whose word it begins: its first and its last byte.
///
/// To people only what can be part of a key is hidden, whatever is written at both ends of it: lines of base64 that nobody
/// takes for words, one shorter at the end, and the two headers that have a form. With other headers, those are shown.
pub(super) fn private_key(word: &str, text: &str, ends: Ends) -> Option<(usize, usize)> {
    let at = word.strip_suffix(BEGIN)?.len();
    let block = text.get(at..)?;
    let first = label(block, BEGIN)?;
    if ends == Ends::Late {
        let end = block.find(END).and_then(|end| Some(end + label(block.get(end..)?, END)?));
        step(end.unwrap_or(block.len()));
        return Some((at, at + end.unwrap_or(block.len())));
    }
    let (from, free) = headers(block, first);
    let end = body(block, from)?;
    let last = end + gap(block.get(end..)?);
    let end = block.get(last..).and_then(|rest| label(rest, END)).map_or(end, |line| last + line);
    let begin = if free { from + gap(block.get(from..)?) } else { 0 };
    Some((at + begin, at + end))
}

/// Bytes of a line that names a private key, as `-----BEGIN RSA PRIVATE KEY-----`.
fn label(text: &str, mark: &str) -> Option<usize> {
    let name = text.strip_prefix(mark)?;
    let fits = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b' ';
    let length = name.bytes().take(LABEL_MAX).take_while(fits).count();
    step(length);
    let (name, rest) = name.split_at_checked(length)?;
    let private = name.ends_with("PRIVATE KEY") || name.ends_with("PRIVATE KEY BLOCK");
    (private && rest.starts_with("-----")).then_some(mark.len() + length + 5)
}

/// Bytes of what is between two lines: blanks, and line breaks as they are or as they are escaped.
fn gap(text: &str) -> usize {
    let mut end = 0;
    while let Some(rest) = text.get(end..) {
        let escaped = rest.trim_start_matches('\\');
        let slashes = rest.len() - escaped.len();
        let length = match escaped.chars().next() {
            Some('n' | 'r' | 't') if slashes > 0 => slashes + 1,
            Some(c) if slashes == 0 && c.is_whitespace() => c.len_utf8(),
            _ => {
                step(slashes);
                return end;
            }
        };
        step(length);
        end += length;
    }
    end
}

/// Where the headers end that stand there, and whether one of them may say anything.
fn headers(block: &str, from: usize) -> (usize, bool) {
    let (mut end, mut free) = (from, false);
    for _ in 0..HEADERS_MAX {
        let start = block.get(end..).map_or(end, |rest| end + gap(rest));
        let line = block.get(start..).unwrap_or_default();
        let length = line.bytes().take(HEADER_BYTES_MAX + 1).take_while(|b| !b"\n\r\\".contains(b)).count();
        step(length);
        let header = line.get(..length).filter(|_| length <= HEADER_BYTES_MAX);
        let Some((name, value)) = header.and_then(|line| line.split_once(": ")) else { break };
        if !name.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-') {
            break;
        }
        free |= match name {
            "Proc-Type" => value != "4,ENCRYPTED",
            "DEK-Info" => !value.bytes().all(|b| Alphabet::Upper.has(b) || b == b'-' || b == b','),
            _ => true,
        };
        end = start + length;
    }
    (end, free)
}

/// Where the key ends that begins there, if one does.
fn body(block: &str, from: usize) -> Option<usize> {
    let (mut end, mut found) = (from, None);
    loop {
        let start = end + gap(block.get(end..)?);
        let rest = block.get(start..)?;
        let digits =
            rest.bytes().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/')).count();
        let padding = rest.bytes().skip(digits).take(2).take_while(|b| *b == b'=').count();
        let line = rest.get(..digits + padding)?;
        step(line.len());
        if line.len() >= KEY_LINE_MIN && padding == 0 && Made::Mixed.fits(line) {
            end = start + line.len();
            found = Some(end);
            continue;
        }
        // the last one may be short: no word of small letters, no path, and not the beginning of something else; where it is one
        // of these, the end of a key is shown
        let alone = |c: char| c.is_whitespace() || matches!(c, '\\' | '-' | '"' | '\'' | ',' | '}');
        let after = rest.get(line.len()..)?;
        let last = digits > 0
            && (after.is_empty() || after.starts_with(alone))
            && !line.starts_with('/')
            && line.bytes().any(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'=');
        if last {
            end = start + line.len();
            found = Some(end);
        }
        // the check of an OpenPGP key: `=` and four characters
        let checked = block.get(end..)?;
        let check = checked.get(gap(checked)..)?;
        let sum = check.strip_prefix('=').and_then(|sum| sum.get(..4));
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
        return match sum.filter(|sum| found.is_some() && sum.bytes().all(fits)) {
            Some(_) => Some(block.len() - check.len() + 5),
            None => found,
        };
    }
}
