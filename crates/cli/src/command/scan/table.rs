//! The answer for people: a table, what was found, and a sum.

use super::{Report, machine, notice::Notice, report::by_rule};
use crate::say::{
    Say, one_line,
    table::{whole, wrapped},
};
use decision::counted;
use serde::Serialize;

pub(super) fn show(say: Say, report: &Report) {
    let servers = report.servers.as_deref().unwrap_or_default();
    machine::tell(say, servers, report.unread.as_deref().unwrap_or_default());
    if report.is_of_machine() && servers.is_empty() {
        let others = if report.gaps().next().is_none() { "" } else { "other " };
        say.line(format!(
            "no {others}client on this machine names a server; `callgate scan FILE` looks at definitions in a file"
        ));
        return;
    }
    if !report.tools.is_empty() || servers.is_empty() {
        tools(say, report);
    }
    let mut shown: Vec<&Notice> = report.notices().filter(|notice| is_shown(notice)).collect();
    shown.sort_by_key(|notice| (notice.is_known(), std::cmp::Reverse(notice.severity)));
    for notice in shown {
        line(say, notice);
    }
    let design = by_rule(report.design());
    if !design.is_empty() {
        say.line("design, which counts for no exit code:");
    }
    for (worst, all) in design {
        say.line(format!(
            "  {} {} in {}, such as {}: {}; {}",
            worst.severity.as_str(),
            worst.detector,
            counted(all, "tool"),
            one_line(&worst.spot.subject),
            one_line(&worst.because),
            worst.repair.unwrap_or_default(),
        ));
    }
    let flagged = report.notices().filter(|notice| notice.counts()).count();
    let known = report.notices().filter(|notice| notice.is_known()).count();
    let is_well = flagged == 0 && report.gaps().next().is_none();
    let mark = if is_well { say.paint(32, "✓") } else { say.paint(31, "✗") };
    say.line(format!("{mark} {}", report.sum(flagged, known)));
    for next in machine::next(servers, report.is_of_machine()) {
        say.line(next);
    }
}

/// The table of servers says already that no gateway stands before them.
fn is_shown(notice: &Notice) -> bool {
    notice.detector != "ungoverned"
}

fn tools(say: Say, report: &Report) {
    let rows = report.tools.iter().map(|tool| {
        let worst = tool.findings.iter().map(|finding| finding.severity).max();
        let categories: Vec<&str> = tool.judged.categories.iter().map(|category| category.as_str()).collect();
        vec![
            one_line(&tool.server),
            one_line(&tool.name),
            word(&tool.judged.effect),
            word(&tool.judged.tier),
            categories.join(", "),
            worst.map(|worst| worst.as_str().to_owned()).unwrap_or_default(),
        ]
    });
    let [tool, effect, tier, finding] = ["tool", "effect", "tier", "finding"].map(whole);
    let [server, categories] = ["server", "categories"].map(wrapped);
    say.table(&[server, tool, effect, tier, categories, finding], rows.collect());
}

fn line(say: Say, notice: &Notice) {
    let colour = match (notice.is_known(), notice.severity.flags()) {
        (true, _) => 2,
        (false, true) => 31,
        (false, false) => 33,
    };
    let known = if notice.is_known() { "known " } else { "" };
    let repair = notice.repair.map(|repair| format!("; {repair}")).unwrap_or_default();
    say.line(format!(
        "{known}{} {} {}: {}{repair}",
        say.paint(colour, notice.severity.as_str()),
        notice.detector,
        one_line(&notice.whole_place()),
        one_line(&notice.because),
    ));
}

/// How an enum is written for programs, for people too.
fn word(value: &impl Serialize) -> String {
    let value = serde_json::to_value(value).ok();
    value.and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
