//! Brings a file's text to another content by changing only the lines concerned.
//!
//! First a [`Plan`] says what becomes of each entry whose RRset differs. Then a walk over all entries keeps what is in
//! force at each of them (origin, owner, TTL) as the *new* text will have it, and states an owner or TTL where an entry
//! would otherwise inherit another one than it means.

mod plan;

use std::collections::HashSet;

use plan::{Action, NewRecord, Plan};

use super::entry::{Entry, EntryKind, GenerateEntry, RecordEntry};
use super::name_text::name_text;
use super::splice::{Edits, Line, line_end};
use super::ttl::{MAX_TTL, TtlState};
use super::{Marker, ZoneFile, lexer, rdata, record_to_text};
use crate::zone::{Name, Rdata, Record, RecordType, Soa, Zone};

pub(super) fn patch(file: &ZoneFile, target: &Zone, marker: Option<Marker>) -> Vec<(String, Vec<u8>)> {
    let plan = Plan::new(file, target);
    let same_but_serial = Soa { serial: file.zone().soa().serial, ..target.soa().clone() } == *file.zone().soa();
    // The rule: another serial, and nothing else. Then all that is behind the SOA stays whatever it means.
    let to_soa = (plan.changes.is_empty() && same_but_serial && !file.form.soa_repeats).then(|| file.entries_to_soa());
    let entries = to_soa.as_deref().unwrap_or_else(|| file.entries());
    let mut inlined = HashSet::new();
    // Each failed walk names one more `$INCLUDE` to write out in place, so there are at most as many as includes.
    let mut edits = loop {
        match Walk::new(file, entries, target, &plan, &inlined).run() {
            Ok(edits) => break edits,
            Err(NotInPlace { include }) => inlined.insert(include),
        };
    };
    set_marker(file, marker, &mut edits[0]);
    let changed = file.sources.iter().zip(edits);
    changed.filter_map(|(source, edits)| Some((source.path.clone(), edits.apply(&source.text)?))).collect()
}

fn set_marker(file: &ZoneFile, marker: Option<Marker>, edits: &mut Edits) {
    let text = &file.sources[0].text;
    match (file.marker.clone(), marker) {
        (Some((old, _)), Some(new)) if old == new => {}
        (Some((_, range)), Some(new)) => edits.replace(range, new.to_string()),
        (Some((_, range)), None) => {
            let line_end =
                text[range.end..].iter().position(|&byte| byte == b'\n').map_or(text.len(), |n| range.end + n + 1);
            edits.replace(range.start..line_end, "");
        }
        (None, Some(new)) => {
            let start = if text.starts_with(lexer::BOM) { lexer::BOM.len() } else { 0 };
            edits.insert(start, format!("{new}{}", line_end(text)));
        }
        (None, None) => {}
    }
}

/// An included text stands for several sets of records, so a change of one of them cannot be made in it: the
/// `$INCLUDE` entry with this index is to be replaced by the records themselves.
struct NotInPlace {
    include: usize,
}

struct Walk<'a> {
    file: &'a ZoneFile,
    entries: &'a [Entry],
    target: &'a Zone,
    plan: &'a Plan,
    inlined: &'a HashSet<usize>,
    /// One for each source.
    edits: Vec<Edits>,
    origin: Name,
    owner: Option<Name>,
    ttl: TtlState,
    /// Origin and owner to return to after each open `$INCLUDE`.
    outer: Vec<(Name, Option<Name>)>,
    /// The outermost open `$INCLUDE` of a text that is used more than once, and where it ends.
    shared: Option<(usize, usize)>,
    /// The RRsets of the plan of which an entry stays, so that its TTL counts.
    begun: HashSet<(Name, RecordType)>,
}

impl<'a> Walk<'a> {
    fn new(
        file: &'a ZoneFile,
        entries: &'a [Entry],
        target: &'a Zone,
        plan: &'a Plan,
        inlined: &'a HashSet<usize>,
    ) -> Walk<'a> {
        let edits = file.sources.iter().map(|_| Edits::default()).collect();
        let origin = file.zone().origin().clone();
        let (owner, ttl, outer, shared, begun) = (None, TtlState::default(), Vec::new(), None, HashSet::new());
        Walk { file, entries, target, plan, inlined, edits, origin, owner, ttl, outer, shared, begun }
    }

    fn run(mut self) -> Result<Vec<Edits>, NotInPlace> {
        let entries = self.entries;
        let mut index = 0;
        while let Some(entry) = entries.get(index) {
            match &entry.kind {
                EntryKind::OutOfZone { stated_ttl } => stated_ttl.iter().for_each(|&ttl| self.ttl.stated(ttl)),
                EntryKind::Origin(origin) => self.origin = origin.clone(),
                EntryKind::Ttl(ttl) => self.ttl.set_default(*ttl),
                EntryKind::Include { end, .. } if self.inlined.contains(&index) => {
                    let end = *end as usize;
                    self.write_out(entry, &entries[index + 1..end], index + 1);
                    index = end;
                }
                EntryKind::Include { origin, included, end } => {
                    self.outer.push((self.origin.clone(), self.owner.clone()));
                    self.origin = origin.clone();
                    if self.shared.is_none() && self.file.sources[*included as usize].uses > 1 {
                        self.shared = Some((index, *end as usize));
                    }
                }
                EntryKind::IncludeEnd => {
                    let (origin, owner) = self.outer.pop().expect("every include that ends has begun");
                    (self.origin, self.owner) = (origin, owner);
                    self.shared = self.shared.filter(|shared| shared.1 != index);
                }
                EntryKind::Record(record) => self.record(index, entry, record)?,
                EntryKind::Generate(generate) => self.generate(entry, generate)?,
            }
            if let Some(records) = self.plan.after.get(&index) {
                self.insert_after(entry, records);
            }
            index += 1;
        }
        self.append();
        Ok(self.edits)
    }

    /// Fails if the entry at hand cannot be changed where it stands.
    fn in_place(&self) -> Result<(), NotInPlace> {
        self.shared.map_or(Ok(()), |(include, _)| Err(NotInPlace { include }))
    }

    fn record(&mut self, index: usize, entry: &Entry, record: &RecordEntry) -> Result<(), NotInPlace> {
        let action = if record.rtype == RecordType::SOA {
            self.plan.soa_action(self.target, record)
        } else {
            self.plan.actions.get(&index).cloned().unwrap_or(Action::Keep)
        };
        if matches!(action, Action::Remove) {
            self.in_place()?;
            self.edits[entry.source as usize].replace(entry.range(), "");
            return Ok(());
        }
        let ttl = self.wanted_ttl(record);
        let state_owner = !record.owner_stated && self.owner.as_ref() != Some(&record.owner);
        let minimum = (record.rtype == RecordType::SOA).then_some(self.target.soa().minimum);
        let in_text = if record.ttl_stated { record.ttl } else { self.ttl.implied(minimum) };
        let state_ttl = in_text != ttl;
        if record.ttl_stated || state_ttl {
            self.ttl.stated(ttl);
        }
        self.owner = Some(record.owner.clone());
        if state_owner || state_ttl || !matches!(action, Action::Keep) {
            self.in_place()?;
            self.edit(entry, record, &action, state_owner, state_ttl.then_some(ttl));
        }
        Ok(())
    }

    /// The TTL that an entry that stays should have. In an RRset that differs the first entry decides, and all follow
    /// if the TTL is another than before.
    fn wanted_ttl(&mut self, record: &RecordEntry) -> u32 {
        if record.rtype == RecordType::SOA {
            // A repetition of the SOA may have another TTL, which counts for nothing and is none of an edit's business.
            let stays = self.target.soa().ttl == self.file.zone().soa().ttl;
            return if stays { record.ttl } else { self.target.soa().ttl.min(MAX_TTL) };
        }
        self.wanted_ttl_of(&record.owner, record.rtype, record.ttl)
    }

    fn wanted_ttl_of(&mut self, owner: &Name, rtype: RecordType, ttl: u32) -> u32 {
        let key = (owner.clone(), rtype);
        let Some(change) = self.plan.changes.get(&key) else { return ttl };
        let first = self.begun.insert(key);
        if first || change.ttl_differs { change.ttl } else { ttl }
    }

    /// Changes the line of a record, or writes it anew where parentheses stand in the way.
    fn edit(&mut self, entry: &Entry, record: &RecordEntry, action: &Action, state_owner: bool, ttl: Option<u32>) {
        let text = &self.file.sources[entry.source as usize].text;
        let edits = &mut self.edits[entry.source as usize];
        let Some(line) = Line::of(text, entry.range(), record.owner_stated) else { return };
        let owner = name_text(&record.owner, Some(&self.origin));
        if let Action::Replace(new) = action {
            let mut rdata_text = String::new();
            rdata::write(record.rtype, new.as_wire(), Some(&self.origin), &mut rdata_text);
            let mut of_line = Edits::default();
            let done = match (record.rtype, Soa::from_rdata(0, new.as_wire())) {
                (RecordType::SOA, Some(soa)) if line.rdata.len() == 7 => {
                    edit_soa(&line, text, record, &soa, &self.origin, &mut of_line);
                    true
                }
                _ => line.set_rdata(&rdata_text, &mut of_line),
            };
            if !done {
                let stated = ttl.or(record.ttl_stated.then_some(record.ttl));
                let owner = (record.owner_stated || state_owner).then_some(owner.as_str());
                let end = if text[entry.range()].ends_with(b"\n") { line_end(text) } else { "" };
                let new = line.alike(owner, stated, &record.rtype.to_string(), &rdata_text);
                edits.replace(entry.range(), format!("{new}{end}"));
                return;
            }
            edits.append(of_line);
        }
        if state_owner {
            line.set_owner(&owner, edits);
        }
        if let Some(ttl) = ttl {
            line.set_ttl(ttl, edits);
        }
    }

    /// Keeps a `$GENERATE` line, or writes the records that stay in its place.
    fn generate(&mut self, entry: &Entry, generate: &GenerateEntry) -> Result<(), NotInPlace> {
        let stays = |record: &&(Name, Rdata)| self.plan.keeps(&record.0, generate.rtype, &record.1);
        let kept: Vec<&(Name, Rdata)> = generate.records.iter().filter(stays).collect();
        let wanted: Vec<u32> =
            kept.iter().map(|record| self.wanted_ttl_of(&record.0, generate.rtype, generate.ttl)).collect();
        let before = self.ttl;
        let in_text = if generate.ttl_stated { generate.ttl } else { self.ttl.implied(None) };
        let unchanged = kept.len() == generate.records.len() && generate.repeats.iter().all(|record| stays(&record));
        if unchanged && wanted.iter().all(|&ttl| ttl == in_text) {
            if generate.ttl_stated {
                self.ttl.stated(generate.ttl);
            }
            return Ok(());
        }
        self.in_place()?;
        self.ttl = before;
        let text = &self.file.sources[entry.source as usize].text;
        let end = line_end(text);
        let mut lines = String::new();
        for ((owner, rdata), ttl) in kept.into_iter().zip(wanted) {
            let new = NewRecord { owner: owner.clone(), rtype: generate.rtype, ttl, rdata: rdata.clone() };
            lines.push_str(&self.line(None, &new));
            lines.push_str(end);
        }
        self.edits[entry.source as usize].replace(entry.range(), lines);
        Ok(())
    }

    /// Writes the records of an included text in place of the `$INCLUDE`.
    fn write_out(&mut self, include: &Entry, entries: &[Entry], first: usize) {
        let text = &self.file.sources[include.source as usize].text;
        let end = line_end(text);
        let mut lines = String::new();
        for (index, entry) in entries.iter().enumerate() {
            let mut write = |walk: &mut Walk<'_>, owner: &Name, rtype: RecordType, ttl: u32, rdata: Rdata| {
                let record = Record { owner: owner.clone(), rtype, ttl, rdata };
                lines.push_str(&record_to_text(&record));
                lines.push_str(end);
                walk.owner = Some(record.owner);
                walk.ttl.stated(ttl);
            };
            match &entry.kind {
                EntryKind::Record(record) if record.repeats.is_some() => {}
                EntryKind::Record(record) if record.rtype == RecordType::SOA => {
                    let soa = self.target.soa().clone();
                    write(self, &record.owner, record.rtype, soa.ttl.min(MAX_TTL), soa.to_rdata());
                }
                EntryKind::Record(record)
                    if !matches!(self.plan.actions.get(&(first + index)), Some(Action::Remove)) =>
                {
                    let ttl = self.wanted_ttl(record);
                    write(self, &record.owner, record.rtype, ttl, record.rdata.clone());
                }
                EntryKind::Generate(generate) => {
                    for (owner, rdata) in &generate.records {
                        if self.plan.keeps(owner, generate.rtype, rdata) {
                            let ttl = self.wanted_ttl_of(owner, generate.rtype, generate.ttl);
                            write(self, owner, generate.rtype, ttl, rdata.clone());
                        }
                    }
                }
                _ => {}
            }
        }
        self.edits[include.source as usize].replace(include.range(), lines);
    }

    fn insert_after(&mut self, entry: &Entry, records: &[NewRecord]) {
        let text = &self.file.sources[entry.source as usize].text;
        let style = match &entry.kind {
            EntryKind::Record(record) => Line::of(text, entry.range(), record.owner_stated),
            _ => None,
        };
        let end = line_end(text);
        let at_end = entry.end as usize == text.len();
        let broken = at_end && !self.edits[entry.source as usize].end_with_line(text);
        let mut lines = if broken { end.to_owned() } else { String::new() };
        for record in records {
            lines.push_str(&self.line(style.as_ref(), record));
            lines.push_str(end);
        }
        self.edits[entry.source as usize].insert(entry.end as usize, lines);
    }

    /// Writes the records that have no neighbour at the end of the main file.
    fn append(&mut self) {
        if self.plan.at_end.is_empty() {
            return;
        }
        let source = &self.file.sources[0];
        let model = self.entries.iter().rev().find_map(|entry| match &entry.kind {
            EntryKind::Record(record)
                if entry.source == 0 && record.owner_stated && record.rtype != RecordType::SOA =>
            {
                Line::of(&source.text, entry.range(), true)
            }
            _ => None,
        });
        let end = line_end(&source.text);
        let mut lines = if self.edits[0].end_with_line(&source.text) { String::new() } else { end.to_owned() };
        for record in &self.plan.at_end {
            lines.push_str(&self.line(model.as_ref(), record));
            lines.push_str(end);
        }
        self.edits[0].insert(source.text.len(), lines);
    }

    /// A line for a new record, right under what is in force here, in the layout of `style`.
    fn line(&mut self, style: Option<&Line<'_>>, record: &NewRecord) -> String {
        let ttl = record.ttl.min(MAX_TTL);
        let state_ttl = self.ttl.implied(None) != ttl || style.is_some_and(|style| style.ttl.is_some());
        if state_ttl {
            self.ttl.stated(ttl);
        }
        let inherits = style.is_some_and(|style| style.owner.is_none()) && self.owner.as_ref() == Some(&record.owner);
        self.owner = Some(record.owner.clone());
        let owner = (!inherits).then(|| name_text(&record.owner, Some(&self.origin)));
        let (mut rdata_text, rtype) = (String::new(), record.rtype.to_string());
        rdata::write(record.rtype, record.rdata.as_wire(), Some(&self.origin), &mut rdata_text);
        let ttl = state_ttl.then_some(ttl);
        match style {
            Some(style) => style.alike(owner.as_deref(), ttl, &rtype, &rdata_text),
            None => {
                let ttl = ttl.map_or_else(String::new, |ttl| format!("{ttl} "));
                format!("{} {ttl}IN {rtype} {rdata_text}", owner.unwrap_or_default())
            }
        }
    }
}

/// Replaces the fields of an SOA that differ, each in its column.
fn edit_soa(line: &Line<'_>, text: &[u8], record: &RecordEntry, new: &Soa, origin: &Name, edits: &mut Edits) {
    let Some(old) = Soa::from_rdata(0, record.rdata.as_wire()) else { return };
    let names = [(&old.mname, &new.mname), (&old.rname, &new.rname)];
    for (token, (old, new)) in line.rdata.iter().zip(names) {
        if old != new {
            let mut name = String::new();
            super::name_text::write_name(new.as_wire(), Some(origin), &mut name);
            edits.replace_in_column(text, token, &name);
        }
    }
    let numbers = |soa: &Soa| [soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum];
    for ((token, old), new) in line.rdata[2..].iter().zip(numbers(&old)).zip(numbers(new)) {
        if old != new {
            edits.replace_in_column(text, token, &new.to_string());
        }
    }
}

#[cfg(test)]
mod tests;
