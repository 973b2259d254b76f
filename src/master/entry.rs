//! What was read from a master file, in the order in which it takes effect, and where each piece lies.

use std::ops::Range;
use std::sync::Arc;

use crate::zone::{Name, Rdata, RecordType};

/// A text that was read: the main file or an included one.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) path: String,
    pub(super) text: Arc<[u8]>,
    /// How often it was included; edits of a text that stands for several sets of records cannot be made in place.
    pub(super) uses: u32,
}

/// One entry of a source, or the end of an included one.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Index of the source.
    pub(super) source: u32,
    /// First byte of its first line.
    pub(super) start: u32,
    /// The byte after its last line.
    pub(super) end: u32,
    /// Number of its first line.
    pub(super) line: u32,
    pub(super) kind: EntryKind,
}

impl Entry {
    pub(super) fn range(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

#[derive(Clone, Debug)]
pub(super) enum EntryKind {
    /// One record.
    Record(RecordEntry),
    /// `$GENERATE` and what came of it.
    Generate(Box<GenerateEntry>),
    /// A record outside the zone, which is left out; a TTL that it states still counts for those after it.
    OutOfZone {
        /// The TTL that it states.
        stated_ttl: Option<u32>,
    },
    /// `$ORIGIN`.
    Origin(Name),
    /// `$TTL`.
    Ttl(u32),
    /// `$INCLUDE`; its entries follow up to the end, which has this index among the entries.
    Include {
        /// The origin that the included file starts with.
        origin: Name,
        /// The source that is included.
        included: u32,
        /// The index of the matching [`EntryKind::IncludeEnd`].
        end: u32,
    },
    /// The end of an included file: origin and owner are again what they were before it.
    IncludeEnd,
}

/// A record as an entry states it.
#[derive(Clone, Debug)]
pub(super) struct RecordEntry {
    pub(super) owner: Name,
    pub(super) rtype: RecordType,
    pub(super) ttl: u32,
    pub(super) rdata: Rdata,
    /// Whether the entry states the owner; else it is that of the entry before.
    pub(super) owner_stated: bool,
    pub(super) ttl_stated: bool,
    /// The same record's data as an earlier entry has it, perhaps with names in another case.
    pub(super) repeats: Option<Rdata>,
}

/// The records of a `$GENERATE`, all of one type and TTL.
#[derive(Clone, Debug)]
pub(super) struct GenerateEntry {
    pub(super) rtype: RecordType,
    pub(super) ttl: u32,
    pub(super) ttl_stated: bool,
    pub(super) records: Vec<(Name, Rdata)>,
    /// Those that earlier entries have too, with the data as it stands there.
    pub(super) repeats: Vec<(Name, Rdata)>,
}
