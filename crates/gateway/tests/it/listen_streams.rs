//! Event streams: what a call says while it runs, and how a Host comes back for it.

use crate::listen_support::{Client, Rig, call, eventually, session};
use bytes::Bytes;
use decision::Transport;
use gateway::{exchange::Entrance, listen::http::Pace, settings::Limits};
use std::{collections::BTreeSet, time::Duration};
use tokio::time::timeout;

const MODERN: &str = "POST /mcp|mcp-protocol-version: 2026-07-28";

/// The ids and data of the events in a response's text.
fn events(text: &str) -> Vec<String> {
    text.split('\n')
        .filter_map(|line| {
            line.strip_prefix("id: ")
                .map(|id| format!("#{id}"))
                .or_else(|| line.strip_prefix("data: ").map(str::to_owned))
        })
        .collect()
}

#[tokio::test]
async fn what_a_call_says_comes_before_its_answer_as_events() {
    let rig = Rig::start();
    for head in ["POST /mcp", MODERN, "POST /mcp|accept: text/event-stream"] {
        let response = rig.ask(head, &call(1, "say/3")).await;
        let head = response.to_ascii_lowercase();
        for part in
            ["200 ok", "content-type: text/event-stream", "cache-control: no-store", "x-accel-buffering: no"]
        {
            assert!(head.contains(part), "{part} in {response}");
        }
        let answer = "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}";
        assert_eq!(events(&response), ["{\"n\":1}", "{\"n\":2}", "{\"n\":3}", answer], "{response}");
    }
    let silent = rig.ask("POST /mcp|accept: text/event-stream", &call(1, "ping")).await;
    assert_eq!(events(&silent).len(), 1, "an answer alone, for who only reads events: {silent}");
}

#[tokio::test]
async fn a_host_that_cannot_read_events_gets_json_and_the_call_knows_that_nobody_listens() {
    let rig = Rig::start();
    let response = rig.ask("POST /mcp|accept: application/json", &call(1, "say/2")).await;
    assert!(
        response.contains("content-type: application/json") && response.contains("\"id\":1"),
        "{response}"
    );
    assert_eq!(rig.script.noticed(), ["said 1 gone", "said 2 gone"]);
}

#[tokio::test]
async fn nothing_is_written_before_the_path_returned_but_what_it_says() {
    let rig = Rig::start();
    let mut client = rig.connect().await;
    client.send(&rig.request("POST /mcp", &call(1, "wait"))).await;
    rig.script.arrivals(1).await;
    let mut byte = [0; 1];
    let early = timeout(Duration::from_millis(200), client.0.peek(&mut byte)).await;
    assert!(early.is_err(), "something was written: {early:?}");
    rig.script.0.release.add_permits(1);
    assert!(client.rest().await.contains("\"id\":1"));
    let mut client = rig.connect().await;
    client.send(&rig.request("POST /mcp", &call(2, "say-then-wait/1"))).await;
    let said = client.until("{\"n\":1}\n\n").await;
    assert!(!said.contains("\"id\":2"), "{said}");
    rig.script.0.release.add_permits(1);
    let rest = client.until("\"id\":2").await;
    assert!(rest.contains("late"), "{rest}");
}

#[tokio::test]
async fn hanging_up_cancels_for_a_modern_host_before_and_during_the_stream() {
    let rig = Rig::start();
    let mut quiet = rig.connect().await;
    quiet.send(&rig.request(MODERN, &call(1, "wait"))).await;
    rig.script.arrivals(1).await;
    drop(quiet);
    eventually(|| rig.script.noticed() == ["cancelled 1"]).await;
    let mut talking = rig.connect().await;
    talking.send(&rig.request(MODERN, &call(2, "say-then-wait/1"))).await;
    talking.until("{\"n\":1}").await;
    drop(talking);
    eventually(|| rig.script.noticed() == ["cancelled 1", "cancelled 2"]).await;
}

#[tokio::test]
async fn hanging_up_does_not_cancel_for_a_legacy_host() {
    let rig = Rig::start();
    for (id, head) in
        [(1, "POST /mcp"), (2, "POST /mcp|mcp-protocol-version: 2025-11-25|mcp-session-id: mine")]
    {
        let mut quiet = rig.connect().await;
        quiet.send(&rig.request(head, &call(id, "wait"))).await;
        let mut talking = rig.connect().await;
        talking.send(&rig.request(head, &call(id + 10, "say-then-wait/1"))).await;
        talking.until("{\"n\":1}").await;
    }
    rig.script.arrivals(4).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    rig.script.0.release.add_permits(4);
    assert_eq!(rig.script.noticed(), Vec::<String>::new());
    assert_eq!(rig.stop().await.unfinished, 0, "all four ran to their end");
}

#[tokio::test]
async fn a_call_that_finished_is_not_cancelled_afterwards() {
    let rig = Rig::start();
    for method in ["ping", "say/1"] {
        let response = rig.ask(MODERN, &call(1, method)).await;
        assert!(response.contains("\"id\":1"));
    }
    assert_eq!(rig.script.noticed(), ["said 1 heard"]);
}

#[tokio::test]
async fn a_legacy_stream_that_broke_is_resumed_by_its_own_session_only() {
    let rig = Rig::start();
    for id in ["mine", "other"] {
        rig.script.keep(&session(id, Entrance::Federated, Transport::Http));
    }
    let head = "POST /mcp|mcp-protocol-version: 2025-11-25|mcp-session-id: mine";
    let mut broken = rig.connect().await;
    broken.send(&rig.request(head, &call(1, "say-then-wait/2"))).await;
    let said = broken.until("{\"n\":2}\n\n").await;
    let before = events(&said);
    let [primed, empty, first, one, second, two] = before.as_slice() else { panic!("{before:?}") };
    assert!(empty.is_empty(), "it begins with an id and no data: {before:?}");
    assert!(one == "{\"n\":1}" && two == "{\"n\":2}");
    assert_eq!(BTreeSet::from([primed, first, second]).len(), 3, "{before:?}");
    assert!([primed, first, second].iter().all(|id| id.starts_with('#') && id.len() == 44), "{before:?}");
    drop(broken);
    rig.script.0.release.add_permits(1);
    eventually(|| rig.script.seen().len() == 1).await;
    assert_eq!(rig.script.noticed(), Vec::<String>::new(), "hanging up is not cancelling");

    let resume = |session: &str, id: &str| {
        format!("GET /mcp|mcp-session-id: {session}|last-event-id: {}", id.trim_start_matches('#'))
    };
    let rest = events(&rig.ask(&resume("mine", first), "").await);
    let answer = "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}";
    let data: Vec<_> = rest.iter().filter(|line| !line.starts_with('#')).cloned().collect();
    assert_eq!(data, ["{\"n\":2}", "{\"late\":true}", answer], "{rest:?}");
    assert_eq!(rest.first(), Some(second), "with the ids they had");

    let thief = rig.ask(&resume("other", first), "").await;
    assert!(thief.starts_with("HTTP/1.1 400"), "{thief}");
    let unknown = rig.ask(&resume("nobody", first), "").await;
    assert!(unknown.starts_with("HTTP/1.1 404"), "{unknown}");

    // a session that ended takes its streams along
    assert!(rig.ask("DELETE /mcp|mcp-session-id: mine", "").await.starts_with("HTTP/1.1 200"));
    let gone = rig.ask(&resume("mine", first), "").await;
    assert!(!gone.contains("{\"n\":2}"), "{gone}");
}

#[tokio::test]
async fn a_session_hears_what_belongs_to_no_request_once_and_again_when_it_was_lost() {
    let rig = Rig::start();
    let own = session("mine", Entrance::Federated, Transport::Http);
    rig.script.keep(&own);
    own.push(Bytes::from_static(b"{\"m\":1}")).unwrap();
    let head = "GET /mcp|mcp-protocol-version: 2025-06-18|mcp-session-id: mine";
    let mut stream = rig.connect().await;
    stream.send(&rig.request(head, "")).await;
    let first = events(&stream.until("data: {\"m\":1}\n\n").await);
    own.push(Bytes::from_static(b"{\"m\":2}")).unwrap();
    let second = events(&stream.until("data: {\"m\":2}\n\n").await);
    drop(stream);
    let mut again = rig.connect().await;
    let after = first[0].trim_start_matches('#');
    again.send(&rig.request(&format!("{head}|last-event-id: {after}"), "")).await;
    assert_eq!(events(&again.until("data: {\"m\":2}\n\n").await), second);
    let mut fresh = rig.connect().await;
    fresh.send(&rig.request(&head.replace("2025-06-18", "2025-11-25"), "")).await;
    assert_eq!(events(&fresh.until("data: \n\n").await)[0], second[0], "it begins where the others are");
    own.close();
    again.until("0\r\n\r\n").await;
    fresh.until("0\r\n\r\n").await;
}

#[tokio::test]
async fn a_subscription_streams_until_the_host_hangs_up() {
    let rig = Rig::start();
    let mut client: Client = rig.connect().await;
    client.send(&rig.request(MODERN, &call(1, "subscribe"))).await;
    let said = client.until("{\"ack\":1}\n\n").await;
    assert!(said.contains("text/event-stream"), "{said}");
    assert_eq!(rig.script.noticed(), Vec::<String>::new());
    drop(client);
    eventually(|| rig.script.noticed() == ["subscription cancelled"]).await;
}

#[tokio::test]
async fn an_open_stream_shows_signs_of_life() {
    let pace = Pace { keep_alive: Duration::from_millis(50), ..Pace::default() };
    let rig = Rig::with(Limits::default(), pace);
    let mut client = rig.connect().await;
    client.send(&rig.request("POST /mcp", &call(1, "say-then-wait/1"))).await;
    client.until(": still here\n\n").await;
    client.until(": still here\n\n").await;
    rig.script.0.release.add_permits(1);
    client.until("\"id\":1").await;
}

#[tokio::test]
async fn line_breaks_in_an_answer_do_not_break_its_event() {
    let rig = Rig::start();
    let response = rig.ask("POST /mcp|accept: text/event-stream", &call(5, "pretty")).await;
    assert!(response.contains("data: {\ndata:  \"id\": 5\ndata: \ndata: }\n\n"), "{response}");
}
