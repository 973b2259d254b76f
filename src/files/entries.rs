//! The files of all zones, found by zone and by path: with thousands of them a hint about one must not have all looked at.

use std::collections::hash_map::{self, HashMap};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::entry::Entry;
use crate::zone::Name;

/// What is known of the files, each under its zone.
#[derive(Debug, Default)]
pub(super) struct Entries {
    entries: BTreeMap<Name, Entry>,
    places: Places,
}

/// At which path there are texts of which zones: of each entry those that [`Entry::places`] says.
#[derive(Debug, Default)]
struct Places {
    origins: HashMap<PathBuf, BTreeSet<Name>>,
    /// How many such paths are in each directory.
    directories: BTreeMap<PathBuf, usize>,
}

impl Entries {
    pub(super) fn get(&self, origin: &Name) -> Option<&Entry> {
        self.entries.get(origin)
    }

    /// In the order of zones.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Name, &Entry)> {
        self.entries.iter()
    }

    /// The entry of a zone; if there was none, one of which nothing is known but the path.
    pub(super) fn get_or_new(&mut self, origin: &Name, path: PathBuf) -> &Entry {
        let Entries { entries, places } = self;
        entries.entry(origin.clone()).or_insert_with(|| {
            places.add(origin, &path);
            Entry::new(path)
        })
    }

    /// Changes what is known of a zone's file. `None` if nothing is.
    pub(super) fn update<R>(&mut self, origin: &Name, change: impl FnOnce(&mut Entry) -> R) -> Option<R> {
        let entry = self.entries.get_mut(origin)?;
        let before: Vec<PathBuf> = entry.places().map(Path::to_owned).collect();
        let result = change(entry);
        if !entry.places().eq(before.iter().map(PathBuf::as_path)) {
            before.iter().for_each(|path| self.places.remove(origin, path));
            entry.places().for_each(|path| self.places.add(origin, path));
        }
        Some(result)
    }

    /// Changes what is known of every file.
    pub(super) fn update_all(&mut self, mut change: impl FnMut(&mut Entry)) {
        let origins: Vec<Name> = self.entries.keys().cloned().collect();
        for origin in origins {
            self.update(&origin, &mut change);
        }
    }

    pub(super) fn remove(&mut self, origin: &Name) -> Option<Entry> {
        let entry = self.entries.remove(origin)?;
        entry.places().for_each(|path| self.places.remove(origin, path));
        Some(entry)
    }

    /// The zones whose files have a text at this path, as the system names it.
    pub(super) fn at(&self, path: &Path) -> impl Iterator<Item = (&Name, &Entry)> {
        let origins = self.places.origins.get(path).into_iter().flatten();
        origins.filter_map(|origin| self.entries.get_key_value(origin))
    }

    /// The directories where there are texts, or may be.
    pub(super) fn directories(&self) -> impl Iterator<Item = &Path> {
        self.places.directories.keys().map(PathBuf::as_path)
    }
}

impl Places {
    fn add(&mut self, origin: &Name, path: &Path) {
        // Most paths belong to one zone, and are there once.
        match self.origins.entry(path.to_owned()) {
            hash_map::Entry::Occupied(mut there) => {
                there.get_mut().insert(origin.clone());
            }
            hash_map::Entry::Vacant(free) => {
                free.insert(BTreeSet::from([origin.clone()]));
                if let Some(directory) = path.parent() {
                    *self.directories.entry(directory.to_owned()).or_default() += 1;
                }
            }
        }
    }

    fn remove(&mut self, origin: &Name, path: &Path) {
        let Some(origins) = self.origins.get_mut(path) else { return };
        origins.remove(origin);
        if !origins.is_empty() {
            return;
        }
        self.origins.remove(path);
        let Some(directory) = path.parent() else { return };
        if let Some(count) = self.directories.get_mut(directory) {
            *count -= 1;
            if *count == 0 {
                self.directories.remove(directory);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::read::SourceFile;

    fn name(text: &str) -> Name {
        text.parse().expect("a name")
    }

    fn at(entries: &Entries, path: &str) -> Vec<String> {
        entries.at(Path::new(path)).map(|(origin, _)| origin.to_string()).collect()
    }

    fn directories(entries: &Entries) -> Vec<&Path> {
        entries.directories().collect()
    }

    #[test]
    fn a_file_is_found_by_every_path_where_it_has_a_text_and_by_no_other() {
        let (a, b, mut entries) = (name("a."), name("b."), Entries::default());
        entries.get_or_new(&a, "/zones/a.zone".into());
        entries.get_or_new(&b, "/zones/b.zone".into());
        assert_eq!(entries.get_or_new(&a, "/elsewhere/a.zone".into()).path, Path::new("/zones/a.zone"));
        assert_eq!(at(&entries, "/zones/a.zone"), ["a."]);
        assert_eq!(directories(&entries), [Path::new("/zones")]);
        let text =
            |path: &str| SourceFile { places: vec![path.into()], ..SourceFile::unread(path.into(), path.into()) };
        for origin in [&a, &b] {
            let sources = vec![text("/zones/a.zone"), text("/shared/mail")];
            entries.update(origin, |entry| entry.sources = sources).expect("an entry");
        }
        assert_eq!(at(&entries, "/shared/mail"), ["a.", "b."]);
        assert_eq!(at(&entries, "/zones/a.zone"), ["a.", "b."]);
        assert_eq!(at(&entries, "/zones/b.zone"), ["b."]);
        assert_eq!(directories(&entries), [Path::new("/shared"), Path::new("/zones")]);
        entries.update(&b, |entry| entry.sources.clear());
        assert_eq!(at(&entries, "/shared/mail"), ["a."]);
        assert_eq!(at(&entries, "/zones/a.zone"), ["a."]);
        entries.remove(&a);
        assert_eq!(at(&entries, "/zones/a.zone"), [""; 0]);
        assert_eq!(directories(&entries), [Path::new("/zones")]);
        entries.update_all(|entry| entry.path = "/new/b.zone".into());
        assert_eq!(at(&entries, "/new/b.zone"), ["b."]);
        assert_eq!(directories(&entries), [Path::new("/new")]);
        entries.remove(&b);
        assert!(entries.places.origins.is_empty() && entries.places.directories.is_empty());
    }
}
