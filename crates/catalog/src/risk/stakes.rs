//! What is at stake: categories, level, tier, reach and breadth, from what a tool does and to what.

use super::alike::{Opinion, QUESTIONS, Question};
use super::effect::{Deed, Reading};
use super::lexicon::Act;
use super::nouns;
use super::words::{singular, split};
use super::{About, Effect, Evidence, Level, Reach};
use crate::{Category, Tier};
use std::collections::BTreeSet;

#[derive(Debug)]
pub(super) struct Stakes {
    pub(super) effect: Effect,
    pub(super) level: Level,
    pub(super) tier: Tier,
    pub(super) categories: BTreeSet<Category>,
    pub(super) reach: Reach,
    pub(super) over_broad: bool,
}

/// What is being weighed: the deeds with the objects they have.
pub(super) struct Scale<'r, 'a> {
    pub(super) reading: &'r Reading<'a>,
    pub(super) effect: Effect,
    /// The singular nouns of the name.
    pub(super) named: Vec<String>,
    /// The singular nouns of the description's object.
    pub(super) described: Vec<String>,
    pub(super) categories: BTreeSet<Category>,
    /// What a rule says it is not, though it may sound so.
    pub(super) denied: BTreeSet<Category>,
    critical: bool,
    /// It is critical for more than what it deletes.
    otherwise_critical: bool,
    /// Which evidence is of what it deletes.
    lost: std::ops::Range<usize>,
    pub(super) evidence: &'r mut Vec<Evidence>,
}

/// By the rules, and then by what tools that are worded alike do.
pub(super) fn weigh(
    reading: &Reading<'_>,
    opinion: &Opinion<'_>,
    effect: Effect,
    evidence: &mut Vec<Evidence>,
) -> Stakes {
    let mut scale = by_rules(reading, effect, evidence);
    scale.reconsider(opinion);
    let level = match (scale.effect, scale.critical) {
        (Effect::None, _) => Level::ReadOnly,
        (Effect::Changes | Effect::Irreversible | Effect::Unknown, true) => Level::Critical,
        (Effect::Changes | Effect::Irreversible | Effect::Unknown, false) => Level::SideEffect,
    };
    let (tier, reach, over_broad) = (scale.tier(level), scale.reach(), scale.over_broad());
    Stakes { effect: scale.effect, level, tier, categories: scale.categories, reach, over_broad }
}

fn by_rules<'r, 'a>(
    reading: &'r Reading<'a>,
    effect: Effect,
    evidence: &'r mut Vec<Evidence>,
) -> Scale<'r, 'a> {
    let singulars = |words: &[String]| words.iter().map(|word| singular(word)).collect::<Vec<_>>();
    let (named, described) = (singulars(&reading.name.nouns), singulars(&reading.prose.object));
    let mut scale = Scale {
        reading,
        effect,
        named,
        described,
        categories: BTreeSet::new(),
        denied: BTreeSet::new(),
        critical: false,
        otherwise_critical: false,
        lost: 0..0,
        evidence,
    };
    scale.credentials();
    if effect != Effect::None {
        let known = scale.evidence.len();
        scale.destruction();
        scale.lost = known..scale.evidence.len();
        let loses = std::mem::take(&mut scale.critical);
        scale.execution();
        scale.money();
        scale.administration();
        scale.communication();
        scale.service();
        scale.otherwise_critical = scale.critical;
        scale.critical |= loses;
    }
    scale
}

impl Scale<'_, '_> {
    pub(super) fn found(
        &mut self,
        category: Category,
        place: impl Into<std::borrow::Cow<'static, str>>,
        because: String,
    ) {
        self.categories.insert(category);
        self.evidence.push(Evidence::new(About::Category, place, because));
    }

    pub(super) fn critical(&mut self, place: impl Into<std::borrow::Cow<'static, str>>, because: String) {
        self.critical = true;
        self.evidence.push(Evidence::new(About::Level, place, because));
    }

    pub(super) fn does(&self, acts: &[Act]) -> Option<&Deed> {
        self.reading.deeds.iter().find(|deed| acts.contains(&deed.act))
    }

    pub(super) fn takes(&self, names: &[&str]) -> bool {
        self.reading.arguments.iter().any(|argument| argument.is(names))
    }

    /// A noun of the name, else of the description's object.
    pub(super) fn noun(&self, find: impl Fn(&[String]) -> Option<String>) -> Option<(&'static str, String)> {
        let named = find(&self.named).map(|noun| ("/name", noun));
        named.or_else(|| find(&self.described).map(|noun| ("/description", noun)))
    }

    /// What the rules did not find, and most tools do that are worded alike; and what they found, and next to none does.
    fn reconsider(&mut self, opinion: &Opinion<'_>) {
        let gone = Question::Of(Category::Destructive);
        let doubted = self.categories.contains(&Category::Destructive) && opinion.doubts(gone);
        // what its author may say around it does not take it back alone
        if doubted && self.may_be_there_still() && opinion.without_description(self.reading).doubts(gone) {
            self.categories.remove(&Category::Destructive);
            self.critical = self.otherwise_critical;
            self.evidence.drain(self.lost.clone());
            self.evidence.push(Evidence::new(About::Category, "", opinion.because_not(gone)));
        }
        for question in QUESTIONS.into_iter().filter(|question| opinion.says(*question)) {
            let known = match question {
                Question::Of(category) => self.categories.contains(&category),
                Question::Critical => self.critical,
            };
            if known || !self.may(question) {
                continue;
            }
            let because = opinion.because(self.reading, question);
            match question {
                Question::Of(category) => self.found(category, "", because),
                Question::Critical => self.critical("", because),
            }
        }
    }

    /// Who only looks can only learn a secret, what changes nothing for good deletes nothing, and where a rule says why
    /// something is not so, words alone do not say that it is.
    fn may(&self, question: Question) -> bool {
        match question {
            Question::Of(category) if self.denied.contains(&category) => false,
            Question::Of(Category::CredentialAccess) => true,
            Question::Of(Category::Destructive) => self.effect == Effect::Irreversible,
            Question::Of(_) => self.effect != Effect::None,
            Question::Critical => {
                let lossless = [Category::Destructive, Category::Administrative];
                self.effect != Effect::None && !lossless.iter().any(|one| self.denied.contains(one))
            }
        }
    }

    /// `remove`, `clear` and `replace` are said of much that is there afterwards. What its own name says in plain words, what its
    /// description says is for good, what an argument can ask for, what runs whatever it is given and what moves money is no
    /// matter of opinion.
    fn may_be_there_still(&self) -> bool {
        let runs = self.reading.execution.as_ref().is_some_and(|execution| !execution.read_only);
        let prose = &self.reading.prose;
        let said = prose.says_dropped
            || prose.says_final
            || prose.says_discards
            || self.overwrites()
            || self.asked_to_delete();
        !runs && !said && !self.deletes_plainly() && !self.categories.contains(&Category::Financial)
    }

    fn execution(&mut self) {
        if let Some(execution) = self.reading.execution.as_ref().filter(|execution| !execution.read_only) {
            self.found(Category::Execution, execution.place.clone(), execution.because.clone());
            self.critical(execution.place.clone(), execution.because.clone());
            if self.reading.governs {
                let because = "it runs where it is decided who may do what".to_owned();
                self.found(Category::Administrative, execution.place.clone(), because);
            }
            if execution.interface && self.reading.bills {
                let because = "what the interface offers includes to move money".to_owned();
                self.found(Category::Financial, execution.place.clone(), because);
            }
            if execution.statement {
                self.found(
                    Category::Destructive,
                    execution.place.clone(),
                    "one statement can delete everything".to_owned(),
                );
            }
        }
    }

    fn service(&mut self) {
        let whole: Vec<String> = self.reading.name.words.iter().map(|word| singular(word)).collect();
        let object = nouns::in_service(&whole).or_else(|| nouns::in_service(&self.described));
        let moved = self.moved(&whole, object.is_some());
        let merges = self.reading.deeds.iter().any(|deed| deed.word.starts_with("merg"));
        let whole = |word: &str| whole.iter().chain(&self.described).any(|said| said == word);
        let upgraded = |deed: &&Deed| {
            let verb = deed.word.trim_end_matches('s');
            (whole("firmware") || whole("bios") || whole("bootloader"))
                && matches!(deed.act, Act::Change | Act::Add | Act::Send)
                || matches!(verb, "upgrade" | "downgrade") && object.is_some()
                || matches!(deed.act, Act::Flip | Act::Change)
                    && whole("maintenance")
                    && (whole("mode") || whole("app"))
                || whole("migration")
                    && (deed.act == Act::Run || matches!(verb, "complete" | "apply" | "applie"))
        };
        let upgraded = self.reading.deeds.iter().find(upgraded).cloned();
        let pressed = self.presses_power();
        let manifest = self.reading.arguments.iter().find(|argument| {
            argument.is(&["manifest", "yaml", "manifests", "resource_yaml"])
                || (argument.is(&["resource", "template"])
                    && argument.description().to_ascii_lowercase().contains("yaml"))
        });
        if pressed {
            self.effect = Effect::Irreversible;
            self.critical("/description", "whoever presses the power button ends what runs".to_owned());
        } else if let Some(deed) = moved.or(upgraded).or_else(|| self.goes_live()) {
            self.critical(deed.place.clone(), format!("`{}` changes what is in service", deed.word));
        } else if let Some(manifest) = manifest.map(|manifest| manifest.pointer.clone()) {
            self.critical(manifest, "it applies whatever a manifest asks for".to_owned());
        } else if merges
            && (self.reading.says("pull") || self.reading.says("branch") || self.reading.says("request"))
        {
            self.critical("/name", "merging puts code where others build on it".to_owned());
        }
    }

    /// What is put into service or taken out of it. `whole` are the name's words, `runs` says that they name what runs.
    fn moved(&self, whole: &[String], runs: bool) -> Option<Deed> {
        // whoever closes a connection of his own takes nothing out of service
        let acts = &self.reading.name.acts;
        let closes = |(_, verb): &(Act, String)| {
            matches!(verb.as_str(), "close" | "disconnect" | "detach" | "stop" | "forward")
        };
        let own = |word: &String| matches!(word.as_str(), "session" | "connection" | "forward");
        if !acts.is_empty() && acts.iter().all(closes) && whole.iter().any(own) {
            return None;
        }
        let restarts_all = whole.iter().chain(&self.described).any(|word| {
            matches!(
                word.as_str(),
                "vm" | "server"
                    | "instance"
                    | "host"
                    | "node"
                    | "machine"
                    | "switch"
                    | "router"
                    | "device"
                    | "appliance"
                    | "cluster"
                    | "database"
            )
        });
        let moved = |deed: &&Deed| {
            let base = split(&deed.word).into_iter().next().unwrap_or_default();
            let surely = matches!(
                base.trim_end_matches('s'),
                "deploy"
                    | "promote"
                    | "redeploy"
                    | "install"
                    | "rollback"
                    | "failover"
                    | "scale"
                    | "shutdown"
                    | "decommission"
                    | "drain"
                    | "rollout"
                    | "undeploy"
                    | "cutover"
                    | "evacuate"
                    | "poweroff"
                    | "forceoff"
                    | "powercycle"
            ) || !matches!(super::lexicon::inflected(&base), Some((Act::Deploy | Act::Halt, _)));
            // what is cancelled was still under way
            let under_way = matches!(base.trim_end_matches('s'), "cancel" | "abort");
            // what is restarted is up again, and takes a whole machine along only where it is one
            let again = base.trim_end_matches('s') == "restart" && !restarts_all;
            matches!(deed.act, Act::Deploy | Act::Halt) && !under_way && !again && (surely || runs)
        };
        self.reading.deeds.iter().find(moved).cloned()
    }

    /// A machine's own button, or its switch: whatever it was doing is over.
    fn presses_power(&self) -> bool {
        let says = |word: &str| self.reading.says(word);
        let named = self.reading.name.words.iter().any(|word| word == "power");
        named
            && (says("button") || says("reset"))
            && self.does(&[Act::Flip, Act::Change, Act::Halt, Act::Deploy]).is_some()
    }

    /// Settings that what is in service fetches, once they are published.
    fn goes_live(&self) -> Option<Deed> {
        let words = || self.reading.name.words.iter().chain(&self.described);
        let fetched =
            words().any(|word| matches!(word.as_str(), "config" | "configuration" | "remoteconfig"));
        let publishes =
            |deed: &&Deed| ["publish", "rollback", "rollout"].iter().any(|verb| deed.word.starts_with(verb));
        self.reading.deeds.iter().find(publishes).filter(|_| fetched).cloned()
    }

    fn tier(&mut self, level: Level) -> Tier {
        let whole: Vec<String> = self
            .reading
            .name
            .words
            .iter()
            .chain(&self.reading.prose.object)
            .map(|word| singular(word))
            .collect();
        match level {
            Level::Critical => Tier::Critical,
            Level::SideEffect => Tier::High,
            Level::ReadOnly if self.categories.contains(&Category::CredentialAccess) => Tier::High,
            Level::ReadOnly => {
                let (tier, because) = match (nouns::sensitive(&whole), nouns::public(&whole)) {
                    (Some(noun), _) => {
                        (Tier::High, format!("`{noun}` may be about people or otherwise sensitive"))
                    }
                    (None, Some(noun)) => (Tier::Low, format!("`{noun}` is open to everybody")),
                    (None, None) => return Tier::Medium,
                };
                self.evidence.push(Evidence::new(About::Tier, "/name", because));
                tier
            }
        }
    }

    fn reach(&mut self) -> Reach {
        let outward = [Category::ExternalCommunication, Category::Execution, Category::Financial];
        let category = outward.iter().find(|category| self.categories.contains(category));
        let address = |argument: &&super::schema::Argument<'_>| {
            argument.ends(&[
                "url",
                "urls",
                "uri",
                "webhook",
                "href",
                "recipient",
                "recipients",
                "domain",
                "email",
                "to",
            ]) && !argument
                .words
                .iter()
                .any(|word| matches!(word.as_str(), "user" | "from" | "time" | "date"))
        };
        let argument = self.reading.arguments.iter().find(address);
        let world = ["web", "internet", "online", "website", "crawl", "scrape", "browser"]
            .iter()
            .find(|word| self.reading.says(word));
        let (place, because) = match (category, argument, world) {
            (Some(category), _, _) => ("".to_owned(), format!("{} reaches outside", category.as_str())),
            (None, Some(argument), _) => {
                (argument.pointer.clone(), "it is given an address outside".to_owned())
            }
            (None, None, Some(word)) => ("/description".to_owned(), format!("`{word}` is outside")),
            (None, None, None) => return Reach::Closed,
        };
        self.evidence.push(Evidence::new(About::Reach, place, because));
        Reach::Open
    }

    /// One tool that both looks and writes by what its arguments choose, or that runs anything (K15).
    fn over_broad(&mut self) -> bool {
        let operations = &self.reading.operations;
        let looks = operations.iter().any(|operation| operation.act == Act::Read);
        let writes = operations.iter().find(|operation| operation.act.writes());
        let runs = self.reading.execution.as_ref().filter(|execution| !execution.read_only);
        let (place, because) = match (runs, writes.filter(|_| looks && self.effect != Effect::None)) {
            (Some(runs), _) => (runs.place.clone().into_owned(), "it can read, write and execute"),
            (None, Some(operation)) => {
                (operation.pointer.clone(), "one argument chooses between looking and writing")
            }
            (None, None) => return false,
        };
        self.evidence.push(Evidence::new(About::Breadth, place, because.to_owned()));
        true
    }
}
