//! What has another program run than the one that a command names, or another package fetched: its options, and its environment.

use super::entry::{SHELLS, base};
use inspect::Severity;

/// What was seen, and what it is: `other-code`, `loads-code` or `other-source`.
pub(super) struct Turn {
    pub(super) detector: &'static str,
    pub(super) severity: Severity,
    /// The option or the variable.
    pub(super) by: String,
}

/// How a kind of program takes code on its command line.
struct Reads {
    programs: &'static [&'static str],
    /// Single letters, which may stand together, and whole options: their value is code.
    letters: &'static [char],
    options: &'static [&'static str],
    /// Their value is a module or a file that is run first.
    loads: &'static [&'static str],
    /// Their value is none of that, and stands in a word of its own.
    valued: &'static [&'static str],
}

const READS: [Reads; 7] = [
    Reads {
        programs: &["node", "nodejs", "bun", "deno", "tsx", "ts-node"],
        letters: &['e', 'p'],
        options: &["--eval", "--print", "eval"],
        loads: &["-r", "--require", "--import", "--loader", "--experimental-loader", "--preload"],
        valued: &["-C", "--conditions", "--env-file", "--title", "--input-type", "--disable-warning"],
    },
    Reads { programs: &["python", "pypy"], letters: &['c'], options: &[], loads: &[], valued: &["-X", "-W"] },
    Reads {
        programs: &["perl", "ruby"],
        letters: &['e', 'E'],
        options: &[],
        loads: &["-r", "-M"],
        valued: &["-I"],
    },
    Reads { programs: &["php"], letters: &['r'], options: &["--run"], loads: &[], valued: &["-d", "-c"] },
    Reads {
        programs: &["osascript", "lua", "Rscript"],
        letters: &['e'],
        options: &[],
        loads: &["-l"],
        valued: &[],
    },
    Reads {
        programs: &["npx", "bunx"],
        letters: &['c'],
        options: &["--call", "--shell", "--script-shell", "--node-options", "--node-arg", "-n"],
        loads: &[],
        valued: &[
            "-p",
            "--package",
            "-w",
            "--workspace",
            "--registry",
            "--userconfig",
            "--prefix",
            "--cache",
        ],
    },
    Reads {
        programs: &SHELLS,
        letters: &['c'],
        options: &["/c", "-command", "-Command"],
        loads: &[],
        valued: &["-o", "-O"],
    },
];

/// Options of whatever fetches packages that choose where from, beside those that name an index or a registry.
const SOURCES: [&str; 9] = [
    "--userconfig",
    "--globalconfig",
    "--find-links",
    "--pip-args",
    "--config-file",
    "--source",
    "--add-source",
    "--configfile",
    "-i",
];
const FETCH: [&str; 11] = ["npx", "npm", "bunx", "pnpm", "yarn", "uvx", "uv", "pipx", "pip", "dnx", "dotnet"];

/// Variables that put code of another's choice into whatever is started. In capitals.
const LOADERS: [&str; 24] = [
    "LD_PRELOAD",
    "LD_AUDIT",
    "LD_LIBRARY_PATH",
    "NODE_OPTIONS",
    "PYTHONSTARTUP",
    "PYTHONINSPECT",
    "PYTHONHOME",
    "PYTHONPATH",
    "NODE_PATH",
    "BASH_ENV",
    "ENV",
    "PATH",
    "SHELLOPTS",
    "PERL5OPT",
    "PERL5LIB",
    "RUBYOPT",
    "RUBYLIB",
    "JAVA_TOOL_OPTIONS",
    "_JAVA_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "DOTNET_STARTUP_HOOKS",
    "GIT_SSH_COMMAND",
    "BUN_OPTIONS",
    "GCONV_PATH",
];
/// Of these, the ones that many people set for good reason in their own configuration.
const USUAL: [&str; 5] = ["PATH", "PYTHONPATH", "NODE_PATH", "LD_LIBRARY_PATH", "PYTHONHOME"];
const FETCHERS: [&str; 16] = [
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_CONFIG_FILE",
    "PIP_FIND_LINKS",
    "YARN_REGISTRY",
    "BUN_CONFIG_REGISTRY",
    "DOCKER_HOST",
    "DOCKER_CONFIG",
    "CONTAINER_HOST",
    "NUGET_PACKAGES",
    "COREPACK_NPM_REGISTRY",
    "PIP_TRUSTED_HOST",
    "PIP_PROXY",
    "UV_INSECURE_HOST",
    "UV_PYTHON_INSTALL_MIRROR",
    "UV_PYPY_INSTALL_MIRROR",
];
/// What people set for their own machine and network, and nobody who does not know them: through whom packages come, whose
/// word for that is believed, and where settings are read from.
const OWN: [&str; 11] = [
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "ALL_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    "NODE_TLS_REJECT_UNAUTHORIZED",
    "HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_CACHE_HOME",
];
/// Files that say what else is fetched, and instead of what.
const ELSEWHERE: [&str; 6] = [
    "PIP_REQUIREMENT",
    "PIP_CONSTRAINT",
    "PIP_BUILD_CONSTRAINT",
    "UV_OVERRIDE",
    "UV_CONSTRAINT",
    "UV_BUILD_CONSTRAINT",
];
/// Programs that fetch packages and images read their settings from variables that begin so.
const MANAGERS: [&str; 12] = [
    "PIP_",
    "PIPX_",
    "UV_",
    "NPM_CONFIG_",
    "PNPM_",
    "YARN_",
    "BUN_CONFIG_",
    "COREPACK_",
    "DOCKER_",
    "BUILDKIT_",
    "CONTAINERS_",
    "PODMAN_",
];
/// And of those, the words that turn nothing elsewhere.
const HARMLESS: [&str; 15] = [
    "LOGLEVEL",
    "LOG_LEVEL",
    "NO_COLOR",
    "COLOR",
    "NO_PROGRESS",
    "PROGRESS",
    "QUIET",
    "VERBOSE",
    "TIMEOUT",
    "RETRIES",
    "NO_CACHE",
    "NO_CACHE_DIR",
    "YES",
    "NO_INPUT",
    "DISABLE_PIP_VERSION_CHECK",
];
/// Those that choose an interpreter: by its version, or by a path.
const INTERPRETERS: [&str; 2] = ["UV_PYTHON", "PIPX_DEFAULT_PYTHON"];

/// What the command's own options turn elsewhere.
pub(super) fn command(command: &[String]) -> Vec<Turn> {
    let mut seen = Vec::new();
    for (at, program) in command.iter().enumerate() {
        let program = base(program);
        let rest = command.get(at.saturating_add(1)..).unwrap_or_default();
        // what is inside a container is not run here
        if super::container::is_program(program) {
            break;
        }
        // a line for a shell that stands first has a finding of its own
        let is_line = at == 0 && SHELLS.contains(&program);
        if let Some(reads) = READS.iter().find(|reads| !is_line && reads.is_of(program)) {
            seen.extend(reads.look(rest));
        }
        let is_npm =
            at > 0 && matches!(program, "exec" | "x") && command.first().is_some_and(|it| base(it) == "npm");
        if let Some(npx) = READS.iter().find(|reads| is_npm && reads.is_of("npx")) {
            seen.extend(npx.look(rest));
        }
        if FETCH.contains(&program) {
            let options = options(rest);
            let names = |word: &&&String| {
                let name = word.split('=').next().unwrap_or_default();
                let names_one = || name.split(['-', ':']).any(|part| matches!(part, "index" | "registry"));
                SOURCES.contains(&name) || (name.starts_with("--") && names_one())
            };
            let turn = |by: &String| Turn {
                detector: "other-source",
                severity: Severity::Medium,
                by: by.split('=').next().unwrap_or_default().to_owned(),
            };
            seen.extend(options.iter().filter(names).copied().map(turn));
        }
    }
    seen
}

/// The options before the package: behind it they are the package's own.
fn options(words: &[String]) -> Vec<&String> {
    let (mut seen, mut open) = (Vec::new(), false);
    for word in words
        .iter()
        .filter(|word| !matches!(word.as_str(), "run" | "exec" | "dlx" | "tool" | "x" | "install"))
    {
        match word.as_str() {
            "--" => break,
            "-y" | "--yes" | "-q" | "--quiet" => open = false,
            option if option.starts_with('-') => {
                open = !option.contains('=');
                seen.push(word);
            }
            // the value of the option before it
            _ if open => open = false,
            _ => break,
        }
    }
    seen
}

impl Reads {
    fn is_of(&self, program: &str) -> bool {
        // `python3.12`, `node.exe`
        let program = program.strip_suffix(".exe").unwrap_or(program);
        let stem = program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
        self.programs.contains(&program) || self.programs.contains(&stem)
    }

    /// What stands before the first word that is no option: after it, all is the program's own.
    fn look(&self, words: &[String]) -> Option<Turn> {
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let name = word.split('=').next().unwrap_or_default();
            let turn = |severity| Some(Turn { detector: "other-code", severity, by: name.to_owned() });
            let is_cluster = name.starts_with('-') && !name.starts_with("--");
            if self.options.contains(&name) {
                return turn(Severity::High);
            }
            if self.loads.contains(&name) {
                return turn(Severity::Medium);
            }
            if self.valued.contains(&name) {
                if !word.contains('=') {
                    words.next();
                }
                continue;
            }
            if is_cluster && self.letters.iter().any(|letter| name.contains(*letter)) && name.len() <= 4 {
                return turn(Severity::High);
            }
            if !word.starts_with('-') || word == "--" {
                return None;
            }
        }
        None
    }
}

/// What a variable turns elsewhere. `published`: whoever wrote it does not know the machine.
pub(super) fn variable(name: &str, value: &str, published: bool) -> Option<Turn> {
    if value.is_empty() {
        return None;
    }
    let turn = |detector, severity| {
        let severity = if published { Severity::High } else { severity };
        Some(Turn { detector, severity, by: name.to_owned() })
    };
    let upper = name.to_ascii_uppercase();
    // a limit of memory is none of code
    let is_limit = |word: &str| word.starts_with("--max-") || word.starts_with("--no-warnings");
    if upper == "NODE_OPTIONS" && !published && value.split_whitespace().all(is_limit) {
        return None;
    }
    if LOADERS.contains(&upper.as_str()) || upper.starts_with("DYLD_") {
        let usual = USUAL.contains(&upper.as_str());
        return turn("loads-code", if usual { Severity::Low } else { Severity::High });
    }
    if INTERPRETERS.contains(&upper.as_str()) && value.contains(['/', '\\']) {
        return turn("loads-code", Severity::Low);
    }
    if let Some(npm) = upper.strip_prefix("NPM_CONFIG_") {
        let npm = npm.replace('-', "_");
        if matches!(npm.as_str(), "SCRIPT_SHELL" | "NODE_OPTIONS" | "SHELL" | "CALL" | "PACKAGE" | "GIT") {
            return turn("loads-code", Severity::High);
        }
        if npm.ends_with("REGISTRY") || matches!(npm.as_str(), "USERCONFIG" | "GLOBALCONFIG" | "PREFIX") {
            return turn("other-source", Severity::Medium);
        }
        let of_network = matches!(npm.as_str(), "PROXY" | "HTTPS_PROXY" | "STRICT_SSL" | "CA" | "CAFILE");
        if published && of_network {
            return turn("other-source", Severity::Medium);
        }
    }
    let is_source = FETCHERS.contains(&upper.as_str())
        || upper.starts_with("UV_INDEX")
        || upper.starts_with("UV_DEFAULT_INDEX")
        || upper.starts_with("UV_EXTRA_INDEX")
        || matches!(upper.as_str(), "UV_FIND_LINKS" | "UV_CONFIG_FILE")
        || ELSEWHERE.contains(&upper.as_str()) && value.contains("://")
        || published && (OWN.contains(&upper.as_str()) || is_managers(&upper));
    if is_source { turn("other-source", Severity::Medium) } else { None }
}

/// Whether it is a setting of a package manager that may turn what is fetched elsewhere: there are more of these than
/// anybody lists, and a stranger has no business with them.
fn is_managers(name: &str) -> bool {
    let rest = MANAGERS.iter().find_map(|prefix| name.strip_prefix(prefix));
    rest.is_some_and(|rest| !HARMLESS.contains(&rest) && !INTERPRETERS.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(words: &[&str]) -> Vec<(&'static str, Severity)> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        command(&words).into_iter().map(|turn| (turn.detector, turn.severity)).collect()
    }

    #[test]
    fn code_on_a_command_line_is_seen_whoever_reads_it() {
        for words in [
            &["node", "-e", "x"][..],
            &["node", "--eval=x"],
            &["/usr/bin/node", "--no-warnings", "-pe", "x"],
            &["node", "--title", "y", "-e", "x"],
            &["python3.12", "-Ic", "x"],
            &["python", "-X", "dev", "-c", "x"],
            &["npx", "-y", "-c", "x", "server@1"],
            &["npx", "--call=x"],
            &["npx", "-y", "--call", "x"],
            &["npx", "-p", "thing", "-c", "x"],
            &["npm", "exec", "-c", "x"],
            &["pnpm", "exec", "sh", "-c", "x"],
            &["uv", "run", "--with", "y", "python", "-c", "x"],
            &["env", "A=b", "bash", "-lc", "x"],
            &["deno", "eval", "x"],
        ] {
            assert_eq!(seen(words), [("other-code", Severity::High)], "{words:?}");
        }
        assert_eq!(seen(&["node", "--import", "tsx", "x.ts"]), [("other-code", Severity::Medium)]);
        assert_eq!(seen(&["npx", "--registry=http://a", "x"]), [("other-source", Severity::Medium)]);
        assert_eq!(seen(&["uvx", "--index", "http://a", "x"]), [("other-source", Severity::Medium)]);
    }

    #[test]
    fn what_is_the_program_s_own_is_not_the_runner_s() {
        for words in [
            &["node", "server.js", "-e", "prod"][..],
            &["npx", "-y", "server@1", "-c", "file"],
            &["python", "-m", "server", "-c", "file"],
            &["uv", "--directory", "/x", "run", "server.py"],
            &["docker", "run", "image", "sh", "-c", "x"],
            &["bash", "-c", "x"],
            &["npx", "-y", "server@1", "--source", "x", "--registry=x"],
        ] {
            assert_eq!(seen(words), [], "{words:?}");
        }
    }

    #[test]
    fn a_variable_that_loads_code_is_known_however_it_is_written() {
        let of = |name: &str, value: &str, published| {
            variable(name, value, published).map(|turn| (turn.detector, turn.severity))
        };
        for name in [
            "LD_PRELOAD",
            "ld_audit",
            "DYLD_INSERT_LIBRARIES",
            "BASH_ENV",
            "ENV",
            "PYTHONSTARTUP",
            "PERL5OPT",
            "npm_config_script_shell",
            "NPM_CONFIG_SCRIPT-SHELL",
        ] {
            for published in [false, true] {
                assert_eq!(of(name, "x", published), Some(("loads-code", Severity::High)), "{name}");
            }
            assert_eq!(of(name, "", true), None, "{name} has no value");
        }
        for name in [
            "npm_config_registry",
            "npm_config_@a:registry",
            "PIP_INDEX_URL",
            "UV_INDEX_X",
            "UV_DEFAULT_INDEX",
        ] {
            assert_eq!(of(name, "x", false), Some(("other-source", Severity::Medium)), "{name}");
        }
        // what is somebody's own machine and network is their own to say
        for name in ["HTTPS_PROXY", "https_proxy", "HOME", "npm_config_https_proxy", "npm_config_strict-ssl"]
        {
            assert_eq!(of(name, "x", false), None, "{name}");
            assert_eq!(of(name, "x", true), Some(("other-source", Severity::High)), "{name}");
        }
        for name in ["UV_INSECURE_HOST", "UV_PYTHON_INSTALL_MIRROR", "COREPACK_NPM_REGISTRY"] {
            assert_eq!(of(name, "x", true), Some(("other-source", Severity::High)), "{name}");
        }
        // nobody lists them all
        for name in [
            "PIP_REQUIREMENT",
            "UV_OVERRIDE",
            "uv_torch_backend",
            "PIPX_SHARED_LIBS",
            "npm_config_replace_registry_host",
            "CONTAINERS_REGISTRIES_CONF",
            "DOCKER_CONTEXT",
        ] {
            assert_eq!(of(name, "x", true), Some(("other-source", Severity::High)), "{name}");
            assert_eq!(of(name, "x", false), None, "{name}");
        }
        assert_eq!(
            of("UV_OVERRIDE", "https://x.example/o.txt", false),
            Some(("other-source", Severity::Medium))
        );
        for name in ["npm_config_loglevel", "UV_NO_PROGRESS", "PIP_NO_CACHE_DIR", "UVICORN_PORT", "PIPELINE"]
        {
            assert_eq!(of(name, "x", true), None, "{name}");
        }
        assert_eq!(of("BUN_OPTIONS", "--preload=/x", true), Some(("loads-code", Severity::High)));
        assert_eq!(of("UV_PYTHON", "3.12", true), None);
        assert_eq!(of("UV_PYTHON", "/tmp/x", true), Some(("loads-code", Severity::High)));
        assert_eq!(of("PATH", "/x", false), Some(("loads-code", Severity::Low)));
        assert_eq!(of("PATH", "/x", true), Some(("loads-code", Severity::High)));
        assert_eq!(of("NODE_OPTIONS", "--max-old-space-size=4096", false), None);
        assert_eq!(of("NODE_OPTIONS", "--require=/x", false), Some(("loads-code", Severity::High)));
        assert_eq!(of("MODE", "fast", true), None);
    }
}
