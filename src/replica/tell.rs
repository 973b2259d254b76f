//! What the replica tells the history: each change of what is served under a name, once, whatever brought it about.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Cause, HistoryEntry, HistoryHead, IncarnationId, Made, Replica, Write};
use crate::zone::{Name, RecordKey, Zone, ZoneSet};

impl Replica {
    /// Tells of what a change to one incarnation did to the zone that is served, if it is that one.
    pub(super) fn tell_of(&mut self, incarnation: IncarnationId, before: Option<&Zone>) -> Vec<Write> {
        let at_ms = self.now_ms();
        let Some(zone) = self.get_mut(incarnation) else { return Vec::new() };
        let (origin, steps) = (zone.state().zone().clone(), zone.take_steps());
        if self.served_incarnation(&origin) != Some(incarnation) {
            return Vec::new();
        }
        if self.head(&origin).and_then(|head| head.incarnation) != Some(incarnation) {
            return self.transition(&origin, before);
        }
        let Some(head) = self.advance(&origin) else { return Vec::new() };
        let entries = steps.into_iter().map(|step| step.entry(origin.clone(), incarnation, at_ms));
        entries.map(|entry| Write::History { entry: Arc::new(entry), head: head.clone() }).collect()
    }

    /// Tells of the zones that came, went or were switched by a change of the catalog. `before` is what was served.
    pub(super) fn tell_of_catalog(&mut self, before: &ZoneSet) -> Vec<Write> {
        let now = self.served().clone();
        let zones = before.iter().chain(now.iter()).filter(|zone| !zone.is_hidden());
        let origins: BTreeSet<Name> = zones.map(|zone| zone.origin().clone()).collect();
        let mut writes = Vec::new();
        for origin in origins {
            let told = self.head(&origin).and_then(|head| head.incarnation);
            let served = self.served_incarnation(&origin);
            // A zone whose new life has not arrived is served as it was.
            let waits = served.is_none() && now.get(&origin).is_some();
            if told != served && !waits {
                writes.extend(self.transition(&origin, before.get(&origin).map(|zone| &**zone)));
            }
        }
        writes
    }

    /// Tells, at start, of what a crash kept from the history: edits that were stored before it, zones that came or
    /// went.
    pub(super) fn tell_of_start(&mut self) -> Vec<Write> {
        let known = self.heads_are_known();
        let mut writes = Vec::new();
        for origin in self.known_origins() {
            let head = self.head(&origin).cloned();
            let Some(incarnation) = self.served_incarnation(&origin) else {
                if head.is_some_and(|head| head.incarnation.is_some()) {
                    writes.extend(self.transition(&origin, None));
                }
                continue;
            };
            let told = head.as_ref().and_then(|head| head.incarnation) == Some(incarnation);
            let Some(zone) = self.get(incarnation) else { continue };
            let is_new = zone.state().version().total() == 1;
            if told && zone.is_told(&head.expect("it is told").version) {
                writes.extend(self.tell_of(incarnation, None));
            } else if known && !told && is_new {
                writes.extend(self.transition(&origin, None));
            } else {
                writes.extend(self.begin(&origin, incarnation));
            }
        }
        writes
    }

    /// The entry with which the history of a zone begins that was there before it was kept.
    fn begin(&mut self, origin: &Name, incarnation: IncarnationId) -> Option<Write> {
        let at_ms = self.now_ms();
        let zone = self.get_mut(incarnation)?;
        zone.take_steps();
        let snapshot = zone.snapshot().clone();
        let mut entry = HistoryEntry::transition(Cause::Begun, (None, Some((&snapshot, incarnation))), origin, at_ms);
        entry.added = 0;
        let head = self.advance(origin)?;
        Some(Write::History { entry: Arc::new(entry), head })
    }

    fn transition(&mut self, origin: &Name, before: Option<&Zone>) -> Vec<Write> {
        let at_ms = self.now_ms();
        let served = self.served_incarnation(origin);
        let after = served.and_then(|incarnation| Some((self.get(incarnation)?.snapshot().clone(), incarnation)));
        let made = match served {
            Some(incarnation) => self.catalog().get(incarnation).map(|member| member.listing()),
            None => self.catalog().stub_key(origin),
        };
        let made = made.and_then(|key| self.who_listed(&key));
        let cause = match (before, &after) {
            (Some(_), Some(_)) => Cause::Switched(made),
            (None, Some(_)) => Cause::Created(made),
            (_, None) => Cause::Deleted(made),
        };
        let zones = (before, after.as_ref().map(|(zone, incarnation)| (&**zone, *incarnation)));
        let mut entry = HistoryEntry::transition(cause, zones, origin, at_ms);
        let head = match self.advance(origin) {
            Some(head) => head,
            None => {
                let last = self.head(origin).map_or(0, |head| head.serial);
                entry.before = entry.before.or(Some(last));
                let head = HistoryHead::none(last);
                self.set_head(origin, head.clone());
                head
            }
        };
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
        let state = self.serving(origin)?.state();
        let (incarnation, version) = (Some(state.incarnation()), state.version().clone());
        let head = HistoryHead { incarnation, version, serial: state.serial() };
        self.set_head(origin, head.clone());
        Some(head)
    }

    fn served_incarnation(&self, origin: &Name) -> Option<IncarnationId> {
        self.serving(origin).map(|zone| zone.state().incarnation())
    }
}
