//! The part about TCP: connections that stay open and carry many queries at once.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::Options;
use crate::answers::rest;
use crate::report::{Bound, Report, cell};
use crate::samples::Samples;
use crate::servers::{Kind, Setup};
use crate::zones::{Model, Queries};

const KINDS: [Kind; 4] = [Kind::Grapevine, Kind::Nsd, Kind::Knot, Kind::Bind];
const MODEL: Model = Model { zones: 1, names: 1000 };
const QUERIES: usize = 1 << 16;
const CONNECTIONS: usize = 8;
/// Queries on the way on each connection.
const WINDOW: usize = 32;
const PATIENCE: Duration = Duration::from_secs(60);
/// A connection on which nothing comes for so long ends the run.
const SILENCE: Duration = Duration::from_secs(2);

const RATE: &str = "answers/s";
const CPU: &str = "CPU s per million";
const PER_CPU: &str = "answers per CPU second";

/// Kept-open pipelined connections.
pub(crate) fn tcp(options: &Options) -> io::Result<()> {
    let scratch = tempfile::Builder::new().prefix("grapevine-bench-").tempdir()?;
    let files = MODEL.write(&scratch.path().join("zones"))?;
    let queries = MODEL.queries(QUERIES, false);
    let mut samples = Samples::default();
    let mut servers = Vec::new();
    for (number, kind) in KINDS.into_iter().enumerate() {
        let directory = scratch.path().join(kind.to_string());
        let mut server = Setup::of_files(kind, directory, options.port + number as u16, &files).start()?;
        if server.await_answer(&MODEL.last_query(), PATIENCE)?.is_none() {
            eprintln!("{kind} does not answer:\n{}", server.log());
            continue;
        }
        rest(&server)?;
        server.pause();
        servers.push(server);
    }
    for round in 0..options.rounds as usize {
        for turn in 0..servers.len() {
            let server = &servers[(turn + round) % servers.len()];
            server.resume();
            run(server.address, &queries, Duration::from_millis(200))?;
            let before = server.group.cpu()?;
            let (answered, per_second) = run(server.address, &queries, options.time())?;
            let took = (server.group.cpu()? - before).per_million(answered);
            server.pause();
            eprintln!("{:<10} {per_second:>8.0}/s {:.2} + {:.2}", server.kind, took.user_s, took.system_s);
            samples.add(RATE, server.kind, per_second);
            samples.add(CPU, server.kind, took.total_s());
            samples.add(PER_CPU, server.kind, 1e6 / took.total_s());
        }
    }
    let mut report = Report::new("tcp", "TCP, connections kept open");
    report.say(&format!("{CONNECTIONS} connections with {WINDOW} queries on the way on each, 1,000 names."));
    let row = |kind| vec![format!("{kind}"), cell(samples.spread(RATE, kind), 0), cell(samples.spread(CPU, kind), 2)];
    report.table(&["server", RATE, CPU], &KINDS.map(row));
    for peer in [Kind::Knot, Kind::Nsd] {
        report.ratio_goal(PER_CPU, &samples, PER_CPU, peer, Bound::AtLeast(1.0));
    }
    report.finish(options.into.as_deref())
}

/// One connection: what came and is not yet a whole message, and what is still to be written.
struct Lane {
    stream: TcpStream,
    input: Vec<u8>,
    output: Vec<u8>,
}

/// Keeps all connections busy for so long; returns how many answers came, and how many a second.
fn run(server: SocketAddr, queries: &Queries, time: Duration) -> io::Result<(u64, f64)> {
    let mut next = 0;
    let mut lanes = Vec::new();
    for _ in 0..CONNECTIONS {
        let stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut lane = Lane { stream, input: Vec::new(), output: Vec::new() };
        (0..WINDOW).for_each(|_| lane.ask(queries, &mut next));
        lanes.push(lane);
    }
    let began = Instant::now();
    let mut last_answer = began;
    let mut answered = 0;
    while began.elapsed() < time {
        for lane in &mut lanes {
            lane.flush()?;
            let count = lane.take()?;
            (0..count).for_each(|_| lane.ask(queries, &mut next));
            answered += count;
            if count > 0 {
                last_answer = Instant::now();
            }
        }
        if last_answer.elapsed() > SILENCE {
            return Err(io::Error::other("no answers over TCP"));
        }
    }
    Ok((answered, answered as f64 / began.elapsed().as_secs_f64()))
}

impl Lane {
    fn ask(&mut self, queries: &Queries, next: &mut usize) {
        let query = queries.get(*next);
        *next += 1;
        self.output.extend_from_slice(&(query.len() as u16).to_be_bytes());
        self.output.extend_from_slice(query);
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.output.is_empty() {
            return Ok(());
        }
        match self.stream.write(&self.output) {
            Ok(written) => {
                self.output.drain(..written);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Takes the whole answers that are there.
    fn take(&mut self) -> io::Result<u64> {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(length) => self.input.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(0),
            Err(error) => return Err(error),
        }
        let (mut at, mut count) = (0, 0);
        while let Some((length, rest)) = self.input[at..].split_first_chunk::<2>() {
            let length = usize::from(u16::from_be_bytes(*length));
            if rest.len() < length {
                break;
            }
            at += 2 + length;
            count += 1;
        }
        self.input.drain(..at);
        Ok(count)
    }
}
