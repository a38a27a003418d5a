//! What is wrong with the file, and where.

use miette::{NamedSource, SourceSpan};
use std::{path::Path, str::FromStr, time::Duration};
use toml::Spanned;

/// What kind of problem it is, for programs: stable, where messages are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The file is no TOML.
    Syntax,
    /// There is no such setting.
    Unknown,
    /// A setting is missing, or of another type.
    Form,
    /// The form is good, and what is said cannot be.
    Value,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Syntax => "settings-syntax",
            Self::Unknown => "settings-unknown",
            Self::Form => "settings-form",
            Self::Value => "settings-value",
        }
    }
}

/// One problem of the file.
#[derive(Debug, Clone, thiserror::Error, miette::Diagnostic)]
#[error("{message}")]
pub(crate) struct Located {
    pub(crate) message: String,
    #[help]
    pub(crate) help: Option<String>,
    #[source_code]
    pub(crate) source_code: NamedSource<String>,
    #[label("here")]
    pub(crate) at: SourceSpan,
    /// The first is 1.
    pub(crate) line: usize,
    /// In characters; the first is 1.
    pub(crate) column: usize,
    pub(crate) kind: Kind,
}

/// The text with a star for every byte between `://` and the last `@` of the word: excerpts show lines around
/// a problem too, and an address may hold a password. As long as before, so that labels stay in their places.
fn passwords_hidden(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut left = text;
    while let Some((before, after)) = left.split_once("://") {
        out.push_str(before);
        out.push_str("://");
        let end = after.find(|c: char| c.is_whitespace() || c == '"' || c == '\'').unwrap_or(after.len());
        let (word, rest) = after.split_at_checked(end).unwrap_or((after, ""));
        match word.rsplit_once('@') {
            Some((user, host)) => {
                out.push_str(&"*".repeat(user.len()));
                out.push('@');
                out.push_str(host);
            }
            None => out.push_str(word),
        }
        left = rest;
    }
    out.push_str(left);
    out
}

/// The file on its way to what it means, with everything that is wrong with it.
pub(super) struct Crossing<'a> {
    pub(super) text: &'a str,
    name: String,
    pub(super) problems: Vec<Located>,
    /// Where values are that may be secrets.
    hidden: Vec<std::ops::Range<usize>>,
}

impl<'a> Crossing<'a> {
    pub(super) fn new(path: &Path, text: &'a str) -> Self {
        Self { text, name: path.display().to_string(), problems: Vec::new(), hidden: Vec::new() }
    }

    /// Notes at this place that what is said there cannot be.
    pub(super) fn problem(
        &mut self,
        at: std::ops::Range<usize>,
        message: impl Into<String>,
        help: Option<&str>,
    ) {
        self.note(Kind::Value, at, message, help);
    }

    /// Notes a problem at this place.
    pub(super) fn note(
        &mut self,
        kind: Kind,
        at: std::ops::Range<usize>,
        message: impl Into<String>,
        help: Option<&str>,
    ) {
        let start = at.start.min(self.text.len());
        let before = self.text.get(..start).unwrap_or_default();
        self.problems.push(Located {
            message: message.into(),
            help: help.map(ToOwned::to_owned),
            source_code: NamedSource::new(&self.name, self.shown()),
            at: SourceSpan::from((start, at.end.saturating_sub(start))),
            line: self.line(start),
            column: before.chars().rev().take_while(|c| *c != '\n').count() + 1,
            kind,
        });
    }

    /// The line, from 1, of what stands there.
    pub(super) fn line(&self, start: usize) -> usize {
        self.text.get(..start).unwrap_or_default().matches('\n').count() + 1
    }

    /// As [`Crossing::problem`], for a value that may hold a password: the excerpt does not show it.
    pub(super) fn hidden(
        &mut self,
        at: std::ops::Range<usize>,
        message: impl Into<String>,
        help: Option<&str>,
    ) {
        self.hidden.push(at.clone());
        self.problem(at, message, help);
        // an excerpt shows the lines around its problem too, so no problem may have the value
        let shown = self.shown();
        for problem in &mut self.problems {
            problem.source_code = NamedSource::new(&self.name, shown.clone());
        }
    }

    /// Shows this in no excerpt. Before the problem that is told beside it.
    pub(super) fn hide(&mut self, at: std::ops::Range<usize>) {
        self.hidden.push(at);
    }

    /// The text without what is hidden, as long as before, so that every label stays in its place.
    fn shown(&self) -> String {
        let mut shown = passwords_hidden(self.text).into_bytes();
        for at in &self.hidden {
            shown.get_mut(at.clone()).unwrap_or_default().fill(b'*');
        }
        String::from_utf8_lossy(&shown).into_owned()
    }

    /// A value that has a form of its own. A wrong one is noted and the default goes on in its place.
    pub(super) fn parse<T: FromStr>(&mut self, given: &Spanned<String>, what: &str, default: T) -> T
    where
        T::Err: std::fmt::Display,
    {
        given.get_ref().parse().unwrap_or_else(|e: T::Err| {
            let told = e.to_string();
            // a name's own error names it
            let told = if told.starts_with('`') {
                told
            } else {
                format!("`{}` is not {what}: {told}", given.get_ref())
            };
            self.problem(given.span(), told, None);
            default
        })
    }

    /// A number that is at least one: a bound of zero would stop everything.
    pub(super) fn count(&mut self, given: Option<&Spanned<usize>>, default: usize) -> usize {
        match given {
            Some(given) if *given.get_ref() == 0 => {
                self.problem(given.span(), "a bound of 0 would refuse everything", Some("write 1 or more"));
                default
            }
            Some(given) => *given.get_ref(),
            None => default,
        }
    }

    /// A duration with its unit. It may be none at all.
    pub(super) fn length(&mut self, given: Option<&Spanned<String>>, default: Duration) -> Duration {
        let Some(given) = given else {
            return default;
        };
        length(given.get_ref()).unwrap_or_else(|| {
            let message = format!("`{}` is not a duration", given.get_ref());
            self.problem(
                given.span(),
                message,
                Some("write a number with a unit: `250ms`, `30s`, `5m`, `12h` or `90d`"),
            );
            default
        })
    }

    /// A duration that is some: a bound of none would stop everything.
    pub(super) fn duration(&mut self, given: Option<&Spanned<String>>, default: Duration) -> Duration {
        let read = self.length(given, default);
        match given.filter(|_| read.is_zero()) {
            Some(given) => {
                let message = format!("`{}` is no time at all", given.get_ref());
                self.problem(given.span(), message, Some("write a longer one"));
                default
            }
            None => read,
        }
    }
}

/// `250ms`, `30s`, `5m`, `12h`, `90d`. Never zero.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    length(text).filter(|read| !read.is_zero())
}

fn length(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    let ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(ms).map(Duration::from_millis)
}
