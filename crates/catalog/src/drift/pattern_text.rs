//! What a pattern let through, and what it lets through now, as far as that can be told without searching.

/// A pattern as an address is read: dots without their backslash, and each alternative of hosts behind its own `://`.
pub(super) fn as_text(pattern: &str) -> String {
    let plain = plain(pattern).replace("(?:", "(");
    if !plain.contains("://") {
        return plain;
    }
    plain.replace('(', "").replace('|', " ://").replace(')', "/")
}

/// Without the backslashes before signs.
fn plain(pattern: &str) -> String {
    let mut text = String::with_capacity(pattern.len());
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\\' || chars.peek().is_none_or(|next| next.is_alphanumeric()) {
            text.push(c);
        } else {
            text.extend(chars.next());
        }
    }
    text
}

/// Why a pattern lets through more than the one before, where that can be seen.
pub(super) fn loosened(old: &str, new: &str) -> Option<&'static str> {
    let whole = |one: &str| one.starts_with('^');
    let ended = |one: &str| one.ends_with('$') && !one.ends_with("\\$");
    if (whole(old) && !whole(new)) || (ended(old) && !ended(new)) {
        return Some("it need not be all of the text any more");
    }
    if let (Some(before), Some(after)) = (authority(old), authority(new)) {
        if before.1 && !after.1 {
            return Some("the host need not end where it did");
        }
        if !any_sign(&before.0) && any_sign(&after.0) {
            return Some("a dot in the host is any character");
        }
    }
    admits(old, new).then_some("it lets through signs that lead elsewhere")
}

/// The host in a pattern of addresses, and whether something ends it.
fn authority(pattern: &str) -> Option<(String, bool)> {
    let pattern = pattern.replace("\\/", "/");
    let (_, rest) = pattern.split_once("://")?;
    let (host, ended) = match rest.split_once('/') {
        Some((host, _)) => (host, true),
        None => (rest, rest.ends_with('$')),
    };
    Some((host.to_owned(), ended))
}

/// Whether a dot stands in it without a backslash before it.
fn any_sign(host: &str) -> bool {
    let mut before = ' ';
    host.chars().any(|c| {
        let any = c == '.' && before != '\\';
        before = c;
        any
    })
}

/// Whether the two differ in one set of characters alone, which has signs now that it had not.
fn admits(old: &str, new: &str) -> bool {
    const SIGNS: &str = ".~/\\;|&$`'\"<>*%:@?#\n ";
    let set = |one: &str| {
        let (head, rest) = one.split_once('[')?;
        let (set, tail) = rest.split_once(']')?;
        Some((head.to_owned(), set.to_owned(), tail.to_owned()))
    };
    let (Some(before), Some(after)) = (set(old), set(new)) else { return false };
    let negated = before.1.starts_with('^') || after.1.starts_with('^');
    let same = before.0 == after.0 && before.2 == after.2;
    same && !negated && SIGNS.chars().any(|sign| after.1.contains(sign) && !before.1.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_that_lets_through_more_is_seen() {
        for (old, new) in [
            (r"^https://docs\.acme\.com/", r"https://docs\.acme\.com/"),
            (r"^https://docs\.acme\.com/", r"^https://docs\.acme\.com"),
            (r"^https://docs\.acme\.com/", "^https://docs.acme.com/"),
            ("^[a-z]+$", "^[a-z]+"),
            ("^[a-z0-9_/]+$", "^[a-z0-9_/.~]+$"),
        ] {
            assert!(loosened(old, new).is_some(), "{old} {new}");
            assert_eq!(loosened(new, old), None, "{new} {old}");
        }
        for (old, new) in [
            (r"^[A-Z][A-Z0-9_]+-\d+$", r"^[A-Z][A-Z0-9_]+-\d+(?:-\d+)*$"),
            (r"^https://docs\.acme\.com/", r"^https://docs\.acme\.com/v2/"),
            ("^[a-z]+$", "^[a-z0-9]+$"),
        ] {
            assert_eq!(loosened(old, new), None, "{old} {new}");
        }
        assert_eq!(
            as_text(r"^https://(docs\.acme\.com|evil-docs\.net)/"),
            "^https://docs.acme.com ://evil-docs.net//"
        );
        assert_eq!(as_text(r"^\d+\.txt$"), r"^\d+.txt$");
    }
}
