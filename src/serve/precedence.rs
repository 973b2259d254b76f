//! Whose turn it is on a core that has not enough time for all: while threads that answer have more queries than they can
//! take at once, the process's other threads give way to them.
//!
//! An edit is made in a dozen short pieces on several threads. Each of them that wakes up interrupts the thread that answers
//! on its core and leaves it a cold cache, which costs more than the piece itself. Under load they wait for their turn
//! instead ([`Policy::Batch`]): an edit takes some 20 ms there rather than 6, and answers cost an eighth less
//! (`docs/performance.md`). At all other times they are scheduled as ever: what else runs on the machine has no precedence.

use std::convert::Infallible;
use std::fs;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use libc::pid_t;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::sys::{self, Policy};

/// A batch of this size found queries waiting.
const FULL: usize = 16;
/// After so many full batches a thread counts as under load: some hundredths of a second.
const MANY: u32 = 256;
/// Of which each batch that is not full takes back so many.
const TAKEN_BACK: u32 = 8;
/// After so long without load others need not give way any more.
const CALM: Duration = Duration::from_secs(1);

/// Which threads answer, and whether one is under load.
#[derive(Debug, Default)]
pub(super) struct Precedence {
    answering: Mutex<Vec<pid_t>>,
    loaded: Notify,
}

/// How the batches of one thread come.
pub(super) struct Burden<'p> {
    precedence: &'p Precedence,
    full: u32,
}

impl Precedence {
    /// The calling thread answers, from now on.
    pub(super) fn enter(&self) -> Burden<'_> {
        self.answering.lock().unwrap_or_else(PoisonError::into_inner).push(sys::thread_id());
        Burden { precedence: self, full: 0 }
    }

    /// Has the other threads give way whenever one that answers is under load, as long as it is polled.
    pub(super) async fn watch(&self) -> Infallible {
        loop {
            self.loaded.notified().await;
            tracing::debug!("answering takes all of a core: other work gives way");
            let given_way = self.change(Policy::Other, Policy::Batch);
            while timeout(CALM, self.loaded.notified()).await.is_ok() {}
            // Whoever started the process with another policy knows why.
            if given_way {
                self.change(Policy::Batch, Policy::Other);
            }
        }
    }

    /// Changes the policy of the threads that do not answer. Whether any had the first.
    fn change(&self, from: Policy, to: Policy) -> bool {
        let answering = self.answering.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let threads = fs::read_dir("/proc/self/task").into_iter().flatten();
        let threads = threads.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<pid_t>().ok());
        let mut changed = false;
        for thread in threads.filter(|thread| !answering.contains(thread)) {
            match sys::change_policy(thread, from, to) {
                Ok(had_it) => changed |= had_it,
                // It may have ended.
                Err(error) => tracing::debug!(%error, thread, "a thread is scheduled as before"),
            }
        }
        changed
    }
}

impl Burden<'_> {
    /// Takes note of a batch.
    #[inline]
    pub(super) fn note(&mut self, received: usize) {
        if received < FULL {
            self.full = self.full.saturating_sub(TAKEN_BACK);
            return;
        }
        self.full += 1;
        if self.full == MANY {
            self.full = 0;
            self.precedence.loaded.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};
    use std::time::Instant;

    use super::*;

    /// A thread that waits until its channel closes, and its number.
    fn thread(prepare: impl FnOnce() + Send + 'static) -> (pid_t, mpsc::Sender<()>) {
        let (number_in, number) = mpsc::channel();
        let (end, wait) = mpsc::channel();
        std::thread::spawn(move || {
            prepare();
            number_in.send(sys::thread_id()).expect("the test waits");
            let _ended = wait.recv();
        });
        (number.recv().expect("it tells"), end)
    }

    async fn await_policy(thread: pid_t, policy: Policy) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !sys::change_policy(thread, policy, policy).expect("the thread lives") {
            assert!(Instant::now() < deadline, "it never became {policy:?}");
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn other_threads_give_way_under_load_and_only_then() {
        let precedence = Arc::new(Precedence::default());
        let (other, _other_lives) = thread(|| {});
        let entering = Arc::clone(&precedence);
        let (answering, _answering_lives) = thread(move || entering.enter().note(0));
        let watching = Arc::clone(&precedence);
        let watch = tokio::spawn(async move { watching.watch().await });
        let mut burden = Burden { precedence: &precedence, full: 0 };
        (0..MANY).for_each(|_| burden.note(FULL));
        await_policy(other, Policy::Batch).await;
        await_policy(answering, Policy::Other).await;
        await_policy(other, Policy::Other).await;
        watch.abort();
    }

    #[test]
    fn a_burst_now_and_then_is_no_load() {
        let precedence = Precedence::default();
        let mut burden = precedence.enter();
        for _ in 0..100 {
            (0..MANY - 1).for_each(|_| burden.note(FULL));
            (0..MANY / TAKEN_BACK).for_each(|_| burden.note(1));
        }
        assert_eq!(burden.full, 0);
    }
}
