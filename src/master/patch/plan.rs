//! What becomes of each entry of a file so that it says another content.

use std::collections::{BTreeSet, HashMap};

use crate::master::ZoneFile;
use crate::master::entry::{EntryKind, RecordEntry};
use crate::master::ttl::MAX_TTL;
use crate::zone::{Change, Name, Rdata, RecordType, Soa, Zone};

/// What becomes of one record's entry.
#[derive(Clone)]
pub(super) enum Action {
    Keep,
    Remove,
    /// Other rdata takes the place of its own.
    Replace(Rdata),
}

/// A record that the file does not have yet.
pub(super) struct NewRecord {
    pub(super) owner: Name,
    pub(super) rtype: RecordType,
    pub(super) ttl: u32,
    pub(super) rdata: Rdata,
}

/// How an RRset differs.
#[derive(Default)]
pub(super) struct RrsetChange {
    /// The TTL that it shall have.
    pub(super) ttl: u32,
    /// Whether it had another.
    pub(super) ttl_differs: bool,
    removed: BTreeSet<Rdata>,
    added: BTreeSet<Rdata>,
}

/// The whole plan; entries are meant by their index.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) changes: HashMap<(Name, RecordType), RrsetChange>,
    pub(super) actions: HashMap<usize, Action>,
    pub(super) after: HashMap<usize, Vec<NewRecord>>,
    pub(super) at_end: Vec<NewRecord>,
}

impl Plan {
    pub(super) fn new(file: &ZoneFile, target: &Zone) -> Plan {
        let mut plan = Plan::default();
        plan.collect_changes(file.zone(), target);
        if !plan.changes.is_empty() {
            plan.place(file);
        }
        plan
    }

    fn collect_changes(&mut self, content: &Zone, target: &Zone) {
        for change in content.diff(target) {
            let (owner, rtype, added, removed) = match change {
                Change::Add(record) => (record.owner, record.rtype, Some(record.rdata), None),
                Change::Remove(key) => (key.owner, key.rtype, None, Some(key.rdata)),
                Change::Ttl { owner, rtype, .. } => (owner, rtype, None, None),
                // A difference of two contents names records.
                Change::Soa(_) | Change::AddDefault(_) | Change::RemoveRrset { .. } | Change::RemoveOwner { .. } => {
                    continue;
                }
            };
            let key = (owner, rtype);
            let ttl_in = |zone: &Zone| Some(zone.get(key.0.as_wire())?.get(key.1)?.ttl);
            let (old, new) = (ttl_in(content), ttl_in(target));
            let ttl = new.unwrap_or(0).min(MAX_TTL);
            let ttl_differs = new.and(old).is_some_and(|old| old != ttl);
            let change = self.changes.entry(key).or_default();
            (change.ttl, change.ttl_differs) = (ttl, ttl_differs);
            change.added.extend(added);
            change.removed.extend(removed);
        }
    }

    /// Decides about every entry of an RRset that differs, and where new records go: in the place of a removed one of
    /// their RRset, else after the last entry of their RRset, of their owner, or at the end.
    fn place(&mut self, file: &ZoneFile) {
        let mut last_of_rrset: HashMap<(Name, RecordType), usize> = HashMap::new();
        let mut last_of_owner: HashMap<Name, Option<usize>> =
            self.changes.keys().map(|key| (key.0.clone(), None)).collect();
        let mut shared_until = 0;
        for (index, entry) in file.entries().iter().enumerate() {
            let shared = index < shared_until;
            match &entry.kind {
                EntryKind::Include { included, end, .. } if file.sources[*included as usize].uses > 1 => {
                    shared_until = shared_until.max(*end as usize);
                }
                EntryKind::Record(record) => {
                    let Some(last) = last_of_owner.get_mut(&record.owner) else { continue };
                    if !shared {
                        *last = Some(index);
                    }
                    let key = (record.owner.clone(), record.rtype);
                    let Some(change) = self.changes.get_mut(&key) else { continue };
                    let action = change.decide(record, shared);
                    if !shared {
                        last_of_rrset.insert(key, index);
                    }
                    self.actions.insert(index, action);
                }
                _ => {}
            }
        }
        let mut keys: Vec<&(Name, RecordType)> = self.changes.keys().collect();
        keys.sort();
        for key in keys {
            let change = &self.changes[key];
            let anchor = last_of_rrset.get(key).copied().or(last_of_owner.get(&key.0).copied().flatten());
            let list = match anchor {
                Some(index) if !change.added.is_empty() => self.after.entry(index).or_default(),
                _ => &mut self.at_end,
            };
            list.extend(change.added.iter().map(|rdata| NewRecord {
                owner: key.0.clone(),
                rtype: key.1,
                ttl: change.ttl,
                rdata: rdata.clone(),
            }));
        }
    }

    /// Whether a record of the file is in the target too.
    pub(super) fn keeps(&self, owner: &Name, rtype: RecordType, rdata: &Rdata) -> bool {
        // An empty plan is the rule when only a serial rises.
        self.changes.is_empty()
            || self.changes.get(&(owner.clone(), rtype)).is_none_or(|change| !change.removed.contains(rdata))
    }

    pub(super) fn soa_action(&self, target: &Zone, record: &RecordEntry) -> Action {
        let wanted = target.soa().to_rdata();
        match Soa::from_rdata(0, record.rdata.as_wire()) {
            Some(_) if record.rdata == wanted => Action::Keep,
            _ if record.repeats.is_some() => Action::Remove,
            _ => Action::Replace(wanted),
        }
    }
}

impl RrsetChange {
    fn decide(&mut self, record: &RecordEntry, shared: bool) -> Action {
        if let Some(known) = &record.repeats {
            // It goes with the record that it repeats, unless its own spelling is what is wanted now.
            let stays = !self.removed.contains(known) || self.added.remove(&record.rdata);
            return if stays { Action::Keep } else { Action::Remove };
        }
        if !self.removed.contains(&record.rdata) {
            return Action::Keep;
        }
        match if shared { None } else { self.added.pop_first() } {
            Some(rdata) => Action::Replace(rdata),
            None => Action::Remove,
        }
    }
}
