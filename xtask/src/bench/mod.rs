//! What a call costs: straight to a server, through nginx, and through Callgate with everything on, in turns in one run, so that
//! whatever else the machine does hits all alike. docs/performance.md says how to read it.

mod figures;
mod house;
mod many;
mod measure;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};

use crate::debian;
use crate::environment::say;
use crate::process::{cargo, succeeds};
use figures::{Figures, Leg};
use house::{Front, House, Programs};

/// Connections of the load.
const CONNECTIONS: u32 = 8;
/// Calls a second where latency is measured.
const PACE: u32 = 200;
/// After a start, until the gateway is at rest.
const REST: Duration = Duration::from_secs(5);

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Size {
    rounds: usize,
    /// Calls of one leg in one round, as fast as they are answered.
    calls: u64,
    /// Calls at a pace.
    paced: u64,
    /// Flushes that are timed in one round.
    flushes: u32,
    /// Calls of the two runs under callgrind, whose difference counts.
    counted: (u64, u64),
}

const WHOLE: Size = Size { rounds: 5, calls: 5_000, paced: 1_000, flushes: 200, counted: (1_000, 2_000) };
const QUICK: Size = Size { rounds: 2, calls: 1_000, paced: 200, flushes: 50, counted: (200, 400) };

/// `cargo xtask bench`: exit code 1 with `--check` when a target is missed.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    let known = ["--json", "--check", "--quick", "--many"];
    if let Some(unknown) = arguments.iter().find(|word| !known.contains(&word.as_str())) {
        bail!("`{unknown}` is none of {}", known.join(", "));
    }
    let given = |word: &str| arguments.iter().any(|argument| argument == word);
    let programs = programs()?;
    let size = if given("--quick") { QUICK } else { WHOLE };
    if given("--many") {
        let met = many::run(size.rounds)?;
        return Ok(if given("--check") && !met { ExitCode::FAILURE } else { ExitCode::SUCCESS });
    }
    let figures = measure_all(&programs, size)?;
    if given("--json") {
        say(&figures.json().to_string());
    } else {
        figures.tell();
    }
    let missed = figures.targets().iter().any(|target| !target.met());
    Ok(if given("--check") && missed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Builds what is shipped, and the two ends, as they are shipped; finds or installs the rest.
fn programs() -> Result<Programs> {
    let packages = ["--package", "callgate-cli", "--package", "callgate-bench"];
    let mut build = cargo(&["build", "--quiet", "--profile", "dist", "--locked"]);
    ensure!(succeeds(build.args(packages))?, "the programs do not build");
    let obtain = |program, package| debian::obtain(program, package).map_err(|why| anyhow!(why));
    Ok(Programs { nginx: obtain("nginx", "nginx-light")?, valgrind: obtain("valgrind", "valgrind")? })
}

fn measure_all(programs: &Programs, size: Size) -> Result<Figures> {
    let mut figures = Figures::default();
    let mut house = House::build(programs)?;
    let gateway = house.start_gateway()?;
    let nginx = house.start_nginx()?;
    // at rest, as it is from a few seconds after a start on
    std::thread::sleep(REST);
    figures.idle_memory = measure::memory(gateway.id())?;
    let fronts = [
        (Leg::Direct, Front::Direct, None),
        (Leg::Nginx, Front::Nginx, Some(nginx.id())),
        (Leg::Callgate, Front::Callgate, Some(gateway.id())),
        (Leg::Up, Front::CallgateUp, Some(gateway.id())),
        (Leg::Down, Front::CallgateDown, Some(gateway.id())),
    ];
    // caches and connections are filled before anything counts
    for (_, front, _) in fronts {
        house.load(front, "echo", size.calls / 5, CONNECTIONS, None)?;
    }
    for _ in 0..size.rounds {
        figures.flushes.push(house.flush(size.flushes)?);
        for (leg, front, process) in fronts {
            let before = process.map(measure::processor_seconds).transpose()?.unwrap_or_default();
            let full = house.load(front, "echo", size.calls, CONNECTIONS, None)?;
            let after = process.map(measure::processor_seconds).transpose()?.unwrap_or_default();
            figures.full.entry(leg).or_default().push(full.with_processor(after - before));
        }
        for (leg, front, _) in fronts {
            let paced = house.load(front, "echo", size.paced, CONNECTIONS, Some(PACE))?;
            figures.paced.entry(leg).or_default().push(paced);
        }
        for (kind, of) in [("list", &mut figures.list), ("large", &mut figures.large)] {
            let before = measure::processor_seconds(gateway.id())?;
            let run = house.load(Front::Callgate, kind, size.calls / 5, CONNECTIONS, None)?;
            of.push(run.with_processor(measure::processor_seconds(gateway.id())? - before));
        }
    }
    figures.busy_memory = measure::memory(gateway.id())?;
    gateway.stop().context("the gateway does not stop")?;
    drop(nginx);
    for _ in 0..size.rounds {
        figures.first_answer_ms.push(house.time_to_first_answer()?);
    }
    for (leg, front) in [(Leg::Nginx, Front::Nginx), (Leg::Callgate, Front::Callgate)] {
        let few = house.instructions(front, size.counted.0)?;
        let many = house.instructions(front, size.counted.1)?;
        let calls = size.counted.1 - size.counted.0;
        figures.instructions.insert(leg, many.saturating_sub(few) / calls);
    }
    Ok(figures)
}
