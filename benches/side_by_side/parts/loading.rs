//! The parts about starting: from a master file, from what is kept, and the memory that a zone takes; and what one edit of
//! a large zone takes.

use std::fs;
use std::io::{self, Write};
use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::Options;
use crate::answers::rest;
use crate::editor::Target;
use crate::report::{Bound, Report, cell, spread};
use crate::samples::{Samples, Spread};
use crate::servers::{Kind, Server, Setup};
use crate::zones::{Model, address_query};

const KINDS: [Kind; 4] = [Kind::Grapevine, Kind::Nsd, Kind::Knot, Kind::Bind];
const PATIENCE: Duration = Duration::from_secs(300);
/// How many single edits are timed.
const EDITS: u32 = 50;
/// How many saves of the whole file are timed.
const SAVES: u32 = 5;

const COLD: &str = "from the master file to the first answer, s";
const MEMORY: &str = "memory (PSS), MB";
const RESTART: &str = "from what is kept to the first answer, s";
const MEMORY_AGAIN: &str = "memory after the restart (PSS), MB";

/// A large zone: time and memory.
pub(crate) fn load(options: &Options) -> io::Result<()> {
    let model = Model { zones: 1, names: options.large };
    let samples = start_all(options, model, options.rounds)?;
    let mut report = Report::new("load", &format!("Loading {} names on one core", options.large));
    report.say(
        "The file is in the page cache. NSD, Knot and BIND keep nothing but the file and load it again at a restart; \
         Grapevine answers from the file while it makes the zone durable, and restarts from its store. Memory is that after \
         all is written.",
    );
    table(&mut report, &samples, 2);
    for (peer, bound) in [(Kind::Nsd, 1.0), (Kind::Knot, 0.7)] {
        report.ratio_goal("cold load", &samples, COLD, peer, Bound::AtMost(bound));
        report.ratio_goal("restart", &samples, RESTART, peer, Bound::AtMost(bound));
        report.ratio_goal("memory", &samples, MEMORY, peer, Bound::AtMost(0.5));
    }
    if let Some(ratio) = samples.spread("restart to cold", Kind::Grapevine) {
        let bound = Bound::AtMost(1.0);
        report.goal("restart, to the cold load", &bound.to_string(), &spread(ratio, 2), bound.holds(ratio.median));
    }
    report.finish(options.into.as_deref())
}

/// A small zone: time to the first answer.
pub(crate) fn start(options: &Options) -> io::Result<()> {
    let samples = start_all(options, Model { zones: 1, names: 1000 }, options.rounds * 2)?;
    let mut report = Report::new("start", "Start with 1,000 names");
    table(&mut report, &samples, 3);
    for (what, key) in [("first answer after exec, s", COLD), ("the same from the store, s", RESTART)] {
        if let Some(took) = samples.spread(key, Kind::Grapevine) {
            let bound = Bound::AtMost(0.1);
            report.goal(what, &bound.to_string(), &spread(took, 3), bound.holds(took.median));
        }
    }
    report.finish(options.into.as_deref())
}

fn table(report: &mut Report, samples: &Samples, digits: usize) {
    let row = |kind: Kind| {
        let cells = [COLD, RESTART].map(|key| cell(samples.spread(key, kind), digits));
        let memory = [MEMORY, MEMORY_AGAIN].map(|key| cell(samples.spread(key, kind), 0));
        [kind.to_string()].into_iter().chain(cells).chain(memory).collect()
    };
    report.table(&["server", COLD, RESTART, MEMORY, MEMORY_AGAIN], &KINDS.map(row));
}

/// Starts every server empty, and again with what it kept, so many times.
fn start_all(options: &Options, model: Model, rounds: u32) -> io::Result<Samples> {
    let scratch = tempfile::Builder::new().prefix("grapevine-bench-").tempdir()?;
    let files = model.write(&scratch.path().join("zones"))?;
    let mut samples = Samples::default();
    for round in 0..rounds as usize {
        for turn in 0..KINDS.len() {
            let kind = KINDS[(turn + round) % KINDS.len()];
            let directory = scratch.path().join(format!("{kind}{round}"));
            let setup = Setup::of_files(kind, directory.clone(), options.port + turn as u16, &files);
            let mut took = [0.0; 2];
            for (time, (seconds, memory)) in [(COLD, MEMORY), (RESTART, MEMORY_AGAIN)].into_iter().enumerate() {
                let mut server = setup.start()?;
                let Some(first) = server.await_answer(&model.last_query(), PATIENCE)? else {
                    eprintln!("{kind} does not answer in {PATIENCE:?}:\n{}", server.log());
                    continue;
                };
                rest(&server)?;
                took[time] = first.as_secs_f64();
                let held = server.group.pss_mb()?;
                eprintln!(
                    "{kind:<10} {seconds}: {:.3}; {memory}: {held:.0}; peak {:.0}",
                    took[time],
                    server.group.peak_mb()?
                );
                samples.add(seconds, kind, took[time]);
                samples.add(memory, kind, held);
            }
            samples.add("restart to cold", kind, took[1] / took[0]);
            fs::remove_dir_all(directory)?;
        }
    }
    Ok(samples)
}

/// One changed record in a large zone, by `record` and by a save of the file.
pub(crate) fn large_edits(options: &Options) -> io::Result<()> {
    let model = Model { zones: 1, names: options.large };
    let origin = model.origin(0);
    let scratch = tempfile::Builder::new().prefix("grapevine-bench-").tempdir()?;
    let files = model.write(&scratch.path().join("zones"))?;
    let mut setup = Setup::of_files(Kind::Grapevine, scratch.path().join("node"), options.port, &files);
    setup.is_pinned = false;
    let mut server = setup.start()?;
    if server.await_answer(&model.last_query(), PATIENCE)?.is_none() {
        return Err(io::Error::other(format!("no answer: {}", server.log())));
    }
    rest(&server)?;
    let watch = Watch::start(&server, model.last_query())?;
    let direct = time_records(&server, &origin)?;
    let pause_direct = watch.longest()?;
    // The write-back of these edits to the file belongs to them, not to the saves.
    rest(&server)?;
    let file = server.directory().join(format!("zones/{origin}.zone"));
    let read = time_read(&file)?;
    let watch = Watch::start(&server, model.last_query())?;
    let saved = time_saves(&server, &file, &origin)?;
    let pause_saved = watch.longest()?;
    let mut report = Report::new("large-edits", &format!("One edit in a zone of {} names", options.large));
    report.say("From before the edit until the node answers it. The longest pause is the slowest answer to one query a millisecond.");
    let row =
        |what: &str, took: Option<Spread>, pause: f64| vec![what.to_owned(), cell(took, 1), format!("{pause:.1}")];
    let rows = [row("record replace", direct, pause_direct), row("save of the file", saved, pause_saved)];
    report.table(&["edit", "answered after, ms", "longest pause, ms"], &rows);
    report.say(&format!("To read the file into fresh memory takes {read:.0} ms, the least of {SAVES} times."));
    if let Some(took) = direct {
        report.goal("a record edit is answered, ms", "≤ 10", &spread(took, 1), took.median <= 10.0);
    }
    if let Some(took) = saved {
        let beyond = took.median - read;
        report.goal("a save is answered, ms beyond reading the file", "≤ 50", &format!("{beyond:.0}"), beyond <= 50.0);
    }
    report.finish(options.into.as_deref())
}

fn time_records(server: &Server, origin: &str) -> io::Result<Option<Spread>> {
    let target = Target::of(server).ok_or_else(|| io::Error::other("nothing to edit by"))?;
    let mut connection = target.connect()?;
    let mut took = Vec::new();
    for edit in 0..EDITS {
        let began = Instant::now();
        let address = Ipv4Addr::new(10, 200, 0, edit as u8);
        connection.replace(origin, "direct", address)?;
        await_address(server, &format!("direct.{origin}"), address)?;
        took.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(Spread::of(took))
}

/// The least time that it takes to read a file into memory of its own, in milliseconds.
fn time_read(file: &Path) -> io::Result<f64> {
    let mut least = f64::INFINITY;
    for _ in 0..SAVES {
        let began = Instant::now();
        let length = fs::read(file)?.len();
        least = least.min(began.elapsed().as_secs_f64() * 1000.0);
        assert!(length > 0, "the zone file has content");
    }
    Ok(least)
}

fn time_saves(server: &Server, file: &Path, origin: &str) -> io::Result<Option<Spread>> {
    let mut took = Vec::new();
    for save in 0..SAVES {
        // What the node wrote back since belongs to the next save.
        rest(server)?;
        let address = Ipv4Addr::new(10, 201, 0, save as u8);
        let draft = file.with_extension("draft");
        fs::copy(file, &draft)?;
        writeln!(fs::File::options().append(true).open(&draft)?, "saved{save}.{origin}. 60 IN A {address}")?;
        let began = Instant::now();
        fs::rename(&draft, file)?;
        await_address(server, &format!("saved{save}.{origin}"), address)?;
        took.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(Spread::of(took))
}

fn await_address(server: &Server, name: &str, address: Ipv4Addr) -> io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect(server.address)?;
    socket.set_read_timeout(Some(Duration::from_millis(100)))?;
    let (query, deadline) = (address_query(name), Instant::now() + PATIENCE);
    let mut buffer = [0; 4096];
    while Instant::now() < deadline {
        socket.send(&query)?;
        if let Ok(length) = socket.recv(&mut buffer)
            && buffer[..length].windows(4).any(|bytes| bytes == address.octets())
        {
            return Ok(());
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    Err(io::Error::other(format!("{name} was not answered in {PATIENCE:?}")))
}

/// Asks one query a millisecond and remembers the slowest answer.
struct Watch {
    stop: std::sync::Arc<AtomicBool>,
    thread: std::thread::JoinHandle<io::Result<Duration>>,
}

impl Watch {
    fn start(server: &Server, query: Vec<u8>) -> io::Result<Watch> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(server.address)?;
        socket.set_read_timeout(Some(Duration::from_secs(10)))?;
        let stop = std::sync::Arc::new(AtomicBool::new(false));
        let told = std::sync::Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let (mut longest, mut buffer) = (Duration::ZERO, [0; 4096]);
            while !told.load(Ordering::Relaxed) {
                let began = Instant::now();
                socket.send(&query)?;
                socket.recv(&mut buffer)?;
                longest = longest.max(began.elapsed());
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok(longest)
        });
        Ok(Watch { stop, thread })
    }

    /// Milliseconds.
    fn longest(self) -> io::Result<f64> {
        self.stop.store(true, Ordering::Relaxed);
        let longest = self.thread.join().map_err(|_| io::Error::other("the watch panicked"))??;
        Ok(longest.as_secs_f64() * 1000.0)
    }
}
