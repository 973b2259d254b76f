//! Answers of `answer` against those that BIND, NSD, Knot and PowerDNS gave to the same questions about the same zones
//! (a sample of the FerretDataset, see `tests/data/README.md`).
//!
//! A case passes when rcode, AA, answer and authority equal what at least two of the servers said, and the additional
//! section holds nothing that the zone lacks. It is exact when the additional section is the same as well.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::sync::Arc;

use flate2::read::GzDecoder;
use grapevine::answer::{Context, Outcome, Server, Transport, answer};
use grapevine::zone::{Name, Rdata, Record, RecordType, Soa, Zone, ZoneContent, ZoneSet};
use serde::Deserialize;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/ferret-sample.jsonl.gz");
const CASES: usize = 2535;

/// Cases in which no two servers agreed, so that there is nothing to pass by: a DNAME whose target lies below its own
/// owner, whose chain grows until a limit that each server sets itself. These count as passed when one server agrees.
const NO_TWO_AGREE: &[u32] = &[185, 620, 1205, 1345, 2255, 2670];

#[derive(Deserialize)]
struct Case {
    id: u32,
    zone: String,
    qname: String,
    qtype: String,
    responses: Vec<Group>,
}

/// What some servers agreed on.
#[derive(Deserialize)]
struct Group {
    servers: Vec<String>,
    rcode: String,
    flags: Vec<String>,
    answer: Vec<String>,
    authority: Vec<String>,
    additional: Vec<String>,
}

/// A response in a form that compares as sets.
#[derive(Debug, PartialEq, Eq, Clone)]
struct Said {
    rcode: u16,
    authoritative: bool,
    sections: [BTreeSet<Record>; 3],
}

#[test]
fn answers_are_those_of_the_stock_servers() {
    let file = std::fs::File::open(DATA).unwrap_or_else(|error| panic!("{DATA}: {error}"));
    let (mut total, mut exact, mut failed) = (0, 0, Vec::new());
    for line in BufReader::new(GzDecoder::new(file)).lines() {
        let case: Case = serde_json::from_str(&line.expect("the file is whole")).expect("a case per line");
        let (said, zone) = ask(&case);
        let needed = if NO_TWO_AGREE.contains(&case.id) { 1 } else { 2 };
        let groups: Vec<Said> = case.responses.iter().filter(|g| g.servers.len() >= needed).map(expected).collect();
        let agreeing: Vec<_> = groups.iter().filter(|group| core(group) == core(&said)).collect();
        total += 1;
        if agreeing.is_empty() || !said.sections[2].is_subset(&zone) {
            failed.push((case.id, case.zone, case.qname, case.qtype, said, groups));
        } else if agreeing.iter().any(|group| **group == said) {
            exact += 1;
        }
    }
    let passed = total - failed.len();
    println!("conformance: {passed}/{total} pass, {exact} exact");
    for (id, zone, qname, qtype, said, groups) in failed.iter().take(5) {
        println!("case {id}: {qname} {qtype}\n{zone}\nsaid {said:#?}\nexpected one of {groups:#?}");
    }
    assert_eq!(failed.iter().map(|case| case.0).collect::<Vec<u32>>(), Vec::<u32>::new());
    assert_eq!((total, exact), (CASES, CASES), "every case of the sample is exact");
}

/// All that must be equal for a case to pass.
fn core(said: &Said) -> (u16, bool, &[BTreeSet<Record>]) {
    (said.rcode, said.authoritative, &said.sections[..2])
}

/// Puts the case's question to `answer` the way the data was gathered: over UDP and without EDNS.
fn ask(case: &Case) -> (Said, BTreeSet<Record>) {
    let records: Vec<Record> = case.zone.lines().filter(|line| !line.trim().is_empty()).map(record).collect();
    let soa = records.iter().find(|record| record.rtype == RecordType::SOA).expect("a zone has an SOA");
    let parsed = Soa::from_rdata(soa.ttl, soa.rdata.as_wire()).expect("a valid SOA");
    let mut content = ZoneContent::new(soa.owner.clone(), parsed);
    for record in records.iter().filter(|record| record.rtype != RecordType::SOA) {
        content.add(record.clone());
    }
    let zones = ZoneSet::new([Arc::new(Zone::from_content(&content))]);
    let server = Server::default();
    let context = Context::new(&server, Transport::Udp, std::net::Ipv4Addr::LOCALHOST.into());
    let qname: Name = case.qname.parse().expect("a name");
    let qtype: RecordType = case.qtype.parse().expect("a type");
    let mut query = vec![0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    query.extend_from_slice(qname.as_wire());
    query.extend_from_slice(&qtype.0.to_be_bytes());
    query.extend_from_slice(&[0, 1]);
    let mut response = Vec::new();
    assert!(matches!(answer(&zones, &query, &context, &mut response), Outcome::Respond));
    assert!(response.len() <= 512);
    (decode(&response), records.into_iter().collect())
}

fn expected(group: &Group) -> Said {
    let set = |lines: &[String]| lines.iter().map(|line| record(line)).collect();
    Said {
        rcode: match group.rcode.as_str() {
            "NOERROR" => 0,
            "SERVFAIL" => 2,
            "NXDOMAIN" => 3,
            "REFUSED" => 5,
            "YXDOMAIN" => 6,
            other => panic!("unknown rcode {other}"),
        },
        authoritative: group.flags.iter().any(|flag| flag == "AA"),
        sections: [set(&group.answer), set(&group.authority), set(&group.additional)],
    }
}

/// Reads a line `owner ttl IN type rdata` of the types that occur in the data.
fn record(line: &str) -> Record {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [owner, ttl, "IN", rtype, ref rest @ ..] = fields[..] else { panic!("not a record: {line}") };
    let wire_name = |text: &str| Name::parse_to_wire(text.as_bytes(), Some(&[0])).expect("a name");
    let rtype: RecordType = rtype.parse().expect("a type");
    let rdata = match rtype {
        RecordType::A => rest[0].parse::<std::net::Ipv4Addr>().expect("an address").octets().to_vec(),
        RecordType::AAAA => rest[0].parse::<std::net::Ipv6Addr>().expect("an address").octets().to_vec(),
        RecordType::NS | RecordType::CNAME | RecordType::DNAME => wire_name(rest[0]),
        RecordType::TXT => {
            let text = rest.join(" ");
            let text = text.trim_matches('"');
            [&[text.len() as u8], text.as_bytes()].concat()
        }
        RecordType::SOA => {
            let mut wire = [wire_name(rest[0]), wire_name(rest[1])].concat();
            rest[2..7].iter().for_each(|n| wire.extend(n.parse::<u32>().expect("a number").to_be_bytes()));
            wire
        }
        other => panic!("the data has no {other}"),
    };
    Record { owner: owner.parse().expect("a name"), rtype, ttl: ttl.parse().expect("a TTL"), rdata: Rdata::new(rdata) }
}

/// Reads a response to the last byte.
fn decode(message: &[u8]) -> Said {
    let word = |at: usize| u16::from_be_bytes([message[at], message[at + 1]]);
    let flags = word(2);
    let mut at = 12;
    name(message, &mut at);
    at += 4;
    let mut sections: [BTreeSet<Record>; 3] = Default::default();
    for (section, count_at) in sections.iter_mut().zip([6, 8, 10]) {
        for _ in 0..word(count_at) {
            let owner = Name::from_valid_wire(&name(message, &mut at));
            let rtype = RecordType(word(at));
            let ttl = u32::from_be_bytes([message[at + 4], message[at + 5], message[at + 6], message[at + 7]]);
            let end = at + 10 + usize::from(word(at + 8));
            at += 10;
            let rdata = match rtype {
                RecordType::NS | RecordType::CNAME | RecordType::DNAME => name(message, &mut at),
                RecordType::SOA => {
                    let names = [name(message, &mut at), name(message, &mut at)].concat();
                    [&names, &message[at..end]].concat()
                }
                _ => message[at..end].to_vec(),
            };
            at = end;
            section.insert(Record { owner, rtype, ttl, rdata: Rdata::new(rdata) });
        }
    }
    assert_eq!(at, message.len(), "nothing is left over");
    Said { rcode: flags & 0xf, authoritative: flags & 0x0400 != 0, sections }
}

/// Reads a possibly compressed name.
fn name(message: &[u8], at: &mut usize) -> Vec<u8> {
    let mut wire = Vec::new();
    let mut position = *at;
    let mut jumped = false;
    loop {
        let length = usize::from(message[position]);
        if length >= 0xc0 {
            if !jumped {
                *at = position + 2;
            }
            jumped = true;
            position = (length & 0x3f) << 8 | usize::from(message[position + 1]);
            continue;
        }
        wire.extend_from_slice(&message[position..=position + length]);
        position += 1 + length;
        if length == 0 {
            if !jumped {
                *at = position;
            }
            return wire;
        }
    }
}
