//! The loop that owns the core: feeds it what happens and does what it wants. Everything else in the shell talks to the
//! core through the channels of [`Ports`].

use std::collections::{BTreeMap, VecDeque};
use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::datagram::Datagrams;
use super::endpoint::Endpoint;
use super::inbound::{InboundRequest, serve};
use super::outbound::Peers;
use super::seeds;
use crate::metrics::Metrics;
use crate::node::{
    Answer, Applied, Command, CommandError, Effect, Event, InboundId, Node, Now, PersistId, Question, RequestId,
    Severity, Ticket, View,
};
use crate::published::Published;
use crate::replica::WriteSet;
use crate::views::{ViewReply, Views};
use crate::zone::{Zone, ZoneSet};

/// How many commands may wait in the channel, and how many may be under way in the core. More have to wait outside.
const MAX_COMMANDS: usize = 256;

/// How many requests of peers may wait in the channel.
const MAX_WAITING_REQUESTS: usize = 64;

/// How many sets of writes may wait in the channel to the store. More wait in the driver, which then takes no commands.
const MAX_WAITING_WRITES: usize = 64;

/// How many sets of writes may wait in the driver before it stops taking what peers have to say over streams.
const MAX_BACKLOG: usize = 1024;

/// How many things that have happened already are taken in before the loop waits again, which is when deadlines are seen.
const AT_ONCE: usize = 64;

/// How often a view is made at most for those that wait for a change: one of a large node costs.
const VIEW_PERIOD: Duration = Duration::from_millis(50);
/// How many times as long as a view takes passes at least until the next: with thousands of zones they take long, and
/// the node has better to do.
const VIEW_SHARE: u32 = 20;

/// How long writes that are under way may take when the daemon stops.
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// The deterministic core that the driver runs: the node, or one made for a test of the driver.
pub trait Core: Send {
    /// Something happened; what is to be done?
    fn handle(&mut self, event: Event, now: Now) -> Vec<Effect>;
    /// When the core wants an [`Event::Tick`] next, in terms of [`Now::mono`].
    fn next_deadline(&self) -> Option<Duration>;
    /// The core as it shows itself.
    fn view(&self, now: Now) -> View;
    /// What the core holds of something that the view is too small for.
    fn inspect(&self, _question: &Question) -> Result<Answer, CommandError> {
        Err(CommandError::NotInitialised)
    }
}

impl Core for Node {
    fn handle(&mut self, event: Event, now: Now) -> Vec<Effect> {
        Node::handle(self, event, now)
    }

    fn next_deadline(&self) -> Option<Duration> {
        Node::next_deadline(self)
    }

    fn view(&self, now: Now) -> View {
        Node::view(self, now)
    }

    fn inspect(&self, question: &Question) -> Result<Answer, CommandError> {
        Node::inspect(self, question)
    }
}

/// The clocks of this process: the only place where the core's time comes from.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// Monotonic time begins now.
    pub fn start() -> SystemClock {
        SystemClock { start: Instant::now() }
    }

    /// Reads both clocks.
    pub fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { mono: self.start.elapsed(), wall_ms: u64::try_from(wall.as_millis()).unwrap_or(u64::MAX) }
    }

    fn instant(&self, mono: Duration) -> Instant {
        self.start + mono
    }
}

/// What a driver needs besides its core and its endpoint.
pub struct Options {
    /// The clock that the core was made with.
    pub clock: SystemClock,
    /// Seeds as `host:port`, names or addresses.
    pub seeds: Vec<String>,
    /// Where what is to be served is put, swapped whole.
    pub zones: Arc<Published>,
    /// Cancelled when the daemon is to stop: the driver says good-bye, waits for its writes, and ends.
    pub shutdown: CancellationToken,
}

/// A command with where its outcome goes.
type SentCommand = (Command, oneshot::Sender<Result<Applied, CommandError>>);

/// A question with where its answer goes.
type SentQuestion = (Question, oneshot::Sender<Result<Answer, CommandError>>);

/// The other ends of the driver's channels.
pub struct Ports {
    /// Takes commands. The outcome never comes if the driver ends first.
    pub commands: mpsc::Sender<SentCommand>,
    /// Takes questions about what the core holds.
    pub questions: mpsc::Sender<SentQuestion>,
    /// Takes the zone files as read at start, once.
    pub files: mpsc::Sender<Vec<Zone>>,
    /// For the store: writes to keep, in order.
    pub writes: mpsc::Receiver<WriteSet<PersistId>>,
    /// From the store: what became of them. If it is dropped, the driver ends with an error.
    pub written: mpsc::Sender<(PersistId, Result<(), String>)>,
    /// What to serve, for those that wait for changes.
    pub published: watch::Receiver<Arc<ZoneSet>>,
    /// The core as it shows itself.
    pub views: Views,
}

/// Why a driver ended though nobody asked it to.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The core found that this node must not go on.
    #[error("{0}")]
    Fatal(String),
    /// The store is gone, so nothing can be kept.
    #[error("the store ended unexpectedly")]
    StoreEnded,
    /// A task of the driver's ended.
    #[error("{0} ended unexpectedly")]
    TaskEnded(&'static str),
}

/// The loop and all that it owns.
pub struct Driver<C> {
    core: C,
    clock: SystemClock,
    shutdown: CancellationToken,
    metrics: Arc<Metrics>,
    datagrams: Datagrams,
    peers: Arc<Peers>,
    /// Requests to peers under way.
    requests: JoinSet<(RequestId, Result<Vec<u8>, String>)>,
    /// The stream server and the resolver of seeds.
    services: JoinSet<&'static str>,
    inbound: mpsc::Receiver<InboundRequest>,
    seeds: mpsc::Receiver<Vec<std::net::SocketAddr>>,
    commands: mpsc::Receiver<SentCommand>,
    questions: mpsc::Receiver<SentQuestion>,
    views: mpsc::Receiver<ViewReply>,
    files: mpsc::Receiver<Vec<Zone>>,
    writes: mpsc::Sender<WriteSet<PersistId>>,
    written: mpsc::Receiver<(PersistId, Result<(), String>)>,
    zones: Arc<Published>,
    published: watch::Sender<Arc<ZoneSet>>,
    view: watch::Sender<Arc<View>>,
    /// Writes that the store's channel has no room for yet.
    backlog: VecDeque<WriteSet<PersistId>>,
    /// How many sets of writes have no outcome yet.
    unwritten: usize,
    /// Commands without an outcome.
    tickets: BTreeMap<Ticket, oneshot::Sender<Result<Applied, CommandError>>>,
    /// Requests of peers without a response.
    replies: BTreeMap<InboundId, oneshot::Sender<Vec<u8>>>,
    last_id: u64,
    next_view: Instant,
    view_old: bool,
    /// Set once the daemon stops: when to end at the latest.
    ending: Option<Instant>,
}

/// Why the loop woke up.
enum Wake {
    Event(Event),
    Inbound(InboundRequest),
    Command(SentCommand),
    Question(SentQuestion),
    View(ViewReply),
    Room,
    ViewOld,
    Stop,
    Ended(DriverError),
}

impl<C: Core> Driver<C> {
    /// Makes a driver and the ports to it. Nothing happens before [`Driver::run`].
    pub fn new(core: C, endpoint: Endpoint, options: Options) -> (Driver<C>, Ports) {
        let (commands_in, commands) = mpsc::channel(MAX_COMMANDS);
        let (questions_in, questions) = mpsc::channel(1);
        let (wishes, views) = mpsc::channel(1);
        let (files_in, files) = mpsc::channel(1);
        let (writes, writes_out) = mpsc::channel(MAX_WAITING_WRITES);
        let (written_in, written) = mpsc::channel(MAX_WAITING_WRITES);
        let zones = options.zones;
        let (published, published_out) = watch::channel(zones.load().zones().clone());
        let view = watch::Sender::new(Arc::new(core.view(options.clock.now())));
        let (requests_in, inbound) = mpsc::channel(MAX_WAITING_REQUESTS);
        let (seeds_in, seeds) = mpsc::channel(1);
        let mut services = JoinSet::new();
        let Endpoint { datagrams, listener, secrets, metrics, .. } = endpoint;
        let peers = Arc::new(Peers::new(secrets.clone()));
        let stream_metrics = metrics.clone();
        services.spawn(async move {
            serve(listener, secrets, stream_metrics, requests_in).await;
            "the gossip stream server"
        });
        services.spawn(async move {
            seeds::resolve(options.seeds, seeds_in).await;
            // Without names to resolve there is nothing to do, which is no failure.
            pending().await
        });
        let ports = Ports {
            commands: commands_in,
            questions: questions_in,
            files: files_in,
            writes: writes_out,
            written: written_in,
            published: published_out,
            views: Views::new(view.clone(), wishes),
        };
        let driver = Driver {
            core,
            clock: options.clock,
            shutdown: options.shutdown,
            metrics,
            datagrams,
            peers,
            requests: JoinSet::new(),
            services,
            inbound,
            seeds,
            commands,
            questions,
            views,
            files,
            writes,
            written,
            zones,
            published,
            view,
            backlog: VecDeque::new(),
            unwritten: 0,
            tickets: BTreeMap::new(),
            replies: BTreeMap::new(),
            last_id: 0,
            next_view: Instant::now(),
            view_old: true,
            ending: None,
        };
        (driver, ports)
    }

    /// Runs until the daemon stops, then says good-bye and waits for the writes under way.
    pub async fn run(mut self) -> Result<(), DriverError> {
        self.feed(Event::Tick)?;
        let mut in_a_row = 0;
        loop {
            let ready = if in_a_row < AT_ONCE { self.ready() } else { None };
            in_a_row = if ready.is_some() { in_a_row + 1 } else { 0 };
            let wake = match ready {
                Some(wake) => wake,
                None => self.wake().await,
            };
            match wake {
                Wake::Event(event) => self.feed(event)?,
                Wake::Inbound(request) => self.take_request(request)?,
                Wake::Command((command, outcome)) => {
                    let ticket = Ticket(self.next_id());
                    self.tickets.insert(ticket, outcome);
                    self.feed(Event::Command { ticket, command })?;
                }
                Wake::Question((question, answer)) => {
                    // Who asked may have gone.
                    let _ = answer.send(self.core.inspect(&question));
                }
                Wake::View(reply) => {
                    if self.view_old {
                        self.copy_view();
                    }
                    let _ = reply.send(Arc::clone(&self.view.borrow()));
                }
                Wake::Room => {}
                Wake::ViewOld => self.copy_view(),
                Wake::Stop => {
                    self.ending = Some(Instant::now() + DRAIN_TIME);
                    self.commands.close();
                    self.feed(Event::Leave)?;
                }
                Wake::Ended(error) => return Err(error),
            }
            if self.drained() {
                self.copy_view();
                return Ok(());
            }
        }
    }

    /// What has happened already of the things that come in numbers: to wait for each of them as for something new costs
    /// more than many of them do.
    fn ready(&mut self) -> Option<Wake> {
        if let Ok((id, result)) = self.written.try_recv() {
            self.unwritten = self.unwritten.saturating_sub(1);
            return Some(Wake::Event(Event::Persisted { id, result }));
        }
        if let Some((from, payload)) = self.datagrams.try_receive() {
            return Some(Wake::Event(Event::Datagram { from, payload }));
        }
        let command = if self.takes_commands() { self.commands.try_recv().ok() } else { None };
        command.map(Wake::Command)
    }

    fn takes_commands(&self) -> bool {
        self.ending.is_none() && self.tickets.len() < MAX_COMMANDS && self.backlog.is_empty()
    }

    /// Waits for the next thing to happen. Every branch can be dropped without losing anything.
    async fn wake(&mut self) -> Wake {
        let (ending, clock) = (self.ending, self.clock);
        let tick = self.core.next_deadline().map(|mono| clock.instant(mono));
        let view = self.is_view_wanted().then_some(self.next_view);
        let takes_commands = self.takes_commands();
        let keeps_up = self.backlog.len() < MAX_BACKLOG;
        tokio::select! {
            () = self.shutdown.cancelled(), if ending.is_none() => Wake::Stop,
            () = at(ending) => Wake::Room,
            () = at(tick) => Wake::Event(Event::Tick),
            () = at(view) => Wake::ViewOld,
            (from, payload) = self.datagrams.receive() => Wake::Event(Event::Datagram { from, payload }),
            Some(request) = self.inbound.recv(), if keeps_up => Wake::Inbound(request),
            Some(done) = self.requests.join_next(), if keeps_up => match done {
                Ok((id, result)) => Wake::Event(Event::Response { id, result }),
                Err(_) => Wake::Ended(DriverError::TaskEnded("a request to a peer")),
            },
            written = self.written.recv() => match written {
                Some((id, result)) => {
                    self.unwritten = self.unwritten.saturating_sub(1);
                    Wake::Event(Event::Persisted { id, result })
                }
                None => Wake::Ended(DriverError::StoreEnded),
            },
            room = self.writes.reserve(), if !self.backlog.is_empty() => match room {
                Ok(room) => {
                    if let Some(writes) = self.backlog.pop_front() {
                        room.send(writes);
                    }
                    Wake::Room
                }
                Err(_) => Wake::Ended(DriverError::StoreEnded),
            },
            Some(command) = self.commands.recv(), if takes_commands => Wake::Command(command),
            Some(question) = self.questions.recv() => Wake::Question(question),
            Some(reply) = self.views.recv() => Wake::View(reply),
            Some(files) = self.files.recv() => Wake::Event(Event::Files(files)),
            Some(seeds) = self.seeds.recv() => Wake::Event(Event::Seeds(seeds)),
            Some(ended) = self.services.join_next() => {
                Wake::Ended(DriverError::TaskEnded(ended.unwrap_or("a gossip task")))
            }
        }
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn take_request(&mut self, request: InboundRequest) -> Result<(), DriverError> {
        // Those whose connection gave up will never be answered.
        self.replies.retain(|_, reply| !reply.is_closed());
        let inbound = InboundId(self.next_id());
        self.replies.insert(inbound, request.reply);
        self.feed(Event::Request { inbound, payload: request.payload })
    }

    /// Gives the core an event and does all that it wants done.
    fn feed(&mut self, event: Event) -> Result<(), DriverError> {
        for effect in self.core.handle(event, self.clock.now()) {
            self.perform(effect)?;
        }
        self.view_old = true;
        if self.is_view_wanted() && Instant::now() >= self.next_view {
            self.copy_view();
        }
        Ok(())
    }

    /// The one place where effects are carried out. Never waits.
    fn perform(&mut self, effect: Effect) -> Result<(), DriverError> {
        match effect {
            Effect::SendDatagram { to, payload } => self.datagrams.send(to, &payload),
            Effect::SendRequest { id, to, payload } => {
                let peers = self.peers.clone();
                self.requests.spawn(async move {
                    let response = peers.request(to, &payload).await;
                    (id, response.map_err(|error| error.to_string()))
                });
            }
            Effect::Respond { inbound, payload } => {
                // A peer that does not wait any more needs no response.
                self.replies.remove(&inbound).map(|reply| reply.send(payload));
            }
            Effect::Persist { id, writes, gathered } => {
                self.unwritten += 1;
                self.backlog.push_back(WriteSet { id, writes, gathered });
                self.hand_over_writes()?;
            }
            Effect::Publish(zones) => {
                self.zones.publish(zones.clone());
                self.published.send_replace(zones);
            }
            Effect::Report { severity, message } => report(severity, &message),
            Effect::Malformed => self.metrics.gossip_malformed.inc(),
            Effect::Ambiguous { zone, serial } => {
                tracing::debug!(%zone, serial, "the serial stood for two contents");
                self.metrics.ambiguous_serials.inc();
            }
            Effect::Merged { batches } => self.metrics.batches_remote.add(batches),
            Effect::Done { ticket, result } => {
                match &result {
                    Ok(applied) => self.metrics.edits_local.add(u64::from(applied.changed)),
                    Err(_) => self.metrics.edits_refused.inc(),
                }
                self.tickets.remove(&ticket).map(|outcome| outcome.send(result));
            }
            Effect::Fatal(message) => return Err(DriverError::Fatal(message)),
        }
        Ok(())
    }

    /// Gives the store as much as its channel has room for.
    fn hand_over_writes(&mut self) -> Result<(), DriverError> {
        while let Some(writes) = self.backlog.pop_front() {
            match self.writes.try_send(writes) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(writes)) => {
                    self.backlog.push_front(writes);
                    return Ok(());
                }
                Err(mpsc::error::TrySendError::Closed(_)) => return Err(DriverError::StoreEnded),
            }
        }
        Ok(())
    }

    /// Whether somebody waits for a change, and there was one since the last view was made.
    fn is_view_wanted(&self) -> bool {
        self.view_old && self.view.receiver_count() > 0
    }

    fn copy_view(&mut self) {
        let began = Instant::now();
        self.view.send_replace(Arc::new(self.core.view(self.clock.now())));
        self.next_view = Instant::now() + VIEW_PERIOD.max(began.elapsed() * VIEW_SHARE);
        self.view_old = false;
    }

    /// Whether the daemon stops and nothing is left to wait for, or no time.
    fn drained(&self) -> bool {
        self.ending.is_some_and(|end| {
            let done = self.unwritten == 0 && self.tickets.is_empty();
            if !done && Instant::now() >= end {
                tracing::warn!(writes = self.unwritten, "stopped before all writes were confirmed");
            }
            done || Instant::now() >= end
        })
    }
}

/// Tells the operator.
fn report(severity: Severity, message: &str) {
    match severity {
        Severity::Info => tracing::info!("{message}"),
        Severity::Warn => tracing::warn!("{message}"),
        Severity::Error => tracing::error!("{message}"),
    }
}

/// Waits for a moment, or for ever.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => pending().await,
    }
}
