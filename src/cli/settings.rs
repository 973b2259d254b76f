//! The flags that set how a node runs; `serve` obeys them and `config` shows what comes of them.

use std::path::PathBuf;

/// How the node runs. A flag counts more than the configuration file, and that more than the default.
#[derive(clap::Args, Debug)]
pub(super) struct SettingsArgs {
    /// The configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// This node's name, unique in its cluster
    #[arg(long)]
    name: Option<String>,
    /// The cluster's name; nodes of another one are not listened to
    #[arg(long)]
    cluster: Option<String>,
    /// Answer DNS here, over UDP and TCP (repeat for more)
    #[arg(long, value_name = "ADDR:PORT")]
    dns: Vec<String>,
    /// Answer DNS here too, an address that several nodes share (repeat for more)
    #[arg(long, value_name = "ADDR:PORT")]
    anycast: Vec<String>,
    /// Answer DNS over TLS here
    #[arg(long, value_name = "ADDR:PORT")]
    tls: Option<String>,
    /// The certificate chain for DNS over TLS (PEM)
    #[arg(long, value_name = "FILE")]
    tls_cert: Option<PathBuf>,
    /// The private key for DNS over TLS (PEM)
    #[arg(long, value_name = "FILE")]
    tls_key: Option<PathBuf>,
    /// Talk to the other nodes here
    #[arg(long, value_name = "ADDR:PORT")]
    gossip: Option<String>,
    /// Tell the other nodes this address instead of the one gossip is bound to
    #[arg(long, value_name = "ADDR:PORT")]
    advertise: Option<String>,
    /// Join the cluster of this node, by name or address (repeat for more)
    #[arg(long, value_name = "HOST:PORT")]
    join: Vec<String>,
    /// The cluster's key, as `grapevine keygen` makes it
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Gossip without a key beyond loopback: anybody who reaches the port can change the zones
    #[arg(long)]
    insecure: bool,
    /// The directory of the zone files
    #[arg(long, value_name = "DIR")]
    zones: Option<PathBuf>,
    /// The directory of the node's state
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The control socket [default: grapevine.sock in the data directory]
    #[arg(long, value_name = "PATH", env = "GRAPEVINE_CONTROL", hide_env_values = true)]
    control: Option<PathBuf>,
    /// Who may transfer zones (AXFR), as an address or a network (repeat for more)
    #[arg(long, value_name = "NET")]
    allow_transfer: Vec<String>,
    /// Threads that answer DNS over UDP [default: one for each core]
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// What to log: error, warn, info, debug, trace, or a filter such as grapevine::gossip=debug
    #[arg(long, value_name = "FILTER")]
    log_level: Option<String>,
    /// How to log: text or json
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
}
