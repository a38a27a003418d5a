//! Why newer files are not put in force, in sentences.

use crate::failure::Failure;
use gateway::BuildError;

/// Why newer files are not put in force.
pub(super) struct Misfit {
    pub(super) problems: Vec<String>,
    /// Something could not be read or asked, and may be the next time, though no file changes.
    pub(super) passing: bool,
}

impl Misfit {
    /// What the files say cannot be.
    pub(super) fn written(problems: Vec<String>) -> Self {
        Self { problems, passing: false }
    }

    pub(super) fn unreadable(why: impl std::fmt::Display) -> Self {
        Self { problems: vec![format!("{why:#}")], passing: true }
    }

    /// A file that could not be read.
    pub(super) fn unread(why: &anyhow::Error) -> Self {
        Self { problems: vec![format!("{why:#}")], passing: may_pass(why) }
    }
}

/// Whether a file that could not be read may be read the next time, though nobody changes it.
pub(super) fn may_pass(why: &anyhow::Error) -> bool {
    use std::io::ErrorKind::{FileTooLarge, InvalidData};
    let kind = why.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    // too large, or not UTF-8
    !matches!(kind, Some(FileTooLarge | InvalidData))
}

pub(crate) fn sentences(failure: &Failure) -> Vec<String> {
    match failure {
        Failure::Settings(problems) => {
            let line = |problem: &crate::settings::Located| match &problem.help {
                Some(help) => format!("line {}: {problem} ({help})", problem.line),
                None => format!("line {}: {problem}", problem.line),
            };
            problems.iter().map(line).collect()
        }
        Failure::Policies(problems) => problems.iter().map(sentence).collect(),
        Failure::Fault(error) => vec![format!("{error:#}")],
        Failure::Usage(text) => vec![text.clone()],
        Failure::Unreadable { code, message } => vec![format!("{message} ({code})")],
    }
}

pub(super) fn unbuilt(error: BuildError) -> Misfit {
    match error {
        BuildError::Policies(problems) => Misfit::written(problems.iter().map(sentence).collect()),
        error @ BuildError::Store(_) => Misfit::unreadable(error),
    }
}

fn sentence(problem: &policy::Problem) -> String {
    let help = problem.help.as_deref().map(|help| format!(" ({help})")).unwrap_or_default();
    match place_of(problem) {
        Some(place) => format!("{place}: {problem}{help}"),
        None => format!("{problem}{help}"),
    }
}

/// Where a problem is, as editors and people write it.
pub(crate) fn place_of(problem: &policy::Problem) -> Option<String> {
    problem.place().map(|(path, line, column)| format!("{path}:{line}:{column}"))
}
