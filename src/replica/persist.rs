//! What the replica asks the store to keep, and what it gets back at start. The store carries it out; it decides nothing.

use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{ActorId, Batch, HistoryEntry, HistoryHead, IncarnationId, StateChunks};
use crate::zone::Name;

/// Writes that are kept together or not at all, and what names them in the report of it.
#[derive(Clone, Debug)]
pub struct WriteSet<Id> {
    /// Their name.
    pub id: Id,
    /// What to keep.
    pub writes: Vec<Write>,
    /// Whether they have waited for others to go with, so that they are not to wait again.
    pub gathered: bool,
}

/// One write. Writes given together are kept together or not at all.
#[derive(Clone, Debug)]
pub enum Write {
    /// A batch, in its place in the order in which its incarnation's batches come here. The same place may be written
    /// again: with the same batch after a failure, or with another in place of one that was refused. The places of
    /// refused edits may stay empty.
    Journal {
        /// Its place in the order of application.
        position: u64,
        /// The batch.
        batch: Arc<Batch>,
    },
    /// Journal entries that may have been kept though the store said that it failed: they are deleted if they are there.
    Erase {
        /// Which incarnation.
        incarnation: IncarnationId,
        /// The places of edits that were refused.
        positions: Vec<u64>,
    },
    /// The whole state of an incarnation, replacing any earlier one. Journal entries before `position` are contained.
    Checkpoint {
        /// The zone's name.
        zone: Name,
        /// Which incarnation.
        incarnation: IncarnationId,
        /// How many journal entries the state contains.
        position: u64,
        /// The state, to be encoded by whoever keeps it.
        state: StateChunks,
        /// Journal entries before this position may be deleted.
        keep_from: u64,
    },
    /// An incarnation is gone: its checkpoint and journal are deleted.
    Forget {
        /// Which incarnation.
        incarnation: IncarnationId,
    },
    /// A change of what is served, for the history, which a retention bounds.
    History {
        /// The change.
        entry: Arc<HistoryEntry>,
        /// How far the history of the zone reaches with it.
        head: HistoryHead,
    },
    /// The facts about this node, replacing the earlier ones.
    Facts(Facts),
}

/// What a node knows about itself across restarts.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Facts {
    /// This store's actor, from the first local edit on.
    pub actor: Option<ActorId>,
    /// The generation that the node last announced itself with.
    pub generation: u64,
    /// Whether the node has synced with the cluster or started one: from then on its replica, not its files, is the truth.
    pub initialised: bool,
    /// Gossip addresses of members seen last, to find the cluster again.
    pub peers: Vec<SocketAddr>,
}

/// All that a store holds, read at start.
#[derive(Clone, Debug, Default)]
pub struct Saved {
    /// The node's facts; the default for a new store.
    pub facts: Facts,
    /// Every incarnation.
    pub zones: Vec<SavedZone>,
    /// How far the history of each name reaches.
    pub histories: Vec<(Name, HistoryHead)>,
}

/// One incarnation as the store holds it.
#[derive(Clone, Debug)]
pub struct SavedZone {
    /// Which incarnation.
    pub incarnation: IncarnationId,
    /// The chunks of the last checkpoint and how many journal entries it contains, if one was made.
    pub checkpoint: Option<(u64, Vec<Arc<[u8]>>)>,
    /// Journal entries that are still kept, by position, those that the checkpoint contains included.
    pub journal: Vec<(u64, Arc<Batch>)>,
}
