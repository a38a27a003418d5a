//! The listener's certificate and key, whose client certificates count, and how both are exchanged
//! while connections are open.

use crate::{metrics::Handshakes, settings::TlsSettings};
use arc_swap::ArcSwap;
use decision::{Clock, Timestamp};
use identity::{Holder, HolderError};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject as _},
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
    time_provider::TimeProvider,
};
use std::{
    fmt,
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use zeroize::Zeroizing;

/// Largest file of certificates or keys.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// From when on an operator is told that a certificate is about to expire.
pub const EXPIRY_NOTICE: Duration = Duration::from_secs(14 * 86_400);

/// Why files do not make a listener's keys.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read `{}`: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("the key file `{}` can be read or written by others (mode {mode:03o}): run chmod 600 on it, and get a new key if others may have read it", path.display())]
    Mode { path: PathBuf, mode: u32 },
    #[error("`{}` holds no {what} in PEM form", path.display())]
    Empty { path: PathBuf, what: &'static str },
    #[error("`{}` is damaged: {why}", path.display())]
    Damaged { path: PathBuf, why: String },
    #[error("the certificate in `{}` has expired: get a new one", path.display())]
    Expired { path: PathBuf },
    #[error("the certificate in `{}` is not valid yet: compare the clocks", path.display())]
    Early { path: PathBuf },
    #[error("`{}` and `{}` do not fit each other: {why}", certificate.display(), key.display())]
    Unfit { certificate: PathBuf, key: PathBuf, why: String },
    #[error("the authorities in `{}` cannot be used: {why}", path.display())]
    Authorities { path: PathBuf, why: String },
    #[error("certificate {at} in `{}` is no authority's and may sign for nobody: take it out", path.display())]
    NoAuthority { path: PathBuf, at: usize },
    #[error("the authority of certificate {at} in `{}` has expired: take it out, or put its new certificate there", path.display())]
    AuthorityExpired { path: PathBuf, at: usize },
}

impl TlsError {
    /// The file that is wrong.
    pub fn path(&self) -> &Path {
        match self {
            Self::Read { path, .. }
            | Self::Mode { path, .. }
            | Self::Empty { path, .. }
            | Self::Damaged { path, .. }
            | Self::Expired { path }
            | Self::Early { path }
            | Self::Unfit { certificate: path, .. }
            | Self::Authorities { path, .. }
            | Self::NoAuthority { path, .. }
            | Self::AuthorityExpired { path, .. } => path,
        }
    }
}

/// What was read: good for new connections as long as nothing newer is installed.
pub struct Keys {
    pub(super) config: Arc<ServerConfig>,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    /// Nobody connects without a certificate.
    required: bool,
    expires: Timestamp,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("expires", &self.expires).finish_non_exhaustive()
    }
}

impl Keys {
    /// Reads and checks the files.
    ///
    /// # Errors
    /// See [`TlsError`]. A certificate out of its time is one: no client would go on.
    pub fn read(settings: &TlsSettings, clock: &Arc<dyn Clock>) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let chain = certificates(&settings.certificate)?;
        let (expires, now) =
            (in_time(&settings.certificate, &chain, clock.now())?, TheClock(Arc::clone(clock)));
        let key = key(&settings.key)?;
        let verifier = match &settings.clients {
            Some(clients) => {
                let roots = authorities(&clients.authorities, clock.now())?;
                Some(verifier(&clients.authorities, roots, clients.required, &provider)?)
            }
            None => None,
        };
        let unfit = |e: rustls::Error| TlsError::Unfit {
            certificate: settings.certificate.clone(),
            key: settings.key.clone(),
            why: e.to_string(),
        };
        // 1.2 and 1.3; there are no other
        let builder = ServerConfig::builder_with_details(provider, Arc::new(now))
            .with_safe_default_protocol_versions()
            .map_err(unfit)?;
        let builder = match &verifier {
            Some(verifier) => builder.with_client_cert_verifier(Arc::clone(verifier)),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(unfit)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        if verifier.is_some() {
            // a resumed connection would bring a certificate that was verified some other time
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        let required = settings.clients.as_ref().is_some_and(|clients| clients.required);
        Ok(Self { config: Arc::new(config), verifier, required, expires })
    }

    /// Until when clients take the certificate.
    pub fn expires(&self) -> Timestamp {
        self.expires
    }
    /// Days until it expires, where an operator should be told.
    pub fn expires_soon(&self, now: Timestamp) -> Option<u64> {
        let left = Duration::from_micros(self.expires.since(now));
        (left < EXPIRY_NOTICE).then_some(left.as_secs() / 86_400)
    }
}

/// The keys in force. Clones share them.
#[derive(Debug, Clone)]
pub struct Tls {
    keys: Arc<ArcSwap<Keys>>,
    pub(super) handshakes: Handshakes,
}

impl Tls {
    pub fn new(keys: Keys, handshakes: Handshakes) -> Self {
        handshakes.expire(keys.expires);
        Self { keys: Arc::new(ArcSwap::from_pointee(keys)), handshakes }
    }
    /// Puts other keys in force: for every connection that begins from now on, and for every client
    /// certificate that is shown or missing, also on a connection that is open.
    pub fn install(&self, keys: Keys) {
        self.handshakes.expire(keys.expires);
        self.keys.store(Arc::new(keys));
    }
    pub fn keys(&self) -> Arc<Keys> {
        self.keys.load_full()
    }

    /// Whether a connection that began now would be let in without a certificate.
    ///
    /// # Errors
    /// [`Lapse::Required`].
    pub fn lets_in_without(&self) -> Result<(), Lapse> {
        if self.keys.load().required { Err(Lapse::Required) } else { Ok(()) }
    }

    /// The certificate of a peer whose handshake `keys` verified.
    pub(super) fn certificate(
        &self,
        keys: &Arc<Keys>,
        chain: &[CertificateDer<'_>],
    ) -> Option<ClientCertificate> {
        let holder = Holder::read(chain.first()?);
        let chain: Vec<_> = chain.iter().map(|one| one.clone().into_owned()).collect();
        let good_until = AtomicU64::new(first_end(&chain, Timestamp(0)).0);
        let verified = ArcSwap::new(Arc::clone(keys));
        Some(ClientCertificate { holder, chain, verified, good_until, tls: self.clone() })
    }
}

/// What a peer showed and proved to hold the key of.
pub struct ClientCertificate {
    holder: Result<Holder, HolderError>,
    chain: Vec<CertificateDer<'static>>,
    /// The keys whose authorities stood for it last.
    verified: ArcSwap<Keys>,
    /// Microseconds: until when the same would be found again.
    good_until: AtomicU64,
    tls: Tls,
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate").field("holder", &self.holder).finish_non_exhaustive()
    }
}

/// Why a certificate that was good when its connection began, or none, does not do any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Lapse {
    #[error("the certificate, or one that stands between it and the authority, has expired")]
    Expired,
    #[error("no authority in force stands for the certificate any more: {0}")]
    Distrusted(String),
    #[error("the connection began without a client certificate, and one is required now")]
    Required,
}

impl ClientCertificate {
    /// # Errors
    /// [`HolderError`]: it can be read in two ways, or not at all.
    pub fn holder(&self) -> Result<&Holder, &HolderError> {
        self.holder.as_ref()
    }

    /// Whether a connection that began now would be let in with it. A comparison, unless the keys were
    /// exchanged or a certificate of the chain ran out since.
    ///
    /// # Errors
    /// [`Lapse`].
    pub fn holds(&self, now: Timestamp) -> Result<(), Lapse> {
        if self.holder.as_ref().is_ok_and(|holder| now > holder.not_after()) {
            return Err(Lapse::Expired);
        }
        let keys = self.tls.keys();
        let good = now.0 <= self.good_until.load(Ordering::Relaxed);
        if good && Arc::ptr_eq(&keys, &self.verified.load()) {
            return Ok(());
        }
        let nobody = || Lapse::Distrusted("client certificates are not asked for".to_owned());
        let verifier = keys.verifier.as_ref().ok_or_else(nobody)?;
        let (leaf, between) = self.chain.split_first().ok_or_else(nobody)?;
        verifier
            .verify_client_cert(leaf, between, unix(now))
            .map_err(|e| if is_expiry(&e) { Lapse::Expired } else { Lapse::Distrusted(e.to_string()) })?;
        self.good_until.store(first_end(&self.chain, now).0, Ordering::Relaxed);
        self.verified.store(keys);
        Ok(())
    }
}

fn is_expiry(error: &rustls::Error) -> bool {
    use rustls::CertificateError::{Expired, ExpiredContext};
    matches!(error, rustls::Error::InvalidCertificate(Expired | ExpiredContext { .. }))
}

/// When the first certificate runs out that had not by then: one that had was not needed. A certificate is good for
/// the whole of its last second.
fn first_end(chain: &[CertificateDer<'_>], now: Timestamp) -> Timestamp {
    let second = Timestamp(now.0 - now.0 % 1_000_000);
    let ends = chain.iter().filter_map(|one| identity::validity(one).ok()).map(|(_, to)| to);
    ends.filter(|to| *to >= second).min().unwrap_or(Timestamp(u64::MAX))
}

/// Our clock, as rustls asks for it.
struct TheClock(Arc<dyn Clock>);

impl fmt::Debug for TheClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TheClock")
    }
}

impl TimeProvider for TheClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(unix(self.0.now()))
    }
}

fn unix(at: Timestamp) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_micros(at.0))
}

/// Whoever may stand for a client. That one has expired is not asked again when a client comes.
fn authorities(path: &Path, now: Timestamp) -> Result<RootCertStore, TlsError> {
    let path = || path.to_owned();
    let mut roots = RootCertStore::empty();
    for (n, one) in certificates(&path())?.into_iter().enumerate() {
        let unusable = |why: String| TlsError::Authorities { path: path(), why };
        let authority = identity::authority(&one).map_err(|e| unusable(e.to_string()))?;
        let until = authority.ok_or_else(|| TlsError::NoAuthority { path: path(), at: n + 1 })?;
        if now > until {
            return Err(TlsError::AuthorityExpired { path: path(), at: n + 1 });
        }
        roots.add(one).map_err(|e| unusable(e.to_string()))?;
    }
    Ok(roots)
}

fn verifier(
    path: &Path,
    roots: RootCertStore,
    required: bool,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let unusable = |why: String| TlsError::Authorities { path: path.to_owned(), why };
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let builder = if required { builder } else { builder.allow_unauthenticated() };
    builder.build().map_err(|e| unusable(e.to_string()))
}

/// Until when the first certificate of the chain is good.
fn in_time(path: &Path, chain: &[CertificateDer<'_>], now: Timestamp) -> Result<Timestamp, TlsError> {
    let path = || path.to_owned();
    let leaf = chain.first().ok_or_else(|| TlsError::Empty { path: path(), what: "certificate" })?;
    let (from, to) =
        identity::validity(leaf).map_err(|e| TlsError::Damaged { path: path(), why: e.to_string() })?;
    if now > to {
        return Err(TlsError::Expired { path: path() });
    }
    if now < from {
        return Err(TlsError::Early { path: path() });
    }
    Ok(to)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let (text, _) = bounded(path)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let read = read.map_err(|e| TlsError::Damaged { path: path.to_owned(), why: e.to_string() })?;
    if read.is_empty() {
        return Err(TlsError::Empty { path: path.to_owned(), what: "certificate" });
    }
    Ok(read)
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let (text, mode) = bounded(path)?;
    if mode & 0o077 != 0 {
        return Err(TlsError::Mode { path: path.to_owned(), mode: mode & 0o777 });
    }
    // what is wrong inside is not repeated: it is a key
    PrivateKeyDer::from_pem_slice(&text)
        .map_err(|_| TlsError::Empty { path: path.to_owned(), what: "private key" })
}

/// The file and its mode: of the very file that was read.
fn bounded(path: &Path) -> Result<(Zeroizing<Vec<u8>>, u32), TlsError> {
    let fail = |source| TlsError::Read { path: path.to_owned(), source };
    let file = launch::open_plain(path).map_err(fail)?;
    let mode = file.metadata().map_err(fail)?.mode();
    let mut text = Zeroizing::new(Vec::new());
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut text).map_err(fail)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(fail(io::ErrorKind::FileTooLarge.into()));
    }
    Ok((text, mode))
}
