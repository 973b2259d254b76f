//! A batch: one atomic edit of one zone by one actor, the unit of replication.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Dot, Hlc, IncarnationId, Stamp, VersionVector};
use crate::zone::{Name, Rdata, RecordKey, RecordType, rdata, wire_name_len};

/// The longest TTL in seconds (RFC 2181 §8).
pub const MAX_TTL: u32 = i32::MAX as u32;
/// How far a floor may lie above the batches counted so far: serials are kept in 64 bits, and this leaves room for
/// every edit that could ever be made.
const MAX_FLOOR: u64 = 1 << 56;
/// How long, in bytes, each text of a [`Source`] may be, so that a small edit still fits a datagram.
pub const MAX_SOURCE_TEXT: usize = 128;

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
    /// The serial under which its author served the zone with it. Only to notice when a serial stood for two contents.
    pub serial: u64,
    /// Whence the edit came, for people and for retries. Nothing of it enters the zone.
    pub source: Source,
}

/// Whence an edit came.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Source {
    /// How it came in.
    pub origin: EditOrigin,
    /// The person or program that made it, as far as the node could tell; may be empty.
    pub who: String,
    /// The name of the node that took it.
    pub node: String,
    /// Free text for the zone's history: the file, the reason.
    pub note: String,
    /// What the client knows the edit by, so that it may try again without doing the edit twice.
    pub request: Option<ClientRequest>,
}

/// The id that a client chose for an edit, and what it asked for under it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ClientRequest {
    /// The id, of at most [`MAX_SOURCE_TEXT`] bytes.
    pub id: String,
    /// A hash of what was asked for: the same id with another wish is a mistake, not a repetition.
    pub hash: [u8; 8],
}

impl Source {
    /// An edit of which no more is known than how it came in.
    pub fn new(origin: EditOrigin) -> Source {
        Source { origin, who: String::new(), node: String::new(), note: String::new(), request: None }
    }

    /// The same with texts cut to what a batch may carry.
    pub(super) fn bounded(&self) -> Source {
        let cut = |text: &str| text[..text.floor_char_boundary(MAX_SOURCE_TEXT)].to_owned();
        Source {
            origin: self.origin,
            who: cut(&self.who),
            node: cut(&self.node),
            note: cut(&self.note),
            request: self.request.clone(),
        }
    }

    fn is_bounded(&self) -> bool {
        let request = self.request.iter().map(|request| &request.id);
        let texts = [&self.who, &self.node, &self.note].into_iter().chain(request);
        texts.into_iter().all(|text| text.len() <= MAX_SOURCE_TEXT)
    }
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

    /// Every owner whose records or TTLs the batch names, each once.
    pub fn owners(&self) -> Vec<Name> {
        let mut owners: Vec<Name> =
            self.keys().map(|(owner, _)| owner).chain(self.ttls.iter().map(|write| &write.owner)).cloned().collect();
        owners.sort_unstable();
        owners.dedup();
        owners
    }

    /// Whether every node may apply it: names in the zone, rdata that suits its type, TTLs in range. The reason if not.
    pub fn check(&self) -> Result<(), String> {
        let ttl_owners = self.ttls.iter().map(|write| (&write.owner, write.rtype));
        for (owner, rtype) in self.keys().chain(ttl_owners) {
            if !owner.is_at_or_below(&self.zone) {
                return Err(format!("{owner} is not in zone {}", self.zone));
            }
            if rtype == RecordType::SOA || rtype.is_meta() {
                return Err(format!("a record of type {rtype} at {owner}"));
            }
        }
        for key in &self.adds {
            rdata::check(key.rtype, key.rdata.as_wire()).map_err(|error| format!("{}: {error}", key.owner))?;
        }
        let ttls = self.ttls.iter().filter_map(|write| write.ttl).chain(self.soa.ttl);
        if ttls.into_iter().any(|ttl| ttl > MAX_TTL) {
            return Err("a TTL beyond 2147483647 seconds".to_owned());
        }
        let names = self.soa.mname.iter().chain(&self.soa.rname);
        if names.into_iter().any(|name| wire_name_len(name.as_wire()) != Ok(name.as_wire().len())) {
            return Err("a malformed name in the SOA".to_owned());
        }
        if !self.source.is_bounded() {
            return Err(format!("a text about its source of more than {MAX_SOURCE_TEXT} bytes"));
        }
        if self.floor.is_some_and(|floor| floor > MAX_FLOOR) {
            return Err("a serial out of range".to_owned());
        }
        Ok(())
    }

    fn keys(&self) -> impl Iterator<Item = (&Name, RecordType)> {
        let removed = self.removes.iter().map(|(key, _)| key);
        self.adds.iter().chain(removed).map(|key| (&key.owner, key.rtype))
    }
}
