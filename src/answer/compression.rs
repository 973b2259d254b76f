//! Name compression (RFC 1035 §4.1.4) with a table of fixed size: no allocation, and never a search through the message.

use smallvec::SmallVec;

use crate::zone::{Labels, NameHash, label_at};

/// Places for remembered names in a message of ordinary size, which holds far fewer, and in a large one. What finds no
/// place is not compressed to.
const SLOTS: usize = 128;
const MANY_SLOTS: usize = 512;
/// From how many bytes on a message may be a large one.
const LARGE: usize = 4096;
/// How many places a name may take, counted from the one that its hash gives.
const PROBES: usize = 4;
/// Pointers have fourteen bits.
const MAX_OFFSET: u16 = 0x3fff;
/// The two high bits that make a pointer.
const POINTER: u16 = 0xc000;

/// Which names may stand for each other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    /// Owner names, which take the case of what is in the message already: the question's.
    Any,
    /// Names in rdata, whose case is data.
    Exact,
}

/// Where each name and each of its suffixes stands in the message so far, by hash.
#[derive(Default)]
pub(super) struct Compression<'q> {
    /// Empty until the first name is written: most short answers write none. No name stands at 0.
    slots: SmallVec<[u16; MANY_SLOTS]>,
    /// The part of the question's name that most names of a response end with.
    common: Option<Common<'q>>,
    /// Whether the table has the suffixes of that part too: what ends with it needs none of them.
    has_common: bool,
}

/// A suffix of the question's name.
#[derive(Clone, Copy)]
struct Common<'q> {
    wire: &'q [u8],
    hash: NameHash,
    offset: u16,
}

/// A suffix of a name on its way into the message.
#[derive(Clone, Copy)]
struct Suffix {
    /// Where it starts in the name.
    start: usize,
    hash: NameHash,
    /// Where it stands in the message; 0 is the root, which is not pointed to.
    offset: u16,
}

impl<'q> Compression<'q> {
    /// Whether nothing is remembered yet.
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Makes room for the names of a message of at most `limit` bytes.
    pub(super) fn begin(&mut self, limit: usize) {
        self.slots.extend_from_slice(&[0; MANY_SLOTS][..if limit > LARGE { MANY_SLOTS } else { SLOTS }]);
    }

    /// Notes that names which end with this suffix of the question's name, at `offset`, need no search for it.
    pub(super) fn set_common(&mut self, wire: &'q [u8], hash: NameHash, offset: usize) {
        self.common = Some(Common { wire, hash, offset: offset as u16 });
    }

    /// Remembers the question's name, which stands at `offset`, as the first of all.
    pub(super) fn remember(&mut self, offset: usize, name: &[u8]) {
        let mut labels = Labels::NONE;
        let Some(common) = self.common else {
            labels.read(name);
            return self.insert_all(name, NameHash::ROOT, &labels, offset);
        };
        labels.read_before(name, usize::from(common.offset) - offset);
        insert(&mut self.slots, common.hash, common.offset.into());
        self.insert_all(name, common.hash, &labels, offset);
    }

    /// Remembers the suffixes of the common part, for a name that does not end with all of it.
    fn remember_common(&mut self) {
        if let Some(common) = self.common.filter(|_| !self.has_common) {
            self.has_common = true;
            let parent = &common.wire[label_at(common.wire, 0).len()..];
            let offset = usize::from(common.offset) + common.wire.len() - parent.len();
            self.insert_all(parent, NameHash::ROOT, &Labels::of(parent), offset);
        }
    }

    fn insert_all(&mut self, name: &[u8], mut hash: NameHash, labels: &Labels, offset: usize) {
        let slots = &mut self.slots[..];
        for start in labels.rev() {
            hash = hash.child_in_any_case(label_at(name, start));
            insert(slots, hash, offset + start);
        }
    }

    /// Appends a name, its longest known suffix as a pointer, and remembers what is new.
    pub(super) fn write(&mut self, message: &mut Vec<u8>, name: &[u8], case: Case) {
        let base = message.len();
        let mut labels = Labels::NONE;
        let mut known = self.split_common(name, case, &mut labels);
        let mut missed = None;
        for start in labels.rev() {
            let label = label_at(name, start);
            let hash = missed.unwrap_or(known.hash).child_in_any_case(label);
            // A suffix that is unknown makes every longer one unknown.
            let found =
                if missed.is_some() { None } else { find(&self.slots, message, hash, label, known, name, case) };
            match found {
                Some(offset) => known = Suffix { start, hash, offset },
                None => {
                    missed = Some(hash);
                    insert(&mut self.slots, hash, base + start);
                }
            }
        }
        message.extend_from_slice(&name[..known.start]);
        if known.offset > 0 {
            message.extend_from_slice(&(POINTER | known.offset).to_be_bytes());
        } else {
            message.push(0);
        }
    }

    /// The suffix of a name that is known without a search. Reads the labels in front of it.
    fn split_common(&mut self, name: &[u8], case: Case, labels: &mut Labels) -> Suffix {
        if let Some(common) = self.common
            && let Some(start) = name.len().checked_sub(common.wire.len())
            && is_same(&name[start..], common.wire, case)
            && labels.read_before(name, start)
        {
            return Suffix { start, hash: common.hash, offset: common.offset };
        }
        self.remember_common();
        labels.read(name);
        Suffix { start: name.len() - 1, hash: NameHash::ROOT, offset: 0 }
    }
}

/// Where the name stands that has this label in front of its parent.
#[inline]
fn find(
    slots: &[u16],
    message: &[u8],
    hash: NameHash,
    label: &[u8],
    parent: Suffix,
    name: &[u8],
    case: Case,
) -> Option<u16> {
    let stands_at = |offset: u16| {
        let start = usize::from(offset);
        let Some(theirs) = message.get(start..start + label.len()) else { return false };
        is_same(label, theirs, case)
            && (follow(message, start + label.len()) == Some(parent.offset)
                // In another case the parent may stand elsewhere too.
                || case == Case::Any && name_at_equals(message, start, &name[parent.start - label.len()..], case))
    };
    let probes = (0..PROBES).map(|probe| slots[slot(slots, hash, probe)]);
    probes.take_while(|&offset| offset != 0).find(|&offset| stands_at(offset))
}

#[inline]
fn insert(slots: &mut [u16], hash: NameHash, offset: usize) {
    let free = (0..PROBES).map(|probe| slot(slots, hash, probe)).find(|&slot| slots[slot] == 0);
    if let Some(slot) = free.filter(|_| offset <= MAX_OFFSET.into()) {
        slots[slot] = offset as u16;
    }
}

/// The place of a probe; the number of places is a power of two.
fn slot(slots: &[u16], hash: NameHash, probe: usize) -> usize {
    (hash.bits() as usize + probe) & (slots.len() - 1)
}

fn is_same(ours: &[u8], theirs: &[u8], case: Case) -> bool {
    ours == theirs || case == Case::Any && ours.eq_ignore_ascii_case(theirs)
}

/// Where the name stands that goes on at an offset: there, or where a pointer leads. The root is 0.
fn follow(message: &[u8], offset: usize) -> Option<u16> {
    match *message.get(offset..)? {
        [0, ..] => Some(0),
        [high, low, ..] if high >= 0xc0 => Some(u16::from_be_bytes([high, low]) & !POINTER),
        _ => u16::try_from(offset).ok(),
    }
}

/// The pointer to a name that stands in a message, if it is one that can be pointed to.
pub(super) fn pointer_to(message: &[u8], offset: u16) -> Option<[u8; 2]> {
    match message.get(usize::from(offset)..) {
        Some(&[high, low, ..]) if high >= 0xc0 => Some([high, low]),
        Some(&[length, ..]) if length > 0 && offset <= MAX_OFFSET => Some((POINTER | offset).to_be_bytes()),
        _ => None,
    }
}

/// The labels of the possibly compressed name at `offset` of a message, each with its length byte, the root's last.
/// What was written here is well-formed; a name that is cut short just ends.
pub(super) fn labels_at(message: &[u8], mut offset: usize) -> impl Iterator<Item = &[u8]> {
    let mut ended = false;
    std::iter::from_fn(move || {
        // Pointers lead back, so following them ends.
        while let Some(&[high, low]) = message.get(offset..offset + 2)
            && high >= 0xc0
        {
            let target = usize::from(u16::from_be_bytes([high, low]) & !POINTER);
            if target >= offset {
                return None;
            }
            offset = target;
        }
        let label = message.get(offset..=offset + usize::from(*message.get(offset)?)).filter(|_| !ended)?;
        ended = label[0] == 0;
        offset += label.len();
        Some(label)
    })
}

/// Whether the possibly compressed name at `offset` of a message equals an uncompressed one.
pub(super) fn name_at_equals(message: &[u8], offset: usize, mut name: &[u8], case: Case) -> bool {
    for theirs in labels_at(message, offset) {
        let Some((ours, rest)) = name.split_at_checked(theirs.len()) else { return false };
        if !is_same(ours, theirs, case) {
            return false;
        }
        name = rest;
    }
    name.is_empty()
}
