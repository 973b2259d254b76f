//! Writing files so that a reader sees the old text or the new one, never a part, also after a power cut.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

/// Further copies set aside under numbered names before the oldest name is used again.
const MAX_ASIDE: usize = 100;

/// Replaces a file, or makes it, through a temporary one in the same directory that gets its mode and owner. A link
/// stays a link: the file that it points to is replaced.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let temporary = temporary(&path);
    let result = fill(&temporary, &path, bytes).and_then(|()| fs::rename(&temporary, &path));
    if result.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    result
}

/// A name that is never taken for a zone file: hidden, and without the extension at its end.
fn temporary(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".grapevine");
    path.with_file_name(name)
}

fn fill(temporary: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(temporary)?;
    if let Ok(old) = fs::metadata(path) {
        file.set_permissions(old.permissions())?;
        let new = file.metadata()?;
        if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
            // Only root may give files away. A file with another owner is better than a zone file out of date.
            let _ = chown(temporary, Some(old.uid()), Some(old.gid()));
        }
    }
    file.write_all(bytes)?;
    file.sync_all()
}

/// Copies a file to `<file>.<suffix>`, or `<file>.<suffix>.2` and so on where that is taken, and tells where.
pub(super) fn copy_aside(path: &Path, text: &[u8], suffix: &str) -> io::Result<PathBuf> {
    let aside = free_name(path, suffix, text)?;
    if !aside.exists() {
        let mut file = File::create_new(&aside)?;
        file.write_all(text)?;
        file.sync_all()?;
    }
    Ok(aside)
}

/// Moves a file to `<file>.<suffix>`, or `<file>.<suffix>.2` and so on where that is taken, and tells where.
pub(super) fn move_aside(path: &Path, suffix: &str) -> io::Result<PathBuf> {
    let text = fs::read(path)?;
    let aside = copy_aside(path, &text, suffix)?;
    fs::remove_file(path)?;
    Ok(aside)
}

/// The first name that is free or has the very same text already.
fn free_name(path: &Path, suffix: &str, text: &[u8]) -> io::Result<PathBuf> {
    for number in 1..=MAX_ASIDE {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{suffix}"));
        if number > 1 {
            name.push(format!(".{number}"));
        }
        let aside = PathBuf::from(name);
        match fs::read(&aside) {
            Ok(there) if there != text => {}
            _ => return Ok(aside),
        }
    }
    let message =
        format!("{MAX_ASIDE} files {}.{suffix}.* are there already; remove those you do not need", path.display());
    Err(io::Error::new(io::ErrorKind::AlreadyExists, message))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_replaced_file_keeps_its_mode_and_leaves_nothing_beside_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a.zone");
        fs::write(&path, "old").expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("a mode");
        replace(&path, b"new").expect("room");
        assert_eq!(fs::read(&path).expect("the file"), b"new");
        assert_eq!(fs::metadata(&path).expect("the file").permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(directory.path()).expect("the directory").count(), 1);
    }

    #[test]
    fn a_link_stays_a_link() {
        let directory = tempfile::tempdir().expect("a directory");
        let (target, link) = (directory.path().join("target"), directory.path().join("a.zone"));
        fs::write(&target, "old").expect("a file");
        symlink("target", &link).expect("a link");
        replace(&link, b"new").expect("room");
        assert!(fs::symlink_metadata(&link).expect("the link").is_symlink());
        assert_eq!(fs::read(&target).expect("the target"), b"new");
    }

    #[test]
    fn nothing_set_aside_is_lost() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a.zone");
        let mut names = Vec::new();
        for text in ["one", "two", "two", "three"] {
            let aside = copy_aside(&path, text.as_bytes(), "orig").expect("room");
            names.push(aside.file_name().expect("a name").to_string_lossy().into_owned());
        }
        assert_eq!(names, ["a.zone.orig", "a.zone.orig.2", "a.zone.orig.2", "a.zone.orig.3"]);
    }
}
