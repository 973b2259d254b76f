//! The zone directory: all its files, and what happens when one of them was saved or is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fs, io};

use super::bases::Bases;
use super::entry::{Entry, places};
use super::held::{Cause, HeldFiles};
use super::read::{Reading, Unread, read, still};
use super::save::{Situation, Step, is_replicated};
use super::watcher::Kind;
use super::{FilesError, origin, scan, write};
use crate::master::Diagnostic;
use crate::metrics::Metrics;
use crate::node::Command;
use crate::zone::{Name, Zone, ZoneContent, ZoneSet};

/// After a file was closed or renamed: for the other steps of an editor's save to follow.
pub(super) const QUIET: Duration = Duration::from_millis(20);

/// After a write to a file that is still open, or a change found without a hint: for the writer to finish.
pub(super) const UNDERWAY: Duration = Duration::from_millis(500);

/// Before a file with errors is believed to have them, and a missing file to be missing: long enough for any tool that
/// removes a file to write it anew.
pub(super) const SETTLE: Duration = Duration::from_millis(400);

/// Between attempts at what the node or the disk refuses for the time being.
pub(super) const RETRY: Duration = Duration::from_secs(1);

/// The zone files of a node.
pub struct ZoneFiles {
    pub(super) directory: PathBuf,
    pub(super) bases: Bases,
    pub(super) entries: BTreeMap<Name, Entry>,
    pub(super) held: HeldFiles,
    pub(super) metrics: Arc<Metrics>,
    /// What was offered to the node at start.
    pub(super) offered: BTreeMap<Name, ZoneContent>,
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
    /// Opens a directory of zone files, and reads them all: what this node has to offer. `data_dir` is where bases are
    /// kept. The zone directory is made if it is missing on a node that never had zones; on others its absence is
    /// trouble that is shown, and deletes nothing.
    pub fn open(
        zones_dir: &Path,
        data_dir: &Path,
        metrics: Arc<Metrics>,
    ) -> Result<(ZoneFiles, Vec<ZoneContent>), FilesError> {
        let bases_dir = data_dir.join("bases");
        let bases = Bases::open(bases_dir.clone()).map_err(|source| FilesError::Bases { path: bases_dir, source })?;
        let unusable = |source| FilesError::Directory { path: zones_dir.to_owned(), source };
        let directory = std::path::absolute(zones_dir).map_err(unusable)?;
        if bases.is_empty() {
            fs::create_dir_all(&directory).map_err(unusable)?;
            fs::read_dir(&directory).map_err(unusable)?;
        }
        let mut files = ZoneFiles {
            directory: directory.canonicalize().unwrap_or(directory),
            bases,
            entries: BTreeMap::new(),
            held: HeldFiles::new(),
            metrics,
            offered: BTreeMap::new(),
            zones: Arc::default(),
            seen: BTreeSet::new(),
            due: BTreeMap::new(),
            deferred: BTreeSet::new(),
            outdated: BTreeSet::new(),
            unwritten: BTreeSet::new(),
            doubted: BTreeSet::new(),
            strange: BTreeSet::new(),
        };
        files.rescan(Duration::ZERO);
        let offer = files.read_offer();
        files.offered = offer.iter().map(|content| (content.origin.clone(), content.clone())).collect();
        Ok((files, offer))
    }

    /// Reads every file once. One with errors is shown as held at once: there is no older version of it to serve.
    fn read_offer(&mut self) -> Vec<ZoneContent> {
        let mut offer = Vec::new();
        let files: Vec<(Name, PathBuf)> =
            self.entries.iter().map(|(origin, entry)| (origin.clone(), entry.path.clone())).collect();
        for (origin, path) in files {
            match read(&path, &origin) {
                Ok(Reading { parsed: Ok(file), .. }) => offer.push(file.content().clone()),
                Ok(Reading { parsed: Err(diagnostics), .. }) => self.hold_errors(&origin, &path, diagnostics),
                Err(Unread::Failed(error)) => self.hold_unreadable(&origin, &path, &error),
                Err(Unread::Missing | Unread::Moving) => {}
            }
        }
        offer
    }

    /// Lists the directory and makes every file due, after `delay`, that is not certainly as it was.
    pub(super) fn rescan(&mut self, delay: Duration) {
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
        for (origin, entry) in &self.entries {
            if !listing.files.contains_key(origin) && entry.missing_since.is_none() && !is_missing(&self.held, origin) {
                self.due.entry(origin.clone()).or_insert(at);
            }
        }
        for (origin, path) in listing.files {
            let entry = self.entries.entry(origin.clone()).or_insert_with(|| Entry::new(path.clone()));
            entry.path = path;
            if !entry.is_unchanged() {
                self.due.entry(origin).or_insert(at);
            }
        }
    }

    fn directory_trouble(&mut self, error: &io::Error) {
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
        let sources = self.entries.values().flat_map(|entry| &entry.sources);
        sources
            .flat_map(|source| places(&source.path))
            .filter_map(|path| path.parent().map(Path::to_owned))
            .chain([self.directory.clone()])
            .collect()
    }

    /// Something happened to a path: makes the files due that have a text there, a new one of the directory included.
    pub(super) fn touched(&mut self, path: &Path, kind: Kind) {
        let own = origin::origin_of(path).and_then(Result::ok).filter(|_| path.parent() == Some(&self.directory));
        if let Some(origin) = own
            && !self.entries.contains_key(&origin)
        {
            self.entries.insert(origin, Entry::new(path.to_owned()));
        }
        let now = Instant::now();
        for (origin, entry) in &self.entries {
            if entry.path != path && !entry.consists_of(path) {
                continue;
            }
            match kind {
                Kind::Done => self.due.insert(origin.clone(), now + QUIET),
                Kind::Underway => self.due.insert(origin.clone(), now + UNDERWAY),
                Kind::Attributes => Some(*self.due.entry(origin.clone()).or_insert(now + QUIET)),
            };
        }
    }

    /// Makes a file due.
    pub(super) fn look_again(&mut self, origin: &Name, delay: Duration) {
        self.due.insert(origin.clone(), Instant::now() + delay);
    }

    /// The zone as it is published, if it is replicated.
    pub(super) fn served(&self, origin: &Name) -> Option<Arc<Zone>> {
        self.zones.get(origin).filter(|zone| is_replicated(zone)).cloned()
    }

    /// Looks at a file that is due. Returns the command that it asks for, if any.
    pub(super) fn look(&mut self, origin: &Name) -> Option<Ask> {
        let entry = self.entries.get_mut(origin)?;
        let path = entry.path.clone();
        if let Some(sources) = entry.dealt.and_then(|hash| still(&entry.sources, hash)) {
            entry.sources = sources;
            self.found_again(origin);
            return None;
        }
        match read(&path, origin) {
            Err(Unread::Missing) => self.missing(origin),
            Err(Unread::Moving) => self.look_again(origin, SETTLE),
            Err(Unread::Failed(error)) => self.hold_unreadable(origin, &path, &error),
            Ok(reading) => {
                entry.sources.clone_from(&reading.sources);
                if entry.dealt != Some(reading.hash) {
                    entry.missing_since = None;
                    return self.saved(origin, reading);
                }
                self.found_again(origin);
            }
        }
        None
    }

    /// A file is as it was when it was last dealt with; it may have been away, or unreadable, meanwhile.
    fn found_again(&mut self, origin: &Name) {
        let Some(entry) = self.entries.get_mut(origin) else { return };
        if entry.missing_since.take().is_some() {
            self.outdated.insert(origin.clone());
        }
        if matches!(self.held.cause(origin), Some(Cause::Missing | Cause::Disk(_))) && !self.unwritten.contains(origin)
        {
            self.held.release(origin);
            self.outdated.insert(origin.clone());
        }
    }

    /// A file has another state than the one dealt with last.
    fn saved(&mut self, origin: &Name, reading: Reading) -> Option<Ask> {
        let entry = self.entries.get_mut(origin)?;
        let path = entry.path.clone();
        let file = match &reading.parsed {
            Ok(file) => file,
            Err(_) if entry.suspect != Some(reading.hash) => {
                entry.suspect = Some(reading.hash);
                self.look_again(origin, SETTLE);
                return None;
            }
            Err(diagnostics) => {
                entry.dealt = Some(reading.hash);
                self.hold_errors(origin, &path, diagnostics.clone());
                return None;
            }
        };
        let served = self.zones.get(origin).filter(|zone| is_replicated(zone)).cloned();
        let base = self.bases.get(origin, file.marker());
        let step = Situation {
            file,
            hash: reading.hash,
            approved: entry.approved,
            base: base.as_ref(),
            known: self.bases.knows(origin),
            served: served.as_deref(),
            offered: self.offered.get(origin),
            note: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        }
        .step();
        match step {
            Step::Same => self.accept(origin, &reading, 0),
            Step::Ask(command) => return Some(Ask { origin: origin.clone(), reading, command }),
            Step::Hold(cause, reason) => {
                entry.dealt = Some(reading.hash);
                self.hold(origin, &path, cause, reason, Vec::new());
            }
            Step::KeepAside => self.keep_aside(origin, &reading),
        }
        None
    }

    /// A file says something that is part of the zone from now on, or was before; `serial` is the zone's with it.
    pub(super) fn accept(&mut self, origin: &Name, reading: &Reading, serial: u64) {
        let (Some(entry), Ok(file)) = (self.entries.get_mut(origin), &reading.parsed) else { return };
        entry.accept(reading, file);
        entry.applied = entry.applied.max(serial);
        entry.compare = true;
        self.keep_base(file.marker(), file.content());
        self.bases.put_text(origin, (reading.sources.len() == 1).then_some(&reading.text[..]));
        self.offered.remove(origin);
        self.deferred.remove(origin);
        self.doubted.remove(origin);
        self.held.release(origin);
        self.outdated.insert(origin.clone());
    }

    /// Keeps a base. Without one a later save is compared with the zone as it is served then.
    pub(super) fn keep_base(&self, marker: Option<crate::master::Marker>, content: &ZoneContent) {
        if self.bases.get(&content.origin, marker).as_ref() == Some(content) {
            return;
        }
        if let Err(error) = self.bases.put(marker, content) {
            tracing::warn!(zone = %content.origin, %error, "cannot keep what a zone file said; an open editor may undo others' edits");
        }
    }

    /// The cluster's zone wins over a file that was never part of it.
    fn keep_aside(&mut self, origin: &Name, reading: &Reading) {
        let (Some(entry), Ok(file)) = (self.entries.get(origin), &reading.parsed) else { return };
        let path = entry.path.clone();
        let copies: io::Result<Vec<String>> = file
            .sources()
            .map(|(name, text)| Ok(write::copy_aside(Path::new(name), text, "orig")?.display().to_string()))
            .collect();
        match copies {
            Ok(kept) => {
                tracing::warn!(
                    zone = %origin, kept = kept.join(", "),
                    "the cluster has this zone with other content, which wins; the local file is kept aside, take from it what is needed"
                );
                self.accept(origin, reading, 0);
            }
            Err(error) => {
                let reason = format!(
                    "the cluster's zone differs, and the file cannot be kept aside before it is replaced: {error}"
                );
                self.hold(origin, &path, Cause::Refused(reason.clone()), reason, Vec::new());
                self.look_again(origin, RETRY);
            }
        }
    }

    /// A file is not where it was.
    fn missing(&mut self, origin: &Name) {
        // Without its directory a file is not missing: nothing is known of it.
        if let Err(error) = fs::read_dir(&self.directory) {
            return self.directory_trouble(&error);
        }
        if !self.bases.knows(origin) {
            self.entries.remove(origin);
            self.deferred.remove(origin);
            self.held.release(origin);
            return;
        }
        let served = self.served(origin).is_some();
        let Some(entry) = self.entries.get_mut(origin) else { return };
        let since = *entry.missing_since.get_or_insert_with(Instant::now);
        if since.elapsed() < SETTLE {
            self.look_again(origin, SETTLE);
        } else if served {
            entry.dealt = None;
            let path = entry.path.clone();
            let reason = format!(
                "the file is missing, the zone is served as it was; to delete the zone on every node: \
                 `grapevine zone approve {origin}`, to restore the file: `grapevine zone reject {origin}`"
            );
            self.hold(origin, &path, Cause::Missing, reason, Vec::new());
        }
    }

    /// A zone was deleted: its file goes aside, so that nothing of it comes back by itself.
    pub(super) fn deleted(&mut self, origin: &Name) {
        let path = match self.entries.remove(origin) {
            Some(entry) => entry.path,
            None => self.directory.join(origin::file_name(origin)),
        };
        match write::move_aside(&path, "deleted") {
            Ok(aside) => {
                tracing::info!(zone = %origin, kept = %aside.display(), "the zone was deleted, its file is kept aside")
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                tracing::info!(zone = %origin, "the zone was deleted")
            }
            Err(error) => {
                tracing::error!(zone = %origin, file = %path.display(), %error, "the zone was deleted, but its file cannot be moved aside");
            }
        }
        self.bases.forget(origin);
        self.seen.remove(origin);
        self.due.remove(origin);
        self.deferred.remove(origin);
        self.outdated.remove(origin);
        self.unwritten.remove(origin);
        self.doubted.remove(origin);
        self.held.release(origin);
    }

    pub(super) fn hold_errors(&mut self, origin: &Name, path: &Path, diagnostics: Vec<Diagnostic>) {
        let first = diagnostics.iter().find(|diagnostic| diagnostic.level == crate::master::Level::Error);
        let reason = match first {
            Some(first) => format!("{first}; mend it and save, the zone is served as it was until then"),
            None => "the file says nothing; the zone is served as it was".to_owned(),
        };
        self.hold(origin, path, Cause::Errors, reason, diagnostics);
    }

    fn hold_unreadable(&mut self, origin: &Name, path: &Path, error: &io::Error) {
        let reason = format!("the file cannot be read: {error}; the zone is served as it was");
        self.hold(origin, path, Cause::Disk(reason.clone()), reason, Vec::new());
    }

    pub(super) fn hold(
        &mut self,
        origin: &Name,
        path: &Path,
        cause: Cause,
        reason: String,
        diagnostics: Vec<Diagnostic>,
    ) {
        if self.held.hold(origin, path, cause, reason.clone(), diagnostics) {
            self.metrics.files_held.inc();
            tracing::warn!(zone = %origin, file = %path.display(), reason, "a zone file is held");
        }
    }
}

fn is_missing(held: &HeldFiles, origin: &Name) -> bool {
    matches!(held.cause(origin), Some(Cause::Missing))
}
