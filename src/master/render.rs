//! A fresh master file for a zone that has none: aligned, readable, in canonical order.

use std::collections::HashMap;
use std::fmt::Write;

use super::name_text::{name_text, write_name};
use super::{Marker, rdata};
use crate::zone::{Name, RecordType, ZoneContent};

/// Owners longer than this do not widen the column of all others.
const MAX_OWNER_COLUMN: usize = 32;

/// Writes a zone as a master file: marker, `$ORIGIN`, `$TTL`, the SOA on several lines, then one line a record.
pub fn render(content: &ZoneContent, marker: Option<Marker>) -> Vec<u8> {
    let mut out = String::new();
    write_zone(content, marker, &mut out).expect("writing to a String succeeds");
    out.into_bytes()
}

fn write_zone(content: &ZoneContent, marker: Option<Marker>, out: &mut String) -> std::fmt::Result {
    let origin = &content.origin;
    let default_ttl = most_common_ttl(content);
    if let Some(marker) = marker {
        writeln!(out, "{marker}")?;
    }
    writeln!(out, "$ORIGIN {origin}\n$TTL {default_ttl}")?;
    write_soa(content, default_ttl, out)?;
    let owners = content.rrsets.keys().map(|key| name_text(&key.0, Some(origin)).len());
    let column = owners.filter(|&width| width <= MAX_OWNER_COLUMN).max().unwrap_or(1).max(7);
    let types = content.rrsets.keys().map(|key| key.1.to_string().len()).max().unwrap_or(1);
    let any_ttl = content.rrsets.values().any(|rrset| rrset.ttl != default_ttl);
    let mut previous: Option<&Name> = None;
    for ((owner, rtype), rrset) in in_order(content) {
        for rdata in &rrset.rdatas {
            let shown = if previous == Some(owner) { String::new() } else { name_text(owner, Some(origin)) };
            previous = Some(owner);
            let ttl = if rrset.ttl == default_ttl { String::new() } else { rrset.ttl.to_string() };
            write!(out, "{shown:column$} ")?;
            if any_ttl {
                write!(out, "{ttl:>7} ")?;
            }
            write!(out, "IN {rtype:types$}")?;
            let before = out.len();
            out.push(' ');
            rdata::write(*rtype, rdata.as_wire(), Some(origin), out);
            if out.len() == before + 1 {
                out.truncate(before);
            }
            out.push('\n');
        }
    }
    Ok(())
}

/// Canonical order, but NS before all else at the apex, as people put it.
fn in_order(content: &ZoneContent) -> impl Iterator<Item = (&(Name, RecordType), &crate::zone::RrsetContent)> {
    let is_apex_ns = |key: &(Name, RecordType)| key.0 == content.origin && key.1 == RecordType::NS;
    let first = content.rrsets.iter().filter(move |rrset| is_apex_ns(rrset.0));
    first.chain(content.rrsets.iter().filter(move |rrset| !is_apex_ns(rrset.0)))
}

fn write_soa(content: &ZoneContent, default_ttl: u32, out: &mut String) -> std::fmt::Result {
    let soa = &content.soa;
    let ttl = if soa.ttl == default_ttl { String::new() } else { format!("{} ", soa.ttl) };
    write!(out, "@ {ttl}IN SOA ")?;
    write_name(soa.mname.as_wire(), Some(&content.origin), out);
    out.push(' ');
    write_name(soa.rname.as_wire(), Some(&content.origin), out);
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
fn most_common_ttl(content: &ZoneContent) -> u32 {
    let mut counts: HashMap<u32, usize> = HashMap::from([(content.soa.ttl, 1)]);
    for rrset in content.rrsets.values() {
        *counts.entry(rrset.ttl).or_default() += rrset.rdatas.len();
    }
    counts
        .into_iter()
        .max_by_key(|&(ttl, count)| (count, std::cmp::Reverse(ttl)))
        .map_or(content.soa.ttl, |best| best.0)
}
