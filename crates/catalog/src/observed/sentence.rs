//! A short sentence that confirms what was done, as many servers answer: `Successfully deleted 3 files`.

use super::verbs;
use super::{Did, How, Seen};

/// Of a longer text, the first sentence is read only where it says that it was done successfully.
const TEXT_MAX: usize = 600;
const LONG_TEXT_MAX: usize = 4_000;
const SENTENCE_MAX: usize = 240;
/// Words before the verb, and after it up to which something can turn the sense.
const SUBJECT_MAX: usize = 8;

/// With one of these nothing was done, or it is not said that it was.
const TURNS: &[&str] = &[
    "not",
    "no",
    "nothing",
    "none",
    "never",
    "cannot",
    "can't",
    "couldn't",
    "wasn't",
    "weren't",
    "could",
    "unable",
    "failed",
    "fail",
    "fails",
    "error",
    "would",
    "will",
    "should",
    "may",
    "might",
    "must",
    "if",
    "when",
    "once",
    "until",
    "unless",
    "dry",
    "0",
    "already",
    "ago",
    "yesterday",
    "last",
    "how",
    "why",
    "found",
    "of",
];
/// Whoever says when or by whom tells of the past.
const PAST: &[&str] = &["by", "on", "at", "in", "since", "during"];
const BE: &[&str] = &["was", "were", "been"];
/// What a confirmation goes on with.
const GOES_ON: &[&str] =
    &["to", "from", "with", "as", "for", "into", "successfully", "and", "under", "via", "using"];
/// First words of headings.
const HEADS: &[&str] =
    &["last", "date", "time", "recently", "newly", "first", "most", "total", "number", "files", "status"];
const FINITE: &[&str] = &["is", "are", "has", "have", "can", "was", "were", "do", "does", "need", "require"];
const INTERJECTIONS: &[&str] = &["ok", "okay", "done", "success", "great", "confirmed"];
const ARTICLES: &[&str] = &["a", "an", "the", "your", "this", "new", "it", "all"];
/// What servers keep: `Updated page 12` confirms, `Updated guidelines` does not.
const THINGS: &[&str] = &[
    "account",
    "alert",
    "appointment",
    "attachment",
    "board",
    "bookmark",
    "branch",
    "bucket",
    "calendar",
    "card",
    "channel",
    "collection",
    "column",
    "comment",
    "commit",
    "contact",
    "customer",
    "database",
    "deployment",
    "directory",
    "document",
    "draft",
    "email",
    "entity",
    "entry",
    "environment",
    "event",
    "file",
    "folder",
    "group",
    "image",
    "index",
    "invoice",
    "issue",
    "item",
    "job",
    "key",
    "label",
    "lead",
    "list",
    "member",
    "memory",
    "merge",
    "message",
    "milestone",
    "node",
    "note",
    "object",
    "order",
    "page",
    "payment",
    "permission",
    "pod",
    "policy",
    "post",
    "product",
    "project",
    "pull",
    "queue",
    "record",
    "release",
    "reminder",
    "repository",
    "request",
    "resource",
    "role",
    "row",
    "rule",
    "schedule",
    "secret",
    "section",
    "server",
    "service",
    "session",
    "sheet",
    "spreadsheet",
    "subscription",
    "table",
    "tag",
    "task",
    "team",
    "thread",
    "ticket",
    "topic",
    "transaction",
    "user",
    "value",
    "variable",
    "version",
    "volume",
    "webhook",
    "workflow",
    "workspace",
];

pub(super) fn read(text: &str) -> Option<Seen> {
    let text = text.trim();
    let line = text.lines().next()?;
    if let Some(did) = tag(text) {
        return Some(Seen { did, how: How::Command });
    }
    if text.len() > LONG_TEXT_MAX {
        return None;
    }
    let line: String = line.chars().filter(|c| !matches!(c, '*' | '#')).collect();
    let line =
        line.trim_start_matches(|c: char| !c.is_alphanumeric() && !matches!(c, '"' | '\'' | '`' | '/' | '['));
    let sentence = first_sentence(without_interjection(line));
    let columns = [" | ", "\t", "  "].iter().any(|between| sentence.contains(between));
    if columns || sentence.len() > SENTENCE_MAX {
        return None;
    }
    let did = confirms(&tokens(sentence), text.len() <= TEXT_MAX)?;
    Some(Seen { did, how: How::Sentence })
}

/// What `psql` and others answer to a command.
fn tag(text: &str) -> Option<Did> {
    let parts: Vec<&str> = text.trim_end_matches(';').split(' ').collect();
    let some = |count: &str| count.parse::<u64>().is_ok_and(|count| count > 0);
    match parts.as_slice() {
        ["INSERT", _, count] if some(count) => Some(Did::Created),
        ["UPDATE" | "MERGE", count] if some(count) => Some(Did::Changed),
        ["DELETE", count] if some(count) => Some(Did::Deleted),
        ["CREATE", "TABLE" | "INDEX" | "VIEW" | "DATABASE" | "SCHEMA" | "ROLE" | "FUNCTION"] => {
            Some(Did::Created)
        }
        ["ALTER", "TABLE" | "INDEX" | "VIEW" | "DATABASE" | "SCHEMA" | "ROLE"] => Some(Did::Changed),
        ["DROP" | "TRUNCATE", "TABLE" | "INDEX" | "VIEW" | "DATABASE" | "SCHEMA" | "ROLE" | "FUNCTION"] => {
            Some(Did::Deleted)
        }
        _ => None,
    }
}

fn without_interjection(line: &str) -> &str {
    let end = line.find([' ', ':', '!', '.', ',']).unwrap_or(line.len());
    let (word, rest) = line.split_at_checked(end).unwrap_or((line, ""));
    let marked = rest.starts_with([':', '!', '.', ',']);
    let is = INTERJECTIONS.contains(&word.to_lowercase().as_str());
    if is && marked { rest.trim_start_matches([':', '!', '.', ',', ' ']) } else { line }
}

fn first_sentence(line: &str) -> &str {
    let ends = [". ", "! ", "; ", " - ", " — "];
    let end = ends.iter().filter_map(|end| line.find(end)).min().unwrap_or(line.len());
    line.get(..end).unwrap_or(line)
}

/// A word as it stands and as it is compared.
struct Token<'a> {
    raw: &'a str,
    word: String,
    colon: bool,
}

fn tokens(sentence: &str) -> Vec<Token<'_>> {
    let token = |raw: &'_ str| -> (String, bool) {
        let bare = raw.trim_end_matches(['.', ',', '!', ':', ')']).trim_start_matches('(');
        (bare.to_lowercase(), raw.ends_with(':'))
    };
    sentence
        .split_whitespace()
        .map(|raw| {
            let (word, colon) = token(raw);
            Token { raw, word, colon }
        })
        .collect()
}

impl Token<'_> {
    fn is(&self, words: &[&str]) -> bool {
        words.contains(&self.word.as_str())
    }
    /// A name, a number, a place: something in particular.
    fn is_particular(&self) -> bool {
        self.raw
            .contains(|c: char| c.is_ascii_digit() || matches!(c, '"' | '\'' | '`' | '/' | '#' | '@' | '_'))
    }
    fn is_plural(&self) -> bool {
        let word = &self.word;
        word.ends_with('s')
            && !word.ends_with("ss")
            && !word.ends_with("us")
            && !word.ends_with("is")
            && !self.is_particular()
    }
    fn is_count(&self) -> bool {
        self.word.parse::<u64>().is_ok_and(|count| count > 0)
    }
}

/// What was done, where the sentence says that it was. `short`: the text around it is.
fn confirms(tokens: &[Token<'_>], short: bool) -> Option<Did> {
    if tokens.iter().any(|token| token.is(TURNS)) {
        return None;
    }
    if let Some(did) = affected(tokens).filter(|_| short) {
        return Some(did);
    }
    let (at, verb) = tokens
        .iter()
        .enumerate()
        .take(SUBJECT_MAX + 1)
        .find_map(|(at, token)| verbs::done(&token.word).map(|verb| (at, verb)))?;
    let before = tokens.get(..at)?;
    let (own, after) = tokens.get(at..)?.split_first()?;
    let next = after.first();
    if next.is_some_and(|next| next.is(PAST)) || before.iter().any(|token| token.colon) {
        return None;
    }
    let well = |token: Option<&Token<'_>>| token.is_some_and(|token| token.is(&["successfully"]));
    let tells = after.iter().any(|token| token.is(FINITE));
    let ok = if well(before.last()) || well(next) {
        !tells
    } else if !short || tells {
        false
    } else if before.is_empty() {
        begins(after)
    } else {
        subject(before) && goes_on(own, before, after)
    };
    ok.then_some(verb.did)
}

/// `3 rows affected`, `rows affected: 3`.
fn affected(tokens: &[Token<'_>]) -> Option<Did> {
    let at = tokens.iter().position(|token| token.word == "affected")?;
    let rows = tokens.iter().any(|token| token.is(&["row", "rows", "row(s", "record", "records"]));
    let count = tokens.iter().any(Token::is_count);
    (rows && count && at < SUBJECT_MAX).then_some(Did::Changed)
}

/// What follows a verb that begins the sentence is something in particular, or some thing.
fn begins(after: &[Token<'_>]) -> bool {
    let Some(next) = after.first() else { return false };
    next.is(ARTICLES)
        || next.is_particular()
        || next.is(THINGS)
        || after.get(1).is_some_and(|second| {
            // `Added 'x' …` was covered; `Deleted customer 42` and `Removed label: x` name it a word later
            !next.is_plural() && (second.is_particular() || next.colon)
        })
}

/// One thing, or so many.
fn subject(before: &[Token<'_>]) -> bool {
    let noun = before.iter().rev().find(|token| !token.is(BE) && !token.is(&["has", "have", "now"]));
    let many = noun.is_some_and(Token::is_plural);
    let heads = before.first().is_some_and(|first| first.is(HEADS));
    !heads && before.len() <= SUBJECT_MAX && (!many || before.iter().any(Token::is_count))
}

fn goes_on(own: &Token<'_>, before: &[Token<'_>], after: &[Token<'_>]) -> bool {
    let Some(next) = after.first() else { return true };
    let past = before.last().is_some_and(|token| token.is(BE));
    if past && after.iter().any(|token| token.is(PAST)) {
        return false;
    }
    own.colon || own.raw.ends_with('.') || next.is(GOES_ON)
}
