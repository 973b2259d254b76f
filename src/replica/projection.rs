//! From what is live to what is legal to serve: a total, deterministic function of the state.
//!
//! Concurrent edits can leave a CNAME beside other data, two CNAMEs, or an apex without NS. The newest write decides
//! what is served; the rest is *shadowed*: kept, counted, and back as soon as an edit removes what rules it out.

use std::collections::BTreeMap;

use super::Stamp;
use super::owner_state::{LiveRecord, OwnerState, RrsetState};
use super::state::ZoneState;
use crate::zone::{Name, Rdata, RecordType, RrsetBuf, Soa, rdata};

/// The TTL of an RRset of which no write of a TTL is known. There is none, unless a peer made it up.
const NO_TTL: u32 = 0;

/// What one owner serves.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Projected {
    pub(super) rrsets: Vec<RrsetBuf>,
    /// Live records that are not served.
    pub(super) shadowed: usize,
}

/// What is served of what is live at an owner, the SOA apart; `apex` is the zone's SOA if the owner is its apex.
pub(super) fn project(live: &OwnerState, apex: Option<&Soa>) -> Projected {
    let cname_rules = apex.is_none() && cname_is_newest(live);
    let (mut projected, mut has_ns) = (Projected::default(), false);
    for (rtype, rrset) in live.iter() {
        let ruled_out = match rtype {
            RecordType::CNAME => !cname_rules,
            _ => cname_rules && !rtype.may_accompany_cname(),
        };
        let served = if ruled_out { Vec::new() } else { served_records(rtype, rrset) };
        projected.shadowed += rrset.records.len() - served.len();
        if !served.is_empty() {
            has_ns |= rtype == RecordType::NS;
            projected.rrsets.push(RrsetBuf::new(rtype, rrset.ttl().unwrap_or(NO_TTL), served));
        }
    }
    if let Some(soa) = apex.filter(|_| !has_ns) {
        // A zone without NS is no zone (RFC 1035 §5.2); the primary's name is the one server that it always states.
        projected.rrsets.push(RrsetBuf::new(RecordType::NS, soa.ttl, [&soa.mname]));
    }
    projected
}

impl ZoneState {
    /// Live records that are not served, by owner and type.
    pub fn shadowed(&self) -> Vec<(Name, RecordType, Rdata)> {
        let mut found = Vec::new();
        for owner in self.shadowed_owners() {
            let served = self.served().get(owner.as_wire());
            let is_served = |rtype, wire: &[u8]| served.is_some_and(|node| node.holds(rtype, wire));
            for (rtype, rrset) in self.live(&owner).iter() {
                let hidden = rrset.records.iter().filter(|record| !is_served(rtype, record.rdata.as_wire()));
                found.extend(hidden.map(|record| (owner.clone(), rtype, record.rdata.clone())));
            }
        }
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

/// The records of an RRset that are served, in order of rdata: one for a singleton type, and one of each group that
/// differs in case alone.
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
    let mut served: Vec<&Rdata> = groups.into_values().map(|record| &record.rdata).collect();
    served.sort_unstable();
    served
}
