//! `callgate unwrap`: takes one server out of the configuration again, and gives its clients back what they had.

use super::{
    PLACEHOLDER, edit, holds, rebase, reload, still_stored, stored,
    undo::{self, Turn},
    way, without, would_hold,
};
use crate::{
    cli::Given,
    command::{
        init::STARTER,
        scan::{
            clients::{self, Entry},
            credentials, entry,
        },
        wrap::{self, declare},
    },
    failure::{Failure, Outcome, Verdict},
    near,
    place::{self, Place},
    say::one_line,
};
use anyhow::Context as _;
use clap::Args as ClapArgs;
use decision::ServerName;
use gateway::settings::{Reach, ServerSettings, Source};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// A server of the configuration
    name: ServerName,
    /// Go on without being asked
    #[arg(long)]
    yes: bool,
}

/// What would change.
struct Plan {
    /// The clients' files by path, before and after, and the entries that change in them.
    files: BTreeMap<PathBuf, (String, String)>,
    given_back: Vec<Entry>,
    /// Entries that still start the gateway for this server, and why.
    left: Vec<(Entry, String)>,
    /// Files that had an entry of it and are not there now.
    away: BTreeSet<PathBuf>,
    before: String,
    after: String,
}

pub(crate) async fn run(args: Args, given: &Given) -> Outcome {
    let config = match &given.config {
        Some(config) => config.clone(),
        None => place::users(&given.surroundings)?,
    };
    let config = std::path::absolute(&config)?;
    let is_usual = place::users(&given.surroundings).is_ok_and(|usual| usual == config);
    let _one = wrap::lock_of(&config).await?;
    let place = Place::at(&config, false, &given.surroundings)?;
    let name = &args.name;
    let servers = &place.meant.settings.servers;
    let Some(server) = servers.get(name) else {
        let nothing = format!("there is no server `{name}` in `{}`", config.display());
        let known = servers.keys().map(ToString::to_string).collect();
        return Err(Failure::refused(near::none(&nothing, name.as_str(), &known)));
    };
    let plan = plan(&place, name, is_usual, given)?;
    tell(&place, &plan, (name, server), given);
    if !args.yes && !given.say.agreed("nothing was changed") {
        return Ok(Verdict::No);
    }
    carry_out(&place, &plan)?;
    rebase::rebase(&place, name, &plan.files, (&plan.before, &plan.after))?;
    forget(&place, name, &plan)?;
    let kept = first_policy(&place, name)?;
    reload(&place).await;
    let secrets = stored(&place, &secrets(servers, name, server)).await?;
    answer(&place, &plan, name, (kept.as_deref(), &secrets), given).await
}

fn plan(place: &Place, name: &ServerName, is_usual: bool, given: &Given) -> Result<Plan, Failure> {
    let by_hand = |why: String| {
        Failure::refused(format!("`{name}` cannot be taken out of `{}`: {why}", place.config.display()))
    };
    let before = fs::read_to_string(&place.config)
        .with_context(|| format!("cannot read `{}`", place.config.display()))?;
    let after = without::without_server(&before, name.as_str()).map_err(by_hand)?;
    would_hold(place, &after, given).map_err(|why| match budgets(place, name).as_slice() {
        [] => by_hand(format!("without it the configuration would not hold: {why}")),
        counted => by_hand(format!(
            "without it the configuration would not hold, since its calls are counted under `[[budgets]]` by {}: take \
             that out first, or have it count another server's",
            counted.join(" and ")
        )),
    })?;
    let kept = undo::kept(place, name)?;
    let (entries, away) = entries(&kept, given).map_err(by_hand)?;
    let is_there = |was: &undo::Was| entries.iter().any(|one| one.file == was.file && one.keys == was.keys);
    let renamed: Vec<undo::Was> = kept.iter().filter(|was| !is_there(was)).cloned().collect();
    let mut plan =
        Plan { files: BTreeMap::new(), given_back: Vec::new(), left: Vec::new(), away, before, after };
    let mut asking = Vec::new();
    for entry in entries {
        let asks = asks_for(&entry, name, place, is_usual);
        asking.extend(asks.map(|asks| (entry, asks)));
    }
    for (entry, asks) in asking {
        // the newest is how it was last
        let was = kept.iter().rev().find(|was| was.file == entry.file && was.keys == entry.keys);
        let was = was.or_else(|| renamed.iter().rev().find(|was| was.file == entry.file));
        let Some(was) = was else {
            plan.left.push((entry, asks.unknown().to_owned()));
            continue;
        };
        let (_, text) = plan
            .files
            .entry(entry.file.clone())
            .or_insert_with(|| (entry.text.to_string(), entry.text.to_string()));
        match edit::give_back(text, &entry, &was.kept) {
            Ok(given_back) => {
                *text = given_back;
                plan.given_back.push(entry);
            }
            Err(why) => plan.left.push((entry, why)),
        }
    }
    Ok(plan)
}

/// The entries of all clients, and the files that had one of the server and are not there now.
///
/// Errors: a file that had one cannot be read, so that what was kept for it would be lost.
fn entries(kept: &[undo::Was], given: &Given) -> Result<(Vec<Entry>, BTreeSet<PathBuf>), String> {
    let (mut entries, unread) = clients::found(&given.surroundings);
    let unreadable = |file: &Path, why: &str| {
        format!(
            "`{}` had it, and cannot be read now ({}): put that right first, or what was kept for it would be lost",
            file.display(),
            one_line(why)
        )
    };
    if let Some(one) = unread.iter().find(|one| kept.iter().any(|was| was.file == one.file)) {
        return Err(unreadable(&one.file, &one.because));
    }
    let known: BTreeSet<PathBuf> = entries.iter().map(|one| one.file.clone()).collect();
    let elsewhere: BTreeSet<&Path> =
        kept.iter().map(|was| was.file.as_path()).filter(|file| !known.contains(*file)).collect();
    let mut away = BTreeSet::new();
    for file in elsewhere {
        match fs::read_to_string(file) {
            Ok(text) => {
                if let Some(why) = clients::broken(file, &text) {
                    return Err(unreadable(file, &why));
                }
                entries.extend(clients::named(file, &text).into_iter().flat_map(|named| named.entries));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                away.insert(file.to_owned());
            }
            Err(error) => return Err(unreadable(file, &error.to_string())),
        }
    }
    Ok((entries, away))
}

/// Budgets that count the server's calls, as they are shown.
fn budgets(place: &Place, name: &ServerName) -> Vec<String> {
    let all = place.meant.settings.budgets.iter();
    all.filter(|one| one.covers.server.as_ref() == Some(name)).map(|one| format!("`{}`", one.name)).collect()
}

/// How an entry has the gateway's shim started for a server.
#[derive(Clone, Copy)]
enum Asks {
    /// It names the server, which is not added to a configuration that has none of that name.
    ByName,
    /// It has the server's command, by which the server is added where it is not there.
    ByCommand,
}

impl Asks {
    /// Why a person has to change an entry of which nothing was kept.
    fn unknown(self) -> &'static str {
        match self {
            Self::ByName => "what it was before is not known",
            Self::ByCommand => {
                "its next start adds the server again. Give it the command that stands behind its `--`"
            }
        }
    }
}

/// Whether the entry starts the gateway's shim for this server of this configuration, and how.
fn asks_for(entry: &Entry, name: &ServerName, place: &Place, is_usual: bool) -> Option<Asks> {
    let words: Vec<&str> = entry::own_words(entry).unwrap_or_default().iter().map(String::as_str).collect();
    let end = words.iter().position(|word| *word == "--").unwrap_or(words.len());
    let (options, behind) = words.split_at_checked(end)?;
    let command = behind.get(1..).unwrap_or_default();
    if !options.contains(&"wrap") {
        return None;
    }
    let value = |option: &str| {
        let follows = options.windows(2).find_map(|pair| match pair {
            [first, second] if *first == option => Some(*second),
            _ => None,
        });
        follows.or_else(|| options.iter().find_map(|word| word.strip_prefix(option)?.strip_prefix('=')))
    };
    let here = value("--config").map_or(is_usual, |other| Path::new(other) == place.config);
    let is_it = match value("--name") {
        Some(named) => named == name.as_str(),
        None => declare::starts_with(place, command).as_ref() == Some(name),
    };
    (here && is_it).then_some(if command.is_empty() { Asks::ByName } else { Asks::ByCommand })
}

/// As an import tells it: what goes and what comes, and no secret.
fn tell(place: &Place, plan: &Plan, (name, server): (&ServerName, &ServerSettings), given: &Given) {
    let say = given.say;
    let (minus, plus) = (say.paint(31, "-"), say.paint(32, "+"));
    for (file, (_, after)) in &plan.files {
        let again = clients::named(file, after).map(|named| named.entries).unwrap_or_default();
        say.aside(format!("{}", file.display()));
        for one in plan.given_back.iter().filter(|one| one.file == *file) {
            say.aside(format!("  {}/{}", one.client, one_line(&one.name)));
            say.aside(format!("  {minus}   callgate wrap --name {name}"));
            again.iter().filter(|entry| entry.keys == one.keys).for_each(|entry| way(say, entry, &plus));
        }
    }
    say.aside(format!("{}", place.config.display()));
    let shown = shown(server);
    for line in gone(&plan.before, &plan.after).filter(|line| !line.is_empty()) {
        say.aside(format!("  {minus} {}", one_line(&credentials::hidden(&shown, line))));
    }
    for file in &plan.away {
        say.aside(format!("! `{}` had it, and is not there now: what was kept for it stays", file.display()));
    }
    for (entry, why) in &plan.left {
        say.aside(format!(
            "! {}/{} in `{}` starts the gateway for `{name}` and has to be changed by hand: {}",
            entry.client,
            one_line(&entry.name),
            entry.file.display(),
            one_line(why)
        ));
    }
}

/// The server as a client would have it, to know its secrets by.
fn shown(server: &ServerSettings) -> Entry {
    match &server.reach {
        Reach::Stdio { command, args, env, .. } => {
            let command = std::iter::once(command.display().to_string()).chain(args.iter().cloned());
            Entry { command: command.collect(), env: env.clone(), ..Entry::default() }
        }
        Reach::Http { url } | Reach::Sse { url } => Entry { url: Some(url.to_string()), ..Entry::default() },
    }
}

/// The lines that are left out of a text.
fn gone<'t>(before: &'t str, after: &'t str) -> impl Iterator<Item = &'t str> {
    let mut left = after.lines().peekable();
    before.lines().filter(move |line| left.next_if_eq(line).is_none())
}

/// The clients first: whoever starts meanwhile has a gateway that knows the server.
fn carry_out(place: &Place, plan: &Plan) -> Result<(), Failure> {
    let files = plan.files.iter().map(|(file, (before, after))| (file, before, after));
    let all: Vec<_> = files.chain([(&place.config, &plan.before, &plan.after)]).collect();
    let mut turns = Vec::new();
    for (file, before, after) in all {
        let now = fs::read_to_string(file).with_context(|| format!("cannot read `{}`", file.display()))?;
        if now != *before {
            let file = file.display();
            return Err(Failure::refused(format!(
                "`{file}` was changed meanwhile: nothing is changed, start again"
            )));
        }
        turns.push(Turn { file, now, text: after.clone() });
    }
    Ok(undo::turn_all(&turns)?)
}

/// What imports kept of the server, but for those that a person still has to put back.
fn forget(place: &Place, name: &ServerName, plan: &Plan) -> anyhow::Result<()> {
    undo::drop_kept(place, &plan.after, |was| {
        was.server == *name
            && !plan.away.contains(&was.file)
            && !plan.left.iter().any(|(one, _)| one.file == was.file)
    })
}

/// Takes the first policy of the server away, if nobody has changed it; otherwise where it is.
fn first_policy(place: &Place, name: &ServerName) -> anyhow::Result<Option<PathBuf>> {
    let path = place.policies_dir().join(format!("{STARTER}-{name}.cedar"));
    match fs::read_to_string(&path) {
        Ok(text) if text == PLACEHOLDER || policy::is_untouched(&text) => {
            fs::remove_file(&path)?;
            Ok(None)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Ok(_) | Err(_) => Ok(Some(path)),
    }
}

/// Secrets that no other server has.
fn secrets(
    servers: &BTreeMap<ServerName, ServerSettings>,
    name: &ServerName,
    server: &ServerSettings,
) -> Vec<String> {
    let others = servers.iter().filter(|(other, _)| *other != name).flat_map(|(_, one)| &one.credentials);
    let others: BTreeSet<_> = others.map(|one| &one.secret).collect();
    let own = server.credentials.iter().filter(|one| matches!(one.source, Source::Stored));
    own.map(|one| &one.secret).filter(|one| !others.contains(one)).map(ToString::to_string).collect()
}

async fn answer(
    place: &Place,
    plan: &Plan,
    name: &ServerName,
    (policy, secrets): (Option<&Path>, &[String]),
    given: &Given,
) -> Outcome {
    let say = given.say;
    say.json(&json!({
        "server": name,
        "restored": plan.given_back.iter().map(|one| json!({
            "client": one.client, "file": one.file, "name": one.name,
        })).collect::<Vec<_>>(),
        "left": plan.left.iter().map(|(one, why)| json!({
            "client": one.client, "file": one.file, "name": one.name, "because": why,
        })).collect::<Vec<_>>(),
        "away": plan.away,
        "policies-kept": policy,
        "secrets-kept": secrets,
    }));
    say.line(format!("{} `{name}` is taken out of `{}`", say.paint(32, "✓"), place.config.display()));
    if !plan.given_back.is_empty() {
        say.line("restart the clients");
    }
    let warn = say.paint(33, "!");
    if let Some(policy) = policy {
        say.line(format!("{warn} `{}` was changed by hand, so it stays: delete it", policy.display()));
    }
    if !holds(place, given).await? {
        say.line(format!(
            "{warn} the rules that are left do not hold, so a gateway goes on with the old ones or does not start: \
             `callgate check` says where"
        ));
    }
    if !secrets.is_empty() {
        say.line(still_stored(secrets));
    }
    Ok(Verdict::Yes)
}
