//! A server that a registry describes, put into the configuration.

use crate::bed::{Bed, free_port};
use serde_json::{Value, json};
use std::fs;

fn bed() -> Bed {
    let bed = Bed::new();
    bed.write("callgate.toml", &bed.notes_config(free_port()));
    bed
}

fn described(bed: &Bed, value: &Value) {
    bed.write("server.json", &value.to_string());
}

fn config(bed: &Bed) -> String {
    fs::read_to_string(bed.path("callgate.toml")).unwrap()
}

#[test]
fn an_address_is_taken_over_and_its_secret_becomes_a_place_in_the_vault() {
    let bed = bed();
    described(
        &bed,
        &json!({
            "$schema": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
            "name": "com.example/Order Desk", "description": "Orders", "version": "1.2.0",
            "repository": { "url": "https://git.example/orders", "source": "git" },
            "packages": [{ "registryType": "mcpb", "identifier": "https://example.com/x.mcpb", "version": "1.2.0" }],
            "remotes": [{ "type": "streamable-http", "url": "https://orders.example/mcp",
                "headers": [{ "name": "Authorization", "value": "Bearer {token}", "isSecret": true }] }],
        }),
    );
    let before = config(&bed);
    let refused = bed.run_with(&["registry", "import", "server.json"], "n\n");
    assert_eq!((refused.code, config(&bed)), (3, before.clone()), "{}", refused.err);
    let said = bed.run(&["registry", "import", "server.json", "--yes"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.contains("callgate secret set order-desk/Authorization"), "{}", said.out);
    let after = config(&bed);
    assert!(after.starts_with(&before), "what was there stays to the byte");
    let meant: toml::Table = after.parse().unwrap();
    let server = &meant["servers"]["order-desk"];
    assert_eq!(server["url"].as_str(), Some("https://orders.example/mcp"));
    assert_eq!(server["record"]["repository"].as_str(), Some("https://git.example/orders"));
    let credential = &server["credentials"][0];
    assert_eq!(
        (credential["header"].as_str(), credential["prefix"].as_str()),
        (Some("Authorization"), Some("Bearer "))
    );
    assert!(!after.contains("{token}"));
    // the same again is another server
    assert_eq!(bed.run(&["registry", "import", "server.json", "--yes"]).code, 0);
    assert!(config(&bed).contains("[servers.order-desk-2]"));
    let taken = bed.run(&["registry", "import", "server.json", "--yes", "--name", "notes"]);
    assert!(taken.code == 2 && taken.err.contains("already"), "{}", taken.err);
}

#[test]
fn a_package_is_started_with_its_version_and_what_cannot_be_used_is_refused() {
    let bed = bed();
    let package =
        |package: Value| json!({ "name": "io.example/files", "version": "2.0.0", "packages": [package] });
    described(
        &bed,
        &package(json!({
            "registryType": "npm", "identifier": "@example/files", "version": "2.0.0",
            "transport": { "type": "stdio" },
            "packageArguments": [{ "type": "positional", "value": "/srv" }],
            "environmentVariables": [
                { "name": "FILES_KEY", "isSecret": true, "isRequired": true },
                { "name": "FILES_MODE", "value": "plain" },
            ],
        })),
    );
    let said = bed.run(&["registry", "import", "server.json", "--yes"]);
    assert_eq!(said.code, 0, "{}", said.err);
    let meant: toml::Table = config(&bed).parse().unwrap();
    let server = &meant["servers"]["files"];
    let args: Vec<_> = server["args"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    assert_eq!((server["command"].as_str(), args), (Some("npx"), vec!["-y", "@example/files@2.0.0", "/srv"]));
    assert_eq!(server["env"]["FILES_MODE"].as_str(), Some("plain"));
    assert_eq!(server["credentials"][0]["env"].as_str(), Some("FILES_KEY"));

    let before = config(&bed);
    for (wrong, says) in [
        (
            package(json!({ "registryType": "mcpb", "identifier": "https://x.example/a.mcpb" })),
            "as it stands",
        ),
        (
            json!({ "name": "a/b", "remotes": [{ "type": "streamable-http", "url": "https://{host}/mcp" }] }),
            "as it stands",
        ),
        (
            package(
                json!({ "registryType": "npm", "identifier": "x", "version": "1.0.0", "runtimeHint": "sh",
                "runtimeArguments": [{ "type": "positional", "value": "-c" }] }),
            ),
            "as it stands",
        ),
        (json!({ "tools": [] }), "exactly one server"),
        (json!("no"), "exactly one server"),
    ] {
        described(&bed, &wrong);
        let said = bed.run(&["registry", "import", "server.json", "--yes"]);
        assert!(said.code == 2 && said.err.contains(says), "{wrong}: {} {}", said.code, said.err);
    }
    bed.write("server.json", "{");
    assert_eq!(bed.run(&["registry", "import", "server.json", "--yes"]).code, 2);
    assert_eq!(config(&bed), before);
    // what it says cannot break out of what is written
    described(
        &bed,
        &json!({ "name": "a/b\"]\n[console]\nenabled = false", "version": "1",
        "remotes": [{ "type": "streamable-http", "url": "https://x.example/\"\n[limits]\n" }] }),
    );
    let said = bed.run(&["registry", "import", "server.json", "--yes"]);
    let meant: toml::Table = config(&bed).parse().unwrap();
    assert!(meant.get("console").is_none() && meant.get("limits").is_none(), "{} {}", said.out, said.err);
}
