//! `grapevine config`: the configuration that `serve` would run with.

use super::control::JsonArgs;
use super::exit::{Exit, Failure};
use super::output::{print, print_json};
use super::settings::SettingsArgs;

/// Shows the configuration that `serve` would run with, and where each value comes from
#[derive(clap::Args, Debug)]
pub(super) struct ConfigArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(flatten)]
    json: JsonArgs,
}

pub(super) fn run(args: ConfigArgs) -> Result<Exit, Failure> {
    let text = args.settings.load()?.effective_toml();
    if args.json.json {
        let value: serde_json::Value = toml::from_str(&text).map_err(|error| Failure::new(Exit::Internal, error))?;
        print_json(&value)?;
    } else {
        print(&text)?;
    }
    Ok(Exit::Ok)
}
