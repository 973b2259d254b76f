//! Which content each recent serial stands for, here and on other nodes.
//!
//! While edits are concurrent, two nodes may serve different contents under one serial: each counts what it has. The
//! merged zone has a higher serial than both, but a secondary that transferred in between should be known about.

use std::collections::{BTreeMap, BTreeSet};

/// The hash of a version vector, which names a content.
pub type VersionHash = [u8; 8];

/// How many serials are remembered; a secondary refreshes far more often than this many edits take.
const MAX_POINTS: usize = 1024;
/// How many serials known to be ambiguous are remembered, so that each is told once.
const MAX_AMBIGUOUS: usize = 1024;

/// Recent serials of one incarnation with the version that each was first heard of with.
#[derive(Clone, Debug, Default)]
pub(super) struct Points {
    seen: BTreeMap<u64, VersionHash>,
    ambiguous: BTreeSet<u64>,
    /// How many serials have been found to stand for two contents.
    pub(super) count: u64,
}

impl Points {
    /// Notes that some node serves `version` under `serial`. Returns whether the serial thereby stands for two
    /// contents, the first time.
    pub(super) fn note(&mut self, serial: u64, version: VersionHash) -> bool {
        let first = *self.seen.entry(serial).or_insert(version);
        if self.seen.len() > MAX_POINTS {
            self.seen.pop_first();
        }
        if first == version || !self.ambiguous.insert(serial) {
            return false;
        }
        if self.ambiguous.len() > MAX_AMBIGUOUS {
            self.ambiguous.pop_first();
        }
        self.count += 1;
        true
    }

    /// The latest points, at most `count`.
    pub(super) fn latest(&self, count: usize) -> Vec<(u64, VersionHash)> {
        self.seen.iter().rev().take(count).map(|(serial, version)| (*serial, *version)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_with_two_versions_is_told_once() {
        let mut points = Points::default();
        assert!(!points.note(7, [1; 8]));
        assert!(!points.note(7, [1; 8]));
        assert!(points.note(7, [2; 8]));
        assert!(!points.note(7, [3; 8]));
        assert_eq!((points.count, points.latest(9)), (1, vec![(7, [1; 8])]));
    }
}
