//! What the kernel knows of a process, and what callgrind counted.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How long it took.
#[expect(clippy::disallowed_methods, reason = "a stopwatch reads the clock")]
pub(crate) fn timed<T>(task: impl FnOnce() -> Result<T>) -> Result<(T, Duration)> {
    let start = Instant::now();
    let done = task()?;
    Ok((done, start.elapsed()))
}

/// Ticks of `/proc/PID/stat` in a second, on every Linux we run on. The kernel scales them by what it measured in
/// nanoseconds, so their sum over seconds of work is good to a tick.
const TICKS: f64 = 100.0;

/// Processor time of all threads of a process so far, those that ended included.
pub(crate) fn processor_seconds(process: u32) -> Result<f64> {
    let path = format!("/proc/{process}/stat");
    let stat = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    ticks(&stat).map(|ticks| ticks / TICKS).with_context(|| format!("{path} is not understood"))
}

/// How long a process is watched for, and how little it does in that time when it has nothing to do.
const WATCHED: Duration = Duration::from_millis(500);
const IDLE_SECONDS: f64 = 0.02;
const WATCHES_MAX: u32 = 240;

/// Waits until a process has done what it does after start.
pub(crate) fn settled(process: u32) -> Result<()> {
    for _ in 0..WATCHES_MAX {
        let before = processor_seconds(process)?;
        std::thread::sleep(WATCHED);
        if processor_seconds(process)? - before <= IDLE_SECONDS {
            return Ok(());
        }
    }
    bail!("process {process} does not come to rest")
}

/// `utime` and `stime` are fields 14 and 15; the name before them may hold anything, closing brackets too.
fn ticks(stat: &str) -> Option<f64> {
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    Some(fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?)
}

/// Memory of a process in MiB.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Memory {
    /// All that is there, shared pages in full.
    pub(crate) resident: f64,
    /// Shared pages by share.
    pub(crate) proportional: f64,
}

pub(crate) fn memory(process: u32) -> Result<Memory> {
    let path = format!("/proc/{process}/smaps_rollup");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let of = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok());
        kib.map(|kib| kib / 1024.0).with_context(|| format!("no `{name}` in {path}"))
    };
    Ok(Memory { resident: of("Rss:")?, proportional: of("Pss:")? })
}

/// The instructions callgrind counted in user space, from its output file.
pub(crate) fn counted(file: &Path) -> Result<u64> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let total = text.lines().rev().find_map(|line| line.strip_prefix("totals: "));
    let total = total.or_else(|| text.lines().find_map(|line| line.strip_prefix("summary: ")));
    let total = total.and_then(|total| total.trim().parse().ok());
    total.with_context(|| format!("callgrind wrote no total to {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_found_behind_any_name() {
        let stat = "17 (a) b) (c) S 1 17 17 0 -1 4194560 9 0 0 0 250 50 0 0 20 0 5 0 100";
        assert_eq!(ticks(stat), Some(300.0));
        assert_eq!(ticks("17 (a) S 1"), None);
    }

    #[test]
    fn this_process_has_memory_and_took_time() {
        let memory = memory(std::process::id()).unwrap();
        assert!(memory.resident >= memory.proportional && memory.proportional > 0.1, "{memory:?}");
        assert!(processor_seconds(std::process::id()).is_ok());
    }
}
