//! Zone sets and questions from a seed: few labels, so that names collide with wildcards, cuts, DNAMEs and each other.
//!
//! Every set has a top label of its own, so that many sets fit into one run of a server without meeting. What makes a
//! zone unloadable for a stock server is not generated; what is merely odd is.

use std::collections::BTreeMap;
use std::fmt::Write;

use grapevine::zone::{Name, RecordType};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

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
    RecordType(65280),
    RecordType(999),
];

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
        let zones: Vec<(String, String)> =
            origins.iter().map(|origin| (origin.clone(), ZoneText::generate(&mut names, origin, &origins))).collect();
        let questions = (0..questions).map(|_| names.question()).collect();
        ZoneFamily { seed, zones, questions }
    }

    /// The origins of the zones.
    pub(crate) fn origins(&self) -> Vec<Name> {
        self.zones.iter().map(|(origin, _)| format!("{origin}.").parse().expect("an origin")).collect()
    }
}

/// Where names come from.
struct Names {
    rng: StdRng,
    top: String,
    /// Names that occur in the zones, as owners or as targets.
    known: Vec<String>,
}

impl Names {
    /// A new name up to three labels below another.
    fn below(&mut self, name: &str) -> String {
        let depth = *[0, 1, 1, 1, 2, 2, 3].choose(&mut self.rng).expect("there is a choice");
        let mut name = name.to_owned();
        for _ in 0..depth {
            name = format!("{}.{name}", LABELS.choose(&mut self.rng).expect("there is a choice"));
        }
        name
    }

    /// What a record points to: often a name that exists, at times one outside all zones.
    fn target(&mut self) -> String {
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
        Question { qname, qtype, dnssec: self.rng.random_bool(0.3) }
    }
}

/// A zone in the making: RRsets by owner.
#[derive(Default)]
struct ZoneText {
    rrsets: BTreeMap<String, BTreeMap<&'static str, Vec<String>>>,
}

impl ZoneText {
    /// The master file of a zone among `origins`.
    fn generate(names: &mut Names, origin: &str, origins: &[String]) -> String {
        let mut zone = ZoneText::default();
        names.known.push(origin.to_owned());
        for _ in 0..names.rng.random_range(1..=2) {
            zone.add_name_server(names, origin, 0.6);
        }
        for other in origins.iter().filter(|other| other.ends_with(&format!(".{origin}"))) {
            // Parent and child are both here; at times the parent knows nothing of the child.
            if names.rng.random_bool(0.7) {
                zone.add_cut(names, other);
            }
        }
        for _ in 0..names.rng.random_range(3..16) {
            let owner = names.below(origin);
            zone.add_random(names, &owner, origin);
        }
        let (ttl, minimum) = (names.rng.random_range(1..4) * 600, names.rng.random_range(1..4) * 600);
        zone.finish(origin, origins, ttl, minimum)
    }

    fn add_random(&mut self, names: &mut Names, owner: &str, origin: &str) {
        let number = names.rng.random_range(1..255);
        names.known.push(owner.to_owned());
        match names.rng.random_range(0..24) {
            0..=4 => self.add(owner, "A", format!("192.0.2.{number}")),
            5..=6 => self.add(owner, "AAAA", format!("2001:db8::{number:x}")),
            7..=8 => self.add(owner, "TXT", format!("\"text {number}\"")),
            9..=10 => {
                let target = names.target();
                self.add(owner, "MX", format!("{number} {target}."));
            }
            11 => {
                let target = names.target();
                self.add(owner, "SRV", format!("0 {number} 53 {target}."));
            }
            12 => self.add(owner, "TYPE65280", format!("\\# 2 00{number:02x}")),
            13..=16 => {
                let target = names.target();
                self.add(owner, "CNAME", format!("{target}."));
            }
            17..=19 if !owner.contains('*') => {
                let target = names.target();
                self.add(owner, "DNAME", format!("{target}."));
            }
            _ if owner != origin && !owner.contains('*') => self.add_cut(names, owner),
            _ => {}
        }
    }

    /// A delegation, perhaps signed, perhaps with data that it occludes.
    fn add_cut(&mut self, names: &mut Names, owner: &str) {
        for _ in 0..names.rng.random_range(1..=3) {
            self.add_name_server(names, owner, 0.5);
        }
        if names.rng.random_bool(0.3) {
            self.add(owner, "DS", format!("{} 13 2 {}", names.rng.random_range(1..65535), "ab".repeat(32)));
        }
        for _ in 0..names.rng.random_range(0..3) {
            let occluded = names.below(owner);
            self.add(&occluded, "A", format!("192.0.2.{}", names.rng.random_range(1..255)));
        }
    }

    /// An NS record whose target lies below its owner with this probability, then mostly with an address.
    fn add_name_server(&mut self, names: &mut Names, owner: &str, in_bailiwick: f64) {
        if !names.rng.random_bool(in_bailiwick) {
            let target = names.target();
            self.add(owner, "NS", format!("{target}."));
            return;
        }
        let target = format!("{}.{owner}", ["ns", "a", "b"].choose(&mut names.rng).expect("three"));
        names.known.push(target.clone());
        self.add(owner, "NS", format!("{target}."));
        let number = names.rng.random_range(1..255);
        if names.rng.random_bool(0.8) {
            self.add(&target, "A", format!("192.0.2.{number}"));
        }
        if names.rng.random_bool(0.3) {
            self.add(&target, "AAAA", format!("2001:db8::{number:x}"));
        }
    }

    fn add(&mut self, owner: &str, rtype: &'static str, rdata: String) {
        let rdatas = self.rrsets.entry(owner.to_owned()).or_default().entry(rtype).or_default();
        if !rdatas.contains(&rdata) {
            rdatas.push(rdata);
        }
    }

    /// Takes out what no server loads, and writes the rest.
    fn finish(mut self, origin: &str, origins: &[String], ttl: u32, minimum: u32) -> String {
        let suffix = format!(".{origin}");
        self.rrsets.retain(|owner, _| owner == origin || owner.ends_with(&suffix));
        for (owner, rrsets) in &mut self.rrsets {
            let is_apex = owner == origin;
            // A CNAME stands alone (RFC 2181 §10.1).
            if is_apex || rrsets.len() > 1 {
                rrsets.remove("CNAME");
            }
            // A name has one alias; a DNAME is not at a cut (RFC 6672 §2.3, §2.4).
            if rrsets.contains_key("NS") && !is_apex {
                rrsets.remove("DNAME");
            }
            // NSD keeps all zones in one tree and does not load what lies below a DNAME of another zone.
            if origins.iter().any(|other| other == owner || other.ends_with(&format!(".{owner}"))) {
                rrsets.remove("DNAME");
            }
            if is_apex || !rrsets.contains_key("NS") {
                rrsets.remove("DS");
            }
            for alias in ["CNAME", "DNAME"] {
                rrsets.entry(alias).and_modify(|rdatas| rdatas.truncate(1));
            }
            rrsets.retain(|_, rdatas| !rdatas.is_empty());
        }
        // Nothing may stand below a DNAME (RFC 6672 §2.4).
        let dnames: Vec<String> = self
            .rrsets
            .iter()
            .filter(|(_, rrsets)| rrsets.contains_key("DNAME"))
            .map(|(o, _)| format!(".{o}"))
            .collect();
        self.rrsets.retain(|owner, _| !dnames.iter().any(|dname| owner.ends_with(dname.as_str())));
        self.fix_apex_name_servers(origin);
        let mut text =
            format!("$TTL 3600\n{origin}. {ttl} IN SOA ns.{origin}. host.{origin}. 1 7200 900 86400 {minimum}\n");
        for (owner, rrsets) in &self.rrsets {
            for (rtype, rdatas) in rrsets {
                for rdata in rdatas {
                    writeln!(text, "{owner}. 3600 IN {rtype} {rdata}").expect("a String takes all");
                }
            }
        }
        text
    }

    /// BIND loads no zone whose own name servers lie in it without an address.
    fn fix_apex_name_servers(&mut self, origin: &str) {
        let suffix = format!(".{origin}");
        let has_address = |name: &str| {
            self.rrsets.get(name).is_some_and(|rrsets| rrsets.contains_key("A") || rrsets.contains_key("AAAA"))
        };
        let is_fine = |target: &String| {
            let name = target.trim_end_matches('.');
            (name != origin && !name.ends_with(&suffix)) || has_address(name)
        };
        let mut targets = self.rrsets.get(origin).and_then(|rrsets| rrsets.get("NS")).cloned().unwrap_or_default();
        targets.retain(is_fine);
        if targets.is_empty() {
            targets.push("ns.elsewhere.example.".to_owned());
        }
        self.rrsets.entry(origin.to_owned()).or_default().insert("NS", targets);
    }
}
