//! What the control interface says, as it stands in JSON.
//!
//! Fields are only ever added: scripts read them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::node::{View, ZoneView};
use crate::zone::Name;

/// Everything about a node.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Status {
    /// The node, its members and its zones.
    #[serde(flatten)]
    pub view: View,
    /// The process that runs it.
    pub process: Process,
    /// How long the process has run, in milliseconds.
    pub uptime_ms: u64,
    /// Zone files that are not taken over, with the reasons.
    pub held: Vec<Held>,
}

/// The facts of the daemon's process that stay as they are while it runs.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Process {
    /// The version of the program.
    pub version: String,
    /// The process number.
    pub pid: u32,
    /// When it started, milliseconds since 1970.
    pub started_ms: u64,
    /// Where this node alone answers DNS.
    pub dns: Vec<SocketAddr>,
    /// The addresses on which it answers together with other nodes.
    pub service: Vec<SocketAddr>,
    /// Where its zone files are.
    pub zones_dir: PathBuf,
    /// Where it keeps its state.
    pub data_dir: PathBuf,
}

/// A zone file that was saved but not taken over: the zone as it was before keeps serving.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Held {
    /// The zone.
    pub origin: Name,
    /// The file.
    pub path: PathBuf,
    /// Why, and what to do.
    pub reason: String,
    /// Whether `grapevine zone approve` lets it through; a file with errors has to be mended instead.
    pub approvable: bool,
    /// What is wrong in it, each with its place.
    pub diagnostics: Vec<HeldDiagnostic>,
    /// Since when, milliseconds since 1970.
    pub since_ms: u64,
}

/// One finding in a held file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HeldDiagnostic {
    /// The file, which may be an included one.
    pub path: String,
    /// The line, counted from 1.
    pub line: u32,
    /// The character in the line, counted from 1.
    pub column: u32,
    /// `error` or `warning`.
    pub level: String,
    /// What is wrong and what would be right.
    pub message: String,
}

/// One zone in detail.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ZoneReport {
    /// What the list of zones says of it.
    #[serde(flatten)]
    pub zone: ZoneView,
    /// How many names it has, empty non-terminals counted.
    pub names: usize,
    /// How many records of each type.
    pub types: BTreeMap<String, usize>,
    /// The timers of its SOA.
    pub soa: SoaReport,
    /// Its file, if that is held.
    pub held: Option<Held>,
}

/// The numbers of a SOA (RFC 1035 §3.3.13), in seconds but for the serial.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SoaReport {
    /// The serial as served.
    pub serial: u32,
    /// TTL of the SOA record.
    pub ttl: u32,
    /// Between a secondary's refreshes.
    pub refresh: u32,
    /// Before a failed refresh is tried again.
    pub retry: u32,
    /// After which a secondary stops answering.
    pub expire: u32,
    /// Upper bound of the negative TTL.
    pub minimum: u32,
}

/// How a wait ended.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct WaitReport {
    /// Whether what was waited for came true in time.
    pub reached: bool,
    /// The zone at that moment; nothing if this node has none of that name.
    pub zone: Option<ZoneView>,
}

/// A zone was deleted on this node, and the others will follow.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Deleted {
    /// Which zone.
    pub origin: Name,
    /// Its last serial, as it would be served.
    pub serial: u32,
}

/// A held file was approved or rejected.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Decided {
    /// Which zone.
    pub origin: Name,
    /// What came of it, in words.
    pub outcome: String,
}
