//! Why the zone files cannot be used at all.

use std::io;
use std::path::PathBuf;

/// The zone files cannot be served from here. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// The directory of zone files cannot be made or read.
    #[error("cannot use the zone directory {}: {source}; give one that this process may read and write (--zones)", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The directory of bases cannot be made.
    #[error("cannot make {}: {source}; the data directory must be writable (--data)", path.display())]
    Bases {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
