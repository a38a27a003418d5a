//! This machine and its neighbours, in every spelling somebody has used to get there.

use crate::server::Server;
use crate::{origin, quick};
use bytes::Bytes;
use callgate_egress::{
    Answering, Client, Destination, EgressPolicy, Full, Network, Origin, Request, Settings, SystemNetwork,
};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;

/// Of 127.0.0.1, `::1` or 0.0.0.0, which Linux connects to this machine too.
const LOOPBACK: &[&str] = &[
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "127.0.0.1.",
    "127.1.",
    "0177.0.0.1",
    "0177.1",
    "00000177.0.0.01",
    "0x7f.1",
    "0x7F.0x0.0x0.0x1",
    "0x7f.0.1",
    "2130706433",
    "2130706433.",
    "017700000001",
    "0x7f000001",
    "0x000000007f000001",
    "127.255.255.254",
    "0",
    "0.0.0.0",
    "0x0",
    "00",
    "0.1",
    // IPv6, and IPv4 inside it: mapped, compatible, translated, NAT64 (both), 6to4, Teredo, ISATAP
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[0000::0001]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::FFFF:7F00:1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::127.0.0.1]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[2002:7f00:1::1]",
    "[2001::7f00:1:0:0:80ff:fffe]",
    "[fe80::5efe:127.0.0.1]",
    "[2606:4700::200:5efe:7f00:1]",
    "[::ffff:0.0.0.0]",
    // zones
    "[::1%lo]",
    "[::1%25lo]",
    "[fe80::1%25lo]",
    "[::1%251]",
    // percent-encoded
    "%31%32%37.0.0.1",
    "127.0.0.%31",
    "loc%61lhost",
    "%6c%6f%63alhost",
    "127%2e0%2e0%2e1",
    "127.0.0.1%00",
    "127.0.0.1%00.example.com",
    "127.0.0.1%2f.example.com",
    // names of this machine
    "localhost",
    "LOCALHOST",
    "LocalHost.",
    // Unicode that IDNA maps to ASCII
    "１２７.０.０.１",
    "127。0。0。1",
    "127．0．0．1",
    "127｡0｡0｡1",
    "①②⑦.0.0.1",
    "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
    "ｌｏｃａｌｈｏｓｔ",
    "lo\u{ad}calhost",
    "loca\u{200b}lhost",
    "ℓocalhost",
    "[：：1]",
    // what only one of two parsers takes for the host
    "example.com@127.0.0.1",
    "127.0.0.1#@example.com",
    "example.com\\@127.0.0.1",
    "127.0.0.1\\.example.com",
    "127.0.0.1;example.com",
    "127.0.0.1,example.com",
    "127.0.0.1:80@example.com",
    " 127.0.0.1",
    "127.0.0.1\t",
    "127.\n0.0.1",
];

/// The system's, as far as this machine: nothing of a test leaves it.
#[derive(Debug)]
struct ThisMachine;

impl Network for ThisMachine {
    fn resolve<'a>(&'a self, name: &'a str, port: u16) -> Answering<'a, Vec<SocketAddr>> {
        if name.trim_end_matches('.') == "localhost" {
            SystemNetwork.resolve(name, port)
        } else {
            Box::pin(async { Err(io::ErrorKind::NotFound.into()) })
        }
    }

    fn connect(&self, address: SocketAddr) -> Answering<'_, TcpStream> {
        let ip = address.ip();
        if ip.is_loopback()
            || ip.is_unspecified()
            || matches!(ip, std::net::IpAddr::V6(ip) if ip.to_ipv4().is_some())
        {
            SystemNetwork.connect(address)
        } else {
            Box::pin(async { Err(io::ErrorKind::NetworkUnreachable.into()) })
        }
    }
}

/// As strict as it gets while everything is listed: a link that somebody else wrote.
async fn ask(uri: http::Uri) -> Result<(), String> {
    let origin = Origin::of(&uri).map_err(|error| error.to_string())?;
    let everything = ["0.0.0.0/0", "::/0"].map(|network| network.parse().unwrap());
    let found = everything.into_iter().fold(Destination::found(origin), Destination::within);
    let settings = Settings { network: Arc::new(ThisMachine), ..Settings::default() };
    let request = Request::get(uri).body(Full::new(Bytes::new())).unwrap();
    let client = Client::new(EgressPolicy::default().with(found), settings);
    client.send(request, quick()).await.map(drop).map_err(|error| error.to_string())
}

#[tokio::test]
async fn this_machine_is_not_reached_in_any_spelling_by_any_parser() {
    let server = Server::start(async |_| {}).await;
    let port = origin(&server.uri).port();
    let mut sent = 0;
    for spelling in LOOPBACK {
        for scheme in ["http", "HTTP"] {
            let text = format!("{scheme}://{spelling}:{port}/");
            // as the client reads it, and as a browser would (settings, redirects)
            let as_written = text.parse::<http::Uri>().ok();
            let mapped = url::Url::parse(&text).ok().and_then(|url| url.as_str().parse::<http::Uri>().ok());
            for uri in [as_written, mapped].into_iter().flatten() {
                sent += 1;
                let outcome = ask(uri.clone()).await;
                assert!(outcome.is_err(), "{text} as {uri}");
                assert_eq!(server.connections(), 0, "{text} as {uri}: {outcome:?}");
            }
        }
    }
    assert!(sent > LOOPBACK.len(), "most spellings are one to some parser: {sent}");
    // and the server is there
    tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
}

#[tokio::test]
async fn a_metadata_service_is_refused_in_every_spelling_before_a_packet_leaves() {
    for spelling in [
        "169.254.169.254",
        "[::ffff:169.254.169.254]",
        "[::ffff:a9fe:a9fe]",
        "[64:ff9b::169.254.169.254]",
        "[2002:a9fe:a9fe::]",
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "0xa9.0xfe.0xa9.0xfe",
        "169.254.43518",
        "169.254.169.254.",
        "[fd00:ec2::254]",
        "[fd20:ce::254]",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "169.254.170.2",
    ] {
        let text = format!("http://{spelling}/latest/meta-data/");
        let mapped = url::Url::parse(&text).ok().and_then(|url| url.as_str().parse::<http::Uri>().ok());
        let mut read = 0;
        for uri in [text.parse::<http::Uri>().ok(), mapped].into_iter().flatten() {
            read += 1;
            let told = ask(uri).await.unwrap_err();
            assert!(told.contains("a cloud metadata service") || told.contains("usual spelling"), "{told}");
        }
        assert!(read > 0, "{spelling}");
    }
}
