//! The gateway's end of the owner's socket: who speaks through a `wrap`, and commands.

use super::{Work, console, files::Files, looks::Looks};
use crate::{
    control::{self, Request, Response},
    place::Place,
};
use decision::approval::{Part, State};
use decision::{AgentName, ApprovalId, ItemKind, ServerName, Transport};
use gateway::{
    Gate,
    authenticate::configured,
    exchange::Entrance,
    listen::{
        pipe::Talk,
        unix::{Command, Owner},
    },
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use store::{Revision, StoreError, Telling, Writer};
use tokio::io::AsyncWriteExt as _;

/// How often it is looked whether a change is in force, and between two looks: three seconds in all.
const IN_FORCE_LOOKS: u32 = 300;
const IN_FORCE_PAUSE: Duration = Duration::from_millis(10);

/// What commands are answered from.
struct Desk {
    gate: Arc<Gate>,
    files: Arc<Files>,
    console: Arc<::console::Console>,
    looks: Looks,
    config: std::path::PathBuf,
    address: SocketAddr,
    /// Whose decisions could not be recorded when they were made.
    untold: Mutex<BTreeSet<Writer>>,
}

impl Desk {
    fn untold(&self) -> MutexGuard<'_, BTreeSet<Writer>> {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the owner's socket does.
pub(super) fn owner(
    gate: &Arc<Gate>,
    (files, looks): (&Arc<Files>, &Looks),
    console: &Arc<::console::Console>,
    place: &Place,
    address: SocketAddr,
) -> Owner {
    let desk = Arc::new(Desk {
        gate: Arc::clone(gate),
        files: Arc::clone(files),
        console: Arc::clone(console),
        looks: looks.clone(),
        config: std::path::absolute(&place.config).unwrap_or_else(|_| place.config.clone()),
        address,
        untold: Mutex::default(),
    });
    let welcoming = Arc::clone(gate);
    Owner {
        welcome: Arc::new(move |entrance, agent| {
            // the listener's own task: blocking it for one short query holds nobody else up
            tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current().block_on(welcome(&welcoming, entrance, agent))
            })
        }),
        obey: Arc::new(move |command| -> Work { Box::pin(obey(Arc::clone(&desk), command)) }),
        drain_timeout: place.meant.settings.limits.drain_timeout,
    }
}

async fn welcome(gate: &Arc<Gate>, entrance: Entrance, wish: Option<AgentName>) -> Result<Talk, String> {
    if gate.is_draining() {
        return Err("the gateway is stopping".to_owned());
    }
    let live = gate.live();
    let agent = live.settings.stdio_agent.clone();
    if wish.is_some_and(|wish| wish != agent) {
        return Err(format!("`stdio-agent` says that `{agent}` speaks here"));
    }
    if let Some(server) = entrance.server()
        && !live.settings.servers.contains_key(&server)
    {
        return Err(format!("the configuration has no server `{server}`"));
    }
    let principal = configured(gate, &agent).await.map_err(|error| error.to_string())?;
    Ok(Talk {
        session: gate.pipe_session(Arc::new(principal), entrance.clone(), Transport::Stdio),
        agent,
        entrance,
        message_bytes_max: live.settings.limits.message_bytes_max,
        calls_in_flight_max: live.settings.limits.calls_in_flight_max,
        drain_timeout: live.settings.limits.drain_timeout,
    })
}

async fn obey(desk: Arc<Desk>, mut command: Command) {
    let response = match serde_json::from_slice::<Request>(&command.raw) {
        Ok(request) => answer(&desk, request).await,
        Err(error) => Response::Failed { why: format!("this gateway does not know the command: {error}") },
    };
    let line = serde_json::to_vec(&response).map(|mut line| {
        line.push(b'\n');
        line
    });
    if let Ok(line) = line {
        // a command line that went away needs no answer
        let _ = command.writer.write_all(&line).await;
    }
}

async fn answer(desk: &Desk, request: Request) -> Response {
    if !matches!(request, Request::Ping) {
        tell_left(desk).await;
    }
    match request {
        Request::Ping => Response::Here {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            listen: desk.address.to_string(),
            config: desk.config.clone(),
            house: Some(desk.files.place().house()),
            replaced: desk.gate.store().in_place().err().map(|error| error.to_string()),
        },
        Request::Reload => {
            Response::Reloaded { problems: desk.files.reload().await.err().unwrap_or_default() }
        }
        Request::Settings => {
            let (place, standing) = (desk.files.place(), desk.files.standing());
            Response::Settings(Box::new(control::InForce {
                pid: std::process::id(),
                config: desk.config.clone(),
                since: standing.since,
                digest: place.digest,
                refused: standing.refused,
                settings: crate::settings::effective(&place.meant),
            }))
        }
        Request::Written => written(desk),
        Request::Ready { server, anew } => ready(desk, &server, anew).await,
        Request::Tell { writer } => tell(desk, writer).await,
        Request::InForce { revision } => {
            Response::InForce { yes: is_in_force(desk, Revision(revision)).await }
        }
        Request::Absent => Response::Absent { servers: desk.gate.absent() },
        Request::Look { server } => Response::Looked(desk.looks.look(&server).await),
        Request::Void => match void(desk).await {
            Ok(approvals) => Response::Void { approvals },
            Err(error) => Response::Failed { why: error.to_string() },
        },
        Request::Starter { server } => {
            let live = desk.gate.live();
            let entry = live.catalogue.server(&server).map(|entry| (server, entry.clone()));
            Response::Starter { text: policy::starter(&catalog::Catalogue::new(entry.into_iter().collect())) }
        }
        Request::Decide { .. } => {
            let scope = desk.gate.live().settings.scope();
            let pages = desk.files.in_force().console.load_full();
            control::decided(desk.gate.desk(), &scope, request, &pages).await
        }
        Request::ConsoleLink { person } => {
            let link = console::link(&desk.gate, &desk.console, desk.files.in_force(), desk.address, person);
            match link.await {
                Ok(link) => Response::ConsoleLink { link },
                Err(error) => Response::Failed { why: format!("{error:#}") },
            }
        }
        Request::Record { .. }
        | Request::Entries { .. }
        | Request::Value { .. }
        | Request::Erase { .. }
        | Request::Prove { .. }
        | Request::Export { .. }
        | Request::Checkpoint => {
            let live = desk.gate.live();
            let scope = live.settings.scope();
            control::of_ledger(&desk.gate, &scope, request).await
        }
    }
}

/// Records what was decided through this store.
async fn tell(desk: &Desk, writer: Writer) -> Response {
    let (store, scope) = (desk.gate.store(), desk.gate.live().settings.scope());
    match store.tell(&scope, desk.gate.ledger(), Telling::Of(writer.clone())).await {
        Ok(events) => Response::Told { events },
        Err(error) => {
            desk.untold().insert(writer);
            Response::Failed { why: error.to_string() }
        }
    }
}

/// Records what could not be when it was decided. Whoever looks at the record next finds it there.
async fn tell_left(desk: &Desk) {
    let left = desk.untold().clone();
    let (store, scope) = (desk.gate.store(), desk.gate.live().settings.scope());
    for writer in left {
        match store.tell(&scope, desk.gate.ledger(), Telling::Again(writer.clone())).await {
            Ok(_) => drop(desk.untold().remove(&writer)),
            // what keeps this one's from being recorded need not keep the others'
            Err(error) => tracing::warn!(%error, "what was decided cannot be recorded; trying again"),
        }
    }
}

fn written(desk: &Desk) -> Response {
    let (place, policies) = desk.files.read();
    Response::Written {
        pid: std::process::id(),
        config: desk.config.clone(),
        since: desk.files.standing().since,
        text: place.text().to_owned(),
        policies: policies.into_iter().map(|source| (source.path, source.text)).collect(),
    }
}

/// Of the approvals that wait, those that are void by what is in force here, and what changed.
async fn void(desk: &Desk) -> Result<BTreeMap<ApprovalId, Part>, StoreError> {
    let live = desk.gate.live();
    let waiting = desk.gate.store().all_approvals_in(&live.settings.scope(), State::Proposed).await?;
    Ok(gateway::void_of(&live, waiting.iter().map(|kept| &kept.approval)))
}

/// Whether what is in force is of the store as it was by then, or later.
async fn is_in_force(desk: &Desk, revision: Revision) -> bool {
    for _ in 0..IN_FORCE_LOOKS {
        if desk.gate.goes_by(revision) {
            return true;
        }
        tokio::time::sleep(IN_FORCE_PAUSE).await;
    }
    false
}

async fn ready(desk: &Desk, server: &ServerName, anew: bool) -> Response {
    let ready = looked_at(desk, server).await;
    let absent = desk.gate.absent().remove(server);
    let failed = desk.gate.failed_looks(server);
    if anew && !ready {
        desk.gate.rediscover(server);
    }
    Response::Ready { ready, fault: absent.map(|absent| absent.because), failed }
}

/// Whether the server's offer was pinned and is in the snapshot in force, all of it: another server's look may
/// have built a snapshot while this one was half pinned.
async fn looked_at(desk: &Desk, server: &ServerName) -> bool {
    let live = desk.gate.live();
    // nobody looks at what nobody may use, so there is nothing to wait for
    if live.registry.is_shut(server) {
        return true;
    }
    let scope = live.settings.scope();
    let stored = desk.gate.store().server(&scope, server).await;
    if stored.ok().flatten().is_none_or(|server| server.pinned_at.is_none()) {
        return false;
    }
    let Ok(accepted) = desk.gate.store().accepted(&scope, server).await else { return false };
    let accepted = accepted.iter().filter(|definition| definition.item.kind != ItemKind::Server).count();
    live.catalogue.server(server).is_some_and(|entry| entry.items().count() >= accepted)
}
