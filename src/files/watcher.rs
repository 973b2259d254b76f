//! Hints from the system that files have changed. Only hints: what counts is what a file says when it is read.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use notify::event::{AccessKind, AccessMode, ModifyKind, RenameMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

/// Hints that may wait. If there are more the directory is listed instead.
const WAITING: usize = 4096;

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Hint {
    /// Something, to this path.
    At(PathBuf, Kind),
    /// Hints were lost.
    Lost,
}

/// What happened to a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// It is as somebody wanted it: closed after writing, renamed to something else, removed.
    Done,
    /// Something else was renamed to it, so its text is there in one piece.
    Placed,
    /// Somebody is writing to it.
    Underway,
    /// Its mode, owner or times are others, as when a tool finishes its work on a file. Says nothing of its text.
    Attributes,
}

/// Watches directories.
pub(super) struct Watcher {
    /// `None` if the system cannot watch; then only looking at all files from time to time helps.
    system: Option<RecommendedWatcher>,
    hints: mpsc::Receiver<Hint>,
    lost: Arc<AtomicBool>,
    /// Device and inode of each watched directory: another one in its place must be watched anew.
    watched: BTreeMap<PathBuf, (u64, u64)>,
}

impl Watcher {
    pub(super) fn start() -> Watcher {
        let (sender, hints) = mpsc::channel(WAITING);
        let lost = Arc::new(AtomicBool::new(false));
        let flag = lost.clone();
        let handler = move |event: notify::Result<Event>| {
            for hint in hints_of(event) {
                if sender.try_send(hint).is_err() {
                    flag.store(true, Ordering::Relaxed);
                }
            }
        };
        let system = notify::recommended_watcher(handler)
            .inspect_err(|error| {
                tracing::warn!(%error, "the system cannot watch directories; zone files are looked at every few seconds");
            })
            .ok();
        Watcher { system, hints, lost, watched: BTreeMap::new() }
    }

    /// Waits for a hint. For ever, if the system cannot watch.
    pub(super) async fn next(&mut self) -> Hint {
        if self.lost.swap(false, Ordering::Relaxed) {
            return Hint::Lost;
        }
        match self.hints.recv().await {
            Some(hint) => hint,
            None => std::future::pending().await,
        }
    }

    /// A hint that is there already.
    pub(super) fn try_next(&mut self) -> Option<Hint> {
        self.hints.try_recv().ok()
    }

    /// Watches these directories and no others. Those that are not there are tried again the next time. Returns
    /// whether a directory is watched that was not before, in which something may have happened unseen.
    pub(super) fn watch(&mut self, directories: impl IntoIterator<Item = PathBuf>) -> bool {
        let Some(system) = &mut self.system else { return false };
        let wanted: BTreeMap<PathBuf, (u64, u64)> =
            directories.into_iter().filter_map(|path| identity(&path).map(|identity| (path, identity))).collect();
        if wanted == self.watched {
            return false;
        }
        for (path, identity) in &self.watched {
            if wanted.get(path) != Some(identity) {
                // The system may have stopped by itself, as when the directory was removed.
                let _ = system.unwatch(path);
            }
        }
        let mut watched = BTreeMap::new();
        let mut news = false;
        for (path, identity) in wanted {
            if self.watched.get(&path) == Some(&identity) {
                watched.insert(path, identity);
                continue;
            }
            match system.watch(&path, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    news = true;
                    watched.insert(path, identity);
                }
                Err(error) => tracing::warn!(path = %path.display(), %error, "cannot watch a directory of zone files"),
            }
        }
        self.watched = watched;
        news
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

fn hints_of(event: notify::Result<Event>) -> Vec<Hint> {
    let Ok(event) = event else { return vec![Hint::Lost] };
    if event.need_rescan() {
        return vec![Hint::Lost];
    }
    let kind = match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) | EventKind::Remove(_) => Kind::Done,
        EventKind::Modify(ModifyKind::Name(RenameMode::To | RenameMode::Both)) => Kind::Placed,
        EventKind::Modify(ModifyKind::Name(_)) => Kind::Done,
        EventKind::Modify(ModifyKind::Metadata(_)) => Kind::Attributes,
        EventKind::Create(_) | EventKind::Modify(_) => Kind::Underway,
        // Reading, this node's own included.
        _ => return Vec::new(),
    };
    event.paths.into_iter().map(|path| Hint::At(path, kind)).collect()
}
