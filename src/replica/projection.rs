//! From what is live to what is legal to serve: a total, deterministic function of the state.
//!
//! Concurrent edits can leave a CNAME beside other data, two CNAMEs, or an apex without NS. The newest write decides
//! what is served; the rest is *shadowed*: kept, counted, and back as soon as an edit removes what rules it out.

use std::collections::BTreeMap;

use super::Stamp;
use super::owner_state::OwnerState;
use super::state::{LiveRecord, RrsetState, ZoneState};
use crate::zone::{Name, Rdata, RecordType, Rrset, rdata};

/// What one owner serves.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Projected {
    pub(super) rrsets: Vec<Rrset>,
    /// Live records that are not served.
    pub(super) shadowed: usize,
}

impl ZoneState {
    /// What `owner` serves, the SOA apart.
    pub(super) fn project(&self, owner: &Name) -> Projected {
        let none = OwnerState::default();
        let live = self.owners.get(owner).unwrap_or(&none);
        let apex = *owner == self.zone;
        let cname_rules = !apex && cname_is_newest(live);
        let mut projected = Projected::default();
        for (rtype, rrset) in live.iter() {
            let ruled_out = match rtype {
                RecordType::CNAME => !cname_rules,
                _ => cname_rules && !rtype.may_accompany_cname(),
            };
            let served = if ruled_out { Vec::new() } else { served_records(rtype, rrset) };
            projected.shadowed += rrset.records.len() - served.len();
            if !served.is_empty() {
                let ttl = rrset.ttl().unwrap_or_else(|| self.soa().minimum);
                projected.rrsets.push(Rrset::new(rtype, ttl, served));
            }
        }
        if apex && projected.rrsets.iter().all(|rrset| rrset.rtype != RecordType::NS) {
            // A zone without NS is no zone (RFC 1035 §5.2); the primary's name is the one server that it always states.
            let soa = self.soa();
            projected.rrsets.push(Rrset::new(RecordType::NS, soa.ttl, [&soa.mname]));
        }
        projected
    }

    /// Live records that are not served, by owner and type.
    pub fn shadowed(&self) -> Vec<(Name, RecordType, Rdata)> {
        let mut found = Vec::new();
        for (owner, live) in &self.owners {
            let served = self.project(owner).rrsets;
            for (rtype, rrset) in live.iter() {
                let set = served.iter().find(|set| set.rtype == rtype);
                let hidden = rrset
                    .records
                    .iter()
                    .filter(|record| !set.is_some_and(|set| set.rdatas().any(|rdata| rdata == record.rdata.as_wire())));
                found.extend(hidden.map(|record| (owner.clone(), rtype, record.rdata.clone())));
            }
        }
        found.sort_unstable();
        found
    }
}

/// Whether a live CNAME is newer than all that may not stand beside it (RFC 1034 §3.6.2).
fn cname_is_newest(live: &OwnerState) -> bool {
    let Some(cname) = live.get(RecordType::CNAME).and_then(newest_stamp) else { return false };
    live.iter()
        .filter(|(rtype, _)| *rtype != RecordType::CNAME && !rtype.may_accompany_cname())
        .filter_map(|(_, rrset)| newest_stamp(rrset))
        .all(|other| cname > other)
}

fn newest_stamp(rrset: &RrsetState) -> Option<Stamp> {
    rrset.records.iter().flat_map(|record| record.stamps.iter()).max().copied()
}

/// The records of an RRset that are served: one for a singleton type, and one of each group that differs in case alone.
fn served_records(rtype: RecordType, rrset: &RrsetState) -> Vec<&Rdata> {
    let newest = |a: &&LiveRecord, b: &&LiveRecord| a.stamps.last().cmp(&b.stamps.last());
    if matches!(rtype, RecordType::CNAME | RecordType::DNAME) {
        return rrset.records.iter().max_by(newest).map(|record| &record.rdata).into_iter().collect();
    }
    if rrset.records.len() == 1 {
        return vec![&rrset.records[0].rdata];
    }
    let mut groups: BTreeMap<Vec<u8>, &LiveRecord> = BTreeMap::new();
    for record in &rrset.records {
        let group = groups.entry(rdata::canonical(rtype, record.rdata.as_wire())).or_insert(record);
        if newest(group, &record).is_lt() {
            *group = record;
        }
    }
    groups.into_values().map(|record| &record.rdata).collect()
}
