//! Backups, and copies of a data directory that are told from the original.

use std::fs;
use std::path::Path;

use super::*;

fn facts(actor: u8) -> Facts {
    Facts { actor: Some(ActorId([actor; 16])), generation: 9, initialised: true, peers: Vec::new() }
}

fn backup(store: &mut Store, path: &Path) {
    let mut file = fs::File::create(path).expect("a file");
    let head = BackupHead::new(1_700_000_000_000, "ns1", "test");
    store.snapshot().expect("a snapshot").write(&head, &mut file).expect("a backup");
}

#[test]
fn a_copy_of_the_directory_loses_its_actor_and_the_original_keeps_it() {
    let (original, copied) = (directory(), directory());
    let (mut store, _) = Store::open(original.path()).expect("a new store");
    store.commit(&[&[Write::Facts(facts(3)), journal(ZONE, 0)]]).expect("a commit");
    drop(store);
    let name = "grapevine.redb";
    fs::copy(original.path().join(name), copied.path().join(name)).expect("a copy");
    let (copy, saved) = Store::open(copied.path()).expect("the copy opens");
    assert_eq!(saved.facts, Facts { actor: None, ..facts(3) });
    assert_eq!(positions(&saved), [0]);
    let (mut copy, saved) = reopen(copy, &copied);
    assert_eq!(saved.facts.actor, None, "it is not asked twice");
    copy.commit(&[&[Write::Facts(facts(4))]]).expect("a commit");
    assert_eq!(reopen(copy, &copied).1.facts.actor, Some(ActorId([4; 16])));
    assert_eq!(Store::open(original.path()).expect("the original opens").1.facts, facts(3));
}

#[test]
fn a_directory_that_is_renamed_stays_itself() {
    let home = directory();
    let (old, new) = (home.path().join("old"), home.path().join("new"));
    let (mut store, _) = Store::open(&old).expect("a new store");
    store.commit(&[&[Write::Facts(facts(3))]]).expect("a commit");
    drop(store);
    fs::rename(&old, &new).expect("a new name");
    assert_eq!(Store::open(&new).expect("it opens").1.facts, facts(3));
}

#[test]
fn a_backup_holds_the_moment_at_which_it_was_taken() {
    let (home, other) = (directory(), directory());
    let (mut store, _) = Store::open(home.path()).expect("a new store");
    store.commit(&[&[Write::Facts(facts(3)), journal(ZONE, 0), journal(ZONE, 1)]]).expect("a commit");
    let snapshot = store.snapshot().expect("a snapshot");
    store.commit(&[&[journal(ZONE, 2)]]).expect("a commit");
    let path = home.path().join("backup");
    let mut file = fs::File::create(&path).expect("a file");
    snapshot.write(&BackupHead::new(7, "ns1", "test"), &mut file).expect("a backup");
    let backup = Backup::read(&path).expect("it is whole");
    assert_eq!((backup.head.taken_ms, backup.head.node.as_str(), backup.zones.len()), (7, "ns1", 0));
    let data = other.path().join("data");
    backup.restore(&data).expect("it is restored");
    let (_store, saved) = Store::open(&data).expect("it opens");
    assert_eq!(positions(&saved), [0, 1]);
    assert_eq!(saved.facts, Facts { actor: None, ..facts(3) });
}

#[test]
fn a_backup_is_restored_into_an_empty_directory_alone() {
    let (home, other) = (directory(), directory());
    let (mut store, _) = Store::open(home.path()).expect("a new store");
    let path = home.path().join("backup");
    backup(&mut store, &path);
    let backup = Backup::read(&path).expect("it is whole");
    fs::write(other.path().join("mine"), "").expect("a file");
    let error = backup.restore(other.path()).expect_err("it holds something");
    assert!(matches!(error, BackupError::NotEmpty { .. }), "{error}");
    assert_eq!(fs::read_dir(other.path()).expect("it is there").count(), 1);
    fs::remove_file(other.path().join("mine")).expect("it is there");
    backup.restore(other.path()).expect("it is empty");
    let error = Snapshot::of_directory(&home.path().join("nowhere")).err().expect("no store");
    assert!(error.to_string().contains("nowhere"), "{error}");
    assert!(!home.path().join("nowhere").exists());
}

#[test]
fn a_damaged_backup_is_refused_whichever_byte_was_hit() {
    let home = directory();
    let (mut store, _) = Store::open(home.path()).expect("a new store");
    store.commit(&[&[Write::Facts(facts(3)), journal(ZONE, 0)]]).expect("a commit");
    let path = home.path().join("backup");
    backup(&mut store, &path);
    let bytes = fs::read(&path).expect("the file");
    for place in 0..bytes.len() {
        let mut rotten = bytes.clone();
        rotten[place] ^= 0x20;
        fs::write(&path, &rotten).expect("the file");
        assert!(Backup::read(&path).is_err(), "byte {place}");
    }
    for length in [0, 5, 30, bytes.len() / 2, bytes.len() - 1] {
        fs::write(&path, &bytes[..length]).expect("the file");
        assert!(Backup::read(&path).is_err(), "{length} bytes");
    }
    fs::write(&path, [&bytes[..], b"x"].concat()).expect("the file");
    assert!(Backup::read(&path).is_err(), "a byte too many");
}
