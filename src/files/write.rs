//! Writing files so that a reader sees the old text or the new one, never a part, also after a power cut.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

/// Further copies set aside under numbered names before the oldest name is used again.
const MAX_ASIDE: usize = 100;

/// Replaces a file, or makes it.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_with(path, bytes, true)
}

/// As [`replace`], but a power cut within the next seconds may leave any part of the text.
pub(super) fn replace_soon(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_with(path, bytes, false)
}

fn replace_with(path: &Path, bytes: &[u8], sync: bool) -> io::Result<()> {
    let temporary = temporary(path);
    let result = fill(&temporary, path, bytes, sync).and_then(|()| fs::rename(&temporary, path));
    if result.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    result
}

/// Puts `new` in the place of `old`, or makes the file if `old` is `None`, with the old one's mode and owner. A link
/// stays a link: the file that it points to is replaced. Returns false, and changes nothing, if the
/// file is not, or is no longer, what it was taken for: whatever is saved at the same moment wins.
///
/// The new file and the old one change places in one step (renameat2(2)), and only then is looked at what was there. A
/// check before a plain rename would lose a save that falls between the two. What a crash leaves under the other name
/// meanwhile is for [`swapped_out`] to find.
pub(super) fn exchange(path: &Path, old: Option<&[u8]>, new: &[u8]) -> io::Result<bool> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let (unfinished, beside) = (temporary(&path), swapping(&path));
    let filled = fill(&unfinished, &path, new, true).and_then(|()| fs::rename(&unfinished, &beside));
    if let Err(error) = filled {
        let _ = fs::remove_file(&unfinished);
        return Err(error);
    }
    let result = match old {
        Some(old) => swap(&beside, &path, old, new),
        None => rename(&beside, &path, RenameFlags::NOREPLACE),
    };
    let result = match result {
        Err(error) if is_unsupported(&error) => swap_plainly(&beside, &path, old),
        result => result,
    };
    match fs::remove_file(&beside) {
        Err(error) if result.is_ok() && error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => result,
    }
}

/// A whole text that a crash has left beside a file, from an exchange that it interrupted: the new one, the old one, or
/// a save that came in between and was about to be put back.
pub(super) fn swapped_out(path: &Path) -> Option<Vec<u8>> {
    fs::read(swapping(&fs::canonicalize(path).ok()?)).ok()
}

/// Ends an exchange that a crash has interrupted: puts what was swapped out back, or away.
pub(super) fn end_exchange(path: &Path, back: bool) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    if back { fs::rename(swapping(&path), path) } else { fs::remove_file(swapping(&path)) }
}

/// Swaps the two files until the one swapped out is older than the one swapped in.
fn swap(temporary: &Path, path: &Path, old: &[u8], new: &[u8]) -> io::Result<bool> {
    let (mut outgoing, mut incoming) = (old.to_owned(), new.to_owned());
    loop {
        // Gone: then there is nothing that could be out of date.
        if !rename(temporary, path, RenameFlags::EXCHANGE)? {
            return Ok(false);
        }
        let swapped_out = fs::read(temporary)?;
        if swapped_out == outgoing {
            return Ok(incoming == new);
        }
        // A save came in between: it goes back to where it was.
        (outgoing, incoming) = (incoming, swapped_out);
    }
}

/// Renames in one of the ways of renameat2(2). False if the target is there, or not there, against expectation.
fn rename(from: &Path, to: &Path, flags: RenameFlags) -> io::Result<bool> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, flags) {
        Ok(()) => Ok(true),
        Err(Errno::NOENT | Errno::EXIST) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether the file system does not know the ways of renameat2(2). Then nothing was renamed.
fn is_unsupported(error: &io::Error) -> bool {
    [Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// As [`swap`] where the file system knows only the plain way, such as NFS: the check comes just before the rename.
fn swap_plainly(temporary: &Path, path: &Path, old: Option<&[u8]>) -> io::Result<bool> {
    let there = match fs::read(path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    if there.as_deref() != old {
        return Ok(false);
    }
    fs::rename(temporary, path).map(|()| true)
}

/// Where a text is written that is not whole yet.
fn temporary(path: &Path) -> PathBuf {
    hidden(path, ".grapevine")
}

/// Where a whole text waits to change places with a file, and the other one after that.
fn swapping(path: &Path) -> PathBuf {
    hidden(path, ".grapevine-swap")
}

/// A name that is never taken for a zone file: hidden, and without the extension at its end.
fn hidden(path: &Path, extension: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(extension);
    path.with_file_name(name)
}

fn fill(temporary: &Path, path: &Path, bytes: &[u8], sync: bool) -> io::Result<()> {
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
    if sync { file.sync_all() } else { Ok(()) }
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
        assert!(exchange(&path, Some(b"old"), b"new").expect("room"));
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
        assert!(exchange(&link, Some(b"old"), b"new").expect("room"));
        assert!(fs::symlink_metadata(&link).expect("the link").is_symlink());
        assert_eq!(fs::read(&target).expect("the target"), b"new");
    }

    #[test]
    fn a_file_that_is_not_as_expected_is_left_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a.zone");
        assert!(!exchange(&path, Some(b"old"), b"new").expect("a try"), "it is not there");
        assert!(exchange(&path, None, b"old").expect("a new file"));
        assert!(!exchange(&path, None, b"new").expect("a try"), "it is there");
        assert!(exchange(&path, Some(b"old"), b"new").expect("an exchange"));
        assert!(!exchange(&path, Some(b"old"), b"newer").expect("a try"), "it says something else");
        assert_eq!(fs::read(&path).expect("the file"), b"new");
        assert_eq!(fs::read_dir(directory.path()).expect("the directory").count(), 1);
        let other = directory.path().join("other");
        fs::write(&other, "newest").expect("a file");
        assert!(
            !swap_plainly(&other, &path, Some(b"old")).expect("a try")
                && !swap_plainly(&other, &path, None).expect("a try")
        );
        assert!(swap_plainly(&other, &path, Some(b"new")).expect("a rename"));
        assert_eq!(fs::read(&path).expect("the file"), b"newest");
    }

    #[test]
    fn a_save_at_the_moment_of_an_exchange_is_put_back() {
        let directory = tempfile::tempdir().expect("a directory");
        let (path, temporary) = (directory.path().join("a.zone"), directory.path().join("temporary"));
        fs::write(&path, "saved").expect("a file");
        fs::write(&temporary, "new").expect("a file");
        assert!(!swap(&temporary, &path, b"old", b"new").expect("an exchange"));
        assert_eq!(fs::read(&path).expect("the file"), b"saved");
        assert_eq!(fs::read(&temporary).expect("the file"), b"new");
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
