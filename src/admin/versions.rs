//! Older versions of a zone, found by walking back from the one served along the history, and the lines in which
//! versions differ.

use std::collections::BTreeMap;

use axum::http::StatusCode;

use super::error::ApiError;
use super::server::Shared;
use crate::master::record_to_text;
use crate::node::{CommandError, HistoryEntry, Unreachable, Walk};
use crate::zone::{Name, Record, RecordType, Soa, ZoneContent, ZoneDelta, served_serial};

/// How many entries are fetched at once on the way back.
const STRIDE: usize = 100;

/// The versions of these serials, in the same order; `None` stands for the one served.
pub(super) async fn versions(
    shared: &Shared,
    origin: &Name,
    wanted: &[Option<u32>],
) -> Result<Vec<ZoneContent>, ApiError> {
    let served = shared.admin.zones.load().get(origin).cloned();
    let current = served.as_ref().map(|zone| zone.soa().serial);
    let wanted: Vec<u32> = match wanted.iter().map(|serial| serial.or(current)).collect::<Option<_>>() {
        Some(wanted) => wanted,
        None => return Err(CommandError::NoSuchZone(origin.clone()).into()),
    };
    let mut walk = blocking(move || Walk::new(served.as_deref())).await?;
    let mut found: BTreeMap<u32, ZoneContent> = BTreeMap::new();
    let mut seen = Vec::new();
    let mut older_than = None;
    let end = loop {
        let page = shared.history(origin, older_than, STRIDE).await?;
        let (last, more) = (page.entries.last().map(|entry| entry.0), page.more);
        let entries = page.entries.into_iter().map(|entry| entry.1).collect();
        let (back, stopped) = {
            let (wanted, had) = (wanted.clone(), found);
            blocking(move || stride(walk, entries, &wanted, had)).await?
        };
        (walk, found) = (back.walk, back.found);
        seen.extend(back.seen);
        if wanted.iter().all(|serial| found.contains_key(serial)) {
            return Ok(wanted.iter().map(|serial| found[serial].clone()).collect());
        }
        if stopped.is_some() || !more || last.is_none() {
            break stopped;
        }
        older_than = last;
    };
    let missing = wanted.iter().find(|serial| !found.contains_key(serial)).copied().unwrap_or_default();
    Err(never_served(origin, missing, &seen, end))
}

/// How far the way back has come.
struct Back {
    walk: Walk,
    found: BTreeMap<u32, ZoneContent>,
    seen: Vec<u32>,
}

/// Walks back over some entries and keeps the wanted versions that it meets.
fn stride(
    walk: Walk,
    entries: Vec<HistoryEntry>,
    wanted: &[u32],
    found: BTreeMap<u32, ZoneContent>,
) -> (Back, Option<Unreachable>) {
    let mut back = Back { walk, found, seen: Vec::new() };
    back.look(wanted);
    for entry in entries {
        if wanted.iter().all(|serial| back.found.contains_key(serial)) {
            break;
        }
        if let Err(end) = back.walk.back(&entry) {
            return (back, Some(end));
        }
        back.look(wanted);
    }
    (back, None)
}

impl Back {
    fn look(&mut self, wanted: &[u32]) {
        let (Some(serial), Some(content)) = (self.walk.serial().map(served_serial), self.walk.content()) else {
            return;
        };
        self.seen.push(serial);
        if wanted.contains(&serial) && !self.found.contains_key(&serial) {
            self.found.insert(serial, content.clone());
        }
    }
}

fn never_served(origin: &Name, missing: u32, seen: &[u32], end: Option<Unreachable>) -> ApiError {
    let near = |serial: &&u32| serial.abs_diff(missing);
    let below = seen.iter().filter(|serial| **serial < missing).min_by_key(near);
    let above = seen.iter().filter(|serial| **serial > missing).min_by_key(near);
    let nearest: Vec<String> = below.into_iter().chain(above).map(u32::to_string).collect();
    let mut message = format!("this node has no version of {origin} under serial {missing}");
    if let Some(end) = end {
        message.push_str(&format!(": {end}"));
    }
    match nearest.is_empty() {
        true => message.push_str("; `grapevine zone log` lists what it has"),
        false => message.push_str(&format!("; the nearest that it can show: {}", nearest.join(" and "))),
    }
    ApiError::new(StatusCode::NOT_FOUND, message)
}

/// Does what may take long on a large zone where it keeps nobody waiting.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, format!("a fault of the program, please report it: {error}"))
    })
}

/// The lines in which two versions differ.
pub(super) fn difference(old: &ZoneContent, new: &ZoneContent) -> Vec<String> {
    let mut lines = Vec::new();
    if (Soa { serial: old.soa.serial, ..new.soa.clone() }) != old.soa {
        lines.push(line('-', &soa_record(&old.origin, &old.soa)));
        lines.push(line('+', &soa_record(&new.origin, &new.soa)));
    }
    let keys = old.rrsets.keys().chain(new.rrsets.keys());
    let keys: std::collections::BTreeSet<&(Name, RecordType)> = keys.collect();
    for key in keys {
        let (before, after) = (old.rrsets.get(key), new.rrsets.get(key));
        if before == after {
            continue;
        }
        let same_ttl = before.map(|rrset| rrset.ttl) == after.map(|rrset| rrset.ttl);
        for (sign, these, those) in [('-', before, after), ('+', after, before)] {
            let Some(these) = these else { continue };
            let other = |rdata| same_ttl && those.is_some_and(|those| those.rdatas.contains(rdata));
            lines.extend(these.rdatas.iter().filter(|rdata| !other(rdata)).map(|rdata| {
                let (owner, rtype) = key.clone();
                line(sign, &Record { owner, rtype, ttl: these.ttl, rdata: rdata.clone() })
            }));
        }
    }
    lines
}

/// The first lines of an entry of the history, and how many there are in all.
pub(super) fn delta_lines(origin: &Name, delta: &ZoneDelta, most: usize) -> (Vec<String>, u64) {
    let mut lines: Vec<(Record, char)> = Vec::new();
    if delta.changes_soa() {
        lines.extend([(soa_record(origin, &delta.before), '-'), (soa_record(origin, &delta.after), '+')]);
    }
    let mut records: Vec<(&Record, char)> = delta.removed.iter().map(|record| (record, '-')).collect();
    records.extend(delta.added.iter().map(|record| (record, '+')));
    // `-` before `+` within an RRset.
    records.sort_by_key(|(record, sign)| (record.owner.clone(), record.rtype, *sign == '+', record.rdata.clone()));
    let count = (lines.len() + records.len()) as u64;
    lines.extend(records.into_iter().map(|(record, sign)| (record.clone(), sign)).take(most));
    lines.truncate(most);
    (lines.iter().map(|(record, sign)| line(*sign, record)).collect(), count)
}

fn line(sign: char, record: &Record) -> String {
    format!("{sign}{}", record_to_text(record))
}

fn soa_record(origin: &Name, soa: &Soa) -> Record {
    Record { owner: origin.clone(), rtype: RecordType::SOA, ttl: soa.ttl, rdata: soa.to_rdata() }
}
