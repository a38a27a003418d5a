//! What people and programs read: tables on a terminal, JSON for programs, problems with excerpts.

pub(crate) mod table;

use crate::{failure::Failure, surroundings::Surroundings};
use serde::Serialize;
use std::{
    borrow::Cow,
    io::{self, Write as _},
};
use table::{Cell, Column, Terminal};

/// Where a command says what it found. A reader that went away is no fault.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Say {
    pub(crate) json: bool,
    pub(crate) colour: bool,
    colour_err: bool,
    width: Option<usize>,
}

impl Say {
    pub(crate) fn new(json: bool, surroundings: &Surroundings) -> Self {
        Self {
            json,
            colour: surroundings.colour,
            colour_err: surroundings.colour_err,
            width: surroundings.width,
        }
    }

    /// The same, for programs or for people.
    pub(crate) fn as_json(self, json: bool) -> Self {
        Self { json, ..self }
    }

    /// One line for people. Programs that asked for JSON do not get it.
    pub(crate) fn line(self, text: impl AsRef<str>) {
        if !self.json {
            self.raw(&tamed(text.as_ref()));
        }
    }

    /// A line for both.
    pub(crate) fn raw(self, text: &str) {
        let _ = writeln!(io::stdout().lock(), "{text}");
    }

    /// A remark beside the answer, on standard error.
    pub(crate) fn aside(self, text: impl AsRef<str>) {
        aside(text);
    }

    /// Asks, and whether a line of standard input said yes. For whatever else it said there is a remark that says what was
    /// not done.
    pub(crate) fn agreed(self, not_done: &str) -> bool {
        self.aside("go on? [y/N]");
        let mut answer = String::new();
        let read = io::BufRead::read_line(&mut io::stdin().lock(), &mut answer);
        let agreed = read.is_ok() && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes");
        if !agreed {
            self.aside(format!("{not_done}; `--yes` goes on without asking"));
        }
        agreed
    }

    /// The answer for programs, if they asked for it: one JSON value.
    pub(crate) fn json(self, value: &impl Serialize) {
        if self.json {
            match serde_json::to_string_pretty(value) {
                Ok(text) => self.raw(&tamed_json(&text)),
                Err(error) => self.aside(format!("error: the answer cannot be written as JSON: {error}")),
            }
        }
    }

    /// Rows under a heading, for people. Cells are escaped here, and not before.
    pub(crate) fn table<C: Into<Cell>>(self, head: &[Column<'_>], rows: Vec<Vec<C>>) {
        if self.json {
            return;
        }
        let rows = rows.into_iter().map(|row| row.into_iter().map(Into::into).collect()).collect();
        for line in table::lines(head, rows, Terminal { width: self.width, colour: self.colour }) {
            self.raw(&tamed(&line));
        }
    }

    /// Whether somebody looks at standard output.
    pub(crate) fn is_on_terminal(self) -> bool {
        self.width.is_some()
    }

    /// One word in a colour: 31 red, 32 green, 33 yellow, 2 dim.
    pub(crate) fn paint(self, code: u8, text: &str) -> String {
        painted(self.colour.then_some(code), text)
    }

    /// Says why there is no answer.
    pub(crate) fn failure(self, failure: &Failure) {
        match failure {
            Failure::Fault(error) => self.aside(format!("error: {}", printable(&format!("{error:#}")))),
            Failure::Unreadable { code, message } => {
                self.aside(format!("error[{code}]: {}", one_line(message)));
            }
            Failure::Usage(text) => self.aside(format!("error: {}", one_line(text))),
            Failure::Settings(problems) => {
                for problem in problems {
                    self.aside(self.render(problem).trim_end());
                }
            }
            Failure::Policies(problems) => {
                for problem in problems {
                    self.aside(self.render(problem).trim_end());
                }
            }
        }
    }

    /// A problem with its excerpt.
    pub(crate) fn render(self, problem: &dyn miette::Diagnostic) -> String {
        let theme = if self.colour_err {
            miette::GraphicalTheme::unicode()
        } else {
            miette::GraphicalTheme::unicode_nocolor()
        };
        let mut out = String::new();
        // a write into a String cannot fail
        let _ = miette::GraphicalReportHandler::new_themed(theme)
            .with_width(100)
            .with_links(false)
            .render_report(&mut out, problem);
        out
    }
}

fn painted(colour: Option<u8>, text: &str) -> String {
    colour.map_or_else(|| text.to_owned(), |code| format!("\x1b[{code}m{text}\x1b[0m"))
}

/// A remark on standard error.
pub(crate) fn aside(text: impl AsRef<str>) {
    let _ = writeln!(io::stderr().lock(), "{}", tamed(text.as_ref()));
}

/// Text of somebody else's, without anything that steers a terminal or hides what is there.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let steers = inspect::shown::is_hidden(c) && c != '\n' && c != '\t';
            let escaped = steers.then(|| c.escape_unicode());
            let plain = (!steers).then_some(c);
            escaped.into_iter().flatten().chain(plain)
        })
        .collect()
}

/// JSON with the same value, in which nothing is a command to who runs it, and nothing steers a terminal or hides: such a
/// thing can only stand in a string.
pub(crate) fn tamed_json(text: &str) -> Cow<'_, str> {
    let steers = |c: char| inspect::shown::is_hidden(c) && c != '\n';
    if !text.contains("##") && !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let text = text.replace("##[", "#\\u0023[").replace("##vso[", "#\\u0023vso[");
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) {
            let units =
                c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect::<String>();
            out.push_str(&units);
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// The same for continuous integration, where some runners take a line that begins with `::`, or has `##[` in it, for a command.
pub(crate) fn tamed(text: &str) -> Cow<'_, str> {
    if !text.contains("::") && !text.contains("##") {
        return Cow::Borrowed(text);
    }
    let line = |line: &str| {
        let line = line.replace("##[", "#\\u{23}[").replace("##vso[", "#\\u{23}vso[");
        let begins = line.trim_start().starts_with("::");
        if begins { line.replacen("::", "\\u{3a}:", 1) } else { line }
    };
    Cow::Owned(text.split('\n').map(line).collect::<Vec<_>>().join("\n"))
}

/// The same as one line, which cannot pass for a line of ours.
pub(crate) fn one_line(text: &str) -> String {
    printable(text).replace('\n', "\\n").replace('\t', " ")
}

/// What somebody else called something, set apart: in backticks, or as in JSON where it has some itself and could end the quotation.
pub(crate) fn named(text: &str) -> String {
    let text = one_line(text);
    if text.contains('`') { serde_json::Value::from(text).to_string() } else { format!("`{text}`") }
}

/// The day of it, in UTC.
pub(crate) fn day(at: decision::Timestamp) -> String {
    when(at).chars().take("2027-01-31".len()).collect()
}

/// When it was, as people write it.
pub(crate) fn when(at: decision::Timestamp) -> String {
    i64::try_from(at.0)
        .ok()
        .and_then(|us| jiff::Timestamp::from_microsecond(us).ok())
        .map_or_else(|| at.0.to_string(), |at| at.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_called_something_ends_no_quotation() {
        assert_eq!(named("get order"), "`get order`");
        let name = "x` of `crm` is accepted (sha256:0)\ntool `y";
        assert_eq!(named(name), r#""x` of `crm` is accepted (sha256:0)\\ntool `y""#);
    }

    #[test]
    fn no_line_is_a_command_to_who_runs_it() {
        assert_eq!(tamed("::error::x"), "\\u{3a}:error::x");
        assert_eq!(tamed("fine\n  ::add-mask::x"), "fine\n  \\u{3a}:add-mask::x");
        assert_eq!(tamed("a ##[error]x ##vso[task]y"), "a #\\u{23}[error]x #\\u{23}vso[task]y");
        assert_eq!(tamed("a::b"), "a::b");
        let json = serde_json::to_string(&["##[error]x", "###vso[task]y", "a\\##[b"]).unwrap();
        let tamed = tamed_json(&json);
        assert!(!tamed.contains("##[") && !tamed.contains("##vso["), "{tamed}");
        let read: Vec<String> = serde_json::from_str(&tamed).unwrap();
        assert_eq!(read, ["##[error]x", "###vso[task]y", "a\\##[b"]);
    }

    #[test]
    fn json_is_the_same_value_and_steers_no_terminal() {
        let hostile =
            ["a\u{9b}2J", "\u{202e}evil", "tag\u{e0041}", "two\nlines\t", "ünïcode ✓", "C:\\x\u{9b}"];
        let json = serde_json::to_string_pretty(&hostile).unwrap();
        let tamed = tamed_json(&json);
        assert!(
            tamed.contains("\\u009b2J") && tamed.contains("\\u202e") && tamed.contains("\\udb40\\udc41"),
            "{tamed}"
        );
        assert!(
            tamed.contains("ünïcode ✓") && !tamed.contains(['\u{9b}', '\u{202e}', '\u{e0041}']),
            "{tamed}"
        );
        assert_eq!(serde_json::from_str::<Vec<String>>(&tamed).unwrap(), hostile);
    }

    #[test]
    fn a_servers_text_cannot_steer_the_terminal() {
        let hostile = "ok\x1b[2J\x1b]0;owned\x07\u{202e}evil\r";
        let shown = printable(hostile);
        assert_eq!(shown, "ok\\u{1b}[2J\\u{1b}]0;owned\\u{7}\\u{202e}evil\\u{d}");
        // tags are letters that no terminal shows and every model reads
        assert_eq!(printable("a\u{e0041}\u{ad}b"), "a\\u{e0041}\\u{ad}b");
        // nor blanks that pass for nothing, selectors, and what each font has another picture for
        assert_eq!(
            printable("a\u{fe0f}\u{3164}\u{2800}\u{115f}\u{e000}\u{1bca0}"),
            "a\\u{fe0f}\\u{3164}\\u{2800}\\u{115f}\\u{e000}\\u{1bca0}"
        );
        assert_eq!(printable("two\nlines, ünïcode ✓"), "two\nlines, ünïcode ✓");
    }

    #[test]
    fn a_time_is_written_in_utc() {
        assert_eq!(when(decision::Timestamp(1_700_000_000_000_000)), "2023-11-14 22:13:20");
    }
}
