//! The history on disk: one log over all zones, an index by zone, and how far each zone's history reaches.
//!
//! The log is bounded by age, by bytes over all zones, and by entries a zone. What is beyond goes as new entries come,
//! a few at a time, so that no write waits for a long tidying.

use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable, Table, TableError, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::commit::Failure;
use super::rows::{HISTORY, HISTORY_HEADS, HISTORY_OF, META_HISTORY, RowKey};
use crate::codec;
use crate::replica::{HistoryEntry, HistoryHead, HistoryPage, HistoryQuery};
use crate::zone::Name;

/// How many old entries one new entry can push out: the log shrinks faster than it grows.
const TRIM_AT_ONCE: usize = 8;
/// The most bytes of entries, as stored, that one answer holds. More are asked for again.
const PAGE_BYTES: usize = 4 << 20;

/// How much history is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retention {
    /// For how long, in milliseconds.
    pub keep_ms: u64,
    /// How many entries of each zone.
    pub edits: u64,
    /// How many bytes of entries, as stored, over all zones.
    pub bytes: u64,
}

impl Default for Retention {
    fn default() -> Retention {
        Retention { keep_ms: 90 * 86_400_000, edits: 10_000, bytes: 256 << 20 }
    }
}

/// The log's counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Totals {
    /// The number of the next entry.
    next: u64,
    /// How many bytes all entries take.
    bytes: u64,
}

/// How far a zone's history reaches, and how long it is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct HeadRow {
    head: HistoryHead,
    entries: u64,
}

type Rows<'t, K> = Table<'t, K, &'static [u8]>;

/// The tables of the history in one write transaction.
pub(super) struct HistoryTables<'t> {
    log: Rows<'t, u64>,
    index: Table<'t, (&'static [u8], u64), u64>,
    heads: Rows<'t, &'static [u8]>,
    retention: Retention,
}

impl<'t> HistoryTables<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction, retention: Retention) -> Result<Self, Failure> {
        Ok(HistoryTables {
            log: transaction.open_table(HISTORY)?,
            index: transaction.open_table(HISTORY_OF)?,
            heads: transaction.open_table(HISTORY_HEADS)?,
            retention,
        })
    }

    /// Adds an entry and lets old ones go.
    pub(super) fn append(
        &mut self,
        meta: &mut Rows<'_, &'static str>,
        entry: &HistoryEntry,
        head: &HistoryHead,
    ) -> Result<(), Failure> {
        let zone = entry.zone.as_wire();
        let before = self.head(zone)?;
        if before.as_ref().is_some_and(|row| row.head.count >= head.count) {
            // It is kept already, and was written again because something beside it was not.
            return Ok(());
        }
        let mut totals: Totals = meta
            .get(META_HISTORY)?
            .and_then(|row| codec::decode_own(RowKey::HistoryTotals.open(row.value()).ok()?).ok())
            .unwrap_or_default();
        let number = totals.next;
        let payload = lz4_flex::compress_prepend_size(&codec::encode(entry));
        let row = RowKey::History(number).seal(&payload);
        self.log.insert(number, row.as_slice())?;
        self.index.insert((zone, number), row.len() as u64)?;
        totals.next += 1;
        totals.bytes += row.len() as u64;
        let entries = before.map_or(0, |row| row.entries) + 1;
        self.set_head(zone, &HeadRow { head: head.clone(), entries })?;
        self.trim(&mut totals, zone, entry.at_ms)?;
        meta.insert(META_HISTORY, RowKey::HistoryTotals.seal(&codec::encode(&totals)).as_slice())?;
        Ok(())
    }

    fn trim(&mut self, totals: &mut Totals, zone: &[u8], now_ms: u64) -> Result<(), Failure> {
        for _ in 0..TRIM_AT_ONCE {
            let surplus = self.head(zone)?.is_some_and(|row| row.entries > self.retention.edits);
            let oldest = if surplus { self.oldest_of(zone)? } else { None };
            let Some(number) = oldest.map_or_else(|| self.outdated(totals, now_ms), |number| Ok(Some(number)))? else {
                return Ok(());
            };
            self.remove(totals, number)?;
        }
        Ok(())
    }

    fn oldest_of(&self, zone: &[u8]) -> Result<Option<u64>, Failure> {
        let first = self.index.range((zone, 0)..=(zone, u64::MAX))?.next().transpose()?;
        Ok(first.map(|(key, _)| key.value().1))
    }

    /// The first entry of the log, if there is no room or time for it any more.
    fn outdated(&self, totals: &Totals, now_ms: u64) -> Result<Option<u64>, Failure> {
        let Some((number, row)) = self.log.first()? else { return Ok(None) };
        let (number, full) = (number.value(), totals.bytes > self.retention.bytes);
        let old = || decode(number, row.value()).is_ok_and(|entry| entry.at_ms + self.retention.keep_ms < now_ms);
        // The last entry of all stays: the newest one, which was just written.
        Ok((number + 1 < totals.next && (full || old())).then_some(number))
    }

    fn remove(&mut self, totals: &mut Totals, number: u64) -> Result<(), Failure> {
        let Some(row) = self.log.remove(number)?.map(|row| row.value().to_vec()) else { return Ok(()) };
        totals.bytes = totals.bytes.saturating_sub(row.len() as u64);
        let Ok(entry) = decode(number, &row) else { return Ok(()) };
        let zone = entry.zone.as_wire();
        self.index.remove((zone, number))?;
        if let Some(row) = self.head(zone)? {
            let row = HeadRow { entries: row.entries.saturating_sub(1), ..row };
            if row.entries == 0 && row.head.incarnation.is_none() {
                self.heads.remove(zone)?;
            } else {
                self.set_head(zone, &row)?;
            }
        }
        Ok(())
    }

    fn head(&self, zone: &[u8]) -> Result<Option<HeadRow>, Failure> {
        // A row that is damaged costs its zone some history, no more.
        Ok(self.heads.get(zone)?.and_then(|row| decode_head(zone, row.value()).ok()))
    }

    fn set_head(&mut self, zone: &[u8], row: &HeadRow) -> Result<(), Failure> {
        self.heads.insert(zone, RowKey::HistoryHead(zone).seal(&codec::encode(row)).as_slice())?;
        Ok(())
    }
}

fn decode(number: u64, row: &[u8]) -> Result<HistoryEntry, String> {
    let key = RowKey::History(number);
    let plain = lz4_flex::decompress_size_prepended(key.open(row)?).map_err(|error| error.to_string())?;
    codec::decode_own(&plain).map_err(|error| format!("{}: {error}", key.describe()))
}

fn decode_head(zone: &[u8], row: &[u8]) -> Result<HeadRow, String> {
    let key = RowKey::HistoryHead(zone);
    codec::decode_own(key.open(row)?).map_err(|error| format!("{}: {error}", key.describe()))
}

/// How far the history of each zone reaches. Damage to a row costs that zone's history its thread, not the node its
/// start: the zones are elsewhere.
pub(super) fn heads(transaction: &ReadTransaction) -> Result<Vec<(Name, HistoryHead)>, redb::Error> {
    let table = match transaction.open_table(HISTORY_HEADS) {
        Ok(table) => table,
        // A store of before histories were kept.
        Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut heads = Vec::new();
    for entry in table.iter()? {
        let (zone, row) = entry?;
        match (Name::from_wire(zone.value()), decode_head(zone.value(), row.value())) {
            (Ok(name), Ok(row)) => heads.push((name, row.head)),
            (_, Err(error)) => tracing::error!(error, "a part of the history is lost"),
            (Err(error), _) => tracing::error!(%error, "a part of the history is lost"),
        }
    }
    Ok(heads)
}

/// Reads entries, the newest first.
pub(super) fn read(database: &Database, query: &HistoryQuery) -> Result<HistoryPage, String> {
    page(database, query).map_err(|error| format!("the history cannot be read: {error}"))
}

fn page(database: &Database, query: &HistoryQuery) -> Result<HistoryPage, redb::Error> {
    let transaction = database.begin_read()?;
    let (log, index) = match (transaction.open_table(HISTORY), transaction.open_table(HISTORY_OF)) {
        (Ok(log), Ok(index)) => (log, index),
        (Err(TableError::TableDoesNotExist(_)), _) | (_, Err(TableError::TableDoesNotExist(_))) => {
            return Ok(HistoryPage::default());
        }
        (Err(error), _) | (_, Err(error)) => return Err(error.into()),
    };
    let zone = query.zone.as_wire();
    let (mut page, mut bytes) = (HistoryPage::default(), 0);
    for found in index.range((zone, 0)..(zone, query.older_than.unwrap_or(u64::MAX)))?.rev() {
        if page.entries.len() >= query.limit.max(1) || bytes > PAGE_BYTES {
            page.more = true;
            break;
        }
        let number = found?.0.value().1;
        let Some(row) = log.get(number)? else { continue };
        bytes += row.value().len();
        match decode(number, row.value()) {
            Ok(entry) => page.entries.push((number, entry)),
            Err(error) => return Err(redb::Error::Corrupted(error)),
        }
    }
    Ok(page)
}
