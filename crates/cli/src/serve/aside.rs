//! Work on files that may never come back, done where nobody else has to wait for it.

use std::{sync::Arc, time::Duration};
use tokio::{sync::Semaphore, time};

/// How long files may take to be read.
const PATIENCE: Duration = Duration::from_secs(10);
/// Readings that may hang at the same time. Whoever hangs keeps a thread, and threads are few.
const HANGING_MAX: usize = 4;

/// Runs what may hang, and gives it up after a while.
#[derive(Debug)]
pub(super) struct Aside {
    room: Arc<Semaphore>,
    patience: Duration,
}

impl Default for Aside {
    fn default() -> Self {
        Self::new(PATIENCE)
    }
}

impl Aside {
    fn new(patience: Duration) -> Self {
        Self { room: Arc::new(Semaphore::new(HANGING_MAX)), patience }
    }

    /// What `work` says. Its thread is lost for as long as it hangs; the next try has one of its own.
    ///
    /// Errors: it did not end in time, or did not begin because too many hang already; a sentence.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        what: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, String> {
        let Ok(permit) = Arc::clone(&self.room).try_acquire_owned() else {
            return Err(format!(
                "{what} were not read: {HANGING_MAX} earlier readings still wait; is a disk or a network folder gone?"
            ));
        };
        let work = move || {
            let done = work();
            drop(permit);
            done
        };
        match time::timeout(self.patience, tokio::task::spawn_blocking(work)).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(_)) => Err(format!("whoever read {what} panicked")),
            Err(_) => Err(format!(
                "{what} could not be read within {} seconds: is a disk or a network folder gone?",
                self.patience.as_secs()
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[tokio::test]
    async fn what_hangs_is_given_up_and_the_next_try_begins_anew_until_too_many_hang() {
        let aside = Aside::new(Duration::from_millis(50));
        let mut hanging = Vec::new();
        for _ in 0..HANGING_MAX {
            let (go_on, wait) = mpsc::channel::<()>();
            let told = aside.run("the files", move || wait.recv().is_ok()).await.unwrap_err();
            assert!(told.contains("the files could not be read within"), "{told}");
            hanging.push(go_on);
        }
        let told = aside.run("the files", || true).await.unwrap_err();
        assert!(told.contains("4 earlier readings still wait"), "{told}");
        hanging.pop().unwrap().send(()).unwrap();
        while aside.room.available_permits() == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(aside.run("the files", || true).await, Ok(true));
        drop(hanging);
    }
}
