//! `callgate.toml`: whatever is written is a meaning or a list of problems, each of them with its place, and each can
//! be shown; what is in force, written down, means the same again.
//!
//! The settings are private to the command line: this file is included where `crate::settings` is that module.

use crate::settings::{duration, effective, read};
use miette::{Diagnostic as _, GraphicalReportHandler, GraphicalTheme};
use std::path::Path;

const STATE: &str = "/var/lib/callgate";

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    assert!(duration(text).is_none_or(|time| !time.is_zero()));
    match read(Path::new("/etc/callgate/callgate.toml"), text, Path::new(STATE)) {
        Ok(meant) => {
            let once = toml::to_string(&effective(&meant)).unwrap();
            let again = read(Path::new("/elsewhere/callgate.toml"), &once, Path::new("/elsewhere"));
            let again = again.unwrap_or_else(|problems| panic!("{problems:?}\n{once}"));
            assert_eq!(toml::to_string(&effective(&again)).unwrap(), once);
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            for problem in &problems {
                assert!(problem.at.offset() <= text.len(), "{problem:?}");
                assert!(problem.line >= 1 && problem.line <= text.matches('\n').count() + 1, "{problem:?}");
                assert_eq!(problem.source_code.inner().len(), text.len(), "labels stay in their places");
                assert!(!problem.message.is_empty() && problem.code().is_none());
                let mut shown = String::new();
                let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor());
                handler.render_report(&mut shown, problem).unwrap();
            }
        }
    }
}
