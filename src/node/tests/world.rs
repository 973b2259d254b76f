//! Nodes, a network and disks in memory, for tests of what several nodes do together on a clock that the test moves.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::kept::Kept;
use crate::node::pace::GATHER;
use crate::node::wire::{self, Request};
use crate::node::{
    Applied, ClientRequest, Command, CommandError, DirectEdit, Edit, EditOrigin, Effect, Event, InboundId, Node,
    NodeConfig, Now, PersistId, RequestId, Severity, Source, Ticket,
};
use crate::replica::{Digest, Write};
use crate::zone::{Change, Name, Rdata, Record, RecordKey, RecordType, Soa, Zone, ZoneContent, ZoneSet};

pub(in crate::node) const ZONE: &str = "corp.example.";

pub(in crate::node) fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

pub(in crate::node) fn a(owner: &str, last: u8) -> RecordKey {
    RecordKey { owner: name(owner), rtype: RecordType::A, rdata: Rdata::new([192, 0, 2, last].as_slice()) }
}

pub(in crate::node) fn cname(owner: &str, target: &str) -> RecordKey {
    RecordKey { owner: name(owner), rtype: RecordType::CNAME, rdata: Rdata::new(name(target).as_wire()) }
}

pub(in crate::node) fn content(origin: &str) -> ZoneContent {
    let wire = Rdata::new(name("ns.example.").as_wire());
    let (mname, rname) = (wire.clone(), wire.clone());
    let soa = Soa { ttl: 60, mname, rname, serial: 1, refresh: 1, retry: 1, expire: 1, minimum: 1 };
    let mut content = ZoneContent::new(name(origin), soa);
    content.add(Record { owner: name(origin), rtype: RecordType::NS, ttl: 60, rdata: wire });
    content
}

fn config(addresses: &[SocketAddr], i: usize, life: u64) -> NodeConfig {
    NodeConfig {
        name: format!("ns{i}"),
        cluster: "test".to_owned(),
        gossip: addresses[i],
        id: 100 * life + i as u64 + 1,
        seeds: addresses[..i.min(1)].to_vec(),
        joins: i > 0,
        settings: Default::default(),
        seed: 100 * life + i as u64,
    }
}

/// Nodes that hear each other at once, and a clock that stands until it is moved.
pub(in crate::node) struct World {
    pub(in crate::node) nodes: Vec<Node>,
    pub(in crate::node) addresses: Vec<SocketAddr>,
    pub(in crate::node) clock: Duration,
    pub(in crate::node) events: VecDeque<(usize, Event)>,
    /// Writes that wait for a disk that hangs, by node.
    pub(in crate::node) hung: BTreeMap<usize, Vec<(PersistId, Vec<Write>)>>,
    pub(in crate::node) disks: Vec<Kept>,
    /// What the servers of each node answer from, once it has said so.
    pub(in crate::node) published: BTreeMap<usize, Arc<ZoneSet>>,
    pub(in crate::node) reports: Vec<(usize, Severity, String)>,
    /// Every request that arrived, by asker.
    pub(in crate::node) requests: Vec<(usize, Request)>,
    /// How many more requests for chunks are answered; the others fail.
    pub(in crate::node) chunks_left: usize,
    /// Requests by their inbound id: who asked, and under which id.
    pub(in crate::node) asked: Vec<(usize, RequestId)>,
    pub(in crate::node) done: BTreeMap<Ticket, Result<Applied, CommandError>>,
    /// Whether the first node and the others do not hear each other.
    pub(in crate::node) cut: bool,
    pub(in crate::node) tickets: u64,
}

impl World {
    /// Nodes of one cluster that all hold the zone.
    pub(in crate::node) fn new(count: usize) -> World {
        let addresses: Vec<SocketAddr> =
            (0..count).map(|i| SocketAddr::from(([127, 0, 0, 1], 7000 + i as u16))).collect();
        let start = Now { mono: Duration::ZERO, wall_ms: 1_700_000_000_000 };
        let node = |i: usize| Node::new(config(&addresses, i, 0), Kept::default().read(), start);
        let mut world = World {
            nodes: (0..count).map(node).collect(),
            addresses,
            clock: Duration::ZERO,
            events: VecDeque::new(),
            hung: BTreeMap::new(),
            disks: vec![Kept::default(); count],
            published: BTreeMap::new(),
            reports: Vec::new(),
            requests: Vec::new(),
            chunks_left: usize::MAX,
            asked: Vec::new(),
            done: BTreeMap::new(),
            cut: false,
            tickets: 0,
        };
        for i in 0..count {
            let files = if i == 0 { vec![content(ZONE)] } else { Vec::new() };
            world.events.push_back((i, Event::Files(files.into_iter().map(Zone::from).collect())));
        }
        world.run_until(|world| {
            world.is_equal() && world.nodes.iter().all(|node| node.membership.alive().count() == count - 1)
        });
        world
    }

    pub(in crate::node) fn now(&self) -> Now {
        Now { mono: self.clock, wall_ms: 1_700_000_000_000 + self.clock.as_millis() as u64 }
    }

    /// Lets everything happen that needs no time to pass.
    pub(in crate::node) fn settle(&mut self) {
        while let Some((at, event)) = self.events.pop_front() {
            let now = self.now();
            for effect in self.nodes[at].handle(event, now) {
                self.perform(at, effect);
            }
        }
    }

    pub(in crate::node) fn run_until(&mut self, so: impl Fn(&World) -> bool) {
        for _ in 0..10_000 {
            self.settle();
            if so(self) {
                return;
            }
            self.step();
        }
        panic!("it never came true");
    }

    /// Lets time pass.
    pub(in crate::node) fn pass(&mut self, ms: u64) {
        let end = self.clock + Duration::from_millis(ms);
        self.settle();
        while self.clock < end {
            self.step();
            self.settle();
        }
    }

    /// Moves the clock on, and wakes the nodes that wait for it.
    fn step(&mut self) {
        self.clock += Duration::from_millis(5);
        let is_due = |node: &Node| node.next_deadline().is_some_and(|due| due <= self.clock);
        let due = self.nodes.iter().enumerate().filter(|(_, node)| is_due(node));
        self.events.extend(due.map(|(at, _)| (at, Event::Tick)));
    }

    /// Hands an event to a node, and lets happen what follows from it.
    pub(in crate::node) fn tell(&mut self, at: usize, event: Event) {
        self.events.push_back((at, event));
        self.settle();
    }

    fn perform(&mut self, at: usize, effect: Effect) {
        match effect {
            Effect::SendDatagram { to, payload } => {
                let to = self.index_of(to);
                if self.reaches(at, to) {
                    self.events.push_back((to, Event::Datagram { from: self.addresses[at], payload }));
                }
            }
            Effect::SendRequest { id, to, payload } => {
                let event = self.ask(at, id, self.index_of(to), payload);
                self.events.push_back(event);
            }
            Effect::Respond { inbound, payload } => {
                let (asker, id) = self.asked[inbound.0 as usize];
                self.events.push_back((asker, Event::Response { id, result: Ok(payload) }));
            }
            Effect::Persist { id, writes, .. } => match self.hung.get_mut(&at) {
                Some(waiting) => waiting.push((id, writes)),
                None => {
                    self.disks[at].keep(writes);
                    self.events.push_back((at, Event::Persisted { id, result: Ok(()) }));
                }
            },
            Effect::Publish(zones) => drop(self.published.insert(at, zones)),
            Effect::Report { severity, message } => self.reports.push((at, severity, message)),
            Effect::Done { ticket, result } => drop(self.done.insert(ticket, result)),
            Effect::Fatal(message) => panic!("{message}"),
            _ => {}
        }
    }

    /// What comes of a request, and at which node: it arrives there, or comes back as failed.
    fn ask(&mut self, at: usize, id: RequestId, to: usize, payload: Vec<u8>) -> (usize, Event) {
        let request: Request = wire::decode(&payload).expect("nodes speak well");
        let is_chunk = matches!(request, Request::Chunk { .. });
        if !self.reaches(at, to) || is_chunk && self.chunks_left == 0 {
            return (at, Event::Response { id, result: Err("cut".to_owned()) });
        }
        self.requests.push((at, request));
        self.chunks_left -= usize::from(is_chunk);
        self.asked.push((at, id));
        (to, Event::Request { inbound: InboundId(self.asked.len() as u64 - 1), payload })
    }

    fn index_of(&self, addr: SocketAddr) -> usize {
        self.addresses.iter().position(|known| *known == addr).expect("a node")
    }

    fn reaches(&self, from: usize, to: usize) -> bool {
        !self.cut || (from == 0) == (to == 0)
    }

    /// Starts a node anew from what a store kept.
    pub(in crate::node) fn restart(&mut self, at: usize, disk: Kept) {
        self.events.retain(|(to, _)| *to != at);
        let life = 1 + self.clock.as_millis() as u64;
        self.nodes[at] = Node::new(config(&self.addresses, at, life), disk.read(), self.now());
        self.disks[at] = disk;
        self.events.push_back((at, Event::Files(Vec::new())));
    }

    /// Adds a node that begins with what a store kept.
    pub(in crate::node) fn join(&mut self, disk: Kept) -> usize {
        let at = self.nodes.len();
        self.addresses.push(SocketAddr::from(([127, 0, 0, 1], 7000 + at as u16)));
        self.nodes.push(Node::new(config(&self.addresses, at, 1), disk.read(), self.now()));
        self.disks.push(disk);
        self.events.push_back((at, Event::Files(Vec::new())));
        at
    }

    /// Lets a second and a half pass: every node has asked and told another by then.
    pub(in crate::node) fn exchange(&mut self) {
        self.pass(1_500);
    }

    pub(in crate::node) fn roots(&self) -> Vec<Digest> {
        self.nodes.iter().map(|node| node.replica().root()).collect()
    }

    pub(in crate::node) fn is_equal(&self) -> bool {
        let roots = self.roots();
        roots.iter().all(|root| *root == roots[0])
    }

    pub(in crate::node) fn serial(&self, at: usize) -> Option<u32> {
        Some(self.nodes[at].served().get(&name(ZONE))?.soa().serial)
    }

    /// The serial that the servers of a node answer with.
    pub(in crate::node) fn published_serial(&self, at: usize) -> Option<u32> {
        Some(self.published.get(&at)?.get(&name(ZONE))?.soa().serial)
    }

    pub(in crate::node) fn release_disk(&mut self, at: usize) {
        for (id, writes) in self.hung.remove(&at).unwrap_or_default() {
            self.disks[at].keep(writes);
            self.events.push_back((at, Event::Persisted { id, result: Ok(()) }));
        }
    }

    pub(in crate::node) fn send(&mut self, at: usize, direct: DirectEdit) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(1_000 + self.tickets);
        self.tell(at, Event::Command { ticket, command: Command::Direct(direct) });
        ticket
    }

    pub(in crate::node) fn edit(&mut self, at: usize, changes: &[Change]) -> Result<Applied, CommandError> {
        let ticket = self.send(at, direct(changes, None));
        if !self.done.contains_key(&ticket) {
            // In a stream it waits for others to go with.
            self.pass(GATHER.as_millis() as u64);
        }
        self.done.remove(&ticket).expect("it is answered at once")
    }

    /// What the zone holds on a node: owner, type, TTL and data of each address record.
    pub(in crate::node) fn records(&self, at: usize) -> Vec<String> {
        let served = self.nodes[at].served();
        let zone = served.get(&name(ZONE)).expect("the zone");
        let mut records = Vec::new();
        for node in zone.iter() {
            for rrset in node.rrsets().filter(|rrset| rrset.rtype == RecordType::A) {
                for rdata in rrset.rdatas() {
                    records.push(format!("{} {} {} {rdata:?}", node.name(), rrset.ttl, rrset.rtype));
                }
            }
        }
        records.sort();
        records
    }
}

pub(in crate::node) fn direct(changes: &[Change], request: Option<&str>) -> DirectEdit {
    let request = request.map(|id| ClientRequest { id: id.to_owned(), hash: [0; 8] });
    let source = Source { request, ..Source::new(EditOrigin::Api) };
    let edit = Edit { zone: name(ZONE), changes: changes.to_vec(), serial: None, source };
    DirectEdit { edit, wait: None, dry_run: false }
}
