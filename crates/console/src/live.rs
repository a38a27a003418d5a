//! The stream of changes: names of approvals that changed, for pages that are open.

use crate::web::Body;
use bytes::Bytes;
use decision::ApprovalId;
use futures::{future::BoxFuture, stream};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use store::DeskError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, watch};
use tokio_util::sync::CancellationToken;

/// Streams at the same time.
const STREAMS_MAX: usize = 64;
/// Between signs of life.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How soon a browser comes back, and that it is connected now.
const HELLO: &str = "retry: 2000\nevent: hello\ndata: \n\n";
/// That whoever watched is signed out: nothing comes any more.
const OUT: &str = "event: out\ndata: \n\n";

/// Places for those who watch.
#[derive(Debug, Clone)]
pub(crate) struct Places(Arc<Semaphore>);

impl Default for Places {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(STREAMS_MAX)))
    }
}

impl Places {
    pub(crate) fn take(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).try_acquire_owned().ok()
    }
}

/// Asks whether whoever watches may still do so.
pub(crate) type May = Box<dyn Fn() -> BoxFuture<'static, Result<bool, DeskError>> + Send>;

struct Watching {
    changes: broadcast::Receiver<ApprovalId>,
    may: May,
    /// Changes when that may be another.
    left: watch::Receiver<()>,
    closing: CancellationToken,
    begun: bool,
    out: bool,
    _place: OwnedSemaphorePermit,
}

/// A body that tells of changes until `may` says no or cannot say, or until the gateway stops.
pub(crate) fn body(
    changes: broadcast::Receiver<ApprovalId>,
    place: OwnedSemaphorePermit,
    closing: CancellationToken,
    left: watch::Receiver<()>,
    may: May,
) -> Body {
    let watching = Watching { changes, may, left, closing, begun: false, out: false, _place: place };
    let frames = stream::unfold(watching, |mut watching| async move {
        let text = watching.next().await?;
        Some((Ok::<_, Infallible>(Frame::data(Bytes::from(text))), watching))
    });
    StreamBody::new(frames).boxed_unsync()
}

impl Watching {
    async fn next(&mut self) -> Option<String> {
        if !self.begun {
            self.begun = true;
            return Some(HELLO.to_owned());
        }
        while !self.out {
            let text = tokio::select! {
                () = self.closing.cancelled() => return None,
                () = tokio::time::sleep(KEEP_ALIVE) => Some(": still here\n\n".to_owned()),
                // the door is there for as long as the console
                _ = self.left.changed() => None,
                change = self.changes.recv() => match change {
                    Ok(id) => Some(format!("event: approval\ndata: {id}\n\n")),
                    // more happened than could be kept for this reader
                    Err(broadcast::error::RecvError::Lagged(_)) => Some("event: missed\ndata: \n\n".to_owned()),
                    Err(broadcast::error::RecvError::Closed) => return None,
                },
            };
            // where the store cannot say so, the browser comes again, and is told why it may not
            self.out = !(self.may)().await.ok()?;
            match text {
                _ if self.out => return Some(OUT.to_owned()),
                Some(text) => return Some(text),
                // somebody else left
                None => {}
            }
        }
        None
    }
}
