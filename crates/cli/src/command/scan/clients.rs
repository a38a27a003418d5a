//! The configurations of MCP clients: where they are, and which servers they name.

mod places;

use super::notice::{self, Source, Spot};
use super::report::Gap;
use super::{credentials, doubled};
use crate::{failure::Failure, surroundings::Surroundings};
use places::{CLIENTS, Client, ZED, files, is_at, root};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Largest configuration that is read, in bytes. Claude Code keeps its history in the same file.
const BYTES_MAX: u64 = 64 << 20;

/// What stands for a client where a server is named on the command line.
const COMMAND_LINE: &str = "command line";
/// What stands for a client where a registry describes a server.
pub(super) const PUBLISHED: &str = "server.json";

/// The member under which Claude Code has more of each project.
const PROJECTS: &str = "projects";

/// Members of which nothing can be known here: the client fills them in.
pub(crate) const FROM_CLIENT: [&str; 5] =
    ["bearer_token_env_var", "env_http_headers", "env_vars", "envFile", "headersHelper"];

/// One server as a client would reach it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) client: &'static str,
    pub(crate) file: PathBuf,
    /// What stands in the file.
    pub(crate) text: Arc<str>,
    /// The keys that lead to it there, its name last.
    pub(crate) keys: Vec<String>,
    pub(crate) name: String,
    /// The program and its arguments; empty for one that is reached over HTTP.
    pub(crate) command: Vec<String>,
    pub(crate) url: Option<String>,
    /// Further addresses. Which of them counts, and whether the program does instead, is up to the client.
    pub(crate) others: Vec<String>,
    /// The address is one of HTTP+SSE.
    pub(crate) is_sse: bool,
    /// What a description names, without its version.
    pub(crate) package: String,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) headers: BTreeMap<String, String>,
    /// The folder it is run in, as it stands there.
    pub(crate) cwd: Option<String>,
    /// A member of it that only its client can fill in.
    pub(crate) filled: Option<&'static str>,
    /// Its user has turned it off: the client neither starts nor asks it.
    pub(crate) is_off: bool,
    /// Its client brings it along, and alone knows how it is started.
    pub(crate) is_brought: bool,
}

impl Entry {
    /// One that was named on the command line.
    pub(super) fn at(url: &str) -> Self {
        let is_sse = ends_as_sse(url);
        Self { url: Some(url.to_owned()), is_sse, ..Self::named(&credentials::address(url).text) }
    }

    /// The same, by its command.
    pub(super) fn run(command: &[String]) -> Self {
        let program = command.first().map_or("", String::as_str);
        Self { command: command.to_vec(), ..Self::named(program.rsplit('/').next().unwrap_or(program)) }
    }

    pub(super) fn is_of_command_line(&self) -> bool {
        self.client == COMMAND_LINE
    }

    fn named(name: &str) -> Self {
        Self { client: COMMAND_LINE, file: "-".into(), name: name.to_owned(), ..Self::default() }
    }

    /// A stranger wrote it for everybody: of this machine it knows nothing.
    pub(super) fn is_published(&self) -> bool {
        self.client == PUBLISHED
    }

    /// Whether it is both started and reached, or reached at several addresses: clients differ in what they take.
    pub(crate) fn has_two_ways(&self) -> bool {
        self.url.is_some() && !(self.command.is_empty() && self.others.is_empty())
    }

    pub(crate) fn addresses(&self) -> impl Iterator<Item = &str> {
        self.url.iter().chain(&self.others).map(String::as_str)
    }

    /// The project that it is of, where one file names those of several.
    pub(crate) fn project(&self) -> Option<&str> {
        match self.keys.as_slice() {
            [first, path, _, _] if first == PROJECTS => Some(path),
            _ => None,
        }
    }

    /// Its name, and where that may be another's too, its project.
    pub(crate) fn title(&self) -> String {
        match self.project() {
            Some(project) => format!("{} ({project})", self.name),
            None => self.name.clone(),
        }
    }

    /// The folder of the project that it is of; nothing for one that is started anywhere. What lies right below `home` is of no
    /// project.
    pub(crate) fn folder(&self, home: &Path) -> Option<PathBuf> {
        let project = self.project().map(PathBuf::from).filter(|path| path.is_absolute());
        project.or_else(|| {
            let own = CLIENTS.iter().filter(|client| client.name == self.client);
            let folder = own.flat_map(|client| client.here).find_map(|path| root(&self.file, path))?;
            (folder.is_absolute() && !same_file(&folder, home)).then_some(folder)
        })
    }

    pub(super) fn spot(&self) -> Spot {
        let pointer = self.keys.iter().map(|key| format!("/{}", key.replace('~', "~0").replace('/', "~1")));
        Spot {
            source: (self.file != Path::new("-"))
                .then(|| Source { file: self.file.clone(), text: Arc::clone(&self.text) }),
            pointer: pointer.collect(),
            subject: format!("{}/{}", self.client, self.title()),
            // no client's name has a bar; a package, and a project's server, are accepted for themselves
            key: match (self.package.as_str(), self.project()) {
                ("", None) => format!("{}/{}", self.client, self.name),
                (package, project) => {
                    notice::key([self.client, &self.name, package].into_iter().chain(project))
                }
            },
            inside: String::new(),
        }
    }
}

/// A file that is there and says nothing that can be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Unread {
    pub(crate) file: PathBuf,
    pub(crate) because: String,
    #[serde(skip)]
    pub(super) code: &'static str,
}

impl Unread {
    /// What of it is not as it must be.
    pub(crate) fn shape(file: &Path, because: String) -> Self {
        Self { file: file.to_owned(), because, code: "wrong-shape" }
    }

    /// One in which nothing is named.
    pub(super) fn nothing(file: &Path) -> Self {
        let because = "it names no tool, prompt, resource or text that could be looked at".to_owned();
        Self { file: file.to_owned(), because, code: "nothing" }
    }

    pub(super) fn gap(&self) -> Gap {
        Gap { what: self.file.display().to_string(), because: format!("{}: {}", self.fate(), self.because) }
    }

    pub(super) fn failure(&self) -> Failure {
        let message = format!("`{}` {}: {}", self.file.display(), self.fate(), self.because);
        Failure::Unreadable { code: self.code, message }
    }

    /// What became of it.
    pub(super) fn fate(&self) -> &'static str {
        if self.code == "nothing" { "was not looked at" } else { "cannot be read" }
    }
}

/// Every server that a client on this machine is told of, and what could not be read. Reads files and nothing else.
pub(crate) fn found(surroundings: &Surroundings) -> (Vec<Entry>, Vec<Unread>) {
    let (mut entries, mut unread) = (Vec::new(), Vec::new());
    for client in &CLIENTS {
        let below = |folder: Option<&Path>, paths: &[&str]| -> Vec<PathBuf> {
            folder.into_iter().flat_map(|folder| paths.iter().flat_map(|path| files(folder, path))).collect()
        };
        let home = below(surroundings.home.as_deref(), client.home);
        let config = below(surroundings.config_home.as_deref(), client.config);
        // under the home folder, the present one is found twice
        let mut seen = BTreeSet::new();
        let all = home.into_iter().chain(config).chain(below(Some(Path::new("")), client.here));
        for file in all.filter(|file| seen.insert(real(file))) {
            match text(&file) {
                Ok(None) => {}
                Ok(Some(text)) => {
                    let Named { entries: named, wrong } = servers(client, &file, &text);
                    entries.extend(named);
                    let of_file = |because| Unread::shape(&file, because);
                    unread.extend(wrong.into_iter().map(of_file));
                }
                Err(why) => unread.push(Unread::shape(&file, why.to_string())),
            }
        }
    }
    let order =
        |one: &Entry| (one.client, one.name.clone(), one.file.clone(), one.project().map(str::to_owned));
    entries.sort_by_cached_key(order);
    // one file may be looked at for two members
    unread.sort_by(|a, b| (&a.because, &a.file).cmp(&(&b.because, &b.file)));
    unread.dedup_by(|a, b| a.because == b.because && same_file(&a.file, &b.file));
    (entries, unread)
}

/// What a client's configuration names.
#[derive(Debug, Default)]
pub(crate) struct Named {
    pub(crate) entries: Vec<Entry>,
    /// What of it is not as it must be, so that nobody knows what the client makes of it.
    pub(crate) wrong: Vec<String>,
}

/// What a file names that is the configuration of a client; `None` if it is none.
pub(crate) fn named(file: &Path, text: &str) -> Option<Named> {
    let ends = |client: &Client| {
        [client.home, client.config, client.here].concat().iter().any(|path| is_at(file, path))
    };
    let whole = whole(file, text).ok()?;
    let has = |client: &Client| {
        let within = client.within.iter().try_fold(&whole, |value, key| value.get(*key));
        within.and_then(|within| within.get(client.member)).is_some_and(Value::is_object)
    };
    let client = CLIENTS
        .iter()
        .find(|client| ends(client) && has(client))
        .or_else(|| CLIENTS.iter().find(|client| has(client)))?;
    let mut named = servers(client, file, text);
    if !ends(client) && client.member == "mcpServers" {
        named.entries.iter_mut().for_each(|entry| entry.client = "MCP client");
    }
    Some(named)
}

/// Why it is no file of that kind at all, whatever it names.
pub(crate) fn broken(file: &Path, text: &str) -> Option<String> {
    whole(file, text).err()
}

/// The same path for the same file, whatever leads to it.
pub(crate) fn real(file: &Path) -> PathBuf {
    file.canonicalize().unwrap_or_else(|_| file.to_owned())
}

fn same_file(one: &Path, other: &Path) -> bool {
    real(one) == real(other)
}

/// Nothing where there is no such file.
fn text(file: &Path) -> std::io::Result<Option<String>> {
    use std::io::{Error, ErrorKind, Read as _};
    let open = match launch::open_plain(file) {
        Ok(open) => open,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(e) => return Err(e),
    };
    let mut text = String::new();
    if open.take(BYTES_MAX + 1).read_to_string(&mut text)? as u64 > BYTES_MAX {
        return Err(Error::other("it is larger than 64 MiB"));
    }
    Ok(Some(text))
}

fn whole(file: &Path, text: &str) -> Result<Value, String> {
    // editors of another system put one in front
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if is_toml(file) {
        toml::from_str(text).map_err(|e| e.message().to_owned())
    } else {
        serde_json::from_str(&plain(text)).map_err(|e| e.to_string())
    }
}

/// It has no key twice, or is none.
fn is_toml(file: &Path) -> bool {
    file.extension().is_some_and(|kind| kind == "toml")
}

fn servers(client: &Client, file: &Path, text: &str) -> Named {
    let mut named = Named::default();
    let whole = match whole(file, text) {
        Ok(Value::Object(whole)) => whole,
        Ok(_) => {
            named.wrong.push("it is no object".to_owned());
            return named;
        }
        Err(why) => {
            named.wrong.push(why);
            return named;
        }
    };
    if !is_toml(file) {
        match crate::jsonc::parse(text) {
            Ok(root) => named.wrong.extend(
                doubled::keys(&root, client.within, client.member).into_iter().map(|key| {
                    format!("`{key}` occurs twice, and which of the two counts is up to whoever reads it")
                }),
            ),
            Err(why) => named.wrong.push(why.to_string()),
        }
    }
    let text: Arc<str> = text.into();
    let mut take = |within: &Map<String, Value>, keys: &[&str]| {
        for (name, value) in members(within, client.member, &mut named.wrong) {
            let keys: Vec<String> =
                keys.iter().chain([&client.member, &name.as_str()]).map(|key| (*key).to_owned()).collect();
            match entry(client.name, file, name, value) {
                Ok(entry) => named.entries.push(Entry { text: Arc::clone(&text), keys, ..entry }),
                Err(why) => named.wrong.push(format!("`{}` {why}", keys.join("."))),
            }
        }
    };
    let mut within = &whole;
    for key in client.within {
        match within.get(*key) {
            Some(Value::Object(inner)) => within = inner,
            None | Some(Value::Null) => return named,
            Some(_) => {
                named.wrong.push(format!("`{key}` is no object"));
                return named;
            }
        }
    }
    take(within, client.within);
    // Claude Code has more of each project
    let projects = whole.get(PROJECTS).and_then(Value::as_object).into_iter().flatten();
    for (path, project) in projects {
        project.as_object().into_iter().for_each(|project| take(project, &[PROJECTS, path]));
    }
    named
}

/// The members of the object of that name. There may be none, but nothing else.
fn members<'v>(
    within: &'v Map<String, Value>,
    name: &str,
    wrong: &mut Vec<String>,
) -> impl Iterator<Item = (&'v String, &'v Value)> + use<'v> {
    let member = within.get(name).filter(|member| !member.is_null());
    if member.is_some_and(|member| !member.is_object()) {
        wrong.push(format!("`{name}` is no object"));
    }
    member.and_then(Value::as_object).into_iter().flatten()
}

/// Errors: why nobody knows how it is reached.
fn entry(client: &'static str, file: &Path, name: &str, value: &Value) -> Result<Entry, &'static str> {
    if !value.is_object() {
        return Err("is no object");
    }
    let texts = |value: Option<&Value>| -> Vec<String> {
        let all = value.and_then(Value::as_array).into_iter().flatten();
        all.map(|one| one.as_str().map_or_else(|| one.to_string(), str::to_owned)).collect()
    };
    let pairs = |value: Option<&Value>| -> BTreeMap<String, String> {
        let all = value.and_then(Value::as_object).into_iter().flatten();
        // numbers and truths become texts, as in the environment of a process they are
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        all.filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.clone(), text(value))).collect()
    };
    // Zed had the program in an object of its own
    let inner = value.get("command").filter(|command| command.is_object()).unwrap_or(value);
    let said = inner.get("path").or_else(|| inner.get("command"));
    if said.is_some_and(|said| !said.is_null() && !said.is_string()) {
        return Err("has a `command` that is no text");
    }
    let program = said.and_then(Value::as_str).filter(|program| !program.is_empty());
    let is =
        |key: &str, fits: fn(&Value) -> bool| inner.get(key).is_none_or(|one| one.is_null() || fits(one));
    if !is("args", Value::is_array) || !is("env", Value::is_object) {
        return Err("has `args` that are no list, or an `env` that is no object");
    }
    let cwd = inner.get("cwd").or_else(|| value.get("cwd")).filter(|cwd| !cwd.is_null());
    if cwd.is_some_and(|cwd| !cwd.is_string()) {
        return Err("has a `cwd` that is no text");
    }
    let addresses = ["url", "serverUrl", "httpUrl"].iter().filter_map(|key| value.get(*key)?.as_str());
    let mut addresses: Vec<String> =
        addresses.filter(|address| !address.is_empty()).map(str::to_owned).collect();
    addresses.dedup();
    let mut addresses = addresses.into_iter();
    let url = addresses.next();
    let mut command: Vec<String> = program.map(str::to_owned).into_iter().collect();
    if program.is_some() {
        command.extend(texts(inner.get("args")));
    }
    if program.is_none() && url.is_none() {
        // Zed's extensions have settings, and know the program themselves
        let is_brought = client == ZED && value.get("command").is_none();
        if !is_brought {
            return Err("names neither a program nor an address");
        }
    }
    let settings = value.get("settings").filter(|_| program.is_none() && url.is_none());
    Ok(Entry {
        client,
        file: file.to_owned(),
        name: name.to_owned(),
        command,
        is_brought: program.is_none() && url.is_none(),
        url,
        others: addresses.collect(),
        is_sse: is_sse(value),
        cwd: cwd.and_then(Value::as_str).map(str::to_owned),
        filled: FROM_CLIENT.into_iter().find(|known| value.get(*known).is_some()),
        env: pairs(settings.or_else(|| inner.get("env")).or_else(|| value.get("env"))),
        headers: pairs(value.get("headers").or_else(|| value.get("http_headers"))),
        is_off: value.get("disabled") == Some(&Value::Bool(true))
            || value.get("enabled") == Some(&Value::Bool(false)),
        ..Entry::default()
    })
}

/// Whether it is of HTTP+SSE: because it says so, or because its address looks so and it says nothing.
fn is_sse(value: &Value) -> bool {
    let mut said = ["type", "transport"].iter().filter_map(|key| value.get(*key)?.as_str()).peekable();
    if said.peek().is_some() {
        return said.any(|kind| kind == "sse");
    }
    // what Gemini calls `httpUrl` is none
    let address = ["url", "serverUrl"].iter().find_map(|key| value.get(*key)?.as_str());
    address.is_some_and(ends_as_sse)
}

/// Whether the path of an address ends as those of HTTP+SSE do.
fn ends_as_sse(url: &str) -> bool {
    url::Url::parse(url).is_ok_and(|url| url.path().trim_end_matches('/').ends_with("/sse"))
}

/// JSON without the comments and last commas that editors allow in their settings.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    let mut quoted = false;
    while let Some(c) = rest.next() {
        match c {
            '"' => quoted = !quoted,
            '\\' if quoted => {
                out.push(c);
                out.extend(rest.next());
                continue;
            }
            '/' if !quoted && rest.peek() == Some(&'/') => {
                while rest.next_if(|c| *c != '\n').is_some() {}
                continue;
            }
            '/' if !quoted && rest.peek() == Some(&'*') => {
                rest.next();
                let mut last = ' ';
                for c in rest.by_ref() {
                    if last == '*' && c == '/' {
                        break;
                    }
                    last = c;
                }
                continue;
            }
            ']' | '}' if !quoted => {
                let end = out.trim_end().strip_suffix(',').map(str::len);
                end.into_iter().for_each(|end| out.truncate(end));
            }
            _ => {}
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_its_user_has_turned_off_is_known() {
        for (said, is_off) in [
            ("\"disabled\": true", true),
            ("\"enabled\": false", true),
            ("\"disabled\": false", false),
            ("\"enabled\": true", false),
            ("\"disabled\": \"yes\"", false),
        ] {
            let value = serde_json::from_str(&format!(r#"{{"command":"x",{said}}}"#)).unwrap();
            let entry = entry("Cursor", Path::new("mcp.json"), "x", &value).unwrap();
            assert_eq!(entry.is_off, is_off, "{said}");
        }
    }

    #[test]
    fn every_way_that_an_entry_names_is_known() {
        let of = |text: &str| {
            let value = serde_json::from_str(text).unwrap();
            entry("Cursor", Path::new("mcp.json"), "x", &value)
        };
        for (text, ways) in [
            (r#"{"type":"stdio","command":"x","args":["y"],"url":"http://d.example"}"#, 2),
            (r#"{"url":"http://a.example","httpUrl":"http://b.example"}"#, 2),
            (
                r#"{"url":"http://a.example","serverUrl":"http://a.example","httpUrl":"http://b.example","command":"x"}"#,
                3,
            ),
            (r#"{"url":"http://a.example","httpUrl":"http://a.example"}"#, 1),
            (r#"{"command":null,"url":"http://a.example"}"#, 1),
            (r#"{"command":"x","url":""}"#, 1),
        ] {
            let entry = of(text).unwrap();
            let found = usize::from(!entry.command.is_empty()) + entry.addresses().count();
            assert_eq!((found, entry.has_two_ways()), (ways, ways > 1), "{text}");
        }
        assert!(of(r#"{"command":["x"],"url":"http://a.example"}"#).is_err());
    }

    #[test]
    fn settings_with_comments_and_last_commas_are_read() {
        let text = "{ // mine\n \"a\": \"http://x//y, }\", /* two\nlines */ \"b\": [1, 2, ],\n \"c\": \"\\\" // no\", }";
        let value: Value = serde_json::from_str(&plain(text)).unwrap();
        assert_eq!(value, serde_json::json!({ "a": "http://x//y, }", "b": [1, 2], "c": "\" // no" }));
    }

    #[test]
    fn every_client_s_way_to_name_a_server_is_known() {
        let of = |client: &str, file: &str, text: &str| {
            let client = CLIENTS.iter().find(|one| one.name == client).unwrap();
            servers(client, Path::new(file), text).entries
        };
        let run = ["npx".to_owned(), "-y".to_owned(), "thing".to_owned()];
        for (client, file, text) in [
            ("Claude Desktop", "a.json", r#"{"mcpServers":{"a":{"command":"npx","args":["-y","thing"]}}}"#),
            (
                "Claude Code",
                "a.json",
                r#"{"projects":{"/x":{"mcpServers":{"a":{"command":"npx","args":["-y","thing"]}}}}}"#,
            ),
            ("VS Code", "a.json", r#"{"servers":{"a":{"command":"npx","args":["-y","thing"]}}}"#),
            ("Codex", "a.toml", "[mcp_servers.a]\ncommand = \"npx\"\nargs = [\"-y\", \"thing\"]\n"),
            (
                "Zed",
                "a.json",
                r#"{"context_servers":{"a":{"command":{"path":"npx","args":["-y","thing"]}}}}"#,
            ),
        ] {
            let found = of(client, file, text);
            assert_eq!((found.len(), &found[0].command[..]), (1, &run[..]), "{client}");
        }
        let settings = CLIENTS.iter().filter(|one| one.config.contains(&"Code/User/settings.json"));
        let told: Vec<_> = settings.collect();
        for text in [
            r#"{"mcp":{"servers":{"a":{"command":"npx","args":["-y","thing"]}}}} // mine"#,
            r#"{"mcp.servers":{"a":{"command":"npx","args":["-y","thing"]}}, "editor.tabSize": 2}"#,
        ] {
            let found: Vec<Entry> = told
                .iter()
                .flat_map(|client| servers(client, Path::new("settings.json"), text).entries)
                .collect();
            assert_eq!((found.len(), &found[0].command[..]), (1, &run[..]), "{text}");
        }
        let extension = r#"{"context_servers":{"a":{"settings":{"github_token":"ghp_0123456789abcdef0123456789abcdef0123"}}}}"#;
        let found = of("Zed", "a.json", extension);
        assert!(found[0].is_brought && found[0].env.contains_key("github_token"));
        let remote = r#"{"mcpServers":{"a":{"httpUrl":"https://x.example/mcp","headers":{"X-Key":"k"}}}}"#;
        let found = of("Gemini CLI", "a.json", remote);
        assert_eq!(found[0].url.as_deref(), Some("https://x.example/mcp"));
        assert_eq!(found[0].headers["X-Key"], "k");
    }
}
