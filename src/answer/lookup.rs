//! Finding one name in one zone: step 3 of RFC 1034 §4.3.2 with wildcards (RFC 4592), DNAME (RFC 6672) and occlusion.

use super::name_buf::NameBuf;
use crate::zone::{Basis, NameHash, Node, Place, RecordType, WILDCARD, Zone, label_at};

/// What a zone has at a name. Offsets are byte positions in the name at which one of its ancestors begins.
pub(super) enum Found<'z> {
    /// The name itself, perhaps an empty non-terminal.
    Exact(Node<'z>),
    /// The name does not exist, but a wildcard is the source of its synthesis (RFC 4592 §3.3.1).
    Wildcard { node: Node<'z>, encloser: usize },
    /// The name is a zone cut or lies below one.
    Delegation { node: Node<'z>, cut: usize },
    /// The name lies below the owner of a DNAME.
    Dname { node: Node<'z>, owner: usize },
    /// Nothing; `encloser` is its closest ancestor that exists.
    Missing { encloser: usize },
}

/// Looks up a name at or below the zone's origin, and notes what was looked at.
pub(super) fn find<'z>(zone: &'z Zone, name: &NameBuf<'_>, rtype: RecordType, basis: &mut Basis) -> Found<'z> {
    if name.lower().len() == zone.origin().as_wire().len() {
        // The SOA is there.
        basis.note(Place::of_zone(zone.origin_hash()));
    }
    if zone.has_cuts() {
        return descend(zone, name, rtype, Seen::Nothing, basis);
    }
    // Nothing is occluded: if the name is there, it is what counts.
    let lower = name.lower();
    let below_apex = name.labels().rev_before(apex_of(zone, lower));
    let hash = below_apex.fold(zone.origin_hash(), |hash, start| hash.child(label_at(lower, start)));
    match node_at(zone, hash, lower, basis) {
        Some(node) => Found::Exact(node),
        None => descend(zone, name, rtype, Seen::NameIsMissing, basis),
    }
}

/// The node that glue for a name at or below the zone cut at `cut` comes from: its own, or that of a wildcard which would
/// be its source of synthesis if there were no cut, as NSD and Knot have it. The child's servers say what is true.
pub(super) fn find_glue<'z>(zone: &'z Zone, name: &[u8], cut: usize, basis: &mut Basis) -> Option<Node<'z>> {
    let mut encloser = 0;
    while encloser < cut {
        let hash = NameHash::of(&name[encloser..]);
        if let Some(node) = node_at(zone, hash, &name[encloser..], basis) {
            return (encloser == 0).then_some(node).or_else(|| wildcard_below(zone, hash, &name[encloser..], basis));
        }
        encloser += 1 + usize::from(name[encloser]);
    }
    let hash = NameHash::of(&name[encloser..]);
    if encloser > 0 {
        return wildcard_below(zone, hash, &name[encloser..], basis);
    }
    basis.note(Place::of_name(hash));
    zone.find(hash, name)
}

/// The node of the wildcard directly below a name.
fn wildcard_below<'z>(zone: &'z Zone, hash: NameHash, name: &[u8], basis: &mut Basis) -> Option<Node<'z>> {
    basis.note(Place::of_name(hash.child(WILDCARD)));
    zone.wildcard_below(hash, name)
}

/// The node at a name. The owners of NSEC3 records alone do not count: they are hashes, not names of the zone
/// (RFC 5155 §7.2.8).
fn node_at<'z>(zone: &'z Zone, hash: NameHash, name: &[u8], basis: &mut Basis) -> Option<Node<'z>> {
    basis.note(Place::of_name(hash));
    let hash_only = |node: Node<'_>| {
        node.get(RecordType::NSEC3).is_some()
            && node.rrsets().all(|rrset| matches!(rrset.rtype, RecordType::NSEC3 | RecordType::RRSIG))
    };
    zone.find(hash, name).filter(|node| !zone.has_nsec3() || !hash_only(*node))
}

/// Where the zone's origin begins in a name.
fn apex_of(zone: &Zone, name: &[u8]) -> usize {
    name.len() - zone.origin().as_wire().len()
}

/// What is known of a name before the walk down to it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Nothing,
    NameIsMissing,
}

/// Walks from the apex down to the name, so that a cut or a DNAME hides what is below it.
fn descend<'z>(zone: &'z Zone, name: &NameBuf<'_>, rtype: RecordType, seen: Seen, basis: &mut Basis) -> Found<'z> {
    let (name, labels) = (name.lower(), name.labels());
    let apex = apex_of(zone, name);
    if seen == Seen::Nothing {
        basis.note(Place::of_name(zone.origin_hash()));
        let node = zone.apex();
        if apex == 0 {
            return Found::Exact(node);
        }
        if node.get(RecordType::DNAME).is_some() {
            return Found::Dname { node, owner: apex };
        }
    }
    let (mut encloser, mut hash) = (apex, zone.origin_hash());
    for start in labels.rev_before(apex) {
        let is_name = start == 0;
        if is_name && seen == Seen::NameIsMissing {
            break;
        }
        let below = hash.child(label_at(name, start));
        let Some(node) = node_at(zone, below, &name[start..], basis) else { break };
        // At a cut the parent's side answers for the DS alone (RFC 4035 §3.1.4.1).
        let is_cut = node.get(RecordType::NS).is_some();
        if is_cut && !(is_name && rtype == RecordType::DS) {
            return Found::Delegation { node, cut: start };
        }
        if is_name {
            return Found::Exact(node);
        }
        if node.get(RecordType::DNAME).is_some() {
            return Found::Dname { node, owner: start };
        }
        (encloser, hash) = (start, below);
    }
    // A wildcard that is an empty non-terminal is a source of synthesis as well: it makes NODATA (RFC 4592 §2.2.2).
    match wildcard_below(zone, hash, &name[encloser..], basis) {
        Some(node) => Found::Wildcard { node, encloser },
        None => Found::Missing { encloser },
    }
}
