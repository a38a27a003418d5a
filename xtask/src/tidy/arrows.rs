//! Who may import whom. Changing these tables is an architecture decision: write an ADR.

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Every crate of ours, and which of ours it may depend on.
const OURS: &[(&str, &[&str])] = &[
    ("decision", &[]),
    ("wire", &["decision"]),
    ("inspect", &["decision"]),
    ("catalog", &["decision", "inspect"]),
    ("policy", &["decision", "catalog"]),
    ("egress", &["decision"]),
    ("identity", &["decision", "egress"]),
    ("vault", &["decision", "egress", "launch"]),
    ("store", &["decision", "catalog"]),
    ("launch", &["decision"]),
    (
        "gateway",
        &[
            "decision", "wire", "inspect", "catalog", "policy", "egress", "identity", "vault", "store",
            "launch",
        ],
    ),
    ("console", &["decision", "catalog", "policy", "inspect", "store", "identity", "egress"]),
    ("demo", &["decision", "wire"]),
    ("reference", &[]),
    (
        "cli",
        &[
            "decision", "wire", "inspect", "catalog", "policy", "egress", "identity", "vault", "store",
            "launch", "gateway", "console", "demo",
        ],
    ),
    ("bench", &[]),
    ("xtask", &[]),
];

/// An outside crate, who of ours may build on it, who may only test with it, and why there is a wall.
struct Wall {
    name: &'static str,
    may: &'static [&'static str],
    may_in_tests: &'static [&'static str],
    why: &'static str,
}

const WAITS: &[&str] =
    &["egress", "identity", "vault", "store", "launch", "gateway", "console", "demo", "reference", "cli"];

const WALLS: &[Wall] = &[
    wall("cedar-policy", &["policy"], &[], "one crate speaks Cedar"),
    wall("sqlx", &["store"], &[], "one crate speaks SQL"),
    wall(
        "rmcp",
        &["reference"],
        &["gateway", "cli", "demo"],
        "typed SDK structs lose fields: they are for tests only",
    ),
    wall(
        "jsonschema",
        &["gateway"],
        &["catalog", "cli"],
        "one place compiles schemas, with references closed",
    ),
    wall("nix", &["launch", "cli", "demo"], &["gateway"], "processes are started in one crate"),
    wall("hyper-rustls", &["egress"], &[], "one crate opens TLS connections"),
    wall("rustls-platform-verifier", &["egress"], &[], "one crate decides which roots are trusted"),
    wall("x509-parser", &["identity"], &[], "one crate reads who a certificate is for"),
    wall("askama", &["console"], &[], "one crate writes pages"),
    wall("reqwest", &[], &[], "egress is the only HTTP client"),
    wall("clap", &["cli"], &[], "one crate reads the command line"),
    wall("anyhow", &["cli", "demo", "reference", "bench", "xtask"], &[], "libraries name their errors"),
    wall("tokio", WAITS, &[], "the pure crates never wait"),
];

const fn wall(
    name: &'static str,
    may: &'static [&'static str],
    may_in_tests: &'static [&'static str],
    why: &'static str,
) -> Wall {
    Wall { name, may, may_in_tests, why }
}

/// What cargo knows of the workspace, without its dependencies.
pub(crate) fn metadata() -> Result<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version=1", "--offline"])
        .current_dir(crate::files::root())
        .output()
        .context("cargo does not run")?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("cargo metadata is not JSON")
}

/// Every arrow that is not in the tables.
pub(crate) fn check(metadata: &Value) -> Vec<String> {
    let members: BTreeSet<&str> = packages(metadata).map(|package| short(&package["name"])).collect();
    let mut problems: Vec<String> = OURS
        .iter()
        .filter(|(name, _)| !members.contains(name))
        .map(|(name, _)| format!("`{name}` is in the table but not in the workspace"))
        .collect();
    for package in packages(metadata) {
        let name = short(&package["name"]);
        let Some((_, may)) = OURS.iter().find(|(ours, _)| *ours == name) else {
            problems.push(format!("`{name}` is not in the table of xtask/src/tidy/arrows.rs"));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let in_tests = dependency["kind"] == "dev";
            let on = short(&dependency["name"]);
            if members.contains(on) && dependency["path"].is_string() && !in_tests && !may.contains(&on) {
                problems.push(format!("`{name}` may not import `{on}`"));
            }
            if let Some(wall) = WALLS.iter().find(|wall| wall.name == on)
                && !wall.may.contains(&name)
                && !(in_tests && wall.may_in_tests.contains(&name))
            {
                problems.push(format!("`{name}` may not import `{on}`: {}", wall.why));
            }
        }
    }
    problems
}

fn packages(metadata: &Value) -> impl Iterator<Item = &Value> {
    metadata["packages"].as_array().into_iter().flatten()
}

fn short(name: &Value) -> &str {
    let name = name.as_str().unwrap_or_default();
    name.strip_prefix("callgate-").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The workspace as the table has it, with one crate's dependencies given.
    fn workspace(of: &str, dependencies: Value) -> Value {
        let packages: Vec<Value> = OURS
            .iter()
            .map(|(name, _)| {
                let none = json!([]);
                let on = if *name == of { &dependencies } else { &none };
                json!({ "name": format!("callgate-{name}"), "dependencies": on })
            })
            .collect();
        json!({ "packages": packages })
    }

    #[test]
    fn the_workspace_as_it_is_has_only_allowed_arrows() {
        assert_eq!(check(&metadata().unwrap()), Vec::<String>::new());
    }

    #[test]
    fn an_arrow_that_is_not_in_the_table_is_reported() {
        let bad = workspace("store", json!([{ "name": "callgate-policy", "path": "/p", "kind": null }]));
        assert_eq!(check(&bad), ["`store` may not import `policy`"]);
    }

    #[test]
    fn a_wall_holds_for_everybody_who_is_not_named() {
        let bad = workspace("gateway", json!([{ "name": "sqlx", "kind": null }]));
        assert_eq!(check(&bad), ["`gateway` may not import `sqlx`: one crate speaks SQL"]);
    }

    #[test]
    fn a_test_may_use_what_the_product_may_not() {
        let rmcp = |kind| workspace("gateway", json!([{ "name": "rmcp", "kind": kind }]));
        assert_eq!(check(&rmcp(json!("dev"))), Vec::<String>::new());
        assert_eq!(check(&rmcp(json!(null))).len(), 1);
        assert_eq!(check(&rmcp(json!("build"))).len(), 1);
    }

    #[test]
    fn a_crate_without_a_row_and_a_row_without_a_crate_are_reported() {
        let mut bad = workspace("decision", json!([]));
        bad["packages"][0]["name"] = json!("callgate-novelty");
        let problems = check(&bad);
        assert!(problems.iter().any(|p| p.contains("`novelty` is not in the table")), "{problems:?}");
        assert!(problems.iter().any(|p| p.contains("`decision` is in the table but not")), "{problems:?}");
    }
}
