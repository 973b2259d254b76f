//! Version vectors: how many batches of each actor a state holds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ActorId, Dot};

/// For each actor the sequence number of its last batch in a state. Batches apply in order, so the number stands for
/// all before it, and equal vectors mean equal states.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<ActorId, u64>")]
pub struct VersionVector(BTreeMap<ActorId, u64>);

/// The most batches that a vector from outside may count: more than will ever be made, and so few that sums of them
/// with serials fit 64 bits.
const MAX_TOTAL: u64 = 1 << 56;

/// A vector that counts more batches than can have been made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a version vector counts more batches than can have been made")]
pub struct VectorError;

impl TryFrom<BTreeMap<ActorId, u64>> for VersionVector {
    type Error = VectorError;

    fn try_from(counts: BTreeMap<ActorId, u64>) -> Result<VersionVector, VectorError> {
        let total = counts.values().try_fold(0_u64, |total, &count| total.checked_add(count));
        if total.is_some_and(|total| total <= MAX_TOTAL) { Ok(VersionVector(counts)) } else { Err(VectorError) }
    }
}

impl VersionVector {
    /// The vector of a state without batches.
    pub fn new() -> VersionVector {
        VersionVector::default()
    }

    /// The last sequence number of an actor; 0 if it has none.
    pub fn get(&self, actor: ActorId) -> u64 {
        self.0.get(&actor).copied().unwrap_or(0)
    }

    /// Whether the batch is in the state.
    pub fn contains(&self, dot: Dot) -> bool {
        self.get(dot.actor) >= dot.seq
    }

    /// Whether every batch of `other` is in this state too.
    pub fn includes(&self, other: &VersionVector) -> bool {
        other.iter().all(|(actor, seq)| self.get(actor) >= seq)
    }

    /// Counts a batch in.
    pub fn advance(&mut self, dot: Dot) {
        let seq = self.0.entry(dot.actor).or_default();
        *seq = dot.seq.max(*seq);
    }

    /// The least vector that includes both.
    pub fn merge(&mut self, other: &VersionVector) {
        for (actor, seq) in other.iter() {
            self.advance(Dot { actor, seq });
        }
    }

    /// All actors with their last sequence number, by actor.
    pub fn iter(&self) -> impl Iterator<Item = (ActorId, u64)> {
        self.0.iter().map(|(&actor, &seq)| (actor, seq))
    }

    /// How many batches the state holds: the part of the serial that grows.
    pub fn total(&self) -> u64 {
        self.0.values().fold(0, |total: u64, &count| total.saturating_add(count))
    }

    /// A short hash that names this version, as in a zone file's marker.
    pub fn hash(&self) -> [u8; 8] {
        let mut hasher = blake3::Hasher::new();
        for (actor, seq) in self.iter() {
            hasher.update(&actor.0);
            hasher.update(&seq.to_be_bytes());
        }
        let mut short = [0; 8];
        short.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        short
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;

    #[test]
    fn a_vector_that_counts_too_much_is_not_decoded() {
        let vector = |seqs: &[u64]| {
            let mut vector = VersionVector::new();
            for (index, &seq) in seqs.iter().enumerate() {
                vector.advance(Dot { actor: ActorId([index as u8; 16]), seq });
            }
            vector
        };
        let sane = vector(&[1, 2, 3]);
        assert_eq!(codec::decode::<VersionVector>(&codec::encode(&sane)).expect("a sane vector"), sane);
        for hostile in [&[u64::MAX][..], &[u64::MAX, u64::MAX], &[MAX_TOTAL, 1]] {
            assert!(codec::decode::<VersionVector>(&codec::encode(&vector(hostile))).is_err(), "{hostile:?}");
        }
        assert_eq!(vector(&[u64::MAX, u64::MAX]).total(), u64::MAX);
    }
}
