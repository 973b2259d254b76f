//! This node's own edits on their way to disk.
//!
//! An edit is *staged* first: its batch is made and its place in the journal set aside, but the state is as it was until
//! the store has kept it. So nothing is sent, served or acknowledged that a crash could take back, and a sequence number
//! is never used twice. While a zone has staged edits, further ones wait, and are then staged and kept as one group.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::replica::check_content;
use super::scratch::Scratch;
use super::state::ZoneState;
use super::zone_replica::ZoneReplica;
use super::{
    ActorId, Batch, Catalog, Changed, EditError, EditRequest, IncarnationId, Member, Replica, Source, Stub, Write,
    catalog_name,
};
use crate::zone::{Name, Zone, serial_gt, served_serial};

/// Edits of one incarnation that are made but not applied, until their writes are kept, together.
#[derive(Debug, Default)]
pub struct Staged {
    /// What must be on disk first.
    pub writes: Vec<Write>,
    batches: Vec<(u64, Arc<Batch>)>,
    created: Vec<ZoneReplica>,
}

impl Staged {
    /// The batches, in the order of the edits that made them.
    pub fn batches(&self) -> Vec<Arc<Batch>> {
        self.batches.iter().map(|(_, batch)| batch.clone()).collect()
    }

    /// The write that takes the batches from the disk again.
    pub fn erasure(&self) -> Option<Write> {
        let incarnation = self.batches.first()?.1.incarnation;
        let positions = self.batches.iter().map(|(position, _)| *position).collect();
        Some(Write::Erase { incarnation, positions })
    }
}

/// What became of edits that were staged together.
#[derive(Debug)]
pub struct StagedGroup {
    /// For each edit in order whether it changes something, or why it is refused; the others are staged all the same.
    pub outcomes: Vec<Result<bool, EditError>>,
    /// What to keep; `None` if no edit changes anything.
    pub staged: Option<Staged>,
}

/// Why an edit cannot be staged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StageError {
    /// The zone, or the catalog, has an edit under way; the same call may succeed once it is done.
    #[error("an edit is under way")]
    Busy,
    /// There is no such zone.
    #[error("no such zone")]
    NoSuchZone,
    /// There is such a zone already.
    #[error("the zone exists already")]
    ZoneExists,
    /// The edit itself is at fault.
    #[error(transparent)]
    Edit(#[from] EditError),
}

impl Replica {
    /// Stages edits of one existing zone, each on top of those before it, to be kept together.
    pub fn stage_edits(
        &mut self,
        origin: &Name,
        requests: &[EditRequest<'_>],
        actor: ActorId,
        wall_ms: u64,
    ) -> Result<StagedGroup, StageError> {
        let incarnation = self.serving(origin).ok_or(StageError::NoSuchZone)?.state().incarnation();
        self.stage(incarnation, requests, actor, wall_ms)
    }

    /// The batch that an edit would make now. Nothing is changed.
    pub fn preview(&self, origin: &Name, request: &EditRequest<'_>) -> Result<Option<Batch>, StageError> {
        let zone = self.serving(origin).ok_or(StageError::NoSuchZone)?;
        Ok(zone.state().prepare(request, zone.next_dot(ActorId([0; 16])), self.hlc)?)
    }

    /// Whether edits of this zone are on their way to disk.
    pub fn is_staged(&self, origin: &Name) -> bool {
        self.serving(origin).is_some_and(|zone| self.staged.contains_key(&zone.state().incarnation()))
    }

    /// Whether a change of the catalog is on its way to disk.
    pub fn is_catalog_staged(&self) -> bool {
        self.staged.contains_key(&self.catalog_id())
    }

    /// Whether a zone could begin with this content.
    pub fn may_create(&self, content: &Zone) -> Result<(), StageError> {
        if self.catalog().of(content.origin()).next().is_some() {
            return Err(StageError::ZoneExists);
        }
        Ok(check_content(content)?)
    }

    /// Stages new zones, all or none. The serial of one whose name was deleted before continues above the old one's.
    pub fn stage_create(
        &mut self,
        contents: &[Zone],
        source: &Source,
        actor: ActorId,
        wall_ms: u64,
    ) -> Result<Staged, StageError> {
        if self.is_catalog_staged() {
            return Err(StageError::Busy);
        }
        let (mut changes, mut created) = (Vec::new(), Vec::new());
        for content in contents {
            self.may_create(content)?;
            let stub = self.catalog().stub(content.origin());
            let generation = stub.map_or(1, |stub| stub.generation + 1);
            let serial = stub.map_or(content.soa().serial.into(), |stub| above(stub.serial, content.soa().serial));
            let state = ZoneState::genesis(content, generation, serial);
            let (origin, incarnation) = (content.origin().clone(), state.incarnation());
            changes.extend(Catalog::list(&Member { origin, generation, incarnation }));
            created.push(ZoneReplica::new(state, false));
        }
        let zone = contents.first().map_or_else(catalog_name, |content| content.origin().clone());
        let note = match contents.len() {
            1 => format!("zone {zone} created"),
            count => format!("{count} zones created, {zone} the first"),
        };
        let source = Source { note, ..source.clone() };
        let request = EditRequest { changes: &changes, by_steps: false, serial: None, source: &source };
        let mut staged = self.stage_catalog(&request, actor, wall_ms)?;
        staged.writes.extend(created.iter_mut().map(|zone| zone.checkpoint(None)));
        staged.created = created;
        Ok(staged)
    }

    /// Stages the deletion of a zone, in all its lives, on every node.
    pub fn stage_delete(
        &mut self,
        origin: &Name,
        source: &Source,
        actor: ActorId,
        wall_ms: u64,
    ) -> Result<Staged, StageError> {
        let generation = self.catalog().of(origin).map(|member| member.generation).max();
        let generation = generation.ok_or(StageError::NoSuchZone)?;
        let serial = self.serving(origin).map_or(0, |zone| zone.state().serial());
        let changes = self.catalog().delist(origin, Stub { generation, serial });
        let source = Source { note: format!("zone {origin} deleted"), ..source.clone() };
        let request = EditRequest { changes: &changes, by_steps: false, serial: None, source: &source };
        self.stage_catalog(&request, actor, wall_ms)
    }

    /// Stages the end of an incarnation that is kept but not served, on every node.
    pub fn stage_drop(
        &mut self,
        origin: &Name,
        incarnation: IncarnationId,
        source: &Source,
        actor: ActorId,
        wall_ms: u64,
    ) -> Result<Staged, StageError> {
        let serving = self.serving(origin).ok_or(StageError::NoSuchZone)?.state().incarnation();
        let invalid = |reason: String| StageError::Edit(EditError::Invalid(reason));
        if incarnation == serving || self.in_service.get(origin) == Some(&incarnation) {
            let advice = format!("to delete the zone in all its incarnations: `grapevine zone delete {origin}`");
            return Err(invalid(format!("{incarnation} is the incarnation of {origin} that is served; {advice}")));
        }
        let member = self.catalog().get(incarnation).filter(|member| member.origin == *origin).cloned();
        let Some(member) = member else {
            let advice = "`grapevine conflicts` lists those that are";
            return Err(invalid(format!("zone {origin} has no incarnation {incarnation}; {advice}")));
        };
        let serial = self.get(incarnation).map_or(0, |zone| zone.state().serial());
        let changes = self.catalog().drop_life(&member, serial);
        let note = format!("incarnation {incarnation} of zone {origin} dropped");
        let source = Source { note, ..source.clone() };
        let request = EditRequest { changes: &changes, by_steps: false, serial: None, source: &source };
        self.stage_catalog(&request, actor, wall_ms)
    }

    /// Stages a note that a deleted zone had come to this serial.
    pub fn stage_remember(
        &mut self,
        origin: &Name,
        serial: u64,
        source: &Source,
        actor: ActorId,
        wall_ms: u64,
    ) -> Result<Staged, StageError> {
        if self.catalog().of(origin).next().is_some() {
            return Err(StageError::ZoneExists);
        }
        let changes = self.catalog().delist(origin, self.stub_at(origin, serial));
        let source = Source { note: format!("serial of deleted zone {origin}"), ..source.clone() };
        let request = EditRequest { changes: &changes, serial: None, source: &source, by_steps: false };
        self.stage_catalog(&request, actor, wall_ms)
    }

    /// Stages one edit of the catalog.
    fn stage_catalog(&mut self, request: &EditRequest<'_>, actor: ActorId, wall_ms: u64) -> Result<Staged, StageError> {
        let mut group = self.stage(self.catalog_id(), std::slice::from_ref(request), actor, wall_ms)?;
        group.outcomes.pop().expect("one outcome for one edit")?;
        Ok(group.staged.unwrap_or_default())
    }

    /// Stages edits of one incarnation.
    fn stage(
        &mut self,
        incarnation: IncarnationId,
        requests: &[EditRequest<'_>],
        actor: ActorId,
        wall_ms: u64,
    ) -> Result<StagedGroup, StageError> {
        if self.staged.contains_key(&incarnation) {
            return Err(StageError::Busy);
        }
        let mut hlc = self.hlc;
        let zone = self.get_mut(incarnation).ok_or(StageError::NoSuchZone)?;
        let mut dot = zone.next_dot(actor);
        if dot.seq != zone.state().version().get(actor) + 1 {
            // An edit of this node was kept before what it builds on, and then the machine went down. The next one builds
            // on it in turn, so it has to wait until the cause comes again.
            return Err(StageError::Busy);
        }
        let (mut outcomes, mut made) = (Vec::new(), Vec::new());
        // A single edit, which may be a large one, is made on the state itself.
        let mut scratch = (requests.len() > 1).then(|| Scratch::new(zone.state()));
        for request in requests {
            let time = hlc.next(wall_ms);
            let batch = match &mut scratch {
                Some(scratch) => scratch.try_edit(request, dot, time),
                None => zone.state().prepare(request, dot, time),
            };
            outcomes.push(batch.map(|batch| {
                let changes = batch.is_some();
                if let Some(batch) = batch {
                    (hlc, dot.seq) = (time, dot.seq + 1);
                    made.push(Arc::new(batch));
                }
                changes
            }));
        }
        drop(scratch);
        if made.is_empty() {
            return Ok(StagedGroup { outcomes, staged: None });
        }
        let batches: Vec<_> = made.into_iter().map(|batch| (zone.take_position(), batch)).collect();
        let first = batches[0].0;
        let journal =
            |(position, batch): &(u64, Arc<Batch>)| Write::Journal { position: *position, batch: batch.clone() };
        let writes = batches.iter().map(journal).collect();
        self.hlc = hlc;
        self.staged.insert(incarnation, first);
        Ok(StagedGroup { outcomes, staged: Some(Staged { writes, batches, created: Vec::new() }) })
    }

    /// Applies staged edits whose writes are kept.
    pub fn commit(&mut self, staged: Staged) -> Changed {
        let mut changed = Changed { publish: true, ..Changed::default() };
        let catalog = self.catalog_id();
        let of_catalog = staged.batches.iter().any(|(_, batch)| batch.incarnation == catalog);
        let forgotten = if of_catalog { std::mem::take(&mut self.forgotten) } else { BTreeSet::new() };
        for mut zone in staged.created {
            if forgotten.contains(&zone.state().incarnation()) {
                // Another node made the same life, and deleted it, while this one was on its way to disk.
                changed.writes.push(zone.checkpoint(None));
                changed.revived = true;
            }
            self.adopt(zone);
        }
        let Some(incarnation) = staged.batches.first().map(|(_, batch)| batch.incarnation) else { return changed };
        self.staged.remove(&incarnation);
        if self.overtaken.remove(&incarnation) {
            // The zone was deleted meanwhile, and its journal may be gone. If it is listed again, by someone who did not
            // know, the edits come to it as if from another node.
            for (_, batch) in staged.batches {
                changed.append(self.ingest(batch));
            }
            return changed;
        }
        let Some(zone) = self.get_mut(incarnation) else { return changed };
        let (origin, committed) = (zone.state().zone().clone(), zone.commit(staged.batches));
        changed.news = committed.news;
        let not_applied = |error: &_| format!("an edit of this node is not applied: {error}");
        changed.alarms.extend(committed.errors.iter().map(not_applied));
        changed.ambiguous.extend(committed.ambiguous.map(|serial| (origin, serial)));
        self.after_change(incarnation, &mut changed);
        changed
    }

    /// Drops staged edits whose writes were not kept.
    pub fn abandon(&mut self, staged: &Staged) {
        let Some(incarnation) = staged.batches.first().map(|(_, batch)| batch.incarnation) else { return };
        self.staged.remove(&incarnation);
        self.overtaken.remove(&incarnation);
        if incarnation == self.catalog_id() {
            self.forgotten.clear();
        }
    }
}

/// A serial above `last` that shows as `wanted`, if `wanted` is newer; else the next one.
fn above(last: u64, wanted: u32) -> u64 {
    let shown = served_serial(last);
    if serial_gt(wanted, shown) { last + u64::from(wanted.wrapping_sub(shown)) } else { last + 1 }
}
