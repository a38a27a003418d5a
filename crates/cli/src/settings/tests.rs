//! What the operator wrote and what it means, side by side: `tests/settings/NAME.toml` and its snapshot.

use super::{duration, effective, read, schema};
use crate::replay;
use std::{fs, path::Path, time::Duration};

#[path = "../../../../fuzz/bodies/settings.rs"]
mod settings;

/// The settings in force, or every problem with its place.
fn crossed(name: &str, text: &str) -> String {
    let path = Path::new("/etc/callgate").join(name);
    match read(&path, text, Path::new("/var/lib/callgate")) {
        Ok(meant) => toml::to_string(&effective(&meant)).unwrap(),
        Err(problems) => {
            let line = |problem: &super::Located| {
                let at = problem.at.offset()..problem.at.offset() + problem.at.len();
                let help =
                    problem.help.as_deref().map(|help| format!("\n    help: {help}")).unwrap_or_default();
                let excerpt = problem.source_code.inner().get(at).unwrap_or("").lines().next().unwrap_or("");
                assert_eq!(problem.source_code.inner().len(), text.len(), "labels stay in their places");
                assert!(!problem.source_code.inner().contains("hunter2"), "an excerpt shows a password");
                format!("line {}: {} [{excerpt}]{help}\n", problem.line, problem.message)
            };
            problems.iter().map(line).collect()
        }
    }
}

#[test]
fn every_example_means_what_its_snapshot_says() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/settings");
    let mut names: Vec<_> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|end| end == "toml"));
    names.sort();
    assert!(names.len() >= 9);
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(&dir);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for path in names {
        let name = path.file_name().unwrap().to_str().unwrap();
        let crossed = crossed(name, &fs::read_to_string(&path).unwrap());
        assert!(!crossed.contains("hunter2"), "{name} shows a password");
        settings.bind(|| insta::assert_snapshot!(path.file_stem().unwrap().to_str().unwrap(), crossed));
    }
}

#[test]
fn what_is_in_force_reads_back_as_itself() {
    let text = include_str!("../../tests/settings/full.toml").replace("callgate:hunter2@", "callgate@");
    let path = Path::new("/etc/callgate/callgate.toml");
    let meant = read(path, &text, Path::new("/var/lib/callgate")).unwrap();
    let once = toml::to_string(&effective(&meant)).unwrap();
    let again = read(path, &once, Path::new("/elsewhere")).unwrap();
    assert_eq!(toml::to_string(&effective(&again)).unwrap(), once);
}

#[test]
fn a_network_that_is_listed_for_all_is_listed_for_issuers_too() {
    let text = "[egress]\nnetworks = [\"10.0.0.0/8\"]\n[[oauth.issuers]]\nissuer = \"https://sso.corp\"\n";
    let meant = read(Path::new("/etc/callgate/callgate.toml"), text, Path::new("/state")).unwrap();
    let oauth = meant.settings.oauth.unwrap();
    assert_eq!(oauth.issuers[0].source.networks, ["10.0.0.0/8".parse().unwrap()]);
}

#[test]
fn an_address_asks_with_what_is_plainly_no_credential_and_nothing_else() {
    let of = |url: &str| {
        let text = format!("[servers.db]\nurl = \"{url}\"\n");
        read(Path::new("/etc/callgate/callgate.toml"), &text, Path::new("/state"))
    };
    for url in
        ["https://db.example/mcp?project_ref=abcdefgh&read_only=true", "https://db.example/mcp?limit=250"]
    {
        let meant = of(url).unwrap();
        let server = meant.settings.servers.values().next().unwrap();
        let gateway::settings::Reach::Http { url: reached } = &server.reach else { panic!("{url}") };
        assert_eq!(reached.as_str(), url);
    }
    for url in [
        "https://db.example/mcp?key=hunter2",
        "https://db.example/mcp?read_only=true&k=hunter2",
        "https://db.example/mcp?hunter2",
        "https://a:hunter2@db.example/mcp?read_only=true",
    ] {
        let problems = of(url).unwrap_err();
        assert!(problems.iter().any(|one| one.message.contains("credential does not belong")), "{url}");
        assert!(!problems.iter().any(|one| one.source_code.inner().contains("hunter2")), "{url}");
    }
}

#[test]
fn an_audience_is_no_pattern() {
    for audience in ["*", "https://*.example"] {
        let text =
            format!("[[oauth.issuers]]\nissuer = \"https://sso.corp\"\naudiences = [\"{audience}\"]\n");
        let problems =
            read(Path::new("/etc/callgate/callgate.toml"), &text, Path::new("/state")).unwrap_err();
        assert!(problems[0].message.contains("is no audience"), "{audience}: {}", problems[0].message);
    }
}

#[test]
fn a_duration_has_a_unit_and_is_never_zero() {
    for (text, ms) in
        [("250ms", 250), ("30s", 30_000), ("5m", 300_000), ("12h", 43_200_000), ("90d", 7_776_000_000)]
    {
        assert_eq!(duration(text), Some(Duration::from_millis(ms)), "{text}");
    }
    for text in ["", "0s", "5", "s", "-1s", "1.5s", "1 s", "9999999999999999999d", "1w", "１s"] {
        assert_eq!(duration(text), None, "{text}");
    }
}

#[test]
fn the_schema_in_the_documentation_is_the_one_of_the_program() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/callgate.schema.json");
    let schema = format!("{}\n", schema().unwrap());
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == schema,
        "write it again: cargo run -- settings --schema > docs/reference/callgate.schema.json"
    );
}

#[test]
fn the_first_configuration_holds_also_with_its_examples_switched_on() {
    let text = include_str!("../../assets/callgate.toml");
    let path = Path::new("/etc/callgate/callgate.toml");
    assert!(read(path, text, Path::new("/var/lib/callgate")).unwrap().settings.servers.is_empty());
    let example = |line: &str| line.starts_with("# [") || line.contains(" = ");
    let on = text.lines().map(|line| match line.strip_prefix("# ") {
        Some(inner) if example(line) => inner,
        Some(_) | None => line,
    });
    let meant = read(path, &on.collect::<Vec<_>>().join("\n"), Path::new("/var/lib/callgate")).unwrap();
    assert_eq!(meant.settings.servers.len(), 2);
}

#[test]
fn files_of_the_corpus_mean_something_or_say_what_is_wrong() {
    replay::all("settings", settings::run);
}
