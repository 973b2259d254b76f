//! `grapevine zones`: the zones that a node answers from, or one of them in detail.

use std::fmt::Write;

use super::age::now_ms;
use super::control::{ControlArgs, JsonArgs, ask};
use super::exit::{Exit, Failure};
use super::output::{print, print_json};
use super::status::render_held;
use super::table::{Side, Table};
use crate::admin::ZoneReport;
use crate::node::ZoneView;
use crate::zone::Name;

/// How much of a digest is shown: enough to tell two apart at a glance.
const DIGEST_SHOWN: usize = 12;

/// Shows the zones, or one of them in detail
#[derive(clap::Args, Debug)]
pub(super) struct ZonesArgs {
    /// Show this zone in detail
    origin: Option<Name>,
    #[command(flatten)]
    control: ControlArgs,
    #[command(flatten)]
    json: JsonArgs,
}

pub(super) fn run(args: &ZonesArgs) -> Result<Exit, Failure> {
    let client = args.control.client()?;
    match &args.origin {
        Some(origin) => {
            let zone = ask(client.zone(origin))?;
            if args.json.json { print_json(&zone)? } else { print(&render_one(&zone, now_ms()))? }
        }
        None => {
            let zones = ask(client.status())?.view.zones;
            if args.json.json { print_json(&zones)? } else { print(&render(&zones))? }
        }
    }
    Ok(Exit::Ok)
}

/// The table of zones.
pub(super) fn render(zones: &[ZoneView]) -> String {
    let mut table = Table::new(&[
        ("ZONE", Side::Left),
        ("SERIAL", Side::Right),
        ("RECORDS", Side::Right),
        ("DIGEST", Side::Left),
        ("SAME ON", Side::Left),
        ("NOTES", Side::Left),
    ]);
    for zone in zones {
        table.row([
            zone.origin.to_string(),
            zone.serial.to_string(),
            zone.records.to_string(),
            zone.digest.chars().take(DIGEST_SHOWN).collect(),
            same_on(zone),
            notes(zone),
        ]);
    }
    table.render()
}

/// On how many of the live members the content is the same: `5/5`.
pub(super) fn same_on(zone: &ZoneView) -> String {
    format!("{}/{}", zone.same_on, zone.live)
}

/// What a person should know of a zone that is not as it should be.
fn notes(zone: &ZoneView) -> String {
    let mut notes = Vec::new();
    if zone.provisional {
        notes.push("provisional: from this node's file, not replicated".to_owned());
    }
    if zone.stale {
        notes.push("stale: no member heard for longer than its EXPIRE".to_owned());
    }
    if zone.quarantined > 0 {
        notes.push(format!(
            "not current: {} edits of other nodes cannot be applied here, see the log",
            zone.quarantined
        ));
    }
    if zone.shadowed > 0 {
        notes.push(format!("{} shadowed", zone.shadowed));
    }
    if zone.conflicts > 0 {
        notes.push(format!("{} conflicting", zone.conflicts));
    }
    notes.join(", ")
}

fn render_one(report: &ZoneReport, now_ms: u64) -> String {
    let zone = &report.zone;
    let types: Vec<String> = report.types.iter().map(|(rtype, count)| format!("{count} {rtype}")).collect();
    let soa = report.soa;
    let mut lines = vec![
        ("zone", zone.origin.to_string()),
        ("serial", zone.serial.to_string()),
        ("records", format!("{} at {} names: {}", zone.records, report.names, types.join(", "))),
        (
            "soa",
            format!(
                "refresh {} retry {} expire {} minimum {} ttl {}",
                soa.refresh, soa.retry, soa.expire, soa.minimum, soa.ttl
            ),
        ),
        ("digest", zone.digest.clone()),
        ("version", zone.version.clone()),
        ("incarnation", zone.incarnation.clone()),
        ("same on", format!("{} live members", same_on(zone))),
    ];
    let notes = notes(zone);
    if !notes.is_empty() {
        lines.push(("notes", notes));
    }
    let mut text = String::new();
    for (label, value) in lines {
        writeln!(text, "{label:<12} {value}").expect("writing to a string does not fail");
    }
    if let Some(held) = &report.held {
        text.push_str(&render_held(std::slice::from_ref(held), now_ms));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(origin: &str) -> ZoneView {
        ZoneView {
            origin: origin.parse().expect("a name"),
            serial: 2_026_112_201,
            records: 42,
            digest: "0123456789abcdef".repeat(4),
            version: "ab".repeat(8),
            incarnation: "cd".repeat(16),
            same_on: 4,
            live: 5,
            shadowed: 1,
            conflicts: 0,
            quarantined: 0,
            ambiguous: 0,
            provisional: false,
            stale: false,
        }
    }

    #[test]
    fn the_table_shortens_the_digest_and_counts_the_members() {
        let quiet = ZoneView { shadowed: 0, same_on: 5, serial: 7, ..view("b.org") };
        let expected = "\
ZONE        SERIAL  RECORDS  DIGEST        SAME ON  NOTES
a.org.  2026112201       42  0123456789ab  4/5      1 shadowed
b.org.           7       42  0123456789ab  5/5
";
        assert_eq!(render(&[view("a.org"), quiet]), expected);
    }
}
