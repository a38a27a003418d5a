//! From an origin to a connection: resolve, check, connect, check again, TLS; all within one bound.

use crate::{EgressError, EgressPolicy, Network, Origin};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::rt::TokioIo;
use std::future::Future;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tower_service::Service;

type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, EgressError>> + Send>>;

/// Plain TCP to a checked address.
#[derive(Debug, Clone)]
pub(crate) struct Checked {
    pub(crate) policy: Arc<EgressPolicy>,
    pub(crate) network: Arc<dyn Network>,
}

impl Service<http::Uri> for Checked {
    type Response = TokioIo<TcpStream>;
    type Error = EgressError;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), EgressError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: http::Uri) -> Self::Future {
        let Self { policy, network } = self.clone();
        Box::pin(async move {
            let origin = Origin::of(&uri)?;
            // the name is asked once: what was judged is what is connected to
            let addresses = resolve(&*network, &policy, &origin).await?;
            let stream = connect(&*network, &origin, &addresses).await?;
            // the kernel may have been told to send it elsewhere
            let peer = stream.peer_addr().map_err(|e| unreachable(&origin, e.kind()))?;
            check(&policy, &origin, peer)?;
            stream.set_nodelay(true).map_err(|e| unreachable(&origin, e.kind()))?;
            Ok(TokioIo::new(stream))
        })
    }
}

/// All addresses of the host. One that may not be reached refuses them all: an honest name does
/// not point to both sides.
async fn resolve(
    network: &dyn Network,
    policy: &EgressPolicy,
    origin: &Origin,
) -> Result<Vec<SocketAddr>, EgressError> {
    let addresses = match origin.literal() {
        Some(address) => vec![SocketAddr::new(address, origin.port())],
        None => {
            let found = network.resolve(origin.host(), origin.port()).await;
            found.map_err(|_| EgressError::Dns { origin: origin.clone() })?
        }
    };
    for address in &addresses {
        check(policy, origin, *address)?;
    }
    if addresses.is_empty() { Err(EgressError::Dns { origin: origin.clone() }) } else { Ok(addresses) }
}

fn check(policy: &EgressPolicy, origin: &Origin, address: SocketAddr) -> Result<(), EgressError> {
    let address = address.ip();
    policy.check(origin, address).map_err(|class| EgressError::RefusedAddress {
        origin: origin.clone(),
        address,
        class,
    })
}

/// The first address that answers. How long all of it may take, [`Bounded`] decides; a silent
/// address must leave time for the next one.
async fn connect(
    network: &dyn Network,
    origin: &Origin,
    addresses: &[SocketAddr],
) -> Result<TcpStream, EgressError> {
    const NEXT_AFTER: Duration = Duration::from_secs(2);
    let mut last = EgressError::Dns { origin: origin.clone() };
    let mut rest = addresses.iter().peekable();
    while let Some(address) = rest.next() {
        let attempt = network.connect(*address);
        let outcome = if rest.peek().is_some() {
            tokio::time::timeout(NEXT_AFTER, attempt)
                .await
                .unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
        } else {
            attempt.await
        };
        match outcome {
            Ok(stream) => return Ok(stream),
            Err(e) => last = unreachable(origin, e.kind()),
        }
    }
    Err(last)
}

fn unreachable(origin: &Origin, kind: ErrorKind) -> EgressError {
    let origin = origin.clone();
    if kind == ErrorKind::ConnectionRefused {
        EgressError::ConnectRefused { origin }
    } else if kind == ErrorKind::TimedOut {
        EgressError::ConnectTimeout { origin }
    } else {
        EgressError::Unreachable { origin, kind }
    }
}

/// Bounds resolving, connecting and the TLS handshake together, and gives every failure its name.
#[derive(Debug, Clone)]
pub(crate) struct Bounded {
    pub(crate) https: HttpsConnector<Checked>,
    /// Why no TLS is possible at all.
    pub(crate) no_tls: Option<Arc<str>>,
    pub(crate) connect_max: Duration,
}

impl Service<http::Uri> for Bounded {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = EgressError;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), EgressError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: http::Uri) -> Self::Future {
        let origin = Origin::of(&uri);
        let connecting = self.https.call(uri);
        let (connect_max, no_tls) = (self.connect_max, self.no_tls.clone());
        Box::pin(async move {
            let origin = origin?;
            if let Some(reason) = no_tls.filter(|_| origin.is_https()) {
                return Err(EgressError::Tls { origin, reason: reason.to_string() });
            }
            match tokio::time::timeout(connect_max, connecting).await {
                Ok(Ok(stream)) => Ok(stream),
                Ok(Err(error)) => Err(match error.downcast::<EgressError>() {
                    Ok(ours) => *ours,
                    Err(error) => tls(origin, error.as_ref()),
                }),
                Err(_) => Err(EgressError::ConnectTimeout { origin }),
            }
        })
    }
}

/// The reason rustls gives speaks of certificates and versions, not of the request.
fn tls(origin: Origin, error: &(dyn std::error::Error + 'static)) -> EgressError {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(reason) = error.downcast_ref::<rustls::Error>() {
            return EgressError::Tls { origin, reason: reason.to_string() };
        }
        cause = match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    EgressError::Tls { origin, reason: "the handshake was cut off".to_owned() }
}
