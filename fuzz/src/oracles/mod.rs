//! What must hold for any bytes at all, one function a fuzz target. Each panics where it does not.
//!
//! The fuzz targets call these with what libFuzzer makes up; the main crate's `tests/fuzz_corpora.rs` with what it made
//! up before. So there is one oracle, and a finding stays a test.

pub mod gossip_frame;
#[path = "../../../tests/sim/kept.rs"]
mod kept;
pub mod master_file;
mod message;
pub mod query;
pub mod rdata_text;
