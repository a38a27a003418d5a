//! `callgate scan --connect`: what running servers say of themselves, after a person has said yes to exactly these commands.
//!
//! A server gets nothing: no variable of its configuration, no credential, no folder with anything in it.

use super::{
    clients::Entry,
    credentials::{self, Shown},
    entry,
    report::{Gap, Is, Stand},
};
use crate::{
    cli::Given,
    failure::Failure,
    say::{Say, one_line},
    sources::SystemEntropy,
};
use catalog::listing::{self, Offer};
use decision::{Entropy as _, ItemKind};
use gateway::{
    peek::{self, Glance, Unseen},
    settings::Reach,
};
use serde::Serialize;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

/// Where programs are looked for beside the folder of the one that is started.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// How one server was seen, or why not.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Seen {
    client: &'static str,
    server: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<String>,
    #[serde(flatten)]
    fault: Option<Fault>,
}

#[derive(Debug, Clone, Serialize)]
struct Fault {
    code: &'static str,
    because: String,
}

impl Seen {
    /// One that was named, and neither started nor reached.
    pub(super) fn unasked(entry: &Entry) -> Self {
        let because = match entry.url {
            Some(_) if entry.has_two_ways() => {
                "it names more than one way to be reached, and which of them its client takes nobody here knows"
            }
            Some(_) => "nobody was asked, so nothing that it offers was looked at: `--connect` asks it",
            None => {
                "nothing was started, so nothing that it offers was looked at: `--connect` starts it and asks"
            }
        };
        let fault = Fault { code: "not-asked", because: because.to_owned() };
        Self { client: entry.client, server: entry.name.clone(), revision: None, fault: Some(fault) }
    }

    /// Why it was not seen, for people.
    pub(super) fn fault(&self) -> Option<String> {
        let Fault { code, because } = self.fault.as_ref()?;
        Some(format!("error[{code}]: {}: {}", one_line(&self.subject()), one_line(because)))
    }

    pub(super) fn gap(&self) -> Option<Gap> {
        let because = format!("was not looked at: {}", self.fault.as_ref()?.because);
        Some(Gap { what: self.subject(), because })
    }

    fn subject(&self) -> String {
        format!("{}/{}", self.client, self.server)
    }
}

/// Asks, and looks at each server once. `None` if the answer was no.
pub(super) async fn look(
    entries: &[Entry],
    yes: bool,
    limit: Duration,
    given: &Given,
) -> Result<Option<(Vec<(Offer, Stand)>, Vec<Seen>)>, Failure> {
    // to ask the one that is a decoy would say nothing of the other
    let (unclear, entries): (Vec<&Entry>, Vec<&Entry>) =
        entries.iter().filter(|entry| !entry::is_governed(entry)).partition(|entry| entry.has_two_ways());
    let mut seen: Vec<Seen> = unclear.into_iter().map(Seen::unasked).collect();
    // two clients may name one server
    let mut once: Vec<&Entry> = Vec::new();
    for entry in entries {
        if !once.iter().any(|other| other.command == entry.command && other.url == entry.url) {
            once.push(entry);
        }
    }
    if once.is_empty() && !seen.is_empty() {
        return Ok(Some((Vec::new(), seen)));
    }
    if once.is_empty() {
        return Err(Failure::Usage("there is no server to connect to".to_owned()));
    }
    tell(given.say, &once, limit);
    if !yes && !given.say.agreed("nothing was started or asked") {
        return Ok(None);
    }
    let mut offers = Vec::new();
    for entry in once {
        let looked = one(entry, limit, given).await;
        let (revision, fault) = match &looked {
            Ok((_, revision)) => (Some(revision.clone()), None),
            Err(unseen) => (None, Some(Fault { code: unseen.code, because: unseen.because.clone() })),
        };
        seen.push(Seen { client: entry.client, server: entry.name.clone(), revision, fault });
        offers.extend(
            looked
                .ok()
                .map(|(offer, _)| (offer, Stand { source: None, lists: String::new(), is: Is::Lists })),
        );
    }
    Ok(Some((offers, seen)))
}

/// Exactly what would be run.
fn tell(say: Say, entries: &[&Entry], limit: Duration) {
    let started = entries.iter().filter(|entry| entry.url.is_none()).count();
    let reached = entries.len() - started;
    let seconds = limit.as_secs();
    if started > 0 {
        say.aside(format!(
            "to be started: {started}, with the rights of your user, in a new empty folder; of your environment each gets a PATH \
             (its own folder and {PATH}), HOME and TMPDIR (the empty folder), and none of the variables its client gives it; ended \
             after {seconds} s at most:"
        ));
    }
    for entry in entries.iter().filter(|entry| entry.url.is_none() && !entry.is_brought) {
        say.aside(format!("  {}/{}: {}", entry.client, one_line(&entry.name), command_line(entry)));
    }
    if reached > 0 {
        say.aside(format!("to be reached: {reached}, without a credential, for {seconds} s at most:"));
    }
    for entry in entries.iter().filter(|entry| entry.url.is_some()) {
        say.aside(format!(
            "  {}/{}: {}",
            entry.client,
            one_line(&entry.name),
            one_line(&entry::reached(entry))
        ));
    }
}

/// The words as a shell would want them, so that it shows where each ends.
fn command_line(entry: &Entry) -> String {
    let quoted = |word: Shown| {
        let word = one_line(&word.text);
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@+,%•".contains(c);
        if !word.is_empty() && word.chars().all(plain) {
            word
        } else {
            format!("'{}'", word.replace('\'', "'\\''"))
        }
    };
    credentials::words(&entry.command).into_iter().map(quoted).collect::<Vec<_>>().join(" ")
}

async fn one(entry: &Entry, limit: Duration, given: &Given) -> Result<(Offer, String), Unseen> {
    let home = Home::new(given)?;
    let (reach, environment) = match &entry.url {
        Some(url) => {
            let url = url::Url::parse(url).map_err(|error| Unseen {
                code: "bad-address",
                because: format!("its address cannot be used: {error}"),
            })?;
            let is_sse = entry.is_sse;
            (if is_sse { Reach::Sse { url } } else { Reach::Http { url } }, BTreeMap::new())
        }
        None => started(entry, &home, given)?,
    };
    let looked = peek::peek(&reach, launch::Supervisor::this_executable(), environment, limit).await;
    let glance = looked.map_err(|unseen| match unseen.code {
        "unauthorized" => {
            Unseen { because: "the server asks for a credential, and a scan sends none".to_owned(), ..unseen }
        }
        _ if entry.is_of_command_line() => unseen,
        _ => Unseen { because: of_client(&unseen.because), ..unseen },
    })?;
    let revision = glance.revision.as_str().to_owned();
    Ok((offer(&entry.name, glance)?, revision))
}

/// What helps in a configuration of the gateway, in the words of a client's.
fn of_client(because: &str) -> String {
    let with = because.replace("has no `transport = \"sse\"`", "has `\"type\": \"http\"`");
    with.replace("`transport = \"sse\"`", "`\"type\": \"sse\"`")
}

fn started(entry: &Entry, home: &Home, given: &Given) -> Result<(Reach, BTreeMap<String, String>), Unseen> {
    let (program, args) = entry.command.split_first().ok_or_else(|| Unseen {
        code: "unreachable",
        because: "only its client knows how it is started".to_owned(),
    })?;
    let known = given.surroundings.passable.get("PATH").map_or(PATH, String::as_str);
    let command = found(program, known).ok_or_else(|| Unseen {
        code: "unreachable",
        because: format!("there is no program `{program}` on this machine"),
    })?;
    let folder = command.parent().map(|folder| folder.display().to_string()).unwrap_or_default();
    let own = home.0.display().to_string();
    let environment = [("PATH", format!("{folder}:{PATH}")), ("HOME", own.clone()), ("TMPDIR", own)];
    let reach =
        Reach::Stdio { command, args: args.to_vec(), env: BTreeMap::new(), cwd: Some(home.0.clone()) };
    Ok((reach, environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()))
}

/// The program of that name, absolute: its own folder will be the current one.
fn found(program: &str, known: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return std::path::absolute(program).ok().filter(|path| path.is_file());
    }
    known
        .split(':')
        .map(|folder| Path::new(folder).join(program))
        .find(|path| path.is_absolute() && path.is_file())
}

/// A new empty folder of nobody else's, gone with everything in it when it is dropped.
struct Home(PathBuf);

impl Home {
    fn new(given: &Given) -> Result<Self, Unseen> {
        let folder = given.surroundings.passable.get("TMPDIR").map_or("/tmp", String::as_str);
        let mut random = [0; 8];
        SystemEntropy.fill(&mut random);
        let path = Path::new(folder).join(format!("callgate-scan-{:016x}", u64::from_ne_bytes(random)));
        let made = DirBuilder::new().mode(0o700).create(&path).map(|()| path);
        made.map(Self).map_err(|error| Unseen {
            code: "no-folder",
            because: format!("there can be no empty folder in `{folder}`: {error}"),
        })
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What it sent, read as strictly as a file is.
fn offer(name: &str, glance: Glance) -> Result<Offer, Unseen> {
    let Glance { info, instructions, items, .. } = glance;
    let nonsense = |error: listing::ListingError| Unseen { code: error.code(), because: error.to_string() };
    let mut lists: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for (kind, raw) in &items {
        let key = match kind {
            ItemKind::Tool => "tools",
            ItemKind::Prompt => "prompts",
            ItemKind::Resource => "resources",
            ItemKind::ResourceTemplate => "resourceTemplates",
            ItemKind::Server | ItemKind::Question => continue,
        };
        lists.entry(key).or_default().push(listing::strict(raw).map_err(nonsense)?);
    }
    let identity = info.map(|raw| listing::strict(&raw)).transpose().map_err(nonsense)?;
    let mut value = json!(lists);
    if let Value::Object(members) = &mut value {
        members.insert("server".to_owned(), name.into());
        members.insert("serverInfo".to_owned(), identity.into());
        members.insert("instructions".to_owned(), instructions.into());
    }
    let mut offers = listing::of(value).map_err(nonsense)?;
    Ok(offers.pop().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_helps_is_said_in_a_client_s_words() {
        for (said, expected) in [
            (
                "it is of SSE: write `transport = \"sse\"` beside its `url`",
                "write `\"type\": \"sse\"` beside its `url`",
            ),
            ("a server that speaks it has no `transport = \"sse\"`", "speaks it has `\"type\": \"http\"`"),
        ] {
            assert!(of_client(said).ends_with(expected), "{}", of_client(said));
        }
    }

    #[test]
    fn a_command_is_shown_so_that_nothing_hides_in_it() {
        let words = ["sh", "-c", "a b; c'd", "\u{1b}[2J", "", "ghp_0123456789abcdef0123456789abcdef0123"];
        let entry = Entry { command: words.map(str::to_owned).to_vec(), ..Entry::default() };
        assert_eq!(command_line(&entry), "sh -c 'a b; c'\\''d' '\\u{1b}[2J' '' ••••••");
    }
}
