//! How a wrapped command gets into the configuration: text at the end, so that everything a person wrote stays.

use super::Args;
use crate::{cli::Given, failure::Failure, place::Place, rewrite, settings, surroundings::Surroundings};
use anyhow::{Context as _, anyhow};
use decision::{NameError, SecretName, ServerName};
use gateway::settings::{Place as Destination, Reach};
use std::{fs, path::Path};
use toml::{Table, Value};

/// Files and folders that programs of every kind have.
const EVERYWHERE: [&str; 11] =
    ["index", "main", "__main__", "dist", "build", "out", "src", "lib", "bin", "cli", "app"];

/// Programs that start another one, which the first word that is no option then names.
const RUNNERS: [&str; 13] =
    ["sh", "bash", "bun", "deno", "npx", "bunx", "pnpx", "uvx", "pipx", "uv", "node", "python", "python3"];

/// The server a command stands for.
#[derive(Debug)]
pub(super) struct Declared {
    pub(super) server: ServerName,
    /// What was added to the configuration, where it was not there before.
    pub(super) added: Option<String>,
}

/// Finds the server that is started by this command, or adds it to the file. The caller holds the file's lock.
pub(super) fn declare(place: &Place, wrapped: &Args, given: &Given) -> Result<Declared, Failure> {
    let (command, name) = (wrapped.command.as_slice(), wrapped.name.as_ref());
    if let (Some(name), []) = (name, command) {
        if place.meant.settings.servers.contains_key(name) {
            return Ok(Declared { server: name.clone(), added: None });
        }
        let told = format!("`{name}` is not in `{}`: give its command after `--`", place.config.display());
        return Err(Failure::Usage(told));
    }
    let (program, args) =
        command.split_first().ok_or_else(|| Failure::Usage("there is no command".to_owned()))?;
    let cwd = std::env::current_dir().context("there is no current folder")?;
    let servers = &place.meant.settings.servers;
    let same = servers.iter().find(|(known, server)| {
        is_started_by(&server.reach, program, args) && name.is_none_or(|wanted| wanted == *known)
    });
    if let Some((server, settings)) = same {
        let has = |variable: &String| {
            settings
                .credentials
                .iter()
                .any(|one| matches!(&one.place, Destination::Env { name } if name == variable))
        };
        if let Some(variable) = wrapped.secrets.iter().find(|variable| !has(variable)) {
            return Err(Failure::Usage(format!(
                "`{server}` is in `{}` without `{variable}`: add it there under `[[servers.{server}.credentials]]`",
                place.config.display()
            )));
        }
        return Ok(Declared { server: server.clone(), added: None });
    }
    if let Some(variable) = wrapped.secrets.iter().find(|variable| Surroundings::named(variable).is_none()) {
        return Err(Failure::Usage(format!(
            "the variable `{variable}` is not set here: set it, then wrap again"
        )));
    }
    let server = match name {
        Some(name) if servers.contains_key(name) => {
            let told = format!("`{name}` is another server already: choose another `--name`");
            return Err(Failure::Usage(told));
        }
        Some(name) => name.clone(),
        None => free(&derive(command), |candidate| servers.contains_key(candidate))?,
    };
    let mut block = block(&server, program, args, &cwd)?;
    for variable in &wrapped.secrets {
        block.push_str(&credential(&server, variable)?);
    }
    append(place, &block, given)?;
    given.say.aside(format!("callgate: added `{server}` to `{}`", place.config.display()));
    Ok(Declared { server, added: Some(block) })
}

fn is_started_by(reach: &Reach, program: &str, args: &[impl AsRef<str>]) -> bool {
    match reach {
        Reach::Stdio { command, args: theirs, .. } => {
            command == Path::new(program)
                && theirs.iter().map(String::as_str).eq(args.iter().map(AsRef::as_ref))
        }
        Reach::Http { .. } | Reach::Sse { .. } => false,
    }
}

/// The server that a wrapped command stands for where no name is given, if it is in the configuration.
pub(crate) fn starts_with(place: &Place, command: &[&str]) -> Option<ServerName> {
    let (program, args) = command.split_first()?;
    let mut servers = place.meant.settings.servers.iter();
    let same = servers.find(|(_, server)| is_started_by(&server.reach, program, args));
    same.map(|(name, _)| name.clone())
}

/// A name for the command: the package or program, without scope, version, folder and ending.
fn derive(command: &[String]) -> String {
    let plain = |word: &String| Path::new(word).file_name().map(|name| name.to_string_lossy().into_owned());
    let program = command.first().and_then(plain).unwrap_or_default();
    let runs = RUNNERS.contains(&program.as_str());
    let skip =
        |word: &&String| word.starts_with('-') || matches!(word.as_str(), "run" | "exec" | "tool" | "dlx");
    let package = command.iter().skip(1).find(|word| !skip(word));
    let word = if runs { package.cloned().unwrap_or(program) } else { program };
    // `@scope/name@1.2`, `name==1.2`, `/path/name.js`
    let plain = |word: &str| {
        let word = word.split(['@', '=']).next().unwrap_or_default();
        let ends = [".js", ".mjs", ".cjs", ".ts", ".py", ".exe", ".sh"];
        ends.iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word).to_owned()
    };
    // what every program has names none: then its folder does
    let says = |word: &String| !word.is_empty() && !EVERYWHERE.contains(&word.as_str());
    let words: Vec<String> = word.rsplit('/').map(plain).collect();
    let word = words.iter().find(|word| says(word)).or(words.first());
    slug(word.map_or("", String::as_str))
}

/// A server's name that is as near to this as it may be.
pub(crate) fn slug(word: &str) -> String {
    let mut name = String::new();
    for c in word.to_ascii_lowercase().chars() {
        let c = if c.is_ascii_alphanumeric() { c } else { '-' };
        let doubled = c == '-' && (name.is_empty() || name.ends_with('-'));
        let leading_digit = name.is_empty() && c.is_ascii_digit();
        if !doubled && !leading_digit && name.len() < 36 {
            name.push(c);
        }
    }
    let name = name.trim_end_matches('-');
    if name.is_empty() { "server".to_owned() } else { name.to_owned() }
}

/// The name, or the name with the first number that is free.
pub(crate) fn free(name: &str, taken: impl Fn(&ServerName) -> bool) -> Result<ServerName, Failure> {
    let numbered = (2..1_000).map(|n| format!("{name}-{n}"));
    for candidate in std::iter::once(name.to_owned()).chain(numbered) {
        let candidate = ServerName::new(candidate)?;
        if !taken(&candidate) {
            return Ok(candidate);
        }
    }
    Err(Failure::Usage(format!("there are too many servers called `{name}`: choose a `--name`")))
}

fn block(server: &ServerName, program: &str, args: &[String], cwd: &Path) -> anyhow::Result<String> {
    let mut entry = Table::new();
    entry.insert("command".to_owned(), Value::String(program.to_owned()));
    entry.insert("args".to_owned(), Value::Array(args.iter().cloned().map(Value::String).collect()));
    let cwd = cwd.to_str().ok_or_else(|| anyhow!("the name of the current folder is not text"))?;
    entry.insert("cwd".to_owned(), Value::String(cwd.to_owned()));
    Ok(format!("\n# added by `callgate wrap`\n[servers.{server}]\n{}", toml::to_string(&entry)?))
}

/// The name a variable's value is stored under.
pub(crate) fn secret_name(server: &ServerName, variable: &str) -> Result<SecretName, NameError> {
    SecretName::new(format!("{server}/{variable}"))
}

fn credential(server: &ServerName, variable: &str) -> anyhow::Result<String> {
    let mut entry = Table::new();
    entry.insert("secret".to_owned(), Value::String(secret_name(server, variable)?.to_string()));
    entry.insert("env".to_owned(), Value::String(variable.to_owned()));
    Ok(format!("[[servers.{server}.credentials]]\n{}", toml::to_string(&entry)?))
}

/// Puts text at the end of the file, if the whole then holds; the file changes as a whole or not at all.
fn append(place: &Place, block: &str, given: &Given) -> Result<(), Failure> {
    let path = &place.config;
    let text = fs::read_to_string(path).with_context(|| format!("cannot write `{}`", path.display()))?;
    let text = appended(&text, block);
    check(place, &text, given)?;
    Ok(rewrite::replace(path, text.as_bytes(), 0o600)?)
}

/// Takes a block out again that [`declare`] added. The caller holds the file's lock.
pub(super) fn take_out(config: &Path, block: &str) -> anyhow::Result<()> {
    let text = fs::read_to_string(config).with_context(|| format!("cannot read `{}`", config.display()))?;
    let (before, after) =
        text.split_once(block).ok_or_else(|| anyhow!("`{}` was changed meanwhile", config.display()))?;
    rewrite::replace(config, format!("{before}{after}").as_bytes(), 0o600)
}

pub(crate) fn appended(text: &str, block: &str) -> String {
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    format!("{text}{end}{block}")
}

/// Whether this would do as the configuration.
pub(crate) fn check(place: &Place, text: &str, given: &Given) -> Result<(), Failure> {
    let state = given.surroundings.state_home.clone().unwrap_or_default().join("callgate");
    settings::read(&place.config, text, &state).map(|_| ()).map_err(Failure::Settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(command: &str) -> String {
        derive(&command.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn a_name_is_taken_from_what_is_run_and_always_fits() {
        assert_eq!(named("npx -y @modelcontextprotocol/server-filesystem /home/me"), "server-filesystem");
        assert_eq!(named("npx -y @scope/thing@1.2.3"), "thing");
        assert_eq!(named("uvx mcp-server-git==0.6 --repository ."), "mcp-server-git");
        assert_eq!(named("uv tool run mcp_server_time"), "mcp-server-time");
        assert_eq!(named("/usr/bin/python3 /opt/My__Server.py"), "my-server");
        assert_eq!(named("/opt/bin/crm --port 1"), "crm");
        assert_eq!(named("/bin/sh /opt/notes.sh"), "notes");
        assert_eq!(named("node /home/me/crm-server/dist/index.js"), "crm-server");
        assert_eq!(named("node index.js"), "index");
        assert_eq!(named("npx"), "npx");
        assert_eq!(named("7zip"), "zip");
        assert_eq!(named("ёж"), "server");
        for odd in ["--", "a--b", "-x", "@@@", &"long".repeat(40), "npx -y @a/", "...", "9"] {
            assert!(ServerName::new(named(odd)).is_ok(), "{odd}: {}", named(odd));
        }
    }

    #[test]
    fn a_taken_name_gets_a_number() {
        let free = free("crm", |name| ["crm", "crm-2"].contains(&name.as_str())).unwrap();
        assert_eq!(free.as_str(), "crm-3");
    }

    #[test]
    fn arguments_are_written_so_that_they_read_back() {
        let server = ServerName::new("odd").unwrap();
        let args =
            ["a \"quoted\" \\ one".to_owned(), "line\nbreak".to_owned(), "]\n[servers.evil]".to_owned()];
        let text = block(&server, "x", &args, Path::new("/tmp")).unwrap();
        let read: Table = toml::from_str(&text).unwrap();
        let servers = read["servers"].as_table().unwrap();
        assert_eq!(servers.len(), 1);
        let theirs: Vec<&str> =
            servers["odd"]["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap()).collect();
        assert_eq!(theirs, args);
    }
}
