//! What to start, with which bounds.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use zeroize::Zeroizing;

/// Variables of the gateway's own environment that a caller may hand on to a server without the
/// operator naming them. This crate never reads the environment itself; a proxy, a token or an
/// `LD_PRELOAD` can therefore not slip through.
pub const PASSABLE_VARIABLES: [&str; 9] =
    ["PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "USER", "LOGNAME", "TZ", "SSL_CERT_FILE"];

/// The value of one environment variable.
pub enum EnvValue {
    Plain(String),
    /// Never printed, wiped when dropped.
    Secret(Zeroizing<Vec<u8>>),
}

impl EnvValue {
    /// A value that is wiped here and never printed. Linux lets every process of the same user
    /// read it in `/proc`, as it does with any environment.
    pub fn secret(bytes: &[u8]) -> Self {
        Self::Secret(Zeroizing::new(bytes.to_vec()))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Plain(text) => text.as_bytes(),
            Self::Secret(bytes) => bytes,
        }
    }
}

impl fmt::Debug for EnvValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(text) => fmt::Debug::fmt(text, f),
            Self::Secret(_) => f.write_str("Secret(..)"),
        }
    }
}

impl From<&str> for EnvValue {
    fn from(text: &str) -> Self {
        Self::Plain(text.to_owned())
    }
}

impl From<String> for EnvValue {
    fn from(text: String) -> Self {
        Self::Plain(text)
    }
}

/// What is done to a stream of a server's before it is kept: each piece goes in, what may be kept comes out.
/// Nothing goes in at the end.
pub type Filter = Box<dyn FnMut(Option<&[u8]>) -> Vec<u8> + Send>;

/// A server to start. There is no shell: `args` reach the program as they are.
pub struct Command {
    /// A path, or a name that is looked up in the absolute directories of the `PATH` in `env`.
    pub program: OsString,
    pub args: Vec<OsString>,
    /// The whole environment of the server.
    pub env: BTreeMap<String, EnvValue>,
    /// Absolute, or relative to the gateway's own; a relative `program` is relative to it. `None` is
    /// the gateway's own.
    pub cwd: Option<PathBuf>,
    /// For stderr. Without one it is kept as it is.
    pub stderr: Option<Filter>,
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("program", &self.program)
            .field("args", &self.args)
            .field("env", &self.env)
            .field("cwd", &self.cwd)
            .finish_non_exhaustive()
    }
}

impl Command {
    pub fn new(program: impl Into<OsString>) -> Self {
        Self { program: program.into(), args: Vec::new(), env: BTreeMap::new(), cwd: None, stderr: None }
    }

    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<EnvValue>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }
}

/// What a server may use. Core dumps are always off, because its memory holds secrets.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The longest line of stdout that is read, its newline not counted.
    pub line_bytes_max: usize,
    /// How much of the end of stderr is kept.
    pub stderr_bytes_kept: usize,
    /// From the start of the supervisor until the program runs.
    pub start_max: Duration,
    /// `RLIMIT_DATA`. Not the address space: a bound on that stops Node.
    pub memory_bytes_max: Option<u64>,
    /// `RLIMIT_NOFILE`.
    pub open_files_max: Option<u64>,
    /// What happens when the gateway goes away, or the server leaves descendants behind.
    pub orphaned: Grace,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            line_bytes_max: 16 << 20,
            stderr_bytes_kept: 16 << 10,
            start_max: Duration::from_secs(10),
            memory_bytes_max: None,
            open_files_max: None,
            orphaned: Grace { after_close: Duration::from_secs(1), after_term: Duration::from_secs(1) },
        }
    }
}

/// How long a server may take to end by itself (MCP 2025-11-25, lifecycle, shutdown of stdio).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grace {
    /// From the closing of stdin until SIGTERM.
    pub after_close: Duration,
    /// From SIGTERM until SIGKILL.
    pub after_term: Duration,
}

impl Default for Grace {
    fn default() -> Self {
        Self { after_close: Duration::from_secs(2), after_term: Duration::from_secs(3) }
    }
}

/// How to start a supervisor: a program that runs [`supervise_main`](crate::supervise_main) when
/// it gets these arguments. One more, the number of a descriptor, is added at the end.
#[derive(Debug, Clone)]
pub struct Supervisor {
    pub program: PathBuf,
    pub args: Vec<OsString>,
}

impl Supervisor {
    /// This very executable with the argument [`SUPERVISE`](crate::SUPERVISE), even when its
    /// file was replaced by a newer one meanwhile.
    pub fn this_executable() -> Self {
        Self { program: PathBuf::from("/proc/self/exe"), args: vec![crate::SUPERVISE.into()] }
    }
}
