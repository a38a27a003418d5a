//! `callgate registry import`: a server that a registry describes (`server.json`), put into the configuration. What it says that
//! is a secret becomes a place in the vault; nothing is started, and nobody has approved it by that.

use crate::{
    cli::Given,
    command::{
        listed,
        scan::{
            clients::Entry,
            described::{self, Described, is_secret_input},
            notice::Notice,
            published::REFUSED,
        },
        wrap::declare,
    },
    failure::{Failure, Outcome, Verdict},
    place::Place,
    rewrite,
    say::{one_line, printable},
};
use anyhow::{Context as _, anyhow};
use clap::Args;
use decision::ServerName;
use gateway::settings::{Reach, ServerSettings};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};
use toml::Table;

/// Largest file that is read.
const BYTES_MAX: u64 = 1 << 20;

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// A `server.json`, or the answer of a registry about one server
    file: PathBuf,
    /// What it is called here; the last part of its name unless said otherwise
    #[arg(long)]
    name: Option<ServerName>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub(super) fn run(import: &Import, given: &Given, place: &Place) -> Outcome {
    let value = read(&import.file)?;
    let text = value.to_string();
    let mut found = described::servers(&import.file, &text, &value);
    let (Some(described), true) = (found.pop(), found.is_empty()) else {
        let told = format!("`{}` does not describe exactly one server", import.file.display());
        return Err(Failure::Usage(told));
    };
    let servers = &place.meant.settings.servers;
    let name = match &import.name {
        Some(name) if servers.contains_key(name) => {
            return Err(Failure::Usage(format!(
                "there is a server `{name}` already: choose another `--name`"
            )));
        }
        Some(name) => name.clone(),
        None => {
            let last = described.name.rsplit('/').next().unwrap_or_default();
            declare::free(&declare::slug(last), |name| servers.contains_key(name))?
        }
    };
    let Way { entry, notices, passed } = way(&described, &value)?;
    if let Some(same) = same(servers, entry).filter(|_| import.name.is_none()) {
        given.say.line(format!(
            "it is there already as `{same}`, so nothing is added; `--name` adds it once more"
        ));
        return Ok(Verdict::Yes);
    }
    let Block { text: block, secrets, unsaid } = block(&name, entry, &value)?;
    let before = fs::read_to_string(&place.config)
        .with_context(|| format!("cannot read `{}`", place.config.display()))?;
    let after = declare::appended(&before, &block);
    declare::check(place, &after, given)?;
    given.say.aside(format!("to `{}`:", place.config.display()));
    block.trim_start().lines().for_each(|line| given.say.aside(format!("+ {}", printable(line))));
    for notice in passed {
        given.say.aside(format!("! another way to use it is passed over: {}", one_line(&notice.because)));
    }
    let mut told: Vec<&str> = Vec::new();
    for notice in notices.iter().chain(&described.whole) {
        if !told.contains(&notice.because.as_str()) {
            given.say.aside(format!("! {}", one_line(&notice.because)));
            told.push(&notice.because);
        }
    }
    for variable in &unsaid {
        given.say.aside(format!("! {}", one_line(variable)));
    }
    if !import.yes && !given.say.agreed("nothing was changed") {
        return Ok(Verdict::No);
    }
    rewrite::replace(&place.config, after.as_bytes(), 0o600)?;
    given.say.line(format!("added `{name}`"));
    for Needed { name, text } in secrets {
        let whole =
            text.map(|text| format!(", and its value is the whole of `{}`, filled in", one_line(&text)));
        given.say.line(format!("it needs `callgate secret set {name}`{}", whole.unwrap_or_default()));
    }
    given.say.line(format!(
        "somebody has to look at it: `callgate registry add {name}`, then `review` and `approve`"
    ));
    Ok(Verdict::Yes)
}

fn read(file: &PathBuf) -> Result<Value, Failure> {
    let fail = || format!("cannot read `{}`", file.display());
    let mut bytes = Vec::new();
    let open = fs::File::open(file).with_context(fail)?;
    let read = open.take(BYTES_MAX.saturating_add(1)).read_to_end(&mut bytes).with_context(fail)?;
    if read as u64 > BYTES_MAX {
        return Err(Failure::Usage(format!("`{}` is larger than a mebibyte", file.display())));
    }
    // what two readers read differently is nothing to agree to
    listed::strict(file, &bytes)
}

/// How the server is going to be started or reached.
struct Way<'d> {
    entry: &'d Entry,
    notices: &'d [Notice],
    /// Why others before it are not taken.
    passed: Vec<&'d Notice>,
}

/// The first that nobody has to fill in, and with which nothing else would be run than what is described. Errors: there is none.
fn way<'d>(described: &'d Described, value: &Value) -> Result<Way<'d>, Failure> {
    let refused = |notices: &'d [Notice]| notices.iter().find(|notice| REFUSED.contains(&notice.detector()));
    let failed = |notice: &Notice| Failure::Unreadable {
        code: notice.detector(),
        message: format!("`{}` is not taken over: {}", one_line(&described.name), one_line(&notice.because)),
    };
    if let Some(notice) = refused(&described.whole) {
        return Err(failed(notice));
    }
    let mut passed = Vec::new();
    for (entry, notices) in described.servers.iter().filter(|(entry, _)| can(entry, value)) {
        match refused(notices) {
            Some(notice) => passed.push(notice),
            None => return Ok(Way { entry, notices, passed }),
        }
    }
    Err(match passed.first() {
        Some(notice) => failed(notice),
        None => Failure::Usage(format!(
            "nothing that `{}` offers can be used as it stands: a package of npm, PyPI or an image that speaks over standard \
             input and output, or an address without variables that somebody has to fill in",
            one_line(&described.name)
        )),
    })
}

/// Whether it can be used without anybody filling something in.
fn can(entry: &Entry, value: &Value) -> bool {
    match &entry.url {
        Some(url) => !url.contains('{') && url::Url::parse(url).is_ok(),
        None => {
            let package = at(entry, value);
            let kind = package.and_then(|package| package.get("registryType")?.as_str());
            let whole = !entry.command.iter().any(|word| word.contains('{'));
            // one that listens at an address of its own says nothing to who starts it
            let transport = package.and_then(|package| package.pointer("/transport/type")?.as_str());
            matches!(kind, Some("npm" | "pypi" | "oci")) && whole && matches!(transport, Some("stdio") | None)
        }
    }
}

/// The server of the configuration that is started or reached the same way.
fn same<'s>(servers: &'s BTreeMap<ServerName, ServerSettings>, entry: &Entry) -> Option<&'s ServerName> {
    let url = entry.url.as_deref().and_then(|url| url::Url::parse(url).ok());
    let is_it = |reach: &Reach| match reach {
        Reach::Stdio { command, args, .. } => entry
            .command
            .split_first()
            .is_some_and(|(program, words)| command == Path::new(program) && args == words),
        Reach::Http { url: theirs } | Reach::Sse { url: theirs } => url.as_ref() == Some(theirs),
    };
    servers.iter().find(|(_, server)| is_it(&server.reach)).map(|(name, _)| name)
}

/// The package or the address in its file.
fn at<'v>(entry: &Entry, value: &'v Value) -> Option<&'v Value> {
    value.pointer(&entry.keys.iter().map(|key| format!("/{key}")).collect::<String>())
}

/// What is added.
struct Block {
    text: String,
    secrets: Vec<Needed>,
    /// What a person has to fill in, in words.
    unsaid: Vec<String>,
}

fn block(name: &ServerName, entry: &Entry, value: &Value) -> anyhow::Result<Block> {
    let mut own = Table::new();
    let mut put = |key: &str, value: toml::Value| drop(own.insert(key.to_owned(), value));
    let list = |words: &[String]| words.iter().cloned().map(toml::Value::String).collect::<Vec<_>>();
    match &entry.url {
        Some(url) => {
            put("url", url.clone().into());
            if entry.is_sse {
                put("transport", "sse".into());
            }
        }
        None => {
            let (program, args) = entry.command.split_first().context("the package names no program")?;
            put("command", program.clone().into());
            put("args", list(args).into());
        }
    }
    let Inputs { env, credentials, secrets, unsaid } = inputs(name, entry, value)?;
    if !env.is_empty() {
        own.insert("env".to_owned(), env.into());
    }
    let mut text = format!("\n# from a registry's description\n[servers.{name}]\n{}", toml::to_string(&own)?);
    text = text.replace("\n[env]\n", &format!("\n[servers.{name}.env]\n"));
    let root = entry.keys.get(..entry.keys.len().saturating_sub(2)).unwrap_or_default();
    let root: String = root.iter().map(|key| format!("/{key}")).collect();
    if let Some(repository) = value.pointer(&format!("{root}/repository/url")).and_then(Value::as_str) {
        let record = Table::from_iter([("repository".to_owned(), repository.into())]);
        text.push_str(&format!("[servers.{name}.record]\n{}", toml::to_string(&record)?));
    }
    text.push_str(&credentials);
    Ok(Block { text, secrets, unsaid })
}

/// What a server is given beside its arguments.
#[derive(Default)]
struct Inputs {
    env: Table,
    /// As text of the configuration.
    credentials: String,
    secrets: Vec<Needed>,
    unsaid: Vec<String>,
}

/// A secret that somebody has to store.
struct Needed {
    name: String,
    /// The text in which it stands, where a credential cannot say that beside the secret: then all of it is the secret.
    text: Option<String>,
}

/// What stands before the secret in a header, and the text that is a secret as a whole since nothing else could be declared.
fn around(input: &Value, written: Option<&str>, is_header: bool) -> (Option<String>, Option<String>) {
    let Some(written) = written else { return (None, None) };
    let Some((before, behind)) = written.split_once('{') else {
        // a value that is a secret is not repeated
        return (None, Some(written.to_owned()).filter(|_| !is_secret_input(input)));
    };
    let is_end = behind.split_once('}').is_some_and(|(_, after)| after.is_empty());
    let is_plain = before.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    match (before, is_end) {
        ("", true) => (None, None),
        // `Bearer {token}`
        (before, true) if is_header && is_plain => (Some(before.to_owned()), None),
        _ => (None, Some(written.to_owned())),
    }
}

fn inputs(name: &ServerName, entry: &Entry, value: &Value) -> anyhow::Result<Inputs> {
    // of an address, what is named like a variable of a program is none, and the other way round
    let key = if entry.url.is_some() { "headers" } else { "environmentVariables" };
    let listed = at(entry, value).and_then(|of| of.get(key)?.as_array()).into_iter();
    let mut inputs = Inputs::default();
    for input in listed.flatten() {
        let Some(input_name) = input.get("name").and_then(Value::as_str) else { continue };
        let written = ["value", "default"].iter().find_map(|key| input.get(*key)?.as_str());
        if entry.url.is_some() || is_secret_input(input) {
            let stored = declare::secret_name(name, input_name)
                .map_err(|error| anyhow!(one_line(&error.to_string())))?
                .to_string();
            let mut credential = Table::from_iter([("secret".to_owned(), stored.clone().into())]);
            let (prefix, text) = around(input, written, entry.url.is_some());
            match &entry.url {
                Some(_) => {
                    credential.insert("header".to_owned(), input_name.into());
                    if let Some(prefix) = prefix {
                        credential.insert("prefix".to_owned(), prefix.into());
                    }
                }
                None => drop(credential.insert("env".to_owned(), input_name.into())),
            }
            inputs
                .credentials
                .push_str(&format!("[[servers.{name}.credentials]]\n{}", toml::to_string(&credential)?));
            inputs.secrets.push(Needed { name: stored, text });
            continue;
        }
        match (described::given(input), written) {
            (Some(text), _) => drop(inputs.env.insert(input_name.to_owned(), text.into())),
            (None, Some(written)) => inputs.unsaid.push(format!(
                "`{input_name}` is left out, since somebody has to fill in `{written}`: set it under `[servers.{name}.env]`"
            )),
            (None, None) if input.get("isRequired").and_then(Value::as_bool) == Some(true) => {
                inputs.unsaid.push(format!(
                    "`{input_name}` is required and has no value: set it under `[servers.{name}.env]`"
                ));
            }
            (None, None) => {}
        }
    }
    Ok(inputs)
}
