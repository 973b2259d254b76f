//! Time, network and machines.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use grapevine::membership::Settings;
use grapevine::node::{
    Applied, Command, CommandError, Effect, Event, InboundId, Node, NodeConfig, Now, PersistId, REQUEST_TIMEOUT,
    RequestId, Severity, Ticket,
};
use grapevine::replica::Write;
use grapevine::zone::{ZoneContent, ZoneSet};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

use crate::disk::Disk;
use crate::oracle::Oracle;

/// The moment at which every simulation begins, milliseconds since 1970.
const EPOCH_MS: u64 = 1_790_000_000_000;

/// How the network behaves.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    pub(crate) loss: f64,
    pub(crate) duplication: f64,
    pub(crate) delay: Duration,
    /// Of each message the delay is this much longer at random, which reorders them.
    pub(crate) jitter: Duration,
}

pub(crate) struct Machine {
    pub(crate) node: Option<Node>,
    pub(crate) disk: Disk,
    pub(crate) served: Arc<ZoneSet>,
    pub(crate) files: Vec<ZoneContent>,
    addr: SocketAddr,
    /// Counts lives: what was on its way when a machine crashed does not reach its next life.
    life: u64,
    clock_skew_ms: i64,
    tick_at: Option<Duration>,
    disk_busy_until: Duration,
    disk_full: bool,
    inbound: BTreeMap<InboundId, (usize, u64, RequestId)>,
}

enum Happening {
    Tick,
    Event(Event),
    Kept(PersistId, Vec<Write>),
}

pub(crate) struct World {
    pub(crate) now: Duration,
    pub(crate) machines: Vec<Machine>,
    pub(crate) rng: StdRng,
    pub(crate) network: Network,
    pub(crate) oracle: Oracle,
    pub(crate) lost: u64,
    pub(crate) duplicated: u64,
    pub(crate) reports: Vec<String>,
    queue: BTreeMap<(Duration, u64), (usize, u64, Happening)>,
    sequence: u64,
    /// Pairs of machines that do not hear each other, in the direction given.
    cut: BTreeSet<(usize, usize)>,
    next_inbound: u64,
    trace: bool,
}

pub(crate) fn addr_of(index: usize) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(10, 0, 0, index as u8 + 1), 7946))
}

fn index_of(addr: SocketAddr, machines: &[Machine]) -> Option<usize> {
    machines.iter().position(|machine| machine.addr == addr)
}

impl World {
    pub(crate) fn new(seed: u64, count: usize, network: Network, trace: bool) -> World {
        let mut rng = StdRng::seed_from_u64(seed);
        let machines = (0..count)
            .map(|index| Machine {
                node: None,
                disk: Disk::default(),
                served: Arc::default(),
                files: Vec::new(),
                addr: addr_of(index),
                life: 0,
                clock_skew_ms: rng.random_range(-3_600_000..3_600_000),
                tick_at: None,
                disk_busy_until: Duration::ZERO,
                disk_full: false,
                inbound: BTreeMap::new(),
            })
            .collect();
        World {
            now: Duration::ZERO,
            machines,
            rng,
            network,
            oracle: Oracle::default(),
            lost: 0,
            duplicated: 0,
            reports: Vec::new(),
            queue: BTreeMap::new(),
            sequence: 0,
            cut: BTreeSet::new(),
            next_inbound: 0,
            trace,
        }
    }

    fn clock(&self, machine: usize) -> Now {
        let wall = EPOCH_MS as i64 + self.now.as_millis() as i64 + self.machines[machine].clock_skew_ms;
        Now { mono: self.now, wall_ms: wall as u64 }
    }

    pub(crate) fn is_up(&self, machine: usize) -> bool {
        self.machines[machine].node.is_some()
    }

    pub(crate) fn start(&mut self, index: usize, seeds: &[usize]) {
        let now = self.clock(index);
        let seed = self.rng.next_u64();
        let machine = &mut self.machines[index];
        machine.life += 1;
        machine.inbound.clear();
        machine.disk_busy_until = self.now;
        let config = NodeConfig {
            name: format!("node{index}"),
            cluster: "simulated".to_owned(),
            gossip: machine.addr,
            id: seed,
            seeds: seeds.iter().map(|seed| addr_of(*seed)).collect(),
            joins: !seeds.is_empty(),
            settings: Settings::default(),
            seed,
        };
        machine.node = Some(Node::new(config, machine.disk.read(), now));
        let files = machine.files.clone();
        self.note(|| format!("start {index}"));
        self.handle(index, Event::Files(files));
    }

    pub(crate) fn crash(&mut self, index: usize) {
        self.note(|| format!("crash {index}"));
        let machine = &mut self.machines[index];
        machine.node = None;
        machine.life += 1;
        machine.tick_at = None;
        machine.served = Arc::default();
        self.oracle.crashed(index);
    }

    pub(crate) fn fill_disk(&mut self, index: usize, full: bool) {
        self.machines[index].disk_full = full;
    }

    pub(crate) fn cut(&mut self, a: usize, b: usize) {
        self.note(|| format!("cut {a} -> {b}"));
        self.cut.insert((a, b));
    }

    pub(crate) fn heal(&mut self) {
        self.note(|| "heal".to_owned());
        self.cut.clear();
    }

    pub(crate) fn command(&mut self, index: usize, ticket: Ticket, command: Command) {
        self.note(|| format!("command {index} {ticket:?} {command:?}"));
        self.handle(index, Event::Command { ticket, command });
    }

    /// Lets time pass.
    pub(crate) fn run_until(&mut self, end: Duration) {
        while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= end) {
            let ((at, _), (index, life, happening)) = entry.remove_entry();
            self.now = at;
            if self.machines[index].life == life {
                self.happen(index, happening);
            }
        }
        self.now = end;
    }

    fn happen(&mut self, index: usize, happening: Happening) {
        match happening {
            Happening::Tick => {
                self.machines[index].tick_at = None;
                self.handle(index, Event::Tick);
            }
            Happening::Event(event) => self.handle(index, event),
            Happening::Kept(id, writes) => {
                let result = match self.machines[index].disk_full {
                    true => {
                        // A disk may fail after it has taken everything in.
                        if self.rng.random_bool(0.3) {
                            self.machines[index].disk.commit(writes);
                        }
                        Err("no space left on device".to_owned())
                    }
                    false => {
                        self.machines[index].disk.commit(writes);
                        Ok(())
                    }
                };
                self.handle(index, Event::Persisted { id, result });
            }
        }
    }

    fn handle(&mut self, index: usize, event: Event) {
        let now = self.clock(index);
        let Some(node) = self.machines[index].node.as_mut() else { return };
        let effects = node.handle(event, now);
        let deadline = node.next_deadline();
        for effect in effects {
            self.carry_out(index, effect);
        }
        if let Some(at) = deadline
            && self.machines[index].tick_at.is_none_or(|armed| at < armed)
        {
            self.machines[index].tick_at = Some(at);
            self.schedule(at, index, Happening::Tick);
        }
    }

    fn carry_out(&mut self, index: usize, effect: Effect) {
        match effect {
            Effect::SendDatagram { to, payload } => self.send(index, to, payload),
            Effect::SendRequest { id, to, payload } => self.request(index, id, to, payload),
            Effect::Respond { inbound, payload } => {
                let Some((asker, life, id)) = self.machines[index].inbound.remove(&inbound) else { return };
                if self.machines[asker].life == life {
                    let result = if self.reaches(index, asker) { Ok(payload) } else { Err("cut".to_owned()) };
                    let delay = if result.is_ok() { self.delay() } else { REQUEST_TIMEOUT };
                    self.schedule(self.now + delay, asker, Happening::Event(Event::Response { id, result }));
                }
            }
            Effect::Persist { id, writes } => {
                let took = Duration::from_micros(self.rng.random_range(100..8000));
                let machine = &mut self.machines[index];
                machine.disk_busy_until = machine.disk_busy_until.max(self.now) + took;
                let at = machine.disk_busy_until;
                self.schedule(at, index, Happening::Kept(id, writes));
            }
            Effect::Publish(zones) => {
                self.oracle.published(index, &self.machines[index].served, &zones);
                self.machines[index].served = zones;
            }
            Effect::Done { ticket, result } => self.done(index, ticket, result),
            Effect::Report { severity, message } => {
                self.note(|| format!("node {index} {severity:?}: {message}"));
                if severity == Severity::Error && !message.contains("not stored") {
                    self.reports.push(format!("node {index}: {message}"));
                }
            }
            Effect::Malformed => self.reports.push(format!("node {index}: malformed message")),
            Effect::Fatal(message) => self.reports.push(format!("node {index} stops: {message}")),
            Effect::Merged { .. } | Effect::Ambiguous { .. } => {}
        }
    }

    fn done(&mut self, index: usize, ticket: Ticket, result: Result<Applied, CommandError>) {
        self.note(|| format!("node {index} {ticket:?} {result:?}"));
        self.oracle.done(ticket, result.is_ok());
    }

    fn send(&mut self, from: usize, to: SocketAddr, payload: Vec<u8>) {
        assert!(payload.len() <= 1340, "a datagram of {} bytes does not fit a sealed packet", payload.len());
        let Some(target) = index_of(to, &self.machines) else { return };
        if !self.reaches(from, target) || self.rng.random_bool(self.network.loss) {
            self.lost += 1;
            return;
        }
        let copies = 1 + u64::from(self.rng.random_bool(self.network.duplication));
        self.duplicated += copies - 1;
        let life = self.machines[target].life;
        for _ in 0..copies {
            let event = Event::Datagram { from: self.machines[from].addr, payload: payload.clone() };
            let at = self.now + self.delay();
            self.schedule_for(at, target, life, Happening::Event(event));
        }
    }

    fn request(&mut self, from: usize, id: RequestId, to: SocketAddr, payload: Vec<u8>) {
        let target = index_of(to, &self.machines);
        let cut_short = self.rng.random_bool(self.network.loss / 4.0);
        match target.filter(|target| self.is_up(*target) && self.reaches(from, *target) && !cut_short) {
            Some(target) => {
                self.next_inbound += 1;
                let inbound = InboundId(self.next_inbound);
                let life = self.machines[from].life;
                self.machines[target].inbound.insert(inbound, (from, life, id));
                let at = self.now + self.delay() * 2;
                self.schedule(at, target, Happening::Event(Event::Request { inbound, payload }));
                // If the target crashes before it answers, the stream breaks.
                let result = Err("no answer in time".to_owned());
                let timeout = self.now + REQUEST_TIMEOUT;
                self.schedule(timeout, from, Happening::Event(Event::Response { id, result }));
            }
            None => {
                let result = Err("unreachable".to_owned());
                let at = self.now + Duration::from_millis(50);
                self.schedule(at, from, Happening::Event(Event::Response { id, result }));
            }
        }
    }

    fn reaches(&self, from: usize, to: usize) -> bool {
        !self.cut.contains(&(from, to))
    }

    fn delay(&mut self) -> Duration {
        self.network.delay + self.network.jitter.mul_f64(self.rng.random::<f64>().powi(3))
    }

    fn schedule(&mut self, at: Duration, index: usize, happening: Happening) {
        let life = self.machines[index].life;
        self.schedule_for(at, index, life, happening);
    }

    fn schedule_for(&mut self, at: Duration, index: usize, life: u64, happening: Happening) {
        self.sequence += 1;
        self.queue.insert((at.max(self.now), self.sequence), (index, life, happening));
    }

    fn note(&self, message: impl FnOnce() -> String) {
        if self.trace {
            println!("{:>10.4} {}", self.now.as_secs_f64(), message());
        }
    }
}
