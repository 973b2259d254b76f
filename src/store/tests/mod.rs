//! The store on real files, on failing disks and under `kill -9`.

mod backup;
mod crash;
mod disk;
mod history;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use redb::{Database, ReadableTable, TableDefinition};
use tempfile::TempDir;

use super::*;
use crate::replica::{
    ActorId, Batch, Dot, EditOrigin, Facts, Hlc, IncarnationId, Saved, SoaChange, Source, StateChunks, VersionVector,
    Write, ZoneState,
};
use crate::zone::{Name, Rdata, Record, RecordType, Soa, Zone, ZoneContent};

const ZONE: IncarnationId = IncarnationId([7; 16]);

fn directory() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

/// A batch that is told from others by its position, with a note of some size.
fn batch(incarnation: IncarnationId, position: u64, size: usize) -> Arc<Batch> {
    Arc::new(Batch {
        zone: "example.".parse().expect("a name"),
        incarnation,
        dot: Dot { actor: ActorId([1; 16]), seq: position + 1 },
        deps: VersionVector::new(),
        hlc: Hlc(position),
        adds: Vec::new(),
        removes: Vec::new(),
        ttls: Vec::new(),
        soa: SoaChange::default(),
        floor: None,
        serial: 0,
        source: Source { note: "x".repeat(size), ..Source::new(EditOrigin::Api) },
    })
}

fn journal(incarnation: IncarnationId, position: u64) -> Write {
    Write::Journal { position, batch: batch(incarnation, position, 100) }
}

/// A state with so many records of some kilobytes each.
fn state(records: u8) -> StateChunks {
    let zone: Name = "example.".parse().expect("a name");
    let root = Rdata::new([0_u8].as_slice());
    let (mname, rname) = (root.clone(), root);
    let soa = Soa { ttl: 60, mname, rname, serial: 1, refresh: 1, retry: 1, expire: 1, minimum: 1 };
    let mut content = ZoneContent::new(zone.clone(), soa);
    for number in 0..records {
        let owner = zone.child(&[b'a' + number]).expect("a short name");
        let rdata = Rdata::new([&[255][..], &[number; 255]].concat().repeat(200));
        content.add(Record { owner, rtype: RecordType::TXT, ttl: 60, rdata });
    }
    ZoneState::genesis(&Zone::from_content(&content), 1, 1).chunks()
}

fn checkpoint(incarnation: IncarnationId, position: u64, keep_from: u64, state: StateChunks) -> Write {
    Write::Checkpoint { zone: "example.".parse().expect("a name"), incarnation, position, state, keep_from }
}

fn encoded(state: &StateChunks) -> Vec<Arc<[u8]>> {
    state.iter().map(Arc::from).collect()
}

fn positions(saved: &Saved) -> Vec<u64> {
    saved.zones.iter().flat_map(|zone| zone.journal.iter().map(|(position, _)| *position)).collect()
}

fn reopen(store: Store, directory: &TempDir) -> (Store, Saved) {
    drop(store);
    Store::open(directory.path()).expect("the store opens again")
}

#[test]
fn reopening_gives_back_what_was_committed() {
    let directory = directory();
    let (mut store, saved) = Store::open(directory.path()).expect("a new store");
    assert!(saved.zones.is_empty() && saved.facts == Facts::default());
    let facts = Facts {
        actor: Some(ActorId([3; 16])),
        generation: 12,
        initialised: true,
        peers: vec!["192.0.2.1:7946".parse().expect("an address")],
    };
    let other = IncarnationId([9; 16]);
    let first = [journal(ZONE, 0), journal(ZONE, 1), Write::Facts(facts.clone())];
    let second = [checkpoint(ZONE, 2, 1, state(24)), journal(ZONE, 2), journal(other, 0)];
    store.commit(&[&first, &second]).expect("a commit");

    let (_store, saved) = reopen(store, &directory);
    assert_eq!(saved.facts, facts);
    let [zone, alone] = &saved.zones[..] else { panic!("two zones, not {saved:?}") };
    assert!(state(24).count() > 1);
    assert_eq!(zone.checkpoint, Some((2, encoded(&state(24)))));
    assert_eq!(zone.journal, [(1, batch(ZONE, 1, 100)), (2, batch(ZONE, 2, 100))], "entries before 1 were let go");
    assert_eq!((alone.incarnation, alone.journal.len(), &alone.checkpoint), (other, 1, &None));
}

#[test]
fn a_checkpoint_replaces_the_earlier_one_whole() {
    let directory = directory();
    let (mut store, _) = Store::open(directory.path()).expect("a new store");
    store.commit(&[&[checkpoint(ZONE, 3, 0, state(24))]]).expect("a commit");
    store.commit(&[&[checkpoint(ZONE, 4, 4, state(1))]]).expect("a commit");
    let (_store, saved) = reopen(store, &directory);
    assert_eq!(saved.zones[0].checkpoint, Some((4, encoded(&state(1)))));
}

#[test]
fn a_forgotten_incarnation_leaves_nothing() {
    let directory = directory();
    let (mut store, _) = Store::open(directory.path()).expect("a new store");
    store.commit(&[&[checkpoint(ZONE, 1, 0, state(1)), journal(ZONE, 1)]]).expect("a commit");
    store.commit(&[&[Write::Forget { incarnation: ZONE }]]).expect("a commit");
    let (mut store, saved) = reopen(store, &directory);
    assert!(saved.zones.is_empty());
    store.commit(&[&[journal(ZONE, 0)]]).expect("its positions start anew");
}

#[test]
fn positions_of_refused_edits_may_be_missing() {
    let directory = directory();
    let (mut store, _) = Store::open(directory.path()).expect("a new store");
    store.commit(&[&[journal(ZONE, 0)], &[journal(ZONE, 2)]]).expect("a commit");
    let (_store, saved) = reopen(store, &directory);
    assert_eq!(positions(&saved), [0, 2]);
}

#[test]
fn an_entry_in_the_place_of_an_earlier_one_replaces_that_one_alone() {
    let directory = directory();
    let (mut store, _) = Store::open(directory.path()).expect("a new store");
    store.commit(&[&[journal(ZONE, 0), journal(ZONE, 1), journal(ZONE, 2)]]).expect("a commit");
    let again = Write::Journal { position: 1, batch: batch(ZONE, 1, 5) };
    store.commit(&[&[again]]).expect("a commit");
    let (_store, saved) = reopen(store, &directory);
    assert_eq!(saved.zones[0].journal, [(0, batch(ZONE, 0, 100)), (1, batch(ZONE, 1, 5)), (2, batch(ZONE, 2, 100))]);
}

#[test]
fn the_directory_is_made_for_its_owner_alone() {
    let directory = directory();
    let data = directory.path().join("var/grapevine");
    let (_store, _) = Store::open(&data).expect("a new store");
    assert_eq!(fs::metadata(&data).expect("a directory").permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_directory_in_use_is_refused_by_name() {
    let directory = directory();
    let (store, _) = Store::open(directory.path()).expect("a new store");
    let message = Store::open(directory.path()).err().expect("it is in use").to_string();
    assert!(message.contains(&directory.path().display().to_string()), "{message}");
    assert!(message.contains(&format!("(process {})", std::process::id())), "{message}");
    drop(store);
    Store::open(directory.path()).expect("it is free again");
}

#[test]
fn an_unusable_directory_is_named_with_a_way_out() {
    let directory = directory();
    let file = directory.path().join("file");
    fs::write(&file, "").expect("a file");
    let message = Store::open(&file.join("data")).err().expect("no directory").to_string();
    assert!(message.contains("file/data") && message.contains("--data"), "{message}");
}

/// What opening says of a data directory whose store file is `bytes`; the file stays as it is.
fn refusal(bytes: &[u8]) -> StoreError {
    let directory = directory();
    let path = directory.path().join("grapevine.redb");
    fs::write(&path, bytes).expect("a file");
    let error = Store::open(directory.path()).err().expect("it is refused");
    assert_eq!(fs::read(&path).expect("the file"), bytes, "the file is untouched");
    error
}

#[test]
fn a_file_that_is_no_store_is_refused_and_kept() {
    for bytes in [&b""[..], b"short", &[0u8; 8192], &b"SQLite format 3\0".repeat(1000)] {
        let error = refusal(bytes);
        assert!(matches!(error, StoreError::Foreign { .. }), "{error}");
        assert!(error.to_string().contains("move it aside"), "{error}");
    }
}

#[test]
fn another_programs_redb_file_is_refused() {
    let directory = directory();
    let database = Database::create(directory.path().join("grapevine.redb")).expect("a database");
    let transaction = database.begin_write().expect("a transaction");
    transaction.open_table(TableDefinition::<u32, u32>::new("theirs")).expect("a table");
    transaction.commit().expect("a commit");
    drop(database);
    let error = Store::open(directory.path()).err().expect("it is refused");
    assert!(matches!(error, StoreError::Foreign { .. }), "{error}");
}

#[test]
fn a_file_of_another_format_is_refused_with_what_to_do() {
    for (format, advice) in [(FORMAT + 1, "upgrade this node"), (FORMAT - 1, "older grapevine")] {
        let directory = directory();
        drop(Store::open(directory.path()).expect("a new store"));
        let database = Database::open(directory.path().join("grapevine.redb")).expect("a database");
        let transaction = database.begin_write().expect("a transaction");
        transaction
            .open_table(rows::META)
            .expect("the table")
            .insert(rows::META_FORMAT, format.to_be_bytes().as_slice())
            .expect("a row");
        transaction.commit().expect("a commit");
        drop(database);
        let message = Store::open(directory.path()).err().expect("it is refused").to_string();
        assert!(message.contains(advice) && message.contains(&format!("format {format}")), "{message}");
    }
}

#[test]
fn a_damaged_file_is_refused_or_unharmed_whichever_byte_was_hit() {
    let directory = directory();
    let (mut store, _) = Store::open(directory.path()).expect("a new store");
    let writes: Vec<Write> = (0..200).map(|position| journal(ZONE, position)).collect();
    store.commit(&[&writes, &[checkpoint(ZONE, 100, 0, state(1))]]).expect("a commit");
    let (store, intact) = reopen(store, &directory);
    drop(store);
    let path = directory.path().join("grapevine.redb");
    let bytes = fs::read(&path).expect("the file");
    let mut refused = 0;
    for place in (0..bytes.len()).step_by(bytes.len() / 150) {
        let mut rotten = bytes.clone();
        rotten[place] ^= 0x40;
        fs::write(&path, &rotten).expect("the file");
        match Store::open(directory.path()) {
            Ok((_, saved)) => assert_eq!(positions(&saved), positions(&intact), "byte {place} changed the journal"),
            Err(error) => {
                refused += 1;
                assert!(error.to_string().contains("move"), "byte {place}: {error}");
            }
        }
    }
    assert!(refused > 5, "only {refused} damaged files were noticed");
    fs::write(&path, &bytes[..bytes.len() / 2]).expect("the file");
    let error = Store::open(directory.path()).err().expect("half a file is refused");
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
}

#[test]
fn a_row_that_was_changed_behind_the_stores_back_is_noticed() {
    let directory = directory();
    let (mut store, _) = Store::open(directory.path()).expect("a new store");
    store.commit(&[&[journal(ZONE, 0), journal(ZONE, 1)]]).expect("a commit");
    drop(store);
    let database = Database::open(directory.path().join("grapevine.redb")).expect("a database");
    let transaction = database.begin_write().expect("a transaction");
    {
        let mut journal = transaction.open_table(rows::JOURNAL).expect("the table");
        let row = journal.get((&ZONE.0, 0)).expect("a read").expect("a row").value().to_vec();
        journal.insert((&ZONE.0, 1), row.as_slice()).expect("entry 0 in the place of entry 1");
    }
    transaction.commit().expect("a commit");
    drop(database);
    let message = Store::open(directory.path()).err().expect("it is noticed").to_string();
    assert!(message.contains("journal entry 1") && message.contains("checksum"), "{message}");
}
