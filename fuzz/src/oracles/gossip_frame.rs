//! Whatever comes from peers: sealed datagrams, Noise streams, and the messages in them, as events of a node.
//!
//! The first byte chooses what the rest is: bytes that know no key, a stream of a peer that does, or a script of events
//! of a node, most of them messages of a peer that has gone mad. Whatever they bring about, what the node holds in the
//! end must be what its store holds, and what other nodes would take from it.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use grapevine::codec;
use grapevine::gossip::{ClusterKey, Keyring, MAX_PAYLOAD, NoiseStream, Sealer, Secrets};
use grapevine::master::ZoneFile;
use grapevine::membership::{Identity, Record, State};
use grapevine::node::{Effect, Event, InboundId, Node, NodeConfig, Now, RequestId};
use grapevine::replica::ZoneState;
use grapevine::zone::{Name, RecordType, ZoneContent};
use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

use super::kept::Kept;

const CLUSTER: &str = "fuzzed";
/// The node and its peer.
const ME: &str = "192.0.2.1:7946";
const PEER: &str = "192.0.2.2:7946";
/// Events in one script: enough for several sessions, few enough for thousands of scripts a second.
const MAX_EVENTS: usize = 128;
/// The bytes that a stream in memory holds: more than any input.
const PIPE: usize = 1 << 20;
/// The place of `Roster` among requests, of `Pulled` among responses, and of a state among what is pulled, in the wire
/// codec.
const REQUEST_ROSTER: u8 = 0;
const RESPONSE_PULLED: u8 = 3;
const PULLED_STATE: u8 = 1;
/// The first byte of a datagram has what it is in these bits, and the protocol's version above them; that of a request
/// or a response is the version.
const DATAGRAM_KIND: u8 = 3;
/// With this bit in its kind, an event's message is taken as it is. Otherwise it gets the version that the node speaks,
/// so that a corpus stays good when that changes.
const RAW: u8 = 0x80;

/// Checks one input.
pub fn check(data: &[u8]) {
    let Some((&kind, rest)) = data.split_first() else { return };
    match kind % 8 {
        0 => open_garbage(rest),
        1 => accept_garbage(rest),
        2 => read_from_peer(rest),
        3 => decode_state(rest),
        _ => run_script(rest),
    }
}

fn secrets() -> Arc<Secrets> {
    static SECRETS: OnceLock<Arc<Secrets>> = OnceLock::new();
    let make = || {
        let key = ClusterKey::parse("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=").expect("a key");
        Arc::new(Secrets::new(CLUSTER, &Keyring::new(vec![key]).expect("a ring")))
    };
    SECRETS.get_or_init(make).clone()
}

fn sealer() -> Sealer {
    Sealer::new(secrets()).expect("randomness")
}

/// Nothing opens that was not sealed with the key, whatever it begins with.
fn open_garbage(bytes: &[u8]) {
    let mut mine = sealer();
    assert!(mine.open(bytes).is_err());
    let sealed = sealer().seal(&bytes[..bytes.len().min(MAX_PAYLOAD)]);
    let Some((&at, flip)) = bytes.split_first() else { return };
    let mut changed = sealed.clone();
    changed[usize::from(at) % sealed.len()] ^= flip.first().copied().unwrap_or(1).max(1);
    assert!(mine.open(&changed).is_err(), "a byte was changed");
    assert_eq!(mine.open(&sealed).expect("sealed by a peer"), bytes[..bytes.len().min(MAX_PAYLOAD)]);
    assert!(mine.open(&sealed).is_err(), "it comes twice");
}

/// Runs a future that waits for nothing but a pipe in memory.
fn run<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(future)
}

/// A stream that begins with anything but a handshake under the key is refused.
fn accept_garbage(bytes: &[u8]) {
    run(async {
        let (mut theirs, mine) = duplex(PIPE);
        theirs.write_all(bytes).await.expect("the pipe is wide enough");
        theirs.shutdown().await.expect("the pipe is open");
        assert!(NoiseStream::accept(mine, &secrets()).await.is_err());
        let (mut theirs, mine) = duplex(PIPE);
        theirs.write_all(bytes).await.expect("the pipe is wide enough");
        theirs.shutdown().await.expect("the pipe is open");
        assert!(NoiseStream::connect(mine, &secrets()).await.is_err());
    });
}

/// What a peer says after an honest handshake: messages arrive as they were sent, and garbage ends the stream.
fn read_from_peer(bytes: &[u8]) {
    let (message, garbage) = bytes.split_at(bytes.len() / 2);
    run(async {
        let (theirs, mine) = duplex(PIPE);
        let key = secrets();
        let (theirs, mine) = tokio::join!(NoiseStream::connect(theirs, &key), NoiseStream::accept(mine, &key));
        let mut theirs: NoiseStream<DuplexStream> = theirs.expect("an honest peer");
        let mut mine = mine.expect("an honest peer");
        theirs.write_message(message).await.expect("the pipe is wide enough");
        assert_eq!(mine.read_message().await.expect("a message").as_deref(), Some(message));
        let mut raw = theirs.into_inner();
        raw.write_all(garbage).await.expect("the pipe is wide enough");
        raw.shutdown().await.expect("the pipe is open");
        assert!(!matches!(mine.read_message().await, Ok(Some(_))), "garbage is no message");
    });
}

/// A state that decodes is one that can be sent on.
fn decode_state(plain: &[u8]) {
    let packed = lz4_flex::compress_prepend_size(plain);
    for chunk in [plain, &packed] {
        if let Ok(state) = ZoneState::decode([chunk]) {
            assert_sendable(&state);
        }
    }
}

fn assert_sendable(state: &ZoneState) {
    let chunks = state.encode();
    let again = ZoneState::decode(chunks.iter().map(|chunk| &**chunk)).expect("what is held can be sent");
    assert_eq!(again, *state);
    assert_eq!((again.digest(), again.serial()), (state.digest(), state.serial()));
}

/// A node, its store, and what it waits for.
struct Bench {
    node: Node,
    store: Kept,
    mine: Sealer,
    theirs: Sealer,
    /// Requests without a response.
    asked: Vec<RequestId>,
    /// The version of the protocol, as the node's first datagram has it.
    protocol: u8,
    refuse_writes: bool,
    ended: bool,
    elapsed: Duration,
    next_inbound: u64,
}

fn run_script(mut script: &[u8]) {
    let mut bench = Bench::new();
    for _ in 0..MAX_EVENTS {
        let Some((head, tail)) = script.split_first_chunk::<3>() else { break };
        let length = usize::from(u16::from_be_bytes([head[1], head[2]])).min(tail.len());
        let (payload, rest) = tail.split_at(length);
        script = rest;
        bench.step(head[0], payload);
        if bench.ended {
            break;
        }
    }
    bench.check();
}

impl Bench {
    /// A node that has started a cluster with one zone and knows of a peer.
    fn new() -> Bench {
        let store = Kept::default();
        let mut bench = Bench {
            node: Node::new(config(), store.read(), now(Duration::ZERO)),
            store,
            mine: sealer(),
            theirs: sealer(),
            asked: Vec::new(),
            protocol: 0,
            refuse_writes: false,
            ended: false,
            elapsed: Duration::ZERO,
            next_inbound: 0,
        };
        bench.handle(Event::Files(vec![first_zone().into()]));
        let identity = Identity::new(PEER.parse().expect("an address"), 1, "peer", 2).expect("a name");
        let roster = vec![Record { identity, incarnation: 0, state: State::Alive, since_ms: 0 }];
        assert_ne!(bench.protocol, 0, "the seed is sent an announcement");
        bench.request([&[bench.protocol, REQUEST_ROSTER][..], &codec::encode(&roster)].concat());
        assert!(!bench.asked.is_empty(), "a new member is asked what it has");
        bench
    }

    fn step(&mut self, kind: u8, payload: &[u8]) {
        let raw = kind & RAW != 0;
        let versioned = |protocol: u8| if raw { payload.to_vec() } else { [&[protocol], payload].concat() };
        match kind % 8 {
            0 => {
                let mut payload = payload[..payload.len().min(MAX_PAYLOAD)].to_vec();
                if let Some(first) = payload.first_mut().filter(|_| !raw) {
                    *first = self.protocol << DATAGRAM_KIND.count_ones() | *first & DATAGRAM_KIND;
                }
                let datagram = self.theirs.seal(&payload);
                let payload = self.mine.open(&datagram).expect("sealed by the peer");
                self.handle(Event::Datagram { from: PEER.parse().expect("an address"), payload });
            }
            1 => self.request(versioned(self.protocol)),
            2 => self.respond(Ok(versioned(self.protocol))),
            3 => self.respond(Ok(state_response(self.protocol, payload))),
            4 => self.respond(Err("cut".to_owned())),
            5 => {
                self.elapsed += Duration::from_millis(payload.iter().map(|&byte| u64::from(byte) * 16).sum());
                self.handle(Event::Tick);
            }
            6 => self.refuse_writes = !self.refuse_writes,
            _ => self.handle(Event::Leave),
        }
    }

    fn request(&mut self, payload: Vec<u8>) {
        self.next_inbound += 1;
        self.handle(Event::Request { inbound: InboundId(self.next_inbound), payload });
    }

    /// Answers the request that was made last.
    fn respond(&mut self, result: Result<Vec<u8>, String>) {
        if let Some(id) = self.asked.pop() {
            self.handle(Event::Response { id, result });
        }
    }

    /// Hands over an event and does what the node wants done.
    fn handle(&mut self, event: Event) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            for effect in self.node.handle(event, now(self.elapsed)) {
                match effect {
                    Effect::SendDatagram { payload, .. } => {
                        assert!(payload.len() <= MAX_PAYLOAD, "a long datagram");
                        self.protocol = payload[0] >> DATAGRAM_KIND.count_ones();
                    }
                    Effect::SendRequest { id, payload, .. } => {
                        assert!(payload.len() <= codec::MAX_DECODED);
                        self.asked.push(id);
                    }
                    Effect::Respond { payload, .. } => assert!(payload.len() <= codec::MAX_DECODED),
                    Effect::Persist { id, .. } if self.refuse_writes => {
                        events.push(Event::Persisted { id, result: Err("the disk is full".to_owned()) });
                    }
                    Effect::Persist { id, writes, .. } => {
                        self.store.keep(writes);
                        events.push(Event::Persisted { id, result: Ok(()) });
                    }
                    Effect::Publish(zones) => zones.iter().for_each(|zone| {
                        assert!(zone.apex().get(RecordType::SOA).is_some_and(|soa| soa.count() == 1), "one SOA");
                        assert!(zone.apex().get(RecordType::NS).is_some() || zone.is_hidden(), "name servers");
                    }),
                    Effect::Fatal(_) => self.ended = true,
                    Effect::Done { .. } | Effect::Report { .. } | Effect::Malformed => {}
                    Effect::Merged { .. } | Effect::Ambiguous { .. } => {}
                }
            }
        }
    }

    /// What the node holds can be sent to others, and is what it would hold after a restart.
    fn check(mut self) {
        let summaries = self.node.replica().summaries();
        for summary in &summaries {
            assert_sendable(self.node.replica().get(summary.incarnation).expect("it is listed").state());
        }
        if self.ended {
            return;
        }
        // The disk works again, and what waited is written.
        self.refuse_writes = false;
        for _ in 0..4 {
            self.elapsed += Duration::from_secs(10);
            self.handle(Event::Tick);
        }
        let mut restarted = Node::new(config(), self.store.read(), now(self.elapsed));
        let alarms = restarted.handle(Event::Tick, now(self.elapsed)).into_iter().filter_map(|effect| match effect {
            Effect::Report { message, .. } => Some(message),
            _ => None,
        });
        assert_eq!(alarms.collect::<Vec<_>>(), Vec::<String>::new(), "the store is sound");
        assert_eq!(restarted.replica().root(), self.node.replica().root(), "a restart changes nothing");
    }
}

fn now(elapsed: Duration) -> Now {
    Now { mono: elapsed, wall_ms: 1_800_000_000_000 + elapsed.as_millis() as u64 }
}

fn config() -> NodeConfig {
    let gossip: SocketAddr = ME.parse().expect("an address");
    let (seeds, settings) = (vec![PEER.parse().expect("an address")], Default::default());
    NodeConfig {
        name: "me".to_owned(),
        cluster: CLUSTER.to_owned(),
        gossip,
        id: 1,
        seeds,
        joins: false,
        settings,
        seed: 1,
    }
}

fn first_zone() -> ZoneContent {
    static CONTENT: OnceLock<ZoneContent> = OnceLock::new();
    let read = || {
        let origin: Name = "other.".parse().expect("an origin");
        let text = include_bytes!("zones/other.zone");
        let file = ZoneFile::parse("zone", text, &origin, &mut |_| Err("none".to_owned()));
        file.expect("the zone is good").content().clone()
    };
    CONTENT.get_or_init(read).clone()
}

/// The response that brings a state in one chunk, which is packed here so that its content is reached.
fn state_response(protocol: u8, plain: &[u8]) -> Vec<u8> {
    let packed = lz4_flex::compress_prepend_size(plain);
    let transfer = [9u8; 16];
    [&[protocol, RESPONSE_PULLED, 1, PULLED_STATE][..], &transfer, &[1], &codec::encode(&packed), &[0]].concat()
}
