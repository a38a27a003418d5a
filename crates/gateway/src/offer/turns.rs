//! How many servers are looked at, and worked on, at the same time.

use crate::errands::Found;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Servers that are asked at the same time, at a start for instance. What they say is written down one after the other: a
/// database has one writer, and whoever waits for it there is given up after some seconds.
const LOOKS_MAX: usize = 16;

#[derive(Debug)]
pub(super) struct Turns {
    looks: Semaphore,
    heavy: Semaphore,
}

impl Default for Turns {
    fn default() -> Self {
        Self { looks: Semaphore::new(LOOKS_MAX), heavy: Semaphore::new(1) }
    }
}

impl Turns {
    /// For asking a server and what follows. Never closed, so there always is one in the end.
    pub(super) async fn look(&self) -> Option<SemaphorePermit<'_>> {
        self.looks.acquire().await.ok()
    }

    /// For working on what was found: of servers that offer megabytes, on one at a time.
    pub(super) async fn work(&self, found: &Found) -> Option<SemaphorePermit<'_>> {
        if found.is_heavy() { self.heavy.acquire().await.ok() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use decision::ItemKind;
    use futures::FutureExt as _;
    use wire::{Eras, Revision};

    fn found(items: usize) -> Found {
        Found {
            eras: Eras::Modern,
            revision: Revision::V2026_07_28,
            capabilities: Bytes::new(),
            info: None,
            instructions: None,
            broken: Default::default(),
            unread: None,
            items: vec![(ItemKind::Tool, Bytes::from(vec![b' '; 1 << 20])); items],
        }
    }

    #[tokio::test]
    async fn of_what_is_heavy_one_is_worked_on_at_a_time_and_the_rest_goes_on_beside_it() {
        let turns = Turns::default();
        let (heavy, light) = (found(5), found(4));
        let one = turns.work(&heavy).await;
        assert!(one.is_some());
        assert!(turns.work(&heavy).now_or_never().is_none(), "the second waits");
        assert!(turns.work(&light).now_or_never().is_some());
        drop(one);
        assert!(turns.work(&heavy).now_or_never().is_some());
    }

    #[tokio::test]
    async fn so_many_are_asked_at_the_same_time() {
        let turns = Turns::default();
        let all: Vec<_> = (0..LOOKS_MAX).map_while(|_| turns.look().now_or_never()).collect();
        assert_eq!(all.len(), LOOKS_MAX);
        assert!(turns.look().now_or_never().is_none());
    }
}
