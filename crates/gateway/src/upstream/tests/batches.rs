//! Batches of servers: taken apart where 2025-03-26 was chosen, and nowhere else.

use super::peer::{event, events, json, say, serve, status};
use super::stdio::shell;
use super::*;

fn welcome(revision: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":0,"result":{{"protocolVersion":"{revision}","capabilities":{{}},"serverInfo":{{"name":"p","version":"1"}}}}}}"#
    )
}

/// Progress of request 1, its answer, and a change of a list, in one array.
const BATCH: &str = concat!(
    r#"[{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}},"#,
    r#" {"jsonrpc":"2.0","id":1,"result":{"content":[]}} ,"#,
    r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}]"#
);

/// The answer to one call, and how many messages came beside it.
async fn outcome(
    connection: &Connection,
    messages: &mut mpsc::Receiver<FromServer>,
) -> (Result<(), FaultKind>, usize) {
    let (outgoing, mut related) = call(1);
    let answer = connection.request(within(outgoing, Duration::from_secs(2))).await;
    let mut beside = 0;
    while tokio::time::timeout(Duration::from_millis(100), messages.recv()).await.is_ok_and(|m| m.is_some()) {
        beside += 1;
    }
    while related.try_recv().is_ok() {
        beside += 1;
    }
    (answer.map(drop).map_err(|fault| fault.kind), beside)
}

async fn over_http(
    revision: &'static str,
    stream: bool,
    batch: &'static str,
) -> (Result<(), FaultKind>, usize) {
    let peer = serve(move |seen| match seen.rpc().as_str() {
        "initialize" => json(welcome(revision)),
        "tools/call" if stream => events(vec![event(batch)]),
        "tools/call" => json(batch),
        _ if seen.method == "GET" => status(405),
        _ => status(202),
    })
    .await;
    let (opening, mut messages) = opening(Revision::V2025_11_25);
    let (connection, _) = Connection::open(&peer.reach(), &means_to(&peer.url), opening).await.unwrap();
    outcome(&connection, &mut messages).await
}

async fn over_stdio(revision: &str, batch: &str) -> (Result<(), FaultKind>, usize) {
    let script = format!(
        r#"while read -r l; do case "$l" in *'"initialize"'*) echo '{}';; *tools/call*) echo '{batch}';; esac; done"#,
        welcome(revision)
    );
    let (opening, mut messages) = opening(Revision::V2025_11_25);
    let (connection, _) = Connection::open(&shell(&script), &means(), opening).await.unwrap();
    let outcome = outcome(&connection, &mut messages).await;
    connection.close().await;
    outcome
}

async fn over_sse(revision: &'static str, batch: &'static str) -> (Result<(), FaultKind>, usize) {
    let (line, said) = mpsc::unbounded_channel();
    let said = Arc::new(parking_lot::Mutex::new(Some(said)));
    let peer = serve(move |seen| {
        if seen.method == "GET" {
            line.send("event: endpoint\ndata: /m\n\n".to_owned()).unwrap();
            return super::peer::live(said.lock().take().unwrap());
        }
        match seen.rpc().as_str() {
            "initialize" => line.send(format!("data: {}\n\n", welcome(revision))).unwrap(),
            "tools/call" => line.send(format!("data: {batch}\n\n")).unwrap(),
            _ => {}
        }
        status(202)
    })
    .await;
    let reach = crate::settings::Reach::Sse { url: peer.url.clone() };
    let (opening, mut messages) = opening(Revision::V2025_11_25);
    let (connection, _) = Connection::open(&reach, &means_to(&peer.url), opening).await.unwrap();
    outcome(&connection, &mut messages).await
}

#[tokio::test]
async fn a_batch_of_a_server_is_taken_apart_where_its_revision_has_batches() {
    let (other, nonsense) = ("2025-06-18", Err(FaultKind::Nonsense));
    assert_eq!(over_http("2025-03-26", false, BATCH).await, (Ok(()), 2));
    assert_eq!(over_http("2025-03-26", true, BATCH).await, (Ok(()), 2));
    assert_eq!(over_stdio("2025-03-26", BATCH).await, (Ok(()), 2));
    assert_eq!(over_sse("2025-03-26", BATCH).await, (Ok(()), 2));
    assert_eq!(over_http(other, false, BATCH).await, (nonsense, 0));
    assert_eq!(over_http(other, true, BATCH).await, (nonsense, 0));
    assert_eq!(over_stdio(other, BATCH).await, (nonsense, 0));
    assert_eq!(over_sse(other, BATCH).await, (nonsense, 0));
}

#[tokio::test]
async fn a_batch_without_the_answer_or_with_another_is_none() {
    let nonsense = Err(FaultKind::Nonsense);
    let note = r#"[{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}]"#;
    assert_eq!(over_http("2025-03-26", false, note).await.0, nonsense);
    assert_eq!(over_http("2025-03-26", true, note).await.0, Err(FaultKind::Lost));
    for batch in [
        "[]",
        r#"[[{"jsonrpc":"2.0","id":1,"result":{}}]]"#,
        r#"[{"jsonrpc":"2.0","id":1,"result":{}},{"jsonrpc":"2.0","id":2,"result":{}}]"#,
        r#"[{"jsonrpc":"2.0","id":1,"result":{}},{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"}}]"#,
        r#"[{"jsonrpc":"2.0","id":1,"result":{},"id":2}]"#,
    ] {
        assert_eq!(over_http("2025-03-26", false, batch).await.0, nonsense, "{batch}");
        assert_eq!(over_http("2025-03-26", true, batch).await.0, nonsense, "{batch}");
    }
    // on a pipe a bad member fails the request that it says it answers, and the others are read
    let bad = r#"[{"jsonrpc":"2.0","method":"notifications/tools/list_changed"},{"jsonrpc":"1.0","id":1,"result":{}}]"#;
    assert_eq!(over_stdio("2025-03-26", bad).await, (nonsense, 1));
    let twice = r#"[{"jsonrpc":"2.0","id":1,"result":{}},{"jsonrpc":"2.0","id":1,"result":{}}]"#;
    assert_eq!(over_stdio("2025-03-26", twice).await, (nonsense, 0));
}

#[tokio::test]
async fn an_unsolicited_batch_comes_message_by_message() {
    for (revision, count) in [("2025-03-26", 2), ("2025-11-25", 0)] {
        let peer = serve(move |seen| match seen.rpc().as_str() {
            "initialize" => json(welcome(revision)),
            _ if seen.method == "GET" => {
                let note = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
                events(vec![event(&format!("[{note},{note}]")), say(": end\n"), super::peer::Step::Hang])
            }
            _ => status(202),
        })
        .await;
        let (opening, mut messages) = opening(Revision::V2025_11_25);
        let (_connection, _) = Connection::open(&peer.reach(), &means_to(&peer.url), opening).await.unwrap();
        let mut seen = 0;
        while tokio::time::timeout(Duration::from_millis(400), messages.recv())
            .await
            .is_ok_and(|m| m.is_some())
        {
            seen += 1;
        }
        assert_eq!(seen, count, "{revision}");
    }
}
