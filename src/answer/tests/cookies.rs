//! Cookies, TCP keepalive, limited clients, and how answers are styled (RFC 7828, 7873, 8482).

use super::fixture::*;
use crate::answer::{Context, CookieSecrets, Cookies, Limited, Outcome, Server, Transport, answer};

const COOKIE: u16 = 10;
const KEEPALIVE: u16 = 11;
const SECRETS: CookieSecrets = CookieSecrets { sealing: [1; 16], accepted: Vec::new() };

fn asked(query: &[u8], server: &Server, transport: Transport, limited: Option<Limited>) -> Option<Reply> {
    let cookies = Some(Cookies { now_s: 1_000_000, secrets: &SECRETS });
    let context = Context { cookies, limited, ..Context::new(server, transport, CLIENT) };
    let mut response = Vec::new();
    match answer(&zones([example()]), query, &context, &mut response) {
        Outcome::Respond => Some(Reply::read(response)),
        Outcome::Drop => None,
        Outcome::Transfer(_) => panic!("a transfer"),
    }
}

fn udp(ask: &Ask, server: &Server) -> Reply {
    asked(&ask.bytes(), server, Transport::Udp, None).expect("a response")
}

/// The data of an option in the OPT record, which is the last record; found by code and length.
fn option(reply: &Reply, code: u16, length: u16) -> Option<Vec<u8>> {
    let head = [code.to_be_bytes(), length.to_be_bytes()].concat();
    let at = reply.bytes.windows(4).rposition(|window| window == head)?;
    Some(reply.bytes[at + 4..][..length.into()].to_vec())
}

fn question() -> Ask {
    Ask::new("mail.example.", "A")
}

fn good_cookie() -> Vec<u8> {
    option(&udp(&question().option(COOKIE, b"client78"), &server()), COOKIE, 24).expect("a cookie")
}

#[test]
fn whoever_sends_a_cookie_gets_one_and_nobody_else() {
    assert_eq!(good_cookie()[..8], *b"client78");
    let reply = udp(&question().option(COOKIE, &good_cookie()), &server());
    assert_eq!((reply.status(), option(&reply, COOKIE, 24)), ("NOERROR aa".to_owned(), Some(good_cookie())));
    assert!(option(&udp(&question().edns(1232), &server()), COOKIE, 24).is_none());
    assert_eq!(udp(&question().option(COOKIE, b"short"), &server()).status(), "FORMERR");
}

#[test]
fn only_a_strict_server_insists_on_a_good_cookie_and_only_over_udp() {
    let strict = Server { strict_cookies: true, ..server() };
    let fresh = question().option(COOKIE, b"client78");
    let refused = udp(&fresh, &strict);
    assert_eq!((u16::from(refused.message.metadata.response_code), refused.answers().len()), (23, 0));
    let cookie = option(&refused, COOKIE, 24).expect("a cookie to come again with");
    assert_eq!(udp(&question().option(COOKIE, &cookie), &strict).status(), "NOERROR aa");
    assert_eq!(udp(&question(), &strict).status(), "NOERROR aa", "who knows nothing of cookies");
    let over_tcp = asked(&fresh.bytes(), &strict, Transport::Tcp, None).expect("a response");
    assert_eq!(over_tcp.status(), "NOERROR aa");
    assert_eq!(udp(&fresh, &server()).status(), "NOERROR aa");
}

#[test]
fn a_query_without_a_question_may_ask_for_a_cookie() {
    let strip = |ask: Ask| {
        let mut bytes = ask.bytes();
        bytes.drain(12..12 + ask.name.len() + 4);
        bytes[5] = 0;
        asked(&bytes, &server(), Transport::Udp, None).expect("a response")
    };
    let reply = strip(question().option(COOKIE, b"client78"));
    assert_eq!((reply.status(), option(&reply, COOKIE, 24)), ("NOERROR".to_owned(), Some(good_cookie())));
    assert_eq!(strip(question().edns(1232)).status(), "FORMERR");
}

#[test]
fn keepalive_is_answered_on_streams_with_the_idle_timeout() {
    let ask = question().option(KEEPALIVE, b"").bytes();
    for transport in [Transport::Tcp, Transport::Encrypted] {
        let reply = asked(&ask, &server(), transport, None).expect("a response");
        assert_eq!(option(&reply, KEEPALIVE, 2).expect("the option"), [0, 100], "10 s in units of 100 ms");
    }
    let reply = asked(&ask, &server(), Transport::Udp, None).expect("a response");
    assert!(option(&reply, KEEPALIVE, 2).is_none());
    let unasked = asked(&question().edns(1232).bytes(), &server(), Transport::Tcp, None).expect("a response");
    assert!(option(&unasked, KEEPALIVE, 2).is_none());
}

#[test]
fn a_limited_client_gets_nothing_or_an_empty_truncated_response_unless_its_cookie_is_good() {
    let limited = |ask: Ask, limited| asked(&ask.bytes(), &server(), Transport::Udp, Some(limited));
    assert!(limited(question(), Limited::Drop).is_none());
    assert!(limited(Ask { flags: 0x7800, ..question() }, Limited::Drop).is_none(), "nor an error");
    let slipped = limited(question().edns(1232), Limited::Slip).expect("a response");
    assert_eq!((slipped.status(), slipped.answers().len()), ("NOERROR tc".to_owned(), 0));
    assert!(slipped.message.edns.is_some());
    for limit in [Limited::Drop, Limited::Slip] {
        let reply = limited(question().option(COOKIE, &good_cookie()), limit).expect("a response");
        assert_eq!(reply.status(), "NOERROR aa");
    }
    assert!(limited(question().option(COOKIE, b"client78"), Limited::Drop).is_none());
}

#[test]
fn minimal_responses_keep_what_is_needed() {
    let minimal = Server { minimal_responses: true, ..server() };
    let mx = udp(&Ask::new("example.", "MX"), &minimal);
    assert_eq!((mx.answers().len(), mx.authority().len(), mx.additional().len()), (1, 0, 0));
    assert_eq!(udp(&Ask::new("none.example.", "A"), &minimal).authority().len(), 1, "the SOA of a denial");
    let referral = udp(&Ask::new("www.sub.example.", "A"), &minimal);
    assert_eq!(referral.authority().len(), 2);
    assert!(referral.additional().iter().any(|line| line.starts_with("ns.sub.example.")), "glue");
    assert!(!udp(&Ask::new("example.", "MX"), &server()).authority().is_empty());
}

#[test]
fn rotation_begins_with_another_record_and_loses_none() {
    let rotating = Server { rotate: true, ..server() };
    let answers = |id: u16, server: &Server| {
        let mut bytes = Ask::new("example.", "NS").bytes();
        bytes[..2].copy_from_slice(&id.to_be_bytes());
        asked(&bytes, server, Transport::Udp, None).expect("a response").answers()
    };
    let (even, mut odd) = (answers(2, &rotating), answers(3, &rotating));
    assert_eq!(even.len(), 2);
    assert_ne!(even, odd);
    odd.reverse();
    assert_eq!(even, odd);
    assert_eq!(answers(2, &server()), answers(3, &server()));
}
