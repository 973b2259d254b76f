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

// Some tests share code with those outside of the crate, which know it by its name.
#[cfg(test)]
extern crate self as grapevine;

pub mod account;
pub mod admin;
pub mod answer;
pub mod cli;
pub mod codec;
pub mod config;
pub mod daemon;
pub mod decision;
pub mod files;
pub mod gossip;
pub mod master;
pub mod membership;
pub mod metrics;
pub mod node;
pub mod published;
pub mod replica;
pub mod serve;
pub mod store;
pub mod views;
pub mod zone;
