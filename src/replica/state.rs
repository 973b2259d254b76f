//! The state of one zone incarnation: an observed-remove set of records with version vectors (ORSWOT), and registers.
//!
//! A record is live while it has a dot. A remove takes away only the dots that its author had seen, so of two
//! concurrent edits neither undoes what it did not know of, and nothing needs to be remembered about what is gone:
//! the version vector tells a record that was removed from one that has not arrived yet.
//!
//! The state is also the zone as it is served: each owner's live records lie with what is served of them
//! ([`super::packed`]) in one persistent table. A clone shares it, so snapshots, transfers and checkpoints each take a
//! clone and leave the state free to go on.
//!
//! Invariant: two states with equal version vectors are equal, whatever the order in which their batches came.

use std::collections::BTreeMap;

use super::digest::{Accumulator, Digest};
use super::owner_state::{OwnerState, RrsetState, Stamps};
use super::projection::project;
use super::soa::SoaRegisters;
use super::{Batch, Hlc, IncarnationId, Stamp, VersionVector, packed};
use crate::codec;
use crate::zone::{Block, Name, NameMap, RecordKey, RecordType, Rrset, Soa, Zone};

/// The state of one incarnation of a zone. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ZoneState {
    pub(super) zone: Name,
    pub(super) incarnation: IncarnationId,
    /// The stamp of the zone's first content.
    pub(super) genesis: Stamp,
    pub(super) version: VersionVector,
    pub(super) soa: SoaRegisters,
    /// Serial minus batch count: the highest over all floors (a zone's first serial, a serial that a person wrote).
    pub(super) base: i64,
    /// What is served, and with it what is live.
    served: Zone,
    accumulator: Accumulator,
    /// Live records.
    records: usize,
    /// Owners with live records that are not served, and how many.
    shadowed: NameMap<usize>,
}

/// What tells a state from others apart from its records.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) zone: Name,
    pub(super) incarnation: IncarnationId,
    pub(super) version: VersionVector,
    pub(super) soa: SoaRegisters,
    pub(super) base: i64,
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
    /// The state shares the content's memory.
    pub fn genesis(content: &Zone, generation: u64, serial: u64) -> ZoneState {
        let origin = content.origin();
        let at_apex: Vec<_> = content.apex().rrsets().filter(|rrset| rrset.rtype != RecordType::SOA).collect();
        let apex = Block::new(origin.as_wire(), &at_apex, b"");
        let mut accumulator = Accumulator::default();
        let below = content.blocks().filter(|block| block.rrset_count() > 0 && block.owner() != origin.as_wire());
        below.for_each(|block| accumulator.add([block.as_bytes(), b""]));
        let of_nodes = accumulator;
        accumulator.add([apex.as_bytes(), b""]);
        let soa = Soa { serial: 0, ..content.soa().clone() };
        let digest = accumulator.finish_long(&codec::encode(&(serial, &soa)));
        let incarnation = IncarnationId::derive(origin, generation, &digest);
        let genesis = incarnation.genesis_stamp();
        let mut version = VersionVector::new();
        version.advance(genesis.dot);
        let soa = SoaRegisters::genesis(content.soa(), genesis.dot);
        let head = Head { zone: origin.clone(), incarnation, version, soa, base: serial as i64 - 1 };
        ZoneState::from_zone(head, content.clone(), &packed::unpack(&apex, genesis), of_nodes)
    }

    /// A state of which the content lies in a zone's nodes, with what is live beside what is served; `apex` is what is
    /// live at the apex. `sum` is the digest's sum over those of the other nodes that have nothing beside their RRsets.
    pub(super) fn from_zone(head: Head, served: Zone, apex: &OwnerState, sum: Accumulator) -> ZoneState {
        let Head { zone, incarnation, version, soa, base } = head;
        let genesis = incarnation.genesis_stamp();
        let (mut accumulator, mut records, mut others) = (sum, 0, Vec::new());
        for block in served.blocks().filter(|block| block.owner() != zone.as_wire()) {
            if block.extra().is_empty() && packed::serves_all(block, genesis) {
                records += block.rrsets().map(Rrset::count).sum::<usize>();
            } else {
                if block.extra().is_empty() {
                    accumulator.remove(packed::entry(block));
                }
                others.push((Name::from_valid_wire(block.owner()), packed::unpack(block, genesis)));
            }
        }
        let shadowed = NameMap::default();
        let mut state =
            ZoneState { zone, incarnation, genesis, version, soa, base, served, accumulator, records, shadowed };
        others.iter().for_each(|(owner, live)| state.put(owner, live));
        state.put_apex(apex);
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

    /// The zone as it is to be served.
    pub fn served(&self) -> &Zone {
        &self.served
    }

    /// Keeps the zone out of ordinary answers.
    pub(super) fn set_hidden(&mut self, hidden: bool) {
        self.served.set_hidden(hidden);
    }

    /// Passes the state off as another incarnation, as only a hostile peer would.
    #[cfg(test)]
    pub(crate) fn incarnation_for_test(&mut self, incarnation: IncarnationId) {
        self.incarnation = incarnation;
    }

    /// Loses what is live at an owner, as failing memory could make it.
    #[cfg(test)]
    pub(crate) fn lose_for_test(&mut self, owner: &Name) {
        self.take(owner);
        self.put(owner, &OwnerState::default());
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

    /// How many live records are not served.
    pub fn shadowed_count(&self) -> usize {
        self.shadowed.values().sum()
    }

    /// The owners of live records that are not served, in order.
    pub fn shadowed_owners(&self) -> Vec<Name> {
        let mut owners: Vec<Name> = self.shadowed.keys().cloned().collect();
        owners.sort_unstable();
        owners
    }

    /// The digest of all that is live.
    pub fn digest(&self) -> Digest {
        self.accumulator.finish(&codec::encode(&(&self.soa, self.base)))
    }

    /// Computes the digest anew from what is live. Returns whether the running one was right.
    pub(super) fn recount(&mut self) -> bool {
        let mut accumulator = Accumulator::default();
        self.live_blocks().for_each(|block| accumulator.add(packed::entry(block)));
        let right = accumulator == self.accumulator;
        self.accumulator = accumulator;
        right
    }

    /// The latest time of any write that is live; this node's next edit must be later.
    pub fn newest_hlc(&self) -> Hlc {
        let owners = self.live_blocks().map(|block| packed::newest_hlc(block, self.genesis));
        owners.max().unwrap_or_default().max(self.soa.newest_hlc())
    }

    /// The stamps under which a record is live; empty if it is not.
    pub(super) fn stamps(&self, key: &RecordKey) -> Stamps {
        let rrset = self.rrset(&key.owner, key.rtype);
        let record = rrset.iter().flat_map(|rrset| &rrset.records).find(|record| record.rdata == key.rdata);
        record.map(|record| record.stamps.clone()).unwrap_or_default()
    }

    pub(super) fn rrset(&self, owner: &Name, rtype: RecordType) -> Option<RrsetState> {
        self.live(owner).get(rtype).cloned()
    }

    /// What is live at an owner.
    pub(super) fn live(&self, owner: &Name) -> OwnerState {
        self.served.block(owner.as_wire()).map(|block| self.live_in(block)).unwrap_or_default()
    }

    /// What is live at the owner of one of the state's blocks.
    pub(super) fn live_in(&self, block: &Block) -> OwnerState {
        // At the apex nothing beside the RRsets means that nothing is live: what is served there is the SOA's doing.
        if block.extra().is_empty() && block.owner() == self.zone.as_wire() {
            return OwnerState::default();
        }
        packed::unpack(block, self.genesis)
    }

    /// Every block at whose owner something is live.
    pub(super) fn live_blocks(&self) -> impl Iterator<Item = &Block> {
        self.served.blocks().filter(|block| self.is_live(block))
    }

    pub(super) fn is_live(&self, block: &Block) -> bool {
        !block.extra().is_empty() || (block.rrset_count() > 0 && block.owner() != self.zone.as_wire())
    }

    /// Every owner of live records.
    pub(super) fn owners(&self) -> impl Iterator<Item = Name> {
        self.live_blocks().map(|block| Name::from_valid_wire(block.owner()))
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
        let mut touched: BTreeMap<&Name, OwnerState> = BTreeMap::new();
        let zone = self.zone.clone();
        let apex = self.take(&zone);
        touched.insert(&zone, apex);
        let mut change = |owner, rtype, edit: &dyn Fn(&mut RrsetState)| {
            touched.entry(owner).or_insert_with(|| self.take(owner)).change(rtype, edit);
        };
        for (key, dots) in &batch.removes {
            change(&key.owner, key.rtype, &|rrset| rrset.remove(&key.rdata, dots));
        }
        for key in &batch.adds {
            change(&key.owner, key.rtype, &|rrset| rrset.add(&key.rdata, stamp));
        }
        for write in &batch.ttls {
            change(&write.owner, write.rtype, &|rrset| {
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
        for (owner, live) in &touched {
            if **owner == zone { self.put_apex(live) } else { self.put(owner, live) }
        }
        Ok(batch.owners())
    }

    /// Takes in another state of the same incarnation, as if all its batches had been applied.
    pub fn merge(&mut self, other: &ZoneState) {
        debug_assert_eq!(self.incarnation, other.incarnation);
        let differs = |block: &&Block, there: &ZoneState| there.served.block(block.owner()) != Some(block);
        let mine = self.live_blocks().filter(|block| differs(block, other));
        let theirs = other.live_blocks().filter(|block| differs(block, self));
        let mut owners: Vec<Name> = mine.chain(theirs).map(|block| Name::from_valid_wire(block.owner())).collect();
        owners.sort_unstable();
        owners.dedup();
        owners.retain(|owner| *owner != self.zone);
        for owner in owners {
            let mut live = self.take(&owner);
            live.merge(&self.version, &other.live(&owner), &other.version);
            self.put(&owner, &live);
        }
        let zone = self.zone.clone();
        let mut apex = self.take(&zone);
        apex.merge(&self.version, &other.live(&zone), &other.version);
        self.soa.merge(&other.soa);
        self.base = self.base.max(other.base);
        self.version.merge(&other.version);
        self.put_apex(&apex);
    }

    /// What is live at an owner, taken out of the digest and the counts: [`ZoneState::put`] or [`ZoneState::put_apex`]
    /// brings it back.
    fn take(&mut self, owner: &Name) -> OwnerState {
        let Some(block) = self.served.block(owner.as_wire()).filter(|block| self.is_live(block)).cloned() else {
            return OwnerState::default();
        };
        let live = packed::unpack(&block, self.genesis);
        self.records -= live.record_count();
        self.accumulator.remove(packed::entry(&block));
        live
    }

    /// Sets what is live at an owner that was taken out, and what is served of it.
    fn put(&mut self, owner: &Name, live: &OwnerState) {
        let projected = project(live, None);
        let extra = packed::pack(live, projected.shadowed, self.genesis);
        self.served.set_with(owner, &projected.rrsets, &extra);
        self.count_in(owner, live, projected.shadowed);
    }

    /// The same at the apex, where the SOA, the serial and the version show.
    fn put_apex(&mut self, live: &OwnerState) {
        let (zone, soa, serial) = (self.zone.clone(), self.soa(), self.serial());
        let projected = project(live, Some(&soa));
        self.served.set_apex(soa, serial, &projected.rrsets, &packed::pack_in_full(live));
        self.served.set_version(self.version.hash());
        self.count_in(&zone, live, projected.shadowed);
    }

    fn count_in(&mut self, owner: &Name, live: &OwnerState, shadowed: usize) {
        self.records += live.record_count();
        if let Some(block) = self.served.block(owner.as_wire()).filter(|block| self.is_live(block)) {
            self.accumulator.add(packed::entry(block));
        }
        if shadowed > 0 {
            self.shadowed.insert(owner.clone(), shadowed);
        } else {
            self.shadowed.remove(owner);
        }
    }
}

/// States are equal when they hold the same batches' outcome.
impl PartialEq for ZoneState {
    fn eq(&self, other: &ZoneState) -> bool {
        let same = |block: &Block| other.served.block(block.owner()) == Some(block);
        self.incarnation == other.incarnation
            && self.version == other.version
            && self.soa == other.soa
            && self.base == other.base
            && self.records == other.records
            && self.live_blocks().count() == other.live_blocks().count()
            && self.live_blocks().all(same)
    }
}
