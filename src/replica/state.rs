//! The state of one zone incarnation: an observed-remove set of records with version vectors (ORSWOT), and registers.
//!
//! A record is live while it has a dot. A remove takes away only the dots that its author had seen, so of two
//! concurrent edits neither undoes what it did not know of, and nothing needs to be remembered about what is gone:
//! the version vector tells a record that was removed from one that has not arrived yet.
//!
//! Invariant: two states with equal version vectors are equal, whatever the order in which their batches came.

use std::collections::BTreeMap;

use smallvec::SmallVec;

use super::digest::{Accumulator, Digest};
use super::owner_state::OwnerState;
use super::soa::SoaRegisters;
use super::{Batch, Dot, Hlc, IncarnationId, Stamp, VersionVector};
use crate::codec;
use crate::zone::{Name, NameMap, Rdata, RecordKey, RecordType, Soa, ZoneContent};

/// The stamps under which an entry is live, sorted. Nearly always one.
pub(super) type Stamps = SmallVec<[Stamp; 1]>;

/// One record and why it is live.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct LiveRecord {
    pub(super) rdata: Rdata,
    pub(super) stamps: Stamps,
}

/// The live records of one owner and type, sorted by rdata, and the TTL writes that none has replaced, sorted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct RrsetState {
    pub(super) records: SmallVec<[LiveRecord; 1]>,
    pub(super) ttls: SmallVec<[(Stamp, u32); 1]>,
}

/// The state of one incarnation of a zone.
#[derive(Clone, Debug)]
pub struct ZoneState {
    pub(super) zone: Name,
    pub(super) incarnation: IncarnationId,
    pub(super) version: VersionVector,
    pub(super) owners: NameMap<OwnerState>,
    pub(super) soa: SoaRegisters,
    /// Serial minus batch count: the highest over all floors (a zone's first serial, a serial that a person wrote).
    pub(super) base: i64,
    pub(super) accumulator: Accumulator,
    pub(super) records: usize,
}

/// Why a batch is not applied. The state is as it was.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ApplyError {
    /// The state holds it already.
    #[error("already applied")]
    Known,
    /// It comes after batches that are not here yet.
    #[error("its dependencies are missing")]
    Waiting,
    /// It breaks a limit of DNS or of the protocol; no node applies it.
    #[error("not a legal batch: {0}")]
    Illegal(String),
}

impl ZoneState {
    /// The state that a zone begins with: `content`, at a serial of `serial`, as the `generation`th life of its name.
    ///
    /// Everything follows from the arguments, so nodes that load the same file begin with the same state.
    pub fn genesis(content: &ZoneContent, generation: u64, serial: u64) -> ZoneState {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&codec::encode(&(serial, &Soa { serial: 0, ..content.soa.clone() })));
        for record in content.records() {
            hasher.update(&codec::encode(&record));
        }
        let incarnation = IncarnationId::derive(&content.origin, generation, hasher.finalize().as_bytes());
        let dot = Dot { actor: incarnation.genesis_actor(), seq: 1 };
        let stamp = Stamp { hlc: Hlc(0), dot };
        let mut state = ZoneState {
            zone: content.origin.clone(),
            incarnation,
            version: VersionVector::new(),
            owners: NameMap::default(),
            soa: SoaRegisters::genesis(&content.soa, dot),
            base: serial as i64 - 1,
            accumulator: Accumulator::default(),
            records: 0,
        };
        state.version.advance(dot);
        for ((owner, rtype), rrset) in &content.rrsets {
            let mut live = RrsetState::default();
            live.ttls.push((stamp, rrset.ttl));
            live.records.extend(
                rrset
                    .rdatas
                    .iter()
                    .map(|rdata| LiveRecord { rdata: rdata.clone(), stamps: std::iter::once(stamp).collect() }),
            );
            state.insert(owner, *rtype, live);
        }
        state
    }

    /// The zone's name.
    pub fn zone(&self) -> &Name {
        &self.zone
    }

    /// Which life of the zone this is.
    pub fn incarnation(&self) -> IncarnationId {
        self.incarnation
    }

    /// Passes the state off as another incarnation, as only a hostile peer would.
    #[cfg(test)]
    pub(crate) fn incarnation_for_test(&mut self, incarnation: IncarnationId) {
        self.incarnation = incarnation;
    }

    /// Loses what is live at an owner, as failing memory could make it.
    #[cfg(test)]
    pub(crate) fn lose_for_test(&mut self, owner: &Name) {
        let types: Vec<RecordType> =
            self.owners.get(owner).into_iter().flat_map(OwnerState::iter).map(|(rtype, _)| rtype).collect();
        types.into_iter().for_each(|rtype| drop(self.take(owner, rtype)));
    }

    /// Which batches are in it.
    pub fn version(&self) -> &VersionVector {
        &self.version
    }

    /// The SOA serial in 64 bits: a pure function of the state, above that of every state merged into it.
    pub fn serial(&self) -> u64 {
        self.base.saturating_add_unsigned(self.version.total()).max(0) as u64
    }

    /// The SOA as served.
    pub fn soa(&self) -> Soa {
        self.soa.read(self.serial())
    }

    /// How many records are live, the SOA not counted.
    pub fn record_count(&self) -> usize {
        self.records
    }

    /// The digest of all that is live.
    pub fn digest(&self) -> Digest {
        self.accumulator.finish(&codec::encode(&(&self.soa, self.base)))
    }

    /// Computes the digest anew from what is live. Returns whether the running one was right.
    pub(super) fn recount(&mut self) -> bool {
        let mut accumulator = Accumulator::default();
        for (owner, sets) in &self.owners {
            for (rtype, rrset) in sets.iter() {
                rrset.for_each_entry(owner, rtype, |entry| accumulator.add(entry));
            }
        }
        let right = accumulator == self.accumulator;
        self.accumulator = accumulator;
        right
    }

    /// The latest time of any write that is live; this node's next edit must be later.
    pub fn newest_hlc(&self) -> Hlc {
        let rrsets = self.owners.values().flat_map(OwnerState::iter).map(|(_, rrset)| rrset);
        let stamps = rrsets.flat_map(|rrset| {
            let records = rrset.records.iter().flat_map(|record| record.stamps.iter().map(|stamp| stamp.hlc));
            records.chain(rrset.ttls.iter().map(|(stamp, _)| stamp.hlc))
        });
        stamps.max().unwrap_or_default().max(self.soa.newest_hlc())
    }

    /// The stamps under which a record is live; empty if it is not.
    pub(super) fn stamps(&self, key: &RecordKey) -> &[Stamp] {
        self.rrset(&key.owner, key.rtype)
            .and_then(|rrset| rrset.records.iter().find(|record| record.rdata == key.rdata))
            .map_or(&[], |record| &record.stamps)
    }

    pub(super) fn rrset(&self, owner: &Name, rtype: RecordType) -> Option<&RrsetState> {
        self.owners.get(owner)?.get(rtype)
    }

    /// Applies a batch and returns the owners that it touched.
    pub fn apply(&mut self, batch: &Batch) -> Result<Vec<Name>, ApplyError> {
        if self.version.contains(batch.dot) {
            return Err(ApplyError::Known);
        }
        if batch.zone != self.zone {
            return Err(ApplyError::Illegal(format!("it is an edit of {}, not of this zone", batch.zone)));
        }
        batch.check().map_err(ApplyError::Illegal)?;
        if batch.deps.get(batch.dot.actor) + 1 != batch.dot.seq {
            return Err(ApplyError::Illegal("its sequence number does not follow its dependencies".to_owned()));
        }
        if !self.version.includes(&batch.deps) {
            return Err(ApplyError::Waiting);
        }
        #[cfg(test)]
        assert_ne!(batch.source.note, "fail the test", "a test wants to see what a bug would do");
        let stamp = batch.stamp();
        for (key, dots) in &batch.removes {
            self.change(&key.owner, key.rtype, |rrset| rrset.remove(&key.rdata, dots));
        }
        for key in &batch.adds {
            self.change(&key.owner, key.rtype, |rrset| rrset.add(&key.rdata, stamp));
        }
        for write in &batch.ttls {
            self.change(&write.owner, write.rtype, |rrset| {
                rrset.ttls.retain(|(stamp, _)| !write.replaces.contains(&stamp.dot));
                rrset.ttls.extend(write.ttl.map(|ttl| (stamp, ttl)));
                rrset.ttls.sort_unstable();
            });
        }
        self.soa.write(&batch.soa, stamp);
        if let Some(floor) = batch.floor {
            self.base = self.base.max(floor as i64 - batch.deps.total() as i64 - 1);
        }
        self.version.advance(batch.dot);
        Ok(batch.owners())
    }

    /// Takes in another state of the same incarnation, as if all its batches had been applied.
    pub fn merge(&mut self, other: &ZoneState) {
        debug_assert_eq!(self.incarnation, other.incarnation);
        let keys = |state: &ZoneState| -> Vec<(Name, RecordType)> {
            state.owners.iter().flat_map(|(owner, sets)| sets.iter().map(|(rtype, _)| (owner.clone(), rtype))).collect()
        };
        let mut both = keys(self);
        both.extend(keys(other).into_iter().filter(|(owner, rtype)| self.rrset(owner, *rtype).is_none()));
        let (mine, theirs) = (self.version.clone(), &other.version);
        let none = RrsetState::default();
        for (owner, rtype) in both {
            let their_set = other.rrset(&owner, rtype).unwrap_or(&none);
            self.change(&owner, rtype, |rrset| rrset.merge(&mine, their_set, theirs));
        }
        self.soa.merge(&other.soa);
        self.base = self.base.max(other.base);
        self.version.merge(theirs);
    }

    /// Changes one RRset in place and keeps the digest and the counts true.
    fn change(&mut self, owner: &Name, rtype: RecordType, edit: impl FnOnce(&mut RrsetState)) {
        let mut rrset = self.take(owner, rtype);
        edit(&mut rrset);
        if !(rrset.records.is_empty() && rrset.ttls.is_empty()) {
            self.insert(owner, rtype, rrset);
        }
    }

    fn take(&mut self, owner: &Name, rtype: RecordType) -> RrsetState {
        let Some(sets) = self.owners.get_mut(owner) else { return RrsetState::default() };
        let rrset = sets.remove(rtype).unwrap_or_default();
        if sets.is_empty() {
            self.owners.remove(owner);
        }
        self.records -= rrset.records.len();
        rrset.for_each_entry(owner, rtype, |entry| self.accumulator.remove(entry));
        rrset
    }

    pub(super) fn insert(&mut self, owner: &Name, rtype: RecordType, rrset: RrsetState) {
        self.records += rrset.records.len();
        rrset.for_each_entry(owner, rtype, |entry| self.accumulator.add(entry));
        self.owners.entry(owner.clone()).or_default().insert(rtype, rrset);
    }
}

impl RrsetState {
    /// The TTL to serve: the newest write. An RRset with live records always has one, for every add brings its own.
    pub(super) fn ttl(&self) -> Option<u32> {
        self.ttls.last().map(|(_, ttl)| *ttl)
    }

    fn add(&mut self, rdata: &Rdata, stamp: Stamp) {
        match self.records.binary_search_by(|record| record.rdata.cmp(rdata)) {
            Ok(at) => {
                let stamps = &mut self.records[at].stamps;
                if let Err(place) = stamps.binary_search(&stamp) {
                    stamps.insert(place, stamp);
                }
            }
            Err(at) => {
                let stamps = std::iter::once(stamp).collect();
                self.records.insert(at, LiveRecord { rdata: rdata.clone(), stamps });
            }
        }
    }

    fn remove(&mut self, rdata: &Rdata, dots: &[Dot]) {
        if let Ok(at) = self.records.binary_search_by(|record| record.rdata.cmp(rdata)) {
            self.records[at].stamps.retain(|stamp| !dots.contains(&stamp.dot));
            if self.records[at].stamps.is_empty() {
                self.records.remove(at);
            }
        }
    }

    /// Keeps what both have, and of what one has alone that which the other has not seen.
    fn merge(&mut self, mine: &VersionVector, other: &RrsetState, theirs: &VersionVector) {
        let mut merged: BTreeMap<Rdata, Stamps> = BTreeMap::new();
        for record in &self.records {
            let there = other.records.iter().find(|o| o.rdata == record.rdata);
            let kept = record
                .stamps
                .iter()
                .filter(|stamp| there.is_some_and(|there| there.stamps.contains(stamp)) || !theirs.contains(stamp.dot));
            merged.entry(record.rdata.clone()).or_default().extend(kept.copied());
        }
        for record in &other.records {
            let kept = record.stamps.iter().filter(|stamp| !mine.contains(stamp.dot));
            merged.entry(record.rdata.clone()).or_default().extend(kept.copied());
        }
        self.records = merged
            .into_iter()
            .filter(|(_, stamps)| !stamps.is_empty())
            .map(|(rdata, mut stamps)| {
                stamps.sort_unstable();
                LiveRecord { rdata, stamps }
            })
            .collect();
        self.ttls.retain(|write| other.ttls.contains(write) || !theirs.contains(write.0.dot));
        self.ttls.extend(other.ttls.iter().filter(|(stamp, _)| !mine.contains(stamp.dot)).copied());
        self.ttls.sort_unstable();
    }

    /// Hands out the bytes that stand for each entry in the digest.
    fn for_each_entry(&self, owner: &Name, rtype: RecordType, mut each: impl FnMut(&[u8])) {
        let mut bytes = Vec::with_capacity(128);
        let head = |bytes: &mut Vec<u8>, kind: u8| {
            bytes.clear();
            bytes.push(kind);
            bytes.extend_from_slice(owner.as_wire());
            bytes.extend_from_slice(&rtype.0.to_be_bytes());
        };
        let stamped = |bytes: &mut Vec<u8>, stamp: &Stamp| {
            bytes.extend_from_slice(&stamp.hlc.0.to_be_bytes());
            bytes.extend_from_slice(&stamp.dot.actor.0);
            bytes.extend_from_slice(&stamp.dot.seq.to_be_bytes());
        };
        for record in &self.records {
            head(&mut bytes, b'r');
            bytes.extend_from_slice(&(record.rdata.as_wire().len() as u32).to_be_bytes());
            bytes.extend_from_slice(record.rdata.as_wire());
            record.stamps.iter().for_each(|stamp| stamped(&mut bytes, stamp));
            each(&bytes);
        }
        for (stamp, ttl) in &self.ttls {
            head(&mut bytes, b't');
            bytes.extend_from_slice(&ttl.to_be_bytes());
            stamped(&mut bytes, stamp);
            each(&bytes);
        }
    }
}

/// States are equal when they hold the same batches' outcome.
impl PartialEq for ZoneState {
    fn eq(&self, other: &ZoneState) -> bool {
        self.incarnation == other.incarnation
            && self.version == other.version
            && self.soa == other.soa
            && self.base == other.base
            && self.owners == other.owners
    }
}
