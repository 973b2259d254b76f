//! Odd messages over real sockets: what Grapevine does with them is what most of NSD, Knot and BIND do (RFC 8906).
//!
//! Each message is followed by an ordinary query on the same socket, so that "no response" is a fact and not a matter of
//! patience: the servers work in order.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use crate::probe_messages::{Probe, control, probes};
use crate::stock::{KINDS, Stock, Zones};
use crate::{Ours, zone};

/// How long the response to the ordinary query may take.
const PATIENCE: Duration = Duration::from_secs(5);

const ORIGIN: &str = "probe.test";
const ZONE: &str = "$TTL 3600
probe.test. 3600 IN SOA ns.probe.test. host.probe.test. 1 7200 900 86400 600
probe.test. 3600 IN NS ns.probe.test.
ns.probe.test. 3600 IN A 192.0.2.1
a.probe.test. 3600 IN A 192.0.2.2
";

/// Where Grapevine does something else than two that agree, or than all: the transport, the message, what it does, why.
const EXCEPTIONS: &[(&str, &str, &str, &str)] = &[
    (
        "any",
        "opcode NOTIFY",
        NOTIMP_NOTIFY,
        "it is nobody's secondary, so RFC 1996 is not implemented; the others each say something else",
    ),
    (
        "any",
        "opcode UPDATE",
        NOTIMP_UPDATE,
        "RFC 2136 is not implemented, as in NSD; BIND and Knot find the message malformed",
    ),
    ("TCP", "a response", "nothing", "a stream goes on behind a message that is ignored, as with Knot"),
    (
        "TCP",
        "a question by the count, but none",
        "rcode 1 opcode 0 questions 0",
        "RFC 1035 §4.1.1: malformed is FORMERR, as \
     over UDP and as from BIND; NSD and Knot close the stream",
    ),
];
const NOTIMP_NOTIFY: &str = "rcode 4 opcode 4 questions 0";
const NOTIMP_UPDATE: &str = "rcode 4 opcode 5 questions 0";
/// Responses overtake each other on a stream; a transfer takes longer than the query behind it.
const NOT_OVER_TCP: &str = "type AXFR";

#[test]
fn odd_messages_are_treated_as_most_stock_servers_treat_them() {
    let files = [(ORIGIN.to_owned(), ZONE.to_owned())];
    let servers: Vec<Stock> = KINDS.iter().map(|&kind| Stock::start(kind, &Zones::Files(&files))).collect();
    let mut zones = grapevine::zone::ZoneSet::default();
    zones.insert(zone(ORIGIN, ZONE.as_bytes()));
    let ours = Ours::start(zones);
    for server in &servers {
        assert_eq!(crate::not_loaded(server, &files), Vec::<String>::new());
    }
    let mut wrong = String::new();
    for (transport, react) in [("UDP", over_udp as fn(SocketAddr, &[u8]) -> String), ("TCP", over_tcp)] {
        for Probe { name, message } in
            probes().into_iter().filter(|probe| transport != "TCP" || probe.name != NOT_OVER_TCP)
        {
            let stock: Vec<String> = servers.iter().map(|server| react(server.address, &message)).collect();
            let own = react(ours.address, &message);
            let row = format!(
                "{transport} {name}:\n    {} (BIND)\n    {} (NSD)\n    {} (Knot)\n    {own}\n",
                stock[0], stock[1], stock[2]
            );
            println!("{row}");
            let agreed = (0..stock.len()).find(|&index| stock[index] == stock[(index + 1) % stock.len()]);
            let is_fine = agreed.map_or_else(|| stock.contains(&own), |index| stock[index] == own);
            if !is_fine && !is_exception(transport, name, &own) {
                wrong += &row;
            }
        }
    }
    assert_eq!(wrong, "");
}

fn is_exception(transport: &str, name: &str, reaction: &str) -> bool {
    EXCEPTIONS.iter().any(|&(over, message, expected, _)| {
        (over == "any" || over == transport) && message == name && expected == reaction
    })
}

fn over_udp(server: SocketAddr, message: &[u8]) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.connect(server).expect("a loopback address");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket.send(message).expect("a listener");
    socket.send(&control()).expect("a listener");
    let mut buffer = [0; 4096];
    let mut reaction = None;
    loop {
        let length = socket.recv(&mut buffer).expect("the ordinary query is answered");
        if buffer[..2] == control()[..2] {
            return reaction.unwrap_or_else(|| "nothing".to_owned());
        }
        reaction = Some(describe(&buffer[..length]));
    }
}

fn over_tcp(server: SocketAddr, message: &[u8]) -> String {
    let mut stream = TcpStream::connect(server).expect("a listener");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let framed = |message: &[u8]| [&(message.len() as u16).to_be_bytes()[..], message].concat();
    // A server that has closed the connection already makes this fail; that is seen below.
    let _closed = stream.write_all(&[framed(message), framed(&control())].concat());
    let mut reaction = "nothing".to_owned();
    loop {
        let mut length = [0; 2];
        if stream.read_exact(&mut length).is_err() {
            return reaction + ", then closed";
        }
        let mut response = vec![0; u16::from_be_bytes(length).into()];
        if stream.read_exact(&mut response).is_err() {
            return reaction + ", then cut";
        }
        if response[..2] == control()[..2] {
            return reaction;
        }
        reaction = describe(&response);
    }
}

/// What can be compared of a response to such a message.
fn describe(response: &[u8]) -> String {
    let word = |at: usize| u16::from_be_bytes([response[at], response[at + 1]]);
    if response.len() < 12 {
        return format!("{} bytes", response.len());
    }
    let flags = word(2);
    let mut rcode = flags & 0xf;
    let mut text = String::new();
    for (name, bit) in
        [("aa", 0x400), ("tc", 0x200), ("rd", 0x100), ("ra", 0x80), ("z", 0x40), ("ad", 0x20), ("cd", 0x10)]
    {
        if flags & bit != 0 {
            text += " ";
            text += name;
        }
    }
    let records = crate::message::sections(response);
    if let Some(opt) = records.iter().find(|record| record.rtype == 41) {
        rcode |= (opt.ttl >> 24) as u16 * 16;
        text += &format!(" edns version {} flags {:x}", opt.ttl >> 16 & 0xff, opt.ttl & 0xffff);
    }
    if records.iter().any(|record| record.rtype == 250) {
        text += " tsig";
    }
    // How much else is there is a matter of taste.
    text += if word(6) > 0 { " answer" } else { "" };
    format!("rcode {rcode} opcode {} questions {}{text}", flags >> 11 & 0xf, word(4))
}
