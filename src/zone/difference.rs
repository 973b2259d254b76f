//! The steps that lead from one version of a zone to another.

use std::collections::{BTreeMap, BTreeSet};

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
        for (old, new) in self.differing_in_order(newer) {
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

    /// The nodes that serve something else in the other version; at the apex that may be the SOA alone.
    pub(super) fn differing<'z>(
        &'z self,
        newer: &'z Zone,
    ) -> impl Iterator<Item = (Option<Node<'z>>, Option<Node<'z>>)> {
        self.pairs_of_unlike_shards(newer).filter(|pair| match *pair {
            (Some(old), Some(new)) => !new.serves_same(old),
            (None, None) => false,
            _ => true,
        })
    }

    fn differing_in_order<'z>(&'z self, newer: &'z Zone) -> Vec<(Option<Node<'z>>, Option<Node<'z>>)> {
        let mut found: Vec<_> = self.differing(newer).collect();
        found.sort_by_cached_key(|(old, new)| old.or(*new).map(|node| canonical_key_of(node.owner())));
        found
    }
}

/// How many records are gone from their RRsets after these steps of a [`Zone::diff`]. One record in the place of another
/// is a change, no loss.
pub fn records_lost(changes: &[Change]) -> usize {
    let mut lost: BTreeMap<(&Name, RecordType), isize> = BTreeMap::new();
    for change in changes {
        match change {
            Change::Remove(key) => *lost.entry((&key.owner, key.rtype)).or_default() += 1,
            Change::Add(record) => *lost.entry((&record.owner, record.rtype)).or_default() -= 1,
            _ => {}
        }
    }
    lost.into_values().map(|count| count.max(0).unsigned_abs()).sum()
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
    use std::cmp::Ordering;

    use super::super::{RrsetContent, ZoneContent};
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

    /// The same found by one walk over two sorted maps.
    fn model(old_zone: &ZoneContent, new_zone: &ZoneContent) -> Vec<Change> {
        let mut changes = Vec::new();
        if (Soa { serial: old_zone.soa.serial, ..new_zone.soa.clone() }) != old_zone.soa {
            changes.push(Change::Soa(new_zone.soa.clone()));
        }
        let none = RrsetContent::default();
        let mut added = Vec::new();
        // Both maps are sorted, so one walk over the two finds what differs without a lookup for every RRset.
        let (mut olds, mut news) = (old_zone.rrsets.iter().peekable(), new_zone.rrsets.iter().peekable());
        loop {
            let order = match (olds.peek(), news.peek()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((old, _)), Some((new, _))) if old == new => Ordering::Equal,
                (Some((old, _)), Some((new, _))) => old.cmp(new),
            };
            let old = if order.is_le() { olds.next() } else { None };
            let new = if order.is_ge() { news.next() } else { None };
            let Some((key, _)) = old.or(new) else { break };
            let (old, new) = (old.map_or(&none, |entry| entry.1), new.map_or(&none, |entry| entry.1));
            if old == new {
                continue;
            }
            let (owner, rtype) = key;
            changes.extend(
                old.rdatas.difference(&new.rdatas).map(|rdata| {
                    Change::Remove(RecordKey { owner: owner.clone(), rtype: *rtype, rdata: rdata.clone() })
                }),
            );
            if !old.rdatas.is_empty() && !new.rdatas.is_empty() && new.ttl != old.ttl {
                changes.push(Change::Ttl { owner: owner.clone(), rtype: *rtype, ttl: new.ttl });
            }
            added.extend(new.rdatas.difference(&old.rdatas).map(|rdata| {
                Change::Add(Record { owner: owner.clone(), rtype: *rtype, ttl: new.ttl, rdata: rdata.clone() })
            }));
        }
        changes.append(&mut added);
        changes
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
                assert_eq!(before.diff(&after), model(old, new));
            }
        }
        let zone = |index: usize| Zone::from_content(&versions[index]);
        let lost = |old, new| records_lost(&zone(old).diff(&zone(new)));
        assert_eq!((lost(1, 2), lost(3, 4)), (1, 0));
        assert_eq!(lost(2, 0), 3);
    }
}
