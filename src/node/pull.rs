//! Spreading, the asking side: sessions in which this node pulls what a member has and it lacks.

use std::net::SocketAddr;

use super::node::Node;
use super::sessions::{Session, Step};
use super::transfers::Partial;
use super::wire::{self, Request, Response};
use super::{Effect, Now, RequestId, Severity};
use crate::replica::{IncarnationId, StateError, Summary};

/// How many chunks of a state are taken in: some gigabytes.
const MAX_CHUNKS: u32 = 1 << 14;

impl Node {
    /// Begins a session with a member, or notes that one is wanted.
    pub(super) fn ask(&mut self, peer: SocketAddr, now: Now) {
        if !self.sessions.admit(peer) {
            return;
        }
        let first = self.peers.get(peer).is_none_or(|peer| peer.asked.is_none());
        self.peers.entry(peer).asked = Some(now.mono);
        let session = Session {
            request: RequestId(0),
            step: Step::Roster,
            theirs: Vec::new(),
            todo: Default::default(),
            repairs: Default::default(),
            compared: false,
            initialised: false,
        };
        if first {
            let records = self.membership.export();
            self.go_on(peer, session, Step::Roster, Request::Roster(records));
        } else {
            let root = self.replica.root();
            self.go_on(peer, session, Step::Summaries, Request::Summaries { root });
        }
    }

    pub(super) fn go_on(&mut self, to: SocketAddr, mut session: Session, step: Step, request: Request) {
        let id = self.sessions.next_request(to);
        session.request = id;
        session.step = step;
        self.sessions.put(to, session);
        self.effects.push(Effect::SendRequest { id, to, payload: wire::encode(&request) });
    }

    pub(super) fn on_response(&mut self, id: RequestId, result: Result<Vec<u8>, String>, now: Now) {
        let Some((peer, session)) = self.sessions.take(id) else { return };
        match result.map(|bytes| wire::decode::<Response>(&bytes)) {
            Ok(Ok(response)) => {
                self.last_contact = now.mono;
                self.step(peer, session, response, now);
            }
            Ok(Err(error)) => self.not_understood(peer, &error, now),
            Err(_) => {
                self.peers.entry(peer).asked = None;
                if let Step::Chunks { incarnation, partial, repair: false } = session.step {
                    self.partials.put(incarnation, partial);
                }
            }
        }
        if let Some(next) = self.sessions.next_waiting() {
            self.ask(next, now);
        }
    }

    fn step(&mut self, peer: SocketAddr, mut session: Session, response: Response, now: Now) {
        match (std::mem::replace(&mut session.step, Step::Roster), response) {
            (Step::Roster, Response::Roster(records)) => {
                self.with_membership(now, |membership, clock, out| membership.import(records, clock, out));
                let root = self.replica.root();
                self.go_on(peer, session, Step::Summaries, Request::Summaries { root });
            }
            (Step::Summaries, Response::Same { initialised }) => {
                session.initialised = initialised;
                self.peers.note(peer, self.replica.root(), initialised);
                self.finish(peer, session, now);
            }
            (Step::Summaries, Response::Summaries { root, initialised, zones }) => {
                self.peers.note(peer, root, initialised);
                self.peers.note_zones(peer, &zones);
                session.initialised = initialised;
                zones.iter().for_each(|theirs| self.compare_own(theirs.incarnation, &theirs.version, now));
                session.theirs = zones;
                self.pull_next(peer, session, now);
            }
            (Step::Pull { incarnation, .. }, Response::Batches { batches, points }) => {
                self.take_in(&batches, peer, false, now);
                for (serial, version) in points {
                    if let Some(zone) = self.replica.note_point(incarnation, serial, version) {
                        self.ambiguous(zone, serial, now);
                    }
                }
                self.pull_next(peer, session, now);
            }
            (Step::Pull { incarnation, repair }, Response::State { transfer, chunks, first }) => {
                match Partial::new(transfer, chunks, &first) {
                    Ok(partial) => self.next_chunk(peer, session, incarnation, partial, repair, now),
                    Err(error) => self.refuse_state(peer, &error, now),
                }
            }
            (Step::Chunks { incarnation, mut partial, repair }, Response::Chunk(chunk)) => {
                match partial.state.push(&chunk) {
                    Ok(()) => self.next_chunk(peer, session, incarnation, partial, repair, now),
                    Err(error) => self.refuse_state(peer, &error, now),
                }
            }
            // The state has changed since the peer began to send it, or the peer is another one: begin anew.
            (Step::Chunks { incarnation, repair: false, .. }, Response::Gone) => self.pull(peer, session, incarnation),
            // The peer has dropped the zone meanwhile, or speaks out of turn: the next session sees.
            _ => {}
        }
    }

    fn next_chunk(
        &mut self,
        peer: SocketAddr,
        session: Session,
        incarnation: IncarnationId,
        partial: Partial,
        repair: bool,
        now: Now,
    ) {
        if partial.count > MAX_CHUNKS {
            let message = format!("member at {peer} offers a zone in {} chunks: too many", partial.count);
            return self.report_once(Severity::Error, message, now);
        }
        if partial.state.seen() < partial.count {
            let request = Request::Chunk { transfer: partial.transfer, index: partial.state.seen() };
            return self.go_on(peer, session, Step::Chunks { incarnation, partial, repair }, request);
        }
        match partial.state.finish() {
            Ok(state) => {
                let changed = if repair { self.replica.repair(state) } else { self.replica.merge(state) };
                self.on_changed(changed, Some(peer), now);
                self.pull_next(peer, session, now);
            }
            Err(error) => self.refuse_state(peer, &error, now),
        }
    }

    fn refuse_state(&mut self, peer: SocketAddr, error: &StateError, now: Now) {
        let message = format!("member at {peer} sent a zone that this node does not accept: {error}");
        self.report_once(Severity::Error, message, now);
    }

    fn pull(&mut self, peer: SocketAddr, session: Session, incarnation: IncarnationId) {
        let have = self.replica.get(incarnation).map(|zone| zone.state().version().clone()).unwrap_or_default();
        let step = Step::Pull { incarnation, repair: false };
        self.go_on(peer, session, step, Request::Pull { incarnation, have });
    }

    /// Pulls the next incarnation in which the peer is ahead: the catalog first, then what it lists.
    fn pull_next(&mut self, peer: SocketAddr, mut session: Session, now: Now) {
        if !self.bootstrap.is_done() && !session.initialised {
            // Two nodes that both have nothing yet have nothing for each other.
            return;
        }
        loop {
            if let Some(incarnation) = session.todo.pop_front() {
                return match self.partials.take(incarnation) {
                    Some(partial) => self.next_chunk(peer, session, incarnation, partial, false, now),
                    None => self.pull(peer, session, incarnation),
                };
            }
            if session.compared {
                return self.finish(peer, session, now);
            }
            let catalog = self.replica.catalog_id();
            let behind: Vec<&Summary> = session.theirs.iter().filter(|theirs| self.is_behind(theirs)).collect();
            if behind.iter().any(|theirs| theirs.incarnation == catalog) {
                session.todo.push_back(catalog);
                continue;
            }
            session.todo = behind
                .iter()
                .map(|theirs| theirs.incarnation)
                .filter(|incarnation| self.replica.wants(*incarnation))
                .collect();
            session.compared = true;
            session.repairs = self.diverged_from(&session.theirs, now);
        }
    }

    fn is_behind(&self, theirs: &Summary) -> bool {
        self.replica.get(theirs.incarnation).is_none_or(|mine| !mine.state().version().includes(&theirs.version))
    }

    fn finish(&mut self, peer: SocketAddr, mut session: Session, now: Now) {
        if let Some(incarnation) = session.repairs.pop_front() {
            let step = Step::Pull { incarnation, repair: true };
            return self.go_on(peer, session, step, Request::State { incarnation });
        }
        if session.initialised {
            self.synced = true;
            self.initialise(now);
        }
    }
}
