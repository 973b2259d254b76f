//! What is on disk, and what waits for it.
//!
//! Edits of other nodes are applied in memory at once and written behind. They are served only once they are kept, so
//! that a node which crashes never comes back with an older serial than it has served. What failed to be written is
//! tried again, ahead of all later writes; until then the node goes on serving what it has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::node::{Node, Timer};
use super::{CommandError, Effect, Now, PersistId, Severity};
use crate::replica::{Digest, Write};
use crate::zone::ZoneSet;

/// How soon writes that could not be kept are tried again.
const RETRY_WRITES: Duration = Duration::from_secs(1);

/// What is held back until writes are kept.
#[derive(Debug, Default)]
struct Held {
    /// What to serve, and the digest over it.
    snapshot: Option<(Arc<ZoneSet>, Digest)>,
    /// Answers to commands.
    done: Vec<Effect>,
}

/// The writes under way, and what waits for them.
#[derive(Debug, Default)]
pub(super) struct Durability {
    /// Writes under way that are not edits of this node, to be tried again if they fail.
    saving: BTreeMap<PersistId, Vec<Write>>,
    /// Those of them that nothing waits for: a crash may take them, for they follow from what is kept.
    asides: BTreeSet<PersistId>,
    /// Writes that failed, and all that were asked for after one of those: they are made again in the order in which
    /// they were asked for, which matters for checkpoints and facts.
    unsaved: BTreeMap<PersistId, Vec<Write>>,
    held: BTreeMap<PersistId, Held>,
    /// What waits for the writes that failed. Its snapshot is not looked at: when they are tried again, together with
    /// all that came since, the snapshot of that moment takes its place.
    blocked: Held,
    count: u64,
    published: Digest,
}

impl Durability {
    /// The digest over all zones as they are served.
    pub(super) fn published_root(&self) -> Digest {
        self.published
    }

    pub(super) fn next_id(&mut self) -> PersistId {
        self.count += 1;
        PersistId(self.count)
    }

    /// Whether writes have failed that are still to be made again.
    pub(super) fn is_behind(&self) -> bool {
        !self.unsaved.is_empty()
    }

    /// The writes that must go ahead of an edit's own, because they failed earlier.
    pub(super) fn unsaved(&self) -> Vec<Write> {
        self.unsaved.values().flatten().cloned().collect()
    }

    /// Where something waits that must not be seen before all writes so far are kept; `None` if they are.
    fn barrier(&mut self) -> Option<&mut Held> {
        if !self.unsaved.is_empty() {
            return Some(&mut self.blocked);
        }
        let asides = &self.asides;
        let last = *self.saving.keys().rev().find(|id| !asides.contains(id))?;
        Some(self.held.entry(last).or_default())
    }
}

impl Node {
    /// Serves what the replica has, as soon as it is on disk.
    pub(super) fn publish(&mut self) {
        self.end_provisional();
        let snapshot = (self.served(), self.replica.root());
        match self.durability.barrier() {
            Some(held) => held.snapshot = Some(snapshot),
            None => self.publish_now(snapshot),
        }
    }

    fn publish_now(&mut self, (zones, root): (Arc<ZoneSet>, Digest)) {
        self.durability.published = root;
        self.effects.push(Effect::Publish(zones));
    }

    /// Passes on an answer after what it speaks of is served.
    pub(super) fn answer_when_published(&mut self, effect: Effect) {
        match self.durability.barrier() {
            Some(held) => held.done.push(effect),
            None => self.effects.push(effect),
        }
    }

    /// Asks for writes that are not an edit of this node: they are tried until they are kept.
    pub(super) fn persist(&mut self, writes: Vec<Write>) {
        if writes.is_empty() {
            return;
        }
        let id = self.durability.next_id();
        if !self.durability.unsaved.is_empty() {
            self.durability.unsaved.insert(id, writes);
            return;
        }
        self.durability.saving.insert(id, writes.clone());
        self.effects.push(Effect::Persist { id, writes, gathered: false });
    }

    /// As [`Node::persist`], for what a change of this node's own asks for after its edit is kept. Nothing waits for
    /// history alone.
    pub(super) fn persist_consequences(&mut self, writes: Vec<Write>) {
        let aside = writes.iter().all(|write| matches!(write, Write::History { .. }));
        if aside && !writes.is_empty() && self.durability.unsaved.is_empty() {
            let id = self.durability.next_id();
            self.durability.asides.insert(id);
            self.durability.saving.insert(id, writes.clone());
            return self.effects.push(Effect::Persist { id, writes, gathered: false });
        }
        self.persist(writes);
    }

    pub(super) fn persist_facts(&mut self) {
        self.persist(vec![Write::Facts(self.facts.clone())]);
    }

    pub(super) fn retry_writes(&mut self, now: Now) {
        if !self.staged.is_empty() || !self.durability.saving.is_empty() {
            // Writes are on their way that were asked for before one failed, or an edit with all that failed before it.
            // Made again behind them, what failed could undo them; and what waits for them waits for what failed too.
            return self.arm(now.mono + RETRY_WRITES, Timer::RetryWrites);
        }
        let writes = self.durability.unsaved();
        self.durability.unsaved.clear();
        self.persist(writes);
        let done = std::mem::take(&mut self.durability.blocked).done;
        let snapshot = (self.served(), self.replica.root());
        if let Some(held) = self.durability.barrier() {
            *held = Held { snapshot: Some(snapshot), done };
        }
    }

    pub(super) fn on_persisted(&mut self, id: PersistId, result: Result<(), String>, now: Now) {
        if let Some((waiters, staged)) = self.staged.remove(&id) {
            let void = self.void.remove(&id);
            match result {
                Ok(()) if void => self.take_back(waiters, &staged, &CommandError::Disowned),
                Ok(()) => {
                    if self.durability.is_behind() {
                        // What failed earlier is made again, and this after it.
                        self.durability.unsaved.insert(id, staged.writes.clone());
                    }
                    self.commit(waiters, staged, now);
                }
                Err(reason) => self.take_back(waiters, &staged, &CommandError::NotStored(reason)),
            }
            self.pump_commands(now);
        } else if let Some(writes) = self.durability.saving.remove(&id) {
            self.durability.asides.remove(&id);
            match result {
                Ok(()) => self.release(id, writes, now),
                Err(reason) => self.keep_for_later(id, writes, &reason, now),
            }
        }
    }

    /// Lets go what waited for these writes.
    fn release(&mut self, id: PersistId, writes: Vec<Write>, now: Now) {
        let held = self.durability.held.remove(&id);
        if !self.durability.unsaved.is_empty() {
            // An earlier write failed: what came after it must not be seen before it, and is made again after it.
            self.durability.unsaved.insert(id, writes);
            self.durability.blocked.done.extend(held.into_iter().flat_map(|held| held.done));
            return;
        }
        let Some(held) = held else { return };
        if let Some(snapshot) = held.snapshot {
            self.publish_now(snapshot);
            self.tell_soon(now);
        }
        self.effects.extend(held.done);
    }

    fn keep_for_later(&mut self, id: PersistId, writes: Vec<Write>, reason: &str, now: Now) {
        if self.durability.unsaved.is_empty() {
            let all = |is: fn(&Write) -> bool| writes.iter().all(is);
            let what = if all(|write| matches!(write, Write::History { .. })) {
                "the history is not stored"
            } else if all(|write| matches!(write, Write::Erase { .. } | Write::Facts(_))) {
                "what this node notes for itself is not stored"
            } else {
                "edits of other nodes are not stored, so not served yet"
            };
            self.report_once(Severity::Error, format!("{what}, and tried again: {reason}"), now);
            self.arm(now.mono + RETRY_WRITES, Timer::RetryWrites);
        }
        self.durability.unsaved.insert(id, writes);
        if let Some(held) = self.durability.held.remove(&id) {
            self.durability.blocked.done.extend(held.done);
        }
    }
}
