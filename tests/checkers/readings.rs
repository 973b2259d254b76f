//! What a file means: the stock tools print the zone as they understand it, and Grapevine has to read the same from that.

use std::path::Path;

use grapevine::master::{ZoneFile, render};
use grapevine::zone::rdata::canonical;
use grapevine::zone::{Name, ZoneContent};

use super::stock::{ORIGIN, run};
use super::{FILE, corpus};

/// Tools that print a zone, with their arguments up to the file.
pub(crate) const PRINTERS: [(&str, &[&str]); 3] = [
    ("named-compilezone", &["-q", "-i", "none", "-k", "ignore", "-r", "ignore", "-o", "-", ORIGIN]),
    ("nsd-checkzone", &["-p", ORIGIN]),
    ("ldns-read-zone", &["-0"]),
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
            // ldns is not told the origin.
            let text = if tool.starts_with("ldns") { [b"$ORIGIN example.\n", text].concat() } else { text.to_vec() };
            std::fs::write(directory.join(FILE), text).expect("the directory is writable");
            let said = run(directory, tool, &[arguments, &[FILE]].concat());
            said.accepts.then_some(said.words)
        };
        let Some(printed) = print(&text) else { continue };
        compared += 1;
        let mut tell = |what: &str, other: &str| {
            let ours = lines(&ours).join("\n");
            let shown = format!("\n== {index} {tool}: {what}\nours:\n{ours}\ntheirs:\n{other}\n");
            differences.push(Difference { index, shown });
        };
        match read(printed.as_bytes()) {
            Some(theirs) if lines(&theirs) == lines(&ours) => {}
            Some(theirs) => tell("it means something else", &lines(&theirs).join("\n")),
            None => tell("what it printed cannot be read", &printed),
        }
        // What Grapevine writes is read by the tool as the original was.
        let rendered = render(&ours, None);
        match print(&rendered).map(|again| read(again.as_bytes())) {
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
