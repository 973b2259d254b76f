//! What a member of another make, or a broken one, might send: bytes that are no message, batches that break a limit
//! of DNS or of the protocol, and another batch under a name that is taken.
//!
//! The shapes of messages are repeated here on purpose: they are private to the node, and a poisoner does not ask.

use std::net::SocketAddr;

use grapevine::codec;
use grapevine::node::PROTOCOL;
use grapevine::replica::{ActorId, Batch, Digest, Dot, IncarnationId};
use grapevine::zone::{Name, Rdata, RecordKey, RecordType};
use rand::rngs::StdRng;
use rand::seq::IteratorRandom;
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

/// What the simulator calls [`grapevine::node::Effect::Malformed`].
pub(crate) const MALFORMED: &str = "malformed message";

/// The alarms that poison provokes, those that say more first. Anything else that a node reports is its own fault.
pub(crate) const PROVOKED: &[&str] = &[
    "is not applied: malformed message",
    MALFORMED,
    "two different batches claim this number",
    "is not applied",
    "sent a zone that this node does not accept",
    "is left alone",
];

/// The alarms that a disk provokes that was put back to an earlier state of itself.
pub(crate) const FORKED: &[&str] = &[
    "two different batches claim this number",
    "content differs from a member's at the same version",
    "records here differed from what other nodes hold at the same version",
];

/// First byte of a datagram about zones: the version and a kind.
const REPLICATION: u8 = PROTOCOL << 2 | 1;
/// The variant of a response that brings what was pulled.
const PULLED: u32 = 3;

/// A batch in its envelope.
type Enclosed = (IncarnationId, Dot, Vec<u8>);
/// A zone's serial and version.
type Point = (u64, [u8; 8]);
/// A datagram's content, field by field: the sender, its actor, its root, whether it has synced, whether to ask it, the
/// versions of its zones, batches.
type Gossip = (SocketAddr, Option<ActorId>, Digest, bool, bool, Vec<(IncarnationId, u64, [u8; 8])>, Vec<Enclosed>);

/// What is pulled of one incarnation.
#[derive(Serialize, Deserialize)]
enum Pulled {
    Batches(Vec<Enclosed>, Vec<Point>),
    State(Digest, u32, Vec<u8>, Vec<Point>),
    Gone,
}

/// Bytes that mean nothing.
pub(crate) fn garbage(rng: &mut StdRng) -> Vec<u8> {
    let mut bytes = vec![0; rng.random_range(0..200)];
    rng.fill_bytes(&mut bytes);
    if let Some(kind) = bytes.first_mut() {
        *kind = [PROTOCOL << 2, REPLICATION, 7][rng.random_range(0..3)];
    }
    bytes
}

/// A datagram that brings a batch.
pub(crate) fn rumour(from: SocketAddr, batch: Batch, rng: &mut StdRng) -> Vec<u8> {
    let mut root = Digest::default();
    rng.fill_bytes(&mut root.0);
    let gossip: Gossip = (from, None, root, true, false, Vec::new(), vec![enclose(&batch)]);
    let mut bytes = vec![REPLICATION];
    bytes.extend(codec::encode(&gossip));
    bytes
}

/// A batch of an actor that nobody knows, like a real one but for what makes it illegal.
pub(crate) fn illegal(like: &Batch, rng: &mut StdRng) -> Batch {
    let mut actor = ActorId([0; 16]);
    rng.fill_bytes(&mut actor.0);
    let mut batch = Batch { dot: Dot { actor, seq: 1 }, removes: Vec::new(), ttls: Vec::new(), ..like.clone() };
    break_it(&mut batch, rng.random_range(0..6));
    if rng.random_bool(0.2) {
        batch.dot.seq = 3;
    }
    batch
}

/// Another batch under the same dot.
pub(crate) fn forged(real: &Batch) -> Batch {
    let mut batch = real.clone();
    batch.adds = vec![RecordKey {
        owner: batch.zone.child(b"forged").expect("a short name"),
        rtype: RecordType::A,
        rdata: Rdata::new([192, 0, 2, 1].as_slice()),
    }];
    batch
}

fn enclose(batch: &Batch) -> Enclosed {
    (batch.incarnation, batch.dot, codec::encode(batch))
}

fn break_it(batch: &mut Batch, how: u32) {
    let key = |owner: Name, rtype, rdata: &[u8]| RecordKey { owner, rtype, rdata: Rdata::new(rdata) };
    let elsewhere: Name = "victim.test.".parse().expect("a name");
    match how {
        0 => batch.adds.push(key(elsewhere, RecordType::A, &[192, 0, 2, 1])),
        1 => batch.adds.push(key(batch.zone.clone(), RecordType::A, &[192, 0, 2])),
        2 => batch.adds.push(key(batch.zone.clone(), RecordType::SOA, &[0, 0])),
        3 => batch.zone = elsewhere,
        4 => batch.floor = Some(1 << 60),
        _ => batch.source.note = "x".repeat(1 << 10),
    }
}

/// Spoils an answer to a request: cuts it short, puts garbage in its place or in that of a state, or makes one of its
/// batches illegal.
/// `None` if there is nothing to spoil in it.
pub(crate) fn spoil(payload: &[u8], rng: &mut StdRng) -> Option<Vec<u8>> {
    match rng.random_range(0..3) {
        0 => Some(payload[..rng.random_range(0..payload.len())].to_vec()),
        1 => Some(garbage(rng)),
        _ => {
            if !payload.starts_with(&[PROTOCOL, PULLED as u8]) {
                return None;
            }
            let (head, mut pulled): ((u8, u32), Vec<Pulled>) = codec::decode(payload).expect("a response");
            if let [Pulled::State(_, _, first, _), ..] = &mut pulled[..] {
                *first = garbage(rng);
                return Some(codec::encode(&(head, pulled)));
            }
            let batches = pulled.iter_mut().flat_map(|pulled| match pulled {
                Pulled::Batches(batches, _) => batches.as_mut_slice(),
                _ => &mut [],
            });
            let (_, dot, bytes) = batches.choose(rng)?;
            match rng.random_range(0..8) {
                6 => *bytes = garbage(rng),
                7 => dot.seq += 1,
                how => {
                    let mut batch: Batch = codec::decode(bytes).expect("a batch");
                    break_it(&mut batch, how);
                    *bytes = codec::encode(&batch);
                }
            }
            Some(codec::encode(&(head, pulled)))
        }
    }
}
