//! Where credentials stand in how a client starts or reaches a server, and the same without them.

mod named;

use super::clients::Entry;
use serde_json::Value;
use url::Url;

/// What stands in place of a credential.
pub(crate) const DOTS: &str = "••••••";
/// Shortest part of a path that may be a key: in one kind of digits, and in letters of both cases with digits.
const HEX_MIN: usize = 32;
const MIXED_MIN: usize = 24;

/// Flags that take a name and a password in one.
const PAIRS: [&str; 6] = ["-u", "--user", "--auth", "--basic-auth", "--credentials", "--login"];

/// A word of a command, or an address, as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) text: String,
    /// What in it is a credential, in words.
    pub(crate) holds: Option<String>,
}

impl Shown {
    fn with(text: String, holds: impl Into<String>) -> Self {
        Self { text, holds: Some(holds.into()) }
    }
}

/// Whether a value looks like a credential, by its name or its form. A reference to one is none.
pub(crate) fn is_secret(name: &str, value: &str) -> bool {
    without(name, value).is_some()
}

/// The value without what is a credential; `None` if nothing is.
fn without(name: &str, value: &str) -> Option<String> {
    if value.is_empty() || is_reference(value) {
        return None;
    }
    let named = named::is_credential(name, value).then(|| DOTS.to_owned());
    named
        .or_else(|| json(value))
        .or_else(|| inspect::shown::without_secrets(name, value))
        .or_else(|| settings(value))
}

/// Whether the client fills in all of it, but for a word that says what kind of credential follows: `${…}`, `Bearer ${…}`,
/// `$NAME`. A password may begin with `$`, too, and in small letters is taken for one.
fn is_reference(value: &str) -> bool {
    let is_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let (mut rest, mut seen) = (value.trim(), false);
    rest = ["Bearer ", "bearer ", "Basic ", "token "]
        .iter()
        .find_map(|kind| rest.strip_prefix(kind))
        .unwrap_or(rest);
    while !rest.is_empty() {
        let braced = ["${", "{env:"].iter().find_map(|open| rest.strip_prefix(open)?.split_once('}'));
        if let Some((name, after)) = braced {
            // `${NAME:-a password}` has one in it
            if name.contains(":-") || name.contains("{") {
                return false;
            }
            rest = after;
        } else {
            let Some(name) = rest.strip_prefix('$') else { return false };
            let after = name.trim_start_matches(is_name);
            if after.len() == name.len() {
                return false;
            }
            rest = after;
        }
        seen = true;
    }
    seen
}

/// Whether the client may fill something in, so that here nobody knows what it becomes.
pub(crate) fn refers(value: &str) -> bool {
    let braced =
        value.match_indices("${").any(|(at, _)| value.get(at..).is_some_and(|rest| rest.contains('}')));
    let named = value.strip_prefix('$').and_then(|name| name.chars().next());
    braced || named.is_some_and(|c| c.is_ascii_alphabetic() || c == '_') || value.contains("{env:")
}

/// An object or a list without the values that are credentials by their names or forms; `None` if none is.
fn json(value: &str) -> Option<String> {
    let mut parsed: Value =
        value.trim_start().starts_with(['{', '[']).then(|| serde_json::from_str(value).ok())??;
    fn mask(name: &str, value: &mut Value) -> bool {
        match value {
            Value::String(text) => match without(name, text) {
                Some(shown) => {
                    *text = shown;
                    true
                }
                None => false,
            },
            Value::Object(of) => of.iter_mut().fold(false, |any, (name, value)| mask(name, value) | any),
            Value::Array(of) => of.iter_mut().fold(false, |any, value| mask(name, value) | any),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }
    mask("", &mut parsed).then(|| parsed.to_string())
}

/// `Server=db;Password=VALUE` without the values that are credentials by their names; `None` if none is.
fn settings(value: &str) -> Option<String> {
    let parts = || value.split(';').filter(|part| !part.trim().is_empty());
    if parts().count() < 2 || !parts().all(|part| part.contains('=')) {
        return None;
    }
    let shown = parts().map(|part| match part.split_once('=') {
        Some((name, value)) if without(name.trim(), value).is_some() => {
            format!("{name}={DOTS}")
        }
        _ => part.to_owned(),
    });
    let shown = shown.collect::<Vec<_>>().join(";");
    shown.contains(DOTS).then_some(shown)
}

/// The words of the command: a credential is known by its form, by the flag in front of it (`--api-key VALUE`,
/// `--api-key=VALUE`), or by the name it is given with (`-e TOKEN=VALUE`, `--header "Authorization: VALUE"`).
pub(crate) fn words(command: &[String]) -> Vec<Shown> {
    let before = std::iter::once("").chain(command.iter().map(String::as_str));
    command.iter().zip(before).map(|(word, before)| self::word(before, word)).collect()
}

/// One word by itself.
pub(crate) fn alone(word: &str) -> Shown {
    self::word("", word)
}

fn word(before: &str, word: &str) -> Shown {
    let flag =
        Some(before).filter(|flag| flag.starts_with('-') && !flag.contains('=') && !word.starts_with('-'));
    // a number that follows a flag counts something
    let is_number = word.len() < 6 && word.bytes().all(|b| b.is_ascii_digit());
    if let Some(flag) = flag.filter(|flag| !is_number && is_secret(flag, word)) {
        let holds = if is_secret("", word) { "an argument".to_owned() } else { format!("`{flag}`") };
        let text = without("", word).unwrap_or_else(|| DOTS.to_owned());
        return Shown { text, holds: Some(holds) };
    }
    if let Some((flag, text)) = flag.and_then(|flag| Some((flag, pair(flag, word)?))) {
        return Shown { text, holds: Some(format!("`{flag}`")) };
    }
    if let Some(text) = json(word) {
        return Shown::with(text, "an argument");
    }
    for separator in ['=', ':'] {
        let Some((name, value)) = word.split_once(separator) else { continue };
        let value = value.trim_start();
        if let Some(text) = pair(name, value) {
            return Shown { text: format!("{name}{separator}{text}"), holds: Some(format!("`{name}`")) };
        }
        // `/password:VALUE`, `db.password=VALUE`
        let bare = name.strip_prefix('/').unwrap_or(name);
        let is_name =
            !bare.is_empty() && bare.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        if is_name && is_secret(name, value) && !is_secret("", word) {
            let gap = word.len() - name.len() - 1 - value.len();
            let text = format!("{name}{separator}{}{DOTS}", " ".repeat(gap));
            return Shown { text, holds: Some(format!("`{name}`")) };
        }
        // `--header=Authorization: VALUE`
        if is_name && name.starts_with('-') {
            let inner = alone(value);
            if inner.holds.is_some() {
                return Shown { text: format!("{name}{separator}{}", inner.text), ..inner };
            }
        }
    }
    if let Some(shown) = line(word) {
        return shown;
    }
    match without("", word) {
        Some(text) => Shown { text, holds: Some("an argument".to_owned()) },
        None => {
            let shown = address(word);
            if shown.holds.is_some() {
                return shown;
            }
            // a name that lets one in looks like any other
            let text = is_of_http(word).then(|| userinfo(word)).flatten();
            Shown { text: text.map_or_else(|| word.to_owned(), |(text, _)| text), holds: None }
        }
    }
}

/// `NAME:PASSWORD` behind a flag that takes both, without the password. Two numbers are a user and a group.
fn pair(flag: &str, value: &str) -> Option<String> {
    let (name, password) = value.split_once(':').filter(|_| PAIRS.contains(&flag))?;
    let counts = password.is_empty() || value.bytes().all(|b| b.is_ascii_digit() || b == b':');
    (!counts && !password.starts_with('/') && !is_reference(password)).then(|| format!("{name}:{DOTS}"))
}

/// A line for a shell, whose words are looked at one by one; `None` if it is one word or holds nothing.
fn line(text: &str) -> Option<Shown> {
    if !text.contains(char::is_whitespace) {
        return None;
    }
    let (mut shown, mut holds, mut before) = (String::new(), Vec::new(), "");
    for piece in text.split_inclusive(char::is_whitespace) {
        let one = piece.trim_end();
        let seen = word(before, one);
        shown.push_str(&seen.text);
        shown.push_str(piece.get(one.len()..).unwrap_or_default());
        holds.extend(seen.holds);
        before = one;
    }
    (!holds.is_empty()).then(|| Shown { text: shown, holds: Some(holds.join(", ")) })
}

/// The text with dots for whatever stands before the `@` of its host, and that; `None` where nothing does. It goes by the text
/// alone: what is no address has a password all the same.
fn userinfo(text: &str) -> Option<(String, &str)> {
    let from = text.find("://").map_or(0, |at| at.saturating_add(3));
    let (scheme, rest) = text.split_at_checked(from)?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    // an address that is none may have a `/` in its password
    let cut = rest.get(..end)?.rfind('@').or_else(|| {
        let all = rest.split(['?', '#']).next()?;
        Url::parse(text).is_err().then(|| all.rfind('@'))?
    })?;
    let (who, host) = rest.split_at_checked(cut)?;
    let is_it = match scheme {
        // `name:password@host`, and no image, package or mailbox
        "" => {
            const OTHERS: [&str; 7] = ["npm", "jsr", "mailto", "acct", "sip", "sips", "xmpp"];
            let named = who.split_once(':').filter(|(name, password)| {
                let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
                !name.is_empty() && plain && !password.is_empty() && !OTHERS.contains(name)
            });
            named.is_some() && !host.starts_with("@sha256:") && !host.contains(char::is_whitespace)
        }
        _ => !who.is_empty(),
    };
    is_it.then(|| (format!("{scheme}{DOTS}{host}"), who))
}

fn is_of_http(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| scheme.ends_with("http") || scheme.ends_with("https"))
}

/// An address without its password, without what it asks with, and without a part of its path that is a key.
pub(crate) fn address(text: &str) -> Shown {
    let mut holds = Vec::new();
    let hidden = userinfo(text);
    if let Some((_, who)) = &hidden {
        match who.split_once(':') {
            Some((_, password)) if !password.is_empty() && !is_reference(password) => {
                holds.push("the password of the address".to_owned());
            }
            _ if is_key(who) || named::is_random(who) && is_of_http(text) => {
                holds.push("the name in the address".to_owned());
            }
            _ => {}
        }
    }
    let shown = hidden.map_or_else(|| text.to_owned(), |(shown, _)| shown);
    let bare = shown.split(['?', '#']).next().unwrap_or_default();
    let parts = bare.split('/').map(|part| if is_key(part) { DOTS } else { part });
    let shown = parts.collect::<Vec<_>>().join("/");
    let Ok(url) = Url::parse(text) else {
        return Shown { text: shown, holds: Some(holds.join(", ")).filter(|holds| !holds.is_empty()) };
    };
    holds.extend(of_path(text));
    let asked = url.query_pairs().filter(|(name, value)| is_secret(name, value));
    holds.extend(asked.map(|(name, _)| format!("`{name}` of the address")));
    // behind the `#` stands what a server is not sent, or a name and a value as in a query
    if let Some(fragment) = url.fragment().filter(|text| !text.is_empty()) {
        let named =
            url::form_urlencoded::parse(fragment.as_bytes()).any(|(name, value)| is_secret(&name, &value));
        holds.extend((named || is_key(fragment)).then(|| "what follows `#` in the address".to_owned()));
    }
    Shown { text: shown, holds: Some(holds.join(", ")).filter(|holds| !holds.is_empty()) }
}

fn keys(url: &Url) -> impl Iterator<Item = &str> {
    url.path_segments().into_iter().flatten().filter(|part| is_key(part))
}

/// What of the path of an address is a credential, in words.
pub(crate) fn of_path(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    keys(&url).next().map(|_| "a part of the address".to_owned())
}

/// Whether part of a path is there because nobody can guess it. A UUID names something as often as not.
fn is_key(part: &str) -> bool {
    if inspect::shown::without_secrets("", part).is_some() {
        return true;
    }
    let part = part.trim_end_matches('=').replace("%3D", "");
    // `bot123456:KEY`
    if let Some((_, key)) = part.replace("%3A", ":").split_once(':') {
        return is_key(key);
    }
    let has = |is: fn(&u8) -> bool| part.bytes().any(|b| is(&b));
    let hex = part.len() >= HEX_MIN && part.bytes().all(|b| b.is_ascii_hexdigit());
    let run = part.split(['-', '_', '.']).map(str::len).max().unwrap_or_default();
    let letters = has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase);
    let mixed =
        run >= MIXED_MIN && letters && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    (hex || mixed) && has(u8::is_ascii_digit)
}

/// A line of the configuration that an entry became, without the credentials among its words and in its path.
pub(crate) fn hidden(entry: &Entry, line: &str) -> String {
    let toml = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let words = entry.command.iter().zip(words(&entry.command)).filter(|(word, shown)| shown.text != **word);
    let line =
        words.fold(line.to_owned(), |line, (word, shown)| line.replace(&toml(word), &toml(&shown.text)));
    let url = entry.url.as_deref().and_then(|url| Url::parse(url).ok());
    url.iter().flat_map(keys).fold(line, |line, part| line.replace(part, DOTS))
}

/// What of an entry is a credential, in words.
pub(crate) fn held(entry: &Entry) -> Vec<String> {
    let named = entry.env.iter().chain(&entry.headers).filter(|(name, value)| is_secret(name, value));
    let mut held: Vec<String> = named.map(|(name, _)| format!("`{name}`")).collect();
    held.extend(words(&entry.command).into_iter().filter_map(|word| word.holds));
    held.extend(entry.addresses().filter_map(|url| address(url).holds));
    held
}

#[cfg(test)]
mod tests;
