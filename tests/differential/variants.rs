//! The one table of differences that the RFCs permit, each with its reason and as narrow as it can be told.

use grapevine::zone::RecordType;

use crate::judge::Case;
use crate::message::Said;

/// A permitted difference.
pub(crate) struct Variant {
    /// What it is called in the figures.
    pub(crate) name: &'static str,
    /// Why it is right.
    pub(crate) reason: &'static str,
    /// Whether a case is one of it.
    pub(crate) applies: fn(&Case) -> bool,
}

/// Every permitted difference.
pub(crate) const VARIANTS: &[Variant] = &[
    Variant {
        name: "any-one-rrset",
        reason: "RFC 8482 §4.1: to ANY one RRset is enough; the others give all of them",
        applies: |case| {
            case.asks(RecordType::ANY)
                && case.stock.iter().any(|said| {
                    said.rcode == case.ours.rcode
                        && said.authoritative == case.ours.authoritative
                        && said.sections[0].is_empty() == case.ours.sections[0].is_empty()
                        && case.ours.sections[0].is_subset(&said.sections[0])
                        && case.ours.sections[1].is_subset(&said.sections[1])
                })
        },
    },
    Variant {
        name: "chain-across-zones",
        reason: "RFC 1034 §4.3.2 step 3a goes on with any zone held here, as NSD does; BIND and Knot stop at the zone's border",
        applies: |case| {
            let [bind, nsd, knot] = &case.stock[..] else { return false };
            let stops = |said: &Said| {
                said.rcode == 0
                    && said.sections[0].iter().any(|record| record.rtype == RecordType::CNAME)
                    && said.sections[1].is_empty()
                    && said.sections[0].is_subset(&case.ours.sections[0])
            };
            stops(bind)
                && stops(knot)
                && bind.authoritative == case.ours.authoritative
                && case.ours.core() == nsd.core()
        },
    },
    Variant {
        name: "chain-across-zones-past-nsd",
        reason: "as above, but NSD, which keeps all zones in one tree, takes a name that only another zone has for an empty \
                 non-terminal, or another zone's cut for its own (RFC 4592 §2.2 speaks of the names of one zone)",
        applies: |case| {
            let [bind, _, knot] = &case.stock[..] else { return false };
            let stops = |said: &Said| {
                said.rcode == 0
                    && said.authoritative == case.ours.authoritative
                    && said.sections[0].iter().any(|record| record.rtype == RecordType::CNAME)
                    && said.sections[1].is_empty()
                    && said.sections[0].is_subset(&case.ours.sections[0])
            };
            stops(bind) && stops(knot)
        },
    },
    Variant {
        name: "chain-without-consensus",
        reason: "where a chain leads into another zone held here no two of the three agree: one stops, one refers from the \
                 parent, one finds no data; RFC 1034 §4.3.2 step 3a goes on with the nearest zone",
        applies: |case| {
            let [bind, nsd, knot] = &case.stock[..] else { return false };
            let differ = bind.core() != nsd.core() && nsd.core() != knot.core() && bind.core() != knot.core();
            let alias = |said: &Said| said.sections[0].iter().any(|record| record.rtype == RecordType::CNAME);
            differ && alias(&case.ours) && bind.sections[0].is_subset(&case.ours.sections[0])
        },
    },
    Variant {
        name: "occluded-wildcard-glue",
        reason: "a wildcard below a cut is not the zone's own data, so nothing is made from it (RFC 4592 §4.2), as BIND has it",
        applies: |case| {
            let referred = !case.ours.authoritative && case.ours.sections[0].is_empty();
            referred && case.stock.first() == Some(&case.ours)
        },
    },
];
