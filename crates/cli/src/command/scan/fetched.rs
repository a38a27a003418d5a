//! Which packages a command has fetched and run. With `-p` and its like it is not the word that stands where a package mostly does:
//! that one is only the name of a program in what the option names.

use super::entry::base;

/// A program that fetches packages.
struct Fetcher {
    program: &'static str,
    /// The words that make it fetch one.
    verbs: &'static [&'static str],
    /// Options whose value is fetched, and not the first word.
    instead: &'static [&'static str],
    /// Options whose value is fetched beside it.
    beside: &'static [&'static str],
    /// Options whose value is something else, in a word of its own.
    valued: &'static [&'static str],
}

const NPM: &[&str] = &[
    "-w",
    "--workspace",
    "--userconfig",
    "--globalconfig",
    "--prefix",
    "--cache",
    "--script-shell",
    "--loglevel",
];
const PNPM: &[&str] = &["--allow-build", "-C", "--dir", "--reporter", "--loglevel"];
const UV: &[&str] = &[
    "-p",
    "--python",
    "--python-platform",
    "-i",
    "-f",
    "--find-links",
    "--keyring-provider",
    "--directory",
    "--project",
    "--cache-dir",
    "--config-file",
    "--env-file",
    "-c",
    "--constraints",
    "-b",
    "--build-constraints",
    "--overrides",
    "--with-requirements",
    "-P",
    "--upgrade-package",
    "--refresh-package",
    "--resolution",
    "--prerelease",
    "--exclude-newer",
    "--link-mode",
    "--color",
];
const PIPX: &[&str] = &["--python", "-i", "--pip-args", "--fetch-missing-python"];
const P: &[&str] = &["-p", "--package"];
const FROM: &[&str] = &["--from"];
const WITH: &[&str] = &["-w", "--with"];

const fn of(
    program: &'static str,
    verbs: &'static [&'static str],
    instead: &'static [&'static str],
    beside: &'static [&'static str],
    valued: &'static [&'static str],
) -> Fetcher {
    Fetcher { program, verbs, instead, beside, valued }
}

const FETCHERS: [Fetcher; 11] = [
    of("npx", &[], P, &[], NPM),
    of("npm", &["exec"], P, &[], NPM),
    of("npm", &["x"], P, &[], NPM),
    of("bunx", &[], P, &[], &[]),
    of("bun", &["x"], P, &[], &[]),
    of("pnpm", &["dlx"], &["--package"], &[], PNPM),
    of("pnpx", &[], &["--package"], &[], PNPM),
    of("yarn", &["dlx"], P, &[], &[]),
    of("uvx", &[], FROM, WITH, UV),
    of("uv", &["tool", "run"], FROM, WITH, UV),
    of("pipx", &["run"], &["--spec"], &["--with"], PIPX),
];

/// The packages, in the order in which they stand; none where nothing is fetched.
pub(crate) fn packages(command: &[String]) -> Vec<&str> {
    read(command).packages
}

/// What is run of them, with its own words; nothing where nothing is fetched. It may have a version behind it.
pub(crate) fn run(command: &[String]) -> &[String] {
    read(command).run
}

/// What a command fetches, and what it runs of it.
#[derive(Debug, Default)]
struct Read<'w> {
    packages: Vec<&'w str>,
    run: &'w [String],
}

fn read(command: &[String]) -> Read<'_> {
    let Some((program, words)) = command.split_first() else { return Read::default() };
    let program = base(program);
    let program = [".cmd", ".exe"].iter().find_map(|end| program.strip_suffix(end)).unwrap_or(program);
    let of_it = FETCHERS.iter().filter(|fetcher| fetcher.program == program);
    of_it.filter_map(|fetcher| fetcher.look(words)).next().unwrap_or_default()
}

impl Fetcher {
    /// `None`: it is told to do something else.
    fn look<'w>(&self, all: &'w [String]) -> Option<Read<'w>> {
        let (mut packages, mut named, mut verbs) = (Vec::new(), false, self.verbs.iter());
        let mut words = all.iter().map(String::as_str);
        while let Some(word) = words.next() {
            let (name, joined) = match word.split_once('=') {
                Some((name, value)) if name.starts_with('-') => (name, Some(value)),
                Some(_) | None => (word, None),
            };
            let is_package = self.instead.contains(&name);
            if is_package || self.beside.contains(&name) {
                packages.extend(joined.or_else(|| words.next()));
                named |= is_package;
            } else if self.valued.contains(&name) || chooses_source(name) {
                joined.or_else(|| words.next());
            } else if word.starts_with('-') && word != "--" {
                // one that stands alone
            } else if let Some(verb) = verbs.next() {
                if *verb != word {
                    return None;
                }
            } else {
                let first = if word == "--" { words.next() } else { Some(word) };
                if !named {
                    packages.extend(first);
                }
                let from = all.len() - words.len() - usize::from(first.is_some());
                return Some(Read { packages, run: all.get(from..).unwrap_or_default() });
            }
        }
        verbs.next().is_none().then_some(Read { packages, run: &[] })
    }
}

/// Options of all of them that name an index or a registry, or say how to look into one.
fn chooses_source(name: &str) -> bool {
    name.starts_with("--") && name.split('-').any(|part| matches!(part, "index" | "registry"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_fetched_is_the_package_and_not_the_program_in_it() {
        for (line, fetched) in [
            ("npx -y server@1", &["server@1"][..]),
            ("npx -p evil@1 server@2", &["evil@1"]),
            ("npx --package=evil server@2", &["evil"]),
            ("npx -y --package evil -p=worse@1 -- server", &["evil", "worse@1"]),
            ("npx -y -- server@1 -p other", &["server@1"]),
            ("npx --registry http://a.example server -p other", &["server"]),
            ("/usr/bin/npx.cmd -p evil", &["evil"]),
            ("npm exec --package=evil -- server", &["evil"]),
            ("npm x -y server@1", &["server@1"]),
            ("npm start", &[]),
            ("bunx --package evil server@1", &["evil"]),
            ("bun x -p evil server", &["evil"]),
            ("bun server.ts", &[]),
            ("pnpm --package=evil dlx server@1", &["evil"]),
            ("pnpm dlx server", &["server"]),
            ("pnpm exec server", &[]),
            ("pnpm", &[]),
            ("yarn dlx -q -p evil server@1", &["evil"]),
            ("yarn run server", &[]),
            ("uvx --from evil server==1", &["evil"]),
            ("uvx --from=evil==1 --with=more server", &["evil==1", "more"]),
            ("uvx -p 3.12 --default-index http://a.example --with more server==1", &["more", "server==1"]),
            (
                "uv --directory /x tool run --from git+https://a.example/b server",
                &["git+https://a.example/b"],
            ),
            ("uv run server.py", &[]),
            ("pipx run --spec evil server", &["evil"]),
            ("pipx install server", &[]),
            ("node server.js", &[]),
        ] {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(packages(&words), fetched, "{line}");
        }
    }

    #[test]
    fn what_is_run_begins_with_its_program() {
        for (line, program) in [
            ("npx -y tsx@4 src/main", "tsx@4 src/main"),
            ("npx -p tsx -- tsx a", "tsx a"),
            ("npx -y", ""),
            ("uvx --from . server", "server"),
            ("pnpm dlx tsx a", "tsx a"),
            ("pnpm install tsx", ""),
            ("node server.js", ""),
        ] {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(run(&words).join(" "), program, "{line}");
        }
    }
}
