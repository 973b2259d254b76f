//! Queries as bytes, and responses in a form that compares as sets.

use std::collections::BTreeSet;

use grapevine::zone::{Name, Rdata, Record, RecordType};

use crate::generate::{Question, absolute};

/// The largest datagram that a question offers to take; every server is set up to use it. Beyond 1,480 bytes NSD leaves
/// out what is not asked for.
pub(crate) const PAYLOAD: u16 = 1400;

/// What a server said, OPT left out. All names are in lower case.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    /// How many bytes it took to say it, which is nobody's concern but near a limit.
    pub(crate) length: usize,
    /// Whether it is put together from several responses.
    pub(crate) joined: bool,
    /// The rcode.
    pub(crate) rcode: u16,
    /// The AA flag.
    pub(crate) authoritative: bool,
    /// The TC flag.
    pub(crate) truncated: bool,
    /// Whether there is an OPT record.
    pub(crate) edns: bool,
    /// Answer, authority and additional.
    pub(crate) sections: [BTreeSet<Record>; 3],
}

impl PartialEq for Said {
    fn eq(&self, other: &Said) -> bool {
        let comparable = |said: &Said| if said.truncated { None } else { Some(said.sections[2].clone()) };
        self.core() == other.core() && comparable(self) == comparable(other)
    }
}

impl Said {
    /// All that must be equal. Servers put what they like into a truncated response: the client is to come again.
    pub(crate) fn core(&self) -> (Option<u16>, bool, bool, bool, &[BTreeSet<Record>]) {
        let whole = !self.truncated;
        let sections = if whole { &self.sections[..2] } else { &[] };
        (whole.then_some(self.rcode), self.authoritative, self.truncated, self.edns, sections)
    }
}

/// A query, with EDNS if the question says so.
pub(crate) fn query(id: u16, question: &Question) -> Vec<u8> {
    let mut message = header(id, u8::from(question.payload.is_some()));
    message.extend(Name::parse_to_wire(absolute(&question.qname).as_bytes(), None).expect("a generated name is valid"));
    message.extend(question.qtype.0.to_be_bytes());
    message.extend([0, 1]);
    if let Some(payload) = question.payload {
        // OPT: root, type, payload, extended rcode and version, DO, no options.
        message.extend([0, 0, 41]);
        message.extend(payload.to_be_bytes());
        message.extend([0, 0, if question.dnssec { 0x80 } else { 0 }, 0, 0, 0]);
    }
    message
}

/// A query for a zone, without EDNS.
pub(crate) fn transfer_query(origin: &Name) -> Vec<u8> {
    let mut message = header(1, 0);
    message.extend_from_slice(origin.as_wire());
    message.extend(RecordType::AXFR.0.to_be_bytes());
    message.extend([0, 1]);
    message
}

fn header(id: u16, additional: u8) -> Vec<u8> {
    let [high, low] = id.to_be_bytes();
    vec![high, low, 0, 0, 0, 1, 0, 0, 0, 0, 0, additional]
}

/// Reads a response.
pub(crate) fn decode(message: &[u8]) -> Said {
    let flags = word(message, 2);
    let mut sections: [BTreeSet<Record>; 3] = Default::default();
    let mut edns = false;
    for (section, record) in records(message) {
        if record.rtype == RecordType::OPT {
            edns = true;
        } else {
            sections[section].insert(record);
        }
    }
    Said {
        length: message.len(),
        joined: false,
        edns,
        rcode: flags & 0xf,
        authoritative: flags & 0x0400 != 0,
        truncated: flags & 0x0200 != 0,
        sections,
    }
}

/// Every record of a message with the number of its section, in the order of the message.
pub(crate) fn records(message: &[u8]) -> Vec<(usize, Record)> {
    let mut at = 12;
    for _ in 0..word(message, 4) {
        name(message, &mut at);
        at += 4;
    }
    let mut records = Vec::new();
    for (section, count_at) in [6, 8, 10].into_iter().enumerate() {
        for _ in 0..word(message, count_at) {
            records.push((section, record(message, &mut at)));
        }
    }
    assert_eq!(at, message.len(), "nothing is left over");
    records
}

fn record(message: &[u8], at: &mut usize) -> Record {
    let owner = Name::from_valid_wire(&name(message, at));
    let rtype = RecordType(word(message, *at));
    let ttl = u32::from(word(message, *at + 4)) << 16 | u32::from(word(message, *at + 6));
    let end = *at + 10 + usize::from(word(message, *at + 8));
    *at += 10;
    // How many bytes stand in front of the names that may be compressed, and how many names there are.
    let (before, names) = match rtype {
        RecordType::NS | RecordType::CNAME | RecordType::DNAME | RecordType::PTR => (0, 1),
        RecordType::SOA | RecordType::RP => (0, 2),
        RecordType::MX => (2, 1),
        RecordType::SRV => (6, 1),
        _ => (0, 0),
    };
    let mut rdata = message[*at..*at + before].to_vec();
    *at += before;
    for _ in 0..names {
        rdata.extend(name(message, at));
    }
    rdata.extend(&message[*at..end]);
    *at = end;
    Record { owner, rtype, ttl, rdata: Rdata::new(rdata) }
}

/// The fixed part of a record of any type.
pub(crate) struct RawRecord {
    /// The type.
    pub(crate) rtype: u16,
    /// The TTL, or what OPT has in its place.
    pub(crate) ttl: u32,
}

/// The records of a message whatever they are, as far as it can be read.
pub(crate) fn sections(message: &[u8]) -> Vec<RawRecord> {
    let mut at = 12;
    for _ in 0..word(message, 4) {
        name(message, &mut at);
        at += 4;
    }
    let count = [6, 8, 10].map(|at| word(message, at)).iter().sum();
    let read = |_: u16| {
        name(message, &mut at);
        let (rtype, length) = (word(message, at), usize::from(word(message, at + 8)));
        let ttl = u32::from(word(message, at + 4)) << 16 | u32::from(word(message, at + 6));
        at += 10 + length;
        RawRecord { rtype, ttl }
    };
    (0..count).map(read).collect()
}

fn word(message: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([message[at], message[at + 1]])
}

/// Reads a possibly compressed name and lowers its case. Lengths of labels are no letters: they are below 64.
fn name(message: &[u8], at: &mut usize) -> Vec<u8> {
    let mut wire = Vec::new();
    let mut position = *at;
    let mut after = None;
    loop {
        let length = usize::from(message[position]);
        if length >= 0xc0 {
            after.get_or_insert(position + 2);
            position = (length & 0x3f) << 8 | usize::from(message[position + 1]);
            continue;
        }
        wire.extend_from_slice(&message[position..=position + length]);
        position += 1 + length;
        if length == 0 {
            *at = after.unwrap_or(position);
            return wire.to_ascii_lowercase();
        }
    }
}
