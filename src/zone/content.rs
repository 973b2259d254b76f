//! What a zone says, apart from how it is stored: the form in which a master file, a transfer or a snapshot is compared.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Name, Rdata, Record, RecordKey, RecordType};

/// The start of authority of a zone (RFC 1035 §3.3.13).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Soa {
    /// TTL of the SOA record in seconds.
    pub ttl: u32,
    /// The primary's name, wire form, case as written.
    pub mname: Rdata,
    /// The mailbox of the person responsible, wire form, case as written.
    pub rname: Rdata,
    /// The serial (RFC 1982).
    pub serial: u32,
    /// Seconds between a secondary's refreshes.
    pub refresh: u32,
    /// Seconds before a failed refresh is tried again.
    pub retry: u32,
    /// Seconds after which a secondary stops answering.
    pub expire: u32,
    /// Upper bound of the negative TTL in seconds (RFC 2308 §4).
    pub minimum: u32,
}

impl Soa {
    /// Reads SOA rdata; `None` if it is malformed.
    pub fn from_rdata(ttl: u32, rdata: &[u8]) -> Option<Soa> {
        let fields = super::rdata::fields(RecordType::SOA, rdata).ok()?;
        let bytes = |index: usize| &rdata[fields[index].1.clone()];
        let number = |index: usize| bytes(index).try_into().map(u32::from_be_bytes).unwrap_or_default();
        Some(Soa {
            ttl,
            mname: Rdata::new(bytes(0)),
            rname: Rdata::new(bytes(1)),
            serial: number(2),
            refresh: number(3),
            retry: number(4),
            expire: number(5),
            minimum: number(6),
        })
    }

    /// The rdata in wire form.
    pub fn to_rdata(&self) -> Rdata {
        let mut wire = [self.mname.as_wire(), self.rname.as_wire()].concat();
        for number in [self.serial, self.refresh, self.retry, self.expire, self.minimum] {
            wire.extend_from_slice(&number.to_be_bytes());
        }
        Rdata::new(wire)
    }
}

/// The records of one owner and type.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RrsetContent {
    /// TTL in seconds.
    pub ttl: u32,
    /// The distinct rdata.
    pub rdatas: BTreeSet<Rdata>,
}

/// A whole zone as a value: its SOA and every other RRset.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ZoneContent {
    /// The apex.
    pub origin: Name,
    /// The SOA.
    pub soa: Soa,
    /// Every RRset but the SOA, by owner and type.
    pub rrsets: BTreeMap<(Name, RecordType), RrsetContent>,
}

/// One step from a zone's content to another.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Change {
    /// A record that was not there; its TTL becomes the RRset's.
    Add(Record),
    /// A record that is gone.
    Remove(RecordKey),
    /// Another TTL for an RRset that stays.
    Ttl {
        /// The RRset's owner.
        owner: Name,
        /// The RRset's type.
        rtype: RecordType,
        /// The new TTL in seconds.
        ttl: u32,
    },
    /// SOA fields that differ; the serial is left out of the comparison.
    Soa(Soa),
    /// A record without a TTL of its own: it takes its RRset's, and the SOA record's where it is the first.
    AddDefault(RecordKey),
    /// All records of an owner and type, whichever there are when the step is carried out.
    RemoveRrset {
        /// The owner.
        owner: Name,
        /// The type.
        rtype: RecordType,
    },
    /// All records of an owner, whichever there are when the step is carried out; at the apex all but SOA and NS
    /// (RFC 2136 §3.4.2.3).
    RemoveOwner {
        /// The owner.
        owner: Name,
    },
}

impl Change {
    /// The owner that it concerns; none if it is the SOA alone.
    pub fn owner(&self) -> Option<&Name> {
        match self {
            Change::Add(record) => Some(&record.owner),
            Change::Remove(key) | Change::AddDefault(key) => Some(&key.owner),
            Change::Ttl { owner, .. } | Change::RemoveRrset { owner, .. } | Change::RemoveOwner { owner } => {
                Some(owner)
            }
            Change::Soa(_) => None,
        }
    }
}

impl ZoneContent {
    /// A zone with only its SOA.
    pub fn new(origin: Name, soa: Soa) -> ZoneContent {
        ZoneContent { origin, soa, rrsets: BTreeMap::new() }
    }

    /// Adds a record that is not the SOA; of two TTLs in an RRset the first counts (RFC 2181 §5.2). Returns whether it
    /// was new.
    pub fn add(&mut self, record: Record) -> bool {
        let rrset = self.rrsets.entry((record.owner, record.rtype)).or_default();
        if rrset.rdatas.is_empty() {
            rrset.ttl = record.ttl;
        }
        rrset.rdatas.insert(record.rdata)
    }

    /// Every record but the SOA.
    pub fn records(&self) -> impl Iterator<Item = Record> + '_ {
        self.rrsets.iter().flat_map(|((owner, rtype), rrset)| {
            rrset.rdatas.iter().map(move |rdata| Record {
                owner: owner.clone(),
                rtype: *rtype,
                ttl: rrset.ttl,
                rdata: rdata.clone(),
            })
        })
    }

    /// How many records, the SOA counted.
    pub fn record_count(&self) -> usize {
        1 + self.rrsets.values().map(|rrset| rrset.rdatas.len()).sum::<usize>()
    }
}
