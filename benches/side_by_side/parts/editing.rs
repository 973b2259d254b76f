//! The parts about several servers: how soon an edit is everywhere, and how soon a new server has a large zone.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::Options;
use crate::answers::rest;
use crate::editor::{Stream, Target};
use crate::report::{Bound, Report, cell};
use crate::samples::{Samples, Spread};
use crate::servers::{Kind, Server, Setup, Source, gossip_address};
use crate::zones::{Model, Numbers, address_query};

const SERVERS: u16 = 5;
const MODEL: Model = Model { zones: 1, names: 1000 };
const PATIENCE: Duration = Duration::from_secs(60);
/// An edit that is not everywhere by then is an error.
const EDIT_PATIENCE: Duration = Duration::from_secs(30);
/// How often servers are asked for an edit, and how long for an answer.
const ASK_EVERY: Duration = Duration::from_micros(500);
/// How many edits of each server are timed in a round.
const EDITS: usize = 100;
/// NSD takes a second or so for each.
const SLOW_EDITS: usize = 10;
const SUSTAINED: u32 = 1000;

/// How long an edit takes until five servers answer it.
pub(crate) fn propagation(options: &Options) -> io::Result<()> {
    let mut report = Report::new("propagation", "An edit on five servers");
    report.say(
        "From before the edit until the last of five servers answers it, 1,000 names, nothing pinned. Grapevine: `record replace` \
         on a node chosen by chance. Knot: UPDATE to the primary, NOTIFY and IXFR to four secondaries. NSD: the primary's file \
         is saved and SIGHUP sent, NOTIFY and IXFR to four secondaries.",
    );
    let mut rows = Vec::new();
    let mut own: Option<(f64, f64)> = None;
    for kind in [Kind::Grapevine, Kind::Knot, Kind::Nsd] {
        let scratch = tempfile::Builder::new().prefix("grapevine-bench-").tempdir()?;
        let cluster = Cluster::start(kind, options.port, scratch.path())?;
        let count = if kind == Kind::Nsd { SLOW_EDITS } else { EDITS } * options.rounds as usize;
        let took = cluster.time_edits(count)?;
        let (spread, p99) = (Spread::of(took.clone()), percentile(took, 99));
        rows.push(vec![kind.to_string(), count.to_string(), cell(spread, 1), format!("{p99:.1}")]);
        eprintln!("{kind:<10} {} ms, p99 {p99:.1} ms", cell(spread, 1));
        if kind == Kind::Grapevine {
            own = spread.map(|spread| (spread.median, p99));
            let (acknowledged, settled) = cluster.sustain(options.time() * 3)?;
            let measured =
                format!("{acknowledged:.0}, all on five nodes {:.0} ms after the last", settled.as_secs_f64() * 1000.0);
            report.goal(
                "edits a second on five nodes",
                "≥ 1000",
                &measured,
                acknowledged >= 0.99 * f64::from(SUSTAINED),
            );
        }
    }
    report.table(&["servers", "edits", "answered by all after, ms", "99th percentile, ms"], &rows);
    if let Some((median, p99)) = own {
        report.goal("an edit is on five nodes, median, ms", "< 20", &format!("{median:.1}"), median < 20.0);
        report.goal("the same, 99th percentile, ms", "< 100", &format!("{p99:.1}"), p99 < 100.0);
    }
    report.finish(options.into.as_deref())
}

/// Servers that have the same zone.
struct Cluster {
    servers: Vec<Server>,
    /// The file of a primary.
    file: PathBuf,
}

impl Cluster {
    fn start(kind: Kind, port: u16, scratch: &Path) -> io::Result<Cluster> {
        let origin = MODEL.origin(0);
        let files = MODEL.write(&scratch.join("zones"))?;
        let addresses: Vec<SocketAddr> = (0..SERVERS).map(|i| (Ipv4Addr::LOCALHOST, port + i).into()).collect();
        let mut servers = Vec::new();
        for (number, address) in addresses.iter().enumerate() {
            let (is_first, directory) = (number == 0, scratch.join(number.to_string()));
            let mut setup = Setup::of_files(kind, directory, address.port(), &files);
            setup.is_pinned = false;
            match kind {
                Kind::Grapevine if !is_first => {
                    (setup.source, setup.join) = (Source::Files(&[]), Some(gossip_address(port)));
                }
                Kind::Grapevine => {}
                _ if is_first => setup.notify = &addresses[1..],
                _ => setup.source = Source::Primary(addresses[0], &origin),
            }
            let mut server = setup.start()?;
            if server.await_answer(&MODEL.last_query(), PATIENCE)?.is_none() {
                return Err(io::Error::other(format!("{kind} {number} does not answer:\n{}", server.log())));
            }
            servers.push(server);
        }
        servers.iter().try_for_each(rest)?;
        Ok(Cluster { servers, file: files[0].1.clone() })
    }

    /// Milliseconds until each of so many edits was everywhere.
    fn time_edits(&self, count: usize) -> io::Result<Vec<f64>> {
        let (origin, mut numbers) = (MODEL.origin(0), Numbers(1));
        let mut took = Vec::new();
        for edit in 0..count {
            let address = Ipv4Addr::new(10, 202, (edit >> 8) as u8, edit as u8);
            let (label, began) = (format!("spread{}", edit % 10), Instant::now());
            let first = &self.servers[0];
            match first.kind {
                Kind::Nsd => self.save(edit as u32 + 2, &label, address)?,
                Kind::Grapevine => {
                    let server = &self.servers[numbers.below(u32::from(SERVERS)) as usize];
                    edit_once(server, &origin, &label, address)?;
                }
                _ => edit_once(first, &origin, &label, address)?,
            }
            self.await_everywhere(&format!("{label}.{origin}"), address, began)?;
            took.push(began.elapsed().as_secs_f64() * 1000.0);
        }
        Ok(took)
    }

    /// Writes a primary's file with one more record, and has it read again.
    fn save(&self, serial: u32, label: &str, address: Ipv4Addr) -> io::Result<()> {
        let text = std::fs::read_to_string(&self.file)?;
        let from = text.split_once("hostmaster ").and_then(|(_, rest)| rest.split_once(' ')).map(|(serial, _)| serial);
        let old = format!("hostmaster {} ", from.unwrap_or_default());
        let kept = text.lines().filter(|line| !line.starts_with(&format!("{label} ")));
        let mut new = kept.collect::<Vec<_>>().join("\n").replacen(&old, &format!("hostmaster {serial} "), 1);
        new.push_str(&format!("\n{label} 60 IN A {address}\n"));
        let draft = self.file.with_extension("draft");
        std::fs::File::create(&draft)?.write_all(new.as_bytes())?;
        std::fs::rename(draft, &self.file)?;
        Command::new("kill").args(["-HUP", &self.servers[0].group.0.to_string()]).status()?;
        Ok(())
    }

    fn await_everywhere(&self, name: &str, address: Ipv4Addr, began: Instant) -> io::Result<()> {
        let query = address_query(name);
        let mut waiting = Vec::new();
        for server in &self.servers {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            socket.connect(server.address)?;
            socket.set_read_timeout(Some(Duration::from_millis(20)))?;
            waiting.push(socket);
        }
        let mut buffer = [0; 4096];
        while !waiting.is_empty() {
            if began.elapsed() > EDIT_PATIENCE {
                return Err(io::Error::other(format!("{name} is not on all servers after {EDIT_PATIENCE:?}")));
            }
            let mut is_missing = |socket: &UdpSocket| -> io::Result<bool> {
                socket.send(&query)?;
                let Ok(length) = socket.recv(&mut buffer) else { return Ok(true) };
                Ok(!buffer[..length].windows(4).any(|bytes| bytes == address.octets()))
            };
            let mut still = Vec::new();
            for socket in waiting {
                if is_missing(&socket)? {
                    still.push(socket);
                }
            }
            waiting = still;
            if !waiting.is_empty() {
                std::thread::sleep(ASK_EVERY);
            }
        }
        Ok(())
    }

    /// Edits on all nodes for so long, and then waits until a last edit of each is everywhere. Returns edits a second, and
    /// how long the last took.
    fn sustain(&self, time: Duration) -> io::Result<(f64, Duration)> {
        let origin = MODEL.origin(0);
        let targets: Vec<Target> = self.servers.iter().filter_map(Target::of).collect();
        let stream = Stream::start(&targets, &origin, SUSTAINED, 4 * u32::from(SERVERS))?;
        std::thread::sleep(time);
        let per_second = stream.finish()?;
        let began = Instant::now();
        for (number, server) in self.servers.iter().enumerate() {
            edit_once(server, &origin, &format!("last{number}"), Ipv4Addr::new(10, 203, 0, number as u8))?;
        }
        for number in 0..self.servers.len() {
            let address = Ipv4Addr::new(10, 203, 0, number as u8);
            self.await_everywhere(&format!("last{number}.{origin}"), address, began)?;
        }
        Ok((per_second, began.elapsed()))
    }
}

fn edit_once(server: &Server, origin: &str, label: &str, address: Ipv4Addr) -> io::Result<()> {
    let target = Target::of(server).ok_or_else(|| io::Error::other("this server takes no edits of single records"))?;
    target.connect()?.replace(origin, label, address)
}

/// The value below which so many per cent lie.
fn percentile(mut values: Vec<f64>, percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = (values.len() * percent).div_ceil(100).saturating_sub(1);
    values.get(at).copied().unwrap_or(f64::NAN)
}

/// How soon an empty server has a large zone: `scripts/transfer`, so many times.
pub(crate) fn bootstrap(options: &Options) -> io::Result<()> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/transfer");
    let mut samples = Samples::default();
    for _ in 0..options.rounds.min(3) {
        let mut command = Command::new(&script);
        command.arg(options.large.to_string()).env("GRAPEVINE_BIN", crate::servers::grapevine_path());
        let output = command.output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            return Err(io::Error::other(format!("{text}{}", String::from_utf8_lossy(&output.stderr))));
        }
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let kind = match words.first() {
                Some(&"Knot") => Kind::Knot,
                Some(&"Grapevine") => Kind::Grapevine,
                _ => continue,
            };
            for (key, column) in [(SECONDS, 1), (BYTES, 2), (TAKER, 5)] {
                let value = words.get(column).and_then(|word| word.parse().ok());
                samples.add(key, kind, value.ok_or_else(|| io::Error::other(line.to_owned()))?);
            }
            eprintln!("{line}");
        }
    }
    let mut report = Report::new("bootstrap", &format!("A new server gets {} records", options.large));
    report.say(
        "From its start until it answers from the whole zone, between two network namespaces (`scripts/transfer`).",
    );
    let row = |kind: Kind| {
        let cell = |key, digits| cell(samples.spread(key, kind), digits);
        vec![kind.to_string(), cell(SECONDS, 2), cell(BYTES, 0), cell(TAKER, 0)]
    };
    report.table(&["servers", SECONDS, BYTES, TAKER], &[row(Kind::Grapevine), row(Kind::Knot)]);
    report.ratio_goal("seconds", &samples, SECONDS, Kind::Knot, Bound::AtMost(1.0));
    report.finish(options.into.as_deref())
}

const SECONDS: &str = "seconds";
const BYTES: &str = "bytes on the wire";
const TAKER: &str = "peak memory of the taker, MB";
