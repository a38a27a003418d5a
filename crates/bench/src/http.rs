//! As much of HTTP/1.1 as both ends need: messages with a length, one after the other on one connection.

use anyhow::{Context as _, Result, bail, ensure};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::ops::Range;
use std::time::Duration;

/// Longest head.
const HEAD_BYTES_MAX: usize = 32 << 10;
/// Longest body.
const BODY_BYTES_MAX: usize = 16 << 20;
/// For anything at all to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// One end of a connection, and what was read from it.
#[derive(Debug)]
pub(crate) struct Peer {
    stream: TcpStream,
    read: Vec<u8>,
    /// Up to where `read` was handed out.
    used: usize,
}

/// A message as it came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message<'a> {
    pub(crate) head: &'a str,
    pub(crate) body: &'a [u8],
}

impl Peer {
    pub(crate) fn connect(port: u16) -> Result<Self> {
        Self::of(TcpStream::connect(("127.0.0.1", port)).context("cannot connect")?)
    }

    pub(crate) fn of(stream: TcpStream) -> Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, read: Vec::with_capacity(16 << 10), used: 0 })
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).context("cannot send")
    }

    /// The next message; `None` when the other end closed between two.
    pub(crate) fn receive(&mut self) -> Result<Option<Message<'_>>> {
        self.read.drain(..self.used);
        self.used = 0;
        let head = loop {
            if let Some(end) = find(&self.read, b"\r\n\r\n") {
                break 0..end;
            }
            ensure!(self.read.len() <= HEAD_BYTES_MAX, "a head of over {HEAD_BYTES_MAX} bytes");
            if self.more()? == 0 {
                ensure!(self.read.is_empty(), "the connection ended in a head");
                return Ok(None);
            }
        };
        let length = body_length(text(&self.read, head.clone())?)?;
        let body = head.end + 4..head.end + 4 + length;
        while self.read.len() < body.end {
            ensure!(self.more()? > 0, "the connection ended in a body");
        }
        self.used = body.end;
        let body = self.read.get(body).unwrap_or_default();
        Ok(Some(Message { head: text(&self.read, head)?, body }))
    }

    fn more(&mut self) -> Result<usize> {
        let mut part = [0; 16 << 10];
        let read = self.stream.read(&mut part).context("cannot receive")?;
        self.read.extend_from_slice(part.get(..read).unwrap_or_default());
        Ok(read)
    }
}

fn text(bytes: &[u8], range: Range<usize>) -> Result<&str> {
    std::str::from_utf8(bytes.get(range).unwrap_or_default()).context("a head that is not text")
}

fn body_length(head: &str) -> Result<usize> {
    for line in head.split("\r\n").skip(1) {
        let Some((name, value)) = line.split_once(':') else { bail!("`{line}` is no header") };
        if name.eq_ignore_ascii_case("transfer-encoding") {
            bail!("a body without a length");
        }
        if name.eq_ignore_ascii_case("content-length") {
            let length: usize = value.trim().parse().context("the length is no number")?;
            ensure!(length <= BODY_BYTES_MAX, "a body of {length} bytes");
            return Ok(length);
        }
    }
    Ok(0)
}

/// Where `part` is in `whole` for the first time.
pub(crate) fn find(whole: &[u8], part: &[u8]) -> Option<usize> {
    whole.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_read_whatever_its_case_and_chunks_are_turned_down() {
        assert_eq!(body_length("POST / HTTP/1.1\r\nContent-LENGTH: 12").unwrap(), 12);
        assert_eq!(body_length("GET / HTTP/1.1\r\nhost: a").unwrap(), 0);
        assert!(body_length("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked").is_err());
        assert!(body_length("HTTP/1.1 200 OK\r\ncontent-length: -1").is_err());
    }
}
