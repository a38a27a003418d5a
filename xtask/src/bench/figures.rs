//! What was measured, what it comes to, and whether it is good enough.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::measure::Memory;
use crate::environment::say;

/// Which way calls took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Leg {
    Direct,
    Nginx,
    Callgate,
    /// A legacy client over a modern server.
    Up,
    /// A modern client over a legacy server.
    Down,
}

impl Leg {
    const ALL: [Self; 5] = [Self::Direct, Self::Nginx, Self::Callgate, Self::Up, Self::Down];

    fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Nginx => "nginx",
            Self::Callgate => "callgate",
            Self::Up => "callgate, legacy over modern",
            Self::Down => "callgate, modern over legacy",
        }
    }
}

/// What the load saw, and what the process in between took for each call.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Run {
    calls: f64,
    seconds: f64,
    pub(crate) p50_us: f64,
    p99_us: f64,
    processor_us: f64,
}

impl Run {
    pub(crate) fn read(said: &str) -> Result<Self> {
        let said: Value = serde_json::from_str(said).context("the load said no JSON")?;
        let of = |name: &str| said.get(name).and_then(Value::as_f64).with_context(|| format!("no `{name}`"));
        Ok(Self {
            calls: of("calls")?,
            seconds: of("seconds")?,
            p50_us: of("p50_us")?,
            p99_us: of("p99_us")?,
            processor_us: 0.0,
        })
    }

    pub(crate) fn with_processor(self, seconds: f64) -> Self {
        Self { processor_us: seconds * 1e6 / self.calls, ..self }
    }
}

/// Everything of one run.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) full: BTreeMap<Leg, Vec<Run>>,
    pub(crate) paced: BTreeMap<Leg, Vec<Run>>,
    pub(crate) list: Vec<Run>,
    pub(crate) large: Vec<Run>,
    /// Median and 99th percentile of a round's flushes, in microseconds.
    pub(crate) flushes: Vec<(f64, f64)>,
    pub(crate) idle_memory: Memory,
    pub(crate) busy_memory: Memory,
    pub(crate) first_answer_ms: Vec<f64>,
    pub(crate) instructions: BTreeMap<Leg, u64>,
}

/// A figure and what it may be at most.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Target {
    what: &'static str,
    unit: &'static str,
    measured: f64,
    most: f64,
}

impl Target {
    pub(crate) fn new(what: &'static str, unit: &'static str, measured: f64, most: f64) -> Self {
        Self { what, unit, measured, most }
    }

    /// A figure that could not be had is a target that is missed.
    pub(crate) fn met(&self) -> bool {
        self.measured.is_finite() && self.measured <= self.most
    }
}

impl Figures {
    fn of(runs: Option<&Vec<Run>>, figure: fn(&Run) -> f64) -> f64 {
        median(runs.into_iter().flatten().map(figure))
    }

    fn full(&self, leg: Leg, figure: fn(&Run) -> f64) -> f64 {
        Self::of(self.full.get(&leg), figure)
    }

    fn paced(&self, leg: Leg, figure: fn(&Run) -> f64) -> f64 {
        Self::of(self.paced.get(&leg), figure)
    }

    fn flush_ms(&self) -> f64 {
        median(self.flushes.iter().map(|(p50, _)| p50 / 1e3))
    }

    fn count(&self, leg: Leg) -> f64 {
        self.instructions.get(&leg).map_or(f64::NAN, |count| to_f64(*count))
    }

    /// Processor time and instructions as multiples of nginx's, in the same run.
    fn ratios(&self) -> (f64, f64) {
        let processor = |leg| self.full(leg, |run| run.processor_us);
        (processor(Leg::Callgate) / processor(Leg::Nginx), self.count(Leg::Callgate) / self.count(Leg::Nginx))
    }

    /// What a leg across the eras costs more than a native one, in microseconds of processor time.
    fn crossing(&self, leg: Leg) -> f64 {
        self.full(leg, |run| run.processor_us) - self.full(Leg::Callgate, |run| run.processor_us)
    }

    pub(crate) fn targets(&self) -> Vec<Target> {
        let p99 = |leg| self.paced(leg, |run| run.p99_us);
        let target = Target::new;
        vec![
            target("processor time of a call", "× nginx", self.ratios().0, 3.0),
            target("instructions of a call", "", self.count(Leg::Callgate), 150_000.0),
            target(
                "added to the 99th percentile at 200 calls/s",
                "ms, two flushes and 5",
                (p99(Leg::Callgate) - p99(Leg::Direct)) / 1e3,
                2.0 * self.flush_ms() + 5.0,
            ),
            target("legacy over modern, more than native", "µs", self.crossing(Leg::Up), 30.0),
            target("modern over legacy, more than native", "µs", self.crossing(Leg::Down), 30.0),
            target("a list of 100 tools", "µs", Self::of(Some(&self.list), |run| run.processor_us), 300.0),
            target("a result of 64 KiB", "µs", Self::of(Some(&self.large), |run| run.processor_us), 1_000.0),
            target("memory after start", "MiB resident", self.idle_memory.resident, 40.0),
            target("start to first answer", "ms", median(self.first_answer_ms.iter().copied()), 300.0),
        ]
    }

    /// Two tables in Markdown, so that they can be copied into docs/performance.md.
    pub(crate) fn tell(&self) {
        say(
            "| | calls/s | p50 µs | p99 µs | processor µs/call | instructions/call | at 200/s: p50 µs | p99 µs |",
        );
        say("|---|---|---|---|---|---|---|---|");
        for leg in Leg::ALL {
            say(&format!(
                "| {} | {:.0} | {:.0} | {:.0} | {:.1} | {:.0} | {:.0} | {:.0} |",
                leg.name(),
                self.full(leg, |run| run.calls / run.seconds),
                self.full(leg, |run| run.p50_us),
                self.full(leg, |run| run.p99_us),
                self.full(leg, |run| run.processor_us),
                self.count(leg),
                self.paced(leg, |run| run.p50_us),
                self.paced(leg, |run| run.p99_us),
            ));
        }
        let (processor, instructions) = self.ratios();
        say(&format!("\nprocessor time {processor:.2} × nginx, instructions {instructions:.2} × nginx"));
        say(&format!(
            "a flush: p50 {:.2} ms, p99 {:.2} ms; memory after start {:.1} MiB resident, {:.1} by share, after load {:.1} resident\n",
            self.flush_ms(),
            median(self.flushes.iter().map(|(_, p99)| p99 / 1e3)),
            self.idle_memory.resident,
            self.idle_memory.proportional,
            self.busy_memory.resident,
        ));
        table(&self.targets());
    }

    pub(crate) fn json(&self) -> Value {
        let run = |run: &Run| {
            json!({ "calls": run.calls, "seconds": run.seconds, "p50_us": run.p50_us, "p99_us": run.p99_us,
                "processor_us": run.processor_us })
        };
        let runs = |runs: &[Run]| runs.iter().map(run).collect::<Vec<_>>();
        let legs = |legs: &BTreeMap<Leg, Vec<Run>>| -> BTreeMap<&str, Vec<Value>> {
            legs.iter().map(|(leg, of)| (leg.name(), runs(of))).collect()
        };
        let memory =
            |memory: Memory| json!({ "resident_mib": memory.resident, "share_mib": memory.proportional });
        let instructions: BTreeMap<&str, u64> =
            self.instructions.iter().map(|(leg, count)| (leg.name(), *count)).collect();
        let targets: Vec<Value> = self
            .targets()
            .iter()
            .map(|t| json!({ "what": t.what, "measured": t.measured, "most": t.most, "met": t.met() }))
            .collect();
        json!({
            "full": legs(&self.full), "paced": legs(&self.paced), "list": runs(&self.list), "large": runs(&self.large),
            "flushes_us": self.flushes, "memory_after_start": memory(self.idle_memory),
            "memory_after_load": memory(self.busy_memory), "first_answer_ms": self.first_answer_ms,
            "instructions": instructions, "targets": targets,
        })
    }
}

/// Figures beside what they may be, in Markdown.
pub(crate) fn table(targets: &[Target]) {
    say("| target | measured | at most | |");
    say("|---|---|---|---|");
    for target in targets {
        let Target { what, unit, measured, most } = target;
        let met = if target.met() { "met" } else { "**missed**" };
        say(&format!("| {what} | {measured:.2} {unit} | {most:.2} | {met} |"));
    }
}

/// The middle one; NaN of none.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn to_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(processor_us: f64, p99_us: f64) -> Run {
        Run { calls: 1.0, seconds: 1.0, p50_us: p99_us, p99_us, processor_us }
    }

    fn good() -> Figures {
        let legs = |direct, nginx, callgate, across: Run| {
            BTreeMap::from([
                (Leg::Direct, vec![direct]),
                (Leg::Nginx, vec![nginx]),
                (Leg::Callgate, vec![callgate]),
                (Leg::Up, vec![across]),
                (Leg::Down, vec![across]),
            ])
        };
        let memory = Memory { resident: 40.0, proportional: 30.0 };
        Figures {
            full: legs(run(0.0, 1.0), run(10.0, 1.0), run(30.0, 1.0), run(60.0, 1.0)),
            paced: legs(run(0.0, 100.0), run(0.0, 200.0), run(0.0, 7_100.0), run(0.0, 1.0)),
            list: vec![run(300.0, 1.0)],
            large: vec![run(1_000.0, 1.0)],
            flushes: vec![(1_000.0, 2_000.0)],
            idle_memory: memory,
            busy_memory: memory,
            first_answer_ms: vec![300.0],
            instructions: BTreeMap::from([(Leg::Nginx, 20_000), (Leg::Callgate, 150_000)]),
        }
    }

    #[test]
    fn what_is_just_good_enough_is_met() {
        assert_eq!(good().targets().iter().filter(|target| !target.met()).count(), 0);
        assert_eq!(good().ratios(), (3.0, 7.5));
    }

    #[test]
    fn whatever_is_a_little_worse_is_missed() {
        let spoil: [fn(&mut Figures); 9] = [
            |f| f.full.insert(Leg::Callgate, vec![run(30.1, 1.0)]).map_or((), drop),
            |f| f.instructions.insert(Leg::Callgate, 150_001).map_or((), drop),
            |f| f.paced.insert(Leg::Callgate, vec![run(0.0, 7_101.0)]).map_or((), drop),
            |f| f.full.insert(Leg::Up, vec![run(60.1, 1.0)]).map_or((), drop),
            |f| f.full.insert(Leg::Down, vec![run(60.1, 1.0)]).map_or((), drop),
            |f| f.list = vec![run(300.1, 1.0)],
            |f| f.large = vec![run(1_000.1, 1.0)],
            |f| f.idle_memory.resident = 40.1,
            |f| f.first_answer_ms = vec![300.1],
        ];
        for (at, spoil) in spoil.into_iter().enumerate() {
            let mut figures = good();
            spoil(&mut figures);
            let missed: Vec<bool> = figures.targets().iter().map(|target| !target.met()).collect();
            assert_eq!(missed.iter().position(|missed| *missed), Some(at), "{missed:?}");
        }
    }

    #[test]
    fn what_was_not_measured_is_missed() {
        assert_eq!(Figures::default().targets().iter().filter(|target| target.met()).count(), 1);
        assert!(good().json()["targets"][0]["met"].as_bool().unwrap());
    }

    #[test]
    fn the_middle_of_some_is_taken_and_of_none_there_is_none() {
        assert_eq!(median([3.0, 100.0, 1.0].into_iter()), 3.0);
        assert!(median(std::iter::empty()).is_nan());
    }
}
