//! A disk that fills up, and one that fails in other ways.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use redb::backends::FileBackend;
use redb::{Builder, Database, DatabaseError, StorageBackend};

use super::*;

/// A file on a disk with room for its first so many bytes.
#[derive(Debug)]
struct SmallDisk {
    file: FileBackend,
    room: Arc<AtomicU64>,
}

impl SmallDisk {
    fn open(path: &Path, room: Arc<AtomicU64>) -> Result<Database, DatabaseError> {
        let file = fs::OpenOptions::new().read(true).write(true).open(path)?;
        Builder::new().create_with_backend(SmallDisk { file: FileBackend::new(file)?, room })
    }

    fn check(&self, end: u64) -> io::Result<()> {
        match end > self.room.load(Ordering::SeqCst) {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }
}

impl StorageBackend for SmallDisk {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    // As on a real file system, growing a file takes no room: writing to it does.
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check(offset + data.len() as u64)?;
        self.file.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }
}

fn small_disk() -> (TempDir, Store, Arc<AtomicU64>) {
    let directory = directory();
    drop(Store::open(directory.path()).expect("a new store"));
    let room = Arc::new(AtomicU64::new(u64::MAX));
    let opener = {
        let room = room.clone();
        Box::new(move |path: &Path| SmallDisk::open(path, room.clone()))
    };
    let (store, _) = Store::open_with(directory.path(), opener).expect("the store opens");
    (directory, store, room)
}

/// Takes away all the room that the file does not use yet.
fn fill_up(directory: &TempDir, room: &AtomicU64) {
    let used = fs::metadata(directory.path().join("grapevine.redb")).expect("the file").len();
    room.store(used, Ordering::SeqCst);
}

fn large(position: u64) -> Write {
    Write::Journal { position, batch: batch(ZONE, position, 8 << 20) }
}

#[test]
fn on_a_full_disk_an_edit_is_refused_and_what_was_kept_stays() {
    let (directory, mut store, room) = small_disk();
    store.commit(&[&[journal(ZONE, 0)]]).expect("there is room");
    fill_up(&directory, &room);
    let message = store.commit(&[&[large(1)]]).expect_err("the disk is full").to_string();
    assert!(message.contains("free some space"), "{message}");
    store.commit(&[&[large(1)]]).expect_err("it still is");
    store.commit(&[&[journal(ZONE, 1)]]).expect("a small one fits");
    room.store(u64::MAX, Ordering::SeqCst);
    store.commit(&[&[large(2)]]).expect("there is room again");
    let (_store, saved) = reopen(store, &directory);
    assert_eq!(positions(&saved), [0, 1, 2]);
}

#[test]
fn a_store_opens_and_reads_on_a_full_disk() {
    let (directory, mut store, room) = small_disk();
    store.commit(&[&[journal(ZONE, 0)]]).expect("there is room");
    fill_up(&directory, &room);
    store.commit(&[&[large(1)]]).expect_err("the disk is full");
    drop(store);
    let full = room.load(Ordering::SeqCst);
    let opener = Box::new(move |path: &Path| {
        let file = fs::OpenOptions::new().read(true).write(true).open(path)?;
        let disk = SmallDisk { file: FileBackend::new(file)?, room: Arc::new(AtomicU64::new(full)) };
        Builder::new().set_check_integrity_on_open(true).create_with_backend(disk)
    });
    let (_store, saved) = Store::open_with(directory.path(), opener).expect("the store opens");
    assert_eq!(positions(&saved), [0]);
}

#[test]
fn the_writer_refuses_what_does_not_fit_and_what_builds_on_it() {
    let (directory, store, room) = small_disk();
    fill_up(&directory, &room);
    let other = IncarnationId([8; 16]);
    let (writer, mut reports) = Writer::start(store).expect("a thread");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let (first, second) = runtime.block_on(async {
        let mut ask = async |requests: Vec<(u64, Write)>| {
            let count = requests.len();
            for (id, write) in requests {
                writer.persist(id, vec![write]).await.expect("the store serves");
            }
            let mut results = Vec::new();
            while results.len() < count {
                let report = reports.recv().await.expect("a report");
                results.push((report.id, report.result.is_ok()));
            }
            results
        };
        let first = ask(vec![(1, large(0)), (2, journal(ZONE, 1)), (3, journal(other, 0))]).await;
        room.store(u64::MAX, Ordering::SeqCst);
        (first, ask(vec![(4, large(0)), (5, journal(ZONE, 1))]).await)
    });
    assert_eq!(first, [(1, false), (2, false), (3, true)]);
    assert_eq!(second, [(4, true), (5, true)]);
    let (_store, saved) = reopen(writer.close(), &directory);
    assert_eq!(positions(&saved), [0, 1, 0]);
}
