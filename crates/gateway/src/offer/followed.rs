//! Looking at servers: each when it is its turn, when it says that something changed, and when somebody asks.

use super::{Offers, Unlooked, pace::Pace};
use crate::gate::Live;
use crate::settings::Settings;
use decision::ServerName;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::sync::mpsc;
use tokio::time::Instant;

impl Offers {
    /// Looks at a server for somebody who waits for it, whosever turn it is. False where nobody looks at it: it is suspended,
    /// retired or not configured.
    pub async fn look_now(&self, server: &ServerName) -> Result<bool, Unlooked> {
        let live = self.gate.live();
        if !live.settings.servers.contains_key(server) || !live.registry.looks(server) {
            return Ok(false);
        }
        drop(live);
        let looked = Box::pin(self.look(server)).await;
        self.heed(server, &looked, None);
        looked.map(|()| true)
    }

    /// What a look came to, for whoever asks later, and for the log with when it is tried again.
    fn heed(&self, server: &ServerName, looked: &Result<(), Unlooked>, next: Option<Duration>) {
        let Err(reason) = looked else { return self.gate.absences.over(server) };
        let reason = reason.to_string();
        self.gate.absences.missed(server, self.gate.clock.now(), &reason);
        match next.map(|next| next.as_secs()) {
            Some(retry_s) => tracing::warn!(server = %server, reason, retry_s, "server cannot be looked at"),
            None => tracing::warn!(server = %server, reason, "server cannot be looked at"),
        }
    }

    /// Follows one server for as long as it is configured.
    async fn follow(self: Arc<Self>, server: ServerName, mut wake: mpsc::Receiver<()>) {
        let mut pace = Pace::default();
        loop {
            let settings = Arc::clone(&self.gate.live().settings);
            let looked = Box::pin(self.look(&server)).await;
            let next = pace.after(&looked);
            self.heed(&server, &looked, Some(next));
            let looked = Instant::now();
            tokio::select! {
                woken = wake.recv() => {
                    if woken.is_none() {
                        return;
                    }
                    let until = Instant::now() + pace.woken(looked.elapsed());
                    self.settle(until, &settings).await;
                    while wake.try_recv().is_ok() {}
                }
                () = tokio::time::sleep(next) => {}
            }
            if !self.gate.live().settings.servers.contains_key(&server) || self.gate.is_draining() {
                self.gate.absences.over(&server);
                return;
            }
        }
    }

    /// Waits, but no longer than until somebody wrote other settings: the server may be another one now.
    async fn settle(&self, until: Instant, settings: &Arc<Settings>) {
        while Instant::now() < until && Arc::ptr_eq(&self.gate.live().settings, settings) {
            let soon = Instant::now() + Duration::from_secs(1);
            tokio::time::sleep_until(until.min(soon)).await;
        }
    }

    /// Starts a follower for each configured server that has none.
    pub(super) fn follow_all(
        self: &Arc<Self>,
        live: &Live,
        followers: &mut BTreeMap<ServerName, mpsc::Sender<()>>,
    ) {
        followers.retain(|_, wake| !wake.is_closed());
        for server in live.settings.servers.keys() {
            if !followers.contains_key(server) {
                let (wake, woken) = mpsc::channel(8);
                followers.insert(server.clone(), wake);
                tokio::spawn(Arc::clone(self).follow(server.clone(), woken));
            }
        }
    }
}
