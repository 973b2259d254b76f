//! The data directory: made if it is missing, held by one process at a time, and told from a copy of itself.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant, UNIX_EPOCH};

use redb::{Database, ReadableDatabase, ReadableTable};

use super::StoreError;
use super::rows::{META, META_FACTS, META_HOME, RowKey};
use crate::codec;
use crate::replica::Facts;

/// The file whose lock is the claim to the directory. It holds the process number of the last holder and stays behind.
const LOCK_FILE: &str = "grapevine.lock";

/// How long to wait for a directory in use. A process that was killed just now, as before a restart, holds its locks
/// until the system has cleaned up after it.
const PATIENCE: Duration = Duration::from_secs(1);

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(20);

/// Tries until it succeeds, fails for another reason than that the directory is in use, or takes too long.
pub(super) fn patiently<T>(mut attempt: impl FnMut() -> Result<T, StoreError>) -> Result<T, StoreError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match attempt() {
            Err(StoreError::InUse { .. }) if Instant::now() < deadline => std::thread::sleep(PAUSE),
            result => return result,
        }
    }
}

/// Makes the directory and takes it for this process, until the returned file is dropped.
pub(super) fn claim(data_dir: &Path) -> Result<File, StoreError> {
    // What a node keeps is nobody else's to read: zones may be internal.
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data_dir)
        .map_err(StoreError::directory("create data directory", data_dir))?;
    let path = data_dir.join(LOCK_FILE);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(StoreError::directory("open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(StoreError::InUse { path: data_dir.to_owned(), holder: holder(&mut file) });
        }
        Err(TryLockError::Error(error)) => return Err(StoreError::directory("lock", &path)(error)),
    }
    // Only to be shown to the next who tries: on a full disk it may stay empty.
    let _ = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
    Ok(file)
}

/// Makes what was created or renamed in the directory survive a power cut.
pub(super) fn sync_directory(data_dir: &Path) -> io::Result<()> {
    File::open(data_dir)?.sync_all()
}

/// What tells the store's file from any copy of it: the machine, the file's number, and the moment at which the file
/// came to be; where the file system does not know that moment, the device instead. A copy of a whole machine has all
/// of them too: that shows only when its node meets others.
fn fingerprint(path: &Path) -> Result<Vec<u8>, StoreError> {
    let metadata = fs::metadata(path).map_err(StoreError::directory("read", path))?;
    let machine = fs::read("/etc/machine-id").unwrap_or_default();
    let born = metadata.created().ok().and_then(|moment| moment.duration_since(UNIX_EPOCH).ok());
    let place = born.map_or_else(|| metadata.dev().into(), |born| born.as_nanos());
    let mut hasher = blake3::Hasher::new();
    hasher.update(&machine).update(&metadata.ino().to_be_bytes()).update(&place.to_be_bytes());
    Ok(hasher.finalize().as_bytes()[..16].to_vec())
}

/// Whether the store was last opened as another file. One that was never opened has no home yet.
pub(super) fn is_copy(path: &Path, database: &Database) -> Result<bool, StoreError> {
    let read = || -> Result<Option<Vec<u8>>, redb::Error> {
        let meta = database.begin_read()?.open_table(META)?;
        Ok(meta.get(META_HOME)?.map(|row| row.value().to_vec()))
    };
    let damaged = |error: redb::Error| StoreError::Damaged { path: path.to_owned(), what: error.to_string() };
    let here = fingerprint(path)?;
    Ok(read().map_err(damaged)?.is_some_and(|home| home != here))
}

/// Writes down which file this is, with the facts as they are in it, if that is news.
pub(super) fn settle(path: &Path, database: &Database, facts: &Facts) -> Result<(), StoreError> {
    let here = fingerprint(path)?;
    let write = || -> Result<(), redb::Error> {
        let known = database.begin_read()?.open_table(META)?.get(META_HOME)?.is_some_and(|row| row.value() == here);
        if known {
            return Ok(());
        }
        let transaction = database.begin_write()?;
        {
            let mut meta = transaction.open_table(META)?;
            meta.insert(META_HOME, here.as_slice())?;
            if meta.get(META_FACTS)?.is_some() {
                meta.insert(META_FACTS, RowKey::Facts.seal(&codec::encode(facts)).as_slice())?;
            }
        }
        Ok(transaction.commit()?)
    };
    write().map_err(|error| StoreError::Write { path: path.to_owned(), source: Box::new(error) })
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.read_to_string(&mut text) {
        Ok(_) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => format!(" (process {text})"),
        _ => String::new(),
    }
}
