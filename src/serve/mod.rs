//! Serving DNS: sockets around [`crate::answer::answer`].
//!
//! Every transport passes the bytes it received to `answer` and sends the bytes that come back; none looks anything up.
//! UDP runs on threads of its own (`udp`), TCP and TLS (`tcp`, `tls`, `connection`) on tokio, QUIC (`quic`) in
//! hickory-server. [`Servers::bind`] opens everything or explains what cannot be opened; [`Servers::run`] serves until
//! cancelled and then answers what has already arrived.
//!
//! **A shared service address** is one that several processes of a machine, or several machines, serve. On one machine
//! its sockets carry SO_REUSEPORT and the kernel gives each client's packets to one of them. A process that stops drains
//! its sockets before it closes them. From one that is killed the kernel takes them away at once: what was queued in
//! them is lost, later queries go to the others. Nothing could be done about that from here. On several machines routing
//! does the same, by what announces the address.

mod admission;
mod bind;
mod config;
mod connection;
mod cookies;
mod frames;
mod moderation;
mod packet_cache;
mod precedence;
mod quic;
mod rate_limit;
mod responder;
mod servers;
mod stream;
mod sys;
mod tcp;
mod tls;
mod udp;

pub use bind::BindError;
pub use config::{EncryptedConfig, Listener, ServeConfig, TcpLimits};
pub use cookies::CookieRoots;
pub use rate_limit::RateLimit;
pub use servers::{ServeError, Servers};
pub(crate) use sys::give_back_memory_at_once;
