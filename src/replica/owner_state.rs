//! What is live at one owner, by type: an observed-remove set of records, and the TTL writes of each RRset.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::{Dot, Stamp, VersionVector};
use crate::zone::{Rdata, RecordType};

/// The stamps under which an entry is live, sorted. Nearly always one.
pub(super) type Stamps = SmallVec<[Stamp; 1]>;

/// One record and why it is live.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct LiveRecord {
    pub(super) rdata: Rdata,
    pub(super) stamps: Stamps,
}

/// The live records of one owner and type, sorted by rdata, and the TTL writes that none has replaced, sorted.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct RrsetState {
    pub(super) records: SmallVec<[LiveRecord; 1]>,
    pub(super) ttls: SmallVec<[(Stamp, u32); 1]>,
}

/// RRsets sorted by type; none is without both records and TTL writes.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct OwnerState(SmallVec<[(RecordType, RrsetState); 1]>);

impl OwnerState {
    pub(super) fn get(&self, rtype: RecordType) -> Option<&RrsetState> {
        self.place(rtype).ok().map(|at| &self.0[at].1)
    }

    /// Puts an RRset in, in place of any other of its type.
    pub(super) fn insert(&mut self, rtype: RecordType, rrset: RrsetState) {
        match self.place(rtype) {
            Ok(at) => self.0[at].1 = rrset,
            Err(at) => self.0.insert(at, (rtype, rrset)),
        }
    }

    /// Changes one RRset, which comes and goes with what is in it.
    pub(super) fn change(&mut self, rtype: RecordType, edit: impl FnOnce(&mut RrsetState)) {
        let at = self.place(rtype).unwrap_or_else(|at| {
            self.0.insert(at, (rtype, RrsetState::default()));
            at
        });
        edit(&mut self.0[at].1);
        if self.0[at].1.is_empty() {
            self.0.remove(at);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (RecordType, &RrsetState)> {
        self.0.iter().map(|(rtype, rrset)| (*rtype, rrset))
    }

    pub(super) fn record_count(&self) -> usize {
        self.iter().map(|(_, rrset)| rrset.records.len()).sum()
    }

    /// Every stamp in it.
    pub(super) fn stamps(&self) -> impl Iterator<Item = Stamp> {
        self.iter().flat_map(|(_, rrset)| {
            let records = rrset.records.iter().flat_map(|record| record.stamps.iter().copied());
            records.chain(rrset.ttls.iter().map(|(stamp, _)| *stamp))
        })
    }

    /// Keeps what both have, and of what one has alone that which the other has not seen.
    pub(super) fn merge(&mut self, mine: &VersionVector, other: &OwnerState, theirs: &VersionVector) {
        let none = RrsetState::default();
        let types: BTreeSet<RecordType> = self.iter().chain(other.iter()).map(|(rtype, _)| rtype).collect();
        for rtype in types {
            self.change(rtype, |rrset| rrset.merge(mine, other.get(rtype).unwrap_or(&none), theirs));
        }
    }

    fn place(&self, rtype: RecordType) -> Result<usize, usize> {
        self.0.binary_search_by_key(&rtype, |(rtype, _)| *rtype)
    }
}

impl RrsetState {
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.ttls.is_empty()
    }

    /// The TTL to serve: the newest write. An RRset with live records always has one, for every add brings its own.
    pub(super) fn ttl(&self) -> Option<u32> {
        self.ttls.last().map(|(_, ttl)| *ttl)
    }

    pub(super) fn add(&mut self, rdata: &Rdata, stamp: Stamp) {
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

    pub(super) fn remove(&mut self, rdata: &Rdata, dots: &[Dot]) {
        if let Ok(at) = self.records.binary_search_by(|record| record.rdata.cmp(rdata)) {
            self.records[at].stamps.retain(|stamp| !dots.contains(&stamp.dot));
            if self.records[at].stamps.is_empty() {
                self.records.remove(at);
            }
        }
    }

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
}
