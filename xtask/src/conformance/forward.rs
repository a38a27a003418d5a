//! A loopback forwarder that adds a bearer token to each request, because the suite cannot send one.
//!
//! Everything else passes as it came, `Host` and `Origin` too, so that the gateway itself is what is scored. Each connection carries one
//! request: the forwarder asks for its close, and then only copies bytes.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

/// The head of a request that a test client sends.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// How often the listener looks whether it should end.
const PAUSE: Duration = Duration::from_millis(5);

/// Listens until it is dropped.
#[derive(Debug)]
pub(crate) struct Forwarder {
    ended: Arc<AtomicBool>,
}

/// A free port to listen on. The gateway has to know it before it starts: clients name it in `Host`.
pub(crate) fn listener() -> Result<(TcpListener, u16)> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port")?;
    let port = listener.local_addr()?.port();
    Ok((listener, port))
}

impl Forwarder {
    /// Forwards to a loopback port with this token.
    pub(crate) fn start(listener: TcpListener, to: u16, token: &str) -> Result<Self> {
        listener.set_nonblocking(true)?;
        let ended = Arc::new(AtomicBool::new(false));
        let (until, token) = (Arc::clone(&ended), token.to_owned());
        thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((client, _)) => {
                        let token = token.clone();
                        // A connection that breaks is the client's to notice.
                        thread::spawn(move || drop(forward(client, to, &token)));
                    }
                    Err(_) => thread::sleep(PAUSE),
                }
            }
        });
        Ok(Self { ended })
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

fn forward(mut client: TcpStream, to: u16, token: &str) -> Result<()> {
    client.set_nonblocking(false)?;
    let (head, body) = read_head(&mut client)?;
    let mut server = TcpStream::connect(("127.0.0.1", to))?;
    server.write_all(with_token(&head, token).as_bytes())?;
    server.write_all(&body)?;
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    let upload = thread::spawn(move || {
        drop(std::io::copy(&mut from_client, &mut to_server));
        // The client hung up: so do we, and the gateway sees what it would see without us.
        drop(to_server.shutdown(Shutdown::Both));
    });
    drop(std::io::copy(&mut server, &mut client));
    drop(client.shutdown(Shutdown::Both));
    drop(upload.join());
    Ok(())
}

/// The request's head, and what came of its body meanwhile.
fn read_head(client: &mut TcpStream) -> Result<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    while bytes.len() < HEAD_BYTES_MAX {
        let count = client.read(&mut chunk)?;
        bytes.extend_from_slice(chunk.get(..count).unwrap_or_default());
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let body = bytes.split_off(end + 4);
            return Ok((String::from_utf8(bytes)?, body));
        }
        anyhow::ensure!(count > 0, "the client hung up");
    }
    anyhow::bail!("the head is too long")
}

/// The head with the token, and with the close of this connection after its reply.
fn with_token(head: &str, token: &str) -> String {
    let mut lines = head.split("\r\n");
    let mut out = format!(
        "{}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n",
        lines.next().unwrap_or_default()
    );
    for line in lines.filter(|line| !line.is_empty()) {
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        if name != "connection" && name != "authorization" {
            out.push_str(line);
            out.push_str("\r\n");
        }
    }
    out.push_str("\r\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_added_and_the_rest_is_as_it_came() {
        let head = "POST /mcp HTTP/1.1\r\nHost: evil.example\r\norigin: http://evil.example\r\nConnection: keep-alive\r\n\r\n";
        assert_eq!(
            with_token(head, "t"),
            "POST /mcp HTTP/1.1\r\nAuthorization: Bearer t\r\nConnection: close\r\nHost: evil.example\r\norigin: http://evil.example\r\n\r\n"
        );
    }

    #[test]
    fn a_request_goes_there_and_its_reply_comes_back() {
        let server = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let (front, port) = listener().unwrap();
        let _forwarder = Forwarder::start(front, server.local_addr().unwrap().port(), "secret").unwrap();
        let answering = thread::spawn(move || {
            let (mut peer, _) = server.accept().unwrap();
            let (head, mut body) = read_head(&mut peer).unwrap();
            let mut rest = vec![0; 2 - body.len()];
            peer.read_exact(&mut rest).unwrap();
            body.extend(rest);
            peer.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nyes").unwrap();
            (head, body)
        });
        let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        client.write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi").unwrap();
        let mut reply = String::new();
        client.read_to_string(&mut reply).unwrap();
        let (head, body) = answering.join().unwrap();
        assert!(
            head.contains("Authorization: Bearer secret\r\n") && reply.ends_with("yes"),
            "{head} {reply}"
        );
        assert_eq!(body, b"hi");
    }
}
