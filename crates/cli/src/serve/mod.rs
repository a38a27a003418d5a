//! `callgate serve`: opens what the gateway works on, wires it together, and ends it in order.

mod aside;
mod commands;
mod console;
pub(crate) mod files;
mod health;
mod hooks;
mod index;
mod keeping;
mod logs;
mod looks;
mod open;
mod watch;

use crate::{
    cli::Given,
    failure::{Failure, Outcome, Verdict},
    place::Place,
    sources::{SystemClock, SystemEntropy},
};
use anyhow::Context as _;
use decision::{EventName, ServerName};
use files::{Files, InForce};
use futures::future::BoxFuture;
use gateway::{
    Fit, Gate, Live, Offers, Parts, Written,
    backends::Backends,
    listen::{
        self,
        http::{Pace, Site},
        unix::Socket,
    },
};
use looks::Looks;
use open::Opened;
use std::{path::PathBuf, sync::Arc, time::Duration};
use store::ledger::Ledger;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How log lines are written on standard error; CALLGATE_LOG says which, such as `info,callgate_gateway=debug`
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// Write log lines to this file instead of standard error; SIGHUP has it opened anew, once it was moved away
    #[arg(long, value_name = "PATH")]
    log_file: Option<PathBuf>,
}

pub(crate) async fn run(args: Args, given: &Given) -> Outcome {
    let place = given.place()?;
    if !place.written {
        let path = place.config.display();
        return Err(Failure::Usage(format!("there is no `{path}`: write one with `callgate init`")));
    }
    let log = logs::begin(args.log_format, args.log_file.as_deref(), &given.surroundings)?;
    let (stop, stopped) = (CancellationToken::new(), Stopped::default());
    let hang_up = signals(stop.clone(), stopped.clone(), log)?;
    let running = Running::start(place, given, hang_up).await?;
    running.until(stop, stopped).await?;
    Ok(Verdict::Yes)
}

/// Whether everything is stopped in order; from then on no signal makes it a stop in a hurry.
#[derive(Debug, Clone, Default)]
struct Stopped(Arc<std::sync::Mutex<bool>>);

impl Stopped {
    fn lock(&self) -> std::sync::MutexGuard<'_, bool> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
    fn in_order(&self) {
        *self.lock() = true;
        tracing::info!("stopped");
    }
    /// Ends the process, unless it is stopped already.
    fn at_once(&self) {
        // whoever says that it is stopped waits for this, and this for them
        let stopped = self.lock();
        if !*stopped {
            tracing::warn!("asked again: stopping at once; open calls are closed at the next start");
            std::process::exit(1);
        }
    }
}

/// SIGTERM and SIGINT ask to stop, SIGHUP to read the files anew, and to go on in a log file of that name.
fn signals(
    stop: CancellationToken,
    stopped: Stopped,
    log: Option<logs::LogFile>,
) -> anyhow::Result<mpsc::Receiver<()>> {
    let fail = "cannot listen for signals";
    let mut terminate = signal(SignalKind::terminate()).context(fail)?;
    let mut interrupt = signal(SignalKind::interrupt()).context(fail)?;
    let mut hang_up = signal(SignalKind::hangup()).context(fail)?;
    let (again, reload) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hang_up.recv() => {
                    if let Some(log) = &log {
                        log.open_anew();
                    }
                    // one that waits already will do
                    let _ = again.try_send(());
                }
            }
        }
        tracing::info!("asked to stop: finishing what is under way");
        stop.cancel();
        // a second time means now
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stopped.at_once();
    });
    Ok(reload)
}

/// Until what only a start needs is let go of: servers have been looked at by then.
const STARTED: Duration = Duration::from_secs(3);

/// Has a gateway that has started keep no more memory than it needs.
async fn rest() {
    tokio::time::sleep(STARTED).await;
    let given = tokio::task::spawn_blocking(|| {
        launch::give_memory_back();
        launch::let_go_of_program();
    });
    given.await.ok();
}

/// A gateway that takes calls.
struct Running {
    gate: Arc<Gate>,
    opened: Opened,
    ledger_dir: PathBuf,
    closing: CancellationToken,
    http: JoinHandle<listen::http::Drained>,
    socket: JoinHandle<()>,
    offers: JoinHandle<()>,
    files: JoinHandle<()>,
    keeping: JoinHandle<()>,
    index: JoinHandle<()>,
    hooks: JoinHandle<()>,
    recorded: bool,
}

impl Running {
    async fn start(place: Place, given: &Given, hang_up: mpsc::Receiver<()>) -> Result<Self, Failure> {
        place.state()?;
        let ledger_dir = place.ledger_dir();
        // first of all, so that of two gateways the second touches nothing
        let socket = Socket::bind(&place.socket_path()?)?;
        let settings = Arc::new(place.meant.settings.clone());
        // before the address is taken: what cannot be spoken to should not look as if it could
        let keys = files::keys(&settings)?;
        let bound = listen::bind(&settings)?;
        let mut opened = Opened::open(&place).await?;
        let loader = policy::Loader::default();
        let written = Written { settings: Arc::clone(&settings), policies: place.policies()? };
        let eras = std::collections::BTreeMap::new();
        let store = opened.store.clone();
        let build = async || gateway::build(&store, &loader, &written, None, &eras, Fit::Changed).await;
        let (built, ledger) = opened.with_ledger(build).await?;
        if !built.problems.is_empty() {
            return Err(Failure::Policies(built.problems));
        }
        for warning in &built.live.warnings() {
            tracing::warn!(place = files::place_of(warning).map(tracing::field::display), "{warning}");
        }
        files::announce(&settings);
        files::remark(&place.remarks());
        let client = egress::Client::new(settings.reachable(), egress::Settings::default());
        let (wakes, woken) = mpsc::unbounded_channel();
        let gate = gate(built.live, (&opened, ledger), &client, given, wakes)?;
        keeping::prepare(&gate, &place, &gate.opener().sealer()).await?;
        keeping::begin(&gate, &place).await;
        recover(&gate).await?;
        let keeper = keeping::Keeper::new(&gate, Arc::new(SystemClock));
        let offers = Offers::new(Arc::clone(&gate), loader, written);
        let closing = CancellationToken::new();
        let in_force = InForce::of(&place);
        let hook_keys = hooks::keys(&gate);
        let console = console::open(&gate, &in_force, &hook_keys, &Looks::by(&offers), &closing)?;
        let tls = keys.map(|keys| listen::tls::Tls::new(keys, gate.handshakes()));
        let surroundings = given.surroundings.clone();
        let files = Files::new(place.clone(), surroundings, &gate, &offers, &in_force, client, tls.clone());
        let site = Site {
            settings: Arc::clone(&in_force.settings),
            probes: health::probes(&gate, &closing),
            pace: Pace::default(),
            tls,
            annexes: vec![console::annex(&console), gateway::registry_api::annex(&gate)],
        };
        let address = bound.address;
        let path = Arc::clone(&gate);
        let owner = commands::owner(&gate, (&files, &Looks::by(&offers)), &console, &place, address);
        open::tell_started(&gate, &place).await?;
        tracing::info!(
            %address, config = %place.config.display(), socket = %socket.path().display(),
            servers = gate.live().settings.servers.len(), "callgate takes calls"
        );
        console::welcome(given.say, &gate, &console, &in_force, address).await?;
        Ok(Self {
            http: tokio::spawn(listen::http::serve(bound, path.clone(), site, closing.clone())),
            socket: tokio::spawn(socket.serve(path, owner, closing.clone())),
            offers: tokio::spawn(Arc::clone(&offers).run(woken)),
            keeping: tokio::spawn(keeper.follow(Arc::clone(&files), closing.clone())),
            files: tokio::spawn(files.follow(hang_up, closing.clone())),
            index: tokio::spawn(index::follow(Arc::clone(&gate), ledger_dir.clone(), closing.clone())),
            hooks: tokio::spawn(hooks::sender(&gate, &in_force, &hook_keys, address).follow(closing.clone())),
            gate,
            opened,
            ledger_dir,
            closing,
            recorded: false,
        })
    }

    /// Serves until asked to stop, then ends everything in order: listeners, calls, children, record, store.
    async fn until(mut self, stop: CancellationToken, stopped: Stopped) -> Result<(), Failure> {
        tokio::spawn(gateway::execute_approved(Arc::clone(&self.gate), self.closing.clone()));
        tokio::spawn(rest());
        tokio::select! {
            () = stop.cancelled() => {}
            ended = &mut self.http => {
                self.closing.cancel();
                return Err(anyhow::anyhow!("the HTTP listener ended by itself: {ended:?}").into());
            }
        }
        self.gate.drain();
        self.closing.cancel();
        let drained = (&mut self.http).await.context("the HTTP listener failed")?;
        if drained.unfinished > 0 {
            tracing::warn!(unfinished = drained.unfinished, "some calls did not finish in time");
        }
        (&mut self.socket).await.context("the owner's socket failed")?;
        self.gate.shut_down().await;
        self.offers.abort();
        self.files.abort();
        self.keeping.abort();
        self.hooks.abort();
        index::settle(&self.gate).await?;
        health::leave(&self.gate).await;
        if let Err(refusal) = gateway::tell_strangers(&self.gate).await {
            tracing::error!(because = refusal.because, "how many strangers were refused cannot be recorded");
        }
        open::tell(&self.gate, EventName::GatewayStopped, &[]).await?;
        self.recorded = true;
        // the index is brought up to date before the ledger is closed
        (&mut self.index).await.context("the index failed")?;
        let indexed = index::catch_up(&self.gate).await?;
        index::note(&self.gate, &self.ledger_dir, indexed);
        self.gate.ledger().close().await?;
        self.opened.store.close().await;
        stopped.in_order();
        Ok(())
    }
}

/// What every call needs, and no call taken yet.
fn gate(
    live: Live,
    (opened, ledger): (&Opened, Arc<Ledger>),
    client: &egress::Client,
    given: &Given,
    wakes: mpsc::UnboundedSender<ServerName>,
) -> anyhow::Result<Arc<Gate>> {
    let settings = Arc::clone(&live.settings);
    let supervisor = launch::Supervisor::this_executable();
    let passable = given.surroundings.passable.clone();
    Ok(Gate::new(Parts {
        live,
        store: opened.store.clone(),
        ledger,
        opener: opened.opener.clone(),
        backends: Backends::new(&settings, files::variables(&settings)).context("secret backend")?,
        pool: gateway::upstream::Pool::new(client.clone(), supervisor, passable, &settings.limits),
        issuers: identity::oauth::Issuers::new(egress::Settings::default(), &SystemEntropy),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        wakes,
    }))
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.recorded {
            tracing::error!("the gateway ends without having said so in its record");
        }
    }
}

/// Settles what the last stop left on its way. Only what was spent here is looked for, and mostly there is nothing.
async fn recover(gate: &Arc<Gate>) -> anyhow::Result<()> {
    let questions =
        gateway::abandon_questions(gate).await.context("keys of the last stop cannot be freed")?;
    if questions > 0 {
        tracing::info!(
            questions,
            "servers' questions died with the last stop: their calls may be made again"
        );
    }
    if gateway::is_settled(gate).await? {
        return Ok(());
    }
    let calls = gateway::recover(gate).await.context("what calls spent cannot be settled")?;
    tracing::info!(
        calls,
        "approvals or budgets were spent on calls when the gateway stopped: settled as the record says"
    );
    Ok(())
}

/// Boxed work for the owner's socket.
type Work = BoxFuture<'static, ()>;

#[cfg(test)]
mod tests {
    use super::*;

    fn send(signal: &str) {
        let own = std::process::id().to_string();
        assert!(std::process::Command::new("kill").args([signal, &own]).status().unwrap().success());
    }

    #[tokio::test]
    async fn a_second_signal_behind_an_orderly_stop_changes_nothing() {
        let (stop, stopped) = (CancellationToken::new(), Stopped::default());
        let _hang_up = signals(stop.clone(), stopped.clone(), None).unwrap();
        send("-INT");
        stop.cancelled().await;
        stopped.in_order();
        // else this process would end here
        send("-TERM");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}
