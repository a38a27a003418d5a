//! What tools that are worded alike do: a second opinion beside the rules.
//!
//! Rules know what a verb does to a noun where somebody wrote that down, and of servers of a kind that nobody thought of they
//! miss much. So each word of a tool's name, of how its description begins and of its arguments has a weight for each
//! question, learnt by logistic regression from labelled tools (`cargo xtask learn risk`); their sum are the log-odds that
//! the answer is yes. Nothing is called and nothing is learnt at run time: it is one table in the program, and the words that
//! weigh most are in the evidence.

use super::Tool;
use super::effect::Reading;
use super::name::Siblings;
use super::table::{self, Table};
use crate::Category;

/// What is asked of each tool.
pub const QUESTIONS: [Question; 7] = [
    Question::Of(Category::Financial),
    Question::Of(Category::Administrative),
    Question::Of(Category::Destructive),
    Question::Of(Category::CredentialAccess),
    Question::Of(Category::ExternalCommunication),
    Question::Of(Category::Execution),
    Question::Critical,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Whether its level is critical.
    Critical,
    Of(Category),
}

impl Question {
    fn index(self) -> usize {
        QUESTIONS.iter().position(|one| *one == self).unwrap_or_default()
    }

    /// From where on the words alone are believed, set by what tables found on servers that they were not learnt from.
    fn sure(self) -> f32 {
        match self {
            Self::Of(Category::Destructive | Category::Execution) => 0.5,
            Self::Of(
                Category::Administrative | Category::CredentialAccess | Category::ExternalCommunication,
            ) => 0.6,
            Self::Of(Category::Financial) => 0.7,
            Self::Critical => 0.85,
        }
    }

    fn does(self) -> &'static str {
        match self {
            Self::Critical => "do what is critical",
            Self::Of(Category::Financial) => "move money",
            Self::Of(Category::Administrative) => "change who may do what",
            Self::Of(Category::Destructive) => "delete for good",
            Self::Of(Category::CredentialAccess) => "touch secrets",
            Self::Of(Category::ExternalCommunication) => "reach people",
            Self::Of(Category::Execution) => "run what they are given",
        }
    }
}

/// Where a word stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// In the name, the server's own left out; the order counts.
    Name,
    /// The first of the description.
    First,
    /// Among the first of the description.
    Said,
    /// In the name of an argument.
    Taken,
    /// In the names of several siblings.
    Around,
}

/// Words of a description that are looked at.
const SAID_MOST: usize = 60;
/// Words of a name, and of its arguments: beyond them nothing is gained, and time is lost.
const NAME_MOST: usize = 12;
const TAKEN_MOST: usize = 120;

/// The words of a tool where they stand, each with its stem before it.
fn words(
    reading: &Reading<'_>,
    description: Option<&str>,
    siblings: &Siblings,
    mut then: impl FnMut(Part, &str, &str),
) {
    reading.name.words.iter().take(NAME_MOST).for_each(|word| then(Part::Name, stem(word), word));
    let mut word = String::new();
    let runs = description.unwrap_or_default().split(|c: char| !c.is_ascii_alphabetic());
    for (at, run) in runs.filter(|run| !run.is_empty()).take(SAID_MOST).enumerate() {
        word.clear();
        word.extend(run.chars().map(|c| c.to_ascii_lowercase()));
        if at == 0 {
            then(Part::First, stem(&word), &word);
        }
        then(Part::Said, stem(&word), &word);
    }
    let taken = reading.arguments.iter().flat_map(|argument| &argument.words);
    taken.take(TAKEN_MOST).for_each(|word| then(Part::Taken, stem(word), word));
    siblings.common().iter().for_each(|word| then(Part::Around, word, word));
}

/// Whether a reader learns something by it: no article, and nothing that only joins.
fn tells(word: &str) -> bool {
    const LEAST: usize = 3;
    const JOIN: [&str; 16] = [
        "the", "and", "for", "with", "from", "this", "that", "its", "into", "when", "are", "has", "you",
        "your", "use", "tool",
    ];
    word.len() >= LEAST && !JOIN.contains(&word)
}

/// The words that several names of a server share: what it is about.
pub(super) fn common(names: &[Vec<String>]) -> Vec<String> {
    /// In so many names, and in one of so many.
    const FEWEST: usize = 3;
    const SHARE: usize = 10;
    let mut counts = std::collections::BTreeMap::<&str, usize>::new();
    for name in names {
        let mut own: Vec<&str> = name.iter().map(|word| stem(word)).collect();
        own.sort_unstable();
        own.dedup();
        own.into_iter().for_each(|word| *counts.entry(word).or_default() += 1);
    }
    let often = |count: usize| count >= FEWEST && count * SHARE > names.len();
    counts.into_iter().filter(|(_, count)| often(*count)).map(|(word, _)| word.to_owned()).collect()
}

/// What a verb or a noun has in common with its other forms, near enough to compare with.
fn stem(word: &str) -> &str {
    const LEAST: usize = 3;
    let cut = |word: &'_ str, end: &str| {
        let left = word.strip_suffix(end)?.len();
        (left >= LEAST).then_some(left)
    };
    let short = |left: Option<usize>| left.and_then(|left| word.get(..left));
    if let Some(stem) = short(cut(word, "ies")) {
        return stem;
    }
    let ends_so = ["ss", "us", "is"].iter().any(|end| word.ends_with(end));
    let one = short(cut(word, "s")).filter(|_| !ends_so).unwrap_or(word);
    let base = ["ing", "ed", "e", "y"].iter().find_map(|end| one.get(..cut(one, end)?));
    let base = base.unwrap_or(one);
    base.get(..cut(base, "e").unwrap_or(base.len())).unwrap_or(base)
}

const STIR: u64 = 0x9e37_79b9_7f4a_7c15;

fn hash(kind: u64, word: &str) -> u64 {
    let each = word
        .bytes()
        .fold(kind.wrapping_mul(STIR), |all, byte| (all.rotate_left(5) ^ u64::from(byte)).wrapping_mul(STIR));
    each ^ each >> 31
}

fn pair(kind: u64, first: u64, second: u64) -> u64 {
    let both = (kind ^ first.rotate_left(23) ^ second.rotate_left(7)).wrapping_mul(STIR);
    both ^ both >> 29
}

/// What a word is a feature of, besides its [`Part`].
const LEADS: u64 = 11;
const ENDS: u64 = 12;
const FROM_LEAD: u64 = 13;
const BOTH: u64 = 14;

/// The features of a tool, each once: its words where they stand, the first and the last of its name, and the name's words by
/// pairs.
#[derive(Debug, Default)]
pub struct Features {
    name: Vec<u64>,
    all: Vec<u64>,
}

impl Features {
    pub fn add(&mut self, part: Part, word: &str) {
        if part == Part::Name {
            self.name.push(hash(0, word));
        }
        self.all.push(hash(1 + part as u64, word));
    }

    pub fn finish(mut self) -> Vec<u64> {
        let named = |kind, word: Option<&u64>| word.map(|word| pair(kind, *word, 0));
        self.all.extend(named(LEADS, self.name.first()));
        self.all.extend(named(ENDS, self.name.last()));
        for (at, one) in self.name.iter().enumerate() {
            for other in self.name.iter().skip(at + 1) {
                if at == 0 {
                    self.all.push(pair(FROM_LEAD, *one, *other));
                }
                self.all.push(pair(BOTH, *one.min(other), *one.max(other)));
            }
        }
        self.all.sort_unstable();
        self.all.dedup();
        self.all
    }
}

/// Of each table, places for features; a power of two, and at least twice as many as there are.
const SLOTS: usize = 1 << 15;
const TABLE: Table<'static, { QUESTIONS.len() }> = Table::new(include_bytes!("alike.bin"), SLOTS);
/// Of one question: whether it changes anything.
const CHANGES: Table<'static, 1> = Table::new(include_bytes!("changes.bin"), SLOTS);

/// How much the log-odds count of rules that say it writes, of rules that say it looks, and of words; set by how tools are
/// judged whose servers neither rules nor words were made from.
const WRITES: f32 = 1.25;
const LOOKS: f32 = 2.0;
const WORDS: f32 = 0.75;
/// Log-odds from which on words alone tell what the rules cannot, and from which on rules are overruled.
const CLEAR: f32 = 1.5;
const OVERRULED: f32 = 0.4;

/// The table of [`QUESTIONS`], for whoever learns: of each a step and a bias, of each feature its steps. `None` where there are
/// more features than it can hold well.
pub fn table(
    heads: [(f32, f32); QUESTIONS.len()],
    features: &[(u64, [i8; QUESTIONS.len()])],
) -> Option<Vec<u8>> {
    table::lay(heads, features, SLOTS)
}

/// The same of the one question whether a tool changes anything.
pub fn changes_table(heads: [(f32, f32); 1], features: &[(u64, [i8; 1])]) -> Option<Vec<u8>> {
    table::lay(heads, features, SLOTS)
}

/// From 0 to 1, of log-odds.
fn chance(odds: f32) -> f32 {
    1.0 / (1.0 + (-odds).exp())
}

/// How likely each answer is, by how a tool is worded.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Opinion<'a> {
    odds: [f32; QUESTIONS.len()],
    /// That it changes anything.
    changes: f32,
    description: Option<&'a str>,
    siblings: &'a Siblings,
}

impl<'a> Opinion<'a> {
    pub(super) fn of(reading: &Reading<'_>, description: Option<&'a str>, siblings: &'a Siblings) -> Self {
        let mut features = Features::default();
        words(reading, description, siblings, |part, stem, _| features.add(part, stem));
        let features = features.finish();
        let [changes] = CHANGES.odds(&features);
        Self { odds: TABLE.odds(&features), changes, description, siblings }
    }

    /// By its name and its arguments alone.
    pub(super) fn without_description(&self, reading: &Reading<'_>) -> Self {
        Self::of(reading, None, self.siblings)
    }

    /// From 0 to 1.
    fn likely(&self, question: Question) -> f32 {
        chance(self.odds.get(question.index()).copied().unwrap_or_default())
    }

    /// Most tools that are worded so do it.
    pub(super) fn says(&self, question: Question) -> bool {
        self.likely(question) >= question.sure()
    }

    /// Next to no tool that is worded so does it.
    pub(super) fn doubts(&self, question: Question) -> bool {
        const DOUBTED: f32 = 0.1;
        self.likely(question) < DOUBTED
    }

    /// The words that speak most for it.
    pub(super) fn because(&self, reading: &Reading<'_>, question: Question) -> String {
        let step = |feature| TABLE.steps(feature)?.get(question.index()).map(|step| step.cast_signed());
        let by = self.by(reading, step);
        format!("{} that are worded so {}{by}", self.share(question), question.does())
    }

    /// Whether it changes anything, from what the rules say and how sure they are and from what tools do that are worded alike, and
    /// how likely that is: by rules that are nearly sure, next to nothing is turned; what they cannot tell is told by words that
    /// are clear.
    pub(super) fn decides(&self, ruled: Option<bool>, sure: f32) -> (Option<bool>, f32) {
        let odds = (sure / (1.0 - sure)).ln().max(0.0);
        let both = match ruled {
            Some(true) => WRITES * odds + WORDS * self.changes,
            Some(false) => WORDS * self.changes - LOOKS * odds,
            None if (WORDS * self.changes).abs() < CLEAR => return (None, sure),
            None => WORDS * self.changes,
        };
        let changes = Some(both > 0.0);
        let stands = changes == ruled || ruled.is_some() && both.abs() < OVERRULED;
        if stands { (ruled, sure) } else { (changes, chance(both.abs())) }
    }

    /// The words that speak most for its changing something, or against it.
    pub(super) fn because_changes(&self, reading: &Reading<'_>, changes: bool) -> String {
        let step = |feature| {
            let step = CHANGES.steps(feature)?.first()?.cast_signed();
            Some(if changes { step } else { step.saturating_neg() })
        };
        let by = self.by(reading, step);
        let share = 100.0 * chance(self.changes);
        let (share, what) =
            if changes { (share, "change something") } else { (100.0 - share, "change nothing") };
        format!("{share:.0} in 100 that are worded so {what}{by}")
    }

    /// The words with the largest steps above zero, those that say something by themselves.
    fn by(&self, reading: &Reading<'_>, step: impl Fn(u64) -> Option<i8>) -> String {
        const MOST: usize = 3;
        let mut all: Vec<(i8, String)> = Vec::new();
        words(reading, self.description, self.siblings, |part, stem, word| {
            let step = step(hash(1 + part as u64, stem)).filter(|step| *step > 0 && tells(word));
            all.extend(step.filter(|_| part != Part::Around).map(|step| (step, format!("`{word}`"))));
        });
        all.sort_by(|(a, one), (b, other)| b.cmp(a).then(one.cmp(other)));
        let mut words: Vec<String> = Vec::new();
        for (_, word) in all {
            if words.len() < MOST && !words.contains(&word) {
                words.push(word);
            }
        }
        if words.is_empty() { String::new() } else { format!(", by {}", words.join(", ")) }
    }

    /// Why something that was found is not believed.
    pub(super) fn because_not(&self, question: Question) -> String {
        format!("only {} that are worded so {}", self.share(question), question.does())
    }

    fn share(&self, question: Question) -> String {
        format!("{:.0} in 100", 100.0 * self.likely(question))
    }
}

/// The stems of one definition's words, for whoever learns.
pub fn worded(tool: &Tool<'_>, siblings: &Siblings) -> Vec<(Part, String)> {
    let mut found = Vec::new();
    let reading = Reading::of(tool, siblings);
    words(&reading, tool.said(), siblings, |part, stem, _| found.push((part, stem.to_owned())));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_a_word_have_one_stem() {
        for forms in [
            ["delete", "deletes", "deleted", "deleting"],
            ["policy", "policies", "policy", "policies"],
            ["notify", "notifies", "notify", "notifies"],
            ["send", "sends", "sending", "send"],
        ] {
            assert!(forms.iter().all(|form| stem(form) == stem(forms[0])), "{forms:?}");
        }
        assert_eq!(
            [stem("status"), stem("address"), stem("key"), stem("s")],
            ["status", "address", "key", "s"]
        );
    }
}
