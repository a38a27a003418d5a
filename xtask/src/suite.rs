//! `check` before a commit, `test` for everything, `hooks` once per clone.

use std::process::{Command, ExitCode};

use anyhow::{Result, bail};

use crate::environment::{self, on_path, say};
use crate::externals::Externals;
use crate::files::{Tree, root};
use crate::process::{cargo, succeeds, watched};
use crate::tally::{Tally, count};
use crate::{codegen, conformance, console, debian, flows, matrix, postgres, tidy};

/// Crates whose tests need no disk, no network and no other process.
const PURE: &[&str] = &["callgate-decision", "callgate-wire", "callgate-catalog", "callgate-policy", "xtask"];

/// Formatting, tidiness, lints and the pure crates' tests.
pub(crate) fn check(_: &[String]) -> Result<ExitCode> {
    let mut tally = Tally::default();
    still(&mut tally)?;
    let mut command = cargo(&["test", "--quiet"]);
    for name in PURE {
        command.args(["--package", name]);
    }
    let (succeeded, said) = watched(&mut command)?;
    tally.suite("tests of the pure crates", succeeded, &count(&said));
    Ok(tally.finish())
}

/// Everything. Says what it skipped and why; in CI a skip is a failure.
pub(crate) fn test(arguments: &[String]) -> Result<ExitCode> {
    if let Some(unknown) = arguments.first() {
        bail!("`test` takes no argument, and was given `{unknown}`");
    }
    let mut tally = Tally::default();
    still(&mut tally)?;
    let path = path_with_database(&mut tally);
    let externals = match Externals::obtain() {
        Ok(externals) => Some(externals),
        Err(why) => {
            tally.skip("official clients, servers and the conformance suite", &format!("{why:#}"));
            None
        }
    };
    let strace = strace();
    if let Err(why) = &strace {
        tally.skip("what the system calls of the gateway show", why);
    }
    let mounts = may_mount();
    if !mounts {
        tally.skip("a full disk", "no disk can be mounted here, not even in a namespace of its own");
    }
    let lacking = Lacking { strace: strace.is_err(), mounts: !mounts };
    tests(&mut tally, path.as_deref(), externals.as_ref(), &lacking)?;
    if let Some(externals) = &externals {
        conformance::all(&mut tally, externals)?;
        matrix::all(&mut tally, externals)?;
        flows::all(&mut tally, externals)?;
        console::all(&mut tally, externals)?;
    }
    Ok(tally.finish())
}

/// What can be judged without running anything of ours.
fn still(tally: &mut Tally) -> Result<()> {
    step("formatting");
    tally.check("cargo fmt", succeeds(&mut cargo(&["fmt", "--all", "--check"]))?);
    step("tidy");
    let problems = tidy::problems()?;
    problems.iter().for_each(|problem| say(problem));
    tally.check("cargo xtask tidy", problems.is_empty());
    step("lints");
    let lints = ["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"];
    tally.check("clippy", succeeds(&mut cargo(&lints))?);
    Ok(())
}

/// PATH with the database's programs in front, where there are any.
fn path_with_database(tally: &mut Tally) -> Option<std::ffi::OsString> {
    match postgres::obtain() {
        Ok(folder) => {
            let path = environment::variable("PATH").unwrap_or_default();
            std::env::join_paths(std::iter::once(folder).chain(std::env::split_paths(&path))).ok()
        }
        Err(why) => {
            tally.skip("the store's behaviour suite on PostgreSQL", &why);
            None
        }
    }
}

/// Installed where that is possible; else why not.
fn strace() -> Result<(), String> {
    if on_path("strace") { Ok(()) } else { debian::install("strace", "strace") }
}

/// What tests would need and this machine has not.
struct Lacking {
    strace: bool,
    mounts: bool,
}

/// Whether a test can have a disk of its own, by itself or in a namespace of users.
fn may_mount() -> bool {
    [&["--mount"][..], &["--user", "--map-root-user", "--mount"]].into_iter().any(|how| {
        let mut probe = Command::new("unshare");
        probe.args(how).args(["mount", "-t", "tmpfs", "callgate-test", "/mnt"]);
        succeeds(&mut probe).unwrap_or(false)
    })
}

fn tests(
    tally: &mut Tally,
    path: Option<&std::ffi::OsStr>,
    externals: Option<&Externals>,
    lacking: &Lacking,
) -> Result<()> {
    let with_surroundings = |mut command: Command| {
        if let Some(path) = path {
            command.env("PATH", path);
        }
        if lacking.strace {
            command.env("CALLGATE_TEST_SKIP_STRACE", "1");
        }
        if lacking.mounts {
            command.env("CALLGATE_TEST_SKIP_MOUNT", "1");
        }
        if let Some(externals) = externals {
            command
                .env("CALLGATE_EXTERNALS_NODE", &externals.node)
                .env("CALLGATE_EXTERNALS_PYTHON", &externals.python);
        }
        command
    };
    // Tests start our programs by path: build them before, in the profile the tests use.
    step("programs");
    tally.check("cargo build", succeeds(&mut cargo(&["build", "--quiet", "--workspace", "--bins"]))?);
    let stale = codegen::stale_built(&Tree::load()?)?;
    stale.iter().for_each(|problem| say(problem));
    tally.check("cargo xtask codegen --check", stale.is_empty());
    step("tests");
    let suite: &[&str] = if on_path("cargo-nextest") {
        &[
            "nextest",
            "run",
            "--workspace",
            "--no-fail-fast",
            "--status-level=fail",
            "--hide-progress-bar",
            "--no-tests=pass",
        ]
    } else {
        // some tests count the descriptors and children of their process: one at a time, as nextest has it
        &["test", "--workspace", "--no-fail-fast", "--lib", "--bins", "--tests", "--", "--test-threads=1"]
    };
    let (succeeded, said) = watched(&mut with_surroundings(cargo(suite)))?;
    let mut counted = count(&said);
    counted.skipped = counted.skipped.saturating_sub(helpers(&Tree::load()?));
    tally.suite("tests", succeeded, &counted);
    step("examples in the documentation");
    let (succeeded, said) =
        watched(&mut with_surroundings(cargo(&["test", "--workspace", "--doc", "--no-fail-fast"])))?;
    tally.suite("documentation tests", succeeded, &count(&said));
    Ok(())
}

/// Tests that are only the child process of another test. They are marked as ignored and are not skipped.
fn helpers(tree: &Tree) -> u64 {
    const REASONS: &[&str] = &["started by ", "run by ", "only as the child of "];
    let marks = tree.ending(".rs").flat_map(|(_, text)| text.split("#[ignore = \"").skip(1));
    marks.fold(0, |sum, reason| sum + u64::from(REASONS.iter().any(|start| reason.starts_with(start))))
}

/// Uses the committed hooks in this clone.
pub(crate) fn hooks(_: &[String]) -> Result<ExitCode> {
    let mut git = Command::new("git");
    git.args(["config", "core.hooksPath", ".githooks"]).current_dir(root());
    if !succeeds(&mut git)? {
        bail!("git would not set core.hooksPath");
    }
    say("commits now run .githooks/pre-commit (fmt and tidy)");
    Ok(ExitCode::SUCCESS)
}

fn step(name: &str) {
    say(&format!("== {name}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_children_of_other_tests_are_helpers() {
        let mark = |reason: &str| format!("#[test]\n#[ignore = \"{reason}\"]\nfn x() {{}}\n");
        let text = mark("run by `y`") + &mark("too slow") + &mark("only as the child of z");
        assert_eq!(helpers(&Tree::of(&[("crates/a/src/b.rs", &text)])), 2);
    }
}
