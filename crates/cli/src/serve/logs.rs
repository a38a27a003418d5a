//! Log lines: structured, on standard error or in a file. They are for operators; the record is the ledger.

use super::LogFormat;
use crate::{failure::Failure, surroundings::Surroundings};
use anyhow::{Context as _, anyhow};
use arc_swap::ArcSwap;
use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};
use tracing::{Level, level_filters::LevelFilter};
use tracing_subscriber::filter::{FilterExt as _, Targets, filter_fn};
use tracing_subscriber::fmt::writer::{BoxMakeWriter, MakeWriter};
use tracing_subscriber::{Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// What can be named: the parts of the program, and the libraries under it that tell anything.
const NAMED: &[&str] = &[
    "callgate",
    "callgate_catalog",
    "callgate_console",
    "callgate_decision",
    "callgate_egress",
    "callgate_gateway",
    "callgate_identity",
    "callgate_inspect",
    "callgate_launch",
    "callgate_policy",
    "callgate_store",
    "callgate_vault",
    "callgate_wire",
    "h2",
    "hyper",
    "hyper_rustls",
    "hyper_util",
    "mio",
    "notify",
    "rustls",
    "sqlx",
    "tokio",
    "tower",
];

/// A file that log lines are added to.
#[derive(Debug, Clone)]
pub(super) struct LogFile {
    path: PathBuf,
    file: Arc<ArcSwap<File>>,
}

impl LogFile {
    fn open(path: &Path) -> io::Result<Self> {
        let file = Arc::new(ArcSwap::from_pointee(appended(path)?));
        Ok(Self { path: path.to_owned(), file })
    }

    /// Goes on in the file that has the name now: whoever moved the old one away has all of it. Where there can be none, the
    /// old one goes on.
    pub(super) fn open_anew(&self) {
        match appended(&self.path) {
            Ok(file) => self.file.store(Arc::new(file)),
            Err(error) => {
                let path = self.path.display();
                tracing::error!(%error, "the log file `{path}` cannot be opened anew: lines go where they went");
            }
        }
    }
}

impl<'a> MakeWriter<'a> for LogFile {
    /// Each line is one write, which is added to the end as a whole.
    type Writer = Arc<File>;

    fn make_writer(&'a self) -> Arc<File> {
        self.file.load_full()
    }
}

fn appended(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// Begins to write log lines; gives the file that they go to, if they go to one. Errors: a filter that does not parse, a file
/// that cannot be written.
pub(super) fn begin(
    format: LogFormat,
    file: Option<&Path>,
    surroundings: &Surroundings,
) -> Result<Option<LogFile>, Failure> {
    let filter = filter(surroundings.log.as_deref().unwrap_or_default())?;
    let open =
        |path: &Path| LogFile::open(path).with_context(|| format!("cannot write `{}`", path.display()));
    let file = file.map(open).transpose()?;
    let writer = match file.clone() {
        None => BoxMakeWriter::new(io::stderr),
        Some(file) => BoxMakeWriter::new(file),
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
    begun.map_err(|error| anyhow!("cannot begin to log: {error}"))?;
    Ok(file)
}

/// Which lines are written. What is not named is written from `info` on: whoever asks for more of one part must not miss
/// the warnings of the others.
///
/// Errors: [`Failure::Usage`] for a word that is neither a level nor a name. It could only be a name of something that
/// does not exist, and the gateway would be silent.
fn filter(written: &str) -> Result<Targets, Failure> {
    let wrong = |word: &str| {
        let names = NAMED.join("`, `");
        Failure::Usage(format!(
            "`{word}` in CALLGATE_LOG cannot be read: write `off`, `error`, `warn`, `info`, `debug` or `trace`, or such as \
             `info,callgate_gateway=debug`; what can be named is `{names}`"
        ))
    };
    let is_named = |target: &str| {
        let first = target.split_once("::").map_or(target, |(first, _)| first);
        NAMED.contains(&first)
    };
    let level = |word: &str| word.parse::<LevelFilter>().ok().filter(|_| !word.is_empty());
    let mut targets = Targets::new().with_default(LevelFilter::INFO);
    for word in written.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        targets = match word.split_once('=') {
            Some((target, wanted)) if is_named(target) => {
                targets.with_target(target, level(wanted).ok_or_else(|| wrong(word))?)
            }
            Some(_) => return Err(wrong(word)),
            None => match level(word) {
                Some(all) => targets.with_default(all),
                None if is_named(word) => targets.with_target(word, LevelFilter::TRACE),
                None => return Err(wrong(word)),
            },
        };
    }
    Ok(targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_moved_away_is_gone_on_with_under_its_name() {
        use io::Write as _;
        let folder = tempfile::tempdir().unwrap();
        let (path, aside) = (folder.path().join("log"), folder.path().join("log.1"));
        let log = LogFile::open(&path).unwrap();
        let write = |line: &str| log.make_writer().write_all(line.as_bytes()).unwrap();
        write("one\n");
        std::fs::rename(&path, &aside).unwrap();
        write("two\n");
        log.open_anew();
        write("three\n");
        let read = |path: &Path| std::fs::read_to_string(path).unwrap();
        assert_eq!((read(&aside).as_str(), read(&path).as_str()), ("one\ntwo\n", "three\n"));
    }

    #[test]
    fn a_word_that_is_no_level_and_no_part_of_the_program_is_refused_and_not_taken_for_silence() {
        for written in [
            "inof",
            "info,callgate_gatway=debug",
            "callgate_gateway=debgu",
            "callgate_gateway=",
            "=info",
            "info callgate=debug",
            "[span]=debug",
            "myapp",
        ] {
            let Err(Failure::Usage(why)) = filter(written) else { panic!("`{written}` is taken") };
            assert!(why.contains("`warn`") && why.contains("`callgate_gateway`"), "{why}");
        }
    }

    #[test]
    fn what_is_documented_is_written_and_what_is_not_named_is_written_from_info_on() {
        let writes =
            |written: &str, target: &str, level| filter(written).unwrap().would_enable(target, &level);
        for written in ["", " , ", "info", "INFO", "callgate_gateway=debug", "sqlx=trace"] {
            assert!(writes(written, "callgate::serve::files", Level::WARN), "{written}");
            assert!(!writes(written, "callgate::serve::files", Level::DEBUG), "{written}");
        }
        assert!(writes("info,callgate_gateway=debug", "callgate_gateway::gate", Level::DEBUG));
        assert!(writes("callgate_gateway::listen=trace", "callgate_gateway::listen::http", Level::TRACE));
        assert!(writes("debug", "callgate_store", Level::DEBUG));
        assert!(!writes("warn", "callgate", Level::INFO) && writes("WARN", "callgate", Level::WARN));
        assert!(!writes("off", "callgate", Level::ERROR), "that was said in so many words");
        assert!(writes("off,callgate_store", "callgate_store::open", Level::TRACE));
    }
}
