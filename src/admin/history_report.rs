//! What the control interface says of the past of a zone and of what is not settled in it, as it stands in JSON.
//!
//! Fields are only ever added: scripts read them. Records stand as lines of a master file.

use serde::{Deserialize, Serialize};

use crate::zone::Name;

/// A part of a zone's history, the newest entry first.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LogReport {
    /// Which zone.
    pub origin: Name,
    /// The entries.
    pub entries: Vec<LogEntry>,
    /// Whether older ones are kept.
    pub more: bool,
}

/// One change of what the node serves under a name.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LogEntry {
    /// Its number on this node.
    pub number: u64,
    /// `edit`, `state` (a member's whole state was taken over), `created`, `deleted`, `switched` (another incarnation is
    /// served from here on) or `begun` (no history was kept before).
    pub what: String,
    /// The serial before; none if there was no zone.
    pub serial_before: Option<u32>,
    /// The serial after; none if there is no zone any more.
    pub serial: Option<u32>,
    /// The version after, as in the marker of the zone's file.
    pub version: String,
    /// The incarnation that is served from here on.
    pub incarnation: Option<String>,
    /// When it came to count on this node, by this node's clock: milliseconds since 1970.
    pub at_ms: u64,
    /// Who made it, if it was an edit.
    #[serde(flatten)]
    pub by: Option<By>,
    /// How many records it took away; one that got another TTL counts here and below.
    pub removed: u64,
    /// How many records it brought.
    pub added: u64,
    /// The records, each after `-` or `+`.
    pub changes: Vec<String>,
    /// How many more there are.
    pub more_changes: u64,
    /// Whether all records are kept; of a very large change only the counts are.
    pub kept: bool,
}

/// Who made an edit, when and where.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct By {
    /// When, by the author's clock: milliseconds since 1970.
    pub made_ms: u64,
    /// `file`, `update`, `api` or `system`.
    pub via: String,
    /// The person or program, as far as the node could tell.
    pub who: String,
    /// The node that took it.
    pub node: String,
    /// The file, the reason.
    pub note: String,
    /// The id that the client chose for it.
    pub request: Option<String>,
    /// The author's id, in hex.
    pub actor: String,
    /// Which of the author's edits of the zone it is.
    pub count: u64,
}

/// The difference between two versions of a zone.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DiffReport {
    /// Which zone.
    pub origin: Name,
    /// The serial of the one version.
    pub from: u32,
    /// The serial of the other.
    pub to: u32,
    /// The records that differ, `-` before those that only the first has, `+` before those that only the second has. The
    /// SOA is among them if it differs in more than its serial.
    pub changes: Vec<String>,
}

/// One version of a zone.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct VersionReport {
    /// Which zone.
    pub origin: Name,
    /// Its serial.
    pub serial: u32,
    /// How many records it has, the SOA counted.
    pub records: usize,
    /// The version as a master file.
    pub text: String,
}

/// What a rollback changed, or would.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RollbackReport {
    /// Which zone.
    pub origin: Name,
    /// The serial of the version to go back to.
    pub to: u32,
    /// The serial that the zone had.
    pub from: u32,
    /// The records that change, as in [`DiffReport`].
    pub changes: Vec<String>,
    /// The serial that the zone has with it; none if it was not done.
    pub serial: Option<u32>,
}

/// Whence each record of a zone comes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct BlameReport {
    /// Which zone.
    pub origin: Name,
    /// The records, in order.
    pub records: Vec<BlamedRecord>,
}

/// A record and the newest write that put it there.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct BlamedRecord {
    /// The record.
    pub record: String,
    /// Whether it is served, or others rule it out.
    pub served: bool,
    /// When it was written, by the author's clock: milliseconds since 1970. 0 for the zone's first content.
    pub written_ms: u64,
    /// The author's id, in hex.
    pub actor: String,
    /// Which of the author's edits of the zone it was.
    pub count: u64,
    /// The edit, if it is known: recent, or in the history.
    pub edit: Option<By>,
    /// What kind of entry of this node's history brought it, as in [`LogEntry`]; none if it is not kept.
    pub what: Option<String>,
    /// The serial that the zone had here with that edit, if the history has it.
    pub serial: Option<u32>,
}

/// What waits for a person.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ConflictsReport {
    /// By zone.
    pub zones: Vec<ZoneConflictsReport>,
}

/// What waits for a person in one zone.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ZoneConflictsReport {
    /// Which zone.
    pub origin: Name,
    /// How many records are live but not served.
    pub shadowed_count: usize,
    /// These records; not all, if there are very many.
    pub shadowed: Vec<ShadowedReport>,
    /// The incarnation that is served, if there are others.
    pub served: Option<IncarnationReport>,
    /// The others.
    pub others: Vec<IncarnationReport>,
}

/// A record that is live but not served.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ShadowedReport {
    /// The record and the edit that put it there.
    #[serde(flatten)]
    pub record: BlamedRecord,
    /// Why it is not served.
    pub why: String,
    /// What is served instead.
    pub instead: Vec<BlamedRecord>,
    /// The commands that settle it in favour of what is served.
    pub keep: Vec<String>,
    /// The commands that settle it in favour of this record.
    pub restore: Vec<String>,
}

/// One incarnation of a zone.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct IncarnationReport {
    /// Its id, in hex.
    pub incarnation: String,
    /// How many lives of the name came before, plus one.
    pub generation: u64,
    /// Its serial; none if it has not arrived on this node.
    pub serial: Option<u32>,
    /// How many records it has, the SOA counted.
    pub records: Option<usize>,
    /// The command that shows it.
    pub show: String,
    /// The command that drops it; none for the one that is served.
    pub drop: Option<String>,
}

/// An incarnation was dropped.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Dropped {
    /// Of which zone.
    pub origin: Name,
    /// Which one, in hex.
    pub incarnation: String,
}
