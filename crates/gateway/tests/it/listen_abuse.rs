//! Peers that lie, dawdle, flood and vanish.

use crate::listen_support::{Client, Rig, call, descriptors, eventually};
use gateway::{listen::http::Pace, settings::Limits};
use std::{sync::atomic::Ordering, time::Duration};
use tokio::io::AsyncWriteExt as _;

const SHORT: Duration = Duration::from_millis(200);

fn impatient() -> Rig {
    let pace = Pace { head: SHORT, ..Pace::default() };
    Rig::with(Limits { read_timeout: SHORT, ..Limits::default() }, pace)
}

async fn raw(rig: &Rig, text: &str) -> String {
    let mut client = rig.connect().await;
    client.send(text).await;
    client.rest().await
}

#[tokio::test]
async fn a_hundred_megabytes_are_refused_before_they_are_sent() {
    let rig = Rig::start();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: 104857600\r\n\r\n",
        rig.address
    );
    let mut client = rig.connect().await;
    client.send(&head).await;
    let response = client.rest().await;
    assert!(response.starts_with("HTTP/1.1 413") && response.contains("message-too-large"), "{response}");
    // a client that went on sending is not reset in the middle of reading that
    for _ in 0..10 {
        client.send(&"x".repeat(16 << 10)).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(rig.script.seen(), ["too large at mcp"]);
}

#[tokio::test]
async fn an_endless_chunked_body_is_cut_at_the_limit_and_the_answer_still_gets_through() {
    let rig = Rig::start();
    let (reader, mut writer) = rig.connect().await.0.into_split();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
        rig.address
    );
    let flood = tokio::spawn(async move {
        writer.write_all(head.as_bytes()).await.unwrap();
        let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
        let mut sent = 0usize;
        while sent < 100 << 20 && writer.write_all(chunk.as_bytes()).await.is_ok() {
            sent += 0x10000;
        }
        (sent, writer)
    });
    let mut reader = reader;
    let mut response = vec![0; 4096];
    let n = tokio::io::AsyncReadExt::read(&mut reader, &mut response).await.unwrap();
    let response = String::from_utf8_lossy(&response[..n]).into_owned();
    assert!(response.starts_with("HTTP/1.1 413"), "{response}");
    let (sent, _) = flood.await.unwrap();
    assert!(sent < 50 << 20, "{sent} bytes were taken");
    assert_eq!(rig.script.seen(), ["too large at mcp"]);
}

#[tokio::test]
async fn a_slow_body_and_one_that_ends_early_are_arrivals_too() {
    let rig = impatient();
    let head = |length: usize| {
        format!(
            "POST /mcp HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n",
            rig.address
        )
    };
    let slow = raw(&rig, &format!("{}{{", head(100))).await;
    assert!(slow.starts_with("HTTP/1.1 408"), "{slow}");
    for _ in 0..20 {
        let mut client = rig.connect().await;
        client.send(&format!("{}{{\"jsonrpc\"", head(100))).await;
        client.0.shutdown().await.unwrap();
        client.closed().await;
    }
    for _ in 0..20 {
        // gone without a goodbye
        let mut client = rig.connect().await;
        client.send(&format!("{}{{\"jsonrpc\"", head(100))).await;
        client.0.set_zero_linger().unwrap();
        drop(client);
    }
    rig.script.arrivals(41).await;
    let seen = rig.script.seen();
    assert_eq!(seen.len(), 41);
    assert_eq!(seen.iter().filter(|line| *line == "too slow at mcp").count(), 1);
    assert_eq!(seen.iter().filter(|line| *line == "incomplete at mcp").count(), 40);
}

#[tokio::test]
async fn a_body_that_was_packed_for_its_way_is_of_the_wrong_media_type() {
    let rig = impatient();
    for (coding, told) in [("chunked", "HTTP/1.1 200"), ("gzip, chunked", "HTTP/1.1 415")] {
        let ping = crate::listen_support::call(1, "ping");
        let response = raw(
            &rig,
            &format!(
                "POST /mcp HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ntransfer-encoding: {coding}\r\n\
                 connection: close\r\n\r\n{:x}\r\n{ping}\r\n0\r\n\r\n",
                rig.address,
                ping.len()
            ),
        )
        .await;
        assert!(response.starts_with(told), "{coding}: {response}");
    }
    assert_eq!(rig.script.seen(), ["message of 40 at mcp", "media type at mcp"]);
}

#[tokio::test]
async fn chunks_that_lie_are_incomplete() {
    let rig = impatient();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
        rig.address
    );
    for lie in [
        "ffffffffffffffffff\r\nx",
        "zz\r\nx\r\n",
        "-1\r\n",
        "2\r\n{}}}}}}\r\n0\r\n\r\n",
        "2\r\n{}\r\n0\r\nx: y",
    ] {
        let mut client = rig.connect().await;
        client.send(&format!("{head}{lie}")).await;
        client.0.shutdown().await.unwrap();
        client.closed().await;
    }
    rig.script.arrivals(5).await;
    assert_eq!(rig.script.seen(), vec!["incomplete at mcp"; 5]);
}

#[tokio::test]
async fn a_head_that_is_late_too_long_or_no_http_at_all_is_no_arrival() {
    let rig = impatient();
    let many: String = (0..200).map(|n| format!("x-{n}: y\r\n")).collect();
    let long = format!("x: {}\r\n", "y".repeat(100 << 10));
    for flood in [many, long] {
        let response = raw(&rig, &format!("GET /mcp HTTP/1.1\r\nhost: {}\r\n{flood}\r\n", rig.address)).await;
        assert!(response.starts_with("HTTP/1.1 431"), "{response}");
    }
    for garbage in [
        "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "{\"jsonrpc\":\"2.0\"}\r\n\r\n",
    ] {
        let response = raw(&rig, garbage).await;
        assert!(!response.starts_with("HTTP/1.1 2"), "{response}");
    }
    let mut silent = rig.connect().await;
    let mut dripping = rig.connect().await;
    dripping.send("POST /mcp HT").await;
    silent.closed().await;
    dripping.closed().await;
    assert_eq!(rig.script.seen(), Vec::<String>::new());
}

#[tokio::test]
async fn old_http_pipelines_and_absolute_targets_are_served() {
    let rig = Rig::start();
    let ping = call(1, "ping");
    let old = format!(
        "POST /mcp HTTP/1.0\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{ping}",
        rig.address,
        ping.len()
    );
    assert!(raw(&rig, &old).await.contains("\"id\":1"));
    let absolute = rig.ask(&format!("POST http://{}/mcp", rig.address), &ping).await;
    assert!(absolute.starts_with("HTTP/1.1 200"), "{absolute}");
    let elsewhere = rig.ask("POST http://evil.example/mcp", &ping).await;
    assert!(elsewhere.starts_with("HTTP/1.1 403"), "{elsewhere}");
    let three: String = (1..=3).map(|id| rig.request("POST /mcp", &call(id, "ping"))).collect();
    let mut client = rig.connect().await;
    client.send(&three).await;
    let answers = client.until("\"id\":3").await;
    let order: Vec<_> = ["\"id\":1", "\"id\":2", "\"id\":3"].map(|id| answers.find(id)).into();
    assert!(order.iter().all(Option::is_some) && order.is_sorted(), "{answers}");
    // events on HTTP/1.0 end with the connection
    let said = call(4, "say/2");
    let old = format!(
        "POST /mcp HTTP/1.0\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{said}",
        rig.address,
        said.len()
    );
    let events = raw(&rig, &old).await;
    assert!(
        events.contains("data: {\"n\":2}\n\ndata: {\"jsonrpc\"") && !events.contains("chunked"),
        "{events}"
    );
}

#[tokio::test]
async fn a_connection_too_many_is_told_so_and_the_next_one_is_served() {
    let rig = Rig::with(Limits { connections_max: 4, ..Limits::default() }, Pace::default());
    let mut open = Vec::new();
    for id in 0..4 {
        let mut client = rig.connect().await;
        client.send(&rig.request("POST /mcp", &call(id, "ping"))).await;
        client.rest().await;
        open.push(client);
    }
    let refused = rig.ask("POST /mcp", &call(9, "ping")).await;
    assert!(refused.starts_with("HTTP/1.1 503") && refused.ends_with("try again shortly\"}"), "{refused}");
    drop(open);
    let mut served = String::new();
    for _ in 0..200 {
        served = rig.ask("POST /mcp", &call(9, "ping")).await;
        if served.starts_with("HTTP/1.1 200") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(served.starts_with("HTTP/1.1 200"), "{served}");
}

// I17: a client can exhaust nothing.
#[tokio::test]
async fn strangers_who_hold_every_connection_keep_nobody_out() {
    let rig = Rig::with(Limits { connections_max: 4, ..Limits::default() }, Pace::default());
    let mut known = rig.connect().await;
    known.send(&rig.request("POST /mcp", &call(1, "ping"))).await;
    known.rest().await;
    // whatever else they are answered, nobody knows them by it
    let unread = rig.request("POST /mcp", &call(1, "ping")).replace("ping", "");
    let ways = [
        String::new(),
        "POST /mcp HTTP/1.1\r\nhost: x".to_owned(),
        rig.request("POST /mcp", &call(1, "stranger")),
        rig.request("GET /livez", ""),
        rig.request("GET /nothing", ""),
        rig.request("GET /.well-known/oauth-protected-resource", ""),
        "GET /mcp HTTP/1.1\r\nhost: evil.example\r\n\r\n".to_owned(),
        unread,
    ];
    let mut strangers = Vec::new();
    for (round, way) in (2..).zip(&ways) {
        for _ in 0..4 {
            let mut stranger = rig.connect().await;
            stranger.send(way).await;
            strangers.push(stranger);
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        let served = rig.ask("POST /mcp", &call(round, "ping")).await;
        assert!(served.starts_with("HTTP/1.1 200"), "{way}: {served}");
    }
    known.send(&rig.request("POST /mcp", &call(9, "ping"))).await;
    let answer = known.rest().await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn how_many_connections_there_may_be_is_what_the_newest_settings_say() {
    let rig = Rig::with(Limits { connections_max: 1, ..Limits::default() }, Pace::default());
    let mut first = rig.connect().await;
    first.send(&rig.request("POST /mcp", &call(1, "ping"))).await;
    first.rest().await;
    let may_be = |most: usize| {
        let mut newer = gateway::Settings::clone(&rig.settings.load());
        newer.limits.connections_max = most;
        rig.settings.store(std::sync::Arc::new(newer));
    };
    assert!(rig.ask("POST /mcp", &call(2, "ping")).await.starts_with("HTTP/1.1 503"));
    may_be(8);
    assert!(rig.ask("POST /mcp", &call(3, "ping")).await.starts_with("HTTP/1.1 200"), "more count at once");
    may_be(1);
    assert!(rig.ask("POST /mcp", &call(4, "ping")).await.starts_with("HTTP/1.1 503"), "and so do fewer");
    drop(first);
}

#[tokio::test]
async fn five_hundred_rounds_leave_no_descriptor_behind() {
    let rig = Rig::start();
    let modern = "POST /mcp|mcp-protocol-version: 2026-07-28";
    async fn round(rig: &Rig, n: u32, modern: &str) {
        let mut client = rig.connect().await;
        match n % 5 {
            0 => {}
            1 => client.send("POST /mcp HTTP/1.1\r\nhost: x").await,
            2 => client.send(&rig.request(modern, &call(n, "wait"))).await,
            3 => {
                client.send(&rig.request(modern, &call(n, "subscribe"))).await;
                client.until("ack").await;
            }
            _ => {
                client.send(&rig.request("POST /mcp", &call(n, "say/3"))).await;
                client.rest().await;
            }
        }
    }
    for n in 0..20 {
        round(&rig, n, modern).await;
    }
    eventually(|| rig.script.noticed().iter().filter(|line| line.ends_with("cancelled")).count() == 4).await;
    let before = descriptors();
    for n in 0..500 {
        round(&rig, n, modern).await;
    }
    // other tests of this process open files too, so it is given time to come back down
    eventually(|| descriptors() <= before + 8).await;
    eventually(|| rig.script.noticed().iter().filter(|line| line.ends_with("cancelled")).count() == 104)
        .await;
    assert_eq!(rig.stop().await.unfinished, 0, "no connection, no call is left");
}

#[tokio::test]
async fn a_host_that_does_not_read_slows_its_own_call_and_is_let_go() {
    let rig = Rig::with(Limits::default(), Pace { stall: Duration::from_secs(1), ..Pace::default() });
    let mut greedy = rig.connect().await;
    greedy.send(&rig.request("POST /mcp|mcp-protocol-version: 2026-07-28", &call(1, "flood"))).await;
    rig.script.arrivals(1).await;
    let sent = || rig.script.0.sent.load(Ordering::Relaxed);
    let mut last = 0;
    // it stops growing while the peer does not read
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        if sent() == last && last > 0 {
            break;
        }
        last = sent();
    }
    assert!(last < 400, "{last} messages of 64 KiB were taken for a peer that reads nothing");
    let other = rig.ask("POST /mcp", &call(2, "ping")).await;
    assert!(other.starts_with("HTTP/1.1 200"), "others are served meanwhile");
    eventually(|| rig.script.noticed() == ["flood over"]).await;
    drop(greedy);
    assert_eq!(rig.stop().await.unfinished, 0);
}

#[tokio::test]
async fn a_half_closed_peer_is_gone() {
    let rig = Rig::start();
    let mut client: Client = rig.connect().await;
    client.send(&rig.request("POST /mcp|mcp-protocol-version: 2026-07-28", &call(1, "wait"))).await;
    rig.script.arrivals(1).await;
    client.0.shutdown().await.unwrap();
    client.closed().await;
    eventually(|| rig.script.noticed() == ["cancelled 1"]).await;
}
