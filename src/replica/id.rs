//! Who made an edit, of which zone, and when: the identifiers that batches carry.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::zone::Name;

macro_rules! id128 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub [u8; 16]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&data_encoding::HEXLOWER.encode(&self.0[..4]))
            }
        }
    };
}

id128! {
    /// A writer: one store of one node, from its first local edit until the store is replaced. Random.
    ActorId
}

id128! {
    /// One life of a zone, from its creation to its deletion. Derived from the zone's name, generation and first
    /// content, so that the same file first loaded on several nodes is one zone.
    IncarnationId
}

/// One batch of one actor in one incarnation. Sequence numbers start at 1 and leave none out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Dot {
    /// The author.
    pub actor: ActorId,
    /// The author's count of batches in this incarnation.
    pub seq: u64,
}

/// Hybrid logical time: milliseconds since 1970 in the upper 48 bits, a counter in the lower 16.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Hlc(pub u64);

impl Hlc {
    /// The next time after `self` at a wall clock of `wall_ms`. Never goes back, whatever the clock does.
    pub fn next(self, wall_ms: u64) -> Hlc {
        Hlc((wall_ms << 16).max(self.0.saturating_add(1)))
    }

    /// Milliseconds since 1970.
    pub fn wall_ms(self) -> u64 {
        self.0 >> 16
    }
}

/// What a write is compared by when two were concurrent: the newest wins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Stamp {
    /// When, by the author's clock and all it had seen.
    pub hlc: Hlc,
    /// By whom, and as which of its batches.
    pub dot: Dot,
}

impl IncarnationId {
    /// The id of the life of `zone` that begins with `genesis_digest`, as the `generation`th of its name.
    pub fn derive(zone: &Name, generation: u64, genesis_digest: &[u8; 32]) -> IncarnationId {
        let mut hasher = blake3::Hasher::new_derive_key("grapevine 2026 zone incarnation");
        hasher.update(zone.as_wire());
        hasher.update(&generation.to_be_bytes());
        hasher.update(genesis_digest);
        let mut id = [0; 16];
        id.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        IncarnationId(id)
    }

    /// The stamp of the first content, older than any edit.
    pub(super) fn genesis_stamp(self) -> Stamp {
        Stamp { hlc: Hlc(0), dot: Dot { actor: self.genesis_actor(), seq: 1 } }
    }

    /// The author of the first batch of this incarnation: no node, but the content itself.
    pub fn genesis_actor(self) -> ActorId {
        let mut id = [0; 16];
        id.copy_from_slice(&blake3::derive_key("grapevine 2026 genesis actor", &self.0)[..16]);
        ActorId(id)
    }
}
