//! A copy of a zone's state, to try edits on one after the other.
//!
//! An edit of this node must not change the state before the store has kept it, yet a group of edits is kept with one
//! write, and each of them builds on those before it. The copy shares with the state all that the edits leave alone.

use super::edit::{EditError, EditRequest};
use super::state::{ApplyError, ZoneState};
use super::{Batch, Dot, Hlc};
use crate::zone::Name;

/// The state with the edits tried so far applied.
pub(super) struct Scratch(ZoneState);

impl Scratch {
    pub(super) fn new(whole: &ZoneState) -> Scratch {
        Scratch(whole.clone())
    }

    /// Makes the batch for an edit and applies it to the copy; `None` if it changes nothing.
    pub(super) fn try_edit(
        &mut self,
        request: &EditRequest<'_>,
        dot: Dot,
        hlc: Hlc,
    ) -> Result<Option<Batch>, EditError> {
        let batch = self.0.prepare(request, dot, hlc)?;
        if let Some(batch) = &batch {
            self.0.apply(batch).expect("a batch applies to the state that it was made for");
        }
        Ok(batch)
    }
}

/// Applies another node's batch to a copy of a state, so that one which this program stumbles over does not touch the
/// state. The new state and the owners that the batch touched.
pub(super) fn try_batch(state: &ZoneState, batch: &Batch) -> Result<(ZoneState, Vec<Name>), ApplyError> {
    let attempt = || {
        let mut next = state.clone();
        next.apply(batch).map(|owners| (next, owners))
    };
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(attempt));
    caught.unwrap_or_else(|_| Err(ApplyError::Illegal("this program fails on it, which is a bug".to_owned())))
}
