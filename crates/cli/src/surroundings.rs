//! The environment this process was started in, read once.

use crate::keys::Handed;
use std::{
    collections::BTreeMap,
    io::IsTerminal as _,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Everything the program takes from its environment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Surroundings {
    /// `$HOME`.
    pub(crate) home: Option<PathBuf>,
    /// `$XDG_CONFIG_HOME`, else `~/.config`. `None` without a home.
    pub(crate) config_home: Option<PathBuf>,
    /// `$XDG_STATE_HOME`, else `~/.local/state`. `None` without a home.
    pub(crate) state_home: Option<PathBuf>,
    /// What children may get ([`launch::PASSABLE_VARIABLES`]).
    pub(crate) passable: BTreeMap<String, String>,
    /// Whether standard output may be coloured: a terminal, and no `NO_COLOR` (<https://no-color.org>).
    pub(crate) colour: bool,
    /// The same for standard error.
    pub(crate) colour_err: bool,
    /// Columns of standard output, where that is a terminal which says so.
    pub(crate) width: Option<usize>,
    /// `CALLGATE_LOG`: which log lines are written, such as `info,callgate_gateway=debug`.
    pub(crate) log: Option<String>,
    /// Who sits here: recorded with what they decide.
    pub(crate) user: String,
    /// `CREDENTIALS_DIRECTORY`, as it is set: where systemd puts the credentials of a service.
    pub(crate) credentials: Option<PathBuf>,
    /// What was handed over for finding keys.
    pub(crate) handed: Arc<Handed>,
}

impl Surroundings {
    /// The value of one variable that somebody named on the command line, to be sealed.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub(crate) fn named(name: &str) -> Option<Vec<u8>> {
        std::env::var_os(name).map(std::os::unix::ffi::OsStringExt::into_vec)
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub(crate) fn read() -> Self {
        let get = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        // XDG Base Directory Specification: a path that is not absolute is ignored
        let folder = |name: &str| get(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let home = folder("HOME");
        let under = |name: &str, otherwise: &str| {
            folder(name).or_else(|| home.as_deref().map(|home: &Path| home.join(otherwise)))
        };
        let plain = get("NO_COLOR").is_some() || get("TERM").is_some_and(|term| term == "dumb");
        Self {
            config_home: under("XDG_CONFIG_HOME", ".config"),
            home: home.clone(),
            state_home: under("XDG_STATE_HOME", ".local/state"),
            passable: launch::PASSABLE_VARIABLES
                .iter()
                .filter_map(|name| get(name).map(|value| ((*name).to_owned(), value)))
                .collect(),
            colour: !plain && std::io::stdout().is_terminal(),
            colour_err: !plain && std::io::stderr().is_terminal(),
            width: rustix::termios::tcgetwinsize(std::io::stdout())
                .ok()
                .map(|size| usize::from(size.ws_col))
                .filter(|columns| *columns > 0),
            log: get("CALLGATE_LOG"),
            credentials: get("CREDENTIALS_DIRECTORY").map(PathBuf::from),
            handed: Arc::default(),
            user: get("USER").or_else(|| get("LOGNAME")).unwrap_or_else(|| "somebody".to_owned()),
        }
    }
}
