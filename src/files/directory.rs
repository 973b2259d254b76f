//! The zone directory: all its files, and what happens when one of them was saved or is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fs, io};

use super::bases::Bases;
use super::entries::Entries;
use super::entry::Entry;
use super::held::{Cause, HeldFiles};
use super::read::{Earlier, Reading, Unread, assemble, read};
use super::rewrite::{self, Rewrite};
use super::save::is_replicated;
use super::watcher::Kind;
use super::{FilesError, origin, scan, write};
use crate::metrics::Metrics;
use crate::node::Command;
use crate::zone::{Name, Zone, ZoneSet};

/// After a file was closed or renamed: for the other steps of an editor's save to follow.
pub(super) const QUIET: Duration = Duration::from_millis(20);

/// After a file that is a zone's only one was renamed to its place, which is the last step of a save: for others that a
/// tool renames with it.
pub(super) const PLACED: Duration = Duration::from_millis(5);

/// After a write to a file that is still open: for its writer to go on. A program that prints a zone line by line may
/// think for seconds in between, and half a zone must not pass for a whole one; closing the file ends the wait.
pub(super) const UNDERWAY: Duration = Duration::from_secs(5);

/// After a change found without a hint: for the writer to finish.
pub(super) const UNSEEN: Duration = Duration::from_millis(500);

/// Before a file with errors is believed to have them, and a missing file to be missing: long enough for any tool that
/// removes a file to write it anew.
pub(super) const SETTLE: Duration = Duration::from_millis(400);

/// Between attempts at what the node or the disk refuses for the time being.
pub(super) const RETRY: Duration = Duration::from_secs(1);

/// The zone files of a node.
pub struct ZoneFiles {
    /// The directory as it was named; a link may come to point elsewhere.
    named: PathBuf,
    pub(super) directory: PathBuf,
    pub(super) bases: Bases,
    pub(super) entries: Entries,
    pub(super) held: HeldFiles,
    pub(super) metrics: Arc<Metrics>,
    /// What was offered to the node at start.
    pub(super) offered: BTreeMap<Name, Zone>,
    /// What was read a moment ago and is wanted again at once: files that were read at the start or that the node does
    /// not take yet, and those that were just taken over.
    pub(super) readings: BTreeMap<Name, Reading>,
    /// The zones as they are published.
    pub(super) zones: Arc<ZoneSet>,
    /// Replicated zones published so far: one that vanishes from the set was deleted.
    pub(super) seen: BTreeSet<Name>,
    /// When to look at a file.
    pub(super) due: BTreeMap<Name, Instant>,
    /// Saves that the node does not take yet.
    pub(super) deferred: BTreeSet<Name>,
    /// Zones whose files may differ from what is published.
    pub(super) outdated: BTreeSet<Name>,
    /// Those of them whose files take long to write, and when it may be done again.
    pub(super) resting: BTreeMap<Name, Instant>,
    /// Zones whose files could not be written.
    pub(super) unwritten: BTreeSet<Name>,
    /// Zones of files that the node once said not to have.
    pub(super) doubted: BTreeSet<Name>,
    /// Files that were complained about for their names.
    strange: BTreeSet<PathBuf>,
}

/// A command that a save asks for, with all that is needed once it is answered.
#[derive(Debug)]
pub(super) struct Ask {
    pub origin: Name,
    pub reading: Reading,
    pub command: Command,
}

impl ZoneFiles {
    /// Opens a directory of zone files, and reads them all if the node wants to know what it has to offer. `data_dir` is
    /// where bases are kept. The zone directory is made if it is missing on a node that never had zones; on others its absence is
    /// trouble that is shown, and deletes nothing.
    pub fn open(
        zones_dir: &Path,
        data_dir: &Path,
        is_offer_wanted: bool,
        metrics: Arc<Metrics>,
    ) -> Result<(ZoneFiles, Vec<Zone>), FilesError> {
        let bases_dir = data_dir.join("bases");
        let bases = Bases::open(bases_dir.clone()).map_err(|source| FilesError::Bases { path: bases_dir, source })?;
        let unusable = |source| FilesError::Directory { path: zones_dir.to_owned(), source };
        let named = std::path::absolute(zones_dir).map_err(unusable)?;
        if bases.is_empty() {
            fs::create_dir_all(&named).map_err(unusable)?;
            fs::read_dir(&named).map_err(unusable)?;
        }
        let mut files = ZoneFiles {
            directory: named.canonicalize().unwrap_or_else(|_| named.clone()),
            named,
            bases,
            entries: Entries::default(),
            held: HeldFiles::new(),
            metrics,
            offered: BTreeMap::new(),
            readings: BTreeMap::new(),
            zones: Arc::default(),
            seen: BTreeSet::new(),
            due: BTreeMap::new(),
            deferred: BTreeSet::new(),
            outdated: BTreeSet::new(),
            resting: BTreeMap::new(),
            unwritten: BTreeSet::new(),
            doubted: BTreeSet::new(),
            strange: BTreeSet::new(),
        };
        files.rescan(Duration::ZERO);
        files.end_exchanges();
        let offer = if is_offer_wanted { files.read_offer() } else { Vec::new() };
        files.offered = offer.iter().map(|content| (content.origin().clone(), content.clone())).collect();
        Ok((files, offer))
    }

    /// Puts back the saves that were swapped out for a moment when the node crashed. A text that says just what this
    /// node has read or written under its marker is no save, but the other side of the exchange.
    fn end_exchanges(&self) {
        for (origin, entry) in self.entries.iter() {
            if let Some(rewrites) = self.bases.rewrites(origin) {
                self.undo(origin, &rewrites);
                continue;
            }
            let Some(text) = write::swapped_out(&entry.path) else { continue };
            let texts = BTreeMap::from([(entry.path.to_string_lossy().into_owned(), text.into())]);
            let is_save = match assemble(&entry.path, origin, &texts, None).map(|reading| reading.parsed) {
                Ok(Ok(file)) => self.bases.get(origin, file.marker()).is_some_and(|base| base != *file.zone()),
                _ => true,
            };
            match write::end_exchange(&entry.path, is_save) {
                Ok(()) if is_save => {
                    tracing::info!(zone = %origin, "a save that was put aside by a crash is in its place again");
                }
                Ok(()) => {}
                Err(error) => {
                    let file = entry.path.display();
                    tracing::error!(zone = %origin, %file, %error, "a file cannot be put back as it was before a crash");
                }
            }
        }
    }

    /// The same for a file of several texts.
    fn undo(&self, origin: &Name, rewrites: &[Rewrite]) {
        match rewrite::undo(rewrites) {
            Ok(saves) => {
                for file in saves {
                    let file = file.display();
                    tracing::info!(zone = %origin, %file, "a save that was put aside by a crash is there again");
                }
                self.bases.end_rewrites(origin);
            }
            Err(error) => {
                tracing::error!(zone = %origin, %error, "the files of a zone cannot be put back as they were before a crash");
            }
        }
    }

    /// Reads every file once. One with errors is shown as held at once: there is no older version of it to serve.
    fn read_offer(&mut self) -> Vec<Zone> {
        let mut offer = Vec::new();
        let files: Vec<(Name, PathBuf)> =
            self.entries.iter().map(|(origin, entry)| (origin.clone(), entry.path.clone())).collect();
        for (origin, path) in files {
            match read(&path, &origin, None) {
                Ok(Reading { parsed: Err(diagnostics), .. }) => self.hold_errors(&origin, &path, diagnostics),
                Ok(reading) => {
                    offer.extend(reading.parsed.as_ref().ok().map(|file| file.zone().clone()));
                    self.readings.insert(origin, reading);
                }
                Err(Unread::Failed(error)) => self.hold_unreadable(&origin, &path, &error),
                Err(Unread::Missing | Unread::Moving) => {}
            }
        }
        offer
    }

    /// The files that are due, those first that became so last: somebody has just saved them, and the others have waited
    /// since the start.
    pub(super) fn next_due(&self, now: Instant) -> Vec<Name> {
        let mut due: Vec<(Instant, &Name)> =
            self.due.iter().filter(|(_, at)| **at <= now).map(|(origin, at)| (*at, origin)).collect();
        due.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        due.into_iter().map(|(_, origin)| origin.clone()).collect()
    }

    /// Lists the directory and makes every file due, after `delay`, that is not certainly as it was.
    pub(super) fn rescan(&mut self, delay: Duration) {
        self.follow_link();
        let listing = match scan::list(&self.directory) {
            Ok(listing) => listing,
            Err(error) => return self.directory_trouble(&error),
        };
        if self.held.set_directory(&self.directory, None) {
            tracing::info!(directory = %self.directory.display(), "the zone directory can be read again");
        }
        for (path, why) in listing.strange {
            if self.strange.insert(path) {
                tracing::warn!(why, "a file in the zone directory is left out of account");
            }
        }
        for (origin, path) in listing.doubles {
            if self.strange.insert(path.clone()) {
                tracing::warn!(zone = %origin, file = %path.display(), "another file of the same zone is left out of account");
            }
        }
        let at = Instant::now() + delay;
        for (origin, entry) in self.entries.iter() {
            if !listing.files.contains_key(origin) && entry.missing_since.is_none() && !is_missing(&self.held, origin) {
                self.due.entry(origin.clone()).or_insert(at);
            }
        }
        for (origin, path) in listing.files {
            if self.entries.get_or_new(&origin, path.clone()).path != path {
                self.entries.update(&origin, |entry| entry.path = path);
            }
            if !self.entries.get(&origin).is_some_and(Entry::is_unchanged) {
                self.due.entry(origin).or_insert(at);
            }
        }
    }

    /// Moves on to the directory that the named one is now, if that is a link to another one than before, as with tools
    /// that deploy each release into a directory of its own.
    fn follow_link(&mut self) {
        // Without a target the link is being changed, or the directory is gone: then what was there is looked at.
        let Ok(now) = self.named.canonicalize() else { return };
        if now == self.directory {
            return;
        }
        tracing::info!(from = %self.directory.display(), to = %now.display(), "the zone directory is another one");
        self.entries.update_all(|entry| {
            if let Some(name) = entry.path.file_name() {
                entry.path = now.join(name);
                // Each file is read, whatever the one in the other directory was.
                entry.sources.clear();
            }
        });
        self.directory = now;
    }

    pub(super) fn directory_trouble(&mut self, error: &io::Error) {
        let reason = format!(
            "the zone directory cannot be read: {error}; saves are not seen until it can, nothing is deleted, and every \
             zone is served as it was"
        );
        if self.held.set_directory(&self.directory, Some(reason)) {
            tracing::error!(directory = %self.directory.display(), %error, "the zone directory cannot be read");
        }
    }

    /// The directories where something may happen to a file.
    pub(super) fn directories(&self) -> BTreeSet<PathBuf> {
        self.entries.directories().chain([self.directory.as_path()]).map(Path::to_owned).collect()
    }

    /// Something happened to a path: makes the files due that have a text there, a new one of the directory included.
    pub(super) fn touched(&mut self, path: &Path, kind: Kind) {
        let own = origin::origin_of(path).and_then(Result::ok).filter(|_| path.parent() == Some(&self.directory));
        if let Some(origin) = own {
            self.entries.get_or_new(&origin, path.to_owned());
        }
        let now = Instant::now();
        for (origin, entry) in self.entries.at(path) {
            match kind {
                Kind::Placed if entry.is_placed_anew() => self.due.insert(origin.clone(), now + PLACED),
                Kind::Done | Kind::Placed => self.due.insert(origin.clone(), now + QUIET),
                Kind::Underway => self.due.insert(origin.clone(), now + UNDERWAY),
                Kind::Attributes => Some(*self.due.entry(origin.clone()).or_insert(now + QUIET)),
            };
        }
    }

    /// Makes a file due.
    pub(super) fn look_again(&mut self, origin: &Name, delay: Duration) {
        self.due.insert(origin.clone(), Instant::now() + delay);
    }

    /// The state of a large file that was taken over or written last, if it can be read again by what has changed since.
    pub(super) fn earlier(&self, origin: &Name) -> Option<Earlier> {
        let entry = self.entries.get(origin)?;
        let (accepted, zone) = (entry.accepted?, entry.said.clone()?);
        let text = self.bases.text(origin).filter(|text| text.is_plain() && text.hash() == accepted.hash)?;
        Some(Earlier { text, zone })
    }

    /// The zone as it is published, if it is replicated.
    pub(super) fn served(&self, origin: &Name) -> Option<Arc<Zone>> {
        self.zones.get(origin).filter(|zone| is_replicated(zone)).cloned()
    }
}

fn is_missing(held: &HeldFiles, origin: &Name) -> bool {
    matches!(held.cause(origin), Some(Cause::Missing))
}
