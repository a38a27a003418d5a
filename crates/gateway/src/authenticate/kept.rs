//! Who asked for a call that was kept and is made now.

use super::{Known, Standing, TurnedAway, configured, plain};
use crate::gate::{Gate, Live};
use decision::{Actor, AgentName, Code, Principal, Refusal, Timestamp};
use std::sync::Arc;
use store::TokenRecord;

/// Whoever asked for a call that was kept: nobody shows a credential for it, so they must be known here, and as then.
pub(super) async fn kept(
    gate: &Gate,
    live: &Live,
    principal: &Arc<Principal>,
    asked_at: Timestamp,
) -> Result<Known, TurnedAway> {
    let gone = |why: &str| {
        let who = principal.describe();
        let because = format!("{who} {why}; whoever asked may ask again");
        TurnedAway::from(Refusal::new(Code::CredentialRevoked, because))
    };
    let (Actor::Agent(name) | Actor::Workload(name)) = &principal.actor else {
        return Err(gone("is known to a provider only"));
    };
    gate.tokens.enabled(gate, live, principal).await?;
    let own = [Some(&live.settings.stdio_agent), live.settings.unauthenticated_loopback.as_ref()];
    let workload = live.settings.workloads.iter().find(|workload| workload.name == *name);
    let broken = |e| Refusal::new(Code::StageFailed, format!("the store cannot be asked about agents: {e}"));
    let stored = gate.store.list_agents(&live.settings.scope()).await.map_err(broken)?;
    let tokens = gate.store.list_tokens(&live.settings.scope()).await.map_err(broken)?;
    if workload.is_none() && are_all_lapsed(&tokens, name, gate.clock.now()) {
        return Err(gone("has no token that is good any more"));
    }
    let now = match (&principal.actor, workload) {
        (Actor::Workload(_), Some(workload)) => {
            Principal { groups: workload.groups.clone(), actor: principal.actor.clone(), ..plain(live, name) }
        }
        (Actor::Workload(_), None) => return Err(gone("is not configured any more")),
        // the name is somebody else's by now
        _ if stored.iter().any(|agent| agent.name == *name && agent.created_at > asked_at) => {
            return Err(gone("was removed and added again"));
        }
        _ if stored.iter().any(|agent| agent.name == *name) || own.contains(&Some(name)) => {
            configured(gate, name).await.map_err(broken)?
        }
        _ => return Err(gone("is known to a provider only")),
    };
    match now == **principal {
        true => Ok((Arc::clone(principal), format!("kept:{name}"), Standing::Agent)),
        false => Err(gone("is not known as it was")),
    }
}

/// Whether this agent had tokens, and none of them is good.
fn are_all_lapsed(tokens: &[TokenRecord], agent: &AgentName, now: Timestamp) -> bool {
    let own: Vec<&TokenRecord> = tokens.iter().filter(|token| token.agent == *agent).collect();
    !own.is_empty() && own.iter().all(|token| token.principal(now).is_err())
}
