//! What the file says of amounts over time.

use super::{
    effective::text,
    file::{Category, Effect},
    problem::Crossing,
};
use decision::approval::Cure;
use decision::{BudgetName, ServerName};
use gateway::Settings;
use policy::budget::{self, Budget, Counts, Covers, DISTINCT_MAX, Path, Per, UNIT, Window};
use serde::Deserialize;
use std::collections::BTreeSet;
use toml::{Spanned, Table, Value};

/// How much may happen in which time, counted over tool calls: those for which all of `server`, `tool`, `category` and
/// `effect` hold that are said.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Written {
    /// What it is called in denials and in the record.
    #[schemars(with = "String")]
    pub(crate) name: Spanned<String>,
    /// What is counted: `calls`, the `sum` of an argument, how many `distinct` values it has, or whether a value is seen
    /// for the first time in the window (`first-seen`).
    #[schemars(with = "Counted")]
    pub(crate) counts: Spanned<Counted>,
    /// Which argument, with dots into objects: `amount`, `payment.amount`. A call that does not have it is refused.
    #[schemars(with = "Option<String>")]
    pub(crate) argument: Option<Spanned<String>>,
    /// Calls of this server.
    #[schemars(with = "Option<String>")]
    pub(crate) server: Option<Spanned<String>>,
    /// Calls of this tool, or of tools whose names fit a pattern with `*`.
    pub(crate) tool: Option<String>,
    /// Calls of tools of this category.
    pub(crate) category: Option<Category>,
    /// Calls of tools of this effect.
    pub(crate) effect: Option<Effect>,
    /// Who has a count of their own; `everybody` shares one.
    pub(crate) per: Whose,
    /// `30s`, `5m`, `1h` or `30d` up to now, or the present `day`, `week` or `month` of UTC or of an offset: `day +02:00`.
    #[schemars(with = "String")]
    pub(crate) window: Spanned<String>,
    /// The most there may be: a number, or for sums also a text such as `"99.50"`. Not for `first-seen`.
    #[schemars(with = "Option<AtMost>")]
    pub(crate) at_most: Option<Spanned<AtMost>>,
    /// Whose yes lifts it for one call, in the words of a rule's `@unless-approved`: `"2 of finance"`. Without it, what is
    /// over is refused.
    #[schemars(with = "Option<String>")]
    pub(crate) unless_approved: Option<Spanned<String>>,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Counted {
    Calls,
    Sum,
    Distinct,
    FirstSeen,
}

/// Who has a count of their own.
#[derive(Debug, Clone, Copy, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Whose {
    /// The person behind a call; where there is none, who acts.
    User,
    Agent,
    /// As the Host calls itself, which only honest ones do.
    Host,
    Tool,
    Server,
    Category,
    Everybody,
}

/// A bound.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
pub(crate) enum AtMost {
    Number(#[schemars(with = "u64")] i64),
    Text(String),
    /// What is none: it is told as that, in words of ours.
    #[schemars(skip)]
    Odd(serde::de::IgnoredAny),
}

pub(super) fn cross(
    crossing: &mut Crossing<'_>,
    written: &[Written],
    servers: &BTreeSet<String>,
) -> Vec<Budget> {
    let mut names = BTreeSet::new();
    let mut budgets = Vec::new();
    for one in written {
        if !names.insert(one.name.get_ref()) {
            let message = format!("there are two budgets `{}`", one.name.get_ref());
            crossing.problem(one.name.span(), message, Some("give each a name of its own"));
        }
        budgets.extend(budget_of(crossing, one, servers));
    }
    budgets
}

fn budget_of(crossing: &mut Crossing<'_>, one: &Written, servers: &BTreeSet<String>) -> Option<Budget> {
    let before = crossing.problems.len();
    let name = BudgetName::new(one.name.get_ref().clone())
        .map_err(|error| crossing.problem(one.name.span(), error.to_string(), None));
    let counts = counts(crossing, one);
    let window = one.window.get_ref().parse::<Window>().map_err(|help| {
        let message = format!("`{}` is not a window", one.window.get_ref());
        crossing.problem(one.window.span(), message, Some(help));
    });
    let server = one.server.as_ref().map(|server| {
        if !servers.contains(server.get_ref()) {
            let message = format!("there is no server `{}`", server.get_ref());
            crossing.problem(server.span(), message, Some("name one of `[servers]`"));
        }
        ServerName::new(server.get_ref().clone()).ok()
    });
    let cure = one.unless_approved.as_ref().and_then(|cure| {
        let read = cure.get_ref().parse::<Cure>();
        read.map_err(|error| crossing.problem(cure.span(), error.to_string(), None)).ok()
    });
    let at_most = at_most(crossing, one);
    if crossing.problems.len() > before {
        return None;
    }
    let covers = Covers {
        server: server.flatten(),
        tool: one.tool.clone(),
        category: one.category.map(Into::into),
        effect: one.effect.map(Into::into),
    };
    let per = match one.per {
        Whose::User => Per::User,
        Whose::Agent => Per::Agent,
        Whose::Host => Per::Host,
        Whose::Tool => Per::Tool,
        Whose::Server => Per::Server,
        Whose::Category => Per::Category,
        Whose::Everybody => Per::Everybody,
    };
    Some(Budget { name: name.ok()?, counts: counts?, covers, per, window: window.ok()?, at_most, cure })
}

fn counts(crossing: &mut Crossing<'_>, one: &Written) -> Option<Counts> {
    let of = *one.counts.get_ref();
    let path = one.argument.as_ref().map(|argument| {
        let path = argument.get_ref().parse::<Path>();
        path.map_err(|help| {
            let message = format!("`{}` is not an argument", argument.get_ref());
            crossing.problem(argument.span(), message, Some(help));
        })
    });
    match (of, path) {
        (Counted::Calls, None) => Some(Counts::Calls),
        (Counted::Calls, Some(_)) => {
            let at = one.argument.as_ref().map(Spanned::span).unwrap_or_default();
            crossing.problem(
                at,
                "calls are counted whatever their arguments are",
                Some("take this line out"),
            );
            None
        }
        (_, None) => {
            let message = "it is not said which argument is counted";
            crossing.problem(one.counts.span(), message, Some("add a line such as `argument = \"amount\"`"));
            None
        }
        (Counted::Sum, Some(path)) => path.ok().map(Counts::Sum),
        (Counted::Distinct, Some(path)) => path.ok().map(Counts::Distinct),
        (Counted::FirstSeen, Some(path)) => path.ok().map(Counts::FirstSeen),
    }
}

/// The bound, in the units of what is counted.
fn at_most(crossing: &mut Crossing<'_>, one: &Written) -> u64 {
    let of = *one.counts.get_ref();
    if of == Counted::FirstSeen {
        if let Some(given) = &one.at_most {
            let help = "take this line out; every value is new once";
            crossing.problem(given.span(), "what is seen for the first time is not counted", Some(help));
        }
        if one.unless_approved.is_none() {
            let help = "say who may let a new value through: `unless-approved = \"finance\"`";
            crossing.problem(one.counts.span(), "no value could ever be used for the first time", Some(help));
        }
        return 0;
    }
    let Some(given) = &one.at_most else {
        crossing.problem(
            one.name.span(),
            "the budget has no bound",
            Some("add a line such as `at-most = 100`"),
        );
        return 0;
    };
    let number = |number: i64| u64::try_from(number).ok();
    let read = match (given.get_ref(), of) {
        (AtMost::Number(most), Counted::Sum) => {
            number(*most).and_then(|most| budget::amount(&most.to_string()))
        }
        (AtMost::Text(text), Counted::Sum) => budget::amount(text),
        (AtMost::Number(most), Counted::Distinct) => number(*most).filter(|most| *most <= DISTINCT_MAX),
        (AtMost::Number(most), _) => number(*most),
        (AtMost::Text(_) | AtMost::Odd(_), _) => None,
    };
    read.unwrap_or_else(|| {
        let help = match of {
            Counted::Sum => {
                "write a number, 0 or more, or a text with at most four decimals: `\"99.50\"`".to_owned()
            }
            Counted::Distinct => format!("write a number of at most {DISTINCT_MAX}"),
            Counted::Calls | Counted::FirstSeen => "write a whole number, 0 or more".to_owned(),
        };
        crossing.problem(given.span(), "this cannot be a bound", Some(&help));
        0
    })
}

pub(super) fn effective(settings: &Settings) -> Value {
    Value::Array(settings.budgets.iter().map(|one| Value::Table(table(one))).collect())
}

fn table(one: &Budget) -> Table {
    let mut out = Table::new();
    let mut put = |key: &str, value: Value| drop(out.insert(key.to_owned(), value));
    put("name", text(&one.name));
    put("counts", text(one.counts.as_str()));
    if let Some(path) = one.path() {
        put("argument", text(path));
    }
    let covers = [
        ("server", one.covers.server.as_ref().map(ToString::to_string)),
        ("tool", one.covers.tool.clone()),
        ("category", one.covers.category.map(|category| category.as_str().to_owned())),
        ("effect", one.covers.effect.map(|effect| effect.as_str().to_owned())),
        ("unless-approved", one.cure.as_ref().map(ToString::to_string)),
    ];
    for (key, value) in covers {
        value.into_iter().for_each(|value| put(key, text(value)));
    }
    put("per", text(one.per.as_str()));
    put("window", text(one.window));
    match &one.counts {
        Counts::Sum(_) if !one.at_most.is_multiple_of(UNIT) => put("at-most", text(one.shown(one.at_most))),
        Counts::Sum(_) => put("at-most", number(one.at_most / UNIT)),
        Counts::Calls | Counts::Distinct(_) => put("at-most", number(one.at_most)),
        Counts::FirstSeen(_) => {}
    }
    out
}

fn number(value: u64) -> Value {
    Value::Integer(i64::try_from(value).unwrap_or(i64::MAX))
}
