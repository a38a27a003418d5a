//! Whether a text tells the model what to do that is not the tool's business.
//!
//! Documentation of an interface is full of commands, and so is an attack. What tells them apart is who is spoken to,
//! about what, and where it leads. So a word accuses nobody: each rule wants two things in one sentence, such as
//! something that the tool has no business with *and* its being fetched or handed over; what the tool is about by its
//! name is its business. Sentences that speak of an attack, as a scanner's description does, are not one.

mod conduct;
pub(crate) mod lexicon;
mod roles;
mod rules;
mod script;
mod stem;
mod unread;
pub(crate) mod wording;
mod words;

use crate::finding::{Severity, Sighting};
use crate::hidden::Seat;
use crate::text::About;
pub(crate) use script::is_script;
use words::Sentence;
pub(crate) use words::sentences;

/// What is seen in a text that hides nothing (any more).
pub(crate) fn weigh(text: &str, seat: Seat, about: &About<'_>) -> Vec<Sighting> {
    let sentences = prepared(text, seat, about);
    let mut found: Vec<Sighting> =
        sentences.iter().flat_map(|sentence| rules::all(sentence, seat, about)).collect();
    roles::look(text, &sentences, &mut found);
    conduct::look(&sentences, seat, about, &mut found);
    compound(&mut found);
    found.extend(wording::look(&sentences, seat, about));
    found.extend(unread::look(&sentences, seat, about));
    found
}

/// The sentences of a text, names in them taken for names.
fn prepared<'t>(text: &'t str, seat: Seat, about: &About<'_>) -> Vec<Sentence<'t>> {
    let mut sentences = sentences(text);
    let at_its_place = seat == Seat::Name;
    for sentence in sentences.iter_mut().filter(|_| !at_its_place) {
        sentence.take_names_for_names(conduct::GOODS, |name| about.is_ours(name));
    }
    sentences
}

/// Three different weak signs in one text are one strong one: honest texts have one at most.
fn compound(found: &mut [Sighting]) {
    let mut weak: Vec<_> =
        found.iter().filter(|one| one.severity == Severity::Medium).map(|one| one.detector).collect();
    weak.sort_unstable();
    weak.dedup();
    let strong = found.iter().any(|one| one.severity.flags());
    if weak.len() > 1 && !strong {
        let first = found.iter_mut().find(|one| one.severity == Severity::Medium);
        if let Some(first) = first {
            first.severity = Severity::High;
            first.confidence = 0.7;
            first.because.push_str(", beside another sign");
        }
    }
}
