//! Packages with a version, `name@tag`, which look like mailboxes: what runs is shown.

/// Commands that run the package they are given, those that do so with some word, and these words.
const RUNNERS: [&str; 6] = ["npx", "pnpx", "bunx", "uvx", "pipx", "dnx"];
const MANAGERS: [&str; 15] = [
    "npm", "pnpm", "yarn", "bun", "pip", "pip3", "uv", "cargo", "go", "gem", "deno", "brew", "composer",
    "corepack", "volta",
];
const INSTALLS: [&str; 18] = [
    "install", "i", "add", "exec", "x", "dlx", "run", "tool", "global", "get", "require", "init", "create",
    "update", "upgrade", "prepare", "use", "binstall",
];
/// Tags of versions. None of them is a domain of the root zone.
const TAGS: [&str; 20] = [
    "alpha",
    "beta",
    "canary",
    "edge",
    "experimental",
    "head",
    "insiders",
    "latest",
    "lts",
    "main",
    "master",
    "next",
    "nightly",
    "pre",
    "prerelease",
    "preview",
    "rc",
    "snapshot",
    "stable",
    "unstable",
];

/// What the command that was read so far does with its next words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    Other,
    /// Its next word says it.
    Manager,
    /// It is given packages.
    Packages,
}

impl Command {
    pub(super) fn after(self, before: &str, word: &str) -> Self {
        let name = word.strip_suffix(".cmd").or_else(|| word.strip_suffix(".exe")).unwrap_or(word);
        match (word, self) {
            ("\n", _) if before.ends_with('\\') => self,
            (";" | "&" | "|" | "(" | ")" | "," | "\n", _) => Self::Other,
            _ if !word.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '-' | '@')) => self,
            (_, Self::Packages) => self,
            _ if RUNNERS.contains(&name) => Self::Packages,
            _ if MANAGERS.contains(&name) => Self::Manager,
            (_, Self::Manager) if INSTALLS.contains(&word) => Self::Packages,
            (_, Self::Manager) if word.starts_with('-') => self,
            _ => Self::Other,
        }
    }
}

/// Whether it is no name of a host or of a domain but that of a version: `next`, `v4`.
pub(super) fn is_version(label: &str) -> bool {
    let number = |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    TAGS.iter().any(|tag| label.eq_ignore_ascii_case(tag)) || label.strip_prefix('v').is_some_and(number)
}
