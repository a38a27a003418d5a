//! Text in a code. A description may name a code and show a value in it; it has no reason to say a sentence in one.

mod codes;
pub(crate) mod common;
mod shifted;

use crate::finding::{Detector, Severity, Sighting, excerpt};
use crate::hidden::Seat;
use crate::steering;
use crate::steering::lexicon::{MALICE, SHELL, STRONGBOX};
use crate::text::{self, About, is_sentence};

/// How often what was decoded is looked into again.
const LAYERS: u8 = 3;

/// Texts in code, and what they say.
pub(crate) fn look(text: &str, about: &About<'_>) -> Vec<Sighting> {
    let mut found = Vec::new();
    layer(text, about, LAYERS, &mut found);
    found
}

fn layer(text: &str, about: &About<'_>, left: u8, found: &mut Vec<Sighting>) {
    let decoded = codes::decode(text).into_iter().chain(shifted::decode(text));
    for (code, inner) in decoded {
        let steers = steering::weigh(&inner, Seat::Value, about);
        let worst = steers.iter().map(|one| one.severity).max();
        let severity = match worst {
            Some(Severity::Critical | Severity::High | Severity::Medium) => Severity::Critical,
            _ if code.whole && is_sentence(&inner) => Severity::High,
            _ if code.odd => Severity::High,
            // a command or a store of secrets is not put into a code to be read
            _ if code.whole && steering::is_script(&inner) => Severity::Critical,
            _ if code.whole && text::topics(&inner).meets(SHELL.or(STRONGBOX).or(MALICE)) => Severity::High,
            _ => {
                if code.whole && left > 0 {
                    layer(&inner, about, left - 1, found);
                }
                continue;
            }
        };
        // a text with a few escapes was weighed as it stands already
        if !code.whole && !worst.is_some_and(Severity::flags) {
            continue;
        }
        let because = format!("{} says: `{}`", code.name, excerpt(&inner));
        found.push(Sighting::new(Detector::EncodedText, severity, 0.9, because));
    }
}
