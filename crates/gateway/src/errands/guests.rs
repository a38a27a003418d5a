//! Whether those whose calls are carried are shown what the gateway itself was shown.
//!
//! The gateway looks at a server in its own name, over a connection of its own. A server that tells people or sessions
//! apart could show that look one thing and its callers another. So whoever called a server is noted, and at the next look
//! its lists are asked for once more over the connection their calls go over, with their credential.

use super::reading::{self, Asks};
use crate::authenticate::Asker;
use crate::gate::{Gate, Live};
use crate::settings::Authority;
use crate::upstream::{self, Fault, FaultKind};
use decision::{Digest, Era, Item, ServerName, UserName};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use wire::{Revision, Way};

/// Most callers of one server that are noted between two looks.
const GUESTS_MAX: usize = 16;
/// Most that are remembered of each sort; beyond that, things are told or looked at again.
const KNOWN_MAX: usize = 10_000;

/// Who called since a server was looked at last, one for each credential.
#[derive(Debug, Default)]
pub(crate) struct Guests(Mutex<Noted>);

#[derive(Debug, Default)]
struct Noted {
    waiting: BTreeMap<ServerName, BTreeMap<Option<UserName>, Guest>>,
    /// Users for whom a look was asked for at their first call.
    known: BTreeSet<(ServerName, UserName)>,
    told: BTreeSet<(ServerName, Item, Digest)>,
}

/// Somebody whose calls are carried, and the way they go.
#[derive(Debug, Clone)]
pub(crate) struct Guest {
    asker: Asker,
    way: Way,
    /// A look in their name broke off before.
    again: bool,
}

impl Guests {
    /// Notes whose call was carried. The first of each user has the server looked at soon.
    pub(crate) fn note(&self, gate: &Gate, live: &Live, server: &ServerName, asker: &Asker, way: Way) {
        let Some(settings) = live.settings.servers.get(server) else { return };
        let user = match settings.authority {
            Authority::PerUser => asker.principal.person().cloned(),
            // with the one credential, a session is all that a server could tell apart
            Authority::Shared if way.era() == Era::Legacy => None,
            Authority::Shared => return,
        };
        let mut noted = self.0.lock();
        let guests = noted.waiting.entry(server.clone()).or_default();
        if guests.len() < GUESTS_MAX || guests.contains_key(&user) {
            guests.insert(user.clone(), Guest { asker: asker.clone(), way, again: false });
        }
        let Some(user) = user else { return };
        if noted.known.len() >= KNOWN_MAX {
            noted.known.clear();
        }
        if noted.known.insert((server.clone(), user)) {
            drop(noted);
            gate.look_again(server);
        }
    }

    pub(crate) fn take(&self, server: &ServerName) -> Vec<(Option<UserName>, Guest)> {
        self.0.lock().waiting.remove(server).unwrap_or_default().into_iter().collect()
    }

    /// Keeps one in whose name a look broke off for one more, unless they called meanwhile.
    pub(crate) fn keep(&self, server: &ServerName, user: Option<UserName>, guest: Guest) {
        if guest.again {
            return;
        }
        let mut noted = self.0.lock();
        let guests = noted.waiting.entry(server.clone()).or_default();
        if guests.len() < GUESTS_MAX {
            guests.entry(user).or_insert(Guest { again: true, ..guest });
        }
    }

    /// Whether this is the first that is told of it.
    pub(crate) fn tells(&self, server: &ServerName, item: &Item, shown: Digest) -> bool {
        let mut noted = self.0.lock();
        if noted.told.len() >= KNOWN_MAX {
            noted.told.clear();
        }
        noted.told.insert((server.clone(), item.clone(), shown))
    }
}

impl Guest {
    /// For the record: the user, or that it was nobody in particular.
    pub(crate) fn name(&self, live: &Live, server: &ServerName) -> String {
        let per_user =
            live.settings.servers.get(server).is_some_and(|one| one.authority == Authority::PerUser);
        let user = self.asker.principal.person().filter(|_| per_user);
        user.map_or_else(|| "a session that calls go to".to_owned(), ToString::to_string)
    }

    /// Whether they are still who they were.
    async fn stands(&self, gate: &Arc<Gate>, live: &Arc<Live>) -> bool {
        let open = self.asker.session.as_ref().is_none_or(|session| !session.ended.is_cancelled());
        open && self.asker.lapse(gate, live).await.is_none()
    }

    /// What the server shows them. `None` where they are gone.
    pub(crate) async fn look(
        &self,
        gate: &Arc<Gate>,
        live: &Arc<Live>,
        server: &ServerName,
    ) -> Result<Option<reading::Found>, Fault> {
        let Some(peer) = live.peers.get(server) else { return Ok(None) };
        if !self.stands(gate, live).await {
            return Ok(None);
        }
        let asking = Asking { gate, live, server, guest: self };
        match self.way.era() {
            Era::Modern => reading::read(&asking, peer.eras, None).await,
            // it said at the beginning of the session what it can do, and says it only then
            Era::Legacy => Ok(reading::lists(&asking, peer.eras, peer.capabilities.clone()).await),
        }
        .map(Some)
    }
}

/// One look in a guest's name.
struct Asking<'a> {
    gate: &'a Arc<Gate>,
    live: &'a Arc<Live>,
    server: &'a ServerName,
    guest: &'a Guest,
}

impl Asks for Asking<'_> {
    fn revision(&self) -> Revision {
        self.guest.way.revision
    }

    async fn ask(&self, method: &str, cursor: Option<&str>) -> Result<wire::Frame, Fault> {
        let Self { gate, live, server, guest: Guest { asker, way, .. } } = self;
        let opened = super::opened(gate, live, server, asker, *way, method).await;
        let (mut leg, lane) = opened.map_err(|because| Fault::unsent(FaultKind::Lost, because))?;
        let id = lane.next_id();
        let frame = reading::question(id, method, cursor, way.revision);
        let began = gate.clock.now();
        let outgoing = reading::outgoing(id, method, frame, way.revision, &lane.injected());
        let received = lane.connection().request(outgoing).await;
        let means = gate.pool.means();
        let received = received.or_else(|fault| upstream::page(fault, id, &lane.injected(), means));
        if let Ok(received) = &received {
            super::noted(gate, server, &mut leg, method, began, received);
        }
        let end = received.as_ref().map(|_| ()).map_err(upstream::refused);
        leg.close(gate, live, &end).await.map_err(|e| Fault::sent(FaultKind::Lost, e.because))?;
        reading::answer(method, received?.frame)
    }
}
