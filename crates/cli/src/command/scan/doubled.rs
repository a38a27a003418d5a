//! Keys that a client's configuration has twice: which of the two counts is its reader's matter, and a scan knows one.

use crate::jsonc::{Kind, Member, Node};

/// Each key on the way to a server, or within one, that occurs more than once, by the keys that lead to it.
pub(super) fn keys(root: &Node, before: &[&str], member: &str) -> Vec<String> {
    let mut found = Vec::new();
    below(root, before, member, &mut Vec::new(), &mut found);
    within(root, "projects", &mut Vec::new(), &mut found, |projects, way, found| {
        all(projects, way, found, |project, way, found| servers(project, member, way, found));
    });
    found
}

/// What is looked at below a key.
type Look<'a> = &'a mut dyn FnMut(&Node, &mut Vec<String>, &mut Vec<String>);

fn below(node: &Node, before: &[&str], member: &str, way: &mut Vec<String>, found: &mut Vec<String>) {
    match before.split_first() {
        None => servers(node, member, way, found),
        Some((key, rest)) => {
            within(node, key, way, found, |inner, way, found| below(inner, rest, member, way, found));
        }
    }
}

fn servers(node: &Node, member: &str, way: &mut Vec<String>, found: &mut Vec<String>) {
    within(node, member, way, found, |servers, way, found| all(servers, way, found, every));
}

/// Every key, at any depth.
fn every(node: &Node, way: &mut Vec<String>, found: &mut Vec<String>) {
    all(node, way, found, every);
}

fn within(
    node: &Node,
    key: &str,
    way: &mut Vec<String>,
    found: &mut Vec<String>,
    mut look: impl FnMut(&Node, &mut Vec<String>, &mut Vec<String>),
) {
    through(members(node).iter().filter(|member| member.key == key), way, found, &mut look);
}

fn all(
    node: &Node,
    way: &mut Vec<String>,
    found: &mut Vec<String>,
    mut look: impl FnMut(&Node, &mut Vec<String>, &mut Vec<String>),
) {
    through(members(node).iter(), way, found, &mut look);
}

fn through<'a>(
    members: impl Iterator<Item = &'a Member>,
    way: &mut Vec<String>,
    found: &mut Vec<String>,
    look: Look<'_>,
) {
    let mut seen = std::collections::BTreeSet::new();
    for member in members {
        way.push(member.key.clone());
        if !seen.insert(&member.key) {
            found.push(way.join("."));
        }
        look(&member.value, way, found);
        way.pop();
    }
}

fn members(node: &Node) -> &[Member] {
    match &node.kind {
        Kind::Object(members) => members,
        Kind::Array(_) | Kind::Plain => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jsonc;

    #[test]
    fn what_leads_to_a_server_or_says_how_it_is_reached_is_looked_at() {
        let of = |text: &str| keys(&jsonc::parse(text).unwrap(), &[], "mcpServers");
        for (text, twice) in [
            (r#"{"mcpServers":{"a":{"command":"x"},"b":{"command":"x"}}}"#, vec![]),
            (r#"{"mcpServers":{},"mcpServers":{"a":{}}}"#, vec!["mcpServers"]),
            (r#"{"mcpServers":{"a":{"command":"x"},"\u0061":{"command":"y"}}}"#, vec!["mcpServers.a"]),
            (r#"{"mcpServers":{"a":{"command":"x","command":"y"}}}"#, vec!["mcpServers.a.command"]),
            (r#"{"mcpServers":{"a":{"env":{"K":"1","K":"2"}}}}"#, vec!["mcpServers.a.env.K"]),
            (
                r#"{"projects":{"/x":{"mcpServers":{"a":{},"a":{}}},"/x":{}}}"#,
                vec!["projects./x.mcpServers.a", "projects./x"],
            ),
            // no server is below these
            (r#"{"history":[{"a":1,"a":2}],"theme":1,"theme":2,"projects":{"/x":{"b":1,"b":2}}}"#, vec![]),
        ] {
            assert_eq!(of(text), twice, "{text}");
        }
    }
}
