//! Order-independent digests of a zone's live content, updated entry by entry.
//!
//! An entry is all that is live at one owner, with its dots; its bytes may come in two pieces. The digest of a set of entries is the sum of
//! their BLAKE3 hashes in four 64-bit lanes: adding and taking out an entry are one addition each, and the order of
//! edits leaves no trace.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A digest of content. Replicas with equal version vectors have equal digests, or one of them is wrong.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Digest(pub [u8; 16]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0[..4]))
    }
}

/// A running sum of entry hashes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Accumulator([u64; 4]);

impl Accumulator {
    pub(super) fn add(&mut self, entry: [&[u8]; 2]) {
        for (lane, word) in self.0.iter_mut().zip(lanes(entry)) {
            *lane = lane.wrapping_add(word);
        }
    }

    pub(super) fn remove(&mut self, entry: [&[u8]; 2]) {
        for (lane, word) in self.0.iter_mut().zip(lanes(entry)) {
            *lane = lane.wrapping_sub(word);
        }
    }

    /// The digest of the entries together with `rest`, which is hashed as it is.
    pub(super) fn finish(&self, rest: &[u8]) -> Digest {
        Digest(*self.finish_long(rest).first_chunk().expect("32 bytes have 16"))
    }

    /// The same in the hash's full length.
    pub(super) fn finish_long(&self, rest: &[u8]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        for lane in self.0 {
            hasher.update(&lane.to_le_bytes());
        }
        *hasher.update(rest).finalize().as_bytes()
    }
}

fn lanes([head, tail]: [&[u8]; 2]) -> [u64; 4] {
    let hash =
        if tail.is_empty() { blake3::hash(head) } else { blake3::Hasher::new().update(head).update(tail).finalize() };
    let mut lanes = [0; 4];
    for (lane, bytes) in lanes.iter_mut().zip(hash.as_bytes().chunks_exact(8)) {
        *lane = u64::from_le_bytes(bytes.try_into().expect("chunks of eight bytes"));
    }
    lanes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_leaves_no_trace_and_removal_undoes() {
        let (mut a, mut b) = (Accumulator::default(), Accumulator::default());
        a.add([b"x", b""]);
        a.add([b"y", b""]);
        b.add([b"y", b""]);
        b.add([b"z", b""]);
        b.add([b"x", b""]);
        assert_ne!(a.finish(b""), b.finish(b""));
        b.remove([b"z", b""]);
        assert_eq!(a.finish(b""), b.finish(b""));
        assert_ne!(a.finish(b""), a.finish(b"rest"));
    }
}
