//! What a registry's description of a package has to be for a machine that has not seen it: a runner that fetches this kind of
//! package, with arguments that leave alone what is run, a name that is one, from where everybody fetches it.

use super::{container, credentials};
use inspect::Severity;

/// Findings with which `callgate registry import` takes nothing over.
pub(crate) const REFUSED: [&str; 8] = [
    "foreign-runner",
    "runner-argument",
    "other-code",
    "loads-code",
    "other-source",
    "container-of-the-host",
    "bad-package",
    "withdrawn",
];

/// How packages of one kind are fetched and run.
struct Kind {
    name: &'static str,
    /// The first is used where nothing is said.
    runners: &'static [Runner],
    /// What stands between a package and its version.
    joined: &'static str,
    /// The domain that everybody's come from.
    source: &'static str,
}

struct Runner {
    program: &'static str,
    /// What a client puts before the others.
    first: &'static [&'static str],
    /// What changes nothing of what is run.
    harmless: &'static [&'static str],
}

const NPX: &[&str] = &["-y", "--yes", "-q", "--quiet", "--silent", "--prefer-offline", "--prefer-online"];
const UVX: &[&str] =
    &["-q", "--quiet", "--isolated", "-n", "--no-cache", "--refresh", "--no-progress", "--offline"];
const IN_CONTAINER: &[&str] = &["run", "-i", "--rm"];

const fn runner(
    program: &'static str,
    first: &'static [&'static str],
    harmless: &'static [&'static str],
) -> Runner {
    Runner { program, first, harmless }
}

const KINDS: [Kind; 4] = [
    Kind {
        name: "npm",
        runners: &[
            runner("npx", &["-y"], NPX),
            runner("bunx", &[], &["-y", "--bun", "--silent"]),
            runner("pnpm", &["dlx"], &["--silent"]),
        ],
        joined: "@",
        source: "npmjs.org",
    },
    Kind {
        name: "pypi",
        runners: &[runner("uvx", &[], UVX), runner("pipx", &["run"], &["-q", "--quiet", "--no-cache"])],
        joined: "==",
        source: "pypi.org",
    },
    Kind {
        name: "oci",
        runners: &[runner("docker", IN_CONTAINER, &[]), runner("podman", IN_CONTAINER, &[])],
        joined: ":",
        source: "docker.io",
    },
    Kind { name: "nuget", runners: &[runner("dnx", &[], &["--yes"])], joined: "@", source: "nuget.org" },
];

/// Options of a container that change nothing but the container.
const OF_CONTAINER: [&str; 26] = [
    "cap-drop",
    "cpus",
    "env",
    "hostname",
    "init",
    "interactive",
    "label",
    "memory",
    "mount",
    "name",
    "net",
    "network",
    "pids-limit",
    "platform",
    "pull",
    "quiet",
    "read-only",
    "rm",
    "security-opt",
    "shm-size",
    "stop-timeout",
    "tmpfs",
    "tty",
    "user",
    "volume",
    "workdir",
];

/// Programs that run whatever their arguments say. Runners fall back on the machine's own where a package of that name has none.
const RUNS_ANYTHING: [&str; 32] = [
    "ash",
    "awk",
    "bash",
    "bun",
    "busybox",
    "cmd",
    "curl",
    "dash",
    "deno",
    "docker",
    "env",
    "find",
    "fish",
    "gawk",
    "git",
    "make",
    "node",
    "nohup",
    "npm",
    "npx",
    "perl",
    "php",
    "podman",
    "powershell",
    "pwsh",
    "python",
    "python3",
    "ruby",
    "sh",
    "ssh",
    "xargs",
    "zsh",
];

/// A package as it is described.
pub(super) struct Package<'a> {
    pub(super) kind: &'a str,
    pub(super) identifier: &'a str,
    pub(super) version: &'a str,
    /// What the description hints at.
    pub(super) hint: Option<&'a str>,
    pub(super) base: Option<&'a str>,
    pub(super) digest: Option<&'a str>,
    /// The runner's arguments.
    pub(super) before: &'a [String],
}

impl Package<'_> {
    /// How a client starts it, without the package's own arguments.
    pub(super) fn command(&self) -> Vec<String> {
        let Self { kind: name, identifier, hint, before, .. } = self;
        let kind = kind(name);
        let runner = kind.and_then(|kind| kind.runner(*hint));
        let program = hint.or(runner.map(|runner| runner.program)).unwrap_or(name);
        let first = runner.map_or(&[][..], |runner| runner.first).iter().copied();
        let rest = runner.map_or(*before, |runner| runner.after_first(before)).iter().map(String::as_str);
        // a name that has its own needs none beside it
        let version = if carried(name, identifier).is_some() { "" } else { self.version };
        let joined = match kind.map_or("@", |kind| kind.joined) {
            _ if version.is_empty() => "",
            ":" if is_digest(version) => "@",
            joined => joined,
        };
        let whole = format!("{identifier}{joined}{version}");
        [program].into_iter().chain(first).chain(rest).chain([whole.as_str()]).map(str::to_owned).collect()
    }
}

/// The version, tag or digest that a name has itself: `@a/b@1.2.3`, `ghcr.io/a/b:1.2.3`. A digest goes before a tag.
pub(super) fn carried<'a>(kind: &str, identifier: &'a str) -> Option<&'a str> {
    let tail = identifier.rsplit('/').next().unwrap_or(identifier);
    let behind = |sign| tail.split_once(sign).map(|(_, own)| own);
    match kind {
        "npm" => behind('@'),
        "oci" => behind('@').or_else(|| behind(':')),
        _ => None,
    }
}

/// What is wrong with it: the detector, its severity, why, what helps, and what has to change for it to be another.
pub(super) type Told = (&'static str, Severity, String, &'static str, String);

/// Whether an image is named by what is in it.
pub(super) fn is_digest(version: &str) -> bool {
    version.starts_with("sha256:")
}

/// The kind of package of that name.
fn kind(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

impl Kind {
    /// The one that is hinted at, if it fetches these packages.
    fn runner(&self, hint: Option<&str>) -> Option<&'static Runner> {
        match hint {
            Some(hint) => self.runners.iter().find(|runner| runner.program == hint),
            None => self.runners.first(),
        }
    }
}

/// All that is wrong with it.
pub(super) fn look(package: &Package<'_>) -> Vec<Told> {
    let mut seen = Vec::new();
    let Some(kind) = kind(package.kind) else { return seen };
    match (kind.runner(package.hint), package.hint) {
        (Some(runner), _) => seen.extend(runner.arguments(package)),
        (None, hint) => {
            let hint = hint.unwrap_or_default();
            let because =
                format!("`{hint}` does not fetch packages of {}: it runs what its arguments say", kind.name);
            let offends = serde_json::json!([hint, package.before]).to_string();
            seen.push((
                "foreign-runner",
                Severity::High,
                because,
                "name the one that does, or none",
                offends,
            ));
        }
    }
    if let Some(why) = kind.wrong(package) {
        let offends = serde_json::json!([package.identifier, package.version]).to_string();
        seen.push(("bad-package", Severity::High, why, "name the package as its registry does", offends));
    }
    if let Some(base) = package.base.filter(|base| !kind.is_usual(base)) {
        let shown = credentials::address(base).text;
        let because = format!(
            "it is in `{shown}`, and runners fetch `{}` from where everybody's packages are, whosever that is",
            package.identifier
        );
        seen.push((
            "other-source",
            Severity::High,
            because,
            "set the source up on the machine itself",
            shown,
        ));
    }
    if let Some(digest) = package.digest {
        let runner = package.hint.or(kind.runners.first().map(|first| first.program)).unwrap_or_default();
        let because =
            format!("`{runner}` does not check its `fileSha256`: what is run may be something else");
        let repair = "compare it by hand, or name an image by its digest";
        seen.push(("unchecked-digest", Severity::Low, because, repair, digest.to_owned()));
    }
    seen
}

impl Kind {
    /// Whether packages come from there unless somebody says otherwise.
    fn is_usual(&self, base: &str) -> bool {
        url::Url::parse(base).is_ok_and(|base| {
            let host = base.host_str().unwrap_or_default();
            let below =
                host.strip_suffix(self.source).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
            base.scheme() == "https" && base.port().is_none() && below
        })
    }

    /// Why the name or the version is none.
    fn wrong(&self, package: &Package<'_>) -> Option<String> {
        let (name, version) = (package.identifier, package.version);
        let signs = match self.name {
            "npm" => "@/._-~",
            "pypi" => "._-[],",
            "oci" => "/.:@_-",
            _ => "._-",
        };
        let is_word =
            |text: &str, signs: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || signs.contains(c));
        let begins = |text: &str| text.starts_with(|c: char| c.is_ascii_alphanumeric());
        // `owner/name` without the sign of a scope is a repository of a forge, and other signs make an address or a path
        let parts: Vec<&str> = name.split('/').collect();
        let is_named = match (self.name, parts.as_slice()) {
            ("npm", [scope, name]) => {
                scope.strip_prefix('@').is_some_and(|scope| begins(scope) && !scope.contains('@'))
                    && begins(name)
            }
            ("npm", [name]) => begins(name),
            ("npm", _) => false,
            ("oci", parts) => parts.iter().all(|part| begins(part)),
            _ => begins(name),
        };
        // runners take it for a file of this machine, whatever version stands beside it
        let files: &[&str] = match (self.name, parts.as_slice()) {
            ("npm", [_]) => &[".tgz", ".tar", ".tar.gz"],
            ("pypi", _) => &[".tgz", ".tar", ".tar.gz", ".whl", ".zip", ".py"],
            _ => &[],
        };
        let bare = name.split('@').next().unwrap_or(name).to_ascii_lowercase();
        if files.iter().any(|end| bare.ends_with(end)) {
            return Some(format!("`{name}` is a file to who runs it, and no package of {}", self.name));
        }
        // a tag or version in the name itself: `@a/b@1.2.3`
        let tail = parts.last().copied().unwrap_or_default();
        let alias = self.name == "npm"
            && tail.split_once('@').is_some_and(|(_, version)| !is_word(version, ".+_-^~*<>=|"));
        let own = carried(self.name, name);
        let alias = alias || own.is_some_and(str::is_empty);
        if name.is_empty() || !is_word(name, signs) || !is_named || alias {
            return Some(format!("`{name}` is no name of a package of {}", self.name));
        }
        // an image's digest says which it is, whatever it is called
        if let Some(own) = own.filter(|own| !version.is_empty() && *own != version && !is_digest(own)) {
            return Some(format!("`{name}` is of `{own}` by its name, and of `{version}` by its version"));
        }
        let bare = tail.split(['@', '[', ':']).next().unwrap_or(tail);
        if self.name != "oci"
            && parts.len() == 1
            && RUNS_ANYTHING.contains(&bare.to_ascii_lowercase().as_str())
        {
            return Some(format!("`{name}` is a program that runs whatever its arguments say"));
        }
        let signs = if self.name == "oci" { "._-:" } else { ".+_-^~*<>=|!," };
        let is_version = version.is_empty() || (is_word(version, signs) && !version.starts_with('-'));
        (!is_version).then(|| format!("`{version}` is no version of a package"))
    }
}

/// Whether a runner is given another package or image than the one that is described, or where to fetch it.
fn names_another(word: &str) -> bool {
    const OPTIONS: [&str; 10] = [
        "-p",
        "--package",
        "--from",
        "--with",
        "--with-editable",
        "--with-requirements",
        "--spec",
        "--registry",
        "--find-links",
        "--",
    ];
    let option = word.split('=').next().unwrap_or(word);
    let joined = word.strip_prefix("-p").is_some_and(|rest| !rest.is_empty() && !word.starts_with("--"));
    !word.starts_with('-') || OPTIONS.contains(&option) || option.contains("index") || joined
}

impl Runner {
    /// Those that may change what is run.
    fn arguments(&self, package: &Package<'_>) -> Vec<Told> {
        let words = self.after_first(package.before);
        let doubtful = if container::is_program(self.program) {
            let run = container::read(&[&["run".to_owned()], words].concat());
            let fine = |given: &container::Given| {
                OF_CONTAINER.contains(&given.name.as_str()) && !given.is_wide(true)
            };
            let options = run.options.iter().filter(|given| !fine(given)).map(|given| given.said.clone());
            // whatever is no option would be the image
            options.chain((!run.image.is_empty()).then(|| run.image.clone())).collect()
        } else {
            let fine = |word: &&String| self.harmless.contains(&word.as_str());
            words.iter().filter(|word| !fine(word)).cloned().collect::<Vec<String>>()
        };
        let told = |word: String| {
            let shown = credentials::alone(&word).text;
            let because = format!("`{shown}` is not known to leave alone what `{}` runs", self.program);
            let severity = if names_another(&word) { Severity::High } else { Severity::Medium };
            ("runner-argument", severity, because, "leave it to the user", shown)
        };
        doubtful.into_iter().map(told).collect()
    }

    /// Without the words that a client puts first anyway.
    fn after_first<'w>(&self, words: &'w [String]) -> &'w [String] {
        let own = words.iter().take_while(|word| self.first.contains(&word.as_str())).count();
        words.get(own..).unwrap_or_default()
    }
}
