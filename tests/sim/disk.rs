//! A node's store in the simulation: what was kept survives a crash, what was on its way does not.

use std::collections::BTreeMap;
use std::sync::Arc;

use grapevine::replica::{Batch, Facts, HistoryHead, IncarnationId, Saved, SavedZone, Write};
use grapevine::zone::Name;

#[derive(Clone, Default)]
pub(crate) struct Disk {
    facts: Facts,
    zones: BTreeMap<IncarnationId, Zone>,
    histories: BTreeMap<Name, HistoryHead>,
}

#[derive(Clone, Default)]
struct Zone {
    checkpoint: Option<(u64, Vec<Arc<[u8]>>)>,
    journal: BTreeMap<u64, Arc<Batch>>,
}

impl Disk {
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
}
