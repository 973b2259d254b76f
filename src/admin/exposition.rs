//! The page that Prometheus reads: the counters, and gauges drawn from the node's view at that moment.

use std::fmt::Write;

use super::report::Status;
use crate::metrics::Metrics;
use crate::node::{MemberState, ZoneView};

/// One number of each zone: name, help, value.
type ZoneGauge = (&'static str, &'static str, fn(&ZoneView) -> u64);

const ZONE_GAUGES: &[ZoneGauge] = &[
    ("zone_serial", "The SOA serial as served.", |zone| zone.serial.into()),
    ("zone_records", "Records served, the SOA counted.", |zone| zone.records as u64),
    ("zone_same_on", "Live members that hold the same content, this node counted.", |zone| zone.same_on as u64),
    ("zone_live_members", "Live members, this node counted.", |zone| zone.live as u64),
    ("zone_shadowed", "Records that others rule out of being served.", |zone| zone.shadowed as u64),
    ("zone_conflicts", "Other incarnations of the zone that are kept but not served.", |zone| zone.conflicts as u64),
    ("zone_quarantined", "Edits of other nodes that this node cannot apply.", |zone| zone.quarantined as u64),
    ("zone_ambiguous_serials", "Serials that stood for two contents, since the start.", |zone| zone.ambiguous),
    ("zone_provisional", "1 while the zone is served from this node's file alone.", |zone| zone.provisional.into()),
    ("zone_stale", "1 when no member was heard for longer than the SOA's EXPIRE.", |zone| zone.stale.into()),
];

/// Renders the page in the text exposition format, version 0.0.4.
pub(super) fn render(metrics: &Metrics, status: &Status) -> String {
    let mut page = metrics.render();
    let version = label(&status.process.version);
    gauge(&mut page, "build_info", "Always 1; the label tells the version.", [(format!("{{version={version}}}"), 1)]);
    gauge(&mut page, "uptime_seconds", "How long the process has run.", [(String::new(), status.uptime_ms / 1000)]);
    let initialised = u64::from(status.view.initialised);
    gauge(&mut page, "initialised", "1 once the node has a cluster's zones.", [(String::new(), initialised)]);
    let states = [
        ("alive", MemberState::Alive),
        ("suspect", MemberState::Suspect),
        ("down", MemberState::Down),
        ("left", MemberState::Left),
    ];
    let members = states.map(|(word, state)| {
        let count = status.view.members.iter().filter(|member| member.state == state).count();
        (format!("{{state=\"{word}\"}}"), count as u64)
    });
    gauge(&mut page, "members", "Known members by what is believed of them, this node counted.", members);
    gauge(&mut page, "files_held_now", "Zone files held at the moment.", [(String::new(), status.held.len() as u64)]);
    for (name, help, value) in ZONE_GAUGES {
        let zones = status.view.zones.iter();
        gauge(
            &mut page,
            name,
            help,
            zones.map(|zone| (format!("{{zone={}}}", label(&zone.origin.to_string())), value(zone))),
        );
    }
    page
}

fn gauge(page: &mut String, name: &str, help: &str, samples: impl IntoIterator<Item = (String, u64)>) {
    let mut write = |line: std::fmt::Arguments<'_>| page.write_fmt(line).expect("writing to a string does not fail");
    write(format_args!("# HELP grapevine_{name} {help}\n# TYPE grapevine_{name} gauge\n"));
    for (labels, value) in samples {
        write(format_args!("grapevine_{name}{labels} {value}\n"));
    }
}

/// A label's value in quotes.
fn label(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_values_are_escaped() {
        assert_eq!(label(r#"a\.b"c."#), r#""a\\.b\"c.""#);
    }
}
