//! What arguments do beside what they are about: flags that delete, overwrite or put right, files that are written.

use super::effect::{Deed, Reading};
use super::lexicon::Act;
use super::schema::Argument;
use super::words::singular;
use std::borrow::Cow;

impl Reading<'_> {
    /// Flags of a tool that writes: `delete_source`, `overwrite`.
    pub(super) fn switched(&self) -> impl Iterator<Item = Deed> {
        let flags = self.arguments.iter().filter(|argument| argument.has_type("boolean"));
        flags.filter_map(|flag| {
            let act = super::lexicon::act(flag.words.first()?)?;
            let word = flag.words.join("_");
            // `remove_noise` is about what comes out, `remove_source` about what is there
            let loosely = flag.words.first().is_some_and(|verb| {
                matches!(verb.as_str(), "remove" | "clear" | "strip" | "reset" | "cut" | "trim")
            });
            let own = |word: &String| {
                self.name.nouns.iter().chain(&self.prose.object).any(|noun| singular(noun) == singular(word))
            };
            let about = matches!(
                flag.words.last().map(String::as_str),
                Some("source" | "original" | "existing" | "old" | "all")
            );
            let stored = !loosely || about || flag.words.iter().skip(1).any(own);
            let gone = matches!(act, Act::Remove | Act::Take) && stored || word == "overwrite";
            let act = if act == Act::Remove { Act::Take } else { act };
            gone.then(|| Deed { act, word, place: Cow::Owned(flag.pointer.clone()) })
        })
    }

    /// What it finds goes into a file that an argument names.
    pub(super) fn saved(&self) -> Option<Deed> {
        let file = self.arguments.iter().find(|argument| {
            argument.is_text()
                && argument.ends(&["path", "file", "filename", "dir", "directory"])
                && saves(argument)
        })?;
        let place = Cow::Owned(file.pointer.clone());
        Some(Deed { act: Act::Add, word: "save".to_owned(), place })
    }

    /// `validate_references` with `fix_invalid`: a flag that puts right what is found.
    pub(super) fn mended(&self) -> Option<Deed> {
        let mends = |argument: &&Argument<'_>| {
            let first = argument.words.first().map(String::as_str);
            argument.has_type("boolean")
                && matches!(first, Some("fix" | "repair" | "autofix" | "autocorrect"))
        };
        let flag = self.arguments.iter().find(mends)?;
        let place = Cow::Owned(flag.pointer.clone());
        Some(Deed { act: Act::Change, word: flag.words.join("_"), place })
    }
}

fn saves(file: &Argument<'_>) -> bool {
    let text = file.description().to_ascii_lowercase();
    let output = file.words.first().is_some_and(|word| matches!(word.as_str(), "output" | "save" | "out"));
    let said = [
        "to save",
        "save to",
        "saved to",
        "be saved",
        "is saved",
        "to write",
        "written to",
        "be written",
        "is written",
    ];
    output || said.iter().any(|phrase| text.contains(phrase))
}
