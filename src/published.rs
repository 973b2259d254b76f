//! The newest snapshot of the zones, for all who read it, and since when each part of it is as it is.

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, Guard};

use crate::zone::{Basis, PLACES, Place, ZoneSet};

/// A snapshot and its number.
#[derive(Debug, Default)]
pub struct Snapshot {
    zones: Arc<ZoneSet>,
    generation: u64,
}

impl Snapshot {
    /// The zones.
    pub fn zones(&self) -> &Arc<ZoneSet> {
        &self.zones
    }

    /// How many were published before it; zero for the empty one before the first.
    pub fn generation(&self) -> u64 {
        self.generation
    }
}

impl Deref for Snapshot {
    type Target = ZoneSet;

    fn deref(&self) -> &ZoneSet {
        &self.zones
    }
}

/// Where snapshots are put by one and taken by all. Readers take no lock.
#[derive(Debug)]
pub struct Published {
    newest: ArcSwap<Snapshot>,
    /// The newest snapshot's number, from a moment before it is there.
    generation: AtomicU64,
    /// In which generation each place last changed.
    changed: Box<[AtomicU64; PLACES]>,
    /// In which generation something changed that stands behind every response.
    everything: AtomicU64,
    publishing: Mutex<()>,
}

impl Default for Published {
    fn default() -> Published {
        let changed = Box::new([const { AtomicU64::new(0) }; PLACES]);
        let [generation, everything] = [const { AtomicU64::new(0) }; 2];
        Published { newest: ArcSwap::default(), generation, changed, everything, publishing: Mutex::default() }
    }
}

impl From<ZoneSet> for Published {
    fn from(zones: ZoneSet) -> Published {
        let published = Published::default();
        published.publish(Arc::new(zones));
        published
    }
}

impl Published {
    /// The newest snapshot. To be held for a short time, so that old ones go.
    pub fn load(&self) -> Guard<Arc<Snapshot>> {
        self.newest.load()
    }

    /// The number of the newest snapshot, or of the one that is about to be: cheaper than the snapshot. Whoever has it knows by
    /// [`Published::is_unchanged`] what has changed up to that one.
    #[inline]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Puts these zones in place of those before. What has changed is noted first: whoever sees the snapshot, or its number, sees
    /// that too.
    pub fn publish(&self, zones: Arc<ZoneSet>) {
        let _alone = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.newest.load();
        let generation = before.generation + 1;
        let note = |place: Place| self.changed[place.index()].store(generation, Ordering::Relaxed);
        if !before.zones.changes_to(&zones, note) {
            self.everything.store(generation, Ordering::Relaxed);
        }
        self.generation.store(generation, Ordering::Release);
        self.newest.store(Arc::new(Snapshot { zones, generation }));
    }

    /// Whether a response with this basis, made from the snapshot of generation `since`, is what any snapshot gives that has
    /// been loaded, or whose number has been seen, before this is asked.
    #[inline]
    pub fn is_unchanged(&self, basis: &Basis, since: u64) -> bool {
        let by_then = |generation: &AtomicU64| generation.load(Ordering::Relaxed) <= since;
        let places = basis.places().filter(|_| by_then(&self.everything));
        places.is_some_and(|places| places.iter().all(|place| by_then(&self.changed[place.index()])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_sees_a_snapshot_sees_its_number() {
        let published = Published::default();
        const COUNT: u64 = 20_000;
        std::thread::scope(|scope| {
            scope.spawn(|| (0..COUNT).for_each(|_| published.publish(Arc::default())));
            let mut newest = 0;
            while newest < COUNT {
                let before = published.generation();
                newest = published.load().generation();
                assert!(before <= newest + 1, "{before} is the number of the next one at most, not {newest}'s");
                assert!(newest <= published.generation());
            }
        });
    }
}
