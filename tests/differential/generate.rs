//! Zone sets and questions from a seed: few labels, so that names collide with wildcards, cuts, DNAMEs and each other.
//!
//! Every set has a top label of its own, so that many sets fit into one run of a server without meeting. What makes a
//! zone unloadable for a stock server is not generated; what is merely odd is.

use grapevine::zone::{Name, RecordType};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use crate::message::PAYLOAD;
use crate::sign::Signing;
use crate::zone_text::ZoneText;

/// The alphabet of labels. `*` stands among them, so that wildcards occur at every depth, below and above others.
const LABELS: &[&str] = &["a", "b", "c", "*"];

/// Types that are asked for. The last one is not known to anybody.
const QTYPES: &[RecordType] = &[
    RecordType::A,
    RecordType::A,
    RecordType::A,
    RecordType::AAAA,
    RecordType::NS,
    RecordType::CNAME,
    RecordType::DNAME,
    RecordType::MX,
    RecordType::SOA,
    RecordType::TXT,
    RecordType::DS,
    RecordType::ANY,
    RecordType::SRV,
    RecordType::NAPTR,
    RecordType::HTTPS,
    RecordType::SVCB,
    RecordType::RRSIG,
    RecordType::NSEC,
    RecordType::DNSKEY,
    RecordType(65280),
    RecordType(999),
];

/// A label that makes names grow beyond 255 bytes soon.
const LONG_LABEL: &str = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefgh";

/// The root zone has no parent, and its name no label: what walks up names has to end there.
const ROOT: &str = ". 600 IN SOA ns. host. 1 7200 900 86400 1200
. 3600 IN NS ns.
. 3600 IN NS ns.a.
. 3600 IN TXT \"root\"
ns. 3600 IN A 192.0.2.1
*. 3600 IN A 192.0.2.2
a. 3600 IN NS ns.a.
a. 3600 IN NS b.c.
a. 3600 IN DS 4711 13 2 abababababababababababababababababababababababababababababababab
ns.a. 3600 IN A 192.0.2.3
ns.a. 3600 IN AAAA 2001:db8::3
b. 3600 IN DNAME c.
c. 3600 IN NS ns.c.
ns.c. 3600 IN A 192.0.2.4
d. 3600 IN CNAME a.b.
e.d. 3600 IN MX 10 .
e.d. 3600 IN MX 20 ns.
*.d. 3600 IN CNAME .
f. 3600 IN DNAME .
g. 3600 IN SRV 0 0 0 .
g. 3600 IN HTTPS 1 . alpn=h2
g. 3600 IN A 192.0.2.5
";
const BELOW_ROOT: &str = "c. 600 IN SOA ns.c. host.c. 1 7200 900 86400 1200
c. 3600 IN NS ns.c.
ns.c. 3600 IN A 192.0.2.4
b.c. 3600 IN A 192.0.2.6
a.c. 3600 IN CNAME a.
*.c. 3600 IN CNAME e.d.
";

/// Zones that are loaded together, as master files.
pub(crate) struct ZoneFamily {
    /// What makes this set again.
    pub(crate) seed: u64,
    /// Origin, without a final dot, and text.
    pub(crate) zones: Vec<(String, String)>,
    /// What is asked.
    pub(crate) questions: Vec<Question>,
}

/// One question.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    /// The name as text without a final dot.
    pub(crate) qname: String,
    /// The type.
    pub(crate) qtype: RecordType,
    /// Whether DNSSEC records are wanted.
    pub(crate) dnssec: bool,
    /// The largest datagram that the client takes, by EDNS; 512 without EDNS if `None`.
    pub(crate) payload: Option<u16>,
    /// Whether it is asked over TCP.
    pub(crate) tcp: bool,
}

impl Question {
    /// A question in a query with EDNS that takes a large response.
    pub(crate) fn new(qname: &str, qtype: RecordType) -> Question {
        Question { qname: qname.to_owned(), qtype, dnssec: false, payload: Some(PAYLOAD), tcp: false }
    }
}

impl ZoneFamily {
    /// The set of a seed with this many questions.
    pub(crate) fn generate(seed: u64, questions: usize) -> ZoneFamily {
        let mut rng = StdRng::seed_from_u64(seed);
        let top = format!("s{seed}");
        let below = ["a", "b", "a.a", "b.a", "c.b", "a.b.a"];
        let mut origins = vec![if rng.random_bool(0.8) { top.clone() } else { format!("a.{top}") }];
        for label in below.sample(&mut rng, 3) {
            let origin = format!("{label}.{top}");
            if rng.random_bool(0.55) && !origins.contains(&origin) {
                origins.push(origin);
            }
        }
        let mut names = Names { rng, top, known: Vec::new() };
        let zones = zone_texts(&mut names, &origins);
        let questions = (0..questions).map(|_| names.question()).collect();
        // Most sets are as they come; of the others each sort is signed in one of the ways there are.
        let zones = match Signing::of_seed(seed) {
            Some(signing) => zones.iter().map(|(origin, text)| (origin.clone(), signing.sign(origin, text))).collect(),
            None => zones,
        };
        ZoneFamily { seed, zones, questions }
    }

    /// The root zone and one below it, with questions from a seed.
    pub(crate) fn root(seed: u64, questions: usize) -> ZoneFamily {
        let zones = vec![(".".to_owned(), ROOT.to_owned()), ("c".to_owned(), BELOW_ROOT.to_owned())];
        let owners = ROOT.lines().chain(BELOW_ROOT.lines()).filter_map(|line| line.split_whitespace().next());
        let known = owners.map(|owner| owner.trim_end_matches('.').to_owned()).collect();
        let mut names = Names { rng: StdRng::seed_from_u64(seed), top: "c".to_owned(), known };
        let questions = (0..questions).map(|_| names.question()).collect();
        ZoneFamily { seed, zones, questions }
    }

    /// The origins of the zones.
    pub(crate) fn origins(&self) -> Vec<Name> {
        self.zones.iter().map(|(origin, _)| absolute(origin).parse().expect("an origin")).collect()
    }
}

/// A name with its final dot.
pub(crate) fn absolute(name: &str) -> String {
    format!("{}.", name.trim_end_matches('.'))
}

/// The master files of these origins.
fn zone_texts(names: &mut Names, origins: &[String]) -> Vec<(String, String)> {
    let mut zones: Vec<ZoneText> = origins.iter().map(|origin| ZoneText::generate(names, origin, origins)).collect();
    for (zone, origin) in zones.iter_mut().zip(origins) {
        zone.clean(origin);
    }
    for index in 0..zones.len() {
        let mut zone = std::mem::take(&mut zones[index]);
        zone.clear_dnames_above(&zones.iter().collect::<Vec<_>>());
        zones[index] = zone;
    }
    let mut write = |(zone, origin): (&ZoneText, &String)| {
        let (ttl, minimum) = (names.rng.random_range(1..4) * 600, names.rng.random_range(1..4) * 600);
        (origin.clone(), zone.write(origin, ttl, minimum))
    };
    zones.iter().zip(origins).map(&mut write).collect()
}

/// Where names come from.
pub(crate) struct Names {
    /// Chance.
    pub(crate) rng: StdRng,
    top: String,
    /// Names that occur in the zones, as owners or as targets.
    pub(crate) known: Vec<String>,
}

impl Names {
    /// A new name up to three labels below another.
    pub(crate) fn below(&mut self, name: &str) -> String {
        let depth = *[0, 1, 1, 1, 2, 2, 3].choose(&mut self.rng).expect("there is a choice");
        let mut name = name.to_owned();
        for _ in 0..depth {
            name = format!("{}.{name}", LABELS.choose(&mut self.rng).expect("there is a choice"));
        }
        name
    }

    /// What a record points to: often a name that exists, at times one outside all zones.
    pub(crate) fn target(&mut self) -> String {
        let target = match self.rng.random_range(0..20) {
            0 => "ns.elsewhere.example".to_owned(),
            1..=8 if !self.known.is_empty() => self.existing(),
            9..=11 if !self.known.is_empty() => {
                let name = self.existing();
                self.below(&name)
            }
            _ => {
                let top = self.top.clone();
                self.below(&top)
            }
        };
        self.known.push(target.clone());
        target
    }

    /// A name so long that what a DNAME puts in front of it makes it too long at times (RFC 6672 §2.2).
    pub(crate) fn long(&mut self) -> String {
        let labels = self.rng.random_range(1..=3);
        format!("{}{}", format!("{LONG_LABEL}.").repeat(labels), self.top)
    }

    fn existing(&mut self) -> String {
        self.known.choose(&mut self.rng).expect("a zone has been made").clone()
    }

    fn question(&mut self) -> Question {
        let name = self.existing();
        let mut qname = match self.rng.random_range(0..10) {
            0..=3 => name,
            4..=5 => self.below(&name),
            // A sibling: the first label is another one.
            6..=7 => match name.split_once('.') {
                Some((_, parent)) => format!("{}.{parent}", ["a", "b", "c", "d"].choose(&mut self.rng).expect("four")),
                None => name,
            },
            // An ancestor, perhaps an empty non-terminal.
            // Something long in front.
            8 if self.rng.random_bool(0.3) => {
                let room = 253_usize.saturating_sub(name.len()) / (LONG_LABEL.len() + 1);
                format!("{}{name}", format!("{LONG_LABEL}.").repeat(self.rng.random_range(0..=room)))
            }
            8 => name.split_once('.').map_or(name.clone(), |(_, parent)| parent.to_owned()),
            _ => {
                let top = self.top.clone();
                let near = self.below(&top);
                self.below(&near)
            }
        };
        if self.rng.random_bool(0.2) {
            qname = qname.to_ascii_uppercase();
        }
        let qtype = *QTYPES.choose(&mut self.rng).expect("there are types");
        let payload = *[None, Some(512), Some(1232), Some(PAYLOAD), Some(PAYLOAD)].choose(&mut self.rng).expect("five");
        Question {
            qname,
            qtype,
            dnssec: payload.is_some() && self.rng.random_bool(0.4),
            payload,
            tcp: self.rng.random_bool(0.1),
        }
    }
}
