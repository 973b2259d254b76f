//! The catalog: a zone that lists the cluster's zones (RFC 9432) and replicates like any other.
//!
//! A member zone is `g<generation>-<incarnation>.zones.<catalog> PTR <origin>`. A deleted zone leaves a stub,
//! `<hash>.deleted.ext.<catalog> TXT <origin> <generation> <serial>`, so that a re-created one continues above its
//! serial and nothing of the old one returns.

use std::collections::{BTreeMap, BTreeSet};

use super::state::ZoneState;
use super::{ActorId, IncarnationId};
use crate::zone::{Change, Name, Rdata, Record, RecordKey, RecordType, Soa, Zone, ZoneContent};

/// TTL of the catalog's records; nobody resolves them, so 0 as RFC 9432 §3 advises.
const TTL: u32 = 0;

/// The highest generation or serial that is believed: more than are ever reached.
const MAX_NUMBER: u64 = 1 << 57;

/// A zone that the catalog lists.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Member {
    /// The zone's name.
    pub origin: Name,
    /// How many lives of that name came before, plus one.
    pub generation: u64,
    /// Which life.
    pub incarnation: IncarnationId,
}

/// What is remembered of a deleted zone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Stub {
    /// The last generation.
    pub generation: u64,
    /// The last serial.
    pub serial: u64,
}

/// The catalog, read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Catalog {
    members: BTreeMap<IncarnationId, Member>,
    by_origin: BTreeMap<Name, BTreeSet<IncarnationId>>,
    /// Every stub that is there: nodes that delete a zone, or remember its serial, at the same time leave one each.
    stubs: BTreeMap<Name, BTreeSet<Stub>>,
}

/// The catalog zone's name. Under `.invalid`, for it is not meant to be looked up (RFC 6761 §6.4).
pub fn catalog_name() -> Name {
    "catalog.grapevine.invalid.".parse().expect("a constant name")
}

/// The state that every catalog begins with, the same on all nodes.
pub fn catalog_genesis() -> ZoneState {
    let invalid = Rdata::new(Name::parse_to_wire(b"invalid.", None).expect("a constant name"));
    let soa = Soa {
        ttl: TTL,
        mname: invalid.clone(),
        rname: invalid.clone(),
        serial: 1,
        refresh: 60,
        retry: 60,
        expire: 2_419_200,
        minimum: 0,
    };
    let mut content = ZoneContent::new(catalog_name(), soa);
    content.add(Record { owner: catalog_name(), rtype: RecordType::NS, ttl: TTL, rdata: invalid });
    content.add(Record { owner: below("version"), rtype: RecordType::TXT, ttl: TTL, rdata: txt(&["2"]) });
    ZoneState::genesis(&Zone::from_content(&content), 1, 1)
}

impl Catalog {
    /// Reads the whole catalog.
    pub fn read(state: &ZoneState) -> Catalog {
        let mut catalog = Catalog::default();
        for block in state.live_blocks() {
            let owner = Name::from_valid_wire(block.owner());
            for (rtype, set) in state.live_in(block).iter() {
                for record in &set.records {
                    catalog.take_in(&owner, rtype, &record.rdata);
                }
            }
        }
        catalog
    }

    /// Every zone listed.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    /// What the catalog says of an incarnation.
    pub fn get(&self, incarnation: IncarnationId) -> Option<&Member> {
        self.members.get(&incarnation)
    }

    /// Whether an incarnation is listed.
    pub fn contains(&self, incarnation: IncarnationId) -> bool {
        self.members.contains_key(&incarnation)
    }

    /// The listed lives of a name.
    pub fn of(&self, origin: &Name) -> impl Iterator<Item = &Member> {
        self.by_origin.get(origin).into_iter().flatten().filter_map(|id| self.members.get(id))
    }

    /// Every name listed, with its lives.
    pub fn origins(&self) -> impl Iterator<Item = (&Name, impl Iterator<Item = &Member>)> {
        self.by_origin.keys().map(|origin| (origin, self.of(origin)))
    }

    /// What is remembered of a deleted zone of this name.
    pub fn stub(&self, origin: &Name) -> Option<Stub> {
        self.stubs.get(origin)?.iter().copied().reduce(Stub::and)
    }

    /// The edit that lists a zone.
    pub fn list(member: &Member) -> Vec<Change> {
        let rdata = Rdata::new(member.origin.as_wire());
        vec![Change::Add(Record { owner: member.owner(), rtype: RecordType::PTR, ttl: TTL, rdata })]
    }

    /// The edit that takes a zone out, in all its lives, and leaves a stub.
    pub fn delist(&self, origin: &Name, last: Stub) -> Vec<Change> {
        let mut changes: Vec<Change> = self.of(origin).map(|member| Change::Remove(member.listing())).collect();
        changes.extend(self.remember(origin, last));
        changes
    }

    /// The record that tells of a deleted zone of this name; the latest, if several do.
    pub(super) fn stub_key(&self, origin: &Name) -> Option<RecordKey> {
        Some(stub_key(origin, *self.stubs.get(origin)?.last()?))
    }

    /// Puts one stub in the place of all that are there. It never says less than they did, and what says the same
    /// stays: an edit that removes a record and adds it again only removes it.
    fn remember(&self, origin: &Name, last: Stub) -> Vec<Change> {
        let known: Vec<Stub> = self.stubs.get(origin).into_iter().flatten().copied().collect();
        let last = known.iter().copied().fold(last, Stub::and);
        let old = known.iter().filter(|stub| **stub != last);
        let mut changes: Vec<Change> = old.map(|stub| Change::Remove(stub_key(origin, *stub))).collect();
        if !known.contains(&last) {
            let RecordKey { owner, rtype, rdata } = stub_key(origin, last);
            changes.push(Change::Add(Record { owner, rtype, ttl: TTL, rdata }));
        }
        changes
    }

    /// The edit that takes out one life of a zone. The stub keeps the name's numbers, should all its lives be taken out
    /// at once on different nodes.
    pub(super) fn drop_life(&self, member: &Member, serial: u64) -> Vec<Change> {
        let mut changes = vec![Change::Remove(member.listing())];
        changes.extend(self.remember(&member.origin, Stub { generation: member.generation, serial }));
        changes
    }

    fn take_in(&mut self, owner: &Name, rtype: RecordType, rdata: &Rdata) {
        if rtype == RecordType::PTR
            && let Some(member) = Member::read(owner, rdata)
        {
            self.by_origin.entry(member.origin.clone()).or_default().insert(member.incarnation);
            self.members.insert(member.incarnation, member);
        } else if rtype == RecordType::TXT
            && let Some((origin, stub)) = read_stub(owner, rdata)
        {
            self.stubs.entry(origin).or_default().insert(stub);
        }
    }
}

impl Stub {
    /// What holds if both do.
    fn and(self, other: Stub) -> Stub {
        Stub { generation: self.generation.max(other.generation), serial: self.serial.max(other.serial) }
    }
}

impl Member {
    /// The record that lists it.
    pub(super) fn listing(&self) -> RecordKey {
        RecordKey { owner: self.owner(), rtype: RecordType::PTR, rdata: Rdata::new(self.origin.as_wire()) }
    }

    fn owner(&self) -> Name {
        let label = format!("g{}-{}", self.generation, self.incarnation);
        below("zones").child(label.as_bytes()).expect("at most 54 bytes")
    }

    fn read(owner: &Name, rdata: &Rdata) -> Option<Member> {
        if owner.parent()? != below("zones") {
            return None;
        }
        let label = std::str::from_utf8(owner.labels().next()?).ok()?;
        let (generation, incarnation) = label.strip_prefix('g')?.split_once('-')?;
        let bytes = data_encoding::HEXLOWER.decode(incarnation.as_bytes()).ok()?;
        Some(Member {
            origin: Name::from_wire(rdata.as_wire()).ok()?,
            generation: number(generation)?,
            incarnation: IncarnationId(bytes.try_into().ok()?),
        })
    }
}

fn below(label: &str) -> Name {
    catalog_name().child(label.as_bytes()).expect("constant names")
}

fn stub_key(origin: &Name, stub: Stub) -> RecordKey {
    RecordKey { owner: stub_owner(origin), rtype: RecordType::TXT, rdata: stub_rdata(origin, stub) }
}

fn stub_rdata(origin: &Name, stub: Stub) -> Rdata {
    txt(&[&origin.to_string(), &stub.generation.to_string(), &stub.serial.to_string()])
}

fn stub_owner(origin: &Name) -> Name {
    let hash = ActorId(*blake3::hash(origin.as_wire()).as_bytes().first_chunk().expect("32 bytes have 16"));
    let deleted = below("ext").child(b"deleted").expect("constant names");
    deleted.child(hash.to_string().as_bytes()).expect("32 more bytes")
}

fn txt(strings: &[&str]) -> Rdata {
    let mut wire = Vec::new();
    for text in strings {
        // An origin in presentation form can exceed 255 bytes; it is then split, and read back joined.
        for chunk in text.as_bytes().chunks(255) {
            wire.push(chunk.len() as u8);
            wire.extend_from_slice(chunk);
        }
    }
    Rdata::new(wire)
}

fn read_stub(owner: &Name, rdata: &Rdata) -> Option<(Name, Stub)> {
    let (mut strings, mut rest) = (Vec::new(), rdata.as_wire());
    while let Some((&length, tail)) = rest.split_first() {
        let (text, tail) = tail.split_at_checked(length.into())?;
        strings.push(std::str::from_utf8(text).ok()?);
        rest = tail;
    }
    let [origin @ .., generation, serial] = &strings[..] else { return None };
    let origin: Name = origin.concat().parse().ok()?;
    let stub = Stub { generation: number(generation)?, serial: number(serial)? };
    (*owner == stub_owner(&origin)).then_some((origin, stub))
}

/// A generation or serial, if it leaves room to count on from it.
fn number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|&number| number <= MAX_NUMBER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_and_stubs_are_read_back() {
        let origin: Name = "corp.example.".parse().expect("a name");
        let member = Member { origin: origin.clone(), generation: 3, incarnation: IncarnationId([7; 16]) };
        let mut catalog = Catalog::default();
        let take = |catalog: &mut Catalog, changes: Vec<Change>| {
            for change in changes {
                if let Change::Add(record) = change {
                    catalog.take_in(&record.owner, record.rtype, &record.rdata);
                }
            }
        };
        take(&mut catalog, Catalog::list(&member));
        assert_eq!(catalog.of(&origin).collect::<Vec<_>>(), [&member]);
        let stub = Stub { generation: 3, serial: 2_026_000_000 };
        let gone = catalog.delist(&origin, stub);
        assert!(matches!(&gone[0], Change::Remove(key) if key.owner == member.owner()));
        take(&mut catalog, gone);
        assert_eq!(catalog.stub(&origin), Some(stub));
    }

    #[test]
    fn what_is_remembered_of_a_deleted_zone_never_gets_less() {
        let origin: Name = "corp.example.".parse().expect("a name");
        let stub = |generation, serial| Stub { generation, serial };
        let added = |changes: Vec<Change>| -> Vec<RecordKey> {
            let add = |change| if let Change::Add(record) = change { Some(record.key()) } else { None };
            changes.into_iter().filter_map(add).collect()
        };
        let mut catalog = Catalog::default();
        catalog.stubs.entry(origin.clone()).or_default().insert(stub(1, 14));
        assert_eq!(catalog.delist(&origin, stub(1, 14)), [], "it stays, rather than being removed and added");
        assert_eq!(catalog.delist(&origin, stub(1, 13)), []);
        // Two nodes deleted it at once.
        catalog.stubs.entry(origin.clone()).or_default().insert(stub(2, 9));
        assert_eq!(catalog.stub(&origin), Some(stub(2, 14)));
        let changes = catalog.delist(&origin, stub(2, 10));
        assert_eq!(changes.len(), 3, "one stub takes the place of both");
        assert_eq!(added(changes), [stub_key(&origin, stub(2, 14))]);
    }

    #[test]
    fn numbers_that_cannot_be_counted_on_from_are_not_believed() {
        let origin: Name = "corp.example.".parse().expect("a name");
        let mut catalog = Catalog::default();
        let stub = Stub { generation: u64::MAX, serial: u64::MAX };
        let member = Member { origin: origin.clone(), generation: u64::MAX, incarnation: IncarnationId([7; 16]) };
        for change in catalog.clone().delist(&origin, stub).into_iter().chain(Catalog::list(&member)) {
            if let Change::Add(record) = change {
                catalog.take_in(&record.owner, record.rtype, &record.rdata);
            }
        }
        assert_eq!((catalog.stub(&origin), catalog.of(&origin).count()), (None, 0));
    }

    #[test]
    fn the_longest_origin_fits_a_stub() {
        let label = r"\000".repeat(63);
        let origin: Name = format!("{label}.{label}.{label}.").parse().expect("a name");
        let mut catalog = Catalog::default();
        for change in catalog.clone().delist(&origin, Stub { generation: 1, serial: 2 }) {
            if let Change::Add(record) = change {
                catalog.take_in(&record.owner, record.rtype, &record.rdata);
            }
        }
        assert_eq!(catalog.stub(&origin), Some(Stub { generation: 1, serial: 2 }));
    }
}
