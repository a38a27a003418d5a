//! Amounts over time: which calls take of what, whose counter it is, and what happens where there is no room.
//!
//! Pure: a call in, what it takes out. Counters are the store's.

mod window;

pub use window::{Window, utc};

use crate::facts::exact;
use catalog::{Category, Classified, Effect};
use decision::approval::Cure;
use decision::budget::{Measure, Use};
use decision::{Actor, BudgetName, Call, Digest, ItemKind, RuleId, ServerName, Timestamp};
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

/// Amounts are whole ten-thousandths, as Cedar's decimals are.
pub const UNIT: u64 = 10_000;
/// Largest amount of one call, and largest bound: with room to add many without an overflow.
const AMOUNT_MAX: u64 = 100_000_000_000_000 * UNIT;
/// Most different values a budget counts.
pub const DISTINCT_MAX: u64 = 10_000;
/// Most values of one call, where an argument is a list.
const VALUES_MAX: usize = 64;
/// Most names on the way to an argument.
const PATH_MAX: usize = 8;

/// A budget of the operator's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    pub name: BudgetName,
    pub counts: Counts,
    pub covers: Covers,
    pub per: Per,
    pub window: Window,
    /// Calls, values, or an amount in [`UNIT`]s.
    pub at_most: u64,
    /// Whose yes lifts it for one call; without it there is no more.
    pub cure: Option<Cure>,
}

/// What is counted of each call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Counts {
    Calls,
    Sum(Path),
    Distinct(Path),
    FirstSeen(Path),
}

/// Where an argument is: names from the outside in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path(Vec<String>);

/// Which tool calls: those for which all that is said holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Covers {
    pub server: Option<ServerName>,
    /// A tool's name, or a pattern with `*`.
    pub tool: Option<String>,
    pub category: Option<Category>,
    pub effect: Option<Effect>,
}

/// Who has a counter each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Per {
    /// The person behind the call; where there is none, who acts.
    User,
    Agent,
    /// As the Host calls itself: for honest ones.
    Host,
    Tool,
    Server,
    /// Each category of the tool.
    Category,
    Everybody,
}

impl Per {
    pub const ALL: [Self; 7] =
        [Self::User, Self::Agent, Self::Host, Self::Tool, Self::Server, Self::Category, Self::Everybody];
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Agent => "agent",
            Self::Host => "host",
            Self::Tool => "tool",
            Self::Server => "server",
            Self::Category => "category",
            Self::Everybody => "everybody",
        }
    }
}

/// An argument that a budget counts cannot be counted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the budget `{budget}` counts the argument `{path}`, and {why}")]
pub struct Uncounted {
    pub budget: BudgetName,
    path: String,
    why: &'static str,
}

/// A call, as a budget sees it.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub call: &'a Call,
    pub classified: &'a Classified,
    /// As they came, and valid.
    pub arguments: &'a [u8],
    pub now: Timestamp,
}

impl Budget {
    /// What the call takes of it: nothing where it is not covered. Errors: it cannot be counted, and must not pass.
    pub fn uses(&self, asked: Asked<'_>) -> Result<Vec<Use>, Uncounted> {
        let target = asked.call.target();
        let is_call = asked.call.method() == "tools/call" && target.item.kind == ItemKind::Tool;
        if !is_call || !self.covers.fits(&target.server, &target.item.name, asked.classified) {
            return Ok(Vec::new());
        }
        let span = self.window.at(asked.now);
        let values = |path| self.values(path, asked.arguments);
        let (measure, amount, values) = match &self.counts {
            Counts::Calls => (Measure::Amount, 1, Vec::new()),
            Counts::Sum(path) => (Measure::Amount, self.amount(path, asked.arguments)?, Vec::new()),
            Counts::Distinct(path) => (Measure::Distinct, 1, values(path)?),
            Counts::FirstSeen(path) => (Measure::FirstSeen, 1, values(path)?),
        };
        let one = |whose: String| {
            let subject = self.subject(&whose);
            let of = |value: &String| {
                Digest::of_parts(&[b"callgate/budget-value/v1\0", &subject.0, value.as_bytes()])
            };
            let (budget, at_most) = (self.name.clone(), self.at_most);
            let values = values.iter().map(of).collect();
            Use { budget, subject, whose, measure, span, amount, values, at_most }
        };
        Ok(self.whose(asked).into_iter().map(one).collect())
    }

    /// What is to be read to know how much of a counter is used; nothing where that counted something else.
    pub fn reading(&self, whose: &str, now: Timestamp, subject: Digest) -> Option<Use> {
        let measure = match &self.counts {
            Counts::Calls | Counts::Sum(_) => Measure::Amount,
            Counts::Distinct(_) | Counts::FirstSeen(_) => Measure::Distinct,
        };
        let (budget, span) = (self.name.clone(), self.window.at(now));
        let (whose, amount, values, at_most) = (whose.to_owned(), 0, Vec::new(), self.at_most);
        (self.subject(&whose) == subject).then_some(Use {
            budget,
            subject,
            whose,
            measure,
            span,
            amount,
            values,
            at_most,
        })
    }

    /// How it is called beside rules: in the record, and to people.
    pub fn rule(&self) -> Option<RuleId> {
        RuleId::new(format!("budget:{}", self.name)).ok()
    }

    /// An amount of it, for people.
    pub fn shown(&self, amount: u64) -> String {
        match &self.counts {
            Counts::Sum(_) => decimal(amount),
            Counts::Calls | Counts::Distinct(_) | Counts::FirstSeen(_) => amount.to_string(),
        }
    }

    /// The argument it counts.
    pub fn path(&self) -> Option<&Path> {
        match &self.counts {
            Counts::Calls => None,
            Counts::Sum(path) | Counts::Distinct(path) | Counts::FirstSeen(path) => Some(path),
        }
    }

    /// A budget that counts something else begins anew; one that only has another bound does not.
    fn subject(&self, whose: &str) -> Digest {
        let path = self.path().map(ToString::to_string);
        let of = (self.name.as_str(), self.counts.as_str(), path, self.window.to_string(), whose);
        let bytes = serde_json::to_vec(&of).unwrap_or_default();
        Digest::of_parts(&[b"callgate/budget/v1\0", &bytes])
    }

    fn whose(&self, asked: Asked<'_>) -> Vec<String> {
        let call = asked.call;
        let (principal, target) = (call.principal(), call.target());
        let actor = || match &principal.actor {
            Actor::Agent(name) => format!("agent {name}"),
            Actor::Workload(name) => format!("workload {name}"),
            Actor::User(name) => format!("user {name}"),
            Actor::Server(name) => format!("server {name}"),
            Actor::Gateway => "the gateway".to_owned(),
            Actor::Unknown => "nobody".to_owned(),
        };
        match self.per {
            Per::User => vec![principal.person().map_or_else(actor, |name| format!("user {name}"))],
            Per::Agent => vec![actor()],
            Per::Host => vec![format!("host {}", call.claims().host.as_deref().unwrap_or_default())],
            Per::Tool => vec![format!("tool {}", catalog::federated(&target.server, &target.item.name))],
            Per::Server => vec![format!("server {}", target.server)],
            Per::Category if asked.classified.categories.is_empty() => vec!["category none".to_owned()],
            Per::Category => {
                asked.classified.categories.iter().map(|one| format!("category {}", one.as_str())).collect()
            }
            Per::Everybody => vec!["everybody".to_owned()],
        }
    }

    fn amount(&self, path: &Path, arguments: &[u8]) -> Result<u64, Uncounted> {
        let raw = self.at(path, arguments)?;
        let fits = |scaled: i64| u64::try_from(scaled).ok().filter(|amount| *amount <= AMOUNT_MAX);
        match exact(raw, 4).map(fits) {
            Some(Some(amount)) => Ok(amount),
            Some(None) => Err(self.uncounted(path, "it is negative or larger than can be added up")),
            None => Err(self.uncounted(path, "it is not a number of at most four decimals")),
        }
    }

    /// The values in canonical form, each once.
    fn values(&self, path: &Path, arguments: &[u8]) -> Result<Vec<String>, Uncounted> {
        let raw = self.at(path, arguments)?;
        let list: Vec<&RawValue> = match raw.starts_with('[') {
            true => serde_json::from_str(raw).map_err(|_| self.uncounted(path, "it cannot be read"))?,
            false => vec![],
        };
        let each = list.iter().map(|one| one.get()).chain((!raw.starts_with('[')).then_some(raw));
        let mut values = BTreeSet::new();
        for one in each {
            let one = one.trim_ascii();
            if one.starts_with(['{', '[', 'n']) {
                return Err(self.uncounted(path, "it is neither a text, a number nor a list of those"));
            }
            let canonical = decision::canonical::bytes(one.as_bytes()).ok();
            let text = canonical.and_then(|bytes| String::from_utf8(bytes).ok());
            values.insert(text.ok_or_else(|| self.uncounted(path, "it cannot be read"))?);
        }
        match values.len() {
            0 => Err(self.uncounted(path, "it has no value")),
            many if many > VALUES_MAX => Err(self.uncounted(path, "it has more values than can be counted")),
            _ => Ok(values.into_iter().collect()),
        }
    }

    fn at<'a>(&self, path: &Path, arguments: &'a [u8]) -> Result<&'a str, Uncounted> {
        let missing = || self.uncounted(path, "the call does not have it");
        let mut here = std::str::from_utf8(arguments).map_err(|_| missing())?.trim_ascii();
        for name in &path.0 {
            let members: BTreeMap<String, &'a RawValue> =
                serde_json::from_str(here).map_err(|_| missing())?;
            here = members.get(name).ok_or_else(missing)?.get().trim_ascii();
        }
        Ok(here)
    }

    fn uncounted(&self, path: &Path, why: &'static str) -> Uncounted {
        Uncounted { budget: self.name.clone(), path: path.to_string(), why }
    }
}

impl Counts {
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Sum(_) => "sum",
            Self::Distinct(_) => "distinct",
            Self::FirstSeen(_) => "first-seen",
        }
    }
}

impl Covers {
    /// Whether a tool's calls are counted.
    pub fn fits(&self, server: &ServerName, tool: &str, classified: &Classified) -> bool {
        self.server.as_ref().is_none_or(|one| one == server)
            && self.tool.as_ref().is_none_or(|pattern| catalog::matches(pattern, tool))
            && self.category.is_none_or(|one| classified.categories.contains(&one))
            && self.effect.is_none_or(|one| one == classified.effect)
    }
}

impl Path {
    /// Whether a tool's schema declares it, as far as that can be read off plainly declared members.
    pub fn is_in(&self, schema: &str) -> bool {
        let mut here = serde_json::from_str::<serde_json::Value>(schema).unwrap_or_default();
        for name in &self.0 {
            let Some(member) = here.get_mut("properties").and_then(|members| members.get_mut(name)) else {
                return false;
            };
            here = member.take();
        }
        true
    }
}

impl FromStr for Path {
    type Err = &'static str;

    /// `amount`, or `payment.amount` for one inside another.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let names: Vec<String> = text.split('.').map(str::to_owned).collect();
        match names.iter().any(String::is_empty) || names.len() > PATH_MAX {
            true => Err("write an argument's name, or names with dots between them"),
            false => Ok(Self(names)),
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

/// A bound for a sum, as it is written. `None`: it is none, or too fine or too large.
pub fn amount(text: &str) -> Option<u64> {
    u64::try_from(exact(text, 4)?).ok().filter(|amount| *amount <= AMOUNT_MAX)
}

/// An amount as people write it.
pub fn decimal(amount: u64) -> String {
    let (whole, part) = (amount / UNIT, amount % UNIT);
    match part {
        0 => whole.to_string(),
        part if part % 100 == 0 => format!("{whole}.{:02}", part / 100),
        part => format!("{whole}.{part:04}").trim_end_matches('0').to_owned(),
    }
}

#[cfg(test)]
mod tests;
