//! A node's store in memory, without the faults of the simulation's: what was kept comes back after a restart.

use std::collections::BTreeMap;
use std::sync::Arc;

use grapevine::replica::{Batch, Facts, HistoryHead, IncarnationId, Saved, SavedZone, Write};
use grapevine::zone::Name;

#[derive(Default)]
pub(super) struct Store {
    facts: Facts,
    zones: BTreeMap<IncarnationId, Zone>,
    histories: BTreeMap<Name, HistoryHead>,
}

#[derive(Default)]
struct Zone {
    checkpoint: Option<(u64, Vec<Arc<[u8]>>)>,
    journal: BTreeMap<u64, Arc<Batch>>,
}

impl Store {
    pub(super) fn keep(&mut self, writes: Vec<Write>) {
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

    pub(super) fn read(&self) -> Saved {
        let zones = self.zones.iter().map(|(incarnation, zone)| SavedZone {
            incarnation: *incarnation,
            checkpoint: zone.checkpoint.clone(),
            journal: zone.journal.iter().map(|(position, batch)| (*position, batch.clone())).collect(),
        });
        let histories = self.histories.iter().map(|(zone, head)| (zone.clone(), head.clone()));
        Saved { facts: self.facts.clone(), zones: zones.collect(), histories: histories.collect() }
    }
}
