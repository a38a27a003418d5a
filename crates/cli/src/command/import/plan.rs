//! What becomes of each server that a client names: a block of the configuration, and secrets for the vault.

use super::{edit, lost};
use crate::{
    command::{
        scan::{clients::Entry, credentials, entry},
        wrap::declare,
    },
    failure::Failure,
    place::Place,
    settings::is_plain,
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
    /// Where its program is run.
    folder: Option<String>,
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

/// What would change. `command` starts the gateway's shim for a server; `fits` says why the configuration would not hold
/// with these blocks, and is asked of many at once.
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
        let is_here = !entry.has_two_ways() && entry.url.as_deref().is_some_and(|url| is_here(url, place));
        if entry::is_governed(&entry) || is_here {
            continue;
        }
        let folder = match movable(&entry, surroundings) {
            Ok(folder) => folder,
            Err(why) => {
                plan.left.push(Left { entry, why });
                continue;
            }
        };
        // what may run anywhere is what the configuration runs elsewhere
        let home = surroundings.home.as_deref().and_then(Path::to_str);
        let fixed = folder.as_deref().filter(|folder| entry.cwd.is_some() || Some(*folder) != home);
        let twin = plan.moves.iter().find(|one| is_same(&one.entry, &entry) && one.folder == folder);
        let known = twin.map(|one| one.server.clone()).or_else(|| known(&entry, fixed, place));
        let server = match &known {
            Some(server) => server.clone(),
            None => declare::free(&declare::slug(&entry.name), |name| taken.contains(name))?,
        };
        let moved =
            if known.is_some() { Ok((None, Vec::new())) } else { block(&server, &entry, folder.as_deref()) };
        let stays = stays(&entry).filter(|_| !also.contains(&entry.name));
        let stays = stays.map(|why| format!("{why}; `--also {}` moves it all the same", entry.name));
        // that it can be moved all the same is said of none that cannot
        match moved.and_then(|moved| stays.map_or(Ok(moved), Err)) {
            Ok((block, secrets)) => {
                taken.insert(server.clone());
                let stays = credentials::words(&entry.command).into_iter().filter_map(|word| word.holds);
                let stays = stays.chain(entry.url.as_deref().and_then(credentials::of_path)).collect();
                plan.moves.push(Move { entry, server, folder, block, secrets, stays });
            }
            Err(why) => plan.left.push(Left { entry, why }),
        }
    }
    plan.leave_misfits(&fits);
    plan.edit(command);
    Ok(plan)
}

/// Where its program is to be run, if it is one.
///
/// Errors: why nobody but its client can reach it.
fn movable(entry: &Entry, surroundings: &Surroundings) -> Result<Option<String>, String> {
    if entry.is_brought {
        return Err("its client brings it along, and alone knows how it is started".to_owned());
    }
    if entry.has_two_ways() {
        return Err(
            "it names more than one way to be reached, and only its client knows which it takes".to_owned()
        );
    }
    let all = entry.env.iter().chain(&entry.headers).map(|(name, value)| (format!("`{name}`"), value));
    let words = entry.command.iter().chain(&entry.url).map(|word| ("an argument".to_owned(), word));
    let cwd = entry.cwd.iter().map(|cwd| ("`cwd`".to_owned(), cwd));
    let refers = all.chain(words).chain(cwd).find(|(_, value)| credentials::refers(value));
    let filled = entry.filled.map(|known| format!("`{known}`"));
    if let Some(name) = filled.or_else(|| refers.map(|(name, _)| name)) {
        return Err(format!("{name} is filled in by the client"));
    }
    if let Some(option) = lost::variable(entry) {
        return Err(format!(
            "`{option}` takes the value from the environment of its client, which no server behind the gateway has: \
             give it a value under `env`"
        ));
    }
    if entry.url.is_some() {
        return Ok(None);
    }
    lost::folder(entry, surroundings.home.as_deref()).map(Some)
}

/// Why an entry is moved only by its name.
fn stays(entry: &Entry) -> Option<&'static str> {
    if entry.is_off {
        return Some("it is turned off in its client, and the gateway would start it");
    }
    is_signed_in_by_client(entry).then_some(
        "it is sent no credential, so the client itself may sign in there, which the gateway cannot do for it",
    )
}

impl Plan {
    /// Whether some client names a server so.
    pub(super) fn names(&self, name: &str) -> bool {
        let moved = self.moves.iter().map(|one| &one.entry);
        moved.chain(self.left.iter().map(|one| &one.entry)).any(|entry| entry.name == name)
    }

    /// Leaves every server that the configuration would not take, with all entries that name it.
    fn leave_misfits(&mut self, fits: &impl Fn(&str) -> Result<(), String>) {
        let blocks: Vec<(&ServerName, &str)> =
            self.moves.iter().filter_map(|one| Some((&one.server, one.block.as_deref()?))).collect();
        let mut wrong = BTreeMap::new();
        misfits(&blocks, fits, &mut wrong);
        let wrong: BTreeMap<ServerName, String> =
            wrong.into_iter().map(|(name, why)| (name.clone(), why)).collect();
        self.leave(|one| wrong.get(&one.server).cloned());
    }

    fn leave(&mut self, why: impl Fn(&Move) -> Option<String>) {
        for one in std::mem::take(&mut self.moves) {
            match why(&one) {
                Some(why) => self.left.push(Left { entry: one.entry, why }),
                None => self.moves.push(one),
            }
        }
    }

    /// Each file is read and written once, however many entries of it there are.
    fn edit(&mut self, command: impl Fn(&ServerName) -> Vec<String>) {
        let commands: BTreeMap<&ServerName, Vec<String>> =
            self.moves.iter().map(|one| (&one.server, command(&one.server))).collect();
        let mut by_file: BTreeMap<&Path, Vec<edit::Redirection<'_>>> = BTreeMap::new();
        for one in &self.moves {
            let command = commands.get(&one.server).map(Vec::as_slice).unwrap_or_default();
            by_file.entry(&one.entry.file).or_default().push((&one.entry, command));
        }
        let (mut files, mut wrong) = (Vec::new(), BTreeMap::new());
        for (file, all) in by_file {
            let Some(before) = all.first().map(|(entry, _)| entry.text.to_string()) else { continue };
            let (after, done) = edit::redirect(&before, &all);
            for ((entry, _), why) in all.iter().zip(&done) {
                let why = why.as_ref().err().cloned();
                wrong.extend(why.map(|why| ((entry.file.clone(), entry.keys.clone()), why)));
            }
            if done.iter().any(Result::is_ok) {
                files.push(Changed { file: file.to_owned(), before, after });
            }
        }
        self.files = files;
        let why = |one: &Move| wrong.get(&(one.entry.file.clone(), one.entry.keys.clone())).cloned();
        self.hand_over(why);
        self.leave(why);
    }

    /// What comes with an entry that stays comes with the next one that names the same server.
    fn hand_over(&mut self, stays: impl Fn(&Move) -> Option<String>) {
        for at in 0..self.moves.len() {
            let Some(one) = self.moves.get_mut(at).filter(|one| stays(one).is_some()) else { continue };
            let (server, block) = (one.server.clone(), one.block.take());
            let secrets = std::mem::take(&mut one.secrets);
            let next = self.moves.iter_mut().find(|one| one.server == server && stays(one).is_none());
            if let (Some(next), true) = (next, block.is_some()) {
                (next.block, next.secrets) = (block, secrets);
            }
        }
    }
}

/// Which blocks would not do. All are asked of together: most often all of them do.
fn misfits<'b>(
    blocks: &[(&'b ServerName, &'b str)],
    fits: &impl Fn(&str) -> Result<(), String>,
    wrong: &mut BTreeMap<&'b ServerName, String>,
) {
    let all: String = blocks.iter().map(|(_, block)| *block).collect();
    let Err(why) = fits(&all) else { return };
    match blocks {
        [] => {}
        [(server, _)] => drop(wrong.insert(server, why)),
        _ => {
            let (first, second) = blocks.split_at(blocks.len() / 2);
            misfits(first, fits, wrong);
            misfits(second, fits, wrong);
        }
    }
}

fn is_same(one: &Entry, other: &Entry) -> bool {
    one.command == other.command
        && (&one.url, one.is_sse) == (&other.url, other.is_sse)
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
    let asks = url.query_pairs().any(|(name, value)| !is_plain(&name, &value));
    let shows = !entry.headers.is_empty() || asks || !url.username().is_empty();
    entry.command.is_empty() && !near && !shows && credentials::of_path(url.as_str()).is_none()
}

/// The server that the configuration has already, if this one needs nothing more.
fn known(entry: &Entry, folder: Option<&str>, place: &Place) -> Option<ServerName> {
    let (program, args) = entry.command.split_first()?;
    let is_there = |cwd: Option<&Path>| folder.is_none_or(|folder| cwd == Some(Path::new(folder)));
    let is_it = |reach: &Reach| match reach {
        Reach::Stdio { command, args: theirs, cwd, .. } => {
            command == Path::new(program) && theirs == args && is_there(cwd.as_deref())
        }
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

fn block(server: &ServerName, entry: &Entry, folder: Option<&str>) -> Result<Block, String> {
    let mut table = Table::new();
    let mut secrets = Secrets { server, stored: Vec::new(), credentials: Vec::new() };
    match &entry.url {
        Some(url) => address(&mut table, url, entry, &mut secrets)?,
        None => program(&mut table, entry, &mut secrets, folder)?,
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
    folder: Option<&str>,
) -> Result<(), String> {
    let (program, args) = entry.command.split_first().ok_or("it names no program")?;
    table.insert("command".to_owned(), Value::String(program.clone()));
    table.insert("args".to_owned(), Value::Array(args.iter().cloned().map(Value::String).collect()));
    table.extend(folder.map(|folder| ("cwd".to_owned(), Value::String(folder.to_owned()))));
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
    // whatever an address asks with may be a credential unless it is plainly none, and no address holds one
    let asked = url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned()));
    let (plain, asked): (Vec<_>, Vec<_>) = asked.partition(|(name, value)| is_plain(name, value));
    url.set_query(None);
    if !plain.is_empty() {
        url.query_pairs_mut().extend_pairs(&plain);
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn what_does_not_fit_is_found_without_a_look_at_the_whole_for_each() {
        let names: Vec<ServerName> = (0..1_000).map(|n| ServerName::new(format!("s{n}")).unwrap()).collect();
        let texts: Vec<String> = names.iter().map(|name| format!("{name};")).collect();
        let blocks: Vec<(&ServerName, &str)> = names.iter().zip(texts.iter().map(String::as_str)).collect();
        for (wrong, looks_max) in [(&[][..], 1), (&["s0", "s999"], 41)] {
            let looks = Cell::new(0);
            let fits = |text: &str| {
                looks.set(looks.get() + 1);
                let bad = wrong.iter().find(|bad| text.split(';').any(|one| one == **bad));
                bad.map_or(Ok(()), |bad| Err((*bad).to_owned()))
            };
            let mut found = BTreeMap::new();
            misfits(&blocks, &fits, &mut found);
            let found: Vec<(&str, &str)> =
                found.iter().map(|(name, why)| (name.as_str(), why.as_str())).collect();
            assert_eq!(found, wrong.iter().map(|one| (*one, *one)).collect::<Vec<_>>());
            assert!(looks.get() <= looks_max, "{} looks", looks.get());
        }
    }
}
