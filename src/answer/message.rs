//! Writing a response: sections, whole RRsets, compression, truncation (RFC 1035 §4.1, RFC 2181 §9).

use smallvec::SmallVec;

use super::compression::{Case, Compression, labels_at, name_at_equals, pointer_to};
use super::edns::{ExtendedError, MIN_UDP_PAYLOAD, OptRecord};
use super::interface::Server;
use super::name_buf::{NameBuf, Owner};
use super::query::{HEADER_LEN, Header, Question, Signature};
use super::rcode::Rcode;
use crate::zone::rdata::{Field, is_compressible, shape};
use crate::zone::{Basis, Class, MAX_NAME, Node, Place, RecordType, Rrset, Rrsets, Zone, wire_name_len};

const FLAG_QR: u16 = 0x8000;
const FLAG_AA: u16 = 0x0400;
const FLAG_TC: u16 = 0x0200;

/// Bytes of a record between its owner and its data.
const RECORD_HEAD: usize = 10;

/// How many RRsets of one response are remembered before that needs memory of its own.
const USUAL_RRSETS: usize = 16;

/// A section after the question.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Section {
    Answer,
    Authority,
    Additional,
}

/// The response has no room for an RRset. Nothing of it was written.
#[derive(Debug)]
pub(super) struct Full;

/// An RRset as it stands in the response.
#[derive(Clone, Copy)]
pub(super) struct Placed<'z> {
    pub(super) section: Section,
    /// The zone it came from.
    pub(super) zone: &'z Zone,
    pub(super) rrset: Rrset<'z>,
    owner_at: u16,
}

impl Placed<'_> {
    /// Where its first record starts in the response.
    pub(super) fn start(&self) -> usize {
        self.owner_at.into()
    }
}

/// An RRset and where it comes from.
#[derive(Clone, Copy)]
pub(super) struct Source<'z> {
    zone: &'z Zone,
    node: Node<'z>,
    rrset: Rrset<'z>,
    ttl: u32,
}

impl<'z> Source<'z> {
    /// `rrset` of `node` in `zone`.
    pub(super) fn new(zone: &'z Zone, node: Node<'z>, rrset: Rrset<'z>) -> Source<'z> {
        Source { zone, node, rrset, ttl: rrset.ttl }
    }

    /// The same with a TTL of at most this.
    pub(super) fn with_ttl_at_most(self, ttl: u32) -> Source<'z> {
        Source { ttl: self.ttl.min(ttl), ..self }
    }
}

/// A response in the making. Sections are written in their order.
pub(super) struct Message<'z, 'q> {
    bytes: &'q mut Vec<u8>,
    header: Header,
    question_name: &'q [u8],
    /// Where records must end; the OPT record comes behind.
    limit: usize,
    opt_len: usize,
    opt: Option<OptRecord<'q>>,
    names: Compression<'q>,
    counts: [u16; 3],
    placed: SmallVec<[Placed<'z>; USUAL_RRSETS]>,
    basis: Basis,
    rcode: Rcode,
    unknown_key: Option<Signature<'q>>,
    authoritative: bool,
    truncated: bool,
    class: Class,
    /// Whether RRSIGs accompany the RRsets they cover (RFC 4035 §3.1.1).
    signatures: bool,
    /// Whether what nobody needs for the answer is left out.
    minimal: bool,
    /// Whether RRsets begin with a record that the query's id chooses, which clients choose at random.
    rotate: bool,
}

impl<'z, 'q> Message<'z, 'q> {
    /// Begins a response of at most `limit` bytes with header and question.
    pub(super) fn new(
        bytes: &'q mut Vec<u8>,
        header: Header,
        question: Option<Question<'q>>,
        opt: Option<OptRecord<'q>>,
        limit: usize,
    ) -> Message<'z, 'q> {
        let opt_len = opt.as_ref().map_or(0, OptRecord::reserved_len);
        bytes.clear();
        bytes.extend_from_slice(&[0; HEADER_LEN]);
        bytes.extend_from_slice(question.map_or(&[], |question| question.wire));
        Message {
            bytes,
            header,
            question_name: question.map_or(&[], |question| question.name),
            limit: limit - opt_len,
            opt_len,
            opt,
            names: Compression::default(),
            counts: [0; 3],
            placed: SmallVec::new(),
            basis: Basis::NOTHING,
            rcode: Rcode::NOERROR,
            unknown_key: None,
            authoritative: false,
            truncated: false,
            class: Class::IN,
            signatures: false,
            minimal: false,
            rotate: false,
        }
    }

    pub(super) fn set_rcode(&mut self, rcode: Rcode) {
        self.rcode = rcode;
    }

    pub(super) fn set_authoritative(&mut self) {
        self.authoritative = true;
    }

    pub(super) fn set_truncated(&mut self) {
        self.truncated = true;
    }

    pub(super) fn set_signatures(&mut self, signatures: bool) {
        self.signatures = signatures;
    }

    /// Takes over how the server is set up to answer.
    pub(super) fn set_style(&mut self, server: &Server) {
        (self.minimal, self.rotate) = (server.minimal_responses, server.rotate);
    }

    /// Whether the client said that it takes no more than every client does: it is spared what it did not ask for.
    pub(super) fn is_small(&self) -> bool {
        self.opt.is_some() && self.limit + self.opt_len <= usize::from(MIN_UDP_PAYLOAD)
    }

    /// Whether what nobody needs for the answer is left out.
    pub(super) fn is_minimal(&self) -> bool {
        self.minimal
    }

    /// The class of the records to come; IN unless told.
    pub(super) fn set_class(&mut self, class: Class) {
        self.class = class;
    }

    /// What the response is made from, for more to be noted.
    pub(super) fn basis(&mut self) -> &mut Basis {
        &mut self.basis
    }

    /// How many bytes have been written.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Notes which zone the question lies in: some ask for its version, and most names of the response end with its
    /// origin as the question does.
    pub(super) fn set_zone(&mut self, zone: &Zone) {
        let origin = zone.origin().as_wire();
        if origin.len() > 1
            && let Some(start) = self.question_name.len().checked_sub(origin.len())
        {
            self.names.set_common(&self.question_name[start..], zone.origin_hash(), HEADER_LEN + start);
        }
        if let Some(opt) = &mut self.opt
            && opt.set_zone(zone)
        {
            self.basis.note(Place::of_zone(zone.origin_hash()));
        }
    }

    /// An error and why (RFC 8914).
    pub(super) fn set_error(&mut self, rcode: Rcode, error: ExtendedError) {
        self.rcode = rcode;
        if let Some(opt) = &mut self.opt {
            opt.set_error(error);
        }
    }

    /// Refuses a query whose signature cannot be checked: no key is known here (RFC 8945 §5.2.1).
    pub(super) fn set_unknown_key(&mut self, signature: Signature<'q>) {
        self.rcode = Rcode::NOTAUTH;
        self.unknown_key = Some(signature);
    }

    /// Whether RRSIGs accompany the RRsets they cover.
    pub(super) fn signatures(&self) -> bool {
        self.signatures
    }

    /// Whether the authority section has records.
    pub(super) fn has_authority(&self) -> bool {
        self.counts[Section::Authority as usize] > 0
    }

    /// How many RRsets have been placed; [`Message::placed`] takes indices below it.
    pub(super) fn placed_count(&self) -> usize {
        self.placed.len()
    }

    /// An RRset that was placed.
    pub(super) fn placed(&self, index: usize) -> Placed<'z> {
        self.placed[index]
    }

    /// The owner of an RRset that was placed.
    pub(super) fn owner_of(&self, placed: Placed<'z>) -> NameBuf<'q> {
        let mut wire = [0; MAX_NAME];
        let mut len = 0;
        for label in labels_at(self.bytes, placed.owner_at.into()) {
            wire[len..len + label.len()].copy_from_slice(label);
            len += label.len();
        }
        NameBuf::copied(&wire[..len])
    }

    /// Where the data of the record that starts at a position stands.
    pub(super) fn rdata_of(&self, record: usize) -> Option<u16> {
        let mut at = record;
        loop {
            match usize::from(*self.bytes.get(at)?) {
                0 => break at += 1,
                0xc0.. => break at += 2,
                length => at += 1 + length,
            }
        }
        u16::try_from(at + RECORD_HEAD).ok()
    }

    /// Where the record starts that follows the one with its data at a position.
    pub(super) fn after_rdata(&self, rdata: u16) -> usize {
        let start = usize::from(rdata);
        let length = self.bytes.get(start - 2..start).map_or(0, |length| u16::from_be_bytes([length[0], length[1]]));
        start + usize::from(length)
    }

    /// The records of an RRset in the order in which they are written.
    pub(super) fn in_order(&self, rrset: Rrset<'z>) -> impl Iterator<Item = &'z [u8]> + use<'z> {
        rrset.rdatas_from(if self.rotate { usize::from(self.header.id) % rrset.count().max(1) } else { 0 })
    }

    /// Writes an RRset whole, with the RRSIGs that cover it if they are wanted; one that is there already is left out.
    pub(super) fn push(&mut self, section: Section, owner: Owner<'_>, from: Source<'z>) -> Result<(), Full> {
        let Source { zone, node, rrset, ttl } = from;
        if self.holds(owner.wire, rrset) {
            return Ok(());
        }
        let (start, counts) = (self.bytes.len(), self.counts);
        // Signatures that are asked for themselves have not one TTL but many.
        let own =
            |rdata: &[u8]| if rrset.rtype == RecordType::RRSIG { ttl_of(node.rrsets(), rrset, rdata) } else { ttl };
        let records = self.in_order(rrset).map(|rdata| (rrset.rtype, own(rdata), rdata));
        self.push_records(section, owner, records)?;
        if self.signatures {
            let signatures = node.signatures(rrset.rtype).map(|rdata| (RecordType::RRSIG, ttl, rdata));
            let owner = Owner { place: u16::try_from(start).ok(), ..owner };
            self.push_records(section, owner, signatures).inspect_err(|Full| self.cut_back(start, counts))?;
        }
        self.placed.push(Placed { section, zone, rrset, owner_at: start as u16 });
        Ok(())
    }

    /// Writes records of one owner, all or none.
    pub(super) fn push_records<'r>(
        &mut self,
        section: Section,
        mut owner: Owner<'_>,
        records: impl IntoIterator<Item = (RecordType, u32, &'r [u8])>,
    ) -> Result<(), Full> {
        let (start, counts) = (self.bytes.len(), self.counts);
        for (rtype, ttl, rdata) in records {
            self.write_record(section, owner, rtype, ttl, rdata);
            if self.bytes.len() > self.limit {
                self.cut_back(start, counts);
                return Err(Full);
            }
            owner.place = owner.place.or(u16::try_from(start).ok());
        }
        Ok(())
    }

    /// Takes records back. Whatever was remembered for compression from there on may stay: the message gets no more names.
    fn cut_back(&mut self, start: usize, counts: [u16; 3]) {
        self.bytes.truncate(start);
        self.counts = counts;
    }

    /// Whether an RRset stands in the response under this owner name.
    pub(super) fn holds(&self, owner: &[u8], rrset: Rrset<'_>) -> bool {
        self.placed.iter().any(|placed| {
            std::ptr::eq(placed.rrset.as_wire(), rrset.as_wire())
                && name_at_equals(self.bytes, placed.owner_at.into(), owner, Case::Any)
        })
    }

    /// Whether the name that starts at a position in the message equals this one.
    pub(super) fn has_name_at(&self, position: usize, name: &[u8]) -> bool {
        name_at_equals(self.bytes, position, name, Case::Any)
    }

    /// Writes the header and the records that describe the message.
    pub(super) fn finish(&mut self) {
        if let Some(opt) = &self.opt {
            opt.write(self.bytes, self.rcode, self.limit + self.opt_len);
            self.counts[Section::Additional as usize] += 1;
        }
        if let Some(signature) = &self.unknown_key {
            // Names of absurd length may leave no room in a datagram: over a stream there is (RFC 8945 §5.3).
            if self.bytes.len() + signature.bad_key_len() <= self.limit + self.opt_len {
                signature.write_bad_key(self.bytes, self.header.id);
                self.counts[Section::Additional as usize] += 1;
            } else {
                self.truncated = true;
            }
        }
        let mut flags = FLAG_QR | u16::from(self.header.opcode) << 11 | self.header.copied_flags | self.rcode.0 & 0xf;
        if self.authoritative {
            flags |= FLAG_AA;
        }
        if self.truncated {
            flags |= FLAG_TC;
        }
        let questions = u16::from(!self.question_name.is_empty());
        let words = [self.header.id, flags, questions, self.counts[0], self.counts[1], self.counts[2]];
        for (place, word) in self.bytes.as_chunks_mut::<2>().0.iter_mut().zip(words) {
            *place = word.to_be_bytes();
        }
    }

    fn write_record(&mut self, section: Section, owner: Owner<'_>, rtype: RecordType, ttl: u32, rdata: &[u8]) {
        let [t0, t1] = rtype.0.to_be_bytes();
        let [c0, c1] = self.class.0.to_be_bytes();
        let [l0, l1, l2, l3] = ttl.to_be_bytes();
        let [r0, r1] = (rdata.len() as u16).to_be_bytes();
        match owner.place.and_then(|place| pointer_to(self.bytes, place)) {
            Some([p0, p1]) => {
                self.bytes.extend_from_slice(&[p0, p1, t0, t1, c0, c1, l0, l1, l2, l3, r0, r1]);
            }
            None => {
                self.begin_names();
                self.names.write(self.bytes, owner.wire, Case::Any);
                self.bytes.extend_from_slice(&[t0, t1, c0, c1, l0, l1, l2, l3, r0, r1]);
            }
        }
        if is_compressible(rtype) {
            let start = self.bytes.len();
            self.write_names(rtype, rdata);
            let length = (self.bytes.len() - start) as u16;
            self.bytes[start - 2..start].copy_from_slice(&length.to_be_bytes());
        } else {
            self.bytes.extend_from_slice(rdata);
        }
        self.counts[section as usize] += 1;
    }

    /// Writes rdata with its names compressed.
    fn write_names(&mut self, rtype: RecordType, rdata: &[u8]) {
        self.begin_names();
        let mut rest = rdata;
        for field in shape(rtype) {
            match (field, wire_name_len(rest)) {
                (Field::CompressibleName, Ok(length)) => {
                    let (name, tail) = rest.split_at(length);
                    self.names.write(self.bytes, name, Case::Exact);
                    rest = tail;
                }
                (Field::U16, _) if rest.len() >= 2 => {
                    self.bytes.extend_from_slice(&rest[..2]);
                    rest = &rest[2..];
                }
                // What follows the last name of an SOA.
                _ => break,
            }
        }
        self.bytes.extend_from_slice(rest);
    }

    /// Makes the question's name known to the compression, once that is of use.
    fn begin_names(&mut self) {
        if self.names.is_empty() {
            self.names.begin(self.limit);
            if !self.question_name.is_empty() {
                self.names.remember(HEADER_LEN, self.question_name);
            }
        }
    }
}

/// The TTL of a record; an RRSIG has that of the RRset it covers (RFC 4034 §3).
pub(super) fn ttl_of(mut rrsets: Rrsets<'_>, rrset: Rrset<'_>, rdata: &[u8]) -> u32 {
    let covered = match (rrset.rtype, rdata) {
        (RecordType::RRSIG, [t0, t1, ..]) => {
            let covered = RecordType(u16::from_be_bytes([*t0, *t1]));
            rrsets.find(|rrset| rrset.rtype == covered)
        }
        _ => None,
    };
    covered.unwrap_or(rrset).ttl
}
