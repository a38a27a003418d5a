//! What is at stake: categories, level, tier, reach and breadth, from what a tool does and to what.

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
    critical: bool,
    pub(super) evidence: &'r mut Vec<Evidence>,
}

pub(super) fn weigh(reading: &Reading<'_>, effect: Effect, evidence: &mut Vec<Evidence>) -> Stakes {
    let singulars = |words: &[String]| words.iter().map(|word| singular(word)).collect::<Vec<_>>();
    let (named, described) = (singulars(&reading.name.nouns), singulars(&reading.prose.object));
    let mut scale =
        Scale { reading, effect, named, described, categories: BTreeSet::new(), critical: false, evidence };
    scale.credentials();
    if effect != Effect::None {
        scale.execution();
        scale.destruction();
        scale.money();
        scale.administration();
        scale.communication();
        scale.service();
    }
    let level = match (scale.effect, scale.critical) {
        (Effect::None, _) => Level::ReadOnly,
        (Effect::Changes | Effect::Irreversible | Effect::Unknown, true) => Level::Critical,
        (Effect::Changes | Effect::Irreversible | Effect::Unknown, false) => Level::SideEffect,
    };
    let (tier, reach, over_broad) = (scale.tier(level), scale.reach(), scale.over_broad());
    Stakes { effect: scale.effect, level, tier, categories: scale.categories, reach, over_broad }
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

    fn destruction(&mut self) {
        let removes: Vec<Deed> = self
            .reading
            .deeds
            .iter()
            .filter(|deed| matches!(deed.act, Act::Remove | Act::Take))
            .filter(|deed| self.reading.execution.is_none() || !deed.place.starts_with("/input"))
            .filter(|deed| !parts(deed) && !self.paraphrases(deed))
            .cloned()
            .collect();
        if let Some(deed) = removes.iter().find(|deed| !self.shuts_out(deed)) {
            self.found(
                Category::Destructive,
                deed.place.clone(),
                format!("`{}` {}", deed.word, deed.act.does()),
            );
        }
        let soft = self.reading.prose.says_soft;
        let for_good =
            removes.iter().find(|deed| deed.act == Act::Remove && !soft && !self.only_relates(deed));
        if let Some(deed) = for_good {
            let (place, because) = (deed.place.clone(), format!("`{}` deletes for good", deed.word));
            self.critical(place, because);
        }
        let back = self.reading.deeds.iter().find(|deed| turns_back(deed)).cloned();
        let kept = self.reading.prose.says_undone;
        if let Some(deed) = back.filter(|deed| deed.act != Act::Flip && !kept && self.holds_data()) {
            self.found(
                Category::Destructive,
                deed.place.clone(),
                format!("`{}` overwrites what is there", deed.word),
            );
            self.critical(deed.place.clone(), format!("`{}` overwrites what is there", deed.word));
        }
        let prose = &self.reading.prose;
        let may = self
            .reading
            .deeds
            .iter()
            .any(|deed| deed.word == "overwrite" && deed.place.starts_with("/input"));
        let overwrites = (prose.says_overwrites || may || self.writes_whole())
            && self.does(&[Act::Add, Act::Change]).is_some();
        let finally = prose.says_final
            && !soft
            && self.does(&[Act::Change, Act::Take, Act::Remove, Act::Halt]).is_some();
        if overwrites || finally {
            let because =
                if overwrites { "it overwrites what is there" } else { "it says that there is no way back" };
            self.found(Category::Destructive, "/description", because.to_owned());
            self.critical("/description", because.to_owned());
        }
    }

    /// `write_file`: all that a file holds is given, and what it held is not kept.
    fn writes_whole(&self) -> bool {
        let writes = |(_, verb): &(Act, String)| matches!(verb.as_str(), "write" | "set" | "put");
        writes_all(&self.reading.name.acts, writes)
            && self.takes(&["path", "file", "filename", "file_path", "filepath", "file_name"])
            && self.takes(&["content", "contents", "data", "text", "body"])
            && !self.reading.says("append")
            && !self.takes(&["append", "line", "range", "old_text", "position"])
    }

    /// Somebody loses what they might do, which is no data.
    fn shuts_out(&self, deed: &Deed) -> bool {
        let verb = split(&deed.word).into_iter().next().unwrap_or_default();
        let last = self.named.last().or(self.described.last()).map(String::as_str).unwrap_or_default();
        let person = matches!(last, "member" | "collaborator" | "participant" | "guest" | "moderator");
        let right = matches!(
            last,
            "access" | "permission" | "role" | "invitation" | "invite" | "grant" | "privilege"
        );
        match verb.trim_end_matches('s') {
            "revoke" => person || right,
            "remove" => person,
            _ => false,
        }
    }

    /// `detach_x`: `Removes x from y`: the name says that two things come apart, the description says no more.
    fn paraphrases(&self, deed: &Deed) -> bool {
        let apart = |(_, verb): &(Act, String)| {
            matches!(
                verb.as_str(),
                "detach" | "disconnect" | "unassign" | "unlink" | "disassociate" | "unattach"
            )
        };
        // `set_emoji`: `Sets or clears the emoji`
        let sets = |(_, verb): &(Act, String)| verb == "set";
        let acts = &self.reading.name.acts;
        deed.place == "/description"
            && matches!(deed.word.trim_end_matches('s'), "remove" | "clear" | "unset")
            && !acts.is_empty()
            && (acts.iter().all(apart) || acts.iter().all(sets))
    }

    /// Its object keeps data, which going back to an earlier state loses.
    fn holds_data(&self) -> bool {
        let mut words = self.named.iter().chain(&self.described);
        words.any(|word| {
            matches!(
                word.as_str(),
                "database"
                    | "db"
                    | "volume"
                    | "disk"
                    | "backup"
                    | "snapshot"
                    | "table"
                    | "cluster"
                    | "environment"
                    | "instance"
                    | "bucket"
                    | "index"
            )
        }) || self.named.iter().any(|word| word == "branch")
    }

    /// Taking one thing off another deletes neither.
    fn only_relates(&self, deed: &Deed) -> bool {
        let first = split(&deed.word).into_iter().next().unwrap_or_default();
        let weak = matches!(first.as_str(), "remove" | "removes" | "removing" | "clear" | "unlink" | "unset");
        let off = |word: &String| matches!(word.as_str(), "from" | "on");
        let from = self.reading.prose.first.iter().chain(&self.reading.name.words).any(off);
        let own: Vec<String> = split(&deed.word).iter().map(|word| singular(word)).collect();
        let of_property = self.reading.sets_a_property() && deed.place == "/description";
        weak && (of_property
            || nouns::relation(&own)
            || (from && (nouns::relation(&self.named) || nouns::relation(&self.described))))
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
        let closes = |(_, verb): &(Act, String)| matches!(verb.as_str(), "close" | "disconnect" | "detach");
        let own = |word: &String| matches!(word.as_str(), "session" | "connection");
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

fn writes_all(acts: &[(Act, String)], writes: impl Fn(&(Act, String)) -> bool) -> bool {
    !acts.is_empty() && acts.iter().all(writes)
}

/// Two things come apart, and neither is gone.
fn parts(deed: &Deed) -> bool {
    let first = split(&deed.word).into_iter().next().unwrap_or_default();
    matches!(first.trim_end_matches('s'), "detach" | "disconnect" | "unmount" | "invalidate")
}

/// It puts an earlier state in the place of the present one.
fn turns_back(deed: &Deed) -> bool {
    let first = split(&deed.word).into_iter().next().unwrap_or_default();
    matches!(
        first.trim_end_matches('s'),
        "reset" | "restore" | "revert" | "rollback" | "reinitialize" | "reimage" | "format"
    )
}
