//! Whose edits this node's are: an actor belongs to one store, and its numbers are used once.
//!
//! A store that is copied, or put back to an earlier state of itself, would go on counting where another has counted
//! already. The store notices a copy when it is opened (its file is another one). Here is noticed what shows only among
//! others: members hold more edits of this node's actor than it has made, hold others under the same numbers, or make
//! edits as that actor themselves. Then the node makes no further edit as that actor, but as a new one. So it does after
//! an edit that the disk would not keep, and when a life of a zone is back that was deleted: which numbers were used in it
//! was forgotten with it.

use super::node::Node;
use super::{CommandError, Now, Severity};
use crate::replica::{ActorId, Batch, IncarnationId, Staged, VersionVector, Write};

impl Node {
    /// This store's actor, made when the first edit needs it.
    pub(super) fn actor(&mut self) -> ActorId {
        if let Some(actor) = self.facts.actor {
            return actor;
        }
        let mut id = [0; 16];
        rand::Rng::fill_bytes(&mut self.rng, &mut id);
        self.facts.actor = Some(ActorId(id));
        self.persist_facts();
        ActorId(id)
    }

    /// A member speaks of a version of a zone: does it count more edits of this node than the node has made?
    pub(super) fn compare_own(&mut self, incarnation: IncarnationId, version: &VersionVector, now: Now) {
        if let Some(actor) = self.facts.actor {
            self.compare_count(incarnation, actor, version.get(actor), now);
        }
    }

    /// Members count so many edits of this node's.
    fn compare_count(&mut self, incarnation: IncarnationId, actor: ActorId, count: u64, now: Now) {
        // Of a zone that is not here nothing is known, and no edit can be made.
        let Some(zone) = self.replica.get(incarnation) else { return };
        if count >= zone.next_dot(actor).seq {
            let name = zone.state().zone();
            let reason = format!(
                "members hold more edits of zone {name} by this node than it has made itself: its data directory was put \
                 back to an earlier state, or another node runs on a copy of it"
            );
            self.disown(&reason, now);
        }
    }

    /// A batch came in: is it another one than this node made under that number?
    pub(super) fn compare_batch(&mut self, batch: &Batch, now: Now) {
        let Some(actor) = self.facts.actor else { return };
        let own = if batch.dot.actor == actor { batch.dot.seq } else { 0 };
        self.compare_count(batch.incarnation, actor, batch.deps.get(actor).max(own), now);
        let zone = self.replica.get(batch.incarnation);
        if self.facts.actor == Some(batch.dot.actor) && zone.is_some_and(|zone| zone.contradicts(batch)) {
            let reason = "another node made an edit under a number of this node's: one of them runs on a copy of the \
                          other's data directory, or on an earlier state of it";
            self.disown(reason, now);
        }
    }

    /// A member says as whom it makes its edits.
    pub(super) fn compare_actor(&mut self, theirs: Option<ActorId>, now: Now) {
        if theirs.is_some() && theirs == self.facts.actor {
            let reason = "another node makes its edits as this one does: one of the two runs on a copy of the other's \
                          data directory";
            self.disown(reason, now);
        }
    }

    /// Makes no further edit as the present actor. Edits on their way to disk are given up, for their numbers may have
    /// been used.
    fn disown(&mut self, reason: &str, now: Now) {
        self.facts.actor = None;
        self.persist_facts();
        self.void.extend(self.staged.keys().copied());
        self.report_once(Severity::Warn, format!("{reason}; this node goes on as a new actor"), now);
    }

    /// Edits are not to count that may be on disk: those of a disowned actor, and those of which the disk says that they are
    /// not kept, for it may err. They go from the disk before a restart can take them for edits that were made. Their
    /// numbers are not used again, for a copy of the disk may have them.
    pub(super) fn take_back(&mut self, waiters: super::command::Waiters, staged: &Staged, refusal: &CommandError) {
        self.replica.abandon(staged);
        self.facts.actor = None;
        let writes = staged.erasure().into_iter().chain([Write::Facts(self.facts.clone())]);
        self.persist(writes.collect());
        for (ticket, ..) in waiters {
            self.done(ticket, Err(refusal.clone()));
        }
    }
}

#[cfg(test)]
mod tests;
