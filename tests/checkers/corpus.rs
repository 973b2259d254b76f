//! Files from seeds. The first seeds go through the tables, one construct a file; the others put constructs together and
//! change bytes and words of them.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use super::lines::{FILES, GENERATE, HEAD, SEMANTIC, SYNTAX};
use super::rdata::{LONGEST_LABEL, RARE_RDATA, RDATA, Values};

/// Words that take the place of others: numbers at the bounds, names and strings of every kind.
const WORDS: &[&str] = &[
    "0",
    "1",
    "-1",
    "255",
    "256",
    "65535",
    "65536",
    "2147483648",
    "4294967295",
    "4294967296",
    "01",
    "0x1",
    "1.5",
    "x",
    "@",
    ".",
    "..",
    "a..b",
    "*",
    "\"\"",
    "\"x y\"",
    "\"",
    "\\",
    "\\065",
    "\\256",
    "(",
    ")",
    "()",
    ";",
    "-",
    "+",
    "=",
    "AA==",
    "A===",
    "ff",
    "f",
    "gg",
    "192.0.2.1",
    "2001:db8::1",
    "::",
    "A",
    "IN",
    "CH",
    "TYPE1",
    "1h",
    "20300101000000",
    "20301301000000",
    "\u{e4}",
    "\\#",
    "$",
    "a.test.",
    "example.",
    "!",
    "\0",
    "\r",
    "\t",
];

/// Bytes that mean something in a master file, and some that do not.
const BYTES: &[u8] = b"()\"\\;$@.#-+:/,=*09azAZ \t\n\r\0\x7f\xc3\xff";

/// How many files of one record the tables make; they have the first seeds.
pub(crate) fn records() -> usize {
    RDATA.iter().chain(RARE_RDATA).map(|values| values.1.len()).sum()
}

/// How many files the tables alone make.
pub(crate) fn singles() -> usize {
    records() + [SYNTAX, GENERATE, SEMANTIC, FILES].iter().map(|table| table.len()).sum::<usize>() + LENGTHS.len()
}

/// The file of a seed.
pub(crate) fn file(seed: u64) -> Vec<u8> {
    match usize::try_from(seed).ok().and_then(single) {
        Some(text) => text.into_bytes(),
        None => random(&mut StdRng::seed_from_u64(seed)),
    }
}

/// Makes a line whose validity depends on a length.
type OfLength = (fn(usize) -> String, usize);

/// Lengths at their bounds.
const LENGTHS: &[OfLength] = &[
    (label, 62),
    (label, 63),
    (label, 64),
    (label, 65),
    (label, 300),
    (target, 63),
    (target, 64),
    (owner, 253),
    (owner, 254),
    (owner, 255),
    (owner, 256),
    (owner, 257),
    (owner, 260),
    (owner, 600),
    (name, 254),
    (name, 255),
    (name, 256),
    (name, 400),
    (string, 254),
    (string, 255),
    (string, 256),
    (string, 1000),
    (strings, 254),
    (strings, 255),
    (strings, 256),
    (strings, 257),
    (strings, 300),
    (bytes, 65534),
    (bytes, 65535),
    (bytes, 65536),
    (escaped, 255),
    (escaped, 256),
    (origin, 254),
    (origin, 255),
    (origin, 256),
    (blanks, 5000),
    (comment, 70000),
    (many_records, 300),
    (hinfo, 255),
    (hinfo, 256),
    (caa_tag, 15),
    (caa_tag, 16),
    (caa_tag, 255),
    (caa_tag, 256),
    (salt, 255),
    (salt, 256),
    (word, 60000),
];

fn label(length: usize) -> String {
    format!("{} A 192.0.2.9", "a".repeat(length))
}
fn target(length: usize) -> String {
    format!("x PTR {}", "a".repeat(length))
}
/// A name of so many bytes on the wire, absolute, in the zone.
fn name_text(length: usize) -> String {
    // "example." takes nine bytes on the wire.
    let (mut left, mut text) = (length - 9, String::new());
    while left > 0 {
        let take = if left > 64 && left < 66 { 62 } else { left.min(64) };
        text.push_str(&LONGEST_LABEL[..(take - 1).max(1)]);
        text.push('.');
        left -= take.max(2).min(left);
    }
    text + "example."
}
fn owner(length: usize) -> String {
    format!("{} A 192.0.2.9", name_text(length))
}
fn name(length: usize) -> String {
    format!("x PTR {}", name_text(length))
}
fn origin(length: usize) -> String {
    format!("$ORIGIN {}\n@ A 192.0.2.9", name_text(length))
}
fn string(length: usize) -> String {
    format!("x TXT \"{}\"", "s".repeat(length))
}
fn strings(count: usize) -> String {
    format!("x TXT{}", format!(" \"{}\"", "s".repeat(255)).repeat(count))
}
fn bytes(length: usize) -> String {
    format!("x TYPE65280 \\# {length} {}", "00".repeat(length))
}
fn escaped(length: usize) -> String {
    format!("x TXT \"{}\"", "\\115".repeat(length))
}
fn blanks(length: usize) -> String {
    format!("x{}A{}192.0.2.9", " ".repeat(length), "\t".repeat(length))
}
fn comment(length: usize) -> String {
    format!("x A 192.0.2.9 ; {}", "c".repeat(length))
}
fn many_records(count: usize) -> String {
    (0..count).map(|number| format!("x TXT {number}\n")).collect()
}
fn hinfo(length: usize) -> String {
    format!("x HINFO \"{}\" y", "s".repeat(length))
}
fn caa_tag(length: usize) -> String {
    format!("x CAA 0 {} y", "t".repeat(length))
}
fn salt(length: usize) -> String {
    format!("x NSEC3PARAM 1 0 0 {}", "ab".repeat(length))
}
fn word(length: usize) -> String {
    format!("x TXT {}", "w".repeat(length))
}

/// The file of one construct.
fn single(mut index: usize) -> Option<String> {
    for (rtype, values) in RDATA.iter().chain(RARE_RDATA) {
        if let Some(value) = values.get(index) {
            return Some(below_head(&record(rtype, value)));
        }
        index -= values.len();
    }
    for table in [SYNTAX, GENERATE, SEMANTIC] {
        if let Some(lines) = table.get(index) {
            return Some(below_head(lines));
        }
        index -= table.len();
    }
    if let Some((line, length)) = LENGTHS.get(index) {
        return Some(below_head(&line(*length)));
    }
    FILES.get(index - LENGTHS.len()).map(|&text| text.to_owned())
}

fn record(rtype: &str, value: &str) -> String {
    format!("x {rtype} {value}")
}

fn below_head(lines: &str) -> String {
    format!("{HEAD}{lines}\n")
}

fn random(rng: &mut StdRng) -> Vec<u8> {
    match rng.random_range(0..100) {
        0..30 => below_head(&changed_record(rng)).into_bytes(),
        30..45 => generic(rng),
        45..60 => below_head(&header(rng)).into_bytes(),
        60..70 => several(rng, &[SYNTAX, SEMANTIC]).into_bytes(),
        70..80 => several(rng, &[SEMANTIC]).into_bytes(),
        80..84 => {
            let line = one_of(rng, SYNTAX);
            below_head(&change_word(rng, line)).into_bytes()
        }
        84..97 => {
            let text =
                if rng.random_bool(0.7) { several(rng, &[SYNTAX, SEMANTIC]) } else { below_head(&record_of(rng)) };
            change_bytes(rng, text.into_bytes())
        }
        _ => {
            let text = one_of(rng, FILES).as_bytes().to_vec();
            change_bytes(rng, text)
        }
    }
}

fn one_of(rng: &mut StdRng, table: &[&'static str]) -> &'static str {
    table.choose(rng).expect("the tables are not empty")
}

/// Types that all know weigh more, since about the others the vote is known beforehand.
fn values(rng: &mut StdRng) -> &'static Values {
    RDATA.choose(rng).expect("the tables are not empty")
}

fn record_of(rng: &mut StdRng) -> String {
    let (rtype, texts) = values(rng);
    record(rtype, one_of(rng, texts))
}

fn several(rng: &mut StdRng, tables: &[&[&'static str]]) -> String {
    let mut lines = String::new();
    for _ in 0..rng.random_range(2..4) {
        let table = tables.choose(rng).expect("the tables are not empty");
        lines.push_str(one_of(rng, table));
        lines.push('\n');
    }
    below_head(&lines)
}

/// A record of which a word is gone, doubled or another. The first text of a type is sound, and taken more often.
fn changed_record(rng: &mut StdRng) -> String {
    let (rtype, texts) = values(rng);
    let text = if rng.random_bool(0.5) { texts[0] } else { one_of(rng, texts) };
    record(rtype, &change_word(rng, text))
}

fn change_word(rng: &mut StdRng, text: &str) -> String {
    let mut words: Vec<&str> = text.split(' ').collect();
    // One word alone: two odd ones could be refused by two checkers for a reason each.
    let at = rng.random_range(0..words.len());
    match rng.random_range(0..4) {
        0 if words.len() > 1 => drop(words.remove(at)),
        1 => words.insert(at, words[at]),
        2 => words.insert(at, one_of(rng, WORDS)),
        _ => words[at] = one_of(rng, WORDS),
    }
    words.join(" ")
}

/// Rdata as bytes (RFC 3597 §5), sound, cut, or longer than its type has.
fn generic(rng: &mut StdRng) -> Vec<u8> {
    let (rtype, texts) = values(rng);
    let text = one_of(rng, texts);
    let origin = super::stock::ORIGIN.parse().expect("a name");
    let known = rtype.parse().ok().and_then(|rtype| grapevine::master::parse_rdata(rtype, text, &origin).ok());
    let mut wire = known.map_or_else(|| vec![1, b'a', 0], |rdata| rdata.as_wire().to_vec());
    for _ in 0..rng.random_range(0..3) {
        let at = rng.random_range(0..=wire.len());
        match rng.random_range(0..4) {
            0 => wire.truncate(wire.len().saturating_sub(rng.random_range(1..4))),
            1 => wire.insert(at, rng.random()),
            2 if at < wire.len() => wire[at] = rng.random(),
            _ => wire.extend([0, 1]),
        }
    }
    let hex: String = wire.iter().map(|byte| format!("{byte:02x}")).collect();
    below_head(&format!("x {rtype} \\# {} {hex}", wire.len())).into_bytes()
}

/// A record with its TTL and class stated or not, in any order, with odd blanks.
fn header(rng: &mut StdRng) -> String {
    let (rtype, texts) = &RDATA[rng.random_range(0..8)];
    let mut parts = Vec::new();
    if rng.random_bool(0.5) {
        parts.push(*["60", "1h", "1W", "0", "1h30m", "3600"].choose(rng).expect("there are some"));
    }
    if rng.random_bool(0.5) {
        parts.insert(rng.random_range(0..=parts.len()), ["IN", "in"].choose(rng).expect("there are some"));
    }
    let blank = *[" ", "\t", "  ", " ( "].choose(rng).expect("there are some");
    let owner = *["x", "", "@", "*", "X.Y", "x.example."].choose(rng).expect("there are some");
    parts.push(rtype);
    parts.push(texts[0]);
    let close = if blank == " ( " { ")".repeat(parts.len().min(rng.random_range(1..3))) } else { String::new() };
    let blank_once = blank.replace('(', " ");
    let line = format!("{owner}{blank}{}{close}", parts.join(&blank_once));
    if rng.random_bool(0.3) { change_word(rng, &line) } else { line }
}

fn change_bytes(rng: &mut StdRng, mut text: Vec<u8>) -> Vec<u8> {
    for _ in 0..rng.random_range(1..4) {
        // Most changes in what comes after the head, which is what differs.
        let from = if rng.random_bool(0.8) { text.len().min(HEAD.len()) } else { 0 };
        let at = rng.random_range(from..=text.len());
        match rng.random_range(0..4) {
            0 if at < text.len() => drop(text.remove(at)),
            1 if at < text.len() => text[at] = *BYTES.choose(rng).expect("there are some"),
            2 => text.truncate(at.max(from)),
            _ => text.insert(at, *BYTES.choose(rng).expect("there are some")),
        }
    }
    text
}
