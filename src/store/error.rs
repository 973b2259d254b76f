//! What can go wrong between a node and its disk, in words that say what to do.

use std::io;
use std::path::{Path, PathBuf};

/// Why the store could not be opened or could not keep something. Whatever failed, what was kept before still is.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The data directory or a file in it cannot be used. Nothing was changed.
    #[error("cannot {action} {}: {source}; give this node a data directory of its own that it may write to (--data)", path.display())]
    Directory {
        /// What was tried.
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Another process has the directory. Nothing was changed.
    #[error("data directory {} is in use by another grapevine{holder}: stop that one, or give this node its own directory (--data)", path.display())]
    InUse {
        /// The data directory.
        path: PathBuf,
        /// ` (process N)`, if it left its number.
        holder: String,
    },
    /// The file is no redb database, or one of another program. Nothing was changed.
    #[error("{} is not a grapevine store: move it aside and start again; the node then fetches every zone from its peers", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file was written by a newer version. Nothing was changed.
    #[error("{} was written by a newer grapevine (format {found}, this binary reads {supported}): upgrade this node", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The format of this binary.
        supported: u32,
    },
    /// The file was written by a version too old to be read. Nothing was changed.
    #[error("{} was written by an older grapevine (format {found}, this binary reads {supported}): start it once with the version in between, or move the file aside and the node fetches every zone from its peers", path.display())]
    Older {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The format of this binary.
        supported: u32,
    },
    /// The file holds something that was not written so: a failing disk, or another program. Nothing was changed.
    #[error("{} is damaged ({what}): check the disk, move the file aside and start again; the node then fetches every zone from its peers", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        what: String,
    },
    /// The disk did not take a write. Nothing of the transaction was kept; later ones may succeed.
    #[error("cannot write to {}: {}", path.display(), describe(source))]
    Write {
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: Box<redb::Error>,
    },
}

impl StoreError {
    /// For `map_err`: what was tried, and on what.
    pub(super) fn directory(action: &'static str, path: &Path) -> impl Fn(io::Error) -> StoreError {
        move |source| StoreError::Directory { action, path: path.to_owned(), source }
    }
}

/// Adds to a write error what a person can do about it.
fn describe(error: &redb::Error) -> String {
    match error {
        redb::Error::Io(error) if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
            format!("{error}; free some space, nothing needs to be restarted")
        }
        error => error.to_string(),
    }
}
