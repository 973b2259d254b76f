//! What happens in a run: a cluster forms, edits and faults come down on it, and at last all is well again.

use std::collections::BTreeSet;
use std::time::Duration;

use grapevine::answer::{Context, Outcome, Server, Transport, answer};
use grapevine::node::{Command, Edit, Ticket};
use grapevine::replica::{EditOrigin, Source};
use grapevine::zone::{Change, Name, Rdata, Record, RecordType, Soa, ZoneContent};
use rand::RngExt;
use rand::seq::IndexedRandom;

use crate::oracle::Expectation;
use crate::world::{Machine, Network, World};

/// How long faults last.
const TROUBLE: Duration = Duration::from_secs(20);
/// How long a cluster may take to converge once all is well: SWIM must find again who was held down.
const PEACE: Duration = Duration::from_secs(90);

/// What a run amounted to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) acknowledged: u64,
    pub(crate) refused: u64,
    pub(crate) crashes: u64,
    pub(crate) partitions: u64,
    pub(crate) lost: u64,
    pub(crate) duplicated: u64,
    pub(crate) converged_after_ms: u64,
}

impl Report {
    pub(crate) fn add(&mut self, other: &Report) {
        self.acknowledged += other.acknowledged;
        self.refused += other.refused;
        self.crashes += other.crashes;
        self.partitions += other.partitions;
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.converged_after_ms = self.converged_after_ms.max(other.converged_after_ms);
    }
}

struct Run {
    world: World,
    tickets: u64,
    report: Report,
    zones: Vec<Name>,
    known: Vec<Expectation>,
    down: BTreeSet<usize>,
}

/// Runs one seed; the failure says what is wrong.
pub(crate) fn run(seed: u64, trace: bool) -> Result<Report, String> {
    let count = 3 + (seed % 5) as usize;
    let network = Network {
        loss: [0.0, 0.01, 0.1, 0.3][(seed / 5 % 4) as usize],
        duplication: [0.0, 0.05, 0.3][(seed / 20 % 3) as usize],
        delay: Duration::from_micros(100),
        jitter: Duration::from_millis([1, 20, 300][(seed / 60 % 3) as usize]),
    };
    let world = World::new(seed, count, network, trace);
    let mut run = Run {
        world,
        tickets: 0,
        report: Report::default(),
        zones: Vec::new(),
        known: Vec::new(),
        down: BTreeSet::new(),
    };
    run.form();
    run.trouble();
    run.recover()?;
    let Run { world, mut report, .. } = run;
    report.acknowledged = world.oracle.acknowledged;
    report.refused = world.oracle.refused;
    report.lost = world.lost;
    report.duplicated = world.duplicated;
    Ok(report)
}

impl Run {
    /// Starts the machines. In some runs several have the same zone file, in some every node names all others as seeds.
    fn form(&mut self) {
        let count = self.world.machines.len();
        let all_join = self.world.rng.random_bool(0.2);
        for zone in ["corp.example.", "edge.example."] {
            let content = content(zone, 2026);
            for index in 0..count {
                if index == 0 || self.world.rng.random_bool(0.3) {
                    self.world.machines[index].files.push(content.clone());
                }
            }
            self.zones.push(content.origin);
        }
        for index in 0..count {
            let seeds = self.seeds(index, all_join);
            self.world.start(index, &seeds);
            if self.world.rng.random_bool(0.5) {
                self.pass(Duration::from_millis(300));
            }
        }
        self.pass(Duration::from_secs(8));
    }

    fn seeds(&self, index: usize, all_join: bool) -> Vec<usize> {
        match index {
            0 if !all_join => Vec::new(),
            _ => (0..self.world.machines.len()).filter(|other| *other != index).collect(),
        }
    }

    fn trouble(&mut self) {
        let end = self.world.now + TROUBLE;
        while self.world.now < end {
            let step = Duration::from_millis(self.world.rng.random_range(5..400));
            self.pass(step);
            match self.world.rng.random_range(0..100) {
                0..70 => self.edit(),
                70..80 => self.crash(),
                80..88 => self.restart(),
                88..93 => self.partition(),
                93..96 => self.world.heal(),
                96..98 => {
                    let index = self.any();
                    let full = self.world.rng.random_bool(0.3);
                    self.world.fill_disk(index, full);
                }
                _ => self.create_or_delete(),
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        let end = self.world.now + time;
        self.world.run_until(end);
    }

    fn any(&mut self) -> usize {
        self.world.rng.random_range(0..self.world.machines.len())
    }

    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    fn edit(&mut self) {
        let index = self.any();
        let zone = self.zones.choose(&mut self.world.rng).cloned().expect("there are zones");
        if !self.world.is_up(index) || self.world.machines[index].served.get(&zone).is_none() {
            return;
        }
        let ticket = self.ticket();
        let fresh = format!("r{}", self.tickets);
        let shared = format!("shared{}", self.world.rng.random_range(0..4));
        let changes = match self.world.rng.random_range(0..10) {
            0..5 => {
                let record = a_record(&zone, &fresh, self.tickets);
                let expectation = Expectation { zone: zone.clone(), record: record.key(), present: true };
                self.known.push(expectation.clone());
                self.world.oracle.ask(ticket, expectation);
                vec![Change::Add(record)]
            }
            5..7 => {
                // Removing what this node serves: the removal has observed it.
                let of_zone: Vec<Expectation> = self
                    .known
                    .iter()
                    .filter(|known| known.zone == zone && known.present)
                    .filter(|known| self.world.oracle.is_settled(&known.record))
                    .filter(|known| serves(&self.world, index, known))
                    .cloned()
                    .collect();
                let Some(known) = of_zone.choose(&mut self.world.rng).cloned() else { return };
                self.known.retain(|other| *other != known);
                self.world.oracle.ask(ticket, Expectation { present: false, ..known.clone() });
                vec![Change::Remove(known.record)]
            }
            7 => vec![Change::Add(cname(&zone, &shared, &fresh))],
            8 => vec![Change::Add(a_record(&zone, &shared, self.tickets))],
            _ => {
                let ttl = self.world.rng.random_range(1..100_000);
                let soa = Soa { refresh: ttl, ..content(&zone.to_string(), 1).soa };
                vec![Change::Ttl { owner: zone.clone(), rtype: RecordType::NS, ttl }, Change::Soa(soa)]
            }
        };
        let serial = self.world.rng.random_bool(0.1).then(|| {
            let now = self.world.machines[index].served.get(&zone).map_or(0, |zone| zone.soa().serial);
            now + self.world.rng.random_range(0..50)
        });
        let edit = Edit { zone, changes, serial, source: Source::new(EditOrigin::Api) };
        self.world.command(index, ticket, Command::Edit(edit));
    }

    fn create_or_delete(&mut self) {
        let index = self.any();
        if !self.world.is_up(index) {
            return;
        }
        let origin: Name = "extra.example.".parse().expect("a name");
        let ticket = self.ticket();
        let command = match self.world.machines[index].served.get(&origin) {
            Some(_) => {
                self.world.oracle.forget_zone(&origin);
                self.known.retain(|known| known.zone != origin);
                Command::Delete { zone: origin, source: Source::new(EditOrigin::Api) }
            }
            None => Command::Create { content: content("extra.example.", 7), source: Source::new(EditOrigin::Api) },
        };
        self.world.command(index, ticket, command);
    }

    fn crash(&mut self) {
        let index = self.any();
        if self.world.is_up(index) {
            self.world.crash(index);
            self.down.insert(index);
            self.report.crashes += 1;
        }
    }

    fn restart(&mut self) {
        if let Some(index) = self.down.pop_first() {
            let seeds = self.seeds(index, false);
            self.world.start(index, &seeds);
        }
    }

    fn partition(&mut self) {
        self.report.partitions += 1;
        let side: Vec<bool> = (0..self.world.machines.len()).map(|_| self.world.rng.random_bool(0.5)).collect();
        let both_ways = self.world.rng.random_bool(0.7);
        for a in 0..side.len() {
            for b in 0..side.len() {
                if side[a] != side[b] && (both_ways || side[a]) {
                    self.world.cut(a, b);
                }
            }
        }
    }

    /// Ends all faults and waits until every node holds and serves the same.
    fn recover(&mut self) -> Result<(), String> {
        self.world.heal();
        for index in 0..self.world.machines.len() {
            self.world.fill_disk(index, false);
        }
        while !self.down.is_empty() {
            self.restart();
        }
        let calm = self.world.now;
        loop {
            self.pass(Duration::from_millis(500));
            match self.difference() {
                None => break,
                Some(difference) if self.world.now > calm + PEACE => {
                    return Err(format!("not converged {} s after the last fault: {difference}", PEACE.as_secs()));
                }
                Some(_) => {}
            }
        }
        self.report.converged_after_ms = (self.world.now - calm).as_millis() as u64;
        let mut wrong = std::mem::take(&mut self.world.oracle.violations);
        wrong.append(&mut self.world.reports);
        for (index, machine) in self.world.machines.iter().enumerate() {
            let missing = self.world.oracle.missing(&machine.served);
            wrong.extend(missing.into_iter().map(|missing| format!("node {index}: {missing}")));
        }
        wrong.extend(self.different_answers());
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n  ")) }
    }

    /// Asks every node for every name and type that the first one serves: the responses must be the same bytes.
    fn different_answers(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for zone in self.world.machines[0].served.iter().filter(|zone| !zone.is_hidden()) {
            for (owner, node) in zone.sorted() {
                let types = node.rrsets().iter().map(|rrset| rrset.rtype).chain([RecordType::AAAA, RecordType::ANY]);
                for rtype in types {
                    let mut answers = self.world.machines.iter().map(|machine| response(machine, owner, rtype));
                    let first = answers.next();
                    wrong.extend(
                        answers
                            .filter(|other| Some(other) != first.as_ref())
                            .map(|_| format!("{owner} {rtype}: answers differ")),
                    );
                }
            }
        }
        wrong
    }

    fn difference(&self) -> Option<String> {
        let first = self.world.machines[0].node.as_ref()?;
        for (index, machine) in self.world.machines.iter().enumerate() {
            let node = machine.node.as_ref()?;
            let live = node.view(grapevine::node::Now { mono: self.world.now, wall_ms: 0 });
            if live.members.iter().filter(|m| m.state == grapevine::node::MemberState::Alive).count()
                != self.world.machines.len()
            {
                return Some(format!("node {index} does not see all members alive"));
            }
            if !live.initialised {
                return Some(format!("node {index} has not synced"));
            }
            let (mine, theirs) = (first.replica().summaries(), node.replica().summaries());
            if mine != theirs {
                return Some(format!("node {index} holds other versions than node 0: {mine:?} against {theirs:?}"));
            }
            let (a, b) = (&self.world.machines[0].served, &machine.served);
            if a.len() != b.len() || a.iter().any(|zone| b.get(zone.origin()).is_none_or(|other| **other != **zone)) {
                return Some(format!("node {index} serves something else than node 0"));
            }
            if live.zones.iter().any(|zone| zone.same_on != zone.live) {
                return Some(format!("node {index} does not know that all hold the same"));
            }
        }
        None
    }
}

/// What a machine answers, byte for byte.
fn response(machine: &Machine, owner: &Name, rtype: RecordType) -> Vec<u8> {
    let mut query = vec![0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    query.extend_from_slice(owner.as_wire());
    query.extend_from_slice(&rtype.0.to_be_bytes());
    query.extend_from_slice(&[0, 1]);
    let server = Server::default();
    let context = Context::new(&server, Transport::Tcp, std::net::Ipv4Addr::LOCALHOST.into());
    let mut response = Vec::new();
    assert!(matches!(answer(&machine.served, &query, &context, &mut response), Outcome::Respond));
    response
}

fn serves(world: &World, index: usize, known: &Expectation) -> bool {
    let key = &known.record;
    world.machines[index].served.get(&known.zone).is_some_and(|zone| {
        zone.get(key.owner.as_wire())
            .and_then(|node| node.get(key.rtype))
            .is_some_and(|rrset| rrset.rdatas().any(|rdata| rdata == key.rdata.as_wire()))
    })
}

fn name(zone: &Name, label: &str) -> Name {
    zone.child(label.as_bytes()).expect("short names")
}

fn a_record(zone: &Name, label: &str, number: u64) -> Record {
    let rdata = Rdata::new((0x0a00_0000 + number as u32).to_be_bytes().as_slice());
    Record { owner: name(zone, label), rtype: RecordType::A, ttl: 300, rdata }
}

fn cname(zone: &Name, label: &str, target: &str) -> Record {
    let rdata = Rdata::new(name(zone, target).as_wire());
    Record { owner: name(zone, label), rtype: RecordType::CNAME, ttl: 60, rdata }
}

fn content(origin: &str, serial: u32) -> ZoneContent {
    let origin: Name = origin.parse().expect("a name");
    let primary = Rdata::new(name(&origin, "ns1").as_wire());
    let soa = Soa {
        ttl: 3600,
        mname: primary.clone(),
        rname: Rdata::new(name(&origin, "hostmaster").as_wire()),
        serial,
        refresh: 3600,
        retry: 600,
        expire: 604_800,
        minimum: 60,
    };
    let mut content = ZoneContent::new(origin.clone(), soa);
    content.add(Record { owner: origin.clone(), rtype: RecordType::NS, ttl: 3600, rdata: primary });
    content.add(a_record(&origin, "ns1", 1));
    for key in 0..5 {
        content.add(a_record(&origin, &format!("host{key}"), 100 + key));
    }
    content
}
