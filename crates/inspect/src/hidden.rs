//! Text that people do not see and models read: characters without a shape, letters of another script, invisible markup,
//! and white space that pushes a text out of sight.
//!
//! None of it has an honest use in a definition, with exceptions that follow from Unicode itself: joiners inside emoji
//! and inside the scripts that need them, marks beside letters that are written from right to left, a byte order mark
//! at the start (Unicode TR 36 and 39; Boucher and Anderson, Trojan Source, 2021).

pub(crate) mod letters;
pub(crate) mod markup;
mod space;

use crate::finding::{Detector, Severity, Sighting, excerpt};
use crate::unseen::Unseen;
use letters::{Script, script};
use std::borrow::Cow;

/// What hiding was found, and the text as a model would understand it.
#[derive(Debug, Default)]
pub(crate) struct Hidden<'a> {
    pub(crate) sightings: Vec<Sighting>,
    /// The text without what is invisible in it, look-alikes put back into Latin letters.
    pub(crate) clear: Cow<'a, str>,
    /// What was hidden, where it can be read.
    pub(crate) revealed: Vec<String>,
}

/// Where a text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seat {
    /// A description, instructions: sentences belong here.
    Prose,
    /// A title: a few words.
    Title,
    /// An enum's or default value, a pattern, an example: a value of the tool's domain.
    Value,
    /// A name: of a tool, of a parameter.
    Name,
}

/// So many pictures of a font of its own an honest text may have.
const ICONS_MAX: u32 = 8;

pub(crate) fn look(text: &str, seat: Seat) -> Hidden<'_> {
    let mut hidden = Hidden { clear: Cow::Borrowed(text), ..Hidden::default() };
    if !text.bytes().all(|b| (b' '..=b'~').contains(&b) || matches!(b, b'\n' | b'\t')) {
        let counted = Counted::of(text);
        counted.tell(&mut hidden);
        letters::look(text, seat, &mut hidden.sightings);
        hidden.clear = Cow::Owned(letters::clear(text));
    }
    space::look(text, &mut hidden);
    markup::look(text, &mut hidden);
    hidden
}

/// What is in a text that has no shape of its own.
#[derive(Default)]
struct Counted {
    tags: String,
    /// Bytes that variation selectors can carry.
    selected: Vec<u8>,
    /// Selectors that choose the look of no symbol.
    idle_selectors: u32,
    /// Without width inside a word, or joiners where nothing is joined.
    inside: u32,
    /// Without width between words, as copying from a page leaves them.
    between: u32,
    overrides: u32,
    /// Embeddings, isolates and marks where nothing is written from right to left.
    marks: u32,
    blanks: u32,
    /// For private use: each font draws its own, or nothing.
    private: u32,
    escapes: u32,
    controls: u32,
    reversed: Vec<String>,
}

impl Counted {
    fn of(text: &str) -> Self {
        let mut counted = Self::default();
        let has_right_to_left = text.chars().any(|c| c.is_alphabetic() && script(c) == Script::RightToLeft);
        let mut previous = None;
        // joiners in a row, and what stands before them
        let (mut row, mut joined) = (0, None);
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let next = chars.peek().copied();
            (row, joined) = match Unseen::of(c) {
                Some(Unseen::Joiner) => (row + 1, if row == 0 { previous } else { joined }),
                _ => (0, None),
            };
            match Unseen::of(c) {
                Some(Unseen::Tag) => {
                    // flags of regions are a black flag followed by tags
                    if previous == Some('\u{1f3f4}') && is_flag(&chars, c) {
                        chars.by_ref().take_while(|c| *c != '\u{e007f}').for_each(drop);
                        previous = None;
                        continue;
                    }
                    let spelt = char::from_u32(u32::from(c) - 0xe0000).filter(|c| !c.is_control());
                    counted.inside += u32::from(spelt.is_none());
                    counted.tags.extend(spelt);
                }
                Some(Unseen::Selector) => {
                    counted.selector(c, previous);
                    counted.inside += u32::from(parts(previous, next));
                }
                Some(Unseen::Widthless) => counted.widthless(c, previous, next),
                Some(Unseen::Joiner) => counted.joiner(c, joined, next, row),
                Some(Unseen::Override) => {
                    counted.overrides += 1;
                    if counted.overrides > 1 {
                        continue;
                    }
                    let rest = chars.clone().take_while(|c| !matches!(c, '\u{202c}'));
                    counted.reversed.push(rest.collect::<Vec<_>>().into_iter().rev().collect());
                }
                Some(Unseen::Mark) => {
                    counted.marks += u32::from(!has_right_to_left);
                    counted.inside += u32::from(parts(previous, next));
                }
                Some(Unseen::Blank) => counted.blanks += 1,
                Some(Unseen::Private) => counted.private += 1,
                None => counted.control(c, next),
            }
            previous = Some(c);
        }
        counted
    }

    fn control(&mut self, c: char, next: Option<char>) {
        match c {
            '\u{1b}' | '\u{9b}' => self.escapes += 1,
            '\n' | '\t' => {}
            '\r' if next == Some('\n') => {}
            _ if c.is_control() => self.controls += 1,
            _ => {}
        }
    }

    /// One selector after a symbol chooses its look; more of them carry bytes (P. Butler, 2025).
    fn selector(&mut self, c: char, previous: Option<char>) {
        let code = u32::from(c);
        let byte = if code < 0xe0100 { code - 0xfe00 } else { code - 0xe0100 + 16 };
        self.selected.extend(u8::try_from(byte).ok());
        let on_letter = previous.is_none_or(|p| {
            p.is_ascii_alphabetic() || p.is_whitespace() || ('\u{fe00}'..='\u{fe0f}').contains(&p)
        });
        self.idle_selectors += u32::from(on_letter || code >= 0xe0100);
    }

    fn widthless(&mut self, c: char, previous: Option<char>, next: Option<char>) {
        if c == '\u{feff}' && previous.is_none() {
            return;
        }
        let letter = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let again = previous.is_some_and(letters::is_widthless) || next.is_some_and(letters::is_widthless);
        if (letter(previous) && letter(next)) || again {
            self.inside += 1;
        } else {
            self.between += 1;
        }
    }

    /// Joiners belong between letters of scripts that join, and between emoji; selectors and vowels without a shape beside
    /// letters of their script. Two of them may be a slip of the hand; more carry something.
    fn joiner(&mut self, c: char, before: Option<char>, next: Option<char>, row: u32) {
        const ROW_MAX: u32 = 2;
        let joins = |c: Option<char>| c.is_some_and(letters::joins);
        let proper = match c {
            '\u{200d}' => joins(before) && joins(next),
            _ => joins(before) || joins(next),
        };
        self.inside += u32::from(!proper || row > ROW_MAX);
    }

    fn tell(self, hidden: &mut Hidden<'_>) {
        let mut say = |detector, severity, confidence, because: String| {
            hidden.sightings.push(Sighting::new(detector, severity, confidence, because));
        };
        use Detector::{Bidi, ControlCharacters, HiddenCharacters};
        if !self.tags.is_empty() {
            let because = format!("tag characters, which nobody sees, spell `{}`", excerpt(&self.tags));
            say(HiddenCharacters, Severity::Critical, 1.0, because);
        }
        if self.selected.len() > 3 && self.idle_selectors > 2 {
            let because = format!("{} variation selectors in a row carry bytes", self.selected.len());
            say(HiddenCharacters, Severity::Critical, 0.98, because);
        } else if self.idle_selectors > 0 {
            let because = "a variation selector stands where there is no symbol to vary".to_owned();
            say(HiddenCharacters, Severity::Medium, 0.5, because);
        }
        if self.inside > 0 || self.between > 4 {
            let because = format!("{} without width inside words", told(self.inside.max(self.between)));
            say(HiddenCharacters, Severity::High, 0.9, because);
        } else if self.between > 0 {
            let because = format!("{} without width between words", told(self.between));
            say(HiddenCharacters, Severity::Medium, 0.4, because);
        }
        if self.blanks > 0 {
            let because = format!("{} characters that are letters by name and blank to see", self.blanks);
            say(HiddenCharacters, Severity::High, 0.9, because);
        }
        if self.private > ICONS_MAX {
            let because =
                format!("{} characters for private use, which each font draws or not", self.private);
            say(HiddenCharacters, Severity::High, 0.8, because);
        }
        if self.overrides > 0 {
            let shown = self.reversed.first().map(|text| excerpt(text)).unwrap_or_default();
            say(Bidi, Severity::High, 0.97, format!("the direction of writing is turned; read: `{shown}`"));
        } else if self.marks > 0 {
            let because =
                format!("{} marks of direction, and nothing is written from right to left", self.marks);
            say(Bidi, if self.marks > 2 { Severity::High } else { Severity::Medium }, 0.6, because);
        }
        if self.escapes > 0 {
            let because = "escape sequences steer the terminal that shows this".to_owned();
            say(ControlCharacters, Severity::High, 0.97, because);
        }
        if self.controls > 0 {
            let because = format!("{} control characters", self.controls);
            say(ControlCharacters, Severity::High, 0.9, because);
        }
        let bytes = String::from_utf8(self.selected).ok().filter(|text| text.len() > 3);
        let tags = Some(self.tags).filter(|text| !text.is_empty());
        hidden.revealed.extend(self.reversed.into_iter().chain(bytes).chain(tags));
    }
}

/// What stands there parts a word of letters that have no use for it.
fn parts(previous: Option<char>, next: Option<char>) -> bool {
    [previous, next].into_iter().all(|c| c.is_some_and(|c| c.is_ascii_alphanumeric()))
}

/// England, Scotland or Wales: the sequences that Unicode recommends, and that keyboards have (TR 51, ED-14a).
fn is_flag(rest: &std::iter::Peekable<std::str::Chars<'_>>, first: char) -> bool {
    let code: Option<String> = std::iter::once(first)
        .chain(rest.clone())
        .take(6)
        .map(|c| char::from_u32(u32::from(c).checked_sub(0xe0000)?))
        .collect();
    code.is_some_and(|code| matches!(&*code, "gbeng\u{7f}" | "gbsct\u{7f}" | "gbwls\u{7f}"))
}

fn told(characters: u32) -> String {
    format!("{characters} character{}", if characters == 1 { "" } else { "s" })
}
