//! Bases: what earlier versions of zone files said, kept so that an edit of an older text is merged, not taken for a
//! revert.
//!
//! One directory for each zone in the data directory, one file for each version. Losing one costs a merge, no data, so
//! a base that cannot be read is treated as if it had never been kept.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::codec;
use crate::master::{Marker, ZoneFile};
use crate::zone::{Block, Name, Soa, Zone};

use super::kept_text::KeptText;
use super::read::{Hash, Reading, SourceFile};
use super::rewrite::Rewrite;
use super::{origin, write};

/// Versions kept for each zone: an editor left open over this many edits of other nodes is an old one.
const KEEP_VERSIONS: usize = 32;

/// Bytes kept for each zone beyond [`KEEP_ALWAYS`] versions, so that large zones do not fill the disk with bases.
const KEEP_BYTES: u64 = 64 << 20;

/// Versions kept whatever their size.
const KEEP_ALWAYS: usize = 4;

/// The file of the last unmarked content.
const UNMARKED: &str = "unmarked";

/// The file of the last text.
const TEXT: &str = "text";

/// The file of what a write-back of several texts is about, while it lasts.
const REWRITES: &str = "rewrites";

/// The file of the state in which the zone's file agreed with the zone.
const AGREED: &str = "agreed";

/// Longer texts are not kept: nobody edits hundreds of millions of records in a file.
const MAX_TEXT: usize = 256 << 20;

/// Bytes of the checksum before each file's content.
const CHECKSUM: usize = 8;

/// The bases of all zones.
#[derive(Debug)]
pub(super) struct Bases {
    root: PathBuf,
}

impl Bases {
    /// Uses a directory, and makes it if it is missing.
    pub(super) fn open(root: PathBuf) -> io::Result<Bases> {
        fs::create_dir_all(&root)?;
        Ok(Bases { root })
    }

    /// Whether there are none at all, as on a node that never had a zone.
    pub(super) fn is_empty(&self) -> bool {
        fs::read_dir(&self.root).is_ok_and(|mut entries| entries.next().is_none())
    }

    /// Whether this node has ever taken over or written a file of the zone.
    pub(super) fn knows(&self, origin: &Name) -> bool {
        self.directory(origin).is_dir()
    }

    /// What the file of a zone said last under a marker, or without one.
    pub(super) fn get(&self, origin: &Name, marker: Option<Marker>) -> Option<Zone> {
        let path = self.path(origin, marker);
        let bytes = fs::read(&path).ok()?;
        let content = decode(&bytes).filter(|zone| zone.origin() == origin);
        if content.is_none() {
            tracing::warn!(path = %path.display(), "a base is damaged and not used");
        }
        content
    }

    /// Keeps what the file of a zone says under a marker, or without one.
    pub(super) fn put(&self, marker: Option<Marker>, zone: &Zone) -> io::Result<()> {
        let directory = self.directory(zone.origin());
        let (path, bytes) = (self.path(zone.origin(), marker), encode(zone));
        if starts_with(&path, &bytes[..CHECKSUM]) {
            return Ok(());
        }
        fs::create_dir_all(&directory)?;
        write::replace(&path, &bytes)?;
        self.prune(&directory)
    }

    /// Keeps the text of a zone's file as it was taken over or written last, so that a rejected save can be undone with
    /// all comments in place, and of a large one only what changes is read. A file of several texts is not kept: only its
    /// records can be restored.
    pub(super) fn put_text(&self, origin: &Name, reading: &Reading) {
        let path = self.directory(origin).join(TEXT);
        let result = match &reading.parsed {
            Ok(file) if reading.sources.len() == 1 && reading.text.len() <= MAX_TEXT => {
                let earlier = self.text(origin);
                let text = KeptText::new(&reading.text, reading.hash, file.plain_from(), earlier.as_ref());
                write::replace_soon(&path, &text.to_bytes())
            }
            _ => match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
        };
        if let Err(error) = result {
            tracing::debug!(zone = %origin, %error, "cannot keep the text of a zone file");
        }
    }

    /// The text of a zone's file as it was taken over or written last.
    pub(super) fn text(&self, origin: &Name) -> Option<KeptText> {
        KeptText::open(&self.directory(origin).join(TEXT)).ok().flatten()
    }

    /// Notes that a file says just what its zone had under the file's marker, so that it need not be read again at the
    /// next start.
    pub(super) fn put_agreed(&self, origin: &Name, reading: &Reading, file: &ZoneFile) {
        let sources = reading.sources.iter().map(|source| (source.name.clone(), source.path.clone())).collect();
        let (marker, serial) = (file.marker(), file.zone().soa().serial);
        let of = marker.map(|marker| (marker.serial, marker.version));
        let agreed = Agreed { sources, hash: reading.hash, marker: of, serial };
        let path = self.directory(origin).join(AGREED);
        if let Err(error) = write::replace_soon(&path, &seal(codec::encode(&agreed))) {
            tracing::debug!(zone = %origin, %error, "cannot keep the state of a zone file");
        }
    }

    /// The state of the file that agreed with the zone last, if what it says then is still known.
    pub(super) fn agreed(&self, origin: &Name) -> Option<Agreed> {
        let bytes = fs::read(self.directory(origin).join(AGREED)).ok()?;
        let agreed: Agreed = codec::decode_own(open(&bytes)?).ok()?;
        self.path(origin, agreed.marker()).is_file().then_some(agreed)
    }

    /// Notes what a write-back of several texts is about, before it begins.
    pub(super) fn put_rewrites(&self, origin: &Name, rewrites: &[Rewrite]) -> io::Result<()> {
        let path = self.directory(origin).join(REWRITES);
        write::replace(&path, &seal(lz4_flex::compress_prepend_size(&codec::encode(&rewrites))))
    }

    /// What the write-back was about that a crash has interrupted.
    pub(super) fn rewrites(&self, origin: &Name) -> Option<Vec<Rewrite>> {
        let bytes = fs::read(self.directory(origin).join(REWRITES)).ok()?;
        codec::decode_own(&lz4_flex::decompress_size_prepended(open(&bytes)?).ok()?).ok()
    }

    /// The write-back has ended.
    pub(super) fn end_rewrites(&self, origin: &Name) {
        // What stays is found at the next start, and then says that nothing has to be undone.
        let _ = fs::remove_file(self.directory(origin).join(REWRITES));
    }

    /// Forgets a zone.
    pub(super) fn forget(&self, origin: &Name) {
        if let Err(error) = fs::remove_dir_all(self.directory(origin))
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(zone = %origin, %error, "cannot remove the bases of a deleted zone");
        }
    }

    fn prune(&self, directory: &Path) -> io::Result<()> {
        let mut versions: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if ![UNMARKED, TEXT, REWRITES, AGREED].iter().any(|name| entry.file_name() == *name) {
                versions.push((metadata.modified()?, metadata.len(), entry.path()));
            }
        }
        versions.sort_by(|a, b| b.cmp(a));
        let mut bytes = 0;
        for (index, (_, length, path)) in versions.into_iter().enumerate() {
            bytes += length;
            if index >= KEEP_VERSIONS || (index >= KEEP_ALWAYS && bytes > KEEP_BYTES) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    fn directory(&self, origin: &Name) -> PathBuf {
        self.root.join(origin::stem(origin))
    }

    fn path(&self, origin: &Name, marker: Option<Marker>) -> PathBuf {
        self.directory(origin).join(match marker {
            Some(marker) => format!("{}-{}", marker.serial, data_encoding::HEXLOWER.encode(&marker.version)),
            None => UNMARKED.to_owned(),
        })
    }
}

/// A state of a zone's file in which it said what the zone had under its marker.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Agreed {
    /// The names and paths of its texts, the main file first.
    sources: Vec<(String, PathBuf)>,
    /// Of the texts.
    pub hash: Hash,
    /// Serial and version.
    marker: Option<(u32, [u8; 8])>,
    /// That of the SOA in it.
    pub serial: u32,
}

impl Agreed {
    /// Whether it is the state of the file at this path.
    pub(super) fn is_of(&self, path: &Path) -> bool {
        self.sources.first().is_some_and(|(_, main)| main == path)
    }

    /// Its marker.
    pub(super) fn marker(&self) -> Option<Marker> {
        self.marker.map(|(serial, version)| Marker { serial, version })
    }

    /// The texts, to be looked for.
    pub(super) fn sources(&self) -> Vec<SourceFile> {
        self.sources.iter().map(|(name, path)| SourceFile::unread(name.clone(), path.clone())).collect()
    }
}

/// All that a zone says. Of a large zone this takes much room, so it is put in its place at once.
fn encode(zone: &Zone) -> Vec<u8> {
    let length = |block: &Block| 4 + block.as_bytes().len() - block.extra().len();
    // What the replica keeps beside the records is none of a base's.
    let size: usize = zone.iter().map(|node| length(node.block())).sum();
    let mut plain = codec::encode(&(zone.origin(), zone.soa(), size as u64));
    plain.reserve_exact(size);
    for node in zone.iter() {
        match node.block() {
            whole if whole.extra().is_empty() => whole.append_to(&mut plain),
            _ => Block::new(node.owner(), &node.rrsets().collect::<Vec<_>>(), b"").append_to(&mut plain),
        }
    }
    seal(lz4_flex::compress_prepend_size(&plain))
}

fn decode(bytes: &[u8]) -> Option<Zone> {
    let (origin, soa, Nodes(nodes)): (Name, Soa, Nodes) =
        codec::decode_own(&lz4_flex::decompress_size_prepended(open(bytes)?).ok()?).ok()?;
    let blocks = Block::of_row(&nodes).collect::<Result<_, _>>().ok()?;
    let serial = soa.serial.into();
    Some(Zone::from_blocks(origin, soa, serial, blocks))
}

/// A row of nodes: its length and its bytes.
#[derive(Deserialize)]
struct Nodes(#[serde(with = "codec::bytes")] Vec<u8>);

/// Whether a file starts with these bytes.
fn starts_with(path: &Path, bytes: &[u8]) -> bool {
    let mut first = vec![0; bytes.len()];
    File::open(path).and_then(|mut file| file.read_exact(&mut first)).is_ok() && first == bytes
}

/// Puts a checksum before the bytes.
pub(super) fn seal(mut packed: Vec<u8>) -> Vec<u8> {
    let sum = checksum(&packed);
    packed.splice(0..0, sum);
    packed
}

/// The bytes after their checksum; `None` if they are not what was written.
pub(super) fn open(bytes: &[u8]) -> Option<&[u8]> {
    let (sum, packed) = bytes.split_at_checked(CHECKSUM)?;
    (sum == checksum(packed)).then_some(packed)
}

fn checksum(packed: &[u8]) -> [u8; CHECKSUM] {
    let mut short = [0; CHECKSUM];
    short.copy_from_slice(&blake3::hash(packed).as_bytes()[..CHECKSUM]);
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::{Rdata, Record, ZoneContent};

    fn content(serial: u32) -> Zone {
        let root = Rdata::new([0u8].as_slice());
        let (mname, rname) = (root.clone(), root);
        let soa = Soa { ttl: 60, mname, rname, serial, refresh: 1, retry: 1, expire: 1, minimum: 1 };
        let mut content = ZoneContent::new("example.".parse().expect("a name"), soa);
        content.add(Record {
            owner: "www.example.".parse().expect("a name"),
            rtype: crate::zone::RecordType::A,
            ttl: 5,
            rdata: Rdata::new([192, 0, 2, 1].as_slice()),
        });
        Zone::from_content(&content)
    }

    fn marker(serial: u32) -> Option<Marker> {
        Some(Marker { serial, version: [serial as u8; 8] })
    }

    #[test]
    fn a_base_is_what_was_kept_under_its_marker() {
        let directory = tempfile::tempdir().expect("a directory");
        let bases = Bases::open(directory.path().join("bases")).expect("bases");
        let origin = content(1).origin().clone();
        assert!(bases.is_empty() && !bases.knows(&origin));
        bases.put(marker(1), &content(1)).expect("room");
        bases.put(None, &content(2)).expect("room");
        assert_eq!(bases.get(&origin, marker(1)), Some(content(1)));
        assert_eq!(bases.get(&origin, None), Some(content(2)));
        assert_eq!(bases.get(&origin, marker(3)), None);
        bases.forget(&origin);
        assert!(!bases.knows(&origin));
    }

    #[test]
    fn old_versions_go_but_the_unmarked_one_stays() {
        let directory = tempfile::tempdir().expect("a directory");
        let bases = Bases::open(directory.path().to_owned()).expect("bases");
        bases.put(None, &content(0)).expect("room");
        for serial in 1..=50 {
            bases.put(marker(serial), &content(serial)).expect("room");
        }
        let origin = content(1).origin().clone();
        assert!(bases.get(&origin, marker(50)).is_some() && bases.get(&origin, None).is_some());
        assert_eq!((1..=50).filter(|&serial| bases.get(&origin, marker(serial)).is_some()).count(), KEEP_VERSIONS);
    }

    #[test]
    fn a_damaged_base_is_none() {
        let directory = tempfile::tempdir().expect("a directory");
        let bases = Bases::open(directory.path().to_owned()).expect("bases");
        let origin = content(1).origin().clone();
        bases.put(marker(1), &content(1)).expect("room");
        let path = bases.path(&origin, marker(1));
        let mut bytes = fs::read(&path).expect("the base");
        bytes[20] ^= 1;
        fs::write(&path, bytes).expect("the base");
        assert_eq!(bases.get(&origin, marker(1)), None);
    }
}
