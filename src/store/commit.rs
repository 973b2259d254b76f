//! Carrying out the replica's writes in one redb transaction.

use redb::{Database, Durability, Table};

use super::history::{HistoryTables, Retention};
use super::rows::{CHUNKS, CheckpointHead, HEADS, JOURNAL, META, META_FACTS, RowKey};
use crate::codec;
use crate::replica::{Facts, IncarnationId, StateChunks, Write};

type Rows<'t, K> = Table<'t, K, &'static [u8]>;
type Keyed = (&'static [u8; 16], u64);

/// Why a transaction was given up. Nothing of it is on disk.
pub(super) enum Failure {
    /// redb could not do it.
    Redb(Box<redb::Error>),
}

impl<E: Into<redb::Error>> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure::Redb(Box::new(error.into()))
    }
}

/// Writes all groups in order and waits until they are on disk.
pub(super) fn commit(database: &Database, groups: &[&[Write]], retention: Retention) -> Result<(), Failure> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    let mut tables = Tables {
        meta: transaction.open_table(META)?,
        journal: transaction.open_table(JOURNAL)?,
        heads: transaction.open_table(HEADS)?,
        chunks: transaction.open_table(CHUNKS)?,
        history: HistoryTables::open(&transaction, retention)?,
    };
    for write in groups.iter().copied().flatten() {
        tables.apply(write)?;
    }
    drop(tables);
    Ok(transaction.commit()?)
}

struct Tables<'t> {
    meta: Rows<'t, &'static str>,
    journal: Rows<'t, Keyed>,
    heads: Rows<'t, &'static [u8; 16]>,
    chunks: Rows<'t, Keyed>,
    history: HistoryTables<'t>,
}

impl Tables<'_> {
    fn apply(&mut self, write: &Write) -> Result<(), Failure> {
        match write {
            Write::Journal { position, batch } => self.append(batch.incarnation, *position, &codec::encode(&**batch)),
            Write::Erase { incarnation, positions } => self.erase(*incarnation, positions),
            Write::Checkpoint { incarnation, position, state, keep_from, .. } => {
                self.checkpoint(*incarnation, *position, state, *keep_from)
            }
            Write::Forget { incarnation } => self.forget(*incarnation),
            Write::History { entry, head } => self.history.append(&mut self.meta, entry, head),
            Write::Facts(facts) => self.facts(facts),
        }
    }

    /// Puts a journal entry in its place. What was there before is the same entry, written again after a failure, or
    /// an edit that was refused but had reached the disk all the same before the disk failed: the new one replaces it.
    fn append(&mut self, incarnation: IncarnationId, position: u64, batch: &[u8]) -> Result<(), Failure> {
        let row = RowKey::Journal(incarnation, position).seal(batch);
        self.journal.insert((&incarnation.0, position), row.as_slice())?;
        Ok(())
    }

    fn erase(&mut self, incarnation: IncarnationId, positions: &[u64]) -> Result<(), Failure> {
        for position in positions {
            self.journal.remove((&incarnation.0, *position))?;
        }
        Ok(())
    }

    fn checkpoint(
        &mut self,
        incarnation: IncarnationId,
        position: u64,
        state: &StateChunks,
        keep_from: u64,
    ) -> Result<(), Failure> {
        let id = &incarnation.0;
        let head = CheckpointHead { position, chunks: state.count().into() };
        self.heads.insert(id, RowKey::Head(incarnation).seal(&codec::encode(&head)).as_slice())?;
        for (index, chunk) in (0u64..).zip(state.iter()) {
            self.chunks.insert((id, index), RowKey::Chunk(incarnation, index).seal(&chunk).as_slice())?;
        }
        self.chunks.retain_in((id, head.chunks)..=(id, u64::MAX), |_, _| false)?;
        self.journal.retain_in((id, 0)..(id, keep_from.min(position)), |_, _| false)?;
        Ok(())
    }

    fn forget(&mut self, incarnation: IncarnationId) -> Result<(), Failure> {
        let id = &incarnation.0;
        self.heads.remove(id)?;
        self.chunks.retain_in((id, 0)..=(id, u64::MAX), |_, _| false)?;
        self.journal.retain_in((id, 0)..=(id, u64::MAX), |_, _| false)?;
        Ok(())
    }

    fn facts(&mut self, facts: &Facts) -> Result<(), Failure> {
        self.meta.insert(META_FACTS, RowKey::Facts.seal(&codec::encode(facts)).as_slice())?;
        Ok(())
    }
}

/// Reads a checkpoint's head row, or says what is wrong with it.
pub(super) fn head(incarnation: IncarnationId, row: &[u8]) -> Result<CheckpointHead, String> {
    let key = RowKey::Head(incarnation);
    codec::decode(key.open(row)?).map_err(|error| format!("{}: {error}", key.describe()))
}
