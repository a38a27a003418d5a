//! What is nobody's business in a value: secrets whole, personal data but for what tells two apart.

/// Names under which secrets are passed, in small letters without punctuation.
const SECRET_NAMES: [&str; 14] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "credential",
    "credentials",
    "authorization",
    "cvv",
    "cvc",
    "pin",
];
/// How secrets of well-known issuers begin, by their documentation.
const SECRET_PREFIXES: [&str; 11] = [
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
const SHORTEST_SECRET: usize = 16;
/// The digits of a card, and most blanks and hyphens between two of them.
const CARD_DIGITS_MIN: usize = 13;
const CARD_DIGITS_MAX: usize = 19;
const CARD_GAP_MAX: usize = 4;
const PASSWORD_CHARS_MAX: usize = 256;
const EMAIL_NAME_BYTES_MAX: usize = 64;
const DOTS: &str = "••••••";

/// A few characters by which two values are told apart, of a key that only the gateway has; or none.
pub(super) type Print<'p> = &'p dyn Fn(&str) -> String;

/// The value of a member of that name, masked, and the kinds of what was. Of a secret its length is left.
pub(super) fn text(key: Option<&str>, value: &str, print: Print<'_>) -> (String, Vec<&'static str>) {
    let counted = |secret: &str| format!("{DOTS} ({} characters)", secret.chars().count());
    if is_secret_by_name(key, value) && !(key.is_some_and(names_token) && is_plain(value)) {
        return (counted(value), vec!["secret"]);
    }
    // an address is one whatever its name begins with: who is written to is not hidden
    let seek = |word: &str, rest: &str| {
        let found =
            email(word, print).or_else(|| secret(word).map(|length| ("secret", length, counted(word))));
        let found = found.or_else(|| password(word, rest, Ends::Early, counted));
        found.or_else(|| card(rest, print)).or_else(|| iban(word, print))
    };
    masked(value, seek)
}

/// The same for secrets alone, of which nothing is left; `None` if there are none.
pub(super) fn without_secrets(key: Option<&str>, value: &str) -> Option<String> {
    if is_secret_by_name(key, value) {
        return Some(DOTS.to_owned());
    }
    let dots = |_: &str| DOTS.to_owned();
    let seek = |word: &str, rest: &str| {
        let found = secret(word).map(|length| ("secret", length, dots(word)));
        found.or_else(|| password(word, rest, Ends::Late, dots))
    };
    let (text, kinds) = masked(value, seek);
    (!kinds.is_empty()).then_some(text)
}

/// `seek` is given a word and all that follows from there on.
fn masked(value: &str, seek: impl Fn(&str, &str) -> Option<Found>) -> (String, Vec<&'static str>) {
    let mut kinds = Vec::new();
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while !rest.is_empty() {
        let (word, after) = rest.split_at(word_end(rest));
        match seek(word, rest) {
            Some((kind, length, put)) => {
                kinds.push(kind);
                out.push_str(&put);
                rest = rest.get(length..).unwrap_or_default();
            }
            None => {
                out.push_str(word);
                rest = after;
            }
        }
    }
    (out, kinds)
}

fn is_secret_by_name(key: Option<&str>, value: &str) -> bool {
    key.is_some_and(names_secret) && !matches!(value, "" | "null" | "true" | "false")
}

/// Names that are given to what is no secret too: places in a list, counts, words.
fn names_token(key: &str) -> bool {
    let plain = plain_name(key);
    plain.ends_with("token") || plain.ends_with("secret")
}

/// No token: a number, or words. What somebody is to do could hide in it.
fn is_plain(value: &str) -> bool {
    let number = |b: u8| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E');
    value.contains(char::is_whitespace) || value.bytes().all(number) && value.parse::<f64>().is_ok()
}

/// A mask, with what tells it from another that would look the same.
fn printed(mask: String, value: &str, print: Print<'_>) -> String {
    match print(value) {
        print if print.is_empty() => mask,
        print => format!("{mask} [{print}]"),
    }
}

type Found = (&'static str, usize, String);

/// So many characters are looked at. Counted in tests only: whatever text is shown, its cost is some steps for each byte.
#[inline]
fn step(_characters: usize) {
    #[cfg(test)]
    super::tests::STEPS.with(|steps| steps.set(steps.get() + _characters));
}

/// Bytes of the next run of characters that belong together, or of the one that separates.
fn word_end(text: &str) -> usize {
    let part = |c: char| {
        step(1);
        c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '@' | '+' | '%')
    };
    match text.find(|c| !part(c)) {
        Some(0) => text.chars().next().map_or(0, char::len_utf8),
        Some(end) => end,
        None => text.len(),
    }
}

/// `accessToken`, `access_token` and `ACCESS-TOKEN` are one name.
fn plain_name(key: &str) -> String {
    key.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase()
}

fn names_secret(key: &str) -> bool {
    let plain = plain_name(key);
    SECRET_NAMES.iter().any(|name| match name.len() {
        0..=3 => plain == *name,
        _ => plain.ends_with(name),
    })
}

/// Its length, if it is one.
fn secret(word: &str) -> Option<usize> {
    step(word.len());
    let likely =
        |prefix: &str| word.strip_prefix(prefix).is_some_and(|key| key.bytes().any(|b| b.is_ascii_digit()));
    let known = SECRET_PREFIXES.iter().any(|prefix| word.starts_with(prefix))
        || LIKELY_PREFIXES.into_iter().any(likely);
    // three parts of base64url, the first of which begins as `{"`
    let token = word.starts_with("eyJ") && word.split('.').count() == 3;
    ((known || token) && word.len() >= SHORTEST_SECRET || word.starts_with("-----BEGIN"))
        .then_some(word.len())
}

/// Where a password in an address ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// At what an address cannot have there unescaped, and at what a shell takes for more than a letter: what people decide
    /// about must not be hidden as a password. So is no more than [`PASSWORD_CHARS_MAX`].
    Early,
    /// Where its host's part ends: better too much is hidden.
    Late,
}

/// The password of an address, `scheme://name:password@host` (RFC 3986, 3.2.1). What is filled in later is none.
fn password(scheme: &str, text: &str, ends: Ends, put: impl Fn(&str) -> String) -> Option<Found> {
    let after = text.get(scheme.len()..)?.strip_prefix("://")?;
    let ends_at = |(n, c): (usize, char)| {
        step(1);
        match ends {
            Ends::Early => {
                let may = c.is_ascii_alphanumeric()
                    || matches!(c, '-' | '.' | '_' | '~' | '%' | '+' | '=' | ':' | '@');
                n >= PASSWORD_CHARS_MAX || !may
            }
            Ends::Late => matches!(c, '/' | '?' | '#') || c.is_whitespace(),
        }
    };
    let end = after.char_indices().enumerate().find(|(n, (_, c))| ends_at((*n, *c))).map(|(_, (at, _))| at);
    let (who, _) = after.get(..end.unwrap_or(after.len()))?.rsplit_once('@')?;
    let (name, password) = who.split_once(':')?;
    let open = password.is_empty() || password.starts_with(['$', '{', '<', '*', '%', '•']);
    let length = scheme.len() + "://".len() + who.len();
    (!open).then(|| ("secret", length, format!("{scheme}://{name}:{}", put(password))))
}

/// 13 to 19 digits, spaces or hyphens between them, whose check digit is right (ISO/IEC 7812-1, Luhn).
fn card(text: &str, print: Print<'_>) -> Option<Found> {
    // most words begin with no digit, and what does is looked at only as far as a card may go: a text of digits alone
    // would otherwise be read to its end at each of them
    let mut digits: Vec<u32> = Vec::with_capacity(CARD_DIGITS_MAX + 1);
    let (mut length, mut gap, mut after) = (0, 0, None);
    for (at, c) in text.char_indices() {
        step(1);
        match c.to_digit(10) {
            Some(digit) if digits.len() < CARD_DIGITS_MAX => {
                digits.push(digit);
                (length, gap) = (at + 1, 0);
            }
            // one digit more than any card has
            Some(_) => return None,
            None if matches!(c, ' ' | '-') && !digits.is_empty() && gap < CARD_GAP_MAX => gap += 1,
            None => {
                after = Some(c).filter(|_| gap == 0);
                break;
            }
        }
    }
    if digits.len() < CARD_DIGITS_MIN || after.is_some_and(char::is_alphanumeric) {
        return None;
    }
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| if at.is_multiple_of(2) { *digit } else { digit * 2 / 10 + digit * 2 % 10 })
        .sum();
    let card: String = digits.iter().filter_map(|digit| char::from_digit(*digit, 10)).collect();
    let last = card.get(card.len().saturating_sub(4)..)?;
    (sum.is_multiple_of(10) && digits.iter().any(|digit| *digit != 0))
        .then(|| ("payment card", length, printed(format!("•••• {last}"), &card, print)))
}

/// A country, two check digits and the account, whose remainder by 97 is 1 (ISO 13616).
fn iban(word: &str, print: Print<'_>) -> Option<Found> {
    let bytes = word.as_bytes();
    if !(15..=34).contains(&bytes.len()) {
        return None;
    }
    let letters = bytes.get(..2)?.iter().all(u8::is_ascii_uppercase);
    let checks = bytes.get(2..4)?.iter().all(u8::is_ascii_digit);
    let rest = bytes.get(4..)?.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    if !letters || !checks || !rest {
        return None;
    }
    let turned = word.get(4..)?.chars().chain(word.get(..4)?.chars());
    let remainder = turned.filter_map(|c| c.to_digit(36)).fold(0, |sum, value| match value {
        0..=9 => (sum * 10 + value) % 97,
        _ => (sum * 100 + value) % 97,
    });
    let (country, last) = (word.get(..2)?, word.get(word.len() - 4..)?);
    (remainder == 1).then(|| ("IBAN", word.len(), printed(format!("{country}•• … {last}"), word, print)))
}

/// `name@example.com`; the first letter and the domain are left, and a print, so that people can tell two apart.
fn email(word: &str, print: Print<'_>) -> Option<Found> {
    step(word.len());
    let address = word.trim_end_matches('.');
    let (name, domain) = address.split_once('@')?;
    let top = domain.rsplit_once('.')?.1;
    let fits = top.len() >= 2 && top.bytes().all(|b| b.is_ascii_alphabetic()) && !domain.contains('@');
    // a longer name is nobody's (RFC 5321, 4.5.3.1.1), and could hide a text
    let first = name.chars().next().filter(|_| fits && name.len() <= EMAIL_NAME_BYTES_MAX)?;
    Some(("email address", address.len(), printed(format!("{first}•••@{domain}"), address, print)))
}
