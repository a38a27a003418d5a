//! What a call can change: the votes of the name, the description, the operations and the transport, and who wins.

use super::alike::Opinion;
use super::lexicon::{Act, inflected, nounish, property, result, text_output};
use super::name::{Name, Siblings};
use super::prose::Prose;
use super::schema::{Argument, Operation, arguments, operations};
use super::words::{singular, stems};
use super::{About, Effect, Evidence, Method, Tool};
use super::{execution, nouns};
use std::borrow::Cow;

/// A tool, taken apart.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    pub(super) name: Name,
    pub(super) prose: Prose,
    pub(super) arguments: Vec<Argument<'a>>,
    pub(super) operations: Vec<Operation>,
    /// Its server is about money.
    pub(super) bills: bool,
    /// Its server is about who may do what.
    pub(super) governs: bool,
    /// Its server is about what a network lets through.
    pub(super) guards: bool,
    /// Its server is a network of people who follow one another.
    pub(super) mingles: bool,
    /// It runs whatever it is given.
    pub(super) execution: Option<execution::Execution>,
    /// Every deed it is thought to do, with the place that says so.
    pub(super) deeds: Vec<Deed>,
}

#[derive(Debug, Clone)]
pub(super) struct Deed {
    pub(super) act: Act,
    pub(super) word: String,
    pub(super) place: Cow<'static, str>,
}

/// What one source says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Vote {
    Silent,
    Looks,
    /// It leads with looking and goes on to change something.
    LooksAndWrites,
    Writes,
}

impl<'a> Reading<'a> {
    pub(super) fn of(tool: &Tool<'a>, siblings: &Siblings) -> Self {
        let name = Name::of(tool.name, siblings);
        let prose = tool.said().map(Prose::of).unwrap_or_default();
        let arguments = arguments(tool.input_schema);
        let mut operations = operations(&arguments);
        // of what kind the thing is that is made, and no deed
        if !name.acts.is_empty() && name.acts.iter().all(|(act, _)| *act == Act::Add) {
            operations.retain(|operation| !operation.pointer.ends_with("/type"));
        }
        let mut reading = Self {
            name,
            prose,
            arguments,
            operations,
            bills: siblings.bills(),
            governs: siblings.governs(),
            guards: siblings.guards(),
            mingles: siblings.mingles(),
            execution: None,
            deeds: Vec::new(),
        };
        reading.execution = execution::find(&reading);
        reading
    }

    /// The nouns a verb of the name can govern, then those of the description's object.
    pub(super) fn object(&self) -> impl Iterator<Item = String> {
        let words = self.name.nouns.iter().chain(self.prose.object.iter());
        words.map(|word| singular(word))
    }

    pub(super) fn says(&self, word: &str) -> bool {
        self.name
            .words
            .iter()
            .chain(self.prose.first.iter())
            .any(|said| said == word || singular(said) == word)
    }

    fn named(&self) -> (Vote, Vec<Deed>) {
        // What the description says in its own words is better than a verb that stands for several.
        let told = self.prose.acts.iter().any(|(act, _)| act.writes()) || self.only_told_to_look();
        let acts = self.name.acts.iter().filter(|(act, _)| !(told && *act == Act::Umbrella));
        // `run_checkov`: `Run a security scan`: the same verb, and what it is that is run
        let runs = |(act, _): &(Act, String)| *act == Act::Run;
        if self.name.acts.iter().all(runs) && self.prose.acts.first().is_some_and(runs) {
            let object: Vec<String> = self.name.nouns.iter().chain(&self.prose.object).cloned().collect();
            return self.deeds(acts, &object, "/name");
        }
        self.deeds(acts, &self.name.nouns, "/name")
    }

    /// `manage_admins`: `Lists the admins`: all that it says it does, and nothing can be chosen.
    fn only_told_to_look(&self) -> bool {
        let acts = &self.prose.acts;
        !acts.is_empty()
            && acts.iter().all(|(act, _)| *act == Act::Read)
            && self.prose.listed.is_empty()
            && self.operations.is_empty()
            && !self
                .arguments
                .iter()
                .any(|argument| argument.is(&["action", "operation", "mode", "command", "data"]))
    }

    fn described(&self) -> (Vote, Vec<Deed>) {
        let (_, mut deeds) = self.deeds(self.prose.acts.iter(), &self.prose.object, "/description");
        let named = &self.name.acts;
        let looks = !self.name.unsure && !named.is_empty() && named.iter().all(|(act, _)| *act == Act::Read);
        if !named.is_empty() {
            // `Use it when`, `Using the id is better`: advice, where the name says what is done
            deeds.retain(|deed| !matches!(deed.word.as_str(), "use" | "uses" | "using" | "do" | "does"));
        }
        let operation =
            |word: &String| matches!(word.as_str(), "operation" | "operations" | "endpoint" | "api");
        if named.iter().any(|(act, _)| *act != Act::Run) && self.prose.object.iter().any(operation) {
            // `Execute the list_topics operation`: which one it is, its name says
            deeds.retain(|deed| deed.act != Act::Run);
        }
        if looks && plainly_looks(&self.name) && !nouns::credential_words(self.object()) {
            // `get_positions`: `Open positions`: no deed of a tool that gets something
            let noun = |word: &str| stems(word).any(|(stem, _)| nounish(&stem));
            deeds.retain(|deed| !(writes(deed.act) && (self.prose.loosely || noun(&deed.word))));
        }
        if looks && !self.has_destination() && !nouns::credential_words(self.object()) {
            // `get_screenshot`, `get_link`: `Builds a link`: what is made is the answer
            let text = self.prose.object.iter().any(|word| text_output(&singular(word)));
            let built = |word: &str| {
                text && matches!(word.trim_end_matches('s'), "build" | "construct" | "assemble" | "make")
            };
            let made = |word: &str| {
                inflected(word).is_some_and(|(act, _)| act == Act::Emit)
                    || word.trim_end_matches('s') == "request"
                    || built(word)
            };
            deeds.iter_mut().filter(|deed| made(&deed.word)).for_each(|deed| deed.act = Act::Read);
        }
        (vote(&deeds), deeds)
    }

    /// Verbs with what they are done to, settled, and what they speak for.
    fn deeds<'v>(
        &self,
        acts: impl Iterator<Item = &'v (Act, String)>,
        object: &[String],
        place: &'static str,
    ) -> (Vote, Vec<Deed>) {
        let deed = |(act, word): &(Act, String)| {
            let act = self.settle(*act, word, object)?;
            Some(Deed { act, word: word.clone(), place: Cow::Borrowed(place) })
        };
        let deeds: Vec<Deed> = acts.filter_map(deed).collect();
        (vote(&deeds), deeds)
    }

    fn chosen(&self) -> (Vote, Vec<Deed>) {
        let deeds: Vec<Deed> = self
            .operations
            .iter()
            .map(|operation| Deed {
                act: operation.act,
                word: operation.value.clone(),
                place: Cow::Owned(operation.pointer.clone()),
            })
            .collect();
        // One deed that writes among those it can choose is enough.
        let vote = vote(&deeds);
        (if vote == Vote::LooksAndWrites { Vote::Writes } else { vote }, deeds)
    }

    fn listed(&self) -> Vec<Deed> {
        // `Supports new, reply and forward drafts`: a draft reaches nobody.
        let drafts = self.says("draft");
        let listed = self.prose.listed.iter().filter(|(act, _)| !(drafts && *act == Act::Send));
        listed
            .map(|(act, word)| Deed { act: *act, word: word.clone(), place: Cow::Borrowed("/description") })
            .collect()
    }

    /// What it does is what it runs, which it may describe.
    fn only_runs(&self) -> bool {
        let mut acts = self.name.acts.iter().chain(&self.prose.acts);
        acts.all(|(act, _)| !act.writes())
    }

    /// `create_rules`: `Provides a prompt`: what is made is a text, and handed back.
    fn hands_back(&self) -> bool {
        let gives = |(_, word): &(Act, String)| {
            matches!(word.trim_end_matches('s'), "provide" | "return" | "get" | "give" | "retrieve")
        };
        let (named, told) = (&self.name.acts, &self.prose.acts);
        named.iter().any(|(act, _)| *act == Act::Add)
            && named
                .iter()
                .all(|(_, word)| matches!(word.as_str(), "create" | "generate" | "build" | "make" | "design"))
            && !told.is_empty()
            && told.iter().all(gives)
            && self.prose.object.iter().any(|word| text_output(&singular(word)))
    }

    /// `set_ticket_priority`: the last word of the name is a property, and the verb sets it.
    pub(super) fn sets_a_property(&self) -> bool {
        let sets = |(_, verb): &(Act, String)| {
            matches!(verb.as_str(), "set" | "update" | "change" | "modify" | "edit" | "put")
        };
        let last = self.name.words.last().map(|last| singular(last)).unwrap_or_default();
        let chooses =
            ["active", "current", "default"].iter().any(|word| self.name.nouns.iter().any(|n| n == word));
        self.name.acts.iter().any(sets) && (property(&last) || chooses)
    }

    pub(super) fn names_a_result(&self) -> bool {
        // `server_domains`: `Domains on server`: several things, and nothing that is done to them
        let shown = self.name.words.last().filter(|last| last.ends_with('s') && !last.ends_with("ss"));
        let ids = self.arguments.iter().all(|argument| argument.ends(&["id", "uuid", "slug"]));
        self.name.acts.is_empty() && ids && shown.is_some() && self.prose.first.first() == shown
            || self.name.words.last().is_some_and(|last| result(last) || result(&singular(last)))
    }
}

/// Its first word says nothing else than that it looks.
fn plainly_looks(name: &Name) -> bool {
    name.acts.len() == 1
        && name.acts.iter().all(|(_, verb)| {
            matches!(verb.as_str(), "get" | "list" | "read" | "fetch" | "describe" | "retrieve")
        })
}

fn writes(act: Act) -> bool {
    act.writes() || act == Act::Run
}

fn vote(deeds: &[Deed]) -> Vote {
    let mut acts = deeds.iter().map(|deed| writes(deed.act));
    match acts.next() {
        None => Vote::Silent,
        Some(true) => Vote::Writes,
        Some(false) if acts.any(|writes| writes) => Vote::LooksAndWrites,
        Some(false) => Vote::Looks,
    }
}

/// What it can change.
#[derive(Debug)]
pub(super) struct Conclusion {
    pub(super) effect: Effect,
    pub(super) confidence: f32,
    pub(super) evidence: Vec<Evidence>,
    /// How it is worded decided, against the rules or where they could not tell.
    pub(super) turned: bool,
}

/// What it can change, by the rules and, if there is one, an opinion beside them; leaves in `reading` the deeds that count.
pub(super) fn conclude(
    tool: &Tool<'_>,
    reading: &mut Reading<'_>,
    opinion: Option<&Opinion<'_>>,
) -> Conclusion {
    let (named, mut deeds) = reading.named();
    let (described, from_prose) = reading.described();
    let (chosen, from_operations) = reading.chosen();
    let (ruled, sure) = weigh(reading, named, described, chosen);
    let saved = reading.saved().or_else(|| reading.mended()).filter(|_| ruled == Some(false));
    let (ruled, sure) = if saved.is_some() { (Some(true), 0.6) } else { (ruled, sure) };
    // what saves its answer, what runs what it is given and what it can be asked to do is told by its arguments, and where
    // its description says that nothing is changed, that was weighed
    let by_arguments = saved.is_some() || reading.execution.is_some() || chosen == Vote::Writes;
    let told = match ruled {
        Some(false) => by_arguments || reading.prose.says_read_only || reading.hands_back(),
        // nor does how the rest is worded take back what is said to be done as well, or what takes away or pays
        Some(true) => {
            let as_well = described == Vote::LooksAndWrites;
            by_arguments || as_well || deeds.iter().chain(&from_prose).any(|deed| deed.act.is_grave())
        }
        None => by_arguments,
    };
    let opinion = opinion.filter(|_| !told);
    let (verdict, confidence) = opinion.map_or((ruled, sure), |one| one.decides(ruled, sure));
    let turned = verdict != ruled;
    deeds.extend(saved);
    let filters = verdict == Some(false);
    deeds.extend(from_prose);
    deeds.extend(reading.listed());
    deeds.extend(from_operations);
    if verdict != Some(false) {
        deeds.extend(reading.switched());
    }
    deeds.retain(|deed| writes(deed.act) != filters || verdict.is_none());
    let mut evidence: Vec<Evidence> = deeds.iter().take(12).map(said).collect();
    if let (Some(opinion), Some(changes), true) = (opinion, verdict, turned) {
        evidence.push(Evidence::new(About::Effect, "", opinion.because_changes(reading, changes)));
    }
    reading.deeds = deeds;
    let (effect, confidence) = settled(tool, reading, verdict, confidence, &mut evidence);
    let (effect, confidence) = by_transport(tool.method, effect, confidence, &mut evidence);
    let (effect, confidence) = by_claim(tool, effect, confidence, &mut evidence);
    if effect == Effect::Unknown {
        let because =
            "neither its name, its description nor its arguments tell what it does: taken for a write";
        evidence.push(Evidence::new(About::Effect, "", because.to_owned()));
    }
    Conclusion { effect, confidence, evidence, turned }
}

/// Of what writes and of what runs: how bad that can be.
fn settled(
    tool: &Tool<'_>,
    reading: &Reading<'_>,
    verdict: Option<bool>,
    confidence: f32,
    evidence: &mut Vec<Evidence>,
) -> (Effect, f32) {
    match (&reading.execution, verdict) {
        (Some(execution), _) => {
            evidence.push(Evidence::new(About::Effect, execution.place.clone(), execution.because.clone()));
            let named = reading.name.acts.iter().any(|(act, _)| act.writes());
            match (execution.read_only, named) {
                (true, false) => (Effect::None, 0.6),
                (true, true) => (severity(tool, reading), 0.6),
                (false, _) if execution.adds => (severity(tool, reading), 0.8),
                (false, _) => (Effect::Irreversible, 0.9),
            }
        }
        (None, Some(false)) => (Effect::None, confidence),
        (None, Some(true)) => (severity(tool, reading), confidence),
        (None, None) => (Effect::Unknown, confidence),
    }
}

fn said(deed: &Deed) -> Evidence {
    Evidence::new(About::Effect, deed.place.clone(), format!("`{}` {}", deed.word, deed.act.does()))
}

/// Whether it writes, and how sure that is. A source that says it writes outweighs one that says it looks, unless what it
/// says may be a noun.
fn weigh(reading: &Reading<'_>, named: Vote, described: Vote, chosen: Vote) -> (Option<bool>, f32) {
    let sure = !reading.name.unsure;
    let looks = |vote| vote == Vote::Looks;
    // a verb that nobody knows may do anything, whatever noun stands beside it
    let unheard = reading.prose.unknown_verb && !reading.prose.says_read_only && !looks(chosen);
    if chosen == Vote::Writes {
        // In a tool that only looks, an argument of deeds is a filter, such as on a log of who did what.
        let filter = looks(named) && (sure && described != Vote::Writes || looks(described));
        return if filter { (Some(false), 0.7) } else { (Some(true), 0.95) };
    }
    // that one of its deeds only looks says nothing of the others
    let told = reading.prose.acts.iter().chain(&reading.prose.listed).any(|(act, _)| act.writes());
    if chosen != Vote::Writes
        && (reading.only_runs() && !told && reading.prose.says_read_only || reading.hands_back())
    {
        return (Some(false), 0.6);
    }
    if looks(chosen) && reading.prose.says_read_only && !told {
        return (Some(false), 0.7);
    }
    match (named, described) {
        (Vote::Writes | Vote::LooksAndWrites, Vote::Writes | Vote::LooksAndWrites) => (Some(true), 0.97),
        (Vote::Writes | Vote::LooksAndWrites, Vote::Silent) if sure => (Some(true), 0.9),
        (Vote::Writes | Vote::LooksAndWrites, Vote::Looks) if sure && !looks(chosen) => (Some(true), 0.6),
        (Vote::Writes | Vote::LooksAndWrites, Vote::Looks) => (Some(false), 0.75),
        (Vote::Looks, Vote::Writes) if !sure => (Some(true), 0.7),
        (Vote::Looks, Vote::Writes) => (Some(true), 0.55),
        (Vote::Looks, Vote::LooksAndWrites) => (Some(true), 0.7),
        (Vote::Looks, Vote::Looks) => (Some(false), 0.97),
        (Vote::Looks, Vote::Silent) if unheard && !sure => (None, 0.2),
        (Vote::Silent, Vote::Silent) if unheard => (None, 0.2),
        (Vote::Looks, Vote::Silent) => (Some(false), if sure { 0.85 } else { 0.6 }),
        (Vote::Silent, Vote::Writes | Vote::LooksAndWrites) => (Some(true), 0.85),
        (Vote::Silent, Vote::Looks) => (Some(false), 0.85),
        (_, Vote::Silent) if looks(chosen) || reading.prose.says_read_only => (Some(false), 0.7),
        (_, Vote::Silent) if reading.names_a_result() => (Some(false), 0.6),
        (Vote::Silent, Vote::Silent) if reading.prose.names_result => (Some(false), 0.4),
        (Vote::Writes | Vote::LooksAndWrites, Vote::Silent) => (Some(true), 0.6),
        (Vote::Silent, Vote::Silent) => (None, 0.1),
    }
}

/// Of what writes: whether what was there may be gone. An update replaces what its arguments name; where these are not
/// known, or the transport merges, nobody can say that it does.
fn severity(tool: &Tool<'_>, reading: &Reading<'_>) -> Effect {
    let merges = tool.method == Some(Method::Patch) || reading.arguments.is_empty();
    let mild = merges || reading.sets_a_property() || only_properties(reading);
    let comes_back = |deed: &Deed| {
        deed.act == Act::Halt && resumes(&deed.word)
            || reading.prose.says_undone && matches!(deed.act, Act::Change | Act::Send)
            || only_turned_back(reading, deed)
            || mild && deed.act == Act::Change && !deed.place.starts_with("/input")
    };
    let gone = |deed: &Deed| deed.act.irreversible() && !comes_back(deed);
    let said = reading.prose.says_overwrites || reading.prose.says_final || reading.prose.says_discards;
    if said || reading.deeds.iter().any(gone) { Effect::Irreversible } else { Effect::Changes }
}

/// `unassign_user`: `Removes a user from a task`: the name says that a state is turned back, the description says no more.
fn only_turned_back(reading: &Reading<'_>, deed: &Deed) -> bool {
    let turns = |(act, verb): &(Act, String)| *act == Act::Flip && verb.starts_with("un");
    deed.place == "/description"
        && matches!(deed.word.trim_end_matches('s'), "remove" | "clear")
        && !reading.name.acts.is_empty()
        && reading.name.acts.iter().all(turns)
}

/// What is stopped so can be started again.
fn resumes(verb: &str) -> bool {
    matches!(verb.trim_end_matches('s'), "pause" | "unschedule" | "end")
}

/// All that it can name, beside what it is about, are properties.
fn only_properties(reading: &Reading<'_>) -> bool {
    let names = |argument: &Argument<'_>| {
        let last = argument.words.last().map(|word| singular(word)).unwrap_or_default();
        matches!(last.as_str(), "id" | "slug" | "url" | "key" | "organization" | "project" | "owner" | "repo")
    };
    let sets = |argument: &Argument<'_>| {
        argument.words.last().is_some_and(|last| last != "fields" && property(&singular(last)))
            || argument.words.iter().any(|word| matches!(word.as_str(), "assigned" | "assignee"))
    };
    let mut other = reading.arguments.iter().filter(|argument| !names(argument) || sets(argument)).peekable();
    other.peek().is_some() && other.all(sets)
}

fn by_transport(
    method: Option<Method>,
    effect: Effect,
    confidence: f32,
    evidence: &mut Vec<Evidence>,
) -> (Effect, f32) {
    let (to, because) = match (method, effect) {
        (Some(Method::Delete), _) => (Effect::Irreversible, "DELETE removes"),
        (Some(Method::Put), Effect::None | Effect::Unknown | Effect::Changes) => {
            (Effect::Irreversible, "PUT replaces")
        }
        (Some(Method::Patch), Effect::None | Effect::Unknown) => (Effect::Changes, "PATCH changes"),
        (Some(Method::Post), Effect::Unknown) => (Effect::Changes, "POST changes"),
        (Some(Method::Safe), Effect::Unknown) => (Effect::None, "the method promises to change nothing"),
        (Some(_) | None, effect) => return (effect, confidence),
    };
    evidence.push(Evidence::new(About::Effect, "/method", because.to_owned()));
    (to, 0.9)
}

/// An author's claim makes a judgement more severe, never milder.
fn by_claim(tool: &Tool<'_>, effect: Effect, confidence: f32, evidence: &mut Vec<Evidence>) -> (Effect, f32) {
    let mut claim = |name: &'static str, because: &str| {
        evidence.push(Evidence::new(About::Effect, format!("/annotations/{name}"), because.to_owned()));
    };
    let writes = effect != Effect::None;
    match (tool.claimed.read_only, tool.claimed.destructive) {
        (Some(false), Some(true)) if effect != Effect::Irreversible => {
            claim("destructiveHint", "its author says that it may destroy");
            (Effect::Irreversible, 0.9)
        }
        (None, Some(true)) if writes && effect != Effect::Irreversible => {
            claim("destructiveHint", "its author says that it may destroy");
            (Effect::Irreversible, 0.9)
        }
        (Some(false), _) if !writes || effect == Effect::Unknown => {
            claim("readOnlyHint", "its author does not call it read-only");
            (Effect::Changes, 0.8)
        }
        (Some(true), _) if writes => {
            claim("readOnlyHint", "its author calls it read-only, which nothing else bears out");
            (effect, confidence * 0.8)
        }
        (Some(_) | None, _) => (effect, confidence),
    }
}
