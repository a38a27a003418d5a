//! How the story is told: 100 columns, few colours, and a note of everything that did not go as told.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const WIDTH: usize = 100;
const INDENT: usize = 4;

#[derive(Debug, Clone, Copy)]
enum Paint {
    Bold,
    Dim,
    Good,
    Bad,
    Lead,
}

impl Paint {
    const fn code(self) -> &'static str {
        match self {
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Good => "32",
            Self::Bad => "31",
            Self::Lead => "36",
        }
    }
}

#[derive(Debug, Default)]
struct Told {
    scenes: u32,
    title: String,
    expected: u32,
    wrong: Vec<String>,
    over: bool,
}

/// The teller.
#[derive(Debug)]
pub(super) struct Tell {
    colour: bool,
    told: Mutex<Told>,
}

impl Tell {
    pub(super) fn new(colour: bool) -> Self {
        Self { colour, told: Mutex::default() }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn paint(&self, paint: Paint, text: &str) -> String {
        if self.colour { format!("\u{1b}[{}m{text}\u{1b}[0m", paint.code()) } else { text.to_owned() }
    }

    /// A line as it is.
    pub(super) fn line(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        // a reader that went away is no fault
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }

    pub(super) fn title(&self) {
        self.line("");
        self.line(&format!(
            "{INDENTED}{}",
            self.paint(Paint::Bold, "Callgate, one governed call after another")
        ));
        self.prose(
            "Three MCP servers, a gateway and a scripted agent, all real and all on this machine. Everything below \
             is read from what they answer and from the gateway's record while it happens.",
        );
    }

    pub(super) fn setting(&self, url: &str, dir: &Path) {
        self.line("");
        self.pair("gateway", url);
        self.pair("folder", &format!("{}, removed at the end", dir.display()));
    }

    /// Begins a scene.
    pub(super) fn scene(&self, title: &str) {
        let mut told = self.told();
        told.scenes += 1;
        title.clone_into(&mut told.title);
        let number = told.scenes;
        drop(told);
        self.line("");
        self.line(&format!(
            "{} {}",
            self.paint(Paint::Lead, &format!("{number:>3}")),
            self.paint(Paint::Bold, title)
        ));
    }

    /// Plain sentences.
    pub(super) fn prose(&self, text: &str) {
        self.wrapped("", "", text, None);
    }

    /// A name and what belongs to it.
    pub(super) fn pair(&self, name: &str, text: &str) {
        self.wrapped(&format!("{name:<28}"), &" ".repeat(28), text, None);
    }

    /// What somebody asks.
    pub(super) fn asks(&self, what: &str) {
        self.wrapped("→ ", "  ", &airy(what), None);
    }

    /// What they are answered.
    pub(super) fn hears(&self, what: &str) {
        self.wrapped("← ", "  ", &airy(what), None);
    }

    /// What the record has of it.
    pub(super) fn recorded(&self, what: &str) {
        self.wrapped("  ", "  ", what, Some(Paint::Dim));
    }

    /// What should have happened, and whether it did.
    pub(super) fn expect(&self, did: bool, good: &str, otherwise: &str) {
        let mut told = self.told();
        told.expected += 1;
        if did {
            drop(told);
            return self.wrapped("✓ ", "  ", good, Some(Paint::Good));
        }
        let wrong = format!("scene {}, {}: {otherwise}", told.scenes, told.title);
        told.wrong.push(wrong);
        drop(told);
        self.wrapped("✗ ", "  ", otherwise, Some(Paint::Bad));
    }

    /// Whether all scenes were played.
    pub(super) fn is_over(&self) -> bool {
        self.told().over
    }

    /// Whether nothing went otherwise than told, and something was told.
    pub(super) fn is_good(&self) -> bool {
        let told = self.told();
        told.wrong.is_empty() && told.expected > 0
    }

    /// The sum of it. Returns [`Tell::is_good`].
    pub(super) fn outcome(&self, took: Duration) -> bool {
        let mut told = self.told();
        told.over = true;
        let (scenes, wrong) = (told.scenes, told.wrong.clone());
        drop(told);
        self.line("");
        if self.is_good() {
            let text = format!("All {scenes} scenes went as told, in {:.1} s.", took.as_secs_f64());
            self.wrapped("", "", &text, Some(Paint::Good));
        }
        for wrong in wrong {
            self.wrapped("✗ ", "  ", &format!("not as told: {wrong}"), Some(Paint::Bad));
        }
        self.is_good()
    }

    /// Why nothing more can be told.
    pub(super) fn fault(&self, error: &anyhow::Error) {
        self.line("");
        self.wrapped("✗ ", "  ", &format!("the demo cannot go on: {error:#}"), Some(Paint::Bad));
        self.line("");
    }

    fn wrapped(&self, first: &str, rest: &str, text: &str, paint: Option<Paint>) {
        let room = WIDTH - INDENT - first.chars().count();
        for (i, line) in wrap(&printable(text), room).iter().enumerate() {
            let line = format!("{}{line}", if i == 0 { first } else { rest });
            let line = paint.map_or_else(|| line.clone(), |paint| self.paint(paint, &line));
            self.line(&format!("{INDENTED}{line}"));
        }
    }
}

const INDENTED: &str = "    ";

/// Text of others without what a terminal would obey.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

/// JSON with room to break a line.
fn airy(text: &str) -> String {
    text.replace(",\"", ", \"").replace("\":", "\": ").replace("\":  ", "\": ")
}

/// Breaks lines at blanks; a word that does not fit a line is cut.
fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let (mut line, mut length) = (String::new(), 0);
        for word in paragraph.split(' ') {
            let long = word.chars().count();
            if length > 0 && length + 1 + long <= room {
                let _ = write!(line, " {word}");
                length += 1 + long;
                continue;
            }
            if length > 0 {
                lines.push(std::mem::take(&mut line));
            }
            let mut rest: Vec<char> = word.chars().collect();
            while rest.len() > room {
                let tail = rest.split_off(room);
                lines.push(rest.into_iter().collect());
                rest = tail;
            }
            length = rest.len();
            line = rest.into_iter().collect();
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_wider_than_there_is_room_and_nothing_is_lost() {
        let text = format!("a few words and {} then some more", "x".repeat(45));
        let lines = wrap(&text, 20);
        assert!(lines.iter().all(|line| line.chars().count() <= 20), "{lines:?}");
        assert_eq!(lines.concat().replace(' ', ""), text.replace(' ', ""));
        assert_eq!(wrap("one\ntwo", 20), ["one", "two"]);
    }

    #[test]
    fn what_others_say_cannot_drive_the_terminal() {
        assert!(!printable("a\u{1b}[2Jb\u{7}\r").contains(|c: char| c.is_control()));
    }

    #[test]
    fn a_story_is_good_only_if_something_was_expected_and_all_of_it_happened() {
        let tell = Tell::new(false);
        assert!(!tell.is_good());
        tell.scene("one");
        tell.expect(true, "yes", "no");
        assert!(tell.is_good());
        tell.expect(false, "yes", "no");
        assert!(!tell.is_good());
        assert_eq!(tell.told().wrong, ["scene 1, one: no"]);
    }
}
