//! A strict reader of DNS messages (RFC 1035 §4.1), written apart from the product's code so that the two check each other.
//!
//! It panics at whatever a client might stumble over: counts that do not fit, names that point forward or are too long,
//! bytes behind the last record, rdata that does not suit its type.

use grapevine::zone::rdata::{self, Field};
use grapevine::zone::{MAX_NAME, RecordType};

/// The length of the header.
pub(super) const HEADER: usize = 12;

/// A response, read to its last byte.
pub(super) struct Message<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) id: u16,
    pub(super) flags: u16,
    /// Name, type and class as they stand in the message.
    pub(super) question: Option<&'a [u8]>,
    pub(super) answers: Vec<Record>,
    pub(super) authority: Vec<Record>,
    pub(super) additional: Vec<Record>,
}

/// A record with all names uncompressed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Record {
    pub(super) owner: Vec<u8>,
    pub(super) rtype: RecordType,
    pub(super) class: u16,
    pub(super) ttl: u32,
    pub(super) rdata: Vec<u8>,
}

impl<'a> Message<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Message<'a> {
        assert!(bytes.len() >= HEADER, "a header is whole");
        let [questions, answers, authority, additional] = [4, 6, 8, 10].map(|at| u16_at(bytes, at));
        assert!(questions <= 1, "{questions} questions");
        let mut at = HEADER;
        let question = (questions == 1).then(|| {
            let start = at;
            at = name(bytes, at).1 + 4;
            &bytes[start..at]
        });
        let mut section = |count: u16| -> Vec<Record> { (0..count).map(|_| record(bytes, &mut at)).collect() };
        let (answers, authority, additional) = (section(answers), section(authority), section(additional));
        assert_eq!(at, bytes.len(), "bytes behind the last record");
        let message =
            Message { bytes, id: u16_at(bytes, 0), flags: u16_at(bytes, 2), question, answers, authority, additional };
        let of_message = |rtype| matches!(rtype, RecordType::OPT | RecordType::TSIG);
        let misplaced = message.answers.iter().chain(&message.authority).any(|record| of_message(record.rtype));
        assert!(!misplaced, "OPT or TSIG outside the additional section");
        assert!(message.additional.iter().filter(|record| record.rtype == RecordType::OPT).count() <= 1, "two OPTs");
        message
    }

    pub(super) fn rcode(&self) -> u16 {
        self.flags & 0xf | self.opt().map_or(0, |opt| (opt.ttl >> 24 << 4) as u16)
    }

    pub(super) fn is_truncated(&self) -> bool {
        self.flags & 0x0200 != 0
    }

    pub(super) fn opt(&self) -> Option<&Record> {
        self.additional.iter().find(|record| record.rtype == RecordType::OPT)
    }

    /// The data of the first option with this code.
    pub(super) fn option(&self, code: u16) -> Option<&[u8]> {
        let mut rest = &self.opt()?.rdata[..];
        while !rest.is_empty() {
            let length = usize::from(u16_at(rest, 2));
            if u16_at(rest, 0) == code {
                return Some(&rest[4..4 + length]);
            }
            rest = &rest[4 + length..];
        }
        None
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// The name at a position, uncompressed, and where what follows it begins.
fn name(bytes: &[u8], start: usize) -> (Vec<u8>, usize) {
    let (mut name, mut at, mut behind, mut earliest) = (Vec::new(), start, None, start);
    loop {
        let length = usize::from(bytes[at]);
        if length >= 0xc0 {
            let target = usize::from(u16_at(bytes, at) & 0x3fff);
            behind.get_or_insert(at + 2);
            assert!((HEADER..earliest).contains(&target), "a pointer at {at} leads to {target}");
            (at, earliest) = (target, target);
            continue;
        }
        assert!(length <= 63, "a label of {length} bytes");
        name.extend_from_slice(&bytes[at..=at + length]);
        at += 1 + length;
        if length == 0 {
            break;
        }
    }
    assert!(name.len() <= MAX_NAME, "a name of {} bytes", name.len());
    (name, behind.unwrap_or(at))
}

fn record(bytes: &[u8], at: &mut usize) -> Record {
    let (owner, head) = name(bytes, *at);
    let (rtype, class) = (RecordType(u16_at(bytes, head)), u16_at(bytes, head + 2));
    let ttl = u32::from(u16_at(bytes, head + 4)) << 16 | u32::from(u16_at(bytes, head + 6));
    let start = head + 10;
    let end = start + usize::from(u16_at(bytes, head + 8));
    assert!(end <= bytes.len(), "rdata ends in the message");
    *at = end;
    let (mut rdata, mut from) = (Vec::new(), start);
    for field in rdata::shape(rtype) {
        match field {
            Field::CompressibleName => {
                let (target, behind) = name(bytes, from);
                rdata.extend(target);
                from = behind;
            }
            Field::U16 => {
                rdata.extend(&bytes[from..from + 2]);
                from += 2;
            }
            _ => break,
        }
    }
    assert!(from <= end, "names in rdata end in it");
    rdata.extend(&bytes[from..end]);
    if !matches!(rtype, RecordType::OPT | RecordType::TSIG) {
        rdata::check(rtype, &rdata).unwrap_or_else(|error| panic!("{rtype}: {error}"));
    }
    Record { owner, rtype, class, ttl, rdata }
}
