//! `grapevine zone approve` and `grapevine zone reject`: what becomes of a file that is held.

use super::control::{ControlArgs, JsonArgs, ask};
use super::exit::{Exit, Failure};
use super::output::{print, print_json};
use crate::decision::Decision;
use crate::zone::Name;

/// A zone whose file is held, as `grapevine status` shows
#[derive(clap::Args, Debug)]
pub(super) struct ZoneDecideArgs {
    /// The zone
    origin: Name,
    #[command(flatten)]
    control: ControlArgs,
    #[command(flatten)]
    json: JsonArgs,
}

pub(super) fn run(args: &ZoneDecideArgs, decision: Decision) -> Result<Exit, Failure> {
    let decided = ask(args.control.client()?.decide(&args.origin, decision))?;
    if args.json.json {
        print_json(&decided)?;
    } else {
        print(&format!("{}: {}\n", decided.origin, decided.outcome))?;
    }
    Ok(Exit::Ok)
}
