//! The oracle's book: every batch that any node ever made, what it had seen, and what follows from them all.
//!
//! It knows nothing of how the replica merges. A record is there if an add put it there that no removal has seen; a TTL
//! or a field of the SOA has a value that no later write has seen. That is all, and it is computed from the whole
//! history each time it is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use grapevine::replica::{
    Batch, Dot, IncarnationId, Summary, VersionVector, Write, ZoneReplica, ZoneState, catalog_genesis, catalog_name,
};
use grapevine::zone::{Name, RecordKey, RecordType};

/// What became of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    /// It is on its way to disk.
    Asked,
    /// Its author's client was told that it is done.
    Acknowledged,
    /// It was refused, or nobody was told, or the only disks that held it are gone: it may show or not.
    Unsure,
    /// Its author's disk was put back to before it, and another batch was made under its dot: one of the two will show
    /// everywhere in the end, until then some nodes show this one and some that one.
    Disputed,
}

struct Entry {
    batch: Arc<Batch>,
    machine: usize,
    ticket: Option<u64>,
    fate: Fate,
    /// Its author's disk was put back to before it.
    forgotten: bool,
}

impl Entry {
    /// How a dispute ends cannot be known, whatever else becomes of a batch.
    fn meets(&mut self, fate: Fate) {
        if self.fate != Fate::Disputed {
            self.fate = fate;
        }
    }
}

/// Whether something is so, as far as the book can tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    Yes,
    No,
    Either,
}

/// Who touched a record.
#[derive(Default)]
struct Touched {
    adds: Vec<usize>,
    removes: Vec<usize>,
}

/// Where each zone began.
struct Genesis {
    dot: Dot,
    records: BTreeSet<RecordKey>,
    ttls: BTreeMap<(Name, RecordType), u32>,
    refresh: u32,
}

pub(crate) struct Ledger {
    entries: Vec<Entry>,
    by_dot: BTreeMap<(IncarnationId, Dot), Vec<usize>>,
    by_ticket: BTreeMap<u64, usize>,
    by_record: BTreeMap<(IncarnationId, RecordKey), Touched>,
    ttls: BTreeMap<(IncarnationId, Name, RecordType), Vec<usize>>,
    refreshes: BTreeMap<IncarnationId, Vec<usize>>,
    genesis: BTreeMap<IncarnationId, Genesis>,
    /// Lives of zones that somebody deleted.
    ended: BTreeSet<IncarnationId>,
    /// Lives of zones of which some dot stands for two batches.
    disputed: BTreeSet<IncarnationId>,
}

impl Default for Ledger {
    fn default() -> Ledger {
        let mut ledger = Ledger {
            entries: Vec::new(),
            by_dot: BTreeMap::new(),
            by_ticket: BTreeMap::new(),
            by_record: BTreeMap::new(),
            ttls: BTreeMap::new(),
            refreshes: BTreeMap::new(),
            genesis: BTreeMap::new(),
            ended: BTreeSet::new(),
            disputed: BTreeSet::new(),
        };
        ledger.begin(catalog_genesis());
        ledger
    }
}

impl Ledger {
    /// Writes down what a node is about to store, if it is its own. Returns the batches that are new in the book.
    pub(crate) fn staged(&mut self, machine: usize, name: &str, writes: &[Write]) -> Vec<Arc<Batch>> {
        let mut news = Vec::new();
        for write in writes {
            match write {
                Write::Checkpoint { incarnation, state, .. } if !self.genesis.contains_key(incarnation) => {
                    let state = state.state();
                    assert_eq!(state.version().total(), 1, "a zone is first stored as it begins");
                    self.begin(state.clone());
                }
                Write::Journal { batch, .. } if batch.source.node == name && !self.knows(batch) => {
                    self.enter(machine, batch.clone());
                    news.push(batch.clone());
                }
                _ => {}
            }
        }
        news
    }

    fn knows(&self, batch: &Batch) -> bool {
        let known = self.by_dot.get(&(batch.incarnation, batch.dot)).into_iter().flatten();
        known.into_iter().any(|index| *self.entries[*index].batch == *batch)
    }

    fn begin(&mut self, state: ZoneState) {
        let (incarnation, refresh) = (state.incarnation(), state.soa().refresh);
        let (actor, seq) = state.version().iter().next().expect("a genesis is a batch");
        let zone = ZoneReplica::new(state, false);
        let records = live_records(&zone);
        let sets = zone.snapshot().iter().flat_map(|node| node.rrsets().map(move |set| (node.name(), set)));
        let ttls = sets.map(|(owner, set)| ((owner, set.rtype), set.ttl)).collect();
        self.genesis.insert(incarnation, Genesis { dot: Dot { actor, seq }, records, ttls, refresh });
    }

    fn enter(&mut self, machine: usize, batch: Arc<Batch>) {
        let (index, incarnation) = (self.entries.len(), batch.incarnation);
        let ticket = batch.source.request.as_ref().map(|request| request.id.parse().expect("requests are tickets"));
        let same_dot = self.by_dot.entry((incarnation, batch.dot)).or_default();
        let is_dispute = same_dot.iter().any(|other| self.entries[*other].forgotten);
        same_dot.push(index);
        if let Some(ticket) = ticket {
            self.by_ticket.insert(ticket, index);
        }
        for key in &batch.adds {
            self.by_record.entry((incarnation, key.clone())).or_default().adds.push(index);
        }
        for (key, _) in &batch.removes {
            self.ended.extend(listed_life(key));
            self.by_record.entry((incarnation, key.clone())).or_default().removes.push(index);
        }
        for write in &batch.ttls {
            self.ttls.entry((incarnation, write.owner.clone(), write.rtype)).or_default().push(index);
        }
        if batch.soa.refresh.is_some() {
            self.refreshes.entry(incarnation).or_default().push(index);
        }
        let dot = batch.dot;
        self.entries.push(Entry { batch, machine, ticket, fate: Fate::Asked, forgotten: false });
        if is_dispute {
            self.disputed.insert(incarnation);
            for index in &self.by_dot[&(incarnation, dot)] {
                self.entries[*index].fate = Fate::Disputed;
            }
        }
    }

    /// An edit without a client is as good as acknowledged once it is on disk.
    pub(crate) fn stored(&mut self, writes: &[Write]) {
        for write in writes {
            let Write::Journal { batch, .. } = write else { continue };
            let Some(same_dot) = self.by_dot.get(&(batch.incarnation, batch.dot)) else { continue };
            for index in same_dot {
                let entry = &mut self.entries[*index];
                if entry.ticket.is_none() && entry.fate == Fate::Asked && *entry.batch == **batch {
                    entry.fate = Fate::Acknowledged;
                }
            }
        }
    }

    /// The client of an edit was told what came of it. Returns the batch.
    pub(crate) fn settle(&mut self, ticket: u64, stored: bool) -> Option<Arc<Batch>> {
        let entry = &mut self.entries[*self.by_ticket.get(&ticket)?];
        entry.meets(if stored { Fate::Acknowledged } else { Fate::Unsure });
        Some(entry.batch.clone())
    }

    /// A machine ended: its edits that were under way may show or not.
    pub(crate) fn ended(&mut self, machine: usize) {
        for entry in self.entries.iter_mut().filter(|entry| entry.machine == machine && entry.fate == Fate::Asked) {
            entry.fate = Fate::Unsure;
        }
    }

    /// A machine's disk was put back to an earlier state of itself, which holds only this.
    pub(crate) fn put_back(&mut self, machine: usize, held: &[Summary]) {
        for entry in self.entries.iter_mut().filter(|entry| entry.machine == machine) {
            entry.forgotten |= !is_in(&entry.batch, held);
        }
    }

    /// Whether some dot of a life of a zone stands for two batches. Then its nodes can differ at one version, until they
    /// have agreed on one of the two.
    pub(crate) fn is_disputed(&self, incarnation: IncarnationId) -> bool {
        self.disputed.contains(&incarnation)
    }

    /// Disks are gone. Of what the others do not hold nothing is expected. Returns how many acknowledged edits that is.
    pub(crate) fn only_these_remain(&mut self, disks: &[Vec<Summary>]) -> u64 {
        let mut lost = 0;
        for entry in &mut self.entries {
            if entry.fate == Fate::Acknowledged && !disks.iter().any(|held| is_in(&entry.batch, held)) {
                entry.fate = Fate::Unsure;
                lost += 1;
            }
        }
        lost
    }

    /// Whether a record is live in a state that holds the batches of `version`.
    pub(crate) fn is_live(&self, incarnation: IncarnationId, key: &RecordKey, version: &VersionVector) -> Verdict {
        let none = Touched::default();
        let touched = self.by_record.get(&(incarnation, key.clone())).unwrap_or(&none);
        let within = |index: &&usize| version.contains(self.entries[**index].batch.dot);
        let removed_by = |dot: Dot, sure: bool| {
            touched
                .removes
                .iter()
                .filter(within)
                .map(|index| &self.entries[*index])
                .any(|entry| entry.batch.deps.contains(dot) && (!sure || entry.fate == Fate::Acknowledged))
        };
        let (mut surely, mut perhaps) = (false, false);
        let mut consider = |dot: Dot, fate: Fate| {
            surely |= fate == Fate::Acknowledged && !removed_by(dot, false);
            // Who removed the record and knew the dot may have known it as the other batch.
            perhaps |= fate == Fate::Disputed || !removed_by(dot, true);
        };
        if let Some(genesis) = self.genesis.get(&incarnation).filter(|genesis| genesis.records.contains(key)) {
            consider(genesis.dot, Fate::Acknowledged);
        }
        for entry in touched.adds.iter().filter(within).map(|index| &self.entries[*index]) {
            consider(entry.batch.dot, entry.fate);
        }
        match (surely, perhaps) {
            (true, _) => Verdict::Yes,
            (false, false) => Verdict::No,
            (false, true) => Verdict::Either,
        }
    }

    /// Whether somebody deleted this life of a zone: then it may be listed again by another who did not know, and of its
    /// edits nothing is expected.
    pub(crate) fn has_ended(&self, incarnation: IncarnationId) -> bool {
        self.ended.contains(&incarnation)
    }

    /// Every life of a zone that ever began.
    pub(crate) fn lives(&self) -> impl Iterator<Item = IncarnationId> {
        self.genesis.keys().copied()
    }

    /// Every record that was ever in a zone.
    pub(crate) fn records(&self, incarnation: IncarnationId) -> BTreeSet<&RecordKey> {
        let least = (
            incarnation,
            RecordKey { owner: Name::root(), rtype: RecordType(0), rdata: grapevine::zone::Rdata::new([].as_slice()) },
        );
        let touched = self.by_record.range(least..).map(|(key, _)| key);
        let touched = touched.take_while(|(other, _)| *other == incarnation).map(|(_, key)| key);
        touched.chain(self.genesis.get(&incarnation).into_iter().flat_map(|genesis| &genesis.records)).collect()
    }

    /// Whether an RRset may have a TTL: one that was written, and that no acknowledged write has seen and replaced.
    pub(crate) fn may_have_ttl(
        &self,
        incarnation: IncarnationId,
        owner: &Name,
        rtype: RecordType,
        ttl: u32,
        version: &VersionVector,
    ) -> bool {
        let first = self.genesis.get(&incarnation).and_then(|genesis| genesis.ttls.get(&(owner.clone(), rtype)));
        let writes = self.ttls.get(&(incarnation, owner.clone(), rtype));
        let value = |batch: &Batch| {
            let write = batch.ttls.iter().find(|write| write.owner == *owner && write.rtype == rtype);
            write.and_then(|write| write.ttl)
        };
        self.may_stand(incarnation, first == Some(&ttl), writes, version, |batch| value(batch) == Some(ttl))
    }

    /// The same of the SOA's refresh.
    pub(crate) fn may_have_refresh(&self, incarnation: IncarnationId, refresh: u32, version: &VersionVector) -> bool {
        let first = self.genesis.get(&incarnation).is_some_and(|genesis| genesis.refresh == refresh);
        let writes = self.refreshes.get(&incarnation);
        self.may_stand(incarnation, first, writes, version, |batch| batch.soa.refresh == Some(refresh))
    }

    fn may_stand(
        &self,
        incarnation: IncarnationId,
        first_fits: bool,
        writes: Option<&Vec<usize>>,
        version: &VersionVector,
        fits: impl Fn(&Batch) -> bool,
    ) -> bool {
        let writes = writes.into_iter().flatten().map(|index| &self.entries[*index]);
        let within: Vec<&Entry> = writes.filter(|entry| version.contains(entry.batch.dot)).collect();
        let replaced =
            |dot: Dot| within.iter().any(|entry| entry.fate == Fate::Acknowledged && entry.batch.deps.contains(dot));
        let genesis = self.genesis.get(&incarnation).map(|genesis| genesis.dot);
        (first_fits && !genesis.is_some_and(replaced))
            || within
                .iter()
                .any(|entry| fits(&entry.batch) && (entry.fate == Fate::Disputed || !replaced(entry.batch.dot)))
    }
}

/// Whether a disk that holds this holds the batch, as far as versions tell.
fn is_in(batch: &Batch, held: &[Summary]) -> bool {
    held.iter().any(|held| held.incarnation == batch.incarnation && held.version.contains(batch.dot))
}

/// The life of a zone that a record of the catalog lists: `g<generation>-<incarnation>.zones.<catalog> PTR <origin>`.
fn listed_life(key: &RecordKey) -> Option<IncarnationId> {
    if key.rtype != RecordType::PTR || !key.owner.is_at_or_below(&catalog_name()) {
        return None;
    }
    let label = std::str::from_utf8(key.owner.labels().next()?).ok()?;
    let (_, incarnation) = label.split_once('-')?;
    Some(IncarnationId(data_encoding::HEXLOWER.decode(incarnation.as_bytes()).ok()?.try_into().ok()?))
}

/// All that is live in a zone, served or shadowed, but for the SOA.
pub(crate) fn live_records(zone: &ZoneReplica) -> BTreeSet<RecordKey> {
    let mut live = BTreeSet::new();
    for node in zone.snapshot().iter() {
        let owner = node.name();
        for set in node.rrsets().filter(|set| set.rtype != RecordType::SOA) {
            live.extend(set.rdatas().map(|rdata| RecordKey {
                owner: owner.clone(),
                rtype: set.rtype,
                rdata: grapevine::zone::Rdata::new(rdata),
            }));
        }
    }
    let shadowed = zone.state().shadowed().into_iter();
    live.extend(shadowed.map(|(owner, rtype, rdata)| RecordKey { owner, rtype, rdata }));
    live
}
