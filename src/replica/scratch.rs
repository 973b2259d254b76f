//! A copy of the part of a zone's state that some edits touch, to try them on one after the other.
//!
//! An edit of this node must not change the state before the store has kept it, yet a group of edits is kept with one
//! write, and each of them builds on those before it.

use std::collections::BTreeSet;

use super::digest::Accumulator;
use super::edit::{EditError, EditRequest};
use super::owner_state::OwnerState;
use super::state::ZoneState;
use super::{Batch, Dot, Hlc};
use crate::zone::{Change, Name, NameMap, RecordType};

/// The touched owners' part of a state, with the edits tried so far applied.
pub(super) struct Scratch<'a> {
    whole: &'a ZoneState,
    part: ZoneState,
    copied: BTreeSet<Name>,
}

impl<'a> Scratch<'a> {
    pub(super) fn new(whole: &'a ZoneState) -> Scratch<'a> {
        let part = ZoneState {
            zone: whole.zone.clone(),
            incarnation: whole.incarnation,
            version: whole.version.clone(),
            owners: NameMap::default(),
            soa: whole.soa.clone(),
            base: whole.base,
            accumulator: Accumulator::default(),
            records: 0,
        };
        Scratch { whole, part, copied: BTreeSet::new() }
    }

    /// Makes the batch for an edit and applies it to the copy; `None` if it changes nothing.
    pub(super) fn try_edit(
        &mut self,
        request: &EditRequest<'_>,
        dot: Dot,
        hlc: Hlc,
    ) -> Result<Option<Batch>, EditError> {
        for change in request.changes {
            let Some(owner) = change.owner() else { continue };
            self.copy(owner);
            if request.by_steps {
                self.copy_around(owner, change);
            }
        }
        let batch = self.part.prepare(request, dot, hlc)?;
        if let Some(batch) = &batch {
            self.part.apply(batch).expect("a batch applies to the state that it was made for");
        }
        Ok(batch)
    }

    /// Copies what decides whether a record may be added at this owner: what is above it, and what is below a DNAME.
    fn copy_around(&mut self, owner: &Name, change: &Change) {
        let zone = &self.whole.zone;
        let above = std::iter::successors(owner.parent(), Name::parent).take_while(|name| name.is_at_or_below(zone));
        above.for_each(|name| self.copy(&name));
        let dname = match change {
            Change::Add(record) => record.rtype == RecordType::DNAME,
            Change::AddDefault(key) => key.rtype == RecordType::DNAME,
            _ => false,
        };
        if dname {
            self.whole.owners.keys().filter(|below| below.is_at_or_below(owner)).for_each(|below| self.copy(below));
        }
    }

    /// Applies another node's batch to the copy and looks at what would be served, so that a batch which this program
    /// stumbles over does not touch the state. The reason if it does.
    pub(super) fn try_batch(whole: &ZoneState, batch: &Batch) -> Result<(), String> {
        let attempt = || {
            let mut scratch = Scratch::new(whole);
            let owners = batch.owners();
            owners.iter().for_each(|owner| scratch.copy(owner));
            if scratch.part.apply(batch).is_ok() {
                owners.iter().for_each(|owner| drop(scratch.part.project(owner)));
            }
        };
        std::panic::catch_unwind(attempt).map_err(|_| "this program fails on it, which is a bug".to_owned())
    }

    fn copy(&mut self, owner: &Name) {
        if !self.copied.insert(owner.clone()) {
            return;
        }
        for (rtype, rrset) in self.whole.owners.get(owner).into_iter().flat_map(OwnerState::iter) {
            self.part.insert(owner, rtype, rrset.clone());
        }
    }
}
