//! `grapevine status`: everything about a node on one page.

use std::fmt::Write;

use super::age::{ago, now_ms, span};
use super::control::{ControlArgs, JsonArgs, ask};
use super::exit::{Exit, Failure};
use super::output::{print, print_json};
use super::{members, zones};
use crate::admin::{Held, Status};

/// Shows the node, its members, its zones and the files that are held
#[derive(clap::Args, Debug)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    control: ControlArgs,
    #[command(flatten)]
    json: JsonArgs,
}

pub(super) fn run(args: &StatusArgs) -> Result<Exit, Failure> {
    let status = ask(args.control.client()?.status())?;
    if args.json.json {
        print_json(&status)?
    } else {
        print(&render(&status, now_ms()))?
    }
    Ok(Exit::Ok)
}

fn render(status: &Status, now_ms: u64) -> String {
    let (view, process) = (&status.view, &status.process);
    let addresses = |list: &[std::net::SocketAddr]| list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let mut lines = vec![
        ("node", format!("{} in cluster {}", view.name, view.cluster)),
        ("process", format!("{}, version {}, up {}", process.pid, process.version, span(status.uptime_ms / 1000))),
        ("dns", addresses(&process.dns)),
        ("gossip", view.gossip.to_string()),
        ("zone files", process.zones_dir.display().to_string()),
        ("data", process.data_dir.display().to_string()),
    ];
    if !process.service.is_empty() {
        lines.insert(3, ("service", format!("{} (shared)", addresses(&process.service))));
    }
    if !view.initialised {
        let note = "not in its cluster yet: it answers from its own files and takes no edits until it reaches a member";
        lines.push(("state", note.to_owned()));
    }
    let mut text = String::new();
    let mut add = |part: std::fmt::Arguments<'_>| text.write_fmt(part).expect("writing to a string does not fail");
    for (label, value) in lines {
        add(format_args!("{label:<11} {value}\n"));
    }
    add(format_args!("\n{}", members::render(&view.members, now_ms)));
    if view.zones.is_empty() {
        let place = process.zones_dir.display();
        add(format_args!("\nno zones yet: save one as {place}/<origin>.zone\n"));
    } else {
        add(format_args!("\n{}", zones::render(&view.zones)));
    }
    text + &render_held(&status.held, now_ms)
}

/// The files that were not taken over, with the reasons.
pub(super) fn render_held(held: &[Held], now_ms: u64) -> String {
    let mut text = String::new();
    for file in held {
        let mut add = |line: std::fmt::Arguments<'_>| {
            text.write_fmt(line).and_then(|()| text.write_char('\n')).expect("writing to a string does not fail");
        };
        add(format_args!("\nheld {}: {}", ago(file.since_ms, now_ms), file.path.display()));
        add(format_args!("  {}", file.reason));
        for found in &file.diagnostics {
            let line = format!("{}:{}:{}: {}: {}", found.path, found.line, found.column, found.level, found.message);
            // The reason may quote the first of them.
            if !file.reason.contains(&line) {
                add(format_args!("  {line}"));
            }
        }
    }
    text
}
