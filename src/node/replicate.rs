//! Spreading, the giving side: what changed here is pushed at once, and peers that ask are answered. The asking side is
//! [`super::pull`].

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rand::seq::{IndexedRandom, SliceRandom};

use super::node::Node;
use super::transfers::POINTS_WITH_ZONE;
use super::wire::{self, Enclosed, Gossip, MAX_RUMOUR, Pulled, Request, Response};
use super::{Effect, InboundId, Now, Severity};
use crate::codec;
use crate::membership::Member;
use crate::replica::{Batch, Changed, Digest, IncarnationId, VersionHash, VersionVector, Write};
use crate::zone::{Name, served_serial};

/// Up to this many members hear of an edit from its author directly; in a larger cluster some hear it from others.
const PUSH_TO_ALL: usize = 8;
/// To how many random members an author pushes in a larger cluster.
const PUSH_FANOUT: usize = 6;
/// To how many random members a receiver passes on what was new to it.
const PASS_ON_FANOUT: usize = 2;
/// Edits that come within this time of each other are a stream. Who misses one of a stream sees that it does from the next
/// one, which builds on it: so in a small cluster nobody passes on what the author itself pushes to all.
const STREAM: Duration = Duration::from_millis(20);
/// How many members are told at once which version is held here.
const TELL_FANOUT: usize = 32;
/// For how long a peer that was just asked is not asked again merely because its digest differs: while edits come in,
/// digests differ all the time.
const ASK_AGAIN: Duration = Duration::from_millis(250);

/// The most bytes of batches in one response; a peer that lacks more is sent the state, which comes in chunks. In memory
/// a batch takes several times its encoded size, and decoding stops at [`codec::MAX_DECODED`].
const MAX_BATCHES_BYTES: usize = 8 << 20;
/// A response of so many bytes is not made longer by more incarnations.
const ENOUGH_BYTES: usize = 1 << 20;
/// How many published versions are told at once, so that they fit a datagram.
const MAX_POINTS: usize = 24;

type Point = (IncarnationId, u64, VersionHash);

/// Whether edits of others come in a stream.
#[derive(Debug, Default)]
pub(super) struct Stream {
    last: Option<Duration>,
    flows: bool,
}

impl Stream {
    fn note(&mut self, now: Duration) {
        self.flows = self.last.is_some_and(|last| now < last + STREAM);
        self.last = Some(now);
    }
}

impl Node {
    /// Carries out what a change to the replica asks for. `from` is the member that it came from.
    pub(super) fn on_changed(&mut self, changed: Changed, from: Option<SocketAddr>, now: Now) {
        for alarm in changed.alarms {
            self.report_once(Severity::Error, alarm, now);
        }
        for (zone, serial) in changed.ambiguous {
            self.ambiguous(zone, serial, now);
        }
        let room = MAX_POINTS.saturating_sub(self.points.len());
        let points = changed.points.into_iter().map(|(zone, (serial, version))| (zone, serial, version));
        self.points.extend(points.take(room));
        let mut writes = changed.writes;
        if changed.revived {
            // As the present actor this node may have edited that life before.
            self.facts.actor = None;
            writes.push(Write::Facts(self.facts.clone()));
        }
        self.persist_consequences(writes);
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
        self.make_wanted(now);
    }

    /// Tells that a serial stood for two contents.
    pub(super) fn ambiguous(&mut self, zone: Name, serial: u64, now: Now) {
        let serial = served_serial(serial);
        let message = format!(
            "zone {zone}: while edits were concurrent, nodes served different contents under one serial; all now go on \
             to a higher one, with both edits"
        );
        self.report_once(Severity::Info, message, now);
        self.effects.push(Effect::Ambiguous { zone, serial });
    }

    /// Sends new batches to members: to all of a small cluster by their author, to a few random ones otherwise.
    fn push(&mut self, mut news: Vec<Arc<Batch>>, from: Option<SocketAddr>) {
        let alive: Vec<SocketAddr> =
            self.membership.alive().map(|member| member.addr).filter(|addr| Some(*addr) != from).collect();
        if self.stream.flows
            && alive.len() < PUSH_TO_ALL
            && let Some(author) = from.and_then(|from| self.peers.get(from)?.actor)
        {
            news.retain(|batch| batch.dot.actor != author);
        }
        if news.is_empty() {
            return;
        }
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
            let batch = Enclosed::new(&batch);
            let size = batch.size();
            if size > MAX_RUMOUR {
                ask = true;
                continue;
            }
            if bytes + size > MAX_RUMOUR {
                datagrams.push(self.gossip(root, std::mem::take(&mut batches), Vec::new(), false));
                bytes = 0;
            }
            bytes += size;
            batches.push(batch);
        }
        if ask || !batches.is_empty() {
            datagrams.push(self.gossip(root, batches, Vec::new(), ask));
        }
        for to in targets {
            let sends = datagrams.iter().map(|payload| Effect::SendDatagram { to, payload: payload.clone() });
            self.effects.extend(sends);
        }
    }

    fn gossip(&self, root: Digest, batches: Vec<Enclosed>, points: Vec<Point>, ask: bool) -> Vec<u8> {
        let initialised = self.bootstrap.is_done();
        wire::gossip_datagram(&Gossip {
            from: self.config.gossip,
            actor: self.facts.actor,
            root,
            initialised,
            ask,
            points,
            batches,
        })
    }

    /// Tells members which version is held here.
    pub(super) fn tell(&mut self, ask: bool) {
        let points = std::mem::take(&mut self.points);
        let payload = self.gossip(self.durability.published_root(), Vec::new(), points, ask);
        let targets = self.next_to_tell();
        self.effects.extend(targets.into_iter().map(|to| Effect::SendDatagram { to, payload: payload.clone() }));
    }

    /// The members whose turn it is: in an order that is random, so that news takes few steps, and each once before any
    /// is told again, so that all know of this node in bounded time.
    pub(super) fn next_to_tell(&mut self) -> Vec<SocketAddr> {
        let mut targets = Vec::new();
        for _ in 0..2 {
            while targets.len() < TELL_FANOUT
                && let Some(addr) = self.to_tell.pop()
            {
                let is_active = |member: &Member| member.state.is_active();
                if self.membership.roster().get(addr).is_some_and(is_active) && !targets.contains(&addr) {
                    targets.push(addr);
                }
            }
            if self.to_tell.is_empty() {
                self.to_tell = self.membership.alive().map(|member| member.addr).collect();
                self.to_tell.shuffle(&mut self.rng);
            }
        }
        targets
    }

    pub(super) fn on_gossip(&mut self, gossip: Gossip, now: Now) {
        let from = gossip.from;
        if self.membership.roster().get(from).is_none_or(|member| !member.state.is_active()) {
            // Not a member, or not any more: SWIM settles that first, and anti-entropy brings what this would have.
            return;
        }
        self.peers.note(from, gossip.root, gossip.initialised);
        self.peers.entry(from).actor = gossip.actor;
        self.compare_actor(gossip.actor, now);
        if self.bootstrap.is_done() {
            if !gossip.batches.is_empty() {
                let changed = self.ingest(&gossip.batches, now);
                if !changed.news.is_empty() {
                    self.stream.note(now.mono);
                }
                self.on_changed(changed, Some(from), now);
            }
            for (incarnation, serial, version) in gossip.points {
                if let Some(zone) = self.replica.note_point(incarnation, serial, version) {
                    self.ambiguous(zone, serial, now);
                }
            }
        }
        let differs = gossip.root != self.replica.root();
        let recently = self.peers.get(from).and_then(|peer| peer.asked).is_some_and(|at| now.mono < at + ASK_AGAIN);
        if differs && (gossip.ask || !recently) {
            self.ask(from, now);
        }
    }

    /// Applies batches that a member sent, as one change, or keeps out for good what is not fit to be applied.
    pub(super) fn ingest(&mut self, batches: &[Enclosed], now: Now) -> Changed {
        let mut changed = Changed::default();
        for batch in batches {
            let next = self.ingest_one(batch, now);
            changed.append(next);
        }
        changed
    }

    fn ingest_one(&mut self, batch: &Enclosed, now: Now) -> Changed {
        match batch.open() {
            Ok(batch) => {
                self.compare_batch(&batch, now);
                self.replica.ingest(batch)
            }
            Err(reason) => {
                self.effects.push(Effect::Malformed);
                let alarm = self.replica.quarantine(batch.incarnation, batch.dot, &reason);
                Changed { alarms: alarm.into_iter().collect(), ..Changed::default() }
            }
        }
    }

    /// Asks a random member what it has, and tells all which version is here.
    pub(super) fn anti_entropy(&mut self, now: Now) {
        let alive: Vec<SocketAddr> = self.membership.alive().map(|member| member.addr).collect();
        if let Some(&peer) = alive.choose(&mut self.rng) {
            self.ask(peer, now);
        }
        self.tell(false);
        if self.bootstrap.is_done() && self.replica.is_unsettled() {
            let changed = self.replica.review();
            self.on_changed(changed, None, now);
        }
    }

    /// Answers what a peer asks over a stream.
    pub(super) fn respond(&mut self, inbound: InboundId, payload: &[u8], now: Now) {
        let Ok(request) = wire::decode::<Request>(payload) else {
            // Of another version or none: the answer's first byte tells the asker which one is spoken here.
            self.effects.push(Effect::Malformed);
            let payload = wire::encode(&Response::Gone);
            return self.effects.push(Effect::Respond { inbound, payload });
        };
        let response = match request {
            Request::Roster(records) => {
                self.with_membership(now, |membership, clock, out| membership.import(records, clock, out));
                Response::Roster(self.membership.export())
            }
            Request::Summaries { root } => self.summaries(root),
            Request::Pull(wants) => Response::Pulled(self.pulled(&wants, now)),
            Request::State { incarnation } => Response::Pulled(vec![match self.replica.get(incarnation) {
                None => Pulled::Gone,
                Some(zone) => self.transfers.offer(zone),
            }]),
            Request::Chunk { transfer, index } => match self.transfers.chunk(transfer, index) {
                Some(chunk) => Response::Chunk(chunk),
                None => Response::Gone,
            },
        };
        self.effects.push(Effect::Respond { inbound, payload: wire::encode(&response) });
    }

    /// What a peer lacks of the first incarnations that it asks for: of one at least, of more as long as the response is
    /// of moderate size.
    fn pulled(&mut self, wants: &[(IncarnationId, VersionVector)], now: Now) -> Vec<Pulled> {
        let (mut given, mut bytes) = (Vec::new(), 0);
        for (incarnation, have) in wants {
            self.compare_own(*incarnation, have, now);
            let next = self.lacking(*incarnation, have);
            bytes += next.size();
            let goes_on = bytes < ENOUGH_BYTES && next.is_whole();
            given.push(next);
            if !goes_on {
                break;
            }
        }
        given
    }

    fn lacking(&mut self, incarnation: IncarnationId, have: &VersionVector) -> Pulled {
        match self.replica.get(incarnation) {
            None => Pulled::Gone,
            Some(zone) => match zone.delta(have) {
                Some(batches) if is_sendable(&batches) => Pulled::Batches {
                    batches: batches.iter().map(|batch| Enclosed::new(batch)).collect(),
                    points: zone.latest_points(POINTS_WITH_ZONE),
                },
                _ => self.transfers.offer(zone),
            },
        }
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
