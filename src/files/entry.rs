//! What is known of the file of one zone.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::read::{Hash, Reading, Signature, SourceFile};
use crate::master::{Marker, ZoneFile};
use crate::zone::Zone;

/// From how many bytes on a file is large: to read it as a whole takes more than some milliseconds.
pub(super) const LARGE: usize = 512 << 10;

/// The file of one zone, from the first look at it on. [`super::entries::Entries`] has them all.
#[derive(Debug)]
pub(super) struct Entry {
    /// Where it is.
    pub path: PathBuf,
    /// The texts it consisted of when it was last read.
    pub sources: Vec<SourceFile>,
    /// The state that was last dealt with, for good or bad. The same state again is no news.
    pub dealt: Option<Hash>,
    /// The state that was last taken over or written.
    pub accepted: Option<Accepted>,
    /// What the file said in that state, if it is a large one of which changes are read alone. It shares most with the zone
    /// as it is served.
    pub said: Option<Zone>,
    /// The serial that the zone had with this file's last edit in it. What is published below it lacks the edit and
    /// must not be written over the file.
    pub applied: u64,
    /// Whether the file may say something else than the zone though it bears the zone's marker.
    pub compare: bool,
    /// Since when the file is not there.
    pub missing_since: Option<Instant>,
    /// A state with errors that was seen once; a second look tells whether it was a write half done.
    pub suspect: Option<Hash>,
    /// A state that a person has approved.
    pub approved: Option<Hash>,
}

/// A file's state that agrees with a version of its zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Accepted {
    pub hash: Hash,
    pub marker: Option<Marker>,
    pub serial: u32,
}

impl Entry {
    pub(super) fn new(path: PathBuf) -> Entry {
        Entry {
            path,
            sources: Vec::new(),
            dealt: None,
            accepted: None,
            said: None,
            applied: 0,
            compare: false,
            missing_since: None,
            suspect: None,
            approved: None,
        }
    }

    /// Whether no text of the file has changed since it was read.
    pub(super) fn is_unchanged(&self) -> bool {
        !self.sources.is_empty()
            && self.sources.iter().all(|source| match source.signature {
                Some(signature) => signature.proves_unchanged(Signature::now(&source.path)),
                None => !source.path.exists(),
            })
    }

    /// Whether the only text of the file is another file than the one that was read, and so not this node's own write.
    pub(super) fn is_placed_anew(&self) -> bool {
        let is_another = |source: &SourceFile| {
            let known = source.signature.zip(Signature::now(&source.path));
            known.is_none_or(|(known, now)| !known.is_of_same_file(now))
        };
        self.sources.len() < 2 && self.sources.iter().all(is_another)
    }

    /// The paths where the file has a text, as the system names them; some may be there twice.
    pub(super) fn places(&self) -> impl Iterator<Item = &Path> {
        let texts = self.sources.iter().flat_map(|source| &source.places);
        texts.chain([&self.path]).map(PathBuf::as_path)
    }

    /// Keeps what a large file says: as the zone that is served, if that is the same, so that it is in memory once.
    pub(super) fn keep_said(&mut self, reading: &Reading, file: &ZoneFile, zone: &Zone) {
        let is_wanted = reading.text.len() >= LARGE && file.plain_from().is_some();
        self.said = is_wanted.then(|| zone.clone());
    }

    /// What the file said when it bore this marker last, if that is still at hand.
    pub(super) fn said_under(&self, marker: Option<Marker>) -> Option<&Zone> {
        self.said.as_ref().filter(|_| self.accepted.is_some_and(|accepted| accepted.marker == marker))
    }

    /// Notes that the state of a reading agrees with a version of the zone, and what it says.
    pub(super) fn accept(&mut self, reading: &Reading, file: &ZoneFile, zone: &Zone) {
        self.keep_said(reading, file, zone);
        let serial = file.zone().soa().serial;
        self.accepted = Some(Accepted { hash: reading.hash, marker: file.marker(), serial });
        self.dealt = Some(reading.hash);
        self.sources.clone_from(&reading.sources);
        self.missing_since = None;
        self.suspect = None;
        self.approved = None;
    }
}
