//! The hash that names are found by. It is made from the root down, label by label, so that the way to a name's hash goes
//! through those of all its ancestors, and that of a name below it is one step on.
//!
//! The same in every run. Zone content is trusted data, so resistance against chosen collisions is not needed here.

use super::case::lower_case;
use super::labels::{Labels, label_at};

/// A multiplier with as many ones as zeros in no order: the fraction of the golden ratio.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Takes eight more bytes into a hash.
#[inline]
pub(crate) fn mix(hash: u64, word: u64) -> u64 {
    let product = u128::from(hash ^ word) * u128::from(MULTIPLIER);
    product as u64 ^ (product >> 64) as u64
}

/// The hash of a name. All its bits count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NameHash(u64);

impl NameHash {
    /// That of the root.
    pub const ROOT: NameHash = NameHash(MULTIPLIER);

    /// That of a valid name in wire form, lower-cased.
    pub fn of(name: &[u8]) -> NameHash {
        Labels::of(name).rev().fold(NameHash::ROOT, |hash, start| hash.child(label_at(name, start)))
    }

    /// That of the name one label longer. The label has its length in front and is in lower case.
    #[inline]
    pub fn child(self, label: &[u8]) -> NameHash {
        self.fold(label, |word| word)
    }

    /// As [`NameHash::child`] with a label in any case.
    #[inline]
    pub fn child_in_any_case(self, label: &[u8]) -> NameHash {
        self.fold(label, lower_case)
    }

    /// The hash as a number.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// Takes eight bytes at a time. The last eight overlap those before them, and less than eight are spread over a word:
    /// the length in front tells which is which.
    #[inline]
    fn fold(self, label: &[u8], in_case: impl Fn(u64) -> u64) -> NameHash {
        let mix = |hash: u64, word: u64| mix(hash, in_case(word));
        let Some(&last) = label.last_chunk::<8>() else { return NameHash(mix(self.0.rotate_left(32), short(label))) };
        let mut hash = self.0.rotate_left(32);
        let mut rest = label;
        while rest.len() > 8
            && let Some((word, tail)) = rest.split_first_chunk::<8>()
        {
            hash = mix(hash, u64::from_le_bytes(*word));
            rest = tail;
        }
        NameHash(mix(hash, u64::from_le_bytes(last)))
    }
}

/// Less than eight bytes in one word.
#[inline]
fn short(bytes: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        return u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last));
    }
    bytes.iter().fold(0, |word, &byte| word << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_hash_does_not_depend_on_case_and_every_byte_of_a_label_counts() {
        let mut hashes = BTreeSet::new();
        for length in 1..=63u8 {
            let label: Vec<u8> = std::iter::once(length).chain((0..length).map(|byte| b'a' + byte % 26)).collect();
            let hash = NameHash::ROOT.child(&label);
            assert_eq!(NameHash::ROOT.child_in_any_case(&label.to_ascii_uppercase()), hash);
            assert!(hashes.insert(hash.bits()));
            for at in 1..label.len() {
                let mut other = label.clone();
                other[at] = b'-';
                assert!(hashes.insert(NameHash::ROOT.child(&other).bits()), "byte {at} of {length}");
            }
        }
    }

    #[test]
    fn a_name_has_the_hash_of_its_labels_from_the_root_down() {
        let name = b"\x03www\x07example\x03org\x00";
        let by_steps =
            [&b"\x03org"[..], b"\x07example", b"\x03www"].iter().fold(NameHash::ROOT, |hash, label| hash.child(label));
        assert_eq!(NameHash::of(name), by_steps);
        assert_eq!(NameHash::of(b"\x00"), NameHash::ROOT);
    }
}
