//! One connection, one session, line by line.

use crate::listen_support::{PATIENCE, Script, call, session};
use bytes::Bytes;
use decision::{AgentName, Transport};
use gateway::{
    exchange::Entrance,
    listen::pipe::{Talk, converse},
    session::Session,
    settings::Limits,
};
use std::{io, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, ReadHalf, WriteHalf},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

struct Pipe {
    script: Script,
    session: Arc<Session>,
    closing: CancellationToken,
    talking: JoinHandle<io::Result<()>>,
    reader: BufReader<ReadHalf<DuplexStream>>,
    writer: WriteHalf<DuplexStream>,
}

impl Pipe {
    fn start(bytes_max: usize, calls_max: usize) -> Self {
        let script = Script::new(Limits { message_bytes_max: bytes_max, ..Limits::default() });
        let session = session("pipe", Entrance::Server("crm".into()), Transport::Stdio);
        let talk = Talk {
            session: Arc::clone(&session),
            agent: AgentName::new("desktop").unwrap(),
            entrance: Entrance::Server("crm".into()),
            message_bytes_max: bytes_max,
            calls_in_flight_max: calls_max,
            drain_timeout: Duration::from_secs(5),
        };
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        let closing = CancellationToken::new();
        let (reader, writer) = tokio::io::split(theirs);
        let talking = tokio::spawn(converse(script.clone(), reader, writer, talk, closing.clone()));
        let (reader, writer) = tokio::io::split(ours);
        Self { script, session, closing, talking, reader: BufReader::new(reader), writer }
    }
    async fn say(&mut self, line: &str) {
        self.writer.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }
    async fn hear(&mut self) -> String {
        let mut line = String::new();
        timeout(PATIENCE, self.reader.read_line(&mut line)).await.unwrap().unwrap();
        assert!(line.ends_with('\n'), "not a whole line: {line}");
        line.trim_end().to_owned()
    }
    async fn end(mut self) -> (Script, Arc<Session>) {
        self.writer.shutdown().await.unwrap();
        timeout(PATIENCE, self.talking).await.unwrap().unwrap().unwrap();
        (self.script, self.session)
    }
}

fn answer(id: u32) -> String {
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{}}}}")
}

#[tokio::test]
async fn every_line_is_one_arrival_of_the_configured_agent_on_the_one_session() {
    let mut pipe = Pipe::start(1 << 20, 8);
    pipe.say(&call(1, "ping")).await;
    assert_eq!(pipe.hear().await, answer(1));
    pipe.say("\n  \r").await;
    pipe.say("{").await;
    assert_eq!(pipe.hear().await, "{\"refused\":\"json-malformed\"}");
    pipe.say(&call(2, "pretty")).await;
    assert_eq!(pipe.hear().await, "{  \"id\": 2  }", "one line, whatever it held");
    assert_eq!(
        pipe.script.seen(),
        [
            "message of 40 at crm by desktop",
            "message of 1 at crm by desktop",
            "message of 42 at crm by desktop"
        ]
    );
}

#[tokio::test]
async fn an_overlong_line_is_refused_once_and_the_next_one_is_served() {
    let mut pipe = Pipe::start(100, 8);
    pipe.say(&"x".repeat(300_000)).await;
    assert_eq!(pipe.hear().await, "{\"refused\":\"message-too-large\"}");
    pipe.say(&call(1, "ping")).await;
    assert_eq!(pipe.hear().await, answer(1));
    let (script, _) = pipe.end().await;
    assert_eq!(script.seen().len(), 2);
}

#[tokio::test]
async fn a_quick_call_is_answered_while_a_slow_one_waits_and_both_may_talk() {
    let mut pipe = Pipe::start(1 << 20, 8);
    pipe.say(&call(1, "say-then-wait/1")).await;
    assert_eq!(pipe.hear().await, "{\"n\":1}");
    pipe.say(&call(2, "say/1")).await;
    assert_eq!(pipe.hear().await, "{\"n\":1}");
    assert_eq!(pipe.hear().await, answer(2));
    pipe.session.push(Bytes::from_static(b"{\"unasked\":true}")).unwrap();
    assert_eq!(pipe.hear().await, "{\"unasked\":true}");
    pipe.script.0.release.add_permits(1);
    assert_eq!(pipe.hear().await, "{\"late\":true}");
    assert_eq!(pipe.hear().await, answer(1));
    pipe.say("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/x\"}").await;
    pipe.say(&call(3, "subscribe")).await;
    assert_eq!(
        pipe.hear().await,
        "{\"ack\":1}",
        "a notification is not answered, a subscription speaks for itself"
    );
}

#[tokio::test]
async fn as_many_calls_as_may_be_in_flight_do_not_keep_a_cancellation_out() {
    let mut pipe = Pipe::start(1 << 20, 50);
    for id in 0..50 {
        pipe.say(&call(id, "wait")).await;
    }
    pipe.say("{\"jsonrpc\":\"2.0\",\"method\":\"cancel-all\"}").await;
    for _ in 0..50 {
        pipe.hear().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_messages_the_first_is_begun_first() {
    let mut pipe = Pipe::start(1 << 20, 1_000);
    let lines: Vec<_> =
        (0..500).map(|id| format!("{}{}", call(id, "say/1"), " ".repeat(id as usize))).collect();
    let talk = async {
        pipe.writer.write_all((lines.join("\n") + "\n").as_bytes()).await.unwrap();
    };
    let listen = async {
        let mut line = String::new();
        for _ in 0..1_000 {
            pipe.reader.read_line(&mut line).await.unwrap();
        }
    };
    timeout(PATIENCE, futures::future::join(talk, listen)).await.unwrap();
    let want: Vec<_> =
        lines.iter().map(|line| format!("message of {} at crm by desktop", line.len())).collect();
    assert_eq!(pipe.script.seen(), want);
}

#[tokio::test]
async fn the_end_of_the_input_ends_the_session_and_cancels_what_is_in_flight() {
    let mut pipe = Pipe::start(1 << 20, 8);
    pipe.say(&call(1, "wait")).await;
    pipe.say(&call(2, "ping")).await;
    assert_eq!(pipe.hear().await, answer(2));
    pipe.writer.write_all(b"{\"jsonrpc\":").await.unwrap();
    let (script, session) = pipe.end().await;
    assert_eq!(script.noticed(), ["cancelled 1"]);
    assert_eq!(script.seen().last().map(String::as_str), Some("incomplete at crm by desktop"));
    assert!(session.ended.is_cancelled());
}

#[tokio::test]
async fn a_peer_that_vanishes_or_a_session_that_ends_leaves_nothing_running() {
    let mut pipe = Pipe::start(1 << 20, 8);
    pipe.say(&call(1, "flood")).await;
    pipe.script.arrivals(1).await;
    let Pipe { script, talking, reader, writer, .. } = pipe;
    drop((reader, writer));
    let _ = timeout(PATIENCE, talking).await.unwrap().unwrap();
    assert_eq!(script.noticed(), ["flood over"]);

    let mut pipe = Pipe::start(1 << 20, 8);
    pipe.say(&call(1, "wait")).await;
    pipe.script.arrivals(1).await;
    pipe.session.close();
    timeout(PATIENCE, pipe.talking).await.unwrap().unwrap().unwrap();
    assert_eq!(pipe.script.noticed(), ["cancelled 1"]);
}

#[tokio::test]
async fn a_drain_lets_calls_finish() {
    let mut pipe = Pipe::start(1 << 20, 8);
    pipe.say(&call(1, "wait")).await;
    pipe.script.arrivals(1).await;
    pipe.closing.cancel();
    tokio::task::yield_now().await;
    pipe.script.0.release.add_permits(1);
    assert_eq!(pipe.hear().await, answer(1));
    timeout(PATIENCE, pipe.talking).await.unwrap().unwrap().unwrap();
    assert_eq!(pipe.script.noticed(), Vec::<String>::new());
}
