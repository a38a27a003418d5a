//! A server of raw sockets, so that it can do what no HTTP library would.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Stops when dropped.
pub(crate) struct Server {
    pub(crate) uri: String,
    opened: Arc<AtomicUsize>,
    closed: watch::Receiver<usize>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Runs `serve` for each connection, which is closed when that returns.
    pub(crate) async fn start<F>(serve: impl Fn(TcpStream) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}", listener.local_addr().unwrap());
        let opened = Arc::new(AtomicUsize::new(0));
        let (sender, closed) = watch::channel(0);
        let count = Arc::clone(&opened);
        let accepting = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                let (serving, sender) = (serve(stream), sender.clone());
                tokio::spawn(async move {
                    serving.await;
                    sender.send_modify(|closed| *closed += 1);
                });
            }
        });
        Self { uri, opened, closed, accepting }
    }

    pub(crate) fn connections(&self) -> usize {
        self.opened.load(Ordering::SeqCst)
    }

    /// Waits until so many connections were served to their end.
    pub(crate) async fn closed(&self, count: usize) {
        let mut closed = self.closed.clone();
        let waiting = closed.wait_for(|closed| *closed >= count);
        tokio::time::timeout(std::time::Duration::from_secs(5), waiting).await.unwrap().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// One request with its body of two bytes, `None` at the end of the connection.
pub(crate) async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n{}") {
        match stream.read_u8().await {
            Ok(byte) => request.push(byte),
            Err(_) => return None,
        }
    }
    String::from_utf8(request).ok()
}

pub(crate) async fn answer(stream: &mut TcpStream, status: &str, body: &str) {
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(answer.as_bytes()).await.ok();
}

/// One request without a body, its lines in lower case; `None` at the end of the connection.
pub(crate) async fn read_head(stream: &mut (impl AsyncReadExt + Unpin)) -> Option<String> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(request).ok().map(|request| request.to_ascii_lowercase())
}
