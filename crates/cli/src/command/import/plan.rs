//! What becomes of each server that a client names: a block of the configuration, and secrets for the vault.

use super::edit;
use crate::{
    command::{
        scan::{clients::Entry, credentials, entry},
        wrap::declare,
    },
    failure::Failure,
    place::Place,
    surroundings::Surroundings,
};
use decision::{SecretName, ServerName};
use gateway::settings::Reach;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    path::{Path, PathBuf},
};
use toml::{Table, Value};
use url::{Host, Url};
use zeroize::Zeroizing;

/// What a header's value may begin with that is no secret.
const PREFIXES: [&str; 4] = ["Bearer ", "bearer ", "Basic ", "token "];

/// One server that is moved.
pub(super) struct Move {
    pub(super) entry: Entry,
    pub(super) server: ServerName,
    /// Nothing where the configuration has it already, or another client's entry brings it.
    pub(super) block: Option<String>,
    pub(super) secrets: Vec<Stored>,
    /// Credentials that go along as they are, in words: nothing else can be an argument, or part of a path.
    pub(super) stays: Vec<String>,
}

/// A value that goes to the vault.
pub(super) struct Stored {
    pub(super) name: SecretName,
    pub(super) value: Zeroizing<String>,
}

/// One that stays where it is.
pub(super) struct Left {
    pub(super) entry: Entry,
    pub(super) why: String,
}

/// One file of a client, before and after.
pub(super) struct Changed {
    pub(super) file: PathBuf,
    pub(super) before: String,
    pub(super) after: String,
}

#[derive(Default)]
pub(super) struct Plan {
    pub(super) moves: Vec<Move>,
    pub(super) left: Vec<Left>,
    pub(super) files: Vec<Changed>,
}

/// What would change. `command` starts the gateway's shim for a server.
pub(super) fn plan(
    entries: Vec<Entry>,
    place: &Place,
    command: impl Fn(&ServerName) -> Vec<String>,
    fits: impl Fn(&str) -> Result<(), String>,
    (also, surroundings): (&[String], &Surroundings),
) -> Result<Plan, Failure> {
    let mut plan = Plan::default();
    let mut taken: BTreeSet<ServerName> = place.meant.settings.servers.keys().cloned().collect();
    for entry in entries {
        if entry::is_governed(&entry) || entry.url.as_deref().is_some_and(|url| is_here(url, place)) {
            continue;
        }
        if entry.is_off && !also.contains(&entry.name) {
            let why = format!(
                "it is turned off in its client, and the gateway would start it; `--also {}` moves it all the same",
                entry.name
            );
            plan.left.push(Left { entry, why });
            continue;
        }
        if is_signed_in_by_client(&entry) && !also.contains(&entry.name) {
            let why = format!(
                "it is sent no credential, so the client itself may sign in there, which the gateway cannot do for it; \
                 `--also {}` moves it all the same",
                entry.name
            );
            plan.left.push(Left { entry, why });
            continue;
        }
        let twin = plan.moves.iter().find(|one| is_same(&one.entry, &entry)).map(|one| one.server.clone());
        let known = twin.or_else(|| known(&entry, place));
        let server = match &known {
            Some(server) => server.clone(),
            None => declare::free(&declare::slug(&entry.name), |name| taken.contains(name))?,
        };
        let moved =
            if known.is_some() { Ok((None, Vec::new())) } else { block(&server, &entry, surroundings) };
        let edited = moved.and_then(|(block, secrets)| {
            fits(block.as_deref().unwrap_or_default())?;
            plan.edit(&entry, &command(&server))?;
            Ok((block, secrets))
        });
        match edited {
            Ok((block, secrets)) => {
                taken.insert(server.clone());
                let stays = credentials::words(&entry.command).into_iter().filter_map(|word| word.holds);
                let stays = stays.chain(entry.url.as_deref().and_then(credentials::of_path)).collect();
                plan.moves.push(Move { entry, server, block, secrets, stays });
            }
            Err(why) => plan.left.push(Left { entry, why }),
        }
    }
    Ok(plan)
}

impl Plan {
    /// Whether some client names a server so.
    pub(super) fn names(&self, name: &str) -> bool {
        let moved = self.moves.iter().map(|one| &one.entry);
        moved.chain(self.left.iter().map(|one| &one.entry)).any(|entry| entry.name == name)
    }

    /// Several entries may be of one file.
    fn edit(&mut self, entry: &Entry, command: &[String]) -> Result<(), String> {
        match self.files.iter_mut().find(|changed| changed.file == entry.file) {
            Some(changed) => changed.after = edit::redirect(&changed.after, entry, command)?,
            None => {
                let after = edit::redirect(&entry.text, entry, command)?;
                let before = entry.text.to_string();
                self.files.push(Changed { file: entry.file.clone(), before, after });
            }
        }
        Ok(())
    }
}

fn is_same(one: &Entry, other: &Entry) -> bool {
    one.command == other.command
        && one.url == other.url
        && one.env == other.env
        && one.headers == other.headers
}

/// A server elsewhere that is shown nothing: where it asks for a sign-in (OAuth), the client holds the tokens, and a gateway
/// in front would show none. Import asks nobody, so it cannot know.
fn is_signed_in_by_client(entry: &Entry) -> bool {
    let Some(url) = entry.url.as_deref().and_then(|url| Url::parse(url).ok()) else { return false };
    let near = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => true,
    };
    let shows = !entry.headers.is_empty() || url.query().is_some() || !url.username().is_empty();
    entry.command.is_empty() && !near && !shows && credentials::of_path(url.as_str()).is_none()
}

/// The server that the configuration has already, if this one needs nothing more.
fn known(entry: &Entry, place: &Place) -> Option<ServerName> {
    let (program, args) = entry.command.split_first()?;
    let is_it = |reach: &Reach| match reach {
        Reach::Stdio { command, args: theirs, .. } => command == Path::new(program) && theirs == args,
        Reach::Http { .. } | Reach::Sse { .. } => false,
    };
    let plain = entry.env.is_empty() && entry.url.is_none();
    place
        .meant
        .settings
        .servers
        .iter()
        .find(|(_, server)| plain && is_it(&server.reach))
        .map(|(name, _)| name.clone())
}

/// Whether that address is this gateway's own: where it listens, or what others reach it by.
fn is_here(url: &str, place: &Place) -> bool {
    let settings = &place.meant.settings;
    let Ok(url) = Url::parse(url) else { return false };
    let (ours, listen) = (Url::parse(&settings.issuer), settings.listen);
    let is_it = |ip: IpAddr| ip == listen.ip() || ip.is_loopback() && listen.ip().is_unspecified();
    let near = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => is_it(ip.into()),
        Some(Host::Ipv6(ip)) => is_it(ip.into()),
        None => false,
    };
    (near && url.port_or_known_default() == Some(listen.port()))
        || ours.is_ok_and(|ours| ours.origin() == url.origin())
}

type Block = (Option<String>, Vec<Stored>);

fn block(server: &ServerName, entry: &Entry, surroundings: &Surroundings) -> Result<Block, String> {
    let all = entry.env.iter().chain(&entry.headers).map(|(name, value)| (format!("`{name}`"), value));
    let words = entry.command.iter().chain(&entry.url).map(|word| ("an argument".to_owned(), word));
    if let Some((name, _)) = all.chain(words).find(|(_, value)| credentials::refers(value)) {
        return Err(format!("{name} is filled in by the client"));
    }
    let mut table = Table::new();
    let mut secrets = Secrets { server, stored: Vec::new(), credentials: Vec::new() };
    match &entry.url {
        Some(url) => address(&mut table, url, entry, &mut secrets)?,
        None => program(&mut table, entry, &mut secrets, surroundings)?,
    }
    if !secrets.credentials.is_empty() {
        table.insert("credentials".to_owned(), Value::Array(secrets.credentials));
    }
    let named = Table::from_iter([(server.to_string(), Value::Table(table))]);
    let whole = Table::from_iter([("servers".to_owned(), Value::Table(named))]);
    let text = toml::to_string(&whole).map_err(|error| error.to_string())?;
    // the table of all servers may be there already
    let text = text.strip_prefix("[servers]\n").unwrap_or(&text);
    Ok((Some(format!("\n# moved here by `callgate import`\n{text}")), secrets.stored))
}

struct Secrets<'a> {
    server: &'a ServerName,
    stored: Vec<Stored>,
    credentials: Vec<Value>,
}

impl Secrets<'_> {
    fn add(&mut self, place: &str, name: &str, value: &str, prefix: Option<&str>) -> Result<(), String> {
        let secret = declare::secret_name(self.server, name).map_err(|error| error.to_string())?;
        let text = |text: &str| Value::String(text.to_owned());
        let mut credential =
            Table::from_iter([("secret".to_owned(), text(secret.as_str())), (place.to_owned(), text(name))]);
        if let Some(prefix) = prefix {
            credential.insert("prefix".to_owned(), text(prefix));
        }
        self.credentials.push(Value::Table(credential));
        self.stored.push(Stored { name: secret, value: Zeroizing::new(value.to_owned()) });
        Ok(())
    }
}

fn program(
    table: &mut Table,
    entry: &Entry,
    secrets: &mut Secrets<'_>,
    surroundings: &Surroundings,
) -> Result<(), String> {
    let (program, args) = entry.command.split_first().ok_or("it names no program")?;
    let home =
        surroundings.home.as_deref().and_then(Path::to_str).ok_or("there is no home folder to run it in")?;
    table.insert("command".to_owned(), Value::String(program.clone()));
    table.insert("args".to_owned(), Value::Array(args.iter().cloned().map(Value::String).collect()));
    table.insert("cwd".to_owned(), Value::String(home.to_owned()));
    let mut plain: BTreeMap<String, Value> = BTreeMap::new();
    for (name, value) in &entry.env {
        if credentials::is_secret(name, value) {
            secrets.add("env", name, value, None)?;
        } else {
            plain.insert(name.clone(), Value::String(value.clone()));
        }
    }
    if !plain.is_empty() {
        table.insert("env".to_owned(), Value::Table(plain.into_iter().collect()));
    }
    Ok(())
}

fn address(table: &mut Table, url: &str, entry: &Entry, secrets: &mut Secrets<'_>) -> Result<(), String> {
    let mut url = url::Url::parse(url).map_err(|error| format!("its address cannot be used: {error}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("its address holds a name and a password: make a header of them".to_owned());
    }
    // whatever an address asks with may be a credential, and no address holds one
    let asked: Vec<(String, String)> =
        url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
    url.set_query(None);
    // no server is ever sent what stands behind the `#`
    url.set_fragment(None);
    table.insert("url".to_owned(), Value::String(url.to_string()));
    if entry.is_sse {
        table.insert("transport".to_owned(), Value::String("sse".to_owned()));
    }
    for (name, value) in &asked {
        secrets.add("query", name, value, None)?;
    }
    for (name, value) in &entry.headers {
        let prefix = PREFIXES.iter().find(|prefix| value.starts_with(**prefix)).copied();
        secrets.add(
            "header",
            name,
            value.strip_prefix(prefix.unwrap_or_default()).unwrap_or(value),
            prefix,
        )?;
    }
    Ok(())
}
