//! `callgate init`: a first configuration and a first policy, both commented.

use crate::{
    cli::Given,
    command::import::PLACEHOLDER,
    failure::{Failure, Outcome, Verdict},
    place::{self, Place},
    rewrite,
};
use anyhow::Context as _;
use clap::Args as ClapArgs;
use serde_json::json;
use std::{
    fs::{self, DirBuilder},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// Into your configuration folder instead of this one
    #[arg(long, conflicts_with = "config")]
    user: bool,
}

/// The first configuration.
pub(crate) const CONFIG: &str = include_str!("../../assets/callgate.toml");
/// What the names of policy files begin with that a program wrote.
pub(crate) const STARTER: &str = "starter";

pub(crate) async fn run(args: Args, given: &Given) -> Outcome {
    let config = match &given.config {
        Some(config) => config.clone(),
        None if args.user => place::users(&given.surroundings)?,
        None => PathBuf::from("callgate.toml"),
    };
    let mut written = Vec::new();
    if write_new(&config, CONFIG)? {
        written.push(config.clone());
    }
    let place = Place::at(&config, true, &given.surroundings)?;
    let path = place.policies_dir().join(format!("{STARTER}.cedar"));
    let policies = place.policies()?;
    // rules of one's own are never added to, and what `callgate wrap` wrote of single servers stands already
    let untouched = |one: &policy::Source| policy::is_untouched(&one.text) || one.text == PLACEHOLDER;
    let all_ours = policies.iter().all(untouched);
    let only_ours = all_ours && policies.iter().all(|one| Path::new(&one.path) == path);
    if only_ours {
        let text = super::policy::starter(&place, &place.store_or_empty().await?).await?;
        match policies.first() {
            Some(before) if before.text == text => {}
            Some(_) => {
                rewrite::replace(&path, text.as_bytes(), 0o600)?;
                written.push(path);
            }
            None => {
                if write_new(&path, &text)? {
                    written.push(path);
                }
            }
        }
    }
    given.say.json(&json!({ "written": written }));
    for path in &written {
        given.say.line(format!("wrote `{}`", path.display()));
    }
    if written.is_empty() {
        return Err(Failure::refused(nothing(&config, &policies, only_ours, all_ours)));
    }
    given.say.line(if place.meant.settings.servers.is_empty() {
        "next: name your servers in it, then `callgate check` and `callgate serve`"
    } else {
        "next: `callgate check`, and `callgate serve` where it does not run"
    });
    Ok(Verdict::Yes)
}

/// Why nothing was written, and what helps.
fn nothing(config: &Path, policies: &[policy::Source], only_ours: bool, all_ours: bool) -> String {
    let config = config.display();
    if only_ours {
        let is_empty = !policies.iter().any(|one| one.text.contains("@id("));
        let holds = if is_empty {
            "is empty, because no server was looked at"
        } else {
            "holds what its servers are known to offer"
        };
        return format!(
            "`{config}` is there, and its first policy {holds}: start `callgate serve` so that they are looked at, then run \
             this again"
        );
    }
    let named: Vec<String> = policies.iter().map(|one| format!("`{}`", one.path)).collect();
    if all_ours {
        return format!(
            "`{config}` is there, and callgate has written first policies for its servers one by one: {}. What else may be used \
             is yours to write there",
            named.join(", ")
        );
    }
    format!(
        "`{config}` and its policies exist already, and {} {} rules of your own: what may be used is said there. For a first \
         policy from what the servers offer, move {} away and run this again",
        named.join(", "),
        if named.len() == 1 { "holds" } else { "hold" },
        if named.len() == 1 { "it" } else { "them" },
    )
}

/// Writes a file that is not there yet, whole or not at all. False when there is one already.
pub(crate) fn write_new(path: &Path, text: &str) -> anyhow::Result<bool> {
    let fail = || format!("cannot write `{}`", path.display());
    if path.try_exists().with_context(fail)? {
        return Ok(false);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(fail)?;
    let mut new = path.as_os_str().to_owned();
    new.push(format!(".{}.new", std::process::id()));
    let new = PathBuf::from(new);
    let written = rewrite::write(&new, text.as_bytes(), 0o600, None);
    // unlike a rename, a link never replaces what another process has just written
    let linked = written.is_ok().then(|| fs::hard_link(&new, path));
    // whatever came of it, half a file helps nobody
    let removed = fs::remove_file(&new);
    written.and(removed).with_context(fail)?;
    match linked.unwrap_or(Ok(())) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error).with_context(fail),
    }
}
