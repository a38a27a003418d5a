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
const TASKS: Revisions = Revisions::between(Revision::V2025_11_25, Revision::V2026_07_28);

const fn request(name: &'static str, sender: Sender, revisions: Revisions, class: Class) -> Method {
    Method {
        name,
        shape: Shape::Request,
        sender,
        revisions,
        asked_within: Revisions::NONE,
        class,
        name_field: None,
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

/// Every method of every revision.
pub const METHODS: &[Method] = &[
    // the handshake and its successor
    request("initialize", Client, LEGACY, Local),
    note("notifications/initialized", Client, LEGACY, Relayed),
    request("server/discover", Client, MODERN, Local).cached(),
    request("ping", Either, LEGACY, Local),
    request("logging/setLevel", Client, LEGACY, Local),
    // tools
    request("tools/list", Client, ALL, Listed).cached(),
    request("tools/call", Client, ALL, Governed).named("name").rounds(),
    note("notifications/tools/list_changed", Server, ALL, Relayed),
    // resources
    request("resources/list", Client, ALL, Listed).cached(),
    request("resources/templates/list", Client, ALL, Listed).cached(),
    request("resources/read", Client, ALL, Governed).named("uri").rounds().cached(),
    request("resources/subscribe", Client, LEGACY, Governed).named("uri"),
    request("resources/unsubscribe", Client, LEGACY, Governed).named("uri"),
    note("notifications/resources/list_changed", Server, ALL, Relayed),
    note("notifications/resources/updated", Server, ALL, Relayed).named("uri"),
    // prompts and completion
    request("prompts/list", Client, ALL, Listed).cached(),
    request("prompts/get", Client, ALL, Governed).named("name").rounds(),
    note("notifications/prompts/list_changed", Server, ALL, Relayed),
    request("completion/complete", Client, ALL, Governed).named("ref"),
    // modern subscriptions
    request("subscriptions/listen", Client, MODERN, Governed),
    note("notifications/subscriptions/acknowledged", Server, MODERN, Relayed),
    // what servers ask: messages of their own before 2026-07-28, parts of a result since
    request("roots/list", Server, LEGACY, Governed).asked(),
    note("notifications/roots/list_changed", Client, LEGACY, Relayed),
    request("sampling/createMessage", Server, LEGACY, Governed).asked(),
    request("elicitation/create", Server, ELICITATION, Governed).asked(),
    note("notifications/elicitation/complete", Server, ONLY_2025_11, Relayed),
    // what belongs to a call that is under way
    note("notifications/cancelled", Either, ALL, Relayed),
    note("notifications/progress", Either, ALL, Relayed),
    note("notifications/message", Server, ALL, Relayed),
    // tasks: core and experimental in 2025-11-25, an extension since; not carried yet
    request("tasks/get", Either, TASKS, Refused).named("taskId"),
    request("tasks/result", Either, ONLY_2025_11, Refused).named("taskId"),
    request("tasks/list", Either, ONLY_2025_11, Refused),
    request("tasks/cancel", Either, TASKS, Refused).named("taskId"),
    request("tasks/update", Client, MODERN, Refused).named("taskId"),
    note("notifications/tasks/status", Either, ONLY_2025_11, Refused).named("taskId"),
    note("notifications/tasks", Server, MODERN, Refused).named("taskId"),
];

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: &str = include_str!("../tests/golden/ungoverned-methods.txt");

    /// The list may only shrink: a method that leaves it becomes governed. Raise
    /// this number only with an ADR that says why something may bypass the path.
    const UNGOVERNED_MAX: usize = 26;

    #[test]
    fn the_list_of_methods_outside_the_path_is_known_and_only_shrinks() {
        let mut lines: Vec<String> = METHODS
            .iter()
            .filter(|method| method.class != Class::Governed)
            .map(|method| {
                let revisions: Vec<&str> = method.revisions.iter().map(Revision::as_str).collect();
                let class = format!("{:?}", method.class).to_lowercase();
                format!("{class:8} {:42} {}", method.name, revisions.join(" "))
            })
            .collect();
        lines.sort();
        let actual = lines.join("\n") + "\n";
        assert_eq!(
            GOLDEN, actual,
            "tests/golden/ungoverned-methods.txt is out of date; it may only shrink. The table says:\n{actual}"
        );
        assert!(lines.len() <= UNGOVERNED_MAX, "{} methods bypass the path", lines.len());
    }

    #[test]
    fn a_method_stands_in_the_table_once() {
        for (index, method) in METHODS.iter().enumerate() {
            assert!(METHODS.iter().skip(index + 1).all(|other| other.name != method.name), "{}", method.name);
            assert_eq!(method.name.starts_with("notifications/"), method.shape == Shape::Notification);
            assert!(method.revisions != Revisions::NONE);
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
        assert_eq!(lookup("subscriptions/listen", Revision::V2026_07_28).unwrap().class, Class::Governed);
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
