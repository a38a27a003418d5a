//! Servers that never come to the point, and ones that come to far too much of it.

use crate::server::{Server, answer, read_request};
use crate::{client, failure, post, quick, quiet, send};
use callgate_egress::{Bounds, EgressError, Phase, collect_limited};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_is_given_up() {
    let server = Server::start(async |mut stream| {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n").await.unwrap();
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let start = tokio::time::Instant::now();
    let error = failure(&server.uri, 0).await;
    assert!(matches!(error, EgressError::Timeout { phase: Phase::FirstByte, .. }), "{error:?}");
    assert!(start.elapsed() < Duration::from_secs(3));
    server.closed(1).await;
}

#[tokio::test]
async fn answers_that_only_announce_the_answer_are_given_up() {
    for interim in ["103 Early Hints\r\nlink: </a>; rel=preload", "102 Processing", "100 Continue"] {
        let flood = format!("HTTP/1.1 {interim}\r\n\r\n").repeat(100);
        let server = Server::start(move |mut stream| {
            let flood = flood.clone();
            async move {
                read_request(&mut stream).await;
                while stream.write_all(flood.as_bytes()).await.is_ok() {}
            }
        })
        .await;
        let error = failure(&server.uri, 0).await;
        assert!(matches!(error, EgressError::Timeout { phase: Phase::FirstByte, .. }), "{error:?}");
        server.closed(1).await;
    }
}

#[tokio::test]
async fn a_body_that_is_all_framing_is_cut_off() {
    // chunk extensions and trailers are read by nobody and would cost all the same
    let frames: [(&[u8], &[u8]); 2] = [(b"1;", b"extension"), (b"0\r\ntrailer: ", b"on and on ")];
    for (begin, more) in frames {
        let (begin, more) = (begin.to_vec(), more.repeat(400));
        let server = Server::start(move |mut stream| {
            let (begin, more) = (begin.clone(), more.clone());
            async move {
                read_request(&mut stream).await;
                stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
                stream.write_all(&begin).await.unwrap();
                while stream.write_all(&more).await.is_ok() {}
            }
        })
        .await;
        let bounds = Bounds { total_max: Some(Duration::from_secs(5)), ..quick() };
        let response = client(&server.uri).send(post(&server.uri), bounds).await.unwrap();
        let error = quiet(collect_limited(response.into_body(), 1000).await.unwrap_err());
        assert!(matches!(error, EgressError::Reset { .. }), "cut off by size, not by time: {error:?}");
        server.closed(1).await;
    }
}

#[tokio::test]
async fn a_body_of_tiny_pieces_ends_with_the_total() {
    let server = Server::start(async |mut stream| {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
        let mut pieces = std::iter::repeat(b"1\r\nx\r\n");
        while let Some(piece) = pieces.next()
            && stream.write_all(piece).await.is_ok()
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let bounds = Bounds { total_max: Some(Duration::from_millis(300)), ..quick() };
    let response = client(&server.uri).send(post(&server.uri), bounds).await.unwrap();
    let error = quiet(collect_limited(response.into_body(), usize::MAX).await.unwrap_err());
    assert!(matches!(error, EgressError::Timeout { phase: Phase::Total, .. }), "{error:?}");
    server.closed(1).await;
}

#[tokio::test]
async fn a_compressed_body_stays_as_it_came() {
    /// The beginning of gzip that would unpack to ten mebibytes of zeros.
    const BOMB: &[u8] =
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xec\xc1\x31\x01\x00\x00\x00\xc2\xa0\xf5\x4f\x6d";
    let server = Server::start(async |mut stream| {
        let asked = read_request(&mut stream).await.unwrap().to_ascii_lowercase();
        assert!(!asked.contains("accept-encoding"), "{asked}");
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", BOMB.len());
        stream.write_all(&[head.as_bytes(), BOMB].concat()).await.unwrap();
        stream.read_to_end(&mut Vec::new()).await.ok();
    })
    .await;
    let body = collect_limited(send(&server.uri).await.unwrap().into_body(), 1000).await.unwrap();
    assert_eq!(body, BOMB);
}

#[tokio::test]
async fn a_total_shorter_than_the_first_byte_bound_is_the_one_that_counts() {
    let server = Server::start(async |mut stream| drop(stream.read_to_end(&mut Vec::new()).await)).await;
    let bounds = Bounds {
        first_byte_max: Duration::from_secs(60),
        idle_max: Duration::from_secs(60),
        total_max: Some(Duration::from_millis(200)),
    };
    let error = quiet(client(&server.uri).send(post(&server.uri), bounds).await.unwrap_err());
    assert!(matches!(error, EgressError::Timeout { phase: Phase::Total, .. }), "{error:?}");
    let quick = Server::start(async |mut stream| {
        read_request(&mut stream).await;
        answer(&mut stream, "200 OK", "ok").await;
    })
    .await;
    assert_eq!(client(&quick.uri).send(post(&quick.uri), bounds).await.unwrap().status(), 200);
}
