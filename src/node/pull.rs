//! Spreading, the asking side: sessions in which this node pulls what a member has and it lacks.

use std::net::SocketAddr;
use std::time::Duration;

use super::node::{Node, SMALL_CLUSTER};
use super::sessions::{Session, Step};
use super::transfers::Partial;
use super::wire::{self, Pulled, Request, Response};
use super::{Effect, Now, RequestId, Severity};
use crate::replica::{Changed, IncarnationId, StateError, Summary};

/// How many chunks of a state are taken in: some gigabytes.
const MAX_CHUNKS: u32 = 1 << 14;
/// How many incarnations are asked for at once, so that thousands of small zones take few round trips.
const MAX_WANTS: usize = 256;
/// How many chunks of a state are asked for at once, so that the giver makes the next ones while this node takes one in.
const CHUNKS_AT_ONCE: usize = 3;
/// How soon after a whole roster the next is asked for in a large cluster: each member that is new would else be sent one,
/// and what came in the meantime is gossiped.
const ROSTER_AGAIN: Duration = Duration::from_secs(5);

impl Node {
    /// Begins a session with a member, or notes that one is wanted.
    pub(super) fn ask(&mut self, peer: SocketAddr, now: Now) {
        if !self.sessions.admit(peer) {
            return;
        }
        let is_new = self.peers.get(peer).is_none_or(|peer| peer.asked.is_none());
        self.peers.entry(peer).asked = Some(now.mono);
        let is_small = self.membership.alive_count() <= SMALL_CLUSTER;
        let recently = self.sessions.roster_asked.is_some_and(|at| now.mono < at + ROSTER_AGAIN);
        let session = Session {
            request: RequestId(0),
            ahead: Default::default(),
            step: Step::Roster,
            theirs: Vec::new(),
            todo: Default::default(),
            repairs: Default::default(),
            compared: false,
            initialised: false,
        };
        if is_new && (is_small || !recently) {
            self.sessions.roster_asked = Some(now.mono);
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
        session.ahead.clear();
        session.step = step;
        self.sessions.put(to, session);
        self.effects.push(Effect::SendRequest { id, to, payload: wire::encode(&request) });
    }

    pub(super) fn on_response(&mut self, id: RequestId, result: Result<Vec<u8>, String>, now: Now) {
        let Some(result) = self.sessions.set_aside(id, result) else { return };
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
            (Step::Pull(wants), Response::Pulled(given)) => self.take_in(peer, session, wants, given, now),
            (Step::Repair(incarnation), Response::Pulled(given)) => {
                if let Some(Pulled::State { transfer, chunks, first, .. }) = given.into_iter().next() {
                    match Partial::new(transfer, chunks, first) {
                        Ok(partial) => self.next_chunk(peer, session, incarnation, partial, true, now),
                        Err(error) => self.refuse_state(peer, &error, now),
                    }
                }
            }
            (Step::Chunks { incarnation, mut partial, repair }, Response::Chunk(chunk)) => match partial.push(chunk) {
                Ok(()) => self.next_chunk(peer, session, incarnation, partial, repair, now),
                Err(error) => self.refuse_state(peer, &error, now),
            },
            // The state has changed since the peer began to send it, or the peer is another one: begin anew.
            (Step::Chunks { incarnation, repair: false, .. }, Response::Gone) => {
                self.pull(peer, session, vec![incarnation])
            }
            // The peer has dropped the zone meanwhile, or speaks out of turn: the next session sees.
            _ => {}
        }
    }

    /// Takes in what a peer gave of the first incarnations that were wanted, all of it as one change, and goes on with the
    /// others.
    fn take_in(
        &mut self,
        peer: SocketAddr,
        mut session: Session,
        wants: Vec<IncarnationId>,
        given: Vec<Pulled>,
        now: Now,
    ) {
        if given.is_empty() {
            // A peer that gives nothing would be asked for ever.
            return;
        }
        let (mut wants, mut changed, mut points) = (wants.into_iter(), Changed::default(), Vec::new());
        let mut unfinished = None;
        for (given, incarnation) in given.into_iter().zip(wants.by_ref()) {
            let told = match given {
                Pulled::Gone => Vec::new(),
                Pulled::Batches { batches, points } => {
                    let next = self.ingest(&batches, now);
                    changed.append(next);
                    points
                }
                Pulled::State { transfer, chunks, first, points } => {
                    match Partial::new(transfer, chunks, first) {
                        Ok(partial) if !partial.is_whole() => unfinished = Some((incarnation, partial)),
                        Ok(partial) => match partial.finish() {
                            Ok(state) => changed.append(self.replica.merge(state)),
                            Err(error) => self.refuse_state(peer, &error, now),
                        },
                        Err(error) => self.refuse_state(peer, &error, now),
                    }
                    points
                }
            };
            points.extend(told.into_iter().map(|(serial, version)| (incarnation, serial, version)));
        }
        // What came by a session is not asked for again at once: digests tell, and the next session asks.
        self.on_changed(Changed { incomplete: false, ..changed }, Some(peer), now);
        for (incarnation, serial, version) in points {
            if let Some(zone) = self.replica.note_point(incarnation, serial, version) {
                self.ambiguous(zone, serial, now);
            }
        }
        wants.rev().for_each(|incarnation| session.todo.push_front(incarnation));
        match unfinished {
            Some((incarnation, partial)) => self.next_chunk(peer, session, incarnation, partial, false, now),
            None => self.pull_next(peer, session, now),
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
        if !partial.is_whole() {
            return self.await_chunk(peer, session, Step::Chunks { incarnation, partial, repair }, now);
        }
        match partial.finish() {
            Ok(state) => {
                let changed =
                    if repair { self.replica.repair(state.state().clone()) } else { self.replica.merge(state) };
                self.on_changed(changed, Some(peer), now);
                self.pull_next(peer, session, now);
            }
            Err(error) => self.refuse_state(peer, &error, now),
        }
    }

    /// Waits for the next chunk of a state, and asks for those after it.
    fn await_chunk(&mut self, peer: SocketAddr, mut session: Session, step: Step, now: Now) {
        let Step::Chunks { partial, .. } = &step else { return };
        for index in partial.state.seen() + session.ahead.len() as u32..partial.count {
            if session.ahead.len() == CHUNKS_AT_ONCE {
                break;
            }
            let id = self.sessions.next_request(peer);
            session.ahead.push_back((id, None));
            let payload = wire::encode(&Request::Chunk { transfer: partial.transfer, index });
            self.effects.push(Effect::SendRequest { id, to: peer, payload });
        }
        let Some((id, early)) = session.ahead.pop_front() else { return };
        session.request = id;
        session.step = step;
        self.sessions.put(peer, session);
        if let Some(outcome) = early {
            self.on_response(id, outcome, now);
        }
    }

    fn refuse_state(&mut self, peer: SocketAddr, error: &StateError, now: Now) {
        let message = format!("member at {peer} sent a zone that this node does not accept: {error}");
        self.report_once(Severity::Error, message, now);
    }

    fn pull(&mut self, peer: SocketAddr, session: Session, wants: Vec<IncarnationId>) {
        let have = |incarnation: &IncarnationId| {
            let zone = self.replica.get(*incarnation);
            (*incarnation, zone.map(|zone| zone.state().version().clone()).unwrap_or_default())
        };
        let request = Request::Pull(wants.iter().map(have).collect());
        self.go_on(peer, session, Step::Pull(wants), request);
    }

    /// Pulls the next incarnations in which the peer is ahead: the catalog first, then what it lists.
    fn pull_next(&mut self, peer: SocketAddr, mut session: Session, now: Now) {
        if !self.bootstrap.is_done() && !session.initialised {
            // Two nodes that both have nothing yet have nothing for each other.
            return;
        }
        loop {
            if let Some(&incarnation) = session.todo.front() {
                if let Some(partial) = self.partials.take(incarnation) {
                    session.todo.pop_front();
                    return self.next_chunk(peer, session, incarnation, partial, false, now);
                }
                let begun = session.todo.iter().position(|incarnation| self.partials.has(*incarnation));
                let count = begun.unwrap_or(session.todo.len()).min(MAX_WANTS);
                let wants = session.todo.drain(..count).collect();
                return self.pull(peer, session, wants);
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
            return self.go_on(peer, session, Step::Repair(incarnation), Request::State { incarnation });
        }
        if session.initialised {
            self.synced = true;
            self.initialise(now);
        }
    }
}
