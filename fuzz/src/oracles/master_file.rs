//! Master files: read without loss, written, patched.
//!
//! Parts of the input, separated by [`SEPARATOR`], are the zone's file, two files that it may include as `a` and `b`,
//! and a file that says what the zone is to become.

use std::collections::BTreeMap;

use grapevine::master::{Level, Marker, ZoneFile, render};
use grapevine::zone::{Name, RecordType, Zone, ZoneContent};

/// Stands between the parts of the input.
const SEPARATOR: &[u8] = b"\n;----\n";
const MAIN: &str = "main";
/// Files that make more records than this are checked no further: one of them would take the time of thousands of
/// others and show nothing new. For the same reason a `$GENERATE` range has at most so many digits.
const MAX_RECORDS: usize = 2000;
const MAX_RANGE_DIGITS: usize = 3;
const GENERATE: &[u8] = b"$GENERATE";

/// Checks one set of files.
pub fn check(data: &[u8]) {
    let parts = split(data);
    if parts.iter().any(|text| generates_much(text)) {
        return;
    }
    let part = |index: usize| parts.get(index).copied().unwrap_or_default();
    let files: BTreeMap<String, Vec<u8>> =
        [MAIN, "a", "b"].into_iter().enumerate().map(|(index, name)| (name.to_owned(), part(index).to_vec())).collect();
    let Some(file) = read(&files) else { return };
    for (path, text) in file.sources() {
        assert_eq!(files[path], text, "{path} was read as it is");
    }
    assert!(file.patch(file.zone(), file.marker()).is_empty(), "an unedited file is not touched");
    if file.content().record_count() > MAX_RECORDS {
        return;
    }
    render_and_read(file.content(), file.marker());
    let stated = read(&BTreeMap::from([(MAIN.to_owned(), part(3).to_vec())]));
    // What was thinned may miss what a zone must have, as the address of a name server.
    let is_legal = |target: &ZoneContent| {
        read(&BTreeMap::from([(MAIN.to_owned(), render(&Zone::from_content(target), None))])).is_some()
    };
    let thinned = thinned(file.content()).filter(is_legal);
    let targets = stated.map(|file| file.content().clone()).into_iter().chain(thinned);
    for (target, marker) in targets.zip([None, Some(Marker { serial: 7, version: *b"grapevin" })].into_iter().cycle()) {
        patch_and_read(&files, &file, &target, marker);
    }
}

fn split(mut data: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    while let Some(at) =
        data.windows(SEPARATOR.len()).position(|window| window == SEPARATOR).filter(|_| parts.len() < 3)
    {
        // The line end before the separator belongs to the part.
        parts.push(&data[..at + 1]);
        data = &data[at + SEPARATOR.len()..];
    }
    parts.push(data);
    parts
}

fn generates_much(text: &[u8]) -> bool {
    let starts = text.windows(GENERATE.len()).enumerate().filter(|(_, word)| word.eq_ignore_ascii_case(GENERATE));
    starts.map(|(at, _)| &text[at + GENERATE.len()..]).any(|rest| {
        let line = rest.split(|&byte| byte == b'\n').next().unwrap_or_default();
        line.split(|byte| !byte.is_ascii_digit()).any(|number| number.len() > MAX_RANGE_DIGITS)
    })
}

fn origin() -> Name {
    "example.".parse().expect("a name")
}

/// Reads a zone; of one that is refused, looks at the reasons.
fn read(files: &BTreeMap<String, Vec<u8>>) -> Option<ZoneFile> {
    let mut include = |path: &str| files.get(path).cloned().ok_or_else(|| "not there".to_owned());
    match ZoneFile::parse(MAIN, &files[MAIN], &origin(), &mut include) {
        Ok(file) => {
            assert!(file.warnings().iter().all(|found| found.level != Level::Error));
            file.warnings().iter().for_each(|found| drop(found.with_source()));
            Some(file)
        }
        Err(found) => {
            assert!(found.iter().any(|found| found.level == Level::Error), "refused without a reason");
            found.iter().for_each(|found| drop(found.with_source()));
            None
        }
    }
}

fn read_again(files: &BTreeMap<String, Vec<u8>>) -> ZoneFile {
    let mut include = |path: &str| files.get(path).cloned().ok_or_else(|| "not there".to_owned());
    ZoneFile::parse(MAIN, &files[MAIN], &origin(), &mut include).unwrap_or_else(|found| {
        let reasons: Vec<String> = found.iter().map(|found| found.with_source()).collect();
        panic!("what was written is not read:\n{}", reasons.join("\n"))
    })
}

/// A zone that is written afresh reads as the same zone.
fn render_and_read(content: &ZoneContent, marker: Option<Marker>) {
    let file = read_again(&BTreeMap::from([(MAIN.to_owned(), render(&Zone::from_content(content), marker))]));
    assert_eq!(file.content(), content, "as it was written afresh");
    assert_eq!(file.marker(), marker);
}

/// A file that is brought to another content has that content, and then needs no change any more.
fn patch_and_read(files: &BTreeMap<String, Vec<u8>>, file: &ZoneFile, target: &ZoneContent, marker: Option<Marker>) {
    let mut patched = files.clone();
    patched.extend(file.patch(&Zone::from_content(target), marker));
    let again = read_again(&patched);
    assert_eq!(again.content(), target, "as it was patched");
    assert_eq!(again.marker(), marker);
    assert!(again.patch(&Zone::from_content(target), marker).is_empty(), "once patched it is not touched");
}

/// The zone without some of its records, and with other TTLs and another serial.
fn thinned(content: &ZoneContent) -> impl Iterator<Item = ZoneContent> {
    [2, 3].into_iter().map(|every| {
        let mut target = content.clone();
        target.soa.serial = target.soa.serial.wrapping_add(1);
        let mut count = 0;
        for ((owner, rtype), rrset) in &mut target.rrsets {
            // A zone without name servers at its apex is not read.
            if *owner == content.origin && *rtype == RecordType::NS {
                continue;
            }
            rrset.rdatas.retain(|_| {
                count += 1;
                count % every != 0
            });
            rrset.ttl ^= u32::from(count % 5 == 0);
        }
        target.rrsets.retain(|_, rrset| !rrset.rdatas.is_empty());
        target
    })
}
