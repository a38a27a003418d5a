//! What may not be linked, read from `cargo tree`: the part of `deny.toml` that needs no further tool.
//!
//! `Cargo.lock` would not do: it lists crates that a feature nobody enables could bring.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::process::{cargo, output};

/// Crates that must not be linked, and why.
const BANNED: &[(&str, &str)] = &[
    ("openssl", "one TLS library: rustls"),
    ("openssl-sys", "one TLS library: rustls"),
    ("native-tls", "one TLS library: rustls"),
    ("ring", "one cryptography provider: aws-lc-rs"),
];

/// Crates of which there may be one version.
const SINGLE: &[&str] = &["rustls", "aws-lc-rs", "tokio", "hyper", "serde_json", "cedar-policy", "sqlx"];

/// Every crate that is built here, tests included, one a line: `name v1.2.3 (where from, unless the registry)`.
pub(crate) fn tree() -> Result<String> {
    output(&mut cargo(&[
        "tree",
        "--workspace",
        "--locked",
        "--quiet",
        "--prefix=none",
        "--edges=normal,build,dev",
    ]))
}

/// Banned crates, doubled crates, and crates that come from a repository.
pub(crate) fn check(tree: &str) -> Vec<String> {
    let crates: BTreeSet<&str> = tree.lines().map(|line| line.trim_end_matches(" (*)").trim()).collect();
    let mut problems = Vec::new();
    for line in &crates {
        let name = line.split(' ').next().unwrap_or_default();
        if let Some((_, why)) = BANNED.iter().find(|(banned, _)| *banned == name) {
            problems.push(format!("`{name}` is linked: {why}; `cargo tree -i {name}` says by whom"));
        }
        if line.contains("://") {
            problems.push(format!("`{line}`: depend on released versions"));
        }
    }
    for single in SINGLE {
        let versions = crates.iter().filter(|line| line.split(' ').next() == Some(single)).count();
        if versions > 1 {
            problems.push(format!("{versions} versions of `{single}` are linked"));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_provider_is_reported() {
        let problems = check("aws-lc-rs v1.19.0\nring v0.17.14\nring v0.17.14 (*)\n");
        assert_eq!(problems.len(), 1);
        assert!(problems.concat().contains("one cryptography provider"), "{problems:?}");
    }

    #[test]
    fn a_second_version_of_the_tls_library_is_reported() {
        assert_eq!(check("rustls v0.22.0\nrustls v0.23.1\n"), ["2 versions of `rustls` are linked"]);
        assert_eq!(check("rustls v0.23.1\nrustls v0.23.1 (*)\nrustls-webpki v0.1.0\n"), Vec::<String>::new());
    }

    #[test]
    fn a_crate_from_a_repository_is_reported() {
        assert_eq!(check("serde v1.0.0 (https://example.org/serde#abc)\n").len(), 1);
        assert_eq!(check("serde v1.0.0 (proc-macro)\n").len(), 0);
    }
}
