//! Zone states on their way to peers that are too far behind: encoded once, kept until all chunks were asked for.

use std::collections::VecDeque;
use std::sync::Arc;

use super::wire::Response;
use crate::replica::{Digest, IncarnationId, ZoneReplica};

/// How many encoded states are kept. A peer whose state is gone from here begins anew.
const MAX_TRANSFERS: usize = 4;

/// How many interrupted transfers are remembered.
const MAX_PARTIALS: usize = 4;

/// A state of which some chunks have come.
#[derive(Debug)]
pub(super) struct Partial {
    pub(super) transfer: Digest,
    pub(super) count: u32,
    pub(super) got: Vec<Vec<u8>>,
}

/// Transfers to this node that were cut, to be resumed: the peer may still keep the state, and another peer may hold
/// the same.
#[derive(Debug, Default)]
pub(super) struct Partials(Vec<(IncarnationId, Partial)>);

impl Partials {
    /// Keeps what has come of a state; of one incarnation only the last is kept.
    pub(super) fn put(&mut self, incarnation: IncarnationId, partial: Partial) {
        self.0.retain(|(kept, _)| *kept != incarnation);
        if self.0.len() == MAX_PARTIALS {
            self.0.remove(0);
        }
        self.0.push((incarnation, partial));
    }

    /// Takes out what has come of an incarnation's state.
    pub(super) fn take(&mut self, incarnation: IncarnationId) -> Option<Partial> {
        let at = self.0.iter().position(|(kept, _)| *kept == incarnation)?;
        Some(self.0.remove(at).1)
    }
}

/// The encoded states, the latest last.
#[derive(Debug, Default)]
pub(super) struct Transfers(VecDeque<(Digest, Vec<Arc<[u8]>>)>);

impl Transfers {
    /// Offers a zone's present state, encoded now if it is not kept, and its first chunk.
    pub(super) fn offer(&mut self, zone: &ZoneReplica) -> Response {
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
        Response::State { transfer: id, chunks: chunks.len() as u32, first: chunks[0].to_vec() }
    }

    /// One chunk of a kept state.
    pub(super) fn chunk(&self, id: Digest, index: u32) -> Option<&Arc<[u8]>> {
        self.chunks(id)?.get(index as usize)
    }

    fn chunks(&self, id: Digest) -> Option<&Vec<Arc<[u8]>>> {
        self.0.iter().find(|(kept, _)| *kept == id).map(|(_, chunks)| chunks)
    }
}
