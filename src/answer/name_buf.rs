//! The name that a query is about, as it moves along CNAMEs and DNAMEs, and any other that is looked up.

use super::query::HEADER_LEN;
use crate::zone::{Labels, MAX_NAME, copy_lower_case};

/// An uncompressed wire-form name, both as it was written and lower-cased, and where its labels start.
#[derive(Clone, Copy)]
pub(super) struct NameBuf<'n> {
    written: Written<'n>,
    lower: [u8; MAX_NAME],
    len: usize,
    labels: Labels,
    /// Where it stands in the response, if it does.
    place: Option<u16>,
}

/// The bytes of a name in the case in which they were written.
#[derive(Clone, Copy)]
#[expect(clippy::large_enum_variant, reason = "it lies on the stack once a query, and nothing is allocated for one")]
enum Written<'n> {
    /// In the query or in a zone.
    Elsewhere(&'n [u8]),
    /// Made here.
    Here([u8; MAX_NAME]),
}

/// The owner name of records to be written.
#[derive(Clone, Copy)]
pub(super) struct Owner<'o> {
    pub(super) wire: &'o [u8],
    /// Where it stands in the response already, if that is known.
    pub(super) place: Option<u16>,
}

impl<'o> Owner<'o> {
    /// The name of the question, which follows the header.
    pub(super) fn of_question(wire: &'o [u8]) -> Owner<'o> {
        Owner { wire, place: Some(HEADER_LEN as u16) }
    }
}

impl<'o> From<&'o [u8]> for Owner<'o> {
    fn from(wire: &'o [u8]) -> Owner<'o> {
        Owner { wire, place: None }
    }
}

/// A name would exceed [`MAX_NAME`] bytes.
pub(super) struct TooLong;

impl<'n> NameBuf<'n> {
    /// Takes a valid wire-form name, which stands at this position of the response, if it does.
    pub(super) fn new(wire: &'n [u8], place: Option<u16>) -> NameBuf<'n> {
        let written = Written::Elsewhere(wire);
        let mut name = NameBuf { written, lower: [0; MAX_NAME], len: 0, labels: Labels::NONE, place };
        name.set_lower(wire);
        name
    }

    /// The name of the question.
    pub(super) fn of_question(wire: &'n [u8]) -> NameBuf<'n> {
        NameBuf::new(wire, Owner::of_question(wire).place)
    }

    /// Copies a valid wire-form name.
    pub(super) fn copied(wire: &[u8]) -> NameBuf<'n> {
        let mut name = NameBuf::new(&[0], None);
        name.set_copy(wire);
        name
    }

    /// Becomes another valid wire-form name.
    pub(super) fn set(&mut self, wire: &'n [u8], place: Option<u16>) {
        self.set_lower(wire);
        self.written = Written::Elsewhere(wire);
        self.place = place;
    }

    fn set_copy(&mut self, wire: &[u8]) {
        let mut bytes = [0; MAX_NAME];
        bytes[..wire.len()].copy_from_slice(wire);
        self.set_lower(wire);
        self.written = Written::Here(bytes);
        self.place = None;
    }

    fn set_lower(&mut self, wire: &[u8]) {
        copy_lower_case(wire, &mut self.lower);
        self.len = wire.len();
        self.labels.read(wire);
    }

    /// The name with its case as written.
    pub(super) fn written(&self) -> &[u8] {
        match &self.written {
            Written::Elsewhere(wire) => wire,
            Written::Here(bytes) => &bytes[..self.len],
        }
    }

    /// The name in lower case, for lookups.
    pub(super) fn lower(&self) -> &[u8] {
        &self.lower[..self.len]
    }

    /// Where its labels start.
    pub(super) fn labels(&self) -> &Labels {
        &self.labels
    }

    /// The name as the owner of records.
    pub(super) fn owner(&self) -> Owner<'_> {
        Owner { wire: self.written(), place: self.place }
    }

    /// Puts `target` in place of everything from byte `start` on: the substitution of RFC 6672 §2.2.
    pub(super) fn replace_suffix(&mut self, start: usize, target: &[u8]) -> Result<(), TooLong> {
        let mut wire = [0; MAX_NAME];
        let len = start + target.len();
        if len > MAX_NAME {
            return Err(TooLong);
        }
        wire[..start].copy_from_slice(&self.written()[..start]);
        wire[start..len].copy_from_slice(target);
        self.set_copy(&wire[..len]);
        Ok(())
    }
}

/// Whether a lower-cased wire-form name equals another or lies below it.
pub(super) fn is_at_or_below(name: &[u8], origin: &[u8]) -> bool {
    let mut at = 0;
    while name.len() - at > origin.len() {
        at += 1 + usize::from(name[at]);
    }
    name[at..] == *origin
}
