//! The history of what a node serves: one entry for each change of a served zone, and the way back along them.
//!
//! It is this node's own: while nodes were apart they served different versions, and each remembers its own. An entry
//! says what changed in effect, so it serves whole states that were merged and switches between incarnations as well as
//! edits. Nothing of it takes part in replication.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Batch, Dot, Hlc, IncarnationId, Source, VersionVector};
use crate::zone::{DeltaRecorder, Name, Zone, ZoneContent, ZoneDelta};

/// The most bytes of records that one entry keeps. Of a larger change only the counts are kept: a bulk import is not
/// held in memory and on disk a second time.
pub const MAX_ENTRY_BYTES: usize = 1 << 20;

/// One change of what this node serves under a name.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// The zone's name.
    pub zone: Name,
    /// The incarnation that is served from here on; `None` once the zone is deleted.
    pub incarnation: Option<IncarnationId>,
    /// The serial before, in 64 bits; `None` if there was no zone.
    pub before: Option<u64>,
    /// The serial after; `None` if there is no zone any more.
    pub after: Option<u64>,
    /// The short hash of the version after, as in the marker of the zone's file.
    pub version: [u8; 8],
    /// When this node made the change its own, by its clock: milliseconds since 1970.
    pub at_ms: u64,
    /// What it came from.
    pub cause: Cause,
    /// How many records went.
    pub removed: u64,
    /// How many records came.
    pub added: u64,
    /// The records; `None` if they are too many to be kept, or not known.
    pub delta: Option<ZoneDelta>,
}

/// What changed a served zone.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Cause {
    /// The history begins here, or goes on after a time in which none was kept.
    Begun,
    /// The zone was made, or its first state arrived; the edit of the catalog that lists it, if this node knows it.
    Created(Option<Made>),
    /// An edit.
    Edit(Made),
    /// A member sent its whole state, for this node was too far behind for single edits.
    State,
    /// Another incarnation of the same name is served from here on: another life, or the one that won a conflict.
    Switched(Option<Made>),
    /// The zone was deleted.
    Deleted(Option<Made>),
}

/// Who made an edit, and when.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Made {
    /// The author and its count.
    pub dot: Dot,
    /// When, by the author's clock.
    pub hlc: Hlc,
    /// Whence it came.
    pub source: Source,
}

impl Made {
    pub(super) fn by(batch: &Batch) -> Made {
        Made { dot: batch.dot, hlc: batch.hlc, source: batch.source.clone() }
    }
}

impl Cause {
    /// The edit behind it, if there is one and it is known.
    pub fn made(&self) -> Option<&Made> {
        match self {
            Cause::Edit(made) => Some(made),
            Cause::Created(made) | Cause::Switched(made) | Cause::Deleted(made) => made.as_ref(),
            Cause::Begun | Cause::State => None,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cause::Begun => "begun",
            Cause::Created(_) => "created",
            Cause::Edit(_) => "edit",
            Cause::State => "state",
            Cause::Switched(_) => "switched",
            Cause::Deleted(_) => "deleted",
        })
    }
}

/// Up to where the history of a name reaches: what the entries kept so far describe.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HistoryHead {
    /// The incarnation served; `None` once the zone is deleted.
    pub incarnation: Option<IncarnationId>,
    /// Which batches are in it.
    pub version: VersionVector,
    /// Its serial.
    pub serial: u64,
    /// How many entries there have been: an entry that is written again, after a failure, is known by it.
    pub count: u64,
}

/// What is asked of the kept history: some entries of one name, the newest first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HistoryQuery {
    /// The zone's name.
    pub zone: Name,
    /// Only entries older than the one of this number.
    pub older_than: Option<u64>,
    /// How many at most; there may be fewer even though older ones are kept.
    pub limit: usize,
}

/// Entries of one name with their numbers, the newest first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HistoryPage {
    /// The entries. Numbers rise with time and leave some out.
    pub entries: Vec<(u64, HistoryEntry)>,
    /// Whether older ones are kept.
    pub more: bool,
}

/// A change of a zone's snapshot, before it is known whether it is the one served.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) cause: Cause,
    /// The version before.
    pub(super) from: [u8; 8],
    pub(super) before: u64,
    pub(super) after: u64,
    pub(super) version: [u8; 8],
    pub(super) removed: u64,
    pub(super) added: u64,
    pub(super) delta: Option<ZoneDelta>,
}

impl Step {
    pub(super) fn new(cause: Cause, before: &Zone, after: &Zone, recorder: DeltaRecorder) -> Step {
        Step {
            cause,
            from: before.version(),
            before: before.serial(),
            after: after.serial(),
            version: after.version(),
            removed: recorder.removed,
            added: recorder.added,
            delta: recorder.finish(before.soa(), after.soa()),
        }
    }

    pub(super) fn entry(self, zone: Name, incarnation: IncarnationId, at_ms: u64) -> HistoryEntry {
        HistoryEntry {
            zone,
            incarnation: Some(incarnation),
            before: Some(self.before),
            after: Some(self.after),
            version: self.version,
            at_ms,
            cause: self.cause,
            removed: self.removed,
            added: self.added,
            delta: self.delta,
        }
    }
}

impl HistoryEntry {
    /// The entry for a zone that comes, goes or is replaced by another incarnation.
    pub(super) fn transition(
        cause: Cause,
        (before, after): (Option<&Zone>, Option<(&Zone, IncarnationId)>),
        zone: &Name,
        at_ms: u64,
    ) -> HistoryEntry {
        let (after, incarnation) = (after.map(|(zone, _)| zone), after.map(|(_, incarnation)| incarnation));
        let mut recorder = DeltaRecorder::new(MAX_ENTRY_BYTES);
        let (mut removed, mut added, mut delta) = (0, 0, None);
        match (before, after) {
            // To go back before a creation nothing needs to be known.
            (None, Some(after)) => added = after.record_count() as u64 - 1,
            (Some(before), after) => {
                recorder.zones(Some(before), after);
                (removed, added) = (recorder.removed, recorder.added);
                delta = recorder.finish(before.soa(), after.unwrap_or(before).soa());
            }
            (None, None) => {}
        }
        HistoryEntry {
            zone: zone.clone(),
            incarnation,
            before: before.map(Zone::serial),
            after: after.map(Zone::serial),
            version: after.map_or([0; 8], Zone::version),
            at_ms,
            cause,
            removed,
            added,
            delta,
        }
    }
}

/// Why a version cannot be shown.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unreachable {
    /// An edit in between was too large to be kept.
    #[error("the edit of serial {serial} was too large to be kept in the history ({changed} records)")]
    TooLarge {
        /// Its serial.
        serial: u64,
        /// How many records it changed.
        changed: u64,
    },
    /// No history was kept before this serial.
    #[error("the history begins at serial {0}")]
    Begins(u64),
    /// The entries do not lead to what is served: the history was damaged or trimmed meanwhile.
    #[error("the history does not lead back from serial {0}")]
    Broken(u64),
}

/// A walk from what is served now back to older versions.
#[derive(Debug)]
pub struct Walk {
    content: Option<ZoneContent>,
    serial: Option<u64>,
    version: [u8; 8],
    /// Whether the walk has met the entry that made what is served; newer ones are not served yet.
    begun: bool,
}

impl Walk {
    /// A walk that begins with the zone as it is served now; `None` if there is none.
    pub fn new(served: Option<&Zone>) -> Walk {
        Walk {
            content: served.map(Zone::to_content),
            serial: served.map(Zone::serial),
            version: served.map_or([0; 8], Zone::version),
            begun: false,
        }
    }

    /// The version reached.
    pub fn content(&self) -> Option<&ZoneContent> {
        self.content.as_ref()
    }

    /// Its serial, in 64 bits.
    pub fn serial(&self) -> Option<u64> {
        self.serial
    }

    /// Takes the step back over the next older entry.
    pub fn back(&mut self, entry: &HistoryEntry) -> Result<(), Unreachable> {
        if !self.begun {
            if (entry.after, entry.version) != (self.serial, self.version) {
                return Ok(());
            }
            self.begun = true;
        }
        if entry.after != self.serial {
            return Err(Unreachable::Broken(self.serial.unwrap_or_default()));
        }
        match (&entry.cause, &entry.delta) {
            (Cause::Begun, _) => return Err(Unreachable::Begins(entry.after.unwrap_or_default())),
            (Cause::Created(_), _) => self.content = None,
            (_, Some(delta)) => {
                let empty = || ZoneContent::new(entry.zone.clone(), delta.before.clone());
                delta.undo(self.content.get_or_insert_with(empty));
            }
            (_, None) => {
                let serial = entry.after.or(entry.before).unwrap_or_default();
                return Err(Unreachable::TooLarge { serial, changed: entry.removed + entry.added });
            }
        }
        self.serial = entry.before;
        Ok(())
    }
}

impl HistoryHead {
    /// The head of a name whose zone is gone.
    pub(super) fn none(serial: u64, count: u64) -> HistoryHead {
        HistoryHead { incarnation: None, version: VersionVector::new(), serial, count }
    }
}

#[cfg(test)]
mod tests;
