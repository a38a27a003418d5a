//! Which servers may be used, and how far: what their records allow, whenever somebody asks.
//!
//! Resolved when a snapshot is built; only a date is compared when a call asks. No mode softens it.

use crate::gate::Live;
use crate::settings::{AssertionUse, Mode, Place, Reach, ServerSettings, Settings, Source};
use catalog::record::{Access, Facts, Held, Known, Record, Regime, Shut, Standing};
use catalog::{Catalogue, record};
use decision::{Clock, Code, Digest, ItemKind, Refusal, ServerName, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Where every configured server stands.
#[derive(Debug)]
pub struct Registry {
    clock: Arc<dyn Clock>,
    servers: BTreeMap<ServerName, Placed>,
    /// When declarations of tools begin or end to count.
    dates: Vec<Timestamp>,
    built_at: Timestamp,
}

#[derive(Debug)]
struct Placed {
    standing: Standing,
    /// The tools that may be used while the server is held to reads. Of one that never is, none.
    reads: Arc<BTreeSet<String>>,
}

impl Registry {
    pub(crate) fn new(
        clock: &Arc<dyn Clock>,
        settings: &Settings,
        records: &BTreeMap<ServerName, Record>,
        catalogue: &Catalogue,
        (before, built_at): (Option<&Live>, Timestamp),
    ) -> Self {
        let placed = |(name, server): (&ServerName, &ServerSettings)| {
            let regime = Regime::of(&settings.environment, &server.environment);
            let standing = Standing::of(regime, records.get(name), &wiring(server));
            let reads = match standing.may_hold() {
                true => reads(catalogue, name, before),
                false => Arc::default(),
            };
            (name.clone(), Placed { standing, reads })
        };
        let servers = settings.servers.iter().map(placed).collect();
        let dates = settings.servers.values().flat_map(|server| server.declarations.dates()).collect();
        Self { clock: Arc::clone(clock), servers, dates, built_at }
    }

    /// What may be used of a server now. Of one that is not configured, nothing.
    pub fn access(&self, server: &ServerName) -> Access {
        self.access_at(server, || self.clock.now())
    }

    fn access_at(&self, server: &ServerName, when: impl FnOnce() -> Timestamp) -> Access {
        match self.servers.get(server) {
            // the clock is asked only where it matters
            Some(placed) if placed.standing.until().is_none() => placed.standing.at(Timestamp(0)),
            Some(placed) => placed.standing.at(when()),
            None => Access::Nothing(Shut::Unapproved),
        }
    }

    /// Whether this item may be used now.
    pub(crate) fn allows(&self, server: &ServerName, kind: ItemKind, name: &str) -> bool {
        match self.access(server) {
            Access::Whole => true,
            Access::Nothing(_) => false,
            Access::Reads(_) => match kind {
                ItemKind::Tool => self.servers.get(server).is_some_and(|placed| placed.reads.contains(name)),
                // what has people or models do something is no read
                ItemKind::Question => name == "roots/list",
                ItemKind::Prompt | ItemKind::Resource | ItemKind::ResourceTemplate | ItemKind::Server => true,
            },
        }
    }

    /// The same, with the reason for a no.
    pub(crate) fn check(&self, server: &ServerName, kind: ItemKind, name: &str) -> Result<(), Refusal> {
        if self.allows(server, kind, name) {
            return Ok(());
        }
        let access = self.access(server);
        let code = match access {
            Access::Nothing(Shut::Suspended) => Code::ServerSuspended,
            Access::Nothing(Shut::Retired) => Code::ServerRetired,
            Access::Nothing(Shut::Unapproved | Shut::InReview | Shut::Rewired) => Code::ServerUnapproved,
            Access::Reads(Held::Overdue) => Code::ServerReviewOverdue,
            // whole again since it was asked: the next call passes
            Access::Reads(Held::Candidate | Held::InReview | Held::Rewired) | Access::Whole => {
                Code::ServerHeldToReads
            }
        };
        let mut because = access.because(server.as_str()).unwrap_or_default();
        if let (ItemKind::Question, Access::Reads(_)) = (kind, access) {
            because = format!(
                "the server put a question (`{name}`) to its client, which is no read; what it had done until then is \
                 not undone: {because}"
            );
        }
        Err(Refusal::new(code, because.clone()).told(because))
    }

    /// Why an item may not be used now, if it may not.
    pub fn refusal(&self, server: &ServerName, kind: ItemKind, name: &str) -> Option<Refusal> {
        self.check(server, kind, name).err()
    }

    /// Whether a server may be used at all.
    pub(crate) fn is_open(&self, server: &ServerName) -> bool {
        self.servers.get(server).is_some_and(|placed| placed.standing.is_open())
    }

    /// Whether the gateway may connect to it.
    pub(crate) fn looks(&self, server: &ServerName) -> bool {
        self.servers.get(server).is_some_and(|placed| placed.standing.looks())
    }

    /// Whether it is configured, and nothing connects to it.
    pub fn is_shut(&self, server: &ServerName) -> bool {
        self.servers.get(server).is_some_and(|placed| !placed.standing.looks())
    }

    /// Servers to which nothing connects.
    pub(crate) fn shut(&self) -> BTreeSet<ServerName> {
        let shut = self.servers.iter().filter(|(_, placed)| !placed.standing.looks());
        shut.map(|(name, _)| name.clone()).collect()
    }

    /// Whether a date has passed since this was built: lists look different from then on.
    pub(crate) fn has_lapsed(&self) -> bool {
        let now = self.clock.now();
        let lapsed = |until: Timestamp| self.built_at < until && until <= now;
        let records = self.servers.values().filter_map(|placed| placed.standing.until());
        records.chain(self.dates.iter().copied()).any(lapsed)
    }

    /// Says what operators should know: which servers may be used no further than so.
    pub(crate) fn announce(&self, before: Option<&Self>) {
        for server in self.servers.keys() {
            let access = self.access(server);
            if let Some(because) = access
                .because(server.as_str())
                // as it was when that was built: a date may have passed since
                .filter(|_| {
                    before.is_none_or(|before| before.access_at(server, || before.built_at) != access)
                })
            {
                tracing::warn!(%server, "{because}");
            }
        }
    }
}

fn reads(catalogue: &Catalogue, name: &ServerName, before: Option<&Live>) -> Arc<BTreeSet<String>> {
    let Some(entry) = catalogue.server(name) else { return Arc::default() };
    // judging definitions is most of the work, and most servers offer what they did
    let same = before.filter(|before| before.catalogue.server(name) == Some(entry));
    let placed = same.and_then(|before| before.registry.servers.get(name));
    match placed.filter(|placed| placed.standing.may_hold()) {
        Some(placed) => Arc::clone(&placed.reads),
        None => Arc::new(record::reads(entry)),
    }
}

/// What stands before most credentials: it is not said.
const BEARER: &str = "Bearer ";

/// How a server is reached and as whom, a line each: what an approval is bound to. Values of variables are not in it.
pub fn wiring(server: &ServerSettings) -> String {
    let mut lines = Vec::new();
    match &server.reach {
        Reach::Http { url } => lines.push(format!("url {url}")),
        Reach::Sse { url } => lines.push(format!("sse {url}")),
        Reach::Stdio { command, args, env, cwd } => {
            lines.push(format!("command {:?}", command.display().to_string()));
            lines.extend(args.iter().map(|arg| format!("arg {arg:?}")));
            lines.extend(cwd.iter().map(|cwd| format!("cwd {:?}", cwd.display().to_string())));
            lines
                .extend(env.iter().map(|(key, value)| format!("env {key} {}", Digest::of(value.as_bytes()))));
        }
    }
    lines.push(format!("environment {}", server.environment));
    lines.push(format!("authority {}", server.authority.as_str()));
    for one in &server.credentials {
        let place = match &one.place {
            Place::Header { name, prefix } if prefix == BEARER => format!("header {name}"),
            Place::Header { name, prefix } => format!("header {name} after {prefix:?}"),
            Place::Query { name } => format!("query {name}"),
            Place::Env { name } => format!("variable {name}"),
        };
        // which secret that is, where it is not the one of that name in the vault
        let source = match &one.source {
            Source::Stored => String::new(),
            Source::Kv(at) => format!(" from {:?} field {:?} version {:?}", at.path, at.field, at.version),
            Source::Variable(name) => format!(" from variable {name:?}"),
            Source::File(path) => format!(" from file {:?}", path.display().to_string()),
        };
        lines.push(format!("credential {} in {place}{source}", one.secret));
    }
    if let Some(AssertionUse { header, audience, groups }) = &server.assertion {
        let groups = if *groups { " with groups" } else { "" };
        lines.push(format!("assertion for {audience} in {header}{groups}"));
    }
    lines.extend(server.networks.iter().map(|network| format!("network {network}")));
    lines.extend(server.open_arguments.iter().map(|tool| format!("open-arguments {tool:?}")));
    if server.declarations.trust_annotations {
        lines.push("trust-annotations".to_owned());
    }
    if server.mode == Mode::Observe {
        lines.push("mode observe".to_owned());
    }
    lines.join("\n")
}

/// What the configuration, the rules and the accepted definitions say of a server, for its record.
pub fn configured(live: &Live, name: &ServerName) -> Option<Known> {
    let server = live.settings.servers.get(name)?;
    let known = Known {
        environment: server.environment.to_string(),
        regime: Regime::of(&live.settings.environment, &server.environment),
        wiring: wiring(server),
        credentials: server.credentials.iter().map(|one| one.secret.to_string()).collect(),
        shared: live.catalogue.shared_addresses(name),
        ..Known::default()
    };
    Some(match live.catalogue.server(name) {
        Some(entry) => known.with_items(entry, |tool| live.policies.may_need(name, tool)),
        None => known,
    })
}

/// The rules in force over these definitions, as if they were all that the server offers and all that there is. Asked,
/// and never put in force. `None` where the server is not configured.
pub fn rules_over(
    live: &Live,
    name: &ServerName,
    definitions: Vec<Arc<catalog::Definition>>,
) -> Option<policy::Policies> {
    let server = live.settings.servers.get(name)?;
    let declarations = server.declarations.at(live.registry.clock.now());
    let observed = live.catalogue.server(name).map(|entry| entry.all_observed().clone());
    let entry = catalog::ServerEntry::with_observed(
        server.environment.clone(),
        declarations,
        definitions,
        observed.unwrap_or_default(),
    );
    live.policies.over(Arc::new(Catalogue::new(BTreeMap::from([(name.clone(), entry)])))).ok()
}

/// What the file says of a server that only people know.
pub fn declared<'s>(settings: &'s Settings, name: &ServerName) -> Option<&'s Facts> {
    settings.servers.get(name).map(|server| &server.record)
}
