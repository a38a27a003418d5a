//! Has this very deed been done already (requirement B14). A call under a key, which its client gives or which the operator
//! lets its arguments be, is made once: whoever makes it again has the first answer, judged anew by the rules and inspected
//! anew, and nothing is sent, spent or asked of people. What may or may not have happened is not tried a second time.
//!
//! A call without a key never asks the database.

mod answers;
mod refusals;

pub(crate) use answers::{Noted, abandon, again, left, note, settle};
pub(crate) use refusals::{in_progress, unkept};

use crate::commit::Spent;
use crate::drafts;
use crate::exchange::Arrival;
use crate::gate::{Gate, Live};
use crate::record::Leg;
use crate::resolve::Resolved;
use crate::unsettled;
use catalog::Effect;
use decision::twin::{self, Key, Meeting, Repeat, Source, Standing};
use decision::{Call, Code, Digest, Direction, Passed, Refusal, ServerName, Timestamp};
use refusals::{answer_unkept, left_behind, malformed, reused, unknown};
use std::borrow::Cow;
use std::time::Duration;
use store::{KeptTwin, KeyClaim, StoreError};
use tokio::sync::{Semaphore, broadcast};
use tokio::time::Instant;
use wire::Frame;

/// Where a client gives its key.
const KEY: &str = "callgate/idempotency-key";
/// So many calls look for their twins at once; others wait for their turn here, and not for a connection.
const TURNS: usize = 4;
/// Most calls that wait for their twins at once; more are told to come again.
const BEHIND_MAX: usize = 1_024;
/// A call waits so long for its twin before its client is told to come again: less than clients wait.
const PATIENCE: Duration = Duration::from_secs(25);
/// So often it looks: on PostgreSQL the twin may be another gateway's.
const LOOK: Duration = Duration::from_secs(1);

/// What the gateway remembers of calls with keys.
#[derive(Debug)]
pub(crate) struct Replays {
    turns: Semaphore,
    places: Semaphore,
    /// Names each key whose deed is not on its way any more.
    settled: broadcast::Sender<Digest>,
}

impl Default for Replays {
    fn default() -> Self {
        Self {
            turns: Semaphore::new(TURNS),
            places: Semaphore::new(BEHIND_MAX),
            settled: broadcast::channel(1_024).0,
        }
    }
}

/// What is known of a message's key.
#[derive(Debug, Default)]
pub(crate) struct Keyed {
    /// The key that it takes at commit.
    pub(crate) claim: Option<Box<KeyClaim>>,
    /// The key under which its twin is on its way, or may be by the time of the commit.
    pub(crate) behind: Option<Box<Key>>,
    /// That of the message it goes on from, whether or not it names it again.
    pub(crate) inherits: Option<Digest>,
    /// What its server answered.
    pub(crate) noted: Option<Box<Noted>>,
}

/// A deed whose answer is the call's.
#[derive(Debug)]
pub(crate) struct Finished {
    key: Key,
    kept: KeptTwin,
}

/// Under which key a message is, for how long, and on whose word.
struct Under {
    key: Key,
    window: Duration,
    how: &'static str,
}

/// Takes out keys whose time is over; how many there were.
pub async fn tidy(gate: &Gate) -> Result<u64, StoreError> {
    gate.store.forget_keys().await
}

/// Looks for the call's twin.
pub(crate) async fn look(
    gate: &Gate,
    live: &Live,
    call: &Call,
    resolved: &Resolved,
    leg: &mut Leg,
) -> Result<Passed<Option<Finished>>, Refusal> {
    match under(live, call, resolved, leg)? {
        None => Ok(Passed::plain(None)),
        // boxed: few calls have a key, and the state of every path has what is not
        Some(under) => Box::pin(found(gate, live, resolved, under, leg)).await,
    }
}

async fn found(
    gate: &Gate,
    live: &Live,
    resolved: &Resolved,
    Under { mut key, window, how }: Under,
    leg: &mut Leg,
) -> Result<Passed<Option<Finished>>, Refusal> {
    // a twin that is over and could not be settled is not on its way
    unsettled::settle_left(gate).await;
    let turn = gate.replays.turns.acquire().await;
    let found = gate.store.twin(&live.settings.scope(), &key).await.map_err(unkept)?;
    drop(turn);
    if let Some(kept) = found.as_ref().filter(|kept| kept.twin.deed == leg.deed) {
        // the legs of a deed may say more than the first did
        key.asks = kept.twin.asks;
    }
    let mut basis = vec![format!("key:{how}")];
    let now = gate.clock.now();
    let meets =
        |kept: &KeptTwin| kept.twin.meets(&key.asks, (leg.deed, leg.leg), repeat(live, resolved), now);
    let refused = match (found.as_ref().map(meets), found) {
        (None | Some(Meeting::Goes), _) if resolved.submits.is_some_and(|submits| submits.again) => {
            drafts::spent()
        }
        (None | Some(Meeting::Goes), found) => {
            let window_us = crate::approval::micros(window);
            leg.keyed.behind = Some(Box::new(key));
            let over = found.map(|kept| kept.twin);
            leg.keyed.claim = Some(Box::new(KeyClaim { key, leg: leg.leg, window_us, over }));
            return Ok(Passed::new(None, basis));
        }
        (Some(meeting), Some(kept)) if meeting == Meeting::Answered || asks_again(meeting, &kept, leg) => {
            basis.push(format!("replayed:{}", kept.twin.call));
            return Ok(Passed::new(Some(Finished { key, kept }), basis));
        }
        (Some(Meeting::Reused), Some(kept)) => reused(&kept.twin),
        (Some(Meeting::InProgress), Some(kept)) => {
            if let Some(seen_at) = gone(gate, live, &kept).await {
                left_behind(&kept, seen_at)
            } else {
                leg.keyed.behind = (kept.twin.standing == Standing::Sent).then(|| Box::new(key));
                in_progress(Some(&kept.twin))
            }
        }
        (Some(Meeting::Unknown), Some(kept)) => unknown(&kept.twin),
        (Some(Meeting::Answered), _) | (Some(_), None) => {
            Refusal::new(Code::StageFailed, "a twin that is none")
        }
    };
    basis.extend(refused.basis.iter().cloned());
    Err(refused.basis(basis))
}

/// When the gateway that made the call was there last, if it is gone: nobody settles what it has under way.
async fn gone(gate: &Gate, live: &Live, kept: &KeptTwin) -> Option<Timestamp> {
    if kept.twin.standing != Standing::Sent || kept.log == gate.ledger.public_key().origin() {
        return None;
    }
    let all = gate.store.gateways(&live.settings.scope()).await.ok()?;
    let now = gate.clock.now();
    all.into_iter().find(|one| one.log == kept.log && !one.is_there(now)).map(|one| one.seen_at)
}

/// Another call that finds its twin waiting for answers has the same questions.
fn asks_again(meeting: Meeting, kept: &KeptTwin, leg: &Leg) -> bool {
    meeting == Meeting::InProgress
        && kept.twin.standing == Standing::Waits
        && kept.answer.is_some()
        && kept.twin.deed != leg.deed
}

/// The key of a message. `None`: it has no twins.
fn under(live: &Live, call: &Call, resolved: &Resolved, leg: &Leg) -> Result<Option<Under>, Refusal> {
    if call.method() != "tools/call" || call.direction() != Direction::ToServer || resolved.drafts().is_some()
    {
        return Ok(None);
    }
    let (server, name) = (&resolved.target.server, &resolved.target.item.name);
    let declared = live.settings.servers.get(server).and_then(|one| one.declarations.idempotency(name));
    let clients = live.settings.idempotency.window;
    let own = given(&resolved.frame)?;
    Ok(match (leg.keyed.inherits, own, declared) {
        (Some(digest), _, _) => {
            let key = Key { digest, ..Key::of(call, Source::Arguments) };
            Some(Under { key, window: declared.unwrap_or_default().max(clients), how: "deed" })
        }
        (None, Some(own), _) => {
            Some(Under { key: Key::of(call, Source::Client(&own)), window: clients, how: "client" })
        }
        (None, None, Some(window)) => {
            Some(Under { key: Key::of(call, Source::Arguments), window, how: "arguments" })
        }
        (None, None, None) => None,
    })
}

/// The client's own.
fn given(frame: &Frame) -> Result<Option<Cow<'_, str>>, Refusal> {
    let path = ["params", "_meta", KEY];
    if frame.member(&path).is_none() {
        return Ok(None);
    }
    frame.string_at(&path).filter(|key| twin::is_key(key)).map(Some).ok_or_else(malformed)
}

/// Whether a call of the tool may have been made before under the same key.
pub(crate) fn may_have_twin(live: &Live, frame: &Frame, server: &ServerName, tool: &str) -> bool {
    let server = live.settings.servers.get(server);
    frame.member(&["params", "_meta", KEY]).is_some()
        || server.is_some_and(|server| server.declarations.idempotency(tool).is_some())
}

/// The key under which the deed goes on, for the message that does.
pub(crate) fn passed_on(leg: &Leg) -> Option<Digest> {
    let taken = leg.spent.as_ref().and_then(Spent::key);
    taken.map(|key| key.digest).or(leg.keyed.inherits)
}

/// Whether the call's twin took the key after this call had looked for it.
pub(crate) async fn overtaken(gate: &Gate, live: &Live, leg: &Leg) -> Result<Option<Refusal>, Refusal> {
    let Some(claim) = &leg.keyed.claim else { return Ok(None) };
    let found = gate.store.twin(&live.settings.scope(), &claim.key).await.map_err(unkept)?;
    let other = found.filter(|kept| Some(&kept.twin) != claim.over.as_ref());
    Ok(other.map(|kept| in_progress(Some(&kept.twin))))
}

/// A stage's answer, unless its no is of what the call's twin took meanwhile: then the call waits for that.
pub(crate) async fn unless_overtaken<T>(
    gate: &Gate,
    live: &Live,
    leg: &Leg,
    answer: Result<T, Refusal>,
) -> Result<T, Refusal> {
    match answer {
        Err(no) if matches!(no.code, Code::BudgetExceeded | Code::ApprovalSpent | Code::DraftUnknown) => {
            Err(Box::pin(overtaken(gate, live, leg)).await?.unwrap_or(no))
        }
        answer => answer,
    }
}

/// Waits until the twin is not on its way any more, as long as the client does and a bounded time in all.
pub(crate) async fn until_over(
    gate: &Gate,
    arrival: &Arrival,
    key: &Key,
    until: &mut Option<Instant>,
) -> bool {
    let until = *until.get_or_insert_with(|| Instant::now() + PATIENCE);
    let Ok(_place) = gate.replays.places.try_acquire() else { return false };
    let scope = gate.live().settings.scope();
    let over = async {
        let mut settled = gate.replays.settled.subscribe();
        loop {
            unsettled::settle_left(gate).await;
            let turn = gate.replays.turns.acquire().await;
            let found = gate.store.twin(&scope, key).await;
            drop(turn);
            match found {
                Ok(Some(kept)) if kept.twin.standing == Standing::Sent => {}
                Ok(_) => return true,
                Err(_) => return false,
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let told = async {
                // one that was missed may have been this one
                while settled.recv().await.is_ok_and(|one| one != key.digest) {}
            };
            let _ = tokio::time::timeout(LOOK.min(left), told).await;
        }
    };
    tokio::select! {
        biased;
        () = arrival.cancel.cancelled() => false,
        () = gate.drained() => false,
        over = over => over,
    }
}

/// What changes nothing may be tried again, and so may what its operator says.
fn repeat(live: &Live, resolved: &Resolved) -> Repeat {
    let reads = resolved.item.as_ref().is_some_and(|item| item.classified.effect == Effect::Read);
    let server = live.settings.servers.get(&resolved.target.server);
    let name = &resolved.target.item.name;
    match reads || server.is_some_and(|server| server.declarations.repeats_unknown(name)) {
        true => Repeat::Harmless,
        false => Repeat::Never,
    }
}
