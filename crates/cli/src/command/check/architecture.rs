//! Mistakes of a whole set-up, told only where the configuration really makes them, each with what repairs it.
//!
//! Of eight well-known ones two are not here: that only final answers are logged cannot be configured, and whether a client
//! takes results for instructions is not the gateway's to see.

use crate::command::scan::{clients::Entry, entry};
use crate::place::Place;
use catalog::{Catalogue, Category, Effect, Item};
use decision::{Actor, AgentName, ItemKind, Principal, ServerName, Timestamp};
use gateway::settings::{Authority, Reach, ServerSettings};
use policy::{Answer, Asked, Asker, Policies, Subject};
use serde::Serialize;
use std::collections::BTreeSet;
use store::Pin;

/// So long something may wait for a person before it counts as passed over.
const PASSED_OVER_US: u64 = 14 * 24 * 3_600 * 1_000_000;
/// Tools that are named in one sentence.
const NAMED: usize = 3;

/// One of them.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Mistake {
    pub(super) mistake: &'static str,
    pub(super) because: String,
    pub(super) repair: String,
}

impl Mistake {
    /// For people.
    pub(super) fn sentence(&self) -> String {
        format!("{} ({}): {}", self.because, self.mistake, self.repair)
    }
}

/// What they are looked for in.
pub(super) struct Plan<'p> {
    pub(super) place: &'p Place,
    pub(super) catalogue: &'p Catalogue,
    pub(super) policies: &'p Policies,
    pub(super) pending: &'p [(ServerName, Vec<Pin>)],
    pub(super) now: Timestamp,
}

/// Errors: the rules cannot be read.
pub(super) fn look(plan: &Plan<'_>) -> anyhow::Result<Vec<Mistake>> {
    // of what a program wrote and nobody has touched, its own comments say what is to be done
    let ours: BTreeSet<String> = plan
        .place
        .policies()?
        .into_iter()
        .filter(|one| policy::is_untouched(&one.text))
        .map(|one| one.path)
        .collect();
    let servers = &plan.place.meant.settings.servers;
    let by_server = servers.iter().flat_map(|(name, server)| {
        [plan.executes(name), plan.shares(name, server), plan.trusts(name, server), plan.floats(name, server)]
    });
    Ok(by_server.flatten().chain(plan.anybody(&ours)).chain(plan.passed_over()).collect())
}

impl Plan<'_> {
    fn tools(&self, server: &ServerName, which: impl Fn(&Item) -> bool) -> Vec<String> {
        let entry = self.catalogue.server(server);
        let tools = entry.into_iter().flat_map(|entry| entry.of_kind(ItemKind::Tool));
        let tools = tools.filter(|item| item.drafting.is_none() && which(item));
        tools.map(|item| catalog::federated(server, item.definition.name())).collect()
    }

    /// Whoever may call it may do anything its process may.
    fn executes(&self, server: &ServerName) -> Option<Mistake> {
        let tools = self.tools(server, |item| item.classified.categories.contains(&Category::Execution));
        (!tools.is_empty()).then(|| Mistake {
            mistake: "generic-execution",
            because: format!("whatever is given is run by {}", named(&tools)),
            repair: "offer narrow tools instead, or forbid the action `category:execution`, or hold it for people with \
                `@unless-approved`"
                .to_owned(),
        })
    }

    /// One credential does everything for everybody, so that the system behind cannot tell who it was.
    fn shares(&self, name: &ServerName, server: &ServerSettings) -> Option<Mistake> {
        let one = server.authority == Authority::Shared && server.assertion.is_none();
        let changes = self.tools(name, |item| item.classified.effect != Effect::Read);
        (one && !server.credentials.is_empty() && !changes.is_empty()).then(|| Mistake {
            mistake: "service-account-for-all",
            because: format!(
                "`{name}` is used with one credential by everybody, also for what changes something: {}",
                named(&changes)
            ),
            repair: format!("set `authority = \"per-user\"` for `{name}`, or let it be told for whom each call is made with `[servers.{name}.assertion]`"),
        })
    }

    /// What an author says of a tool decides what may be done with it.
    fn trusts(&self, name: &ServerName, server: &ServerSettings) -> Option<Mistake> {
        server.declarations.trust_annotations.then(|| Mistake {
            mistake: "protocol-as-security-model",
            because: format!("the hints of `{name}`'s author decide which of its tools count as reading"),
            repair: format!(
                "take `trust-annotations` away and declare its tools under `[servers.{name}.tools]`"
            ),
        })
    }

    /// Whoever publishes the package decides what runs next, in an environment that has a name.
    fn floats(&self, name: &ServerName, server: &ServerSettings) -> Option<Mistake> {
        let Reach::Stdio { command, args, .. } = &server.reach else { return None };
        let is_local = |environment: &decision::Environment| environment.as_str() == "local";
        if is_local(&self.place.meant.settings.environment) && is_local(&server.environment) {
            return None;
        }
        let program = command.to_string_lossy().into_owned();
        let command = std::iter::once(program).chain(args.iter().cloned()).collect();
        let floats = entry::floats(&Entry { command, ..Entry::default() })?;
        Some(Mistake {
            mistake: "arbitrary-server",
            because: format!("`{name}`: {floats}"),
            repair: "name one version, and approve that with `callgate registry approve`".to_owned(),
        })
    }

    /// No rule asks who it is, and not only those in these files.
    fn anybody(&self, ours: &BTreeSet<String>) -> Option<Mistake> {
        let settings = &self.place.meant.settings;
        // nobody has such a name by chance
        let nobody = AgentName::new("callgate-check-nobody-in-particular").ok()?;
        let principal = Principal {
            tenant: settings.tenant.clone(),
            environment: settings.environment.clone(),
            actor: Actor::Agent(nobody),
            ..Principal::unknown()
        };
        let asker = Asker { principal: &principal, host: None };
        let may = |server: &ServerName, item: &Item| {
            let subject = Subject { server, kind: ItemKind::Tool, name: item.definition.name() };
            let answer = self.policies.see(asker, subject);
            let starters = match &answer {
                Answer::Allowed { basis } => basis
                    .iter()
                    .all(|id| self.policies.explain(id).is_some_and(|rule| ours.contains(rule.path))),
                Answer::Held(_) | Answer::Refused { .. } => false,
            };
            item.classified.effect != Effect::Read && !starters && answer.judged(Asked::See).is_ok()
        };
        let tools: Vec<_> =
            settings.servers.keys().flat_map(|server| self.tools(server, |item| may(server, item))).collect();
        (!tools.is_empty()).then(|| Mistake {
            mistake: "no-server-side-authorization",
            because: format!("any agent with a token may use {}, whoever it is", named(&tools)),
            repair: "name agents or groups in the rules that permit them: `callgate policy who-can` says which those are"
                .to_owned(),
        })
    }

    /// Changes that nobody looks at train people to look at none.
    fn passed_over(&self) -> Option<Mistake> {
        let old = |pin: &&Pin| self.now.since(pin.seen_at) > PASSED_OVER_US;
        let waits: Vec<String> = self
            .pending
            .iter()
            .filter(|(_, pins)| pins.iter().any(|pin| old(&pin)))
            .map(|(server, _)| server.to_string())
            .collect();
        (!waits.is_empty()).then(|| Mistake {
            mistake: "drift-ignored",
            because: format!("what changed at {} has waited for more than two weeks", named(&waits)),
            repair: "look at `callgate registry diff SERVER`, then approve or reject it".to_owned(),
        })
    }
}

/// The first few, and how many more there are.
pub(super) fn named(all: &[String]) -> String {
    let first: Vec<_> =
        all.iter().take(NAMED).map(|one| format!("`{}`", crate::say::one_line(one))).collect();
    match all.len().saturating_sub(NAMED) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}
