//! A text as a model reads it: what hides in it, what is in code, and what it tells the model to do.

use crate::finding::{Detector, Severity, Sighting, excerpt};
use crate::steering::lexicon;
use crate::{encoded, hidden, steering};
use std::collections::BTreeSet;

pub use crate::blank::{Blank, blank};
pub use crate::hidden::Seat;
pub use crate::steering::lexicon::Topics;
pub use crate::steering::wording::{BUCKETS, STEERS, Worded, wordings};

/// What the text is about by rights, and whose the names in it are.
#[derive(Debug, Clone, Copy, Default)]
pub struct About<'a> {
    /// The tool's own name, in small letters.
    pub name: Option<&'a str>,
    /// Topics that are the tool's business.
    pub own: Topics,
    /// Names of the tool's parameters, in small letters.
    pub ours: Option<&'a BTreeSet<String>>,
    /// Names of the tools of its server, its own too, in small letters.
    pub siblings: Option<&'a BTreeSet<String>>,
    /// Names of the tools of other servers, in small letters.
    pub theirs: Option<&'a BTreeSet<String>>,
    /// The parameter that the text is about.
    pub parameter: Option<&'a str>,
    /// What the text around speaks of.
    pub near: Topics,
    /// It describes what is to be given, so that what it asks for leaves with the call.
    pub asks: bool,
    /// It stands where data belongs.
    pub value: bool,
}

impl About<'_> {
    /// Whether it is an argument of its own, or what one of them can be told to do, in whatever case it is written.
    pub(crate) fn is_own(&self, name: &str) -> bool {
        self.ours.is_some_and(|names| names.contains(&name.to_lowercase()))
    }
    pub(crate) fn is_ours(&self, name: &str) -> bool {
        [self.ours, self.siblings].into_iter().flatten().any(|names| names.contains(name))
    }
    pub(crate) fn is_theirs(&self, name: &str) -> bool {
        !self.is_ours(name) && self.theirs.is_some_and(|names| names.contains(name))
    }
}

/// What a name speaks of: a tool that is called `rotate_ssh_key` may speak of keys.
pub fn topics(name: &str) -> Topics {
    let found = steering::sentences(name).iter().fold(Topics::NONE, |all, sentence| all.or(sentence.topics));
    // a store of secrets is no surprise where secrets are the business, and the other way round
    let kin = [
        (lexicon::STRONGBOX, lexicon::SECRET),
        (lexicon::SECRET, lexicon::STRONGBOX),
        (lexicon::CONTEXT, lexicon::TALK),
        (lexicon::TALK, lexicon::CONTEXT),
        (lexicon::PLACE, lexicon::HOST),
    ];
    kin.iter().filter(|(one, _)| found.meets(*one)).fold(found, |all, (_, other)| all.or(*other))
}

/// What the first sentence of a text speaks of.
pub fn first_topics(text: &str) -> Topics {
    let end = text.find(['.', '\n']).unwrap_or(text.len()).min(300);
    text.get(..end).map(topics).unwrap_or_default()
}

/// Everything that is seen in a text.
pub fn look(text: &str, seat: Seat, about: &About<'_>) -> Vec<Sighting> {
    let hidden = hidden::look(text, seat);
    let mut found = hidden.sightings;
    let mut seen = steering::weigh(&hidden.clear, seat, about);
    for revealed in &hidden.revealed {
        let inside = steering::weigh(revealed, Seat::Value, about);
        if let Some(worst) =
            inside.iter().filter(|one| one.severity >= Severity::Medium).max_by_key(|one| one.severity)
        {
            let because = format!("what is hidden says: `{}` ({})", excerpt(revealed), worst.because);
            seen.push(Sighting::new(worst.detector, Severity::Critical, 0.98, because));
        }
    }
    found.append(&mut seen);
    found.extend(encoded::look(&hidden.clear, about));
    once(found)
}

/// The worst of each detector.
fn once(mut found: Vec<Sighting>) -> Vec<Sighting> {
    found.sort_by(|a, b| {
        (a.detector, b.severity).cmp(&(b.detector, a.severity)).then(b.confidence.total_cmp(&a.confidence))
    });
    found.dedup_by_key(|one| one.detector);
    found
}

/// Whether it is a sentence and not a value: words enough, joined by such as no list of values has.
pub fn is_sentence(text: &str) -> bool {
    let (mut words, mut common) = (0, 0);
    for word in text.split(|c: char| !c.is_alphabetic() && c != '\'').filter(|word| !word.is_empty()) {
        words += 1;
        common += u32::from(encoded::common::is_common(word));
    }
    words > 5 && common > 1
}

/// Whether it orders something, or speaks to the model.
pub fn commands(text: &str) -> bool {
    use lexicon::{
        ALWAYS, DESTROY, FETCH, IGNORE, INSTALL, MODEL, MOVE, MUST, NOT, REDIRECT, RUN, TELL, USE, YOU,
    };
    let verbs = MOVE
        .or(lexicon::MALICE)
        .or(FETCH)
        .or(RUN)
        .or(DESTROY)
        .or(INSTALL)
        .or(IGNORE)
        .or(REDIRECT)
        .or(USE)
        .or(TELL);
    steering::sentences(text).iter().any(|sentence| {
        sentence.commands(verbs)
            || sentence.speaks_of(YOU.or(MODEL)) && sentence.speaks_of(MUST.or(ALWAYS).or(NOT).or(verbs))
    })
}

/// A name as it looks: small letters of one script, without what is between words, and with one form for those that are
/// taken for each other.
pub fn skeleton(name: &str) -> String {
    let latin = name.chars().map(|c| hidden::letters::twin(c).unwrap_or(c));
    let plain = latin.flat_map(char::to_lowercase).filter(|c| c.is_alphanumeric());
    plain
        .map(|c| match c {
            '0' => 'o',
            '1' | 'i' => 'l',
            '5' => 's',
            _ => c,
        })
        .collect::<String>()
        .replace("rn", "m")
        .replace("vv", "w")
}

/// An address on the web or of a mailbox.
pub fn is_address(text: &str) -> bool {
    let one = text.trim();
    !one.contains(char::is_whitespace)
        && (one.starts_with("http://") || one.starts_with("https://") || one.starts_with("ftp://") || {
            let mail = one.split_once('@');
            mail.is_some_and(|(name, host)| !name.is_empty() && host.contains('.') && !host.contains('/'))
        })
}

/// The path of a store of secrets, such as `~/.ssh/*`, and nothing else.
pub fn is_strongbox(text: &str) -> bool {
    !text.contains(char::is_whitespace) && topics(text).meets(lexicon::STRONGBOX) && text.contains(['/', '.'])
}

/// Longer than people read before they say yes.
pub fn too_long(text: &str, seat: Seat) -> Option<Sighting> {
    let (bound, severity) = match seat {
        Seat::Prose => (6_000, Severity::Low),
        Seat::Title => (120, Severity::Medium),
        Seat::Value => (2_000, Severity::Low),
        Seat::Name => (128, Severity::Medium),
    };
    let length = text.chars().count();
    (length > bound).then(|| {
        let because = format!("{length} characters; nobody reads that before saying yes");
        Sighting::new(Detector::OverLong, severity, 0.3, because)
    })
}
