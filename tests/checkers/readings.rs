//! What a file means: the stock tools print the zone as they understand it, and Grapevine has to read the same from that.

use std::path::Path;

use grapevine::master::{ZoneFile, render};
use grapevine::zone::rdata::canonical;
use grapevine::zone::{Name, Zone, ZoneContent};

use super::lines::HEAD;
use super::stock::{ORIGIN, run};
use super::{FILE, corpus};

/// Tools that print a zone, with their arguments up to the file.
pub(crate) const PRINTERS: [(&str, &[&str]); 2] = [
    ("named-compilezone", &["-q", "-i", "none", "-k", "ignore", "-r", "ignore", "-o", "-", ORIGIN]),
    ("nsd-checkzone", &["-p", ORIGIN]),
];

/// Texts whose meaning, or whose printing, NSD 4.6 gets wrong, by their beginning.
const FLAWS_OF_NSD: &[(&str, &str)] = &[
    (
        "x SVCB 1 . key",
        "a key by number has its value as bytes (RFC 9460 section 2.1); NSD reads that of the key's name",
    ),
    ("x SPF x y", "NSD prints the first string alone"),
    ("x TXT \\#", "NSD prints nothing for it"),
    ("x RRSIG A 8 2 4294967295", "NSD takes the original TTL for a TTL and cuts it"),
];

/// One difference between what Grapevine and a tool make of a file.
pub(crate) struct Difference {
    /// The file's place among the corpus' records.
    pub(crate) index: usize,
    /// What differs, for the person who reads the test's output.
    pub(crate) shown: String,
}

/// Compares the record of this index of the tables as read by each tool; tells of how many tools it was compared with.
pub(crate) fn compare(directory: &Path, index: usize) -> (usize, Vec<Difference>) {
    let text = corpus::file(index as u64);
    let Some(ours) = read(&text) else { return (0, Vec::new()) };
    let (mut compared, mut differences) = (0, Vec::new());
    for (tool, arguments) in PRINTERS {
        let print = |text: &[u8]| {
            std::fs::write(directory.join(FILE), text).expect("the directory is writable");
            let said = run(directory, tool, &[arguments, &[FILE]].concat());
            said.accepts.then_some(said.printed)
        };
        let record = text.strip_prefix(HEAD.as_bytes()).unwrap_or_default();
        let flawed = FLAWS_OF_NSD.iter().any(|flaw| record.starts_with(flaw.0.as_bytes()));
        let Some(printed) = print(&text).filter(|_| !(flawed && tool == "nsd-checkzone")) else { continue };
        compared += 1;
        let mut tell = |what: &str, other: &str| {
            let ours = lines(&ours).join("\n");
            let shown = format!("\n== {index} {tool}: {what}\nours:\n{ours}\ntheirs:\n{other}\n");
            differences.push(Difference { index, shown });
        };
        match read(&printed) {
            Some(theirs) if lines(&theirs) == lines(&ours) => {}
            Some(theirs) => tell("it means something else", &lines(&theirs).join("\n")),
            None => tell("what it printed cannot be read", &String::from_utf8_lossy(&printed)),
        }
        // What Grapevine writes is read by the tool as the original was.
        let rendered = render(&Zone::from_content(&ours), None);
        match print(&rendered).map(|again| read(&again)) {
            Some(Some(again)) if lines(&again) == lines(&ours) => {}
            Some(Some(again)) => tell("it reads another thing from what is written here", &lines(&again).join("\n")),
            _ => tell("it cannot read what is written here", &String::from_utf8_lossy(&rendered)),
        }
    }
    (compared, differences)
}

fn read(text: &[u8]) -> Option<ZoneContent> {
    let origin: Name = ORIGIN.parse().expect("a name");
    let file = ZoneFile::parse(FILE, text, &origin, &mut |path| Err(format!("{path}: no includes"))).ok()?;
    Some(file.content().clone())
}

/// Each record with its rdata in canonical form: not every tool keeps the case of names.
fn lines(content: &ZoneContent) -> Vec<String> {
    let line = |record: grapevine::zone::Record| {
        let rdata = canonical(record.rtype, record.rdata.as_wire());
        let hex: String = rdata.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{} {} {} {hex}", record.owner, record.ttl, record.rtype)
    };
    let mut lines: Vec<String> =
        content.records().filter(|record| record.owner.to_string() == "x.example.").map(line).collect();
    lines.sort();
    lines
}
