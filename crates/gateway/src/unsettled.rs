//! What became of calls that had spent people's yes, taken of budgets or taken a key, where the store could not be told: it is told
//! later, before anybody asks for a yes or under a key, and every minute or so. What a stop loses of it is found again from the record.

use crate::gate::Gate;
use crate::wishes::Wishes;
use decision::approval::Settled;
use decision::twin::{Key, Standing};
use decision::{ApprovalId, CallId, DeedId, Timestamp};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use store::{DeskError, Scope};

/// Most that is remembered; of more the youngest are left to the next start.
const UNSETTLED_MAX: usize = 4_096;
/// Most of answers that are remembered, in bytes. Of more is known that they came, and not what they said.
const ANSWERS_BYTES_MAX: usize = 32 * 1024 * 1024;

/// An answer as it is to be kept.
#[derive(Clone)]
pub(crate) struct Sealed(Arc<[u8]>);

impl Sealed {
    pub(crate) fn new(sealed: Vec<u8>) -> Self {
        Self(sealed.into())
    }
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// What became of one call.
#[derive(Debug, Clone)]
pub(crate) enum Became {
    /// It never left: the yes that was spent on it is to be had again.
    YesUnused(ApprovalId, CallId),
    /// The same of what it took of budgets.
    RoomUnused(CallId),
    /// The deed waits so long for its client's next message.
    Waits(ApprovalId, DeedId, Timestamp),
    Over(ApprovalId, Settled),
    /// This is what came of a call that left without its client.
    Answered(ApprovalId, Sealed),
    /// The deed of a call with a key stands so, and this was its answer; where nothing was done, its key is free.
    KeyStands(CallId, Option<Standing>, Option<(Key, Sealed)>),
}

impl Became {
    async fn write(&self, gate: &Gate, scope: &Scope) -> Result<(), DeskError> {
        match self {
            Self::YesUnused(approval, call) => gate.desk.give_back(scope, *approval, *call).await,
            Self::RoomUnused(call) => Ok(gate.store.give_back(scope, *call).await?),
            Self::Waits(approval, deed, until) => gate.desk.await_next(scope, *approval, *deed, *until).await,
            Self::Over(approval, end) => gate.desk.settle(scope, *approval, *end).await,
            Self::Answered(approval, Sealed(sealed)) => {
                Ok(gate.store.keep_answer(scope, *approval, sealed).await?)
            }
            Self::KeyStands(call, None, _) => Ok(gate.store.give_back_key(scope, *call).await?),
            Self::KeyStands(call, Some(standing), answer) => {
                let (key, sealed) = answer.as_ref().map(|(key, sealed)| (key, &*sealed.0)).unzip();
                Ok(gate.store.settle_key(scope, key, *call, *standing, sealed).await?)
            }
        }
    }

    fn sealed(&self) -> Option<&Sealed> {
        match self {
            Self::Answered(_, sealed) | Self::KeyStands(_, _, Some((_, sealed))) => Some(sealed),
            Self::KeyStands(_, _, None) => None,
            Self::YesUnused(..) | Self::RoomUnused(_) | Self::Waits(..) | Self::Over(..) => None,
        }
    }

    /// The same without its answer, where there is anything to say then.
    fn unanswered(self) -> Option<Self> {
        match self {
            Self::Answered(..) => None,
            Self::KeyStands(call, standing, _) => Some(Self::KeyStands(call, standing, None)),
            Self::YesUnused(..) | Self::RoomUnused(_) | Self::Waits(..) | Self::Over(..) => Some(self),
        }
    }
}

#[derive(Debug, Default)]
struct Left {
    all: VecDeque<Became>,
    answer_bytes: usize,
}

impl Left {
    fn push(&mut self, became: Became) {
        if self.all.len() >= UNSETTLED_MAX {
            return;
        }
        let bytes = self.answer_bytes.saturating_add(became.sealed().map_or(0, |sealed| sealed.0.len()));
        if bytes <= ANSWERS_BYTES_MAX {
            self.answer_bytes = bytes;
            self.all.push_back(became);
            return;
        }
        tracing::error!(?became, "too many answers cannot be kept: what this call was answered is gone");
        self.all.extend(became.unanswered());
    }

    fn pop(&mut self) -> Option<Became> {
        let became = self.all.pop_front()?;
        let bytes = became.sealed().map_or(0, |sealed| sealed.0.len());
        self.answer_bytes = self.answer_bytes.saturating_sub(bytes);
        Some(became)
    }

    /// Whether the approval is still to be told how its call ended, which takes away what is kept beside it.
    fn is_to_end(&self, approval: ApprovalId) -> bool {
        self.all.iter().any(|one| matches!(one, Became::Over(other, _) if *other == approval))
    }

    fn is_to_be_given_back(&self, approval: ApprovalId) -> bool {
        self.all.iter().any(|one| matches!(one, Became::YesUnused(other, _) if *other == approval))
    }
}

/// What the store is still to be told, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Unsettled {
    left: Mutex<Left>,
    /// Who asks for a yes waits for whoever is telling, and all who wait for one.
    telling: Wishes<()>,
}

impl Unsettled {
    /// Has the store told later.
    pub(crate) fn note(&self, became: Became) {
        self.left.lock().push(became);
    }

    /// The one whose turn it is.
    fn next(&self) -> Option<Became> {
        let mut left = self.left.lock();
        while let Some(became) = left.pop() {
            let waits = matches!(&became, Became::Answered(approval, _) if left.is_to_end(*approval));
            if !waits {
                return Some(became);
            }
            left.push(became);
        }
        None
    }
}

/// Tells the store what became of a call, or has it told later where it cannot be.
pub(crate) async fn settle(gate: &Gate, scope: &Scope, became: Became) {
    if let Err(error) = became.write(gate, scope).await {
        tracing::error!(%error, ?became, "what a call spent cannot be settled");
        if may_come_right(&error) {
            gate.unsettled.note(became);
        }
    }
}

/// Keeps what came of a call that left without its client, or has it kept later.
pub(crate) async fn keep_answer(gate: &Gate, scope: &Scope, approval: ApprovalId, sealed: Vec<u8>) {
    settle_left(gate).await;
    let answered = Became::Answered(approval, Sealed::new(sealed));
    let (never_left, is_to_end) = {
        let left = gate.unsettled.left.lock();
        (left.is_to_be_given_back(approval), left.is_to_end(approval))
    };
    // it is sent again once its yes is back, and this would stand in the place of the call
    if never_left {
        return;
    }
    if is_to_end {
        tracing::error!(%approval, "the answer of a kept call cannot be kept; trying again");
        gate.unsettled.note(answered);
        return;
    }
    if let Err(error) = answered.write(gate, scope).await {
        tracing::error!(%error, %approval, "the answer of a kept call cannot be kept; trying again");
        gate.unsettled.note(answered);
    }
}

/// Tells the store what it could not be told, as far as it can be now.
pub async fn settle_left(gate: &Gate) {
    if gate.unsettled.left.lock().all.is_empty() {
        return;
    }
    let told = async || {
        tell(gate).await;
        Ok::<_, Infallible>(())
    };
    let Ok(()) = gate.unsettled.telling.grant(told).await;
}

async fn tell(gate: &Gate) {
    let scope = gate.live().settings.scope();
    loop {
        let Some(became) = gate.unsettled.next() else { return };
        match became.write(gate, &scope).await {
            Ok(()) => tracing::info!(?became, "what a call spent is settled after all"),
            Err(error) if may_come_right(&error) => {
                tracing::warn!(%error, ?became, "what a call spent cannot be settled; trying again");
                // behind the others, which it is not to keep from their turn
                gate.unsettled.note(became);
                return;
            }
            // somebody else did, or what could not be told had not been written either
            Err(error) => tracing::debug!(%error, ?became, "there is nothing to settle"),
        }
    }
}

fn may_come_right(error: &DeskError) -> bool {
    match error {
        DeskError::Store(_) | DeskError::Ledger(_) | DeskError::Raced => true,
        DeskError::Missing(_) | DeskError::Unfit(_) | DeskError::Entry(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn approval(n: u8) -> ApprovalId {
        ApprovalId::new(Timestamp(1), [n; 10])
    }

    #[test]
    fn an_answer_waits_until_its_approval_is_told_of_the_end_which_would_take_it_away() {
        let unsettled = Unsettled::default();
        unsettled.note(Became::Answered(approval(1), Sealed::new(vec![1])));
        unsettled.note(Became::RoomUnused(CallId::new(Timestamp(1), [1; 10])));
        unsettled.note(Became::Over(approval(1), Settled::Executed));
        assert!(matches!(unsettled.next(), Some(Became::RoomUnused(_))));
        assert!(matches!(unsettled.next(), Some(Became::Over(..))));
        assert!(matches!(unsettled.next(), Some(Became::Answered(..))));
        assert!(unsettled.next().is_none());
    }

    #[test]
    fn answers_are_bounded_and_a_key_is_settled_without_one() {
        let unsettled = Unsettled::default();
        let large = || Sealed::new(vec![0; ANSWERS_BYTES_MAX]);
        unsettled.note(Became::Answered(approval(1), large()));
        unsettled.note(Became::Answered(approval(2), large()));
        let call = CallId::new(Timestamp(1), [1; 10]);
        let key = Key {
            owner: decision::Digest::of(b"o"),
            digest: decision::Digest::of(b"d"),
            asks: decision::Digest::of(b"a"),
        };
        unsettled.note(Became::KeyStands(call, Some(Standing::Answered), Some((key, large()))));
        assert!(matches!(unsettled.next(), Some(Became::Answered(one, _)) if one == approval(1)));
        assert!(matches!(unsettled.next(), Some(Became::KeyStands(_, Some(Standing::Answered), None))));
        assert!(unsettled.next().is_none());
        unsettled.note(Became::Answered(approval(2), large()));
        assert!(unsettled.next().is_some(), "there is room again");
    }
}
