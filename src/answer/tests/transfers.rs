//! Zone transfers (RFC 5936, RFC 1995).

use std::collections::BTreeSet;

use super::fixture::*;
use crate::answer::Outcome;
use crate::zone::ZoneSet;

/// The messages of a transfer.
fn transfer(ask: &Ask, zones: &ZoneSet) -> Vec<Reply> {
    let mut response = Vec::new();
    let Outcome::Transfer(mut transfer) = ask.outcome(zones, &mut response) else { panic!("no transfer") };
    let mut messages = Vec::new();
    while transfer.next_message(&mut response) {
        messages.push(Reply::read(response.clone()));
    }
    assert!(!transfer.next_message(&mut response) && response.is_empty(), "it stays ended");
    messages
}

fn axfr(origin: &str) -> Ask {
    Ask::new(origin, "AXFR").tcp().allowed()
}

#[test]
fn axfr_is_the_whole_zone_between_two_soas_in_canonical_order() {
    let messages = transfer(&axfr("example."), &zones([example()]));
    let lines: Vec<String> = messages.iter().flat_map(Reply::answers).collect();
    assert_eq!(lines.len(), example().record_count() + 1);
    assert!(lines[0].starts_with("example. SOA") && lines.first() == lines.last());
    let distinct: BTreeSet<&String> = lines.iter().collect();
    assert_eq!(distinct.len(), example().record_count(), "occluded records are there too");
    let owners: Vec<crate::zone::Name> = lines[..lines.len() - 1]
        .iter()
        .map(|line| line.split(' ').next().expect("an owner").parse().expect("a name"))
        .collect();
    assert!(owners.is_sorted());
    assert!(messages.iter().all(|message| message.status() == "NOERROR aa"));
}

#[test]
fn a_large_zone_takes_many_messages() {
    let lines: String = (0..5000).map(|i| format!("host-{i}.many. A 192.0.2.{}\n", i % 250)).collect();
    let zone = content("many.", &(lines + "many. NS ns.other."));
    let messages = transfer(&axfr("many.").edns(1232), &zones([zone.clone()]));
    assert!(messages.len() > 5);
    assert_eq!(messages.iter().map(|message| message.answers().len()).sum::<usize>(), zone.record_count() + 1);
    assert!(messages.iter().all(|message| message.bytes.len() < 17_000 && message.message.edns.is_some()));
    assert_eq!(messages[0].message.queries.len(), 1);
    assert!(messages[1..].iter().all(|message| message.message.queries.is_empty()));
    let whole: usize = messages.iter().map(|message| message.bytes.len()).sum();
    assert!(whole < 5000 * 35, "names are compressed: {whole} bytes");
}

#[test]
fn a_large_rrset_is_spread_over_messages() {
    let lines: String = (0..3000).map(|i| format!("a.many. AAAA 2001:db8::{i:x}\n")).collect();
    let zone = content("many.", &(lines + "many. NS ns.other."));
    let messages = transfer(&axfr("many."), &zones([zone.clone()]));
    assert!(messages.len() > 2);
    assert_eq!(messages.iter().map(|message| message.answers().len()).sum::<usize>(), zone.record_count() + 1);
}

#[test]
fn a_zone_with_a_record_that_no_message_holds_is_not_passed_off_as_whole() {
    let mut zone = content("many.", "many. NS ns.other.");
    let rdata = crate::zone::Rdata::new(vec![0; 65535]);
    let owner = "huge.many.".parse().expect("a name");
    zone.add(crate::zone::Record { owner, rtype: crate::zone::RecordType(65280), ttl: 1, rdata });
    let messages = transfer(&axfr("many."), &zones([zone]));
    let lines: Vec<String> = messages.iter().flat_map(Reply::answers).collect();
    assert_eq!(lines.iter().filter(|line| line.contains(" SOA ")).count(), 1);
}

#[test]
fn transfers_are_for_those_who_may_and_for_zones_that_are_here() {
    let zones = zones([example()]);
    assert_eq!(Ask::new("example.", "AXFR").tcp().of(&zones).status(), "REFUSED");
    assert_eq!(Ask::new("example.", "IXFR").tcp().knowing(1).of(&zones).status(), "REFUSED");
    assert_eq!(axfr("other.").of(&zones).status(), "NOTAUTH");
    assert_eq!(axfr("mail.example.").of(&zones).status(), "NOTAUTH");
    assert_eq!(Ask::new("example.", "AXFR").allowed().of(&zones).status(), "NOTIMP", "not over UDP");
}

#[test]
fn a_hidden_zone_is_transferred() {
    assert_eq!(transfer(&axfr("example."), &hidden(&example())).len(), 1);
}

#[test]
fn ixfr_is_an_soa_for_those_who_are_current_and_the_whole_zone_for_others() {
    let zones = zones([example()]);
    let ixfr = |serial| Ask::new("example.", "IXFR").tcp().allowed().knowing(serial);
    for serial in [7, 8] {
        assert_eq!(ixfr(serial).of(&zones).answers().len(), 1);
    }
    let lines: Vec<String> = transfer(&ixfr(6), &zones).iter().flat_map(Reply::answers).collect();
    assert_eq!(lines.len(), example().record_count() + 1);
    let over_udp = Ask::new("example.", "IXFR").allowed().knowing(6).of(&zones);
    assert_eq!((over_udp.answers().len(), over_udp.status().as_str()), (1, "NOERROR"));
    assert_eq!(Ask::new("example.", "IXFR").tcp().allowed().of(&zones).status(), "FORMERR", "no serial");
}
