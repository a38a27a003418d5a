//! A client's configuration with one entry pointed elsewhere. Every other byte stays: comments, order, white space.

use crate::{
    command::scan::clients::{Entry, FROM_CLIENT},
    jsonc::{self, Kind, Member, Node},
};
use std::ops::Range;
use toml_edit::{DocumentMut, Table, TableLike, value};

pub(super) const GONE: &str = "it is not there any more";
pub(super) const NO_TOML: &str = "it is not TOML any more";
/// What an entry of TOML is called while it is kept.
const KEPT: &str = "kept";
/// Members of an address, in the words of the clients.
const ADDRESSES: [&str; 3] = ["url", "serverUrl", "httpUrl"];

/// Members that say how a server is reached, which an import changes.
const HOW: [&str; 11] = [
    "command",
    "args",
    "env",
    "url",
    "serverUrl",
    "httpUrl",
    "headers",
    "http_headers",
    "type",
    "transport",
    "source",
];

/// Entries of one file, each with the command that is to stand in its place.
pub(super) type Redirection<'a> = (&'a Entry, &'a [String]);

/// The text with these commands in the entries' places, and for each whether it is. The text is read once.
///
/// Errors, of each: why it has to be done by hand.
pub(super) fn redirect(text: &str, all: &[Redirection<'_>]) -> (String, Vec<Result<(), String>>) {
    let done = match all.first() {
        Some((entry, _)) if is_toml(entry) => in_toml(text, all),
        Some(_) => in_json(text, all),
        None => Ok((text.to_owned(), Vec::new())),
    };
    done.unwrap_or_else(|why| (text.to_owned(), all.iter().map(|_| Err(why.clone())).collect()))
}

/// What stands for the entry, so that it can be given back.
///
/// Errors: it cannot be found.
pub(super) fn kept(text: &str, entry: &Entry) -> Result<String, String> {
    if is_toml(entry) {
        let document: DocumentMut = text.parse().map_err(|_| NO_TOML.to_owned())?;
        let item = entry.keys.iter().try_fold(document.as_item(), |item, key| item.get(key)).ok_or(GONE)?;
        return Ok(DocumentMut::from(Table::from_iter([(KEPT, item.clone())])).to_string());
    }
    let root = jsonc::parse(text).map_err(|error| error.to_string())?;
    let node = find(&root, entry)?;
    text.get(node.span.clone()).map(str::to_owned).ok_or_else(|| GONE.to_owned())
}

/// The text with what [`kept`] gave in the entry's place.
///
/// Errors: why it has to be done by hand.
pub(super) fn give_back(text: &str, entry: &Entry, kept: &str) -> Result<String, String> {
    if !is_toml(entry) {
        let root = jsonc::parse(text).map_err(|error| error.to_string())?;
        let (now, mut out) = (find(&root, entry)?, text.to_owned());
        out.replace_range(now.span.clone(), &with_the_rest(kept, now, text)?);
        return Ok(out);
    }
    let mut document = plain_toml(text)?;
    let kept: DocumentMut = kept.parse().map_err(|_| NO_TOML.to_owned())?;
    let mut item = document.as_item_mut();
    for key in &entry.keys {
        item = item.get_mut(key).ok_or(GONE)?;
    }
    let mut was = kept.get(KEPT).ok_or(GONE)?.clone();
    if let (Some(was), Some(now)) = (was.as_table_like_mut(), item.as_table_like()) {
        let since = now.iter().filter(|(key, _)| !HOW.contains(key));
        for (key, now) in since {
            if was.get(key).is_none_or(|was| was.to_string() != now.to_string()) {
                was.insert(key, now.clone());
            }
        }
    }
    if let (Some(was), Some(now)) = (was.as_table_mut(), item.as_table()) {
        was.set_position(now.position());
        *was.decor_mut() = now.decor().clone();
        follow(was);
    }
    *item = was;
    with_ends_of(text, &document)
}

/// What was kept, with what its user has said of the entry since but for how the server is reached: one that was turned off
/// stays so.
fn with_the_rest(kept: &str, now: &Node, text: &str) -> Result<String, String> {
    let root = jsonc::parse(kept).map_err(|error| error.to_string())?;
    let was = members(&root)?;
    let (mut edits, mut more) = (Vec::new(), Vec::new());
    for member in members(now)?.iter().filter(|member| !HOW.contains(&member.key.as_str())) {
        let said = text.get(member.value.span.clone()).ok_or(GONE)?;
        match only(was, &member.key)? {
            Some(before) if kept.get(before.value.span.clone()) == Some(said) => {}
            Some(before) => edits.push((before.value.span.clone(), said.to_owned())),
            None => more.push(text.get(whole(member)).ok_or(GONE)?.to_owned()),
        }
    }
    if !more.is_empty() {
        let (end, comma) = match was.last() {
            Some(last) => (last.value.span.end, ", "),
            None => (root.span.start + 1, ""),
        };
        edits.push((end..end, format!("{comma}{}", more.join(", "))));
    }
    edits.sort_by_key(|(span, _)| std::cmp::Reverse(span.start));
    let mut out = kept.to_owned();
    edits.into_iter().for_each(|(span, new)| out.replace_range(span, &new));
    Ok(out)
}

/// Tables in it stand behind it, wherever they stood.
fn follow(table: &mut Table) {
    for (_, item) in table.iter_mut() {
        if let Some(inner) = item.as_table_mut() {
            inner.set_position(None);
            follow(inner);
        }
    }
}

fn is_toml(entry: &Entry) -> bool {
    entry.file.extension().is_some_and(|kind| kind == "toml")
}

/// The entry's value.
fn find<'n>(root: &'n Node, entry: &Entry) -> Result<&'n Node, String> {
    let mut node = root;
    for key in &entry.keys {
        node = only(members(node)?, key)?.map(|member| &member.value).ok_or(GONE)?;
    }
    Ok(node)
}

fn in_json(text: &str, all: &[Redirection<'_>]) -> Result<(String, Vec<Result<(), String>>), String> {
    let root = jsonc::parse(text).map_err(|error| error.to_string())?;
    let (mut edits, mut done) = (Vec::new(), Vec::new());
    for (entry, command) in all {
        done.push(find(&root, entry).and_then(|node| edits_of(node, command)).map(|own| edits.extend(own)));
    }
    edits.sort_by_key(|(span, _)| std::cmp::Reverse(span.start));
    edits.dedup_by(|a, b| a.0 == b.0);
    let (mut out, mut end) = (Vec::new(), text.len());
    for (span, new) in &edits {
        let behind = text.get(span.end..end).ok_or("what is to change overlaps")?;
        out.extend([behind, new.as_str()]);
        end = span.start;
    }
    out.push(text.get(..end).unwrap_or_default());
    out.reverse();
    Ok((out.concat(), done))
}

/// What changes of one entry, and into what.
fn edits_of(node: &Node, command: &[String]) -> Result<Vec<(Range<usize>, String)>, String> {
    let (program, args) = command.split_first().ok_or("there is no command")?;
    let outer = members(node)?;
    if let Some(known) = FROM_CLIENT.iter().find(|known| outer.iter().any(|member| member.key == **known)) {
        return Err(format!("`{known}` is filled in by the client"));
    }
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    let words = |words: &[String]| serde_json::to_string(words).map_err(|error| error.to_string());
    let (program, args) = (serde_json::to_string(program).map_err(|error| error.to_string())?, words(args)?);
    let command = only(outer, "command")?;
    let addresses: Vec<&Member> =
        outer.iter().filter(|member| ADDRESSES.contains(&member.key.as_str())).collect();
    let (inner, mut first) = match (command, addresses.as_slice()) {
        (Some(command), []) => match &command.value.kind {
            // Zed had the program in an object of its own
            Kind::Object(inner) => {
                let path = only(inner, "path")?.or(only(inner, "command")?).ok_or("it names no program")?;
                (inner.as_slice(), (path.value.span.clone(), program))
            }
            Kind::Array(_) | Kind::Plain => (outer, (command.value.span.clone(), program)),
        },
        (None, [address]) => (outer, (whole(address), format!("\"command\": {program}"))),
        _ => return Err("it names more than one way to be reached".to_owned()),
    };
    let mut given: Vec<&Member> =
        [only(outer, "headers")?, only(outer, "http_headers")?].into_iter().flatten().collect();
    match only(inner, "args")? {
        Some(member) => edits.push((member.value.span.clone(), args)),
        // an address has headers, and a command has none
        None if command.is_none() && !given.is_empty() => {
            edits.push((whole(given.remove(0)), format!("\"args\": {args}")));
        }
        None => first.1.push_str(&format!(", \"args\": {args}")),
    }
    edits.push(first);
    given.extend([only(inner, "env")?, only(outer, "env")?].into_iter().flatten());
    edits.extend(given.iter().map(|member| (member.value.span.clone(), "{}".to_owned())));
    for kind in ["type", "transport"] {
        if let Some(member) = only(outer, kind)?.filter(|member| member.value.kind == Kind::Plain) {
            edits.push((member.value.span.clone(), "\"stdio\"".to_owned()));
        }
    }
    Ok(edits)
}

fn members(node: &Node) -> Result<&[Member], String> {
    match &node.kind {
        Kind::Object(members) => Ok(members),
        Kind::Array(_) | Kind::Plain => Err("it is no object".to_owned()),
    }
}

/// The member of that name. Of two nobody knows which one the client reads.
fn only<'a>(members: &'a [Member], key: &str) -> Result<Option<&'a Member>, String> {
    let mut named = members.iter().filter(|member| member.key == key);
    match (named.next(), named.next()) {
        (one, None) => Ok(one),
        (_, Some(_)) => Err(format!("`{key}` occurs twice")),
    }
}

fn whole(member: &Member) -> Range<usize> {
    member.at.start..member.value.span.end
}

fn in_toml(text: &str, all: &[Redirection<'_>]) -> Result<(String, Vec<Result<(), String>>), String> {
    let mut document = plain_toml(text)?;
    let done = all.iter().map(|(entry, command)| in_document(&mut document, entry, command)).collect();
    Ok((with_ends_of(text, &document)?, done))
}

/// The document, if it can be written again as it is.
pub(super) fn plain_toml(text: &str) -> Result<DocumentMut, String> {
    let document: DocumentMut = text.parse().map_err(|_| NO_TOML.to_owned())?;
    if with_ends_of(text, &document)? != text {
        return Err("what else is in the file would not stay as it is".to_owned());
    }
    Ok(document)
}

fn in_document(document: &mut DocumentMut, entry: &Entry, command: &[String]) -> Result<(), String> {
    let (program, args) = command.split_first().ok_or("there is no command")?;
    let mut item = document.as_item_mut();
    for key in &entry.keys {
        item = item.get_mut(key).ok_or(GONE)?;
    }
    let table = item.as_table_like_mut().ok_or("it is no table")?;
    if let Some(known) = FROM_CLIENT.iter().find(|known| table.contains_key(known)) {
        return Err(format!("`{known}` is filled in by the client"));
    }
    put(table, "command", value(program));
    put(table, "args", value(args.iter().collect::<toml_edit::Array>()));
    for gone in ADDRESSES.iter().chain(&["env", "http_headers"]) {
        table.remove(gone);
    }
    Ok(())
}

/// The document with its lines and its end as they were: whoever writes it knows one kind of either.
pub(super) fn with_ends_of(before: &str, document: &DocumentMut) -> Result<String, String> {
    let mut text = document.to_string().replace("\r\n", "\n");
    if !before.ends_with('\n') && text.ends_with('\n') {
        text.pop();
    }
    match (before.matches("\r\n").count(), before.matches('\n').count()) {
        (0, _) => Ok(text),
        (crlf, all) if crlf == all => Ok(text.replace('\n', "\r\n")),
        _ => Err("its lines end in two ways".to_owned()),
    }
}

/// Sets a value; a remark behind the old one stays.
fn put(table: &mut dyn TableLike, key: &str, mut new: toml_edit::Item) {
    let old = table.get(key).and_then(toml_edit::Item::as_value).map(|old| old.decor().clone());
    if let (Some(decor), Some(new)) = (old, new.as_value_mut()) {
        *new.decor_mut() = decor;
    }
    table.insert(key, new);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(file: &str, keys: &[&str]) -> Entry {
        Entry {
            file: file.into(),
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            ..Entry::default()
        }
    }
    fn redirected(file: &str, keys: &[&str], text: &str) -> Result<String, String> {
        let (entry, command) =
            (entry(file, keys), ["/bin/callgate", "wrap", "--name", "a"].map(str::to_owned));
        let (after, mut done) = redirect(text, &[(&entry, &command)]);
        let redirected = done.pop().unwrap().map(|()| after);
        if let Ok(after) = &redirected {
            let kept = kept(text, &entry).unwrap();
            let again = give_back(after, &entry, &kept).unwrap();
            assert_eq!(again, text, "what was kept is given back as it was");
        }
        redirected
    }

    #[test]
    fn only_what_says_how_it_is_reached_changes() {
        let keys = &["mcpServers", "a"];
        for (before, after) in [
            (
                "{ // mine\n\"mcpServers\": {\"a\": {\"command\": \"npx\", /* why */ \"args\": [\"x\"], \"env\": {\"K\": \"v\"}, \"disabled\": false,},},\n}\n",
                "{ // mine\n\"mcpServers\": {\"a\": {\"command\": \"/bin/callgate\", /* why */ \"args\": [\"wrap\",\"--name\",\"a\"], \"env\": {}, \"disabled\": false,},},\n}\n",
            ),
            (
                r#"{"mcpServers":{"a":{"type":"http","url":"https://x","headers":{"K":"v"}},"b":{"url":"https://y"}}}"#,
                r#"{"mcpServers":{"a":{"type":"stdio","command": "/bin/callgate","args": ["wrap","--name","a"]},"b":{"url":"https://y"}}}"#,
            ),
            (
                r#"{"mcpServers":{"a":{"serverUrl":"https://x"}}}"#,
                r#"{"mcpServers":{"a":{"command": "/bin/callgate", "args": ["wrap","--name","a"]}}}"#,
            ),
        ] {
            assert_eq!(redirected("a.json", keys, before).unwrap(), after);
        }
        let zed = r#"{"context_servers":{"a":{"command":{"path":"npx","args":["x"],"env":{"K":"v"}},"settings":{}}}}"#;
        let after = r#"{"context_servers":{"a":{"command":{"path":"/bin/callgate","args":["wrap","--name","a"],"env":{}},"settings":{}}}}"#;
        assert_eq!(redirected("a.json", &["context_servers", "a"], zed).unwrap(), after);
    }

    #[test]
    fn what_was_said_since_stays_said() {
        let since = |keys: &[&str], file: &str, now: &str, kept: &str| {
            give_back(now, &entry(file, keys), kept).unwrap()
        };
        let json = ["mcpServers", "a"];
        let now = r#"{"mcpServers":{"a":{"command":"callgate","args":[],"off":true,"x":2}}}"#;
        for (kept, after) in [
            (r#"{"url":"u","x":1}"#, r#"{"mcpServers":{"a":{"url":"u","x":2, "off":true}}}"#),
            ("{}", r#"{"mcpServers":{"a":{"off":true, "x":2}}}"#),
        ] {
            assert_eq!(since(&json, "a.json", now, kept), after);
        }
        let now = "[mcp_servers.a]\ncommand = \"callgate\"\nenabled = false\n";
        let after = since(&["mcp_servers", "a"], "a.toml", now, "[kept]\ncommand = \"npx\"\n");
        assert!(after.contains("command = \"npx\"") && after.contains("enabled = false"), "{after}");
    }

    #[test]
    fn toml_keeps_its_remarks() {
        let before = "# mine\nmodel = \"x\" # best\n\n[mcp_servers.a] # this\ncommand = \"npx\" # why\nargs = [\"x\"]\n\n[mcp_servers.a.env]\nK = \"v\"\n\n[tui]\nx = 1\n";
        let after = "# mine\nmodel = \"x\" # best\n\n[mcp_servers.a] # this\ncommand = \"/bin/callgate\" # why\nargs = [\"wrap\", \"--name\", \"a\"]\n\n[tui]\nx = 1\n";
        assert_eq!(redirected("a.toml", &["mcp_servers", "a"], before).unwrap(), after);
    }

    #[test]
    fn lines_of_toml_end_as_they_did() {
        let keys = &["mcp_servers", "a"];
        let before = "# mine\r\n[mcp_servers.a]\r\ncommand = \"npx\" # why\r\n[tui]\r\nx = 1";
        let after = "# mine\r\n[mcp_servers.a]\r\ncommand = \"/bin/callgate\" # why\r\nargs = [\"wrap\", \"--name\", \"a\"]\r\n[tui]\r\nx = 1";
        assert_eq!(redirected("a.toml", keys, before).unwrap(), after);
        let mixed = "# mine\r\n[mcp_servers.a]\ncommand = \"npx\"\n";
        assert!(redirected("a.toml", keys, mixed).is_err());
    }

    #[test]
    fn what_cannot_be_told_is_left_to_a_person() {
        let keys = &["mcpServers", "a"];
        for bad in [
            r#"{"mcpServers":{"a":{"command":"x","url":"https://x"}}}"#,
            r#"{"mcpServers":{"a":{"command":"x","command":"y"}}}"#,
            r#"{"mcpServers":{"a":{"command":"x"},"a":{"command":"x"}}}"#,
            r#"{"mcpServers":{"b":{"command":"x"}}}"#,
            r#"{"mcpServers":{"a":{"command":"x","envFile":".env"}}}"#,
            "{",
        ] {
            assert!(redirected("a.json", keys, bad).is_err(), "{bad}");
        }
        assert!(
            redirected(
                "a.toml",
                &["mcp_servers", "a"],
                "[mcp_servers.a]\nurl = \"x\"\nbearer_token_env_var = \"T\"\n"
            )
            .is_err()
        );
    }
}
