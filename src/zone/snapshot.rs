//! An immutable zone in the layout that answering wants, and the editor that makes the next one from it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::name_table::NameTable;
use super::ordered_names::OrderedNames;
use super::{Name, Rdata, RecordType, RrsetContent, Soa, ZoneContent, served_serial};

/// All records of one owner and type, rdata in wire form one after the other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rrset {
    /// The type.
    pub rtype: RecordType,
    /// Time to live in seconds.
    pub ttl: u32,
    count: u16,
    /// `rdlength`, `rdata`, `rdlength`, `rdata`, … (RFC 1035 §3.2.1), uncompressed.
    wire: Box<[u8]>,
}

impl Rrset {
    /// Packs rdata in the order given.
    pub fn new<'a>(rtype: RecordType, ttl: u32, rdatas: impl IntoIterator<Item = &'a Rdata>) -> Rrset {
        let (mut wire, mut count) = (Vec::new(), 0);
        for rdata in rdatas {
            wire.extend_from_slice(&(rdata.as_wire().len() as u16).to_be_bytes());
            wire.extend_from_slice(rdata.as_wire());
            count += 1;
        }
        Rrset { rtype, ttl, count, wire: wire.into() }
    }

    /// How many records.
    pub fn count(&self) -> u16 {
        self.count
    }

    /// The packed `rdlength` and rdata of every record.
    pub fn as_wire(&self) -> &[u8] {
        &self.wire
    }

    /// The rdata whose `rdlength` stands at a byte of [`Rrset::as_wire`].
    pub fn rdata_at(&self, offset: usize) -> Option<&[u8]> {
        let (length, tail) = self.wire.get(offset..)?.split_first_chunk::<2>()?;
        tail.get(..u16::from_be_bytes(*length).into())
    }

    /// The rdata of each record.
    pub fn rdatas(&self) -> impl Iterator<Item = &[u8]> + Clone {
        let mut rest = &self.wire[..];
        std::iter::from_fn(move || {
            let (length, tail) = rest.split_at_checked(2)?;
            let (rdata, tail) = tail.split_at(usize::from(u16::from_be_bytes([length[0], length[1]])));
            rest = tail;
            Some(rdata)
        })
    }
}

/// What a zone has at one name. A node without RRsets is an empty non-terminal (RFC 4592 §2.2.2).
#[derive(Clone, Debug, Default)]
pub struct Node {
    rrsets: Vec<Rrset>,
    /// Nodes directly below; with none, a node that loses its last RRset goes.
    children: u32,
}

impl Node {
    /// The RRsets in order of type.
    pub fn rrsets(&self) -> &[Rrset] {
        &self.rrsets
    }

    /// The RRset of a type.
    pub fn get(&self, rtype: RecordType) -> Option<&Rrset> {
        self.rrsets.iter().find(|rrset| rrset.rtype == rtype)
    }

    /// The rdata of the RRSIGs that cover a type (RFC 4034 §3.1.1).
    pub fn signatures(&self, covered: RecordType) -> impl Iterator<Item = &[u8]> {
        let all = self.get(RecordType::RRSIG).into_iter().flat_map(Rrset::rdatas);
        all.filter(move |rdata| rdata.starts_with(&covered.0.to_be_bytes()))
    }

    /// Whether names exist below this one.
    pub fn has_children(&self) -> bool {
        self.children > 0
    }
}

/// An immutable snapshot of a zone. Cheap to clone; clones and successors share their data.
#[derive(Clone, Debug)]
pub struct Zone {
    origin: Name,
    soa: Soa,
    serial: u64,
    nodes: NameTable<Node>,
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
    /// Makes a zone from its content; the serial is the SOA's.
    pub fn from_content(content: &ZoneContent) -> Zone {
        let mut editor = ZoneEditor::new(content.origin.clone(), content.soa.clone(), content.soa.serial.into());
        let mut rrsets = content.rrsets.iter().peekable();
        while let Some(((owner, rtype), rrset)) = rrsets.next() {
            let mut list = vec![Rrset::new(*rtype, rrset.ttl, &rrset.rdatas)];
            while let Some(((_, rtype), rrset)) = rrsets.next_if(|((next, _), _)| next == owner) {
                list.push(Rrset::new(*rtype, rrset.ttl, &rrset.rdatas));
            }
            editor.set(owner, list);
        }
        editor.finish()
    }

    /// The content without the layout.
    pub fn to_content(&self) -> ZoneContent {
        let mut content = ZoneContent::new(self.origin.clone(), self.soa.clone());
        for (owner, node) in self.iter() {
            for rrset in node.rrsets.iter().filter(|rrset| rrset.rtype != RecordType::SOA) {
                let rdatas: BTreeSet<Rdata> = rrset.rdatas().map(Rdata::new).collect();
                content.rrsets.insert((owner.clone(), rrset.rtype), RrsetContent { ttl: rrset.ttl, rdatas });
            }
        }
        content
    }

    /// An editor whose result differs from this zone only where it is told to.
    pub fn edit(&self) -> ZoneEditor {
        ZoneEditor { zone: self.clone() }
    }

    /// The apex.
    pub fn origin(&self) -> &Name {
        &self.origin
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
        self.nodes.len()
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
    pub fn nsec_at_or_before(&self, wire: &[u8]) -> Option<(&Name, &Node)> {
        self.nsec.at_or_before(wire).and_then(|name| Some((name, self.get(name.as_wire())?)))
    }

    /// As [`Zone::nsec_at_or_before`] for the NSEC3 chain, by the hashed owner's name (RFC 5155 §3).
    pub fn nsec3_at_or_before(&self, wire: &[u8]) -> Option<(&Name, &Node)> {
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

    /// What tells this version from others.
    pub fn head(&self) -> ZoneHead {
        ZoneHead { soa: self.soa.clone(), serial: self.serial, version: self.version }
    }

    /// The node at a lower-cased wire-form name.
    pub fn get(&self, wire: &[u8]) -> Option<&Node> {
        self.nodes.get(wire).map(|entry| &*entry.1)
    }

    /// The node at the apex; it always exists.
    pub fn apex(&self) -> &Node {
        self.get(self.origin.as_wire()).expect("a zone is made with its SOA at the apex")
    }

    /// Every node in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, &Node)> {
        self.nodes.iter().map(|entry| (&entry.0, &*entry.1))
    }

    /// Every node in canonical order, the apex first.
    pub fn sorted(&self) -> Vec<(&Name, &Node)> {
        let mut nodes: Vec<_> = self.iter().collect();
        nodes.sort_unstable_by(|a, b| a.0.cmp(b.0));
        nodes
    }
}

/// What tells one version of a zone from another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ZoneHead {
    /// The SOA as served.
    pub soa: Soa,
    /// The serial in 64 bits.
    pub serial: u64,
    /// The short hash of the version vector.
    pub version: [u8; 8],
}

/// Makes a zone, from nothing or from an older one.
#[derive(Debug)]
pub struct ZoneEditor {
    zone: Zone,
}

impl ZoneEditor {
    /// A zone that has nothing but its SOA; `serial` replaces the one in `soa`.
    pub fn new(origin: Name, soa: Soa, serial: u64) -> ZoneEditor {
        let nodes = NameTable::new();
        let zone = Zone {
            origin,
            soa,
            serial,
            nodes,
            record_count: 0,
            cuts: 0,
            wildcards: 0,
            nsec: OrderedNames::default(),
            nsec3: OrderedNames::default(),
            hidden: false,
            version: [0; 8],
        };
        let mut editor = ZoneEditor { zone };
        let soa = editor.zone.soa.clone();
        editor.set_soa(soa, serial);
        editor
    }

    /// Keeps the zone out of ordinary answers; see [`Zone::is_hidden`].
    pub fn set_hidden(&mut self, hidden: bool) {
        self.zone.hidden = hidden;
    }

    /// Notes which version the finished zone shows; see [`Zone::version`].
    pub fn set_version(&mut self, version: [u8; 8]) {
        self.zone.version = version;
    }

    /// Replaces the SOA; `serial` takes the place of the one in it.
    pub fn set_soa(&mut self, mut soa: Soa, serial: u64) {
        soa.serial = served_serial(serial);
        let rrset = Rrset::new(RecordType::SOA, soa.ttl, [&soa.to_rdata()]);
        let origin = self.zone.origin.clone();
        let mut rrsets: Vec<Rrset> = self.zone.get(origin.as_wire()).map(|n| n.rrsets.clone()).unwrap_or_default();
        rrsets.retain(|old| old.rtype != RecordType::SOA);
        rrsets.push(rrset);
        self.zone.soa = soa;
        self.zone.serial = serial;
        self.replace(&origin, rrsets);
    }

    /// Replaces all RRsets of `owner` but the SOA; an empty list removes them. `owner` lies in the zone.
    pub fn set(&mut self, owner: &Name, mut rrsets: Vec<Rrset>) {
        debug_assert!(owner.is_at_or_below(&self.zone.origin));
        rrsets.retain(|rrset| rrset.rtype != RecordType::SOA && rrset.count > 0);
        if *owner == self.zone.origin {
            rrsets.extend(self.zone.apex().get(RecordType::SOA).cloned());
        }
        self.replace(owner, rrsets);
    }

    /// The zone as far as it is.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// The finished zone.
    pub fn finish(self) -> Zone {
        self.zone
    }

    fn replace(&mut self, owner: &Name, mut rrsets: Vec<Rrset>) {
        rrsets.sort_by_key(|rrset| rrset.rtype);
        let zone = &mut self.zone;
        let before = zone.get(owner.as_wire()).map(|node| zone.tally(owner, &node.rrsets)).unwrap_or_default();
        let after = zone.tally(owner, &rrsets);
        zone.record_count = zone.record_count - before.records + after.records;
        zone.cuts = zone.cuts - before.cuts + after.cuts;
        zone.wildcards = zone.wildcards - before.wildcards + after.wildcards;
        zone.nsec.set(owner, rrsets.iter().any(|rrset| rrset.rtype == RecordType::NSEC));
        zone.nsec3.set(owner, rrsets.iter().any(|rrset| rrset.rtype == RecordType::NSEC3));
        if rrsets.is_empty() {
            self.clear(owner);
        } else {
            self.reach(owner);
            self.zone.nodes.entry(owner, Node::default).rrsets = rrsets;
        }
    }

    /// Makes sure that `owner` and every name between it and the apex has a node.
    fn reach(&mut self, owner: &Name) {
        let missing: Vec<Name> = std::iter::successors(Some(owner.clone()), Name::parent)
            .take_while(|name| self.zone.get(name.as_wire()).is_none() && name.is_at_or_below(&self.zone.origin))
            .collect();
        for name in missing.iter().rev() {
            if let Some(parent) = name.parent().filter(|_| *name != self.zone.origin) {
                self.zone.nodes.entry(&parent, Node::default).children += 1;
            }
            self.zone.nodes.entry(name, Node::default);
        }
    }

    /// Takes the RRsets from `owner`, and the nodes that then serve nothing.
    fn clear(&mut self, owner: &Name) {
        if self.zone.get(owner.as_wire()).is_none() {
            return;
        }
        self.zone.nodes.entry(owner, Node::default).rrsets = Vec::new();
        let mut name = owner.clone();
        while name != self.zone.origin
            && self.zone.get(name.as_wire()).is_some_and(|node| node.rrsets.is_empty() && node.children == 0)
        {
            self.zone.nodes.remove(&name);
            let Some(parent) = name.parent() else { return };
            self.zone.nodes.entry(&parent, Node::default).children -= 1;
            name = parent;
        }
    }
}

/// What the RRsets of one owner add to a zone's totals.
#[derive(Default)]
struct Tally {
    records: usize,
    cuts: usize,
    wildcards: usize,
}

impl Zone {
    fn tally(&self, owner: &Name, rrsets: &[Rrset]) -> Tally {
        let has = |rtype| rrsets.iter().any(|rrset| rrset.rtype == rtype);
        let cut = has(RecordType::NS) && *owner != self.origin;
        Tally {
            records: rrsets.iter().map(|rrset| usize::from(rrset.count)).sum(),
            cuts: usize::from(cut || has(RecordType::DNAME)),
            wildcards: usize::from(owner.is_wildcard() && !rrsets.is_empty()),
        }
    }
}

/// Zones are compared by what they serve.
impl PartialEq for Zone {
    fn eq(&self, other: &Zone) -> bool {
        self.serial == other.serial && self.to_content() == other.to_content()
    }
}

impl From<&ZoneContent> for Arc<Zone> {
    fn from(content: &ZoneContent) -> Arc<Zone> {
        Arc::new(Zone::from_content(content))
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
        ZoneEditor::new(name("example."), soa, 7).finish()
    }

    fn a(last: u8) -> Vec<Rrset> {
        vec![Rrset::new(RecordType::A, 60, [&Rdata::new([192, 0, 2, last].as_slice())])]
    }

    #[test]
    fn empty_non_terminals_come_and_go_with_what_is_below() {
        let mut editor = empty().edit();
        editor.set(&name("a.b.c.example."), a(1));
        editor.set(&name("x.b.c.example."), a(2));
        let zone = editor.finish();
        assert!(zone.get(name("c.example.").as_wire()).is_some_and(|node| node.rrsets().is_empty()));
        assert_eq!((zone.name_count(), zone.record_count()), (5, 3));
        let mut editor = zone.edit();
        editor.set(&name("a.b.c.example."), Vec::new());
        let fewer = editor.finish();
        assert_eq!((fewer.name_count(), fewer.record_count()), (4, 2));
        let mut editor = fewer.edit();
        editor.set(&name("x.b.c.example."), Vec::new());
        let none = editor.finish();
        assert_eq!((none.name_count(), none.record_count()), (1, 1));
        assert_eq!((zone.name_count(), zone.record_count()), (5, 3), "the older snapshot is as it was");
    }

    #[test]
    fn many_names_are_found_after_the_table_grew() {
        let mut editor = empty().edit();
        for i in 0..5000u32 {
            editor.set(&name(&format!("n{i}.example.")), a(i as u8));
        }
        let zone = editor.finish();
        assert_eq!(zone.record_count(), 5001);
        assert!((0..5000).all(|i| zone.get(name(&format!("n{i}.example.")).as_wire()).is_some()));
        assert!(zone.get(name("n5000.example.").as_wire()).is_none());
        assert_eq!(Zone::from_content(&zone.to_content()).to_content(), zone.to_content());
    }
}
