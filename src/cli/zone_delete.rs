//! `grapevine zone delete`: removes a zone from every node.

use super::confirm::ConfirmArgs;
use super::control::{ControlArgs, JsonArgs, ask};
use super::exit::{Exit, Failure};
use super::output::{print, print_json};
use crate::zone::Name;

/// Deletes a zone on every node
///
/// Removing a zone's file deletes nothing: a lost directory must not wipe a cluster. This command does. On a terminal it
/// asks first.
#[derive(clap::Args, Debug)]
pub(super) struct ZoneDeleteArgs {
    /// The zone
    origin: Name,
    #[command(flatten)]
    confirm: ConfirmArgs,
    #[command(flatten)]
    control: ControlArgs,
    #[command(flatten)]
    json: JsonArgs,
}

pub(super) fn run(args: &ZoneDeleteArgs) -> Result<Exit, Failure> {
    let client = args.control.client()?;
    if args.confirm.asks() {
        let zone = ask(client.zone(&args.origin))?.zone;
        let question = format!("Delete {} with {} records on every node?", args.origin, zone.records);
        args.confirm.ask(&question, "nothing was deleted")?;
    }
    let deleted = ask(client.delete(&args.origin))?;
    if args.json.json {
        print_json(&deleted)?;
    } else {
        print(&format!(
            "{} is deleted here (last serial {}); the other nodes follow\n",
            deleted.origin, deleted.serial
        ))?;
    }
    Ok(Exit::Ok)
}
