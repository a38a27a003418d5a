//! A stream cut into lines, with a bound on each.

use bytes::{Buf, Bytes, BytesMut};
use std::fmt;
use tokio::io::{AsyncRead, AsyncReadExt};

const READ_BYTES: usize = 64 << 10;

/// Why a line could not be had.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// The rest of that line is skipped; the next call goes on behind it.
    #[error("a line is longer than {max} bytes")]
    TooLong { max: usize },
    #[error("cannot read: {0}")]
    Io(#[from] std::io::Error),
}

/// Reads lines that end in `\n`, a `\r` before it removed. A last line without an end is a line.
pub struct Lines<R = tokio::process::ChildStdout> {
    source: R,
    buffer: BytesMut,
    /// How much of `buffer` is known to hold no newline.
    searched: usize,
    max: usize,
    skipping: bool,
    ended: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub fn new(source: R, line_bytes_max: usize) -> Self {
        Self {
            source,
            buffer: BytesMut::new(),
            searched: 0,
            max: line_bytes_max,
            skipping: false,
            ended: false,
        }
    }

    /// The next line, `None` at the end. May be dropped while waiting without losing a byte.
    ///
    /// Errors: [`LineError`]; after `TooLong` one may go on, after `Io` there is no more.
    pub async fn next(&mut self) -> Result<Option<Bytes>, LineError> {
        loop {
            if let Some(line) = self.cut()? {
                return Ok(Some(line));
            }
            if self.ended {
                return Ok(self.rest());
            }
            self.buffer.reserve(READ_BYTES);
            self.ended = self.source.read_buf(&mut self.buffer).await? == 0;
        }
    }

    fn cut(&mut self) -> Result<Option<Bytes>, LineError> {
        let fresh = self.buffer.get(self.searched..).unwrap_or_default();
        let Some(found) = fresh.iter().position(|byte| *byte == b'\n') else {
            self.searched = self.buffer.len();
            if self.skipping {
                self.drop_buffer();
            } else if self.searched > self.max.saturating_add(1) {
                // one more than the limit may be the `\r`
                self.skipping = true;
                self.drop_buffer();
                return Err(LineError::TooLong { max: self.max });
            }
            return Ok(None);
        };
        let mut line = self.buffer.split_to(self.searched + found);
        self.buffer.advance(1);
        self.searched = 0;
        if std::mem::take(&mut self.skipping) {
            return self.cut();
        }
        if line.last() == Some(&b'\r') {
            line.truncate(line.len() - 1);
        }
        if line.len() > self.max {
            return Err(LineError::TooLong { max: self.max });
        }
        Ok(Some(line.freeze()))
    }

    fn rest(&mut self) -> Option<Bytes> {
        let rest = std::mem::take(&mut self.buffer);
        self.searched = 0;
        (!rest.is_empty() && !self.skipping).then(|| rest.freeze())
    }

    fn drop_buffer(&mut self) {
        self.buffer.clear();
        self.searched = 0;
    }
}

/// Messages are not printed.
impl<R> fmt::Debug for Lines<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lines({} bytes waiting)", self.buffer.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(input: &'static [u8], max: usize) -> Vec<Result<Vec<u8>, String>> {
        let mut lines = Lines::new(input, max);
        let mut out = Vec::new();
        loop {
            match lines.next().await {
                Ok(Some(line)) => out.push(Ok(line.to_vec())),
                Ok(None) => return out,
                Err(e) => out.push(Err(e.to_string())),
            }
        }
    }

    #[tokio::test]
    async fn a_line_over_the_limit_is_refused_and_the_next_one_is_read() {
        let long = Err("a line is longer than 3 bytes".to_owned());
        assert_eq!(
            read(b"abc\nabcd\nabc\r\nabcdefgh\n\nz", 3).await,
            [Ok(b"abc".to_vec()), long.clone(), Ok(b"abc".to_vec()), long, Ok(vec![]), Ok(b"z".to_vec())]
        );
    }

    #[tokio::test]
    async fn a_flood_without_a_newline_holds_one_buffer_and_one_error() {
        static FLOOD: [u8; 8 << 20] = [b'x'; 8 << 20];
        let mut lines = Lines::new(&FLOOD[..], 1000);
        assert!(matches!(lines.next().await, Err(LineError::TooLong { max: 1000 })));
        assert!(matches!(lines.next().await, Ok(None)), "the tail of a refused line is not a line");
        assert!(lines.buffer.capacity() < 1 << 20, "{}", lines.buffer.capacity());
    }

    #[tokio::test]
    async fn nothing_is_lost_when_the_wait_is_given_up_in_the_middle_of_a_line() {
        use tokio::io::AsyncWriteExt;
        let (mut writer, reader) = tokio::io::duplex(64);
        let mut lines = Lines::new(reader, 100);
        writer.write_all(b"hal").await.unwrap();
        tokio::select! { biased; _ = lines.next() => panic!("half a line"), () = tokio::task::yield_now() => {} }
        writer.write_all(b"ves\n").await.unwrap();
        assert_eq!(lines.next().await.unwrap().unwrap(), "halves");
    }
}
