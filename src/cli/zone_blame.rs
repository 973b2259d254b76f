//! `grapevine zone blame`: which edit each record of a zone comes from.

use std::fmt::Write;

use super::control::{ControlArgs, JsonArgs, ask};
use super::exit::{Exit, Failure};
use super::output::{print, print_json};
use super::zone_log::{by, moment};
use crate::admin::BlamedRecord;
use crate::zone::Name;

/// How much of an author's id is shown: enough to tell them apart.
const ACTOR_SHOWN: usize = 8;

/// Shows for each record who put it there, when, where and with which serial
#[derive(clap::Args, Debug)]
pub(super) struct ZoneBlameArgs {
    /// The zone
    origin: Name,
    /// Only the records of this name
    name: Option<Name>,
    #[command(flatten)]
    control: ControlArgs,
    #[command(flatten)]
    json: JsonArgs,
}

pub(super) fn run(args: &ZoneBlameArgs) -> Result<Exit, Failure> {
    let blame = ask(args.control.client()?.blame(&args.origin, args.name.as_ref()))?;
    if args.json.json {
        print_json(&blame)?;
    } else {
        let mut text = String::new();
        for record in &blame.records {
            let shadowed = if record.served { "" } else { "  (shadowed: see `grapevine conflicts`)" };
            writeln!(text, "{}{shadowed}\n    {}", record.record, origin_of(record)).expect("a string takes all");
        }
        print(&text)?;
    }
    if blame.records.is_empty() {
        return Err(Failure::say(Exit::No, format_args!("{} has no records of that name", args.origin)));
    }
    Ok(Exit::Ok)
}

/// `serial 7, 2026-11-23T04:46:06Z, by alice on ns1, file: example.zone`.
pub(super) fn origin_of(record: &BlamedRecord) -> String {
    let mut parts = Vec::new();
    parts.extend(record.serial.map(|serial| format!("serial {serial}")));
    match record.written_ms {
        0 => parts.push("with the zone's first content".to_owned()),
        written => parts.push(moment(written)),
    }
    match &record.edit {
        Some(edit) => parts.push(by(edit)),
        None if record.written_ms > 0 => {
            let actor: String = record.actor.chars().take(ACTOR_SHOWN).collect();
            parts.push(format!("edit {} of author {actor}, which this node's history has no entry of", record.count));
        }
        None => {}
    }
    parts.join(", ")
}
