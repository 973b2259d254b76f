//! One connection over TCP (RFC 7766) or TLS (RFC 7858): pipelined queries, transfers between them, and patience with a
//! limit.
//!
//! A connection is one task with one output buffer. Queries are answered in the order they came, as many as the buffer
//! takes, and written at once; a transfer gives one message each time round, so later queries are answered before it ends
//! and a client that does not read holds up nobody but itself. Memory is bounded by the longest query, the output buffer
//! and one snapshot for each transfer.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::admission::{Admission, Admitted};
use super::frames::{self, Frames, TooLong};
use super::responder::{Client, Panicked, Responder};
use super::stream::Stream;
use crate::answer::{Outcome, Transfer};
use crate::metrics::Metrics;
use crate::zone::{RecordType, wire_name_len};

/// When this much is waiting to be written, nothing more is answered first. One response may go beyond it, so at most
/// twice as much is held.
const OUTPUT_BYTES: usize = 64 * 1024;
/// The length of a message's header (RFC 1035 §4.1.1); a shorter message is not DNS.
const HEADER: usize = 12;

/// A connection and all that is owed on it.
pub(super) struct Connection<S> {
    stream: S,
    client: IpAddr,
    responder: Arc<Responder>,
    admission: Arc<Admission>,
    input: Frames,
    /// Whether the client has closed its side; it may still read.
    input_ended: bool,
    output: Vec<u8>,
    response: Vec<u8>,
    transfers: VecDeque<ActiveTransfer>,
}

struct ActiveTransfer {
    transfer: Box<Transfer>,
    _permit: OwnedSemaphorePermit,
}

/// Whether a client took all that was written at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Written {
    AtOnce,
    Slowly,
}

/// Why a connection ended before the client closed it.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    #[error("no query for too long")]
    Idle,
    #[error("the client does not read its responses")]
    SlowReader,
    #[error("a query longer than is taken, or shorter than a header")]
    NotDns,
    #[error("a transfer could not be continued")]
    BrokenTransfer,
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<TooLong> for End {
    fn from(_: TooLong) -> End {
        End::NotDns
    }
}

impl<S: Stream> Connection<S> {
    pub(super) fn new(
        stream: S,
        client: IpAddr,
        responder: Arc<Responder>,
        admission: Arc<Admission>,
    ) -> Connection<S> {
        Connection {
            stream,
            client,
            responder,
            input: Frames::new(admission.limits.max_query_bytes),
            admission,
            input_ended: false,
            output: Vec::new(),
            response: Vec::new(),
            transfers: VecDeque::new(),
        }
    }

    /// Serves until the client is done, or has had what it asked for before the connection was to end.
    pub(super) async fn serve(mut self, admitted: &Admitted) -> Result<(), End> {
        // Without it a response waits for the acknowledgement of the one before.
        self.stream.socket().set_nodelay(true)?;
        let result = self.converse(admitted).await;
        match &result {
            Ok(()) => self.say_goodbye().await,
            Err(End::Idle) => {
                self.responder.metrics.tcp_limited.inc();
                self.say_goodbye().await;
            }
            Err(End::SlowReader | End::NotDns) => {
                self.responder.metrics.tcp_limited.inc();
                // A reset lets the kernel forget at once what this client did not read.
                let _ = socket2::SockRef::from(self.stream.socket()).set_linger(Some(Duration::ZERO));
            }
            Err(End::BrokenTransfer | End::Io(_)) => {}
        }
        result
    }

    /// Ends the stream in order, which over TLS tells the client that nothing was cut off.
    async fn say_goodbye(&mut self) {
        // A client that is gone needs no good-bye.
        let _ = tokio::time::timeout(self.admission.limits.write_timeout, self.stream.shutdown()).await;
    }

    async fn converse(&mut self, admitted: &Admitted) -> Result<(), End> {
        let idle_timeout = self.admission.limits.idle_timeout;
        let mut stopped = pin!(admitted.stop().cancelled());
        // One timer for the whole connection, moved on only when it fires: most connections never see that.
        let mut deadline = Instant::now() + idle_timeout;
        let mut idle = pin!(tokio::time::sleep_until(deadline));
        loop {
            if let Some(query) = self.answer_received()? {
                admitted.set_busy();
                self.begin_transfer(query).await?;
                continue;
            }
            self.continue_transfer()?;
            if !self.output.is_empty() {
                // Who has its answers waits from then on, however late this task goes on.
                let mut answered = Instant::now();
                if self.transfers.is_empty() {
                    admitted.set_waiting(answered);
                }
                if self.write(admitted).await? == Written::Slowly {
                    answered = Instant::now();
                }
                deadline = answered + idle_timeout;
                continue;
            }
            if !self.transfers.is_empty() {
                continue;
            }
            if self.input_ended {
                return Ok(());
            }
            if admitted.stop().is_cancelled() {
                // Whoever is in the middle of sending a query has not been promised anything.
                return if self.take_arrived()? { continue } else { Ok(()) };
            }
            // The deadline is for a whole query, not for its next byte, so that nobody can stay by dripping.
            admitted.set_waiting(deadline - idle_timeout);
            tokio::select! {
                biased;
                read = self.stream.read(self.input.room()) => self.note_read(read?),
                () = &mut stopped => {}
                () = &mut idle => {
                    if Instant::now() >= deadline {
                        return Err(End::Idle);
                    }
                    idle.as_mut().reset(deadline);
                }
            }
        }
    }

    /// Answers what has arrived in whole, as far as the output has room, up to a query that may begin a transfer.
    fn answer_received(&mut self) -> Result<Option<Vec<u8>>, End> {
        let now = self.responder.now();
        let client = Client::new(S::TRANSPORT, self.client);
        let mut tally = Tally::default();
        let mut transfer = None;
        while self.output.len() < OUTPUT_BYTES
            && let Some(query) = self.input.next()?
        {
            if query.len() < HEADER {
                return Err(End::NotDns);
            }
            tally.queries += 1;
            if asks_for_transfer(query) {
                transfer = Some(query.to_vec());
                break;
            }
            match self.responder.respond(&now, query, client, &mut self.response) {
                Outcome::Respond => frames::push(&mut self.output, &self.response),
                Outcome::Drop | Outcome::Transfer(_) => tally.dropped += 1,
            }
        }
        tally.count::<S>(&self.responder.metrics);
        Ok(transfer)
    }

    /// Answers a query for a transfer. A client that is not allowed one, or comes when all are taken, gets the same
    /// refusal; the latter will ask again, or another node.
    async fn begin_transfer(&mut self, query: Vec<u8>) -> Result<(), End> {
        let permit = self.admission.admit_transfer().filter(|_| self.responder.may_transfer(self.client));
        let responder = Arc::clone(&self.responder);
        let mut response = std::mem::take(&mut self.response);
        let may_transfer = permit.is_some();
        let client = Client { may_transfer, ..Client::new(S::TRANSPORT, self.client) };
        // Preparing a transfer takes time that grows with the zone, which other connections must not wait for. With the
        // permits, the threads that do it are limited too.
        let prepare = move || {
            let outcome = responder.respond(&responder.now(), &query, client, &mut response);
            (outcome, response)
        };
        let outcome = if may_transfer {
            tokio::task::spawn_blocking(prepare).await.map_err(io::Error::other)?
        } else {
            self.responder.metrics.transfers_refused.inc();
            prepare()
        };
        self.response = outcome.1;
        match (outcome.0, permit) {
            (Outcome::Transfer(transfer), Some(permit)) => {
                self.transfers.push_back(ActiveTransfer { transfer, _permit: permit });
            }
            (Outcome::Respond, _) => frames::push(&mut self.output, &self.response),
            (Outcome::Drop | Outcome::Transfer(_), _) => self.responder.metrics.queries_dropped.inc(),
        }
        Ok(())
    }

    /// Adds the next message of the transfer whose turn it is.
    fn continue_transfer(&mut self) -> Result<(), End> {
        if self.output.len() >= OUTPUT_BYTES {
            return Ok(());
        }
        let Some(mut active) = self.transfers.pop_front() else { return Ok(()) };
        match self.responder.next_message(&mut active.transfer, &mut self.response) {
            Ok(true) => {
                frames::push(&mut self.output, &self.response);
                self.transfers.push_back(active);
            }
            Ok(false) => self.responder.metrics.transfers.inc(),
            Err(Panicked) => return Err(End::BrokenTransfer),
        }
        Ok(())
    }

    /// Writes all output. If more is to come, lets other tasks run and looks for queries that came meanwhile.
    async fn write(&mut self, admitted: &Admitted) -> Result<Written, End> {
        let write = async {
            self.stream.write_all(&self.output).await?;
            // TLS may hold back what it has encrypted.
            self.stream.flush().await
        };
        let mut written = pin!(tokio::time::timeout(self.admission.limits.write_timeout, write));
        let (written, how) = tokio::select! {
            biased;
            written = &mut written => (written, Written::AtOnce),
            () = std::future::ready(()) => {
                admitted.set_busy();
                (written.await, Written::Slowly)
            }
        };
        written.map_err(|_| End::SlowReader)??;
        self.output.clear();
        if !self.transfers.is_empty() {
            tokio::task::yield_now().await;
            self.take_arrived()?;
        }
        Ok(how)
    }

    /// Takes what has arrived without waiting; returns whether there was anything.
    fn take_arrived(&mut self) -> Result<bool, End> {
        if self.input_ended {
            return Ok(false);
        }
        let room = self.input.room();
        if room.is_empty() {
            return Ok(false);
        }
        match self.stream.read_arrived(room) {
            Ok(count) => {
                self.note_read(count);
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn note_read(&mut self, count: usize) {
        self.input.filled(count);
        self.input_ended = count == 0;
    }
}

/// What one round adds to the counters.
#[derive(Default)]
struct Tally {
    queries: u64,
    dropped: u64,
}

impl Tally {
    fn count<S: Stream>(&self, metrics: &Metrics) {
        if self.queries > 0 {
            S::queries(metrics).add(self.queries);
        }
        if self.dropped > 0 {
            metrics.queries_dropped.add(self.dropped);
        }
    }
}

/// Whether the first question is for AXFR or IXFR.
fn asks_for_transfer(query: &[u8]) -> bool {
    let question = query.get(HEADER..).unwrap_or_default();
    let rtype = wire_name_len(question).ok().and_then(|length| question.get(length..length + 2));
    rtype.is_some_and(|rtype| [RecordType::AXFR, RecordType::IXFR].iter().any(|xfr| rtype == xfr.0.to_be_bytes()))
}
