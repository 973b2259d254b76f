//! A look at one zone file: what it says now, and what follows from that.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Instant;
use std::{fs, io};

use super::directory::{Ask, RETRY, SETTLE, ZoneFiles};
use super::entry::{Accepted, Entry};
use super::held::Cause;
use super::read::{Earlier, Reading, Signature, Unread, read, still};
use super::save::{Situation, Step, marker_of};
use super::{origin, write};
use crate::account;
use crate::master::{Diagnostic, Level, Marker};
use crate::zone::{Name, Zone};

impl ZoneFiles {
    /// Looks at a file that is due. Returns the command that it asks for, if any.
    pub(super) fn look(&mut self, origin: &Name) -> Option<Ask> {
        let earlier = self.earlier(origin);
        let entry = self.entries.get(origin)?;
        let path = entry.path.clone();
        // A file of which only the changes are read tells as quickly that there are none.
        if earlier.is_none()
            && let Some(sources) = entry.dealt.and_then(|hash| still(&entry.sources, hash))
        {
            self.entries.update(origin, |entry| entry.sources = sources);
            self.found_again(origin);
            return None;
        }
        if self.remembered(origin) {
            return None;
        }
        let began = Instant::now();
        let reading = self.read(origin, &path, earlier.as_ref());
        tracing::debug!(zone = %origin, took_ms = began.elapsed().as_millis(), "a zone file was read");
        match reading {
            Err(Unread::Missing) => self.missing(origin),
            Err(Unread::Moving) => self.look_again(origin, SETTLE),
            Err(Unread::Failed(error)) => self.hold_unreadable(origin, &path, &error),
            Ok(reading) => {
                let is_news = self.entries.update(origin, |entry| {
                    entry.sources.clone_from(&reading.sources);
                    let is_news = entry.dealt != Some(reading.hash);
                    entry.missing_since.take_if(|_| is_news);
                    is_news
                })?;
                if is_news {
                    return self.saved(origin, reading);
                }
                self.found_again(origin);
            }
        }
        None
    }

    /// Whether the file of a zone that is served is as this node last saw it agree with the zone, before it was started
    /// anew: then there is no need to read what it says.
    fn remembered(&mut self, origin: &Name) -> bool {
        let is_new = |entry: &&Entry| entry.dealt.is_none() && entry.accepted.is_none();
        let Some(entry) = self.entries.get(origin).filter(is_new) else { return false };
        let Some(served) = self.served(origin) else { return false };
        let Some(agreed) = self.bases.agreed(origin).filter(|agreed| agreed.is_of(&entry.path)) else { return false };
        let accepted = Accepted { hash: agreed.hash, marker: agreed.marker(), serial: agreed.serial };
        let Some(sources) = still(&agreed.sources(), agreed.hash) else { return false };
        let is_large = matches!(&sources[..], [only] if only.signature.is_some_and(Signature::is_large));
        let agrees = accepted.marker == marker_of(&served) && accepted.serial == served.soa().serial;
        self.entries.update(origin, |entry| {
            entry.said = (is_large && agrees).then(|| Zone::clone(&served));
            entry.sources = sources;
            entry.accepted = Some(accepted);
            entry.dealt = Some(agreed.hash);
            entry.missing_since = None;
        });
        self.readings.remove(origin);
        self.settled(origin);
        true
    }

    /// Reads a file, unless what was read a moment ago is still what it says.
    pub(super) fn read(&mut self, origin: &Name, path: &Path, earlier: Option<&Earlier>) -> Result<Reading, Unread> {
        if let Some(mut reading) = self.readings.remove(origin)
            && reading.sources.first().is_some_and(|main| main.path == path)
            && let Some(sources) = still(&reading.sources, reading.hash)
        {
            reading.sources = sources;
            return Ok(reading);
        }
        read(path, origin, earlier)
    }

    /// A file is as it was when it was last dealt with; it may have been away, or unreadable, meanwhile.
    fn found_again(&mut self, origin: &Name) {
        let Some(was_missing) = self.entries.update(origin, |entry| entry.missing_since.take().is_some()) else {
            return;
        };
        if was_missing {
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
        let entry = self.entries.get(origin)?;
        let path = entry.path.clone();
        let file = match &reading.parsed {
            Ok(file) => file,
            Err(_) if entry.suspect != Some(reading.hash) => {
                self.entries.update(origin, |entry| entry.suspect = Some(reading.hash));
                self.look_again(origin, SETTLE);
                return None;
            }
            Err(diagnostics) => {
                self.entries.update(origin, |entry| entry.dealt = Some(reading.hash));
                self.hold_errors(origin, &path, diagnostics.clone());
                return None;
            }
        };
        let served = self.served(origin);
        // The version that the person started from is the one that is served: it need not be read from the disk.
        let is_latest = served.as_deref().is_some_and(|served| file.marker() == marker_of(served));
        let kept = || entry.said_under(file.marker()).cloned().or_else(|| self.bases.get(origin, file.marker()));
        let base = if is_latest { None } else { kept() };
        let step = Situation {
            file,
            hash: reading.hash,
            approved: entry.approved,
            base: base.as_ref(),
            known: self.bases.knows(origin),
            served: served.as_deref(),
            offered: self.offered.get(origin),
            note: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            who: fs::metadata(&path).map_or_else(|_| String::new(), |metadata| account::name_of(metadata.uid())),
        }
        .step();
        match step {
            Step::Same => self.accept(origin, reading, 0),
            Step::Ask(command) => return Some(Ask { origin: origin.clone(), reading, command }),
            Step::Hold(cause, reason) => {
                self.entries.update(origin, |entry| entry.dealt = Some(reading.hash));
                self.hold(origin, &path, cause, reason, Vec::new());
            }
            Step::KeepAside => self.keep_aside(origin, reading),
        }
        None
    }

    /// A file says something that is part of the zone from now on, or was before; `serial` is the zone's with it.
    pub(super) fn accept(&mut self, origin: &Name, reading: Reading, serial: u64) {
        let Ok(file) = &reading.parsed else { return };
        let accepted = self.entries.update(origin, |entry| {
            entry.accept(&reading, file, file.zone());
            entry.applied = entry.applied.max(serial);
            entry.compare = true;
        });
        if accepted.is_none() {
            return;
        }
        self.keep_base(file.marker(), file.zone());
        self.bases.put_text(origin, &reading);
        // It is about to be written back.
        self.readings.insert(origin.clone(), reading);
        self.settled(origin);
    }

    /// Nothing is open about a file any more but what the zone may have beyond it.
    fn settled(&mut self, origin: &Name) {
        self.offered.remove(origin);
        self.deferred.remove(origin);
        self.doubted.remove(origin);
        self.held.release(origin);
        self.outdated.insert(origin.clone());
        // Who saved a file wants to see the serial in it, and may save again on top of that.
        self.resting.remove(origin);
    }

    /// Keeps a base. Without one a later save is compared with the zone as it is served then.
    pub(super) fn keep_base(&self, marker: Option<Marker>, content: &Zone) {
        if let Err(error) = self.bases.put(marker, content) {
            tracing::warn!(zone = %content.origin(), %error, "cannot keep what a zone file said; an open editor may undo others' edits");
        }
    }

    /// The cluster's zone wins over a file that was never part of it.
    fn keep_aside(&mut self, origin: &Name, reading: Reading) {
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
            self.readings.remove(origin);
            self.deferred.remove(origin);
            self.held.release(origin);
            return;
        }
        let served = self.served(origin).is_some();
        let note_missing = |entry: &mut Entry| *entry.missing_since.get_or_insert_with(Instant::now);
        let Some(since) = self.entries.update(origin, note_missing) else { return };
        if since.elapsed() < SETTLE {
            self.look_again(origin, SETTLE);
        } else if served {
            let forget_state = |entry: &mut Entry| {
                entry.dealt = None;
                entry.path.clone()
            };
            let Some(path) = self.entries.update(origin, forget_state) else { return };
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
        self.readings.remove(origin);
        self.deferred.remove(origin);
        self.outdated.remove(origin);
        self.unwritten.remove(origin);
        self.doubted.remove(origin);
        self.held.release(origin);
    }

    pub(super) fn hold_errors(&mut self, origin: &Name, path: &Path, diagnostics: Vec<Diagnostic>) {
        let first = diagnostics.iter().find(|diagnostic| diagnostic.level == Level::Error);
        let reason = match first {
            Some(first) => format!("{first}; mend it and save, the zone is served as it was until then"),
            None => "the file says nothing; the zone is served as it was".to_owned(),
        };
        self.hold(origin, path, Cause::Errors, reason, diagnostics);
    }

    pub(super) fn hold_unreadable(&mut self, origin: &Name, path: &Path, error: &io::Error) {
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
