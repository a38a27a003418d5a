//! The answer as Markdown, for a comment on a pull request. Whatever others wrote stands in code: there, nothing is markup.

use super::{
    Report,
    notice::Notice,
    report::{Gap, by_rule},
};
use crate::say::{Say, printable, tamed};

/// Most rows: a comment has a bound, and nobody reads more.
const ROWS_MAX: usize = 100;
/// Most letters of one text.
const TEXT_MAX: usize = 300;

pub(super) fn show(say: Say, report: &Report) {
    say.raw(&tamed(page(report).trim_end()));
}

fn page(report: &Report) -> String {
    let mut notices: Vec<&Notice> = report.notices().collect();
    notices.sort_by_key(|notice| (notice.is_known(), std::cmp::Reverse(notice.severity)));
    let flagged = notices.iter().filter(|notice| notice.counts()).count();
    let known = notices.iter().filter(|notice| notice.is_known()).count();
    let gaps: Vec<Gap> = report.gaps().collect();
    let mark = if flagged == 0 && gaps.is_empty() { "✅" } else { "❌" };
    let mut page = format!("## {mark} Callgate scan\n\n{}\n", report.sum(flagged, known));
    for gap in &gaps {
        page.push_str(&format!("\n⚠️ {} {}\n", code(&gap.what), prose(&gap.because)));
    }
    if !notices.is_empty() {
        page.push_str("\n| severity | finding | where | why |\n|---|---|---|---|\n");
    }
    for notice in notices.iter().take(ROWS_MAX) {
        let severity = notice.severity.as_str();
        let severity = match (notice.is_known(), notice.severity.flags()) {
            (true, _) => format!("{severity} (known)"),
            (false, true) => format!("**{severity}**"),
            (false, false) => severity.to_owned(),
        };
        let repair = notice.repair.map(|repair| format!("; {}", prose(repair))).unwrap_or_default();
        let (place, because) = (code(&notice.whole_place()), prose(&notice.because));
        page.push_str(&format!("| {severity} | {} | {place} | {because}{repair} |\n", notice.detector));
    }
    if notices.len() > ROWS_MAX {
        page.push_str(&format!("\nAnd {} more.\n", notices.len() - ROWS_MAX));
    }
    let design = by_rule(report.design());
    if !design.is_empty() {
        page.push_str("\n### Design\n\n| severity | rule | tools | such as | why |\n|---|---|---|---|---|\n");
    }
    for (worst, all) in design {
        let (severity, rule) = (worst.severity.as_str(), worst.detector);
        let (place, because) = (code(&worst.spot.subject), prose(&worst.because));
        let repair = prose(worst.repair.unwrap_or_default());
        page.push_str(&format!("| {severity} | {rule} | {all} | {place} | {because}; {repair} |\n"));
    }
    page
}

/// What others wrote, as code on one line of a table. What would end the code or the cell is shown as a sign that looks like
/// it: inside code there is no other way.
fn code(said: &str) -> String {
    let mut shown: String = printable(said).chars().take(TEXT_MAX + 1).map(still).collect();
    if shown.chars().count() > TEXT_MAX {
        shown = shown.chars().take(TEXT_MAX).chain(['…']).collect();
    }
    // an empty one would be two quotes, which begin code that ends elsewhere
    if shown.trim().is_empty() { "(nothing)".to_owned() } else { format!("`{}`", shown.trim()) }
}

fn still(c: char) -> char {
    match c {
        '`' => 'ˋ',
        '|' => '¦',
        c if c.is_whitespace() || c.is_control() => ' ',
        c => c,
    }
}

/// A sentence of ours that quotes others in backticks. Should a quote hold a backtick, what follows is not ours; so whatever
/// could be markup, a link or a name of somebody is code too.
fn prose(said: &str) -> String {
    let plain = |part: &str| {
        let harmless =
            |c: char| c.is_ascii_alphanumeric() || " ,.;:'()-/?%".contains(c) || "…—·×".contains(c);
        part.chars().all(harmless) && !part.contains("//") && !part.to_ascii_lowercase().contains("www.")
    };
    let parts = said.split('`').enumerate().filter(|(_, part)| !part.is_empty());
    let shown = parts.map(|(i, part)| {
        let edge = |end: bool| if end { " " } else { "" };
        match i % 2 == 0 && plain(part) {
            true => part.to_owned(),
            // the blanks around it are no part of the code
            false => format!("{}{}{}", edge(part.starts_with(' ')), code(part), edge(part.ends_with(' '))),
        }
    });
    let shown = shown.collect::<Vec<_>>().concat();
    // two pieces of code that touch would be one with quotes inside
    shown.replace("``", "` `")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_never_markup() {
        for hostile in [
            "a | b ` | <img src=x> ``` [x](http://evil.example)",
            "@everyone #1 https://evil.example www.evil.example a@b.example",
            "line\r\nbreak\u{2028}| x",
            "\\` x",
            "\\| x",
        ] {
            for shown in [code(hostile), prose(&format!("it says `{hostile}` here")), prose(hostile)] {
                let outside: String = shown.split('`').step_by(2).collect();
                let harmless = |c: char| c.is_ascii_alphanumeric() || " ,.;:'()-/?%".contains(c);
                assert!(outside.chars().all(harmless) && !outside.contains("//"), "{shown}");
                assert!(!outside.contains("www.") && shown.matches('`').count() % 2 == 0, "{shown}");
                assert!(!shown.contains(['|', '\n', '\r', '\u{2028}']) && !shown.contains("``"), "{shown}");
            }
        }
        assert_eq!(prose("`a` of `b` is new"), "`a` of `b` is new");
        assert_eq!(code(""), "(nothing)");
        assert!(code(&"x".repeat(1000)).len() < 320);
    }
}
