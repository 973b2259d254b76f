//! Files that are held: what they are held for, and the list that people see.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

use super::read::Hash;
use crate::master::Diagnostic;
use crate::zone::Name;

/// A zone file that was saved but not taken over: the zone as it was before keeps serving.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Held {
    /// The zone; the root for the directory as a whole.
    pub origin: Name,
    /// The file, or the directory.
    pub path: PathBuf,
    /// Why, and what to do.
    pub reason: String,
    /// Whether `grapevine zone approve` lets it through; a file with errors has to be mended instead.
    pub approvable: bool,
    /// What is wrong in it, each with its place.
    pub diagnostics: Vec<Diagnostic>,
    /// Since when, milliseconds since 1970.
    pub since_ms: u64,
}

/// What a file is held for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Cause {
    /// It has errors.
    Errors,
    /// It lacks so much of its zone that it may be a mistake; held in this state of its text.
    Shrunk(Hash),
    /// It is gone.
    Missing,
    /// The node refuses the edit, in its words.
    Refused(String),
    /// It cannot be read, or cannot be written back.
    Disk(String),
}

impl Cause {
    fn approvable(&self) -> bool {
        matches!(self, Cause::Shrunk(_) | Cause::Missing)
    }

    /// Whether the file on disk is a person's text that must not be written over.
    pub(super) fn protects_the_file(&self) -> bool {
        !matches!(self, Cause::Disk(_))
    }
}

/// The files that are held.
#[derive(Debug)]
pub(super) struct HeldFiles {
    held: BTreeMap<Name, (Cause, Held)>,
    /// Trouble with the directory itself.
    directory: Option<Held>,
    shown: watch::Sender<Arc<Vec<Held>>>,
}

impl HeldFiles {
    pub(super) fn new() -> HeldFiles {
        HeldFiles { held: BTreeMap::new(), directory: None, shown: watch::Sender::new(Arc::default()) }
    }

    /// The list as it changes.
    pub(super) fn watch(&self) -> watch::Receiver<Arc<Vec<Held>>> {
        self.shown.subscribe()
    }

    /// What the file of a zone is held for.
    pub(super) fn cause(&self, origin: &Name) -> Option<&Cause> {
        self.held.get(origin).map(|(cause, _)| cause)
    }

    /// Holds a file; returns whether it was not held for the very same before.
    pub(super) fn hold(
        &mut self,
        origin: &Name,
        path: &Path,
        cause: Cause,
        reason: String,
        diagnostics: Vec<Diagnostic>,
    ) -> bool {
        let before = self.held.get(origin).map(|(_, held)| held);
        let mut held = Held {
            origin: origin.clone(),
            path: path.to_owned(),
            reason,
            approvable: cause.approvable(),
            diagnostics,
            since_ms: before.map_or_else(now_ms, |before| before.since_ms),
        };
        let news = before != Some(&held);
        if before.is_some() && news && self.cause(origin) != Some(&cause) {
            held.since_ms = now_ms();
        }
        self.held.insert(origin.clone(), (cause, held));
        self.show();
        news
    }

    /// The file is taken over, or gone with its zone.
    pub(super) fn release(&mut self, origin: &Name) {
        if self.held.remove(origin).is_some() {
            self.show();
        }
    }

    /// The directory cannot be read, or can again; returns whether that is news.
    pub(super) fn set_directory(&mut self, path: &Path, trouble: Option<String>) -> bool {
        if self.directory.as_ref().map(|held| &held.reason) == trouble.as_ref() {
            return false;
        }
        self.directory = trouble.map(|reason| Held {
            origin: Name::root(),
            path: path.to_owned(),
            reason,
            approvable: false,
            diagnostics: Vec::new(),
            since_ms: now_ms(),
        });
        self.show();
        true
    }

    /// Whether the directory cannot be read.
    pub(super) fn directory_is_lost(&self) -> bool {
        self.directory.is_some()
    }

    fn show(&self) {
        let list: Vec<Held> = self.directory.iter().chain(self.held.values().map(|(_, held)| held)).cloned().collect();
        self.shown.send_if_modified(|shown| {
            let news = **shown != list;
            if news {
                *shown = Arc::new(list);
            }
            news
        });
    }
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
