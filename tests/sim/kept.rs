//! What a store keeps, in memory and without faults: each write does at once what the store's own does in its file.
//!
//! Besides the simulation, the oracles of fuzzing and the tests of the node include this file.

use std::collections::BTreeMap;
use std::sync::Arc;

use grapevine::replica::{Batch, Facts, HistoryHead, IncarnationId, Saved, SavedZone, Write};
use grapevine::zone::Name;

/// What is kept, of all zones.
#[derive(Clone, Default)]
pub(crate) struct Kept {
    pub(crate) facts: Facts,
    pub(crate) zones: BTreeMap<IncarnationId, KeptZone>,
    histories: BTreeMap<Name, HistoryHead>,
}

/// What is kept of one life of a zone.
#[derive(Clone, Default)]
pub(crate) struct KeptZone {
    checkpoint: Option<(u64, Vec<Arc<[u8]>>)>,
    pub(crate) journal: BTreeMap<u64, Arc<Batch>>,
}

impl Kept {
    pub(crate) fn keep(&mut self, writes: Vec<Write>) {
        for write in writes {
            match write {
                Write::Journal { position, batch } => {
                    self.zones.entry(batch.incarnation).or_default().journal.insert(position, batch);
                }
                Write::Erase { incarnation, positions } => {
                    let zone = self.zones.entry(incarnation).or_default();
                    zone.journal.retain(|position, _| !positions.contains(position));
                }
                Write::Checkpoint { incarnation, position, state, keep_from, .. } => {
                    let zone = self.zones.entry(incarnation).or_default();
                    zone.checkpoint = Some((position, state.iter().map(Arc::from).collect()));
                    zone.journal = zone.journal.split_off(&keep_from);
                }
                Write::Forget { incarnation } => drop(self.zones.remove(&incarnation)),
                Write::History { entry, head } => drop(self.histories.insert(entry.zone.clone(), head)),
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
}
