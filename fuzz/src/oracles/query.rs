//! Query packets: what [`answer`] makes of them over zones that have everything.
//!
//! The first two bytes choose how the query came in and how the server is set up, the rest is the query.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use grapevine::answer::{Context, CookieSecrets, Cookies, Limited, Outcome, Server, Transfer, Transport, answer};
use grapevine::master::ZoneFile;
use grapevine::zone::{Name, RecordType, Zone, ZoneSet};

use super::message::{HEADER, Message, Record};

/// The zones asked about, by origin.
const ZONES: &[(&str, &str)] = &[
    ("example.", include_str!("zones/example.zone")),
    ("other.", include_str!("zones/other.zone")),
    ("child.example.", include_str!("zones/child.example.zone")),
    ("nsec.example.", include_str!("zones/nsec.example.zone")),
    ("optout.example.", include_str!("zones/optout.example.zone")),
    ("corp.example.", include_str!("../../../zones/corp.example.zone")),
    ("8.b.d.0.1.0.0.2.ip6.arpa.", include_str!("../../../zones/8.b.d.0.1.0.0.2.ip6.arpa.zone")),
];
/// A zone that answers transfers alone, as the catalog of zones does.
const HIDDEN: (&str, &str) =
    ("catalog.", "@ 60 SOA ns host 1 2 3 4 5\n@ 60 NS invalid.\nversion 60 TXT 2\na.zones 60 PTR example.\n");

/// RFC 1035 §2.3.4.
const MIN_UDP: usize = 512;
/// What a response may be shorter than its limit and still have been cut: room is kept for what the OPT record might say.
const RESERVED: usize = 64;
const FLAG_QR: u16 = 0x8000;
/// Opcode and RD come back as they were.
const COPIED_FLAGS: u16 = 0x7900;
/// RA, Z, AD and CD mean nothing in the response of a server that neither recurses nor validates.
const CLEAR_FLAGS: u16 = 0x00f0;
const NXDOMAIN: u16 = 3;
const OPTION_PADDING: u16 = 12;
/// RFC 8467 §4.1.
const PADDING_BLOCK: usize = 468;

/// Checks one query.
pub fn check(data: &[u8]) {
    let Some((&choices, query)) = data.split_first_chunk::<2>() else { return };
    let server = server(choices);
    let secrets = CookieSecrets { sealing: [7; 16], accepted: vec![[8; 16]] };
    let context = context(choices, &server, &secrets);
    let mut response = Vec::new();
    match answer(zones(), query, &context, &mut response) {
        Outcome::Drop => {
            let is_query = query.len() >= HEADER && query[2] & 0x80 == 0;
            assert!(!is_query || context.limited == Some(Limited::Drop), "a query without an answer");
        }
        Outcome::Respond => {
            let mut again = vec![0xff; 100];
            assert!(matches!(answer(zones(), query, &context, &mut again), Outcome::Respond));
            assert_eq!(response, again, "the same question has the same answer");
            let message = Message::read(&response);
            check_response(query, &message, &context);
            if context.transport == Transport::Udp && context.limited.is_none() && !server.strict_cookies {
                compare_with_stream(query, &message, &context);
            }
        }
        Outcome::Transfer(transfer) => check_transfer(query, *transfer, &context),
    }
}

fn zones() -> &'static ZoneSet {
    static ZONES_READ: OnceLock<ZoneSet> = OnceLock::new();
    ZONES_READ.get_or_init(|| {
        let read = |(origin, text): &(&str, &str)| {
            let origin: Name = origin.parse().expect("an origin");
            let file = ZoneFile::parse("zone", text.as_bytes(), &origin, &mut |_| Err("none".to_owned()));
            Zone::from_content(file.expect("the zones are good").content())
        };
        let mut hidden = read(&HIDDEN);
        hidden.set_hidden(true);
        ZoneSet::new(ZONES.iter().map(read).chain([hidden]).map(Arc::new))
    })
}

fn server([first, second]: [u8; 2]) -> Server {
    let nsid = match second >> 4 & 3 {
        0 => String::new(),
        1 => "node-1".to_owned(),
        _ => "n".repeat(300),
    };
    Server {
        nsid,
        version: "Grapevine".to_owned(),
        max_udp_payload: [1232, 512, 4096, u16::MAX][usize::from(second >> 2 & 3)],
        idle_timeout: Duration::from_secs(10),
        strict_cookies: first & 8 != 0,
        minimal_responses: first & 16 != 0,
        rotate: first & 32 != 0,
    }
}

fn context<'a>([first, second]: [u8; 2], server: &'a Server, secrets: &'a CookieSecrets) -> Context<'a> {
    let transport = [Transport::Udp, Transport::Tcp, Transport::Encrypted, Transport::Udp][usize::from(first & 3)];
    let v6 = second & 64 != 0;
    let client: IpAddr = if v6 { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::new(192, 0, 2, 200).into() };
    Context {
        may_transfer: first & 64 != 0,
        cookies: (first & 4 != 0).then_some(Cookies { now_s: 1_800_000_000, secrets }),
        limited: [None, None, Some(Limited::Drop), Some(Limited::Slip)][usize::from(second & 3)],
        ..Context::new(server, transport, client)
    }
}

/// What holds for every response on its own.
fn check_response(query: &[u8], message: &Message<'_>, context: &Context<'_>) {
    let asked_flags = u16::from_be_bytes([query[2], query[3]]);
    assert_eq!(message.id.to_be_bytes(), query[..2], "the id");
    assert_eq!(message.flags & FLAG_QR, FLAG_QR);
    assert_eq!(message.flags & COPIED_FLAGS, asked_flags & COPIED_FLAGS, "the flags that are copied");
    assert_eq!(message.flags & CLEAR_FLAGS, 0);
    if let Some(question) = message.question {
        assert_eq!(question, &query[HEADER..HEADER + question.len()], "the question, its case too");
        assert_eq!(query[4..6], [0, 1]);
    }
    let limit = size_limit(query, message, context);
    assert!(message.bytes.len() <= limit, "{} bytes where {limit} are allowed", message.bytes.len());

    // Signatures that are asked for as such stand beside what they cover, too, if that is there.
    let asks_for_signatures = message
        .question
        .is_some_and(|question| question[question.len() - 4..][..2] == RecordType::RRSIG.0.to_be_bytes());
    let elsewhere = message.authority.iter().chain(&message.additional);
    let elsewhere = elsewhere.filter(|record| !(asks_for_signatures && record.rtype == RecordType::RRSIG));
    let records: Vec<&Record> = message.answers.iter().chain(elsewhere).collect();
    let distinct: BTreeSet<(Vec<u8>, RecordType, &[u8])> =
        records.iter().map(|record| (record.owner.to_ascii_lowercase(), record.rtype, &record.rdata[..])).collect();
    assert_eq!(distinct.len(), records.len(), "a record stands there twice");
    let wants_dnssec = message.opt().is_some_and(|opt| opt.ttl & 0x8000 != 0);
    let of_dnssec = |rtype| matches!(rtype, RecordType::RRSIG | RecordType::NSEC | RecordType::NSEC3);
    assert!(wants_dnssec || !message.authority.iter().any(|record| of_dnssec(record.rtype)), "unasked proofs");
    let asked_class = message.question.map(|question| [question[question.len() - 2], question[question.len() - 1]]);
    if message.rcode() == NXDOMAIN && !message.is_truncated() && asked_class == Some([0, 1]) {
        assert!(message.authority.iter().any(|record| record.rtype == RecordType::SOA), "a denial without SOA");
    }
    if message.option(OPTION_PADDING).is_some() {
        assert_eq!(context.transport, Transport::Encrypted, "padding that helps nobody");
        let signed = message.additional.iter().any(|record| record.rtype == RecordType::TSIG);
        let length = message.bytes.len();
        let full = length == usize::from(u16::MAX) || length == MIN_UDP;
        assert!(signed || full || length.is_multiple_of(PADDING_BLOCK), "{length} bytes are not a whole block");
    }
}

/// How long a response may be, from the query's bytes and not from what the product read in them.
fn size_limit(query: &[u8], message: &Message<'_>, context: &Context<'_>) -> usize {
    if context.transport != Transport::Udp {
        return u16::MAX.into();
    }
    if message.opt().is_none() {
        return MIN_UDP;
    }
    let offered = usize::from(offered_payload(query).expect("an OPT record answers an OPT record"));
    offered.min(context.server.max_udp_payload.into()).max(MIN_UDP)
}

/// The size in a query's OPT record.
fn offered_payload(query: &[u8]) -> Option<u16> {
    let word = |at: usize| query.get(at..at + 2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]));
    let skip_name = |mut at: usize| loop {
        match *query.get(at)? {
            0 => return Some(at + 1),
            high if high >= 0xc0 => return Some(at + 2),
            length => at += 1 + usize::from(length),
        }
    };
    let mut at = HEADER;
    for _ in 0..word(4)? {
        at = skip_name(at)? + 4;
    }
    let records = [6, 8, 10].iter().try_fold(0, |sum, &at| Some(sum + u32::from(word(at)?)))?;
    for _ in 0..records {
        at = skip_name(at)?;
        if word(at)? == RecordType::OPT.0 {
            return word(at + 2);
        }
        at += 10 + usize::from(word(at + 8)?);
    }
    None
}

/// A response is truncated if and only if it did not fit, and one that is not says what a stream would have said.
fn compare_with_stream(query: &[u8], message: &Message<'_>, context: &Context<'_>) {
    let mut response = Vec::new();
    let on_stream = Context { transport: Transport::Tcp, may_transfer: false, ..*context };
    let is_transfer = message.question.is_some_and(|question| {
        let rtype = &question[question.len() - 4..question.len() - 2];
        [RecordType::AXFR, RecordType::IXFR].iter().any(|xfr| rtype == xfr.0.to_be_bytes())
    });
    if is_transfer || context.may_transfer {
        return;
    }
    assert!(matches!(answer(zones(), query, &on_stream, &mut response), Outcome::Respond));
    let whole = Message::read(&response);
    if message.is_truncated() {
        // How it ends need not be known where a chain of aliases was cut.
        let limit = size_limit(query, message, context);
        assert!(response.len() + RESERVED > limit, "cut at {limit}, and {} bytes would do", response.len());
    } else {
        assert_eq!(message.rcode(), whole.rcode(), "the rcode over UDP and TCP");
        assert_eq!(message.flags, whole.flags);
        assert_eq!(message.answers, whole.answers);
        // The zone's own name servers may be missing behind an answer.
        if message.answers.is_empty() {
            assert_eq!(message.authority, whole.authority);
        }
    }
}

/// A transfer's messages are well-formed, and together the zone between two SOAs.
fn check_transfer(query: &[u8], mut transfer: Transfer, context: &Context<'_>) {
    assert!(context.may_transfer && context.transport != Transport::Udp, "a transfer to whom none is due");
    let (mut response, mut records) = (Vec::new(), Vec::new());
    while transfer.next_message(&mut response) {
        let message = Message::read(&response);
        check_envelope(query, &message, records.is_empty());
        records.extend(message.answers);
    }
    let (first, last) = (records.first().expect("records"), records.last().expect("records"));
    assert!(first.rtype == RecordType::SOA && first == last, "a transfer begins and ends with the SOA");
    let zone = zones().find(&first.owner.to_ascii_lowercase()).expect("a zone was sent");
    assert_eq!(records.len(), zone.record_count() + 1);
    assert_eq!(records.iter().filter(|record| record.rtype == RecordType::SOA).count(), 2);
}

fn check_envelope(query: &[u8], message: &Message<'_>, first: bool) {
    assert_eq!(message.id.to_be_bytes(), query[..2], "the id");
    assert_eq!((message.rcode(), message.is_truncated()), (0, false));
    assert!(message.authority.is_empty() && message.question.is_some() == first);
}
