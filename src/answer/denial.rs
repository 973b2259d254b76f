//! Authenticated denial of existence from the NSEC (RFC 4035 §3.1.3) or NSEC3 (RFC 5155 §7.2) records of a zone that
//! came signed. Each function adds nothing unless the client wants DNSSEC and the zone has such records.

use super::message::{Full, Message, Section, Source};
use super::nsec3;
use crate::zone::{Labels, MAX_NAME, Place, RecordType, WILDCARD, Zone};

/// How a zone proves that something does not exist.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Chain {
    None,
    Nsec,
    Nsec3,
}

/// The zone's way to prove it to this client. What proves it lies anywhere in the zone.
fn chain(message: &mut Message<'_, '_>, zone: &Zone) -> Chain {
    let chain = match message.signatures() {
        true if zone.has_nsec3() => Chain::Nsec3,
        true if zone.has_nsec() => Chain::Nsec,
        _ => return Chain::None,
    };
    message.basis().note(Place::of_zone(zone.origin_hash()));
    chain
}

/// The name does not exist, and neither does a wildcard at `encloser`, its closest ancestor that exists.
pub(super) fn of_name<'z>(
    message: &mut Message<'z, '_>,
    zone: &'z Zone,
    name: &[u8],
    encloser: usize,
) -> Result<(), Full> {
    match chain(message, zone) {
        Chain::None => Ok(()),
        Chain::Nsec => {
            push_nsec(message, zone, name)?;
            with_wildcard(&name[encloser..], |wildcard| push_nsec(message, zone, wildcard))
        }
        Chain::Nsec3 => {
            let encloser = nsec3::push_closest_encloser(message, zone, name, encloser)?;
            with_wildcard(&name[encloser..], |wildcard| nsec3::push(message, zone, wildcard))
        }
    }
}

/// The name exists, perhaps through the wildcard below `encloser`, but not with the type asked for.
pub(super) fn of_type<'z>(
    message: &mut Message<'z, '_>,
    zone: &'z Zone,
    name: &[u8],
    encloser: Option<usize>,
) -> Result<(), Full> {
    match (chain(message, zone), encloser) {
        (Chain::None, _) => Ok(()),
        (Chain::Nsec, None) => push_nsec(message, zone, name),
        (Chain::Nsec, Some(encloser)) => {
            push_nsec(message, zone, name)?;
            with_wildcard(&name[encloser..], |wildcard| push_nsec(message, zone, wildcard))
        }
        (Chain::Nsec3, None) if nsec3::has(zone, name) => nsec3::push(message, zone, name),
        // An insecure delegation, or an empty non-terminal above such alone, that opt-out left out of the chain: its
        // ancestors prove that (RFC 5155 §7.2.4, §7.2.7).
        (Chain::Nsec3, None) => nsec3::push_closest_encloser(message, zone, name, 0).map(drop),
        (Chain::Nsec3, Some(encloser)) => {
            let encloser = nsec3::push_closest_encloser(message, zone, name, encloser)?;
            with_wildcard(&name[encloser..], |wildcard| nsec3::push(message, zone, wildcard))
        }
    }
}

/// The answer was made from the wildcard below `encloser`: no name closer to the one asked for exists.
pub(super) fn of_closer_name<'z>(
    message: &mut Message<'z, '_>,
    zone: &'z Zone,
    name: &[u8],
    encloser: usize,
) -> Result<(), Full> {
    match chain(message, zone) {
        Chain::None => Ok(()),
        Chain::Nsec => push_nsec(message, zone, name),
        Chain::Nsec3 => nsec3::push(message, zone, next_closer(name, encloser)),
    }
}

/// The delegation at `cut` has no DS.
pub(super) fn of_ds<'z>(message: &mut Message<'z, '_>, zone: &'z Zone, cut: &[u8]) -> Result<(), Full> {
    of_type(message, zone, cut, None)
}

/// The ancestor of a name that is one label longer than the one at `encloser`.
pub(super) fn next_closer(name: &[u8], encloser: usize) -> &[u8] {
    let start = Labels::of(name).rev().find(|&start| start < encloser);
    &name[start.unwrap_or(0)..]
}

/// The NSEC that matches or covers a name.
fn push_nsec<'z>(message: &mut Message<'z, '_>, zone: &'z Zone, name: &[u8]) -> Result<(), Full> {
    let Some((owner, node)) = zone.nsec_at_or_before(name) else { return Ok(()) };
    let Some(nsec) = node.get(RecordType::NSEC) else { return Ok(()) };
    message.push(Section::Authority, owner.as_wire().into(), Source::new(zone, node, nsec))
}

/// Calls `then` with the wildcard below a name, unless that would be too long to exist or to be denied.
fn with_wildcard(encloser: &[u8], then: impl FnOnce(&[u8]) -> Result<(), Full>) -> Result<(), Full> {
    let mut wire = [0; MAX_NAME];
    let length = 2 + encloser.len();
    match wire.get_mut(2..length) {
        Some(place) => place.copy_from_slice(encloser),
        None => return Ok(()),
    }
    wire[..2].copy_from_slice(WILDCARD);
    then(&wire[..length])
}
