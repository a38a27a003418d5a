//! Names of tools and of parameters, and what they say of a tool's business.

use super::super::lexicon::{CONTEXT, IGNORE, PAY, PLACE, POWER, RULES, SECRET, STRONGBOX, TALK, WHOLE};
use super::super::words::Token;
use super::Said;
use crate::finding::{Detector, Severity, Sighting};
use crate::text::About;
use Severity::{High, Low, Medium};

/// Parts of the names of tools that take keys by trade: who connects, signs, encrypts, or installs certificates.
const TRADES: &[&str] = &[
    "cert",
    "ssh",
    "sftp",
    "ssl",
    "tls",
    "x509",
    "gpg",
    "pgp",
    "jwt",
    "jws",
    "saml",
    "crypt",
    "signer",
    "signature",
    "keypair",
    "connect",
    "tunnel",
    "wallet",
    "login",
    "keystore",
];
/// The same, as words by themselves.
const TRADE_WORDS: &[&str] = &["sign", "auth", "key", "keys", "account", "scp", "evm", "eth", "pem", "csr"];
/// What is asked for beside a key by whoever connects somewhere or installs a certificate.
const BESIDE: &[&str] = &[
    "host",
    "hostname",
    "port",
    "user",
    "username",
    "passphrase",
    "certificate",
    "certificate_chain",
    "certificatechain",
    "cert",
    "public_key",
    "publickey",
    "account",
];
/// Parts of the names of arguments, and of tools, in which a secret is no surprise.
const FOR_SECRETS: &[&str] = &[
    "auth",
    "token",
    "secret",
    "passw",
    "passphrase",
    "passcode",
    "credential",
    "cred",
    "login",
    "session",
    "cookie",
    "header",
    "cert",
    "wallet",
    "payment",
    "bank",
    "iban",
    "vault",
    "oauth",
    "connect",
    "bearer",
    "mnemonic",
    "signin",
    "signup",
    "verif",
    "checkout",
    "config",
    "env",
    "identity",
    "account",
    "totp",
];
/// The same, as words by themselves.
const FOR_SECRETS_WORDS: &[&str] = &[
    "key", "keys", "apikey", "pin", "code", "otp", "pass", "pwd", "pem", "card", "ssn", "tax", "jwt", "sign",
    "seed", "phrase", "mfa", "2fa", "cvv", "cvc", "pay", "register", "dsn", "url", "uri", "api",
];

/// An argument, or a tool, in which a secret is no surprise by its name.
pub(in crate::steering) fn is_for_secrets(name: &str) -> bool {
    speaks(name, FOR_SECRETS, FOR_SECRETS_WORDS)
}

/// Secrets are the tool's business by its own or its server's name.
pub(in crate::steering) fn deals_in_secrets(about: &About<'_>) -> bool {
    about.own.meets(SECRET.or(STRONGBOX).or(PAY)) || about.name.is_some_and(is_for_secrets)
}

fn speaks(name: &str, parts: &[&str], words: &[&str]) -> bool {
    let lower = name.to_lowercase();
    parts.iter().any(|part| lower.contains(part))
        || lower.split(|c: char| !c.is_alphanumeric()).any(|word| words.contains(&word))
}

/// Behind the name of a secret: it is spoken of what is done about it, and the secret is not meant.
pub(super) fn qualifies(token: &Token<'_>) -> bool {
    matches!(
        &*token.text,
        "manager"
            | "policy"
            | "policies"
            | "rotation"
            | "expiry"
            | "expiration"
            | "strength"
            | "length"
            | "required"
            | "enabled"
            | "reset"
            | "hint"
            | "type"
            | "name"
            | "names"
            | "arn"
            | "algorithm"
            | "id"
            | "ids"
            | "uuid"
            | "uuids"
            | "fingerprint"
    )
}

impl Said<'_> {
    /// `passwordPolicy`, `secret_rotation`: what is done about secrets, and none.
    fn is_about_it(&self) -> bool {
        self.sentence.tokens.last().is_some_and(qualifies)
    }

    /// `private_key`, where keys are the trade: of a tool that connects, signs or installs certificates, and of a wallet.
    fn takes_keys_by_trade(&self) -> bool {
        let s = self.sentence;
        let all = |words: &[&str]| {
            s.places(STRONGBOX).all(|at| s.tokens.get(at).is_some_and(|token| words.contains(&&*token.text)))
        };
        let keys = all(&["private", "ssh", "gpg", "pgp", "signing", "deploy", "service"]);
        let purse = self.about.own.meets(PAY) && all(&["private", "wallet", "mnemonic", "seed", "recovery"]);
        let beside = |ours: &std::collections::BTreeSet<String>| {
            BESIDE.iter().filter(|name| ours.contains(**name)).count() > 1
        };
        purse
            || keys
                && (self.about.name.is_some_and(|name| speaks(name, TRADES, TRADE_WORDS))
                    || self.about.ours.is_some_and(beside))
    }

    /// How many of its words are such as sentences are made of.
    pub(super) fn common_words(&self) -> usize {
        let is_common = |token: &&Token<'_>| crate::encoded::common::is_common(&token.text);
        self.sentence.tokens.iter().filter(is_common).count()
    }

    /// A parameter's or a tool's own name.
    pub(super) fn name(&self) -> Option<Sighting> {
        let s = self.sentence;
        let asks = self.foreign(CONTEXT)
            || self.foreign(TALK) && s.near(WHOLE, TALK, 3)
            || self.foreign(PLACE) && self.of(WHOLE);
        // `only_if_all_discussions_are_resolved` is a condition
        let condition = s.tokens.iter().any(|token| matches!(&*token.text, "if" | "unless" | "only"))
            || s.tokens.len() < 4 && s.tokens.first().is_some_and(|token| token.text == "has");
        let asks =
            asks && !condition && !self.sets_up_a_model() || super::super::conduct::hoards(s, self.about);
        let secret = self.foreign(STRONGBOX);
        let power = self.of(POWER) && self.of(IGNORE) || s.near(IGNORE, RULES, 3);
        let long = s.tokens.len() > 6 && self.common_words() > 1;
        let secret = secret && !self.is_about_it();
        let why = match () {
            () if asks => "its name asks for the conversation or all of a place",
            () if secret && self.takes_keys_by_trade() => "its name asks for a key, as tools of its trade do",
            () if secret => "its name asks for secrets that are not this tool's business",
            () if power => "its name overrules something",
            () if long => "its name is a sentence",
            () => return None,
        };
        let severity = match () {
            () if !asks && secret && self.takes_keys_by_trade() => Low,
            () if long && !asks && !secret && !self.is_an_order_for_a_name() => Medium,
            () => High,
        };
        Some(self.sees(Detector::ExfiltrationParameter, severity, 0.8, why))
    }
}
