//! `grapevine zone show`: a version of a zone as a master file.

use super::control::{ControlArgs, JsonArgs, ask};
use super::exit::{Exit, Failure};
use super::output::{print, print_json};
use crate::zone::Name;

/// Prints a zone as a master file: as it is served, as it was, or another incarnation of it
#[derive(clap::Args, Debug)]
pub(super) struct ZoneShowArgs {
    /// The zone; one that was deleted can be shown as it was
    origin: Name,
    /// As it was under this serial on this node; `grapevine zone log` lists them
    #[arg(long, value_name = "SERIAL")]
    at: Option<u32>,
    /// An incarnation, served or not; `grapevine conflicts` lists them
    #[arg(long, value_name = "ID", conflicts_with = "at")]
    incarnation: Option<String>,
    #[command(flatten)]
    control: ControlArgs,
    #[command(flatten)]
    json: JsonArgs,
}

pub(super) fn run(args: &ZoneShowArgs) -> Result<Exit, Failure> {
    let version = ask(args.control.client()?.show(&args.origin, args.at, args.incarnation.as_deref()))?;
    if args.json.json {
        print_json(&version)?
    } else {
        print(&version.text)?
    }
    Ok(Exit::Ok)
}
