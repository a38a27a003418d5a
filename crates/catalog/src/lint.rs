//! How a tool is designed: what makes it hard to govern, and what would repair that. No sign of an attack, and never of one:
//! what would steer a model is [`crate::scan`]'s to find.
//!
//! Pure. Read in this order: [`Rule`], [`lint`].

use crate::Category;
use crate::names::words;
use crate::risk::{Effect, Judgement, Level};
use inspect::Severity;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Longest text that people still read before they approve it, in letters.
const TEXT_MAX: usize = 1_500;
/// Shortest description that can say what a tool does.
const TEXT_MIN: usize = 15;
/// Arguments that say what is meant in words instead of naming it.
const SELECTORS: [&str; 11] = [
    "query",
    "search",
    "prompt",
    "instruction",
    "instructions",
    "request",
    "text",
    "description",
    "criteria",
    "filter",
    "selector",
];
/// What arguments that name one thing end with.
const IDENTIFIERS: [&str; 19] = [
    "id", "ids", "uuid", "key", "number", "name", "path", "uri", "url", "slug", "sha", "ref", "email",
    "address", "handle", "code", "iban", "account", "file",
];
/// Arguments by which a deed can be looked at before it is done.
const REHEARSALS: [&str; 8] =
    ["dry_run", "dryrun", "preview", "draft", "simulate", "confirm", "confirmed", "validate_only"];

/// What a tool should be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// It does one task, not any.
    TaskSpecific,
    /// It reads or writes, not both.
    ReadOrWrite,
    /// What a write is done to is named, not described.
    ExplicitTarget,
    /// Its arguments are of a type, and others are refused.
    StrictSchema,
    /// A grave deed asks before it is done.
    Gated,
    /// What it returns has a schema.
    StructuredResult,
    /// It says what it does, and what each argument is.
    AccurateText,
    /// Its texts are short and plain enough to be read.
    ReadableText,
    /// What changes its meaning changes its version.
    Versioned,
    /// What cannot be called back can be drafted first.
    DraftFirst,
}

impl Rule {
    pub const ALL: [Self; 10] = [
        Self::TaskSpecific,
        Self::ReadOrWrite,
        Self::ExplicitTarget,
        Self::StrictSchema,
        Self::Gated,
        Self::StructuredResult,
        Self::AccurateText,
        Self::ReadableText,
        Self::Versioned,
        Self::DraftFirst,
    ];

    /// As it is written for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TaskSpecific => "generic-tool",
            Self::ReadOrWrite => "mixed-tool",
            Self::ExplicitTarget => "vague-target",
            Self::StrictSchema => "loose-schema",
            Self::Gated => "ungated",
            Self::StructuredResult => "free-result",
            Self::AccurateText => "poor-text",
            Self::ReadableText => "unreadable-text",
            Self::Versioned => "unversioned",
            Self::DraftFirst => "no-draft",
        }
    }

    /// The severity of most of its findings.
    pub fn severity(self) -> Severity {
        match self {
            Self::TaskSpecific | Self::ReadOrWrite | Self::ExplicitTarget => Severity::Medium,
            Self::Gated | Self::StrictSchema | Self::AccurateText | Self::ReadableText => Severity::Low,
            Self::StructuredResult | Self::Versioned | Self::DraftFirst => Severity::Info,
        }
    }

    /// What it is that the rule finds.
    pub fn what(self) -> &'static str {
        match self {
            Self::TaskSpecific => {
                "It runs whatever it is given, so no rule can tell a harmless call from another."
            }
            Self::ReadOrWrite => "It reads and writes, so no rule can allow the one without the other.",
            Self::ExplicitTarget => "What it changes is described in words, not named.",
            Self::StrictSchema => "Its arguments are not held to a schema.",
            Self::Gated => "Nothing in a grave deed shows that it asks before it is done.",
            Self::StructuredResult => "What it returns has no schema.",
            Self::AccurateText => "It does not say what it does, or what an argument is.",
            Self::ReadableText => "Its text is longer than anybody reads, or made of markup.",
            Self::Versioned => "Two versions stand side by side, and nothing says which is meant.",
            Self::DraftFirst => "What cannot be called back cannot be looked at first.",
        }
    }

    /// What helps.
    pub fn repair(self) -> &'static str {
        match self {
            Self::TaskSpecific => {
                "offer one tool for each task; until then, hold every call: `@unless-approved`"
            }
            Self::ReadOrWrite => "make one tool that reads and one that writes",
            Self::ExplicitTarget => "take the identifier of what is to be changed",
            Self::StrictSchema => "give every argument a type, and say `\"additionalProperties\": false`",
            Self::Gated => "hold its calls for people: `@unless-approved` in a rule on it",
            Self::StructuredResult => "declare an `outputSchema`",
            Self::AccurateText => "say in a sentence what it does, and of each argument what it is",
            Self::ReadableText => "say what it does in a few plain sentences, and keep manuals elsewhere",
            Self::Versioned => "say in the description of the old one what replaces it, or withdraw it",
            Self::DraftFirst => "set `draft = true` for it: the gateway offers `draft_X` and `submit_X`",
        }
    }
}

/// One thing that could be better.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    pub rule: Rule,
    pub severity: Severity,
    /// A JSON pointer into the tool's definition.
    pub place: String,
    pub because: String,
}

/// What a tool's sibling does that shows what the tool would do.
const DRAFTING: [&str; 5] = ["draft", "preview", "prepare", "propose", "plan"];

/// The names of a server's tools. Each is read once: a server may have thousands.
#[derive(Debug, Default)]
pub struct Names<'a> {
    all: BTreeSet<&'a str>,
    drafting: BTreeSet<&'a str>,
}

impl<'a> FromIterator<&'a str> for Names<'a> {
    fn from_iter<I: IntoIterator<Item = &'a str>>(names: I) -> Self {
        let all: BTreeSet<&str> = names.into_iter().collect();
        let drafts = |name: &&str| words(name).iter().any(|word| DRAFTING.contains(&word.as_str()));
        let drafting = all.iter().copied().filter(drafts).collect();
        Self { all, drafting }
    }
}

/// Looks at one tool among its siblings. Total, and a function of what it is given.
pub fn lint(tool: &Value, judged: &Judgement, siblings: &Names<'_>) -> Vec<Hint> {
    let tool = Tool { value: tool, judged, siblings };
    let mut hints = Vec::new();
    for rule in Rule::ALL {
        hints.extend(tool.look(rule).map(|(severity, place, because)| Hint {
            rule,
            severity,
            place,
            because,
        }));
    }
    hints
}

struct Tool<'a> {
    value: &'a Value,
    judged: &'a Judgement,
    siblings: &'a Names<'a>,
}

type Seen = Option<(Severity, String, String)>;

impl Tool<'_> {
    fn look(&self, rule: Rule) -> Seen {
        let here = |place: &str, because: String| Some((rule.severity(), place.to_owned(), because));
        match rule {
            Rule::TaskSpecific => (self.executes())
                .then(|| here("/inputSchema", "it runs what its arguments hold".to_owned()))?,
            Rule::ReadOrWrite => (self.judged.over_broad && !self.executes()).then(|| {
                here("/inputSchema", "one argument chooses between reading and writing".to_owned())
            })?,
            Rule::ExplicitTarget => self.vague().and_then(|name| {
                here(
                    &pointer(name),
                    format!("`{}` describes what is to be changed, and nothing names it", shown(name)),
                )
            }),
            Rule::StrictSchema => self.loose(),
            Rule::Gated => (self.judged.level == Level::Critical && !self.rehearses()).then(|| {
                here("/name", "a critical deed that shows no step at which anybody is asked".to_owned())
            })?,
            Rule::StructuredResult => {
                let has = self.value.get("outputSchema").is_some_and(Value::is_object);
                (!has).then(|| here("", "no `outputSchema`".to_owned()))?
            }
            Rule::AccurateText => self.poor(),
            Rule::ReadableText => self.unreadable(),
            Rule::Versioned => self.replaced().and_then(|other| {
                here(
                    "/description",
                    format!("`{}` stands beside it, and it does not say which is meant", shown(other)),
                )
            }),
            Rule::DraftFirst => {
                (self.judged.effect == Effect::Irreversible && !self.rehearses()).then(|| {
                    here("/inputSchema", "it cannot be called back, and not be looked at first".to_owned())
                })?
            }
        }
    }

    fn text(&self, key: &str) -> &str {
        self.value.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    fn arguments(&self) -> Option<&Map<String, Value>> {
        self.value.pointer("/inputSchema/properties")?.as_object()
    }

    fn writes(&self) -> bool {
        matches!(self.judged.effect, Effect::Changes | Effect::Irreversible)
    }

    fn executes(&self) -> bool {
        self.judged.categories.contains(&Category::Execution) && self.judged.level == Level::Critical
    }

    /// It can be tried, or a sibling drafts it.
    fn rehearses(&self) -> bool {
        let name = self.text("name");
        let drafted = self.siblings.drafting.iter().any(|other| *other != name);
        let tried = self
            .arguments()
            .into_iter()
            .flatten()
            .any(|(key, _)| REHEARSALS.contains(&words(key).join("_").as_str()));
        drafted || tried
    }

    /// The argument by which a write is told in words what to change, where none names it.
    fn vague(&self) -> Option<&str> {
        let arguments = self.arguments()?;
        let is_name =
            |key: &String| words(key).last().is_some_and(|last| IDENTIFIERS.contains(&last.as_str()));
        let describes = |key: &&String| SELECTORS.contains(&words(key).join("_").as_str());
        let irreversible = self.judged.effect == Effect::Irreversible;
        if !irreversible || self.executes() || arguments.keys().any(is_name) {
            return None;
        }
        arguments.keys().find(describes).map(String::as_str)
    }

    fn loose(&self) -> Seen {
        let Some(schema) = self.value.get("inputSchema").and_then(Value::as_object) else {
            return Some((
                Severity::Low,
                String::new(),
                "it has no `inputSchema`: nothing is refused".to_owned(),
            ));
        };
        let typed = ["type", "enum", "const", "$ref", "anyOf", "oneOf", "allOf"];
        let untyped = |value: &Value| {
            value.as_object().is_some_and(|of| !typed.iter().any(|key| of.contains_key(*key)))
        };
        let anything = self
            .arguments()
            .into_iter()
            .flatten()
            .find(|(_, value)| untyped(value) || value.as_bool() == Some(true));
        if let Some((name, _)) = anything {
            return Some((Severity::Low, pointer(name), format!("`{}` may be anything", shown(name))));
        }
        let open = schema.get("additionalProperties").is_none_or(|more| more.as_bool() != Some(false));
        let severity = if self.writes() { Severity::Low } else { Severity::Info };
        open.then(|| {
            (severity, "/inputSchema".to_owned(), "arguments that it does not name are taken too".to_owned())
        })
    }

    fn poor(&self) -> Seen {
        let said = self.text("description").trim();
        if said.is_empty() {
            return Some((
                Severity::Medium,
                "/description".to_owned(),
                "it does not say what it does".to_owned(),
            ));
        }
        if said.chars().count() < TEXT_MIN {
            return Some((
                Severity::Low,
                "/description".to_owned(),
                "its description says next to nothing".to_owned(),
            ));
        }
        let is_silent = |value: &Value| {
            value.get("description").and_then(Value::as_str).is_none_or(|said| said.trim().is_empty())
        };
        let silent: Vec<&String> = self
            .arguments()
            .into_iter()
            .flatten()
            .filter(|(_, value)| is_silent(value))
            .map(|(name, _)| name)
            .collect();
        let first = silent.first()?;
        let more = if silent.len() > 1 { format!(" and {} more", silent.len() - 1) } else { String::new() };
        let severity = if self.writes() { Severity::Low } else { Severity::Info };
        Some((severity, pointer(first), format!("nothing says what `{}`{more} is", shown(first))))
    }

    fn unreadable(&self) -> Seen {
        let arguments = self.arguments().into_iter().flatten();
        let texts = arguments.filter_map(|(name, value)| {
            Some((format!("{}/description", pointer(name)), value.get("description")?.as_str()?))
        });
        let all = std::iter::once(("/description".to_owned(), self.text("description"))).chain(texts);
        for (place, said) in all {
            let letters = said.chars().count();
            if letters > TEXT_MAX {
                return Some((
                    Severity::Low,
                    place,
                    format!("{letters} letters, all of which the model reads and hardly a person does"),
                ));
            }
            if said.contains("![") || said.contains("<img") || said.contains("<a ") {
                return Some((
                    Severity::Low,
                    place,
                    "markup that shows people something else than the model reads".to_owned(),
                ));
            }
        }
        None
    }

    /// The sibling that is another version of this one.
    fn replaced(&self) -> Option<&str> {
        let name = self.text("name");
        let said = self.text("description").to_lowercase();
        if ["deprecat", "replace", "instead", "version", "legacy"].iter().any(|word| said.contains(word)) {
            return None;
        }
        let is_next = |other: &str| {
            let rest = other.strip_prefix(name).unwrap_or_default().trim_start_matches(['_', '-', '.']);
            let digits = rest.strip_prefix(['v', 'V']).unwrap_or_default();
            matches!(rest, "new" | "next" | "old")
                || (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
        };
        // those that begin like it stand behind it
        let alike = self.siblings.all.range(name..).take_while(|other| other.starts_with(name));
        alike.copied().find(|other| is_next(other))
    }
}

fn pointer(name: &str) -> String {
    format!("/inputSchema/properties/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// A name of somebody else's in a sentence of ours.
fn shown(name: &str) -> String {
    inspect::shown::visible(name)
}
