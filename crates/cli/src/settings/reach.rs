//! How a server is reached: an address or a program.

use super::{file, networks, plain::asks_plainly, problem::Crossing};
use gateway::settings::Reach;
use std::path::{Path, PathBuf};
use toml::Spanned;

/// What `url` and `transport`, or `command` and what belongs to it, mean.
pub(super) fn reach(
    crossing: &mut Crossing<'_>,
    name: &Spanned<String>,
    written: &file::Server,
    base: &Path,
) -> Option<Reach> {
    match (&written.url, &written.command) {
        (Some(url), None) => {
            of_programs(crossing, written);
            let parsed =
                url::Url::parse(url.get_ref()).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
            let Some(parsed) = parsed else {
                crossing.hidden(url.span(), "`url` must be an http or https address", None);
                return None;
            };
            if !parsed.username().is_empty() || parsed.password().is_some() || !asks_plainly(&parsed) {
                let help = "store it with `callgate secret set` and name it under `credentials`";
                crossing.hidden(url.span(), "a credential does not belong into the address", Some(help));
                return None;
            }
            if let Some(meant) = networks::other_spelling(url.get_ref(), &parsed) {
                let help = format!("write `{meant}`");
                crossing.problem(url.span(), "the host is not written as it is meant", Some(&help));
                return None;
            }
            Some(match written.transport.as_ref().map(Spanned::get_ref) {
                Some(file::Transport::Sse) => Reach::Sse { url: parsed },
                Some(file::Transport::StreamableHttp) | None => Reach::Http { url: parsed },
            })
        }
        (None, Some(command)) => {
            if command.get_ref().trim().is_empty() {
                crossing.problem(command.span(), "`command` is empty", None);
                return None;
            }
            let texts = std::iter::once(command).chain(&written.args).chain(&written.cwd);
            if let Some(bad) = texts.clone().find(|text| text.get_ref().contains('\0')) {
                // an argument may be a secret
                let message = "a program's name, arguments and folder hold no zero byte";
                crossing.hidden(bad.span(), message, None);
                return None;
            }
            if let Some(first) = written.networks.first() {
                crossing.problem(first.span(), "`networks` is for a server with `url`", None);
            }
            if let Some(transport) = &written.transport {
                crossing.problem(transport.span(), "`transport` is for a server with `url`", None);
            }
            let env = written.env.iter().map(|(name, value)| variable(crossing, name, value.get_ref()));
            // all of them are looked at before giving up
            let env: Vec<_> = env.collect();
            Some(Reach::Stdio {
                command: PathBuf::from(command.get_ref()),
                args: written.args.iter().map(|arg| arg.get_ref().clone()).collect(),
                env: env.into_iter().collect::<Option<_>>()?,
                cwd: written.cwd.as_ref().map(|dir| base.join(dir.get_ref())),
            })
        }
        (Some(_), Some(command)) => {
            crossing.problem(command.span(), "a server has either `url` or `command`, not both", None);
            None
        }
        (None, None) => {
            let message = format!("server `{}` needs `url` or `command`", name.get_ref());
            crossing.problem(name.span(), message, None);
            None
        }
    }
}

/// What is said of a program where there is an address. The values are not shown: people pass secrets there.
fn of_programs(crossing: &mut Crossing<'_>, written: &file::Server) {
    let values = written.args.iter().chain(written.env.values());
    values.for_each(|value| crossing.hide(value.span()));
    let first = [
        ("args", written.args.first().map(Spanned::span)),
        ("env", written.env.keys().next().map(Spanned::span)),
        ("cwd", written.cwd.as_ref().map(Spanned::span)),
    ];
    for (key, at) in first {
        let Some(at) = at else { continue };
        crossing.hidden(at, format!("`{key}` is for a server with `command`"), None);
    }
}

/// A variable of a child, if a system can have it.
fn variable(crossing: &mut Crossing<'_>, name: &Spanned<String>, value: &str) -> Option<(String, String)> {
    if !is_variable(name.get_ref()) {
        // somebody may have written the value there, which may be a secret
        let help = "a name has a character, and no `=`, line break or zero byte";
        crossing.hidden(name.span(), "a name under `env` cannot be the name of a variable", Some(help));
        return None;
    }
    if value.contains('\0') {
        let message = format!("the value of `{}` under `env` holds a zero byte", name.get_ref());
        crossing.problem(name.span(), message, None);
        return None;
    }
    Some((name.get_ref().clone(), value.to_owned()))
}

/// Whether a system takes it for the name of a variable, and all others read it as the same.
pub(super) fn is_variable(name: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\n', '\r', '\0'])
}
