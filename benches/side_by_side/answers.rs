//! Queries a second and CPU time per million answers, in rounds in which every server has its turn.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::editor::{Stream, Target};
use crate::load::{self, Pace};
use crate::samples::Samples;
use crate::servers::{Kind, Server, Setup};
use crate::zones::{Model, Queries};

/// Runs before each measured one, to have caches warm and the server awake.
const WARM_UP: Duration = Duration::from_millis(200);
/// How long a server may take from its start to its first answer, and from there until it rests.
const START_PATIENCE: Duration = Duration::from_secs(300);
const REST_PATIENCE: Duration = Duration::from_secs(60);
/// A server rests that takes less CPU time than this in such an interval.
const REST_INTERVAL: Duration = Duration::from_millis(400);
const REST_CPU_S: f64 = 0.03;
/// More distinct queries than any cache of answers would hold.
const QUERIES: usize = 1 << 18;
const EDIT_CONNECTIONS: u32 = 64;

/// A pace, and the keys of what is measured at it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At {
    /// The pace.
    pub(crate) pace: Pace,
    /// What the pace is called in tables.
    pub(crate) title: &'static str,
    /// Answers a second.
    pub(crate) rate: &'static str,
    /// CPU s per million answers, in the program.
    pub(crate) user: &'static str,
    /// In the kernel.
    pub(crate) system: &'static str,
    /// Both.
    pub(crate) total: &'static str,
    /// Queries lost, per cent.
    pub(crate) lost: &'static str,
    /// Bytes of an answer.
    pub(crate) bytes: &'static str,
}

macro_rules! at {
    ($pace:expr, $title:literal) => {
        At {
            pace: $pace,
            title: $title,
            rate: concat!("rate ", $title),
            user: concat!("user ", $title),
            system: concat!("system ", $title),
            total: concat!("total ", $title),
            lost: concat!("lost ", $title),
            bytes: concat!("bytes ", $title),
        }
    };
}

/// As fast as it goes.
pub(crate) const SATURATION: At = at!(Pace::Saturate, "saturation");
/// A busy evening of a small server.
pub(crate) const MODERATE: At = at!(Pace::Rate(20_000), "20,000/s");
/// A third of what the core can do.
pub(crate) const HIGH: At = at!(Pace::Rate(100_000), "100,000/s");

/// What is compared.
pub(crate) struct Comparison<'a> {
    /// The zones.
    pub(crate) model: Model,
    /// The servers.
    pub(crate) kinds: &'a [Kind],
    /// At what paces.
    pub(crate) at: &'a [At],
    /// Whether queries ask for the server's name.
    pub(crate) nsid: bool,
    /// Edits a second of servers that take them, while they are asked.
    pub(crate) edits: Option<u32>,
    /// How often each server has its turn.
    pub(crate) rounds: u32,
    /// How long it is asked each time.
    pub(crate) time: Duration,
    /// The first port.
    pub(crate) port: u16,
}

impl Comparison<'_> {
    /// Starts the servers and measures.
    pub(crate) fn run(&self, scratch: &Path) -> io::Result<Samples> {
        let files = self.model.write(&scratch.join("zones"))?;
        let queries = self.model.queries(QUERIES, self.nsid);
        let mut samples = Samples::default();
        let mut servers = Vec::new();
        for (number, &kind) in self.kinds.iter().enumerate() {
            let setup = Setup::of_files(kind, scratch.join(kind.to_string()), self.port + number as u16, &files);
            let mut server = setup.start()?;
            let Some(took) = server.await_answer(&self.model.last_query(), START_PATIENCE)? else {
                eprintln!("{kind} does not answer and is left out:\n{}", server.log());
                continue;
            };
            rest(&server)?;
            eprintln!("{kind} answers after {:.2} s", took.as_secs_f64());
            server.pause();
            servers.push(server);
        }
        for round in 0..self.rounds {
            // Another one is first each time.
            let turns = servers.len();
            for turn in 0..turns {
                let server = &servers[(turn + round as usize) % turns];
                server.resume();
                self.measure(server, &queries, round, &mut samples)?;
                server.pause();
            }
        }
        Ok(samples)
    }

    fn measure(&self, server: &Server, queries: &Queries, round: u32, samples: &mut Samples) -> io::Result<()> {
        let target = Target::of(server).filter(|_| self.edits.is_some());
        let edits = match (&target, self.edits) {
            (Some(target), Some(rate)) => {
                Some(Stream::start(std::slice::from_ref(target), &self.model.origin(0), rate, EDIT_CONNECTIONS)?)
            }
            _ => None,
        };
        for at in self.at {
            let first = round as usize * QUERIES / 7;
            load::run(server.address, queries, first, at.pace, WARM_UP)?;
            let before = server.group.cpu()?;
            let outcome = load::run(server.address, queries, first, at.pace, self.time)?;
            let cpu = (server.group.cpu()? - before).per_million(outcome.answered);
            let lost = 100.0 * outcome.lost as f64 / outcome.sent.max(1) as f64;
            samples.add(at.rate, server.kind, outcome.per_second);
            samples.add(at.user, server.kind, cpu.user_s);
            samples.add(at.system, server.kind, cpu.system_s);
            samples.add(at.total, server.kind, cpu.total_s());
            samples.add(at.lost, server.kind, lost);
            samples.add(at.bytes, server.kind, outcome.bytes as f64 / outcome.answered.max(1) as f64);
            eprintln!(
                "{:<10} {:<11} {:>8.0}/s  {:>6.2} + {:>5.2} CPU s per million; {} sent, {} answered, {} NXDOMAIN, {} odd, {} lost, {} late",
                server.kind,
                at.title,
                outcome.per_second,
                cpu.user_s,
                cpu.system_s,
                outcome.sent,
                outcome.answered,
                outcome.nxdomain,
                outcome.odd,
                outcome.lost,
                outcome.late
            );
        }
        if let Some(edits) = edits {
            let per_second = edits.finish()?;
            samples.add("edits", server.kind, per_second);
            eprintln!("{:<10} {per_second:.0} edits/s", server.kind);
        }
        Ok(())
    }
}

/// Waits until a server has done what it does after its start.
pub(crate) fn rest(server: &Server) -> io::Result<()> {
    let deadline = Instant::now() + REST_PATIENCE;
    while Instant::now() < deadline {
        let before = server.group.cpu()?;
        std::thread::sleep(REST_INTERVAL);
        if (server.group.cpu()? - before).total_s() < REST_CPU_S {
            break;
        }
    }
    Ok(())
}
