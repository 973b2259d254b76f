//! The additional section: addresses, and for NAPTR also SRV records, of the names that the answer points to.

use super::lookup::{self, Found};
use super::message::{Full, Message, Placed, Section, Source};
use super::name_buf::{NameBuf, is_at_or_below};
use crate::zone::rdata::is_compressible;
use crate::zone::{Basis, Node, RecordType, Zone, wire_name_len};

/// What is looked up for most names.
const ADDRESSES: &[RecordType] = &[RecordType::A, RecordType::AAAA];

/// Adds to a finished answer what its RRsets point to, as long as there is room. Nobody needs it to understand the
/// answer, so nothing tells when some is left out (RFC 2181 §9).
pub(super) fn add<'z: 'q, 'q>(message: &mut Message<'z, 'q>) {
    if message.is_minimal() && !message.has_authority() {
        return;
    }
    let mut index = 0;
    while index < message.placed_count() {
        let placed = message.placed(index);
        // Of what is added here only SRV points on: a NAPTR led to it. Service bindings are not followed further.
        let points_on = placed.section != Section::Additional || placed.rrset.rtype == RecordType::SRV;
        // The name servers of a referral are all that a minimal response adds addresses of.
        if points_on
            && (!message.is_minimal() || placed.section == Section::Authority)
            && add_all_pointed(message, placed).is_err()
        {
            return;
        }
        index += 1;
    }
}

/// Adds what the records of an RRset point to.
fn add_all_pointed<'z: 'q, 'q>(message: &mut Message<'z, 'q>, placed: Placed<'z>) -> Result<(), Full> {
    let mut record = placed.start();
    for rdata in message.in_order(placed.rrset) {
        let place = message.rdata_of(record);
        add_pointed(message, placed, rdata, place)?;
        record = place.map_or(record, |place| message.after_rdata(place));
    }
    Ok(())
}

/// Adds what one record points to, whose data stands at `place` of the message.
fn add_pointed<'z: 'q, 'q>(
    message: &mut Message<'z, 'q>,
    placed: Placed<'z>,
    rdata: &'z [u8],
    place: Option<u16>,
) -> Result<(), Full> {
    let rtype = placed.rrset.rtype;
    let Some((at, name, rtypes)) = pointer(rtype, rdata) else { return Ok(()) };
    // A service binding to the root means its own owner, an alias to it that there is none (RFC 9460 §2.5).
    let owner = name == [0] && matches!(rtype, RecordType::SVCB | RecordType::HTTPS);
    if owner && rdata.starts_with(&[0, 0]) {
        return Ok(());
    }
    // Only what may be compressed itself is pointed to: nobody else looks for names in rdata.
    let place = place.filter(|_| is_compressible(rtype)).and_then(|place| place.checked_add(at as u16));
    let name = if owner { message.owner_of(placed) } else { NameBuf::new(name, place) };
    add_rrsets(message, placed.zone, &name, rtypes, rtype == RecordType::NS)
}

/// Adds the addresses that a referral cannot do without: those of name servers at or below the cut itself (RFC 9471 §3.1).
/// Without room for them the response is truncated. [`add`] looks after the others.
pub(super) fn add_glue<'z: 'q, 'q>(message: &mut Message<'z, 'q>) -> Result<(), Full> {
    if !message.has_authority() {
        return Ok(());
    }
    for index in 0..message.placed_count() {
        let placed = message.placed(index);
        if placed.section != Section::Authority || placed.rrset.rtype != RecordType::NS {
            continue;
        }
        let cut = message.owner_of(placed);
        if cut.lower() == placed.zone.origin().as_wire() {
            continue;
        }
        let mut record = placed.start();
        for rdata in message.in_order(placed.rrset) {
            let place = message.rdata_of(record);
            let name = NameBuf::new(rdata, place);
            if is_at_or_below(name.lower(), cut.lower()) {
                add_rrsets(message, placed.zone, &name, ADDRESSES, true)?;
            }
            record = place.map_or(record, |place| message.after_rdata(place));
        }
    }
    Ok(())
}

/// Adds the RRsets of these types that a name has in a zone. Occluded ones count only as glue.
fn add_rrsets<'z>(
    message: &mut Message<'z, '_>,
    zone: &'z Zone,
    name: &NameBuf<'_>,
    rtypes: &[RecordType],
    glue: bool,
) -> Result<(), Full> {
    let Some(node) = node_of(zone, name, glue, message.basis()) else { return Ok(()) };
    for rrset in rtypes.iter().filter_map(|&rtype| node.get(rtype)) {
        message.push(Section::Additional, name.owner(), Source::new(zone, node, rrset))?;
    }
    Ok(())
}

/// The node that a name in an rdata stands for, if it lies in the zone.
fn node_of<'z>(zone: &'z Zone, name: &NameBuf<'_>, glue: bool, basis: &mut Basis) -> Option<Node<'z>> {
    if !is_at_or_below(name.lower(), zone.origin().as_wire()) {
        return None;
    }
    match lookup::find(zone, name, RecordType::A, basis) {
        Found::Exact(node) | Found::Wildcard { node, .. } => Some(node),
        Found::Delegation { cut, .. } if glue => lookup::find_glue(zone, name.lower(), cut, basis),
        _ => None,
    }
}

/// Where in its data a record points to a name, which, and what the additional section should hold of it.
fn pointer(rtype: RecordType, rdata: &[u8]) -> Option<(usize, &[u8], &'static [RecordType])> {
    use RecordType as T;
    let (at, wanted): (usize, &'static [RecordType]) = match rtype {
        T::NS | T::MB | T::MD | T::MF => (0, ADDRESSES),
        T::MX | T::KX | T::AFSDB | T::RT => (2, ADDRESSES),
        T::SVCB => (2, &[T::A, T::AAAA, T::SVCB]),
        T::HTTPS => (2, &[T::A, T::AAAA, T::HTTPS]),
        T::LP => (2, &[T::L32, T::L64]),
        T::SRV => (6, ADDRESSES),
        T::NAPTR => naptr_pointer(rdata)?,
        _ => return None,
    };
    let name = rdata.get(at..)?;
    let name = &name[..wire_name_len(name).ok()?];
    Some((at, name, wanted))
}

/// Where the replacement of a NAPTR stands and what its flags say that it leads to (RFC 3403 §4.1, RFC 3958 §2.2).
fn naptr_pointer(rdata: &[u8]) -> Option<(usize, &'static [RecordType])> {
    let mut at = 4;
    let flags = rdata.get(5..5 + usize::from(*rdata.get(4)?))?;
    for _ in 0..3 {
        at += 1 + usize::from(*rdata.get(at)?);
    }
    let wanted: &[RecordType] = match flags {
        [b's' | b'S'] => &[RecordType::SRV],
        [b'a' | b'A'] => ADDRESSES,
        _ => return None,
    };
    Some((at, wanted))
}
