//! Log lines: structured, on standard error or in a file. They are for operators; the record is the ledger.

use super::LogFormat;
use crate::surroundings::Surroundings;
use anyhow::{Context as _, anyhow};
use std::{fs::OpenOptions, io, os::unix::fs::OpenOptionsExt as _, path::Path, sync::Mutex};
use tracing::Level;
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::{EnvFilter, Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// Begins to write log lines. Errors: a filter that does not parse, a file that cannot be written.
pub(super) fn begin(
    format: LogFormat,
    file: Option<&Path>,
    surroundings: &Surroundings,
) -> anyhow::Result<()> {
    let filter = surroundings.log.as_deref().unwrap_or("info");
    let filter =
        EnvFilter::try_new(filter).context("CALLGATE_LOG cannot be read; write `info` or `debug`")?;
    let writer = match file {
        None => BoxMakeWriter::new(io::stderr),
        Some(path) => {
            let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
            BoxMakeWriter::new(Mutex::new(
                file.with_context(|| format!("cannot write `{}`", path.display()))?,
            ))
        }
    };
    let ansi = surroundings.colour_err && file.is_none();
    // U13: below this, the libraries under us may print what they carry
    let quiet = filter_fn(|line| line.target().starts_with("callgate") || *line.level() <= Level::INFO);
    // a line that cannot be written is lost: saying so would panic where standard error is what is full
    let layer =
        tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(ansi).log_internal_errors(false);
    let layer = match format {
        LogFormat::Text => layer.with_target(false).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    };
    let begun = tracing_subscriber::registry().with(layer.with_filter(filter.and(quiet))).try_init();
    begun.map_err(|error| anyhow!("cannot begin to log: {error}"))
}
