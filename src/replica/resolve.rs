//! Working out an edit by records: steps carried out one after another on the zone as it is at that moment, and what comes
//! of them as records to add and to remove.
//!
//! A whole file that was saved needs none of this: its steps name records, and none speaks of what another did.

use std::collections::{BTreeMap, BTreeSet};

use super::EditError;
use super::state::ZoneState;
use crate::zone::rdata::canonical;
use crate::zone::{Change, Name, Rdata, Record, RecordKey, RecordType, coexistence};

/// The RRsets that an edit touches, as they are after the steps so far.
struct Draft<'s> {
    state: &'s ZoneState,
    rrsets: BTreeMap<(Name, RecordType), DraftRrset>,
    soa: Option<Change>,
}

#[derive(Clone, Debug, Default)]
struct DraftRrset {
    rdatas: Vec<Rdata>,
    /// The TTL stated by the edit, else the present one.
    ttl: Option<u32>,
}

impl ZoneState {
    /// The records to add and to remove, and the TTLs to set, that these steps amount to, one after another. Refuses
    /// what would add records where a zone file could not have them.
    pub(super) fn resolve(&self, steps: &[Change]) -> Result<Vec<Change>, EditError> {
        let mut draft = Draft { state: self, rrsets: BTreeMap::new(), soa: None };
        for step in steps {
            draft.take(step)?;
        }
        draft.check().map_err(EditError::Invalid)?;
        Ok(draft.difference())
    }

    /// The distinct rdata that are live.
    fn rdatas(&self, owner: &Name, rtype: RecordType) -> BTreeSet<Rdata> {
        self.rrset(owner, rtype).into_iter().flat_map(|rrset| rrset.records).map(|record| record.rdata).collect()
    }
}

impl Draft<'_> {
    fn take(&mut self, step: &Change) -> Result<(), EditError> {
        match step {
            Change::Add(record) => self.add(&record.key(), Some(record.ttl))?,
            Change::AddDefault(key) => self.add(key, None)?,
            Change::Remove(key) => {
                let gone = canonical(key.rtype, key.rdata.as_wire());
                let rrset = self.rrset(&key.owner, key.rtype);
                rrset.rdatas.retain(|rdata| canonical(key.rtype, rdata.as_wire()) != gone);
            }
            Change::Ttl { owner, rtype, ttl } => {
                let rrset = self.rrset(owner, *rtype);
                if !rrset.rdatas.is_empty() {
                    rrset.ttl = Some(*ttl);
                }
            }
            Change::RemoveRrset { owner, rtype } => self.rrset(owner, *rtype).rdatas.clear(),
            Change::RemoveOwner { owner } => {
                let apex = *owner == self.state.zone;
                for rtype in self.types(owner).into_iter().filter(|rtype| !(apex && *rtype == RecordType::NS)) {
                    self.rrset(owner, rtype).rdatas.clear();
                }
            }
            Change::Soa(_) => self.soa = Some(step.clone()),
        }
        Ok(())
    }

    fn add(&mut self, key: &RecordKey, ttl: Option<u32>) -> Result<(), EditError> {
        // Comparing rdata comes before the batch's own check, so it must be well-formed here already.
        crate::zone::rdata::check(key.rtype, key.rdata.as_wire())
            .map_err(|error| EditError::Invalid(format!("{}: {error}", key.owner)))?;
        let new = canonical(key.rtype, key.rdata.as_wire());
        let rrset = self.rrset(&key.owner, key.rtype);
        rrset.ttl = ttl.or(rrset.ttl);
        if rrset.rdatas.iter().all(|rdata| canonical(key.rtype, rdata.as_wire()) != new) {
            rrset.rdatas.push(key.rdata.clone());
        }
        Ok(())
    }

    /// The RRset as it is now in the draft.
    fn rrset(&mut self, owner: &Name, rtype: RecordType) -> &mut DraftRrset {
        let state = self.state;
        self.rrsets.entry((owner.clone(), rtype)).or_insert_with(|| DraftRrset {
            rdatas: state.rdatas(owner, rtype).into_iter().collect(),
            ttl: state.rrset(owner, rtype).filter(|rrset| !rrset.records.is_empty()).and_then(|rrset| rrset.ttl()),
        })
    }

    /// The types that the owner has or had before the edit.
    fn types(&self, owner: &Name) -> BTreeSet<RecordType> {
        let all = (owner.clone(), RecordType(0))..=(owner.clone(), RecordType(u16::MAX));
        let drafted = self.rrsets.range(all).map(|(key, _)| key.1);
        self.state.live(owner).iter().map(|(rtype, _)| rtype).chain(drafted).collect()
    }

    /// How many records the owner has of a type after the edit.
    fn count(&self, owner: &Name, rtype: RecordType) -> usize {
        match self.rrsets.get(&(owner.clone(), rtype)) {
            Some(rrset) => rrset.rdatas.len(),
            None => self.state.rdatas(owner, rtype).len(),
        }
    }

    fn exists(&self, owner: &Name) -> bool {
        self.types(owner).into_iter().any(|rtype| self.count(owner, rtype) > 0)
    }

    /// Whether every owner that gains a record may have it. One that only loses some may stay as it is: an edit that
    /// settles half of a conflict is better than none.
    fn check(&self) -> Result<(), String> {
        let mut owners = BTreeSet::new();
        for ((owner, rtype), rrset) in &self.rrsets {
            let before = self.state.rdatas(owner, *rtype);
            if rrset.rdatas.iter().all(|rdata| before.contains(rdata)) {
                continue;
            }
            if !owner.is_at_or_below(&self.state.zone) {
                return Err(format!("{owner} is not in zone {}", self.state.zone));
            }
            coexistence::too_many(owner, *rtype, rrset.rdatas.len()).map_or(Ok(()), Err)?;
            if *rtype == RecordType::DNAME {
                self.check_below(owner)?;
            }
            owners.insert(owner);
        }
        owners.into_iter().try_for_each(|owner| self.check_owner(owner))
    }

    fn check_owner(&self, owner: &Name) -> Result<(), String> {
        let zone = &self.state.zone;
        if self.count(owner, RecordType::CNAME) > 0 {
            let types = self.types(owner).into_iter().filter(|rtype| self.count(owner, *rtype) > 0);
            let apex = (owner == zone).then_some(RecordType::SOA);
            coexistence::beside_cname(owner, types.chain(apex)).map_or(Ok(()), Err)?;
        }
        let mut above =
            std::iter::successors(owner.parent(), Name::parent).take_while(|name| name.is_at_or_below(zone));
        match above.find(|name| self.count(name, RecordType::DNAME) > 0) {
            Some(dname) => Err(coexistence::below_dname(owner, &dname)),
            None => Ok(()),
        }
    }

    /// A new DNAME: whether there is anything below it.
    fn check_below(&self, dname: &Name) -> Result<(), String> {
        let owners = self.state.owners().chain(self.rrsets.keys().map(|key| key.0.clone()));
        let below = owners.filter(|owner| owner != dname && owner.is_at_or_below(dname));
        match below.filter(|owner| self.exists(owner)).min() {
            Some(owner) => Err(coexistence::below_dname(&owner, dname)),
            None => Ok(()),
        }
    }

    /// What leads from the state to the draft.
    fn difference(self) -> Vec<Change> {
        let default_ttl = self.state.soa().ttl;
        let mut changes: Vec<Change> = self.soa.into_iter().collect();
        for ((owner, rtype), rrset) in self.rrsets {
            let before = self.state.rdatas(&owner, rtype);
            let key = |rdata: &Rdata| RecordKey { owner: owner.clone(), rtype, rdata: rdata.clone() };
            let gone = before.iter().filter(|rdata| !rrset.rdatas.contains(rdata));
            changes.extend(gone.map(|rdata| Change::Remove(key(rdata))));
            let ttl = rrset.ttl.unwrap_or(default_ttl);
            if rrset.rdatas.iter().any(|rdata| before.contains(rdata)) {
                changes.push(Change::Ttl { owner: owner.clone(), rtype, ttl });
            }
            let new = rrset.rdatas.iter().filter(|rdata| !before.contains(rdata));
            changes.extend(
                new.map(|rdata| Change::Add(Record { owner: owner.clone(), rtype, ttl, rdata: rdata.clone() })),
            );
        }
        changes
    }
}
