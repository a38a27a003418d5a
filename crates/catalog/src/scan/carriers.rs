//! Sentences where a value belongs: a default, an enum, a pattern, a title that orders something.

use super::places::Place;
use inspect::finding::excerpt;
use inspect::text::{Blank, blank, commands, is_address, is_sentence, is_strongbox};
use inspect::{Detector, Seat, Severity, Sighting};

/// Parameters whose values are sentences by nature.
const TEXTS: &[&str] = &[
    "prompt",
    "message",
    "body",
    "text",
    "content",
    "template",
    "instruction",
    "comment",
    "description",
    "subject",
    "query",
    "question",
    "reason",
    "summary",
    "system",
    "title",
    "input",
    "caption",
    "sql",
    "statement",
    "script",
];

/// Parameters whose values are addresses by nature.
const ADDRESSES: &[&str] = &[
    "url",
    "uri",
    "endpoint",
    "host",
    "mail",
    "address",
    "webhook",
    "link",
    "server",
    "callback",
    "recipient",
    "to",
    "from",
    "domain",
    "origin",
    "base",
    "site",
    "page",
    "href",
    "feed",
    "proxy",
    "image",
    "source",
    "issuer",
    "audience",
    "api",
    "path",
    "schema",
    "repo",
    "repository",
    "registry",
    "resource",
    "namespace",
    "type",
    "user",
    "account",
    "iri",
    "id",
    "scope",
    "data",
    "file",
];

/// Parameters in which a store of secrets is named by right.
const KEYS: &[&str] = &[
    "key", "ssh", "identity", "cred", "secret", "token", "cert", "auth", "kube", "config", "env", "profile",
    "wallet", "keystore", "path", "pem",
];

/// The short words of a name stand by themselves, or every `side` would have an `id`.
fn speaks_of(parameter: Option<&str>, words: &[&str]) -> bool {
    let parameter = parameter.unwrap_or_default();
    let lower = parameter.to_lowercase();
    let part = |word: &str| lower.split(|c: char| !c.is_alphanumeric()).any(|part| part == word);
    let camel = |word: &str| {
        let tail =
            parameter.len().checked_sub(word.len()).and_then(|at| parameter.get(at..)).unwrap_or_default();
        tail.starts_with(char::is_uppercase) && tail.to_lowercase() == word
    };
    words.iter().any(|word| if word.len() > 3 { lower.contains(word) } else { part(word) || camel(word) })
}

pub(super) fn look(place: &Place<'_>) -> Option<Sighting> {
    if place.seat != Seat::Value {
        return None;
    }
    let (text, key) = (place.text, place.key);
    if matches!(key, "default" | "const") && is_address(text) && !speaks_of(place.parameter, ADDRESSES) {
        let because =
            "a parameter that is about no address has one for its value, which nobody types".to_owned();
        return Some(Sighting::new(Detector::Carrier, Severity::High, 0.7, because));
    }
    if matches!(key, "default" | "const") && is_strongbox(text) && !speaks_of(place.parameter, KEYS) {
        let because = format!("unless it is told otherwise, it takes `{text}`, which holds secrets");
        return Some(Sighting::new(Detector::Carrier, Severity::High, 0.75, because));
    }
    if !is_sentence(text) {
        return None;
    }
    // the words of `^(GET|POST)$` are not said one after the other
    if key == "pattern" && text.split_whitespace().count() < 6 {
        return None;
    }
    let texts = speaks_of(place.parameter, TEXTS);
    let (severity, confidence) = match (key, commands(text)) {
        ("default" | "const", true) if !texts => (Severity::High, 0.8),
        ("default" | "const", _) if !texts => (Severity::Medium, 0.5),
        ("enum" | "pattern" | "format" | "required" | "type" | "$ref" | "$id", true) => (Severity::High, 0.8),
        ("version" | "websiteUrl", true) => (Severity::High, 0.8),
        ("pattern" | "format" | "required" | "type" | "version" | "websiteUrl", false) => {
            (Severity::Medium, 0.6)
        }
        ("enum", false) => (Severity::Low, 0.2),
        _ => return None,
    };
    let because = format!("a sentence stands where `{key}` has a value");
    Some(Sighting::new(Detector::Carrier, severity, confidence, because))
}

/// An address with a blank for what was said, for a secret or for who the user is: whoever fills it in, or shows the picture
/// that is there, sends that along.
pub(super) fn blanks(place: &Place<'_>) -> Option<Sighting> {
    if place.key == "uriTemplate" || place.seat == Seat::Name {
        return None;
    }
    let icon = place.key == "src" && place.pointer.contains("/icons/");
    // documentation names the parts of an address; nobody documents by a default
    let value = icon
        || place.seat == Seat::Value
            && (matches!(place.key, "default" | "const" | "uri" | "websiteUrl")
                || place.pointer.starts_with("/_meta/"));
    let spoken_of = ["e.g.", "such as", "for example"].iter().any(|mark| place.text.contains(mark));
    let (severity, what) = match blank(place.text)? {
        Blank::Talk if spoken_of => (Severity::Medium, "what was said"),
        Blank::Talk => (Severity::High, "what was said"),
        Blank::Secret if value => (Severity::High, "a secret"),
        Blank::Person if value => (Severity::High, "who the user is"),
        Blank::Any if icon => (Severity::Medium, "something"),
        Blank::Secret | Blank::Person | Blank::Any => return None,
    };
    let because =
        format!("an address has a blank for {what}, which goes there with it: `{}`", excerpt(place.text));
    Some(Sighting::new(Detector::Outside, severity, 0.75, because))
}
