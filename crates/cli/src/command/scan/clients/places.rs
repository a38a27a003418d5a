//! Where each client keeps its servers.

use std::path::{Path, PathBuf};

/// A client, where it keeps its servers, and under which member. Below the home folder, the folder of configurations, or
/// the present one; a `*` is any folder.
pub(super) struct Client {
    pub(super) name: &'static str,
    pub(super) home: &'static [&'static str],
    pub(super) config: &'static [&'static str],
    pub(super) here: &'static [&'static str],
    /// The keys that lead to the member.
    pub(super) within: &'static [&'static str],
    pub(super) member: &'static str,
}

pub(super) const ZED: &str = "Zed";

/// Its settings, where it kept them before they had a file of their own.
const VS_CODE_SETTINGS: Client = Client {
    name: "VS Code",
    home: &[
        "Library/Application Support/Code/User/settings.json",
        "Library/Application Support/Code/User/profiles/*/settings.json",
        "Library/Application Support/Code - Insiders/User/settings.json",
        "Library/Application Support/Code - Insiders/User/profiles/*/settings.json",
    ],
    config: &[
        "Code/User/settings.json",
        "Code/User/profiles/*/settings.json",
        "Code - Insiders/User/settings.json",
        "Code - Insiders/User/profiles/*/settings.json",
    ],
    here: &[".vscode/settings.json"],
    within: &["mcp"],
    member: "servers",
};

pub(super) const CLIENTS: [Client; 10] = [
    Client {
        name: "Claude Desktop",
        home: &["Library/Application Support/Claude/claude_desktop_config.json"],
        config: &["Claude/claude_desktop_config.json"],
        here: &[],
        within: &[],
        member: "mcpServers",
    },
    Client {
        name: "Claude Code",
        home: &[".claude.json"],
        config: &[],
        here: &[".mcp.json"],
        within: &[],
        member: "mcpServers",
    },
    Client {
        name: "Cursor",
        home: &[".cursor/mcp.json"],
        config: &[],
        here: &[".cursor/mcp.json"],
        within: &[],
        member: "mcpServers",
    },
    Client {
        name: "VS Code",
        home: &[
            "Library/Application Support/Code/User/mcp.json",
            "Library/Application Support/Code/User/profiles/*/mcp.json",
            "Library/Application Support/Code - Insiders/User/mcp.json",
            "Library/Application Support/Code - Insiders/User/profiles/*/mcp.json",
        ],
        config: &[
            "Code/User/mcp.json",
            "Code/User/profiles/*/mcp.json",
            "Code - Insiders/User/mcp.json",
            "Code - Insiders/User/profiles/*/mcp.json",
        ],
        here: &[".vscode/mcp.json"],
        within: &[],
        member: "servers",
    },
    VS_CODE_SETTINGS,
    // settings may be written with dots
    Client { within: &[], member: "mcp.servers", ..VS_CODE_SETTINGS },
    Client {
        name: "Windsurf",
        home: &[".codeium/windsurf/mcp_config.json"],
        config: &[],
        here: &[],
        within: &[],
        member: "mcpServers",
    },
    Client {
        name: "Codex",
        home: &[".codex/config.toml"],
        config: &[],
        here: &[".codex/config.toml"],
        within: &[],
        member: "mcp_servers",
    },
    Client {
        name: "Gemini CLI",
        home: &[".gemini/settings.json"],
        config: &[],
        here: &[".gemini/settings.json"],
        within: &[],
        member: "mcpServers",
    },
    Client {
        name: ZED,
        home: &[],
        config: &["zed/settings.json"],
        here: &[".zed/settings.json"],
        within: &[],
        member: "context_servers",
    },
];

/// Where that may be below a folder, in order.
pub(super) fn files(folder: &Path, path: &str) -> Vec<PathBuf> {
    let Some((before, behind)) = path.split_once("/*/") else { return vec![folder.join(path)] };
    let within = std::fs::read_dir(folder.join(before)).into_iter().flatten().filter_map(Result::ok);
    let mut folders: Vec<PathBuf> = within.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    folders.into_iter().map(|folder| folder.join(behind)).collect()
}

/// Whether a file is at such a place, wherever that begins.
pub(super) fn is_at(file: &Path, path: &str) -> bool {
    let mut parts = file.components().rev();
    let mut wanted = Path::new(path).components().rev();
    wanted.all(|wanted| parts.next().is_some_and(|part| wanted.as_os_str() == "*" || part == wanted))
}

/// The folder above such a place.
pub(super) fn root(file: &Path, path: &str) -> Option<PathBuf> {
    let above = file.ancestors().nth(Path::new(path).components().count())?;
    is_at(file, path).then(|| above.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_has_a_file_of_its_own() {
        let home = tempfile::tempdir().unwrap();
        for profile in ["-2f", "1a"] {
            let folder = home.path().join("Code/User/profiles").join(profile);
            std::fs::create_dir_all(&folder).unwrap();
        }
        let found = files(home.path(), "Code/User/profiles/*/mcp.json");
        assert_eq!(found.len(), 2);
        assert!(found.iter().all(|file| is_at(file, "Code/User/profiles/*/mcp.json")));
        assert!(!is_at(Path::new("/x/User/profiles/mcp.json"), "Code/User/profiles/*/mcp.json"));
    }
}
