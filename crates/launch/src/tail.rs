//! The end of what a server wrote to stderr.

use crate::Filter;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Keeps the last bytes of a stream. A server that fills stderr must never block on it.
#[derive(Clone)]
pub(crate) struct Tail {
    kept: Arc<Mutex<VecDeque<u8>>>,
    max: usize,
}

impl Tail {
    pub(crate) fn new(max: usize) -> Self {
        Self { kept: Arc::default(), max }
    }

    pub(crate) fn push(&self, bytes: &[u8]) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = bytes.get(bytes.len().saturating_sub(self.max)..).unwrap_or_default();
        let surplus = (kept.len() + bytes.len()).saturating_sub(self.max);
        let surplus = surplus.min(kept.len());
        kept.drain(..surplus);
        kept.extend(bytes);
    }

    /// As text; what is not UTF-8 is replaced.
    pub(crate) fn text(&self) -> String {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(kept.make_contiguous()).into_owned()
    }

    /// Reads to the end. What is kept has gone through the filter whole, so that no cut hides anything from it.
    pub(crate) async fn drain(self, mut source: impl AsyncRead + Unpin, mut filter: Option<Filter>) {
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = source.read(&mut buffer).await {
            let piece = buffer.get(..n).unwrap_or_default();
            match &mut filter {
                Some(filter) => self.push(&filter(Some(piece))),
                None => self.push(piece),
            }
        }
        if let Some(mut filter) = filter {
            self.push(&filter(None));
        }
    }
}

/// A server may print a secret; whoever prints the server does not.
impl fmt::Debug for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tail(up to {} bytes)", self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_kept_and_no_more() {
        let tail = Tail::new(5);
        for piece in ["ab", "", "cdefghijkl", "mn"] {
            tail.push(piece.as_bytes());
            assert!(tail.text().len() <= 5);
        }
        assert_eq!(tail.text(), "jklmn");
    }
}
