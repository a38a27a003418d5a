//! What a modern client keeps for us while people decide: which approval its call waits for. Sealed, for its principal
//! only, and good for the same call only. It is no yes, and it makes none.

use super::{KEY, OPERATION};
use crate::authenticate::Asker;
use crate::gate::Gate;
use crate::handles::{self, Bound, Kind};
use crate::record::Leg;
use crate::resolve::Resolved;
use decision::approval::{Approval, Part, Terms};
use decision::{
    ApprovalId, Code, DeedId, Digest, Era, Item, Principal, Refusal, ServerName, Target, Timestamp,
};
use serde::{Deserialize, Serialize};
use wire::{Frame, Splice};

/// A call that waits, as its client brings it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pending {
    pub(crate) approval: ApprovalId,
    pub(crate) deed: DeedId,
    pub(crate) leg: u32,
    pub(super) server: ServerName,
    item: Item,
    definition: Option<Digest>,
    /// Of who asks for what, with which arguments.
    subject: Digest,
    expires: Timestamp,
}

/// The one approval that a leg may use: it proposes none, and takes no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Only {
    pub(crate) approval: ApprovalId,
    /// What it was asked for, where the client says that this is it.
    pub(crate) subject: Option<Digest>,
    /// The asker does not want it any more.
    pub(crate) declined: bool,
    /// It leaves without its client.
    pub(crate) alone: bool,
}

/// A message that came back for an approval, without what came for us.
#[derive(Debug)]
pub(crate) struct Returned {
    pub(crate) frame: Frame,
    pending: Pending,
    declined: bool,
}

fn unknown() -> Refusal {
    let because = "the request state was not given to this principal for this item, or its time is over";
    Refusal::new(Code::StateUnknown, because)
}

impl Pending {
    pub(crate) fn of(approval: &Approval, resolved: &Resolved, leg: &Leg) -> Self {
        Self {
            approval: approval.id,
            deed: leg.deed,
            leg: leg.leg,
            server: resolved.target.server.clone(),
            item: resolved.target.item.clone(),
            definition: resolved.target.definition,
            subject: approval.terms.subject(),
            expires: approval.expires_at,
        }
    }

    pub(crate) fn target(&self) -> Target {
        Target { server: self.server.clone(), item: self.item.clone(), definition: self.definition }
    }

    /// As the state of an `input_required` result.
    pub(crate) fn state(&self, gate: &Gate, principal: &Principal) -> Option<String> {
        let inner = serde_json::to_vec(self).ok()?;
        Some(handles::seal(gate, &Bound::to(Kind::Approval, principal, &[]), &inner))
    }
}

/// Takes out of a modern client's message what it brings back for us. `None`: it brings nothing of ours.
pub(crate) fn returned(
    gate: &Gate,
    frame: &Frame,
    method: &wire::Method,
    asker: &Asker,
) -> Result<Option<Returned>, Refusal> {
    if asker.era() != Era::Modern || !method.multi_round {
        return Ok(None);
    }
    let bound = Bound::to(Kind::Approval, &asker.principal, &[]);
    let handle = frame.string_at(&["params", "requestState"]);
    let Some(inner) = handle.and_then(|handle| handles::open(gate, &bound, &handle)) else {
        return Ok(None);
    };
    let pending: Pending = serde_json::from_slice(&inner).map_err(|_| unknown())?;
    if gate.clock.now() >= pending.expires {
        return Err(unknown());
    }
    let declined = declines(frame)?;
    let bare = Splice::new(frame)
        .remove_path(&["params", "requestState"])
        .remove_path(&["params", "inputResponses"]);
    let bare = bare.finish_frame(&wire::Limits::DEFAULT.with_bytes(u32::MAX as usize));
    let bare = bare.map_err(|e| Refusal::new(Code::StageFailed, e.to_string()))?;
    Ok(Some(Returned { frame: bare, pending, declined }))
}

/// Whether the client says that it does not want to wait. Having visited the address is no yes to the call.
fn declines(frame: &Frame) -> Result<bool, Refusal> {
    let Some(_) = frame.member(&["params", "inputResponses"]) else { return Ok(false) };
    match frame.string_at(&["params", "inputResponses", KEY, "action"]).as_deref() {
        None | Some("accept") => Ok(false),
        Some("decline" | "cancel") => Ok(true),
        Some(_) => {
            let sentence = "the action of an answer must be `accept`, `decline` or `cancel`";
            Err(Refusal::new(Code::ArgumentsInvalid, sentence).told(sentence))
        }
    }
}

impl Returned {
    /// Goes on with the deed, if it is about the same item.
    pub(crate) fn join(self, resolved: &Resolved, leg: &mut Leg) -> Result<(), Refusal> {
        let Pending { approval, deed, leg: last, server, item, subject, .. } = self.pending;
        if resolved.target.server != server || resolved.target.item != item {
            return Err(unknown());
        }
        leg.deed = deed;
        // held again within one request, it is further than its state says
        leg.leg = leg.leg.max(last.saturating_add(1));
        leg.only = Some(Only { approval, subject: Some(subject), declined: self.declined, alone: false });
        Ok(())
    }
}

/// The approval that a client names by itself.
pub(crate) fn named(frame: &Frame, leg: &mut Leg) -> Result<(), Refusal> {
    let Some(name) = frame.string_at(&["params", "_meta", OPERATION]) else { return Ok(()) };
    let approval = ApprovalId::parse(&name).ok_or_else(|| {
        let sentence = format!("`{OPERATION}` names no approval");
        Refusal::new(Code::StateUnknown, sentence.clone()).told(sentence)
    })?;
    leg.only = Some(Only { approval, subject: None, declined: false, alone: false });
    Ok(())
}

impl Only {
    /// Refuses what is not the very call it was given for.
    pub(crate) fn fits(&self, terms: &Terms) -> Result<(), Refusal> {
        match self.subject.is_none_or(|subject| subject == terms.subject()) {
            true => Ok(()),
            false => Err(crate::approval::another(self.approval, Part::Arguments)),
        }
    }
}
