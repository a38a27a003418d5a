//! May this principal see the item and use it at all. The same question filters every list, so
//! what is shown and what may be asked cannot differ.

use crate::gate::Live;
use crate::resolve::Resolved;
use crate::settings::Mode;
use decision::{Call, ItemKind, Passed, Principal, Refusal, ServerName};
use policy::{Asked, Asker, Subject};

/// Asks *see* of the call's item.
pub(crate) fn check(live: &Live, call: &Call, resolved: &Resolved) -> Result<Passed<()>, Refusal> {
    let target = &resolved.target;
    let host = call.claims().host.as_deref();
    let answer = sees(live, call.principal(), host, &target.server, target.item.kind, &target.item.name);
    settle(live, &target.server, answer)
}

/// Whether the principal may see an item, for a list. Observe mode shows what the rules would hide.
pub(crate) fn visible(
    live: &Live,
    principal: &Principal,
    host: Option<&str>,
    server: &ServerName,
    kind: ItemKind,
    name: &str,
) -> bool {
    settle(live, server, sees(live, principal, host, server, kind, name)).is_ok()
}

fn sees(
    live: &Live,
    principal: &Principal,
    host: Option<&str>,
    server: &ServerName,
    kind: ItemKind,
    name: &str,
) -> Result<Vec<decision::RuleId>, Refusal> {
    live.policies.see(Asker { principal, host }, Subject { server, kind, name }).judged(Asked::See)
}

/// A rule's answer as a stage's answer. In observe mode a no is recorded and let pass.
pub(crate) fn settle(
    live: &Live,
    server: &ServerName,
    answer: Result<Vec<decision::RuleId>, Refusal>,
) -> Result<Passed<()>, Refusal> {
    match answer {
        Ok(rules) => Ok(Passed::new((), rules.iter().map(|rule| format!("rule:{rule}")).collect())),
        Err(refusal) => match live.settings.servers.get(server).map(|server| server.mode) {
            Some(Mode::Observe) => Ok(Passed::observed((), refusal)),
            Some(Mode::Enforce) | None => Err(refusal),
        },
    }
}
