//! One resource record, and the part of it that identifies it.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Name, RecordType};

/// A class (RFC 1035 §3.2.4). Zones are all of class IN.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Class(pub u16);

impl Class {
    /// The Internet.
    pub const IN: Class = Class(1);
    /// Chaosnet, in use for questions about the server itself.
    pub const CH: Class = Class(3);
    /// Any class, in questions only.
    pub const ANY: Class = Class(255);
}

/// Rdata in uncompressed wire form, the case of embedded names as it was written. At most 65,535 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rdata(Arc<[u8]>);

impl Rdata {
    /// Takes wire bytes as they are; [`super::rdata::check`] tells whether they suit a type.
    pub fn new(wire: impl Into<Arc<[u8]>>) -> Rdata {
        Rdata(wire.into())
    }

    /// The wire bytes.
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Rdata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

/// What makes two records the same record: all but the TTL.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct RecordKey {
    /// The owner name.
    pub owner: Name,
    /// The type.
    pub rtype: RecordType,
    /// The data.
    pub rdata: Rdata,
}

/// A record of class IN.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Record {
    /// The owner name.
    pub owner: Name,
    /// The type.
    pub rtype: RecordType,
    /// Time to live in seconds, at most 2^31 - 1 (RFC 2181 §8).
    pub ttl: u32,
    /// The data.
    pub rdata: Rdata,
}

impl Record {
    /// The record without its TTL.
    pub fn key(&self) -> RecordKey {
        RecordKey { owner: self.owner.clone(), rtype: self.rtype, rdata: self.rdata.clone() }
    }
}
