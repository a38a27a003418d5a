//! The door with TLS, as an operator keeps it: the listener's files, their renewal, and a service without a token.

use crate::bed::{Bed, Served, free_port, until};
use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
};
use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
    sync::Arc,
};

const BOT: &str = "spiffe://acme/billing-bot";
const PERMIT: &str =
    r#"@id("bots") @because("a test") permit (principal == Workload::"billing-bot", action, resource);"#;

struct Pki {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Pki {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }
    fn leaf(&self, name: SanType) -> (rcgen::Certificate, KeyPair) {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![name];
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }
    /// A new certificate and key for the listener, in their files.
    fn renew(&self, bed: &Bed) -> CertificateDer<'static> {
        let (certificate, key) = self.leaf(SanType::DnsName("localhost".try_into().unwrap()));
        bed.write("tls/server.key", &key.serialize_pem());
        fs::set_permissions(bed.path("tls/server.key"), fs::Permissions::from_mode(0o600)).unwrap();
        bed.write("tls/server.pem", &certificate.pem());
        certificate.der().clone()
    }
    /// The certificate that the listener shows, and its answer to one request of the workload.
    fn ask(&self, port: u16, request: &str) -> (CertificateDer<'static>, String) {
        let (certificate, key) = self.leaf(SanType::URI(BOT.try_into().unwrap()));
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut stream = StreamOwned::new(connection, TcpStream::connect(("127.0.0.1", port)).unwrap());
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        (stream.conn.peer_certificates().unwrap()[0].clone(), answer)
    }
}

/// A bed whose gateway speaks TLS and knows `billing-bot` by its certificate.
fn bed(pki: &Pki) -> (Bed, u16) {
    let (bed, port) = (Bed::new(), free_port());
    let tls =
        "[tls]\ncertificate = \"tls/server.pem\"\nkey = \"tls/server.key\"\nclient-ca = \"tls/ca.pem\"\n";
    let workload = format!("[[workloads]]\nname = \"billing-bot\"\nspiffe = \"{BOT}\"\n");
    bed.write("callgate.toml", &format!("{}{tls}{workload}", bed.notes_config(port)));
    bed.write("policies/bots.cedar", PERMIT);
    bed.write("tls/ca.pem", &pki.issuer.pem());
    pki.renew(&bed);
    (bed, port)
}

fn serve(bed: &Bed) -> Served {
    let served = bed.begin(&[]);
    until("the gateway takes calls", || bed.log().contains("takes calls"));
    served
}

fn post(port: u16) -> String {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
    format!(
        "POST /s/notes/mcp HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn the_listeners_certificate_is_exchanged_while_it_runs_and_a_bad_one_is_not_taken() {
    let pki = Pki::new();
    let (bed, port) = bed(&pki);
    let gateway = serve(&bed);
    let (first, answer) = pki.ask(port, &post(port));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    // half a renewal: a certificate that the key does not fit
    bed.write("tls/server.pem", &pki.leaf(SanType::DnsName("localhost".try_into().unwrap())).0.pem());
    until("it says so", || bed.log().contains("THE OLD ONE STAYS IN FORCE"));
    assert_eq!(pki.ask(port, &post(port)).0, first);
    assert!(bed.log().contains("do not fit each other"), "{}", bed.log());

    let second = pki.renew(&bed);
    until("the new one is shown", || pki.ask(port, &post(port)).0 == second);

    fs::set_permissions(bed.path("tls/server.key"), fs::Permissions::from_mode(0o644)).unwrap();
    gateway.signal("-HUP");
    until("an open key is refused", || bed.log().contains("run chmod 600"));
    assert_eq!(pki.ask(port, &post(port)).0, second);
    assert_eq!(gateway.stop(), 0);
    assert_eq!(bed.run(&["serve"]).code, 1, "and with such a file nothing starts");

    let checked = bed.run(&["check"]);
    assert!(checked.code == 3 && checked.out.contains("chmod 600"), "{}", checked.out);
}

#[test]
fn whose_line_is_taken_out_of_the_file_is_a_workload_no_more() {
    let pki = Pki::new();
    let (bed, port) = bed(&pki);
    let gateway = serve(&bed);
    assert!(pki.ask(port, &post(port)).1.starts_with("HTTP/1.1 200"));
    let text = fs::read_to_string(bed.path("callgate.toml")).unwrap();
    bed.write("callgate.toml", &text.replace(BOT, "spiffe://acme/another"));
    until("it is refused", || pki.ask(port, &post(port)).1.starts_with("HTTP/1.1 401"));
    let calls = bed.json(&["audit", "list"]);
    assert_eq!(calls[0]["code"], "certificate-unknown", "{calls}");
    assert_eq!(gateway.stop(), 0);
}

#[test]
fn nothing_is_listened_to_in_the_clear_from_another_machine_unless_loudly_said() {
    let bed = Bed::new();
    let port = free_port();
    let config = |more: &str| format!("listen = \"0.0.0.0:{port}\"\nstate-dir = \"state\"\n{more}");
    bed.write("callgate.toml", &config(""));
    let said = bed.run(&["serve"]);
    assert!(said.code == 1 && said.err.contains("tls-terminated-upstream"), "{}", said.err);
    assert_eq!(bed.run(&["check"]).code, 3);
    bed.write("callgate.toml", &config("tls-terminated-upstream = true\n"));
    let gateway = bed.begin(&[]);
    until("it is announced", || bed.log().contains("TLS ENDS IN FRONT"));
    until("the gateway takes calls", || bed.log().contains("takes calls"));
    assert_eq!(gateway.stop(), 0);
}
