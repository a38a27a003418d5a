//! Whether an argument asks for what nobody should have: a credential, or what pays. By its name, since a server that means
//! harm says nothing of it.

use super::fields::{Site, at, object};
use super::stakes::Stakes;
use super::{Kind, guards};
use crate::names::words;
use serde_json::Value;

/// What a name ends in that is one by itself.
const WHOLE: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "pwd",
    "credential",
    "credentials",
    "creds",
    "secret",
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
    "authtoken",
    "accesstoken",
    "sessiontoken",
    "apitoken",
    "jwt",
    "otp",
    "totp",
    "cvv",
    "cvc",
    "ssn",
    "iban",
    "mnemonic",
    "creditcard",
    "cardnumber",
    "kennwort",
    "passwort",
];
/// The last two words of others.
const PAIRS: &[(&str, &[&str])] = &[
    ("key", &["api", "access", "secret", "private", "ssh", "signing", "auth", "account", "master"]),
    (
        "token",
        &[
            "access",
            "api",
            "auth",
            "authentication",
            "authorization",
            "bearer",
            "bot",
            "github",
            "gitlab",
            "id",
            "identity",
            "login",
            "oauth",
            "personal",
            "refresh",
            "security",
            "service",
            "session",
            "slack",
            "user",
        ],
    ),
    ("tokens", &["access", "auth", "refresh", "session"]),
    ("cookie", &["session", "auth", "login"]),
    ("header", &["auth", "authorization"]),
    ("code", &["verification", "security", "backup", "recovery", "mfa", "2fa", "otp", "pin", "sms", "time"]),
    ("phrase", &["seed", "recovery", "pass"]),
    ("answer", &["security"]),
    ("word", &["pass"]),
    ("card", &["credit", "debit", "payment"]),
    ("number", &["card", "account", "routing", "security", "iban"]),
    ("security", &["social"]),
    ("account", &["bank"]),
    ("pin", &["card", "atm", "user", "account"]),
    ("name", &["maiden"]),
];
/// Names of one word that mean nothing else alone.
const ALONE: &[&str] = &["token", "bearer", "authorization", "cookie", "cookies", "session"];
/// What such a name begins with asks whether, and not for it.
const WHETHER: &[&str] =
    &["include", "show", "has", "is", "with", "without", "no", "use", "allow", "list", "require"];

/// Whether an argument of this name takes one.
pub(super) fn is_asked(name: &str, schema: &Value) -> bool {
    let words = words(name);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let whether = words.first().is_some_and(|first| WHETHER.contains(first));
    if whether || schema.get("type").is_some_and(|of| of == "boolean") {
        return false;
    }
    match words.as_slice() {
        [alone] if ALONE.contains(alone) => true,
        [.., last] if WHOLE.contains(last) => true,
        [.., before, last] => PAIRS.iter().any(|(end, all)| end == last && all.contains(before)),
        _ => false,
    }
}

/// Says so of a new argument, and of what is in it.
pub(super) fn look(site: &mut Site<'_>, place: &str, name: &str, schema: &Value) {
    if is_asked(name, schema) {
        let because = "by its name it asks for a credential or for what pays".to_owned();
        site.push(place, Kind::ArgumentAsksSecret, true, 0.4, because);
    }
    if let Some(because) = guards::grants(name, schema, site.stakes == Stakes::Critical) {
        site.push(place, Kind::ArgumentGrants, true, site.stakes.lifted(), because.to_owned());
    }
    for (name, schema) in object(schema.get("properties")) {
        look(site, &at(&at(place, "properties"), name), name, schema);
    }
    if let Some(items) = schema.get("items") {
        look(site, &at(place, "items"), "", items);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_credential_is_told_by_the_name_of_what_takes_it() {
        for name in [
            "api_key",
            "apiKey",
            "X-API-Key",
            "password",
            "db_password",
            "session_token",
            "token",
            "githubToken",
            "credit_card",
            "card_number",
            "cvv",
            "client_secret",
            "ssh_private_key",
            "oneTimeCode",
            "seed_phrase",
        ] {
            assert!(is_asked(name, &json!({ "type": "string" })), "{name}");
        }
        for name in [
            "key",
            "page_token",
            "nextPageToken",
            "max_tokens",
            "idempotency_key",
            "primary_key",
            "password_policy",
            "secret_name",
            "include_secrets",
            "from_token",
            "country_code",
            "phone_number",
            "card",
            "account",
            "author",
            "user_name",
            "tokenCount",
            "sort_key",
            "postal_code",
        ] {
            assert!(!is_asked(name, &json!({ "type": "string" })), "{name}");
        }
        assert!(!is_asked("password", &json!({ "type": "boolean" })));
    }
}
