//! A small installation to ask questions in.

use bytes::Bytes;
use catalog::{Catalogue, Category, Declarations, Declared, Definition, Effect, ServerEntry, Tier};
use decision::{
    Actor, AgentName, Environment, GroupName, ItemKind, Principal, ServerName, TenantId, Timestamp,
    Transport, User, UserName,
};
use policy::{Answer, Asker, Circumstances, Loader, Policies, Problem, Question, Source, Subject, Unsaid};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, LazyLock},
};

/// 2026-11-20, a Friday, 14:30:00 UTC.
pub(crate) const FRIDAY_AFTERNOON: Timestamp = Timestamp(1_795_185_000_000_000);

fn declared(effect: Effect, tier: Option<Tier>, categories: &[Category]) -> Declared {
    Declared {
        effect: Some(effect),
        tier,
        categories: categories.iter().copied().collect(),
        ..Declared::default()
    }
}

pub(crate) fn entry(
    server: &str,
    tools: Declarations,
    items: impl IntoIterator<Item = (ItemKind, Value)>,
) -> (ServerName, ServerEntry) {
    let server = ServerName::new(server).unwrap();
    let definitions: Vec<_> = items
        .into_iter()
        .map(|(kind, raw)| {
            Arc::new(Definition::new(server.clone(), kind, Bytes::from(raw.to_string())).unwrap())
        })
        .collect();
    let entry = ServerEntry::new(Environment::new("production").unwrap(), tools, definitions);
    (server, entry)
}

pub(crate) fn tool(name: &str, properties: Value, required: &[&str]) -> (ItemKind, Value) {
    let schema = json!({"type": "object", "properties": properties, "required": required});
    (ItemKind::Tool, json!({"name": name, "inputSchema": schema}))
}

/// Two servers and one that was never reached.
pub(crate) fn catalogue() -> Arc<Catalogue> {
    let payments = Declarations {
        trust_annotations: false,
        tools: vec![
            ("get_*".into(), declared(Effect::Read, None, &[])),
            ("refund".into(), declared(Effect::Write, Some(Tier::Critical), &[Category::Financial])),
            ("close_account".into(), declared(Effect::Destructive, None, &[Category::Financial])),
        ],
    };
    let mut read_only = tool("get_invoice", json!({"id": {"type": "string"}}), &["id"]);
    read_only.1["annotations"] = json!({"readOnlyHint": true});
    let payments = entry(
        "payments",
        payments,
        [
            read_only,
            tool(
                "refund",
                json!({
                    "amount": {"type": "number"}, "currency": {"enum": ["EUR", "USD"]}, "count": {"type": "integer"},
                    "note": {"type": ["string", "null"]}, "tags": {"type": "array", "items": {"type": "string"}},
                    "to": {"type": "object", "properties": {"country": {"type": "string"}}},
                }),
                &["amount", "currency"],
            ),
            tool("close_account", json!({"id": {"type": "string"}}), &["id"]),
        ],
    );
    let docs = entry(
        "docs",
        Declarations::default(),
        [
            tool("search", json!({"query": {"type": "string"}}), &[]),
            (ItemKind::Prompt, json!({"name": "summarise", "arguments": [{"name": "style"}]})),
            (ItemKind::Resource, json!({"uri": "file:///docs/a.md", "name": "a"})),
            (ItemKind::ResourceTemplate, json!({"uriTemplate": "file:///docs/{name}", "name": "docs"})),
        ],
    );
    let idle = entry("idle", Declarations::default(), []);
    Arc::new(Catalogue::new(BTreeMap::from([payments, docs, idle])))
}

/// Loads over [`catalogue`], with one loader for all tests: what it keeps must not change any answer.
pub(crate) fn load(text: &str) -> Result<Policies, Vec<Problem>> {
    static LOADER: LazyLock<(Loader, Arc<Catalogue>)> = LazyLock::new(|| (Loader::default(), catalogue()));
    let source = Source { path: "policies/test.cedar".into(), text: text.into() };
    LOADER.0.load(vec![source], Arc::clone(&LOADER.1))
}

fn groups(names: &[&str]) -> BTreeSet<GroupName> {
    names.iter().map(|name| GroupName::new(*name).unwrap()).collect()
}

pub(crate) fn principal(actor: Actor, of: &[&str]) -> Principal {
    let (tenant, environment) = (TenantId::default(), Environment::default());
    Principal { tenant, environment, actor, groups: groups(of), user: None }
}

pub(crate) fn agent(name: &str, of: &[&str]) -> Principal {
    principal(Actor::Agent(AgentName::new(name).unwrap()), of)
}

pub(crate) fn user(name: &str, of: &[&str]) -> Principal {
    principal(Actor::User(UserName::new(name).unwrap()), of)
}

pub(crate) fn on_behalf(agent: Principal, name: &str, of: &[&str]) -> Principal {
    Principal { user: Some(User { name: UserName::new(name).unwrap(), groups: groups(of) }), ..agent }
}

/// A question under construction.
pub(crate) struct Ask<'a> {
    pub(crate) policies: &'a Policies,
    pub(crate) principal: Principal,
    pub(crate) host: Option<&'a str>,
    pub(crate) now: Timestamp,
}

impl<'a> Ask<'a> {
    pub(crate) fn new(policies: &'a Policies, principal: Principal) -> Self {
        Self { policies, principal, host: None, now: FRIDAY_AFTERNOON }
    }
    pub(crate) fn see(&self, kind: ItemKind, server: &str, name: &str) -> Answer {
        let server = ServerName::new(server).unwrap();
        let asker = Asker { principal: &self.principal, host: self.host };
        self.policies.see(asker, Subject { server: &server, kind, name })
    }
    pub(crate) fn call(
        &self,
        method: &str,
        kind: ItemKind,
        server: &str,
        name: &str,
        arguments: &str,
    ) -> Answer {
        let server = ServerName::new(server).unwrap();
        let subject = Subject { server: &server, kind, name };
        self.policies.call(&self.question(subject, method, arguments))
    }
    /// What the rules say to a Host's answer to a question.
    pub(crate) fn answer(&self, server: &str, method: &str, raw: &str) -> Answer {
        let server = ServerName::new(server).unwrap();
        let subject = Subject { server: &server, kind: ItemKind::Question, name: method };
        self.policies.answer(&self.question(subject, method, ""), raw.as_bytes())
    }
    fn question<'q>(&'q self, subject: Subject<'q>, method: &'q str, arguments: &'q str) -> Question<'q> {
        let circumstances = Circumstances {
            now: self.now,
            transport: Transport::Http,
            era: None,
            model: None,
            workflow: None,
        };
        let asker = Asker { principal: &self.principal, host: self.host };
        Question { asker, subject, method, arguments: arguments.as_bytes(), circumstances }
    }
    /// What is certain of a call of this tool, whatever its arguments.
    pub(crate) fn unsaid(&self, server: &str, tool: &str) -> Unsaid {
        let server = ServerName::new(server).unwrap();
        let subject = Subject { server: &server, kind: ItemKind::Tool, name: tool };
        self.policies.unsaid(&self.question(subject, "tools/call", "{}"))
    }
    pub(crate) fn tool(&self, server: &str, name: &str, arguments: &str) -> Answer {
        self.call("tools/call", ItemKind::Tool, server, name, arguments)
    }
}
