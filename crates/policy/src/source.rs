//! Rule texts, where each statement is in them, and what is wrong with one.

use decision::ServerName;
use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};
use std::{collections::BTreeSet, fmt, ops::Range, sync::Arc};

/// One policy file: where it came from, and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub path: String,
    pub text: String,
}

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; the rules are in force.
    Warning,
    /// The rules are not loaded.
    Error,
}

/// How far a problem goes when what servers offer changed under rules that are in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The text is wrong by itself.
    Text,
    /// The rule speaks of something that is not there, so it matches nothing and does no harm.
    Dormant,
    /// The rule does not fit what these servers offer.
    Servers(BTreeSet<ServerName>),
}

/// Tools of a server that no rule permits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unseen {
    pub server: ServerName,
    /// The first few by name, for a sentence.
    pub tools: String,
}

/// Something about a rule that an operator should know, with the place in the file.
#[derive(Clone)]
pub struct Problem {
    pub severity: Severity,
    /// One line, lowercase.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// The `@id` of the rule, where it is known.
    pub rule: Option<String>,
    /// Tools that no rule permits, where that is the problem.
    pub unseen: Option<Unseen>,
    pub(crate) reach: Reach,
    path: String,
    line: usize,
    column: usize,
    source: Option<Arc<NamedSource<String>>>,
    span: Range<usize>,
}

impl Problem {
    pub(crate) fn error(place: &Place, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, place, message.into())
    }
    pub(crate) fn warning(place: &Place, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, place, message.into())
    }
    /// A problem of the catalogue as a whole, in no file.
    pub(crate) fn nowhere(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            message: message.into(),
            help: None,
            rule: None,
            unseen: None,
            reach: Reach::Text,
            path: String::new(),
            line: 0,
            column: 0,
            source: None,
            span: 0..0,
        }
    }
    fn new(severity: Severity, place: &Place, message: String) -> Self {
        let text = place.source.inner();
        let before = text.get(..place.span.start).unwrap_or_default();
        let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Self {
            severity,
            message,
            help: None,
            rule: None,
            unseen: None,
            reach: Reach::Text,
            path: place.source.name().to_owned(),
            line,
            column,
            source: Some(Arc::clone(&place.source)),
            span: place.span.clone(),
        }
    }
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
    pub(crate) fn demoted(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }
    pub(crate) fn reach(mut self, reach: Reach) -> Self {
        self.reach = reach;
        self
    }
    pub(crate) fn unseen(mut self, unseen: Unseen) -> Self {
        self.unseen = Some(unseen);
        self
    }
    pub(crate) fn of(mut self, rule: &str) -> Self {
        self.rule = Some(rule.to_owned());
        self
    }

    /// Path, line and column, both from 1. `None` for a problem that is in no file.
    pub fn place(&self) -> Option<(&str, usize, usize)> {
        self.source.as_ref().map(|_| (self.path.as_str(), self.line, self.column))
    }
    /// The line of the file the problem is on.
    pub fn excerpt(&self) -> Option<&str> {
        self.source.as_ref()?.inner().lines().nth(self.line.checked_sub(1)?)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(rule) = &self.rule {
            write!(f, "rule `{rule}`: ")?;
        }
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}:{}:{}: {self}", self.severity, self.path, self.line, self.column)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Problem {}

impl Diagnostic for Problem {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.severity {
            Severity::Warning => miette::Severity::Warning,
            Severity::Error => miette::Severity::Error,
        })
    }
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }
    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_deref().map(|source| source as &dyn SourceCode)
    }
    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.source.as_ref()?;
        Some(Box::new(std::iter::once(LabeledSpan::underline(self.span.clone()))))
    }
}

/// A stretch of one source.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) source: Arc<NamedSource<String>>,
    pub(crate) span: Range<usize>,
}

impl Place {
    /// A stretch inside this one, given relative to its start; the whole one, where it does not fit.
    pub(crate) fn within(&self, relative: Range<usize>) -> Self {
        let (start, end) = (self.span.start + relative.start, self.span.start + relative.end);
        let span = if start <= end && end <= self.span.end { start..end } else { self.span.clone() };
        Self { source: Arc::clone(&self.source), span }
    }
    pub(crate) fn text(&self) -> &str {
        self.source.inner().get(self.span.clone()).unwrap_or_default()
    }
    /// The annotation that Cedar knows by this name, as it is written; else the whole stretch.
    pub(crate) fn annotation(&self, name: &str) -> Self {
        let text = self.text();
        let is_it = |token: &Token| {
            let written = text.get(token.span.clone()).and_then(|written| written.strip_prefix('@'));
            token.kind == TokenKind::Annotation && written.is_some_and(|one| one.replace('-', "_") == name)
        };
        match tokens(text).find(is_it) {
            Some(token) => self.within(token.span),
            None => self.clone(),
        }
    }
    /// Where `needle` first occurs, else the whole stretch.
    pub(crate) fn find(&self, needle: &str) -> Self {
        match self.text().find(needle) {
            Some(at) => self.within(at..at + needle.len()),
            None => self.clone(),
        }
    }
}

/// Cuts a file into statements. Each starts at its first token and ends behind its semicolon; a rest without a
/// semicolon is a statement too, so that the parser can say what is wrong with it.
///
/// Cedar's annotation names have no hyphens, ours have, and mistyped ones may: an underscore stands for each, which is as long.
pub(crate) fn statements(source: &Source) -> Vec<(Place, String)> {
    let named = Arc::new(NamedSource::new(&source.path, source.text.clone()).with_language("cedar"));
    let place = |span: Range<usize>| Place { source: Arc::clone(&named), span };
    let mut found = Vec::new();
    let (mut start, mut end) = (None, 0);
    let mut cedar = String::new();
    for token in tokens(&source.text) {
        let text = source.text.get(token.span.clone()).unwrap_or_default();
        if token.kind == TokenKind::Trivia {
            if start.is_some() {
                cedar.push_str(text);
            }
            continue;
        }
        start = start.or(Some(token.span.start));
        end = token.span.end;
        if token.kind == TokenKind::Annotation {
            cedar.push_str(&text.replace('-', "_"))
        } else {
            cedar.push_str(text)
        }
        if token.kind == TokenKind::End {
            found.push((place(start.unwrap_or_default()..end), std::mem::take(&mut cedar)));
            start = None;
        }
    }
    if let Some(start) = start {
        found.push((place(start..end), cedar));
    }
    found
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// White space and comments.
    Trivia,
    /// `@` and the name behind it.
    Annotation,
    /// The semicolon.
    End,
    /// A string literal, or any other run of characters.
    Other,
}

pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) span: Range<usize>,
}

/// As much of Cedar's lexical grammar as tells where a statement ends: strings, comments, semicolons.
pub(crate) fn tokens(text: &str) -> impl Iterator<Item = Token> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = text.get(at..).filter(|rest| !rest.is_empty())?;
        let (kind, length) = next_token(rest);
        let span = at..at + length;
        at = span.end;
        Some(Token { kind, span })
    })
}

fn next_token(rest: &str) -> (TokenKind, usize) {
    let run = |fits: fn(char) -> bool| rest.find(|c| !fits(c)).unwrap_or(rest.len());
    if rest.starts_with("//") {
        return (TokenKind::Trivia, rest.find('\n').unwrap_or(rest.len()));
    }
    match rest.chars().next() {
        Some(';') => (TokenKind::End, 1),
        Some('"') => (TokenKind::Other, string_length(rest)),
        Some('@') => {
            let name = |c: char| c == '@' || c == '-' || c == '_' || c.is_ascii_alphanumeric();
            (TokenKind::Annotation, run(name))
        }
        Some(c) if c.is_whitespace() => (TokenKind::Trivia, run(char::is_whitespace)),
        Some('/') => (TokenKind::Other, 1),
        Some(c) => {
            let plain = |c: char| !c.is_whitespace() && !matches!(c, ';' | '"' | '@' | '/');
            (TokenKind::Other, run(plain).max(c.len_utf8()))
        }
        None => (TokenKind::Trivia, rest.len()),
    }
}

/// Bytes of a string literal with its quotes; the whole rest if it is never closed.
fn string_length(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            '\\' if !escaped => escaped = true,
            '"' if !escaped => return at + 1,
            _ => escaped = false,
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(text: &str) -> Vec<String> {
        let source = Source { path: "p.cedar".into(), text: text.into() };
        statements(&source).into_iter().map(|(place, _)| place.text().to_owned()).collect()
    }

    #[test]
    fn a_semicolon_in_a_string_or_comment_ends_nothing() {
        let text =
            "// one; two\n@id(\"a;\\\";\") permit (principal, // x;\n action, resource); forbid (a) ; rest";
        assert_eq!(
            cut(text),
            ["@id(\"a;\\\";\") permit (principal, // x;\n action, resource);", "forbid (a) ;", "rest"]
        );
        assert!(cut(" // only a comment;\n").is_empty());
        assert_eq!(cut("permit \"never closed; "), ["permit \"never closed; "]);
    }

    #[test]
    fn annotations_are_renamed_outside_strings_only_and_keep_every_offset() {
        let text = "@unless-approved(\"@unless-approved\") @unless-approved-x(\"y\") forbid(a);";
        let source = Source { path: "p.cedar".into(), text: text.into() };
        let [(place, cedar)] = statements(&source).try_into().unwrap();
        assert_eq!(cedar, "@unless_approved(\"@unless-approved\") @unless_approved_x(\"y\") forbid(a);");
        assert_eq!(cedar.len(), place.text().len());
    }

    proptest! {
        #[test]
        fn statements_cover_every_character_that_matters(text in "[a;/\" \n@\\\\é-]{0,40}") {
            let source = Source { path: "p".into(), text: text.clone() };
            let mut last = 0;
            for (place, cedar) in statements(&source) {
                let between = text.get(last..place.span.start).unwrap();
                let comment_free: String = between.lines().map(|l| l.split("//").next().unwrap_or_default()).collect();
                prop_assert!(comment_free.trim().is_empty(), "{between:?}");
                prop_assert_eq!(cedar.len() >= place.text().len(), true);
                last = place.span.end;
            }
        }
    }
}
