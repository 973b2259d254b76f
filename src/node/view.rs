//! A node as it shows itself to people: a read-only copy for the control interface.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::zone::Name;

/// What a node knows of itself, its members and its zones at one moment.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct View {
    /// This node's name.
    pub name: String,
    /// Its cluster's name.
    pub cluster: String,
    /// Its gossip address.
    pub gossip: SocketAddr,
    /// Its generation: unix milliseconds of its start, or more.
    pub generation: u64,
    /// Its actor, in hex, if it has made an edit.
    pub actor: Option<String>,
    /// Whether it has synced with its cluster or started one; until then it answers from its own files, provisionally.
    pub initialised: bool,
    /// Whether it has compared its zones with a member's since it started.
    pub synced: bool,
    /// Moment of this view, milliseconds since 1970.
    pub at_ms: u64,
    /// Every known member, this node included, by name.
    pub members: Vec<MemberView>,
    /// Every zone, by origin.
    pub zones: Vec<ZoneView>,
}

/// One member.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct MemberView {
    /// Its name.
    pub name: String,
    /// Its gossip address.
    pub gossip: SocketAddr,
    /// What this node believes of it.
    pub state: MemberState,
    /// Since when, milliseconds since 1970.
    pub since_ms: u64,
    /// Whether this is the node that speaks.
    pub this_node: bool,
    /// Whether it is known to hold the same version of every zone as this node.
    pub in_sync: bool,
}

/// What is believed of a member (SWIM).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberState {
    /// It answers probes.
    Alive,
    /// It missed a probe and has not refuted it yet.
    Suspect,
    /// It failed.
    Down,
    /// It said good-bye.
    Left,
}

/// One zone.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ZoneView {
    /// Its origin.
    pub origin: Name,
    /// The serial as served.
    pub serial: u32,
    /// How many records are served, the SOA counted.
    pub records: usize,
    /// The digest of its live content, in hex.
    pub digest: String,
    /// The short hash of its version vector, in hex, as in the marker of its file.
    pub version: String,
    /// Its incarnation, in hex.
    pub incarnation: String,
    /// On how many live members, this node included, the digest is the same.
    pub same_on: usize,
    /// How many members are alive, this node included.
    pub live: usize,
    /// How many records are live but not served because others rule them out (CNAME beside other data).
    pub shadowed: usize,
    /// Other incarnations of the same name that are kept but not served.
    pub conflicts: usize,
    /// Batches of other nodes that this node cannot apply: it is not current in the zone.
    pub quarantined: usize,
    /// How many serials are known to have stood for two contents, while edits were concurrent, since the node started.
    pub ambiguous: u64,
    /// Whether it is served from this node's file alone, not replicated yet.
    pub provisional: bool,
    /// Whether no member has been heard for longer than the zone's SOA EXPIRE, though others are known.
    pub stale: bool,
}
