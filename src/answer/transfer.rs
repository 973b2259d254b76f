//! Zone transfers: AXFR (RFC 5936), and IXFR (RFC 1995) in its simplest form, which is AXFR again.

use std::sync::Arc;

use super::cookie::ResponseCookie;
use super::edns::{Edns, ExtendedError, OptRecord};
use super::interface::{Context, Server, Transport};
use super::message::{Full, Message, Section, Source, ttl_of};
use super::query::{Header, Query, Question};
use super::rcode::Rcode;
use crate::zone::{Block, Class, RecordType, Zone, ZoneSet, serial_gt};

/// A message is closed once it is this long: compression pointers reach no further than 16 KiB (RFC 1035 §4.1.4).
const MESSAGE_TARGET: usize = 16 * 1024;
/// Up to how many names a zone is sent in canonical order, which people like to read and nobody needs. Sorting millions
/// would keep the client waiting for the first of them.
const MAX_SORTED: usize = 100_000;
/// The largest message on a stream.
const MESSAGE_LIMIT: usize = u16::MAX as usize;

/// A zone transfer under way (RFC 5936), from one snapshot however long it takes.
#[derive(Debug)]
pub struct Transfer {
    zone: Arc<Zone>,
    header: Header,
    question: OwnedQuestion,
    edns: Option<Edns>,
    server: Server,
    cookie: Option<ResponseCookie>,
    transport: Transport,
    /// Every node; in canonical order, the apex first, unless there are very many.
    owners: Vec<Block>,
    next: Position,
    first_message: bool,
}

/// A question that outlives its message.
#[derive(Debug)]
struct OwnedQuestion {
    wire: Vec<u8>,
    name_len: usize,
    rtype: RecordType,
}

/// What is to be sent next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Position {
    FirstSoa,
    /// A record by its owner, its RRset at that owner, and the byte in the RRset.
    Record {
        owner: usize,
        rrset: usize,
        offset: usize,
    },
    LastSoa,
    End,
}

/// The zone that a transfer query asks for and the client may have.
fn zone_for<'z>(zones: &'z ZoneSet, query: &Query<'_>, context: &Context<'_>) -> Option<&'z Arc<Zone>> {
    let name = super::name_buf::NameBuf::new(query.question.name, None);
    zones.find(name.lower()).filter(|zone| context.may_transfer && zone.origin().as_wire() == name.lower())
}

/// Begins the transfer that a query asks for; `None` if what it gets is an ordinary response, from [`respond`].
pub(super) fn begin(zones: &ZoneSet, query: &Query<'_>, context: &Context<'_>) -> Option<Transfer> {
    let acceptable = query.signature.is_none() && query.edns.as_ref().is_none_or(|edns| edns.version_is_known());
    if !acceptable || context.transport == Transport::Udp {
        return None;
    }
    let zone = zone_for(zones, query, context)?;
    if query.question.rtype == RecordType::IXFR && !is_behind(query.known_serial?, zone) {
        return None;
    }
    let nodes = if zone.name_count() > MAX_SORTED { zone.iter().collect() } else { zone.sorted() };
    let owners = nodes.into_iter().map(|node| node.block().clone()).collect();
    Some(Transfer {
        zone: zone.clone(),
        header: query.header,
        question: OwnedQuestion::of(query.question),
        edns: query.edns,
        server: context.server.clone(),
        cookie: query.edns.as_ref().and_then(|edns| edns.response_cookie(context)),
        transport: context.transport,
        owners,
        next: Position::FirstSoa,
        first_message: true,
    })
}

/// Answers a transfer query that begins no transfer.
pub(super) fn respond<'z>(zones: &'z ZoneSet, query: &Query<'_>, context: &Context<'_>, message: &mut Message<'z, '_>) {
    // AXFR takes a stream (RFC 5936 §4.2): as a datagram it is nothing that there is, as NSD and Knot have it.
    if query.question.rtype == RecordType::AXFR && context.transport == Transport::Udp {
        return message.set_error(Rcode::NOTIMP, ExtendedError::NotSupported);
    }
    if !context.may_transfer {
        return message.set_error(Rcode::REFUSED, ExtendedError::Prohibited);
    }
    let Some(zone) = zone_for(zones, query, context) else {
        return message.set_error(Rcode::NOTAUTH, ExtendedError::NotAuthoritative);
    };
    // An IXFR query names the version that the client has (RFC 1995 §3).
    if query.known_serial.is_none() {
        return message.set_rcode(Rcode::FORMERR);
    }
    // The client is current; or the query came as a datagram, and the SOA alone tells it to come again over a stream
    // (RFC 1995 §2, §4).
    if context.transport != Transport::Udp {
        message.set_authoritative();
    }
    let apex = zone.apex();
    if let Some(soa) = apex.get(RecordType::SOA)
        && message.push(Section::Answer, zone.origin().as_wire().into(), Source::new(zone, apex, soa)).is_err()
    {
        message.set_truncated();
    }
}

/// Whether a client that has this serial has an older version than the zone's.
fn is_behind(known_serial: u32, zone: &Zone) -> bool {
    serial_gt(zone.soa().serial, known_serial)
}

impl Transfer {
    /// Writes the next message into the cleared `response`; `false` when all has been sent.
    pub fn next_message(&mut self, response: &mut Vec<u8>) -> bool {
        response.clear();
        if self.next == Position::End {
            return false;
        }
        let opt =
            self.edns.as_ref().map(|edns| OptRecord::with_cookie(edns, &self.server, self.transport, self.cookie));
        // The question stands in the first message alone (RFC 5936 §2.2.1).
        let question = self.first_message.then(|| self.question.borrow());
        let mut message = Message::new(response, self.header, question, opt, MESSAGE_LIMIT);
        message.set_authoritative();
        let start = message.len();
        let mut next = self.next;
        while message.len() < MESSAGE_TARGET && next != Position::End {
            match send(&self.zone, &self.owners, next, &mut message) {
                Ok(after) => next = after,
                Err(Full) => break,
            }
        }
        if message.len() == start {
            // A record that no message can hold. Ending before the last SOA tells the client that the zone is not whole.
            self.next = Position::End;
            drop(message);
            response.clear();
            return false;
        }
        message.finish();
        self.next = next;
        self.first_message = false;
        true
    }
}

/// Writes what stands at a position and returns the next one.
fn send(zone: &Zone, owners: &[Block], position: Position, message: &mut Message<'_, '_>) -> Result<Position, Full> {
    match position {
        Position::FirstSoa => {
            send_soa(zone, message)?;
            Ok(Position::Record { owner: 0, rrset: 0, offset: 0 })
        }
        Position::Record { owner, rrset, offset } => {
            let Some(block) = owners.get(owner) else { return Ok(Position::LastSoa) };
            let Some(records) = block.rrsets().nth(rrset) else {
                return Ok(Position::Record { owner: owner + 1, rrset: 0, offset: 0 });
            };
            let Some(rdata) = records.rdata_at(offset).filter(|_| records.rtype != RecordType::SOA) else {
                return Ok(Position::Record { owner, rrset: rrset + 1, offset: 0 });
            };
            let record = (records.rtype, ttl_of(block.rrsets(), records, rdata), rdata);
            message.push_records(Section::Answer, block.owner().into(), [record])?;
            Ok(Position::Record { owner, rrset, offset: offset + 2 + rdata.len() })
        }
        Position::LastSoa | Position::End => {
            send_soa(zone, message)?;
            Ok(Position::End)
        }
    }
}

fn send_soa(zone: &Zone, message: &mut Message<'_, '_>) -> Result<(), Full> {
    let soa = zone.soa().to_rdata();
    let record = (RecordType::SOA, zone.soa().ttl, soa.as_wire());
    message.push_records(Section::Answer, zone.origin().as_wire().into(), [record])
}

impl OwnedQuestion {
    fn of(question: Question<'_>) -> OwnedQuestion {
        OwnedQuestion { wire: question.wire.to_vec(), name_len: question.name.len(), rtype: question.rtype }
    }

    fn borrow(&self) -> Question<'_> {
        Question { wire: &self.wire, name: &self.wire[..self.name_len], rtype: self.rtype, class: Class::IN }
    }
}
