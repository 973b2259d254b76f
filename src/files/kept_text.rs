//! A text as it was taken over or written last, kept small: compressed, in pieces of whole lines, each of which is known
//! by its hash. What differs in a later version of the text is found without unpacking, or even reading, what does not.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::bases;
use super::read::Hash;
use crate::codec;
use crate::master::Hunk;

/// The least that a piece has, in bytes: a millisecond to read, and a table of pieces that is small beside them.
const LEAST_PIECE: usize = 64 << 10;

/// The most that a piece of lines has, in bytes; a longer line is a piece of its own.
const MOST_PIECE: usize = 4 * LEAST_PIECE;

/// How many lines come, on average, before one that may end a piece: the text itself says where its pieces end, so that a
/// change moves few of the ends.
const LINES_BETWEEN_ENDS: u32 = 64;

/// The part of a text, as a divisor, up to which to read what has changed is quicker than to read all.
const MOST_CHANGED: usize = 4;

/// Whole lines of the text.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Piece {
    hash: Hash,
    /// Its bytes, and those that it takes compressed.
    length: u32,
    packed: u32,
}

/// What is known of a text without its pieces.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    /// Of the text, by which it is told from others.
    hash: Hash,
    /// Whether it is plain from the end of its first piece on; see [`crate::master::ZoneFile::plain_from`].
    is_plain: bool,
    pieces: Vec<Piece>,
}

/// The pieces one after another, each compressed.
#[derive(Debug)]
enum Packed {
    Here(Vec<u8>),
    /// In a file, from so many bytes on. What is read there counts only if it has the hash that it must have.
    There(File, u64),
}

/// A text.
#[derive(Debug)]
pub(super) struct KeptText {
    head: Head,
    packed: Packed,
}

impl KeptText {
    /// Keeps a text of this hash. What is the same in an earlier version is not compressed again.
    pub(super) fn new(text: &[u8], hash: Hash, plain_from: Option<usize>, earlier: Option<&KeptText>) -> KeptText {
        let cut = cut(text);
        let is_plain = cut.first().is_some_and(|(first, _)| plain_from.is_some_and(|from| from <= first.end));
        let mut head = Head { hash, is_plain, pieces: Vec::with_capacity(cut.len()) };
        let mut all = Vec::new();
        let before = earlier.and_then(|earlier| Some((earlier, earlier.packed(0..earlier.head.pieces.len())?)));
        let known: HashMap<Hash, &[u8]> =
            before.iter().flat_map(|(earlier, packed)| split(&earlier.head.pieces, packed)).collect();
        for (range, hash) in cut {
            let start = all.len();
            let length = range.len() as u32;
            match known.get(&hash) {
                Some(packed) => all.extend_from_slice(packed),
                None => all.extend(lz4_flex::compress(&text[range])),
            }
            head.pieces.push(Piece { hash, length, packed: (all.len() - start) as u32 });
        }
        KeptText { head, packed: Packed::Here(all) }
    }

    /// The text as it is written to a file: the length of what comes before the pieces, that under its checksum, and the pieces.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let head = bases::seal(codec::encode(&self.head));
        let packed = self.packed(0..self.head.pieces.len()).unwrap_or_default();
        [&(head.len() as u32).to_le_bytes(), &head[..], &packed].concat()
    }

    /// The text that was written to a file, of which the pieces are read when they are wanted; `None` if it is none.
    pub(super) fn open(path: &Path) -> io::Result<Option<KeptText>> {
        let mut file = File::open(path)?;
        let mut length = [0; 4];
        file.read_exact(&mut length)?;
        let length = u64::from(u32::from_le_bytes(length));
        let mut head = Vec::new();
        (&file).take(length).read_to_end(&mut head)?;
        let head = bases::open(&head).and_then(|head| codec::decode_own::<Head>(head).ok());
        Ok(head.map(|head| KeptText { head, packed: Packed::There(file, 4 + length) }))
    }

    /// Of the whole text.
    pub(super) fn hash(&self) -> Hash {
        self.head.hash
    }

    /// Whether [`KeptText::hunks`] may be of use.
    pub(super) fn is_plain(&self) -> bool {
        self.head.is_plain
    }

    /// The whole text; `None` if it is not what was kept.
    pub(super) fn text(&self) -> Option<Vec<u8>> {
        let text = self.unpack(0..self.head.pieces.len())?;
        (*blake3::hash(&text).as_bytes() == self.head.hash).then_some(text)
    }

    /// The lines in which a later version differs, as [`crate::master::ZoneFile::parse_changes`] wants them; `None` if the text
    /// was not plain, or so much has changed that all may as well be read.
    pub(super) fn hunks(&self, text: &[u8]) -> Option<Vec<Hunk>> {
        let now = cut(text);
        let (first, _) = now.first().filter(|_| self.head.is_plain)?;
        let pieces = &self.head.pieces;
        let index: HashMap<Hash, usize> = pieces.iter().zip(0..).map(|(piece, index)| (piece.hash, index)).collect();
        // The head is read in any case, for what it puts in force.
        let is_same_head = pieces.first().is_some_and(|piece| piece.hash == now[0].1);
        let (mut old, mut new) = if is_same_head { (1, 1) } else { (0, 0) };
        let mut hunks = Vec::new();
        if is_same_head {
            hunks.push(Hunk { old: self.unpack(0..1)?.into(), new: first.clone() });
        }
        let mut changed = 0;
        while old < pieces.len() || new < now.len() {
            let meets = |(at, (_, hash)): (usize, &(Range<usize>, Hash))| {
                index.get(hash).filter(|&&index| index >= old).map(|&index| (index, at))
            };
            let met = now.iter().enumerate().skip(new).find_map(meets);
            let (old_end, new_end) = met.unwrap_or((pieces.len(), now.len()));
            if (old_end, new_end) != (old, new) {
                let start = now.get(new).map_or(text.len(), |(range, _)| range.start);
                let end = now.get(new_end).map_or(text.len(), |(range, _)| range.start);
                let mut hunk = Hunk { old: self.unpack(old..old_end)?.into(), new: start..end };
                if !hunks.is_empty() {
                    hunk = trimmed(hunk, text);
                }
                changed += hunk.old.len().max(hunk.new.len());
                if changed > text.len() / MOST_CHANGED {
                    return None;
                }
                hunks.push(hunk);
            }
            (old, new) = if met.is_some() { (old_end + 1, new_end + 1) } else { (old_end, new_end) };
        }
        Some(hunks)
    }

    /// Some pieces as they are kept.
    fn packed(&self, pieces: Range<usize>) -> Option<Cow<'_, [u8]>> {
        let length = |pieces: &[Piece]| pieces.iter().map(|piece| u64::from(piece.packed)).sum::<u64>();
        let (start, length) = (length(self.head.pieces.get(..pieces.start)?), length(self.head.pieces.get(pieces)?));
        match &self.packed {
            Packed::Here(all) => all.get(start as usize..(start + length) as usize).map(Cow::Borrowed),
            Packed::There(file, first) => {
                // A file that is shorter than it says is no reason to take so much memory.
                if file.metadata().ok()?.len() < first + start + length {
                    return None;
                }
                let mut packed = vec![0; length as usize];
                file.read_exact_at(&mut packed, first + start).ok()?;
                Some(Cow::Owned(packed))
            }
        }
    }

    /// The text of some pieces; `None` if it is not what was kept.
    fn unpack(&self, pieces: Range<usize>) -> Option<Vec<u8>> {
        let packed = self.packed(pieces.clone())?;
        let pieces = self.head.pieces.get(pieces)?;
        let mut text = Vec::with_capacity(pieces.iter().map(|piece| piece.length as usize).sum());
        for (piece, (hash, packed)) in pieces.iter().zip(split(pieces, &packed)) {
            let unpacked = lz4_flex::decompress(packed, piece.length as usize).ok()?;
            if *blake3::hash(&unpacked).as_bytes() != hash {
                return None;
            }
            text.extend(unpacked);
        }
        Some(text)
    }
}

/// Each of some pieces with its hash.
fn split<'p>(pieces: &[Piece], mut packed: &'p [u8]) -> impl Iterator<Item = (Hash, &'p [u8])> {
    pieces.iter().map_while(move |piece| {
        let (this, others) = packed.split_at_checked(piece.packed as usize)?;
        packed = others;
        Some((piece.hash, this))
    })
}

/// The pieces of a text, each with its hash.
fn cut(text: &[u8]) -> Vec<(Range<usize>, Hash)> {
    let (mut pieces, mut start) = (Vec::new(), 0);
    while start < text.len() {
        let end = piece_end(text, start);
        pieces.push((start..end, *blake3::hash(&text[start..end]).as_bytes()));
        start = end;
    }
    pieces
}

/// Where the piece ends that starts here: behind the first line, from a least length on, that may end one.
fn piece_end(text: &[u8], start: usize) -> usize {
    let line_end = |at: usize| {
        let rest = text.get(at..).unwrap_or_default();
        memchr::memchr(b'\n', rest).map_or(text.len(), |length| at + length + 1)
    };
    let mut line = line_end(start + LEAST_PIECE - 1);
    while line < text.len() {
        let end = line_end(line);
        if may_end_piece(&text[line..end]) || end - start >= MOST_PIECE {
            return end;
        }
        line = end;
    }
    text.len()
}

fn may_end_piece(line: &[u8]) -> bool {
    // FNV-1a, whose high bits are the better mixed ones.
    let sum = line.iter().fold(0x811c_9dc5_u32, |sum, &byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    (sum >> 16).is_multiple_of(LINES_BETWEEN_ENDS)
}

/// A hunk without the whole lines at both its ends that have not changed.
fn trimmed(hunk: Hunk, text: &[u8]) -> Hunk {
    let (old, new) = (&hunk.old[..], &text[hunk.new.clone()]);
    let line_starts_at = |text: &[u8], at: usize| at == 0 || text[at - 1] == b'\n';
    let mut start = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    while !line_starts_at(old, start) || !line_starts_at(new, start) {
        start -= 1;
    }
    let (old_rest, new_rest) = (&old[start..], &new[start..]);
    let mut tail = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(|(old, new)| old == new).count();
    while tail > 0
        && !(line_starts_at(old_rest, old_rest.len() - tail) && line_starts_at(new_rest, new_rest.len() - tail))
    {
        tail -= 1;
    }
    let new = hunk.new.start + start..hunk.new.end - tail;
    Hunk { old: Arc::from(&old_rest[..old_rest.len() - tail]), new }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(count: usize) -> Vec<String> {
        (0..count).map(|index| format!("host{index} A 192.0.{}.{}\n", index / 251, index % 251)).collect()
    }

    fn kept(text: &str, earlier: Option<&KeptText>) -> KeptText {
        KeptText::new(text.as_bytes(), *blake3::hash(text.as_bytes()).as_bytes(), Some(0), earlier)
    }

    /// What the hunks say the later text is.
    fn rebuilt(old: &str, new: &str, hunks: &[Hunk]) -> String {
        let (mut text, mut at) = (String::new(), (0, 0));
        for hunk in hunks {
            let same = &new[at.1..hunk.new.start];
            assert_eq!(&old[at.0..at.0 + same.len()], same, "what lies between hunks is the same in both");
            at = (at.0 + same.len() + hunk.old.len(), hunk.new.end);
            assert_eq!(&old.as_bytes()[at.0 - hunk.old.len()..at.0], &hunk.old[..]);
            assert!(hunk.new.start == 0 || new.as_bytes()[hunk.new.start - 1] == b'\n');
            text += same;
            text += &new[hunk.new.clone()];
        }
        assert_eq!(old[at.0..], new[at.1..]);
        text + &new[at.1..]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]
        #[test]
        fn hunks_lead_from_one_text_to_the_other(
            edits in proptest::collection::vec((0..200_000usize, 0..4usize, 0..4usize), 0..6),
            ends_with_line_end in any::<bool>(),
        ) {
            let before = lines(200_000);
            let mut after = before.clone();
            for (at, gone, come) in edits {
                let at = at.min(after.len());
                let gone = at..(at + gone).min(after.len());
                after.splice(gone, (0..come).map(|index| format!("come{at}-{index} A 192.0.2.1\n")));
            }
            let (old, mut new) = (before.concat(), after.concat());
            if !ends_with_line_end {
                new.pop();
            }
            let text = kept(&old, None);
            prop_assert_eq!(text.text(), Some(old.clone().into_bytes()));
            let hunks = text.hunks(new.as_bytes()).expect("little has changed");
            prop_assert_eq!(rebuilt(&old, &new, &hunks), new.clone());
            let changed: usize = hunks.iter().skip(1).map(|hunk| hunk.old.len()).sum();
            prop_assert!(changed < old.len() / 4, "{} of {} bytes", changed, old.len());
            let again = kept(&new, Some(&text));
            prop_assert_eq!(again.text(), kept(&new, None).text());
            prop_assert_eq!(again.to_bytes(), kept(&new, None).to_bytes());
            let directory = tempfile::tempdir().expect("a directory");
            let path = directory.path().join("text");
            std::fs::write(&path, text.to_bytes()).expect("a file");
            let from_file = KeptText::open(&path).expect("a file").expect("a text");
            prop_assert_eq!(from_file.text(), Some(old.clone().into_bytes()));
            prop_assert_eq!(rebuilt(&old, &new, &from_file.hunks(new.as_bytes()).expect("little has changed")), new.clone());
            prop_assert_eq!(kept(&new, Some(&from_file)).to_bytes(), again.to_bytes());
        }
    }

    #[test]
    fn one_changed_line_is_one_hunk_besides_the_head() {
        let mut text = lines(200_000);
        let kept = kept(&text.concat(), None);
        text[150_000] = "host150000 A 192.0.2.1\n".to_owned();
        let now = text.concat();
        let hunks = kept.hunks(now.as_bytes()).expect("little has changed");
        assert_eq!(hunks.len(), 2);
        assert_eq!(&hunks[1].old[..], b"host150000 A 192.0.597.153\n");
        assert_eq!(&now[hunks[1].new.clone()], text[150_000]);
    }

    #[test]
    fn a_file_that_is_not_as_it_was_written_is_no_text() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("text");
        let lines = lines(20_000).concat();
        let bytes = kept(&lines, None).to_bytes();
        let opened = |bytes: &[u8]| {
            std::fs::write(&path, bytes).expect("a file");
            KeptText::open(&path).ok().flatten()
        };
        for cut in [0, 3, 4, 50, bytes.len() - 1] {
            assert_eq!(opened(&bytes[..cut]).and_then(|text| text.text()), None, "{cut} bytes");
        }
        for at in [0, 5, 20, 60, bytes.len() / 2, bytes.len() - 2] {
            let mut wrong = bytes.clone();
            wrong[at] ^= 0x10;
            let text = opened(&wrong);
            assert_eq!(text.as_ref().and_then(KeptText::text), None, "byte {at}");
            let changed = format!("{lines}more A 192.0.2.1\n").replace("host0 A", "host0 60 A");
            if let Some(hunks) = text.and_then(|text| text.hunks(changed.as_bytes())) {
                assert_eq!(rebuilt(&lines, &changed, &hunks), changed, "byte {at}");
            }
        }
    }

    #[test]
    fn another_text_altogether_is_not_compared() {
        let kept = kept(&lines(200_000).concat(), None);
        assert!(kept.hunks("other A 192.0.2.1\n".repeat(200_000).as_bytes()).is_none());
        assert!(kept.hunks(b"").is_none());
    }
}
