//! What the machine knows of a server, what is missing before it may be approved, and where the file says otherwise.

use super::{Fact, Facts, Record, Regime, State, reads};
use crate::observed::Observation;
use crate::risk::{self, Siblings};
use crate::scan::{Finding, scan_identity};
use crate::{Effect, Origin, Remark, Said, ServerEntry, Tier};
use decision::{ItemKind, ServerName, Timestamp};
use serde::Serialize;
use std::collections::BTreeMap;

/// So much of a version is kept.
const VERSION_CHARS: usize = 100;
/// Reasons of a judgement that are kept.
const REASONS: usize = 3;

/// One tool, as far as a record speaks of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ToolKnown {
    pub name: String,
    /// Who answers for it, where that is said of the tool itself; else its server's team does (R17).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    pub effect: Effect,
    pub tier: Tier,
    pub documented: bool,
    /// Whether it may be used while the server is held to reads.
    pub reads: bool,
    /// Whose yes calls of it may need (R13).
    pub approvals: Vec<String>,
    /// On whose word it is that, and what the operator says.
    pub origin: Origin,
    pub said: Vec<Said>,
    /// What its definition says, and why: an effect, a tier, and the first reasons.
    pub judged: (risk::Effect, Tier, Vec<String>),
    /// What was observed that speaks against a word that it reads, and that nobody knew who gave it.
    pub observed: Vec<Observation>,
}

impl ToolKnown {
    /// What its definition says, and why, whatever is declared.
    pub fn by_definition(&self) -> String {
        let (effect, tier, because) = &self.judged;
        let because: Vec<_> = because.iter().map(String::as_str).collect();
        let colon = if because.is_empty() { "" } else { ": " };
        format!("{}, {} risk{colon}{}", effect.meaning(), tier.as_str(), because.join("; "))
    }
}

/// Whether a reason is one that was given already, perhaps of another form of the same word (`delete`, `deletes`).
fn is_said(before: &str, reason: &str) -> bool {
    const SHORTEST: usize = 3;
    let parts = |text: &str| {
        let (word, rest) = text.strip_prefix('`')?.split_once('`')?;
        Some((word.to_lowercase(), rest.to_owned()))
    };
    match (parts(before), parts(reason)) {
        (Some((one, said)), Some((other, rest))) => {
            let stem = one.chars().zip(other.chars()).take_while(|(one, other)| one == other).count();
            let shorter = one.chars().count().min(other.chars().count());
            // the last letter may be another in the longer form (`copy`, `copies`)
            said == rest && stem >= SHORTEST.min(shorter) && stem + 1 >= shorter
        }
        (None, _) | (_, None) => before == reason,
    }
}

/// What is stored, configured and derived. Nobody types it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Known {
    /// Where it runs (R5).
    pub environment: String,
    pub regime: Regime,
    /// How it is reached and as whom, a line each: what an approval is bound to (R11, R21, R22).
    pub wiring: String,
    /// The names of the secrets it is given (R11).
    pub credentials: Vec<String>,
    /// As it calls it itself (R6).
    pub version: Option<String>,
    /// What is poisoned in what it calls itself, a sentence each. No client is told that.
    pub calls_itself: Vec<String>,
    /// Whether its items were ever recorded.
    pub seen: bool,
    /// R7, R8, R9.
    pub tools: Vec<ToolKnown>,
    /// What was accepted and nobody is offered, since nobody could use it: why, by its name, of what is no tool behind its kind
    /// (`resource:URI`).
    pub withheld: BTreeMap<String, String>,
    /// Items that cannot be pinned and so not be accepted, and why, by kind and the name that stands in (`tool:NAME`).
    pub unpinned: BTreeMap<String, String>,
    /// What it offers under an address of another server, a sentence each.
    pub shared: Vec<String>,
    /// How much would be at stake with what is accepted or shown of its tools and not offered, at worst, by name.
    pub unoffered: BTreeMap<String, Tier>,
    pub resources: Vec<String>,
    pub prompts: Vec<String>,
    /// Items that wait for somebody.
    pub pending: usize,
    /// Items that were accepted and are not offered any more.
    pub gone: usize,
    /// Items that no person has accepted: they were there at first sight (R19).
    pub unread: usize,
}

/// That an accepted tool is offered to nobody, and why.
fn unoffered(tool: &str, why: &str) -> String {
    format!("`{tool}` is withheld, since nobody could use it: {why}")
}

impl Known {
    /// What the accepted items say.
    #[must_use]
    pub fn with_items(mut self, entry: &ServerEntry, approvals: impl Fn(&str) -> Vec<String>) -> Self {
        let reads = reads(entry);
        let names = |kind| entry.of_kind(kind).map(|item| item.definition.name().to_owned());
        self.resources = names(ItemKind::Resource).chain(names(ItemKind::ResourceTemplate)).collect();
        self.prompts = names(ItemKind::Prompt).collect();
        self.withheld =
            entry.withheld().map(|(item, why)| (crate::drift::called(item), why.to_owned())).collect();
        self.unoffered = entry.unoffered().clone();
        let tools = || entry.of_kind(ItemKind::Tool).filter(|item| item.drafting.is_none());
        let siblings = Siblings::of(tools().map(|item| item.definition.name()));
        let judged = |item: &crate::Item| {
            let judged = crate::judge(&item.definition, &siblings);
            // one word may be a reason for several things; people read it once
            let mut because: Vec<String> = Vec::new();
            for one in &judged.evidence {
                if because.len() < REASONS && !because.iter().any(|said| is_said(said, &one.because)) {
                    because.push(one.because.clone());
                }
            }
            (judged.effect, judged.tier, because)
        };
        self.tools = tools()
            .map(|item| ToolKnown {
                owner: entry.declarations.owner(item.definition.name()).map(str::to_owned),
                origin: item.classified.origin,
                said: entry.declarations.said_of(item.definition.name(), item.definition.digest()),
                judged: judged(item),
                observed: unsettled(entry, item),
                name: item.definition.name().to_owned(),
                effect: item.classified.effect,
                tier: item.classified.tier,
                documented: !item.definition.description().trim().is_empty(),
                reads: reads.contains(item.definition.name()),
                approvals: approvals(item.definition.name()),
            })
            .collect();
        self
    }

    /// How much is at stake: as much as with the worst of its tools (R16). One that is caught and withheld counts: nothing
    /// is known to be safer by that.
    pub fn rating(&self) -> Option<Tier> {
        let worst = self.offered().max(self.unoffered.values().copied().max());
        worst.or_else(|| self.seen.then_some(Tier::Low))
    }

    fn offered(&self) -> Option<Tier> {
        self.tools.iter().map(|tool| tool.tier).max()
    }

    /// Why more is at stake than with what is offered, where that is so.
    pub fn rated_by(&self) -> Option<String> {
        let worst = self.unoffered.values().copied().max()?;
        let offered = self.offered();
        if offered >= Some(worst) {
            return None;
        }
        let mut of = self.unoffered.iter().filter(|(_, tier)| **tier == worst).map(|(name, _)| name);
        let (first, more) = (of.next()?, of.count());
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        let offered = match offered {
            Some(tier) => format!("what is offered is {}", tier.as_str()),
            None => "no tool is offered".to_owned(),
        };
        let worst = worst.as_str();
        Some(format!(
            "the risk is {worst} by `{first}`{more}, which it shows or which was accepted, and which nobody is offered now; {offered}"
        ))
    }

    /// What somebody should know of the declarations of its tools, each with its tools.
    pub fn remarks(&self, now: Timestamp) -> Vec<(Remark, &Said, Vec<&str>)> {
        let mut found: Vec<(Remark, &Said, Vec<&str>)> = Vec::new();
        for tool in &self.tools {
            for said in &tool.said {
                for remark in said.remarks(now) {
                    match found
                        .iter_mut()
                        .find(|(other, of, _)| *other == remark && of.pattern == said.pattern)
                    {
                        Some((_, _, tools)) => tools.push(&tool.name),
                        None => found.push((remark, said, vec![&tool.name])),
                    }
                }
            }
        }
        found
    }

    /// What nobody can use, or not by its name alone, and why, and what that says of the server, a sentence each.
    pub fn told_unoffered(&self) -> impl Iterator<Item = String> {
        let unpinned =
            |(name, why): (&String, &String)| format!("`{name}` is withheld and cannot be accepted: {why}");
        self.rated_by()
            .into_iter()
            .chain(self.withheld.iter().map(|(name, why)| unoffered(name, why)))
            .chain(self.unpinned.iter().map(unpinned))
            .chain(self.shared.iter().cloned())
    }

    /// What speaks against those who say that a tool only reads.
    pub fn conduct(&self, day: impl Fn(Timestamp) -> String) -> Vec<String> {
        let of = |tool: &ToolKnown| {
            let (name, seen) = (&tool.name, tool.observed.first()?);
            let more = tool.observed.iter().skip(1).map(|one| format!("; {}", one.sentence(&day)));
            let seen = seen.sentence(&day) + &more.collect::<String>();
            Some(match tool.origin {
                Origin::Observed => format!(
                    "`{name}` only reads by the word of its author, who is trusted, but {seen}. It counts as {}, {}: declare \
                     what it is, from a later day on (`since`)",
                    tool.effect.as_str(),
                    tool.tier.as_str()
                ),
                Origin::Operator | Origin::TrustedAuthor | Origin::Judged | Origin::Undeclared => format!(
                    "`{name}` is declared read, but {seen}. That it is declared still counts: look at it, and declare anew what \
                     it is, from a later day on (`since`)"
                ),
            })
        };
        self.tools.iter().filter_map(of).collect()
    }

    /// With what it calls itself, `serverInfo` as it came. Its tools are to be known before.
    #[must_use]
    pub fn with_identity(mut self, server: &ServerName, identity: &[u8]) -> Self {
        let info: Option<serde_json::Value> = serde_json::from_slice(identity).ok();
        let version = info.as_ref().and_then(|info| info.get("version")?.as_str());
        self.version = version.map(|text| text.chars().take(VERSION_CHARS).collect());
        let tools = self.tools.iter().map(|tool| tool.name.as_str());
        let found = scan_identity(server, identity, tools).into_iter().filter(|one| one.severity.flags());
        let sentence = |one: Finding| {
            let Finding { detector, place, because, .. } = one;
            format!(
                "what it calls itself is poisoned ({} at {place}): {because}. No client is told that: ask whose server it is",
                detector.as_str()
            )
        };
        self.calls_itself = found.map(sentence).collect();
        self
    }

    /// Tools without a description (R18).
    pub fn undocumented(&self) -> impl Iterator<Item = &str> {
        self.tools.iter().filter(|tool| !tool.documented).map(|tool| tool.name.as_str())
    }

    /// What is missing before it may be approved (R1 to R16, R26).
    pub fn missing(&self, facts: &Facts) -> Vec<Missing> {
        let vendor = facts.get(Fact::Vendor).is_some();
        let needed = |fact: Fact| match fact {
            Fact::Owner
            | Fact::Team
            | Fact::Purpose
            | Fact::Classification
            | Fact::Limitations
            | Fact::SecurityReview => true,
            // a server that somebody else runs has no source to show
            Fact::Repository => !vendor,
            Fact::Permissions => !self.credentials.is_empty(),
            Fact::VendorData | Fact::VendorTenants | Fact::VendorVersions | Fact::VendorSecurity => vendor,
            Fact::Pipeline | Fact::Reviewer | Fact::SourceReview | Fact::ThreatModel | Fact::Vendor => false,
        };
        let absent = |fact: &&Fact| needed(**fact) && facts.get(**fact).is_none();
        let seen = (!self.seen).then_some(Missing::Sight);
        Fact::ALL.iter().filter(absent).map(|fact| Missing::Fact(*fact)).chain(seen).collect()
    }

    /// A yes until then. Errors: what is missing for one. With critical tools that is also why, which is the change record
    /// (G2).
    pub fn grant(
        &self,
        facts: &Facts,
        until: Timestamp,
        because: Option<&str>,
    ) -> Result<Grant, Vec<Missing>> {
        let mut missing = self.missing(facts);
        if self.rating() == Some(Tier::Critical) && because.is_none_or(|why| why.trim().is_empty()) {
            missing.push(Missing::Reason);
        }
        match missing.is_empty() {
            true => Ok(Grant {
                until,
                wiring: self.wiring.clone(),
                version: self.version.clone(),
                facts: facts.clone(),
            }),
            false => Err(missing),
        }
    }

    /// Where what is declared and what is so now differ from the record.
    pub fn differences(&self, declared: &Facts, record: Option<&Record>) -> Vec<Difference> {
        let nothing = Facts::default();
        let facts = record.map_or(&nothing, |record| &record.facts);
        let other = declared.iter().filter(|(fact, value)| facts.get(*fact) != Some(*value));
        let mut found: Vec<_> = other
            .map(|(fact, value)| Difference {
                what: fact.key(),
                record: facts.get(fact).map(str::to_owned),
                now: Some(value.to_owned()),
            })
            .collect();
        let approved = record.filter(|record| record.state == State::Approved);
        if let Some(approved) = approved.and_then(|record| record.approved.as_ref()) {
            let differs = |what, record: Option<String>, now: Option<String>| {
                (record != now).then_some(Difference { what, record, now })
            };
            found.extend(differs("wiring", Some(approved.wiring.clone()), Some(self.wiring.clone())));
            found.extend(differs("version", approved.version.clone(), self.version.clone()));
        }
        found
    }
}

/// What was observed of a tool that is taken for a read, or was until then, and does not know it.
fn unsettled(entry: &ServerEntry, item: &crate::Item) -> Vec<Observation> {
    let name = item.definition.name();
    let open = match item.classified.origin {
        Origin::Observed => true,
        Origin::Operator => item.classified.effect == Effect::Read,
        Origin::TrustedAuthor | Origin::Judged | Origin::Undeclared => false,
    };
    let seen = entry.observed(name).iter().filter(|one| open && !entry.declarations.knew(name, one.at));
    seen.cloned().collect()
}

/// A yes that may be given: everything it takes is there. Only [`Known::grant`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    until: Timestamp,
    wiring: String,
    version: Option<String>,
    facts: Facts,
}

impl Grant {
    pub fn until(&self) -> Timestamp {
        self.until
    }
    pub fn wiring(&self) -> &str {
        &self.wiring
    }
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }
    /// What it was given on: if the record says otherwise by now, it is not for that.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }
}

/// What is missing before a server may be approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Missing {
    Fact(Fact),
    /// Nobody has seen what it offers yet (R6 to R9, R16).
    Sight,
    /// Its tools are critical, and nobody says why they are needed (G2).
    Reason,
}

impl Missing {
    pub fn key(self) -> &'static str {
        match self {
            Self::Fact(fact) => fact.key(),
            Self::Sight => "items",
            Self::Reason => "because",
        }
    }
    /// As people read it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Fact(fact) => fact.label(),
            Self::Sight => "A look at what it offers",
            Self::Reason => "A reason",
        }
    }
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Fact(fact) => fact.meaning(),
            Self::Sight => "What it offers: the gateway looks as soon as it is in review.",
            Self::Reason => "Why it is approved although its tools are critical: the change record.",
        }
    }
}

/// A field that is another one in the record than in the file or in fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Difference {
    pub what: &'static str,
    pub record: Option<String>,
    pub now: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Declarations, Definition};
    use bytes::Bytes;
    use decision::Environment;
    use std::collections::BTreeSet;
    use std::sync::Arc;

    #[test]
    fn a_reason_is_read_once_whatever_it_is_a_reason_for() {
        let raw = br#"{"name":"delete_customer","description":"Deletes a customer."}"#;
        let server = ServerName::new("crm").unwrap();
        let definition = Definition::new(server, ItemKind::Tool, Bytes::from_static(raw)).unwrap();
        let entry =
            ServerEntry::new(Environment::default(), Declarations::default(), vec![Arc::new(definition)]);
        let known = Known::default().with_items(&entry, |_| Vec::new());
        let because = &known.tools[0].judged.2;
        let once: BTreeSet<&String> = because.iter().collect();
        assert!(!because.is_empty() && once.len() == because.len(), "{because:?}");
    }

    #[test]
    fn of_two_forms_of_a_word_one_is_a_reason() {
        let (delete, deletes) = ("`delete` removes something", "`deletes` removes something");
        assert!(is_said(delete, deletes) && is_said(deletes, delete) && is_said(delete, delete));
        assert!(is_said("`copy` makes another", "`copies` makes another"));
        for other in ["`erase` removes something", "`delete` deletes for good", "removes something"] {
            assert!(!is_said(delete, other), "{other}");
        }
        assert!(!is_said("`set` sets", "`send` sets") && !is_said("`a` is one", "`b` is one"));
    }

    #[test]
    fn the_risk_is_that_of_the_worst_tool_also_where_nobody_is_offered_it() {
        let tool = |raw: &'static str| {
            let server = ServerName::new("crm").unwrap();
            Arc::new(Definition::new(server, ItemKind::Tool, Bytes::from_static(raw.as_bytes())).unwrap())
        };
        let get = tool(r#"{"name":"get_customer","description":"Returns one customer."}"#);
        let wipe = tool(r#"{"name":"wipe","description":"Deletes an account for good."}"#);
        let mild = tool(r#"{"name":"wipe","description":"Returns an account."}"#);
        let known = |unoffered: &[Arc<Definition>]| {
            let entry =
                ServerEntry::new(Environment::default(), Declarations::default(), vec![Arc::clone(&get)]);
            Known::default().with_items(&entry.with_unoffered(unoffered), |_| Vec::new())
        };
        assert_eq!((known(&[]).rating(), known(&[]).rated_by()), (Some(Tier::High), None));
        for unoffered in [vec![Arc::clone(&wipe)], vec![Arc::clone(&wipe), mild]] {
            let known = known(&unoffered);
            assert_eq!(known.rating(), Some(Tier::Critical));
            let why = known.rated_by().unwrap();
            assert!(
                why.starts_with("the risk is critical by `wipe`, which") && why.contains("is high"),
                "{why}"
            );
            assert_eq!(known.told_unoffered().next(), Some(why));
            let facts = Facts::default();
            let lacks = |because| known.grant(&facts, Timestamp(1), because).unwrap_err();
            assert!(lacks(None).contains(&Missing::Reason) && !lacks(Some("x")).contains(&Missing::Reason));
        }
        // what is not worse is no reason
        assert_eq!(known(std::slice::from_ref(&get)).rated_by(), None);
    }

    #[test]
    fn a_tool_that_nobody_could_call_is_told_of_though_it_is_no_item() {
        let entry = ServerEntry::new(Environment::default(), Declarations::default(), vec![]);
        let entry = entry.beside(
            [(ItemKind::Tool, "ahead", "it does not compile"), (ItemKind::Resource, "NOTE://x", "why")]
                .map(|(kind, name, why)| (decision::Item { kind, name: name.to_owned() }, why.into()))
                .into(),
        );
        let known = Known::default().with_items(&entry, |_| Vec::new());
        let said: Vec<String> = known.told_unoffered().collect();
        assert_eq!(
            said,
            [
                "`ahead` is withheld, since nobody could use it: it does not compile",
                "`resource:NOTE://x` is withheld, since nobody could use it: why",
            ]
        );
        assert!(known.tools.is_empty());
    }
}
