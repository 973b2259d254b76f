//! The zones that a node answers from, found by longest match.

use std::sync::Arc;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::labels::{Labels, label_at};
use super::{Name, NameHash, Place, Zone};

/// An immutable set of zones. The replica publishes one after every change; servers swap it in whole.
#[derive(Clone, Debug, Default)]
pub struct ZoneSet {
    /// By the hashes of their origins.
    zones: HashTable<Arc<Zone>>,
    /// A bit for each number of labels that an origin has: a suffix of another length needs no probe.
    lengths: u128,
}

impl ZoneSet {
    /// The set of these zones; of two with one origin the later counts.
    pub fn new(zones: impl IntoIterator<Item = Arc<Zone>>) -> ZoneSet {
        let mut set = ZoneSet::default();
        for zone in zones {
            set.insert(zone);
        }
        set
    }

    /// Adds a zone, or replaces the one with its origin.
    pub fn insert(&mut self, zone: Arc<Zone>) {
        self.lengths |= 1 << zone.origin().label_count();
        let hash = zone.origin_hash().bits();
        let same = |known: &Arc<Zone>| known.origin() == zone.origin();
        match self.zones.entry(hash, same, |known| known.origin_hash().bits()) {
            Entry::Occupied(mut entry) => *entry.get_mut() = zone,
            Entry::Vacant(entry) => drop(entry.insert(zone)),
        }
    }

    /// The zone whose origin is the longest suffix of a lower-cased wire-form name.
    pub fn find(&self, wire: &[u8]) -> Option<&Arc<Zone>> {
        self.find_by(wire, &Labels::of(wire))
    }

    /// As [`ZoneSet::find`] with the labels of the name.
    pub fn find_by(&self, wire: &[u8], labels: &Labels) -> Option<&Arc<Zone>> {
        let mut lengths = self.lengths;
        let mut found = if lengths & 1 == 0 { None } else { self.at(NameHash::ROOT, b"\x00") };
        let mut hash = NameHash::ROOT;
        for start in labels.rev() {
            lengths >>= 1;
            if lengths == 0 {
                break;
            }
            hash = hash.child(label_at(wire, start));
            if lengths & 1 != 0 {
                found = self.at(hash, &wire[start..]).or(found);
            }
        }
        found
    }

    /// The zone with this origin.
    pub fn get(&self, origin: &Name) -> Option<&Arc<Zone>> {
        self.at(NameHash::of(origin.as_wire()), origin.as_wire())
    }

    /// Every zone in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Zone>> {
        self.zones.iter()
    }

    /// Calls `changed` for each place in which a newer set differs. False if places do not tell it all: zones have come or
    /// gone, or too much has changed.
    pub fn changes_to(&self, newer: &ZoneSet, mut changed: impl FnMut(Place)) -> bool {
        // A set that was copied and changed has its zones in the same order.
        let same_origin = |(old, new): (&Arc<Zone>, &Arc<Zone>)| old.origin() == new.origin();
        let mut differing = self.iter().zip(newer.iter()).filter(|(old, new)| !Arc::ptr_eq(old, new));
        self.len() == newer.len()
            && differing.all(|(old, new)| same_origin((old, new)) && old.changes_to(new, &mut changed))
    }

    /// How many zones.
    pub fn len(&self) -> usize {
        self.zones.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.zones.is_empty()
    }

    fn at(&self, hash: NameHash, origin: &[u8]) -> Option<&Arc<Zone>> {
        self.zones.find(hash.bits(), |zone| zone.origin().as_wire() == origin)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Rdata, Soa};
    use super::*;

    fn zone(origin: &str, serial: u64) -> Arc<Zone> {
        let root = Rdata::new([0u8].as_slice());
        let soa =
            Soa { ttl: 60, mname: root.clone(), rname: root, serial: 0, refresh: 1, retry: 1, expire: 1, minimum: 1 };
        Arc::new(Zone::new(origin.parse().expect("a name"), soa, serial))
    }

    #[test]
    fn the_longest_origin_counts_and_the_later_of_two_zones() {
        let found = |set: &ZoneSet, name: &str| {
            let name: Name = name.parse().expect("a name");
            set.find(name.as_wire()).map(|zone| (zone.origin().to_string(), zone.serial()))
        };
        let mut set = ZoneSet::new([zone("a.b.example.", 1), zone("example.", 1), zone("example.", 2)]);
        assert_eq!(set.len(), 2);
        assert_eq!(found(&set, "x.a.b.example."), Some(("a.b.example.".to_owned(), 1)));
        assert_eq!(found(&set, "a.b.example."), Some(("a.b.example.".to_owned(), 1)));
        assert_eq!(found(&set, "b.example."), Some(("example.".to_owned(), 2)));
        assert_eq!(found(&set, "."), None);
        set.insert(zone(".", 3));
        assert_eq!(found(&set, "b.other."), Some((".".to_owned(), 3)));
        assert_eq!(found(&set, "."), Some((".".to_owned(), 3)));
    }
}
