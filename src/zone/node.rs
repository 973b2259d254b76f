//! What a zone has at one name, in one piece of memory.
//!
//! ```text
//! length of the name (1) │ name │ number of RRsets (2) │ RRset … │ what the replica keeps beside them
//! RRset: type (2) │ TTL (4) │ bytes that follow (4) │ rdlength (2), rdata …
//! ```
//!
//! Numbers are in network byte order, RRsets in order of type. A zone of a million names is a million of these: what is
//! not here costs no memory, and an answer touches one place.

use triomphe::ThinArc;

use super::rrset::{Rrset, RrsetBuf};
use super::{Name, RecordType, wire_name_len};

/// Bytes of an RRset before its records.
pub(super) const RRSET_HEAD: usize = 10;

/// A node's bytes. Cheap to clone; never changed once made.
#[derive(Clone, Debug)]
pub struct Block(ThinArc<(), u8>);

impl Block {
    /// Packs RRsets, which are in order of type, and what the replica keeps beside them.
    pub fn new(owner: &[u8], rrsets: &[Rrset<'_>], extra: &[u8]) -> Block {
        let size = 3 + owner.len() + extra.len() + rrsets.iter().map(|set| RRSET_HEAD + set.wire.len()).sum::<usize>();
        let mut writer = BlockWriter { bytes: Vec::with_capacity(size), count_at: 0 };
        writer.begin(owner);
        rrsets.iter().for_each(|rrset| writer.rrset(*rrset));
        writer.finish(extra)
    }

    /// Takes bytes that have been made here or elsewhere. The reason if they do not make a block. What the bytes say is
    /// for the caller to check.
    pub fn from_bytes(bytes: &[u8]) -> Result<Block, &'static str> {
        let short = "a node is cut short";
        let (&length, rest) = bytes.split_first().ok_or(short)?;
        let (name, rest) = rest.split_at_checked(length.into()).ok_or(short)?;
        if wire_name_len(name) != Ok(name.len()) || name.iter().any(u8::is_ascii_uppercase) {
            return Err("a node has no proper name");
        }
        let (count, mut rest) = rest.split_first_chunk::<2>().ok_or(short)?;
        let mut last = None;
        for _ in 0..u16::from_be_bytes(*count) {
            let (rrset, tail) = split_rrset(rest).ok_or(short)?;
            let mut at = 0;
            while at < rrset.wire.len() {
                at += 2 + rrset.rdata_at(at).ok_or(short)?.len();
            }
            if at == 0 || last >= Some(rrset.rtype) {
                return Err("a node's RRsets are out of order");
            }
            last = Some(rrset.rtype);
            rest = tail;
        }
        Ok(Block(ThinArc::from_header_and_slice((), bytes)))
    }

    /// Appends it to a row of blocks, each behind its length in four bytes.
    pub fn append_to(&self, row: &mut Vec<u8>) {
        row.extend_from_slice(&(self.as_bytes().len() as u32).to_be_bytes());
        row.extend_from_slice(self.as_bytes());
    }

    /// The blocks of a row, each as [`Block::from_bytes`] takes it; what no block can begin with ends the row.
    pub fn of_row(mut row: &[u8]) -> impl Iterator<Item = Result<Block, &'static str>> + '_ {
        std::iter::from_fn(move || {
            if row.is_empty() {
                return None;
            }
            let rest = std::mem::take(&mut row);
            let split = rest.split_first_chunk::<4>();
            let split = split.and_then(|(length, tail)| tail.split_at_checked(u32::from_be_bytes(*length) as usize));
            let Some((block, tail)) = split else { return Some(Err("a row of nodes is cut short")) };
            row = tail;
            Some(Block::from_bytes(block))
        })
    }

    /// Takes bytes that a [`BlockWriter`] wrote.
    pub(super) fn of(bytes: &[u8]) -> Block {
        Block(ThinArc::from_header_and_slice((), bytes))
    }

    /// All its bytes.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0.slice
    }

    /// The owner name, lower-cased wire form.
    #[inline]
    pub fn owner(&self) -> &[u8] {
        let bytes = self.as_bytes();
        &bytes[1..1 + usize::from(bytes[0])]
    }

    /// Whether two are the same piece of memory.
    pub fn is_same(&self, other: &Block) -> bool {
        self.0.ptr() == other.0.ptr()
    }

    #[inline]
    fn body(&self) -> &[u8] {
        let bytes = self.as_bytes();
        &bytes[1 + usize::from(bytes[0])..]
    }

    /// How many RRsets it has.
    #[inline]
    pub fn rrset_count(&self) -> u16 {
        let body = self.body();
        u16::from_be_bytes([body[0], body[1]])
    }

    /// The RRsets in order of type.
    #[inline]
    pub fn rrsets(&self) -> Rrsets<'_> {
        Rrsets { left: self.rrset_count(), rest: &self.body()[2..] }
    }

    /// What the replica keeps beside the RRsets.
    pub fn extra(&self) -> &[u8] {
        let mut rest = &self.body()[2..];
        for _ in 0..self.rrset_count() {
            rest = split_rrset(rest).map_or(b"", |(_, rest)| rest);
        }
        rest
    }
}

/// Blocks are equal when all their bytes are.
impl PartialEq for Block {
    fn eq(&self, other: &Block) -> bool {
        self.is_same(other) || self.as_bytes() == other.as_bytes()
    }
}

/// Writes one block after another; its memory is used again.
#[derive(Debug, Default)]
pub(super) struct BlockWriter {
    bytes: Vec<u8>,
    count_at: usize,
}

impl BlockWriter {
    pub(super) fn begin(&mut self, owner: &[u8]) {
        self.bytes.clear();
        self.bytes.push(owner.len() as u8);
        self.bytes.extend_from_slice(owner);
        self.count_at = self.bytes.len();
        self.bytes.extend_from_slice(&[0, 0]);
    }

    /// Adds an RRset of records that lie apart.
    pub(super) fn records<'r>(&mut self, rtype: RecordType, ttl: u32, rdatas: impl Iterator<Item = &'r [u8]>) {
        self.rrset(Rrset { rtype, ttl, wire: b"" });
        let start = self.bytes.len();
        for rdata in rdatas {
            self.bytes.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
            self.bytes.extend_from_slice(rdata);
        }
        let length = (self.bytes.len() - start) as u32;
        self.bytes[start - 4..start].copy_from_slice(&length.to_be_bytes());
    }

    pub(super) fn rrset(&mut self, rrset: Rrset<'_>) {
        let count = u16::from_be_bytes([self.bytes[self.count_at], self.bytes[self.count_at + 1]]) + 1;
        self.bytes[self.count_at..self.count_at + 2].copy_from_slice(&count.to_be_bytes());
        let [t0, t1] = rrset.rtype.0.to_be_bytes();
        let [l0, l1, l2, l3] = rrset.ttl.to_be_bytes();
        let [b0, b1, b2, b3] = (rrset.wire.len() as u32).to_be_bytes();
        self.bytes.extend_from_slice(&[t0, t1, l0, l1, l2, l3, b0, b1, b2, b3]);
        self.bytes.extend_from_slice(rrset.wire);
    }

    /// What was written since the last [`BlockWriter::begin`].
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn finish(&mut self, extra: &[u8]) -> Block {
        self.bytes.extend_from_slice(extra);
        Block::of(&self.bytes)
    }
}

/// Splits the RRset off that bytes start with.
#[inline]
fn split_rrset(bytes: &[u8]) -> Option<(Rrset<'_>, &[u8])> {
    let (&[t0, t1, l0, l1, l2, l3, b0, b1, b2, b3], tail) = bytes.split_first_chunk::<RRSET_HEAD>()?;
    let (wire, tail) = tail.split_at_checked(u32::from_be_bytes([b0, b1, b2, b3]) as usize)?;
    let rtype = RecordType(u16::from_be_bytes([t0, t1]));
    Some((Rrset { rtype, ttl: u32::from_be_bytes([l0, l1, l2, l3]), wire }, tail))
}

/// The RRsets of a node, in order of type.
#[derive(Clone, Debug)]
pub struct Rrsets<'z> {
    left: u16,
    rest: &'z [u8],
}

impl<'z> Iterator for Rrsets<'z> {
    type Item = Rrset<'z>;

    #[inline]
    fn next(&mut self) -> Option<Rrset<'z>> {
        self.left = self.left.checked_sub(1)?;
        let (rrset, rest) = split_rrset(self.rest)?;
        self.rest = rest;
        Some(rrset)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left.into(), Some(self.left.into()))
    }
}

impl ExactSizeIterator for Rrsets<'_> {}

/// What a zone has at one name. A node without RRsets is an empty non-terminal (RFC 4592 §2.2.2).
#[derive(Clone, Copy, Debug)]
pub struct Node<'z> {
    pub(super) block: &'z Block,
    pub(super) children: u32,
}

impl<'z> Node<'z> {
    /// The owner name, lower-cased wire form.
    pub fn owner(self) -> &'z [u8] {
        self.block.owner()
    }

    /// The owner name.
    pub fn name(self) -> Name {
        Name::from_valid_wire(self.owner())
    }

    /// The RRsets in order of type.
    pub fn rrsets(self) -> Rrsets<'z> {
        self.block.rrsets()
    }

    /// The RRset of a type.
    pub fn get(self, rtype: RecordType) -> Option<Rrset<'z>> {
        self.rrsets().find(|rrset| rrset.rtype >= rtype).filter(|rrset| rrset.rtype == rtype)
    }

    /// The rdata of the RRSIGs that cover a type (RFC 4034 §3.1.1).
    pub fn signatures(self, covered: RecordType) -> impl Iterator<Item = &'z [u8]> {
        let all = self.get(RecordType::RRSIG).into_iter().flat_map(Rrset::rdatas);
        all.filter(move |rdata| rdata.starts_with(&covered.0.to_be_bytes()))
    }

    /// Whether another node of the name has the same RRsets.
    pub(super) fn serves_same(self, other: Node<'_>) -> bool {
        self.block == other.block || self.rrsets().eq(other.rrsets())
    }

    /// Whether it has this record.
    pub fn holds(self, rtype: RecordType, rdata: &[u8]) -> bool {
        self.get(rtype).is_some_and(|rrset| rrset.rdatas().any(|held| held == rdata))
    }

    /// Whether names exist below this one.
    pub fn has_children(self) -> bool {
        self.children > 0
    }

    /// The bytes that it lies in.
    pub fn block(self) -> &'z Block {
        self.block
    }
}

/// Puts RRsets into order of type and leaves out those without records.
pub(super) fn in_order(rrsets: &[RrsetBuf]) -> Vec<Rrset<'_>> {
    let mut views: Vec<Rrset<'_>> = rrsets.iter().map(RrsetBuf::view).filter(|rrset| !rrset.wire.is_empty()).collect();
    views.sort_by_key(|rrset| rrset.rtype);
    views
}

#[cfg(test)]
mod tests {
    use super::super::Rdata;
    use super::*;

    #[test]
    fn a_block_gives_back_what_was_packed_and_no_part_of_it_is_taken_for_a_block() {
        let owner: Name = "a.example.".parse().expect("a name");
        let rdata = |bytes: &[u8]| Rdata::new(bytes);
        let sets = [
            RrsetBuf::new(RecordType::TXT, 30, [&rdata(b"\x01y"), &rdata(b"\x02zz")]),
            RrsetBuf::new(RecordType::A, 60, [&rdata(&[192, 0, 2, 1])]),
            RrsetBuf::new(RecordType::MX, 60, []),
        ];
        let block = Block::new(owner.as_wire(), &in_order(&sets), b"more");
        assert_eq!((block.owner(), block.rrset_count(), block.extra()), (owner.as_wire(), 2, &b"more"[..]));
        assert!(block.rrsets().eq([sets[1].view(), sets[0].view()]));
        let node = Node { block: &block, children: 0 };
        assert_eq!(
            node.get(RecordType::TXT).map(|set| set.rdatas().collect::<Vec<_>>()),
            Some(vec![&b"\x01y"[..], &b"\x02zz"[..]])
        );
        let bytes = block.as_bytes();
        assert_eq!(Block::from_bytes(bytes), Ok(block.clone()));
        for end in 0..bytes.len() - b"more".len() {
            assert!(Block::from_bytes(&bytes[..end]).is_err(), "{end}");
        }
    }
}
