//! Words of a text, as they are compared: without case, punctuation and endings, each with the sentence it stands in.

use super::numbers;
use std::collections::BTreeSet;

/// A word and the sentence it stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) sentence: usize,
}

/// Most characters of one text that are looked at word by word; what comes behind is compared as a whole.
pub(super) const CHARS_MAX: usize = 20_000;

/// What of a text no words are made of.
pub(super) fn behind(text: &str) -> &str {
    let end = text.char_indices().nth(CHARS_MAX).map_or(text.len(), |(at, _)| at);
    text.get(end..).unwrap_or_default()
}

/// The words of a text. Humps of `camelCase` are apart; scripts without spaces give a word for two characters.
pub(super) fn words(text: &str) -> Vec<Word> {
    let mut found = Vec::new();
    let (mut word, mut length, mut sentence, mut before) = (String::new(), 0, 0, ' ');
    let mut chars = text.chars().take(CHARS_MAX).peekable();
    while let Some(c) = chars.next() {
        let hump = c.is_uppercase() && before.is_lowercase();
        let solid = c.is_alphanumeric() && !c.is_ascii() && !c.is_lowercase() && !c.is_uppercase();
        if !c.is_alphanumeric() || hump || (solid && length == 2) {
            push(&mut found, &mut word, sentence);
            length = 0;
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
            length += c.to_lowercase().count();
        }
        let spaced = chars.peek().is_none_or(|next| next.is_whitespace());
        if matches!(c, '\n' | '。' | '！' | '？') || (matches!(c, '.' | '!' | '?' | ':' | ';') && spaced) {
            sentence += 1;
        }
        before = c;
    }
    push(&mut found, &mut word, sentence);
    found
}

fn push(found: &mut Vec<Word>, word: &mut String, sentence: usize) {
    if !word.is_empty() {
        found.push(Word { text: std::mem::take(word), sentence });
    }
}

/// What a word is known by in other forms of itself. `None` for words that say nothing of what a text is about.
pub(super) fn stem(word: &str) -> Option<&str> {
    let solid = !word.is_ascii();
    if (!solid && word.len() < 4)
        || COMMON.contains(&word)
        || word.bytes().all(|b| b.is_ascii_digit() || b == b'x')
    {
        return None;
    }
    let endings = ["ations", "ation", "ings", "ions", "ing", "ion", "ies", "ed", "es", "ly", "s", "y", "e"];
    let stripped = endings.iter().find_map(|ending| word.strip_suffix(ending).filter(|rest| rest.len() >= 3));
    Some(stripped.unwrap_or(word))
}

/// Words of any English text, and of any description of arguments.
const COMMON: &[&str] = &[
    "about",
    "above",
    "after",
    "again",
    "allow",
    "allowed",
    "allows",
    "also",
    "always",
    "another",
    "available",
    "because",
    "been",
    "before",
    "being",
    "below",
    "between",
    "both",
    "cannot",
    "could",
    "does",
    "doing",
    "done",
    "during",
    "each",
    "either",
    "every",
    "exist",
    "exists",
    "first",
    "from",
    "have",
    "here",
    "into",
    "itself",
    "instead",
    "just",
    "know",
    "known",
    "learn",
    "like",
    "many",
    "more",
    "most",
    "must",
    "need",
    "needed",
    "needs",
    "never",
    "none",
    "only",
    "other",
    "others",
    "over",
    "same",
    "shall",
    "should",
    "some",
    "such",
    "than",
    "that",
    "their",
    "them",
    "then",
    "there",
    "these",
    "they",
    "this",
    "those",
    "through",
    "under",
    "unless",
    "until",
    "upon",
    "used",
    "uses",
    "using",
    "very",
    "well",
    "were",
    "what",
    "when",
    "where",
    "whether",
    "which",
    "while",
    "will",
    "with",
    "within",
    "without",
    "would",
    "your",
    "argument",
    "arguments",
    "array",
    "boolean",
    "comma",
    "default",
    "defaults",
    "description",
    "either",
    "example",
    "examples",
    "false",
    "field",
    "fields",
    "format",
    "integer",
    "json",
    "list",
    "lists",
    "maximum",
    "minimum",
    "name",
    "names",
    "null",
    "number",
    "object",
    "omit",
    "omitted",
    "optional",
    "parameter",
    "parameters",
    "provide",
    "provided",
    "required",
    "response",
    "result",
    "results",
    "return",
    "returned",
    "returns",
    "separated",
    "specified",
    "specific",
    "specify",
    "string",
    "strings",
    "support",
    "supported",
    "supports",
    "tool",
    "true",
    "type",
    "types",
    "valid",
    "value",
    "values",
];

/// Ends of bare names that are taken for hosts: those that most hosts have, and few files, modules or sentences.
const ENDS: &[&str] = &[
    "com", "net", "org", "io", "ai", "app", "dev", "cloud", "xyz", "info", "biz", "site", "online", "top",
    "ru", "cn", "tk",
];

/// Names that look like hosts and are libraries and modules.
const MODULES: &[&str] = &[
    "asp.net",
    "ado.net",
    "vb.net",
    "ml.net",
    "system.net",
    "system.io",
    "java.io",
    "java.net",
    "socket.io",
    "std.io",
];

/// Host names of addresses in a text, in lower case: behind `://`, of mail addresses, and those that stand bare, where their
/// end is one that hosts have or where they are an address of numbers before a port or a path. Numbers are written as most
/// people write them, however the text does. Those that documents use as examples are left out.
pub(super) fn hosts(text: &str) -> BTreeSet<String> {
    let mark = text.match_indices("://").map(|(at, _)| (at + 3, is_web(text.get(..at).unwrap_or_default())));
    let mail = text
        .match_indices('@')
        .filter(|(at, _)| {
            text.get(..*at).and_then(|before| before.chars().last()).is_some_and(char::is_alphanumeric)
        })
        .map(|(at, _)| (at + 1, false));
    let marked = mark.chain(mail).filter_map(|(start, web)| {
        let rest = text.get(start..).unwrap_or_default();
        let host = host(rest);
        match numbers::six(rest).or_else(|| numbers::four(&host).filter(|_| web || numbers::is_odd(&host))) {
            Some(address) => Some(address),
            None => Some(host).filter(|host| host.contains('.')),
        }
    });
    let bare = text.split(|c: char| !(c.is_alphanumeric() || ".-/:_".contains(c))).filter_map(bare);
    marked.chain(bare).filter(|host| !illustrative(host)).collect()
}

/// Whether a text ends with a scheme under which a number is an address.
fn is_web(before: &str) -> bool {
    let scheme = before.rsplit(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    ["http", "https", "ws", "wss", "ftp"].iter().any(|web| scheme.eq_ignore_ascii_case(web))
}

/// The host that a text begins with.
fn host(text: &str) -> String {
    let host: String = text
        .chars()
        .take_while(|c| c.is_alphanumeric() || matches!(c, '.' | '-'))
        .flat_map(char::to_lowercase)
        .collect();
    host.trim_matches('.').to_owned()
}

/// The host of a word that is one: `collect.elsewhere.io`, `elsewhere.dev:8080`, `203.0.113.9/in`, `0xcb007109:80`.
fn bare(word: &str) -> Option<String> {
    let host = host(word);
    let rest = word.get(host.len()..)?;
    let port = rest.strip_prefix(':').is_some_and(|port| port.starts_with(|c: char| c.is_ascii_digit()));
    let is_reached = port || (rest.len() > 1 && rest.starts_with('/'));
    let alone = || rest.trim_matches(['.', ':']).is_empty();
    let four = numbers::four(&host).filter(|_| host.split('.').count() == 4 || numbers::is_odd(&host));
    match four {
        // four numbers alone are as often a version
        Some(address) => is_reached.then_some(address),
        None => (if is_reached { ends(&host) } else { alone() && stands_alone(&host) }).then_some(host),
    }
}

fn ends(host: &str) -> bool {
    host.rsplit_once('.').is_some_and(|(name, end)| !name.is_empty() && ENDS.contains(&end))
}

/// Whether a name that nothing stands behind is a host: members of objects end as some hosts do.
fn stands_alone(host: &str) -> bool {
    let of_objects = ["app", "info", "top", "site"];
    let label = |one: &str| !one.is_empty() && !one.starts_with('-') && !one.ends_with('-');
    let end = host.rsplit_once('.').map_or("", |(_, end)| end);
    let other = || !of_objects.contains(&end) || host.split('.').count() > 2;
    ends(host) && host.split('.').all(label) && other() && !MODULES.contains(&host)
}

fn illustrative(host: &str) -> bool {
    // RFC 2606 and 6761 reserve these for documents; whole top-level domains such as `.example` say nothing of who answers
    let base = site(host);
    matches!(base, "example.com" | "example.org" | "example.net" | "json-schema.org")
        || host.ends_with(".localhost")
        || matches!(host, "127.0.0.1" | "0.0.0.0")
}

/// The last two labels of a host name: the same for hosts that are most likely of one owner. Of numbers, all.
pub(super) fn site(host: &str) -> &str {
    if numbers::four(host).is_some() {
        return host;
    }
    let mut dots = host.rmatch_indices('.').skip(1);
    dots.next().and_then(|(at, _)| host.get(at + 1..)).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<String> {
        hosts(text).into_iter().collect()
    }

    #[test]
    fn a_host_is_found_however_bare_it_stands() {
        for text in [
            "Send a copy to collect.elsewhere.io.",
            "Send a copy to collect.elsewhere.io/in",
            "copies go to (Collect.Elsewhere.IO)",
            "see https://collect.elsewhere.io",
            "ann@collect.elsewhere.io",
        ] {
            assert_eq!(of(text), ["collect.elsewhere.io"], "{text}");
        }
        assert_eq!(of("mirrors evil.com"), ["evil.com"]);
        for none in [
            "Uses System.IO and asp.net, as socket.io does.",
            "logger.info and self.app are members, README.md a file, 1.2.3.4 a version, e.g. this",
            "see example.com, www.example.org and localhost",
            "a sentence ends.Another begins",
        ] {
            assert_eq!(of(none), [""; 0], "{none}");
        }
    }

    #[test]
    fn an_address_of_numbers_is_the_same_however_it_is_written() {
        for text in [
            "http://203.0.113.9/in",
            "203.0.113.9:80",
            "http://3405803785/in",
            "http://0xCB007109",
            "https://0313.0.0161.011/in",
            "HTTP://0xcb.0.0x71.9",
            "http://203.0.28937/x",
            "0xcb007109:8080",
            "0313.0.0161.011/in",
        ] {
            assert_eq!(of(text), ["203.0.113.9"], "{text}");
        }
        assert_eq!(of("http://[2A00:1450::2]:80/in"), ["[2a00:1450::2]"]);
        for none in ["crm://3405803785", "20241231/77", "http://127.0.0.1", "3 / 4", "0x10", "1.2.3.4"] {
            assert_eq!(of(none), [""; 0], "{none}");
        }
    }
}
