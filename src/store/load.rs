//! Reading back all that a store holds, and making sure that it is what was written.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable};

use super::StoreError;
use super::commit::head;
use super::rows::{CHUNKS, HEADS, JOURNAL, META, META_FACTS, RowKey};
use crate::codec;
use crate::replica::{Batch, Facts, IncarnationId, Saved, SavedZone};

/// Everything in the database, or what is wrong with it.
pub(super) fn load(path: &Path, database: &Database) -> Result<Saved, StoreError> {
    read(database).map_err(|Damage(what)| StoreError::Damaged { path: path.to_owned(), what })
}

/// What does not fit.
struct Damage(String);

impl<E: Into<redb::Error>> From<E> for Damage {
    fn from(error: E) -> Damage {
        Damage(error.into().to_string())
    }
}

fn read(database: &Database) -> Result<Saved, Damage> {
    let transaction = database.begin_read()?;
    let mut zones = BTreeMap::new();
    read_checkpoints(&transaction, &mut zones)?;
    read_journal(&transaction, &mut zones)?;
    let histories = super::history::heads(&transaction)?;
    Ok(Saved { facts: read_facts(&transaction)?, zones: zones.into_values().collect(), histories })
}

fn read_facts(transaction: &ReadTransaction) -> Result<Facts, Damage> {
    let meta = transaction.open_table(META)?;
    match meta.get(META_FACTS)? {
        Some(row) => decode(RowKey::Facts, row.value()),
        None => Ok(Facts::default()),
    }
}

type Zones = BTreeMap<IncarnationId, SavedZone>;

fn zone(zones: &mut Zones, incarnation: IncarnationId) -> &mut SavedZone {
    zones.entry(incarnation).or_insert(SavedZone { incarnation, checkpoint: None, journal: Vec::new() })
}

fn read_checkpoints(transaction: &ReadTransaction, zones: &mut Zones) -> Result<(), Damage> {
    let (heads, all_chunks) = (transaction.open_table(HEADS)?, transaction.open_table(CHUNKS)?);
    for entry in heads.iter()? {
        let (key, row) = entry?;
        let id = key.value();
        let incarnation = IncarnationId(*id);
        let head = head(incarnation, row.value()).map_err(Damage)?;
        let mut chunks: Vec<Arc<[u8]>> = Vec::new();
        for entry in all_chunks.range((id, 0)..=(id, u64::MAX))? {
            let (key, row) = entry?;
            let key = RowKey::Chunk(incarnation, key.value().1);
            chunks.push(key.open(row.value()).map_err(Damage)?.into());
        }
        // Each chunk proved its index, so their number tells whether they are all there.
        if chunks.len() as u64 != head.chunks {
            return Err(Damage(format!("{} has lost chunks", RowKey::Head(incarnation).describe())));
        }
        zone(zones, incarnation).checkpoint = Some((head.position, chunks));
    }
    Ok(())
}

fn read_journal(transaction: &ReadTransaction, zones: &mut Zones) -> Result<(), Damage> {
    for entry in transaction.open_table(JOURNAL)?.iter()? {
        let (key, row) = entry?;
        let (id, position) = key.value();
        let incarnation = IncarnationId(*id);
        let batch: Batch = decode(RowKey::Journal(incarnation, position), row.value())?;
        zone(zones, incarnation).journal.push((position, Arc::new(batch)));
    }
    Ok(())
}

fn decode<T: serde::de::DeserializeOwned>(key: RowKey<'_>, row: &[u8]) -> Result<T, Damage> {
    let payload = key.open(row).map_err(Damage)?;
    codec::decode_own(payload).map_err(|error| Damage(format!("{}: {error}", key.describe())))
}
