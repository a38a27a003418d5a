//! Variables and flags that hold credentials by their names, as servers are set up with them. Arguments of calls have other names,
//! and are masked by fewer.

/// Last words of a name that is a credential's, whatever stands before.
const LAST: [&str; 8] = ["pass", "pat", "jwt", "bearer", "cookie", "cookies", "passcode", "apitoken"];
/// Words before `key` that make it none.
const NO_KEYS: [&str; 27] = [
    "public",
    "pub",
    "primary",
    "foreign",
    "sort",
    "partition",
    "cache",
    "index",
    "hot",
    "routing",
    "object",
    "project",
    "space",
    "issue",
    "translation",
    "group",
    "order",
    "row",
    "range",
    "hash",
    "lookup",
    "map",
    "shard",
    "config",
    "host",
    "known",
    "verify",
];
/// Shortest name before an `@` that may be nobody's, in bytes.
const RANDOM_MIN: usize = 10;

/// Whether it is a credential by the name of its variable or flag, and does not only say where one is.
pub(super) fn is_credential(name: &str, value: &str) -> bool {
    let is_place = value.starts_with(['/', '~', '.']) || value.contains("://");
    let is_setting = matches!(value, "" | "null" | "true" | "false" | "none" | "yes" | "no" | "on" | "off")
        || value.len() < 6 && value.bytes().all(|b| b.is_ascii_digit());
    if is_place || is_setting {
        return false;
    }
    let words = words(name);
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        // `PWD` alone is the folder
        [.., before, "pwd"] => *before != "old",
        [.., before, "key" | "keys"] => !NO_KEYS.contains(before),
        [.., "auth", "header" | "headers"] => true,
        [.., last] => LAST.contains(last),
        [] => false,
    }
}

/// Whether a name is one that nobody chose: letters and digits in turn.
pub(super) fn is_random(name: &str) -> bool {
    let has = |is: fn(&u8) -> bool| name.bytes().any(|b| is(&b));
    name.len() >= RANDOM_MIN
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_alphabetic)
}

/// `OPENAI_KEY`, `openai-key` and `openaiKey` have two words, in small letters.
fn words(name: &str) -> Vec<String> {
    let (mut words, mut word, mut was_small) = (Vec::new(), String::new(), false);
    for c in name.chars() {
        if !c.is_ascii_alphanumeric() || was_small && c.is_ascii_uppercase() {
            words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
        }
        if c.is_ascii_alphanumeric() {
            word.push(c.to_ascii_lowercase());
        }
        was_small = c.is_ascii_lowercase();
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_known_by_the_words_of_its_name() {
        for name in [
            "MYSQL_PWD",
            "DB_PASS",
            "OPENAI_KEY",
            "ANTHROPIC_KEY",
            "GITHUB_PAT",
            "JWT",
            "BEARER",
            "COOKIE",
            "SESSION_COOKIE",
            "AUTH_HEADER",
            "ENCRYPTION_KEY",
            "AZURE_STORAGE_KEY",
            "openaiKey",
            "--db-pass",
        ] {
            assert!(is_credential(name, "hunter2"), "{name}");
        }
        for name in [
            "KEYBOARD",
            "MONKEY",
            "PASSAGE",
            "KEY_COUNT",
            "PUBLIC_KEY",
            "PWD",
            "OLD_PWD",
            "BYPASS",
            "COMPASS",
            "PATH",
            "KEY",
            "COOKIE_FILE",
            "JWT_ISSUER",
            "JIRA_PROJECT_KEY",
        ] {
            assert!(!is_credential(name, "hunter2"), "{name}");
        }
        for value in ["/run/key.pem", "https://keys.example", "true", "4096"] {
            assert!(!is_credential("TLS_KEY", value), "{value}");
        }
    }
}
