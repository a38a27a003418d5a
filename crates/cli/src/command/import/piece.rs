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
        Self {
            file: file.to_owned(),
            after: Digest::of(after.as_bytes()),
            at,
            removed: middle(old),
            added: middle(new),
        }
    }

    /// The text as it was. `None` if somebody has changed it since.
    pub(super) fn undone(&self, now: &str) -> Option<String> {
        (Digest::of(now.as_bytes()) == self.after).then(|| self.without(now, self.at)).flatten()
    }

    /// Whether this is the text as it was before the change.
    pub(super) fn is_undone(&self, now: &str) -> bool {
        let again = || {
            let rest = now.get(self.at..)?.strip_prefix(self.removed.as_str())?;
            Some(format!("{}{}{rest}", now.get(..self.at)?, self.added))
        };
        again().is_some_and(|again| Digest::of(again.as_bytes()) == self.after)
    }

    fn without(&self, text: &str, at: usize) -> Option<String> {
        let rest = text.get(at..)?.strip_prefix(self.added.as_str())?;
        Some(format!("{}{}{rest}", text.get(..at)?, self.removed))
    }

    /// The same for a file that others add to: what was added is taken out, if it is there once.
    pub(super) fn taken_out(&self, now: &str) -> Option<String> {
        if self.added.is_empty() {
            return Some(now.to_owned());
        }
        self.undone(now).or_else(|| {
            let mut places = now.match_indices(&self.added);
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
}
