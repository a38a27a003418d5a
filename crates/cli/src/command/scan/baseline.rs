//! What is known: findings that somebody has looked at, kept in a file beside the code.

use super::{Report, notice::Notice};
use crate::{failure::Failure, rewrite};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, io::Read as _, path::Path};

const VERSION: u32 = 1;
/// Largest file that is read.
const BYTES_MAX: u64 = 16 << 20;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    findings: Vec<Known>,
}

/// A finding; all but its fingerprint is for people who read the file.
#[derive(Serialize, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(deny_unknown_fields)]
struct Known {
    #[serde(rename = "where")]
    place: String,
    detector: String,
    severity: String,
    fingerprint: String,
}

/// Says of each finding whether the file knows it.
pub(super) fn apply(report: &mut Report, path: &Path) -> Result<(), Failure> {
    let known: BTreeSet<String> = read(path)?.findings.into_iter().map(|one| one.fingerprint).collect();
    report.each(|notice| notice.mark(known.contains(&notice.fingerprint)));
    Ok(())
}

fn read(path: &Path) -> Result<File, Failure> {
    let failed = |code: &'static str, why: &dyn std::fmt::Display| Failure::Unreadable {
        code,
        message: format!("the baseline `{}` cannot be read: {why}", path.display()),
    };
    let mut text = String::new();
    let open = std::fs::File::open(path).map_err(|error| failed("cannot-open", &error))?;
    let got =
        open.take(BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| failed("cannot-open", &error))?;
    if got as u64 > BYTES_MAX {
        return Err(failed("too-large", &"it is larger than 16 MiB"));
    }
    // editors of another system put one in front
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let file: File = serde_json::from_str(text).map_err(|error| match error.is_data() {
        true => failed("wrong-shape", &error),
        false => failed("not-json", &error),
    })?;
    if file.version != VERSION {
        return Err(failed("wrong-shape", &format!("it is of version {}, known is {VERSION}", file.version)));
    }
    Ok(file)
}

/// Everything that is found now is known from now on. How many there are. What is there and is no baseline stays: it is somebody's
/// other file, and maybe the one that was looked at.
pub(super) fn write(report: &mut Report, path: &Path) -> Result<usize, Failure> {
    match std::fs::symlink_metadata(path) {
        Ok(_) => drop(read(path)?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    let of = |notice: &Notice| Known {
        place: notice.whole_place(),
        detector: notice.detector.to_owned(),
        severity: notice.severity.as_str().to_owned(),
        fingerprint: notice.fingerprint.clone(),
    };
    let mut findings: Vec<Known> = report.notices().map(of).collect();
    findings.sort();
    findings.dedup();
    let count = findings.len();
    let mut text = serde_json::to_string_pretty(&File { version: VERSION, findings })?;
    text.push('\n');
    rewrite::replace(path, text.as_bytes(), 0o644)?;
    report.each(|notice| notice.mark(true));
    Ok(count)
}
