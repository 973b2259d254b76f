//! What an all-knowing observer expects: of every acknowledged edit, and of every snapshot that a node publishes.

use std::collections::{BTreeMap, BTreeSet};

use grapevine::node::Ticket;
use grapevine::zone::{Name, RecordKey, RecordType, Zone, ZoneSet};

/// One edit of one record that nothing else in the run touches after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expectation {
    pub(crate) zone: Name,
    pub(crate) record: RecordKey,
    pub(crate) present: bool,
}

#[derive(Default)]
pub(crate) struct Oracle {
    asked: BTreeMap<Ticket, Expectation>,
    expected: BTreeMap<RecordKey, Expectation>,
    /// Records whose last edit was refused or never answered: it may have happened or not.
    unsure: BTreeSet<RecordKey>,
    /// The highest serial that each machine served of each zone, in its present life and before.
    serials: BTreeMap<(usize, Name), u64>,
    pub(crate) acknowledged: u64,
    pub(crate) refused: u64,
    pub(crate) violations: Vec<String>,
}

impl Oracle {
    pub(crate) fn ask(&mut self, ticket: Ticket, expectation: Expectation) {
        self.unsure.insert(expectation.record.clone());
        self.asked.insert(ticket, expectation);
    }

    /// A zone was deleted: nothing is expected of its records.
    pub(crate) fn forget_zone(&mut self, zone: &Name) {
        self.expected.retain(|_, expectation| expectation.zone != *zone);
        self.asked.retain(|_, expectation| expectation.zone != *zone);
        self.serials.retain(|(_, name), _| name != zone);
    }

    pub(crate) fn done(&mut self, ticket: Ticket, stored: bool) {
        if stored {
            self.acknowledged += 1
        } else {
            self.refused += 1
        }
        let Some(expectation) = self.asked.remove(&ticket) else { return };
        // A refused edit may have reached a failing disk, and show after a crash.
        if stored {
            self.unsure.remove(&expectation.record);
            self.expected.insert(expectation.record.clone(), expectation);
        }
    }

    /// Whether a record may be edited next: its last edit is settled.
    pub(crate) fn is_settled(&self, record: &RecordKey) -> bool {
        !self.unsure.contains(record)
    }

    pub(crate) fn crashed(&mut self, _machine: usize) {}

    pub(crate) fn published(&mut self, machine: usize, _before: &ZoneSet, after: &ZoneSet) {
        for zone in after.iter() {
            self.check_serial(machine, zone);
            if let Some(reason) = illegal(zone) {
                self.violations.push(format!("node {machine} serves an illegal zone {}: {reason}", zone.origin()));
            }
        }
    }

    fn check_serial(&mut self, machine: usize, zone: &Zone) {
        let highest = self.serials.entry((machine, zone.origin().clone())).or_default();
        // A restart may forget edits of others that were not on disk; what the node itself acknowledged it may not.
        if zone.serial() < *highest {
            self.violations.push(format!(
                "node {machine} served {} at serial {} and then at {}",
                zone.origin(),
                highest,
                zone.serial()
            ));
        }
        *highest = zone.serial().max(*highest);
    }

    /// What of the acknowledged edits is not so on a node.
    pub(crate) fn missing(&self, served: &ZoneSet) -> Vec<String> {
        self.expected
            .values()
            .filter(|expected| !self.unsure.contains(&expected.record))
            .filter(|expected| is_served(served, expected) != expected.present)
            .map(|expected| format!("{expected:?} does not hold"))
            .collect()
    }
}

fn is_served(served: &ZoneSet, expected: &Expectation) -> bool {
    let key = &expected.record;
    served
        .get(&expected.zone)
        .and_then(|zone| zone.get(key.owner.as_wire())?.get(key.rtype).cloned())
        .is_some_and(|rrset| rrset.rdatas().any(|rdata| rdata == key.rdata.as_wire()))
}

fn illegal(zone: &Zone) -> Option<String> {
    let apex = zone.apex();
    if apex.get(RecordType::SOA).map(|soa| soa.count()) != Some(1) || apex.get(RecordType::NS).is_none() {
        return Some("not one SOA, or no NS".to_owned());
    }
    for (owner, node) in zone.iter() {
        let Some(cname) = node.get(RecordType::CNAME) else { continue };
        if cname.count() != 1
            || node.rrsets().iter().any(|rrset| rrset.rtype != RecordType::CNAME && !rrset.rtype.may_accompany_cname())
        {
            return Some(format!("{owner} has a CNAME and other data"));
        }
    }
    None
}
