//! The store's own thread: takes requests as they come, keeps all that are waiting in one transaction, and reports each.
//!
//! A disk takes about as long to keep many edits as to keep one, so what piles up while it works goes together; and
//! while edits come in a stream, a commit waits a moment for more of them ([`super::pace`]).

use std::io;
use std::ops::ControlFlow;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use super::pace::Pace;
use super::{BackupError, Snapshot, Store};
use crate::replica::{HistoryPage, HistoryQuery, Write, WriteSet};

/// Requests kept in one transaction: more gains no speed and makes the first ones wait for the last.
const GROUP: usize = 256;

/// How long entries of the history, for which nobody waits, wait for something to go with.
const PATIENCE: Duration = Duration::from_millis(50);

/// Questions that may wait. Each has somebody who waits for the answer.
const QUESTIONS: usize = 4;

/// What became of a set of writes: after `Ok` all of them are on disk, after an error none is.
pub type Report<Id> = (Id, Result<(), String>);

/// Where the answer to a query of the history goes.
type HistoryReply = oneshot::Sender<Result<HistoryPage, String>>;

/// Where a snapshot goes, or why there is none.
type SnapshotReply = oneshot::Sender<Result<Snapshot, BackupError>>;

enum Question {
    History(HistoryQuery, HistoryReply),
    Snapshot(SnapshotReply),
}

/// The way to the store's thread for all but writes.
#[derive(Debug)]
pub struct Writer {
    questions: mpsc::Sender<Question>,
    thread: JoinHandle<Store>,
}

impl Writer {
    /// Moves the store to a thread of its own, which takes requests from a channel and reports in their order. It ends
    /// when the channel does and all that was in it is kept. To be called on a tokio runtime.
    pub fn start<Id: Send + 'static>(
        store: Store,
        requests: mpsc::Receiver<WriteSet<Id>>,
        reports: mpsc::Sender<Report<Id>>,
    ) -> io::Result<Writer> {
        let (sender, questions) = mpsc::channel(QUESTIONS);
        let (runtime, inputs) = (Handle::current(), Inputs { requests, questions, group: Vec::new() });
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || serve(store, &runtime, inputs, &reports))?;
        Ok(Writer { questions: sender, thread })
    }

    /// Asks for entries of the history, as it is after all earlier writes.
    pub async fn history(&self, query: HistoryQuery, reply: HistoryReply) -> Result<(), StoreGone> {
        self.questions.send(Question::History(query, reply)).await.map_err(|_| StoreGone)
    }

    /// Asks for a snapshot with all earlier writes.
    pub async fn snapshot(&self, reply: SnapshotReply) -> Result<(), StoreGone> {
        self.questions.send(Question::Snapshot(reply)).await.map_err(|_| StoreGone)
    }

    /// Waits until the thread has ended, or is about to.
    pub async fn ended(&self) {
        self.questions.closed().await;
    }

    /// Gives the store back once the thread has ended. Blocks until then.
    ///
    /// # Panics
    /// If the thread did.
    pub fn close(self) -> Store {
        drop(self.questions);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// The store's thread has ended, which before the daemon stops only a bug can cause.
#[derive(Debug, thiserror::Error)]
#[error("the store's thread has ended")]
pub struct StoreGone;

/// What the thread waits for, and what it has been given and not kept yet.
struct Inputs<Id> {
    requests: mpsc::Receiver<WriteSet<Id>>,
    questions: mpsc::Receiver<Question>,
    group: Vec<WriteSet<Id>>,
}

impl<Id> Inputs<Id> {
    /// Waits until there is something to keep that somebody waits for, or a question. Breaks when the node has gone.
    async fn wait(&mut self) -> ControlFlow<(), Option<Question>> {
        let patience = tokio::time::sleep(PATIENCE);
        tokio::pin!(patience);
        while self.group.len() < GROUP && self.group.iter().all(|set| is_history(&set.writes)) {
            let room = GROUP - self.group.len();
            tokio::select! {
                biased;
                count = self.requests.recv_many(&mut self.group, room) => if count == 0 {
                    return ControlFlow::Break(());
                },
                Some(question) = self.questions.recv() => return ControlFlow::Continue(Some(question)),
                () = &mut patience, if !self.group.is_empty() => break,
            }
        }
        ControlFlow::Continue(None)
    }

    /// Waits so long for more, but for writes that have waited already.
    async fn linger(&mut self, pause: Duration) {
        let pause = tokio::time::sleep(pause);
        tokio::pin!(pause);
        while self.group.len() < GROUP && !self.group.iter().any(|set| set.gathered) {
            let room = GROUP - self.group.len();
            tokio::select! {
                biased;
                count = self.requests.recv_many(&mut self.group, room) => if count == 0 { break },
                () = &mut pause => break,
            }
        }
    }

    /// Takes what else is there.
    fn gather(&mut self) {
        while self.group.len() < GROUP
            && let Ok(request) = self.requests.try_recv()
        {
            self.group.push(request);
        }
    }
}

fn is_history(writes: &[Write]) -> bool {
    writes.iter().all(|write| matches!(write, Write::History { .. }))
}

fn serve<Id>(mut store: Store, runtime: &Handle, mut inputs: Inputs<Id>, reports: &mpsc::Sender<Report<Id>>) -> Store {
    let mut pace = Pace::default();
    loop {
        let waited = runtime.block_on(inputs.wait());
        if matches!(waited, ControlFlow::Continue(None)) {
            let pause = pace.pause(Instant::now());
            if !pause.is_zero() {
                runtime.block_on(inputs.linger(pause));
            }
            inputs.gather();
            pace.began(Instant::now(), inputs.group.len());
        } else {
            inputs.gather();
        }
        let results = keep(&mut store, &inputs.group);
        for (WriteSet { id, .. }, result) in inputs.group.drain(..).zip(results) {
            // Nobody listens any more while the daemon stops: the writes are kept all the same.
            let _ = reports.blocking_send((id, result));
        }
        match waited {
            ControlFlow::Break(()) => return store,
            ControlFlow::Continue(question) => question.into_iter().for_each(|question| answer(&mut store, question)),
        }
    }
}

fn answer(store: &mut Store, question: Question) {
    // Somebody who has hung up needs no answer.
    match question {
        Question::History(query, reply) => drop(reply.send(store.history(&query))),
        Question::Snapshot(reply) => drop(reply.send(store.snapshot())),
    }
}

/// Keeps a group of requests together, or, if that fails, each alone, so that a failure hits only what it must: on a
/// full disk a small edit may still fit, and an entry that has lost its predecessor drags no other with it.
fn keep<Id>(store: &mut Store, group: &[WriteSet<Id>]) -> Vec<Result<(), String>> {
    if group.is_empty() {
        return Vec::new();
    }
    let together: Vec<&[Write]> = group.iter().map(|set| set.writes.as_slice()).collect();
    let Err(error) = store.commit(&together) else {
        return vec![Ok(()); group.len()];
    };
    tracing::warn!(%error, requests = group.len(), "cannot store edits");
    if group.len() == 1 {
        return vec![Err(error.to_string())];
    }
    together.iter().map(|writes| store.commit(&[writes]).map_err(|error| error.to_string())).collect()
}
