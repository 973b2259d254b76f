//! `grapevine zone delete`: removes a zone from every node.

use std::io::{self, BufRead, IsTerminal, Write};

use super::control::{ControlArgs, JsonArgs, ask};
use super::exit::{Exit, Failure, OrExit};
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
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    control: ControlArgs,
    #[command(flatten)]
    json: JsonArgs,
}

pub(super) fn run(args: &ZoneDeleteArgs) -> Result<Exit, Failure> {
    let client = args.control.client()?;
    if !args.yes && io::stdin().is_terminal() {
        let zone = ask(client.zone(&args.origin))?.zone;
        if !confirm(&format!("Delete {} with {} records on every node?", args.origin, zone.records))? {
            return Err(Failure::say(Exit::No, "nothing was deleted"));
        }
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

/// Asks on the terminal.
pub(super) fn confirm(question: &str) -> Result<bool, Failure> {
    write!(io::stderr(), "{question} [y/N] ").or_exit(Exit::Internal)?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).or_exit(Exit::Internal)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
