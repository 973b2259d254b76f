//! One incarnation as a node holds it: its state, the snapshot served from it, recent batches, and early arrivals.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::history::Step;
use super::log::Log;
use super::state::{ApplyError, ZoneState};
use super::{Batch, Cause, Digest, Dot, MAX_ENTRY_BYTES, Made, SavedZone, VersionVector, Write};
use crate::zone::{DeltaRecorder, Name, NameMap, Zone, ZoneEditor};

/// How many batches may wait for their dependencies. More are dropped and come again by anti-entropy.
const MAX_PENDING: usize = 1024;
/// How many journal entries may pile up before the state is written whole, so that a start replays little.
const CHECKPOINT_BATCHES: u64 = 2048;

/// What came of a batch.
#[derive(Debug, Default)]
pub struct Ingested {
    /// Batches applied by this, in order, with their journal positions: the batch itself and those that waited for it.
    pub applied: Vec<(u64, Arc<Batch>)>,
    /// Whether the batch waits for others that are not here.
    pub waiting: bool,
    /// Something that an operator must hear: an illegal batch, or two batches under one dot.
    pub alarm: Option<String>,
}

/// One incarnation of a zone on this node.
#[derive(Clone, Debug)]
pub struct ZoneReplica {
    state: ZoneState,
    snapshot: Arc<Zone>,
    log: Log,
    pending: BTreeMap<Dot, Arc<Batch>>,
    next_position: u64,
    /// The place of an edit that was refused. The next one of this node takes it, and with it the same sequence number,
    /// so that whatever the failing disk kept of the refused one is overwritten.
    vacant_position: Option<u64>,
    checkpointed: u64,
    shadowed: NameMap<usize>,
    hidden: bool,
    /// Changes of the snapshot that the history has not been told of.
    steps: Vec<Step>,
}

impl ZoneReplica {
    /// Takes a state as it is. `hidden` zones are served to transfers alone.
    pub fn new(state: ZoneState, hidden: bool) -> ZoneReplica {
        let snapshot = Arc::new(ZoneEditor::new(state.zone().clone(), state.soa(), state.serial()).finish());
        let mut replica = ZoneReplica {
            state,
            snapshot,
            log: Log::default(),
            pending: BTreeMap::new(),
            next_position: 0,
            vacant_position: None,
            checkpointed: 0,
            shadowed: NameMap::default(),
            hidden,
            steps: Vec::new(),
        };
        replica.rebuild();
        replica
    }

    /// Brings back what the store kept: the checkpoint, then the journal on top of it. `told` is the version up to which
    /// the history tells of this incarnation; what goes beyond makes steps for it.
    pub fn load(
        saved: SavedZone,
        state: ZoneState,
        hidden: bool,
        told: Option<&VersionVector>,
    ) -> (ZoneReplica, Vec<String>) {
        let mut replica = ZoneReplica::new(state, hidden);
        let contained = saved.checkpoint.as_ref().map_or(0, |(position, _)| *position);
        replica.checkpointed = contained;
        replica.next_position = contained;
        let (mut alarms, mut touched, mut kept) = (Vec::new(), Vec::new(), Vec::new());
        // First the version that the history has told of; of batches that came at the same time as an edit of this node
        // some may stand after one that it has not.
        let is_told = |batch: &Batch| told.is_none_or(|told| told.contains(batch.dot));
        let (told_of, untold): (Vec<_>, Vec<_>) = saved.journal.into_iter().partition(|(_, batch)| is_told(batch));
        let untold_from = told_of.len();
        for (index, (position, batch)) in told_of.into_iter().chain(untold).enumerate() {
            replica.next_position = replica.next_position.max(position + 1);
            if index == untold_from {
                replica.publish(std::mem::take(&mut touched), None);
            }
            match replica.state.apply(&batch) {
                Ok(owners) if index >= untold_from => replica.publish(owners, Some(Cause::Edit(Made::by(&batch)))),
                Ok(owners) => touched.extend(owners),
                Err(ApplyError::Known) => {}
                // A batch of another node that it builds on was not kept before a crash; it will come again.
                Err(ApplyError::Waiting) => {
                    replica.pending.insert(batch.dot, batch);
                    continue;
                }
                Err(ApplyError::Illegal(reason)) => {
                    alarms.push(format!("zone {}: a stored batch is not legal: {reason}", batch.zone));
                    continue;
                }
            }
            kept.push((position, batch));
        }
        replica.publish(touched, None);
        kept.sort_by_key(|(position, _)| *position);
        kept.into_iter().for_each(|(position, batch)| replica.log.push(position, batch));
        // An edit that took a vacated place may stand before what it builds on.
        if let Some(batch) = replica.take_ready() {
            alarms.extend(replica.ingest(batch).alarm);
        }
        (replica, alarms)
    }

    /// The changes of the snapshot since this was called last, for the history.
    pub(super) fn take_steps(&mut self) -> Vec<Step> {
        std::mem::take(&mut self.steps)
    }

    /// Whether the history that reached `told` and the steps since then tell of everything.
    pub(super) fn is_told(&self, told: &VersionVector) -> bool {
        let untold = self.steps.len() as u64;
        self.state.version().includes(told) && self.state.version().total() == told.total() + untold
    }

    /// A batch that is still kept.
    pub(super) fn batch(&self, dot: Dot) -> Option<&Arc<Batch>> {
        self.log.get(dot)
    }

    /// The state.
    pub fn state(&self) -> &ZoneState {
        &self.state
    }

    /// The zone as served.
    pub fn snapshot(&self) -> &Arc<Zone> {
        &self.snapshot
    }

    /// How many live records are not served.
    pub fn shadowed(&self) -> usize {
        self.shadowed.values().sum()
    }

    /// The digest and version hash together: what peers compare.
    pub fn fingerprint(&self) -> (Digest, [u8; 8]) {
        (self.state.digest(), self.state.version().hash())
    }

    /// Sets a journal position aside for an edit of this node that is about to be stored.
    pub fn reserve_position(&mut self) -> u64 {
        self.vacant_position.take().unwrap_or_else(|| self.take_position())
    }

    /// Gives back the position of an edit that could not be stored.
    pub fn vacate_position(&mut self, position: u64) {
        self.vacant_position = Some(position);
    }

    fn take_position(&mut self) -> u64 {
        self.next_position += 1;
        self.next_position - 1
    }

    /// The next free sequence number of an actor, batches that wait for others included.
    pub fn next_dot(&self, actor: super::ActorId) -> Dot {
        let waiting = self.pending.range(Dot { actor, seq: 0 }..=Dot { actor, seq: u64::MAX });
        let last = waiting.map(|(dot, _)| dot.seq).max().unwrap_or(0);
        Dot { actor, seq: self.state.version().get(actor).max(last) + 1 }
    }

    /// Takes in a batch of another node.
    pub fn ingest(&mut self, batch: Arc<Batch>) -> Ingested {
        let mut ingested = Ingested::default();
        let known = self.log.get(batch.dot).or_else(|| self.pending.get(&batch.dot));
        if known.is_some_and(|known| **known != *batch) {
            ingested.alarm = Some(format!(
                "zone {}: two different batches claim to be number {} of actor {}; neither the later one nor anything \
                 that builds on it is applied here",
                batch.zone, batch.dot.seq, batch.dot.actor
            ));
            return ingested;
        }
        let mut next = Some(batch);
        while let Some(batch) = next {
            match self.state.apply(&batch) {
                Ok(owners) => {
                    self.publish(owners, Some(Cause::Edit(Made::by(&batch))));
                    let position = self.take_position();
                    self.log.push(position, batch.clone());
                    ingested.applied.push((position, batch));
                }
                Err(ApplyError::Known) => {}
                Err(ApplyError::Waiting) => {
                    ingested.waiting = true;
                    if self.pending.len() < MAX_PENDING {
                        self.pending.insert(batch.dot, batch);
                    }
                }
                Err(ApplyError::Illegal(reason)) => {
                    ingested.alarm = Some(format!("zone {}: a batch is not legal: {reason}", batch.zone));
                }
            }
            next = self.take_ready();
        }
        ingested
    }

    /// Applies a batch of this node that has been stored at `position`.
    pub fn commit(&mut self, position: u64, batch: Arc<Batch>) -> Result<(), ApplyError> {
        let owners = self.state.apply(&batch)?;
        self.publish(owners, Some(Cause::Edit(Made::by(&batch))));
        self.log.push(position, batch);
        Ok(())
    }

    /// Takes in a whole state, and then the batches that waited for something in it.
    pub fn merge(&mut self, other: &ZoneState) -> Ingested {
        self.state.merge(other);
        let before = self.snapshot.clone();
        self.rebuild();
        if before.version() != self.snapshot.version() {
            let mut recorder = DeltaRecorder::new(MAX_ENTRY_BYTES);
            recorder.zones(Some(&before), Some(&self.snapshot));
            self.steps.push(Step::new(Cause::State, &before, &self.snapshot, recorder));
        }
        match self.take_ready() {
            Some(batch) => self.ingest(batch),
            None => Ingested::default(),
        }
    }

    /// What a peer at `have` lacks, if recent batches suffice.
    pub fn delta(&self, have: &VersionVector) -> Option<Vec<Arc<Batch>>> {
        self.log.delta(have, self.state.version())
    }

    /// Whether enough has been journalled since the last checkpoint for the next one to pay. The larger the zone, the
    /// rarer: the cost of checkpoints stays a fraction of that of the edits.
    pub fn wants_checkpoint(&self) -> bool {
        self.next_position - self.checkpointed > CHECKPOINT_BATCHES.max(self.state.record_count() as u64 / 8)
    }

    /// The write that keeps the whole state. Positions from `in_flight` on are not contained yet.
    pub fn checkpoint(&mut self, in_flight: Option<u64>) -> Write {
        let position = in_flight.unwrap_or(self.next_position).min(self.next_position);
        self.checkpointed = position;
        Write::Checkpoint {
            zone: self.state.zone().clone(),
            incarnation: self.state.incarnation(),
            position,
            chunks: self.state.encode(),
            keep_from: self.log.first_position().unwrap_or(position).min(position),
        }
    }

    fn take_ready(&mut self) -> Option<Arc<Batch>> {
        let version = self.state.version();
        let ready = self.pending.iter().find(|(_, batch)| version.includes(&batch.deps)).map(|(dot, _)| *dot)?;
        self.pending.remove(&ready)
    }

    fn rebuild(&mut self) {
        let state = &self.state;
        let mut editor = ZoneEditor::new(state.zone().clone(), state.soa(), state.serial());
        editor.set_hidden(self.hidden);
        self.snapshot = Arc::new(editor.finish());
        self.shadowed.clear();
        let owners = self.state.owners.keys().cloned().chain([self.state.zone().clone()]).collect();
        self.publish(owners, None);
    }

    /// Makes the next snapshot: the owners that changed, the serial and the version. The history is told of it under
    /// its cause.
    fn publish(&mut self, mut touched: Vec<Name>, cause: Option<Cause>) {
        touched.sort_unstable();
        touched.dedup();
        // The synthetic apex NS follows the SOA's primary, so the apex is always looked at again.
        if touched.binary_search(self.state.zone()).is_err() {
            touched.push(self.state.zone().clone());
        }
        let before = self.snapshot.clone();
        let mut recorder = DeltaRecorder::new(MAX_ENTRY_BYTES);
        let mut editor = self.snapshot.edit();
        for owner in touched {
            let projected = self.state.project(&owner);
            if cause.is_some() {
                let node = before.get(owner.as_wire());
                recorder.owner(&owner, node.map_or(&[], |node| node.rrsets()), &projected.rrsets);
            }
            editor.set(&owner, projected.rrsets);
            if projected.shadowed > 0 {
                self.shadowed.insert(owner, projected.shadowed);
            } else {
                self.shadowed.remove(&owner);
            }
        }
        editor.set_soa(self.state.soa(), self.state.serial());
        editor.set_version(self.state.version().hash());
        self.snapshot = Arc::new(editor.finish());
        if let Some(cause) = cause.filter(|_| !self.hidden) {
            self.steps.push(Step::new(cause, &before, &self.snapshot, recorder));
        }
    }
}
