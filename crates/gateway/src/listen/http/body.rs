//! Reading a request's body: so much, and so long, and no more.

use crate::exchange::BodyFault;
use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt as _;
use std::time::Duration;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time,
};

/// Bodies up to this size are read without asking for room, and room is asked for in pieces of it.
const SMALL_BYTES: usize = 64 << 10;
/// Room for large bodies, in such pieces: 256 MiB of what has come, and not of what somebody says will come.
pub(super) const ROOM: usize = 4_096;

/// The whole body, or why there is none. `room` bounds how much of large bodies is there at once, so that
/// peers who have not even said who they are cannot fill the memory; and whoever sends little takes little of it.
pub(super) async fn read<B>(
    body: B,
    bytes_max: usize,
    patience: Duration,
    room: &Semaphore,
) -> Result<Bytes, BodyFault>
where
    B: Body<Data = Bytes> + Unpin + Send,
{
    match time::timeout(patience, collect(body, bytes_max, room)).await {
        Ok(read) => read,
        Err(_) => Err(BodyFault::TooSlow),
    }
}

async fn collect<B>(mut body: B, bytes_max: usize, room: &Semaphore) -> Result<Bytes, BodyFault>
where
    B: Body<Data = Bytes> + Unpin + Send,
{
    let declared = body.size_hint().exact();
    let expected = match declared.map(usize::try_from) {
        Some(Ok(length)) if length <= bytes_max => Some(length),
        Some(_) => return Err(BodyFault::TooLarge),
        None => None,
    };
    let mut held: Option<SemaphorePermit<'_>> = None;
    let mut read = BytesMut::with_capacity(expected.unwrap_or_default().min(SMALL_BYTES));
    while let Some(frame) = body.frame().await {
        // trailers carry nothing for us
        let Ok(data) = frame.map_err(|_| BodyFault::Incomplete)?.into_data() else { continue };
        if read.len() + data.len() > bytes_max {
            return Err(BodyFault::TooLarge);
        }
        let has = held.as_ref().map_or(0, SemaphorePermit::num_permits);
        // one body alone may be larger than all the room there is
        let more =
            ((read.len() + data.len()).saturating_sub(1) / SMALL_BYTES).min(ROOM / 2).saturating_sub(has);
        if more > 0 {
            let more = u32::try_from(more).map_err(|_| BodyFault::TooLarge)?;
            let permit = room.acquire_many(more).await.map_err(|_| BodyFault::Incomplete)?;
            match &mut held {
                Some(held) => held.merge(permit),
                None => held = Some(permit),
            }
        }
        read.extend_from_slice(&data);
    }
    // a connection that is cut ends the body without an error
    if expected.is_some_and(|length| length != read.len()) {
        return Err(BodyFault::Incomplete);
    }
    Ok(read.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;
    use http_body::Frame;
    use http_body_util::{Full, StreamBody};

    fn chunks(sizes: &[usize]) -> impl Body<Data = Bytes> + Unpin + Send + use<> {
        let frames: Vec<_> =
            sizes.iter().map(|n| Ok::<_, std::io::Error>(Frame::data(Bytes::from(vec![b'x'; *n])))).collect();
        StreamBody::new(stream::iter(frames))
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_the_bound_and_not_one_byte_further() {
        let room = Semaphore::new(1);
        let second = Duration::from_secs(1);
        assert_eq!(read(chunks(&[4, 6]), 10, second, &room).await.map(|b| b.len()), Ok(10));
        assert_eq!(read(chunks(&[4, 7]), 10, second, &room).await, Err(BodyFault::TooLarge));
        assert_eq!(
            read(Full::new(Bytes::from_static(b"12345678901")), 10, second, &room).await,
            Err(BodyFault::TooLarge)
        );
    }

    /// Says that it is so long, sends less, and then ends without an error, as a body does whose connection was cut by
    /// ourselves, or stalls.
    struct Part {
        says: u64,
        sends: Option<Bytes>,
        stalls: bool,
    }
    impl Body for Part {
        type Data = Bytes;
        type Error = std::convert::Infallible;
        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            match self.sends.take() {
                None if self.stalls => std::task::Poll::Pending,
                sent => std::task::Poll::Ready(sent.map(|data| Ok(Frame::data(data)))),
            }
        }
        fn size_hint(&self) -> http_body::SizeHint {
            http_body::SizeHint::with_exact(self.says)
        }
    }

    #[tokio::test]
    async fn a_body_shorter_than_it_said_is_incomplete() {
        let room = Semaphore::new(1);
        let short = Part { says: 10, sends: Some(Bytes::from_static(b"{}{}")), stalls: false };
        assert_eq!(read(short, 100, Duration::from_secs(1), &room).await, Err(BodyFault::Incomplete));
    }

    #[tokio::test]
    async fn a_large_body_waits_for_room_and_no_longer_than_it_may() {
        let room = Semaphore::new(1);
        let second = Duration::from_millis(100);
        let taken = room.acquire().await.unwrap();
        let large = || chunks(&[SMALL_BYTES, 1]);
        assert_eq!(read(large(), 1 << 20, second, &room).await, Err(BodyFault::TooSlow));
        assert!(
            read(chunks(&[SMALL_BYTES]), 1 << 20, second, &room).await.is_ok(),
            "a small one needs no room"
        );
        drop(taken);
        assert!(read(large(), 1 << 20, second, &room).await.is_ok());
        assert_eq!(room.available_permits(), 1);
    }

    #[tokio::test]
    async fn bodies_that_stall_take_no_more_room_than_they_have_sent() {
        let room = std::sync::Arc::new(Semaphore::new(ROOM));
        let hour = Duration::from_secs(3_600);
        for _ in 0..1_000 {
            let room = std::sync::Arc::clone(&room);
            let sends = Some(Bytes::from(vec![b'x'; SMALL_BYTES + 1]));
            let stalled = Part { says: 1 << 20, sends, stalls: true };
            tokio::spawn(async move { read(stalled, 4 << 20, hour, &room).await });
        }
        while room.available_permits() > ROOM - 1_000 {
            tokio::task::yield_now().await;
        }
        let large = chunks(&[SMALL_BYTES; 64]);
        assert!(read(large, 4 << 20, Duration::from_secs(1), &room).await.is_ok());
    }
}
