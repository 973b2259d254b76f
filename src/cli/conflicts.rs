//! `grapevine conflicts`: what concurrent edits left for a person to settle, and how.

use std::fmt::Write;

use super::control::{ControlArgs, JsonArgs, ask};
use super::exit::{Exit, Failure};
use super::output::{print, print_json};
use super::zone_blame::origin_of;
use crate::admin::{ConflictsReport, IncarnationReport, ShadowedReport, ZoneConflictsReport};

/// Lists records and incarnations of zones that are kept but not served, and how to settle each
#[derive(clap::Args, Debug)]
pub(super) struct ConflictsArgs {
    #[command(flatten)]
    control: ControlArgs,
    #[command(flatten)]
    json: JsonArgs,
}

pub(super) fn run(args: &ConflictsArgs) -> Result<Exit, Failure> {
    let report = ask(args.control.client()?.conflicts())?;
    if args.json.json {
        print_json(&report)?
    } else {
        print(&render(&report))?
    }
    Ok(Exit::Ok)
}

fn render(report: &ConflictsReport) -> String {
    if report.zones.is_empty() {
        return "no conflicts\n".to_owned();
    }
    let mut text = String::new();
    for zone in &report.zones {
        write_zone(zone, &mut text).expect("writing to a string does not fail");
    }
    text
}

fn write_zone(zone: &ZoneConflictsReport, text: &mut String) -> std::fmt::Result {
    for shadowed in &zone.shadowed {
        write_shadowed(zone, shadowed, text)?;
    }
    let more = zone.shadowed_count - zone.shadowed.len().min(zone.shadowed_count);
    if more > 0 {
        writeln!(text, "{}: {more} more records are not served", zone.origin)?;
    }
    if let Some(served) = &zone.served {
        writeln!(text, "{}: served is incarnation {}", zone.origin, tell(served))?;
        for other in &zone.others {
            writeln!(text, "  not served: incarnation {}", tell(other))?;
            writeln!(text, "    to see it and take records from it:  {}", other.show)?;
            if let Some(drop) = &other.drop {
                writeln!(text, "    to settle it, drop it:  {drop}")?;
            }
        }
    }
    Ok(())
}

fn write_shadowed(zone: &ZoneConflictsReport, shadowed: &ShadowedReport, text: &mut String) -> std::fmt::Result {
    writeln!(text, "{}: not served: {}", zone.origin, shadowed.record.record)?;
    writeln!(text, "    {}", origin_of(&shadowed.record))?;
    writeln!(text, "  why: {}", shadowed.why)?;
    for instead in &shadowed.instead {
        writeln!(text, "  served instead: {}", instead.record)?;
        writeln!(text, "    {}", origin_of(instead))?;
    }
    for (what, commands) in [("to keep it so", &shadowed.keep), ("to serve it instead", &shadowed.restore)] {
        for command in commands {
            writeln!(text, "  {what}:  {command}")?;
        }
    }
    Ok(())
}

fn tell(life: &IncarnationReport) -> String {
    match (life.serial, life.records) {
        (Some(serial), Some(records)) => format!("{} (serial {serial}, {records} records)", life.incarnation),
        _ => format!("{} (not arrived here yet)", life.incarnation),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::BlamedRecord;

    fn record(text: &str, served: bool) -> BlamedRecord {
        let actor = "ab".repeat(16);
        let (edit, what, serial) = (None, None, Some(7));
        BlamedRecord { record: text.to_owned(), served, written_ms: 1_000, actor, count: 2, edit, what, serial }
    }

    #[test]
    fn each_conflict_comes_with_the_commands_that_settle_it() {
        let life = |id: &str, drop| IncarnationReport {
            incarnation: id.to_owned(),
            generation: 1,
            serial: Some(9),
            records: Some(3),
            show: format!("grapevine zone show a. --incarnation {id}"),
            drop,
        };
        let zone = ZoneConflictsReport {
            origin: "a.".parse().expect("a name"),
            shadowed_count: 1,
            shadowed: vec![ShadowedReport {
                record: record("w.a. 60 IN A 192.0.2.1", false),
                why: "because".to_owned(),
                instead: vec![record("w.a. 60 IN CNAME b.a.", true)],
                keep: vec!["keep it".to_owned()],
                restore: vec!["restore it".to_owned()],
            }],
            served: Some(life("aa", None)),
            others: vec![life("bb", Some("drop bb".to_owned()))],
        };
        let text = render(&ConflictsReport { zones: vec![zone] });
        for line in [
            "a.: not served: w.a. 60 IN A 192.0.2.1",
            "  served instead: w.a. 60 IN CNAME b.a.",
            "  to keep it so:  keep it",
            "  to serve it instead:  restore it",
            "  not served: incarnation bb (serial 9, 3 records)",
            "    to settle it, drop it:  drop bb",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert_eq!(render(&ConflictsReport { zones: Vec::new() }), "no conflicts\n");
    }
}
