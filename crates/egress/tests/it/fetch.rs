//! Documents of the control plane.

use crate::server::{Server, read_head};
use crate::{CANARY, origin, quiet, tls};
use bytes::Bytes;
use callgate_egress::{
    Answer, Client, Destination, EgressError, EgressPolicy, FetchBounds, OriginError, Settings, Trust,
};
use http::{HeaderMap, Method};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

const JSON: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: 2\r\n\r\n{}";

fn to(location: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n")
}

/// What a server was asked, each request in lower case.
type Asked = Arc<Mutex<Vec<String>>>;

/// Answers each request with what `script` says to its first line.
async fn server(script: impl Fn(&str) -> String + Send + Sync + 'static) -> (Server, Asked) {
    let (asked, script) = (Asked::default(), Arc::new(script));
    let log = Arc::clone(&asked);
    let server = Server::start(move |stream| serve(stream, Arc::clone(&log), Arc::clone(&script))).await;
    (server, asked)
}

async fn serve<S>(mut stream: S, log: Asked, script: Arc<impl Fn(&str) -> String + Send + Sync>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(head) = read_head(&mut stream).await {
        let answer = script(head.lines().next().unwrap());
        log.lock().unwrap().push(head);
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn client(uris: &[&str]) -> Client {
    let policy = uris.iter().map(|uri| Destination::declared(origin(uri))).collect();
    Client::new(policy, Settings { trust: Trust::Only(vec![tls::root()]), ..Settings::default() })
}

fn secret() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("authorization", CANARY.parse().unwrap());
    headers.insert("x-vault-token", CANARY.parse().unwrap());
    headers.insert("cookie", CANARY.parse().unwrap());
    headers
}

async fn get(client: &Client, uri: &str) -> Result<Answer, EgressError> {
    let bounds = FetchBounds { total_max: Duration::from_secs(5), body_max: 1000 };
    let uri = format!("{uri}/start").parse().unwrap();
    client.ask_json(Method::GET, &uri, secret(), Bytes::new(), bounds).await
}

#[tokio::test]
async fn a_document_that_is_elsewhere_is_not_fetched_there() {
    let (trap, at_trap) = server(|_| JSON.to_owned()).await;
    for status in [301, 302, 303, 307, 308] {
        for location in [trap.uri.clone(), "/moved".to_owned()] {
            let answer = to(&location).replace("302 Found", &format!("{status} Elsewhere"));
            let (server, asked) = server(move |_| answer.clone()).await;
            let told = get(&client(&[&server.uri, &trap.uri]), &server.uri).await.unwrap();
            assert_eq!((told.status.as_u16(), told.body.len()), (status, 0));
            assert_eq!(asked.lock().unwrap().len(), 1);
        }
    }
    // declared, but only where somebody else wrote it down
    let found = EgressPolicy::default().with(Destination::found(origin(&trap.uri)));
    let error = quiet(get(&Client::new(found, Settings::default()), &trap.uri).await.unwrap_err());
    assert!(matches!(error, EgressError::RefusedAddress { .. }), "{error:?}");
    assert_eq!(at_trap.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn a_document_that_does_not_come_in_time_is_none() {
    let server = Server::start(async |mut stream| {
        while read_head(&mut stream).await.is_some() {
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
    })
    .await;
    let bounds = FetchBounds { total_max: Duration::from_millis(300), body_max: 1000 };
    let uri = format!("{}/start", server.uri).parse().unwrap();
    let asked = client(&[&server.uri]);
    let error = asked.ask_json(Method::GET, &uri, HeaderMap::new(), Bytes::new(), bounds).await.unwrap_err();
    assert!(matches!(error, EgressError::Timeout { .. }), "{error:?}");
}

#[tokio::test]
async fn only_small_plain_json_is_a_document() {
    for (head, body, expected) in [
        ("200 OK\r\ncontent-type: text/html", "<html>", Some("not JSON")),
        ("200 OK", "{}", Some("not JSON")),
        ("200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip", "x", Some("not uncompressed")),
        ("200 OK\r\ncontent-type: application/json", &*"x".repeat(1001), Some("larger than 1000 bytes")),
        (
            "404 Not Found\r\ncontent-type: application/json",
            &"x".repeat(1001),
            Some("larger than 1000 bytes"),
        ),
        ("200 OK\r\ncontent-type: application/jwk-set+json", "{}", None),
        ("400 Bad Request\r\ncontent-type: application/json", "{}", None),
    ] {
        let answer = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let (server, _) = server(move |_| answer.clone()).await;
        let outcome = get(&client(&[&server.uri]), &server.uri).await;
        match expected {
            Some(expected) => {
                let error = quiet(outcome.unwrap_err());
                assert!(error.to_string().contains(expected), "{head}: {error}");
            }
            None => assert_eq!(outcome.unwrap().body, "{}"),
        }
    }
    // an error page of a proxy is an answer, but no document
    let page = "HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>";
    let (server, _) = server(move |_| page.to_owned()).await;
    let answer = get(&client(&[&server.uri]), &server.uri).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.body.len()), (502, 0));
    assert_eq!(format!("{answer:?}"), "Answer(502 Bad Gateway, 0 bytes)");
}

#[tokio::test]
async fn a_form_is_posted_once_and_a_redirect_is_its_answer() {
    let (trap, at_trap) = server(|_| JSON.to_owned()).await;
    let location = format!("{}/x", trap.uri);
    let (server, asked) = server(move |_| to(&location).replace("302 Found", "307 Temporary Redirect")).await;
    let client = client(&[&server.uri, &trap.uri]);
    let fields = [("token", "a b&c=d"), ("hint", "\u{fc}")];
    let uri = format!("{}/start", server.uri).parse().unwrap();
    let answer = client.post_form(&uri, &fields, secret(), FetchBounds::default()).await.unwrap();
    assert_eq!(answer.status, 307);
    let head = asked.lock().unwrap()[0].clone();
    for line in
        ["post /start http/1.1", "content-type: application/x-www-form-urlencoded", "content-length: 29"]
    {
        assert!(head.lines().any(|given| given == line), "{line} in {head}");
    }
    assert_eq!(at_trap.lock().unwrap().len(), 0);
    let uri = "https://u:p@a.example/".parse().unwrap();
    let bad = client.post_form(&uri, &[], secret(), FetchBounds::default());
    assert_eq!(bad.await.unwrap_err(), EgressError::Url(OriginError::UserInfo));
}
