//! The difference between two successive versions of a served zone, record by record, as IXFR tells it (RFC 1995 §4).
//!
//! A record that gets another TTL counts as removed and added: its TTL is part of what a secondary holds.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Name, Node, Rdata, Record, RecordType, Rrset, Soa, Zone, ZoneContent};

/// What an entry is taken to cost beside its name and rdata: type, TTL, lengths, pointers.
const RECORD_OVERHEAD: usize = 48;

/// The way from one version of a zone to the next, and back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ZoneDelta {
    /// The SOA of the older version.
    pub before: Soa,
    /// The SOA of the newer version.
    pub after: Soa,
    /// Records that only the older version has, the SOA apart.
    pub removed: Vec<Record>,
    /// Records that only the newer version has, the SOA apart.
    pub added: Vec<Record>,
}

impl ZoneDelta {
    /// Turns the newer version's content into the older one's.
    pub fn undo(&self, content: &mut ZoneContent) {
        for record in &self.added {
            let key = (record.owner.clone(), record.rtype);
            if let Some(rrset) = content.rrsets.get_mut(&key) {
                rrset.rdatas.remove(&record.rdata);
                if rrset.rdatas.is_empty() {
                    content.rrsets.remove(&key);
                }
            }
        }
        for record in &self.removed {
            let rrset = content.rrsets.entry((record.owner.clone(), record.rtype)).or_default();
            rrset.ttl = record.ttl;
            rrset.rdatas.insert(record.rdata.clone());
        }
        content.soa = self.before.clone();
    }

    /// About how many bytes it takes in memory.
    pub fn weight(&self) -> usize {
        self.removed.iter().chain(&self.added).map(weight).sum()
    }

    /// Whether the SOA differs in more than its serial.
    pub fn changes_soa(&self) -> bool {
        self.before != Soa { serial: self.before.serial, ..self.after.clone() }
    }
}

fn weight(record: &Record) -> usize {
    RECORD_OVERHEAD + record.owner.as_wire().len() + record.rdata.as_wire().len()
}

/// Notes what differs at each owner. Beyond its limit it only counts, so that a bulk edit costs no second copy.
#[derive(Debug)]
pub struct DeltaRecorder {
    limit: usize,
    weight: usize,
    /// How many records are gone.
    pub removed: u64,
    /// How many records are new.
    pub added: u64,
    records: Option<(Vec<Record>, Vec<Record>)>,
}

impl DeltaRecorder {
    /// A recorder that keeps the records of a delta of up to `limit` bytes.
    pub fn new(limit: usize) -> DeltaRecorder {
        DeltaRecorder { limit, weight: 0, removed: 0, added: 0, records: Some(Default::default()) }
    }

    /// Notes how a name differs; the SOA is left out.
    pub fn node(&mut self, before: Option<Node<'_>>, after: Option<Node<'_>>) {
        let Some(owner) = before.or(after).map(Node::owner) else { return };
        for old in before.into_iter().flat_map(Node::rrsets).filter(|rrset| rrset.rtype != RecordType::SOA) {
            self.rrset(owner, Some(old), after.and_then(|node| node.get(old.rtype)));
        }
        for new in after.into_iter().flat_map(Node::rrsets).filter(|rrset| rrset.rtype != RecordType::SOA) {
            if before.is_none_or(|node| node.get(new.rtype).is_none()) {
                self.rrset(owner, None, Some(new));
            }
        }
    }

    /// Notes all differences between two versions.
    pub fn zones(&mut self, before: Option<&Zone>, after: Option<&Zone>) {
        match (before, after) {
            (Some(before), Some(after)) => before.differing(after).for_each(|(old, new)| self.node(old, new)),
            (Some(before), None) => before.iter().for_each(|old| self.node(Some(old), None)),
            (None, after) => after.into_iter().flat_map(Zone::iter).for_each(|new| self.node(None, Some(new))),
        }
    }

    fn rrset(&mut self, owner: &[u8], before: Option<Rrset<'_>>, after: Option<Rrset<'_>>) {
        if before == after {
            return;
        }
        let same_ttl = before.map(|rrset| rrset.ttl) == after.map(|rrset| rrset.ttl);
        let other = |rrset: Option<Rrset<'_>>| -> BTreeSet<Vec<u8>> {
            rrset.filter(|_| same_ttl).into_iter().flat_map(Rrset::rdatas).map(<[u8]>::to_vec).collect()
        };
        let (in_before, in_after) = (other(before), other(after));
        if let Some(rrset) = before {
            for rdata in rrset.rdatas().filter(|rdata| !in_after.contains(*rdata)) {
                self.removed += 1;
                self.keep(owner, rrset, rdata, false);
            }
        }
        if let Some(rrset) = after {
            for rdata in rrset.rdatas().filter(|rdata| !in_before.contains(*rdata)) {
                self.added += 1;
                self.keep(owner, rrset, rdata, true);
            }
        }
    }

    fn keep(&mut self, owner: &[u8], rrset: Rrset<'_>, rdata: &[u8], added: bool) {
        let Some((removed_records, added_records)) = &mut self.records else { return };
        let record = Record {
            owner: Name::from_valid_wire(owner),
            rtype: rrset.rtype,
            ttl: rrset.ttl,
            rdata: Rdata::new(rdata),
        };
        self.weight += weight(&record);
        if self.weight > self.limit {
            self.records = None;
            return;
        }
        if added { added_records.push(record) } else { removed_records.push(record) }
    }

    /// The delta between versions with these SOAs; `None` if it is larger than the limit.
    pub fn finish(self, before: &Soa, after: &Soa) -> Option<ZoneDelta> {
        let (removed, added) = self.records?;
        Some(ZoneDelta { before: before.clone(), after: after.clone(), removed, added })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().expect("a valid name")
    }

    fn content(serial: u32, records: &[(&str, u8, u32)]) -> ZoneContent {
        let root = Rdata::new([0u8].as_slice());
        let (mname, rname) = (root.clone(), root);
        let soa = Soa { ttl: 60, mname, rname, serial, refresh: 1, retry: 1, expire: 1, minimum: serial };
        let mut content = ZoneContent::new(name("example."), soa);
        for (owner, last, ttl) in records {
            let rdata = Rdata::new([192, 0, 2, *last].as_slice());
            content.add(Record { owner: name(owner), rtype: RecordType::A, ttl: *ttl, rdata });
        }
        content
    }

    fn recorded(old: &ZoneContent, new: &ZoneContent, limit: usize) -> (u64, u64, Option<ZoneDelta>) {
        let (before, after) = (Zone::from_content(old), Zone::from_content(new));
        let mut recorder = DeltaRecorder::new(limit);
        recorder.zones(Some(&before), Some(&after));
        (recorder.removed, recorder.added, recorder.finish(before.soa(), after.soa()))
    }

    #[test]
    fn undoing_a_delta_gives_the_older_version_back() {
        let versions = [
            content(1, &[]),
            content(2, &[("a.example.", 1, 60), ("b.example.", 2, 60)]),
            content(3, &[("a.example.", 1, 60), ("a.example.", 3, 60), ("c.example.", 2, 60)]),
            content(4, &[("a.example.", 1, 90), ("a.example.", 3, 90)]),
            content(5, &[]),
        ];
        for old in &versions {
            for new in &versions {
                let (.., delta) = recorded(old, new, 1 << 20);
                let mut undone = new.clone();
                delta.expect("it is small").undo(&mut undone);
                assert_eq!(undone, *old);
            }
        }
    }

    #[test]
    fn a_delta_beyond_the_limit_is_counted_but_not_kept() {
        let many: Vec<(String, u8, u32)> = (0..100).map(|i| (format!("h{i}.example."), 1, 60)).collect();
        let many: Vec<(&str, u8, u32)> = many.iter().map(|(owner, last, ttl)| (owner.as_str(), *last, *ttl)).collect();
        let (removed, added, delta) = recorded(&content(1, &[("a.example.", 1, 60)]), &content(2, &many), 1000);
        assert_eq!((removed, added, delta), (1, 100, None));
    }
}
