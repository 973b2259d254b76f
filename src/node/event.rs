//! What can happen to a node, and what it wants done: the whole interface between the core and the shell.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Source;
use crate::replica::{IncarnationId, Write};
use crate::zone::{Change, Name, Zone, ZoneSet};

/// The clocks, read once by the shell for each event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Time since an arbitrary moment of this process; never goes back.
    pub mono: Duration,
    /// Milliseconds since 1970 by the wall clock; may jump. Only the hybrid logical clock and displays use it.
    pub wall_ms: u64,
}

/// Names one local command until it is answered by [`Effect::Done`]. Chosen by the shell.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ticket(pub u64);

/// Names one request sent to a peer until its [`Event::Response`]. Chosen by the node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RequestId(pub u64);

/// Names one [`Effect::Persist`] until its [`Event::Persisted`]. Chosen by the node; results come in the order
/// in which the writes were asked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PersistId(pub u64);

/// Names one request received from a peer until [`Effect::Respond`]. Chosen by the shell.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct InboundId(pub u64);

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// The deadline of [`super::Node::next_deadline`] has come, or the first event of all.
    Tick,
    /// An authentic datagram came in; the payload is opened.
    Datagram {
        /// The sender's gossip address as the socket saw it.
        from: SocketAddr,
        /// The plain payload.
        payload: Vec<u8>,
    },
    /// A peer asks something over a stream.
    Request {
        /// To answer by.
        inbound: InboundId,
        /// The plain payload.
        payload: Vec<u8>,
    },
    /// A request that this node sent was answered, or failed (refused, cut, timed out).
    Response {
        /// Which request.
        id: RequestId,
        /// The plain payload, or why there is none.
        result: Result<Vec<u8>, String>,
    },
    /// A person or a tool wants something changed on this node.
    Command {
        /// To answer by.
        ticket: Ticket,
        /// What is wanted.
        command: Command,
    },
    /// The store kept, or could not keep, what it was asked to.
    Persisted {
        /// Which writes.
        id: PersistId,
        /// Why they were not kept; then nothing of them is on disk.
        result: Result<(), String>,
    },
    /// The zone files were read, at start and once: what this node has to offer to a cluster or to start one from.
    Files(Vec<Zone>),
    /// The seeds' names were resolved again: gossip addresses to join by from now on.
    Seeds(Vec<SocketAddr>),
    /// The daemon is about to stop: say good-bye to the members.
    Leave,
}

/// Something to be done by the shell.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Seal and send one datagram.
    SendDatagram {
        /// A gossip address.
        to: SocketAddr,
        /// The plain payload, small enough for one packet once sealed.
        payload: Vec<u8>,
    },
    /// Send a request over a stream and report back with [`Event::Response`], within [`super::REQUEST_TIMEOUT`].
    SendRequest {
        /// To report back by.
        id: RequestId,
        /// A gossip address.
        to: SocketAddr,
        /// The plain payload, of any size up to [`crate::codec::MAX_DECODED`].
        payload: Vec<u8>,
    },
    /// Answer a peer's request.
    Respond {
        /// Which request.
        inbound: InboundId,
        /// The plain payload.
        payload: Vec<u8>,
    },
    /// Keep these writes, all or none, after all earlier ones, and report back with [`Event::Persisted`].
    Persist {
        /// To report back by.
        id: PersistId,
        /// What to keep.
        writes: Vec<Write>,
        /// Whether they have waited for others to go with, so that they are not to wait again.
        gathered: bool,
    },
    /// Serve these zones from now on.
    Publish(Arc<ZoneSet>),
    /// A command is finished.
    Done {
        /// Which command.
        ticket: Ticket,
        /// What came of it.
        result: Result<Applied, CommandError>,
    },
    /// Tell the operator something.
    Report {
        /// How urgent it is.
        severity: Severity,
        /// What it is.
        message: String,
    },
    /// A datagram or stream message was authentic but not understood, and dropped; to be counted.
    Malformed,
    /// A serial is now known to have stood for two contents while edits were concurrent; to be counted.
    Ambiguous {
        /// The zone.
        zone: Name,
        /// The serial as served.
        serial: u32,
    },
    /// Batches of other nodes were applied; to be counted.
    Merged {
        /// How many.
        batches: u64,
    },
    /// This node must not go on: end the process with this message.
    Fatal(String),
}

/// How urgent a report is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Something is degraded.
    Warn,
    /// An operator must act.
    Error,
}

/// A wish to change something.
#[derive(Clone, Debug)]
pub enum Command {
    /// Change a zone that exists.
    Edit(Edit),
    /// Change records of a zone that exists, worked out on the zone as it is when the edit is made.
    Direct(DirectEdit),
    /// Make a zone of this content; its SOA's serial is the first serial.
    Create {
        /// The first content.
        content: Box<Zone>,
        /// Whence it came.
        source: Source,
    },
    /// Make several zones at once, all or none: what a node brings into a cluster.
    Import(Vec<Zone>),
    /// Note in the catalog that a deleted zone had come to this serial; the node itself asks for it.
    Remember {
        /// The zone's origin.
        zone: Name,
        /// The last serial here, 64 bits.
        serial: u64,
    },
    /// Delete a zone on every node.
    Delete {
        /// Its origin.
        zone: Name,
        /// Whence the wish came.
        source: Source,
    },
    /// Drop, on every node, an incarnation of a zone that is kept but not served.
    Drop {
        /// The zone's origin.
        zone: Name,
        /// Which incarnation.
        incarnation: IncarnationId,
        /// Whence the wish came.
        source: Source,
    },
}

/// One atomic edit of one zone, before it is a batch.
#[derive(Clone, Debug)]
pub struct Edit {
    /// The zone's origin.
    pub zone: Name,
    /// What to change, relative to the current state. Steps that change nothing are left out of the batch.
    pub changes: Vec<Change>,
    /// A serial that a person wrote. Obeyed if it is newer than the current one (RFC 1982).
    pub serial: Option<u32>,
    /// Whence the edit came; the node puts its own name in.
    pub source: Source,
}

/// An edit by records, and how its maker wants it done.
#[derive(Clone, Debug)]
pub struct DirectEdit {
    /// The edit. Its steps are carried out one after another, and may speak of whatever is there.
    pub edit: Edit,
    /// Whom to wait for before the answer; only this node's disk if nothing is said.
    pub wait: Option<Wait>,
    /// Whether to tell what would change, and to change nothing.
    pub dry_run: bool,
}

/// For how many members an answer waits, and for how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wait {
    /// For how many.
    pub level: WaitFor,
    /// After this time the answer tells how far the edit has come.
    pub timeout: Duration,
}

/// How many live members must hold an edit on their disks, its author counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WaitFor {
    /// More than half.
    Quorum,
    /// Each.
    All,
}

/// How far an edit has spread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Spread {
    /// Whether it was far enough in time.
    pub reached: bool,
    /// On how many live members it is known to be on disk, this node included.
    pub kept: usize,
    /// How many members are alive, this node included.
    pub live: usize,
    /// How many members are known but down.
    pub down: usize,
}

/// What came of an edit by records beyond the zone's version.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Detail {
    /// Whether the same request was carried out before, so that nothing was done now.
    pub repeated: bool,
    /// What changed, record by record.
    pub changes: Vec<Change>,
    /// How far it had come, if somebody waited.
    pub spread: Option<Spread>,
}

/// What came of a command: the zone as it now is on this node, on disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Applied {
    /// The zone's serial, 64 bits.
    pub serial: u64,
    /// The short hash of its version vector.
    pub version: [u8; 8],
    /// Whether anything changed.
    pub changed: bool,
    /// More about an edit by records.
    pub detail: Option<Arc<Detail>>,
}

/// Why a command was refused. Nothing was changed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CommandError {
    /// No zone of that name.
    #[error("no zone {0} here; `grapevine zones` lists those that are")]
    NoSuchZone(Name),
    /// The zone has another life now, made on another node while the edit was being stored in the one before.
    #[error(
        "zone {0} was deleted or made anew on another node while this edit was being stored; the edit is not in the \
         zone as it is now: look at it, and make the edit again if it is still wanted"
    )]
    Replaced(Name),
    /// A zone of that name exists already.
    #[error("zone {0} exists already")]
    ZoneExists(Name),
    /// The node has not synced with its cluster yet.
    #[error("this node has not reached its cluster yet and takes no edits until then")]
    NotInitialised,
    /// The edit could not be made durable.
    #[error("the edit was not stored and is refused: {0}")]
    NotStored(String),
    /// The edit would make the zone illegal.
    #[error("the edit is refused: {0}")]
    Invalid(String),
    /// A serial that is 2^31 or more ahead, which secondaries would take for older (RFC 1982).
    #[error("serial {wanted} is more than 2^31-1 ahead of {current}: secondaries would take it for an older one")]
    SerialJump {
        /// The serial asked for.
        wanted: u32,
        /// The serial now.
        current: u32,
    },
    /// A request id that was used for another edit.
    #[error("request id {id:?} was used for another edit, which made serial {serial}: choose a new id for each edit")]
    RequestReused {
        /// The id.
        id: String,
        /// The serial that the first edit under it made.
        serial: u64,
    },
    /// The node found that it must go on as another actor while it stored the edit.
    #[error(
        "this node's data directory has just turned out to be a copy, or an earlier state of itself; nothing was \
         changed, try again"
    )]
    Disowned,
    /// Too many edits are waiting.
    #[error("too many edits are waiting to be stored; try again")]
    Busy,
}
