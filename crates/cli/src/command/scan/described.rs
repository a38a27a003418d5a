//! What a registry says of a server, in the format of the official one (`server.json`): how it would be started or reached.
//! Nothing of it is.

use super::{
    clients::{Entry, PUBLISHED},
    credentials::{self, is_secret},
    entry,
    notice::Notice,
    published::{self, Package},
};
use inspect::Severity;
use serde_json::Value;
use std::{path::Path, sync::Arc};

/// What the official registry says of a server, below `_meta`.
const OFFICIAL: &str = "io.modelcontextprotocol.registry/official";

/// One description.
pub(crate) struct Described {
    pub(crate) name: String,
    /// What it says of itself.
    pub(crate) text: String,
    /// A JSON pointer to it in its file.
    pub(crate) pointer: String,
    /// What is wrong with all of it; it stands with the first way too.
    pub(crate) whole: Vec<Notice>,
    /// One for each way to start or reach it.
    pub(crate) servers: Vec<(Entry, Vec<Notice>)>,
}

/// The descriptions in a file: one, one as a registry wraps it, or a registry's list. None if it is something else.
pub(crate) fn servers(file: &Path, text: &str, value: &Value) -> Vec<Described> {
    let mut found = Vec::new();
    let mut one = |keys: &[&str], value: &Value| {
        let (inner, keys) = match value.get("server") {
            Some(inner) if inner.is_object() => (inner, [keys, &["server"]].concat()),
            _ => (value, keys.to_vec()),
        };
        if is_description(inner) {
            found.push(
                Reading { file, text: text.into(), keys: &keys, value: inner, beside: value.get("_meta") }
                    .describe(),
            );
        }
    };
    match value.get("servers").and_then(Value::as_array) {
        Some(list) => {
            let numbered = list.iter().enumerate();
            numbered.for_each(|(i, value)| one(&["servers", &i.to_string()], value));
        }
        None => one(&[], value),
    }
    found
}

fn is_description(value: &Value) -> bool {
    let of_registry =
        value.get("$schema").and_then(Value::as_str).is_some_and(|it| it.contains("server.schema.json"));
    let reachable = ["packages", "remotes"].iter().any(|key| value.get(*key).is_some_and(Value::is_array));
    value.get("name").is_some_and(Value::is_string)
        && (of_registry || reachable)
        && value.get("tools").is_none()
}

struct Reading<'a> {
    file: &'a Path,
    text: Arc<str>,
    /// They lead to it in its file.
    keys: &'a [&'a str],
    value: &'a Value,
    /// What the registry says of it, which stands beside it.
    beside: Option<&'a Value>,
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str()
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

impl Reading<'_> {
    fn describe(&self) -> Described {
        let name = text(self.value, "name").unwrap_or_default().to_owned();
        let packages = list(self.value, "packages").enumerate().map(|(i, package)| self.package(i, package));
        let remotes = list(self.value, "remotes").enumerate().map(|(i, remote)| self.remote(i, remote));
        let mut servers: Vec<(Entry, Vec<Notice>)> = packages.chain(remotes).collect();
        let whole = self.whole();
        match servers.first_mut() {
            Some((_, first)) => first.extend(whole.clone()),
            None => servers.push((self.entry(&[]), whole.clone())),
        }
        let said = ["title", "description"].iter().filter_map(|key| text(self.value, key));
        Described {
            name,
            text: said.collect::<Vec<_>>().join("\n"),
            pointer: self.keys.iter().map(|key| format!("/{key}")).collect(),
            whole,
            servers,
        }
    }

    fn entry(&self, inside: &[&str]) -> Entry {
        Entry {
            client: PUBLISHED,
            file: self.file.to_owned(),
            text: Arc::clone(&self.text),
            keys: self.keys.iter().chain(inside).map(|key| (*key).to_owned()).collect(),
            name: text(self.value, "name").unwrap_or_default().to_owned(),
            ..Entry::default()
        }
    }

    /// What is wrong with all of it.
    fn whole(&self) -> Vec<Notice> {
        let entry = self.entry(&[]);
        let mut seen = Vec::new();
        let official = self.beside.or_else(|| self.value.get("_meta")).and_then(|of| of.get(OFFICIAL));
        let status = official.and_then(|of| text(of, "status")).or_else(|| text(self.value, "status"));
        let why = official.and_then(|of| text(of, "statusMessage")).unwrap_or("without a reason");
        match status {
            Some("deleted") => {
                let because = format!("its registry has taken it back: {why}");
                seen.push(told(&entry, "withdrawn", Severity::High, &because, "do not use it", why));
            }
            Some("deprecated") => {
                let because = format!("its registry says that it is going away: {why}");
                seen.push(told(
                    &entry,
                    "deprecated",
                    Severity::Medium,
                    &because,
                    "use what replaces it",
                    why,
                ));
            }
            _ => {}
        }
        let name = text(self.value, "name").unwrap_or_default();
        if name.chars().any(inspect::shown::is_hidden) {
            let because = "its name has characters that nobody sees, or that turn what is beside them";
            let repair = "do not use it: it passes for another";
            seen.push(told(&entry, "hidden-characters", Severity::High, because, repair, name));
        }
        if self.value.pointer("/repository/url").is_none() {
            let because = "it names no repository: nobody can read what it does";
            seen.push(told(&entry, "no-source", Severity::Low, because, "name its `repository`", ""));
        }
        seen
    }

    fn package(&self, i: usize, package: &Value) -> (Entry, Vec<Notice>) {
        let mut entry = self.entry(&["packages", &i.to_string()]);
        let kind = text(package, "registryType").unwrap_or_default();
        let name = text(package, "identifier").unwrap_or_default();
        let version = text(package, "version").unwrap_or_default();
        let before: Vec<String> = list(package, "runtimeArguments").flat_map(argument).collect();
        let said = Package {
            kind,
            identifier: name,
            version,
            hint: text(package, "runtimeHint"),
            base: text(package, "registryBaseUrl"),
            digest: text(package, "fileSha256"),
            before: &before,
        };
        entry.package = format!("{kind} {name}");
        entry.command = said.command();
        entry.command.extend(list(package, "packageArguments").flat_map(argument));
        let given = |input: &Value| Some((text(input, "name")?.to_owned(), given(input)?));
        entry.env = list(package, "environmentVariables").filter_map(given).collect();
        let mut seen = entry::look(&entry);
        // those are of a file on this machine, and of clients; and the version stands in a member of its own
        seen.retain(|notice| !["secret-in-file", "ungoverned", "unpinned"].contains(&notice.detector));
        if !is_pinned(kind, name, version) {
            let because = format!("`{name}` is of no one version: what is run can change at any time");
            let repair = "name one version, or for an image its digest";
            seen.push(told(
                &entry,
                "unpinned",
                Severity::Medium,
                &because,
                repair,
                &format!("{name} {version}"),
            ));
        }
        if kind == "mcpb" && text(package, "fileSha256").is_none() {
            let because = format!("whoever serves `{name}` can replace it: its digest is not named");
            seen.push(told(
                &entry,
                "unverified-package",
                Severity::High,
                &because,
                "name its `fileSha256`",
                name,
            ));
        }
        seen.extend(published::look(&said).into_iter().map(
            |(detector, severity, because, repair, offends)| {
                told(&entry, detector, severity, &because, repair, &offends)
            },
        ));
        let transport = package.get("transport").and_then(|transport| text(transport, "url"));
        seen.extend(
            ["registryBaseUrl"]
                .iter()
                .filter_map(|key| text(package, key))
                .chain(transport)
                .filter_map(|url| clear(&entry, url)),
        );
        seen.extend(inputs(&entry, list(package, "environmentVariables")));
        seen.extend(inputs(
            &entry,
            list(package, "runtimeArguments").chain(list(package, "packageArguments")),
        ));
        (entry, worst_first(seen))
    }

    fn remote(&self, i: usize, remote: &Value) -> (Entry, Vec<Notice>) {
        let mut entry = self.entry(&["remotes", &i.to_string()]);
        let written = text(remote, "url").unwrap_or_default();
        let url = &filled(written, remote).unwrap_or_else(|| written.to_owned());
        entry.url = Some(url.clone());
        entry.is_sse = text(remote, "type") == Some("sse");
        let mut seen: Vec<Notice> = clear(&entry, url).into_iter().collect();
        if entry.is_sse {
            let because = "HTTP+SSE is deprecated, and clients stop speaking it";
            seen.push(told(&entry, "old-transport", Severity::Low, because, "offer `streamable-http`", url));
        }
        if let Some(holds) = credentials::published(url).holds {
            seen.push(everybodys(&entry, &holds));
        }
        seen.extend(inputs(&entry, list(remote, "headers")));
        seen.extend(variables(&entry, remote));
        (entry, worst_first(seen))
    }
}

fn worst_first(mut seen: Vec<Notice>) -> Vec<Notice> {
    seen.sort_by_key(|notice| std::cmp::Reverse(notice.severity));
    seen
}

fn told(
    entry: &Entry,
    detector: &'static str,
    severity: Severity,
    because: &str,
    repair: &'static str,
    offends: &str,
) -> Notice {
    Notice::of_setup(detector, severity, because.to_owned(), repair, offends, entry.spot())
}

/// What one argument becomes on the command line; what the user gives is a placeholder.
fn argument(argument: &Value) -> Vec<String> {
    let name = text(argument, "name").filter(|_| text(argument, "type") == Some("named"));
    let value = ["value", "default", "valueHint"].iter().find_map(|key| text(argument, key));
    let value = value.map(|value| filled(value, argument).unwrap_or_else(|| value.to_owned()));
    name.map(str::to_owned).into_iter().chain(value).collect()
}

/// What an input is set to without anybody filling anything in.
pub(crate) fn given(input: &Value) -> Option<String> {
    let given = ["value", "default"].iter().find_map(|key| text(input, key))?;
    filled(given, input)
}

/// The text with what stands beside it in `variables` for each `{…}`. Nothing where one is a secret, or has neither value nor
/// default: then somebody has to fill it in.
fn filled(text: &str, of: &Value) -> Option<String> {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, behind)) = rest.split_once('{') {
        let (name, after) = behind.split_once('}')?;
        let variable = of.get("variables")?.get(name).filter(|variable| !is_marked(variable))?;
        out.push_str(before);
        // what comes in is not filled in again
        out.push_str(of_variable(variable).filter(|value| !value.contains('{'))?);
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

fn of_variable(variable: &Value) -> Option<&str> {
    ["value", "default"].iter().find_map(|key| text(variable, key))
}

/// Whether it is said to be a secret, or a part of it is.
pub(crate) fn is_secret_input(input: &Value) -> bool {
    let variables = input.get("variables").and_then(Value::as_object);
    is_marked(input) || variables.into_iter().flatten().any(|(_, variable)| is_marked(variable))
}

fn is_marked(input: &Value) -> bool {
    input.get("isSecret").and_then(Value::as_bool) == Some(true)
}

fn is_pinned(kind: &str, name: &str, version: &str) -> bool {
    let version = published::carried(kind, name).unwrap_or(version);
    match kind {
        "oci" => published::is_digest(version),
        // a file at an address
        "mcpb" => true,
        _ => {
            version.starts_with(|c: char| c.is_ascii_digit())
                && !version.contains(['*', '^', '~', '>', '<', '|', ' ', ','])
                && !version.split('.').any(|part| part == "x")
        }
    }
}

/// An address in the clear; what is in braces is for the user to fill in.
fn clear(entry: &Entry, url: &str) -> Option<Notice> {
    let mut filled = String::new();
    let mut depth = 0_u32;
    for c in url.chars() {
        match c {
            '{' => depth += 1,
            '}' => {
                depth = depth.saturating_sub(1);
                filled.push('x');
            }
            c if depth == 0 => filled.push(c),
            _ => {}
        }
    }
    let reached = Entry { url: Some(filled), ..entry.clone() };
    entry::look(&reached).into_iter().find(|notice| notice.detector == "plain-http")
}

/// Secrets that everybody can read, and those that no client would treat as one.
fn inputs<'a>(entry: &Entry, inputs: impl Iterator<Item = &'a Value>) -> Vec<Notice> {
    let mut seen = Vec::new();
    for input in inputs {
        let name = text(input, "name").unwrap_or("an argument");
        let is_marked = input.get("isSecret").and_then(Value::as_bool) == Some(true);
        let given = ["value", "default"].iter().filter_map(|key| text(input, key));
        let mut given = given.filter(|value| !value.is_empty() && !value.contains('{'));
        if given.any(|value| is_marked || is_secret(name, value) || is_secret("", value)) {
            seen.push(everybodys(entry, &format!("`{name}`")));
        } else if !is_marked && is_secret(name, "x") && text(input, "value").is_none() {
            seen.push(unmarked(entry, name));
        }
        seen.extend(variables(entry, input));
    }
    seen
}

/// What users fill in for `{…}` in an address or a value.
fn variables(entry: &Entry, of: &Value) -> Vec<Notice> {
    let variables = of.get("variables").and_then(Value::as_object).into_iter().flatten();
    let look = |(name, variable): (&String, &Value)| {
        let value = of_variable(variable).filter(|value| !value.is_empty());
        let is_known = |value: &str| is_marked(variable) || is_secret(name, value) || is_secret("", value);
        match value {
            Some(value) if is_known(value) => Some(everybodys(entry, &format!("`{name}`"))),
            _ if !is_marked(variable) && is_secret(name, "x") => Some(unmarked(entry, name)),
            Some(_) | None => None,
        }
    };
    variables.filter_map(look).collect()
}

/// A credential that everybody has. `what` is it in words.
fn everybodys(entry: &Entry, what: &str) -> Notice {
    let because = format!("{what} has a credential in it that whoever reads this has too");
    let repair = "take it out, have it replaced where it is valid, and let each user give their own";
    told(entry, "secret-in-file", Severity::High, &because, repair, what.trim_matches('`'))
}

fn unmarked(entry: &Entry, name: &str) -> Notice {
    let because = format!(
        "`{name}` is a credential by its name and is not marked as one: clients show it and store it as it is"
    );
    told(entry, "unmarked-secret", Severity::Medium, &because, "say `\"isSecret\": true`", name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn seen(value: &Value) -> Vec<&'static str> {
        let found = servers(Path::new("server.json"), &value.to_string(), value);
        let all = found.into_iter().flat_map(|one| one.servers).flat_map(|(_, findings)| findings);
        let mut seen: Vec<&str> =
            all.map(|notice| notice.detector).filter(|one| *one != "no-source").collect();
        seen.sort_unstable();
        seen
    }
    fn package(members: Value) -> Value {
        let mut package = json!({ "registryType": "npm", "identifier": "@a/b", "version": "1.2.3", "transport": { "type": "stdio" } });
        package.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        json!({ "name": "io.example/b", "version": "1.0.0", "packages": [package] })
    }
    fn words(value: &str) -> Value {
        json!({ "type": "positional", "value": value })
    }
    fn remote(members: Value) -> Value {
        let mut remote = json!({ "type": "streamable-http", "url": "https://mcp.example/mcp" });
        remote.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        json!({ "server": { "name": "io.example/b", "remotes": [remote] }, "_meta": {} })
    }

    #[test]
    fn what_is_wrong_with_a_package_is_seen() {
        for (members, expected) in [
            (json!({}), &[][..]),
            (json!({ "version": "latest" }), &["unpinned"]),
            (json!({ "version": "^1.2.3" }), &["unpinned"]),
            (json!({ "version": "1.x" }), &["unpinned"]),
            (
                json!({ "registryType": "oci", "identifier": "ghcr.io/a/b:1.0", "version": null }),
                &["unpinned"],
            ),
            (json!({ "registryType": "oci", "identifier": "ghcr.io/a/b@sha256:00" }), &[]),
            (json!({ "identifier": "@a/b@1.2.3" }), &[]),
            (json!({ "identifier": "@a/b@1.2.3", "version": null }), &[]),
            (json!({ "identifier": "@a/b@latest", "version": null }), &["unpinned"]),
            (json!({ "identifier": "@a/b@1.2.4" }), &["bad-package"]),
            (json!({ "identifier": "@a/b@" }), &["bad-package", "unpinned"]),
            (json!({ "registryType": "oci", "identifier": "ghcr.io/a/b:1.2.3" }), &["unpinned"]),
            (json!({ "registryType": "oci", "identifier": "ghcr.io/a/b:1" }), &["bad-package", "unpinned"]),
            (
                json!({ "registryType": "mcpb", "identifier": "https://x.example/a.mcpb" }),
                &["unverified-package"],
            ),
            (
                json!({ "registryType": "mcpb", "identifier": "https://x.example/a.mcpb", "fileSha256": "00" }),
                &[],
            ),
            (json!({ "registryBaseUrl": "http://npm.example" }), &["other-source", "plain-http"]),
            (
                json!({ "registryType": "pypi", "identifier": "b", "registryBaseUrl": "https://pypi.org/simple/" }),
                &[],
            ),
            (json!({ "registryBaseUrl": "https://xnpmjs.org" }), &["other-source"]),
            (
                json!({ "runtimeHint": "docker", "runtimeArguments": [{ "type": "positional", "value": "--privileged" }] }),
                &["container-of-the-host", "foreign-runner"],
            ),
            (json!({ "runtimeHint": "pnpm" }), &[]),
            (json!({ "runtimeHint": "node" }), &["foreign-runner"]),
            (json!({ "registryType": "pypi", "identifier": "b", "runtimeHint": "uv" }), &["foreign-runner"]),
            (json!({ "runtimeArguments": [words("-y")] }), &[]),
            (
                json!({ "runtimeArguments": [words("-c"), words("x")] }),
                &["other-code", "runner-argument", "runner-argument"],
            ),
            (json!({ "runtimeArguments": [words("--call=x")] }), &["other-code", "runner-argument"]),
            (json!({ "runtimeArguments": [words("--"), words("-y")] }), &["runner-argument"]),
            (json!({ "identifier": "-c" }), &["bad-package"]),
            (
                json!({ "environmentVariables": [{ "name": "NODE_OPTIONS", "value": "--import=x" }] }),
                &["loads-code"],
            ),
            (json!({ "environmentVariables": [{ "name": "NODE_OPTIONS", "value": "{x}" }] }), &[]),
            (
                json!({ "environmentVariables": [{ "name": "U", "value": "a/{k}", "variables": { "k": { "isSecret": true, "default": "abc" } } }] }),
                &["secret-in-file"],
            ),
            (
                json!({ "environmentVariables": [{ "name": "U", "value": "a/{k}", "variables": { "k": { "default": "abc" } } }] }),
                &[],
            ),
            (json!({ "identifier": "x.tgz", "version": null }), &["bad-package", "unpinned"]),
            (json!({ "identifier": "x.tar.gz" }), &["bad-package"]),
            (json!({ "identifier": "@a/x.tgz" }), &[]),
            (json!({ "registryType": "pypi", "identifier": "x.whl" }), &["bad-package"]),
            (json!({ "fileSha256": "00" }), &["unchecked-digest"]),
            (json!({ "environmentVariables": [{ "name": "API_TOKEN", "isSecret": true }] }), &[]),
            (json!({ "environmentVariables": [{ "name": "API_TOKEN" }] }), &["unmarked-secret"]),
            (json!({ "environmentVariables": [{ "name": "MODE", "default": "fast" }] }), &[]),
            (
                json!({ "environmentVariables": [{ "name": "K", "isSecret": true, "default": "abc" }] }),
                &["secret-in-file"],
            ),
            (
                json!({ "packageArguments": [{ "type": "named", "name": "--key", "value": "ghp_0123456789abcdef0123456789abcdef0123" }] }),
                &["secret-in-file"],
            ),
        ] {
            assert_eq!(seen(&package(members.clone())), expected, "{members}");
        }
    }

    #[test]
    fn a_version_is_named_once_in_what_is_run() {
        for (kind, identifier, version, run) in [
            ("npm", "@a/b", "1.2.3", "@a/b@1.2.3"),
            ("npm", "@a/b@1.2.3", "1.2.3", "@a/b@1.2.3"),
            ("npm", "b@1.2.3", "", "b@1.2.3"),
            ("pypi", "b", "1.2.3", "b==1.2.3"),
            ("oci", "ghcr.io:443/a/b", "1.2.3", "ghcr.io:443/a/b:1.2.3"),
            ("oci", "ghcr.io/a/b:1.2.3", "1.2.3", "ghcr.io/a/b:1.2.3"),
            ("oci", "ghcr.io/a/b:1@sha256:00", "1.2.3", "ghcr.io/a/b:1@sha256:00"),
            ("oci", "ghcr.io/a/b", "sha256:00", "ghcr.io/a/b@sha256:00"),
        ] {
            let members = json!({ "registryType": kind, "identifier": identifier, "version": version });
            let value = package(members);
            let described = servers(Path::new("server.json"), &value.to_string(), &value);
            let command = &described[0].servers[0].0.command;
            assert_eq!(command.last().map(String::as_str), Some(run), "{command:?}");
        }
    }

    #[test]
    fn what_is_wrong_with_an_address_is_seen_in_every_wrapping() {
        for (members, expected) in [
            (json!({}), &[][..]),
            (json!({ "url": "http://mcp.example/{tenant}" }), &["plain-http"]),
            (json!({ "url": "http://{tenant}.mcp.example/" }), &["plain-http"]),
            (json!({ "url": "http://localhost:1/x" }), &[]),
            (json!({ "url": "https://me:hunter22@mcp.example/mcp" }), &["secret-in-file"]),
            (json!({ "url": "https://mcp.example/{k}", "variables": { "k": { "default": "eu" } } }), &[]),
            (json!({ "type": "sse" }), &["old-transport"]),
            (
                json!({ "headers": [{ "name": "Authorization", "value": "Bearer {token}", "variables": { "token": { "isSecret": true } } }] }),
                &[],
            ),
            (
                json!({ "headers": [{ "name": "Authorization", "value": "Bearer {token}", "variables": { "token": {} } }] }),
                &["unmarked-secret"],
            ),
            (
                json!({ "headers": [{ "name": "X-Key", "value": "ghp_0123456789abcdef0123456789abcdef0123" }] }),
                &["secret-in-file"],
            ),
        ] {
            assert_eq!(seen(&remote(members.clone())), expected, "{members}");
            assert_eq!(seen(&json!({ "servers": [remote(members.clone())] })), expected, "{members}");
        }
        for none in [
            json!({ "name": "a" }),
            json!([{ "name": "a", "packages": [] }]),
            json!({ "server": "a", "tools": [] }),
            json!({ "servers": { "a": {} } }),
        ] {
            assert!(servers(Path::new("x"), "", &none).is_empty(), "{none}");
        }
    }
}
