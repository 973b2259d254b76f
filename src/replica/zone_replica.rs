//! One incarnation as a node holds it: its state, the snapshot served from it, recent batches, and early arrivals.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::history::Step;
use super::log::Log;
use super::points::{Points, VersionHash};
use super::quarantine::Quarantine;
use super::scratch::try_batch;
use super::state::{ApplyError, ZoneState};
use super::{Batch, Cause, Digest, Dot, MAX_ENTRY_BYTES, Made, SavedZone, StateChunks, VersionVector, Write};
use crate::zone::{DeltaRecorder, Name, Zone};

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
    /// Serials that are now known to have stood for two contents.
    pub ambiguous: Vec<u64>,
}

/// What came of this node's own batches.
#[derive(Debug, Default)]
pub struct Committed {
    /// Those that were new.
    pub news: Vec<Arc<Batch>>,
    /// What went wrong.
    pub errors: Vec<ApplyError>,
    /// The zone's serial, if it is known to stand for another content elsewhere.
    pub ambiguous: Option<u64>,
}

/// One incarnation of a zone on this node.
#[derive(Clone, Debug)]
pub struct ZoneReplica {
    state: ZoneState,
    snapshot: Arc<Zone>,
    log: Log,
    pending: BTreeMap<Dot, Arc<Batch>>,
    next_position: u64,
    checkpointed: u64,
    quarantine: Quarantine,
    points: Points,
    hidden: bool,
    /// Changes of the snapshot that the history has not been told of.
    steps: Vec<Step>,
}

impl ZoneReplica {
    /// Takes a state as it is. `hidden` zones are served to transfers alone.
    pub fn new(mut state: ZoneState, hidden: bool) -> ZoneReplica {
        state.set_hidden(hidden);
        ZoneReplica {
            snapshot: Arc::new(state.served().clone()),
            state,
            log: Log::default(),
            pending: BTreeMap::new(),
            next_position: 0,
            checkpointed: 0,
            quarantine: Quarantine::default(),
            points: Points::default(),
            hidden,
            steps: Vec::new(),
        }
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
        // Whatever this node keeps it may have served, and a member may have served another content under the same serial.
        replica.note_own_point();
        let (mut alarms, mut kept) = (Vec::new(), Vec::new());
        // First the version that the history has told of; of batches that came at the same time as an edit of this node
        // some may stand after one that it has not.
        let is_told = |batch: &Batch| told.is_none_or(|told| told.contains(batch.dot));
        let (told_of, untold): (Vec<_>, Vec<_>) = saved.journal.into_iter().partition(|(_, batch)| is_told(batch));
        let untold_from = told_of.len();
        for (index, (position, batch)) in told_of.into_iter().chain(untold).enumerate() {
            replica.next_position = replica.next_position.max(position + 1);
            let before = (index >= untold_from).then(|| replica.state.served().clone());
            match replica.state.apply(&batch) {
                Ok(owners) => {
                    before.iter().for_each(|before| replica.note(before, owners.clone(), &batch));
                }
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
            replica.points.note(batch.serial, batch.version_after().hash());
            replica.note_own_point();
            kept.push((position, batch));
        }
        replica.publish();
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

    /// Whether the steps lead from the version that the history has been told of to the one that is here.
    pub(super) fn is_told_from(&self, told: VersionHash) -> bool {
        self.steps.first().map_or_else(|| self.snapshot.version(), |step| step.from) == told
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
        self.state.shadowed_count()
    }

    /// The digest and version hash together: what peers compare.
    pub fn fingerprint(&self) -> (Digest, [u8; 8]) {
        (self.state.digest(), self.state.version().hash())
    }

    /// Sets a journal position aside for a batch that is about to be stored. None is given out twice: that of an edit
    /// which could not be stored stays empty.
    pub fn take_position(&mut self) -> u64 {
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
        if self.contradicts(&batch) {
            let reason =
                "two different batches claim this number; neither the later one nor what builds on it is applied";
            ingested.alarm = if self.state.version().contains(batch.dot) {
                let (zone, dot) = (self.state.zone(), batch.dot);
                Some(format!("zone {zone}: number {} of actor {}: {reason}", dot.seq, dot.actor))
            } else {
                self.quarantine(batch.dot, reason)
            };
            return ingested;
        }
        let mut next = Some(batch);
        while let Some(batch) = next {
            match try_batch(&self.state, &batch) {
                Ok((state, owners)) => {
                    let before = std::mem::replace(&mut self.state, state);
                    self.note(before.served(), owners, &batch);
                    let position = self.take_position();
                    self.log.push(position, batch.clone());
                    if self.points.note(batch.serial, batch.version_after().hash()) {
                        ingested.ambiguous.push(batch.serial);
                    }
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
                    ingested.alarm = self.quarantine(batch.dot, &reason).or(ingested.alarm);
                }
            }
            next = self.take_ready();
        }
        if !ingested.applied.is_empty() {
            ingested.ambiguous.extend(self.publish());
        }
        ingested
    }

    /// Remembers that a batch cannot be applied here. Returns what an operator must hear, the first time.
    pub fn quarantine(&mut self, dot: Dot, reason: &str) -> Option<String> {
        let zone = self.state.zone();
        let told = format!(
            "zone {zone}: number {} of actor {} is not applied: {reason}. This node is not current in the zone from \
             here on; the others go on",
            dot.seq, dot.actor
        );
        self.quarantine.put(dot, reason).then_some(told)
    }

    /// How many batches are kept out.
    pub fn quarantined(&self) -> usize {
        self.quarantine.len()
    }

    /// Notes under which serial another node serves which version. Returns whether that makes the serial ambiguous.
    pub fn note_point(&mut self, serial: u64, version: VersionHash) -> bool {
        self.points.note(serial, version)
    }

    /// The latest serials with their versions.
    pub fn latest_points(&self, count: usize) -> Vec<(u64, VersionHash)> {
        self.points.latest(count)
    }

    /// How many serials have been found to stand for two contents.
    pub fn ambiguous(&self) -> u64 {
        self.points.count
    }

    /// Computes the digest anew. Returns whether the running one was right.
    pub fn recount(&mut self) -> bool {
        self.state.recount()
    }

    /// Takes over another content of the same version, which most nodes hold. Returns how many records differed.
    pub fn repair(&mut self, right: ZoneState) -> usize {
        let before = self.state.served().clone();
        let mut recorder = DeltaRecorder::new(0);
        recorder.zones(Some(&before), Some(right.served()));
        let differing = recorder.removed.max(recorder.added) as usize;
        self.state = right;
        self.state.set_hidden(self.hidden);
        self.publish_telling();
        differing
    }

    /// Applies batches of this node that have been stored.
    pub fn commit(&mut self, batches: Vec<(u64, Arc<Batch>)>) -> Committed {
        let mut committed = Committed::default();
        for (position, batch) in batches {
            let before = self.state.served().clone();
            match self.state.apply(&batch) {
                Ok(owners) => {
                    self.note(&before, owners, &batch);
                    self.log.push(position, batch.clone());
                    committed.news.push(batch);
                }
                Err(ApplyError::Known) => {}
                Err(error) => committed.errors.push(error),
            }
        }
        committed.ambiguous = self.publish();
        committed
    }

    /// Takes in a whole state, and then the batches that waited for something in it.
    pub fn merge(&mut self, other: &ZoneState) -> Ingested {
        self.state.merge(other);
        self.publish_telling();
        match self.take_ready() {
            Some(batch) => self.ingest(batch),
            None => Ingested::default(),
        }
    }

    /// What a peer at `have` lacks, if recent batches suffice.
    pub fn delta(&self, have: &VersionVector) -> Option<Vec<Arc<Batch>>> {
        self.log.delta(have, self.state.version())
    }

    /// Whether another batch is known under this one's number.
    pub fn contradicts(&self, batch: &Batch) -> bool {
        let known = self.log.get(batch.dot).or_else(|| self.pending.get(&batch.dot));
        known.is_some_and(|known| **known != *batch)
    }

    /// The batch that was made for a client's request, and the serial that it made, while it is among the recent ones.
    pub fn requested(&self, id: &str) -> Option<(&Arc<Batch>, u64)> {
        let batch = self.log.requested(id)?;
        Some((batch, batch.serial))
    }

    /// Whether enough has been journalled since the last checkpoint for the next one to pay. The larger the zone, the
    /// rarer: the cost of checkpoints stays a fraction of that of the edits.
    pub fn wants_checkpoint(&self) -> bool {
        self.next_position - self.checkpointed > CHECKPOINT_BATCHES.max(self.state.record_count() as u64 / 8)
    }

    /// The write that keeps the whole state. Positions from `in_flight` on are not contained yet.
    pub fn checkpoint(&mut self, in_flight: Option<u64>) -> Write {
        self.checkpoint_as(self.state.chunks(), in_flight)
    }

    /// The same with chunks of the state that are at hand.
    pub(super) fn checkpoint_as(&mut self, state: StateChunks, in_flight: Option<u64>) -> Write {
        let position = in_flight.unwrap_or(self.next_position).min(self.next_position);
        self.checkpointed = position;
        Write::Checkpoint {
            zone: self.state.zone().clone(),
            incarnation: self.state.incarnation(),
            position,
            state,
            keep_from: self.log.first_position().unwrap_or(position).min(position),
        }
    }

    fn take_ready(&mut self) -> Option<Arc<Batch>> {
        let version = self.state.version();
        let ready = self.pending.iter().find(|(_, batch)| version.includes(&batch.deps)).map(|(dot, _)| *dot)?;
        self.pending.remove(&ready)
    }

    /// Publishes after the whole state was replaced, and tells the history in what it differs.
    fn publish_telling(&mut self) {
        let before = self.snapshot.clone();
        self.publish();
        let mut recorder = DeltaRecorder::new(MAX_ENTRY_BYTES);
        recorder.zones(Some(&before), Some(&self.snapshot));
        let same_version = before.version() == self.snapshot.version();
        let nothing_new = same_version && recorder.removed + recorder.added == 0;
        if !self.hidden && !nothing_new {
            self.steps.push(Step::new(Cause::State, &before, &self.snapshot, recorder));
        }
    }

    /// Tells the history what a batch changed of what is served: at the owners that it touched, and at the apex, where
    /// the synthetic NS follows the SOA's primary.
    fn note(&mut self, before: &Zone, mut touched: Vec<Name>, batch: &Batch) {
        if self.hidden {
            return;
        }
        let after = self.state.served();
        if touched.binary_search(self.state.zone()).is_err() {
            touched.push(self.state.zone().clone());
        }
        let mut recorder = DeltaRecorder::new(MAX_ENTRY_BYTES);
        touched.iter().for_each(|owner| recorder.node(before.get(owner.as_wire()), after.get(owner.as_wire())));
        self.steps.push(Step::new(Cause::Edit(Made::by(batch)), before, after, recorder));
    }

    /// Makes the state as it is the snapshot. Returns the serial if it is known to stand for another content elsewhere.
    fn publish(&mut self) -> Option<u64> {
        self.snapshot = Arc::new(self.state.served().clone());
        self.quarantine.settle(self.state.version());
        self.note_own_point()
    }

    /// Notes under which serial the state is served. Returns it if it is known to stand for another content elsewhere.
    fn note_own_point(&mut self) -> Option<u64> {
        let serial = self.state.serial();
        self.points.note(serial, self.state.version().hash()).then_some(serial)
    }
}
