//! What nodes say to each other about zones: datagrams, and requests over streams.

use std::net::SocketAddr;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::codec::{self, DecodeError};
use crate::membership::Record;
use crate::replica::{ActorId, Batch, Digest, Dot, IncarnationId, Summary, VersionHash, VersionVector};

/// The most bytes of batches in one datagram: with its head and the seal it stays below 1400 bytes.
pub(super) const MAX_RUMOUR: usize = 1000;

/// The version of all messages between nodes. It rises when a node of an older version would misread one; nodes of
/// different versions do not form a cluster, and say so.
pub const PROTOCOL: u8 = 4;

/// What follows in a datagram: the low bits of its first byte. The protocol's version is in the others.
const MEMBERSHIP: u8 = 0;
const REPLICATION: u8 = 1;
const CONFIRMATION: u8 = 2;
const KIND_BITS: u32 = 2;

/// A datagram about zones.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Gossip {
    /// The sender's gossip address as members know it.
    pub(super) from: SocketAddr,
    /// As whom the sender makes its edits.
    pub(super) actor: Option<ActorId>,
    /// The digest over all the sender's zones, after what this datagram brings.
    pub(super) root: Digest,
    /// Whether the sender has synced with the cluster or started it.
    pub(super) initialised: bool,
    /// Whether the sender has news that did not fit a datagram: ask it now.
    pub(super) ask: bool,
    /// Which version each of the last published zones has under which serial.
    pub(super) points: Vec<(IncarnationId, u64, VersionHash)>,
    /// New batches.
    pub(super) batches: Vec<Enclosed>,
}

/// A batch on its way, named outside, so that one which the receiver cannot read costs it that one alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Enclosed {
    pub(super) incarnation: IncarnationId,
    pub(super) dot: Dot,
    pub(super) batch: Vec<u8>,
}

impl Enclosed {
    pub(super) fn new(batch: &Batch) -> Enclosed {
        Enclosed { incarnation: batch.incarnation, dot: batch.dot, batch: codec::encode(batch) }
    }

    /// About how many bytes it takes.
    pub(super) fn size(&self) -> usize {
        const HEAD: usize = 48;
        HEAD + self.batch.len()
    }

    pub(super) fn open(&self) -> Result<Arc<Batch>, String> {
        let batch: Batch = codec::decode(&self.batch).map_err(|error| error.to_string())?;
        let names_match = (batch.incarnation, batch.dot) == (self.incarnation, self.dot);
        if names_match { Ok(Arc::new(batch)) } else { Err("it is not what its envelope says".to_owned()) }
    }
}

/// Why a message is not understood.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum WireError {
    /// The sender speaks another version of the protocol.
    #[error(
        "it speaks version {0} of the protocol between nodes, this one version {PROTOCOL}: run the same release of grapevine on both"
    )]
    Version(u8),
    /// It does not decode.
    #[error("{0}")]
    Malformed(String),
}

impl From<DecodeError> for WireError {
    fn from(error: DecodeError) -> WireError {
        WireError::Malformed(error.to_string())
    }
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
    bytes.push(PROTOCOL << KIND_BITS | MEMBERSHIP);
    bytes.extend_from_slice(payload);
    bytes
}

pub(super) fn gossip_datagram(gossip: &Gossip) -> Vec<u8> {
    let mut bytes = vec![PROTOCOL << KIND_BITS | REPLICATION];
    bytes.extend(codec::encode(gossip));
    bytes
}

pub(super) fn confirmation_datagram(message: &Confirmation) -> Vec<u8> {
    let mut bytes = vec![PROTOCOL << KIND_BITS | CONFIRMATION];
    bytes.extend(codec::encode(message));
    bytes
}

pub(super) fn parse_datagram(bytes: &[u8]) -> Result<Datagram<'_>, WireError> {
    let (first, payload) = bytes.split_first().ok_or_else(|| DecodeError::new("an empty datagram"))?;
    let (version, kind) = (first >> KIND_BITS, first & ((1 << KIND_BITS) - 1));
    match kind {
        _ if version != PROTOCOL => Err(WireError::Version(version)),
        MEMBERSHIP => Ok(Datagram::Membership(payload)),
        REPLICATION => Ok(Datagram::Gossip(codec::decode_datagram(payload)?)),
        CONFIRMATION => Ok(Datagram::Confirmation(codec::decode_datagram(payload)?)),
        _ => Err(DecodeError::new("unknown kind of datagram").into()),
    }
}

/// Encodes a request or a response, the protocol's version first.
pub(super) fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    codec::encode(&(PROTOCOL, message))
}

/// Decodes a request or a response.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, WireError> {
    match bytes.split_first() {
        Some((&PROTOCOL, message)) => Ok(codec::decode(message)?),
        Some((&version, _)) => Err(WireError::Version(version)),
        None => Err(DecodeError::new("an empty message").into()),
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
    /// What the asker lacks of each of these incarnations, of which it has so much.
    Pull(Vec<(IncarnationId, VersionVector)>),
    /// The whole state of one incarnation, whatever the asker has: to compare and repair.
    State {
        /// Which incarnation.
        incarnation: IncarnationId,
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
    /// What the asker lacks of the first of the incarnations that it asked for, in their order; the others it asks for
    /// again. A state of several chunks is the last.
    Pulled(Vec<Pulled>),
    /// One chunk.
    Chunk(#[serde(with = "codec::bytes")] Vec<u8>),
    /// Not held, or not any more.
    Gone,
}

/// What a node is given of one incarnation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Pulled {
    /// Batches in causal order.
    Batches {
        /// What the asker lacks.
        batches: Vec<Enclosed>,
        /// Under which serial the answering node served which version lately.
        points: Vec<(u64, VersionHash)>,
    },
    /// The whole state instead, the first chunk right away.
    State {
        /// To ask for the other chunks by.
        transfer: Digest,
        /// How many chunks.
        chunks: u32,
        /// Chunk 0.
        #[serde(with = "codec::bytes")]
        first: Vec<u8>,
        /// As with batches.
        points: Vec<(u64, VersionHash)>,
    },
    /// Not held, or not any more.
    Gone,
}

impl Pulled {
    /// About how many bytes it takes.
    pub(super) fn size(&self) -> usize {
        match self {
            Pulled::Batches { batches, .. } => batches.iter().map(Enclosed::size).sum(),
            Pulled::State { first, .. } => first.len(),
            Pulled::Gone => 1,
        }
    }

    /// Whether nothing of it has to be asked for again.
    pub(super) fn is_whole(&self) -> bool {
        !matches!(self, Pulled::State { chunks: 2.., .. })
    }
}
