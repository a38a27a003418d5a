//! Batches (2025-03-26): each member is an arrival of its own, and the answers are one array.

use super::Path;
use crate::exchange::{Arrival, BodyFault, InBatch, Inbound, Reply, ReplyBody};
use bytes::Bytes;
use futures::FutureExt as _;
use http::StatusCode;
use std::sync::Arc;

/// What one body or line turned out to hold.
#[derive(Debug)]
pub(super) enum Opened {
    One(Result<Inbound, BodyFault>),
    /// Members of a batch, unscanned.
    Several(Vec<Bytes>),
}

/// Takes a batch apart, where its sender may have one. What is wrong with a batch is wrong with all of it.
pub(super) fn open(inbound: Result<Inbound, BodyFault>, batches: bool) -> Opened {
    match &inbound {
        Ok(Inbound::Message(bytes)) if batches && wire::batch::is_batch(bytes) => {
            match wire::batch::split(bytes) {
                Ok(members) => Opened::Several(members),
                Err(error) => Opened::One(Err(BodyFault::Batch(error))),
            }
        }
        Ok(Inbound::Message(_) | Inbound::OpenStream(_) | Inbound::EndSession) | Err(_) => {
            Opened::One(inbound)
        }
    }
}

/// Governs the members of a batch. `arrival` is how it came; what it has as inbound does not count.
pub(super) async fn govern<P: Path>(path: &P, arrival: &Arrival, members: Vec<Bytes>) -> Reply {
    let mut replies = Vec::with_capacity(members.len());
    let mut running = Vec::new();
    let batch = Arc::new(InBatch::default());
    for member in members {
        let mut governed = Box::pin(path.govern(arrival.member(member, &batch)));
        // begun in order, so that a call and its cancellation may come together
        match governed.as_mut().now_or_never() {
            Some(reply) => replies.push(reply),
            None => running.push(governed),
        }
    }
    replies.extend(futures::future::join_all(running).await);
    together(replies)
}

/// One reply of all. Where every member was turned away alike (nobody knows who asks), so is the batch.
fn together(replies: Vec<Reply>) -> Reply {
    let first = replies.first().map_or(StatusCode::ACCEPTED, |reply| reply.status);
    let alike = !first.is_success() && replies.iter().all(|reply| reply.status == first);
    let challenge = replies.iter().find_map(|reply| reply.challenge.clone()).filter(|_| alike);
    let answers: Vec<Bytes> = replies
        .into_iter()
        .filter_map(|reply| match reply.body {
            ReplyBody::Message(answer) => Some(answer),
            ReplyBody::Nothing | ReplyBody::Stream(_) | ReplyBody::Subscribed => None,
        })
        .collect();
    let (status, body) = if answers.is_empty() {
        (StatusCode::ACCEPTED, ReplyBody::Nothing)
    } else {
        (StatusCode::OK, ReplyBody::Message(wire::batch::join(&answers)))
    };
    Reply { challenge, ..Reply::with(if alike { first } else { status }, body) }
}
