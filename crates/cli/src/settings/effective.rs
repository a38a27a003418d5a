//! What the settings mean, written back in the form of the file with every default filled in. No secret is in
//! the settings; the password of a database address is, and is left out.

use super::{Meant, file::File};
use gateway::settings::{CredentialUse, Limits, Mode, Place, Reach, ServerSettings, TlsSettings, Workload};
use identity::{
    CertificateName,
    oauth::{Introspection, Issuer, Mapping, Oauth},
};
use std::{collections::BTreeMap, time::Duration};
use toml::{Table, Value};

/// The JSON Schema of the file. Errors: it does not serialise.
pub(crate) fn schema() -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(&schemars::schema_for!(File))?)
}

/// Every setting with its value in force.
pub(crate) fn effective(meant: &Meant) -> Table {
    let settings = &meant.settings;
    let mut out = Table::new();
    let mut put = |key: &str, value: Value| drop(out.insert(key.to_owned(), value));
    put("listen", text(settings.listen));
    put("environment", text(&settings.environment));
    put("tenant", text(&settings.tenant));
    put("state-dir", text(meant.state_dir.display()));
    put("database", text(without_password(&meant.database)));
    put("allowed-hosts", list(&settings.allowed_hosts));
    put("allowed-origins", list(&settings.allowed_origins));
    if let Some(agent) = &settings.unauthenticated_loopback {
        put("allow-unauthenticated-loopback", text(agent));
    }
    put("metrics-networks", list(&settings.metrics_networks));
    put("stdio-agent", text(&settings.stdio_agent));
    if let Some(given) = &settings.oauth {
        put("public-url", text(&given.public_url));
        put("oauth", Value::Table(oauth(given)));
    } else if settings.issuer != here(settings) {
        put("public-url", text(&settings.issuer));
    }
    if let Some(one) = &settings.tls {
        put("tls", Value::Table(tls(one)));
    }
    put("tls-terminated-upstream", Value::Boolean(settings.tls_terminated_upstream));
    put("workloads", Value::Array(settings.workloads.iter().map(workload).collect()));
    put("limits", Value::Table(limits(&settings.limits)));
    put("approvals", Value::Table(super::approvals::effective(&settings.approvals)));
    put("budgets", super::budgets::effective(settings));
    put("idempotency", Value::Table(super::idempotency::effective(&settings.idempotency)));
    put("registry", Value::Table(super::registry::effective(&settings.registry)));
    let mut vault = super::vault::effective(&settings.vault);
    vault.extend(meant.keys.effective(&meant.state_dir));
    put("vault", Value::Table(vault));
    put("console", Value::Table(super::console::effective(&meant.console)));
    put("webhooks", super::webhooks::effective(&meant.console.hooks));
    let networks = list(&settings.networks);
    put("egress", Value::Table(Table::from_iter([("networks".to_owned(), networks)])));
    let servers = settings.servers.iter().map(|(name, one)| (name.to_string(), Value::Table(server(one))));
    put("servers", Value::Table(servers.collect()));
    out
}

/// How the gateway is reached where nothing else is said.
fn here(settings: &gateway::Settings) -> String {
    let scheme = if settings.tls.is_some() { "https" } else { "http" };
    format!("{scheme}://{}", settings.listen)
}

pub(super) fn text(value: impl std::fmt::Display) -> Value {
    Value::String(value.to_string())
}

pub(super) fn list(items: impl IntoIterator<Item = impl std::fmt::Display>) -> Value {
    Value::Array(items.into_iter().map(text).collect())
}

pub(super) fn number(value: usize) -> Value {
    Value::Integer(i64::try_from(value).unwrap_or(i64::MAX))
}

pub(super) fn time(value: Duration) -> Value {
    let ms = value.as_millis();
    for (unit, each) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)] {
        if ms > 0 && ms.is_multiple_of(each) {
            return text(format!("{}{unit}", ms / each));
        }
    }
    text(format!("{ms}ms"))
}

pub(crate) fn without_password(address: &str) -> String {
    let Ok(mut parsed) = url::Url::parse(address) else {
        // what it is made of nobody knows
        let scheme = address.split_once(':').map_or("", |(scheme, _)| scheme);
        return format!("{scheme}:***");
    };
    // what is not known to be harmless may be a password that was mistyped
    let secret = |name: &str| {
        !matches!(name, "host" | "hostaddr" | "port" | "dbname" | "user" | "application_name" | "options")
            && !name.starts_with("ssl")
            && name != "statement-cache-capacity"
    };
    if parsed.password().is_some() {
        // an address that cannot have a password has none to hide
        let _ = parsed.set_password(Some("***"));
    }
    if parsed.query_pairs().any(|(name, _)| secret(&name)) {
        let pairs: Vec<(String, String)> =
            parsed.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        let hidden = pairs.iter().map(|(name, value)| (name, if secret(name) { "***" } else { value }));
        parsed.query_pairs_mut().clear().extend_pairs(hidden);
    }
    // as it was written where nothing is hidden
    if parsed.as_str().contains("***") { parsed.to_string() } else { address.to_owned() }
}

fn tls(tls: &TlsSettings) -> Table {
    let mut out = Table::new();
    let mut put = |key: &str, value: Value| drop(out.insert(key.to_owned(), value));
    put("certificate", text(tls.certificate.display()));
    put("key", text(tls.key.display()));
    if let Some(clients) = &tls.clients {
        put("client-ca", text(clients.authorities.display()));
        put("client-certificates", text(if clients.required { "required" } else { "optional" }));
    }
    out
}

fn workload(one: &Workload) -> Value {
    let mut out = Table::new();
    let mut put = |key: &str, value: Value| drop(out.insert(key.to_owned(), value));
    put("name", text(&one.name));
    match &one.certificate {
        CertificateName::Spiffe(id) => put("spiffe", text(id)),
        CertificateName::Dns(name) => put("dns", text(name)),
        CertificateName::CommonName(name) => put("common-name", text(name)),
    }
    put("groups", Value::Array(one.groups.iter().map(text).collect()));
    Value::Table(out)
}

fn limits(limits: &Limits) -> Table {
    let rows = [
        ("max-message-bytes", number(limits.message_bytes_max)),
        ("max-result-bytes", number(limits.result_bytes_max)),
        ("max-depth", number(limits.depth_max)),
        ("read-timeout", time(limits.read_timeout)),
        ("call-timeout", time(limits.call_timeout)),
        ("question-timeout", time(limits.question_timeout)),
        ("max-calls-in-flight", number(limits.calls_in_flight_max)),
        ("max-connections", number(limits.connections_max)),
        ("max-sessions", number(limits.sessions_max)),
        ("session-idle", time(limits.session_idle)),
        ("child-idle", time(limits.child_idle)),
        ("max-children", number(limits.children_max)),
        ("drain-timeout", time(limits.drain_timeout)),
    ];
    rows.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn server(server: &ServerSettings) -> Table {
    let mut out = Table::new();
    let mut put = |key: &str, value: Value| drop(out.insert(key.to_owned(), value));
    match &server.reach {
        Reach::Http { url } | Reach::Sse { url } => {
            put("url", text(url));
            put(
                "transport",
                text(if matches!(server.reach, Reach::Sse { .. }) { "sse" } else { "streamable-http" }),
            );
            put("networks", list(&server.networks));
        }
        Reach::Stdio { command, args, env, cwd } => {
            put("command", text(command.display()));
            put("args", list(args));
            put("env", variables(env));
            if let Some(cwd) = cwd {
                put("cwd", text(cwd.display()));
            }
        }
    }
    put("environment", text(&server.environment));
    put("mode", text(if server.mode == Mode::Observe { "observe" } else { "enforce" }));
    put("timeout", time(server.call_timeout));
    put("trust-annotations", Value::Boolean(server.declarations.trust_annotations));
    put("open-arguments", list(&server.open_arguments));
    let keep = [("arguments", server.keep_arguments), ("results", server.keep_results)];
    let keep = keep.into_iter().map(|(key, value)| (key.to_owned(), Value::Boolean(value)));
    put("keep", Value::Table(keep.collect()));
    put("authority", text(server.authority.as_str()));
    if let Some(assertion) = &server.assertion {
        let mut out = Table::new();
        out.insert("header".to_owned(), text(&assertion.header));
        out.insert("audience".to_owned(), text(&assertion.audience));
        out.insert("groups".to_owned(), Value::Boolean(assertion.groups));
        put("assertion", Value::Table(out));
    }
    if !server.record.is_empty() {
        put("record", Value::Table(super::record::effective(&server.record)));
    }
    put("credentials", Value::Array(server.credentials.iter().map(credential).collect()));
    let tools = server.declarations.tools.iter();
    let tools = tools.map(|(name, declared)| (name.clone(), Value::Table(declaration(declared))));
    put("tools", Value::Table(tools.collect()));
    out
}

/// What the operator says of a tool.
fn declaration(declared: &catalog::Declared) -> Table {
    let mut tool = Table::new();
    if let Some(effect) = declared.effect {
        tool.insert("effect".to_owned(), text(effect.as_str()));
    }
    if let Some(tier) = declared.tier {
        tool.insert("tier".to_owned(), text(tier.as_str()));
    }
    let categories = declared.categories.iter().map(|category| text(category.as_str()));
    tool.insert("categories".to_owned(), Value::Array(categories.collect()));
    if let Some(owner) = &declared.owner {
        tool.insert("owner".to_owned(), text(owner));
    }
    if let Some(undo) = &declared.undo {
        tool.insert("undo".to_owned(), text(undo));
    }
    if let Some(draft) = declared.draft {
        tool.insert("draft".to_owned(), Value::Boolean(draft));
    }
    if let Some(window) = declared.idempotency {
        tool.insert("idempotency".to_owned(), time(window));
    }
    if let Some(repeat) = declared.repeat_unknown {
        tool.insert("repeat-unknown".to_owned(), Value::Boolean(repeat));
    }
    term(&mut tool, &declared.term);
    tool
}

fn term(tool: &mut Table, term: &catalog::Term) {
    let said = [
        ("by", term.by.clone()),
        ("because", term.because.clone()),
        ("since", term.since.map(crate::say::day)),
        ("until", term.until.map(crate::say::day)),
        ("definition", term.definition.map(|digest| digest.to_string())),
    ];
    for (key, value) in said {
        if let Some(value) = value {
            tool.insert(key.to_owned(), text(value));
        }
    }
}

fn oauth(oauth: &Oauth) -> Table {
    let mut out = Table::new();
    let mut put = |key: &str, value: Value| drop(out.insert(key.to_owned(), value));
    put("scopes", text(if oauth.enforce_scopes { "enforce" } else { "ignore" }));
    put("ask", Value::Array(oauth.ask.iter().map(|scope| text(scope.as_str())).collect()));
    put("issuers", Value::Array(oauth.issuers.iter().map(|one| Value::Table(issuer(one))).collect()));
    out
}

fn issuer(issuer: &Issuer) -> Table {
    let mut out = Table::new();
    let mut put = |key: &str, value: Value| drop(out.insert(key.to_owned(), value));
    put("issuer", text(&issuer.source.issuer));
    if let Some(jwks) = &issuer.source.jwks {
        put("jwks-uri", text(jwks));
    }
    put("algorithms", Value::Array(issuer.algorithms.iter().map(text).collect()));
    put("audiences", list(&issuer.audiences));
    put("accept-any-token-type", Value::Boolean(issuer.accept_any_token_type));
    put("skew", time(issuer.skew));
    put("refresh", time(issuer.source.refresh));
    put("keys-max-age", time(issuer.source.keys_max_age));
    put("claims", Value::Table(claims(&issuer.mapping)));
    if let Some(one) = &issuer.introspection {
        put("introspection", Value::Table(introspection(one)));
    }
    out
}

fn introspection(one: &Introspection) -> Table {
    let mut out = Table::new();
    let mut put = |key: &str, value: Value| drop(out.insert(key.to_owned(), value));
    if let Some(endpoint) = &one.endpoint {
        put("endpoint", text(endpoint));
    }
    put("client-id", text(&one.client_id));
    put("secret", text(&one.secret));
    put("authentication", text(one.authentication.as_str()));
    put("cache", time(one.cache));
    out
}

fn claims(mapping: &Mapping) -> Table {
    fn names<T: std::fmt::Display>(map: &BTreeMap<String, T>) -> Value {
        Value::Table(map.iter().map(|(value, name)| (value.clone(), text(name))).collect())
    }
    let mut out = Table::new();
    let mut put = |key: &str, value: Value| drop(out.insert(key.to_owned(), value));
    put("prefix", text(&mapping.prefix));
    put("user", text(&mapping.user));
    // an empty map is none, and could not be written
    if !mapping.users.is_empty() {
        put("users", names(&mapping.users));
    }
    put("trust-unverified-email", Value::Boolean(mapping.trust_unverified_email));
    put("agent", text(&mapping.agent));
    if !mapping.agents.is_empty() {
        put("agents", names(&mapping.agents));
    }
    if let Some(groups) = &mapping.groups {
        put("groups", text(groups));
        put("group-prefix", text(&mapping.group_prefix));
        if let Some(given) = &mapping.group_names {
            put("group-names", names(given));
        }
        if let Some(given) = &mapping.group_allow {
            put("group-allow", list(given));
        }
        put("groups-optional", Value::Boolean(mapping.groups_optional));
    }
    if let Some(host) = &mapping.host {
        put("host", text(host));
    }
    out
}

fn variables(env: &BTreeMap<String, String>) -> Value {
    Value::Table(env.iter().map(|(key, value)| (key.clone(), text(value))).collect())
}

fn credential(one: &CredentialUse) -> Value {
    let mut out = Table::new();
    let mut put = |key: &str, value: &str| drop(out.insert(key.to_owned(), text(value)));
    put("secret", one.secret.as_str());
    match &one.place {
        Place::Header { name, prefix } => {
            put("header", name);
            put("prefix", prefix);
        }
        Place::Query { name } => put("query", name),
        Place::Env { name } => put("env", name),
    }
    let source = super::vault::effective_source(&one.source);
    out.extend(source.map(|source| ("source".to_owned(), Value::Table(source))));
    Value::Table(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_of_a_database_is_shown_in_no_spelling_of_its_address() {
        for address in [
            "postgres://cg:DBPASS@db.example/gate",
            "postgres://cg@db.example/gate?sslmode=require&password=DBPASS",
            "postgres://cg@db.example/gate?PASSWORD=DBPASS",
            "postgres://cg@db.example/gate?pasword=DBPASS",
            "postgres://cg:DBPASS@127.0.0.1:notaport/gate",
        ] {
            let shown = without_password(address);
            assert!(!shown.contains("DBPASS") && shown.starts_with("postgres:"), "{address}: {shown}");
        }
        for plain in ["sqlite:/var/lib/callgate/gate.db", "postgres://cg@db.example/gate?host=/run/pg"] {
            assert_eq!(without_password(plain), plain);
        }
    }
}
