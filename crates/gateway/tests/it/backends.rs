//! Secrets that are not in the store, on their way into a call (requirements V1, V4, I7).

use crate::house::{House, SECRET, server, settings};
use crate::rogue::{Rogue, Said};
use callgate_gateway::settings::{
    Authority, Backend, Bootstrap, KvPlace, KvSettings, Login, Mode, Settings, Source,
};
use decision::{Code, Decision, Ending, ServerName};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::{collections::BTreeMap, os::unix::fs::PermissionsExt as _, sync::Arc, time::Duration};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const POLICY: &str =
    r#"@id("all") @because("everybody may use the server") permit (principal, action, resource);"#;

/// A backend with a secret for each of alice and bob and a shared one. Every other request gets `status`.
struct Kv {
    address: String,
    /// What it answers to a read; 200 is the truth.
    status: Arc<Mutex<u16>>,
    /// How long each answer takes.
    delay: Arc<Mutex<Duration>>,
    serving: tokio::task::JoinHandle<()>,
}

impl Kv {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let status = Arc::new(Mutex::new(200));
        let delay = Arc::new(Mutex::new(Duration::ZERO));
        let (ours, waits) = (Arc::clone(&status), Arc::clone(&delay));
        let serving = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let (status, delay) = (Arc::clone(&ours), Arc::clone(&waits));
                tokio::spawn(async move {
                    while let Some((line, body)) = read(&mut stream).await {
                        let delay = *delay.lock();
                        tokio::time::sleep(delay).await;
                        let (status, body) = answer(&line, &body, *status.lock());
                        let body = body.to_string();
                        let head = format!("HTTP/1.1 {status} X\r\ncontent-type: application/json");
                        let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                        if stream.write_all(answer.as_bytes()).await.is_err() {
                            break;
                        }
                    }
                });
            }
        });
        Self { address, status, delay, serving }
    }

    /// How the gateway reaches it: by AppRole, whose secret id is the stored secret `key`.
    fn backend(&self) -> Backend {
        let login = Login::AppRole {
            mount: "approle".to_owned(),
            role_id: "callgate".to_owned(),
            secret_id: Bootstrap::Stored("key".parse().unwrap()),
            wrapped: false,
        };
        let kv = KvSettings {
            address: self.address.clone(),
            namespace: None,
            mount: "secret".parse().unwrap(),
            login,
            // so that every call asks
            cache: Duration::from_millis(1),
        };
        Backend { kv, networks: Vec::new(), ca_file: None }
    }
}

impl Drop for Kv {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn answer(line: &str, body: &str, status: u16) -> (u16, Value) {
    let refused = |status| (status, json!({ "errors": ["no"] }));
    let found =
        |value: &str| (200, json!({ "data": { "data": { "token": value }, "metadata": { "version": 1 } } }));
    match line {
        "POST /v1/auth/approle/login HTTP/1.1" => {
            let known = json!({ "role_id": "callgate", "secret_id": SECRET });
            if serde_json::from_str::<Value>(body).unwrap() != known {
                return refused(400);
            }
            (200, json!({ "auth": { "client_token": "t", "lease_duration": 3600, "renewable": true } }))
        }
        "GET /v1/auth/token/lookup-self HTTP/1.1" => {
            (200, json!({ "data": { "ttl": 3600, "renewable": true } }))
        }
        _ if status != 200 => refused(status),
        "GET /v1/secret/data/users/alice/crm HTTP/1.1" => found("sk-alices-own-4242"),
        "GET /v1/secret/data/users/bob/crm HTTP/1.1" => found("sk-bobs-own-4242"),
        "GET /v1/secret/data/crm HTTP/1.1" => found("sk-of-everybody-4242"),
        _ => refused(404),
    }
}

async fn read(stream: &mut tokio::net::TcpStream) -> Option<(String, String)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).await.ok()?;
    let line = head.lines().next().unwrap();
    let line = line.replacen("get", "GET", 1).replacen("post", "POST", 1).replace("http/", "HTTP/");
    Some((line, String::from_utf8(body).unwrap()))
}

/// A server behind the house, and every credential it was called with.
async fn upstream() -> (Rogue, Arc<Mutex<Vec<String>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noting = Arc::clone(&seen);
    let rogue = Rogue::start(true, move |message, headers| {
        if message["method"] == "tools/call" {
            let header = headers.get("authorization").and_then(|value| value.to_str().ok());
            noting.lock().push(header.unwrap_or_default().to_owned());
        }
        (message["method"] == "tools/list").then(|| {
            let schema = json!({ "type": "object" });
            Said::Result(json!({ "tools": [{ "name": "go", "inputSchema": schema }] }))
        })
    })
    .await;
    (rogue, seen)
}

fn before(rogue: &Rogue, authority: Authority, source: Source) -> Settings {
    let mut one = server(&rogue.url, Mode::Enforce);
    one.authority = authority;
    one.credentials[0].source = source;
    settings(BTreeMap::from([(ServerName::new("crm").unwrap(), one)]))
}

fn at(path: &str) -> Source {
    Source::Kv(KvPlace { path: path.parse().unwrap(), field: "token".to_owned(), version: None })
}

/// Calls, and says what the record says of it.
async fn call(house: &House, token: &str) -> Decision {
    let params = json!({ "name": "go", "arguments": {} });
    let told = house.modern_as(&format!("Bearer {token}"), "/s/crm/mcp", "tools/call", params).await;
    let told = told.json().to_string();
    assert!(!told.contains("sk-") && !told.contains(SECRET), "{told}");
    house.last()
}

fn refused(decision: &Decision) -> Option<Code> {
    match decision.ending {
        Ending::Refused { code } => Some(code),
        Ending::Answered | Ending::Failed { .. } | Ending::Cancelled | Ending::Unknown => None,
    }
}

fn says(decision: &Decision, basis: &str) -> bool {
    decision.evidence.iter().any(|one| one.basis.iter().any(|given| given == basis))
}

#[tokio::test]
async fn each_users_secret_comes_from_their_own_path_of_the_backend_and_nobody_elses() {
    let (rogue, seen) = upstream().await;
    let kv = Kv::start().await;
    let mut settings = before(&rogue, Authority::PerUser, at("users/{user}/crm"));
    settings.vault.kv = Some(kv.backend());
    let house = House::with(settings, POLICY).await;
    // one without a secret there, one whose name would lead out of its place, and nobody
    for (agent, user) in [("of-carol", "carol"), ("of-thief", "../alice")] {
        let token = house.agent_of(agent, user).await;
        assert_eq!(refused(&call(&house, &token).await), Some(Code::SecretMissing), "{user}");
    }
    assert_eq!(refused(&call(&house, &house.token.clone()).await), Some(Code::UserRequired));
    assert_eq!(*seen.lock(), Vec::<String>::new());
    for (user, secret) in [("alice", "sk-alices-own-4242"), ("bob", "sk-bobs-own-4242")] {
        let token = house.agent_of(&format!("of-{user}"), user).await;
        let decision = call(&house, &token).await;
        assert_eq!(refused(&decision), None);
        assert!(says(&decision, &format!("secret:key:{user}:from-backend")), "{:?}", decision.evidence);
        assert_eq!(seen.lock().last().unwrap(), &format!("Bearer {secret}"));
    }
}

#[tokio::test]
async fn while_the_backend_is_sealed_or_says_no_nothing_leaves_and_afterwards_it_does() {
    let (rogue, seen) = upstream().await;
    let kv = Kv::start().await;
    let mut settings = before(&rogue, Authority::Shared, at("crm"));
    settings.vault.kv = Some(kv.backend());
    let house = House::with(settings, POLICY).await;
    let token = house.token.clone();
    assert_eq!(refused(&call(&house, &token).await), None);
    for (status, code) in [
        (503, Code::SecretBackendUnavailable),
        (429, Code::SecretBackendUnavailable),
        (403, Code::SecretBackendRefused),
        (404, Code::SecretMissing),
    ] {
        *kv.status.lock() = status;
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert_eq!(refused(&call(&house, &token).await), Some(code), "{status}");
    }
    assert_eq!(seen.lock().len(), 1);
    *kv.status.lock() = 200;
    assert_eq!(refused(&call(&house, &token).await), None);
    assert_eq!(*seen.lock(), ["Bearer sk-of-everybody-4242", "Bearer sk-of-everybody-4242"]);
}

#[tokio::test]
async fn a_backend_is_waited_for_as_long_as_a_call_may_take_and_whoever_is_out_by_then_sends_nothing() {
    let (rogue, seen) = upstream().await;
    let kv = Kv::start().await;
    let mut settings = before(&rogue, Authority::Shared, at("crm"));
    settings.vault.kv = Some(kv.backend());
    for server in settings.servers.values_mut() {
        server.call_timeout = Duration::from_secs(2);
    }
    let house = House::with(settings, POLICY).await;
    let token = house.token.clone();
    assert_eq!(refused(&call(&house, &token).await), None);
    // each answer is in time, and all of a login together are not
    *kv.status.lock() = 403;
    *kv.delay.lock() = Duration::from_millis(1_200);
    let began = tokio::time::Instant::now();
    assert_eq!(refused(&call(&house, &token).await), Some(Code::SecretBackendUnavailable));
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    *kv.status.lock() = 200;
    *kv.delay.lock() = Duration::ZERO;
    assert_eq!(refused(&call(&house, &token).await), None);
    assert_eq!(seen.lock().len(), 2);

    *kv.delay.lock() = Duration::from_millis(1_500);
    let bot = house.agent_of("leaving", "carol").await;
    let scope = house.scope();
    let name = "leaving".parse().unwrap();
    let leaves = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        house.store.disable_agent(&scope, &name, "ops").await.unwrap();
    };
    let (decision, ()) = tokio::join!(call(&house, &bot), leaves);
    assert_eq!(refused(&decision), Some(Code::AgentDisabled));
    assert!(!decision.dispatched && seen.lock().len() == 2);
}

#[tokio::test]
async fn a_source_for_development_is_marked_in_every_decision_and_a_changed_file_counts_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let write = |text: &str, mode| {
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    write("sk-first\n", 0o600);
    let (rogue, seen) = upstream().await;
    let house = House::with(before(&rogue, Authority::Shared, Source::File(file.clone())), POLICY).await;
    let token = house.token.clone();
    assert!(says(&call(&house, &token).await, "secret:key:from-file:DEVELOPMENT-ONLY"));
    write("sk-second\n", 0o600);
    assert_eq!(refused(&call(&house, &token).await), None);
    assert_eq!(*seen.lock(), ["Bearer sk-first", "Bearer sk-second"]);
    write("sk-third", 0o644);
    assert_eq!(refused(&call(&house, &token).await), Some(Code::SecretUnreadable));
    for odd in ["sk-f\u{fc}nf", "\u{feff}sk-5", "sk-\t5", " sk-5", "sk-5\r", "sk-5\n\n"] {
        write(odd, 0o600);
        assert_eq!(refused(&call(&house, &token).await), Some(Code::SecretUnusable), "{odd:?}");
    }
    assert_eq!(seen.lock().len(), 2);

    let variable = |name: &str| Source::Variable(name.to_owned());
    let house = House::with(before(&rogue, Authority::Shared, variable("TEST_TOKEN")), POLICY).await;
    let decision = call(&house, &house.token.clone()).await;
    assert!(says(&decision, "secret:key:from-variable:DEVELOPMENT-ONLY"), "{:?}", decision.evidence);
    assert_eq!(seen.lock().last().unwrap(), "Bearer sk-of-a-variable");
}
