//! The tables of the store, and rows that notice when their bytes have changed.

use redb::TableDefinition;
use serde::{Deserialize, Serialize};

use crate::replica::IncarnationId;

/// Facts about the store and the node: a few named rows. Later versions may add rows without a new format.
pub(super) const META: TableDefinition<'static, &'static str, &'static [u8]> = TableDefinition::new("grapevine");
/// Row of [`META`]: the format, a big-endian `u32`. Unsealed, so that every version can read it.
pub(super) const META_FORMAT: &str = "format";
/// Row of [`META`]: [`crate::replica::Facts`].
pub(super) const META_FACTS: &str = "facts";

/// Row of [`META`]: which file this is, to tell a copy from the original.
pub(super) const META_HOME: &str = "home";

/// Batches by incarnation and position.
pub(super) const JOURNAL: TableDefinition<'static, (&'static [u8; 16], u64), &'static [u8]> =
    TableDefinition::new("journal");
/// [`CheckpointHead`]s by incarnation.
pub(super) const HEADS: TableDefinition<'static, &'static [u8; 16], &'static [u8]> =
    TableDefinition::new("checkpoint heads");
/// The chunks of checkpoints, by incarnation and index.
pub(super) const CHUNKS: TableDefinition<'static, (&'static [u8; 16], u64), &'static [u8]> =
    TableDefinition::new("checkpoint chunks");

/// Something to be done with every table.
pub(super) trait ForEachTable {
    /// How it fails.
    type Error;
    /// Does it with one. The number names the table in backups and never changes.
    fn table<K: redb::Key + 'static, V: redb::Value + 'static>(
        &mut self,
        number: u8,
        table: TableDefinition<'static, K, V>,
    ) -> Result<(), Self::Error>;
}

/// All tables of a store: who adds one adds it here, so that backups contain it.
pub(super) fn for_each_table<D: ForEachTable>(done: &mut D) -> Result<(), D::Error> {
    done.table(0, META)?;
    done.table(1, JOURNAL)?;
    done.table(2, HEADS)?;
    done.table(3, CHUNKS)?;
    done.table(4, HISTORY)?;
    done.table(5, HISTORY_OF)?;
    done.table(6, HISTORY_HEADS)
}

/// Row of [`META`]: how many entries the history has had and how many bytes it takes.
pub(super) const META_HISTORY: &str = "history";
/// [`crate::replica::HistoryEntry`]s of all zones by number, compressed.
pub(super) const HISTORY: TableDefinition<'static, u64, &'static [u8]> = TableDefinition::new("history");
/// The numbers of a zone's entries, by its name in wire form, each with its row's length.
pub(super) const HISTORY_OF: TableDefinition<'static, (&'static [u8], u64), u64> =
    TableDefinition::new("history of zones");
/// How far a zone's history reaches, by its name in wire form.
pub(super) const HISTORY_HEADS: TableDefinition<'static, &'static [u8], &'static [u8]> =
    TableDefinition::new("history heads");

/// What is known of a checkpoint apart from its chunks.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct CheckpointHead {
    /// How many journal entries it contains.
    pub position: u64,
    /// How many chunks it has.
    pub chunks: u64,
}

/// Bytes of the checksum before each row. redb's own checksums find a torn page; these find a row that a disk or a
/// tool has changed or moved, and keep finding it whatever becomes of redb.
const CHECKSUM: usize = 8;

/// A row's identity, part of its checksum: a row in the place of another is as wrong as a changed one.
#[derive(Clone, Copy)]
pub(super) enum RowKey<'a> {
    Facts,
    Journal(IncarnationId, u64),
    Head(IncarnationId),
    Chunk(IncarnationId, u64),
    HistoryTotals,
    History(u64),
    HistoryHead(&'a [u8]),
}

impl RowKey<'_> {
    /// The payload with its checksum before it.
    pub(super) fn seal(self, payload: &[u8]) -> Vec<u8> {
        let mut row = Vec::with_capacity(CHECKSUM + payload.len());
        row.extend_from_slice(&self.checksum(payload));
        row.extend_from_slice(payload);
        row
    }

    /// The payload of a row, or which row is not as it was written.
    pub(super) fn open(self, row: &[u8]) -> Result<&[u8], String> {
        match row.split_at_checked(CHECKSUM) {
            Some((checksum, payload)) if checksum == self.checksum(payload) => Ok(payload),
            _ => Err(format!("{} fails its checksum", self.describe())),
        }
    }

    /// The row as a person would name it.
    pub(super) fn describe(self) -> String {
        match self {
            RowKey::Facts => "the row of facts".to_owned(),
            RowKey::Journal(incarnation, position) => format!("journal entry {position} of zone {incarnation}"),
            RowKey::Head(incarnation) => format!("the checkpoint of zone {incarnation}"),
            RowKey::Chunk(incarnation, index) => format!("chunk {index} of the checkpoint of zone {incarnation}"),
            RowKey::HistoryTotals => "the row of the history's totals".to_owned(),
            RowKey::History(number) => format!("entry {number} of the history"),
            RowKey::HistoryHead(_) => "a row that tells how far a history reaches".to_owned(),
        }
    }

    fn checksum(self, payload: &[u8]) -> [u8; CHECKSUM] {
        let (table, incarnation, index) = match self {
            RowKey::Facts => (0u8, IncarnationId([0; 16]), 0),
            RowKey::Journal(incarnation, position) => (1, incarnation, position),
            RowKey::Head(incarnation) => (2, incarnation, 0),
            RowKey::Chunk(incarnation, index) => (3, incarnation, index),
            RowKey::HistoryTotals => (4, IncarnationId([0; 16]), 0),
            RowKey::History(number) => (5, IncarnationId([0; 16]), number),
            RowKey::HistoryHead(_) => (6, IncarnationId([0; 16]), 0),
        };
        let name = if let RowKey::HistoryHead(name) = self { name } else { &[] };
        let mut hasher = blake3::Hasher::new();
        hasher.update(&[table]).update(&incarnation.0).update(&index.to_be_bytes()).update(name).update(payload);
        let mut short = [0; CHECKSUM];
        short.copy_from_slice(&hasher.finalize().as_bytes()[..CHECKSUM]);
        short
    }
}
