//! How dangerous a tool is, from what can be read of it: its effect, level, tier, categories and reach, each with what
//! led to it.
//!
//! Pure, and of one opinion: what cannot be told is [`Effect::Unknown`] and treated as a write. What its author claims in
//! annotations can make a judgement more severe, never milder. Nothing here decides a call: the operator's declarations do.
//! Read in this order: [`Tool`], [`Judgement`], [`judge`].

mod abroad;
pub mod alike;
mod authority;
mod effect;
mod execution;
mod flags;
mod given;
mod interface;
mod lexicon;
mod lists;
mod loss;
mod money;
mod name;
mod nouns;
mod openings;
mod people;
mod phrases;
mod prose;
mod schema;
mod secrets;
mod settle;
mod stakes;
mod sums;
mod table;
mod words;

use crate::{Category, Claimed, Tier};
use serde::Serialize;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeSet;

pub use name::Siblings;

/// What is known of a tool before it was ever called.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tool<'a> {
    pub name: &'a str,
    pub title: Option<&'a str>,
    pub description: Option<&'a str>,
    pub input_schema: Option<&'a Value>,
    /// The method of the HTTP request behind the tool, where that is known.
    pub method: Option<Method>,
    /// The author's annotations: a claim.
    pub claimed: Claimed,
}

impl<'a> Tool<'a> {
    /// What one element of `tools/list` says, with what of its author's hints is to count. A name that is missing or no text
    /// counts as empty.
    pub fn of(definition: &'a Value, claimed: Claimed) -> Self {
        let text = |field: &str| definition.get(field).and_then(Value::as_str);
        Self {
            name: text("name").unwrap_or_default(),
            title: text("title"),
            description: text("description"),
            input_schema: definition.get("inputSchema"),
            method: None,
            claimed,
        }
    }

    /// What it is said to do: the description, else the title.
    fn said(&self) -> Option<&'a str> {
        self.description.or(self.title)
    }
}

/// Methods of HTTP, by what they promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET, HEAD, OPTIONS
    Safe,
    Post,
    Put,
    Patch,
    Delete,
}

/// What a call can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    None,
    /// It cannot be told: treated as a write.
    Unknown,
    Changes,
    /// What was there may be gone, or what happened cannot be called back.
    Irreversible,
}

impl Effect {
    /// As it is written for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Unknown => "unknown",
            Self::Changes => "changes",
            Self::Irreversible => "irreversible",
        }
    }

    /// What a call does, for people.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::None => "only looks",
            Self::Unknown => "may change something: it cannot be told",
            Self::Changes => "changes something",
            Self::Irreversible => "may change what cannot be undone",
        }
    }
}

/// How bad a call can be (K18).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    ReadOnly,
    SideEffect,
    Critical,
}

/// Whether a call stays among what the server holds, or reaches people and systems outside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    Closed,
    Open,
}

/// Which part of a judgement a piece of evidence led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum About {
    Effect,
    Level,
    Tier,
    Category,
    Reach,
    Breadth,
}

/// What was seen, where, and what it speaks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    pub about: About,
    /// A JSON pointer into the tool's definition; `/method` for what is known of its transport.
    pub place: Cow<'static, str>,
    pub because: String,
}

/// What a tool may do, and why that is thought.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judgement {
    pub effect: Effect,
    pub level: Level,
    pub tier: Tier,
    pub categories: BTreeSet<Category>,
    pub reach: Reach,
    /// It mixes reading with writing or execution, so that no rule can allow the one without the other (K15).
    pub over_broad: bool,
    /// How sure the effect is, from 0 to 1.
    pub confidence: f32,
    /// Whether it changes anything is what tools do that are worded alike, against the rules or where they could not tell.
    pub turned: bool,
    /// It is given a statement, a command or code as free text, and nothing says that this is not run, or only looks.
    pub given_to_run: bool,
    pub evidence: Vec<Evidence>,
}

/// Judges one tool. Total, and a function of what it is given.
pub fn judge(tool: &Tool<'_>, siblings: &Siblings) -> Judgement {
    let reading = effect::Reading::of(tool, siblings);
    let opinion = alike::Opinion::of(&reading, tool.said(), siblings);
    let judgement = judged(tool, reading, &opinion, true);
    if !judgement.turned || judgement.effect != Effect::None {
        return judgement;
    }
    // how it is worded is its author's word: it makes no read of what the rules find something grave in
    let by_rules = judged(tool, effect::Reading::of(tool, siblings), &opinion, false);
    let grave = by_rules.level == Level::Critical || !by_rules.categories.is_empty();
    if grave { by_rules } else { judgement }
}

/// By the rules alone, or `heeding` the opinion as to whether it changes anything.
fn judged(
    tool: &Tool<'_>,
    mut reading: effect::Reading<'_>,
    opinion: &alike::Opinion<'_>,
    heeding: bool,
) -> Judgement {
    let concluded = effect::conclude(tool, &mut reading, Some(opinion).filter(|_| heeding));
    let effect::Conclusion { effect, confidence, mut evidence, turned } = concluded;
    let given_to_run = given::may_be_run(&reading);
    let stakes = stakes::weigh(&reading, opinion, effect, &mut evidence);
    Judgement {
        effect: stakes.effect,
        level: stakes.level,
        tier: stakes.tier,
        categories: stakes.categories,
        reach: stakes.reach,
        over_broad: stakes.over_broad,
        confidence,
        turned,
        given_to_run,
        evidence,
    }
}

impl Evidence {
    fn new(about: About, place: impl Into<Cow<'static, str>>, because: String) -> Self {
        Self { about, place: place.into(), because }
    }
}

impl Method {
    /// The method of that name, if it is one of those that tools are made of.
    pub fn parse(name: &str) -> Option<Self> {
        match name.to_ascii_uppercase().as_str() {
            "GET" | "HEAD" | "OPTIONS" => Some(Self::Safe),
            "POST" => Some(Self::Post),
            "PUT" => Some(Self::Put),
            "PATCH" => Some(Self::Patch),
            "DELETE" => Some(Self::Delete),
            _ => None,
        }
    }
}
