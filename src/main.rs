//! The `grapevine` binary: parse, run, exit code.

fn main() {}
