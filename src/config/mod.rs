//! The configuration of a node: flags over a TOML file over defaults, checked as a whole before anything starts.
//!
//! Whatever is wrong is reported at once, each with its file, line and column or its flag, and with what would be
//! right. [`Settings`](SETTINGS) lists every setting once: the file, the flags and `grapevine config` all follow it.

mod effective;
mod error;
mod file;
mod layers;
mod load;
mod rules;
mod seed;
mod settings;
mod value;

#[cfg(test)]
mod tests;

pub use error::{ConfigError, ConfigErrors, Place};
pub use load::{Config, DnsConfig, GossipConfig, HistoryConfig, LogConfig, LogFormat, Overrides, TcpConfig, TlsConfig};
pub use seed::{GOSSIP_PORT, Seed};
pub use settings::{SETTINGS, Setting};
