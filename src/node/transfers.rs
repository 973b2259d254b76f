//! Zone states on their way to peers that are too far behind: encoded once, kept until all chunks were asked for.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::replica::{Digest, ZoneReplica};

/// How many encoded states are kept. A peer whose state is gone from here begins anew.
const MAX_TRANSFERS: usize = 4;

/// The encoded states, the latest last.
#[derive(Debug, Default)]
pub(super) struct Transfers(VecDeque<(Digest, Vec<Arc<[u8]>>)>);

impl Transfers {
    /// The id and the number of chunks of a zone's present state, encoded now if it is not kept, and the first chunk.
    pub(super) fn begin(&mut self, zone: &ZoneReplica) -> (Digest, u32, Arc<[u8]>) {
        let (digest, version) = zone.fingerprint();
        let mut hasher = blake3::Hasher::new();
        hasher.update(&zone.state().incarnation().0);
        hasher.update(&digest.0);
        hasher.update(&version);
        let id = Digest(*hasher.finalize().as_bytes().first_chunk().expect("32 bytes have 16"));
        if self.chunks(id).is_none() {
            if self.0.len() == MAX_TRANSFERS {
                self.0.pop_front();
            }
            self.0.push_back((id, zone.state().encode()));
        }
        let chunks = self.chunks(id).expect("it was just put there");
        (id, chunks.len() as u32, chunks[0].clone())
    }

    /// One chunk of a kept state.
    pub(super) fn chunk(&self, id: Digest, index: u32) -> Option<&Arc<[u8]>> {
        self.chunks(id)?.get(index as usize)
    }

    fn chunks(&self, id: Digest) -> Option<&Vec<Arc<[u8]>>> {
        self.0.iter().find(|(kept, _)| *kept == id).map(|(_, chunks)| chunks)
    }
}
