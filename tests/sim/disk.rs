//! A machine's store in the simulation: atomic groups of writes, on their way until they are synced, and the faults of
//! a disk.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use grapevine::node::PersistId;
use grapevine::replica::{
    Batch, Facts, HistoryHead, IncarnationId, Replica, Saved, SavedZone, Summary, Write, ZoneState, catalog_name,
};
use grapevine::zone::{Name, Rdata};
use rand::RngExt;
use rand::rngs::StdRng;

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
    facts: Facts,
    zones: BTreeMap<IncarnationId, Zone>,
    unsynced: VecDeque<(PersistId, Vec<Write>)>,
    /// Something is on it that was reported as not kept.
    pub(crate) keeps_more: bool,
    histories: BTreeMap<Name, HistoryHead>,
}

#[derive(Clone, Default)]
struct Zone {
    checkpoint: Option<(u64, Vec<Arc<[u8]>>)>,
    journal: BTreeMap<u64, Arc<Batch>>,
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
        let facts = Facts { actor: None, ..self.facts.clone() };
        Disk { facts, unsynced: VecDeque::new(), ..self.clone() }
    }

    /// A copy of the files as they are on disk.
    pub(crate) fn copy(&self) -> Disk {
        Disk { unsynced: VecDeque::new(), ..self.clone() }
    }

    pub(crate) fn commit(&mut self, writes: Vec<Write>) {
        for write in writes {
            match write {
                Write::Journal { position, batch } => {
                    self.zones.entry(batch.incarnation).or_default().journal.insert(position, batch);
                }
                Write::Erase { incarnation, positions } => {
                    let zone = self.zones.entry(incarnation).or_default();
                    zone.journal.retain(|position, _| !positions.contains(position));
                }
                Write::Checkpoint { incarnation, position, chunks, keep_from, .. } => {
                    let zone = self.zones.entry(incarnation).or_default();
                    zone.checkpoint = Some((position, chunks));
                    zone.journal = zone.journal.split_off(&keep_from);
                }
                Write::Forget { incarnation } => {
                    self.zones.remove(&incarnation);
                }
                Write::History { entry, head } => {
                    self.histories.insert(entry.zone.clone(), head);
                }
                Write::Facts(facts) => self.facts = facts,
            }
        }
    }

    pub(crate) fn read(&self) -> Saved {
        let zones = self.zones.iter().map(|(incarnation, zone)| SavedZone {
            incarnation: *incarnation,
            checkpoint: zone.checkpoint.clone(),
            journal: zone.journal.iter().map(|(position, batch)| (*position, batch.clone())).collect(),
        });
        let histories = self.histories.iter().map(|(zone, head)| (zone.clone(), head.clone()));
        Saved { facts: self.facts.clone(), zones: zones.collect(), histories: histories.collect() }
    }

    /// Which batches a node would have that started from this disk.
    pub(crate) fn holds(&self) -> Vec<Summary> {
        Replica::load(self.read()).0.summaries()
    }

    /// The journalled batches.
    pub(crate) fn batches(&self) -> impl Iterator<Item = &Arc<Batch>> {
        self.zones.values().flat_map(|zone| zone.journal.values())
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
        Write::Checkpoint { incarnation, position, keep_from, chunks, .. } => {
            let state = ZoneState::decode(chunks.iter().map(|chunk| &**chunk)).expect("nodes write what decodes");
            format!("{incarnation:?} whole {:?} @{position}, journal from {keep_from}", state.version())
        }
        Write::Forget { incarnation } => format!("{incarnation:?} gone"),
        Write::History { entry, .. } => format!("history of {}", entry.zone),
        Write::Erase { incarnation, positions } => format!("{incarnation:?} without {positions:?}"),
        Write::Facts(facts) => format!("facts of generation {}", facts.generation),
    };
    writes.iter().map(one).collect::<Vec<_>>().join(", ")
}
