//! The demo itself: what is set up, the scenes, and that everything started is ended.

mod child;
mod look;
mod paste;
mod place;
mod record;
mod scenes;
mod tamper;
mod tell;

pub use paste::snippets;

use crate::client::Client;
use anyhow::Context as _;
use child::{Gateway, Server};
use decision::{Entropy, Era};
use place::Place;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tell::Tell;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

/// How to play.
#[derive(Debug)]
pub struct Options {
    /// End after the last scene instead of staying up.
    pub check: bool,
    /// The `callgate` to run: usually this very program.
    pub binary: PathBuf,
    /// Rules to play with instead of the demo's own.
    pub policy: Option<PathBuf>,
    /// Whether what is printed may be coloured.
    pub colour: bool,
    pub entropy: Arc<dyn Entropy>,
}

/// What runs, in the order it was started.
#[derive(Debug, Default)]
struct Running {
    payments: Option<Server>,
    tickets: Option<Server>,
    gateway: Option<Gateway>,
}

/// Everything a scene needs.
struct Stage<'a> {
    tell: &'a Tell,
    place: &'a Place,
    payments: &'a Server,
    tickets: &'a Server,
    gateway: &'a Gateway,
    /// The agent as a client of 2025-11-25.
    legacy: Client,
    /// The agent as a client of 2026-07-28.
    modern: Client,
    /// The call of the refund that is too large, once it was made.
    large: Option<String>,
}

/// Plays. Returns the exit code: 0 when every scene went as told, 1 when one did not or nothing could be played,
/// 130 when it was interrupted before the end.
pub async fn run(options: Options) -> i32 {
    let tell = Tell::new(options.colour);
    let mut running = Running::default();
    let place = Place::make(&options);
    let code = match &place {
        Ok(place) => {
            tokio::select! {
                played = play(&options, &tell, place, &mut running) => match played {
                    Ok(true) => 0,
                    Ok(false) => 1,
                    Err(error) => {
                        tell.fault(&error);
                        1
                    }
                },
                () = interrupted() => if tell.is_over() { i32::from(!tell.is_good()) } else { 130 },
            }
        }
        Err(error) => {
            tell.fault(error);
            1
        }
    };
    tell.line("");
    // in an order in which nobody misses anybody
    if let Some(gateway) = running.gateway.take() {
        gateway.end().await;
    }
    for server in [running.payments.take(), running.tickets.take()].into_iter().flatten() {
        server.end().await;
    }
    code
}

/// Waits for Ctrl-C, or for somebody to end us.
async fn interrupted() {
    let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    let (Ok(mut interrupt), Ok(mut terminate)) = signals else {
        // nobody can interrupt then
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

async fn play(options: &Options, tell: &Tell, place: &Place, running: &mut Running) -> anyhow::Result<bool> {
    let began = Instant::now();
    tell.title();
    let Running { payments, tickets, gateway } = running;
    let payments = &*payments.insert(Server::start(place, "payments", Some(place.key())).await?);
    let tickets = &*tickets.insert(Server::start(place, "tickets", None).await?);
    place.write(options, payments.url(), tickets.url())?;
    let token = place.prepare().await?;
    let gateway = &*gateway.insert(Gateway::start(place).await?);
    let url = gateway.url();
    tell.setting(&url, place.dir());
    let mut stage = Stage {
        tell,
        place,
        payments,
        tickets,
        gateway,
        legacy: Client::new(&url, Some(&token), Era::Legacy),
        modern: Client::new(&url, Some(&token), Era::Modern),
        large: None,
    };
    ready(&mut stage).await?;
    scenes::play(&mut stage).await?;
    let good = tell.outcome(began.elapsed());
    if !options.check {
        paste::show(tell, &url, &token);
        // the signal that ends us is waited for above
        std::future::pending::<()>().await;
    }
    Ok(good)
}

/// The gateway looks at its servers while it starts; whoever is early sees less.
async fn ready(stage: &mut Stage<'_>) -> anyhow::Result<()> {
    stage.legacy.open().await.context("the gateway takes no session")?;
    stage.modern.open().await.context("the gateway cannot be discovered")?;
    for _ in 0..60 {
        let seen = stage.legacy.tools().await?;
        let has = |server: &str| seen.iter().any(|name| name.starts_with(server));
        if ["crm__", "payments__", "tickets__"].iter().all(|server| has(server)) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // what is missing still, the scenes will tell
    Ok(())
}
