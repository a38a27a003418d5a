//! What servers offered, from a file, each item as its author wrote it.

use super::{Item, Server};
use crate::listing::{self, ListingError};
use bytes::Bytes;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

type Members<'a> = BTreeMap<String, &'a RawValue>;

/// The lists of a server, in the order in which a [`Server`] has their items.
const LISTS: [&str; 4] = ["tools", "prompts", "resources", "resourceTemplates"];

/// The servers of one file, in any shape that [`listing::read`] reads. Items keep their bytes: integers of many digits are
/// compared in those, since as values they lose some.
///
/// Errors: [`ListingError`].
pub fn read(json: &[u8]) -> Result<Vec<Server>, ListingError> {
    let offers = listing::read(json)?;
    let mut servers: Vec<Server> = offers.iter().map(Server::from).collect();
    let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json);
    for (server, written) in servers.iter_mut().zip(offered(json)) {
        // by place, so all or none
        if server.items.len() == written.len() {
            let items = server.items.iter_mut().zip(written);
            items.for_each(|(item, raw)| item.write(raw));
        }
    }
    Ok(servers)
}

impl Item {
    fn write(&mut self, raw: &RawValue) {
        self.raw = Some(Bytes::copy_from_slice(raw.get().as_bytes()));
    }
}

/// The items of each server.
fn offered(json: &[u8]) -> Vec<Vec<&RawValue>> {
    let Ok(elements) = serde_json::from_slice::<Vec<&RawValue>>(json) else {
        return vec![serde_json::from_slice(json).map(lists).unwrap_or_default()];
    };
    let servers: Option<Vec<Members<'_>>> = elements.iter().map(|element| members(element)).collect();
    match servers {
        Some(servers) if servers.first().is_some_and(is_server) => servers.into_iter().map(lists).collect(),
        Some(_) | None => vec![elements],
    }
}

fn members(raw: &RawValue) -> Option<Members<'_>> {
    serde_json::from_str(raw.get()).ok()
}

/// As it is told apart where it is read.
fn is_server(members: &Members<'_>) -> bool {
    members.contains_key("server") || (members.contains_key("tools") && !members.contains_key("name"))
}

fn lists(mut all: Members<'_>) -> Vec<&RawValue> {
    if let Some(result) = all.get("result").and_then(|result| members(result)) {
        all = result;
    }
    let list = |key: &str| serde_json::from_str::<Vec<&RawValue>>(all.get(key)?.get()).ok();
    LISTS.iter().filter_map(|key| list(key)).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::{Kind, compare};

    #[test]
    fn integers_of_many_digits_are_compared_in_every_shape_of_a_file() {
        let tool = |most: &str| {
            format!(
                r#"{{"name":"pay","inputSchema":{{"type":"object","properties":{{"n":{{"maximum":{most}}}}}}}}}"#
            )
        };
        let (one, other) = ("123456789012345678901234567890", "123456789012345678901234567891");
        type Shape = fn(String) -> String;
        let shapes: [Shape; 5] = [
            |tool| format!("[{tool}]"),
            |tool| format!("\u{feff}{{\"tools\":[{tool}]}}"),
            |tool| format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"tools":[{tool}]}}}}"#),
            |tool| format!(r#"[{{"server":"a","tools":[]}},{{"server":"b","tools":[{tool}]}}]"#),
            |tool| format!(r#"[{{"tools":[{tool}],"prompts":[{{"name":"p"}}]}}]"#),
        ];
        for shape in shapes {
            let (old, new) = (shape(tool(one)), shape(tool(other)));
            let drift = compare(&read(old.as_bytes()).unwrap(), &read(new.as_bytes()).unwrap());
            assert!(drift.changes.iter().any(|change| change.kind == Kind::SchemaUnclear), "{old} {drift:?}");
            let same = compare(&read(old.as_bytes()).unwrap(), &read(old.as_bytes()).unwrap());
            assert_eq!(same.changes, [], "{old}");
        }
    }
}
