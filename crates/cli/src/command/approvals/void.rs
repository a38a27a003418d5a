//! Which of the approvals that wait nobody has to decide any more: another thing is in force than they were asked for.

use crate::{
    control::{self, Request, Response},
    place::Place,
    say::Say,
};
use anyhow::bail;
use decision::approval::Part;
use decision::{Approval, ApprovalId};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};
use store::Store;

/// What changed of each, by what the gateway here goes by, or would. Where nobody can say, none is shown as void.
pub(super) async fn of(
    waiting: impl IntoIterator<Item = &Approval>,
    store: &Store,
    place: &Place,
    say: Say,
) -> BTreeMap<ApprovalId, Part> {
    known(waiting, store, place).await.unwrap_or_else(|error| {
        say.aside(format!("which of them are void is not known: {error:#}"));
        BTreeMap::new()
    })
}

async fn known(
    waiting: impl IntoIterator<Item = &Approval>,
    store: &Store,
    place: &Place,
) -> anyhow::Result<BTreeMap<ApprovalId, Part>> {
    let mut waiting = waiting.into_iter().peekable();
    if waiting.peek().is_none() {
        return Ok(BTreeMap::new());
    }
    if let Ok(socket) = place.socket_path()
        && control::ping(&socket).await.is_some()
    {
        let answered = control::ask(&socket, &Request::Void).await?;
        let Response::Void { approvals } = answered else {
            bail!("the gateway cannot say which of them are void: {answered:?}");
        };
        return Ok(approvals);
    }
    let settings = Arc::new(place.meant.settings.clone());
    let written = gateway::Written { settings, policies: place.policies()? };
    let (loader, eras) = (policy::Loader::default(), BTreeMap::new());
    let built = gateway::build(store, &loader, &written, None, &eras, gateway::Fit::Changed).await?;
    if !built.problems.is_empty() {
        bail!("the policies do not load: see `callgate check`");
    }
    Ok(gateway::void_of(&built.live, waiting))
}

/// An approval for programs, with what makes it void.
pub(super) fn value(one: &Approval, changed: Option<Part>) -> anyhow::Result<Value> {
    let mut value = serde_json::to_value(one)?;
    if let (Some(changed), Value::Object(members)) = (changed, &mut value) {
        members.insert("void".to_owned(), json!(changed));
    }
    Ok(value)
}
