//! Writing zones back into their files: only the lines that must change, and never over what a person has just saved.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::directory::{QUIET, ZoneFiles};
use super::held::Cause;
use super::read::{Earlier, Reading, Unread, assemble};
use super::rewrite::rewrites;
use super::save::{is_replicated, marker_of};
use super::{origin, write};
use crate::master::{Marker, ZoneFile, render};
use crate::zone::{Name, Zone, ZoneSet};

/// After a file was written it rests at least so many times as long as that took: a zone that is edited all the time
/// must not keep a processor busy with its text, which nobody reads that often.
const REST: u32 = 49;

/// A rest of this is long enough for a person who waits for the file, as long as it is [`LARGE_REST`] times as long as
/// writing took.
const LONG_REST: Duration = Duration::from_secs(15);

/// The same for a file that takes seconds to write.
const LARGE_REST: u32 = 5;

/// Texts by the names of their files.
pub(super) type Texts = BTreeMap<String, Arc<[u8]>>;

/// New texts of a zone file that are proved to say what they must.
pub(super) struct Composed {
    /// The texts that change.
    pub texts: Texts,
    /// What is there instead now; a file that is not among these is not there.
    pub before: Texts,
    /// The file as it will read.
    pub reading: Reading,
    /// Whether nothing of the earlier text is left, comments included.
    pub anew: bool,
}

impl ZoneFiles {
    /// Other zones are published.
    pub(super) fn publish(&mut self, zones: Arc<ZoneSet>) {
        let now: BTreeSet<Name> =
            zones.iter().filter(|zone| is_replicated(zone)).map(|zone| zone.origin().clone()).collect();
        let before = std::mem::replace(&mut self.zones, zones);
        for origin in self.seen.difference(&now).cloned().collect::<Vec<_>>() {
            self.deleted(&origin);
        }
        for origin in &now {
            let version = |zones: &ZoneSet| zones.get(origin).map(|zone| (zone.serial(), zone.version()));
            if version(&before) != version(&self.zones) {
                self.outdated.insert(origin.clone());
            }
            // Refused because the cluster has the zone, which is now to be seen.
            if self.deferred.remove(origin) {
                self.due.insert(origin.clone(), Instant::now());
            }
        }
        self.seen = now;
    }

    /// Writes zones whose files may be out of date, once there is a directory to write to, for so long. Whether there are
    /// more to write at once.
    pub(super) fn write_back(&mut self, slice: Duration) -> bool {
        if self.held.directory_is_lost() {
            return false;
        }
        let now = Instant::now();
        self.resting.retain(|_, until| now < *until);
        let mut outdated = std::mem::take(&mut self.outdated).into_iter();
        while now.elapsed() < slice
            && let Some(origin) = outdated.next()
        {
            if self.resting.contains_key(&origin) {
                self.readings.remove(&origin);
                self.outdated.insert(origin);
                continue;
            }
            let began = Instant::now();
            if let Some(zone) = self.served(&origin) {
                self.write_one(&origin, &zone);
            }
            if !self.deferred.contains(&origin) {
                self.readings.remove(&origin);
            }
            self.resting.insert(origin, Instant::now() + rest_after(began.elapsed()));
        }
        let is_behind = outdated.len() > 0;
        self.outdated.extend(outdated);
        is_behind
    }

    fn write_one(&mut self, origin: &Name, zone: &Zone) {
        if self.held.cause(origin).is_some_and(Cause::protects_the_file) {
            return;
        }
        let path = self.directory.join(origin::file_name(origin));
        let entry = self.entries.get_or_new(origin, path);
        let path = entry.path.clone();
        let Some(accepted) = entry.accepted else {
            if self.bases.knows(origin) || path.symlink_metadata().is_ok() {
                // A file that was not looked at yet, or one that is missing.
                self.due.entry(origin.clone()).or_insert_with(Instant::now);
            } else {
                self.write_new(origin, &path, zone);
            }
            return;
        };
        // A save comes before anything is written; the look at it ends here again.
        if self.due.contains_key(origin) {
            self.outdated.insert(origin.clone());
            return;
        }
        // Without the file's last edit in it the zone is not what the file is to say: another will be published.
        if entry.missing_since.is_some() || zone.serial() < entry.applied {
            return;
        }
        if accepted.marker == marker_of(zone) && accepted.serial == zone.soa().serial && !entry.compare {
            return;
        }
        let earlier = self.earlier(origin);
        let reading = match self.read(origin, &path, earlier.as_ref()) {
            Ok(reading) if reading.hash == accepted.hash => reading,
            Ok(_) | Err(Unread::Missing | Unread::Moving) => return self.look_first(origin),
            Err(Unread::Failed(error)) => return self.cannot_write(origin, &path, &error),
        };
        let Ok(file) = &reading.parsed else { return self.look_first(origin) };
        if *file.zone() == *zone && file.marker() == marker_of(zone) {
            self.entries.update(origin, |entry| {
                entry.keep_said(&reading, file, zone);
                entry.compare = false;
            });
            self.bases.put_agreed(origin, &reading, file);
            return;
        }
        let composed = match compose(&path, file, zone, marker_of(zone), earlier.as_ref()) {
            Ok(composed) => composed,
            Err(error) => return self.cannot_write(origin, &path, &error),
        };
        if composed.anew
            && let Err(error) = write::copy_aside(&path, &reading.text, "orig")
        {
            return self.cannot_write(origin, &path, &error);
        }
        self.store(&path, zone, composed);
    }

    /// The file changed: that is a save, and comes before anything is written. Never at once: two that disagree about
    /// a file must not keep a processor busy.
    fn look_first(&mut self, origin: &Name) {
        self.look_again(origin, QUIET);
        self.outdated.insert(origin.clone());
    }

    /// Makes the file of a zone that came from another node.
    fn write_new(&mut self, origin: &Name, path: &Path, zone: &Zone) {
        match fresh(path, zone, marker_of(zone)) {
            Ok(composed) => self.store(path, zone, composed),
            Err(error) => self.cannot_write(origin, path, &error),
        }
    }

    /// Writes the texts that show a zone, the main file with its marker last, and takes the result for the file's state.
    pub(super) fn store(&mut self, path: &Path, zone: &Zone, composed: Composed) {
        let origin = zone.origin();
        let Composed { texts, before, reading, .. } = composed;
        let Ok(file) = &reading.parsed else { return };
        // Before the text that names it: a file must not bear a marker that this node does not know.
        self.keep_base(file.marker(), file.zone());
        self.bases.put_text(origin, &reading);
        if texts.len() > 1
            && let Err(error) = self.bases.put_rewrites(origin, &rewrites(&reading.sources, &before, &texts))
        {
            return self.cannot_write(origin, path, &error);
        }
        let written = write_texts(&reading, &before, &texts);
        if texts.len() > 1 {
            self.bases.end_rewrites(origin);
        }
        match written {
            Ok(true) => {}
            Ok(false) => return self.look_first(origin),
            Err((path, error)) => return self.cannot_write(origin, path, &error),
        }
        let accepted = self.entries.update(origin, |entry| {
            entry.path = path.to_owned();
            entry.accept(&reading, file, zone);
            entry.compare = false;
        });
        if accepted.is_none() {
            return;
        }
        self.bases.put_agreed(origin, &reading, file);
        self.unwritten.remove(origin);
        self.held.release(origin);
        self.metrics.files_written.inc();
        tracing::debug!(zone = %origin, serial = file.zone().soa().serial, "a zone file was written back");
        // Takes the signatures of the files as they now are, and sees whether somebody saved meanwhile.
        self.look_again(origin, QUIET);
    }

    pub(super) fn cannot_write(&mut self, origin: &Name, path: &Path, error: &io::Error) {
        let reason = format!(
            "the zone has changed, but its file cannot be written: {error}; make the file and its directory writable"
        );
        self.hold(origin, path, Cause::Disk(reason.clone()), reason, Vec::new());
        self.unwritten.insert(origin.clone());
    }
}

/// How long a file is left alone after writing it took so long.
fn rest_after(took: Duration) -> Duration {
    (took * REST).min(LONG_REST.max(took * LARGE_REST))
}

/// Writes the texts, the main file with its marker last. False if one of the files is no longer what it was.
fn write_texts<'r>(reading: &'r Reading, before: &Texts, texts: &Texts) -> Result<bool, (&'r Path, io::Error)> {
    for source in reading.sources.iter().rev() {
        let Some(text) = texts.get(&source.name) else { continue };
        let old = before.get(&source.name).map(|text| &text[..]);
        if !write::exchange(&source.path, old, text).map_err(|error| (&*source.path, error))? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The texts that make a file say `target`: patched, or, should that not give the target, written anew. `earlier` is a
/// version of the file that differs in little.
pub(super) fn compose(
    path: &Path,
    file: &ZoneFile,
    target: &Zone,
    marker: Option<Marker>,
    earlier: Option<&Earlier>,
) -> io::Result<Composed> {
    let texts: Texts = file.patch(target, marker).into_iter().map(|(name, text)| (name, text.into())).collect();
    let before: Texts = file.texts().map(|(name, text)| (name.to_owned(), text)).collect();
    let mut whole = before.clone();
    whole.extend(texts.clone());
    match proved(path, target, marker, whole, earlier) {
        Some(reading) => Ok(Composed { texts, before, reading, anew: false }),
        None => {
            tracing::error!(file = %path.display(), "patching a zone file went wrong; it is written anew");
            Ok(Composed { before, ..fresh(path, target, marker)? })
        }
    }
}

/// The text of a new file.
pub(super) fn fresh(path: &Path, target: &Zone, marker: Option<Marker>) -> io::Result<Composed> {
    let texts = Texts::from([(path.to_string_lossy().into_owned(), render(target, marker).into())]);
    match proved(path, target, marker, texts.clone(), None) {
        Some(reading) => Ok(Composed { texts, before: Texts::new(), reading, anew: true }),
        None => Err(io::Error::other("the zone cannot be written as a master file; please report it")),
    }
}

/// Reads the file as it will be; `None` if it would not say what it must. A file that says something else would be
/// taken for a person's edit.
fn proved(
    path: &Path,
    target: &Zone,
    marker: Option<Marker>,
    texts: Texts,
    earlier: Option<&Earlier>,
) -> Option<Reading> {
    let reading = assemble(path, target.origin(), &texts, earlier).ok()?;
    let file = reading.parsed.as_ref().ok()?;
    (file.zone() == target && file.marker() == marker).then_some(reading)
}
