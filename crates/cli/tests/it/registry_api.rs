//! The registry as a client reads it, over real HTTP.

use crate::bed::{Bed, Served, free_port, until};
use serde_json::Value;

/// Two servers; everybody sees `notes`, and only the agent `keeper` sees `plans`.
const RULES: &str = r#"@id("notes") permit (principal, action in Action::"server:notes", resource);
@id("plans") permit (principal == Agent::"keeper", action in Action::"server:plans", resource);
"#;

fn bed(more: &str) -> Bed {
    let bed = Bed::new();
    let config = bed.notes_config(free_port());
    let plans = config.split_once("[servers.notes]").unwrap().1;
    bed.write("callgate.toml", &format!("{config}\n[servers.plans]{plans}\n{more}"));
    bed.write("policies/rules.cedar", RULES);
    bed
}

/// Status, head and document.
fn ask(gateway: &Served, path: &str, headers: &[&str]) -> (u16, String, Value) {
    let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let (status, head, body) = gateway.http(&format!(
        "GET /registry{path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n{headers}Connection: close\r\n\r\n",
        gateway.port
    ));
    (status, head.to_ascii_lowercase(), serde_json::from_str(&body).unwrap_or(Value::Null))
}

fn names(document: &Value) -> Vec<&str> {
    let servers = document["servers"].as_array().unwrap();
    servers.iter().map(|one| one["server"]["name"].as_str().unwrap()).collect()
}

#[test]
fn whoever_asks_reads_of_the_servers_they_may_see_and_each_leads_through_the_gateway() {
    let bed = bed("");
    let [keeper, other] =
        ["keeper", "other"].map(|agent| format!("Authorization: Bearer {}", bed.token(agent)));
    let gateway = bed.serve();
    until("both servers were looked at", || {
        let all = ask(&gateway, "/v0.1/servers", &[&keeper]).2;
        let offered = |one: &Value| one["_meta"]["io.callgate/governance"]["tools"][0].is_object();
        names(&all).len() == 2 && all["servers"].as_array().unwrap().iter().all(offered)
    });
    let (status, head, all) = ask(&gateway, "/v0.1/servers", &[&keeper]);
    assert_eq!((status, names(&all)), (200, vec!["local.callgate/notes", "local.callgate/plans"]));
    assert_eq!(all["metadata"], serde_json::json!({ "count": 2 }));
    assert!(head.contains("access-control-allow-origin: *"), "{head}");
    assert_eq!(names(&ask(&gateway, "/v0.1/servers", &[&other]).2), ["local.callgate/notes"]);

    let entry = &all["servers"][0];
    let server = &entry["server"];
    let url = format!("http://127.0.0.1:{}/s/notes/mcp", gateway.port);
    let remote = &server["remotes"][0];
    assert_eq!((&remote["type"], &remote["url"]), (&"streamable-http".into(), &url.into()));
    // by this a client knows that it has to ask its user for a token
    let header = &remote["headers"][0];
    assert_eq!(
        (&header["name"], &header["value"]),
        (&"Authorization".into(), &"Bearer {callgate_token}".into())
    );
    let variable = &header["variables"]["callgate_token"];
    assert_eq!((&variable["isSecret"], &variable["isRequired"]), (&true.into(), &true.into()), "{remote}");
    assert_eq!(server["version"], "1");
    assert!(
        server["description"].as_str().is_some_and(|text| text.len() <= 100) && server["packages"].is_null()
    );
    let official = &entry["_meta"]["io.modelcontextprotocol.registry/official"];
    assert_eq!((&official["status"], &official["isLatest"]), (&"active".into(), &true.into()));
    assert!(official["publishedAt"].as_str().unwrap().ends_with('Z'), "{official}");
    let governance = &entry["_meta"]["io.callgate/governance"];
    let tools = governance["tools"].as_array().unwrap();
    assert!(tools.iter().any(|tool| tool["name"] == "read_note" && tool["tier"] == "high"), "{governance}");
    assert!(!all.to_string().contains("notes.sh"), "how the server is reached stays here");
    gateway.stop();
}

#[test]
fn the_three_reads_answer_as_the_official_registry_does() {
    let bed = bed("[registry]\nnamespace = \"com.example\"\n");
    let token = format!("Authorization: Bearer {}", bed.token("keeper"));
    let gateway = bed.serve();
    let get = |path: &str| ask(&gateway, path, &[&token]);
    until("both servers were looked at", || names(&get("/v0.1/servers").2).len() == 2);

    let (_, _, first) = get("/v0.1/servers?limit=1");
    assert_eq!(
        (names(&first), &first["metadata"]["nextCursor"]),
        (vec!["com.example/notes"], &"com.example/notes".into())
    );
    let (_, _, second) = get("/v0.1/servers?limit=1&cursor=com.example%2Fnotes");
    assert_eq!(
        (names(&second), &second["metadata"]["nextCursor"]),
        (vec!["com.example/plans"], &Value::Null)
    );
    assert_eq!(names(&get("/v0.1/servers?search=PLAN").2), ["com.example/plans"]);
    assert!(names(&get("/v0.1/servers?version=9.9").2).is_empty());
    assert_eq!(names(&get("/v0/servers?version=latest").2).len(), 2);
    assert!(names(&get("/v0.1/servers?updated_since=2100-01-01T00:00:00Z").2).is_empty());
    assert_eq!(get("/v0.1/servers?limit=0").0, 400);

    assert_eq!(names(&get("/v0.1/servers/com.example%2Fnotes/versions").2), ["com.example/notes"]);
    for version in ["latest", "1"] {
        let (status, _, one) = get(&format!("/v0.1/servers/com.example%2Fnotes/versions/{version}"));
        assert_eq!((status, &one["server"]["name"]), (200, &"com.example/notes".into()));
    }
    for missing in [
        "/v0.1/servers/com.example%2Fnotes/versions/2",
        "/v0.1/servers/com.example%2Fother/versions",
        "/v0.1",
        "",
    ] {
        let (status, head, body) = get(missing);
        assert_eq!((status, body["error"].is_string()), (404, true), "{missing}");
        assert!(head.contains("access-control-allow-origin: *"), "{head}");
    }
    let port = gateway.port;
    let preflight = gateway.http(&format!(
        "OPTIONS /registry/v0.1/servers HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: https://page.example\r\n\
         Access-Control-Request-Method: GET\r\nConnection: close\r\n\r\n"
    ));
    let head = preflight.1.to_ascii_lowercase();
    assert!(preflight.0 == 204 && head.contains("allow-headers: authorization, content-type"), "{head}");
    let published = gateway.http(&format!(
        "POST /registry/v0.1/publish HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{token}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}"
    ));
    assert_eq!(published.0, 501, "{}", published.2);
    gateway.stop();
}

#[test]
fn nobody_reads_without_saying_who_they_are_unless_the_operator_lets_anybody() {
    let shut = bed("");
    let gateway = shut.serve();
    let (status, head, body) = ask(&gateway, "/v0.1/servers", &[]);
    assert_eq!((status, body["servers"].is_null()), (401, true));
    assert!(head.contains("www-authenticate: bearer"), "{head}");
    assert_eq!(ask(&gateway, "/v0.1/servers", &["Authorization: Bearer cgt_none"]).0, 401);
    let foreign = gateway
        .http("GET /registry/v0.1/servers HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
    assert_eq!(foreign.0, 403);
    gateway.stop();

    // whoever is on this machine is an agent; a page in their browser is not
    let loopback = bed("");
    let text = std::fs::read_to_string(loopback.path("callgate.toml")).unwrap();
    loopback.write("callgate.toml", &format!("allow-unauthenticated-loopback = \"keeper\"\n{text}"));
    let gateway = loopback.serve();
    until("both servers were looked at", || names(&ask(&gateway, "/v0.1/servers", &[]).2).len() == 2);
    let all = ask(&gateway, "/v0.1/servers", &[]).2;
    assert!(all["servers"][0]["server"]["remotes"][0]["headers"].is_null(), "nobody needs a token: {all}");
    assert_eq!(ask(&gateway, "/v0.1/servers", &["Origin: https://page.example"]).0, 401);
    gateway.stop();

    let open = bed("[registry]\npublic = true\n");
    let gateway = open.serve();
    until("both servers were looked at", || names(&ask(&gateway, "/v0.1/servers", &[]).2).len() == 2);
    let (_, _, all) = ask(&gateway, "/v0.1/servers", &["Origin: https://page.example"]);
    assert_eq!(names(&all).len(), 2);
    // as VS Code pages through what it searches for: it leaves the search out of the second page
    let first = ask(&gateway, "/v0.1/servers?limit=1&version=latest&search=GOVERNED%20callgate", &[]).2;
    let cursor = first["metadata"]["nextCursor"].as_str().unwrap();
    let second = ask(&gateway, &format!("/v0.1/servers?limit=1&version=latest&cursor={cursor}"), &[]).2;
    assert_eq!((names(&first), names(&second)), (vec!["local.callgate/notes"], vec!["local.callgate/plans"]));
    let first = ask(&gateway, "/v0.1/servers?limit=1&search=plans", &[]).2;
    assert_eq!(
        (names(&first), &first["metadata"]["nextCursor"]),
        (vec!["local.callgate/plans"], &Value::Null)
    );
    assert!(all["servers"][0]["_meta"]["io.callgate/governance"].is_null(), "{all}");
    gateway.stop();
}
