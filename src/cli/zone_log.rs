//! `grapevine zone log`: who changed a zone, when, where and how.

use std::fmt::Write;
use std::time::{Duration, UNIX_EPOCH};

use super::control::{ControlArgs, JsonArgs, ask};
use super::exit::{Exit, Failure};
use super::output::{print, print_json};
use crate::admin::{By, Client, ClientError, LogEntry, LogReport};
use crate::zone::Name;

/// How many records of each entry are shown; JSON has them all.
const SHOWN: usize = 10;
/// How many entries are asked for at once.
const PAGE: usize = 500;

/// Shows the changes of a zone on this node, the newest first
#[derive(clap::Args, Debug)]
pub(super) struct ZoneLogArgs {
    /// The zone; one that was deleted has a log too
    origin: Name,
    /// Show so many entries
    #[arg(short, long, value_name = "N", default_value_t = 20)]
    number: usize,
    #[command(flatten)]
    control: ControlArgs,
    #[command(flatten)]
    json: JsonArgs,
}

pub(super) fn run(args: &ZoneLogArgs) -> Result<Exit, Failure> {
    let changes = (!args.json.json).then_some(SHOWN);
    let log = ask(fetch(&args.control.client()?, &args.origin, args.number, changes))?;
    if args.json.json {
        print_json(&log)?;
    } else {
        print(&render(&log))?;
    }
    Ok(Exit::Ok)
}

async fn fetch(
    client: &Client,
    origin: &Name,
    number: usize,
    changes: Option<usize>,
) -> Result<LogReport, ClientError> {
    let mut log = client.log(origin, number.clamp(1, PAGE), None, changes).await?;
    while log.more && log.entries.len() < number {
        let older_than = log.entries.last().map(|entry| entry.number);
        let rest = (number - log.entries.len()).min(PAGE);
        let page = client.log(origin, rest, older_than, changes).await?;
        log.more = page.more && !page.entries.is_empty();
        log.entries.extend(page.entries);
    }
    Ok(log)
}

fn render(log: &LogReport) -> String {
    let mut text = String::new();
    for entry in &log.entries {
        write_entry(entry, &mut text).expect("writing to a string does not fail");
    }
    if log.entries.is_empty() {
        text.push_str("the history has no entries of this zone\n");
    } else if log.more {
        text.push_str("(older entries: -n N)\n");
    }
    text
}

fn write_entry(entry: &LogEntry, text: &mut String) -> std::fmt::Result {
    let serial = entry.serial.map_or_else(|| "deleted".to_owned(), |serial| serial.to_string());
    writeln!(text, "{serial}  {}  {}", moment(entry.at_ms), summary(entry))?;
    for change in &entry.changes {
        writeln!(text, "    {change}")?;
    }
    match (entry.more_changes, entry.kept) {
        (0, _) => Ok(()),
        (_, false) if entry.what == "created" => Ok(()),
        (more, true) => writeln!(text, "    … and {more} more (--json has them all)"),
        (_, false) => writeln!(text, "    (too large to be kept record by record)"),
    }
}

fn summary(entry: &LogEntry) -> String {
    let what = match entry.what.as_str() {
        "edit" => String::new(),
        "state" => "the state of a member was taken over".to_owned(),
        "created" => "created".to_owned(),
        "deleted" => "deleted".to_owned(),
        "switched" => "another incarnation is served from here on".to_owned(),
        "begun" => "the history begins".to_owned(),
        other => other.to_owned(),
    };
    let by = entry.by.as_ref().map(by).unwrap_or_default();
    let counts = match (entry.removed, entry.added) {
        (0, 0) => String::new(),
        (removed, added) => format!("(-{removed} +{added})"),
    };
    let parts = [what, by, counts].into_iter().filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(" ")
}

/// `by alice on ns1, api: why`.
pub(super) fn by(by: &By) -> String {
    let mut text = String::new();
    for (word, value) in [("by", &by.who), ("on", &by.node)] {
        if !value.is_empty() {
            text.push_str(&format!("{}{word} {value}", if text.is_empty() { "" } else { " " }));
        }
    }
    if !by.via.is_empty() {
        text.push_str(&format!("{}{}", if text.is_empty() { "" } else { ", " }, by.via));
    }
    if !by.note.is_empty() {
        text.push_str(&format!(": {}", by.note));
    }
    text
}

/// A moment as RFC 3339 writes it, to the second.
pub(super) fn moment(ms: u64) -> String {
    let moment = UNIX_EPOCH + Duration::from_millis(ms.min(MAX_MS));
    humantime::format_rfc3339_seconds(moment).to_string()
}

/// The end of the year 9999: no further goes the format.
const MAX_MS: u64 = 253_402_300_799_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_tells_who_when_where_and_what() {
        let entry = LogEntry {
            number: 3,
            what: "edit".to_owned(),
            serial_before: Some(6),
            serial: Some(7),
            version: "ab".repeat(8),
            incarnation: None,
            at_ms: 1_000,
            by: Some(By {
                made_ms: 900,
                via: "file".to_owned(),
                who: "alice".to_owned(),
                node: "ns1".to_owned(),
                note: "example.zone".to_owned(),
                request: None,
                actor: "cd".repeat(16),
                count: 1,
            }),
            removed: 0,
            added: 12,
            changes: vec!["+www.example. 60 IN A 192.0.2.1".to_owned()],
            more_changes: 11,
            kept: true,
        };
        let log = LogReport { origin: "example.".parse().expect("a name"), entries: vec![entry], more: true };
        let expected = "\
7  1970-01-01T00:00:01Z  by alice on ns1, file: example.zone (-0 +12)
    +www.example. 60 IN A 192.0.2.1
    … and 11 more (--json has them all)
(older entries: -n N)
";
        assert_eq!(render(&log), expected);
    }
}
