//! `callgate policy test`: what the rules should say, written as data.

use super::{misfit, subject};
use crate::{
    cli::Given,
    failure::{Failure, Outcome, Verdict},
    place::Place,
    say::table::{Cell, whole, wrapped},
    sources::SystemClock,
};
use anyhow::{Context as _, anyhow};
use decision::approval::Cure;
use decision::{
    Actor, AgentName, Clock as _, GroupName, ItemKind, Principal, RuleId, Timestamp, Transport, User,
    UserName, counted,
};
use gateway::Live;
use policy::{Answer, Asker, Circumstances, Question, Subject};
use serde::Deserialize;
use serde_json::json;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// A file of cases.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Cases {
    #[serde(rename = "case")]
    cases: Vec<Case>,
}

/// One question, and what the answer should be.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Case {
    /// What it shows.
    name: String,
    agent: AgentName,
    /// Of the agent.
    #[serde(default)]
    groups: BTreeSet<GroupName>,
    /// The person it acts for.
    user: Option<UserName>,
    #[serde(default)]
    user_groups: BTreeSet<GroupName>,
    /// The name the Host claims.
    host: Option<String>,
    /// A tool as `/mcp` names it.
    call: String,
    #[serde(default)]
    arguments: toml::Table,
    /// When it is asked, such as `2026-11-26T22:30:00Z`; now unless said otherwise.
    at: Option<String>,
    expect: Expected,
    /// Whose yes it waits for, where it is held.
    by: Option<String>,
    /// Rules that must be among those it rests on.
    #[serde(default)]
    rules: Vec<RuleId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Expected {
    Allowed,
    Held,
    Refused,
    /// Refused, and not shown in lists either.
    Hidden,
}

impl Expected {
    fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Held => "held",
            Self::Refused => "refused",
            Self::Hidden => "hidden",
        }
    }
}

/// What the rules said.
struct Said {
    what: Expected,
    by: Option<Cure>,
    rules: Vec<RuleId>,
    told: String,
}

/// Runs every case of the files, or of `*.test.toml` beside the rules. The answer is no when one is not as written.
pub(super) fn run(files: &[PathBuf], given: &Given, place: &Place, live: &Live) -> Outcome {
    let files = if files.is_empty() { beside(&place.policies_dir())? } else { files.to_vec() };
    if files.is_empty() {
        let dir = place.policies_dir();
        let sentence = format!("there is no `*.test.toml` in `{}`", dir.display());
        return Err(Failure::refused(sentence));
    }
    let (mut rows, mut values, mut wrong) = (Vec::new(), Vec::new(), 0);
    for file in &files {
        let text = fs::read_to_string(file).with_context(|| format!("cannot read `{}`", file.display()))?;
        let cases: Cases =
            toml::from_str(&text).with_context(|| format!("`{}` does not hold cases", file.display()))?;
        for case in &cases.cases {
            // a case that cannot be asked is as little as written, and hides no other
            let said = ask(case, place, live).map_err(|error| format!("cannot be asked: {error:#}"));
            let problem = said.as_ref().map_or_else(|why| Some(why.clone()), |said| differs(case, said));
            wrong += usize::from(problem.is_some());
            values.push(json!({
                "file": file, "case": case.name, "ok": problem.is_none(),
                "answer": said.as_ref().ok().map(|said| said.what.as_str()),
                "rules": said.as_ref().map_or(&[][..], |said| &said.rules), "problem": problem,
            }));
            let mark = match &problem {
                None => Cell::painted(32, "ok"),
                Some(_) => Cell::painted(31, "wrong"),
            };
            let told = problem.or_else(|| said.ok().map(|said| said.told)).unwrap_or_default();
            rows.push(vec![mark, case.name.clone().into(), told.into()]);
        }
    }
    let total = values.len();
    let are = if total == 1 { "is" } else { "are" };
    given.say.json(&values);
    given.say.table(&[whole(""), wrapped("case"), wrapped("answer")], rows);
    given.say.line(format!("{} of {} {are} as written", total - wrong, counted(total, "case")));
    Ok(if wrong == 0 { Verdict::Yes } else { Verdict::No })
}

fn beside(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot read `{}`", dir.display())),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(".test.toml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn ask(case: &Case, place: &Place, live: &Live) -> anyhow::Result<Said> {
    let (server, name) = subject(&case.call).map_err(|_| anyhow!("`{}` is not `server__tool`", case.call))?;
    let item = live.catalogue.item(&server, ItemKind::Tool, name);
    let item = item.ok_or_else(|| anyhow!("no accepted tool is called `{}`", case.call))?;
    let scope = place.scope();
    let principal = Principal {
        tenant: scope.tenant,
        environment: scope.environment,
        actor: Actor::Agent(case.agent.clone()),
        groups: case.groups.clone(),
        user: case.user.clone().map(|name| User { name, groups: case.user_groups.clone() }),
    };
    let arguments = serde_json::to_vec(&case.arguments)?;
    if let Some(misfit) = misfit(live, (&server, name), item.definition.digest(), &arguments)? {
        let told = format!("refused: {misfit}");
        return Ok(Said { what: Expected::Refused, by: None, rules: Vec::new(), told });
    }
    let asker = Asker { principal: &principal, host: case.host.as_deref() };
    let subject = Subject { server: &server, kind: ItemKind::Tool, name };
    let circumstances = Circumstances {
        now: time(case.at.as_deref())?,
        transport: Transport::Http,
        era: None,
        model: None,
        workflow: None,
    };
    let question = Question { asker, subject, method: "tools/call", arguments: &arguments, circumstances };
    let hidden = !live.policies.see(asker, subject).is_allowed();
    Ok(said(live.policies.call(&question), hidden))
}

fn said(answer: Answer, hidden: bool) -> Said {
    let names = |rules: &[RuleId]| rules.iter().map(RuleId::as_str).collect::<Vec<_>>().join(", ");
    match answer {
        Answer::Allowed { basis } => {
            let told = format!("allowed by {}", names(&basis));
            Said { what: Expected::Allowed, by: None, rules: basis, told }
        }
        Answer::Held(held) => {
            let told = format!("held by {} for {}", names(&held.rules), held.cure);
            Said { what: Expected::Held, by: Some(held.cure), rules: held.rules, told }
        }
        Answer::Refused { rules, detail, .. } => {
            let what = if hidden { Expected::Hidden } else { Expected::Refused };
            Said { what, by: None, told: format!("{}: {detail}", what.as_str()), rules }
        }
    }
}

/// What is not as written, in one sentence.
fn differs(case: &Case, said: &Said) -> Option<String> {
    // what is hidden is refused as well
    let fits = case.expect == said.what || (case.expect, said.what) == (Expected::Refused, Expected::Hidden);
    if !fits {
        return Some(format!("should be {}, and is {}", case.expect.as_str(), said.told));
    }
    if let Some(by) = &case.by {
        // written in another order it is the same
        let meant = by.parse::<Cure>().map(|cure| cure.to_string());
        if said.by.as_ref().map(ToString::to_string) != meant.ok() {
            return Some(format!("should be held for {by}, and is {}", said.told));
        }
    }
    let missing = case.rules.iter().find(|rule| !said.rules.contains(rule))?;
    Some(format!("should rest on `{missing}`, and is {}", said.told))
}

fn time(at: Option<&str>) -> anyhow::Result<Timestamp> {
    let Some(at) = at else { return Ok(SystemClock.now()) };
    let at: jiff::Timestamp = at.parse().with_context(|| format!("`{at}` is not a time"))?;
    Ok(Timestamp(u64::try_from(at.as_microsecond()).context("a time before 1970")?))
}
