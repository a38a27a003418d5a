//! `cargo xtask console`: a person in a real browser at the console, and the pictures of `docs/console.md`.
//!
//! The tests are one of `crates/console` and one of `crates/cli`, left out of an ordinary run because they need the outside programs. What people
//! do is `tests/clients/console.mjs` and, with an agent of each era and the gateway itself, `tests/clients/scene.mjs`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::debian;
use crate::environment::say;
use crate::externals::Externals;
use crate::files::root;
use crate::process::{cargo, watched};
use crate::tally::{Tally, count};

const PICTURES: &str = "docs/console";

const TESTS: &[&str] = &[
    "browser::a_person_signs_in_sees_a_call_come_decides_it_and_finds_it_in_the_history",
    "scene::an_agent_of_each_era_asks_for_a_refund_and_finance_lets_that_very_call_go_on",
];

/// Walks through the console and takes the pictures.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    if let Some(unknown) = arguments.first() {
        bail!("`console` takes no argument, and was given `{unknown}`");
    }
    let mut tally = Tally::default();
    let pictures = root().join(PICTURES);
    std::fs::create_dir_all(&pictures)?;
    walk(&mut tally, &Externals::obtain()?, Some(&pictures))?;
    say(&format!("took the pictures in {PICTURES}"));
    Ok(tally.finish())
}

/// The walk, counted into a bigger run, without pictures.
pub(crate) fn all(tally: &mut Tally, externals: &Externals) -> Result<()> {
    say("== the console in a browser");
    walk(tally, externals, None)
}

fn walk(tally: &mut Tally, externals: &Externals, pictures: Option<&Path>) -> Result<()> {
    let chromium = match debian::obtain("chromium", "chromium") {
        Ok(chromium) => chromium,
        Err(why) => {
            tally.skip("the console in a browser", &why);
            return Ok(());
        }
    };
    let mut test = cargo(&["test", "--workspace", "--test", "it", "--", "--ignored", "--exact"]);
    test.args(TESTS)
        .env("CALLGATE_CHROMIUM", chromium)
        .env("CALLGATE_EXTERNALS_NODE", &externals.node)
        .env("CALLGATE_EXTERNALS_PYTHON", &externals.python);
    if let Some(pictures) = pictures {
        test.env("CALLGATE_PICTURES", pictures);
    }
    let (succeeded, said) = watched(&mut test)?;
    let counted = count(&said);
    tally.suite("the console in a browser", succeeded && counted.passed == TESTS.len() as u64, &counted);
    Ok(())
}
