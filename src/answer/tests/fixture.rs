//! Zones, queries and readable responses for the tests.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use hickory_server::proto::op::Message;
use hickory_server::proto::rr::Record as HickoryRecord;

use crate::answer::{Context, Outcome, Server, Transport, answer};
use crate::zone::{Name, Rdata, Record, RecordType, Soa, Zone, ZoneContent, ZoneSet};

/// Wire form of an absolute name, its case kept.
pub(super) fn wire(name: &str) -> Vec<u8> {
    Name::parse_to_wire(name.as_bytes(), Some(&[0])).expect("a name")
}

/// A zone from lines `owner type rdata`, names absolute, TTL 3600. The SOA is there already: serial 7, minimum 300.
pub(super) fn content(origin: &str, lines: &str) -> ZoneContent {
    let below = |label: &str| Rdata::new(wire(&format!("{label}.{}", origin.trim_start_matches('.'))));
    let (mname, rname) = (below("ns1"), below("host"));
    let soa = Soa { ttl: 3600, mname, rname, serial: 7, refresh: 3600, retry: 900, expire: 86400, minimum: 300 };
    let mut content = ZoneContent::new(origin.parse().expect("a name"), soa);
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let rtype: RecordType = fields[1].parse().expect("a type");
        let owner = fields[0].parse().expect("a name");
        assert!(content.add(Record { owner, rtype, ttl: 3600, rdata: Rdata::new(rdata(rtype, &fields[2..])) }));
    }
    content
}

fn rdata(rtype: RecordType, fields: &[&str]) -> Vec<u8> {
    let number = |text: &str| text.parse::<u16>().expect("a number").to_be_bytes();
    match rtype {
        RecordType::A => fields[0].parse::<Ipv4Addr>().expect("an address").octets().to_vec(),
        RecordType::AAAA => fields[0].parse::<Ipv6Addr>().expect("an address").octets().to_vec(),
        RecordType::NS | RecordType::CNAME | RecordType::DNAME => wire(fields[0]),
        RecordType::MX => [&number(fields[0])[..], &wire(fields[1])].concat(),
        RecordType::SRV => [fields[..3].iter().flat_map(|n| number(n)).collect(), wire(fields[3])].concat(),
        RecordType::HTTPS => [&number(fields[0])[..], &wire(fields[1])].concat(),
        RecordType::TXT => [&[fields[0].len() as u8], fields[0].as_bytes()].concat(),
        // Priority 1 2, flags as given, no service, no regular expression.
        RecordType::NAPTR => [b"\x00\x01\x00\x02\x01", fields[0].as_bytes(), b"\x00\x00", &wire(fields[1])].concat(),
        _ => data_encoding::HEXLOWER.decode(fields[0].as_bytes()).expect("hexadecimal"),
    }
}

/// Snapshots of some zones.
pub(super) fn zones(contents: impl IntoIterator<Item = ZoneContent>) -> ZoneSet {
    ZoneSet::new(contents.into_iter().map(|content| Arc::new(Zone::from_content(&content))))
}

/// One zone that answers transfers alone.
pub(super) fn hidden(content: &ZoneContent) -> ZoneSet {
    let mut zone = Zone::from_content(content);
    zone.set_hidden(true);
    ZoneSet::new([Arc::new(zone)])
}

/// A zone with one of everything.
pub(super) fn example() -> ZoneContent {
    content(
        "example.",
        "example. NS ns1.example.
         example. NS ns.other.
         example. MX 10 Mail.Example.
         ns1.example. A 192.0.2.1
         ns1.example. AAAA 2001:db8::1
         mail.example. A 192.0.2.2
         alias.example. CNAME mail.example.
         out.example. CNAME www.other.
         loop1.example. CNAME loop2.example.
         loop2.example. CNAME loop1.example.
         *.wild.example. A 192.0.2.3
         *.alias.wild.example. CNAME mail.example.
         a.b.ent.example. A 192.0.2.4
         x.*.star.example. A 192.0.2.4
         sub.example. NS ns.sub.example.
         sub.example. NS ns1.example.
         ns.sub.example. A 192.0.2.5
         below.ns.sub.example. TXT occluded
         child.example. NS ns.child.example.
         ns.child.example. A 192.0.2.6
         dn.example. DNAME target.example.
         a.target.example. A 192.0.2.7
         grow.example. DNAME more.grow.example.
         srv.example. SRV 1 2 3 mail.example.
         web.example. HTTPS 1 .
         web.example. A 192.0.2.8
         enum.example. NAPTR s srv.example.",
    )
}

/// A second zone, to which `example.` points.
pub(super) fn other() -> ZoneContent {
    content("other.", "other. NS ns.other.\nns.other. A 192.0.2.101\nwww.other. TXT hello")
}

/// A zone below `example.`, delegated there.
pub(super) fn child() -> ZoneContent {
    content("child.example.", "child.example. NS ns.child.example.\nns.child.example. A 192.0.2.6")
}

/// Whom queries come from.
pub(super) const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 200));

/// A server named `node-1`.
pub(super) fn server() -> Server {
    Server { nsid: "node-1".to_owned(), version: "Grapevine".to_owned(), ..Server::default() }
}

/// A query in the making.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) flags: u16,
    pub(super) name: Vec<u8>,
    pub(super) rtype: u16,
    pub(super) class: u16,
    pub(super) edns: Option<(u16, u32, Vec<u8>)>,
    pub(super) authority: Vec<u8>,
    pub(super) transport: Transport,
    pub(super) may_transfer: bool,
}

impl Ask {
    /// A plain question over UDP.
    pub(super) fn new(name: &str, rtype: &str) -> Ask {
        let rtype = rtype.parse::<RecordType>().expect("a type").0;
        Ask {
            flags: 0,
            name: wire(name),
            rtype,
            class: 1,
            edns: None,
            authority: Vec::new(),
            transport: Transport::Udp,
            may_transfer: false,
        }
    }

    /// With EDNS of this size.
    pub(super) fn edns(mut self, size: u16) -> Ask {
        self.edns = Some((size, 0, Vec::new()));
        self
    }

    /// With EDNS and the DO bit.
    pub(super) fn dnssec(mut self) -> Ask {
        self.edns = Some((4096, 0x8000, Vec::new()));
        self
    }

    /// With EDNS and one option.
    pub(super) fn option(mut self, code: u16, data: &[u8]) -> Ask {
        let (.., options) = self.edns.get_or_insert((1232, 0, Vec::new()));
        options.extend(code.to_be_bytes());
        options.extend((data.len() as u16).to_be_bytes());
        options.extend(data);
        self
    }

    /// Over a stream.
    pub(super) fn tcp(mut self) -> Ask {
        self.transport = Transport::Tcp;
        self
    }

    /// From a client that may transfer zones.
    pub(super) fn allowed(mut self) -> Ask {
        self.may_transfer = true;
        self
    }

    /// With an SOA of this serial in the authority section.
    pub(super) fn knowing(mut self, serial: u32) -> Ask {
        self.authority =
            [&self.name[..], &[0, 6, 0, 1, 0, 0, 0, 0, 0, 22, 0, 0], &serial.to_be_bytes(), &[0; 16]].concat();
        self
    }

    /// The query's bytes.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let count = |present: bool| u16::from(present);
        let words = [0x1234, self.flags, 1, 0, count(!self.authority.is_empty()), count(self.edns.is_some())];
        let mut bytes: Vec<u8> = words.iter().flat_map(|word: &u16| word.to_be_bytes()).collect();
        bytes.extend(&self.name);
        bytes.extend(self.rtype.to_be_bytes());
        bytes.extend(self.class.to_be_bytes());
        bytes.extend(&self.authority);
        if let Some((size, ttl, options)) = &self.edns {
            bytes.extend([0, 0, 41]);
            bytes.extend(size.to_be_bytes());
            bytes.extend(ttl.to_be_bytes());
            bytes.extend((options.len() as u16).to_be_bytes());
            bytes.extend(options);
        }
        bytes
    }

    /// Asks, with an outcome of any kind.
    pub(super) fn outcome(&self, zones: &ZoneSet, response: &mut Vec<u8>) -> Outcome {
        let server = server();
        let context = Context { may_transfer: self.may_transfer, ..Context::new(&server, self.transport, CLIENT) };
        answer(zones, &self.bytes(), &context, response)
    }

    /// Asks and reads the response.
    pub(super) fn of(&self, zones: &ZoneSet) -> Reply {
        let mut response = vec![1, 2, 3];
        match self.outcome(zones, &mut response) {
            Outcome::Respond => Reply::read(response),
            other => panic!("no response but {other:?}"),
        }
    }
}

/// A response.
pub(super) struct Reply {
    pub(super) bytes: Vec<u8>,
    pub(super) message: Message,
}

impl Reply {
    pub(super) fn read(bytes: Vec<u8>) -> Reply {
        let message = Message::from_vec(&bytes).unwrap_or_else(|error| panic!("{error}: {bytes:02x?}"));
        Reply { bytes, message }
    }

    /// The response code, AA and TC in short: `NOERROR aa tc`.
    pub(super) fn status(&self) -> String {
        let metadata = &self.message.metadata;
        let mut status = format!("{:?}", metadata.response_code).to_uppercase();
        status.push_str(if metadata.authoritative { " aa" } else { "" });
        status.push_str(if metadata.truncation { " tc" } else { "" });
        status
    }

    /// Lines `owner type rdata` of a section.
    pub(super) fn lines(records: &[HickoryRecord]) -> Vec<String> {
        records.iter().map(|r| format!("{} {} {}", r.name, r.record_type(), r.data)).collect()
    }

    pub(super) fn answers(&self) -> Vec<String> {
        Reply::lines(&self.message.answers)
    }

    pub(super) fn authority(&self) -> Vec<String> {
        Reply::lines(&self.message.authorities)
    }

    pub(super) fn additional(&self) -> Vec<String> {
        Reply::lines(&self.message.additionals)
    }
}
