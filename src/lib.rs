//! Grapevine: N equal nodes that answer DNS as one server.
//!
//! ```text
//! main ── cli ── daemon ── config
//!                  │
//!   shell          ├── gossip ──► node          sockets, disk, clocks
//!                  ├── serve ───► answer
//!                  ├── files ───► master
//!                  ├── store ───► replica
//!                  └── admin
//!   core           node ──► membership, replica ──► zone ◄── answer, master
//! ```
//!
//! The core is pure and deterministic: time, randomness and bytes are passed in. `tests/tidy.rs` enforces the arrows.

pub mod answer;
pub mod codec;
pub mod config;
pub mod files;
pub mod master;
pub mod metrics;
pub mod node;
pub mod replica;
pub mod store;
pub mod zone;
