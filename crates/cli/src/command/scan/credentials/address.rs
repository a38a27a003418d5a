//! What of an address is a credential, and the address without it.

use super::{DOTS, Shown, is_reference, is_secret, named};
use crate::settings::is_plain;
use std::borrow::Cow;
use url::Url;

/// Shortest part of a path that may be a key: in one kind of digits, and in letters of both cases with digits.
const HEX_MIN: usize = 32;
const MIXED_MIN: usize = 24;
/// Longest name of a parameter that is shown, in bytes.
const NAME_MAX: usize = 20;
/// Shortest text behind a `#` that names no part of a page.
const DRAWN_MIN: usize = 16;

/// What an address asks with that may be a credential: by the rule by which one is taken out of it, where it is one of HTTP.
pub(crate) fn asks(url: &Url) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    url.query_pairs().filter(|(name, value)| may_be_secret(url, name, value))
}

/// Whether a parameter is a credential, or may be one.
type Rule = fn(&Url, &str, &str) -> bool;

fn may_be_secret(url: &Url, name: &str, value: &str) -> bool {
    match url.scheme() {
        "http" | "https" | "ws" | "wss" => {
            !is_plain(name, value) && !is_reference(value) && !is_reference(name)
        }
        _ => is_secret(name, value),
    }
}

/// Whether nobody chose it: a heading has no digits among capitals, or is several words.
fn is_drawn(fragment: &str) -> bool {
    let has = |is: fn(&u8) -> bool| fragment.bytes().any(|b| is(&b));
    let is_one_word = !fragment.contains(['-', '_', '.']) && fragment.len() >= DRAWN_MIN;
    named::is_random(fragment) && (is_one_word || has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase))
}

/// Where the scheme ends, and the slashes behind it, as browsers read it: `https:/x` and `https:x` are addresses too.
fn behind_scheme(text: &str) -> usize {
    let slashes = |from: usize| {
        let rest = text.get(from..).unwrap_or_default();
        from + (rest.len() - rest.trim_start_matches(['/', '\\']).len())
    };
    let lower = text.trim_start().to_ascii_lowercase();
    let gap = text.len() - text.trim_start().len();
    let known = ["https:", "http:", "wss:", "ws:"].iter().find(|scheme| lower.starts_with(**scheme));
    match (text.find("//"), known) {
        (_, Some(scheme)) => slashes(gap + scheme.len()),
        // the `//` may stand in the path, behind the host
        (Some(at), None) if !text.get(..at).unwrap_or_default().contains('@') => slashes(at),
        _ => 0,
    }
}

/// The text with dots for whatever stands before the `@` of its host, and that; `None` where nothing does. It goes by the text
/// alone: what is no address has a password all the same.
/// Where it is an address by its place (`is_address`), a name alone is enough.
pub(super) fn userinfo(text: &str, is_address: bool) -> Option<(String, &str)> {
    let (scheme, rest) = text.split_at_checked(behind_scheme(text))?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    // an address that is none may have a `/` in its password
    let cut = rest.get(..end)?.rfind('@').or_else(|| {
        let all = rest.split(['?', '#']).next()?;
        Url::parse(text).is_err().then(|| all.rfind('@'))?
    })?;
    let (who, host) = rest.split_at_checked(cut)?;
    let leads_on =
        host.get(1..).is_some_and(|host| host.starts_with(|c: char| c.is_alphanumeric() || c == '['));
    let is_it = match scheme {
        "" if is_address => !who.is_empty() && leads_on,
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

pub(super) fn is_of_http(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| scheme.ends_with("http") || scheme.ends_with("https"))
}

/// An address without its password, without what it asks with, and without a part of its path that is a key.
pub(crate) fn address(text: &str) -> Shown {
    shown(text, true, may_be_secret)
}

/// The same of one that is published, whose parameters everybody has anyway unless they are credentials by name or form.
pub(crate) fn published(text: &str) -> Shown {
    shown(text, true, |_, name, value| is_secret(name, value))
}

/// The same of what may be none: the name of a package or an image.
pub(super) fn address_in(word: &str) -> Shown {
    shown(word, false, may_be_secret)
}

fn shown(text: &str, is_address: bool, rule: Rule) -> Shown {
    let mut holds = Vec::new();
    let hidden = userinfo(text, is_address);
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
    let asked = url.query_pairs().filter(|(name, value)| rule(&url, name, value));
    holds.extend(asked.map(|(name, value)| {
        // a value may stand where the name belongs
        let is_name =
            name.len() <= NAME_MAX && name.bytes().all(|b| b.is_ascii_alphabetic() || b"-_".contains(&b));
        match is_name && !value.is_empty() {
            true => format!("`{name}` of the address"),
            false => "what follows `?` in the address".to_owned(),
        }
    }));
    // behind the `#` stands what a server is not sent, or a name and a value as in a query
    if let Some(fragment) = url.fragment().filter(|text| !text.is_empty()) {
        let named = url::form_urlencoded::parse(fragment.as_bytes())
            .any(|(name, value)| !value.is_empty() && rule(&url, &name, &value));
        let is_it = named || is_key(fragment) || is_drawn(fragment);
        holds.extend(is_it.then(|| "what follows `#` in the address".to_owned()));
    }
    Shown { text: shown, holds: Some(holds.join(", ")).filter(|holds| !holds.is_empty()) }
}

pub(super) fn keys(url: &Url) -> impl Iterator<Item = &str> {
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
