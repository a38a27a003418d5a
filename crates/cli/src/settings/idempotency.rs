//! What the file says of calls that were made before.

use super::{
    effective::{number, time},
    file::Tool,
    problem::Crossing,
};
use gateway::settings::Idempotency;
use serde::Deserialize;
use std::time::Duration;
use toml::{Spanned, Table, Value};

/// Nobody waits longer for a repetition, and nothing is kept for longer.
const WINDOW_MAX: Duration = Duration::from_secs(400 * 24 * 3_600);

/// What becomes of a call that was made before under the same key.
#[derive(Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Written {
    /// So long after its end a call stands under the key that its client gave; `24h` unless said otherwise.
    #[schemars(with = "Option<String>")]
    pub(crate) window: Option<Spanned<String>>,
    /// Answers of more bytes are not kept to be given again; 262144 unless said otherwise.
    #[schemars(with = "Option<usize>")]
    pub(crate) max_answer_bytes: Option<Spanned<usize>>,
}

pub(super) fn cross(crossing: &mut Crossing<'_>, written: &Written) -> Idempotency {
    let usual = Idempotency::default();
    Idempotency {
        window: window(crossing, written.window.as_ref()).unwrap_or(usual.window),
        answer_bytes_max: crossing.count(written.max_answer_bytes.as_ref(), usual.answer_bytes_max),
    }
}

/// The window of one tool, where it has one.
pub(super) fn of_tool(crossing: &mut Crossing<'_>, written: &Tool) -> Option<Duration> {
    window(crossing, written.idempotency.as_ref())
}

fn window(crossing: &mut Crossing<'_>, written: Option<&Spanned<String>>) -> Option<Duration> {
    let given = written?;
    let window = crossing.duration(Some(given), Duration::from_secs(1));
    if window > WINDOW_MAX {
        crossing.problem(given.span(), "nothing is kept for so long", Some("write at most `400d`"));
    }
    Some(window)
}

pub(super) fn effective(idempotency: &Idempotency) -> Table {
    let rows =
        [("window", time(idempotency.window)), ("max-answer-bytes", number(idempotency.answer_bytes_max))];
    rows.into_iter().map(|(key, value): (&str, Value)| (key.to_owned(), value)).collect()
}
