//! The history against what was served, with a disk that forgets what was not kept before a crash.

use std::sync::Arc;

use std::collections::BTreeMap;

use super::*;
use crate::replica::{
    ActorId, EditOrigin, EditRequest, Facts, Replica, Saved, SavedZone, Source, Staged, Write, ZoneState,
};
use crate::zone::Soa;
use crate::zone::{Change, Rdata, Record, RecordKey, RecordType};

#[derive(Default)]
struct Disk {
    zones: BTreeMap<IncarnationId, SavedZone>,
    heads: BTreeMap<Name, HistoryHead>,
    entries: Vec<HistoryEntry>,
}

impl Disk {
    fn keep(&mut self, writes: Vec<Write>) {
        let zone = |incarnation| SavedZone { incarnation, checkpoint: None, journal: Vec::new() };
        for write in writes {
            match write {
                Write::Journal { position, batch } => {
                    let saved = self.zones.entry(batch.incarnation).or_insert_with(|| zone(batch.incarnation));
                    saved.journal.retain(|(at, _)| *at != position);
                    saved.journal.push((position, batch));
                    saved.journal.sort_by_key(|(at, _)| *at);
                }
                Write::Erase { incarnation, positions } => {
                    if let Some(saved) = self.zones.get_mut(&incarnation) {
                        saved.journal.retain(|(at, _)| !positions.contains(at));
                    }
                }
                Write::Checkpoint { incarnation, position, state, keep_from, .. } => {
                    let saved = self.zones.entry(incarnation).or_insert_with(|| zone(incarnation));
                    saved.checkpoint = Some((position, state.iter().map(Arc::from).collect()));
                    saved.journal.retain(|(at, _)| *at >= keep_from);
                }
                Write::Forget { incarnation } => drop(self.zones.remove(&incarnation)),
                Write::History { entry, head } => {
                    self.heads.insert(entry.zone.clone(), head);
                    self.entries.push((*entry).clone());
                }
                Write::Facts(_) => {}
            }
        }
    }

    fn saved(&self) -> Saved {
        let histories = self.heads.iter().map(|(zone, head)| (zone.clone(), head.clone())).collect();
        Saved { facts: Facts::default(), zones: self.zones.values().cloned().collect(), histories }
    }
}

/// A node's replica and its disk.
struct Bench {
    replica: Replica,
    disk: Disk,
    actor: ActorId,
    /// What was served under each serial.
    seen: BTreeMap<u64, ZoneContent>,
}

fn name(text: &str) -> Name {
    text.parse().expect("a valid name")
}

fn origin() -> Name {
    name("example.")
}

fn content() -> ZoneContent {
    let host = Rdata::new(name("ns.example.").as_wire());
    let soa = Soa { ttl: 60, mname: host.clone(), rname: host.clone(), serial: 7, ..zero() };
    let mut content = ZoneContent::new(origin(), soa);
    content.add(Record { owner: origin(), rtype: RecordType::NS, ttl: 60, rdata: host });
    content
}

fn zero() -> Soa {
    let root = Rdata::new([0u8].as_slice());
    Soa { ttl: 0, mname: root.clone(), rname: root, serial: 0, refresh: 1, retry: 1, expire: 1, minimum: 1 }
}

fn add(label: &str, last: u8, ttl: u32) -> Change {
    let owner = name(&format!("{label}.example."));
    Change::Add(Record { owner, rtype: RecordType::A, ttl, rdata: Rdata::new([192, 0, 2, last].as_slice()) })
}

fn cname(label: &str) -> Change {
    let (owner, rdata) = (name(&format!("{label}.example.")), Rdata::new(name("ns.example.").as_wire()));
    Change::Add(Record { owner, rtype: RecordType::CNAME, ttl: 60, rdata })
}

fn remove(label: &str, last: u8) -> Change {
    let owner = name(&format!("{label}.example."));
    Change::Remove(RecordKey { owner, rtype: RecordType::A, rdata: Rdata::new([192, 0, 2, last].as_slice()) })
}

impl Bench {
    fn new(actor: u8) -> Bench {
        let (replica, _) = Replica::load(Saved::default());
        Bench { replica, disk: Disk::default(), actor: ActorId([actor; 16]), seen: BTreeMap::new() }
    }

    fn with_zone(actor: u8) -> Bench {
        let mut bench = Bench::new(actor);
        let source = Source::new(EditOrigin::File);
        let staged = bench.replica.stage_create(&[content().into()], &source, bench.actor, 1_000).expect("a new zone");
        bench.finish(staged);
        bench
    }

    fn stage(&mut self, changes: &[Change]) -> Staged {
        let source = Source { who: "alice".to_owned(), ..Source::new(EditOrigin::Api) };
        let request = EditRequest { changes, by_steps: false, serial: None, source: &source };
        let group = self.replica.stage_edits(&origin(), &[request], self.actor, 2_000).expect("there is a zone");
        let staged = group.staged.expect("it changes something");
        self.disk.keep(staged.writes.clone());
        staged
    }

    fn finish(&mut self, staged: Staged) {
        self.disk.keep(staged.writes.clone());
        let changed = self.replica.commit(staged);
        self.disk.keep(changed.writes);
        self.look();
    }

    fn edit(&mut self, changes: &[Change]) {
        let staged = self.stage(changes);
        self.finish(staged);
    }

    /// What a crash leaves, and the start after it.
    fn crash(&mut self) {
        let (replica, alarms) = Replica::load(self.disk.saved());
        assert_eq!(alarms, Vec::<String>::new());
        self.replica = replica;
        self.disk.keep(self.replica.tell_of_start());
        self.look();
    }

    fn state(&self) -> ZoneState {
        self.replica.serving(&origin()).expect("the zone").state().clone()
    }

    fn take(&mut self, state: ZoneState) {
        let changed = self.replica.merge(state.chunks());
        self.disk.keep(changed.writes);
        self.look();
    }

    fn look(&mut self) {
        if let Some(zone) = self.replica.served().get(&origin()) {
            self.seen.insert(zone.serial(), zone.to_content());
        }
    }

    fn causes(&self) -> Vec<String> {
        self.disk.entries.iter().map(|entry| entry.cause.to_string()).collect()
    }

    /// Walks all the way back and compares each version met with what was served then.
    fn check(&self) -> usize {
        let mut walk = Walk::new(self.replica.served().get(&origin()).map(|zone| &**zone));
        let mut met = 0;
        for entry in self.disk.entries.iter().rev() {
            walk.back(entry).expect("every edit is small");
            if let (Some(serial), Some(content)) = (walk.serial(), walk.content()) {
                assert_eq!(self.seen.get(&serial), Some(content), "at serial {serial}");
                met += 1;
            }
        }
        met
    }
}

#[test]
fn walking_back_meets_every_version_that_was_served() {
    let mut bench = Bench::with_zone(1);
    bench.edit(&[add("www", 1, 60), add("mail", 2, 60)]);
    bench.edit(&[add("www", 3, 90)]);
    bench.edit(&[remove("www", 1), remove("mail", 2)]);
    bench.edit(&[Change::Soa(Soa { expire: 9, ..content().soa })]);
    assert_eq!(bench.causes(), ["created", "edit", "edit", "edit", "edit"]);
    assert_eq!(bench.check(), 4);
    let last = bench.disk.entries.last().expect("an entry");
    assert_eq!((last.before, last.after), (Some(10), Some(11)));
    assert_eq!(last.cause.made().map(|made| made.source.who.as_str()), Some("alice"));
}

#[test]
fn an_edit_that_was_stored_before_a_crash_is_told_after_it_and_only_once() {
    let mut bench = Bench::with_zone(1);
    bench.edit(&[add("www", 1, 60)]);
    // The edit is on disk; the crash comes before it is applied.
    drop(bench.stage(&[add("www", 2, 60)]));
    bench.crash();
    assert_eq!(bench.causes(), ["created", "edit", "edit"]);
    bench.crash();
    bench.crash();
    assert_eq!(bench.causes(), ["created", "edit", "edit"]);
    bench.edit(&[remove("www", 2)]);
    assert_eq!(bench.check(), 3);
}

#[test]
fn an_edit_of_another_node_that_overtook_a_stored_one_keeps_its_place() {
    let mut bench = Bench::with_zone(1);
    let mut other = Bench::new(2);
    other.replica.merge(bench.replica.get(bench.replica.catalog_id()).expect("the catalog").state().chunks());
    other.take(bench.state());
    let theirs = other.stage(&[add("there", 9, 60)]);
    let batch = theirs.writes.iter().find_map(|write| match write {
        Write::Journal { batch, .. } => Some(batch.clone()),
        _ => None,
    });
    // Its place in the journal is before the other's, but it counts only after it.
    drop(bench.stage(&[add("here", 1, 60)]));
    let changed = bench.replica.ingest(batch.expect("an edit has a batch"));
    bench.disk.keep(changed.writes);
    bench.look();
    bench.crash();
    assert_eq!(bench.causes(), ["created", "edit", "edit"]);
    assert_eq!(bench.check(), 2);
}

#[test]
fn a_whole_state_from_a_member_is_one_entry() {
    let mut bench = Bench::with_zone(1);
    let mut other = Bench::new(2);
    other.replica.merge(bench.replica.get(bench.replica.catalog_id()).expect("the catalog").state().chunks());
    other.take(bench.state());
    for last in 1..5 {
        other.edit(&[add("there", last, 60)]);
    }
    bench.edit(&[add("here", 1, 60)]);
    bench.take(other.state());
    assert_eq!(bench.causes(), ["created", "edit", "state"]);
    assert_eq!(bench.disk.entries[2].added, 4);
    assert_eq!(bench.check(), 2);
    assert_eq!(other.check(), 5 - 1);
}

#[test]
fn a_record_that_returns_from_the_shadow_is_part_of_the_entry() {
    let mut bench = Bench::with_zone(1);
    bench.edit(&[add("www", 1, 60)]);
    bench.edit(&[cname("www")]);
    let entry = bench.disk.entries.last().expect("an entry");
    assert_eq!((entry.removed, entry.added), (1, 1), "the address is not served any more");
    let shadowed = bench.replica.serving(&origin()).expect("the zone").shadowed_records(10);
    assert_eq!(shadowed.len(), 1);
    assert_eq!(shadowed[0].standing.record.rtype, RecordType::A);
    assert_eq!(shadowed[0].instead[0].record.rtype, RecordType::CNAME);
    assert_eq!(bench.check(), 2);
}

#[test]
fn the_log_of_a_name_spans_its_lives_and_a_deleted_zone_can_be_shown() {
    let mut bench = Bench::with_zone(1);
    bench.edit(&[add("www", 1, 60)]);
    let source = Source::new(EditOrigin::Api);
    let staged = bench.replica.stage_delete(&origin(), &source, bench.actor, 3_000).expect("there is a zone");
    bench.finish(staged);
    assert_eq!(bench.causes(), ["created", "edit", "deleted"]);
    assert_eq!(bench.check(), 2, "both versions, from nothing");
    bench.crash();
    let staged = bench.replica.stage_create(&[content().into()], &source, bench.actor, 4_000).expect("a new life");
    bench.finish(staged);
    bench.edit(&[add("www", 4, 60)]);
    assert_eq!(bench.causes(), ["created", "edit", "deleted", "created", "edit"]);
    assert_eq!(bench.check(), 3);
}

#[test]
fn a_store_without_history_begins_one_and_no_walk_goes_behind_it() {
    let mut bench = Bench::with_zone(1);
    bench.edit(&[add("www", 1, 60)]);
    bench.disk.heads.clear();
    bench.disk.entries.clear();
    bench.crash();
    assert_eq!(bench.causes(), ["begun"]);
    bench.edit(&[add("www", 2, 60)]);
    let mut walk = Walk::new(bench.replica.served().get(&origin()).map(|zone| &**zone));
    walk.back(&bench.disk.entries[1]).expect("an edit");
    assert_eq!(walk.back(&bench.disk.entries[0]), Err(Unreachable::Begins(8)));
}

#[test]
fn of_a_bulk_edit_only_the_counts_are_kept() {
    let mut bench = Bench::with_zone(1);
    let many: Vec<Change> = (0..20_000).map(|i| add(&format!("h{i}"), 1, 60)).collect();
    bench.edit(&many);
    let entry = bench.disk.entries.last().expect("an entry");
    assert_eq!((entry.added, &entry.delta), (20_000, &None));
    let mut walk = Walk::new(bench.replica.served().get(&origin()).map(|zone| &**zone));
    assert_eq!(walk.back(entry), Err(Unreachable::TooLarge { serial: 8, changed: 20_000 }));
}
