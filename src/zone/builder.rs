//! Collects records in any order and makes a zone of them in one go.

use hashbrown::{HashMap, HashTable};

use super::node::{Block, BlockWriter, RRSET_HEAD};
use super::rdata::{canonical, may_spell_differently};
use super::table::{Entry, hash, in_table_order};
use super::{Name, RecordType, Soa, Zone};

/// From how many records on the distinct data of an RRset are found by hash instead of one by one.
const MANY: u32 = 16;
/// For how many records room is taken beforehand, and for how many bytes each of names and data: that of a very large
/// zone, and a bound for a text of empty lines.
const MOST_RESERVED: usize = 4 << 20;
const BYTES_RESERVED: usize = 32;
/// The end of a list.
const NONE: u32 = u32::MAX;

/// A zone in the making. Records lie one after another in the order in which they came; each owner knows its RRsets,
/// and each RRset its records.
#[derive(Debug, Default)]
pub struct ZoneBuilder {
    index: HashTable<u32>,
    owners: Vec<Owner>,
    /// The owners' names in wire form, one after another.
    names: Vec<u8>,
    rrsets: Vec<Set>,
    records: Vec<Item>,
    bytes: Vec<u8>,
    /// Where the data of large RRsets stands, by its canonical form.
    large: HashMap<(u32, Vec<u8>), u32>,
    last: u32,
}

#[derive(Debug)]
struct Owner {
    /// Where its name starts.
    name: usize,
    hash: u32,
    /// Its first RRset.
    first: u32,
}

#[derive(Debug)]
struct Set {
    rtype: RecordType,
    ttl: u32,
    count: u32,
    /// Its latest record.
    latest: u32,
    /// The owner's next RRset.
    next: u32,
}

#[derive(Debug)]
struct Item {
    start: usize,
    length: u16,
    /// The record of the RRset that came before.
    before: u32,
}

/// What became of a record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Added<'b> {
    /// The TTL that its RRset has: that of its first record (RFC 2181 §5.2).
    pub ttl: u32,
    /// The data of the record which it repeats, names compared without regard to case; then it was not added.
    pub repeats: Option<&'b [u8]>,
}

impl ZoneBuilder {
    /// Takes room for about so many records of so many bytes in all, so that it need not be taken bit by bit. Room that
    /// stays empty costs address space alone.
    pub fn reserve(&mut self, records: usize, bytes: usize) {
        let records = records.min(MOST_RESERVED);
        let owners = &self.owners;
        self.index.reserve(records, |&index| spread(owners[index as usize].hash));
        self.owners.reserve(records);
        self.rrsets.reserve(records);
        self.records.reserve(records);
        self.names.reserve(bytes.min(records * BYTES_RESERVED));
        self.bytes.reserve(bytes.min(records * BYTES_RESERVED));
    }

    /// Adds a record, unless one of the same data is there already. `owner` is in lower-cased wire form; at most 65,535
    /// bytes of data, as everywhere.
    pub fn add(&mut self, owner: &[u8], rtype: RecordType, ttl: u32, rdata: &[u8]) -> Added<'_> {
        let owner = self.owner(owner);
        let set = self.set(owner, rtype, ttl);
        let ttl = self.rrsets[set as usize].ttl;
        if let Some(known) = self.known(set, rtype, rdata) {
            return Added { ttl, repeats: Some(self.data(known)) };
        }
        let item = self.records.len() as u32;
        if self.rrsets[set as usize].count >= MANY {
            self.large.insert((set, canonical_of(rtype, rdata)), item);
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(rdata);
        let rrset = &mut self.rrsets[set as usize];
        self.records.push(Item { start, length: rdata.len() as u16, before: rrset.latest });
        rrset.latest = item;
        rrset.count += 1;
        if rrset.count == MANY {
            let all: Vec<u32> = self.items(set).collect();
            for item in all {
                let key = (set, canonical_of(rtype, self.data(item)));
                self.large.insert(key, item);
            }
        }
        Added { ttl, repeats: None }
    }

    /// The zone of all these records, which all lie in it; none is an SOA.
    pub fn finish(self, origin: Name, soa: Soa) -> Zone {
        let (packed, ends) = self.pack();
        let hashes: Vec<u32> = self.owners.iter().map(|owner| owner.hash).collect();
        // All else is of no use any more, and the zone needs the room.
        drop(self);
        let order = in_table_order(hashes.iter().copied());
        let entries = order.into_iter().map(|index| {
            let start = index.checked_sub(1).map_or(0, |before| ends[before as usize]);
            Entry::hashed(hashes[index as usize], Block::of(&packed[start..ends[index as usize]]))
        });
        let entries = entries.collect();
        drop(packed);
        let serial = soa.serial.into();
        Zone::from_entries(origin, soa, serial, entries)
    }

    /// The blocks of all owners in the order in which they came, which is how their records lie here, and where each
    /// ends. The table wants them in another order.
    fn pack(&self) -> (Vec<u8>, Vec<usize>) {
        let heads = 2 * self.owners.len() + RRSET_HEAD * self.rrsets.len() + 2 * self.records.len();
        let mut packed = Vec::with_capacity(self.names.len() + self.bytes.len() + heads);
        let (mut ends, mut writer) = (Vec::with_capacity(self.owners.len()), BlockWriter::default());
        let (mut sets, mut items): (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::new());
        for owner in &self.owners {
            sets.clear();
            sets.extend(std::iter::successors(some(owner.first), |&set| some(self.rrsets[set as usize].next)));
            sets.sort_unstable_by_key(|&set| self.rrsets[set as usize].rtype);
            writer.begin(name_at(&self.names, owner.name));
            for &set in &sets {
                items.clear();
                items.extend(self.items(set));
                items.sort_unstable_by(|&a, &b| self.data(a).cmp(self.data(b)));
                let rrset = &self.rrsets[set as usize];
                writer.records(rrset.rtype, rrset.ttl, items.iter().map(|&item| self.data(item)));
            }
            packed.extend_from_slice(writer.bytes());
            ends.push(packed.len());
        }
        (packed, ends)
    }

    fn owner(&mut self, name: &[u8]) -> u32 {
        if self.owners.get(self.last as usize).is_some_and(|last| name_at(&self.names, last.name) == name) {
            return self.last;
        }
        let hash = hash(name);
        let next = self.owners.len() as u32;
        let (owners, names) = (&self.owners, &self.names);
        let same = |&index: &u32| {
            let owner = &owners[index as usize];
            owner.hash == hash && name_at(names, owner.name) == name
        };
        let known = self.index.entry(spread(hash), same, |&index| spread(owners[index as usize].hash));
        self.last = *known.or_insert(next).get();
        if self.last == next {
            self.owners.push(Owner { name: self.names.len(), hash, first: NONE });
            self.names.push(name.len() as u8);
            self.names.extend_from_slice(name);
        }
        self.last
    }

    fn set(&mut self, owner: u32, rtype: RecordType, ttl: u32) -> u32 {
        let first = self.owners[owner as usize].first;
        let mut sets = std::iter::successors(some(first), |&set| some(self.rrsets[set as usize].next));
        sets.find(|&set| self.rrsets[set as usize].rtype == rtype).unwrap_or_else(|| {
            let new = self.rrsets.len() as u32;
            self.rrsets.push(Set { rtype, ttl, count: 0, latest: NONE, next: first });
            self.owners[owner as usize].first = new;
            new
        })
    }

    /// The record of an RRset that has the same data.
    fn known(&self, set: u32, rtype: RecordType, rdata: &[u8]) -> Option<u32> {
        let count = self.rrsets[set as usize].count;
        if count >= MANY {
            return self.large.get(&(set, canonical_of(rtype, rdata))).copied();
        }
        let same = self.items(set).find(|&item| self.data(item) == rdata);
        if same.is_some() || count == 0 || !may_spell_differently(rtype) {
            return same;
        }
        let wire = canonical(rtype, rdata);
        self.items(set).find(|&item| canonical(rtype, self.data(item)) == wire)
    }

    fn items(&self, set: u32) -> impl Iterator<Item = u32> + '_ {
        let latest = some(self.rrsets[set as usize].latest);
        std::iter::successors(latest, |&item| some(self.records[item as usize].before))
    }

    fn data(&self, item: u32) -> &[u8] {
        let item = &self.records[item as usize];
        &self.bytes[item.start..item.start + usize::from(item.length)]
    }
}

/// The name that starts at a byte of the row of names.
fn name_at(names: &[u8], at: usize) -> &[u8] {
    &names[at + 1..at + 1 + usize::from(names[at])]
}

/// A hash of which all bits count, as the index wants it.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn some(index: u32) -> Option<u32> {
    (index != NONE).then_some(index)
}

fn canonical_of(rtype: RecordType, rdata: &[u8]) -> Vec<u8> {
    if may_spell_differently(rtype) { canonical(rtype, rdata) } else { rdata.to_vec() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Rdata, Record, ZoneContent};
    use super::*;

    fn soa() -> Soa {
        let root = Rdata::new([0u8].as_slice());
        let (mname, rname) = (root.clone(), root);
        Soa { ttl: 60, mname, rname, serial: 7, refresh: 1, retry: 1, expire: 1, minimum: 1 }
    }

    proptest! {
        #[test]
        fn a_zone_has_each_record_once_whatever_their_order(
            records in proptest::collection::vec((0..6u8, 0..3u16, 1..3u32, 0..40u8), 0..300),
        ) {
            let origin: Name = "example.".parse().expect("a name");
            let (mut builder, mut content) = (ZoneBuilder::default(), ZoneContent::new(origin.clone(), soa()));
            for (owner, rtype, ttl, data) in records {
                let owner = origin.child(&[b'a' + owner]).expect("a short name");
                let (rtype, rdata) = (RecordType(65280 + rtype), Rdata::new([data].as_slice()));
                let added = builder.add(owner.as_wire(), rtype, ttl, rdata.as_wire());
                let (of_set, repeats) = (added.ttl, added.repeats.is_some());
                let is_new = content.add(Record { owner: owner.clone(), rtype, ttl, rdata });
                prop_assert_eq!((of_set, !repeats), (content.rrsets[&(owner, rtype)].ttl, is_new));
            }
            prop_assert_eq!(builder.finish(origin, soa()).to_content(), content);
        }
    }

    #[test]
    fn data_that_differs_in_case_alone_is_a_repetition_however_many_there_are() {
        let origin: Name = "example.".parse().expect("a name");
        let mut builder = ZoneBuilder::default();
        for number in 0..40u8 {
            let data = [&[2, b'A', b'a' + number][..], b"\x00"].concat();
            assert_eq!(builder.add(origin.as_wire(), RecordType::NS, 60, &data).repeats, None);
            assert_eq!(
                builder.add(origin.as_wire(), RecordType::NS, 60, &data.to_ascii_lowercase()).repeats,
                Some(&data[..])
            );
        }
        assert_eq!(builder.finish(origin, soa()).record_count(), 41);
    }
}
