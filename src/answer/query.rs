//! Reading a query (RFC 1035 §4.1) on the borrowed bytes of a message.

use super::edns::Edns;
use super::rcode::Rcode;
use crate::zone::{Class, RecordType, wire_name_len};

/// The length of a message header.
pub(super) const HEADER_LEN: usize = 12;

const FLAG_QR: u16 = 0x8000;
const FLAG_RD: u16 = 0x0100;

/// The opcode of an ordinary query (RFC 1035 §4.1.1).
pub(super) const OPCODE_QUERY: u8 = 0;

/// What a response takes over from a query's header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    /// The message's id.
    pub(super) id: u16,
    /// The opcode.
    pub(super) opcode: u8,
    /// RD, in place: it is copied (RFC 1035 §4.1.1). Other flags are not, CD neither (RFC 4035 §3.1.6).
    pub(super) copied_flags: u16,
}

/// A question, borrowed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'a> {
    /// Name, type and class as they were received.
    pub(super) wire: &'a [u8],
    /// The name in wire form, uncompressed, its case as received.
    pub(super) name: &'a [u8],
    /// The type asked for.
    pub(super) rtype: RecordType,
    /// The class asked for.
    pub(super) class: Class,
}

/// A well-formed query.
#[derive(Debug)]
pub(super) struct Query<'a> {
    pub(super) header: Header,
    pub(super) question: Question<'a>,
    pub(super) edns: Option<Edns>,
    /// The serial in the SOA of the authority section: the client's version in an IXFR (RFC 1995 §3).
    pub(super) known_serial: Option<u32>,
    /// The TSIG record, if the query is signed.
    pub(super) signature: Option<Signature<'a>>,
}

/// As much of a TSIG record (RFC 8945 §4.2) as it takes to refuse it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signature<'a> {
    /// The key's name in wire form.
    key: &'a [u8],
    /// The algorithm's name in wire form.
    algorithm: &'a [u8],
}

/// The error in a TSIG record: the key is not known (RFC 8945 §3).
const BADKEY: u16 = 17;
/// Seconds by which clocks may differ, as RFC 8945 §10 recommends.
const FUDGE: u16 = 300;

impl<'a> Signature<'a> {
    /// Reads a TSIG record; `None` if it is malformed. Its names are not compressed.
    fn parse(record: &RawRecord<'a>) -> Option<Signature<'a>> {
        let algorithm = record.rdata.get(..wire_name_len(record.rdata).ok()?)?;
        let key = record.owner.get(..wire_name_len(record.owner).ok()?)?;
        Some(Signature { key, algorithm })
    }

    /// The length of what [`Signature::write_bad_key`] writes: names, the rest of a record's head, and the fixed fields.
    pub(super) fn bad_key_len(&self) -> usize {
        self.key.len() + 10 + self.algorithm.len() + 16
    }

    /// Writes the unsigned TSIG record of a response to a query whose key is not known (RFC 8945 §5.2.1).
    pub(super) fn write_bad_key(&self, message: &mut Vec<u8>, id: u16) {
        message.extend_from_slice(self.key);
        for word in [RecordType::TSIG.0, Class::ANY.0, 0, 0, self.algorithm.len() as u16 + 16] {
            message.extend_from_slice(&word.to_be_bytes());
        }
        message.extend_from_slice(self.algorithm);
        // Time signed (three words) and MAC are empty, as is the other data at the end.
        for word in [0, 0, 0, FUDGE, 0, id, BADKEY, 0] {
            message.extend_from_slice(&word.to_be_bytes());
        }
    }
}

/// Why a message gets no ordinary answer.
#[derive(Debug)]
pub(super) enum Rejected<'a> {
    /// It gets none at all: it is no query.
    Silently,
    /// It gets an error; the question is repeated if it could be read.
    With { header: Header, question: Option<Question<'a>>, edns: Option<Edns>, rcode: Rcode },
}

/// A cursor over a message.
struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

/// A record as it lies in a message.
struct RawRecord<'a> {
    /// The message from the owner's name on.
    owner: &'a [u8],
    rtype: RecordType,
    class: u16,
    ttl: u32,
    rdata: &'a [u8],
}

impl<'a> Query<'a> {
    /// Reads a message. Counts, names and rdata lengths are checked to the last record.
    pub(super) fn parse(message: &'a [u8]) -> Result<Query<'a>, Rejected<'a>> {
        let (header, counts) = parse_header(message).ok_or(Rejected::Silently)?;
        let reject = |question, edns, rcode| Rejected::With { header, question, edns, rcode };
        // Under another opcode nobody here knows what a question is, but an OPT record is answered by one (RFC 6891 §7).
        if header.opcode != OPCODE_QUERY {
            return Err(reject(None, Query::edns_alone(header, message, counts), Rcode::NOTIMP));
        }
        let mut reader = Reader { message, at: HEADER_LEN };
        let question = if counts[0] == 1 { reader.question() } else { None };
        let Some(question) = question else {
            // Without a question it is a query only if it asks for a server cookie (RFC 7873 §5.4).
            let edns = Query::edns_alone(header, message, counts);
            let rcode = if counts[0] == 0 && edns.is_some_and(|edns| edns.has_cookie() && !edns.malformed) {
                Rcode::NOERROR
            } else {
                Rcode::FORMERR
            };
            return Err(reject(None, edns, rcode));
        };
        let mut query = Query { header, question, edns: None, known_serial: None, signature: None };
        // Bytes behind the last record are ignored, as BIND and NSD ignore them.
        query.read_records(&mut reader, counts).ok_or_else(|| reject(Some(question), None, Rcode::FORMERR))?;
        match query.edns.filter(|edns| edns.malformed) {
            Some(edns) => Err(reject(Some(question), Some(edns), Rcode::FORMERR)),
            None => Ok(query),
        }
    }

    /// Reads the EDNS of a message that has not just one question.
    fn edns_alone(header: Header, message: &'a [u8], counts: [u16; 4]) -> Option<Edns> {
        let mut reader = Reader { message, at: HEADER_LEN };
        for _ in 0..counts[0] {
            reader.question()?;
        }
        let question = Question { wire: &[], name: &[], rtype: RecordType(0), class: Class(0) };
        let mut query = Query { header, question, edns: None, known_serial: None, signature: None };
        query.read_records(&mut reader, counts)?;
        query.edns
    }

    /// Reads the sections after the question; `None` if they are malformed.
    fn read_records(&mut self, reader: &mut Reader<'a>, counts: [u16; 4]) -> Option<()> {
        for _ in 0..counts[1] {
            reader.record().filter(|record| !belongs_in_additional(record.rtype))?;
        }
        for _ in 0..counts[2] {
            let record = reader.record().filter(|record| !belongs_in_additional(record.rtype))?;
            if record.rtype == RecordType::SOA && self.known_serial.is_none() {
                self.known_serial = serial_of(record.rdata);
            }
        }
        for index in 0..counts[3] {
            let record = reader.record()?;
            match record.rtype {
                // One OPT at most, owned by the root (RFC 6891 §6.1.1, §6.1.2).
                RecordType::OPT if self.edns.is_some() || record.owner[0] != 0 => return None,
                RecordType::OPT => self.edns = Some(Edns::parse(record.class, record.ttl, record.rdata)?),
                // The signature is the last record (RFC 8945 §5.1).
                RecordType::TSIG if index + 1 != counts[3] => return None,
                RecordType::TSIG => self.signature = Some(Signature::parse(&record)?),
                _ => {}
            }
        }
        Some(())
    }
}

/// Reads the header; `None` if it is cut short or the message is itself a response.
fn parse_header(message: &[u8]) -> Option<(Header, [u16; 4])> {
    let header = message.first_chunk::<HEADER_LEN>()?;
    let word = |index: usize| u16::from_be_bytes([header[2 * index], header[2 * index + 1]]);
    let counts = [word(2), word(3), word(4), word(5)];
    let (id, flags) = (word(0), word(1));
    let header = Header { id, opcode: (flags >> 11) as u8 & 0xf, copied_flags: flags & FLAG_RD };
    (flags & FLAG_QR == 0).then_some((header, counts))
}

/// Whether a type describes the message and stands in its additional section alone (RFC 6891 §6.1.1, RFC 8945 §5.1).
fn belongs_in_additional(rtype: RecordType) -> bool {
    matches!(rtype, RecordType::OPT | RecordType::TSIG)
}

/// The serial in possibly compressed SOA rdata: five numbers end it, the serial first.
fn serial_of(rdata: &[u8]) -> Option<u32> {
    let numbers = rdata.len().checked_sub(20)?;
    rdata[numbers..numbers + 4].try_into().ok().map(u32::from_be_bytes)
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let bytes = self.message.get(self.at..self.at + length)?;
        self.at += length;
        Some(bytes)
    }

    fn take_chunk<const N: usize>(&mut self) -> Option<[u8; N]> {
        let bytes = *self.message.get(self.at..)?.first_chunk()?;
        self.at += N;
        Some(bytes)
    }

    /// Reads a question. Its name is the first in the message, so it cannot be compressed.
    fn question(&mut self) -> Option<Question<'a>> {
        let start = self.at;
        let name = self.take(wire_name_len(&self.message[start..]).ok()?)?;
        let [t0, t1, c0, c1] = self.take_chunk()?;
        let (rtype, class) = (RecordType(u16::from_be_bytes([t0, t1])), Class(u16::from_be_bytes([c0, c1])));
        Some(Question { wire: &self.message[start..self.at], name, rtype, class })
    }

    fn record(&mut self) -> Option<RawRecord<'a>> {
        let owner = self.message.get(self.at..)?;
        self.skip_name()?;
        let [t0, t1, c0, c1, l0, l1, l2, l3, r0, r1] = self.take_chunk()?;
        let rdata = self.take(u16::from_be_bytes([r0, r1]).into())?;
        Some(RawRecord {
            owner,
            rtype: RecordType(u16::from_be_bytes([t0, t1])),
            class: u16::from_be_bytes([c0, c1]),
            ttl: u32::from_be_bytes([l0, l1, l2, l3]),
            rdata,
        })
    }

    /// Steps over a possibly compressed name without following its pointer.
    fn skip_name(&mut self) -> Option<()> {
        let start = self.at;
        loop {
            match self.take(1)?[0] {
                0 => return Some(()),
                length @ 1..=63 => self.take(length.into()).map(drop)?,
                high @ 0xc0.. => {
                    let target = usize::from(high & 0x3f) << 8 | usize::from(self.take(1)?[0]);
                    return (HEADER_LEN..start).contains(&target).then_some(());
                }
                _ => return None,
            }
        }
    }
}
