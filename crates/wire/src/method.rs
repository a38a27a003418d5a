//! The one table of MCP methods.
//!
//! Every method of every revision stands here once, with what the gateway does
//! about it. A method that is not in the table, or not in the revision that is
//! spoken, has no row: [`lookup`] says `None` and the caller refuses. Sources: the
//! `schema.ts` of each revision, and the tasks extension (SEP-2663).

use crate::era::{Revision, Revisions};

/// Whether a method is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// Has an id and an answer.
    Request,
    /// Has neither.
    Notification,
}

/// Who may send a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sender {
    /// The client, that is the Host.
    Client,
    /// The server.
    Server,
    /// Both.
    Either,
}

impl Sender {
    /// Whether `side` (`Client` or `Server`) may send the method.
    pub fn allows(self, side: Self) -> bool {
        self == Self::Either || self == side
    }
}

/// What the gateway does about a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Carries data or causes an effect: takes the whole path, recorded.
    Governed,
    /// A list: answered from the pinned catalogue, filtered for the principal.
    Listed,
    /// Answered by the gateway itself.
    Local,
    /// A notification that belongs to an existing call or session and is only
    /// carried there, never treated as a call of its own.
    Relayed,
    /// Known and not carried: refused with a reason.
    Refused,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method {
    /// As on the wire.
    pub name: &'static str,
    /// Request or notification.
    pub shape: Shape,
    /// Who may send it as a message of its own.
    pub sender: Sender,
    /// The revisions in which it is a message of its own.
    pub revisions: Revisions,
    /// The revisions in which a server may ask it inside an `input_required` result.
    pub asked_within: Revisions,
    /// What the gateway does about it.
    pub class: Class,
    /// The member of `params` that names what it is about: `name`, `uri`, `taskId`,
    /// or `ref`, an object that has either `name` or `uri`.
    pub name_field: Option<&'static str>,
    /// The member of the answering side's capabilities that announces the method.
    pub capability: Option<&'static str>,
    /// The array of a list's result that holds its items.
    pub list_key: Option<&'static str>,
    /// Whether a modern server may answer `input_required` (SEP-2322).
    pub multi_round: bool,
    /// Whether a modern result has `ttlMs` and `cacheScope` (SEP-2549).
    pub cacheable: bool,
}

/// The row of a method that is a message of its own in this revision.
pub fn lookup(name: &str, revision: Revision) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.name == name && method.revisions.contains(revision))
}

/// The row of a question that a server may ask inside an `input_required` result.
pub fn lookup_question(name: &str, revision: Revision) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.name == name && method.asked_within.contains(revision))
}

const ALL: Revisions = Revisions::ALL;
const LEGACY: Revisions = Revisions::LEGACY;
const MODERN: Revisions = Revisions::MODERN;
const ELICITATION: Revisions = Revisions::between(Revision::V2025_06_18, Revision::V2025_11_25);
const ONLY_2025_11: Revisions = Revisions::between(Revision::V2025_11_25, Revision::V2025_11_25);

const fn request(name: &'static str, sender: Sender, revisions: Revisions, class: Class) -> Method {
    Method {
        name,
        shape: Shape::Request,
        sender,
        revisions,
        asked_within: Revisions::NONE,
        class,
        name_field: None,
        capability: None,
        list_key: None,
        multi_round: false,
        cacheable: false,
    }
}

const fn note(name: &'static str, sender: Sender, revisions: Revisions, class: Class) -> Method {
    Method { shape: Shape::Notification, ..request(name, sender, revisions, class) }
}

impl Method {
    const fn named(self, field: &'static str) -> Self {
        Self { name_field: Some(field), ..self }
    }

    const fn needs(self, capability: &'static str) -> Self {
        Self { capability: Some(capability), ..self }
    }

    const fn lists(self, key: &'static str) -> Self {
        Self { list_key: Some(key), ..self }
    }

    const fn rounds(self) -> Self {
        Self { multi_round: true, ..self }
    }

    const fn cached(self) -> Self {
        Self { cacheable: true, ..self }
    }

    const fn asked(self) -> Self {
        Self { asked_within: MODERN, ..self }
    }
}

use Class::{Governed, Listed, Local, Refused, Relayed};
use Sender::{Client, Either, Server};

/// Every method of every revision. A method stands here once for each set of
/// revisions in which the same side may send it.
pub const METHODS: &[Method] = &[
    // the handshake and its successor
    request("initialize", Client, LEGACY, Local),
    note("notifications/initialized", Client, LEGACY, Relayed),
    request("server/discover", Client, MODERN, Local).cached(),
    request("ping", Either, LEGACY, Local),
    request("logging/setLevel", Client, LEGACY, Local).needs("logging"),
    // tools
    request("tools/list", Client, ALL, Listed).needs("tools").lists("tools").cached(),
    request("tools/call", Client, ALL, Governed).needs("tools").named("name").rounds(),
    note("notifications/tools/list_changed", Server, ALL, Relayed),
    // resources
    request("resources/list", Client, ALL, Listed).needs("resources").lists("resources").cached(),
    request("resources/templates/list", Client, ALL, Listed)
        .needs("resources")
        .lists("resourceTemplates")
        .cached(),
    request("resources/read", Client, ALL, Governed).needs("resources").named("uri").rounds().cached(),
    request("resources/subscribe", Client, LEGACY, Governed).needs("resources").named("uri"),
    request("resources/unsubscribe", Client, LEGACY, Governed).needs("resources").named("uri"),
    note("notifications/resources/list_changed", Server, ALL, Relayed),
    note("notifications/resources/updated", Server, ALL, Relayed).named("uri"),
    // prompts and completion
    request("prompts/list", Client, ALL, Listed).needs("prompts").lists("prompts").cached(),
    request("prompts/get", Client, ALL, Governed).needs("prompts").named("name").rounds(),
    note("notifications/prompts/list_changed", Server, ALL, Relayed),
    request("completion/complete", Client, ALL, Governed).needs("completions").named("ref"),
    // modern subscriptions
    request("subscriptions/listen", Client, MODERN, Governed),
    note("notifications/subscriptions/acknowledged", Server, MODERN, Relayed),
    // what servers ask: messages of their own before 2026-07-28, parts of a result since
    request("roots/list", Server, LEGACY, Governed).needs("roots").asked(),
    note("notifications/roots/list_changed", Client, LEGACY, Relayed),
    request("sampling/createMessage", Server, LEGACY, Governed).needs("sampling").asked(),
    request("elicitation/create", Server, ELICITATION, Governed).needs("elicitation").asked(),
    note("notifications/elicitation/complete", Server, ONLY_2025_11, Relayed),
    // what belongs to a call that is under way
    note("notifications/cancelled", Either, ALL, Relayed),
    note("notifications/progress", Either, LEGACY, Relayed),
    note("notifications/progress", Server, MODERN, Relayed),
    note("notifications/message", Server, ALL, Relayed),
    // tasks: core and experimental in 2025-11-25, where they are not carried; an extension since
    request("tasks/get", Either, ONLY_2025_11, Refused).named("taskId"),
    request("tasks/get", Client, MODERN, Governed).named("taskId"),
    request("tasks/result", Either, ONLY_2025_11, Refused).named("taskId"),
    request("tasks/list", Either, ONLY_2025_11, Refused),
    request("tasks/cancel", Either, ONLY_2025_11, Refused).named("taskId"),
    request("tasks/cancel", Client, MODERN, Governed).named("taskId"),
    request("tasks/update", Client, MODERN, Governed).named("taskId"),
    note("notifications/tasks/status", Either, ONLY_2025_11, Refused).named("taskId"),
    note("notifications/tasks", Server, MODERN, Relayed).named("taskId"),
];

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: &str = include_str!("../tests/golden/ungoverned-methods.txt");

    /// The list may only shrink: a method that leaves it becomes governed. Raise
    /// this number only with an ADR that says why something may bypass the path.
    const UNGOVERNED_MAX: usize = 25;

    #[test]
    fn the_list_of_methods_outside_the_path_is_known_and_only_shrinks() {
        let mut rows = std::collections::BTreeMap::new();
        for method in METHODS.iter().filter(|method| method.class != Class::Governed) {
            let class = format!("{:?}", method.class).to_lowercase();
            let revisions = rows.entry((class, method.name)).or_insert(Revisions::NONE);
            *revisions = revisions.and(method.revisions);
        }
        let lines: Vec<String> = rows
            .iter()
            .map(|((class, name), revisions)| {
                let revisions: Vec<&str> = revisions.iter().map(Revision::as_str).collect();
                format!("{class:8} {name:42} {}", revisions.join(" "))
            })
            .collect();
        let actual = lines.join("\n") + "\n";
        assert_eq!(
            GOLDEN, actual,
            "tests/golden/ungoverned-methods.txt is out of date; it may only shrink. The table says:\n{actual}"
        );
        assert!(lines.len() <= UNGOVERNED_MAX, "{} methods bypass the path", lines.len());
    }

    #[test]
    fn a_revision_has_a_method_once() {
        for (index, method) in METHODS.iter().enumerate() {
            let clash = |other: &&Method| {
                other.name == method.name && other.revisions.iter().any(|r| method.revisions.contains(r))
            };
            assert_eq!(METHODS.iter().skip(index + 1).find(clash), None);
            assert_eq!(method.name.starts_with("notifications/"), method.shape == Shape::Notification);
            assert!(method.revisions != Revisions::NONE);
            assert_eq!(method.class == Class::Listed, method.list_key.is_some());
        }
    }

    /// The message unions at the end of each `schema.ts`, as method names.
    #[test]
    fn every_message_of_the_schemas_has_a_row_and_no_other_does() {
        let from_client = "completion/complete prompts/get prompts/list resources/list resources/templates/list \
                           resources/read tools/call tools/list notifications/cancelled";
        let from_server = "notifications/cancelled notifications/progress notifications/message \
                           notifications/resources/updated notifications/resources/list_changed \
                           notifications/tools/list_changed notifications/prompts/list_changed";
        let legacy_client = "ping initialize logging/setLevel resources/subscribe resources/unsubscribe \
                             notifications/progress notifications/initialized notifications/roots/list_changed";
        let legacy_server = "ping sampling/createMessage roots/list";
        let core_tasks = "tasks/get tasks/result tasks/list tasks/cancel notifications/tasks/status";
        for revision in Revision::ALL {
            let (client, server) = match revision {
                Revision::V2024_11_05 | Revision::V2025_03_26 => (vec![legacy_client], vec![legacy_server]),
                Revision::V2025_06_18 => (vec![legacy_client], vec![legacy_server, "elicitation/create"]),
                Revision::V2025_11_25 => (
                    vec![legacy_client, core_tasks],
                    vec![legacy_server, core_tasks, "elicitation/create notifications/elicitation/complete"],
                ),
                Revision::V2026_07_28 => (
                    vec!["server/discover subscriptions/listen", "tasks/get tasks/update tasks/cancel"],
                    vec!["notifications/subscriptions/acknowledged", "notifications/tasks"],
                ),
            };
            for (side, common, more) in
                [(Sender::Client, from_client, client), (Sender::Server, from_server, server)]
            {
                let mut expected: Vec<&str> =
                    more.iter().chain([&common]).flat_map(|names| names.split_whitespace()).collect();
                expected.sort_unstable();
                let mut actual: Vec<&str> = METHODS
                    .iter()
                    .filter(|method| method.revisions.contains(revision) && method.sender.allows(side))
                    .map(|method| method.name)
                    .collect();
                actual.sort_unstable();
                assert_eq!(actual, expected, "{side:?} in {revision}");
            }
        }
    }

    #[test]
    fn what_carries_data_or_has_an_effect_is_governed() {
        for name in [
            "tools/call",
            "resources/read",
            "resources/subscribe",
            "prompts/get",
            "completion/complete",
            "sampling/createMessage",
            "elicitation/create",
            "roots/list",
        ] {
            assert_eq!(lookup(name, Revision::V2025_11_25).unwrap().class, Class::Governed, "{name}");
        }
        for name in ["subscriptions/listen", "tasks/get", "tasks/update", "tasks/cancel"] {
            assert_eq!(lookup(name, Revision::V2026_07_28).unwrap().class, Class::Governed, "{name}");
        }
        for name in ["tasks/get", "tasks/result", "tasks/list", "tasks/cancel", "notifications/tasks/status"]
        {
            assert_eq!(lookup(name, Revision::V2025_11_25).unwrap().class, Class::Refused, "{name}");
        }
    }

    #[test]
    fn a_method_of_another_revision_has_no_row() {
        assert_eq!(lookup("initialize", Revision::V2026_07_28), None);
        assert_eq!(lookup("ping", Revision::V2026_07_28), None);
        assert_eq!(lookup("server/discover", Revision::V2025_11_25), None);
        assert_eq!(lookup("elicitation/create", Revision::V2025_03_26), None);
        assert_eq!(lookup("sampling/createMessage", Revision::V2026_07_28), None);
        assert_eq!(lookup("tools/Call", Revision::V2025_11_25), None);
        assert_eq!(lookup("tools/call ", Revision::V2025_11_25), None);
        assert_eq!(lookup("", Revision::V2025_11_25), None);
        assert!(lookup_question("sampling/createMessage", Revision::V2026_07_28).is_some());
        assert_eq!(lookup_question("tools/call", Revision::V2026_07_28), None);
    }
}
