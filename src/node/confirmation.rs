//! Waiting until others have an edit on their disks.
//!
//! Most edits are not waited for, and cost nothing here. For one that is, its author asks every live member to say so
//! once it holds that version of the zone durably. Who does not hold it yet owes the answer; who does not answer is
//! asked again, and then also fetches what it lacks.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::node::{Node, Timer};
use super::wire::{self, Confirmation};
use super::{Applied, Detail, Effect, Now, Spread, Ticket, Wait, WaitFor};
use crate::membership::State;
use crate::replica::{IncarnationId, VersionVector};

/// How soon members that did not answer are asked again: some round trips, and a write on a busy disk.
const ASK_AGAIN: Duration = Duration::from_millis(200);
/// How many answers a node owes at most; the oldest are forgotten, and asked for again.
const MAX_OWED: usize = 1024;
/// The most actors in a version that is waited for, so that the question fits a datagram. Only an edit that changes
/// nothing waits for more than one.
const MAX_ACTORS: usize = 32;

/// Somebody waits for an edit to spread.
#[derive(Debug)]
struct Watch {
    ticket: Ticket,
    applied: Applied,
    incarnation: IncarnationId,
    version: VersionVector,
    wait: WaitFor,
    deadline: Duration,
    kept_by: BTreeSet<SocketAddr>,
}

/// What this node has asked of others, and owes them.
#[derive(Debug, Default)]
pub(super) struct Confirmations {
    watches: BTreeMap<u64, Watch>,
    owed: VecDeque<(SocketAddr, u64, IncarnationId, VersionVector)>,
    last: Option<u64>,
}

impl Node {
    /// Answers a command when enough members hold this version, or when the time is up.
    pub(super) fn watch(
        &mut self,
        ticket: Ticket,
        applied: Applied,
        (incarnation, version): (IncarnationId, VersionVector),
        wait: Wait,
        now: Now,
    ) {
        if version.iter().count() > MAX_ACTORS {
            return self.done(Some(ticket), Ok(applied));
        }
        // Answers to a question of an earlier life of this node must not count: numbers begin anywhere.
        let last = self.confirmations.last.unwrap_or_else(|| rand::RngExt::random(&mut self.rng));
        let id = last.wrapping_add(1);
        self.confirmations.last = Some(id);
        let deadline = now.mono + wait.timeout;
        let kept_by = BTreeSet::new();
        let watch = Watch { ticket, applied, incarnation, version, wait: wait.level, deadline, kept_by };
        self.confirmations.watches.insert(id, watch);
        self.ask_to_confirm(id, false);
        self.arm(now.mono + ASK_AGAIN.min(wait.timeout), Timer::Confirm(id));
        self.look_at_watch(id, false);
    }

    /// Asks the members that have not answered yet.
    fn ask_to_confirm(&mut self, id: u64, again: bool) {
        let Some(watch) = self.confirmations.watches.get(&id) else { return };
        let (incarnation, version) = (watch.incarnation, watch.version.clone());
        let payload = wire::confirmation_datagram(&Confirmation::Ask {
            from: self.config.gossip,
            id,
            incarnation,
            version,
            again,
        });
        let silent = self.membership.alive().map(|member| member.addr).filter(|addr| !watch.kept_by.contains(addr));
        let sends = silent.map(|to| Effect::SendDatagram { to, payload: payload.clone() });
        self.effects.extend(sends);
    }

    pub(super) fn on_confirmation(&mut self, message: Confirmation, now: Now) {
        let from = message.from();
        if self.membership.roster().get(from).is_none_or(|member| !member.state.is_active()) {
            return;
        }
        match message {
            Confirmation::Ask { id, incarnation, version, again, .. } => {
                if self.confirmations.owed.len() >= MAX_OWED {
                    self.confirmations.owed.pop_front();
                }
                self.confirmations.owed.retain(|owed| (owed.0, owed.1) != (from, id));
                self.confirmations.owed.push_back((from, id, incarnation, version));
                self.confirm_owed();
                if again && self.confirmations.owed.iter().any(|owed| (owed.0, owed.1) == (from, id)) {
                    self.ask(from, now);
                }
            }
            Confirmation::Kept { id, .. } => {
                if let Some(watch) = self.confirmations.watches.get_mut(&id) {
                    watch.kept_by.insert(from);
                    self.look_at_watch(id, false);
                }
            }
        }
    }

    /// Tells those who wait what is held here by now, as soon as it is on disk.
    pub(super) fn confirm_owed(&mut self) {
        if self.confirmations.owed.is_empty() {
            return;
        }
        let replica = &self.replica;
        let holds = |incarnation, version: &VersionVector| {
            replica.get(incarnation).is_some_and(|zone| zone.state().version().includes(version))
        };
        let (held, owed) = std::mem::take(&mut self.confirmations.owed)
            .into_iter()
            .partition(|(_, _, incarnation, version)| holds(*incarnation, version));
        self.confirmations.owed = owed;
        for (to, id, ..) in VecDeque::into_iter(held) {
            let payload = wire::confirmation_datagram(&Confirmation::Kept { from: self.config.gossip, id });
            self.answer_when_published(Effect::SendDatagram { to, payload });
        }
    }

    /// The time has come to ask again, or to give up.
    pub(super) fn on_confirm_timer(&mut self, id: u64, now: Now) {
        let Some(deadline) = self.confirmations.watches.get(&id).map(|watch| watch.deadline) else { return };
        let over = now.mono >= deadline;
        self.look_at_watch(id, over);
        if !over {
            self.ask_to_confirm(id, true);
            self.arm(deadline.min(now.mono + ASK_AGAIN), Timer::Confirm(id));
        }
    }

    /// Members came or went, so a wait may be over; when the node leaves, all are.
    pub(super) fn look_at_watches(&mut self, over: bool) {
        let ids: Vec<u64> = self.confirmations.watches.keys().copied().collect();
        ids.into_iter().for_each(|id| self.look_at_watch(id, over));
    }

    fn look_at_watch(&mut self, id: u64, over: bool) {
        let Some(watch) = self.confirmations.watches.get(&id) else { return };
        let (mut live, mut kept) = (1, 1);
        for member in self.membership.alive() {
            live += 1;
            kept += usize::from(watch.kept_by.contains(&member.addr));
        }
        let needed = match watch.wait {
            WaitFor::Quorum => live / 2 + 1,
            WaitFor::All => live,
        };
        let reached = kept >= needed;
        if !reached && !over {
            return;
        }
        let down = self.membership.roster().iter().filter(|member| member.state == State::Down).count();
        let Some(watch) = self.confirmations.watches.remove(&id) else { return };
        let detail = watch.applied.detail.as_deref().cloned().unwrap_or_default();
        let detail = Detail { spread: Some(Spread { reached, kept, live, down }), ..detail };
        let applied = Applied { detail: Some(Arc::new(detail)), ..watch.applied };
        self.done(Some(watch.ticket), Ok(applied));
    }
}
