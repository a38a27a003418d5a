//! Documents of the control plane, and where a server sends those who ask for them.

use crate::server::{Server, read_head};
use crate::{CANARY, origin, quiet, tls};
use callgate_egress::{
    Answer, Client, Destination, EgressError, EgressPolicy, FetchBounds, OriginError, Settings, Trust,
};
use http::HeaderMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

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
    client.get_json(&format!("{uri}/start").parse().unwrap(), secret(), bounds).await
}

async fn failure(client: &Client, uri: &str) -> EgressError {
    quiet(get(client, uri).await.unwrap_err())
}

#[tokio::test]
async fn a_credential_goes_with_a_redirect_to_its_own_origin_and_to_no_other_also_not_back() {
    let home_at = Arc::new(OnceLock::<String>::new());
    let back = Arc::clone(&home_at);
    let (other, at_other) = server(move |_| to(&format!("{}/back", back.get().unwrap()))).await;
    let there = other.uri.clone();
    let (home, at_home) = server(move |line| match line {
        "get /start http/1.1" => to("/moved"),
        "get /moved http/1.1" => to(&there),
        _ => JSON.to_owned(),
    })
    .await;
    home_at.set(home.uri.clone()).unwrap();
    assert_eq!(get(&client(&[&home.uri, &other.uri]), &home.uri).await.unwrap().status, 200);
    let with_it = |asked: &Asked| {
        asked.lock().unwrap().iter().map(|head| head.matches(CANARY).count()).collect::<Vec<_>>()
    };
    assert_eq!(with_it(&at_home), [3, 3, 0]);
    assert_eq!(with_it(&at_other), [0]);
    assert!(at_other.lock().unwrap()[0].contains("accept: application/json"));
}

#[tokio::test]
async fn three_redirects_are_followed_and_a_fourth_is_not() {
    let count = |line: &str| line.bytes().filter(|byte| *byte == b'x').count();
    for (hops, follows) in [(3, true), (4, false)] {
        let (server, asked) = server(move |line| match count(line) {
            done if done < hops => to(&format!("/{}", "x".repeat(done + 1))),
            _ => JSON.to_owned(),
        })
        .await;
        let outcome = get(&client(&[&server.uri]), &server.uri).await;
        assert_eq!(outcome.is_ok(), follows, "{outcome:?}");
        assert_eq!(asked.lock().unwrap().len(), 4);
        if let Err(error) = outcome {
            assert!(matches!(quiet(error), EgressError::Redirect { .. }));
        }
    }
}

#[tokio::test]
async fn a_redirect_is_judged_like_a_first_request() {
    let (trap, at_trap) = server(|_| JSON.to_owned()).await;
    let port = origin(&trap.uri).port();
    for (location, expected) in [
        (trap.uri.clone(), "not a destination that was declared"),
        (format!("//127.0.0.1:{port}/"), "not a destination that was declared"),
        (format!("http://0x7f.1:{port}/"), "not a destination that was declared"),
        (format!("http://[::ffff:127.0.0.1]:{port}/"), "not a destination that was declared"),
        ("http://169.254.169.254/latest/".to_owned(), "not a destination that was declared"),
        (trap.uri.replace("http://", &format!("http://user:{CANARY}@")), "a user name or a password"),
        ("file:///etc/passwd".to_owned(), "not one of HTTP"),
        ("ftp://127.0.0.1/".to_owned(), "neither https nor http"),
        ("http://[nonsense/".to_owned(), "not one of HTTP"),
        (format!("/a\r\nlocation: {}", trap.uri), "does not name one address"),
    ] {
        let shown = location.clone();
        let (server, asked) = server(move |_| to(&location)).await;
        let error = failure(&client(&[&server.uri]), &server.uri).await;
        assert!(error.to_string().contains(expected), "{shown}: {error}");
        assert_eq!(asked.lock().unwrap().len(), 1);
    }
    let (silent, _) = server(|_| "HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n".to_owned()).await;
    let error = failure(&client(&[&silent.uri]), &silent.uri).await;
    assert!(matches!(error, EgressError::Redirect { .. }), "{error:?}");
    // declared, but only where somebody else wrote it down
    let found = EgressPolicy::default().with(Destination::found(origin(&trap.uri)));
    let error = failure(&Client::new(found, Settings::default()), &trap.uri).await;
    assert!(matches!(error, EgressError::RefusedAddress { .. }), "{error:?}");
    assert_eq!(at_trap.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn a_redirect_from_https_to_http_is_refused() {
    let (plain, at_plain) = server(|_| JSON.to_owned()).await;
    let acceptor = tokio_rustls::TlsAcceptor::from(tls::server_config(&[]));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let location = plain.uri.clone();
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let stream = acceptor.accept(stream).await.unwrap();
        serve(stream, Asked::default(), Arc::new(move |_: &str| to(&location))).await;
    });
    let error = failure(&client(&[&uri, &plain.uri]), &uri).await;
    assert!(error.to_string().contains("from https to http"), "{error}");
    assert_eq!(at_plain.lock().unwrap().len(), 0);
    serving.abort();
}

#[tokio::test]
async fn one_bound_holds_for_all_hops_together() {
    let server = Server::start(async |mut stream| {
        while read_head(&mut stream).await.is_some() {
            tokio::time::sleep(Duration::from_millis(200)).await;
            stream.write_all(to("/again").as_bytes()).await.ok();
        }
    })
    .await;
    let bounds = FetchBounds { total_max: Duration::from_millis(300), body_max: 1000 };
    let uri = format!("{}/start", server.uri).parse().unwrap();
    let error = client(&[&server.uri]).get_json(&uri, HeaderMap::new(), bounds).await.unwrap_err();
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
