//! What is nobody's business in a value: secrets whole, personal data but for what tells two apart. Where something goes
//! and what runs is shown: a host, the domain of a mailbox, a package.

mod numbers;
mod packages;
mod secrets;

use packages::{Command, is_version};

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
const PASSWORD_CHARS_MAX: usize = 256;
const EMAIL_NAME_BYTES_MAX: usize = 64;
/// The kind that packages are taken for.
pub(super) const MAILBOX: &str = "email address";
const DOTS: &str = "••••••";

/// A few characters by which two values are told apart, of a key that only the gateway has; or none.
pub(super) type Print<'p> = &'p dyn Fn(&str) -> String;

/// One value of the arguments, and what is known of it.
#[derive(Clone, Copy)]
pub(super) struct Value<'v> {
    pub(super) key: Option<&'v str>,
    pub(super) text: &'v str,
    /// Whether it is a JSON number.
    pub(super) number: bool,
    /// Whether the arguments start what runs packages.
    pub(super) packages: bool,
}

/// A text without what is nobody's business.
#[derive(Default)]
pub(super) struct Masked {
    pub(super) text: String,
    /// Of each value that is hidden.
    pub(super) kinds: Vec<&'static str>,
    /// Whether it ends with a command that is given packages.
    pub(super) packages: bool,
}

/// The value of a member of that name, masked. Of a secret its length is left.
pub(super) fn text(value: Value<'_>, print: Print<'_>) -> Masked {
    let Value { key, text, number, packages } = value;
    let counted = |secret: &str| format!("{DOTS} ({} characters)", secret.chars().count());
    if is_secret_by_name(key, text) && !(key.is_some_and(names_token) && is_plain(text)) {
        return Masked { text: counted(text), kinds: vec!["secret"], packages: false };
    }
    let digits = numbers::card_digits(key, text, number);
    let part = |text: &str, length: usize| counted(text.get(..length).unwrap_or_default());
    let seek = |word: &str, rest: &str, place: Place| {
        if place.address && is_host(word, rest) {
            return None;
        }
        // an address is one whatever its name begins with: who is written to is not hidden
        let found = email(word, place, print).filter(|_| !packages);
        let found = found.or_else(|| private_key(word, rest, Ends::Early, counted));
        let found = found.or_else(|| {
            let length = secrets::exact(word, rest, place.address)?;
            Some(("secret", length, part(rest, length)))
        });
        let found = found.or_else(|| password(word, rest, Ends::Early, counted));
        found.or_else(|| numbers::card(rest, digits, print)).or_else(|| numbers::iban(word, rest, print))
    };
    masked(text, seek)
}

/// The same for secrets alone, of which nothing is left; `None` if there are none.
pub(super) fn without_secrets(key: Option<&str>, value: &str) -> Option<String> {
    if is_secret_by_name(key, value) {
        return Some(DOTS.to_owned());
    }
    let dots = |_: &str| DOTS.to_owned();
    let seek = |word: &str, rest: &str, _: Place| {
        let found = private_key(word, rest, Ends::Late, dots);
        let found =
            found.or_else(|| secrets::likely(word, rest).map(|length| ("secret", length, dots(word))));
        found.or_else(|| password(word, rest, Ends::Late, dots))
    };
    let masked = masked(value, seek);
    (!masked.kinds.is_empty()).then_some(masked.text)
}

/// What stands before a word.
#[derive(Clone, Copy)]
struct Place {
    /// `://`
    address: bool,
    /// A command that is given packages, or the scope of one.
    packages: bool,
}

/// `seek` is given a word, all that follows from there on, and where that is.
fn masked(value: &str, seek: impl Fn(&str, &str, Place) -> Option<Found>) -> Masked {
    let mut found = Masked { text: String::with_capacity(value.len()), ..Masked::default() };
    let mut rest = value;
    let (mut command, mut scope) = (Command::Other, false);
    // behind something that was found, what `+` or `%26` joins to it is looked at by itself
    let mut joined = false;
    while !rest.is_empty() {
        let before = value.get(..value.len() - rest.len()).unwrap_or_default();
        let (word, after) = rest.split_at(word_end(rest, joined));
        let path = before.ends_with('/');
        let packages = command == Command::Packages || scope && path;
        match seek(word, rest, Place { address: before.ends_with("://"), packages }) {
            Some((kind, length, put)) => {
                found.kinds.push(kind);
                found.text.push_str(&put);
                rest = rest.get(length..).unwrap_or_default();
                joined = true;
            }
            None => {
                found.text.push_str(word);
                rest = after;
                joined = joined && word.starts_with(is_part);
            }
        }
        command = command.after(before, word);
        scope = word.starts_with('@') || scope && word == "/";
    }
    found.packages = command != Command::Other;
    found
}

/// Whether a word behind `://` is a host, and not the name before an `@`.
fn is_host(word: &str, text: &str) -> bool {
    let after = text.get(word.len()..).unwrap_or_default();
    let rest = after.chars().take(PASSWORD_CHARS_MAX).inspect(|_| step(1));
    let mut rest = rest.take_while(|c| !matches!(c, '/' | '?' | '#' | '\\') && !c.is_whitespace());
    let name = word.contains('@') || after.starts_with(':') && rest.any(|c| c == '@');
    !name
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

/// Whether it belongs to a word.
fn is_part(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '@' | '+' | '%')
}

/// Bytes of the next run of characters that belong together, or of the one that separates. Joined words are several.
fn word_end(text: &str, joined: bool) -> usize {
    let part = |c: char| {
        step(1);
        is_part(c) && !(joined && matches!(c, '+' | '%'))
    };
    let escape = |text: &str| text.get(1..3).is_some_and(|code| code.bytes().all(|b| b.is_ascii_hexdigit()));
    match text.find(|c| !part(c)) {
        Some(0) if joined && text.starts_with('%') && escape(text) => 3,
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
    let open = is_open(password);
    let length = scheme.len() + "://".len() + who.len();
    // some issuers' keys are passed as the name
    let both = secrets::exact(name, name, true) == Some(name.len());
    let hidden = if both { put(who) } else { format!("{name}:{}", put(password)) };
    (!open).then(|| ("secret", length, format!("{scheme}://{hidden}")))
}

/// Whether it is filled in later, or was hidden before: all of it, since a password may begin like that.
fn is_open(password: &str) -> bool {
    let within = |open: &str, close: char| {
        password
            .strip_prefix(open)
            .and_then(|rest| rest.strip_suffix(close))
            .is_some_and(|name| !name.contains(close))
    };
    let named = password.strip_prefix('$').is_some_and(|name| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    });
    let braces =
        within("${", '}') || within("{", '}') || within("{{", '}') || within("<", '>') || within("%", '%');
    let format = password == "%s" || password.starts_with("%(");
    let hidden = password.chars().all(|c| matches!(c, '*' | '•'));
    named || braces || format || hidden || password.starts_with("{{") && password.ends_with("}}")
}

/// A private key, up to the end of its block.
fn private_key(word: &str, text: &str, ends: Ends, put: impl Fn(&str) -> String) -> Option<Found> {
    let (from, to) = secrets::private_key(word, text, ends)?;
    Some(("secret", to, [text.get(..from)?, &put(text.get(from..to)?)].concat()))
}

/// `name@example.com`; the first letter and the domain are left, and a print, so that people can tell two apart.
fn email(word: &str, place: Place, print: Print<'_>) -> Option<Found> {
    step(word.len());
    let address = word.trim_end_matches('.');
    let (name, domain) = address.split_once('@')?;
    // without a dot it is a user's name on a machine as often as a mailbox (`root@db-host`): who acts is shown
    let top = domain.rsplit_once('.')?.1;
    let letters = top.chars().count() >= 2 && top.chars().all(char::is_alphabetic);
    let fits = (letters || is_punycode(top)) && !is_version(top);
    let fits = fits && !place.packages && !domain.contains('@');
    // a longer name is nobody's (RFC 5321, 4.5.3.1.1), and could hide a text
    let first = name.chars().next().filter(|_| fits && name.len() <= EMAIL_NAME_BYTES_MAX)?;
    Some((MAILBOX, address.len(), printed(format!("{first}•••@{domain}"), address, print)))
}

/// A label in letters of another script, written in ASCII (RFC 5890, 2.3.2.1).
fn is_punycode(label: &str) -> bool {
    label.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("xn--"))
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}
