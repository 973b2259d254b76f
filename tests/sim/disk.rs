//! A machine's store in the simulation: atomic groups of writes, on their way until they are synced, and the faults of
//! a disk.

use std::collections::VecDeque;
use std::sync::Arc;

use grapevine::node::PersistId;
use grapevine::replica::{Batch, Replica, Saved, Summary, Write, catalog_name};
use grapevine::zone::Rdata;
use rand::RngExt;
use rand::rngs::StdRng;

use super::kept::Kept;

/// What is wrong with a disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Fault {
    #[default]
    None,
    /// No write succeeds, but some of those that are said to have failed are on disk all the same.
    Full,
    /// Nothing is written.
    ReadOnly,
}

/// What survives a crash, and what was on its way when it came.
#[derive(Clone, Default)]
pub(crate) struct Disk {
    kept: Kept,
    unsynced: VecDeque<(PersistId, Vec<Write>)>,
    /// Something is on it that was reported as not kept.
    pub(crate) keeps_more: bool,
}

impl Disk {
    /// Takes in a group that is not safe yet.
    pub(crate) fn begin(&mut self, id: PersistId, writes: Vec<Write>) {
        self.unsynced.push_back((id, writes));
    }

    /// Makes the oldest group safe, or not, as the fault has it. Returns the group if it is reported as kept.
    pub(crate) fn sync(&mut self, fault: Fault, rng: &mut StdRng) -> (PersistId, Result<Vec<Write>, String>) {
        let (id, writes) = self.unsynced.pop_front().expect("a group was begun for each sync");
        let result = match fault {
            Fault::None => {
                self.commit(writes.clone());
                Ok(writes)
            }
            Fault::Full => {
                if rng.random_bool(0.3) {
                    self.commit(writes);
                    self.keeps_more = true;
                }
                Err("no space left on device".to_owned())
            }
            Fault::ReadOnly => Err("read-only file system".to_owned()),
        };
        (id, result)
    }

    /// Power goes. Of the groups on their way the first few may have reached the disk: whole ones, and none without
    /// those before it. Returns whether any were lost, and whether any were kept though nobody was told.
    pub(crate) fn crash(&mut self, fault: Fault, rng: &mut StdRng) -> (bool, bool) {
        let all = self.unsynced.len();
        let kept = if fault == Fault::None { rng.random_range(0..=all) } else { 0 };
        let unsynced = std::mem::take(&mut self.unsynced);
        for (_, writes) in unsynced.into_iter().take(kept) {
            self.commit(writes);
        }
        (kept < all, kept > 0)
    }

    /// The process ends as it should: all groups are written out.
    pub(crate) fn flush(&mut self) {
        for (_, writes) in std::mem::take(&mut self.unsynced) {
            self.commit(writes);
        }
    }

    pub(crate) fn has_unsynced(&self) -> bool {
        !self.unsynced.is_empty()
    }

    /// What a copy of the files brings to another directory: all that is synced. The store sees that it is not at home
    /// any more and gives up its actor.
    pub(crate) fn moved(&self) -> Disk {
        let mut moved = self.copy();
        moved.kept.facts.actor = None;
        moved
    }

    /// A copy of the files as they are on disk.
    pub(crate) fn copy(&self) -> Disk {
        Disk { unsynced: VecDeque::new(), ..self.clone() }
    }

    pub(crate) fn commit(&mut self, writes: Vec<Write>) {
        self.kept.keep(writes);
    }

    pub(crate) fn read(&self) -> Saved {
        self.kept.read()
    }

    /// Which batches a node would have that started from this disk.
    pub(crate) fn holds(&self) -> Vec<Summary> {
        Replica::load(self.read()).0.summaries()
    }

    /// The journalled batches.
    pub(crate) fn batches(&self) -> impl Iterator<Item = &Arc<Batch>> {
        self.kept.zones.values().flat_map(|zone| zone.journal.values())
    }
}

/// What a batch of the catalog does: zones listed and taken out, and what is remembered of those.
fn listing(batch: &Batch) -> String {
    let text = |rdata: &Rdata| -> String {
        rdata.as_wire().iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { ' ' }).collect()
    };
    let adds = batch.adds.iter().map(|key| format!(" +{}", text(&key.rdata)));
    let removes = batch.removes.iter().map(|(key, _)| format!(" -{}", text(&key.rdata)));
    adds.chain(removes).collect()
}

/// A group in one line, for traces.
pub(crate) fn describe(writes: &[Write]) -> String {
    let one = |write: &Write| match write {
        Write::Journal { position, batch } => {
            let what = if batch.zone == catalog_name() { listing(batch) } else { String::new() };
            format!("{:?}@{position} {:?}:{}{what}", batch.incarnation, batch.dot.actor, batch.dot.seq)
        }
        Write::Checkpoint { incarnation, position, keep_from, state, .. } => {
            format!("{incarnation:?} whole {:?} @{position}, journal from {keep_from}", state.state().version())
        }
        Write::Forget { incarnation } => format!("{incarnation:?} gone"),
        Write::History { entry, .. } => format!("history of {}", entry.zone),
        Write::Erase { incarnation, positions } => format!("{incarnation:?} without {positions:?}"),
        Write::Facts(facts) => format!("facts of generation {}", facts.generation),
    };
    writes.iter().map(one).collect::<Vec<_>>().join(", ")
}
