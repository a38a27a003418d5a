//! Taking the address, or saying why not.

use crate::settings::Settings;
use std::{io, net::SocketAddr};
use tokio::net::{TcpListener, TcpSocket};

/// Connections the kernel keeps for us while we are busy accepting.
const BACKLOG: u32 = 1_024;

/// A listening socket, not yet served.
#[derive(Debug)]
pub struct Bound {
    pub(super) listener: TcpListener,
    /// Where it listens: the port is real even where the settings said 0.
    pub address: SocketAddr,
}

/// Why the gateway does not listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error(
        "`{address}` can be reached from other machines, but callers without a token are let in as agent `{agent}`: \
         listen on `127.0.0.1`, or remove `allow-unauthenticated-loopback`"
    )]
    Unauthenticated { address: SocketAddr, agent: String },
    #[error(
        "cannot listen on `{address}`: the address is in use, stop the other program or choose another port"
    )]
    InUse { address: SocketAddr },
    #[error(
        "`{address}` can be reached from other machines, but there is no TLS: add `[tls]` with `certificate` and `key`, \
         or, where TLS ends in front of the gateway, `tls-terminated-upstream = true`"
    )]
    Plain { address: SocketAddr },
    #[error("cannot listen on `{address}`")]
    Socket { address: SocketAddr, source: io::Error },
}

/// Whether these settings may be listened with: nobody gets in from another machine without a token, and
/// no token travels from one in the clear.
///
/// Asked at start and again for every reload.
///
/// # Errors
/// [`BindError::Unauthenticated`] and [`BindError::Plain`].
pub fn safe_to_listen(settings: &Settings) -> Result<(), BindError> {
    let address = settings.listen;
    if address.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    if let Some(agent) = &settings.unauthenticated_loopback {
        return Err(BindError::Unauthenticated { address, agent: agent.to_string() });
    }
    if settings.tls.is_none() && !settings.tls_terminated_upstream {
        return Err(BindError::Plain { address });
    }
    Ok(())
}

/// Takes the address. Port 0 takes a free one, which [`Bound::address`] then names.
///
/// # Errors
/// See [`BindError`].
pub fn bind(settings: &Settings) -> Result<Bound, BindError> {
    safe_to_listen(settings)?;
    let address = settings.listen;
    let fail = |source: io::Error| {
        if source.kind() == io::ErrorKind::AddrInUse {
            BindError::InUse { address }
        } else {
            BindError::Socket { address, source }
        }
    };
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.map_err(fail)?;
    socket.set_reuseaddr(true).map_err(fail)?;
    // inherited by every connection: a peer whose machine vanished is noticed in the end
    socket.set_keepalive(true).map_err(fail)?;
    socket.bind(address).map_err(fail)?;
    let listener = socket.listen(BACKLOG).map_err(fail)?;
    let address = listener.local_addr().map_err(fail)?;
    Ok(Bound { listener, address })
}
