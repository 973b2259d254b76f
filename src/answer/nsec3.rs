//! Hashed denial of existence (RFC 5155).

use ring::digest;

use super::denial::next_closer;
use super::message::{Full, Message, Section, Source};
use crate::zone::{MAX_NAME, Name, Node, RecordType, Zone};

/// The only hash algorithm there is (RFC 5155 §11).
const SHA1: u8 = 1;
/// A hash as a label of base32hex digits.
const LABEL: usize = 32;

/// The closest encloser proof (RFC 5155 §7.2.1): an ancestor that exists, and that the next name towards `name` does not.
/// The ancestor is the one at `encloser`, or with opt-out the nearest above that is in the chain. Returns where it begins.
pub(super) fn push_closest_encloser<'z>(
    message: &mut Message<'z, '_>,
    zone: &'z Zone,
    name: &[u8],
    encloser: usize,
) -> Result<usize, Full> {
    let apex = name.len() - zone.origin().as_wire().len();
    let mut provable = encloser;
    while provable < apex && (provable == 0 || !has(zone, &name[provable..])) {
        provable += 1 + usize::from(name[provable]);
    }
    push(message, zone, &name[provable..])?;
    push(message, zone, next_closer(name, provable))?;
    Ok(provable)
}

/// The NSEC3 that matches or covers the hash of a name.
pub(super) fn push<'z>(message: &mut Message<'z, '_>, zone: &'z Zone, name: &[u8]) -> Result<(), Full> {
    let Some((owner, node, _)) = at_or_before(zone, name) else { return Ok(()) };
    let Some(nsec3) = node.get(RecordType::NSEC3) else { return Ok(()) };
    message.push(Section::Authority, owner.as_wire().into(), Source::new(zone, node, nsec3))
}

/// Whether a name is in the chain.
pub(super) fn has(zone: &Zone, name: &[u8]) -> bool {
    at_or_before(zone, name).is_some_and(|(.., matches)| matches)
}

/// The NSEC3 owner at or before the hash of a name, and whether it is at it.
fn at_or_before<'z>(zone: &'z Zone, name: &[u8]) -> Option<(&'z Name, Node<'z>, bool)> {
    let (hashed, length) = hashed_owner(zone, name)?;
    let (owner, node) = zone.nsec3_at_or_before(&hashed[..length])?;
    Some((owner, node, owner.as_wire() == &hashed[..length]))
}

/// The owner name that the NSEC3 record matching a name would have, and its length.
pub(super) fn hashed_owner(zone: &Zone, name: &[u8]) -> Option<([u8; MAX_NAME], usize)> {
    let params = zone.apex().get(RecordType::NSEC3PARAM)?.rdatas().find(|rdata| rdata[0] == SHA1)?;
    let &[_, _, i0, i1, salt_len, ref salt @ ..] = params else { return None };
    let hash = hash(name, u16::from_be_bytes([i0, i1]), salt.get(..salt_len.into())?);
    let origin = zone.origin().as_wire();
    let mut wire = [0; MAX_NAME];
    wire[0] = LABEL as u8;
    data_encoding::BASE32HEX_NOPAD.encode_mut(&hash, wire.get_mut(1..=LABEL)?);
    wire[1..=LABEL].make_ascii_lowercase();
    let length = 1 + LABEL + origin.len();
    wire.get_mut(1 + LABEL..length)?.copy_from_slice(origin);
    Some((wire, length))
}

/// The hash of RFC 5155 §5.
fn hash(name: &[u8], iterations: u16, salt: &[u8]) -> [u8; digest::SHA1_OUTPUT_LEN] {
    let round = |input: &[u8]| {
        let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
        context.update(input);
        context.update(salt);
        let mut output = [0; digest::SHA1_OUTPUT_LEN];
        output.copy_from_slice(context.finish().as_ref());
        output
    };
    (0..iterations).fold(round(name), |hash, _| round(&hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_rfc_5155_appendix_a() {
        let hashed = |name: &str| {
            let name: Name = name.parse().expect("a name");
            data_encoding::BASE32HEX_NOPAD.encode(&hash(name.as_wire(), 12, &[0xaa, 0xbb, 0xcc, 0xdd])).to_lowercase()
        };
        assert_eq!(hashed("example"), "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom");
        assert_eq!(hashed("ns1.example"), "2t7b4g4vsa5smi47k61mv5bv1a22bojr");
        assert_eq!(hashed("x.y.w.example"), "2vptu5timamqttgl4luu9kg21e0aor3s");
    }
}
