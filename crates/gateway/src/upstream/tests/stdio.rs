use super::*;
use crate::settings::Reach;

/// A server that answers `initialize` and then runs `script` for every line, with `$line` and `$id`.
pub(super) fn legacy(script: &str) -> Reach {
    let script = format!(
        r#"while read -r line; do
            id=${{line#*\"id\":}}; id=${{id%%,*}}
            case "$line" in
            *'"initialize"'*)
                echo '{{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}}'
                echo '{{"jsonrpc":"2.0","id":0,"result":{{"protocolVersion":"2025-06-18","capabilities":{{}},"serverInfo":{{"name":"p","version":"1"}}}}}}';;
            *'"notifications/initialized"'*) ;;
            *) {script};;
            esac
        done"#
    );
    shell(&script)
}

pub(super) fn shell(script: &str) -> Reach {
    Reach::Stdio {
        command: "/bin/sh".into(),
        args: vec!["-c".to_owned(), script.to_owned()],
        env: BTreeMap::new(),
        cwd: None,
    }
}

pub(super) const ANSWER: &str = r#"echo "{\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":{\"content\":[]}}""#;

async fn open(reach: &Reach) -> (Connection, mpsc::Receiver<FromServer>) {
    let (opening, messages) = opening(Revision::V2025_11_25);
    let (connection, hello) = Connection::open(reach, &means(), opening).await.unwrap();
    assert!(hello.is_some());
    (connection, messages)
}

async fn fault(reach: &Reach) -> Fault {
    let (connection, _messages) = open(reach).await;
    let fault = connection.request(call(1).0).await.unwrap_err();
    connection.close().await;
    fault
}

#[tokio::test]
async fn a_request_is_answered_and_a_message_before_the_handshake_is_kept() {
    let (connection, mut messages) = open(&legacy(ANSWER)).await;
    assert_eq!(connection.revision(), Revision::V2025_06_18);
    let first = messages.recv().await.unwrap();
    assert_eq!(first.frame.method().unwrap(), "notifications/tools/list_changed");
    let received = connection.request(call(7).0).await.unwrap();
    assert_eq!(received.frame.id_raw(), Some(&b"7"[..]));
    assert!(connection.is_alive());
    connection.close().await;
    assert!(!connection.is_alive());
}

#[tokio::test]
async fn a_modern_child_is_asked_at_once() {
    let reach = shell(r#"read -r line; echo '{"jsonrpc":"2.0","id":5,"result":{}}'; cat >/dev/null"#);
    let (opening, _messages) = opening(Revision::V2026_07_28);
    let (connection, hello) = Connection::open(&reach, &means(), opening).await.unwrap();
    assert!(hello.is_none());
    connection.request(call(5).0).await.unwrap();
    connection.close().await;
}

#[tokio::test]
async fn answers_in_another_order_find_their_requests() {
    // keeps the first call until the second came
    let script = r#"if [ -z "$kept" ]; then kept=$id; else
        for i in $id $kept; do echo "{\"jsonrpc\":\"2.0\",\"id\":$i,\"result\":{\"n\":$i}}"; done; fi"#;
    let (connection, _messages) = open(&legacy(script)).await;
    let (one, two) = tokio::join!(connection.request(call(1).0), connection.request(call(2).0));
    assert_eq!(one.unwrap().frame.at(&["result", "n"]), Some(&b"1"[..]));
    assert_eq!(two.unwrap().frame.at(&["result", "n"]), Some(&b"2"[..]));
    connection.close().await;
}

#[tokio::test]
async fn late_repeated_and_made_up_answers_reach_nobody() {
    let script = format!(r#"echo '{{"jsonrpc":"2.0","id":4711,"result":{{}}}}'; {ANSWER}; {ANSWER}"#);
    let (connection, _messages) = open(&legacy(&script)).await;
    connection.request(call(1).0).await.unwrap();
    let second = connection.request(call(2).0).await.unwrap();
    assert_eq!(second.frame.id_raw(), Some(&b"2"[..]));
    connection.close().await;
}

#[tokio::test]
async fn a_string_of_our_number_is_another_id() {
    let script = r#"echo "{\"jsonrpc\":\"2.0\",\"id\":\"$id\",\"result\":{}}""#;
    let (connection, _messages) = open(&legacy(script)).await;
    let fault = connection.request(within(call(1).0, Duration::from_millis(300))).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Timeout);
    connection.close().await;
}

#[tokio::test]
async fn progress_comes_to_its_request_and_questions_to_the_session() {
    let script = format!(
        r#"echo "{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{{\"progressToken\":$id,\"progress\":1}}}}";
        echo '{{"jsonrpc":"2.0","id":"q1","method":"roots/list"}}'; read -r reply; {ANSWER}"#
    );
    let (connection, mut messages) = open(&legacy(&script)).await;
    messages.recv().await.unwrap();
    let (outgoing, mut related) = call(3);
    let answer = async {
        let question = messages.recv().await.unwrap();
        assert_eq!(question.frame.method().unwrap(), "roots/list");
        let reply = Bytes::from_static(br#"{"jsonrpc":"2.0","id":"q1","result":{"roots":[]}}"#);
        connection.send(reply, &Injected::default()).await.unwrap();
    };
    let (received, ()) = tokio::join!(connection.request(outgoing), answer);
    received.unwrap();
    let progress = related.recv().await.unwrap();
    assert_eq!(progress.frame.method().unwrap(), "notifications/progress");
    connection.close().await;
}

#[tokio::test]
async fn the_end_of_a_server_is_told_with_its_last_words_but_not_its_secrets() {
    let reach = legacy(r#"echo "cannot use $TOKEN" >&2; exit 3"#);
    let (mut opening, _messages) = opening(Revision::V2025_11_25);
    opening.injected = Arc::new(Injected {
        env: vec![("TOKEN".to_owned(), Hidden::new(b"hunter2".to_vec()))],
        ..Default::default()
    });
    let (connection, _) = Connection::open(&reach, &means(), opening).await.unwrap();
    let fault = connection.request(call(1).0).await.unwrap_err();
    assert_eq!((fault.kind, fault.sent), (FaultKind::Lost, true));
    assert!(fault.detail.contains("exited with code 3"), "{fault}");
    assert!(fault.detail.contains("cannot use [secret:credential]"), "{fault}");
    assert!(!connection.is_alive());
    let next = connection.request(call(2).0).await.unwrap_err();
    assert_eq!((next.kind, next.sent), (FaultKind::Lost, false));
    connection.close().await;
}

#[tokio::test]
async fn an_answer_before_the_end_is_an_answer() {
    let (connection, _messages) = open(&legacy(&format!("{ANSWER}; exit 0"))).await;
    connection.request(call(1).0).await.unwrap();
    connection.close().await;
}

#[tokio::test]
async fn a_server_that_writes_noise_is_stopped_after_a_few_lines() {
    let (connection, _messages) = open(&legacy(&format!("echo starting; echo; {ANSWER}"))).await;
    connection.request(call(1).0).await.unwrap();
    connection.close().await;
    let fault = fault(&legacy("yes")).await;
    assert_eq!((fault.kind, fault.sent), (FaultKind::Nonsense, true));
}

#[tokio::test]
async fn an_answer_that_two_parsers_read_differently_is_none() {
    let script = r#"echo "{\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":{\"a\":1,\"a\":2}}""#;
    let fault = fault(&legacy(script)).await;
    assert_eq!(fault.kind, FaultKind::Nonsense);
    assert!(fault.detail.contains("duplicate"), "{fault}");
}

#[tokio::test]
async fn an_answer_over_the_limit_is_refused_and_the_connection_lives() {
    let script = format!(
        r#"if [ "$id" = 1 ]; then big=$(head -c 70000 /dev/zero | tr '\0' x);
        echo "{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{{\"x\":\"$big\"}}}}"; else {ANSWER}; fi"#
    );
    let (connection, _messages) = open(&legacy(&script)).await;
    let fault = connection.request(call(1).0).await.unwrap_err();
    assert_eq!((fault.kind, fault.sent), (FaultKind::TooLarge, true));
    connection.request(call(2).0).await.unwrap();
    connection.close().await;
}

#[tokio::test]
async fn a_server_that_hangs_is_told_that_nobody_waits() {
    let script = r#"case "$line" in *cancelled*) echo "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":\"info\",\"data\":\"$(echo "$line" | tr -d '\"')\"}}";; esac"#;
    let (connection, mut messages) = open(&legacy(script)).await;
    messages.recv().await.unwrap();
    let fault = connection.request(within(call(9).0, Duration::from_millis(200))).await.unwrap_err();
    assert_eq!((fault.kind, fault.sent), (FaultKind::Timeout, true));
    let told = messages.recv().await.unwrap();
    let said = String::from_utf8(told.frame.bytes().to_vec()).unwrap();
    assert!(said.contains("requestId:9"), "{said}");
    connection.close().await;
}

#[tokio::test]
async fn a_cancelled_request_waits_a_little_for_an_answer_after_all() {
    let script = format!(r#"case "$line" in *cancelled*) id=9; {ANSWER};; esac"#);
    let (connection, _messages) = open(&legacy(&script)).await;
    let (outgoing, _related) = call(9);
    let cancel = outgoing.cancel.clone();
    let (answer, ()) = tokio::join!(connection.request(outgoing), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        cancel.cancel();
    });
    answer.unwrap();
    // and one that stays silent is given up
    let (outgoing, _related) = call(10);
    outgoing.cancel.cancel();
    let fault = connection.request(outgoing).await.unwrap_err();
    assert_eq!((fault.kind, fault.sent), (FaultKind::Cancelled, false));
    connection.close().await;
}

#[tokio::test]
async fn a_line_break_in_a_message_cannot_begin_a_second_one() {
    let script = r#"case "$line" in *smuggled*) [ "${line#\{\"jsonrpc}" != "$line" ] && [ "$id" = 1 ] && echo '{"jsonrpc":"2.0","id":1,"result":{"lines":1}}';; esac"#;
    let (connection, _messages) = open(&legacy(script)).await;
    let (mut outgoing, _related) = call(1);
    outgoing.frame = Bytes::from_static(
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\r\n\"params\":{\"smuggled\":\n{}}}",
    );
    let answer = connection.request(outgoing).await.unwrap();
    assert_eq!(answer.frame.at(&["result", "lines"]), Some(&b"1"[..]));
    connection.close().await;
}

#[tokio::test]
async fn what_is_said_not_to_have_left_never_leaves() {
    // reads nothing for a while, then says which calls it got
    let script = r#"if [ -z "$woken" ]; then woken=1; sleep 1; fi
        echo "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":\"info\",\"data\":$id}}""#;
    let (connection, mut messages) = open(&legacy(script)).await;
    messages.recv().await.unwrap();
    let big = "x".repeat(60 << 10);
    let waiting = (1..=80).map(|id| {
        let (mut outgoing, _) = call(id);
        outgoing.frame =
            format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"m","params":{{"x":"{big}"}}}}"#).into();
        connection.request(within(outgoing, Duration::from_millis(500)))
    });
    let faults: Vec<_> =
        futures::future::join_all(waiting).await.into_iter().map(Result::unwrap_err).collect();
    assert!(faults.iter().all(|f| f.kind == FaultKind::Timeout));
    let sent = faults.iter().filter(|f| f.sent).count();
    assert!((1..20).contains(&sent), "{sent} were written, or begun");
    let marker = Bytes::from_static(br#"{"jsonrpc":"2.0","id":999,"method":"marker"}"#);
    connection.send(marker, &Injected::default()).await.unwrap();
    let mut got = Vec::new();
    loop {
        let message = messages.recv().await.unwrap();
        let id: usize =
            std::str::from_utf8(message.frame.at(&["params", "data"]).unwrap()).unwrap().parse().unwrap();
        if id == 999 {
            break;
        }
        got.push(id);
    }
    assert!(!got.is_empty());
    for id in got {
        assert!(faults.get(id - 1).unwrap().sent, "call {id} left although nobody said so");
    }
    connection.close().await;
}

#[tokio::test]
async fn a_flood_of_messages_nobody_takes_ends_with_the_request() {
    let script = r#"while :; do echo "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":1,\"progress\":1}}"; done"#;
    let (connection, _messages) = open(&legacy(script)).await;
    let (outgoing, mut related) = call(1);
    let (answer, count) =
        tokio::join!(connection.request(within(outgoing, Duration::from_secs(20))), async {
            let mut count = 0;
            while related.recv().await.is_some() {
                count += 1;
            }
            count
        });
    assert_eq!(answer.unwrap_err().kind, FaultKind::Nonsense);
    assert!(count <= 10_000);
    connection.close().await;
}

#[tokio::test]
async fn a_server_of_another_era_or_none_is_told_apart() {
    let open = async |reach: Reach| {
        let (opening, _messages) = opening(Revision::V2025_11_25);
        Connection::open(&reach, &means(), opening).await.unwrap_err()
    };
    let modern = r#"read -r l; echo '{"jsonrpc":"2.0","id":0,"error":{"code":-32022,"message":"no"}}'; cat >/dev/null"#;
    assert_eq!(open(shell(modern)).await.kind, FaultKind::NotThisEra);
    let future = r#"read -r l; echo '{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2030-01-01"}}'; cat >/dev/null"#;
    assert_eq!(open(shell(future)).await.kind, FaultKind::NotThisEra);
    let refuses = r#"read -r l; echo '{"jsonrpc":"2.0","id":0,"error":{"code":-32000,"message":"closed"}}'; cat >/dev/null"#;
    assert_eq!(open(shell(refuses)).await.kind, FaultKind::Refused);
    assert_eq!(open(shell("exit 1")).await.kind, FaultKind::Lost);
    let missing =
        Reach::Stdio { command: "/no/such/program".into(), args: vec![], env: BTreeMap::new(), cwd: None };
    let fault = open(missing).await;
    assert_eq!((fault.kind, fault.sent), (FaultKind::Unreachable, false));
}

/// A modern server that answers nothing by itself and runs `script` for every line.
async fn shared(script: &str) -> Connection {
    let reach =
        shell(&format!(r#"while read -r line; do id=${{line#*\"id\":}}; id=${{id%%,*}}; {script}; done"#));
    let (opening, _) = opening(Revision::V2026_07_28);
    Connection::open(&reach, &means(), opening).await.unwrap().0
}

const LOG: &str = r#"echo "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":\"info\",\"data\":$id}}""#;

#[tokio::test]
async fn a_log_line_on_a_shared_pipe_is_the_only_requests_or_nobodys() {
    let connection = shared(&format!(r#"{LOG}; case "$id" in 2|9) ;; *) {ANSWER};; esac"#)).await;
    let (outgoing, mut related) = call(1);
    connection.request(outgoing).await.unwrap();
    assert_eq!(related.recv().await.unwrap().frame.at(&["params", "data"]), Some(&b"1"[..]));
    // two at once: it could be either's
    let (waits, mut of_one) = call(2);
    let (outgoing, mut of_other) = call(3);
    let (gave_up, ()) = tokio::join!(connection.request(within(waits, Duration::from_secs(2))), async {
        assert_eq!(of_one.recv().await.unwrap().frame.at(&["params", "data"]), Some(&b"2"[..]));
        connection.request(outgoing).await.unwrap();
    });
    assert_eq!(gave_up.unwrap_err().kind, FaultKind::Timeout);
    assert!(of_one.recv().await.is_none() && of_other.recv().await.is_none());
    // alone, but what was given up may still be spoken of
    let (outgoing, mut related) = call(4);
    connection.request(outgoing).await.unwrap();
    assert!(related.recv().await.is_none());
    connection.close().await;
}

#[tokio::test]
async fn a_subscription_ends_when_its_server_says_so_and_a_call_does_not() {
    let ends = r#"echo "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":$id}}""#;
    let connection = shared(&format!(r#"{ends}; [ "$id" = 1 ] || {ANSWER}"#)).await;
    let (mut outgoing, _related) = call(1);
    outgoing.timeout = None;
    let fault = connection.request(outgoing).await.unwrap_err();
    assert_eq!((fault.kind, fault.sent), (FaultKind::Lost, true));
    connection.request(call(2).0).await.unwrap();
    connection.close().await;
}

#[tokio::test]
async fn a_question_on_a_shared_pipe_reaches_nobody() {
    let script = format!(r#"echo '{{"jsonrpc":"2.0","id":"q","method":"roots/list"}}'; {ANSWER}"#);
    let reach =
        shell(&format!(r#"while read -r line; do id=${{line#*\"id\":}}; id=${{id%%,*}}; {script}; done"#));
    let (opening, mut messages) = opening(Revision::V2026_07_28);
    let connection = Connection::open(&reach, &means(), opening).await.unwrap().0;
    let (outgoing, mut related) = call(1);
    connection.request(outgoing).await.unwrap();
    connection.close().await;
    assert!(messages.recv().await.is_none() && related.recv().await.is_none());
}
