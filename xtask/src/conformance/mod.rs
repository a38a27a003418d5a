//! `cargo xtask conformance`: the official server suite, against our reference servers directly, through the gateway, and through the
//! gateway across the eras: the suite of each era over a server that speaks only the other.
//!
//! What must pass is in `tests/conformance/expected.toml`. It is a ratchet: a scenario that fails and is not listed there is a failure,
//! and so is a listed one that passes. Across the eras some checks cannot pass, since the other era has no way to say it; each is listed
//! with its reason, and one that passes must leave the list.

mod expected;
mod forward;
pub(crate) mod leg;
mod results;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::environment::say;
use crate::externals::Externals;
use crate::gateway::programs;
use crate::tally::Tally;
use expected::Expected;
use leg::Leg;

/// The revisions that are required, in the order they are run.
const REVISIONS: &[&str] = &["2025-11-25", "2026-07-28"];

/// Runs what the arguments choose: all revisions, through the gateway, unless they say otherwise.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    let mut revisions = REVISIONS;
    let (mut direct, mut across) = (false, false);
    let mut rest = arguments.iter().map(String::as_str);
    while let Some(word) = rest.next() {
        match word {
            "--direct" => direct = true,
            "--across" => across = true,
            "--requirements" => {
                let wanted = rest.next();
                let place = REVISIONS.iter().position(|known| Some(*known) == wanted);
                let Some(chosen) = place.and_then(|place| REVISIONS.get(place..=place)) else {
                    bail!("`--requirements` takes one of {}", REVISIONS.join(", "))
                };
                revisions = chosen;
            }
            other => bail!(
                "`conformance` does not know `{other}`; it takes `--requirements REVISION`, `--direct` and `--across`"
            ),
        }
    }
    let mut tally = Tally::default();
    programs(direct)?;
    let chosen = |leg: &Leg| leg.direct == direct && (leg.across.is_some() || !across);
    let legs: Vec<Leg> = Leg::ALL.iter().copied().filter(chosen).collect();
    legs_into(&mut tally, &Externals::obtain()?, &legs, revisions)?;
    Ok(tally.finish())
}

/// Every leg and revision, counted into a bigger run.
pub(crate) fn all(tally: &mut Tally, externals: &Externals) -> Result<()> {
    legs_into(tally, externals, Leg::ALL, REVISIONS)
}

fn legs_into(tally: &mut Tally, externals: &Externals, legs: &[Leg], revisions: &[&str]) -> Result<()> {
    let expected = Expected::load()?;
    for leg in legs {
        for revision in revisions.iter().filter(|revision| leg.speaks(revision)) {
            let what = format!("conformance {revision} {}", leg.name());
            say(&format!("== {what}"));
            match leg.run(externals, revision) {
                Ok(results) => expected.judge(tally, leg, revision, &results),
                Err(fault) => {
                    say(&format!("{fault:#}"));
                    tally.check(&what, false);
                }
            }
        }
    }
    Ok(())
}
