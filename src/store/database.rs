//! Opening the store's file: a new one made whole before it has its name, an old one checked before it is believed.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use redb::{Builder, Database, DatabaseError, ReadableDatabase, StorageError, TableHandle};

use super::rows::{CHUNKS, HEADS, JOURNAL, META, META_FORMAT};
use super::{BackupError, Retention, Snapshot, StoreError, commit, history, home, load};
use crate::replica::{HistoryPage, HistoryQuery, Saved, Write};

/// The format of the rows that this version writes. It rises when an older version could misread them.
pub const FORMAT: u32 = 3;

/// The file in the data directory.
pub(super) const FILE: &str = "grapevine.redb";

/// Memory for redb's page cache. The replica holds the state in memory, so the store reads hardly ever: enough for the
/// upper levels of its trees.
const CACHE_BYTES: usize = 16 << 20;

/// How a database file is opened; tests put a failing disk here.
pub(super) type Opener = dyn Fn(&Path) -> Result<Database, DatabaseError> + Send;

/// A node's journal and state on disk. One process at a time holds a data directory.
pub struct Store {
    path: PathBuf,
    /// `None` after a write failed: redb then wants the file closed, and the next commit opens it again.
    database: Option<Database>,
    opener: Box<Opener>,
    retention: Retention,
    /// Held for its lock.
    _claim: File,
}

impl Store {
    /// Opens the store in a data directory, making both if they are missing, and reads all it holds.
    pub fn open(data_dir: &Path) -> Result<(Store, Saved), StoreError> {
        Store::open_with(data_dir, Box::new(open_checked))
    }

    pub(super) fn open_with(data_dir: &Path, opener: Box<Opener>) -> Result<(Store, Saved), StoreError> {
        let claim = home::patiently(|| home::claim(data_dir))?;
        let path = data_dir.join(FILE);
        match fs::metadata(&path) {
            // redb takes an empty file for a new database; this store never leaves one behind.
            Ok(metadata) if metadata.len() == 0 => return Err(StoreError::Foreign { path }),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => create(data_dir, &path)?,
            Err(error) => return Err(StoreError::directory("read", &path)(error)),
        }
        let database = home::patiently(|| opener(&path).map_err(|error| explain(&path, error)))?;
        check_format(&path, &database)?;
        let mut saved = load::load(&path, &database)?;
        if home::is_copy(&path, &database)? {
            tracing::warn!(
                directory = %data_dir.display(),
                "this data directory is a copy, or was moved from elsewhere: this node goes on as a new actor, so that \
                 no edit of it is taken for one of the original"
            );
            saved.facts.actor = None;
        }
        home::settle(&path, &database, &saved.facts)?;
        Ok((Store { path, database: Some(database), opener, retention: Retention::default(), _claim: claim }, saved))
    }

    /// Keeps the writes of all groups, in order, in one transaction: after `Ok` all of them are on disk, after an
    /// error none. A store that failed once, as on a full disk, can be used again once the cause is gone.
    pub fn commit(&mut self, groups: &[&[Write]]) -> Result<(), StoreError> {
        let database = match self.database.take() {
            Some(database) => database,
            None => self.reopen()?,
        };
        let length = self.file_length();
        let failure = match commit::commit(&database, groups, self.retention) {
            Ok(()) => {
                self.database = Some(database);
                return Ok(());
            }
            Err(failure) => failure,
        };
        let path = self.path.clone();
        match failure {
            commit::Failure::Redb(source) => {
                drop(database);
                if self.file_length() > length {
                    self.give_back_room();
                }
                Err(StoreError::Write { path, source })
            }
        }
    }

    /// Bounds the history from the next write on.
    pub fn retain(&mut self, retention: Retention) {
        self.retention = retention;
    }

    /// Reads entries of the history, the newest first; or says why it cannot.
    pub fn history(&mut self, query: &HistoryQuery) -> Result<HistoryPage, String> {
        let database = match self.database.take() {
            Some(database) => database,
            None => self.reopen().map_err(|error| error.to_string())?,
        };
        let page = history::read(&database, query);
        self.database = Some(database);
        page
    }

    /// The store as it is now, to be read while it is written to.
    pub fn snapshot(&mut self) -> Result<Snapshot, BackupError> {
        let database = match self.database.take() {
            Some(database) => database,
            None => self.reopen()?,
        };
        let snapshot = Snapshot::of(&database);
        self.database = Some(database);
        snapshot
    }

    fn reopen(&self) -> Result<Database, StoreError> {
        home::patiently(|| (self.opener)(&self.path).map_err(|error| explain(&self.path, error)))
    }

    /// Returns to a full disk what a write that did not fit has taken of it, which others may need more, such as the
    /// zone files. If that fails too, the room stays with the file and serves a later write.
    fn give_back_room(&mut self) {
        if let Ok(mut database) = self.reopen()
            && database.compact().is_ok()
        {
            self.database = Some(database);
        }
    }

    fn file_length(&self) -> u64 {
        fs::metadata(&self.path).map_or(0, |metadata| metadata.len())
    }
}

/// Makes an empty store under another name and renames it, so that a crash leaves either none or a whole one.
fn create(data_dir: &Path, path: &Path) -> Result<(), StoreError> {
    let unfinished = path.with_extension("new");
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(StoreError::directory("replace", &unfinished)(error));
        }
        _ => {}
    }
    let failed = |source: redb::Error| StoreError::Write { path: unfinished.clone(), source: Box::new(source) };
    let fill = || -> Result<(), redb::Error> {
        let database = Builder::new().set_cache_size(CACHE_BYTES).create(&unfinished)?;
        let transaction = database.begin_write()?;
        transaction.open_table(META)?.insert(META_FORMAT, FORMAT.to_be_bytes().as_slice())?;
        transaction.open_table(JOURNAL)?;
        transaction.open_table(HEADS)?;
        transaction.open_table(CHUNKS)?;
        transaction.commit()?;
        Ok(database.close()?)
    };
    // A file that cannot be created at all is the directory's fault, not the disk's.
    File::create(&unfinished).map_err(StoreError::directory("create", &unfinished))?;
    fill().map_err(failed)?;
    fs::rename(&unfinished, path).map_err(StoreError::directory("create", path))?;
    home::sync_directory(data_dir).map_err(StoreError::directory("write to", data_dir))
}

/// Opens a database file and verifies every page. The node reads it all at start anyway, and a journal that had lost
/// its end unnoticed would give a batch's number to a second one.
fn open_checked(path: &Path) -> Result<Database, DatabaseError> {
    Builder::new().set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true).open(path)
}

/// Says what a failure to open the file means for the person who must mend it.
fn explain(path: &Path, error: DatabaseError) -> StoreError {
    let path = path.to_owned();
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            let path = path.parent().unwrap_or(&path).to_owned();
            StoreError::InUse { path, holder: String::new() }
        }
        DatabaseError::Storage(StorageError::Io(error)) => match error.kind() {
            io::ErrorKind::InvalidData => StoreError::Foreign { path },
            io::ErrorKind::UnexpectedEof => StoreError::Damaged { path, what: "the file is cut short".to_owned() },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::IsADirectory => {
                StoreError::Directory { action: "open", path, source: error }
            }
            _ => StoreError::Write { path, source: Box::new(error.into()) },
        },
        DatabaseError::Storage(StorageError::Corrupted(what)) => StoreError::Damaged { path, what },
        DatabaseError::UpgradeRequired(found) => {
            StoreError::Damaged { path, what: format!("redb file format {found} is not supported") }
        }
        other => StoreError::Write { path, source: Box::new(other.into()) },
    }
}

/// Reads the format row; a database without it is another program's.
fn check_format(path: &Path, database: &Database) -> Result<(), StoreError> {
    let damaged = |error: redb::Error| StoreError::Damaged { path: path.to_owned(), what: error.to_string() };
    let foreign = || StoreError::Foreign { path: path.to_owned() };
    let transaction = database.begin_read().map_err(|error| damaged(error.into()))?;
    let mut tables = transaction.list_tables().map_err(|error| damaged(error.into()))?;
    if !tables.any(|table| table.name() == META.name()) {
        return Err(foreign());
    }
    let meta = transaction.open_table(META).map_err(|_| foreign())?;
    let row = meta.get(META_FORMAT).map_err(|error| damaged(error.into()))?.ok_or_else(foreign)?;
    let found = row.value().try_into().map(u32::from_be_bytes).map_err(|_| foreign())?;
    let path = path.to_owned();
    match found {
        FORMAT => Ok(()),
        found if found > FORMAT => Err(StoreError::Newer { path, found, supported: FORMAT }),
        // Format 1 was never released; a migration from a released one goes here.
        found => Err(StoreError::Older { path, found, supported: FORMAT }),
    }
}
