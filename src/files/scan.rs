//! Listing the zone directory.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::origin::origin_of;
use crate::zone::Name;

/// What a zone directory holds.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// The file of each zone.
    pub files: BTreeMap<Name, PathBuf>,
    /// Further files of zones that have one already: their names differ only in letter case or spelling.
    pub doubles: Vec<(Name, PathBuf)>,
    /// Files with the extension of zone files but no zone's name, and why.
    pub strange: Vec<(PathBuf, String)>,
}

/// Lists the directory. An error says that nothing is known, not that nothing is there.
pub(super) fn list(directory: &Path) -> io::Result<Listing> {
    let mut listing = Listing::default();
    let mut paths: Vec<PathBuf> =
        fs::read_dir(directory)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()?;
    // Of two files of one zone the one that is spelled as this node would comes first, whatever the directory's order.
    paths.sort_by_cached_key(|path| (!is_canonical(path), path.clone()));
    for path in paths {
        match origin_of(&path) {
            None => {}
            // A directory is no slip: some keep one per customer.
            Some(_) if path.is_dir() => {}
            Some(Err(why)) => listing.strange.push((path, why)),
            Some(Ok(origin)) if listing.files.contains_key(&origin) => listing.doubles.push((origin, path)),
            Some(Ok(origin)) => {
                listing.files.insert(origin, path);
            }
        }
    }
    Ok(listing)
}

fn is_canonical(path: &Path) -> bool {
    match origin_of(path) {
        Some(Ok(origin)) => path.file_name().is_some_and(|name| name == super::file_name(&origin).as_str()),
        _ => false,
    }
}
