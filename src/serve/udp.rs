//! DNS over UDP: threads that receive, answer and send whole batches.
//!
//! One thread and one SO_REUSEPORT socket per core and address. A thread blocks in recvmmsg until one query is there and
//! takes what else has arrived with it, so batches form by themselves under load and an idle server answers at once.
//! Nothing is allocated and no lock is taken per query; the snapshot is loaded once per batch, if what was kept of earlier
//! responses does not do, and counters are added once.
//!
//! Batch size: what a datagram costs in system calls falls until eight or so are taken at once and stays there up to 128
//! (`scripts/bench calls`; `docs/performance.md` has the figures). 32 leaves room for a burst and keeps the buffers small. A
//! lone datagram costs a sixth less in calls that neither look for a second nor take an array, so after one that came
//! alone the next few are received one by one. A blocking receive is the cheapest way to wait: poll or epoll before it
//! is a call more for each wake-up. Under load, where it saves anything, a worker pauses between batches
//! ([`super::moderation`]), when idle never.
//!
//! Shutting a socket down for reading wakes its thread, which then answers what the kernel has queued and closes. The
//! kernel goes on to assign queries to a socket until it is closed; those that come between the last look and the close,
//! some microseconds, are lost. With `kill -9` all that was queued in the dead process's sockets is lost, nothing more:
//! the kernel takes the sockets out of a shared address at once, and clients ask again.

use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use socket2::Socket;
use tokio::sync::mpsc;

use super::ServeError;
use super::moderation::Moderation;
use super::packet_cache::{Made, PacketCache, Place};
use super::precedence::Precedence;
use super::responder::{Client, Moment, Responder};
use super::sys::{self, BATCH, Batch, Datagram, Wait};
use crate::answer::{Limited, Outcome, Transport};

/// How many batches a worker answers after it was told to stop: twice what a socket's buffer holds.
const MAX_DRAIN_BATCHES: usize = 4096 / BATCH;

/// The threads of all UDP sockets. Dropping it stops and joins them.
pub(super) struct UdpWorkers {
    stop: Arc<AtomicBool>,
    /// To wake the threads with; weak, so that a socket closes when its thread has drained it.
    sockets: Vec<Weak<Socket>>,
    threads: Vec<JoinHandle<()>>,
    ended: mpsc::UnboundedReceiver<Result<(), ServeError>>,
}

impl UdpWorkers {
    /// Starts a thread for each socket.
    pub(super) fn start(
        sockets: Vec<(SocketAddr, Socket)>,
        responder: &Arc<Responder>,
        precedence: &Arc<Precedence>,
    ) -> Result<UdpWorkers, ServeError> {
        let (report, ended) = mpsc::unbounded_channel();
        let stop = Arc::new(AtomicBool::new(false));
        let mut workers = UdpWorkers { stop, sockets: Vec::new(), threads: Vec::new(), ended };
        for (address, socket) in sockets {
            let socket = Arc::new(socket);
            workers.sockets.push(Arc::downgrade(&socket));
            let (responder, precedence) = (Arc::clone(responder), Arc::clone(precedence));
            let worker = Worker { address, socket, responder, precedence, stop: Arc::clone(&workers.stop) };
            let report = report.clone();
            let run = move || {
                let result = catch_unwind(AssertUnwindSafe(|| worker.run()));
                let result = result.unwrap_or_else(|_| Err(io::Error::other("the thread panicked")));
                // Without a receiver nobody waits for the thread any more.
                let _ = report.send(result.map_err(|source| ServeError::Udp { address, source }));
            };
            let thread = std::thread::Builder::new().name("dns-udp".into()).spawn(run);
            workers.threads.push(thread.map_err(|source| ServeError::Udp { address, source })?);
        }
        Ok(workers)
    }

    /// Waits for a worker to end, which before [`UdpWorkers::stop`] none should.
    pub(super) async fn ended(&mut self) -> Result<(), ServeError> {
        match self.ended.recv().await {
            Some(result) => result,
            None => std::future::pending().await,
        }
    }

    /// Tells every worker to answer what is queued and end.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        for socket in self.sockets.iter().filter_map(Weak::upgrade) {
            // Linux reports an unconnected socket but wakes its readers all the same.
            let _ = socket.shutdown(std::net::Shutdown::Read);
        }
    }

    /// Waits until every worker has ended.
    pub(super) async fn join(mut self) -> Result<(), ServeError> {
        let mut result = Ok(());
        while let Some(ended) = self.ended.recv().await {
            result = result.and(ended);
        }
        result
    }
}

impl Drop for UdpWorkers {
    fn drop(&mut self) {
        self.stop();
        for thread in self.threads.drain(..) {
            // The thread's own panic was caught and reported.
            let _ = thread.join();
        }
    }
}

struct Worker {
    address: SocketAddr,
    socket: Arc<Socket>,
    responder: Arc<Responder>,
    precedence: Arc<Precedence>,
    stop: Arc<AtomicBool>,
}

/// What one batch adds to the counters.
#[derive(Default)]
struct Tally {
    withheld: u64,
    slipped: u64,
    truncated: u64,
}

impl Worker {
    fn run(self) -> io::Result<()> {
        sys::set_exact_sleep();
        let mut batch = Batch::new(self.address.ip().is_unspecified());
        let mut moderation = Moderation::new(Instant::now());
        let zones = &self.responder.zones;
        let mut burden = self.precedence.enter();
        let mut cache = self.responder.is_repetitive().then(|| PacketCache::new(Arc::clone(zones)));
        while !self.stop.load(Ordering::Acquire) {
            let received = batch.receive(&*self.socket, Wait::ForOne)?;
            if received > 0 {
                self.reply(&mut batch, &mut cache);
                burden.note(received);
                if let Some(pause) = moderation.pause_after(received, Instant::now, thread_cpu_time) {
                    std::thread::sleep(pause);
                }
            }
        }
        for _ in 0..MAX_DRAIN_BATCHES {
            if batch.receive(&*self.socket, Wait::No)? == 0 {
                break;
            }
            self.reply(&mut batch, &mut cache);
        }
        Ok(())
    }

    fn reply(&self, batch: &mut Batch, cache: &mut Option<PacketCache>) {
        // What was kept needs none.
        let mut now = None;
        if let Some(cache) = cache {
            cache.follow(self.responder.zones.generation());
        }
        let limiter = self.responder.rate_limiter.as_ref().map(|limiter| (limiter, limiter.now_us()));
        let mut tally = Tally::default();
        let received = batch.len() as u64;
        let expect =
            |cache: &mut Option<PacketCache>, query: &[u8]| cache.as_mut().and_then(|cache| cache.expect(query));
        let sent = batch.reply(&*self.socket, cache, expect, |cache, datagram, place, response| {
            if !is_answerable(&datagram, self.address) {
                return false;
            }
            let address = datagram.source.ip();
            let may_transfer = self.responder.may_transfer(address);
            let limited = limiter.and_then(|(limiter, now_us)| limiter.charge(address, now_us));
            let client = Client { may_transfer, limited, ..Client::new(Transport::Udp, address) };
            let kept = cache.as_mut().zip(place).filter(|_| limited.is_none());
            match self.respond(&mut now, kept, datagram.bytes, client, response) {
                Outcome::Respond => {
                    let truncated = is_truncated(response);
                    tally.slipped += u64::from(truncated && limited == Some(Limited::Slip));
                    tally.truncated += u64::from(truncated);
                    true
                }
                // A transfer needs a stream; `answer` does not ask for one over UDP.
                Outcome::Drop | Outcome::Transfer(_) => {
                    tally.withheld += u64::from(limited == Some(Limited::Drop));
                    false
                }
            }
        });
        let dropped = received - (sent.sent + sent.failed) as u64 - tally.withheld;
        self.count(received, &tally, dropped, sent.failed as u64);
    }

    /// Answers one query as it was answered before, if the response is kept, or else anew.
    fn respond(
        &self,
        now: &mut Option<Moment>,
        kept: Option<(&mut PacketCache, Place)>,
        query: &[u8],
        client: Client,
        response: &mut Vec<u8>,
    ) -> Outcome {
        let Some((cache, place)) = kept else {
            let now = now.get_or_insert_with(|| self.responder.now());
            return self.responder.respond(now, query, client, response);
        };
        if cache.look(place, query, client.may_transfer, response) {
            return Outcome::Respond;
        }
        let now = now.get_or_insert_with(|| self.responder.now());
        let (outcome, basis) = self.responder.respond_on_basis(now, query, client, response);
        if let Outcome::Respond = &outcome {
            cache.keep(place, query, client.may_transfer, response, Made { generation: now.generation(), basis });
        }
        outcome
    }

    fn count(&self, received: u64, tally: &Tally, dropped: u64, failed: u64) {
        let metrics = &self.responder.metrics;
        metrics.queries_udp.add(received);
        // Mostly zero: what is not written is not shared between the cores.
        for (counter, n) in [
            (&metrics.queries_dropped, dropped),
            (&metrics.responses_withheld, tally.withheld),
            (&metrics.responses_slipped, tally.slipped),
            (&metrics.responses_truncated, tally.truncated),
            (&metrics.responses_unsent, failed),
        ] {
            if n > 0 {
                counter.add(n);
            }
        }
    }
}

/// The CPU time that the calling thread has taken.
fn thread_cpu_time() -> Duration {
    // It is as old as the thread, and so not below zero.
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// Whether a response could do good: not to port 0, not to everyone, and not to the very socket that was asked, which
/// would have the server talk to itself.
fn is_answerable(datagram: &Datagram<'_>, bound: SocketAddr) -> bool {
    // Looked at where it is: a copied address is read in other pieces than it was written in, for which processors wait.
    let source = &datagram.source;
    let to_no_one = match source {
        SocketAddr::V4(source) => {
            source.ip().is_unspecified() || source.ip().is_multicast() || source.ip().is_broadcast()
        }
        SocketAddr::V6(source) => source.ip().is_unspecified() || source.ip().is_multicast(),
    };
    let is_own = || source.ip() == datagram.destination.unwrap_or(bound.ip());
    source.port() != 0 && !to_no_one && (source.port() != bound.port() || !is_own())
}

/// Whether a response has TC set (RFC 1035 §4.1.1).
pub(super) fn is_truncated(response: &[u8]) -> bool {
    response.get(2).is_some_and(|flags| flags & 0x02 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_answered_that_would_loop_or_reach_no_one() {
        let answerable = |source: &str, destination: Option<&str>, bound: &str| {
            let [source, bound] = [source, bound].map(|text| text.parse().unwrap());
            let destination = destination.map(|text| text.parse().unwrap());
            is_answerable(&Datagram { bytes: &[], source, destination }, bound)
        };
        assert!(answerable("192.0.2.1:53", None, "192.0.2.2:53"));
        assert!(answerable("192.0.2.1:1024", Some("192.0.2.1"), "0.0.0.0:53"));
        assert!(!answerable("192.0.2.2:53", None, "192.0.2.2:53"), "the socket itself");
        assert!(!answerable("[2001:db8::1]:53", Some("2001:db8::1"), "[::]:53"), "the socket itself, by wildcard");
        for source in ["192.0.2.1:0", "0.0.0.0:5", "255.255.255.255:5", "224.0.0.1:5", "[::]:5", "[ff02::1]:5"] {
            assert!(!answerable(source, None, "192.0.2.2:53"), "{source}");
        }
    }
}
