//! Many memberships in one deterministic network with a virtual clock.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use foca::{Header, Message};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::duplicates::forged;
use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// Something on its way: to a node at an index, in the life it had when it was sent.
enum Item {
    Datagram { from: SocketAddr, to: SocketAddr, payload: Vec<u8> },
    Timer { node: usize, life: u64, timer: Timer },
}

struct Slot {
    membership: Option<Membership>,
    addr: SocketAddr,
    /// Where its datagrams come from, if not from its address.
    socket: SocketAddr,
    life: u64,
    outputs: Vec<Output>,
    /// Datagrams and timers are held back until then: the process is stopped.
    stopped_until: Duration,
}

struct Net {
    nodes: Vec<Slot>,
    queue: BTreeMap<(Duration, u64), Item>,
    count: u64,
    now: Duration,
    rng: StdRng,
    loss_percent: u32,
    /// Nodes in different groups cannot reach each other.
    group: Vec<u8>,
    /// Everything that happened, to compare runs by.
    log: Vec<String>,
}

fn addr(index: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, (index >> 8) as u8, index as u8], 7946))
}

impl Net {
    fn new(seed: u64) -> Net {
        Net {
            nodes: Vec::new(),
            queue: BTreeMap::new(),
            count: 0,
            now: Duration::ZERO,
            rng: StdRng::seed_from_u64(seed),
            loss_percent: 0,
            group: Vec::new(),
            log: Vec::new(),
        }
    }

    /// `count` nodes, all of which know the first.
    fn started(seed: u64, count: usize) -> Net {
        let mut net = Net::new(seed);
        for index in 0..count {
            net.add(addr(index + 1), &format!("node-{index}"), vec![addr(1)]);
        }
        net
    }

    fn add(&mut self, addr: SocketAddr, name: &str, seeds: Vec<SocketAddr>) -> usize {
        let slot =
            Slot { membership: None, addr, socket: addr, life: 0, outputs: Vec::new(), stopped_until: Duration::ZERO };
        self.nodes.push(slot);
        self.group.push(0);
        let index = self.nodes.len() - 1;
        self.boot(index, name, self.clock().wall_ms, seeds, Vec::new());
        index
    }

    fn boot(&mut self, index: usize, name: &str, generation: u64, seeds: Vec<SocketAddr>, peers: Vec<SocketAddr>) {
        let id = self.rng.random();
        let rng = StdRng::from_seed(self.rng.random());
        let me = Identity::new(self.nodes[index].addr, generation, name, id).unwrap();
        let mut membership = Membership::new(me, Settings::default(), seeds, peers, rng);
        let mut out = Vec::new();
        membership.start(self.clock(), &mut out);
        let slot = &mut self.nodes[index];
        slot.life += 1;
        slot.membership = Some(membership);
        self.perform(index, out);
    }

    fn clock(&self) -> Clock {
        Clock { mono: self.now, wall_ms: 1_800_000_000_000 + self.now.as_millis() as u64 }
    }

    fn push(&mut self, delay: Duration, item: Item) {
        self.count += 1;
        self.queue.insert((self.now + delay, self.count), item);
    }

    fn perform(&mut self, index: usize, outputs: Vec<Output>) {
        let (from, life) = (self.nodes[index].socket, self.nodes[index].life);
        for output in outputs {
            match output {
                Output::Send { to, payload } => {
                    assert!(payload.len() <= MAX_PAYLOAD, "datagram of {} bytes", payload.len());
                    if self.rng.random_range(0..100) >= self.loss_percent {
                        let delay = Duration::from_micros(self.rng.random_range(100..20_000));
                        self.push(delay, Item::Datagram { from, to, payload });
                    }
                }
                Output::After { delay, timer } => self.push(delay, Item::Timer { node: index, life, timer }),
                other => {
                    self.log.push(format!("{:?} {index} {other:?}", self.now));
                    self.nodes[index].outputs.push(other);
                }
            }
        }
    }

    fn step(&mut self) -> bool {
        let Some(((due, _), item)) = self.queue.pop_first() else { return false };
        self.now = self.now.max(due);
        let (index, datagram) = match &item {
            Item::Timer { node, .. } => (Some(*node), None),
            Item::Datagram { from, to, .. } => {
                let at = self.nodes.iter().position(|slot| slot.socket == *to);
                let sender = self.nodes.iter().position(|slot| slot.socket == *from);
                let apart = at.zip(sender).is_some_and(|(a, b)| self.group[a] != self.group[b]);
                (at.filter(|_| !apart), Some(*from))
            }
        };
        let Some(index) = index else { return true };
        if self.nodes[index].stopped_until > self.now {
            let wait = self.nodes[index].stopped_until - self.now;
            self.push(wait, item);
            return true;
        }
        let (now, mut out) = (self.clock(), Vec::new());
        let slot = &mut self.nodes[index];
        let Some(membership) = &mut slot.membership else { return true };
        match item {
            Item::Timer { life, timer, .. } if life == slot.life => membership.timer(timer, now, &mut out),
            Item::Timer { .. } => {}
            Item::Datagram { payload, .. } => {
                membership.receive(datagram.unwrap(), &payload, now, &mut out).expect("peers send nothing malformed");
            }
        }
        self.perform(index, out);
        true
    }

    fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.queue.first_key_value().is_some_and(|((due, _), _)| *due <= end) && self.step() {}
        self.now = end;
    }

    /// Runs until the fact holds; panics with the time it was given otherwise.
    fn run_until(&mut self, what: &str, within: Duration, fact: impl Fn(&Net) -> bool) {
        let end = self.now + within;
        while !fact(self) {
            assert!(self.now <= end && self.step(), "not within {within:?}: {what}\n{:#?}", self.log);
        }
    }

    fn call(&mut self, index: usize, act: impl FnOnce(&mut Membership, Clock, &mut Vec<Output>)) {
        let (now, mut out) = (self.clock(), Vec::new());
        act(self.nodes[index].membership.as_mut().unwrap(), now, &mut out);
        self.perform(index, out);
    }

    /// Something goes wrong, or right again.
    fn disturb(&mut self) {
        let index = self.rng.random_range(0..self.nodes.len());
        match self.rng.random_range(0..8) {
            0 | 1 => self.kill(index),
            2 | 3 => self.revive(index),
            4 => self.group = (0..self.group.len()).map(|_| self.rng.random_range(0..3)).collect(),
            5 => self.group.fill(0),
            6 => self.loss_percent = self.rng.random_range(0..50),
            _ => self.nodes[index].stopped_until = self.now + SECOND * self.rng.random_range(0..20),
        }
    }

    /// Starts a node that is not running, sometimes with a clock or a store that went back.
    fn revive(&mut self, index: usize) {
        if self.nodes[index].membership.is_none() {
            let back = self.rng.random_bool(0.2);
            let generation = if back { 1000 } else { self.clock().wall_ms };
            self.nodes[index].stopped_until = Duration::ZERO;
            self.boot(index, &format!("node-{index}"), generation, vec![addr(1), addr(2)], Vec::new());
        }
    }

    fn kill(&mut self, index: usize) {
        self.nodes[index].membership = None;
    }

    fn live(&self) -> impl Iterator<Item = (usize, &Membership)> {
        self.nodes.iter().enumerate().filter_map(|(index, slot)| Some((index, slot.membership.as_ref()?)))
    }

    fn state(&self, of: usize, at: usize) -> Option<State> {
        self.nodes[at].membership.as_ref()?.roster().get(self.nodes[of].addr).map(|member| member.state)
    }

    /// Whether all living nodes that are in one group see exactly each other.
    fn agreed(&self) -> bool {
        self.live().all(|(index, membership)| {
            let mut seen: Vec<_> = membership.alive().collect();
            let mut there: Vec<_> = self
                .live()
                .filter(|(other, _)| *other != index && self.group[*other] == self.group[index])
                .map(|(_, other)| other.me())
                .collect();
            seen.sort_by_key(|identity| identity.addr);
            there.sort_by_key(|identity| identity.addr);
            seen == there
        })
    }

    /// Somebody who is suspected, and by whom.
    fn suspicion(&self) -> Option<(String, String)> {
        let suspects = |membership: &Membership| {
            let suspect = membership.roster().iter().find(|member| member.state == State::Suspect)?;
            Some((suspect.identity.name.clone(), membership.me().name.clone()))
        };
        self.live().find_map(|(_, membership)| suspects(membership))
    }

    fn duplicates(&self, index: usize) -> Vec<&str> {
        let messages = self.nodes[index].outputs.iter();
        messages
            .filter_map(|output| if let Output::Duplicate(text) = output { Some(text.as_str()) } else { None })
            .collect()
    }
}

#[test]
fn all_find_each_other_from_one_seed() {
    for count in [2, 3, 5, 20] {
        let mut net = Net::started(1, count);
        net.run_until("all see all", 30 * SECOND, Net::agreed);
        net.run_for(60 * SECOND);
        assert!(net.agreed(), "and stay so");
        for slot in &net.nodes {
            assert!(!slot.outputs.iter().any(|output| matches!(output, Output::Down(_) | Output::Duplicate(_))));
        }
    }
}

#[test]
fn all_find_each_other_under_loss() {
    for seed in 0..10 {
        let mut net = Net::started(seed, 7);
        net.loss_percent = 20;
        net.run_until("all see all", 120 * SECOND, Net::agreed);
    }
}

#[test]
fn a_killed_node_is_down_everywhere_and_one_that_left_has_left() {
    for seed in 0..10 {
        let mut net = Net::started(seed, 5);
        net.run_until("all see all", 30 * SECOND, Net::agreed);
        net.kill(3);
        net.call(4, |membership, now, out| membership.leave(now, out));
        net.run_until("left", SECOND, |net| (0..3).all(|at| net.state(4, at) == Some(State::Left)));
        net.kill(4);
        net.run_until("down", 20 * SECOND, |net| (0..3).all(|at| net.state(3, at) == Some(State::Down)));
        net.run_for(60 * SECOND);
        assert!((0..3).all(|at| net.state(3, at) == Some(State::Down) && net.state(4, at) == Some(State::Left)));
        let lefts = |slot: &Slot| slot.outputs.iter().filter(|output| matches!(output, Output::Left(_))).count();
        assert!((0..3).all(|at| lefts(&net.nodes[at]) == 1), "told once");
    }
}

#[test]
fn a_partition_heals_though_both_sides_hold_each_other_down() {
    for seed in 0..10 {
        let mut net = Net::started(seed, 6);
        net.run_until("all see all", 30 * SECOND, Net::agreed);
        net.group = vec![0, 0, 0, 1, 1, 1];
        net.run_until("each side sees itself", 60 * SECOND, Net::agreed);
        net.run_for(300 * SECOND);
        net.group = vec![0; 6];
        net.run_until("all see all again", 60 * SECOND, Net::agreed);
        let renewed = net.live().filter(|(_, membership)| membership.me().generation > 1_800_000_000_000).count();
        assert!(renewed > 0, "a life that was declared down is over");
        net.run_for(60 * SECOND);
        assert!(net.agreed());
    }
}

#[test]
fn two_nodes_cut_off_from_each_other_for_a_day_meet_again_without_seeds() {
    let mut net = Net::new(4);
    net.add(addr(1), "a", vec![]);
    net.add(addr(2), "b", vec![addr(1)]);
    net.run_until("both", 10 * SECOND, Net::agreed);
    net.call(1, |membership, now, out| membership.set_seeds(Vec::new(), now, out));
    net.group = vec![0, 1];
    net.run_for(26 * 3600 * SECOND);
    assert!(net.nodes[0].outputs.contains(&Output::Idle));
    assert_eq!((net.state(1, 0), net.state(0, 1)), (Some(State::Down), Some(State::Down)), "still shown");
    net.group = vec![0, 0];
    net.run_until("both again", 10 * SECOND, Net::agreed);
}

#[test]
fn a_node_finds_the_cluster_by_the_peers_it_saved() {
    let mut net = Net::started(5, 3);
    net.run_until("all see all", 30 * SECOND, Net::agreed);
    net.kill(0);
    net.run_until("down", 20 * SECOND, Net::agreed);
    let generation = next_generation(net.clock().wall_ms, 0);
    net.boot(0, "node-0", generation, vec![], vec![addr(77), addr(3)]);
    net.run_until("all see all", 30 * SECOND, Net::agreed);
}

#[test]
fn a_restart_that_nobody_missed_is_a_new_life_and_no_duplicate() {
    let mut net = Net::started(6, 4);
    net.run_until("all see all", 30 * SECOND, Net::agreed);
    net.kill(2);
    net.run_for(SECOND / 10);
    let generation = net.clock().wall_ms;
    net.boot(2, "node-2", generation, vec![addr(1)], vec![]);
    net.run_until("all see the new life", 10 * SECOND, Net::agreed);
    let new = net.nodes[2].membership.as_ref().unwrap().me().clone();
    assert!(net.nodes[0].outputs.contains(&Output::Up(new)));
    net.run_for(30 * SECOND);
    assert!((0..4).all(|index| net.duplicates(index).is_empty()));
}

#[test]
fn a_node_whose_clock_and_store_went_back_exceeds_its_last_life() {
    let mut net = Net::started(7, 4);
    net.run_until("all see all", 30 * SECOND, Net::agreed);
    for wait in [0, 60] {
        net.kill(2);
        net.run_for(wait * SECOND);
        net.boot(2, "node-2", 1000, vec![addr(1)], vec![]);
        net.run_until("all see it", 30 * SECOND, Net::agreed);
        let me = net.nodes[2].membership.as_ref().unwrap().me().clone();
        assert!(me.generation > 1_800_000_000_000);
        assert!(net.nodes[2].outputs.contains(&Output::Renewed(me)), "to be saved");
    }
}

#[test]
fn the_second_node_of_a_name_is_told_and_the_first_is_not() {
    for seed in 0..10 {
        let mut net = Net::started(seed, 4);
        net.run_until("all see all", 30 * SECOND, Net::agreed);
        let twin = net.add(addr(50), "node-2", vec![addr(1)]);
        net.run_until("told", 10 * SECOND, |net| !net.duplicates(twin).is_empty());
        let message = net.duplicates(twin)[0];
        assert!(message.contains("node-2") && message.contains("10.0.0.3:7946"), "{message}");
        assert!((0..4).all(|index| net.duplicates(index).is_empty()));
    }
}

#[test]
fn a_name_may_move_to_another_address_when_its_node_is_gone() {
    let mut net = Net::started(8, 4);
    net.run_until("all see all", 30 * SECOND, Net::agreed);
    net.kill(2);
    net.add(addr(50), "node-2", vec![addr(1)]);
    net.run_for(60 * SECOND);
    assert!(net.agreed() && (0..5).all(|index| net.duplicates(index).is_empty()));
}

#[test]
fn the_second_node_of_an_address_is_told_and_the_first_goes_on() {
    for seed in 0..10 {
        let mut net = Net::started(seed, 4);
        net.run_until("all see all", 30 * SECOND, Net::agreed);
        // A node that goes by the address of node-2 but sits elsewhere.
        let twin = net.nodes.len();
        net.nodes.push(Slot {
            membership: None,
            addr: addr(3),
            socket: addr(60),
            life: 0,
            outputs: Vec::new(),
            stopped_until: Duration::ZERO,
        });
        net.group.push(0);
        net.boot(twin, "other", net.clock().wall_ms, vec![addr(1)], vec![]);
        net.run_until("told", 10 * SECOND, |net| !net.duplicates(twin).is_empty());
        let message = net.duplicates(twin)[0].to_owned();
        assert!(message.contains("node-2") && message.contains("10.0.0.3:7946"), "{message}");
        net.kill(twin);
        net.run_for(30 * SECOND);
        assert!(net.agreed() && (0..4).all(|index| net.duplicates(index).is_empty()));
    }
}

#[test]
fn another_node_may_take_the_address_of_one_that_is_gone() {
    let mut net = Net::started(9, 4);
    net.run_until("all see all", 30 * SECOND, Net::agreed);
    net.kill(2);
    net.boot(2, "renamed", net.clock().wall_ms, vec![addr(1)], vec![]);
    net.run_until("all see it", 30 * SECOND, Net::agreed);
    assert!((0..4).all(|index| net.duplicates(index).is_empty()));
}

#[test]
fn a_seed_is_reached_by_an_address_that_it_does_not_go_by() {
    let mut net = Net::new(10);
    let first = net.add(addr(1), "a", vec![]);
    let second = net.add(addr(2), "b", vec![]);
    // As through a second interface: what is sent to 10.0.0.99 arrives at the first node.
    net.nodes[first].socket = addr(99);
    net.nodes[first].addr = addr(1);
    net.call(second, |membership, now, out| membership.set_seeds(vec![addr(99)], now, out));
    net.run_until("announced", SECOND / 10, |net| {
        net.nodes[first].membership.as_ref().unwrap().alive().any(|identity| identity.name == "b")
    });
}

#[test]
fn a_roster_carries_whole_clusters_and_those_that_are_gone() {
    let mut net = Net::started(11, 5);
    net.run_until("all see all", 30 * SECOND, Net::agreed);
    net.kill(3);
    net.call(4, |membership, now, out| membership.leave(now, out));
    net.run_for(30 * SECOND);
    let roster = net.nodes[0].membership.as_ref().unwrap().export();
    assert_eq!(roster.len(), 5);
    let since = roster.iter().find(|record| record.identity.name == "node-3").unwrap().since_ms;

    net.run_for(30 * SECOND);
    let new = net.add(addr(9), "new", vec![]);
    net.call(new, |membership, now, out| membership.import(roster, now, out));
    let member = net.nodes[new].membership.as_ref().unwrap().roster().get(addr(4)).unwrap().clone();
    assert_eq!((member.state, member.since_ms), (State::Down, since));
    assert_eq!(net.state(4, new), Some(State::Left));
    net.kill(4);
    net.run_until("all see all, without any seed", 30 * SECOND, Net::agreed);
}

#[test]
fn a_node_that_was_stopped_for_a_while_accuses_nobody() {
    for seed in 0..10 {
        let mut net = Net::started(seed, 5);
        net.run_until("all see all", 30 * SECOND, Net::agreed);
        net.run_for(3 * SECOND);
        net.nodes[2].stopped_until = net.now + 3 * SECOND;
        net.run_for(30 * SECOND);
        assert!(net.agreed());
        for (index, slot) in net.nodes.iter().enumerate() {
            let downs = slot.outputs.iter().filter(|output| matches!(output, Output::Down(_)));
            assert_eq!(downs.count(), 0, "seed {seed}, node {index}: {:?}", net.log);
        }
    }
}

#[test]
fn a_node_behind_a_dead_link_doubts_itself_first() {
    let mut net = Net::started(12, 5);
    net.run_until("all see all", 30 * SECOND, Net::agreed);
    net.group[2] = 1;
    net.run_for(5 * SECOND);
    let score = |net: &Net, index: usize| net.nodes[index].membership.as_ref().unwrap().health().score();
    assert!((0..5).filter(|&other| other != 2).all(|other| score(&net, 2) > score(&net, other)), "its own fault most");
    net.group[2] = 0;
    net.run_until("healed", 60 * SECOND, |net| {
        net.agreed() && net.live().all(|(_, membership)| membership.health().score() == 0)
    });
}

#[test]
fn a_run_replays_from_its_seed() {
    let run = |seed| {
        let mut net = Net::started(seed, 6);
        net.loss_percent = 10;
        net.run_for(20 * SECOND);
        net.group = vec![0, 0, 1, 1, 1, 1];
        net.run_for(40 * SECOND);
        net.kill(5);
        net.group = vec![0; 6];
        net.run_for(60 * SECOND);
        (net.log, net.count)
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

/// A cluster that starts, is disturbed in many ways, and is left in peace: then all see all, for good.
fn ordeal(seed: u64) {
    let mut net = Net::new(seed);
    let count = net.rng.random_range(2..9);
    for index in 0..count {
        // Two that anyone may start from, so that one of them may be gone.
        net.add(addr(index + 1), &format!("node-{index}"), vec![addr(1), addr(2)]);
    }
    for _ in 0..12 {
        let quiet = SECOND * net.rng.random_range(0..30) / 2;
        net.run_for(quiet);
        net.disturb();
    }
    net.loss_percent = 0;
    net.group.fill(0);
    for index in 0..count {
        net.revive(index);
    }
    net.run_until(&format!("all see all, seed {seed}"), 90 * SECOND, Net::agreed);
    net.run_for(120 * SECOND);
    assert!(net.agreed(), "and stay so, seed {seed}");
    assert_eq!(net.suspicion(), None, "nobody is suspected for ever, seed {seed}");
    assert!((0..count).all(|index| net.duplicates(index).is_empty()), "seed {seed}: {:#?}", net.log);
}

#[test]
fn whatever_happens_the_living_agree_in_the_end() {
    let seeds = std::env::var("MEMBERSHIP_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(15);
    (0..seeds).for_each(ordeal);
}

#[test]
fn a_suspicion_of_which_its_subject_never_heard_ends() {
    // In it a suspicion reaches all but its subject, and its author is gone before the subject hears of it.
    ordeal(112);
}

#[test]
fn fifty_nodes_find_each_other_and_lose_one() {
    let mut net = Net::started(15, 50);
    net.run_until("all see all", 60 * SECOND, Net::agreed);
    net.kill(25);
    net.run_until("down everywhere", 60 * SECOND, Net::agreed);
}

#[test]
fn after_leaving_a_node_is_silent() {
    let mut net = Net::started(13, 3);
    net.run_until("all see all", 30 * SECOND, Net::agreed);
    net.call(1, |membership, now, out| membership.leave(now, out));
    let pending = net.queue.len();
    assert!(pending > 0);
    let me = net.nodes[1].membership.as_ref().unwrap().me().clone();
    let src = net.nodes[0].membership.as_ref().unwrap().me().clone();
    let ping = forged(&Header { src, src_incarnation: 0, dst: me.clone(), message: Message::TurnUndead });
    let mut out = Vec::new();
    let clock = net.clock();
    let left = net.nodes[1].membership.as_mut().unwrap();
    left.receive(addr(1), &ping, clock, &mut out).unwrap();
    left.leave(clock, &mut out);
    assert_eq!((out, left.me()), (Vec::new(), &me));
}

#[test]
fn garbage_is_malformed_and_changes_nothing() {
    let mut net = Net::started(14, 2);
    net.run_until("both", 10 * SECOND, Net::agreed);
    let clock = net.clock();
    let mut rng = StdRng::seed_from_u64(1);
    let before = net.nodes[0].membership.as_ref().unwrap().export();
    let membership = net.nodes[0].membership.as_mut().unwrap();
    for _ in 0..20_000 {
        let len = rng.random_range(0..64);
        let mut bytes: Vec<u8> = (0..len).map(|_| rng.random()).collect();
        if let Some(first) = bytes.first_mut() {
            *first %= 3;
        }
        let _ = membership.receive(addr(2), &bytes, clock, &mut Vec::new());
    }
    assert!(membership.receive(addr(2), &[], clock, &mut Vec::new()).is_err());
    assert_eq!(membership.export(), before);
}
