//! A call's words for people who decide about it: exact, but nothing in them can pretend to be something else, and what
//! is nobody's business is masked.

mod long;
mod masked;

use crate::unseen::Unseen;
use long::{Long, SHOWN_BYTES_MAX};
use std::fmt::Write as _;

/// Most members that a sentence names, and most characters of the name and of the value of each.
const BRIEF_MEMBERS_MAX: usize = 4;
const BRIEF_CHARS_MAX: usize = 60;
/// Deeper is not looked into. What was scanned at the door is not deeper.
const DEPTH_MAX: usize = 128;

/// Arguments as people read them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shown {
    /// JSON, a member a line. Numbers stand as they were sent.
    pub text: String,
    /// The first few plain members, and how many there are beside them, for a sentence.
    pub brief: String,
    /// The kinds of what was masked, each once.
    pub masked: Vec<String>,
    /// How many values were masked.
    pub hidden: usize,
    /// What people should know before they trust their eyes.
    pub labels: Vec<String>,
    /// Whether every member is there, and both ends of every value: nobody can say yes to what they were not shown.
    pub whole: bool,
}

/// Text in which nothing is hidden: control characters, characters without width and those that turn the direction of
/// writing are written out as `⟨U+202E⟩` (Unicode TR 36, 3.4; Boucher and Anderson, Trojan Source, 2021).
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match is_hidden(c) {
            true => {
                // writing to a string cannot fail
                let _ = write!(out, "⟨U+{:04X}⟩", u32::from(c));
            }
            false => out.push(c),
        }
    }
    out
}

/// Most characters of a reason.
pub const REASON_CHARS_MAX: usize = 500;

/// Why a person decided, as others may read it, agents among them: on one line, cut at [`REASON_CHARS_MAX`], with nothing
/// in it that is hidden. `None` where nothing is left.
pub fn reason(text: &str) -> Option<String> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let cut: String = text.chars().take(REASON_CHARS_MAX).collect();
    (!cut.is_empty()).then(|| visible(&cut))
}

/// A text without the credentials in it, by the name it goes under and by their form; `None` if it has none.
pub fn without_secrets(name: &str, text: &str) -> Option<String> {
    masked::without_secrets(Some(name).filter(|name| !name.is_empty()), text)
}

/// Whether nobody sees it, or it moves or turns what is beside it.
pub fn is_hidden(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') || Unseen::of(c).is_some()
}

/// Whether one word has letters of several scripts, as only names that imitate others have.
fn mixes_scripts(text: &str) -> bool {
    let script = |c: char| match c {
        'a'..='z' | 'A'..='Z' | '\u{c0}'..='\u{24f}' => Some(0),
        '\u{370}'..='\u{3ff}' => Some(1),
        '\u{400}'..='\u{52f}' => Some(2),
        _ => None,
    };
    text.split(|c: char| !c.is_alphanumeric()).any(|word| {
        let mut scripts = word.chars().filter_map(script);
        scripts.next().is_some_and(|first| scripts.any(|other| other != first))
    })
}

/// The arguments of a call, one JSON value as it came. What is no JSON is shown as nothing but its length. `print` gives a
/// few characters by which a masked value is told from another that looks the same, of a key that nobody else has; or none.
pub fn arguments(raw: &[u8], print: &dyn Fn(&str) -> String) -> Shown {
    let mut shown = Shown { whole: true, ..Shown::default() };
    if raw.is_empty() {
        return shown;
    }
    let text = std::str::from_utf8(raw).ok().map(str::trim).unwrap_or_default();
    let mut writer = Writer::new(text, &mut shown, print, false);
    let mut read = writer.value(0, None).is_some() && writer.rest.trim().is_empty();
    // what starts packages may be named behind them
    if writer.packages && writer.mailboxes {
        shown = Shown { whole: true, ..Shown::default() };
        writer = Writer::new(text, &mut shown, print, true);
        read = writer.value(0, None).is_some() && writer.rest.trim().is_empty();
    }
    let (brief, full, values) = (writer.brief(), writer.full, writer.long);
    shown.brief = brief;
    if !read && !full {
        return Shown { text: format!("({} bytes that are not JSON)", raw.len()), ..Shown::default() };
    }
    let (text, fit) = long::joined(&shown.text, &values);
    shown.text = text;
    shown.whole = !full && fit != long::Fit::Beginning;
    match fit {
        _ if !shown.whole => {
            shown.text.push_str("\n…");
            shown.labels.push(format!("only the beginning is shown: the arguments have {} bytes", raw.len()));
        }
        long::Fit::Ends => shown.labels.push("of long values only both ends are shown".to_owned()),
        long::Fit::Whole | long::Fit::Beginning => {}
    }
    shown
}

/// Writes JSON anew from its own characters, so that no number is rounded on the way.
struct Writer<'t, 's> {
    rest: &'t str,
    shown: &'s mut Shown,
    print: masked::Print<'s>,
    /// Values that may have to be cut, by where they belong in the text.
    long: Vec<Long>,
    /// More than can be shown whatever is cut: nothing more is read.
    full: bool,
    brief: Vec<String>,
    /// Of the outermost object.
    members: usize,
    /// Whether something in the arguments starts what runs packages, and whether a mailbox is masked.
    packages: bool,
    mailboxes: bool,
    /// Whether packages are looked for: what could be a mailbox is shown.
    runs: bool,
}

impl<'t, 's> Writer<'t, 's> {
    fn new(rest: &'t str, shown: &'s mut Shown, print: masked::Print<'s>, runs: bool) -> Self {
        Self {
            rest,
            shown,
            print,
            long: Vec::new(),
            full: false,
            brief: Vec::new(),
            members: 0,
            packages: false,
            mailboxes: false,
            runs,
        }
    }

    fn masked(&mut self, key: Option<&str>, text: &str, number: bool) -> masked::Masked {
        let value = masked::Value { key, text, number, packages: self.runs };
        let masked = masked::text(value, self.print);
        self.packages |= masked.packages;
        self.mailboxes |= masked.kinds.contains(&masked::MAILBOX);
        masked
    }

    fn value(&mut self, depth: usize, key: Option<&str>) -> Option<()> {
        self.rest = self.rest.trim_start();
        match self.rest.as_bytes().first()? {
            _ if depth > DEPTH_MAX => None,
            _ if self.shown.text.len() > SHOWN_BYTES_MAX || self.long.len() > long::VALUES_MAX => {
                self.full = true;
                None
            }
            b'{' => self.members(depth, '{', '}'),
            b'[' => self.members(depth, '[', ']'),
            b'"' => {
                let text = self.string()?;
                let masked = self.masked(key, &text, false);
                self.note(&masked.text, masked.kinds);
                self.put(depth, key, Long::new(self.shown.text.len(), masked.text, true));
                Some(())
            }
            _ => {
                let end = self.rest.find([',', ']', '}', ' ', '\n', '\r', '\t']).unwrap_or(self.rest.len());
                let (literal, rest) = self.rest.split_at_checked(end)?;
                self.rest = rest;
                serde_json::from_str::<serde::de::IgnoredAny>(literal).ok()?;
                let masked = self.masked(key, literal, true);
                self.note("", masked.kinds);
                self.put(depth, key, Long::new(self.shown.text.len(), masked.text, false));
                Some(())
            }
        }
    }

    fn members(&mut self, depth: usize, open: char, close: char) -> Option<()> {
        self.rest = self.rest.strip_prefix(open)?.trim_start();
        self.shown.text.push(open);
        if let Some(rest) = self.rest.strip_prefix(close) {
            self.rest = rest;
            self.shown.text.push(close);
            return Some(());
        }
        loop {
            self.line(depth + 1);
            let key = if open == '{' { Some(self.key()?) } else { None };
            self.members += usize::from(depth == 0);
            self.value(depth + 1, key.as_deref())?;
            self.rest = self.rest.trim_start();
            if let Some(rest) = self.rest.strip_prefix(',') {
                self.rest = rest.trim_start();
                self.shown.text.push(',');
                continue;
            }
            self.rest = self.rest.strip_prefix(close)?;
            self.line(depth);
            self.shown.text.push(close);
            return Some(());
        }
    }

    fn key(&mut self) -> Option<String> {
        let key = self.string()?;
        self.rest = self.rest.trim_start().strip_prefix(':')?.trim_start();
        self.note(&key, Vec::new());
        self.shown.text.push_str(&serde_json::to_string(&visible(&key)).ok()?);
        self.shown.text.push_str(": ");
        Some(key)
    }

    fn string(&mut self) -> Option<String> {
        let mut strings = serde_json::Deserializer::from_str(self.rest).into_iter::<String>();
        let text = strings.next()?.ok()?;
        self.rest = self.rest.get(strings.byte_offset()..)?;
        Some(text)
    }

    fn put(&mut self, depth: usize, key: Option<&str>, value: Long) {
        let text = value.cut(long::VALUE_BYTES_MIN);
        self.name(depth, key, &text);
        match value.is_short() {
            true => self.shown.text.push_str(&text),
            false => self.long.push(value),
        }
    }

    fn line(&mut self, depth: usize) {
        self.shown.text.push('\n');
        self.shown.text.extend(std::iter::repeat_n("  ", depth));
    }

    /// Members of the outermost object go into the sentence.
    fn name(&mut self, depth: usize, key: Option<&str>, value: &str) {
        if depth == 1
            && let Some(key) = key
            && self.brief.len() < BRIEF_MEMBERS_MAX
        {
            self.brief.push(format!("{} {}", cut(&visible(key)), cut(value)));
        }
    }

    /// What is not named is counted: nobody takes four arguments of seventeen for all of them.
    fn brief(&self) -> String {
        let named = self.brief.join(", ");
        match (self.brief.len(), self.members.saturating_sub(self.brief.len())) {
            (_, 0) => named,
            (0, 1) => "1 argument".to_owned(),
            (0, all) => format!("{all} arguments"),
            (_, more) => format!("{named} and {more} more"),
        }
    }

    fn note(&mut self, text: &str, kinds: Vec<&'static str>) {
        self.shown.hidden += kinds.len();
        for kind in kinds {
            if !self.shown.masked.iter().any(|known| known == kind) {
                self.shown.masked.push(kind.to_owned());
            }
        }
        let hidden = text.chars().any(|c| is_hidden(c) && !matches!(c, '\n' | '\r' | '\t'));
        let labels = [
            (hidden, "hidden or direction-changing characters are written out as ⟨U+…⟩"),
            (mixes_scripts(text), "a word mixes letters of several scripts, as imitations do"),
        ];
        for (_, label) in labels.into_iter().filter(|(holds, _)| *holds) {
            if !self.shown.labels.iter().any(|known| known == label) {
                self.shown.labels.push(label.to_owned());
            }
        }
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(BRIEF_CHARS_MAX) {
        // a text ends as one: whoever reads the sentence finds where
        Some((at, _)) if text.starts_with('"') => format!("{}…\"", text.get(..at).unwrap_or_default()),
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
