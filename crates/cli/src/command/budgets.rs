//! `callgate budgets`: what is used of amounts over time.

use crate::{
    cli::Given,
    failure::{Failure, Outcome, Verdict},
    place::Place,
    say::{
        table::{whole, wrapped},
        when,
    },
    sources::SystemClock,
};
use clap::Args as ClapArgs;
use decision::Clock as _;
use decision::ItemKind;
use decision::budget::{Counted, Use};
use policy::budget::Budget;
use serde_json::json;
use std::collections::BTreeSet;

#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// Only this budget
    budget: Option<String>,
    /// How many counters to show at most
    #[arg(long, default_value_t = 1_000)]
    limit: u32,
}

/// What is used of one counter.
struct Line {
    budget: Budget,
    whose: String,
    used: u64,
    /// When something of it is free again.
    frees: Option<decision::Timestamp>,
}

pub(crate) async fn run(args: Args, given: &Given) -> Outcome {
    let place = given.place_in_force()?;
    let budgets = &place.meant.settings.budgets;
    if let Some(name) = &args.budget
        && !budgets.iter().any(|budget| budget.name.as_str() == name)
    {
        return Err(Failure::refused(format!("there is no budget `{name}` in `{}`", place.config.display())));
    }
    let asked = |budget: &&Budget| args.budget.as_ref().is_none_or(|name| budget.name.as_str() == name);
    let mut asked: Vec<&Budget> = budgets.iter().filter(asked).collect();
    asked.sort_by(|a, b| a.name.cmp(&b.name));
    let lines = lines(&place, &asked, &place.store_to_read(given.say).await?, args.limit).await?;
    given.say.json(&lines.iter().map(json).collect::<Vec<_>>());
    let row = |line: &Line| {
        let (used, frees) = (line.budget.shown(line.used), line.frees.map(when).unwrap_or_default());
        vec![line.budget.name.to_string(), line.whose.clone(), used, bound(&line.budget), frees]
    };
    if lines.is_empty() {
        given.say.line(match (asked.is_empty(), &args.budget) {
            (true, _) => "no budgets: `[[budgets]]` in the configuration names them".to_owned(),
            (false, Some(name)) => format!("nothing of `{name}` is used"),
            (false, None) => "nothing of any budget is used".to_owned(),
        });
        return Ok(Verdict::Yes);
    }
    let head = [whole("budget"), wrapped("whose"), whole("used"), whole("at most"), whole("next free (UTC)")];
    given.say.table(&head, lines.iter().map(row).collect());
    Ok(Verdict::Yes)
}

/// The limit is for what is shown: counters of other budgets take none of it.
async fn lines(
    place: &Place,
    budgets: &[&Budget],
    store: &store::Store,
    limit: u32,
) -> anyhow::Result<Vec<Line>> {
    let (scope, now) = (place.scope(), SystemClock.now());
    let mut lines = Vec::new();
    for budget in budgets {
        let left = limit.saturating_sub(u32::try_from(lines.len())?);
        for counter in store.counters(&scope, &budget.name, left).await? {
            // one that counted something else before has counters of its own
            let Some(reading) = budget.reading(&counter.whose, now, counter.subject) else { continue };
            let counted = store.counted(&scope, &reading).await?;
            let (used, frees) = (used(&reading, &counted), counted.iter().map(|one| one.until).min());
            lines.push(Line { budget: (*budget).clone(), whose: counter.whose, used, frees });
        }
    }
    Ok(lines)
}

fn used(reading: &Use, counted: &[Counted]) -> u64 {
    match reading.measure {
        decision::budget::Measure::Amount => counted.iter().map(|one| one.amount).sum(),
        decision::budget::Measure::Distinct | decision::budget::Measure::FirstSeen => {
            let values: BTreeSet<_> = counted.iter().filter_map(|one| one.value).collect();
            u64::try_from(values.len()).unwrap_or(u64::MAX)
        }
    }
}

fn bound(budget: &Budget) -> String {
    match budget.counts {
        policy::budget::Counts::FirstSeen(_) => String::new(),
        policy::budget::Counts::Calls
        | policy::budget::Counts::Sum(_)
        | policy::budget::Counts::Distinct(_) => budget.shown(budget.at_most),
    }
}

fn json(line: &Line) -> serde_json::Value {
    json!({
        "budget": line.budget.name, "whose": line.whose, "window": line.budget.window.to_string(),
        "used": line.budget.shown(line.used), "at-most": bound(&line.budget), "next-free": line.frees,
    })
}

/// Tools that a budget covers and that do not have the argument it counts: their calls are all refused.
pub(crate) fn uncountable(budgets: &[Budget], catalogue: &catalog::Catalogue) -> Vec<String> {
    let mut found = Vec::new();
    for (server, entry) in catalogue.servers() {
        for item in entry.of_kind(ItemKind::Tool) {
            let name = item.definition.name();
            let schema = item.definition.input_schema().unwrap_or_default();
            for budget in budgets.iter().filter(|budget| budget.covers.fits(server, name, &item.classified)) {
                if let Some(path) = budget.path().filter(|path| !path.is_in(schema)) {
                    let tool = catalog::federated(server, name);
                    found.push(format!(
                        "the budget `{}` counts `{path}`, which `{tool}` does not have: its calls are refused",
                        budget.name
                    ));
                }
            }
        }
    }
    found
}
