//! The daemon: binds everything, joins the cluster, serves, and takes leave. It owns every task.
//!
//! Tasks talk over channels and immutable snapshots. One that ends before it is told to ends the daemon, with its error.
//! Shutdown goes backwards: first no more queries are taken and those that arrived are answered, then the node says
//! good-bye and waits for its writes.

use std::io::{self, BufWriter};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, anyhow};
use rand::TryRng;
use rand::rngs::SysRng;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::admin::{self, Admin, ControlSocket, Process};
use crate::answer::Server;
use crate::config::{Config, LogConfig, LogFormat};
use crate::decision::DecisionRequest;
use crate::files::{self, ZoneFiles};
use crate::gossip::{Driver, Endpoint, Keyring, Options, Secrets, SystemClock};
use crate::metrics::Metrics;
use crate::node::{Node, NodeConfig, View};
use crate::published::Published;
use crate::serve::{self, CookieRoots, EncryptedConfig, Listener, ServeConfig, Servers, TcpLimits};
use crate::store::{BackupError, BackupHead, Retention, Snapshot, Store, Writer};
use crate::views::Views;
use crate::zone::{Zone, ZoneSet};

/// How long the daemon may take to stop.
const STOP_TIME: Duration = Duration::from_secs(10);
/// How long the error behind a task's unexpected end may take to show.
const CAUSE_TIME: Duration = Duration::from_secs(1);
/// How long a node that has zones waits for its first look at the cluster before it serves the service address: a
/// restarted node then does not answer from the past. Without members it serves all the same.
const CATCH_UP_TIME: Duration = Duration::from_secs(3);

/// File descriptors beside those of clients: sockets, files, other nodes, the control socket.
const OWN_FILES: u64 = 512;

/// How many bytes of a backup go out at once.
const BACKUP_PIECE: usize = 256 << 10;

/// Runs a node until SIGTERM or SIGINT.
pub fn run(config: Config) -> anyhow::Result<()> {
    serve::give_back_memory_at_once();
    start_logging(&config.log)?;
    allow_files(config.dns.tcp.max_connections);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("grapevine")
        .build()
        .context("the runtime does not start")?;
    let result = runtime.block_on(async { Daemon::bind(config).await?.run().await });
    // Whatever still runs after its time has had its warning.
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

/// Has the system allow as many open files as so many connections take, and tells if it does not.
fn allow_files(connections: usize) {
    let wanted = connections as u64 + OWN_FILES;
    let limit = getrlimit(Resource::Nofile);
    // None is no limit.
    let allowed = limit.maximum.unwrap_or(u64::MAX);
    if limit.current.is_some_and(|current| current < wanted) {
        let raised = Rlimit { current: Some(wanted.min(allowed)), ..limit };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::debug!(%error, "the limit on open files stays");
        }
    }
    if allowed < wanted {
        tracing::warn!(
            allowed,
            wanted,
            "too few open files are allowed for dns.tcp.max-connections: raise the limit (ulimit -Hn, LimitNOFILE=), or lower that"
        );
    }
}

fn start_logging(config: &LogConfig) -> anyhow::Result<()> {
    // hickory-server reports every query at info; a person who wants that can say so in the level.
    let level = format!("hickory_server=warn,{}", config.level);
    let filter = tracing_subscriber::EnvFilter::try_new(level).context("the log level")?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let result = match config.format {
        LogFormat::Text => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    result.map_err(|error| anyhow!("logging does not start: {error}"))
}

/// Everything bound, nothing running.
struct Daemon {
    config: Config,
    clock: SystemClock,
    metrics: Arc<Metrics>,
    secrets: Arc<Secrets>,
    store: Store,
    /// Whether the node has to know what its files say before it has zones.
    is_offer_wanted: bool,
    node: Node,
    endpoint: Endpoint,
    zones: Arc<Published>,
    servers: Servers,
    server: Arc<Server>,
    cookies: Arc<CookieRoots>,
    control: ControlSocket,
    signals: Signals,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

type Ended = anyhow::Result<&'static str>;

impl Daemon {
    async fn bind(config: Config) -> anyhow::Result<Daemon> {
        let clock = SystemClock::start();
        let metrics = Arc::new(Metrics::default());
        let secrets = Arc::new(Secrets::new(&config.cluster, &load_keys(&config)?));
        std::fs::create_dir_all(&config.zones)
            .with_context(|| format!("zone directory {} cannot be made", config.zones.display()))?;
        let (mut store, saved) = Store::open(&config.data)?;
        let history = config.history;
        let keep_ms = u64::try_from(history.keep.as_millis()).unwrap_or(u64::MAX / 2);
        store.retain(Retention { keep_ms, edits: history.edits.into(), bytes: history.bytes });
        let is_offer_wanted = !saved.facts.initialised;
        let endpoint = Endpoint::bind(config.gossip.listen, secrets.clone(), metrics.clone()).await?;
        let control = ControlSocket::bind(&config.control).await?;
        let zones = Arc::new(Published::default());
        let server = Arc::new(Server {
            nsid: config.name.clone(),
            version: concat!("grapevine ", env!("CARGO_PKG_VERSION")).to_owned(),
            max_udp_payload: config.dns.max_udp_payload,
            idle_timeout: config.dns.tcp.idle_timeout,
            strict_cookies: config.dns.strict_cookies,
            minimal_responses: config.dns.minimal_responses,
            rotate: config.dns.rotate,
        });
        let own = config.dns.listen.iter().map(|&address| Listener { address, shared: false });
        let cookies = cookie_roots(&config, &secrets)?;
        let serve = serve_config(&config, own.collect(), true, &cookies);
        let servers = Servers::bind(serve, zones.clone(), server.clone(), metrics.clone())?;
        let node = Node::new(node_config(&config, endpoint.local_addr()).await?, saved, clock.now());
        let signals = Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        };
        Ok(Daemon {
            config,
            clock,
            metrics,
            secrets,
            store,
            is_offer_wanted,
            node,
            endpoint,
            zones,
            servers,
            server,
            cookies,
            control,
            signals,
        })
    }

    async fn run(self) -> anyhow::Result<()> {
        let Daemon { config, clock, metrics, secrets, store, node, endpoint, zones, .. } = self;
        let (front, back) = (CancellationToken::new(), CancellationToken::new());
        let (dns, gossip) = (self.servers.addresses(), endpoint.local_addr());
        let seeds = config.gossip.join.iter().map(ToString::to_string).collect();
        let options = Options { clock, seeds, zones: zones.clone(), shutdown: back.clone() };
        let (driver, ports) = Driver::new(node, endpoint, options);
        let (held, held_out) = watch::channel(Arc::new(Vec::new()));
        let (decisions_in, decisions) = mpsc::channel(1);
        let (settings, offer, is_offer_wanted) = (config.clone(), ports.files, self.is_offer_wanted);
        let files = FilesTask { config: settings, metrics: metrics.clone(), held, decisions, offer, is_offer_wanted };
        let (history_in, history) = mpsc::channel(1);
        let (backups, wanted) = mpsc::channel(1);
        let admin = Admin {
            views: ports.views.clone(),
            zones: zones.clone(),
            commands: ports.commands.clone(),
            questions: ports.questions,
            history: history_in,
            backups,
            files: admin::FilesHandle { held: held_out, requests: decisions_in },
            metrics: metrics.clone(),
            process: Process {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                pid: std::process::id(),
                started_ms: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64,
                dns: dns.clone(),
                service: config.dns.anycast.clone(),
                zones_dir: config.zones.clone(),
                data_dir: config.data.clone(),
            },
        };
        let mut tasks: JoinSet<Ended> = JoinSet::new();
        let writer = Writer::start(store, ports.writes, ports.written)?;
        let (snapshots_in, snapshots) = mpsc::channel(1);
        tasks.spawn(keep(writer, history, snapshots));
        let (names, stop) = ((config.name.clone(), config.cluster.clone()), back.clone());
        tasks.spawn(back_up(names, wanted, snapshots_in, stop));
        tasks.spawn(async move { driver.run().await.map(|()| "the gossip driver").map_err(Into::into) });
        tasks.spawn(files.run(ports.commands, ports.published, back.clone()));
        let (control, stop) = (self.control, back.clone());
        tasks.spawn(async move { Ok(admin::serve(control, admin, stop).await.map(|()| "the control socket")?) });
        let mut servers: JoinSet<Ended> = JoinSet::new();
        let (own, stop) = (self.servers, front.clone());
        servers.spawn(async move { Ok(own.run(stop).await.map(|()| "the DNS server")?) });
        let service = Service {
            config: config.clone(),
            zones,
            server: self.server,
            cookies: self.cookies.clone(),
            metrics,
            views: ports.views,
        };
        servers.spawn(service.run(front.clone()));
        tracing::info!(name = %config.name, cluster = %config.cluster, dns = ?dns, gossip = %gossip, "serving");
        let result = supervise(self.signals, &config, (&secrets, &self.cookies), &mut servers, &mut tasks).await;
        let stopped = timeout(STOP_TIME, stop_all(front, servers, back, tasks)).await;
        result?;
        stopped.map_err(|_| anyhow!("the daemon did not stop within {} s and was ended", STOP_TIME.as_secs()))?
    }
}

/// Waits until the daemon is told to stop, or until something that should not end does.
async fn supervise(
    mut signals: Signals,
    config: &Config,
    (secrets, cookies): (&Secrets, &CookieRoots),
    servers: &mut JoinSet<Ended>,
    tasks: &mut JoinSet<Ended>,
) -> anyhow::Result<()> {
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => return Ok(()),
            _ = signals.interrupt.recv() => return Ok(()),
            _ = signals.hangup.recv() => match load_keys(config) {
                Ok(keyring) => {
                    secrets.rotate(&keyring);
                    if config.gossip.key_file.is_some() {
                        cookies.rotate(secrets.cookie_roots());
                    }
                    tracing::info!(keys = keyring.keys().len(), "the key file was read again");
                }
                Err(error) => tracing::error!("the old keys stay in use: {error:#}"),
            },
            Some(ended) = servers.join_next() => return Err(cause(ended, tasks).await),
            Some(ended) = tasks.join_next() => return Err(cause(ended, tasks).await),
        }
    }
}

/// Why the daemon ends. A task that ends because another has failed may be seen before that one: the error counts.
async fn cause(first: Result<Ended, tokio::task::JoinError>, tasks: &mut JoinSet<Ended>) -> anyhow::Error {
    if matches!(first, Ok(Ok(_))) {
        while let Ok(Some(ended)) = timeout(CAUSE_TIME, tasks.join_next()).await {
            if !matches!(ended, Ok(Ok(_))) {
                return unexpected(ended);
            }
        }
    }
    unexpected(first)
}

fn unexpected(ended: Result<Ended, tokio::task::JoinError>) -> anyhow::Error {
    match ended {
        Ok(Ok(what)) => anyhow!("{what} ended unexpectedly"),
        Ok(Err(error)) => error,
        Err(error) => anyhow!("a task of the daemon failed: {error}"),
    }
}

async fn stop_all(
    front: CancellationToken,
    mut servers: JoinSet<Ended>,
    back: CancellationToken,
    mut tasks: JoinSet<Ended>,
) -> anyhow::Result<()> {
    tracing::info!("stopping");
    let mut result = Ok(());
    front.cancel();
    while let Some(ended) = servers.join_next().await {
        result = result.and(ended.map_err(Into::into).and_then(|ended| ended.map(drop)));
    }
    back.cancel();
    while let Some(ended) = tasks.join_next().await {
        result = result.and(ended.map_err(Into::into).and_then(|ended| ended.map(drop)));
    }
    result
}

/// Passes questions to the store's thread, and waits for its end.
async fn keep(
    writer: Writer,
    mut history: mpsc::Receiver<admin::HistoryRequest>,
    mut snapshots: mpsc::Receiver<SnapshotReply>,
) -> Ended {
    loop {
        tokio::select! {
            () = writer.ended() => break,
            // A question for which it is too late is answered by nobody, as any other while the daemon stops.
            Some((query, reply)) = history.recv() => drop(writer.history(query, reply).await),
            Some(reply) = snapshots.recv() => drop(writer.snapshot(reply).await),
        }
    }
    tokio::task::spawn_blocking(move || writer.close()).await?;
    Ok("the store")
}

/// Where a snapshot of the store goes.
type SnapshotReply = oneshot::Sender<Result<Snapshot, BackupError>>;

/// Takes backups, one after another, while the node goes on.
async fn back_up(
    (node, cluster): (String, String),
    mut wanted: mpsc::Receiver<admin::BackupRequest>,
    snapshots: mpsc::Sender<SnapshotReply>,
    stop: CancellationToken,
) -> Ended {
    loop {
        let pieces = tokio::select! {
            () = stop.cancelled() => return Ok("backups"),
            Some(pieces) = wanted.recv() => pieces,
        };
        let (reply, snapshot) = oneshot::channel();
        snapshots.send(reply).await?;
        let snapshot = snapshot.await?;
        let taken_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        let head = BackupHead::new(taken_ms, &node, &cluster);
        let written = tokio::task::spawn_blocking(move || {
            let mut out = BufWriter::with_capacity(BACKUP_PIECE, Pieces(&pieces));
            let result = snapshot.and_then(|snapshot| snapshot.write(&head, &mut out));
            if let Err(error) = result {
                tracing::warn!(%error, "a backup was not finished");
                let _ = pieces.blocking_send(Err(io::Error::other(error.to_string())));
            }
        });
        tokio::select! {
            // Whoever took the backup learns that it is cut short.
            () = stop.cancelled() => return Ok("backups"),
            result = written => result?,
        }
    }
}

/// Bytes for the control interface.
struct Pieces<'p>(&'p admin::BackupRequest);

impl io::Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let gone = |_| io::Error::other("whoever wanted it has hung up");
        self.0.blocking_send(Ok(bytes.to_vec().into())).map_err(gone)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The zone files, and what the control interface sees and decides of them.
struct FilesTask {
    config: Config,
    metrics: Arc<Metrics>,
    held: watch::Sender<Arc<Vec<admin::Held>>>,
    decisions: mpsc::Receiver<DecisionRequest>,
    offer: mpsc::Sender<Vec<Zone>>,
    is_offer_wanted: bool,
}

impl FilesTask {
    async fn run(
        mut self,
        commands: mpsc::Sender<admin::CommandRequest>,
        published: watch::Receiver<Arc<ZoneSet>>,
        stop: CancellationToken,
    ) -> Ended {
        let (zones, data, metrics) = (self.config.zones, self.config.data, self.metrics);
        let wanted = self.is_offer_wanted;
        let opened = tokio::task::spawn_blocking(move || ZoneFiles::open(&zones, &data, wanted, metrics)).await?;
        let (files, contents) = opened?;
        // If the driver has ended the daemon is about to.
        let _ = self.offer.send(contents).await;
        let (handle, task) = files.start(commands, published, stop);
        let files::FilesHandle { mut held, requests } = handle;
        let mut task = std::pin::pin!(task);
        loop {
            self.held.send_replace(Arc::new(held.borrow_and_update().iter().map(shown).collect()));
            tokio::select! {
                () = &mut task => return Ok("the zone files"),
                changed = held.changed() => if changed.is_err() {
                    // Whoever holds files has ended, and with it the task is about to.
                    (&mut task).await;
                    return Ok("the zone files");
                },
                Some(request) = self.decisions.recv() => {
                    let _ = requests.send(request).await;
                }
            }
        }
    }
}

/// A held file as the control interface shows it.
fn shown(held: &files::Held) -> admin::Held {
    let diagnostics = held.diagnostics.iter().map(|diagnostic| admin::HeldDiagnostic {
        path: diagnostic.path.clone(),
        line: diagnostic.line,
        column: diagnostic.column,
        level: diagnostic.level.to_string(),
        message: diagnostic.message.clone(),
    });
    admin::Held {
        origin: held.origin.clone(),
        path: held.path.clone(),
        reason: held.reason.clone(),
        approvable: held.approvable,
        diagnostics: diagnostics.collect(),
        since_ms: held.since_ms,
    }
}

/// The service address, shared with the other nodes. A node serves it once it has something to serve: one that joins
/// after its first sync, one that restarts after a look at the cluster.
struct Service {
    config: Config,
    zones: Arc<Published>,
    server: Arc<Server>,
    cookies: Arc<CookieRoots>,
    metrics: Arc<Metrics>,
    views: Views,
}

impl Service {
    async fn run(self, stop: CancellationToken) -> Ended {
        if self.config.dns.anycast.is_empty() {
            stop.cancelled().await;
            return Ok("the service address");
        }
        let (views, zones) = (self.views, self.zones.clone());
        let ready = async {
            views.wait_for(|view| view.initialised && serves_all(view, &zones)).await;
            let alone = self.config.gossip.join.is_empty();
            let caught_up = views.wait_for(|view| view.synced || (alone && view.members.len() == 1));
            let _ = timeout(CATCH_UP_TIME, caught_up).await;
        };
        tokio::select! {
            () = ready => {}
            () = stop.cancelled() => return Ok("the service address"),
        }
        let shared = self.config.dns.anycast.iter().map(|&address| Listener { address, shared: true });
        let serve = serve_config(&self.config, shared.collect(), false, &self.cookies);
        let servers = Servers::bind(serve, self.zones, self.server, self.metrics)?;
        tracing::info!(service = ?servers.addresses(), "serving the service address");
        Ok(servers.run(stop).await.map(|()| "the service address")?)
    }
}

fn serves_all(view: &View, zones: &Published) -> bool {
    let zones = zones.load();
    view.zones.iter().all(|zone| zones.get(&zone.origin).is_some())
}

fn load_keys(config: &Config) -> anyhow::Result<Keyring> {
    let Some(path) = &config.gossip.key_file else { return Ok(Keyring::insecure()) };
    let loaded = Keyring::load(path)?;
    if loaded.exposed {
        tracing::warn!(path = %path.display(), "others than the owner can read the key file: chmod 600 it");
    }
    Ok(loaded.keyring)
}

/// What DNS cookies are made from: the cluster's key, so that what one node hands out the others accept. Without a key
/// anybody could make them, so then it is random and each node has its own.
fn cookie_roots(config: &Config, secrets: &Secrets) -> anyhow::Result<Arc<CookieRoots>> {
    let roots = if config.gossip.key_file.is_some() {
        secrets.cookie_roots()
    } else {
        let mut root = [0; 32];
        SysRng.try_fill_bytes(&mut root).context("the system has no random numbers")?;
        vec![root]
    };
    Ok(Arc::new(CookieRoots::new(roots).expect("a keyring is never empty")))
}

async fn node_config(config: &Config, bound: SocketAddr) -> anyhow::Result<NodeConfig> {
    let advertise = config.gossip.advertise.unwrap_or(bound);
    let mut random = [0; 16];
    SysRng.try_fill_bytes(&mut random).context("the system has no random numbers")?;
    let [id, seed] = [0, 8].map(|at| u64::from_le_bytes(*random[at..].first_chunk().expect("16 bytes hold two")));
    Ok(NodeConfig {
        name: config.name.clone(),
        cluster: config.cluster.clone(),
        gossip: advertise,
        id,
        // The driver resolves them, and again every now and then.
        seeds: Vec::new(),
        joins: !config.gossip.join.is_empty(),
        settings: Default::default(),
        seed,
    })
}

fn serve_config(config: &Config, listeners: Vec<Listener>, own: bool, cookies: &Arc<CookieRoots>) -> ServeConfig {
    let dns = &config.dns;
    ServeConfig {
        listeners,
        udp_workers: dns.workers,
        tcp: TcpLimits {
            max_connections: dns.tcp.max_connections,
            max_connections_per_client: dns.tcp.max_connections_per_client,
            idle_timeout: dns.tcp.idle_timeout,
            write_timeout: dns.tcp.write_timeout,
            ..TcpLimits::default()
        },
        allow_transfer: dns.allow_transfer.clone(),
        encrypted: dns.tls.as_ref().filter(|_| own).map(|tls| EncryptedConfig {
            tls: tls.listen.clone(),
            quic: tls.quic.clone(),
            certificate: tls.certificate.clone(),
            key: tls.key.clone(),
        }),
        cookies: Some(cookies.clone()),
        rate_limit: dns.rrl.clone(),
    }
}
