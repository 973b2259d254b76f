//! Backups: everything that a store holds at one moment, in one file that proves its own bytes.
//!
//! A backup is a stream of blocks: what it is, then every row of every table as it stands in the store, then a hash over
//! all. It is written from a snapshot of the database, so edits go on meanwhile. Whoever restores it makes a new store:
//! with the same zones, but with an actor of its own, for the old one's numbers may have been used since.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use redb::backends::InMemoryBackend;
use redb::{
    Builder, Database, Key, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, TableError, Value,
    WriteTransaction,
};
use serde::{Deserialize, Serialize};

use super::rows::{ForEachTable, META, META_FACTS, META_HOME, RowKey, for_each_table};
use super::{FORMAT, Store, StoreError, database, home, load};
use crate::codec;
use crate::replica::{Facts, Replica};
use crate::zone::Name;

/// What a backup begins with; the digit rises when an older version could misread what follows.
const MAGIC: &[u8] = b"grapevine backup 1\n";
/// The most bytes of one block: a chunk of a zone's state with room to spare.
const MAX_BLOCK: usize = 256 << 20;
/// Bytes of the hash at the end.
const HASH: usize = 32;

/// What a backup is of.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BackupHead {
    /// When it was taken, milliseconds since 1970.
    pub taken_ms: u64,
    /// The name of the node; empty if it did not run.
    pub node: String,
    /// The name of its cluster; empty if the node did not run.
    pub cluster: String,
    /// The format of the rows.
    format: u32,
}

impl BackupHead {
    /// A backup of this node, taken now.
    pub fn new(taken_ms: u64, node: &str, cluster: &str) -> BackupHead {
        BackupHead { taken_ms, node: node.to_owned(), cluster: cluster.to_owned(), format: FORMAT }
    }
}

/// A zone in a backup.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct BackupZone {
    /// Its origin.
    pub origin: Name,
    /// Its serial.
    pub serial: u32,
    /// How many records it serves, the SOA counted.
    pub records: usize,
}

/// Why there is no backup, or why it is not restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file cannot be read, or not be written.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// It is no backup, or one of another version.
    #[error("{} is no backup that this version of grapevine reads", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Bytes are missing or changed.
    #[error("the backup {} is damaged ({what}): take another one", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The directory to restore into holds something.
    #[error("{} is not empty: a backup is restored into a new directory, or an empty one", path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// The store could not be read.
    #[error("the store cannot be read: {0}")]
    Snapshot(Box<redb::Error>),
    /// Whoever takes the backup is gone.
    #[error("the backup cannot be written: {0}")]
    Output(#[from] io::Error),
    /// The new store could not be made.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The store as it was at one moment, whatever is written to it meanwhile.
pub struct Snapshot {
    transaction: ReadTransaction,
    /// The store, if nobody else keeps it open.
    _store: Option<Store>,
}

impl Snapshot {
    pub(super) fn of(database: &Database) -> Result<Snapshot, BackupError> {
        let transaction = database.begin_read().map_err(|error| BackupError::Snapshot(Box::new(error.into())))?;
        Ok(Snapshot { transaction, _store: None })
    }

    /// Takes one of a store that no process has open.
    pub fn of_directory(data_dir: &Path) -> Result<Snapshot, BackupError> {
        let missing = |source| BackupError::File { action: "read", path: data_dir.to_owned(), source };
        // A store that is not there is not to be made.
        fs::metadata(data_dir.join(database::FILE)).map_err(missing)?;
        let (mut store, _) = Store::open(data_dir)?;
        let snapshot = store.snapshot()?;
        Ok(Snapshot { _store: Some(store), ..snapshot })
    }

    /// Writes the backup, block by block.
    pub fn write(&self, head: &BackupHead, out: &mut dyn Write) -> Result<(), BackupError> {
        let mut blocks = BlockWriter { out, hasher: blake3::Hasher::new() };
        blocks.put(MAGIC)?;
        blocks.block(&codec::encode(head))?;
        for_each_table(&mut CopyOut { transaction: &self.transaction, blocks: &mut blocks })?;
        blocks.put(&0_u32.to_be_bytes())?;
        let hash = blocks.hasher.finalize();
        blocks.out.write_all(hash.as_bytes())?;
        Ok(blocks.out.flush()?)
    }
}

/// Writes the rows of tables into a backup.
struct CopyOut<'a, 'o> {
    transaction: &'a ReadTransaction,
    blocks: &'a mut BlockWriter<'o>,
}

impl ForEachTable for CopyOut<'_, '_> {
    type Error = BackupError;

    fn table<K: Key + 'static, V: Value + 'static>(
        &mut self,
        tag: u8,
        definition: TableDefinition<'static, K, V>,
    ) -> Result<(), BackupError> {
        let failed = |error: redb::Error| BackupError::Snapshot(Box::new(error));
        let table = match self.transaction.open_table(definition) {
            // Made when the first row comes.
            Err(TableError::TableDoesNotExist(_)) => return Ok(()),
            table => table.map_err(|error| failed(error.into()))?,
        };
        for entry in table.iter().map_err(|error| failed(error.into()))? {
            let (key, value) = entry.map_err(|error| failed(error.into()))?;
            let (key, value) = (key.value(), value.value());
            let (key, value) = (K::as_bytes(&key), V::as_bytes(&value));
            self.blocks.block(&codec::encode(&Row {
                tag,
                key: key.as_ref().to_vec(),
                value: value.as_ref().to_vec(),
            }))?;
        }
        Ok(())
    }
}

/// One row of one table.
#[derive(Serialize, Deserialize)]
struct Row {
    tag: u8,
    key: Vec<u8>,
    value: Vec<u8>,
}

struct BlockWriter<'o> {
    out: &'o mut dyn Write,
    hasher: blake3::Hasher,
}

impl BlockWriter<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), BackupError> {
        self.hasher.update(bytes);
        Ok(self.out.write_all(bytes)?)
    }

    fn block(&mut self, bytes: &[u8]) -> Result<(), BackupError> {
        self.put(&(bytes.len() as u32).to_be_bytes())?;
        self.put(bytes)
    }
}

/// A backup that was read and found whole.
#[derive(Debug)]
pub struct Backup {
    path: PathBuf,
    /// What it is of.
    pub head: BackupHead,
    /// Its zones, by origin.
    pub zones: Vec<BackupZone>,
}

impl Backup {
    /// Reads a whole backup and checks every byte of it.
    pub fn read(path: &Path) -> Result<Backup, BackupError> {
        let damaged = |what: String| BackupError::Damaged { path: path.to_owned(), what };
        let database = Builder::new().create_with_backend(InMemoryBackend::new());
        let database = database.map_err(|error| BackupError::Snapshot(Box::new(error.into())))?;
        let head = fill(path, &database)?;
        let saved = load::load(path, &database).map_err(|error| damaged(error.to_string()))?;
        let (replica, alarms) = Replica::load(saved);
        if let Some(alarm) = alarms.into_iter().next() {
            return Err(damaged(alarm));
        }
        let zones = replica.catalog().origins().filter_map(|(origin, _)| {
            let zone = replica.serving(origin)?;
            let (serial, records) = (zone.state().soa().serial, zone.snapshot().record_count());
            Some(BackupZone { origin: origin.clone(), serial, records })
        });
        let zones = zones.collect();
        Ok(Backup { path: path.to_owned(), head, zones })
    }

    /// Makes a store of it in a directory that is new or empty. The store has no actor, and knows no members but those
    /// that its node is told to join.
    pub fn restore(&self, data_dir: &Path) -> Result<(), BackupError> {
        let failed = |action, source| BackupError::File { action, path: data_dir.to_owned(), source };
        match fs::read_dir(data_dir).map(|mut entries| entries.next().is_none()) {
            Ok(true) => {}
            Ok(false) => return Err(BackupError::NotEmpty { path: data_dir.to_owned() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed("read", error)),
        }
        let _claim = home::claim(data_dir)?;
        let unfinished = data_dir.join(database::FILE).with_extension("new");
        let made = (|| -> Result<(), BackupError> {
            let store = |error: redb::Error| BackupError::Snapshot(Box::new(error));
            let database = Builder::new().create(&unfinished).map_err(|error| store(error.into()))?;
            fill(&self.path, &database)?;
            renew(&database).map_err(store)?;
            database.close().map_err(|error| store(error.into()))?;
            fs::rename(&unfinished, data_dir.join(database::FILE)).map_err(|error| failed("write to", error))?;
            home::sync_directory(data_dir).map_err(|error| failed("write to", error))
        })();
        if made.is_err() {
            // What is unfinished would be replaced by the next attempt anyway.
            let _ = fs::remove_file(&unfinished);
        }
        made
    }
}

/// Takes from a restored store what belongs to the old one alone.
fn renew(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut meta = transaction.open_table(META)?;
        let facts: Option<Facts> = meta
            .get(META_FACTS)?
            .and_then(|row| RowKey::Facts.open(row.value()).ok().and_then(|facts| codec::decode_own(facts).ok()));
        let facts = Facts { actor: None, peers: Vec::new(), ..facts.unwrap_or_default() };
        meta.insert(META_FACTS, RowKey::Facts.seal(&codec::encode(&facts)).as_slice())?;
        meta.remove(META_HOME)?;
    }
    Ok(transaction.commit()?)
}

/// Reads a backup into an empty database, in one transaction.
fn fill(path: &Path, database: &Database) -> Result<BackupHead, BackupError> {
    let file =
        File::open(path).map_err(|source| BackupError::File { action: "read", path: path.to_owned(), source })?;
    let mut blocks = BlockReader { path, input: BufReader::new(file), hasher: blake3::Hasher::new() };
    let mut magic = [0; MAGIC.len()];
    if blocks.fill(&mut magic).is_err() || magic != MAGIC {
        return Err(BackupError::Foreign { path: path.to_owned() });
    }
    let head = blocks.block()?.ok_or_else(|| blocks.damaged("it ends at once"))?;
    let head: BackupHead = codec::decode_own(&head).map_err(|_| BackupError::Foreign { path: path.to_owned() })?;
    if head.format != FORMAT {
        return Err(BackupError::Foreign { path: path.to_owned() });
    }
    let mut rows: BTreeMap<u8, Vec<Row>> = BTreeMap::new();
    while let Some(block) = blocks.block()? {
        let row: Row = codec::decode_own(&block).map_err(|error| blocks.damaged(&error.to_string()))?;
        rows.entry(row.tag).or_default().push(row);
    }
    // Only what is proved whole is taken for rows of tables.
    blocks.prove()?;
    insert(database, &rows).map_err(|error| BackupError::Damaged { path: path.to_owned(), what: error.to_string() })?;
    Ok(head)
}

fn insert(database: &Database, rows: &BTreeMap<u8, Vec<Row>>) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    for_each_table(&mut CopyIn { transaction: &transaction, rows })?;
    Ok(transaction.commit()?)
}

/// Makes the tables, and the rows of a backup in them.
struct CopyIn<'a> {
    transaction: &'a WriteTransaction,
    /// By the number of their table.
    rows: &'a BTreeMap<u8, Vec<Row>>,
}

impl ForEachTable for CopyIn<'_> {
    type Error = redb::Error;

    fn table<K: Key + 'static, V: Value + 'static>(
        &mut self,
        tag: u8,
        definition: TableDefinition<'static, K, V>,
    ) -> Result<(), redb::Error> {
        let mut table = self.transaction.open_table(definition)?;
        for row in self.rows.get(&tag).into_iter().flatten() {
            table.insert(K::from_bytes(&row.key), V::from_bytes(&row.value))?;
        }
        Ok(())
    }
}

struct BlockReader<'p> {
    path: &'p Path,
    input: BufReader<File>,
    hasher: blake3::Hasher,
}

impl BlockReader<'_> {
    fn damaged(&self, what: &str) -> BackupError {
        BackupError::Damaged { path: self.path.to_owned(), what: what.to_owned() }
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), BackupError> {
        self.input.read_exact(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => self.damaged("it is cut short"),
            _ => BackupError::File { action: "read", path: self.path.to_owned(), source: error },
        })?;
        self.hasher.update(bytes);
        Ok(())
    }

    fn block(&mut self) -> Result<Option<Vec<u8>>, BackupError> {
        let mut length = [0; 4];
        self.fill(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        if length == 0 {
            return Ok(None);
        }
        if length > MAX_BLOCK {
            return Err(self.damaged("a block is longer than any can be"));
        }
        let mut block = vec![0; length];
        self.fill(&mut block)?;
        Ok(Some(block))
    }

    /// Whether the bytes so far are those that were written, and the file ends here.
    fn prove(&mut self) -> Result<(), BackupError> {
        let (expected, mut found) = (self.hasher.finalize(), [0; HASH]);
        self.fill(&mut found)?;
        let more = self.input.read(&mut [0]).unwrap_or(1);
        if expected.as_bytes() != &found || more > 0 {
            return Err(self.damaged("its bytes are not those that were written"));
        }
        Ok(())
    }
}
