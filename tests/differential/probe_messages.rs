//! The odd messages of RFC 8906, and some more.

/// An odd message.
pub(crate) struct Probe {
    /// What is odd.
    pub(crate) name: &'static str,
    /// The bytes.
    pub(crate) message: Vec<u8>,
}

const ID: [u8; 2] = [0x12, 0x34];
const CONTROL_ID: [u8; 2] = [0x43, 0x21];
const NAME: &[u8] = b"\x01a\x05probe\x04test\0";
const A: u16 = 1;
const IN: u16 = 1;

/// An ordinary query.
pub(crate) fn control() -> Vec<u8> {
    let mut message = query(0, NAME, A, IN, &[]);
    message[..2].copy_from_slice(&CONTROL_ID);
    message
}

/// A message with these flags, one question and these additional records.
fn query(flags: u16, name: &[u8], rtype: u16, class: u16, additional: &[Vec<u8>]) -> Vec<u8> {
    let counts = [1, 0, 0, additional.len() as u16];
    message(flags, counts, &[&question(name, rtype, class)[..], &additional.concat()].concat())
}

fn message(flags: u16, counts: [u16; 4], body: &[u8]) -> Vec<u8> {
    let words = [flags, counts[0], counts[1], counts[2], counts[3]];
    [&ID[..], &words.map(u16::to_be_bytes).concat(), body].concat()
}

fn question(name: &[u8], rtype: u16, class: u16) -> Vec<u8> {
    [name, &rtype.to_be_bytes(), &class.to_be_bytes()].concat()
}

fn record(name: &[u8], rtype: u16, class: u16, ttl: u32, rdata: &[u8]) -> Vec<u8> {
    let fixed = [&rtype.to_be_bytes()[..], &class.to_be_bytes(), &ttl.to_be_bytes()].concat();
    [name, &fixed, &(rdata.len() as u16).to_be_bytes(), rdata].concat()
}

/// An OPT record: payload, version, flags, options.
fn opt(payload: u16, version: u8, flags: u16, options: &[u8]) -> Vec<u8> {
    record(&[0], 41, payload, u32::from(version) << 16 | u32::from(flags), options)
}

fn option(code: u16, data: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes()[..], &(data.len() as u16).to_be_bytes(), data].concat()
}

fn edns(version: u8, flags: u16, options: &[u8]) -> Vec<u8> {
    query(0, NAME, A, IN, &[opt(1232, version, flags, options)])
}

/// A TSIG record of an unknown key.
fn tsig() -> Vec<u8> {
    let time_and_fudge = [0, 0, 0x66, 0, 0, 0, 1, 44];
    let mac = [&[0, 32][..], &[7; 32]].concat();
    let tail = [&ID[..], &[0, 0, 0, 0]].concat();
    record(b"\x03key\0", 250, 255, 0, &[b"\x0bhmac-sha256\0", &time_and_fudge[..], &mac, &tail].concat())
}

/// Every one.
pub(crate) fn probes() -> Vec<Probe> {
    let all = [headers(), counts_and_lengths(), names(), classes_and_types(), versions_and_flags(), options()];
    all.into_iter().flatten().map(|(name, message)| Probe { name, message }).collect()
}

fn headers() -> Vec<(&'static str, Vec<u8>)> {
    let flagged = |flags| query(flags, NAME, A, IN, &[]);
    vec![
        ("an ordinary query", flagged(0)),
        ("a response", flagged(0x8000)),
        ("opcode 1", flagged(1 << 11)),
        ("opcode STATUS", flagged(2 << 11)),
        ("opcode 3", flagged(3 << 11)),
        ("opcode NOTIFY", flagged(4 << 11)),
        ("opcode UPDATE", flagged(5 << 11)),
        ("opcode DSO", flagged(6 << 11)),
        ("opcode 15", flagged(15 << 11)),
        ("opcode 15 without a question", message(15 << 11, [0; 4], &[])),
        ("opcode 15 with EDNS", query(15 << 11, NAME, A, IN, &[opt(1232, 0, 0, &[])])),
        ("AA", flagged(0x0400)),
        ("TC", flagged(0x0200)),
        ("RD", flagged(0x0100)),
        ("RA", flagged(0x0080)),
        ("Z", flagged(0x0040)),
        ("AD", flagged(0x0020)),
        ("CD", flagged(0x0010)),
        ("an rcode", flagged(3)),
    ]
}

fn counts_and_lengths() -> Vec<(&'static str, Vec<u8>)> {
    let one = question(NAME, A, IN);
    let address = record(NAME, A, IN, 60, &[192, 0, 2, 9]);
    let plain = query(0, NAME, A, IN, &[]);
    vec![
        ("no question", message(0, [0; 4], &[])),
        ("no question but EDNS", message(0, [0, 0, 0, 1], &opt(1232, 0, 0, &[]))),
        ("no question but a cookie", message(0, [0, 0, 0, 1], &opt(1232, 0, 0, &option(10, &[5; 8])))),
        ("no question by the count, but one", message(0, [0; 4], &one)),
        ("two questions", message(0, [2, 0, 0, 0], &[one.clone(), question(NAME, 28, IN)].concat())),
        ("two questions by the count, but one", message(0, [2, 0, 0, 0], &one)),
        ("a question by the count, but none", message(0, [1, 0, 0, 0], &[])),
        ("an answer", message(0, [1, 1, 0, 0], &[one.clone(), address.clone()].concat())),
        ("an authority record", message(0, [1, 0, 1, 0], &[one.clone(), address.clone()].concat())),
        ("an additional record", message(0, [1, 0, 0, 1], &[one.clone(), address.clone()].concat())),
        ("an answer by the count, but none", message(0, [1, 1, 0, 0], &one)),
        ("an additional record by the count, but none", message(0, [1, 0, 0, 1], &one)),
        ("a record that is cut short", message(0, [1, 0, 0, 1], &[&one[..], &address[..address.len() - 1]].concat())),
        ("eleven bytes", plain[..11].to_vec()),
        ("a question cut in its name", plain[..17].to_vec()),
        ("a question cut in its type", plain[..plain.len() - 3].to_vec()),
        ("a question cut in its class", plain[..plain.len() - 1].to_vec()),
        ("one byte of garbage at the end", [&plain[..], &[0]].concat()),
        ("garbage at the end", [&plain[..], &[0xff; 40]].concat()),
        ("garbage behind EDNS", [&edns(0, 0, &[])[..], &[0xff; 7]].concat()),
    ]
}

fn names() -> Vec<(&'static str, Vec<u8>)> {
    let named = |name: &[u8]| query(0, name, A, IN, &[]);
    let long_label = [&[63][..], &[b'x'; 63]].concat();
    vec![
        ("a pointer to itself for a name", named(&[0xc0, 12])),
        ("a pointer into the header", named(&[0xc0, 0])),
        ("a pointer forward", named(&[0xc0, 20])),
        ("a label and a pointer to it", named(&[1, b'a', 0xc0, 12])),
        ("label type 01", named(b"\x41\x01a\0")),
        ("label type 10", named(b"\x81\x01a\0")),
        ("a name of 256 bytes", named(&[&long_label.repeat(3)[..], &[62], &[b'x'; 62], &[0]].concat())),
        ("a name of 255 bytes", named(&[&long_label.repeat(3)[..], &[61], &[b'x'; 61], &[0]].concat())),
        ("a name of no zone", named(b"\x01a\x05other\0")),
        ("a name of no zone with EDNS", query(0, b"\x01a\x05other\0", A, IN, &[opt(1232, 0, 0, &[])])),
        ("the root", named(&[0])),
        ("a label with a zero byte", named(b"\x03a\0b\x05probe\x04test\0")),
        ("a name in capitals", named(b"\x01A\x05PROBE\x04TEST\0")),
    ]
}

fn classes_and_types() -> Vec<(&'static str, Vec<u8>)> {
    let class = |class| query(0, NAME, A, class, &[]);
    let rtype = |rtype| query(0, NAME, rtype, IN, &[]);
    vec![
        ("class 0", class(0)),
        ("class 2", class(2)),
        ("class CH", class(3)),
        ("class HS", class(4)),
        ("class NONE", class(254)),
        ("class ANY", class(255)),
        ("class 4711", class(4711)),
        ("type 0", rtype(0)),
        ("type OPT", rtype(41)),
        ("type 128", rtype(128)),
        ("type TKEY", rtype(249)),
        ("type TSIG", rtype(250)),
        ("type MAILB", rtype(253)),
        ("type MAILA", rtype(254)),
        ("type ANY", rtype(255)),
        ("type 4711", rtype(4711)),
        ("type 65535", rtype(65535)),
        ("type AXFR", query(0, b"\x05probe\x04test\0", 252, IN, &[])),
        ("type IXFR", query(0, b"\x05probe\x04test\0", 251, IN, &[])),
        ("type AXFR of a name that is no zone", rtype(252)),
        ("type IXFR of a name that is no zone", rtype(251)),
        ("type AXFR outside all zones", query(0, b"\x05other\0", 252, IN, &[])),
    ]
}

fn versions_and_flags() -> Vec<(&'static str, Vec<u8>)> {
    let one = question(NAME, A, IN);
    let two = [opt(1232, 0, 0, &[]), opt(1232, 0, 0, &[])];
    let named = record(b"\x01a\0", 41, 1232, 0, &[]);
    vec![
        ("EDNS", edns(0, 0, &[])),
        ("EDNS with DO", edns(0, 0x8000, &[])),
        ("EDNS with unknown flags", edns(0, 0x7fff, &[])),
        ("EDNS with CO", edns(0, 0x4000, &[])),
        ("EDNS version 1", edns(1, 0, &[])),
        ("EDNS version 1 with DO", edns(1, 0x8000, &[])),
        ("EDNS version 1 with an unknown option", edns(1, 0, &option(100, &[1, 2]))),
        ("EDNS version 255", edns(255, 0, &[])),
        ("EDNS with an extended rcode", query(0, NAME, A, IN, &[record(&[0], 41, 1232, 0x0100_0000, &[])])),
        ("EDNS with payload 0", query(0, NAME, A, IN, &[opt(0, 0, 0, &[])])),
        ("EDNS with payload 65535", query(0, NAME, A, IN, &[opt(65535, 0, 0, &[])])),
        ("two OPT records", query(0, NAME, A, IN, &two)),
        ("an OPT record as answer", message(0, [1, 1, 0, 0], &[one.clone(), opt(1232, 0, 0, &[])].concat())),
        ("an OPT record as authority", message(0, [1, 0, 1, 0], &[one.clone(), opt(1232, 0, 0, &[])].concat())),
        ("an OPT record with a name", query(0, NAME, A, IN, &[named])),
        (
            "an OPT record behind another",
            query(0, NAME, A, IN, &[record(NAME, A, IN, 60, &[192, 0, 2, 9]), opt(1232, 0, 0, &[])]),
        ),
        ("a TSIG record of an unknown key", query(0, NAME, A, IN, &[tsig()])),
        ("a TSIG record and EDNS", query(0, NAME, A, IN, &[opt(1232, 0, 0, &[]), tsig()])),
        ("a TSIG record that is not the last", query(0, NAME, A, IN, &[tsig(), opt(1232, 0, 0, &[])])),
        ("a TSIG record as answer", message(0, [1, 1, 0, 0], &[one, tsig()].concat())),
    ]
}

fn options() -> Vec<(&'static str, Vec<u8>)> {
    let with = |code, data: &[u8]| edns(0, 0, &option(code, data));
    vec![
        ("an unknown option", with(100, &[1, 2, 3])),
        ("an unknown option without data", with(65001, &[])),
        ("an option that is cut short", edns(0, 0, &[0, 100, 0, 5, 1])),
        ("half an option's header", edns(0, 0, &[0, 100, 0])),
        ("NSID", with(3, &[])),
        ("NSID with data", with(3, &[1])),
        ("a client subnet", with(8, &[0, 1, 24, 0, 192, 0, 2])),
        ("EXPIRE", with(9, &[])),
        ("a client cookie", with(10, &[5; 8])),
        ("a cookie of 7 bytes", with(10, &[5; 7])),
        ("a cookie of 12 bytes", with(10, &[5; 12])),
        ("a cookie of 41 bytes", with(10, &[5; 41])),
        ("a cookie with a wrong server part", with(10, &[5; 24])),
        ("TCP keepalive", with(11, &[])),
        ("padding", with(12, &[0; 20])),
        ("CHAIN", with(13, b"\0")),
        ("an extended error", with(15, &[0, 1])),
        ("an option twice", edns(0, 0, &[option(3, &[]), option(3, &[])].concat())),
    ]
}
