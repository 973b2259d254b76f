//! `grapevine serve`: runs a node until it is told to stop.

use super::exit::{Exit, Failure};
use super::settings::SettingsArgs;

/// Runs a node
///
/// Without flags and without a configuration file it is a node of its own on loopback: it serves ./zones on
/// 127.0.0.1:5300 and keeps its state in ./data.
#[derive(clap::Args, Debug)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    settings: SettingsArgs,
}

pub(super) fn run(args: ServeArgs) -> Result<Exit, Failure> {
    let config = args.settings.load()?;
    crate::daemon::run(config).map(|()| Exit::Ok).map_err(|error| Failure::new(Exit::No, error))
}
