//! Anti-entropy as the asking side sees it: one session a peer, a request at a time.
//!
//! A session asks a peer for its summaries, pulls the catalog if the peer's is ahead, then every listed zone in which
//! the peer is ahead, as batches or as a whole state in chunks. It may end at any point; the next one begins anew and
//! loses nothing, for whatever was applied stays.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use super::RequestId;
use super::transfers::Partial;
use crate::replica::{IncarnationId, Summary};

/// How many sessions run at once. Each may hold a zone's state in memory.
const MAX_SESSIONS: usize = 4;

/// What came of a request: the plain payload of the response, or why there is none.
pub(super) type Outcome = Result<Vec<u8>, String>;

/// One session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) request: RequestId,
    /// Requests for the chunks after the one that is waited for, with the responses that came early.
    pub(super) ahead: VecDeque<(RequestId, Option<Outcome>)>,
    pub(super) step: Step,
    /// What the peer holds, once it said so.
    pub(super) theirs: Vec<Summary>,
    /// Incarnations still to pull.
    pub(super) todo: VecDeque<IncarnationId>,
    /// Incarnations whose content differs from the peer's, held by most, at the same version.
    pub(super) repairs: VecDeque<IncarnationId>,
    /// Whether the listed zones have been compared, after the catalog.
    pub(super) compared: bool,
    /// Whether the peer has synced with the cluster or started it.
    pub(super) initialised: bool,
}

/// What a session waits for.
#[derive(Debug)]
pub(super) enum Step {
    Roster,
    Summaries,
    /// What is lacking of these incarnations.
    Pull(Vec<IncarnationId>),
    /// An incarnation's state, to replace what is here.
    Repair(IncarnationId),
    /// A chunk of an incarnation's state; `repair` if it is to replace what is here.
    Chunks {
        incarnation: IncarnationId,
        partial: Partial,
        repair: bool,
    },
}

/// All sessions of a node.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    active: BTreeMap<SocketAddr, Session>,
    requests: BTreeMap<RequestId, SocketAddr>,
    /// Peers to ask as soon as there is room, or once more when their session ends.
    waiting: BTreeSet<SocketAddr>,
    last_request: u64,
    /// When a whole roster was last asked for.
    pub(super) roster_asked: Option<Duration>,
}

impl Sessions {
    /// Whether a session with `peer` may begin now. If not, it is noted for later.
    pub(super) fn admit(&mut self, peer: SocketAddr) -> bool {
        let free = !self.active.contains_key(&peer) && self.active.len() < MAX_SESSIONS;
        if free {
            self.waiting.remove(&peer);
        } else {
            self.waiting.insert(peer);
        }
        free
    }

    /// Names a new request to `peer`.
    pub(super) fn next_request(&mut self, peer: SocketAddr) -> RequestId {
        self.last_request += 1;
        let id = RequestId(self.last_request);
        self.requests.insert(id, peer);
        id
    }

    /// The peer and session that a response belongs to; the session is taken out.
    pub(super) fn take(&mut self, id: RequestId) -> Option<(SocketAddr, Session)> {
        let peer = self.requests.remove(&id)?;
        let session = self.active.remove(&peer)?;
        if session.request != id {
            self.active.insert(peer, session);
            return None;
        }
        Some((peer, session))
    }

    /// Keeps the response to a request whose turn has not come; gives back any other.
    pub(super) fn set_aside(&mut self, id: RequestId, outcome: Outcome) -> Option<Outcome> {
        let session = self.requests.get(&id).and_then(|peer| self.active.get_mut(peer));
        match session.and_then(|session| session.ahead.iter_mut().find(|(ahead, _)| *ahead == id)) {
            Some((_, early)) => {
                *early = Some(outcome);
                None
            }
            None => Some(outcome),
        }
    }

    /// Puts a session that goes on in place.
    pub(super) fn put(&mut self, peer: SocketAddr, session: Session) {
        self.active.insert(peer, session);
    }

    /// A peer whose turn has come.
    pub(super) fn next_waiting(&mut self) -> Option<SocketAddr> {
        let next = self.waiting.iter().copied().find(|peer| !self.active.contains_key(peer))?;
        (self.active.len() < MAX_SESSIONS).then(|| {
            self.waiting.remove(&next);
            next
        })
    }
}
