//! The load: so many connections, each with one call at a time, as fast as they are answered or at a given pace.

use crate::calls::{self, Era, Kind, Way};
use crate::http::Peer;
use crate::options::Options;
use anyhow::{Context as _, Result, anyhow, bail};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How often a gateway that starts is asked whether it answers yet.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const FIRST_MAX: Duration = Duration::from_secs(120);

#[expect(clippy::disallowed_methods, reason = "a stopwatch reads the clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

fn way(options: &Options) -> Result<Way> {
    Ok(Way {
        port: options.need("port")?,
        path: options.text("path").unwrap_or("/mcp").to_owned(),
        prefix: options.text("prefix").unwrap_or_default().to_owned(),
        token: options.text("token").map(str::to_owned),
        era: options.maybe("era")?.unwrap_or(Era::Modern),
        session: None,
    })
}

/// A connection, and how it speaks: a legacy one has begun a session.
fn caller(way: &Way) -> Result<(Peer, Way)> {
    let mut peer = Peer::connect(way.port)?;
    if way.era == Era::Modern {
        return Ok((peer, way.clone()));
    }
    peer.send(&calls::greeting(way)?)?;
    let message = peer.receive()?.context("the connection was closed instead of a greeting")?;
    let line = message.head.lines().find_map(|line| line.strip_prefix("mcp-session-id: "));
    let session = line.with_context(|| format!("no session in `{}`", message.head))?.to_owned();
    Ok((peer, Way { session: Some(session), ..way.clone() }))
}

/// What all connections share.
struct Run {
    way: Way,
    kind: Kind,
    /// The number of the first call: no number is used twice in front of one gateway.
    from: u64,
    calls: u64,
    next: AtomicU64,
    start: Instant,
    /// Between two calls, whoever makes them; `None` is as fast as they are answered.
    pace: Option<Duration>,
}

/// Makes the calls; its figures as JSON. A wrong answer is an error.
pub(crate) fn run(options: &Options) -> Result<String> {
    let rate: Option<f64> = options.maybe("rate")?;
    let run = Run {
        way: way(options)?,
        kind: options.need("kind")?,
        from: options.need("from")?,
        calls: options.need("calls")?,
        next: AtomicU64::new(0),
        start: now(),
        pace: rate.map(|rate| Duration::from_secs_f64(1.0 / rate)),
    };
    let connections: usize = options.need("connections")?;
    let mut peers = Vec::new();
    for _ in 0..connections {
        peers.push(caller(&run.way)?);
    }
    // connecting is no part of it
    let run = Run { start: now(), ..run };
    let mut took = thread::scope(|scope| -> Result<Vec<Duration>> {
        let workers: Vec<_> = peers.into_iter().map(|one| scope.spawn(|| work(&run, one))).collect();
        let mut took = Vec::new();
        for worker in workers {
            took.extend(worker.join().map_err(|_| anyhow!("a connection's thread panicked"))??);
        }
        Ok(took)
    })?;
    let seconds = now().duration_since(run.start).as_secs_f64();
    took.sort_unstable();
    let at = |per_cent: usize| took.get((took.len() * per_cent / 100).min(took.len().saturating_sub(1)));
    let us = |per_cent: usize| at(per_cent).map_or(0, Duration::as_micros);
    Ok(format!(
        r#"{{"calls":{},"seconds":{seconds:.6},"p50_us":{},"p99_us":{}}}"#,
        took.len(),
        us(50),
        us(99)
    ))
}

/// One connection's calls, and how long each took: from when it should have begun, so that a stall is not hidden by
/// the calls that were not made meanwhile.
fn work(run: &Run, (mut peer, way): (Peer, Way)) -> Result<Vec<Duration>> {
    let mut took = Vec::new();
    loop {
        let turn = run.next.fetch_add(1, Ordering::Relaxed);
        if turn >= run.calls {
            return Ok(took);
        }
        let began = match run.pace {
            None => now(),
            Some(pace) => {
                let due = run.start + pace.saturating_mul(u32::try_from(turn).unwrap_or(u32::MAX));
                thread::sleep(due.saturating_duration_since(now()));
                due
            }
        };
        call(run.kind, run.from + turn, &way, &mut peer)?;
        took.push(now().duration_since(began));
    }
}

fn call(kind: Kind, number: u64, way: &Way, peer: &mut Peer) -> Result<()> {
    peer.send(&calls::request(kind, number, way)?)?;
    let message = peer.receive()?.context("the connection was closed instead of an answer")?;
    calls::check(kind, number, message.head, message.body)
}

/// Asks until the first right answer comes.
pub(crate) fn first(options: &Options) -> Result<String> {
    let way = way(options)?;
    let mut number: u64 = options.need("from")?;
    let pause = options.maybe("pause-ms")?.map_or(FIRST_PAUSE, Duration::from_millis);
    let start = now();
    loop {
        let tried = caller(&way).and_then(|(mut peer, way)| call(Kind::Echo, number, &way, &mut peer));
        match tried {
            Ok(()) => {
                return Ok(format!(r#"{{"seconds":{:.6}}}"#, now().duration_since(start).as_secs_f64()));
            }
            Err(fault) if now().duration_since(start) > FIRST_MAX => {
                bail!("no right answer within {} s: {fault:#}", FIRST_MAX.as_secs())
            }
            Err(_) => thread::sleep(pause),
        }
        number += 1;
    }
}
