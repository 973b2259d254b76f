//! The data directory: made if it is missing, and held by one process at a time.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use super::StoreError;

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

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.read_to_string(&mut text) {
        Ok(_) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => format!(" (process {text})"),
        _ => String::new(),
    }
}
