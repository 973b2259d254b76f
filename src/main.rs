//! The `grapevine` binary: parse, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    grapevine::cli::run(std::env::args_os().collect::<Vec<_>>()).into()
}
