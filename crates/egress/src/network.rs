//! What there is beyond this machine: names and sockets. Given to the client, so that tests own both.

use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use tokio::net::TcpStream;

/// An answer of the network, some time.
pub type Answering<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

/// Names to addresses, and addresses to connections. Whoever implements it decides nothing: what it
/// answers is judged.
pub trait Network: Debug + Send + Sync {
    /// All addresses of a name. Not asked for hosts that are addresses.
    fn resolve<'a>(&'a self, name: &'a str, port: u16) -> Answering<'a, Vec<SocketAddr>>;
    /// A connection to exactly that address.
    fn connect(&self, address: SocketAddr) -> Answering<'_, TcpStream>;
}

/// The operating system's.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemNetwork;

impl Network for SystemNetwork {
    fn resolve<'a>(&'a self, name: &'a str, port: u16) -> Answering<'a, Vec<SocketAddr>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((name, port)).await?.collect()) })
    }

    fn connect(&self, address: SocketAddr) -> Answering<'_, TcpStream> {
        Box::pin(TcpStream::connect(address))
    }
}
