//! The one piece of a file that changed, kept so that the file can be put back byte for byte.

use decision::Digest;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A file, and the one piece of it that changed.
#[derive(Serialize, Deserialize)]
pub(super) struct Piece {
    pub(super) file: PathBuf,
    /// Of the whole file when it had been changed.
    after: Digest,
    at: usize,
    /// Nothing where it was let go: the file can be put back by nobody.
    #[serde(flatten)]
    texts: Option<Texts>,
}

/// What was there, and what stands in its place.
#[derive(Serialize, Deserialize)]
struct Texts {
    removed: String,
    added: String,
}

impl Piece {
    /// What lies between the same beginning and the same end.
    pub(super) fn of(file: &Path, before: &str, after: &str) -> Self {
        let same = |pair: &(char, char)| pair.0 == pair.1;
        let width =
            |pairs: &mut dyn Iterator<Item = (char, char)>| pairs.map(|(c, _)| c.len_utf8()).sum::<usize>();
        let at = width(&mut before.chars().zip(after.chars()).take_while(same));
        let (old, new) = (before.get(at..).unwrap_or_default(), after.get(at..).unwrap_or_default());
        let end = width(&mut old.chars().rev().zip(new.chars().rev()).take_while(same));
        let middle = |text: &str| text.get(..text.len() - end).unwrap_or_default().to_owned();
        let texts = Some(Texts { removed: middle(old), added: middle(new) });
        Self { file: file.to_owned(), after: Digest::of(after.as_bytes()), at, texts }
    }

    /// Keeps no text any more, which may hold a credential. From now on the file counts as changed by somebody.
    pub(super) fn let_go(&mut self) {
        self.texts = None;
    }

    /// The text as it was. `None` if somebody has changed it since.
    pub(super) fn undone(&self, now: &str) -> Option<String> {
        (Digest::of(now.as_bytes()) == self.after).then(|| self.without(now, self.at)).flatten()
    }

    /// Whether this is the text as it was before the change.
    pub(super) fn is_undone(&self, now: &str) -> bool {
        let again = || {
            let Texts { removed, added } = self.texts.as_ref()?;
            let rest = now.get(self.at..)?.strip_prefix(removed.as_str())?;
            Some(format!("{}{added}{rest}", now.get(..self.at)?))
        };
        again().is_some_and(|again| Digest::of(again.as_bytes()) == self.after)
    }

    fn without(&self, text: &str, at: usize) -> Option<String> {
        let Texts { removed, added } = self.texts.as_ref()?;
        let rest = text.get(at..)?.strip_prefix(added.as_str())?;
        Some(format!("{}{removed}{rest}", text.get(..at)?))
    }

    /// The same for a file that others add to: what was added is taken out, if it is there once.
    pub(super) fn taken_out(&self, now: &str) -> Option<String> {
        let Texts { added, .. } = self.texts.as_ref()?;
        if added.is_empty() {
            return Some(now.to_owned());
        }
        self.undone(now).or_else(|| {
            let mut places = now.match_indices(added.as_str());
            match (places.next(), places.next()) {
                (Some((at, _)), None) => self.without(now, at),
                _ => None,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_put_back_is_the_file_again() {
        for (before, after) in [
            ("{\"a\": \"ü\", \"b\": 1}", "{\"a\": \"ö\", \"b\": 1}"),
            ("", "x"),
            ("aaa", "aa"),
            ("aa", "aaa"),
            ("same", "same"),
            ("x\n", "x\ny\n"),
        ] {
            let piece = Piece::of(Path::new("x"), before, after);
            assert_eq!(piece.undone(after).unwrap(), before, "{before} {after}");
            assert_eq!(piece.undone(&format!("{after} ")), None, "somebody changed it");
            assert!(piece.is_undone(before) && !piece.is_undone(&format!("{before} ")), "{before} {after}");
        }
    }

    #[test]
    fn a_piece_that_was_let_go_puts_nothing_back_and_holds_no_text() {
        let mut piece = Piece::of(Path::new("x"), "a hunter2 b", "a callgate b");
        let kept = serde_json::to_string(&piece).unwrap();
        assert!(kept.contains("hunter2"), "{kept}");
        let again: Piece = serde_json::from_str(&kept).unwrap();
        assert_eq!(again.undone("a callgate b").as_deref(), Some("a hunter2 b"));
        piece.let_go();
        let kept = serde_json::to_string(&piece).unwrap();
        assert!(!kept.contains("hunter2") && !kept.contains("callgate"), "{kept}");
        let again: Piece = serde_json::from_str(&kept).unwrap();
        for now in ["a callgate b", "a hunter2 b"] {
            assert!(again.undone(now).is_none() && again.taken_out(now).is_none() && !again.is_undone(now));
        }
    }
}
