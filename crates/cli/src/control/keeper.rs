//! What is answered from the ledger, by whoever has it open.

use super::{Request, Response, ValueState};
use crate::command::approvals::Word;
use crate::sources::SystemClock;
use anyhow::anyhow;
use decision::approval::Voter;
use decision::{Approval, CallId, Clock as _, Disclosure, Entry, Event, EventName, ServerName, Slot};
use std::{collections::BTreeMap, sync::Arc};
use store::{
    Desk, DeskError, Scope,
    ledger::{Disclose, Disclosed, Ledger, Record},
};

/// Who has a ledger open: a gateway, or a command of its own.
pub(crate) trait Keeper: Clone + Send + Sync + 'static {
    fn ledger(&self) -> &Ledger;
}

impl Keeper for Arc<Ledger> {
    fn ledger(&self) -> &Ledger {
        self
    }
}

impl Keeper for Arc<gateway::Gate> {
    fn ledger(&self) -> &Ledger {
        gateway::Gate::ledger(self)
    }
}

/// Answers what the ledger alone can answer.
pub(crate) async fn of_ledger(keeper: &impl Keeper, scope: &Scope, request: Request) -> Response {
    let ledger = keeper.ledger();
    let answered = match request {
        Request::Record { event, server, detail } => record(ledger, scope, event, server, detail).await,
        Request::Entries { from, max } => {
            blocking(keeper, move |ledger| {
                let read = ledger.read_entries(from, max)?;
                let entries = read.into_iter().map(|(index, bytes)| Ok((index, String::from_utf8(bytes)?)));
                let entries = entries.collect::<anyhow::Result<_>>()?;
                let log = ledger.public_key().origin().to_owned();
                Ok(Response::Entries { log, size: ledger.size(), entries })
            })
            .await
        }
        Request::Value { index, slot } => {
            blocking(keeper, move |ledger| Ok(value(ledger.disclosure(index, slot)?))).await
        }
        Request::Erase { index, slot, call, by } => {
            erase(keeper, scope, Erasure { call, index, slot, by }).await
        }
        Request::Prove { index } => ledger
            .prove(index)
            .await
            .map_err(Into::into)
            .map(|proof| Response::Proof { proof, key: ledger.public_key().to_string() }),
        Request::Export { to, values } => {
            let disclose = if values { Disclose::Kept } else { Disclose::Nothing };
            ledger.export(&to, disclose).await.map_err(Into::into).map(|done| Response::Exported {
                dir: done.dir,
                entries: done.checkpoint.size,
                checkpoint: done.checkpoint.note().to_owned(),
            })
        }
        Request::Checkpoint => ledger.checkpoint().await.map_err(Into::into).map(|done| {
            Response::Checkpoint { note: done.note().to_owned(), key: ledger.public_key().to_string() }
        }),
        Request::Ping
        | Request::Tell { .. }
        | Request::InForce { .. }
        | Request::Absent
        | Request::Look { .. }
        | Request::Void
        | Request::Reload
        | Request::Settings
        | Request::Written
        | Request::Ready { .. }
        | Request::Starter { .. }
        | Request::Decide { .. }
        | Request::ConsoleLink { .. } => {
            Err(anyhow!("this needs a running gateway: start it with `callgate serve`"))
        }
    };
    answered.unwrap_or_else(|error| Response::Failed { why: format!("{error:#}") })
}

/// A value that is to be erased, and who wants that.
struct Erasure {
    call: CallId,
    index: u64,
    slot: Slot,
    by: String,
}

/// Erases a value beside an entry of this call. What is erased is gone, so who erases looks for itself whether the entry
/// is the call's, whatever the index of whoever asks says; and what the record cannot say is not done.
async fn erase(keeper: &impl Keeper, scope: &Scope, erasure: Erasure) -> anyhow::Result<Response> {
    let Erasure { call, index, slot, by } = erasure;
    let looking = keeper.clone();
    let was = tokio::task::spawn_blocking(move || {
        looking.ledger().entry_of(call, index)?;
        looking.ledger().disclosure(index, slot)
    });
    let was = state(&was.await??);
    let state = serde_json::to_value(was)?.as_str().unwrap_or_default().to_owned();
    let detail =
        [("by", by), ("entry", index.to_string()), ("slot", slot.as_str().to_owned()), ("was", state)];
    let detail = detail.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    write(keeper.ledger(), scope, EventName::ValueErased, (Some(call), None), detail).await?;
    if was != ValueState::NeverKept {
        // one that was erased before may have been left half done
        keeper.ledger().erase(index, slot).await?;
    }
    Ok(Response::Erased { was })
}

/// Takes somebody's word on an approval. Whoever asks owns the gateway; who the person is, they say.
pub(crate) async fn decided(
    desk: &Desk,
    scope: &Scope,
    request: Request,
    pages: &console::Settings,
) -> Response {
    let Request::Decide { approval, by, word, reason, account } = request else {
        return Response::Failed { why: "that is not a decision".to_owned() };
    };
    let taken = async {
        let voter = desk.voter(scope, &by).await?;
        let Some(voter) = voter else { return Ok(None) };
        let reason = reason.as_deref().and_then(inspect::shown::reason);
        let reason = reason.as_deref();
        let via = &account.map_or_else(|| "command".to_owned(), |account| format!("command:{account}"));
        Ok(Some(Ok(match word {
            Word::Yes => desk.vote(scope, approval, &voter, true, reason, via).await?,
            Word::No => desk.vote(scope, approval, &voter, false, reason, via).await?,
            Word::Revoke => {
                let kept = desk.store().approval(scope, approval).await?;
                let kept = kept.ok_or(DeskError::Missing(approval))?;
                if !takes_back(&kept.approval, &voter, pages) {
                    return Ok(Some(Err(format!(
                        "`{by}` neither asked for it nor decided it, and is no administrator of the console: deny it, if it waits for a group of theirs"
                    ))));
                }
                desk.revoke(scope, approval, by.as_str(), reason).await?
            }
        })))
    };
    match taken.await {
        Ok(Some(Ok(approval))) => Response::Decided { approval: Box::new(approval) },
        Ok(Some(Err(why))) => Response::Unfit { why },
        Ok(None) => Response::Unfit { why: format!("there is no user `{by}`") },
        Err(DeskError::Unfit(why)) => Response::Unfit { why: why.to_string() },
        Err(error) => Response::Failed { why: error.to_string() },
    }
}

/// Whether somebody may take an approval back: who asked for it, whose word is in it, or who has that authority.
fn takes_back(approval: &Approval, voter: &Voter, pages: &console::Settings) -> bool {
    approval.terms.principal.person() == Some(&voter.person)
        || approval.votes.iter().any(|vote| vote.person == voter.person)
        || pages.roles_of(&voter.groups).contains(&policy::Role::Administrator)
}

async fn blocking<F>(keeper: &impl Keeper, work: F) -> anyhow::Result<Response>
where
    F: FnOnce(&Ledger) -> anyhow::Result<Response> + Send + 'static,
{
    let keeper = keeper.clone();
    tokio::task::spawn_blocking(move || work(keeper.ledger())).await?
}

async fn record(
    ledger: &Ledger,
    scope: &Scope,
    event: EventName,
    server: Option<ServerName>,
    detail: BTreeMap<String, String>,
) -> anyhow::Result<Response> {
    let index = write(ledger, scope, event, (None, server), detail).await?;
    Ok(Response::Recorded { index })
}

/// Writes an event about a call or a server, and tells where it stands.
pub(super) async fn write(
    ledger: &Ledger,
    scope: &Scope,
    event: EventName,
    (call, server): (Option<CallId>, Option<ServerName>),
    detail: BTreeMap<String, String>,
) -> anyhow::Result<u64> {
    let entry = Entry::Event(Event {
        v: 1,
        at: SystemClock.now(),
        tenant: scope.tenant.clone(),
        environment: scope.environment.clone(),
        event,
        call,
        server,
        detail,
    });
    let record = Record::new(entry, Vec::new())?;
    Ok(ledger.append(vec![record]).await?.first_index)
}

fn state(disclosed: &Disclosed) -> ValueState {
    match disclosed {
        Disclosed::Kept(_) => ValueState::Kept,
        Disclosed::Erased => ValueState::Erased,
        Disclosed::Absent => ValueState::NeverKept,
    }
}

fn value(disclosed: Disclosed) -> Response {
    let state = state(&disclosed);
    let text = match disclosed {
        Disclosed::Kept(Disclosure { value, .. }) => Some(String::from_utf8_lossy(&value).into_owned()),
        Disclosed::Erased | Disclosed::Absent => None,
    };
    Response::Value { state, text }
}
