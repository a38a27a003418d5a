//! What an address asks with that is plainly no credential. Whatever is not known to be harmless may be one.

use crate::command::scan::credentials;

/// What a parameter may be called, in small letters without `-` and `_`, whose value is a name that somebody chose.
const NAMES: [&str; 27] = [
    "accountid",
    "api",
    "apiversion",
    "env",
    "environment",
    "feature",
    "features",
    "format",
    "group",
    "lang",
    "language",
    "locale",
    "mode",
    "org",
    "organization",
    "profile",
    "project",
    "projectid",
    "projectref",
    "region",
    "scopes",
    "team",
    "tools",
    "toolset",
    "toolsets",
    "version",
    "workspace",
];
/// Parts of names under which something may let one in, however short it is.
const GUARDED: [&str; 18] = [
    "auth", "cert", "code", "cookie", "cred", "csrf", "hash", "jwt", "key", "nonce", "otp", "pass", "pin",
    "pwd", "sec", "sess", "sig", "tok",
];
/// Longest such name, in bytes: keys are longer.
const NAME_MAX: usize = 20;
/// Longest number that counts something, in digits.
const DIGITS_MAX: usize = 4;

/// Whether one parameter is plainly no credential: by its name, and by its value.
pub(crate) fn is_plain(name: &str, value: &str) -> bool {
    // a value may stand where the name belongs (`?KEY`)
    let is_name = !name.is_empty()
        && name.len() <= NAME_MAX
        && name.bytes().all(|b| b.is_ascii_alphabetic() || matches!(b, b'-' | b'_'));
    let known = name.to_ascii_lowercase().replace(['-', '_'], "");
    if !is_name || GUARDED.iter().any(|part| known.contains(part)) || credentials::is_secret(name, "x-plain")
    {
        return false;
    }
    let word = value.to_ascii_lowercase();
    let is_switch = matches!(word.as_str(), "true" | "false" | "null" | "none" | "on" | "off" | "yes" | "no");
    let is_count = (1..=DIGITS_MAX).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_digit());
    let is_chosen = NAMES.contains(&known.as_str())
        && (1..=NAME_MAX).contains(&value.len())
        && value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.,".contains(&b))
        && !credentials::is_secret("", value);
    is_switch || is_count || is_chosen
}

/// Whether an address asks with nothing, or with what is plainly no credential.
pub(super) fn asks_plainly(url: &url::Url) -> bool {
    url.query().is_none_or(str::is_empty) || url.query_pairs().all(|(name, value)| is_plain(&name, &value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_to_be_harmless_may_be_a_credential() {
        for (name, value) in [
            ("read_only", "true"),
            ("readOnly", "False"),
            ("cache", "off"),
            ("limit", "250"),
            ("project_ref", "abcdefgh"),
            ("projectRef", "abcdefghijklmnopqrst"),
            ("region", "eu-central-1"),
            ("toolsets", "issues,pulls"),
            ("api-version", "2024-11-05"),
        ] {
            assert!(is_plain(name, value), "{name}={value}");
        }
        for (name, value) in [
            ("key", "hunter"),
            ("api_key", "true"),
            ("apiKey", "12345"),
            ("token", "false"),
            ("pin", "4711"),
            ("password", "none"),
            ("sig", "abcdef"),
            ("k", "abc"),
            ("hunter2", "1"),
            ("abcdefghijklmnopqrstuvwxyz", "true"),
            ("", "true"),
            ("read_only", ""),
            ("limit", "12345"),
            ("key", "1234"),
            ("code", "1234"),
            ("session", "1"),
            ("project", "A1b2C3d4E5f6"),
            ("project", "0123456789abcdef01234567"),
            ("version", "sk-live-0123456789ab"),
            ("project", "a b"),
        ] {
            assert!(!is_plain(name, value), "{name}={value}");
        }
    }
}
