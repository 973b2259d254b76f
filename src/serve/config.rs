//! What a server is told: addresses, limits and certificates.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use super::{CookieRoots, RateLimit};

/// Everything that [`super::Servers::bind`] needs to know. `Default` listens on nothing.
#[derive(Clone, Debug)]
pub struct ServeConfig {
    /// Where DNS is served over UDP and TCP.
    pub listeners: Vec<Listener>,
    /// UDP threads for each listener. More than there are cores only adds switching between threads.
    pub udp_workers: usize,
    /// What TCP clients may take.
    pub tcp: TcpLimits,
    /// Who may transfer zones.
    pub allow_transfer: Vec<IpNet>,
    /// Where DNS is served over encrypted transports; `None` for nowhere.
    pub encrypted: Option<EncryptedConfig>,
    /// What DNS cookies are made from; without it there are none.
    pub cookies: Option<Arc<CookieRoots>>,
    /// How responses over UDP are limited, if they are.
    pub rate_limit: Option<RateLimit>,
}

/// One address, served over UDP and TCP on the same port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Listener {
    /// Address and port; with port 0 the system chooses one that is free for both protocols.
    pub address: SocketAddr,
    /// Whether other processes of this machine serve the same address, each getting a part of the clients. Of an
    /// address that is not shared, a second owner is an error.
    pub shared: bool,
}

/// What TCP and TLS clients may take together. Every limit trades memory and file descriptors against clients turned away; at
/// a limit on connections the one that has waited longest for a query makes room.
#[derive(Clone, Debug)]
pub struct TcpLimits {
    /// Connections at once over all listeners.
    pub max_connections: usize,
    /// Connections at once from one client: an IPv4 address or an IPv6 /64.
    pub max_connections_per_client: usize,
    /// How long a connection may go without completing a query (RFC 7766 §6.2.3).
    pub idle_timeout: Duration,
    /// How long a client may take to read what one write holds, about 64 KiB.
    pub write_timeout: Duration,
    /// The longest query in bytes; no sensible one comes near.
    pub max_query_bytes: usize,
    /// Zone transfers at once over all listeners.
    pub max_transfers: usize,
}

/// DNS over TLS (RFC 7858) and QUIC (RFC 9250).
#[derive(Clone, Debug)]
pub struct EncryptedConfig {
    /// Addresses for DNS over TLS, TCP port 853 by custom.
    pub tls: Vec<SocketAddr>,
    /// Addresses for DNS over QUIC, UDP port 853 by custom.
    pub quic: Vec<SocketAddr>,
    /// The certificate chain in PEM, the server's own certificate first.
    pub certificate: PathBuf,
    /// The private key in PEM: PKCS#8, PKCS#1 or SEC1.
    pub key: PathBuf,
}

impl Default for ServeConfig {
    fn default() -> ServeConfig {
        ServeConfig {
            listeners: Vec::new(),
            udp_workers: std::thread::available_parallelism().map_or(1, usize::from),
            tcp: TcpLimits::default(),
            allow_transfer: vec![
                IpNet::new_assert([127, 0, 0, 0].into(), 8),
                IpNet::new_assert(std::net::Ipv6Addr::LOCALHOST.into(), 128),
            ],
            encrypted: None,
            cookies: None,
            rate_limit: None,
        }
    }
}

impl Default for TcpLimits {
    fn default() -> TcpLimits {
        TcpLimits {
            max_connections: 1024,
            max_connections_per_client: 256,
            idle_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(10),
            max_query_bytes: 16 * 1024,
            max_transfers: 16,
        }
    }
}
