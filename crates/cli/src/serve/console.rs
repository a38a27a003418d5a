//! The console at the gateway's own address.

use super::{files::InForce, hooks, looks::Looks};
use crate::{
    say::Say,
    sources::{SystemClock, SystemEntropy},
};
use console::{Configured, Console, PREFIX, Parts, RefusedFiles, Worth, hooks::Keys};
use decision::{EventName, ServerName, UserName, approval::Terms};
use gateway::{
    Gate,
    listen::http::{Annex, Visit},
};
use policy::Visitor;
use std::{
    io::{IsTerminal as _, stdout},
    net::SocketAddr,
    sync::Arc,
};
use tokio_util::sync::CancellationToken;

/// The servers of a gateway, as they are in force.
#[derive(Debug)]
struct InGate(Arc<Gate>, InForce);

impl console::Servers for InGate {
    fn configured(&self, only: Option<&ServerName>) -> Vec<Configured> {
        let (live, mut absent) = (self.0.live(), self.0.absent());
        let names = live.settings.servers.keys().filter(|name| only.is_none_or(|only| only == *name));
        let one = |name: &ServerName| {
            Some(Configured {
                name: name.clone(),
                known: gateway::registry::configured(&live, name)?,
                declared: gateway::registry::declared(&live.settings, name).cloned().unwrap_or_default(),
                access: live.registry.access(name),
                absent: absent.remove(name),
            })
        };
        names.filter_map(one).collect()
    }

    fn rules_over(
        &self,
        server: &ServerName,
        definitions: Vec<Arc<catalog::Definition>>,
    ) -> Option<policy::Policies> {
        gateway::registry::rules_over(&self.0.live(), server, definitions)
    }

    fn agents(&self) -> Vec<store::NewAgent> {
        self.0.live().settings.agents()
    }

    fn worth(&self, terms: &Terms) -> Worth {
        let live = self.0.live();
        match gateway::still_bound(&live, terms) {
            Ok(None) => Worth::Counts,
            Ok(Some(part)) => Worth::Void(part),
            Err(why) => Worth::NothingNow(why),
        }
    }

    fn refused(&self) -> Option<RefusedFiles> {
        let standing = self.1.standing.load();
        standing
            .refused
            .as_ref()
            .map(|refused| RefusedFiles { at: refused.at, problems: refused.problems.clone() })
    }
}

pub(super) fn servers(gate: &Arc<Gate>, in_force: &InForce) -> Arc<dyn console::Servers> {
    Arc::new(InGate(Arc::clone(gate), in_force.clone()))
}

/// Opens the console; nobody is let in yet.
pub(super) fn open(
    gate: &Arc<Gate>,
    in_force: &InForce,
    keys: &Arc<dyn Keys>,
    looks: &Looks,
    closing: &CancellationToken,
) -> anyhow::Result<Arc<Console>> {
    Ok(Console::new(Parts {
        desk: Arc::clone(gate.desk()),
        ledger: Arc::clone(gate.ledger()),
        scope: gate.live().settings.scope(),
        settings: Arc::clone(&in_force.console),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        servers: servers(gate, in_force),
        looks: Arc::new(looks.clone()),
        callback: hooks::callback(gate, in_force, keys, servers(gate, in_force)),
        closing: closing.clone(),
    })?)
}

/// The console as the listener takes it.
pub(super) fn annex(console: &Arc<Console>) -> Annex {
    let console = Arc::clone(console);
    Annex {
        prefix: PREFIX,
        answer: Arc::new(move |request, Visit { secure, facts, .. }| {
            let console = Arc::clone(&console);
            Box::pin(async move { console.answer(request, secure, &|| facts.acquaintance.make()).await })
        }),
    }
}

/// A link that lets somebody in once; recorded before it is given.
pub(super) async fn link(
    gate: &Gate,
    console: &Console,
    in_force: &InForce,
    address: SocketAddr,
    person: Option<UserName>,
) -> anyhow::Result<String> {
    let settings = in_force.console.load();
    anyhow::ensure!(
        settings.enabled,
        "the console is off: take `console.enabled = false` out of the configuration"
    );
    if let Some(name) = &person {
        let users = gate.store().list_users(&gate.live().settings.scope()).await?;
        let Some(user) = users.iter().find(|user| user.name == *name) else {
            anyhow::bail!(
                "there is no user `{name}`: add them with `callgate user add {name} --group GROUP`"
            );
        };
        anyhow::ensure!(
            !settings.roles_of(&user.groups).is_empty(),
            "none of the groups of `{name}` has a role: name one under `[console]` in the configuration"
        );
    }
    let visitor = person.map_or(Visitor::Operator, Visitor::Person);
    let who = visitor.to_string();
    super::open::tell(gate, EventName::ConsoleLinkMade, &[("for", &who)]).await?;
    Ok(format!("{}{}", gate.live().settings.console_base(address), console.invite(visitor).await?))
}

/// Shows a link for the operator on a terminal. It is a key to the console, so it goes into no log.
pub(super) async fn welcome(
    say: Say,
    gate: &Gate,
    console: &Console,
    in_force: &InForce,
    address: SocketAddr,
) -> anyhow::Result<()> {
    if !in_force.console.load().enabled {
        return Ok(());
    }
    if !stdout().is_terminal() || say.json {
        tracing::info!("the console is at `{PREFIX}`: `callgate console` prints a link to sign in");
        return Ok(());
    }
    let link = link(gate, console, in_force, address, None).await?;
    say.line(format!("console: {link}"));
    say.line("         good once, for ten minutes; `callgate console --as NAME` prints one for a person");
    Ok(())
}
