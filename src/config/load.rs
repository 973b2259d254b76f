//! The configuration as the daemon uses it, and how it is put together.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;

use super::file::Source;
use super::layers::{Effective, Layers};
use super::settings::*;
use super::value::{Age, Label, LogFilter, Number, Size, Value};
use super::{ConfigErrors, GOSSIP_PORT, Seed, rules};
use crate::serve::{RateLimit, TcpLimits};

/// Where a configuration file is looked for, if none is named: beside the person, then in the system's place.
const USUAL_FILES: [&str; 2] = ["grapevine.toml", "/etc/grapevine/grapevine.toml"];

/// A node's whole configuration, checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// The node's name, one label.
    pub name: String,
    /// The cluster's name, one label.
    pub cluster: String,
    /// The directory of the zone files.
    pub zones: PathBuf,
    /// The directory of the node's own data.
    pub data: PathBuf,
    /// The path of the control socket.
    pub control: PathBuf,
    /// Answering.
    pub dns: DnsConfig,
    /// Talking to the other nodes.
    pub gossip: GossipConfig,
    /// The history of zones.
    pub history: HistoryConfig,
    /// Logging.
    pub log: LogConfig,
    /// The file that was read, if there was one.
    pub file: Option<PathBuf>,
    pub(super) effective: Vec<Effective>,
}

/// How DNS is answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DnsConfig {
    /// This node's own addresses, UDP and TCP.
    pub listen: Vec<SocketAddr>,
    /// Addresses shared with other nodes.
    pub anycast: Vec<SocketAddr>,
    /// Who may transfer zones.
    pub allow_transfer: Vec<IpNet>,
    /// The longest UDP response in bytes.
    pub max_udp_payload: u16,
    /// Whether answers leave out what nobody needs for them.
    pub minimal_responses: bool,
    /// Whether RRsets begin with another record from query to query.
    pub rotate: bool,
    /// Whether clients that use cookies are answered over UDP only with a good one.
    pub strict_cookies: bool,
    /// UDP threads on each address.
    pub workers: usize,
    /// Limits on TCP.
    pub tcp: TcpConfig,
    /// The limit on responses over UDP, if there is one.
    pub rrl: Option<RateLimit>,
    /// DNS over TLS and QUIC, if they are to be served.
    pub tls: Option<TlsConfig>,
}

/// What TCP clients may take.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TcpConfig {
    /// Connections at once.
    pub max_connections: usize,
    /// Connections at once from one client.
    pub max_connections_per_client: usize,
    /// How long a connection may go without a query.
    pub idle_timeout: Duration,
    /// How long a client may take to read a part of a response.
    pub write_timeout: Duration,
}

/// DNS over TLS.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsConfig {
    /// Where over TLS.
    pub listen: Vec<SocketAddr>,
    /// Where over QUIC.
    pub quic: Vec<SocketAddr>,
    /// The certificate chain, PEM.
    pub certificate: PathBuf,
    /// The private key, PEM.
    pub key: PathBuf,
}

/// How nodes find and hear each other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GossipConfig {
    /// Where the node listens, UDP and TCP.
    pub listen: SocketAddr,
    /// By which address others reach it, if not by the one it listens on.
    pub advertise: Option<SocketAddr>,
    /// Members to find the cluster by.
    pub join: Vec<Seed>,
    /// The cluster's keys.
    pub key_file: Option<PathBuf>,
    /// Whether gossip without a key may leave the machine.
    pub insecure: bool,
}

/// How much history of zones is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HistoryConfig {
    /// For how long.
    pub keep: Duration,
    /// How many edits of each zone.
    pub edits: u32,
    /// How many bytes over all zones.
    pub bytes: u64,
}

/// What is logged and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogConfig {
    /// A filter as `tracing_subscriber::EnvFilter` reads it: a level, or levels by module.
    pub level: String,
    /// The form.
    pub format: LogFormat,
}

/// The form of log lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What was given on the command line, as it was written. What is not given is `None`, empty or false.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[expect(missing_docs, reason = "each field is named after the flag that SETTINGS describes")]
pub struct Overrides {
    /// The configuration file, `--config`; it must exist.
    pub config: Option<PathBuf>,
    pub name: Option<String>,
    pub cluster: Option<String>,
    pub zones: Option<String>,
    pub data: Option<String>,
    pub control: Option<String>,
    pub dns: Vec<String>,
    pub anycast: Vec<String>,
    pub allow_transfer: Vec<String>,
    pub workers: Option<String>,
    pub gossip: Option<String>,
    pub advertise: Option<String>,
    pub join: Vec<String>,
    pub key_file: Option<String>,
    pub insecure: bool,
    pub log_level: Option<String>,
    pub log_format: Option<String>,
}

impl Config {
    /// Puts flags over the configuration file over the defaults and checks the whole.
    pub fn load(overrides: &Overrides) -> Result<Config, ConfigErrors> {
        Config::load_among(overrides, &USUAL_FILES.map(Path::new))
    }

    /// As [`Config::load`], with other places to look for a file.
    pub(super) fn load_among(overrides: &Overrides, usual: &[&Path]) -> Result<Config, ConfigErrors> {
        let source = Source::find(overrides.config.as_deref(), usual).map_err(|error| ConfigErrors(vec![error]))?;
        let mut layers = Layers { document: source.as_ref().map(Source::parse), ..Layers::default() };
        if let Some(document) = &mut layers.document {
            layers.errors.append(&mut document.errors);
        }
        let mut config = read(&mut layers, overrides);
        // Rules between settings would only add confusion to values that are wrong by themselves.
        if layers.errors.is_empty() {
            rules::check(&config, &mut layers);
        }
        if layers.errors.is_empty() {
            config.file = source.as_ref().map(|source| source.path.clone());
            config.effective = layers.effective;
            Ok(config)
        } else {
            layers.errors.sort();
            Err(ConfigErrors(layers.errors))
        }
    }
}

/// Reads every setting, in the order of [`SETTINGS`].
fn read(layers: &mut Layers<'_>, flags: &Overrides) -> Config {
    let name = layers.one(NAME, flags.name.as_deref(), default_name()).0;
    let cluster = layers.one(CLUSTER, flags.cluster.as_deref(), Label("grapevine".to_owned())).0;
    let zones = layers.one(ZONES, flags.zones.as_deref(), PathBuf::from("zones"));
    let data = layers.one(DATA, flags.data.as_deref(), PathBuf::from("data"));
    let control = layers.one(CONTROL, flags.control.as_deref(), data.join("grapevine.sock"));
    let (dns, gossip) = (read_dns(layers, flags), read_gossip(layers, flags));
    let (history, log) = (read_history(layers), read_log(layers, flags));
    Config { name, cluster, zones, data, control, dns, gossip, history, log, file: None, effective: Vec::new() }
}

fn read_dns(layers: &mut Layers<'_>, flags: &Overrides) -> DnsConfig {
    let loopback =
        vec![IpNet::new_assert(Ipv4Addr::new(127, 0, 0, 0).into(), 8), IpAddr::from(Ipv6Addr::LOCALHOST).into()];
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
    DnsConfig {
        listen: layers.list(DNS_LISTEN, &flags.dns, vec![SocketAddr::from(([127, 0, 0, 1], 5300))]),
        anycast: layers.list(DNS_ANYCAST, &flags.anycast, Vec::new()),
        allow_transfer: layers.list(DNS_ALLOW_TRANSFER, &flags.allow_transfer, loopback),
        // 512 is the least that a client accepts (RFC 1035 §4.2.1).
        max_udp_payload: layers.one(DNS_MAX_UDP_PAYLOAD, None, Number::<512, 65535>(1232)).0 as u16,
        minimal_responses: layers.one(DNS_MINIMAL_RESPONSES, None, false),
        rotate: layers.one(DNS_ROTATE, None, false),
        strict_cookies: layers.one(DNS_STRICT_COOKIES, None, false),
        workers: layers.one(DNS_WORKERS, flags.workers.as_deref(), Number::<1, 1024>(cores.min(1024))).0 as usize,
        tcp: read_tcp(layers),
        rrl: read_rrl(layers),
        tls: read_tls(layers),
    }
}

fn read_tcp(layers: &mut Layers<'_>) -> TcpConfig {
    let usual = TcpLimits::default();
    let mut count = |setting, usual: usize| layers.one(setting, None, Number::<1, 1_000_000>(usual as u32)).0 as usize;
    TcpConfig {
        max_connections: count(TCP_MAX_CONNECTIONS, usual.max_connections),
        max_connections_per_client: count(TCP_MAX_PER_CLIENT, usual.max_connections_per_client),
        idle_timeout: layers.one(TCP_IDLE_TIMEOUT, None, usual.idle_timeout),
        write_timeout: layers.one(TCP_WRITE_TIMEOUT, None, usual.write_timeout),
    }
}

fn read_rrl(layers: &mut Layers<'_>) -> Option<RateLimit> {
    // Prefixes, slip and window are those of BIND and NSD.
    let rrl = RateLimit {
        rate: layers.one(RRL_RATE, None, Number::<0, 100_000>(0)).0,
        slip: layers.one(RRL_SLIP, None, Number::<0, 100>(2)).0,
        window: layers.one(RRL_WINDOW, None, Duration::from_secs(15)),
        ipv4_prefix: layers.one(RRL_IPV4_PREFIX, None, Number::<8, 32>(24)).0 as u8,
        ipv6_prefix: layers.one(RRL_IPV6_PREFIX, None, Number::<16, 128>(56)).0 as u8,
        exempt: layers.list(RRL_EXEMPT, &[], Vec::new()),
    };
    (rrl.rate > 0).then_some(rrl)
}

fn read_tls(layers: &mut Layers<'_>) -> Option<TlsConfig> {
    let listen: Vec<SocketAddr> = layers.list(TLS_LISTEN, &[], Vec::new());
    let quic: Vec<SocketAddr> = layers.list(TLS_QUIC, &[], Vec::new());
    let certificate: Option<PathBuf> = layers.maybe(TLS_CERTIFICATE, None);
    let key: Option<PathBuf> = layers.maybe(TLS_KEY, None);
    let all = "DNS over TLS takes dns.tls.listen (or dns.tls.quic), dns.tls.certificate and dns.tls.key together";
    let served = if listen.is_empty() { (!quic.is_empty()).then_some(TLS_QUIC) } else { Some(TLS_LISTEN) };
    match (served, certificate, key) {
        (Some(_), Some(certificate), Some(key)) => return Some(TlsConfig { listen, quic, certificate, key }),
        (None, None, None) => {}
        (Some(setting), ..) => layers.blame(setting, all.to_owned()),
        (None, Some(_), _) => layers.blame(TLS_CERTIFICATE, all.to_owned()),
        (None, None, Some(_)) => layers.blame(TLS_KEY, all.to_owned()),
    }
    None
}

fn read_gossip(layers: &mut Layers<'_>, flags: &Overrides) -> GossipConfig {
    let loopback = SocketAddr::from(([127, 0, 0, 1], GOSSIP_PORT));
    GossipConfig {
        listen: layers.one(GOSSIP_LISTEN, flags.gossip.as_deref(), loopback),
        advertise: layers.maybe(GOSSIP_ADVERTISE, flags.advertise.as_deref()),
        join: layers.list(GOSSIP_JOIN, &flags.join, Vec::new()),
        key_file: layers.maybe(GOSSIP_KEY_FILE, flags.key_file.as_deref()),
        insecure: layers.one(GOSSIP_INSECURE, flags.insecure.then_some("true"), false),
    }
}

fn read_history(layers: &mut Layers<'_>) -> HistoryConfig {
    // A quarter of a year covers what people look back for; the other two bound what scripts can make of it.
    HistoryConfig {
        keep: layers.one(HISTORY_KEEP, None, Age(Duration::from_secs(90 * 86_400))).0,
        edits: layers.one(HISTORY_EDITS, None, Number::<1, 100_000_000>(10_000)).0,
        bytes: layers.one(HISTORY_BYTES, None, Size(256 << 20)).0,
    }
}

fn read_log(layers: &mut Layers<'_>, flags: &Overrides) -> LogConfig {
    LogConfig {
        level: layers.one(LOG_LEVEL, flags.log_level.as_deref(), LogFilter("info".to_owned())).0,
        format: layers.one(LOG_FORMAT, flags.log_format.as_deref(), LogFormat::Text),
    }
}

/// The machine's own name, as far as it makes a label.
fn default_name() -> Label {
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| std::fs::read_to_string("/etc/hostname"))
        .unwrap_or_default();
    Label::parse(hostname.trim().split('.').next().unwrap_or_default()).unwrap_or(Label("grapevine".to_owned()))
}
