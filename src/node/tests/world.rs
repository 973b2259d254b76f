//! Nodes, a network and disks in memory, for tests of what several nodes do together.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::node::{
    Applied, ClientRequest, Command, CommandError, DirectEdit, Edit, EditOrigin, Effect, Event, InboundId, Node,
    NodeConfig, Now, PersistId, RequestId, Source, Ticket,
};
use crate::replica::{Facts, HistoryHead, IncarnationId, Saved, SavedZone, Write};
use crate::zone::{Change, Name, Rdata, Record, RecordKey, RecordType, Soa, Zone, ZoneContent};

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

pub(in crate::node) fn content() -> ZoneContent {
    let wire = Rdata::new(name("ns.example.").as_wire());
    let (mname, rname) = (wire.clone(), wire.clone());
    let soa = Soa { ttl: 60, mname, rname, serial: 1, refresh: 1, retry: 1, expire: 1, minimum: 1 };
    let mut content = ZoneContent::new(name(ZONE), soa);
    content.add(Record { owner: name(ZONE), rtype: RecordType::NS, ttl: 60, rdata: wire });
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

/// What a node's store has kept.
#[derive(Clone, Default)]
pub(in crate::node) struct Disk {
    facts: Facts,
    zones: BTreeMap<IncarnationId, SavedZone>,
    histories: BTreeMap<Name, HistoryHead>,
}

impl Disk {
    fn keep(&mut self, writes: Vec<Write>) {
        for write in writes {
            match write {
                Write::Journal { position, batch } => {
                    let journal = &mut self.zone(batch.incarnation).journal;
                    journal.retain(|(kept, _)| *kept != position);
                    journal.push((position, batch));
                    journal.sort_by_key(|(position, _)| *position);
                }
                Write::Erase { incarnation, positions } => {
                    self.zone(incarnation).journal.retain(|(position, _)| !positions.contains(position));
                }
                Write::Checkpoint { incarnation, position, state, keep_from, .. } => {
                    let zone = self.zone(incarnation);
                    zone.checkpoint = Some((position, state.iter().map(Arc::from).collect()));
                    zone.journal.retain(|(position, _)| *position >= keep_from);
                }
                Write::Forget { incarnation } => drop(self.zones.remove(&incarnation)),
                Write::History { entry, head } => drop(self.histories.insert(entry.zone.clone(), head)),
                Write::Facts(facts) => self.facts = facts,
            }
        }
    }

    fn zone(&mut self, incarnation: IncarnationId) -> &mut SavedZone {
        let new = SavedZone { incarnation, checkpoint: None, journal: Vec::new() };
        self.zones.entry(incarnation).or_insert(new)
    }

    fn read(&self) -> Saved {
        let histories = self.histories.iter().map(|(zone, head)| (zone.clone(), head.clone()));
        let (zones, histories) = (self.zones.values().cloned().collect(), histories.collect());
        Saved { facts: self.facts.clone(), zones, histories }
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
    pub(in crate::node) disks: Vec<Disk>,
    pub(in crate::node) reports: Vec<(usize, String)>,
    /// Requests by their inbound id: who asked, and under which id.
    pub(in crate::node) asked: Vec<(usize, RequestId)>,
    pub(in crate::node) done: BTreeMap<Ticket, Result<Applied, CommandError>>,
    pub(in crate::node) cut: bool,
    pub(in crate::node) tickets: u64,
}

impl World {
    /// Nodes of one cluster that all hold the zone.
    pub(in crate::node) fn new(count: usize) -> World {
        let addresses: Vec<SocketAddr> =
            (0..count).map(|i| SocketAddr::from(([127, 0, 0, 1], 7000 + i as u16))).collect();
        let start = Now { mono: Duration::ZERO, wall_ms: 1_700_000_000_000 };
        let node = |i: usize| Node::new(config(&addresses, i, 0), Saved::default(), start);
        let mut world = World {
            nodes: (0..count).map(node).collect(),
            addresses,
            clock: Duration::ZERO,
            events: VecDeque::new(),
            hung: BTreeMap::new(),
            disks: vec![Disk::default(); count],
            reports: Vec::new(),
            asked: Vec::new(),
            done: BTreeMap::new(),
            cut: false,
            tickets: 0,
        };
        for i in 0..count {
            let files = if i == 0 { vec![content()] } else { Vec::new() };
            world.events.push_back((i, Event::Files(files.into_iter().map(Zone::from).collect())));
        }
        world.run_until(|world| {
            let root = world.nodes[0].replica().root();
            let equal = world.nodes.iter().all(|node| node.replica().root() == root);
            equal && world.nodes.iter().all(|node| node.membership.alive().count() == count - 1)
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
            self.clock += Duration::from_millis(5);
            let ticks = (0..self.nodes.len()).map(|i| (i, Event::Tick));
            self.events.extend(ticks);
        }
        panic!("it never came true");
    }

    pub(in crate::node) fn perform(&mut self, at: usize, effect: Effect) {
        let index = |addr: SocketAddr| self.addresses.iter().position(|known| *known == addr).expect("a node");
        match effect {
            Effect::SendDatagram { to, payload } if !self.cut => {
                self.events.push_back((index(to), Event::Datagram { from: self.addresses[at], payload }));
            }
            Effect::SendRequest { id, .. } if self.cut => {
                self.events.push_back((at, Event::Response { id, result: Err("cut".to_owned()) }));
            }
            Effect::SendRequest { id, to, payload } => {
                self.asked.push((at, id));
                let inbound = InboundId(self.asked.len() as u64 - 1);
                self.events.push_back((index(to), Event::Request { inbound, payload }));
            }
            Effect::Respond { inbound, payload } => {
                let (asker, id) = self.asked[inbound.0 as usize];
                self.events.push_back((asker, Event::Response { id, result: Ok(payload) }));
            }
            Effect::Persist { id, writes } => match self.hung.get_mut(&at) {
                Some(waiting) => waiting.push((id, writes)),
                None => {
                    self.disks[at].keep(writes);
                    self.events.push_back((at, Event::Persisted { id, result: Ok(()) }));
                }
            },
            Effect::Report { message, .. } => self.reports.push((at, message)),
            Effect::Done { ticket, result } => drop(self.done.insert(ticket, result)),
            Effect::Fatal(message) => panic!("{message}"),
            _ => {}
        }
    }

    /// Starts a node anew from what a store kept.
    pub(in crate::node) fn restart(&mut self, at: usize, disk: Disk) {
        self.events.retain(|(to, _)| *to != at);
        let life = 1 + self.clock.as_millis() as u64;
        self.nodes[at] = Node::new(config(&self.addresses, at, life), disk.read(), self.now());
        self.disks[at] = disk;
        self.events.push_back((at, Event::Files(Vec::new())));
    }

    /// Adds a node that begins with what a store kept.
    pub(in crate::node) fn join(&mut self, disk: Disk) -> usize {
        let at = self.nodes.len();
        self.addresses.push(SocketAddr::from(([127, 0, 0, 1], 7000 + at as u16)));
        self.nodes.push(Node::new(config(&self.addresses, at, 1), disk.read(), self.now()));
        self.disks.push(disk);
        self.events.push_back((at, Event::Files(Vec::new())));
        at
    }

    /// Lets a second and a half pass: every node has asked and told another by then.
    pub(in crate::node) fn pass(&mut self) {
        let end = self.clock + Duration::from_millis(1_500);
        self.run_until(|world| world.clock >= end);
    }

    pub(in crate::node) fn is_equal(&self) -> bool {
        let root = self.nodes[0].replica().root();
        self.nodes.iter().all(|node| node.replica().root() == root)
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
        self.events.push_back((at, Event::Command { ticket, command: Command::Direct(direct) }));
        self.settle();
        ticket
    }

    pub(in crate::node) fn edit(&mut self, at: usize, changes: &[Change]) -> Result<Applied, CommandError> {
        let ticket = self.send(at, direct(changes, None));
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
