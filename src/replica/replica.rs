//! All zones of a node: the catalog, every incarnation it lists, and what is served of them.
//!
//! Batches of other nodes are applied at once; should a crash take them, they come again. How this node's own edits
//! come in: [`super::stage`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::digest::Accumulator;
use super::lives::Wanted;
use super::state::ZoneState;
use super::zone_replica::{Ingested, ZoneReplica};
use super::{
    Batch, Catalog, Digest, Dot, EditError, HistoryHead, Hlc, IncarnationId, Saved, StateChunks, VersionHash,
    VersionVector, Write, catalog_genesis, catalog_name,
};
use crate::zone::{Name, RecordType, Zone, ZoneSet};

/// All zones of one node.
#[derive(Clone, Debug)]
pub struct Replica {
    catalog: ZoneReplica,
    catalog_id: IncarnationId,
    listed: Catalog,
    pub(super) zones: BTreeMap<IncarnationId, ZoneReplica>,
    /// Lives that are not listed any more, until their serials are safe.
    pub(super) retired: BTreeMap<IncarnationId, ZoneReplica>,
    pub(super) served: Arc<ZoneSet>,
    /// Which life of each name is served.
    pub(super) in_service: BTreeMap<Name, IncarnationId>,
    /// Names of which a new life waits until its serial is high enough.
    pub(super) waiting: BTreeSet<Name>,
    pub(super) wanted: BTreeSet<Wanted>,
    /// What loading found to forget.
    leftover: Vec<Write>,
    /// What each incarnation contributes to the root.
    prints: BTreeMap<IncarnationId, [u8; 40]>,
    root: Accumulator,
    /// Incarnations with staged edits, and the lowest journal position that these will have.
    pub(super) staged: BTreeMap<IncarnationId, u64>,
    /// Of these, the ones that were taken out of the catalog while the edits were on their way to disk.
    pub(super) overtaken: BTreeSet<IncarnationId>,
    /// Lives that were forgotten while a change of the catalog was on its way to disk, which may list them.
    pub(super) forgotten: BTreeSet<IncarnationId>,
    pub(super) hlc: Hlc,
    /// How far the history of each name reaches.
    pub(super) heads: BTreeMap<Name, HistoryHead>,
    pub(super) now_ms: u64,
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
    /// Which version of each incarnation is served under which serial from now on.
    pub points: BTreeMap<IncarnationId, (u64, VersionHash)>,
    /// Zones and serials that are now known to have stood for two contents.
    pub ambiguous: Vec<(Name, u64)>,
    /// Whether a life is here again that had been deleted. Which numbers this node's edits had in it is forgotten.
    pub revived: bool,
}

impl Changed {
    fn absorb(&mut self, zone: &Name, ingested: Ingested) {
        self.ambiguous.extend(ingested.ambiguous.into_iter().map(|serial| (zone.clone(), serial)));
        self.publish |= !ingested.applied.is_empty();
        self.incomplete |= ingested.waiting;
        self.alarms.extend(ingested.alarm);
        for (position, batch) in ingested.applied {
            self.writes.push(Write::Journal { position, batch: batch.clone() });
            self.news.push(batch);
        }
    }

    /// What comes of one more change.
    pub fn append(&mut self, next: Changed) {
        self.writes.extend(next.writes);
        self.news.extend(next.news);
        self.publish |= next.publish;
        self.incomplete |= next.incomplete;
        self.alarms.extend(next.alarms);
        self.points.extend(next.points);
        self.ambiguous.extend(next.ambiguous);
        self.revived |= next.revived;
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
        // What was served before is served on, without another look at the serials of other lives.
        let shown = |(name, head): (&Name, &HistoryHead)| Some((name.clone(), head.incarnation?));
        let in_service = heads.iter().filter_map(shown).collect();
        let mut replica = Replica {
            catalog,
            catalog_id,
            listed,
            zones,
            retired: BTreeMap::new(),
            served: Arc::default(),
            in_service,
            waiting: BTreeSet::new(),
            wanted: BTreeSet::new(),
            leftover: Vec::new(),
            prints: BTreeMap::new(),
            root: Accumulator::default(),
            staged: BTreeMap::new(),
            overtaken: BTreeSet::new(),
            forgotten: BTreeSet::new(),
            hlc,
            heads,
            now_ms: 0,
        };
        replica.leftover = replica.reread_catalog();
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

    /// Whether somebody deleted this life, though it is listed again by somebody who did not know.
    fn was_deleted(&self, incarnation: IncarnationId) -> bool {
        let catalog = self.catalog();
        catalog
            .get(incarnation)
            .is_some_and(|member| catalog.stub(&member.origin).is_some_and(|stub| stub.generation >= member.generation))
    }

    /// Holds a new incarnation, unless it is here already.
    pub(super) fn adopt(&mut self, zone: ZoneReplica) {
        let incarnation = zone.state().incarnation();
        self.zones.entry(incarnation).or_insert(zone);
        self.reprint(incarnation);
    }

    pub(super) fn get_mut(&mut self, incarnation: IncarnationId) -> Option<&mut ZoneReplica> {
        if incarnation == self.catalog_id { Some(&mut self.catalog) } else { self.zones.get_mut(&incarnation) }
    }

    /// Whether an incarnation belongs here: the catalog, or listed in it.
    pub fn wants(&self, incarnation: IncarnationId) -> bool {
        incarnation == self.catalog_id || self.listed.contains(incarnation)
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
            self.root.remove([&old, b""]);
        }
        let Some(zone) = self.get(incarnation) else { return };
        let (digest, version) = zone.fingerprint();
        let mut print = [0; 40];
        print[..16].copy_from_slice(&incarnation.0);
        print[16..32].copy_from_slice(&digest.0);
        print[32..].copy_from_slice(&version);
        self.root.add([&print, b""]);
        self.prints.insert(incarnation, print);
    }

    /// Takes in a batch from a peer. One that does not belong to a listed zone is ignored: either its listing comes
    /// with the catalog and the batch with it, or the zone is deleted.
    pub fn ingest(&mut self, batch: Arc<Batch>) -> Changed {
        let mut changed = Changed::default();
        let incarnation = batch.incarnation;
        self.hear_of(batch.hlc);
        match self.get_mut(incarnation) {
            Some(zone) => {
                let origin = batch.zone.clone();
                changed.absorb(&origin, zone.ingest(batch));
                if changed.publish {
                    self.after_change(incarnation, &mut changed);
                }
            }
            None => changed.incomplete = true,
        }
        changed
    }

    /// Takes in a whole state from a peer.
    pub fn merge(&mut self, chunks: StateChunks) -> Changed {
        let mut changed = Changed { publish: true, ..Changed::default() };
        let state = chunks.state();
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
        let in_flight = self.staged.get(&incarnation).copied();
        match self.get_mut(incarnation) {
            Some(zone) => {
                changed.absorb(state.zone(), zone.merge(state));
                changed.writes.push(zone.checkpoint(in_flight));
            }
            None => {
                changed.revived = self.was_deleted(incarnation);
                let mut zone = ZoneReplica::new(state.clone(), false);
                // A failing disk may have kept an edit that was never acknowledged, and not the state it was made on.
                changed.writes.push(Write::Forget { incarnation });
                changed.writes.push(zone.checkpoint_as(chunks, in_flight));
                self.zones.insert(incarnation, zone);
            }
        }
        self.after_change(incarnation, &mut changed);
        changed
    }

    /// Remembers that a batch which a peer sent cannot be applied here, or not even be read.
    pub fn quarantine(&mut self, incarnation: IncarnationId, dot: Dot, reason: &str) -> Option<String> {
        let zone = self.get_mut(incarnation)?;
        if zone.state().version().contains(dot) { None } else { zone.quarantine(dot, reason) }
    }

    /// Notes which version a peer serves under which serial. The zone's name if that makes the serial ambiguous.
    pub fn note_point(&mut self, incarnation: IncarnationId, serial: u64, version: VersionHash) -> Option<Name> {
        let zone = self.get_mut(incarnation)?;
        zone.note_point(serial, version).then(|| zone.state().zone().clone())
    }

    /// Computes an incarnation's digest anew. Returns whether the running one was right.
    pub fn recount(&mut self, incarnation: IncarnationId) -> bool {
        let right = self.get_mut(incarnation).is_none_or(ZoneReplica::recount);
        self.reprint(incarnation);
        right
    }

    /// Takes over the content that most nodes hold of a version which this node holds with another content.
    pub fn repair(&mut self, right: ZoneState) -> Changed {
        let mut changed = Changed::default();
        let incarnation = right.incarnation();
        let in_flight = self.staged.get(&incarnation).copied();
        let Some(zone) = self.get_mut(incarnation).filter(|zone| zone.state().version() == right.version()) else {
            return changed;
        };
        let origin = right.zone().clone();
        let differing = zone.repair(right);
        changed.writes.push(zone.checkpoint(in_flight));
        changed.publish = true;
        changed.alarms.push(format!(
            "zone {origin}: {differing} records here differed from what other nodes hold at the same version and are \
             replaced by theirs; check this machine's memory and disk"
        ));
        self.after_change(incarnation, &mut changed);
        changed
    }

    /// Moves this node's clock past a write. A time beyond all sense may tie-break, but not push the clock to its end.
    fn hear_of(&mut self, hlc: Hlc) {
        if hlc.wall_ms() < MAX_SANE_WALL_MS {
            self.hlc = self.hlc.max(hlc);
        }
    }

    /// What follows from a change to one incarnation: the served set, the catalog's consequences, a checkpoint.
    pub(super) fn after_change(&mut self, incarnation: IncarnationId, changed: &mut Changed) {
        self.reprint(incarnation);
        let point = |zone: &ZoneReplica| (incarnation, (zone.state().serial(), zone.state().version().hash()));
        changed.points.extend(self.get(incarnation).map(point));
        let in_flight = self.staged.get(&incarnation).copied();
        if let Some(zone) = self.get_mut(incarnation)
            && zone.wants_checkpoint()
        {
            let checkpoint = zone.checkpoint(in_flight);
            changed.writes.push(checkpoint);
        }
        changed.writes.append(&mut self.leftover);
        if incarnation == self.catalog_id {
            let before = self.served.clone();
            changed.writes.extend(self.reread_catalog());
            changed.writes.extend(self.tell_of_all(&before));
        } else if let Some(origin) = self.zones.get(&incarnation).map(|zone| zone.state().zone().clone()) {
            let before = self.served.get(&origin).cloned();
            changed.writes.extend(self.serve(&origin));
            changed.writes.extend(self.tell_of(&origin, before.as_ref()));
        }
    }

    /// Looks again at lives that could not be served or forgotten yet.
    pub fn review(&mut self) -> Changed {
        let before = self.served.clone();
        let mut writes = self.serve_all();
        writes.extend(self.tell_of_all(&before));
        Changed { publish: true, writes, ..Changed::default() }
    }

    /// Reads the catalog anew: zones no longer listed retire, and the served set is built. Returns what is to be
    /// forgotten.
    fn reread_catalog(&mut self) -> Vec<Write> {
        self.listed = Catalog::read(self.catalog.state());
        let listed_again: Vec<_> = self.retired.keys().copied().filter(|id| self.listed.contains(*id)).collect();
        for incarnation in listed_again {
            if let Some(zone) = self.retired.remove(&incarnation) {
                // One that has been fetched anew meanwhile stays: what it lacks comes from members.
                self.zones.entry(incarnation).or_insert(zone);
                self.reprint(incarnation);
            }
        }
        let gone: Vec<_> = self.zones.keys().copied().filter(|id| !self.listed.contains(*id)).collect();
        for incarnation in gone {
            if self.staged.contains_key(&incarnation) {
                self.overtaken.insert(incarnation);
            }
            self.retired.extend(self.zones.remove(&incarnation).map(|zone| (incarnation, zone)));
            self.reprint(incarnation);
        }
        self.serve_all()
    }

    pub(super) fn catalog_snapshot(&self) -> &Arc<Zone> {
        self.catalog.snapshot()
    }
}

/// The year 2500: no clock of a working node is past it.
const MAX_SANE_WALL_MS: u64 = 16_725_225_600_000;

/// Whether a zone may begin with this content.
pub fn check_content(content: &Zone) -> Result<(), EditError> {
    let (origin, invalid) = (content.origin(), |reason: String| Err(EditError::Invalid(reason)));
    if content.apex().get(RecordType::NS).is_none() {
        return invalid(format!("zone {origin} has no NS record at its apex"));
    }
    for node in content.iter() {
        if !node.owner().ends_with(origin.as_wire()) || !node.name().is_at_or_below(origin) {
            return invalid(format!("{} is not in zone {origin}", node.name()));
        }
        for rrset in node.rrsets() {
            let checked = rrset.rdatas().try_for_each(|rdata| crate::zone::rdata::check(rrset.rtype, rdata));
            checked.map_err(|error| EditError::Invalid(format!("{}: {error}", node.name())))?;
        }
    }
    Ok(())
}
