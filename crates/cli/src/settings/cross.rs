//! The crossing from [`File`] to [`Meant`]: parsed, defaulted, checked. All problems at once, each with
//! file, line and excerpt.

use super::{
    approvals, budgets, console, door,
    file::{self, File},
    idempotency, keys, networks, oauth, places,
    problem::{Crossing, Kind, Located},
    reach::{is_variable, reach},
    record, registry, term, vault,
    vault_key::{self, KeySources},
    webhooks,
};
use catalog::{Declarations, Declared};
use decision::{AgentName, Environment, SecretName, ServerName, TenantId};
use egress::IpNet;
use gateway::settings::{
    AssertionUse, Authority, CredentialUse, Limits, Mode, Place, Reach, ServerSettings, Settings, Source,
};
use serde::Deserialize as _;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
};
use toml::{Spanned, de::DeTable};

/// The address the gateway listens on unless told otherwise.
const LISTEN: &str = "127.0.0.1:8484";

/// What the file means.
#[derive(Debug, Clone)]
pub(crate) struct Meant {
    pub(crate) settings: Settings,
    pub(crate) state_dir: PathBuf,
    pub(crate) database: String,
    /// Where the keys are under which secrets are sealed.
    pub(crate) keys: KeySources,
    pub(crate) console: ::console::Settings,
    /// The line, from 1, on which each file of the listener is named.
    pub(crate) lines: BTreeMap<PathBuf, usize>,
}

/// Reads and crosses the file. `state` is where state goes when the file does not say.
///
/// Errors: every problem, in the order of the file.
pub(crate) fn read(path: &Path, text: &str, state: &Path) -> Result<Meant, Vec<Located>> {
    let mut crossing = Crossing::new(path, text);
    let Some(file) = parse(&mut crossing) else {
        crossing.problems.sort_by_key(|problem| problem.at.offset());
        return Err(crossing.problems);
    };
    let base = path.parent().unwrap_or_else(|| Path::new("."));
    let meant = cross(&mut crossing, &file, base, state);
    if crossing.problems.is_empty() {
        Ok(meant)
    } else {
        crossing.problems.sort_by_key(|problem| problem.at.offset());
        Err(crossing.problems)
    }
}

/// Most problems of form that are told at once.
const PROBLEMS_MAX: usize = 20;

/// Reads the form. `None` when nothing more can be said than the problems noted.
fn parse(crossing: &mut Crossing<'_>) -> Option<File> {
    let (mut table, errors) = DeTable::parse_recoverable(crossing.text);
    if !errors.is_empty() {
        for error in errors.iter().take(PROBLEMS_MAX) {
            crossing.note(Kind::Syntax, error.span().unwrap_or(0..0), plain(error.message()), None);
        }
        return None;
    }
    let schema = serde_json::to_value(schemars::schema_for!(File)).unwrap_or_default();
    let strange = keys::take_strange(table.get_mut(), &schema);
    // before any is told: an excerpt shows the lines around its problem too
    strange.iter().flat_map(|one| &one.hidden).for_each(|at| crossing.hide(at.clone()));
    for strange in strange {
        crossing.note(Kind::Unknown, strange.at, strange.message, strange.help.as_deref());
    }
    match File::deserialize(toml::de::Deserializer::from(table)) {
        Ok(file) => Some(file),
        Err(error) => {
            crossing.note(Kind::Form, error.span().unwrap_or(0..0), plain(error.message()), None);
            None
        }
    }
}

/// A message of the parser in our form: one line, beginning small.
fn plain(message: &str) -> String {
    let line = message.lines().collect::<Vec<_>>().join("; ");
    let mut chars = line.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

fn cross(crossing: &mut Crossing<'_>, file: &File, base: &Path, state: &Path) -> Meant {
    let environment: Environment =
        optional(crossing, file.environment.as_ref(), "an environment", Environment::default());
    let tenant: TenantId = optional(crossing, file.tenant.as_ref(), "a tenant", TenantId::default());
    let listen = listen(crossing, file);
    let limits = limits(crossing, &file.limits);
    let public_url = oauth::public_url(crossing, file.public_url.as_ref(), listen, file.tls.is_some());
    let mut allowed_hosts: BTreeSet<_> =
        file.allowed_hosts.iter().filter_map(|name| door::host(crossing, name)).collect();
    if file.public_url.is_some() {
        // the name it is reached by is one of its names
        allowed_hosts.extend(public_url.split_once("://").map(|(_, host)| host.to_ascii_lowercase()));
    }
    let networks = networks::networks(crossing, &file.egress.networks);
    let here = (public_url.clone(), file.public_url.is_some(), listen);
    let oauth = oauth::oauth(crossing, file.oauth.as_ref(), here, &networks);
    let workloads = door::workloads(crossing, file, oauth.as_deref());
    let unauthenticated = file.allow_unauthenticated_loopback.as_ref().and_then(|name| agent(crossing, name));
    if unauthenticated.is_some() && !listen.ip().is_loopback() {
        let at = file.allow_unauthenticated_loopback.as_ref().map(Spanned::span).unwrap_or_default();
        crossing.problem(
            at,
            "nobody may be unauthenticated on an address that others can reach",
            Some("listen on 127.0.0.1, or take this line out and give agents tokens (`callgate agent add`)"),
        );
    }
    door::exposed(crossing, file, listen);
    let stdio_agent = file.stdio_agent.as_ref().and_then(|name| agent(crossing, name));
    let vault = vault::vault(crossing, &file.vault, base);
    let development = file.vault.development_sources;
    let sources = vault::Sources { development, backend: file.vault.kv.is_some(), base };
    let servers = servers(crossing, file, &environment, &limits, sources);
    let named = file.servers.keys().map(|name| name.get_ref().clone()).collect();
    let budgets = budgets::cross(crossing, &file.budgets, &named);
    let state_dir = file.state_dir.as_ref().map_or_else(|| state.to_owned(), |dir| base.join(dir));
    let database = database(crossing, file.database.as_ref(), base, &state_dir);
    let keys = vault_key::cross(crossing, &file.vault, base, &state_dir);
    let console = console(crossing, file, &servers, &networks);
    Meant {
        settings: Settings {
            tenant,
            environment,
            listen,
            allowed_hosts,
            allowed_origins: file.allowed_origins.iter().filter_map(|one| origin(crossing, one)).collect(),
            unauthenticated_loopback: unauthenticated,
            metrics_networks: networks::networks(crossing, &file.metrics_networks),
            stdio_agent: stdio_agent.unwrap_or_else(local),
            limits,
            oauth,
            networks,
            vault,
            registry: registry::cross(crossing, &file.registry, &public_url),
            issuer: public_url,
            servers,
            tls: door::tls(crossing, file, base),
            tls_terminated_upstream: file.tls_terminated_upstream.as_ref().is_some_and(|one| *one.get_ref()),
            workloads,
            approvals: approvals::cross(crossing, &file.approvals, console.enabled),
            budgets,
            idempotency: idempotency::cross(crossing, &file.idempotency),
        },
        state_dir,
        database,
        keys,
        console,
        lines: door::lines(crossing, file, base),
    }
}

fn console(
    crossing: &mut Crossing<'_>,
    file: &File,
    servers: &BTreeMap<ServerName, ServerSettings>,
    networks: &[IpNet],
) -> ::console::Settings {
    let settings = console::cross(crossing, &file.console);
    let hooks = webhooks::cross(crossing, &file.webhooks, networks, settings.enabled);
    let declared = servers.iter().map(|(name, one)| (name.clone(), one.declarations.clone())).collect();
    ::console::Settings { hooks, declared, ..settings }
}

fn servers(
    crossing: &mut Crossing<'_>,
    file: &File,
    environment: &Environment,
    limits: &Limits,
    sources: vault::Sources<'_>,
) -> BTreeMap<ServerName, ServerSettings> {
    let mut servers = BTreeMap::new();
    for (name, written) in &file.servers {
        match ServerName::new(name.get_ref().clone()) {
            Ok(_) if name.get_ref() == gateway::webhooks::WEBHOOK => {
                let help = "call the server something else";
                crossing.problem(name.span(), "`webhook` stands for addresses that are told", Some(help));
            }
            Ok(_) if name.get_ref() == gateway::introspection::PROVIDER => {
                let help = "call the server something else";
                let message = format!("`{}` stands for the identity provider", name.get_ref());
                crossing.problem(name.span(), message, Some(help));
            }
            Ok(server) => {
                if let Some(meant) = server_of(crossing, name, written, environment, limits, sources) {
                    servers.insert(server, meant);
                }
            }
            Err(e) => crossing.problem(name.span(), e.to_string(), None),
        }
    }
    servers
}

/// A page's origin: scheme, host and perhaps a port.
fn origin(crossing: &mut Crossing<'_>, given: &Spanned<String>) -> Option<String> {
    let text = given.get_ref().to_ascii_lowercase();
    let parsed = url::Url::parse(&text).ok().map(|url| url.origin().ascii_serialization());
    if parsed.as_deref() == Some(&text) {
        return Some(text);
    }
    let message = format!("`{}` is not an origin", given.get_ref());
    crossing.problem(
        given.span(),
        message,
        Some("write scheme, host and port as browsers do: `https://app.example.com`"),
    );
    None
}

/// The address of the database. A relative path of a file is relative to the configuration.
fn database(
    crossing: &mut Crossing<'_>,
    given: Option<&Spanned<String>>,
    base: &Path,
    state_dir: &Path,
) -> String {
    let Some(given) = given else {
        return format!("sqlite:{}", state_dir.join("callgate.db").display());
    };
    let address = given.get_ref();
    if let Some(path) = address.strip_prefix("sqlite:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        return format!("sqlite:{}", base.join(path).display());
    }
    if !address.starts_with("postgres://") && !address.starts_with("postgresql://") {
        // the address is not repeated: it may hold a password
        let help = "write `sqlite:PATH` or `postgres://USER@HOST/DATABASE`";
        crossing.hidden(given.span(), "this is not the address of a database", Some(help));
    }
    address.clone()
}

/// The agent of standard input, unless told otherwise.
#[expect(clippy::expect_used, reason = "a constant of the right form; a test holds it")]
fn local() -> AgentName {
    AgentName::new("local").expect("`local` is an agent name")
}

fn listen(crossing: &mut Crossing<'_>, file: &File) -> SocketAddr {
    let default = SocketAddr::from(([127, 0, 0, 1], 8484));
    debug_assert_eq!(LISTEN, default.to_string());
    optional(crossing, file.listen.as_ref(), "an IP address with a port, such as `127.0.0.1:8484`", default)
}

fn optional<T: FromStr>(
    crossing: &mut Crossing<'_>,
    given: Option<&Spanned<String>>,
    what: &str,
    default: T,
) -> T
where
    T::Err: std::fmt::Display,
{
    match given {
        Some(given) => crossing.parse(given, what, default),
        None => default,
    }
}

fn agent(crossing: &mut Crossing<'_>, given: &Spanned<String>) -> Option<AgentName> {
    AgentName::new(given.get_ref().clone())
        .map_err(|e| crossing.problem(given.span(), e.to_string(), None))
        .ok()
}

fn limits(crossing: &mut Crossing<'_>, written: &file::Limits) -> Limits {
    let d = Limits::default();
    Limits {
        message_bytes_max: crossing.count(written.max_message_bytes.as_ref(), d.message_bytes_max),
        result_bytes_max: crossing.count(written.max_result_bytes.as_ref(), d.result_bytes_max),
        depth_max: crossing.count(written.max_depth.as_ref(), d.depth_max),
        read_timeout: crossing.duration(written.read_timeout.as_ref(), d.read_timeout),
        call_timeout: crossing.duration(written.call_timeout.as_ref(), d.call_timeout),
        question_timeout: crossing.duration(written.question_timeout.as_ref(), d.question_timeout),
        calls_in_flight_max: crossing.count(written.max_calls_in_flight.as_ref(), d.calls_in_flight_max),
        connections_max: crossing.count(written.max_connections.as_ref(), d.connections_max),
        sessions_max: crossing.count(written.max_sessions.as_ref(), d.sessions_max),
        session_idle: crossing.duration(written.session_idle.as_ref(), d.session_idle),
        child_idle: crossing.duration(written.child_idle.as_ref(), d.child_idle),
        children_max: crossing.count(written.max_children.as_ref(), d.children_max),
        drain_timeout: crossing.duration(written.drain_timeout.as_ref(), d.drain_timeout),
    }
}

fn server_of(
    crossing: &mut Crossing<'_>,
    name: &Spanned<String>,
    written: &file::Server,
    environment: &Environment,
    limits: &Limits,
    sources: vault::Sources<'_>,
) -> Option<ServerSettings> {
    let reach = reach(crossing, name, written, sources.base)?;
    let is_http = matches!(reach, Reach::Http { .. } | Reach::Sse { .. });
    let authority = authority(crossing, written.authority.as_ref());
    let mut credentials = Vec::with_capacity(written.credentials.len());
    for one in &written.credentials {
        let per_user = authority == Authority::PerUser;
        let source = vault::source(crossing, one.source.as_ref(), sources, per_user);
        let meant = credential(crossing, one, is_http);
        let at = one.secret.span();
        let of_it = |(meant, source)| (at, CredentialUse { source, ..meant });
        credentials.extend(meant.zip(source).map(of_it));
    }
    let assertion = written.assertion.as_ref().and_then(|one| assertion(crossing, one, is_http));
    places::apart(crossing, written, &credentials, assertion.as_ref());
    let tools =
        written.tools.iter().map(|(name, tool)| (name.clone(), declared(crossing, name, tool))).collect();
    Some(ServerSettings {
        reach,
        environment: optional(crossing, written.environment.as_ref(), "an environment", environment.clone()),
        mode: match written.mode {
            Some(file::Mode::Observe) => Mode::Observe,
            Some(file::Mode::Enforce) | None => Mode::Enforce,
        },
        call_timeout: crossing.duration(written.timeout.as_ref(), limits.call_timeout),
        authority,
        assertion,
        credentials: credentials.into_iter().map(|(_, one)| one).collect(),
        open_arguments: written.open_arguments.iter().cloned().collect::<BTreeSet<_>>(),
        keep_arguments: written.keep.arguments.unwrap_or(true),
        keep_results: written.keep.results.unwrap_or(false),
        networks: networks::networks(crossing, &written.networks),
        declarations: Declarations { trust_annotations: written.trust_annotations, tools },
        record: record::cross(crossing, &written.record),
    })
}

/// In whose name a server is used.
fn authority(crossing: &mut Crossing<'_>, written: Option<&Spanned<String>>) -> Authority {
    let Some(given) = written else { return Authority::Shared };
    let (message, help) = match given.get_ref().as_str() {
        "shared" => return Authority::Shared,
        "per-user" => return Authority::PerUser,
        "exchange" | "oauth-client" => (
            format!("the authority `{}` is not there yet", given.get_ref()),
            "until a later version has it, write `shared` or `per-user`",
        ),
        other => (format!("there is no authority `{other}`"), "write `shared` or `per-user`"),
    };
    crossing.problem(given.span(), message, Some(help));
    Authority::Shared
}

/// How a server is told for whom a call is made.
fn assertion(crossing: &mut Crossing<'_>, written: &file::Assertion, is_http: bool) -> Option<AssertionUse> {
    let at = written.header.span();
    if !is_http {
        let help = "a program is started once for many calls; give it a credential of each user's own";
        crossing.problem(at, "an assertion goes in a header, so the server needs `url`", Some(help));
        return None;
    }
    if let Some(why) = unfit_header(written.header.get_ref()) {
        crossing.problem(at, why, None);
        return None;
    }
    if written.audience.get_ref().trim().is_empty() {
        let help = "write what the server knows itself as, such as its address";
        crossing.problem(written.audience.span(), "the audience is empty", Some(help));
        return None;
    }
    let header = http::HeaderName::from_bytes(written.header.get_ref().as_bytes()).ok()?;
    Some(AssertionUse { header, audience: written.audience.get_ref().clone(), groups: written.groups })
}

fn credential(
    crossing: &mut Crossing<'_>,
    written: &file::Credential,
    is_http: bool,
) -> Option<CredentialUse> {
    let at = written.secret.span();
    let secret = SecretName::new(written.secret.get_ref().clone())
        .map_err(|e| crossing.problem(at.clone(), e.to_string(), None))
        .ok()?;
    if let Some(why) = unfit(written) {
        crossing.problem(at, why, None);
        return None;
    }
    let place = match (&written.header, &written.query, &written.env) {
        (Some(name), None, None) if is_http => {
            Place::Header { name: name.clone(), prefix: written.prefix.clone().unwrap_or_default() }
        }
        (None, Some(name), None) if is_http => Place::Query { name: name.clone() },
        (None, None, Some(name)) if !is_http => Place::Env { name: name.clone() },
        _ => {
            let help = "a server with `url` takes `header` or `query`, one with `command` takes `env`";
            crossing.problem(at, "say where the secret goes, in exactly one place", Some(help));
            return None;
        }
    };
    Some(CredentialUse { secret, source: Source::Stored, place })
}

/// Headers that belong to the protocol and not to a credential.
const OURS: [&str; 7] =
    ["host", "content-length", "content-type", "accept", "connection", "transfer-encoding", "te"];

fn unfit_header(name: &str) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
        return Some(format!("`{name}` cannot be the name of a header"));
    }
    if OURS.contains(&lower.as_str()) || lower.starts_with("mcp-") {
        return Some(format!("the header `{name}` belongs to the protocol, a secret cannot go there"));
    }
    None
}

/// Why a secret cannot go where it is said to go.
fn unfit(written: &file::Credential) -> Option<String> {
    if written.secret.get_ref().starts_with("callgate/") {
        return Some("names that begin with `callgate/` are for the gateway's own secrets".to_owned());
    }
    if let Some(name) = &written.header {
        if let Some(why) = unfit_header(name) {
            return Some(why);
        }
        let prefix = written.prefix.as_deref().unwrap_or_default();
        if !prefix.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Some("`prefix` holds a character that cannot be in a header".to_owned());
        }
    } else if written.prefix.is_some() {
        return Some("`prefix` stands before a secret in a header only".to_owned());
    }
    if written.env.as_ref().is_some_and(|name| !is_variable(name)) {
        return Some("`env` must be the name of a variable".to_owned());
    }
    if written.query.as_ref().is_some_and(String::is_empty) {
        return Some("`query` must be the name of a parameter".to_owned());
    }
    None
}

fn declared(crossing: &mut Crossing<'_>, name: &str, written: &file::Tool) -> Declared {
    Declared {
        effect: written.effect.map(Into::into),
        tier: written.tier.map(Into::into),
        categories: written.categories.iter().map(|category| (*category).into()).collect(),
        undo: written.undo.clone(),
        owner: term::said(crossing, written.owner.as_ref()),
        draft: written.draft,
        idempotency: idempotency::of_tool(crossing, written),
        repeat_unknown: written.repeat_unknown,
        term: term::of_tool(crossing, name, written),
    }
}
