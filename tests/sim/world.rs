//! Time, and what goes on between machines: the daemon's shell, played on one virtual clock.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use grapevine::membership::Settings;
use grapevine::node::{
    Command, Effect, Event, InboundId, Node, NodeConfig, PersistId, REQUEST_TIMEOUT, RequestId, Severity, Ticket,
};
use grapevine::replica::{IncarnationId, Summary, VersionHash};
use grapevine::zone::{Zone, ZoneContent};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

use crate::disk::{self, Disk};
use crate::machine::{Machine, Standing};
use crate::network::{Network, addr_of, index_of};
use crate::oracle::Oracle;
use crate::poison;
use crate::report::Report;

/// More than so much never happens to one machine with a few zones in a second, except when messages make more of
/// themselves.
const STORM: u64 = 8000;
/// So much more for every zone.
const STORM_PER_ZONE: u64 = 60;

enum Happening {
    /// Void if the machine's alarm has been set anew since.
    Tick(u64),
    Event(Event),
    /// The disk is done with the oldest group.
    Synced,
    /// The store's answer.
    Kept(PersistId, Result<(), String>),
}

impl Happening {
    fn kind(&self) -> &'static str {
        match self {
            Happening::Tick(_) => "ticks",
            Happening::Event(Event::Datagram { .. }) => "datagrams",
            Happening::Event(Event::Request { .. }) => "requests",
            Happening::Event(Event::Response { .. }) => "responses",
            Happening::Event(_) => "other events",
            Happening::Synced | Happening::Kept(..) => "writes",
        }
    }
}

/// Something to happen to a machine, if it is still in that life by then.
struct Pending {
    index: usize,
    life: u64,
    happening: Happening,
}

pub(crate) struct World {
    pub(crate) now: Duration,
    pub(crate) machines: Vec<Machine>,
    pub(crate) rng: StdRng,
    pub(crate) network: Network,
    pub(crate) oracle: Oracle,
    pub(crate) report: Report,
    /// How likely a batch is spoilt on its way, by a member of another make.
    pub(crate) poison: f64,
    /// In order of time; boxed, for it is sorted more than it is read.
    queue: BTreeMap<(Duration, u64), Box<Pending>>,
    sequence: u64,
    next_inbound: u64,
    /// The present second, and how often what has happened in it.
    second: (u64, BTreeMap<&'static str, u64>),
    trace: bool,
}

impl World {
    pub(crate) fn new(seed: u64, count: usize, network: Network, trace: bool) -> World {
        let mut rng = StdRng::seed_from_u64(seed);
        World {
            now: Duration::ZERO,
            machines: (0..count).map(|index| Machine::new(index, &mut rng)).collect(),
            rng,
            network,
            oracle: Oracle::default(),
            report: Report::default(),
            poison: 0.0,
            queue: BTreeMap::new(),
            sequence: 0,
            next_inbound: 0,
            second: Default::default(),
            trace,
        }
    }

    /// Puts up one more machine, not started yet.
    pub(crate) fn add_machine(&mut self, disk: Disk, files: Vec<ZoneContent>) -> usize {
        let index = self.machines.len();
        let machine = Machine { disk, files, ..Machine::new(index, &mut self.rng) };
        self.machines.push(machine);
        index
    }

    pub(crate) fn members(&self) -> Vec<usize> {
        (0..self.machines.len()).filter(|index| self.machines[*index].is_member()).collect()
    }

    pub(crate) fn start(&mut self, index: usize, seeds: &[usize]) {
        let now = self.machines[index].clock(self.now);
        let seed = self.rng.next_u64();
        let machine = &mut self.machines[index];
        machine.life += 1;
        machine.inbound.clear();
        machine.disk_busy_until = self.now;
        let config = NodeConfig {
            name: machine.name.clone(),
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
        self.handle(index, Event::Files(files.into_iter().map(Zone::from).collect()));
    }

    /// Power goes.
    pub(crate) fn crash(&mut self, index: usize) {
        let machine = &mut self.machines[index];
        let (lost, kept) = machine.disk.crash(machine.disk_fault, &mut self.rng);
        self.report.count_if(lost, "unsynced writes lost");
        self.report.count_if(kept, "writes kept, nobody told");
        self.end(index, "crash");
    }

    /// A good-bye, and the end of the process.
    pub(crate) fn leave(&mut self, index: usize) {
        self.handle(index, Event::Leave);
        self.machines[index].disk.flush();
        self.end(index, "leave");
    }

    fn end(&mut self, index: usize, how: &str) {
        self.note(|| format!("{how} {index}"));
        let machine = &mut self.machines[index];
        machine.node = None;
        machine.life += 1;
        machine.tick_at = None;
        machine.served = Default::default();
        machine.unanswered.clear();
        self.oracle.ended(index);
    }

    /// Another disk is put into a machine that is down.
    pub(crate) fn replace_disk(&mut self, index: usize, disk: Disk) {
        self.note(|| format!("machine {index} gets another disk"));
        let lost = std::mem::replace(&mut self.machines[index].disk, disk);
        self.lose(index, &lost.holds());
        self.oracle.went_back(index);
        self.forget_what_no_disk_holds();
    }

    /// The disk of a machine that is down is put back to an earlier state of itself.
    pub(crate) fn put_back(&mut self, index: usize, disk: Disk) {
        self.oracle.put_back(index, &disk.holds());
        self.replace_disk(index, disk);
    }

    /// A machine that is down will not come back, nor what it alone had.
    pub(crate) fn bury(&mut self, index: usize) {
        self.note(|| format!("machine {index} is gone for good"));
        self.machines[index].standing = Standing::Gone;
        let held = self.machines[index].disk.holds();
        self.lose(index, &held);
        self.forget_what_no_disk_holds();
    }

    /// What a machine's disk held is lost, unless others have it.
    fn lose(&mut self, index: usize, held: &[Summary]) {
        let others = self.machines.iter().enumerate().filter(|(other, machine)| *other != index && machine.is_member());
        let known: BTreeSet<(IncarnationId, VersionHash)> = others.flat_map(|(_, machine)| machine.points()).collect();
        self.oracle.disk_is_lost(index, held, &known);
    }

    fn forget_what_no_disk_holds(&mut self) {
        let members = self.machines.iter().filter(|machine| machine.is_member());
        let held: Vec<_> = members.map(|machine| machine.disk.holds()).collect();
        self.oracle.only_these_remain(&held);
    }

    /// A long quiet time passes at once on all machines: what was to happen in it happens at its end.
    pub(crate) fn skip(&mut self, time: Duration) {
        self.note(|| format!("{} days pass", time.as_secs() / 86_400));
        self.now += time;
        for ((at, sequence), entry) in std::mem::take(&mut self.queue) {
            // Timers come due meanwhile; messages on their way are not a month late.
            let at = if matches!(entry.happening, Happening::Tick(_)) { at.max(self.now) } else { at + time };
            self.queue.insert((at, sequence), entry);
        }
        for machine in &mut self.machines {
            machine.tick_at = machine.tick_at.map(|at| at.max(self.now));
            machine.paused_until = machine.paused_until.min(self.now);
            machine.disk_busy_until += time;
            machine.disk_answers_until += time;
        }
    }

    pub(crate) fn command(&mut self, index: usize, ticket: Ticket, command: Command) {
        self.note(|| format!("command {index} {ticket:?} {command:?}"));
        if self.machines[index].is_up() {
            self.machines[index].unanswered.insert(ticket);
        }
        self.handle(index, Event::Command { ticket, command });
    }

    /// Something comes in that no node of this make sends.
    pub(crate) fn inject(&mut self, index: usize, payload: Vec<u8>) {
        let from = self.machines[self.rng.random_range(0..self.machines.len())].addr;
        self.handle(index, Event::Datagram { from, payload });
    }

    pub(crate) fn inject_request(&mut self, index: usize, payload: Vec<u8>) {
        self.next_inbound += 1;
        self.handle(index, Event::Request { inbound: InboundId(self.next_inbound), payload });
    }

    /// Lets time pass.
    pub(crate) fn run_until(&mut self, end: Duration) {
        while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= end) {
            let ((at, _), entry) = entry.remove_entry();
            let Pending { index, life, happening } = *entry;
            self.now = at;
            self.watch_for_storms(happening.kind());
            let machine = &mut self.machines[index];
            if machine.life != life {
                continue;
            }
            if machine.paused_until > at {
                let at = machine.paused_until;
                if matches!(happening, Happening::Kept(..)) {
                    // Should the pause end early, later answers of the disk still come after this one.
                    machine.disk_answers_until = machine.disk_answers_until.max(at);
                }
                self.put(at, index, life, happening);
            } else {
                self.happen(index, happening);
            }
        }
        self.now = end;
    }

    /// Ends the run with a violation rather than never.
    fn watch_for_storms(&mut self, kind: &'static str) {
        if self.second.0 != self.now.as_secs() {
            self.second = (self.now.as_secs(), BTreeMap::new());
        }
        *self.second.1.entry(kind).or_default() += 1;
        let zones = self.machines.first().map_or(0, |machine| machine.files.len()) as u64;
        if self.second.1.values().sum::<u64>() == (STORM + STORM_PER_ZONE * zones) * self.machines.len() as u64 {
            self.oracle.violations.push(format!("a storm of messages at {:?}: {:?}", self.now, self.second.1));
            self.queue.clear();
        }
    }

    fn happen(&mut self, index: usize, happening: Happening) {
        match happening {
            Happening::Tick(number) => {
                let machine = &mut self.machines[index];
                if machine.tick_number == number {
                    machine.tick_at = None;
                    self.handle(index, Event::Tick);
                }
            }
            Happening::Event(event) => self.handle(index, event),
            Happening::Synced => {
                let machine = &mut self.machines[index];
                let (id, result) = machine.disk.sync(machine.disk_fault, &mut self.rng);
                let result = result.map(|writes| self.oracle.stored(&writes));
                // The answers come in the order of the writes, as the store's do.
                let took = Duration::from_micros(self.rng.random_range(0..300));
                machine.disk_answers_until = machine.disk_answers_until.max(self.now) + took;
                let at = machine.disk_answers_until;
                self.put(at, index, self.machines[index].life, Happening::Kept(id, result));
            }
            Happening::Kept(id, result) => {
                self.note(|| match &result {
                    Ok(()) => format!("node {index} has stored {id:?}"),
                    Err(error) => format!("node {index} has not stored {id:?}: {error}"),
                });
                self.handle(index, Event::Persisted { id, result });
            }
        }
    }

    fn handle(&mut self, index: usize, event: Event) {
        let machine = &mut self.machines[index];
        let now = machine.clock(self.now);
        let Some(node) = machine.node.as_mut() else { return };
        let effects = node.handle(event, now);
        let deadline = node.next_deadline();
        for effect in effects {
            self.carry_out(index, effect);
        }
        if let Some(at) = deadline
            && self.machines[index].tick_at.is_none_or(|armed| at < armed)
        {
            let machine = &mut self.machines[index];
            machine.tick_at = Some(at);
            machine.tick_number += 1;
            let tick = Happening::Tick(machine.tick_number);
            self.schedule(at, index, tick);
        }
    }

    fn carry_out(&mut self, index: usize, effect: Effect) {
        match effect {
            Effect::SendDatagram { to, payload } => self.send(index, to, payload),
            Effect::SendRequest { id, to, payload } => self.request(index, id, to, payload),
            Effect::Respond { inbound, payload } => self.respond(index, inbound, payload),
            Effect::Persist { id, writes, .. } => {
                self.note(|| format!("node {index} stores {id:?}: {}", disk::describe(&writes)));
                self.oracle.staged(index, &self.machines[index].name, &writes);
                let machine = &mut self.machines[index];
                let took = machine.write_time(&mut self.rng);
                machine.disk_busy_until = machine.disk_busy_until.max(self.now) + took;
                let at = machine.disk_busy_until;
                machine.disk.begin(id, writes);
                self.schedule(at, index, Happening::Synced);
            }
            Effect::Publish(zones) => {
                self.note(|| {
                    let before = &self.machines[index].served;
                    let is_new =
                        |zone: &&Arc<Zone>| !before.get(zone.origin()).is_some_and(|old| Arc::ptr_eq(old, zone));
                    let shown = |zone: &Arc<Zone>| format!("{} at {}", zone.origin(), zone.serial());
                    format!(
                        "node {index} serves {}",
                        zones.iter().filter(is_new).map(shown).collect::<Vec<_>>().join(", ")
                    )
                });
                let machine = &mut self.machines[index];
                let before = std::mem::replace(&mut machine.served, zones);
                if let Some(node) = &machine.node {
                    self.oracle.published(index, node.replica(), &before, &machine.served);
                }
            }
            Effect::Done { ticket, result } => {
                self.note(|| format!("node {index} {ticket:?} {result:?}"));
                self.machines[index].unanswered.remove(&ticket);
                self.oracle.done(ticket, result.ok());
            }
            Effect::Report { severity, message } => {
                self.note(|| format!("node {index} {severity:?}: {message}"));
                if severity == Severity::Error {
                    self.oracle.alarm(index, &message);
                }
            }
            Effect::Malformed => self.oracle.alarm(index, poison::MALFORMED),
            Effect::Fatal(message) => self.oracle.alarm(index, &format!("stops: {message}")),
            Effect::Ambiguous { zone, serial } => {
                self.note(|| format!("node {index} tells that serial {serial} of {zone} stood for two contents"));
                self.oracle.secondary.hear(zone, serial);
            }
            Effect::Merged { .. } => {}
        }
    }

    fn send(&mut self, from: usize, to: SocketAddr, payload: Vec<u8>) {
        assert!(payload.len() <= 1340, "a datagram of {} bytes does not fit a sealed packet", payload.len());
        let Some(target) = index_of(to).filter(|target| *target < self.machines.len()) else { return };
        if !self.network.reaches(from, target, self.now) || self.rng.random_bool(self.network.loss) {
            return self.report.count("datagrams lost");
        }
        let copies = 1 + usize::from(self.rng.random_bool(self.network.duplication));
        self.report.count_if(copies > 1, "datagrams repeated");
        let life = self.machines[target].life;
        for _ in 0..copies {
            let event = Event::Datagram { from: self.machines[from].addr, payload: payload.clone() };
            let at = self.now + self.network.delay(&mut self.rng);
            self.schedule_for(at, target, life, Happening::Event(event));
        }
    }

    fn request(&mut self, from: usize, id: RequestId, to: SocketAddr, payload: Vec<u8>) {
        let cut_short = self.rng.random_bool(self.network.loss / 4.0);
        let answers = |target: &usize| self.machines.get(*target).is_some_and(Machine::is_up);
        let target = index_of(to).filter(|target| answers(target) && !cut_short);
        // A stream needs both directions.
        let connects = |target: &usize| {
            self.network.reaches(from, *target, self.now) && self.network.reaches(*target, from, self.now)
        };
        match target.filter(connects) {
            Some(target) => {
                self.next_inbound += 1;
                let inbound = InboundId(self.next_inbound);
                let life = self.machines[from].life;
                self.machines[target].inbound.insert(inbound, (from, life, id));
                let at = self.now + self.network.delay(&mut self.rng) * 2;
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

    fn respond(&mut self, index: usize, inbound: InboundId, mut payload: Vec<u8>) {
        let Some((asker, life, id)) = self.machines[index].inbound.remove(&inbound) else { return };
        if self.machines[asker].life != life {
            return;
        }
        if self.poison > 0.0
            && self.rng.random_bool(self.poison)
            && let Some(spoilt) = poison::spoil(&payload, &mut self.rng)
        {
            self.report.count("poisoned answers");
            payload = spoilt;
        }
        let (result, delay) = match self.network.reaches(index, asker, self.now) {
            true => (Ok(payload), self.network.delay(&mut self.rng)),
            false => (Err("cut".to_owned()), REQUEST_TIMEOUT),
        };
        self.schedule(self.now + delay, asker, Happening::Event(Event::Response { id, result }));
    }

    fn schedule(&mut self, at: Duration, index: usize, happening: Happening) {
        let life = self.machines[index].life;
        self.schedule_for(at, index, life, happening);
    }

    fn schedule_for(&mut self, at: Duration, index: usize, life: u64, happening: Happening) {
        let at = at.max(self.now) + self.machines[index].lag;
        self.put(at, index, life, happening);
    }

    fn put(&mut self, at: Duration, index: usize, life: u64, happening: Happening) {
        self.sequence += 1;
        self.queue.insert((at, self.sequence), Box::new(Pending { index, life, happening }));
    }

    pub(crate) fn note(&self, message: impl FnOnce() -> String) {
        if self.trace {
            println!("{:>10.4} {}", self.now.as_secs_f64(), message());
        }
    }
}
