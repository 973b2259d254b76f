//! The steps that lead from one version of a zone to another.

use std::collections::BTreeSet;

use super::canonical_order::canonical_key_of;
use super::{Change, Name, Node, Rdata, Record, RecordKey, RecordType, Rrset, Soa, Zone};

impl Zone {
    /// The steps that lead from `self` to `newer`, the SOA's serial left out of account: first what goes, then what comes,
    /// each in order of names.
    pub fn diff(&self, newer: &Zone) -> Vec<Change> {
        let mut changes = Vec::new();
        if (Soa { serial: self.soa().serial, ..newer.soa().clone() }) != *self.soa() {
            changes.push(Change::Soa(newer.soa().clone()));
        }
        let (mut removed, mut added) = (Vec::new(), Vec::new());
        for (old, new) in self.differing(newer) {
            let Some(owner) = old.or(new).map(Node::name) else { continue };
            let types = old.into_iter().chain(new).flat_map(Node::rrsets).map(|rrset| rrset.rtype);
            let types: BTreeSet<RecordType> = types.filter(|rtype| *rtype != RecordType::SOA).collect();
            for rtype in types {
                let pair = (old.and_then(|node| node.get(rtype)), new.and_then(|node| node.get(rtype)));
                rrset_diff(&owner, rtype, pair, &mut removed, &mut added);
            }
        }
        changes.append(&mut removed);
        changes.append(&mut added);
        changes
    }

    /// How many records of `self` are gone from their RRsets in `newer`. One record in the place of another is a change,
    /// no loss.
    pub fn records_lost(&self, newer: &Zone) -> usize {
        let lost = |(old, new): (Option<Node<'_>>, Option<Node<'_>>)| -> usize {
            let left = |rtype| new.and_then(|node| node.get(rtype)).map_or(0, Rrset::count);
            let old = old.into_iter().flat_map(Node::rrsets);
            old.map(|rrset| rrset.count().saturating_sub(left(rrset.rtype))).sum()
        };
        self.differing(newer).into_iter().map(lost).sum()
    }

    /// The nodes that serve something else in the other version, in order of names; at the apex that may be the SOA alone.
    fn differing<'z>(&'z self, newer: &'z Zone) -> Vec<(Option<Node<'z>>, Option<Node<'z>>)> {
        let mut found = Vec::new();
        for old in self.iter() {
            match newer.get(old.owner()) {
                Some(new) if new.serves_same(old) => {}
                new => found.push((Some(old), new)),
            }
        }
        found.extend(newer.iter().filter(|new| self.get(new.owner()).is_none()).map(|new| (None, Some(new))));
        found.sort_by_cached_key(|(old, new)| old.or(*new).map(|node| canonical_key_of(node.owner())));
        found
    }
}

fn rrset_diff(
    owner: &Name,
    rtype: RecordType,
    (old, new): (Option<Rrset<'_>>, Option<Rrset<'_>>),
    removed: &mut Vec<Change>,
    added: &mut Vec<Change>,
) {
    let rdatas = |rrset: Option<Rrset<'_>>| -> BTreeSet<Rdata> {
        rrset.into_iter().flat_map(Rrset::rdatas).map(Rdata::new).collect()
    };
    let (before, after) = (rdatas(old), rdatas(new));
    let gone = before.difference(&after);
    removed.extend(gone.map(|rdata| Change::Remove(RecordKey { owner: owner.clone(), rtype, rdata: rdata.clone() })));
    if let (Some(old), Some(new)) = (old, new)
        && old.ttl != new.ttl
    {
        removed.push(Change::Ttl { owner: owner.clone(), rtype, ttl: new.ttl });
    }
    let Some(ttl) = new.map(|new| new.ttl) else { return };
    let come = after.difference(&before);
    added.extend(come.map(|rdata| Change::Add(Record { owner: owner.clone(), rtype, ttl, rdata: rdata.clone() })));
}

#[cfg(test)]
mod tests {
    use super::super::ZoneContent;
    use super::*;

    /// A zone of address records: owner label, last byte, TTL.
    fn content(minimum: u32, records: &[(&str, u8, u32)]) -> ZoneContent {
        let root = Rdata::new([0u8].as_slice());
        let (mname, rname) = (root.clone(), root);
        let soa = Soa { ttl: 60, mname, rname, serial: minimum, refresh: 1, retry: 1, expire: 1, minimum };
        let mut content = ZoneContent::new("example.".parse().expect("a name"), soa);
        for (label, last, ttl) in records {
            let owner = format!("{label}.example.").parse().expect("a name");
            let rdata = Rdata::new([192, 0, 2, *last].as_slice());
            content.add(Record { owner, rtype: RecordType::A, ttl: *ttl, rdata });
        }
        content
    }

    #[test]
    fn zones_differ_as_their_contents_do() {
        let versions = [
            content(1, &[]),
            content(1, &[("a", 1, 60), ("b", 2, 60)]),
            content(2, &[("a", 1, 60), ("a", 3, 60), ("c.d", 2, 60)]),
            content(2, &[("a", 1, 90), ("a", 3, 90)]),
            content(2, &[("a", 1, 90), ("a", 4, 90)]),
        ];
        for old in &versions {
            for new in &versions {
                let (before, after) = (Zone::from_content(old), Zone::from_content(new));
                assert_eq!(before.diff(&after), old.diff(new));
            }
        }
        let zone = |index: usize| Zone::from_content(&versions[index]);
        assert_eq!((zone(1).records_lost(&zone(2)), zone(3).records_lost(&zone(4))), (1, 0));
        assert_eq!(zone(2).records_lost(&zone(0)), 3);
    }
}
