//! Checks of a zone as a whole. What two of `named-checkzone`, `nsd-checkzone` and Knot's zone check refuse is an error;
//! what one of them refuses or points out is a warning.

use std::collections::HashMap;

use super::entry::EntryKind;
use super::parser::{Parser, Place};
use super::splice::Line;
use super::{Diagnostic, Level};
use crate::zone::{Name, Node, Rdata, RecordType, Rrset, Zone, coexistence};

/// Something about an RRset or one of its records.
struct Finding {
    owner: Name,
    rtype: RecordType,
    rdata: Option<Rdata>,
    level: Level,
    message: String,
}

/// Adds what is found to the diagnostics.
pub(super) fn check(parser: &mut Parser<'_>, zone: &Zone) {
    // After errors records are missing, and to say so a second time helps no one.
    let complete = parser.errors == 0;
    if complete && parser.soa.is_none() {
        let message = format!("the zone has no SOA; one is needed at its apex {}", parser.origin);
        report_at_start(parser, Level::Error, message);
    }
    if complete && zone.apex().get(RecordType::NS).is_none() {
        let message = format!("the zone has no NS at its apex {}", parser.origin);
        report_at_start(parser, Level::Error, message);
    }
    let found = Checks::of_all(zone, complete);
    if !found.is_empty() {
        locate(parser, found);
    }
}

/// Whether there is nothing to be found in a zone that differs at these owners alone from one in which nothing was.
pub(super) fn is_still_sound(before: &Zone, zone: &Zone, owners: &[Name]) -> bool {
    let has = |node: Option<Node<'_>>, rtype| node.is_some_and(|node| node.get(rtype).is_some());
    let has_address = |node| has(node, RecordType::A) || has(node, RecordType::AAAA);
    // What others say of a name hangs on these types alone, and that it has addresses harms nobody.
    let leaves_others_alone = |owner: &Name| {
        let (old, new) = (before.get(owner.as_wire()), zone.get(owner.as_wire()));
        let is_kept = |rtype| has(old, rtype) == has(new, rtype);
        [RecordType::CNAME, RecordType::NS, RecordType::DNAME].into_iter().all(is_kept)
            && (has_address(new) || !has_address(old))
    };
    let found = if owners.iter().all(leaves_others_alone) {
        let mut checks = Checks { zone, found: Vec::new() };
        for node in owners.iter().filter_map(|owner| zone.get(owner.as_wire())) {
            checks.types_of(node, true);
            checks.below_dname(node);
        }
        checks.found
    } else {
        Checks::of_all(zone, true)
    };
    found.is_empty() && zone.apex().get(RecordType::NS).is_some()
}

fn report_at_start(parser: &mut Parser<'_>, level: Level, message: String) {
    let source = &parser.sources[0];
    let diagnostic = Diagnostic::new(&source.path, &source.text, (0, 1), 0, level, message);
    parser.keep(diagnostic);
}

struct Checks<'a> {
    zone: &'a Zone,
    found: Vec<Finding>,
}

/// What a name that a record points to has.
#[derive(PartialEq, Eq)]
enum Target {
    Fine,
    Cname,
    NoAddress,
    NoGlue,
    BelowDname,
}

impl Checks<'_> {
    fn of_all(zone: &Zone, complete: bool) -> Vec<Finding> {
        let mut checks = Checks { zone, found: Vec::new() };
        zone.iter().for_each(|node| checks.types_of(node, complete));
        if zone.has_cuts() && zone.iter().any(|node| node.get(RecordType::DNAME).is_some()) {
            zone.iter().for_each(|node| checks.below_dname(node));
        }
        checks.found
    }

    fn find(&mut self, owner: Name, rtype: RecordType, rdata: Option<&[u8]>, level: Level, message: String) {
        self.found.push(Finding { owner, rtype, rdata: rdata.map(Rdata::new), level, message });
    }

    /// Looks at those RRsets of a node that may not be as they are.
    fn types_of(&mut self, node: Node<'_>, complete: bool) {
        for rrset in node.rrsets() {
            match rrset.rtype {
                RecordType::CNAME => {
                    self.singleton(node, rrset);
                    self.cname_beside_others(node);
                }
                RecordType::DNAME => self.singleton(node, rrset),
                RecordType::NS if complete => self.targets(node, rrset, 0),
                RecordType::MX if complete => self.targets(node, rrset, 2),
                RecordType::SRV if complete => self.targets(node, rrset, 6),
                RecordType::DS | RecordType::CDS | RecordType::TA | RecordType::DLV if complete => {
                    self.digests(node, rrset);
                }
                _ => {}
            }
        }
    }

    /// One CNAME or DNAME a name (RFC 1034 §3.6.2, RFC 6672 §2.4).
    fn singleton(&mut self, node: Node<'_>, rrset: Rrset<'_>) {
        let owner = node.name();
        if let Some(message) = coexistence::too_many(&owner, rrset.rtype, rrset.count()) {
            self.find(owner, rrset.rtype, None, Level::Error, message);
        }
    }

    /// A CNAME stands alone (RFC 1034 §3.6.2, RFC 2181 §10.1).
    fn cname_beside_others(&mut self, node: Node<'_>) {
        let (owner, types) = (node.name(), node.rrsets().map(|rrset| rrset.rtype));
        if let Some(message) = coexistence::beside_cname(&owner, types) {
            self.find(owner, RecordType::CNAME, None, Level::Error, message);
        }
    }

    /// Nothing exists below a DNAME (RFC 6672 §2.4) but hashed names, which are no names of the zone (RFC 5155 §7.2.8).
    fn below_dname(&mut self, node: Node<'_>) {
        let zone = self.zone;
        if !zone.has_cuts() {
            return;
        }
        let has_dname =
            |name: &Name| zone.get(name.as_wire()).is_some_and(|node| node.get(RecordType::DNAME).is_some());
        let hashed = node.get(RecordType::NSEC3).is_some();
        let of_hash = |rtype| hashed && matches!(rtype, RecordType::NSEC3 | RecordType::RRSIG);
        let owner = node.name();
        let Some(dname) = std::iter::successors(owner.parent(), Name::parent).find(has_dname) else { return };
        for rrset in node.rrsets().filter(|rrset| !of_hash(rrset.rtype)) {
            let message = coexistence::below_dname(&owner, &dname);
            self.find(owner.clone(), rrset.rtype, None, Level::Error, message);
        }
    }

    /// Name servers, mail exchangers and services are names with addresses, not aliases (RFC 2181 §10.3, RFC 2782).
    fn targets(&mut self, node: Node<'_>, rrset: Rrset<'_>, name_at: usize) {
        let (owner, rtype) = (node.name(), rrset.rtype);
        if rtype == RecordType::NS && owner.is_wildcard() {
            let message = "a wildcard owns NS records, which delegate nothing".to_owned();
            self.find(owner.clone(), rtype, None, Level::Warning, message);
        }
        // Without a name server that has an address nobody finds the zone; elsewhere others may still be of use.
        let is_apex_ns = rtype == RecordType::NS && owner == *self.zone.origin();
        let level = if is_apex_ns { Level::Fault } else { Level::Warning };
        for rdata in rrset.rdatas() {
            let target = Name::from_valid_wire(&rdata[name_at..]);
            let (level, what) = match self.target(&target) {
                Target::Fine => continue,
                Target::Cname => (level, "is an alias (CNAME); name the host itself"),
                Target::NoAddress => (level, "has no A or AAAA in this zone"),
                Target::BelowDname => (level, "lies below a DNAME, so it cannot exist"),
                Target::NoGlue if rtype != RecordType::NS => continue,
                Target::NoGlue => (Level::Warning, "needs glue: an A or AAAA record in this zone"),
            };
            let message = format!("{target}, to which {rtype} of {owner} points, {what}");
            self.find(owner.clone(), rtype, Some(rdata), level, message);
        }
    }

    fn target(&self, target: &Name) -> Target {
        let origin = self.zone.origin();
        if !target.is_at_or_below(origin) || target.is_root() {
            return Target::Fine;
        }
        let has = |name: &Name, rtype| self.zone.get(name.as_wire()).is_some_and(|node| node.get(rtype).is_some());
        let addresses = |name: &Name| has(name, RecordType::A) || has(name, RecordType::AAAA);
        if addresses(target) {
            return Target::Fine;
        }
        let in_zone = |name: &Name| name.is_at_or_below(origin);
        let mut upwards = std::iter::successors(Some(target.clone()), Name::parent).take_while(in_zone);
        if upwards.any(|name| name != *origin && has(&name, RecordType::NS)) {
            return Target::NoGlue;
        }
        if has(target, RecordType::CNAME) {
            return Target::Cname;
        }
        // A wildcard above may give it one; which of them applies is for the lookup to say.
        let above = std::iter::successors(target.parent(), Name::parent).take_while(in_zone);
        if above.clone().any(|name| has(&name, RecordType::DNAME)) {
            return Target::BelowDname;
        }
        let sources: Vec<Name> = above.filter_map(|name| name.child(b"*").ok()).collect();
        if sources.iter().any(addresses) {
            Target::Fine
        } else if sources.iter().any(|star| has(star, RecordType::CNAME)) {
            Target::Cname
        } else {
            Target::NoAddress
        }
    }

    /// Digests have the length of their algorithm (RFC 4034 §5.1, RFC 4509, RFC 6605). Only BIND refuses others in CDS.
    fn digests(&mut self, node: Node<'_>, rrset: Rrset<'_>) {
        let level = if rrset.rtype == RecordType::CDS { Level::Warning } else { Level::Error };
        for rdata in rrset.rdatas() {
            let expected = match rdata[3] {
                1 => 20,
                2 => 32,
                4 => 48,
                _ => continue,
            };
            if rdata.len() != 4 + expected {
                let message =
                    format!("the digest has {} bytes; of type {} it has {expected}", rdata.len() - 4, rdata[3]);
                self.find(node.name(), rrset.rtype, Some(rdata), level, message);
            }
        }
    }
}

/// Reports each finding at the first entry that it is about.
fn locate(parser: &mut Parser<'_>, found: Vec<Finding>) {
    let mut open: HashMap<(Name, RecordType), Vec<Finding>> = HashMap::new();
    for finding in found {
        open.entry((finding.owner.clone(), finding.rtype)).or_default().push(finding);
    }
    for entry in &Parser::entries_of(&parser.sources, &parser.origin, false) {
        let mut here = |owner: &Name, rtype: RecordType, rdata: &Rdata| -> Vec<Finding> {
            let Some(findings) = open.get_mut(&(owner.clone(), rtype)) else { return Vec::new() };
            findings.extract_if(.., |finding| finding.rdata.as_ref().is_none_or(|wanted| wanted == rdata)).collect()
        };
        let (findings, owner_stated) = match &entry.kind {
            EntryKind::Record(record) => (here(&record.owner, record.rtype, &record.rdata), record.owner_stated),
            EntryKind::Generate(generate) => {
                let all = generate.records.iter();
                (all.flat_map(|record| here(&record.0, generate.rtype, &record.1)).collect(), true)
            }
            _ => continue,
        };
        for finding in findings {
            let text = std::sync::Arc::clone(&parser.sources[entry.source as usize].text);
            let line = Line::of(&text, entry.range(), owner_stated);
            let at = line.map_or(entry.start as usize, |line| line.rtype.at);
            let (origin, owner) = (parser.origin.clone(), super::parser::Owner::None);
            let place = Place { source: entry.source, text, origin, owner };
            parser.report(&place, (entry.start as usize, entry.line), at, finding.level, finding.message);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::master::{Level, ZoneFile};

    /// What is reported about a zone of these lines after its SOA and NS: level, line and message.
    fn findings(lines: &str) -> Vec<(Level, u32, String)> {
        let text = format!("$TTL 60\n@ SOA ns hm 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n{lines}");
        let origin = "example.".parse().expect("a name");
        let found = match ZoneFile::parse("z", text.as_bytes(), &origin, &mut |_| Err(String::new())) {
            Ok(file) => file.warnings().to_vec(),
            Err(found) => found,
        };
        found.into_iter().map(|found| (found.level, found.line, found.message)).collect()
    }

    fn levels(lines: &str) -> Vec<(Level, u32)> {
        findings(lines).into_iter().map(|found| (found.0, found.1)).collect()
    }

    #[test]
    fn what_two_of_three_servers_refuse_is_an_error() {
        for lines in [
            "a A 192.0.2.1\na CNAME b\n",
            "a TXT x\na CNAME b\na CNAME c\n",
            "a TXT x\n@ CNAME b\n",
            "a TXT x\nd DNAME x.\nd DNAME y.\n",
            "a TXT x\na.d A 192.0.2.1\nd DNAME x.\n",
            "a TXT x\na SOA ns hm 1 2 3 4 5\n",
            "a TXT x\n@ SOA ns hm 2 2 3 4 5\n",
            "a TXT x\n@ NS nowhere\n",
            "a TXT x\n@ NS x.d\nd DNAME x.\n",
            "a CNAME x.\n@ NS a\n",
            "* CNAME x.\n@ NS a\n",
            "a TXT x\nsub DS 1 8 2 00\nsub NS ns\n",
        ] {
            let refused = [Level::Error, Level::Fault].map(|level| levels(lines).contains(&(level, 6)));
            assert!(refused.contains(&true), "{lines} {:?}", findings(lines));
        }
        assert!(levels("a CNAME b\na RRSIG A 5 3 1 2 1 1 example. AAAA\na NSEC b A\n").is_empty());
    }

    #[test]
    fn what_is_probably_not_meant_is_a_warning() {
        for lines in [
            "sub NS ns.sub\n",
            "sub NS ns.other\nother NS ns\n",
            "@ MX 10 nowhere\n",
            "_s._tcp SRV 0 0 1 nowhere\n",
            "* NS ns\n",
            "sub CDS 1 8 2 00\nsub NS ns\n",
            "a.test. A 192.0.2.1\n",
            "ns A 192.0.2.1\n",
            "ns 70 A 192.0.2.2\n",
            "a 2147483648 A 192.0.2.1\n",
        ] {
            assert_eq!(levels(lines), [(Level::Warning, 5)], "{lines} {:?}", findings(lines));
        }
        assert_eq!(levels("@ MX 10 a\na CNAME ns\n"), [(Level::Warning, 5)]);
    }

    #[test]
    fn a_sound_zone_has_no_findings() {
        let lines =
            "sub NS ns.sub\nns.sub AAAA ::1\n@ MX 10 w.x\n* A 192.0.2.1\n@ MX 0 .\n@ NS ns.else.\nx.sub NS ns.y.\n";
        assert_eq!(findings(lines), []);
    }

    #[test]
    fn a_file_without_soa_or_without_ns_is_refused() {
        let origin = "example.".parse().expect("a name");
        let parse = |text: &str| ZoneFile::parse("z", text.as_bytes(), &origin, &mut |_| Err(String::new()));
        assert!(parse("").is_err_and(|found| found[0].message.contains("no SOA")));
        assert!(parse("@ 60 NS ns.else.\n").is_err());
        assert!(parse("@ 60 SOA a b 1 2 3 4 5\n").is_err_and(|found| found[0].message.contains("no NS")));
    }
}
