//! What the running gateway goes by, where that is not what the files say.

use crate::{
    control::{self, InForce, Request, Response},
    place::Place,
    say::when,
};
use std::time::Duration;

/// For a gateway to say what it goes by.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the gateway over this state goes by, if one runs and says.
pub(super) async fn ask(place: &Place) -> Option<InForce> {
    let socket = place.socket_path().ok()?;
    let asked = tokio::time::timeout(PATIENCE, control::ask(&socket, &Request::Settings));
    let Response::Settings(in_force) = asked.await.ok()?.ok()? else { return None };
    Some(*in_force)
}

/// How that is something else than the files: one sentence each.
pub(super) fn differences(in_force: &InForce, place: &Place) -> Vec<String> {
    let mut said = Vec::new();
    let since = when(in_force.since);
    if let Some(refused) = &in_force.refused {
        said.push(format!(
            "the running gateway refused the newest files at {}, and goes by those of {since}: {}",
            when(refused.at),
            refused.problems.join("; ")
        ));
    } else if in_force.digest != place.digest {
        said.push(format!(
            "the running gateway goes by what `{}` said at {since}, and not by what it says now: `kill -HUP {}` has it read anew",
            in_force.config.display(),
            in_force.pid
        ));
    }
    said
}
