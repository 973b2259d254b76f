//! The zones that a node answers from, found by longest match.

use std::sync::Arc;

use super::{Name, NameMap, WireKey, Zone};

/// An immutable set of zones. The replica publishes one after every change; servers swap it in whole.
#[derive(Clone, Debug, Default)]
pub struct ZoneSet {
    zones: NameMap<Arc<Zone>>,
    /// The most labels an origin has: longer suffixes of a query name need no probe.
    most_labels: usize,
}

impl ZoneSet {
    /// The set of these zones; of two with one origin the later counts.
    pub fn new(zones: impl IntoIterator<Item = Arc<Zone>>) -> ZoneSet {
        let mut set = ZoneSet::default();
        for zone in zones {
            set.insert(zone);
        }
        set
    }

    /// Adds a zone, or replaces the one with its origin.
    pub fn insert(&mut self, zone: Arc<Zone>) {
        self.most_labels = self.most_labels.max(zone.origin().label_count());
        self.zones.insert(zone.origin().clone(), zone);
    }

    /// The zone whose origin is the longest suffix of a lower-cased wire-form name.
    pub fn find(&self, wire: &[u8]) -> Option<&Arc<Zone>> {
        let (mut starts, mut labels, mut at) = ([0u8; 128], 0, 0);
        while wire[at] != 0 {
            starts[labels] = at as u8;
            labels += 1;
            at += 1 + wire[at] as usize;
        }
        starts[labels] = at as u8;
        let first = labels.saturating_sub(self.most_labels);
        starts[first..=labels].iter().find_map(|&start| self.zones.get(&WireKey(&wire[start as usize..])))
    }

    /// The zone with this origin.
    pub fn get(&self, origin: &Name) -> Option<&Arc<Zone>> {
        self.zones.get(origin)
    }

    /// Every zone in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Zone>> {
        self.zones.values()
    }

    /// How many zones.
    pub fn len(&self) -> usize {
        self.zones.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.zones.is_empty()
    }
}
