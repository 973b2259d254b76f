//! Every member that this node knows, with what it believes of it and since when.
//!
//! foca forgets and renames as the protocol needs; the roster is what people and the rest of the node see. It follows
//! foca's state after every step, so the two never disagree about who is alive.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Clock, Identity};

/// How long a member that left or failed is shown, and tried again if it failed. Longer than foca remembers it.
const SHOW_GONE: Duration = Duration::from_secs(72 * 60 * 60);

/// What is believed of a member (SWIM).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum State {
    /// It answers probes.
    Alive,
    /// It missed a probe and has not refuted it yet; still counted as alive.
    Suspect,
    /// It failed.
    Down,
    /// It said good-bye.
    Left,
}

impl State {
    /// Whether the member takes part.
    pub fn is_active(self) -> bool {
        matches!(self, State::Alive | State::Suspect)
    }

    /// What foca calls it.
    pub(super) fn to_foca(self) -> foca::State {
        match self {
            State::Alive => foca::State::Alive,
            State::Suspect => foca::State::Suspect,
            State::Down | State::Left => foca::State::Down,
        }
    }
}

/// One member of the roster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// Its latest life.
    pub identity: Identity,
    /// What is believed of it.
    pub state: State,
    /// Since when, milliseconds since 1970.
    pub since_ms: u64,
    /// The same by the clock that does not jump.
    since: Duration,
    /// foca's count of its refutations.
    incarnation: foca::Incarnation,
}

impl Member {
    /// Its count of refutations, as far as this node has heard.
    pub(super) fn incarnation(&self) -> foca::Incarnation {
        self.incarnation
    }
}

/// One member as nodes send it each other when they exchange whole rosters.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Its latest life.
    pub identity: Identity,
    /// Its count of refutations (SWIM's incarnation).
    pub incarnation: u16,
    /// What the sender believes of it.
    pub state: State,
    /// Since when, milliseconds since 1970.
    pub since_ms: u64,
}

/// Every known member but this node, by address.
#[derive(Clone, Debug, Default)]
pub struct Roster {
    members: BTreeMap<SocketAddr, Member>,
}

/// What became of a member.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Change {
    Up(Identity),
    Down(Identity),
    Left(Identity),
}

impl Roster {
    /// Every known member, this node not among them, by address.
    pub fn iter(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    /// The member at an address.
    pub fn get(&self, addr: SocketAddr) -> Option<&Member> {
        self.members.get(&addr)
    }

    /// Members that take part, by address.
    pub fn active(&self) -> impl Iterator<Item = &Member> {
        self.iter().filter(|member| member.state.is_active())
    }

    /// How many members are known.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Follows what foca believes of one member. `left` says that the member is known to have said good-bye.
    pub(super) fn observe(
        &mut self,
        identity: &Identity,
        state: foca::State,
        incarnation: u16,
        left: bool,
        now: Clock,
    ) -> Option<Change> {
        let known = self.members.get_mut(&identity.addr);
        let was_left = known.as_ref().is_some_and(|old| old.identity == *identity && old.state == State::Left);
        let state = match state {
            foca::State::Alive => State::Alive,
            foca::State::Suspect => State::Suspect,
            foca::State::Down if left || was_left => State::Left,
            foca::State::Down => State::Down,
        };
        let was_active = known.as_ref().is_some_and(|old| old.state.is_active());
        let same_life = known.as_ref().is_some_and(|old| old.identity == *identity);
        if let Some(old) = known {
            old.incarnation = incarnation;
            if same_life && old.state == state {
                return None;
            }
        }
        let member = Member { identity: identity.clone(), state, since_ms: now.wall_ms, since: now.mono, incarnation };
        self.members.insert(identity.addr, member);
        match (was_active, state) {
            (_, State::Alive | State::Suspect) if !was_active || !same_life => Some(Change::Up(identity.clone())),
            (_, State::Left) => Some(Change::Left(identity.clone())),
            (true, State::Down) => Some(Change::Down(identity.clone())),
            _ => None,
        }
    }

    /// Whether what another node believes of a member is nothing new here.
    pub(super) fn knows(&self, record: &Record) -> bool {
        self.members.get(&record.identity.addr).is_some_and(|member| {
            member.identity == record.identity
                && member.state == record.state
                && member.incarnation >= record.incarnation
        })
    }

    /// Takes over that a member was in its state already earlier, as another node knows.
    pub(super) fn backdate(&mut self, record: &Record) {
        if let Some(member) = self.members.get_mut(&record.identity.addr)
            && member.identity == record.identity
            && member.state == record.state
        {
            member.since_ms = member.since_ms.min(record.since_ms);
        }
    }

    /// Forgets members that are gone for long.
    pub(super) fn forget_long_gone(&mut self, now: Clock) {
        self.members.retain(|_, member| member.state.is_active() || now.mono.saturating_sub(member.since) < SHOW_GONE);
    }

    /// The roster as others may import it, `me` included.
    pub(super) fn export(&self, me: &Identity, since_ms: u64) -> Vec<Record> {
        let myself = Record { identity: me.clone(), incarnation: 0, state: State::Alive, since_ms };
        let others = self.iter().map(|member| Record {
            identity: member.identity.clone(),
            incarnation: member.incarnation,
            state: member.state,
            since_ms: member.since_ms,
        });
        std::iter::once(myself).chain(others).collect()
    }
}
