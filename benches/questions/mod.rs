//! A zone of a thousand names and one question of each kind, for the benches of `answer`.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use grapevine::answer::{Context, Outcome, Server, Transport, answer};
use grapevine::master::ZoneFile;
use grapevine::zone::{Name, Zone, ZoneSet};

/// What each kind of question is called, and its name; all ask for an address.
pub(crate) const QUESTIONS: [(&str, &str); 5] = [
    ("hit", "host0000500.bench.example"),
    ("NXDOMAIN", "nothing.bench.example"),
    ("wildcard", "anything.wild.bench.example"),
    ("referral", "www.sub.bench.example"),
    ("CNAME", "alias.bench.example"),
];

/// The response code of each.
const NXDOMAIN: u8 = 3;

/// The origin of the zone.
pub(crate) fn origin() -> Name {
    "bench.example.".parse().expect("a name")
}

/// A master file with so many hosts.
pub(crate) fn text(hosts: u32) -> String {
    let mut text = "$TTL 3600\n@ IN SOA ns1 hostmaster 1 7200 1800 1209600 300\n@ IN NS ns1\n@ IN NS ns2\n\
         ns1 IN A 192.0.2.1\nns2 IN A 192.0.2.2\n*.wild IN A 192.0.2.3\nalias IN CNAME host0000001\n\
         sub IN NS ns.sub\nns.sub IN A 192.0.2.4\n"
        .to_owned();
    for host in 0..hosts {
        let [_, b, c, d] = host.to_be_bytes();
        let _ = writeln!(text, "host{host:07} IN A 10.{b}.{c}.{d}");
    }
    text
}

/// Reads a master file that includes nothing.
pub(crate) fn parse(text: &str) -> ZoneFile {
    let mut include = |_: &str| Err("nothing is included".to_owned());
    ZoneFile::parse("bench.zone", text.as_bytes(), &origin(), &mut include).expect("the file is right")
}

/// The zone as it is served.
pub(crate) fn zones() -> ZoneSet {
    ZoneSet::new([Arc::new(Zone::from_content(parse(&text(1000)).content()))])
}

/// A question with EDNS.
pub(crate) fn query(name: &str) -> Vec<u8> {
    let mut query = vec![0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    let name: Name = format!("{name}.").parse().expect("a name");
    query.extend_from_slice(name.as_wire());
    query.extend_from_slice(&[0, 1, 0, 1, 0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0]);
    query
}

/// What goes before the kind of a question that is to be answered with minimal responses.
pub(crate) const MINIMAL: &str = "minimal ";

/// Answers a question so many times.
pub(crate) fn ask(zones: &ZoneSet, kind: &str, count: u64) {
    let minimal = kind.strip_prefix(MINIMAL);
    let kind = minimal.unwrap_or(kind);
    let (_, name) = QUESTIONS.into_iter().find(|(name, _)| *name == kind).expect("a kind of question");
    let server = Server { minimal_responses: minimal.is_some(), ..Server::default() };
    let (query, mut response) = (query(name), Vec::new());
    let context = Context::new(&server, Transport::Udp, IpAddr::V4(Ipv4Addr::LOCALHOST));
    for _ in 0..count {
        let outcome = answer(zones, &query, &context, &mut response);
        assert!(matches!(outcome, Outcome::Respond));
        let _ = std::hint::black_box(&mut response);
    }
    if count > 0 {
        let rcode = if kind == "NXDOMAIN" { NXDOMAIN } else { 0 };
        assert_eq!(response[3] & 0x0f, rcode, "{kind}");
    }
}
