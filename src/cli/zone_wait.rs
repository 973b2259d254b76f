//! `grapevine zone wait`: returns when a zone is as wanted, for scripts that edit and go on.

use std::time::Duration;

use super::control::{ControlArgs, JsonArgs, ask};
use super::exit::{Exit, Failure};
use super::output::{print, print_json};
use super::zones::same_on;
use crate::admin::{Condition, MAX_WAIT};
use crate::zone::Name;

/// Waits until a zone is as wanted; every condition given must hold at once
#[derive(clap::Args, Debug)]
#[command(group = clap::ArgGroup::new("condition").required(true).multiple(true).args(["converged", "serial", "live"]))]
pub(super) struct ZoneWaitArgs {
    /// The zone
    origin: Name,
    /// Until its content is the same on every live member
    #[arg(long)]
    converged: bool,
    /// Until its serial is this one or newer
    #[arg(long, value_name = "N")]
    serial: Option<u32>,
    /// Until at least so many members are alive, this node counted
    #[arg(long, value_name = "N")]
    live: Option<usize>,
    /// How long to wait at most, as 30s or 2m
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_timeout)]
    timeout: Duration,
    #[command(flatten)]
    control: ControlArgs,
    #[command(flatten)]
    json: JsonArgs,
}

pub(super) fn run(args: &ZoneWaitArgs) -> Result<Exit, Failure> {
    let condition = Condition { converged: args.converged, live: args.live, serial: args.serial };
    let report = ask(args.control.client()?.wait(&args.origin, condition, args.timeout))?;
    if args.json.json {
        print_json(&report)?;
        return Ok(if report.reached { Exit::Ok } else { Exit::No });
    }
    let state = match &report.zone {
        Some(zone) => format!("serial {}, same on {} live members", zone.serial, same_on(zone)),
        None => "this node has no zone of that name (`grapevine zones` lists them)".to_owned(),
    };
    if !report.reached {
        let limit = humantime::format_duration(args.timeout);
        return Err(Failure::say(Exit::No, format_args!("waited {limit} in vain for {}: {state}", args.origin)));
    }
    print(&format!("{}: {state}\n", args.origin))?;
    Ok(Exit::Ok)
}

pub(super) fn parse_timeout(text: &str) -> Result<Duration, String> {
    let timeout = humantime::parse_duration(text).map_err(|error| format!("{error}; write it as 30s or 2m"))?;
    if timeout > MAX_WAIT {
        return Err(format!("at most {}", humantime::format_duration(MAX_WAIT)));
    }
    Ok(timeout)
}
