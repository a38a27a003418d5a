//! May this principal see the item and use it at all. The same question filters every list, so
//! what is shown and what may be asked cannot differ.

use crate::authenticate;
use crate::gate::Live;
use crate::resolve::Resolved;
use catalog::Effect;
use decision::{Call, Code, ItemKind, Passed, Principal, Refusal, ServerName};
use identity::oauth::Width;
use policy::{Asked, Asker, Subject};

/// What stands before a scope in the basis of a refusal for want of it; the challenge is made of these.
pub(crate) const SCOPE: &str = "scope:";

/// Asks *see* of the call's item, then whether its server may be used so far, then whether the token is wide enough for
/// it. In this order: what is missing is told, and of what is hidden nothing is.
pub(crate) fn check(
    live: &Live,
    call: &Call,
    resolved: &Resolved,
    asker: &authenticate::Asker,
) -> Result<Passed<()>, Refusal> {
    let target = &resolved.target;
    let host = call.claims().host.as_deref();
    let answer = sees(live, call.principal(), host, &target.server, target.item.kind, &target.item.name);
    let passed = settle(live, &target.server, answer)?;
    // only whom the rules show the item learns how its server stands
    live.registry.check(&target.server, target.item.kind, &target.item.name)?;
    wide_enough(live, &target.server, width(resolved), asker)?;
    Ok(passed)
}

/// Whether the asker's token reaches as far. Observe mode does not soften this: what a token is bounded to is
/// said by whoever gave it.
pub(crate) fn wide_enough(
    live: &Live,
    server: &ServerName,
    width: Width,
    asker: &authenticate::Asker,
) -> Result<(), Refusal> {
    let enforced = live.settings.oauth.as_ref().filter(|oauth| oauth.enforce_scopes);
    let (Some(oauth), Some(token)) = (enforced, asker.standing.token()) else {
        return Ok(());
    };
    let server = server.as_str();
    if token.scopes().covers(server, width) {
        return Ok(());
    }
    let because = format!("the token has no scope for `{server}` that reaches as far as {width}");
    let asked = token.scopes().and(server, width, &oauth.ask);
    let basis = asked.iter().map(|scope| format!("{SCOPE}{}", scope.as_str())).collect();
    Err(Refusal::new(Code::ScopeInsufficient, because).basis(basis))
}

/// What is not a tool is read.
fn width(resolved: &Resolved) -> Width {
    match (&resolved.item, resolved.target.item.kind) {
        (Some(item), ItemKind::Tool) => match item.classified.effect {
            Effect::Read => Width::Read,
            Effect::Write => Width::Write,
            Effect::Destructive => Width::Destructive,
        },
        (None, ItemKind::Tool) => Width::Destructive,
        (_, ItemKind::Prompt | ItemKind::Resource | ItemKind::ResourceTemplate) => Width::Read,
        (_, ItemKind::Server | ItemKind::Question) => Width::Read,
    }
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
    live.registry.allows(server, kind, name) && permitted(live, principal, host, server, kind, name)
}

/// Whether the rules let the principal see an item, however its server stands now.
pub(crate) fn permitted(
    live: &Live,
    principal: &Principal,
    host: Option<&str>,
    server: &ServerName,
    kind: ItemKind,
    name: &str,
) -> bool {
    settle(live, server, sees(live, principal, host, server, kind, name)).is_ok()
}

/// Whether the rules let the principal know of a server, whatever it offers.
pub(crate) fn known(live: &Live, principal: &Principal, host: Option<&str>, server: &ServerName) -> bool {
    sees(live, principal, host, server, ItemKind::Server, server.as_str()).is_ok()
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
        Err(refusal) if live.observes(server) => Ok(Passed::observed((), refusal)),
        Err(refusal) => Err(refusal),
    }
}
