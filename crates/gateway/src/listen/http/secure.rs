//! The handshake: bounded in number and time, before a connection counts as one.

use super::{Certificate, Lines, linger};
use crate::{listen::tls::Tls, metrics::Handshake, places::Strangers};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{io::AsyncWriteExt as _, net::TcpStream, time};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// Handshakes at the same time. For one more the oldest is given up: whoever means it is done in a moment, so that is one
/// that stalls, and strangers who hold all of them keep nobody out.
const HANDSHAKES_MAX: usize = 256;
/// How a TLS connection begins: a record that holds a handshake.
const HANDSHAKE_RECORD: u8 = 0x16;
/// For somebody who wrote `http://`.
const PLAIN: &[u8] = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: application/json\r\n\
    content-length: 77\r\n\r\n\
    {\"error\":\"tls required\",\"message\":\"this address speaks TLS: write https://\"}\n";

/// A handshake that came to its end, and whom the peer proved to be.
pub(super) type Greeted = (Box<TlsStream<TcpStream>>, Option<Certificate>);

/// Where handshakes take place.
#[derive(Debug)]
pub(super) struct Hall {
    tls: Tls,
    under_way: Arc<Strangers>,
    patience: Duration,
    failed: Lines,
}

impl Hall {
    pub(super) fn new(tls: Tls, patience: Duration) -> Self {
        Self { tls, under_way: Arc::default(), patience, failed: Lines::default() }
    }

    /// Whoever comes out at the other end speaks TLS. Everything else is counted and sent away.
    ///
    /// Handshakes never take more than half of the connections there may be, so a flood of them leaves
    /// the other half to those who got through.
    pub(super) async fn greet(
        &self,
        stream: TcpStream,
        remote: SocketAddr,
        connections_max: usize,
    ) -> Option<Greeted> {
        let place = self.under_way.enter_among(HANDSHAKES_MAX.min(connections_max.div_ceil(2)));
        let greeted = tokio::select! {
            biased;
            greeted = time::timeout(self.patience, self.shake(stream)) => greeted,
            () = place.given_up.cancelled() => Ok(Err((Handshake::Busy, String::new()))),
        };
        drop(place);
        let ended = greeted.unwrap_or_else(|_| Err((Handshake::TimedOut, String::new())));
        match ended {
            Ok(greeted) => {
                self.tls.handshakes.count(Handshake::Done);
                Some(greeted)
            }
            Err((how, why)) => {
                self.tls.handshakes.count(how);
                // who looks whether the port is open says nothing, as often as it likes
                if how == Handshake::Gone && why.is_empty() {
                    tracing::debug!(%remote, "a connection was closed before a word was said");
                } else if let Some(left_out) = self.failed.one_more() {
                    tracing::info!(%remote, handshake = how.as_str(), %why, left_out, "no TLS connection came about");
                }
                None
            }
        }
    }

    async fn shake(&self, mut stream: TcpStream) -> Result<Greeted, (Handshake, String)> {
        let mut first = [0];
        match stream.peek(&mut first).await {
            Ok(0) | Err(_) => return Err((Handshake::Gone, String::new())),
            Ok(_) if first != [HANDSHAKE_RECORD] => {
                // a peer that speaks something else than HTTP loses nothing by being told in it
                if stream.write_all(PLAIN).await.is_ok() {
                    linger(stream).await;
                }
                return Err((Handshake::Plain, String::new()));
            }
            Ok(_) => {}
        }
        let keys = self.tls.keys();
        let accept = TlsAcceptor::from(Arc::clone(&keys.config)).accept(stream);
        match accept.into_fallible().await {
            Ok(stream) => {
                let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
                let certificate = self.tls.certificate(&keys, chain).map(Arc::new);
                Ok((Box::new(stream), certificate))
            }
            Err((error, stream)) => {
                // so that the peer can read the alert that says why
                linger(stream).await;
                let gone = matches!(
                    error.kind(),
                    io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
                );
                Err((if gone { Handshake::Gone } else { Handshake::Refused }, error.to_string()))
            }
        }
    }
}
