//! Finding the daemon that a command is about, and asking it.

use std::future::Future;
use std::path::{Path, PathBuf};

use clap::Args;

use super::exit::{Exit, Failure, OrExit};
use crate::admin::Client;

/// The socket's name in a data directory.
const SOCKET_NAME: &str = "grapevine.sock";

/// Where a daemon started without flags keeps its data.
const DEFAULT_DATA_DIR: &str = "./data";

/// Which daemon.
#[derive(Args, Debug)]
pub(super) struct ControlArgs {
    /// The daemon's control socket, or the data directory that it is in [default: ./data/grapevine.sock]
    #[arg(long, value_name = "PATH", env = "GRAPEVINE_CONTROL", hide_env_values = true)]
    control: Option<PathBuf>,
}

/// Whether to print JSON.
#[derive(Args, Debug)]
pub(super) struct JsonArgs {
    /// Print JSON instead of text
    #[arg(long)]
    pub(super) json: bool,
}

impl ControlArgs {
    /// A client of the daemon.
    pub(super) fn client(&self) -> Client {
        Client::new(&socket_path(self.control.as_deref()))
    }
}

fn socket_path(given: Option<&Path>) -> PathBuf {
    match given {
        None => Path::new(DEFAULT_DATA_DIR).join(SOCKET_NAME),
        Some(path) if path.is_dir() => path.join(SOCKET_NAME),
        Some(path) => path.to_owned(),
    }
}

/// Runs one request to its end.
pub(super) fn ask<T, E>(request: impl Future<Output = Result<T, E>>) -> Result<T, Failure>
where
    Failure: From<E>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().or_exit(Exit::Internal)?;
    Ok(runtime.block_on(request)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_directory_stands_for_the_socket_in_it() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        assert_eq!(socket_path(Some(directory.path())), directory.path().join("grapevine.sock"));
        assert_eq!(socket_path(Some(Path::new("/run/x.sock"))), Path::new("/run/x.sock"));
        assert_eq!(socket_path(None), Path::new("./data/grapevine.sock"));
    }
}
