//! Opaque tokens at the real binary: neither they nor what the provider is asked with is found anywhere after.

use crate::bed::{Bed, Served, free_port};
use crate::canary::{Needles, files};
use serde_json::json;
use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    thread,
};

/// Far beyond these tests.
const LATER: u64 = 4_102_444_800;
const GOOD: &str = "tok-canary-9fZq2x/77+good~";
const REVOKED: &str = "tok-canary-4bTr8k/31+gone~";
const CURSED: &str = "tok-canary-7mWd5c/64+fail~";
const CLIENT_SECRET: &str = "idp canary/+5pQ:%27~secret";

/// A provider that answers about the token, and repeats it with the client's credential wherever it can.
fn provider(audience: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let issuer = url.clone();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            answer(&stream, &issuer, &audience);
        }
    });
    url
}

fn answer(mut stream: &TcpStream, issuer: &str, audience: &str) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        (reader.read_line(&mut head).ok()? > 0).then_some(())?;
    }
    let header = |name: &str| {
        head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
    };
    let mut body = vec![0; header("content-length").map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).ok()?;
    let form: Vec<(String, String)> = url::form_urlencoded::parse(&body).into_owned().collect();
    let token = form.iter().find(|(name, _)| name == "token").map(|(_, token)| token.as_str());
    let echo = format!("{token:?} {:?} {CLIENT_SECRET}", header("authorization"));
    let (status, said) = match token {
        None => {
            ("200 OK", json!({ "issuer": issuer, "introspection_endpoint": format!("{issuer}/introspect") }))
        }
        Some(GOOD) => {
            let said = json!({ "active": true, "iss": issuer, "aud": audience, "exp": LATER, "sub": "alice",
                "client_id": "claude", "token_type": "Bearer", "echo": echo });
            ("200 OK", said)
        }
        Some(CURSED) => ("500 Internal Server Error", json!({ "active": true, "echo": echo })),
        Some(_) => ("200 OK", json!({ "active": false, "echo": echo })),
    };
    let said = said.to_string();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nx-echo: {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        echo.replace(['\r', '\n'], ""),
        said.len()
    );
    stream.write_all(format!("{head}{said}").as_bytes()).ok()
}

fn shown(gateway: &Served, token: &str) -> Vec<u8> {
    let hello = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "it", "version": "1" } } });
    gateway.raw(token, "notes", None, &hello)
}

#[test]
fn no_opaque_token_nor_what_its_provider_is_asked_with_is_found_anywhere() {
    let bed = Bed::with_notes();
    let port = free_port();
    let issuer = provider(format!("http://127.0.0.1:{port}/s/notes/mcp"));
    let config = bed.notes_config(port)
        + &format!(
            "[[oauth.issuers]]\nissuer = \"{issuer}\"\n[oauth.issuers.introspection]\nclient-id = \"gate\"\n\
             secret = \"idp-client\"\n"
        );
    bed.write("callgate.toml", &config);
    let said = bed.run_with(&["secret", "set", "idp-client", "--server", "identity-provider"], CLIENT_SECRET);
    assert_eq!(said.code, 0, "{said:?}");
    let gateway = bed.serve_env(&[("CALLGATE_LOG", "trace,hyper=trace,h2=trace,rustls=trace,sqlx=trace")]);
    let needles = Needles::of(&[
        ("the secret", CLIENT_SECRET),
        ("the good token", GOOD),
        ("the revoked token", REVOKED),
        ("the token that fails", CURSED),
    ]);
    for (token, status) in [(GOOD, "200"), (REVOKED, "401"), (CURSED, "503")] {
        let got = shown(&gateway, token);
        assert!(
            got.starts_with(format!("HTTP/1.1 {status}").as_bytes()),
            "{}",
            String::from_utf8_lossy(&got)
        );
        needles.must_not_be_in("what the Host got", &got);
    }
    needles.must_not_be_in("/metrics", gateway.get("/metrics").2.as_bytes());
    let calls = bed.json(&["audit", "list", "--errands"]);
    assert!(calls.to_string().contains("oauth/introspect"), "{calls}");
    for call in calls.as_array().unwrap() {
        let id = call["call"].as_str().unwrap();
        for told in [bed.run(&["explain", id, "--json"]), bed.run(&["audit", "show", id])] {
            needles.must_not_be_in("the record of a call", format!("{}{}", told.out, told.err).as_bytes());
        }
    }
    assert_eq!(gateway.stop(), 0);
    needles.must_not_be_in("the log at trace", bed.log().as_bytes());
    for (name, bytes) in files(&bed.path("state")) {
        needles.must_not_be_in(&name, &[b".".to_vec(), bytes].concat());
    }
    // a provider without keys is no fault where it is asked
    let log = bed.log();
    assert!(
        log.contains("no keys of the provider are known") && !log.contains("keys cannot be fetched"),
        "{log}"
    );
}
