//! Replication: batches, their merge into a zone's state, and what a state says.
//!
//! Pure: no sockets, files, clocks or randomness of its own. See `docs/replication.md` for the invariants.

mod batch;
mod catalog;
mod digest;
mod edit;
mod history;
mod id;
mod inspect;
mod lives;
mod log;
mod owner_state;
mod packed;
mod persist;
mod points;
mod projection;
mod quarantine;
#[expect(clippy::module_inception, reason = "the module's one concept has its name")]
mod replica;
mod resolve;
mod scratch;
mod soa;
mod stage;
mod state;
mod tell;
mod transfer;
mod version_vector;
mod zone_replica;

pub use batch::{Batch, ClientRequest, EditOrigin, MAX_SOURCE_TEXT, MAX_TTL, SoaChange, Source, TtlWrite};
pub use catalog::{Catalog, Member, Stub, catalog_genesis, catalog_name};
pub use digest::Digest;
pub use edit::{EditError, EditRequest};
pub use history::{
    Cause, HistoryEntry, HistoryHead, HistoryPage, HistoryQuery, MAX_ENTRY_BYTES, Made, Unreachable, Walk,
};
pub use id::{ActorId, Dot, Hlc, IncarnationId, Stamp};
pub use inspect::{ShadowRule, Shadowed, Standing};
pub use lives::Wanted;
pub use persist::{Facts, Saved, SavedZone, Write, WriteSet};
pub use points::VersionHash;
pub use replica::{Changed, Replica, Summary, check_content};
pub use stage::{StageError, Staged, StagedGroup};
pub use state::{ApplyError, ZoneState};
pub use transfer::{StateChunks, StateDecoder, StateError};
pub use version_vector::VersionVector;
pub use zone_replica::{Committed, Ingested, ZoneReplica};
