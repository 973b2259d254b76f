//! From a wish to a batch: an edit against the current state, with what its author had seen.

use std::collections::{BTreeMap, HashSet};

use super::owner_state::RrsetState;
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
        let mut wishes = Wishes::default();
        let resolved = if edit.by_steps { Some(self.resolve(edit.changes)?) } else { None };
        for change in resolved.as_deref().unwrap_or(edit.changes) {
            self.prepare_change(change, &mut batch, &mut wishes);
        }
        self.keep_apex_ns(&wishes)?;
        self.prepare_ttls(&mut batch, wishes.rrsets);
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
        Ok(Some(batch))
    }

    fn prepare_change(&self, change: &Change, batch: &mut Batch, wishes: &mut Wishes) {
        match change {
            Change::Add(record) => {
                let key = record.key();
                if self.stamps(&key).is_empty() {
                    if wishes.added.insert(key.clone()) {
                        // Every add brings its RRset's TTL, so that a TTL is there however concurrent edits interleave.
                        let rrset = wishes.rrset(&record.owner, record.rtype);
                        rrset.ttl = Some(record.ttl);
                        rrset.gained += 1;
                        batch.adds.push(key);
                    }
                } else if self.ttl_differs(&record.owner, record.rtype, record.ttl) {
                    wishes.rrset(&record.owner, record.rtype).ttl = Some(record.ttl);
                }
            }
            Change::Remove(key) => {
                let dots: Vec<Dot> = self.stamps(key).iter().map(|stamp| stamp.dot).collect();
                if !dots.is_empty() && wishes.removed.insert(key.clone()) {
                    batch.removes.push((key.clone(), dots));
                    wishes.rrset(&key.owner, key.rtype).lost += 1;
                }
            }
            Change::Ttl { owner, rtype, ttl } => {
                if self.ttl_differs(owner, *rtype, *ttl) {
                    wishes.rrset(owner, *rtype).ttl = Some(*ttl);
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

    /// Turns wished TTLs into writes. The TTL of an RRset that loses its last record goes with it.
    fn prepare_ttls(&self, batch: &mut Batch, wishes: BTreeMap<(Name, RecordType), RrsetWish>) {
        for ((owner, rtype), wish) in wishes {
            let set = self.rrset(&owner, rtype);
            if wish.ttl.is_none() && !wish.empties(set.as_ref()) {
                continue;
            }
            let replaces = set.map(|set| set.ttls.iter().map(|(stamp, _)| stamp.dot).collect()).unwrap_or_default();
            batch.ttls.push(TtlWrite { owner, rtype, ttl: wish.ttl, replaces });
        }
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

    fn keep_apex_ns(&self, wishes: &Wishes) -> Result<(), EditError> {
        let wish = wishes.rrsets.get(&(self.zone.clone(), RecordType::NS)).filter(|wish| wish.lost > 0);
        if wish.is_some_and(|wish| wish.empties(self.rrset(&self.zone, RecordType::NS).as_ref())) {
            return Err(EditError::Invalid(format!("zone {} would lose its last NS record at the apex", self.zone)));
        }
        Ok(())
    }
}

/// What an edit wishes so far.
#[derive(Default)]
struct Wishes {
    added: HashSet<RecordKey>,
    removed: HashSet<RecordKey>,
    rrsets: BTreeMap<(Name, RecordType), RrsetWish>,
}

/// What an edit wishes of one RRset.
#[derive(Default)]
struct RrsetWish {
    ttl: Option<u32>,
    gained: usize,
    lost: usize,
}

impl Wishes {
    fn rrset(&mut self, owner: &Name, rtype: RecordType) -> &mut RrsetWish {
        self.rrsets.entry((owner.clone(), rtype)).or_default()
    }
}

impl RrsetWish {
    /// Whether the RRset loses its last record and gains none.
    fn empties(&self, set: Option<&RrsetState>) -> bool {
        self.gained == 0 && self.lost == set.map_or(0, |set| set.records.len())
    }
}
