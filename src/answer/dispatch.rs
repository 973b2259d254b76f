//! Who handles a query: an error, class CH, a transfer, or the zones.

use smallvec::SmallVec;

use super::edns::{Edns, ExtendedError, OptRecord, size_limit};
use super::interface::{Context, Limited, Outcome, Transport};
use super::message::Message;
use super::query::{Query, Rejected};
use super::rcode::Rcode;
use super::resolve::Resolution;
use super::{chaos, transfer};
use crate::zone::{Basis, Class, RecordType, ZoneSet};

/// The largest response to a query that was rejected: header, question and OPT.
const ERROR_LIMIT: usize = 512;

/// Answers one query into the cleared `response`.
pub fn answer(zones: &ZoneSet, query: &[u8], context: &Context<'_>, response: &mut Vec<u8>) -> Outcome {
    answer_on_basis(zones, query, context, response).0
}

/// As [`answer`], with what of the zones the response was made from: one that [`is_repeatable`] is the same as long as
/// that is.
pub fn answer_on_basis(
    zones: &ZoneSet,
    query: &[u8],
    context: &Context<'_>,
    response: &mut Vec<u8>,
) -> (Outcome, Basis) {
    response.clear();
    let query = match Query::parse(query) {
        Ok(query) => query,
        Err(rejected) => return (reject(&rejected, context, response), Basis::NOTHING),
    };
    let edns = query.edns.as_ref();
    let limited = context.limited.filter(|_| !proves_client(edns, context));
    if limited == Some(Limited::Drop) {
        return (Outcome::Drop, Basis::NOTHING);
    }
    if is_transfer(&query)
        && let Some(transfer) = transfer::begin(zones, &query, context)
    {
        return (Outcome::Transfer(Box::new(transfer)), Basis::NOTHING);
    }
    let opt = edns.map(|edns| OptRecord::new(edns, context));
    let limit = size_limit(edns, context.transport, context.server);
    let mut message = Message::new(response, query.header, Some(query.question), opt, limit);
    if limited == Some(Limited::Slip) {
        message.set_truncated();
    } else {
        respond(zones, &query, context, &mut message);
    }
    message.finish();
    (Outcome::Respond, *message.basis())
}

/// Whether every client gets the same response to these bytes over one transport, but for the id, as long as the zones are
/// the same: those who may transfer zones one, all others another. Not so if records rotate ([`super::Server::rotate`]).
pub fn is_repeatable(query: &[u8]) -> bool {
    Query::parse(query).is_ok_and(|query| {
        let is_plain = query.question.class == Class::IN && !is_transfer(&query) && query.signature.is_none();
        is_plain && query.edns.as_ref().is_none_or(|edns| !edns.has_cookie())
    })
}

/// Answers what is no well-formed query.
#[cold]
fn reject(rejected: &Rejected<'_>, context: &Context<'_>, response: &mut Vec<u8>) -> Outcome {
    let Rejected::With { header, question, edns, rcode } = rejected else { return Outcome::Drop };
    if context.limited == Some(Limited::Drop) && !proves_client(edns.as_ref(), context) {
        return Outcome::Drop;
    }
    let opt = edns.as_ref().map(|edns| OptRecord::new(edns, context));
    let mut message = Message::new(response, *header, *question, opt, ERROR_LIMIT);
    message.set_rcode(*rcode);
    message.finish();
    Outcome::Respond
}

/// Whether a good cookie proves that the client's address is its own.
fn proves_client(edns: Option<&Edns>, context: &Context<'_>) -> bool {
    edns.is_some_and(|edns| edns.proves_client(context))
}

/// Whether the client must come again with the cookie that it is given now (RFC 7873 §5.2.3, §5.2.4). Over a stream its
/// address is proven already.
fn lacks_cookie(edns: Option<&Edns>, context: &Context<'_>) -> bool {
    context.server.strict_cookies
        && context.transport == Transport::Udp
        && context.cookies.is_some()
        && edns.is_some_and(|edns| edns.has_cookie() && !edns.proves_client(context))
}

fn is_transfer(query: &Query<'_>) -> bool {
    query.question.class == Class::IN && matches!(query.question.rtype, RecordType::AXFR | RecordType::IXFR)
}

/// Fills the response to a well-formed query.
fn respond<'z: 'q, 'q>(zones: &'z ZoneSet, query: &Query<'q>, context: &Context<'_>, message: &mut Message<'z, 'q>) {
    let question = query.question;
    if query.edns.as_ref().is_some_and(|edns| !edns.version_is_known()) {
        return message.set_rcode(Rcode::BADVERS);
    }
    if lacks_cookie(query.edns.as_ref(), context) {
        return message.set_rcode(Rcode::BADCOOKIE);
    }
    if let Some(signature) = query.signature {
        return message.set_unknown_key(signature);
    }
    match question.class {
        Class::IN | Class::ANY => {}
        Class::CH => return chaos::respond(context.server, question, message),
        _ => return message.set_error(Rcode::REFUSED, ExtendedError::NotSupported),
    }
    if is_transfer(query) {
        return transfer::respond(zones, query, context, message);
    }
    let dnssec = query.edns.as_ref().is_some_and(|edns| edns.dnssec);
    message.set_signatures(dnssec);
    message.set_style(context.server);
    let mut resolution = Resolution {
        zones,
        rtype: question.rtype,
        see_hidden: context.may_transfer,
        wildcards: SmallVec::new(),
        any_class: question.class == Class::ANY,
        message,
    };
    resolution.run(question);
}
