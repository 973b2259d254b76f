//! Replication: batches, their merge into a zone's state, and what a state says.
//!
//! Pure: no sockets, files, clocks or randomness of its own. See `docs/replication.md` for the invariants.

mod batch;
mod id;
mod persist;
mod version_vector;

pub use batch::{Batch, EditOrigin, SoaChange, TtlWrite};
pub use id::{ActorId, Dot, Hlc, IncarnationId, Stamp};
pub use persist::{Facts, Saved, SavedZone, Write};
pub use version_vector::VersionVector;
