//! Name compression (RFC 1035 §4.1.4) with a table of fixed size: no allocation, and never a search through the message.

/// Places for remembered names; a message of ordinary size holds far fewer. What finds no place is not compressed to.
const SLOTS: usize = 512;
/// How many places a name may take, counted from the one that its hash gives.
const PROBES: usize = 4;
/// Pointers have fourteen bits.
const MAX_OFFSET: usize = 0x3fff;
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
pub(super) struct Compression {
    /// Made when the first name is written: most short answers write none.
    slots: Option<[u16; SLOTS]>,
}

impl Compression {
    /// Whether nothing is remembered yet.
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_none()
    }

    /// Remembers the uncompressed name that stands at `offset`.
    pub(super) fn remember(&mut self, message: &[u8], offset: usize, name: &[u8]) {
        let slots = self.slots.get_or_insert([0; SLOTS]);
        let mut hash = 0;
        for start in Labels::of(name).rev() {
            hash = extend_hash(hash, label_at(name, start));
            if find(slots, message, hash, &name[start..], Case::Exact).is_none() {
                insert(slots, hash, offset + start);
            }
        }
    }

    /// Appends a name, its longest known suffix as a pointer, and remembers what is new.
    pub(super) fn write(&mut self, message: &mut Vec<u8>, name: &[u8], case: Case) {
        let slots = self.slots.get_or_insert([0; SLOTS]);
        let base = message.len();
        let mut hash = 0;
        let mut known = None;
        let mut missed = false;
        for start in Labels::of(name).rev() {
            hash = extend_hash(hash, label_at(name, start));
            // A suffix that is unknown makes every longer one unknown.
            match if missed { None } else { find(slots, message, hash, &name[start..], case) } {
                Some(offset) => known = Some((start, offset)),
                None => {
                    missed = true;
                    insert(slots, hash, base + start);
                }
            }
        }
        match known {
            Some((start, offset)) => {
                message.extend_from_slice(&name[..start]);
                message.extend_from_slice(&(POINTER | offset).to_be_bytes());
            }
            None => message.extend_from_slice(name),
        }
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
        let same = if case == Case::Exact { theirs == ours } else { theirs.eq_ignore_ascii_case(ours) };
        if !same {
            return false;
        }
        name = rest;
    }
    name.is_empty()
}

fn find(slots: &[u16; SLOTS], message: &[u8], hash: u32, name: &[u8], case: Case) -> Option<u16> {
    (0..PROBES)
        .map(|probe| slots[(hash as usize + probe) % SLOTS])
        .take_while(|&offset| offset != 0)
        .find(|&offset| name_at_equals(message, offset.into(), name, case))
}

fn insert(slots: &mut [u16; SLOTS], hash: u32, offset: usize) {
    let free = (0..PROBES).map(|probe| (hash as usize + probe) % SLOTS).find(|&slot| slots[slot] == 0);
    if let Some(slot) = free.filter(|_| offset <= MAX_OFFSET) {
        slots[slot] = offset as u16;
    }
}

/// The hash of a name from that of its parent, the same in any case.
fn extend_hash(parent: u32, label: &[u8]) -> u32 {
    let seed = parent.rotate_left(7) ^ label.len() as u32;
    let hash =
        label.iter().fold(seed, |hash, byte| (hash ^ u32::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0193));
    hash ^ hash >> 15
}

fn label_at(name: &[u8], start: usize) -> &[u8] {
    &name[start + 1..start + 1 + usize::from(name[start])]
}

/// Where the labels of a wire-form name start, the root's left out. 127 is the most that 255 bytes can hold.
pub(super) struct Labels {
    starts: [u8; 127],
    count: usize,
}

impl Labels {
    pub(super) fn of(name: &[u8]) -> Labels {
        let mut labels = Labels { starts: [0; 127], count: 0 };
        let mut at = 0;
        while name[at] != 0 {
            labels.starts[labels.count] = at as u8;
            labels.count += 1;
            at += 1 + usize::from(name[at]);
        }
        labels
    }

    /// From the rightmost label to the leftmost.
    pub(super) fn rev(&self) -> impl Iterator<Item = usize> {
        self.starts[..self.count].iter().rev().map(|&start| start.into())
    }
}
