//! Where credentials stand in how a client starts or reaches a server, and the same without them.

mod address;
mod named;

pub(crate) use address::{address, asks, of_path, published};

use super::clients::Entry;
use address::{address_in, is_of_http, keys, userinfo};
use serde_json::Value;
use url::Url;

/// What stands in place of a credential.
pub(crate) const DOTS: &str = "••••••";
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
        .or_else(|| header(value))
        .or_else(|| json(value))
        .or_else(|| inspect::shown::without_secrets(name, value))
        .or_else(|| settings(value))
}

/// `Bearer VALUE` and `Basic VALUE` without what follows; `None` where it is a sentence that begins so.
fn header(value: &str) -> Option<String> {
    let (kind, rest) = value.trim().split_once(' ')?;
    let rest = rest.trim_start();
    let has = |is: fn(&u8) -> bool| rest.bytes().any(|b| is(&b));
    let is_one = !rest.is_empty() && !rest.contains(char::is_whitespace) && !is_reference(rest);
    let is_code = has(u8::is_ascii_digit) || has(u8::is_ascii_uppercase) || rest.contains(['=', '+', '/']);
    let is_it = match kind.to_ascii_lowercase().as_str() {
        "bearer" => is_one && (is_code || rest.len() >= 12),
        "basic" => is_one && is_code,
        _ => false,
    };
    is_it.then(|| format!("{kind} {DOTS}"))
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
            let shown = address_in(word);
            if shown.holds.is_some() {
                return shown;
            }
            // a name that lets one in looks like any other
            let is_address = is_of_http(word) || word.starts_with("//");
            let text = is_address.then(|| userinfo(word, false)).flatten();
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
