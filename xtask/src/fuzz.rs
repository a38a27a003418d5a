//! `cargo xtask fuzz`: the targets of `fuzz/`, one after the other, with cargo-fuzz on a nightly toolchain.
//!
//! What the fuzzer finds on its way is kept beside the build. Only `--keep` adds to the committed corpus, and only files that reach
//! code which nothing in it reaches.

use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};

use crate::environment::{say, target};
use crate::files::root;
use crate::process::succeeds;

/// The version whose options are used here.
const CARGO_FUZZ: &str = "0.13.2";
const SECONDS: u64 = 600;

/// One target: its body is `fuzz/bodies/NAME.rs`.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    /// The feature of `fuzz/Cargo.toml` with what it builds on.
    pub(crate) feature: &'static str,
    /// A file of `fuzz/dictionaries`.
    pub(crate) dictionary: Option<&'static str>,
    /// Longest input; a slow body needs a short one.
    pub(crate) longest: u32,
}

pub(crate) const TARGETS: &[Target] = &[
    of("scan", "wire", Some("json"), 4096),
    of("splice", "wire", Some("json"), 2048),
    of("sse", "wire", Some("sse"), 2048),
    of("headers", "wire", Some("headers"), 2048),
    of("template", "wire", Some("uri"), 1024),
    of("bridge", "wire", Some("json"), 2048),
    of("sdk", "sdk", Some("json"), 2048),
    of("canonical", "catalog", Some("json"), 2048),
    of("listing", "catalog", Some("json"), 1024),
    of("observed", "catalog", Some("json"), 512),
    of("tokens", "identity", Some("tokens"), 1024),
    of("jwt", "identity", Some("jwt"), 1024),
    of("rules", "policy", Some("cedar"), 1024),
    of("ledger", "ledger", None, 2048),
    of("sealed", "vault", None, 512),
    of("mask", "inspect", Some("mask"), 512),
    of("endpoint", "endpoint", Some("address"), 512),
    of("settings", "settings", Some("toml"), 1024),
    of("jsonc", "jsonc", Some("jsonc"), 512),
];

const fn of(
    name: &'static str,
    feature: &'static str,
    dictionary: Option<&'static str>,
    longest: u32,
) -> Target {
    Target { name, feature, dictionary, longest }
}

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    /// Empty: all.
    names: Vec<String>,
    seconds: u64,
    keep: bool,
}

/// Runs the targets that are named, or all of them. The first that finds something ends the run.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    let asked = read(arguments)?;
    equipped()?;
    // the versions that are fuzzed are those that ship
    std::fs::copy(root().join("Cargo.lock"), root().join("fuzz/Cargo.lock")).context("Cargo.lock")?;
    for target in TARGETS.iter().filter(|t| asked.names.is_empty() || asked.names.iter().any(|n| n == t.name))
    {
        say(&format!("== {}", target.name));
        let mut command = command(target, &asked)?;
        if !succeeds(&mut command)? {
            let found = beside("found", target);
            say(&format!(
                "`{}` does not hold: see {}. Fix it, and keep the input as fuzz/regressions/{}/WHAT-IT-SHOWS",
                target.name,
                found.display(),
                target.name
            ));
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn read(arguments: &[String]) -> Result<Asked> {
    let mut asked = Asked { names: Vec::new(), seconds: SECONDS, keep: false };
    let mut rest = arguments.iter();
    while let Some(word) = rest.next() {
        match word.as_str() {
            "--seconds" => {
                let given = rest.next().and_then(|text| text.parse().ok()).filter(|seconds| *seconds > 0);
                asked.seconds = given.context("`--seconds` takes a number of at least 1")?;
            }
            "--keep" => asked.keep = true,
            name if TARGETS.iter().any(|target| target.name == name) => asked.names.push(name.to_owned()),
            other => {
                let known: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
                bail!(
                    "`{other}` is no target; there are {}, and the options --seconds N and --keep",
                    known.join(", ")
                );
            }
        }
    }
    Ok(asked)
}

/// Says what is missing on this machine and how to get it.
fn equipped() -> Result<()> {
    let answers = |arguments: &[&str]| {
        let asked =
            Command::new("cargo").args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
        asked.is_ok_and(|status| status.success())
    };
    if !answers(&["+nightly", "--version"]) {
        bail!("a nightly toolchain is needed: rustup toolchain install nightly --profile minimal");
    }
    if !answers(&["+nightly", "fuzz", "--version"]) {
        bail!("cargo-fuzz is needed: cargo install cargo-fuzz --version {CARGO_FUZZ} --locked");
    }
    Ok(())
}

fn command(target: &Target, asked: &Asked) -> Result<Command> {
    let fuzz = root().join("fuzz");
    let (kept, work, found) =
        (fuzz.join("corpus").join(target.name), beside("work", target), beside("found", target));
    for folder in [&kept, &work, &found] {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let mut command = Command::new("cargo");
    command.current_dir(root()).args(["+nightly", "fuzz", "run", target.name]);
    // safe Rust: a sanitizer would halve the speed and find nothing
    command.args(["--sanitizer", "none", "--features", target.feature, "--target-dir"]).arg(builds());
    if asked.keep {
        command.args([&kept, &work]).args(["--", "-set_cover_merge=1", "-use_counters=0"]);
    } else {
        command.args([&work, &kept]);
        let regressions = fuzz.join("regressions").join(target.name);
        if regressions.is_dir() {
            command.arg(regressions);
        }
        command.arg("--").arg(format!("-max_total_time={}", asked.seconds));
    }
    command.args(["-rss_limit_mb=2048", "-timeout=10"]).arg(format!("-max_len={}", target.longest));
    command.arg(format!("-artifact_prefix={}/", found.display()));
    if let Some(dictionary) = target.dictionary {
        command.arg(format!("-dict={}", fuzz.join(format!("dictionaries/{dictionary}.dict")).display()));
    }
    Ok(command)
}

/// Instrumented builds are nobody else's.
fn builds() -> PathBuf {
    target().join("fuzz")
}

fn beside(what: &str, target: &Target) -> PathBuf {
    builds().join(what).join(target.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(words: &[&str]) -> Result<Asked> {
        read(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_target_that_is_not_there_is_named_with_those_that_are() {
        assert!(asked(&["scam"]).unwrap_err().to_string().contains("scan, splice"));
        for bad in [&["--seconds"][..], &["--seconds", "0"], &["--seconds", "scan"], &["--minutes", "1"]] {
            assert!(asked(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn ten_minutes_of_everything_unless_said_otherwise() {
        assert_eq!(asked(&[]).unwrap(), Asked { names: vec![], seconds: 600, keep: false });
        let some = asked(&["scan", "--seconds", "5", "sse"]).unwrap();
        assert_eq!(some, Asked { names: vec!["scan".into(), "sse".into()], seconds: 5, keep: false });
        assert!(asked(&["--keep", "scan"]).unwrap().keep);
    }
}
