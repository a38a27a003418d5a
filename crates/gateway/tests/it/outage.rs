//! A database that goes away in the middle of a call and comes back: one yes is used once, and no start is needed for it.

use crate::approvals::{call, code, refund, scope, state, vote, waiting};
use crate::calls::POLICY;
use crate::house::{House, server, settings};
use crate::script::Script;
use decision::approval::State;
use decision::{ApprovalId, ServerName, User};
use gateway::settings::{Mode, Source};
use serde_json::{Value, json};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;

/// What only the writing of a spent yes says.
const SPENDS: &[u8] = br#""state":"executing""#;
const COMMIT: &[u8] = b"COMMIT";

/// When the line is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    Never,
    /// The yes is spent, and whoever spent it hears of that.
    AfterSpending,
    /// The yes is spent, and whoever spent it does not hear of that.
    Unconfirmed,
    Now,
}

/// The line between a gateway and its database.
#[derive(Debug, Clone)]
struct Line(Arc<watch::Sender<Cut>>);

impl Line {
    /// A line to the database at this address, and its own address.
    async fn to(database: &str) -> (Self, String) {
        let (_, folder) = database.split_once("host=").unwrap();
        let socket = format!("{folder}/.s.PGSQL.5432");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("postgres://gw@{}/postgres?sslmode=disable", listener.local_addr().unwrap());
        let line = Self(Arc::new(watch::channel(Cut::Never).0));
        let carried = line.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (line, socket) = (carried.clone(), socket.clone());
                tokio::spawn(async move {
                    let mut cut = line.0.subscribe();
                    tokio::select! {
                        _ = cut.wait_for(|cut| *cut == Cut::Now) => {}
                        _ = line.carry(client, &socket) => {}
                    }
                });
            }
        });
        (line, address)
    }

    fn set(&self, cut: Cut) {
        self.0.send_replace(cut);
    }

    async fn carry(&self, mut client: TcpStream, socket: &str) -> std::io::Result<()> {
        let mut server = UnixStream::connect(socket).await?;
        let (mut asked, mut said) = (vec![0; 1 << 16], vec![0; 1 << 16]);
        let mut spends = false;
        loop {
            tokio::select! {
                read = client.read(&mut asked) => {
                    let text = &asked[..read?];
                    if text.is_empty() {
                        return Ok(());
                    }
                    let has = |what: &[u8]| text.windows(what.len()).any(|part| part == what);
                    spends |= has(SPENDS);
                    let last = spends && has(COMMIT);
                    server.write_all(text).await?;
                    let cut = *self.0.borrow();
                    if last && matches!(cut, Cut::AfterSpending | Cut::Unconfirmed) {
                        let read = server.read(&mut said).await?;
                        if cut == Cut::AfterSpending {
                            client.write_all(&said[..read]).await?;
                            client.shutdown().await?;
                        }
                        self.set(Cut::Now);
                        return Ok(());
                    }
                }
                read = server.read(&mut said) => {
                    let text = &said[..read?];
                    if text.is_empty() {
                        return Ok(());
                    }
                    client.write_all(text).await?;
                }
            }
        }
    }
}

/// The credential of the server, which is read from a file at each call and never asked of the database.
struct Key(tempfile::TempDir);

impl Key {
    fn new() -> Self {
        let key = Self(tempfile::tempdir().unwrap());
        key.put();
        key
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("key")
    }

    fn put(&self) {
        std::fs::write(self.path(), "sk-of-a-file").unwrap();
        std::fs::set_permissions(self.path(), Permissions::from_mode(0o600)).unwrap();
    }

    fn take_away(&self) {
        std::fs::remove_file(self.path()).unwrap();
    }
}

/// A house with a yes to a refund of 500 that nobody used.
async fn approved(tenant: &str, key: &Key) -> Option<(House, Script, Line, ApprovalId)> {
    let (house, script, line, id) = asked(tenant, POLICY, key).await?;
    vote(&house, id, "fay", true).await.unwrap();
    Some((house, script, line, id))
}

/// A house in which a yes to a refund of 500 was asked for.
async fn asked(tenant: &str, policy: &str, key: &Key) -> Option<(House, Script, Line, ApprovalId)> {
    let database = crate::cluster::address()?;
    let (line, address) = Line::to(&database).await;
    let script = Script::start(true).await;
    let mut one = server(&script.url, Mode::Enforce);
    one.credentials[0].source = Source::File(key.path());
    let servers = [(ServerName::new("script").unwrap(), one)];
    let settings = gateway::Settings { tenant: tenant.parse().unwrap(), ..settings(servers.into()) };
    let house = House::on(settings, policy, &address).await;
    let groups = ["finance".parse().unwrap()].into();
    house
        .store
        .add_user(&scope(&house), &User { name: "fay".parse().unwrap(), groups }, "ada")
        .await
        .unwrap();
    assert_eq!(code(&call(&house, refund(500)).await).as_deref(), Some("approval-required"));
    let id = waiting(&house).await[0].id;
    Some((house, script, line, id))
}

/// The database is there again, and so is the gateway.
async fn back(house: &House, line: &Line) {
    line.set(Cut::Never);
    let mut tries = 0..1_000;
    loop {
        let told = call(house, json!({ "name": "script__echo", "arguments": {} })).await;
        if told["result"].is_object() && code(&told).is_none() {
            return;
        }
        assert!(tries.next().is_some(), "the gateway does not come back: {told}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn refunds(script: &Script) -> usize {
    script.heard("tools/call").iter().filter(|one| one.json()["params"]["name"] == "refund").count()
}

async fn again(house: &House) -> Value {
    call(house, refund(500)).await
}

#[tokio::test]
async fn a_yes_whose_spending_was_never_confirmed_is_used_once_when_the_database_is_back() {
    let key = Key::new();
    let Some((house, script, line, id)) = approved("unconfirmed", &key).await else { return };
    line.set(Cut::Unconfirmed);
    assert_eq!(code(&again(&house).await).as_deref(), Some("approval-unavailable"));
    assert_eq!(refunds(&script), 0, "what is not known to be spent does not leave");
    back(&house, &line).await;
    assert_eq!(state(&house, id).await, State::Executing, "it was spent");
    let told = again(&house).await;
    assert_eq!(code(&told), None, "{told}");
    assert_eq!((refunds(&script), state(&house, id).await), (1, State::Executed));
    assert_eq!(code(&again(&house).await).as_deref(), Some("approval-required"), "once");
    assert_eq!(refunds(&script), 1);
}

#[tokio::test]
async fn a_yes_that_could_not_be_given_back_is_used_once_when_the_database_is_back() {
    let key = Key::new();
    let Some((house, script, line, id)) = approved("given-back", &key).await else { return };
    key.take_away();
    line.set(Cut::AfterSpending);
    let told = again(&house).await;
    assert!(code(&told).is_some_and(|code| code.starts_with("secret-")), "{told}");
    assert_eq!(refunds(&script), 0);
    key.put();
    back(&house, &line).await;
    assert_eq!(state(&house, id).await, State::Executing);
    let told = again(&house).await;
    assert_eq!(code(&told), None, "{told}");
    assert_eq!((refunds(&script), state(&house, id).await), (1, State::Executed));
}

#[tokio::test]
async fn a_call_that_was_made_while_the_database_was_away_is_not_made_again_for_the_same_yes() {
    let key = Key::new();
    let Some((house, script, line, id)) = approved("made", &key).await else { return };
    line.set(Cut::AfterSpending);
    let told = again(&house).await;
    assert_eq!(code(&told), None, "{told}");
    assert_eq!(refunds(&script), 1);
    back(&house, &line).await;
    assert_eq!(state(&house, id).await, State::Executing, "nobody could write that it is over");
    let mut named = refund(500);
    named["_meta"]["callgate/operation"] = json!(id.to_string());
    let told = call(&house, named).await;
    assert_eq!(code(&told).as_deref(), Some("approval-spent"), "{told}");
    assert!(told.to_string().contains("it is executed"), "{told}");
    assert_eq!(code(&again(&house).await).as_deref(), Some("approval-required"), "people are asked anew");
    assert_eq!((refunds(&script), state(&house, id).await), (1, State::Executed));
}

#[tokio::test]
async fn how_a_call_with_a_key_ended_is_written_when_the_database_is_back() {
    let key = Key::new();
    let Some((house, script, line, _)) = approved("keyed", &key).await else { return };
    let keyed = async || {
        let mut named = refund(500);
        named["_meta"]["callgate/idempotency-key"] = json!("once");
        call(&house, named).await
    };
    line.set(Cut::AfterSpending);
    let told = keyed().await;
    assert_eq!(code(&told), None, "{told}");
    back(&house, &line).await;
    let again = keyed().await;
    assert_eq!(again["result"], told["result"], "its answer, at once: {again}");
    assert_eq!(refunds(&script), 1);
}

#[tokio::test]
async fn what_came_of_a_call_without_its_client_is_kept_when_the_database_is_back() {
    let key = Key::new();
    let policy =
        POLICY.replace("@unless-approved(\"finance\")", "@unless-approved(\"finance\") @execute-on-approval");
    let Some((house, script, line, id)) = asked("alone", &policy, &key).await else { return };
    line.set(Cut::AfterSpending);
    vote(&house, id, "fay", true).await.unwrap();
    for _ in 0..1_000 {
        if refunds(&script) == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // its answer cannot be kept
    tokio::time::sleep(Duration::from_millis(500)).await;
    back(&house, &line).await;
    let told = again(&house).await;
    assert_eq!(told["result"]["content"][0]["text"], r#"refund: {"amount":500}"#, "{told}");
    assert_eq!((refunds(&script), state(&house, id).await), (1, State::Executed));
}

#[tokio::test]
async fn of_a_call_that_a_start_finds_done_its_asker_is_told_once_that_the_answer_is_lost() {
    let key = Key::new();
    let Some((house, script, line, id)) = approved("found", &key).await else { return };
    line.set(Cut::AfterSpending);
    again(&house).await;
    back(&house, &line).await;
    assert_eq!(state(&house, id).await, State::Executing);
    // as after a stop, before which nobody had the answer
    assert_eq!(gateway::recover(&house.gate).await.unwrap(), 1);
    assert_eq!(state(&house, id).await, State::Executed);
    assert_eq!(code(&again(&house).await).as_deref(), Some("answer-unkept"));
    assert_eq!(code(&again(&house).await).as_deref(), Some("approval-required"));
    let [one] = waiting(&house).await.try_into().unwrap();
    assert!(one.preview.warnings()[0].contains("it was done"), "{:?}", one.preview);
    assert_eq!(refunds(&script), 1);
}
