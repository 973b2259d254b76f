//! What is live at one owner, by type.

use super::state::RrsetState;
use crate::zone::RecordType;

/// RRsets sorted by type. An owner nearly always has one or two, so an array that is exactly as long as it must be
/// takes a tenth of a tree's memory.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct OwnerState(Vec<(RecordType, RrsetState)>);

impl OwnerState {
    pub(super) fn get(&self, rtype: RecordType) -> Option<&RrsetState> {
        self.place(rtype).ok().map(|at| &self.0[at].1)
    }

    /// Puts an RRset in, in place of any other of its type.
    pub(super) fn insert(&mut self, rtype: RecordType, rrset: RrsetState) {
        match self.place(rtype) {
            Ok(at) => self.0[at].1 = rrset,
            Err(at) => {
                self.0.reserve_exact(1);
                self.0.insert(at, (rtype, rrset));
            }
        }
    }

    pub(super) fn remove(&mut self, rtype: RecordType) -> Option<RrsetState> {
        self.place(rtype).ok().map(|at| self.0.remove(at).1)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (RecordType, &RrsetState)> {
        self.0.iter().map(|(rtype, rrset)| (*rtype, rrset))
    }

    fn place(&self, rtype: RecordType) -> Result<usize, usize> {
        self.0.binary_search_by_key(&rtype, |(rtype, _)| *rtype)
    }
}
