//! What people ask of a zone's state beyond what is served: which edit a live record comes from, which live records are
//! not served and what is served instead.

use super::history::Made;
use super::owner_state::LiveRecord;
use super::{Stamp, ZoneReplica};
use crate::zone::{Name, Record, RecordType};

/// A live record and the writes under which it is live.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Standing {
    /// The record, under the TTL of its RRset.
    pub record: Record,
    /// Whether it is served.
    pub served: bool,
    /// The writes that put it there, oldest first; several if it was added on several nodes at once.
    pub stamps: Vec<Stamp>,
    /// The newest of them in full, if it is recent enough to be known.
    pub made: Option<Made>,
}

/// A live record that others rule out of being served.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shadowed {
    /// The record.
    pub standing: Standing,
    /// The rule.
    pub rule: ShadowRule,
    /// What is served instead.
    pub instead: Vec<Standing>,
}

/// Why a live record is not served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ShadowRule {
    /// A CNAME stands beside no other data (RFC 1034 §3.6.2).
    CnameAlone,
    /// There is only one CNAME or DNAME at a name (RFC 2181 §10.1, RFC 6672 §2.4).
    OnlyOne,
    /// It differs from another in letter case alone (RFC 4343).
    SameButForCase,
}

impl ZoneReplica {
    /// The live records of one owner, or of all, in order; `None` if there are more than `limit`.
    pub fn standings(&self, owner: Option<&Name>, limit: usize) -> Option<Vec<Standing>> {
        let state = self.state();
        let mut owners: Vec<Name> = match owner {
            Some(owner) => vec![owner.clone()],
            None if state.record_count() > limit => return None,
            None => state.owners().collect(),
        };
        owners.sort_unstable();
        let found: Vec<Standing> = owners.iter().flat_map(|owner| self.standings_at(owner)).collect();
        (found.len() <= limit).then_some(found)
    }

    /// Live records that are not served, at most so many, with what is served instead.
    pub fn shadowed_records(&self, limit: usize) -> Vec<Shadowed> {
        let mut found = Vec::new();
        for owner in self.state().shadowed_owners() {
            let all = self.standings_at(&owner);
            for standing in all.iter().filter(|standing| !standing.served) {
                if found.len() == limit {
                    return found;
                }
                let (rule, instead) = ruled_out_by(standing, &all);
                found.push(Shadowed { standing: standing.clone(), rule, instead });
            }
        }
        found
    }

    fn standings_at(&self, owner: &Name) -> Vec<Standing> {
        let state = self.state();
        let served = state.served().get(owner.as_wire());
        let mut found = Vec::new();
        for (rtype, rrset) in state.live(owner).iter() {
            let ttl = rrset.ttl().unwrap_or_else(|| state.soa().minimum);
            found.extend(rrset.records.iter().map(|live| Standing {
                record: Record { owner: owner.clone(), rtype, ttl, rdata: live.rdata.clone() },
                served: served.is_some_and(|node| node.holds(rtype, live.rdata.as_wire())),
                stamps: live.stamps.to_vec(),
                made: self.maker(live),
            }));
        }
        found
    }

    fn maker(&self, live: &LiveRecord) -> Option<Made> {
        let newest = live.stamps.last()?;
        self.batch(newest.dot).map(|batch| Made::by(batch))
    }
}

fn ruled_out_by(standing: &Standing, all: &[Standing]) -> (ShadowRule, Vec<Standing>) {
    let served = |wanted: &dyn Fn(RecordType) -> bool| -> Vec<Standing> {
        all.iter().filter(|other| other.served && wanted(other.record.rtype)).cloned().collect()
    };
    let rtype = standing.record.rtype;
    let same = served(&|other| other == rtype);
    if matches!(rtype, RecordType::CNAME | RecordType::DNAME) && !same.is_empty() {
        return (ShadowRule::OnlyOne, same);
    }
    if rtype == RecordType::CNAME {
        return (ShadowRule::CnameAlone, served(&|other| !other.may_accompany_cname()));
    }
    let cname = served(&|other| other == RecordType::CNAME);
    if cname.is_empty() { (ShadowRule::SameButForCase, same) } else { (ShadowRule::CnameAlone, cname) }
}
