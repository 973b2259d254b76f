//! `grapevine version`: which program this is.

use serde::Serialize;

use super::control::JsonArgs;
use super::exit::{Exit, Failure};
use super::output::{print, print_json};

/// Shows the version of this program
#[derive(clap::Args, Debug)]
pub(super) struct VersionArgs {
    #[command(flatten)]
    json: JsonArgs,
}

#[derive(Serialize)]
struct Version {
    version: &'static str,
}

pub(super) fn run(args: &VersionArgs) -> Result<Exit, Failure> {
    let version = env!("CARGO_PKG_VERSION");
    if args.json.json {
        print_json(&Version { version })?
    } else {
        print(&format!("grapevine {version}\n"))?
    }
    Ok(Exit::Ok)
}
