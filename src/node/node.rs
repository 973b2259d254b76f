//! The state machine: events in, effects out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

use super::bootstrap::Bootstrap;
use super::confirmation::Confirmations;
use super::durability::Durability;
use super::peers::Peers;
use super::sessions::Sessions;
use super::transfers::Transfers;
use super::wire::{self, Datagram};
use super::{Command, CommandError, Effect, Event, Now, PersistId, Severity, Ticket, Wait};
use crate::membership::{Clock, Identity, Membership, Output, Settings, next_generation};
use crate::replica::{Facts, Replica, Saved, Staged};
use crate::zone::ZoneSet;

/// How often a random member is asked what it has, whatever was pushed. Push may fail; this may not.
const ANTI_ENTROPY: Duration = Duration::from_secs(1);
/// How soon a change of the zones is told to the members: several changes in a row are told once.
const TELL_SOON: Duration = Duration::from_millis(10);
/// Up to how many live members make a small cluster: each member then asks each new one what it has, and remembers it at
/// once. In larger ones as many do, chosen at random, and the others hear of it by gossip.
pub(super) const SMALL_CLUSTER: usize = 32;
/// How many commands may wait for a zone that has an edit under way.
const MAX_COMMANDS: usize = 10_000;

/// Who a node is and how it finds others. Everything that differs from node to node.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Its name, unique in the cluster.
    pub name: String,
    /// The cluster's name, for display.
    pub cluster: String,
    /// Its gossip address as the others reach it.
    pub gossip: SocketAddr,
    /// The node's random id, new with each process.
    pub id: u64,
    /// Gossip addresses of nodes to join by. A node without any starts a cluster.
    pub seeds: Vec<SocketAddr>,
    /// Whether seeds are configured though none may resolve yet: such a node never starts a cluster by itself.
    pub joins: bool,
    /// The membership protocol's settings.
    pub settings: Settings,
    /// The seed of all random choices.
    pub seed: u64,
}

/// What the one ordered timer queue holds.
#[derive(Clone, Debug)]
pub(super) enum Timer {
    Membership(crate::membership::Timer),
    AntiEntropy,
    Tell,
    RetryWrites,
    /// Commands that waited for more to come are staged.
    Stage,
    Bootstrap,
    /// A wait for others to keep an edit.
    Confirm(u64),
}

/// The daemon without I/O.
pub struct Node {
    pub(super) config: NodeConfig,
    pub(super) membership: Membership,
    pub(super) replica: Replica,
    pub(super) facts: Facts,
    pub(super) bootstrap: Bootstrap,
    pub(super) peers: Peers,
    pub(super) sessions: Sessions,
    pub(super) transfers: Transfers,
    pub(super) rng: StdRng,
    timers: BTreeMap<(Duration, u64), Timer>,
    timer_count: u64,
    started: bool,
    pub(super) started_ms: u64,
    pub(super) commands: VecDeque<(Option<Ticket>, Command)>,
    pub(super) pace: super::pace::Pace,
    /// Whether [`Timer::Stage`] is armed.
    pub(super) gathering: bool,
    /// Edits of this node on their way to disk.
    pub(super) staged: BTreeMap<PersistId, (super::command::Waiters, Staged)>,
    /// Those of them whose numbers may have been used before, so that they must not count.
    pub(super) void: BTreeSet<PersistId>,
    /// Edits by records on their way to disk, and whom their makers wait for.
    pub(super) direct: BTreeMap<Ticket, Option<Wait>>,
    pub(super) confirmations: Confirmations,
    pub(super) durability: Durability,
    pub(super) telling: bool,
    /// Members that are still to be told which version is held here before any is told again; the next is the last.
    pub(super) to_tell: Vec<SocketAddr>,
    pub(super) stream: super::replicate::Stream,
    pub(super) alarms: super::alarms::Alarms,
    /// Parts of states whose transfer was cut.
    pub(super) partials: super::transfers::Partials,
    /// Versions published since the members were last told.
    pub(super) points: Vec<(crate::replica::IncarnationId, u64, crate::replica::VersionHash)>,
    pub(super) last_contact: Duration,
    /// Whether members came or went since their addresses were last saved.
    members_changed: bool,
    /// Whether a member has been asked in this life of the node, so that what is served is as fresh as the cluster.
    pub(super) synced: bool,
    pub(super) effects: Vec<Effect>,
}

impl Node {
    /// Brings a node to life with what its store kept. The effects of that come with the first event.
    pub fn new(config: NodeConfig, saved: Saved, now: Now) -> Node {
        let mut rng = StdRng::seed_from_u64(config.seed);
        let facts = Facts { generation: next_generation(saved.facts.generation, now.wall_ms), ..saved.facts.clone() };
        let me =
            Identity { addr: config.gossip, generation: facts.generation, name: config.name.clone(), id: config.id };
        let (seeds, peers) = (config.seeds.clone(), facts.peers.clone());
        let membership_rng = StdRng::seed_from_u64(rng.next_u64());
        let membership = Membership::new(me, config.settings.clone(), seeds, peers, membership_rng);
        let (replica, alarms) = Replica::load(saved);
        let mut node = Node {
            bootstrap: Bootstrap::new(config.joins, facts.initialised),
            config,
            membership,
            replica,
            facts,
            peers: Peers::default(),
            sessions: Sessions::default(),
            transfers: Transfers::default(),
            rng,
            timers: BTreeMap::new(),
            timer_count: 0,
            started: false,
            started_ms: now.wall_ms,
            commands: VecDeque::new(),
            pace: Default::default(),
            gathering: false,
            staged: BTreeMap::new(),
            void: BTreeSet::new(),
            direct: BTreeMap::new(),
            confirmations: Confirmations::default(),
            durability: Durability::default(),
            telling: false,
            to_tell: Vec::new(),
            stream: Default::default(),
            alarms: Default::default(),
            partials: Default::default(),
            points: Vec::new(),
            last_contact: now.mono,
            members_changed: false,
            synced: false,
            effects: Vec::new(),
        };
        for alarm in alarms {
            node.report(Severity::Error, alarm);
        }
        node
    }

    /// Takes in one event and returns what is to be done, in order.
    pub fn handle(&mut self, event: Event, now: Now) -> Vec<Effect> {
        self.replica.set_clock(now.wall_ms);
        if !self.started {
            self.started = true;
            self.start(now);
        }
        match event {
            Event::Tick => {}
            Event::Datagram { from, payload } => self.receive(from, &payload, now),
            Event::Request { inbound, payload } => self.respond(inbound, &payload, now),
            Event::Response { id, result } => self.on_response(id, result, now),
            Event::Command { ticket, command } => self.enqueue(Some(ticket), command, now),
            Event::Persisted { id, result } => self.on_persisted(id, result, now),
            Event::Files(files) => self.on_files(files, now),
            Event::Seeds(seeds) => {
                self.with_membership(now, |membership, clock, out| membership.set_seeds(seeds, clock, out))
            }
            Event::Leave => {
                self.look_at_watches(true);
                self.with_membership(now, |membership, clock, out| membership.leave(clock, out));
            }
        }
        self.run_timers(now);
        std::mem::take(&mut self.effects)
    }

    /// When [`Event::Tick`] is due at the latest, in [`Now::mono`].
    pub fn next_deadline(&self) -> Option<Duration> {
        self.timers.keys().next().map(|(at, _)| *at)
    }

    /// The zones as they are published.
    pub fn served(&self) -> Arc<ZoneSet> {
        self.bootstrap.served(self.replica.served())
    }

    /// All zones.
    pub fn replica(&self) -> &Replica {
        &self.replica
    }

    fn start(&mut self, now: Now) {
        // What was kept is served before anything else is asked of the disk.
        self.publish();
        self.persist_facts();
        let untold = self.replica.tell_of_start();
        self.persist_consequences(untold);
        self.with_membership(now, |membership, clock, out| membership.start(clock, out));
        self.make_wanted(now);
        let first = ANTI_ENTROPY.mul_f64(self.rng.random::<f64>());
        self.arm(now.mono + first, Timer::AntiEntropy);
        if !self.bootstrap.is_done() {
            self.arm(now.mono + super::bootstrap::LOOK_AROUND, Timer::Bootstrap);
        }
    }

    fn receive(&mut self, from: SocketAddr, payload: &[u8], now: Now) {
        self.last_contact = now.mono;
        match wire::parse_datagram(payload) {
            Ok(Datagram::Membership(payload)) => {
                let result =
                    self.with_membership(now, |membership, clock, out| membership.receive(from, payload, clock, out));
                if result.is_err() {
                    self.effects.push(Effect::Malformed);
                }
            }
            Ok(Datagram::Gossip(gossip)) => self.on_gossip(gossip, now),
            Ok(Datagram::Confirmation(message)) => self.on_confirmation(message, now),
            Err(error) => self.not_understood(from, &error, now),
        }
    }

    /// Counts a message that is not understood, and tells why if an operator can do something about it.
    pub(super) fn not_understood(&mut self, from: SocketAddr, error: &wire::WireError, now: Now) {
        self.effects.push(Effect::Malformed);
        if matches!(error, wire::WireError::Version(_)) {
            self.report_once(Severity::Error, format!("the node at {from} is left alone: {error}"), now);
        }
    }

    /// Calls into membership and carries out what it asks for.
    pub(super) fn with_membership<T>(
        &mut self,
        now: Now,
        call: impl FnOnce(&mut Membership, Clock, &mut Vec<Output>) -> T,
    ) -> T {
        let mut outputs = Vec::new();
        let clock = Clock { mono: now.mono, wall_ms: now.wall_ms };
        let result = call(&mut self.membership, clock, &mut outputs);
        for output in outputs {
            self.on_membership(output, now);
        }
        if self.members_changed && self.membership.alive_count() <= SMALL_CLUSTER {
            self.remember_peers();
        }
        result
    }

    fn on_membership(&mut self, output: Output, now: Now) {
        match output {
            Output::Send { to, payload } => {
                self.effects.push(Effect::SendDatagram { to, payload: wire::membership_datagram(&payload) });
            }
            Output::After { delay, timer } => self.arm(now.mono + delay, Timer::Membership(timer)),
            Output::Up(identity) => {
                self.report(Severity::Info, format!("member {} at {} is up", identity.name, identity.addr));
                self.peers.forget(identity.addr);
                self.members_changed = true;
                if self.is_to_be_asked() {
                    self.ask(identity.addr, now);
                }
            }
            Output::Down(identity) => {
                self.report(Severity::Warn, format!("member {} at {} is down", identity.name, identity.addr));
                self.peers.forget(identity.addr);
                self.look_at_watches(false);
            }
            Output::Left(identity) => {
                self.report(Severity::Info, format!("member {} at {} left", identity.name, identity.addr));
                self.peers.forget(identity.addr);
                self.members_changed = true;
                self.look_at_watches(false);
            }
            Output::Renewed(identity) => {
                self.facts.generation = identity.generation;
                self.persist_facts();
            }
            Output::Duplicate(message) => self.effects.push(Effect::Fatal(message)),
            Output::Idle => {}
        }
    }

    /// Whether a member that has just come is asked what it has: by all of a small cluster, by some of a large one, and by
    /// those that wait for a cluster in any case.
    fn is_to_be_asked(&mut self) -> bool {
        let alive = self.membership.alive_count();
        alive <= SMALL_CLUSTER || !self.bootstrap.is_done() || self.rng.random_range(0..alive) < SMALL_CLUSTER
    }

    /// Saves the addresses by which the cluster can be found again.
    fn remember_peers(&mut self) {
        self.members_changed = false;
        let peers: Vec<SocketAddr> = self.membership.alive().map(|member| member.addr).collect();
        if !peers.is_empty() && peers != self.facts.peers {
            self.facts.peers = peers;
            self.persist_facts();
        }
    }

    fn run_timers(&mut self, now: Now) {
        while let Some(entry) = self.timers.first_entry().filter(|entry| entry.key().0 <= now.mono) {
            match entry.remove() {
                Timer::Membership(timer) => {
                    self.with_membership(now, |membership, clock, out| membership.timer(timer, clock, out));
                }
                Timer::AntiEntropy => {
                    if self.members_changed {
                        self.remember_peers();
                    }
                    self.anti_entropy(now);
                    let next = ANTI_ENTROPY.mul_f64(0.8 + 0.4 * self.rng.random::<f64>());
                    self.arm(now.mono + next, Timer::AntiEntropy);
                }
                Timer::Tell => {
                    self.telling = false;
                    self.tell(false);
                }
                Timer::RetryWrites => self.retry_writes(now),
                Timer::Stage => {
                    self.gathering = false;
                    self.pump_commands(now);
                }
                Timer::Bootstrap => self.look_around(now),
                Timer::Confirm(id) => self.on_confirm_timer(id, now),
            }
        }
    }

    pub(super) fn arm(&mut self, at: Duration, timer: Timer) {
        self.timer_count += 1;
        self.timers.insert((at, self.timer_count), timer);
    }

    pub(super) fn tell_soon(&mut self, now: Now) {
        if !self.telling {
            self.telling = true;
            self.arm(now.mono + TELL_SOON, Timer::Tell);
        }
    }

    pub(super) fn report(&mut self, severity: Severity, message: String) {
        self.effects.push(Effect::Report { severity, message });
    }

    /// Reports what may hold for long, but not every time that it is seen.
    pub(super) fn report_once(&mut self, severity: Severity, message: String, now: Now) {
        if self.alarms.is_due(&message, now.mono) {
            self.report(severity, message);
        }
    }

    pub(super) fn enqueue(&mut self, ticket: Option<Ticket>, command: Command, now: Now) {
        if self.commands.len() >= MAX_COMMANDS {
            return self.done(ticket, Err(CommandError::Busy));
        }
        if !self.bootstrap.is_done() {
            return self.done(ticket, Err(CommandError::NotInitialised));
        }
        self.commands.push_back((ticket, command));
        self.pump_commands(now);
    }
}
