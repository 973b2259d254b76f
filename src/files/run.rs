//! The task of the zone files: waits for hints, published zones and decisions, and does what is due, one thing after
//! another.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::directory::{Ask, QUIET, RETRY, UNSEEN, ZoneFiles};
use super::held::Held;
use super::watcher::{Hint, Watcher};
use crate::decision::DecisionRequest;
use crate::node::{Applied, Command, CommandError};
use crate::zone::ZoneSet;

/// Between looks at all files, for changes that the system gave no hint of, as on network file systems.
const RESCAN: Duration = Duration::from_secs(3);

/// After a look at all files at least so many times as long as it took: with thousands of files it must not keep a
/// processor busy that has queries to answer.
const REST: u32 = 50;

/// Between looks at what is published, and at least so many times as long as a look took: while edits come in a stream
/// nobody needs each of the versions in a file.
const PUBLISHED_REST: Duration = Duration::from_millis(20);

/// Of files that are due in thousands, as at a start, so much is done before the next look at what happened meanwhile:
/// somebody may have saved another one.
const SLICE: Duration = Duration::from_millis(200);

/// Decisions that may wait.
const DECISIONS: usize = 16;

/// Commands on their way to the node at once: they are stored together, so several files saved at once take no longer
/// than one.
const ASK_AT_ONCE: usize = 64;

/// A command for the node, and where its result goes.
pub type CommandRequest = (Command, oneshot::Sender<Result<Applied, CommandError>>);

/// The way to the zone files.
#[derive(Clone, Debug)]
pub struct FilesHandle {
    /// The files held at the moment.
    pub held: watch::Receiver<Arc<Vec<Held>>>,
    /// Where decisions go.
    pub requests: mpsc::Sender<DecisionRequest>,
}

/// The node has gone, so nothing can be taken over any more.
#[derive(Debug)]
pub(super) struct Stopped;

/// The node as the zone files see it.
pub(super) struct Node {
    commands: mpsc::Sender<CommandRequest>,
}

impl Node {
    /// Asks the node and waits for the answer.
    pub(super) async fn ask(&self, command: Command) -> Result<Result<Applied, CommandError>, Stopped> {
        self.send(command).await?.await.map_err(|_| Stopped)
    }

    async fn send(&self, command: Command) -> Result<oneshot::Receiver<Result<Applied, CommandError>>, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.commands.send((command, reply)).await.map_err(|_| Stopped)?;
        Ok(answer)
    }
}

/// What the task waits for besides time.
struct Inputs {
    node: Node,
    zones: watch::Receiver<Arc<ZoneSet>>,
    requests: mpsc::Receiver<DecisionRequest>,
    watcher: Watcher,
    next_rescan: Instant,
    next_retry: Instant,
    next_published: Instant,
    /// Whether there is more to write back at once.
    is_behind: bool,
}

impl ZoneFiles {
    /// The way to reach the files, and the task that keeps them: it ends when told to, or when the node has gone. It
    /// does its work on a thread of the runtime's blocking pool.
    pub fn start(
        self,
        commands: mpsc::Sender<CommandRequest>,
        zones: watch::Receiver<Arc<ZoneSet>>,
        stop: CancellationToken,
    ) -> (FilesHandle, impl Future<Output = ()> + Send) {
        let (sender, requests) = mpsc::channel(DECISIONS);
        let handle = FilesHandle { held: self.held.watch(), requests: sender };
        let task = async move {
            let runtime = tokio::runtime::Handle::current();
            // Large files take seconds to read: not on a thread that others need.
            let thread = tokio::task::spawn_blocking(move || {
                let now = Instant::now();
                let (node, watcher) = (Node { commands }, Watcher::start());
                let (next_rescan, next_retry, next_published) = (now, now, now);
                let inputs = Inputs {
                    node,
                    zones,
                    requests,
                    watcher,
                    next_rescan,
                    next_retry,
                    next_published,
                    is_behind: false,
                };
                runtime.block_on(self.run(inputs, stop));
            });
            if let Err(error) = thread.await {
                std::panic::resume_unwind(error.into_panic());
            }
        };
        (handle, task)
    }

    async fn run(mut self, mut inputs: Inputs, stop: CancellationToken) {
        let published = inputs.zones.borrow_and_update().clone();
        self.publish(published);
        // From before the first look on: with thousands of files that look takes a while, and a save meanwhile goes first.
        inputs.watcher.watch(self.directories());
        loop {
            let step = async {
                self.work(&mut inputs).await?;
                self.wait(&mut inputs).await
            };
            tokio::select! {
                () = stop.cancelled() => return,
                result = step => if let Err(Stopped) = result { return },
            }
        }
    }

    /// Waits until something happens or is due.
    async fn wait(&mut self, inputs: &mut Inputs) -> Result<(), Stopped> {
        let due = self.due.values().min().copied();
        let retry = (!self.deferred.is_empty()).then_some(inputs.next_retry);
        let rested = self.resting.values().min().copied();
        let looks = Instant::now() >= inputs.next_published;
        let published = (!looks).then_some(inputs.next_published);
        let behind = inputs.is_behind.then(Instant::now);
        let next = [due, retry, rested, published, behind].into_iter().flatten().fold(inputs.next_rescan, Instant::min);
        tokio::select! {
            () = tokio::time::sleep_until(next.into()) => {}
            hint = inputs.watcher.next() => self.take(hint),
            changed = inputs.zones.changed(), if looks => {
                changed.map_err(|_| Stopped)?;
                let began = Instant::now();
                let published = inputs.zones.borrow_and_update().clone();
                self.publish(published);
                inputs.next_published = began + PUBLISHED_REST.max(began.elapsed() * REST);
            }
            Some(request) = inputs.requests.recv() => {
                let outcome = self.decide(&inputs.node, &request.origin, request.decision).await?;
                // Whoever asked may have gone; it is done all the same.
                let _ = request.reply.send(outcome);
            }
        }
        while let Some(hint) = inputs.watcher.try_next() {
            self.take(hint);
        }
        Ok(())
    }

    fn take(&mut self, hint: Hint) {
        match hint {
            Hint::At(path, kind) => self.touched(&path, kind),
            Hint::Lost => self.rescan(QUIET),
        }
    }

    /// Does what is due.
    async fn work(&mut self, inputs: &mut Inputs) -> Result<(), Stopped> {
        let now = Instant::now();
        if now >= inputs.next_rescan {
            self.rescan(UNSEEN);
            self.outdated.append(&mut self.unwritten);
            inputs.next_rescan = now + RESCAN.max(now.elapsed() * REST);
        }
        if now >= inputs.next_retry {
            // One asks for all: as long as the node refuses it, it refuses the others too.
            if let Some(origin) = self.deferred.pop_first() {
                self.due.insert(origin, now);
            }
            inputs.next_retry = now + RETRY;
        }
        self.look_at_due(&inputs.node).await?;
        inputs.is_behind = self.write_back(SLICE);
        if inputs.watcher.watch(self.directories()) {
            self.rescan(QUIET);
        }
        Ok(())
    }

    /// Looks at files that are due, for a while.
    async fn look_at_due(&mut self, node: &Node) -> Result<(), Stopped> {
        let began = Instant::now();
        let due = self.next_due(began);
        for origins in due.chunks(ASK_AT_ONCE) {
            let mut asked: Vec<(Ask, _)> = Vec::new();
            for origin in origins {
                self.due.remove(origin);
                if let Some(ask) = self.look(origin) {
                    let answer = node.send(ask.command.clone()).await?;
                    asked.push((ask, answer));
                }
            }
            for (ask, answer) in asked {
                let answer = answer.await.map_err(|_| Stopped)?;
                self.conclude(ask, answer);
            }
            if began.elapsed() >= SLICE {
                break;
            }
        }
        Ok(())
    }
}
