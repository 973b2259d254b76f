//! What an all-knowing observer expects of every acknowledged edit and of every snapshot that a node publishes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use grapevine::node::{Applied, Ticket};
use grapevine::replica::{
    IncarnationId, Replica, Summary, VersionHash, VersionVector, Write, ZoneReplica, catalog_genesis, catalog_name,
};
use grapevine::zone::{Change, Name, RecordType, Zone, ZoneSet};

use crate::ledger::{Ledger, Verdict, live_records};
use crate::secondary::Secondary;

/// Of every so many snapshots one is checked record by record against the book.
const CHECK_ONE_IN: u64 = 8;

#[derive(Default)]
pub(crate) struct Oracle {
    pub(crate) ledger: Ledger,
    /// What clients asked for and were not told about yet.
    wishes: BTreeMap<Ticket, Vec<Change>>,
    /// Edits that clients were not told about yet.
    edits: BTreeSet<Ticket>,
    /// The highest serial that each machine served of each zone, in its present life and before.
    serials: BTreeMap<(usize, Name), (u64, Option<IncarnationId>)>,
    /// The highest serial that a client was told, by life of a zone.
    told: BTreeMap<IncarnationId, u64>,
    published: u64,
    pub(crate) secondary: Secondary,
    /// Beginnings of alarms that the run provokes.
    pub(crate) provoked: Vec<&'static str>,
    pub(crate) alarms: BTreeMap<&'static str, u64>,
    pub(crate) acknowledged: u64,
    pub(crate) refused: u64,
    /// Acknowledged edits that went with the only disks that held them.
    pub(crate) gone_with_disks: u64,
    /// Lives of zones that went with the only disks that held them.
    lives_gone: BTreeSet<IncarnationId>,
    /// Lives that were on a disk which was lost, whoever else had them.
    lost_somewhere: BTreeSet<IncarnationId>,
    pub(crate) violations: Vec<String>,
}

impl Oracle {
    /// A client asks for changes.
    pub(crate) fn ask(&mut self, ticket: Ticket, changes: &[Change]) {
        self.wishes.insert(ticket, changes.to_vec());
        self.edits.insert(ticket);
    }

    /// A node is about to store something.
    pub(crate) fn staged(&mut self, machine: usize, name: &str, writes: &[Write]) {
        for batch in self.ledger.staged(machine, name, writes) {
            let ticket = batch.source.request.as_ref().and_then(|request| request.id.parse().ok()).map(Ticket);
            let Some(wish) = ticket.and_then(|ticket| self.wishes.remove(&ticket)) else { continue };
            for change in wish {
                let (key, missing) = match change {
                    Change::Add(record) => {
                        let key = record.key();
                        (key.clone(), (!batch.adds.contains(&key)).then_some(Verdict::No))
                    }
                    Change::Remove(key) => {
                        let removes = batch.removes.iter().any(|(removed, _)| *removed == key);
                        (key, (!removes).then_some(Verdict::Yes))
                    }
                    _ => continue,
                };
                if missing.is_some_and(|wrong| self.ledger.is_live(batch.incarnation, &key, &batch.deps) == wrong) {
                    self.violations.push(format!("node {machine} left {key:?} out of {:?}", batch.dot));
                }
            }
        }
    }

    /// The disk has kept something.
    pub(crate) fn stored(&mut self, writes: &[Write]) {
        self.ledger.stored(writes);
    }

    /// A client is told what came of its edit.
    pub(crate) fn done(&mut self, ticket: Ticket, result: Option<Applied>) {
        match result {
            Some(_) => self.acknowledged += 1,
            None => self.refused += 1,
        }
        // New zones that are asked for together are listed by one batch, so only edits have one each.
        let is_edit = self.edits.remove(&ticket);
        self.wishes.remove(&ticket);
        let batch = self.ledger.settle(ticket.0, result.is_some());
        match (result, batch) {
            // Who creates or deletes a zone is told that zone's serial, not the catalog's.
            (Some(applied), Some(batch)) if applied.changed && batch.zone != catalog_name() => {
                if batch.floor.is_some_and(|floor| applied.serial < floor) {
                    self.violations.push(format!("{ticket:?} asked for a serial and got {}", applied.serial));
                }
                let told = self.told.entry(batch.incarnation).or_default();
                *told = applied.serial.max(*told);
            }
            (Some(applied), None) if applied.changed && is_edit => {
                self.violations.push(format!("{ticket:?} was acknowledged and never stored"));
            }
            _ => {}
        }
    }

    /// A machine's process ended.
    pub(crate) fn ended(&mut self, machine: usize) {
        self.ledger.ended(machine);
    }

    /// A machine has another disk: what it serves may be older than before.
    pub(crate) fn went_back(&mut self, machine: usize) {
        self.serials.retain(|(other, _), _| *other != machine);
    }

    /// A machine's disk was put back to an earlier state of itself, and the machine does not know: it may use dots again.
    pub(crate) fn put_back(&mut self, machine: usize, held: &[Summary]) {
        self.ledger.put_back(machine, held);
    }

    /// Whether two batches of one dot may make nodes differ in this life of a zone, or in whether it is listed.
    fn is_disputed(&self, incarnation: Option<IncarnationId>) -> bool {
        let catalog = catalog_genesis().incarnation();
        self.ledger.is_disputed(catalog) || incarnation.is_some_and(|life| self.ledger.is_disputed(life))
    }

    /// A machine's disk is lost, and what it held; others know of these versions that they were served.
    pub(crate) fn disk_is_lost(
        &mut self,
        machine: usize,
        held: &[Summary],
        known: &BTreeSet<(IncarnationId, VersionHash)>,
    ) {
        self.secondary.disk_is_lost(machine, known);
        self.lost_somewhere.extend(held.iter().map(|held| held.incarnation));
    }

    /// Whether nobody may hold a life that is listed: it was on disks that are lost, by all others it was deleted, and who
    /// listed it had not heard of either.
    pub(crate) fn may_be_held_by_nobody(&self, life: IncarnationId) -> bool {
        self.lives_gone.contains(&life) || self.lost_somewhere.contains(&life) && self.ledger.has_ended(life)
    }

    /// These are all disks that there are.
    pub(crate) fn only_these_remain(&mut self, disks: &[Vec<Summary>]) {
        self.gone_with_disks += self.ledger.only_these_remain(disks);
        let held: BTreeSet<IncarnationId> = disks.iter().flatten().map(|held| held.incarnation).collect();
        self.lives_gone.extend(self.ledger.lives().filter(|life| !held.contains(life)));
        self.told.clear();
    }

    /// A node calls its operator.
    pub(crate) fn alarm(&mut self, machine: usize, message: &str) {
        if let Some(known) = self.provoked.iter().find(|known| message.contains(**known)) {
            *self.alarms.entry(known).or_default() += 1;
        } else if !message.contains("not stored") {
            self.violations.push(format!("node {machine}: {message}"));
        }
    }

    pub(crate) fn published(&mut self, machine: usize, replica: &Replica, before: &ZoneSet, after: &ZoneSet) {
        for zone in after.iter() {
            if before.get(zone.origin()).is_some_and(|old| Arc::ptr_eq(old, zone)) {
                continue;
            }
            if let Some(reason) = illegal(zone) {
                self.violations.push(format!("node {machine} serves an illegal zone {}: {reason}", zone.origin()));
            }
            self.check_serial(machine, replica, zone);
            let Some(held) = life_of(replica, zone) else { continue };
            self.published += 1;
            if self.published.is_multiple_of(CHECK_ONE_IN) {
                self.check_against_book(machine, held);
            }
        }
    }

    fn check_serial(&mut self, machine: usize, replica: &Replica, zone: &Zone) {
        let life = life_of(replica, zone).map(|held| held.state().incarnation());
        // What is published waits for the disk, and the replica may have gone on meanwhile.
        let mut lives = replica.catalog().of(zone.origin()).map(|member| member.incarnation);
        let disputed = self.is_disputed(life) || lives.any(|life| self.ledger.is_disputed(life));
        let (highest, shown) = self.serials.entry((machine, zone.origin().clone())).or_default();
        if zone.serial() < *highest {
            let (origin, serial) = (zone.origin(), zone.serial());
            if !disputed {
                self.violations.push(format!(
                    "node {machine} served {origin} at serial {highest} ({shown:?}) and then at {serial} ({life:?})"
                ));
            }
            *highest = 0;
        }
        (*highest, *shown) = (zone.serial().max(*highest), life);
    }

    /// Whether a zone has exactly the records that the book says it must have at its version.
    pub(crate) fn check_against_book(&mut self, machine: usize, zone: &ZoneReplica) {
        let (state, live) = (zone.state(), live_records(zone));
        let (incarnation, version, origin) = (state.incarnation(), state.version(), state.zone());
        if self.ledger.has_ended(incarnation) {
            return;
        }
        for key in self.ledger.records(incarnation) {
            let wrong = match (self.ledger.is_live(incarnation, key, version), live.contains(key)) {
                (Verdict::Yes, false) => "was added, and is gone though no removal had seen it",
                (Verdict::No, true) => "was removed, and is back",
                _ => continue,
            };
            self.violations.push(format!("node {machine}, zone {origin}: {key:?} {wrong}"));
        }
        let known = self.ledger.records(incarnation);
        for key in live.iter().filter(|key| !known.contains(key)) {
            self.violations.push(format!("node {machine}, zone {origin}: nobody ever added {key:?}"));
        }
        drop(known);
        if self.ledger.is_disputed(incarnation) {
            // What replaced what cannot be told where one number stands for two batches.
            return;
        }
        for node in zone.snapshot().iter() {
            let owner = node.name();
            for set in node.rrsets().filter(|set| set.rtype != RecordType::SOA) {
                if !self.ledger.may_have_ttl(incarnation, &owner, set.rtype, set.ttl, version) {
                    let (rtype, ttl) = (set.rtype, set.ttl);
                    self.violations.push(format!("node {machine}: {owner} {rtype} has a TTL of {ttl}, long replaced"));
                }
            }
        }
        let refresh = state.soa().refresh;
        if !self.ledger.may_have_refresh(incarnation, refresh, version) {
            self.violations.push(format!("node {machine}: {origin} has a refresh of {refresh}, long replaced"));
        }
    }

    /// Whether serials are at least what clients were told.
    pub(crate) fn check_told(&mut self, replica: &Replica) {
        for (incarnation, told) in &self.told {
            let Some(zone) = replica.get(*incarnation) else { continue };
            let (origin, serial) = (zone.state().zone(), zone.state().serial());
            // What a client was told is the serial of the life that was served; a name with more than one tells nothing.
            let only = replica.catalog().of(origin).count() == 1 && replica.catalog().stub(origin).is_none();
            if serial < *told && only && !self.is_disputed(Some(*incarnation)) {
                self.violations.push(format!("{origin} is at serial {serial}; a client was told {told}"));
            }
        }
    }

    /// Whether all serials were told of that the secondary saw with two contents. Of two lives of a name it is told by
    /// both being listed, as a conflict. What a deleted life was nobody compares, nor what went with the only disk, nor what
    /// a machine served whose disk was put back and which then used the same numbers again.
    pub(crate) fn check_untold(&mut self, replica: &Replica) {
        for seen in self.secondary.untold() {
            let [(first, _), (second, _)] = &seen.contents;
            let is_conflict = first != second && replica.catalog().of(&seen.origin).count() > 1;
            let is_gone = |(life, version): &(IncarnationId, VersionVector)| {
                let held = replica.get(*life).map(|zone| zone.state().version());
                self.ledger.has_ended(*life)
                    || self.ledger.is_disputed(*life)
                    || held.is_none_or(|held| !held.includes(version))
            };
            if !is_conflict && !seen.contents.iter().any(is_gone) {
                let (origin, serial) = (&seen.origin, seen.serial);
                self.violations
                    .push(format!("the secondary saw serial {serial} of {origin} with two contents, and nobody told"));
            }
        }
    }

    /// The secondary transfers a zone from a machine.
    pub(crate) fn transfer(&mut self, machine: usize, replica: &Replica, zone: &Arc<Zone>) {
        let held = life_of(replica, zone).filter(|held| !self.is_disputed(Some(held.state().incarnation())));
        if let Some(held) = held {
            let version: &VersionVector = held.state().version();
            let wrong = self.secondary.transfer(machine, held.state().incarnation(), version, zone);
            self.violations.extend(wrong);
        }
    }
}

/// The life of a zone that a snapshot shows, if the replica is still at that version.
fn life_of<'a>(replica: &'a Replica, zone: &Zone) -> Option<&'a ZoneReplica> {
    let catalog = replica.get(replica.catalog_id()).filter(|catalog| catalog.state().zone() == zone.origin());
    catalog.or_else(|| replica.serving(zone.origin())).filter(|held| held.state().version().hash() == zone.version())
}

fn illegal(zone: &Zone) -> Option<String> {
    let apex = zone.apex();
    if apex.get(RecordType::SOA).map(|soa| soa.count()) != Some(1) || apex.get(RecordType::NS).is_none() {
        return Some("not one SOA, or no NS".to_owned());
    }
    for node in zone.iter() {
        let Some(cname) = node.get(RecordType::CNAME) else { continue };
        if cname.count() != 1
            || node.rrsets().any(|rrset| rrset.rtype != RecordType::CNAME && !rrset.rtype.may_accompany_cname())
        {
            return Some(format!("{} has a CNAME and other data", node.name()));
        }
    }
    None
}

/// The name of a zone of the run.
pub(crate) fn origin(text: &str) -> Name {
    text.parse().expect("a name")
}
