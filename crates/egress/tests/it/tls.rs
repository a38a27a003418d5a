//! HTTPS against a server with a certificate that only the test knows.

use crate::certificate::LOCALHOST;
use crate::{origin, post, quick, quiet};
use callgate_egress::{
    Client, Destination, EgressError, EgressPolicy, Sent, Settings, Trust, collect_limited,
};
use rustls::pki_types::CertificateDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;

pub(crate) fn root() -> CertificateDer<'static> {
    LOCALHOST.0.clone()
}

pub(crate) fn server_config(protocols: &[&[u8]]) -> Arc<ServerConfig> {
    let (certificate, key) = (LOCALHOST.0.clone(), LOCALHOST.1.clone_key());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Arc::new(config)
}

/// Answers every request with `ok`, on a thread of its own.
fn server() -> u16 {
    let config = server_config(&[]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(connection, stream.unwrap());
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n{}") && stream.read_exact(&mut byte).is_ok() {
                request.push(byte[0]);
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").ok();
        }
    });
    port
}

async fn ask(uri: &str, trust: Trust) -> Result<bytes::Bytes, EgressError> {
    let policy = EgressPolicy::default().with(Destination::declared(origin(uri)));
    let client = Client::new(policy, Settings { trust, ..Settings::default() });
    collect_limited(client.send(post(uri), quick()).await?.into_body(), 10).await
}

#[tokio::test]
async fn only_a_trusted_certificate_of_that_very_name_is_spoken_to() {
    let port = server();
    let named = format!("https://localhost:{port}");
    assert_eq!(ask(&named, Trust::Only(vec![root()])).await.unwrap(), "ok");
    let by_address = format!("https://127.0.0.1:{port}");
    for (uri, trust, reason) in [
        (&named, Trust::Only(vec![]), "UnknownIssuer"),
        (&by_address, Trust::Only(vec![root()]), "not valid for name"),
    ] {
        let error = quiet(ask(uri, trust).await.unwrap_err());
        assert!(matches!(&error, EgressError::Tls { .. }) && error.to_string().contains(reason), "{error}");
        assert_eq!(error.sent(), Sent::Unsent);
    }
    // the operating system does not know the root of the tests, unless it is told
    assert!(matches!(ask(&named, Trust::Platform).await, Err(EgressError::Tls { .. })));
    assert_eq!(ask(&named, Trust::PlatformAnd(vec![root()])).await.unwrap(), "ok");
}

#[tokio::test]
async fn a_server_without_tls_is_no_trusted_one() {
    let plain = crate::Server::start(async |mut stream| crate::answer(&mut stream, "200 OK", "").await).await;
    let error =
        quiet(ask(&plain.uri.replace("http:", "https:"), Trust::Only(vec![root()])).await.unwrap_err());
    assert!(matches!(error, EgressError::Tls { .. }), "{error:?}");
    assert_eq!(error.sent(), Sent::Unsent);
}
