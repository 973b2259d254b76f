//! The three stock checkers (Debian packages bind9-utils, knot-dnssecutils and nsd), run as an operator runs them.

use std::path::Path;
use std::process::{Command, Stdio};

/// The origin that every generated file is checked for.
pub(crate) const ORIGIN: &str = "example.";

/// What a tool said of a file.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    /// Whether it accepted the file, by its exit status.
    pub(crate) accepts: bool,
    /// What it wrote, to standard output and to standard error.
    pub(crate) words: String,
    /// What it wrote to standard output.
    pub(crate) printed: Vec<u8>,
}

/// BIND's, Knot's and NSD's checkers in this order.
pub(crate) const CHECKERS: [&str; 3] = ["named-checkzone", "kzonecheck", "nsd-checkzone"];

/// What each of [`CHECKERS`] says of a file.
pub(crate) fn ask(directory: &Path, file: &str, origin: &str) -> [Said; 3] {
    CHECKERS.map(|checker| match checker {
        "kzonecheck" => run(directory, checker, &["-o", origin, file]),
        _ => run(directory, checker, &[origin, file]),
    })
}

/// Whether two of three accept.
pub(crate) fn majority(said: &[Said; 3]) -> bool {
    said.iter().filter(|said| said.accepts).count() >= 2
}

/// Runs a checker in a directory.
pub(crate) fn run(directory: &Path, tool: &str, arguments: &[&str]) -> Said {
    // The servers' tools are in sbin, which a user's PATH leaves out.
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new(tool);
    command.args(arguments).current_dir(directory).env("PATH", path).stdin(Stdio::null());
    let output = command.output().unwrap_or_else(|error| panic!("{tool}: {error}; `scripts/setup test` installs it"));
    let words = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat();
    Said { accepts: output.status.success(), words, printed: output.stdout }
}
