//! Headers, malformed queries, opcodes and classes (RFC 1035 §4.1, RFC 8906).

use super::fixture::*;
use crate::answer::{Context, Outcome, Transport, answer};

/// What comes back for raw bytes.
fn raw(query: &[u8]) -> Option<Reply> {
    let (server, mut response) = (server(), Vec::new());
    let context = Context::new(&server, Transport::Udp, CLIENT);
    match answer(&zones([example()]), query, &context, &mut response) {
        Outcome::Respond => Some(Reply::read(response)),
        Outcome::Drop => None,
        Outcome::Transfer(_) => panic!("a transfer over UDP"),
    }
}

fn plain() -> Vec<u8> {
    Ask::new("mail.example.", "A").bytes()
}

fn with(mut bytes: Vec<u8>, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    change(&mut bytes);
    bytes
}

#[test]
fn what_is_no_query_gets_no_response() {
    assert!(raw(&[]).is_none());
    assert!(raw(&plain()[..11]).is_none());
    assert!(raw(&with(plain(), |bytes| bytes[2] |= 0x80)).is_none(), "a response");
}

#[test]
fn rd_is_copied_and_nothing_else() {
    let reply = Ask { flags: 0x07f0, ..Ask::new("mail.example.", "A") }.of(&zones([example()]));
    let flags = u16::from_be_bytes([reply.bytes[2], reply.bytes[3]]);
    assert_eq!(flags, 0x8000 | 0x0400 | 0x0100, "QR AA RD");
    assert_eq!(reply.bytes[..2], [0x12, 0x34]);
}

#[test]
fn the_question_is_repeated_in_its_own_case() {
    let reply = Ask::new("mAiL.eXaMpLe.", "A").of(&zones([example()]));
    assert_eq!(reply.bytes[12..26], wire("mAiL.eXaMpLe."));
    assert_eq!(reply.answers(), ["mAiL.eXaMpLe. A 192.0.2.2"]);
}

#[test]
fn malformed_queries_are_formerr() {
    let no_question = [&plain()[..4], &[0; 8]].concat();
    let two_questions = with(plain(), |bytes| bytes[5] = 2);
    let cut = plain()[..plain().len() - 1].to_vec();
    let pointer = with(plain(), |bytes| bytes[12] = 0xc0);
    let long_label = [&plain()[..12], &[0x40; 66]].concat();
    let missing_record = with(plain(), |bytes| bytes[11] = 1);
    for query in [no_question, two_questions, cut, pointer, long_label, missing_record] {
        let reply = raw(&query).expect("an error");
        assert_eq!(reply.status(), "FORMERR", "{query:02x?}");
    }
}

#[test]
fn bytes_behind_the_last_record_are_ignored() {
    assert_eq!(raw(&[&plain()[..], b"xyz"].concat()).expect("an answer").status(), "NOERROR aa");
}

#[test]
fn other_opcodes_are_notimp_even_without_a_question() {
    for opcode in (1..16).filter(|&opcode| opcode != 0) {
        let query = with(plain(), |bytes| bytes[2] |= opcode << 3);
        let reply = raw(&query).expect("an error");
        assert_eq!(reply.bytes[3] & 0xf, 4, "opcode {opcode}");
        assert_eq!(reply.bytes[2] >> 3 & 0xf, opcode);
        let bare = with([&query[..4], &[0; 8]].concat(), |_| ());
        assert_eq!(raw(&bare).expect("an error").bytes[3] & 0xf, 4);
    }
}

#[test]
fn names_outside_the_zones_are_refused_without_aa() {
    let zones = zones([example()]);
    assert_eq!(Ask::new("www.nowhere.", "A").of(&zones).status(), "REFUSED");
    assert_eq!(Ask::new(".", "NS").of(&zones).status(), "REFUSED");
}

#[test]
fn class_any_is_answered_without_authority() {
    let zones = zones([example()]);
    let reply = Ask { class: 255, ..Ask::new("mail.example.", "A") }.of(&zones);
    assert_eq!((reply.status().as_str(), reply.authority().len()), ("NOERROR", 0));
    assert_eq!(reply.answers(), ["mail.example. A 192.0.2.2"]);
    let reply = Ask { class: 255, ..Ask::new("no.example.", "A") }.of(&zones);
    assert_eq!((reply.status().as_str(), reply.authority().len()), ("NXDOMAIN", 0));
    for class in [0, 2, 4, 254, 999] {
        assert_eq!(Ask { class, ..Ask::new("mail.example.", "A") }.of(&zones).status(), "REFUSED");
    }
}

#[test]
fn class_ch_tells_who_answers() {
    let zones = zones([example()]);
    let ask = |name: &str, rtype: &str| Ask { class: 3, ..Ask::new(name, rtype) }.of(&zones);
    for (name, text) in [
        ("id.server.", "node-1"),
        ("hostname.bind.", "node-1"),
        ("VERSION.bind.", "Grapevine"),
        ("version.server.", "Grapevine"),
    ] {
        assert_eq!(ask(name, "TXT").answers(), [format!("{name} TXT {text}")]);
        assert_eq!(ask(name, "TXT").message.answers[0].dns_class.to_string(), "CH");
        assert_eq!(ask(name, "TXT").message.answers[0].ttl, 0);
    }
    assert_eq!(ask("id.server.", "A").status(), "REFUSED");
    assert_eq!(ask("mail.example.", "TXT").status(), "REFUSED");
}

#[test]
fn a_signed_query_is_told_that_its_key_is_unknown() {
    let mac = [0; 32];
    let algorithm = wire("hmac-sha256.");
    let rdata = [&algorithm[..], &[0, 0, 0, 0, 0, 0, 1, 44, 0, 32], &mac, &[0x12, 0x34, 0, 0, 0, 0]].concat();
    let record = [&wire("key.")[..], &[0, 250, 0, 255, 0, 0, 0, 0, 0, rdata.len() as u8], &rdata].concat();
    let query = [&with(plain(), |bytes| bytes[11] = 1)[..], &record].concat();
    let reply = raw(&query).expect("an error");
    assert_eq!(reply.status(), "NOTAUTH");
    // Owner, type, class ANY, TTL 0; algorithm, no time, fudge 300, no MAC, the query's id, BADKEY, no other data.
    let unsigned = [&[0; 6][..], &[1, 44, 0, 0, 0x12, 0x34, 0, 17, 0, 0]].concat();
    let expected = [&wire("key.")[..], &[0, 250, 0, 255, 0, 0, 0, 0, 0, 29], &algorithm, &unsigned].concat();
    assert!(reply.bytes.ends_with(&expected), "{:02x?}", reply.bytes);
}
