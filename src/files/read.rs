//! Reading one zone file with all it includes, at one moment.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::entry::LARGE;
use super::kept_text::KeptText;
use crate::master::{Diagnostic, ZoneFile};
use crate::zone::{Name, Zone};

/// The largest zone file: ten times the largest that anyone is known to edit by hand or script. It keeps a device or a
/// runaway log that was linked into the directory from filling the memory.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// File systems keep times in steps; a file changed this shortly before it was read may change again unnoticed.
const CLOCK_STEP: Duration = Duration::from_secs(2);

/// A hash of bytes.
pub(super) type Hash = [u8; 32];

/// What tells without reading whether a file has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Signature {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    /// Whether it was read too soon after its change to be relied on.
    fresh: bool,
}

impl Signature {
    fn of(metadata: &Metadata) -> Signature {
        let age = metadata.modified().ok().and_then(|time| SystemTime::now().duration_since(time).ok());
        Signature {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            fresh: age.is_none_or(|age| age < CLOCK_STEP),
        }
    }

    /// The signature of the file as it is now; `None` if there is none.
    pub(super) fn now(path: &Path) -> Option<Signature> {
        fs::metadata(path).ok().filter(Metadata::is_file).map(|metadata| Signature::of(&metadata))
    }

    /// Whether the file is a large one.
    pub(super) fn is_large(self) -> bool {
        self.size >= LARGE as u64
    }

    /// Whether two signatures are of one file, whatever was written to it.
    pub(super) fn is_of_same_file(self, other: Signature) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }

    /// Whether the file is certainly the one that had this signature.
    pub(super) fn proves_unchanged(self, now: Option<Signature>) -> bool {
        !self.fresh && now.is_some_and(|now| Signature { fresh: false, ..now } == self)
    }
}

/// One text that a zone file consists of.
#[derive(Clone, Debug)]
pub(super) struct SourceFile {
    /// Its name in diagnostics and in patches.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// `None` if it was not read from there.
    pub signature: Option<Signature>,
    /// Where its directory entries are as the system names them: its own, and that of the file it links to.
    pub places: Vec<PathBuf>,
}

impl SourceFile {
    /// A text that was not looked for yet.
    pub(super) fn unread(name: String, path: PathBuf) -> SourceFile {
        SourceFile { name, path, signature: None, places: Vec::new() }
    }

    fn new(name: String, path: PathBuf, signature: Option<Signature>) -> SourceFile {
        let own = path
            .parent()
            .and_then(|directory| directory.canonicalize().ok())
            .zip(path.file_name())
            .map(|(directory, name)| directory.join(name));
        let target = path.canonicalize().ok().filter(|target| Some(target) != own.as_ref());
        SourceFile { name, places: own.into_iter().chain(target).collect(), path, signature }
    }
}

/// A zone file as it was read.
#[derive(Debug)]
pub(super) struct Reading {
    /// The file and every file that it includes, or would if it were there.
    pub sources: Vec<SourceFile>,
    /// Of all texts.
    pub hash: Hash,
    /// The text of the file itself.
    pub text: Arc<[u8]>,
    /// What it says.
    pub parsed: Result<ZoneFile, Vec<Diagnostic>>,
}

/// Why a file was not read.
#[derive(Debug)]
pub(super) enum Unread {
    /// There is none.
    Missing,
    /// It changed while it was read.
    Moving,
    /// It is there, but cannot be read.
    Failed(io::Error),
}

/// An earlier version of a file that is in one text.
#[derive(Debug)]
pub(super) struct Earlier {
    pub text: KeptText,
    /// What it said.
    pub zone: Zone,
}

/// Reads the file of a zone.
pub(super) fn read(path: &Path, origin: &Name, earlier: Option<&Earlier>) -> Result<Reading, Unread> {
    assemble(path, origin, &BTreeMap::new(), earlier)
}

/// Reads the file of a zone as it would be if these texts stood in the files of these names. Where the earlier version of
/// it does, only what has changed since is read.
pub(super) fn assemble(
    path: &Path,
    origin: &Name,
    texts: &BTreeMap<String, Arc<[u8]>>,
    earlier: Option<&Earlier>,
) -> Result<Reading, Unread> {
    // There is one copy of each text: what is parsed shares it.
    let load = |name: &str, path: &Path| match texts.get(name) {
        Some(text) => Ok((text.clone(), None)),
        None => read_source(path).map(|(text, signature)| (text, Some(signature))),
    };
    let name = path.to_string_lossy().into_owned();
    let (text, signature) = load(&name, path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Unread::Missing,
        io::ErrorKind::Interrupted => Unread::Moving,
        _ => Unread::Failed(error),
    })?;
    let mut sources = vec![SourceFile::new(name.clone(), path.to_owned(), signature)];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&text);
    if let Some(earlier) = earlier
        && let Some(hunks) = earlier.text.hunks(&text)
        && let Some(file) = ZoneFile::parse_changes(&name, text.clone(), &earlier.zone, &hunks)
    {
        return Ok(Reading { sources, hash: *hasher.finalize().as_bytes(), text, parsed: Ok(file) });
    }
    let mut moving = false;
    let parsed = ZoneFile::parse_shared(&name, text.clone(), origin, &mut |included| {
        let path = PathBuf::from(included);
        let result = load(included, &path);
        let signature = result.as_ref().ok().and_then(|(_, signature)| *signature);
        sources.push(SourceFile::new(included.to_owned(), path, signature));
        hash_included(&mut hasher, included);
        match result {
            Ok((text, _)) => {
                hash_text(&mut hasher, &text);
                Ok(text.to_vec())
            }
            Err(error) => {
                moving |= error.kind() == io::ErrorKind::Interrupted;
                Err(error.to_string())
            }
        }
    });
    if moving {
        return Err(Unread::Moving);
    }
    Ok(Reading { sources, hash: *hasher.finalize().as_bytes(), text, parsed })
}

/// Whether the texts of these files still hash to this; then the files with their signatures as they are now. Spares
/// parsing what is known, such as this node's own writes.
pub(super) fn still(sources: &[SourceFile], hash: Hash) -> Option<Vec<SourceFile>> {
    let (main, included) = sources.split_first()?;
    if main.signature.is_some_and(|then| Signature::now(&main.path).is_none_or(|now| now.size != then.size)) {
        return None;
    }
    let mut hasher = blake3::Hasher::new();
    let (text, signature) = read_source(&main.path).ok()?;
    hasher.update(&text);
    let mut now = vec![SourceFile::new(main.name.clone(), main.path.clone(), Some(signature))];
    for source in included {
        let (text, signature) = read_source(&source.path).ok()?;
        hash_included(&mut hasher, &source.name);
        hash_text(&mut hasher, &text);
        now.push(SourceFile::new(source.name.clone(), source.path.clone(), Some(signature)));
    }
    (*hasher.finalize().as_bytes() == hash).then_some(now)
}

fn hash_included(hasher: &mut blake3::Hasher, name: &str) {
    hasher.update(&[0]).update(name.as_bytes());
}

fn hash_text(hasher: &mut blake3::Hasher, text: &[u8]) {
    hasher.update(&[0]).update(&(text.len() as u64).to_be_bytes()).update(text);
}

/// Reads one file whole, as the zone files and those that they include are read: no device, and no file without end.
pub fn read_text(path: &Path) -> io::Result<Vec<u8>> {
    read_source(path).map(|(text, _)| text.to_vec())
}

/// Reads one file whole. `Interrupted` if somebody wrote to it meanwhile.
fn read_source(path: &Path) -> io::Result<(Arc<[u8]>, Signature)> {
    // Opening a pipe would wait for a writer.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file"));
    }
    let mut file = File::open(path)?;
    let before = file.metadata()?;
    if before.size() > MAX_FILE_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is longer than {MAX_FILE_BYTES} bytes")));
    }
    // Into the memory where it stays: of large files that is what takes the time.
    let mut text: Arc<[u8]> = std::iter::repeat_n(0, before.size() as usize).collect();
    let moving = || io::Error::from(io::ErrorKind::Interrupted);
    let bytes = Arc::get_mut(&mut text).ok_or_else(moving)?;
    file.read_exact(bytes).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => moving(),
        _ => error,
    })?;
    let is_whole = file.read(&mut [0])? == 0;
    let (before, after) = (Signature::of(&before), Signature::of(&file.metadata()?));
    let same = Signature { fresh: false, ..before } == Signature { fresh: false, ..after };
    if is_whole && same { Ok((text, before)) } else { Err(moving()) }
}

#[cfg(test)]
mod tests {
    use std::fs::FileTimes;

    use super::*;

    fn aged(path: &Path, seconds: u64) {
        let time = SystemTime::now() - Duration::from_secs(seconds);
        let file = File::options().write(true).open(path).expect("the file");
        file.set_times(FileTimes::new().set_modified(time)).expect("its time");
    }

    fn signature(path: &Path) -> Signature {
        Signature::now(path).expect("the file")
    }

    #[test]
    fn a_file_changed_within_a_step_of_its_clock_is_read_again_and_an_old_one_is_not() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a.zone");
        fs::write(&path, "one").expect("a file");
        assert!(!signature(&path).proves_unchanged(Some(signature(&path))), "as new as this it may change unnoticed");
        aged(&path, 10);
        let old = signature(&path);
        assert!(old.proves_unchanged(Some(signature(&path))));
        // Whole seconds, as NFS and FAT may have them, and the very same time and size: another file all the same.
        fs::write(directory.path().join("b"), "two").expect("a file");
        fs::rename(directory.path().join("b"), &path).expect("a rename");
        let file = File::options().write(true).open(&path).expect("the file");
        file.set_times(FileTimes::new().set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)))
            .expect("its time");
        let same_time = Signature { modified: old.modified, ..signature(&path) };
        assert!(!old.proves_unchanged(Some(same_time)));
        // A server whose clock is ahead: nothing can be told from its times.
        let ahead = SystemTime::now() + Duration::from_secs(3600);
        file.set_times(FileTimes::new().set_modified(ahead)).expect("its time");
        assert!(!signature(&path).proves_unchanged(Some(signature(&path))));
        assert!(!old.proves_unchanged(None));
    }

    #[test]
    fn of_what_did_not_change_it_says_what_it_said_before() {
        let origin: Name = "example.".parse().expect("a name");
        let head = "$TTL 60\n@ SOA ns hm 1 2 3 4 5\n@ NS ns.test.\n";
        let hosts: String =
            (0..20_000u32).map(|host| format!("h{host} A 10.0.{}.{}\n", host >> 8, host & 255)).collect();
        let reading = |text: String, earlier: Option<&Earlier>| {
            let texts = BTreeMap::from([("z".to_owned(), text.into_bytes().into())]);
            assemble(Path::new("z"), &origin, &texts, earlier).expect("it is there")
        };
        let first = reading(format!("{head}{hosts}"), None);
        let file = first.parsed.expect("it is sound");
        let text = KeptText::new(&first.text, first.hash, file.plain_from(), None);
        // A record that no line has shows that the lines which are the same are not read again.
        let mut zone = file.zone().clone();
        let known =
            zone.get(b"\x02h1\x07example\x00").and_then(|node| node.get(crate::zone::RecordType::A)).expect("a host");
        let mut witness = crate::zone::RrsetBuf::new(crate::zone::RecordType::A, known.ttl, []);
        witness.push(&[192, 0, 2, 1]);
        zone.set(&"witness.example.".parse().expect("a name"), vec![witness]);
        let earlier = Earlier { text, zone };
        let changed = format!("{head}{}", hosts.replace("h9999 A 10.0.39.15\n", "h9999 A 192.0.2.9\n"));
        let again = reading(changed.clone(), Some(&earlier));
        assert_eq!(again.hash, reading(changed.clone(), None).hash);
        let zone = again.parsed.expect("it is sound").zone().to_content();
        assert!(zone.rrsets.keys().any(|(owner, _)| owner.to_string() == "witness.example."));
        let wrong = reading(format!("{changed}x NONE\n"), Some(&earlier)).parsed.expect_err("there is no such type");
        assert_eq!((wrong[0].line, wrong.len()), (20_004, 1), "all of it is read to say where");
    }
}
