//! `grapevine zone rollback`: makes a zone say what it said before, by a new edit.

use std::io::{self, Write};

use super::confirm::ConfirmArgs;
use super::control::{ControlArgs, JsonArgs, ask};
use super::exit::{Exit, Failure};
use super::output::{print, print_json};
use super::zone_diff::lines;
use crate::zone::Name;

/// Makes a zone say what it said under an earlier serial
///
/// This is a new edit like any other: the serial rises, all nodes follow, and it can be rolled back in turn. What it
/// changes is printed; on a terminal it asks first.
#[derive(clap::Args, Debug)]
pub(super) struct ZoneRollbackArgs {
    /// The zone
    origin: Name,
    /// The serial of the version to go back to; `grapevine zone log` lists them
    serial: u32,
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    confirm: ConfirmArgs,
    #[command(flatten)]
    control: ControlArgs,
    #[command(flatten)]
    json: JsonArgs,
}

pub(super) fn run(args: &ZoneRollbackArgs) -> Result<Exit, Failure> {
    let client = args.control.client()?;
    if !args.dry_run && args.confirm.asks() {
        let plan = ask(client.rollback(&args.origin, args.serial, true))?;
        eprint_lines(&plan.changes);
        if !plan.changes.is_empty() {
            args.confirm.ask(&format!("Make these {} changes?", plan.changes.len()), "nothing was changed")?;
        }
    }
    let done = ask(client.rollback(&args.origin, args.serial, args.dry_run))?;
    if args.json.json {
        print_json(&done)?;
        return Ok(Exit::Ok);
    }
    let outcome = match done.serial {
        Some(serial) => format!("{} is as it was at serial {}; its serial is now {serial}", done.origin, done.to),
        None if done.changes.is_empty() => {
            format!("{} says what it said at serial {}: nothing to change", done.origin, done.to)
        }
        None => format!("nothing was changed: {} stays at serial {}", done.origin, done.from),
    };
    print(&format!("{}{outcome}\n", lines(&done.changes)))?;
    Ok(Exit::Ok)
}

fn eprint_lines(changes: &[String]) {
    // With standard error closed there is nobody to ask either.
    let _ = write!(io::stderr(), "{}", lines(changes));
}
