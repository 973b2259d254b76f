//! Finding one name in one zone: step 3 of RFC 1034 §4.3.2 with wildcards (RFC 4592), DNAME (RFC 6672) and occlusion.

use super::compression::Labels;
use crate::zone::{MAX_NAME, Node, RecordType, Zone};

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

/// Looks up a lower-cased wire-form name at or below the zone's origin.
pub(super) fn find<'z>(zone: &'z Zone, name: &[u8], rtype: RecordType) -> Found<'z> {
    if !zone.has_cuts()
        && let Some(node) = node_at(zone, name)
    {
        return Found::Exact(node);
    }
    descend(zone, name, rtype)
}

/// The node that glue for a name at or below the zone cut at `cut` comes from: its own, or that of a wildcard which would
/// be its source of synthesis if there were no cut, as NSD and Knot have it. The child's servers say what is true.
pub(super) fn find_glue<'z>(zone: &'z Zone, name: &[u8], cut: usize) -> Option<Node<'z>> {
    let mut encloser = 0;
    while encloser < cut {
        if let Some(node) = node_at(zone, &name[encloser..]) {
            return (encloser == 0).then_some(node).or_else(|| wildcard_below(zone, &name[encloser..]));
        }
        encloser += 1 + usize::from(name[encloser]);
    }
    if encloser == 0 { zone.get(name) } else { wildcard_below(zone, &name[encloser..]) }
}

/// The wildcard directly below an ancestor of a name.
pub(super) fn wildcard_below<'z>(zone: &'z Zone, encloser: &[u8]) -> Option<Node<'z>> {
    let mut wire = [0; MAX_NAME];
    let length = 2 + encloser.len();
    wire[..2].copy_from_slice(b"\x01*");
    wire.get_mut(2..length)?.copy_from_slice(encloser);
    zone.get(&wire[..length])
}

/// The node at a name. The owners of NSEC3 records alone do not count: they are hashes, not names of the zone
/// (RFC 5155 §7.2.8).
fn node_at<'z>(zone: &'z Zone, name: &[u8]) -> Option<Node<'z>> {
    let hash_only = |node: Node<'_>| {
        node.get(RecordType::NSEC3).is_some()
            && node.rrsets().all(|rrset| matches!(rrset.rtype, RecordType::NSEC3 | RecordType::RRSIG))
    };
    zone.get(name).filter(|node| !zone.has_nsec3() || !hash_only(*node))
}

/// Walks from the apex down to the name, so that a cut or a DNAME hides what is below it.
fn descend<'z>(zone: &'z Zone, name: &[u8], rtype: RecordType) -> Found<'z> {
    let apex = name.len() - zone.origin().as_wire().len();
    let mut encloser = apex;
    let below_apex = Labels::of(name);
    for start in std::iter::once(apex).chain(below_apex.rev().filter(|&start| start < apex)) {
        let Some(node) = node_at(zone, &name[start..]) else { break };
        let is_name = start == 0;
        // At a cut the parent's side answers for the DS alone (RFC 4035 §3.1.4.1).
        let is_cut = start != apex && node.get(RecordType::NS).is_some();
        if is_cut && !(is_name && rtype == RecordType::DS) {
            return Found::Delegation { node, cut: start };
        }
        if is_name {
            return Found::Exact(node);
        }
        if node.get(RecordType::DNAME).is_some() {
            return Found::Dname { node, owner: start };
        }
        encloser = start;
    }
    // A wildcard that is an empty non-terminal is a source of synthesis as well: it makes NODATA (RFC 4592 §2.2.2).
    match wildcard_below(zone, &name[encloser..]) {
        Some(node) => Found::Wildcard { node, encloser },
        None => Found::Missing { encloser },
    }
}
