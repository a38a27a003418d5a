//! What must be open before a call is taken: store, ledger, key; and what the last stop left behind.

use crate::{
    command::secret,
    control::{self, LOCKED_MOST, LOCKED_PAUSE, LOCKED_TOLD, Loss},
    indexed,
    keys::{self, Asking},
    place::Place,
    settings,
    sources::SystemClock,
};
use anyhow::Context as _;
use decision::{Clock as _, Entry, Event, EventName};
use gateway::{BuildError, Built, Gate};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use store::{
    Claim, LogClaim, Scope, Store, Telling,
    ledger::{Ledger, Record, Recovered},
};
use tokio::task::JoinHandle;

/// Open, and ours alone.
pub(super) struct Opened {
    pub(super) store: Store,
    pub(super) opener: vault::Opener,
    ledger: JoinHandle<anyhow::Result<(Arc<Ledger>, LogClaim)>>,
    /// Held for as long as we serve.
    _claim: Claim,
    log: Option<LogClaim>,
}

impl Opened {
    pub(super) async fn open(place: &Place) -> anyhow::Result<Self> {
        let store = place.store_to_serve().await?;
        let claim = store.claim()?;
        let keys = keys::open(place, &store, Asking::Allowed).await?;
        if let Some(why) = keys::unlocked() {
            tracing::warn!("{why}");
        }
        for named in secret::closed(place, &store, &keys).await? {
            tracing::error!(
                "{named} is sealed under a key that is not there, so calls that need it are refused: name that key under `vault.old-keys`"
            );
        }
        for one in secret::missing(place, &store).await? {
            tracing::error!(
                server = %one.server, secret = %one.secret,
                "the secret is missing, so calls to the server are refused: {}", one.advice()
            );
        }
        // all of it is read, which takes long: what is beside it is prepared meanwhile
        let ledger = tokio::spawn(whole_ledger(place.ledger_dir(), store.clone(), place.scope()));
        Ok(Self { store, opener: vault::Opener::new(keys), ledger, _claim: claim, log: None })
    }

    /// A snapshot, and the ledger, of which by then all is known to be as it was written and every call has an end. For once.
    pub(super) async fn with_ledger(
        &mut self,
        build: impl AsyncFn() -> Result<Built, BuildError>,
    ) -> anyhow::Result<(Built, Arc<Ledger>)> {
        let ledger = async {
            let (ledger, claim) = (&mut self.ledger).await.context("whoever read the ledger panicked")??;
            self.log = Some(claim);
            Ok(ledger)
        };
        beside_ledger(&self.store, ledger, build).await
    }
}

/// Builds while the ledger is read, and anew where a command that had the ledger until then changed what it was built from.
/// What is wrong with the ledger is told first: nothing is served over a record that is not known to be good.
async fn beside_ledger(
    store: &Store,
    ledger: impl Future<Output = anyhow::Result<Arc<Ledger>>>,
    build: impl AsyncFn() -> Result<Built, BuildError>,
) -> anyhow::Result<(Built, Arc<Ledger>)> {
    let (built, ledger) = (build().await, ledger.await?);
    let built = built?;
    if built.live.revision == store.revision().await? {
        return Ok((built, ledger));
    }
    Ok((build().await?, ledger))
}

async fn whole_ledger(dir: PathBuf, store: Store, scope: Scope) -> anyhow::Result<(Arc<Ledger>, LogClaim)> {
    let control::OpenLedger { ledger, recovered, claim } = ledger(&dir, &store, &scope).await?;
    recover(&ledger, recovered).await?;
    let ledger = Arc::new(ledger);
    // no command is about to tell anything: whoever decides without a gateway has the ledger first
    let late = store.tell(&scope, &ledger, Telling::all_left()).await;
    let late = late.context("what was decided before the last stop cannot be recorded")?;
    if late > 0 {
        tracing::warn!(
            events = late,
            "something was decided before the last stop and not recorded: it is now"
        );
    }
    Ok((ledger, claim))
}

/// Opens the ledger, once a command that has it for a moment is done with it.
async fn ledger(dir: &Path, store: &Store, scope: &Scope) -> anyhow::Result<control::OpenLedger> {
    let (begun, mut is_told) = (tokio::time::Instant::now(), false);
    loop {
        match control::open_ledger(store, dir, Loss::Refused, scope).await {
            Err(error) if control::is_taken(&error) && begun.elapsed() < LOCKED_MOST => {
                if begun.elapsed() > LOCKED_TOLD && !is_told {
                    is_told = true;
                    tracing::warn!("waiting, for {} s at most: {error:#}", LOCKED_MOST.as_secs());
                }
                tokio::time::sleep(LOCKED_PAUSE).await;
            }
            // once it is ours: whoever has it has the database that goes with it
            opened => match indexed::older(store, dir).await? {
                Some(older) if opened.is_ok() => return Err(older.into()),
                _ => return opened,
            },
        }
    }
}

/// Closes what the last stop left open: intents whose call may or may not have reached its server.
async fn recover(ledger: &Ledger, recovered: Recovered) -> anyhow::Result<()> {
    if let Some(cut) = recovered.cut {
        tracing::warn!(bytes = cut.bytes, "an unfinished group was cut off the end of the ledger");
    }
    if !recovered.unreadable.is_empty() {
        let (first, count) = (recovered.unreadable.first(), recovered.unreadable.len());
        tracing::warn!(?first, count, "the ledger holds entries that this version cannot read");
    }
    for name in &recovered.strays {
        tracing::warn!(
            ?name,
            "a file lies among the ledger's segments and is no part of it: nobody reads it, and it was left alone"
        );
    }
    let open = recovered.open;
    if open.is_empty() {
        return Ok(());
    }
    tracing::warn!(
        calls = open.len(),
        "calls were open when the gateway stopped: closing them as `outcome unknown`"
    );
    gateway::close_open(ledger, &SystemClock, &open).await.context("cannot close the calls that were open")
}

/// Writes that the gateway takes calls from now on, and by which settings and policies: they may have changed while
/// nobody was there to see it. Errors: it is not in the record.
pub(super) async fn tell_started(gate: &Gate, place: &Place) -> anyhow::Result<()> {
    let policy = gate.live().policies.digest().to_string();
    let settings = settings::digest(&place.meant).to_string();
    let detail = [
        ("version", env!("CARGO_PKG_VERSION")),
        ("policy", policy.as_str()),
        ("settings", settings.as_str()),
    ];
    tell(gate, EventName::GatewayStarted, &detail).await
}

/// Writes an event of the gateway's own. Errors: it is not in the record.
pub(super) async fn tell(gate: &Gate, event: EventName, detail: &[(&str, &str)]) -> anyhow::Result<()> {
    let live = gate.live();
    let entry = Entry::Event(Event {
        v: 1,
        at: SystemClock.now(),
        tenant: live.settings.tenant.clone(),
        environment: live.settings.environment.clone(),
        event,
        call: None,
        server: None,
        detail: detail.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
    });
    let record = Record::new(entry, Vec::new())?;
    gate.ledger().append(vec![record]).await.map(drop).context("the ledger cannot be written")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{place::Place, sources::SystemEntropy, surroundings::Surroundings};
    use decision::{Item, ItemKind, ServerName};
    use gateway::{Fit, Written};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use store::{FirstSight, Seen, Sighting, ledger::Options};

    struct House {
        dir: tempfile::TempDir,
        place: Place,
        store: Store,
        builds: AtomicUsize,
    }

    impl House {
        async fn open() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let config = dir.path().join("callgate.toml");
            std::fs::write(
                &config,
                "state-dir = \"state\"\n[servers.crm]\nurl = \"http://127.0.0.1:9/mcp\"\n",
            )
            .unwrap();
            let place =
                Place::at(&config, true, &Surroundings::default()).unwrap_or_else(|_| panic!("{config:?}"));
            place.state().unwrap();
            let store = place.store().await.unwrap();
            Self { dir, place, store, builds: AtomicUsize::new(0) }
        }

        async fn build(&self) -> Result<Built, BuildError> {
            self.builds.fetch_add(1, Ordering::SeqCst);
            let settings = Arc::new(self.place.meant.settings.clone());
            let written = Written { settings, policies: Vec::new() };
            let eras = std::collections::BTreeMap::new();
            gateway::build(&self.store, &policy::Loader::default(), &written, None, &eras, Fit::Changed).await
        }

        fn ledger(&self) -> Arc<Ledger> {
            let dir = self.dir.path().join("ledger");
            Arc::new(Ledger::open(&dir, Arc::new(SystemClock), &SystemEntropy, Options::default()).unwrap().0)
        }
    }

    #[tokio::test]
    async fn what_changed_while_the_ledger_was_read_is_in_the_first_snapshot() {
        let house = House::open().await;
        let still = async { Ok(house.ledger()) };
        let (built, ledger) = beside_ledger(&house.store, still, async || house.build().await).await.unwrap();
        assert_eq!(house.builds.swap(0, Ordering::SeqCst), 1, "nothing changed");
        ledger.close().await.unwrap();
        let crm = ServerName::new("crm").unwrap();
        assert!(built.live.catalogue.item(&crm, ItemKind::Tool, "get").is_none());
        let changed = async {
            let meta = store::ServerMeta {
                era: decision::Era::Modern,
                revision: "2026-07-28".to_owned(),
                info: None,
                capabilities: None,
            };
            let (scope, server) = (house.place.scope(), crm.clone());
            house.store.put_server_meta(&scope, &server, &meta).await.unwrap();
            let raw = bytes::Bytes::from_static(br#"{"name":"get"}"#);
            let shown = catalog::Definition::new(server.clone(), ItemKind::Tool, raw.clone()).unwrap();
            let item = Item { kind: ItemKind::Tool, name: "get".to_owned() };
            let items = vec![Seen { item, digest: shown.digest(), raw }];
            let (kinds, withheld, apart) = ([ItemKind::Tool].into(), [].into(), [].into());
            let sighting = Sighting { server, kinds, items, first: FirstSight::Pin, withheld, apart };
            house.store.record_seen(&house.store.own_writer(), &scope, &sighting).await.unwrap();
            Ok(house.ledger())
        };
        let (built, _) = beside_ledger(&house.store, changed, async || house.build().await).await.unwrap();
        assert!(built.live.catalogue.item(&crm, ItemKind::Tool, "get").is_some());
        assert_eq!(house.builds.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_ledger_that_cannot_be_opened_is_told_before_anything_else_is() {
        let house = House::open().await;
        let shut = async { Err(anyhow::anyhow!("the ledger is damaged")) };
        house.store.close().await;
        let told = beside_ledger(&house.store, shut, async || house.build().await).await.unwrap_err();
        assert_eq!(told.to_string(), "the ledger is damaged");
        let read = async { Ok(house.ledger()) };
        assert!(beside_ledger(&house.store, read, async || house.build().await).await.is_err());
    }
}
