//! `cargo xtask console`: a person in a real browser at the console, and the pictures of `docs/console.md`.
//!
//! The test is one of `crates/console`, which is left out of an ordinary run because it needs the outside programs; what the person does is
//! `tests/clients/console.mjs`.

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
    test.arg("browser::a_person_signs_in_sees_a_call_come_decides_it_and_finds_it_in_the_history")
        .env("CALLGATE_CHROMIUM", chromium)
        .env("CALLGATE_EXTERNALS_NODE", &externals.node);
    if let Some(pictures) = pictures {
        test.env("CALLGATE_PICTURES", pictures);
    }
    let (succeeded, said) = watched(&mut test)?;
    let counted = count(&said);
    tally.suite("the console in a browser", succeeded && counted.passed == 1, &counted);
    Ok(())
}
