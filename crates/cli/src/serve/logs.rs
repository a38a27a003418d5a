//! Log lines: structured, on standard error or in a file. They are for operators; the record is the ledger.

use super::LogFormat;
use crate::surroundings::Surroundings;
use anyhow::{Context as _, anyhow};
use std::{fs::OpenOptions, io, os::unix::fs::OpenOptionsExt as _, path::Path, sync::Mutex};
use tracing_subscriber::{EnvFilter, fmt::writer::BoxMakeWriter};

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
    // a line that cannot be written is lost: saying so would panic where standard error is what is full
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(ansi)
        .log_internal_errors(false);
    let begun = match format {
        LogFormat::Text => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    begun.map_err(|error| anyhow!("cannot begin to log: {error}"))
}
