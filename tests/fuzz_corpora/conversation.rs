//! What two honest nodes say to each other while zones are made, edited and deleted, as scripts for the oracle of gossip.
//!
//! Every script is what one step of the story brings to the first node. Made anew from the present code, so they always
//! are in the present wire format.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use grapevine::codec;
use grapevine::master::{ZoneFile, parse_rdata};
use grapevine::node::{
    Command, DirectEdit, Edit, Effect, Event, InboundId, Node, NodeConfig, Now, RequestId, Ticket, Wait, WaitFor,
};
use grapevine::replica::{Digest, EditOrigin, Saved, Source};
use grapevine::zone::{Change, Name, Record, RecordType, ZoneContent};

/// The nodes' addresses and names; those of the oracle.
const NODES: [(&str, &str); 2] = [("192.0.2.1:7946", "me"), ("192.0.2.2:7946", "peer")];
/// The oracle's kinds of input and of events in a script.
const KIND_STATE: u8 = 3;
const KIND_SCRIPT: u8 = 4;
const DATAGRAM: u8 = 0;
const REQUEST: u8 = 1;
const RESPONSE: u8 = 2;
const STATE: u8 = 3;
const TICK: u8 = 5;
/// A tick's bytes stand for this much each.
const TICK_MS: u64 = 16;
/// How a response begins that brings one state and nothing else, behind the version: its place among responses, one item,
/// its place among what is pulled.
const ONE_STATE: [u8; 3] = [3, 1, 1];

const NEW_ZONE: &str = "@ 60 SOA a b 1 2 3 4 5\n@ 60 NS a\na 60 A 192.0.2.1\nw 60 A 192.0.2.3\n";

/// The scripts, each with a name.
pub(crate) fn record() -> Vec<(String, Vec<u8>)> {
    let mut story = Story::new();
    story.run("join", 4000);
    let [a, mx, cname] = ["a.other. A 192.0.2.1", "a.other. MX 10 a.other.", "a.other. CNAME b.other."].map(record_of);
    story.edit(vec![Change::Add(a.clone()), Change::Add(mx)], None);
    story.run("add", 500);
    story.edit(vec![Change::Remove(a.key())], Some(500));
    story.run("remove", 500);
    story.edit(vec![Change::Ttl { owner: name("a.other."), rtype: RecordType::MX, ttl: 5 }], None);
    story.run("ttl", 500);
    let mut soa = zone("other.", include_str!("../../fuzz/src/oracles/zones/other.zone")).soa;
    soa.refresh = 9;
    story.edit(vec![Change::Soa(soa)], None);
    story.run("soa", 500);
    story.edit(vec![Change::Add(cname), Change::Add(a)], None);
    story.run("shadow", 500);
    let text = "x".repeat(100);
    story.edit((0..40).map(|i| Change::Add(record_of(&format!("b{i}.other. TXT {text}")))).collect(), None);
    story.run("large", 1500);
    let source = || Source::new(EditOrigin::Api);
    let changes = vec![Change::Add(record_of("waited.other. A 192.0.2.77"))];
    let edit = Edit { zone: name("other."), changes, serial: None, source: source() };
    let wait = Some(Wait { level: WaitFor::All, timeout: Duration::from_secs(1) });
    story.command(Command::Direct(DirectEdit { edit, wait, dry_run: false }));
    story.run("confirmed", 1500);
    let new = zone("new.example.", NEW_ZONE);
    for step in ["create", "create-again"] {
        story.command(Command::Create { content: Box::new(new.clone().into()), source: source() });
        story.run(step, 1500);
        story.command(Command::Delete { zone: new.origin.clone(), source: source() });
        story.run("delete", 1500);
    }
    story.queue.push_back((1, Event::Leave));
    story.run("leave", 500);
    story.scripts
}

struct Story {
    nodes: [Node; 2],
    elapsed_ms: u64,
    /// Events on their way, with the node they go to.
    queue: VecDeque<(usize, Event)>,
    /// Who waits for the answer to each request.
    asked: BTreeMap<InboundId, (usize, RequestId)>,
    script: Vec<u8>,
    scripts: Vec<(String, Vec<u8>)>,
}

impl Story {
    fn new() -> Story {
        let node = |index: usize| {
            let config = NodeConfig {
                name: NODES[index].1.to_owned(),
                cluster: "fuzzed".to_owned(),
                gossip: address(index),
                id: index as u64 + 1,
                seeds: if index == 1 { vec![address(0)] } else { Vec::new() },
                joins: index == 1,
                settings: Default::default(),
                seed: index as u64,
            };
            Node::new(config, Saved::default(), now(0))
        };
        let files = [
            zone("other.", include_str!("../../fuzz/src/oracles/zones/other.zone")),
            zone("child.example.", include_str!("../../fuzz/src/oracles/zones/child.example.zone")),
        ];
        let queue =
            files.into_iter().enumerate().map(|(index, zone)| (index, Event::Files(vec![zone.into()]))).collect();
        let (asked, script, scripts) = (BTreeMap::new(), Vec::new(), Vec::new());
        Story { nodes: [node(0), node(1)], elapsed_ms: 0, queue, asked, script, scripts }
    }

    fn edit(&mut self, changes: Vec<Change>, serial: Option<u32>) {
        let source = Source::new(EditOrigin::File);
        self.command(Command::Edit(Edit { zone: name("other."), changes, serial, source }));
    }

    /// Has the peer do something.
    fn command(&mut self, command: Command) {
        self.queue.push_back((1, Event::Command { ticket: Ticket(self.elapsed_ms), command }));
    }

    /// Lets time pass, and keeps what it brought to the first node.
    fn run(&mut self, step: &str, ms: u64) {
        let end = self.elapsed_ms + ms;
        loop {
            while let Some((index, event)) = self.queue.pop_front() {
                if index == 0 {
                    self.note(&event);
                }
                for effect in self.nodes[index].handle(event, now(self.elapsed_ms)) {
                    self.carry_out(index, effect);
                }
            }
            if self.elapsed_ms >= end {
                break;
            }
            let due = self.nodes.iter().filter_map(Node::next_deadline).min().map_or(0, |at| at.as_millis() as u64 + 1);
            let next = due.clamp(self.elapsed_ms + 1, end);
            self.put(TICK, &[((next - self.elapsed_ms) / TICK_MS) as u8]);
            self.elapsed_ms = next;
            self.queue.extend([(0, Event::Tick), (1, Event::Tick)]);
        }
        let script = [&[KIND_SCRIPT][..], &std::mem::take(&mut self.script)].concat();
        self.scripts.push((format!("{:02}-{step}", self.scripts.len()), script));
    }

    fn carry_out(&mut self, index: usize, effect: Effect) {
        let other = 1 - index;
        match effect {
            Effect::SendDatagram { to, payload } if to == address(other) => {
                self.queue.push_back((other, Event::Datagram { from: address(index), payload }));
            }
            Effect::SendRequest { id, payload, .. } => {
                let inbound = InboundId(self.asked.len() as u64);
                self.asked.insert(inbound, (index, id));
                self.queue.push_back((other, Event::Request { inbound, payload }));
            }
            Effect::Respond { inbound, payload } => {
                let (asker, id) = self.asked[&inbound];
                self.queue.push_back((asker, Event::Response { id, result: Ok(payload) }));
            }
            Effect::Persist { id, .. } => self.queue.push_front((index, Event::Persisted { id, result: Ok(()) })),
            _ => {}
        }
    }

    /// Writes an event into the script. A state is unpacked, as the oracle packs it again.
    fn note(&mut self, event: &Event) {
        match event {
            Event::Datagram { payload, .. } => self.put(DATAGRAM, payload),
            // Their first byte is the protocol's version, which the oracle puts there itself.
            Event::Request { payload, .. } => self.put(REQUEST, &payload[1..]),
            Event::Response { result: Ok(payload), .. } if payload[1..].starts_with(&ONE_STATE) => {
                let state = &payload[1 + ONE_STATE.len()..];
                let (_, _, packed, _) =
                    codec::decode::<(Digest, u32, Vec<u8>, Vec<(u64, [u8; 8])>)>(state).expect("a state");
                let plain = lz4_flex::decompress_size_prepended(&packed).expect("a packed chunk");
                self.put(STATE, &plain);
                let state = [&[KIND_STATE], &plain[..]].concat();
                self.scripts.push((format!("{:02}-state", self.scripts.len()), state));
            }
            Event::Response { result: Ok(payload), .. } => self.put(RESPONSE, &payload[1..]),
            _ => {}
        }
    }

    fn put(&mut self, kind: u8, payload: &[u8]) {
        self.script.push(kind);
        self.script.extend((payload.len() as u16).to_be_bytes());
        self.script.extend(payload);
    }
}

fn now(elapsed_ms: u64) -> Now {
    Now { mono: Duration::from_millis(elapsed_ms), wall_ms: 1_800_000_000_000 + elapsed_ms }
}

fn address(index: usize) -> SocketAddr {
    NODES[index].0.parse().expect("an address")
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

/// A record from `owner type rdata`.
fn record_of(line: &str) -> Record {
    let mut fields = line.splitn(3, ' ');
    let mut field = || fields.next().expect("three fields");
    let (owner, rtype) = (name(field()), field().parse().expect("a type"));
    Record { owner, rtype, ttl: 60, rdata: parse_rdata(rtype, field(), &Name::root()).expect("rdata") }
}

fn zone(origin: &str, text: &str) -> ZoneContent {
    let file = ZoneFile::parse("zone", text.as_bytes(), &name(origin), &mut |_| Err("none".to_owned()));
    file.expect("the zone is good").content().clone()
}
