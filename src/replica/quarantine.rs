//! Batches that this node cannot apply: kept out, remembered by their dots, and told about once.
//!
//! A zone with such a batch is not current here, for whatever builds on it waits; other zones and other nodes go on.

use std::collections::BTreeMap;

use super::{Dot, VersionVector};

/// How many are remembered. Each blocks all that its author did later, so there are few unless a node runs wild.
const MAX_QUARANTINED: usize = 256;

/// The dots of one incarnation's refused batches, and why each is refused.
#[derive(Clone, Debug, Default)]
pub(super) struct Quarantine(BTreeMap<Dot, String>);

impl Quarantine {
    /// Remembers a refused batch. Returns whether it is news.
    pub(super) fn put(&mut self, dot: Dot, reason: &str) -> bool {
        let known = self.0.contains_key(&dot);
        if !known && self.0.len() < MAX_QUARANTINED {
            self.0.insert(dot, reason.to_owned());
            return true;
        }
        false
    }

    /// Forgets what has come in all the same, by a state.
    pub(super) fn settle(&mut self, version: &VersionVector) {
        self.0.retain(|dot, _| !version.contains(*dot));
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
