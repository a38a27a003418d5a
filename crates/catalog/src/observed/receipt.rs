//! Receipts: JSON that says what an operation did, as opposed to records that say what is.

use super::tree::Node;
use super::verbs::{self, Flag};
use super::{Did, How, Seen, sentence};
use crate::names::words;

type Members = [(String, Node)];

/// In these an API wraps what it has to say.
const WRAPPERS: [&str; 6] = ["data", "result", "response", "output", "payload", "body"];
/// How many of them are unwrapped.
const WRAPPED_MAX: u8 = 2;
/// Last words of the members that a receipt has beside what it is about. A record has others: a name, a title, an author.
const BESIDE: &[&str] = &[
    "id",
    "ids",
    "uuid",
    "key",
    "index",
    "number",
    "object",
    "type",
    "kind",
    "path",
    "file",
    "uri",
    "url",
    "href",
    "link",
    "etag",
    "version",
    "rev",
    "revision",
    "term",
    "no",
    "sha",
    "ts",
    "channel",
    "to",
    "recipient",
    "recipients",
    "status",
    "ok",
    "success",
    "successful",
    "acknowledged",
    "message",
    "msg",
    "detail",
    "details",
    "result",
    "error",
    "errors",
    "failures",
    "failed",
    "failure",
    "skipped",
    "unchanged",
    "matched",
    "count",
    "info",
    "warning",
    "warnings",
    "took",
    "out",
    "batches",
    "conflicts",
    "noops",
    "retries",
    "shards",
    "affected",
    "changes",
    "command",
    "rows",
    "fields",
    "rowid",
];
/// Of these an operation says itself what came of it.
const WORD_KEYS: [&str; 2] = ["result", "outcome"];
/// The same, where it also says that it went well.
const WORD_KEYS_OF_SUCCESS: [&str; 5] = ["status", "action", "operation", "state", "event"];
const TEXT_KEYS: [&str; 8] =
    ["message", "msg", "detail", "result", "output", "response", "status", "confirmation"];
const STATUS_KEYS: [&str; 5] = ["status", "status_code", "statuscode", "code", "http_status"];
const WENT_WELL: [&str; 5] = ["success", "ok", "successful", "succeeded", "acknowledged"];
/// Commands of databases that change something.
const COMMANDS: [(&str, Did); 8] = [
    ("INSERT", Did::Created),
    ("UPDATE", Did::Changed),
    ("MERGE", Did::Changed),
    ("ALTER", Did::Changed),
    ("CREATE", Did::Created),
    ("DELETE", Did::Deleted),
    ("TRUNCATE", Did::Deleted),
    ("DROP", Did::Deleted),
];
/// A larger number is a time.
const COUNT_MAX: f64 = 1e8;
/// A receipt with a resource in it has not many other members.
const FEW: usize = 8;

pub(super) fn read(node: &Node) -> Option<Seen> {
    object(node.members()?, false, WRAPPED_MAX)
}

/// `well`: what is around it says that it went well.
fn object(members: &Members, well: bool, wrapped: u8) -> Option<Seen> {
    if went_wrong(members) {
        return None;
    }
    let well = well || went_well(members);
    let seen = |how| move |did| Seen { did, how };
    let own = counters(members)
        .map(seen(How::Counter))
        .or_else(|| flag(members).map(seen(How::Flag)))
        .or_else(|| word(members, well).map(seen(How::Word)))
        .or_else(|| command(members).map(seen(How::Command)))
        .or_else(|| http_status(members).map(seen(How::HttpStatus)))
        .or_else(|| mutation(members).map(seen(How::Mutation)))
        .or_else(|| text(members, well));
    let left = wrapped.checked_sub(1);
    own.or_else(|| {
        let wraps = |key: &str| WRAPPERS.contains(&key);
        let inner = members.iter().filter(|(key, _)| wraps(key)).find_map(|(_, node)| node.members());
        object(inner?, well, left?)
    })
}

fn went_wrong(members: &Members) -> bool {
    members.iter().any(|(key, node)| match key.to_ascii_lowercase().as_str() {
        "error" => !node.is_empty(),
        "errors" | "usererrors" => !node.is_empty(),
        "success" | "ok" => *node == Node::Bool(false),
        "dry_run" | "dryrun" | "preview" => node.is_true(),
        _ => false,
    })
}

fn went_well(members: &Members) -> bool {
    let well = |text: &str| WENT_WELL.contains(&text.to_ascii_lowercase().as_str());
    members.iter().any(|(key, node)| {
        node.is_true() && WENT_WELL.contains(&key.as_str())
            || key == "status" && node.text().is_some_and(well)
    })
}

/// Whether everything but the member `of` is what a receipt has.
fn thin(members: &Members, of: &str) -> bool {
    let beside = |(key, node): &(String, Node)| {
        let words = words(key);
        let known = words.last().is_some_and(|word| BESIDE.contains(&word.as_str()));
        let known = known || words.iter().any(|word| verbs::done(word).is_some());
        let flat = match node {
            Node::List { records, .. } => !records,
            // Elasticsearch counts its shards, and nobody else's
            Node::Object(_) | Node::Deep => words.last().is_some_and(|word| word == "shards"),
            Node::Null | Node::Bool(_) | Node::Number(_) | Node::Text(_) => true,
        };
        known && flat
    };
    members.iter().filter(|(key, _)| key != of).all(beside)
}

/// Counters of what was done that are above zero.
fn counters(members: &Members) -> Option<Did> {
    let mut named: Option<Did> = None;
    let mut affected = None;
    for (key, node) in members {
        let words = words(key);
        let is = |of: &str| words.iter().any(|word| word == of);
        let last = words.last().map(String::as_str).unwrap_or_default();
        let an_id = matches!(last, "id" | "ids" | "rowid");
        let counts = matches!(node, Node::Number(n) if (1.0..COUNT_MAX).contains(n));
        if ["at", "by", "on", "since", "date", "time"].iter().any(|about| is(about)) {
            continue;
        }
        let verb = words.iter().find_map(|word| verbs::done(word));
        let did = match (verb, an_id) {
            (Some(verb), true) if is("inserted") || is("upserted") => (!node.is_empty()).then_some(verb.did),
            (None, true) if is("insert") => (!node.is_empty()).then_some(Did::Created),
            (Some(verb), false) if counts => Some(verb.did),
            (_, _) => None,
        };
        if did.is_some() && thin(members, key) {
            named = named.map_or(did, |before| did.map(|did| before.and(did)));
        } else if counts
            && (is("affected") && (is("rows") || words.len() == 1) || *key == "changes")
            && thin(members, key)
        {
            affected = Some(Did::Changed);
        }
    }
    named.or(affected)
}

/// One flag about the operation itself. Several are settings.
fn flag(members: &Members) -> Option<Did> {
    let flags = || members.iter().filter_map(|(key, node)| Some((key, verbs::done(key)?, node.flag()?)));
    let mut set = flags().filter(|(_, _, set)| *set);
    let (key, verb, _) = set.next()?;
    let alone = set.next().is_none() && flags().count() <= 2;
    let own = match verb.flag {
        Flag::Deed => members.len() <= FEW,
        Flag::Either => thin(members, key),
    };
    (alone && own).then_some(verb.did)
}

/// One word for what came of it.
fn word(members: &Members, well: bool) -> Option<Did> {
    members.iter().find_map(|(key, node)| {
        let verb = verbs::done(&node.text()?.to_ascii_lowercase())?;
        let said = WORD_KEYS.contains(&key.as_str()) || well && WORD_KEYS_OF_SUCCESS.contains(&key.as_str());
        (said && thin(members, key)).then_some(verb.did)
    })
}

/// A database's driver says which command it was, and of how many rows.
fn command(members: &Members) -> Option<Did> {
    let text = members.iter().find(|(key, _)| key == "command").and_then(|(_, node)| node.text())?;
    let (command, did) = COMMANDS.iter().find(|(command, _)| text.starts_with(command))?;
    let rows = members.iter().find(|(key, _)| words(key) == ["row", "count"]);
    let counts = rows.is_some_and(|(_, node)| !node.is_empty());
    let whole = matches!(*command, "CREATE" | "ALTER" | "DROP" | "TRUNCATE") && rows.is_some();
    (counts || whole).then_some(*did)
}

fn http_status(members: &Members) -> Option<Did> {
    let named = |key: &str| STATUS_KEYS.contains(&key.to_ascii_lowercase().as_str());
    let mut all = members.iter().filter(|(key, _)| named(key));
    let (key, status) = all.find_map(|(key, node)| Some((key, node.number()?)))?;
    let beside = |words: &[&str]| {
        members.iter().any(|(other, node)| words.contains(&other.as_str()) && !node.is_empty())
    };
    let only = |words: &[&str]| {
        members.iter().all(|(other, _)| other == key || words.contains(&other.to_ascii_lowercase().as_str()))
    };
    if status == 201.0 {
        return beside(&["id", "data", "url", "location", "resource", "body", "result"])
            .then_some(Did::Created);
    }
    if status == 202.0 {
        return (beside(&["id", "message", "job"]) && thin(members, key)).then_some(Did::Changed);
    }
    let bare =
        only(&["message", "success", "ok", "statustext", "id", "data", "body"]) && !beside(&["data", "body"]);
    (status == 204.0 && bare).then_some(Did::Changed)
}

/// What GraphQL answers to a mutation: `data`, and in it a payload named by a verb and what it is about.
fn mutation(members: &Members) -> Option<Did> {
    let around = ["data", "errors", "extensions"];
    if members.iter().any(|(key, _)| !around.contains(&key.as_str())) {
        return None;
    }
    let fields = members.iter().find(|(key, _)| key == "data").and_then(|(_, node)| node.members())?;
    fields.iter().find_map(|(key, node)| {
        let payload = matches!(node, Node::Object(_) | Node::Deep | Node::Bool(true)) && !node.is_empty();
        let words = words(key);
        let [first, .., last] = words.as_slice() else { return None };
        let verb = verbs::does(first).or_else(|| verbs::does(last))?;
        let refused = node.members().is_some_and(went_wrong);
        (payload && !refused).then_some(verb.did)
    })
}

/// A sentence that confirms, alone or beside a word that it went well.
fn text(members: &Members, well: bool) -> Option<Seen> {
    let told = |key: &str| TEXT_KEYS.contains(&key);
    let said = |(key, node): &(String, Node)| node.text().filter(|_| told(key)).and_then(sentence::read);
    if well || members.len() == 1 { members.iter().find_map(said) } else { None }
}
