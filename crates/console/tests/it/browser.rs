//! The console as a person has it: in a real browser.

use crate::house::{House, MORNING};
use decision::approval::State;
use decision::{CallId, Timestamp};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use policy::Visitor;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

/// For all of it, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// Serves the console on a free port.
async fn serve(house: &Arc<House>) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let house = Arc::clone(house);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let house = Arc::clone(&house);
            let service = service_fn(move |request: hyper::Request<Incoming>| {
                let console = Arc::clone(&house.console);
                async move { Ok::<_, Infallible>(console.answer(request, false, &|| ()).await) }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    port
}

/// What the person asks of the rest of the world, by a word on a line.
async fn does(house: &House, word: &str) -> String {
    let proposed =
        |amount, cure: &'static str| async move { house.propose(house.refund(amount, cure)).await };
    match word {
        "propose 7000" => proposed(7_000, "finance and security").await.to_string(),
        "propose 300" => proposed(300, "finance").await.to_string(),
        "propose wide" => house.propose(wide(house)).await.to_string(),
        "decide" => {
            let waiting = house
                .store
                .approvals_in(&house.scope, State::Proposed, store::Page { after: None, limit: 1 })
                .await
                .unwrap();
            let id = waiting[0].approval.id;
            let carol = house.desk.voter(&house.scope, &"carol".parse().unwrap()).await.unwrap().unwrap();
            house.desk.vote(&house.scope, id, &carol, true, None, "a test").await.unwrap();
            id.to_string()
        }
        "pending" => {
            let pins = house.store.pins(&house.scope, &"crm".parse().unwrap()).await.unwrap();
            pins.iter().filter(|pin| pin.pending()).count().to_string()
        }
        _ if word.starts_with("state ") => {
            let id = decision::ApprovalId::parse(word.trim_start_matches("state ")).unwrap();
            house.state(id).await.as_str().to_owned()
        }
        other => panic!("the script asks for `{other}`"),
    }
}

/// One with more arguments than a sentence names, of which the last say what it is about.
fn wide(house: &House) -> decision::approval::Approval {
    let mut one = house.refund(95_000, "finance");
    let options: Vec<_> = (0..15).map(|n| format!("  \"option_{n}\": \"{}\"", "usual ".repeat(20))).collect();
    one.preview.arguments = format!(
        "{{\n{},\n  \"amount_to_wire\": 95000,\n  \"iban\": \"DE•• … 3000\"\n}}",
        options.join(",\n")
    );
    let shown: Vec<_> = (0..4).map(|n| format!("option_{n} \"{}…", "usual ".repeat(9))).collect();
    one.preview.brief = format!("wire_money with {} and 13 more", shown.join(", "));
    one.preview.summary = format!(
        "agent refund-bot for alice wants to run `wire_money` on `crm`, which changes data, with {} and 13 more.",
        shown.join(", ")
    );
    one
}

/// A morning's work, so that the pages have something to show.
async fn history(house: &House) {
    for (n, cure) in
        [(120, "finance"), (2_400, "finance"), (9_000, "2 of finance and security"), (640, "security")]
    {
        let mut one = house.refund(n, cure);
        one.proposed_at = Timestamp(MORNING - 12 * 60_000_000);
        one.preview.read[0].at = Timestamp(MORNING - 14 * 60_000_000);
        one.preview.labels.clear();
        match n {
            120 => {
                one.terms.target.server = "mail".parse().unwrap();
                one.terms.target.item.name = "send_message".to_owned();
                one.preview.summary = "Send the September figures to 3 people outside the company".to_owned();
                one.preview.undo = None;
                one.preview.because =
                    vec!["messages that leave the company need somebody of finance".to_owned()];
                one.preview.rules = vec!["messages-outside".parse().unwrap()];
                one.preview.tier = "medium".to_owned();
                one.preview.categories = vec!["external-communication".to_owned()];
            }
            640 => {
                one.terms.target.server = "deploy".parse().unwrap();
                one.terms.target.item.name = "delete_environment".to_owned();
                one.preview.summary = "Delete the environment staging-7 and everything in it".to_owned();
                one.preview.undo = None;
                one.preview.because = vec!["environments are deleted with security's yes only".to_owned()];
                one.preview.rules = vec!["no-deletes".parse().unwrap()];
                one.preview.effect = "destructive".to_owned();
                one.preview.tier = "critical".to_owned();
                one.preview.categories = vec!["destructive".to_owned(), "administrative".to_owned()];
            }
            _ => {}
        }
        house.propose(one).await;
    }
    let bob = house.desk.voter(&house.scope, &"bob".parse().unwrap()).await.unwrap().unwrap();
    let denied = house.propose(house.refund(450, "finance")).await;
    house
        .desk
        .vote(&house.scope, denied, &bob, false, Some("the order was paid back already"), "a test")
        .await
        .unwrap();
    let granted = house.propose(house.refund(80, "finance")).await;
    house.desk.vote(&house.scope, granted, &bob, true, None, "a test").await.unwrap();
    crate::pages::recorded(house).await;
    crate::servers::furnished(house).await;
    let _ = CallId::from_bytes([0; 16]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by `cargo xtask test` and `cargo xtask console`, which have a browser"]
#[expect(clippy::disallowed_methods, reason = "the runner says where node, the browser and the pictures are")]
async fn a_person_signs_in_sees_a_call_come_decides_it_and_finds_it_in_the_history() {
    let of = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let house = Arc::new(House::new().await);
    history(&house).await;
    let port = serve(&house).await;
    let base = format!("http://callgate.localhost:{port}");
    let link = async |name: &str| {
        let visitor = Visitor::Person(name.parse().unwrap());
        format!("{base}{}", house.console.invite(visitor).await.unwrap())
    };
    let job = format!(
        "{{\"chromium\":\"{}\",\"base\":\"{base}\",\"bob\":\"{}\",\"again\":\"{}\",\"rita\":\"{}\",\"now\":{},\"pictures\":\"{}\"}}",
        of("CALLGATE_CHROMIUM"),
        link("bob").await,
        link("bob").await,
        link("rita").await,
        MORNING / 1_000,
        std::env::var("CALLGATE_PICTURES").unwrap_or_default(),
    );
    let mut node = tokio::process::Command::new("node")
        .arg(std::path::Path::new(&of("CALLGATE_EXTERNALS_NODE")).join("console.mjs"))
        .arg(job)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut asked = BufReader::new(node.stdout.take().unwrap()).lines();
    let mut answers = node.stdin.take().unwrap();
    let mut last = String::new();
    let talk = async {
        while let Some(line) = asked.next_line().await.unwrap() {
            last.clone_from(&line);
            if let Some(word) = line.strip_prefix("do ") {
                let answer = does(&house, word).await;
                answers.write_all(format!("{answer}\n").as_bytes()).await.unwrap();
            }
        }
    };
    tokio::time::timeout(PATIENCE, talk).await.expect("in time");
    let ended = node.wait().await.unwrap();
    assert!(ended.success() && last == "ok", "the browser ended with {ended}, after `{last}`");
}
