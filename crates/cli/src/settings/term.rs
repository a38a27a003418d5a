//! Who declares what a tool is, why, and from when until when that counts.

use super::{file::Tool, problem::Crossing};
use catalog::Term;
use decision::{Digest, Timestamp};
use toml::Spanned;

/// Longest name or reason, in characters.
const CHARS_MAX: usize = 500;

pub(crate) fn of_tool(crossing: &mut Crossing<'_>, name: &str, written: &Tool) -> Term {
    let (since, until) = (day(crossing, written.since.as_ref()), day(crossing, written.until.as_ref()));
    if let (Some(since), Some(until), Some(at)) = (since, until, &written.until)
        && until <= since
    {
        crossing.problem(at.span(), "it ends before it begins", None);
    }
    Term {
        by: said(crossing, written.by.as_ref()),
        because: said(crossing, written.because.as_ref()),
        since,
        until,
        definition: definition(crossing, name, written),
        ..Term::default()
    }
}

/// The beginning of a day in UTC.
fn day(crossing: &mut Crossing<'_>, written: Option<&Spanned<String>>) -> Option<Timestamp> {
    let written = written?;
    let text = written.get_ref();
    let day = text.parse::<jiff::civil::Date>().ok().filter(|_| text.len() == "2027-01-31".len());
    let start = day.and_then(|day| day.to_zoned(jiff::tz::TimeZone::UTC).ok());
    let at = start.and_then(|start| u64::try_from(start.timestamp().as_microsecond()).ok());
    if at.is_none() {
        crossing.problem(written.span(), format!("`{text}` is no day"), Some("write it as in `2027-01-31`"));
    }
    at.map(Timestamp)
}

pub(super) fn said(crossing: &mut Crossing<'_>, written: Option<&Spanned<String>>) -> Option<String> {
    let written = written?;
    let text = written.get_ref().trim();
    if text.is_empty() || text.chars().count() > CHARS_MAX || inspect::shown::visible(text) != text {
        let help = "1 to 500 characters on one line, none of which is hidden";
        crossing.problem(written.span(), "this cannot be shown to people", Some(help));
        return None;
    }
    Some(text.to_owned())
}

/// A definition is one tool's.
fn definition(crossing: &mut Crossing<'_>, name: &str, written: &Tool) -> Option<Digest> {
    let written = written.definition.as_ref()?;
    if name.contains('*') {
        let help = "name the tool without `*`, or leave `definition` out";
        crossing.problem(
            written.span(),
            "a pattern is for many tools, and a definition is one tool's",
            Some(help),
        );
        return None;
    }
    let digest = Digest::parse(written.get_ref());
    if digest.is_none() {
        let help = "write `sha256:` and 64 digits, as `callgate registry list --json` has it";
        crossing.problem(written.span(), format!("`{}` is not a digest", written.get_ref()), Some(help));
    }
    digest
}
