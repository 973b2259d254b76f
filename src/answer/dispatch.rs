//! Who handles a query: an error, class CH, a transfer, or the zones.

use smallvec::SmallVec;

use super::edns::{ExtendedError, OptRecord, size_limit};
use super::interface::{Context, Outcome};
use super::message::Message;
use super::query::{Query, Rejected};
use super::rcode::Rcode;
use super::resolve::Resolution;
use super::{chaos, transfer};
use crate::zone::{Class, RecordType, ZoneSet};

/// The largest response to a query that was rejected: header, question and OPT.
const ERROR_LIMIT: usize = 512;

/// Answers one query into the cleared `response`.
pub fn answer(zones: &ZoneSet, query: &[u8], context: &Context<'_>, response: &mut Vec<u8>) -> Outcome {
    response.clear();
    let query = match Query::parse(query) {
        Ok(query) => query,
        Err(Rejected::Silently) => return Outcome::Drop,
        Err(Rejected::With { header, question, edns, rcode }) => {
            let opt = edns.map(|edns| OptRecord::new(edns, context.server, context.transport));
            let mut message = Message::new(response, header, question, opt, ERROR_LIMIT);
            message.set_rcode(rcode);
            message.finish();
            return Outcome::Respond;
        }
    };
    if is_transfer(&query)
        && let Some(transfer) = transfer::begin(zones, &query, context)
    {
        return Outcome::Transfer(transfer);
    }
    let opt = query.edns.map(|edns| OptRecord::new(edns, context.server, context.transport));
    let limit = size_limit(query.edns.as_ref(), context.transport, context.server);
    let mut message = Message::new(response, query.header, Some(query.question), opt, limit);
    respond(zones, &query, context, &mut message);
    message.finish();
    Outcome::Respond
}

fn is_transfer(query: &Query<'_>) -> bool {
    query.question.class == Class::IN && matches!(query.question.rtype, RecordType::AXFR | RecordType::IXFR)
}

/// Fills the response to a well-formed query.
fn respond<'z, 'q>(zones: &'z ZoneSet, query: &Query<'q>, context: &Context<'_>, message: &mut Message<'z, 'q>) {
    let question = query.question;
    if query.edns.is_some_and(|edns| !edns.version_is_known()) {
        return message.set_rcode(Rcode::BADVERS);
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
    let dnssec = query.edns.is_some_and(|edns| edns.dnssec);
    message.set_signatures(dnssec);
    let resolution = Resolution {
        zones,
        rtype: question.rtype,
        see_hidden: context.may_transfer,
        wildcards: SmallVec::new(),
        any_class: question.class == Class::ANY,
        message,
    };
    resolution.run(question);
}
