//! The tree says nothing of the machine it was written on.

use crate::files::Tree;

/// What may not stand in a tracked file, and why. Written in pieces so that this file is clean itself.
const BANNED: &[(&str, &str)] = &[
    (concat!("/wo", "rk/"), "a path of one machine"),
    (concat!("/ro", "ot/."), "a path of one machine"),
    (concat!("registry.", "npmjs.org"), "package managers know their registry"),
    (concat!("files.", "pythonhosted.org"), "package managers know their registry"),
    (concat!("index.", "crates.io"), "package managers know their registry"),
    (
        concat!("\"resol", "ved\": \"http"),
        "a lock file records a download host; set `omit-lockfile-registry-resolved=true` in your npmrc",
    ),
    (concat!("index-", "url"), "package managers know their registry"),
    (concat!("extra-", "index"), "package managers know their registry"),
    (PRIVATE_KEY, "a private key"),
];

/// Allowed in tests, which need a key that protects nothing.
const PRIVATE_KEY: &str = concat!("-----BEGIN ", "PRIVATE KEY");

/// Files that configure a package manager for one machine.
const BANNED_FILES: &[&str] = &[".npmrc", "pip.conf", ".pypirc", "uv.toml"];

/// Every banned string and file.
pub(crate) fn check(tree: &Tree) -> Vec<String> {
    let mut problems = Vec::new();
    for (path, text) in tree.iter() {
        if BANNED_FILES.iter().any(|name| path.rsplit('/').next() == Some(name)) {
            problems
                .push(format!("{path}: package managers are configured by the machine, not by the project"));
        }
        for (banned, why) in BANNED {
            if *banned == PRIVATE_KEY && path.contains("/tests/") {
                continue;
            }
            if let Some(line) = text.lines().position(|line| line.contains(banned)) {
                problems.push(format!("{path}:{}: `{banned}`: {why}", line + 1));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_banned_string_is_found_with_its_line() {
        for (banned, _) in BANNED {
            let problems = check(&Tree::of(&[("a.txt", &format!("x\nsee {banned}y"))]));
            assert_eq!(problems.len(), 1, "{banned}");
            assert!(problems.concat().starts_with("a.txt:2: "), "{problems:?}");
        }
    }

    #[test]
    fn a_package_managers_settings_are_found() {
        assert_eq!(check(&Tree::of(&[("tests/externals/node/.npmrc", "")])).len(), 1);
    }

    #[test]
    fn a_private_key_is_for_tests_only() {
        assert_eq!(check(&Tree::of(&[("crates/a/tests/it/tls/server.key", PRIVATE_KEY)])).len(), 0);
        assert_eq!(check(&Tree::of(&[("crates/a/src/server.key", PRIVATE_KEY)])).len(), 1);
    }

    #[test]
    fn an_ordinary_file_is_clean() {
        assert_eq!(
            check(&Tree::of(&[("Cargo.lock", "registry+https://github.com/rust-lang/crates.io-index")]))
                .len(),
            0
        );
    }
}
