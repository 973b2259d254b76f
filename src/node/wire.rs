//! What nodes say to each other about zones: datagrams, and requests over streams.

use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::codec::{self, DecodeError};
use crate::membership::Record;
use crate::replica::{Batch, Digest, IncarnationId, Summary, VersionVector};

/// The most bytes of batches in one datagram: with its head and the seal it stays below 1400 bytes.
pub(super) const MAX_RUMOUR: usize = 1000;

/// First byte of a datagram of the membership protocol.
const MEMBERSHIP: u8 = 0;
/// First byte of a datagram about zones.
const REPLICATION: u8 = 1;
/// First byte of a datagram about an edit that somebody waits for.
const CONFIRMATION: u8 = 2;

/// A datagram about zones.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Gossip {
    /// The sender's gossip address as members know it.
    pub(super) from: SocketAddr,
    /// The digest over all the sender's zones, after what this datagram brings.
    pub(super) root: Digest,
    /// Whether the sender has synced with the cluster or started it.
    pub(super) initialised: bool,
    /// Whether the sender has news that did not fit a datagram: ask it now.
    pub(super) ask: bool,
    /// New batches.
    pub(super) batches: Vec<Arc<Batch>>,
}

/// A datagram about an edit that somebody waits for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Confirmation {
    /// Say so when you hold this version on your disk.
    Ask {
        /// The sender's gossip address.
        from: SocketAddr,
        /// To answer by.
        id: u64,
        /// The zone's incarnation.
        incarnation: IncarnationId,
        /// At least these batches.
        version: VersionVector,
        /// Whether it was asked before, so that who lacks it had better fetch it.
        again: bool,
    },
    /// It is on the sender's disk.
    Kept {
        /// The sender's gossip address.
        from: SocketAddr,
        /// As asked.
        id: u64,
    },
}

impl Confirmation {
    pub(super) fn from(&self) -> SocketAddr {
        match self {
            Confirmation::Ask { from, .. } | Confirmation::Kept { from, .. } => *from,
        }
    }
}

/// A datagram, told apart by its first byte.
#[derive(Debug)]
pub(super) enum Datagram<'a> {
    Membership(&'a [u8]),
    Gossip(Gossip),
    Confirmation(Confirmation),
}

pub(super) fn membership_datagram(payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + payload.len());
    bytes.push(MEMBERSHIP);
    bytes.extend_from_slice(payload);
    bytes
}

pub(super) fn gossip_datagram(gossip: &Gossip) -> Vec<u8> {
    let mut bytes = vec![REPLICATION];
    bytes.extend(codec::encode(gossip));
    bytes
}

pub(super) fn confirmation_datagram(message: &Confirmation) -> Vec<u8> {
    let mut bytes = vec![CONFIRMATION];
    bytes.extend(codec::encode(message));
    bytes
}

pub(super) fn parse_datagram(bytes: &[u8]) -> Result<Datagram<'_>, DecodeError> {
    match bytes.split_first() {
        Some((&MEMBERSHIP, payload)) => Ok(Datagram::Membership(payload)),
        Some((&REPLICATION, payload)) => codec::decode_datagram(payload).map(Datagram::Gossip),
        Some((&CONFIRMATION, payload)) => codec::decode_datagram(payload).map(Datagram::Confirmation),
        _ => Err(DecodeError::new("unknown kind of datagram")),
    }
}

/// What a node asks another over a stream. Answers need no memory of earlier requests but for a transfer's chunks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Request {
    /// The whole roster; the asker's own comes along.
    Roster(Vec<Record>),
    /// Which version of each zone is held, unless the root is this one.
    Summaries {
        /// The asker's root.
        root: Digest,
    },
    /// What the asker lacks of one incarnation.
    Pull {
        /// Which incarnation.
        incarnation: IncarnationId,
        /// What the asker has.
        have: VersionVector,
    },
    /// One more chunk of a state.
    Chunk {
        /// Which transfer.
        transfer: Digest,
        /// Which chunk, from 0.
        index: u32,
    },
}

/// The answer to a [`Request`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Response {
    /// The whole roster.
    Roster(Vec<Record>),
    /// Both hold the same.
    Same {
        /// Whether the answering node has synced with the cluster or started it.
        initialised: bool,
    },
    /// What is held of each zone.
    Summaries {
        /// The answering node's root.
        root: Digest,
        /// Whether the answering node has synced with the cluster or started it.
        initialised: bool,
        /// The catalog first.
        zones: Vec<Summary>,
    },
    /// Batches in causal order.
    Batches(Vec<Arc<Batch>>),
    /// The whole state instead, the first chunk right away.
    State {
        /// To ask for the other chunks by.
        transfer: Digest,
        /// How many chunks.
        chunks: u32,
        /// Chunk 0.
        first: Vec<u8>,
    },
    /// One chunk.
    Chunk(Vec<u8>),
    /// Not held, or not any more.
    Gone,
}
