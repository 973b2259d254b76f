//! Recent batches in memory: what a peer that is a little behind is sent.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::{Batch, Dot, VersionVector};

/// How many batches a log keeps: some minutes of brisk editing. A peer further behind is sent the state.
const MAX_BATCHES: usize = 4096;
/// How many records the kept batches may name together, so that bulk edits do not fill the memory.
const MAX_RECORDS: usize = 200_000;

/// The last batches of one incarnation, in the order in which they were applied here.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    by_dot: BTreeMap<Dot, (u64, Arc<Batch>)>,
    order: VecDeque<Dot>,
    records: usize,
    /// The kept batches that a client has an id for.
    by_request: HashMap<String, Dot>,
}

impl Log {
    /// Adds a batch that was applied at `position`.
    pub(super) fn push(&mut self, position: u64, batch: Arc<Batch>) {
        self.records += weight(&batch);
        self.order.push_back(batch.dot);
        if let Some(request) = &batch.source.request {
            self.by_request.insert(request.id.clone(), batch.dot);
        }
        self.by_dot.insert(batch.dot, (position, batch));
        while self.order.len() > MAX_BATCHES || (self.records > MAX_RECORDS && self.order.len() > 1) {
            let oldest = self.order.pop_front().and_then(|dot| self.by_dot.remove(&dot));
            let Some((_, oldest)) = oldest else { continue };
            self.records -= weight(&oldest);
            if let Some(request) = &oldest.source.request
                && self.by_request.get(&request.id) == Some(&oldest.dot)
            {
                self.by_request.remove(&request.id);
            }
        }
    }

    /// The batch that was made for a client's request.
    pub(super) fn requested(&self, id: &str) -> Option<&Arc<Batch>> {
        self.get(*self.by_request.get(id)?)
    }

    /// The position of the oldest batch kept.
    pub(super) fn first_position(&self) -> Option<u64> {
        self.order.front().and_then(|dot| self.by_dot.get(dot)).map(|(position, _)| *position)
    }

    pub(super) fn get(&self, dot: Dot) -> Option<&Arc<Batch>> {
        self.by_dot.get(&dot).map(|(_, batch)| batch)
    }

    /// All that `now` holds and `have` does not, in causal order; `None` if some of it is no longer kept.
    pub(super) fn delta(&self, have: &VersionVector, now: &VersionVector) -> Option<Vec<Arc<Batch>>> {
        let mut missing = Vec::new();
        for (actor, last) in now.iter() {
            let first = have.get(actor).saturating_add(1);
            if last < first {
                continue;
            }
            let range = self.by_dot.range(Dot { actor, seq: first }..=Dot { actor, seq: last });
            let before = missing.len();
            missing.extend(range.map(|(_, (position, batch))| (*position, batch.clone())));
            if (missing.len() - before) as u64 != last - first + 1 {
                return None;
            }
        }
        missing.sort_by_key(|(position, _)| *position);
        Some(missing.into_iter().map(|(_, batch)| batch).collect())
    }
}

fn weight(batch: &Batch) -> usize {
    1 + batch.adds.len() + batch.removes.len() + batch.ttls.len()
}
