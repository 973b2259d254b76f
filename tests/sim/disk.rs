//! A node's store in the simulation: what was kept survives a crash, what was on its way does not. As the real one it
//! takes journal entries without a gap only, and one at a place that is taken drives out what follows.

use std::collections::BTreeMap;
use std::sync::Arc;

use grapevine::replica::{Batch, Facts, IncarnationId, Saved, SavedZone, Write};

#[derive(Clone, Default)]
pub(crate) struct Disk {
    facts: Facts,
    zones: BTreeMap<IncarnationId, Zone>,
}

#[derive(Clone, Default)]
struct Zone {
    checkpoint: Option<(u64, Vec<Arc<[u8]>>)>,
    journal: BTreeMap<u64, Arc<Batch>>,
}

impl Disk {
    /// Keeps all of the writes or none.
    pub(crate) fn commit(&mut self, writes: Vec<Write>) -> Result<(), String> {
        let before = self.clone();
        let result = self.apply(writes);
        if result.is_err() {
            *self = before;
        }
        result
    }

    fn apply(&mut self, writes: Vec<Write>) -> Result<(), String> {
        for write in writes {
            match write {
                Write::Journal { position, batch } => {
                    self.zones.entry(batch.incarnation).or_default().append(position, batch)?;
                }
                Write::Checkpoint { incarnation, position, chunks, keep_from, .. } => {
                    let zone = self.zones.entry(incarnation).or_default();
                    zone.checkpoint = Some((position, chunks));
                    zone.journal = zone.journal.split_off(&keep_from);
                }
                Write::Forget { incarnation } => {
                    self.zones.remove(&incarnation);
                }
                Write::Facts(facts) => self.facts = facts,
            }
        }
        Ok(())
    }

    pub(crate) fn read(&self) -> Saved {
        let zones = self.zones.iter().map(|(incarnation, zone)| SavedZone {
            incarnation: *incarnation,
            checkpoint: zone.checkpoint.clone(),
            journal: zone.journal.iter().map(|(position, batch)| (*position, batch.clone())).collect(),
        });
        Saved { facts: self.facts.clone(), zones: zones.collect() }
    }
}

impl Zone {
    fn append(&mut self, position: u64, batch: Arc<Batch>) -> Result<(), String> {
        let after_last = self.journal.last_key_value().map_or(0, |(last, _)| last + 1);
        let next = after_last.max(self.checkpoint.as_ref().map_or(0, |(contained, _)| *contained));
        if position > next {
            return Err(format!("entry {position} without entry {next}"));
        }
        let kept = self.journal.get(&position).map(|kept| **kept == *batch);
        if position == next || kept == Some(false) {
            self.journal.split_off(&position);
            self.journal.insert(position, batch);
        }
        Ok(())
    }
}
