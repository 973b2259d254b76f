//! An immutable zone in the layout that answering wants. A copy shares all with the original; a change to the copy
//! leaves the original as it is and shares with it what it does not touch.

use std::collections::BTreeSet;

use super::canonical_order::canonical_key;
use super::node::{Block, BlockWriter, Node, in_order};
use super::ordered_names::OrderedNames;
use super::rrset::RrsetBuf;
use super::table::{Entry, Table};
use super::{Name, NameHash, Place, Rdata, RecordType, Rrset, RrsetContent, Soa, ZoneContent, served_serial};

/// The label of a wildcard, its length in front (RFC 4592 §2.1.1).
pub(crate) const WILDCARD: &[u8] = b"\x01*";

/// Shards, of a dozen names each, that are looked at for what has changed: more than edits of single records touch.
const MAX_UNLIKE_SHARDS: usize = 256;

/// A zone. Cheap to clone; clones and successors share their data.
#[derive(Clone, Debug)]
pub struct Zone {
    origin: Name,
    origin_hash: NameHash,
    soa: Soa,
    serial: u64,
    table: Table,
    /// Names that exist: with RRsets, or with such names below.
    names: usize,
    /// Bytes of all nodes.
    bytes: usize,
    record_count: usize,
    /// Nodes other than the apex with NS, or with DNAME anywhere: while zero, nothing in the zone is occluded.
    cuts: usize,
    wildcards: usize,
    /// Owners of NSEC records, in order; empty in an unsigned zone.
    nsec: OrderedNames,
    /// Owners of NSEC3 records, in order of their hashes; empty but in a zone signed with NSEC3.
    nsec3: OrderedNames,
    hidden: bool,
    version: [u8; 8],
}

impl Zone {
    /// A zone that has nothing but its SOA; `serial` replaces the one in `soa`.
    pub fn new(origin: Name, soa: Soa, serial: u64) -> Zone {
        Zone::from_blocks(origin, soa, serial, Vec::new())
    }

    /// Makes a zone from its content; the serial is the SOA's.
    pub fn from_content(content: &ZoneContent) -> Zone {
        let mut rrsets = content.rrsets.iter().peekable();
        let (mut blocks, mut writer) = (Vec::new(), BlockWriter::default());
        while let Some((owner, _)) = rrsets.peek().map(|(key, _)| *key) {
            writer.begin(owner.as_wire());
            while let Some(((_, rtype), rrset)) = rrsets.next_if(|((next, _), _)| next == owner) {
                writer.rrset(RrsetBuf::new(*rtype, rrset.ttl, &rrset.rdatas).view());
            }
            blocks.push(writer.finish(b""));
        }
        Zone::from_blocks(content.origin.clone(), content.soa.clone(), content.soa.serial.into(), blocks)
    }

    /// Makes a zone of nodes of distinct names at or below its origin; `serial` replaces the one in `soa`, which replaces
    /// any SOA among the nodes.
    pub fn from_blocks(origin: Name, soa: Soa, serial: u64, blocks: Vec<Block>) -> Zone {
        Zone::from_entries(origin, soa, serial, blocks.into_iter().map(|block| Entry::new(block, 0)).collect())
    }

    /// The same of nodes whose names have been hashed.
    pub(super) fn from_entries(origin: Name, soa: Soa, serial: u64, entries: Vec<Entry>) -> Zone {
        let mut nodes = ZoneNodes::new(origin, soa, serial);
        entries.iter().for_each(|entry| nodes.count(entry));
        ZoneNodes { entries, ..nodes }.finish()
    }

    /// The content without the layout.
    pub fn to_content(&self) -> ZoneContent {
        let mut content = ZoneContent::new(self.origin.clone(), self.soa.clone());
        for node in self.iter() {
            let owner = node.name();
            for rrset in node.rrsets().filter(|rrset| rrset.rtype != RecordType::SOA) {
                let rdatas: BTreeSet<Rdata> = rrset.rdatas().map(Rdata::new).collect();
                content.rrsets.insert((owner.clone(), rrset.rtype), RrsetContent { ttl: rrset.ttl, rdatas });
            }
        }
        content
    }

    /// The apex.
    pub fn origin(&self) -> &Name {
        &self.origin
    }

    /// The hash of the apex, from which those of all names in the zone come.
    pub fn origin_hash(&self) -> NameHash {
        self.origin_hash
    }

    /// The SOA as served.
    pub fn soa(&self) -> &Soa {
        &self.soa
    }

    /// The serial in the 64 bits in which it never goes back; served modulo 2^32.
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// How many records, the SOA counted.
    pub fn record_count(&self) -> usize {
        self.record_count
    }

    /// How many names, empty non-terminals counted.
    pub fn name_count(&self) -> usize {
        self.names
    }

    /// About how many bytes its nodes take.
    pub fn size(&self) -> usize {
        self.bytes
    }

    /// Whether some name in the zone is a zone cut or owns a DNAME, so that names below may be occluded.
    pub fn has_cuts(&self) -> bool {
        self.cuts > 0
    }

    /// Whether some owner starts with `*`.
    pub fn has_wildcards(&self) -> bool {
        self.wildcards > 0
    }

    /// Whether the zone has NSEC records.
    pub fn has_nsec(&self) -> bool {
        !self.nsec.is_empty()
    }

    /// Whether the zone has NSEC3 records.
    pub fn has_nsec3(&self) -> bool {
        !self.nsec3.is_empty()
    }

    /// The NSEC owner at a lower-cased wire-form name or the last one before it: the one that matches or covers the name
    /// (RFC 4035 §5.4). The chain is a ring.
    pub fn nsec_at_or_before(&self, wire: &[u8]) -> Option<(&Name, Node<'_>)> {
        self.nsec.at_or_before(wire).and_then(|name| Some((name, self.get(name.as_wire())?)))
    }

    /// As [`Zone::nsec_at_or_before`] for the NSEC3 chain, by the hashed owner's name (RFC 5155 §3).
    pub fn nsec3_at_or_before(&self, wire: &[u8]) -> Option<(&Name, Node<'_>)> {
        self.nsec3.at_or_before(wire).and_then(|name| Some((name, self.get(name.as_wire())?)))
    }

    /// Whether the zone is for transfers alone and refuses ordinary queries, as the catalog does (RFC 9432 §7).
    pub fn is_hidden(&self) -> bool {
        self.hidden
    }

    /// The short hash of the version vector that this snapshot shows; zeros for one that is not replicated.
    pub fn version(&self) -> [u8; 8] {
        self.version
    }

    /// The node at a lower-cased wire-form name, if the name exists.
    pub fn get(&self, wire: &[u8]) -> Option<Node<'_>> {
        self.table.get(wire).filter(|entry| entry.exists()).map(node)
    }

    /// As [`Zone::get`] for a name whose hash is known.
    #[inline]
    pub fn find(&self, hash: NameHash, wire: &[u8]) -> Option<Node<'_>> {
        self.table.find(hash, |owner| owner == wire).filter(|entry| entry.exists()).map(node)
    }

    /// The node of the wildcard directly below a name whose hash is known.
    pub fn wildcard_below(&self, hash: NameHash, wire: &[u8]) -> Option<Node<'_>> {
        let is_meant = |owner: &[u8]| owner.strip_prefix(WILDCARD).is_some_and(|parent| parent == wire);
        self.table.find(hash.child(WILDCARD), is_meant).filter(|entry| entry.exists()).map(node)
    }

    /// The bytes at a name, though the name may not exist: the replica may keep something there all the same.
    pub fn block(&self, wire: &[u8]) -> Option<&Block> {
        self.table.get(wire).map(|entry| &entry.block)
    }

    /// The node at the apex; it always exists.
    pub fn apex(&self) -> Node<'_> {
        self.find(self.origin_hash, self.origin.as_wire()).expect("a zone is made with its SOA at the apex")
    }

    /// Every node in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = Node<'_>> {
        self.table.iter().filter(|entry| entry.exists()).map(node)
    }

    /// Each name's nodes here and in another version, without most of those names that are the same in both.
    pub(super) fn pairs_of_unlike_shards<'z>(
        &'z self,
        other: &'z Zone,
    ) -> impl Iterator<Item = (Option<Node<'z>>, Option<Node<'z>>)> {
        let existing = |entry: Option<&'z Entry>| entry.filter(|entry| entry.exists()).map(node);
        self.table.pairs_of_unlike_shards(&other.table).map(move |(ours, theirs)| (existing(ours), existing(theirs)))
    }

    /// Calls `changed` for the place of each name whose RRsets or existence differ in a newer version of the zone, the SOA
    /// apart, and for that of the zone. False if places do not tell it all: the zone is answered from in another way
    /// throughout, or so much differs that to look at all of it would take long.
    pub(super) fn changes_to(&self, newer: &Zone, mut changed: impl FnMut(Place)) -> bool {
        let manner = |zone: &Zone| (zone.hidden, zone.has_cuts(), zone.has_nsec(), zone.has_nsec3());
        let Some(shards) = self.table.unlike_shards(&newer.table).filter(|_| manner(self) == manner(newer)) else {
            return false;
        };
        changed(Place::of_zone(self.origin_hash));
        for (count, (old, new)) in shards.enumerate() {
            if count == MAX_UNLIKE_SHARDS {
                return false;
            }
            for entry in old {
                if self.differs(entry, new.iter().find(|other| other.is_of_name_of(entry))) {
                    changed(entry.place());
                }
            }
            for entry in new.iter().filter(|entry| entry.exists()) {
                if !old.iter().any(|other| other.is_of_name_of(entry)) {
                    changed(entry.place());
                }
            }
        }
        true
    }

    /// Whether a name is answered from in another way by the other entry of it, the SOA apart.
    fn differs(&self, entry: &Entry, other: Option<&Entry>) -> bool {
        let nodes = (entry.exists().then(|| node(entry)), other.filter(|other| other.exists()).map(node));
        match nodes {
            (Some(old), Some(new)) if old.owner() == self.origin.as_wire() => {
                let soa_apart = |rrset: &Rrset<'_>| rrset.rtype != RecordType::SOA;
                !old.rrsets().filter(soa_apart).eq(new.rrsets().filter(soa_apart))
            }
            (Some(old), Some(new)) => !new.serves_same(old),
            (None, None) => false,
            _ => true,
        }
    }

    /// Every node in canonical order, the apex first.
    pub fn sorted(&self) -> Vec<Node<'_>> {
        let (mut keys, mut nodes) = (Vec::with_capacity(self.bytes), Vec::with_capacity(self.names));
        for node in self.iter() {
            let start = keys.len();
            canonical_key(node.owner(), &mut keys);
            nodes.push((start..keys.len(), node));
        }
        nodes.sort_unstable_by(|a, b| keys[a.0.clone()].cmp(&keys[b.0.clone()]));
        nodes.into_iter().map(|(_, node)| node).collect()
    }

    /// The bytes at every name, those that do not exist included; in no particular order.
    pub fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.table.iter().map(|entry| &entry.block)
    }

    /// The same in `parts` parts of about the same size, the one with this index.
    pub fn blocks_of_part(&self, index: usize, parts: usize) -> impl Iterator<Item = &Block> {
        let shards = self.table.shard_count();
        let range = index * shards / parts..(index + 1) * shards / parts;
        range.flat_map(|shard| self.table.shard(shard)).map(|entry| &entry.block)
    }

    /// Whether two of the nodes that it was made of have one name, so that it is none.
    pub fn has_duplicates(&self) -> bool {
        self.table.has_duplicates()
    }

    /// Keeps the zone out of ordinary answers; see [`Zone::is_hidden`].
    pub fn set_hidden(&mut self, hidden: bool) {
        self.hidden = hidden;
    }

    /// Notes which version the zone shows; see [`Zone::version`].
    pub fn set_version(&mut self, version: [u8; 8]) {
        self.version = version;
    }

    /// Replaces the SOA; `serial` takes the place of the one in it.
    pub fn set_soa(&mut self, soa: Soa, serial: u64) {
        let origin = self.origin.clone();
        let known = self.block(origin.as_wire()).cloned();
        let rrsets = known.iter().flat_map(Block::rrsets).collect();
        self.replace_apex(soa, serial, rrsets, known.as_ref().map_or(b"", Block::extra));
    }

    /// Replaces the SOA as [`Zone::set_soa`] does, and all else at the apex as [`Zone::set_with`] does.
    pub fn set_apex(&mut self, soa: Soa, serial: u64, rrsets: &[RrsetBuf], extra: &[u8]) {
        self.replace_apex(soa, serial, in_order(rrsets), extra);
    }

    /// Replaces all RRsets of `owner` but the SOA; an empty list removes them. `owner` lies in the zone.
    pub fn set(&mut self, owner: &Name, rrsets: Vec<RrsetBuf>) {
        self.set_with(owner, &rrsets, b"");
    }

    /// As [`Zone::set`], with what the replica keeps there; that is kept though there be no RRset.
    pub fn set_with(&mut self, owner: &Name, rrsets: &[RrsetBuf], extra: &[u8]) {
        debug_assert!(owner.is_at_or_below(&self.origin));
        if *owner == self.origin {
            return self.set_apex(self.soa.clone(), self.serial, rrsets, extra);
        }
        let mut views = in_order(rrsets);
        views.retain(|rrset| rrset.rtype != RecordType::SOA);
        if views.is_empty() && extra.is_empty() {
            self.replace(owner.as_wire(), None);
        } else {
            self.replace(owner.as_wire(), Some(Block::new(owner.as_wire(), &views, extra)));
        }
    }

    fn replace_apex(&mut self, mut soa: Soa, serial: u64, rrsets: Vec<Rrset<'_>>, extra: &[u8]) {
        soa.serial = served_serial(serial);
        let set = RrsetBuf::new(RecordType::SOA, soa.ttl, [&soa.to_rdata()]);
        let mut rrsets: Vec<Rrset<'_>> = rrsets.into_iter().filter(|set| set.rtype != RecordType::SOA).collect();
        let place = rrsets.partition_point(|rrset| rrset.rtype < RecordType::SOA);
        rrsets.insert(place, set.view());
        let origin = self.origin.clone();
        self.replace(origin.as_wire(), Some(Block::new(origin.as_wire(), &rrsets, extra)));
        self.soa = soa;
        self.serial = serial;
    }

    /// Puts a node in place of the one at this name, and keeps all counts true.
    fn replace(&mut self, owner: &[u8], block: Option<Block>) {
        let before = self.table.get(owner);
        let (existed, children) = before.map_or((false, 0), |entry| (entry.exists(), entry.children));
        let old = before.map(|entry| self.tally(&entry.block)).unwrap_or_default();
        let block = block.or_else(|| (children > 0).then(|| Block::new(owner, &[], b"")));
        let new = block.as_ref().map(|block| self.tally(block)).unwrap_or_default();
        self.bytes = self.bytes - old.bytes + new.bytes;
        self.record_count = self.record_count - old.records + new.records;
        self.cuts = self.cuts - old.cuts + new.cuts;
        self.wildcards = self.wildcards - old.wildcards + new.wildcards;
        if old.nsec != new.nsec {
            self.nsec.set(&Name::from_valid_wire(owner), new.nsec);
        }
        if old.nsec3 != new.nsec3 {
            self.nsec3.set(&Name::from_valid_wire(owner), new.nsec3);
        }
        let entry = block.map(|block| Entry::new(block, children));
        let exists = entry.as_ref().is_some_and(Entry::exists);
        match entry {
            Some(entry) => self.table.put(entry),
            None if old.bytes > 0 => self.table.remove(owner),
            None => {}
        }
        self.came_or_went(owner, existed, exists);
    }

    /// Changes the number of names that exist directly below a name, which itself comes or goes with them.
    fn count_children(&mut self, owner: &[u8], change: i64) {
        let before = self.table.get(owner);
        let existed = before.is_some_and(Entry::exists);
        let known = before.map(|entry| (entry.block.clone(), entry.children));
        let (block, children) = known.unwrap_or_else(|| {
            let bare = Block::new(owner, &[], b"");
            self.bytes += bare.as_bytes().len();
            (bare, 0)
        });
        let entry = Entry::new(block, children.saturating_add_signed(change as i32));
        let exists = entry.exists();
        if exists || !entry.block.extra().is_empty() {
            self.table.put(entry);
        } else {
            self.bytes -= entry.block.as_bytes().len();
            self.table.remove(owner);
        }
        self.came_or_went(owner, existed, exists);
    }

    fn came_or_went(&mut self, owner: &[u8], existed: bool, exists: bool) {
        if existed == exists {
            return;
        }
        self.names = if exists { self.names + 1 } else { self.names - 1 };
        if owner != self.origin.as_wire()
            && let Some(parent) = parent_of(owner)
        {
            self.count_children(parent, if exists { 1 } else { -1 });
        }
    }

    fn tally(&self, block: &Block) -> Tally {
        let mut tally = Tally { bytes: block.as_bytes().len(), ..Tally::default() };
        let below_apex = block.owner().len() > self.origin.as_wire().len();
        for rrset in block.rrsets() {
            tally.records += rrset.count();
            match rrset.rtype {
                RecordType::NS if below_apex => tally.cuts = 1,
                RecordType::DNAME => tally.cuts = 1,
                RecordType::NSEC => tally.nsec = true,
                RecordType::NSEC3 => tally.nsec3 = true,
                _ => {}
            }
        }
        tally.wildcards = usize::from(tally.records > 0 && block.owner().starts_with(WILDCARD));
        tally
    }
}

/// A zone in the making, of nodes of distinct names at or below its origin as they come one by one.
#[derive(Debug)]
pub struct ZoneNodes {
    /// The zone without its nodes, but with what they add to its totals.
    zone: Zone,
    entries: Vec<Entry>,
    /// How many names with RRsets came directly below a name. Names in a row mostly have one parent.
    parents: Vec<(Name, u32)>,
    nsec: Vec<Name>,
    nsec3: Vec<Name>,
}

impl ZoneNodes {
    /// No nodes yet; `serial` replaces the one in `soa`, which replaces any SOA among the nodes.
    pub fn new(origin: Name, soa: Soa, serial: u64) -> ZoneNodes {
        let zone = Zone {
            table: Table::new(),
            origin_hash: NameHash::of(origin.as_wire()),
            origin,
            soa,
            serial,
            names: 0,
            bytes: 0,
            record_count: 0,
            cuts: 0,
            wildcards: 0,
            nsec: OrderedNames::default(),
            nsec3: OrderedNames::default(),
            hidden: false,
            version: [0; 8],
        };
        ZoneNodes { zone, entries: Vec::new(), parents: Vec::new(), nsec: Vec::new(), nsec3: Vec::new() }
    }

    /// Takes in the next node.
    pub fn push(&mut self, block: Block) {
        let entry = Entry::new(block, 0);
        self.count(&entry);
        self.entries.push(entry);
    }

    fn count(&mut self, entry: &Entry) {
        let (zone, owner) = (&mut self.zone, entry.block.owner());
        let tally = zone.tally(&entry.block);
        zone.bytes += tally.bytes;
        if entry.block.rrset_count() == 0 {
            return;
        }
        zone.names += 1;
        zone.record_count += tally.records;
        zone.cuts += tally.cuts;
        zone.wildcards += tally.wildcards;
        if tally.nsec {
            self.nsec.push(Name::from_valid_wire(owner));
        }
        if tally.nsec3 {
            self.nsec3.push(Name::from_valid_wire(owner));
        }
        let Some(parent) = parent_of(owner).filter(|_| owner != zone.origin.as_wire()) else { return };
        match self.parents.last_mut() {
            Some((last, count)) if last.as_wire() == parent => *count += 1,
            _ => self.parents.push((Name::from_valid_wire(parent), 1)),
        }
    }

    /// The zone of all of them.
    pub fn finish(self) -> Zone {
        let ZoneNodes { mut zone, entries, parents, nsec, nsec3 } = self;
        zone.nsec = OrderedNames::from_unsorted(nsec);
        zone.nsec3 = OrderedNames::from_unsorted(nsec3);
        zone.table = Table::from_entries(entries);
        parents.into_iter().for_each(|(parent, count)| zone.count_children(parent.as_wire(), i64::from(count)));
        zone.set_soa(zone.soa.clone(), zone.serial);
        zone
    }
}

/// What one node adds to a zone's totals.
#[derive(Default)]
struct Tally {
    bytes: usize,
    records: usize,
    cuts: usize,
    wildcards: usize,
    nsec: bool,
    nsec3: bool,
}

fn node(entry: &Entry) -> Node<'_> {
    Node { block: &entry.block, children: entry.children }
}

/// The name without its first label; none for the root.
fn parent_of(owner: &[u8]) -> Option<&[u8]> {
    owner.get(1 + usize::from(owner[0])..).filter(|_| owner[0] > 0)
}

/// Zones are compared by what they serve.
impl PartialEq for Zone {
    fn eq(&self, other: &Zone) -> bool {
        self.origin == other.origin && self.names == other.names && self.differing(other).next().is_none()
    }
}

impl From<ZoneContent> for Zone {
    fn from(content: ZoneContent) -> Zone {
        Zone::from_content(&content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().expect("a valid name")
    }

    fn empty() -> Zone {
        let root = Rdata::new([0u8].as_slice());
        let (mname, rname) = (root.clone(), root);
        let soa = Soa { ttl: 60, mname, rname, serial: 0, refresh: 1, retry: 1, expire: 1, minimum: 1 };
        Zone::new(name("example."), soa, 7)
    }

    fn a(last: u8) -> Vec<RrsetBuf> {
        vec![RrsetBuf::new(RecordType::A, 60, [&Rdata::new([192, 0, 2, last].as_slice())])]
    }

    #[test]
    fn empty_non_terminals_come_and_go_with_what_is_below() {
        let mut zone = empty();
        zone.set(&name("a.b.c.example."), a(1));
        zone.set(&name("x.b.c.example."), a(2));
        assert!(zone.get(name("c.example.").as_wire()).is_some_and(|node| node.rrsets().len() == 0));
        assert_eq!((zone.name_count(), zone.record_count()), (5, 3));
        let mut fewer = zone.clone();
        fewer.set(&name("a.b.c.example."), Vec::new());
        assert_eq!((fewer.name_count(), fewer.record_count()), (4, 2));
        let mut none = fewer.clone();
        none.set(&name("x.b.c.example."), Vec::new());
        assert_eq!((none.name_count(), none.record_count()), (1, 1));
        assert_eq!(none.size(), empty().size());
        assert_eq!((zone.name_count(), zone.record_count()), (5, 3), "the older snapshot is as it was");
    }

    #[test]
    fn what_the_replica_keeps_at_a_name_does_not_make_it_exist() {
        let mut zone = empty();
        zone.set_with(&name("a.b.example."), &[], b"kept");
        assert_eq!((zone.name_count(), zone.record_count()), (1, 1));
        assert!(zone.get(name("a.b.example.").as_wire()).is_none());
        assert_eq!(zone.block(name("a.b.example.").as_wire()).map(Block::extra), Some(&b"kept"[..]));
        zone.set_with(&name("x.a.b.example."), &a(1), b"");
        assert_eq!(zone.name_count(), 4);
        zone.set(&name("x.a.b.example."), Vec::new());
        assert_eq!(zone.name_count(), 1);
        assert_eq!(zone.block(name("a.b.example.").as_wire()).map(Block::extra), Some(&b"kept"[..]));
    }

    #[test]
    fn a_zone_made_in_one_go_is_the_one_made_name_by_name() {
        let mut zone = empty();
        for i in 0..5000u32 {
            zone.set(&name(&format!("n{i}.{}.d{}.example.", i % 7, i % 900)), a(i as u8));
        }
        zone.set(&name("*.example."), a(1));
        let again = Zone::from_content(&zone.to_content());
        assert_eq!(zone, again);
        let counts = |zone: &Zone| (zone.record_count(), zone.name_count(), zone.wildcards, zone.cuts, zone.bytes);
        assert_eq!(counts(&zone), counts(&again));
        assert_eq!(again.to_content(), zone.to_content());
        assert!(zone.get(name("n5000.example.").as_wire()).is_none());
        let children = |zone: &Zone| zone.sorted().iter().map(|node| (node.name(), node.children)).collect::<Vec<_>>();
        assert_eq!(children(&zone), children(&again));
        let parts: usize = (0..13).map(|part| zone.blocks_of_part(part, 13).count()).sum();
        assert_eq!(parts, zone.blocks().count());
    }
}
