//! How a command ends: with an answer or with a reason why there is none.

use crate::settings::Located;
use std::process::ExitCode;

/// What a command answered. The difference is the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Yes,
    /// Everything worked, and the answer is no.
    No,
    /// Everything worked, and something was found that must not go on: what continuous integration stops at. Exit code 1.
    Flagged,
    /// Everything worked, and the answer hangs on what was not said.
    Depends,
}

impl From<bool> for Verdict {
    fn from(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something does not work. Exit code 1.
    Fault(anyhow::Error),
    /// The command was not asked rightly: its words are wrong, whatever there is. Exit code 2.
    Usage(String),
    /// What was to be looked at cannot be read. Exit code 2.
    Unreadable { code: &'static str, message: String },
    /// The configuration cannot be used. Exit code 1.
    Settings(Vec<Located>),
    /// The policies cannot be used. Exit code 1.
    Policies(Vec<policy::Problem>),
}

impl Failure {
    /// What was asked for rightly is not there, or is not done as things stand. Exit code 1.
    pub(crate) fn refused(message: String) -> Self {
        Self::Fault(anyhow::Error::msg(message))
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Fault(error.into())
    }
}

/// What every command returns.
pub(crate) type Outcome = Result<Verdict, Failure>;

/// The exit codes: 0 yes, 1 fault, 2 usage, 3 the answer is no, 4 it depends.
pub(crate) fn exit_code(outcome: &Outcome) -> ExitCode {
    match outcome {
        Ok(Verdict::Yes) => ExitCode::SUCCESS,
        Ok(Verdict::No) => ExitCode::from(3),
        Ok(Verdict::Flagged) => ExitCode::FAILURE,
        Ok(Verdict::Depends) => ExitCode::from(4),
        Err(Failure::Usage(_) | Failure::Unreadable { .. }) => ExitCode::from(2),
        Err(Failure::Fault(_) | Failure::Settings(_) | Failure::Policies(_)) => ExitCode::FAILURE,
    }
}
