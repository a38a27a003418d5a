//! Work that takes longer than a moment: nothing else waits for it, and no more of it is done at once than leaves processors
//! to those who call.

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Semaphore;

static TURNS: Semaphore = Semaphore::const_new(2);

/// Does the work when it is its turn. Whatever else ran on this thread goes on elsewhere.
pub(crate) async fn aside<T>(work: impl FnOnce() -> T) -> T {
    // never closed
    let _turn = TURNS.acquire().await;
    let others_go_on = Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread;
    if others_go_on { tokio::task::block_in_place(work) } else { work() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;
    use tokio::time::Instant;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn long_work_holds_nobody_up_and_is_done_two_at_once() {
        static AT_ONCE: AtomicUsize = AtomicUsize::new(0);
        let work = || {
            let others = AT_ONCE.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(300));
            AT_ONCE.fetch_sub(1, Ordering::SeqCst);
            others
        };
        let all: Vec<_> = (0..6).map(|_| tokio::spawn(aside(work))).collect();
        let begun = Instant::now();
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(begun.elapsed() < Duration::from_millis(280), "{:?}", begun.elapsed());
        for one in all {
            assert!(one.await.unwrap() < 2);
        }
    }
}
