//! `callgate check`: everything that can be known without starting anything.

mod architecture;
mod kept;
mod names;
mod programs;
mod sealed;
mod withheld;

use crate::{
    cli::Given,
    command::{check_token, running, secret},
    failure::{Failure, Outcome, Verdict},
    place::Place,
    say::Say,
    settings::Located,
    sources::SystemClock,
};
use clap::Args as ClapArgs;
use decision::{Clock as _, ServerName, counted};
use gateway::{
    listen::tls::{Keys, TlsError},
    settings::{CredentialUse, Mode, Source},
};
use kept::Kept;
use serde_json::json;

#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    #[command(flatten)]
    sample: check_token::SampleArgs,
}

/// What was found about a configuration that can be read.
struct Found {
    errors: Vec<policy::Problem>,
    warnings: Vec<policy::Problem>,
    unusable_tools: Vec<withheld::Tool>,
    kept: Kept,
    /// Files that have secrets for development and cannot be used.
    unusable: Vec<String>,
    tls: Result<Option<Keys>, TlsError>,
    /// What else is good to know.
    notes: Vec<String>,
    /// Budgets that refuse every call of a tool.
    uncountable: Vec<String>,
    /// Repetitions that make little sense, and words about tools that nobody shows.
    repeated: Vec<String>,
    /// How the running gateway goes by something else than these files.
    running: Vec<String>,
    /// Files that are not read, or that others can write.
    files: Vec<String>,
    /// Servers whose program is not here.
    programs: Vec<String>,
    /// Mistakes of the whole set-up.
    architecture: Vec<architecture::Mistake>,
    rules: usize,
}

impl Found {
    fn problems(&self) -> usize {
        let others = [self.tls.is_err(), !self.kept.vault.is_good()];
        self.errors.len()
            + self.kept.missing.len()
            + self.kept.faults.len()
            + self.unusable.len()
            + others.into_iter().filter(|bad| *bad).count()
    }
}

pub(crate) async fn run(args: Args, given: &Given) -> Outcome {
    let place = match given.place() {
        Ok(place) => place,
        Err(Failure::Settings(problems)) => {
            given
                .say
                .json(&json!({ "ok": false, "settings": problems.iter().map(located).collect::<Vec<_>>() }));
            if !given.say.json {
                given.say.failure(&Failure::Settings(problems));
            }
            return Ok(Verdict::No);
        }
        Err(failure) => return Err(failure),
    };
    if args.sample.asked() {
        return check_token::run(&args.sample, given, &place).await;
    }
    let found = look(&place, given).await?;
    let good = found.problems() == 0;
    given.say.json(&json!({
        "ok": good,
        "config": place.config,
        "written": place.written,
        "servers": place.meant.settings.servers.len(),
        "rules": found.rules,
        "errors": found.errors.iter().map(problem).collect::<Vec<_>>(),
        "warnings": found.warnings.iter().map(problem).collect::<Vec<_>>(),
        "missing-secrets": found.kept.missing.iter().map(secret::Missing::json).collect::<Vec<_>>(),
        "unusable-sources": found.unusable,
        "vault": found.kept.vault.json(),
        "store": found.kept.faults,
        "notes": found.notes,
        "pending": withheld::pending(&found.kept.pending, &found.kept.served),
        "unusable-tools": found.unusable_tools,
        "uncountable": found.uncountable,
        "repeated": found.repeated,
        "programs": found.programs,
        "architecture": found.architecture,
        "running": found.running,
        "files": found.files,
        "not-seen-yet": found.kept.unseen,
        "records": found.kept.records,
        "observe": observing(&place),
        "tls-error": found.tls.as_ref().err().map(ToString::to_string),
        "tls-error-line": found.tls.as_ref().err().and_then(|error| place.meant.lines.get(error.path())),
        "certificate-expires-in-days": days(&found),
        "development-sources": place.meant.settings.from_development_sources()
            .map(|(server, secret)| json!({ "server": server, "secret": secret })).collect::<Vec<_>>(),
    }));
    if !given.say.json {
        tell(given, &place, &found);
    }
    Ok(good.into())
}

async fn look(place: &Place, given: &Given) -> Result<Found, Failure> {
    let (store, faults) = kept::open(place).await?;
    let written = gateway::Written {
        settings: std::sync::Arc::new(place.meant.settings.clone()),
        policies: place.policies()?,
    };
    let loader = policy::Loader::default();
    let eras = std::collections::BTreeMap::new();
    let built = gateway::build(&store, &loader, &written, None, &eras, gateway::Fit::Strict).await?;
    let (pending, unseen) = match faults.is_empty() {
        true => kept::waiting(place, &store).await?,
        false => Default::default(),
    };
    let (budgets, catalogue) = (&place.meant.settings.budgets, &built.live.catalogue);
    let plan = architecture::Plan {
        place,
        catalogue,
        policies: &built.live.policies,
        pending: &pending,
        now: SystemClock.now(),
    };
    let architecture = architecture::look(&plan)?;
    let (nobody, noted) = names::look(place, &store, &built.live.policies).await?;
    Ok(Found {
        uncountable: super::budgets::uncountable(budgets, catalogue),
        repeated: [repeated(&place.meant.settings, catalogue), idle(&place.meant.settings, catalogue)]
            .concat(),
        architecture,
        files: place.remarks(),
        running: running::ask(place).await.map_or_else(Vec::new, |now| running::differences(&now, place)),
        notes: undecidable(place, &built.live.policies)
            .into_iter()
            .chain(noted)
            .chain(shared(&built.live.catalogue))
            .collect(),
        unusable_tools: withheld::unusable(&built.live),
        warnings: built
            .live
            .warnings()
            .into_iter()
            // of rules that do not load, nobody can say whom they would let see what
            .filter(|warning| built.problems.is_empty() || warning.unseen.is_none())
            .chain(nobody)
            .collect(),
        programs: programs::look(&place.meant.settings, &given.surroundings),
        rules: built.live.policies.rules().count(),
        errors: built.problems.clone(),
        kept: match faults.is_empty() {
            true => Kept::look(place, store, built.live, (pending, unseen)).await?,
            false => Kept { faults, ..Kept::default() },
        },
        unusable: unusable(&place.meant.settings),
        tls: crate::serve::files::keys(&place.meant.settings),
    })
}

/// Why secrets that are in files for development cannot be used, and what the backend of the others needs.
fn unusable(settings: &gateway::Settings) -> Vec<String> {
    let credentials =
        settings.servers.iter().flat_map(|(name, one)| one.credentials.iter().map(move |c| (name, c)));
    let fault = |(server, one): (&ServerName, &CredentialUse)| {
        let Source::File(path) = &one.source else { return None };
        let why = ::vault::backend::unusable(path)?;
        Some(format!("the secret `{}` of server `{server}`: {why}", one.secret))
    };
    let kv = settings.vault.kv.iter();
    let backend = kv.flat_map(|kv| {
        let login = kv.kv.login.unusable().map(|why| format!("`[vault.kv]` cannot log in: {why}"));
        let trust = kv.ca_file.as_deref().and_then(gateway::backends::unusable_authorities);
        login.into_iter().chain(trust.map(|why| why.to_string()))
    });
    credentials.filter_map(fault).chain(backend).collect()
}

/// Where calls are held for people and there are no pages on which they decide.
fn undecidable(place: &Place, policies: &policy::Policies) -> Option<String> {
    let settings = &place.meant.settings;
    let held = policies.rules().any(|rule| rule.unless_approved.is_some())
        || settings.budgets.iter().any(|budget| budget.cure.is_some());
    (held && !settings.approvals.pages).then(|| {
        "the console is off, so calls that wait for people are decided with `callgate approvals` alone"
            .to_owned()
    })
}

/// Addresses that two servers offer, as they were accepted of both.
fn shared(catalogue: &catalog::Catalogue) -> Vec<String> {
    let of =
        |server| catalogue.shared_addresses(server).into_iter().map(move |said| format!("{server}: {said}"));
    catalogue.servers().flat_map(|(server, _)| of(server)).collect()
}

/// What is said of repetitions and makes little sense for the tool it is said of.
fn repeated(settings: &gateway::Settings, catalogue: &catalog::Catalogue) -> Vec<String> {
    let mut found = Vec::new();
    for (server, entry) in catalogue.servers() {
        let Some(said) = settings.servers.get(server).map(|one| &one.declarations) else { continue };
        for item in entry.of_kind(decision::ItemKind::Tool).filter(|item| item.drafting.is_none()) {
            let (name, effect) = (item.definition.name(), item.classified.effect);
            let tool = catalog::federated(server, name);
            if said.idempotency(name).is_some() && effect == catalog::Effect::Read {
                found.push(format!(
                    "`{tool}` reads, and `idempotency` has it answer what it read first, until the window is over"
                ));
            }
            if said.repeats_unknown(name) && effect == catalog::Effect::Destructive {
                found.push(format!(
                    "`{tool}` is destructive, and `repeat-unknown` lets a call be sent again that may have happened"
                ));
            }
        }
    }
    found
}

/// What is said of tools and fits none that was accepted: most likely it is misspelt, and then nobody does what it says.
fn idle(settings: &gateway::Settings, catalogue: &catalog::Catalogue) -> Vec<String> {
    let mut found = Vec::new();
    for (server, entry) in catalogue.servers() {
        let Some(said) = settings.servers.get(server) else { continue };
        let names: Vec<_> =
            entry.of_kind(decision::ItemKind::Tool).map(|item| item.definition.name()).collect();
        // nothing was accepted yet, and what will be is not known
        if names.is_empty() {
            continue;
        }
        let misspelt = "no accepted tool of it is called that";
        for pattern in said.declarations.idle(&names) {
            found.push(format!("`tools.\"{pattern}\"` of server `{server}` says nothing: {misspelt}"));
        }
        for name in said.open_arguments.iter().filter(|name| !names.contains(&name.as_str())) {
            found.push(format!("`open-arguments` of server `{server}` opens no `{name}`: {misspelt}"));
        }
    }
    found
}

fn observing(place: &Place) -> Vec<&ServerName> {
    let servers = place.meant.settings.servers.iter();
    servers.filter(|(_, server)| server.mode == Mode::Observe).map(|(name, _)| name).collect()
}

/// Whose secret is missing.
fn in_need(server: &ServerName) -> String {
    match server.as_str() {
        gateway::introspection::PROVIDER => "`introspection` of the issuer".to_owned(),
        gateway::webhooks::WEBHOOK => "a webhook".to_owned(),
        _ => format!("server `{server}`"),
    }
}

fn tell(given: &Given, place: &Place, found: &Found) {
    let say = given.say;
    for problem in found.errors.iter().chain(&found.warnings) {
        say.aside(say.render(problem).trim_end());
    }
    for fault in &found.kept.faults {
        say.line(format!("{} {}", say.paint(31, "✗"), crate::say::one_line(fault)));
    }
    for one in &found.kept.missing {
        let (mark, whose) = (say.paint(31, "✗"), in_need(&one.server));
        say.line(format!("{mark} {whose} needs the secret `{}`: {}", one.secret, one.advice()));
    }
    tell_of_files(say, place, found);
    withheld::tell(say, &found.kept, &found.unusable_tools);
    let mistakes: Vec<String> = found.architecture.iter().map(architecture::Mistake::sentence).collect();
    let said = found.uncountable.iter().chain(&found.repeated).chain(&found.kept.records).chain(&found.notes);
    let said = said.chain(&found.programs);
    for line in said.chain(&mistakes).chain(&found.files).chain(&found.running) {
        say.line(format!("{} {}", say.paint(33, "!"), crate::say::one_line(line)));
    }
    for server in &found.kept.unseen {
        say.line(format!(
            "{} server `{server}` was never reached yet, so rules about it could not be checked",
            say.paint(33, "!")
        ));
    }
    for server in observing(place) {
        say.line(format!("{} server `{server}` only observes: its rules refuse nothing", say.paint(33, "!")));
    }
    for (server, secret) in place.meant.settings.from_development_sources() {
        say.line(format!(
            "{} the secret `{secret}` of server `{server}` is in a file or a variable: for development only",
            say.paint(33, "!")
        ));
    }
    if !place.written {
        say.line(format!(
            "{} there is no `{}`: `callgate init` writes one",
            say.paint(33, "!"),
            place.config.display()
        ));
    }
    found.kept.vault.tell(say);
    nothing(say, place, found);
    let servers = place.meant.settings.servers.len();
    let problems = found.problems();
    if problems == 0 {
        let (servers, rules) = (counted(servers, "server"), counted(found.rules, "rule"));
        say.line(format!("{} {servers}, {rules}: good", say.paint(32, "✓")));
    } else {
        say.line(format!("{} {}", say.paint(31, "✗"), counted(problems, "problem")));
    }
}

/// What is wrong with files of secrets and of the listener.
fn tell_of_files(say: Say, place: &Place, found: &Found) {
    for line in &found.unusable {
        say.line(format!("{} {}", say.paint(31, "✗"), crate::say::one_line(line)));
    }
    if let Err(error) = &found.tls {
        let line = place.meant.lines.get(error.path());
        let at = line.map(|line| format!("`{}`, line {line}: ", place.config.display())).unwrap_or_default();
        say.line(format!("{} {at}{error}", say.paint(31, "✗")));
    }
    if let Some(days) = days(found) {
        say.line(format!(
            "{} the certificate expires in {}: get a new one",
            say.paint(33, "!"),
            counted(days, "day")
        ));
    }
}

/// Says that what was found good lets nobody do anything.
fn nothing(say: Say, place: &Place, found: &Found) {
    if place.meant.settings.servers.is_empty() {
        let config = place.config.display();
        say.line(format!(
            "{} no server is named in `{config}`, so there is nothing to use: name one under `[servers.NAME]`",
            say.paint(33, "!")
        ));
    }
    let broken = found.errors.iter().find_map(crate::serve::files::place_of);
    if let (0, Some(place)) = (found.rules, broken) {
        say.line(format!(
            "{} no rule holds, because what is written does not: see {place}",
            say.paint(31, "✗")
        ));
    } else if found.rules == 0 {
        let policies = place.policies_dir();
        let but = if observing(place).is_empty() { "" } else { " of a server that does not only observe" };
        say.line(format!(
            "{} there is no rule in `{}`, so every call{but} is refused: `callgate init` writes a first policy when servers \
             were looked at, docs/policy.md says how to write one",
            say.paint(33, "!"),
            policies.display()
        ));
    }
}

/// Days until the listener's certificate expires, where that is soon.
fn days(found: &Found) -> Option<u64> {
    found.tls.as_ref().ok()?.as_ref()?.expires_soon(SystemClock.now())
}

fn located(problem: &Located) -> serde_json::Value {
    json!({
        "code": problem.kind.as_str(), "file": problem.source_code.name(), "line": problem.line,
        "column": problem.column, "message": problem.message, "help": problem.help,
    })
}

fn problem(problem: &policy::Problem) -> serde_json::Value {
    let place = problem.place();
    json!({
        "message": problem.message, "help": problem.help, "rule": problem.rule,
        "path": place.map(|(path, _, _)| path), "line": place.map(|(_, line, _)| line),
        "column": place.map(|(_, _, column)| column),
    })
}
