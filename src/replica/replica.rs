//! All zones of a node: the catalog, every incarnation it lists, what is served of them, and edits on their way to disk.
//!
//! An edit of this node is *staged* first: its batch is made and its place in the journal set aside, but the state is
//! as it was until the store has kept it. So nothing is sent, served or acknowledged that a crash could take back, and
//! a sequence number is never used twice. Batches of other nodes are applied at once; should a crash take them, they
//! come again. While a zone has a staged edit, further ones wait.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::digest::Accumulator;
use super::state::{ApplyError, ZoneState};
use super::zone_replica::{Ingested, ZoneReplica};
use super::{
    ActorId, Batch, Catalog, Digest, EditError, EditRequest, HistoryHead, Hlc, IncarnationId, Member, Saved, Source,
    Stub, VersionVector, Write, catalog_genesis, catalog_name,
};
use crate::zone::{Name, RecordType, ZoneContent, ZoneSet, serial_gt, served_serial};

/// All zones of one node.
#[derive(Clone, Debug)]
pub struct Replica {
    catalog: ZoneReplica,
    catalog_id: IncarnationId,
    listed: Catalog,
    zones: BTreeMap<IncarnationId, ZoneReplica>,
    served: Arc<ZoneSet>,
    /// What each incarnation contributes to the root.
    prints: BTreeMap<IncarnationId, [u8; 40]>,
    root: Accumulator,
    /// Incarnations with a staged edit, and the journal position that it will have.
    staged: BTreeMap<IncarnationId, u64>,
    hlc: Hlc,
    /// How far the history of each name reaches.
    heads: BTreeMap<Name, HistoryHead>,
    now_ms: u64,
}

/// An edit that is made but not applied, until its writes are kept.
#[derive(Debug)]
pub struct Staged {
    /// What must be on disk first.
    pub writes: Vec<Write>,
    zone: Name,
    batches: Vec<(u64, Arc<Batch>)>,
    created: Vec<ZoneReplica>,
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

/// What of a peer's zone this node compares with its own.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct Summary {
    /// Which incarnation.
    pub incarnation: IncarnationId,
    /// Which batches it holds.
    pub version: VersionVector,
    /// The digest of its content.
    pub digest: Digest,
}

/// What a change to the replica asks of the node.
#[derive(Debug, Default)]
pub struct Changed {
    /// What to keep on disk.
    pub writes: Vec<Write>,
    /// Batches that are new here, to pass on.
    pub news: Vec<Arc<Batch>>,
    /// Whether what is served changed.
    pub publish: bool,
    /// Whether something is missing that a peer must have.
    pub incomplete: bool,
    /// Things that an operator must hear.
    pub alarms: Vec<String>,
}

impl Changed {
    fn absorb(&mut self, ingested: Ingested) {
        self.publish |= !ingested.applied.is_empty();
        self.incomplete |= ingested.waiting;
        self.alarms.extend(ingested.alarm);
        for (position, batch) in ingested.applied {
            self.writes.push(Write::Journal { position, batch: batch.clone() });
            self.news.push(batch);
        }
    }
}

impl Replica {
    /// Brings back what the store kept, and what of it an operator must hear.
    pub fn load(saved: Saved) -> (Replica, Vec<String>) {
        let genesis = catalog_genesis();
        let catalog_id = genesis.incarnation();
        let (mut catalog, mut zones, mut alarms) = (ZoneReplica::new(genesis.clone(), true), BTreeMap::new(), vec![]);
        let heads: BTreeMap<Name, HistoryHead> = saved.histories.into_iter().collect();
        for zone in saved.zones {
            let incarnation = zone.incarnation;
            let state = match &zone.checkpoint {
                Some((_, chunks)) => ZoneState::decode(chunks.iter().map(|chunk| &**chunk)),
                None if incarnation == catalog_id => Ok(genesis.clone()),
                None => continue,
            };
            match state {
                Ok(state) => {
                    let head = heads.get(state.zone()).filter(|head| head.incarnation == Some(incarnation));
                    let told = head.map(|head| &head.version);
                    let (replica, heard) = ZoneReplica::load(zone, state, incarnation == catalog_id, told);
                    alarms.extend(heard);
                    if incarnation == catalog_id {
                        catalog = replica;
                    } else {
                        zones.insert(incarnation, replica);
                    }
                }
                Err(error) => alarms.push(format!("a stored zone is unreadable and is fetched from peers: {error}")),
            }
        }
        let times = zones.values().chain([&catalog]).map(|zone| zone.state().newest_hlc());
        let hlc = times.filter(|hlc| hlc.wall_ms() < MAX_SANE_WALL_MS).max().unwrap_or_default();
        let listed = Catalog::read(catalog.state());
        let served = Arc::default();
        let (prints, root, staged) = (BTreeMap::new(), Accumulator::default(), BTreeMap::new());
        let now_ms = 0;
        let mut replica =
            Replica { catalog, catalog_id, listed, zones, served, prints, root, staged, hlc, heads, now_ms };
        replica.reread_catalog();
        let here: Vec<_> = replica.zones.keys().copied().chain([catalog_id]).collect();
        for incarnation in here {
            replica.reprint(incarnation);
        }
        (replica, alarms)
    }

    /// Tells the wall clock, in milliseconds since 1970, for the history.
    pub fn set_clock(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
    }

    /// What the history must still be told after a start; asked for once, after the clock is set.
    pub fn catch_up_history(&mut self) -> Vec<Write> {
        self.tell_of_start()
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.now_ms
    }

    pub(super) fn head(&self, origin: &Name) -> Option<&HistoryHead> {
        self.heads.get(origin)
    }

    pub(super) fn set_head(&mut self, origin: &Name, head: HistoryHead) {
        self.heads.insert(origin.clone(), head);
    }

    /// Whether any history was kept when this node started.
    pub(super) fn heads_are_known(&self) -> bool {
        !self.heads.is_empty()
    }

    /// Every name that is served or has a history.
    pub(super) fn known_origins(&self) -> BTreeSet<Name> {
        let listed = self.listed.origins().map(|(origin, _)| origin);
        listed.chain(self.heads.keys()).cloned().collect()
    }

    /// What is to be served.
    pub fn served(&self) -> &Arc<ZoneSet> {
        &self.served
    }

    /// The catalog's incarnation, the same in every cluster.
    pub fn catalog_id(&self) -> IncarnationId {
        self.catalog_id
    }

    /// The catalog, read.
    pub fn catalog(&self) -> &Catalog {
        &self.listed
    }

    /// An incarnation that is here, the catalog's included.
    pub fn get(&self, incarnation: IncarnationId) -> Option<&ZoneReplica> {
        if incarnation == self.catalog_id { Some(&self.catalog) } else { self.zones.get(&incarnation) }
    }

    pub(super) fn get_mut(&mut self, incarnation: IncarnationId) -> Option<&mut ZoneReplica> {
        if incarnation == self.catalog_id { Some(&mut self.catalog) } else { self.zones.get_mut(&incarnation) }
    }

    /// Whether an incarnation belongs here: the catalog, or listed in it.
    pub fn wants(&self, incarnation: IncarnationId) -> bool {
        incarnation == self.catalog_id || self.listed.contains(incarnation)
    }

    /// Of several lives of a name the one that is served: the latest generation, of those the highest serial, of those
    /// the highest id.
    pub fn serving(&self, origin: &Name) -> Option<&ZoneReplica> {
        self.listed
            .of(origin)
            .filter_map(|member| Some((member.generation, self.zones.get(&member.incarnation)?)))
            .max_by_key(|(generation, zone)| (*generation, zone.state().serial(), zone.state().incarnation()))
            .map(|(_, zone)| zone)
    }

    /// What peers compare, the catalog first.
    pub fn summaries(&self) -> Vec<Summary> {
        std::iter::once(&self.catalog)
            .chain(self.zones.values())
            .map(|zone| Summary {
                incarnation: zone.state().incarnation(),
                version: zone.state().version().clone(),
                digest: zone.state().digest(),
            })
            .collect()
    }

    /// One digest over all zones: nodes with equal roots hold the same.
    pub fn root(&self) -> Digest {
        self.root.finish(b"")
    }

    /// Keeps the root true to one incarnation, or to its absence.
    fn reprint(&mut self, incarnation: IncarnationId) {
        if let Some(old) = self.prints.remove(&incarnation) {
            self.root.remove(&old);
        }
        let Some(zone) = self.get(incarnation) else { return };
        let (digest, version) = zone.fingerprint();
        let mut print = [0; 40];
        print[..16].copy_from_slice(&incarnation.0);
        print[16..32].copy_from_slice(&digest.0);
        print[32..].copy_from_slice(&version);
        self.root.add(&print);
        self.prints.insert(incarnation, print);
    }

    /// Stages an edit of an existing zone; `None` if nothing would change.
    pub fn stage_edit(
        &mut self,
        origin: &Name,
        request: &EditRequest<'_>,
        actor: ActorId,
        wall_ms: u64,
    ) -> Result<Option<Staged>, StageError> {
        let incarnation = self.serving(origin).ok_or(StageError::NoSuchZone)?.state().incarnation();
        let batches: Vec<_> = self.stage(incarnation, request, actor, wall_ms)?.into_iter().collect();
        Ok((!batches.is_empty()).then(|| Staged {
            writes: journal(&batches),
            zone: origin.clone(),
            batches,
            created: Vec::new(),
        }))
    }

    /// Stages new zones, all or none. The serial of one whose name was deleted before continues above the old one's.
    pub fn stage_create(
        &mut self,
        contents: &[ZoneContent],
        source: &Source,
        actor: ActorId,
        wall_ms: u64,
    ) -> Result<Staged, StageError> {
        if self.staged.contains_key(&self.catalog_id) {
            return Err(StageError::Busy);
        }
        let (mut changes, mut created) = (Vec::new(), Vec::new());
        for content in contents {
            if self.listed.of(&content.origin).next().is_some() {
                return Err(StageError::ZoneExists);
            }
            check_content(content)?;
            let stub = self.listed.stub(&content.origin);
            let generation = stub.map_or(1, |stub| stub.generation + 1);
            let serial = stub.map_or(content.soa.serial.into(), |stub| above(stub.serial, content.soa.serial));
            let state = ZoneState::genesis(content, generation, serial);
            let (origin, incarnation) = (content.origin.clone(), state.incarnation());
            changes.extend(Catalog::list(&Member { origin, generation, incarnation }));
            created.push(ZoneReplica::new(state, false));
        }
        let zone = contents.first().map_or_else(catalog_name, |content| content.origin.clone());
        let note = match contents.len() {
            1 => format!("zone {zone} created"),
            count => format!("{count} zones created, {zone} the first"),
        };
        let source = Source { note, ..source.clone() };
        let request = EditRequest { changes: &changes, serial: None, source: &source };
        let batches: Vec<_> = self.stage(self.catalog_id, &request, actor, wall_ms)?.into_iter().collect();
        let mut writes: Vec<Write> = created.iter_mut().map(|zone| zone.checkpoint(None)).collect();
        writes.extend(journal(&batches));
        Ok(Staged { writes, zone, batches, created })
    }

    /// Stages the deletion of a zone, in all its lives, on every node.
    pub fn stage_delete(
        &mut self,
        origin: &Name,
        source: &Source,
        actor: ActorId,
        wall_ms: u64,
    ) -> Result<Staged, StageError> {
        let generation = self.listed.of(origin).map(|member| member.generation).max().ok_or(StageError::NoSuchZone)?;
        let serial = self.serving(origin).map_or(0, |zone| zone.state().serial());
        let changes = self.listed.delist(origin, Stub { generation, serial });
        let note = format!("zone {origin} deleted");
        let source = Source { note, ..source.clone() };
        let request = EditRequest { changes: &changes, serial: None, source: &source };
        let batches: Vec<_> = self.stage(self.catalog_id, &request, actor, wall_ms)?.into_iter().collect();
        Ok(Staged { writes: journal(&batches), zone: origin.clone(), batches, created: Vec::new() })
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
        if incarnation == serving {
            let advice = format!("to delete the zone in all its incarnations: `grapevine zone delete {origin}`");
            return Err(invalid(format!("{incarnation} is the incarnation of {origin} that is served; {advice}")));
        }
        let member = self.listed.get(incarnation).filter(|member| member.origin == *origin).cloned();
        let Some(member) = member else {
            let advice = "`grapevine conflicts` lists those that are";
            return Err(invalid(format!("zone {origin} has no incarnation {incarnation}; {advice}")));
        };
        let serial = self.zones.get(&incarnation).map_or(0, |zone| zone.state().serial());
        let changes = self.listed.drop_life(&member, serial);
        let note = format!("incarnation {incarnation} of zone {origin} dropped");
        let source = Source { note, ..source.clone() };
        let request = EditRequest { changes: &changes, serial: None, source: &source };
        let batches: Vec<_> = self.stage(self.catalog_id, &request, actor, wall_ms)?.into_iter().collect();
        Ok(Staged { writes: journal(&batches), zone: origin.clone(), batches, created: Vec::new() })
    }

    /// Applies a staged edit whose writes are kept.
    pub fn commit(&mut self, staged: Staged) -> Changed {
        let mut changed = Changed { publish: true, ..Changed::default() };
        for zone in staged.created {
            let incarnation = zone.state().incarnation();
            self.zones.entry(incarnation).or_insert(zone);
            self.reprint(incarnation);
        }
        for (position, batch) in staged.batches {
            let incarnation = batch.incarnation;
            self.staged.remove(&incarnation);
            let Some(zone) = self.get_mut(incarnation) else { continue };
            match zone.commit(position, batch.clone()) {
                Ok(()) => changed.news.push(batch),
                Err(ApplyError::Known) => {}
                Err(error) => changed.alarms.push(format!("an edit of this node is not applied: {error}")),
            }
            self.after_change(incarnation, &mut changed);
        }
        changed
    }

    /// Drops a staged edit whose writes were not kept.
    pub fn abandon(&mut self, staged: Staged) {
        for (position, batch) in staged.batches {
            self.staged.remove(&batch.incarnation);
            if let Some(zone) = self.get_mut(batch.incarnation) {
                zone.vacate_position(position);
            }
        }
    }

    /// The zone that a staged edit concerns.
    pub fn zone_of(staged: &Staged) -> &Name {
        &staged.zone
    }

    /// Takes in a batch from a peer. One that does not belong to a listed zone is ignored: either its listing comes
    /// with the catalog and the batch with it, or the zone is deleted.
    pub fn ingest(&mut self, batch: Arc<Batch>) -> Changed {
        let mut changed = Changed::default();
        let incarnation = batch.incarnation;
        self.hear_of(batch.hlc);
        match self.get_mut(incarnation) {
            Some(zone) => {
                changed.absorb(zone.ingest(batch));
                if changed.publish {
                    self.after_change(incarnation, &mut changed);
                }
            }
            None => changed.incomplete = true,
        }
        changed
    }

    /// Takes in a whole state from a peer.
    pub fn merge(&mut self, state: ZoneState) -> Changed {
        let mut changed = Changed { publish: true, ..Changed::default() };
        let incarnation = state.incarnation();
        if !self.wants(incarnation) {
            return Changed::default();
        }
        let listed = self.listed.get(incarnation).map_or_else(catalog_name, |member| member.origin.clone());
        if *state.zone() != listed {
            let alarm =
                format!("a member sent zone {} where the catalog lists {listed}; it is not taken", state.zone());
            return Changed { alarms: vec![alarm], ..Changed::default() };
        }
        self.hear_of(state.newest_hlc());
        match self.get_mut(incarnation) {
            Some(zone) => changed.absorb(zone.merge(&state)),
            None => {
                self.zones.insert(incarnation, ZoneReplica::new(state, false));
            }
        }
        let in_flight = self.staged.get(&incarnation).copied();
        let checkpoint = self.get_mut(incarnation).map(|zone| zone.checkpoint(in_flight));
        changed.writes.extend(checkpoint);
        self.after_change(incarnation, &mut changed);
        changed
    }

    /// Moves this node's clock past a write. A time beyond all sense may tie-break, but not push the clock to its end.
    fn hear_of(&mut self, hlc: Hlc) {
        if hlc.wall_ms() < MAX_SANE_WALL_MS {
            self.hlc = self.hlc.max(hlc);
        }
    }

    /// Stages one edit of one incarnation.
    fn stage(
        &mut self,
        incarnation: IncarnationId,
        request: &EditRequest<'_>,
        actor: ActorId,
        wall_ms: u64,
    ) -> Result<Option<(u64, Arc<Batch>)>, StageError> {
        if self.staged.contains_key(&incarnation) {
            return Err(StageError::Busy);
        }
        let hlc = self.hlc.next(wall_ms);
        let zone = self.get_mut(incarnation).ok_or(StageError::NoSuchZone)?;
        let Some(batch) = zone.state().prepare(request, zone.next_dot(actor), hlc)? else { return Ok(None) };
        let position = zone.reserve_position();
        self.hlc = hlc;
        self.staged.insert(incarnation, position);
        Ok(Some((position, Arc::new(batch))))
    }

    /// What follows from a change to one incarnation: the served set, the catalog's consequences, a checkpoint.
    fn after_change(&mut self, incarnation: IncarnationId, changed: &mut Changed) {
        self.reprint(incarnation);
        let in_flight = self.staged.get(&incarnation).copied();
        if let Some(zone) = self.get_mut(incarnation)
            && zone.wants_checkpoint()
        {
            let checkpoint = zone.checkpoint(in_flight);
            changed.writes.push(checkpoint);
        }
        if incarnation == self.catalog_id {
            let before = self.served.clone();
            for gone in self.reread_catalog() {
                changed.writes.push(Write::Forget { incarnation: gone });
            }
            changed.writes.extend(self.tell_of_catalog(&before));
        } else if let Some(origin) = self.zones.get(&incarnation).map(|zone| zone.state().zone().clone())
            && let Some(zone) = self.serving(&origin)
        {
            let zone = zone.snapshot().clone();
            let before = self.served.get(&origin).cloned();
            Arc::make_mut(&mut self.served).insert(zone);
            changed.writes.extend(self.tell_of(incarnation, before.as_deref()));
        }
    }

    /// Reads the catalog anew: zones no longer listed go, and the served set is built. Returns what went.
    fn reread_catalog(&mut self) -> Vec<IncarnationId> {
        self.listed = Catalog::read(self.catalog.state());
        let gone: Vec<_> = self.zones.keys().copied().filter(|id| !self.listed.contains(*id)).collect();
        for incarnation in &gone {
            self.zones.remove(incarnation);
            self.reprint(*incarnation);
        }
        let origins: BTreeSet<&Name> = self.listed.members().map(|member| &member.origin).collect();
        // A zone that was deleted and made anew is listed before its new life has arrived; until then the old one is
        // served, rather than nothing.
        let before = &self.served;
        let serve = |origin| self.serving(origin).map(ZoneReplica::snapshot).or_else(|| before.get(origin)).cloned();
        let zones = origins.into_iter().filter_map(serve);
        self.served = Arc::new(ZoneSet::new(zones.chain([self.catalog.snapshot().clone()])));
        gone
    }
}

/// The year 2500: no clock of a working node is past it.
const MAX_SANE_WALL_MS: u64 = 16_725_225_600_000;

fn journal(batches: &[(u64, Arc<Batch>)]) -> Vec<Write> {
    batches.iter().map(|(position, batch)| Write::Journal { position: *position, batch: batch.clone() }).collect()
}

/// A serial above `last` that shows as `wanted`, if `wanted` is newer; else the next one.
fn above(last: u64, wanted: u32) -> u64 {
    let shown = served_serial(last);
    if serial_gt(wanted, shown) { last + u64::from(wanted.wrapping_sub(shown)) } else { last + 1 }
}

/// Whether a zone may begin with this content.
pub fn check_content(content: &ZoneContent) -> Result<(), EditError> {
    let invalid = |reason: String| Err(EditError::Invalid(reason));
    if !content.rrsets.contains_key(&(content.origin.clone(), RecordType::NS)) {
        return invalid(format!("zone {} has no NS record at its apex", content.origin));
    }
    for record in content.records() {
        if !record.owner.is_at_or_below(&content.origin) {
            return invalid(format!("{} is not in zone {}", record.owner, content.origin));
        }
        crate::zone::rdata::check(record.rtype, record.rdata.as_wire())
            .map_err(|error| EditError::Invalid(format!("{}: {error}", record.owner)))?;
    }
    Ok(())
}
