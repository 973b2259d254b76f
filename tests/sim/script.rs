//! What happens in a run: a cluster forms, edits and faults come down on it, and at last all is well again.

use std::collections::BTreeSet;
use std::time::Duration;

use rand::RngExt;

use crate::nemesis::{self, Nemesis};
use crate::network::Network;
use crate::poison;
use crate::report::Report;
use crate::workload::content;
use crate::world::World;

/// How long faults last.
const TROUBLE: Duration = Duration::from_secs(20);
/// How long a cluster of a few nodes may take to converge once all is well: SWIM must find again who was held down.
pub(crate) const PEACE: Duration = Duration::from_secs(90);

/// One run in so many has thousands of zones.
const MANY_ZONES_IN: u64 = 1000;
/// So many.
const MANY_ZONES: u32 = 2000;
/// One run in so many edits on while a machine is away until no log reaches back to when it left.
const LONG_LOG_IN: u64 = 500;
/// So many edits: more than a log keeps.
const LONG_LOG: u32 = 4200;
/// One run in so many has a large cluster.
const MANY_NODES_IN: u64 = 2000;

/// One run under way.
pub(crate) struct Run {
    pub(crate) world: World,
    pub(crate) tickets: u64,
    /// What may happen in this run.
    pub(crate) nemeses: Vec<(Nemesis, &'static str, u32)>,
    pub(crate) first_machines: usize,
    /// Machines that are down and come back.
    pub(crate) down: BTreeSet<usize>,
    /// Machines that have another disk than they began with: they join, whoever they are.
    pub(crate) replaced: BTreeSet<usize>,
    /// The machine that is away, and when it comes back.
    pub(crate) absent: Option<(usize, Duration)>,
    pub(crate) was_absent: bool,
    pub(crate) deployed: u32,
    all_join: bool,
    /// How long trouble lasts.
    trouble: Duration,
}

/// Runs one seed; the failure says what is wrong.
pub(crate) fn run(seed: u64, trace: bool) -> Result<Report, String> {
    if seed % MANY_NODES_IN == MANY_NODES_IN - 1 {
        return large(seed, 60, Duration::from_secs(5), trace);
    }
    let count = 3 + (seed % 5) as usize;
    let mut run = Run::new(World::new(seed, count, Network::of(seed), trace));
    let mut zones = vec!["corp.example.".to_owned(), "edge.example.".to_owned()];
    let many_zones = seed % MANY_ZONES_IN == MANY_ZONES_IN - 2;
    if many_zones {
        run.world.report.count("runs with thousands of zones");
        zones.extend((0..MANY_ZONES).map(|number| format!("zone{number}.many.example.")));
    }
    run.form(&zones);
    if seed % LONG_LOG_IN == LONG_LOG_IN - 3 {
        run.outlast_the_log();
    }
    run.trouble();
    // A node that lacks all zones asks for them one by one.
    run.recover(if many_zones { PEACE * 4 } else { PEACE })
}

/// A large cluster: it forms, takes edits on many nodes, loses and regains some, and agrees.
pub(crate) fn large(seed: u64, count: usize, trouble: Duration, trace: bool) -> Result<Report, String> {
    let mut run = Run::new(World::new(seed, count, Network::good(), trace));
    run.trouble = trouble;
    run.world.report.count("runs with many nodes");
    run.form(&["corp.example.".to_owned()]);
    run.trouble();
    run.recover(PEACE * 2)
}

impl Run {
    fn new(mut world: World) -> Run {
        let rng = &mut world.rng;
        let mut nemeses = nemesis::ALL.to_vec();
        // Each run has its own mixture: faults hide each other, and some show only where others are absent.
        nemeses.retain(|_| rng.random_bool(0.4));
        let all_join = rng.random_bool(0.2);
        if nemeses.iter().any(|(nemesis, ..)| nemesis.poisons()) {
            world.oracle.provoked = poison::PROVOKED.to_vec();
        }
        if nemeses.iter().any(|(nemesis, ..)| nemesis.forks()) {
            world.oracle.provoked.extend(poison::FORKED);
        }
        Run {
            first_machines: world.machines.len(),
            world,
            tickets: 0,
            nemeses,
            down: BTreeSet::new(),
            replaced: BTreeSet::new(),
            absent: None,
            was_absent: false,
            deployed: 0,
            all_join,
            trouble: TROUBLE,
        }
    }

    /// Starts the machines. In some runs several have the same zone file, in some every node names all others as seeds.
    fn form(&mut self, zones: &[String]) {
        let count = self.first_machines;
        for zone in zones {
            let content = content(zone, 2026);
            for index in 0..count {
                if index == 0 || self.world.rng.random_bool(if count > 10 { 0.01 } else { 0.3 }) {
                    self.world.machines[index].files.push(content.clone());
                }
            }
        }
        for index in 0..count {
            self.start(index);
            if self.world.rng.random_bool(0.5) {
                self.pass(Duration::from_millis(300));
            }
        }
        self.pass(Duration::from_secs(8));
    }

    /// Starts a machine with the seeds that it is configured with.
    pub(crate) fn start(&mut self, index: usize) {
        let founder = index == 0 && !self.all_join && !self.replaced.contains(&0);
        // A handful of seeds is what people configure, however large the cluster.
        let others = (0..self.world.machines.len()).filter(|other| *other != index);
        let seeds: Vec<usize> = if founder { Vec::new() } else { others.take(10).collect() };
        self.world.start(index, &seeds);
    }

    fn trouble(&mut self) {
        let end = self.world.now + self.trouble;
        while self.world.now < end {
            let step = Duration::from_millis(self.world.rng.random_range(5..400));
            self.pass(step);
            if self.absent.is_some_and(|(_, back_at)| self.world.now >= back_at) {
                let left = end.saturating_sub(self.world.now);
                self.end_absence();
                return self.trouble_for(left);
            }
            self.act();
        }
    }

    fn trouble_for(&mut self, time: Duration) {
        self.trouble = time;
        self.trouble();
    }

    fn act(&mut self) {
        match self.world.rng.random_range(0..100) {
            0..60 => self.edit(),
            60..70 => self.transfer(),
            70..85 => self.strike(),
            85..91 => self.restart(),
            91..94 => self.world.network.heal(),
            _ => {
                let index = self.any();
                self.world.machines[index].mend();
            }
        }
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.world.now + time;
        self.world.run_until(end);
    }

    pub(crate) fn any(&mut self) -> usize {
        self.world.rng.random_range(0..self.world.machines.len())
    }

    /// The secondary transfers all zones from a machine.
    fn transfer(&mut self) {
        let index = self.any();
        let machine = &self.world.machines[index];
        let Some(node) = &machine.node else { return };
        for zone in machine.served.iter().take(10) {
            let (origin, serial, version) = (zone.origin(), zone.serial(), zone.version());
            self.world.note(|| format!("the secondary takes {origin} at {serial} {version:?} from node {index}"));
            self.world.oracle.transfer(index, node.replica(), zone);
        }
    }

    pub(crate) fn restart(&mut self) {
        if let Some(index) = self.down.pop_first() {
            self.start(index);
        }
    }

    /// One machine leaves, and the rest edits until no log reaches back to when it did.
    fn outlast_the_log(&mut self) {
        let away = self.world.machines.len() - 1;
        if !self.world.machines[away].is_up() || self.world.machines[0].served.len() < 2 {
            return;
        }
        self.world.report.count("absences that outlast the log");
        self.world.crash(away);
        self.absent = Some((away, self.world.now));
        self.was_absent = true;
        for edit in 0..LONG_LOG {
            self.edit_zone(0, &crate::oracle::origin("corp.example."));
            if edit % 4 == 3 {
                self.pass(Duration::from_millis(40));
            }
        }
        self.end_absence();
    }
}
