//! The end of a run: faults cease, and all nodes must come to hold, serve, store and answer the same.

use std::sync::Arc;
use std::time::Duration;

use grapevine::answer::{Context, Outcome, Server, Transport, answer};
use grapevine::node::{MemberState, MemberView};
use grapevine::replica::{Replica, Summary, ZoneState, catalog_name};
use grapevine::zone::{Name, RecordType, Zone, ZoneSet};

use crate::machine::Machine;
use crate::report::Report;
use crate::script::Run;

/// How old a suspicion of a member that is well may be.
const SUSPICION: Duration = Duration::from_secs(15);

impl Run {
    /// Ends all faults and waits until every node holds and serves the same.
    pub(crate) fn recover(mut self, patience: Duration) -> Result<Report, String> {
        self.world.network.heal();
        self.world.poison = 0.0;
        self.end_absence();
        for machine in &mut self.world.machines {
            machine.mend();
        }
        while !self.down.is_empty() {
            self.restart();
        }
        let calm = self.world.now;
        let mut wait = Duration::from_millis(500);
        while let Some(difference) = {
            self.pass(wait);
            self.difference()
        } {
            let mut wrong = std::mem::take(&mut self.world.oracle.violations);
            if self.world.now > calm + patience || !wrong.is_empty() {
                wrong.push(format!("not agreed {:?} after the last fault: {difference}", self.world.now - calm));
                return Err(wrong.join("\n  "));
            }
            wait = (wait * 5 / 4).min(Duration::from_secs(5));
        }
        self.world.report.converged_after_ms = (self.world.now - calm).as_millis() as u64;
        self.judge();
        let wrong = std::mem::take(&mut self.world.oracle.violations);
        if wrong.is_empty() { Ok(self.sum_up()) } else { Err(wrong.join("\n  ")) }
    }

    fn sum_up(self) -> Report {
        let (oracle, mut report) = (self.world.oracle, self.world.report);
        report.count_many("edits acknowledged", oracle.acknowledged);
        report.count_many("edits refused", oracle.refused);
        report.count_many("acknowledged edits gone with their only disks", oracle.gone_with_disks);
        report.count_many("transfers by the secondary", oracle.secondary.taken);
        report.count_many("serials that the secondary saw with two contents", oracle.secondary.ambiguous.len() as u64);
        for (what, times) in oracle.alarms {
            report.count_many(what, times);
        }
        report
    }

    /// Everything that must be so at rest.
    fn judge(&mut self) {
        let members: Vec<usize> = self.world.members();
        let oracle = &mut self.world.oracle;
        for &index in &members {
            let machine = &self.world.machines[index];
            let Some(node) = &machine.node else { continue };
            let replica = node.replica();
            oracle.violations.extend(recomputed_differs(index, replica));
            oracle.violations.extend(restarted_differs(index, machine, replica));
            let difference = unlike(&self.world.machines[members[0]].served, &machine.served, has_another_content);
            let differs = |what| format!("node {index} serves another content of the same version: {what}");
            oracle.violations.extend(difference.map(differs));
        }
        // The rest is the same on all, as was seen, so one of them stands for all.
        let Some(first) = members.first().map(|index| &self.world.machines[*index]) else { return };
        let Some(node) = &first.node else { return };
        let replica = node.replica();
        for summary in replica.summaries() {
            if let Some(zone) = replica.get(summary.incarnation) {
                oracle.check_against_book(members[0], zone);
            }
        }
        for member in replica.catalog().members() {
            if replica.get(member.incarnation).is_none() && !oracle.may_be_held_by_nobody(member.incarnation) {
                oracle.violations.push(format!("zone {} is listed and nobody holds it", member.origin));
            }
        }
        oracle.check_told(replica);
        oracle.check_untold(replica);
        let machines: Vec<&Machine> = members.iter().map(|index| &self.world.machines[*index]).collect();
        oracle.violations.extend(different_answers(&machines));
        let deployed: Vec<Name> = replica.catalog().origins().map(|(origin, _)| origin.clone()).collect();
        for origin in deployed.iter().filter(|origin| origin.to_string().starts_with("deployed")) {
            if replica.catalog().of(origin).count() > 1 {
                oracle.violations.push(format!("the same new file on all nodes made several lives of {origin}"));
            }
        }
    }

    /// The first thing in which nodes still differ, or that is still to be done.
    fn difference(&self) -> Option<String> {
        let members: Vec<usize> = self.world.members();
        let mut first: Option<(&Machine, &Replica)> = None;
        for &index in &members {
            let machine = &self.world.machines[index];
            let Some(node) = &machine.node else { return Some(format!("node {index} is not up")) };
            if machine.disk.has_unsynced() {
                return Some(format!("node {index} is still writing"));
            }
            // With a disk that failed a moment ago answers wait until it is tried again.
            if let Some(ticket) = machine.unanswered.first() {
                return Some(format!("node {index} has not answered {ticket:?}"));
            }
            let replica = node.replica();
            let Some((reference, expected)) = first else {
                first = Some((machine, replica));
                continue;
            };
            if replica.root() != expected.root() {
                let difference = differing(&replica.summaries(), &expected.summaries());
                return Some(format!("node {index} holds other versions: {}", difference.unwrap_or_default()));
            }
            if let Some(difference) = unlike(&reference.served, &machine.served, is_newer_or_older) {
                return Some(format!("node {index} serves something else: {difference}"));
            }
        }
        // What nodes know of each other costs more to look at, so it comes last.
        members.iter().find_map(|index| self.ignorance(*index, members.len()))
    }

    /// What a node does not know yet of the others.
    fn ignorance(&self, index: usize, count: usize) -> Option<String> {
        let machine = &self.world.machines[index];
        let now = machine.clock(self.world.now);
        let view = machine.node.as_ref()?.view(now);
        // Under loss probes fail now and then, so some suspicion may be young at any time. None may stay.
        let refuted_by = |member: &MemberView| member.since_ms + SUSPICION.as_millis() as u64;
        let active = |member: &&MemberView| match member.state {
            MemberState::Alive => true,
            MemberState::Suspect => now.wall_ms < refuted_by(member),
            MemberState::Down | MemberState::Left => false,
        };
        let alive = view.members.iter().filter(active).count();
        if alive != count {
            let others: Vec<_> = view.members.iter().map(|member| (&member.name, member.state)).collect();
            return Some(format!("node {index} sees {alive} of {count} members alive: {others:?}"));
        }
        if !view.initialised || !view.synced {
            return Some(format!("node {index} has not synced"));
        }
        let zone = view.zones.iter().find(|zone| zone.same_on != zone.live)?;
        let (same, live) = (zone.same_on, zone.live);
        Some(format!("node {index} knows of {same} of {live} only that they hold the same of {}", zone.origin))
    }
}

/// A zone that one set has and the other has not, or not like this.
fn unlike(a: &ZoneSet, b: &ZoneSet, differ: impl Fn(&Zone, &Zone) -> bool) -> Option<String> {
    let differs = |zone: &&Arc<Zone>| b.get(zone.origin()).is_none_or(|other| differ(zone, other));
    if let Some(zone) = a.iter().find(differs) {
        let serial = b.get(zone.origin()).map(|other| other.serial());
        return Some(format!("{} at {} against {serial:?}", zone.origin(), zone.serial()));
    }
    let more = b.iter().find(|zone| a.get(zone.origin()).is_none())?;
    Some(format!("{} at {} against nothing", more.origin(), more.serial()))
}

/// What is quick to see, so that it can be asked often.
fn is_newer_or_older(a: &Zone, b: &Zone) -> bool {
    (a.serial(), a.version()) != (b.serial(), b.version())
}

/// Every record and TTL.
fn has_another_content(a: &Zone, b: &Zone) -> bool {
    a != b
}

/// In which zones two nodes differ.
fn differing(a: &[Summary], b: &[Summary]) -> Option<String> {
    let (mine, theirs): (Vec<_>, Vec<_>) =
        (a.iter().filter(|one| !b.contains(one)).collect(), b.iter().filter(|one| !a.contains(one)).collect());
    (!mine.is_empty() || !theirs.is_empty()).then(|| format!("{mine:?} against {theirs:?}"))
}

/// Encodes and decodes every zone, which makes digests and counts from nothing.
fn recomputed_differs(index: usize, replica: &Replica) -> Option<String> {
    for summary in replica.summaries() {
        let state = replica.get(summary.incarnation)?.state();
        let encoded = state.encode();
        match ZoneState::decode(encoded.iter().map(|chunk| &**chunk)) {
            Err(error) => return Some(format!("node {index}: {error}")),
            Ok(again) if again != *state => {
                return Some(format!("node {index}: {} does not survive encoding", state.zone()));
            }
            Ok(again) if again.digest() != state.digest() || again.record_count() != state.record_count() => {
                return Some(format!("node {index}: the digest of {} is not that of its content", state.zone()));
            }
            Ok(_) => {}
        }
    }
    None
}

/// Starts a replica from what is on disk: it must be the one that runs.
fn restarted_differs(index: usize, machine: &Machine, running: &Replica) -> Option<String> {
    let (restarted, alarms) = Replica::load(machine.disk.read());
    if !alarms.is_empty() {
        return Some(format!("node {index} would say when restarted: {}", alarms.join("; ")));
    }
    // A refused edit that reached the failing disk all the same shows after a restart, as one that a crash cut off.
    if machine.disk.keeps_more {
        return None;
    }
    if let Some(difference) = differing(&restarted.summaries(), &running.summaries()) {
        return Some(format!("node {index} would hold other versions when restarted: {difference}"));
    }
    let difference = unlike(restarted.served(), running.served(), has_another_content)?;
    Some(format!("node {index} would serve something else when restarted: {difference}"))
}

/// Asks every node for every name and type that the first one serves: the responses must be the same bytes.
fn different_answers(machines: &[&Machine]) -> Vec<String> {
    let mut wrong = Vec::new();
    // More zones would only cost time: that all nodes serve equal zones is known.
    for zone in machines[0].served.iter().filter(|zone| *zone.origin() != catalog_name()).take(10) {
        for node in zone.sorted() {
            let owner = &node.name();
            let types = node.rrsets().map(|rrset| rrset.rtype).chain([RecordType::AAAA, RecordType::ANY]);
            for rtype in types {
                let mut answers = machines.iter().map(|machine| response(machine, owner, rtype));
                let first = answers.next();
                if answers.any(|other| Some(other) != first) {
                    wrong.push(format!("{owner} {rtype}: answers differ"));
                }
            }
        }
    }
    wrong
}

/// What a machine answers, byte for byte.
fn response(machine: &Machine, owner: &Name, rtype: RecordType) -> Vec<u8> {
    let mut query = vec![0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    query.extend_from_slice(owner.as_wire());
    query.extend_from_slice(&rtype.0.to_be_bytes());
    query.extend_from_slice(&[0, 1]);
    let server = Server::default();
    let context = Context::new(&server, Transport::Tcp, std::net::Ipv4Addr::LOCALHOST.into());
    let mut response = Vec::new();
    assert!(matches!(answer(&machine.served, &query, &context, &mut response), Outcome::Respond));
    response
}
