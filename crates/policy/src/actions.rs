//! The Cedar model: which actions a server has, in which groups they are, and what they apply to.

use crate::{reply, types::Type};
use catalog::{Catalogue, Category, Classified, Effect, Item, ServerEntry, Tier, federated};
use cedar_policy::{Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression};
use decision::{ItemKind, ServerName};
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
};

/// The types of principals.
pub(crate) const PRINCIPALS: [&str; 3] = ["Agent", "User", "Workload"];

/// What can be asked of a server beside calling a tool: one action per server and method.
pub(crate) struct Method {
    pub(crate) name: &'static str,
    /// The group `kind:…`.
    pub(crate) kind: &'static str,
    pub(crate) effect: Effect,
    pub(crate) tier: Tier,
    pub(crate) category: Option<Category>,
    pub(crate) resources: &'static [&'static str],
}

/// Reading a prompt or a resource changes nothing; what it may disclose is why a resource is not of tier low. A
/// server's question makes the Host answer the outside, so it is communication; sampling and elicitation act on
/// the Host and are writes.
pub(crate) const METHODS: [Method; 8] = [
    Method {
        name: "prompts/get",
        kind: "prompt",
        effect: Effect::Read,
        tier: Tier::Low,
        category: None,
        resources: &["Prompt"],
    },
    Method {
        name: "resources/read",
        kind: "resource",
        effect: Effect::Read,
        tier: Tier::Medium,
        category: None,
        resources: &["McpResource"],
    },
    Method {
        name: "resources/subscribe",
        kind: "resource",
        effect: Effect::Read,
        tier: Tier::Medium,
        category: None,
        resources: &["McpResource"],
    },
    Method {
        name: "completion/complete",
        kind: "completion",
        effect: Effect::Read,
        tier: Tier::Low,
        category: None,
        resources: &["Prompt", "McpResource"],
    },
    Method {
        name: "server/listen",
        kind: "server",
        effect: Effect::Read,
        tier: Tier::Low,
        category: None,
        resources: &["Server"],
    },
    Method {
        name: "roots/list",
        kind: "question",
        effect: Effect::Read,
        tier: Tier::High,
        category: Some(Category::ExternalCommunication),
        resources: &["Server"],
    },
    Method {
        name: "sampling/createMessage",
        kind: "question",
        effect: Effect::Write,
        tier: Tier::High,
        category: Some(Category::ExternalCommunication),
        resources: &["Server"],
    },
    Method {
        name: "elicitation/create",
        kind: "question",
        effect: Effect::Write,
        tier: Tier::High,
        category: Some(Category::ExternalCommunication),
        resources: &["Server"],
    },
];

/// All groups that every server's schema has, whether or not something is in them.
pub(crate) fn common_groups() -> impl Iterator<Item = String> {
    let effects = Effect::ALL.iter().map(|e| format!("effect:{}", e.as_str()));
    let tiers = Tier::ALL.iter().map(|t| format!("tier:{}", t.as_str()));
    let categories = Category::ALL.iter().map(|c| format!("category:{}", c.as_str()));
    let kinds = ["tool", "prompt", "resource", "completion", "server", "question"];
    effects.chain(tiers).chain(categories).chain(kinds.into_iter().map(|k| format!("kind:{k}")))
}

/// One action of one server.
#[derive(Debug, Clone)]
pub(crate) struct Action {
    pub(crate) name: String,
    pub(crate) groups: Vec<String>,
    pub(crate) resources: &'static [&'static str],
    pub(crate) arguments: Type,
    /// Whether it is a question that a Host answers.
    pub(crate) question: bool,
    /// The one entity it is ever asked of, where there is only one.
    pub(crate) resource: Option<Entity>,
}

/// The actions of a server: its tools under their federated names, then the methods.
pub(crate) fn of_server(server: &ServerName, entry: &ServerEntry) -> Vec<Action> {
    let tools = entry.of_kind(ItemKind::Tool).map(|item| {
        let name = federated(server, item.definition.name());
        let schema = item.definition.input_schema().and_then(|raw| serde_json::from_str(raw).ok());
        let mut groups = vec![format!("server:{server}"), "kind:tool".to_owned()];
        groups.extend(class_groups(&item.classified));
        Action {
            groups,
            resources: &["Tool"],
            arguments: schema.map_or_else(Type::empty, |schema: Value| Type::of_input_schema(&schema)),
            question: false,
            resource: tool_entity(server, entry, item, &name),
            name,
        }
    });
    let methods = METHODS.iter().map(|method| {
        let mut groups = vec![format!("server:{server}"), format!("kind:{}", method.kind)];
        groups.push(format!("effect:{}", method.effect.as_str()));
        groups.push(format!("tier:{}", method.tier.as_str()));
        groups.extend(method.category.map(|c| format!("category:{}", c.as_str())));
        let only_server = method.resources == ["Server"];
        Action {
            name: method_action(server, method.name),
            groups,
            resources: method.resources,
            arguments: if method.name == "prompts/get" { prompt_arguments(entry) } else { Type::empty() },
            question: method.kind == "question",
            resource: only_server.then(|| server_entity(server, entry)).flatten(),
        }
    });
    tools.chain(methods).collect()
}

/// The arguments of all prompts of a server: texts, any of which a prompt may not have.
fn prompt_arguments(entry: &ServerEntry) -> Type {
    let names: BTreeSet<String> = entry
        .of_kind(ItemKind::Prompt)
        .flat_map(|item| item.definition.prompt_arguments())
        .map(|argument| argument.name)
        .collect();
    Type::texts(names.iter().map(|name| (name.as_str(), false)))
}

fn class_groups(classified: &Classified) -> impl Iterator<Item = String> + '_ {
    let categories = classified.categories.iter().map(|c| format!("category:{}", c.as_str()));
    [format!("effect:{}", classified.effect.as_str()), format!("tier:{}", classified.tier.as_str())]
        .into_iter()
        .chain(categories)
}

/// `crm:resources/read`.
pub(crate) fn method_action(server: &ServerName, method: &str) -> String {
    format!("{server}:{method}")
}

/// `Type::"id"`, whatever the id holds. `None` only for a type name that is not one.
pub(crate) fn uid(of: &str, id: &str) -> Option<EntityUid> {
    Some(EntityUid::from_type_name_and_id(EntityTypeName::from_str(of).ok()?, EntityId::new(id)))
}

fn text(value: impl Into<String>) -> RestrictedExpression {
    RestrictedExpression::new_string(value.into())
}

fn entity(
    of: &str,
    id: &str,
    attributes: Vec<(&str, RestrictedExpression)>,
    parents: Vec<EntityUid>,
) -> Option<Entity> {
    let attributes = attributes.into_iter().map(|(name, value)| (name.to_owned(), value));
    Entity::new_with_tags(uid(of, id)?, attributes, parents, []).ok()
}

fn tool_entity(server: &ServerName, entry: &ServerEntry, item: &Item, federated: &str) -> Option<Entity> {
    let Classified { effect, tier, categories, .. } = &item.classified;
    let categories = categories.iter().map(|c| text(c.as_str()));
    let attributes = vec![
        ("server", text(server.as_str())),
        ("name", text(item.definition.name())),
        ("effect", text(effect.as_str())),
        ("tier", text(tier.as_str())),
        ("categories", RestrictedExpression::new_set(categories)),
        ("environment", text(entry.environment.as_str())),
    ];
    entity("Tool", federated, attributes, vec![uid("Server", server.as_str())?])
}

pub(crate) fn server_entity(server: &ServerName, entry: &ServerEntry) -> Option<Entity> {
    let attributes = vec![("name", text(server.as_str())), ("environment", text(entry.environment.as_str()))];
    entity("Server", server.as_str(), attributes, vec![])
}

pub(crate) fn prompt_entity(server: &ServerName, entry: &ServerEntry, name: &str) -> Option<Entity> {
    let attributes = vec![
        ("server", text(server.as_str())),
        ("name", text(name)),
        ("environment", text(entry.environment.as_str())),
    ];
    entity("Prompt", &federated(server, name), attributes, vec![uid("Server", server.as_str())?])
}

/// `McpResource::"crm:file:///a"`: a resource, or a template under its own text.
pub(crate) fn resource_entity(server: &ServerName, entry: &ServerEntry, uri: &str) -> Option<Entity> {
    let attributes = vec![
        ("server", text(server.as_str())),
        ("uri", text(uri)),
        ("environment", text(entry.environment.as_str())),
    ];
    entity("McpResource", &resource_id(server, uri), attributes, vec![uid("Server", server.as_str())?])
}

pub(crate) fn resource_id(server: &ServerName, uri: &str) -> String {
    format!("{server}:{uri}")
}

/// The schema of one server in Cedar's JSON form. `foreign` are actions of other servers that the rules to be
/// checked name: they exist, and apply to nothing here.
pub(crate) fn schema<'a>(
    actions: impl Iterator<Item = &'a Action> + Clone,
    foreign: impl IntoIterator<Item = &'a str>,
) -> Value {
    let mut declared = Map::new();
    for name in common_groups().chain(foreign.into_iter().map(str::to_owned)) {
        declared.insert(name, json!({}));
    }
    for action in actions.clone() {
        for group in &action.groups {
            declared.entry(group.clone()).or_insert_with(|| json!({}));
        }
    }
    for action in actions {
        let groups: Vec<_> = action.groups.iter().map(|group| json!({"id": group})).collect();
        let applies = json!({
            "principalTypes": PRINCIPALS,
            "resourceTypes": action.resources,
            "context": context(action),
        });
        declared.insert(action.name.clone(), json!({"memberOf": groups, "appliesTo": applies}));
    }
    json!({"": {"entityTypes": entity_types(), "actions": declared}})
}

/// What a call's context holds beside `args`, with whether it is always there.
pub(crate) const CONTEXT_TEXTS: [(&str, bool); 6] = [
    ("environment", true),
    ("transport", true),
    ("era", true),
    ("host", false),
    ("model", false),
    ("workflow", false),
];
/// What `now` holds, all of it integers, in UTC: seconds since 1970, 0 to 23, and 1 (Monday) to 7.
pub(crate) const NOW: [&str; 3] = ["epoch", "hour", "weekday"];

fn context(action: &Action) -> Value {
    let mut attributes = Map::new();
    for (name, required) in CONTEXT_TEXTS {
        attributes.insert(name.to_owned(), json!({"type": "String", "required": required}));
    }
    let now: BTreeMap<_, _> = NOW.into_iter().map(|name| (name, json!({"type": "Long"}))).collect();
    attributes.insert("now".to_owned(), json!({"type": "Record", "attributes": now}));
    attributes.insert("args".to_owned(), action.arguments.cedar().unwrap_or(Value::Null));
    if action.question {
        attributes.insert(reply::PART.to_owned(), reply::cedar());
    }
    json!({"type": "Record", "attributes": attributes})
}

fn entity_types() -> Value {
    let record = |names: &[&str]| {
        let fields: BTreeMap<_, _> = names.iter().map(|name| (*name, json!({"type": "String"}))).collect();
        json!({"type": "Record", "attributes": fields})
    };
    let principal = json!({"memberOfTypes": ["Group"], "shape": record(&["name"])});
    let mut tool = record(&["server", "name", "effect", "tier", "environment"]);
    if let Some(fields) = tool.get_mut("attributes").and_then(Value::as_object_mut) {
        fields.insert("categories".to_owned(), json!({"type": "Set", "element": {"type": "String"}}));
    }
    json!({
        "Group": {},
        "Agent": principal,
        "User": principal,
        "Workload": principal,
        "Server": {"shape": record(&["name", "environment"])},
        "Tool": {"memberOfTypes": ["Server"], "shape": tool},
        "Prompt": {"memberOfTypes": ["Server"], "shape": record(&["server", "name", "environment"])},
        "McpResource": {"memberOfTypes": ["Server"], "shape": record(&["server", "uri", "environment"])},
    })
}

/// What exists under the name of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Known {
    /// A group of every server, or an action or group of this one.
    Everywhere,
    Of(ServerName),
    /// Nothing now, and no slip either.
    Later(Later),
    Nothing,
}

/// When there will be a tool, or can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Later {
    /// Once something of this server is accepted, of which nothing is yet: until then nobody can say.
    Accepted(ServerName),
    /// It was accepted and is withheld, because nobody could call it.
    Withheld,
    /// It was seen once and is not offered: new, changed, rejected or gone.
    Absent,
}

impl Later {
    /// What whoever names it in a rule should know.
    pub(crate) fn sentence(&self, id: &str) -> String {
        match self {
            Self::Accepted(server) => {
                format!("`{id}` cannot be checked: server `{server}` has no accepted definitions yet")
            }
            Self::Withheld => format!(
                "`{id}` is withheld, because nobody could call it: what a rule says of it holds once that is over"
            ),
            Self::Absent => format!(
                "`{id}` is not offered now: what a rule says of it holds once it is accepted and offered again"
            ),
        }
    }
}

/// Finds an action or a group of actions by its name.
pub(crate) fn known(catalogue: &Catalogue, name: &str) -> Known {
    if common_groups().any(|group| group == name) {
        return Known::Everywhere;
    }
    let of = |server: &str| ServerName::new(server).ok().filter(|server| catalogue.server(server).is_some());
    if let Some(server) = name.strip_prefix("server:").and_then(of) {
        return Known::Of(server);
    }
    if let Some((server, method)) = name.split_once(':')
        && METHODS.iter().any(|known| known.name == method)
        && let Some(server) = of(server)
    {
        return Known::Of(server);
    }
    let Some((server, tool)) = catalog::split(name) else {
        return Known::Nothing;
    };
    match catalogue.server(&server) {
        Some(entry) if entry.item(ItemKind::Tool, tool).is_some() => Known::Of(server),
        Some(entry) if entry.is_withheld(tool) => Known::Later(Later::Withheld),
        Some(entry) if entry.is_absent(tool) => Known::Later(Later::Absent),
        Some(entry) if entry.is_empty() => Known::Later(Later::Accepted(server)),
        Some(_) | None => Known::Nothing,
    }
}
