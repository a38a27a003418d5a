//! Variables and flags that hold credentials by their names, as servers are set up with them. Arguments of calls have other names,
//! and are masked by fewer.

/// Last words of a name that is a credential's, whatever stands before.
const LAST: [&str; 12] = [
    "pass",
    "pat",
    "jwt",
    "bearer",
    "cookie",
    "cookies",
    "passcode",
    "apitoken",
    "cred",
    "creds",
    "sshpass",
    "sshpassword",
];
/// What `auth` is set to that says which kind it is.
const KINDS_OF_AUTH: [&str; 14] = [
    "none", "basic", "bearer", "token", "oauth", "oauth2", "oidc", "apikey", "api-key", "jwt", "iam", "saml",
    "ntlm", "auto",
];
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
    let words = words(name);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    // whoever knows where it is may write there
    if let [.., "webhook"] | [.., "webhook", "url" | "uri"] | [.., "hook", "url"] = words.as_slice() {
        let path = value.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map(|(_, path)| path);
        return path.is_some_and(|path| !path.is_empty());
    }
    let is_place = value.starts_with(['/', '~', '.']) || value.contains("://");
    let is_setting = matches!(value, "" | "null" | "true" | "false" | "none" | "yes" | "no" | "on" | "off")
        || value.len() < 6 && value.bytes().all(|b| b.is_ascii_digit());
    if is_place || is_setting {
        return false;
    }
    match words.as_slice() {
        // `PWD` alone is the folder, and no option has its name
        ["pwd"] => name.starts_with('-'),
        [.., "auth"] => !KINDS_OF_AUTH.contains(&value.to_ascii_lowercase().as_str()),
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
            "SSHPASS",
            "AUTH",
            "BASIC_AUTH",
            "NPM_AUTH",
            "--creds",
            "--pwd",
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
        assert!(is_credential("WEBHOOK_URL", "https://hooks.example/services/T0/B0/x"));
        assert!(!is_credential("WEBHOOK_URL", "https://hooks.example/"));
        assert!(!is_credential("SERVICE_URL", "https://hooks.example/services/T0/B0/x"));
        for value in ["oauth2", "Basic", "none", "https://id.example"] {
            assert!(!is_credential("MCP_AUTH", value), "{value}");
        }
        for value in ["/run/key.pem", "https://keys.example", "true", "4096"] {
            assert!(!is_credential("TLS_KEY", value), "{value}");
        }
    }
}
