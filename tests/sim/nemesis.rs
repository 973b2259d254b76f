//! All that is done to a cluster. Every run has its own choice of these, and every one is counted.

use std::time::Duration;

use rand::RngExt;
use rand::seq::{IndexedRandom, IteratorRandom};

use crate::disk::{Disk, Fault};
use crate::oracle::origin;
use crate::poison;
use crate::script::Run;
use crate::workload::{a_record, content};

/// How many machines may be added to those that a run begins with.
const MAX_ADDED: usize = 4;
/// For how long one machine is away while the others go on.
const ABSENCE: Duration = Duration::from_secs(30 * 86_400);
/// Milliseconds.
const HOUR: i64 = 3_600_000;
const YEAR: i64 = 365 * 24 * HOUR;

/// One kind of trouble.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Nemesis {
    Crash,
    CrashWhileWriting,
    DiskFull,
    DiskReadOnly,
    DiskSlow,
    Pause,
    SlowNode,
    Partition,
    OneWayCut,
    PartialPartition,
    FlappingLink,
    ClockJumpOfAnHour,
    ClockJumpOfAYear,
    LongAbsence,
    Backup,
    RestoreElsewhere,
    PutBack,
    EmptyDisk,
    Clone,
    Garbage,
    IllegalBatch,
    ForgedBatch,
    SpoiltAnswers,
    ZonesComeAndGo,
    ZonesComeAndGoApart,
    SameFileEverywhere,
    Join,
    Leave,
    DieForGood,
}

use Nemesis::*;

/// Each with its name in the report and how often it strikes in comparison with the others.
pub(crate) const ALL: &[(Nemesis, &str, u32)] = &[
    (Crash, "crashes", 20),
    (CrashWhileWriting, "crashes while writing", 10),
    (DiskFull, "disks full", 6),
    (DiskReadOnly, "disks read-only", 4),
    (DiskSlow, "disks slow", 5),
    (Pause, "processes stopped for seconds", 8),
    (SlowNode, "nodes slow", 5),
    (Partition, "partitions", 10),
    (OneWayCut, "one-way cuts", 6),
    (PartialPartition, "partial partitions", 6),
    (FlappingLink, "links flapping", 5),
    (ClockJumpOfAnHour, "clock jumps of an hour", 4),
    (ClockJumpOfAYear, "clock jumps of a year", 2),
    (LongAbsence, "absences of 30 days", 2),
    (Backup, "backups", 8),
    (RestoreElsewhere, "backups restored in a new directory", 4),
    (PutBack, "disks put back to an earlier state of themselves", 3),
    (EmptyDisk, "disks replaced by empty ones", 2),
    (Clone, "machines cloned", 2),
    (Garbage, "garbage", 4),
    (IllegalBatch, "illegal batches", 6),
    (ForgedBatch, "forged batches", 4),
    (SpoiltAnswers, "members that spoil answers", 2),
    (ZonesComeAndGo, "zones created or deleted", 14),
    (ZonesComeAndGoApart, "zones created or deleted on both sides of a partition", 4),
    (SameFileEverywhere, "same file on all nodes at once", 4),
    (Join, "machines joining", 3),
    (Leave, "machines leaving", 4),
    (DieForGood, "machines dead for good", 1),
];

impl Run {
    /// Lets one of the run's nemeses strike.
    pub(crate) fn strike(&mut self) {
        let chosen = self.nemeses.choose_weighted(&mut self.world.rng, |(_, _, weight)| *weight);
        let Ok(&(nemesis, name, _)) = chosen else { return };
        if self.do_harm(nemesis).is_some() {
            self.world.note(|| format!("nemesis: {name}"));
            self.world.report.count(name);
        }
    }

    /// `None` if there was nothing to harm.
    fn do_harm(&mut self, nemesis: Nemesis) -> Option<()> {
        match nemesis {
            Crash => self.some_up().map(|index| self.crash(index)),
            CrashWhileWriting => {
                let writing = |index: &usize| self.world.machines[*index].disk.has_unsynced();
                let index = (0..self.world.machines.len()).filter(writing).choose(&mut self.world.rng)?;
                self.world.machines[index].is_up().then(|| self.crash(index))
            }
            DiskFull | DiskReadOnly | DiskSlow | Pause | SlowNode => self.hamper(nemesis),
            Partition | OneWayCut | PartialPartition | FlappingLink => self.cut_links(nemesis),
            ClockJumpOfAnHour | ClockJumpOfAYear => {
                let by = if nemesis == ClockJumpOfAnHour { HOUR } else { YEAR };
                let index = self.any();
                self.world.machines[index].clock_skew_ms += if self.world.rng.random_bool(0.5) { by } else { -by };
                Some(())
            }
            LongAbsence | Backup | RestoreElsewhere | PutBack | EmptyDisk | Clone => self.tamper_with_disks(nemesis),
            Garbage | IllegalBatch | ForgedBatch | SpoiltAnswers => self.poison(nemesis),
            ZonesComeAndGo => {
                self.create_or_delete();
                Some(())
            }
            ZonesComeAndGoApart => {
                self.split(true);
                for _ in 0..4 {
                    self.create_or_delete();
                }
                Some(())
            }
            SameFileEverywhere => {
                self.deploy();
                Some(())
            }
            Join | Leave | DieForGood => self.change_members(nemesis),
        }
    }

    fn some_up(&mut self) -> Option<usize> {
        let up = |index: &usize| self.world.machines[*index].is_up();
        (0..self.world.machines.len()).filter(up).choose(&mut self.world.rng)
    }

    pub(crate) fn crash(&mut self, index: usize) {
        self.world.crash(index);
        self.down.insert(index);
    }

    fn hamper(&mut self, nemesis: Nemesis) -> Option<()> {
        let index = self.some_up()?;
        let now = self.world.now;
        let machine = &mut self.world.machines[index];
        let rng = &mut self.world.rng;
        match nemesis {
            DiskFull => machine.disk_fault = Fault::Full,
            DiskReadOnly => machine.disk_fault = Fault::ReadOnly,
            DiskSlow => machine.disk_is_slow = true,
            Pause => machine.paused_until = now + Duration::from_millis(rng.random_range(200..12_000)),
            _ => machine.lag = Duration::from_millis(rng.random_range(50..3000)),
        }
        Some(())
    }

    /// Cuts the network in two at random.
    fn split(&mut self, both_ways: bool) {
        let side: Vec<bool> = self.world.machines.iter().map(|_| self.world.rng.random_bool(0.5)).collect();
        for a in 0..side.len() {
            for b in 0..side.len() {
                if side[a] != side[b] && (both_ways || side[a]) {
                    self.world.network.cut(a, b);
                }
            }
        }
    }

    fn cut_links(&mut self, nemesis: Nemesis) -> Option<()> {
        let (a, b) = (self.any(), self.any());
        match nemesis {
            Partition => self.split(true),
            OneWayCut => self.split(false),
            _ if a == b => return None,
            PartialPartition => {
                self.world.network.cut(a, b);
                self.world.network.cut(b, a);
            }
            _ => {
                let period = Duration::from_millis(self.world.rng.random_range(100..3000));
                self.world.network.flap(a, b, period);
            }
        }
        Some(())
    }

    fn tamper_with_disks(&mut self, nemesis: Nemesis) -> Option<()> {
        match nemesis {
            Backup => {
                let index = self.any();
                let machine = &mut self.world.machines[index];
                machine.backup = Some(machine.disk.copy());
            }
            LongAbsence => {
                if self.absent.is_some() || self.was_absent {
                    return None;
                }
                let index = self.some_up()?;
                self.world.crash(index);
                let back_at = self.world.now + Duration::from_millis(self.world.rng.random_range(2000..12_000));
                (self.absent, self.was_absent) = (Some((index, back_at)), true);
            }
            RestoreElsewhere => {
                let has_backup = |index: &usize| self.world.machines[*index].backup.is_some();
                let index = self.world.members().into_iter().filter(has_backup).choose(&mut self.world.rng)?;
                let disk = self.world.machines[index].backup.as_ref()?.moved();
                self.put_disk_in(index, disk)?;
            }
            PutBack => {
                let has_backup = |index: &usize| self.world.machines[*index].backup.is_some();
                let index = self.world.members().into_iter().filter(has_backup).choose(&mut self.world.rng)?;
                let disk = self.world.machines[index].backup.clone()?;
                if !self.may_lose_its_disk(index) {
                    return None;
                }
                if self.world.machines[index].is_up() {
                    self.crash(index);
                }
                self.world.put_back(index, disk);
            }
            EmptyDisk => {
                let index = self.some_up()?;
                self.put_disk_in(index, Disk::default())?;
            }
            _ => {
                let index = self.any();
                if self.is_full() || !self.world.machines[index].is_member() {
                    return None;
                }
                let disk = self.world.machines[index].disk.moved();
                let twin = self.world.add_machine(disk, Vec::new());
                self.start(twin);
            }
        }
        Some(())
    }

    /// Not while it may be the only one with the cluster's zones: then there would be no cluster to come back to.
    fn may_lose_its_disk(&self, index: usize) -> bool {
        self.absent.is_none_or(|(absent, _)| absent != index) && self.others_hold_the_cluster(index)
    }

    /// A machine loses its disk.
    fn put_disk_in(&mut self, index: usize, disk: Disk) -> Option<()> {
        if !self.may_lose_its_disk(index) {
            return None;
        }
        if self.world.machines[index].is_up() {
            self.crash(index);
        }
        self.world.replace_disk(index, disk);
        self.replaced.insert(index);
        Some(())
    }

    fn others_hold_the_cluster(&self, index: usize) -> bool {
        let holds = |other: usize| {
            let machine = &self.world.machines[other];
            machine.node.as_ref().is_some_and(|node| node.replica().summaries().len() > 1)
        };
        self.world.members().into_iter().filter(|other| *other != index).filter(|other| holds(*other)).count() >= 2
    }

    fn is_full(&self) -> bool {
        self.world.machines.len() >= self.first_machines + MAX_ADDED
    }

    fn poison(&mut self, nemesis: Nemesis) -> Option<()> {
        let index = self.some_up()?;
        if nemesis == SpoiltAnswers {
            self.world.poison = 0.1;
            return Some(());
        }
        if nemesis == Garbage {
            let bytes = poison::garbage(&mut self.world.rng);
            match self.world.rng.random_bool(0.5) {
                true => self.world.inject(index, bytes),
                false => self.world.inject_request(index, bytes),
            }
            return Some(());
        }
        let machine = &self.world.machines[index];
        let replica = machine.node.as_ref()?.replica();
        let applied = |batch: &&std::sync::Arc<grapevine::replica::Batch>| {
            replica.get(batch.incarnation).is_some_and(|zone| zone.state().version().contains(batch.dot))
        };
        let like = machine.disk.batches().filter(applied).choose(&mut self.world.rng)?.clone();
        let batch = match nemesis {
            IllegalBatch => poison::illegal(&like, &mut self.world.rng),
            _ => poison::forged(&like),
        };
        let from = self.any();
        let bytes = poison::rumour(self.world.machines[from].addr, batch, &mut self.world.rng);
        self.world.inject(index, bytes);
        Some(())
    }

    /// A deploy tool puts the same new zone file, or the same new record, on all machines.
    fn deploy(&mut self) {
        let up: Vec<usize> =
            self.world.members().into_iter().filter(|index| self.world.machines[*index].is_up()).collect();
        self.deployed += 1;
        for index in up {
            if self.world.rng.random_bool(0.3) {
                self.pass(Duration::from_millis(1));
            }
            if !self.world.machines[index].is_up() {
                continue;
            }
            if self.deployed % 2 == 1 {
                self.create(index, content(&format!("deployed{}.example.", self.deployed), 5));
            } else {
                let zone = origin("corp.example.");
                let record = a_record(&zone, "deployed", self.deployed);
                self.submit(index, &zone, vec![grapevine::zone::Change::Add(record)], None);
            }
        }
    }

    fn change_members(&mut self, nemesis: Nemesis) -> Option<()> {
        match nemesis {
            Join => {
                if self.is_full() {
                    return None;
                }
                let own = format!("joined{}.example.", self.world.machines.len());
                let mut files = vec![content("corp.example.", 1)];
                if self.world.rng.random_bool(0.5) {
                    files.push(content(&own, 1));
                }
                let index = self.world.add_machine(Disk::default(), files);
                self.start(index);
            }
            Leave => {
                let index = self.some_up()?;
                self.world.leave(index);
                self.down.insert(index);
                if self.world.rng.random_bool(0.3) {
                    self.bury(index);
                }
            }
            _ => {
                let index = self.some_up()?;
                if self.may_bury(index) {
                    self.crash(index);
                    self.bury(index);
                }
            }
        }
        Some(())
    }

    fn may_bury(&self, index: usize) -> bool {
        self.world.members().len() > 3 && self.others_hold_the_cluster(index)
    }

    fn bury(&mut self, index: usize) {
        if self.may_bury(index) {
            self.world.bury(index);
            self.down.remove(&index);
        }
    }

    /// The machine that was away comes back, a month later.
    pub(crate) fn end_absence(&mut self) {
        if let Some((index, _)) = self.absent.take() {
            self.world.skip(ABSENCE);
            self.start(index);
        }
    }
}

impl Nemesis {
    /// Whether it can make two batches of one dot, of which nodes complain.
    pub(crate) fn forks(self) -> bool {
        self == PutBack
    }

    /// Whether it makes nodes complain of others.
    pub(crate) fn poisons(self) -> bool {
        matches!(self, Garbage | IllegalBatch | ForgedBatch | SpoiltAnswers)
    }
}
