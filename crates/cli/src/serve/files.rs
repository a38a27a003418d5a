//! The files in force, and newer ones: read when they change, when SIGHUP says so, and when somebody asks. What
//! does not hold leaves the old ones running, and says so loudly.

mod misfit;

pub(crate) use misfit::{place_of, sentences};

use super::{aside::Aside, keeping, watch::Watch};
use crate::{
    control::Refused,
    failure::Failure,
    keys::{self as vault_keys, Asking},
    place::Place,
    settings::{self, Meant},
    sources::SystemClock,
    surroundings::Surroundings,
};
use arc_swap::ArcSwap;
use decision::{Clock, EventName, Timestamp};
use gateway::{
    Gate, Offers, Settings, Written,
    backends::Variables,
    listen::{
        safe_to_listen,
        tls::{Keys, Tls, TlsError},
    },
    settings::{Mode, Source},
};
use misfit::{Misfit, may_pass, unbuilt};
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::sync::{Mutex, mpsc, watch};
use tokio_util::sync::CancellationToken;
use vault::Sealer;

/// An editor writes a file in several steps; they count as one.
const SETTLE: Duration = Duration::from_millis(200);
/// Between two tries of what could not be read: the reason may pass without any change of the files.
const AGAIN: Duration = Duration::from_secs(5);
/// How often an operator is told again that the certificate is about to expire.
const REMINDER: Duration = Duration::from_secs(86_400);

/// Writes that other settings are in force, if they are. What cannot be recorded now cannot be called either.
async fn tell_changed(gate: &Gate, before: &Meant, after: &Meant) {
    let Some(changed) = settings::changed(before, after) else { return };
    let (old, new) = (changed.before.to_string(), changed.after.to_string());
    let detail = [("before", old.as_str()), ("after", new.as_str()), ("settings", changed.names.as_str())];
    if let Err(error) = super::open::tell(gate, EventName::SettingsChanged, &detail).await {
        tracing::error!("that other settings are in force could not be recorded: {error:#}");
    }
}

/// What others follow while files change.
#[derive(Debug, Clone)]
pub(super) struct InForce {
    pub(super) settings: Arc<ArcSwap<Settings>>,
    pub(super) console: Arc<ArcSwap<console::Settings>>,
    pub(super) standing: Arc<ArcSwap<Standing>>,
}

impl InForce {
    pub(super) fn of(place: &Place) -> Self {
        Self {
            settings: Arc::new(ArcSwap::from_pointee(place.meant.settings.clone())),
            console: Arc::new(ArcSwap::from_pointee(place.meant.console.clone())),
            standing: Arc::new(ArcSwap::from_pointee(Standing { since: SystemClock.now(), refused: None })),
        }
    }
}

/// Since when the files in force are in force, and what was wrong with newer ones.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    pub(super) since: Timestamp,
    pub(super) refused: Option<Refused>,
}

/// The files in force, of one reading.
#[derive(Debug)]
struct GoneBy {
    place: Arc<Place>,
    policies: Vec<policy::Source>,
}

/// What a reload needs.
#[derive(Debug)]
pub(super) struct Files {
    gone_by: ArcSwap<GoneBy>,
    /// One reload at a time. Whoever asks what is in force does not wait for it.
    reloading: Mutex<()>,
    /// Whether the newest files are to be tried again without a change of them.
    passing: watch::Sender<bool>,
    aside: Aside,
    surroundings: Surroundings,
    gate: Arc<Gate>,
    offers: Arc<Offers>,
    in_force: InForce,
    client: egress::Client,
    tls: Option<Tls>,
    /// Of which certificate's end an operator was told last, and when.
    reminded: ArcSwap<Option<(Timestamp, Timestamp)>>,
}

impl Files {
    pub(super) fn new(
        place: Place,
        surroundings: Surroundings,
        gate: &Arc<Gate>,
        offers: &Arc<Offers>,
        in_force: &InForce,
        client: egress::Client,
        tls: Option<Tls>,
    ) -> Arc<Self> {
        Arc::new(Self {
            gone_by: ArcSwap::from_pointee(GoneBy { place: Arc::new(place), policies: offers.policies() }),
            reloading: Mutex::default(),
            passing: watch::Sender::new(false),
            reminded: ArcSwap::default(),
            aside: Aside::default(),
            surroundings,
            gate: Arc::clone(gate),
            offers: Arc::clone(offers),
            in_force: in_force.clone(),
            client,
            tls,
        })
    }

    /// Reads the files anew and puts them in force if all of them hold. Errors: what does not.
    pub(super) async fn reload(&self) -> Result<(), Vec<String>> {
        self.read_anew(Try::First).await
    }

    async fn read_anew(&self, nth: Try) -> Result<(), Vec<String>> {
        let _alone = self.reloading.lock().await;
        let before = self.place();
        let outcome = self.renew(&before).await;
        self.passing.send_replace(outcome.as_ref().is_err_and(|misfit| misfit.passing));
        let outcome = outcome.map_err(|misfit| misfit.problems);
        let refused = self.standing().refused;
        if nth == Try::Again && outcome.as_ref().err() == refused.as_ref().map(|refused| &refused.problems) {
            // all of it was said the first time
            return outcome;
        }
        self.note(&outcome);
        match &outcome {
            Ok(()) => {
                tracing::info!(config = %before.config.display(), "the configuration was read anew and is in force");
                tell_changed(&self.gate, &before.meant, &self.place().meant).await;
            }
            Err(problems) => {
                for problem in problems {
                    tracing::error!("{problem}");
                }
                tracing::error!("the new configuration does not hold: THE OLD ONE STAYS IN FORCE");
            }
        }
        outcome
    }

    /// Keeps how the newest files were taken, for whoever asks and for monitoring.
    fn note(&self, outcome: &Result<(), Vec<String>>) {
        let now = SystemClock.now();
        self.gate.note_files(outcome.is_err());
        self.in_force.standing.store(Arc::new(match outcome {
            Ok(()) => Standing { since: now, refused: None },
            Err(problems) => Standing {
                since: self.standing().since,
                refused: Some(Refused { at: now, problems: problems.clone() }),
            },
        }));
    }

    /// Whatever reads a file does so aside: a call, a stop and the next reload must not wait for it.
    async fn renew(&self, before: &Arc<Place>) -> Result<(), Misfit> {
        let (old, surroundings) = (Arc::clone(before), self.surroundings.clone());
        let read = self.aside.run("the configuration and the policies", move || read(&old, &surroundings));
        let (new, written, keys) = read.await.map_err(Misfit::unreadable)??;
        self.install(before, new, written, keys).await
    }

    /// Everything that can fail comes first, and then one step puts all of it in force.
    async fn install(
        &self,
        before: &Arc<Place>,
        new: Place,
        written: Written,
        keys: Option<Keys>,
    ) -> Result<(), Misfit> {
        let (settings, policies) = (Arc::clone(&written.settings), written.policies.clone());
        let live = self.gate.live();
        let new = Arc::new(new);
        let (gate, old, place) = (Arc::clone(&self.gate), Arc::clone(before), Arc::clone(&new));
        let prepare = move || -> anyhow::Result<_> {
            let backends = gate.backends().prepare(&place.meant.settings)?;
            let sealing = tokio::runtime::Handle::current().block_on(sealing(&gate, &old, &place))?;
            Ok((backends, sealing))
        };
        let prepared = self.aside.run("the keys of the vault", prepare).await.map_err(Misfit::unreadable)?;
        let (backends, sealing) = prepared.map_err(Misfit::unreadable)?;
        let sealer = match &sealing {
            Some(keys) => Sealer::new(Arc::clone(keys.current())),
            None => self.gate.opener().sealer(),
        };
        keeping::prepare(&self.gate, &new, &sealer).await.map_err(Misfit::unreadable)?;
        // while both are in force, what either names may be reached
        self.client.set_policy(live.settings.reachable().or(settings.reachable()));
        let along = || {
            self.gate.backends().install(backends);
            if let Some(sealing) = sealing {
                self.gate.replace_keys(sealing);
            }
            self.in_force.settings.store(Arc::clone(&settings));
            self.in_force.console.store(Arc::new(new.meant.console.clone()));
            if let (Some(tls), Some(keys)) = (&self.tls, keys) {
                tls.install(keys);
            }
        };
        let reloaded = self.offers.reload(written, along).await;
        let in_force = if reloaded.is_ok() { &settings } else { &live.settings };
        self.client.set_policy(in_force.reachable());
        reloaded.map_err(unbuilt)?;
        announce(&settings);
        let place = Arc::clone(&new);
        remark(&self.aside.run("the policies", move || place.remarks()).await.unwrap_or_default());
        self.remind();
        self.gone_by.store(Arc::new(GoneBy { place: Arc::clone(&new), policies }));
        keeping::begin(&self.gate, &new).await;
        Ok(())
    }

    /// What is in force.
    pub(super) fn place(&self) -> Arc<Place> {
        Arc::clone(&self.gone_by.load().place)
    }

    /// What is in force and the policies that were read with it.
    pub(super) fn read(&self) -> (Arc<Place>, Vec<policy::Source>) {
        let gone_by = self.gone_by.load();
        (Arc::clone(&gone_by.place), gone_by.policies.clone())
    }

    /// How the newest files were taken.
    pub(super) fn standing(&self) -> Standing {
        Standing::clone(&self.in_force.standing.load())
    }

    pub(super) fn in_force(&self) -> &InForce {
        &self.in_force
    }

    /// Says that the certificate is about to expire, if it is, once a day; of another one at once.
    fn remind(&self) {
        let now = SystemClock.now();
        if let Some(tls) = &self.tls
            && let Some(days) = tls.keys().expires_soon(now)
            && is_due(**self.reminded.load(), tls.keys().expires(), now)
        {
            self.reminded.store(Arc::new(Some((tls.keys().expires(), now))));
            tracing::warn!(days, "THE LISTENER'S CERTIFICATE IS ABOUT TO EXPIRE: put a new one in its place");
        }
    }

    /// Follows the files until `closing` is cancelled.
    pub(super) async fn follow(self: Arc<Self>, mut hang_up: mpsc::Receiver<()>, closing: CancellationToken) {
        let mut reminder = tokio::time::interval(REMINDER);
        let (changed, mut changes) = mpsc::channel(16);
        let watch = Watch::new(changed).map(Arc::new);
        if let Err(error) = &watch {
            unwatched(error);
        }
        let watch = watch.ok();
        self.look(watch.as_ref()).await;
        if self.are_others().await {
            let _ = self.reload().await;
            self.look(watch.as_ref()).await;
        }
        loop {
            let nth = tokio::select! {
                () = closing.cancelled() => return,
                _ = reminder.tick() => {
                    self.remind();
                    continue;
                }
                Some(()) = hang_up.recv() => Try::First,
                Some(()) = changes.recv() => {
                    tokio::time::sleep(SETTLE).await;
                    while changes.try_recv().is_ok() {}
                    Try::First
                }
                () = self.is_to_be_tried() => Try::Again,
            };
            // what is new is watched before it is read, so that no later change of it is missed
            self.look(watch.as_ref()).await;
            // what is wrong was said already
            let _ = self.read_anew(nth).await;
            self.look(watch.as_ref()).await;
        }
    }

    /// Waits until it is time to try again what could not be read, whoever tried it before: commands reload beside this.
    async fn is_to_be_tried(&self) {
        let mut passing = self.passing.subscribe();
        while passing.wait_for(|passing| *passing).await.is_ok() {
            tokio::time::sleep(AGAIN).await;
            if *passing.borrow_and_update() {
                return;
            }
        }
    }

    /// Whether the files are not those in force: somebody may have changed them between their reading at the start and the
    /// watch over them.
    async fn are_others(&self) -> bool {
        let (place, surroundings, live) = (self.place(), self.surroundings.clone(), self.gate.live());
        let read = move || {
            let new = Place::at(&place.config, place.written, &surroundings).ok()?;
            let policies = new.policies().ok()?;
            Some(new.digest == place.digest && live.policies.are_from(&policies))
        };
        // what cannot be read is another one too, and the reload says why
        !matches!(self.aside.run("the configuration and the policies", read).await, Ok(Some(true)))
    }

    /// Watches the folders in which the files are now.
    async fn look(&self, watch: Option<&Arc<Watch>>) {
        let Some(watch) = watch.map(Arc::clone) else { return };
        let (place, named) = (self.place(), named_files(&self.place().meant.settings));
        let looked = self.aside.run("the folders to watch", move || watch.look(&place, &named)).await;
        match looked {
            Ok(Ok(())) => {}
            Ok(Err(error)) => unwatched(&error),
            Err(why) => tracing::warn!("{why}"),
        }
    }
}

/// Whether that a certificate ends then is to be said now, after what was said last.
fn is_due(told: Option<(Timestamp, Timestamp)>, ends: Timestamp, now: Timestamp) -> bool {
    // the clock that wakes up is another one, and may be a little faster
    let day = u64::try_from((REMINDER - Duration::from_secs(60)).as_micros()).unwrap_or(u64::MAX);
    told.is_none_or(|(of, at)| of != ends || now.since(at) >= day)
}

/// Whether somebody changed or asked for something, or it is just tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Try {
    First,
    Again,
}

fn unwatched(error: &dyn std::fmt::Display) {
    tracing::warn!(%error, "files cannot be watched: send SIGHUP after a change");
}

/// Reads the files anew. Errors: what does not hold in them, or cannot change.
fn read(before: &Place, surroundings: &Surroundings) -> Result<(Place, Written, Option<Keys>), Misfit> {
    let new = Place::at(&before.config, true, surroundings).map_err(|failure| Misfit {
        problems: sentences(&failure),
        passing: match &failure {
            Failure::Settings(_) => false,
            Failure::Fault(why) => may_pass(why),
            Failure::Usage(_) | Failure::Unreadable { .. } | Failure::Policies(_) => true,
        },
    })?;
    let policies = new.policies().map_err(|why| Misfit::unread(&why))?;
    let (old, settings) = (&before.meant.settings, &new.meant.settings);
    safe_to_listen(settings).map_err(|error| Misfit::written(vec![error.to_string()]))?;
    let mut fixed = Vec::new();
    if old.listen != settings.listen {
        fixed.push("listen");
    }
    if old.tenant != settings.tenant {
        fixed.push("tenant");
    }
    if old.environment != settings.environment {
        fixed.push("environment");
    }
    if before.meant.state_dir != new.meant.state_dir {
        fixed.push("state-dir");
    }
    if before.meant.database != new.meant.database {
        fixed.push("database");
    }
    if old.tls.is_some() != settings.tls.is_some() {
        fixed.push("tls");
    }
    if !fixed.is_empty() {
        let keys = fixed.join("`, `");
        let fixed = format!("`{keys}` cannot change while the gateway runs: restart it");
        return Err(Misfit::written(vec![fixed]));
    }
    let keys = keys(settings).map_err(Misfit::unreadable)?;
    let written = Written { settings: Arc::new(settings.clone()), policies };
    Ok((new, written, keys))
}

/// The keys that are to be in force. `None` where they stay, because a passphrase was asked for.
async fn sealing(gate: &Gate, before: &Place, new: &Place) -> anyhow::Result<Option<vault::Keys>> {
    if new.meant.keys.asks() && new.meant.keys == before.meant.keys {
        return Ok(None);
    }
    vault_keys::open(new, gate.store(), Asking::Never).await.map(Some)
}

/// The listener's keys, where there is TLS.
pub(crate) fn keys(settings: &Settings) -> Result<Option<Keys>, TlsError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    settings.tls.as_ref().map(|tls| Keys::read(tls, &clock)).transpose()
}

/// The files that the configuration names and that count as it does: the listener's keys, and whom it and the gateway
/// trust.
fn named_files(settings: &Settings) -> Vec<PathBuf> {
    let trusted = settings.vault.kv.iter().filter_map(|kv| kv.ca_file.clone());
    let tls = settings.tls.iter().flat_map(|tls| {
        let clients = tls.clients.iter().map(|clients| clients.authorities.clone());
        [tls.certificate.clone(), tls.key.clone()].into_iter().chain(clients)
    });
    tls.chain(trusted).collect()
}

/// The variables that sources name, as they are now: those of a file that is read later are not looked for.
pub(super) fn variables(settings: &Settings) -> Variables {
    let sources = settings.servers.values().flat_map(|server| &server.credentials).map(|one| &one.source);
    let named = sources.filter_map(|source| match source {
        Source::Variable(name) => Some(name),
        Source::Stored | Source::Kv(_) | Source::File(_) => None,
    });
    named.filter_map(|name| Some((name.clone(), Surroundings::named(name)?.into()))).collect()
}

/// Says what of the files is not read, and what others can write.
pub(super) fn remark(remarks: &[String]) {
    for remark in remarks {
        tracing::warn!("{remark}");
    }
}

/// Says loudly what an operator should not forget.
pub(super) fn announce(settings: &Settings) {
    for (server, _) in settings.servers.iter().filter(|(_, server)| server.mode == Mode::Observe) {
        tracing::warn!(%server, "OBSERVE MODE: rules about this server refuse nothing, they only record what they would");
    }
    for issuer in settings.oauth.iter().flat_map(|oauth| &oauth.issuers) {
        let name = &issuer.source.issuer;
        if issuer.accept_any_token_type {
            tracing::warn!(issuer = %name, "TOKENS OF ANY TYPE are taken, ID tokens too: `accept-any-token-type`");
        }
        if issuer.mapping.trust_unverified_email {
            tracing::warn!(issuer = %name, "UNVERIFIED EMAIL ADDRESSES name people: `trust-unverified-email`");
        }
    }
    if settings.tls_terminated_upstream {
        tracing::warn!(address = %settings.listen, "TLS ENDS IN FRONT: tokens arrive here in the clear, so nobody else may be between");
    }
    for (server, secret) in settings.from_development_sources() {
        tracing::warn!(%server, %secret, "DEVELOPMENT SOURCE: this secret is in a file or a variable and in no vault");
    }
    if let Some(agent) = &settings.unauthenticated_loopback {
        tracing::warn!(%agent, "every program on this machine may call without a token, as this agent");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_a_certificate_ends_is_said_once_a_day_and_of_another_at_once() {
        let (ends, now) = (Timestamp(10_000_000_000_000), Timestamp(9_000_000_000_000));
        let later = |seconds: u64| Timestamp(now.0 + seconds * 1_000_000);
        assert!(is_due(None, ends, now));
        let told = Some((ends, now));
        assert!(!is_due(told, ends, now) && !is_due(told, ends, later(80_000)), "with any number of reloads");
        assert!(is_due(told, ends, later(86_400)) && is_due(told, Timestamp(ends.0 + 1), now));
    }
}
