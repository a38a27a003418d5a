//! What a server has of the client that starts it, and would not have of the gateway: a folder, and variables.

use crate::command::scan::{clients::Entry, container, credentials, entry, fetched};
use std::path::{Component, Path, PathBuf};

/// Options whose value is the folder that what follows is relative to.
const FOLDERS: [&str; 5] = ["--directory", "--cwd", "-C", "--dir", "--prefix"];
/// A program whose first word beside its options is a file, whatever that is called.
struct Runs {
    programs: &'static [&'static str],
    /// Single letters, which may stand together, and whole options after which it is none.
    other: (&'static [char], &'static [&'static str]),
    /// Options whose value stands in a word of its own.
    valued: &'static [&'static str],
}

const RUNS: [Runs; 6] = [
    Runs {
        programs: &["node", "nodejs", "tsx", "ts-node"],
        other: (&['e', 'p'], &["--eval", "--print", "--test", "--run"]),
        valued: &[
            "-r",
            "--require",
            "--import",
            "--loader",
            "--experimental-loader",
            "-C",
            "--conditions",
            "--env-file",
            "--title",
            "--input-type",
            "--disable-warning",
            "--inspect-port",
            "--tsconfig",
        ],
    },
    Runs { programs: &["python", "pypy"], other: (&['c', 'm'], &[]), valued: &["-X", "-W"] },
    Runs { programs: &["ruby", "perl"], other: (&['e', 'E'], &[]), valued: &["-I", "-r"] },
    Runs { programs: &["php"], other: (&['r'], &["--run"]), valued: &["-d", "-c"] },
    Runs { programs: &entry::SHELLS, other: (&['c', 's'], &[]), valued: &["-o", "-O"] },
    Runs {
        programs: &["deno"],
        other: (&[], &[]),
        valued: &["-c", "--config", "--import-map", "--cert", "--location", "--seed"],
    },
];
/// Programs that run another with its own words, each behind its verb.
const CARRIERS: [(&str, &str); 8] = [
    ("uv", "run"),
    ("poetry", "run"),
    ("pdm", "run"),
    ("rye", "run"),
    ("hatch", "run"),
    ("pipenv", "run"),
    ("pnpm", "exec"),
    ("yarn", "exec"),
];
/// Options of those whose value is the name of an interpreter, and not one that is run.
const INTERPRETERS: [&str; 2] = ["-p", "--python"];
/// How the names of files end that programs are told of.
const FILES: [&str; 23] = [
    "js", "mjs", "cjs", "ts", "mts", "py", "rb", "php", "sh", "jar", "json", "yaml", "yml", "toml", "env",
    "ini", "csv", "db", "sqlite", "sqlite3", "pem", "key", "whl",
];

/// The folder that a program is to be run in: the one that it names, else that of its project, else the home folder.
///
/// Errors: why nobody can tell.
pub(super) fn folder(one: &Entry, home: Option<&Path>) -> Result<String, String> {
    let home = home.ok_or("there is no home folder to run it in")?;
    let folder = match (one.cwd.as_deref(), one.folder(home)) {
        (Some(cwd), _) if cwd.starts_with('~') => {
            return Err(format!("no client reads the `~` of its `cwd` `{cwd}` alike: write the whole path"));
        }
        (Some(cwd), Some(project)) => project.join(cwd),
        (Some(cwd), None) if Path::new(cwd).is_absolute() => PathBuf::from(cwd),
        (Some(cwd), None) => {
            return Err(format!(
                "its `cwd` is `{cwd}`, and where that is, its client alone knows: write the whole path"
            ));
        }
        (None, Some(project)) => project,
        (None, None) => match relative(&one.command) {
            Some(word) => {
                let word = credentials::alone(word).text;
                return Err(format!(
                    "`{word}` is a path from the folder in which its client happens to run: write the whole path, or the `cwd`"
                ));
            }
            None => home.to_owned(),
        },
    };
    let folder: PathBuf = folder.components().filter(|part| *part != Component::CurDir).collect();
    folder.to_str().map(str::to_owned).ok_or_else(|| "the name of its folder is no text".to_owned())
}

/// The first word that is a path from wherever the program is run.
fn relative(command: &[String]) -> Option<&str> {
    let (program, words) = command.split_first()?;
    if !program.starts_with('/') && program.contains('/') {
        return Some(program);
    }
    if entry::base(program) == "env" {
        let behind = entry::behind_env(words);
        let own = words.iter().take(words.len() - behind.len());
        let moves = |word: &String| matches!(option(word), "-C" | "--chdir");
        return if own.into_iter().any(moves) { None } else { relative(behind) };
    }
    // what follows the image is a path within it
    if container::is_program(entry::base(program)) {
        let given = words.iter().take(container::read(words).words);
        return given.map(String::as_str).find(|word| is_path(value(word)));
    }
    let (name, given) = carried(command);
    // to some programs `-C` is something else
    let valued = interpreter(name).map_or(&[][..], |runs| runs.valued);
    let before = words.len().saturating_sub(given.len());
    let moves = |(i, word): (usize, &String)| {
        let option = option(word);
        FOLDERS.contains(&option) && (i < before || !valued.contains(&option))
    };
    let moved = words.iter().enumerate().any(moves);
    if let Some(script) = script(name, given).filter(|_| !moved) {
        return Some(script);
    }
    let packages = fetched::packages(command);
    if let Some(folder) = packages.iter().find(|package| is_local(package)).filter(|_| !moved) {
        return Some(folder);
    }
    let mut words = words.iter().map(String::as_str).filter(|word| !packages.contains(word));
    words.find(|word| !moved && (is_path(value(word)) || is_file(value(word))))
}

/// The program that runs in the end, without its version, and its words: another may fetch it, or run it in its stead.
fn carried(command: &[String]) -> (&str, &[String]) {
    let Some((program, words)) = command.split_first() else { return ("", &[]) };
    let name = entry::base(program);
    if let Some((program, words)) = fetched::run(command).split_first() {
        let name = entry::base(program);
        return (name.split_once('@').map_or(name, |(name, _)| name), words);
    }
    let verb = |word: &String| CARRIERS.contains(&(name, word.as_str())) || (name == "deno" && word == "run");
    let Some(at) = words.iter().position(verb) else { return (name, words) };
    let behind = words.get(at + 1..).unwrap_or_default();
    if name == "deno" {
        return (name, behind);
    }
    let mut before = "";
    for (i, word) in behind.iter().enumerate() {
        if interpreter(entry::base(word)).is_some() && !INTERPRETERS.contains(&before) {
            return (entry::base(word), behind.get(i + 1..).unwrap_or_default());
        }
        before = word;
    }
    (name, words)
}

/// Whether a package is one of a folder here, and of which that is depends on where the program is run.
fn is_local(package: &str) -> bool {
    // with what it is built with, as in `.[cli]`
    let package = package.split('[').next().unwrap_or(package);
    let file = package.strip_prefix("file:").filter(|path| !path.starts_with('/'));
    is_path(package) || file.is_some() || (package.ends_with(".whl") && is_file(package))
}

/// What is known of an interpreter, whatever its version.
fn interpreter(program: &str) -> Option<&'static Runs> {
    let program = program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    RUNS.iter().find(|runs| runs.programs.contains(&program))
}

/// The file that an interpreter is to run, where that is no whole path.
fn script<'w>(program: &str, words: &'w [String]) -> Option<&'w str> {
    let runs = interpreter(program)?;
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        if runs.valued.contains(&word) {
            words.next();
        } else if let Some(letters) = word.strip_prefix('-') {
            let (single, whole) = runs.other;
            let together = !letters.starts_with('-') && letters.contains(single);
            if together || letters.is_empty() || whole.contains(&option(word)) {
                return None;
            }
        } else {
            let is_whole = word.starts_with('/') || word.contains([':', '\\']);
            return (!is_whole).then_some(word);
        }
    }
    None
}

/// Of `--option=value` the option.
fn option(word: &str) -> &str {
    word.split('=').next().unwrap_or(word)
}

/// Of `--option=value` the value.
fn value(word: &str) -> &str {
    word.split_once('=').filter(|(name, _)| name.starts_with('-')).map_or(word, |(_, value)| value)
}

fn is_path(word: &str) -> bool {
    matches!(word, "." | "..") || word.starts_with("./") || word.starts_with("../")
}

/// Whether it is called as a file is, and is no whole path, address or line.
fn is_file(word: &str) -> bool {
    let ends = word.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).map(|(_, end)| end);
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    ends.is_some_and(|end| FILES.contains(&end)) && !word.starts_with(['/', '-']) && word.chars().all(plain)
}

/// The option that gives a container a variable of its client's environment, which no server behind the gateway has.
pub(super) fn variable(one: &Entry) -> Option<String> {
    let (program, words) = one.command.split_first()?;
    if !container::is_program(entry::base(program)) {
        return None;
    }
    let bare = |name: &str| !name.is_empty() && !name.contains('=');
    let has = |name: &str| one.env.contains_key(name) || launch::PASSABLE_VARIABLES.contains(&name);
    let options = container::read(words).options;
    let taken =
        options.into_iter().find(|given| given.name == "env" && bare(&given.value) && !has(&given.value));
    taken.map(|given| given.said)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(line: &str) -> Entry {
        Entry { command: line.split(' ').map(str::to_owned).collect(), ..Entry::default() }
    }

    #[test]
    fn a_path_from_a_folder_that_nobody_knows_is_seen_and_names_of_other_things_are_none() {
        for (line, expected) in [
            ("node server.js", Some("server.js")),
            ("./server", Some("./server")),
            ("bin/server --x", Some("bin/server")),
            ("~/bin/server", Some("~/bin/server")),
            ("python3 -m server --config=./x", Some("--config=./x")),
            ("server .", Some(".")),
            ("npx -y tsx src/index.ts", Some("src/index.ts")),
            ("server --db notes.sqlite", Some("notes.sqlite")),
            ("docker run -v ./data:/data image", Some("./data:/data")),
            ("node dist/server", Some("dist/server")),
            ("node --env-file /srv/env -r /srv/x.cjs server", Some("server")),
            ("python3.12 -X dev -u src/main", Some("src/main")),
            ("bash -e run", Some("run")),
            ("npx -y tsx src/main", Some("src/main")),
            ("npx tsx@4 watch", Some("watch")),
            ("npx -p tsx tsx --require /srv/x.cjs src/main", Some("src/main")),
            ("bunx tsx src/main", Some("src/main")),
            ("pnpm dlx tsx src/x.ts", Some("src/x.ts")),
            ("pnpm exec tsx src/x", Some("src/x")),
            ("uvx --from . x", Some(".")),
            ("uvx --from ./mine[cli] x", Some("./mine[cli]")),
            ("uvx --from dist/x-1.whl x", Some("dist/x-1.whl")),
            ("npx file:mine", Some("file:mine")),
            ("npx ./mine", Some("./mine")),
            ("uv run server.py", Some("server.py")),
            ("uv run --with mcp python src/main", Some("src/main")),
            ("deno run -A src/main", Some("src/main")),
            ("deno run ./x.ts", Some("./x.ts")),
            ("node -C dev dist/server", Some("dist/server")),
            ("env X=1 node dist/server", Some("dist/server")),
            ("/usr/bin/env -u HOME python3 src/main", Some("src/main")),
            ("tsx --tsconfig /x/tsconfig.json src/main", Some("src/main")),
            ("node --inspect-port 9229 dist/server", Some("dist/server")),
            ("python3 süß/main", Some("süß/main")),
            ("node my\u{a0}server/index", Some("my\u{a0}server/index")),
            ("env -C /srv node dist/server", None),
            ("env --chdir=/srv node dist/server", None),
            ("env node /srv/server.js", None),
            ("env X=dist/server server", None),
            ("make -C /srv -f x.env", None),
            ("node /srv/server", None),
            ("npx -y tsx /srv/main", None),
            ("npx -p tsx server", None),
            ("uv run -p python3 server", None),
            ("uv run python -m server", None),
            ("uvx --from /srv/mine x", None),
            ("uvx --from git+https://a.example/b x", None),
            ("uvx --directory /srv --from . x", None),
            ("deno run -A npm:server", None),
            ("deno run https://a.example/x.ts", None),
            ("node -e dist/server", None),
            ("node --eval=1 dist/server", None),
            ("python3 -Im server", None),
            ("bash -lc dist/server", None),
            ("php -d a=b -r code", None),
            ("ruby -", None),
            ("server dist/server", None),
            ("npx org/server", None),
            ("node /srv/server.js", None),
            ("server", None),
            ("npx -y @modelcontextprotocol/server-filesystem /tmp", None),
            ("npx -y chart.js", None),
            ("uvx mcp-server-fetch==1.0.2", None),
            ("uv --directory /srv run server.py", None),
            ("docker run -i ghcr.io/x/y node server.js ./x", None),
            ("mcp-proxy https://a.example/x.json", None),
            ("bash -lc node\u{a0}x.js", None),
        ] {
            assert_eq!(relative(&run(line).command), expected, "{line}");
            let folder = folder(&run(line), Some(Path::new("/home/me")));
            assert_eq!(folder.is_err(), expected.is_some(), "{line}: {folder:?}");
        }
    }

    #[test]
    fn a_program_is_run_where_its_client_would_run_it() {
        let home = Some(Path::new("/home/me"));
        let at = |file: &str, client: &'static str, cwd: Option<&str>| {
            let cwd = cwd.map(str::to_owned);
            folder(&Entry { file: file.into(), client, cwd, ..run("node server.js") }, home)
        };
        assert_eq!(at("/home/me/.gemini/settings.json", "Gemini CLI", Some("/srv/p1")).unwrap(), "/srv/p1");
        assert!(at("/home/me/.gemini/settings.json", "Gemini CLI", Some("p1")).is_err());
        assert!(at("/home/me/.gemini/settings.json", "Gemini CLI", Some("~/p1")).is_err());
        assert!(at("/home/me/.cursor/mcp.json", "Cursor", None).is_err());
        assert_eq!(at("/home/me/a/.cursor/mcp.json", "Cursor", None).unwrap(), "/home/me/a");
        assert_eq!(at("/home/me/a/.vscode/mcp.json", "VS Code", Some("./b")).unwrap(), "/home/me/a/b");
        assert_eq!(at("/home/me/a/.mcp.json", "Claude Code", None).unwrap(), "/home/me/a");
        let keys = ["projects", "/home/me/b", "mcpServers", "x"].map(str::to_owned).to_vec();
        let of_project = Entry { file: "/home/me/.claude.json".into(), keys, ..run("node server.js") };
        assert_eq!(folder(&of_project, home).unwrap(), "/home/me/b");
        assert!(folder(&run("server"), None).is_err());
    }

    #[test]
    fn a_variable_that_only_the_client_has_is_seen() {
        for (line, expected) in [
            ("docker run -i -e GITHUB_TOKEN image", Some("-e GITHUB_TOKEN")),
            ("podman run --env GITHUB_TOKEN image", Some("--env GITHUB_TOKEN")),
            ("docker run --env=GITHUB_TOKEN image", Some("--env=GITHUB_TOKEN")),
            ("docker run -eGITHUB_TOKEN image", Some("-eGITHUB_TOKEN")),
            ("docker run -e GIVEN -e OTHER image", Some("-e OTHER")),
            ("docker run -e GIVEN -e HOME -e X=1 image -e GITHUB_TOKEN", None),
            ("server -e GITHUB_TOKEN", None),
        ] {
            let env = [("GIVEN".to_owned(), "x".to_owned())].into();
            assert_eq!(variable(&Entry { env, ..run(line) }).as_deref(), expected, "{line}");
        }
    }
}
