//! Which life of a zone is served, and that its serial never goes back when another one takes over.
//!
//! A name can have several lives: two sides of a partition made it with different contents, or one side deleted it and
//! made it anew while the other went on editing. All nodes come to serve the same one, but those that served another
//! may have served it under a higher serial. Such a node goes on with what it serves until it has raised the serial of
//! the new life above it, by an edit like any other. In the same way it notes the serial of a life that was deleted
//! elsewhere, if it had come further here.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{IncarnationId, Replica, Stub, Write, ZoneReplica};
use crate::zone::{Name, Zone, ZoneSet, serial_gt, served_serial};

/// An edit that the replica needs this node to make.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Wanted {
    /// The serial of the zone's new life must rise to this, before it can be served here.
    Raise {
        /// The zone.
        zone: Name,
        /// The serial that it needs at least.
        serial: u32,
    },
    /// A deleted zone had come further here than its stub says.
    Remember {
        /// The zone.
        zone: Name,
        /// The last serial here.
        serial: u64,
    },
}

impl Replica {
    /// Of several lives of a name the one that all nodes come to serve: the latest generation, of those the highest
    /// serial, of those the highest id.
    pub fn serving(&self, origin: &Name) -> Option<&ZoneReplica> {
        self.catalog()
            .of(origin)
            .filter_map(|member| Some((member.generation, self.zones.get(&member.incarnation)?)))
            .max_by_key(|(generation, zone)| (*generation, zone.state().serial(), zone.state().incarnation()))
            .map(|(_, zone)| zone)
    }

    /// The edits that are needed of this node, each once.
    pub fn take_wanted(&mut self) -> BTreeSet<Wanted> {
        std::mem::take(&mut self.wanted)
    }

    /// Whether some life waits for an edit that is needed of this node.
    pub fn is_unsettled(&self) -> bool {
        !self.retired.is_empty() || !self.waiting.is_empty()
    }

    /// Serves the right life of a name. Returns what is then to be forgotten.
    pub(super) fn serve(&mut self, origin: &Name) -> Vec<Write> {
        if let Some(zone) = self.choose(origin) {
            Arc::make_mut(&mut self.served).insert(zone);
        }
        self.settle()
    }

    /// Serves the right life of each name that the catalog lists. Returns what is then to be forgotten.
    pub(super) fn serve_all(&mut self) -> Vec<Write> {
        let origins: BTreeSet<Name> = self.catalog().members().map(|member| member.origin.clone()).collect();
        self.in_service.retain(|origin, _| origins.contains(origin));
        self.waiting.retain(|origin| origins.contains(origin));
        let mut zones: Vec<Arc<Zone>> = origins.iter().filter_map(|origin| self.choose(origin)).collect();
        zones.push(self.catalog_snapshot().clone());
        self.served = Arc::new(ZoneSet::new(zones));
        self.settle()
    }

    /// What to serve of a name: the life that all come to serve, or what is served until that one may take over.
    fn choose(&mut self, origin: &Name) -> Option<Arc<Zone>> {
        let Some(next) = self.serving(origin) else {
            // Listed, but not here yet: the old life is served, rather than nothing.
            let before = self.served.get(origin).cloned();
            let other = || self.highest_other(origin, None).filter(|zone| self.may_stand_in(origin, zone));
            return before.or_else(|| other().map(|zone| zone.snapshot().clone()));
        };
        let (id, snapshot) = (next.state().incarnation(), next.snapshot().clone());
        // This is the way of every edit: once a life is served, it has nothing to wait for.
        if self.in_service.get(origin) != Some(&id)
            && let Some(meanwhile) = self.hold_back(origin, id, snapshot.soa().serial)
        {
            return self.served.get(origin).cloned().or(meanwhile);
        }
        self.waiting.remove(origin);
        self.in_service.insert(origin.clone(), id);
        Some(snapshot)
    }

    /// Whether a life may not be served yet because another one, or the deletion of one, had come to a higher serial
    /// than its own, `now`. Asks for the edit that raises it, and returns what is served instead, if any life may be.
    fn hold_back(&mut self, origin: &Name, id: IncarnationId, now: u32) -> Option<Option<Arc<Zone>>> {
        let other = self.highest_other(origin, Some(id));
        let deleted = self.catalog().stub(origin).map(|stub| stub.serial);
        let last = served_serial(other.map(|zone| zone.state().serial()).max(deleted)?);
        let wanted = last.wrapping_add(1);
        // Half the number space apart there is no higher and lower (RFC 1982 §3.2).
        if serial_gt(now, last) || !serial_gt(wanted, now) {
            return None;
        }
        let meanwhile = other.filter(|zone| self.may_stand_in(origin, zone)).map(|zone| zone.snapshot().clone());
        self.wanted.insert(Wanted::Raise { zone: origin.clone(), serial: wanted });
        self.waiting.insert(origin.clone());
        Some(meanwhile)
    }

    /// Whether a life may be served in place of nothing, until another one may be: not if it is below a deleted one.
    fn may_stand_in(&self, origin: &Name, zone: &ZoneReplica) -> bool {
        let deleted = self.catalog().stub(origin).map(|stub| stub.serial);
        let in_service = self.in_service.get(origin) == Some(&zone.state().incarnation());
        in_service || deleted.is_none_or(|deleted| zone.state().serial() > deleted)
    }

    /// Of the lives of a name that are here, all but one, that with the highest serial.
    fn highest_other(&self, origin: &Name, but: Option<IncarnationId>) -> Option<&ZoneReplica> {
        let listed = self.catalog().of(origin).filter_map(|member| self.zones.get(&member.incarnation));
        let retired = self.retired.values().filter(|zone| zone.state().zone() == origin);
        let others = listed.chain(retired).filter(|zone| Some(zone.state().incarnation()) != but);
        others.max_by_key(|zone| zone.state().serial())
    }

    /// Drops the lives that are not listed any more and whose serial is safe: the next life is served above it, or the
    /// catalog remembers it.
    fn settle(&mut self) -> Vec<Write> {
        let mut gone = Vec::new();
        for (incarnation, zone) in &self.retired {
            let (origin, serial) = (zone.state().zone(), zone.state().serial());
            let listed = self.catalog().of(origin).next().is_some();
            let safe = match self.in_service.get(origin) {
                Some(id) => self.catalog().contains(*id),
                None => !listed && self.catalog().stub(origin).is_some_and(|stub| stub.serial >= serial),
            };
            if safe {
                gone.push(*incarnation);
            } else if !listed {
                self.wanted.insert(Wanted::Remember { zone: origin.clone(), serial });
            }
        }
        for incarnation in &gone {
            self.retired.remove(incarnation);
        }
        if self.is_catalog_staged() {
            self.forgotten.extend(&gone);
        }
        gone.into_iter().map(|incarnation| Write::Forget { incarnation }).collect()
    }

    /// What the catalog should remember of a deleted zone that had come to `serial` here.
    pub(super) fn stub_at(&self, origin: &Name, serial: u64) -> Stub {
        let known = self.catalog().stub(origin).unwrap_or(Stub { generation: 1, serial });
        Stub { serial: serial.max(known.serial), ..known }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ActorId, Batch, EditOrigin, IncarnationId, Saved, SavedZone, Source, Write};
    use super::*;
    use crate::zone::{Rdata, Record, RecordType, Soa, Zone, ZoneContent};

    fn zone() -> Name {
        "corp.example.".parse().expect("a name")
    }

    fn content() -> Zone {
        let primary = Rdata::new(zone().as_wire());
        let (mname, rname) = (primary.clone(), primary.clone());
        let soa = Soa { ttl: 60, mname, rname, serial: 7, refresh: 1, retry: 1, expire: 1, minimum: 1 };
        let mut content = ZoneContent::new(zone(), soa);
        content.add(Record { owner: zone(), rtype: RecordType::NS, ttl: 60, rdata: primary });
        content.into()
    }

    fn source() -> Source {
        Source::new(EditOrigin::File)
    }

    /// The batches by which another node, that knew of nobody else, made the same zone and deleted it.
    fn made_and_deleted_elsewhere() -> Vec<Arc<Batch>> {
        let (mut other, actor) = (Replica::load(Saved::default()).0, ActorId([2; 16]));
        let made = other.stage_create(&[content()], &source(), actor, 1).expect("it is new");
        let mut news = other.commit(made).news;
        let deleted = other.stage_delete(&zone(), &source(), actor, 2).expect("it is there");
        news.extend(other.commit(deleted).news);
        news
    }

    /// What a store would have kept of a replica at rest.
    fn saved(replica: &mut Replica) -> Saved {
        let ids: Vec<IncarnationId> = replica.summaries().iter().map(|summary| summary.incarnation).collect();
        let keep = |incarnation| match replica.get_mut(incarnation).expect("it is here").checkpoint(None) {
            Write::Checkpoint { incarnation, position, state, .. } => {
                let chunks = state.iter().map(Arc::from).collect();
                SavedZone { incarnation, checkpoint: Some((position, chunks)), journal: Vec::new() }
            }
            other => panic!("{other:?}"),
        };
        let zones = ids.into_iter().map(keep).collect();
        let histories = replica.heads.iter().map(|(name, head)| (name.clone(), head.clone())).collect();
        Saved { zones, histories, ..Saved::default() }
    }

    #[test]
    fn what_was_served_is_served_on_after_a_restart() {
        let mut replica = Replica::load(Saved::default()).0;
        let made = replica.stage_create(&[content()], &source(), ActorId([1; 16]), 1).expect("it is new");
        replica.commit(made);
        for batch in made_and_deleted_elsewhere() {
            replica.ingest(batch);
        }
        let stub = replica.catalog().stub(&zone()).expect("the other node left one");
        let served = replica.served().get(&zone()).cloned().expect("this node's listing was not seen by the deletion");
        assert!(stub.serial >= served.serial(), "so another life would have to rise above it first");
        let mut again = Replica::load(saved(&mut replica)).0;
        assert_eq!(again.served().get(&zone()), Some(&served));
        assert_eq!(again.take_wanted(), BTreeSet::new());
    }

    #[test]
    fn a_life_that_was_forgotten_while_its_listing_was_on_its_way_to_disk_is_stored_again() {
        let mut replica = Replica::load(Saved::default()).0;
        let made = replica.stage_create(&[content()], &source(), ActorId([1; 16]), 1).expect("it is new");
        let mut elsewhere = made_and_deleted_elsewhere().into_iter();
        replica.ingest(elsewhere.next().expect("the listing"));
        let state = super::super::state::ZoneState::genesis(&content(), 1, 7);
        let life = state.incarnation();
        replica.merge(state.chunks());
        let forgets = |write: &Write| matches!(write, Write::Forget { incarnation } if *incarnation == life);
        assert!(replica.ingest(elsewhere.next().expect("the deletion")).writes.iter().any(forgets));
        let stores = |write: &Write| matches!(write, Write::Checkpoint { incarnation, .. } if *incarnation == life);
        assert!(replica.commit(made).writes.iter().any(stores));
        assert!(replica.serving(&zone()).is_some(), "this node's listing was not seen by the deletion");
    }
}
