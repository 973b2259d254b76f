//! Spreading: what changed here is pushed at once, and anti-entropy finds what a push missed.

use std::net::SocketAddr;
use std::sync::Arc;

use rand::seq::IndexedRandom;

use super::node::Node;
use super::sessions::{Session, Step};
use super::wire::{self, Gossip, MAX_RUMOUR, Request, Response};
use super::{Effect, InboundId, Now, RequestId, Severity};
use crate::codec;
use crate::replica::{Batch, Changed, Digest, Summary, ZoneState};

/// Up to this many members hear of an edit from its author directly; in a larger cluster some hear it from others.
const PUSH_TO_ALL: usize = 8;
/// To how many random members an author pushes in a larger cluster.
const PUSH_FANOUT: usize = 6;
/// To how many random members a receiver passes on what was new to it.
const PASS_ON_FANOUT: usize = 2;
/// How many members are told at once which version is held here.
const TELL_FANOUT: usize = 32;
/// For how long a peer that was just asked is not asked again merely because its digest differs: while edits come in,
/// digests differ all the time.
const ASK_AGAIN: std::time::Duration = std::time::Duration::from_millis(250);

/// The most bytes of batches in one response; a peer that lacks more is sent the state, which comes in chunks. In memory
/// a batch takes several times its encoded size, and decoding stops at [`codec::MAX_DECODED`].
const MAX_BATCHES_BYTES: usize = 8 << 20;
/// How many chunks of a state are taken in: some gigabytes.
const MAX_CHUNKS: u32 = 1 << 14;

impl Node {
    /// Carries out what a change to the replica asks for. `from` is the member that it came from.
    pub(super) fn on_changed(&mut self, changed: Changed, from: Option<SocketAddr>, now: Now) {
        for alarm in changed.alarms {
            self.report(Severity::Error, alarm);
        }
        self.persist(changed.writes);
        if changed.publish {
            self.publish();
            self.tell_soon(now);
        }
        if from.is_some() && !changed.news.is_empty() {
            self.effects.push(Effect::Merged { batches: changed.news.len() as u64 });
        }
        self.push(changed.news, from);
        self.confirm_owed();
        if changed.incomplete
            && let Some(from) = from
        {
            self.ask(from, now);
        }
    }

    /// Sends new batches to members: to all of a small cluster by their author, to a few random ones otherwise.
    fn push(&mut self, news: Vec<Arc<Batch>>, from: Option<SocketAddr>) {
        if news.is_empty() {
            return;
        }
        let alive: Vec<SocketAddr> =
            self.membership.alive().map(|member| member.addr).filter(|addr| Some(*addr) != from).collect();
        let fanout = match from {
            Some(_) => PASS_ON_FANOUT,
            None if alive.len() <= PUSH_TO_ALL => alive.len(),
            None => PUSH_FANOUT,
        };
        let targets: Vec<SocketAddr> = alive.sample(&mut self.rng, fanout).copied().collect();
        let root = self.durability.published_root();
        let mut datagrams = Vec::new();
        let (mut batches, mut bytes, mut ask) = (Vec::new(), 0, false);
        for batch in news {
            let size = codec::encode(&*batch).len();
            if size > MAX_RUMOUR {
                ask = true;
                continue;
            }
            if bytes + size > MAX_RUMOUR {
                datagrams.push(self.gossip(root, std::mem::take(&mut batches), false));
                bytes = 0;
            }
            bytes += size;
            batches.push(batch);
        }
        if ask || !batches.is_empty() {
            datagrams.push(self.gossip(root, batches, ask));
        }
        for to in targets {
            let sends = datagrams.iter().map(|payload| Effect::SendDatagram { to, payload: payload.clone() });
            self.effects.extend(sends);
        }
    }

    fn gossip(&self, root: Digest, batches: Vec<Arc<Batch>>, ask: bool) -> Vec<u8> {
        let initialised = self.bootstrap.is_done();
        wire::gossip_datagram(&Gossip { from: self.config.gossip, root, initialised, ask, batches })
    }

    /// Tells members which version is held here.
    pub(super) fn tell(&mut self, ask: bool) {
        let alive: Vec<SocketAddr> = self.membership.alive().map(|member| member.addr).collect();
        let payload = self.gossip(self.durability.published_root(), Vec::new(), ask);
        let targets: Vec<SocketAddr> = alive.sample(&mut self.rng, TELL_FANOUT).copied().collect();
        self.effects.extend(targets.into_iter().map(|to| Effect::SendDatagram { to, payload: payload.clone() }));
    }

    pub(super) fn on_gossip(&mut self, gossip: Gossip, now: Now) {
        let from = gossip.from;
        if self.membership.roster().get(from).is_none_or(|member| !member.state.is_active()) {
            // Not a member, or not any more: SWIM settles that first, and anti-entropy brings what this would have.
            return;
        }
        self.peers.note(from, gossip.root, gossip.initialised);
        if self.bootstrap.is_done() {
            for batch in gossip.batches {
                let changed = self.replica.ingest(batch);
                self.on_changed(changed, Some(from), now);
            }
        }
        let differs = gossip.root != self.replica.root();
        let recently = self.peers.get(from).and_then(|peer| peer.asked).is_some_and(|at| now.mono < at + ASK_AGAIN);
        if differs && (gossip.ask || !recently) {
            self.ask(from, now);
        }
    }

    /// Asks a random member what it has, and tells all which version is here.
    pub(super) fn anti_entropy(&mut self, now: Now) {
        let alive: Vec<SocketAddr> = self.membership.alive().map(|member| member.addr).collect();
        if let Some(&peer) = alive.choose(&mut self.rng) {
            self.ask(peer, now);
        }
        self.tell(false);
    }

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

    fn go_on(&mut self, to: SocketAddr, mut session: Session, step: Step, request: Request) {
        let id = self.sessions.next_request(to);
        session.request = id;
        session.step = step;
        self.sessions.put(to, session);
        self.effects.push(Effect::SendRequest { id, to, payload: codec::encode(&request) });
    }

    pub(super) fn on_response(&mut self, id: RequestId, result: Result<Vec<u8>, String>, now: Now) {
        let Some((peer, session)) = self.sessions.take(id) else { return };
        match result.map(|bytes| codec::decode::<Response>(&bytes)) {
            Ok(Ok(response)) => {
                self.last_contact = now.mono;
                self.step(peer, session, response, now);
            }
            Ok(Err(_)) => self.effects.push(Effect::Malformed),
            Err(_) => self.peers.entry(peer).asked = None,
        }
        if let Some(next) = self.sessions.next_waiting() {
            self.ask(next, now);
        }
    }

    fn step(&mut self, peer: SocketAddr, mut session: Session, response: Response, now: Now) {
        match (std::mem::replace(&mut session.step, Step::Pull), response) {
            (Step::Roster, Response::Roster(records)) => {
                self.with_membership(now, |membership, clock, out| membership.import(records, clock, out));
                let root = self.replica.root();
                self.go_on(peer, session, Step::Summaries, Request::Summaries { root });
            }
            (Step::Summaries, Response::Same { initialised }) => {
                session.initialised = initialised;
                self.peers.note(peer, self.replica.root(), initialised);
                self.finish(session, now);
            }
            (Step::Summaries, Response::Summaries { root, initialised, zones }) => {
                self.peers.note(peer, root, initialised);
                self.peers.note_zones(peer, &zones);
                session.initialised = initialised;
                session.theirs = zones;
                self.pull_next(peer, session, now);
            }
            (Step::Pull, Response::Batches(batches)) => {
                for batch in batches {
                    let changed = self.replica.ingest(batch);
                    // What came by a session is not pushed on: digests tell the others, and they ask.
                    let changed = Changed { incomplete: false, ..changed };
                    self.on_changed(changed, Some(peer), now);
                }
                self.pull_next(peer, session, now);
            }
            (Step::Pull, Response::State { transfer, chunks, first }) => {
                let got = vec![first];
                self.next_chunk(peer, session, (transfer, chunks, got), now);
            }
            (Step::Chunks { transfer, count, mut got }, Response::Chunk(chunk)) => {
                got.push(chunk);
                self.next_chunk(peer, session, (transfer, count, got), now);
            }
            // The peer has dropped the zone meanwhile, or speaks out of turn: the next session sees.
            _ => {}
        }
    }

    fn next_chunk(
        &mut self,
        peer: SocketAddr,
        session: Session,
        (transfer, count, got): (Digest, u32, Vec<Vec<u8>>),
        now: Now,
    ) {
        if count > MAX_CHUNKS {
            return self.report(Severity::Error, format!("member at {peer} offers a zone in {count} chunks: too many"));
        }
        if (got.len() as u32) < count {
            let request = Request::Chunk { transfer, index: got.len() as u32 };
            return self.go_on(peer, session, Step::Chunks { transfer, count, got }, request);
        }
        match ZoneState::decode(got.iter().map(Vec::as_slice)) {
            Ok(state) => {
                let changed = self.replica.merge(state);
                self.on_changed(changed, Some(peer), now);
                self.pull_next(peer, session, now);
            }
            Err(error) => {
                let message = format!("member at {peer} sent a zone that this node does not accept: {error}");
                self.report(Severity::Error, message);
            }
        }
    }

    /// Pulls the next incarnation in which the peer is ahead: the catalog first, then what it lists.
    fn pull_next(&mut self, peer: SocketAddr, mut session: Session, now: Now) {
        if !self.bootstrap.is_done() && !session.initialised {
            // Two nodes that both have nothing yet have nothing for each other.
            return;
        }
        loop {
            if let Some(incarnation) = session.todo.pop_front() {
                let have = self.replica.get(incarnation).map(|zone| zone.state().version().clone()).unwrap_or_default();
                let request = Request::Pull { incarnation, have };
                return self.go_on(peer, session, Step::Pull, request);
            }
            if session.compared {
                return self.finish(session, now);
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
        }
    }

    fn is_behind(&self, theirs: &Summary) -> bool {
        self.replica.get(theirs.incarnation).is_none_or(|mine| !mine.state().version().includes(&theirs.version))
    }

    fn finish(&mut self, session: Session, now: Now) {
        for theirs in &session.theirs {
            let Some(mine) = self.replica.get(theirs.incarnation) else { continue };
            let (zone, digest) = (mine.state().zone().clone(), mine.state().digest());
            if *mine.state().version() == theirs.version
                && digest != theirs.digest
                && self.diverged.insert(theirs.incarnation)
            {
                let message =
                    format!("zone {zone}: content differs from a member's at the same version: {digest} here");
                self.report(Severity::Error, message);
            }
        }
        if session.initialised {
            self.synced = true;
            self.initialise(now);
        }
    }

    /// Answers what a peer asks over a stream.
    pub(super) fn respond(&mut self, inbound: InboundId, payload: &[u8], now: Now) {
        let Ok(request) = codec::decode::<Request>(payload) else {
            self.effects.push(Effect::Malformed);
            let payload = codec::encode(&Response::Gone);
            return self.effects.push(Effect::Respond { inbound, payload });
        };
        let response = match request {
            Request::Roster(records) => {
                self.with_membership(now, |membership, clock, out| membership.import(records, clock, out));
                Response::Roster(self.membership.export())
            }
            Request::Summaries { root } => self.summaries(root),
            Request::Pull { incarnation, have } => match self.replica.get(incarnation) {
                None => Response::Gone,
                Some(zone) => match zone.delta(&have) {
                    Some(batches) if is_sendable(&batches) => Response::Batches(batches),
                    _ => {
                        let (transfer, chunks, first) = self.transfers.begin(zone);
                        Response::State { transfer, chunks, first: first.to_vec() }
                    }
                },
            },
            Request::Chunk { transfer, index } => match self.transfers.chunk(transfer, index) {
                Some(chunk) => Response::Chunk(chunk.to_vec()),
                None => Response::Gone,
            },
        };
        self.effects.push(Effect::Respond { inbound, payload: codec::encode(&response) });
    }

    fn summaries(&self, theirs: Digest) -> Response {
        let (root, initialised) = (self.replica.root(), self.bootstrap.is_done());
        if root == theirs {
            return Response::Same { initialised };
        }
        let root = self.durability.published_root();
        Response::Summaries { root, initialised, zones: self.replica.summaries() }
    }
}

/// Whether a peer will decode these batches in one message.
fn is_sendable(batches: &[Arc<Batch>]) -> bool {
    let mut bytes = 0;
    batches.iter().all(|batch| {
        bytes += codec::encode(&**batch).len();
        bytes <= MAX_BATCHES_BYTES
    })
}
