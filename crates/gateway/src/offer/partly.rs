//! What is gone by of a server that does not show all of what it offers.

use super::Unlooked;
use crate::errands::Found;
use crate::gate::Gate;
use decision::ServerName;
use store::Scope;

/// Looks in a row that break off before a server is pinned without what they were about. One that is still starting says
/// all of it in a moment, and whatever it shows later waits for a yes.
const PATIENCE: u32 = 3;

/// Why this is not all of it: the rest is gone by all the same.
///
/// Errors: it is not yet.
pub(super) async fn lack(
    gate: &Gate,
    scope: &Scope,
    server: &ServerName,
    found: &Found,
) -> Result<Option<Unlooked>, Unlooked> {
    let Some(because) = found.lack() else { return Ok(None) };
    let known = gate.store.server(scope, server).await?;
    let is_first = known.is_none_or(|server| server.pinned_at.is_none());
    if is_first && !found.broken.is_empty() && gate.failed_looks(server) < PATIENCE {
        return Err(Unlooked::answered(because));
    }
    Ok(Some(Unlooked::answered(format!(
        "it does not show all that it offers, and the rest is served: {because}"
    ))))
}
