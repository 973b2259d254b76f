//! Denial of existence from the records of zones that came signed (RFC 4035 §3.1.3, RFC 5155 §7.2). The chains are
//! real, the signatures are not: what is tested is which records come along. That validators accept such answers is
//! shown against validators.

use std::collections::BTreeMap;

use super::fixture::*;
use crate::answer::nsec3::hashed_owner;
use crate::zone::{Name, Node, Rdata, Record, RecordType, Zone, ZoneContent, ZoneSet};

const LINES: &str = "sig. NS ns1.sig.
    ns1.sig. A 192.0.2.1
    mail.sig. A 192.0.2.2
    *.w.sig. A 192.0.2.3
    *.cw.sig. CNAME mail.sig.
    *.to.sig. CNAME x.ins.sig.
    a.b.c.sig. A 192.0.2.4
    x.*.star.sig. A 192.0.2.4
    sec.sig. NS ns.sec.sig.
    sec.sig. DS 00010802abab
    ns.sec.sig. A 192.0.2.5
    ins.sig. NS ns1.sig.
    far.off.sig. NS ns1.sig.";

fn add(content: &mut ZoneContent, owner: &Name, rtype: RecordType, rdata: &[u8]) {
    content.add(Record { owner: owner.clone(), rtype, ttl: 300, rdata: Rdata::new(rdata) });
}

/// Puts an RRSIG over every RRset that is authoritative.
fn sign(content: &mut ZoneContent) {
    let signer = wire("sig.");
    let is_glue = |owner: &Name| owner.is_at_or_below(&"ns.sec.sig.".parse().expect("a name"));
    let is_cut = |owner: &Name, rtype| rtype == RecordType::NS && *owner != content.origin;
    let mut owners: Vec<(Name, RecordType)> = content.rrsets.keys().cloned().collect();
    owners.push((content.origin.clone(), RecordType::SOA));
    owners.retain(|(owner, rtype)| !is_glue(owner) && !is_cut(owner, *rtype));
    for (owner, rtype) in owners {
        let rdata =
            [&rtype.0.to_be_bytes()[..], &[13, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &signer, &[1]].concat();
        add(content, &owner, RecordType::RRSIG, &rdata);
    }
}

/// The zone with an NSEC chain.
fn nsec() -> ZoneSet {
    let mut content = content("sig.", LINES);
    let glue: Name = "ns.sec.sig.".parse().expect("a name");
    let mut owners: Vec<Name> = content.rrsets.keys().map(|key| key.0.clone()).filter(|owner| *owner != glue).collect();
    owners.dedup();
    for (owner, next) in owners.iter().zip(owners.iter().cycle().skip(1)) {
        add(&mut content, owner, RecordType::NSEC, &[next.as_wire(), &[0, 1, 0x40]].concat());
    }
    sign(&mut content);
    zones([content])
}

/// The zone with an NSEC3 chain that leaves out insecure delegations, and the names by their hashes.
fn nsec3() -> (ZoneSet, BTreeMap<String, String>) {
    let mut content = content("sig.", LINES);
    add(&mut content, &"sig.".parse().expect("a name"), RecordType::NSEC3PARAM, &[1, 0, 0, 2, 1, 0xab]);
    let zone = Zone::from_content(&content);
    let left_out = ["ns.sec.sig.", "ins.sig.", "far.off.sig.", "off.sig."];
    let chain: BTreeMap<Name, String> = zone
        .iter()
        .map(Node::name)
        .filter(|name| !left_out.contains(&name.to_string().as_str()))
        .map(|name| {
            let (hashed, length) = hashed_owner(&zone, name.as_wire()).expect("NSEC3PARAM");
            (Name::from_valid_wire(&hashed[..length]), name.to_string())
        })
        .collect();
    for (owner, next) in chain.keys().zip(chain.keys().cycle().skip(1)) {
        let next = data_encoding::BASE32HEX_NOPAD
            .decode(next.as_wire()[1..33].to_ascii_uppercase().as_slice())
            .expect("a hash");
        add(&mut content, owner, RecordType::NSEC3, &[&[1, 1, 0, 2, 1, 0xab, 20][..], &next, &[0, 1, 0x40]].concat());
    }
    sign(&mut content);
    (zones([content]), chain.into_iter().map(|(hashed, name)| (hashed.to_string(), name)).collect())
}

/// The owners of records of a type in the authority section; every RRset there but a delegation's has its RRSIG.
fn owners(reply: &Reply, rtype: &str) -> Vec<String> {
    let lines = reply.authority();
    let is_cut = |line: &str| line.contains(" NS ") && !line.starts_with("sig. ");
    let signed = lines.iter().filter(|line| !line.contains(" RRSIG ") && !is_cut(line)).count();
    assert_eq!(lines.iter().filter(|line| line.contains(" RRSIG ")).count(), signed, "{lines:?}");
    let mut owners: Vec<String> = lines
        .iter()
        .filter(|line| line.contains(rtype))
        .map(|line| line.split(' ').next().expect("an owner").to_owned())
        .collect();
    owners.sort();
    owners
}

#[test]
fn signatures_come_only_when_asked_for() {
    let zones = nsec();
    let with = Ask::new("mail.sig.", "A").dnssec().of(&zones);
    assert_eq!(with.answers().len(), 2);
    assert!(with.answers()[1].contains("RRSIG"));
    let without = Ask::new("mail.sig.", "A").edns(4096).of(&zones);
    assert_eq!((without.answers().len(), without.authority().len()), (1, 1));
    assert_eq!(Ask::new("none.sig.", "A").of(&zones).authority().len(), 1);
}

#[test]
fn nsec_proves_each_kind_of_absence() {
    let zones = nsec();
    for (name, rtype, status, proof) in [
        ("mail.sig.", "TXT", "NOERROR aa", vec!["mail.sig."]),
        ("none.sig.", "A", "NXDOMAIN aa", vec!["mail.sig.", "sig."]),
        ("x.mail.sig.", "A", "NXDOMAIN aa", vec!["mail.sig."]),
        ("b.c.sig.", "A", "NOERROR aa", vec!["sig."]),
        ("q.w.sig.", "A", "NOERROR aa", vec!["*.w.sig."]),
        ("q.w.sig.", "TXT", "NOERROR aa", vec!["*.w.sig."]),
        ("q.star.sig.", "A", "NOERROR aa", vec!["sec.sig.", "x.*.star.sig."]),
        ("q.cw.sig.", "A", "NOERROR aa", vec!["*.cw.sig."]),
        ("q.cw.sig.", "TXT", "NOERROR aa", vec!["*.cw.sig.", "mail.sig."]),
        ("x.ins.sig.", "A", "NOERROR", vec!["ins.sig."]),
        ("q.to.sig.", "A", "NOERROR aa", vec!["*.to.sig.", "ins.sig."]),
        ("ins.sig.", "DS", "NOERROR aa", vec!["ins.sig."]),
        ("x.sec.sig.", "A", "NOERROR", vec![]),
    ] {
        let reply = Ask::new(name, rtype).dnssec().of(&zones);
        assert_eq!(
            (reply.status().as_str(), owners(&reply, " NSEC ")),
            (status, proof.iter().map(|s| s.to_string()).collect()),
            "{name} {rtype}"
        );
    }
    let secure = Ask::new("x.sec.sig.", "A").dnssec().of(&zones);
    assert_eq!(owners(&secure, " DS "), ["sec.sig."]);
}

/// Whether some NSEC3 record among these owners matches a name, or else covers it.
fn proof(chain: &BTreeMap<String, String>, zones: &ZoneSet, name: &str) -> String {
    let zone = zones.iter().next().expect("a zone");
    let (hashed, length) = hashed_owner(zone, &wire(name)).expect("NSEC3PARAM");
    let hashed = Name::from_valid_wire(&hashed[..length]);
    let owners: Vec<Name> = chain.keys().map(|owner| owner.parse().expect("a name")).collect();
    owners.iter().filter(|owner| **owner <= hashed).max().or(owners.iter().max()).expect("a chain").to_string()
}

#[test]
fn nsec3_proves_each_kind_of_absence() {
    let (zones, chain) = nsec3();
    for (name, rtype, status, proven) in [
        ("mail.sig.", "TXT", "NOERROR aa", vec!["mail.sig."]),
        ("none.sig.", "A", "NXDOMAIN aa", vec!["sig.", "none.sig.", "*.sig."]),
        ("y.x.mail.sig.", "A", "NXDOMAIN aa", vec!["mail.sig.", "x.mail.sig.", "*.mail.sig."]),
        ("b.c.sig.", "A", "NOERROR aa", vec!["b.c.sig."]),
        ("q.p.w.sig.", "A", "NOERROR aa", vec!["p.w.sig."]),
        ("q.w.sig.", "TXT", "NOERROR aa", vec!["w.sig.", "q.w.sig.", "*.w.sig."]),
        ("q.cw.sig.", "A", "NOERROR aa", vec!["q.cw.sig."]),
        ("x.ins.sig.", "A", "NOERROR", vec!["sig.", "ins.sig."]),
        ("ins.sig.", "DS", "NOERROR aa", vec!["sig.", "ins.sig."]),
        ("x.far.off.sig.", "A", "NOERROR", vec!["sig.", "off.sig."]),
        ("off.sig.", "A", "NOERROR aa", vec!["sig.", "off.sig."]),
        ("no.off.sig.", "A", "NXDOMAIN aa", vec!["sig.", "off.sig.", "*.sig."]),
        ("x.sec.sig.", "A", "NOERROR", vec![]),
    ] {
        let reply = Ask::new(name, rtype).dnssec().of(&zones);
        let mut expected: Vec<String> = proven.iter().map(|name| proof(&chain, &zones, name)).collect();
        expected.sort();
        expected.dedup();
        assert_eq!((reply.status().as_str(), owners(&reply, " NSEC3 ")), (status, expected), "{name} {rtype}");
    }
}

#[test]
fn the_owner_of_an_nsec3_record_is_no_name_of_the_zone() {
    let (zones, chain) = nsec3();
    let hashed = chain.keys().next().expect("a chain");
    assert_eq!(Ask::new(hashed, "NSEC3").of(&zones).status(), "NXDOMAIN aa");
}
