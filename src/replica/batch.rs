//! A batch: one atomic edit of one zone by one actor, the unit of replication.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Dot, Hlc, IncarnationId, Stamp, VersionVector};
use crate::zone::{Name, Rdata, RecordKey, RecordType};

/// One atomic edit. Immutable once made; its dot names it for ever.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Batch {
    /// The zone's name.
    pub zone: Name,
    /// Which life of the zone.
    pub incarnation: IncarnationId,
    /// Who made it, and as which of its batches.
    pub dot: Dot,
    /// What its author had seen in this incarnation; it applies only after that.
    pub deps: VersionVector,
    /// When, for ties between concurrent edits.
    pub hlc: Hlc,
    /// Records that become live under this batch's dot.
    pub adds: Vec<RecordKey>,
    /// Records that lose the dots which the author had seen.
    pub removes: Vec<(RecordKey, Vec<Dot>)>,
    /// TTLs, by RRset: each replaces the values that the author had seen.
    pub ttls: Vec<TtlWrite>,
    /// SOA fields that change.
    pub soa: SoaChange,
    /// A serial that a person wrote: the zone's serial is at least this from here on.
    pub floor: Option<u64>,
    /// How the edit came in.
    pub origin: EditOrigin,
    /// Free text for the zone's history: the file, the client, the reason.
    pub note: String,
}

/// A write to the TTL of one RRset.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TtlWrite {
    /// The owner.
    pub owner: Name,
    /// The type.
    pub rtype: RecordType,
    /// The new TTL in seconds; `None` only clears what was seen, as the RRset goes.
    pub ttl: Option<u32>,
    /// The writes that this one replaces.
    pub replaces: Vec<Dot>,
}

/// The SOA fields that an edit sets. The serial is not among them: it is computed.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct SoaChange {
    /// TTL of the SOA record in seconds.
    pub ttl: Option<u32>,
    /// The primary's name, wire form.
    pub mname: Option<Rdata>,
    /// The mailbox, wire form.
    pub rname: Option<Rdata>,
    /// Refresh in seconds.
    pub refresh: Option<u32>,
    /// Retry in seconds.
    pub retry: Option<u32>,
    /// Expire in seconds.
    pub expire: Option<u32>,
    /// Negative TTL bound in seconds.
    pub minimum: Option<u32>,
}

/// How an edit came in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EditOrigin {
    /// A zone file was saved.
    File,
    /// A dynamic update message (RFC 2136).
    Update,
    /// The control interface or the command line.
    Api,
    /// The node itself: the catalog, a genesis.
    System,
}

impl fmt::Display for EditOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            EditOrigin::File => "file",
            EditOrigin::Update => "update",
            EditOrigin::Api => "api",
            EditOrigin::System => "system",
        })
    }
}

impl Batch {
    /// What this batch's writes are compared by.
    pub fn stamp(&self) -> Stamp {
        Stamp { hlc: self.hlc, dot: self.dot }
    }

    /// The version that the author's state had after this batch.
    pub fn version_after(&self) -> VersionVector {
        let mut version = self.deps.clone();
        version.advance(self.dot);
        version
    }
}
