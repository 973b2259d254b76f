//! A disk that fills up, and one that fails in other ways.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use redb::backends::FileBackend;
use redb::{Builder, Database, DatabaseError, StorageBackend};
use tokio::sync::mpsc;

use super::*;
use crate::replica::WriteSet;
use crate::store::database::Opener;

/// A file on a disk with so many free blocks.
#[derive(Debug)]
struct SmallDisk {
    file: FileBackend,
    disk: Arc<Disk>,
}

#[derive(Debug)]
struct Disk {
    free_blocks: AtomicUsize,
    /// The blocks that the file has.
    blocks: Mutex<BTreeSet<u64>>,
}

const BLOCK: u64 = 4096;

impl SmallDisk {
    fn open(path: &Path, disk: Arc<Disk>) -> Result<Database, DatabaseError> {
        let file = fs::OpenOptions::new().read(true).write(true).open(path)?;
        Builder::new()
            .set_check_integrity_on_open(true)
            .create_with_backend(SmallDisk { file: FileBackend::new(file)?, disk })
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
        let lost = self.disk.blocks.lock().expect("no panic").split_off(&len.div_ceil(BLOCK));
        self.disk.free_blocks.fetch_add(lost.len(), Ordering::SeqCst);
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        for (index, bytes) in (0u64..).zip(data.chunks(BLOCK as usize)) {
            let at = offset + index * BLOCK;
            if self.disk.blocks.lock().expect("no panic").insert(at / BLOCK)
                && self.disk.free_blocks.try_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_err()
            {
                self.disk.blocks.lock().expect("no panic").remove(&(at / BLOCK));
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.file.write(at, bytes)?;
        }
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }
}

fn small_disk() -> (TempDir, Store, Arc<Disk>) {
    let directory = directory();
    drop(Store::open(directory.path()).expect("a new store"));
    let used = fs::metadata(directory.path().join("grapevine.redb")).expect("the file").len().div_ceil(BLOCK);
    let disk =
        Arc::new(Disk { free_blocks: AtomicUsize::new(usize::MAX / 2), blocks: Mutex::new((0..used).collect()) });
    let (store, _) = Store::open_with(directory.path(), opener(&disk)).expect("the store opens");
    (directory, store, disk)
}

fn opener(disk: &Arc<Disk>) -> Box<Opener> {
    let disk = disk.clone();
    Box::new(move |path: &Path| SmallDisk::open(path, disk.clone()))
}

/// Leaves room for small edits, but not for a large one.
const SCARCE: usize = 256;

fn large(position: u64) -> Write {
    Write::Journal { position, batch: batch(ZONE, position, 8 << 20) }
}

#[test]
fn on_a_full_disk_an_edit_is_refused_and_what_was_kept_stays() {
    let (directory, mut store, disk) = small_disk();
    store.commit(&[&[journal(ZONE, 0)]]).expect("there is room");
    disk.free_blocks.store(SCARCE, Ordering::SeqCst);
    let message = store.commit(&[&[large(1)]]).expect_err("the disk is full").to_string();
    assert!(message.contains("free some space"), "{message}");
    store.commit(&[&[large(1)]]).expect_err("it still is");
    let free = disk.free_blocks.load(Ordering::SeqCst);
    assert!(free > SCARCE / 2, "the failed writes keep all but {free} of {SCARCE} blocks");
    store.commit(&[&[journal(ZONE, 1)]]).expect("a small one fits");
    disk.free_blocks.store(usize::MAX / 2, Ordering::SeqCst);
    store.commit(&[&[large(2)]]).expect("there is room again");
    let (_store, saved) = reopen(store, &directory);
    assert_eq!(positions(&saved), [0, 1, 2]);
}

#[test]
fn a_store_opens_and_reads_on_a_full_disk() {
    let (directory, mut store, disk) = small_disk();
    store.commit(&[&[journal(ZONE, 0)]]).expect("there is room");
    disk.free_blocks.store(SCARCE, Ordering::SeqCst);
    store.commit(&[&[large(1)]]).expect_err("the disk is full");
    drop(store);
    disk.free_blocks.store(0, Ordering::SeqCst);
    let (_store, saved) = Store::open_with(directory.path(), opener(&disk)).expect("the store opens");
    assert_eq!(positions(&saved), [0]);
}

#[test]
fn the_writer_refuses_what_does_not_fit_and_nothing_else() {
    let (directory, store, disk) = small_disk();
    disk.free_blocks.store(SCARCE, Ordering::SeqCst);
    let other = IncarnationId([8; 16]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let (writer, first, second) = runtime.block_on(async {
        let (requests, waiting) = mpsc::channel::<WriteSet<u64>>(8);
        let (sender, mut reports) = mpsc::channel(8);
        let writer = Writer::start(store, waiting, sender).expect("a thread");
        let mut ask = async |wanted: Vec<(u64, Write)>| {
            let count = wanted.len();
            for (id, write) in wanted {
                requests.send(WriteSet { id, writes: vec![write], gathered: false }).await.expect("the store serves");
            }
            let mut results = Vec::new();
            while results.len() < count {
                let (id, result) = reports.recv().await.expect("a report");
                results.push((id, result.is_ok()));
            }
            results
        };
        let first = ask(vec![(1, large(0)), (2, journal(ZONE, 1)), (3, journal(other, 0))]).await;
        disk.free_blocks.store(usize::MAX / 2, Ordering::SeqCst);
        (writer, first, ask(vec![(4, large(0)), (5, journal(ZONE, 1))]).await)
    });
    assert_eq!(first, [(1, false), (2, true), (3, true)]);
    assert_eq!(second, [(4, true), (5, true)]);
    let (_store, saved) = reopen(writer.close(), &directory);
    assert_eq!(positions(&saved), [0, 1, 0]);
}
