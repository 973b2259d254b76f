//! The records of one owner and type, packed: as a view of a node's bytes, and on the way there.

use super::{Rdata, RecordType};

/// All records of one owner and type, rdata in wire form one after the other. A view of the zone that it lies in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rrset<'z> {
    /// The type.
    pub rtype: RecordType,
    /// Time to live in seconds.
    pub ttl: u32,
    pub(super) wire: &'z [u8],
}

impl<'z> Rrset<'z> {
    /// How many records.
    pub fn count(self) -> usize {
        self.rdatas().count()
    }

    /// `rdlength`, `rdata`, `rdlength`, `rdata`, … (RFC 1035 §3.2.1), uncompressed.
    pub fn as_wire(self) -> &'z [u8] {
        self.wire
    }

    /// The rdata whose `rdlength` stands at a byte of [`Rrset::as_wire`].
    pub fn rdata_at(self, offset: usize) -> Option<&'z [u8]> {
        let (length, tail) = self.wire.get(offset..)?.split_first_chunk::<2>()?;
        tail.get(..u16::from_be_bytes(*length).into())
    }

    /// The rdata of each record, from the one with this index on and then those before it.
    pub fn rdatas_from(self, first: usize) -> impl Iterator<Item = &'z [u8]> {
        let start = self.rdatas().take(first).map(|rdata| 2 + rdata.len()).sum();
        let (mut last, mut rest) = self.wire.split_at(start);
        std::iter::from_fn(move || {
            if rest.is_empty() {
                rest = std::mem::take(&mut last);
            }
            let (length, tail) = rest.split_first_chunk::<2>()?;
            let (rdata, tail) = tail.split_at_checked(u16::from_be_bytes(*length).into())?;
            rest = tail;
            Some(rdata)
        })
    }

    /// The rdata of each record.
    pub fn rdatas(self) -> impl Iterator<Item = &'z [u8]> + Clone {
        let mut rest = self.wire;
        std::iter::from_fn(move || {
            let (length, tail) = rest.split_first_chunk::<2>()?;
            let (rdata, tail) = tail.split_at_checked(u16::from_be_bytes(*length).into())?;
            rest = tail;
            Some(rdata)
        })
    }
}

/// An RRset that is to become part of a node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RrsetBuf {
    rtype: RecordType,
    ttl: u32,
    wire: Vec<u8>,
}

impl RrsetBuf {
    /// Packs rdata in the order given.
    pub fn new<'a>(rtype: RecordType, ttl: u32, rdatas: impl IntoIterator<Item = &'a Rdata>) -> RrsetBuf {
        let mut rrset = RrsetBuf { rtype, ttl, wire: Vec::new() };
        for rdata in rdatas {
            rrset.push(rdata.as_wire());
        }
        rrset
    }

    /// Adds a record.
    pub fn push(&mut self, rdata: &[u8]) {
        self.wire.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
        self.wire.extend_from_slice(rdata);
    }

    /// The RRset as it will be seen.
    pub fn view(&self) -> Rrset<'_> {
        Rrset { rtype: self.rtype, ttl: self.ttl, wire: &self.wire }
    }
}
