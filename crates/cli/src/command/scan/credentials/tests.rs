//! What is a credential, what is none, and what is left of either.

use super::*;

fn shown(command: &[&str]) -> (String, Vec<String>) {
    let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
    let all = words(&command);
    let text: Vec<&str> = all.iter().map(|word| word.text.as_str()).collect();
    (text.join(" "), all.iter().filter_map(|word| word.holds.clone()).collect())
}

#[test]
fn a_credential_among_arguments_is_known_by_its_form_its_flag_or_its_name() {
    for (command, text, holds) in [
        (&["x", "postgresql://app:hunter2@db/prod"][..], "x postgresql://app:••••••@db/prod", "an argument"),
        (&["x", "--api-key", "abc"], "x --api-key ••••••", "`--api-key`"),
        (&["x", "--api-key=abc"], "x --api-key=••••••", "`--api-key`"),
        (&["docker", "run", "-e", "GH_TOKEN=abc"], "docker run -e GH_TOKEN=••••••", "`GH_TOKEN`"),
        (
            &["mcp-remote", "--header", "Authorization: Bearer a b"],
            "mcp-remote --header Authorization: ••••••",
            "`Authorization`",
        ),
        (&["mcp-remote", "--header", "X-Api-Key:abc"], "mcp-remote --header X-Api-Key:••••••", "`X-Api-Key`"),
        (&["x", "sk-proj-Ab12Cd34Ef56Gh78"], "x ••••••", "an argument"),
        (
            &["mcp-remote", "--header=Authorization: Bearer a b"],
            "mcp-remote --header=Authorization: ••••••",
            "`Authorization`",
        ),
        (&["sh", "-c", "export API_KEY=abc123; exec x"], "sh -c export API_KEY=•••••• exec x", "`API_KEY`"),
        (
            &["npx", "https://Ab0123456789abcdef01234567@git.example/x.git"],
            "npx https://••••••@git.example/x.git",
            "the name in the address",
        ),
        (
            &["x", "Server=db;User=sa;Password=hunter2;Encrypt=yes"],
            "x Server=db;User=sa;Password=••••••;Encrypt=yes",
            "an argument",
        ),
        (
            &["mcp-remote", "https://h.example/x?api_key=abc"],
            "mcp-remote https://h.example/x",
            "`api_key` of the address",
        ),
        (
            &["mcp-remote", "https://h.example/x#access_token=abc"],
            "mcp-remote https://h.example/x",
            "what follows `#` in the address",
        ),
        (&["curl", "-u", "me:hunter2"], "curl -u me:••••••", "`-u`"),
        (&["x", "--auth=me:hunter2"], "x --auth=me:••••••", "`--auth`"),
        (&["x", "--auth", "Bearer Qz7Kp3Lm9Tv2"], "x --auth Bearer ••••••", "an argument"),
        (&["x", "Bearer Qz7Kp3Lm9Tv2"], "x Bearer ••••••", "an argument"),
        (&["x", "--creds", "hunter"], "x --creds ••••••", "`--creds`"),
        (&["x", "--pwd", "hunter"], "x --pwd ••••••", "`--pwd`"),
        (
            &["x", "--url=https://h.example/mcp?sig=hunter2"],
            "x --url=https://h.example/mcp",
            "`sig` of the address",
        ),
    ] {
        assert_eq!(shown(command), (text.to_owned(), vec![holds.to_owned()]), "{command:?}");
    }
    let (text, holds) = shown(&["x", "--auth=Basic Qz7Kp3Lm9Tv2"]);
    assert!(text.contains(DOTS) && !text.contains("Qz7") && holds.len() == 1, "{text} {holds:?}");
}

#[test]
fn what_is_filled_in_counted_or_named_is_no_credential() {
    for command in [
        &["x", "--max-token", "100"][..],
        &["x", "--api-key", "${KEY}"],
        &["x", "--api-key", "--verbose"],
        &["x", "--token-file", "/run/token"],
        &["docker", "run", "-e", "GH_TOKEN", "ghcr.io/github/github-mcp-server"],
        &["docker", "run", "-v", "/srv/data:/data", "image"],
        &["docker", "run", "-u", "1000:1000", "image"],
        &["x", "--auth", "https://id.example/token"],
        &["x", "https://h.example/docs#installation"],
        &["x", "https://h.example/docs#installation-2"],
        &["x", "postgresql://db/prod?sslmode=require"],
        &["x", "Basic auth for everybody"],
        &["x", "--pwd", "/srv/data"],
        &["x", "--auth", "oauth2"],
        &["x", "postgresql://app@db/prod"],
        &["mcp-remote", "https://h.example/x"],
    ] {
        assert_eq!(shown(command), (command.join(" "), vec![]), "{command:?}");
    }
}

#[test]
fn a_line_of_the_configuration_is_shown_without_them() {
    let command = ["x", "--api-key", "a\"b", "redis://:p@h"].map(str::to_owned).to_vec();
    let line = format!("args = {}", toml::Value::from(command.get(1..).unwrap().to_vec()));
    let entry = Entry { command, ..Entry::default() };
    assert_eq!(hidden(&entry, &line), r#"args = ["--api-key", "••••••", "redis://:••••••@h"]"#);
    let url = "https://h.example/0123456789abcdef0123456789abcdef/mcp";
    let entry = Entry { url: Some(url.to_owned()), ..Entry::default() };
    assert_eq!(hidden(&entry, &format!("url = \"{url}\"")), "url = \"https://h.example/••••••/mcp\"");
}

#[test]
fn an_address_is_shown_without_what_lets_anybody_in() {
    for (url, text, holds) in [
        ("https://h.example/mcp", "https://h.example/mcp", None),
        ("https://h.example/mcp?v=1", "https://h.example/mcp", None),
        ("https://h.example/mcp?api_key=abc", "https://h.example/mcp", Some("`api_key` of the address")),
        ("https://h.example/mcp?code=abc", "https://h.example/mcp", Some("`code` of the address")),
        ("https://h.example/mcp?session=abc", "https://h.example/mcp", Some("`session` of the address")),
        (
            "https://h.example/mcp?Qz7Kp3Lm9Tv2",
            "https://h.example/mcp",
            Some("what follows `?` in the address"),
        ),
        ("https://h.example/mcp?Qz7=1", "https://h.example/mcp", Some("what follows `?` in the address")),
        (
            "https://h.example/mcp#Qz7Kp3Lm9Tv2",
            "https://h.example/mcp",
            Some("what follows `#` in the address"),
        ),
        ("https://h.example/mcp?region=eu-1&read_only=true", "https://h.example/mcp", None),
        ("https://h.example/mcp?key=${KEY}", "https://h.example/mcp", None),
        ("https://me:pw@h.example/mcp", "https://••••••@h.example/mcp", Some("the password of the address")),
        (
            "https://h.example/s/NWU3YjQ2ZTAtOWZkYS00MzQ4LWE0/mcp",
            "https://h.example/s/••••••/mcp",
            Some("a part of the address"),
        ),
        (
            "https://h.example/550e8400-e29b-41d4-a716-446655440000/mcp",
            "https://h.example/550e8400-e29b-41d4-a716-446655440000/mcp",
            None,
        ),
        (
            "https://h.example/Quarterly-Reports-Of-2024-And-More",
            "https://h.example/Quarterly-Reports-Of-2024-And-More",
            None,
        ),
    ] {
        assert_eq!(address(url), Shown { text: text.to_owned(), holds: holds.map(str::to_owned) }, "{url}");
    }
}

#[test]
fn only_what_is_a_reference_as_a_whole_is_shown_as_one() {
    for (name, value) in [
        ("API_KEY", "$ecretValue1"),
        ("TOKEN", "ab${x9"),
        ("TOKEN", "ab${X}cd"),
        ("TOKEN", "${X:-hunter2}"),
        ("OPENAPI_MCP_HEADERS", r#"{"Authorization":"Bearer hunter2"}"#),
        ("CONFIG", r#"{"a":[{"apiKey":"hunter2"}]}"#),
    ] {
        assert!(is_secret(name, value), "{name}={value}");
    }
    for (name, value) in [
        ("API_KEY", "${input:key}"),
        ("API_KEY", "$TOKEN"),
        ("Authorization", "Bearer ${env:TOKEN}"),
        ("PASSWORD", "{env:PW}"),
        ("CONFIG", r#"{"apiKey":"${KEY}","a":1}"#),
    ] {
        assert!(!is_secret(name, value), "{name}={value}");
    }
    for (command, text) in [
        (&["x", "--api-key", "$ecretValue1"][..], "x --api-key ••••••"),
        (&["x", "--token", "ab${x9"], "x --token ••••••"),
        (&["x", "/password:hunter2"], "x /password:••••••"),
        (&["x", "/apikey=hunter2"], "x /apikey=••••••"),
        (&["x", "--set", "db.password=hunter2"], "x --set db.password=••••••"),
        (&["x", "--config", r#"{"apiKey":"hunter2"}"#], r#"x --config {"apiKey":"••••••"}"#),
        (
            &["npx", "git+https://a1b2c3d4e5f6@github.com/a/b.git"],
            "npx git+https://••••••@github.com/a/b.git",
        ),
        (&["npx", "git+https://hunter@github.com/a/b.git"], "npx git+https://••••••@github.com/a/b.git"),
        (&["x", "me:hunter2@db.example"], "x ••••••@db.example"),
        (&["x", "https://user:PW@[::1/mcp"], "x https://user:••••••@[::1/mcp"),
        (
            &["npx", "@org/x@1.2", "npm:x@1.2", "image:1@sha256:ab"],
            "npx @org/x@1.2 npm:x@1.2 image:1@sha256:ab",
        ),
        (
            &["git", "git+ssh://git@github.com/a/b", "git@github.com:a/b"],
            "git git+ssh://git@github.com/a/b git@github.com:a/b",
        ),
    ] {
        assert_eq!(shown(command).0, text);
    }
}

#[test]
fn what_is_no_address_is_shown_without_its_password() {
    for (url, text) in [
        ("https://user:PW@[::1/mcp", "https://••••••@[::1/mcp"),
        ("ht!tp://user:PW@h/mcp", "ht!tp://••••••@h/mcp"),
        ("user:PW@host", "••••••@host"),
        ("//u:PW@h.example/mcp", "//••••••@h.example/mcp"),
        ("https:///u:PW@h.example", "https:///••••••@h.example"),
        ("http:/u:PW@h.example/mcp", "http:/••••••@h.example/mcp"),
        ("https//u:PW@h.example", "https//••••••@h.example"),
        ("https://user:P/W@[::1/mcp", "https://••••••@[::1/mcp"),
        (
            "https://h.example/bot123456:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw/mcp",
            "https://h.example/••••••/mcp",
        ),
    ] {
        let shown = address(url);
        assert!(shown.text == text && shown.holds.is_some(), "{url}: {shown:?}");
    }
}

#[test]
fn a_name_before_the_host_of_an_address_is_never_shown() {
    for (url, text) in [
        ("Qz7Kp3@h.example/mcp", "••••••@h.example/mcp"),
        ("https//Qz7Kp3@h.example", "https//••••••@h.example"),
        ("https:Qz7Kp3@h.example/mcp", "https:••••••@h.example/mcp"),
        (" https://Qz7Kp3@h.example/mcp", " https://••••••@h.example/mcp"),
        ("https://u:p@Qz7Kp3@h.example", "https://••••••@h.example"),
        ("https://h.example/@scope/server", "https://h.example/@scope/server"),
    ] {
        assert_eq!(address(url).text, text, "{url}");
    }
    assert_eq!(shown(&["x", "//u:Qz7@h.example/mcp"]).0, "x //••••••@h.example/mcp");
}
