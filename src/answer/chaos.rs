//! Class CH: questions about the server itself (RFC 4892).

use super::edns::ExtendedError;
use super::interface::Server;
use super::message::{Message, Section};
use super::name_buf::Owner;
use super::query::Question;
use super::rcode::Rcode;
use crate::zone::{Class, RecordType};

const ID_NAMES: [&[u8]; 2] = [b"\x02id\x06server\x00", b"\x08hostname\x04bind\x00"];
const VERSION_NAMES: [&[u8]; 2] = [b"\x07version\x06server\x00", b"\x07version\x04bind\x00"];

/// The most bytes of a character-string (RFC 1035 §3.3).
const MAX_STRING: usize = 255;

/// Answers a question in class CH.
pub(super) fn respond(server: &Server, question: Question<'_>, message: &mut Message<'_, '_>) {
    let is_one_of = |names: [&[u8]; 2]| names.iter().any(|name| name.eq_ignore_ascii_case(question.name));
    let text = if is_one_of(ID_NAMES) {
        &server.nsid
    } else if is_one_of(VERSION_NAMES) {
        &server.version
    } else {
        ""
    };
    if text.is_empty() || !matches!(question.rtype, RecordType::TXT | RecordType::ANY) {
        return message.set_error(Rcode::REFUSED, ExtendedError::NotSupported);
    }
    let text = &text.as_bytes()[..text.len().min(MAX_STRING)];
    let mut rdata = [0; 1 + MAX_STRING];
    rdata[0] = text.len() as u8;
    rdata[1..=text.len()].copy_from_slice(text);
    message.set_class(Class::CH);
    // One's own name is not to be kept by caches: TTL 0.
    let record = (RecordType::TXT, 0, &rdata[..=text.len()]);
    if message.push_records(Section::Answer, Owner::of_question(question.name), [record]).is_err() {
        message.set_truncated();
    }
}
