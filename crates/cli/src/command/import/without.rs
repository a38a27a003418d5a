//! The gateway's configuration without a server: its own lines go, and every other byte stays.

use super::edit::{GONE, NO_TOML, plain_toml, with_ends_of};
use std::ops::Range;
use toml_edit::{Document, Item, Key, Table};

/// The text without all that is said of the server, with the remarks that stand directly above it. What a blank line parts
/// from it is another's.
///
/// Errors: why it has to be done by hand.
pub(super) fn without_server(text: &str, name: &str) -> Result<String, String> {
    let document = Document::parse(text).map_err(|_| NO_TOML.to_owned())?;
    let servers = document.as_table().get("servers").ok_or(GONE)?;
    let Some(servers) = servers.as_table() else { return within_one_value(text, name) };
    let (key, item) = servers.get_key_value(name).ok_or(GONE)?;
    let mut spans = Vec::new();
    all_of(key, item, &mut spans);
    let mut own: Vec<Range<usize>> = spans.into_iter().map(|span| with_remarks(text, span)).collect();
    own.sort_by_key(|span| std::cmp::Reverse(span.start));
    let mut out = text.to_owned();
    for span in own {
        let at = span.start;
        out.replace_range(span, "");
        close(&mut out, at);
    }
    match is_without(text, &out, name) {
        true => Ok(out),
        false => Err("what else is in the file would not stay as it is".to_owned()),
    }
}

/// All servers in one pair of braces.
fn within_one_value(text: &str, name: &str) -> Result<String, String> {
    let mut document = plain_toml(text)?;
    let servers = document.get_mut("servers").and_then(Item::as_table_like_mut).ok_or(GONE)?;
    servers.remove(name).ok_or(GONE)?;
    with_ends_of(text, &document)
}

/// Where it stands: each table from its head to its last value, and each value that stands in no table of its own.
fn all_of(key: &Key, item: &Item, out: &mut Vec<Range<usize>>) {
    match item {
        Item::None => {}
        Item::Value(value) => {
            out.extend(key.span().zip(value.span()).map(|(key, value)| key.start..value.end));
        }
        Item::Table(table) => one_table(table, out),
        Item::ArrayOfTables(all) => all.iter().for_each(|table| one_table(table, out)),
    }
}

fn one_table(table: &Table, out: &mut Vec<Range<usize>>) {
    let mut inner = Vec::new();
    for (name, _) in table.iter() {
        if let Some((key, item)) = table.get_key_value(name) {
            match item {
                // what has a head of its own may stand anywhere
                Item::Table(other) if !other.is_dotted() => one_table(other, out),
                Item::ArrayOfTables(_) => all_of(key, item, out),
                Item::Table(_) | Item::Value(_) | Item::None => all_of(key, item, &mut inner),
            }
        }
    }
    let has_head = !table.is_implicit() && !table.is_dotted();
    match table.span().filter(|_| has_head) {
        Some(head) => {
            let end = inner.iter().map(|span| span.end).max().unwrap_or(head.end);
            out.push(head.start..end.max(head.end));
        }
        None => out.append(&mut inner),
    }
}

/// Whole lines, and the remarks directly above them.
fn with_remarks(text: &str, span: Range<usize>) -> Range<usize> {
    let line_at = |at: usize| text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |end| end + 1);
    let mut start = line_at(span.start);
    while let Some(above) = start.checked_sub(1).map(line_at) {
        let is_remark = text.get(above..start).is_some_and(|line| line.trim_start().starts_with('#'));
        if !is_remark {
            break;
        }
        start = above;
    }
    let rest = text.get(span.end..).unwrap_or_default();
    start..rest.find('\n').map_or(text.len(), |end| span.end + end + 1)
}

/// Leaves no more blank lines at this place than there were before it, and none at the end.
fn close(text: &mut String, at: usize) {
    let (before, after) = text.split_at_checked(at).unwrap_or((text.as_str(), ""));
    let blank = |line: &&str| line.trim().is_empty();
    let width = |lines: &mut dyn Iterator<Item = &str>| lines.map(str::len).sum::<usize>();
    let behind = width(&mut after.split_inclusive('\n').take_while(blank));
    let above = width(&mut before.split_inclusive('\n').rev().take_while(blank));
    match (behind == after.len(), above > 0 || before.is_empty()) {
        (true, _) => text.replace_range(at - above..at + behind, ""),
        (false, true) => text.replace_range(at..at + behind, ""),
        (false, false) => {}
    }
}

/// Whether `after` says what `before` does, but for the server.
fn is_without(before: &str, after: &str, name: &str) -> bool {
    let read = |text: &str| -> Option<toml::Table> {
        let mut all: toml::Table = text.parse().ok()?;
        let servers = all.get_mut("servers").and_then(toml::Value::as_table_mut);
        if servers.is_none_or(|servers| {
            servers.remove(name);
            servers.is_empty()
        }) {
            all.remove("servers");
        }
        Some(all)
    };
    let is_gone = |all: toml::Table| all.get("servers").is_none_or(|servers| servers.get(name).is_none());
    after.parse().is_ok_and(is_gone) && read(before).is_some_and(|before| read(after) == Some(before))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remarks_directly_above_a_server_are_its_own_and_others_stay() {
        for (before, after) in [
            ("# mine\n\n# of a\n# too\n[servers.a] # this\ncommand = \"a\"\n", "# mine\n"),
            (
                "# ---- ours ----\n\n[servers.a]\n# inside\ncommand = \"a\" # why\n\n# ---- theirs ----\n\n# of b\n[servers.b]\ncommand = \"b\"\n",
                "# ---- ours ----\n\n# ---- theirs ----\n\n# of b\n[servers.b]\ncommand = \"b\"\n",
            ),
            (
                "[servers.a]\ncommand = \"a\"\n[servers.b]\ncommand = \"b\"\n\n# about secrets\n\n# its key\n[[servers.a.credentials]]\nsecret = \"k\"\nenv = \"K\"\n\n[servers.a.env]\nX = \"1\"\n\n[limits]\n",
                "[servers.b]\ncommand = \"b\"\n\n# about secrets\n\n[limits]\n",
            ),
            (
                "x = 1\n\n[servers]\n# of a\na = { command = \"a\", args = [\n  \"x\",\n] }\n# of b\nb.command = \"b\"\n",
                "x = 1\n\n[servers]\n# of b\nb.command = \"b\"\n",
            ),
            (
                "# of a\nservers.a.command = \"a\"\nservers.b.command = \"b\"\nservers.a.args = [\"x\"] # last\nx = 1",
                "servers.b.command = \"b\"\nx = 1",
            ),
            (
                "servers = { a = { command = \"a\" }, b = { command = \"b\" } }\n",
                "servers = { b = { command = \"b\" } }\n",
            ),
            ("x = 1\r\n\r\n# of a\r\n[servers.a]\r\ncommand = \"a\"\r\n", "x = 1\r\n"),
            (
                "[servers.a]\ncommand = \"a\"\n\n\n[servers.a.env]\n\n[servers.b]\ncommand = \"b\"",
                "[servers.b]\ncommand = \"b\"",
            ),
        ] {
            assert_eq!(without_server(before, "a").as_deref(), Ok(after), "{before}");
        }
        assert!(without_server("[servers.b]\ncommand = \"b\"\n", "a").is_err());
    }

    #[test]
    fn what_only_looks_like_a_remark_is_not_taken() {
        let text = "x = \"\"\"\n# no remark\"\"\"\n[servers.a]\ncommand = \"a\"\n";
        assert!(without_server(text, "a").is_err(), "a person sees to it");
    }
}
