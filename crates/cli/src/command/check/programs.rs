//! Programs that could not be started where this runs.

use crate::surroundings::Surroundings;
use decision::ServerName;
use gateway::settings::{Reach, Settings};
use launch::LaunchError;
use std::path::Path;

/// One sentence for each server. The gateway may run elsewhere, so none of it is more than a warning.
pub(super) fn look(settings: &Settings, surroundings: &Surroundings) -> Vec<String> {
    settings.servers.iter().filter_map(|(name, server)| fault(name, &server.reach, surroundings)).collect()
}

fn fault(name: &ServerName, reach: &Reach, surroundings: &Surroundings) -> Option<String> {
    let Reach::Stdio { command, args, env, cwd } = reach else { return None };
    let mut would = launch::Command::new(command);
    would.cwd.clone_from(cwd);
    for (variable, value) in surroundings.passable.iter().chain(env) {
        would = would.env(variable.clone(), value.clone());
    }
    let why = would.look().err()?;
    let help = split(command, args).filter(|_| !matches!(why, LaunchError::Directory { .. }));
    let help = help.unwrap_or_else(|| help_for(&why, command).to_owned());
    Some(format!("server `{name}` would not start here: {why}: {help}"))
}

fn help_for(why: &LaunchError, command: &Path) -> &'static str {
    if matches!(why, LaunchError::Directory { .. }) {
        return "make it, or name another as `cwd`; a gateway that runs elsewhere may have it";
    }
    let is_searched = command.components().count() == 1;
    match matches!(why, LaunchError::NotFound { .. }) && is_searched {
        true => "a gateway that runs elsewhere, or with another PATH, may find it",
        false => "a gateway that runs elsewhere may have it",
    }
}

/// How a whole command line is written, where it stands as the name of a program.
fn split(command: &Path, args: &[String]) -> Option<String> {
    let text = command.to_str().filter(|text| !text.contains(['"', '\'', '\\']))?;
    let mut words = text.split_whitespace();
    let (program, first) = (words.next()?, words.next()?);
    let all: Vec<String> = std::iter::once(first).chain(words).map(|word| format!("\"{word}\"")).collect();
    let more = if args.is_empty() { "" } else { " before those that are there" };
    Some(format!(
        "there is no shell, so write `command = \"{program}\"` and `args = [{}]`{more}",
        all.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_taken_apart_and_a_path_with_a_blank_is_left() {
        let said = split(Path::new("npx -y foo"), &[]).unwrap();
        assert!(said.ends_with(r#"`command = "npx"` and `args = ["-y", "foo"]`"#), "{said}");
        assert_eq!(split(Path::new("/opt/it"), &[]), None);
        assert_eq!(split(Path::new("sh -c 'x y'"), &[]), None, "quotes are a shell's");
    }
}
