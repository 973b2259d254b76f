//! The load generator: as many queries as the server takes, or so many a second, over UDP.
//!
//! One thread, several sockets, whole batches through the system calls that Grapevine's own loop makes. To saturate a
//! server each socket keeps a fixed number of queries on the way and asks the next when an answer comes; one that is not
//! answered in time counts as lost and makes room for another. At a fixed rate each query has its moment, whether or not
//! answers come. What counts as an answer is a response with the id of a query on the way and NOERROR or NXDOMAIN.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::sys::{self, Batch, Wait};
use crate::zones::Queries;

const SOCKETS: usize = 8;
/// Queries on the way from each socket at saturation. All together have room in the smallest socket buffer.
const WINDOW: usize = 32;
/// A query that was not answered in this time is lost.
const LOST_AFTER: Duration = Duration::from_millis(300);
/// How long answers are waited for in the end.
const DRAIN: Duration = Duration::from_millis(100);
/// A query that leaves later than this after its moment counts as late.
const LATE: Duration = Duration::from_millis(1);
const BUFFER_BYTES: usize = 4 << 20;

/// How queries follow each other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Pace {
    /// As fast as answers come.
    Saturate,
    /// So many a second.
    Rate(u32),
}

/// What came of one run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outcome {
    /// Queries sent.
    pub(crate) sent: u64,
    /// Of these answered, NXDOMAIN included.
    pub(crate) answered: u64,
    /// Of the answers NXDOMAIN.
    pub(crate) nxdomain: u64,
    /// Responses that were no answers: SERVFAIL, REFUSED, of an unknown id.
    pub(crate) odd: u64,
    /// Queries that were not answered in time.
    pub(crate) lost: u64,
    /// Queries that left late, at a fixed rate.
    pub(crate) late: u64,
    /// Bytes of all answers.
    pub(crate) bytes: u64,
    /// Answers a second while queries were sent.
    pub(crate) per_second: f64,
}

/// Sends queries to `server` for so long, beginning with the query at `first`.
pub(crate) fn run(
    server: SocketAddr,
    queries: &Queries,
    first: usize,
    pace: Pace,
    time: Duration,
) -> io::Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut lanes = (0..SOCKETS).map(|_| Lane::open(server)).collect::<io::Result<Vec<_>>>()?;
    let began = Instant::now();
    let mut next = Next { queries, at: first };
    match pace {
        Pace::Saturate => saturate(&mut lanes, &mut next, began + time, &mut outcome)?,
        Pace::Rate(rate) => keep_rate(&mut lanes, &mut next, began, time, rate, &mut outcome)?,
    }
    outcome.per_second = outcome.answered as f64 / began.elapsed().as_secs_f64();
    let end = Instant::now() + DRAIN;
    while outcome.sent > outcome.answered + outcome.lost && Instant::now() < end {
        for lane in &mut lanes {
            lane.receive(&mut outcome)?;
        }
    }
    outcome.lost = outcome.sent - outcome.answered.min(outcome.sent);
    Ok(outcome)
}

/// The queries in turn.
struct Next<'a> {
    queries: &'a Queries,
    at: usize,
}

impl Next<'_> {
    fn write(&mut self, id: u16, into: &mut Vec<u8>) {
        into.clear();
        into.extend_from_slice(self.queries.get(self.at));
        into[..2].copy_from_slice(&id.to_be_bytes());
        self.at += 1;
    }
}

/// One socket and its queries on the way.
struct Lane {
    socket: UdpSocket,
    batch: Batch,
    slots: [Slot; WINDOW],
    /// Answers taken at a fixed rate are only counted, whatever slot they belong to.
    scratch: Vec<u8>,
}

/// A place for a query on the way: its number is the low part of the id, and how often it was used the high part.
#[derive(Clone, Copy)]
struct Slot {
    id: u16,
    sent: Instant,
    is_waiting: bool,
}

impl Slot {
    fn next(&mut self, now: Instant) -> u16 {
        self.id = self.id.wrapping_add(WINDOW as u16);
        self.sent = now;
        self.is_waiting = true;
        self.id
    }
}

impl Lane {
    fn open(server: SocketAddr) -> io::Result<Lane> {
        let socket = UdpSocket::bind((if server.is_ipv4() { "0.0.0.0" } else { "::" }, 0))?;
        socket.connect(server)?;
        sys::set_buffers(&socket, BUFFER_BYTES);
        let now = Instant::now();
        let slots = std::array::from_fn(|i| Slot { id: i as u16, sent: now, is_waiting: false });
        Ok(Lane { socket, batch: Batch::new(false), slots, scratch: Vec::new() })
    }

    /// Sends one query outside a batch.
    fn send(&mut self, id: u16, next: &mut Next<'_>, outcome: &mut Outcome) {
        next.write(id, &mut self.scratch);
        outcome.sent += 1;
        // What the kernel refuses is not answered and counts as lost.
        let _ = self.socket.send(&self.scratch);
    }

    /// Fills places that are empty, or whose query was lost.
    fn fill(&mut self, now: Instant, next: &mut Next<'_>, outcome: &mut Outcome) {
        for i in 0..WINDOW {
            let slot = &mut self.slots[i];
            if slot.is_waiting && now < slot.sent + LOST_AFTER {
                continue;
            }
            outcome.lost += u64::from(slot.is_waiting);
            let id = slot.next(now);
            self.send(id, next, outcome);
        }
    }

    /// Takes the answers that are there, and asks a new query for each.
    fn turn(&mut self, now: Instant, next: &mut Next<'_>, outcome: &mut Outcome) -> io::Result<bool> {
        let Lane { socket, batch, slots, .. } = self;
        if batch.receive(&*socket, Wait::No)? == 0 {
            return Ok(false);
        }
        let sent = batch.reply(
            &*socket,
            &mut (),
            |(), _| (),
            |(), datagram, (), query| {
                let Some(id) = id_of(datagram.bytes) else { return false };
                let slot = &mut slots[usize::from(id) % WINDOW];
                if slot.id != id || !slot.is_waiting {
                    outcome.odd += 1;
                    return false;
                }
                count(datagram.bytes, outcome);
                next.write(slot.next(now), query);
                true
            },
        );
        outcome.sent += (sent.sent + sent.failed) as u64;
        Ok(true)
    }

    /// Takes the answers that are there.
    fn receive(&mut self, outcome: &mut Outcome) -> io::Result<()> {
        if self.batch.receive(&self.socket, Wait::No)? > 0 {
            self.batch.reply(
                &self.socket,
                &mut (),
                |(), _| (),
                |(), datagram, (), _| {
                    count(datagram.bytes, outcome);
                    false
                },
            );
        }
        Ok(())
    }
}

fn saturate(lanes: &mut [Lane], next: &mut Next<'_>, end: Instant, outcome: &mut Outcome) -> io::Result<()> {
    let mut now = Instant::now();
    let mut look_for_lost = now;
    while now < end {
        if now >= look_for_lost {
            lanes.iter_mut().for_each(|lane| lane.fill(now, next, outcome));
            look_for_lost = now + LOST_AFTER / 4;
        }
        for lane in lanes.iter_mut() {
            lane.turn(now, next, outcome)?;
        }
        now = Instant::now();
    }
    Ok(())
}

fn keep_rate(
    lanes: &mut [Lane],
    next: &mut Next<'_>,
    began: Instant,
    time: Duration,
    rate: u32,
    outcome: &mut Outcome,
) -> io::Result<()> {
    let all = (time.as_secs_f64() * f64::from(rate)) as u64;
    for sent in 0..all {
        let moment = began + Duration::from_secs_f64(sent as f64 / f64::from(rate));
        let lane = &mut lanes[sent as usize % SOCKETS];
        lane.receive(outcome)?;
        let mut now = Instant::now();
        outcome.late += u64::from(now > moment + LATE);
        while now < moment {
            std::hint::spin_loop();
            now = Instant::now();
        }
        lane.send(sent as u16, next, outcome);
    }
    Ok(())
}

/// The id of a response; `None` for what is none.
fn id_of(message: &[u8]) -> Option<u16> {
    let (id, rest) = message.split_first_chunk::<2>()?;
    (rest.len() >= 10 && rest[0] & 0x80 != 0).then_some(u16::from_be_bytes(*id))
}

fn count(message: &[u8], outcome: &mut Outcome) {
    outcome.bytes += message.len() as u64;
    match message.get(3).map(|flags| flags & 0x0f) {
        Some(0) => outcome.answered += 1,
        Some(3) => {
            outcome.answered += 1;
            outcome.nxdomain += 1;
        }
        _ => outcome.odd += 1,
    }
}
