//! The store's own thread: takes requests as they come, keeps all that are waiting in one transaction, and reports each.
//!
//! A disk takes about as long to keep many edits as to keep one, so what piles up while it works goes together.

use std::io;
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};

use super::{BackupError, Snapshot, Store};
use crate::replica::{HistoryPage, HistoryQuery, Write};

/// Requests that may wait. With as many the disk is far behind, and the node is better told so than left to pile up
/// memory.
const WAITING: usize = 1024;

/// Requests kept in one transaction: more gains no speed and makes the first ones wait for the last.
const GROUP: usize = 256;

/// What became of one request.
#[derive(Debug)]
pub struct Report {
    /// The number that the request came with.
    pub id: u64,
    /// After `Ok` all of its writes are on disk; after an error none is.
    pub result: Result<(), String>,
}

struct Request {
    id: u64,
    writes: Vec<Write>,
}

/// Where the answer to a query of the history goes.
type HistoryReply = oneshot::Sender<Result<HistoryPage, String>>;

/// Where a snapshot goes, or why there is none.
type SnapshotReply = oneshot::Sender<Result<Snapshot, BackupError>>;

enum Job {
    Keep(Request),
    Read(HistoryQuery, HistoryReply),
    Snapshot(SnapshotReply),
}

/// The way to the store's thread.
#[derive(Debug)]
pub struct Writer {
    requests: mpsc::Sender<Job>,
    thread: JoinHandle<Store>,
}

impl Writer {
    /// Moves the store to a thread of its own. Reports come in the order of the requests; their queue needs no bound,
    /// as there is one for each request that was let in.
    pub fn start(store: Store) -> io::Result<(Writer, mpsc::UnboundedReceiver<Report>)> {
        let (requests, waiting) = mpsc::channel(WAITING);
        let (reports, results) = mpsc::unbounded_channel();
        let thread =
            std::thread::Builder::new().name("store".to_owned()).spawn(move || serve(store, waiting, &reports))?;
        Ok((Writer { requests, thread }, results))
    }

    /// Asks for writes to be kept, all or none, after all earlier ones. Waits while too many requests do.
    ///
    /// After an error nothing was kept and the store is gone: its thread has ended.
    pub async fn persist(&self, id: u64, writes: Vec<Write>) -> Result<(), StoreGone> {
        self.requests.send(Job::Keep(Request { id, writes })).await.map_err(|_| StoreGone)
    }

    /// Asks for entries of the history, as it is after all earlier writes.
    pub async fn history(&self, query: HistoryQuery, reply: HistoryReply) -> Result<(), StoreGone> {
        self.requests.send(Job::Read(query, reply)).await.map_err(|_| StoreGone)
    }

    /// Asks for a snapshot with all earlier writes.
    pub async fn snapshot(&self, reply: SnapshotReply) -> Result<(), StoreGone> {
        self.requests.send(Job::Snapshot(reply)).await.map_err(|_| StoreGone)
    }

    /// Lets the thread finish what waits, and gives the store back. Blocks until then.
    ///
    /// # Panics
    /// If the thread did.
    pub fn close(self) -> Store {
        drop(self.requests);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// The store's thread has ended, which only a bug can cause.
#[derive(Debug, thiserror::Error)]
#[error("the store's thread has ended")]
pub struct StoreGone;

fn serve(mut store: Store, mut waiting: mpsc::Receiver<Job>, reports: &mpsc::UnboundedSender<Report>) -> Store {
    let mut jobs = Vec::with_capacity(GROUP);
    while waiting.blocking_recv_many(&mut jobs, GROUP) > 0 {
        let (mut group, mut queries, mut snapshots) = (Vec::new(), Vec::new(), Vec::new());
        for job in jobs.drain(..) {
            match job {
                Job::Keep(request) => group.push(request),
                Job::Read(query, reply) => queries.push((query, reply)),
                Job::Snapshot(reply) => snapshots.push(reply),
            }
        }
        let results = keep(&mut store, &group);
        for (request, result) in group.drain(..).zip(results) {
            // Nobody listens any more while the daemon stops: the writes are kept all the same.
            let _ = reports.send(Report { id: request.id, result });
        }
        for (query, reply) in queries {
            // Nor does anybody who has hung up.
            let _ = reply.send(store.history(&query));
        }
        for reply in snapshots {
            // Nor does anybody who has hung up.
            let _ = reply.send(store.snapshot());
        }
    }
    store
}

/// Keeps a group of requests together, or, if that fails, each alone, so that a failure hits only what it must: on a
/// full disk a small edit may still fit, and an entry that has lost its predecessor drags no other with it.
fn keep(store: &mut Store, group: &[Request]) -> Vec<Result<(), String>> {
    if group.is_empty() {
        return Vec::new();
    }
    let together: Vec<&[Write]> = group.iter().map(|request| request.writes.as_slice()).collect();
    let Err(error) = store.commit(&together) else {
        return vec![Ok(()); group.len()];
    };
    tracing::warn!(%error, requests = group.len(), "cannot store edits");
    if group.len() == 1 {
        return vec![Err(error.to_string())];
    }
    together.iter().map(|writes| store.commit(&[writes]).map_err(|error| error.to_string())).collect()
}
