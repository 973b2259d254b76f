//! One generated zone as a master file.
//!
//! What a stock server refuses to load is taken out: it would cost the whole set. The reasons stand where it is done.

use std::collections::BTreeMap;
use std::fmt::Write;

use rand::RngExt;
use rand::seq::IndexedRandom;

use crate::generate::Names;

/// Records in an RRset that is to overflow a response of 1,232 bytes.
const BIG_RRSET: usize = 30;

/// A zone in the making: RRsets by owner.
#[derive(Default)]
pub(crate) struct ZoneText {
    rrsets: BTreeMap<String, BTreeMap<&'static str, Vec<String>>>,
}

/// `owner` below another name.
fn is_below(owner: &str, other: &str) -> bool {
    owner.strip_suffix(other).is_some_and(|labels| labels.ends_with('.'))
}

impl ZoneText {
    /// A zone among `origins`.
    pub(crate) fn generate(names: &mut Names, origin: &str, origins: &[String]) -> ZoneText {
        let mut zone = ZoneText::default();
        names.known.push(origin.to_owned());
        for _ in 0..names.rng.random_range(1..=2) {
            zone.add_name_server(names, origin, 0.6);
        }
        for other in origins.iter().filter(|other| is_below(other, origin)) {
            // Parent and child are both here; at times the parent knows nothing of the child.
            if names.rng.random_bool(0.7) {
                zone.add_cut(names, other);
            }
        }
        for _ in 0..names.rng.random_range(3..16) {
            let owner = names.below(origin);
            zone.add_random(names, &owner, origin);
        }
        zone
    }

    fn add_random(&mut self, names: &mut Names, owner: &str, origin: &str) {
        let number = names.rng.random_range(1..255);
        names.known.push(owner.to_owned());
        match names.rng.random_range(0..28) {
            0..=4 => self.add(owner, "A", format!("192.0.2.{number}")),
            5..=6 => self.add(owner, "AAAA", format!("2001:db8::{number:x}")),
            7 => self.add(owner, "TXT", format!("\"text {number}\"")),
            8 => {
                let rtype = *["TXT", "A"].choose(&mut names.rng).expect("two");
                self.add_big(names, owner, rtype);
            }
            9..=13 => self.add_pointer(names, owner),
            14 => self.add(owner, "TYPE65280", format!("\\# 2 00{number:02x}")),
            15..=18 => {
                let target = names.target();
                self.add(owner, "CNAME", format!("{target}."));
            }
            19..=21 => {
                let target = if names.rng.random_bool(0.2) { names.long() } else { names.target() };
                self.add(owner, "DNAME", format!("{target}."));
            }
            _ if owner != origin => self.add_cut(names, owner),
            _ => {}
        }
    }

    /// A record whose target gets into the additional section.
    fn add_pointer(&mut self, names: &mut Names, owner: &str) {
        let number = names.rng.random_range(1..255);
        let target = if names.rng.random_bool(0.05) { String::new() } else { names.target() };
        match names.rng.random_range(0..10) {
            0..=2 => self.add(owner, "MX", format!("{number} {target}.")),
            3..=4 => self.add(owner, "SRV", format!("0 {number} 53 {target}.")),
            5 => self.add(owner, "SVCB", format!("{number} {target}. alpn=h2")),
            6 => self.add(owner, "HTTPS", format!("{} {target}.", number % 2)),
            7 => self.add(owner, "PTR", format!("{target}.")),
            8 => self.add(owner, "CAA", format!("0 issue \"ca{number}.example\"")),
            _ => {
                let flags = *["", "s", "a", "A", "u"].choose(&mut names.rng).expect("five");
                self.add(owner, "NAPTR", format!("{number} 1 \"{flags}\" \"X\" \"\" {target}."));
            }
        }
    }

    fn add_big(&mut self, names: &mut Names, owner: &str, rtype: &'static str) {
        for number in 0..names.rng.random_range(8..BIG_RRSET) {
            let rdata = if rtype == "A" { format!("198.51.100.{number}") } else { format!("\"{number:060}\"") };
            self.add(owner, rtype, rdata);
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

    /// Takes out what no server loads in a single zone.
    pub(crate) fn clean(&mut self, origin: &str) {
        self.rrsets.retain(|owner, _| owner == origin || is_below(owner, origin));
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
            // What wildcard delegations and DNAMEs mean is not defined (RFC 4592 §4.2, §4.4): BIND refuses the one, and of
            // the other Knot shows the owner as the name that was asked for.
            if owner.starts_with('*') {
                rrsets.retain(|rtype, _| !matches!(*rtype, "NS" | "DNAME"));
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
        let dnames = self.dnames();
        self.rrsets.retain(|owner, rrsets| !rrsets.is_empty() && !dnames.iter().any(|dname| is_below(owner, dname)));
        self.fix_apex_name_servers(origin);
    }

    fn dnames(&self) -> Vec<String> {
        let owners = self.rrsets.iter().filter(|(_, rrsets)| rrsets.contains_key("DNAME"));
        owners.map(|(owner, _)| owner.clone()).collect()
    }

    /// Takes out the DNAMEs that another zone has data below: NSD keeps all zones in one tree and loads no such zone.
    pub(crate) fn clear_dnames_above(&mut self, others: &[&ZoneText]) {
        for dname in self.dnames() {
            if others.iter().any(|other| other.rrsets.keys().any(|owner| is_below(owner, &dname))) {
                let rrsets = self.rrsets.get_mut(&dname).expect("it owns a DNAME");
                rrsets.remove("DNAME");
                if rrsets.is_empty() {
                    self.rrsets.remove(&dname);
                }
            }
        }
    }

    /// BIND loads no zone whose own name servers lie in it without an address, or at a cut that has a DS.
    fn fix_apex_name_servers(&mut self, origin: &str) {
        let is_usable = |name: &str| {
            self.rrsets.get(name).is_some_and(|rrsets| {
                (rrsets.contains_key("A") || rrsets.contains_key("AAAA")) && !rrsets.contains_key("DS")
            })
        };
        let is_fine = |target: &String| {
            let name = target.trim_end_matches('.');
            (name != origin && !is_below(name, origin)) || is_usable(name)
        };
        let mut targets = self.rrsets.get(origin).and_then(|rrsets| rrsets.get("NS")).cloned().unwrap_or_default();
        targets.retain(is_fine);
        if targets.is_empty() {
            targets.push("ns.elsewhere.example.".to_owned());
        }
        self.rrsets.entry(origin.to_owned()).or_default().insert("NS", targets);
    }

    /// Writes the master file.
    pub(crate) fn write(&self, origin: &str, ttl: u32, minimum: u32) -> String {
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
}
