//! Work that many wish for at once and that needs doing once for all who wished before it began.

use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{Mutex, MutexGuard};

/// Wishes for the same work.
#[derive(Debug, Default)]
pub(crate) struct Wishes<T> {
    made: AtomicU64,
    granted: Mutex<Granted<T>>,
}

/// What was done last.
#[derive(Debug, Default)]
pub(crate) struct Granted<T> {
    /// Wishes that were made before it began: it holds what they were made for.
    wishes: u64,
    value: T,
}

impl<T: Clone> Wishes<T> {
    /// What `make` gives, or what it gave to somebody else who began after this was called. What failed is granted to
    /// nobody: each tries for himself.
    pub(crate) async fn grant<E>(&self, make: impl AsyncFnOnce() -> Result<T, E>) -> Result<T, E> {
        let wish = self.made.fetch_add(1, Ordering::SeqCst) + 1;
        let mut granted = self.granted.lock().await;
        if granted.wishes < wish {
            let wishes = self.made.load(Ordering::SeqCst);
            *granted = Granted { wishes, value: make().await? };
        }
        Ok(granted.value.clone())
    }

    /// Keeps everybody else waiting.
    pub(crate) async fn hold(&self) -> MutexGuard<'_, Granted<T>> {
        self.granted.lock().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicU32;
    use tokio::sync::Semaphore;

    /// Ten wishes while the first is being granted: whoever came after it began needs another, and all of them one.
    #[tokio::test]
    async fn who_wished_before_it_began_has_it_and_who_came_later_needs_another() {
        let wishes = Arc::new(Wishes::<u32>::default());
        let (begun, doors) = (Arc::new(AtomicU32::new(0)), Arc::new(Semaphore::new(0)));
        let wish = || {
            let (wishes, begun, doors) = (Arc::clone(&wishes), Arc::clone(&begun), Arc::clone(&doors));
            tokio::spawn(async move {
                let make = async || {
                    let number = begun.fetch_add(1, Ordering::SeqCst) + 1;
                    doors.acquire().await.unwrap().forget();
                    Ok::<_, ()>(number)
                };
                wishes.grant(make).await
            })
        };
        let first = wish();
        while begun.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        let later: Vec<_> = (0..10).map(|_| wish()).collect();
        while wishes.made.load(Ordering::SeqCst) < 11 {
            tokio::task::yield_now().await;
        }
        doors.add_permits(2);
        assert_eq!(first.await.unwrap(), Ok(1));
        for one in later {
            assert_eq!(one.await.unwrap(), Ok(2));
        }
        assert_eq!(begun.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn what_failed_is_tried_again() {
        let wishes = Wishes::<u32>::default();
        assert_eq!(wishes.grant(async || Err("no")).await, Err("no"));
        assert_eq!(wishes.grant(async || Ok::<_, &str>(7)).await, Ok(7));
    }
}
