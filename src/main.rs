//! The `grapevine` binary: parse, run, exit code.

use std::process::ExitCode;

/// Gives memory back after a large zone was read, and keeps the many small blocks of zones close together.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    grapevine::cli::run(std::env::args_os().collect::<Vec<_>>()).into()
}
