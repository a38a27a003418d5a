//! `callgate unwrap`: takes one server out of the configuration again, and gives its clients back what they had.

use super::{
    PLACEHOLDER, edit, holds, rebase, reload, still_stored,
    undo::{self, Turn},
    way, would_hold,
};
use crate::{
    cli::Given,
    command::{
        init::STARTER,
        scan::{
            clients::{self, Entry},
            credentials, entry,
        },
        wrap,
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
    let secrets = secrets(servers, name, server);
    answer(&place, &plan, name, (kept.as_deref(), &secrets), given).await
}

fn plan(place: &Place, name: &ServerName, is_usual: bool, given: &Given) -> Result<Plan, Failure> {
    let by_hand = |why: String| {
        Failure::refused(format!("`{name}` cannot be taken out of `{}`: {why}", place.config.display()))
    };
    let before = fs::read_to_string(&place.config)
        .with_context(|| format!("cannot read `{}`", place.config.display()))?;
    let after = edit::without_server(&before, name.as_str()).map_err(by_hand)?;
    would_hold(place, &after, given)
        .map_err(|why| by_hand(format!("without it the configuration would not hold: {why}")))?;
    let kept = undo::kept(place, name)?;
    let (mut entries, unread) = clients::found(&given.surroundings);
    let unreadable = |file: &Path, why: &str| {
        by_hand(format!(
            "`{}` had it, and cannot be read now ({}): put that right first, or what was kept for it would be lost",
            file.display(),
            one_line(why)
        ))
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
    let is_there = |was: &undo::Was| entries.iter().any(|one| one.file == was.file && one.keys == was.keys);
    let renamed: Vec<undo::Was> = kept.iter().filter(|was| !is_there(was)).cloned().collect();
    let mut plan =
        Plan { files: BTreeMap::new(), given_back: Vec::new(), left: Vec::new(), away, before, after };
    for entry in entries.into_iter().filter(|entry| asks_for(entry, name, &place.config, is_usual)) {
        // the newest is how it was last
        let was = kept.iter().rev().find(|was| was.file == entry.file && was.keys == entry.keys);
        let was = was.or_else(|| renamed.iter().rev().find(|was| was.file == entry.file));
        let Some(was) = was else {
            plan.left.push((entry, "what it was before is not known".to_owned()));
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

/// Whether the entry starts the gateway's shim for this server of this configuration.
fn asks_for(entry: &Entry, name: &ServerName, config: &Path, is_usual: bool) -> bool {
    let words = entry::own_words(entry).unwrap_or_default();
    let words: Vec<&str> = words.iter().map(String::as_str).take_while(|word| *word != "--").collect();
    if !words.contains(&"wrap") {
        return false;
    }
    let value = |option: &str| {
        let follows = words.windows(2).find_map(|pair| match pair {
            [first, second] if *first == option => Some(*second),
            _ => None,
        });
        follows.or_else(|| words.iter().find_map(|word| word.strip_prefix(option)?.strip_prefix('=')))
    };
    let here = value("--config").map_or(is_usual, |other| Path::new(other) == config);
    here && value("--name") == Some(name.as_str())
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
    undo::drop_kept(place, |was| {
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
