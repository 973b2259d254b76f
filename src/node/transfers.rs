//! Zone states on their way between nodes of which one is too far behind: kept as they were until all chunks were asked
//! for, and taken in chunk by chunk.

use std::collections::VecDeque;

use super::wire::Pulled;
use crate::replica::{Digest, IncarnationId, StateChunks, StateDecoder, StateError, ZoneReplica};

/// How many states are kept for peers. They share with the present state all that has not changed since. A peer whose
/// state is gone from here begins anew.
const MAX_TRANSFERS: usize = 16;

/// How many serials a peer is told the versions of with what it pulls of a zone.
pub(super) const POINTS_WITH_ZONE: usize = 256;

/// How many interrupted transfers are remembered.
const MAX_PARTIALS: usize = 4;

/// A state of which some chunks have come.
#[derive(Debug)]
pub(super) struct Partial {
    pub(super) transfer: Digest,
    pub(super) count: u32,
    pub(super) state: Box<StateDecoder>,
    /// What has come as it came: the whole state is kept on disk in these chunks.
    chunks: Vec<Vec<u8>>,
}

impl Partial {
    /// A state of so many chunks, of which the first is here.
    pub(super) fn new(transfer: Digest, count: u32, first: Vec<u8>) -> Result<Partial, StateError> {
        let mut partial = Partial { transfer, count, state: Box::default(), chunks: Vec::new() };
        partial.push(first)?;
        Ok(partial)
    }

    /// Takes in the next chunk. After an error no more of it is of use.
    pub(super) fn push(&mut self, chunk: Vec<u8>) -> Result<(), StateError> {
        self.state.push(&chunk)?;
        self.chunks.push(chunk);
        Ok(())
    }

    /// Whether all chunks have come.
    pub(super) fn is_whole(&self) -> bool {
        self.state.seen() >= self.count
    }

    /// The state, if all of it has come.
    pub(super) fn finish(self) -> Result<StateChunks, StateError> {
        Ok(StateChunks::received(self.state.finish()?, self.chunks))
    }
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

    /// Whether something has come of an incarnation's state.
    pub(super) fn has(&self, incarnation: IncarnationId) -> bool {
        self.0.iter().any(|(kept, _)| *kept == incarnation)
    }

    /// Takes out what has come of an incarnation's state.
    pub(super) fn take(&mut self, incarnation: IncarnationId) -> Option<Partial> {
        let at = self.0.iter().position(|(kept, _)| *kept == incarnation)?;
        Some(self.0.remove(at).1)
    }
}

/// The states that peers are fetching, the one asked for last at the end.
#[derive(Debug, Default)]
pub(super) struct Transfers(VecDeque<(Digest, StateChunks)>);

impl Transfers {
    /// Offers a zone's present state, and its first chunk. One that has no more is not kept.
    pub(super) fn offer(&mut self, zone: &ZoneReplica) -> Pulled {
        let (digest, version) = zone.fingerprint();
        let mut hasher = blake3::Hasher::new();
        hasher.update(&zone.state().incarnation().0);
        hasher.update(&digest.0);
        hasher.update(&version);
        let id = Digest(*hasher.finalize().as_bytes().first_chunk().expect("32 bytes have 16"));
        let offered = |state: &StateChunks| {
            let first = state.get(0).expect("a state has a chunk at least");
            let points = zone.latest_points(POINTS_WITH_ZONE);
            Pulled::State { transfer: id, chunks: state.count(), first, points }
        };
        if let Some(known) = self.touch(id) {
            return offered(known);
        }
        let state = zone.state().chunks();
        let pulled = offered(&state);
        if !pulled.is_whole() {
            if self.0.len() == MAX_TRANSFERS {
                self.0.pop_front();
            }
            self.0.push_back((id, state));
        }
        pulled
    }

    /// One chunk of a kept state.
    pub(super) fn chunk(&mut self, id: Digest, index: u32) -> Option<Vec<u8>> {
        self.touch(id)?.get(index)
    }

    fn touch(&mut self, id: Digest) -> Option<&StateChunks> {
        let at = self.0.iter().position(|(kept, _)| *kept == id)?;
        let kept = self.0.remove(at)?;
        self.0.push_back(kept);
        self.0.back().map(|(_, state)| state)
    }
}
