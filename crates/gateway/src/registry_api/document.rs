//! One entry: a `server.json` (schema of 2025-12-11), and beside it what the registry says of it.

use crate::gate::Live;
use crate::permission;
use crate::reach::rfc3339;
use crate::settings::ServerSettings;
use catalog::record::{Fact, Record};
use catalog::{Effect, ServerEntry, Tier};
use decision::{ItemKind, Principal, ServerName, Timestamp};
use serde_json::{Map, Value, json};
use store::Server;

const SCHEMA: &str = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json";
/// Under which the official registry says what it knows, and so do we.
const OFFICIAL: &str = "io.modelcontextprotocol.registry/official";
/// Under which we say what the official format has no place for.
const GOVERNANCE: &str = "io.callgate/governance";
/// Of servers that name no version, or one that no entry may have.
const NO_VERSION: &str = "0.0.0";
/// Why more is at stake than with the tools of an entry.
const UNOFFERED: &str = "the server shows, or had accepted, a tool of that tier that nobody is offered now";
const VERSION_CHARS_MAX: usize = 64;

/// What is stored of a server.
pub(super) struct Seen<'s> {
    pub(super) server: &'s Server,
    pub(super) record: Option<&'s Record>,
    /// When something of it was accepted first, and when something of it was accepted or its record changed last.
    pub(super) published: Timestamp,
    pub(super) changed: Timestamp,
}

/// An entry on its way out.
pub(super) struct Document {
    /// `namespace/server`.
    pub(super) name: String,
    pub(super) description: String,
    pub(super) version: String,
    pub(super) updated: Timestamp,
    value: Value,
}

impl Document {
    pub(super) fn into_value(self) -> Value {
        self.value
    }

    /// The entry of a server for one principal; for anybody, `None`, without what governs it.
    pub(super) fn of(
        live: &Live,
        (name, settings, catalogue): (&ServerName, &ServerSettings, &ServerEntry),
        seen: &Seen<'_>,
        principal: Option<&Principal>,
    ) -> Self {
        let (published, updated) = (seen.published, seen.changed);
        let (full, version) = (full_name(live, name), version(seen.server));
        // nothing a server says of itself: nobody has reviewed that
        let description = description(name, seen.record);
        let entry = json!({
            "$schema": SCHEMA,
            "name": full,
            "description": description,
            "version": version,
            "remotes": [remote(live, name)],
        });
        let official = json!({
            "status": "active",
            "statusChangedAt": rfc3339(published),
            "publishedAt": rfc3339(published),
            "updatedAt": rfc3339(updated),
            "isLatest": true,
        });
        let mut meta = Map::from_iter([(OFFICIAL.to_owned(), official)]);
        if let Some(principal) = principal {
            let governance = governance(live, (name, settings, catalogue), seen, principal);
            meta.insert(GOVERNANCE.to_owned(), governance);
        }
        let value = json!({ "server": entry, "_meta": meta });
        Self { name: full, description, version, updated, value }
    }
}

/// How a client reaches it. Where nobody signs in by OAuth and nobody is let in without a token, it says that it takes one,
/// so that a client asks its user for it: without that VS Code installs what it then cannot start.
fn remote(live: &Live, name: &ServerName) -> Value {
    let base = live.settings.issuer.trim_end_matches('/');
    let mut remote = json!({ "type": "streamable-http", "url": format!("{base}/s/{name}/mcp") });
    let asks = live.settings.oauth.is_none() && live.settings.unauthenticated_loopback.is_none();
    if let (true, Some(members)) = (asks, remote.as_object_mut()) {
        let token = json!({
            "description": "Your token for Callgate (`callgate agent add` makes one)",
            "isRequired": true,
            "isSecret": true,
        });
        let header = json!({
            "name": "Authorization",
            "value": "Bearer {callgate_token}",
            "isRequired": true,
            "isSecret": true,
            "variables": { "callgate_token": token },
        });
        members.insert("headers".to_owned(), json!([header]));
    }
    remote
}

/// What the record says that it is for, in the hundred characters that an entry has room for.
fn description(name: &ServerName, record: Option<&Record>) -> String {
    let purpose = record.and_then(|record| record.facts.get(Fact::Purpose));
    let text = purpose.map_or_else(|| format!("{name}, governed by Callgate"), str::to_owned);
    match text.char_indices().nth(100) {
        None => text,
        Some(_) => text.chars().take(99).chain(['…']).collect(),
    }
}

pub(super) fn full_name(live: &Live, name: &ServerName) -> String {
    format!("{}/{name}", live.settings.registry.namespace)
}

/// The version a server names, if it is one and not a range of several.
fn version(server: &Server) -> String {
    let info = server.meta.as_ref().and_then(|(meta, _)| meta.info.as_ref());
    let info: Option<Value> = info.and_then(|raw| serde_json::from_slice(raw).ok());
    let named = info.as_ref().and_then(|info| info.get("version")?.as_str());
    let plain = |text: &&str| {
        let fits = text.chars().all(|c| c.is_ascii_alphanumeric() || ".+-_".contains(c));
        let wild = text.split('.').any(|part| part.eq_ignore_ascii_case("x"));
        fits && !wild && !text.is_empty() && text.len() <= VERSION_CHARS_MAX && *text != "latest"
    };
    named.filter(plain).unwrap_or(NO_VERSION).to_owned()
}

/// What whoever is to use the server should know of it: of tools, those they may see.
fn governance(
    live: &Live,
    (name, settings, catalogue): (&ServerName, &ServerSettings, &ServerEntry),
    seen: &Seen<'_>,
    principal: &Principal,
) -> Value {
    let sees = |kind, item: &str| permission::visible(live, principal, None, name, kind, item);
    let tools: Vec<_> = catalogue
        .of_kind(ItemKind::Tool)
        .filter(|item| item.drafting.is_none() && sees(ItemKind::Tool, item.definition.name()))
        .collect();
    let count =
        |kind: ItemKind| catalogue.of_kind(kind).filter(|item| sees(kind, item.definition.name())).count();
    let offered: Option<Tier> = tools.iter().map(|item| item.classified.tier).max();
    // which tools these are, nobody is told to whom they are not shown
    let unoffered = catalogue.unoffered().values().copied().max().filter(|tier| Some(*tier) > offered);
    let writes = tools.iter().filter(|item| item.classified.effect != Effect::Read).count();
    let mut risk = Map::from_iter([
        ("tier".to_owned(), json!(unoffered.or(offered))),
        ("toolsThatChangeSomething".to_owned(), json!(writes)),
    ]);
    risk.extend(unoffered.map(|_| ("because".to_owned(), json!(UNOFFERED))));
    let listed: Vec<Value> = tools
        .iter()
        .map(|item| {
            json!({
                "name": item.definition.name(),
                "owner": catalogue.declarations.owner(item.definition.name()),
                "definition": item.definition.digest(),
                "effect": item.classified.effect,
                "tier": item.classified.tier,
                "categories": item.classified.categories,
                "onWhoseWord": item.classified.origin,
                "claimed": claimed(item.claimed),
            })
        })
        .collect();
    json!({
        "environment": settings.environment,
        "authority": settings.authority.as_str(),
        "risk": risk,
        "tools": listed,
        "prompts": count(ItemKind::Prompt),
        "resources": count(ItemKind::Resource) + count(ItemKind::ResourceTemplate),
        "approval": seen.record.map(|record| json!({
            "state": record.state, "until": record.until().and_then(rfc3339),
        })),
        "record": seen.record.map(told),
        "observed": seen.server.meta.as_ref().map(|(meta, at)| json!({
            "era": meta.era, "revision": meta.revision, "at": rfc3339(*at),
        })),
    })
}

/// The author's hints, as far as there are any.
fn claimed(hints: catalog::Claimed) -> Map<String, Value> {
    let Ok(Value::Object(hints)) = serde_json::to_value(hints) else { return Map::new() };
    hints.into_iter().filter(|(_, hint)| !hint.is_null()).collect()
}

/// Of a record, what whoever uses the server should know; how it is built and secured is for reviewers.
fn told(record: &Record) -> Map<String, Value> {
    const TOLD: [Fact; 6] = [
        Fact::Owner,
        Fact::Team,
        Fact::Purpose,
        Fact::Classification,
        Fact::Limitations,
        Fact::SecurityReview,
    ];
    let facts = TOLD.iter().filter_map(|fact| Some((fact.key().to_owned(), json!(record.facts.get(*fact)?))));
    facts.collect()
}
