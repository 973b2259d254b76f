//! A name on the stack: the one that a query is about, as it moves along CNAMEs and DNAMEs.

use crate::zone::MAX_NAME;

/// An uncompressed wire-form name, both as it was written and lower-cased.
#[derive(Clone, Copy)]
pub(super) struct NameBuf {
    written: [u8; MAX_NAME],
    lower: [u8; MAX_NAME],
    len: usize,
}

/// A name would exceed [`MAX_NAME`] bytes.
pub(super) struct TooLong;

impl NameBuf {
    /// Copies a valid wire-form name.
    pub(super) fn new(wire: &[u8]) -> NameBuf {
        let mut name = NameBuf { written: [0; MAX_NAME], lower: [0; MAX_NAME], len: 0 };
        name.set(wire);
        name
    }

    /// Becomes another valid wire-form name.
    pub(super) fn set(&mut self, wire: &[u8]) {
        self.len = wire.len();
        self.written[..wire.len()].copy_from_slice(wire);
        self.lower[..wire.len()].copy_from_slice(wire);
        self.lower[..wire.len()].make_ascii_lowercase();
    }

    /// The name with its case as written.
    pub(super) fn written(&self) -> &[u8] {
        &self.written[..self.len]
    }

    /// The name in lower case, for lookups.
    pub(super) fn lower(&self) -> &[u8] {
        &self.lower[..self.len]
    }

    /// Puts `target` in place of everything from byte `start` on: the substitution of RFC 6672 §2.2.
    pub(super) fn replace_suffix(&mut self, start: usize, target: &[u8]) -> Result<(), TooLong> {
        let mut wire = [0; MAX_NAME];
        let len = start + target.len();
        if len > MAX_NAME {
            return Err(TooLong);
        }
        wire[..start].copy_from_slice(&self.written[..start]);
        wire[start..len].copy_from_slice(target);
        self.set(&wire[..len]);
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
