//! Gossip's shell: the loop that drives the node, and the transports between nodes.
//!
//! One datagram carries one message, sealed; one stream carries requests and responses of any size, under Noise. Both
//! use the keys of one ring and are bound to the cluster's name, so that nothing from outside reaches the core.
//! Decides nothing: what to send and what to make of it is the core's.

mod datagram;
mod driver;
mod endpoint;
mod inbound;
mod key;
mod noise;
mod outbound;
mod replay;
mod seal;
mod secrets;
mod seeds;
#[cfg(test)]
mod tests;

pub use driver::{Core, Driver, DriverError, Options, Ports, SystemClock};
pub use endpoint::{BindError, Endpoint};
pub use key::{ClusterKey, KeyError, KeyId, Keyring, LoadedKeyring};
pub use noise::{NoiseStream, StreamError};
pub use seal::{MAX_PAYLOAD, OpenError, Sealer};
pub use secrets::Secrets;
