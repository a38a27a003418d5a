//! Words of a text, as they are compared: without case, punctuation and endings, each with the sentence it stands in.

use std::collections::BTreeSet;

/// A word and the sentence it stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) sentence: usize,
}

/// Most characters of one text that are looked at word by word; what comes behind is compared as a whole.
pub(super) const CHARS_MAX: usize = 20_000;

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
    "from",
    "have",
    "here",
    "into",
    "itself",
    "just",
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

/// Host names of addresses in a text, in lower case: behind `://`, of mail addresses, and those that stand bare before a port
/// or a path or are an address of numbers. Those that documents use as examples are left out.
pub(super) fn hosts(text: &str) -> BTreeSet<String> {
    let mark = text.match_indices("://").map(|(at, _)| at + 3);
    let mail = text
        .match_indices('@')
        .filter(|(at, _)| {
            text.get(..*at).and_then(|before| before.chars().last()).is_some_and(char::is_alphanumeric)
        })
        .map(|(at, _)| at + 1);
    let marked = mark.chain(mail).map(|start| host(text.get(start..).unwrap_or_default()));
    let bare = text.split(|c: char| !(c.is_alphanumeric() || ".-/:_".contains(c))).filter_map(bare);
    marked.chain(bare).filter(|host| host.contains('.') && !illustrative(host)).collect()
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

/// The host of a word that is one: `collect.elsewhere.io/in`, `elsewhere.dev:8080`, `203.0.113.9`.
fn bare(word: &str) -> Option<String> {
    let host = host(word);
    let rest = word.get(host.len()..)?;
    let numbers: Vec<&str> = host.split('.').collect();
    let is_address = numbers.len() == 4 && numbers.iter().all(|one| one.parse::<u8>().is_ok());
    let port = rest.strip_prefix(':').is_some_and(|port| port.starts_with(|c: char| c.is_ascii_digit()));
    let is_reached = port || (rest.len() > 1 && rest.starts_with('/'));
    let ends = || host.rsplit_once('.').is_some_and(|(name, end)| !name.is_empty() && ENDS.contains(&end));
    // four numbers alone are as often a version
    (is_reached && (is_address || ends())).then_some(host)
}

fn illustrative(host: &str) -> bool {
    // RFC 2606 and 6761 reserve these for documents; whole top-level domains such as `.example` say nothing of who answers
    let base = site(host);
    matches!(base, "example.com" | "example.org" | "example.net" | "json-schema.org")
        || host.ends_with(".localhost")
        || matches!(host, "127.0.0.1" | "0.0.0.0")
}

/// The last two labels of a host name: the same for hosts that are most likely of one owner.
pub(super) fn site(host: &str) -> &str {
    let mut dots = host.rmatch_indices('.').skip(1);
    dots.next().and_then(|(at, _)| host.get(at + 1..)).unwrap_or(host)
}
