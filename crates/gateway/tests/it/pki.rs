//! An authority of one's own, and peers that speak TLS.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use gateway::settings::{ClientCertificates, TlsSettings};
use rcgen::{CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs as tls_provider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
};
use std::{fs, net::SocketAddr, os::unix::fs::PermissionsExt as _, path::Path, sync::Arc};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Who signs, and what stands between it and its root.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>, Vec<CertificateDer<'static>>);

/// A certificate and its key.
pub(crate) struct Leaf {
    pub(crate) certificate: String,
    pub(crate) key: String,
    der: CertificateDer<'static>,
    pub(crate) above: Vec<CertificateDer<'static>>,
    key_der: PrivateKeyDer<'static>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }
    pub(crate) fn with(change: impl FnOnce(&mut CertificateParams)) -> Self {
        let issuer = CertifiedIssuer::self_signed(authority(change), KeyPair::generate().unwrap());
        Self(issuer.unwrap(), Vec::new())
    }
    /// One that signs for this one.
    pub(crate) fn below(&self, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let issuer =
            CertifiedIssuer::signed_by(authority(change), KeyPair::generate().unwrap(), &self.0).unwrap();
        let above = vec![issuer.der().clone()];
        Self(issuer, above)
    }
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }
    pub(crate) fn issue(&self, change: impl FnOnce(&mut CertificateParams)) -> Leaf {
        let (params, key) = leaf(change);
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Leaf { above: self.1.clone(), ..Leaf::of(&certificate, &key) }
    }
    /// For the listener.
    pub(crate) fn server(&self) -> Leaf {
        self.issue(|params| {
            params.subject_alt_names = vec![SanType::DnsName("localhost".try_into().unwrap())];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        })
    }
    /// For a workload with these URI names.
    pub(crate) fn workload(&self, uris: &[&str]) -> Leaf {
        self.issue(|params| params.subject_alt_names = uris.iter().map(|one| uri(one)).collect())
    }
}

pub(crate) fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

fn authority(change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    change(&mut params);
    params
}

fn leaf(change: impl FnOnce(&mut CertificateParams)) -> (CertificateParams, KeyPair) {
    let mut params = CertificateParams::default();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    change(&mut params);
    (params, KeyPair::generate().unwrap())
}

impl Leaf {
    pub(crate) fn self_signed(change: impl FnOnce(&mut CertificateParams)) -> Self {
        let (params, key) = leaf(change);
        Self::of(&params.self_signed(&key).unwrap(), &key)
    }
    fn of(certificate: &rcgen::Certificate, key: &KeyPair) -> Self {
        Self {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            der: certificate.der().clone(),
            above: Vec::new(),
            key_der: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        }
    }
    /// As `x5t#S256` has it.
    pub(crate) fn thumbprint(&self) -> String {
        URL_SAFE_NO_PAD.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &self.der))
    }
    /// Writes both files, the key for its owner only.
    pub(crate) fn write(&self, dir: &Path) {
        fs::write(dir.join("server.pem"), &self.certificate).unwrap();
        fs::write(dir.join("server.key"), &self.key).unwrap();
        fs::set_permissions(dir.join("server.key"), fs::Permissions::from_mode(0o600)).unwrap();
    }
}

/// The settings of a listener whose files are in `dir`: the authority's for clients, and a leaf of it.
pub(crate) fn listener(dir: &Path, authority: &Authority, required: bool) -> TlsSettings {
    authority.server().write(dir);
    fs::write(dir.join("clients.pem"), authority.pem()).unwrap();
    TlsSettings {
        certificate: dir.join("server.pem"),
        key: dir.join("server.key"),
        clients: Some(ClientCertificates { authorities: dir.join("clients.pem"), required }),
    }
}

/// A peer's side of TLS: trusts `authority`, shows `shown`.
pub(crate) fn client(authority: &Authority, shown: Option<&Leaf>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(authority.0.der().clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(tls_provider::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    match shown {
        Some(leaf) => {
            let chain = std::iter::once(&leaf.der).chain(&leaf.above).cloned().collect();
            builder.with_client_auth_cert(chain, leaf.key_der.clone_key()).unwrap()
        }
        None => builder.with_no_client_auth(),
    }
}

pub(crate) async fn connect(
    address: SocketAddr,
    config: ClientConfig,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// One request; the response's text, or nothing where the connection was cut.
pub(crate) async fn ask(stream: &mut TlsStream<TcpStream>, request: &str) -> String {
    let mut read = Vec::new();
    if stream.write_all(request.as_bytes()).await.is_err() || stream.flush().await.is_err() {
        return String::new();
    }
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        let whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let length = head.to_ascii_lowercase();
            let length =
                length.lines().find_map(|line| line.strip_prefix("content-length: ").map(str::to_owned));
            length.is_some_and(|length| body.len() >= length.trim().parse::<usize>().unwrap())
        });
        if whole || matches!(stream.read_buf(&mut read).await, Ok(0) | Err(_)) {
            return text;
        }
    }
}
