//! `grapevine zone diff`: in what two versions of a zone differ.

use super::control::{ControlArgs, JsonArgs, ask};
use super::exit::{Exit, Failure};
use super::output::{print, print_json};
use crate::zone::Name;

/// Shows in what two versions of a zone differ, record by record
#[derive(clap::Args, Debug)]
pub(super) struct ZoneDiffArgs {
    /// The zone
    origin: Name,
    /// The serial of the one version
    #[arg(value_name = "SERIAL")]
    from: u32,
    /// The serial of the other [default: the one served]
    #[arg(value_name = "SERIAL")]
    to: Option<u32>,
    #[command(flatten)]
    control: ControlArgs,
    #[command(flatten)]
    json: JsonArgs,
}

pub(super) fn run(args: &ZoneDiffArgs) -> Result<Exit, Failure> {
    let diff = ask(args.control.client()?.diff(&args.origin, args.from, args.to))?;
    if args.json.json {
        print_json(&diff)?;
    } else {
        print(&format!("--- {0} {1}\n+++ {0} {2}\n{3}", diff.origin, diff.from, diff.to, lines(&diff.changes)))?;
    }
    Ok(Exit::Ok)
}

pub(super) fn lines(changes: &[String]) -> String {
    changes.iter().map(|change| format!("{change}\n")).collect()
}
