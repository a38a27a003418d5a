//! The client.

use crate::connect::{Bounded, Checked};
use crate::{BodyStream, EgressError, EgressPolicy, Network, Origin, Phase, Sent, SystemNetwork};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::{self, connect::capture_connection};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls_platform_verifier::Verifier;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::time::Instant;

/// Bounds of one exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Until the head of the answer is there, connecting included.
    pub first_byte_max: Duration,
    /// Between two pieces of the body.
    pub idle_max: Duration,
    /// Until the end of the body. `None` for event streams.
    pub total_max: Option<Duration>,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            first_byte_max: Duration::from_secs(30),
            idle_max: Duration::from_secs(30),
            total_max: Some(Duration::from_secs(60)),
        }
    }
}

/// Whose certificates are trusted.
#[derive(Debug, Clone, Default)]
pub enum Trust {
    /// The operating system's.
    #[default]
    Platform,
    /// The operating system's and these.
    PlatformAnd(Vec<CertificateDer<'static>>),
    /// These alone.
    Only(Vec<CertificateDer<'static>>),
}

impl Trust {
    /// The operating system's and those in `pem`. Errors: what is wrong with it, for people.
    pub fn platform_and_pem(pem: &[u8]) -> Result<Self, String> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let found = found.map_err(|e| e.to_string())?;
        if found.is_empty() {
            Err("it holds no certificate".to_owned())
        } else {
            Ok(Self::PlatformAnd(found))
        }
    }
}

/// What is the same for all requests of a client.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Resolving, connecting and the TLS handshake together.
    pub connect_max: Duration,
    /// The head of an answer: bytes and number of headers.
    pub head_bytes_max: usize,
    pub headers_max: usize,
    /// How long an unused connection is kept, and how many to one origin.
    pub keep_for: Duration,
    pub keep_max: usize,
    pub trust: Trust,
    pub network: Arc<dyn Network>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect_max: Duration::from_secs(5),
            head_bytes_max: 64 << 10,
            headers_max: 128,
            keep_for: Duration::from_secs(60),
            keep_max: 32,
            trust: Trust::Platform,
            network: Arc::new(SystemNetwork),
        }
    }
}

/// The HTTP client. Cheap to clone; clones share connections and policy.
#[derive(Debug, Clone)]
pub struct Client(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    making: Making,
    current: RwLock<Arc<Reach>>,
}

/// A policy, and the connections that were opened under it.
#[derive(Debug)]
struct Reach {
    policy: Arc<EgressPolicy>,
    connections: legacy::Client<Bounded, Full<Bytes>>,
}

/// What every new set of connections is made with.
#[derive(Debug)]
struct Making {
    tls: ClientConfig,
    /// Why no TLS is possible at all.
    no_tls: Option<Arc<str>>,
    network: Arc<dyn Network>,
    connect_max: Duration,
    builder: legacy::Builder,
}

impl Making {
    fn reach(&self, policy: EgressPolicy) -> Arc<Reach> {
        let policy = Arc::new(policy);
        let checked = Checked { policy: Arc::clone(&policy), network: Arc::clone(&self.network) };
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(self.tls.clone())
            .https_or_http()
            .enable_http1()
            .enable_http2()
            .wrap_connector(checked);
        let bounded = Bounded { https, no_tls: self.no_tls.clone(), connect_max: self.connect_max };
        Arc::new(Reach { policy, connections: self.builder.build(bounded) })
    }
}

impl Client {
    /// A client that reaches what `policy` allows. Without a trusted certificate on this machine it
    /// still speaks plain HTTP, and every `https` request fails with the reason.
    pub fn new(policy: EgressPolicy, settings: Settings) -> Self {
        let (tls, no_tls) = match tls(settings.trust) {
            Ok(config) => (config, None),
            Err(reason) => (no_trust(), Some(reason.into())),
        };
        // hyper's smallest buffer is 8 KiB, below which it panics
        let head_bytes_max = settings.head_bytes_max.max(8 << 10);
        let mut builder = legacy::Client::builder(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(settings.keep_for)
            .pool_max_idle_per_host(settings.keep_max)
            .http1_max_buf_size(head_bytes_max)
            .http1_max_headers(settings.headers_max)
            .http2_max_header_list_size(u32::try_from(head_bytes_max).unwrap_or(u32::MAX))
            // only what was never handed to a connection is tried again, on a new one
            .retry_canceled_requests(true);
        let (network, connect_max) = (settings.network, settings.connect_max);
        let making = Making { tls, no_tls, network, connect_max, builder };
        let current = RwLock::new(making.reach(policy));
        Self(Arc::new(Shared { making, current }))
    }

    /// Replaces the policy. A request under way is finished; every later one is judged by the new policy
    /// and travels over connections that were opened under it.
    pub fn set_policy(&self, policy: EgressPolicy) {
        let mut current = self.0.current.write().unwrap_or_else(PoisonError::into_inner);
        if *current.policy != policy {
            *current = self.0.making.reach(policy);
        }
    }

    fn reach(&self) -> Arc<Reach> {
        Arc::clone(&self.0.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sends once and returns as soon as the head of the answer is there, whatever its status; a
    /// redirect is an answer like any other.
    ///
    /// Headers leave as they were given, with `host` and `content-length` set. Dropping the future
    /// or the body ends the exchange. Errors: [`EgressError`]; ask it [`EgressError::sent`] before
    /// doing anything twice.
    pub async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
        bounds: Bounds,
    ) -> Result<Response<BodyStream>, EgressError> {
        let origin = Origin::of(request.uri())?;
        let reach = self.reach();
        if !reach.policy.knows(&origin) {
            return Err(EgressError::Undeclared { origin });
        }
        let start = Instant::now();
        let until = bounds.total_max.map(|total| start + total);
        let (first, phase) = match bounds.total_max {
            Some(total) if total < bounds.first_byte_max => (total, Phase::Total),
            Some(_) | None => (bounds.first_byte_max, Phase::FirstByte),
        };
        let connection = capture_connection(&mut request);
        match tokio::time::timeout_at(start + first, reach.connections.request(request)).await {
            Ok(Ok(response)) => {
                Ok(response.map(|body| BodyStream::new(body, origin, bounds.idle_max, until)))
            }
            Ok(Err(error)) => Err(name(origin, &error)),
            Err(_) if connection.connection_metadata().is_none() => {
                Err(EgressError::ConnectTimeout { origin })
            }
            Err(_) => Err(EgressError::Timeout { origin, phase, sent: Sent::MaybeSent }),
        }
    }
}

/// What went wrong, by the most telling cause in the chain.
fn name(origin: Origin, error: &legacy::Error) -> EgressError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(ours) = error.downcast_ref::<EgressError>() {
            return ours.clone();
        }
        if let Some(error) = error.downcast_ref::<hyper::Error>() {
            if error.is_parse_too_large() {
                return EgressError::HeadTooLarge { origin };
            }
            if error.is_parse() {
                return EgressError::Protocol { origin, reason: "its answer cannot be parsed" };
            }
            if error.is_user() {
                return EgressError::Protocol { origin, reason: "the request does not fit the connection" };
            }
        }
        cause = error.source();
    }
    let sent = if error.is_connect() { Sent::Unsent } else { Sent::MaybeSent };
    EgressError::Reset { origin, sent }
}

fn tls(trust: Trust) -> Result<ClientConfig, String> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let (platform, extra) = match trust {
        Trust::Platform => (true, Vec::new()),
        Trust::PlatformAnd(extra) => (true, extra),
        Trust::Only(roots) => (false, roots),
    };
    if !platform {
        let mut store = rustls::RootCertStore::empty();
        for root in extra {
            store.add(root).map_err(|e| e.to_string())?;
        }
        return Ok(builder(provider)?.with_root_certificates(store).with_no_client_auth());
    }
    let verifier = Verifier::new_with_extra_roots(extra, Arc::clone(&provider)).map_err(|e| e.to_string())?;
    // the builder calls any own verifier dangerous; this one is the operating system's
    Ok(builder(provider)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

fn builder(
    provider: Arc<CryptoProvider>,
) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, String> {
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())
}

/// A configuration that trusts nobody, for a client that cannot have a better one.
#[expect(clippy::expect_used, reason = "TLS 1.2 and 1.3 are compiled in, or nothing of this crate works")]
fn no_trust() -> ClientConfig {
    let builder =
        builder(Arc::new(aws_lc_rs::default_provider())).expect("the provider supports the default versions");
    builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth()
}
