//! From a wish to a batch: an edit against the current state, with what its author had seen.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::state::ZoneState;
use super::{Batch, Dot, Hlc, SoaChange, Source, TtlWrite};
use crate::zone::{Change, Name, RecordKey, RecordType, serial_gt, served_serial};

/// Why an edit makes no batch. Nothing was changed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EditError {
    /// It would make an illegal batch or zone.
    #[error("{0}")]
    Invalid(String),
    /// A serial 2^31 or more ahead, which secondaries take for older (RFC 1982 §3.2).
    #[error("serial {wanted} is 2^31 or more ahead of {current}")]
    SerialJump {
        /// The serial asked for.
        wanted: u32,
        /// The serial now.
        current: u32,
    },
}

/// What an edit is made of, before it has an author and a time.
#[derive(Clone, Debug)]
pub struct EditRequest<'a> {
    /// What to change.
    pub changes: &'a [Change],
    /// Whether each step builds on the one before it and may speak of whatever is there; else all speak of records, and
    /// of the zone as it is before the edit.
    pub by_steps: bool,
    /// A serial that a person wrote.
    pub serial: Option<u32>,
    /// Whence it came. Texts longer than [`super::MAX_SOURCE_TEXT`] are cut.
    pub source: &'a Source,
}

impl ZoneState {
    /// Makes the batch for an edit; `None` if the state already is as wished.
    pub fn prepare(&self, edit: &EditRequest<'_>, dot: Dot, hlc: Hlc) -> Result<Option<Batch>, EditError> {
        let mut batch = Batch {
            zone: self.zone.clone(),
            incarnation: self.incarnation,
            dot,
            deps: self.version.clone(),
            hlc,
            adds: Vec::new(),
            removes: Vec::new(),
            ttls: Vec::new(),
            soa: SoaChange::default(),
            floor: None,
            serial: 0,
            source: edit.source.bounded(),
        };
        let (mut ttls, mut added) = (BTreeMap::new(), HashSet::new());
        let resolved = if edit.by_steps { Some(self.resolve(edit.changes)?) } else { None };
        for change in resolved.as_deref().unwrap_or(edit.changes) {
            self.prepare_change(change, &mut batch, &mut ttls, &mut added);
        }
        self.prepare_ttls(&mut batch, ttls);
        batch.floor = self.floor(edit.serial)?;
        batch.serial = batch.floor.unwrap_or(0).max(self.serial() + 1);
        let empty = batch.adds.is_empty()
            && batch.removes.is_empty()
            && batch.ttls.is_empty()
            && batch.soa == SoaChange::default()
            && batch.floor.is_none();
        if empty {
            return Ok(None);
        }
        batch.check().map_err(EditError::Invalid)?;
        self.keep_apex_ns(&batch)?;
        Ok(Some(batch))
    }

    fn prepare_change(
        &self,
        change: &Change,
        batch: &mut Batch,
        ttls: &mut BTreeMap<(Name, RecordType), Option<u32>>,
        added: &mut HashSet<RecordKey>,
    ) {
        match change {
            Change::Add(record) => {
                let key = record.key();
                if self.stamps(&key).is_empty() && added.insert(key.clone()) {
                    batch.adds.push(key);
                    // Every add brings its RRset's TTL, so that a TTL is there however concurrent edits interleave.
                    ttls.insert((record.owner.clone(), record.rtype), Some(record.ttl));
                } else if self.ttl_differs(&record.owner, record.rtype, record.ttl) {
                    ttls.insert((record.owner.clone(), record.rtype), Some(record.ttl));
                }
            }
            Change::Remove(key) => {
                let dots: Vec<Dot> = self.stamps(key).iter().map(|stamp| stamp.dot).collect();
                if !dots.is_empty() {
                    batch.removes.push((key.clone(), dots));
                    ttls.entry((key.owner.clone(), key.rtype)).or_insert(None);
                }
            }
            Change::Ttl { owner, rtype, ttl } => {
                if self.ttl_differs(owner, *rtype, *ttl) {
                    ttls.insert((owner.clone(), *rtype), Some(*ttl));
                }
            }
            Change::Soa(soa) => batch.soa = self.soa.difference(soa),
            // Such steps are resolved before.
            Change::AddDefault(_) | Change::RemoveRrset { .. } | Change::RemoveOwner { .. } => {}
        }
    }

    fn ttl_differs(&self, owner: &Name, rtype: RecordType, ttl: u32) -> bool {
        self.rrset(owner, rtype).is_some_and(|rrset| !rrset.records.is_empty() && rrset.ttl() != Some(ttl))
    }

    /// Turns wished TTLs into writes. `None` stands for an RRset that lost records: its TTL goes with its last one.
    fn prepare_ttls(&self, batch: &mut Batch, ttls: BTreeMap<(Name, RecordType), Option<u32>>) {
        for ((owner, rtype), ttl) in ttls {
            let set = self.rrset(&owner, rtype);
            if ttl.is_none() && !self.empties(batch, &owner, rtype) {
                continue;
            }
            let replaces = set.map(|set| set.ttls.iter().map(|(stamp, _)| stamp.dot).collect()).unwrap_or_default();
            batch.ttls.push(TtlWrite { owner, rtype, ttl, replaces });
        }
    }

    /// Whether the batch takes the last record of an RRset and adds none.
    fn empties(&self, batch: &Batch, owner: &Name, rtype: RecordType) -> bool {
        let same = |key: &&RecordKey| key.owner == *owner && key.rtype == rtype;
        let gone: BTreeSet<_> = batch.removes.iter().map(|(key, _)| key).filter(same).map(|key| &key.rdata).collect();
        let live = self.rrset(owner, rtype).map_or(0, |set| set.records.len());
        gone.len() == live && !batch.adds.iter().any(|key| same(&key))
    }

    /// The floor that a serial written by a person sets: none if it is what is served anyway, or older.
    fn floor(&self, wanted: Option<u32>) -> Result<Option<u64>, EditError> {
        let (now, Some(wanted)) = (self.serial(), wanted) else { return Ok(None) };
        let current = served_serial(now);
        if serial_gt(wanted, current) {
            return Ok(Some(now + u64::from(wanted.wrapping_sub(current))));
        }
        if wanted > current {
            return Err(EditError::SerialJump { wanted, current });
        }
        Ok(None)
    }

    fn keep_apex_ns(&self, batch: &Batch) -> Result<(), EditError> {
        if self.empties(batch, &self.zone, RecordType::NS)
            && batch.removes.iter().any(|(key, _)| key.owner == self.zone && key.rtype == RecordType::NS)
        {
            return Err(EditError::Invalid(format!("zone {} would lose its last NS record at the apex", self.zone)));
        }
        Ok(())
    }
}
