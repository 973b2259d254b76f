//! `grapevine zone drop`: settles a conflict between incarnations of a zone by dropping one that is not served.

use super::control::{ControlArgs, JsonArgs, ask};
use super::exit::{Exit, Failure};
use super::output::{print, print_json};
use crate::zone::Name;

/// Drops, on every node, an incarnation of a zone that is not served
///
/// Take from it first what should stay: `grapevine zone show ORIGIN --incarnation ID`.
#[derive(clap::Args, Debug)]
pub(super) struct ZoneDropArgs {
    /// The zone
    origin: Name,
    /// The incarnation, or as much of its id as no other begins with; `grapevine conflicts` lists them
    incarnation: String,
    #[command(flatten)]
    control: ControlArgs,
    #[command(flatten)]
    json: JsonArgs,
}

pub(super) fn run(args: &ZoneDropArgs) -> Result<Exit, Failure> {
    let dropped = ask(args.control.client()?.drop_incarnation(&args.origin, &args.incarnation))?;
    if args.json.json {
        print_json(&dropped)?;
    } else {
        print(&format!(
            "incarnation {} of {} is dropped here; the other nodes follow\n",
            dropped.incarnation, dropped.origin
        ))?;
    }
    Ok(Exit::Ok)
}
