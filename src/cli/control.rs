//! Finding the daemon that a command is about, and asking it.

use std::future::Future;
use std::path::{Path, PathBuf};

use clap::Args;

use super::exit::{Exit, Failure, OrExit};
use super::settings;
use crate::admin::Client;
use crate::config::Overrides;

/// The socket's name in a data directory.
const SOCKET_NAME: &str = "grapevine.sock";

/// Which daemon.
#[derive(Args, Debug)]
pub(super) struct ControlArgs {
    /// The daemon's control socket, or the data directory that it is in [default: as the configuration says, which
    /// without a file is data/grapevine.sock]
    #[arg(long, value_name = "PATH", env = "GRAPEVINE_CONTROL", hide_env_values = true)]
    control: Option<PathBuf>,
    /// The daemon's configuration file, to find its control socket by
    #[arg(long, value_name = "FILE", conflicts_with = "control")]
    config: Option<PathBuf>,
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
    pub(super) fn client(&self) -> Result<Client, Failure> {
        let path = match &self.control {
            Some(path) => socket_at(path),
            None => settings::load(&Overrides { config: self.config.clone(), ..Overrides::default() })?.control,
        };
        Ok(Client::new(&path))
    }
}

fn socket_at(path: &Path) -> PathBuf {
    if path.is_dir() { path.join(SOCKET_NAME) } else { path.to_owned() }
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
        assert_eq!(socket_at(directory.path()), directory.path().join("grapevine.sock"));
        assert_eq!(socket_at(Path::new("/run/x.sock")), Path::new("/run/x.sock"));
    }
}
