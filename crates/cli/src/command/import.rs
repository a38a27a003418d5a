//! `callgate import`: puts the gateway before the servers that the clients of this machine name, and can take that back.

mod edit;
mod lost;
mod piece;
mod plan;
mod rebase;
#[cfg(test)]
mod tests;
mod undo;
pub(crate) mod unwrap;
mod without;

use crate::{
    cli::Given,
    command::{
        init::{self, STARTER},
        scan::{
            clients::{self, Entry, Unread},
            credentials, entry,
        },
        secret,
        wrap::{self, declare},
    },
    control,
    failure::{Failure, Outcome, Verdict},
    place::{self, Place},
    rewrite,
    say::{Say, one_line},
};
use anyhow::Context as _;
use clap::Args as ClapArgs;
use decision::ServerName;
use piece::Piece;
use plan::{Changed, Move, Plan};
use serde_json::json;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};
use undo::Record;

/// The first policy of a server that nobody has looked at yet; the first start of the server replaces it.
pub(crate) const PLACEHOLDER: &str = "// written by `callgate`: until the server has answered for the first time, nothing of it is permitted\n";

#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// Configurations of clients, instead of those in your home folder; one of a project is changed only if it is named
    #[arg(value_name = "FILE", conflicts_with = "undo")]
    files: Vec<PathBuf>,
    /// A server on another machine that is sent no credential, and that is moved all the same; may be given several times
    #[arg(long = "also", value_name = "NAME", conflicts_with = "undo")]
    also: Vec<String>,
    /// Go on without being asked
    #[arg(long)]
    yes: bool,
    /// Take the last import back: the clients as they were, and their servers out of the configuration, if nobody has changed it
    #[arg(long)]
    undo: bool,
}

pub(crate) async fn run(args: Args, given: &Given) -> Outcome {
    let config = match &given.config {
        Some(config) => config.clone(),
        None => place::users(&given.surroundings)?,
    };
    let config = std::path::absolute(&config)?;
    let mut place = Place::at(&config, false, &given.surroundings)?;
    let mut one = None;
    // where there is nothing yet, nothing is made before somebody has said yes
    if place.written || (args.undo && config.parent().is_some_and(Path::exists)) {
        one = Some(wrap::lock_of(&config).await?);
        place = Place::at(&config, false, &given.surroundings)?;
    }
    let done =
        if args.undo { undo(&place, args.yes, given).await } else { import(&place, &args, given).await };
    drop(one);
    done
}

async fn import(place: &Place, args: &Args, given: &Given) -> Outcome {
    let mut unread = Vec::new();
    let mut entries = Vec::new();
    if args.files.is_empty() {
        (entries, unread) = clients::found(&given.surroundings);
        // what came with a project is others' too
        entries.retain(|entry| entry.file.is_absolute());
    }
    for file in &args.files {
        let file = std::path::absolute(file)?;
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read `{}`", file.display()))?;
        let named = clients::named(&file, &text);
        let named = named.ok_or_else(|| {
            let (file, broken) = (file.display(), clients::broken(&file, &text));
            Failure::Usage(match broken {
                Some(why) => format!("`{file}` cannot be read: {why}"),
                None => format!("`{file}` names no servers"),
            })
        })?;
        entries.extend(named.entries);
        unread.extend(named.wrong.into_iter().map(|because| Unread::shape(&file, because)));
    }
    // two clients may share a file, and one may be named twice
    let mut once = BTreeSet::new();
    entries.retain(|entry| once.insert((clients::real(&entry.file), entry.keys.clone())));
    let program = std::env::current_exe()?.display().to_string();
    let shim = |server: &ServerName| {
        let mut command = vec![program.clone(), "wrap".to_owned(), "--name".to_owned(), server.to_string()];
        if given.config.is_some() {
            command.extend(["--config".to_owned(), place.config.display().to_string()]);
        }
        command
    };
    let now = if place.written { fs::read_to_string(&place.config)? } else { init::CONFIG.to_owned() };
    let fits = |block: &str| would_hold(place, &declare::appended(&now, block), given);
    let plan = plan::plan(entries, place, shim, fits, (&args.also, &given.surroundings))?;
    if let Some(name) = args.also.iter().find(|name| !plan.names(name)) {
        return Err(Failure::refused(format!("no client names a server `{name}` that could be moved")));
    }
    for one in &unread {
        given.say.aside(format!("`{}` cannot be read: {}", one.file.display(), one_line(&one.because)));
    }
    tell(given.say, &plan, place);
    if plan.moves.is_empty() {
        given.say.json(&answer(&plan, None));
        given.say.line("nothing to import");
        if let [one, ..] = unread.as_slice() {
            // whoever runs this in a script must not take it for done
            let message = format!("`{}` was not read, and may name servers", one.file.display());
            return Err(Failure::Unreadable { code: "not-read", message });
        }
        return Ok(Verdict::Yes);
    }
    if !args.yes && !given.say.agreed("nothing was changed") {
        return Ok(Verdict::No);
    }
    let _one = if place.written { None } else { Some(alone(place).await?) };
    let kept = carry_out(place, &plan, given).await?;
    given.say.json(&answer(&plan, Some(&kept)));
    given.say.line(format!(
        "{} imported {}; restart the clients. `callgate import --undo` takes it back",
        given.say.paint(32, "✓"),
        // two clients may name one server
        plan.moves
            .iter()
            .map(|one| format!("`{}`", one.server))
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>()
            .join(", "),
    ));
    given.say.line(format!(
        "what was replaced, credentials included, is in `{}`; delete it when you are content",
        kept.display()
    ));
    Ok(Verdict::Yes)
}

/// Waits until nobody else makes the configuration that is to be made. Errors: that somebody has.
async fn alone(place: &Place) -> Result<fs::File, Failure> {
    let one = wrap::lock_of(&place.config).await?;
    if place.config.exists() {
        let config = place.config.display();
        let made = format!("`{config}` was made meanwhile: nothing is changed, start again");
        return Err(Failure::refused(made));
    }
    Ok(one)
}

/// Errors: why this would not do as the configuration.
fn would_hold(place: &Place, text: &str, given: &Given) -> Result<(), String> {
    match declare::check(place, text, given) {
        Ok(()) => Ok(()),
        Err(Failure::Settings(problems)) => {
            Err(problems.first().map_or_else(String::new, std::string::ToString::to_string))
        }
        Err(_) => Err("the configuration would not hold".to_owned()),
    }
}

/// In an order in which an interruption leaves every client either as it was or with a gateway that knows the server.
async fn carry_out(place: &Place, plan: &Plan, given: &Given) -> Result<PathBuf, Failure> {
    plan.files.iter().try_for_each(unchanged)?;
    init::write_new(&place.config, init::CONFIG)?;
    let place = &Place::at(&place.config, true, &given.surroundings)?;
    let mut stored = Vec::new();
    match put_in_force(place, plan, given, &mut stored).await {
        Ok(kept) => {
            reload(place).await;
            Ok(kept)
        }
        Err(failure) => {
            let left = undo::out_of_the_vault(place, &stored, given).await;
            given.say.aside("nothing is imported: what was written already is as it was before");
            if !left.is_empty() {
                given.say.aside(still_stored(&left));
            }
            Err(failure)
        }
    }
}

/// What came to the vault is in `stored`, whatever fails behind it.
async fn put_in_force(
    place: &Place,
    plan: &Plan,
    given: &Given,
    stored: &mut Vec<undo::InVault>,
) -> Result<PathBuf, Failure> {
    let starters = wrap::only_starters(place)?;
    for moved in &plan.moves {
        for one in &moved.secrets {
            let value = vault::Secret::from_input(one.value.as_bytes().to_vec())
                .with_context(|| format!("secret `{}`", one.name))?;
            let new = secret::New { server: Some(moved.server.clone()), ..Default::default() };
            let named = secret::Named { name: one.name.clone(), user: None };
            let version = secret::put(place, &named, new, &value, given).await?;
            stored.push(undo::InVault { named, version });
        }
    }
    let blocks: String = plan.moves.iter().filter_map(|one| one.block.as_deref()).collect();
    let before = fs::read_to_string(&place.config)?;
    let after = declare::appended(&before, &blocks);
    let new = plan.moves.iter().filter(|one| one.block.is_some() && starters);
    let policies =
        new.map(|one| place.policies_dir().join(format!("{STARTER}-{}.cedar", one.server))).collect();
    let record = Record {
        config: Piece::of(&place.config, &before, &after),
        files: plan.files.iter().map(|one| Piece::of(&one.file, &one.before, &one.after)).collect(),
        policies,
        secrets: stored.iter().map(|one| one.named.name.to_string()).collect(),
        entries: plan.moves.iter().filter_map(was).collect(),
    };
    declare::check(place, &after, given)?;
    let kept = undo::keep(place, &record)?;
    if let Err(failure) = write(place, plan, &after, &record) {
        // nobody has had the time to change a policy
        undo::give_up(&kept, &record)?;
        return Err(failure);
    }
    Ok(kept)
}

/// What stands for it in its client's file. It was found there to be replaced.
fn was(moved: &Move) -> Option<undo::Was> {
    let Move { entry, server, .. } = moved;
    let kept = edit::kept(&entry.text, entry).ok()?;
    Some(undo::Was { file: entry.file.clone(), keys: entry.keys.clone(), server: server.clone(), kept })
}

/// Of these, the names under which something is in the vault.
async fn stored(place: &Place, names: &[String]) -> anyhow::Result<Vec<String>> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let all = place.store_or_empty().await?.list_secrets(&place.scope()).await?;
    let is_there = |name: &&String| all.iter().any(|one| one.name.as_str() == name.as_str());
    Ok(names.iter().filter(is_there).cloned().collect())
}

fn still_stored(secrets: &[String]) -> String {
    format!("still in the vault: {}; `callgate secret remove` forgets them", secrets.join(", "))
}

fn write(place: &Place, plan: &Plan, config: &str, record: &Record) -> Result<(), Failure> {
    rewrite::replace(&place.config, config.as_bytes(), 0o600)?;
    for policy in &record.policies {
        init::write_new(policy, PLACEHOLDER)?;
    }
    for changed in &plan.files {
        unchanged(changed)?;
        rewrite::replace(&changed.file, changed.after.as_bytes(), 0o600)?;
    }
    Ok(())
}

/// A client may have written meanwhile.
fn unchanged(changed: &Changed) -> Result<(), Failure> {
    let file = changed.file.display();
    let now = fs::read_to_string(&changed.file).with_context(|| format!("cannot read `{file}`"))?;
    if now != changed.before {
        return Err(Failure::refused(format!(
            "`{file}` was changed meanwhile: nothing is imported, start again"
        )));
    }
    let mode = fs::metadata(&changed.file)?.permissions();
    if mode.readonly() {
        return Err(Failure::refused(format!("`{file}` is read-only: nothing is imported")));
    }
    Ok(())
}

/// A gateway that runs takes the new file; one that does not will.
async fn reload(place: &Place) {
    let Ok(socket) = place.socket_path() else { return };
    if control::ping(&socket).await.is_some() {
        let _ = control::ask(&socket, &control::Request::Reload).await;
    }
}

async fn undo(place: &Place, yes: bool, given: &Given) -> Outcome {
    let Some((path, record)) = undo::last(place)? else {
        return Err(Failure::refused("there is no import to take back".to_owned()));
    };
    given.say.aside("to be as they were before the import:");
    for piece in record.files.iter().chain([&record.config]) {
        given.say.aside(format!("  {}", piece.file.display()));
    }
    if !yes && !given.say.agreed("nothing was changed") {
        return Ok(Verdict::No);
    }
    let would_hold = |text: &str| would_hold(place, text, given);
    let stay = undo::take_back(&path, &record, would_hold)?;
    reload(place).await;
    let secrets = stored(place, &record.secrets).await?;
    let files: Vec<&PathBuf> = record.files.iter().map(|piece| &piece.file).collect();
    given.say.json(&json!({ "restored": files, "policies-kept": stay, "secrets-kept": secrets }));
    given.say.line(format!(
        "{} the configurations of clients are as they were, and the servers are taken out of `{}`",
        given.say.paint(32, "✓"),
        place.config.display()
    ));
    for policy in &stay {
        given.say.line(format!(
            "{} `{}` was changed by hand, so it stays: take out what names a server that is gone, or delete the file",
            given.say.paint(33, "!"),
            policy.display()
        ));
    }
    if !holds(place, given).await? {
        given.say.line(format!(
            "{} the rules that are left do not hold, so a gateway goes on with the old ones or does not start: \
             `callgate check` says where",
            given.say.paint(33, "!")
        ));
    }
    if !secrets.is_empty() {
        given.say.line(still_stored(&secrets));
    }
    Ok(Verdict::Yes)
}

/// Whether the rules that there are now fit the servers that there are now.
async fn holds(place: &Place, given: &Given) -> Result<bool, Failure> {
    let place = Place::at(&place.config, false, &given.surroundings)?;
    let store = place.store_or_empty().await?;
    Ok(super::policy::problems(&place, &store).await?.is_empty())
}

fn answer(plan: &Plan, kept: Option<&PathBuf>) -> serde_json::Value {
    json!({
        "imported": plan.moves.iter().map(|one| json!({
            "client": one.entry.client, "file": one.entry.file, "name": one.entry.name, "project": one.entry.project(), "server": one.server,
            "secrets": one.secrets.iter().map(|one| one.name.to_string()).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "left": plan.left.iter().map(|one| json!({
            "client": one.entry.client, "file": one.entry.file, "name": one.entry.name, "project": one.entry.project(), "because": one.why,
        })).collect::<Vec<_>>(),
        "undo": kept,
    })
}

/// What would change, file by file; a secret is named and never shown. Programs get it too: it stands before the question.
fn tell(say: Say, plan: &Plan, place: &Place) {
    let (minus, plus) = (say.paint(31, "-"), say.paint(32, "+"));
    for changed in &plan.files {
        say.aside(format!("{}", changed.file.display()));
        for one in plan.moves.iter().filter(|one| one.entry.file == changed.file) {
            change(say, one, &minus, &plus);
        }
    }
    if plan.moves.iter().any(|one| one.block.is_some()) {
        say.aside(format!("{}", place.config.display()));
    }
    for one in &plan.moves {
        let lines = one.block.iter().flat_map(|block| block.lines()).filter(|line| !line.is_empty());
        for line in lines {
            say.aside(format!("  {plus} {}", one_line(&credentials::hidden(&one.entry, line))));
        }
    }
    if plan.moves.iter().any(|one| !one.secrets.is_empty()) {
        say.aside("the vault");
    }
    for stored in plan.moves.iter().flat_map(|one| &one.secrets) {
        say.aside(format!("  {plus} {} = ••••••", stored.name));
    }
    for (one, what) in plan.moves.iter().flat_map(|one| one.stays.iter().map(move |what| (one, what))) {
        say.aside(format!(
            "! {what} of `{}` is a credential, and stays one in the configuration",
            one.server
        ));
    }
    for one in &plan.left {
        let (client, name) = (one.entry.client, one_line(&one.entry.title()));
        say.aside(format!(
            "! {client}/{name} stays as it is: {}; by hand: docs/configuration.md",
            one_line(&one.why)
        ));
    }
}

fn change(say: Say, one: &Move, minus: &str, plus: &str) {
    say.aside(format!("  {}/{}", one.entry.client, one_line(&one.entry.title())));
    way(say, &one.entry, minus);
    say.aside(format!("  {plus}   callgate wrap --name {}", one.server));
}

/// How an entry is reached, without what is a secret.
fn way(say: Say, one: &Entry, mark: &str) {
    let asked = one.url.as_ref().is_some_and(|url| url.contains('?'));
    let asked = if asked { "?••••••" } else { "" };
    say.aside(format!("  {mark}   {}{asked}", one_line(&entry::reached(one))));
    if let Some(cwd) = &one.cwd {
        say.aside(format!("  {mark}   cwd = {}", one_line(cwd)));
    }
    for (name, value) in one.env.iter().chain(&one.headers) {
        let is_secret = credentials::is_secret(name, value) || one.headers.contains_key(name);
        let shown = if is_secret { "••••••" } else { value };
        say.aside(format!("  {mark}   {} = {}", one_line(name), one_line(shown)));
    }
}
