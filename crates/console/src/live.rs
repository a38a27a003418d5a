//! The stream of changes, for pages that are open: names of approvals that changed, and that the record has more by now.

use crate::web::Body;
use bytes::Bytes;
use decision::{ApprovalId, Timestamp};
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
/// How often it is looked whether the record has more: a page that looks anew costs more than a call.
const LOOK: Duration = Duration::from_secs(2);
/// That something was recorded, whatever it is: pages look for themselves whether it changes them.
const RECORD: &str = "event: record\ndata: \n\n";
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

/// Something that is another one when there may be more to see.
pub(crate) type Mark = (u64, Option<Timestamp>);

/// What whoever watches is told of.
pub(crate) struct Told {
    pub(crate) changes: broadcast::Receiver<ApprovalId>,
    /// Changes when whoever watches may be another.
    pub(crate) left: watch::Receiver<()>,
    pub(crate) record: Box<dyn Fn() -> Mark + Send + Sync>,
}

struct Watching {
    told: Told,
    seen: Mark,
    may: May,
    closing: CancellationToken,
    begun: bool,
    out: bool,
    _place: OwnedSemaphorePermit,
}

/// A body that tells of changes until `may` says no or cannot say, or until the gateway stops.
pub(crate) fn body(told: Told, place: OwnedSemaphorePermit, closing: CancellationToken, may: May) -> Body {
    let seen = (told.record)();
    let watching = Watching { told, seen, may, closing, begun: false, out: false, _place: place };
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
                text = recorded(&self.told.record, &mut self.seen) => Some(text.to_owned()),
                // the door is there for as long as the console
                _ = self.told.left.changed() => None,
                change = self.told.changes.recv() => match change {
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

/// A sign of life, or that there is more by now.
async fn recorded(record: &(dyn Fn() -> Mark + Send + Sync), seen: &mut Mark) -> &'static str {
    let until = tokio::time::Instant::now() + KEEP_ALIVE;
    while tokio::time::Instant::now() < until {
        tokio::time::sleep(LOOK).await;
        let now = record();
        if now != *seen {
            *seen = now;
            return RECORD;
        }
    }
    ": still here\n\n"
}
