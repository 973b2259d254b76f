//! The command line: what it takes, one file per command, and how each ends.
//!
//! Commands other than `serve` talk to a running daemon through [`crate::admin::Client`] or work on files alone. They
//! print to standard output only what was asked for, and everything else to standard error.

mod age;
mod args;
mod backup;
mod config;
mod confirm;
mod conflicts;
mod control;
mod exit;
mod keygen;
mod members;
mod metrics;
mod output;
mod record;
mod serve;
mod settings;
mod status;
mod table;
mod version;
mod zone_blame;
mod zone_check;
mod zone_decide;
mod zone_delete;
mod zone_diff;
mod zone_drop;
mod zone_log;
mod zone_rollback;
mod zone_show;
mod zone_wait;
mod zones;

pub use args::run;
pub use exit::Exit;
