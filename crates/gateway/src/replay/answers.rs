//! The answers of calls with keys: kept sealed, as their server gave them, and given again as if they came now.

use super::{Finished, answer_unkept, in_progress};
use crate::authenticate::Asker;
use crate::commit::{End, Spent};
use crate::exchange::Arrival;
use crate::gate::{Gate, Live};
use crate::handles::{self, Bound, Kind};
use crate::record::Leg;
use crate::reply::{self, Answer};
use crate::resolve::Resolved;
use crate::rounds::Round;
use crate::unsettled::{Became, Sealed};
use crate::upstream::{self, Arrived};
use crate::{inspect_result, tasks};
use bytes::Bytes;
use decision::approval::Settled;
use decision::twin::{Key, Standing};
use decision::{Call, CallId, Code, Era, Passed, Principal, Refusal, Stage, Twin};
use store::KeptTwin;
use wire::{Eras, Frame, Limits, Way};

/// What a server answered to a call with a key.
#[derive(Debug)]
pub(crate) struct Noted {
    /// Nothing where it is too large to be kept.
    text: Option<Bytes>,
    /// In which it is spoken.
    era: Era,
    /// Whether it may be given again while the server waits for answers: where nothing of it is held here.
    is_native: bool,
    /// It goes on as a task, of which this is all that the call's answer says.
    is_task: bool,
    /// Nothing was done: an address has to be visited first.
    is_first_visit: bool,
}

/// Gives the first answer again, to a call that the rules have let through.
pub(crate) fn again(
    gate: &Gate,
    live: &Live,
    arrival: &Arrival,
    (call, resolved, asker): (&Call, &Resolved, &Asker),
    finished: Finished,
    leg: &mut Leg,
) -> Result<Answer, Refusal> {
    let Finished { key, kept: KeptTwin { twin, answer, log: _ } } = finished;
    // it is one more message of that deed
    (leg.deed, leg.leg, leg.keyed.inherits) = (twin.deed, twin.leg, Some(key.digest));
    let mut given = || {
        let (resolved, arrived) = arrived(gate, &key, &twin, answer.as_deref(), (resolved, asker))?;
        let passed = inspect_result::check(gate, live, call, &resolved, asker, arrived, leg)?;
        Ok(Passed { value: reply::within(arrival, live, passed.value)?, ..passed })
    };
    let given = given();
    leg.pass(Stage::Inspect, given)
}

/// The kept answer as if it came now, and how it is spoken.
fn arrived(
    gate: &Gate,
    key: &Key,
    twin: &Twin,
    answer: Option<&[u8]>,
    (resolved, asker): (&Resolved, &Asker),
) -> Result<(Resolved, Arrived), Refusal> {
    let gone = || answer_unkept(twin);
    let bound = bound(&asker.principal, key, twin.call);
    let opened = answer.and_then(|sealed| handles::open_bytes(gate, &bound, sealed)).ok_or_else(gone)?;
    let (era, text) = read(opened).ok_or_else(gone)?;
    let frame = Frame::scan(text, &Limits::DEFAULT.with_bytes(u32::MAX as usize)).map_err(|_| gone())?;
    if is_task(&frame) && !tasks::are_followed_by(asker) {
        let because = format!("the call `{}` became a task, which this client cannot follow", twin.call);
        return Err(Refusal::new(Code::CapabilityUndeclared, because.clone()).told(because));
    }
    let eras = match era {
        Era::Legacy => Eras::Legacy,
        Era::Modern => Eras::Modern,
    };
    // the server may be spoken to in another way by now, or to this client
    let resolved = Resolved { way: Way::new(asker.revision, eras), ..resolved.clone() };
    if twin.standing == Standing::Waits && resolved.way.crossing.is_some() {
        return Err(in_progress(Some(twin)));
    }
    let answer = upstream::to_asker(&frame, false, &resolved)?;
    Ok((resolved, Arrived { frame, answer, upstream_us: 0, asks: false }))
}

/// Notes what a server answered, before it is judged: what is withheld now may not be then.
pub(crate) fn note(live: &Live, resolved: &Resolved, arrived: &Arrived, leg: &mut Leg) {
    if leg.spent.as_ref().and_then(Spent::key).is_none() {
        return;
    }
    let frame = &arrived.frame;
    let fits = frame.bytes().len() <= live.settings.idempotency.answer_bytes_max;
    let visit = wire::rpc::URL_ELICITATION_REQUIRED.to_string();
    leg.keyed.noted = Some(Box::new(Noted {
        text: fits.then(|| frame.bytes().clone()),
        era: resolved.way.era(),
        is_native: resolved.way.crossing.is_none() && !arrived.asks,
        is_task: is_task(frame),
        is_first_visit: frame
            .at(&["error", "code"])
            .is_some_and(|code| code.trim_ascii() == visit.as_bytes()),
    }));
}

fn is_task(frame: &Frame) -> bool {
    frame.string_at(&["result", "resultType"]).as_deref() == Some("task")
}

/// Writes down how the call's deed stands now, once that is in the record.
pub(crate) async fn settle(
    gate: &Gate,
    live: &Live,
    principal: &Principal,
    (key, call): (&Key, CallId),
    end: End,
    noted: Option<Box<Noted>>,
) {
    let standing = standing(end, noted.as_deref());
    let kept = noted.filter(|noted| match standing {
        Some(Standing::Answered) => true,
        Some(Standing::Waits) => noted.is_native,
        Some(Standing::Sent | Standing::Unknown) | None => false,
    });
    let sealed = kept.and_then(|noted| {
        let inner = [era_word(noted.era), noted.text?.as_ref()].concat();
        Some(handles::seal_bytes(gate, &bound(principal, key, call), &inner))
    });
    let scope = live.settings.scope();
    let settled = match standing {
        None => gate.store.give_back_key(&scope, call).await,
        Some(standing) => gate.store.settle_key(&scope, Some(key), call, standing, sealed.as_deref()).await,
    };
    if let Err(error) = settled {
        tracing::error!(%error, %call, "how a call with a key ended cannot be written; trying again");
        let answer = sealed.map(|sealed| (*key, Sealed::new(sealed)));
        gate.unsettled.note(Became::KeyStands(call, standing, answer));
    }
    // nobody waiting is not an error
    let _ = gate.replays.settled.send(key.digest);
}

/// A deed whose server asked what nobody will answer any more was not done, and its key is free.
pub(crate) async fn abandon(gate: &Gate, live: &Live, round: &Round) {
    let Some(key) = &round.key else { return };
    if let Err(error) = gate.store.abandon_key(&live.settings.scope(), key, round.deed).await {
        tracing::error!(%error, deed = %round.deed, "the key of a call that goes no further cannot be given back");
    }
}

/// How the deed stands; as before where nothing was done.
fn standing(end: End, noted: Option<&Noted>) -> Option<Standing> {
    if noted.is_some_and(|noted| noted.is_first_visit) {
        return None;
    }
    match end {
        End::NothingLeft => None,
        End::GoesOn(_) if noted.is_some_and(|noted| noted.is_task) => Some(Standing::Answered),
        End::GoesOn(_) => Some(Standing::Waits),
        End::Over(Settled::Executed | Settled::Failed) => Some(Standing::Answered),
        End::Over(Settled::Unknown) => Some(Standing::Unknown),
    }
}

/// How a stop left a deed, by the record; what was answered is known to have been, and the answer is gone.
pub(crate) fn left(became: Settled) -> Standing {
    match became {
        Settled::Executed | Settled::Failed => Standing::Answered,
        Settled::Unknown => Standing::Unknown,
    }
}

/// An answer opens for whoever has the key, as the answer to that call.
fn bound(principal: &Principal, key: &Key, call: CallId) -> Bound {
    Bound::to(Kind::Answer, principal, &[&key.digest.to_string(), &call.to_string()])
}

fn era_word(era: Era) -> &'static [u8] {
    match era {
        Era::Legacy => b"l",
        Era::Modern => b"m",
    }
}

fn read(opened: Vec<u8>) -> Option<(Era, Bytes)> {
    let era = match opened.first()? {
        b'l' => Era::Legacy,
        b'm' => Era::Modern,
        _ => return None,
    };
    Some((era, Bytes::from(opened).slice(1..)))
}
