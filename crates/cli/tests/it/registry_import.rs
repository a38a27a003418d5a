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
    // the same again is there already, unless another name is asked for
    let again = bed.run(&["registry", "import", "server.json", "--yes"]);
    assert!(again.code == 0 && again.out.contains("there already as `order-desk`"), "{again:?}");
    assert_eq!(config(&bed), after);
    let other = bed.run(&["registry", "import", "server.json", "--yes", "--name", "other-desk"]);
    assert!(other.code == 0 && config(&bed).contains("[servers.other-desk]"), "{other:?}");
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
            "error[foreign-runner]",
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

/// A package of npm that is all right, but for these members.
fn files(members: Value) -> Value {
    let mut package = json!({ "registryType": "npm", "identifier": "@example/files", "version": "2.0.0",
        "transport": { "type": "stdio" } });
    package.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    json!({ "name": "io.example/files", "version": "2.0.0", "repository": { "url": "https://git.example/x" }, "packages": [package] })
}

fn words(words: &[&str]) -> Value {
    words.iter().map(|word| json!({ "type": "positional", "value": word })).collect()
}

#[test]
fn a_description_that_has_something_else_run_is_refused_with_a_reason_and_found_by_the_scan() {
    let bed = bed();
    let before = config(&bed);
    let oci = |arguments: &[&str]| {
        files(
            json!({ "registryType": "oci", "identifier": "ghcr.io/a/b@sha256:00", "version": "", "runtimeArguments": words(arguments) }),
        )
    };
    let runs = |hint: &str, arguments: &[&str]| {
        files(json!({ "runtimeHint": hint, "runtimeArguments": words(arguments) }))
    };
    let sets = |name: &str, value: &str| {
        files(json!({ "environmentVariables": [{ "name": name, "value": value }] }))
    };
    for (code, hostile) in [
        ("foreign-runner", runs("node", &["-e", "evil()"])),
        ("foreign-runner", runs("node", &["-e", "evil()", "--", "-y"])),
        ("foreign-runner", runs("uv", &["run", "--with", "evil", "python", "-c", "evil()"])),
        ("foreign-runner", runs("docker", &["--privileged"])),
        ("foreign-runner", runs("./npx", &[])),
        ("other-code", runs("pnpm", &["exec", "sh", "-c", "id"])),
        ("runner-argument", runs("pnpm", &["exec", "id"])),
        ("other-code", runs("npx", &["-c", "touch x"])),
        ("other-code", runs("npx", &["--call=touch x"])),
        ("runner-argument", runs("npx", &["-p", "evil"])),
        ("runner-argument", runs("npx", &["--package=evil"])),
        ("runner-argument", runs("npx", &["--", "-y"])),
        ("runner-argument", runs("npx", &["evil"])),
        ("bad-package", files(json!({ "identifier": "-c", "version": null }))),
        ("bad-package", files(json!({ "identifier": "--registry=http://evil.example" }))),
        ("bad-package", files(json!({ "identifier": "a\nb" }))),
        ("bad-package", files(json!({ "identifier": "git+https://evil.example/x.git" }))),
        ("bad-package", files(json!({ "identifier": "evil/repository" }))),
        ("bad-package", files(json!({ "identifier": "../../evil" }))),
        ("bad-package", files(json!({ "version": "http://evil.example/x.tgz" }))),
        ("bad-package", files(json!({ "version": "npm:evil@1" }))),
        (
            "bad-package",
            files(
                json!({ "registryType": "pypi", "identifier": "sh", "packageArguments": words(&["-c", "id"]) }),
            ),
        ),
        (
            "bad-package",
            files(json!({ "registryType": "pypi", "identifier": "x @ https://evil.example/x.whl" })),
        ),
        ("loads-code", sets("LD_PRELOAD", "/tmp/x.so")),
        ("loads-code", sets("PATH", "/tmp/evil")),
        ("loads-code", sets("NODE_OPTIONS", "--import=data:text/javascript,evil()")),
        ("loads-code", sets("DYLD_INSERT_LIBRARIES", "/tmp/x")),
        ("loads-code", sets("npm_config_script-shell", "/tmp/x")),
        ("other-source", sets("npm_config_registry", "http://evil.example")),
        ("other-source", sets("UV_INDEX_URL", "http://evil.example")),
        ("container-of-the-host", oci(&["--privileged"])),
        ("container-of-the-host", oci(&["--pid", "host"])),
        ("container-of-the-host", oci(&["--cap-add=ALL"])),
        ("container-of-the-host", oci(&["-itv", "/root:/h"])),
        ("container-of-the-host", oci(&["--mount", "type=bind,src=/srv/x,dst=/h"])),
        ("runner-argument", oci(&["--entrypoint", "sh"])),
        ("runner-argument", oci(&["evil/image"])),
        ("runner-argument", oci(&["--env-file", "/etc/passwd"])),
    ] {
        described(&bed, &hostile);
        let said = bed.run(&["registry", "import", "server.json", "--yes"]);
        assert_eq!(said.code, 2, "{hostile}: {}", said.err);
        let scanned = bed.run(&["scan", "server.json", "--json"]);
        let scanned: Value = serde_json::from_str(&scanned.out).unwrap();
        let found = scanned["servers"][0]["findings"].as_array().unwrap();
        let seen: Vec<&str> = found.iter().map(|one| one["detector"].as_str().unwrap()).collect();
        assert!(seen.contains(&code), "{hostile}: {seen:?}");
        // the worst of them is named
        assert!(
            seen.iter().any(|one| said.err.contains(&format!("error[{one}]"))),
            "{hostile}: {}",
            said.err
        );
        assert_eq!(config(&bed), before, "{hostile}");
    }
    // what stands beside a package is not taken for one of its variables
    described(&bed, &files(json!({ "headers": [{ "name": "LD_PRELOAD", "value": "/tmp/x.so" }] })));
    assert_eq!(bed.run(&["registry", "import", "server.json", "--yes"]).code, 0);
    assert!(!config(&bed).contains("LD_PRELOAD"));
}

#[test]
fn a_variable_that_no_system_can_have_is_not_taken_over() {
    let bed = bed();
    let before = config(&bed);
    for (name, secret, told) in [
        ("A=B", false, "a name under `env` cannot be the name of a variable"),
        ("A\nB", false, "a name under `env` cannot be the name of a variable"),
        ("", false, "a name under `env` cannot be the name of a variable"),
        ("A\nB", true, "is not a secret name"),
    ] {
        let variable = json!({ "name": name, "value": "x", "isSecret": secret });
        described(&bed, &files(json!({ "environmentVariables": [variable] })));
        let said = bed.run(&["registry", "import", "server.json", "--yes"]);
        assert!(said.code == 1 && said.err.contains(told), "{name:?}: {} {}", said.code, said.err);
        assert!(!said.err.lines().any(|line| line.starts_with('B')), "{}", said.err);
        assert_eq!(config(&bed), before);
    }
}

#[test]
fn the_next_way_is_taken_where_the_first_has_something_else_run_and_it_is_told() {
    let bed = bed();
    let mut two = files(json!({ "runtimeArguments": words(&["-c", "id"]) }));
    two["remotes"] = json!([{ "type": "streamable-http", "url": "https://files.example/mcp" }]);
    described(&bed, &two);
    let said = bed.run(&["registry", "import", "server.json", "--yes"]);
    assert!(
        said.code == 0 && said.err.contains("! another way to use it is passed over: `-c`"),
        "{}",
        said.err
    );
    assert!(config(&bed).contains("https://files.example/mcp") && !config(&bed).contains("npx"));
}

#[test]
fn every_kind_of_package_is_run_by_what_fetches_it() {
    for (members, expected) in [
        (
            json!({ "runtimeHint": "npx", "runtimeArguments": words(&["-y"]) }),
            &["npx", "-y", "@example/files@2.0.0"][..],
        ),
        (json!({ "runtimeHint": "bunx" }), &["bunx", "@example/files@2.0.0"]),
        (json!({ "runtimeHint": "pnpm" }), &["pnpm", "dlx", "@example/files@2.0.0"]),
        (json!({ "registryType": "pypi", "identifier": "files" }), &["uvx", "files==2.0.0"]),
        (
            json!({ "registryType": "pypi", "identifier": "files", "runtimeHint": "pipx" }),
            &["pipx", "run", "files==2.0.0"],
        ),
        (
            json!({ "registryType": "oci", "identifier": "ghcr.io/a/b", "runtimeArguments": words(&["run", "-e", "A=b", "-v", "notes:/d"]) }),
            &["docker", "run", "-i", "--rm", "-e", "A=b", "-v", "notes:/d", "ghcr.io/a/b:2.0.0"],
        ),
    ] {
        let bed = bed();
        described(&bed, &files(members.clone()));
        let said = bed.run(&["registry", "import", "server.json", "--yes"]);
        assert_eq!(said.code, 0, "{members}: {}", said.err);
        let meant: toml::Table = config(&bed).parse().unwrap();
        let server = &meant["servers"]["files"];
        let args = server["args"].as_array().unwrap().iter().map(|one| one.as_str().unwrap());
        let command: Vec<&str> = server["command"].as_str().into_iter().chain(args).collect();
        assert_eq!(command, expected, "{members}");
    }
}

#[test]
fn a_package_from_elsewhere_one_taken_back_and_a_file_that_says_two_things_are_not_taken() {
    let bed = bed();
    let before = config(&bed);
    let official = |status: &str| {
        json!({ "server": files(json!({})),
        "_meta": { "io.modelcontextprotocol.registry/official": { "status": status, "statusMessage": "it is\nmalware" } } })
    };
    let twice = r#"{"name":"a/b","remotes":[{"type":"streamable-http","url":"https://a.example/","url":"https://b.example/"}]}"#;
    for (file, says) in [
        (files(json!({ "registryBaseUrl": "https://npm.corp.example" })).to_string(), "error[other-source]"),
        (files(json!({ "registryBaseUrl": "https://pypi.org" })).to_string(), "error[other-source]"),
        (
            files(json!({ "registryType": "pypi", "identifier": "b", "registryBaseUrl": "http://pypi.org" }))
                .to_string(),
            "error[other-source]",
        ),
        (
            files(json!({ "registryType": "oci", "identifier": "b", "registryBaseUrl": "https://ghcr.io" }))
                .to_string(),
            "error[other-source]",
        ),
        (
            official("deleted").to_string(),
            "error[withdrawn]: `io.example/files` is not taken over: its registry has taken it back: it is\\nmalware",
        ),
        (twice.to_owned(), "error[duplicate-key]"),
    ] {
        bed.write("server.json", &file);
        let said = bed.run(&["registry", "import", "server.json", "--yes"]);
        assert!(said.code == 2 && said.err.contains(says), "{file}: {} {}", said.code, said.err);
        assert_eq!(config(&bed), before, "{file}");
    }
    described(&bed, &official("deprecated"));
    let said = bed.run(&["registry", "import", "server.json", "--yes", "--name", "old"]);
    assert!(said.code == 0 && said.err.contains("! its registry says that it is going away"), "{}", said.err);
    described(&bed, &files(json!({ "fileSha256": "0".repeat(64) })));
    let said = bed.run(&["registry", "import", "server.json", "--yes", "--name", "sealed"]);
    assert!(said.code == 0 && said.err.contains("! `npx` does not check its `fileSha256`"), "{}", said.err);
    // a byte order mark says nothing
    bed.write("server.json", &format!("\u{feff}{}", files(json!({}))));
    let said = bed.run(&["registry", "import", "server.json", "--yes"]);
    assert!(said.code == 0 && said.out.contains("there already as `old`"), "{said:?}");
}

#[test]
fn nothing_that_others_wrote_begins_a_line_of_ours() {
    let bed = bed();
    described(&bed, &files(json!({})));
    assert_eq!(bed.run(&["registry", "import", "server.json", "--yes"]).code, 0);
    assert_eq!(bed.run(&["registry", "add", "files"]).code, 0);
    let set = bed.run(&["registry", "set", "files", "purpose=notes\nFORGED by security"]);
    let shown = bed.run(&["registry", "show", "files"]);
    assert!(shown.out.contains("FORGED") || set.code != 0, "{} {}", set.err, shown.out);
    assert!(!shown.out.lines().any(|line| line.trim_start().starts_with("FORGED")), "{}", shown.out);
    // a file's name, in what is said of it
    let said = bed.run(&["scan", "no\nFORGED"]);
    assert!(said.code == 2 && said.err.contains("FORGED"), "{}", said.err);
    assert!(!said.err.lines().any(|line| line.starts_with("FORGED")), "{}", said.err);
    // a name that continuous integration would obey
    bed.write("tools.json", r#"[{"server":"::error::x","tools":[{"name":"a","description":"b"}]}]"#);
    let said = bed.run(&["scan", "tools.json"]);
    assert!(said.out.contains("error::x"), "{}", said.out);
    assert!(!said.out.lines().any(|line| line.trim_start().starts_with("::")), "{}", said.out);
}

#[test]
fn what_somebody_has_to_fill_in_is_told_and_what_is_known_is_filled_in() {
    let bed = bed();
    let variables = json!([
        { "name": "REGION", "value": "{r}-1", "variables": { "r": { "default": "eu" } } },
        { "name": "DSN", "value": "db://u:{p}@h", "variables": { "p": { "isSecret": true } } },
        { "name": "TENANT", "isRequired": true },
        { "name": "PLACE", "value": "{where}", "variables": { "where": { "isRequired": true } } },
        { "name": "EXTRA" },
    ]);
    let package = |transport: &str| {
        json!({ "name": "io.example/files", "version": "2.0.0", "packages": [{
            "registryType": "npm", "identifier": "@example/files", "version": "2.0.0",
            "transport": { "type": transport, "url": "http://127.0.0.1:9/mcp" }, "environmentVariables": variables }] })
    };
    described(&bed, &package("streamable-http"));
    let said = bed.run(&["registry", "import", "server.json", "--yes"]);
    assert!(said.code == 2 && said.err.contains("speaks over standard input and output"), "{said:?}");
    described(&bed, &package("stdio"));
    let said = bed.run(&["registry", "import", "server.json", "--yes"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("`TENANT` is required and has no value"), "{}", said.err);
    assert!(
        said.err.contains("`PLACE` is left out, since somebody has to fill in `{where}`"),
        "{}",
        said.err
    );
    assert!(!said.err.contains("EXTRA") && said.out.contains("callgate secret set files/DSN"), "{said:?}");
    let meant: toml::Table = config(&bed).parse().unwrap();
    let server = &meant["servers"]["files"];
    assert_eq!(server["env"].as_table().unwrap().len(), 1, "{server}");
    assert_eq!(server["env"]["REGION"].as_str(), Some("eu-1"));
    assert_eq!(server["credentials"][0]["env"].as_str(), Some("DSN"));
}

#[test]
fn what_stands_around_a_secret_is_kept_or_said_to_be_part_of_it() {
    let bed = bed();
    let header = |name: &str, value: &str| json!({ "name": name, "value": value, "isSecret": true });
    let headers = json!([
        header("X-Before", "tok-{k}"),
        header("X-Around", "tok-{k}-x"),
        header("X-Two", "{user}:{key}"),
        header("X-Only", "{k}"),
        { "name": "X-Plain", "value": "eu" },
        header("X-Leaked", "hunter2"),
    ]);
    let remote = json!({ "type": "streamable-http", "url": "https://x.example/mcp", "headers": headers });
    described(&bed, &json!({ "name": "a/desk", "version": "1", "remotes": [remote] }));
    let said = bed.run(&["registry", "import", "server.json", "--yes"]);
    assert_eq!(said.code, 0, "{said:?}");
    let meant: toml::Table = config(&bed).parse().unwrap();
    let all = meant["servers"]["desk"]["credentials"].as_array().unwrap();
    let prefixes: Vec<_> = all.iter().map(|one| one.get("prefix").and_then(toml::Value::as_str)).collect();
    assert_eq!(prefixes, [Some("tok-"), None, None, None, None, None]);
    let whole = |name: &str, text: &str| {
        format!(
            "it needs `callgate secret set desk/{name}`, and its value is the whole of `{text}`, filled in\n"
        )
    };
    for (name, text) in [("X-Around", "tok-{k}-x"), ("X-Two", "{user}:{key}"), ("X-Plain", "eu")] {
        assert!(said.out.contains(&whole(name, text)), "{name}: {}", said.out);
    }
    for name in ["X-Before", "X-Only", "X-Leaked"] {
        assert!(said.out.contains(&format!("set desk/{name}`\n")), "{name}: {}", said.out);
    }
    assert!(!said.out.contains("hunter2"), "{}", said.out);
    // a variable of a program has no place for what stands before its secret
    described(
        &bed,
        &files(json!({ "environmentVariables": [{ "name": "KEY", "value": "tok-{k}", "isSecret": true }] })),
    );
    let said = bed.run(&["registry", "import", "server.json", "--yes"]);
    let told = "set files/KEY`, and its value is the whole of `tok-{k}`, filled in\n";
    assert!(said.code == 0 && said.out.contains(told), "{said:?}");
}
