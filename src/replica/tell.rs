//! What the replica tells the history: each change of what is served under a name, once, whatever brought it about.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Cause, HistoryEntry, HistoryHead, IncarnationId, Made, Replica, Write, ZoneReplica};
use crate::zone::{Name, RecordKey, Zone, ZoneSet};

impl Replica {
    /// Tells, at start, of what a crash kept from the history: edits that were stored before it, zones that came or
    /// went. Asked for once, after the clock is set.
    pub fn tell_of_start(&mut self) -> Vec<Write> {
        let known = !self.heads.is_empty();
        let listed = self.catalog().origins().map(|(origin, _)| origin);
        let origins: BTreeSet<Name> = listed.chain(self.heads.keys()).cloned().collect();
        let mut writes = Vec::new();
        for origin in origins {
            let told = self.heads.get(&origin).and_then(|head| head.incarnation);
            let served = self.served_life(&origin).map(|(id, zone)| (id, zone.state().version().total()));
            writes.extend(match served {
                Some((id, _)) if told == Some(id) => self.tell_of_edits(&origin, id, None),
                Some((_, 1)) if known => self.tell_of_transition(&origin, None),
                Some((id, _)) => self.begin(&origin, id).into_iter().collect(),
                None if told.is_some() && self.served.get(&origin).is_none() => self.tell_of_transition(&origin, None),
                None => Vec::new(),
            });
            self.forget_steps(&origin);
        }
        writes
    }

    /// Tells of all that differs from what was served before.
    pub(super) fn tell_of_all(&mut self, before: &ZoneSet) -> Vec<Write> {
        let now = self.served.clone();
        let zones = before.iter().chain(now.iter()).filter(|zone| !zone.is_hidden());
        let origins: BTreeSet<Name> = zones.map(|zone| zone.origin().clone()).collect();
        origins.iter().flat_map(|origin| self.tell_of(origin, before.get(origin))).collect()
    }

    /// Tells of what is served now of a name, if it is not what was served before.
    pub(super) fn tell_of(&mut self, origin: &Name, before: Option<&Arc<Zone>>) -> Vec<Write> {
        let now = self.served.get(origin);
        let same = match (before, now) {
            (Some(before), Some(now)) => Arc::ptr_eq(before, now),
            (before, now) => before.is_none() && now.is_none(),
        };
        let before = before.map(|zone| &**zone);
        let told = self.heads.get(origin).and_then(|head| head.incarnation);
        let served = self.served_life(origin).map(|(id, _)| id);
        let writes = match served {
            _ if same => Vec::new(),
            Some(id) if told == Some(id) => self.tell_of_edits(origin, id, before),
            _ => self.tell_of_transition(origin, before),
        };
        self.forget_steps(origin);
        writes
    }

    /// Tells of the edits of the life that is served, if they go on from where the history is.
    fn tell_of_edits(&mut self, origin: &Name, id: IncarnationId, before: Option<&Zone>) -> Vec<Write> {
        let (at_ms, told) = (self.now_ms, self.heads.get(origin).map(|head| head.version.hash()));
        let Some(zone) = self.life_mut(id) else { return Vec::new() };
        if !told.is_some_and(|told| zone.is_told_from(told)) {
            return match before {
                Some(_) => self.tell_of_transition(origin, before),
                None => self.begin(origin, id).into_iter().collect(),
            };
        }
        let steps = zone.take_steps();
        let entries = steps.into_iter().map(|step| step.entry(origin.clone(), id, at_ms));
        let told = entries.map(|entry| Some(Write::History { entry: Arc::new(entry), head: self.advance(origin)? }));
        told.collect::<Option<_>>().unwrap_or_default()
    }

    /// The entry with which the history of a zone begins that was there before it was kept.
    fn begin(&mut self, origin: &Name, id: IncarnationId) -> Option<Write> {
        let snapshot = self.served.get(origin)?.clone();
        let zones = (None, Some((&*snapshot, id)));
        let entry = HistoryEntry::transition(Cause::Begun, zones, origin, self.now_ms);
        let head = self.advance(origin)?;
        Some(Write::History { entry: Arc::new(HistoryEntry { added: 0, ..entry }), head })
    }

    /// Tells of a zone that came, went, or is another life's from here on.
    fn tell_of_transition(&mut self, origin: &Name, before: Option<&Zone>) -> Vec<Write> {
        let after = self.served_life(origin).map(|(id, zone)| (zone.snapshot().clone(), id));
        let made = match &after {
            Some((_, id)) => self.catalog().get(*id).map(|member| member.listing()),
            None => self.catalog().stub_key(origin),
        };
        let made = made.and_then(|key| self.who_listed(&key));
        let cause = match (before, &after) {
            (Some(_), Some(_)) => Cause::Switched(made),
            (None, Some(_)) => Cause::Created(made),
            (_, None) => Cause::Deleted(made),
        };
        let zones = (before, after.as_ref().map(|(zone, id)| (&**zone, *id)));
        let mut entry = HistoryEntry::transition(cause, zones, origin, self.now_ms);
        let head = self.advance(origin).unwrap_or_else(|| {
            let (last, count) = self.heads.get(origin).map_or((0, 0), |head| (head.serial, head.count));
            entry.before = entry.before.or(Some(last));
            let head = HistoryHead::none(last, count + 1);
            self.heads.insert(origin.clone(), head.clone());
            head
        });
        vec![Write::History { entry: Arc::new(entry), head }]
    }

    /// The edit of the catalog that made a record of it, if it is recent enough to be known.
    fn who_listed(&self, key: &RecordKey) -> Option<Made> {
        let catalog = self.get(self.catalog_id())?;
        let dot = catalog.state().stamps(key).last()?.dot;
        catalog.batch(dot).map(|batch| Made::by(batch))
    }

    /// Moves the head of a name to what is served; `None` if nothing is.
    fn advance(&mut self, origin: &Name) -> Option<HistoryHead> {
        let (id, zone) = self.served_life(origin)?;
        let (version, serial) = (zone.state().version().clone(), zone.state().serial());
        let count = 1 + self.heads.get(origin).map_or(0, |head| head.count);
        let head = HistoryHead { incarnation: Some(id), version, serial, count };
        self.heads.insert(origin.clone(), head.clone());
        Some(head)
    }

    /// The life whose latest version is served under a name.
    fn served_life(&self, origin: &Name) -> Option<(IncarnationId, &ZoneReplica)> {
        let served = self.served.get(origin)?;
        let lives = self.lives_of(origin).into_iter().filter_map(|id| Some((id, self.life(id)?)));
        lives.into_iter().find(|(_, zone)| Arc::ptr_eq(zone.snapshot(), served))
    }

    /// Steps of lives that are not served are of no interest, and those of the one that is are told.
    fn forget_steps(&mut self, origin: &Name) {
        for id in self.lives_of(origin) {
            self.life_mut(id).map(ZoneReplica::take_steps);
        }
    }

    /// Every life of a name that is here, listed or not.
    fn lives_of(&self, origin: &Name) -> Vec<IncarnationId> {
        let listed = self.catalog().of(origin).map(|member| member.incarnation);
        let retired = self.retired.iter().filter(|(_, zone)| zone.state().zone() == origin).map(|(id, _)| *id);
        listed.chain(retired).collect()
    }

    fn life(&self, id: IncarnationId) -> Option<&ZoneReplica> {
        self.zones.get(&id).or_else(|| self.retired.get(&id))
    }

    fn life_mut(&mut self, id: IncarnationId) -> Option<&mut ZoneReplica> {
        self.zones.get_mut(&id).or_else(|| self.retired.get_mut(&id))
    }
}
