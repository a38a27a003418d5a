//! What the file says of how calls wait for people.

use super::{
    effective::{text, time},
    problem::Crossing,
};
use decision::GroupName;
use gateway::settings::Approvals;
use serde::Deserialize;
use std::{collections::BTreeMap, time::Duration};
use toml::{Spanned, Table, Value};

/// How calls wait for the people whom a rule's `@unless-approved` names.
#[derive(Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Written {
    /// For deciding, and for using what was decided; `30m` unless said otherwise.
    #[schemars(with = "Option<String>")]
    pub(crate) valid_for: Option<Spanned<String>>,
    /// A call is held open for so long before its client is told to come again; `45s` unless said otherwise, which
    /// is less than the minute that clients wait. `0s` tells them at once.
    #[schemars(with = "Option<String>")]
    pub(crate) hold_for: Option<Spanned<String>>,
    /// By group: who else may decide when nobody of it did for a while.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Escalation>")]
    pub(crate) escalate: BTreeMap<Spanned<String>, Escalation>,
}

/// Who stands in, and when.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Escalation {
    /// After so long without a decision.
    #[schemars(with = "String")]
    pub(crate) after: Spanned<String>,
    /// The group that may decide as well.
    #[schemars(with = "String")]
    pub(crate) to: Spanned<String>,
}

/// `pages`: whether the console is there.
pub(super) fn cross(crossing: &mut Crossing<'_>, written: &Written, pages: bool) -> Approvals {
    let usual = Approvals::default();
    let valid_for = crossing.duration(written.valid_for.as_ref(), usual.valid_for);
    if let Some(given) = written.valid_for.as_ref().filter(|_| valid_for.is_zero()) {
        crossing.problem(given.span(), "nobody could decide in no time", Some("write a time such as `30m`"));
    }
    let mut escalations = BTreeMap::new();
    for (group, one) in &written.escalate {
        let after = crossing.duration(Some(&one.after), Duration::ZERO);
        let (from, to) = (name(crossing, group), name(crossing, &one.to));
        let (Some(from), Some(to)) = (from, to) else { continue };
        if from == to {
            crossing.problem(one.to.span(), format!("`{to}` may decide already"), Some("name another group"));
        }
        if after >= valid_for {
            let help = "make it less than `valid-for`";
            crossing.problem(one.after.span(), "the approval's time is over by then", Some(help));
        }
        escalations.insert(from, (after, to));
    }
    let at_once = written.hold_for.as_ref().is_some_and(|given| given.get_ref() == "0s");
    let held = written.hold_for.as_ref().filter(|_| !at_once);
    let hold_for = if at_once { Duration::ZERO } else { crossing.duration(held, usual.hold_for) };
    Approvals { valid_for, hold_for, escalations, pages }
}

fn name(crossing: &mut Crossing<'_>, given: &Spanned<String>) -> Option<GroupName> {
    GroupName::new(given.get_ref().clone())
        .map_err(|error| crossing.problem(given.span(), error.to_string(), None))
        .ok()
}

pub(super) fn effective(approvals: &Approvals) -> Table {
    let escalate = approvals.escalations.iter().map(|(group, (after, to))| {
        let one = [("after".to_owned(), time(*after)), ("to".to_owned(), text(to))];
        (group.to_string(), Value::Table(one.into_iter().collect()))
    });
    let mut out = Table::new();
    out.insert("valid-for".to_owned(), time(approvals.valid_for));
    out.insert("hold-for".to_owned(), time(approvals.hold_for));
    out.insert("escalate".to_owned(), Value::Table(escalate.collect()));
    out
}
