//! Reads another version of a text by the lines that differ, as after a person has changed a few of a large file.
//!
//! It says nothing about errors: where there is one, or anything else that a person should hear of, the text is read as a
//! whole. What is left is sound because the text is plain: a line that is the same in both means the same in both, if its
//! owner is its own or that of a line that says the same.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use super::check::is_still_sound;
use super::entry::{EntryKind, RecordEntry, Source};
use super::lexer::{BOM, Lexer};
use super::parser::{Owner, Parser, Place, read_owner};
use super::{Hunk, ZoneFile};
use crate::zone::{Name, Rdata, RecordType, RrsetBuf, Zone, rdata};

pub(super) fn parse(path: &str, text: Arc<[u8]>, before: &Zone, hunks: &[Hunk]) -> Option<ZoneFile> {
    if text.starts_with(BOM) {
        return None;
    }
    let (mut no_include, mut none_either) = (no_include, no_include);
    let (mut old, mut new) =
        (Side::new(path, before.origin(), &mut no_include), Side::new(path, before.origin(), &mut none_either));
    let (head, others) = hunks.split_first().filter(|(head, _)| head.new.start == 0)?;
    old.read(&head.old, 0..head.old.len())?;
    new.read(&text, head.new.clone())?;
    if old.in_force() != new.in_force() {
        return None;
    }
    let plain = (old.parser.plain_from, new.parser.plain_from);
    let mut end = head.new.end;
    for hunk in others {
        pass(text.get(end..hunk.new.start)?, &mut old, &mut new)?;
        old.read(&hunk.old, 0..hunk.old.len())?;
        new.read(&text, hunk.new.clone())?;
        end = hunk.new.end;
    }
    pass(text.get(end..)?, &mut old, &mut new)?;
    if (old.parser.plain_from, new.parser.plain_from) != plain || !new.parser.is_plain() {
        return None;
    }
    let soa = new.parser.soa.clone()?;
    let (gone, come) = only_in_one(old.records()?, new.records()?);
    let mut zone = before.clone();
    let owners = replace(&mut zone, gone, come)?;
    let serial = soa.serial.into();
    zone.set_soa(soa, serial);
    zone.set_version([0; 8]);
    if !is_still_sound(before, &zone, &owners) {
        return None;
    }
    new.parser.sources[0].text = text;
    Some(new.parser.finish(zone, Vec::new()))
}

fn no_include(_: &str) -> Result<Vec<u8>, String> {
    Err("the text was plain".to_owned())
}

/// One of the two versions as far as it is read.
struct Side<'i> {
    parser: Parser<'i>,
    place: Place,
}

impl<'i> Side<'i> {
    fn new(path: &str, origin: &Name, no_include: &'i mut dyn FnMut(&str) -> Result<Vec<u8>, String>) -> Side<'i> {
        let text: Arc<[u8]> = Arc::default();
        let mut parser = Parser::new(origin.clone(), no_include);
        parser.sources.push(Source { path: path.to_owned(), text: Arc::clone(&text), uses: 1 });
        parser.entries = Some(Vec::new());
        Side { parser, place: Place { source: 0, text, origin: origin.clone(), owner: Owner::None } }
    }

    /// Reads some lines; `None` if there is anything to point out.
    fn read(&mut self, text: &Arc<[u8]>, lines: Range<usize>) -> Option<()> {
        self.place.text = Arc::clone(text);
        self.parser.read_entries(&mut self.place, Lexer::at(text.get(..lines.end)?, lines.start));
        self.parser.diagnostics.is_empty().then_some(())
    }

    /// What the lines that follow take from those before, the owner apart.
    fn in_force(&self) -> (&Name, Option<u32>) {
        (&self.place.origin, self.parser.ttl.in_force())
    }

    /// The records that were read, the SOA apart.
    fn records(&mut self) -> Option<Vec<RecordEntry>> {
        let mut records = Vec::new();
        for entry in self.parser.entries.take()? {
            match entry.kind {
                EntryKind::Record(record) if record.rtype == RecordType::SOA => {}
                EntryKind::Record(record) => records.push(record),
                EntryKind::Origin(_) | EntryKind::Ttl(_) => {}
                EntryKind::Generate(_) | EntryKind::OutOfZone { .. } => return None,
                EntryKind::Include { .. } | EntryKind::IncludeEnd => return None,
            }
        }
        Some(records)
    }
}

/// Passes over lines that are the same in both; `None` if they do not mean the same.
fn pass(lines: &[u8], old: &mut Side<'_>, new: &mut Side<'_>) -> Option<()> {
    let is_entry = |line: &&[u8]| !matches!(line.trim_ascii_start().first(), None | Some(b';'));
    let is_indented = |line: &[u8]| matches!(line.first(), Some(b' ' | b'\t'));
    let first = lines.split(|&byte| byte == b'\n').find(is_entry);
    if old.place.owner != new.place.owner && first.is_some_and(is_indented) {
        return None;
    }
    let stated = lines.rsplit(|&byte| byte == b'\n').filter(is_entry).find(|line| !is_indented(line));
    if let Some(line) = stated {
        let (mut tokens, mut owner) = (Vec::new(), Vec::new());
        Lexer::at(line, 0).next_entry(&mut tokens)?.ok()?;
        read_owner(tokens.first()?, &new.place.origin, &mut owner).ok()?;
        old.place.owner = Owner::Known(owner.clone());
        new.place.owner = Owner::Known(owner);
    }
    Some(())
}

/// The records that only one of the two has.
fn only_in_one(old: Vec<RecordEntry>, new: Vec<RecordEntry>) -> (Vec<RecordEntry>, Vec<RecordEntry>) {
    let key = |record: &RecordEntry| (record.owner.clone(), record.rtype, record.ttl, record.rdata.clone());
    let mut gone: HashMap<_, RecordEntry> = old.into_iter().map(|record| (key(&record), record)).collect();
    let come = new.into_iter().filter(|record| gone.remove(&key(record)).is_none()).collect();
    (gone.into_values().collect(), come)
}

/// Takes records out of a zone and puts others in. Returns the owners, or `None` if it is not as it should be: a record is
/// not there, or is there already, or does not have the TTL of its RRset.
fn replace(zone: &mut Zone, gone: Vec<RecordEntry>, come: Vec<RecordEntry>) -> Option<Vec<Name>> {
    let mut by_owner: BTreeMap<Name, (Vec<RecordEntry>, Vec<RecordEntry>)> = BTreeMap::new();
    for record in gone {
        by_owner.entry(record.owner.clone()).or_default().0.push(record);
    }
    for record in come {
        by_owner.entry(record.owner.clone()).or_default().1.push(record);
    }
    for (owner, (gone, come)) in &by_owner {
        // Each RRset's TTL, and its data by what counts when two are compared.
        let mut rrsets: BTreeMap<RecordType, (u32, BTreeMap<Vec<u8>, Rdata>)> = BTreeMap::new();
        for rrset in zone.get(owner.as_wire()).into_iter().flat_map(|node| node.rrsets()) {
            let rdatas = rrset.rdatas().map(|rdata| (rdata::canonical(rrset.rtype, rdata), Rdata::new(rdata)));
            rrsets.insert(rrset.rtype, (rrset.ttl, rdatas.collect()));
        }
        for record in gone {
            let (ttl, rdatas) = rrsets.get_mut(&record.rtype)?;
            let known = rdatas.remove(&rdata::canonical(record.rtype, record.rdata.as_wire()))?;
            if known != record.rdata || *ttl != record.ttl {
                return None;
            }
            if rdatas.is_empty() {
                rrsets.remove(&record.rtype);
            }
        }
        for record in come {
            let (ttl, rdatas) = rrsets.entry(record.rtype).or_insert_with(|| (record.ttl, BTreeMap::new()));
            let known = rdatas.insert(rdata::canonical(record.rtype, record.rdata.as_wire()), record.rdata.clone());
            if known.is_some() || *ttl != record.ttl {
                return None;
            }
        }
        let packed = rrsets.into_iter().map(|(rtype, (ttl, rdatas))| {
            let mut rdatas: Vec<&Rdata> = rdatas.values().collect();
            rdatas.sort_unstable();
            RrsetBuf::new(rtype, ttl, rdatas)
        });
        zone.set(owner, packed.collect());
    }
    Some(by_owner.into_keys().collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEAD: &str = "; a zone\n$TTL 60\n@ SOA ns hm ( 1 2 3\n 4 5 ) ; serial first\n@ NS ns\nns A 192.0.2.1\n";

    fn parse_all(text: &str) -> Result<ZoneFile, Vec<super::super::Diagnostic>> {
        let origin = "example.".parse().expect("a name");
        ZoneFile::parse("z", text.as_bytes(), &origin, &mut |_| Err("not there".to_owned()))
    }

    /// Reads `new` by what differs from `old`; both are the lines behind these heads.
    fn parse_again(heads: (&str, &str), old: &[&str], new: &[(usize, usize, Vec<&str>)]) -> (String, Option<ZoneFile>) {
        let before = parse_all(&(heads.0.to_owned() + &old.concat())).expect("the earlier version can be read");
        let mut text = heads.1.to_owned();
        let mut hunks = vec![Hunk { old: heads.0.as_bytes().into(), new: 0..text.len() }];
        let mut at = 0;
        for (start, gone, come) in new {
            let (start, end) = ((*start).clamp(at, old.len()), (start + gone).clamp(at, old.len()));
            text += &old[at..start].concat();
            let from = text.len();
            text += &come.concat();
            hunks.push(Hunk { old: old[start..end.max(start)].concat().as_bytes().into(), new: from..text.len() });
            at = end.max(start);
        }
        text += &old[at..].concat();
        let plain = before.plain_from().is_some_and(|from| from <= heads.0.len());
        let file = plain.then(|| parse("z", text.as_bytes().into(), before.zone(), &hunks)).flatten();
        (text, file)
    }

    /// Lines of all kinds: most are plain, some are pointed out, some are wrong.
    fn line() -> impl Strategy<Value = &'static str> {
        prop_oneof![
            8 => prop::sample::select(vec![
                "a A 192.0.2.1\n", "a A 192.0.2.2\n", "a 60 A 192.0.2.3\n", "b AAAA ::1\n", "b TXT \"x ; y\"\n",
                " A 192.0.2.9\n", "\tTXT more\n", "c.d A 192.0.2.4\n", "*.w A 192.0.2.5\n", "m MX 10 a\n", "m MX 10 A\n",
                "n CNAME a\n", "; nothing\n", "\n", "  ; nothing\n", "B A 192.0.2.1\r\n", "e TXT ( one line )\n",
                "sub NS ns.sub\n", "ns.sub A 192.0.2.6\n", "s._tcp SRV 0 0 1 b\n", "@ TXT apex\n", "@ NS b\n",
            ]),
            1 => prop::sample::select(vec![
                "a 90 A 192.0.2.1\n", "n A 192.0.2.1\n", "t DNAME a\n", "x.t A 192.0.2.1\n", "$TTL 90\n", "$ORIGIN x\n",
                "$ORIGIN example.\n", "l TXT (\n", "x )\n", "f\rg A 192.0.2.1\n", "out.test. A 192.0.2.1\n", "a NONE x\n",
                "$GENERATE 1-3 g$ A 192.0.2.$\n", "@ SOA ns hm 1 2 3 4 5\n", "; grapevine: 7 abababababababab\n",
            ]),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn what_changed_says_what_the_whole_says(
            old in prop::collection::vec(line(), 0..30),
            new in prop::collection::btree_map(0..30usize, (0..3usize, prop::collection::vec(line(), 0..3)), 0..4),
            serial in any::<bool>(),
        ) {
            // Lines that do harm are left out of the earlier version, so that there is one to start from.
            let mut sound: Vec<&str> = Vec::new();
            for line in old {
                sound.push(line);
                let is_sound = parse_all(&(HEAD.to_owned() + &sound.concat())).is_ok_and(|file| file.plain_from().is_some_and(|from| from <= HEAD.len()));
                if !is_sound {
                    sound.pop();
                }
            }
            let head = if serial { HEAD.replace("( 1 ", "( 2 ") } else { HEAD.to_owned() };
            let edits: Vec<_> = new.into_iter().map(|(at, (gone, come))| (at, gone, come)).collect();
            let (text, again) = parse_again((HEAD, &head), &sound, &edits);
            let whole = parse_all(&text);
            if let Some(again) = again {
                let whole = whole.expect("what is read by its changes can be read");
                prop_assert!(whole.warnings().is_empty(), "{:?}", whole.warnings());
                prop_assert_eq!(again.zone(), whole.zone());
                prop_assert_eq!(again.zone().to_content(), whole.zone().to_content());
                prop_assert_eq!(again.zone().record_count(), whole.zone().record_count());
                prop_assert_eq!((again.marker(), again.plain_from()), (whole.marker(), whole.plain_from()));
                prop_assert_eq!(again.sources().collect::<Vec<_>>(), whole.sources().collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn plain_changes_are_read_by_themselves() {
        let old = ["a A 192.0.2.1\n", " A 192.0.2.2\n", "; nothing\n", "b TXT x\n", "c A 192.0.2.1\n"];
        let later = HEAD.replace("( 1 ", "( 2 ");
        for (head, edits) in [
            (HEAD, vec![]),
            (&later, vec![(3, 1, vec!["b TXT y\n"])]),
            (HEAD, vec![(0, 1, vec!["a 60 A 192.0.2.7\n"]), (4, 1, vec![])]),
            (HEAD, vec![(2, 0, vec![" A 192.0.2.3\n"]), (5, 0, vec!["d.e A 192.0.2.1\n", "@ NS c\n"])]),
            (HEAD, vec![(0, 2, vec!["a TXT gone\n"])]),
        ] {
            let (text, again) = parse_again((HEAD, head), &old, &edits);
            let whole = parse_all(&text).expect("it is sound");
            assert_eq!(again.expect("it is plain").zone().to_content(), whole.zone().to_content(), "{text}");
        }
    }

    #[test]
    fn what_is_not_plain_is_left_to_a_reading_of_all() {
        let old = ["a A 192.0.2.1\n", " A 192.0.2.2\n", "b MX 10 a\n"];
        let other_ttl = HEAD.replace("$TTL 60", "$TTL 90");
        for (head, edits) in [
            // It would mean another owner, TTL or origin for lines that are the same.
            (HEAD, vec![(0, 1, vec!["c A 192.0.2.1\n"])]),
            (&other_ttl[..], vec![]),
            (HEAD, vec![(3, 0, vec!["$ORIGIN x\n"])]),
            // There is something to point out.
            (HEAD, vec![(3, 0, vec!["a A 192.0.2.1\n"])]),
            (HEAD, vec![(3, 0, vec!["a 90 A 192.0.2.3\n"])]),
            (HEAD, vec![(0, 2, vec![])]),
            (HEAD, vec![(3, 0, vec!["d MX 10 nowhere\n"])]),
            (HEAD, vec![(3, 0, vec!["a CNAME b\n"])]),
            (HEAD, vec![(3, 0, vec!["x ( \n"])]),
        ] {
            let (text, again) = parse_again((HEAD, head), &old, &edits);
            assert!(again.is_none(), "{text}");
        }
    }
}
