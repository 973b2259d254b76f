//! A fresh master file for a zone that has none: aligned, readable, in canonical order.

use std::collections::HashMap;
use std::fmt::Write;

use super::name_text::{name_text, write_name};
use super::{Marker, rdata};
use crate::zone::{Node, RecordType, Rrset, Zone};

/// Owners longer than this do not widen the column of all others.
const MAX_OWNER_COLUMN: usize = 32;

/// Writes a zone as a master file: marker, `$ORIGIN`, `$TTL`, the SOA on several lines, then one line a record.
pub fn render(zone: &Zone, marker: Option<Marker>) -> Vec<u8> {
    let mut out = String::new();
    write_zone(zone, marker, &mut out).expect("writing to a String succeeds");
    out.into_bytes()
}

fn write_zone(zone: &Zone, marker: Option<Marker>, out: &mut String) -> std::fmt::Result {
    let origin = zone.origin();
    let default_ttl = most_common_ttl(zone);
    if let Some(marker) = marker {
        writeln!(out, "{marker}")?;
    }
    writeln!(out, "$ORIGIN {origin}\n$TTL {default_ttl}")?;
    write_soa(zone, default_ttl, out)?;
    let nodes = zone.sorted();
    let (mut column, mut types, mut any_ttl) = (7, 1, false);
    for node in &nodes {
        let mut has_records = false;
        for rrset in rrsets(*node) {
            has_records = true;
            types = types.max(rrset.rtype.to_string().len());
            any_ttl |= rrset.ttl != default_ttl;
        }
        let width = if has_records { name_text(&node.name(), Some(origin)).len() } else { 0 };
        column = column.max(if width <= MAX_OWNER_COLUMN { width } else { 0 });
    }
    for node in nodes {
        let mut shown = name_text(&node.name(), Some(origin));
        for rrset in rrsets(node) {
            let ttl = if rrset.ttl == default_ttl { String::new() } else { rrset.ttl.to_string() };
            for wire in rrset.rdatas() {
                write!(out, "{shown:column$} ")?;
                shown.clear();
                if any_ttl {
                    write!(out, "{ttl:>7} ")?;
                }
                write!(out, "IN {:types$}", rrset.rtype)?;
                let before = out.len();
                out.push(' ');
                rdata::write(rrset.rtype, wire, Some(origin), out);
                if out.len() == before + 1 {
                    out.truncate(before);
                }
                out.push('\n');
            }
        }
    }
    Ok(())
}

/// The RRsets of a node in order of type but for the SOA, and NS before all else at the apex, as people put it.
fn rrsets(node: Node<'_>) -> impl Iterator<Item = Rrset<'_>> {
    let is_apex = node.get(RecordType::SOA).is_some();
    let first = move |rrset: &Rrset<'_>| is_apex && rrset.rtype == RecordType::NS;
    let others = node.rrsets().filter(move |rrset| rrset.rtype != RecordType::SOA && !first(rrset));
    node.rrsets().filter(first).chain(others)
}

fn write_soa(zone: &Zone, default_ttl: u32, out: &mut String) -> std::fmt::Result {
    let soa = zone.soa();
    let ttl = if soa.ttl == default_ttl { String::new() } else { format!("{} ", soa.ttl) };
    write!(out, "@ {ttl}IN SOA ")?;
    write_name(soa.mname.as_wire(), Some(zone.origin()), out);
    out.push(' ');
    write_name(soa.rname.as_wire(), Some(zone.origin()), out);
    out.push_str(" (\n");
    let fields = [
        (soa.serial, "serial"),
        (soa.refresh, "refresh"),
        (soa.retry, "retry"),
        (soa.expire, "expire"),
        (soa.minimum, "negative TTL"),
    ];
    for (value, what) in fields {
        writeln!(out, "        {value:<10} ; {what}")?;
    }
    out.push_str("        )\n");
    Ok(())
}

/// The TTL that most records have; of several the smallest, so that the text does not depend on chance.
fn most_common_ttl(zone: &Zone) -> u32 {
    let mut counts: HashMap<u32, usize> = HashMap::from([(zone.soa().ttl, 1)]);
    for rrset in zone.iter().flat_map(rrsets) {
        *counts.entry(rrset.ttl).or_default() += rrset.count();
    }
    counts.into_iter().max_by_key(|&(ttl, count)| (count, std::cmp::Reverse(ttl))).map_or(zone.soa().ttl, |best| best.0)
}
