//! Standard output. A reader that has gone, as in `grapevine zones | head -1`, is not an error.

use std::io::{self, ErrorKind, Write};

use serde::Serialize;

use super::exit::{Exit, Failure};

/// Writes the text as it is.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::say(Exit::Internal, format_args!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes a value as JSON for people to read and programs to parse.
pub(super) fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let mut text = serde_json::to_string_pretty(value).map_err(|error| Failure::new(Exit::Internal, error))?;
    text.push('\n');
    print(&text)
}
