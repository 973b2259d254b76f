//! One machine: its node while it runs, its disk, its clock, and how it is doing.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use grapevine::node::{InboundId, Node, Now, RequestId, Ticket};
use grapevine::replica::{IncarnationId, Replica, VersionHash};
use grapevine::zone::{ZoneContent, ZoneSet};
use rand::RngExt;
use rand::rngs::StdRng;

use crate::disk::{Disk, Fault};
use crate::network::addr_of;

/// The moment at which every simulation begins, milliseconds since 1970.
const EPOCH_MS: i64 = 1_790_000_000_000;

/// What a machine is to the cluster.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    /// It takes part, or will again once it is started.
    Member,
    /// It will never come back.
    Gone,
}

pub(crate) struct Machine {
    pub(crate) node: Option<Node>,
    pub(crate) standing: Standing,
    pub(crate) name: String,
    pub(crate) addr: SocketAddr,
    pub(crate) served: Arc<ZoneSet>,
    /// The zone files that it has when it starts.
    pub(crate) files: Vec<ZoneContent>,
    /// Counts lives: what was on its way when a machine crashed does not reach its next life.
    pub(crate) life: u64,
    pub(crate) clock_skew_ms: i64,
    /// Nothing happens on it before then, as while a process is stopped.
    pub(crate) paused_until: Duration,
    /// All that reaches it is this late.
    pub(crate) lag: Duration,
    pub(crate) disk: Disk,
    pub(crate) disk_fault: Fault,
    pub(crate) disk_is_slow: bool,
    pub(crate) disk_busy_until: Duration,
    pub(crate) disk_answers_until: Duration,
    /// A copy of its disk as it was some time ago.
    pub(crate) backup: Option<Disk>,
    /// When it wakes by itself, and how often that has been set.
    pub(crate) tick_at: Option<Duration>,
    pub(crate) tick_number: u64,
    pub(crate) inbound: BTreeMap<InboundId, (usize, u64, RequestId)>,
    /// Commands that it was given in this life and has not answered.
    pub(crate) unanswered: BTreeSet<Ticket>,
}

impl Machine {
    pub(crate) fn new(index: usize, rng: &mut StdRng) -> Machine {
        Machine {
            node: None,
            standing: Standing::Member,
            name: format!("node{index}"),
            addr: addr_of(index),
            served: Arc::default(),
            files: Vec::new(),
            life: 0,
            clock_skew_ms: rng.random_range(-3_600_000..3_600_000),
            paused_until: Duration::ZERO,
            lag: Duration::ZERO,
            disk: Disk::default(),
            disk_fault: Fault::None,
            disk_is_slow: false,
            disk_busy_until: Duration::ZERO,
            disk_answers_until: Duration::ZERO,
            backup: None,
            tick_at: None,
            tick_number: 0,
            inbound: BTreeMap::new(),
            unanswered: BTreeSet::new(),
        }
    }

    pub(crate) fn clock(&self, now: Duration) -> Now {
        Now { mono: now, wall_ms: (EPOCH_MS + now.as_millis() as i64 + self.clock_skew_ms) as u64 }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.node.is_some()
    }

    pub(crate) fn is_member(&self) -> bool {
        self.standing == Standing::Member
    }

    /// The versions of which it knows that they were served under some serial, here or elsewhere.
    pub(crate) fn points(&self) -> Vec<(IncarnationId, VersionHash)> {
        let of = |replica: &Replica| {
            let lives = replica.summaries().into_iter().filter_map(|summary| replica.get(summary.incarnation));
            let points = lives.flat_map(|life| {
                let incarnation = life.state().incarnation();
                life.latest_points(usize::MAX).into_iter().map(move |(_, version)| (incarnation, version))
            });
            points.collect()
        };
        match &self.node {
            Some(node) => of(node.replica()),
            None => of(&Replica::load(self.disk.read()).0),
        }
    }

    /// How long the disk takes for one group.
    pub(crate) fn write_time(&self, rng: &mut StdRng) -> Duration {
        match self.disk_is_slow {
            true => Duration::from_millis(rng.random_range(100..1500)),
            false => Duration::from_micros(rng.random_range(100..8000)),
        }
    }

    /// All its ailments end.
    pub(crate) fn mend(&mut self) {
        self.disk_fault = Fault::None;
        self.disk_is_slow = false;
        self.paused_until = Duration::ZERO;
        self.lag = Duration::ZERO;
    }
}
