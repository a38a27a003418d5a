//! Searching decisions.

use super::{Frame, rendered};
use crate::view::{Shown, When, when};
use crate::web::{Body, Stop};
use crate::{Console, Fields, Route};
use askama::Template;
use decision::{Code, Timestamp};
use http::{Response, StatusCode};
use std::str::FromStr;
use store::{CallRow, Cursor, Ended, Filter};

/// Lines of one page.
const LINES: u64 = 50;

/// The ways a call can end, by the word in the address and the word on the page.
pub(crate) const ENDINGS: [(&str, &str, Ended); 6] = [
    ("answered", "answered", Ended::Answered),
    ("refused", "refused", Ended::Refused),
    ("held", "held", Ended::Held),
    ("failed", "failed", Ended::Failed),
    ("cancelled", "cancelled", Ended::Cancelled),
    ("unknown", "outcome unknown", Ended::Unknown),
];

/// A call in a list.
#[derive(Debug)]
pub(crate) struct CallView {
    pub(crate) href: String,
    pub(crate) at: When,
    pub(crate) ended: &'static str,
    pub(crate) word: &'static str,
    pub(crate) code: &'static str,
    pub(crate) meaning: &'static str,
    pub(crate) asker: Shown,
    pub(crate) user: Option<Shown>,
    pub(crate) method: Shown,
    pub(crate) server: Shown,
    pub(crate) item: Shown,
    /// What was asked for where it is nothing here.
    pub(crate) asked: Shown,
    pub(crate) took: String,
}

impl CallView {
    pub(crate) fn of(row: &CallRow) -> Self {
        let ending = row.ended.and_then(|ended| ENDINGS.iter().find(|(_, _, known)| *known == ended));
        let (ended, word) = ending.map_or(("open", "open"), |(ended, word, _)| (*ended, *word));
        let asker = match &row.actor {
            Some(name) => format!("{} {name}", row.actor_kind),
            None => row.actor_kind.clone(),
        };
        Self {
            href: Route::Call(row.call).path(),
            at: when(row.at),
            ended,
            word,
            code: row.code.map_or("", Code::as_str),
            meaning: row.code.map_or("", Code::meaning),
            asker: Shown::short(&asker),
            user: row.user.as_deref().map(Shown::short),
            method: Shown::short(row.method.as_deref().unwrap_or("malformed")),
            server: Shown::of(row.server.as_ref().map_or("", |name| name.as_str())),
            item: Shown::short(row.item.as_ref().map_or("", |item| &item.name)),
            asked: Shown::short(row.asked.as_ref().map_or("", |item| &item.name)),
            took: row.duration_us.map(took).unwrap_or_default(),
        }
    }
}

/// `3.2 ms`, `1.4 s`.
pub(crate) fn took(us: u64) -> String {
    let tenths = |value: u64, unit: u64| format!("{}.{}", value / unit, value % unit / (unit / 10));
    match us {
        ..1_000_000 => format!("{} ms", tenths(us, 1_000)),
        _ => format!("{} s", tenths(us, 1_000_000)),
    }
}

#[derive(Template)]
#[template(path = "activity.html")]
struct Activity {
    frame: Frame,
    /// What was asked for, as it was typed.
    asked: Asked,
    endings: [(&'static str, &'static str, Ended); 6],
    codes: Vec<&'static str>,
    calls: Vec<CallView>,
    problem: Option<&'static str>,
    older: Option<String>,
    first: bool,
    filtered: bool,
}

/// The fields of the form.
#[derive(Debug, Default)]
struct Asked {
    text: String,
    agent: String,
    user: String,
    server: String,
    tool: String,
    code: String,
    ended: String,
    /// `on`: the gateway's own errands too.
    errands: String,
    from: String,
    to: String,
}

const NAMES: [&str; 10] =
    ["text", "agent", "user", "server", "tool", "code", "ended", "errands", "from", "to"];

impl Asked {
    fn of(fields: &Fields) -> Self {
        let field = |name: &str| fields.get(name).map(|text| text.trim().to_owned()).unwrap_or_default();
        let [text, agent, user, server, tool, code, ended, errands, from, to] = NAMES.map(field);
        Self { text, agent, user, server, tool, code, ended, errands, from, to }
    }

    /// Errors: what cannot be looked for.
    fn filter(&self) -> Result<Filter, &'static str> {
        let ended =
            |text: &str| ENDINGS.iter().find(|(word, _, _)| *word == text).map(|(_, _, ended)| *ended);
        Ok(Filter {
            agent: read(&self.agent, "No agent can have this name.")?,
            user: read(&self.user, "No user can have this name.")?,
            server: read(&self.server, "No server can have this name.")?,
            item: (!self.tool.is_empty()).then(|| self.tool.clone()),
            interaction: None,
            code: given(&self.code, Code::parse, "There is no such code.")?,
            ended: given(&self.ended, ended, "Calls do not end like this.")?,
            errand: self.errands.is_empty().then_some(false),
            since: given(&self.from, moment, "The time after `from` is not one.")?,
            until: given(&self.to, moment, "The time after `until` is not one.")?,
            text: (!self.text.is_empty()).then(|| self.text.clone()),
        })
    }

    /// The same search as part of an address.
    fn query(&self) -> String {
        let Self { text, agent, user, server, tool, code, ended, errands, from, to } = self;
        let values = [text, agent, user, server, tool, code, ended, errands, from, to];
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(NAMES.iter().zip(values).filter(|(_, value)| !value.is_empty()));
        query.finish()
    }
}

fn given<T>(
    text: &str,
    read: impl Fn(&str) -> Option<T>,
    why: &'static str,
) -> Result<Option<T>, &'static str> {
    if text.is_empty() { Ok(None) } else { read(text).map(Some).ok_or(why) }
}

fn read<T: FromStr>(text: &str, why: &'static str) -> Result<Option<T>, &'static str> {
    given(text, |text| text.parse().ok(), why)
}

/// A time of a form, which is in UTC and has no zone.
fn moment(text: &str) -> Option<Timestamp> {
    let time: jiff::civil::DateTime = text.parse().ok()?;
    let moment = time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    u64::try_from(moment.as_microsecond()).ok().map(Timestamp)
}

pub(crate) async fn activity(
    console: &Console,
    frame: Frame,
    fields: &Fields,
) -> Result<Response<Body>, Stop> {
    let asked = Asked::of(fields);
    let before: Option<Cursor> = match fields.get("before") {
        Some(text) => Some(text.parse().map_err(|_| Stop::malformed("This is no page of the list."))?),
        None => None,
    };
    let (rows, problem) = match asked.filter() {
        Ok(filter) => {
            let rows = console.store().find_calls(&console.parts.scope, &filter, LINES, before.as_ref());
            (rows.await?, None)
        }
        Err(why) => (Vec::new(), Some(why)),
    };
    let query = asked.query();
    let full = u64::try_from(rows.len()).is_ok_and(|n| n >= LINES);
    let older = rows.last().filter(|_| full).map(|last| {
        let mut more = url::form_urlencoded::Serializer::new(query.clone());
        more.append_pair("before", &last.cursor().to_string());
        format!("{}?{}", Route::Activity.path(), more.finish())
    });
    let page = Activity {
        frame,
        endings: ENDINGS,
        codes: Code::ALL.iter().map(|code| code.as_str()).collect(),
        calls: rows.iter().map(CallView::of).collect(),
        problem,
        older,
        first: before.is_none(),
        filtered: !query.is_empty(),
        asked,
    };
    rendered(StatusCode::OK, &page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_is_read_or_says_what_it_is_not() {
        let asked =
            Asked { from: "2023-11-14T22:13".to_owned(), ended: "refused".to_owned(), ..Asked::default() };
        let filter = asked.filter().unwrap();
        assert_eq!(filter.since, Some(Timestamp(1_699_999_980_000_000)));
        assert_eq!(filter.ended, Some(Ended::Refused));
        assert_eq!(asked.query(), "ended=refused&from=2023-11-14T22%3A13");
        for wrong in [
            Asked { agent: "a b\n".to_owned(), ..Asked::default() },
            Asked { code: "nonsense".to_owned(), ..Asked::default() },
            Asked { to: "yesterday".to_owned(), ..Asked::default() },
        ] {
            assert!(wrong.filter().is_err(), "{wrong:?}");
        }
        assert_eq!([took(12_345), took(1_400_000)], ["12.3 ms", "1.4 s"]);
    }
}
