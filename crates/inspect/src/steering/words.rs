//! A text taken apart into sentences and words, each with what it speaks of.

use super::lexicon::{self, Topics};
use super::stem::stem;
use std::borrow::Cow;

/// Most words of one sentence; what has no full stop is cut.
const WORDS_MAX: usize = 160;
const BYTES_MAX: usize = 2_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Word,
    /// `snake_case`, `camelCase` or in backticks: its first word. The others are plain words.
    Name,
    Url,
    Mail,
    Path,
}

#[derive(Debug)]
pub(crate) struct Token<'a> {
    /// In small letters.
    pub(crate) text: Cow<'a, str>,
    pub(crate) kind: Kind,
    /// As a dictionary has it, which a command is.
    pub(crate) bare: bool,
    /// At the beginning of a sentence, or after a comma or the like.
    pub(crate) leads: bool,
    pub(crate) topics: Topics,
    /// The whole of a name.
    pub(crate) whole: Option<&'a str>,
}

#[derive(Debug)]
pub(crate) struct Sentence<'a> {
    pub(crate) text: &'a str,
    pub(crate) tokens: Vec<Token<'a>>,
    /// Of all tokens.
    pub(crate) topics: Topics,
    /// It is the first of its text.
    pub(crate) first: bool,
}

impl Sentence<'_> {
    /// Whoever names `list_ssh_keys`, or says "from `view_list_tool` output", speaks of a tool and not of keys, nor of what
    /// tools answered: words of such a name, and phrases that begin in it, are none of these topics.
    pub(crate) fn take_names_for_names(&mut self, topics: Topics, is_known: impl Fn(&str) -> bool) {
        let all = |tokens: &[Token<'_>]| tokens.iter().fold(Topics::NONE, |all, one| all.or(one.topics));
        let mut left = 0;
        let unspaced = self.topics.but(all(&self.tokens));
        for token in &mut self.tokens {
            if let Some(name) = token.whole {
                let known = token.kind == Kind::Name && is_known(&name.to_lowercase());
                left = if known { parts(name).count() } else { 0 };
            }
            if left > 0 {
                token.topics = token.topics.but(topics);
                left -= 1;
            }
        }
        self.topics = all(&self.tokens).or(unspaced);
    }
    pub(crate) fn speaks_of(&self, topics: Topics) -> bool {
        self.topics.meets(topics)
    }
    /// Whoever orders, or speaks to the reader or of the model, quotes nothing.
    pub(crate) fn speaks_to_somebody(&self) -> bool {
        use lexicon::{MODEL, MUST, SILENT, YOU};
        self.speaks_of(YOU.or(MODEL).or(MUST).or(SILENT))
    }
    /// Where something of these is spoken of.
    pub(crate) fn places(&self, topics: Topics) -> impl Iterator<Item = usize> {
        self.tokens.iter().enumerate().filter(move |(_, token)| token.topics.meets(topics)).map(|(i, _)| i)
    }
    pub(crate) fn any(&self, kind: Kind) -> bool {
        self.tokens.iter().any(|token| token.kind == kind)
    }
    /// Both are spoken of, at most so many words apart.
    pub(crate) fn near(&self, a: Topics, b: Topics, apart: usize) -> bool {
        self.places(a).any(|i| self.places(b).any(|j| i != j && i.abs_diff(j) <= apart))
    }
    /// The second is spoken of after the first, at most so many words later.
    pub(crate) fn follows(&self, a: Topics, b: Topics, apart: usize) -> bool {
        self.places(a).any(|i| self.places(b).any(|j| j > i && j - i <= apart))
    }
    /// The word at this place is said not to be done.
    pub(crate) fn is_negated(&self, at: usize) -> bool {
        let from = at.saturating_sub(4);
        let before = self.tokens.get(from..at).unwrap_or_default();
        before.iter().rev().take_while(|token| !token.leads || token.topics.meets(lexicon::NOT)).any(
            |token| token.topics.meets(lexicon::NOT) && !matches!(&*token.text, "no" | "without" | "nothing"),
        ) || self.tokens.get(at).is_some_and(|token| token.leads) && {
            let previous = at.checked_sub(1).and_then(|before| self.tokens.get(before));
            previous.is_some_and(|token| matches!(&*token.text, "not" | "never" | "don't"))
        }
    }
    /// Something of these is spoken of and not negated.
    pub(crate) fn affirms(&self, topics: Topics) -> bool {
        self.speaks_of(topics)
            && (self.tokens.iter().all(|token| !token.topics.meets(topics))
                || self.places(topics).any(|at| !self.is_negated(at)))
    }
    /// What the sentence commands: verbs as a dictionary has them, at the beginning, after a comma, or after words such as
    /// "must" and "always".
    pub(crate) fn commands(&self, verbs: Topics) -> bool {
        self.commanded(verbs).next().is_some()
    }
    /// Where such a verb stands.
    pub(crate) fn commanded(&self, verbs: Topics) -> impl Iterator<Item = usize> {
        self.places(verbs).filter(|at| {
            let Some(token) = self.tokens.get(*at) else { return false };
            let address = self.tokens.get(*at + 1).is_some_and(|next| next.text.starts_with("address"));
            let noun = address && matches!(&*token.text, "email" | "mail");
            let owed = !token.bare && self.is_owed(*at);
            !noun && !self.is_negated(*at) && (owed || token.bare && (token.leads || self.is_led(*at)))
        })
    }
    /// "is to be sent", "are to be included": an order, as offices give them.
    fn is_owed(&self, at: usize) -> bool {
        let before = self.tokens.get(at.saturating_sub(3)..at).unwrap_or_default();
        let words: Vec<&str> = before.iter().map(|token| &*token.text).collect();
        matches!(words.as_slice(), ["is" | "are", "to", "be"])
    }
    fn is_led(&self, at: usize) -> bool {
        const LEADS: &[&str] = &[
            "please",
            "then",
            "also",
            "always",
            "first",
            "next",
            "finally",
            "now",
            "and",
            "but",
            "or",
            "must",
            "should",
            "shall",
            "you",
            "silently",
            "quietly",
            "simply",
            "just",
            "instead",
            "afterwards",
            "additionally",
            "to",
            "will",
            "can",
            "may",
            "do",
            "ever",
            "secretly",
            "immediately",
            "directly",
            "again",
            "kindly",
            "only",
            "so",
        ];
        let Some(before) = at.checked_sub(1) else { return true };
        let is_lead = |i: usize| self.tokens.get(i).is_some_and(|token| LEADS.contains(&&*token.text));
        let infinitive = self.tokens.get(before).is_some_and(|token| token.text == "to");
        if !infinitive {
            let after = before.checked_sub(1).and_then(|i| self.tokens.get(i));
            let after_that = self.tokens.get(before).is_some_and(|token| token.text == "that")
                && after.is_some_and(|token| token.text == "after");
            return is_lead(before) || after_that;
        }
        // "need to send", "be sure to send" command; "used to send" does not
        at.checked_sub(2).and_then(|i| self.tokens.get(i)).is_some_and(|token| {
            matches!(
                &*token.text,
                "need" | "needs" | "have" | "has" | "sure" | "required" | "remember" | "forget"
            )
        })
    }
}

/// The sentences of a text.
pub(crate) fn sentences(text: &str) -> Vec<Sentence<'_>> {
    let mut all = Vec::new();
    for sentence in split(text) {
        let mut tokens = Vec::new();
        let mut leads = true;
        for piece in sentence.split_whitespace() {
            tokenize(piece, leads, &mut tokens);
            leads = piece.ends_with([',', ':', ')', '—', '–', '>', ']', '*', '}'])
                || matches!(piece, "-" | "*" | "•" | "--" | "=>" | "->");
            if tokens.len() > WORDS_MAX {
                close(sentence, std::mem::take(&mut tokens), &mut all);
            }
        }
        close(sentence, tokens, &mut all);
    }
    all
}

fn close<'a>(text: &'a str, mut tokens: Vec<Token<'a>>, all: &mut Vec<Sentence<'a>>) {
    if !tokens.is_empty() {
        let topics = judge(text, &mut tokens);
        all.push(Sentence { text, tokens, topics, first: all.is_empty() });
    }
}

/// Assigns what the words speak of, and answers all of it.
fn judge(sentence: &str, tokens: &mut [Token<'_>]) -> Topics {
    let stems: Vec<(Cow<'_, str>, bool)> = tokens.iter().map(|token| stem(&token.text)).collect();
    let found: Vec<(Topics, bool)> = stems
        .iter()
        .enumerate()
        .map(|(i, (_, is_bare))| {
            let from = stems.get(i..).unwrap_or_default().iter().map(|(stem, _)| &**stem);
            (lexicon::topics(from), *is_bare)
        })
        .collect();
    let mut topics = Topics::NONE;
    for (token, (mut found, is_bare)) in tokens.iter_mut().zip(found) {
        token.bare &= is_bare;
        // one stem, and two words
        if matches!(&*token.text, "note" | "notes") {
            found = found.but(lexicon::NOT);
        }
        token.topics = token.topics.or(found);
        topics = topics.or(token.topics);
    }
    if sentence.chars().any(is_unspaced) {
        for (found, phrases) in lexicon::UNSPACED {
            if phrases.iter().any(|phrase| sentence.contains(phrase)) {
                topics = topics.or(*found);
            }
        }
    }
    topics
}

pub(super) fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}')
}

/// Sentences end at a full stop and the like before a space, at a blank line, and at a line end before what begins anew.
fn split(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut start = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let next = chars.peek().map(|(_, next)| *next);
        let ends = match c {
            '.' => {
                next.is_none_or(char::is_whitespace)
                    && !is_abbreviation(text.get(start..at).unwrap_or_default())
            }
            '!' | '?' | ';' => next.is_none_or(|next| next.is_whitespace() || next == '"'),
            '。' | '！' | '？' | '；' | '।' => true,
            '\n' => {
                let rest = text.get(at + 1..).unwrap_or_default().trim_start_matches([' ', '\t', '\r']);
                rest.starts_with(|c: char| !c.is_lowercase() && c != '`' && c != '(') || is_entry(rest)
            }
            _ => false,
        };
        let cut = at - start > BYTES_MAX && (c.is_whitespace() || is_unspaced(c));
        if ends || cut {
            let end = at + c.len_utf8();
            out.extend(text.get(start..end).map(str::trim).filter(|sentence| !sentence.is_empty()));
            start = end;
        }
    }
    out.extend(text.get(start..).map(str::trim).filter(|sentence| !sentence.is_empty()));
    out
}

/// A line of a list of parameters: `name: what it is`, `name (type): what it is`.
fn is_entry(line: &str) -> bool {
    let head = line.split(['\n', '.']).next().unwrap_or_default();
    head.find(':').is_some_and(|at| {
        let name = head.get(..at).unwrap_or_default();
        name.split_whitespace().count() < 2 || name.contains('(') && name.len() < 60
    })
}

fn is_abbreviation(before: &str) -> bool {
    let word = before.rsplit(char::is_whitespace).next().unwrap_or_default();
    matches!(
        word.trim_start_matches('('),
        "e.g" | "i.e" | "etc" | "vs" | "cf" | "approx" | "incl" | "no" | "st"
    )
}

fn tokenize<'a>(piece: &'a str, leads: bool, out: &mut Vec<Token<'a>>) {
    let edge = |c: char| !c.is_alphanumeric() && !matches!(c, '~' | '/' | '$' | '.' | '#' | '_' | '%');
    let bare = piece
        .trim_start_matches(edge)
        .trim_end_matches(|c: char| !c.is_alphanumeric() && !matches!(c, '/' | '$' | ')'));
    let bare = bare.trim_end_matches(')');
    if bare.is_empty() {
        return;
    }
    let whole =
        |kind, topics| Token { text: lower(bare), kind, bare: false, leads, topics, whole: Some(bare) };
    if let Some((topics, kind)) = address(bare) {
        out.push(whole(kind, topics));
        return;
    }
    let named = piece.contains('`') || bare.contains('_') || is_camel(bare);
    let before = out.len();
    for word in parts(bare) {
        let first = out.len() == before;
        out.push(Token {
            text: lower(word),
            kind: if named && first { Kind::Name } else { Kind::Word },
            // as far as is known before its stem is
            bare: !named,
            leads: leads && first,
            topics: Topics::NONE,
            whole: Some(bare).filter(|_| named && first),
        });
    }
}

fn lower(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        let shouts = text.bytes().any(|b| b.is_ascii_uppercase());
        return if shouts { Cow::Owned(text.to_ascii_lowercase()) } else { Cow::Borrowed(text) };
    }
    if text.chars().any(|c| c.is_uppercase() || c == '’') {
        Cow::Owned(text.to_lowercase().replace('’', "'"))
    } else {
        Cow::Borrowed(text)
    }
}

fn is_camel(word: &str) -> bool {
    let mut before = false;
    word.chars().any(|c| {
        let camel = before && c.is_uppercase();
        before = c.is_lowercase();
        camel
    }) && word.chars().all(|c| c.is_alphanumeric())
}

/// A name's words, and those that a hyphen or a slash joins.
fn parts(word: &str) -> impl Iterator<Item = &str> {
    let inside = |c: char| !c.is_alphanumeric() && !matches!(c, '\'' | '’' | '#');
    word.split(inside).flat_map(camels).filter(|part| !part.is_empty())
}

fn camels(word: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(word);
    std::iter::from_fn(move || {
        let word = rest?;
        let mut before = false;
        let hump = word.char_indices().find(|(_, c)| {
            let camel = before && c.is_uppercase();
            before = c.is_lowercase();
            camel
        });
        let (head, tail) = match hump {
            Some((at, _)) => word.split_at_checked(at)?,
            None => (word, ""),
        };
        rest = hump.map(|_| tail);
        Some(head)
    })
}

/// Files that hold secrets wherever they are found, and parts of their paths.
const STRONG_PATHS: &[&str] = &[
    ".ssh",
    "id_rsa",
    "id_ed25519",
    "id_ecdsa",
    ".aws/",
    ".netrc",
    ".npmrc",
    ".pypirc",
    ".gnupg",
    "mcp.json",
    "claude_desktop_config",
    ".git-credentials",
    "gh/hosts",
    "/etc/passwd",
    "/etc/shadow",
    "login data",
    "_history",
    ".pgpass",
    "wallet.",
    ".docker/config",
    "/credentials",
    "credentials.json",
    "secrets.y",
    "secrets.json",
    ".vault-token",
    "keychain",
    "keystore",
    "authorized_keys",
    "cookies.sqlite",
    ".kube/config",
    ".config/gcloud",
    "/proc/self/environ",
    ".azure/",
];

fn is_strong(path: &str) -> bool {
    STRONG_PATHS.iter().any(|known| path.contains(known))
        || path == ".env"
        || path.starts_with(".env.")
        || path.ends_with("/.env")
        || path.contains("/.env*")
        || [".pem", ".p12", ".pfx", ".kdbx"].iter().any(|ending| path.ends_with(ending))
}

/// An address or a path, and what it speaks of.
fn address(word: &str) -> Option<(Topics, Kind)> {
    // most words have none of the marks that such a thing has
    let marked = word.bytes().any(|b| matches!(b, b':' | b'/' | b'.' | b'@' | b'~' | b'$' | b'%'));
    if !marked && !word.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("id_")) {
        return None;
    }
    if let Some((scheme, _)) = word.split_once("://") {
        let web = matches!(scheme, "http" | "https" | "ftp" | "ws" | "wss");
        return Some(if web { (Topics::NONE, Kind::Url) } else { (lexicon::PLACE, Kind::Path) });
    }
    if word.starts_with("www.") {
        return Some((Topics::NONE, Kind::Url));
    }
    if let Some((name, host)) = word.split_once('@')
        && !name.is_empty()
        && host.contains('.')
        && !host.contains('/')
    {
        return Some((Topics::NONE, Kind::Mail));
    }
    let file = word.starts_with(['~', '$', '%']) || word.contains('/');
    let lower = lower(word);
    if (file || lower.contains('.') || lower.starts_with("id_")) && is_strong(&lower) {
        return Some((lexicon::STRONGBOX, Kind::Path));
    }
    // `host.tld`, `host.tld/path`, `file.txt`: one word, in which nothing is said
    let (head, tail) = word.split_once('/').unwrap_or((word, ""));
    let labels =
        head.rsplit_once('.').filter(|(host, top)| !host.is_empty() && top.chars().all(char::is_alphabetic));
    if labels.is_some_and(|(_, top)| top.len() > 1) {
        return Some((Topics::NONE, if tail.is_empty() { Kind::Path } else { Kind::Url }));
    }
    let path =
        word.len() > 2 && word.starts_with(['~', '/', '.']) && word.contains('/') && !word.starts_with("//");
    path.then_some((Topics::NONE, Kind::Path))
}
